/* feature_internal.h -- what the files of this room share: the compiled plan and the state of one key.
 *
 *   value of a key  | key_state 20 | lane states 4 each | windows 8 each | counts 4 each | pointers | sums |
 *   ring            elements in order of time (equals: of arrival), at index & mask; [first, end) are kept
 *   element, raw    | time << 5 + flags | more flags? | input 8 each | decayed value 8 each |
 *   element, tile   | end of tile << 5  | rows | per lane: count, exponent, sum, squares, least, greatest |
 *
 *   lane .... an (input, where) pair: which records match and what they carry
 *   window .. bounds [lo, hi) in the ring, as last asked for; they move to where the next question wants
 *             them, forwards or back, and take the accumulators of their cells with them
 *   cell .... a lane in a window: count, sum, squares, table of values, sketch of [lo, hi)
 *   base .... what left the ring, per lane; only views with lifetime or decayed windows have one
 *
 * (1) first <= lo <= hi <= end of every window; a cell holds exactly the matching elements of [lo, hi).
 * (2) Bounds and cells are a cache: they are not encoded, and no result depends on where they stand.
 * (3) Sums of a float lane are multiples of 2^low; every element of the ring has low <= exponent <= high
 *     and high - low <= LANE_SPREAD_MAX, so that 2^32 of them fit 126 bits. A lane that cannot is *wide*: its
 *     sums are not kept, and reading walks the window with an mr_super. */
#ifndef MR_FEATURE_INTERNAL_H
#define MR_FEATURE_INTERNAL_H

#include "base/assert.h"
#include "base/time.h"
#include "feature/exact.h"
#include "feature/table.h"
#include "feature/view.h"

/* For functions that only prefetch: gcc takes them for pure and drops calls to them, unless it has put their
 * bodies in place before it looks. */
#define MR_ALWAYS_INLINE static inline __attribute__((always_inline))

/* ---- the plan ---- */

enum {
    FLAG_BITS = 5,        /* below the time in an element's first word */
    LANE_SPREAD_MAX = 41, /* 126 - 32 - 53 */
    LANE_BIAS = 4096,     /* of stored exponents; 0 means none yet */
    LANE_WIDE = 0xffff,
    TREE_BLOCK = 16, /* elements summed up by one leaf of a tree */
    QUANTILE_EXACT_MAX = 256,
    SHRINK_LOG2_MIN = 3,
};

enum {
    PART_COUNT = 1,
    PART_SUM = 2,
    PART_SQUARE = 4,
    PART_TABLE = 8,
    PART_SKETCH = 16,
    PART_TREE = 32,   /* of the lane: least and greatest */
    PART_ENDS = 64,   /* of the base: first and last */
    PART_TEXTS = 128, /* tables keep texts */
    PART_DISTINCT = 256 /* of the base */,
    PART_TOP = 512 /* of the base */
};

enum { DISTINCT_EXACT_MAX = 4096, TOP_COUNTERS_MAX = 1024 };

typedef struct feature_input {
    mr_type_id type;
    bool is_float, is_text;
    uint8_t flag;    /* bit that says present; floats: NaN says missing, no bit */
    uint32_t offset; /* in a raw element */
} feature_input;

typedef struct feature_lane {
    int input, where; /* -1: none */
    uint8_t input_flag, where_flag;
    bool is_float, is_text, skips; /* skips: some records may not match */
    uint32_t parts;                /* over all windows */
    uint32_t base_parts;           /* of lifetime windows */
    uint32_t value;                /* offset of the input in a raw element */
    uint32_t state;                /* offset of lane_state in the value; floats with sums */
    uint32_t tree;                 /* offset of the tree's pointer in the value */
    uint32_t tile_count, tile_sum, tile_square, tile_least; /* offsets in a tile */
    uint32_t base; /* index into the base's lanes; UINT32_MAX: none */
} feature_lane;

typedef struct feature_cell {
    uint32_t lane, parts;
    uint32_t count, sum, square, table, sketch; /* offsets in the value */
} feature_cell;

typedef struct feature_window {
    mr_window window;
    uint32_t bounds; /* offset of window_bounds in the value */
    uint32_t cell_first, cell_count;
    bool moves; /* it has cells to move; otherwise bounds are just set */
} feature_window;

typedef struct feature_decay {
    uint32_t lane;
    int64_t half_life_us;
    bool counts;     /* weights alone, not values */
    uint32_t offset; /* in a raw element */
} feature_decay;

typedef struct feature_output {
    const mr_aggregate_kind *kind;
    char *name;
    mr_type type;
    uint32_t lane, window, cell;     /* cell UINT32_MAX: none */
    uint32_t whole_cell, whole_lane; /* ratio: what it is divided by */
    uint32_t decay, decay_weight;    /* decayed windows: the columns of sum and count */
    double quantile;
    uint32_t k;
    int64_t unit_us;
    bool empty_given;
    double empty;
} feature_output;

#define NONE UINT32_MAX

/* fast.c: what it needs of the above, close together. NULL in the plan: the view is not of that kind. */
typedef struct fast_lane {
    uint64_t need; /* flags that a matching element has */
    uint32_t value, state;
    bool is_float, sums;
} fast_lane;

