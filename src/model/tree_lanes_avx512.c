/* tree_lanes_avx512.c -- one row: eight trees at a time, three levels of each by one permute and one comparison.
 *
 *   rank .... value -> number of the forest's thresholds of that feature that are <= it (tree_search_avx512.h)
 *   ask ..... a lane of 8 bytes holds the slots of 7 nodes of one tree, breadth first. One permute fetches the ranks of
 *             8 lanes, one comparison answers their 56 questions; the answers, weighed 1, 2, 4, ... and summed up,
 *             are a number of 7 bits per lane, and a table look-up in registers turns it into the exit taken
 *   step .... levels 1-3 lie in order, so they stream. The exit's place gives the address of the record of levels 4-6,
 *             its exit that of the record of levels 7-8 and of its four leaves
 *
 * Per tree that reads 16 bytes in order and two records: what a row needs of a forest is small against what the
 * forest has. The steps run in one loop, each some groups of trees behind the one before (LAG), so that records come
 * from the second-level cache while other trees are asked, and the chain of additions hides behind all of it.
 *
 *   tops:    per 8 trees  | slot x 8 of tree 0 | ... of tree 7 | index x 8 of tree 0 | ... |            128 bytes
 *   middles: per exit     | slot x 8 | index x 8 |                                                       16 bytes
 *   belows:  per exit     | slot x 3 | index x 3 | unused 2 | leaf x 4 |                                 24 bytes
 *   leaves:  per exit     | leaf |  instead, when no tree is deeper than six levels
 *
 * (1) x goes right exactly when rank > index. (2) NaN's rank is 0 in left slots and 255 in right ones; missing nodes
 * and the eighth byte have index 255, which nothing exceeds. (3) Leaves are added one by one in file order. */
#include "model/tree_kernel.h"

#if defined(__x86_64__)

#include "base/assert.h"
#include "model/tree_search_avx512.h"

#include <math.h>
#include <string.h>

#define STEP_LEVELS  3
#define TOP_LEVELS   6
#define DEPTH_MAX    8
#define LANES        8  /* trees in one register */
#define LAG          5  /* groups of trees between one step and the next */
#define RING         16 /* > 3 LAG */
#define SLOTS_MAX    128
#define RANKS_MAX    255 /* thresholds of one feature */
#define TOP_BYTES    128u
#define MIDDLE_BYTES 16u
#define BELOW_BYTES  24u
#define BELOW_LEAVES 8u /* where they begin */
#define TREE_MIDDLES (8 * MIDDLE_BYTES)
#define TREE_BELOWS  (64 * BELOW_BYTES)
#define TREE_LEAVES  (64 * (uint32_t)sizeof(float))
#define NEVER        255
#define INLINE       static inline __attribute__((always_inline))

typedef struct lane_plan {
    mr_tree_plan plan;
    const mr_forest *forest;
    mr_search search;
    uint32_t slot_count;
    bool deep; /* more than six levels */
    uint8_t *tops, *middles;
    uint8_t *ends;                   /* belows, or leaves */
    _Alignas(64) uint8_t exits[128]; /* 7 answers -> which of the 8 ways out of three levels */
} lane_plan;

/* ---- planning ---- */

static void destroy_plan(mr_tree_plan *base)
{
    lane_plan *plan = (lane_plan *)(void *)base;
    mr_search_deinit(&plan->search);
    mr_free(plan->tops);
    mr_free(plan->middles);
    mr_free(plan->ends);
    mr_free(plan);
}

/* Where node `node` (0 to 6) of a block of three levels keeps its slot; the index is `apart` bytes on. */
static uint8_t *place_of(const lane_plan *plan, uint32_t tree, uint32_t level, uint32_t path,
                         uint32_t *apart)
{
    uint32_t below = level % STEP_LEVELS, node = (1u << below) - 1 + (path & ((1u << below) - 1));
    uint32_t exit = path >> below;
    if (level < STEP_LEVELS) {
        *apart = TOP_BYTES / 2;
        return plan->tops + (size_t)(tree / LANES) * TOP_BYTES + (size_t)(tree % LANES) * 8 + node;
    }
    if (level < TOP_LEVELS) {
        *apart = MIDDLE_BYTES / 2;
        return plan->middles + (size_t)tree * TREE_MIDDLES + (size_t)exit * MIDDLE_BYTES + node;
    }
    *apart = 3;
    return plan->ends + (size_t)tree * TREE_BELOWS + (size_t)exit * BELOW_BYTES + node;
}

