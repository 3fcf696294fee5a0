/* lane.c -- exponents of exact sums: one per (key, lane), lowered when finer values come.
 *
 *    2^high+53 ......... 2^high ......... 2^low            all values of the ring lie in between
 *   |<---- 53 bits ---->|<-- at most 41 -->|               and 2^32 of them below 2^126
 * A lane whose values span more is wide until those that stretch it have left the ring. */
#include "feature/feature_internal.h"

enum { HEADROOM = 8, RETRY_MAX = 65000 };

bool lane_range(const feature_plan *plan, const feature_lane *lane, const uint8_t *element,
                int *low, int *high)
{
    if (plan->tiled) {
        feature_tile head = tile_head(lane, element);
        mr_square squares = {{0}};
        if ((lane->parts & PART_SQUARE) != 0)
            memcpy(&squares, element + lane->tile_square, sizeof squares);
        int bits =
            MR_MAX(mr_exact_bits(tile_sum(lane, element)), (mr_square_bits(&squares) + 1) / 2);
        *low = head.exponent;
        *high = MR_MAX(head.exponent, head.exponent + bits - 53);
        return bits > 0;
    }
    if (!lane_matches(plan, lane, element))
        return false;
    int64_t m = mr_exact_split(load_f64(element + lane->value), low);
    *high = *low;
    return m != 0;
}

static void shift_sums(feature_key *key, uint32_t lane, unsigned shift)
{
    const feature_plan *plan = key->plan;
    for (uint32_t i = 0; i < plan->cell_count; i++) {
        const feature_cell *cell = &plan->cells[i];
        if (cell->lane != lane)
            continue;
        if ((cell->parts & PART_SUM) != 0)
            sum_set(key, cell->sum, (mr_int128)((mr_uint128)sum_get(key, cell->sum) << shift));
        if ((cell->parts & PART_SQUARE) != 0) {
            mr_square squares;
            memcpy(&squares, key->value + cell->square, sizeof squares);
            squares = mr_square_shift(&squares, 2 * shift);
            memcpy(key->value + cell->square, &squares, sizeof squares);
        }
    }
}

/* Looks at the whole ring: narrow with exactly the range that is there, or wide. */
static void refit(feature_key *key, uint32_t index)
{
    const feature_plan *plan = key->plan;
    const feature_lane *lane = &plan->lanes[index];
    const key_state *state = state_of(key);
    lane_state *exponents = lane_state_of(key, lane);
    int low = LANE_BIAS, high = -LANE_BIAS;
    for (uint32_t i = state->first; i < state->end; i++) {
        int element_low, element_high;
        if (lane_range(plan, lane, element_at(plan, state, i), &element_low, &element_high)) {
            low = MR_MIN(low, element_low);
            high = MR_MAX(high, element_high);
        }
    }
    if (high - low > LANE_SPREAD_MAX) {
        uint32_t wait = (state->end - state->first) / 2 + 1;
        *exponents = (lane_state){LANE_WIDE, (uint16_t)MR_MIN(wait, RETRY_MAX)};
        return;
    }
    *exponents = high < low
                     ? (lane_state){0, 0}
                     : (lane_state){(uint16_t)(low + LANE_BIAS), (uint16_t)(high + LANE_BIAS)};
    window_rebuild_sums(key, index);
}

void lane_admit(feature_key *key, uint32_t index, int low, int high)
{
    lane_state *exponents = lane_state_of(key, &key->plan->lanes[index]);
    if (exponents->low == LANE_WIDE)
        return;
    int old_low = exponents->low - LANE_BIAS, old_high = exponents->high - LANE_BIAS;
    if (exponents->low != 0 && low >= old_low && high <= old_high)
        return;
    if (exponents->low == 0) {
        old_low = low; /* only zeros so far: nothing to shift */
        old_high = high;
    }
    high = MR_MAX(high, old_high);
    if (high - MR_MIN(low, old_low) > LANE_SPREAD_MAX) {
        refit(key, index);
        return;
    }
    if (low < old_low) {
        if (high - (low - HEADROOM) <= LANE_SPREAD_MAX)
            low -= HEADROOM;
        shift_sums(key, index, (unsigned)(old_low - low));
    } else {
        low = old_low;
    }
    *exponents = (lane_state){(uint16_t)(low + LANE_BIAS), (uint16_t)(high + LANE_BIAS)};
}

/* Counts evictions down, so that the walk over the ring is paid for by them. */
void lane_retry(feature_key *key, uint32_t index)
{
    lane_state *exponents = lane_state_of(key, &key->plan->lanes[index]);
    if (exponents->high > 1)
        exponents->high--;
    else
        refit(key, index);
}

void lane_walk(const feature_key *key, const feature_lane *lane, uint32_t lo, uint32_t hi,
               mr_super *sum, mr_super *squares)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    for (uint32_t i = lo; i < hi; i++) {
        const uint8_t *element = element_at(plan, state, i);
        int exponent;
        mr_int128 m;
        mr_square square;
        if (plan->tiled) {
            exponent = lane->is_float ? tile_head(lane, element).exponent : 0;
            m = tile_sum(lane, element);
            if (squares != NULL)
                memcpy(&square, element + lane->tile_square, sizeof square);
        } else {
            if (!lane_matches(plan, lane, element))
                continue;
            exponent = 0;
            m = lane->is_float ? mr_exact_split(load_f64(element + lane->value), &exponent)
                               : (int64_t)load_u64(element + lane->value);
            square = mr_square_of((uint64_t)(m < 0 ? -m : m));
        }
        mr_super_add_int(sum, m, exponent);
        if (squares != NULL)
            mr_super_add(squares, square.words, 4, 2 * exponent, false);
    }
}
