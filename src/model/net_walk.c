/* net_walk.c -- trees that are walked node by node, and leaves with several weights. */
#include "model/net_trees_internal.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

/* ---- the walk ---- */

/* Children lie side by side: yes, then no. A leaf has children 0 and its number as value. */
typedef struct walk_node {
    double value;
    uint32_t feature, child; /* within the tree */
    uint32_t branch : 8, missing_true : 1;
    uint32_t set_first, set_count;
} walk_node;

typedef struct walk_step {
    const walk_node *nodes;
    const uint32_t *firsts;
    const double *members;
    bool wide;
} walk_step;

static bool is_member(const walk_step *walk, const walk_node *node, double x)
{
    for (uint32_t i = 0; i < node->set_count; i++)
        if (walk->members[node->set_first + i] == x)
            return true;
    return false;
}

static bool is_true(const walk_step *walk, const walk_node *node, double x)
{
    if (x != x && node->missing_true != 0)
        return true;
    switch (node->branch) {
    case MR_BRANCH_LEQ:
        return x <= node->value;
    case MR_BRANCH_LT:
        return x < node->value;
    case MR_BRANCH_GTE:
        return x >= node->value;
    case MR_BRANCH_GT:
        return x > node->value;
    case MR_BRANCH_EQ:
        return x == node->value;
    case MR_BRANCH_NEQ:
        return x != node->value;
    default:
        return is_member(walk, node, x);
    }
}

static void run_walk(const mr_net_step *step, const mr_net_frame *frame)
{
    const walk_step *walk = step->data;
    const size_t rows = frame->rows;
    const float *narrow = mr_net_at(&step->in[0], frame, 0);
    const double *wide = mr_net_at(&step->in[0], frame, 0);
    for (uint32_t t = 0; t < step->out.count; t++) {
        const walk_node *tree = walk->nodes + walk->firsts[t];
        float *out = mr_net_at(&step->out, frame, t);
        for (size_t r = 0; r < rows; r++) {
            const walk_node *node = tree;
            while (node->child != 0) {
                size_t at = node->feature * rows + r;
                double x = walk->wide ? wide[at] : (double)narrow[at];
                node = tree + node->child + (is_true(walk, node, x) ? 0 : 1);
            }
            out[r] = (float)node->value;
        }
    }
}

static void *keep(mr_net *net, const void *from, size_t bytes)
{
    void *to = mr_arena_alloc_aligned(&net->keep, MR_MAX(bytes, (size_t)1));
    if (to != NULL && bytes > 0)
        memcpy(to, from, bytes);
    return to;
}

static void fill_walk(const mr_net_layout *l, walk_node *nodes)
{
    for (uint32_t t = 0; t < l->from->tree_count; t++) {
        uint32_t leaf = 0;
        for (uint32_t i = l->firsts[t]; i < l->firsts[t + 1]; i++) {
            if (l->refs[i] < 0) {
                nodes[i] = (walk_node){.value = leaf++};
                continue;
            }
            const mr_net_node *from = &l->from->nodes[l->refs[i]];
            nodes[i] = (walk_node){.value = from->value,
                                   .feature = from->feature,
                                   .child = l->child[i] - l->firsts[t],
                                   .branch = from->branch,
                                   .missing_true = from->missing_true,
                                   .set_first = from->set_first,
                                   .set_count = from->set_count};
        }
    }
}

static uint32_t member_count(const mr_net_ensemble *e)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < e->node_count; i++)
        if (e->nodes[i].branch == MR_BRANCH_MEMBER)
            end = MR_MAX(end, e->nodes[i].set_first + e->nodes[i].set_count);
    return end;
}

mr_status mr_net_emit_walk(mr_net *net, const mr_net_layout *l, mr_tensor_type type,
                           const mr_net_operand *x, uint32_t column, mr_error *err)
{
    const mr_net_ensemble *e = l->from;
    walk_step *walk = MR_ARENA_NEW(&net->keep, walk_step);
    walk_node *nodes = mr_arena_alloc_aligned(&net->keep, sizeof *nodes * l->count);
    uint32_t *firsts = keep(net, l->firsts, sizeof *firsts * (e->tree_count + 1));
    double *members = keep(net, e->members, sizeof *members * member_count(e));
    if (walk == NULL || nodes == NULL || firsts == NULL || members == NULL)
        return MR_OUT_OF_MEMORY(err);
    fill_walk(l, nodes);
    *walk = (walk_step){nodes, firsts, members, type == MR_TENSOR_FLOAT64};
    mr_net_step step = {.run = run_walk,
                        .out = mr_net_columns_operand(net, column, e->tree_count),
                        .in = {*x},
                        .data = walk};
    return mr_net_emit(net, &step, err);
}

/* ---- weights of leaves ---- */

typedef struct leaf_weight {
    uint32_t target;
    float narrow;
    double wide;
} leaf_weight;

