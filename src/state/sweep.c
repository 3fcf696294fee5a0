/* sweep.c -- takes away what ttl has made unreachable, so that memory and store do not fill with it.
 *
 * No result depends on when it is done (state.h, 5). The pace is that of the stream: all slots once in a quarter
 * of the ttl, a bounded number at a time. */
#include "base/assert.h"
#include "state/state_internal.h"

#define SLOTS_PER_CALL 64

static void sweep_memory(mr_slot *slot)
{
    mr_slot_rest *rest = &slot->table->rest[slot - slot->table->slots];
    for (uint32_t at = 0; at < slot->capacity;) {
        mr_entry *entry = mr_slot_entry(slot, at);
        bool live = entry->touched != 0 && (entry->touched & MR_ENTRY_DEAD) == 0;
        if (!live || !mr_slot_entry_expired(slot, entry, slot->table->stream_time_us)) {
            at++;
            continue;
        }
        bool stays = (entry->touched & MR_ENTRY_STORED) != 0;
        mr_slot_remove(slot, entry + 1);
        rest->expired++;
        at += stays; /* else another entry may have moved here */
    }
}

/* The records of the store that are expired, one behind the other. */
static mr_status list_expired(mr_slot *slot, mr_bytes *out, mr_error *err)
{
    mr_table *table = slot->table;
    mr_spill *spill = table->state->spill;
    mr_spill_scan *scan;
    MR_TRY(spill->kind->scan_open(spill, (uint16_t)table->id, (uint16_t)(slot - table->slots),
                                  &scan, err));
    uint64_t word;
    mr_spill_value value;
    mr_status status;
    while ((status = spill->kind->scan_next(scan, &word, &value, err)) == MR_OK) {
        mr_reader reader = mr_reader_of(value.bytes, value.size);
        mr_record record;
        while ((status = mr_record_read(table, &reader, &record, err)) == MR_OK)
            if (mr_table_expires(table, record.last_us, table->stream_time_us))
                mr_bytes_append(out, record.bytes, record.size);
        if (status != MR_END)
            break;
    }
    spill->kind->scan_close(scan);
    if (status == MR_END && out->failed)
        return MR_OUT_OF_MEMORY(err);
    return status == MR_END ? MR_OK : status;
}

static mr_status remove_records(mr_slot *slot, mr_reader *records, mr_error *err)
{
    mr_record record;
    mr_status status;
    while ((status = mr_record_read(slot->table, records, &record, err)) == MR_OK)
        MR_TRY(mr_store_remove(slot, record.word, record.key, record.key_bytes, err));
    return status == MR_END ? MR_OK : status;
}

/* The store has them no more: forget that it did. */
static void note_removed(mr_slot *slot, mr_reader *records)
{
    mr_record record;
    while (mr_record_read(slot->table, records, &record, NULL) == MR_OK) {
        mr_entry *entry = mr_slot_find(slot, record.word, record.key, record.key_bytes);
        if (entry == NULL) {
            slot->spilled--;
            slot->table->rest[slot - slot->table->slots].expired++;
        } else if (entry->touched & MR_ENTRY_DEAD) {
            mr_slot_erase(slot, entry);
        } else {
            entry->touched &= ~MR_ENTRY_STORED;
        }
    }
}

static mr_status sweep_store(mr_slot *slot, mr_error *err)
{
    mr_spill *spill = slot->table->state->spill;
    mr_bytes expired = {0};
    mr_status status = list_expired(slot, &expired, err);
    if (status != MR_OK || expired.size == 0)
        goto done;
    MR_GOTO(done, status, spill->kind->begin(spill, err));
    mr_reader records = mr_reader_of(expired.data, expired.size);
    status = remove_records(slot, &records, err);
    if (status != MR_OK) {
        spill->kind->abort(spill);
        goto done;
    }
    MR_GOTO(done, status, spill->kind->commit(spill, err));
    records = mr_reader_of(expired.data, expired.size);
    note_removed(slot, &records);
    slot->changed_tick = slot->table->tick;
done:
    mr_bytes_deinit(&expired);
    return status;
}

/* How many slots the stream's progress is worth. */
static uint32_t slots_due(mr_table *table)
{
    int64_t now_us = table->stream_time_us,
            pace_us = MR_MAX(table->options.ttl_us / 4 / MR_SLOT_COUNT, 1);
    int64_t due_us;
    if (now_us == INT64_MIN)
        return 0;
    if (table->swept_us == INT64_MIN)
        table->swept_us = now_us;
    if (__builtin_sub_overflow(now_us, table->swept_us, &due_us) ||
        due_us / pace_us > MR_SLOT_COUNT) {
        table->swept_us = now_us; /* a leap: one round is enough, at the usual pace from here */
        return SLOTS_PER_CALL;
    }
    uint32_t due = (uint32_t)MR_MIN(due_us / pace_us, SLOTS_PER_CALL);
    table->swept_us += due * pace_us;
    return due;
}

static mr_status sweep_table(mr_table *table, mr_error *err)
{
    for (uint32_t due = slots_due(table); due > 0; due--) {
        mr_slot *slot = &table->slots[table->sweep_slot++ % MR_SLOT_COUNT];
        sweep_memory(slot);
        uint32_t dead = table->rest[slot - table->slots].dead;
        if (slot->spilled + dead > 0)
            MR_TRY(sweep_store(slot, err));
    }
    return MR_OK;
}

mr_status mr_state_sweep(mr_state *state, mr_error *err)
{
    for (uint32_t i = 0; i < state->table_count; i++)
        if (state->tables[i]->options.ttl_us > 0)
            MR_TRY(sweep_table(state->tables[i], err));
    return MR_OK;
}
