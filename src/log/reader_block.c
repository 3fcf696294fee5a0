/* reader_block.c -- one block out of a segment: into memory, checked, decoded, in the form asked for. */
#include "log/log_reader_internal.h"

#include "base/assert.h"

#include <inttypes.h>

#define READ_BYTES     (1u << 20)  /* read at once when little is left or copies are wanted */
#define MAP_FROM_BYTES (4u << 20)  /* less than this is read */
#define MAP_BYTES      (64u << 20) /* mapped at once */

/* ---- chunks ---- */

typedef struct map_owner {
    mr_fs *fs;
    mr_mapping mapping;
    mr_segment *segment;
} map_owner;

static void release_map(void *context)
{
    map_owner *owner = context;
    mr_fs_unmap(owner->fs, &owner->mapping);
    mr_segment_release(owner->segment);
    mr_free(owner);
}

static mr_status map_chunk(mr_log_reader *reader, size_t size, mr_error *err)
{
    map_owner *owner = MR_NEW(map_owner);
    if (owner == NULL)
        return MR_OUT_OF_MEMORY(err);
    owner->fs = reader->topic->log->fs;
    mr_status status =
        mr_file_map(reader->segment->file, reader->position, size, &owner->mapping, err);
    if (status != MR_OK) {
        mr_free(owner);
        return status;
    }
    owner->segment = mr_segment_retain(reader->segment);
    reader->chunk = mr_buffer_wrap(owner->mapping.bytes, size, release_map, owner);
    if (reader->chunk != NULL)
        return MR_OK;
    release_map(owner);
    return MR_OUT_OF_MEMORY(err);
}

static mr_status read_chunk(mr_log_reader *reader, size_t size, mr_error *err)
{
    mr_buffer *chunk = mr_buffer_create(size);
    if (chunk == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status =
        mr_file_read_exact(reader->segment->file, reader->position, chunk->bytes, size, err);
    if (status != MR_OK) {
        mr_buffer_release(chunk);
        return status;
    }
    reader->chunk = chunk;
    return MR_OK;
}

void mr_log_reader_drop_chunk(mr_log_reader *reader)
{
    mr_buffer_release(reader->chunk);
    reader->chunk = NULL;
}

/* Lends `size` bytes at the reader's position, which lie below the limit. */
static mr_status load(mr_log_reader *reader, size_t size, const uint8_t **out, mr_error *err)
{
    uint64_t at = reader->position;
    bool here = reader->chunk != NULL && reader->chunk_segment == reader->segment &&
                at >= reader->chunk_at && at + size <= reader->chunk_at + reader->chunk->size;
    if (!here) {
        uint64_t left = reader->limit - at;
        mr_log_reader_drop_chunk(reader);
        /* Blocks begin at multiples of 64, so what is in the chunk is aligned as it is in the file. */
        if (!reader->copy && left >= MAP_FROM_BYTES)
            MR_TRY(map_chunk(reader, (size_t)MR_MIN(left, MR_MAX(MAP_BYTES, size)), err));
        else
            MR_TRY(read_chunk(reader, (size_t)MR_MIN(left, MR_MAX(READ_BYTES, size)), err));
        reader->chunk_at = at;
        reader->chunk_segment = reader->segment;
    }
    *out = reader->chunk->bytes + (at - reader->chunk_at);
    return MR_OK;
}

/* ---- form ---- */

/* The form batches arrive in: the newest known version, unless the caller fixed one. */
static mr_status follow_schema(mr_log_reader *reader, mr_schema *written, mr_error *err)
{
    if (reader->schema_fixed || reader->schema == written ||
        mr_schema_equal(reader->schema, written) ||
        mr_schema_check_compatible(written, reader->schema, NULL) == MR_OK)
        return MR_OK;
    mr_schema *newest;
    MR_TRY(mr_topic_schema(reader->topic, &newest, NULL, err));
    mr_schema_release(reader->schema);
    reader->schema = newest;
    return MR_OK;
}

/* A batch without the columns that `to` does not have: for readers that ask for an older version. */
static mr_status narrow(const mr_batch *from, const mr_schema *to, mr_batch **out, mr_error *err)
{
    uint32_t count = 0, room = from->schema->field_count;
    mr_field *fields = mr_alloc_zero(room, sizeof *fields);
    mr_column *columns = mr_alloc_zero(room, sizeof *columns);
    mr_schema *schema = NULL;
    mr_status status = fields != NULL && columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < room; i++) {
        if (mr_schema_find(to, from->schema->fields[i].name) < 0)
            continue;
        fields[count] = from->schema->fields[i];
        columns[count++] = mr_column_retain(&from->columns[i]);
    }
    if (status == MR_OK)
        status = mr_schema_create(fields, count, &schema, err);
    if (status == MR_OK)
        status = mr_batch_create(schema, from->row_count, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < count; i++)
        mr_column_release(&columns[i]);
    mr_schema_release(schema);
    mr_free(columns);
    mr_free(fields);
    return status;
}

