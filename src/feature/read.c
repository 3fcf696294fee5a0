/* read.c -- values of outputs from bounds, cells, ring and base. Thread: the slot's worker. */
#include "feature/feature_internal.h"

#include "base/number.h"

#include <math.h>

mr_status read_prepare(feature_key *key, int64_t time_us, uint32_t self, mr_error *err)
{
    const feature_plan *plan = key->plan;
    for (uint32_t i = 0; i < plan->keep_first; i++) {
        const feature_window *window = &plan->windows[i];
        MR_TRY(window_move(key, window, window_find(key, window, time_us, self), err));
    }
    return MR_OK;
}

/* ---- where nothing matches ---- */

static feature_value integer(int64_t value)
{
    return (feature_value){.present = true, .integer = value};
}

static feature_value number(double value)
{
    return (feature_value){.present = true, .number = value};
}

feature_value read_empty(const feature_output *output)
{
    bool is_float = output->type.id == MR_FLOAT64;
    if (output->empty_given)
        return is_float ? number(output->empty) : integer((int64_t)output->empty);
    switch (output->kind->id) {
    case MR_AGGREGATE_COUNT:
    case MR_AGGREGATE_SUM:
    case MR_AGGREGATE_RATE:
    case MR_AGGREGATE_DISTINCT_COUNT:
        return is_float ? number(0.0) : integer(0);
    default:
        return (feature_value){.present = false};
    }
}

/* ---- counts and sums ---- */

static const base_lane *base_for(const feature_key *key, const feature_output *output,
                                 uint32_t lane)
{
    base_state *base = base_of(key);
    if (base == NULL || key->plan->windows[output->window].window.kind != MR_WINDOW_LIFETIME)
        return NULL;
    return &base_lanes(base)[key->plan->lanes[lane].base];
}

static uint64_t count_matching(const feature_key *key, const feature_output *output, uint32_t lane,
                               uint32_t cell)
{
    const feature_plan *plan = key->plan;
    const window_bounds *bounds = bounds_of(key, &plan->windows[output->window]);
    const base_lane *base = base_for(key, output, lane);
    uint64_t gone = base != NULL ? base->count : 0;
    if (!plan->tiled && !plan->lanes[lane].skips)
        return gone + (bounds->hi - bounds->lo);
    return gone + *count_of(key, &plan->cells[cell]);
}

/* A sum, fixed or super; squares too when asked for. */
typedef struct read_sum {
    bool is_super;
    int exponent;
    mr_int128 sum;
    mr_square squares;
    mr_super super, super_squares;
} read_sum;

static void add_super(const feature_key *key, const feature_output *output,
                      const feature_lane *lane, const feature_cell *cell, read_sum *out)
{
    const window_bounds *bounds = bounds_of(key, &key->plan->windows[output->window]);
    bool squares = (cell->parts & PART_SQUARE) != 0;
    if (lane->is_float && lane_is_wide(key, lane)) {
        lane_walk(key, lane, bounds->lo, bounds->hi, &out->super,
                  squares ? &out->super_squares : NULL);
        return;
    }
    mr_super_add_int(&out->super, out->sum, out->exponent);
    if (squares)
        mr_super_add(&out->super_squares, out->squares.words, 4, 2 * out->exponent, false);
}

static void get_sum(const feature_key *key, const feature_output *output, read_sum *out)
{
    const feature_cell *cell = &key->plan->cells[output->cell];
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const base_lane *base = base_for(key, output, output->lane);
    bool wide = lane->is_float && lane_is_wide(key, lane);
    out->is_super = wide || (base != NULL && base->sum != NULL);
    out->exponent = 0;
    if (!wide) {
        if (lane->is_float)
            out->exponent = lane_state_of(key, lane)->low - LANE_BIAS;
        out->sum = sum_get(key, cell->sum);
        if (out->sum == 0 && (cell->parts & PART_SQUARE) == 0)
            out->exponent = 0;
        if ((cell->parts & PART_SQUARE) != 0)
            memcpy(&out->squares, key->value + cell->square, sizeof out->squares);
        if (lane->is_float && lane_state_of(key, lane)->low == 0)
            out->exponent = 0; /* only zeros */
    }
    if (!out->is_super)
        return;
    base_super(base != NULL ? base->sum : NULL, &out->super);
    if ((cell->parts & PART_SQUARE) != 0)
        base_super(base != NULL ? base->squares : NULL, &out->super_squares);
    add_super(key, output, lane, cell, out);
}

