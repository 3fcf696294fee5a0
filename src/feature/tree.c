/* tree.c -- least and greatest of any range of the ring: an implicit binary tree over blocks of 16 elements.
 *
 *   node[1] ........ all        node[k] covers node[2k] and node[2k + 1]
 *   node[blocks + b] the elements of block b, b = (index & ring mask) / 16
 * Rings below 64 elements have no tree and are walked. A block that holds elements of two laps of the ring
 * sums up the newer ones; a range never holds such a block whole, so it is never asked for.
 * Thread: the slot's worker. */
#include "feature/feature_internal.h"

enum { TREE_LOG2_MIN = 6 };

typedef struct tree_node {
    int64_t least, greatest; /* in value_order; empty: least > greatest */
} tree_node;

static const tree_node node_empty = {INT64_MAX, INT64_MIN};

static tree_node node_join(tree_node a, tree_node b)
{
    return (tree_node){MR_MIN(a.least, b.least), MR_MAX(a.greatest, b.greatest)};
}

static tree_node *tree_of(const feature_key *key, const feature_lane *lane)
{
    tree_node *tree;
    memcpy(&tree, key->value + lane->tree, sizeof tree);
    return tree;
}

static tree_node walk(const feature_key *key, const feature_lane *lane, uint32_t lo, uint32_t hi)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    tree_node node = node_empty;
    for (uint32_t i = lo; i < hi; i++) {
        const uint8_t *element = element_at(plan, state, i);
        if (plan->tiled ? tile_head(lane, element).count == 0 : !lane_matches(plan, lane, element))
            continue;
        uint32_t at = plan->tiled ? lane->tile_least : lane->value;
        int64_t least = value_order(lane, load_u64(element + at));
        int64_t greatest = plan->tiled ? value_order(lane, load_u64(element + at + 8)) : least;
        node = node_join(node, (tree_node){least, greatest});
    }
    return node;
}

static size_t tree_bytes(uint32_t log2)
{
    return log2 < TREE_LOG2_MIN ? 0 : 2 * sizeof(tree_node) * ((1u << log2) / TREE_BLOCK);
}

static void set_block(const feature_key *key, const feature_lane *lane, tree_node *tree,
                      uint32_t block)
{
    const key_state *state = state_of(key);
    uint32_t blocks = (1u << state->ring_log2) / TREE_BLOCK;
    uint32_t lo = MR_MAX(block * TREE_BLOCK, state->first);
    uint32_t hi = MR_MIN((block + 1) * TREE_BLOCK, state->end);
    uint32_t at = blocks + (block & (blocks - 1));
    tree[at] = walk(key, lane, lo, hi);
    for (at /= 2; at >= 1; at /= 2)
        tree[at] = node_join(tree[2 * at], tree[2 * at + 1]);
}

void tree_update(feature_key *key, uint32_t from, uint32_t to)
{
    const feature_plan *plan = key->plan;
    if (state_of(key)->ring_log2 < TREE_LOG2_MIN || from == to)
        return;
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        if ((plan->lanes[i].parts & PART_TREE) == 0)
            continue;
        tree_node *tree = tree_of(key, &plan->lanes[i]);
        for (uint32_t block = from / TREE_BLOCK; block <= (to - 1) / TREE_BLOCK; block++)
            set_block(key, &plan->lanes[i], tree, block);
    }
}

mr_status tree_resize(feature_key *key, uint32_t old_log2, uint32_t new_log2, mr_error *err)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    for (uint32_t i = 0; i < plan->lane_count; i++) {
        const feature_lane *lane = &plan->lanes[i];
        if ((lane->parts & PART_TREE) == 0)
            continue;
        tree_node *old = tree_of(key, lane), *tree = NULL;
        if (tree_bytes(new_log2) > 0) {
            tree = mr_slot_alloc(key->slot, tree_bytes(new_log2));
            if (tree == NULL)
                return MR_OUT_OF_MEMORY(err);
            for (size_t k = 0; k < tree_bytes(new_log2) / sizeof *tree; k++)
                tree[k] = node_empty;
        }
        if (old != NULL)
            mr_slot_free(key->slot, old, tree_bytes(old_log2));
        memcpy(key->value + lane->tree, &tree, sizeof tree);
    }
    tree_update(key, state->first, state->end);
    return MR_OK;
}

void tree_free(feature_key *key)
{
    for (uint32_t i = 0; i < key->plan->lane_count; i++) {
        const feature_lane *lane = &key->plan->lanes[i];
        tree_node *tree = (lane->parts & PART_TREE) != 0 ? tree_of(key, lane) : NULL;
        if (tree != NULL)
            mr_slot_free(key->slot, tree, tree_bytes(state_of(key)->ring_log2));
    }
}

/* Blocks [from, to) of the tree's own row. */
static tree_node tree_blocks(const tree_node *tree, uint32_t blocks, uint32_t from, uint32_t to)
{
    tree_node node = node_empty;
    for (from += blocks, to += blocks; from < to; from /= 2, to /= 2) {
        if (from & 1)
            node = node_join(node, tree[from++]);
        if (to & 1)
            node = node_join(node, tree[--to]);
    }
    return node;
}

bool tree_range(const feature_key *key, const feature_lane *lane, uint32_t lo, uint32_t hi,
                uint64_t *out_least, uint64_t *out_greatest)
{
    const key_state *state = state_of(key);
    uint32_t from = (lo + TREE_BLOCK - 1) / TREE_BLOCK, to = hi / TREE_BLOCK;
    tree_node node;
    if (state->ring_log2 < TREE_LOG2_MIN || from >= to) {
        node = walk(key, lane, lo, hi);
    } else {
        const tree_node *tree = tree_of(key, lane);
        uint32_t blocks = (1u << state->ring_log2) / TREE_BLOCK, mask = blocks - 1;
        node =
            node_join(walk(key, lane, lo, from * TREE_BLOCK), walk(key, lane, to * TREE_BLOCK, hi));
        if ((from & mask) < (to & mask) || (to & mask) == 0)
            node = node_join(node, tree_blocks(tree, blocks, from & mask,
                                               (to & mask) == 0 ? blocks : to & mask));
        else
            node = node_join(node, node_join(tree_blocks(tree, blocks, from & mask, blocks),
                                             tree_blocks(tree, blocks, 0, to & mask)));
    }
    *out_least = (uint64_t)value_order(lane, (uint64_t)node.least);
    *out_greatest = (uint64_t)value_order(lane, (uint64_t)node.greatest);
    return node.least <= node.greatest;
}
