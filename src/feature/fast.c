/* fast.c -- the common case, straight through: sliding windows of counts, sums and means, records in order.
 *
 * It works on the same state as ring.c, window.c and read.c and leaves to them whatever is not common: late
 * records, a full ring, a lane that must change its exponent, bounds that must move back or far, other
 * aggregates. What it does is what they would do; the oracle test runs both. The element size is a constant
 * in the instance for one input (16 bytes), so that addresses are shifts. Thread: the slot's worker. */
#include "feature/feature_internal.h"

enum {
    FAR_STEPS = 64,           /* elements a bound moves before the general way is asked */
    PREFETCH_WHOLE_MAX = 320, /* bytes of a ring */
};

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

/* The one lane that all cells are of, with count and sum each. */
static const fast_lane *plan_only_lane(const feature_plan *plan, const fast_plan *fast)
{
    for (uint32_t i = 0; i < plan->cell_count; i++)
        if (plan->cells[i].parts != (PART_COUNT | PART_SUM) ||
            plan->cells[i].lane != plan->cells[0].lane)
            return NULL;
    return plan->cell_count > 0 ? &fast->lanes[plan->cells[0].lane] : NULL;
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
    fast->only_lane = plan_only_lane(plan, fast);
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
        if (m != 0 && lane->sums)
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
                               window_bounds bounds, const fast_sink *sink, uint32_t row)
{
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
            fast_answer(key, &fast->outputs[k], bounds, &sinks[k], row);
    }
    return MR_OK;
}

/* ---- one lane: sums and counts of a window stay in registers ---- */

typedef struct lane_view {
    uint64_t need;
    uint32_t value;
    int low;
} lane_view;

/* What one element adds to the lane; zero, and not counted, when it does not match. */
static inline mr_int128 lane_part(const lane_view *lane, const uint8_t *element, bool is_float,
                                  uint32_t *count)
{
    bool in = (load_u64(element) & lane->need) == lane->need;
    uint64_t bits = load_u64(element + lane->value);
    if (!is_float) {
        *count += in;
        return in ? (int64_t)bits : 0;
    }
    int field = (int)(bits >> 52) & 0x7ff;
    if (!in || field == 0x7ff)
        return 0;
    *count += 1;
    if (field == 0) /* zero, or subnormal: rare enough for the long way */
        return (bits << 1) == 0 ? 0
                                : (mr_int128)((mr_uint128)(bits & 0xfffffffffffffu)
                                              << ((-1074 - lane->low) & 127)) *
                                      (bits >> 63 != 0 ? -1 : 1);
    mr_uint128 part = (mr_uint128)((bits & 0xfffffffffffffu) | UINT64_C(1) << 52)
                      << ((field - 1075 - lane->low) & 127);
    return (mr_int128)(bits >> 63 != 0 ? -part : part);
}

typedef struct lane_came {
    uint32_t from, to, count;
    bool known;
    mr_int128 sum;
} lane_came;

/* As fast_move; false, and nothing done, when it is for the general way. */
static inline bool lane_move(const feature_key *key, const fast_window *window, fast_ring ring,
                             const key_state *state, const lane_view *lane, bool is_float,
                             int64_t time_us, lane_came *came)
{
    window_bounds *bounds = (window_bounds *)(void *)(key->value + window->bounds);
    int64_t start_us = time_us - window->start_us;
    uint32_t lo = bounds->lo, hi = bounds->hi, to_hi, went = 0;
    if (lo > state->first && fast_time(ring, lo - 1) > start_us)
        return false;
    if (came->known && hi == came->from) {
        to_hi = came->to;
    } else {
        if (!fast_end(window, ring, state, time_us, hi, &to_hi))
            return false;
        *came = (lane_came){hi, to_hi, 0, true, 0};
        for (uint32_t i = hi; i < to_hi; i++)
            came->sum += lane_part(lane, fast_at(ring, i), is_float, &came->count);
    }
    mr_int128 gone = 0;
    for (const uint8_t *element; lo < to_hi; lo++) {
        element = fast_at(ring, lo);
        if (element_time(element) > start_us)
            break;
        gone += lane_part(lane, element, is_float, &went);
    }
    const fast_cell *cell = window->cells;
    if (cell < window->cells_end) {
        *(uint32_t *)(void *)(key->value + cell->count) += came->count - went;
        sum_set(key, cell->sum, sum_get(key, cell->sum) + came->sum - gone);
    }
    *bounds = (window_bounds){lo, to_hi};
    return true;
}

