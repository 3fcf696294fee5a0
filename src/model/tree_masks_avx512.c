/* tree_masks_avx512.c -- the mask kernel on 512-bit registers: 512 rows at a time (see tree_masks.h).
 *
 *   1 rank ...... 16 rows: one step down a search tree = one permute (level in registers) + one comparison
 *   2 compare ... 64 rows: one byte comparison -> 64 bits of a mask
 *   3 select .... 512 rows: planes(node) = mask ? planes(right) : planes(left), one vpternlog per plane
 *   4 transpose . 8 planes x 512 bits -> 512 leaf numbers in bytes, by unpacking and vgf2p8affineqb
 *   5 look up ... 64 rows: four byte permutes give the four bytes of the leaves; unpacked to floats and added
 *
 * After 4 and 5 the rows stand in another order (register k, part p, lane l, float j = row 128 l + 16 k + 4 p + j);
 * the sums stay in it until the end. Needs AVX-512 F, BW, VL, DQ, VBMI and GFNI: Ice Lake, Zen 4 and later. */
#include "model/tree_masks.h"

#if defined(__x86_64__)

#include "base/assert.h"

#include <immintrin.h>
#include <string.h>

#define ROWS          512
#define MASK_BYTES    64
#define CHUNK_MASKS   4096 /* 256 KiB of masks: stays in the second-level cache */
#define TREES_AT_ONCE 4    /* leaves added per visit of the sums */
#define INLINE        static inline __attribute__((always_inline))
#define GFNI          __attribute__((target("gfni")))

/* ---- scratch ---- */

typedef struct work {
    float *column;          /* one input of the block */
    uint16_t *left, *right; /* ranks of a feature with several segments, per side of NaN */
    uint8_t *lanes;         /* ROWS bytes each */
    uint8_t *masks;
    __m512 *sums; /* per group: ROWS floats in the order of the head comment */
} work;

static size_t work_bytes(const mr_mask_plan *plan)
{
    return ROWS * (sizeof(float) + 2 * sizeof(uint16_t)) + (size_t)ROWS * plan->lane_count +
           (size_t)MASK_BYTES * plan->mask_count_max +
           sizeof(float) * ROWS * plan->forest->group_count;
}

static work work_of(const mr_mask_plan *plan, uint8_t *scratch)
{
    work w = {.column = (float *)(void *)scratch};
    w.left = (uint16_t *)(void *)(w.column + ROWS);
    w.right = w.left + ROWS;
    w.lanes = (uint8_t *)(w.right + ROWS);
    w.masks = w.lanes + (size_t)ROWS * plan->lane_count;
    w.sums = (__m512 *)(void *)(w.masks + (size_t)MASK_BYTES * plan->mask_count_max);
    return w;
}

/* ---- columns to float32 ---- */

static size_t convert_float64(const double *from, size_t count, float *to)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256 a = _mm512_cvtpd_ps(_mm512_loadu_pd(from + i));
        __m256 b = _mm512_cvtpd_ps(_mm512_loadu_pd(from + i + 8));
        _mm256_store_ps(to + i, a);
        _mm256_store_ps(to + i + 8, b);
    }
    return i;
}

static size_t convert_int64(const int64_t *from, size_t count, float *to)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_store_ps(to + i, _mm512_cvtepi64_ps(_mm512_loadu_si512(from + i)));
    return i;
}

/* The common types by vectors, what is left over (and NULLs) by the common way. */
static void load_column(const mr_column *column, size_t first, size_t count, float *to)
{
    size_t done = 0;
    if (column->null_count == 0 && column->type.id == MR_FLOAT64)
        done = convert_float64((const double *)column->values + first, count, to);
    else if (column->null_count == 0 &&
             (column->type.id == MR_INT64 || column->type.id == MR_TIMESTAMP))
        done = convert_int64((const int64_t *)column->values + first, count, to);
    mr_model_convert(column, first + done, count - done, to + done);
    if (count < ROWS)
        memset(to + count, 0, (ROWS - count) * sizeof *to);
}

/* ---- 1: ranks ---- */

