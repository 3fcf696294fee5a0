/* plan_view.c -- feature views of a plan: keys, windows, and the expressions that feed them.
 *
 * Every distinct argument and condition is compiled once and evaluated once a micro-batch; the view itself
 * sees only columns. */
#include "pipeline/plan_internal.h"

#include "base/assert.h"
#include "base/time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A view while it is being compiled. */
typedef struct view_maker {
    plan_maker *maker;
    const mr_spec_view *from;
    plan_view *view;
    const mr_schema *source_frame; /* the columns that arguments may use */
    mr_view_aggregate *aggregates;
    size_t aggregate_room;
    size_t aggregate_count;
    bool
        window_key; /* an emitting window: its start is a key column of its own, behind the others */
} view_maker;

void plan_release_view(plan_view *view)
{
    for (size_t i = 0; i < view->input_count; i++)
        mr_expr_destroy(view->inputs[i].expr);
    for (size_t i = 0; i < view->where_count; i++)
        mr_expr_destroy(view->wheres[i].expr);
    view->input_count = view->where_count = 0;
}

/* ---- expressions, shared by canonical text ---- */

/* Takes `expr`: puts it into the list, or finds its equal there. */
static mr_status share_input(plan_maker *maker, mr_expr *expr, plan_input *list, size_t *count,
                             size_t max, const mr_spec_text *where, int *out_index)
{
    mr_bytes text = {0};
    mr_expr_format(expr, &text);
    const char *canonical =
        text.failed ? NULL : mr_arena_strndup(maker->arena, (const char *)text.data, text.size);
    mr_bytes_deinit(&text);
    if (canonical == NULL) {
        mr_expr_destroy(expr);
        return MR_OUT_OF_MEMORY(maker->err);
    }
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(list[i].text, canonical) == 0) {
            mr_expr_destroy(expr);
            *out_index = (int)i;
            return MR_OK;
        }
    }
    if (*count == max) {
        mr_expr_destroy(expr);
        return PLAN_FAIL(maker, where, MR_FULL, "more than %zu different arguments in one view",
                         max);
    }
    *out_index = (int)*count;
    list[(*count)++] = (plan_input){expr, canonical};
    return MR_OK;
}

static mr_status add_input(view_maker *vm, const mr_expr_piece *piece, int *out_index)
{
    mr_expr *expr = NULL;
    MR_TRY(mr_expr_compile(piece->text, piece->bytes, vm->source_frame, &piece->place, &expr,
                           vm->maker->err));
    return share_input(vm->maker, expr, vm->view->inputs, &vm->view->input_count,
                       MR_VIEW_INPUTS_MAX, &vm->from->name, out_index);
}

/* The view's condition and the aggregate's own, joined by `and`. */
static mr_status add_where(view_maker *vm, const mr_spec_text *own, int *out_index)
{
    const mr_spec_text *both[2] = {&vm->from->where, own};
    const char *joined = NULL;
    for (size_t i = 0; i < 2; i++) {
        if (both[i]->text == NULL)
            continue;
        mr_expr *checked = NULL;
        MR_TRY(plan_compile(vm->maker, both[i], vm->source_frame, true, &checked));
        mr_expr_destroy(checked);
        joined = joined == NULL
                     ? both[i]->text
                     : mr_arena_printf(vm->maker->arena, "(%s) and (%s)", joined, both[i]->text);
        if (joined == NULL)
            return MR_OUT_OF_MEMORY(vm->maker->err);
    }
    *out_index = -1;
    if (joined == NULL)
        return MR_OK;
    mr_spec_text text = own->text != NULL ? *own : vm->from->where;
    text.text = joined;
    mr_expr *expr = NULL;
    MR_TRY(plan_compile(vm->maker, &text, vm->source_frame, true, &expr));
    return share_input(vm->maker, expr, vm->view->wheres, &vm->view->where_count,
                       MR_VIEW_WHERES_MAX, &text, out_index);
}

/* ---- lineage ---- */