static double sum_mean(const read_sum *sum, uint64_t n)
{
    return sum->is_super ? mr_super_mean(&sum->super, n)
                         : mr_exact_mean(sum->sum, sum->exponent, n);
}

/* Integers: exact, or NULL when the sum leaves int64. */
static feature_value sum_integer(const read_sum *sum)
{
    mr_int128 value = sum->sum;
    if (sum->is_super) { /* the base's integers stand at exponent 0 */
        const uint64_t *at = sum->super.words + -MR_SUPER_BASE / 64;
        value = (mr_int128)((mr_uint128)at[1] << 64 | at[0]);
    }
    if (value > INT64_MAX || value < INT64_MIN)
        return (feature_value){.present = false};
    return integer((int64_t)value);
}

static feature_value read_sum_of(const feature_key *key, const feature_output *output)
{
    read_sum sum;
    get_sum(key, output, &sum);
    return output->type.id == MR_INT64 ? sum_integer(&sum) : number(sum_mean(&sum, 1));
}

static feature_value read_mean(const feature_key *key, const feature_output *output, uint64_t n)
{
    if (n == 0)
        return read_empty(output);
    read_sum sum;
    get_sum(key, output, &sum);
    return number(sum_mean(&sum, n));
}

static feature_value read_variance(const feature_key *key, const feature_output *output, uint64_t n)
{
    mr_aggregate_id id = output->kind->id;
    bool sample = id == MR_AGGREGATE_VARIANCE || id == MR_AGGREGATE_STDDEV;
    bool root = id == MR_AGGREGATE_STDDEV || id == MR_AGGREGATE_STDDEV_POP;
    if (n < (sample ? 2 : 1))
        return read_empty(output);
    read_sum sum;
    get_sum(key, output, &sum);
    uint64_t d = sample ? n - 1 : n;
    double variance = sum.is_super ? mr_super_variance(&sum.super, &sum.super_squares, n, d)
                                   : mr_exact_variance(sum.sum, &sum.squares, sum.exponent, n, d);
    return number(root ? sqrt(variance) : variance);
}

static feature_value read_rate(const feature_key *key, const feature_output *output, uint64_t n)
{
    if (n == 0)
        return read_empty(output);
    const mr_window *window = &key->plan->windows[output->window].window;
    double total = (double)n;
    if (key->plan->lanes[output->lane].input >= 0) {
        read_sum sum;
        get_sum(key, output, &sum);
        total = sum_mean(&sum, 1);
    }
    return number(total * ((double)output->unit_us / (double)window->length_us));
}

static feature_value read_ratio(const feature_key *key, const feature_output *output, uint64_t n)
{
    uint64_t whole = count_matching(key, output, output->whole_lane, output->whole_cell);
    if (whole == 0)
        return read_empty(output);
    return key->plan->lanes[output->lane].input >= 0 ? read_mean(key, output, whole)
                                                     : number((double)n / (double)whole);
}

/* ---- single records ---- */

static feature_value value_of_bits(const feature_output *output, uint64_t bits, mr_bytes *text)
{
    feature_value out = {.present = true, .integer = (int64_t)bits};
    if (mr_type_is_text(output->type.id))
        mr_bytes_append(text, text_of(bits)->bytes, text_of(bits)->size);
    else if (output->type.id == MR_FLOAT64)
        memcpy(&out.number, &bits, sizeof bits);
    return out;
}

static feature_value read_order(const feature_key *key, const feature_output *output)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const window_bounds *bounds = bounds_of(key, &key->plan->windows[output->window]);
    const base_lane *base = base_for(key, output, output->lane);
    uint64_t least, greatest;
    bool found = tree_range(key, lane, bounds->lo, bounds->hi, &least, &greatest);
    if (base != NULL && base->count > 0) {
        if (!found || value_order(lane, base->least) < value_order(lane, least))
            least = base->least;
        if (!found || value_order(lane, base->greatest) > value_order(lane, greatest))
            greatest = base->greatest;
        found = true;
    }
    if (!found)
        return read_empty(output);
    return value_of_bits(output, output->kind->id == MR_AGGREGATE_MIN ? least : greatest, NULL);
}

static const uint8_t *find_first(const feature_key *key, const feature_lane *lane, uint32_t lo,
                                 uint32_t hi)
{
    for (uint32_t i = lo; i < hi; i++) {
        const uint8_t *element = element_at(key->plan, state_of(key), i);
        if (lane_matches(key->plan, lane, element))
            return element;
    }
    return NULL;
}

