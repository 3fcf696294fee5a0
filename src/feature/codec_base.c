/* codec_base.c -- what left the ring, and tables of values, as bytes. Tables are written in order of value.
 * Thread: the slot's worker. */
#include "feature/codec.h"

/* Of a stored count: far above what can come, far below where sums of them would overflow. */
#define COUNT_MAX (UINT64_C(1) << 48)

void codec_put_values(const mr_values *values, bool is_text, bool counts, mr_bytes *out)
{
    mr_bytes sorted = {0};
    mr_values_sorted(values, &sorted);
    const mr_value_count *items = (const mr_value_count *)(const void *)sorted.data;
    size_t count = sorted.size / sizeof *items;
    mr_bytes_append_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        if (counts)
            mr_bytes_append_varint(out, items[i].count);
        if (is_text && counts)
            codec_put_bits(out, false, true, (uint64_t)(uintptr_t)items[i].text);
        else
            mr_bytes_append_u64(out, items[i].identity);
    }
    out->failed = out->failed || sorted.failed;
    mr_bytes_deinit(&sorted);
}

mr_status codec_get_values(mr_slot *slot, mr_reader *from, bool is_text, bool counts, uint32_t max,
                           mr_values **values, mr_error *err)
{
    uint64_t count = mr_reader_varint(from);
    if (count > max)
        return codec_corrupt(err, "the number of values");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t by = counts ? mr_reader_varint(from) : 1, identity = 0;
        feature_text *kept = NULL;
        if (is_text && counts)
            MR_TRY(codec_get_text(slot, from, &kept, err));
        else
            identity = mr_reader_u64(from);
        mr_text text = {NULL, 0};
        if (kept != NULL)
            text = text_lent(kept);
        mr_status status = MR_OK;
        if (from->failed || by == 0 || by > COUNT_MAX)
            status = codec_corrupt(err, "a table of values");
        else
            status = mr_values_add(slot, values, kept != NULL ? kept->hash : identity,
                                   kept != NULL ? &text : NULL, by, err);
        text_destroy(slot, kept);
        MR_TRY(status);
    }
    return MR_OK;
}

static void put_super(const uint64_t *stored, mr_bytes *out)
{
    mr_bytes_append_varint(out, stored != NULL ? stored[0] : 0);
    for (uint32_t i = 0; stored != NULL && i < (uint32_t)stored[0]; i++)
        mr_bytes_append_u64(out, stored[1 + i]);
}

static mr_status get_super(mr_slot *slot, mr_reader *from, uint64_t **stored, mr_error *err)
{
    uint64_t head = mr_reader_varint(from);
    uint64_t first = head >> 32, count = head & UINT32_MAX;
    if (first + count > MR_SUPER_WORDS || mr_reader_left(from) < count * 8)
        return codec_corrupt(err, "a sum");
    *stored = mr_slot_alloc(slot, (1 + (size_t)count) * sizeof **stored);
    if (*stored == NULL)
        return MR_OUT_OF_MEMORY(err);
    (*stored)[0] = head;
    for (size_t i = 0; i < count; i++)
        (*stored)[1 + i] = mr_reader_u64(from);
    return MR_OK;
}

void codec_put_sketch(const mr_sketch *sketch, mr_bytes *out)
{
    uint32_t used = sketch != NULL ? sketch->used : 0;
    mr_bytes_append_varint(out, used);
    for (uint32_t i = 0; i < used; i++) {
        codec_put_signed(out, sketch->buckets[i].key);
        mr_bytes_append_varint(out, sketch->buckets[i].count);
    }
}

mr_status codec_get_sketch(mr_slot *slot, mr_reader *from, uint32_t max, mr_sketch **sketch,
                           mr_error *err)
{
    uint64_t used = mr_reader_varint(from);
    if (used > max)
        return codec_corrupt(err, "the number of buckets");
    for (uint64_t i = 0; i < used; i++) {
        int64_t key = codec_get_signed(from);
        uint64_t count = mr_reader_varint(from);
        if (from->failed || count == 0 || count > COUNT_MAX || key < -MR_SKETCH_KEY_MAX ||
            key > MR_SKETCH_KEY_MAX)
            return codec_corrupt(err, "a sketch");
        MR_TRY(mr_sketch_add(slot, sketch, key, count, max, err));
    }
    return MR_OK;
}

static void put_lane(const feature_lane *lane, const base_lane *at, mr_bytes *out)
{
    uint32_t parts = lane->base_parts;
    mr_bytes_append_varint(out, at->count);
    if (at->count == 0)
        return;
    if ((parts & PART_SUM) != 0)
        put_super(at->sum, out);
    if ((parts & PART_SQUARE) != 0)
        put_super(at->squares, out);
    if ((parts & PART_TREE) != 0) {
        mr_bytes_append_u64(out, at->least);
        mr_bytes_append_u64(out, at->greatest);
    }
    if ((parts & PART_ENDS) != 0) {
        codec_put_signed(out, at->first_us);
        codec_put_signed(out, at->last_us);
        codec_put_bits(out, lane->is_float, lane->is_text, at->first);
        codec_put_bits(out, lane->is_float, lane->is_text, at->last);
    }
    if ((parts & PART_DISTINCT) != 0) {
        mr_bytes_append_byte(out, at->registers != NULL);
        if (at->registers != NULL)
            mr_bytes_append(out, at->registers->ranks, MR_REGISTER_COUNT);
        else
            codec_put_values(at->distinct, lane->is_text, false, out);
    }
    if ((parts & PART_TOP) != 0)
        codec_put_values(at->top, lane->is_text, true, out);
    if ((parts & PART_SKETCH) != 0)
        codec_put_sketch(at->sketch, out);
}

