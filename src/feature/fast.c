/* fast.c -- the common case, straight through: sliding windows of counts, sums and means, records in order.
 *
 * It works on the same state as ring.c, window.c and read.c and leaves to them whatever is not common: late
 * records, a full ring, a lane that must change its exponent, bounds that must move back or far, other
 * aggregates. What it does is what they would do; the oracle test runs both. The element size is a constant
 * in the instance for one input (16 bytes), so that addresses are shifts. Thread: the slot's worker. */
#include "feature/feature_internal.h"

enum { FAR_STEPS = 64 }; /* elements a bound moves before the general way is asked */

/* ---- the plan of it ---- */

static bool is_fast(const feature_plan *plan)
{
    if (plan->tiled || plan->flag_word || plan->has_trees || plan->has_base || plan->has_texts ||
        plan->decay_count > 0)
        return false;
    for (uint32_t i = 0; i < plan->window_count; i++)
        if (plan->windows[i].window.kind != MR_WINDOW_SLIDING)
            return false;
    for (uint32_t i = 0; i < plan->cell_count; i++)
        if ((plan->cells[i].parts & ~(uint32_t)(PART_COUNT | PART_SUM)) != 0)
            return false;
    return true;
}

static fast_lane plan_lane(const feature_lane *lane)
{
    fast_lane out = {.is_float = lane->is_float,
                     .sums = (lane->parts & PART_SUM) != 0,
                     .value = lane->value,
                     .state = lane->state};
    if (lane->where >= 0)
        out.need |= UINT64_C(1) << lane->where_flag;
    if (lane->input >= 0 && !lane->is_float)
        out.need |= UINT64_C(1) << lane->input_flag;
    return out;
}

static bool plan_output(const feature_plan *plan, uint32_t index, fast_output *to)
{
    const feature_output *output = &plan->outputs[index];
    const feature_lane *lane = &plan->lanes[output->lane];
    *to = (fast_output){.index = index};
    if (output->cell != NONE) {
        to->count = plan->cells[output->cell].count;
        to->sum = plan->cells[output->cell].sum;
        to->state = lane->is_float ? lane->state : 0;
    }
    to->does = output->kind->id == MR_AGGREGATE_MEAN ? FAST_MEAN
               : output->cell == NONE                ? FAST_COUNT_ALL
                                                     : FAST_COUNT;
    return output->kind->id == MR_AGGREGATE_COUNT || output->kind->id == MR_AGGREGATE_MEAN;
}

static void plan_cells(const feature_plan *plan, const feature_window *window, fast_plan *fast,
                       fast_window *to)
{
    to->cells = fast->cells + window->cell_first;
    to->cells_end = to->cells + window->cell_count;
    for (uint32_t i = window->cell_first; i < window->cell_first + window->cell_count; i++)
        fast->cells[i] = (fast_cell){&fast->lanes[plan->cells[i].lane], plan->cells[i].count,
                                     plan->cells[i].sum};
}

static void plan_window(const feature_plan *plan, uint32_t index, fast_plan *fast)
{
    const feature_window *window = &plan->windows[index];
    fast_window *to = &fast->windows[fast->window_count++];
    *to = (fast_window){.end_us = window->window.delay_us,
                        .start_us = window->window.delay_us + window->window.length_us,
                        .bounds = window->bounds,
                        .index = index,
                        .output_first = fast->output_count,
                        .fetch_hi = true};
    plan_cells(plan, window, fast, to);
    if (fast->window_count > 1 && to[-1].end_us == to->end_us)
        to->fetch_hi = false;
    for (uint32_t i = 0; i < plan->output_count; i++)
        if (plan->outputs[i].window == index &&
            plan_output(plan, i, &fast->outputs[fast->output_count]))
            fast->output_count++;
    to->output_end = fast->output_count;
}

/* Windows of the same end stand together. */
static void plan_windows(const feature_plan *plan, fast_plan *fast)
{
    for (uint32_t i = 0; i < plan->window_count; i++) {
        bool seen = false;
        for (uint32_t k = 0; k < i; k++)
            seen = seen || plan->windows[k].window.delay_us == plan->windows[i].window.delay_us;
        for (uint32_t k = i; !seen && k < plan->window_count; k++)
            if (plan->windows[k].window.delay_us == plan->windows[i].window.delay_us)
                plan_window(plan, k, fast);
    }
}

