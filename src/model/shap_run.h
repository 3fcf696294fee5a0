/* shap_run.h -- the body of the kernels, compiled for each instruction set: see shap_internal.h for the formulas.
 *
 * WIDE doubles are one register. A place of the stack is an array of registers, filled in one of two ways:
 *   rows ..... two registers of rows for each point: many rows at once; numbers of a point are spread over the lanes
 *   points ... WIDE points of one row in a register: one row soon; whether it goes left is spread over the lanes
 * Each row and point sees the same operations in the same order either way, so the sums have the same bits.
 * A mask is -1 or 0 in 64 bits. */
#ifndef MR_MODEL_SHAP_RUN_H
#define MR_MODEL_SHAP_RUN_H

#include "model/shap_internal.h"

#define INLINE static inline __attribute__((always_inline))

typedef double lanes __attribute__((vector_size(8 * WIDE), may_alias));
typedef int64_t flags __attribute__((vector_size(8 * WIDE), may_alias));
typedef double lanes_anywhere __attribute__((vector_size(8 * WIDE), may_alias, aligned(8)));

#define SPREAD             2                           /* registers of rows */
#define ALL(x)             ((lanes)((x) - (lanes){0})) /* taking 0.0 away keeps every value */
#define ALL_FLAGS(x)       ((flags)((x) | (flags){0}))
#define KEEP(mask, x)      ((lanes)((mask) & (flags)(x))) /* where the mask is set, else 0 */
#define CHOOSE(mask, x, y) ((lanes)(((mask) & (flags)(x)) | (~(mask) & (flags)(y))))

typedef struct run {
    const mr_shap_plan *plan;
    const double *values, *rule;
    lanes *sums, *stack;
    int64_t *masks;
    size_t stride;
    uint32_t points, pad; /* of the tree: how many, and with those that weigh nothing */
    bool by_points;
} run;

/* Registers in a place. */
INLINE uint32_t width(const run *r)
{
    return r->by_points ? r->pad / WIDE : r->points * SPREAD;
}

/* What register i sees of a number a point, and of a mask. */
INLINE lanes of_point(const run *r, const double *numbers, uint32_t i)
{
    return r->by_points ? *(const lanes_anywhere *)(const void *)(numbers + (size_t)i * WIDE)
                        : ALL(numbers[i / SPREAD]);
}

INLINE flags of_mask(const run *r, const int64_t *mask, uint32_t i)
{
    return r->by_points ? ALL_FLAGS(mask[0]) : ((const flags *)(const void *)mask)[i % SPREAD];
}

/* Which rows go left. */
INLINE void ask(const run *r, const mr_shap_op *op, int64_t *left)
{
    const mr_shap_forest *forest = &r->plan->forest;
    const double *x = r->values + op->slot * r->stride;
    uint32_t rows = r->by_points ? 1 : SPREAD * WIDE;
    if (op->set != 0) {
        for (uint32_t i = 0; i < rows; i++)
            left[i] = forest->goes_left(forest->forest, op->set - 1, x[i]) ? -1 : 0;
        return;
    }
    if (r->by_points)
        left[0] = x[0] <= op->threshold ? -1 : 0;
    for (uint32_t v = 0; !r->by_points && v < SPREAD; v++)
        ((flags *)(void *)left)[v] =
            (flags)(((const lanes *)(const void *)x)[v] <= ALL(op->threshold));
}

/* Masks of the edges: on the left, on the right. */
INLINE void make_masks(const run *r, const mr_shap_op *op, int64_t *left, bool is_new)
{
    const uint32_t rows = r->by_points ? 1 : SPREAD * WIDE;
    const int64_t *above = r->masks + (size_t)op->above * rows;
    ask(r, op, left);
    if (r->by_points) {
        left[1] = ~left[0] & (is_new ? -1 : above[0]);
        left[0] &= is_new ? -1 : above[0];
        return;
    }
    flags *edge = (flags *)(void *)left;
    for (uint32_t v = 0; v < SPREAD; v++) {
        edge[SPREAD + v] = ~edge[v];
        if (!is_new) {
            edge[v] &= of_mask(r, above, v);
            edge[SPREAD + v] &= of_mask(r, above, v);
        }
    }
}

/* A and B for rows that met the conditions above, else 1 and 0. k: the tree's rule, or the op's own factors. */
INLINE void factors(const run *r, const double *k, uint32_t i, const int64_t *above, bool is_new,
                    lanes *a, lanes *b)
{
    *a = of_point(r, k + r->pad, i);
    *b = of_point(r, k + 2 * (size_t)r->pad, i);
    if (!is_new) {
        *a = CHOOSE(of_mask(r, above, i), *a, ALL(1.0));
        *b = KEEP(of_mask(r, above, i), *b);
    }
}

