/* block.c -- a batch to bytes and back (the picture and the invariants are in block.h). */
#include "log/block.h"

#include "base/assert.h"
#include "base/hash.h"

#include <lz4.h>
#include <lz4hc.h>
#include <string.h>
#include <zstd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "columns are stored as they lie in memory");

#define DIRECTORY_ENTRY_BYTES 8
#define FLAG_EVENT_TIME       1u
#define ZSTD_LEVEL_DEFAULT    1

/* ---- header ---- */

static void put(uint8_t *out, size_t at, uint64_t value, size_t bytes)
{
    memcpy(out + at, &value, bytes);
}

/* Of all bytes but the four it is stored in. */
static uint32_t header_crc(const uint8_t *bytes)
{
    return mr_crc32c(mr_crc32c(0, bytes, 8), bytes + 12, MR_BLOCK_HEADER_BYTES - 12);
}

void mr_block_header_encode(const mr_block_header *header, uint8_t *out)
{
    memset(out, 0, MR_BLOCK_HEADER_BYTES);
    put(out, 0, MR_BLOCK_MAGIC, 4);
    put(out, 4, MR_BLOCK_VERSION, 2);
    put(out, 6, MR_BLOCK_HEADER_BYTES, 2);
    put(out, 12, header->body_crc, 4);
    put(out, 16, header->block_bytes, 4);
    put(out, 20, header->plain_bytes, 4);
    put(out, 24, header->stored_bytes, 4);
    put(out, 28, header->annotation_bytes, 4);
    put(out, 32, header->row_count, 4);
    put(out, 36, header->schema_id, 4);
    put(out, 40, header->base_offset, 8);
    put(out, 48, (uint64_t)header->event_min, 8);
    put(out, 56, (uint64_t)header->event_max, 8);
    put(out, 64, (uint64_t)header->append_us, 8);
    put(out, 72, header->producer_id, 8);
    put(out, 80, header->sequence_first, 8);
    put(out, 88, header->sequence_next, 8);
    put(out, 96, header->durable_offset, 8);
    put(out, 104, header->salt, 8);
    put(out, 112, header->producer_epoch, 4);
    put(out, 116, header->codec, 1);
    put(out, 117, header->has_event_time ? FLAG_EVENT_TIME : 0, 1);
    put(out, 8, header_crc(out), 4);
}

static mr_status check_lengths(const mr_block_header *header, mr_error *err)
{
    uint64_t wanted = (uint64_t)mr_block_columns_at(header) + mr_block_pad(header->stored_bytes);
    if (header->annotation_bytes > MR_LOG_ANNOTATION_MAX || header->block_bytes != wanted ||
        header->block_bytes > MR_LOG_BLOCK_BYTES_MAX ||
        header->plain_bytes > MR_LOG_BLOCK_BYTES_MAX)
        return MR_FAIL(
            err, MR_CORRUPT,
            "a block claims %u bytes, of them annotation %u and columns %u (%u unpacked)",
            header->block_bytes, header->annotation_bytes, header->stored_bytes,
            header->plain_bytes);
    if (header->codec >= MR_LOG_CODEC_COUNT)
        return MR_FAIL(err, MR_UNSUPPORTED, "a block uses codec %u; codecs up to %d are known",
                       header->codec, MR_LOG_CODEC_COUNT - 1);
    if (header->codec == MR_LOG_CODEC_NONE && header->plain_bytes != header->stored_bytes)
        return MR_FAIL(err, MR_CORRUPT, "a plain block claims %u bytes of columns and %u unpacked",
                       header->stored_bytes, header->plain_bytes);
    if (header->row_count > MR_BATCH_ROWS_MAX || header->base_offset > INT64_MAX)
        return MR_FAIL(err, MR_CORRUPT, "a block claims %u rows from offset %llu",
                       header->row_count, (unsigned long long)header->base_offset);
    return MR_OK;
}

