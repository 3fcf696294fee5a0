/* topic.c -- `millrace topic`: list, show and delete topics. */
#include "cmd/verb.h"

#include "base/assert.h"
#include "base/time.h"
#include "data/encoder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SYSTEM_TENANT "system/"

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

/* ---- what a topic looks like ---- */

typedef struct topic_view {
    mr_topic *topic;
    mr_topic_options options;
    mr_bytes schema;
    uint32_t schema_id;
    mr_partition_stat total; /* of all partitions; offsets are sums */
    mr_partition_stat *partitions;
    uint32_t partition_count;
} topic_view;

static void add_stat(mr_partition_stat *total, const mr_partition_stat *stat)
{
    total->first_offset += stat->first_offset;
    total->end_offset += stat->end_offset;
    total->bytes += stat->bytes;
    total->segment_count += stat->segment_count;
    if (!stat->has_event_time)
        return;
    total->event_min =
        total->has_event_time ? MR_MIN(total->event_min, stat->event_min) : stat->event_min;
    total->event_max =
        total->has_event_time ? MR_MAX(total->event_max, stat->event_max) : stat->event_max;
    total->has_event_time = true;
}

static void close_view(topic_view *view)
{
    mr_topic_close(view->topic);
    mr_bytes_deinit(&view->schema);
    mr_free(view->partitions);
    *view = (topic_view){0};
}

static mr_status fill_view(topic_view *view, mr_error *err)
{
    mr_schema *schema = NULL;
    MR_TRY(mr_topic_schema(view->topic, &schema, &view->schema_id, err));
    mr_schema_format(schema, &view->schema);
    mr_schema_release(schema);
    view->options = mr_topic_get_options(view->topic);
    view->partition_count = mr_topic_partitions(view->topic);
    view->partitions = mr_alloc_zero(view->partition_count, sizeof view->partitions[0]);
    if (view->partitions == NULL || mr_bytes_text(&view->schema) == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < view->partition_count; i++) {
        MR_TRY(mr_topic_stat(view->topic, i, &view->partitions[i], err));
        add_stat(&view->total, &view->partitions[i]);
    }
    return MR_OK;
}

static mr_status open_view(mr_log *log, const char *name, topic_view *view, mr_error *err)
{
    *view = (topic_view){0};
    MR_TRY(mr_topic_open(log, name, &view->topic, err));
    mr_status status = fill_view(view, err);
    if (status != MR_OK)
        close_view(view);
    return status;
}

static void format_time(bool known, int64_t us, char *out)
{
    size_t size = known ? mr_time_format(us, out) : 0;
    out[size] = '\0';
}

static void json_text_member(mr_bytes *line, const char *name, const char *text)
{
    mr_bytes_printf(line, ",\"%s\":", name);
    mr_encode_json_text(text, strlen(text), line);
}

static void json_times(mr_bytes *line, const mr_partition_stat *stat)
{
    char from[MR_TIME_TEXT_MAX + 1], to[MR_TIME_TEXT_MAX + 1];
    if (!stat->has_event_time)
        return;
    format_time(true, stat->event_min, from);
    format_time(true, stat->event_max, to);
    mr_bytes_printf(line, ",\"event_time_min\":\"%s\",\"event_time_max\":\"%s\"", from, to);
}

static void json_summary(mr_bytes *line, const topic_view *view)
{
    mr_bytes_append_text(line, "{\"topic\":");
    mr_encode_json_text(mr_topic_name(view->topic), strlen(mr_topic_name(view->topic)), line);
    mr_bytes_printf(line, ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"partitions\":%" PRIu32,
                    view->total.end_offset - view->total.first_offset, view->total.bytes,
                    view->partition_count);
    json_times(line, &view->total);
}

/* ---- list ---- */

