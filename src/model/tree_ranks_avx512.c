/* tree_ranks_avx512.c -- one row of a forest with more than 255 thresholds of a feature: whole trees by permute and compare.
 *
 *   top ..... 63 nodes of a tree hold (slot, rank index): two permutes fetch 63 ranks, two comparisons answer all
 *             questions, 64 bits; two table look-ups of 7 bits follow the path through six levels
 *   below ... up to two more levels are walked, for the one subtree that was reached. Tops of 64 trees go first:
 *             their exits' cache lines are on the way while the next tops are asked
 *
 *   bits of a top:  | 6..0: levels 1-3, breadth first | then 8 groups of 7: levels 4-6 below each of the 8 exits |
 *
 * Ranks are 16 bits here; with fewer thresholds eight trees are asked at once (tree_lanes_avx512.c).
 * (1) x goes right exactly when rank > index. (2) NaN's rank is 0 in left slots and the largest
 * number in right ones; missing nodes have the largest index, which nothing exceeds. */
#include "model/tree_kernel.h"

#if defined(__x86_64__)

#include "base/assert.h"
#include "model/tree_search.h"

#include <math.h>
#include <string.h>

#define TOP_NODES     63
#define TOP_LEVELS    6
#define DEPTH_MAX     8
#define TREES_AT_ONCE 64 /* tops asked before what is below them */
#define SLOTS_MAX     64
#define TREES_MAX     1000000u /* exits are found by 32-bit offsets */
#define INLINE        static inline __attribute__((always_inline))

typedef struct question {
    uint16_t slot, index;
} question;

/* What stands below one exit of a top: slots of the nodes of level 7 (0) and level 8 (1 and 2, its children), their
 * indices, and four leaves (two with one level below). As small as can be: the exits of a large forest
 * compete for the second-level cache.
 *   | slot x 3 | index x 3 | unused 4 | leaf x 4 | 32 bytes */
#define EXIT_BYTES  32u
#define EXIT_LEAVES 16u

/* Following 7 answers through three levels: the exit, and where its group of bits begins. */
typedef struct path_table {
    uint8_t exits[128], shifts[128];
} path_table;

typedef struct rank_plan {
    mr_tree_plan plan;
    path_table paths;
    const mr_forest *forest;
    mr_search search;
    uint32_t below_levels; /* 0, 1 or 2 */
    uint16_t *tops;        /* per tree: 64 slots, 64 indices */
    uint8_t *belows;       /* per tree: 64 */
    float *leaves;         /* per tree: 64, when nothing is below */
} rank_plan;

/* ---- planning ---- */

static void destroy_plan(mr_tree_plan *base)
{
    rank_plan *plan = (rank_plan *)(void *)base;
    mr_search_deinit(&plan->search);
    mr_free(plan->tops);
    mr_free(plan->belows);
    mr_free(plan->leaves);
    mr_free(plan);
}

/* Bit of the node at `level` (0 to 5) reached by the turns in `path`, most significant first. */
static uint32_t top_bit(uint32_t level, uint32_t path)
{
    if (level < 3)
        return (1u << level) - 1 + path;
    uint32_t below_level = level - 3, exit = path >> below_level;
    return 7 + 7 * exit + (1u << below_level) - 1 + (path & ((1u << below_level) - 1));
}

static void put_top(const rank_plan *plan, uint32_t tree, uint32_t bit, question asked)
{
    uint16_t *top = plan->tops + (size_t)tree * 128;
    top[bit] = asked.slot;
    top[64 + bit] = asked.index;
}

static uint8_t *exit_at(const rank_plan *plan, uint32_t tree, uint32_t exit)
{
    return plan->belows + ((size_t)tree * 64 + exit) * EXIT_BYTES;
}

static void put_below(uint8_t *exit, uint32_t node, question asked)
{
    memcpy(exit + 2 * node, &asked.slot, 2);
    memcpy(exit + 6 + 2 * node, &asked.index, 2);
}

static void put_leaf(rank_plan *plan, uint32_t tree, uint32_t level, uint32_t path, float value)
{
    uint32_t below = plan->below_levels, leaf = path << (TOP_LEVELS + below - level);
    if (below == 0)
        plan->leaves[(size_t)tree * 64 + leaf] = value;
    else
        memcpy(exit_at(plan, tree, leaf >> below) + EXIT_LEAVES +
                   sizeof value * (leaf & ((1u << below) - 1)),
               &value, sizeof value);
}

