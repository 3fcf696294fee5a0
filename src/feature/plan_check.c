/* plan_check.c -- a definition checked, each error saying what would be right, and its canonical text.
 * Thread: start-up. */
#include "feature/feature_internal.h"

#include <stdio.h>

#define LENGTH_MAX_US (INT64_C(10000) * 366 * MR_TIME_US_PER_DAY)
#define TIMES_US_MAX  "10000 years"

/* ---- checks ---- */

static mr_status fail_aggregate(const mr_view_spec *spec, const mr_view_aggregate *aggregate,
                                mr_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static mr_status fail_aggregate(const mr_view_spec *spec, const mr_view_aggregate *aggregate,
                                mr_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)mr_error_setv(err, MR_INVALID, format, args);
    va_end(args);
    mr_error_prefix(err, "view %s, aggregate %s", spec->name, aggregate->name);
    return MR_INVALID;
}

enum { NAME_BYTES = 32, LIST_BYTES = 128 };

static const char *type_name(int id, char name[NAME_BYTES])
{
    return mr_type_format((mr_type){(mr_type_id)id, 0}, name);
}

static const char *window_name(int kind, char name[NAME_BYTES])
{
    (void)name;
    return mr_window_kind_name((mr_window_kind)kind);
}

/* "int32, int64" */
static const char *list_names(uint32_t bits, const char *(*name_of)(int, char *), int count,
                              char out[LIST_BYTES])
{
    char name[NAME_BYTES];
    size_t at = 0;
    for (int i = 0; i < count && at < LIST_BYTES; i++)
        if ((bits >> i & 1) != 0)
            at += (size_t)snprintf(out + at, LIST_BYTES - at, "%s%s", at > 0 ? ", " : "",
                                   name_of(i, name));
    return out;
}

static mr_status check_input(const mr_view_spec *spec, const mr_view_aggregate *aggregate,
                             mr_error *err)
{
    const mr_aggregate_kind *kind = aggregate->kind;
    char types[LIST_BYTES], name[NAME_BYTES];
    if (aggregate->input >= (int)spec->input_count || aggregate->where >= (int)spec->where_count)
        return fail_aggregate(
            spec, aggregate, err, "input %d or where %d is not one of the %zu and %zu given",
            aggregate->input, aggregate->where, spec->input_count, spec->where_count);
    if (kind->input == MR_ARGUMENT_REQUIRED && aggregate->input < 0)
        return fail_aggregate(spec, aggregate, err, "%s needs a column: %s", kind->name,
                              kind->arguments);
    if (kind->input == MR_ARGUMENT_NONE && aggregate->input >= 0)
        return fail_aggregate(spec, aggregate, err, "%s takes no column: %s", kind->name,
                              kind->arguments);
    if (aggregate->input < 0)
        return MR_OK;
    const mr_view_column *input = &spec->inputs[aggregate->input];
    if ((kind->types >> input->type.id & 1) == 0)
        return fail_aggregate(spec, aggregate, err, "%s of %s, which is %s; %s takes %s",
                              kind->name, input->text, type_name((int)input->type.id, name),
                              kind->name, list_names(kind->types, type_name, MR_TYPE_COUNT, types));
    return MR_OK;
}

static mr_status check_parameter(const mr_view_spec *spec, const mr_view_aggregate *aggregate,
                                 mr_error *err)
{
    switch (aggregate->kind->parameter) {
    case MR_PARAMETER_QUANTILE:
        if (!(aggregate->quantile >= 0.0 && aggregate->quantile <= 1.0))
            return fail_aggregate(spec, aggregate, err,
                                  "quantile %g; a number from 0 to 1 is wanted",
                                  aggregate->quantile);
        break;
    case MR_PARAMETER_K:
        if (aggregate->k < 1 || aggregate->k > MR_TOP_K_MAX)
            return fail_aggregate(spec, aggregate, err, "k is %u; 1 to %d is wanted", aggregate->k,
                                  MR_TOP_K_MAX);
        break;
    case MR_PARAMETER_UNIT:
        if (aggregate->unit_us < 0 || aggregate->unit_us > LENGTH_MAX_US)
            return fail_aggregate(spec, aggregate, err,
                                  "a unit of %lld us; up to " TIMES_US_MAX " is wanted",
                                  (long long)aggregate->unit_us);
        break;
    case MR_PARAMETER_NONE:
        break;
    }
    return MR_OK;
}

