/* codec.c -- the state of one key as bytes: what the records are, and nothing of how they are held.
 *
 *   varint records | record | ... | u8 has base | base
 *   record, raw     zigzag time delta | varint flags when there are any | inputs
 *   input           float: 8 bytes; integer: zigzag; text: varint size + bytes; nothing when missing
 *   record, tile    zigzag time delta | per lane: varint count, then if > 0: exponent, sum, squares, extremes
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
    for (uint32_t i = state->first; plan->has_texts && i < state->end; i++)
        ring_free_texts(key, element_at(plan, state, i));
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

const mr_table_kind feature_table_kind = {"feature view", 1,          encode_state,
                                          decode_state,   drop_state, NULL};
const mr_table_kind feature_table_kind_ttl = {"feature view", 1,          encode_state,
                                              decode_state,   drop_state, newest_time};
