/* record.c -- one key and its value as bytes; the same in checkpoint images and in the spill store.
 *
 *   | word u64 | value bytes u32 | byte tables: key bytes u32 | ttl tables: last record i64 | key | value |
 *
 * Little endian, not aligned. */
#include "state/state_internal.h"

#include "base/assert.h"

#include <string.h>

#define VALUE_BYTES_AT 8

void mr_record_write(const mr_slot *slot, const mr_entry *entry, mr_bytes *out)
{
    const mr_table_options *options = &slot->table->options;
    size_t start = out->size, key_bytes;
    const void *key = mr_slot_entry_key(slot, entry, &key_bytes);
    mr_bytes_append_u64(out, entry->word);
    mr_bytes_append_u32(out, 0);
    if (options->byte_keys)
        mr_bytes_append_u32(out, (uint32_t)key_bytes);
    if (options->ttl_us > 0)
        mr_bytes_append_u64(out,
                            (uint64_t)options->kind->last_time_us(options->context, entry + 1));
    mr_bytes_append(out, key, key_bytes);
    size_t value_at = out->size;
    /* The kind reads the slot only; its type is not const because decode shares it. */
    options->kind->encode(options->context, (mr_slot *)(uintptr_t)slot, entry + 1, out);
    if (out->failed || out->size - value_at > UINT32_MAX) {
        out->failed = true;
        return;
    }
    uint32_t value_bytes = (uint32_t)(out->size - value_at);
    for (unsigned i = 0; i < 4; i++)
        out->data[start + VALUE_BYTES_AT + i] = (uint8_t)(value_bytes >> (8 * i));
}

mr_status mr_record_read(const mr_table *table, mr_reader *from, mr_record *out, mr_error *err)
{
    if (mr_reader_left(from) == 0)
        return MR_END;
    *out = (mr_record){.bytes = from->next};
    out->word = mr_reader_u64(from);
    out->value_bytes = mr_reader_u32(from);
    out->key_bytes = table->options.byte_keys ? mr_reader_u32(from) : 0;
    out->last_us = table->options.ttl_us > 0 ? (int64_t)mr_reader_u64(from) : 0;
    out->key = mr_reader_bytes(from, out->key_bytes);
    out->value = mr_reader_bytes(from, out->value_bytes);
    if (from->failed)
        return MR_FAIL(
            err, MR_CORRUPT, "table %s: the record of word %llx wants %zu key and %zu value bytes",
            table->options.name, (unsigned long long)out->word, out->key_bytes, out->value_bytes);
    out->size = (size_t)(from->next - out->bytes);
    return MR_OK;
}

int mr_record_compare(uint64_t word_a, const void *key_a, size_t key_a_bytes, uint64_t word_b,
                      const void *key_b, size_t key_b_bytes)
{
    if (word_a != word_b)
        return word_a < word_b ? -1 : 1;
    size_t shared = MR_MIN(key_a_bytes, key_b_bytes);
    int order = shared > 0 ? memcmp(key_a, key_b, shared) : 0;
    return order != 0 ? order : (key_a_bytes > key_b_bytes) - (key_a_bytes < key_b_bytes);
}

mr_status mr_record_decode(mr_slot *slot, const mr_record *record, mr_entry *entry, mr_error *err)
{
    const mr_table_options *options = &slot->table->options;
    mr_reader value = mr_reader_of(record->value, record->value_bytes);
    mr_status status = options->kind->decode(options->context, slot, entry + 1, &value, err);
    if (status == MR_OK && (value.failed || mr_reader_left(&value) > 0))
        status = MR_FAIL(err, MR_CORRUPT,
                         "table %s: the value of word %llx has %zu bytes, %zu were not read",
                         options->name, (unsigned long long)record->word, record->value_bytes,
                         mr_reader_left(&value));
    if (status != MR_OK) {
        options->kind->drop(options->context, slot, entry + 1);
        memset(entry + 1, 0, options->value_bytes);
    }
    return status;
}

mr_status mr_record_insert(mr_slot *slot, const mr_record *record, uint32_t flags, mr_error *err)
{
    mr_entry *entry = mr_slot_add(slot, record->word, record->key, record->key_bytes, err);
    if (entry == NULL)
        return MR_NO_MEMORY;
    mr_status status = mr_record_decode(slot, record, entry, err);
    if (status != MR_OK)
        mr_slot_erase(slot, entry);
    else
        entry->touched = flags;
    return status;
}