/* Entries at `index` of level `level`, whose 2^level floats begin at `table`. */
INLINE __m512 look_up(const float *table, unsigned level, __m512i index)
{
    if (level <= 4)
        return _mm512_permutexvar_ps(index, _mm512_load_ps(table));
    if (level == 5)
        return _mm512_permutex2var_ps(_mm512_load_ps(table), index, _mm512_load_ps(table + 16));
    if (level == 6 || level == 7) {
        __m512 a = _mm512_permutex2var_ps(_mm512_load_ps(table), index, _mm512_load_ps(table + 16));
        __m512 b =
            _mm512_permutex2var_ps(_mm512_load_ps(table + 32), index, _mm512_load_ps(table + 48));
        a = _mm512_mask_blend_ps(_mm512_test_epi32_mask(index, _mm512_set1_epi32(32)), a, b);
        if (level == 6)
            return a;
        __m512 c =
            _mm512_permutex2var_ps(_mm512_load_ps(table + 64), index, _mm512_load_ps(table + 80));
        __m512 d =
            _mm512_permutex2var_ps(_mm512_load_ps(table + 96), index, _mm512_load_ps(table + 112));
        c = _mm512_mask_blend_ps(_mm512_test_epi32_mask(index, _mm512_set1_epi32(32)), c, d);
        return _mm512_mask_blend_ps(_mm512_test_epi32_mask(index, _mm512_set1_epi32(64)), a, c);
    }
    return _mm512_i32gather_ps(index, table, 4);
}

/* Thresholds <= x; NaN, as value and as padding of the tables, counts none. */
INLINE __m512i rank_16(const float *tables, unsigned levels, __m512 x)
{
    __m512i index = _mm512_setzero_si512();
    for (unsigned level = 0; level < levels; level++) {
        __m512 threshold = look_up(tables + mr_mask_level(level), level, index);
        __mmask16 right = _mm512_cmp_ps_mask(x, threshold, _CMP_GE_OQ);
        index = _mm512_add_epi32(index, index);
        index = _mm512_mask_add_epi32(index, right, index, _mm512_set1_epi32(1));
    }
    return index;
}

/* One lane per side: bytes at once. */
INLINE void rank_bytes(const mr_mask_plan *plan, const mr_mask_feature *feature, unsigned levels,
                       const work *w)
{
    const float *tables = plan->tables + feature->first_float;
    uint8_t *left =
        feature->lane_left != UINT32_MAX ? w->lanes + (size_t)ROWS * feature->lane_left : NULL;
    uint8_t *right =
        feature->lane_right != UINT32_MAX ? w->lanes + (size_t)ROWS * feature->lane_right : NULL;
    for (size_t r = 0; r < ROWS; r += 16) {
        __m512 x = _mm512_load_ps(w->column + r);
        __m512i rank = rank_16(tables, levels, x);
        if (left != NULL)
            _mm_store_si128((__m128i *)(void *)(left + r), _mm512_cvtepi32_epi8(rank));
        __mmask16 missing = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        rank = _mm512_mask_mov_epi32(rank, missing, _mm512_set1_epi32(255));
        if (right != NULL)
            _mm_store_si128((__m128i *)(void *)(right + r), _mm512_cvtepi32_epi8(rank));
    }
}

static void rank_words(const mr_mask_plan *plan, const mr_mask_feature *feature, const work *w)
{
    const float *tables = plan->tables + feature->first_float;
    for (size_t r = 0; r < ROWS; r += 16) {
        __m512 x = _mm512_load_ps(w->column + r);
        __m512i rank = rank_16(tables, feature->level_count, x);
        _mm256_store_si256((__m256i *)(void *)(w->left + r), _mm512_cvtepi32_epi16(rank));
        __mmask16 missing = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        rank = _mm512_mask_mov_epi32(rank, missing, _mm512_set1_epi32(65535));
        _mm256_store_si256((__m256i *)(void *)(w->right + r), _mm512_cvtepi32_epi16(rank));
    }
}

/* Segment s of the ranks: min(max(rank - 255 s, 0), 255), a lane each. */
static void cut_segments(const uint16_t *ranks, uint32_t lane, uint32_t segments, uint8_t *lanes)
{
    for (uint32_t s = 0; s < segments; s++) {
        __m512i low = _mm512_set1_epi16((short)(s * MR_MASK_LANE_RANKS)),
                high = _mm512_set1_epi16(255);
        for (size_t r = 0; r < ROWS; r += 32) {
            __m512i rank = _mm512_subs_epu16(_mm512_load_si512(ranks + r), low);
            _mm256_store_si256((__m256i *)(void *)(lanes + (size_t)ROWS * (lane + s) + r),
                               _mm512_cvtepi16_epi8(_mm512_min_epu16(rank, high)));
        }
    }
}

