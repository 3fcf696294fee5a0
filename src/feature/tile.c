/* tile.c -- tiles: what a view with a resolution keeps instead of records.
 * Thread: the slot's worker. */
#include "feature/feature_internal.h"

typedef struct lane_value {
    bool present;
    uint64_t bits;
    mr_int128 m;
    int exponent;
} lane_value;

static lane_value event_value(const feature_plan *plan, const feature_lane *lane,
                              const feature_event *event)
{
    lane_value out = {true, 0, 0, 0};
    if (lane->where >= 0)
        out.present = (event->flags >> lane->where_flag & 1) != 0;
    if (lane->input < 0 || !out.present)
        return out;
    out.bits = event->inputs[lane->input];
    if (!plan->inputs[lane->input].is_float) {
        out.present = (event->flags >> lane->input_flag & 1) != 0;
        out.m = (int64_t)out.bits;
        return out;
    }
    double value;
    memcpy(&value, &out.bits, sizeof value);
    out.present = value == value;
    if (out.present)
        out.m = mr_exact_split(value, &out.exponent);
    return out;
}

static mr_square tile_square(const feature_lane *lane, const uint8_t *element)
{
    mr_square square;
    memcpy(&square, element + lane->tile_square, sizeof square);
    return square;
}

/* The sum stays within the spread a lane can hold. */
static bool tile_fits(const feature_lane *lane, const uint8_t *element, const lane_value *value)
{
    if (!lane->is_float || value->m == 0 || (lane->parts & PART_SUM) == 0)
        return true;
    feature_tile head = tile_head(lane, element);
    mr_int128 sum = tile_sum(lane, element);
    mr_square square = {{0}};
    if ((lane->parts & PART_SQUARE) != 0)
        square = tile_square(lane, element);
    int used = MR_MAX(mr_exact_bits(sum), (mr_square_bits(&square) + 1) / 2);
    if (used == 0)
        return true;
    int high = MR_MAX(head.exponent + used, value->exponent + 53) + 1;
    return high - MR_MIN(head.exponent, value->exponent) <= LANE_SPREAD_MAX + 53;
}

static void tile_add_sum(const feature_lane *lane, uint8_t *element, feature_tile *head,
                         const lane_value *value)
{
    mr_int128 sum = tile_sum(lane, element), m = value->m;
    mr_square squares = {{0}}, square = mr_square_of((uint64_t)(m < 0 ? -m : m));
    if ((lane->parts & PART_SQUARE) != 0)
        squares = tile_square(lane, element);
    bool first = sum == 0 && mr_square_bits(&squares) == 0;
    int exponent = first ? value->exponent : MR_MIN(head->exponent, value->exponent);
    if (!first && head->exponent > exponent) {
        sum = (mr_int128)((mr_uint128)sum << (head->exponent - exponent));
        squares = mr_square_shift(&squares, 2u * (unsigned)(head->exponent - exponent));
    }
    unsigned shift = (unsigned)(value->exponent - exponent);
    sum += (mr_int128)((mr_uint128)m << shift);
    square = mr_square_shift(&square, 2 * shift);
    mr_square_add(&squares, &square);
    head->exponent = exponent;
    store_u64(element + lane->tile_sum, (uint64_t)(mr_uint128)sum);
    store_u64(element + lane->tile_sum + 8, (uint64_t)((mr_uint128)sum >> 64));
    if ((lane->parts & PART_SQUARE) != 0)
        memcpy(element + lane->tile_square, &squares, sizeof squares);
}

static void tile_add_order(const feature_lane *lane, uint8_t *element, bool first, uint64_t bits)
{
    uint8_t *least = element + lane->tile_least, *greatest = least + 8;
    if (first || value_order(lane, bits) < value_order(lane, load_u64(least)))
        store_u64(least, bits);
    if (first || value_order(lane, bits) > value_order(lane, load_u64(greatest)))
        store_u64(greatest, bits);
}

static void tile_add(const feature_lane *lane, uint8_t *element, const lane_value *value)
{
    feature_tile head = tile_head(lane, element);
    if (!value->present)
        return;
    if ((lane->parts & PART_SUM) != 0 && value->m != 0)
        tile_add_sum(lane, element, &head, value);
    if ((lane->parts & PART_TREE) != 0)
        tile_add_order(lane, element, head.count == 0, value->bits);
    head.count++;
    memcpy(element + lane->tile_count, &head, sizeof head);
}

static bool tile_takes(const feature_plan *plan, const uint8_t *element, const feature_event *event)
{
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        lane_value value = event_value(plan, &plan->lanes[i], event);
        if (tile_head(&plan->lanes[i], element).count == UINT32_MAX ||
            (value.present && !tile_fits(&plan->lanes[i], element, &value)))
            return false;
    }
    return true;
}

/* Into a tile of that time with room for it, or a new one behind them. */
mr_status tile_insert(feature_key *key, const feature_event *event, uint32_t *out_index,
                      mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    uint32_t index = ring_bound(plan, state, event->time_us, state->end), at = index;
    while (at > state->first && time_at(plan, state, at - 1) == event->time_us &&
           !tile_takes(plan, element_at(plan, state, at - 1), event))
        at--;
    if (at > state->first && time_at(plan, state, at - 1) == event->time_us) {
        index = at - 1;
        MR_TRY(window_step_back(key, index, false, err));
    } else {
        MR_TRY(ring_open(key, index, err));
        uint8_t *element = element_at(plan, state, index);
        memset(element, 0, plan->element_bytes);
        store_u64(element, (uint64_t)event->time_us << FLAG_BITS);
    }
    uint8_t *element = element_at(plan, state, index);
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        lane_value value = event_value(plan, &plan->lanes[i], event);
        tile_add(&plan->lanes[i], element, &value);
    }
    *out_index = index;
    return MR_OK;
}
