/* segment.c -- the files blocks lie in (the picture and the invariants are in segment.h). */
#include "log/segment.h"

#include "base/assert.h"
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define READ_STEP_BYTES (256u * 1024)

/* ---- names ---- */

void mr_segment_name(uint64_t base_offset, const char *suffix, char *out)
{
    (void)snprintf(out, MR_SEGMENT_NAME_BYTES, "%020" PRIu64 ".%s", base_offset, suffix);
}

bool mr_segment_parse_name(const char *name, uint64_t *out_base_offset)
{
    uint64_t value = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' || value > (UINT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (uint64_t)(name[i] - '0');
    }
    *out_base_offset = value;
    return strcmp(name + 20, ".seg") == 0;
}

static void path_of(const char *folder, uint64_t base_offset, char *out)
{
    char name[MR_SEGMENT_NAME_BYTES];
    mr_segment_name(base_offset, "seg", name);
    (void)snprintf(out, MR_PATH_MAX, "%s/%s", folder, name);
}

/* ---- header ---- */

/* Of all bytes but the four it is stored in. */
static uint32_t header_crc(const uint8_t *bytes, size_t size)
{
    return mr_crc32c(mr_crc32c(0, bytes, 8), bytes + 12, size - 12);
}

static mr_status encode_header(const mr_segment *segment, int64_t created_us,
                               const mr_producers *producers, mr_bytes *out, mr_error *err)
{
    uint32_t bytes = (uint32_t)mr_block_pad(MR_SEGMENT_FIXED_BYTES +
                                            producers->count * MR_PRODUCER_STORED_BYTES);
    mr_bytes_append_u32(out, MR_SEGMENT_MAGIC);
    mr_bytes_append_u16(out, MR_SEGMENT_VERSION);
    mr_bytes_append_u16(out, MR_SEGMENT_FIXED_BYTES);
    mr_bytes_append_u32(out, 0); /* the checksum comes here */
    mr_bytes_append_u32(out, bytes);
    mr_bytes_append_u64(out, segment->salt);
    mr_bytes_append_u64(out, segment->base_offset);
    mr_bytes_append_u64(out, (uint64_t)created_us);
    mr_bytes_append_u32(out, (uint32_t)producers->count);
    mr_bytes_pad(out, MR_SEGMENT_FIXED_BYTES);
    mr_producers_encode(producers, out);
    mr_bytes_pad(out, MR_ALIGN);
    if (out->failed)
        return MR_OUT_OF_MEMORY(err);
    MR_ASSERT(out->size == bytes);
    uint32_t crc = header_crc(out->data, out->size);
    memcpy(out->data + 8, &crc, sizeof crc);
    return MR_OK;
}

/* The fixed part: what the whole header's size and checksum are. */
static mr_status read_fixed(const mr_segment *segment, const uint8_t *fixed, uint32_t *out_bytes,
                            uint32_t *out_crc, uint32_t *out_producers, mr_error *err)
{
    mr_reader in = mr_reader_of(fixed, MR_SEGMENT_FIXED_BYTES);
    uint32_t magic = mr_reader_u32(&in);
    (void)mr_reader_u32(&in); /* version and size: looked at when the checksum holds */
    *out_crc = mr_reader_u32(&in);
    *out_bytes = mr_reader_u32(&in);
    uint64_t salt = mr_reader_u64(&in), base_offset = mr_reader_u64(&in);
    (void)mr_reader_u64(&in);
    *out_producers = mr_reader_u32(&in);
    if (magic != MR_SEGMENT_MAGIC)
        return MR_FAIL(err, MR_CORRUPT, "no segment header (magic is %08x)", magic);
    if (salt != segment->salt || base_offset != segment->base_offset)
        return MR_FAIL(err, MR_CORRUPT, "the header is of segment %" PRIu64 " of another partition",
                       base_offset);
    if (*out_producers > MR_LOG_PRODUCERS_MAX ||
        *out_bytes != mr_block_pad(MR_SEGMENT_FIXED_BYTES +
                                   (size_t)*out_producers * MR_PRODUCER_STORED_BYTES))
        return MR_FAIL(err, MR_CORRUPT, "the header claims %u bytes and %u producers", *out_bytes,
                       *out_producers);
    return MR_OK;
}