mr_status codec_get_ranks(mr_reader *from, const uint8_t **ranks, mr_error *err)
{
    *ranks = mr_reader_bytes(from, MR_REGISTER_COUNT);
    if (*ranks == NULL)
        return codec_corrupt(err, "registers");
    for (int i = 0; i < MR_REGISTER_COUNT; i++)
        if ((*ranks)[i] >= MR_RANKS)
            return codec_corrupt(err, "a register");
    return MR_OK;
}

static mr_status get_distinct(feature_key *key, mr_reader *from, base_lane *at, mr_error *err)
{
    const uint8_t *ranks;
    if (mr_reader_u8(from) == 0)
        return codec_get_values(key->slot, from, false, false, DISTINCT_EXACT_MAX, &at->distinct,
                                err);
    MR_TRY(codec_get_ranks(from, &ranks, err));
    at->registers = mr_slot_alloc(key->slot, sizeof *at->registers);
    if (at->registers == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(at->registers->ranks, ranks, MR_REGISTER_COUNT);
    return MR_OK;
}

static mr_status get_lane(feature_key *key, const feature_lane *lane, mr_reader *from,
                          base_lane *at, mr_error *err)
{
    uint32_t parts = lane->base_parts;
    at->count = mr_reader_varint(from);
    if (at->count == 0)
        return MR_OK;
    if ((parts & PART_SUM) != 0)
        MR_TRY(get_super(key->slot, from, &at->sum, err));
    if ((parts & PART_SQUARE) != 0)
        MR_TRY(get_super(key->slot, from, &at->squares, err));
    if ((parts & PART_TREE) != 0) {
        at->least = mr_reader_u64(from);
        at->greatest = mr_reader_u64(from);
    }
    if ((parts & PART_ENDS) != 0) {
        at->first_us = codec_get_signed(from);
        at->last_us = codec_get_signed(from);
        if (at->first_us < MR_TIME_MIN_US || at->first_us > MR_TIME_MAX_US ||
            at->last_us < MR_TIME_MIN_US || at->last_us > MR_TIME_MAX_US)
            return codec_corrupt(err, "the time of a first or last record");
        MR_TRY(codec_get_bits(key->slot, from, lane->is_float, lane->is_text, &at->first, err));
        MR_TRY(codec_get_bits(key->slot, from, lane->is_float, lane->is_text, &at->last, err));
    }
    if ((parts & PART_DISTINCT) != 0)
        MR_TRY(get_distinct(key, from, at, err));
    if ((parts & PART_TOP) != 0)
        MR_TRY(codec_get_values(key->slot, from, lane->is_text, true, TOP_COUNTERS_MAX, &at->top,
                                err));
    return (parts & PART_SKETCH) != 0
               ? codec_get_sketch(key->slot, from, BUCKETS_MAX, &at->sketch, err)
               : MR_OK;
}

void base_encode(const feature_key *key, mr_bytes *out)
{
    const feature_plan *plan = key->plan;
    base_state *base = base_of(key);
    mr_bytes_append_byte(out, base != NULL);
    if (base == NULL)
        return;
    codec_put_signed(out, base->time_us);
    mr_bytes_append_varint(out, base->rows);
    for (uint32_t i = 0; i < plan->lane_count; i++)
        if (plan->lanes[i].base != NONE)
            put_lane(&plan->lanes[i], &base_lanes(base)[plan->lanes[i].base], out);
    for (uint32_t i = 0; i < plan->decay_count; i++)
        mr_bytes_append_u64(out, load_u64((const uint8_t *)&base_decays(plan, base)[i]));
}

mr_status base_decode(feature_key *key, mr_reader *from, mr_error *err)
{
    const feature_plan *plan = key->plan;
    base_state *base = base_create(key, err);
    if (base == NULL)
        return MR_NO_MEMORY;
    base->time_us = codec_get_signed(from);
    base->rows = mr_reader_varint(from);
    for (uint32_t i = 0; i < plan->lane_count; i++)
        if (plan->lanes[i].base != NONE)
            MR_TRY(
                get_lane(key, &plan->lanes[i], from, &base_lanes(base)[plan->lanes[i].base], err));
    for (uint32_t i = 0; i < plan->decay_count; i++)
        store_u64((uint8_t *)&base_decays(plan, base)[i], mr_reader_u64(from));
    return MR_OK;
}
