/* codec.c -- the state of one key as bytes: what the records are, and nothing of how they are held.
 *
 *   varint records | record | ... | u8 has base | base
 *   record, raw     zigzag time delta | varint flags when there are any | inputs
 *   input           float: 8 bytes; integer: zigzag; text: varint size + bytes; nothing when missing
 *   record, tile    zigzag time delta | per lane: varint count, then if > 0: exponent, sum, squares, extremes;
 *                                       then per lane: ends, distinct, sketch, top, as far as the lane has them
 *   ends            varint count, then if > 0: zigzag first time, varint to the last, first, last
 *   distinct        u8 0 nothing; 1 varint count, identities; 2 registers
 *   base            time, rows | per lane: varint count, then if > 0 its parts | decayed values
 * Bounds, cells, trees and capacities are left out: they are made again when asked for (invariant 2 of
 * feature_internal.h). Tables are written in order of value. Thread: the slot's worker. */
#include "feature/codec.h"

void codec_put_signed(mr_bytes *out, int64_t value)
{
    mr_bytes_append_varint(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

int64_t codec_get_signed(mr_reader *from)
{
    uint64_t value = mr_reader_varint(from);
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

mr_status codec_corrupt(mr_error *err, const char *what)
{
    return MR_FAIL(err, MR_CORRUPT, "the stored state of a key is damaged: %s", what);
}

/* ---- bits of a value: number or text ---- */

void codec_put_bits(mr_bytes *out, bool is_float, bool is_text, uint64_t bits)
{
    if (is_text) {
        mr_bytes_append_varint(out, text_of(bits)->size);
        mr_bytes_append(out, text_of(bits)->bytes, text_of(bits)->size);
    } else if (is_float) {
        mr_bytes_append_u64(out, bits);
    } else {
        codec_put_signed(out, (int64_t)bits);
    }
}

mr_status codec_get_text(mr_slot *slot, mr_reader *from, feature_text **out, mr_error *err)
{
    uint64_t size = mr_reader_varint(from);
    const uint8_t *bytes = size <= INT32_MAX ? mr_reader_bytes(from, (size_t)size) : NULL;
    if (bytes == NULL)
        return codec_corrupt(err, "a text goes beyond its end");
    *out = text_create(slot, bytes, (size_t)size);
    return *out != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static bool is_infinite(uint64_t bits)
{
    return (bits & ~(UINT64_C(1) << 63)) == UINT64_C(0x7ff) << 52;
}

mr_status codec_get_bits(mr_slot *slot, mr_reader *from, bool is_float, bool is_text, uint64_t *out,
                         mr_error *err)
{
    if (is_text) {
        feature_text *text = NULL;
        MR_TRY(codec_get_text(slot, from, &text, err));
        *out = (uint64_t)(uintptr_t)text;
        return MR_OK;
    }
    *out = is_float ? mr_reader_u64(from) : (uint64_t)codec_get_signed(from);
    return is_float && is_infinite(*out) ? codec_corrupt(err, "an infinite value") : MR_OK;
}

/* ---- records ---- */

static void put_raw(const feature_plan *plan, const uint8_t *element, mr_bytes *out)
{
    uint64_t mask = plan->flag_word ? UINT64_MAX : (1u << FLAG_BITS) - 1;
    uint64_t flags = element_flags(plan, element) & mask;
    mr_bytes_append_varint(out, flags);
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const feature_input *input = &plan->inputs[i];
        if (input->is_float || (flags >> input->flag & 1) != 0)
            codec_put_bits(out, input->is_float, input->is_text, load_u64(element + input->offset));
    }
}

static void put_ends(const feature_lane *lane, const feature_ends *ends, mr_bytes *out)
{
    mr_bytes_append_varint(out, ends->count);
    if (ends->count == 0)
        return;
    codec_put_signed(out, ends->first_us);
    mr_bytes_append_varint(out, (uint64_t)(ends->last_us - ends->first_us));
    codec_put_bits(out, lane->is_float, lane->is_text, ends->first);
    codec_put_bits(out, lane->is_float, lane->is_text, ends->last);
}

static void put_distinct(const mr_distinct *distinct, mr_bytes *out)
{
    const mr_registers *registers = mr_distinct_registers(distinct);
    mr_bytes_append_byte(out, distinct == NULL ? 0 : registers == NULL ? 1 : 2);
    if (registers != NULL)
        mr_bytes_append(out, registers->ranks, MR_REGISTER_COUNT);
    else if (distinct != NULL)
        mr_bytes_append_varint(out, distinct->used);
    for (uint32_t i = 0; registers == NULL && distinct != NULL && i < distinct->used; i++)
        mr_bytes_append_u64(out, distinct->identities[i]);
}

static void put_details(const feature_lane *lane, const uint8_t *element, mr_bytes *out)
{
    if ((lane->parts & PART_ENDS) != 0) {
        feature_ends ends = tile_ends(lane, element);
        put_ends(lane, &ends, out);
    }
    if ((lane->parts & PART_DISTINCT) != 0)
        put_distinct(tile_pointer(element, lane->tile_distinct), out);
    if ((lane->parts & PART_SKETCH) != 0)
        codec_put_sketch(tile_pointer(element, lane->tile_sketch), out);
    if ((lane->parts & PART_TOP) != 0)
        codec_put_values(tile_pointer(element, lane->tile_top), lane->is_text, true, out);
}

static void put_tile(const feature_plan *plan, const uint8_t *element, mr_bytes *out)
{
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        const feature_lane *lane = &plan->lanes[i];
        feature_tile head = tile_head(lane, element);
        mr_bytes_append_varint(out, head.count);
        if (head.count == 0)
            continue;
        codec_put_signed(out, head.exponent);
        mr_bytes_append(out, element + lane->tile_sum, lane->tile_least - lane->tile_sum);
        if ((lane->parts & PART_TREE) != 0)
            mr_bytes_append(out, element + lane->tile_least, 16);
    }
    for (uint32_t i = 0; i < plan->lane_count; i++)
        put_details(&plan->lanes[i], element, out);
}

static mr_status get_raw(feature_key *key, mr_reader *from, uint8_t *element, mr_error *err)
{
    const feature_plan *plan = key->plan;
    uint64_t flags = mr_reader_varint(from), time = load_u64(element);
    if (!plan->flag_word && flags >> FLAG_BITS != 0)
        return codec_corrupt(err, "flags that are not in use");
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const feature_input *input = &plan->inputs[i];
        uint64_t bits = 0;
        if (input->is_float || (flags >> input->flag & 1) != 0) {
            mr_status status =
                codec_get_bits(key->slot, from, input->is_float, input->is_text, &bits, err);
            if (status != MR_OK)
                return status;
        }
        store_u64(element + input->offset, bits);
        /* texts are marked one by one, so that a broken record can be dropped */
        uint64_t mark = input->is_float ? 0 : flags & UINT64_C(1) << input->flag;
        uint8_t *word = element + (plan->flag_word ? 8 : 0);
        store_u64(word, load_u64(word) | mark);
    }
    store_u64(element, plan->flag_word ? time : time | flags);
    if (plan->flag_word)
        store_u64(element + 8, flags);
    return MR_OK;
}

static bool time_is_possible(const feature_plan *plan, int64_t time_us)
{
    return time_us >= MR_TIME_MIN_US && time_us <= MR_TIME_MAX_US + plan->resolution_us;
}

static mr_status get_ends(feature_key *key, const feature_lane *lane, mr_reader *from,
                          uint8_t *element, mr_error *err)
{
    feature_ends ends = {.count = mr_reader_varint(from)};
    if (ends.count == 0)
        return MR_OK;
    ends.first_us = codec_get_signed(from);
    uint64_t span = mr_reader_varint(from);
    if (from->failed || !time_is_possible(key->plan, ends.first_us) ||
        span > (uint64_t)(MR_TIME_MAX_US - MR_TIME_MIN_US) ||
        !time_is_possible(key->plan, ends.first_us + (int64_t)span))
        return codec_corrupt(err, "the ends of a tile");
    ends.last_us = ends.first_us + (int64_t)span;
    mr_status status =
        codec_get_bits(key->slot, from, lane->is_float, lane->is_text, &ends.first, err);
    if (status == MR_OK)
        status = codec_get_bits(key->slot, from, lane->is_float, lane->is_text, &ends.last, err);
    memcpy(element + lane->tile_ends, &ends, sizeof ends);
    return status;
}

static mr_status get_identities(feature_key *key, mr_reader *from, mr_distinct **distinct,
                                mr_error *err)
{
    uint64_t count = mr_reader_varint(from), before = 0;
    if (count < 1 || count > key->plan->limits.distinct)
        return codec_corrupt(err, "the number of different values");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t identity = mr_reader_u64(from);
        if (from->failed || (i > 0 && identity <= before))
            return codec_corrupt(err, "different values");
        MR_TRY(mr_distinct_add(key->slot, distinct, identity, key->plan->limits.distinct, err));
        before = identity;
    }
    return MR_OK;
}

