/* tree_lanes_avx512.c -- the lane kernel, eight trees in a register. The idea stands in tree_lanes.h. */
#include "model/tree_lanes.h"

#if defined(__x86_64__)

/* ---- asking ---- */

/* What stays in registers while a row is scored. */
typedef struct row_state {
    __m512i low, high; /* ranks by slot */
    __m512i exits_low, exits_high;
} row_state;

MR_LANE_INLINE row_state rank_row(const mr_lane_plan *plan, const float *inputs)
{
    _Alignas(64) uint8_t ranks[MR_LANE_SLOTS_MAX];
    mr_lane_rank(plan, inputs, ranks);
    return (row_state){_mm512_load_si512(ranks), _mm512_load_si512(ranks + 64),
                       _mm512_load_si512(plan->exits), _mm512_load_si512(plan->exits + 64)};
}

/* Byte 0 of each lane: its answers; bytes whose bit in `weights` is 0 do not count. */
MR_LANE_INLINE __m512i ask(const row_state *row, __m512i slots, __m512i indexes, uint64_t weights,
                           bool wide)
{
    __m512i ranks = wide ? _mm512_permutex2var_epi8(row->low, slots, row->high)
                         : _mm512_permutexvar_epi8(slots, row->low);
    __mmask64 right = _mm512_cmpgt_epu8_mask(ranks, indexes);
    __m512i weighed = _mm512_maskz_mov_epi8(right, _mm512_set1_epi64((long long)weights));
    return _mm512_sad_epu8(weighed, _mm512_setzero_si512());
}

/* Where the three levels are left, 0 to 7 in each lane; no answers, exit 0, in its other bytes. */
MR_LANE_INLINE __m512i exit_of(const row_state *row, __m512i answers)
{
    return _mm512_permutex2var_epi8(row->exits_low, answers, row->exits_high);
}

/* Sixteen bytes at each of eight places; lanes 0, 1 of 128-bit quarter q are records 2q, 2q + 1. */
typedef struct record_pair {
    __m512i low, high; /* first and second halves of eight records, in order */
} record_pair;

MR_LANE_INLINE __m512i load_4(const uint8_t *base, const uint64_t *places)
{
    __m512i all =
        _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)(base + places[0])));
    all = _mm512_inserti32x4(all,
                             _mm_loadu_si128((const __m128i *)(const void *)(base + places[2])), 1);
    all = _mm512_inserti32x4(all,
                             _mm_loadu_si128((const __m128i *)(const void *)(base + places[4])), 2);
    return _mm512_inserti32x4(
        all, _mm_loadu_si128((const __m128i *)(const void *)(base + places[6])), 3);
}

MR_LANE_INLINE record_pair load_8(const uint8_t *base, const uint64_t *places)
{
    __m512i even = load_4(base, places), odd = load_4(base, places + 1);
    return (record_pair){_mm512_unpacklo_epi64(even, odd), _mm512_unpackhi_epi64(even, odd)};
}

/* ---- four steps; places are bytes from where a group of eight trees begins ---- */

MR_LANE_INLINE void step_top(const mr_lane_plan *plan, const row_state *row, size_t group,
                             bool wide, uint64_t *places)
{
    const uint8_t *top = plan->tops + group * MR_LANE_TOP_BYTES;
    const __m512i starts = _mm512_set_epi64(7 * MR_LANE_TREE_MIDDLES, 6 * MR_LANE_TREE_MIDDLES,
                                            5 * MR_LANE_TREE_MIDDLES, 4 * MR_LANE_TREE_MIDDLES,
                                            3 * MR_LANE_TREE_MIDDLES, 2 * MR_LANE_TREE_MIDDLES,
                                            MR_LANE_TREE_MIDDLES, 0);
    __m512i answers =
        ask(row, _mm512_load_si512(top), _mm512_load_si512(top + 64), MR_LANE_WEIGHTS_7, wide);
    __m512i exits = _mm512_slli_epi64(exit_of(row, answers), 4);
    _mm512_store_si512(places, _mm512_add_epi64(exits, starts));
}

/* From the place of a middle record to that of the exit's: tree x 128 + exit x 16 becomes tree x 1536 + exit x 192 +
 * exit x 24, or tree x 256 + exit x 32 + exit x 4. */
MR_LANE_INLINE void step_middle(const mr_lane_plan *plan, const row_state *row, size_t group,
                                bool wide, bool deep, uint64_t *places)
{
    record_pair r = load_8(plan->middles + group * (MR_LANES * MR_LANE_TREE_MIDDLES), places);
    __m512i exits = exit_of(row, ask(row, r.low, r.high, MR_LANE_WEIGHTS_7, wide));
    __m512i from = _mm512_load_si512(places);
    __m512i to = deep ? _mm512_add_epi64(_mm512_mul_epu32(from, _mm512_set1_epi64(12)),
                                         _mm512_mul_epu32(exits, _mm512_set1_epi64(24)))
                      : _mm512_add_epi64(_mm512_slli_epi64(from, 1), _mm512_slli_epi64(exits, 2));
    _mm512_store_si512(places, to);
}

MR_LANE_INLINE void step_below(const mr_lane_plan *plan, const row_state *row, size_t group,
                               bool wide, uint64_t *places)
{
    /* answers a, b, c -> leaf 2a + (a ? c : b), in bytes */
    const __m512i leaves =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 8, 4, 8, 0, 12, 4, 12, 0, 0, 0, 0, 0, 0, 0, 0));
    __m512i r = load_8(plan->ends + group * (MR_LANES * MR_LANE_TREE_BELOWS), places).low;
    __m512i answers = ask(row, r, _mm512_srli_epi64(r, 24), MR_LANE_WEIGHTS_3, wide);
    __m512i leaf = _mm512_shuffle_epi8(leaves, answers);
    _mm512_store_si512(places, _mm512_add_epi64(_mm512_load_si512(places), leaf));
}

/* Each round takes every step, for groups MR_LANE_LAG apart: the records of one step are on their way while others are asked,
 * and the additions, each of which waits for the one before, are spread among all the rest. */
MR_LANE_INLINE void sum_row(const mr_lane_plan *plan, const float *inputs, bool wide, bool deep,
                            float *margins)
{
    const row_state row = rank_row(plan, inputs);
    const uint32_t groups = (plan->forest->tree_count + MR_LANES - 1) / MR_LANES;
    const uint32_t last = deep ? 3 * MR_LANE_LAG : 2 * MR_LANE_LAG;
    float sum = margins[0];
    mr_lane_ring ring;
    for (uint32_t i = 0; i < groups + last; i++) {
        uint32_t middle = i - MR_LANE_LAG, below = i - 2 * MR_LANE_LAG,
                 leaves = i - last; /* huge before 0 */
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
    bool wide = plan->slot_count > 64;
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
    return mr_lane_plan_create(&mr_tree_lanes_avx512, forest, ranks, MR_LANE_SLOTS_MAX, out, err);
}

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi");
}

const mr_tree_kernel mr_tree_lanes_avx512 = {
    .name = "lanes-avx512",
    .cpu = MR_CPU_AVX512,
    .runs_here = runs_here,
    .plan = make_plan,
    .destroy = mr_lane_plan_destroy,
    .row = run_row,
};

#endif