static void read_fields(mr_reader *in, mr_block_header *out)
{
    out->body_crc = mr_reader_u32(in);
    out->block_bytes = mr_reader_u32(in);
    out->plain_bytes = mr_reader_u32(in);
    out->stored_bytes = mr_reader_u32(in);
    out->annotation_bytes = mr_reader_u32(in);
    out->row_count = mr_reader_u32(in);
    out->schema_id = mr_reader_u32(in);
    out->base_offset = mr_reader_u64(in);
    out->event_min = (int64_t)mr_reader_u64(in);
    out->event_max = (int64_t)mr_reader_u64(in);
    out->append_us = (int64_t)mr_reader_u64(in);
    out->producer_id = mr_reader_u64(in);
    out->sequence_first = mr_reader_u64(in);
    out->sequence_next = mr_reader_u64(in);
    out->durable_offset = mr_reader_u64(in);
    out->salt = mr_reader_u64(in);
    out->producer_epoch = mr_reader_u32(in);
    out->codec = mr_reader_u8(in);
    out->has_event_time = (mr_reader_u8(in) & FLAG_EVENT_TIME) != 0;
}

mr_status mr_block_header_decode(const uint8_t *bytes, uint64_t salt, mr_block_header *out,
                                 mr_error *err)
{
    mr_reader in = mr_reader_of(bytes, MR_BLOCK_HEADER_BYTES);
    uint32_t magic = mr_reader_u32(&in), version = mr_reader_u16(&in), size = mr_reader_u16(&in);
    if (magic != MR_BLOCK_MAGIC)
        return MR_FAIL(err, MR_CORRUPT, "no block starts here (magic is %08x)", magic);
    uint32_t crc = mr_reader_u32(&in);
    uint32_t found = header_crc(bytes);
    if (crc != found)
        return MR_FAIL(err, MR_CORRUPT, "block header checksum is %08x, stored is %08x", found,
                       crc);
    if (version != MR_BLOCK_VERSION || size != MR_BLOCK_HEADER_BYTES)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "a block of version %u (header %u bytes); this program reads %d", version,
                       size, MR_BLOCK_VERSION);
    read_fields(&in, out);
    if (out->salt != salt)
        return MR_FAIL(err, MR_CORRUPT, "a block of another partition (salt %016llx, not %016llx)",
                       (unsigned long long)out->salt, (unsigned long long)salt);
    return check_lengths(out, err);
}

/* ---- writing ---- */

static void append_bits(mr_bytes *out, const uint8_t *bits, size_t rows)
{
    size_t bytes = mr_bitmap_bytes(rows);
    mr_bytes_append(out, bits, bytes);
    if (rows % 8 != 0 && !out->failed)
        out->data[out->size - 1] &= (uint8_t)((1u << (rows % 8)) - 1);
}

static size_t values_bytes(const mr_column *column, size_t rows)
{
    if (column->type.id == MR_BOOL)
        return mr_bitmap_bytes(rows);
    if (column->offsets != NULL) /* text */
        return (size_t)(column->offsets[rows] - column->offsets[0]);
    return mr_type_bytes(column->type) * rows;
}

/* Stored offsets start at 0, whatever slice they came from. */
static void append_offsets(mr_bytes *out, const mr_column *column, size_t rows)
{
    int32_t start = column->offsets[0];
    size_t at = out->size, bytes = (rows + 1) * sizeof start;
    mr_bytes_append(out, column->offsets, bytes);
    if (start == 0 || out->failed)
        return;
    for (size_t i = 0; i <= rows; i++) {
        int32_t offset = column->offsets[i] - start;
        memcpy(out->data + at + i * sizeof offset, &offset, sizeof offset);
    }
}

static void append_column(mr_bytes *out, const mr_column *column, size_t rows)
{
    if (column->null_count > 0) {
        append_bits(out, column->validity, rows);
        mr_bytes_pad(out, MR_ALIGN);
    }
    const uint8_t *values = column->values;
    if (mr_type_is_text(column->type.id)) {
        append_offsets(out, column, rows);
        mr_bytes_pad(out, MR_ALIGN);
        values = values != NULL ? values + column->offsets[0] : NULL;
    }
    size_t bytes = values_bytes(column, rows);
    if (column->type.id == MR_BOOL)
        append_bits(out, values, rows);
    else if (bytes > 0)
        mr_bytes_append(out, values, bytes);
    mr_bytes_pad(out, MR_ALIGN);
}

static size_t plain_size(const mr_batch *batch)
{
    size_t rows = batch->row_count, total;
    total = mr_block_pad((size_t)batch->schema->field_count * DIRECTORY_ENTRY_BYTES);
    for (uint32_t i = 0; i < batch->schema->field_count; i++) {
        const mr_column *column = &batch->columns[i];
        total += column->null_count > 0 ? mr_block_pad(mr_bitmap_bytes(rows)) : 0;
        total += mr_type_is_text(column->type.id) ? mr_block_pad((rows + 1) * sizeof(int32_t)) : 0;
        total += mr_block_pad(values_bytes(column, rows));
    }
    return total;
}

