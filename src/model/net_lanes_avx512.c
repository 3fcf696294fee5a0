/* net_lanes_avx512.c -- the kernels of the tensor program with AVX-512. */
#if defined(__x86_64__)
#include <immintrin.h>

#include <stdbool.h>

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("fma");
}

#define PRODUCT_LANES
#define V32 __m512
#define V64 __m512d
enum { WIDTH32 = 16, WIDTH64 = 8, TILE = 4, STRIP = 6, ROW_TILE = 4 };

#define ZERO32    _mm512_setzero_ps
#define LOAD32    _mm512_loadu_ps
#define STORE32   _mm512_storeu_ps
#define SPREAD32  _mm512_set1_ps
#define FMA32     _mm512_fmadd_ps
#define ADD32     _mm512_add_ps
#define RELU32(x) _mm512_max_ps(_mm512_setzero_ps(), (x)) /* NaN stays */
#define ZERO64    _mm512_setzero_pd
#define LOAD64    _mm512_loadu_pd
#define STORE64   _mm512_storeu_pd
#define SPREAD64  _mm512_set1_pd
#define FMA64     _mm512_fmadd_pd
#define ADD64     _mm512_add_pd
#define RELU64(x) _mm512_max_pd(_mm512_setzero_pd(), (x))

#define KERNELS      mr_net_kernels_avx512
#define KERNELS_NAME "avx512"
#define RUNS_HERE    runs_here
#include "model/net_lanes.h"
#endif
