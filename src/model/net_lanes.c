/* net_lanes.c -- the kernels of the tensor program for any processor, and which ones to take. */
#define KERNELS      mr_net_kernels_plain
#define KERNELS_NAME "plain"
#define RUNS_HERE    NULL
#include "model/net_lanes.h"

const mr_net_kernels *mr_net_kernels_best(const char *cpu_max)
{
#if defined(__x86_64__)
    bool any = strcmp(cpu_max, "auto") == 0 || strcmp(cpu_max, "avx512") == 0;
    if (any && mr_net_kernels_avx512.runs_here())
        return &mr_net_kernels_avx512;
    if ((any || strcmp(cpu_max, "avx2") == 0) && mr_net_kernels_avx2.runs_here())
        return &mr_net_kernels_avx2;
#endif
    (void)cpu_max;
    return &mr_net_kernels_plain;
}
