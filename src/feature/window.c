/* window.c -- where windows begin and end, and the accumulators that move with them.
 *
 *        lo            hi
 *   ..---+=============+----..   (t - d - w, t - d]     bounds are found near where they stood,
 *        | <- minus    | <- plus                        and cells follow element by element,
 * or from nothing when the new window is nearer to empty than to the old one. Thread: the slot's worker. */
#include "feature/feature_internal.h"

/* ---- finding bounds ---- */

static int64_t floor_to(int64_t time_us, int64_t step_us)
{
    int64_t rest = time_us % step_us;
    return time_us - (rest < 0 ? rest + step_us : rest);
}

static uint32_t session_start(const feature_key *key, const feature_window *window, uint32_t hi)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    window_bounds known = *bounds_of(key, window);
    uint32_t start = hi - 1;
    int64_t later = time_at(plan, state, start);
    while (start > state->first) {
        if (known.lo < known.hi && start == known.hi - 1)
            return known.lo; /* the session found last time goes on */
        int64_t earlier = time_at(plan, state, start - 1);
        if (later - earlier > window->window.length_us)
            break;
        later = earlier;
        start--;
    }
    return start;
}

static uint32_t window_end_all(const feature_key *key, const feature_window *window,
                               int64_t time_us, uint32_t self)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    int64_t delay = window->window.delay_us;
    if (delay == 0 && self != NONE)
        return self + 1 == state->end ? self + 1
               : plan->tiled ? ring_bound(plan, state, time_at(plan, state, self), self + 1)
                             : self + 1;
    int64_t end_us = time_us - delay;
    if (plan->tiled) {
        end_us = floor_to(end_us, plan->resolution_us);
        if (delay == 0 && end_us != time_us)
            end_us += plan->resolution_us; /* the tile of t, as far as it has come */
    }
    return ring_bound(plan, state, end_us, delay == 0 ? state->end : bounds_of(key, window)->hi);
}

/* A closed window leaves out the tiles of its newest end. */
static uint32_t window_end(const feature_key *key, const feature_window *window, int64_t time_us,
                           uint32_t self)
{
    uint32_t hi = window_end_all(key, window, time_us, self);
    return window->closed ? tile_home(key, hi) : hi;
}

window_bounds window_find(const feature_key *key, const feature_window *window, int64_t time_us,
                          uint32_t self)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    uint32_t hi = window_end(key, window, time_us, self), lo = state->first;
    int64_t end_us = time_us - window->window.delay_us, start_us;
    switch (window->window.kind) {
    case MR_WINDOW_SLIDING:
        start_us = end_us - window->window.length_us;
        if (plan->tiled)
            start_us = floor_to(start_us, plan->resolution_us);
        lo = ring_bound(plan, state, start_us, bounds_of(key, window)->lo);
        break;
    case MR_WINDOW_DAY:
        start_us = floor_to(end_us, MR_TIME_US_PER_DAY) - 1;
        lo = ring_bound(plan, state, start_us, bounds_of(key, window)->lo);
        break;
    case MR_WINDOW_LAST:
        lo = hi - MR_MIN(hi - state->first, window->window.events);
        break;
    case MR_WINDOW_SESSION:
        lo = hi;
        if (hi > state->first && end_us - time_at(plan, state, hi - 1) <= window->window.length_us)
            lo = session_start(key, window, hi);
        break;
    case MR_WINDOW_LIFETIME:
    case MR_WINDOW_DECAYED:
    case MR_WINDOW_KINDS:
        break;
    }
    return (window_bounds){MR_MIN(lo, hi), hi};
}

/* ---- cells ---- */

static void add_square(const feature_key *key, const feature_cell *cell, const mr_square *square,
                       int sign)
{
    mr_square squares;
    memcpy(&squares, key->value + cell->square, sizeof squares);
    if (sign > 0)
        mr_square_add(&squares, square);
    else
        mr_square_subtract(&squares, square);
    memcpy(key->value + cell->square, &squares, sizeof squares);
}

