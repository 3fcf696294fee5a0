/* tree_masks.c -- turns a forest into the plan of the mask kernels. Portable; runs once, at load. */
#include "model/tree_masks.h"

#include "base/assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NO_LANE UINT32_MAX

/* A question has a number before chunks are cut: lane * 255 + rank, or behind all those, the node's set. */
typedef struct maker {
    mr_mask_plan *plan;
    const mr_forest *forest;
    const mr_tree_ranks *known;
    uint32_t mask_bytes, masks_max;
    uint32_t *feature_at; /* per feature of the model: index in plan->features + 1, 0: not used */
    uint32_t *stamp;      /* per question: chunk that asks it + 1 */
    uint32_t *local;      /* per question: its mask in the chunk */
    size_t question_count;
    mr_bytes asked; /* questions of the present chunk */
    bool lost;      /* some question of a chunk could not be kept */
    mr_bytes chunks, runs, ranks, sets, ids;
    bool fits;
} maker;

/* ---- thresholds ---- */

static bool is_question(const mr_tree_node *node)
{
    return node->feature != MR_TREE_LEAF;
}

static void note_feature(maker *m, uint32_t feature)
{
    if (m->feature_at[feature] != 0)
        return;
    m->plan->features[m->plan->feature_count] = (mr_mask_feature){.feature = feature,
                                                                  .lane_left = NO_LANE,
                                                                  .lane_right = NO_LANE,
                                                                  .codes_left = NO_LANE,
                                                                  .codes_right = NO_LANE};
    m->feature_at[feature] = ++m->plan->feature_count;
}

static mr_mask_feature *feature_of(const maker *m, uint32_t feature)
{
    return &m->plan->features[m->feature_at[feature] - 1];
}

static uint32_t levels_for(uint32_t thresholds)
{
    uint32_t levels = 0;
    while ((1u << levels) - 1 < thresholds)
        levels++;
    return levels;
}

/* Those with thresholds first, in their order among the ranks; then those with categories only. */
static void list_features(maker *m)
{
    for (uint32_t f = 0; f < m->known->feature_count; f++) {
        note_feature(m, m->known->features[f].feature);
        m->plan->features[f].threshold_count = m->known->features[f].count;
    }
    for (uint32_t i = 0; i < m->forest->node_count; i++)
        if (m->forest->nodes[i].set != 0)
            note_feature(m, m->forest->nodes[i].feature);
}

static uint32_t take_lanes(maker *m, uint32_t *first, uint32_t count)
{
    if (*first == NO_LANE) {
        *first = m->plan->lane_count;
        m->plan->lane_count += count;
    }
    return *first;
}

/* Lanes that are asked; too many, or a feature with too many thresholds or codes: not for these kernels. */
static void assign_lanes(maker *m)
{
    for (uint32_t f = 0; f < m->plan->feature_count; f++) {
        mr_mask_feature *feature = &m->plan->features[f];
        feature->segment_count =
            (feature->threshold_count + MR_MASK_LANE_RANKS - 1) / MR_MASK_LANE_RANKS;
        feature->level_count = levels_for(feature->threshold_count);
        m->fits &= feature->threshold_count <= MR_MASK_RANKS_MAX;
    }
    for (uint32_t i = 0; m->fits && i < m->forest->node_count; i++) {
        const mr_tree_node *node = &m->forest->nodes[i];
        if (!is_question(node))
            continue;
        mr_mask_feature *feature = feature_of(m, node->feature);
        if (node->set != 0)
            (void)take_lanes(m, node->default_left ? &feature->codes_left : &feature->codes_right,
                             1);
        else
            (void)take_lanes(m, node->default_left ? &feature->lane_left : &feature->lane_right,
                             feature->segment_count);
        m->fits &= m->plan->lane_count <= MR_MASK_LANES_MAX;
    }
}

static bool sets_fit(const mr_forest *forest)
{
    for (uint32_t s = 0; s < forest->set_count; s++)
        for (uint32_t c = MR_MASK_CODES; c < forest->sets[s].word_count * 32; c++)
            if (forest->set_words[forest->sets[s].first_word + c / 32] >> (c % 32) & 1)
                return false;
    return true;
}