static mr_status adapt(mr_log_reader *reader, mr_batch **batch, mr_error *err)
{
    mr_schema *to = reader->schema;
    if (to == (*batch)->schema)
        return MR_OK;
    mr_batch *adapted, *narrowed = NULL;
    if (mr_schema_check_compatible((*batch)->schema, to, NULL) != MR_OK)
        MR_TRY(narrow(*batch, to, &narrowed, err));
    mr_status status = mr_batch_adapt(narrowed != NULL ? narrowed : *batch, to, &adapted, err);
    mr_batch_release(narrowed);
    if (status != MR_OK)
        return status;
    mr_batch_release(*batch);
    *batch = adapted;
    return MR_OK;
}

static mr_status decode_batch(mr_log_reader *reader, const mr_block_header *header,
                              const uint8_t *bytes, mr_batch **out, mr_error *err)
{
    mr_schema *written;
    int event_time_column;
    MR_TRY(mr_topic_schema_lookup(reader->topic, header->schema_id, &written, &event_time_column,
                                  err));
    mr_status status = follow_schema(reader, written, err);
    if (status == MR_OK)
        status = mr_block_decode(header, bytes, reader->chunk, written, out, err);
    mr_schema_release(written);
    if (status != MR_OK)
        return status;
    status = adapt(reader, out, err);
    if (status != MR_OK) {
        mr_batch_release(*out);
        *out = NULL;
    }
    return status;
}

static void describe(mr_log_reader *reader, const mr_block_header *header, const uint8_t *bytes,
                     mr_log_block *out)
{
    *out = (mr_log_block){.base_offset = header->base_offset,
                          .next_offset = header->base_offset + header->row_count,
                          .block_offset = header->base_offset,
                          .block_rows = header->row_count,
                          .schema_id = header->schema_id,
                          .producer_id = header->producer_id,
                          .producer_epoch = header->producer_epoch,
                          .sequence_first = header->sequence_first,
                          .sequence_next = header->sequence_next,
                          .append_us = header->append_us,
                          .has_event_time = header->has_event_time,
                          .event_min = header->event_min,
                          .event_max = header->event_max,
                          .annotation_bytes = header->annotation_bytes};
    if (header->annotation_bytes > 0) {
        out->annotation = bytes + MR_BLOCK_HEADER_BYTES;
        out->owner = mr_buffer_retain(reader->chunk);
    }
}

void mr_log_block_release(mr_log_block *block)
{
    mr_batch_release(block->batch);
    mr_buffer_release(block->owner);
    *block = (mr_log_block){0};
}

/* Lends the whole block at the position. MR_CORRUPT with a reason; *out_header_valid when its lengths are
 * to be believed. */
