/* tree_masks_avx2.c -- the mask kernel on 256-bit registers: 256 rows at a time (see tree_masks.h).
 *
 * As tree_masks_avx512.c, with what AVX2 has: bit planes are turned into leaf numbers by three rounds of exchanging
 * off-diagonal blocks (Warren, "Hacker's Delight", 7-3), and leaves are gathered. */
#include "model/tree_masks.h"

#if defined(__x86_64__)

#include "base/assert.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ROWS        256
#define MASK_BYTES  32
#define CHUNK_MASKS 4096 /* 128 KiB of masks */
#define INLINE      static inline __attribute__((always_inline))

typedef struct work {
    float *column;
    uint16_t *left, *right; /* ranks of one feature, per side of NaN */
    uint8_t *lanes, *masks;
    float *sums; /* per group ROWS, in order */
} work;

static size_t work_bytes(const mr_mask_plan *plan)
{
    return ROWS * (sizeof(float) + 2 * sizeof(uint16_t)) + (size_t)ROWS * plan->lane_count +
           (size_t)MASK_BYTES * plan->mask_count_max +
           sizeof(float) * ROWS * plan->forest->group_count + MR_ALIGN;
}

static work work_of(const mr_mask_plan *plan, uint8_t *scratch)
{
    work w = {.column = (float *)(void *)scratch};
    w.left = (uint16_t *)(void *)(w.column + ROWS);
    w.right = w.left + ROWS;
    w.lanes = (uint8_t *)(w.right + ROWS);
    w.sums = (float *)(void *)(w.lanes + (size_t)ROWS * plan->lane_count);
    w.masks = (uint8_t *)(w.sums + (size_t)ROWS * plan->forest->group_count);
    return w;
}

/* ---- ranks ---- */

INLINE __m256 look_up(const float *table, unsigned level, __m256i index)
{
    if (level <= 3)
        return _mm256_permutevar8x32_ps(_mm256_load_ps(table), index);
    return _mm256_i32gather_ps(table, index, 4);
}

/* Thresholds <= x of eight rows; NaN counts none. */
INLINE __m256i rank_8(const float *tables, unsigned levels, __m256 x)
{
    __m256i index = _mm256_setzero_si256();
    for (unsigned level = 0; level < levels; level++) {
        __m256 threshold = look_up(tables + mr_mask_level(level), level, index);
        __m256i right = _mm256_castps_si256(_mm256_cmp_ps(x, threshold, _CMP_GE_OQ));
        index = _mm256_sub_epi32(_mm256_add_epi32(index, index), right);
    }
    return index;
}

/* Sixteen 32-bit numbers to 16 bits, in order. */
INLINE __m256i pack_words(__m256i a, __m256i b)
{
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);
}

static void rank_words(const mr_mask_plan *plan, const mr_mask_feature *feature, const work *w)
{
    const float *tables = plan->tables + feature->first_float;
    const __m256i most = _mm256_set1_epi32(65535);
    for (size_t r = 0; r < ROWS; r += 16) {
        __m256 x = _mm256_load_ps(w->column + r), y = _mm256_load_ps(w->column + r + 8);
        __m256i a = rank_8(tables, feature->level_count, x),
                b = rank_8(tables, feature->level_count, y);
        _mm256_store_si256((__m256i *)(void *)(w->left + r), pack_words(a, b));
        a = _mm256_blendv_epi8(a, most, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
        b = _mm256_blendv_epi8(b, most, _mm256_castps_si256(_mm256_cmp_ps(y, y, _CMP_UNORD_Q)));
        _mm256_store_si256((__m256i *)(void *)(w->right + r), pack_words(a, b));
    }
}

/* Segment s of the ranks: min(max(rank - 255 s, 0), 255), a lane each. */
static void cut_segments(const uint16_t *ranks, uint32_t lane, uint32_t segments, uint8_t *lanes)
{
    for (uint32_t s = 0; s < segments; s++) {
        __m256i low = _mm256_set1_epi16((short)(s * MR_MASK_LANE_RANKS)),
                high = _mm256_set1_epi16(255);
        for (size_t r = 0; r < ROWS; r += 32) {
            __m256i a = _mm256_load_si256((const __m256i *)(const void *)(ranks + r));
            __m256i b = _mm256_load_si256((const __m256i *)(const void *)(ranks + r + 16));
            a = _mm256_min_epu16(_mm256_subs_epu16(a, low), high);
            b = _mm256_min_epu16(_mm256_subs_epu16(b, low), high);
            _mm256_store_si256((__m256i *)(void *)(lanes + (size_t)ROWS * (lane + s) + r),
                               _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xd8));
        }
    }
}

