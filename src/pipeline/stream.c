/* stream.c -- chunks from topics and from files. */
#include "pipeline/stream.h"

#include "base/assert.h"
#include "data/input.h"

#include <stdio.h>
#include <string.h>

#define JOIN_ROWS_MIN                                                                              \
    1024 /* smaller chunks are joined while more is there; the first of them waits for the last */
#define JOIN_MAX 512

typedef struct stream_impl {
    mr_stream stream;
    mr_stream_options options;
    uint64_t ordinal; /* of the record after the chunk (or the next one when there is no chunk) */
    /* topic */
    mr_topic *topic;
    mr_log_reader *reader;
    uint64_t end_ordinal; /* until_end: where to stop */
    /* files */
    size_t file_index;
    mr_input *input;
    mr_decoder *decoder;
    bool input_done;
    uint64_t skip_rows; /* good records to pass over after a seek */
    uint64_t reject_count;
} stream_impl;

static stream_impl *impl_of(mr_stream *stream)
{
    return (stream_impl *)(void *)stream;
}

/* ---- birth and death ---- */

static mr_status open_topic(stream_impl *impl, mr_error *err)
{
    mr_stream *stream = &impl->stream;
    MR_TRY(mr_topic_open(impl->options.log, stream->source->topic, &impl->topic, err));
    mr_log_reader_options options = {.schema = stream->source->schema,
                                     .rows_max = impl->options.rows_max};
    MR_TRY(mr_log_reader_open(impl->topic, stream->partition, stream->source->start, &options,
                              &impl->reader, err));
    impl->ordinal = mr_log_reader_offset(impl->reader);
    stream->checkpoint_ordinal = impl->ordinal;
    impl->end_ordinal = impl->options.until_end ? mr_log_reader_end(impl->reader) : UINT64_MAX;
    return MR_OK;
}

mr_status mr_stream_open(const plan_source *source, uint32_t source_index, uint32_t partition,
                         const mr_stream_options *options, mr_stream **out, mr_error *err)
{
    *out = NULL;
    stream_impl *impl = MR_NEW(stream_impl);
    if (impl == NULL)
        return MR_OUT_OF_MEMORY(err);
    impl->options = *options;
    impl->stream.source = source;
    impl->stream.source_index = source_index;
    impl->stream.partition = partition;
    impl->stream.empty_since_ns = INT64_MIN;
    (void)snprintf(impl->stream.name, sizeof impl->stream.name, "%s/%u", source->name, partition);
    mr_status status = source->topic != NULL ? open_topic(impl, err) : MR_OK;
    if (status != MR_OK) {
        mr_stream_close(&impl->stream);
        return status;
    }
    *out = &impl->stream;
    return MR_OK;
}

static void close_file(stream_impl *impl)
{
    mr_input_close(impl->input);
    mr_decoder_close(impl->decoder);
    impl->input = NULL;
    impl->decoder = NULL;
    impl->input_done = false;
}

static void drop_chunk(mr_stream *stream)
{
    mr_batch_release(stream->chunk);
    stream->chunk = NULL;
    stream->times = NULL;
    stream->next = 0;
}

void mr_stream_close(mr_stream *stream)
{
    if (stream == NULL)
        return;
    stream_impl *impl = impl_of(stream);
    drop_chunk(stream);
    close_file(impl);
    mr_log_reader_close(impl->reader);
    mr_topic_close(impl->topic);
    mr_free(impl);
}

/* ---- seeking ---- */

mr_status mr_stream_seek(mr_stream *stream, uint64_t ordinal, mr_error *err)
{
    stream_impl *impl = impl_of(stream);
    drop_chunk(stream);
    stream->ended = false;
    impl->ordinal = ordinal;
    stream->checkpoint_ordinal = ordinal;
    if (impl->reader != NULL)
        return mr_log_reader_seek(
            impl->reader, (mr_log_start){.kind = MR_LOG_START_OFFSET, .offset = ordinal}, err);
    close_file(impl);
    impl->file_index = 0;
    impl->skip_rows = ordinal;
    impl->reject_count = 0;
    impl->ordinal = 0;
    return MR_OK;
}

