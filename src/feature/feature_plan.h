/* feature_plan.h -- a view's definition as the other files of this room want it: lanes, windows, cells, outputs, and
 * where each stands in an element of the ring and in the value of a key. Made by plan.c at start-up, then constant. */
#ifndef MR_FEATURE_PLAN_H
#define MR_FEATURE_PLAN_H

#include "feature/exact.h"
#include "feature/table.h"
#include "feature/view.h"

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
    PART_ENDS = 64,   /* of the base, of tiles: first and last */
    PART_TEXTS = 128, /* tables keep texts */
    PART_DISTINCT = 256 /* of the base, of tiles and what is made of them */,
    PART_TOP = 512 /* likewise */
};

/* Of the base; of a tile (feature_limits; there the sketch stands at PART_SKETCH) */
enum { DISTINCT_EXACT_MAX = 4096, TOP_COUNTERS_MAX = 1024, BUCKETS_MAX = 2048 };
enum { TILE_DISTINCT_MAX = MR_DISTINCT_MAX, TILE_COUNTERS_MAX = 256 };

/* What a tile may hold of one lane. Tests make it smaller. */
typedef struct feature_limits {
    uint32_t distinct, counters, buckets;
} feature_limits;

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
    uint32_t tile_ends, tile_distinct, tile_sketch, tile_top;
    uint32_t base; /* index into the base's lanes; UINT32_MAX: none */
} feature_lane;

typedef struct feature_cell {
    uint32_t lane, parts;
    uint32_t count, sum, square, table, sketch, distinct; /* offsets in the value */
} feature_cell;

typedef struct feature_window {
    mr_window window;
    uint32_t bounds; /* offset of window_bounds in the value */
    uint32_t cell_first, cell_count;
    bool moves;  /* it has cells to move; otherwise bounds are just set */
    bool closed; /* tiles without those of the newest end, which may still change: see tile.c */
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
    uint32_t closed, closed_cell;    /* tiles: window and cell of what is told of many values */
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
    bool tile_details; /* tiles hold more than sums and extremes */
    feature_limits limits;
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

#endif