static const uint8_t *find_last(const feature_key *key, const feature_lane *lane, uint32_t lo,
                                uint32_t hi)
{
    for (uint32_t i = hi; i-- > lo;) {
        const uint8_t *element = element_at(key->plan, state_of(key), i);
        if (lane_matches(key->plan, lane, element))
            return element;
    }
    return NULL;
}

static feature_value read_end(const feature_key *key, const feature_output *output, mr_bytes *text)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const window_bounds *bounds = bounds_of(key, &key->plan->windows[output->window]);
    const base_lane *base = base_for(key, output, output->lane);
    bool gone = base != NULL && base->count > 0;
    bool first = output->kind->id == MR_AGGREGATE_FIRST;
    if (first && gone)
        return value_of_bits(output, base->first, text);
    const uint8_t *element = first ? find_first(key, lane, bounds->lo, bounds->hi)
                                   : find_last(key, lane, bounds->lo, bounds->hi);
    if (element != NULL)
        return value_of_bits(output, load_u64(element + lane->value), text);
    return gone ? value_of_bits(output, base->last, text) : read_empty(output);
}

static feature_value read_time_since(const feature_key *key, const feature_output *output,
                                     int64_t time_us, uint32_t self)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const feature_window *window = &key->plan->windows[output->window];
    window_bounds bounds = *bounds_of(key, window);
    const base_lane *base = base_for(key, output, output->lane);
    if (self != NONE && window->window.delay_us == 0)
        bounds.hi = MR_MIN(bounds.hi, self); /* the record before this one */
    const uint8_t *element = find_last(key, lane, bounds.lo, bounds.hi);
    if (element == NULL && (base == NULL || base->count == 0))
        return read_empty(output);
    int64_t last_us = element != NULL ? element_time(element) : base->last_us;
    return number((double)(time_us - last_us) / 1e6);
}

/* ---- decayed ---- */

static double faded(const feature_key *key, const feature_output *output, uint32_t column,
                    int64_t time_us)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    const feature_window *window = &plan->windows[output->window];
    base_state *base = base_of(key);
    uint32_t hi = bounds_of(key, window)->hi;
    double value = 0.0;
    int64_t last_us = 0;
    if (hi > state->first) {
        const uint8_t *element = element_at(plan, state, hi - 1);
        value = load_f64(element + plan->decays[column].offset);
        last_us = ring_decay_time(key, element_time(element));
    } else if (base != NULL) {
        value = base_decays(plan, base)[column];
        last_us = base->time_us;
    }
    double elapsed = (double)(time_us - window->window.delay_us - last_us);
    if (value == 0.0 || elapsed <= 0)
        return value;
    return value * mr_steady_exp2(-elapsed / (double)plan->decays[column].half_life_us);
}

static feature_value read_decayed(const feature_key *key, const feature_output *output,
                                  int64_t time_us)
{
    double weight = faded(key, output, output->decay_weight, time_us);
    if (weight == 0.0)
        return read_empty(output);
    if (output->kind->id == MR_AGGREGATE_COUNT)
        return number(weight);
    double sum = faded(key, output, output->decay, time_us);
    return number(output->kind->id == MR_AGGREGATE_SUM ? sum : sum / weight);
}

/* ---- values: distinct, quantiles, top k ---- */

static void *pointer_at(const feature_key *key, uint32_t offset)
{
    void *pointer;
    memcpy(&pointer, key->value + offset, sizeof pointer);
    return pointer;
}

static uint64_t distinct_beside(const mr_values *values, const base_lane *base)
{
    uint64_t count = base->distinct != NULL ? base->distinct->used : 0;
    for (uint32_t i = 0; i < mr_values_places(values); i++)
        count += values->places[i].count > 0 &&
                 mr_values_count(base->distinct, values->places[i].identity) == 0;
    return count;
}

static feature_value read_distinct(const feature_key *key, const feature_output *output)
{
    const mr_values *values = pointer_at(key, key->plan->cells[output->cell].table);
    const base_lane *base = base_for(key, output, output->lane);
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
    return count > 0 ? integer((int64_t)count) : read_empty(output);
}

static double lane_number(const feature_lane *lane, const uint8_t *element)
{
    return lane->is_float ? load_f64(element + lane->value)
                          : (double)(int64_t)load_u64(element + lane->value);
}

/* The value of that rank, counted from 0 (Hoare, "Find", 1961). */
static double select_rank(double *values, size_t count, size_t rank)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)count - 1, at = (ptrdiff_t)rank;
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
            values[count++] = lane_number(lane, element) + 0.0; /* -0 is 0 */
    }
    double rank = ceil(output->quantile * (double)count);
    return number(select_rank(values, count, rank < 1 ? 0 : (size_t)rank - 1));
}

