/* walk.c -- all keys of a slot in one order, wherever they are: a merge of memory and the spill store.
 *
 * (1) Of a key that is in both, memory counts, dead entries included.
 * (2) Keys gone by ttl as of the table's stream time are left out, so that the result does not depend on when
 *     they are swept. */
#include "state/state_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define PREFETCH_AHEAD 8 /* values */

static int by_word(const void *a, const void *b)
{
    uint64_t left = ((const mr_walk_entry *)a)->word, right = ((const mr_walk_entry *)b)->word;
    return (left > right) - (left < right);
}

static int compare_entries(const mr_slot *slot, const mr_entry *a, const mr_entry *b)
{
    size_t a_bytes, b_bytes;
    const void *a_key = mr_slot_entry_key(slot, a, &a_bytes);
    const void *b_key = mr_slot_entry_key(slot, b, &b_bytes);
    return mr_record_compare(a->word, a_key, a_bytes, b->word, b_key, b_bytes);
}

/* Keys whose words are equal are few: insertion. */
static void sort_equal_words(mr_walk *walk)
{
    for (uint32_t i = 1; i < walk->count; i++)
        for (uint32_t j = i;
             j > 0 && walk->entries[j - 1].word == walk->entries[j].word &&
             compare_entries(walk->slot, walk->entries[j - 1].entry, walk->entries[j].entry) > 0;
             j--) {
            mr_walk_entry swapped = walk->entries[j];
            walk->entries[j] = walk->entries[j - 1];
            walk->entries[j - 1] = swapped;
        }
}

static mr_status list_entries(mr_walk *walk, mr_error *err)
{
    const mr_slot *slot = walk->slot;
    uint32_t dead = slot->table->rest[slot - slot->table->slots].dead;
    walk->entries = mr_alloc(((size_t)slot->count + dead) * sizeof *walk->entries);
    if (walk->entries == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t at = 0; at < slot->capacity; at++) {
        mr_entry *entry = mr_slot_entry(slot, at);
        if (entry->touched != 0)
            walk->entries[walk->count++] = (mr_walk_entry){entry->word, entry};
    }
    qsort(walk->entries, walk->count, sizeof *walk->entries, by_word);
    if (slot->table->options.byte_keys)
        sort_equal_words(walk);
    return MR_OK;
}

mr_status mr_walk_init(mr_walk *walk, mr_slot *slot, mr_error *err)
{
    *walk = (mr_walk){.slot = slot};
    MR_TRY(list_entries(walk, err));
    if (slot->spilled == 0)
        return MR_OK;
    mr_table *table = slot->table;
    mr_spill *spill = table->state->spill;
    mr_status status = spill->kind->scan_open(spill, (uint16_t)table->id,
                                              (uint16_t)(slot - table->slots), &walk->scan, err);
    if (status != MR_OK)
        mr_walk_deinit(walk);
    return status;
}

void mr_walk_deinit(mr_walk *walk)
{
    if (walk->scan != NULL)
        walk->slot->table->state->spill->kind->scan_close(walk->scan);
    mr_bytes_deinit(&walk->group);
    mr_free(walk->entries);
    *walk = (mr_walk){0};
}

/* ---- the stored side ---- */

