/* read_values.c -- what a window knows of its values: how many are different, quantiles, the most frequent.
 * Thread: the slot's worker. */
#include "feature/feature_internal.h"

#include "base/number.h"

#include <math.h>

static uint64_t distinct_beside(const mr_values *values, const base_lane *base)
{
    uint64_t count = base->distinct != NULL ? base->distinct->used : 0;
    for (uint32_t i = 0; i < mr_values_places(values); i++)
        count += values->places[i].count > 0 &&
                 mr_values_count(base->distinct, values->places[i].identity) == 0;
    return count;
}

feature_value read_distinct(const feature_key *key, const feature_output *output)
{
    const mr_values *values = value_pointer(key, key->plan->cells[output->cell].table);
    const base_lane *base = read_base(key, output, output->lane);
    uint64_t count = values != NULL ? values->used : 0;
    if (base != NULL && base->registers != NULL) {
        mr_registers all = *base->registers;
        for (uint32_t i = 0; i < mr_values_places(values); i++)
            if (values->places[i].count > 0)
                mr_registers_add(&all, values->places[i].identity);
        count = (uint64_t)(mr_registers_estimate(&all) + 0.5);
    } else if (base != NULL) {
        count = distinct_beside(values, base);
    }
    return count > 0 ? value_integer((int64_t)count) : read_empty(output);
}

/* The value of that rank, counted from 0 (Hoare, "Find", 1961). */
static double select_rank(double *values, size_t count, size_t rank)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)count - 1, at = (ptrdiff_t)rank;
    MR_ASSERT_SLOW(rank < count);
    while (low < high) {
        double pivot = values[at];
        ptrdiff_t i = low, k = high;
        while (i <= k) {
            while (values[i] < pivot)
                i++;
            while (values[k] > pivot)
                k--;
            if (i <= k) {
                double swap = values[i];
                values[i++] = values[k];
                values[k--] = swap;
            }
        }
        if (k < at)
            low = i;
        if (at < i)
            high = k;
    }
    return values[at];
}

static feature_value quantile_exact(const feature_key *key, const feature_output *output,
                                    window_bounds bounds)
{
    double values[QUANTILE_EXACT_MAX];
    size_t count = 0;
    const feature_lane *lane = &key->plan->lanes[output->lane];
    for (uint32_t i = bounds.lo; i < bounds.hi; i++) {
        const uint8_t *element = element_at(key->plan, state_of(key), i);
        if (lane_matches(key->plan, lane, element))
            values[count++] = element_number(lane, element) + 0.0; /* -0 is 0 */
    }
    double rank = ceil(output->quantile * (double)count);
    return value_number(select_rank(values, count, rank < 1 ? 0 : (size_t)rank - 1));
}

/* The cell's sketch, made when it is wanted for the first time; it moves with the bounds from then on. */
static mr_status want_sketch(feature_key *key, const feature_output *output, window_bounds bounds,
                             mr_sketch **sketch, mr_error *err)
{
    const feature_cell *cell = &key->plan->cells[output->cell];
    const feature_lane *lane = &key->plan->lanes[output->lane];
    *sketch = value_pointer(key, cell->sketch);
    if (*sketch != NULL)
        return MR_OK;
    mr_status status = MR_OK;
    for (uint32_t i = bounds.lo; i < bounds.hi && status == MR_OK; i++) {
        const uint8_t *element = element_at(key->plan, state_of(key), i);
        if (lane_matches(key->plan, lane, element))
            status = mr_sketch_add(key->slot, sketch, mr_sketch_key(element_number(lane, element)),
                                   1, err);
    }
    memcpy(key->value + cell->sketch, sketch, sizeof *sketch);
    return status;
}

mr_status read_quantile(feature_key *key, const feature_output *output, uint64_t n,
                        feature_value *out, mr_error *err)
{
    const base_lane *base = read_base(key, output, output->lane);
    const feature_window *window = &key->plan->windows[output->window];
    window_bounds bounds = *bounds_of(key, window);
    bool lifetime = window->window.kind == MR_WINDOW_LIFETIME;
    mr_sketch *sketch;
    if (n == 0) {
        *out = read_empty(output);
        return MR_OK;
    }
    if (!lifetime && bounds.hi - bounds.lo <= QUANTILE_EXACT_MAX) {
        *out = quantile_exact(key, output, bounds);
        return MR_OK;
    }
    MR_TRY(want_sketch(key, output, bounds, &sketch, err));
    *out = value_number(
        mr_sketch_quantile(sketch, base != NULL ? base->sketch : NULL, output->quantile));
    return MR_OK;
}

