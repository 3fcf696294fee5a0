/* store.c -- a slot's keys in the spill store: put, remove, bring back.
 *
 * Under one word lie the records of all keys with it. In word tables that is one, so it is simply written over; in
 * byte tables keys may share a hash, so the group is read, changed and written. */
#include "base/assert.h"
#include "state/state_internal.h"

#include <string.h>

static mr_spill *spill_of(const mr_slot *slot)
{
    return slot->table->state->spill;
}

static mr_spill_place place_of(const mr_slot *slot, uint64_t word)
{
    return (mr_spill_place){(uint16_t)slot->table->id, (uint16_t)(slot - slot->table->slots), word,
                            slot->table->options.byte_keys ? word : mr_hash_u64(word)};
}

/* Copies the group of `word` but for one key into *out. */
static mr_status copy_others(const mr_slot *slot, uint64_t word, const void *key, size_t key_bytes,
                             mr_bytes *out, mr_error *err)
{
    mr_spill *spill = spill_of(slot);
    mr_spill_value stored;
    mr_status status = spill->kind->get(spill, place_of(slot, word), &stored, err);
    if (status != MR_OK)
        return status == MR_NOT_FOUND ? MR_OK : status;
    mr_reader reader = mr_reader_of(stored.bytes, stored.size);
    mr_record one;
    while ((status = mr_record_read(slot->table, &reader, &one, err)) == MR_OK)
        if (mr_record_compare(word, key, key_bytes, one.word, one.key, one.key_bytes) != 0)
            mr_bytes_append(out, one.bytes, one.size);
    spill->kind->release(spill, &stored);
    return status == MR_END ? MR_OK : status;
}

/* Writes the group of `word` anew: the others, and `record` when not NULL. */
static mr_status write_group(const mr_slot *slot, uint64_t word, const void *key, size_t key_bytes,
                             const mr_record *record, mr_error *err)
{
    mr_spill *spill = spill_of(slot);
    mr_bytes group = {0};
    mr_status status = copy_others(slot, word, key, key_bytes, &group, err);
    if (record != NULL)
        mr_bytes_append(&group, record->bytes, record->size);
    if (status == MR_OK && group.failed)
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK && group.size > 0)
        status = spill->kind->put(spill, place_of(slot, word), group.data, group.size, err);
    else if (status == MR_OK)
        status = spill->kind->remove(spill, place_of(slot, word), err);
    mr_bytes_deinit(&group);
    return status;
}

mr_status mr_store_put(const mr_slot *slot, const mr_record *record, mr_error *err)
{
    slot->table->put_count++;
    slot->table->put_bytes += record->size;
    if (slot->table->options.byte_keys)
        return write_group(slot, record->word, record->key, record->key_bytes, record, err);
    mr_spill *spill = spill_of(slot);
    return spill->kind->put(spill, place_of(slot, record->word), record->bytes, record->size, err);
}

mr_status mr_store_remove(const mr_slot *slot, uint64_t word, const void *key, size_t key_bytes,
                          mr_error *err)
{
    if (slot->table->options.byte_keys)
        return write_group(slot, word, key, key_bytes, NULL, err);
    mr_spill *spill = spill_of(slot);
    return spill->kind->remove(spill, place_of(slot, word), err);
}

mr_status mr_store_put_all(mr_slot *slot, mr_reader *records, mr_error *err)
{
    mr_spill *spill = spill_of(slot);
    MR_TRY(spill->kind->begin(spill, err));
    mr_record record;
    mr_status status;
    uint32_t count = 0;
    while ((status = mr_record_read(slot->table, records, &record, err)) == MR_OK) {
        MR_GOTO(failed, status, mr_store_put(slot, &record, err));
        count++;
    }
    if (status != MR_END)
        goto failed;
    MR_TRY(spill->kind->commit(spill, err));
    slot->spilled += count;
    return MR_OK;
failed:
    spill->kind->abort(spill);
    return status;
}

void mr_slot_prefetch_spilled(const mr_slot *slot, uint64_t hash)
{
    const mr_spill *spill = spill_of(slot);
    mr_spill_place place = place_of(slot, 0);
    place.hash = hash;
    if (slot->spilled > 0 && spill->kind->prefetch != NULL)
        spill->kind->prefetch(spill, place);
}

mr_status mr_store_bring_back(mr_slot *slot, uint64_t word, mr_error *err)
{
    mr_spill *spill = spill_of(slot);
    mr_spill_value stored;
    mr_status status = spill->kind->get(spill, place_of(slot, word), &stored, err);
    if (status != MR_OK)
        return status == MR_NOT_FOUND ? MR_OK : status;
    mr_reader reader = mr_reader_of(stored.bytes, stored.size);
    mr_record record;
    uint32_t touched = slot->table->touch | MR_ENTRY_STORED;
    while ((status = mr_record_read(slot->table, &reader, &record, err)) == MR_OK) {
        if (mr_slot_find(slot, record.word, record.key, record.key_bytes) != NULL)
            continue;
        MR_GOTO(done, status, mr_record_insert(slot, &record, touched, err));
        slot->spilled--;
    }
done:
    spill->kind->release(spill, &stored);
    return status == MR_END ? MR_OK : status;
}

mr_status mr_store_wipe(mr_state *state, mr_error *err)
{
    if (state->spill_kind == NULL)
        return MR_OK;
    if (state->spill != NULL)
        state->spill->kind->close(state->spill);
    state->spill = NULL;
    return state->spill_kind->open(state->fs, state->spill_folder, &state->source, &state->spill,
                                   err);
}
