/* forest64_masks_avx2.c -- the mask kernel of float64 forests on 256-bit registers: 256 rows at a time.
 *
 * Ranks come from a branch-free binary search, masks from byte comparisons, planes become leaf numbers by unpacking and
 * the three swaps of an 8 x 8 bit transposition (Warren, Hacker's Delight, 7-3); leaves are looked up one by one. */
#include "model/forest64_masks.h"

#if defined(__x86_64__)

#define MASK_BYTES 32
#include "model/forest64_masks_kernel.h"

#include <immintrin.h>

/* ---- ranks ---- */

static void spread(const mr_ranks64_feature *feature, bool zeros, uint32_t instead, uint8_t *lanes,
                   const mr_masks64_work *w)
{
    for (uint32_t s = 0; s < feature->segments; s++)
        for (size_t r = 0; r < ROWS; r++) {
            double x = w->column[r];
            bool missing = isnan(x) || (zeros && x == 0.0);
            int32_t rank = (int32_t)(missing ? instead : w->ranks[r]);
            int32_t part = rank - (int32_t)(s * MR_MASKS64_RANKS);
            part = MR_MAX(part, 0);
            lanes[(size_t)ROWS * s + r] = (uint8_t)MR_MIN(part, 255);
        }
}

static void rank_feature(const mr_masks64 *masks, const mr_ranks64_feature *feature,
                         const mr_masks64_work *w)
{
    mr_masks64_search(masks, feature, w->column, w->ranks);
    for (uint32_t view = 0; view < MR_VIEWS; view++) {
        if (feature->lanes[view] == MR_NO_SLOT64)
            continue;
        bool zeros = view == MR_VIEW_ZERO_LEFT || view == MR_VIEW_ZERO_RIGHT;
        bool right = view == MR_VIEW_ZERO_RIGHT || view == MR_VIEW_NAN_RIGHT;
        uint32_t instead = view == MR_VIEW_PLAIN ? feature->rank_of_zero : right ? UINT16_MAX : 0;
        spread(feature, zeros, instead, w->lanes + (size_t)ROWS * feature->lanes[view], w);
    }
}

/* ---- masks ---- */

static void store_bits(uint8_t *to, __m256i bytes)
{
    int bits = _mm256_movemask_epi8(bytes);
    memcpy(to, &bits, sizeof bits);
}

/* a > b for bytes without a sign: not a <= b, that is min(a, b) != a. */
static void compare_run(const uint8_t *lane, const uint8_t *ranks, uint32_t count, uint8_t *to)
{
    __m256i rows[8];
    for (int i = 0; i < 8; i++)
        rows[i] = _mm256_load_si256((const __m256i *)(const void *)(lane + i * 32));
    for (uint32_t t = 0; t < count; t++) {
        __m256i rank = _mm256_set1_epi8((char)ranks[t]), ones = _mm256_set1_epi8(-1);
        for (int i = 0; i < 8; i++) {
            __m256i not_above = _mm256_cmpeq_epi8(_mm256_min_epu8(rows[i], rank), rows[i]);
            store_bits(to + (size_t)t * MASK_BYTES + i * 4, _mm256_xor_si256(not_above, ones));
        }
    }
}

/* Right when bit c of the set is not set: byte c / 8 by two shuffles, bit c % 8 by a third. */
static void member_run(const uint8_t *lane, const uint8_t *sets, uint32_t count, uint8_t *to)
{
    const __m256i bit_of = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    for (uint32_t t = 0; t < count; t++) {
        const __m128i *set =
            (const __m128i *)(const void *)(sets + (size_t)t * MR_MASKS64_SET_BYTES);
        __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128(set));
        __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128(set + 1));
        for (int i = 0; i < 8; i++) {
            __m256i code = _mm256_load_si256((const __m256i *)(const void *)(lane + i * 32));
            __m256i byte = _mm256_and_si256(_mm256_srli_epi16(code, 3), _mm256_set1_epi8(15));
            __m256i bit = _mm256_shuffle_epi8(bit_of, _mm256_and_si256(code, _mm256_set1_epi8(7)));
            __m256i word = _mm256_blendv_epi8(_mm256_shuffle_epi8(low, byte),
                                              _mm256_shuffle_epi8(high, byte), code);
            word = _mm256_cmpeq_epi8(_mm256_and_si256(word, bit), _mm256_setzero_si256());
            store_bits(to + (size_t)t * MASK_BYTES + i * 4, word);
        }
    }
}

/* ---- planes to bytes ---- */