static mr_status get_distinct(feature_key *key, const feature_lane *lane, mr_reader *from,
                              uint8_t *element, mr_error *err)
{
    mr_distinct *distinct = NULL;
    mr_status status = MR_OK;
    const uint8_t *ranks;
    switch (mr_reader_u8(from)) {
    case 0:
        break;
    case 1:
        status = get_identities(key, from, &distinct, err);
        break;
    case 2:
        status = codec_get_ranks(from, &ranks, err);
        if (status == MR_OK)
            status = mr_distinct_of_ranks(key->slot, &distinct, ranks, err);
        break;
    default:
        status = codec_corrupt(err, "how many values are different");
    }
    memcpy(element + lane->tile_distinct, &distinct, sizeof distinct);
    return status;
}

static mr_status get_details(feature_key *key, const feature_lane *lane, mr_reader *from,
                             uint8_t *element, mr_error *err)
{
    const feature_limits *limits = &key->plan->limits;
    if ((lane->parts & PART_ENDS) != 0)
        MR_TRY(get_ends(key, lane, from, element, err));
    if ((lane->parts & PART_DISTINCT) != 0)
        MR_TRY(get_distinct(key, lane, from, element, err));
    if ((lane->parts & PART_SKETCH) != 0) {
        mr_sketch *sketch = NULL;
        mr_status status = codec_get_sketch(key->slot, from, limits->buckets, &sketch, err);
        memcpy(element + lane->tile_sketch, &sketch, sizeof sketch);
        MR_TRY(status);
    }
    if ((lane->parts & PART_TOP) != 0) {
        mr_values *top = NULL;
        mr_status status =
            codec_get_values(key->slot, from, lane->is_text, true, limits->counters, &top, err);
        memcpy(element + lane->tile_top, &top, sizeof top);
        MR_TRY(status);
    }
    return MR_OK;
}

