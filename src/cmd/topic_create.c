/* topic_create.c -- `millrace topic create`. */
#include "cmd/verb.h"

#include "base/assert.h"
#include "base/time.h"

#include <stdio.h>
#include <string.h>

static const char *const sync_names[] = {
#define X(name, text) [MR_LOG_SYNC_##name] = text,
    MR_LOG_SYNC_MAP(X)
#undef X
};

static const char *const codec_names[] = {
#define X(name, text) [MR_LOG_CODEC_##name] = text,
    MR_LOG_CODEC_MAP(X)
#undef X
};

static mr_status read_duration_ms(const mr_arguments *arguments, const char *option,
                                  uint64_t *out_ms, mr_error *err)
{
    const char *text = mr_arguments_text(arguments, option);
    int64_t us = 0;
    if (text == NULL)
        return MR_OK;
    if (!mr_time_parse_duration(text, strlen(text), &us, NULL) || us < 1000)
        return MR_FAIL(err, MR_INVALID,
                       "--%s is '%s', but must be a duration such as 250ms, 12h or 30d", option,
                       text);
    *out_ms = (uint64_t)us / 1000;
    return MR_OK;
}

/* "always", "os" or "interval=10ms"; the words themselves were checked when they were parsed. */
static mr_status read_sync(const char *text, mr_topic_options *options, mr_error *err)
{
    int64_t us = 0;
    if (strcmp(text, sync_names[MR_LOG_SYNC_ALWAYS]) == 0)
        options->sync = MR_LOG_SYNC_ALWAYS;
    else if (strcmp(text, sync_names[MR_LOG_SYNC_OS]) == 0)
        options->sync = MR_LOG_SYNC_OS;
    else {
        const char *interval = strchr(text, '=') + 1;
        if (!mr_time_parse_duration(interval, strlen(interval), &us, NULL) || us < 1000 ||
            us > 3600000000)
            return MR_FAIL(err, MR_INVALID,
                           "--sync is '%s', but an interval is from 1ms to 1h, as in "
                           "interval=10ms",
                           text);
        options->sync = MR_LOG_SYNC_INTERVAL;
        options->sync_interval_ms = (uint32_t)(us / 1000);
    }
    return MR_OK;
}

static mr_log_codec read_codec(const char *text)
{
    for (size_t i = 0; i < MR_COUNT_OF(codec_names); i++)
        if (strcmp(text, codec_names[i]) == 0)
            return (mr_log_codec)i;
    MR_UNREACHABLE();
}

static mr_status read_options(const mr_arguments *arguments, mr_topic_options *options,
                              mr_error *err)
{
    const char *event_time = mr_arguments_text(arguments, "event-time");
    int64_t partitions = 1;
    *options = (mr_topic_options){0};
    MR_TRY(mr_arguments_int(arguments, "partitions", 1, MR_TOPIC_PARTITIONS_MAX, &partitions, err));
    MR_TRY(read_sync(mr_arguments_text(arguments, "sync"), options, err));
    MR_TRY(mr_arguments_bytes(arguments, "retention-bytes", &options->retention_bytes, err));
    MR_TRY(mr_arguments_bytes(arguments, "segment-bytes", &options->segment_bytes, err));
    MR_TRY(read_duration_ms(arguments, "retention-age", &options->retention_age_ms, err));
    if (event_time != NULL && strlen(event_time) >= sizeof options->event_time)
        return MR_FAIL(err, MR_INVALID,
                       "--event-time has %zu bytes, but a column's name has at most %d",
                       strlen(event_time), MR_NAME_BYTES_MAX);
    (void)snprintf(options->event_time, sizeof options->event_time, "%s",
                   event_time != NULL ? event_time : "");
    options->partition_count = (uint32_t)partitions;
    options->codec = read_codec(mr_arguments_text(arguments, "codec"));
    return MR_OK;
}

/* ---- create ---- */

static mr_status create_topic(mr_session *session, const mr_topic_options *options,
                              mr_schema *schema, mr_error *err)
{
    mr_log *log = NULL;
    MR_TRY(mr_session_open_log(session, true, &log, err));
    const char *name = mr_arguments_operand(&session->arguments, 0);
    mr_status status = mr_topic_create(log, name, options, schema, err);
    if (status == MR_OK)
        mr_session_say(session, "created topic %s", name);
    mr_log_close(log);
    return status;
}

static mr_status create_run(mr_session *session, mr_error *err)
{
    mr_topic_options options;
    mr_schema *schema = NULL;
    MR_TRY(read_options(&session->arguments, &options, err));
    MR_TRY(mr_session_schema(session, &schema, err));
    if (schema == NULL)
        return MR_FAIL(err, MR_INVALID,
                       "a topic needs a schema: --schema \"tx: int64, at: timestamp\"");
    mr_status status = create_topic(session, &options, schema, err);
    mr_schema_release(schema);
    return status;
}

static const struct mr_operand topic_operands[] = {
    {"TOPIC", false, false,
     "tenant/namespace/topic, or a short name, which lives in default/default"},
    {0},
};

static const struct mr_option create_options[] = {
    MR_SCHEMA_OPTIONS,
    {"event-time", '\0', "COLUMN", NULL, NULL,
     "the timestamp column that says when a record happened"},
    {"partitions", '\0', "N", "1", NULL, "how many partitions; fixed from then on"},
    {"sync", '\0', "always|interval=TIME|os", "always", NULL,
     "when a record counts as stored: after fdatasync, after the sync that is made every so often, "
     "or when "
     "it is written"},
    {"codec", '\0', "none|lz4|zstd", "none", NULL, "how blocks are compressed"},
    {"retention-age", '\0', "TIME", NULL, NULL,
     "records older than this (by time of append) may go"},
    {"retention-bytes", '\0', "SIZE", NULL, NULL,
     "the oldest records of a partition beyond this size may go"},
    {"segment-bytes", '\0', "SIZE", "256MiB", NULL, "a file of the topic is closed at this size"},
    {0},
};

static const mr_example create_examples[] = {
    {"millrace topic create payments --schema \"tx: int64, at: timestamp, amount: float64\" "
     "--event-time at",
     "a durable topic of one partition"},
    {0},
};

const struct mr_verb mr_verb_topic_create = {
    .name = "topic create",
    .summary = "create a topic",
    .operands = topic_operands,
    .options = create_options,
    .examples = create_examples,
    .run = create_run,
};
