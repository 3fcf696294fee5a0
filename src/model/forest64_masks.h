/* forest64_masks.h -- the plan of the mask kernels: trees of up to 256 leaves as boolean programs over rows.
 *
 *   column of rows --rank--> lanes of bytes --compare--> masks, a bit a row --program--> leaf numbers --> sums
 *
 * A value matters only through its *rank*, how many of the forest's thresholds of its feature are below it: a row goes
 * right at a split exactly when rank > index of the split's threshold. Ranks are kept as bytes in lanes: one per slot
 * and 255 thresholds. Every distinct question (lane, index) is answered once per row by a byte comparison and becomes a
 * mask, 1 = goes right (as in tree_masks.h). LightGBM's trees grow leaf by leaf and are too deep for complete trees, so
 * a tree here is a *program*: in post order, for each split, `planes` bit planes of leaf numbers
 *
 *   out[0..planes) = mask ? right[0..planes) : left[0..planes)
 *
 * where left and right are results of earlier steps on a small stack, or constants: a leaf's number as planes of all
 * zeros or all ones. Those windows overlap in one de Bruijn sequence (de Bruijn 1946), so that 256 constants of 8 planes
 * take 263 planes, and no step branches on what its children are.
 *
 * (1) The heavier child is computed first: the stack holds at most 9 results (Sethi, Ullman 1970).
 * (2) The masks of one chunk of consecutive trees fit the second-level cache; each chunk makes its own.
 * (3) Byte 0 of a lane of ranks is missing that goes left, 255 missing that goes right.
 * Private to forest64*. */
#ifndef MR_MODEL_FOREST64_MASKS_H
#define MR_MODEL_FOREST64_MASKS_H

#include "model/forest64_kernel.h"

#define MR_MASKS64_LEAVES_MAX 256
#define MR_MASKS64_RANKS      255u   /* thresholds per lane */
#define MR_MASKS64_RANKS_MAX  65279u /* thresholds per feature */
#define MR_MASKS64_LANES_MAX  16384u
#define MR_MASKS64_STACK      9
#define MR_MASKS64_PLANES     8
#define MR_MASKS64_CONSTANTS  263 /* planes of the de Bruijn sequence and one more window */
#define MR_MASKS64_CODES      255 /* codes 0 .. 254 have a byte; 255: no code that a byte can hold */
#define MR_MASKS64_SET_BYTES  32

/* One feature that is compared with thresholds. */
typedef struct mr_ranks64_feature {
    uint32_t feature;
    uint32_t first, count; /* its thresholds */
    uint32_t segments;     /* lanes per slot */
    uint32_t rank_of_zero;
    uint32_t lanes[MR_VIEWS]; /* first lane of each view; MR_NO_SLOT64: not asked */
    uint32_t
        first_float; /* of its search tree in `floats`; UINT32_MAX: thresholds are too close for float32 */
    uint32_t level_count;
} mr_ranks64_feature;

/* Questions to one lane, whose masks follow each other. */
typedef struct mr_masks64_run {
    uint32_t lane;
    uint32_t first, count; /* of `ranks`, or of `set_bytes`, or of `wide_sets` */
    enum { MR_RUN_RANKS, MR_RUN_SETS, MR_RUN_WIDE } kind;
} mr_masks64_run;

typedef struct mr_masks64_step {
    uint32_t mask, left, right, out; /* byte offsets: of masks, and of planes */
} mr_masks64_step;

typedef struct mr_masks64_tree {
    uint32_t first_step, step_count;
    uint32_t planes; /* 0: one leaf */
    uint32_t group;
    uint32_t table_bits; /* 6, 7 or 8 */
    size_t first_byte;   /* of its leaf table: 8 byte planes of 2^table_bits */
} mr_masks64_tree;

typedef struct mr_masks64_chunk {
    uint32_t first_tree, tree_count, first_run, run_count;
} mr_masks64_chunk;

struct mr_masks64 {
    const mr_forest64 *forest;
    const mr_slots64 *slots;
    uint32_t mask_bytes, rows; /* of one pass: rows = 8 * mask_bytes */
    uint32_t feature_count, lane_count, mask_count_max;
    uint32_t code_count,
        code_lane_first; /* features asked for codes; their lanes are the last ones */
    uint32_t chunk_count;
    bool has_wide; /* some set has codes a byte cannot hold: codes are kept as numbers too */
    mr_ranks64_feature *features;
    uint32_t *code_features;
    double *thresholds; /* strictly ascending per feature */
    float *floats;      /* aligned; the same rounded, as search trees */
    mr_masks64_chunk *chunks;
    mr_masks64_run *runs;
    uint8_t *ranks;
    uint8_t *set_bytes;
    uint32_t *wide_sets;
    mr_masks64_step *steps;
    mr_masks64_tree *trees;
    uint8_t *tables;                         /* aligned */
    uint8_t constants[MR_MASKS64_CONSTANTS]; /* bits */
    uint32_t window[256];                    /* byte offset of the planes of a number */
};

/* *out NULL: the forest does not suit. */
mr_status mr_masks64_create(const mr_forest64 *forest, const mr_slots64 *slots, uint32_t mask_bytes,
                            mr_masks64 **out, mr_error *err);
void mr_masks64_destroy(mr_masks64 *masks); /* NULL is allowed */
size_t mr_masks64_scratch_bytes(const mr_masks64 *masks);

/* Offset of level l of a search tree, in floats: 2^l thresholds, padded with NaN to 16. */
static inline uint32_t mr_masks64_level(uint32_t level)
{
    return level <= 4 ? level * 16 : 5 * 16 + ((1u << level) - 32);
}

/* ---- scratch ---- */

typedef struct mr_masks64_work {
    double *column, *sums; /* rows; rows of each group */
    uint16_t *ranks;       /* rows */
    int32_t *codes;        /* rows of each feature asked for codes, when has_wide */
    uint8_t *lanes, *planes, *masks;
} mr_masks64_work;

mr_masks64_work mr_masks64_work_of(const mr_masks64 *masks, uint8_t *scratch);

/* ---- what both instruction sets share ---- */

/* rank = thresholds below x, for every row of the column; NaN gives any. */
void mr_masks64_search(const mr_masks64 *masks, const mr_ranks64_feature *feature,
                       const double *column, uint16_t *ranks);
/* Lanes of codes, and the codes themselves when has_wide. */
void mr_masks64_code_lane(const mr_masks64 *masks, uint32_t code_feature, const double *column,
                          const mr_masks64_work *work);
/* Masks of sets that bytes cannot hold. */
void mr_masks64_wide_run(const mr_masks64 *masks, const mr_masks64_run *run, const int32_t *codes,
                         uint8_t *to);

#endif
