/* tree_ranks_avx512.c -- one row: every feature's rank once, then whole trees by permute and compare.
 *
 *   rank .... value -> number of the forest's thresholds of that feature that are <= it: a search tree with 16
 *             keys per step, one vector comparison each (after Khuong, Morin, "Array layouts for comparison-based
 *             searching", JEA 2017, and Lemire's and Slotin's SIMD variants)
 *   top ..... 63 nodes of a tree hold (slot, rank index): one permute fetches 63 ranks, one comparison answers all
 *             questions, 64 bits; two table look-ups of 7 bits follow the path through six levels
 *   below ... up to two more levels are walked, for the one subtree that was reached. Tops of 64 trees go first:
 *             their exits' cache lines are on the way while the next tops are asked
 *
 *   bits of a top:  | 6..0: levels 1-3, breadth first | then 8 groups of 7: levels 4-6 below each of the 8 exits |
 *
 * A slot is (feature, side that NaN takes); ranks are bytes when every feature has at most 255 thresholds and
 * words else. (1) x goes right exactly when rank > index. (2) NaN's rank is 0 in left slots and the largest
 * number in right ones; missing nodes have the largest index, which nothing exceeds. */
#include "model/tree_kernel.h"

#if defined(__x86_64__)

#include "base/assert.h"

#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOP_NODES      63
#define TOP_LEVELS     6
#define DEPTH_MAX      8
#define TREES_AT_ONCE  64 /* tops asked before what is below them */
#define SLOTS_MAX      128
#define WORD_SLOTS_MAX 64
#define THRESHOLDS_MAX 65534u
#define SEARCH_LEVELS  4        /* 16^4 > THRESHOLDS_MAX */
#define TREES_MAX      1000000u /* exits are found by 32-bit offsets */
#define NO_SLOT        UINT32_MAX
#define INLINE         static inline __attribute__((always_inline))

typedef struct rank_feature {
    uint32_t feature, count;       /* thresholds */
    uint32_t levels;               /* of the search */
    uint32_t first[SEARCH_LEVELS]; /* first key of each level, 0: all thresholds in order */
    uint32_t left, right;          /* slots */
} rank_feature;

typedef struct question {
    uint16_t slot, index;
} question;

/* What stands below one exit of a top: slots of the nodes of level 7 (0) and level 8 (1 and 2, its children), their
 * indices, and four leaves (two with one level below). As small as can be: the exits of a large forest
 * compete for the second-level cache.
 *   bytes: | slot x 3 | index x 3 | unused 2 | leaf x 4 | 24 bytes
 *   words: | slot x 3 | index x 3 | unused 4 | leaf x 4 | 32 bytes */
#define EXIT_BYTES(words)  ((words) ? 32u : 24u)
#define EXIT_LEAVES(words) ((words) ? 16u : 8u)

/* Following 7 answers through three levels: the exit, and where its group of bits begins. */
typedef struct path_table {
    uint8_t exits[128], shifts[128];
} path_table;

typedef struct rank_plan {
    mr_tree_plan plan;
    path_table paths;
    const mr_forest *forest;
    uint32_t feature_count, slot_count;
    bool words, fast;
    uint32_t below_levels; /* 0, 1 or 2 */
    rank_feature *features;
    float *keys;
    uint8_t *tops;   /* per tree: 64 slots, 64 indices; as bytes or words */
    uint8_t *belows; /* per tree: 64 */
    float *leaves;   /* per tree: 64 << below_levels */
} rank_plan;

/* ---- planning ---- */

static void destroy_plan(mr_tree_plan *base)
{
    rank_plan *plan = (rank_plan *)(void *)base;
    mr_free(plan->features);
    mr_free(plan->keys);
    mr_free(plan->tops);
    mr_free(plan->belows);
    mr_free(plan->leaves);
    mr_free(plan);
}

static int by_value(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

static uint32_t unique(float *values, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || values[kept - 1] < values[i])
            values[kept++] = values[i];
    return kept;
}

/* Slots and counts of thresholds, doubles included. False: too many. */
static bool list_features(rank_plan *plan, uint32_t *feature_at)
{
    const mr_forest *forest = plan->forest;
    for (uint32_t i = 0; i < forest->node_count; i++) {
        const mr_tree_node *node = &forest->nodes[i];
        if (node->feature == MR_TREE_LEAF)
            continue;
        if (feature_at[node->feature] == 0) {
            if (plan->feature_count == SLOTS_MAX)
                return false;
            plan->features[plan->feature_count] =
                (rank_feature){.feature = node->feature, .left = NO_SLOT, .right = NO_SLOT};
            feature_at[node->feature] = ++plan->feature_count;
        }
        rank_feature *feature = &plan->features[feature_at[node->feature] - 1];
        uint32_t *slot = node->default_left ? &feature->left : &feature->right;
        if (*slot == NO_SLOT)
            *slot = plan->slot_count++;
        feature->count++;
    }
    return plan->slot_count <= SLOTS_MAX;
}

