/* shap_run_avx2.c -- explanations of trees with AVX2. */
#if defined(__x86_64__)
#include "model/shap_run.h"

void mr_shap_run_avx2(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                      size_t stride, double *sums, double *stack, int64_t *masks)
{
    run_tree(plan, tree, values, stride, sums, stack, masks);
}

bool mr_shap_runs_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

#endif
