/* forest64_masks_avx512.c -- the mask kernel of float64 forests on 512-bit registers: 512 rows at a time.
 *
 *   1 rank ...... 16 rows as float32 down a search tree of rounded thresholds; a value that rounds to a threshold is
 *                 compared with that one threshold once more, in float64
 *   2 compare ... 64 rows: one byte comparison -> 64 bits of a mask
 *   3 program ... forest64_masks_kernel.h: a vpternlog per plane
 *   4 transpose . 8 planes x 512 bits -> 512 leaf numbers in bytes, by unpacking and vgf2p8affineqb
 *   5 look up ... 64 rows: eight byte permutes give the eight bytes of the leaves; unpacked to doubles and added
 *
 * After 4 and 5 the rows stand in another order (register k, part q, lane l, double j = row 128 l + 16 k + 2 q + j);
 * the sums stay in it until the end. Needs AVX-512 F, BW, VL, DQ, VBMI and GFNI: Ice Lake, Zen 4 and later. */
#include "model/forest64_masks.h"

#if defined(__x86_64__)

#define MASK_BYTES 64
#include "model/forest64_masks_kernel.h"

#include <immintrin.h>

#define GFNI __attribute__((target("gfni")))

/* ---- 1: ranks ---- */

/* Entries at `index` of level `level`, whose 2^level floats begin at `table`. */
INLINE __m512 look_up(const float *table, unsigned level, __m512i index)
{
    if (level <= 4)
        return _mm512_permutexvar_ps(index, _mm512_load_ps(table));
    if (level == 5)
        return _mm512_permutex2var_ps(_mm512_load_ps(table), index, _mm512_load_ps(table + 16));
    if (level == 6) {
        __m512 a = _mm512_permutex2var_ps(_mm512_load_ps(table), index, _mm512_load_ps(table + 16));
        __m512 b =
            _mm512_permutex2var_ps(_mm512_load_ps(table + 32), index, _mm512_load_ps(table + 48));
        return _mm512_mask_blend_ps(_mm512_test_epi32_mask(index, _mm512_set1_epi32(32)), a, b);
    }
    return _mm512_i32gather_ps(index, table, 4);
}

INLINE __m512 as_floats(const double *from)
{
    __m256 low = _mm512_cvtpd_ps(_mm512_loadu_pd(from));
    __m256 high = _mm512_cvtpd_ps(_mm512_loadu_pd(from + 8));
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}

/* Thresholds below x; *ties: rows whose x is one of the rounded thresholds. NaN and padding count for nothing. */
INLINE __m512i rank_16(const float *tables, unsigned levels, __m512 x, __mmask16 *ties)
{
    __m512i index = _mm512_setzero_si512();
    *ties = 0;
    for (unsigned level = 0; level < levels; level++) {
        __m512 threshold = look_up(tables + mr_masks64_level(level), level, index);
        __mmask16 right = _mm512_cmp_ps_mask(x, threshold, _CMP_GT_OQ);
        *ties |= _mm512_cmp_ps_mask(x, threshold, _CMP_EQ_OQ);
        index = _mm512_add_epi32(index, index);
        index = _mm512_mask_add_epi32(index, right, index, _mm512_set1_epi32(1));
    }
    return index;
}

/* A value that rounds to threshold number `rank` may lie above it. */
static __attribute__((noinline)) void break_ties(const double *thresholds, const double *column,
                                                 uint32_t ties, uint16_t *ranks)
{
    for (; ties != 0; ties &= ties - 1) {
        uint32_t r = (uint32_t)__builtin_ctz(ties);
        ranks[r] = (uint16_t)(ranks[r] + (thresholds[ranks[r]] < column[r]));
    }
}

INLINE void search(const mr_masks64 *masks, const mr_ranks64_feature *feature, unsigned levels,
                   const mr_masks64_work *w)
{
    const float *tables = masks->floats + feature->first_float;
    for (size_t r = 0; r < ROWS; r += 16) {
        __mmask16 ties;
        __m512i rank = rank_16(tables, levels, as_floats(w->column + r), &ties);
        _mm256_storeu_si256((__m256i *)(void *)(w->ranks + r), _mm512_cvtepi32_epi16(rank));
        if (ties != 0)
            break_ties(masks->thresholds + feature->first, w->column + r, ties, w->ranks + r);
    }
}