static void plan_others(const feature_plan *plan, fast_plan *fast)
{
    fast_output ignored;
    for (uint32_t i = 0; i < plan->output_count; i++)
        if (!plan_output(plan, i, &ignored))
            fast->others[fast->other_count++] = i;
}

mr_status fast_plan_build(feature_plan *plan, mr_arena *arena, mr_error *err)
{
    if (!is_fast(plan))
        return MR_OK;
    fast_plan *fast = MR_ARENA_NEW(arena, fast_plan);
    if (fast == NULL)
        return MR_OUT_OF_MEMORY(err);
    fast->lanes = MR_ARENA_ARRAY(arena, fast_lane, plan->lane_count);
    fast->windows = MR_ARENA_ARRAY(arena, fast_window, plan->window_count);
    fast->outputs = MR_ARENA_ARRAY(arena, fast_output, plan->output_count);
    fast->cells = MR_ARENA_ARRAY(arena, fast_cell, plan->cell_count + 1);
    fast->sum_lanes = MR_ARENA_ARRAY(arena, uint32_t, plan->lane_count);
    fast->others = MR_ARENA_ARRAY(arena, uint32_t, plan->output_count);
    if (fast->lanes == NULL || fast->windows == NULL || fast->outputs == NULL ||
        fast->others == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        fast->lanes[i] = plan_lane(&plan->lanes[i]);
        if (fast->lanes[i].is_float && fast->lanes[i].sums)
            fast->sum_lanes[fast->sum_lane_count++] = i;
    }
    plan_windows(plan, fast);
    plan_others(plan, fast);
    plan->fast = fast;
    return MR_OK;
}

/* ---- elements and cells ---- */

typedef struct fast_ring {
    uint8_t *ring;
    uint32_t mask, bytes; /* bytes is a constant where it matters */
} fast_ring;

static inline uint8_t *fast_at(fast_ring ring, uint32_t index)
{
    return ring.ring + (size_t)(index & ring.mask) * ring.bytes;
}

static inline int64_t fast_time(fast_ring ring, uint32_t index)
{
    return element_time(fast_at(ring, index));
}

typedef struct fast_total {
    mr_int128 sum;
    uint32_t count;
} fast_total;

/* What elements [from, to) add to a lane that is not wide. `low` is its exponent; is_float a constant. */
static inline fast_total fast_add(fast_ring ring, uint32_t from, uint32_t to, const fast_lane *lane,
                                  int low, bool is_float)
{
    fast_total total = {0, 0};
    for (uint32_t i = from; i < to; i++) {
        const uint8_t *element = fast_at(ring, i);
        bool in = (load_u64(element) & lane->need) == lane->need;
        if (!is_float) {
            total.sum += in ? (int64_t)load_u64(element + lane->value) : 0;
            total.count += in;
            continue;
        }
        int exponent;
        double value = load_f64(element + lane->value);
        int64_t m = mr_exact_split(value, &exponent);
        if (!in || value != value)
            continue;
        total.count++;
        if (m != 0)
            total.sum += (mr_int128)((mr_uint128)(mr_int128)m << ((exponent - low) & 127));
    }
    return total;
}

static inline fast_total fast_lane_add(fast_ring ring, uint32_t from, uint32_t to,
                                       const fast_lane *lane, int low)
{
    return lane->is_float ? fast_add(ring, from, to, lane, low, true)
                          : fast_add(ring, from, to, lane, low, false);
}

/* What came in at the end of the window before this one, which often is what comes in here. */
typedef struct fast_came {
    const fast_lane *lane;
    uint32_t from, to;
    fast_total total;
} fast_came;

static inline void fast_cell_move(const feature_key *key, fast_ring ring, const fast_cell *cell,
                                  window_bounds from, window_bounds to, fast_came *came)
{
    const fast_lane *lane = cell->lane;
    int low = 0;
    if (lane->is_float && lane->sums)
        low = ((const lane_state *)(const void *)(key->value + lane->state))->low - LANE_BIAS;
    if (came->lane != lane || came->from != from.hi || came->to != to.hi)
        *came = (fast_came){lane, from.hi, to.hi, fast_lane_add(ring, from.hi, to.hi, lane, low)};
    fast_total went = fast_lane_add(ring, from.lo, to.lo, lane, low);
    if (cell->count != 0)
        *(uint32_t *)(void *)(key->value + cell->count) += came->total.count - went.count;
    if (cell->sum != 0)
        sum_set(key, cell->sum, sum_get(key, cell->sum) + came->total.sum - went.sum);
}

