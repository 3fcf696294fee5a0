/* plan_sink.c -- where rows go: the main sink, the routes, and the dead letters. */
#include "pipeline/plan_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

void plan_release_sink(plan_sink *sink)
{
    mr_schema_release(sink->schema);
    mr_expr_destroy(sink->when);
}

mr_status plan_resolve_topic(plan_maker *maker, const mr_spec_text *text, const char **out)
{
    char name[MR_TOPIC_NAME_MAX];
    if (mr_topic_name_resolve(text->text, name, maker->err) != MR_OK) {
        mr_error_place(maker->err, maker->plan->file, text->line, text->column);
        return MR_INVALID;
    }
    *out = mr_arena_strdup(maker->arena, name);
    return *out != NULL ? MR_OK : MR_OUT_OF_MEMORY(maker->err);
}

/* "always", "interval=10ms", "os" */
static mr_status read_sync(plan_maker *maker, const mr_spec_text *text, plan_sink *sink)
{
    int64_t us = 0;
    if (text->text == NULL || strcmp(text->text, "always") == 0) {
        sink->sync = MR_LOG_SYNC_ALWAYS;
    } else if (strcmp(text->text, "os") == 0) {
        sink->sync = MR_LOG_SYNC_OS;
    } else if (strncmp(text->text, "interval=", 9) == 0 && mr_spec_duration(text->text + 9, &us) &&
               us >= 1000 && us <= 60000000) {
        sink->sync = MR_LOG_SYNC_INTERVAL;
        sink->sync_interval_ms = (uint32_t)(us / 1000);
    } else {
        return PLAN_FAIL(maker, text, MR_INVALID,
                         "sync: '%s' is none of always, os and interval=10ms (1ms to 60s)",
                         text->text);
    }
    return MR_OK;
}

static mr_status read_codec(plan_maker *maker, const mr_spec_text *text, plan_sink *sink)
{
    static const char *const names[MR_LOG_CODEC_COUNT] = {
#define X(name, text) [MR_LOG_CODEC_##name] = text,
        MR_LOG_CODEC_MAP(X)
#undef X
    };
    if (text->text == NULL)
        return MR_OK;
    for (int i = 0; i < MR_LOG_CODEC_COUNT; i++) {
        if (strcmp(names[i], text->text) == 0) {
            sink->codec = (mr_log_codec)i;
            return MR_OK;
        }
    }
    return PLAN_FAIL(maker, text, MR_INVALID, "codec: '%s' is none of none, lz4 and zstd",
                     text->text);
}

static mr_status choose_columns(plan_maker *maker, const mr_spec_sink *from, const mr_schema *frame,
                                plan_sink *sink)
{
    sink->column_count =
        from->columns.count > 0 ? (uint32_t)from->columns.count : frame->field_count;
    sink->columns = MR_ARENA_ARRAY(maker->arena, uint32_t, sink->column_count);
    mr_field *fields = MR_ARENA_ARRAY(maker->arena, mr_field, sink->column_count);
    if (sink->columns == NULL || fields == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    for (uint32_t i = 0; i < sink->column_count; i++) {
        sink->columns[i] = i;
        if (from->columns.count > 0)
            MR_TRY(plan_find_column(maker, &from->columns.items[i], frame, &sink->columns[i]));
        fields[i] = frame->fields[sink->columns[i]];
    }
    mr_status status = mr_schema_create(fields, sink->column_count, &sink->schema, maker->err);
    if (status == MR_INVALID)
        mr_error_place(maker->err, maker->plan->file, from->topic.line, from->topic.column);
    return status;
}

mr_status plan_make_sink(plan_maker *maker, const mr_spec_sink *from, const mr_schema *frame,
                         plan_sink *sink)
{
    MR_TRY(plan_resolve_topic(maker, &from->topic, &sink->topic));
    MR_TRY(read_sync(maker, &from->sync, sink));
    MR_TRY(read_codec(maker, &from->codec, sink));
    MR_TRY(choose_columns(maker, from, frame, sink));
    if (from->when.text != NULL)
        MR_TRY(plan_compile(maker, &from->when, frame, true, &sink->when));
    return MR_OK;
}

/* A pipeline that reads what it writes would never end; two sinks on one topic would fence each other. */
mr_status plan_check_topic_free(plan_maker *maker, const mr_spec_text *where, const char *topic)
{
    const mr_plan *plan = maker->plan;
    for (size_t i = 0; i < plan->source_count; i++)
        if (plan->sources[i].topic != NULL && strcmp(plan->sources[i].topic, topic) == 0)
            return PLAN_FAIL(maker, where, MR_INVALID, "topic %s is a source of this pipeline",
                             topic);
    bool taken = false;
    for (size_t i = 0; i < plan->sink_count; i++)
        taken = taken || strcmp(plan->sinks[i].topic, topic) == 0;
    for (size_t i = 0; i < plan->emit_count; i++)
        taken = taken || (plan->emits[i].sink.topic != NULL &&
                          strcmp(plan->emits[i].sink.topic, topic) == 0);
    if (taken)
        return PLAN_FAIL(maker, where, MR_INVALID, "topic %s is a sink of this pipeline already",
                         topic);
    return MR_OK;
}

/* A decision happens when its record does. */
static const char *event_time_of(const mr_plan *plan, const plan_sink *sink)
{
    const plan_source *on = &plan->sources[plan->on];
    const char *name = on->schema->fields[on->event_time].name;
    return mr_schema_find(sink->schema, name) >= 0 ? name : NULL;
}

static mr_status add_sink(plan_maker *maker, const mr_spec_sink *from)
{
    mr_plan *plan = maker->plan;
    const char *topic;
    MR_TRY(plan_resolve_topic(maker, &from->topic, &topic));
    MR_TRY(plan_check_topic_free(maker, &from->topic, topic));
    plan_sink *sink = &plan->sinks[plan->sink_count++];
    MR_TRY(plan_make_sink(maker, from, plan->frame, sink));
    sink->event_time = event_time_of(plan, sink);
    return MR_OK;
}

static mr_status make_dead_letters(plan_maker *maker)
{
    mr_spec_text said = maker->spec->dead_letters;
    if (said.text == NULL) {
        said = maker->spec->name;
        said.text = mr_arena_printf(maker->arena, "%s.dead", maker->plan->name);
        if (said.text == NULL)
            return MR_OUT_OF_MEMORY(maker->err);
    }
    return plan_resolve_topic(maker, &said, &maker->plan->dead_letters);
}

mr_status plan_make_sinks(plan_maker *maker)
{
    const mr_spec *spec = maker->spec;
    maker->plan->has_main_sink = spec->sink.topic.text != NULL;
    if (maker->plan->has_main_sink)
        MR_TRY(add_sink(maker, &spec->sink));
    for (size_t i = 0; i < spec->route_count; i++)
        MR_TRY(add_sink(maker, &spec->routes[i]));
    return make_dead_letters(maker);
}