/* Padding counts from the start of `out`, which is why it must be a multiple of 64 here. */
static void append_plain(mr_bytes *out, const mr_batch *batch)
{
    MR_ASSERT(out->size % MR_ALIGN == 0);
    for (uint32_t i = 0; i < batch->schema->field_count; i++) {
        mr_bytes_append_u32(out, batch->columns[i].null_count);
        mr_bytes_append_u32(out, (uint32_t)values_bytes(&batch->columns[i], batch->row_count));
    }
    mr_bytes_pad(out, MR_ALIGN);
    for (uint32_t i = 0; i < batch->schema->field_count; i++)
        append_column(out, &batch->columns[i], batch->row_count);
}

static size_t compress_lz4(const mr_bytes *from, uint8_t *to, size_t room, int32_t level)
{
    const char *source = (const char *)from->data;
    int size = level > 1 ? LZ4_compress_HC(source, (char *)to, (int)from->size, (int)room, level)
                         : LZ4_compress_default(source, (char *)to, (int)from->size, (int)room);
    return size > 0 ? (size_t)size : 0;
}

/* Bytes written, 0 when compression failed or does not pay: then the block is stored plain. */
static size_t compress(const mr_bytes *from, uint8_t *to, size_t room,
                       const mr_block_options *options)
{
    if (options->codec == MR_LOG_CODEC_LZ4)
        return compress_lz4(from, to, room, options->codec_level);
    int level = options->codec_level != 0 ? options->codec_level : ZSTD_LEVEL_DEFAULT;
    size_t size = ZSTD_compress(to, room, from->data, from->size, level);
    return ZSTD_isError(size) ? 0 : size;
}

static mr_status append_compressed(mr_bytes *out, mr_bytes *scratch,
                                   const mr_block_options *options, mr_block_header *header,
                                   mr_error *err)
{
    /* Room for one byte less than plain: what does not fit is not worth it. */
    size_t room = scratch->size > 0 ? scratch->size - 1 : 0;
    if (!mr_bytes_reserve(out, scratch->size))
        return MR_OUT_OF_MEMORY(err);
    size_t size = compress(scratch, out->data + out->size, room, options);
    if (size > 0) {
        out->size += size;
        header->codec = (uint8_t)options->codec;
        header->stored_bytes = (uint32_t)size;
    } else {
        mr_bytes_append(out, scratch->data, scratch->size);
    }
    return MR_OK;
}

static mr_status append_columns(const mr_batch *batch, const mr_block_options *options,
                                mr_bytes *out, mr_bytes *scratch, mr_block_header *header,
                                mr_error *err)
{
    size_t bytes = plain_size(batch);
    if (bytes > MR_LOG_BLOCK_BYTES_MAX - 2 * MR_LOG_ANNOTATION_MAX)
        return MR_FAIL(err, MR_FULL,
                       "a batch of %zu bytes; %u is the limit of one append, split it", bytes,
                       MR_LOG_BLOCK_BYTES_MAX - 2 * MR_LOG_ANNOTATION_MAX);
    header->plain_bytes = header->stored_bytes = (uint32_t)bytes;
    mr_bytes *plain = options->codec == MR_LOG_CODEC_NONE ? out : scratch;
    mr_bytes_clear(scratch);
    if (!mr_bytes_reserve(plain, bytes))
        return MR_OUT_OF_MEMORY(err);
    append_plain(plain, batch);
    return plain == out ? MR_OK : append_compressed(out, scratch, options, header, err);
}

static void note_event_times(const mr_column *column, size_t rows, mr_block_header *header)
{
    const int64_t *times = column->values;
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (size_t row = 0; row < rows; row++) {
        if (mr_column_is_null(column, row))
            continue;
        low = MR_MIN(low, times[row]);
        high = MR_MAX(high, times[row]);
    }
    header->has_event_time = low <= high;
    header->event_min = header->has_event_time ? low : 0;
    header->event_max = header->has_event_time ? high : 0;
}