static inline void add_sum(const feature_key *key, const feature_lane *lane,
                           const feature_cell *cell, const uint8_t *element, int sign)
{
    int64_t m;
    unsigned shift = 0;
    if (lane->is_float) {
        const lane_state *exponents = lane_state_of(key, lane);
        int exponent;
        m = mr_exact_split(load_f64(element + lane->value), &exponent);
        if (m == 0 || exponents->low == LANE_WIDE)
            return;
        shift = (unsigned)(exponent + LANE_BIAS - exponents->low);
    } else {
        m = (int64_t)load_u64(element + lane->value);
    }
    mr_int128 part = (mr_int128)((mr_uint128)(mr_int128)m << shift), sum = sum_get(key, cell->sum);
    sum_set(key, cell->sum, sign > 0 ? sum + part : sum - part);
    if ((cell->parts & PART_SQUARE) != 0) {
        mr_square square = mr_square_of(m < 0 ? -(uint64_t)m : (uint64_t)m);
        square = mr_square_shift(&square, 2 * shift);
        add_square(key, cell, &square, sign);
    }
}

static mr_status add_values(feature_key *key, const feature_lane *lane, const feature_cell *cell,
                            const uint8_t *element, int sign, mr_error *err)
{
    mr_status status = MR_OK;
    mr_values *values = value_pointer(key, cell->table);
    uint64_t identity = value_identity(lane, element);
    if (sign > 0) {
        mr_text text;
        bool keeps = (cell->parts & PART_TEXTS) != 0 && lane->is_text;
        if (keeps)
            text = text_lent(text_of(load_u64(element + lane->value)));
        status = mr_values_add(key->slot, &values, identity, keeps ? &text : NULL, 1, err);
    } else {
        mr_values_subtract(key->slot, &values, identity, 1);
    }
    memcpy(key->value + cell->table, &values, sizeof values);
    return status;
}

/* A sketch is there only when a question has asked for it (read.c). */
static mr_status add_bucket(feature_key *key, const feature_lane *lane, const feature_cell *cell,
                            const uint8_t *element, int sign, mr_error *err)
{
    mr_status status = MR_OK;
    mr_sketch *sketch = value_pointer(key, cell->sketch);
    if (sketch == NULL)
        return MR_OK;
    double value = lane->is_float ? load_f64(element + lane->value)
                                  : (double)(int64_t)load_u64(element + lane->value);
    if (sign > 0)
        status = mr_sketch_add(key->slot, &sketch, mr_sketch_key(value), 1, UINT32_MAX, err);
    else
        mr_sketch_remove(key->slot, &sketch, mr_sketch_key(value));
    memcpy(key->value + cell->sketch, &sketch, sizeof sketch);
    return status;
}

static void apply_tile(feature_key *key, const feature_lane *lane, const feature_cell *cell,
                       const uint8_t *element, int sign)
{
    feature_tile head = tile_head(lane, element);
    if ((cell->parts & PART_COUNT) != 0)
        *count_of(key, cell) += sign > 0 ? head.count : -head.count;
    if ((cell->parts & PART_SUM) == 0 || (lane->is_float && lane_is_wide(key, lane)))
        return;
    mr_int128 part = tile_sum(lane, element), sum = sum_get(key, cell->sum);
    mr_square squares = {{0}};
    if ((cell->parts & PART_SQUARE) != 0)
        memcpy(&squares, element + lane->tile_square, sizeof squares);
    unsigned shift = 0;
    if (lane->is_float && (part != 0 || mr_square_bits(&squares) > 0))
        shift = (unsigned)(head.exponent + LANE_BIAS - lane_state_of(key, lane)->low);
    part = (mr_int128)((mr_uint128)part << shift);
    sum_set(key, cell->sum, sign > 0 ? sum + part : sum - part);
    if ((cell->parts & PART_SQUARE) != 0) {
        squares = mr_square_shift(&squares, 2 * shift);
        add_square(key, cell, &squares, sign);
    }
}