static int compare_texts(const feature_text *a, const feature_text *b)
{
    int order = memcmp(a->bytes, b->bytes, MR_MIN(a->size, b->size));
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* a stands before b: more often, or as often and smaller. */
static bool ranks_before(const feature_lane *lane, const mr_value_count *a, const mr_value_count *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    if (lane->is_text)
        return compare_texts(a->text, b->text) < 0;
    return value_order(lane, a->identity) < value_order(lane, b->identity);
}

typedef struct top_list {
    mr_value_count items[MR_TOP_K_MAX];
    uint32_t count, max;
} top_list;

static void top_offer(top_list *top, const feature_lane *lane, mr_value_count item)
{
    uint32_t at = top->count;
    MR_ASSERT_SLOW(top->max > 0 && at <= top->max);
    if (at == top->max && !ranks_before(lane, &item, &top->items[at - 1]))
        return;
    at = at == top->max ? at - 1 : top->count++;
    for (; at > 0 && ranks_before(lane, &item, &top->items[at - 1]); at--)
        top->items[at] = top->items[at - 1];
    top->items[at] = item;
}

static void top_collect(top_list *top, const feature_lane *lane, const mr_values *values,
                        const mr_values *base)
{
    for (uint32_t i = 0; i < mr_values_places(base); i++) {
        mr_value_count item = base->places[i];
        if (item.count > 0) {
            item.count += mr_values_count(values, item.identity);
            top_offer(top, lane, item);
        }
    }
    for (uint32_t i = 0; i < mr_values_places(values); i++)
        if (values->places[i].count > 0 && mr_values_count(base, values->places[i].identity) == 0)
            top_offer(top, lane, values->places[i]);
}

static void write_json_text(const feature_text *text, mr_bytes *out)
{
    mr_bytes_append_byte(out, '"');
    for (uint32_t i = 0; i < text->size; i++) {
        uint8_t byte = text->bytes[i];
        if (byte < 0x20)
            mr_bytes_printf(out, "\\u%04x", byte);
        else if (byte == '"' || byte == '\\')
            mr_bytes_printf(out, "\\%c", byte);
        else
            mr_bytes_append_byte(out, byte);
    }
    mr_bytes_append_byte(out, '"');
}

static void write_json_value(const feature_plan *plan, const feature_lane *lane,
                             const mr_value_count *item, mr_bytes *out)
{
    char text[MR_NUMBER_TEXT_MAX + MR_TIME_TEXT_MAX];
    double value;
    memcpy(&value, &item->identity, sizeof value);
    switch (plan->inputs[lane->input].type) {
    case MR_STRING:
    case MR_BYTES:
        write_json_text(item->text, out);
        return;
    case MR_FLOAT32:
    case MR_FLOAT64:
        mr_bytes_append(out, text, mr_number_format_float64(value, text));
        return;
    case MR_BOOL:
        mr_bytes_append_text(out, item->identity != 0 ? "true" : "false");
        return;
    case MR_TIMESTAMP:
        mr_bytes_append_byte(out, '"');
        mr_bytes_append(out, text, mr_time_format((int64_t)item->identity, text));
        mr_bytes_append_byte(out, '"');
        return;
    default:
        mr_bytes_append(out, text, mr_number_format_int64((int64_t)item->identity, text));
    }
}

feature_value read_top(const feature_key *key, const feature_output *output, mr_bytes *text)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const base_lane *base = read_base(key, output, output->lane);
    top_list top = {.count = 0, .max = output->k};
    top_collect(&top, lane, value_pointer(key, key->plan->cells[output->cell].table),
                base != NULL ? base->top : NULL);
    if (top.count == 0)
        return read_empty(output);
    for (uint32_t i = 0; i < top.count; i++) {
        mr_bytes_append_text(text, i == 0 ? "[{\"value\":" : ",{\"value\":");
        write_json_value(key->plan, lane, &top.items[i], text);
        mr_bytes_printf(text, ",\"count\":%llu}", (unsigned long long)top.items[i].count);
    }
    mr_bytes_append_byte(text, ']');
    return value_integer(0);
}