typedef struct leaves_step {
    const uint32_t *first_leaf; /* of each tree: into `firsts` */
    const uint32_t *firsts;     /* of each leaf, and one more: into `weights` */
    const leaf_weight *weights;
    uint32_t tree_count;
    mr_net_aggregate aggregate;
} leaves_step;

/* MIN and MAX start from NaN, which no weight is; what no leaf spoke of is 0. */
#define RUN_LEAVES(name, type, field)                                                              \
    static void name##_one(const leaves_step *l, type *restrict out, const float *numbers,         \
                           size_t rows, uint32_t tree)                                             \
    {                                                                                              \
        const uint32_t *firsts = l->firsts + l->first_leaf[tree];                                  \
        for (size_t r = 0; r < rows; r++) {                                                        \
            const uint32_t *first = firsts + (uint32_t)numbers[r];                                 \
            for (uint32_t w = first[0]; w < first[1]; w++) {                                       \
                type *sum = &out[l->weights[w].target * rows + r], x = l->weights[w].field;        \
                if (l->aggregate == MR_AGGREGATE_MIN)                                              \
                    *sum = *sum != *sum || x < *sum ? x : *sum;                                    \
                else if (l->aggregate == MR_AGGREGATE_MAX)                                         \
                    *sum = *sum != *sum || x > *sum ? x : *sum;                                    \
                else                                                                               \
                    *sum = *sum + x;                                                               \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void name(const mr_net_step *step, const mr_net_frame *frame)                           \
    {                                                                                              \
        const leaves_step *l = step->data;                                                         \
        const size_t rows = frame->rows, count = rows * step->out.count;                           \
        type *out = mr_net_at(&step->out, frame, 0);                                               \
        bool extreme = l->aggregate == MR_AGGREGATE_MIN || l->aggregate == MR_AGGREGATE_MAX;       \
        for (size_t i = 0; i < count; i++)                                                         \
            out[i] = extreme ? (type)NAN : 0;                                                      \
        for (uint32_t t = 0; t < l->tree_count; t++)                                               \
            name##_one(l, out, mr_net_at(&step->in[0], frame, t), rows, t);                        \
        for (size_t i = 0; i < count && extreme; i++)                                              \
            out[i] = out[i] != out[i] ? 0 : out[i];                                                \
    }

RUN_LEAVES(run_leaves32, float, narrow)
RUN_LEAVES(run_leaves64, double, wide)

/* The leaves of the layout in order, each with its weights: a leaf that branches share is written twice. */
static mr_status gather(mr_net *net, const mr_net_layout *l, leaves_step *step, mr_error *err)
{
    const mr_net_ensemble *e = l->from;
    uint32_t leaf = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < l->count; i++)
        if (l->refs[i] < 0)
            total += e->leaf_first[~l->refs[i] + 1] - e->leaf_first[~l->refs[i]];
    if (total > MR_TENSOR_ELEMENTS_MAX)
        return MR_FAIL(err, MR_FULL, "the leaves have %llu weights", (unsigned long long)total);
    uint32_t *first_leaf = MR_ARENA_ARRAY(&net->keep, uint32_t, e->tree_count);
    uint32_t *firsts = MR_ARENA_ARRAY(&net->keep, uint32_t, (size_t)l->count + 1);
    leaf_weight *weights = MR_ARENA_ARRAY(&net->keep, leaf_weight, (size_t)total + 1);
    if (first_leaf == NULL || firsts == NULL || weights == NULL)
        return MR_OUT_OF_MEMORY(err);
    uint32_t at = 0;
    for (uint32_t t = 0; t < e->tree_count; t++) {
        first_leaf[t] = leaf;
        for (uint32_t i = l->firsts[t]; i < l->firsts[t + 1]; i++) {
            if (l->refs[i] >= 0)
                continue;
            const uint32_t *first = &e->leaf_first[~l->refs[i]];
            firsts[leaf++] = at;
            for (uint32_t w = first[0]; w < first[1]; w++)
                weights[at++] = (leaf_weight){e->weights[w].target, (float)e->weights[w].value,
                                              e->weights[w].value};
        }
    }
    firsts[leaf] = at;
    *step = (leaves_step){first_leaf, firsts, weights, e->tree_count, e->aggregate};
    return MR_OK;
}

mr_status mr_net_emit_leaves(mr_net *net, const mr_net_layout *l, uint32_t column,
                             const mr_tensor *out, mr_error *err)
{
    leaves_step *data = MR_ARENA_NEW(&net->keep, leaves_step);
    if (data == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(gather(net, l, data, err));
    mr_net_step step = {.run = out->type == MR_TENSOR_FLOAT64 ? run_leaves64 : run_leaves32,
                        .out = mr_net_columns_operand(net, out->elements[0], out->count),
                        .in = {mr_net_columns_operand(net, column, l->from->tree_count)},
                        .data = data};
    return mr_net_emit(net, &step, err);
}