static mr_status load_block(mr_log_reader *reader, mr_block_header *header, const uint8_t **out,
                            bool *out_header_valid, mr_error *err)
{
    *out_header_valid = false;
    uint64_t left = reader->limit - reader->position;
    if (left < MR_BLOCK_HEADER_BYTES)
        return MR_FAIL(err, MR_CORRUPT, "%" PRIu64 " bytes are no block", left);
    MR_TRY(load(reader, MR_BLOCK_HEADER_BYTES, out, err));
    MR_TRY(mr_block_header_decode(*out, reader->segment->salt, header, err));
    if (header->block_bytes > left)
        return MR_FAIL(err, MR_CORRUPT, "a block claims %u bytes, %" PRIu64 " remain",
                       header->block_bytes, left);
    if (header->base_offset > reader->next_offset ||
        header->base_offset + header->row_count < reader->next_offset)
        return MR_FAIL(err, MR_CORRUPT, "a block of offsets [%" PRIu64 ", %" PRIu64 ") stands here",
                       header->base_offset, header->base_offset + header->row_count);
    *out_header_valid = true;
    MR_TRY(load(reader, header->block_bytes, out, err));
    return mr_block_check_body(header, *out + MR_BLOCK_HEADER_BYTES, err);
}

static mr_status meet_bad_block(mr_log_reader *reader, const mr_block_header *header,
                                bool header_valid, const char *reason, mr_error *err)
{
    if (header_valid)
        return mr_log_reader_note_damage(reader, header->base_offset + header->row_count,
                                         reader->position + header->block_bytes, reason, err);
    bool gap = reader->limit - reader->position >= MR_BLOCK_HEADER_BYTES;
    return mr_log_reader_note_damage_from(reader, reader->position + (gap ? 0 : MR_ALIGN), reason,
                                          err);
}

void mr_log_reader_drop_rest(mr_log_reader *reader)
{
    mr_batch_release(reader->rest);
    reader->rest = NULL;
    mr_log_block_release(&reader->rest_block);
}

/* The rows from next_offset on, at most rows_max of them. */
mr_status mr_log_reader_hand_out(mr_log_reader *reader, mr_log_block *out, mr_error *err)
{
    mr_batch *batch = reader->rest;
    uint32_t left = batch->row_count - reader->rest_row;
    uint32_t rows = reader->rows_max > 0 ? MR_MIN(left, reader->rows_max) : left;
    mr_status status = MR_OK;
    *out = reader->rest_block;
    out->batch = NULL;
    if (rows == batch->row_count)
        out->batch = mr_batch_retain(batch);
    else
        status = mr_batch_slice(batch, reader->rest_row, rows, &out->batch, err);
    if (status != MR_OK) {
        *out = (mr_log_block){0};
        return status;
    }
    out->owner = mr_buffer_retain(reader->rest_block.owner);
    out->base_offset = reader->rest_block.block_offset + reader->rest_row;
    out->next_offset = out->base_offset + rows;
    reader->rest_row += rows;
    reader->next_offset = out->next_offset;
    if (reader->rest_row == batch->row_count)
        mr_log_reader_drop_rest(reader);
    return MR_OK;
}

mr_status mr_log_reader_read_block(mr_log_reader *reader, mr_log_block *out, mr_error *err)
{
    mr_block_header header;
    const uint8_t *bytes;
    bool header_valid;
    mr_error reason = {0};
    mr_status status = load_block(reader, &header, &bytes, &header_valid, &reason);
    mr_batch *batch = NULL;
    if (status == MR_OK)
        status = decode_batch(reader, &header, bytes, &batch, &reason);
    if (status == MR_CORRUPT)
        return meet_bad_block(reader, &header, header_valid, reason.text, err);
    if (status != MR_OK)
        return MR_FAIL(err, status, "%s", reason.text);
    reader->rest = batch;
    reader->rest_row = (uint32_t)(reader->next_offset - header.base_offset);
    describe(reader, &header, bytes, &reader->rest_block);
    reader->position += header.block_bytes;
    reader->bytes += header.block_bytes;
    return mr_log_reader_hand_out(reader, out, err);
}