/* The number of levels is made a constant, so that the tables stay in registers. */
static void search_any(const mr_masks64 *masks, const mr_ranks64_feature *feature,
                       const mr_masks64_work *w)
{
    switch (feature->level_count) {
    case 1:
        search(masks, feature, 1, w);
        break;
    case 2:
        search(masks, feature, 2, w);
        break;
    case 3:
        search(masks, feature, 3, w);
        break;
    case 4:
        search(masks, feature, 4, w);
        break;
    case 5:
        search(masks, feature, 5, w);
        break;
    case 6:
        search(masks, feature, 6, w);
        break;
    case 7:
        search(masks, feature, 7, w);
        break;
    case 8:
        search(masks, feature, 8, w);
        break;
    default:
        search(masks, feature, feature->level_count, w);
    }
}

INLINE uint32_t missing_16(const double *column, bool zeros)
{
    __m512d low = _mm512_loadu_pd(column), high = _mm512_loadu_pd(column + 8);
    uint32_t missing = (uint32_t)_mm512_cmp_pd_mask(low, low, _CMP_UNORD_Q) |
                       (uint32_t)_mm512_cmp_pd_mask(high, high, _CMP_UNORD_Q) << 8;
    __m512d zero = _mm512_setzero_pd();
    if (zeros)
        missing |= (uint32_t)_mm512_cmp_pd_mask(low, zero, _CMP_EQ_OQ) |
                   (uint32_t)_mm512_cmp_pd_mask(high, zero, _CMP_EQ_OQ) << 8;
    return missing;
}

/* Ranks with `instead` where the view sees a missing value, cut into lanes of 255. */
INLINE void spread(const mr_ranks64_feature *feature, bool zeros, uint32_t instead, uint8_t *lanes,
                   const mr_masks64_work *w)
{
    __m256i missing_rank = _mm256_set1_epi16((short)instead), high = _mm256_set1_epi16(255);
    for (size_t r = 0; r < ROWS; r += 16) {
        __m256i rank = _mm256_loadu_si256((const __m256i *)(const void *)(w->ranks + r));
        rank =
            _mm256_mask_mov_epi16(rank, (__mmask16)missing_16(w->column + r, zeros), missing_rank);
        for (uint32_t s = 0; s < feature->segments; s++) {
            __m256i low = _mm256_set1_epi16((short)(s * MR_MASKS64_RANKS));
            __m256i part = _mm256_min_epu16(_mm256_subs_epu16(rank, low), high);
            _mm_storeu_si128((__m128i *)(void *)(lanes + (size_t)ROWS * s + r),
                             _mm256_cvtepi16_epi8(part));
        }
    }
}

static void rank_feature(const mr_masks64 *masks, const mr_ranks64_feature *feature,
                         const mr_masks64_work *w)
{
    if (feature->first_float == UINT32_MAX)
        mr_masks64_search(masks, feature, w->column, w->ranks);
    else
        search_any(masks, feature, w);
    for (uint32_t view = 0; view < MR_VIEWS; view++) {
        if (feature->lanes[view] == MR_NO_SLOT64)
            continue;
        bool zeros = view == MR_VIEW_ZERO_LEFT || view == MR_VIEW_ZERO_RIGHT;
        bool right = view == MR_VIEW_ZERO_RIGHT || view == MR_VIEW_NAN_RIGHT;
        uint32_t instead = view == MR_VIEW_PLAIN ? feature->rank_of_zero : right ? UINT16_MAX : 0;
        spread(feature, zeros, instead, w->lanes + (size_t)ROWS * feature->lanes[view], w);
    }
}

/* ---- 2: masks ---- */

