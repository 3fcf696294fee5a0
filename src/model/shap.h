/* shap.h -- exact Shapley values of tree ensembles (path-dependent TreeSHAP), fast, for any family of trees.
 *
 *   family's forest -> mr_shap_forest (what is asked of it) -> mr_shap_plan (immutable) -> mr_shap_explain (rows)
 *
 * What is computed: the game of Lundberg et al. 2018 (tree_path_dependent), f(S) = the sum over leaves of
 * value x product over the path's features: 1 or 0 for those in S (does the row go this way), the share z of the
 * training rows that went this way for the others. The values of a row add up to f(all) - f(none).
 *
 * How: Shapley's weight k!(m-k)!/(m+1)! is the integral of t^k (1-t)^m-k over [0, 1], so the value of feature j at one leaf is
 *
 *     value x (b_j - z_j) x integral of the product over the other features i of (b_i t + z_i (1 - t)) dt
 *
 * a polynomial in t of degree below d, the number of different features on the path: Gauss-Legendre quadrature with
 * ceil(d / 2) points is exact, and every term of it is positive (no cancellation, no divisions by small numbers). The
 * products run down the tree, the sums of leaves run up, all leaves share them: 3 points at depth 6, 4 at depth 8, instead
 * of depth^2 steps for each leaf or tables of 2^depth entries. Eight rows are computed at once.
 *
 * (1) A row's values do not depend on its neighbours, the cut, the thread or the instructions used: every lane does the same
 *     additions in the same order, and no product is fused into a sum.
 * (2) Up to MR_SHAP_DEPTH_MAX levels; covers are finite and positive where a node has children that must be weighed.
 * Thread: a plan is read by any; working memory is the caller's. Private to the families. */
#ifndef MR_MODEL_SHAP_H
#define MR_MODEL_SHAP_H

#include "model/model.h"

#define MR_SHAP_LEAF      UINT32_MAX
#define MR_SHAP_DEPTH_MAX 256 /* comparisons on the longest way */
#define MR_SHAP_VIEWS_MAX 6

/* A node as a family has it. A split goes left when the view of its feature is <= value: NaN never, -inf always, so
 * the views say where missing values go. With `set`, the family is asked. */
typedef struct mr_shap_node {
    double value; /* threshold, or the leaf's value */
    double cover; /* training rows (or their weight) that came here */
    uint32_t feature;
    uint32_t left, right; /* the family's numbers for the children */
    uint32_t set;         /* 0, or 1 + the number given to goes_left */
    uint8_t view;         /* < MR_SHAP_VIEWS_MAX */
} mr_shap_node;

/* What a family tells; the forest outlives the plan. */
typedef struct mr_shap_forest {
    const void *forest;
    uint32_t tree_count, group_count, feature_count;
    uint32_t (*root)(const void *forest, uint32_t tree, uint32_t *out_group);
    mr_shap_node (*node)(const void *forest, uint32_t number);
    /* Rows [first, first + count) of a feature's column as a view of it. */
    void (*load)(const void *forest, uint32_t feature, const mr_column *column, uint8_t view,
                 size_t first, size_t count, double *out);
    bool (*goes_left)(const void *forest, uint32_t set, double x); /* NULL: there are no sets */
} mr_shap_forest;

typedef struct mr_shap_plan mr_shap_plan;

/* cpu: "auto", "plain", "avx2", "avx512". Errors name tree and node. */
mr_status mr_shap_plan_create(const mr_shap_forest *forest, const char *cpu, mr_shap_plan **out,
                              mr_error *err);
void mr_shap_plan_destroy(mr_shap_plan *plan); /* NULL is allowed */
size_t mr_shap_work_bytes(const mr_shap_plan *plan);
/* The mean of each group's trees over the training rows: f(none), without any base score. */
const double *mr_shap_means(const mr_shap_plan *plan);
/* As mr_model_kind.explain; what every row has of group g is base[g] + its mean. `work` is aligned to MR_ALIGN. */
void mr_shap_explain(const mr_shap_plan *plan, const mr_column *const *inputs, size_t first,
                     size_t count, const double *base, double *out, uint8_t *work);

#endif
