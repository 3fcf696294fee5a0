/* log_reader.c -- reads one partition forward (the picture and the invariants are in log_reader_internal.h). */
#include "log/log_reader_internal.h"

#include <inttypes.h>

/* ---- place ---- */

static void leave_segment(mr_log_reader *reader)
{
    mr_log_reader_drop_chunk(reader);
    mr_segment_release(reader->segment);
    reader->segment = NULL;
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
    mr_segment *same = NULL;
    mr_status status = mr_partition_open_segment(reader->partition, reader->segment->base_offset,
                                                 &same, &reader->next_base, err);
    if (status == MR_NOT_FOUND) { /* retention took its name; what is open is read to its end */
        mr_error_clear(err);
        reader->next_base = MR_LOG_OFFSET_NONE;
        status = MR_OK;
    }
    mr_segment_release(same);
    MR_TRY(status);
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
    mr_log_reader_drop_rest(reader);
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

/* ---- next ---- */

bool mr_log_reader_at_end(const mr_log_reader *reader)
{
    if (reader->segment == NULL || reader->segment->base_offset != reader->view.segment_base)
        return reader->next_offset >= reader->view.offset && reader->segment == NULL;
    return reader->position >= reader->view.position;
}

/* Makes sure that a block stands at the position; MR_END when none may be read yet. */
static mr_status find_block(mr_log_reader *reader, mr_error *err)
{
    for (;;) {
        if (mr_log_reader_at_end(reader)) {
            MR_TRY(mr_partition_see(reader->partition, &reader->view, err));
            if (mr_log_reader_at_end(reader))
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
            return mr_log_reader_note_damage(reader, reader->next_base, 0, "the segment ends early",
                                             err);
        leave_segment(reader);
    }
}

mr_status mr_log_reader_next(mr_log_reader *reader, mr_log_block *out, mr_error *err)
{
    *out = (mr_log_block){0};
    if (reader->rest != NULL)
        return mr_log_reader_hand_out(reader, out, err);
    for (;;) {
        reader->damaged = false;
        MR_TRY(find_block(reader, err));
        MR_TRY(mr_log_reader_read_block(reader, out, err));
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
    mr_log_reader_drop_rest(reader);
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
