/* manifest.c -- see manifest.h. Reading takes any bytes: what it allocates is bounded by what it is given. */
#include "state/manifest.h"

#include "base/assert.h"
#include "state/image.h"

#include <string.h>

static const char magic[8] = {'M', 'R', 'C', 'K', 'M', 'A', 'N', 'I'};

#define HEADER_BYTES 40

/* ---- writing ---- */

static void write_text(mr_bytes *out, const void *text, size_t size)
{
    mr_bytes_append_varint(out, size);
    mr_bytes_append(out, text, size);
}

static uint32_t index_of(const mr_manifest *manifest, uint32_t round)
{
    uint32_t low = 0, high = manifest->file_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (manifest->files[middle].round > round)
            low = middle + 1;
        else
            high = middle;
    }
    MR_ASSERT(low < manifest->file_count && manifest->files[low].round == round);
    return low;
}

static void write_image(const mr_manifest *manifest, const mr_image *image, mr_bytes *out)
{
    mr_bytes_append_varint(out, image->position - manifest->position_min);
    mr_bytes_append_varint(out, image->bytes);
    if (image->bytes == 0)
        return;
    mr_bytes_append_varint(out, index_of(manifest, image->round));
    mr_bytes_append_varint(out, image->offset);
    mr_bytes_append_varint(out, image->keys);
    mr_bytes_append_u32(out, image->crc);
}

static void write_table(const mr_manifest *manifest, const mr_manifest_table *table, mr_bytes *out)
{
    write_text(out, table->name, table->name_bytes);
    write_text(out, table->kind, table->kind_bytes);
    mr_bytes_append_u32(out, table->kind_version);
    mr_bytes_append_byte(out, table->flags);
    mr_bytes_append_u64(out, table->fingerprint);
    mr_bytes_append_u64(out, (uint64_t)table->stream_time_us);
    for (uint32_t i = 0; i < MR_SLOT_COUNT; i++)
        write_image(manifest, &table->images[i], out);
}

void mr_manifest_write(const mr_manifest *manifest, mr_bytes *out)
{
    mr_bytes_clear(out);
    mr_bytes_append(out, magic, sizeof magic);
    mr_bytes_append_u32(out, MR_MANIFEST_VERSION);
    mr_bytes_append_u32(out, manifest->round);
    mr_bytes_append_u64(out, manifest->plan_hash);
    mr_bytes_append_u64(out, manifest->position_min);
    mr_bytes_append_u64(out, manifest->position_max);
    write_text(out, manifest->flow, manifest->flow_bytes);
    mr_bytes_append_varint(out, manifest->file_count);
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        mr_bytes_append_varint(out, manifest->round - manifest->files[i].round);
        mr_bytes_append_varint(out, manifest->files[i].bytes);
    }
    mr_bytes_append_varint(out, manifest->table_count);
    for (uint32_t i = 0; i < manifest->table_count; i++)
        write_table(manifest, &manifest->tables[i], out);
    mr_bytes_append_u32(out, mr_crc32c(0, out->data, out->size));
}

/* ---- reading ---- */

static void *take(mr_arena *arena, size_t count, size_t bytes_each, mr_manifest *manifest)
{
    void *memory = mr_arena_alloc_zero(arena, count * bytes_each);
    manifest->no_memory |= memory == NULL;
    return memory;
}

static const uint8_t *read_text(mr_reader *from, size_t *out_bytes)
{
    uint64_t size = mr_reader_varint(from);
    *out_bytes = (size_t)size;
    return mr_reader_bytes(from, (size_t)size);
}

static bool read_files(mr_reader *from, mr_arena *arena, mr_manifest *out)
{
    uint64_t count = mr_reader_varint(from);
    if (from->failed || count > MR_MANIFEST_FILES_MAX || count > mr_reader_left(from) / 2)
        return false;
    out->file_count = (uint32_t)count;
    out->files = take(arena, count, sizeof(mr_manifest_file), out);
    for (uint32_t i = 0; out->files != NULL && i < count; i++) {
        uint64_t back = mr_reader_varint(from);
        out->files[i].round = out->round - (uint32_t)back;
        out->files[i].bytes = mr_reader_varint(from);
        if (back > out->round || (i > 0 && out->files[i].round >= out->files[i - 1].round))
            return false;
    }
    return !from->failed;
}

