/* tree_ranks.c -- sorts the thresholds of a forest, each feature's by themselves, and numbers them. */
#include "model/tree_ranks.h"

#include "base/assert.h"
#include "model/tree_kernel.h"

#include <string.h>

#define DIGIT_BITS 11 /* of a 32-bit key: three passes */
#define DIGITS     (1u << DIGIT_BITS)
#define FEW        64 /* so many are sorted by insertion */

void mr_tree_ranks_destroy(mr_tree_ranks *ranks)
{
    if (ranks == NULL)
        return;
    mr_free(ranks->features);
    mr_free(ranks->feature_at);
    mr_free(ranks->thresholds);
    mr_free(ranks->index);
    mr_free(ranks);
}

/* ---- features and slots ---- */

static void count_features(const mr_forest *forest, mr_tree_ranks *ranks)
{
    for (uint32_t i = 0; i < forest->node_count; i++)
        if (mr_tree_compares(&forest->nodes[i]))
            ranks->feature_at[forest->nodes[i].feature]++;
}

/* Counts become numbers; thresholds lie behind each other, those asked twice still twice. */
static mr_status list_features(const mr_forest *forest, mr_tree_ranks *ranks, mr_error *err)
{
    uint32_t used = 0, next = 0;
    for (uint32_t f = 0; f < forest->feature_count; f++)
        used += ranks->feature_at[f] > 0;
    ranks->features = mr_alloc_zero((size_t)used + 1, sizeof *ranks->features);
    if (ranks->features == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t f = 0; f < forest->feature_count; f++) {
        uint32_t count = ranks->feature_at[f];
        if (count == 0)
            continue;
        ranks->features[ranks->feature_count] =
            (mr_rank_feature){f, next, 0, MR_RANK_NO_SLOT, MR_RANK_NO_SLOT};
        ranks->feature_at[f] = ++ranks->feature_count;
        next += count;
    }
    return MR_OK;
}

static void number_slots(const mr_forest *forest, mr_tree_ranks *ranks)
{
    for (uint32_t i = 0; i < forest->node_count; i++) {
        const mr_tree_node *node = &forest->nodes[i];
        if (!mr_tree_compares(node))
            continue;
        mr_rank_feature *feature = &ranks->features[ranks->feature_at[node->feature] - 1];
        uint32_t *slot = node->default_left ? &feature->left : &feature->right;
        if (*slot == MR_RANK_NO_SLOT)
            *slot = ranks->slot_count++;
    }
}

/* ---- thresholds ---- */

/* A threshold's key above, its node below. */
static void gather(const mr_forest *forest, mr_tree_ranks *ranks, uint64_t *pairs)
{
    for (uint32_t i = 0; i < forest->node_count; i++) {
        const mr_tree_node *node = &forest->nodes[i];
        if (!mr_tree_compares(node))
            continue;
        mr_rank_feature *feature = &ranks->features[ranks->feature_at[node->feature] - 1];
        uint32_t key = (uint32_t)mr_tree_key(node->value) ^ 0x80000000u;
        pairs[feature->first + feature->count++] = (uint64_t)key << 32 | i;
    }
}

static void sort_pass(const uint64_t *from, uint64_t *to, size_t count, unsigned shift)
{
    uint32_t starts[DIGITS + 1] = {0};
    for (size_t i = 0; i < count; i++)
        starts[(from[i] >> shift & (DIGITS - 1)) + 1]++;
    for (uint32_t d = 0; d < DIGITS; d++)
        starts[d + 1] += starts[d];
    for (size_t i = 0; i < count; i++)
        to[starts[from[i] >> shift & (DIGITS - 1)]++] = from[i];
}

static void sort_few(const uint64_t *pairs, uint64_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && to[at - 1] > pairs[i]; at--)
            to[at] = to[at - 1];
        to[at] = pairs[i];
    }
}

/* By key; the result is in `spare`. */
static void sort_pairs(uint64_t *pairs, uint64_t *spare, size_t count)
{
    if (count <= FEW) {
        sort_few(pairs, spare, count);
        return;
    }
    sort_pass(pairs, spare, count, 32);
    sort_pass(spare, pairs, count, 32 + DIGIT_BITS);
    sort_pass(pairs, spare, count, 32 + 2 * DIGIT_BITS);
}

static void number_thresholds(const mr_forest *forest, mr_tree_ranks *ranks,
                              mr_rank_feature *feature, const uint64_t *sorted)
{
    uint32_t kept = 0;
    float *thresholds = ranks->thresholds + feature->first;
    for (uint32_t i = 0; i < feature->count; i++) {
        uint32_t node = (uint32_t)sorted[i];
        if (i == 0 || sorted[i] >> 32 != sorted[i - 1] >> 32)
            thresholds[kept++] = forest->nodes[node].value;
        ranks->index[node] = kept - 1;
    }
    feature->count = kept;
    ranks->count_max = MR_MAX(ranks->count_max, kept);
}

static mr_status sort_thresholds(const mr_forest *forest, mr_tree_ranks *ranks, mr_error *err)
{
    size_t nodes = (size_t)forest->node_count + 1;
    uint64_t *pairs = mr_alloc(sizeof *pairs * nodes), *spare = mr_alloc(sizeof *spare * nodes);
    ranks->thresholds = mr_alloc(sizeof *ranks->thresholds * nodes);
    ranks->index = mr_alloc_zero(nodes, sizeof *ranks->index);
    bool whole =
        pairs != NULL && spare != NULL && ranks->thresholds != NULL && ranks->index != NULL;
    if (whole) {
        gather(forest, ranks, pairs);
        for (uint32_t f = 0; f < ranks->feature_count; f++) {
            mr_rank_feature *feature = &ranks->features[f];
            sort_pairs(pairs + feature->first, spare, feature->count);
            number_thresholds(forest, ranks, feature, spare);
        }
    }
    mr_free(pairs);
    mr_free(spare);
    return whole ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static mr_status fill(const mr_forest *forest, mr_tree_ranks *ranks, mr_error *err)
{
    ranks->feature_at = mr_alloc_zero((size_t)forest->feature_count + 1, sizeof(uint32_t));
    if (ranks->feature_at == NULL)
        return MR_OUT_OF_MEMORY(err);
    count_features(forest, ranks);
    MR_TRY(list_features(forest, ranks, err));
    number_slots(forest, ranks);
    return sort_thresholds(forest, ranks, err);
}

mr_status mr_tree_ranks_create(const mr_forest *forest, mr_tree_ranks **out, mr_error *err)
{
    *out = MR_NEW(mr_tree_ranks);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = fill(forest, *out, err);
    if (status != MR_OK) {
        mr_tree_ranks_destroy(*out);
        *out = NULL;
    }
    return status;
}
