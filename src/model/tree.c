/* tree.c -- checks trees node by node and lays them out breadth first: root first, siblings side by side.
 *
 * Nothing here recurses: a hostile file may hold a tree as deep as it has nodes. */
#include "model/tree.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

typedef struct placed {
    uint32_t from; /* node number in the file */
    uint32_t depth;
} placed;

void mr_forest_builder_deinit(mr_forest_builder *builder)
{
    mr_bytes_deinit(&builder->nodes);
    mr_bytes_deinit(&builder->covers);
    mr_bytes_deinit(&builder->firsts);
    mr_bytes_deinit(&builder->depths);
    mr_bytes_deinit(&builder->sets);
    mr_bytes_deinit(&builder->set_words);
    mr_bytes_deinit(&builder->stack);
    mr_bytes_deinit(&builder->seen);
    memset(builder, 0, sizeof *builder);
}

void mr_forest_destroy(mr_forest *forest)
{
    if (forest == NULL)
        return;
    mr_free(forest->nodes);
    mr_free(forest->firsts);
    mr_free(forest->groups);
    mr_free(forest->depths);
    mr_free(forest->sets);
    mr_free(forest->set_words);
    mr_free(forest->base);
    mr_free(forest->covers);
    mr_free(forest);
}

/* ---- one tree ---- */

static size_t node_total(const mr_forest_builder *builder)
{
    return builder->nodes.size / sizeof(mr_tree_node);
}

static mr_status check_child(const mr_forest_builder *builder, const mr_tree_arrays *tree,
                             uint32_t node, int32_t child, const char *side, uint8_t *seen,
                             mr_error *err)
{
    if (child < 0 || (uint32_t)child >= tree->count)
        return MR_FAIL(err, MR_INVALID, "tree %u, node %u: %s child %d is not one of its %u nodes",
                       builder->tree_count, node, side, child, tree->count);
    if (mr_bit_get(seen, (uint32_t)child))
        return MR_FAIL(err, MR_INVALID,
                       "tree %u, node %u: %s child %d has another parent already: that is no tree",
                       builder->tree_count, node, side, child);
    mr_bit_set(seen, (uint32_t)child);
    return MR_OK;
}

static mr_status check_leaf(const mr_forest_builder *builder, uint32_t node, float value,
                            mr_error *err)
{
    return isfinite(value) ? MR_OK
                           : MR_FAIL(err, MR_INVALID, "tree %u, node %u: the leaf's value is %f",
                                     builder->tree_count, node, (double)value);
}

static mr_status check_split(const mr_forest_builder *builder, const mr_tree_arrays *tree,
                             uint32_t node, mr_error *err)
{
    int32_t feature = tree->feature[node];
    if (feature < 0 || (uint32_t)feature >= builder->feature_count)
        return MR_FAIL(err, MR_INVALID, "tree %u, node %u: splits on feature %d, the model has %u",
                       builder->tree_count, node, feature, builder->feature_count);
    bool category = tree->is_category != NULL && tree->is_category[node] != 0;
    if (!category && isnan(tree->value[node]))
        return MR_FAIL(err, MR_INVALID, "tree %u, node %u: the threshold is NaN",
                       builder->tree_count, node);
    return MR_OK;
}

static uint32_t add_set(mr_forest_builder *builder, const mr_tree_arrays *tree, uint32_t node)
{
    mr_tree_set from = tree->sets[node];
    mr_tree_set set = {(uint32_t)(builder->set_words.size / sizeof(uint32_t)), from.word_count};
    mr_bytes_append(&builder->set_words, tree->set_words + from.first_word,
                    from.word_count * sizeof(uint32_t));
    mr_bytes_append(&builder->sets, &set, sizeof set);
    return ++builder->set_count;
}

static bool sets_fit(const mr_forest_builder *builder, const mr_tree_arrays *tree, uint32_t node)
{
    return builder->set_words.size / sizeof(uint32_t) + tree->sets[node].word_count <=
           MR_TREE_SET_WORDS_MAX;
}

