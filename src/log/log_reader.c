/* log_reader.c -- reads one partition forward.
 *
 *   place = (segment, position, next offset)        the end = the partition's view (view.c)
 *   chunk = a stretch of the segment in memory: mapped when much is left, read when little is; blocks in it
 *           are decoded in place, and each batch keeps its chunk alive
 *
 * (1) Nothing at or behind the view is touched. (2) A block is decoded only after its checksums match.
 * (3) In front of damage the reader stays until it is told to skip. */
#include "log/partition.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define READ_BYTES     (1u << 20)  /* read at once when little is left or copies are wanted */
#define MAP_FROM_BYTES (4u << 20)  /* less than this is read */
#define MAP_BYTES      (64u << 20) /* mapped at once */
#define POLL_MIN_NS    50000       /* looking at another process's tail file */
#define POLL_MAX_NS    1000000

struct mr_log_reader {
    mr_topic *topic;
    mr_partition *partition;
    bool empty_blocks;
    bool copy;
    bool schema_fixed; /* asked for by the caller */
    uint32_t rows_max;
    mr_schema *schema; /* batches arrive in this form */

    mr_partition_view view; /* as last seen */
    uint64_t next_offset;
    mr_segment *segment; /* NULL: find it by next_offset */
    bool sealed;
    uint64_t next_base; /* of the segment after a sealed one */
    uint64_t limit;     /* blocks of the segment end here, as far as they may be read */
    uint64_t position;

    mr_buffer *chunk;
    uint64_t chunk_at;
    mr_segment *chunk_segment; /* the chunk is of this one (not retained: compared only) */

    mr_batch *rest; /* of a block that is handed out in slices */
    uint32_t rest_row;
    mr_log_block rest_block;

    bool damaged;
    mr_log_damage damage;
    uint64_t damage_position_end; /* 0: the segment's end */

    uint64_t bytes; /* passed so far */
};

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

static void drop_chunk(mr_log_reader *reader)
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
        drop_chunk(reader);
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

/* ---- place ---- */

static void leave_segment(mr_log_reader *reader)
{
    drop_chunk(reader);
    mr_segment_release(reader->segment);
    reader->segment = NULL;
}

static void drop_rest(mr_log_reader *reader)
{
    mr_batch_release(reader->rest);
    reader->rest = NULL;
    mr_log_block_release(&reader->rest_block);
}

/* How far the segment may be read under the present view. */
static mr_status update_limit(mr_log_reader *reader, mr_error *err)
{
    if (reader->sealed)
        return MR_OK;
    if (reader->view.segment_base == reader->segment->base_offset) {
        reader->limit = reader->view.position;
        return MR_OK;
    }
    /* The writer has gone on to another file, so this one is whole; what follows it is looked up. */
    mr_segment *same;
    MR_TRY(mr_partition_open_segment(reader->partition, reader->segment->base_offset, &same,
                                     &reader->next_base, err));
    mr_segment_release(same);
    MR_TRY(mr_file_size(reader->segment->file, &reader->limit, err));
    reader->sealed = true;
    return MR_OK;
}

/* Opens the segment of next_offset; the position is its first block. A segment the view does not know yet
 * is not entered: then the one the view ends in is, at whose end the reader waits. */
static mr_status enter_segment(mr_log_reader *reader, mr_error *err)
{
    uint64_t offset = reader->next_offset;
    do {
        leave_segment(reader);
        MR_TRY(mr_partition_open_segment(reader->partition, offset, &reader->segment,
                                         &reader->next_base, err));
        offset = reader->view.segment_base;
    } while (reader->segment->base_offset > reader->view.segment_base);
    reader->sealed = false;
    reader->position = reader->segment->first_position;
    return update_limit(reader, err);
}

