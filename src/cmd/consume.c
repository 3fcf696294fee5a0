/* consume.c -- `millrace consume`: a topic's records as text on stdout.
 *
 * Partitions are read in turn, a block at a time. With --position the place is stored after what
 * was read has been written to stdout, so that nothing is lost when the run is cut short; the last
 * block may come twice. */
#include "base/assert.h"
#include "base/time.h"
#include "cmd/verb.h"
#include "data/encoder.h"
#include "os/process.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX    4096
#define WAIT_NS     INT64_C(200000000)
#define FLUSH_BYTES 65536

typedef struct consume {
    mr_session *session;
    mr_topic *topic;
    mr_schema *schema; /* of what is written */
    bool project;      /* --fields: not all columns */
    bool raw;          /* --format raw */
    mr_encoder_options encoder;
    mr_log_reader **readers;
    uint64_t *offsets; /* of the position, per partition */
    uint32_t partition_count;
    uint64_t left; /* rows that may still be written */
    mr_bytes text;
    const char *position;
    bool follow;
} consume;

/* ---- where to start ---- */

static mr_status read_from(const char *text, mr_log_start *out, mr_error *err)
{
    char *end;
    if (strcmp(text, "earliest") == 0)
        out->kind = MR_LOG_START_FIRST;
    else if (strcmp(text, "latest") == 0)
        out->kind = MR_LOG_START_END;
    else if (strncmp(text, "time=", 5) == 0) {
        out->kind = MR_LOG_START_EVENT_TIME;
        if (!mr_time_parse(text + 5, strlen(text + 5), false, &out->event_time, NULL, NULL))
            return MR_FAIL(err, MR_INVALID,
                           "--from is '%s', but a time looks like time=2018-04-01T12:00:00Z", text);
    } else {
        out->kind = MR_LOG_START_OFFSET;
        out->offset = strtoull(text + strlen("offset="), &end, 10);
        if (text[strlen("offset=")] < '0' || text[strlen("offset=")] > '9' || *end != '\0')
            return MR_FAIL(err, MR_INVALID, "--from is '%s', but an offset looks like offset=1000",
                           text);
    }
    return MR_OK;
}

/* The stored position, where there is one. */
static mr_status read_position(consume *self, mr_error *err)
{
    for (uint32_t i = 0; i < self->partition_count; i++)
        self->offsets[i] = MR_LOG_OFFSET_NONE;
    if (self->position == NULL)
        return MR_OK;
    mr_status status =
        mr_position_get(self->topic, self->position, self->offsets, self->partition_count, err);
    return status == MR_NOT_FOUND ? MR_OK : status;
}

static mr_status open_readers(consume *self, mr_error *err)
{
    mr_log_start from = {0};
    mr_log_reader_options options = {.rows_max = ROWS_MAX};
    MR_TRY(read_from(mr_arguments_text(&self->session->arguments, "from"), &from, err));
    MR_TRY(read_position(self, err));
    for (uint32_t i = 0; i < self->partition_count; i++) {
        mr_log_start at = {.kind = MR_LOG_START_OFFSET, .offset = self->offsets[i]};
        bool stored = self->offsets[i] != MR_LOG_OFFSET_NONE;
        MR_TRY(mr_log_reader_open(self->topic, i, stored ? at : from, &options, &self->readers[i],
                                  err));
        self->offsets[i] = mr_log_reader_offset(self->readers[i]);
    }
    return MR_OK;
}

/* ---- what to write ---- */

static mr_status choose_columns(consume *self, mr_error *err)
{
    mr_list fields;
    mr_schema *all = NULL;
    MR_TRY(mr_topic_schema(self->topic, &all, NULL, err));
    mr_status status =
        mr_list_parse(&fields, mr_arguments_text(&self->session->arguments, "fields"), err);
    self->project = fields.count > 0;
    if (status == MR_OK && self->project)
        status = mr_schema_project(all, fields.items, fields.count, &self->schema, err);
    else if (status == MR_OK)
        self->schema = mr_schema_retain(all);
    mr_list_deinit(&fields);
    mr_schema_release(all);
    return status;
}

static mr_status choose_format(consume *self, mr_error *err)
{
    const char *format = mr_arguments_text(&self->session->arguments, "format");
    self->raw = strcmp(format, "raw") == 0;
    self->encoder.format = MR_FORMAT_CSV;
    if (self->session->json || strcmp(format, "jsonl") == 0)
        self->encoder.format = MR_FORMAT_JSONL;
    bool one_text =
        self->schema->field_count == 1 && mr_type_is_text(self->schema->fields[0].type.id);
    if (self->raw && !one_text)
        return MR_FAIL(err, MR_INVALID,
                       "--format raw writes the bytes of one string or bytes column: choose it "
                       "with --fields");
    if (!self->raw)
        mr_encode_header(&self->encoder, self->schema, &self->text);
    return MR_OK;
}

static void encode_raw(consume *self, const mr_batch *batch, size_t count)
{
    for (size_t row = 0; row < count; row++) {
        mr_text value = mr_column_text(&batch->columns[0], row);
        mr_bytes_append(&self->text, value.bytes, value.size);
        mr_bytes_append_byte(&self->text, '\n');
    }
}