mr_status mr_block_encode(const mr_append *what, const mr_block_options *options, mr_bytes *out,
                          mr_bytes *scratch, mr_block_header *header, mr_error *err)
{
    const mr_batch *batch = what->batch;
    *header = (mr_block_header){.annotation_bytes = (uint32_t)what->annotation_bytes,
                                .row_count = batch->row_count,
                                .schema_id = options->schema_id,
                                .producer_id = what->producer_id,
                                .producer_epoch = what->producer_epoch,
                                .sequence_first = what->sequence_first,
                                .sequence_next = what->sequence_next};
    mr_bytes_clear(out);
    if (!mr_bytes_reserve(out, MR_BLOCK_HEADER_BYTES + what->annotation_bytes + 2 * MR_ALIGN))
        return MR_OUT_OF_MEMORY(err);
    memset(out->data, 0, MR_BLOCK_HEADER_BYTES);
    out->size = MR_BLOCK_HEADER_BYTES;
    if (what->annotation_bytes > 0)
        mr_bytes_append(out, what->annotation, what->annotation_bytes);
    mr_bytes_pad(out, MR_ALIGN);
    if (batch->row_count > 0)
        MR_TRY(append_columns(batch, options, out, scratch, header, err));
    mr_bytes_pad(out, MR_ALIGN);
    if (out->failed)
        return MR_OUT_OF_MEMORY(err);
    if (options->event_time_column >= 0)
        note_event_times(&batch->columns[options->event_time_column], batch->row_count, header);
    header->block_bytes = (uint32_t)out->size;
    header->body_crc =
        mr_crc32c(0, out->data + MR_BLOCK_HEADER_BYTES, out->size - MR_BLOCK_HEADER_BYTES);
    return MR_OK;
}

/* ---- reading ---- */

mr_status mr_block_check_body(const mr_block_header *header, const uint8_t *body, mr_error *err)
{
    uint32_t crc = mr_crc32c(0, body, header->block_bytes - MR_BLOCK_HEADER_BYTES);
    if (crc == header->body_crc)
        return MR_OK;
    return MR_FAIL(err, MR_CORRUPT, "block body checksum is %08x, stored is %08x", crc,
                   header->body_crc);
}

/* Lends `bytes` of the input and skips their padding; NULL when fewer remain. */
static const uint8_t *take(mr_reader *in, size_t bytes)
{
    const uint8_t *at = mr_reader_bytes(in, bytes);
    (void)mr_reader_bytes(in, mr_block_pad(bytes) - bytes);
    return in->failed ? NULL : at;
}

static mr_status check_values_bytes(mr_type type, const int32_t *offsets, size_t rows,
                                    uint32_t bytes, mr_error *err)
{
    mr_column column = {.type = type, .offsets = offsets};
    if (offsets != NULL && (offsets[0] != 0 || offsets[rows] < 0))
        return MR_FAIL(err, MR_CORRUPT, "text offsets run from %d to %d", offsets[0],
                       offsets[rows]);
    if (values_bytes(&column, rows) != bytes)
        return MR_FAIL(err, MR_CORRUPT, "a column claims %u bytes of values and needs %zu", bytes,
                       values_bytes(&column, rows));
    return MR_OK;
}

static mr_status decode_column(mr_reader *in, mr_type type, size_t rows, const uint8_t *entry,
                               mr_buffer *owner, mr_column *out, mr_error *err)
{
    uint32_t null_count, bytes;
    memcpy(&null_count, entry, 4);
    memcpy(&bytes, entry + 4, 4);
    *out = (mr_column){.type = type, .null_count = null_count};
    if (null_count > 0)
        out->validity = take(in, mr_bitmap_bytes(rows));
    if (mr_type_is_text(type.id))
        out->offsets = (const int32_t *)(const void *)take(in, (rows + 1) * sizeof(int32_t));
    if (in->failed || (mr_type_is_text(type.id) && out->offsets == NULL))
        return MR_FAIL(err, MR_CORRUPT, "the columns of %zu rows end early", rows);
    MR_TRY(check_values_bytes(type, out->offsets, rows, bytes, err));
    out->values = take(in, bytes);
    if (in->failed)
        return MR_FAIL(err, MR_CORRUPT, "the columns of %zu rows end early", rows);
    MR_TRY(mr_column_check(out, rows, err));
    out->owners[0] = out->validity != NULL ? mr_buffer_retain(owner) : NULL;
    out->owners[1] = mr_buffer_retain(owner);
    out->owners[2] = out->offsets != NULL ? mr_buffer_retain(owner) : NULL;
    return MR_OK;
}

