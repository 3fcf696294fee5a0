/* shap_run_avx512.c -- explanations of trees with AVX-512; one row with the registers of AVX2, which hold its points. */
#if defined(__x86_64__)

#define WIDE 8
#include "model/shap_run.h"

static void run_rows(const mr_shap_plan *plan, const mr_shap_tree *tree, const double *values,
                     size_t stride, double *sums, double *stack, int64_t *masks)
{
    run_tree(plan, tree, values, stride, sums, stack, masks, false);
}

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

const mr_shap_kernel mr_shap_avx512 = {
    .name = "avx512",
    .runs_here = runs_here,
    .rows = run_rows,
    .row = mr_shap_row_avx2,
    .lanes = 2 * WIDE,
    .few = 2,
};

#endif
