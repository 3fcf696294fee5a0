/* shap_run_plain.c -- explanations of trees with whatever the compiler may use everywhere. */
#define WIDE 2
#include "model/shap_run.h"

static void run_rows(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                     size_t stride, double *sums, double *stack, int64_t *masks)
{
    run_tree(plan, tree, values, stride, sums, stack, masks, false);
}

static void run_row(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                    size_t stride, double *sums, double *stack, int64_t *masks)
{
    run_tree(plan, tree, values, stride, sums, stack, masks, true);
}

const mr_shap_kernel mr_shap_plain = {
    .name = "plain",
    .rows = run_rows,
    .row = run_row,
    .lanes = 2 * WIDE,
    .few = 1,
};