static inline mr_status lane_windows(feature_key *key, int64_t time_us, uint32_t self,
                                     uint32_t bytes, bool is_float, const fast_sink *sinks,
                                     uint32_t row, mr_error *err)
{
    const fast_plan *fast = key->plan->fast;
    const key_state *state = state_of(key);
    const fast_ring ring = {state->ring, (1u << state->ring_log2) - 1, bytes};
    const fast_lane *only = fast->only_lane;
    lane_view lane = {only->need, only->value, 0};
    if (is_float)
        lane.low = ((const lane_state *)(const void *)(key->value + only->state))->low - LANE_BIAS;
    lane_came came = {.known = false};
    const fast_output *output = fast->outputs;
    for (const fast_window *window = fast->windows; window < fast->windows + fast->window_count;
         window++) {
        came.known = came.known && !window->fetch_hi;
        if (!lane_move(key, window, ring, state, &lane, is_float, time_us, &came)) {
            const feature_window *general = &key->plan->windows[window->index];
            came.known = false;
            MR_TRY(window_move(key, general, window_find(key, general, time_us, self), err));
        }
        window_bounds bounds = *(const window_bounds *)(const void *)(key->value + window->bounds);
        for (uint32_t n = window->output_end - window->output_first; n > 0; n--, output++, sinks++)
            fast_answer(key, output, bounds, sinks, row);
    }
    return MR_OK;
}

static inline mr_status all_windows(feature_key *key, int64_t time_us, uint32_t self,
                                    uint32_t bytes, const fast_sink *sinks, uint32_t row,
                                    mr_error *err)
{
    const fast_lane *only = key->plan->fast->only_lane;
    if (only == NULL)
        return fast_windows(key, time_us, self, bytes, sinks, row, err);
    return only->is_float ? lane_windows(key, time_us, self, bytes, true, sinks, row, err)
                          : lane_windows(key, time_us, self, bytes, false, sinks, row, err);
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
                      ? all_windows(key, time_us, self, 16, sinks, row, err)
                      : all_windows(key, time_us, self, plan->element_bytes, sinks, row, err);
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

MR_ALWAYS_INLINE void prefetch_around(fast_ring ring, uint32_t index)
{
    __builtin_prefetch(fast_at(ring, index - 1), 0);
    __builtin_prefetch(fast_at(ring, index + 1), 0);
}

/* What a small ring holds, and the place behind it; of a large one what is around its ends and the ends of its
 * windows. */
MR_ALWAYS_INLINE void prefetch_ring(const feature_plan *plan, const uint8_t *value)
{
    const key_state *state = (const key_state *)(const void *)value;
    if (state->ring == NULL)
        return;
    const fast_ring ring = {state->ring, (1u << state->ring_log2) - 1, plan->element_bytes};
    size_t bytes = (size_t)ring.bytes << state->ring_log2;
    size_t held = (size_t)(state->end - state->first) * ring.bytes;
    if (held <= PREFETCH_WHOLE_MAX) {
        size_t from = (size_t)(state->first & ring.mask) * ring.bytes;
        __builtin_prefetch(fast_at(ring, state->end), 1);
        for (size_t at = from; at < from + held; at += MR_ALIGN)
            __builtin_prefetch(ring.ring + (at < bytes ? at : at - bytes), 1);
        return;
    }
    __builtin_prefetch(fast_at(ring, state->end), 1);
    __builtin_prefetch(fast_at(ring, state->end - 1), 1);
    __builtin_prefetch(fast_at(ring, state->first), 0);
    for (uint32_t i = 0; i < plan->fast->window_count; i++) {
        const fast_window *window = &plan->fast->windows[i];
        const window_bounds *bounds = (const window_bounds *)(const void *)(value + window->bounds);
        prefetch_around(ring, bounds->lo);
        if (window->fetch_hi && window->end_us > 0)
            prefetch_around(ring, bounds->hi);
    }
}

/* ---- whole micro-batches ---- */

static inline const mr_slot *slot_of_row(const fast_records *records, uint32_t row)
{
    return &records->slots[mr_key_slot(records->keys[row].hash)];
}

/* The steps of a group that there are: `from` may be before the first (it wraps) or the end beyond the last. */
typedef struct fast_group {
    size_t from, to;
} fast_group;

static inline fast_group group_at(size_t at, size_t ahead, size_t count)
{
    size_t from = at + ahead * WALK_GROUP;
    return from < count ? (fast_group){from, MR_MIN(from + WALK_GROUP, count)} : (fast_group){0, 0};
}

/* Asks for what the groups ahead of the one at `at` will want. A group takes each stage at once: the processor waits
 * for the translation of an address that is asked for, and in a row of them the waits overlap. */
MR_ALWAYS_INLINE void look_ahead(const fast_records *records, const uint32_t *rows, size_t count,
                                 size_t at, uint32_t *places)
{
    fast_group slots = group_at(at, WALK_SLOTS, count), tags = group_at(at, WALK_TAGS, count),
               entries = group_at(at, WALK_ENTRIES, count), rings = group_at(at, WALK_RINGS, count);
    for (size_t i = slots.from; i < slots.to; i++)
        __builtin_prefetch(slot_of_row(records, rows[i]), 1);
    for (size_t i = tags.from; i < tags.to; i++)
        mr_slot_prefetch(slot_of_row(records, rows[i]), records->keys[rows[i]].hash);
    for (size_t i = entries.from; i < entries.to; i++) {
        const mr_slot *slot = slot_of_row(records, rows[i]);
        uint64_t hash = records->keys[rows[i]].hash;
        places[i % WALK_PLACES] = mr_slot_prefetch_entry(slot, hash);
        if (MR_UNLIKELY(places[i % WALK_PLACES] == MR_SLOT_NOWHERE && slot->spilled > 0))
            mr_slot_prefetch_spilled(slot, hash);
    }
    for (size_t i = rings.from; i < rings.to; i++) {
        const uint8_t *value =
            mr_slot_peek_word_at(slot_of_row(records, rows[i]), places[i % WALK_PLACES],
                                 (int64_t)records->keys[rows[i]].word);
        if (value != NULL)
            prefetch_ring(records->plan, value);
    }
}

/* The record's element behind the last one; false, and nothing done, when ring.c must put it in. */
static inline bool append_record(feature_key *key, const fast_records *records, uint32_t row,
                                 int64_t time_us, mr_view_stats *stats)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    if (state->ring == NULL || state->end - state->first == 1u << state->ring_log2 ||
        state->end == state->first || time_at(plan, state, state->end - 1) > time_us ||
        state->end >= 1u << 31)
        return false;
    uint8_t *element = element_at(plan, state, state->end);
    store_u64(element, (uint64_t)time_us << FLAG_BITS | records->flags);
    for (uint32_t i = 0; i < plan->input_count; i++) {
        uint64_t bits = records->inputs[i].values[row];
        if (records->inputs[i].is_float && (bits >> 52 & 0x7ff) == 0x7ff) {
            bits = UINT64_C(0x7ff8) << 48; /* missing */
            stats->not_finite++;
        }
        store_u64(element + 8 + (size_t)8 * i, bits);
    }
    state->end++;
    fast_admit(key, element);
    return true;
}