static bool read_image(mr_reader *from, const mr_manifest *manifest, mr_image *image)
{
    uint64_t ahead = mr_reader_varint(from);
    image->position = manifest->position_min + ahead;
    image->bytes = mr_reader_varint(from);
    if (from->failed || ahead > manifest->position_max - manifest->position_min)
        return false;
    if (image->bytes == 0)
        return true;
    uint64_t file = mr_reader_varint(from);
    image->offset = mr_reader_varint(from);
    uint64_t keys = mr_reader_varint(from);
    image->keys = (uint32_t)keys;
    image->crc = mr_reader_u32(from);
    if (from->failed || file >= manifest->file_count)
        return false;
    const mr_manifest_file *in = &manifest->files[file];
    image->round = in->round;
    return keys > 0 && keys <= image->bytes && keys <= UINT32_MAX / 4 &&
           image->bytes >= MR_IMAGE_HEADER_BYTES && image->bytes <= in->bytes &&
           image->offset <= in->bytes - image->bytes;
}

static bool read_table(mr_reader *from, mr_arena *arena, mr_manifest *manifest,
                       mr_manifest_table *out)
{
    out->name = (const char *)read_text(from, &out->name_bytes);
    out->kind = (const char *)read_text(from, &out->kind_bytes);
    out->kind_version = mr_reader_u32(from);
    out->flags = mr_reader_u8(from);
    out->fingerprint = mr_reader_u64(from);
    out->stream_time_us = (int64_t)mr_reader_u64(from);
    if (from->failed || mr_reader_left(from) < (size_t)2 * MR_SLOT_COUNT)
        return false;
    out->images = take(arena, MR_SLOT_COUNT, sizeof(mr_image), manifest);
    for (uint32_t i = 0; out->images != NULL && i < MR_SLOT_COUNT; i++)
        if (!read_image(from, manifest, &out->images[i]))
            return false;
    return true;
}

static bool read_tables(mr_reader *from, mr_arena *arena, mr_manifest *out)
{
    uint64_t count = mr_reader_varint(from);
    if (from->failed || count > MR_TABLE_COUNT_MAX)
        return false;
    out->tables = take(arena, count, sizeof(mr_manifest_table), out);
    for (; out->tables != NULL && out->table_count < count; out->table_count++)
        if (!read_table(from, arena, out, &out->tables[out->table_count]))
            return false;
    return true;
}

static bool read_body(mr_reader *from, mr_arena *arena, mr_manifest *out)
{
    out->round = mr_reader_u32(from);
    out->plan_hash = mr_reader_u64(from);
    out->position_min = mr_reader_u64(from);
    out->position_max = mr_reader_u64(from);
    out->flow = read_text(from, &out->flow_bytes);
    return !from->failed && out->position_min <= out->position_max &&
           read_files(from, arena, out) && read_tables(from, arena, out) &&
           mr_reader_left(from) == 0;
}

mr_status mr_manifest_read(const void *bytes, size_t size, mr_arena *arena, mr_manifest *out,
                           mr_error *err)
{
    *out = (mr_manifest){0};
    if (size < HEADER_BYTES + 4 || memcmp(bytes, magic, sizeof magic) != 0)
        return MR_FAIL(err, MR_CORRUPT, "%zu bytes are no checkpoint manifest", size);
    mr_reader from = mr_reader_of((const uint8_t *)bytes + sizeof magic, size - sizeof magic - 4);
    mr_reader tail = mr_reader_of((const uint8_t *)bytes + size - 4, 4);
    uint32_t crc = mr_crc32c(0, bytes, size - 4), wanted = mr_reader_u32(&tail);
    if (crc != wanted)
        return MR_FAIL(err, MR_CORRUPT, "manifest of %zu bytes has checksum %08x, not %08x", size,
                       crc, wanted);
    uint32_t version = mr_reader_u32(&from);
    if (version != MR_MANIFEST_VERSION)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "the manifest has format version %u; this program reads version %d", version,
                       MR_MANIFEST_VERSION);
    bool whole = read_body(&from, arena, out);
    if (out->no_memory)
        return MR_OUT_OF_MEMORY(err);
    if (!whole)
        return MR_FAIL(err, MR_CORRUPT,
                       "manifest of %zu bytes makes no sense %zu bytes before its end", size,
                       mr_reader_left(&from));
    return MR_OK;
}
