/* stream.c -- a system topic of records: created when missing, read to its end. */
#include "registry/registry_internal.h"

#include "base/assert.h"

#include <string.h>

#define SEGMENT_BYTES (UINT64_C(16) << 20)

static mr_status create(mr_log *changes, const registry_stream *stream, mr_error *err)
{
    mr_topic_options options = {.event_time = "at", .segment_bytes = SEGMENT_BYTES};
    mr_status status = mr_topic_create(changes, stream->name, &options, stream->schema, err);
    return status == MR_EXISTS ? MR_OK : status;
}

mr_status registry_topic_open(mr_log *log, const char *name, mr_topic **out, mr_error *err)
{
    mr_status status = mr_topic_open(log, name, out, err);
    return status != MR_NOT_FOUND
               ? status
               : MR_FAIL(err, MR_IO, "topic %s cannot be found on the disk any more", name);
}

static mr_status open_topic(registry_stream *stream, mr_log *log, mr_log *changes, mr_error *err)
{
    mr_status status = mr_topic_open(log, stream->name, &stream->topic, err);
    if (status != MR_NOT_FOUND)
        return status;
    MR_TRY(create(changes, stream, err));
    mr_error_clear(err);
    return registry_topic_open(log, stream->name, &stream->topic, err);
}

/* After a crash the end of a topic is known only when somebody has taken it over for writing. Who writes now has. */
static mr_status recover(mr_log *changes, const char *name, mr_error *err)
{
    mr_topic *topic;
    MR_TRY(registry_topic_open(changes, name, &topic, err));
    mr_status status = mr_topic_open_writer(topic, 0, NULL, NULL, err);
    mr_topic_close(topic);
    if (status == MR_BUSY)
        mr_error_clear(err);
    return status == MR_BUSY ? MR_OK : status;
}

mr_status registry_stream_open(registry_stream *stream, mr_log *log, mr_log *changes,
                               const char *name, const char *schema, mr_error *err)
{
    *stream = (registry_stream){.name = name};
    MR_TRY(mr_schema_parse(schema, strlen(schema), &stream->schema, err));
    MR_TRY(open_topic(stream, log, changes, err));
    MR_TRY(recover(changes, name, err));
    mr_log_reader_options options = {.schema = stream->schema, .copy = true};
    return mr_log_reader_open(stream->topic, 0, (mr_log_start){.kind = MR_LOG_START_FIRST},
                              &options, &stream->reader, err);
}

void registry_stream_close(registry_stream *stream)
{
    mr_log_reader_close(stream->reader);
    mr_topic_close(stream->topic);
    mr_schema_release(stream->schema);
    *stream = (registry_stream){0};
}

static mr_status read_block(const mr_log_block *block, registry_row_fn each, void *context,
                            uint64_t *next, mr_error *err)
{
    for (uint32_t row = 0; row < block->batch->row_count; row++) {
        MR_TRY(each(context, block->batch, row, block->base_offset + row, err));
        *next = block->base_offset + row + 1;
    }
    return MR_OK;
}

mr_status registry_stream_read(registry_stream *stream, uint64_t offset, registry_row_fn each,
                               void *context, uint64_t *out_next, mr_error *err)
{
    uint64_t end = mr_log_reader_end(stream->reader);
    *out_next = offset;
    if (offset >= end)
        return MR_OK;
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = offset};
    MR_TRY(mr_log_reader_seek(stream->reader, start, err));
    mr_status status = MR_OK;
    while (status == MR_OK && mr_log_reader_offset(stream->reader) < end) {
        mr_log_block block = {0};
        status = mr_log_reader_next(stream->reader, &block, err);
        if (status == MR_OK)
            status = read_block(&block, each, context, out_next, err);
        mr_log_block_release(&block);
    }
    return status;
}

const char *registry_row_text(const mr_batch *batch, int column, uint32_t row, mr_arena *arena)
{
    mr_text text = mr_column_text(&batch->columns[column], row);
    return text.size > 0 ? mr_arena_strndup(arena, (const char *)text.bytes, text.size) : "";
}

int64_t registry_row_int(const mr_batch *batch, int column, uint32_t row)
{
    return ((const int64_t *)batch->columns[column].values)[row];
}