static void list_line(mr_session *session, const topic_view *view)
{
    char count[32], size[32];
    if (session->json) {
        mr_bytes line = {0};
        json_summary(&line, view);
        mr_bytes_append_text(&line, "}\n");
        mr_output_bytes(&session->out, line.data, line.size);
        mr_bytes_deinit(&line);
        return;
    }
    mr_output_printf(&session->out, "%-40s %14s records  %10s  %" PRIu32 " partition%s\n",
                     mr_topic_name(view->topic),
                     mr_text_count(view->total.end_offset - view->total.first_offset, count),
                     mr_text_size(view->total.bytes, size), view->partition_count,
                     view->partition_count == 1 ? "" : "s");
}

static mr_status list_topic(mr_session *session, mr_log *log, const char *name, mr_error *err)
{
    topic_view view;
    if (mr_arguments_flag(&session->arguments, "names")) {
        mr_output_printf(&session->out, "%s\n", name);
        return MR_OK;
    }
    MR_TRY(open_view(log, name, &view, err));
    list_line(session, &view);
    close_view(&view);
    return MR_OK;
}

/* Topics of the program itself, as journals, are shown when they are asked for. */
static bool is_shown(const mr_session *session, const char *name)
{
    bool asked =
        session->arguments.operand_count > 0 || mr_arguments_flag(&session->arguments, "all");
    return asked || strncmp(name, SYSTEM_TENANT, strlen(SYSTEM_TENANT)) != 0;
}

static mr_status list_run(mr_session *session, mr_error *err)
{
    mr_log *log = NULL;
    char **names = NULL;
    size_t count = 0;
    MR_TRY(mr_session_open_log(session, false, &log, err));
    mr_status status =
        mr_topic_list(log, mr_arguments_operand(&session->arguments, 0), &names, &count, err);
    for (size_t i = 0; i < count && status == MR_OK; i++)
        if (is_shown(session, names[i]))
            status = list_topic(session, log, names[i], err);
    mr_fs_free_names(names, count);
    mr_log_close(log);
    return status;
}

static const struct mr_operand list_operands[] = {
    {"TENANT[/NAMESPACE]", true, false, "only the topics of these"},
    {0},
};

static const struct mr_option list_options[] = {
    {"all", 'a', NULL, NULL, NULL, "also those of the program itself, in the tenant `system`"},
    {"names", '\0', NULL, NULL, NULL, "only the full names, one a line"},
    {0},
};

const struct mr_verb mr_verb_topic_list = {
    .name = "topic list",
    .summary = "list topics with their size",
    .operands = list_operands,
    .options = list_options,
    .run = list_run,
};

/* ---- show ---- */

static void show_json(mr_output *output, const topic_view *view)
{
    mr_bytes line = {0};
    json_summary(&line, view);
    json_text_member(&line, "schema", (const char *)view->schema.data);
    json_text_member(&line, "event_time", view->options.event_time);
    mr_bytes_printf(
        &line, ",\"schema_id\":%" PRIu32 ",\"sync\":\"%s\",\"codec\":\"%s\",\"partition\":[",
        view->schema_id, sync_names[view->options.sync], codec_names[view->options.codec]);
    for (uint32_t i = 0; i < view->partition_count; i++) {
        const mr_partition_stat *stat = &view->partitions[i];
        mr_bytes_printf(&line,
                        "%s{\"first_offset\":%" PRIu64 ",\"end_offset\":%" PRIu64
                        ",\"durable_offset\":%" PRIu64 ",\"bytes\":%" PRIu64
                        ",\"segments\":%" PRIu32,
                        i > 0 ? "," : "", stat->first_offset, stat->end_offset,
                        stat->durable_offset, stat->bytes, stat->segment_count);
        json_times(&line, stat);
        mr_bytes_append_text(&line, "}");
    }
    mr_bytes_append_text(&line, "]}\n");
    mr_output_bytes(output, line.data, line.size);
    mr_bytes_deinit(&line);
}