typedef struct fast_cell {
    const fast_lane *lane;
    uint32_t count, sum; /* 0: none */
} fast_cell;

typedef struct fast_window {
    int64_t end_us, start_us; /* before the time of the question */
    const fast_cell *cells, *cells_end;
    uint32_t bounds, output_first, output_end, index;
    bool fetch_hi; /* the first of the windows with this end */
} fast_window;

typedef enum fast_does { FAST_COUNT_ALL, FAST_COUNT, FAST_MEAN } fast_does;

typedef struct fast_output {
    fast_does does;
    uint32_t index; /* in the plan's outputs */
    uint32_t count, sum, state;
} fast_output;

/* Where the values of an output go. */
typedef struct fast_sink {
    int64_t *values;
    uint8_t *valid;
} fast_sink;

typedef struct fast_plan {
    fast_lane *lanes;
    const fast_lane *only_lane; /* all cells are count and sum of this one; NULL: they are not */
    fast_cell *cells;
    fast_window *windows; /* those of the same end together */
    uint32_t window_count;
    uint32_t *sum_lanes; /* float lanes with sums: they have an exponent */
    uint32_t sum_lane_count;
    fast_output *outputs; /* counts and means, by window */
    uint32_t output_count;
    uint32_t *others; /* outputs that read.c answers */
    uint32_t other_count;
} fast_plan;

typedef struct feature_plan {
    feature_input *inputs;
    uint32_t input_count, where_count;
    feature_lane *lanes;
    uint32_t lane_count, base_lane_count;
    feature_window
        *windows; /* the last keep_count ones have no cells: they say what must be kept */
    uint32_t window_count, keep_first;
    feature_cell *cells;
    uint32_t cell_count;
    feature_decay *decays;
    uint32_t decay_count;
    feature_output *outputs;
    uint32_t output_count;
    mr_type *keys;
    uint32_t key_count;
    bool byte_keys;
    uint8_t *where_flags; /* bit of each where */
    bool tiled, flag_word, has_base, has_trees, has_texts;
    int64_t resolution_us, lateness_us, ttl_us, reach_us; /* reach without lateness */
    uint32_t element_bytes, value_bytes, base_offset;
    fast_plan *fast;
} feature_plan;

struct mr_view {
    mr_arena arena;
    char *name;
    feature_plan plan;
    mr_bytes text;
    uint64_t fingerprint;
    mr_table *table;
    mr_view_stats stats;
};

/* plan.c: the spec checked, and laid out. Memory is the arena's. */
mr_status feature_plan_build(const mr_view_spec *spec, mr_arena *arena, feature_plan *plan,
                             mr_error *err);
void feature_plan_text(const mr_view_spec *spec, const feature_plan *plan, mr_bytes *out);

/* ---- the state of one key ---- */

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

/* The value as it is told from others: texts by hash, -0.0 as 0.0. */
static inline uint64_t value_identity(const feature_lane *lane, const uint8_t *element)
{
    uint64_t bits = load_u64(element + lane->value);
    if (lane->is_text)
        return text_of(bits)->hash;
    return lane->is_float && bits == UINT64_C(1) << 63 ? 0 : bits;
}

/* Order of least and greatest: -0.0 before 0.0. */
static inline int64_t value_order(const feature_lane *lane, uint64_t bits)
{
    int64_t order = (int64_t)bits;
    return lane->is_float && order < 0 ? (int64_t)(~bits ^ UINT64_C(1) << 63) : order;
}

/* ---- ring.c: what is kept ---- */

/* One incoming record, already clamped and looked at. */
typedef struct feature_event {
    int64_t time_us;
    uint64_t flags;         /* bits as in the element, from bit 0 */
    const uint64_t *inputs; /* 8 bytes each; texts: index into texts */
    const mr_text *texts;
} feature_event;

/* Puts the record in its place; *out_index is where. */
mr_status ring_insert(feature_key *key, const feature_event *event, uint32_t *out_index,
                      mr_error *err);
/* Lets go of what no window can reach any more. */
mr_status ring_evict(feature_key *key, mr_error *err);
/* Removes what is at or before that time; not for plans with a base. */
mr_status ring_forget(feature_key *key, int64_t time_us, mr_error *err);
/* Number of elements at or before time_us, as an index; looks near `hint` first. */
uint32_t ring_bound(const feature_plan *plan, const key_state *state, int64_t time_us,
                    uint32_t hint);
int64_t ring_decay_time(const feature_key *key, int64_t time_us);
void ring_decays_from(const feature_key *key, uint32_t index);
mr_status ring_reserve(feature_key *key, uint32_t count, mr_error *err);
/* Exponents, trees and decayed values of a ring that was just decoded. */
void ring_renew(feature_key *key);
void ring_free_texts(const feature_key *key, uint8_t *element);
feature_text *text_create(mr_slot *slot, const void *bytes, size_t size);
void text_destroy(mr_slot *slot, feature_text *text);