static void rank_segments(const mr_mask_plan *plan, const mr_mask_feature *feature, const work *w)
{
    rank_words(plan, feature, w);
    if (feature->lane_left != UINT32_MAX)
        cut_segments(w->left, feature->lane_left, feature->segment_count, w->lanes);
    if (feature->lane_right != UINT32_MAX)
        cut_segments(w->right, feature->lane_right, feature->segment_count, w->lanes);
}

/* The number of levels is made a constant, so that the tables stay in registers. */
static void rank_feature(const mr_mask_plan *plan, const mr_mask_feature *feature, const work *w)
{
    switch (feature->segment_count == 1 ? feature->level_count : 0) {
    case 1:
        rank_bytes(plan, feature, 1, w);
        break;
    case 2:
        rank_bytes(plan, feature, 2, w);
        break;
    case 3:
        rank_bytes(plan, feature, 3, w);
        break;
    case 4:
        rank_bytes(plan, feature, 4, w);
        break;
    case 5:
        rank_bytes(plan, feature, 5, w);
        break;
    case 6:
        rank_bytes(plan, feature, 6, w);
        break;
    case 7:
        rank_bytes(plan, feature, 7, w);
        break;
    case 8:
        rank_bytes(plan, feature, 8, w);
        break;
    default:
        rank_segments(plan, feature, w);
    }
}

/* Category codes 0 to 253 as they are; NaN is `missing`; all else is no member of any set. */
static void code_lane(const float *column, uint8_t *lane, int missing)
{
    for (size_t r = 0; r < ROWS; r += 16) {
        __m512 x = _mm512_load_ps(column + r);
        __mmask16 valid = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GE_OQ) &
                          _mm512_cmp_ps_mask(x, _mm512_set1_ps((float)MR_MASK_CODES), _CMP_LT_OQ);
        __mmask16 none = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        __m512i code = _mm512_mask_cvttps_epi32(_mm512_set1_epi32(255), valid, x);
        code = _mm512_mask_mov_epi32(code, none, _mm512_set1_epi32(missing));
        _mm_store_si128((__m128i *)(void *)(lane + r), _mm512_cvtepi32_epi8(code));
    }
}

static void fill_lanes(const mr_mask_plan *plan, const mr_column *const *inputs, size_t first,
                       size_t count, const work *w)
{
    for (uint32_t f = 0; f < plan->feature_count; f++) {
        const mr_mask_feature *feature = &plan->features[f];
        load_column(inputs[feature->feature], first, count, w->column);
        if (feature->threshold_count > 0)
            rank_feature(plan, feature, w);
        if (feature->codes_left != UINT32_MAX)
            code_lane(w->column, w->lanes + (size_t)ROWS * feature->codes_left, 255);
        if (feature->codes_right != UINT32_MAX)
            code_lane(w->column, w->lanes + (size_t)ROWS * feature->codes_right, MR_MASK_CODES);
    }
}

/* ---- 2: masks ---- */

static void compare_run(const uint8_t *lane, const uint8_t *ranks, uint32_t count, uint8_t *masks)
{
    __m512i rows[8];
    for (int i = 0; i < 8; i++)
        rows[i] = _mm512_load_si512(lane + i * 64);
    for (uint32_t t = 0; t < count; t++) {
        __m512i rank = _mm512_set1_epi8((char)ranks[t]);
        for (int i = 0; i < 8; i++)
            _store_mask64((__mmask64 *)(void *)(masks + (size_t)t * MASK_BYTES + i * 8),
                          _mm512_cmpgt_epu8_mask(rows[i], rank));
    }
}

/* Bit c of the 256-bit set, for 64 codes at once: byte c / 8 by a permute, bit c % 8 by a shuffle. */
static void member_run(const uint8_t *lane, const uint8_t *sets, uint32_t count, uint8_t *masks)
{
    const __m512i bit_of = _mm512_set1_epi64((long long)0x8040201008040201ull);
    for (uint32_t t = 0; t < count; t++) {
        __m512i set = _mm512_broadcast_i64x4(_mm256_loadu_si256(
            (const __m256i *)(const void *)(sets + (size_t)t * MR_MASK_SET_BYTES)));
        for (int i = 0; i < 8; i++) {
            __m512i code = _mm512_load_si512(lane + i * 64);
            __m512i byte = _mm512_and_si512(_mm512_srli_epi16(code, 3), _mm512_set1_epi8(31));
            __m512i bit = _mm512_shuffle_epi8(bit_of, _mm512_and_si512(code, _mm512_set1_epi8(7)));
            _store_mask64((__mmask64 *)(void *)(masks + (size_t)t * MASK_BYTES + i * 8),
                          _mm512_test_epi8_mask(_mm512_permutexvar_epi8(byte, set), bit));
        }
    }
}

