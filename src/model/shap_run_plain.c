/* shap_run_plain.c -- explanations of trees with whatever the compiler may use. */
#include "model/shap_run.h"

void mr_shap_run_plain(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                       size_t stride, double *sums, double *stack, int64_t *masks)
{
    run_tree(plan, tree, values, stride, sums, stack, masks);
}
