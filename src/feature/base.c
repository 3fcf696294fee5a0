/* base.c -- what left the ring, for lifetime and decayed windows: one accumulator per lane.
 *
 * Records come in the order of the ring, so everything here is a function of the key's own records.
 * Sums are exact (an mr_super without its empty words). Distinct values are kept up to
 * DISTINCT_EXACT_MAX, then only HyperLogLog registers; counts for top k for TOP_COUNTERS_MAX values (Misra-Gries: too
 * low by at most n / (TOP_COUNTERS_MAX + 1)); quantiles in BUCKETS_MAX buckets. A tile leaves as a whole: its summaries
 * are merged in order of value. Thread: the slot's worker. */
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

static mr_status put_ends(feature_key *key, const feature_lane *lane, base_lane *to,
                          const feature_ends *ends, mr_error *err)
{
    uint64_t last = bits_create(key->slot, lane, ends->last);
    if (to->count == 0) {
        to->first_us = ends->first_us;
        to->first = bits_create(key->slot, lane, ends->first);
    } else {
        bits_destroy(key->slot, lane, to->last);
    }
    to->last = last;
    to->last_us = ends->last_us;
    return lane->is_text && (to->last == 0 || to->first == 0) ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

static mr_status add_ends(feature_key *key, const feature_lane *lane, base_lane *to,
                          const uint8_t *element, mr_error *err)
{
    int64_t time_us = element_time(element);
    uint64_t bits = lane->input >= 0 ? load_u64(element + lane->value) : 0;
    const feature_ends ends = {1, time_us, time_us, INT64_MIN, bits, bits};
    return put_ends(key, lane, to, &ends, err);
}

static mr_status want_registers(feature_key *key, base_lane *to, mr_error *err)
{
    if (to->registers != NULL)
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

static mr_status add_distinct(feature_key *key, base_lane *to, uint64_t identity, mr_error *err)
{
    if (to->registers != NULL) {
        mr_registers_add(to->registers, identity);
        return MR_OK;
    }
    if (mr_values_count(to->distinct, identity) == 0)
        MR_TRY(mr_values_add(key->slot, &to->distinct, identity, NULL, 1, err));
    return to->distinct->used > DISTINCT_EXACT_MAX ? want_registers(key, to, err) : MR_OK;
}

static mr_status add_top(feature_key *key, const feature_lane *lane, base_lane *to,
                         const uint8_t *element, mr_error *err)
{
    mr_text text = {NULL, 0};
    if (lane->is_text)
        text = text_lent(text_of(load_u64(element + lane->value)));
    return mr_values_add_top(key->slot, &to->top, value_identity(lane, element),
                             lane->is_text ? &text : NULL, 1, TOP_COUNTERS_MAX, err);
}

/* ---- a tile leaves ---- */

static mr_status merge_distinct(feature_key *key, base_lane *to, const mr_distinct *part,
                                mr_error *err)
{
    const mr_registers *registers = mr_distinct_registers(part);
    if (registers != NULL) {
        MR_TRY(want_registers(key, to, err));
        mr_registers_merge(to->registers, registers);
        return MR_OK;
    }
    for (uint32_t i = 0; part != NULL && i < part->used; i++)
        MR_TRY(add_distinct(key, to, part->identities[i], err));
    return MR_OK;
}

/* In order of identity, so that the outcome does not depend on where a table has its places. */
static mr_status merge_top(feature_key *key, base_lane *to, const mr_values *part, mr_error *err)
{
    mr_bytes sorted = {0};
    mr_values_sorted(part, &sorted);
    mr_status status = sorted.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
    const mr_value_count *items = (const mr_value_count *)(const void *)sorted.data;
    for (size_t i = 0; status == MR_OK && i < sorted.size / sizeof *items; i++) {
        mr_text text = {NULL, 0};
        if (items[i].text != NULL)
            text = text_lent(items[i].text);
        status = mr_values_add_top(key->slot, &to->top, items[i].identity,
                                   items[i].text != NULL ? &text : NULL, items[i].count,
                                   TOP_COUNTERS_MAX, err);
    }
    mr_bytes_deinit(&sorted);
    return status;
}

static mr_status merge_details(feature_key *key, const feature_lane *lane, base_lane *to,
                               const uint8_t *element, mr_error *err)
{
    uint32_t parts = lane->base_parts;
    feature_ends ends = {0};
    if ((parts & PART_ENDS) != 0)
        ends = tile_ends(lane, element);
    if (ends.count > 0)
        MR_TRY(put_ends(key, lane, to, &ends, err));
    if ((parts & PART_DISTINCT) != 0)
        MR_TRY(merge_distinct(key, to, tile_pointer(element, lane->tile_distinct), err));
    if ((parts & PART_TOP) != 0)
        MR_TRY(merge_top(key, to, tile_pointer(element, lane->tile_top), err));
    return (parts & PART_SKETCH) != 0
               ? mr_sketch_merge(key->slot, &to->sketch, tile_pointer(element, lane->tile_sketch),
                                 BUCKETS_MAX, err)
               : MR_OK;
}

/* ---- either leaves ---- */

static mr_status add_details(feature_key *key, const feature_lane *lane, base_lane *to,
                             const uint8_t *element, mr_error *err)
{
    uint32_t parts = lane->base_parts;
    if ((parts & PART_ENDS) != 0)
        MR_TRY(add_ends(key, lane, to, element, err));
    if ((parts & PART_DISTINCT) != 0)
        MR_TRY(add_distinct(key, to, value_identity(lane, element), err));
    if ((parts & PART_TOP) != 0)
        MR_TRY(add_top(key, lane, to, element, err));
    return (parts & PART_SKETCH) != 0
               ? mr_sketch_add(key->slot, &to->sketch, mr_sketch_key(element_number(lane, element)),
                               1, BUCKETS_MAX, err)
               : MR_OK;
}

static mr_status add_lane(feature_key *key, const feature_lane *lane, base_lane *to,
                          const uint8_t *element, mr_error *err)
{
    uint32_t parts = lane->base_parts;
    uint32_t count = key->plan->tiled ? tile_head(lane, element).count
                                      : (uint32_t)lane_matches(key->plan, lane, element);
    if (key->plan->tiled) /* the home of an end tells of its other tiles too */
        MR_TRY(merge_details(key, lane, to, element, err));
    if (count == 0)
        return MR_OK;
    if ((parts & PART_SUM) != 0)
        MR_TRY(add_sums(key, lane, to, state_of(key)->first, err));
    if ((parts & PART_TREE) != 0)
        add_order(key->plan, lane, to, element);
    if (!key->plan->tiled)
        MR_TRY(add_details(key, lane, to, element, err));
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
