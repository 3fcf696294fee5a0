/* net_trees.h -- ensembles of decision trees inside a tensor program.
 *
 *   x -> forest of the tree family ---------------------> sums           one target a tree: the fast kernels add up
 *   x -> forest whose leaves hold their own numbers, or
 *        our own walk -> numbers of leaves -> weights --> sums           several targets a leaf, MIN, MAX, float64
 *
 * The forest's kernels know `x < t` in float32. `x <= t` is `x < the next float after t`, `>` and `>=` are the same with
 * the children exchanged; `==`, `!=`, members of a set, and float64 are walked. Which way is taken is not seen in the
 * results: sums start at 0 and take tree after tree in file order, in float32 or, with float64 inputs, in float64.
 * Private to the tensor program. */
#ifndef MR_MODEL_NET_TREES_H
#define MR_MODEL_NET_TREES_H

#include "model/net.h"

typedef enum mr_net_branch {
    MR_BRANCH_LEQ,
    MR_BRANCH_LT,
    MR_BRANCH_GTE,
    MR_BRANCH_GT,
    MR_BRANCH_EQ,
    MR_BRANCH_NEQ,
    MR_BRANCH_MEMBER,
    MR_BRANCHES,
} mr_net_branch;

typedef enum mr_net_aggregate {
    MR_AGGREGATE_SUM,
    MR_AGGREGATE_AVERAGE,
    MR_AGGREGATE_MIN,
    MR_AGGREGATE_MAX,
} mr_net_aggregate;

/* Where a branch leads: a node, or a leaf as ~number. */
typedef struct mr_net_node {
    double value;
    uint32_t feature;
    uint32_t branch : 8, missing_true : 1;
    int32_t yes, no;
    uint32_t set_first, set_count; /* of `members` */
} mr_net_node;

typedef struct mr_net_weight {
    uint32_t target;
    double value;
} mr_net_weight;

/* As a reader gives it; lent for the call. */
typedef struct mr_net_ensemble {
    const mr_net_node *nodes;
    uint32_t node_count;
    const int32_t *roots; /* node, or ~leaf */
    uint32_t tree_count;
    const uint32_t *leaf_first; /* leaf_count + 1: into weights */
    uint32_t leaf_count;
    const mr_net_weight *weights;
    const double *members;
    uint32_t target_count;
    mr_net_aggregate aggregate;
} mr_net_ensemble;

/* x: [N, features], float32 or float64. out: [N, targets] of the same type. Refuses what is no tree. */
mr_status mr_net_trees(mr_net *net, const mr_net_ensemble *ensemble, const mr_tensor *x,
                       mr_tensor *out, mr_error *err);

#endif