mr_status mr_stream_seek_kept(mr_stream *stream, uint64_t ordinal, uint64_t *out_removed,
                              mr_error *err)
{
    stream_impl *impl = impl_of(stream);
    mr_log_start first = {.kind = MR_LOG_START_FIRST};
    MR_TRY(mr_log_reader_seek(impl->reader, first, err));
    uint64_t kept = MR_MAX(ordinal, mr_log_reader_offset(impl->reader));
    *out_removed = kept - ordinal;
    return mr_stream_seek(stream, kept, err);
}

/* ---- retention ---- */

/* Retention may come at any moment and take all beyond the topic's size, so half of that size is near. A look
 * that fails is made again. */
bool mr_stream_wants_checkpoint(mr_stream *stream)
{
    stream_impl *impl = impl_of(stream);
    if (impl->topic == NULL || mr_stream_ordinal(stream) == stream->checkpoint_ordinal)
        return false;
    uint64_t bytes = mr_topic_get_options(impl->topic).retention_bytes, kept_from = 0;
    return bytes > 0 &&
           mr_topic_kept_from(impl->topic, stream->partition, MR_MAX(bytes / 2, 1), &kept_from,
                              NULL) == MR_OK &&
           stream->checkpoint_ordinal < kept_from;
}

int64_t mr_stream_age_max_ms(const mr_stream *stream)
{
    const stream_impl *impl = (const stream_impl *)(const void *)stream;
    uint64_t ms = impl->topic != NULL ? mr_topic_get_options(impl->topic).retention_age_ms : 0;
    return ms > 0 && ms < INT64_MAX ? (int64_t)ms : INT64_MAX;
}

/* ---- topics ---- */

static mr_status next_block(stream_impl *impl, mr_batch **out_batch, int64_t *out_append_us,
                            mr_error *err)
{
    mr_log_block block;
    mr_status status = mr_log_reader_next(impl->reader, &block, err);
    if (status != MR_OK)
        return status;
    *out_batch = mr_batch_retain(block.batch);
    *out_append_us = block.append_us;
    impl->ordinal = block.next_offset;
    mr_log_block_release(&block);
    return MR_OK;
}

/* Joins blocks while they are small; a lone large block stays as it is, uncopied. */
static mr_status fill_from_topic(stream_impl *impl, mr_error *err)
{
    mr_stream *stream = &impl->stream;
    mr_batch *batches[JOIN_MAX];
    size_t count = 0;
    uint64_t rows = 0, first = impl->ordinal;
    mr_status status = MR_OK;
    while (count < JOIN_MAX && rows < MR_MIN(JOIN_ROWS_MIN, impl->options.rows_max) &&
           impl->ordinal < impl->end_ordinal) {
        int64_t append_us;
        status = next_block(impl, &batches[count], &append_us, err);
        if (status != MR_OK)
            break;
        if (count == 0) {
            first = impl->ordinal - batches[0]->row_count;
            stream->append_us = append_us;
        }
        rows += batches[count++]->row_count;
    }
    bool nothing = status == MR_END;
    if (status == MR_END)
        status = MR_OK;
    if (status == MR_OK && count == 1)
        stream->chunk = mr_batch_retain(batches[0]);
    else if (status == MR_OK && count > 1)
        status = mr_batch_concat(batches, count, &stream->chunk, err);
    for (size_t i = 0; i < count; i++)
        mr_batch_release(batches[i]);
    stream->chunk_ordinal = first;
    stream->ended = impl->options.until_end && (impl->ordinal >= impl->end_ordinal || nothing);
    return status;
}

/* ---- files ---- */

static mr_status open_file(stream_impl *impl, mr_error *err)
{
    const plan_source *source = impl->stream.source;
    const char *path = source->files[impl->file_index];
    MR_TRY(mr_input_open(impl->options.fs, path, &impl->input, err));
    mr_decoder_options options = {.format = source->format,
                                  .schema = source->schema,
                                  .name = path,
                                  .check = source->check,
                                  .renames = source->renames,
                                  .rename_count = source->rename_count,
                                  .batch_rows_max = impl->options.rows_max};
    return mr_decoder_open(&options, &impl->decoder, err);
}

static mr_status report_rejects(stream_impl *impl, mr_error *err)
{
    size_t count;
    const mr_reject *rejects = mr_decoder_rejects(impl->decoder, &count);
    for (size_t i = 0; i < count; i++) {
        stream_reject reject = {.number = impl->reject_count++,
                                .file = impl->stream.source->files[impl->file_index],
                                .line = rejects[i].line,
                                .column = rejects[i].column,
                                .field = rejects[i].field,
                                .reason = rejects[i].reason,
                                .bytes = rejects[i].bytes,
                                .size = rejects[i].size};
        if (impl->options.reject != NULL)
            MR_TRY(impl->options.reject(impl->options.context, &impl->stream, &reject, err));
    }
    return MR_OK;
}