/* The end of the window, when it moves on by a few elements; false otherwise. */
static inline bool fast_end(const fast_window *window, fast_ring ring, const key_state *state,
                            int64_t time_us, uint32_t from, uint32_t *to)
{
    int64_t end_us = time_us - window->end_us;
    uint32_t hi = from;
    if (window->end_us == 0) {
        *to = state->end;
        return state->end - from <= FAR_STEPS;
    }
    if (hi > state->first && fast_time(ring, hi - 1) > end_us)
        return false;
    while (hi < state->end && fast_time(ring, hi) <= end_us)
        if (++hi - from > FAR_STEPS)
            return false;
    *to = hi;
    return true;
}

/* Moves one window onwards to a question at time_us, which no record is newer than. False, and nothing done,
 * when it would have to go back, or so far that starting anew is nearer. */
static inline bool fast_move(const feature_key *key, const fast_window *window, fast_ring ring,
                             const key_state *state, int64_t time_us, fast_came *came)
{
    window_bounds *bounds = (window_bounds *)(void *)(key->value + window->bounds);
    window_bounds at = *bounds, to = at;
    int64_t start_us = time_us - window->start_us;
    if (at.lo > state->first && fast_time(ring, at.lo - 1) > start_us)
        return false;
    if (!window->fetch_hi && came->lane != NULL && at.hi == came->from)
        to.hi = came->to; /* the same end as the window before */
    else if (!fast_end(window, ring, state, time_us, at.hi, &to.hi))
        return false;
    while (to.lo < to.hi && fast_time(ring, to.lo) <= start_us)
        to.lo++;
    for (const fast_cell *cell = window->cells; cell < window->cells_end; cell++)
        fast_cell_move(key, ring, cell, at, to, came);
    *bounds = to;
    return true;
}

/* ---- answers ---- */

/* Counts and means of a window that has just been moved, straight into their columns. */
static inline void fast_answer(const feature_key *key, const fast_output *output,
                               window_bounds bounds, const fast_sink *sinks, uint32_t row)
{
    const fast_sink *sink = &sinks[output->index];
    uint32_t n = bounds.hi - bounds.lo;
    if (output->does != FAST_COUNT_ALL)
        n = *(const uint32_t *)(const void *)(key->value + output->count);
    if (n == 0) {
        feature_value value = read_empty(&key->plan->outputs[output->index]);
        sink->valid[row] = value.present;
        if (value.present)
            sink->values[row] = value.integer;
        return;
    }
    sink->valid[row] = 1;
    if (output->does != FAST_MEAN) {
        sink->values[row] = n;
        return;
    }
    mr_int128 sum = sum_get(key, output->sum);
    int exponent = 0;
    if (output->state != 0 && sum != 0)
        exponent =
            ((const lane_state *)(const void *)(key->value + output->state))->low - LANE_BIAS;
    double mean = mr_exact_mean(sum, exponent, n);
    memcpy(&sink->values[row], &mean, sizeof mean);
}

/* ---- steps ---- */

static inline bool any_wide(const feature_key *key)
{
    const fast_plan *fast = key->plan->fast;
    for (uint32_t i = 0; i < fast->sum_lane_count; i++)
        if (lane_is_wide(key, &key->plan->lanes[fast->sum_lanes[i]]))
            return true;
    return false;
}

static inline void fast_admit(feature_key *key, const uint8_t *element)
{
    const fast_plan *fast = key->plan->fast;
    for (uint32_t i = 0; i < fast->sum_lane_count; i++) {
        const fast_lane *lane = &fast->lanes[fast->sum_lanes[i]];
        double value = load_f64(element + lane->value);
        int exponent;
        if ((load_u64(element) & lane->need) == lane->need && value == value &&
            mr_exact_split(value, &exponent) != 0)
            lane_admit(key, fast->sum_lanes[i], exponent, exponent);
    }
}

