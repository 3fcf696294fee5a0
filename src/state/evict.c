/* evict.c -- which keys leave memory, and how a slot is made small again.
 *
 * A hand goes round all slots (second chance: Corbato, "A paging experiment with the Multics system", 1968): what
 * was not touched in the last quarter of the time since it was there is cold and goes to the spill store; the others
 * move into a fresh heap, so that the memory of those who left really comes free. A quarter, because moving one that
 * stays costs about what bringing one back does: keys that are in use often are kept, and few of the others moved.
 *
 * (1) A key is put into the store, the store commits, and only then it leaves memory: whatever fails between,
 *     memory still has it, and hides what is stored.
 * (2) Work is bounded by what memory is short of: what came in since the last call, and a little more. */
#include "base/assert.h"
#include "state/state_internal.h"

#include <string.h>

#define BATCH_SLOTS                   64
#define BATCH_BYTES                   (2u << 20) /* put in one commit, about */
#define SPARE_BYTES_MAX               (1u << 20) /* freed beyond the mark */
#define FRESH_TICKS                   64 /* touched so lately is hot where the hand never was */
#define TICK_MASK                     0x3fffffffu
#define HOT_PART                      4 /* touched in the last such part of the time since the hand was here */
#define PREFETCH_AHEAD                4    /* places */
#define COMPACT_LOOKS                 8    /* slots looked at by a call, at most */
#define COMPACT_BYTES                 4096 /* unused, at least, to be worth it */
#define COMPACT_CREDIT_BYTES_PER_TICK 512
#define COMPACT_CREDIT_BYTES_MAX      (16u << 20)

/* ---- marks ---- */

/* Room for what one micro-batch adds: an eighth, or more when they add more. */
static uint64_t mark_of(const mr_state *state, const mr_budget *budget)
{
    uint64_t growth = state->growth_bytes_max + state->growth_bytes_max / 4;
    return budget->max_bytes - MR_MAX(budget->max_bytes / 8, MR_MIN(growth, budget->max_bytes / 2));
}

/* How far the tightest limit is over its mark less a spare. */
static uint64_t bytes_over(const mr_state *state, bool with_spare)
{
    uint64_t over = 0;
    for (const mr_budget *b = state->source.budget; b != NULL; b = b->parent) {
        uint64_t spare = with_spare ? MR_MIN(b->max_bytes / 64, SPARE_BYTES_MAX) : 0;
        uint64_t target = mark_of(state, b) - spare, used = mr_budget_used(b);
        if (b->max_bytes > 0 && used > target)
            over = MR_MAX(over, used - target);
    }
    return over;
}

static uint64_t used_bytes(const mr_state *state)
{
    return atomic_load_explicit(&state->source.used_bytes, memory_order_relaxed);
}

static void note_growth(mr_state *state)
{
    uint64_t used = used_bytes(state);
    uint64_t growth = used > state->used_bytes_left ? used - state->used_bytes_left : 0;
    uint64_t faded = state->growth_bytes_max - state->growth_bytes_max / 64;
    if (state->used_bytes_left == 0)
        return;
    state->growth_bytes_max = MR_MAX(growth, faded);
    state->compact_credit_bytes =
        MR_MIN(state->compact_credit_bytes + growth + COMPACT_CREDIT_BYTES_PER_TICK,
               COMPACT_CREDIT_BYTES_MAX);
}

bool mr_state_is_short(const mr_state *state)
{
    return state->spill != NULL && bytes_over(state, false) > 0;
}

/* ---- rebuilding ---- */

/* Asks for what encoding the value a few places on will read. */
static void prefetch_ahead(const mr_slot *slot, uint32_t at)
{
    const mr_table_options *options = &slot->table->options;
    at += PREFETCH_AHEAD;
    if (options->kind->prefetch != NULL && at < slot->capacity &&
        mr_slot_entry(slot, at)->touched != 0)
        options->kind->prefetch(options->context, mr_slot_entry(slot, at) + 1);
}

static uint32_t count_kept(const mr_slot *slot, bool (*keep)(const mr_slot *, const mr_entry *))
{
    uint32_t count = 0;
    for (uint32_t at = 0; at < slot->capacity; at++) {
        const mr_entry *entry = mr_slot_entry(slot, at);
        count += entry->touched != 0 && (keep == NULL || keep(slot, entry));
    }
    return count;
}

