/* state.c -- the tables of one pipeline: birth, death, time and figures. */
#include "state/state_internal.h"

#include "base/assert.h"
#include "os/process.h"

#include <string.h>

#define TICK_MASK 0x3fffffffu /* what fits beside the flags of an entry */

mr_status mr_state_open(const mr_state_options *options, mr_state **out, mr_error *err)
{
    mr_state *state = MR_NEW(mr_state);
    if (state == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = MR_OK;
    state->fs = options->fs;
    state->source.budget = options->budget;
    state->source.overdraft = options->spill_folder != NULL;
    state->workers = MR_MAX(options->workers, 1);
    state->background = options->background;
    state->tick = 1;
    state->folder = mr_strdup(options->folder);
    if (state->folder == NULL)
        MR_GOTO(failed, status, MR_OUT_OF_MEMORY(err));
    MR_GOTO(failed, status, mr_fs_make_folder(state->fs, state->folder, err));
    MR_GOTO(failed, status, mr_checkpoints_create(state, &state->checkpoints, err));
    if (options->spill_folder != NULL) {
        state->spill_kind = options->spill_kind != NULL ? options->spill_kind : &mr_spill_log;
        state->spill_folder = mr_strdup(options->spill_folder);
        if (state->spill_folder == NULL)
            MR_GOTO(failed, status, MR_OUT_OF_MEMORY(err));
        MR_GOTO(failed, status, mr_store_wipe(state, err));
    }
    *out = state;
    return MR_OK;
failed:
    mr_state_close(state);
    return status;
}

static void destroy_table(mr_table *table)
{
    for (uint32_t i = 0; table->slots != NULL && i < MR_SLOT_COUNT; i++)
        mr_slot_clear(&table->slots[i]);
    if (table->slots != NULL)
        mr_slots_destroy(table);
    mr_free((char *)(uintptr_t)table->options.name);
    mr_free(table);
}

void mr_state_close(mr_state *state)
{
    if (state == NULL)
        return;
    mr_checkpoints_destroy(state->checkpoints);
    for (uint32_t i = 0; i < state->table_count; i++)
        destroy_table(state->tables[i]);
    if (state->spill != NULL) {
        state->spill->kind->close(state->spill);
        /* Best effort: a cache of gigabytes is no use to anybody now; what stays is wiped at the next open. */
        (void)mr_fs_remove_tree(state->fs, state->spill_folder, NULL);
    }
    mr_bytes_deinit(&state->scratch);
    mr_free(state->spill_folder);
    mr_free(state->folder);
    mr_free(state);
}

/* ---- tables ---- */

static mr_status check_options(const mr_state *state, const mr_table_options *options,
                               mr_error *err)
{
    MR_ASSERT(options->value_bytes % 8 == 0);
    MR_ASSERT(options->ttl_us <= 0 || options->kind->last_time_us != NULL);
    for (uint32_t i = 0; i < state->table_count; i++)
        if (strcmp(state->tables[i]->options.name, options->name) == 0)
            return MR_FAIL(err, MR_EXISTS, "a table named %s is there already", options->name);
    if (state->table_count == MR_TABLE_COUNT_MAX)
        return MR_FAIL(err, MR_FULL, "table %s would be one more than the %d a pipeline may have",
                       options->name, MR_TABLE_COUNT_MAX);
    return MR_OK;
}

static void set_tick(mr_table *table, uint64_t tick)
{
    table->tick = tick;
    table->touch = (uint32_t)(tick & TICK_MASK) << 2;
}

mr_status mr_state_add_table(mr_state *state, const mr_table_options *options, mr_table **out,
                             mr_error *err)
{
    MR_TRY(check_options(state, options, err));
    mr_table *table = MR_NEW(mr_table);
    if (table == NULL)
        return MR_OUT_OF_MEMORY(err);
    table->state = state;
    table->options = *options;
    table->options.name = mr_strdup(options->name);
    table->id = state->table_count;
    table->stream_time_us = INT64_MIN;
    table->swept_us = INT64_MIN;
    table->missing = true;
    set_tick(table, state->tick);
    mr_status status =
        table->options.name != NULL ? mr_slots_create(table, err) : MR_OUT_OF_MEMORY(err);
    if (status != MR_OK) {
        destroy_table(table);
        return status;
    }
    state->tables[state->table_count++] = table;
    *out = table;
    return MR_OK;
}

bool mr_table_was_missing(const mr_table *table)
{
    return table->missing;
}

mr_slot *mr_table_slots(mr_table *table)
{
    return table->slots;
}

uint32_t mr_table_tick(const mr_table *table)
{
    return (uint32_t)table->tick;
}

void mr_table_set_stream_time(mr_table *table, int64_t time_us)
{
    table->stream_time_us = MR_MAX(table->stream_time_us, time_us);
}

int64_t mr_table_stream_time(const mr_table *table)
{
    return table->stream_time_us;
}

/* ---- upkeep ---- */

/* The tick's low bits are never 0: an entry touched at it would look empty. */
static uint64_t tick_after(uint64_t tick)
{
    tick++;
    return (tick & TICK_MASK) != 0 ? tick : tick + 1;
}

#define HUGE_PAGES_STEP_BYTES (4u << 20)

mr_status mr_state_maintain(mr_state *state, mr_error *err)
{
    uint64_t used = mr_memory_used_bytes();
    if (used > state->advised_bytes + HUGE_PAGES_STEP_BYTES || used < state->advised_bytes / 2) {
        mr_process_huge_pages();
        state->advised_bytes = used;
    }
    state->tick = tick_after(state->tick);
    for (uint32_t i = 0; i < state->table_count; i++)
        set_tick(state->tables[i], state->tick);
    MR_TRY(mr_state_sweep(state, err));
    return mr_state_evict(state, err);
}

/* ---- figures ---- */

void mr_table_stats_get(const mr_table *table, mr_table_stats *out)
{
    *out = (mr_table_stats){.bytes = MR_SLOT_COUNT * (sizeof(mr_slot) + sizeof(mr_slot_rest))};
    for (uint32_t i = 0; i < MR_SLOT_COUNT; i++) {
        const mr_slot *slot = &table->slots[i];
        out->keys += slot->count;
        out->keys_spilled += slot->spilled;
        out->bytes += mr_slot_bytes(slot);
        out->expired += table->rest[i].expired;
    }
    if (table->put_count > 0)
        out->bytes_spilled = out->keys_spilled * (table->put_bytes / table->put_count);
}

/* What a value takes beside its entry: that of a copy in a heap of its own. */
static uint64_t value_heap_bytes(mr_slot *slot, const mr_entry *entry)
{
    mr_heap_source unlimited = {.overdraft = true};
    mr_slot own = {
        .entry_bytes = slot->entry_bytes, .table = slot->table, .heap = mr_heap_create(&unlimited)};
    mr_bytes bytes = {0};
    mr_entry *copy = mr_alloc_zero(1, slot->entry_bytes);
    mr_record_write(slot, entry, &bytes);
    mr_reader reader = mr_reader_of(bytes.data, bytes.size);
    mr_record record;
    uint64_t used = 0;
    if (own.heap != NULL && copy != NULL && !bytes.failed &&
        mr_record_read(slot->table, &reader, &record, NULL) == MR_OK) {
        uint64_t empty = mr_heap_bytes(own.heap) - mr_heap_free_bytes(own.heap);
        if (mr_record_decode(&own, &record, copy, NULL) == MR_OK)
            used = mr_heap_bytes(own.heap) - mr_heap_free_bytes(own.heap) - empty;
    }
    mr_heap_destroy(own.heap);
    mr_bytes_deinit(&bytes);
    mr_free(copy);
    return used;
}

uint64_t mr_table_key_bytes(mr_table *table, const void *key, size_t key_bytes, int64_t word)
{
    bool byte_keys = table->options.byte_keys;
    uint64_t hash = byte_keys ? mr_hash64(key, key_bytes) : mr_key_hash_word(word);
    mr_slot *slot = &table->slots[mr_key_slot(hash)];
    mr_entry *entry = mr_slot_find(slot, byte_keys ? hash : (uint64_t)word, byte_keys ? key : NULL,
                                   byte_keys ? key_bytes : 0);
    if (entry == NULL || (entry->touched & MR_ENTRY_DEAD) != 0)
        return 0;
    uint64_t bytes = slot->entry_bytes;
    if (byte_keys)
        bytes += mr_heap_alloc_bytes(sizeof(uint32_t) + key_bytes);
    return bytes + value_heap_bytes(slot, entry);
}