/* Walks to the block that holds next_offset. In front of damage the position is the damage. */
static mr_status walk_to_offset(mr_log_reader *reader, mr_error *err)
{
    mr_index_entry entry;
    MR_TRY(mr_partition_find(reader->partition, reader->segment, reader->sealed, reader->limit,
                             false, reader->next_offset, 0, &entry, err));
    mr_segment_walk walk;
    mr_segment_walk_init(&walk, reader->segment, entry.position, reader->limit);
    for (uint64_t bad_at = 0;;) {
        mr_block_header header;
        uint64_t at = walk.position;
        mr_status status = mr_segment_walk_peek(&walk, &header, err);
        if (status == MR_CORRUPT) {
            bad_at = bad_at == 0 ? at : bad_at;
            status = mr_segment_walk_resync(&walk, at + MR_ALIGN, 0, &header, err);
        }
        if (status != MR_OK && status != MR_END)
            return status;
        bool beyond = status == MR_END || header.base_offset > reader->next_offset;
        bool inside = !beyond && (header.base_offset + header.row_count > reader->next_offset ||
                                  header.base_offset == reader->next_offset);
        if (beyond || inside) {
            reader->position = beyond && bad_at != 0 ? bad_at : walk.position;
            return MR_OK;
        }
        bad_at = 0;
        walk.position += header.block_bytes;
    }
}

static mr_status go_to_offset(mr_log_reader *reader, uint64_t offset, bool to_end, mr_error *err)
{
    if (offset > reader->view.offset) {
        mr_partition_place(reader->partition, offset, err);
        return MR_FAIL(err, MR_NOT_FOUND,
                       "offset %" PRIu64 " is not written yet; the end is %" PRIu64, offset,
                       reader->view.offset);
    }
    reader->next_offset = offset;
    MR_TRY(enter_segment(reader, err));
    if (to_end && offset == reader->view.offset) {
        reader->position = reader->limit;
        return MR_OK;
    }
    return walk_to_offset(reader, err);
}

mr_status mr_log_reader_seek(mr_log_reader *reader, mr_log_start start, mr_error *err)
{
    drop_rest(reader);
    leave_segment(reader);
    reader->damaged = false;
    MR_TRY(mr_partition_see(reader->partition, &reader->view, err));
    uint64_t offset = start.offset;
    if (start.kind == MR_LOG_START_FIRST)
        MR_TRY(mr_partition_first_offset(reader->partition, &offset, err));
    else if (start.kind == MR_LOG_START_END)
        offset = reader->view.offset;
    else if (start.kind == MR_LOG_START_EVENT_TIME)
        MR_TRY(mr_topic_offset_of_time(reader->topic, reader->partition->number, start.event_time,
                                       &offset, err));
    MR_TRY(mr_partition_see(reader->partition, &reader->view, err));
    mr_status status = go_to_offset(reader, offset, start.kind == MR_LOG_START_END, err);
    if (status != MR_OK)
        leave_segment(reader);
    reader->next_offset = offset;
    return status;
}

/* ---- damage ---- */

static mr_status report_damage(mr_log_reader *reader, uint64_t end_offset, uint64_t end_position,
                               const char *reason, mr_error *err)
{
    uint64_t end_of_bytes = end_position != 0 ? end_position : reader->limit;
    reader->damaged = true;
    reader->damage_position_end = end_position;
    reader->damage = (mr_log_damage){.partition = reader->partition->number,
                                     .first_offset = reader->next_offset,
                                     .end_offset = MR_MAX(end_offset, reader->next_offset),
                                     .segment_base = reader->segment->base_offset,
                                     .position = reader->position,
                                     .bytes = end_of_bytes - reader->position};
    (void)snprintf(reader->damage.reason, sizeof reader->damage.reason, "%.159s", reason);
    mr_partition_place(reader->partition, reader->next_offset, err);
    return MR_FAIL(err, MR_CORRUPT,
                   "records [%" PRIu64 ", %" PRIu64 ") cannot be read: %s (segment %020" PRIu64
                   " at byte %" PRIu64 ", %" PRIu64 " bytes)",
                   reader->damage.first_offset, reader->damage.end_offset, reason,
                   reader->damage.segment_base, reader->damage.position, reader->damage.bytes);
}