static void put_leaf(const lane_plan *plan, uint32_t tree, uint32_t level, uint32_t path,
                     float value)
{
    uint32_t leaf = path << ((plan->deep ? DEPTH_MAX : TOP_LEVELS) - level);
    uint8_t *to = plan->deep ? plan->ends + (size_t)tree * TREE_BELOWS +
                                   (size_t)(leaf >> 2) * BELOW_BYTES + BELOW_LEAVES +
                                   sizeof value * (leaf & 3)
                             : plan->ends + (size_t)tree * TREE_LEAVES + sizeof value * leaf;
    memcpy(to, &value, sizeof value);
}

/* The tree below one node; the recursion is as deep as the tree, DEPTH_MAX at most. */
static void lay_tree(const lane_plan *plan, const mr_tree_ranks *ranks, uint32_t tree,
                     uint32_t index, uint32_t level, uint32_t path)
{
    const mr_tree_node *node = &plan->forest->nodes[index];
    if (node->feature == MR_TREE_LEAF) {
        put_leaf(plan, tree, level, path, node->value);
        return;
    }
    uint32_t apart;
    uint8_t *place = place_of(plan, tree, level, path, &apart);
    place[0] = (uint8_t)mr_tree_slot_of(ranks, node);
    place[apart] = (uint8_t)ranks->index[index];
    lay_tree(plan, ranks, tree, node->left, level + 1, path * 2);
    lay_tree(plan, ranks, tree, node->right, level + 1, path * 2 + 1);
}

/* Missing nodes ask slot 0 for a rank above the largest. */
static void lay_blank(const lane_plan *plan, size_t groups)
{
    for (size_t i = 0; i < groups * TOP_BYTES; i++)
        plan->tops[i] = i % TOP_BYTES < TOP_BYTES / 2 ? 0 : NEVER;
    for (size_t i = 0; i < groups * LANES * TREE_MIDDLES; i++)
        plan->middles[i] = i % MIDDLE_BYTES < MIDDLE_BYTES / 2 ? 0 : NEVER;
    for (size_t i = 0; plan->deep && i < groups * LANES * 64; i++)
        memset(plan->ends + i * BELOW_BYTES + 3, NEVER, 3);
}