static void write_derived(mr_bytes *out, const plan_columns *columns, const bool *used)
{
    for (size_t i = 0; i < columns->count; i++) {
        if (!used[columns->items[i].index])
            continue;
        mr_bytes_printf(out, "; %s = ", columns->items[i].name);
        mr_expr_format(columns->items[i].expr, out);
    }
}

static void mark_used(const mr_expr *expr, bool *used)
{
    size_t count;
    const uint32_t *columns = mr_expr_columns(expr, &count);
    for (size_t i = 0; i < count; i++)
        used[columns[i]] = true;
}

/* Derived columns use only columns before them, so one pass from the last to the first closes the set. */
static void close_used(const plan_columns *columns, bool *used)
{
    for (size_t i = columns->count; i-- > 0;)
        if (used[columns->items[i].index])
            mark_used(columns->items[i].expr, used);
}

static void write_filter(mr_bytes *out, const char *what, const mr_expr *expr, bool *used)
{
    if (expr == NULL)
        return;
    mark_used(expr, used);
    mr_bytes_printf(out, "; %s ", what);
    mr_expr_format(expr, out);
}

/* Everything upstream that decides which records the view sees and what is in them: state that came about
 * otherwise is not this view's. */
static mr_status write_lineage(view_maker *vm)
{
    const mr_plan *plan = vm->maker->plan;
    const plan_source *source = &plan->sources[vm->view->source];
    bool *used = MR_ARENA_ARRAY(vm->maker->arena, bool, MR_FIELDS_MAX);
    if (used == NULL)
        return MR_OUT_OF_MEMORY(vm->maker->err);
    mr_bytes out = {0};
    mr_bytes_printf(&out, "%s at %s by", source->topic != NULL ? source->topic : source->files[0],
                    source->schema->fields[source->event_time].name);
    for (size_t i = 0; i < vm->from->key.count; i++) {
        mr_bytes_printf(&out, " %s", vm->from->key.items[i].text);
        used[vm->view->key_columns[i]] = true;
    }
    for (size_t i = 0; i < vm->view->input_count; i++)
        mark_used(vm->view->inputs[i].expr, used);
    for (size_t i = 0; i < vm->view->where_count; i++)
        mark_used(vm->view->wheres[i].expr, used);
    write_filter(&out, "check", source->check, used);
    write_filter(&out, "filter", source->filter, used);
    if (vm->view->self) {
        write_filter(&out, "filter", plan->filter, used);
        close_used(&plan->early, used);
        write_derived(&out, &plan->early, used);
    }
    close_used(&source->derive, used);
    write_derived(&out, &source->derive, used);
    vm->view->spec.lineage =
        out.failed ? NULL : mr_arena_strndup(vm->maker->arena, (const char *)out.data, out.size);
    mr_bytes_deinit(&out);
    return vm->view->spec.lineage != NULL ? MR_OK : MR_OUT_OF_MEMORY(vm->maker->err);
}

/* ---- calls ---- */

static const char *kind_names(mr_arena *arena)
{
    mr_bytes list = {0};
    for (int i = 0; i < MR_AGGREGATE_COUNT_OF; i++)
        mr_bytes_printf(&list, "%s%s", i > 0 ? ", " : "", mr_aggregate_kinds[i].name);
    const char *text =
        list.failed ? NULL : mr_arena_strndup(arena, (const char *)list.data, list.size);
    mr_bytes_deinit(&list);
    return text != NULL ? text : "";
}

static mr_status find_kind(plan_maker *maker, const mr_spec_text *call, const mr_expr_call *parts,
                           const mr_aggregate_kind **out)
{
    *out = mr_aggregate_find(parts->name.text, parts->name.bytes);
    if (*out != NULL)
        return MR_OK;
    const char *names[MR_AGGREGATE_COUNT_OF];
    for (int i = 0; i < MR_AGGREGATE_COUNT_OF; i++)
        names[i] = mr_aggregate_kinds[i].name;
    const char *near =
        mr_expr_closest(parts->name.text, parts->name.bytes, names, MR_AGGREGATE_COUNT_OF);
    if (near != NULL)
        return PLAN_FAIL(maker, call, MR_INVALID, "unknown aggregate %.*s; did you mean %s?",
                         (int)parts->name.bytes, parts->name.text, near);
    return PLAN_FAIL(maker, call, MR_INVALID, "unknown aggregate %.*s; there are %s",
                     (int)parts->name.bytes, parts->name.text, kind_names(maker->arena));
}

