/* simulate_cards.c -- `millrace simulate cards`: made-up card payments as a file or into topics. */
#include "base/assert.h"
#include "base/time.h"
#include "cmd/progress.h"
#include "cmd/simulate.h"
#include "cmd/verb.h"
#include "data/encoder.h"

#include <inttypes.h>
#include <string.h>

#define ROWS_PER_BATCH 4096

typedef enum stream { STREAM_PAYMENTS, STREAM_OUTCOMES } stream;

typedef struct simulation {
    mr_session *session;
    mr_simulation *cards;
    int64_t delay_us;
    uint64_t count; /* payments to write, from the first on */
    mr_progress progress;
} simulation;

static mr_status make_batch(const simulation *self, stream what, uint64_t first, mr_batch **out,
                            mr_error *err)
{
    uint64_t count = MR_MIN(self->count - first, ROWS_PER_BATCH);
    if (what == STREAM_PAYMENTS)
        return mr_simulation_payments(self->cards, first, count, out, err);
    return mr_simulation_outcomes(self->cards, first, count, self->delay_us, out, err);
}

/* ---- into a file, or to stdout ---- */

typedef struct text_sink {
    mr_output *output; /* "-" */
    mr_file *file;
    uint64_t file_bytes;
    mr_encoder_options encoder;
    mr_bytes text;
} text_sink;

static mr_status write_text(text_sink *sink, mr_error *err)
{
    mr_status status = MR_OK;
    if (sink->text.failed)
        return MR_OUT_OF_MEMORY(err);
    if (sink->file != NULL)
        status = mr_file_write(sink->file, sink->file_bytes, sink->text.data, sink->text.size, err);
    else
        mr_output_bytes(sink->output, sink->text.data, sink->text.size);
    sink->file_bytes += sink->text.size;
    mr_bytes_clear(&sink->text);
    return status;
}

/* A file that was there and longer. */
static mr_status cut_old_rest(text_sink *sink, mr_error *err)
{
    uint64_t size = 0;
    MR_TRY(mr_file_size(sink->file, &size, err));
    return size > sink->file_bytes ? mr_file_truncate(sink->file, sink->file_bytes, err) : MR_OK;
}

static mr_status write_batches(simulation *self, stream what, text_sink *sink, mr_error *err)
{
    for (uint64_t at = 0; at < self->count; at += ROWS_PER_BATCH) {
        mr_batch *batch = NULL;
        MR_TRY(make_batch(self, what, at, &batch, err));
        if (at == 0)
            mr_encode_header(&sink->encoder, batch->schema, &sink->text);
        mr_encode_rows(&sink->encoder, batch, 0, batch->row_count, &sink->text);
        mr_batch_release(batch);
        MR_TRY(write_text(sink, err));
        mr_progress_set(&self->progress, at);
    }
    return sink->file != NULL ? cut_old_rest(sink, err) : MR_OK;
}

static mr_status write_file(simulation *self, stream what, const char *path, mr_error *err)
{
    text_sink sink = {.output = &self->session->out};
    bool to_stdout = strcmp(path, "-") == 0;
    if (!mr_text_format_of_path(path, &sink.encoder.format))
        sink.encoder.format = self->session->json ? MR_FORMAT_JSONL : MR_FORMAT_CSV;
    if (!to_stdout)
        MR_TRY(mr_fs_open(self->session->fs, path, MR_OPEN_CREATE, &sink.file, err));
    mr_status status = write_batches(self, what, &sink, err);
    mr_bytes_deinit(&sink.text);
    mr_file_close(sink.file);
    return status;
}

/* ---- into a topic ---- */

static mr_status append_batches(simulation *self, stream what, mr_topic *topic, mr_error *err)
{
    mr_appended appended = {0};
    for (uint64_t at = 0; at < self->count; at += ROWS_PER_BATCH) {
        mr_append append = {0};
        MR_TRY(make_batch(self, what, at, &append.batch, err));
        mr_status status = mr_topic_append(topic, 0, &append, &appended, err);
        mr_batch_release(append.batch);
        MR_TRY(status);
        mr_progress_set(&self->progress, at);
    }
    return mr_topic_commit(topic, 0, appended.end_offset, err);
}

static mr_status create_topic(mr_log *log, stream what, const char *name, mr_error *err)
{
    const char *schema_text =
        what == STREAM_PAYMENTS ? MR_SIMULATION_SCHEMA : MR_SIMULATION_OUTCOMES_SCHEMA;
    mr_topic_options payments = {.event_time = "at"}, outcomes = {.event_time = "known_at"};
    mr_schema *schema = NULL;
    MR_TRY(mr_schema_parse(schema_text, strlen(schema_text), &schema, err));
    mr_status status =
        mr_topic_create(log, name, what == STREAM_PAYMENTS ? &payments : &outcomes, schema, err);
    mr_schema_release(schema);
    return status;
}

static mr_status fill_topic(simulation *self, stream what, const char *name, mr_error *err)
{
    mr_log *log = NULL;
    mr_topic *topic = NULL;
    MR_TRY(mr_session_open_log(self->session, true, &log, err));
    mr_status status;
    MR_GOTO(done, status, create_topic(log, what, name, err));
    MR_GOTO(done, status, mr_topic_open(log, name, &topic, err));
    status = append_batches(self, what, topic, err);
done:
    mr_topic_close(topic);
    mr_log_close(log);
    return status;
}

