/* feature_key.h -- the state of one key in memory, and how its parts are reached. The picture and the invariants stand
 * in feature_internal.h. Thread: the slot's worker. */
#ifndef MR_FEATURE_KEY_H
#define MR_FEATURE_KEY_H

#include "base/assert.h"
#include "feature/feature_plan.h"
#include "feature/table.h"

typedef struct key_state {
    uint8_t *ring;
    uint32_t first, end; /* indices of elements; they wrap */
    uint8_t ring_log2;
    uint8_t spare[3];
} __attribute__((packed, aligned(4))) key_state;

_Static_assert(sizeof(key_state) == 20, "part of the value's layout");

typedef struct lane_state {
    uint16_t low;  /* biased exponent; 0: only zeros so far; LANE_WIDE */
    uint16_t high; /* biased; wide: evictions until the next try */
} lane_state;

typedef struct window_bounds {
    uint32_t lo, hi;
} window_bounds;

typedef struct feature_sum {
    uint64_t low, high;
} feature_sum;

/* What left the ring, of one lane. */
typedef struct base_lane {
    uint64_t count;
    uint64_t least, greatest; /* bits as in the element */
    int64_t first_us, last_us;
    uint64_t first, last;    /* bits, or texts owned */
    uint64_t *sum, *squares; /* trimmed mr_super: | first << 32 + count | words | */
    mr_values *distinct;     /* until there are DISTINCT_EXACT_MAX, then */
    mr_registers *registers;
    mr_values *top; /* SpaceSaving: TOP_COUNTERS_MAX of them at most */
    mr_sketch *sketch;
} base_lane;

typedef struct base_state {
    int64_t time_us; /* of the last record that left */
    uint64_t rows;
    /* base_lane[base_lane_count], then double[decay_count] */
} base_state;

/* One key at work: what every function below wants. */
typedef struct feature_key {
    const feature_plan *plan;
    mr_slot *slot;
    uint8_t *value; /* key_state and what follows */
    mr_view_stats *stats;
} feature_key;

static inline key_state *state_of(const feature_key *key)
{
    return (key_state *)(void *)key->value;
}

static inline window_bounds *bounds_of(const feature_key *key, const feature_window *window)
{
    return (window_bounds *)(void *)(key->value + window->bounds);
}

static inline lane_state *lane_state_of(const feature_key *key, const feature_lane *lane)
{
    return (lane_state *)(void *)(key->value + lane->state);
}

static inline uint32_t *count_of(const feature_key *key, const feature_cell *cell)
{
    return (uint32_t *)(void *)(key->value + cell->count);
}

static inline mr_int128 sum_get(const feature_key *key, uint32_t offset)
{
    const feature_sum *at = (const feature_sum *)(const void *)(key->value + offset);
    return (mr_int128)((mr_uint128)at->high << 64 | at->low);
}

static inline void sum_set(const feature_key *key, uint32_t offset, mr_int128 sum)
{
    feature_sum *at = (feature_sum *)(void *)(key->value + offset);
    at->low = (uint64_t)(mr_uint128)sum;
    at->high = (uint64_t)((mr_uint128)sum >> 64);
}

/* A pointer of the value: table, sketch, tree. */
static inline void *value_pointer(const feature_key *key, uint32_t offset)
{
    void *pointer;
    memcpy(&pointer, key->value + offset, sizeof pointer);
    return pointer;
}

static inline mr_union union_get(const feature_key *key, const feature_cell *cell)
{
    mr_union all;
    memcpy(&all, key->value + cell->distinct, sizeof all);
    return all;
}

static inline void union_set(const feature_key *key, const feature_cell *cell, mr_union all)
{
    memcpy(key->value + cell->distinct, &all, sizeof all);
}

static inline base_state *base_of(const feature_key *key)
{
    base_state *base = NULL;
    if (key->plan->has_base)
        memcpy(&base, key->value + key->plan->base_offset, sizeof base);
    return base;
}

static inline base_lane *base_lanes(base_state *base)
{
    return (base_lane *)(void *)(base + 1);
}

static inline double *base_decays(const feature_plan *plan, base_state *base)
{
    return (double *)(void *)(base_lanes(base) + plan->base_lane_count);
}