static bool piece_number(const mr_expr_piece *piece, double *out)
{
    char text[64];
    if (piece->bytes == 0 || piece->bytes >= sizeof text)
        return false;
    memcpy(text, piece->text, piece->bytes);
    text[piece->bytes] = '\0';
    char *end;
    *out = strtod(text, &end);
    while (*end == ' ')
        end++;
    return *end == '\0' && end != text;
}

static bool piece_duration(const mr_expr_piece *piece, int64_t *out)
{
    size_t at;
    return mr_time_parse_duration(piece->text, piece->bytes, out, &at) && *out > 0;
}

/* The parameter behind the input, by what the kind wants. False: it does not fit. */
static bool read_parameter(const mr_aggregate_kind *kind, const mr_expr_piece *piece,
                           mr_view_aggregate *to)
{
    double number;
    switch (kind->parameter) {
    case MR_PARAMETER_NONE:
        return false;
    case MR_PARAMETER_QUANTILE:
        return piece_number(piece, &to->quantile) && to->quantile >= 0 && to->quantile <= 1;
    case MR_PARAMETER_K:
        if (!piece_number(piece, &number) || number < 1 || number > MR_TOP_K_MAX ||
            number != floor(number))
            return false;
        to->k = (uint32_t)number;
        return true;
    case MR_PARAMETER_UNIT:
        return piece_duration(piece, &to->unit_us);
    }
    return false;
}

static mr_status read_call(view_maker *vm, const mr_spec_text *call, mr_view_aggregate *to)
{
    plan_maker *maker = vm->maker;
    mr_expr_call parts;
    mr_expr_place place = plan_place(maker, call);
    MR_TRY(mr_expr_split_call(call->text, strlen(call->text), &place, &parts, maker->err));
    MR_TRY(find_kind(maker, call, &parts, &to->kind));
    const mr_aggregate_kind *kind = to->kind;
    size_t at = 0;
    to->input = -1;
    int64_t unit;
    bool unit_alone = kind->parameter == MR_PARAMETER_UNIT && kind->input == MR_ARGUMENT_OPTIONAL &&
                      parts.arg_count == 1 && piece_duration(&parts.args[0], &unit);
    if (kind->input != MR_ARGUMENT_NONE && parts.arg_count > 0 && !unit_alone)
        MR_TRY(add_input(vm, &parts.args[at++], &to->input));
    if (at < parts.arg_count && read_parameter(kind, &parts.args[at], to))
        at++;
    bool parameter_missing =
        (kind->parameter == MR_PARAMETER_QUANTILE || kind->parameter == MR_PARAMETER_K) && at < 2;
    if (at == parts.arg_count && parts.rest.bytes == 0 && !parameter_missing &&
        (kind->input != MR_ARGUMENT_REQUIRED || to->input >= 0))
        return MR_OK;
    return PLAN_FAIL(maker, call, MR_INVALID, "'%s' is no call of %s; write %s", call->text,
                     kind->name, kind->arguments);
}

/* ---- windows and names ---- */

static mr_window window_of(const mr_spec_window *from)
{
    mr_window window = {
        .kind = MR_WINDOW_SLIDING, .length_us = from->span_us, .delay_us = from->delay_us};
    if (from->whole)
        window.kind = MR_WINDOW_LIFETIME;
    else if (from->day)
        window.kind = MR_WINDOW_DAY;
    else if (from->session)
        window.kind = MR_WINDOW_SESSION;
    else if (from->decayed)
        window.kind = MR_WINDOW_DECAYED;
    else if (from->last) {
        window.kind = MR_WINDOW_LAST;
        window.events = (uint32_t)from->rows;
    }
    return window;
}

