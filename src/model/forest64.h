/* forest64.h -- ensembles of trees that compare float64 with <= and add float64 leaves, whatever file they came from.
 *
 *   file -> mr_forest64_builder (tree by tree; checks) -> mr_forest64 (immutable) -> mr_forest64_run (kernels)
 *
 * (1) A split goes left when x <= threshold. What counts as missing is the split's own affair: nothing (NaN is 0), zero
 *     (|x| <= 1e-35 as a float32; NaN is 0 and so missing), or NaN; the missing value goes where `default_left` says.
 *     Categories: left when trunc(x) is in the set; NaN, negative and too large values go right.
 * (2) Values of at most 1e-35 in magnitude are 0 before anything else sees them (mr_forest64_flush).
 * (3) sum[g] = 0.0 + leaf of the first tree of group g + leaf of the next + ..., in float64 and in file order.
 * (4) A linear leaf is constant + weight * x + ... in the order listed, or its plain value when any of the x is NaN.
 * (5) Within a tree every split is reached once from split 0, and every leaf once: walks end.
 * These are the rules of LightGBM (include/LightGBM/tree.h of 3.x and 4.x). Thread: built by one, then read by any.
 * Private to the families that use it. */
#ifndef MR_MODEL_FOREST64_H
#define MR_MODEL_FOREST64_H

#include "model/tree.h"

#include <math.h>

#define MR_FOREST64_CODE_MAX 2147483648.0 /* values from here on are no category */
#define MR_FOREST64_ZERO     ((double)1e-35f)

typedef enum mr_missing64 { MR_MISSING_NONE, MR_MISSING_ZERO, MR_MISSING_NAN } mr_missing64;

typedef struct mr_split64 {
    double threshold;
    uint32_t feature;
    int32_t left, right; /* >= 0: a split of the same tree; else its leaf ~child */
    uint32_t set;        /* 0: compares; else set number set - 1 */
    uint8_t missing;     /* mr_missing64 */
    uint8_t default_left;
} mr_split64;

typedef struct mr_linear64 {
    double constant;
    uint32_t first, count; /* of its terms */
    bool is_linear;        /* false: the leaf is its plain value */
} mr_linear64;

typedef struct mr_term64 {
    double weight;
    uint32_t feature;
} mr_term64;

typedef struct mr_forest64 {
    uint32_t feature_count, group_count, tree_count;
    uint32_t split_count, leaf_count, set_count, leaves_max, depth_max;
    mr_split64 *splits;
    double *leaves;
    uint32_t *
        first_splits; /* tree_count + 1: splits of tree t are [first_splits[t], first_splits[t + 1]) */
    uint32_t *first_leaves; /* tree_count + 1 */
    uint32_t *groups;       /* per tree */
    mr_tree_set *sets;      /* bit c of the words: category c goes left */
    uint32_t *set_words;
    mr_linear64 *linear; /* per leaf; NULL: no leaf is linear */
    mr_term64 *terms;
    double *
        covers; /* training rows per split, then per leaf; NULL: the file does not say for every one */
} mr_forest64;

void mr_forest64_destroy(mr_forest64 *forest); /* NULL is allowed */

/* One tree as files write it. `sets` number within set_words of this tree. */
typedef struct mr_tree64 {
    uint32_t leaf_count;
    const mr_split64 *splits; /* leaf_count - 1; set: 0, or 1 + a number of `sets` */
    const double *leaves;
    const mr_tree_set *sets;
    uint32_t set_count;
    const uint32_t *set_words;
    size_t set_word_count;
    const mr_linear64 *linear; /* leaf_count, `first` within terms; NULL: none */
    const mr_term64 *terms;
    size_t term_count;
    const double *covers; /* leaf_count - 1 splits, then leaf_count leaves; NULL: not known */
} mr_tree64;

typedef struct mr_forest64_builder {
    uint32_t feature_count, tree_count, leaves_max, depth_max;
    bool any_linear, no_covers;
    mr_bytes splits, leaves, first_splits, first_leaves, groups, sets, set_words, linear, terms;
    mr_bytes split_covers, leaf_covers, stack, seen;
} mr_forest64_builder;

/* Checks and appends a tree: indices in range, every split and leaf reached once, no NaN threshold, finite leaves. Errors
 * name the split or leaf. */
mr_status mr_forest64_add(mr_forest64_builder *builder, const mr_tree64 *tree, uint32_t group,
                          mr_error *err);
/* The builder is empty afterwards whatever happens. */
mr_status mr_forest64_finish(mr_forest64_builder *builder, uint32_t group_count, mr_forest64 **out,
                             mr_error *err);
void mr_forest64_builder_deinit(mr_forest64_builder *builder);

/* ---- the definitions, one value at a time: for checks, explanations and the slow way ---- */

static inline double mr_forest64_flush(double x)
{
    return x >= -MR_FOREST64_ZERO && x <= MR_FOREST64_ZERO ? 0.0 : x;
}

static inline bool mr_forest64_member(const mr_forest64 *forest, uint32_t set, double x)
{
    if (!(x > -1.0 && x < MR_FOREST64_CODE_MAX))
        return false;
    uint32_t code = (uint32_t)(int32_t)x;
    const mr_tree_set *s = &forest->sets[set];
    return code / 32 < s->word_count &&
           (forest->set_words[s->first_word + code / 32] >> (code % 32) & 1) != 0;
}

/* x is flushed. */
bool mr_forest64_goes_left(const mr_forest64 *forest, const mr_split64 *split, double x);
/* The leaf of tree t for a row of flushed inputs, among all leaves of the forest. */
uint32_t mr_forest64_leaf(const mr_forest64 *forest, uint32_t tree, const double *inputs);
double mr_forest64_leaf_value(const mr_forest64 *forest, uint32_t leaf, const double *inputs);

#endif