static mr_status answer_slowly(feature_key *key, int64_t time_us, const fast_sink *sinks,
                               uint32_t row, mr_error *err)
{
    const feature_plan *plan = key->plan;
    uint32_t self = state_of(key)->end - 1;
    MR_TRY(read_prepare(key, time_us, self, err));
    for (uint32_t k = 0; k < plan->fast->output_count; k++) {
        const feature_output *output = &plan->outputs[plan->fast->outputs[k].index];
        feature_value value;
        MR_TRY(read_output(key, output, time_us, self, &value, NULL, err));
        sinks[k].valid[row] = value.present;
        if (value.present)
            sinks[k].values[row] = value.integer;
    }
    return MR_OK;
}

static inline bool take_record(const fast_records *records, uint32_t row, uint32_t place,
                               uint32_t bytes, mr_view_stats *stats, mr_status *status,
                               mr_error *err)
{
    const work_key *at = &records->keys[row];
    mr_slot *slot = &records->slots[mr_key_slot(at->hash)];
    if (MR_UNLIKELY(records->first_position + row < slot->skip_until))
        return true;
    feature_key key = {records->plan, slot, NULL, stats};
    key.value = mr_slot_get_word_at(slot, place, at->hash, (int64_t)at->word, err);
    int64_t time_us = MR_MIN(MR_MAX(records->times[row], MR_TIME_MIN_US), MR_TIME_MAX_US);
    if (key.value == NULL || !append_record(&key, records, row, time_us, stats))
        return false;
    stats->updates++;
    stats->queries++;
    if (MR_UNLIKELY(any_wide(&key)))
        *status = answer_slowly(&key, time_us, records->sinks, row, err);
    else
        *status =
            all_windows(&key, time_us, state_of(&key)->end - 1, bytes, records->sinks, row, err);
    if (*status == MR_OK)
        *status = fast_evict(&key, err);
    return *status == MR_OK;
}

static inline bool walk(const fast_records *records, const uint32_t *rows, size_t count,
                        fast_progress *progress, uint32_t bytes, mr_view_stats *stats,
                        mr_status *status, mr_error *err)
{
    while (progress->next < count + WALK_AHEAD) {
        size_t at = progress->next - WALK_AHEAD; /* wraps at first */
        if (progress->next++ % WALK_GROUP == 0)
            look_ahead(records, rows, count, at, progress->places);
        if (at < count && !take_record(records, rows[at], progress->places[at % WALK_PLACES], bytes,
                                       stats, status, err))
            return false;
    }
    return true;
}

bool fast_walk(const fast_records *records, const uint32_t *rows, size_t count,
               fast_progress *progress, mr_view_stats *stats, mr_status *out_status, mr_error *err)
{
    uint32_t bytes = records->plan->element_bytes;
    return bytes == 16 ? walk(records, rows, count, progress, 16, stats, out_status, err)
                       : walk(records, rows, count, progress, bytes, stats, out_status, err);
}