static void fill_masks(const mr_mask_plan *plan, const mr_mask_chunk *chunk, const work *w)
{
    uint8_t *masks = w->masks;
    memset(masks, 0, MASK_BYTES);
    masks += MASK_BYTES;
    for (uint32_t i = chunk->first_run; i < chunk->first_run + chunk->run_count; i++) {
        const mr_mask_run *run = &plan->runs[i];
        const uint8_t *lane = w->lanes + (size_t)ROWS * run->lane;
        if (run->is_category)
            member_run(lane, plan->sets + (size_t)run->first_test * MR_MASK_SET_BYTES,
                       run->test_count, masks);
        else
            compare_run(lane, plan->ranks + run->first_test, run->test_count, masks);
        masks += (size_t)run->test_count * MASK_BYTES;
    }
}

/* ---- 3: planes of leaf numbers; planes[i] is bit i ---- */

INLINE void select_1(const uint8_t *masks, const uint32_t *ids, __m512i *planes)
{
    planes[0] = _mm512_load_si512(masks + ids[0]);
}

#define SELECT(height, below)                                                                      \
    INLINE void select_##height(const uint8_t *masks, const uint32_t *ids, __m512i *planes)        \
    {                                                                                              \
        __m512i left[below], right[below];                                                         \
        select_##below(masks, ids, left);                                                          \
        select_##below(masks, ids + (1 << (below)) - 1, right);                                    \
        __m512i mask = _mm512_load_si512(masks + ids[(1 << (height)) - 2]);                        \
        for (int i = 0; i < (below); i++)                                                          \
            planes[i] = _mm512_ternarylogic_epi64(mask, right[i], left[i], 0xca);                  \
        planes[below] = mask;                                                                      \
    }
SELECT(2, 1)
SELECT(3, 2)
SELECT(4, 3)
SELECT(5, 4)
SELECT(6, 5)

/* Above six levels the four or two subtrees are done one after the other: unrolled they would not fit the
 * instruction cache. */
static __attribute__((noinline)) void select_below(const uint8_t *masks, const uint32_t *ids,
                                                   __m512i *planes)
{
    select_6(masks, ids, planes);
}

static void select_7(const uint8_t *masks, const uint32_t *ids, __m512i *planes)
{
    __m512i left[6], right[6];
    select_below(masks, ids, left);
    select_below(masks, ids + 63, right);
    __m512i mask = _mm512_load_si512(masks + ids[126]);
    for (int i = 0; i < 6; i++)
        planes[i] = _mm512_ternarylogic_epi64(mask, right[i], left[i], 0xca);
    planes[6] = mask;
}

static void select_8(const uint8_t *masks, const uint32_t *ids, __m512i *planes)
{
    __m512i left[7], right[7];
    select_7(masks, ids, left);
    select_7(masks, ids + 127, right);
    __m512i mask = _mm512_load_si512(masks + ids[254]);
    for (int i = 0; i < 7; i++)
        planes[i] = _mm512_ternarylogic_epi64(mask, right[i], left[i], 0xca);
    planes[7] = mask;
}

static void select_tree(const uint8_t *masks, const uint32_t *ids, uint32_t depth, __m512i *planes)
{
    for (int i = 0; i < 8; i++)
        planes[i] = _mm512_setzero_si512();
    switch (depth) {
    case 1:
        select_1(masks, ids, planes);
        break;
    case 2:
        select_2(masks, ids, planes);
        break;
    case 3:
        select_3(masks, ids, planes);
        break;
    case 4:
        select_4(masks, ids, planes);
        break;
    case 5:
        select_5(masks, ids, planes);
        break;
    case 6:
        select_6(masks, ids, planes);
        break;
    case 7:
        select_7(masks, ids, planes);
        break;
    default:
        MR_ASSERT_SLOW(depth == 8);
        select_8(masks, ids, planes);
    }
}

/* ---- 4: planes to bytes ---- */

/* Bytes j of the eight planes come together in one 64-bit word (plane of bit i at byte 7 - i), which the affine
 * instruction, given the eight unit vectors, turns by 90 degrees: byte r is the number of row r. */
