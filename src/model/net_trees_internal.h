/* net_trees_internal.h -- what the files of ensembles in tensor programs share. */
#ifndef MR_MODEL_NET_TREES_INTERNAL_H
#define MR_MODEL_NET_TREES_INTERNAL_H

#include "model/net_trees.h"

/* Tree t's nodes and leaves are refs[firsts[t] .. firsts[t + 1]), the root first; the children of a node at `i` are at
 * child[i] (yes) and child[i] + 1 (no). */
typedef struct mr_net_layout {
    const mr_net_ensemble *from;
    uint32_t feature_count;
    int32_t *refs; /* node, or ~leaf */
    uint32_t *child;
    uint32_t *firsts;
    uint32_t count, room;
    uint8_t *seen;
    const uint32_t *numbers; /* groups that mean: each tree gives its leaf's number */
} mr_net_layout;

/* x -> the number of each tree's leaf, as float32 columns from `column` on. */
mr_status mr_net_emit_walk(mr_net *net, const mr_net_layout *layout, mr_tensor_type type,
                           const mr_net_operand *x, uint32_t column, mr_error *err);
/* Numbers of leaves -> what the aggregate makes of their weights, into the columns of `out`. */
mr_status mr_net_emit_leaves(mr_net *net, const mr_net_layout *layout, uint32_t column,
                             const mr_tensor *out, mr_error *err);

#endif
