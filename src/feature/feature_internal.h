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

#include "base/time.h"
#include "feature/feature_key.h"

/* For functions that only prefetch: gcc takes them for pure and drops calls to them, unless it has put their
 * bodies in place before it looks. */
#define MR_ALWAYS_INLINE static inline __attribute__((always_inline))

/* ---- plan.c, plan_check.c ---- */

/* The spec checked, and laid out. Memory is the arena's. */
mr_status feature_plan_build(const mr_view_spec *spec, mr_arena *arena, feature_plan *plan,
                             mr_error *err);
/* MR_INVALID names the aggregate and what would be right. */
mr_status feature_plan_check(const mr_view_spec *spec, mr_error *err);
mr_type feature_output_type(const mr_view_spec *spec, const mr_view_aggregate *aggregate);
/* The canonical text. */
void feature_plan_text(const mr_view_spec *spec, const feature_plan *plan, mr_bytes *out);

/* ---- ring.c: what is kept ---- */

/* One incoming record, already clamped and looked at. */
typedef struct feature_event {
    int64_t time_us;        /* where it stands in the ring: a tile's end, or its own time */
    uint64_t flags;         /* bits as in the element, from bit 0 */
    const uint64_t *inputs; /* 8 bytes each; texts: index into texts */
    const mr_text *texts;
    int64_t own_us; /* tiles: its own time */
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
/* Texts and the like that only this element holds. */
void ring_free_element(const feature_key *key, uint8_t *element);
feature_text *text_create(mr_slot *slot, const void *bytes, size_t size);
void text_destroy(mr_slot *slot, feature_text *text);

/* ---- tile.c ---- */

mr_status tile_insert(feature_key *key, const feature_event *event, uint32_t *out_index,
                      mr_error *err);
void tile_free(const feature_key *key, uint8_t *element);
/* The latest that is known to be at or before a time, of the two times a tile keeps; INT64_MIN: none. */
int64_t tile_ends_before(const feature_ends *ends, int64_t time_us);
/* The first of the tiles that have the end of the one before `index`. */
uint32_t tile_home(const feature_key *key, uint32_t index);
/* Makes place for an element at `index`, behind those of equal time. */
mr_status ring_open(feature_key *key, uint32_t index, mr_error *err);

/* ---- lane.c: exponents of exact sums, and sums over walks ---- */

/* Makes room in the lane for an exponent range (of the record about to be added). */
void lane_admit(feature_key *key, uint32_t index, int low, int high);
/* A wide lane may fit again. */
void lane_retry(feature_key *key, uint32_t index);
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
void window_rebuild_sums(feature_key *key, uint32_t index);
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

/* ---- read.c, read_record.c, read_values.c ---- */

typedef struct feature_value {
    bool present;
    union {
        int64_t integer;
        double number;
    };
} feature_value;

static inline feature_value value_integer(int64_t value)
{
    return (feature_value){.present = true, .integer = value};
}

static inline feature_value value_number(double value)
{
    return (feature_value){.present = true, .number = value};
}

/* Reads one output at time_us; windows have been moved. Text results are appended to `text`. */
mr_status read_output(feature_key *key, const feature_output *output, int64_t time_us,
                      uint32_t self, feature_value *out, mr_bytes *text, mr_error *err);
/* Moves all windows for a question. */
mr_status read_prepare(feature_key *key, int64_t time_us, uint32_t self, mr_error *err);
/* The value of an output for a key without state. */
feature_value read_empty(const feature_output *output);
/* What left the ring, for a lifetime window; else NULL. */
const base_lane *read_base(const feature_key *key, const feature_output *output, uint32_t lane);
feature_value read_order(const feature_key *key, const feature_output *output);
feature_value read_end(const feature_key *key, const feature_output *output, mr_bytes *text);
feature_value read_time_since(const feature_key *key, const feature_output *output, int64_t time_us,
                              uint32_t self);
mr_status read_distinct(feature_key *key, const feature_output *output, feature_value *out,
                        mr_error *err);
mr_status read_quantile(feature_key *key, const feature_output *output, uint64_t n,
                        feature_value *out, mr_error *err);
feature_value read_top(const feature_key *key, const feature_output *output, mr_bytes *text);

/* ---- a micro-batch, as far as fast.c knows it ---- */

/* Groups of steps ahead that memory is asked for, each where the one before has led to: the slots, the tags of
 * their places, the entries, the rings. */
enum {
    WALK_GROUP = 4,
    WALK_SLOTS = 4,
    WALK_TAGS = 3,
    WALK_ENTRIES = 2,
    WALK_RINGS = 1,
    WALK_AHEAD = WALK_SLOTS * WALK_GROUP, /* steps */
    WALK_PLACES = WALK_AHEAD,
};

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

/* How far a walk is. */
typedef struct fast_progress {
    size_t next;                  /* the step that is taken next, and WALK_AHEAD */
    uint32_t places[WALK_PLACES]; /* where the keys of steps ahead were found */
} fast_progress;

/* Takes records rows[0..count) in order; true when all are done. False at one that is for the general way, which
 * is rows[progress->next - 1 - WALK_AHEAD]: call again after it; or *out_status is an error. */
bool fast_walk(const fast_records *records, const uint32_t *rows, size_t count,
               fast_progress *progress, mr_view_stats *stats, mr_status *out_status, mr_error *err);

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