static void compare_run(const uint8_t *lane, const uint8_t *ranks, uint32_t count, uint8_t *to)
{
    __m512i rows[8];
    for (int i = 0; i < 8; i++)
        rows[i] = _mm512_load_si512(lane + i * 64);
    for (uint32_t t = 0; t < count; t++) {
        __m512i rank = _mm512_set1_epi8((char)ranks[t]);
        for (int i = 0; i < 8; i++)
            _store_mask64((__mmask64 *)(void *)(to + (size_t)t * MASK_BYTES + i * 8),
                          _mm512_cmpgt_epu8_mask(rows[i], rank));
    }
}

/* Right when bit c of the 256-bit set is not set: byte c / 8 by a permute, bit c % 8 by a shuffle. */
static void member_run(const uint8_t *lane, const uint8_t *sets, uint32_t count, uint8_t *to)
{
    const __m512i bit_of = _mm512_set1_epi64((long long)0x8040201008040201ull);
    for (uint32_t t = 0; t < count; t++) {
        __m512i set = _mm512_broadcast_i64x4(_mm256_loadu_si256(
            (const __m256i *)(const void *)(sets + (size_t)t * MR_MASKS64_SET_BYTES)));
        for (int i = 0; i < 8; i++) {
            __m512i code = _mm512_load_si512(lane + i * 64);
            __m512i byte = _mm512_and_si512(_mm512_srli_epi16(code, 3), _mm512_set1_epi8(31));
            __m512i bit = _mm512_shuffle_epi8(bit_of, _mm512_and_si512(code, _mm512_set1_epi8(7)));
            _store_mask64((__mmask64 *)(void *)(to + (size_t)t * MASK_BYTES + i * 8),
                          _mm512_testn_epi8_mask(_mm512_permutexvar_epi8(byte, set), bit));
        }
    }
}

/* ---- 4: planes to bytes ---- */

/* Bytes j of the eight planes come together in one 64-bit word (plane of bit i at byte 7 - i), which the affine
 * instruction, given the eight unit vectors, turns by 90 degrees: byte r is the number of row r. */
GFNI static void transpose_planes(const vec *planes, __m512i *numbers)
{
    const __m512i unit = _mm512_set1_epi64((long long)0x8040201008040201ull);
    __m512i p[8], ab[4], cd[4];
    for (int i = 0; i < 8; i++)
        p[i] = (__m512i)planes[i];
    __m512i a[2] = {_mm512_unpacklo_epi8(p[7], p[6]), _mm512_unpackhi_epi8(p[7], p[6])};
    __m512i b[2] = {_mm512_unpacklo_epi8(p[5], p[4]), _mm512_unpackhi_epi8(p[5], p[4])};
    __m512i c[2] = {_mm512_unpacklo_epi8(p[3], p[2]), _mm512_unpackhi_epi8(p[3], p[2])};
    __m512i d[2] = {_mm512_unpacklo_epi8(p[1], p[0]), _mm512_unpackhi_epi8(p[1], p[0])};
    for (int i = 0; i < 2; i++) {
        ab[2 * i] = _mm512_unpacklo_epi16(a[i], b[i]);
        ab[2 * i + 1] = _mm512_unpackhi_epi16(a[i], b[i]);
        cd[2 * i] = _mm512_unpacklo_epi16(c[i], d[i]);
        cd[2 * i + 1] = _mm512_unpackhi_epi16(c[i], d[i]);
    }
    for (int i = 0; i < 4; i++) {
        numbers[2 * i] =
            _mm512_gf2p8affine_epi64_epi8(unit, _mm512_unpacklo_epi32(ab[i], cd[i]), 0);
        numbers[2 * i + 1] =
            _mm512_gf2p8affine_epi64_epi8(unit, _mm512_unpackhi_epi32(ab[i], cd[i]), 0);
    }
}

/* ---- 5: leaves ---- */

/* Byte `number` of a table of 2^bits bytes. */
INLINE __m512i look_up_byte(const uint8_t *table, unsigned bits, __m512i number)
{
    if (bits == 6)
        return _mm512_permutexvar_epi8(number, _mm512_load_si512(table));
    __m512i low =
        _mm512_permutex2var_epi8(_mm512_load_si512(table), number, _mm512_load_si512(table + 64));
    if (bits == 7)
        return low;
    __m512i high = _mm512_permutex2var_epi8(_mm512_load_si512(table + 128), number,
                                            _mm512_load_si512(table + 192));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(number), low, high);
}