/* Thresholds i of level l: the middles of the 2^l intervals the levels above leave. */
static void fill_table(const maker *m, uint32_t f, float *table)
{
    const mr_mask_feature *feature = &m->plan->features[f];
    const float *thresholds =
        f < m->known->feature_count ? m->known->thresholds + m->known->features[f].first : NULL;
    for (uint32_t l = 0; l < feature->level_count; l++) {
        uint32_t step = 1u << (feature->level_count - l), size = MR_MAX(1u << l, 16u);
        for (uint32_t i = 0; i < size; i++) {
            uint64_t at = (uint64_t)i * step + step / 2 - 1;
            table[mr_mask_level(l) + i] =
                thresholds != NULL && i < 1u << l && at < feature->threshold_count ? thresholds[at]
                                                                                   : NAN;
        }
    }
}

static mr_status make_tables(maker *m, mr_error *err)
{
    size_t total = 0;
    for (uint32_t f = 0; f < m->plan->feature_count; f++) {
        m->plan->features[f].first_float = (uint32_t)total;
        total += mr_mask_level(m->plan->features[f].level_count);
    }
    m->plan->tables = mr_alloc_aligned(sizeof(float) * (total + 16));
    if (m->plan->tables == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t f = 0; f < m->plan->feature_count; f++)
        fill_table(m, f, m->plan->tables + m->plan->features[f].first_float);
    return MR_OK;
}

/* ---- questions ---- */

static size_t question_of(const maker *m, uint32_t node_index)
{
    const mr_tree_node *node = &m->forest->nodes[node_index];
    const mr_mask_feature *feature = feature_of(m, node->feature);
    if (node->set != 0)
        return (size_t)m->plan->lane_count * MR_MASK_LANE_RANKS + node->set - 1;
    uint32_t lane = node->default_left ? feature->lane_left : feature->lane_right;
    /* segments follow each other, 255 ranks each */
    return (size_t)lane * MR_MASK_LANE_RANKS + m->known->index[node_index];
}

static uint32_t asked_count(const maker *m)
{
    return (uint32_t)(m->asked.size / sizeof(uint64_t));
}

/* Adds the tree's new questions to the chunk. */
static void ask_tree(maker *m, uint32_t tree, uint32_t chunk)
{
    for (uint32_t i = m->forest->firsts[tree]; i < m->forest->firsts[tree + 1]; i++) {
        if (!is_question(&m->forest->nodes[i]))
            continue;
        uint64_t question = question_of(m, i);
        if (m->stamp[question] == chunk + 1)
            continue;
        m->stamp[question] = chunk + 1;
        mr_bytes_append(&m->asked, &question, sizeof question);
    }
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* A chunk asks a good part of all questions, or a few of many. */
static void sort_asked(const maker *m, uint64_t *asked, uint32_t count)
{
    uint32_t next = 0;
    if (count > m->question_count / 16)
        for (size_t q = 0; q < m->question_count && next < count; q++) {
            if (m->stamp[q] == m->plan->chunk_count + 1)
                asked[next++] = q;
        }
    else if (count > 0)
        qsort(asked, count, sizeof *asked, by_number);
}

static void append_set(maker *m, const mr_tree_set *set)
{
    uint8_t bytes[MR_MASK_SET_BYTES] = {0};
    for (uint32_t c = 0; c < MR_MASK_CODES && c < set->word_count * 32; c++)
        if (m->forest->set_words[set->first_word + c / 32] >> (c % 32) & 1)
            mr_bit_set(bytes, c);
    mr_bit_set(bytes, MR_MASK_CODES); /* NaN in the lane where it goes right */
    mr_bytes_append(&m->sets, bytes, sizeof bytes);
}

/* The chunk's questions in order of lanes become runs; each gets its mask's number, from 1. */
static uint32_t number_questions(maker *m, const uint32_t *set_lanes)
{
    uint64_t *asked = (uint64_t *)(void *)m->asked.data;
    uint32_t count = asked_count(m), run_count = 0;
    uint64_t sets_from = (uint64_t)m->plan->lane_count * MR_MASK_LANE_RANKS;
    sort_asked(m, asked, count);
    mr_mask_run run = {.lane = NO_LANE};
    for (uint32_t i = 0; i < count; i++) {
        bool category = asked[i] >= sets_from;
        uint32_t lane =
            category ? set_lanes[asked[i] - sets_from] : (uint32_t)(asked[i] / MR_MASK_LANE_RANKS);
        if (lane != run.lane) {
            if (run.lane != NO_LANE)
                mr_bytes_append(&m->runs, &run, sizeof run);
            size_t first = category ? m->sets.size / MR_MASK_SET_BYTES : m->ranks.size;
            run = (mr_mask_run){lane, (uint32_t)first, 0, category};
            run_count++;
        }
        run.test_count++;
        m->local[asked[i]] = i + 1;
        if (category)
            append_set(m, &m->forest->sets[asked[i] - sets_from]);
        else
            mr_bytes_append_byte(&m->ranks, (uint8_t)(asked[i] % MR_MASK_LANE_RANKS));
    }
    if (run.lane != NO_LANE)
        mr_bytes_append(&m->runs, &run, sizeof run);
    m->plan->mask_count_max = MR_MAX(m->plan->mask_count_max, count + 1);
    return run_count;
}

/* ---- trees ---- */

/* Writes ids of a subtree of `height` levels and its leaves from leaf number `leaf` on. Depth is at most
 * MR_MASK_DEPTH_MAX, so the recursion is too. */
static void lay_tree(maker *m, uint32_t node_index, uint32_t height, uint32_t leaf, float *leaves)
{
    const mr_tree_node *node = &m->forest->nodes[node_index];
    if (!is_question(node)) {
        leaves[leaf] = node->value;
        for (uint32_t i = 0; i < (1u << height) - 1; i++)
            mr_bytes_append_u32(&m->ids, 0);
        return;
    }
    lay_tree(m, node->left, height - 1, leaf, leaves);
    lay_tree(m, node->right, height - 1, leaf + (1u << (height - 1)), leaves);
    mr_bytes_append_u32(&m->ids, m->local[question_of(m, node_index)] * m->mask_bytes);
}

static void split_bytes(const float *leaves, uint32_t count, uint8_t *planes)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &leaves[i], sizeof bits);
        for (uint32_t b = 0; b < 4; b++)
            planes[b * count + i] = (uint8_t)(bits >> (8 * b));
    }
}

