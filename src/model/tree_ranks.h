/* tree_ranks.h -- a forest's thresholds in order: what all kernels but the walk are planned from.
 *
 * A value of a feature matters only through its *rank*, the number of the forest's distinct thresholds of that
 * feature that are <= it: a row goes right at a node exactly when rank > index, the place of the node's threshold
 * among them. A *slot* is (feature, side that NaN takes): where kernels keep a row's ranks.
 *
 * (1) `thresholds` of one feature are strictly increasing.   (2) thresholds[features[f].first + index[n]] is node n's.
 * Made once at load for all kernels; read only. Private to the tree family. */
#ifndef MR_MODEL_TREE_RANKS_H
#define MR_MODEL_TREE_RANKS_H

#include "model/tree.h"

#define MR_RANK_NO_SLOT UINT32_MAX

typedef struct mr_rank_feature {
    uint32_t feature;      /* of the model */
    uint32_t first, count; /* its thresholds */
    uint32_t left, right;  /* slots; MR_RANK_NO_SLOT: no node sends NaN there */
} mr_rank_feature;

typedef struct mr_tree_ranks {
    uint32_t feature_count, slot_count;
    uint32_t count_max;        /* thresholds of one feature */
    mr_rank_feature *features; /* those compared with thresholds, in the model's order */
    uint32_t
        *feature_at; /* per feature of the model: number in `features` + 1; 0: never compared */
    float *thresholds;
    uint32_t *index; /* per node that compares */
} mr_tree_ranks;

mr_status mr_tree_ranks_create(const mr_forest *forest, mr_tree_ranks **out, mr_error *err);
void mr_tree_ranks_destroy(mr_tree_ranks *ranks); /* NULL is allowed */

static inline bool mr_tree_compares(const mr_tree_node *node)
{
    return node->feature != MR_TREE_LEAF && node->set == 0;
}

static inline const mr_rank_feature *mr_tree_ranks_of(const mr_tree_ranks *ranks,
                                                      const mr_tree_node *node)
{
    return &ranks->features[ranks->feature_at[node->feature] - 1];
}

static inline uint32_t mr_tree_slot_of(const mr_tree_ranks *ranks, const mr_tree_node *node)
{
    const mr_rank_feature *feature = mr_tree_ranks_of(ranks, node);
    return node->default_left ? feature->left : feature->right;
}

#endif
