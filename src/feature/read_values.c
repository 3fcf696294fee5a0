/* read_values.c -- what a window knows of its values: how many are different, quantiles, the most frequent.
 * Thread: the slot's worker. */
#include "feature/feature_internal.h"

#include "base/number.h"

#include <math.h>

/* ---- tiles: the closed ones are together in a cell, those of the newest end are told by their home ---- */

/* NULL: the window is empty. */
static const uint8_t *newest_home(const feature_key *key, const feature_output *output)
{
    const feature_plan *plan = key->plan;
    const window_bounds *bounds = bounds_of(key, &plan->windows[output->window]);
    if (!plan->tiled || bounds->lo == bounds->hi)
        return NULL;
    return element_at(plan, state_of(key), bounds_of(key, &plan->windows[output->closed])->hi);
}

static const void *newest_part(const feature_key *key, const feature_output *output,
                               uint32_t offset)
{
    const uint8_t *home = newest_home(key, output);
    return home != NULL ? tile_pointer(home, offset) : NULL;
}

/* ---- distinct count ---- */

typedef struct distinct_parts {
    mr_union all;              /* of the window; tiles: of the closed ones */
    const mr_distinct *newest; /* tiles */
    const base_lane *base;     /* lifetime */
} distinct_parts;

static distinct_parts get_distinct(const feature_key *key, const feature_output *output)
{
    distinct_parts parts = {.base = read_base(key, output, output->lane)};
    if (key->plan->tiled) {
        parts.all = union_get(key, &key->plan->cells[output->closed_cell]);
        parts.newest = newest_part(key, output, key->plan->lanes[output->lane].tile_distinct);
    } else {
        parts.all.values = value_pointer(key, key->plan->cells[output->cell].table);
    }
    return parts;
}

static uint64_t count_exact(const distinct_parts *parts)
{
    const mr_values *values = parts->all.values,
                    *base = parts->base != NULL ? parts->base->distinct : NULL;
    const mr_distinct *newest = parts->newest;
    uint64_t count = base != NULL ? base->used : 0;
    if (base == NULL)
        count += values != NULL ? values->used : 0;
    for (uint32_t i = 0; base != NULL && i < mr_values_places(values); i++)
        count +=
            values->places[i].count > 0 && mr_values_count(base, values->places[i].identity) == 0;
    for (uint32_t i = 0; newest != NULL && i < newest->used; i++)
        count += mr_values_count(values, newest->identities[i]) == 0 &&
                 mr_values_count(base, newest->identities[i]) == 0;
    return count;
}

static void spread_values(const mr_values *values, mr_registers *to)
{
    for (uint32_t i = 0; i < mr_values_places(values); i++)
        if (values->places[i].count > 0)
            mr_registers_add(to, values->places[i].identity);
}