static void lay_chunk(maker *m, const mr_mask_chunk *chunk)
{
    uint32_t size = 1u << m->plan->leaf_bits;
    for (uint32_t t = chunk->first_tree; t < chunk->first_tree + chunk->tree_count; t++) {
        uint32_t depth = MR_MAX(m->forest->depths[t], 1u);
        m->plan->trees[t] = (mr_mask_tree){.first_id = (uint32_t)(m->ids.size / sizeof(uint32_t)),
                                           .group = m->forest->groups[t],
                                           .depth = depth};
        float *leaves = m->plan->leaves + (size_t)t * size;
        lay_tree(m, m->forest->firsts[t], depth, 0, leaves);
        split_bytes(leaves, size, m->plan->leaf_bytes + (size_t)t * size * 4);
    }
}

static void close_chunk(maker *m, uint32_t first_tree, uint32_t end_tree, const uint32_t *set_lanes)
{
    mr_mask_chunk chunk = {.first_tree = first_tree,
                           .tree_count = end_tree - first_tree,
                           .first_run = (uint32_t)(m->runs.size / sizeof(mr_mask_run))};
    chunk.run_count = number_questions(m, set_lanes);
    mr_bytes_append(&m->chunks, &chunk, sizeof chunk);
    m->plan->chunk_count++;
    lay_chunk(m, &chunk);
    m->lost |= m->asked.failed; /* clear forgets it */
    mr_bytes_clear(&m->asked);
}

/* A chunk is closed when the next tree might not fit any more. */
static void cut_chunks(maker *m, const uint32_t *set_lanes)
{
    uint32_t first = 0;
    for (uint32_t t = 0; t < m->forest->tree_count; t++) {
        uint32_t nodes = m->forest->firsts[t + 1] - m->forest->firsts[t];
        if (t > first && asked_count(m) + nodes / 2 + 1 > m->masks_max) {
            close_chunk(m, first, t, set_lanes);
            first = t;
        }
        ask_tree(m, t, m->plan->chunk_count);
    }
    close_chunk(m, first, m->forest->tree_count, set_lanes);
}

static void find_set_lanes(const maker *m, uint32_t *set_lanes)
{
    for (uint32_t i = 0; i < m->forest->node_count; i++) {
        const mr_tree_node *node = &m->forest->nodes[i];
        if (node->set != 0)
            set_lanes[node->set - 1] = node->default_left
                                           ? feature_of(m, node->feature)->codes_left
                                           : feature_of(m, node->feature)->codes_right;
    }
}

/* ---- all together ---- */