static mr_status lay_trees(lane_plan *plan, const mr_tree_ranks *ranks, mr_error *err)
{
    const mr_forest *forest = plan->forest;
    size_t groups = ((size_t)forest->tree_count + LANES - 1) / LANES;
    size_t end_bytes = groups * LANES * (plan->deep ? TREE_BELOWS : TREE_LEAVES);
    plan->tops = mr_alloc_aligned(groups * TOP_BYTES);
    plan->middles = mr_alloc_aligned(groups * LANES * TREE_MIDDLES);
    plan->ends = mr_alloc_aligned(end_bytes);
    if (plan->tops == NULL || plan->middles == NULL || plan->ends == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(plan->ends, 0, end_bytes);
    lay_blank(plan, groups);
    for (uint32_t t = 0; t < forest->tree_count; t++)
        lay_tree(plan, ranks, t, forest->firsts[t], 0, 0);
    return mr_search_init(&plan->search, ranks, err);
}

static void fill_exits(lane_plan *plan)
{
    for (unsigned answers = 0; answers < 128; answers++) {
        unsigned a = answers & 1, b = answers >> (1 + a) & 1, c = answers >> (3 + 2 * a + b) & 1;
        plan->exits[answers] = (uint8_t)(4 * a + 2 * b + c);
    }
}

static mr_status make_plan(const mr_forest *forest, const mr_tree_ranks *ranks, bool fast,
                           mr_tree_plan **out, mr_error *err)
{
    (void)fast;
    *out = NULL;
    if (forest->depth_max > DEPTH_MAX || forest->set_count > 0 || forest->tree_count == 0 ||
        ranks->slot_count > SLOTS_MAX || ranks->count_max > RANKS_MAX)
        return MR_OK;
    lane_plan *plan = mr_alloc_aligned(sizeof *plan);
    if (plan == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(plan, 0, sizeof *plan);
    plan->plan = (mr_tree_plan){&mr_tree_lanes_avx512, 0};
    plan->forest = forest;
    plan->slot_count = ranks->slot_count;
    plan->deep = forest->depth_max > TOP_LEVELS;
    fill_exits(plan);
    mr_status status = lay_trees(plan, ranks, err);
    if (status == MR_OK)
        *out = &plan->plan;
    else
        destroy_plan(&plan->plan);
    return status;
}

/* ---- asking ---- */

/* What stays in registers while a row is scored. */
typedef struct row_state {
    __m512i low, high; /* ranks by slot */
    __m512i exits_low, exits_high;
} row_state;

INLINE row_state rank_row(const lane_plan *plan, const float *inputs)
{
    _Alignas(64) uint8_t ranks[SLOTS_MAX];
    for (uint32_t f = 0; f < plan->search.feature_count; f++) {
        const mr_search_feature *feature = &plan->search.features[f];
        float x = inputs[feature->feature];
        uint32_t rank = mr_search_rank(feature, plan->search.keys, x);
        if (feature->left != MR_RANK_NO_SLOT)
            ranks[feature->left] = (uint8_t)rank;
        if (feature->right != MR_RANK_NO_SLOT)
            ranks[feature->right] = (uint8_t)(isnan(x) ? UINT8_MAX : rank);
    }
    return (row_state){_mm512_load_si512(ranks), _mm512_load_si512(ranks + 64),
                       _mm512_load_si512(plan->exits), _mm512_load_si512(plan->exits + 64)};
}

/* Byte 0 of each lane: its answers; bytes whose bit in `weights` is 0 do not count. */
INLINE __m512i ask(const row_state *row, __m512i slots, __m512i indexes, uint64_t weights,
                   bool wide)
{
    __m512i ranks = wide ? _mm512_permutex2var_epi8(row->low, slots, row->high)
                         : _mm512_permutexvar_epi8(slots, row->low);
    __mmask64 right = _mm512_cmpgt_epu8_mask(ranks, indexes);
    __m512i weighed = _mm512_maskz_mov_epi8(right, _mm512_set1_epi64((long long)weights));
    return _mm512_sad_epu8(weighed, _mm512_setzero_si512());
}

#define WEIGHTS_7 0x0040201008040201u
#define WEIGHTS_3 0x0000000000040201u

/* Where the three levels are left, 0 to 7 in each lane; no answers, exit 0, in its other bytes. */
INLINE __m512i exit_of(const row_state *row, __m512i answers)
{
    return _mm512_permutex2var_epi8(row->exits_low, answers, row->exits_high);
}

/* Sixteen bytes at each of eight places; lanes 0, 1 of 128-bit quarter q are records 2q, 2q + 1. */
typedef struct record_pair {
    __m512i low, high; /* first and second halves of eight records, in order */
} record_pair;

INLINE __m512i load_4(const uint8_t *base, const uint64_t *places)
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

INLINE record_pair load_8(const uint8_t *base, const uint64_t *places)
{
    __m512i even = load_4(base, places), odd = load_4(base, places + 1);
    return (record_pair){_mm512_unpacklo_epi64(even, odd), _mm512_unpackhi_epi64(even, odd)};
}

/* ---- four steps; places are bytes from where a group of eight trees begins ---- */

typedef struct place_ring {
    _Alignas(64) uint64_t at[RING][LANES]; /* group g at g % RING */
} place_ring;

INLINE void step_top(const lane_plan *plan, const row_state *row, size_t group, bool wide,
                     uint64_t *places)
{
    const uint8_t *top = plan->tops + group * TOP_BYTES;
    const __m512i starts =
        _mm512_set_epi64(7 * TREE_MIDDLES, 6 * TREE_MIDDLES, 5 * TREE_MIDDLES, 4 * TREE_MIDDLES,
                         3 * TREE_MIDDLES, 2 * TREE_MIDDLES, TREE_MIDDLES, 0);
    __m512i answers =
        ask(row, _mm512_load_si512(top), _mm512_load_si512(top + 64), WEIGHTS_7, wide);
    __m512i exits = _mm512_slli_epi64(exit_of(row, answers), 4);
    _mm512_store_si512(places, _mm512_add_epi64(exits, starts));
}

/* From the place of a middle record to that of the exit's: tree x 128 + exit x 16 becomes tree x 1536 + exit x 192 +
 * exit x 24, or tree x 256 + exit x 32 + exit x 4. */
INLINE void step_middle(const lane_plan *plan, const row_state *row, size_t group, bool wide,
                        bool deep, uint64_t *places)
{
    record_pair r = load_8(plan->middles + group * (LANES * TREE_MIDDLES), places);
    __m512i exits = exit_of(row, ask(row, r.low, r.high, WEIGHTS_7, wide));
    __m512i from = _mm512_load_si512(places);
    __m512i to = deep ? _mm512_add_epi64(_mm512_mul_epu32(from, _mm512_set1_epi64(12)),
                                         _mm512_mul_epu32(exits, _mm512_set1_epi64(24)))
                      : _mm512_add_epi64(_mm512_slli_epi64(from, 1), _mm512_slli_epi64(exits, 2));
    _mm512_store_si512(places, to);
}

INLINE void step_below(const lane_plan *plan, const row_state *row, size_t group, bool wide,
                       uint64_t *places)
{
    /* answers a, b, c -> leaf 2a + (a ? c : b), in bytes */
    const __m512i leaves =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 8, 4, 8, 0, 12, 4, 12, 0, 0, 0, 0, 0, 0, 0, 0));
    __m512i r = load_8(plan->ends + group * (LANES * TREE_BELOWS), places).low;
    __m512i answers = ask(row, r, _mm512_srli_epi64(r, 24), WEIGHTS_3, wide);
    __m512i leaf = _mm512_shuffle_epi8(leaves, answers);
    _mm512_store_si512(places, _mm512_add_epi64(_mm512_load_si512(places), leaf));
}