static mr_status apply_tile_top(feature_key *key, const feature_cell *cell, const mr_values *top,
                                int sign, mr_error *err)
{
    mr_values *values = value_pointer(key, cell->table);
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < mr_values_places(top) && status == MR_OK; i++) {
        const mr_value_count *at = &top->places[i];
        mr_text text = at->text != NULL ? text_lent(at->text) : (mr_text){NULL, 0};
        if (at->count > 0 && sign > 0)
            status = mr_values_add(key->slot, &values, at->identity,
                                   at->text != NULL ? &text : NULL, at->count, err);
        else if (at->count > 0)
            mr_values_subtract(key->slot, &values, at->identity, at->count);
    }
    memcpy(key->value + cell->table, &values, sizeof values);
    return status;
}

static mr_status apply_tile_sketch(feature_key *key, const feature_cell *cell,
                                   const mr_sketch *part, int sign, mr_error *err)
{
    mr_sketch *sketch = value_pointer(key, cell->sketch);
    mr_status status = MR_OK;
    if (sign > 0)
        status = mr_sketch_merge(key->slot, &sketch, part, UINT32_MAX, err);
    else
        mr_sketch_unmerge(key->slot, &sketch, part);
    memcpy(key->value + cell->sketch, &sketch, sizeof sketch);
    return status;
}

static mr_status apply_tile_distinct(feature_key *key, const feature_cell *cell,
                                     const mr_distinct *part, int sign, mr_error *err)
{
    mr_union all = union_get(key, cell);
    mr_status status = MR_OK;
    if (sign > 0)
        status = mr_union_add(key->slot, &all, part, err);
    else
        mr_union_subtract(key->slot, &all, part);
    union_set(key, cell, all);
    return status;
}

/* What a tile tells of many values. */
static mr_status apply_tile_values(feature_key *key, const feature_lane *lane,
                                   const feature_cell *cell, const uint8_t *element, int sign,
                                   mr_error *err)
{
    if ((cell->parts & PART_TOP) != 0)
        MR_TRY(apply_tile_top(key, cell, tile_pointer(element, lane->tile_top), sign, err));
    if ((cell->parts & PART_SKETCH) != 0)
        MR_TRY(apply_tile_sketch(key, cell, tile_pointer(element, lane->tile_sketch), sign, err));
    if ((cell->parts & PART_DISTINCT) != 0)
        MR_TRY(
            apply_tile_distinct(key, cell, tile_pointer(element, lane->tile_distinct), sign, err));
    return MR_OK;
}

static mr_status apply(feature_key *key, const feature_window *window, uint32_t index, int sign,
                       mr_error *err)
{
    const feature_plan *plan = key->plan;
    const uint8_t *element = element_at(plan, state_of(key), index);
    for (uint32_t i = 0; i < window->cell_count; i++) {
        const feature_cell *cell = &plan->cells[window->cell_first + i];
        const feature_lane *lane = &plan->lanes[cell->lane];
        if (plan->tiled) {
            apply_tile(key, lane, cell, element, sign);
            MR_TRY(apply_tile_values(key, lane, cell, element, sign, err));
            continue;
        }
        if (!lane_matches(plan, lane, element))
            continue;
        if ((cell->parts & PART_COUNT) != 0)
            *count_of(key, cell) += (uint32_t)sign;
        if ((cell->parts & PART_SUM) != 0)
            add_sum(key, lane, cell, element, sign);
        if ((cell->parts & PART_TABLE) != 0)
            MR_TRY(add_values(key, lane, cell, element, sign, err));
        if ((cell->parts & PART_SKETCH) != 0)
            MR_TRY(add_bucket(key, lane, cell, element, sign, err));
    }
    return MR_OK;
}

