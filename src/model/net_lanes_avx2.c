/* net_lanes_avx2.c -- the kernels of the tensor program with AVX2. */
#if defined(__x86_64__)
#include <immintrin.h>

#include <stdbool.h>

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

#define PRODUCT_LANES
#define V32 __m256
#define V64 __m256d
enum { WIDTH32 = 8, WIDTH64 = 4, TILE = 2, STRIP = 6, ROW_TILE = 4 };

#define ZERO32    _mm256_setzero_ps
#define LOAD32    _mm256_loadu_ps
#define STORE32   _mm256_storeu_ps
#define SPREAD32  _mm256_set1_ps
#define FMA32     _mm256_fmadd_ps
#define ADD32     _mm256_add_ps
#define RELU32(x) _mm256_max_ps(_mm256_setzero_ps(), (x)) /* NaN stays */
#define ZERO64    _mm256_setzero_pd
#define LOAD64    _mm256_loadu_pd
#define STORE64   _mm256_storeu_pd
#define SPREAD64  _mm256_set1_pd
#define FMA64     _mm256_fmadd_pd
#define ADD64     _mm256_add_pd
#define RELU64(x) _mm256_max_pd(_mm256_setzero_pd(), (x))

#define KERNELS      mr_net_kernels_avx2
#define KERNELS_NAME "avx2"
#define RUNS_HERE    runs_here
#include "model/net_lanes.h"
#endif