INLINE float leaf_at(const uint8_t *base, uint64_t place)
{
    float value;
    memcpy(&value, base + place, sizeof value);
    return value;
}

/* Adds one group's leaves; a single sum stays in a register. */
INLINE float step_leaves(const lane_plan *plan, uint32_t group, bool deep, const uint64_t *places,
                         float sum, float *margins)
{
    const mr_forest *forest = plan->forest;
    const uint8_t *base = plan->ends +
                          group * (size_t)(LANES * (deep ? TREE_BELOWS : TREE_LEAVES)) +
                          (deep ? BELOW_LEAVES : 0);
    uint32_t first = group * LANES, count = MR_MIN(forest->tree_count - first, (uint32_t)LANES);
    if (forest->group_count > 1) {
        for (uint32_t t = 0; t < count; t++)
            margins[forest->groups[first + t]] += leaf_at(base, places[t]);
    } else if (count == LANES) {
        for (uint32_t t = 0; t < LANES; t++)
            sum += leaf_at(base, places[t]);
    } else {
        for (uint32_t t = 0; t < count; t++)
            sum += leaf_at(base, places[t]);
    }
    return sum;
}

/* Each round takes every step, for groups LAG apart: the records of one step are on their way while others are asked,
 * and the additions, each of which waits for the one before, are spread among all the rest. */
INLINE void sum_row(const lane_plan *plan, const float *inputs, bool wide, bool deep,
                    float *margins)
{
    const row_state row = rank_row(plan, inputs);
    const uint32_t groups = (plan->forest->tree_count + LANES - 1) / LANES;
    const uint32_t last = deep ? 3 * LAG : 2 * LAG;
    float sum = margins[0];
    place_ring ring;
    for (uint32_t i = 0; i < groups + last; i++) {
        uint32_t middle = i - LAG, below = i - 2 * LAG, leaves = i - last; /* huge before 0 */
        if (i < groups)
            step_top(plan, &row, i, wide, ring.at[i % RING]);
        if (middle < groups)
            step_middle(plan, &row, middle, wide, deep, ring.at[middle % RING]);
        if (deep && below < groups)
            step_below(plan, &row, below, wide, ring.at[below % RING]);
        if (leaves < groups)
            sum = step_leaves(plan, leaves, deep, ring.at[leaves % RING], sum, margins);
    }
    if (plan->forest->group_count == 1)
        margins[0] = sum;
}

static void run_row(const mr_tree_plan *base, const float *inputs, float *margins, uint8_t *scratch)
{
    (void)scratch;
    const lane_plan *plan = (const lane_plan *)(const void *)base;
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
    .destroy = destroy_plan,
    .row = run_row,
};

#endif
