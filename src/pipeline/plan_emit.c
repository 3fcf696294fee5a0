/* plan_emit.c -- windows that emit rows: their view, their rows, their sink.
 *
 * An emitting window is a feature view that is asked once, when its time has come. Tumbling and hopping windows
 * are keys of their own (the entity and the window's start) with lifetime aggregates; a session is a session
 * window asked as of its last record. So every aggregate is computed by the one engine there is. */
#include "pipeline/plan_internal.h"

#include "base/assert.h"

#include <string.h>

/* A session's records are kept until it has emitted, not by time: a record from the far future must not push the
 * others of its key out. */
#define SESSION_KEEP_US (INT64_C(10000) * 365 * 86400000000)

void plan_release_emits(mr_plan *plan)
{
    for (size_t i = 0; i < plan->emit_count; i++) {
        plan_release_view(&plan->emits[i].view);
        plan_release_sink(&plan->emits[i].sink);
        mr_expr_destroy(plan->emits[i].where);
        mr_schema_release(plan->emits[i].frame);
    }
    plan->emit_count = 0;
}

/* The user's aggregates, and behind them what tells a session's ends. */
static mr_status list_aggregates(plan_maker *maker, const mr_spec_emit *from,
                                 const char *event_time, mr_spec_view *view)
{
    bool session = from->kind == MR_EMIT_SESSION;
    size_t count = from->aggregate_count + (session ? 2 : 0);
    view->aggregates = MR_ARENA_ARRAY(maker->arena, mr_spec_aggregate, count);
    if (view->aggregates == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    memcpy(view->aggregates, from->aggregates, from->aggregate_count * sizeof *view->aggregates);
    view->aggregate_count = count;
    for (size_t i = 0; i < from->aggregate_count; i++)
        if (from->aggregates[i].windows != NULL)
            return PLAN_FAIL(maker, &from->aggregates[i].name, MR_INVALID,
                             "the window of an emitting aggregate is that of its section");
    static const char *const calls[] = {"min", "max"}, *const names[] = {" first", " last"};
    for (size_t i = 0; session && i < 2; i++) {
        const char *call = mr_arena_printf(maker->arena, "%s(%s)", calls[i], event_time);
        if (call == NULL)
            return MR_OUT_OF_MEMORY(maker->err);
        view->aggregates[from->aggregate_count + i] =
            (mr_spec_aggregate){.name = {names[i], from->name.line, from->name.column},
                                .call = {call, from->name.line, from->name.column}};
    }
    return MR_OK;
}

static mr_status make_view(plan_maker *maker, const mr_spec_emit *from, const mr_schema *frame,
                           plan_emit *emit)
{
    static const mr_spec_text pattern = {"{aggregate}", 0, 0};
    mr_spec_window *window = MR_ARENA_NEW(maker->arena, mr_spec_window);
    const plan_source *source = &maker->plan->sources[emit->source];
    if (window == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    *window = (mr_spec_window){
        .whole = !emit->session, .session = emit->session, .span_us = emit->gap_us, .suffix = ""};
    mr_spec_view view = {.name = from->name,
                         .key = from->key,
                         .windows = window,
                         .window_count = 1,
                         .names = pattern,
                         .lateness_us = -1};
    if (emit->session)
        view.lateness_us = SESSION_KEEP_US;
    view.name.text = mr_arena_printf(maker->arena, "aggregate/%s", from->name.text);
    if (view.name.text == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    MR_TRY(list_aggregates(maker, from, source->schema->fields[source->event_time].name, &view));
    if (emit->session && from->key.count == 0)
        return PLAN_FAIL(maker, &from->window, MR_INVALID,
                         "a session window needs a key: whose session is it?");
    return plan_make_emit_view(maker, &view, emit->source, frame, !emit->session, &emit->view);
}

static mr_status make_frame(plan_maker *maker, const mr_spec_emit *from,
                            const mr_schema *source_frame, plan_emit *emit)
{
    mr_field *fields =
        MR_ARENA_ARRAY(maker->arena, mr_field, emit->key_count + 2 + emit->value_count);
    if (fields == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    size_t count = 0;
    for (uint32_t i = 0; i < emit->key_count; i++) {
        fields[count] = source_frame->fields[emit->view.key_columns[i]];
        fields[count++].nullable = false;
    }
    fields[count++] = (mr_field){.name = "window_start", .type = {MR_TIMESTAMP, 0}};
    fields[count++] = (mr_field){.name = "window_end", .type = {MR_TIMESTAMP, 0}};
    memcpy(fields + count, emit->view.outputs, emit->value_count * sizeof *fields);
    mr_status status =
        mr_schema_create(fields, count + emit->value_count, &emit->frame, maker->err);
    if (status == MR_INVALID)
        mr_error_place(maker->err, maker->plan->file, from->name.line, from->name.column);
    return status;
}

static mr_status make_sink(plan_maker *maker, const mr_spec_emit *from, plan_emit *emit)
{
    const char *topic;
    MR_TRY(plan_resolve_topic(maker, &from->sink.topic, &topic));
    MR_TRY(plan_check_topic_free(maker, &from->sink.topic, topic));
    return plan_make_sink(maker, &from->sink, emit->frame, &emit->sink);
}

static mr_status make_emit(plan_maker *maker, const mr_spec_emit *from, const mr_schema *early,
                           plan_emit *emit)
{
    emit->name = from->name.text;
    emit->source = maker->plan->on;
    if (from->from.text != NULL)
        MR_TRY(plan_find_source(maker, &from->from, &emit->source));
    const mr_schema *frame =
        emit->source == maker->plan->on ? early : maker->plan->sources[emit->source].frame;
    emit->session = from->kind == MR_EMIT_SESSION;
    emit->width_us = from->width_us;
    emit->hop_us = from->hop_us;
    emit->gap_us = from->gap_us;
    emit->lateness_us = from->lateness_us;
    emit->key_count = (uint32_t)from->key.count;
    emit->value_count = (uint32_t)from->aggregate_count;
    if (from->where.text != NULL)
        MR_TRY(plan_compile(maker, &from->where, frame, true, &emit->where));
    MR_TRY(make_view(maker, from, frame, emit));
    MR_TRY(make_frame(maker, from, frame, emit));
    return make_sink(maker, from, emit);
}

/* The columns of the `on` source that are there before features. */
static mr_status early_frame(plan_maker *maker, mr_schema **out)
{
    const mr_plan *plan = maker->plan;
    size_t count = plan->sources[plan->on].frame->field_count + plan->early.count;
    return mr_schema_create(plan->frame->fields, count, out, maker->err);
}

mr_status plan_make_emits(plan_maker *maker)
{
    mr_plan *plan = maker->plan;
    const mr_spec *spec = maker->spec;
    mr_schema *early = NULL;
    plan->emits = MR_ARENA_ARRAY(maker->arena, plan_emit, spec->emit_count + 1);
    if (plan->emits == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    MR_TRY(early_frame(maker, &early));
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < spec->emit_count; i++) {
        plan->emit_count++;
        status = make_emit(maker, &spec->emits[i], early, &plan->emits[i]);
    }
    mr_schema_release(early);
    return status;
}
