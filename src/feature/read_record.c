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

feature_value read_end(const feature_key *key, const feature_output *output, mr_bytes *text)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const window_bounds *bounds = bounds_of(key, &key->plan->windows[output->window]);
    const base_lane *base = read_base(key, output, output->lane);
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

feature_value read_time_since(const feature_key *key, const feature_output *output, int64_t time_us,
                              uint32_t self)
{
    const feature_lane *lane = &key->plan->lanes[output->lane];
    const feature_window *window = &key->plan->windows[output->window];
    window_bounds bounds = *bounds_of(key, window);
    const base_lane *base = read_base(key, output, output->lane);
    if (self != NONE && window->window.delay_us == 0)
        bounds.hi = MR_MIN(bounds.hi, self); /* the record before this one */
    const uint8_t *element = find_last(key, lane, bounds.lo, bounds.hi);
    if (element == NULL && (base == NULL || base->count == 0))
        return read_empty(output);
    int64_t last_us = element != NULL ? element_time(element) : base->last_us;
    return value_number((double)(time_us - last_us) / 1e6);
}