void window_reset(feature_key *key, const feature_window *window)
{
    window_bounds *bounds = bounds_of(key, window);
    bounds->hi = bounds->lo;
    for (uint32_t i = 0; i < window->cell_count; i++) {
        const feature_cell *cell = &key->plan->cells[window->cell_first + i];
        if ((cell->parts & PART_COUNT) != 0)
            *count_of(key, cell) = 0;
        if ((cell->parts & PART_SUM) != 0)
            sum_set(key, cell->sum, 0);
        if ((cell->parts & PART_SQUARE) != 0)
            memset(key->value + cell->square, 0, sizeof(mr_square));
        if ((cell->parts & PART_DISTINCT) != 0) {
            mr_union all = union_get(key, cell);
            mr_union_free(key->slot, &all);
            union_set(key, cell, all);
        }
        if ((cell->parts & (PART_TABLE | PART_TOP)) != 0) {
            mr_values *values = value_pointer(key, cell->table);
            mr_values_free(key->slot, &values);
            memcpy(key->value + cell->table, &values, sizeof values);
        }
        if ((cell->parts & PART_SKETCH) != 0) {
            mr_sketch *sketch = value_pointer(key, cell->sketch);
            mr_sketch_free(key->slot, &sketch);
            memcpy(key->value + cell->sketch, &sketch, sizeof sketch);
        }
    }
}

/* ---- moving ---- */

static inline uint32_t apart(uint32_t a, uint32_t b)
{
    return a < b ? b - a : a - b;
}

mr_status window_move(feature_key *key, const feature_window *window, window_bounds to,
                      mr_error *err)
{
    window_bounds *at = bounds_of(key, window);
    if (!window->moves) {
        *at = to;
        return MR_OK;
    }
    if (to.lo >= at->hi || to.hi <= at->lo ||
        apart(to.lo, at->lo) + apart(to.hi, at->hi) > to.hi - to.lo) {
        window_reset(key, window);
        *at = (window_bounds){to.lo, to.lo};
    }
    while (at->hi < to.hi)
        MR_TRY(apply(key, window, at->hi++, 1, err));
    while (at->lo > to.lo)
        MR_TRY(apply(key, window, --at->lo, 1, err));
    while (at->lo < to.lo)
        MR_TRY(apply(key, window, at->lo++, -1, err));
    while (at->hi > to.hi)
        MR_TRY(apply(key, window, --at->hi, -1, err));
    return MR_OK;
}

mr_status window_step_back(feature_key *key, uint32_t index, bool insert, mr_error *err)
{
    for (uint32_t i = 0; i < key->plan->window_count; i++) {
        const feature_window *window = &key->plan->windows[i];
        window_bounds *at = bounds_of(key, window);
        if (window->window.kind == MR_WINDOW_SESSION && at->hi > index) {
            window_reset(key, window); /* the record may join sessions */
            at->lo = at->hi = index;
        } else if (at->lo < index + !insert && index < at->hi) {
            MR_TRY(window_move(key, window, (window_bounds){at->lo, index}, err));
        } else if (insert && index <= at->lo && at->lo < at->hi) {
            at->lo++;
            at->hi++;
        }
    }
    return MR_OK;
}

void window_rebuild_sums(feature_key *key, uint32_t index)
{
    const feature_plan *plan = key->plan;
    const feature_lane *lane = &plan->lanes[index];
    for (uint32_t w = 0; w < plan->window_count; w++) {
        const feature_window *window = &plan->windows[w];
        window_bounds at = *bounds_of(key, window);
        for (uint32_t c = window->cell_first; c < window->cell_first + window->cell_count; c++) {
            feature_cell cell = plan->cells[c];
            if (cell.lane != index || (cell.parts & PART_SUM) == 0)
                continue;
            cell.parts &= PART_SUM | PART_SQUARE;
            sum_set(key, cell.sum, 0);
            if ((cell.parts & PART_SQUARE) != 0)
                memset(key->value + cell.square, 0, sizeof(mr_square));
            for (uint32_t i = at.lo; i < at.hi; i++) {
                const uint8_t *element = element_at(plan, state_of(key), i);
                if (plan->tiled)
                    apply_tile(key, lane, &cell, element, 1);
                else if (lane_matches(plan, lane, element))
                    add_sum(key, lane, &cell, element, 1);
            }
        }
    }
}