/* The record at its end of the ring; false when ring.c must do it. */
bool fast_insert(feature_key *key, const feature_event *event, uint32_t *out_index)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    if (state->ring == NULL || state->end - state->first == 1u << state->ring_log2 ||
        (state->end != state->first && time_at(plan, state, state->end - 1) > event->time_us) ||
        state->end >= 1u << 31)
        return false;
    uint8_t *element = element_at(plan, state, state->end);
    store_u64(element, (uint64_t)event->time_us << FLAG_BITS | event->flags);
    for (uint32_t i = 0; i < plan->input_count; i++)
        store_u64(element + 8 + (size_t)8 * i, event->inputs[i]);
    *out_index = state->end++;
    fast_admit(key, element);
    return true;
}

static inline mr_status fast_windows(feature_key *key, int64_t time_us, uint32_t self,
                                     uint32_t bytes, const fast_sink *sinks, uint32_t row,
                                     mr_error *err)
{
    const feature_plan *plan = key->plan;
    const fast_plan *fast = plan->fast;
    const key_state *state = state_of(key);
    const fast_ring ring = {state->ring, (1u << state->ring_log2) - 1, bytes};
    fast_came came = {.lane = NULL};
    for (uint32_t i = 0; i < plan->window_count; i++) {
        const fast_window *window = &fast->windows[i];
        const feature_window *general = &plan->windows[window->index];
        if (window->fetch_hi)
            came.lane = NULL; /* another end */
        if (!fast_move(key, window, ring, state, time_us, &came)) {
            came.lane = NULL;
            MR_TRY(window_move(key, general, window_find(key, general, time_us, self), err));
        }
        window_bounds bounds = *(const window_bounds *)(const void *)(key->value + window->bounds);
        for (uint32_t k = window->output_first; k < window->output_end; k++)
            fast_answer(key, &fast->outputs[k], bounds, sinks, row);
    }
    return MR_OK;
}

/* Moves all windows and answers outputs [0, fast->output_count) of the fast plan; false when it is a matter for
 * read.c. */
bool fast_ask(feature_key *key, int64_t time_us, uint32_t self, const fast_sink *sinks,
              uint32_t row, mr_status *out_status, mr_error *err)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    if (state->ring == NULL || time_at(plan, state, state->end - 1) > time_us || any_wide(key))
        return false;
    *out_status = plan->element_bytes == 16
                      ? fast_windows(key, time_us, self, 16, sinks, row, err)
                      : fast_windows(key, time_us, self, plan->element_bytes, sinks, row, err);
    return true;
}

/* Lets go of elements that no window holds any more; the rest is ring.c's. */
mr_status fast_evict(feature_key *key, mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    int64_t newest = time_at(plan, state, state->end - 1);
    int64_t bound = newest - MR_MAX(plan->reach_us + plan->lateness_us, 1);
    if (time_at(plan, state, state->first) > bound)
        return MR_OK;
    uint32_t held = state->end;
    for (uint32_t i = 0; i < plan->window_count; i++)
        held = MR_MIN(held, bounds_of(key, &plan->windows[i])->lo);
    if (any_wide(key))
        return ring_evict(key, err);
    while (state->first < held && time_at(plan, state, state->first) <= bound)
        state->first++;
    uint32_t kept = state->end - state->first;
    bool shrinks = state->ring_log2 > SHRINK_LOG2_MIN && kept < 1u << (state->ring_log2 - 2);
    return state->first == held || shrinks ? ring_evict(key, err) : MR_OK;
}

void fast_prefetch(const feature_plan *plan, const uint8_t *value)
{
    const key_state *state = (const key_state *)(const void *)value;
    if (state->ring == NULL)
        return;
    const fast_ring ring = {state->ring, (1u << state->ring_log2) - 1, plan->element_bytes};
    __builtin_prefetch(fast_at(ring, state->end), 1);
    __builtin_prefetch(fast_at(ring, state->end - 1), 1);
    for (uint32_t i = 0; i < plan->window_count; i++) {
        const fast_window *window = &plan->fast->windows[i];
        const window_bounds *bounds = (const window_bounds *)(const void *)(value + window->bounds);
        __builtin_prefetch(fast_at(ring, bounds->lo), 0);
        if (window->fetch_hi)
            __builtin_prefetch(fast_at(ring, bounds->hi), 0);
    }
}
