/* forest64.c -- builds a forest of float64 trees from what a reader found, and checks all of it. */
#include "model/forest64.h"

#include "base/assert.h"

#include <string.h>

void mr_forest64_destroy(mr_forest64 *forest)
{
    if (forest == NULL)
        return;
    void *all[] = {forest->splits, forest->leaves, forest->first_splits, forest->first_leaves,
                   forest->groups, forest->sets,   forest->set_words,    forest->linear,
                   forest->terms,  forest->covers};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_free(all[i]);
    mr_free(forest);
}

void mr_forest64_builder_deinit(mr_forest64_builder *builder)
{
    mr_bytes *all[] = {&builder->splits,       &builder->leaves, &builder->first_splits,
                       &builder->first_leaves, &builder->groups, &builder->sets,
                       &builder->set_words,    &builder->linear, &builder->terms,
                       &builder->split_covers, &builder->stack,  &builder->leaf_covers,
                       &builder->seen};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_bytes_deinit(all[i]);
}

static uint32_t split_total(const mr_forest64_builder *b)
{
    return (uint32_t)(b->splits.size / sizeof(mr_split64));
}

static uint32_t leaf_total(const mr_forest64_builder *b)
{
    return (uint32_t)(b->leaves.size / sizeof(double));
}

/* ---- one tree ---- */

static mr_status check_split(const mr_forest64_builder *b, const mr_tree64 *tree, uint32_t i,
                             mr_error *err)
{
    const mr_split64 *split = &tree->splits[i];
    if (split->feature >= b->feature_count)
        return MR_FAIL(err, MR_INVALID, "split %u asks feature %u of %u", i, split->feature,
                       b->feature_count);
    if (split->set > tree->set_count)
        return MR_FAIL(err, MR_INVALID, "split %u asks set %u of %u", i, split->set - 1,
                       tree->set_count);
    if (split->set == 0 && isnan(split->threshold))
        return MR_FAIL(err, MR_INVALID, "the threshold of split %u is NaN", i);
    return MR_OK;
}

/* Marks a child; false: it does not exist or was reached before. */
static bool reach(const mr_tree64 *tree, int32_t child, uint8_t *seen)
{
    uint32_t splits = tree->leaf_count - 1;
    uint32_t at = child >= 0 ? (uint32_t)child : splits + (uint32_t)~child;
    if (child >= 0 ? at >= splits : (uint32_t)~child >= tree->leaf_count)
        return false;
    if (mr_bit_get(seen, at))
        return false;
    mr_bit_set(seen, at);
    return true;
}

typedef struct place {
    uint32_t split, depth;
} place;

/* With one more leaf than splits and nothing reached twice, everything is reached. */
static mr_status check_shape(mr_forest64_builder *b, const mr_tree64 *tree, mr_error *err)
{
    uint8_t *seen = b->seen.data;
    place root = {0, 1};
    mr_bit_set(seen, 0);
    mr_bytes_append(&b->stack, &root, sizeof root);
    uint32_t visited = 0;
    while (b->stack.size > 0) {
        place at;
        b->stack.size -= sizeof at;
        memcpy(&at, b->stack.data + b->stack.size, sizeof at);
        MR_TRY(check_split(b, tree, at.split, err));
        visited++;
        b->depth_max = MR_MAX(b->depth_max, at.depth);
        int32_t children[2] = {tree->splits[at.split].left, tree->splits[at.split].right};
        for (int c = 0; c < 2; c++) {
            if (!reach(tree, children[c], seen))
                return MR_FAIL(err, MR_INVALID,
                               "the %s child of split %u is %d: not there, or reached twice",
                               c == 0 ? "left" : "right", at.split, children[c]);
            place next = {(uint32_t)children[c], at.depth + 1};
            if (children[c] >= 0)
                mr_bytes_append(&b->stack, &next, sizeof next);
        }
    }
    if (b->stack.failed)
        return MR_OUT_OF_MEMORY(err);
    return visited + 1 == tree->leaf_count
               ? MR_OK
               : MR_FAIL(err, MR_INVALID, "%u of %u splits are reached from the first", visited,
                         tree->leaf_count - 1);
}