/* The tree below one node; the recursion is as deep as the tree, DEPTH_MAX at most. */
static void lay_tree(rank_plan *plan, const mr_tree_ranks *ranks, uint32_t tree, uint32_t index,
                     uint32_t level, uint32_t path)
{
    const mr_tree_node *node = &plan->forest->nodes[index];
    if (node->feature == MR_TREE_LEAF) {
        put_leaf(plan, tree, level, path, node->value);
        return;
    }
    question asked = {(uint16_t)mr_tree_slot_of(ranks, node), (uint16_t)ranks->index[index]};
    if (level < TOP_LEVELS)
        put_top(plan, tree, top_bit(level, path), asked);
    else if (level == TOP_LEVELS)
        put_below(exit_at(plan, tree, path), 0, asked);
    else
        put_below(exit_at(plan, tree, path >> 1), 1 + (path & 1), asked);
    lay_tree(plan, ranks, tree, node->left, level + 1, path * 2);
    lay_tree(plan, ranks, tree, node->right, level + 1, path * 2 + 1);
}

/* Missing nodes ask slot 0 for a rank above the largest: never. */
static void lay_blank(rank_plan *plan)
{
    const question never = {0, UINT16_MAX};
    for (uint32_t t = 0; t < plan->forest->tree_count; t++) {
        for (uint32_t bit = 0; bit < 64; bit++)
            put_top(plan, t, bit, never);
        for (uint32_t i = 0; plan->below_levels > 0 && i < 64 * 3; i++)
            put_below(exit_at(plan, t, i / 3), i % 3, never);
    }
}

static mr_status lay_trees(rank_plan *plan, const mr_tree_ranks *ranks, mr_error *err)
{
    const mr_forest *forest = plan->forest;
    size_t trees = forest->tree_count;
    plan->below_levels = forest->depth_max > TOP_LEVELS ? forest->depth_max - TOP_LEVELS : 0;
    bool below = plan->below_levels > 0;
    size_t below_bytes = below ? trees * 64 * EXIT_BYTES : 1;
    plan->tops = mr_alloc_aligned(trees * 128 * sizeof *plan->tops);
    plan->belows = mr_alloc_aligned(below_bytes);
    plan->leaves = mr_alloc_aligned(below ? 1 : trees * 64 * sizeof(float));
    if (plan->tops == NULL || plan->belows == NULL || plan->leaves == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(plan->belows, 0, below_bytes);
    if (!below)
        memset(plan->leaves, 0, trees * 64 * sizeof(float));
    lay_blank(plan);
    for (uint32_t t = 0; t < forest->tree_count; t++)
        lay_tree(plan, ranks, t, forest->firsts[t], 0, 0);
    return mr_search_init(&plan->search, ranks, err);
}

/* In each plan, not once at start: code of this file must not run before the processor was asked. */
static void fill_paths(path_table *paths)
{
    for (unsigned answers = 0; answers < 128; answers++) {
        unsigned a = answers & 1, b = answers >> (1 + a) & 1, c = answers >> (3 + 2 * a + b) & 1;
        unsigned exit = 4 * a + 2 * b + c;
        paths->exits[answers] = (uint8_t)exit;
        paths->shifts[answers] = (uint8_t)(7 + 7 * exit);
    }
}

static mr_status make_plan(const mr_forest *forest, const mr_tree_ranks *ranks, bool fast,
                           mr_tree_plan **out, mr_error *err)
{
    (void)fast;
    *out = NULL;
    if (forest->tree_count > TREES_MAX || forest->depth_max > DEPTH_MAX || forest->set_count > 0 ||
        forest->tree_count == 0 || ranks->slot_count > SLOTS_MAX ||
        ranks->count_max > MR_SEARCH_THRESHOLDS_MAX)
        return MR_OK;
    rank_plan *plan = MR_NEW(rank_plan);
    if (plan == NULL)
        return MR_OUT_OF_MEMORY(err);
    plan->plan.kernel = &mr_tree_ranks_avx512;
    plan->forest = forest;
    fill_paths(&plan->paths);
    mr_status status = lay_trees(plan, ranks, err);
    if (status == MR_OK)
        *out = &plan->plan;
    else
        destroy_plan(&plan->plan);
    return status;
}

/* ---- ranks ---- */

INLINE void rank_all(const rank_plan *plan, const float *inputs, uint16_t *ranks)
{
    for (uint32_t f = 0; f < plan->search.feature_count; f++) {
        const mr_search_feature *feature = &plan->search.features[f];
        float x = inputs[feature->feature];
        uint32_t rank = mr_search_rank(feature, plan->search.keys, x);
        if (feature->left != MR_RANK_NO_SLOT)
            ranks[feature->left] = (uint16_t)rank;
        if (feature->right != MR_RANK_NO_SLOT)
            ranks[feature->right] = (uint16_t)(isnan(x) ? UINT16_MAX : rank);
    }
}

/* ---- trees ---- */

INLINE uint32_t follow(const path_table *paths, uint64_t answers)
{
    unsigned first = answers & 127;
    return paths->exits[first] * 8u + paths->exits[answers >> paths->shifts[first] & 127];
}

INLINE uint64_t ask(const uint16_t *top, __m512i low, __m512i high)
{
    __m512i a = _mm512_permutex2var_epi16(low, _mm512_load_si512(top), high);
    __m512i b = _mm512_permutex2var_epi16(low, _mm512_load_si512(top + 32), high);
    return (uint64_t)_mm512_cmpgt_epu16_mask(a, _mm512_load_si512(top + 64)) |
           (uint64_t)_mm512_cmpgt_epu16_mask(b, _mm512_load_si512(top + 96)) << 32;
}

INLINE uint32_t ask_one(const uint16_t *ranks, const uint8_t *exit, uint32_t node)
{
    uint16_t slot, index;
    memcpy(&slot, exit + 2 * node, sizeof slot);
    memcpy(&index, exit + 6 + 2 * node, sizeof index);
    return ranks[slot] > index;
}

/* Levels 7 and 8 below an exit. */
INLINE float walk_below(const uint8_t *exit, const uint16_t *ranks, uint32_t levels)
{
    uint32_t leaf = ask_one(ranks, exit, 0);
    if (levels == 2)
        leaf = leaf * 2 + ask_one(ranks, exit, 1 + leaf);
    float value;
    memcpy(&value, exit + EXIT_LEAVES + leaf * sizeof value, sizeof value);
    return value;
}

INLINE uint32_t exit_of(const rank_plan *plan, uint32_t tree, __m512i low, __m512i high)
{
    return follow(&plan->paths, ask(plan->tops + (size_t)tree * 128, low, high));
}

/* Exits of `count` trees from `tree` on; what stands below them is called into the cache. */
INLINE void find_exits(const rank_plan *plan, uint32_t tree, uint32_t count, __m512i low,
                       __m512i high, uint32_t *exits)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t exit = exit_of(plan, tree + i, low, high) + (tree + i) * 64;
        exits[i] = exit * EXIT_BYTES;
        _mm_prefetch((const char *)plan->belows + exits[i], _MM_HINT_T0);
    }
}