static mr_status encode(consume *self, mr_batch *batch, size_t count, mr_error *err)
{
    mr_batch *shown = NULL;
    if (self->project)
        MR_TRY(mr_batch_project(batch, self->schema, &shown, err));
    else
        shown = mr_batch_retain(batch);
    if (self->raw)
        encode_raw(self, shown, count);
    else
        mr_encode_rows(&self->encoder, shown, 0, count, &self->text);
    mr_batch_release(shown);
    return MR_OK;
}

/* Writes what is pending, then moves the position behind it. */
static mr_status flush(consume *self, mr_error *err)
{
    if (self->text.failed)
        return MR_OUT_OF_MEMORY(err);
    mr_output_bytes(&self->session->out, self->text.data, self->text.size);
    mr_bytes_clear(&self->text);
    if (mr_output_flush(&self->session->out) != MR_OK) {
        *err = self->session->out.error;
        return self->session->out.status;
    }
    if (self->position == NULL)
        return MR_OK;
    return mr_position_commit(self->topic, self->position, self->offsets, self->partition_count,
                              err);
}

/* ---- reading ---- */

/* One block of one partition; MR_END: it has nothing now. */
static mr_status consume_block(consume *self, uint32_t partition, mr_error *err)
{
    mr_log_block block = {0};
    MR_TRY(mr_log_reader_next(self->readers[partition], &block, err));
    size_t count = (size_t)MR_MIN(self->left, block.batch->row_count);
    mr_status status = encode(self, block.batch, count, err);
    self->offsets[partition] = block.base_offset + count;
    self->left -= count;
    mr_log_block_release(&block);
    MR_TRY(status);
    return self->text.size >= FLUSH_BYTES ? flush(self, err) : MR_OK;
}

/* A block of every partition; *out_some: there was something. */
static mr_status consume_round(consume *self, bool *out_some, mr_error *err)
{
    *out_some = false;
    for (uint32_t i = 0; i < self->partition_count && self->left > 0; i++) {
        mr_status status = consume_block(self, i, err);
        *out_some |= status == MR_OK;
        if (status != MR_END)
            MR_TRY(status);
    }
    return MR_OK;
}

static mr_status consume_loop(consume *self, mr_error *err)
{
    bool some = true;
    while (self->left > 0 && mr_process_stop_asked() == 0) {
        MR_TRY(consume_round(self, &some, err));
        if (some)
            continue;
        if (!self->follow)
            break;
        MR_TRY(flush(self, err));
        mr_status status = mr_log_reader_wait(self->readers, self->partition_count, WAIT_NS, err);
        if (status != MR_END)
            MR_TRY(status);
    }
    return flush(self, err);
}

/* ---- the verb ---- */

static mr_status consume_topic(consume *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    int64_t max = INT64_MAX;
    self->position = mr_arguments_text(arguments, "position");
    self->follow = mr_arguments_flag(arguments, "follow");
    self->partition_count = mr_topic_partitions(self->topic);
    self->readers = mr_alloc_zero(self->partition_count, sizeof self->readers[0]);
    self->offsets = mr_alloc_zero(self->partition_count, sizeof self->offsets[0]);
    if (self->readers == NULL || self->offsets == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_arguments_int(arguments, "max", 0, INT64_MAX, &max, err));
    self->left = (uint64_t)max;
    MR_TRY(choose_columns(self, err));
    MR_TRY(choose_format(self, err));
    MR_TRY(open_readers(self, err));
    return consume_loop(self, err);
}

static mr_status consume_run(mr_session *session, mr_error *err)
{
    consume self = {.session = session};
    mr_log *log = NULL;
    mr_process_catch_signals();
    MR_TRY(mr_session_open_log(session, false, &log, err));
    mr_status status =
        mr_topic_open(log, mr_arguments_operand(&session->arguments, 0), &self.topic, err);
    if (status == MR_OK)
        status = consume_topic(&self, err);
    for (uint32_t i = 0; self.readers != NULL && i < self.partition_count; i++)
        mr_log_reader_close(self.readers[i]);
    mr_free(self.readers);
    mr_free(self.offsets);
    mr_bytes_deinit(&self.text);
    mr_schema_release(self.schema);
    mr_topic_close(self.topic);
    mr_log_close(log);
    return status;
}

static const struct mr_operand operands[] = {
    {"TOPIC", false, false, "what to read"},
    {0},
};

static const struct mr_option options[] = {
    {"from", '\0', "earliest|latest|offset=N|time=TIME", "earliest", NULL,
     "where to start; a time is event time (ISO 8601)"},
    {"max", 'n', "N", NULL, NULL, "stop after so many records"},
    {"follow", 'f', NULL, NULL, NULL, "at the end, wait for more until stopped"},
    {"format", '\0', "csv|jsonl|raw", "csv", NULL,
     "of the output; raw writes one string or bytes column as it is, a line each"},
    {"fields", '\0', "COLUMN,...", NULL, NULL, "only these columns, in this order"},
    {"position", '\0', "NAME", NULL, NULL,
     "a stored reading position: go on where the last run with this name ended, and store where "
     "this one does"},
    {0},
};

static const mr_example examples[] = {
    {"millrace consume decisions --max 5 --json", "the first five records as JSON lines"},
    {"millrace consume payments --from time=2018-05-01 --fields tx,amount > may.csv",
     "some columns, from a time on"},
    {"millrace consume decisions --follow --position alerts",
     "read on for ever, and again after a restart"},
    {0},
};

const struct mr_verb mr_verb_consume = {
    .name = "consume",
    .summary = "write a topic's records to standard output",
    .operands = operands,
    .options = options,
    .examples = examples,
    .run = consume_run,
};
