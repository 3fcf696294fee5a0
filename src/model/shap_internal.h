/* shap_internal.h -- the plan of an explanation: trees as short programs over a stack.
 *
 * A tree becomes ops in the order of a walk that goes down and up again:
 *
 *   DOWN ..... at a node with a child that splits: the product P of its way -> those of its children, one level on
 *   UP ....... after both children: their sums h -> its own sum; what the node's feature adds
 *   BOTTOM ... a node with two leaves: all of it at once
 *
 * The stack has two places a level, one a side; a place holds a value a point for some rows: first P, then h. A leaf's
 * place is filled with its value. Beside it a mask a place: whether the row meets all conditions on the feature of this
 * edge so far (several splits on one feature count as one).
 *
 * With w = b t + z (1 - t) for the conditions so far, the edge to the left multiplies P by
 *     z_l (1 - t) + (row goes left) t                       where the feature is new on this way,
 *     z_l A + (row goes left) B                             where it was asked above, with merged share z and b:
 *                                                           A = z (1 - t) / w, B = t / w if b, else A = 1, B = 0
 * and with A' = z_l h_l + z_r h_r and B' = the child's h that the row goes to,
 *     h = A A' + B B',  the feature's value grows by sum over points of P / w (B' - z A' - (1 - z) h) if b, else 0:
 * the last term takes back what the edge above has added for these leaves. For a new feature z = w = b = 1. */
#ifndef MR_MODEL_SHAP_INTERNAL_H
#define MR_MODEL_SHAP_INTERNAL_H

#include "model/shap.h"

#define MR_SHAP_LANES_MAX  16
#define MR_SHAP_POINTS_MAX ((MR_SHAP_DEPTH_MAX + 1) / 2)
#define MR_SHAP_PAD(n)                                                                             \
    (((n) + 3) / 4 * 4) /* numbers a point come in fours; the last ones may weigh nothing */

typedef enum mr_shap_step { MR_SHAP_DOWN, MR_SHAP_UP, MR_SHAP_BOTTOM } mr_shap_step;

typedef struct mr_shap_op {
    double threshold;
    double left_share, right_share;
    double left_value, right_value; /* where they are leaves */
    double share;                   /* merged, of the edge above that asked the same feature */
    uint32_t slot;                  /* of the view it compares */
    uint32_t feature;               /* place among the used ones */
    uint32_t set;                   /* as in mr_shap_node */
    uint32_t factors;               /* asked above: 1 / w, A, B of each point, padded */
    uint16_t place;                 /* level x 2 + side */
    uint16_t above;                 /* place of that edge; 0: none */
    uint8_t step;
    bool left_is_leaf, right_is_leaf;
} mr_shap_op;

typedef struct mr_shap_tree {
    uint32_t first, count; /* ops */
    uint32_t group;
    uint32_t points;
    const double *rule; /* weights, 1 - t, t of each point, padded */
} mr_shap_tree;

/* Adds what the tree gives to `sums`: pad_max points of each used feature, `lanes` rows of each point. values: those rows
 * of slot s at [s x stride]. */
typedef void mr_shap_run(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                         size_t stride, double *sums, double *stack, int64_t *masks);

/* Ways to run a tree: all give the same bits. */
typedef struct mr_shap_kernel {
    const char *name;
    bool (*runs_here)(void); /* asks the processor; NULL: everywhere */
    mr_shap_run *rows;       /* `lanes` rows at once */
    mr_shap_run *row;        /* one row */
    uint32_t lanes;
    uint32_t few; /* up to so many rows are sooner done one by one */
} mr_shap_kernel;

typedef struct mr_shap_slot {
    uint32_t feature;
    uint8_t view;
} mr_shap_slot;

struct mr_shap_plan {
    mr_shap_forest forest;
    const mr_shap_kernel *kernel;
    mr_shap_op *ops;
    mr_shap_tree *trees; /* those with splits, by group, in the forest's order */
    double *factors;
    double *rules[MR_SHAP_POINTS_MAX + 1]; /* by points; those in use */
    mr_shap_slot *slots;
    uint32_t *used; /* features that any tree asks */
    double *means;  /* per group */
    uint32_t tree_count, slot_count, used_count, points_max, pad_max, depth_max;
};

/* n points in (0, 1): weights, then 1 - t, then t, each padded with zeros; exact for polynomials of degree 2n - 1. */
void mr_shap_quadrature(uint32_t n, double *out);

extern const mr_shap_kernel mr_shap_plain;
#if defined(__x86_64__)
extern const mr_shap_kernel mr_shap_avx2;
extern const mr_shap_kernel mr_shap_avx512;
mr_shap_run mr_shap_row_avx2;
#endif

#endif