/* Several keys share a word: their records in key order. */
static mr_status sort_group(mr_walk *walk, mr_error *err)
{
    mr_reader whole = walk->left;
    mr_record best, one, last = {0};
    mr_bytes_clear(&walk->group);
    for (bool found = true; found;) {
        found = false;
        mr_reader reader = whole;
        mr_status status;
        while ((status = mr_record_read(walk->slot->table, &reader, &one, err)) == MR_OK) {
            bool done =
                last.bytes != NULL && mr_record_compare(one.word, one.key, one.key_bytes, last.word,
                                                        last.key, last.key_bytes) <= 0;
            if (!done && (!found || mr_record_compare(one.word, one.key, one.key_bytes, best.word,
                                                      best.key, best.key_bytes) < 0)) {
                best = one;
                found = true;
            }
        }
        if (status != MR_END)
            return status;
        if (found) {
            mr_bytes_append(&walk->group, best.bytes, best.size);
            last = best;
        }
    }
    walk->left = mr_reader_of(walk->group.data, walk->group.size);
    return walk->group.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

static mr_status next_stored(mr_walk *walk, mr_error *err)
{
    while (!walk->has_record && walk->scan != NULL) {
        mr_status status = mr_record_read(walk->slot->table, &walk->left, &walk->record, err);
        walk->has_record = status == MR_OK;
        if (status != MR_END)
            return status;
        uint64_t word;
        mr_spill_value value;
        status = walk->slot->table->state->spill->kind->scan_next(walk->scan, &word, &value, err);
        if (status == MR_END)
            return MR_OK;
        MR_TRY(status);
        walk->left = mr_reader_of(value.bytes, value.size);
        if (walk->slot->table->options.byte_keys)
            MR_TRY(sort_group(walk, err));
    }
    return MR_OK;
}

/* ---- the merge ---- */

static int compare_sides(const mr_walk *walk)
{
    if (walk->at == walk->count)
        return 1;
    if (!walk->has_record)
        return -1;
    size_t key_bytes;
    const mr_entry *entry = walk->entries[walk->at].entry;
    const void *key = mr_slot_entry_key(walk->slot, entry, &key_bytes);
    return mr_record_compare(entry->word, key, key_bytes, walk->record.word, walk->record.key,
                             walk->record.key_bytes);
}

static mr_entry *next_entry(mr_walk *walk)
{
    const mr_table_options *options = &walk->slot->table->options;
    uint32_t ahead = walk->at + PREFETCH_AHEAD;
    if (options->kind->prefetch != NULL && ahead < walk->count)
        options->kind->prefetch(options->context, walk->entries[ahead].entry + 1);
    return walk->entries[walk->at++].entry;
}

mr_status mr_walk_next(mr_walk *walk, mr_entry **out_entry, mr_record *out_record, mr_error *err)
{
    const mr_table *table = walk->slot->table;
    for (;;) {
        MR_TRY(next_stored(walk, err));
        if (walk->at == walk->count && !walk->has_record)
            return MR_END;
        int order = compare_sides(walk);
        if (order >= 0)
            walk->has_record = false;
        if (order > 0) {
            if (mr_table_expires(table, walk->record.last_us, table->stream_time_us))
                continue;
            *out_entry = NULL;
            *out_record = walk->record;
            return MR_OK;
        }
        mr_entry *entry = next_entry(walk);
        if ((entry->touched & MR_ENTRY_DEAD) == 0 &&
            !mr_slot_entry_expired(walk->slot, entry, table->stream_time_us)) {
            *out_entry = entry;
            return MR_OK;
        }
    }
}

/* ---- reading all of a table ---- */

typedef struct visitor {
    bool (*call)(void *context, const void *key, size_t key_bytes, void *value);
    void *context;
    mr_entry *loaded; /* room for one entry out of the store */
} visitor;

static bool visit_entry(const visitor *to, const mr_slot *slot, mr_entry *entry, const uint8_t *key,
                        size_t key_bytes)
{
    if (slot->table->options.byte_keys)
        return to->call(to->context, key, key_bytes, entry + 1);
    int64_t word = (int64_t)entry->word;
    return to->call(to->context, &word, sizeof word, entry + 1);
}

/* Decodes into a slot of its own, so that looking does not change what is in memory. */
static mr_status visit_record(const visitor *to, const mr_slot *slot, const mr_record *record,
                              bool *out_go_on, mr_error *err)
{
    mr_slot own = {.entry_bytes = slot->entry_bytes, .table = slot->table};
    memset(to->loaded, 0, slot->entry_bytes);
    to->loaded->word = record->word;
    mr_status status = mr_record_decode(&own, record, to->loaded, err);
    if (status == MR_OK)
        *out_go_on = visit_entry(to, slot, to->loaded, record->key, record->key_bytes);
    mr_heap_destroy(own.heap);
    return status;
}

static mr_status visit_slot(const visitor *to, mr_slot *slot, bool *out_go_on, mr_error *err)
{
    mr_walk walk;
    MR_TRY(mr_walk_init(&walk, slot, err));
    mr_entry *entry;
    mr_record record;
    mr_status status = MR_OK;
    while (*out_go_on && (status = mr_walk_next(&walk, &entry, &record, err)) == MR_OK) {
        if (entry == NULL) {
            MR_GOTO(done, status, visit_record(to, slot, &record, out_go_on, err));
            continue;
        }
        size_t key_bytes;
        const void *key = mr_slot_entry_key(slot, entry, &key_bytes);
        *out_go_on = visit_entry(to, slot, entry, key, key_bytes);
    }
done:
    mr_walk_deinit(&walk);
    return status == MR_END ? MR_OK : status;
}

mr_status mr_table_each(mr_table *table,
                        bool (*visit)(void *context, const void *key, size_t key_bytes,
                                      void *value),
                        void *context, mr_error *err)
{
    visitor to = {visit, context, mr_alloc(sizeof(mr_entry) + table->options.value_bytes)};
    if (to.loaded == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = MR_OK;
    bool go_on = true;
    for (uint32_t i = 0; status == MR_OK && go_on && i < MR_SLOT_COUNT; i++)
        if (table->slots[i].count + table->slots[i].spilled > 0)
            status = visit_slot(&to, &table->slots[i], &go_on, err);
    mr_free(to.loaded);
    return status;
}

/* ---- digests ---- */

static uint64_t mix(uint64_t digest, const void *bytes, size_t size)
{
    return mr_hash_u64(digest ^ mr_hash64(bytes, size)) + size;
}

static mr_status digest_slot(mr_slot *slot, uint64_t *digest, mr_error *err)
{
    mr_bytes *scratch = &slot->table->state->scratch;
    mr_walk walk;
    MR_TRY(mr_walk_init(&walk, slot, err));
    mr_entry *entry;
    mr_record record;
    mr_status status;
    while ((status = mr_walk_next(&walk, &entry, &record, err)) == MR_OK) {
        mr_bytes_clear(scratch);
        if (entry != NULL)
            mr_record_write(slot, entry, scratch);
        else
            mr_bytes_append(scratch, record.bytes, record.size);
        if (scratch->failed) {
            status = MR_OUT_OF_MEMORY(err);
            break;
        }
        *digest = mix(*digest, scratch->data, scratch->size);
    }
    mr_walk_deinit(&walk);
    return status == MR_END ? MR_OK : status;
}

mr_status mr_state_digest(mr_state *state, uint64_t *out, mr_error *err)
{
    uint64_t digest = 0;
    for (uint32_t t = 0; t < state->table_count; t++) {
        mr_table *table = state->tables[t];
        digest = mix(digest, table->options.name, strlen(table->options.name));
        for (uint32_t i = 0; i < MR_SLOT_COUNT; i++)
            if (table->slots[i].count + table->slots[i].spilled > 0)
                MR_TRY(digest_slot(&table->slots[i], &digest, err));
    }
    *out = digest;
    return MR_OK;
}