/* ---- the verb ---- */

static mr_status write_stream(simulation *self, stream what, const char *path, const char *topic,
                              mr_error *err)
{
    mr_progress_begin(&self->progress, self->session, topic != NULL ? topic : path, self->count);
    mr_status status =
        topic != NULL ? fill_topic(self, what, topic, err) : write_file(self, what, path, err);
    mr_progress_end(&self->progress);
    return status;
}

static mr_status write_streams(simulation *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    const char *out = mr_arguments_text(arguments, "out"),
               *topic = mr_arguments_text(arguments, "topic");
    const char *outcomes = mr_arguments_text(arguments, "outcomes");
    const char *outcomes_topic = mr_arguments_text(arguments, "outcomes-topic");
    if (out == NULL && topic == NULL)
        out = "-";
    MR_TRY(write_stream(self, STREAM_PAYMENTS, out, topic, err));
    if (outcomes != NULL || outcomes_topic != NULL)
        MR_TRY(write_stream(self, STREAM_OUTCOMES, outcomes, outcomes_topic, err));
    mr_session_say(self->session, "%" PRIu64 " payments", self->count);
    return MR_OK;
}

static mr_status read_delay(const mr_arguments *arguments, int64_t *out_us, mr_error *err)
{
    const char *text = mr_arguments_text(arguments, "delay");
    if (!mr_time_parse_duration(text, strlen(text), out_us, NULL))
        return MR_FAIL(err, MR_INVALID, "--delay is '%s', but must be a duration such as 7d or 12h",
                       text);
    return MR_OK;
}

static mr_status read_start(const mr_arguments *arguments, int64_t *out_us, mr_error *err)
{
    const char *text = mr_arguments_text(arguments, "start");
    if (!mr_time_parse(text, strlen(text), false, out_us, NULL, NULL))
        return MR_FAIL(err, MR_INVALID, "--start is '%s', but must be a day such as 2018-04-01",
                       text);
    return MR_OK;
}

static mr_status cards_run(mr_session *session, mr_error *err)
{
    const mr_arguments *arguments = &session->arguments;
    simulation self = {.session = session};
    int64_t customers = 0, terminals = 0, days = 0, seed = 0, first_days = 0;
    mr_simulation_options options = {0};
    MR_TRY(mr_arguments_int(arguments, "customers", 1, 100000000, &customers, err));
    MR_TRY(mr_arguments_int(arguments, "terminals", 1, 100000000, &terminals, err));
    MR_TRY(mr_arguments_int(arguments, "days", 1, 36500, &days, err));
    MR_TRY(mr_arguments_int(arguments, "seed", 0, INT64_MAX, &seed, err));
    MR_TRY(read_start(arguments, &options.start_us, err));
    MR_TRY(read_delay(arguments, &self.delay_us, err));
    options.customer_count = (uint32_t)customers;
    options.terminal_count = (uint32_t)terminals;
    options.day_count = (uint32_t)days;
    options.seed = (uint64_t)seed;
    first_days = days;
    MR_TRY(mr_arguments_int(arguments, "first-days", 1, days, &first_days, err));
    MR_TRY(mr_simulation_create(&options, &self.cards, err));
    self.count = mr_simulation_find(self.cards, options.start_us + first_days * MR_TIME_US_PER_DAY);
    mr_status status = write_streams(&self, err);
    mr_simulation_destroy(self.cards);
    return status;
}

static const struct mr_option options[] = {
    {"customers", '\0', "N", "5000", NULL, "how many cards"},
    {"terminals", '\0', "N", "10000", NULL, "how many places to pay at"},
    {"days", '\0', "N", "60", NULL, "how many days"},
    {"first-days", '\0', "N", NULL, NULL, "write only the first N days of them"},
    {"start", '\0', "DAY", "2018-04-01", NULL, "the first day"},
    {"seed", '\0', "N", "1", NULL, "the same seed gives the same payments"},
    {"out", '\0', "FILE", NULL, NULL, "CSV, or JSON lines when named so; - is standard output"},
    {"topic", '\0', "TOPIC", NULL, NULL, "create this topic and store the payments there"},
    {"outcomes", '\0', "FILE", NULL, NULL,
     "also write what became of each payment, in order of knowing"},
    {"outcomes-topic", '\0', "TOPIC", NULL, NULL, "the same into a topic that is created"},
    {"delay", '\0', "TIME", "7d", NULL, "how long after a payment its outcome is known"},
    {0},
};

static const mr_example examples[] = {
    {"millrace simulate cards --days 30 --out payments.csv", "a month of payments as CSV"},
    {"millrace simulate cards --topic payments --outcomes-topic outcomes",
     "two topics to try a pipeline on"},
    {0},
};

const struct mr_verb mr_verb_simulate_cards = {
    .name = "simulate cards",
    .summary = "make up card payments, some of them fraud, the same for the same seed",
    .about = "The method is that of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot, "
             "Bontempi): "
             "customers and terminals in a square, amounts and times drawn per customer, and three "
             "kinds of "
             "fraud: large amounts, compromised terminals, leaked cards.",
    .options = options,
    .examples = examples,
    .run = cards_run,
};