static mr_status check_window(const mr_view_spec *spec, const mr_view_aggregate *aggregate,
                              mr_error *err)
{
    const mr_aggregate_kind *kind = aggregate->kind;
    const mr_window *window = &aggregate->window;
    char windows[LIST_BYTES];
    bool has_length = window->kind == MR_WINDOW_SLIDING || window->kind == MR_WINDOW_DECAYED ||
                      window->kind == MR_WINDOW_SESSION;
    if (window->kind >= MR_WINDOW_KINDS || (kind->windows >> window->kind & 1) == 0)
        return fail_aggregate(spec, aggregate, err,
                              "%s does not work over a %s window; it does over %s", kind->name,
                              mr_window_kind_name(window->kind),
                              list_names(kind->windows, window_name, MR_WINDOW_KINDS, windows));
    if (has_length && (window->length_us < 1 || window->length_us > LENGTH_MAX_US))
        return fail_aggregate(spec, aggregate, err,
                              "a length of %lld us; 1 us to " TIMES_US_MAX " is wanted",
                              (long long)window->length_us);
    if (window->delay_us < 0 || window->delay_us > LENGTH_MAX_US)
        return fail_aggregate(spec, aggregate, err,
                              "a delay of %lld us; 0 to " TIMES_US_MAX " is wanted",
                              (long long)window->delay_us);
    if (window->kind == MR_WINDOW_LAST && (window->events < 1 || window->events > 1u << 28))
        return fail_aggregate(spec, aggregate, err, "the last %u records; 1 to %u is wanted",
                              window->events, 1u << 28);
    if (spec->resolution_us == 0)
        return MR_OK;
    if (window->kind != MR_WINDOW_SLIDING && window->kind != MR_WINDOW_LIFETIME)
        return fail_aggregate(spec, aggregate, err,
                              "a %s window needs single records, and this view keeps "
                              "tiles (resolution): put it into a view of its own",
                              mr_window_kind_name(window->kind));
    if (window->kind == MR_WINDOW_SLIDING && window->length_us < spec->resolution_us)
        return fail_aggregate(spec, aggregate, err,
                              "a window of %lld us is shorter than the resolution, %lld "
                              "us",
                              (long long)window->length_us, (long long)spec->resolution_us);
    return MR_OK;
}

static mr_status check_aggregate(const mr_view_spec *spec, size_t index, mr_error *err)
{
    const mr_view_aggregate *aggregate = &spec->aggregates[index];
    if (aggregate->name == NULL || aggregate->name[0] == '\0' || aggregate->kind == NULL)
        return MR_FAIL(err, MR_INVALID, "view %s: aggregate %zu has no %s", spec->name, index,
                       aggregate->kind == NULL ? "kind" : "name");
    for (size_t i = 0; i < index; i++)
        if (strcmp(spec->aggregates[i].name, aggregate->name) == 0)
            return fail_aggregate(spec, aggregate, err, "this name is given twice");
    MR_TRY(check_input(spec, aggregate, err));
    MR_TRY(check_parameter(spec, aggregate, err));
    if (aggregate->empty_given && mr_type_is_text(feature_output_type(spec, aggregate).id))
        return fail_aggregate(spec, aggregate, err, "`empty` is for numbers, and this is text");
    return check_window(spec, aggregate, err);
}

static mr_status check_columns(const mr_view_spec *spec, mr_error *err)
{
    char name[NAME_BYTES];
    if (spec->key_count < 1 || spec->key_count > MR_VIEW_KEYS_MAX)
        return MR_FAIL(err, MR_INVALID, "view %s: %zu key columns; 1 to %d are wanted", spec->name,
                       spec->key_count, MR_VIEW_KEYS_MAX);
    for (size_t i = 0; i < spec->key_count; i++)
        if (spec->keys[i].id == MR_FLOAT32 || spec->keys[i].id == MR_FLOAT64 ||
            spec->keys[i].id >= MR_VECTOR)
            return MR_FAIL(err, MR_INVALID,
                           "view %s: a key of type %s; bool, int32, int64, timestamp, "
                           "string and bytes can be keys",
                           spec->name, type_name((int)spec->keys[i].id, name));
    uint32_t bits = (uint32_t)spec->where_count;
    for (size_t i = 0; i < spec->input_count; i++) {
        if ((MR_TYPES_ANY >> spec->inputs[i].type.id & 1) == 0)
            return MR_FAIL(err, MR_INVALID, "view %s: %s is a %s, which nothing aggregates",
                           spec->name, spec->inputs[i].text,
                           type_name((int)spec->inputs[i].type.id, name));
        bits += spec->inputs[i].type.id != MR_FLOAT64 && spec->inputs[i].type.id != MR_FLOAT32;
    }
    if (spec->input_count > MR_VIEW_INPUTS_MAX || bits > 64)
        return MR_FAIL(err, MR_INVALID,
                       "view %s: %zu inputs, of them and the conditions %u need a flag; at "
                       "most %d inputs and 64 flags can be had",
                       spec->name, spec->input_count, bits, MR_VIEW_INPUTS_MAX);
    for (size_t i = 0; i < spec->where_count; i++)
        if (spec->wheres[i].type.id != MR_BOOL)
            return MR_FAIL(err, MR_INVALID, "view %s: condition %s is %s, not bool", spec->name,
                           spec->wheres[i].text, type_name((int)spec->wheres[i].type.id, name));
    return MR_OK;
}