static mr_status copy_entry(mr_slot *to, const mr_slot *from, const mr_entry *entry,
                            mr_bytes *scratch, mr_error *err)
{
    mr_bytes_clear(scratch);
    mr_record_write(from, entry, scratch);
    if (scratch->failed)
        return MR_OUT_OF_MEMORY(err);
    mr_reader reader = mr_reader_of(scratch->data, scratch->size);
    mr_record record;
    MR_TRY(mr_record_read(to->table, &reader, &record, err));
    return mr_record_insert(to, &record, entry->touched, err);
}

mr_status mr_slot_rebuild(mr_slot *slot, bool (*keep)(const mr_slot *slot, const mr_entry *entry),
                          mr_error *err)
{
    mr_slot_rest *rest = &slot->table->rest[slot - slot->table->slots];
    mr_slot old = *slot;
    uint32_t old_dead = rest->dead, kept = count_kept(slot, keep);
    mr_slot_detach(slot);
    mr_status status = kept == 0 || mr_slot_reserve(slot, kept) ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (kept > 0 && old.heap != NULL)
        mr_slot_expect(slot, (mr_heap_bytes(old.heap) - mr_heap_free_bytes(old.heap)) * kept /
                                 ((uint64_t)old.count + old_dead));
    for (uint32_t at = 0; status == MR_OK && at < old.capacity; at++) {
        mr_entry *entry = mr_slot_entry(&old, at);
        prefetch_ahead(&old, at);
        if (entry->touched != 0 && (keep == NULL || keep(slot, entry)))
            status = copy_entry(slot, &old, entry, &slot->table->state->scratch, err);
    }
    if (status == MR_OK) {
        mr_slot_free_memory(&old);
        return MR_OK;
    }
    mr_slot_clear(slot);
    *slot = old;
    rest->dead = old_dead;
    return status;
}

/* ---- cold keys ---- */

static bool is_hot(const mr_slot *slot, const mr_entry *entry)
{
    const mr_table *table = slot->table;
    uint32_t visited = table->rest[slot - table->slots].visited_tick;
    uint32_t now = (uint32_t)table->tick & TICK_MASK;
    uint32_t since = now - (visited != 0 ? ((now - visited) & TICK_MASK) / HOT_PART : FRESH_TICKS);
    return (entry->touched & MR_ENTRY_DEAD) == 0 &&
           (((entry->touched >> 2) - since) & TICK_MASK) <= TICK_MASK / 2;
}

static mr_status put_entry(mr_slot *slot, const mr_entry *entry, mr_error *err)
{
    mr_bytes *scratch = &slot->table->state->scratch;
    if (entry->touched & MR_ENTRY_DEAD) {
        size_t key_bytes;
        const void *key = mr_slot_entry_key(slot, entry, &key_bytes);
        return mr_store_remove(slot, entry->word, key, key_bytes, err);
    }
    mr_bytes_clear(scratch);
    mr_record_write(slot, entry, scratch);
    if (scratch->failed)
        return MR_OUT_OF_MEMORY(err);
    mr_reader reader = mr_reader_of(scratch->data, scratch->size);
    mr_record record;
    MR_TRY(mr_record_read(slot->table, &reader, &record, err));
    return mr_store_put(slot, &record, err);
}

typedef struct departure {
    mr_slot *slots[BATCH_SLOTS];
    uint32_t leaving[BATCH_SLOTS]; /* live keys that go */
    uint32_t count;
    uint64_t put_bytes;
} departure;

/* Puts what is cold; what is hot gets its second chance. */
static mr_status visit_slot(mr_slot *slot, departure *batch, mr_error *err)
{
    mr_table *table = slot->table;
    uint32_t leaving = 0, dead = 0;
    uint64_t put_before = table->put_bytes;
    for (uint32_t at = 0; at < slot->capacity; at++) {
        mr_entry *entry = mr_slot_entry(slot, at);
        prefetch_ahead(slot, at);
        if (entry->touched == 0 || is_hot(slot, entry))
            continue;
        MR_TRY(put_entry(slot, entry, err));
        *((entry->touched & MR_ENTRY_DEAD) ? &dead : &leaving) += 1;
    }
    if (leaving + dead == 0) {
        table->rest[slot - table->slots].visited_tick = (uint32_t)table->tick & TICK_MASK;
        return MR_OK;
    }
    batch->put_bytes += table->put_bytes - put_before;
    batch->leaving[batch->count] = leaving;
    batch->slots[batch->count++] = slot;
    return MR_OK;
}

static mr_slot *advance_hand(mr_state *state)
{
    if (++state->hand_slot >= MR_SLOT_COUNT) {
        state->hand_slot = 0;
        state->hand_table = (state->hand_table + 1) % state->table_count;
    }
    return &state->tables[state->hand_table]->slots[state->hand_slot];
}

