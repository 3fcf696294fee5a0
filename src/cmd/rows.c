/* rows.c -- all rows of a source at once. */
#include "cmd/rows.h"

#include "cmd/ingest.h"
#include "cmd/progress.h"
#include "cmd/rejects.h"
#include "os/process.h"

#include <string.h>

#define ROWS_PER_BATCH 65536

typedef struct collector {
    mr_session *session;
    const mr_rows_options *options;
    mr_bytes batches; /* mr_batch pointers */
    mr_progress progress;
} collector;

bool mr_rows_is_file(const char *source)
{
    mr_text_format format;
    return strcmp(source, "-") == 0 || mr_text_format_of_path(source, &format);
}

/* ---- collecting ---- */

static mr_batch **batches_of(const collector *self)
{
    return (mr_batch **)(void *)self->batches.data;
}

static size_t batch_count(const collector *self)
{
    return self->batches.size / sizeof(mr_batch *);
}

/* Takes the batch on success. */
static mr_status keep(collector *self, mr_batch *batch, mr_error *err)
{
    if (!mr_bytes_reserve(&self->batches, sizeof batch))
        return MR_OUT_OF_MEMORY(err);
    mr_bytes_append(&self->batches, &batch, sizeof batch);
    return MR_OK;
}

/* Rows within the span; a row without a time is in none. */
static mr_status select_rows(const collector *self, const mr_batch *batch, mr_batch **out,
                             mr_error *err)
{
    const mr_column *time = &batch->columns[mr_schema_find(batch->schema, self->options->time)];
    const int64_t *times = time->values;
    uint32_t *rows = mr_alloc(batch->row_count * sizeof *rows + 1);
    size_t count = 0;
    if (rows == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < batch->row_count; i++)
        if (!mr_column_is_null(time, i) && times[i] >= self->options->from_us &&
            times[i] < self->options->until_us)
            rows[count++] = i;
    mr_status status = mr_batch_gather(batch, rows, count, out, err);
    mr_free(rows);
    return status;
}

static mr_status collect(collector *self, mr_batch *batch, mr_error *err)
{
    mr_batch *chosen = NULL;
    if (self->options->time == NULL)
        chosen = mr_batch_retain(batch);
    else
        MR_TRY(select_rows(self, batch, &chosen, err));
    mr_status status = chosen->row_count > 0 ? keep(self, chosen, err) : MR_OK;
    if (status != MR_OK || chosen->row_count == 0)
        mr_batch_release(chosen);
    return status;
}

static mr_status check_time(const collector *self, const mr_schema *schema, mr_error *err)
{
    const char *name = self->options->time;
    int at = name != NULL ? mr_schema_find(schema, name) : 0;
    if (at < 0)
        return MR_FAIL(err, MR_NOT_FOUND, "there is no column '%s' to tell the time", name);
    if (name != NULL && schema->fields[at].type.id != MR_TIMESTAMP)
        return MR_FAIL(err, MR_INVALID,
                       "the column '%s' is no timestamp, so it cannot tell the time", name);
    return MR_OK;
}

/* ---- topics ---- */

static mr_status collect_partition(collector *self, mr_topic *topic, mr_schema *schema,
                                   uint32_t partition, mr_error *err)
{
    mr_log_reader *reader = NULL;
    mr_log_reader_options options = {.schema = schema, .rows_max = ROWS_PER_BATCH};
    MR_TRY(mr_log_reader_open(topic, partition, (mr_log_start){0}, &options, &reader, err));
    mr_status status = MR_OK;
    mr_progress_begin(&self->progress, self->session, mr_topic_name(topic),
                      mr_log_reader_end(reader));
    while (status == MR_OK) {
        mr_log_block block = {0};
        status = mr_log_reader_next(reader, &block, err);
        if (status == MR_OK)
            status = collect(self, block.batch, err);
        mr_log_block_release(&block);
        mr_progress_set(&self->progress, mr_log_reader_offset(reader));
    }
    mr_progress_end(&self->progress);
    mr_log_reader_close(reader);
    return status == MR_END ? MR_OK : status;
}

static mr_status collect_opened(collector *self, mr_topic *topic, mr_error *err)
{
    mr_schema *schema = NULL;
    MR_TRY(mr_topic_schema(topic, &schema, NULL, err));
    mr_status status = check_time(self, schema, err);
    for (uint32_t i = 0; i < mr_topic_partitions(topic) && status == MR_OK; i++)
        status = collect_partition(self, topic, schema, i, err);
    mr_schema_release(schema);
    return status;
}

static mr_status collect_topic(collector *self, const char *name, mr_error *err)
{
    mr_log *log = NULL;
    mr_topic *topic = NULL;
    MR_TRY(mr_session_open_log(self->session, false, &log, err));
    mr_status status = mr_topic_open(log, name, &topic, err);
    if (status == MR_OK)
        status = collect_opened(self, topic, err);
    mr_topic_close(topic);
    mr_log_close(log);
    return status;
}

/* ---- files ---- */

static mr_status collect_step(collector *self, mr_ingest *ingest, mr_rejects *rejects,
                              const char *path, mr_error *err)
{
    mr_batch *batch = NULL;
    size_t count = 0;
    MR_TRY(mr_ingest_next(ingest, &batch, err));
    const mr_reject *refused = mr_decoder_rejects(ingest->decoder, &count);
    mr_status status = mr_rejects_add(rejects, path, refused, count, err);
    if (status == MR_OK && batch != NULL)
        status = collect(self, batch, err);
    mr_batch_release(batch);
    mr_progress_set(&self->progress, mr_input_raw_offset(ingest->input));
    return status;
}

static mr_status collect_file(collector *self, const char *path, uint64_t *out_refused,
                              mr_error *err)
{
    mr_ingest ingest = {0};
    mr_rejects rejects = {0};
    mr_status status;
    MR_GOTO(done, status, check_time(self, self->options->schema, err));
    MR_GOTO(done, status, mr_ingest_init(&ingest, self->session, self->options->schema, true, err));
    MR_GOTO(done, status, mr_rejects_init(&rejects, self->session, NULL, NULL, NULL, err));
    MR_GOTO(done, status, mr_ingest_open(&ingest, path, err));
    mr_progress_begin(&self->progress, self->session, path, mr_input_raw_size(ingest.input));
    while (status == MR_OK)
        status = collect_step(self, &ingest, &rejects, path, err);
    mr_progress_end(&self->progress);
    status = status == MR_END ? MR_OK : status;
    *out_refused = rejects.count;
done:
    mr_rejects_deinit(&rejects);
    mr_ingest_deinit(&ingest);
    return status;
}

mr_status mr_rows_read(mr_session *session, const char *source, const mr_rows_options *options,
                       mr_batch **out, uint64_t *out_refused, mr_error *err)
{
    collector self = {.session = session, .options = options};
    *out = NULL;
    *out_refused = 0;
    mr_status status = mr_rows_is_file(source) ? collect_file(&self, source, out_refused, err)
                                               : collect_topic(&self, source, err);
    if (status == MR_OK && batch_count(&self) == 0)
        status = MR_FAIL(err, MR_NOT_FOUND, "%s has no rows in this span", source);
    if (status == MR_OK)
        status = mr_batch_concat(batches_of(&self), batch_count(&self), out, err);
    for (size_t i = 0; i < batch_count(&self); i++)
        mr_batch_release(batches_of(&self)[i]);
    mr_bytes_deinit(&self.batches);
    return status;
}