mr_status feature_plan_check(const mr_view_spec *spec, mr_error *err)
{
    if (spec->name == NULL || spec->name[0] == '\0')
        return MR_FAIL(err, MR_INVALID, "a view without a name");
    MR_TRY(check_columns(spec, err));
    if (spec->aggregate_count < 1 || spec->aggregate_count > MR_VIEW_AGGREGATES_MAX)
        return MR_FAIL(err, MR_INVALID, "view %s: %zu aggregates; 1 to %d are wanted", spec->name,
                       spec->aggregate_count, MR_VIEW_AGGREGATES_MAX);
    if (spec->resolution_us < 0 || spec->resolution_us > LENGTH_MAX_US || spec->ttl_us < 0 ||
        spec->lateness_us < MR_VIEW_LATENESS_DEFAULT || spec->lateness_us > LENGTH_MAX_US)
        return MR_FAIL(err, MR_INVALID,
                       "view %s: resolution, lateness and ttl are from 0 to " TIMES_US_MAX,
                       spec->name);
    for (size_t i = 0; i < spec->aggregate_count; i++)
        MR_TRY(check_aggregate(spec, i, err));
    return MR_OK;
}

/* ---- the canonical text ---- */

static void write_window(const mr_window *window, mr_bytes *out)
{
    mr_bytes_printf(out, " over %s", mr_window_kind_name(window->kind));
    if (window->kind == MR_WINDOW_LAST)
        mr_bytes_printf(out, " %u", window->events);
    else if (window->kind != MR_WINDOW_LIFETIME && window->kind != MR_WINDOW_DAY)
        mr_bytes_printf(out, " %lldus", (long long)window->length_us);
    if (window->delay_us > 0)
        mr_bytes_printf(out, " delayed %lldus", (long long)window->delay_us);
}

/* What the stored state depends on; names of outputs, q, k and empty values are none of it. */
void feature_plan_text(const mr_view_spec *spec, const feature_plan *plan, mr_bytes *out)
{
    char name[NAME_BYTES];
    mr_bytes_printf(out, "view %s\n", spec->name);
    if (spec->lineage != NULL)
        mr_bytes_printf(out, "of %s\n", spec->lineage);
    mr_bytes_append_text(out, "key:");
    for (size_t i = 0; i < spec->key_count; i++)
        mr_bytes_printf(out, " %s", type_name((int)spec->keys[i].id, name));
    mr_bytes_printf(out, "\nresolution %lldus lateness %lldus ttl %lldus\n",
                    (long long)plan->resolution_us, (long long)plan->lateness_us,
                    (long long)plan->ttl_us);
    for (size_t i = 0; i < spec->input_count; i++)
        mr_bytes_printf(out, "input %s: %s\n", spec->inputs[i].text,
                        type_name((int)spec->inputs[i].type.id, name));
    for (size_t i = 0; i < spec->where_count; i++)
        mr_bytes_printf(out, "where %s\n", spec->wheres[i].text);
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const mr_view_aggregate *aggregate = &spec->aggregates[i];
        mr_bytes_printf(out, "%s(%s)", aggregate->kind->name,
                        aggregate->input >= 0 ? spec->inputs[aggregate->input].text : "");
        if (aggregate->where >= 0)
            mr_bytes_printf(out, " where %s", spec->wheres[aggregate->where].text);
        write_window(&aggregate->window, out);
        mr_bytes_append_byte(out, '\n');
    }
}
