/* forest64_walk.c -- the portable kernel: eight branch-free walks at once, over trees for a row, over rows for a batch.
 *
 * Nodes are 16 bytes, children in pairs, left first: the next node is `next + goes right`. A leaf's threshold is its
 * value and its slot always holds -inf, so that a walk that has arrived stays: nobody counts levels.
 *
 * scratch: | slots of BLOCK rows | inputs of BLOCK rows, for linear leaves only | */
#include "model/forest64_kernel.h"

#include "base/assert.h"

#include <string.h>

#define LANES    8
#define BLOCK    32 /* rows of a batch that are turned from columns to rows at once */
#define CATEGORY 0x80000000u

typedef struct node {
    double threshold; /* or the leaf's value, or the set's number */
    uint32_t slot; /* 0: always -inf; else the slot's number + 1; with CATEGORY: a set is asked */
    uint32_t next; /* left child; of a leaf: itself */
} node;

struct mr_walk64 {
    const mr_forest64 *forest;
    const mr_slots64 *slots;
    bool has_categories;
    uint32_t stride; /* doubles of one row of slots */
    node *nodes;
    uint32_t *roots;
    uint32_t *leaf_of; /* per node, of forests with linear leaves; else NULL */
};

/* ---- planning ---- */

typedef struct layer {
    int32_t child; /* as in mr_split64 */
    uint32_t node;
} layer;

static void lay_leaf(mr_walk64 *walk, uint32_t tree, uint32_t leaf, uint32_t at)
{
    uint32_t index = walk->forest->first_leaves[tree] + leaf;
    walk->nodes[at] = (node){walk->forest->leaves[index], 0, at};
    if (walk->leaf_of != NULL)
        walk->leaf_of[at] = index;
}

/* Breadth first: `queue` has room for all nodes of the tree. */
static uint32_t lay_tree(mr_walk64 *walk, uint32_t tree, uint32_t first, layer *queue)
{
    const mr_forest64 *forest = walk->forest;
    const mr_split64 *splits = forest->splits + forest->first_splits[tree];
    uint32_t splits_count = forest->first_splits[tree + 1] - forest->first_splits[tree];
    uint32_t next = first + 1, tail = 1;
    queue[0] = (layer){splits_count > 0 ? 0 : ~0, first};
    walk->roots[tree] = first;
    for (uint32_t head = 0; head < tail; head++) {
        layer at = queue[head];
        if (at.child < 0) {
            lay_leaf(walk, tree, (uint32_t)~at.child, at.node);
            continue;
        }
        const mr_split64 *split = &splits[at.child];
        uint32_t slot = mr_slot64_of(walk->slots, split) + 1;
        walk->has_categories |= split->set != 0;
        walk->nodes[at.node] = split->set != 0
                                   ? (node){(double)(split->set - 1), slot | CATEGORY, next}
                                   : (node){split->threshold, slot, next};
        queue[tail++] = (layer){split->left, next};
        queue[tail++] = (layer){split->right, next + 1};
        next += 2;
    }
    return next;
}

mr_status mr_walk64_create(const mr_forest64 *forest, const mr_slots64 *slots, mr_walk64 **out,
                           mr_error *err)
{
    mr_walk64 *walk = MR_NEW(mr_walk64);
    *out = walk;
    if (walk == NULL)
        return MR_OUT_OF_MEMORY(err);
    *walk = (mr_walk64){.forest = forest, .slots = slots, .stride = (slots->count + 8) / 8 * 8};
    size_t nodes = 2 * (size_t)forest->leaf_count + 1;
    layer *queue = mr_alloc(sizeof *queue * (2 * (size_t)forest->leaves_max + 1));
    walk->nodes = mr_alloc_aligned(sizeof(node) * nodes);
    walk->roots = mr_alloc(sizeof(uint32_t) * (forest->tree_count + 1));
    bool whole = queue != NULL && walk->nodes != NULL && walk->roots != NULL;
    if (whole && forest->linear != NULL) {
        walk->leaf_of = mr_alloc_zero(nodes, sizeof(uint32_t));
        whole = walk->leaf_of != NULL;
    }
    uint32_t next = 0;
    for (uint32_t t = 0; whole && t < forest->tree_count; t++)
        next = lay_tree(walk, t, next, queue);
    mr_free(queue);
    if (whole)
        return MR_OK;
    mr_walk64_destroy(walk);
    *out = NULL;
    return MR_OUT_OF_MEMORY(err);
}

void mr_walk64_destroy(mr_walk64 *walk)
{
    if (walk == NULL)
        return;
    mr_free(walk->nodes);
    mr_free(walk->roots);
    mr_free(walk->leaf_of);
    mr_free(walk);
}

static size_t inputs_each(const mr_walk64 *walk)
{
    return walk->forest->linear != NULL ? walk->forest->feature_count : 0;
}

size_t mr_walk64_scratch_bytes(const mr_walk64 *walk)
{
    return sizeof(double) * BLOCK * (walk->stride + inputs_each(walk));
}

/* ---- walking ---- */

static inline uint32_t step_plain(const node *nodes, uint32_t at, const double *slots)
{
    const node *n = &nodes[at];
    return n->next + !(slots[n->slot] <= n->threshold);
}

static inline uint32_t step_any(const mr_walk64 *walk, uint32_t at, const double *slots)
{
    const node *n = &walk->nodes[at];
    if ((n->slot & CATEGORY) == 0)
        return step_plain(walk->nodes, at, slots);
    double code = slots[n->slot & ~CATEGORY];
    return n->next + !mr_forest64_member(walk->forest, (uint32_t)n->threshold, code);
}