/* Fills {view}, {aggregate} and {window} into the pattern. */
static mr_status output_name(view_maker *vm, const char *aggregate, const char *window,
                             const char **out)
{
    const char *pattern =
        vm->from->names.text != NULL ? vm->from->names.text : "{view}_{aggregate}_{window}";
    const struct {
        const char *mark;
        const char *text;
    } parts[] = {{"{view}", vm->view->name}, {"{aggregate}", aggregate}, {"{window}", window}};
    mr_bytes name = {0};
    for (const char *at = pattern; *at != '\0';) {
        size_t i = 0;
        while (i < MR_COUNT_OF(parts) && strncmp(at, parts[i].mark, strlen(parts[i].mark)) != 0)
            i++;
        if (i < MR_COUNT_OF(parts))
            mr_bytes_append_text(&name, parts[i].text);
        else
            mr_bytes_append_byte(&name, (uint8_t)*at);
        at += i < MR_COUNT_OF(parts) ? strlen(parts[i].mark) : 1;
    }
    *out =
        name.failed ? NULL : mr_arena_strndup(vm->maker->arena, (const char *)name.data, name.size);
    mr_bytes_deinit(&name);
    return *out != NULL ? MR_OK : MR_OUT_OF_MEMORY(vm->maker->err);
}

static mr_status read_empty(plan_maker *maker, const mr_spec_text *text, mr_view_aggregate *to)
{
    if (text->text == NULL)
        return MR_OK;
    mr_expr_piece piece = {.text = text->text, .bytes = strlen(text->text)};
    to->empty_given = true;
    if (piece_number(&piece, &to->empty) && isfinite(to->empty))
        return MR_OK;
    return PLAN_FAIL(maker, text, MR_INVALID, "empty: '%s' is no number", text->text);
}

static mr_status add_aggregate(view_maker *vm, const mr_spec_aggregate *from)
{
    static const mr_spec_window lifetime = {.whole = true, .suffix = "lifetime"};
    const mr_spec_window *windows = from->windows != NULL ? from->windows : vm->from->windows;
    size_t window_count = from->windows != NULL ? from->window_count : vm->from->window_count;
    if (windows == NULL) {
        windows = &lifetime;
        window_count = 1;
    }
    mr_view_aggregate base = {0};
    MR_TRY(read_call(vm, &from->call, &base));
    MR_TRY(add_where(vm, &from->where, &base.where));
    MR_TRY(read_empty(vm->maker, &from->empty, &base));
    for (size_t i = 0; i < window_count; i++) {
        if (vm->aggregate_count == vm->aggregate_room)
            return PLAN_FAIL(vm->maker, &from->name, MR_FULL, "more than %d aggregates in one view",
                             MR_VIEW_AGGREGATES_MAX);
        mr_view_aggregate *to = &vm->aggregates[vm->aggregate_count++];
        *to = base;
        to->window = window_of(&windows[i]);
        MR_TRY(output_name(vm, from->name.text, windows[i].suffix, &to->name));
    }
    return MR_OK;
}

/* ---- keys ---- */

mr_status plan_find_source(plan_maker *maker, const mr_spec_text *name, uint32_t *out)
{
    const mr_plan *plan = maker->plan;
    const char *names[MR_SOURCES_MAX];
    for (uint32_t i = 0; i < plan->source_count; i++) {
        names[i] = plan->sources[i].name;
        if (strcmp(names[i], name->text) == 0) {
            *out = i;
            return MR_OK;
        }
    }
    const char *near = mr_expr_closest(name->text, strlen(name->text), names, plan->source_count);
    return PLAN_FAIL(maker, name, MR_INVALID, "there is no source %s%s%s%s", name->text,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "");
}