static mr_status read_header(mr_segment *segment, mr_bytes *bytes, mr_error *err)
{
    uint8_t fixed[MR_SEGMENT_FIXED_BYTES];
    uint32_t size, crc, count;
    MR_TRY(mr_file_read_exact(segment->file, 0, fixed, sizeof fixed, err));
    MR_TRY(read_fixed(segment, fixed, &size, &crc, &count, err));
    if (!mr_bytes_reserve(bytes, size))
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_file_read_exact(segment->file, 0, bytes->data, size, err));
    if (crc != header_crc(bytes->data, size))
        return MR_FAIL(err, MR_CORRUPT, "segment header checksum differs");
    if (bytes->data[4] != MR_SEGMENT_VERSION || bytes->data[5] != 0)
        return MR_FAIL(err, MR_UNSUPPORTED, "a segment of version %u; this program reads %d",
                       bytes->data[4] | (unsigned)bytes->data[5] << 8, MR_SEGMENT_VERSION);
    mr_reader in =
        mr_reader_of(bytes->data + MR_SEGMENT_FIXED_BYTES, size - MR_SEGMENT_FIXED_BYTES);
    MR_TRY(mr_producers_decode(&in, count, &segment->producers, err));
    segment->first_position = size;
    return MR_OK;
}

/* ---- birth and death ---- */

static mr_segment *alloc_segment(uint64_t base_offset, uint64_t salt)
{
    mr_segment *segment = MR_NEW(mr_segment);
    if (segment == NULL)
        return NULL;
    atomic_init(&segment->owners, 1);
    segment->base_offset = base_offset;
    segment->salt = salt;
    return segment;
}

static mr_status write_header(mr_segment *segment, bool spare, int64_t created_us,
                              const mr_producers *producers, mr_error *err)
{
    mr_bytes bytes = {0};
    mr_status status = encode_header(segment, created_us, producers, &bytes, err);
    if (status == MR_OK && !spare)
        status = mr_file_truncate(segment->file, 0, err);
    if (status == MR_OK)
        status = mr_file_write(segment->file, 0, bytes.data, bytes.size, err);
    segment->first_position = bytes.size;
    mr_bytes_deinit(&bytes);
    return status == MR_OK ? mr_file_sync(segment->file, err) : status;
}

/* The spare gets its name only when its header is down, as a whole. */
static mr_status take_spare(mr_segment *segment, const char *spare, const char *path, mr_error *err)
{
    mr_fs *fs = segment->file->fs;
    mr_file_close(segment->file);
    segment->file = NULL;
    MR_TRY(mr_fs_rename(fs, spare, path, err));
    return mr_fs_open(fs, path, MR_OPEN_WRITE, &segment->file, err);
}