/* ---- elements ---- */

static inline uint8_t *element_at(const feature_plan *plan, const key_state *state, uint32_t index)
{
    uint32_t mask = (1u << state->ring_log2) - 1;
    return state->ring + (size_t)(index & mask) * plan->element_bytes;
}

static inline uint64_t load_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline void store_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

static inline double load_f64(const uint8_t *at)
{
    double value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline int64_t element_time(const uint8_t *element)
{
    return (int64_t)load_u64(element) >> FLAG_BITS;
}

static inline int64_t time_at(const feature_plan *plan, const key_state *state, uint32_t index)
{
    return element_time(element_at(plan, state, index));
}

static inline uint64_t element_flags(const feature_plan *plan, const uint8_t *element)
{
    return plan->flag_word ? load_u64(element + 8) : load_u64(element);
}

/* A raw element counts for the lane. */
static inline bool lane_matches(const feature_plan *plan, const feature_lane *lane,
                                const uint8_t *element)
{
    if (!lane->skips)
        return true;
    uint64_t flags = element_flags(plan, element);
    if (lane->where >= 0 && (flags >> lane->where_flag & 1) == 0)
        return false;
    if (lane->input < 0)
        return true;
    if (!lane->is_float)
        return (flags >> lane->input_flag & 1) != 0;
    double value = load_f64(element + lane->value);
    return value == value;
}

static inline double element_number(const feature_lane *lane, const uint8_t *element)
{
    return lane->is_float ? load_f64(element + lane->value)
                          : (double)(int64_t)load_u64(element + lane->value);
}

typedef struct feature_tile {
    uint32_t count;
    int32_t exponent; /* of sum, half that of squares */
} feature_tile;

static inline feature_tile tile_head(const feature_lane *lane, const uint8_t *element)
{
    feature_tile head;
    memcpy(&head, element + lane->tile_count, sizeof head);
    return head;
}

static inline mr_int128 tile_sum(const feature_lane *lane, const uint8_t *element)
{
    const uint8_t *at = element + lane->tile_sum;
    return (mr_int128)((mr_uint128)load_u64(at + 8) << 64 | load_u64(at));
}

/* First and last of a tile's records. */
typedef struct feature_ends {
    uint64_t count; /* 0: none, and the rest says nothing */
    int64_t first_us, last_us;
    int64_t
        before_us; /* of the last one before the record that came last; INT64_MIN: none. Not encoded */
    uint64_t first, last; /* bits, or texts owned */
} feature_ends;

static inline feature_ends tile_ends(const feature_lane *lane, const uint8_t *element)
{
    feature_ends ends;
    memcpy(&ends, element + lane->tile_ends, sizeof ends);
    return ends;
}

static inline void *tile_pointer(const uint8_t *element, uint32_t offset)
{
    void *pointer;
    memcpy(&pointer, element + offset, sizeof pointer);
    return pointer;
}

/* A text of the slot's heap: | hash | size | bytes |. */
typedef struct feature_text {
    uint64_t hash;
    uint32_t size;
    uint8_t bytes[];
} feature_text;

static inline feature_text *text_of(uint64_t bits)
{
    return (feature_text *)(uintptr_t)bits;
}

static inline mr_text text_lent(const feature_text *text)
{
    return (mr_text){text->bytes, text->size};
}

static inline uint64_t bits_identity(const feature_lane *lane, uint64_t bits)
{
    return lane->is_float && bits == UINT64_C(1) << 63 ? 0 : bits;
}

/* The value as it is told from others: texts by hash, -0.0 as 0.0. */
static inline uint64_t value_identity(const feature_lane *lane, const uint8_t *element)
{
    uint64_t bits = load_u64(element + lane->value);
    return lane->is_text ? text_of(bits)->hash : bits_identity(lane, bits);
}

/* Order of least and greatest: -0.0 before 0.0. */
static inline int64_t value_order(const feature_lane *lane, uint64_t bits)
{
    int64_t order = (int64_t)bits;
    return lane->is_float && order < 0 ? (int64_t)(~bits ^ UINT64_C(1) << 63) : order;
}

#endif