/* Level l + 1 has every 16th key of level l; each level is padded to a multiple of 16 with NaN, which no
 * comparison counts. */
static uint32_t lay_search(rank_feature *feature, const float *sorted, float *keys, uint32_t next)
{
    uint32_t count = feature->count;
    for (feature->levels = 0;; feature->levels++) {
        uint32_t step = 1u << (4 * feature->levels), padded = (count + 15) / 16 * 16;
        MR_ASSERT(feature->levels < SEARCH_LEVELS);
        feature->first[feature->levels] = next;
        for (uint32_t i = 0; i < padded; i++)
            keys[next + i] = i < count ? sorted[(size_t)i * step] : NAN;
        next += padded;
        if (count <= 16) {
            feature->levels++;
            return next;
        }
        count = (count + 15) / 16;
    }
}

/* values: all thresholds, the features behind each other. */
static bool lay_searches(rank_plan *plan, float *values, const uint32_t *starts)
{
    uint32_t next = 0;
    for (uint32_t f = 0; f < plan->feature_count; f++) {
        rank_feature *feature = &plan->features[f];
        qsort(values + starts[f], feature->count, sizeof *values, by_value);
        feature->count = unique(values + starts[f], feature->count);
        plan->words |= feature->count > 255;
        if (feature->count > THRESHOLDS_MAX)
            return false;
        next = lay_search(feature, values + starts[f], plan->keys, next);
    }
    return !plan->words || plan->slot_count <= WORD_SLOTS_MAX;
}

static void gather_thresholds(const rank_plan *plan, const uint32_t *feature_at, float *values,
                              uint32_t *starts)
{
    const mr_forest *forest = plan->forest;
    uint32_t next = 0;
    for (uint32_t f = 0; f < plan->feature_count; f++) {
        starts[f] = next;
        next += plan->features[f].count;
    }
    for (uint32_t i = 0; i < forest->node_count; i++)
        if (forest->nodes[i].feature != MR_TREE_LEAF)
            values[starts[feature_at[forest->nodes[i].feature] - 1]++] = forest->nodes[i].value;
    for (uint32_t f = 0; f < plan->feature_count; f++)
        starts[f] -= plan->features[f].count;
}