static void show_partition(mr_output *output, uint32_t index, const mr_partition_stat *stat)
{
    char from[MR_TIME_TEXT_MAX + 1], to[MR_TIME_TEXT_MAX + 1], size[32];
    format_time(stat->has_event_time, stat->event_min, from);
    format_time(stat->has_event_time, stat->event_max, to);
    mr_output_printf(output,
                     "partition %-3" PRIu32 " offsets %" PRIu64 " to %" PRIu64 ", %s in %" PRIu32
                     " segment%s%s%s%s%s\n",
                     index, stat->first_offset, stat->end_offset, mr_text_size(stat->bytes, size),
                     stat->segment_count, stat->segment_count == 1 ? "" : "s",
                     stat->has_event_time ? ", " : "", from, stat->has_event_time ? " to " : "",
                     to);
}

/* In the largest unit that divides it. */
static const char *format_age(uint64_t ms, char *out)
{
    static const struct {
        uint64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (ms % units[i].ms != 0)
        i++;
    (void)snprintf(out, 32, "%" PRIu64 "%s", ms / units[i].ms, units[i].unit);
    return out;
}

static void show_text(mr_output *output, const topic_view *view)
{
    char size[32];
    mr_output_printf(output, "topic         %s\nschema %-6" PRIu32 " %s\n",
                     mr_topic_name(view->topic), view->schema_id, (const char *)view->schema.data);
    if (view->options.event_time[0] != '\0')
        mr_output_printf(output, "event time    %s\n", view->options.event_time);
    mr_output_printf(output, "sync          %s", sync_names[view->options.sync]);
    if (view->options.sync == MR_LOG_SYNC_INTERVAL)
        mr_output_printf(output, " %" PRIu32 " ms", view->options.sync_interval_ms);
    mr_output_printf(output, "\ncodec         %s\n", codec_names[view->options.codec]);
    if (view->options.retention_bytes > 0)
        mr_output_printf(output, "retention     %s a partition\n",
                         mr_text_size(view->options.retention_bytes, size));
    if (view->options.retention_age_ms > 0)
        mr_output_printf(output, "retention     %s\n",
                         format_age(view->options.retention_age_ms, size));
    for (uint32_t i = 0; i < view->partition_count; i++)
        show_partition(output, i, &view->partitions[i]);
}

static mr_status show_run(mr_session *session, mr_error *err)
{
    mr_log *log = NULL;
    topic_view view;
    MR_TRY(mr_session_open_log(session, false, &log, err));
    mr_status status = open_view(log, mr_arguments_operand(&session->arguments, 0), &view, err);
    if (status == MR_OK) {
        if (session->json)
            show_json(&session->out, &view);
        else
            show_text(&session->out, &view);
        close_view(&view);
    }
    mr_log_close(log);
    return status;
}

static const struct mr_operand topic_operands[] = {
    {"TOPIC", false, false,
     "tenant/namespace/topic, or a short name, which lives in default/default"},
    {0},
};

const struct mr_verb mr_verb_topic_show = {
    .name = "topic show",
    .summary = "show a topic's schema, options, offsets and times",
    .operands = topic_operands,
    .run = show_run,
};

/* ---- delete ---- */

static mr_status delete_run(mr_session *session, mr_error *err)
{
    mr_log *log = NULL;
    const char *name = mr_arguments_operand(&session->arguments, 0);
    if (!mr_arguments_flag(&session->arguments, "yes"))
        return MR_FAIL(err, MR_INVALID,
                       "deleting %s removes all its records for good; say --yes to do it", name);
    MR_TRY(mr_session_open_log(session, false, &log, err));
    mr_status status = mr_topic_delete(log, name, err);
    if (status == MR_OK)
        mr_session_say(session, "deleted topic %s", name);
    mr_log_close(log);
    return status;
}

static const struct mr_option delete_options[] = {
    {"yes", 'y', NULL, NULL, NULL, "really do it"},
    {0},
};

const struct mr_verb mr_verb_topic_delete = {
    .name = "topic delete",
    .summary = "remove a topic and all its records",
    .operands = topic_operands,
    .options = delete_options,
    .run = delete_run,
};
