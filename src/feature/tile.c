/* tile.c -- tiles: what a view with a resolution keeps instead of records.
 *
 *   | end | lane 0: rows, sum, squares, least, greatest, ends, -> distinct, -> sketch, -> top | lane 1 ... |
 *
 * A tile is a summary of the records in (end - resolution, end]; summaries of several tiles together are the summary
 * of all their records, with the errors of one (Agarwal et al., "Mergeable summaries", PODS 2012). What is told of many
 * values is taken together for the *closed* tiles of a window, once as each comes and goes; the tiles of its newest
 * end, which take in records now, are looked at when a question comes.
 *
 * (1) A sum that would span too much, or a full count, begins another tile of the same end, behind the first.
 * (2) Ends, distinct, sketch and top stand in the first tile of an end, the *home*: they do not depend on (1).
 * (3) A tile is subtracted from the windows that hold it before it changes.
 * Thread: the slot's worker. */
#include "feature/feature_internal.h"

typedef struct lane_value {
    bool present;
    uint64_t bits; /* texts: none */
    mr_int128 m;
    int exponent;
} lane_value;

static lane_value event_value(const feature_lane *lane, const feature_event *event)
{
    lane_value out = {true, 0, 0, 0};
    if (lane->where >= 0)
        out.present = (event->flags >> lane->where_flag & 1) != 0;
    if (lane->input < 0 || !out.present)
        return out;
    if (!lane->is_float)
        out.present = (event->flags >> lane->input_flag & 1) != 0;
    if (lane->is_text || !out.present)
        return out;
    out.bits = event->inputs[lane->input];
    if (!lane->is_float) {
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
        lane_value value = event_value(&plan->lanes[i], event);
        if (tile_head(&plan->lanes[i], element).count == UINT32_MAX ||
            (value.present && !tile_fits(&plan->lanes[i], element, &value)))
            return false;
    }
    return true;
}

/* ---- ends ---- */

int64_t tile_ends_before(const feature_ends *ends, int64_t time_us)
{
    if (ends->count == 0 || ends->first_us > time_us)
        return INT64_MIN;
    return ends->last_us <= time_us ? ends->last_us : ends->first_us;
}

static mr_status ends_put(feature_key *key, const feature_lane *lane, const mr_text *text,
                          uint64_t bits, uint64_t *place, mr_error *err)
{
    if (!lane->is_text) {
        *place = bits;
        return MR_OK;
    }
    feature_text *made = text_create(key->slot, text->bytes, text->size);
    if (made == NULL)
        return MR_OUT_OF_MEMORY(err);
    text_destroy(key->slot, text_of(*place));
    *place = (uint64_t)(uintptr_t)made;
    return MR_OK;
}

static mr_status ends_add(feature_key *key, const feature_lane *lane, uint8_t *element,
                          const feature_event *event, const lane_value *value, mr_error *err)
{
    feature_ends ends = tile_ends(lane, element);
    const mr_text *text = lane->is_text ? &event->texts[lane->input] : NULL;
    int64_t time_us = event->own_us;
    bool empty = ends.count == 0;
    mr_status status = MR_OK;
    ends.before_us = tile_ends_before(&ends, time_us);
    if (value->present && (empty || time_us < ends.first_us)) {
        ends.first_us = time_us;
        status = ends_put(key, lane, text, value->bits, &ends.first, err);
    }
    if (value->present && (empty || time_us >= ends.last_us) && status == MR_OK) {
        ends.last_us = time_us;
        status = ends_put(key, lane, text, value->bits, &ends.last, err);
    }
    ends.count += value->present;
    memcpy(element + lane->tile_ends, &ends, sizeof ends);
    return status;
}

/* ---- details: what is told of many values ---- */

static double number_of(const feature_lane *lane, uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return lane->is_float ? value : (double)(int64_t)bits;
}

static mr_status distinct_add(feature_key *key, const feature_lane *lane, uint8_t *element,
                              uint64_t identity, mr_error *err)
{
    mr_distinct *distinct = tile_pointer(element, lane->tile_distinct);
    mr_status status =
        mr_distinct_add(key->slot, &distinct, identity, key->plan->limits.distinct, err);
    memcpy(element + lane->tile_distinct, &distinct, sizeof distinct);
    return status;
}

static mr_status sketch_add(feature_key *key, const feature_lane *lane, uint8_t *element,
                            double value, mr_error *err)
{
    mr_sketch *sketch = tile_pointer(element, lane->tile_sketch);
    mr_status status =
        mr_sketch_add(key->slot, &sketch, mr_sketch_key(value), 1, key->plan->limits.buckets, err);
    memcpy(element + lane->tile_sketch, &sketch, sizeof sketch);
    return status;
}

