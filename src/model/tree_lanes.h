/* tree_lanes.h -- one row: eight trees at a time, three levels of each by one permute and one comparison.
 *
 *   rank .... value -> number of the forest's thresholds of that feature that are <= it (tree_search.h)
 *   ask ..... a lane of 8 bytes holds the slots of 7 nodes of one tree, breadth first. One permute fetches the ranks of
 *             8 lanes, one comparison answers their 56 questions; the answers, weighed 1, 2, 4, ... and summed up,
 *             are a number of 7 bits per lane, and a table look-up in registers turns it into the exit taken
 *   step .... levels 1-3 lie in order, so they stream. The exit's place gives the address of the record of levels 4-6,
 *             its exit that of the record of levels 7-8 and of its four leaves
 *
 * Per tree that reads 16 bytes in order and two records: what a row needs of a forest is small against what the
 * forest has. The steps run in one loop, each some groups of trees behind the one before (LAG), so that records come
 * from the second-level cache while other trees are asked, and the chain of additions hides behind all of it.
 *
 *   tops:    per 8 trees  | slot x 8 of tree 0 | ... of tree 7 | index x 8 of tree 0 | ... |            128 bytes
 *   middles: per exit     | slot x 8 | index x 8 |                                                       16 bytes
 *   belows:  per exit     | slot x 3 | index x 3 | unused 2 | leaf x 4 |                                 24 bytes
 *   leaves:  per exit     | leaf |  instead, when no tree is deeper than six levels
 *
 * (1) x goes right exactly when rank > index. (2) NaN's rank is 0 in left slots and 255 in right ones; missing nodes
 * and the eighth byte have index 255, which nothing exceeds. (3) Leaves are added one by one in file order.
 * The plan of the lane kernels (tree_lanes_avx512.c; tree_lanes_avx2.c does the same in halves). Private to the tree family. */
#ifndef MR_MODEL_TREE_LANES_H
#define MR_MODEL_TREE_LANES_H

#include "model/tree_kernel.h"

#include "base/assert.h"
#include "model/tree_search.h"

#include <string.h>

#define MR_LANES             8  /* trees of a group */
#define MR_LANE_LAG          5  /* groups between one step and the next */
#define MR_LANE_RING         16 /* > 3 x the lag */
#define MR_LANE_SLOTS_MAX    128
#define MR_LANE_TOP_BYTES    128u
#define MR_LANE_MIDDLE_BYTES 16u
#define MR_LANE_BELOW_BYTES  24u
#define MR_LANE_BELOW_LEAVES 8u /* where they begin */
#define MR_LANE_TREE_MIDDLES (8 * MR_LANE_MIDDLE_BYTES)
#define MR_LANE_TREE_BELOWS  (64 * MR_LANE_BELOW_BYTES)
#define MR_LANE_TREE_LEAVES  (64 * (uint32_t)sizeof(float))
#define MR_LANE_INLINE       static inline __attribute__((always_inline))

/* 7 answers and 3 answers as numbers: what a byte of a lane weighs. */
#define MR_LANE_WEIGHTS_7 0x0040201008040201
#define MR_LANE_WEIGHTS_3 0x0000000000040201

typedef struct mr_lane_plan {
    mr_tree_plan plan;
    const mr_forest *forest;
    mr_search search;
    uint32_t slot_count;
    bool deep; /* more than six levels */
    uint8_t *tops, *middles;
    uint8_t *ends;                   /* belows, or leaves */
    _Alignas(64) uint8_t exits[128]; /* 7 answers -> which of the 8 ways out of three levels */
} mr_lane_plan;

/* *out NULL with MR_OK: the shape does not fit. slots_max: at most MR_LANE_SLOTS_MAX. */
mr_status mr_lane_plan_create(const mr_tree_kernel *kernel, const mr_forest *forest,
                              const mr_tree_ranks *ranks, uint32_t slots_max, mr_tree_plan **out,
                              mr_error *err);
void mr_lane_plan_destroy(mr_tree_plan *base);

/* Places are bytes from where a group of eight trees begins. */
typedef struct mr_lane_ring {
    _Alignas(64) uint64_t at[MR_LANE_RING][MR_LANES]; /* group g at g % MR_LANE_RING */
} mr_lane_ring;

/* Ranks of a row, by slot; `ranks` has room for MR_LANE_SLOTS_MAX. */
#if defined(__AVX2__)
MR_LANE_INLINE void mr_lane_rank(const mr_lane_plan *plan, const float *inputs, uint8_t *ranks)
{
    for (uint32_t f = 0; f < plan->search.feature_count; f++) {
        const mr_search_feature *feature = &plan->search.features[f];
        float x = inputs[feature->feature];
        uint32_t rank = mr_search_rank(feature, plan->search.keys, x);
        if (feature->left != MR_RANK_NO_SLOT)
            ranks[feature->left] = (uint8_t)rank;
        if (feature->right != MR_RANK_NO_SLOT)
            ranks[feature->right] = (uint8_t)(x != x ? UINT8_MAX : rank);
    }
}
#endif

MR_LANE_INLINE float mr_lane_leaf(const uint8_t *base, uint64_t place)
{
    float value;
    memcpy(&value, base + place, sizeof value);
    return value;
}

/* Adds one group's leaves; a single sum stays in a register. */
MR_LANE_INLINE float mr_lane_add_leaves(const mr_lane_plan *plan, uint32_t group, bool deep,
                                        const uint64_t *places, float sum, float *margins)
{
    const mr_forest *forest = plan->forest;
    const uint8_t *base =
        plan->ends +
        group * (size_t)(MR_LANES * (deep ? MR_LANE_TREE_BELOWS : MR_LANE_TREE_LEAVES)) +
        (deep ? MR_LANE_BELOW_LEAVES : 0);
    uint32_t first = group * MR_LANES,
             count = MR_MIN(forest->tree_count - first, (uint32_t)MR_LANES);
    if (forest->group_count > 1) {
        for (uint32_t t = 0; t < count; t++)
            margins[forest->groups[first + t]] += mr_lane_leaf(base, places[t]);
    } else if (count == MR_LANES) {
        for (uint32_t t = 0; t < MR_LANES; t++)
            sum += mr_lane_leaf(base, places[t]);
    } else {
        for (uint32_t t = 0; t < count; t++)
            sum += mr_lane_leaf(base, places[t]);
    }
    return sum;
}

#endif
