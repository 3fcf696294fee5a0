/* read_record.c -- single values of a window: least and greatest, first and last, time since the last.
 * Thread: the slot's worker. */
#include "feature/feature_internal.h"

static feature_value value_of_bits(const feature_output *output, uint64_t bits, mr_bytes *text)
{
    feature_value out = {.present = true, .integer = (int64_t)bits};
    if (mr_type_is_text(output->type.id))
        mr_bytes_append(text, text_of(bits)->bytes, text_of(bits)->size);
    else if (output->type.id == MR_FLOAT64)
        memcpy(&out.number, &bits, sizeof bits);
    return out;
}

feature_value read_order(const feature_key *key, const feature_output *output)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const window_bounds *bounds = bounds_of(key, &key->plan->windows[output->window]);
    const base_lane *base = read_base(key, output, output->lane);
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

/* The first, or the last, tile of the range that has a matching record; count 0: none has. */
static feature_ends find_ends(const feature_key *key, const feature_lane *lane,
                              window_bounds bounds, bool first)
{
    feature_ends ends = {0};
    for (uint32_t i = 0; i < bounds.hi - bounds.lo && ends.count == 0; i++)
        ends = tile_ends(
            lane, element_at(key->plan, state_of(key), first ? bounds.lo + i : bounds.hi - 1 - i));
    return ends;
}

feature_value read_end(const feature_key *key, const feature_output *output, mr_bytes *text)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const window_bounds *bounds = bounds_of(key, &key->plan->windows[output->window]);
    const base_lane *base = read_base(key, output, output->lane);
    bool gone = base != NULL && base->count > 0;
    bool first = output->kind->id == MR_AGGREGATE_FIRST;
    if (first && gone)
        return value_of_bits(output, base->first, text);
    if (key->plan->tiled) {
        feature_ends ends = find_ends(key, lane, *bounds, first);
        if (ends.count > 0)
            return value_of_bits(output, first ? ends.first : ends.last, text);
        return gone ? value_of_bits(output, base->last, text) : read_empty(output);
    }
    const uint8_t *element = first ? find_first(key, lane, bounds->lo, bounds->hi)
                                   : find_last(key, lane, bounds->lo, bounds->hi);
    if (element != NULL)
        return value_of_bits(output, load_u64(element + lane->value), text);
    return gone ? value_of_bits(output, base->last, text) : read_empty(output);
}

/* The latest time that is known to be before this question, INT64_MIN: none. Tiles that end after it know two of
 * their times, and the one that took in the record that asks what was there when it came. */
static int64_t last_in_tiles(const feature_key *key, const feature_lane *lane, window_bounds bounds,
                             int64_t time_us, uint32_t self)
{
    const key_state *state = state_of(key);
    int64_t own_us = self != NONE ? time_at(key->plan, state, self) : INT64_MIN;
    for (uint32_t i = bounds.hi; i-- > bounds.lo;) {
        const uint8_t *element = element_at(key->plan, state, i);
        feature_ends ends = tile_ends(lane, element);
        int64_t before_us = tile_ends_before(&ends, time_us);
        if (self != NONE && element_time(element) == own_us)
            before_us = i == tile_home(key, i + 1) ? ends.before_us : INT64_MIN;
        if (before_us != INT64_MIN)
            return before_us;
    }
    return INT64_MIN;
}

static int64_t last_in_records(const feature_key *key, const feature_lane *lane,
                               window_bounds bounds)
{
    const uint8_t *element = find_last(key, lane, bounds.lo, bounds.hi);
    return element != NULL ? element_time(element) : INT64_MIN;
}

feature_value read_time_since(const feature_key *key, const feature_output *output, int64_t time_us,
                              uint32_t self)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const feature_window *window = &key->plan->windows[output->window];
    window_bounds bounds = *bounds_of(key, window);
    const base_lane *base = read_base(key, output, output->lane);
    bool sees_self = self != NONE && window->window.delay_us == 0;
    if (sees_self && !key->plan->tiled)
        bounds.hi = MR_MIN(bounds.hi, self); /* the record before this one */
    int64_t last_us = key->plan->tiled
                          ? last_in_tiles(key, lane, bounds, time_us, sees_self ? self : NONE)
                          : last_in_records(key, lane, bounds);
    if (last_us == INT64_MIN && (base == NULL || base->count == 0))
        return read_empty(output);
    if (last_us == INT64_MIN)
        last_us = base->last_us;
    return value_number((double)(time_us - last_us) / 1e6);
}