/* The cell's sketch, made when it is wanted for the first time; it moves with the bounds from then on. */
static mr_status want_sketch(feature_key *key, const feature_output *output, window_bounds bounds,
                             mr_sketch **sketch, mr_error *err)
{
    const feature_cell *cell = &key->plan->cells[output->cell];
    const feature_lane *lane = &key->plan->lanes[output->lane];
    *sketch = pointer_at(key, cell->sketch);
    if (*sketch != NULL)
        return MR_OK;
    mr_status status = MR_OK;
    for (uint32_t i = bounds.lo; i < bounds.hi && status == MR_OK; i++) {
        const uint8_t *element = element_at(key->plan, state_of(key), i);
        if (lane_matches(key->plan, lane, element))
            status =
                mr_sketch_add(key->slot, sketch, mr_sketch_key(lane_number(lane, element)), 1, err);
    }
    memcpy(key->value + cell->sketch, sketch, sizeof *sketch);
    return status;
}

static mr_status read_quantile(feature_key *key, const feature_output *output, uint64_t n,
                               feature_value *out, mr_error *err)
{
    const base_lane *base = base_for(key, output, output->lane);
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
    *out = number(mr_sketch_quantile(sketch, base != NULL ? base->sketch : NULL, output->quantile));
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

static feature_value read_top(const feature_key *key, const feature_output *output, mr_bytes *text)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const base_lane *base = base_for(key, output, output->lane);
    top_list top = {.count = 0, .max = output->k};
    top_collect(&top, lane, pointer_at(key, key->plan->cells[output->cell].table),
                base != NULL ? base->top : NULL);
    if (top.count == 0)
        return read_empty(output);
    for (uint32_t i = 0; i < top.count; i++) {
        mr_bytes_append_text(text, i == 0 ? "[{\"value\":" : ",{\"value\":");
        write_json_value(key->plan, lane, &top.items[i], text);
        mr_bytes_printf(text, ",\"count\":%llu}", (unsigned long long)top.items[i].count);
    }
    mr_bytes_append_byte(text, ']');
    return integer(0);
}

/* ---- all kinds ---- */

mr_status read_output(feature_key *key, const feature_output *output, int64_t time_us,
                      uint32_t self, feature_value *out, mr_bytes *text, mr_error *err)
{
    if (output->decay_weight != NONE) {
        *out = read_decayed(key, output, time_us);
        return MR_OK;
    }
    bool counted = output->cell == NONE || (key->plan->cells[output->cell].parts & PART_COUNT) != 0;
    bool of_lane = output->cell != NONE || !key->plan->lanes[output->lane].skips;
    uint64_t n = counted && of_lane ? count_matching(key, output, output->lane, output->cell) : 0;
    switch (output->kind->id) {
    case MR_AGGREGATE_COUNT:
        *out = n > 0 ? integer((int64_t)n) : read_empty(output);
        return MR_OK;
    case MR_AGGREGATE_SUM:
        *out = n > 0 ? read_sum_of(key, output) : read_empty(output);
        return MR_OK;
    case MR_AGGREGATE_MEAN:
        *out = read_mean(key, output, n);
        return MR_OK;
    case MR_AGGREGATE_VARIANCE:
    case MR_AGGREGATE_STDDEV:
    case MR_AGGREGATE_VARIANCE_POP:
    case MR_AGGREGATE_STDDEV_POP:
        *out = read_variance(key, output, n);
        return MR_OK;
    case MR_AGGREGATE_MIN:
    case MR_AGGREGATE_MAX:
        *out = read_order(key, output);
        return MR_OK;
    case MR_AGGREGATE_FIRST:
    case MR_AGGREGATE_LAST:
        *out = read_end(key, output, text);
        return MR_OK;
    case MR_AGGREGATE_TIME_SINCE_LAST:
        *out = read_time_since(key, output, time_us, self);
        return MR_OK;
    case MR_AGGREGATE_RATE:
        *out = read_rate(key, output, n);
        return MR_OK;
    case MR_AGGREGATE_RATIO:
        *out = read_ratio(key, output, n);
        return MR_OK;
    case MR_AGGREGATE_DISTINCT_COUNT:
        *out = read_distinct(key, output);
        return MR_OK;
    case MR_AGGREGATE_QUANTILE:
        return read_quantile(key, output, n, out, err);
    case MR_AGGREGATE_TOP_K:
        *out = read_top(key, output, text);
        return MR_OK;
    case MR_AGGREGATE_COUNT_OF:
        break;
    }
    MR_UNREACHABLE();
}
