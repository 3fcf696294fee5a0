/* tree_lanes_avx2.c -- the lane kernel, a group of eight trees as two registers of four. The idea stands in tree_lanes.h.
 *
 * Where AVX-512 permutes 64 bytes, here 16 ranks at a time are looked up and two bits of the slot choose among four such
 * answers (one bit among two, below 33 slots). The exit of three levels is worked out: two answers by a table
 * of 8, the third by a shift. */
#include "model/tree_lanes.h"

#if defined(__x86_64__)

#define SLOTS_MAX 64
#define HALF      4 /* trees in a register */

/* What stays in registers while a row is scored: 16 ranks each, in both halves. */
typedef struct row_state {
    __m256i ranks[4];
} row_state;

MR_LANE_INLINE row_state rank_row(const mr_lane_plan *plan, const float *inputs)
{
    _Alignas(64) uint8_t ranks[MR_LANE_SLOTS_MAX];
    row_state row;
    mr_lane_rank(plan, inputs, ranks);
    for (int i = 0; i < 4; i++)
        row.ranks[i] = _mm256_broadcastsi128_si256(
            _mm_load_si128((const __m128i *)(const void *)(ranks + 16 * i)));
    return row;
}

/* ---- asking ---- */

/* A look-up takes the lower four bits; bits 4 and 5, moved to the top of their bytes, choose. */
MR_LANE_INLINE __m256i ranks_of(const row_state *row, __m256i slots, bool wide)
{
    __m256i by_4 = _mm256_slli_epi16(slots, 3), by_5 = _mm256_slli_epi16(slots, 2);
    __m256i low = _mm256_blendv_epi8(_mm256_shuffle_epi8(row->ranks[0], slots),
                                     _mm256_shuffle_epi8(row->ranks[1], slots), by_4);
    if (!wide)
        return low;
    __m256i high = _mm256_blendv_epi8(_mm256_shuffle_epi8(row->ranks[2], slots),
                                      _mm256_shuffle_epi8(row->ranks[3], slots), by_4);
    return _mm256_blendv_epi8(low, high, by_5);
}

/* Byte 0 of each lane: its answers; bytes that weigh nothing do not count. */
MR_LANE_INLINE __m256i ask(const row_state *row, __m256i slots, __m256i indexes, int64_t weights,
                           bool wide)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i above = _mm256_subs_epu8(ranks_of(row, slots, wide), indexes);
    __m256i left = _mm256_cmpeq_epi8(above, zero);
    return _mm256_sad_epu8(_mm256_andnot_si256(left, _mm256_set1_epi64x(weights)), zero);
}

/* Answers a, b, c of two levels -> way out 2a + (a ? c : b). */
MR_LANE_INLINE __m256i pair_of(__m256i answers)
{
    const __m256i pairs =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 1, 2, 0, 3, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0));
    return _mm256_shuffle_epi8(pairs, answers);
}

MR_LANE_INLINE __m256i exit_of(__m256i answers)
{
    __m256i pair = pair_of(_mm256_and_si256(answers, _mm256_set1_epi64x(7)));
    __m256i third = _mm256_srlv_epi64(answers, _mm256_add_epi64(pair, _mm256_set1_epi64x(3)));
    return _mm256_add_epi64(_mm256_add_epi64(pair, pair),
                            _mm256_and_si256(third, _mm256_set1_epi64x(1)));
}

MR_LANE_INLINE __m256i load_2(const uint8_t *a, const uint8_t *b)
{
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)a)),
        _mm_loadu_si128((const __m128i *)(const void *)b), 1);
}

/* First and second halves of four records of 16 bytes, in order. */
typedef struct record_pair {
    __m256i low, high;
} record_pair;

MR_LANE_INLINE record_pair load_records(const uint8_t *base, const uint64_t *places)
{
    __m256i even = load_2(base + places[0], base + places[2]);
    __m256i odd = load_2(base + places[1], base + places[3]);
    return (record_pair){_mm256_unpacklo_epi64(even, odd), _mm256_unpackhi_epi64(even, odd)};
}

MR_LANE_INLINE __m256i load_4(const void *from)
{
    return _mm256_load_si256((const __m256i *)from);
}

/* ---- four steps ---- */

MR_LANE_INLINE void step_top(const mr_lane_plan *plan, const row_state *row, size_t group,
                             bool wide, uint64_t *places)
{
    const uint8_t *top = plan->tops + group * MR_LANE_TOP_BYTES;
    for (uint32_t h = 0; h < MR_LANES; h += HALF) {
        const int64_t each = MR_LANE_TREE_MIDDLES;
        __m256i starts =
            _mm256_set_epi64x((h + 3) * each, (h + 2) * each, (h + 1) * each, h * each);
        __m256i answers =
            ask(row, load_4(top + 8 * h), load_4(top + 64 + 8 * h), MR_LANE_WEIGHTS_7, wide);
        _mm256_store_si256((__m256i *)(void *)(places + h),
                           _mm256_add_epi64(_mm256_slli_epi64(exit_of(answers), 4), starts));
    }
}