static mr_status get_tile(feature_key *key, mr_reader *from, uint8_t *element, mr_error *err)
{
    const feature_plan *plan = key->plan;
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        const feature_lane *lane = &plan->lanes[i];
        uint64_t count = mr_reader_varint(from);
        if (count == 0)
            continue;
        int64_t exponent = codec_get_signed(from);
        size_t sums = lane->tile_least - lane->tile_sum,
               order = (lane->parts & PART_TREE) != 0 ? 16 : 0;
        const uint8_t *bytes = mr_reader_bytes(from, sums + order);
        if (bytes == NULL || count > UINT32_MAX || exponent < -1074 || exponent > 971 ||
            (!lane->is_float && exponent != 0))
            return codec_corrupt(err, "a tile");
        feature_tile head = {(uint32_t)count, (int32_t)exponent};
        memcpy(element + lane->tile_count, &head, sizeof head);
        memcpy(element + lane->tile_sum, bytes, sums + order);
    }
    for (uint32_t i = 0; i < plan->lane_count; i++)
        MR_TRY(get_details(key, &plan->lanes[i], from, element, err));
    return MR_OK;
}

/* ---- the whole key ---- */

static void encode_state(void *context, mr_slot *slot, const void *value, mr_bytes *out)
{
    feature_key key = {&((mr_view *)context)->plan, slot, (uint8_t *)(uintptr_t)value, NULL};
    const key_state *state = state_of(&key);
    int64_t before = 0;
    mr_bytes_append_varint(out, state->end - state->first);
    for (uint32_t i = state->first; i < state->end; i++) {
        const uint8_t *element = element_at(key.plan, state, i);
        codec_put_signed(out, element_time(element) - before);
        before = element_time(element);
        if (key.plan->tiled)
            put_tile(key.plan, element, out);
        else
            put_raw(key.plan, element, out);
    }
    base_encode(&key, out);
}