/* The registers of the closed tiles, made again when a tile has left since. */
static mr_status want_registers(feature_key *key, const feature_output *output, mr_union *all,
                                mr_error *err)
{
    const feature_plan *plan = key->plan;
    const feature_cell *cell = &plan->cells[output->closed_cell];
    window_bounds bounds = *bounds_of(key, &plan->windows[output->closed]);
    if (all->registers != NULL)
        return MR_OK;
    all->registers = mr_slot_alloc(key->slot, sizeof *all->registers);
    if (all->registers == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(all->registers, 0, sizeof *all->registers);
    spread_values(all->values, all->registers);
    for (uint32_t i = bounds.lo, left = all->inexact_count; left > 0 && i < bounds.hi; i++) {
        const mr_distinct *part = tile_pointer(element_at(plan, state_of(key), i),
                                               plan->lanes[output->lane].tile_distinct);
        if (mr_distinct_registers(part) != NULL) {
            mr_distinct_spread(part, all->registers);
            left--;
        }
    }
    union_set(key, cell, *all);
    return MR_OK;
}

static mr_status estimate_distinct(feature_key *key, const feature_output *output,
                                   distinct_parts *parts, uint64_t *out, mr_error *err)
{
    mr_registers all = {{0}};
    if (parts->base != NULL && parts->base->registers != NULL)
        all = *parts->base->registers;
    else if (parts->base != NULL)
        spread_values(parts->base->distinct, &all);
    if (key->plan->tiled) {
        MR_TRY(want_registers(key, output, &parts->all, err));
        mr_registers_merge(&all, parts->all.registers);
        mr_distinct_spread(parts->newest, &all);
    } else {
        spread_values(parts->all.values, &all);
    }
    *out = (uint64_t)(mr_registers_estimate(&all) + 0.5);
    return MR_OK;
}

mr_status read_distinct(feature_key *key, const feature_output *output, feature_value *out,
                        mr_error *err)
{
    distinct_parts parts = get_distinct(key, output);
    bool exact = parts.all.inexact_count == 0 && mr_distinct_registers(parts.newest) == NULL &&
                 (parts.base == NULL || parts.base->registers == NULL);
    uint64_t count;
    if (exact)
        count = count_exact(&parts);
    else
        MR_TRY(estimate_distinct(key, output, &parts, &count, err));
    *out = count > 0 ? value_integer((int64_t)count) : read_empty(output);
    return MR_OK;
}

/* ---- quantiles ---- */

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
                                   1, UINT32_MAX, err);
    }
    memcpy(key->value + cell->sketch, sketch, sizeof *sketch);
    return status;
}

mr_status read_quantile(feature_key *key, const feature_output *output, uint64_t n,
                        feature_value *out, mr_error *err)
{
    const feature_plan *plan = key->plan;
    const base_lane *base = read_base(key, output, output->lane);
    const feature_window *window = &plan->windows[output->window];
    window_bounds bounds = *bounds_of(key, window);
    bool lifetime = window->window.kind == MR_WINDOW_LIFETIME;
    const mr_sketch *parts[MR_SKETCH_PARTS_MAX] = {base != NULL ? base->sketch : NULL, NULL, NULL};
    mr_sketch *sketch;
    if (n == 0) {
        *out = read_empty(output);
        return MR_OK;
    }
    if (!plan->tiled && !lifetime && bounds.hi - bounds.lo <= QUANTILE_EXACT_MAX) {
        *out = quantile_exact(key, output, bounds);
        return MR_OK;
    }
    if (plan->tiled) {
        parts[1] = value_pointer(key, plan->cells[output->closed_cell].sketch);
        parts[2] = newest_part(key, output, plan->lanes[output->lane].tile_sketch);
    } else {
        MR_TRY(want_sketch(key, output, bounds, &sketch, err));
        parts[1] = sketch;
    }
    *out = value_number(mr_sketch_quantile(parts, MR_SKETCH_PARTS_MAX, output->quantile));
    return MR_OK;
}

/* ---- the most frequent ---- */

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

enum { TOP_PARTS = 3 };

/* Each value once: where it stands first, with its counts of all parts. */
static void top_collect(top_list *top, const feature_lane *lane,
                        const mr_values *const parts[TOP_PARTS])
{
    for (int p = 0; p < TOP_PARTS; p++)
        for (uint32_t i = 0; i < mr_values_places(parts[p]); i++) {
            mr_value_count item = parts[p]->places[i];
            bool known = item.count == 0;
            for (int before = 0; before < p && !known; before++)
                known = mr_values_count(parts[before], item.identity) > 0;
            for (int later = p + 1; later < TOP_PARTS && !known; later++)
                item.count += mr_values_count(parts[later], item.identity);
            if (!known)
                top_offer(top, lane, item);
        }
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
    uint32_t cell = key->plan->tiled ? output->closed_cell : output->cell;
    top_list top = {.count = 0, .max = output->k};
    const mr_values *const parts[TOP_PARTS] = {
        base != NULL ? base->top : NULL,
        value_pointer(key, key->plan->cells[cell].table),
        key->plan->tiled ? newest_part(key, output, lane->tile_top) : NULL,
    };
    top_collect(&top, lane, parts);
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