/* Where the next good block stands, or the end of what this segment should hold. */
static mr_status report_damage_until_next(mr_log_reader *reader, uint64_t from, const char *reason,
                                          mr_error *err)
{
    mr_segment_walk walk;
    mr_block_header next;
    mr_segment_walk_init(&walk, reader->segment, reader->position, reader->limit);
    mr_status status = mr_segment_walk_resync(&walk, from, reader->next_offset, &next, err);
    if (status == MR_OK)
        return report_damage(reader, next.base_offset, walk.position, reason, err);
    if (status != MR_END)
        return status;
    uint64_t end = reader->sealed ? reader->next_base : reader->view.offset;
    return report_damage(reader, end != MR_LOG_OFFSET_NONE ? end : reader->view.offset, 0, reason,
                         err);
}

bool mr_log_reader_damage(const mr_log_reader *reader, mr_log_damage *out)
{
    if (reader->damaged)
        *out = reader->damage;
    return reader->damaged;
}

mr_status mr_log_reader_skip_damage(mr_log_reader *reader, mr_error *err)
{
    if (!reader->damaged)
        return MR_FAIL(err, MR_INVALID, "there is no damage to skip");
    reader->damaged = false;
    reader->bytes += reader->damage.bytes;
    reader->next_offset = reader->damage.end_offset;
    reader->position =
        reader->damage_position_end != 0 ? reader->damage_position_end : reader->limit;
    return MR_OK;
}

/* ---- one block ---- */

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
        return report_damage(reader, header->base_offset + header->row_count,
                             reader->position + header->block_bytes, reason, err);
    bool gap = reader->limit - reader->position >= MR_BLOCK_HEADER_BYTES;
    return report_damage_until_next(reader, reader->position + (gap ? 0 : MR_ALIGN), reason, err);
}

/* The rows from next_offset on, at most rows_max of them. */
static mr_status hand_out(mr_log_reader *reader, mr_log_block *out, mr_error *err)
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
        drop_rest(reader);
    return MR_OK;
}

static mr_status read_block(mr_log_reader *reader, mr_log_block *out, mr_error *err)
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
    return hand_out(reader, out, err);
}

/* ---- next ---- */

static bool at_end(const mr_log_reader *reader)
{
    if (reader->segment == NULL || reader->segment->base_offset != reader->view.segment_base)
        return reader->next_offset >= reader->view.offset && reader->segment == NULL;
    return reader->position >= reader->view.position;
}

/* Makes sure that a block stands at the position; MR_END when none may be read yet. */
static mr_status find_block(mr_log_reader *reader, mr_error *err)
{
    for (;;) {
        if (at_end(reader)) {
            MR_TRY(mr_partition_see(reader->partition, &reader->view, err));
            if (at_end(reader))
                return MR_END;
        }
        if (reader->segment == NULL)
            MR_TRY(enter_segment(reader, err));
        MR_TRY(update_limit(reader, err));
        if (reader->position < reader->limit)
            return MR_OK;
        if (!reader->sealed)
            continue; /* the view moved between two looks */
        if (reader->next_base != MR_LOG_OFFSET_NONE && reader->next_offset < reader->next_base)
            return report_damage(reader, reader->next_base, 0, "the segment ends early", err);
        leave_segment(reader);
    }
}

mr_status mr_log_reader_next(mr_log_reader *reader, mr_log_block *out, mr_error *err)
{
    *out = (mr_log_block){0};
    if (reader->rest != NULL)
        return hand_out(reader, out, err);
    for (;;) {
        reader->damaged = false;
        MR_TRY(find_block(reader, err));
        MR_TRY(read_block(reader, out, err));
        if (out->batch->row_count > 0 || (reader->empty_blocks && out->block_rows == 0))
            return MR_OK;
        mr_log_block_release(out);
    }
}

/* ---- birth, death, questions ---- */

static mr_status init_reader(mr_log_reader *reader, const mr_log_reader_options *options,
                             mr_error *err)
{
    if (options == NULL || options->schema == NULL)
        MR_TRY(mr_topic_schema(reader->topic, &reader->schema, NULL, err));
    if (options == NULL)
        return MR_OK;
    reader->schema_fixed = options->schema != NULL;
    if (reader->schema_fixed)
        reader->schema = mr_schema_retain(options->schema);
    reader->rows_max = options->rows_max;
    reader->empty_blocks = options->empty_blocks;
    reader->copy = options->copy;
    return MR_OK;
}

