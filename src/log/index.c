/* index.c -- the sparse index and its side file.
 *
 * Side file: u32 "MIX1", u32 crc of the rest, u64 salt, u64 base offset, then the totals and the
 * entries. */
#include "log/index.h"

#include "base/assert.h"
#include "base/hash.h"

#include <string.h>

#define INDEX_MAGIC       0x3158494du /* "MIX1" */
#define INDEX_FIXED_BYTES 96
#define INDEX_ENTRY_BYTES 24

void mr_index_init(mr_index *index, uint64_t base_offset, uint64_t first_position)
{
    *index = (mr_index){.end_offset = base_offset, .end_position = first_position};
}

void mr_index_deinit(mr_index *index)
{
    mr_free(index->entries);
    *index = (mr_index){0};
}

static bool wants_entry(const mr_index *index, uint64_t position)
{
    return index->count == 0 ||
           position - index->entries[index->count - 1].position >= MR_INDEX_STEP_BYTES;
}

mr_status mr_index_reserve(mr_index *index, mr_error *err)
{
    if (index->count < index->capacity)
        return MR_OK;
    size_t capacity = MR_MAX(16, index->capacity * 2);
    mr_index_entry *entries = mr_realloc(index->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return MR_OUT_OF_MEMORY(err);
    index->entries = entries;
    index->capacity = capacity;
    return MR_OK;
}

static void add_totals(mr_index *index, const mr_block_header *header)
{
    if (index->block_count++ == 0)
        index->append_first_us = header->append_us;
    index->append_last_us = header->append_us;
    if (!header->has_event_time)
        return;
    index->event_min =
        index->has_event_time ? MR_MIN(index->event_min, header->event_min) : header->event_min;
    index->event_max =
        index->has_event_time ? MR_MAX(index->event_max, header->event_max) : header->event_max;
    index->has_event_time = true;
}

void mr_index_add(mr_index *index, uint64_t position, const mr_block_header *header)
{
    MR_ASSERT(position >= index->end_position && header->base_offset >= index->end_offset);
    if (wants_entry(index, position)) {
        MR_ASSERT(index->count < index->capacity);
        int64_t before = index->has_event_time ? index->event_max : INT64_MIN;
        index->entries[index->count++] = (mr_index_entry){header->base_offset, position, before};
    }
    add_totals(index, header);
    index->end_offset = header->base_offset + header->row_count;
    index->end_position = position + header->block_bytes;
}

static mr_index_entry entry_before(const mr_index *index, size_t count_before)
{
    if (index->count == 0)
        return (mr_index_entry){index->end_offset, index->end_position, INT64_MIN};
    return index->entries[count_before > 0 ? count_before - 1 : 0];
}

mr_index_entry mr_index_find_offset(const mr_index *index, uint64_t offset)
{
    size_t low = 0, high = index->count; /* entries below `low` have base_offset < offset */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->entries[middle].base_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return entry_before(index, low);
}

mr_index_entry mr_index_find_time(const mr_index *index, int64_t event_time)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->entries[middle].event_max_before < event_time)
            low = middle + 1;
        else
            high = middle;
    }
    return entry_before(index, low);
}

/* ---- side file ---- */

void mr_index_encode(const mr_index *index, uint64_t salt, mr_bytes *out)
{
    mr_bytes_clear(out);
    mr_bytes_append_u32(out, INDEX_MAGIC);
    mr_bytes_append_u32(out, 0); /* the checksum comes here */
    mr_bytes_append_u64(out, salt);
    mr_bytes_append_u64(out, index->count > 0 ? index->entries[0].base_offset : index->end_offset);
    mr_bytes_append_u64(out, index->end_offset);
    mr_bytes_append_u64(out, index->end_position);
    mr_bytes_append_u64(out, index->block_count);
    mr_bytes_append_u64(out, index->has_event_time);
    mr_bytes_append_u64(out, (uint64_t)index->event_min);
    mr_bytes_append_u64(out, (uint64_t)index->event_max);
    mr_bytes_append_u64(out, (uint64_t)index->append_first_us);
    mr_bytes_append_u64(out, (uint64_t)index->append_last_us);
    mr_bytes_append_u64(out, index->count);
    for (size_t i = 0; i < index->count; i++) {
        mr_bytes_append_u64(out, index->entries[i].base_offset);
        mr_bytes_append_u64(out, index->entries[i].position);
        mr_bytes_append_u64(out, (uint64_t)index->entries[i].event_max_before);
    }
    if (out->failed)
        return;
    uint32_t crc = mr_crc32c(0, out->data + 8, out->size - 8);
    memcpy(out->data + 4, &crc, sizeof crc);
}

static mr_status read_entries(mr_reader *in, mr_index *out, mr_error *err)
{
    out->entries = mr_alloc_zero(out->count, sizeof *out->entries);
    if (out->entries == NULL)
        return MR_OUT_OF_MEMORY(err);
    out->capacity = out->count;
    for (size_t i = 0; i < out->count; i++) {
        out->entries[i].base_offset = mr_reader_u64(in);
        out->entries[i].position = mr_reader_u64(in);
        out->entries[i].event_max_before = (int64_t)mr_reader_u64(in);
    }
    return MR_OK;
}

mr_status mr_index_decode(const void *bytes, size_t size, uint64_t salt, uint64_t base_offset,
                          mr_index *out, mr_error *err)
{
    mr_reader in = mr_reader_of(bytes, size);
    uint32_t magic = mr_reader_u32(&in), crc = mr_reader_u32(&in);
    if (size < INDEX_FIXED_BYTES || magic != INDEX_MAGIC ||
        crc != mr_crc32c(0, (const uint8_t *)bytes + 8, size - 8))
        return MR_FAIL(err, MR_CORRUPT, "%zu bytes are no index file", size);
    if (mr_reader_u64(&in) != salt || mr_reader_u64(&in) != base_offset)
        return MR_FAIL(err, MR_CORRUPT, "an index file of another segment");
    *out = (mr_index){.end_offset = mr_reader_u64(&in)};
    out->end_position = mr_reader_u64(&in);
    out->block_count = mr_reader_u64(&in);
    out->has_event_time = mr_reader_u64(&in) != 0;
    out->event_min = (int64_t)mr_reader_u64(&in);
    out->event_max = (int64_t)mr_reader_u64(&in);
    out->append_first_us = (int64_t)mr_reader_u64(&in);
    out->append_last_us = (int64_t)mr_reader_u64(&in);
    out->count = mr_reader_u64(&in);
    if (in.failed || out->count != mr_reader_left(&in) / INDEX_ENTRY_BYTES)
        return MR_FAIL(err, MR_CORRUPT, "an index file of %zu bytes claims %zu entries", size,
                       out->count);
    return read_entries(&in, out, err);
}
