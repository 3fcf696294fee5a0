/* tree_walk.c -- the portable kernel: several walks at once, without a branch that depends on the data.
 *
 * Values become integer keys with the order of the floats, one per *slot* = (feature, where NaN goes): NaN
 * is the largest key where it goes right and the smallest where it goes left, so that one integer
 * comparison decides. A leaf is its own left child and compares a slot that never goes right, so every walk
 * of a tree takes depth steps. Eight walks are in flight (rows of a batch, trees of a row): one walk waits
 * for memory while others move (after Asadi, Lin, de Vries, "Runtime optimizations for tree-based machine learning
 * models", TKDE 2014). Trees with categorical splits walk by the definition. */
#include "model/tree_kernel.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

#define LANES      8  /* walks in flight */
#define BLOCK_ROWS 32 /* rows whose keys are made at once */

typedef struct walk_node {
    int32_t key;
    uint32_t slot;
    uint32_t left; /* the right child is the next node */
    float value;   /* of a leaf */
} walk_node;

typedef struct walk_slot {
    uint32_t feature;
    int32_t nan_key;
} walk_slot;

typedef struct walk_plan {
    mr_tree_plan plan;
    const mr_forest *forest;
    bool fast;
    uint32_t slot_count; /* without the last one, which is the leaves' */
    walk_node *nodes;
    walk_slot *slots;
    uint8_t *has_sets; /* per tree */
} walk_plan;

/* ---- planning ---- */

static void destroy_plan(mr_tree_plan *base)
{
    walk_plan *plan = (walk_plan *)(void *)base;
    mr_free(plan->nodes);
    mr_free(plan->slots);
    mr_free(plan->has_sets);
    mr_free(plan);
}

/* Slot of (feature, direction); `known` holds slot + 1. */
static uint32_t slot_of(walk_plan *plan, uint32_t *known, const mr_tree_node *node)
{
    uint32_t *entry = &known[(size_t)node->feature * 2 + node->default_left];
    if (*entry == 0) {
        plan->slots[plan->slot_count] =
            (walk_slot){node->feature, node->default_left ? INT32_MIN : INT32_MAX};
        *entry = ++plan->slot_count;
    }
    return *entry - 1;
}

static void plan_nodes(walk_plan *plan, uint32_t *known)
{
    const mr_forest *forest = plan->forest;
    for (uint32_t i = 0; i < forest->node_count; i++) {
        const mr_tree_node *node = &forest->nodes[i];
        if (node->feature == MR_TREE_LEAF || node->set != 0)
            plan->nodes[i] = (walk_node){INT32_MAX, UINT32_MAX, i, node->value};
        else
            plan->nodes[i] =
                (walk_node){mr_tree_key(node->value), slot_of(plan, known, node), node->left, 0.0f};
    }
    for (uint32_t i = 0; i < forest->node_count; i++)
        if (plan->nodes[i].slot == UINT32_MAX)
            plan->nodes[i].slot = plan->slot_count;
    for (uint32_t t = 0; t < forest->tree_count; t++)
        for (uint32_t i = forest->firsts[t]; i < forest->firsts[t + 1]; i++)
            plan->has_sets[t] |= forest->nodes[i].set != 0;
}

static size_t row_bytes(const walk_plan *plan)
{
    return sizeof(int32_t) * ((size_t)plan->slot_count + 1);
}