INLINE void go_down(const run *r, const mr_shap_op *op, const int64_t *left, const int64_t *above,
                    const double *k, bool is_new)
{
    const uint32_t n = width(r);
    const lanes *p = r->stack + (size_t)op->place * n;
    lanes *to_left = r->stack + (op->place / 2u * 2u + 2u) * (size_t)n, *to_right = to_left + n;
    for (uint32_t i = 0; i < n; i++) {
        lanes a, b;
        factors(r, k, i, above, is_new, &a, &b);
        lanes pa = p[i] * a, pb = p[i] * b;
        to_left[i] = pa * op->left_share + KEEP(of_mask(r, left, i), pb);
        to_right[i] = pa * op->right_share + KEEP(~of_mask(r, left, i), pb);
    }
    for (uint32_t i = 0; op->left_is_leaf && i < n; i++)
        to_left[i] = ALL(op->left_value);
    for (uint32_t i = 0; op->right_is_leaf && i < n; i++)
        to_right[i] = ALL(op->right_value);
}

/* What the feature adds to each point of its sum, and the node's own sum. */
INLINE void go_up(const run *r, const mr_shap_op *op, const int64_t *left, const int64_t *above,
                  const double *k, bool is_new, bool bottom)
{
    const uint32_t n = width(r);
    lanes *p = r->stack + (size_t)op->place * n;
    lanes *sums = r->sums + (size_t)op->feature * r->plan->pad_max *
                                (r->by_points ? 1 : SPREAD * WIDE) / WIDE;
    const lanes *from_left = r->stack + (op->place / 2u * 2u + 2u) * (size_t)n;
    for (uint32_t i = 0; i < n; i++) {
        lanes a, b;
        factors(r, k, i, above, is_new, &a, &b);
        lanes l = bottom ? ALL(op->left_value) : from_left[i];
        lanes m = bottom ? ALL(op->right_value) : from_left[n + i];
        lanes mean = l * op->left_share + m * op->right_share;
        lanes taken = CHOOSE(of_mask(r, left, i), l, m);
        lanes h = mean * a + taken * b;
        lanes more = taken - mean;
        if (!is_new)
            more = (taken - mean * op->share - h * (1.0 - op->share)) * of_point(r, k, i);
        more *= p[i];
        if (!is_new)
            more = KEEP(of_mask(r, above, i), more);
        sums[i] += more;
        p[i] = h;
    }
}

INLINE void run_op(const run *r, const mr_shap_op *op, bool is_new)
{
    const uint32_t rows = r->by_points ? 1 : SPREAD * WIDE;
    const double *k = is_new ? r->rule : r->plan->factors + op->factors;
    const int64_t *above = r->masks + (size_t)op->above * rows;
    int64_t *left = r->masks + (op->place / 2u * 2u + 2u) * (size_t)rows;
    if (op->step != MR_SHAP_UP)
        make_masks(r, op, left, is_new);
    if (op->step == MR_SHAP_DOWN)
        go_down(r, op, left, above, k, is_new);
    else if (op->step == MR_SHAP_UP)
        go_up(r, op, left, above, k, is_new, false);
    else
        go_up(r, op, left, above, k, is_new, true);
}

INLINE void run_ops(const run *r, const mr_shap_tree *tree)
{
    for (uint32_t i = 0; i < width(r); i++)
        r->stack[i] = of_point(r, r->rule, i);
    const mr_shap_op *op = r->plan->ops + tree->first, *end = op + tree->count;
    for (; op < end; op++)
        if (op->above == 0)
            run_op(r, op, true);
        else
            run_op(r, op, false);
}

/* The usual numbers of points as constants: loops unroll. */
INLINE void run_tree(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                     size_t stride, double *sums, double *stack, int64_t *masks, bool by_points)
{
    run r = {.plan = plan,
             .values = values,
             .rule = tree->rule,
             .sums = (lanes *)(void *)sums,
             .stack = (lanes *)(void *)stack,
             .masks = masks,
             .stride = stride,
             .points = tree->points,
             .pad = MR_SHAP_PAD(tree->points),
             .by_points = by_points};
    if (r.pad > 4) {
        run_ops(&r, tree);
        return;
    }
    r.pad = 4;
    switch (by_points ? 4 : r.points) {
    case 1:
        r.points = 1;
        run_ops(&r, tree);
        break;
    case 2:
        r.points = 2;
        run_ops(&r, tree);
        break;
    case 3:
        r.points = 3;
        run_ops(&r, tree);
        break;
    default:
        r.points = 4;
        run_ops(&r, tree);
    }
}

#endif