static void code_lane(const float *column, uint8_t *lane, uint8_t missing)
{
    for (size_t r = 0; r < ROWS; r++) {
        float x = column[r];
        lane[r] = isnan(x) ? missing : x >= 0.0f && x < (float)MR_MASK_CODES ? (uint8_t)x : 255;
    }
}

static void fill_lanes(const mr_mask_plan *plan, const mr_column *const *inputs, size_t first,
                       size_t count, const work *w)
{
    for (uint32_t f = 0; f < plan->feature_count; f++) {
        const mr_mask_feature *feature = &plan->features[f];
        mr_model_convert(inputs[feature->feature], first, count, w->column);
        memset(w->column + count, 0, (ROWS - count) * sizeof *w->column);
        if (feature->threshold_count > 0)
            rank_words(plan, feature, w);
        if (feature->lane_left != UINT32_MAX)
            cut_segments(w->left, feature->lane_left, feature->segment_count, w->lanes);
        if (feature->lane_right != UINT32_MAX)
            cut_segments(w->right, feature->lane_right, feature->segment_count, w->lanes);
        if (feature->codes_left != UINT32_MAX)
            code_lane(w->column, w->lanes + (size_t)ROWS * feature->codes_left, 255);
        if (feature->codes_right != UINT32_MAX)
            code_lane(w->column, w->lanes + (size_t)ROWS * feature->codes_right, MR_MASK_CODES);
    }
}

/* ---- masks ---- */

static void put_bits(uint8_t *mask, size_t i, __m256i bytes)
{
    int bits = _mm256_movemask_epi8(bytes);
    memcpy(mask + i * sizeof bits, &bits, sizeof bits);
}

/* byte > rank, unsigned: max(byte, rank + 1) == byte; ranks of questions are 254 at most. */
static void compare_run(const uint8_t *lane, const uint8_t *ranks, uint32_t count, uint8_t *masks)
{
    __m256i rows[8];
    for (size_t i = 0; i < 8; i++)
        rows[i] = _mm256_load_si256((const __m256i *)(const void *)(lane + i * 32));
    for (uint32_t t = 0; t < count; t++) {
        __m256i above = _mm256_set1_epi8((char)(ranks[t] + 1));
        for (size_t i = 0; i < 8; i++)
            put_bits(masks + (size_t)t * MASK_BYTES, i,
                     _mm256_cmpeq_epi8(_mm256_max_epu8(rows[i], above), rows[i]));
    }
}

/* Bit c of a set of 256: byte c / 8 from two halves by shuffles, bit c % 8 by another. */
INLINE __m256i is_member(__m256i code, __m256i low, __m256i high)
{
    const __m256i bit_of = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    __m256i byte = _mm256_and_si256(_mm256_srli_epi16(code, 3), _mm256_set1_epi8(31));
    __m256i bits =
        _mm256_blendv_epi8(_mm256_shuffle_epi8(low, byte), _mm256_shuffle_epi8(high, byte), code);
    __m256i bit = _mm256_shuffle_epi8(bit_of, _mm256_and_si256(code, _mm256_set1_epi8(7)));
    return _mm256_cmpeq_epi8(_mm256_and_si256(bits, bit), bit);
}

