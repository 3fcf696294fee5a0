/* tree_lanes.c -- turns a forest into the plan of the lane kernels, and thresholds into search trees. Portable; runs at load. */
#include "model/tree_lanes.h"

#include <math.h>

#define STEP_LEVELS 3
#define TOP_LEVELS  6
#define DEPTH_MAX   8
#define RANKS_MAX   255 /* thresholds of one feature */
#define NEVER       255

/* ---- searching ---- */

void mr_search_deinit(mr_search *search)
{
    mr_free(search->features);
    mr_free(search->keys);
}

static uint32_t lay_search(mr_search_feature *feature, const float *sorted, uint32_t count,
                           float *keys, uint32_t next)
{
    for (feature->levels = 0;; feature->levels++) {
        uint32_t step = 1u << (4 * feature->levels), padded = (count + 15) / 16 * 16;
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

mr_status mr_search_init(mr_search *search, const mr_tree_ranks *ranks, mr_error *err)
{
    size_t keys = 0;
    for (uint32_t f = 0; f < ranks->feature_count;
         f++) /* levels add a fifteenth, padding 15 each */
        keys += ranks->features[f].count * (size_t)17 / 16 + 16 * MR_SEARCH_LEVELS;
    search->feature_count = ranks->feature_count;
    search->features = mr_alloc_zero((size_t)ranks->feature_count + 1, sizeof *search->features);
    search->keys = mr_alloc_aligned(sizeof(float) * (keys + 16));
    if (search->features == NULL || search->keys == NULL)
        return MR_OUT_OF_MEMORY(err);
    uint32_t next = 0;
    for (uint32_t f = 0; f < ranks->feature_count; f++) {
        const mr_rank_feature *from = &ranks->features[f];
        search->features[f] =
            (mr_search_feature){.feature = from->feature, .left = from->left, .right = from->right};
        next = lay_search(&search->features[f], ranks->thresholds + from->first, from->count,
                          search->keys, next);
    }
    return MR_OK;
}

/* ---- planning ---- */

void mr_lane_plan_destroy(mr_tree_plan *base)
{
    mr_lane_plan *plan = (mr_lane_plan *)(void *)base;
    mr_search_deinit(&plan->search);
    mr_free(plan->tops);
    mr_free(plan->middles);
    mr_free(plan->ends);
    mr_free(plan);
}

/* Where node `node` (0 to 6) of a block of three levels keeps its slot; the index is `apart` bytes on. */
static uint8_t *place_of(const mr_lane_plan *plan, uint32_t tree, uint32_t level, uint32_t path,
                         uint32_t *apart)
{
    uint32_t below = level % STEP_LEVELS, node = (1u << below) - 1 + (path & ((1u << below) - 1));
    uint32_t exit = path >> below;
    if (level < STEP_LEVELS) {
        *apart = MR_LANE_TOP_BYTES / 2;
        return plan->tops + (size_t)(tree / MR_LANES) * MR_LANE_TOP_BYTES +
               (size_t)(tree % MR_LANES) * 8 + node;
    }
    if (level < TOP_LEVELS) {
        *apart = MR_LANE_MIDDLE_BYTES / 2;
        return plan->middles + (size_t)tree * MR_LANE_TREE_MIDDLES +
               (size_t)exit * MR_LANE_MIDDLE_BYTES + node;
    }
    *apart = 3;
    return plan->ends + (size_t)tree * MR_LANE_TREE_BELOWS + (size_t)exit * MR_LANE_BELOW_BYTES +
           node;
}

static void put_leaf(const mr_lane_plan *plan, uint32_t tree, uint32_t level, uint32_t path,
                     float value)
{
    uint32_t leaf = path << ((plan->deep ? DEPTH_MAX : TOP_LEVELS) - level);
    uint8_t *to = plan->deep
                      ? plan->ends + (size_t)tree * MR_LANE_TREE_BELOWS +
                            (size_t)(leaf >> 2) * MR_LANE_BELOW_BYTES + MR_LANE_BELOW_LEAVES +
                            sizeof value * (leaf & 3)
                      : plan->ends + (size_t)tree * MR_LANE_TREE_LEAVES + sizeof value * leaf;
    memcpy(to, &value, sizeof value);
}

/* The tree below one node; the recursion is as deep as the tree, DEPTH_MAX at most. */
static void lay_tree(const mr_lane_plan *plan, const mr_tree_ranks *ranks, uint32_t tree,
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
static void lay_blank(const mr_lane_plan *plan, size_t groups)
{
    for (size_t i = 0; i < groups * MR_LANE_TOP_BYTES; i++)
        plan->tops[i] = i % MR_LANE_TOP_BYTES < MR_LANE_TOP_BYTES / 2 ? 0 : NEVER;
    for (size_t i = 0; i < groups * MR_LANES * MR_LANE_TREE_MIDDLES; i++)
        plan->middles[i] = i % MR_LANE_MIDDLE_BYTES < MR_LANE_MIDDLE_BYTES / 2 ? 0 : NEVER;
    for (size_t i = 0; plan->deep && i < groups * MR_LANES * 64; i++)
        memset(plan->ends + i * MR_LANE_BELOW_BYTES + 3, NEVER, 3);
}

static mr_status lay_trees(mr_lane_plan *plan, const mr_tree_ranks *ranks, mr_error *err)
{
    const mr_forest *forest = plan->forest;
    size_t groups = ((size_t)forest->tree_count + MR_LANES - 1) / MR_LANES;
    size_t end_bytes = groups * MR_LANES * (plan->deep ? MR_LANE_TREE_BELOWS : MR_LANE_TREE_LEAVES);
    plan->tops = mr_alloc_aligned(groups * MR_LANE_TOP_BYTES);
    plan->middles = mr_alloc_aligned(groups * MR_LANES * MR_LANE_TREE_MIDDLES);
    plan->ends = mr_alloc_aligned(end_bytes);
    if (plan->tops == NULL || plan->middles == NULL || plan->ends == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(plan->ends, 0, end_bytes);
    lay_blank(plan, groups);
    for (uint32_t t = 0; t < forest->tree_count; t++)
        lay_tree(plan, ranks, t, forest->firsts[t], 0, 0);
    return mr_search_init(&plan->search, ranks, err);
}

static void fill_exits(mr_lane_plan *plan)
{
    for (unsigned answers = 0; answers < 128; answers++) {
        unsigned a = answers & 1, b = answers >> (1 + a) & 1, c = answers >> (3 + 2 * a + b) & 1;
        plan->exits[answers] = (uint8_t)(4 * a + 2 * b + c);
    }
}

mr_status mr_lane_plan_create(const mr_tree_kernel *kernel, const mr_forest *forest,
                              const mr_tree_ranks *ranks, uint32_t slots_max, mr_tree_plan **out,
                              mr_error *err)
{
    *out = NULL;
    if (forest->depth_max > DEPTH_MAX || forest->set_count > 0 || forest->tree_count == 0 ||
        ranks->slot_count > slots_max || ranks->count_max > RANKS_MAX)
        return MR_OK;
    mr_lane_plan *plan = mr_alloc_aligned(sizeof *plan);
    if (plan == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(plan, 0, sizeof *plan);
    plan->plan.kernel = kernel;
    plan->forest = forest;
    plan->slot_count = ranks->slot_count;
    plan->deep = forest->depth_max > TOP_LEVELS;
    fill_exits(plan);
    mr_status status = lay_trees(plan, ranks, err);
    if (status == MR_OK)
        *out = &plan->plan;
    else
        mr_lane_plan_destroy(&plan->plan);
    return status;
}