mr_status mr_log_reader_open(mr_topic *topic, uint32_t partition, mr_log_start start,
                             const mr_log_reader_options *options, mr_log_reader **out,
                             mr_error *err)
{
    *out = NULL;
    mr_partition *of = mr_topic_partition(topic, partition, err);
    if (of == NULL)
        return MR_INVALID;
    mr_log_reader *reader = MR_NEW(mr_log_reader);
    if (reader == NULL)
        return MR_OUT_OF_MEMORY(err);
    reader->topic = topic;
    reader->partition = of;
    mr_topic_share(topic);
    mr_status status = init_reader(reader, options, err);
    if (status == MR_OK)
        status = mr_log_reader_seek(reader, start, err);
    if (status != MR_OK) {
        mr_log_reader_close(reader);
        return status;
    }
    *out = reader;
    return MR_OK;
}

void mr_log_reader_close(mr_log_reader *reader)
{
    if (reader == NULL)
        return;
    drop_rest(reader);
    leave_segment(reader);
    mr_schema_release(reader->schema);
    mr_topic_close(reader->topic);
    mr_free(reader);
}

uint64_t mr_log_reader_offset(const mr_log_reader *reader)
{
    return reader->next_offset;
}

uint64_t mr_log_reader_bytes(const mr_log_reader *reader)
{
    return reader->bytes;
}

uint64_t mr_log_reader_end(mr_log_reader *reader)
{
    mr_partition_view view;
    return mr_partition_see(reader->partition, &view, NULL) == MR_OK ? view.offset
                                                                     : reader->view.offset;
}

/* ---- waiting ---- */

/* Errors count as "something": the caller's next read returns them. *out_remote: some writer is elsewhere. */
static bool any_ready(mr_log_reader *const *readers, size_t count, bool *out_remote)
{
    *out_remote = false;
    for (size_t i = 0; i < count; i++) {
        mr_log_reader *reader = readers[i];
        if (reader->rest != NULL || reader->damaged || !at_end(reader))
            return true;
        mr_partition_view view;
        if (mr_partition_see(reader->partition, &view, NULL) != MR_OK ||
            view.segment_base != reader->view.segment_base ||
            view.position != reader->view.position)
            return true;
        mr_mutex_lock(&reader->partition->lock);
        *out_remote |= !reader->partition->writing;
        mr_mutex_unlock(&reader->partition->lock);
    }
    return false;
}

/* Sleeps until something is published here, or `ns` passed. */
static void sleep_until_published(mr_log *log, uint64_t seen, int64_t ns)
{
    mr_mutex_lock(&log->wait_lock);
    atomic_fetch_add(&log->waiter_count, 1);
    if (atomic_load(&log->publish_count) == seen)
        (void)mr_condition_wait_for(&log->published, &log->wait_lock, ns);
    atomic_fetch_sub(&log->waiter_count, 1);
    mr_mutex_unlock(&log->wait_lock);
}

mr_status mr_log_reader_wait(mr_log_reader *const *readers, size_t count, int64_t timeout_ns,
                             mr_error *err)
{
    if (count == 0)
        return MR_FAIL(err, MR_INVALID, "there is no reader to wait for");
    mr_log *log = readers[0]->topic->log;
    int64_t deadline = log->clock->mono_ns(log->clock) + MR_MIN(timeout_ns, INT64_MAX / 4);
    for (int64_t poll_ns = POLL_MIN_NS;; poll_ns = MR_MIN(poll_ns * 2, POLL_MAX_NS)) {
        bool remote;
        uint64_t seen = atomic_load(&log->publish_count);
        if (any_ready(readers, count, &remote))
            return MR_OK;
        int64_t left = deadline - log->clock->mono_ns(log->clock);
        if (left <= 0)
            return MR_END;
        if (log->clock == mr_clock_real())
            sleep_until_published(log, seen, remote ? MR_MIN(left, poll_ns) : left);
        else
            log->clock->sleep_ns(log->clock, left);
    }
}