/* Byte i of each 64-bit word is plane i; afterwards byte r is row r. */
INLINE __m256i turn_bits(__m256i x)
{
    const __m256i a = _mm256_set1_epi64x(0x00aa00aa00aa00aa),
                  b = _mm256_set1_epi64x(0xcccc0000cccc), c = _mm256_set1_epi64x(0xf0f0f0f0);
    __m256i t = _mm256_and_si256(_mm256_xor_si256(x, _mm256_srli_epi64(x, 7)), a);
    x = _mm256_xor_si256(x, _mm256_xor_si256(t, _mm256_slli_epi64(t, 7)));
    t = _mm256_and_si256(_mm256_xor_si256(x, _mm256_srli_epi64(x, 14)), b);
    x = _mm256_xor_si256(x, _mm256_xor_si256(t, _mm256_slli_epi64(t, 14)));
    t = _mm256_and_si256(_mm256_xor_si256(x, _mm256_srli_epi64(x, 28)), c);
    return _mm256_xor_si256(x, _mm256_xor_si256(t, _mm256_slli_epi64(t, 28)));
}

/* Sixteen numbers of each half of the rows. */
INLINE void store_numbers(__m256i words, int k, uint8_t *numbers)
{
    __m256i turned = turn_bits(words);
    _mm_storeu_si128((__m128i *)(void *)(numbers + 16 * k), _mm256_castsi256_si128(turned));
    _mm_storeu_si128((__m128i *)(void *)(numbers + 128 + 16 * k),
                     _mm256_extracti128_si256(turned, 1));
}

static void transpose_planes(const vec *planes, uint8_t *numbers)
{
    __m256i p[8];
    for (int i = 0; i < 8; i++)
        p[i] = (__m256i)planes[i];
    __m256i a[2] = {_mm256_unpacklo_epi8(p[0], p[1]), _mm256_unpackhi_epi8(p[0], p[1])};
    __m256i b[2] = {_mm256_unpacklo_epi8(p[2], p[3]), _mm256_unpackhi_epi8(p[2], p[3])};
    __m256i c[2] = {_mm256_unpacklo_epi8(p[4], p[5]), _mm256_unpackhi_epi8(p[4], p[5])};
    __m256i d[2] = {_mm256_unpacklo_epi8(p[6], p[7]), _mm256_unpackhi_epi8(p[6], p[7])};
    for (int i = 0; i < 2; i++) {
        __m256i ab = _mm256_unpacklo_epi16(a[i], b[i]), cd = _mm256_unpacklo_epi16(c[i], d[i]);
        store_numbers(_mm256_unpacklo_epi32(ab, cd), 4 * i, numbers);
        store_numbers(_mm256_unpackhi_epi32(ab, cd), 4 * i + 1, numbers);
        ab = _mm256_unpackhi_epi16(a[i], b[i]);
        cd = _mm256_unpackhi_epi16(c[i], d[i]);
        store_numbers(_mm256_unpacklo_epi32(ab, cd), 4 * i + 2, numbers);
        store_numbers(_mm256_unpackhi_epi32(ab, cd), 4 * i + 3, numbers);
    }
}

/* ---- leaves ---- */

static void add_trees(const mr_masks64 *masks, uint32_t tree, uint32_t count, const vec *planes,
                      double *sums)
{
    uint8_t numbers[TREES_AT_ONCE][ROWS];
    const double *leaves[TREES_AT_ONCE];
    for (uint32_t t = 0; t < count; t++) {
        leaves[t] = masks->forest->leaves + masks->forest->first_leaves[tree + t];
        transpose_planes(planes + (size_t)t * MR_MASKS64_PLANES, numbers[t]);
    }
    if (count == TREES_AT_ONCE)
        for (size_t r = 0; r < ROWS; r++)
            sums[r] = sums[r] + leaves[0][numbers[0][r]] + leaves[1][numbers[1][r]] +
                      leaves[2][numbers[2][r]] + leaves[3][numbers[3][r]];
    else
        for (uint32_t t = 0; t < count; t++)
            for (size_t r = 0; r < ROWS; r++)
                sums[r] += leaves[t][numbers[t][r]];
}

static void write_sums(const double *sums, size_t count, double *out)
{
    memcpy(out, sums, sizeof *out * count);
}

bool mr_masks64_avx2_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

void mr_masks64_avx2(const mr_masks64 *masks, mr_run64_load *load, const void *context,
                     size_t first, size_t count, double *sums, size_t stride, uint8_t *scratch)
{
    run_batch(masks, load, context, first, count, sums, stride, scratch);
}

#endif