static mr_status place_split(mr_forest_builder *builder, const mr_tree_arrays *tree, placed at,
                             uint32_t first, uint8_t *seen, mr_tree_node *out, mr_error *err)
{
    MR_TRY(check_split(builder, tree, at.from, err));
    MR_TRY(check_child(builder, tree, at.from, tree->left[at.from], "left", seen, err));
    MR_TRY(check_child(builder, tree, at.from, tree->right[at.from], "right", seen, err));
    uint32_t next = first + (uint32_t)(builder->stack.size / sizeof(placed));
    placed children[2] = {{(uint32_t)tree->left[at.from], at.depth + 1},
                          {(uint32_t)tree->right[at.from], at.depth + 1}};
    mr_bytes_append(&builder->stack, children, sizeof children);
    bool category = tree->is_category != NULL && tree->is_category[at.from] != 0;
    if (category && !sets_fit(builder, tree, at.from))
        return MR_FAIL(err, MR_FULL, "tree %u, node %u: the sets of categories are too large",
                       builder->tree_count, at.from);
    out->value = category ? 0.0f : tree->value[at.from];
    out->feature = (uint32_t)tree->feature[at.from];
    out->left = next;
    out->right = next + 1;
    out->set = category ? add_set(builder, tree, at.from) & INT32_MAX : 0;
    out->default_left = tree->default_left[at.from] != 0;
    return MR_OK;
}

/* The queue holds nodes in the order of their new numbers: node i of the queue becomes first + i. */
static mr_status place_nodes(mr_forest_builder *builder, const mr_tree_arrays *tree, uint32_t first,
                             uint32_t *out_depth, mr_error *err)
{
    uint8_t *seen = builder->seen.data;
    placed root = {0, 0};
    mr_bytes_append(&builder->stack, &root, sizeof root);
    mr_bit_set(seen, 0);
    for (size_t i = 0; i < builder->stack.size / sizeof(placed); i++) {
        placed at = ((placed *)(void *)builder->stack.data)[i];
        mr_tree_node node = {.value = tree->value[at.from], .feature = MR_TREE_LEAF};
        if (tree->left[at.from] == -1)
            MR_TRY(check_leaf(builder, at.from, node.value, err));
        else
            MR_TRY(place_split(builder, tree, at, first, seen, &node, err));
        mr_bytes_append(&builder->nodes, &node, sizeof node);
        if (tree->cover != NULL)
            mr_bytes_append(&builder->covers, &tree->cover[at.from], sizeof *tree->cover);
        *out_depth = MR_MAX(*out_depth, at.depth);
    }
    return MR_OK;
}

static bool reserve_tree(mr_forest_builder *builder, uint32_t count)
{
    mr_bytes_clear(&builder->stack);
    mr_bytes_clear(&builder->seen);
    size_t seen_bytes = mr_bitmap_bytes(count);
    if (!mr_bytes_reserve(&builder->seen, seen_bytes) ||
        !mr_bytes_reserve(&builder->stack, sizeof(placed) * ((size_t)count + 2)) ||
        !mr_bytes_reserve(&builder->nodes, sizeof(mr_tree_node) * (size_t)count))
        return false;
    memset(builder->seen.data, 0, seen_bytes);
    return true;
}