static void member_run(const uint8_t *lane, const uint8_t *sets, uint32_t count, uint8_t *masks)
{
    for (uint32_t t = 0; t < count; t++) {
        const __m128i *set = (const __m128i *)(const void *)(sets + (size_t)t * MR_MASK_SET_BYTES);
        __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128(set));
        __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128(set + 1));
        for (size_t i = 0; i < 8; i++) {
            __m256i code = _mm256_load_si256((const __m256i *)(const void *)(lane + i * 32));
            put_bits(masks + (size_t)t * MASK_BYTES, i, is_member(code, low, high));
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

/* ---- planes of leaf numbers; planes[i] is bit i ---- */

INLINE __m256i load_mask(const uint8_t *masks, uint32_t id)
{
    return _mm256_load_si256((const __m256i *)(const void *)(masks + id));
}

INLINE __m256i choose(__m256i mask, __m256i right, __m256i left)
{
    return _mm256_xor_si256(left, _mm256_and_si256(mask, _mm256_xor_si256(left, right)));
}

INLINE void select_1(const uint8_t *masks, const uint32_t *ids, __m256i *planes)
{
    planes[0] = load_mask(masks, ids[0]);
}

#define SELECT(height, below, form)                                                                \
    form void select_##height(const uint8_t *masks, const uint32_t *ids, __m256i *planes)          \
    {                                                                                              \
        __m256i left[below], right[below];                                                         \
        select_##below(masks, ids, left);                                                          \
        select_##below(masks, ids + (1 << (below)) - 1, right);                                    \
        __m256i mask = load_mask(masks, ids[(1 << (height)) - 2]);                                 \
        for (int i = 0; i < (below); i++)                                                          \
            planes[i] = choose(mask, right[i], left[i]);                                           \
        planes[below] = mask;                                                                      \
    }
SELECT(2, 1, INLINE)
SELECT(3, 2, INLINE)
SELECT(4, 3, INLINE)
SELECT(5, 4, static) /* from here on as calls: the registers are used up */
SELECT(6, 5, static)
SELECT(7, 6, static)
SELECT(8, 7, static)

static void select_tree(const uint8_t *masks, const uint32_t *ids, uint32_t depth, __m256i *planes)
{
    static void (*const by_depth[])(const uint8_t *, const uint32_t *, __m256i *) = {
        NULL, select_1, select_2, select_3, select_4, select_5, select_6, select_7, select_8};
    MR_ASSERT_SLOW(depth >= 1 && depth <= MR_MASK_DEPTH_MAX);
    for (int i = 0; i < 8; i++)
        planes[i] = _mm256_setzero_si256();
    by_depth[depth](masks, ids, planes);
}

/* ---- planes to bytes, and leaves ---- */

INLINE __m256i exchange(__m256i x, int shift, long long blocks)
{
    __m256i t = _mm256_and_si256(_mm256_xor_si256(x, _mm256_srli_epi64(x, shift)),
                                 _mm256_set1_epi64x(blocks));
    return _mm256_xor_si256(x, _mm256_xor_si256(t, _mm256_slli_epi64(t, shift)));
}

/* Byte i of each 64-bit word is of plane i: afterwards byte r is the number of row r. */
INLINE __m256i transpose_bits(__m256i x)
{
    x = exchange(x, 7, 0x00aa00aa00aa00aall);
    x = exchange(x, 14, 0x0000cccc0000ccccll);
    return exchange(x, 28, 0x00000000f0f0f0f0ll);
}

/* Register k, lane l: numbers of rows 128 l + 16 k to 128 l + 16 k + 15. */
static void transpose_planes(const __m256i *p, __m256i *numbers)
{
    __m256i a[2] = {_mm256_unpacklo_epi8(p[0], p[1]), _mm256_unpackhi_epi8(p[0], p[1])};
    __m256i b[2] = {_mm256_unpacklo_epi8(p[2], p[3]), _mm256_unpackhi_epi8(p[2], p[3])};
    __m256i c[2] = {_mm256_unpacklo_epi8(p[4], p[5]), _mm256_unpackhi_epi8(p[4], p[5])};
    __m256i d[2] = {_mm256_unpacklo_epi8(p[6], p[7]), _mm256_unpackhi_epi8(p[6], p[7])};
    for (int i = 0; i < 2; i++) {
        __m256i ab = _mm256_unpacklo_epi16(a[i], b[i]), cd = _mm256_unpacklo_epi16(c[i], d[i]);
        numbers[4 * i + 0] = transpose_bits(_mm256_unpacklo_epi32(ab, cd));
        numbers[4 * i + 1] = transpose_bits(_mm256_unpackhi_epi32(ab, cd));
        ab = _mm256_unpackhi_epi16(a[i], b[i]);
        cd = _mm256_unpackhi_epi16(c[i], d[i]);
        numbers[4 * i + 2] = transpose_bits(_mm256_unpacklo_epi32(ab, cd));
        numbers[4 * i + 3] = transpose_bits(_mm256_unpackhi_epi32(ab, cd));
    }
}

INLINE void add_8(const float *leaves, __m128i numbers, float *sums)
{
    __m256 leaf = _mm256_i32gather_ps(leaves, _mm256_cvtepu8_epi32(numbers), 4);
    _mm256_store_ps(sums, _mm256_add_ps(_mm256_load_ps(sums), leaf));
}

static void add_leaves(const float *leaves, const __m256i *numbers, float *sums)
{
    for (size_t k = 0; k < 8; k++) {
        __m128i low = _mm256_castsi256_si128(numbers[k]),
                high = _mm256_extracti128_si256(numbers[k], 1);
        add_8(leaves, low, sums + 16 * k);
        add_8(leaves, _mm_srli_si128(low, 8), sums + 16 * k + 8);
        add_8(leaves, high, sums + 16 * k + 128);
        add_8(leaves, _mm_srli_si128(high, 8), sums + 16 * k + 136);
    }
}

static void run_chunk(const mr_mask_plan *plan, const mr_mask_chunk *chunk, const work *w)
{
    fill_masks(plan, chunk, w);
    for (uint32_t t = chunk->first_tree; t < chunk->first_tree + chunk->tree_count; t++) {
        const mr_mask_tree *tree = &plan->trees[t];
        __m256i planes[8], numbers[8];
        select_tree(w->masks, plan->ids + tree->first_id, tree->depth, planes);
        transpose_planes(planes, numbers);
        add_leaves(plan->leaves + ((size_t)t << plan->leaf_bits), numbers,
                   w->sums + (size_t)ROWS * tree->group);
    }
}

static void run_block(const mr_mask_plan *plan, const mr_column *const *inputs, size_t first,
                      size_t count, float *margins, size_t stride, const work *w)
{
    fill_lanes(plan, inputs, first, count, w);
    for (uint32_t g = 0; g < plan->forest->group_count; g++)
        for (size_t r = 0; r < ROWS; r++)
            w->sums[(size_t)ROWS * g + r] = plan->forest->base[g];
    for (uint32_t c = 0; c < plan->chunk_count; c++)
        run_chunk(plan, &plan->chunks[c], w);
    for (uint32_t g = 0; g < plan->forest->group_count; g++)
        memcpy(margins + g * stride, w->sums + (size_t)ROWS * g, count * sizeof *margins);
}

static void run_batch(const mr_tree_plan *base, const mr_column *const *inputs, size_t first,
                      size_t count, float *margins, size_t stride, uint8_t *scratch)
{
    const mr_mask_plan *plan = (const mr_mask_plan *)(const void *)base;
    work w = work_of(plan, scratch);
    for (size_t at = 0; at < count; at += ROWS)
        run_block(plan, inputs, first + at, MR_MIN(count - at, (size_t)ROWS), margins + at, stride,
                  &w);
}

static mr_status make_plan(const mr_forest *forest, const mr_tree_ranks *ranks, bool fast,
                           mr_tree_plan **out, mr_error *err)
{
    (void)fast;
    mr_mask_plan *plan;
    *out = NULL;
    MR_TRY(mr_mask_plan_create(&mr_tree_masks_avx2, forest, ranks, MASK_BYTES, CHUNK_MASKS, &plan,
                               err));
    if (plan != NULL) {
        plan->plan.scratch_bytes = work_bytes(plan);
        *out = &plan->plan;
    }
    return MR_OK;
}

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

const mr_tree_kernel mr_tree_masks_avx2 = {
    .name = "masks-avx2",
    .cpu = MR_CPU_AVX2,
    .runs_here = runs_here,
    .plan = make_plan,
    .destroy = mr_mask_plan_destroy,
    .batch = run_batch,
};

#endif