/* Walk i asks slots[i]; `at` goes from roots to leaves. */
static inline __attribute__((always_inline)) void
walk_lanes(const mr_walk64 *walk, const double *const *slots, bool categories, uint32_t *at)
{
    uint32_t moved = 1;
    while (moved != 0) {
        moved = 0;
        for (int i = 0; i < LANES; i++) {
            uint32_t next = categories ? step_any(walk, at[i], slots[i])
                                       : step_plain(walk->nodes, at[i], slots[i]);
            moved |= next ^ at[i];
            at[i] = next;
        }
    }
}

static double value_at(const mr_walk64 *walk, uint32_t at, const double *inputs)
{
    return walk->leaf_of == NULL ? walk->nodes[at].threshold
                                 : mr_forest64_leaf_value(walk->forest, walk->leaf_of[at], inputs);
}

static void fill_slots(const mr_slots64 *slots, const double *inputs, double *out)
{
    out[0] = -INFINITY;
    for (uint32_t s = 0; s < slots->count; s++)
        out[s + 1] = mr_view64_value(slots->views[s], inputs[slots->features[s]]);
}

/* Trees [first, first + count), count <= LANES: those that are not there walk along the first. */
static inline __attribute__((always_inline)) void walk_trees(const mr_walk64 *walk, uint32_t first,
                                                             uint32_t count, const double *slots,
                                                             bool categories, const double *inputs,
                                                             double *sums)
{
    const double *same[LANES];
    uint32_t at[LANES];
    for (uint32_t i = 0; i < LANES; i++) {
        same[i] = slots;
        at[i] = walk->roots[first + (i < count ? i : 0)];
    }
    walk_lanes(walk, same, categories, at);
    const uint32_t *groups = walk->forest->groups + first;
    for (uint32_t i = 0; i < count; i++)
        sums[groups[i]] += value_at(walk, at[i], inputs);
}

void mr_walk64_row(const mr_walk64 *walk, const double *inputs, double *sums, uint8_t *scratch)
{
    double *slots = (double *)(void *)scratch;
    uint32_t trees = walk->forest->tree_count;
    fill_slots(walk->slots, inputs, slots);
    for (uint32_t g = 0; g < walk->forest->group_count; g++)
        sums[g] = 0.0;
    for (uint32_t t = 0; t < trees; t += LANES) {
        uint32_t count = MR_MIN(trees - t, (uint32_t)LANES);
        if (walk->has_categories)
            walk_trees(walk, t, count, slots, true, inputs, sums);
        else
            walk_trees(walk, t, count, slots, false, inputs, sums);
    }
}

/* ---- batches ---- */

typedef struct block {
    double *slots, *inputs; /* of BLOCK rows; inputs NULL: no leaf is linear */
    size_t count;
} block;

static void turn_feature(const mr_walk64 *walk, uint32_t feature, const double *column,
                         const block *b)
{
    const uint32_t *of = walk->slots->of + (size_t)feature * MR_VIEWS;
    for (uint32_t view = 0; view < MR_VIEWS; view++)
        for (size_t r = 0; of[view] != MR_NO_SLOT64 && r < b->count; r++)
            b->slots[r * walk->stride + of[view] + 1] = mr_view64_value(view, column[r]);
    for (size_t r = 0; b->inputs != NULL && r < b->count; r++)
        b->inputs[r * walk->forest->feature_count + feature] = column[r];
}

static void turn_block(const mr_walk64 *walk, mr_run64_load *load, const void *context,
                       size_t first, const block *b)
{
    double column[BLOCK];
    for (uint32_t i = 0; i < walk->slots->used_count; i++) {
        load(context, walk->slots->used[i], first, b->count, column);
        turn_feature(walk, walk->slots->used[i], column, b);
    }
    for (size_t r = 0; r < b->count; r++)
        b->slots[r * walk->stride] = -INFINITY;
}

/* Rows [row, row + count) of the block, count <= LANES, down one tree. */
static inline __attribute__((always_inline)) void walk_rows(const mr_walk64 *walk, uint32_t tree,
                                                            const block *b, size_t row,
                                                            size_t count, bool categories,
                                                            double *sums)
{
    const double *slots[LANES];
    uint32_t at[LANES];
    for (size_t i = 0; i < LANES; i++) {
        slots[i] = b->slots + (row + (i < count ? i : 0)) * walk->stride;
        at[i] = walk->roots[tree];
    }
    walk_lanes(walk, slots, categories, at);
    for (size_t i = 0; i < count; i++)
        sums[row + i] += value_at(
            walk, at[i],
            b->inputs != NULL ? b->inputs + (row + i) * walk->forest->feature_count : NULL);
}

static void walk_block(const mr_walk64 *walk, const block *b, double *sums, size_t stride)
{
    for (uint32_t t = 0; t < walk->forest->tree_count; t++)
        for (size_t r = 0; r < b->count; r += LANES) {
            size_t count = MR_MIN(b->count - r, (size_t)LANES);
            double *to = sums + walk->forest->groups[t] * stride;
            if (walk->has_categories)
                walk_rows(walk, t, b, r, count, true, to);
            else
                walk_rows(walk, t, b, r, count, false, to);
        }
}

void mr_walk64_batch(const mr_walk64 *walk, mr_run64_load *load, const void *context, size_t first,
                     size_t count, double *sums, size_t stride, uint8_t *scratch)
{
    block b = {.slots = (double *)(void *)scratch};
    if (walk->forest->linear != NULL)
        b.inputs = b.slots + (size_t)BLOCK * walk->stride;
    for (uint32_t g = 0; g < walk->forest->group_count; g++)
        memset(sums + g * stride, 0, sizeof *sums * count);
    for (size_t at = 0; at < count; at += BLOCK) {
        b.count = MR_MIN(count - at, (size_t)BLOCK);
        turn_block(walk, load, context, first + at, &b);
        walk_block(walk, &b, sums + at, stride);
    }
}