mr_status mr_forest_add(mr_forest_builder *builder, const mr_tree_arrays *tree, mr_error *err)
{
    if (tree->count == 0)
        return MR_FAIL(err, MR_INVALID, "tree %u has no nodes", builder->tree_count);
    size_t first = node_total(builder);
    if (first + tree->count > MR_TREE_NODES_MAX || builder->tree_count >= MR_TREES_MAX)
        return MR_FAIL(err, MR_FULL, "tree %u: more than %u nodes or %u trees", builder->tree_count,
                       MR_TREE_NODES_MAX, MR_TREES_MAX);
    if (!reserve_tree(builder, tree->count))
        return MR_OUT_OF_MEMORY(err);
    uint32_t depth = 0;
    MR_TRY(place_nodes(builder, tree, (uint32_t)first, &depth, err));
    mr_bytes_append_u32(&builder->firsts, (uint32_t)first);
    mr_bytes_append_u16(&builder->depths, (uint16_t)MR_MIN(depth, UINT16_MAX));
    builder->depth_max = MR_MAX(builder->depth_max, depth);
    builder->no_covers |= tree->cover == NULL;
    builder->tree_count++;
    bool failed = builder->nodes.failed || builder->firsts.failed || builder->depths.failed ||
                  builder->sets.failed || builder->set_words.failed || builder->stack.failed ||
                  builder->covers.failed;
    return failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* ---- the whole ---- */

static uint32_t first_of(const mr_forest_builder *builder, uint32_t tree)
{
    return tree < builder->tree_count ? ((const uint32_t *)(void *)builder->firsts.data)[tree]
                                      : (uint32_t)node_total(builder);
}

void mr_forest_weigh(mr_forest_builder *builder, uint32_t tree, float weight)
{
    mr_tree_node *nodes = (mr_tree_node *)(void *)builder->nodes.data;
    for (uint32_t i = first_of(builder, tree); i < first_of(builder, tree + 1); i++)
        if (nodes[i].feature == MR_TREE_LEAF)
            nodes[i].value = nodes[i].value * weight;
}

/* The bytes change owner; an empty string becomes an empty allocation. */
static void *take(mr_bytes *bytes)
{
    void *data = bytes->data != NULL ? bytes->data : mr_alloc(1);
    memset(bytes, 0, sizeof *bytes);
    return data;
}

static void *copy(const void *from, size_t bytes)
{
    void *to = mr_alloc(bytes);
    if (to != NULL && bytes > 0)
        memcpy(to, from, bytes);
    return to;
}

static uint32_t deepest(const uint16_t *depths, uint32_t count)
{
    uint32_t depth = 0;
    for (uint32_t i = 0; i < count; i++)
        depth = MR_MAX(depth, depths[i]);
    return depth;
}

mr_status mr_forest_finish(mr_forest_builder *builder, uint32_t keep, const uint32_t *groups,
                           const float *base, uint32_t group_count, mr_forest **out, mr_error *err)
{
    MR_ASSERT(keep <= builder->tree_count);
    mr_forest *forest = MR_NEW(mr_forest);
    *out = forest;
    if (forest == NULL) {
        mr_forest_builder_deinit(builder);
        return MR_OUT_OF_MEMORY(err);
    }
    uint32_t node_count = first_of(builder, keep);
    bool covers = !builder->no_covers && builder->covers.size > 0;
    mr_bytes_append_u32(&builder->firsts, node_count);
    bool whole = !builder->firsts.failed;
    if (whole)
        ((uint32_t *)(void *)builder->firsts.data)[keep] = node_count;
    *forest = (mr_forest){.feature_count = builder->feature_count,
                          .group_count = group_count,
                          .tree_count = keep,
                          .node_count = node_count,
                          .set_count = builder->set_count,
                          .depth_max = builder->depth_max,
                          .nodes = take(&builder->nodes),
                          .firsts = take(&builder->firsts),
                          .groups = copy(groups, sizeof *groups * keep),
                          .depths = take(&builder->depths),
                          .sets = take(&builder->sets),
                          .set_words = take(&builder->set_words),
                          .base = copy(base, sizeof *base * group_count),
                          .covers = covers ? take(&builder->covers) : NULL};
    mr_forest_builder_deinit(builder);
    if (!whole || forest->nodes == NULL || forest->firsts == NULL || forest->groups == NULL ||
        forest->depths == NULL || forest->sets == NULL || forest->set_words == NULL ||
        forest->base == NULL) {
        mr_forest_destroy(forest);
        *out = NULL;
        return MR_OUT_OF_MEMORY(err);
    }
    if (forest->depth_max < UINT16_MAX)
        forest->depth_max = deepest(forest->depths, keep);
    return MR_OK;
}

bool mr_tree_goes_right(const mr_forest *forest, const mr_tree_node *node, float x)
{
    if (isnan(x))
        return !node->default_left;
    if (node->set != 0)
        return mr_tree_set_has(forest, &forest->sets[node->set - 1], x);
    return !(x < node->value);
}