static mr_status decode_plain(const uint8_t *bytes, size_t size, uint32_t rows, mr_buffer *owner,
                              mr_schema *schema, mr_batch **out, mr_error *err)
{
    mr_reader in = mr_reader_of(bytes, size);
    uint32_t count = schema->field_count;
    const uint8_t *directory = take(&in, (size_t)count * DIRECTORY_ENTRY_BYTES);
    if (directory == NULL)
        return MR_FAIL(err, MR_CORRUPT, "%zu bytes hold no directory of %u columns", size, count);
    mr_column *columns = mr_alloc_zero(count, sizeof *columns);
    mr_status status = columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < count; i++) {
        status = decode_column(&in, schema->fields[i].type, rows,
                               directory + i * DIRECTORY_ENTRY_BYTES, owner, &columns[i], err);
        if (status != MR_OK)
            mr_error_prefix(err, "column %s", schema->fields[i].name);
    }
    if (status == MR_OK && mr_reader_left(&in) > 0)
        status = MR_FAIL(err, MR_CORRUPT, "%zu bytes follow the last column", mr_reader_left(&in));
    if (status == MR_OK)
        status = mr_batch_create(schema, rows, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    return status;
}

static mr_status unpack(const mr_block_header *header, const uint8_t *from, mr_buffer **out,
                        mr_error *err)
{
    /* A claim beyond what the codec can reach is refused before memory is asked for (lz4: 255 to
     * 1). */
    if (header->codec == MR_LOG_CODEC_LZ4 && header->plain_bytes / 256 > header->stored_bytes)
        return MR_FAIL(err, MR_CORRUPT, "lz4 cannot make %u bytes of %u", header->plain_bytes,
                       header->stored_bytes);
    if (header->codec == MR_LOG_CODEC_ZSTD &&
        ZSTD_getFrameContentSize(from, header->stored_bytes) != header->plain_bytes)
        return MR_FAIL(err, MR_CORRUPT, "the zstd frame does not hold %u bytes",
                       header->plain_bytes);
    mr_buffer *plain = mr_buffer_create(header->plain_bytes);
    if (plain == NULL)
        return MR_OUT_OF_MEMORY(err);
    size_t size;
    if (header->codec == MR_LOG_CODEC_LZ4) {
        int made = LZ4_decompress_safe((const char *)from, (char *)plain->bytes,
                                       (int)header->stored_bytes, (int)header->plain_bytes);
        size = made >= 0 ? (size_t)made : SIZE_MAX;
    } else {
        size = ZSTD_decompress(plain->bytes, plain->size, from, header->stored_bytes);
    }
    if (size != header->plain_bytes) {
        mr_buffer_release(plain);
        return MR_FAIL(err, MR_CORRUPT, "%u compressed bytes do not unpack to %u",
                       header->stored_bytes, header->plain_bytes);
    }
    *out = plain;
    return MR_OK;
}

static mr_status empty_batch(mr_schema *schema, mr_batch **out, mr_error *err)
{
    mr_builder builder = {0};
    MR_TRY(mr_builder_init(&builder, schema, err));
    mr_status status = mr_builder_finish(&builder, out, err);
    mr_builder_deinit(&builder);
    return status;
}

mr_status mr_block_decode(const mr_block_header *header, const uint8_t *bytes, mr_buffer *owner,
                          mr_schema *schema, mr_batch **out, mr_error *err)
{
    *out = NULL;
    if (header->row_count == 0)
        return header->plain_bytes == 0
                   ? empty_batch(schema, out, err)
                   : MR_FAIL(err, MR_CORRUPT, "a block of no rows has columns");
    const uint8_t *columns = bytes + mr_block_columns_at(header);
    if (header->codec == MR_LOG_CODEC_NONE)
        return decode_plain(columns, header->plain_bytes, header->row_count, owner, schema, out,
                            err);
    mr_buffer *plain = NULL;
    MR_TRY(unpack(header, columns, &plain, err));
    mr_status status =
        decode_plain(plain->bytes, plain->size, header->row_count, plain, schema, out, err);
    mr_buffer_release(plain);
    return status;
}