void mr_mask_plan_destroy(mr_tree_plan *base)
{
    mr_mask_plan *plan = (mr_mask_plan *)(void *)base;
    mr_free(plan->features);
    mr_free(plan->tables);
    mr_free(plan->chunks);
    mr_free(plan->runs);
    mr_free(plan->trees);
    mr_free(plan->ranks);
    mr_free(plan->sets);
    mr_free(plan->ids);
    mr_free(plan->leaves);
    mr_free(plan->leaf_bytes);
    mr_free(plan);
}

static void maker_deinit(maker *m)
{
    mr_bytes *all[] = {&m->asked, &m->chunks, &m->runs, &m->ranks, &m->sets, &m->ids};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_bytes_deinit(all[i]);
    mr_free(m->feature_at);
    mr_free(m->stamp);
    mr_free(m->local);
}

static mr_status plan_features(maker *m, mr_error *err)
{
    const mr_forest *forest = m->forest;
    m->feature_at = mr_alloc_zero(forest->feature_count, sizeof *m->feature_at);
    m->plan->features = mr_alloc(sizeof *m->plan->features * forest->feature_count);
    if (m->feature_at == NULL || m->plan->features == NULL)
        return MR_OUT_OF_MEMORY(err);
    list_features(m);
    assign_lanes(m);
    return m->fits ? make_tables(m, err) : MR_OK;
}

static bool collected(maker *m)
{
    mr_mask_plan *plan = m->plan;
    bool failed = m->lost || m->chunks.failed || m->runs.failed || m->ranks.failed ||
                  m->sets.failed || m->ids.failed;
    plan->chunks = (mr_mask_chunk *)(void *)m->chunks.data;
    plan->runs = (mr_mask_run *)(void *)m->runs.data;
    plan->ranks = m->ranks.data;
    plan->sets = m->sets.data;
    plan->ids = (uint32_t *)(void *)m->ids.data;
    m->chunks = m->runs = m->ranks = m->sets = m->ids = (mr_bytes){0};
    return !failed;
}

static mr_status plan_trees(maker *m, mr_error *err)
{
    const mr_forest *forest = m->forest;
    mr_mask_plan *plan = m->plan;
    plan->leaf_bits = MR_MAX(forest->depth_max, 6u);
    size_t leaf_count = ((size_t)forest->tree_count + 1) << plan->leaf_bits;
    m->question_count = (size_t)plan->lane_count * MR_MASK_LANE_RANKS + forest->set_count + 1;
    m->stamp = mr_alloc_zero(m->question_count, sizeof *m->stamp);
    m->local = mr_alloc_zero(m->question_count, sizeof *m->local);
    plan->trees = mr_alloc(sizeof *plan->trees * ((size_t)forest->tree_count + 1));
    plan->leaves = mr_alloc_aligned(sizeof(float) * leaf_count);
    plan->leaf_bytes = mr_alloc_aligned(sizeof(float) * leaf_count);
    uint32_t *set_lanes = mr_alloc_zero((size_t)forest->set_count + 1, sizeof *set_lanes);
    bool whole = m->stamp != NULL && m->local != NULL && plan->trees != NULL &&
                 plan->leaves != NULL && plan->leaf_bytes != NULL && set_lanes != NULL;
    if (whole) {
        memset(plan->leaves, 0, sizeof(float) * leaf_count);
        find_set_lanes(m, set_lanes);
        cut_chunks(m, set_lanes);
        whole = collected(m);
    }
    mr_free(set_lanes);
    return whole ? MR_OK : MR_OUT_OF_MEMORY(err);
}

mr_status mr_mask_plan_create(const mr_tree_kernel *kernel, const mr_forest *forest,
                              const mr_tree_ranks *ranks, uint32_t mask_bytes,
                              uint32_t masks_per_chunk_max, mr_mask_plan **out, mr_error *err)
{
    *out = NULL;
    if (forest->depth_max > MR_MASK_DEPTH_MAX || forest->tree_count == 0 || !sets_fit(forest))
        return MR_OK;
    mr_mask_plan *plan = MR_NEW(mr_mask_plan);
    if (plan == NULL)
        return MR_OUT_OF_MEMORY(err);
    plan->plan.kernel = kernel;
    plan->forest = forest;
    maker m = {.plan = plan,
               .forest = forest,
               .known = ranks,
               .mask_bytes = mask_bytes,
               .masks_max = masks_per_chunk_max,
               .fits = true};
    mr_status status = plan_features(&m, err);
    if (status == MR_OK && m.fits)
        status = plan_trees(&m, err);
    maker_deinit(&m);
    if (status == MR_OK && m.fits)
        *out = plan;
    else
        mr_mask_plan_destroy(&plan->plan);
    return status;
}
