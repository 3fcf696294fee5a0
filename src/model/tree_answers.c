/* tree_answers.c -- one row on any processor: every distinct question is answered once, then trees are walked by answers.
 *
 *   answer ... a row's rank in each slot says which of its questions are answered right: the first `rank` of
 *              them. So each slot's answers are some ones and then zeros, copied from the right place of a long
 *              run of ones and zeros: as many bytes for every row, so that no branch depends on the data
 *   walk ..... trees are complete and hold only the number of the question, two bytes a node; a step is two loads and an
 *              addition: at = 2 at + answers[question[at]]. Eight walks are in flight
 *
 * (Perfect trees without child pointers, after "VPred", Asadi, Lin, de Vries, TKDE 2014; answering a shared question
 * once, after QuickScorer, Lucchese et al., SIGIR 2015.)
 *
 *   tree: | unused | question x (2^depth - 1), breadth first |    leaves: | 2^depth floats |
 *
 * (1) Question 0 is never answered right: missing nodes ask it.   (2) All trees are as deep as the deepest. */
#include "model/tree_kernel.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

#define DEPTH_MAX     10
#define QUESTIONS_MAX 32768u /* answers of a row should stay in the first-level cache */
#define NODES_RATIO   6      /* places for nodes per node: emptier forests are walked by pointers */
#define LANES         8      /* walks in flight */
#define INLINE        static inline __attribute__((always_inline))

typedef struct answer_slot {
    uint32_t first, count; /* its questions */
} answer_slot;

typedef struct answer_feature {
    uint32_t feature;
    uint32_t first, count; /* thresholds */
    answer_slot left, right;
} answer_feature;

typedef struct answer_plan {
    mr_tree_plan plan;
    const mr_forest *forest;
    uint32_t depth, feature_count;
    answer_feature *features;
    float *thresholds;
    uint8_t *ramp; /* as many ones as a feature has thresholds at most, then as many zeros */
    uint32_t ramp_ones;
    uint16_t *questions;
    float *leaves;
} answer_plan;

/* ---- planning ---- */

static void destroy_plan(mr_tree_plan *base)
{
    answer_plan *plan = (answer_plan *)(void *)base;
    mr_free(plan->features);
    mr_free(plan->thresholds);
    mr_free(plan->ramp);
    mr_free(plan->questions);
    mr_free(plan->leaves);
    mr_free(plan);
}

static uint32_t lay_slot(answer_slot *slot, uint32_t wanted, uint32_t count, uint32_t next)
{
    if (wanted != MR_RANK_NO_SLOT)
        *slot = (answer_slot){next, count};
    return next + slot->count;
}

/* Numbers of all questions; returns how many there are. */
static uint32_t lay_features(answer_plan *plan, const mr_tree_ranks *ranks)
{
    uint32_t next = 1;
    for (uint32_t f = 0; f < ranks->feature_count; f++) {
        const mr_rank_feature *from = &ranks->features[f];
        answer_feature *to = &plan->features[f];
        *to =
            (answer_feature){.feature = from->feature, .first = from->first, .count = from->count};
        next = lay_slot(&to->left, from->left, from->count, next);
        next = lay_slot(&to->right, from->right, from->count, next);
    }
    return next;
}

/* The recursion is as deep as the tree, DEPTH_MAX at most. */
static void lay_tree(const answer_plan *plan, const mr_tree_ranks *ranks, uint32_t tree,
                     uint32_t index, uint32_t level, uint32_t path)
{
    const mr_tree_node *node = &plan->forest->nodes[index];
    if (node->feature == MR_TREE_LEAF) {
        plan->leaves[((size_t)tree << plan->depth) + (path << (plan->depth - level))] = node->value;
        return;
    }
    const answer_feature *feature = &plan->features[ranks->feature_at[node->feature] - 1];
    const answer_slot *slot = node->default_left ? &feature->left : &feature->right;
    plan->questions[((size_t)tree << plan->depth) + (1u << level) + path] =
        (uint16_t)(slot->first + ranks->index[index]);
    lay_tree(plan, ranks, tree, node->left, level + 1, path * 2);
    lay_tree(plan, ranks, tree, node->right, level + 1, path * 2 + 1);
}

