/* tree_masks.h -- the plan of the mask kernels: a forest as boolean circuits over rows.
 *
 *   column of 512 floats --rank--> lane of 512 bytes --compare--> masks of 512 bits --select--> leaf numbers
 *
 * A row's value of a feature matters only through its *rank*: how many of the forest's thresholds of that feature
 * are <= the value; x < t exactly when rank(x) <= index(t). Ranks are kept as bytes in *lanes*: one lane per
 * feature, per side that NaN takes, and per 255 thresholds. Every distinct question (lane, rank) is answered for
 * all rows at once by one byte comparison and becomes one *mask*, a bit per row, 1 = goes right. A tree of
 * depth d is then d bit planes of leaf numbers, folded from its masks by bitwise selection, bottom up:
 *
 *   planes(node) = [node's mask] + (mask ? planes(right) : planes(left))
 *
 * and one table look-up per row gives the leaf. Nothing branches on data. (QuickScorer, Lucchese et al.,
 * SIGIR 2015, and RapidScorer, Ye et al., KDD 2018, also answer each distinct question once, but intersect
 * sets of reachable leaves; selecting needs about one operation per node and no leaf sets.)
 *
 * (1) A tree that is a leaf early asks mask 0, which is always 0, and goes left to its leaf.
 * (2) The masks of one *chunk* of consecutive trees fit the second-level cache; each chunk makes its own.
 * (3) Byte 255 of a lane is NaN that goes right (in category lanes 254); byte 0 is NaN that goes left (255).
 * Private to the tree family. */
#ifndef MR_MODEL_TREE_MASKS_H
#define MR_MODEL_TREE_MASKS_H

#include "model/tree_kernel.h"

#define MR_MASK_DEPTH_MAX  8
#define MR_MASK_LANE_RANKS 255u   /* thresholds per lane */
#define MR_MASK_RANKS_MAX  65279u /* thresholds per feature */
#define MR_MASK_LANES_MAX  4096u
#define MR_MASK_CODES      254u /* category codes 0..253 have a bit; 254: NaN, right; 255: left */
#define MR_MASK_SET_BYTES  32

/* One feature as the ranks see it. Levels are those of a complete search tree: level l has 2^l thresholds
 * at levels[l], padded to 16 floats, the missing ones NaN, which
 * no value exceeds. */
typedef struct mr_mask_feature {
    uint32_t feature;
    uint32_t threshold_count;
    uint32_t level_count;
    uint32_t first_float;           /* of its tables */
    uint32_t segment_count;         /* lanes per side */
    uint32_t lane_left, lane_right; /* first lane of ranks per side of NaN; UINT32_MAX: not asked */
    uint32_t codes_left, codes_right; /* lane of category codes per side; UINT32_MAX: not asked */
} mr_mask_feature;

/* Questions to one lane, whose masks follow each other. */
typedef struct mr_mask_run {
    uint32_t lane;
    uint32_t first_test; /* into ranks, or into set_bytes for categories */
    uint32_t test_count;
    uint32_t is_category;
} mr_mask_run;

typedef struct mr_mask_tree {
    uint32_t first_id; /* into ids: 2^depth - 1 of them: left subtree, right subtree, root */
    uint32_t group;
    uint32_t depth; /* 1 .. MR_MASK_DEPTH_MAX */
} mr_mask_tree;

typedef struct mr_mask_chunk {
    uint32_t first_tree, tree_count;
    uint32_t first_run, run_count;
} mr_mask_chunk;

typedef struct mr_mask_plan {
    mr_tree_plan plan;
    const mr_forest *forest;
    uint32_t feature_count, lane_count, chunk_count,
        mask_count_max; /* masks of a chunk, with mask 0 */
    uint32_t leaf_bits; /* 6, 7 or 8: log2 of the size of every tree's leaf table */
    mr_mask_feature *features;
    float *tables; /* aligned */
    mr_mask_chunk *chunks;
    mr_mask_run *runs;
    mr_mask_tree *trees;
    uint8_t *ranks;      /* of the tests of ranks: right when the lane's byte is larger */
    uint8_t *sets;       /* of the tests of categories: MR_MASK_SET_BYTES each */
    uint32_t *ids;       /* masks of the trees as byte offsets: number * mask_bytes */
    float *leaves;       /* 2^leaf_bits per tree; aligned */
    uint8_t *leaf_bytes; /* the same as four planes of bytes per tree; aligned */
} mr_mask_plan;

/* mask_bytes: size of one mask, rows / 8; ids are multiples of it. *out NULL: the shape does not fit. */
mr_status mr_mask_plan_create(const mr_tree_kernel *kernel, const mr_forest *forest,
                              const mr_tree_ranks *ranks, uint32_t mask_bytes,
                              uint32_t masks_per_chunk_max, mr_mask_plan **out, mr_error *err);
void mr_mask_plan_destroy(mr_tree_plan *base);

/* Offset of level l in a feature's tables, in floats. */
static inline uint32_t mr_mask_level(uint32_t level)
{
    return level <= 4 ? level * 16 : 5 * 16 + ((1u << level) - 32);
}

#endif
