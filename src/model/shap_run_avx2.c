/* shap_run_avx2.c -- explanations of trees with AVX2. */
#if defined(__x86_64__)

#define WIDE 4
#include "model/shap_run.h"

static void run_rows(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                     size_t stride, double *sums, double *stack, int64_t *masks)
{
    run_tree(plan, tree, values, stride, sums, stack, masks, false);
}

void mr_shap_row_avx2(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                      size_t stride, double *sums, double *stack, int64_t *masks)
{
    run_tree(plan, tree, values, stride, sums, stack, masks, true);
}

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

const mr_shap_kernel mr_shap_avx2 = {
    .name = "avx2",
    .runs_here = runs_here,
    .rows = run_rows,
    .row = mr_shap_row_avx2,
    .lanes = 2 * WIDE,
    .few = 2,
};

#endif