static mr_status top_add(feature_key *key, const feature_lane *lane, uint8_t *element,
                         const mr_text *text, uint64_t identity, mr_error *err)
{
    mr_values *top = tile_pointer(element, lane->tile_top);
    mr_status status =
        mr_values_add_top(key->slot, &top, identity, text, 1, key->plan->limits.counters, err);
    memcpy(element + lane->tile_top, &top, sizeof top);
    return status;
}

static mr_status details_add(feature_key *key, const feature_lane *lane, uint8_t *element,
                             const feature_event *event, mr_error *err)
{
    lane_value value = event_value(lane, event);
    const mr_text *text = lane->is_text ? &event->texts[lane->input] : NULL;
    if ((lane->parts & PART_ENDS) != 0)
        MR_TRY(ends_add(key, lane, element, event, &value, err));
    if (!value.present)
        return MR_OK;
    uint64_t identity = bits_identity(lane, value.bits);
    if (text != NULL && (lane->parts & (PART_DISTINCT | PART_TOP)) != 0)
        identity = mr_hash64(text->bytes, text->size);
    if ((lane->parts & PART_DISTINCT) != 0)
        MR_TRY(distinct_add(key, lane, element, identity, err));
    if ((lane->parts & PART_SKETCH) != 0)
        MR_TRY(sketch_add(key, lane, element, number_of(lane, value.bits), err));
    return (lane->parts & PART_TOP) != 0 ? top_add(key, lane, element, text, identity, err) : MR_OK;
}

void tile_free(const feature_key *key, uint8_t *element)
{
    for (uint32_t i = 0; i < key->plan->lane_count; i++) {
        const feature_lane *lane = &key->plan->lanes[i];
        if ((lane->parts & PART_ENDS) != 0 && lane->is_text) {
            feature_ends ends = tile_ends(lane, element);
            text_destroy(key->slot, text_of(ends.first));
            text_destroy(key->slot, text_of(ends.last));
        }
        if ((lane->parts & PART_DISTINCT) != 0) {
            mr_distinct *distinct = tile_pointer(element, lane->tile_distinct);
            mr_distinct_free(key->slot, &distinct);
        }
        if ((lane->parts & PART_SKETCH) != 0) {
            mr_sketch *sketch = tile_pointer(element, lane->tile_sketch);
            mr_sketch_free(key->slot, &sketch);
        }
        if ((lane->parts & PART_TOP) != 0) {
            mr_values *top = tile_pointer(element, lane->tile_top);
            mr_values_free(key->slot, &top);
        }
    }
}

/* ---- a record into its tile ---- */

uint32_t tile_home(const feature_key *key, uint32_t index)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    if (index == state->first)
        return index;
    int64_t end_us = time_at(plan, state, --index);
    while (index > state->first && time_at(plan, state, index - 1) == end_us)
        index--;
    return index;
}

/* A tile of that time with room for it, or a new one behind them. */
static mr_status find_tile(feature_key *key, const feature_event *event, uint32_t *out_index,
                           mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    uint32_t index = ring_bound(plan, state, event->time_us, state->end), at = index;
    while (at > state->first && time_at(plan, state, at - 1) == event->time_us &&
           !tile_takes(plan, element_at(plan, state, at - 1), event))
        at--;
    if (at > state->first && time_at(plan, state, at - 1) == event->time_us) {
        *out_index = at - 1;
        return window_step_back(key, at - 1, false, err);
    }
    MR_TRY(ring_open(key, index, err));
    uint8_t *element = element_at(plan, state, index);
    memset(element, 0, plan->element_bytes);
    store_u64(element, (uint64_t)event->time_us << FLAG_BITS);
    *out_index = index;
    return MR_OK;
}

mr_status tile_insert(feature_key *key, const feature_event *event, uint32_t *out_index,
                      mr_error *err)
{
    const feature_plan *plan = key->plan;
    uint32_t index, home;
    MR_TRY(find_tile(key, event, &index, err));
    *out_index = index;
    uint8_t *element = element_at(plan, state_of(key), index);
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        lane_value value = event_value(&plan->lanes[i], event);
        tile_add(&plan->lanes[i], element, &value);
    }
    if (!plan->tile_details)
        return MR_OK;
    home = tile_home(key, index + 1);
    if (home < index)
        MR_TRY(window_step_back(key, home, false, err));
    element = element_at(plan, state_of(key), home);
    for (uint32_t i = 0; i < plan->lane_count; i++)
        MR_TRY(details_add(key, &plan->lanes[i], element, event, err));
    return MR_OK;
}
