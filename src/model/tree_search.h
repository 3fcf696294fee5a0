/* tree_search.h -- ranks of one row: a search tree with 16 thresholds a step, one vector comparison each.
 *
 * Level l + 1 has every 16th key of level l (after Khuong, Morin, "Array layouts for comparison-based searching", JEA
 * 2017, and Lemire's and Slotin's SIMD variants). Each level is padded to a multiple of 16 with NaN, which no
 * comparison counts. What searches is there in files compiled for AVX-512 or AVX2. */
#ifndef MR_MODEL_TREE_SEARCH_H
#define MR_MODEL_TREE_SEARCH_H

#include "model/tree_ranks.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define MR_SEARCH_LEVELS         4      /* 16^4 > MR_SEARCH_THRESHOLDS_MAX */
#define MR_SEARCH_THRESHOLDS_MAX 65534u /* of one feature */

typedef struct mr_search_feature {
    uint32_t feature, left, right;    /* as in mr_rank_feature */
    uint32_t levels;                  /* of the search */
    uint32_t first[MR_SEARCH_LEVELS]; /* first key of each level, 0: all thresholds in order */
} mr_search_feature;

typedef struct mr_search {
    uint32_t feature_count;
    mr_search_feature *features;
    float *keys;
} mr_search;

/* ranks->count_max <= MR_SEARCH_THRESHOLDS_MAX. Deinit also after a failure. (tree_lanes.c) */
mr_status mr_search_init(mr_search *search, const mr_tree_ranks *ranks, mr_error *err);
void mr_search_deinit(mr_search *search);

#if defined(__AVX2__)

/* Which of sixteen keys are <= x. */
static inline __attribute__((always_inline)) uint32_t mr_search_ask(const float *keys, float value)
{
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(_mm512_set1_ps(value), _mm512_load_ps(keys), _CMP_GE_OQ);
#else
    __m256 x = _mm256_set1_ps(value);
    int low = _mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_load_ps(keys), _CMP_GE_OQ));
    int high = _mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_load_ps(keys + 8), _CMP_GE_OQ));
    return (uint32_t)low | (uint32_t)high << 8;
#endif
}

/* Number of thresholds <= x. At each level the key before the reached block is <= x. */
static inline __attribute__((always_inline)) uint32_t
mr_search_rank(const mr_search_feature *feature, const float *keys, float value)
{
    uint32_t block = 0, below = 0; /* bits of keys <= x: ones from the lowest bit on */
    for (uint32_t level = feature->levels; level-- > 0;) {
        below = mr_search_ask(keys + feature->first[level] + (size_t)block * 16, value);
        if (level > 0) /* the last of those keys, or the first key of all */
            block = block * 16 + (uint32_t)_mm_popcnt_u32(below >> 1);
    }
    return block * 16 + (uint32_t)_mm_popcnt_u32(below);
}

#endif
#endif