/* From the place of a middle record to that of the exit's, as in tree_lanes_avx512.c. */
MR_LANE_INLINE void step_middle(const mr_lane_plan *plan, const row_state *row, size_t group,
                                bool wide, bool deep, uint64_t *places)
{
    const uint8_t *base = plan->middles + group * (MR_LANES * MR_LANE_TREE_MIDDLES);
    for (uint32_t h = 0; h < MR_LANES; h += HALF) {
        record_pair r = load_records(base, places + h);
        __m256i exits = exit_of(ask(row, r.low, r.high, MR_LANE_WEIGHTS_7, wide));
        __m256i from = load_4(places + h);
        __m256i to =
            deep ? _mm256_add_epi64(_mm256_mul_epu32(from, _mm256_set1_epi64x(12)),
                                    _mm256_mul_epu32(exits, _mm256_set1_epi64x(24)))
                 : _mm256_add_epi64(_mm256_slli_epi64(from, 1), _mm256_slli_epi64(exits, 2));
        _mm256_store_si256((__m256i *)(void *)(places + h), to);
    }
}

MR_LANE_INLINE void step_below(const mr_lane_plan *plan, const row_state *row, size_t group,
                               bool wide, uint64_t *places)
{
    const uint8_t *base = plan->ends + group * (MR_LANES * MR_LANE_TREE_BELOWS);
    for (uint32_t h = 0; h < MR_LANES; h += HALF) {
        __m256i r = load_records(base, places + h).low;
        __m256i answers = ask(row, r, _mm256_srli_epi64(r, 24), MR_LANE_WEIGHTS_3, wide);
        __m256i leaf = _mm256_slli_epi64(pair_of(answers), 2);
        _mm256_store_si256((__m256i *)(void *)(places + h),
                           _mm256_add_epi64(load_4(places + h), leaf));
    }
}

/* Rounds as in tree_lanes_avx512.c. */
MR_LANE_INLINE void sum_row(const mr_lane_plan *plan, const float *inputs, bool wide, bool deep,
                            float *margins)
{
    const row_state row = rank_row(plan, inputs);
    const uint32_t groups = (plan->forest->tree_count + MR_LANES - 1) / MR_LANES;
    const uint32_t last = deep ? 3 * MR_LANE_LAG : 2 * MR_LANE_LAG;
    float sum = margins[0];
    mr_lane_ring ring;
    for (uint32_t i = 0; i < groups + last; i++) {
        uint32_t middle = i - MR_LANE_LAG, below = i - 2 * MR_LANE_LAG, leaves = i - last;
        if (i < groups)
            step_top(plan, &row, i, wide, ring.at[i % MR_LANE_RING]);
        if (middle < groups)
            step_middle(plan, &row, middle, wide, deep, ring.at[middle % MR_LANE_RING]);
        if (deep && below < groups)
            step_below(plan, &row, below, wide, ring.at[below % MR_LANE_RING]);
        if (leaves < groups)
            sum = mr_lane_add_leaves(plan, leaves, deep, ring.at[leaves % MR_LANE_RING], sum,
                                     margins);
    }
    if (plan->forest->group_count == 1)
        margins[0] = sum;
}

static void run_row(const mr_tree_plan *base, const float *inputs, float *margins, uint8_t *scratch)
{
    (void)scratch;
    const mr_lane_plan *plan = (const mr_lane_plan *)(const void *)base;
    memcpy(margins, plan->forest->base, sizeof *margins * plan->forest->group_count);
    bool wide = plan->slot_count > SLOTS_MAX / 2;
    if (wide && plan->deep)
        sum_row(plan, inputs, true, true, margins);
    else if (wide)
        sum_row(plan, inputs, true, false, margins);
    else if (plan->deep)
        sum_row(plan, inputs, false, true, margins);
    else
        sum_row(plan, inputs, false, false, margins);
}

static mr_status make_plan(const mr_forest *forest, const mr_tree_ranks *ranks, bool fast,
                           mr_tree_plan **out, mr_error *err)
{
    (void)fast;
    return mr_lane_plan_create(&mr_tree_lanes_avx2, forest, ranks, SLOTS_MAX, out, err);
}

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

const mr_tree_kernel mr_tree_lanes_avx2 = {
    .name = "lanes-avx2",
    .cpu = MR_CPU_AVX2,
    .runs_here = runs_here,
    .plan = make_plan,
    .destroy = mr_lane_plan_destroy,
    .row = run_row,
};

#endif