static mr_status decode_records(feature_key *key, mr_reader *from, uint64_t count, mr_error *err)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    int64_t time = 0;
    for (uint64_t i = 0; i < count; i++) {
        int64_t delta = codec_get_signed(from);
        if (from->failed || (i > 0 && delta < 0) || delta > MR_TIME_MAX_US - MR_TIME_MIN_US ||
            delta < MR_TIME_MIN_US || time + delta > MR_TIME_MAX_US + plan->resolution_us)
            return codec_corrupt(err, "times do not ascend");
        time += delta;
        uint8_t *element = element_at(plan, state, state->end);
        memset(element, 0, plan->element_bytes);
        store_u64(element, (uint64_t)time << FLAG_BITS);
        state->end++;
        MR_TRY(plan->tiled ? get_tile(key, from, element, err) : get_raw(key, from, element, err));
    }
    return MR_OK;
}

static mr_status decode_state(void *context, mr_slot *slot, void *value, mr_reader *from,
                              mr_error *err)
{
    feature_key key = {&((mr_view *)context)->plan, slot, value, NULL};
    uint64_t count = mr_reader_varint(from);
    if (count > mr_reader_left(from))
        return codec_corrupt(err, "the number of records");
    MR_TRY(ring_reserve(&key, (uint32_t)count, err));
    MR_TRY(decode_records(&key, from, count, err));
    if (mr_reader_u8(from) != 0) {
        if (!key.plan->has_base)
            return codec_corrupt(err, "a base that the view does not have");
        MR_TRY(base_decode(&key, from, err));
    }
    if (from->failed)
        return codec_corrupt(err, "its length");
    ring_renew(&key);
    return MR_OK;
}

void state_drop(feature_key *key)
{
    const feature_plan *plan = key->plan;
    key_state *state = state_of(key);
    for (uint32_t i = 0; i < plan->window_count; i++)
        window_reset(key, &plan->windows[i]);
    tree_free(key);
    if (plan->has_base)
        base_free(key);
    bool owns = plan->has_texts || plan->tile_details;
    for (uint32_t i = state->first; owns && i < state->end; i++)
        ring_free_element(key, element_at(plan, state, i));
    if (state->ring != NULL)
        mr_slot_free(key->slot, state->ring, (size_t)plan->element_bytes << state->ring_log2);
    memset(key->value, 0, plan->value_bytes);
}

static void drop_state(void *context, mr_slot *slot, void *value)
{
    feature_key key = {&((mr_view *)context)->plan, slot, value, NULL};
    state_drop(&key);
}

static int64_t newest_time(void *context, const void *value)
{
    feature_key key = {&((mr_view *)context)->plan, NULL, (uint8_t *)(uintptr_t)value, NULL};
    const key_state *state = state_of(&key);
    return state->end > state->first ? time_at(key.plan, state, state->end - 1) : INT64_MIN;
}

/* 2: tiles hold details; the counts of top k in a base are too low instead of too high. */
enum { FORMAT_VERSION = 2 };

enum { PREFETCH_ELEMENTS_MAX = 64 };

static void prefetch_state(void *context, const void *value)
{
    const feature_plan *plan = &((const mr_view *)context)->plan;
    const key_state *state = value;
    uint32_t count = MR_MIN(state->end - state->first, (uint32_t)PREFETCH_ELEMENTS_MAX);
    uint32_t step = MR_MAX(MR_ALIGN / plan->element_bytes, 1u);
    for (uint32_t i = 0; state->ring != NULL && i < count; i += step)
        __builtin_prefetch(element_at(plan, state, state->first + i));
}

const mr_table_kind feature_table_kind = {
    .name = "feature view",
    .version = FORMAT_VERSION,
    .encode = encode_state,
    .decode = decode_state,
    .drop = drop_state,
    .prefetch = prefetch_state,
};

const mr_table_kind feature_table_kind_ttl = {
    .name = "feature view",
    .version = FORMAT_VERSION,
    .encode = encode_state,
    .decode = decode_state,
    .drop = drop_state,
    .last_time_us = newest_time,
    .prefetch = prefetch_state,
};