static mr_status find_keys(view_maker *vm, const mr_spec_texts *names, const mr_schema *frame,
                           uint32_t **out)
{
    *out = MR_ARENA_ARRAY(vm->maker->arena, uint32_t, names->count);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(vm->maker->err);
    for (size_t i = 0; i < names->count; i++)
        MR_TRY(plan_find_column(vm->maker, &names->items[i], frame, &(*out)[i]));
    return MR_OK;
}

static mr_status read_keys(view_maker *vm, const mr_schema *on_frame)
{
    const mr_spec_view *from = vm->from;
    const mr_spec_texts *lookup = from->lookup.count > 0 ? &from->lookup : &from->key;
    if (from->key.count + vm->window_key > MR_VIEW_KEYS_MAX)
        return PLAN_FAIL(vm->maker, &from->key.items[0], MR_FULL, "more than %d key columns",
                         MR_VIEW_KEYS_MAX);
    if (lookup->count != from->key.count)
        return PLAN_FAIL(vm->maker, &lookup->items[0], MR_INVALID,
                         "lookup names %zu columns, key %zu", lookup->count, from->key.count);
    MR_TRY(find_keys(vm, &from->key, vm->source_frame, &vm->view->key_columns));
    MR_TRY(find_keys(vm, lookup, on_frame, &vm->view->lookup_columns));
    mr_type *types = MR_ARENA_ARRAY(vm->maker->arena, mr_type, from->key.count + 1);
    if (types == NULL)
        return MR_OUT_OF_MEMORY(vm->maker->err);
    types[from->key.count] = (mr_type){MR_TIMESTAMP, 0};
    for (size_t i = 0; i < from->key.count; i++) {
        types[i] = vm->source_frame->fields[vm->view->key_columns[i]].type;
        mr_type other = on_frame->fields[vm->view->lookup_columns[i]].type;
        char a[32], b[32];
        if (!mr_type_equal(types[i], other))
            return PLAN_FAIL(vm->maker, &lookup->items[i], MR_INVALID,
                             "key %s is %s in source %s and %s in the records that look it up",
                             from->key.items[i].text, mr_type_format(types[i], a),
                             vm->maker->plan->sources[vm->view->source].name,
                             mr_type_format(other, b));
    }
    vm->view->spec.keys = types;
    vm->view->spec.key_count = from->key.count + vm->window_key;
    return MR_OK;
}

/* ---- the view ---- */

static mr_status columns_of(plan_maker *maker, const plan_input *inputs, size_t count,
                            mr_view_column **out)
{
    *out = MR_ARENA_ARRAY(maker->arena, mr_view_column, count + 1);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    for (size_t i = 0; i < count; i++)
        (*out)[i] = (mr_view_column){inputs[i].text, mr_expr_type(inputs[i].expr)};
    return MR_OK;
}

static mr_status fill_spec(view_maker *vm)
{
    plan_view *view = vm->view;
    mr_view_column *inputs, *wheres;
    MR_TRY(columns_of(vm->maker, view->inputs, view->input_count, &inputs));
    MR_TRY(columns_of(vm->maker, view->wheres, view->where_count, &wheres));
    view->spec.name = view->name;
    view->spec.inputs = inputs;
    view->spec.input_count = view->input_count;
    view->spec.wheres = wheres;
    view->spec.where_count = view->where_count;
    view->spec.aggregates = vm->aggregates;
    view->spec.aggregate_count = vm->aggregate_count;
    view->spec.resolution_us = vm->from->resolution_us;
    view->spec.lateness_us =
        vm->from->lateness_us < 0 ? MR_VIEW_LATENESS_DEFAULT : vm->from->lateness_us;
    view->spec.ttl_us = vm->from->ttl_us;
    return MR_OK;
}

