/* plan_source.c -- sources of a plan: their schemas, conditions and derived columns. */
#include "pipeline/plan_internal.h"

#include "base/assert.h"
#include "base/time.h"

#include <string.h>

void plan_release_source(plan_source *source)
{
    mr_schema_release(source->schema);
    mr_schema_release(source->frame);
    mr_expr_destroy(source->check);
    mr_expr_destroy(source->filter);
    plan_release_columns(&source->derive);
}

/* ---- the schema ---- */

static mr_status declared_schema(plan_maker *maker, const mr_spec_source *from, mr_schema **out)
{
    mr_field *fields = MR_ARENA_ARRAY(maker->arena, mr_field, from->schema.count);
    if (fields == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    for (size_t i = 0; i < from->schema.count; i++) {
        const mr_spec_pair *pair = &from->schema.items[i];
        fields[i].name = pair->name.text;
        if (mr_field_parse_type(pair->value.text, strlen(pair->value.text), &fields[i],
                                maker->err) != MR_OK) {
            mr_error_place(maker->err, maker->plan->file, pair->value.line, pair->value.column);
            return MR_INVALID;
        }
    }
    mr_status status = mr_schema_create(fields, from->schema.count, out, maker->err);
    if (status == MR_INVALID)
        mr_error_place(maker->err, maker->plan->file, from->name.line, from->name.column);
    return status;
}

/* A topic that exists has the last word: what is declared must be readable from it. */
static mr_status topic_schema(plan_maker *maker, const mr_spec_source *from, plan_source *source)
{
    if (maker->log == NULL)
        return MR_NOT_FOUND;
    mr_topic *topic = NULL;
    mr_status status = mr_topic_open(maker->log, source->topic, &topic, maker->err);
    if (status != MR_OK)
        return status;
    mr_schema *stored = NULL;
    status = mr_topic_schema(topic, &stored, NULL, maker->err);
    mr_topic_close(topic);
    if (status != MR_OK)
        return status;
    if (source->schema == NULL) {
        source->schema = stored;
        return MR_OK;
    }
    status = mr_schema_check_readable(stored, source->schema, maker->err);
    mr_schema_release(stored);
    if (status == MR_OK)
        return MR_OK;
    char text[MR_ERROR_TEXT_MAX];
    (void)memcpy(text, maker->err != NULL ? maker->err->text : "",
                 maker->err != NULL ? sizeof text : 1);
    return PLAN_FAIL(maker, &from->name, MR_CONFLICT, "source %s does not fit topic %s: %.400s",
                     source->name, source->topic, text);
}

static mr_status resolve_topic(plan_maker *maker, const mr_spec_source *from, plan_source *source)
{
    char name[MR_TOPIC_NAME_MAX];
    if (mr_topic_name_resolve(from->topic.text, name, maker->err) != MR_OK) {
        mr_error_place(maker->err, maker->plan->file, from->topic.line, from->topic.column);
        return MR_INVALID;
    }
    source->topic = mr_arena_strdup(maker->arena, name);
    if (source->topic == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    mr_error ignored;
    mr_error *err = maker->err;
    maker->err = &ignored;
    mr_error_clear(&ignored);
    mr_status status = topic_schema(maker, from, source);
    maker->err = err;
    if (status == MR_NOT_FOUND && source->schema != NULL)
        return MR_OK;
    if (status == MR_NOT_FOUND)
        return PLAN_FAIL(maker, &from->topic, MR_INVALID,
                         "topic %s does not exist, so source %s needs a schema", source->topic,
                         source->name);
    if (status != MR_OK && err != NULL)
        *err = ignored;
    return status;
}

static mr_status resolve_files(plan_maker *maker, const mr_spec_source *from, plan_source *source)
{
    const char **files = MR_ARENA_ARRAY(maker->arena, const char *, from->files.count);
    if (files == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    for (size_t i = 0; i < from->files.count; i++) {
        const char *path = from->files.items[i].text;
        files[i] = path[0] == '/' || strcmp(path, "-") == 0 || maker->folder == NULL
                       ? path
                       : mr_arena_printf(maker->arena, "%s/%s", maker->folder, path);
        if (files[i] == NULL)
            return MR_OUT_OF_MEMORY(maker->err);
    }
    source->files = files;
    source->file_count = from->files.count;
    const mr_spec_text *said = from->format.text != NULL ? &from->format : &from->files.items[0];
    bool known = from->format.text != NULL
                     ? mr_text_format_parse(said->text, strlen(said->text), &source->format)
                     : mr_text_format_of_path(said->text, &source->format);
    if (!known)
        return PLAN_FAIL(maker, said, MR_INVALID,
                         "'%s' does not say its format; add format: csv or jsonl", said->text);
    mr_rename *renames = MR_ARENA_ARRAY(maker->arena, mr_rename, from->columns.count);
    if (renames == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    for (size_t i = 0; i < from->columns.count; i++) {
        uint32_t ignored;
        MR_TRY(plan_find_column(maker, &from->columns.items[i].name, source->schema, &ignored));
        renames[i] =
            (mr_rename){from->columns.items[i].value.text, from->columns.items[i].name.text};
    }
    source->renames = renames;
    source->rename_count = from->columns.count;
    return MR_OK;
}

static mr_status resolve_start(plan_maker *maker, const mr_spec_source *from, plan_source *source)
{
    source->start = (mr_log_start){.kind = MR_LOG_START_FIRST};
    if (from->from.text == NULL || strcmp(from->from.text, "earliest") == 0)
        return MR_OK;
    source->start.kind = MR_LOG_START_END;
    if (strcmp(from->from.text, "latest") == 0)
        return MR_OK;
    source->start.kind = MR_LOG_START_EVENT_TIME;
    if (mr_time_parse(from->from.text, strlen(from->from.text), false, &source->start.event_time,
                      NULL, NULL))
        return MR_OK;
    return PLAN_FAIL(maker, &from->from, MR_INVALID,
                     "from: '%s' is neither earliest, latest nor a time", from->from.text);
}

/* ---- derived columns ---- */

/* The source's frame grows by one column at a time, so that a derive may use those above it. */
static mr_status derive_columns(plan_maker *maker, const mr_spec_source *from, plan_source *source)
{
    size_t room = source->schema->field_count + from->derive.count;
    mr_field *fields = MR_ARENA_ARRAY(maker->arena, mr_field, room);
    source->derive.items = MR_ARENA_ARRAY(maker->arena, plan_column, from->derive.count + 1);
    if (fields == NULL || source->derive.items == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    size_t count = source->schema->field_count;
    memcpy(fields, source->schema->fields, count * sizeof *fields);
    source->frame = mr_schema_retain(source->schema);
    for (size_t i = 0; i < from->derive.count; i++) {
        const mr_spec_pair *pair = &from->derive.items[i];
        plan_column *column = &source->derive.items[i];
        *column = (plan_column){.name = pair->name.text, .index = (uint32_t)count};
        MR_TRY(plan_compile(maker, &pair->value, source->frame, false, &column->expr));
        source->derive.count++;
        fields[count++] = (mr_field){.name = pair->name.text,
                                     .type = mr_expr_type(column->expr),
                                     .nullable = mr_expr_nullable(column->expr)};
        mr_schema *grown = NULL;
        if (mr_schema_create(fields, count, &grown, maker->err) != MR_OK) {
            mr_error_place(maker->err, maker->plan->file, pair->name.line, pair->name.column);
            return MR_INVALID;
        }
        mr_schema_release(source->frame);
        source->frame = grown;
    }
    return MR_OK;
}

static mr_status make_source(plan_maker *maker, const mr_spec_source *from, plan_source *source)
{
    source->name = from->name.text;
    source->idle_us = from->idle_us;
    if (from->schema.count > 0)
        MR_TRY(declared_schema(maker, from, &source->schema));
    MR_TRY(from->topic.text != NULL ? resolve_topic(maker, from, source)
                                    : resolve_files(maker, from, source));
    MR_TRY(resolve_start(maker, from, source));
    MR_TRY(plan_find_column(maker, &from->event_time, source->schema, &source->event_time));
    const mr_field *time = &source->schema->fields[source->event_time];
    if (time->type.id != MR_TIMESTAMP || time->nullable)
        return PLAN_FAIL(
            maker, &from->event_time, MR_INVALID,
            "event_time of source %s must be a timestamp that is never NULL; %s is not",
            source->name, time->name);
    if (from->check.text != NULL)
        MR_TRY(plan_compile(maker, &from->check, source->schema, true, &source->check));
    if (from->filter.text != NULL)
        MR_TRY(plan_compile(maker, &from->filter, source->schema, true, &source->filter));
    return derive_columns(maker, from, source);
}

mr_status plan_make_sources(plan_maker *maker)
{
    mr_plan *plan = maker->plan;
    const mr_spec *spec = maker->spec;
    plan->on = UINT32_MAX;
    for (size_t i = 0; i < spec->source_count; i++) {
        plan->source_count++;
        MR_TRY(make_source(maker, &spec->sources[i], &plan->sources[i]));
        if (strcmp(plan->sources[i].name, spec->on.text) == 0)
            plan->on = (uint32_t)i;
    }
    if (plan->on != UINT32_MAX)
        return MR_OK;
    const char *names[MR_SOURCES_MAX];
    for (size_t i = 0; i < plan->source_count; i++)
        names[i] = plan->sources[i].name;
    const char *near =
        mr_expr_closest(spec->on.text, strlen(spec->on.text), names, plan->source_count);
    return PLAN_FAIL(maker, &spec->on, MR_INVALID, "on: there is no source '%s'%s%s%s",
                     spec->on.text, near != NULL ? "; did you mean '" : "",
                     near != NULL ? near : "", near != NULL ? "'?" : "");
}
