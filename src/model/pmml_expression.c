/* pmml_expression.c -- the value of an expression for one row. */
#include "model/pmml_program.h"

#include "base/assert.h"
#include "base/number.h"

/* ---- conversion ---- */

static double number_of_text(mr_pmml_state *state, double value)
{
    mr_pmml_text text = mr_pmml_value_text(state, value);
    double number;
    return mr_number_is_float64((const char *)text.bytes, text.size, &number) ? number
                                                                              : mr_pmml_invalid();
}

/* Numbers as Java writes them, since that is how categories of numbers are written in PMML files: 2 -> "2" of an integer,
 * "2.0" of a double. */
static double text_of_number(mr_pmml_state *state, double value, uint8_t type)
{
    char text[MR_NUMBER_TEXT_MAX + 2];
    if (type == MR_PMML_BOOLEAN)
        return value != 0 ? mr_pmml_text_value(state, "true", 4)
                          : mr_pmml_text_value(state, "false", 5);
    size_t size = type == MR_PMML_FLOAT ? mr_number_format_float32((float)value, text)
                                        : mr_number_format_float64(value, text);
    bool whole = type != MR_PMML_INTEGER && memchr(text, '.', size) == NULL &&
                 memchr(text, 'e', size) == NULL && isfinite(value);
    if (whole) {
        memcpy(text + size, ".0", 2);
        size += 2;
    }
    return mr_pmml_text_value(state, text, size);
}

double mr_pmml_convert(mr_pmml_state *state, double value, uint8_t from, uint8_t to)
{
    if (isnan(value) || from == to)
        return value;
    if (to == MR_PMML_STRING)
        return text_of_number(state, value, from);
    if (from == MR_PMML_STRING)
        value = number_of_text(state, value);
    if (isnan(value))
        return value;
    switch (to) {
    case MR_PMML_FLOAT:
        return (double)(float)value;
    case MR_PMML_INTEGER:
        return value == trunc(value) ? value : mr_pmml_invalid();
    case MR_PMML_BOOLEAN:
        return value == 0 || value == 1 ? value : mr_pmml_invalid();
    default:
        return value;
    }
}

/* ---- pieces ---- */

static double interpolate(const double *from, const double *to, double x)
{
    return from[1] + (x - from[0]) / (to[0] - from[0]) * (to[1] - from[1]);
}

/* Between two points on their line; outside on the line of the nearest two, or as the rule says. */
static double evaluate_continuous(mr_pmml_state *state, const mr_pmml_expression *e)
{
    const double *points = MR_PMML_LIST(state->program, numbers, double) + e->list.first;
    uint32_t last = e->list.count - 1;
    double x = state->slots[e->a];
    bool outside = x < points[0] || x > points[2 * last];
    if (outside && e->rule == MR_PMML_OUTLIER_AS_MISSING)
        return e->missing_to;
    if (outside && e->rule == MR_PMML_OUTLIER_AS_EXTREME)
        return x < points[0] ? points[1] : points[2 * last + 1];
    uint32_t low = 0, high = last;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (x < points[2 * middle])
            high = middle;
        else
            low = middle;
    }
    return interpolate(points + 2 * low, points + 2 * high, x);
}

static double evaluate_bins(mr_pmml_state *state, const mr_pmml_expression *e)
{
    const mr_pmml_interval *bins =
        MR_PMML_LIST(state->program, intervals, mr_pmml_interval) + e->list.first;
    for (uint32_t i = 0; i < e->list.count; i++)
        if (mr_pmml_interval_has(&bins[i], state->slots[e->a]))
            return MR_PMML_LIST(state->program, numbers, double)[e->b + i];
    return e->default_value;
}

static bool row_fits(const mr_pmml_state *state, const uint32_t *slots, const double *keys,
                     uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (state->slots[slots[i]] != keys[i])
            return false;
    return true;
}

/* The first row that fits. */
static double evaluate_map(mr_pmml_state *state, const mr_pmml_expression *e)
{
    const uint32_t *slots = MR_PMML_LIST(state->program, indexes, uint32_t) + e->a;
    const double *row = MR_PMML_LIST(state->program, numbers, double) + e->list.first;
    for (uint32_t i = 0; i < e->b; i++) {
        double x = state->slots[slots[i]];
        if (isnan(x))
            return mr_pmml_is_invalid(x) ? x : e->missing_to;
    }
    for (uint32_t i = 0; i < e->list.count; i++, row += e->b + 1)
        if (row_fits(state, slots, row, e->b))
            return row[e->b];
    return e->default_value;
}

static double evaluate_call(mr_pmml_state *state, const mr_pmml_expression *e)
{
    const uint32_t *pairs = MR_PMML_LIST(state->program, indexes, uint32_t) + e->list.first;
    bool missing = false;
    for (uint32_t i = 0; i < e->list.count; i++) {
        double value = mr_pmml_evaluate(state, pairs[2 * i + 1]);
        state->slots[pairs[2 * i]] = value;
        missing |= isnan(value) && !mr_pmml_is_invalid(value);
    }
    if (missing && !isnan(e->missing_to))
        return e->missing_to;
    double value = mr_pmml_evaluate(state, e->a);
    return isnan(value) && !mr_pmml_is_invalid(value) ? e->default_value : value;
}

/* Of one slot: what a missing or invalid one becomes is the same for all. */
static double evaluate_slot(mr_pmml_state *state, const mr_pmml_expression *e)
{
    double x = state->slots[e->a];
    if (isnan(x))
        return mr_pmml_is_invalid(x) ? x : e->missing_to;
    switch (e->op) {
    case MR_PMML_FIELD:
        return x;
    case MR_PMML_CONTINUOUS:
        return evaluate_continuous(state, e);
    case MR_PMML_DISCRETE:
        return x == e->value;
    default:
        MR_ASSERT(e->op == MR_PMML_BINS);
        return evaluate_bins(state, e);
    }
}

double mr_pmml_evaluate(mr_pmml_state *state, uint32_t expression)
{
    const mr_pmml_expression *e =
        MR_PMML_LIST(state->program, expressions, mr_pmml_expression) + expression;
    switch (e->op) {
    case MR_PMML_CONSTANT:
        return e->value;
    case MR_PMML_CONVERT:
        return mr_pmml_convert(state, mr_pmml_evaluate(state, e->a), (uint8_t)e->b, e->type);
    case MR_PMML_FUNCTION:
        return mr_pmml_apply(state, e);
    case MR_PMML_CALL:
        return evaluate_call(state, e);
    case MR_PMML_MAP:
        return evaluate_map(state, e);
    default:
        return evaluate_slot(state, e);
    }
}