/* Trees of up to six levels: each is done when its top is. */
INLINE void sum_tops(const rank_plan *plan, __m512i low, __m512i high, float *margins)
{
    const mr_forest *forest = plan->forest;
    if (forest->group_count > 1) {
        for (uint32_t t = 0; t < forest->tree_count; t++)
            margins[forest->groups[t]] +=
                plan->leaves[(size_t)t * 64 + exit_of(plan, t, low, high)];
        return;
    }
    float sum = margins[0];
    for (uint32_t t = 0; t < forest->tree_count; t++)
        sum += plan->leaves[(size_t)t * 64 + exit_of(plan, t, low, high)];
    margins[0] = sum;
}

INLINE void sum_exits(const rank_plan *plan, uint32_t tree, uint32_t count, uint32_t levels,
                      const uint16_t *ranks, const uint32_t *exits, float *margins)
{
    const mr_forest *forest = plan->forest;
    if (forest->group_count > 1) {
        for (uint32_t i = 0; i < count; i++)
            margins[forest->groups[tree + i]] += walk_below(plan->belows + exits[i], ranks, levels);
        return;
    }
    float sum = margins[0];
    for (uint32_t i = 0; i < count; i++)
        sum += walk_below(plan->belows + exits[i], ranks, levels);
    margins[0] = sum;
}

INLINE void sum_row(const rank_plan *plan, const float *inputs, uint32_t levels, float *margins)
{
    _Alignas(64) uint16_t ranks[SLOTS_MAX];
    rank_all(plan, inputs, ranks);
    __m512i low = _mm512_load_si512(ranks), high = _mm512_load_si512(ranks + 32);
    if (levels == 0) {
        sum_tops(plan, low, high, margins);
        return;
    }
    uint32_t exits[TREES_AT_ONCE], trees = plan->forest->tree_count;
    for (uint32_t t = 0; t < trees; t += TREES_AT_ONCE) {
        uint32_t count = MR_MIN(trees - t, (uint32_t)TREES_AT_ONCE);
        find_exits(plan, t, count, low, high, exits);
        sum_exits(plan, t, count, levels, ranks, exits, margins);
    }
}

static void run_row(const mr_tree_plan *base, const float *inputs, float *margins, uint8_t *scratch)
{
    (void)scratch;
    const rank_plan *plan = (const rank_plan *)(const void *)base;
    memcpy(margins, plan->forest->base, sizeof *margins * plan->forest->group_count);
    if (plan->below_levels == 0)
        sum_row(plan, inputs, 0, margins);
    else if (plan->below_levels == 1)
        sum_row(plan, inputs, 1, margins);
    else
        sum_row(plan, inputs, 2, margins);
}

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vbmi");
}

const mr_tree_kernel mr_tree_ranks_avx512 = {
    .name = "ranks-avx512",
    .cpu = MR_CPU_AVX512,
    .runs_here = runs_here,
    .plan = make_plan,
    .destroy = destroy_plan,
    .row = run_row,
};

#endif