static uint32_t index_of(const rank_plan *plan, const rank_feature *feature, float value)
{
    const float *keys = plan->keys + feature->first[0];
    uint32_t low = 0, high = feature->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (keys[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static question question_of(const rank_plan *plan, const uint32_t *feature_at,
                            const mr_tree_node *node)
{
    const rank_feature *feature = &plan->features[feature_at[node->feature] - 1];
    return (question){(uint16_t)(node->default_left ? feature->left : feature->right),
                      (uint16_t)index_of(plan, feature, node->value)};
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
    if (plan->words) {
        uint16_t *top = (uint16_t *)(void *)plan->tops + (size_t)tree * 128;
        top[bit] = asked.slot;
        top[64 + bit] = asked.index;
    } else {
        uint8_t *top = plan->tops + (size_t)tree * 128;
        top[bit] = (uint8_t)asked.slot;
        top[64 + bit] = (uint8_t)asked.index;
    }
}

static uint8_t *exit_at(const rank_plan *plan, uint32_t tree, uint32_t exit)
{
    return plan->belows + ((size_t)tree * 64 + exit) * EXIT_BYTES(plan->words);
}

static void put_below(const rank_plan *plan, uint8_t *exit, uint32_t node, question asked)
{
    if (plan->words) {
        memcpy(exit + 2 * node, &asked.slot, 2);
        memcpy(exit + 6 + 2 * node, &asked.index, 2);
    } else {
        exit[node] = (uint8_t)asked.slot;
        exit[3 + node] = (uint8_t)asked.index;
    }
}

static void put_leaf(rank_plan *plan, uint32_t tree, uint32_t level, uint32_t path, float value)
{
    uint32_t below = plan->below_levels, leaf = path << (TOP_LEVELS + below - level);
    if (below == 0)
        plan->leaves[(size_t)tree * 64 + leaf] = value;
    else
        memcpy(exit_at(plan, tree, leaf >> below) + EXIT_LEAVES(plan->words) +
                   sizeof value * (leaf & ((1u << below) - 1)),
               &value, sizeof value);
}

/* The tree below one node; the recursion is as deep as the tree, DEPTH_MAX at most. */
static void lay_tree(rank_plan *plan, const uint32_t *feature_at, uint32_t tree, uint32_t index,
                     uint32_t level, uint32_t path)
{
    const mr_tree_node *node = &plan->forest->nodes[index];
    if (node->feature == MR_TREE_LEAF) {
        put_leaf(plan, tree, level, path, node->value);
        return;
    }
    question asked = question_of(plan, feature_at, node);
    if (level < TOP_LEVELS)
        put_top(plan, tree, top_bit(level, path), asked);
    else if (level == TOP_LEVELS)
        put_below(plan, exit_at(plan, tree, path), 0, asked);
    else
        put_below(plan, exit_at(plan, tree, path >> 1), 1 + (path & 1), asked);
    lay_tree(plan, feature_at, tree, node->left, level + 1, path * 2);
    lay_tree(plan, feature_at, tree, node->right, level + 1, path * 2 + 1);
}

/* Missing nodes ask slot 0 for a rank above the largest: never. */
static void lay_blank(rank_plan *plan)
{
    const uint16_t top = plan->words ? UINT16_MAX : UINT8_MAX;
    const question never = {0, top};
    for (uint32_t t = 0; t < plan->forest->tree_count; t++) {
        for (uint32_t bit = 0; bit < 64; bit++)
            put_top(plan, t, bit, never);
        for (uint32_t i = 0; plan->below_levels > 0 && i < 64 * 3; i++)
            put_below(plan, exit_at(plan, t, i / 3), i % 3, never);
    }
}

static mr_status lay_trees(rank_plan *plan, const uint32_t *feature_at, mr_error *err)
{
    const mr_forest *forest = plan->forest;
    size_t trees = forest->tree_count;
    plan->below_levels = forest->depth_max > TOP_LEVELS ? forest->depth_max - TOP_LEVELS : 0;
    bool below = plan->below_levels > 0;
    size_t below_bytes = below ? trees * 64 * EXIT_BYTES(plan->words) : 1;
    plan->tops = mr_alloc_aligned(trees * 128 * (plan->words ? 2 : 1));
    plan->belows = mr_alloc_aligned(below_bytes);
    plan->leaves = mr_alloc_aligned(below ? 1 : trees * 64 * sizeof(float));
    if (plan->tops == NULL || plan->belows == NULL || plan->leaves == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(plan->belows, 0, below_bytes);
    if (!below)
        memset(plan->leaves, 0, trees * 64 * sizeof(float));
    lay_blank(plan);
    for (uint32_t t = 0; t < forest->tree_count; t++)
        lay_tree(plan, feature_at, t, forest->firsts[t], 0, 0);
    return MR_OK;
}

static mr_status fill_plan(rank_plan *plan, uint32_t *feature_at, float *values, bool *out_fits,
                           mr_error *err)
{
    uint32_t starts[SLOTS_MAX];
    *out_fits = false;
    if (!list_features(plan, feature_at))
        return MR_OK;
    gather_thresholds(plan, feature_at, values, starts);
    if (!lay_searches(plan, values, starts))
        return MR_OK;
    *out_fits = true;
    return lay_trees(plan, feature_at, err);
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

static mr_status make_plan(const mr_forest *forest, bool fast, mr_tree_plan **out, mr_error *err)
{
    *out = NULL;
    if (forest->tree_count > TREES_MAX || forest->depth_max > DEPTH_MAX || forest->set_count > 0 ||
        forest->tree_count == 0)
        return MR_OK;
    rank_plan *plan = MR_NEW(rank_plan);
    uint32_t *feature_at = mr_alloc_zero(forest->feature_count, sizeof *feature_at);
    float *values = mr_alloc(sizeof *values * ((size_t)forest->node_count + 1));
    mr_status status = MR_NO_MEMORY;
    bool fits = false;
    if (plan != NULL) {
        *plan = (rank_plan){
            .plan = {.kernel = &mr_tree_ranks_avx512, .scratch_bytes = 64},
            .forest = forest,
            .fast = fast,
            .features = mr_alloc_zero(SLOTS_MAX, sizeof *plan->features),
            /* levels add a fifteenth, padding 16 keys a level */
            .keys = mr_alloc_aligned(sizeof(float) * ((size_t)forest->node_count * 17 / 16 +
                                                      SLOTS_MAX * SEARCH_LEVELS * 16))};
        fill_paths(&plan->paths);
        if (feature_at != NULL && values != NULL && plan->features != NULL && plan->keys != NULL)
            status = fill_plan(plan, feature_at, values, &fits, err);
        if (status == MR_OK && fits)
            *out = &plan->plan;
        else
            destroy_plan(&plan->plan);
    }
    mr_free(feature_at);
    mr_free(values);
    return status == MR_NO_MEMORY ? MR_OUT_OF_MEMORY(err) : status;
}

/* ---- ranks ---- */

/* Number of thresholds <= x. At each level the key before the reached block is <= x. */
INLINE uint32_t search(const rank_feature *feature, const float *keys, __m512 x)
{
    uint32_t block = 0, count = 0;
    for (uint32_t level = feature->levels; level-- > 0;) {
        __m512 row = _mm512_load_ps(keys + feature->first[level] + (size_t)block * 16);
        count = (uint32_t)_mm_popcnt_u32(_mm512_cmp_ps_mask(x, row, _CMP_GE_OQ));
        if (level > 0)
            block = block * 16 + (count > 0 ? count - 1 : 0);
    }
    return block * 16 + count;
}

typedef struct rank_set {
    _Alignas(64) uint16_t words[SLOTS_MAX];
    _Alignas(64) uint8_t bytes[SLOTS_MAX];
} rank_set;

INLINE void rank_all(const rank_plan *plan, const float *inputs, bool words, rank_set *ranks)
{
    for (uint32_t f = 0; f < plan->feature_count; f++) {
        const rank_feature *feature = &plan->features[f];
        float x = inputs[feature->feature];
        uint32_t rank = search(feature, plan->keys, _mm512_set1_ps(x));
        uint32_t right = isnan(x) ? (words ? UINT16_MAX : UINT8_MAX) : rank;
        if (words && feature->left != NO_SLOT)
            ranks->words[feature->left] = (uint16_t)rank;
        if (words && feature->right != NO_SLOT)
            ranks->words[feature->right] = (uint16_t)right;
        if (!words && feature->left != NO_SLOT)
            ranks->bytes[feature->left] = (uint8_t)rank;
        if (!words && feature->right != NO_SLOT)
            ranks->bytes[feature->right] = (uint8_t)right;
    }
}

/* ---- trees ---- */

INLINE uint32_t follow(const path_table *paths, uint64_t answers)
{
    unsigned first = answers & 127;
    return paths->exits[first] * 8u + paths->exits[answers >> paths->shifts[first] & 127];
}

INLINE uint64_t ask_bytes(const uint8_t *top, __m512i low, __m512i high, bool wide)
{
    __m512i slots = _mm512_load_si512(top);
    __m512i ranks =
        wide ? _mm512_permutex2var_epi8(low, slots, high) : _mm512_permutexvar_epi8(slots, low);
    return _mm512_cmpgt_epu8_mask(ranks, _mm512_load_si512(top + 64));
}

INLINE uint64_t ask_words(const uint16_t *top, __m512i low, __m512i high)
{
    __m512i a = _mm512_permutex2var_epi16(low, _mm512_load_si512(top), high);
    __m512i b = _mm512_permutex2var_epi16(low, _mm512_load_si512(top + 32), high);
    return (uint64_t)_mm512_cmpgt_epu16_mask(a, _mm512_load_si512(top + 64)) |
           (uint64_t)_mm512_cmpgt_epu16_mask(b, _mm512_load_si512(top + 96)) << 32;
}

INLINE uint32_t ask_one(const rank_set *ranks, bool words, const uint8_t *exit, uint32_t node)
{
    if (!words)
        return ranks->bytes[exit[node]] > exit[3 + node];
    uint16_t slot, index;
    memcpy(&slot, exit + 2 * node, sizeof slot);
    memcpy(&index, exit + 6 + 2 * node, sizeof index);
    return ranks->words[slot] > index;
}

/* Levels 7 and 8 below an exit. */
INLINE float walk_below(const uint8_t *exit, const rank_set *ranks, bool words, uint32_t levels)
{
    uint32_t leaf = ask_one(ranks, words, exit, 0);
    if (levels == 2)
        leaf = leaf * 2 + ask_one(ranks, words, exit, 1 + leaf);
    float value;
    memcpy(&value, exit + EXIT_LEAVES(words) + leaf * sizeof value, sizeof value);
    return value;
}

typedef enum rank_shape { BYTES_64, BYTES_128, WORDS_64 } rank_shape;

INLINE uint32_t exit_of(const rank_plan *plan, uint32_t tree, rank_shape shape, __m512i low,
                        __m512i high)
{
    size_t at = (size_t)tree * 128;
    return follow(&plan->paths,
                  shape == WORDS_64
                      ? ask_words((const uint16_t *)(const void *)plan->tops + at, low, high)
                      : ask_bytes(plan->tops + at, low, high, shape == BYTES_128));
}

/* Exits of `count` trees from `tree` on; what stands below them is called into the cache. */
INLINE void find_exits(const rank_plan *plan, uint32_t tree, uint32_t count, rank_shape shape,
                       __m512i low, __m512i high, uint32_t *exits)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t exit = exit_of(plan, tree + i, shape, low, high) + (tree + i) * 64;
        exits[i] = exit * EXIT_BYTES(shape == WORDS_64);
        _mm_prefetch((const char *)plan->belows + exits[i], _MM_HINT_T0);
    }
}

/* Trees of up to six levels: each is done when its top is. */
INLINE void sum_tops(const rank_plan *plan, rank_shape shape, __m512i low, __m512i high,
                     float *margins)
{
    const mr_forest *forest = plan->forest;
    if (forest->group_count > 1) {
        for (uint32_t t = 0; t < forest->tree_count; t++)
            margins[forest->groups[t]] +=
                plan->leaves[(size_t)t * 64 + exit_of(plan, t, shape, low, high)];
        return;
    }
    float sum = margins[0];
    for (uint32_t t = 0; t < forest->tree_count; t++)
        sum += plan->leaves[(size_t)t * 64 + exit_of(plan, t, shape, low, high)];
    margins[0] = sum;
}

INLINE void sum_exits(const rank_plan *plan, uint32_t tree, uint32_t count, rank_shape shape,
                      uint32_t levels, const rank_set *ranks, const uint32_t *exits, float *margins)
{
    const mr_forest *forest = plan->forest;
    bool words = shape == WORDS_64;
    if (forest->group_count > 1) {
        for (uint32_t i = 0; i < count; i++)
            margins[forest->groups[tree + i]] +=
                walk_below(plan->belows + exits[i], ranks, words, levels);
        return;
    }
    float sum = margins[0];
    for (uint32_t i = 0; i < count; i++)
        sum += walk_below(plan->belows + exits[i], ranks, words, levels);
    margins[0] = sum;
}

INLINE void sum_row(const rank_plan *plan, const float *inputs, rank_shape shape, uint32_t levels,
                    float *margins)
{
    rank_set ranks;
    rank_all(plan, inputs, shape == WORDS_64, &ranks);
    const uint8_t *from = shape == WORDS_64 ? (const uint8_t *)ranks.words : ranks.bytes;
    __m512i low = _mm512_load_si512(from), high = _mm512_load_si512(from + 64);
    if (levels == 0) {
        sum_tops(plan, shape, low, high, margins);
        return;
    }
    uint32_t exits[TREES_AT_ONCE], trees = plan->forest->tree_count;
    for (uint32_t t = 0; t < trees; t += TREES_AT_ONCE) {
        uint32_t count = MR_MIN(trees - t, (uint32_t)TREES_AT_ONCE);
        find_exits(plan, t, count, shape, low, high, exits);
        sum_exits(plan, t, count, shape, levels, &ranks, exits, margins);
    }
}

static void run_row(const mr_tree_plan *base, const float *inputs, float *margins, uint8_t *scratch)
{
    (void)scratch;
    const rank_plan *plan = (const rank_plan *)(const void *)base;
    memcpy(margins, plan->forest->base, sizeof *margins * plan->forest->group_count);
    switch ((plan->words ? 6u : plan->slot_count > 64 ? 3u : 0u) + plan->below_levels) {
    case 0:
        sum_row(plan, inputs, BYTES_64, 0, margins);
        break;
    case 1:
        sum_row(plan, inputs, BYTES_64, 1, margins);
        break;
    case 2:
        sum_row(plan, inputs, BYTES_64, 2, margins);
        break;
    case 3:
        sum_row(plan, inputs, BYTES_128, 0, margins);
        break;
    case 4:
        sum_row(plan, inputs, BYTES_128, 1, margins);
        break;
    case 5:
        sum_row(plan, inputs, BYTES_128, 2, margins);
        break;
    case 6:
        sum_row(plan, inputs, WORDS_64, 0, margins);
        break;
    case 7:
        sum_row(plan, inputs, WORDS_64, 1, margins);
        break;
    default:
        sum_row(plan, inputs, WORDS_64, 2, margins);
    }
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
