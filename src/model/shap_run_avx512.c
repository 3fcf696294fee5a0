/* shap_run_avx512.c -- explanations of trees with AVX-512. */
#if defined(__x86_64__)
#include "model/shap_run.h"

void mr_shap_run_avx512(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                        size_t stride, double *sums, double *stack, int64_t *masks)
{
    run_tree(plan, tree, values, stride, sums, stack, masks);
}

bool mr_shap_runs_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi");
}

#endif
