/* tree.h -- ensembles of decision trees in one form, whatever file they came from.
 *
 *   file -> mr_forest_builder (what a reader calls, tree by tree; checks) -> mr_forest (immutable) -> kernels
 *
 * (1) Nodes of one tree are consecutive, the root first; children come after their parent, so a walk ends.
 * (2) A row goes left when x < value, right when not; NaN goes where `default_left` says. Categories: right
 *     when the code is in the node's set, left when not or when the value is no code (negative, >= 2^24).
 * (3) margin[g] = base[g] + leaf of tree 0 + leaf of tree 1 + ..., in float32, in file order, over the trees
 *     with group g: exactly the sums of the library that wrote the file. DART weights are multiplied into
 *     the leaves (one rounding, as the library does before it adds).
 * Thread: built by one, then read by any. Private to the tree family. */
#ifndef MR_MODEL_TREE_H
#define MR_MODEL_TREE_H

#include "model/model.h"

#define MR_TREE_LEAF          UINT32_MAX
#define MR_TREES_MAX          1000000u
#define MR_TREE_NODES_MAX     200000000u /* of one forest */
#define MR_TREE_CATEGORY_MAX  (1u << 24) /* codes at or above are no codes */
#define MR_TREE_SET_WORDS_MAX (1u << 24) /* of one forest */

typedef struct mr_tree_node {
    float value;      /* threshold, or the leaf's value */
    uint32_t feature; /* MR_TREE_LEAF: a leaf */
    uint32_t left, right;
    uint32_t set : 31; /* 0: a threshold; else the categorical set number set - 1 */
    uint32_t default_left : 1;
} mr_tree_node;

typedef struct mr_tree_set {
    uint32_t first_word;
    uint32_t word_count; /* bit c of the words: category c goes right */
} mr_tree_set;

typedef struct mr_forest {
    uint32_t feature_count;
    uint32_t group_count;
    uint32_t tree_count;
    uint32_t node_count;
    uint32_t set_count;
    uint32_t depth_max; /* comparisons on the longest way */
    mr_tree_node *nodes;
    uint32_t *firsts; /* tree_count + 1: nodes of tree t are [firsts[t], firsts[t + 1]) */
    uint32_t *groups; /* per tree */
    uint16_t *depths; /* per tree, capped at 65535 */
    mr_tree_set *sets;
    uint32_t *set_words;
    float *base; /* margin before the first tree, per group */
    float *
        covers; /* per node: weight of the training rows that came there; NULL: the file does not say */
} mr_forest;

void mr_forest_destroy(mr_forest *forest); /* NULL is allowed */

/* One tree as files write it: parallel arrays by node number, in any numbering. */
typedef struct mr_tree_arrays {
    uint32_t count;
    const int32_t *left, *right; /* -1 left: a leaf */
    const int32_t *feature;
    const float *value; /* threshold, or leaf value */
    const float *cover; /* NULL: not known */
    const uint8_t *default_left;
    const uint8_t *is_category; /* NULL: none */
    const mr_tree_set *sets;    /* per node, into set_words; NULL with is_category NULL */
    const uint32_t *set_words;
} mr_tree_arrays;

typedef struct mr_forest_builder {
    uint32_t feature_count;
    uint32_t tree_count;
    uint32_t set_count;
    uint32_t depth_max;
    bool no_covers; /* some tree has none */
    mr_bytes nodes, covers, firsts, depths, sets, set_words, stack, seen;
} mr_forest_builder;

/* Checks and appends a tree: indices in range, each node reached once from node 0, no NaN threshold, no
 * infinite or NaN leaf. Errors name tree and node. */
mr_status mr_forest_add(mr_forest_builder *builder, const mr_tree_arrays *tree, mr_error *err);
/* Multiplies the leaves of tree t. */
void mr_forest_weigh(mr_forest_builder *builder, uint32_t tree, float weight);
/* groups: tree_count of them, each < group_count; base: group_count of them. Keeps the first `keep` trees.
 * The builder is empty afterwards whatever happens. */
mr_status mr_forest_finish(mr_forest_builder *builder, uint32_t keep, const uint32_t *groups,
                           const float *base, uint32_t group_count, mr_forest **out, mr_error *err);
void mr_forest_builder_deinit(mr_forest_builder *builder);

/* Where a value goes at a node: the definition (2), used by the checks and the slow ways. */
bool mr_tree_goes_right(const mr_forest *forest, const mr_tree_node *node, float x);
static inline bool mr_tree_set_has(const mr_forest *forest, const mr_tree_set *set, float x)
{
    if (!(x >= 0.0f && x < (float)MR_TREE_CATEGORY_MAX))
        return false;
    uint32_t code = (uint32_t)x;
    return code / 32 < set->word_count &&
           (forest->set_words[set->first_word + code / 32] >> (code % 32) & 1) != 0;
}

/* ---- objectives ---- */

typedef enum mr_tree_link { MR_LINK_NONE, MR_LINK_LOGIT, MR_LINK_LOG } mr_tree_link;

typedef enum mr_tree_transform {
    MR_TRANSFORM_NONE,
    MR_TRANSFORM_SIGMOID,
    MR_TRANSFORM_EXP,
    MR_TRANSFORM_STEP,
    MR_TRANSFORM_SOFTMAX,
    MR_TRANSFORM_ARGMAX,
} mr_tree_transform;

typedef struct mr_tree_objective {
    const char *name;
    mr_tree_link link; /* from base_score, which files give in output space, to a margin */
    mr_tree_transform transform;
    const char *output; /* name of a single output */
} mr_tree_objective;

const mr_tree_objective *mr_tree_objective_find(const char *name); /* NULL: unknown */
/* All known names, for the refusal. */
void mr_tree_objective_list(mr_bytes *out);
uint32_t mr_tree_objective_outputs(const mr_tree_objective *objective, uint32_t group_count);
/* `clamp`: writers from 3.2 on keep logistic base scores 1e-6 away from 0 and 1. */
mr_status mr_tree_objective_base(const mr_tree_objective *objective, float base_score, bool clamp,
                                 float *out_margin, mr_error *err);
/* margins[g * stride + r] -> scores[k * stride_out + r], bit-equal to the library's. */
void mr_tree_objective_apply(const mr_tree_objective *objective, uint32_t group_count,
                             const float *margins, size_t stride, size_t count, float *scores,
                             size_t stride_out);

#endif
