/* tree_search_avx512.h -- ranks of one row: a search tree with 16 thresholds a step, one vector comparison each.
 *
 * Level l + 1 has every 16th key of level l (after Khuong, Morin, "Array layouts for comparison-based searching", JEA
 * 2017, and Lemire's and Slotin's SIMD variants). Each level is padded to a multiple of 16 with NaN, which no
 * comparison counts. Only for files compiled for AVX-512. */
#ifndef MR_MODEL_TREE_SEARCH_AVX512_H
#define MR_MODEL_TREE_SEARCH_AVX512_H

#include "model/tree_ranks.h"

#include <immintrin.h>

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

static inline void mr_search_deinit(mr_search *search)
{
    mr_free(search->features);
    mr_free(search->keys);
}

static inline uint32_t mr_search_lay(mr_search_feature *feature, const float *sorted,
                                     uint32_t count, float *keys, uint32_t next)
{
    for (feature->levels = 0;; feature->levels++) {
        uint32_t step = 1u << (4 * feature->levels), padded = (count + 15) / 16 * 16;
        feature->first[feature->levels] = next;
        for (uint32_t i = 0; i < padded; i++)
            keys[next + i] = i < count ? sorted[(size_t)i * step] : __builtin_nanf("");
        next += padded;
        if (count <= 16) {
            feature->levels++;
            return next;
        }
        count = (count + 15) / 16;
    }
}

/* ranks->count_max <= MR_SEARCH_THRESHOLDS_MAX. */
static inline mr_status mr_search_init(mr_search *search, const mr_tree_ranks *ranks, mr_error *err)
{
    size_t keys = 0;
    for (uint32_t f = 0; f < ranks->feature_count;
         f++) /* levels add a fifteenth, padding 15 each */
        keys += ranks->features[f].count * (size_t)17 / 16 + 16 * MR_SEARCH_LEVELS;
    search->feature_count = ranks->feature_count;
    search->features = mr_alloc_zero((size_t)ranks->feature_count + 1, sizeof *search->features);
    search->keys = mr_alloc_aligned(sizeof(float) * (keys + 16));
    if (search->features == NULL || search->keys == NULL)
        return MR_OUT_OF_MEMORY(err);
    uint32_t next = 0;
    for (uint32_t f = 0; f < ranks->feature_count; f++) {
        const mr_rank_feature *from = &ranks->features[f];
        search->features[f] =
            (mr_search_feature){.feature = from->feature, .left = from->left, .right = from->right};
        next = mr_search_lay(&search->features[f], ranks->thresholds + from->first, from->count,
                             search->keys, next);
    }
    return MR_OK;
}

/* Number of thresholds <= x. At each level the key before the reached block is <= x. */
static inline __attribute__((always_inline)) uint32_t
mr_search_rank(const mr_search_feature *feature, const float *keys, float value)
{
    __m512 x = _mm512_set1_ps(value);
    uint32_t block = 0, below = 0; /* bits of keys <= x: ones from the lowest bit on */
    for (uint32_t level = feature->levels; level-- > 0;) {
        __m512 row = _mm512_load_ps(keys + feature->first[level] + (size_t)block * 16);
        below = _mm512_cmp_ps_mask(x, row, _CMP_GE_OQ);
        if (level > 0) /* the last of those keys, or the first key of all */
            block = block * 16 + (uint32_t)_mm_popcnt_u32(below >> 1);
    }
    return block * 16 + (uint32_t)_mm_popcnt_u32(below);
}

#endif
