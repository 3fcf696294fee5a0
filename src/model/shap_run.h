/* shap_run.h -- the body of the kernels, compiled once for each instruction set: see shap_internal.h for the formulas.
 *
 * 8 rows are the lanes of one vector type, whatever the registers; a mask is -1 or 0 in 64 bits. */
#ifndef MR_MODEL_SHAP_RUN_H
#define MR_MODEL_SHAP_RUN_H

#include "model/shap_internal.h"

typedef double lanes __attribute__((vector_size(8 * MR_SHAP_LANES), may_alias));
typedef int64_t flags __attribute__((vector_size(8 * MR_SHAP_LANES), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define ALL(x) ((lanes)((x) - (lanes){0})) /* taking 0.0 away keeps every value */

/* Which rows go left. */
INLINE void ask(const mr_shap_plan *plan, const mr_shap_op *op, const lanes *x, flags *out)
{
    if (op->set == 0) {
        *out = (flags)(*x <= ALL(op->threshold));
        return;
    }
    for (int r = 0; r < MR_SHAP_LANES; r++)
        (*out)[r] = plan->forest.goes_left(plan->forest.forest, op->set - 1, (*x)[r]) ? -1 : 0;
}

/* Where the mask is set, else 0. */
#define KEEP(mask, x)      ((lanes)((mask) & (flags)(x)))
#define CHOOSE(mask, x, y) ((lanes)(((mask) & (flags)(x)) | (~(mask) & (flags)(y))))

/* The factors of point q: A and B for rows that met the conditions above, else 1 and 0. k: the tree's rule, or the op's own. */
INLINE void factors(const double *k, uint32_t n, uint32_t q, const flags *above, bool is_new,
                    lanes *a, lanes *b)
{
    *a = ALL(k[n + q]);
    *b = ALL(k[2 * n + q]);
    if (!is_new) {
        *a = CHOOSE(*above, *a, ALL(1.0));
        *b = KEEP(*above, *b);
    }
}

INLINE void go_down(const mr_shap_op *op, const flags *left, const flags *above, const double *k,
                    uint32_t n, lanes *stack, bool is_new)
{
    const lanes *p = stack + (size_t)op->place * n;
    lanes *to_left = stack + (op->place / 2u * 2u + 2u) * (size_t)n, *to_right = to_left + n;
    for (uint32_t q = 0; q < n; q++) {
        lanes a, b;
        factors(k, n, q, above, is_new, &a, &b);
        lanes pa = p[q] * a, pb = p[q] * b;
        to_left[q] = pa * op->left_share + KEEP(*left, pb);
        to_right[q] = pa * op->right_share + KEEP(~*left, pb);
    }
    for (uint32_t q = 0; op->left_is_leaf && q < n; q++)
        to_left[q] = ALL(op->left_value);
    for (uint32_t q = 0; op->right_is_leaf && q < n; q++)
        to_right[q] = ALL(op->right_value);
}

/* What the feature adds to each point of its sum, and the node's own sum. */
INLINE void go_up(const mr_shap_op *op, const flags *left, const flags *above, const double *k,
                  uint32_t n, lanes *stack, lanes *sums, bool is_new, bool bottom)
{
    lanes *p = stack + (size_t)op->place * n;
    const lanes *from_left = stack + (op->place / 2u * 2u + 2u) * (size_t)n;
    for (uint32_t q = 0; q < n; q++) {
        lanes a, b;
        factors(k, n, q, above, is_new, &a, &b);
        lanes l = bottom ? ALL(op->left_value) : from_left[q];
        lanes r = bottom ? ALL(op->right_value) : from_left[n + q];
        lanes mean = l * op->left_share + r * op->right_share, taken = CHOOSE(*left, l, r);
        lanes h = mean * a + taken * b;
        lanes more = taken - mean;
        if (!is_new)
            more = (taken - mean * op->share - h * (1.0 - op->share)) * k[q];
        more *= p[q];
        if (!is_new)
            more = KEEP(*above, more);
        sums[q] += more;
        p[q] = h;
    }
}

INLINE void run_op(const mr_shap_plan *plan, const mr_shap_op *op, const double *rule, uint32_t n,
                   const double *values, size_t stride, lanes *sums, lanes *stack, flags *masks)
{
    bool is_new = op->above == 0;
    const double *k = is_new ? rule : plan->factors + op->factors;
    const flags *above = &masks[op->above];
    flags *left = &masks[op->place / 2u * 2u + 2u];
    lanes *sum = sums + (size_t)op->feature * plan->points_max;
    if (op->step != MR_SHAP_UP) {
        ask(plan, op, (const lanes *)(const void *)(values + op->slot * stride), &left[0]);
        left[1] = ~left[0];
        if (!is_new) {
            left[0] &= *above;
            left[1] &= *above;
        }
    }
    if (op->step == MR_SHAP_DOWN && is_new)
        go_down(op, left, above, k, n, stack, true);
    else if (op->step == MR_SHAP_DOWN)
        go_down(op, left, above, k, n, stack, false);
    else if (op->step == MR_SHAP_UP && is_new)
        go_up(op, left, above, k, n, stack, sum, true, false);
    else if (op->step == MR_SHAP_UP)
        go_up(op, left, above, k, n, stack, sum, false, false);
    else if (is_new)
        go_up(op, left, above, k, n, stack, sum, true, true);
    else
        go_up(op, left, above, k, n, stack, sum, false, true);
}

INLINE void run_ops(const mr_shap_plan *plan, const mr_shap_tree *tree, uint32_t n,
                    const double *values, size_t stride, lanes *sums, lanes *stack, flags *masks)
{
    for (uint32_t q = 0; q < n; q++)
        stack[q] = ALL(tree->rule[q]);
    for (uint32_t i = 0; i < tree->count; i++)
        run_op(plan, &plan->ops[tree->first + i], tree->rule, n, values, stride, sums, stack,
               masks);
}

/* The usual numbers of points as constants: loops unroll. */
INLINE void run_tree(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                     size_t stride, double *sums, double *stack, int64_t *masks)
{
    lanes *sum = (lanes *)(void *)sums, *place = (lanes *)(void *)stack;
    flags *mask = (flags *)(void *)masks;
    switch (tree->points) {
    case 1:
        run_ops(plan, tree, 1, values, stride, sum, place, mask);
        break;
    case 2:
        run_ops(plan, tree, 2, values, stride, sum, place, mask);
        break;
    case 3:
        run_ops(plan, tree, 3, values, stride, sum, place, mask);
        break;
    case 4:
        run_ops(plan, tree, 4, values, stride, sum, place, mask);
        break;
    default:
        run_ops(plan, tree, tree->points, values, stride, sum, place, mask);
    }
}

#endif
