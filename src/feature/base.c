/* base.c -- what left the ring, for lifetime and decayed windows: one accumulator per lane.
 *
 * Records come in the order of the ring, so everything here is a function of the key's own records.
 * Sums are exact (an mr_super without its empty words). Distinct values are kept up to
 * DISTINCT_EXACT_MAX, then only HyperLogLog registers; counts for top k up to TOP_COUNTERS_MAX values, then a
 * new value takes the place, and the count, of the least (SpaceSaving: Metwally, Agrawal, El Abbadi,
 * "Efficient computation of frequent and top-k elements in data streams", 2005): a count is too high by at
 * most n / TOP_COUNTERS_MAX. Thread: the slot's worker. */
#include "feature/feature_internal.h"

/* ---- stored sums: first << 32 | count, then the words ---- */

void base_super(const uint64_t *stored, mr_super *out)
{
    memset(out, 0, sizeof *out);
    if (stored == NULL)
        return;
    uint32_t first = (uint32_t)(stored[0] >> 32), count = (uint32_t)stored[0];
    memcpy(out->words + first, stored + 1, count * sizeof *stored);
    if (count > 0 && stored[count] >> 63 != 0)
        memset(out->words + first + count, 0xff, (MR_SUPER_WORDS - first - count) * sizeof *stored);
}

static size_t stored_bytes(uint32_t count)
{
    return (1 + (size_t)count) * sizeof(uint64_t);
}

static mr_status super_store(mr_slot *slot, const mr_super *super, uint64_t **stored, mr_error *err)
{
    uint32_t first, count, old = *stored != NULL ? (uint32_t)(*stored)[0] : 0;
    mr_super_span(super, &first, &count);
    if (*stored == NULL || old != count) {
        uint64_t *words = mr_slot_alloc(slot, stored_bytes(count));
        if (words == NULL)
            return MR_OUT_OF_MEMORY(err);
        if (*stored != NULL)
            mr_slot_free(slot, *stored, stored_bytes(old));
        *stored = words;
    }
    (*stored)[0] = (uint64_t)first << 32 | count;
    memcpy(*stored + 1, super->words + first, count * sizeof **stored);
    return MR_OK;
}

static void super_free(mr_slot *slot, uint64_t **stored)
{
    if (*stored != NULL)
        mr_slot_free(slot, *stored, stored_bytes((uint32_t)(*stored)[0]));
    *stored = NULL;
}

/* ---- creation ---- */

static size_t base_bytes(const feature_plan *plan)
{
    return sizeof(base_state) + plan->base_lane_count * sizeof(base_lane) +
           plan->decay_count * sizeof(double);
}

base_state *base_create(feature_key *key, mr_error *err)
{
    base_state *base = mr_slot_alloc(key->slot, base_bytes(key->plan));
    if (base == NULL) {
        (void)MR_OUT_OF_MEMORY(err);
        return NULL;
    }
    memset(base, 0, base_bytes(key->plan));
    memcpy(key->value + key->plan->base_offset, &base, sizeof base);
    return base;
}

static uint64_t bits_create(mr_slot *slot, const feature_lane *lane, uint64_t bits)
{
    if (!lane->is_text)
        return bits;
    const feature_text *text = text_of(bits);
    return (uint64_t)(uintptr_t)text_create(slot, text->bytes, text->size);
}

static void bits_destroy(mr_slot *slot, const feature_lane *lane, uint64_t bits)
{
    if (lane->is_text)
        text_destroy(slot, text_of(bits));
}

/* ---- one record leaves the ring ---- */

static mr_status add_sums(feature_key *key, const feature_lane *lane, base_lane *to, uint32_t index,
                          mr_error *err)
{
    bool wants_squares = (lane->base_parts & PART_SQUARE) != 0;
    mr_super sum, squares;
    base_super(to->sum, &sum);
    if (wants_squares)
        base_super(to->squares, &squares);
    lane_walk(key, lane, index, index + 1, &sum, wants_squares ? &squares : NULL);
    MR_TRY(super_store(key->slot, &sum, &to->sum, err));
    return wants_squares ? super_store(key->slot, &squares, &to->squares, err) : MR_OK;
}

static void add_order(const feature_plan *plan, const feature_lane *lane, base_lane *to,
                      const uint8_t *element)
{
    uint32_t at = plan->tiled ? lane->tile_least : lane->value;
    uint64_t least = load_u64(element + at),
             greatest = plan->tiled ? load_u64(element + at + 8) : least;
    if (to->count == 0 || value_order(lane, least) < value_order(lane, to->least))
        to->least = least;
    if (to->count == 0 || value_order(lane, greatest) > value_order(lane, to->greatest))
        to->greatest = greatest;
}

static mr_status add_ends(feature_key *key, const feature_lane *lane, base_lane *to,
                          const uint8_t *element, mr_error *err)
{
    uint64_t bits = lane->input >= 0 ? load_u64(element + lane->value) : 0;
    uint64_t last = bits_create(key->slot, lane, bits);
    uint64_t first = to->count == 0 ? bits_create(key->slot, lane, bits) : to->first;
    if (lane->is_text && (last == 0 || first == 0))
        return MR_OUT_OF_MEMORY(err);
    if (to->count > 0)
        bits_destroy(key->slot, lane, to->last);
    else
        to->first_us = element_time(element);
    to->first = first;
    to->last = last;
    to->last_us = element_time(element);
    return MR_OK;
}