mr_status mr_segment_create(mr_fs *fs, const char *folder, const char *spare, uint64_t base_offset,
                            uint64_t salt, int64_t created_us, const mr_producers *producers,
                            mr_segment **out, mr_error *err)
{
    char path[MR_PATH_MAX];
    path_of(folder, base_offset, path);
    mr_segment *segment = alloc_segment(base_offset, salt);
    if (segment == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status =
        mr_fs_open(fs, spare != NULL ? spare : path, MR_OPEN_CREATE, &segment->file, err);
    if (status == MR_OK)
        status = write_header(segment, spare != NULL, created_us, producers, err);
    if (status == MR_OK && spare != NULL)
        status = take_spare(segment, spare, path, err);
    if (status == MR_OK)
        status = mr_fs_sync_dir(fs, folder, err);
    if (status != MR_OK) {
        mr_segment_release(segment);
        return status;
    }
    *out = segment;
    return MR_OK;
}

/* Without its header a segment's blocks are found by looking for the first one. */
static mr_status find_first_block(mr_segment *segment, mr_error *err)
{
    uint64_t size;
    MR_TRY(mr_file_size(segment->file, &size, err));
    mr_segment_walk walk;
    mr_block_header header;
    mr_segment_walk_init(&walk, segment, MR_ALIGN, size);
    mr_status status = mr_segment_walk_resync(&walk, MR_ALIGN, segment->base_offset, &header, err);
    segment->first_position = status == MR_OK ? walk.position : size;
    return status == MR_END ? MR_OK : status;
}

static mr_status read_or_search(mr_segment *segment, mr_error *err)
{
    mr_bytes bytes = {0};
    mr_error reason = {0};
    mr_status status = read_header(segment, &bytes, &reason);
    mr_bytes_deinit(&bytes);
    if (status == MR_OK)
        return MR_OK;
    if (status != MR_CORRUPT)
        return MR_FAIL(err, status, "%s", reason.text);
    segment->header_damaged = true;
    (void)snprintf(segment->header_reason, sizeof segment->header_reason, "%.159s", reason.text);
    return find_first_block(segment, err);
}

mr_status mr_segment_open(mr_fs *fs, const char *folder, uint64_t base_offset, uint64_t salt,
                          bool for_writing, mr_segment **out, mr_error *err)
{
    char path[MR_PATH_MAX];
    path_of(folder, base_offset, path);
    mr_segment *segment = alloc_segment(base_offset, salt);
    if (segment == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status =
        mr_fs_open(fs, path, for_writing ? MR_OPEN_WRITE : MR_OPEN_READ, &segment->file, err);
    if (status == MR_OK)
        status = read_or_search(segment, err);
    if (status != MR_OK) {
        mr_segment_release(segment);
        return status;
    }
    *out = segment;
    return MR_OK;
}

mr_segment *mr_segment_retain(mr_segment *segment)
{
    if (segment != NULL)
        atomic_fetch_add_explicit(&segment->owners, 1, memory_order_relaxed);
    return segment;
}

void mr_segment_release(mr_segment *segment)
{
    if (segment == NULL ||
        atomic_fetch_sub_explicit(&segment->owners, 1, memory_order_acq_rel) != 1)
        return;
    mr_file_close(segment->file);
    mr_producers_deinit(&segment->producers);
    mr_free(segment);
}

/* ---- walking ---- */

void mr_segment_walk_init(mr_segment_walk *walk, mr_segment *segment, uint64_t position,
                          uint64_t limit)
{
    walk->segment = segment;
    walk->position = position;
    walk->limit = limit;
    walk->cached_at = walk->cached_bytes = 0;
}

/* Lends 128 bytes at `position`. */
static mr_status load_header(mr_segment_walk *walk, uint64_t position, const uint8_t **out,
                             mr_error *err)
{
    bool cached = position >= walk->cached_at &&
                  position + MR_BLOCK_HEADER_BYTES <= walk->cached_at + walk->cached_bytes;
    if (!cached) {
        /* A jump beyond what was read ahead means large blocks: then reading ahead only costs. */
        bool jumped = walk->cached_bytes > 0 && position > walk->cached_at + walk->cached_bytes;
        size_t wanted = jumped ? MR_BLOCK_HEADER_BYTES : sizeof walk->cache;
        wanted = (size_t)MR_MIN(wanted, walk->limit - position);
        walk->cached_bytes = 0;
        MR_TRY(mr_file_read(walk->segment->file, position, walk->cache, wanted, &walk->cached_bytes,
                            err));
        walk->cached_at = position;
    }
    if (walk->cached_at + walk->cached_bytes < position + MR_BLOCK_HEADER_BYTES)
        return MR_FAIL(err, MR_CORRUPT, "the file ends inside a block header");
    *out = walk->cache + (position - walk->cached_at);
    return MR_OK;
}

static mr_status peek_at(mr_segment_walk *walk, uint64_t position, mr_block_header *out,
                         mr_error *err)
{
    if (walk->limit - position < MR_BLOCK_HEADER_BYTES)
        return MR_FAIL(err, MR_CORRUPT, "%" PRIu64 " bytes are no block", walk->limit - position);
    const uint8_t *bytes;
    MR_TRY(load_header(walk, position, &bytes, err));
    MR_TRY(mr_block_header_decode(bytes, walk->segment->salt, out, err));
    if (out->block_bytes > walk->limit - position)
        return MR_FAIL(err, MR_CORRUPT,
                       "a block at %" PRIu64 " claims %u bytes, %" PRIu64 " remain", position,
                       out->block_bytes, walk->limit - position);
    return MR_OK;
}

mr_status mr_segment_walk_peek(mr_segment_walk *walk, mr_block_header *out, mr_error *err)
{
    return walk->position >= walk->limit ? MR_END : peek_at(walk, walk->position, out, err);
}

/* Position of the first place in bytes [0, size) where a block's magic stands, at multiples of 64.
 */
static size_t find_magic(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + 4 <= size; at += MR_ALIGN) {
        uint32_t magic;
        memcpy(&magic, bytes + at, sizeof magic);
        if (magic == MR_BLOCK_MAGIC)
            return at;
    }
    return size;
}

/* The next place at or behind `from` with a block's magic, or the limit. */
static mr_status find_candidate(mr_segment_walk *walk, uint64_t from, uint8_t *buffer,
                                uint64_t *out, mr_error *err)
{
    while (from < walk->limit) {
        size_t size, wanted = (size_t)MR_MIN(READ_STEP_BYTES, walk->limit - from);
        MR_TRY(mr_file_read(walk->segment->file, from, buffer, wanted, &size, err));
        size_t at = find_magic(buffer, size);
        if (at < size) {
            *out = from + at;
            return MR_OK;
        }
        from = size < wanted ? walk->limit : from + size;
    }
    *out = walk->limit;
    return MR_OK;
}

static mr_status resync(mr_segment_walk *walk, uint64_t from, uint64_t offset_min, uint8_t *buffer,
                        mr_block_header *out, mr_error *err)
{
    for (uint64_t at = mr_block_pad(from); at < walk->limit; at += MR_ALIGN) {
        MR_TRY(find_candidate(walk, at, buffer, &at, err));
        if (at >= walk->limit)
            break;
        mr_error reason;
        mr_error_clear(&reason);
        mr_status status = peek_at(walk, at, out, &reason);
        if (status == MR_OK && out->base_offset >= offset_min) {
            walk->position = at;
            return MR_OK;
        }
        if (status == MR_IO || status == MR_NO_MEMORY)
            return MR_FAIL(err, status, "%s", reason.text);
    }
    return MR_END;
}

mr_status mr_segment_walk_resync(mr_segment_walk *walk, uint64_t from, uint64_t offset_min,
                                 mr_block_header *out, mr_error *err)
{
    uint8_t *buffer = mr_alloc(READ_STEP_BYTES);
    if (buffer == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = resync(walk, from, offset_min, buffer, out, err);
    mr_free(buffer);
    return status;
}

static mr_status check_body_with(mr_segment *segment, uint64_t position,
                                 const mr_block_header *header, uint8_t *buffer, mr_error *err)
{
    uint32_t crc = 0;
    uint64_t end = position + header->block_bytes;
    for (uint64_t at = position + MR_BLOCK_HEADER_BYTES; at < end;) {
        size_t step = (size_t)MR_MIN(READ_STEP_BYTES, end - at);
        MR_TRY(mr_file_read_exact(segment->file, at, buffer, step, err));
        crc = mr_crc32c(crc, buffer, step);
        at += step;
    }
    if (crc == header->body_crc)
        return MR_OK;
    return MR_FAIL(err, MR_CORRUPT, "block body checksum is %08x, stored is %08x", crc,
                   header->body_crc);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

mr_status mr_segment_is_zero(mr_segment *segment, uint64_t position, uint64_t limit, bool *out,
                             mr_error *err)
{
    mr_bytes bytes = {0};
    mr_status status = mr_bytes_reserve(&bytes, READ_STEP_BYTES) ? MR_OK : MR_OUT_OF_MEMORY(err);
    bool zero = true;
    while (status == MR_OK && zero && position < limit) {
        size_t size = (size_t)MR_MIN(limit - position, (uint64_t)READ_STEP_BYTES);
        status = mr_file_read_exact(segment->file, position, bytes.data, size, err);
        zero = status == MR_OK && is_zero(bytes.data, size);
        position += size;
    }
    mr_bytes_deinit(&bytes);
    *out = zero;
    return status;
}

mr_status mr_segment_check_body(mr_segment *segment, uint64_t position,
                                const mr_block_header *header, mr_error *err)
{
    uint8_t *buffer = mr_alloc(MR_MIN(READ_STEP_BYTES, header->block_bytes));
    if (buffer == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = check_body_with(segment, position, header, buffer, err);
    mr_free(buffer);
    return status;
}

mr_status mr_segment_extend_index(mr_segment *segment, uint64_t limit, mr_index *index,
                                  mr_error *err)
{
    mr_segment_walk walk;
    mr_segment_walk_init(&walk, segment, index->end_position, limit);
    for (;;) {
        mr_block_header header;
        mr_status status = mr_segment_walk_peek(&walk, &header, err);
        if (status == MR_CORRUPT || (status == MR_OK && header.base_offset < index->end_offset))
            status = mr_segment_walk_resync(&walk, walk.position + MR_ALIGN, index->end_offset,
                                            &header, err);
        if (status != MR_OK)
            return status == MR_END ? MR_OK : status;
        MR_TRY(mr_index_reserve(index, err));
        mr_index_add(index, walk.position, &header);
        walk.position += header.block_bytes;
    }
}