/* ---- lane.c: exponents of exact sums, and sums over walks ---- */

/* Makes room in the lane for an exponent range (of the record about to be added). */
void lane_admit(feature_key *key, uint32_t lane, int low, int high);
/* A wide lane may fit again. */
void lane_retry(feature_key *key, uint32_t lane);
static inline bool lane_is_wide(const feature_key *key, const feature_lane *lane)
{
    return lane_state_of(key, lane)->low == LANE_WIDE;
}

/* low and high of a tile or raw element; false when it has no exponent (zero, missing, integer). */
bool lane_range(const feature_plan *plan, const feature_lane *lane, const uint8_t *element,
                int *low, int *high);
void lane_walk(const feature_key *key, const feature_lane *lane, uint32_t lo, uint32_t hi,
               mr_super *sum, mr_super *squares);

/* ---- window.c: bounds and what moves with them ---- */

/* Bounds of `window` for a question at time_us; self: index of the asking record, or NONE. */
window_bounds window_find(const feature_key *key, const feature_window *window, int64_t time_us,
                          uint32_t self);
mr_status window_move(feature_key *key, const feature_window *window, window_bounds to,
                      mr_error *err);
/* Ends every window before element `index`; with `insert` also makes place for a new one there. */
mr_status window_step_back(feature_key *key, uint32_t index, bool insert, mr_error *err);
/* Recomputes sums of one lane in all cells. */
void window_rebuild_sums(feature_key *key, uint32_t lane);
/* Empties bounds and cells. */
void window_reset(feature_key *key, const feature_window *window);

/* ---- tree.c: least and greatest of any range ---- */

mr_status tree_resize(feature_key *key, uint32_t old_log2, uint32_t new_log2, mr_error *err);
/* Elements [from, end) changed. */
void tree_update(feature_key *key, uint32_t from, uint32_t to);
void tree_free(feature_key *key);
/* False when nothing in [lo, hi) matches. */
bool tree_range(const feature_key *key, const feature_lane *lane, uint32_t lo, uint32_t hi,
                uint64_t *out_least, uint64_t *out_greatest);

/* ---- base.c: what left the ring ---- */

mr_status base_add(feature_key *key, const uint8_t *element, mr_error *err);
base_state *base_create(feature_key *key, mr_error *err);
void base_free(feature_key *key);
void base_encode(const feature_key *key, mr_bytes *out);
mr_status base_decode(feature_key *key, mr_reader *from, mr_error *err);
void base_super(const uint64_t *stored, mr_super *out);

/* ---- read.c ---- */

typedef struct feature_value {
    bool present;
    union {
        int64_t integer;
        double number;
    };
} feature_value;

/* Reads one output at time_us; windows have been moved. Text results are appended to `text`. */
mr_status read_output(feature_key *key, const feature_output *output, int64_t time_us,
                      uint32_t self, feature_value *out, mr_bytes *text, mr_error *err);
/* Moves all windows for a question. */
mr_status read_prepare(feature_key *key, int64_t time_us, uint32_t self, mr_error *err);
/* The value of an output for a key without state. */
feature_value read_empty(const feature_output *output);

/* ---- a micro-batch, as far as fast.c knows it ---- */

enum {
    WALK_FURTHER = 28,
    WALK_FAR = 20,
    WALK_NEAR = 10
}; /* steps ahead that memory is asked for */

typedef struct work_key {
    uint64_t hash;
    uint64_t word; /* or, byte tables, offset in the worker's key bytes */
    uint32_t bytes;
    uint16_t owner; /* worker whose bytes they are */
    bool null;
} work_key;

typedef struct fast_input {
    const uint64_t *values;
    bool is_float;
} fast_input;

typedef struct fast_records {
    const feature_plan *plan;
    const work_key *keys;
    const int64_t *times;
    const fast_input *inputs;
    const fast_sink *sinks; /* in order of the fast plan's outputs */
    mr_slot *slots;
    uint64_t first_position, flags;
} fast_records;

/* ---- fast.c: the common case of the verbs above ---- */

/* Takes records rows[from..count) in order; stops before the first that is for the general way and gives its
 * index, count when all are done, any when *out_status is an error. */
size_t fast_walk(const fast_records *records, const uint32_t *rows, size_t from, size_t count,
                 mr_view_stats *stats, mr_status *out_status, mr_error *err);

mr_status fast_plan_build(feature_plan *plan, mr_arena *arena, mr_error *err);
bool fast_insert(feature_key *key, const feature_event *event, uint32_t *out_index);
bool fast_ask(feature_key *key, int64_t time_us, uint32_t self, const fast_sink *sinks,
              uint32_t row, mr_status *out_status, mr_error *err);
mr_status fast_evict(feature_key *key, mr_error *err);

/* ---- work.c ---- */

mr_status work_ask(mr_view_work *work, const mr_column *keys, int64_t as_of_us, mr_column *columns,
                   bool *out_found, uint64_t *out_bytes, mr_error *err);

/* ---- codec.c ---- */

extern const mr_table_kind feature_table_kind, feature_table_kind_ttl;
void state_drop(feature_key *key);

#endif