INLINE __m512d add(__m512d sum, __m512i leaf)
{
    return _mm512_add_pd(sum, _mm512_castsi512_pd(leaf));
}

/* Leaves of 64 rows; sums[q] has bytes 2 q and 2 q + 1 of each lane. */
INLINE void add_leaves(const uint8_t *table, unsigned bits, __m512i number, __m512d *sums)
{
    size_t size = (size_t)1 << bits;
    __m512i b[8], pair[4];
    for (int i = 0; i < 8; i++)
        b[i] = look_up_byte(table + (size_t)i * size, bits, number);
    for (int half = 0; half < 2; half++) { /* bytes 0 to 7 of each lane, then 8 to 15 */
        for (int i = 0; i < 4; i++)
            pair[i] = half == 0 ? _mm512_unpacklo_epi8(b[2 * i], b[2 * i + 1])
                                : _mm512_unpackhi_epi8(b[2 * i], b[2 * i + 1]);
        __m512i low = _mm512_unpacklo_epi16(pair[0], pair[1]);
        __m512i high = _mm512_unpacklo_epi16(pair[2], pair[3]);
        sums[4 * half] = add(sums[4 * half], _mm512_unpacklo_epi32(low, high));
        sums[4 * half + 1] = add(sums[4 * half + 1], _mm512_unpackhi_epi32(low, high));
        low = _mm512_unpackhi_epi16(pair[0], pair[1]);
        high = _mm512_unpackhi_epi16(pair[2], pair[3]);
        sums[4 * half + 2] = add(sums[4 * half + 2], _mm512_unpacklo_epi32(low, high));
        sums[4 * half + 3] = add(sums[4 * half + 3], _mm512_unpackhi_epi32(low, high));
    }
}

INLINE void add_tables(const mr_masks64 *masks, uint32_t tree, uint32_t count, unsigned bits,
                       const __m512i *numbers, double *sums)
{
    for (size_t k = 0; k < 8; k++) {
        __m512d part[8];
        for (size_t q = 0; q < 8; q++)
            part[q] = _mm512_load_pd(sums + 64 * k + 8 * q);
        for (uint32_t t = 0; t < count; t++)
            add_leaves(masks->tables + masks->trees[tree + t].first_byte, bits,
                       numbers[8 * (size_t)t + k], part);
        for (size_t q = 0; q < 8; q++)
            _mm512_store_pd(sums + 64 * k + 8 * q, part[q]);
    }
}

GFNI static void add_trees(const mr_masks64 *masks, uint32_t tree, uint32_t count,
                           const vec *planes, double *sums)
{
    __m512i numbers[8 * TREES_AT_ONCE];
    uint32_t bits = masks->trees[tree].table_bits;
    for (uint32_t t = 0; t < count; t++)
        transpose_planes(planes + (size_t)t * MR_MASKS64_PLANES, numbers + 8 * (size_t)t);
    if (bits == 6)
        add_tables(masks, tree, count, 6, numbers, sums);
    else if (bits == 7)
        add_tables(masks, tree, count, 7, numbers, sums);
    else
        add_tables(masks, tree, count, 8, numbers, sums);
}

/* ---- the end: rows back in order ---- */

static void write_sums(const double *sums, size_t count, double *out)
{
    for (size_t r = 0; r < count; r++)
        out[r] = sums[64 * (r / 16 % 8) + 8 * (r % 16 / 2) + 2 * (r / 128) + r % 2];
}

bool mr_masks64_avx512_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("gfni");
}

void mr_masks64_avx512(const mr_masks64 *masks, mr_run64_load *load, const void *context,
                       size_t first, size_t count, double *sums, size_t stride, uint8_t *scratch)
{
    run_batch(masks, load, context, first, count, sums, stride, scratch);
}

#endif