static size_t count_questions(const mr_tree_ranks *ranks)
{
    size_t count = 1;
    for (uint32_t f = 0; f < ranks->feature_count; f++) {
        const mr_rank_feature *feature = &ranks->features[f];
        count += feature->left != MR_RANK_NO_SLOT ? feature->count : 0;
        count += feature->right != MR_RANK_NO_SLOT ? feature->count : 0;
    }
    return count;
}

static size_t count_thresholds(const mr_tree_ranks *ranks)
{
    size_t end = 0;
    for (uint32_t f = 0; f < ranks->feature_count; f++)
        end = MR_MAX(end, (size_t)ranks->features[f].first + ranks->features[f].count);
    return end;
}

static bool fits(const mr_forest *forest, const mr_tree_ranks *ranks)
{
    return forest->tree_count > 0 && forest->depth_max <= DEPTH_MAX && forest->set_count == 0 &&
           count_questions(ranks) <= QUESTIONS_MAX &&
           ((size_t)forest->tree_count << (forest->depth_max + 1)) <=
               (size_t)forest->node_count * NODES_RATIO;
}

static bool lay_all(answer_plan *plan, const mr_tree_ranks *ranks)
{
    const mr_forest *forest = plan->forest;
    size_t nodes = (size_t)forest->tree_count << plan->depth;
    size_t thresholds = count_thresholds(ranks);
    plan->features = mr_alloc_zero((size_t)ranks->feature_count + 1, sizeof *plan->features);
    plan->thresholds = mr_alloc(sizeof *plan->thresholds * (thresholds + 1));
    plan->ramp_ones = ranks->count_max;
    plan->ramp = mr_alloc_zero((size_t)ranks->count_max + 1, 2);
    plan->questions = mr_alloc_zero(nodes, sizeof *plan->questions);
    plan->leaves = mr_alloc_zero(nodes, sizeof *plan->leaves);
    if (plan->features == NULL || plan->thresholds == NULL || plan->ramp == NULL ||
        plan->questions == NULL || plan->leaves == NULL)
        return false;
    memset(plan->ramp, 1, plan->ramp_ones);
    memcpy(plan->thresholds, ranks->thresholds, sizeof *plan->thresholds * thresholds);
    plan->feature_count = ranks->feature_count;
    plan->plan.scratch_bytes = lay_features(plan, ranks);
    for (uint32_t t = 0; t < forest->tree_count; t++)
        lay_tree(plan, ranks, t, forest->firsts[t], 0, 0);
    return true;
}

