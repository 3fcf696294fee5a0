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

feature_value read_empty(const feature_output *output)
{
    bool is_float = output->type.id == MR_FLOAT64;
    if (output->empty_given)
        return is_float ? value_number(output->empty) : value_integer((int64_t)output->empty);
    switch (output->kind->id) {
    case MR_AGGREGATE_COUNT:
    case MR_AGGREGATE_SUM:
    case MR_AGGREGATE_RATE:
    case MR_AGGREGATE_DISTINCT_COUNT:
        return is_float ? value_number(0.0) : value_integer(0);
    default:
        return (feature_value){.present = false};
    }
}

/* ---- counts and sums ---- */

const base_lane *read_base(const feature_key *key, const feature_output *output, uint32_t lane)
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
    const base_lane *base = read_base(key, output, lane);
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
    const base_lane *base = read_base(key, output, output->lane);
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
    return value_integer((int64_t)value);
}

static feature_value read_sum_of(const feature_key *key, const feature_output *output)
{
    read_sum sum;
    get_sum(key, output, &sum);
    return output->type.id == MR_INT64 ? sum_integer(&sum) : value_number(sum_mean(&sum, 1));
}

static feature_value read_mean(const feature_key *key, const feature_output *output, uint64_t n)
{
    if (n == 0)
        return read_empty(output);
    read_sum sum;
    get_sum(key, output, &sum);
    return value_number(sum_mean(&sum, n));
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
    return value_number(root ? sqrt(variance) : variance);
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
    return value_number(total * ((double)output->unit_us / (double)window->length_us));
}

static feature_value read_ratio(const feature_key *key, const feature_output *output, uint64_t n)
{
    uint64_t whole = count_matching(key, output, output->whole_lane, output->whole_cell);
    if (whole == 0)
        return read_empty(output);
    return key->plan->lanes[output->lane].input >= 0 ? read_mean(key, output, whole)
                                                     : value_number((double)n / (double)whole);
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
        return value_number(weight);
    double sum = faded(key, output, output->decay, time_us);
    return value_number(output->kind->id == MR_AGGREGATE_SUM ? sum : sum / weight);
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
    bool of_lane =
        output->cell != NONE || (!key->plan->tiled && !key->plan->lanes[output->lane].skips);
    uint64_t n = counted && of_lane ? count_matching(key, output, output->lane, output->cell) : 0;
    switch (output->kind->id) {
    case MR_AGGREGATE_COUNT:
        *out = n > 0 ? value_integer((int64_t)n) : read_empty(output);
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
        return read_distinct(key, output, out, err);
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