static mr_status make_plan(const mr_forest *forest, const mr_tree_ranks *ranks, bool fast,
                           mr_tree_plan **out, mr_error *err)
{
    (void)ranks;
    *out = NULL;
    walk_plan *plan = MR_NEW(walk_plan);
    uint32_t *known = mr_alloc_zero((size_t)forest->feature_count * 2, sizeof *known);
    if (plan != NULL)
        *plan =
            (walk_plan){.plan.kernel = &mr_tree_walk,
                        .forest = forest,
                        .fast = fast,
                        .nodes = mr_alloc(sizeof(walk_node) * ((size_t)forest->node_count + 1)),
                        .slots = mr_alloc(sizeof(walk_slot) * (size_t)forest->feature_count * 2),
                        .has_sets = mr_alloc_zero((size_t)forest->tree_count + 1, 1)};
    bool whole = plan != NULL && known != NULL && plan->nodes != NULL && plan->slots != NULL &&
                 plan->has_sets != NULL;
    if (whole) {
        plan_nodes(plan, known);
        /* keys of a block, its rows as floats where sets are asked, one converted column */
        size_t float_bytes = forest->set_count > 0 ? sizeof(float) * forest->feature_count : 0;
        plan->plan.scratch_bytes =
            BLOCK_ROWS * (row_bytes(plan) + float_bytes) + sizeof(float) * BLOCK_ROWS;
        *out = &plan->plan;
    } else if (plan != NULL) {
        destroy_plan(&plan->plan);
    }
    mr_free(known);
    return whole ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* ---- walking ---- */

static inline uint32_t step(const walk_node *nodes, uint32_t i, const int32_t *keys)
{
    const walk_node *node = &nodes[i];
    return node->left + (keys[node->slot] >= node->key);
}

static float walk_by_definition(const walk_plan *plan, uint32_t tree, const float *row)
{
    const mr_forest *forest = plan->forest;
    const mr_tree_node *node = &forest->nodes[forest->firsts[tree]];
    while (node->feature != MR_TREE_LEAF)
        node = &forest->nodes[mr_tree_goes_right(forest, node, row[node->feature]) ? node->right
                                                                                   : node->left];
    return node->value;
}

/* One tree, LANES rows; keys of row r at keys + r * stride. */
static void walk_rows(const walk_plan *plan, uint32_t tree, const int32_t *keys, size_t stride,
                      float *sums)
{
    uint32_t at[LANES];
    for (int r = 0; r < LANES; r++)
        at[r] = plan->forest->firsts[tree];
    for (uint32_t d = plan->forest->depths[tree]; d > 0; d--)
        for (int r = 0; r < LANES; r++)
            at[r] = step(plan->nodes, at[r], keys + (size_t)r * stride);
    for (int r = 0; r < LANES; r++)
        sums[r] += plan->nodes[at[r]].value;
}

static void walk_rows_by_definition(const walk_plan *plan, uint32_t tree, const float *rows,
                                    float *sums)
{
    for (int r = 0; r < LANES; r++)
        sums[r] += walk_by_definition(plan, tree, rows + (size_t)r * plan->forest->feature_count);
}

static void make_keys(const walk_plan *plan, const mr_column *const *inputs, size_t first,
                      size_t count, int32_t *keys, float *rows, float *column)
{
    size_t stride = (size_t)plan->slot_count + 1;
    for (uint32_t s = 0; s < plan->slot_count; s++) {
        mr_model_convert(inputs[plan->slots[s].feature], first, count, column);
        for (size_t r = 0; r < count; r++)
            keys[r * stride + s] =
                isnan(column[r]) ? plan->slots[s].nan_key : mr_tree_key(column[r]);
    }
    for (size_t r = 0; r < BLOCK_ROWS; r++)
        keys[r * stride + plan->slot_count] = 0;
    if (plan->forest->set_count == 0)
        return;
    for (uint32_t f = 0; f < plan->forest->feature_count; f++) {
        mr_model_convert(inputs[f], first, count, column);
        for (size_t r = 0; r < count; r++)
            rows[r * plan->forest->feature_count + f] = column[r];
    }
}

/* At most LANES rows; those behind `count` are walked too and thrown away. */
static void walk_lanes(const walk_plan *plan, const int32_t *keys, const float *rows, size_t count,
                       float *margins, size_t stride)
{
    const mr_forest *forest = plan->forest;
    for (uint32_t g = 0; g < forest->group_count; g++)
        for (size_t r = 0; r < count; r++)
            margins[g * stride + r] = forest->base[g];
    for (uint32_t t = 0; t < forest->tree_count; t++) {
        float sums[LANES] = {0};
        float *margin = margins + forest->groups[t] * stride;
        memcpy(sums, margin, count * sizeof *sums);
        if (plan->has_sets[t])
            walk_rows_by_definition(plan, t, rows, sums);
        else
            walk_rows(plan, t, keys, (size_t)plan->slot_count + 1, sums);
        memcpy(margin, sums, count * sizeof *sums);
    }
}

static void walk_batch(const mr_tree_plan *base, const mr_column *const *inputs, size_t first,
                       size_t count, float *margins, size_t stride, uint8_t *scratch)
{
    const walk_plan *plan = (const walk_plan *)(const void *)base;
    size_t key_stride = (size_t)plan->slot_count + 1;
    int32_t *keys = (int32_t *)(void *)scratch;
    float *rows = (float *)(void *)(keys + BLOCK_ROWS * key_stride);
    bool sets = plan->forest->set_count > 0;
    size_t row_floats = sets ? plan->forest->feature_count : 0;
    float *column = rows + BLOCK_ROWS * row_floats;
    for (size_t at = 0; at < count; at += BLOCK_ROWS) {
        size_t block = MR_MIN(count - at, (size_t)BLOCK_ROWS);
        make_keys(plan, inputs, first + at, block, keys, rows, column);
        /* Rows behind the last are walked on what lies in their keys: any key leads to some leaf. */
        for (size_t r = 0; r < block; r += LANES)
            walk_lanes(plan, keys + r * key_stride, rows + r * row_floats,
                       MR_MIN(block - r, (size_t)LANES), margins + at + r, stride);
    }
}

/* ---- one row ---- */

static float leaf_of(const walk_plan *plan, uint32_t tree, const int32_t *keys, const float *row)
{
    if (plan->has_sets[tree])
        return walk_by_definition(plan, tree, row);
    uint32_t at = plan->forest->firsts[tree];
    for (uint32_t d = plan->forest->depths[tree]; d > 0; d--)
        at = step(plan->nodes, at, keys);
    return plan->nodes[at].value;
}

/* Leaves of LANES consecutive trees. */
static void walk_trees(const walk_plan *plan, uint32_t tree, const int32_t *keys, const float *row,
                       float *leaves)
{
    const mr_forest *forest = plan->forest;
    uint32_t at[LANES], depth = 0;
    bool sets = false;
    for (uint32_t i = 0; i < LANES; i++) {
        at[i] = forest->firsts[tree + i];
        depth = MR_MAX(depth, forest->depths[tree + i]);
        sets |= plan->has_sets[tree + i];
    }
    if (sets) {
        for (uint32_t i = 0; i < LANES; i++)
            leaves[i] = leaf_of(plan, tree + i, keys, row);
        return;
    }
    for (uint32_t d = depth; d > 0; d--)
        for (int i = 0; i < LANES; i++)
            at[i] = step(plan->nodes, at[i], keys);
    for (int i = 0; i < LANES; i++)
        leaves[i] = plan->nodes[at[i]].value;
}

static inline float add_8(float sum, const float *leaves, bool fast)
{
    if (fast)
        return sum + (((leaves[0] + leaves[1]) + (leaves[2] + leaves[3])) +
                      ((leaves[4] + leaves[5]) + (leaves[6] + leaves[7])));
    for (uint32_t i = 0; i < LANES; i++)
        sum += leaves[i];
    return sum;
}

static void walk_row(const mr_tree_plan *base, const float *row, float *margins, uint8_t *scratch)
{
    const walk_plan *plan = (const walk_plan *)(const void *)base;
    const mr_forest *forest = plan->forest;
    int32_t *keys = (int32_t *)(void *)scratch;
    for (uint32_t s = 0; s < plan->slot_count; s++) {
        float x = row[plan->slots[s].feature];
        keys[s] = isnan(x) ? plan->slots[s].nan_key : mr_tree_key(x);
    }
    keys[plan->slot_count] = 0;
    memcpy(margins, forest->base, sizeof *margins * forest->group_count);
    float leaves[LANES];
    uint32_t t = 0;
    for (; t + LANES <= forest->tree_count; t += LANES) {
        walk_trees(plan, t, keys, row, leaves);
        if (forest->group_count == 1)
            margins[0] = add_8(margins[0], leaves, plan->fast);
        else
            for (uint32_t i = 0; i < LANES; i++)
                margins[forest->groups[t + i]] += leaves[i];
    }
    for (; t < forest->tree_count; t++)
        margins[forest->groups[t]] += leaf_of(plan, t, keys, row);
}

const mr_tree_kernel mr_tree_walk = {
    .name = "walk",
    .cpu = MR_CPU_PLAIN,
    .plan = make_plan,
    .destroy = destroy_plan,
    .batch = walk_batch,
    .row = walk_row,
};
