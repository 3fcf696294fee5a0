/* topic.c -- the public API: topics. */
#include "api/api.h"

#include "base/assert.h"
#include "data/decoder.h"

#include <stdio.h>
#include <string.h>

static mr_status create(mr_log *log, const char *name, mr_schema *schema, const char *event_time,
                        mr_error *err)
{
    mr_topic_options options = {0};
    if (event_time != NULL && strlen(event_time) >= sizeof options.event_time)
        return MR_FAIL(err, MR_INVALID, "the event time column's name has %zu bytes, more than %d",
                       strlen(event_time), MR_NAME_BYTES_MAX);
    (void)snprintf(options.event_time, sizeof options.event_time, "%s",
                   event_time != NULL ? event_time : "");
    return mr_topic_create(log, name, &options, schema, err);
}

millrace_status millrace_topic_create(millrace_home *home, const char *name, const char *schema,
                                      const char *event_time, millrace_error *error)
{
    mr_error *err = api_error(error);
    mr_schema *parsed = NULL;
    mr_status status = mr_schema_parse(schema, strlen(schema), &parsed, err);
    if (status == MR_OK)
        status = create(home->log, name, parsed, event_time, err);
    mr_schema_release(parsed);
    return (millrace_status)status;
}

millrace_status millrace_topic_open(millrace_home *home, const char *name, millrace_topic **out,
                                    millrace_error *error)
{
    mr_error *err = api_error(error);
    *out = NULL;
    millrace_topic *topic = MR_NEW(millrace_topic);
    mr_status status =
        topic != NULL ? mr_topic_open(home->log, name, &topic->topic, err) : MR_OUT_OF_MEMORY(err);
    if (status != MR_OK)
        mr_free(topic);
    else
        *out = topic;
    return (millrace_status)status;
}

void millrace_topic_close(millrace_topic *topic)
{
    if (topic == NULL)
        return;
    mr_topic_close(topic->topic);
    mr_free(topic);
}

/* ---- appending ---- */

static mr_status append(mr_topic *topic, mr_batch *batch, uint64_t *out_offset, mr_error *err)
{
    mr_append what = {.batch = batch};
    mr_appended appended;
    MR_TRY(mr_topic_append_commit(topic, 0, &what, &appended, err));
    if (out_offset != NULL)
        *out_offset = appended.base_offset;
    return MR_OK;
}

millrace_status millrace_topic_append(millrace_topic *topic, const struct ArrowSchema *schema,
                                      struct ArrowArray *array, uint64_t *out_offset,
                                      millrace_error *error)
{
    mr_error *err = api_error(error);
    mr_batch *batch = NULL;
    struct ArrowArray moved = *array;
    mr_status status = mr_arrow_import_batch(schema, &moved, &batch, err);
    if (status == MR_OK) {
        array->release = NULL;
        status = append(topic->topic, batch, out_offset, err);
    }
    mr_batch_release(batch);
    return (millrace_status)status;
}

typedef struct text_append {
    mr_topic *topic;
    mr_decoder *decoder;
    millrace_reject_fn reject;
    void *context;
    uint64_t end_offset;
} text_append;

static void report_rejects(const text_append *self)
{
    size_t count = 0;
    const mr_reject *rejects = mr_decoder_rejects(self->decoder, &count);
    for (size_t i = 0; i < count && self->reject != NULL; i++)
        self->reject(self->context, rejects[i].line, rejects[i].column, rejects[i].reason,
                     rejects[i].bytes, rejects[i].size);
}

/* One batch; *out_more: there was one, or there were rejects. */
static mr_status append_next(text_append *self, bool *out_more, mr_error *err)
{
    mr_batch *batch = NULL;
    mr_appended appended = {.end_offset = self->end_offset};
    size_t rejects = 0;
    MR_TRY(mr_decoder_next_batch(self->decoder, &batch, err));
    (void)mr_decoder_rejects(self->decoder, &rejects);
    report_rejects(self);
    *out_more = batch != NULL || rejects > 0;
    if (batch == NULL)
        return MR_OK;
    mr_append what = {.batch = batch};
    mr_status status = mr_topic_append(self->topic, 0, &what, &appended, err);
    mr_batch_release(batch);
    self->end_offset = appended.end_offset;
    return status;
}