GFNI static void transpose_planes(const __m512i *p, __m512i *numbers)
{
    const __m512i unit = _mm512_set1_epi64((long long)0x8040201008040201ull);
    __m512i a[2] = {_mm512_unpacklo_epi8(p[7], p[6]), _mm512_unpackhi_epi8(p[7], p[6])};
    __m512i b[2] = {_mm512_unpacklo_epi8(p[5], p[4]), _mm512_unpackhi_epi8(p[5], p[4])};
    __m512i c[2] = {_mm512_unpacklo_epi8(p[3], p[2]), _mm512_unpackhi_epi8(p[3], p[2])};
    __m512i d[2] = {_mm512_unpacklo_epi8(p[1], p[0]), _mm512_unpackhi_epi8(p[1], p[0])};
    for (int i = 0; i < 2; i++) {
        __m512i ab = _mm512_unpacklo_epi16(a[i], b[i]), cd = _mm512_unpacklo_epi16(c[i], d[i]);
        numbers[4 * i + 0] = _mm512_gf2p8affine_epi64_epi8(unit, _mm512_unpacklo_epi32(ab, cd), 0);
        numbers[4 * i + 1] = _mm512_gf2p8affine_epi64_epi8(unit, _mm512_unpackhi_epi32(ab, cd), 0);
        ab = _mm512_unpackhi_epi16(a[i], b[i]);
        cd = _mm512_unpackhi_epi16(c[i], d[i]);
        numbers[4 * i + 2] = _mm512_gf2p8affine_epi64_epi8(unit, _mm512_unpacklo_epi32(ab, cd), 0);
        numbers[4 * i + 3] = _mm512_gf2p8affine_epi64_epi8(unit, _mm512_unpackhi_epi32(ab, cd), 0);
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

INLINE void add_leaves(const uint8_t *table, unsigned bits, __m512i number, __m512 *sums)
{
    size_t size = (size_t)1 << bits;
    __m512i b0 = look_up_byte(table, bits, number), b1 = look_up_byte(table + size, bits, number);
    __m512i b2 = look_up_byte(table + 2 * size, bits, number),
            b3 = look_up_byte(table + 3 * size, bits, number);
    __m512i low = _mm512_unpacklo_epi8(b0, b1), high = _mm512_unpacklo_epi8(b2, b3);
    sums[0] = _mm512_add_ps(sums[0], _mm512_castsi512_ps(_mm512_unpacklo_epi16(low, high)));
    sums[1] = _mm512_add_ps(sums[1], _mm512_castsi512_ps(_mm512_unpackhi_epi16(low, high)));
    low = _mm512_unpackhi_epi8(b0, b1);
    high = _mm512_unpackhi_epi8(b2, b3);
    sums[2] = _mm512_add_ps(sums[2], _mm512_castsi512_ps(_mm512_unpacklo_epi16(low, high)));
    sums[3] = _mm512_add_ps(sums[3], _mm512_castsi512_ps(_mm512_unpackhi_epi16(low, high)));
}

/* Leaves of `count` consecutive trees of one group are added, tree after tree. */
INLINE void add_trees(const mr_mask_plan *plan, uint32_t tree, uint32_t count, unsigned bits,
                      const __m512i *numbers, __m512 *sums)
{
    for (int k = 0; k < 8; k++) {
        __m512 part[4] = {sums[4 * k], sums[4 * k + 1], sums[4 * k + 2], sums[4 * k + 3]};
        for (uint32_t t = 0; t < count; t++)
            add_leaves(plan->leaf_bytes + (((size_t)(tree + t) * 4) << bits), bits,
                       numbers[8 * t + (uint32_t)k], part);
        for (int i = 0; i < 4; i++)
            sums[4 * k + i] = part[i];
    }
}

static void add_trees_any(const mr_mask_plan *plan, uint32_t tree, uint32_t count,
                          const __m512i *numbers, __m512 *sums)
{
    if (plan->leaf_bits == 6 && count == TREES_AT_ONCE)
        add_trees(plan, tree, TREES_AT_ONCE, 6, numbers, sums);
    else if (plan->leaf_bits == 6)
        add_trees(plan, tree, count, 6, numbers, sums);
    else if (plan->leaf_bits == 7)
        add_trees(plan, tree, count, 7, numbers, sums);
    else
        add_trees(plan, tree, count, 8, numbers, sums);
}

/* How many trees from `tree` on, TREES_AT_ONCE at most, add to the same group. */
static uint32_t same_group(const mr_mask_plan *plan, uint32_t tree, uint32_t end)
{
    uint32_t count = 1;
    while (count < TREES_AT_ONCE && tree + count < end &&
           plan->trees[tree + count].group == plan->trees[tree].group)
        count++;
    return count;
}

GFNI static void run_chunk(const mr_mask_plan *plan, const mr_mask_chunk *chunk, const work *w)
{
    uint32_t end = chunk->first_tree + chunk->tree_count, count;
    fill_masks(plan, chunk, w);
    for (uint32_t tree = chunk->first_tree; tree < end; tree += count) {
        __m512i planes[8], numbers[8 * TREES_AT_ONCE];
        count = same_group(plan, tree, end);
        for (uint32_t t = 0; t < count; t++) {
            const mr_mask_tree *at = &plan->trees[tree + t];
            select_tree(w->masks, plan->ids + at->first_id, at->depth, planes);
            transpose_planes(planes, numbers + 8 * (size_t)t);
        }
        add_trees_any(plan, tree, count, numbers,
                      w->sums + (size_t)plan->trees[tree].group * (ROWS / 16));
    }
}

/* ---- the end: rows back in order ---- */

/* Four registers of four 128-bit lanes, transposed: lane l of part p -> part l of the lanes. */
static void order_rows(const __m512 *sums, int k, float *out)
{
    __m512 a = _mm512_shuffle_f32x4(sums[0], sums[1], 0x44),
           b = _mm512_shuffle_f32x4(sums[0], sums[1], 0xee);
    __m512 c = _mm512_shuffle_f32x4(sums[2], sums[3], 0x44),
           d = _mm512_shuffle_f32x4(sums[2], sums[3], 0xee);
    _mm512_storeu_ps(out + 16 * k, _mm512_shuffle_f32x4(a, c, 0x88));
    _mm512_storeu_ps(out + 16 * k + 128, _mm512_shuffle_f32x4(a, c, 0xdd));
    _mm512_storeu_ps(out + 16 * k + 256, _mm512_shuffle_f32x4(b, d, 0x88));
    _mm512_storeu_ps(out + 16 * k + 384, _mm512_shuffle_f32x4(b, d, 0xdd));
}

static void write_margins(const mr_mask_plan *plan, const work *w, size_t count, float *margins,
                          size_t stride)
{
    for (uint32_t g = 0; g < plan->forest->group_count; g++) {
        float *out = count == ROWS ? margins + g * stride : w->column;
        for (int k = 0; k < 8; k++)
            order_rows(w->sums + (size_t)g * (ROWS / 16) + 4 * k, k, out);
        if (out == w->column)
            memcpy(margins + g * stride, out, count * sizeof *out);
    }
}

GFNI static void run_batch(const mr_tree_plan *base, const mr_column *const *inputs, size_t first,
                           size_t count, float *margins, size_t stride, uint8_t *scratch)
{
    const mr_mask_plan *plan = (const mr_mask_plan *)(const void *)base;
    work w = work_of(plan, scratch);
    fill_lanes(plan, inputs, first, count, &w);
    for (uint32_t g = 0; g < plan->forest->group_count; g++)
        for (int i = 0; i < ROWS / 16; i++)
            w.sums[g * (ROWS / 16) + (uint32_t)i] = _mm512_set1_ps(plan->forest->base[g]);
    for (uint32_t c = 0; c < plan->chunk_count; c++)
        run_chunk(plan, &plan->chunks[c], &w);
    write_margins(plan, &w, count, margins, stride);
}

static mr_status make_plan(const mr_forest *forest, const mr_tree_ranks *ranks, bool fast,
                           mr_tree_plan **out, mr_error *err)
{
    (void)fast;
    mr_mask_plan *plan;
    *out = NULL;
    MR_TRY(mr_mask_plan_create(&mr_tree_masks_avx512, forest, ranks, MASK_BYTES, CHUNK_MASKS, &plan,
                               err));
    if (plan != NULL) {
        plan->plan.scratch_bytes = work_bytes(plan);
        *out = &plan->plan;
    }
    return MR_OK;
}

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("gfni");
}

const mr_tree_kernel mr_tree_masks_avx512 = {
    .name = "masks-avx512",
    .cpu = MR_CPU_AVX512,
    .runs_here = runs_here,
    .plan = make_plan,
    .destroy = mr_mask_plan_destroy,
    .batch = run_batch,
};

#endif