static mr_status check_leaves(const mr_forest64_builder *b, const mr_tree64 *tree, mr_error *err)
{
    for (uint32_t i = 0; i < tree->leaf_count; i++) {
        if (!isfinite(tree->leaves[i]))
            return MR_FAIL(err, MR_INVALID, "leaf %u is %g", i, tree->leaves[i]);
        if (tree->linear != NULL && !isfinite(tree->linear[i].constant))
            return MR_FAIL(err, MR_INVALID, "the constant of leaf %u is %g", i,
                           tree->linear[i].constant);
    }
    for (size_t i = 0; i < tree->term_count; i++) {
        if (tree->terms[i].feature >= b->feature_count)
            return MR_FAIL(err, MR_INVALID, "term %zu of the leaves multiplies feature %u of %u", i,
                           tree->terms[i].feature, b->feature_count);
        if (!isfinite(tree->terms[i].weight))
            return MR_FAIL(err, MR_INVALID, "the weight of term %zu of the leaves is %g", i,
                           tree->terms[i].weight);
    }
    return MR_OK;
}

static void append_splits(mr_forest64_builder *b, const mr_tree64 *tree)
{
    uint32_t first_set = (uint32_t)(b->sets.size / sizeof(mr_tree_set));
    uint32_t first_word = (uint32_t)(b->set_words.size / sizeof(uint32_t));
    for (uint32_t i = 0; i + 1 < tree->leaf_count; i++) {
        mr_split64 split = tree->splits[i];
        if (split.set != 0)
            split.set += first_set;
        mr_bytes_append(&b->splits, &split, sizeof split);
    }
    for (uint32_t i = 0; i < tree->set_count; i++) {
        mr_tree_set set = {tree->sets[i].first_word + first_word, tree->sets[i].word_count};
        mr_bytes_append(&b->sets, &set, sizeof set);
    }
    mr_bytes_append(&b->set_words, tree->set_words, tree->set_word_count * sizeof(uint32_t));
}

static void append_linear(mr_forest64_builder *b, const mr_tree64 *tree)
{
    uint32_t first_term = (uint32_t)(b->terms.size / sizeof(mr_term64));
    for (uint32_t i = 0; i < tree->leaf_count; i++) {
        mr_linear64 linear = {0};
        if (tree->linear != NULL)
            linear = tree->linear[i];
        linear.first += first_term;
        mr_bytes_append(&b->linear, &linear, sizeof linear);
        b->any_linear |= linear.is_linear;
    }
    mr_bytes_append(&b->terms, tree->terms, tree->term_count * sizeof *tree->terms);
}

static void append_covers(mr_forest64_builder *b, const mr_tree64 *tree)
{
    b->no_covers |= tree->covers == NULL;
    if (tree->covers == NULL)
        return;
    mr_bytes_append(&b->split_covers, tree->covers, sizeof(double) * (tree->leaf_count - 1));
    mr_bytes_append(&b->leaf_covers, tree->covers + tree->leaf_count - 1,
                    sizeof(double) * tree->leaf_count);
}

static bool any_failed(const mr_forest64_builder *b)
{
    return b->splits.failed || b->leaves.failed || b->first_splits.failed ||
           b->first_leaves.failed || b->groups.failed || b->sets.failed || b->set_words.failed ||
           b->linear.failed || b->terms.failed || b->split_covers.failed || b->leaf_covers.failed ||
           b->stack.failed;
}

static bool reserve_marks(mr_forest64_builder *b, const mr_tree64 *tree)
{
    size_t bytes = mr_bitmap_bytes(2 * (size_t)tree->leaf_count);
    mr_bytes_clear(&b->seen);
    mr_bytes_clear(&b->stack);
    if (!mr_bytes_reserve(&b->seen, bytes))
        return false;
    memset(b->seen.data, 0, bytes);
    return true;
}