static mr_status feed(stream_impl *impl, mr_error *err)
{
    uint8_t *room;
    size_t room_bytes, size;
    MR_TRY(mr_decoder_room(impl->decoder, &room, &room_bytes, err));
    MR_TRY(mr_input_read(impl->input, room, room_bytes, &size, err));
    if (size > 0) {
        mr_decoder_fed(impl->decoder, size);
        return MR_OK;
    }
    impl->input_done = true;
    mr_decoder_finish(impl->decoder);
    return MR_OK;
}

/* Passes over good records that were taken before a seek. Takes `batch`. */
static mr_status skip_rows(stream_impl *impl, mr_batch *batch, mr_batch **out, mr_error *err)
{
    *out = batch;
    if (impl->skip_rows == 0)
        return MR_OK;
    uint32_t skipped = (uint32_t)MR_MIN(impl->skip_rows, batch->row_count);
    impl->skip_rows -= skipped;
    impl->ordinal += skipped;
    *out = NULL;
    mr_status status = MR_OK;
    if (skipped < batch->row_count)
        status = mr_batch_slice(batch, skipped, batch->row_count - skipped, out, err);
    mr_batch_release(batch);
    return status;
}

static mr_status next_of_file(stream_impl *impl, mr_batch **out, mr_error *err)
{
    if (impl->input == NULL)
        MR_TRY(open_file(impl, err));
    *out = NULL;
    MR_TRY(mr_decoder_next_batch(impl->decoder, out, err));
    MR_TRY(report_rejects(impl, err));
    if (*out != NULL)
        return skip_rows(impl, *out, out, err);
    if (mr_decoder_has_more(impl->decoder))
        return MR_OK;
    if (!impl->input_done)
        return feed(impl, err);
    close_file(impl);
    impl->file_index++;
    return MR_OK;
}

static mr_status fill_from_files(stream_impl *impl, mr_error *err)
{
    mr_stream *stream = &impl->stream;
    while (stream->chunk == NULL && impl->file_index < stream->source->file_count)
        MR_TRY(next_of_file(impl, &stream->chunk, err));
    if (stream->chunk == NULL) {
        stream->ended = true;
        return MR_OK;
    }
    stream->chunk_ordinal = impl->ordinal;
    impl->ordinal += stream->chunk->row_count;
    return MR_OK;
}

/* ---- taking ---- */

mr_status mr_stream_fill(mr_stream *stream, mr_error *err)
{
    if (stream->chunk != NULL || stream->ended)
        return MR_OK;
    stream_impl *impl = impl_of(stream);
    MR_TRY(impl->reader != NULL ? fill_from_topic(impl, err) : fill_from_files(impl, err));
    if (stream->chunk == NULL)
        return MR_OK;
    stream->next = 0;
    stream->times = stream->chunk->columns[stream->source->event_time].values;
    stream->empty_since_ns = INT64_MIN;
    return MR_OK;
}

void mr_stream_take(mr_stream *stream, uint32_t rows)
{
    MR_ASSERT(stream->chunk != NULL && rows <= stream->chunk->row_count - stream->next);
    stream->next += rows;
    stream->seen += rows;
    if (stream->next == stream->chunk->row_count)
        drop_chunk(stream);
}

uint64_t mr_stream_ordinal(const mr_stream *stream)
{
    if (stream->chunk != NULL)
        return stream->chunk_ordinal + stream->next;
    return ((const stream_impl *)(const void *)stream)->ordinal;
}

uint64_t mr_stream_lag(mr_stream *stream)
{
    stream_impl *impl = impl_of(stream);
    uint64_t in_hand = stream->chunk != NULL ? stream->chunk->row_count - stream->next : 0;
    if (impl->reader == NULL)
        return in_hand;
    uint64_t end = MR_MIN(mr_log_reader_end(impl->reader), impl->end_ordinal);
    uint64_t next = mr_stream_ordinal(stream);
    return end > next ? end - next : in_hand;
}

mr_log_reader *mr_stream_reader(mr_stream *stream)
{
    return impl_of(stream)->reader;
}