/* Lets the view itself check the spec and say what it yields. */
static mr_status ask_outputs(view_maker *vm)
{
    plan_maker *maker = vm->maker;
    mr_view *trial = NULL;
    mr_status status = mr_view_create(&vm->view->spec, NULL, &trial, maker->err);
    if (status == MR_INVALID)
        mr_error_place(maker->err, maker->plan->file, vm->from->name.line, vm->from->name.column);
    if (status != MR_OK)
        return status;
    vm->view->output_count = (uint32_t)mr_view_output_count(trial);
    vm->view->outputs = MR_ARENA_ARRAY(maker->arena, mr_field, vm->view->output_count);
    if (vm->view->outputs == NULL)
        status = MR_OUT_OF_MEMORY(maker->err);
    for (size_t i = 0; status == MR_OK && i < vm->view->output_count; i++)
        vm->view->outputs[i] = (mr_field){.name = vm->aggregates[i].name,
                                          .type = mr_view_output_at(trial, i).type,
                                          .nullable = true};
    mr_bytes text = {0};
    mr_view_text(trial, &text);
    vm->view->text =
        text.failed ? NULL : mr_arena_strndup(maker->arena, (const char *)text.data, text.size);
    if (status == MR_OK && vm->view->text == NULL)
        status = MR_OUT_OF_MEMORY(maker->err);
    mr_bytes_deinit(&text);
    mr_view_destroy(trial);
    return status;
}

static mr_status compile_view(view_maker *vm, const mr_schema *on_frame)
{
    plan_maker *maker = vm->maker;
    plan_view *view = vm->view;
    const mr_spec_view *from = vm->from;
    view->inputs = MR_ARENA_ARRAY(maker->arena, plan_input, MR_VIEW_INPUTS_MAX);
    view->wheres = MR_ARENA_ARRAY(maker->arena, plan_input, MR_VIEW_WHERES_MAX);
    size_t room = 0;
    for (size_t i = 0; i < from->aggregate_count; i++)
        room += MR_MAX(from->aggregates[i].window_count, MR_MAX(from->window_count, 1));
    vm->aggregate_room = MR_MIN(room, MR_VIEW_AGGREGATES_MAX);
    vm->aggregates = MR_ARENA_ARRAY(maker->arena, mr_view_aggregate, vm->aggregate_room);
    if (view->inputs == NULL || view->wheres == NULL || vm->aggregates == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    MR_TRY(read_keys(vm, on_frame));
    for (size_t i = 0; i < from->aggregate_count; i++)
        MR_TRY(add_aggregate(vm, &from->aggregates[i]));
    MR_TRY(fill_spec(vm));
    MR_TRY(write_lineage(vm));
    return ask_outputs(vm);
}

static mr_status make_view(plan_maker *maker, const mr_spec_view *from,
                           const mr_schema *early_frame, plan_view *view)
{
    view_maker vm = {.maker = maker, .from = from, .view = view};
    view->name = from->name.text;
    view->source = maker->plan->on;
    if (from->from.text != NULL)
        MR_TRY(plan_find_source(maker, &from->from, &view->source));
    view->self = view->source == maker->plan->on;
    vm.source_frame = view->self ? early_frame : maker->plan->sources[view->source].frame;
    MR_TRY(compile_view(&vm, early_frame));
    view->first_output = (uint32_t)maker->field_count;
    for (size_t i = 0; i < view->output_count; i++)
        MR_TRY(
            plan_add_field(maker, &from->name, view->outputs[i].name, view->outputs[i].type, true));
    return MR_OK;
}

mr_status plan_make_emit_view(plan_maker *maker, const mr_spec_view *from, uint32_t source,
                              const mr_schema *frame, bool window_key, plan_view *view)
{
    view_maker vm = {.maker = maker,
                     .from = from,
                     .view = view,
                     .source_frame = frame,
                     .window_key = window_key};
    view->name = from->name.text;
    view->source = source;
    view->self = source == maker->plan->on;
    return compile_view(&vm, frame);
}

mr_status plan_make_views(plan_maker *maker)
{
    mr_schema *early = NULL;
    MR_TRY(plan_frame_schema(maker, &early));
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < maker->spec->view_count; i++) {
        maker->plan->view_count++;
        status = make_view(maker, &maker->spec->views[i], early, &maker->plan->views[i]);
    }
    mr_schema_release(early);
    return status;
}