mr_status mr_forest64_add(mr_forest64_builder *b, const mr_tree64 *tree, uint32_t group,
                          mr_error *err)
{
    MR_ASSERT(tree->leaf_count > 0);
    if ((uint64_t)leaf_total(b) + tree->leaf_count > MR_TREE_NODES_MAX / 2 ||
        b->tree_count >= MR_TREES_MAX ||
        b->set_words.size / 4 + tree->set_word_count > MR_TREE_SET_WORDS_MAX)
        return MR_FAIL(err, MR_FULL, "more than %u leaves, %u trees or %u words of category sets",
                       MR_TREE_NODES_MAX / 2, MR_TREES_MAX, MR_TREE_SET_WORDS_MAX);
    if (!reserve_marks(b, tree))
        return MR_OUT_OF_MEMORY(err);
    if (tree->leaf_count > 1)
        MR_TRY(check_shape(b, tree, err));
    MR_TRY(check_leaves(b, tree, err));
    mr_bytes_append_u32(&b->first_splits, split_total(b));
    mr_bytes_append_u32(&b->first_leaves, leaf_total(b));
    mr_bytes_append_u32(&b->groups, group);
    append_splits(b, tree);
    append_linear(b, tree);
    append_covers(b, tree);
    mr_bytes_append(&b->leaves, tree->leaves, sizeof(double) * tree->leaf_count);
    b->leaves_max = MR_MAX(b->leaves_max, tree->leaf_count);
    b->tree_count++;
    return any_failed(b) ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* ---- the whole ---- */

/* The bytes change owner; an empty string becomes an empty allocation. */
static void *take(mr_bytes *bytes)
{
    void *data = bytes->data != NULL ? bytes->data : mr_alloc(1);
    memset(bytes, 0, sizeof *bytes);
    return data;
}

static bool take_all(mr_forest64_builder *b, mr_forest64 *forest)
{
    bool linear = b->any_linear, covers = !b->no_covers;
    if (covers)
        mr_bytes_append(&b->split_covers, b->leaf_covers.data, b->leaf_covers.size);
    bool failed = any_failed(b);
    forest->splits = take(&b->splits);
    forest->leaves = take(&b->leaves);
    forest->first_splits = take(&b->first_splits);
    forest->first_leaves = take(&b->first_leaves);
    forest->groups = take(&b->groups);
    forest->sets = take(&b->sets);
    forest->set_words = take(&b->set_words);
    forest->terms = take(&b->terms);
    forest->linear = linear ? take(&b->linear) : NULL;
    forest->covers = covers ? take(&b->split_covers) : NULL;
    return !failed && forest->splits != NULL && forest->leaves != NULL &&
           forest->first_splits != NULL && forest->first_leaves != NULL && forest->groups != NULL &&
           forest->sets != NULL && forest->set_words != NULL && forest->terms != NULL &&
           (!linear || forest->linear != NULL) && (!covers || forest->covers != NULL);
}

mr_status mr_forest64_finish(mr_forest64_builder *b, uint32_t group_count, mr_forest64 **out,
                             mr_error *err)
{
    mr_forest64 *forest = MR_NEW(mr_forest64);
    *out = NULL;
    bool whole = forest != NULL;
    if (whole) {
        *forest = (mr_forest64){.feature_count = b->feature_count,
                                .group_count = group_count,
                                .tree_count = b->tree_count,
                                .split_count = split_total(b),
                                .leaf_count = leaf_total(b),
                                .set_count = (uint32_t)(b->sets.size / sizeof(mr_tree_set)),
                                .leaves_max = b->leaves_max,
                                .depth_max = b->depth_max};
        mr_bytes_append_u32(&b->first_splits, split_total(b));
        mr_bytes_append_u32(&b->first_leaves, leaf_total(b));
        whole = take_all(b, forest);
    }
    mr_forest64_builder_deinit(b);
    if (!whole) {
        mr_forest64_destroy(forest);
        return MR_OUT_OF_MEMORY(err);
    }
    *out = forest;
    return MR_OK;
}

/* ---- the definitions ---- */

bool mr_forest64_goes_left(const mr_forest64 *forest, const mr_split64 *split, double x)
{
    if (split->set != 0)
        return mr_forest64_member(forest, split->set - 1, x);
    if (isnan(x) && split->missing != MR_MISSING_NAN)
        x = 0.0;
    if (split->missing == MR_MISSING_NAN ? isnan(x) : split->missing == MR_MISSING_ZERO && x == 0.0)
        return split->default_left != 0;
    return x <= split->threshold;
}

uint32_t mr_forest64_leaf(const mr_forest64 *forest, uint32_t tree, const double *inputs)
{
    uint32_t first = forest->first_splits[tree];
    int32_t at = forest->first_splits[tree + 1] > first ? 0 : ~0;
    while (at >= 0) {
        const mr_split64 *split = &forest->splits[first + (uint32_t)at];
        at = mr_forest64_goes_left(forest, split, inputs[split->feature]) ? split->left
                                                                          : split->right;
    }
    return forest->first_leaves[tree] + (uint32_t)~at;
}

double mr_forest64_leaf_value(const mr_forest64 *forest, uint32_t leaf, const double *inputs)
{
    if (forest->linear == NULL || !forest->linear[leaf].is_linear)
        return forest->leaves[leaf];
    const mr_linear64 *linear = &forest->linear[leaf];
    double sum = linear->constant;
    for (uint32_t i = linear->first; i < linear->first + linear->count; i++) {
        double x = inputs[forest->terms[i].feature];
        if (isnan(x))
            return forest->leaves[leaf];
        sum += forest->terms[i].weight * x;
    }
    return sum;
}