static mr_status add_distinct(feature_key *key, base_lane *to, uint64_t identity, mr_error *err)
{
    if (to->registers == NULL)
        MR_TRY(mr_values_count(to->distinct, identity) > 0
                   ? MR_OK
                   : mr_values_add(key->slot, &to->distinct, identity, NULL, 1, err));
    else
        mr_registers_add(to->registers, identity);
    if (to->registers != NULL || to->distinct->used <= DISTINCT_EXACT_MAX)
        return MR_OK;
    to->registers = mr_slot_alloc(key->slot, sizeof *to->registers);
    if (to->registers == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(to->registers, 0, sizeof *to->registers);
    for (uint32_t i = 0; i < mr_values_places(to->distinct); i++)
        if (to->distinct->places[i].count > 0)
            mr_registers_add(to->registers, to->distinct->places[i].identity);
    mr_values_free(key->slot, &to->distinct);
    return MR_OK;
}

/* Of the least counts the least identity goes, so that the choice does not depend on the table. */
static mr_value_count least_counter(const mr_values *values)
{
    mr_value_count least = {0, NULL, UINT64_MAX};
    for (uint32_t i = 0; i < mr_values_places(values); i++) {
        mr_value_count at = values->places[i];
        if (at.count > 0 &&
            (at.count < least.count || (at.count == least.count && at.identity < least.identity)))
            least = at;
    }
    return least;
}

static mr_status add_top(feature_key *key, const feature_lane *lane, base_lane *to,
                         const uint8_t *element, mr_error *err)
{
    uint64_t identity = value_identity(lane, element), by = 1;
    if (to->top != NULL && to->top->used >= TOP_COUNTERS_MAX &&
        mr_values_count(to->top, identity) == 0) {
        mr_value_count least = least_counter(to->top);
        by += least.count;
        mr_values_drop(key->slot, &to->top, least.identity);
    }
    const feature_text *text = lane->is_text ? text_of(load_u64(element + lane->value)) : NULL;
    return mr_values_add(key->slot, &to->top, identity, text, by, err);
}

static mr_status add_lane(feature_key *key, const feature_lane *lane, base_lane *to,
                          const uint8_t *element, mr_error *err)
{
    uint32_t parts = lane->base_parts;
    uint32_t count = key->plan->tiled ? tile_head(lane, element).count
                                      : (uint32_t)lane_matches(key->plan, lane, element);
    if (count == 0)
        return MR_OK;
    if ((parts & PART_SUM) != 0)
        MR_TRY(add_sums(key, lane, to, state_of(key)->first, err));
    if ((parts & PART_TREE) != 0)
        add_order(key->plan, lane, to, element);
    if ((parts & PART_ENDS) != 0)
        MR_TRY(add_ends(key, lane, to, element, err));
    if ((parts & PART_DISTINCT) != 0)
        MR_TRY(add_distinct(key, to, value_identity(lane, element), err));
    if ((parts & PART_TOP) != 0)
        MR_TRY(add_top(key, lane, to, element, err));
    if ((parts & PART_SKETCH) != 0)
        MR_TRY(mr_sketch_add(key->slot, &to->sketch, mr_sketch_key(element_number(lane, element)),
                             1, err));
    to->count += count;
    return MR_OK;
}

mr_status base_add(feature_key *key, const uint8_t *element, mr_error *err)
{
    const feature_plan *plan = key->plan;
    base_state *base = base_of(key);
    if (base == NULL)
        base = base_create(key, err);
    if (base == NULL)
        return MR_NO_MEMORY;
    for (uint32_t i = 0; i < plan->lane_count; i++)
        if (plan->lanes[i].base != NONE)
            MR_TRY(add_lane(key, &plan->lanes[i], &base_lanes(base)[plan->lanes[i].base], element,
                            err));
    for (uint32_t i = 0; i < plan->decay_count; i++)
        base_decays(plan, base)[i] = load_f64(element + plan->decays[i].offset);
    base->time_us =
        base->rows++ == 0 ? element_time(element) : MR_MAX(base->time_us, element_time(element));
    return MR_OK;
}

void base_free(feature_key *key)
{
    const feature_plan *plan = key->plan;
    base_state *base = base_of(key);
    if (base == NULL)
        return;
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        const feature_lane *lane = &plan->lanes[i];
        if (lane->base == NONE)
            continue;
        base_lane *at = &base_lanes(base)[lane->base];
        super_free(key->slot, &at->sum);
        super_free(key->slot, &at->squares);
        mr_values_free(key->slot, &at->distinct);
        mr_values_free(key->slot, &at->top);
        mr_sketch_free(key->slot, &at->sketch);
        if (at->registers != NULL)
            mr_slot_free(key->slot, at->registers, sizeof *at->registers);
        bits_destroy(key->slot, lane, at->first);
        bits_destroy(key->slot, lane, at->last);
    }
    mr_slot_free(key->slot, base, base_bytes(plan));
    base = NULL;
    memcpy(key->value + plan->base_offset, &base, sizeof base);
}