static mr_status fill_batch(mr_state *state, uint64_t need_bytes, uint64_t *visits_left,
                            departure *batch, mr_error *err)
{
    uint64_t leaving_bytes = 0;
    /* Never more than once round: a slot must not be in a batch twice. */
    uint64_t end =
        *visits_left - MR_MIN(*visits_left, (uint64_t)state->table_count * MR_SLOT_COUNT);
    while (batch->count < BATCH_SLOTS && batch->put_bytes < BATCH_BYTES &&
           leaving_bytes<need_bytes && * visits_left> end) {
        mr_slot *slot = advance_hand(state);
        uint32_t count = batch->count;
        --*visits_left;
        MR_TRY(visit_slot(slot, batch, err));
        if (batch->count > count)
            leaving_bytes += mr_slot_bytes(slot) * batch->leaving[count] / MR_MAX(slot->count, 1);
    }
    return MR_OK;
}

static void mark_stored(mr_slot *slot)
{
    for (uint32_t at = 0; at < slot->capacity; at++) {
        mr_entry *entry = mr_slot_entry(slot, at);
        if (entry->touched != 0 && !is_hot(slot, entry))
            entry->touched |= MR_ENTRY_STORED;
    }
}

static mr_status leave(const departure *batch, mr_error *err)
{
    for (uint32_t i = 0; i < batch->count; i++)
        mark_stored(batch->slots[i]);
    for (uint32_t i = 0; i < batch->count; i++) {
        mr_slot *slot = batch->slots[i];
        MR_TRY(mr_slot_rebuild(slot, is_hot, err));
        slot->spilled += batch->leaving[i];
        slot->table->rest[slot - slot->table->slots].visited_tick =
            (uint32_t)slot->table->tick & TICK_MASK;
    }
    return MR_OK;
}

static mr_status evict_batch(mr_state *state, uint64_t *visits_left, mr_error *err)
{
    mr_spill *spill = state->spill;
    departure batch = {.count = 0};
    MR_TRY(spill->kind->begin(spill, err));
    mr_status status = fill_batch(state, bytes_over(state, true), visits_left, &batch, err);
    if (status != MR_OK) {
        spill->kind->abort(spill);
        return status;
    }
    MR_TRY(spill->kind->commit(spill, err));
    return leave(&batch, err);
}

static bool is_wasteful(const mr_slot *slot)
{
    uint64_t free_bytes = mr_heap_free_bytes(slot->heap);
    return free_bytes > COMPACT_BYTES && free_bytes > mr_heap_bytes(slot->heap) / 5 &&
           slot->table->rest[slot - slot->table->slots].dead == 0;
}

/* Memory that grew in small pieces leaves free ones behind. A byte is moved for each that was added, and a
 * few for each call: the work is that of growing, and rare where little comes in. */
static mr_status compact_some(mr_state *state, mr_error *err)
{
    for (uint32_t i = 0; i < COMPACT_LOOKS && state->compact_credit_bytes > 0; i++) {
        uint32_t at = state->compact_next++ % (state->table_count * MR_SLOT_COUNT);
        mr_slot *slot = &state->tables[at / MR_SLOT_COUNT]->slots[at % MR_SLOT_COUNT];
        uint64_t bytes = mr_slot_bytes(slot);
        if (!is_wasteful(slot))
            continue;
        if (state->compact_credit_bytes < bytes) {
            state->compact_next--; /* its turn comes */
            return MR_OK;
        }
        state->compact_credit_bytes -= bytes;
        mr_status status = mr_slot_rebuild(slot, NULL, err);
        if (status != MR_OK)
            return status == MR_NO_MEMORY ? MR_OK : status; /* later, then */
    }
    return MR_OK;
}

static mr_status evict(mr_state *state, mr_error *err)
{
    /* Twice round: at the second visit all is cold that was not touched since the call began. */
    uint64_t visits_left = (uint64_t)state->table_count * MR_SLOT_COUNT * 2;
    if (mr_state_is_short(state))
        while (visits_left > 0 && bytes_over(state, true) > 0)
            MR_TRY(evict_batch(state, &visits_left, err));
    return MR_OK;
}

mr_status mr_state_evict(mr_state *state, mr_error *err)
{
    if (state->table_count == 0)
        return MR_OK;
    note_growth(state);
    MR_TRY(compact_some(state, err));
    if (state->spill != NULL)
        MR_TRY(evict(state, err));
    state->used_bytes_left = used_bytes(state);
    return MR_OK;
}