static mr_status make_plan(const mr_forest *forest, const mr_tree_ranks *ranks, bool fast,
                           mr_tree_plan **out, mr_error *err)
{
    (void)fast;
    *out = NULL;
    if (!fits(forest, ranks))
        return MR_OK;
    answer_plan *plan = MR_NEW(answer_plan);
    if (plan == NULL)
        return MR_OUT_OF_MEMORY(err);
    plan->plan.kernel = &mr_tree_answers;
    plan->forest = forest;
    plan->depth = forest->depth_max;
    bool whole = lay_all(plan, ranks);
    if (whole)
        *out = &plan->plan;
    else
        destroy_plan(&plan->plan);
    return whole ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* ---- answers ---- */

/* How many thresholds are <= x; NaN: none. Without a branch that depends on the data. */
static inline uint32_t rank_of(const float *thresholds, uint32_t count, float x)
{
    const float *base = thresholds;
    while (count > 1) {
        size_t half = count / 2;
        base += half & -(size_t)(base[half - 1] <= x);
        count -= (uint32_t)half;
    }
    return (uint32_t)(base - thresholds) + (base[0] <= x);
}

static inline void fill_slot(const answer_plan *plan, const answer_slot *slot, uint32_t rank,
                             uint8_t *answers)
{
    memcpy(answers + slot->first, plan->ramp + plan->ramp_ones - rank, slot->count);
}

static void answer_all(const answer_plan *plan, const float *row, uint8_t *answers)
{
    answers[0] = 0;
    for (uint32_t f = 0; f < plan->feature_count; f++) {
        const answer_feature *feature = &plan->features[f];
        float x = row[feature->feature];
        uint32_t rank = rank_of(plan->thresholds + feature->first, feature->count, x);
        if (feature->left.count > 0)
            fill_slot(plan, &feature->left, rank, answers);
        if (feature->right.count > 0)
            fill_slot(plan, &feature->right, isnan(x) ? feature->count : rank, answers);
    }
}

/* ---- trees ---- */

/* The depth is a constant where this is inlined: all eight places stay in registers. */
INLINE void walk_8(const uint16_t *questions, const float *from, uint32_t depth,
                   const uint8_t *answers, float *leaves)
{
    size_t at[LANES];
    for (size_t i = 0; i < LANES; i++)
        at[i] = 1;
    for (uint32_t d = 0; d < depth; d++)
        for (size_t i = 0; i < LANES; i++)
            at[i] = 2 * at[i] + answers[questions[(i << depth) + at[i]]];
    for (size_t i = 0; i < LANES; i++)
        leaves[i] = from[(i << depth) + at[i] - ((size_t)1 << depth)];
}

static float walk_1(const answer_plan *plan, uint32_t tree, const uint8_t *answers)
{
    const uint16_t *questions = plan->questions + ((size_t)tree << plan->depth);
    size_t at = 1;
    for (uint32_t d = 0; d < plan->depth; d++)
        at = 2 * at + answers[questions[at]];
    return plan->leaves[((size_t)tree << plan->depth) + at - ((size_t)1 << plan->depth)];
}

/* Returns how many trees are done. A single sum stays in a register. */
INLINE uint32_t walk_all(const answer_plan *plan, uint32_t depth, const uint8_t *answers,
                         float *margins)
{
    const mr_forest *forest = plan->forest;
    const uint16_t *questions = plan->questions;
    const float *from = plan->leaves;
    float leaves[LANES], sum = margins[0];
    uint32_t t = 0;
    for (; t + LANES <= forest->tree_count; t += LANES) {
        walk_8(questions, from, depth, answers, leaves);
        questions += (size_t)LANES << depth;
        from += (size_t)LANES << depth;
        if (forest->group_count == 1)
            for (uint32_t i = 0; i < LANES; i++)
                sum += leaves[i];
        else
            for (uint32_t i = 0; i < LANES; i++)
                margins[forest->groups[t + i]] += leaves[i];
    }
    if (forest->group_count == 1)
        margins[0] = sum;
    return t;
}

static uint32_t walk_by_depth(const answer_plan *plan, const uint8_t *answers, float *margins)
{
    switch (plan->depth) {
    case 3:
        return walk_all(plan, 3, answers, margins);
    case 4:
        return walk_all(plan, 4, answers, margins);
    case 5:
        return walk_all(plan, 5, answers, margins);
    case 6:
        return walk_all(plan, 6, answers, margins);
    case 7:
        return walk_all(plan, 7, answers, margins);
    case 8:
        return walk_all(plan, 8, answers, margins);
    default:
        return walk_all(plan, plan->depth, answers, margins);
    }
}

static void run_row(const mr_tree_plan *base, const float *row, float *margins, uint8_t *scratch)
{
    const answer_plan *plan = (const answer_plan *)(const void *)base;
    const mr_forest *forest = plan->forest;
    answer_all(plan, row, scratch);
    memcpy(margins, forest->base, sizeof *margins * forest->group_count);
    for (uint32_t t = walk_by_depth(plan, scratch, margins); t < forest->tree_count; t++)
        margins[forest->groups[t]] += walk_1(plan, t, scratch);
}

const mr_tree_kernel mr_tree_answers = {
    .name = "answers",
    .cpu = MR_CPU_PLAIN,
    .plan = make_plan,
    .destroy = destroy_plan,
    .row = run_row,
};