static mr_status append_all(text_append *self, const void *text, size_t bytes, mr_error *err)
{
    MR_TRY(mr_decoder_feed(self->decoder, text, bytes, err));
    mr_decoder_finish(self->decoder);
    for (bool more = true; more;)
        MR_TRY(append_next(self, &more, err));
    return self->end_offset > 0 ? mr_topic_commit(self->topic, 0, self->end_offset, err) : MR_OK;
}

static mr_status open_decoder(text_append *self, const char *format, mr_error *err)
{
    mr_decoder_options options = {.name = "text"};
    if (!mr_text_format_parse(format, strlen(format), &options.format))
        return MR_FAIL(err, MR_INVALID, "'%s' is no format; csv and jsonl are", format);
    MR_TRY(mr_topic_schema(self->topic, &options.schema, NULL, err));
    mr_status status = mr_decoder_open(&options, &self->decoder, err);
    mr_schema_release(options.schema);
    return status;
}

millrace_status millrace_topic_append_text(millrace_topic *topic, const char *format,
                                           const void *text, size_t text_bytes,
                                           millrace_reject_fn reject, void *context,
                                           uint64_t *out_accepted, uint64_t *out_rejected,
                                           millrace_error *error)
{
    mr_error *err = api_error(error);
    text_append self = {.topic = topic->topic, .reject = reject, .context = context};
    mr_decoder_counts counts = {0};
    mr_status status = open_decoder(&self, format, err);
    if (status == MR_OK) {
        status = append_all(&self, text, text_bytes, err);
        counts = mr_decoder_count(self.decoder);
    }
    mr_decoder_close(self.decoder);
    if (out_accepted != NULL)
        *out_accepted = counts.accepted;
    if (out_rejected != NULL)
        *out_rejected = counts.rejected;
    return (millrace_status)status;
}

/* ---- reading ---- */

millrace_status millrace_topic_range(millrace_topic *topic, uint32_t partition, uint64_t *out_first,
                                     uint64_t *out_end, millrace_error *error)
{
    mr_partition_stat stat = {0};
    mr_status status = mr_topic_stat(topic->topic, partition, &stat, api_error(error));
    *out_first = stat.first_offset;
    *out_end = stat.end_offset;
    return (millrace_status)status;
}

static mr_status next_block(void *context, mr_batch **out, mr_error *err)
{
    mr_log_block block = {0};
    mr_status status = mr_log_reader_next(context, &block, err);
    *out = status == MR_OK ? mr_batch_retain(block.batch) : NULL;
    mr_log_block_release(&block);
    return status == MR_END ? MR_OK : status;
}

static void close_reader(void *context)
{
    mr_log_reader_close(context);
}

static mr_status open_stream(mr_topic *topic, mr_schema *schema, uint32_t partition,
                             uint64_t offset, struct ArrowArrayStream *out, mr_error *err)
{
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = offset};
    mr_log_reader_options options = {.schema = schema};
    mr_log_reader *reader = NULL;
    MR_TRY(mr_log_reader_open(topic, partition, start, &options, &reader, err));
    mr_arrow_producer producer = {
        .schema = schema, .next = next_block, .drop = close_reader, .context = reader};
    mr_status status = mr_arrow_export_stream(&producer, out, err);
    if (status != MR_OK)
        mr_log_reader_close(reader);
    return status;
}

millrace_status millrace_topic_read(millrace_topic *topic, uint32_t partition, uint64_t offset,
                                    struct ArrowArrayStream *out, millrace_error *error)
{
    mr_error *err = api_error(error);
    mr_schema *schema = NULL;
    mr_status status = mr_topic_schema(topic->topic, &schema, NULL, err);
    if (status == MR_OK)
        status = open_stream(topic->topic, schema, partition, offset, out, err);
    mr_schema_release(schema);
    return (millrace_status)status;
}
