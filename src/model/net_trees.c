/* net_trees.c -- checks an ensemble and decides how it is computed; the forest and what adds up the leaves.
 *
 * A leaf's number counts within its tree, in the order of a walk from the root, breadth first. */
#include "model/net_trees.h"

#include "base/assert.h"
#include "model/model_internal.h"
#include "model/net_trees_internal.h"
#include "model/tree_model.h"

#include <math.h>
#include <string.h>

#define TREES_OF_A_FOREST 512 /* when leaves give their numbers: each tree is a sum of its own */

/* ---- order: every tree's nodes and leaves as they come, breadth first ---- */

static mr_status place(mr_net_layout *l, uint32_t tree, int32_t ref, mr_error *err)
{
    const mr_net_ensemble *e = l->from;
    if (ref >= 0 ? (uint32_t)ref >= e->node_count : (uint32_t)~ref >= e->leaf_count)
        return MR_FAIL(err, MR_INVALID, "tree %u: a branch leads to %s %u, there are %u", tree,
                       ref >= 0 ? "node" : "leaf", (uint32_t)(ref >= 0 ? ref : ~ref),
                       ref >= 0 ? e->node_count : e->leaf_count);
    if (ref >= 0 && mr_bit_get(l->seen, (uint32_t)ref))
        return MR_FAIL(err, MR_INVALID, "tree %u: node %d has two parents: that is no tree", tree,
                       ref);
    if (l->count >= l->room)
        return MR_FAIL(err, MR_INVALID, "tree %u: branches share too many leaves", tree);
    if (ref >= 0)
        mr_bit_set(l->seen, (uint32_t)ref);
    l->refs[l->count++] = ref;
    return MR_OK;
}

static mr_status place_tree(mr_net_layout *l, uint32_t tree, mr_error *err)
{
    uint32_t at = l->count;
    l->firsts[tree] = at;
    MR_TRY(place(l, tree, l->from->roots[tree], err));
    for (; at < l->count; at++) {
        if (l->refs[at] < 0)
            continue;
        const mr_net_node *node = &l->from->nodes[l->refs[at]];
        if (node->feature >= l->feature_count)
            return MR_FAIL(err, MR_INVALID, "tree %u, node %d: feature %u of %u", tree, l->refs[at],
                           node->feature, l->feature_count);
        if (isnan(node->value) && node->branch != MR_BRANCH_MEMBER)
            return MR_FAIL(err, MR_INVALID, "tree %u, node %d: the threshold is NaN", tree,
                           l->refs[at]);
        l->child[at] = l->count;
        MR_TRY(place(l, tree, node->yes, err));
        MR_TRY(place(l, tree, node->no, err));
    }
    return MR_OK;
}

static mr_status lay_out(mr_net *net, mr_net_layout *l, mr_error *err)
{
    const mr_net_ensemble *e = l->from;
    l->room = 2 * e->node_count + e->tree_count;
    l->refs = MR_ARENA_ARRAY(&net->temp, int32_t, l->room + 1);
    l->child = MR_ARENA_ARRAY(&net->temp, uint32_t, l->room + 1);
    l->firsts = MR_ARENA_ARRAY(&net->temp, uint32_t, e->tree_count + 1);
    l->seen = MR_ARENA_ARRAY(&net->temp, uint8_t, mr_bitmap_bytes(e->node_count) + 1);
    if (l->refs == NULL || l->child == NULL || l->firsts == NULL || l->seen == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t t = 0; t < e->tree_count; t++)
        MR_TRY(place_tree(l, t, err));
    l->firsts[e->tree_count] = l->count;
    return MR_OK;
}

static mr_status check_weights(const mr_net_ensemble *e, mr_error *err)
{
    for (uint32_t w = 0; w < e->leaf_first[e->leaf_count]; w++)
        if (e->weights[w].target >= e->target_count || !isfinite(e->weights[w].value))
            return MR_FAIL(err, MR_INVALID, "weight %u: %g for target %u of %u", w,
                           e->weights[w].value, e->weights[w].target, e->target_count);
    return MR_OK;
}

/* ---- forests ---- */

/* x <= t as x < the next float; greater ones exchange the children. False: not to be said with `<`. */
static bool as_less(const mr_net_node *node, float *out, bool *out_exchanged)
{
    float t = (float)node->value;
    *out_exchanged = node->branch == MR_BRANCH_GTE || node->branch == MR_BRANCH_GT;
    bool next = node->branch == MR_BRANCH_LEQ || node->branch == MR_BRANCH_GT;
    *out = next ? nextafterf(t, INFINITY) : t;
    return node->branch <= MR_BRANCH_GT && (double)t == node->value && !(next && t == INFINITY);
}

static bool fits_forest(const mr_net_layout *l, mr_tensor_type type)
{
    float value;
    bool exchanged;
    if (type != MR_TENSOR_FLOAT32 || l->feature_count > MR_MODEL_INPUTS_MAX)
        return false;
    for (uint32_t i = 0; i < l->count; i++)
        if (l->refs[i] >= 0 && !as_less(&l->from->nodes[l->refs[i]], &value, &exchanged))
            return false;
    return true;
}

/* One target a tree, one weight a leaf: the kernels add the weights themselves. */
static bool is_direct(const mr_net_layout *l, uint32_t *groups)
{
    const mr_net_ensemble *e = l->from;
    if (e->aggregate > MR_AGGREGATE_AVERAGE || e->target_count > MR_MODEL_OUTPUTS_MAX)
        return false;
    for (uint32_t t = 0; t < e->tree_count; t++) {
        groups[t] = UINT32_MAX;
        for (uint32_t i = l->firsts[t]; i < l->firsts[t + 1]; i++) {
            if (l->refs[i] >= 0)
                continue;
            const uint32_t *first = &e->leaf_first[~l->refs[i]];
            const mr_net_weight *weight = &e->weights[first[0]];
            if (first[1] - first[0] != 1 ||
                (groups[t] != UINT32_MAX && groups[t] != weight->target) ||
                (double)(float)weight->value != weight->value)
                return false;
            groups[t] = weight->target;
        }
    }
    return true;
}

typedef struct tree_arrays {
    int32_t *left, *right, *feature;
    float *value;
    uint8_t *default_left;
} tree_arrays;

static mr_status make_arrays(mr_net *net, uint32_t count, tree_arrays *out, mr_error *err)
{
    out->left = MR_ARENA_ARRAY(&net->temp, int32_t, count);
    out->right = MR_ARENA_ARRAY(&net->temp, int32_t, count);
    out->feature = MR_ARENA_ARRAY(&net->temp, int32_t, count);
    out->value = MR_ARENA_ARRAY(&net->temp, float, count);
    out->default_left = MR_ARENA_ARRAY(&net->temp, uint8_t, count);
    return out->left == NULL || out->right == NULL || out->feature == NULL || out->value == NULL ||
                   out->default_left == NULL
               ? MR_OUT_OF_MEMORY(err)
               : MR_OK;
}

/* Missing values go the way `x < t` would be true: to yes when they track true, unless that is the other side. */
static void fill_split(const mr_net_node *node, uint32_t child, uint32_t i, tree_arrays *arrays)
{
    bool exchanged;
    (void)as_less(node, &arrays->value[i], &exchanged);
    arrays->feature[i] = (int32_t)node->feature;
    arrays->left[i] = (int32_t)child + (exchanged ? 1 : 0);
    arrays->right[i] = (int32_t)child + (exchanged ? 0 : 1);
    arrays->default_left[i] = (node->missing_true != 0) != exchanged;
}

static mr_status add_tree(const mr_net_layout *l, uint32_t tree, bool direct, tree_arrays *arrays,
                          mr_forest_builder *builder, mr_error *err)
{
    const mr_net_ensemble *e = l->from;
    uint32_t first = l->firsts[tree], count = l->firsts[tree + 1] - first, leaf = 0;
    for (uint32_t i = 0; i < count; i++) {
        int32_t ref = l->refs[first + i];
        if (ref >= 0) {
            fill_split(&e->nodes[ref], l->child[first + i] - first, i, arrays);
            continue;
        }
        arrays->left[i] = arrays->right[i] = -1;
        arrays->value[i] = direct ? (float)e->weights[e->leaf_first[~ref]].value : (float)leaf;
        leaf++;
    }
    if (leaf > 1u << 24)
        return MR_FAIL(err, MR_FULL, "tree %u has %u leaves", tree, leaf);
    mr_tree_arrays made = {.count = count,
                           .left = arrays->left,
                           .right = arrays->right,
                           .feature = arrays->feature,
                           .value = arrays->value,
                           .default_left = arrays->default_left};
    return mr_forest_add(builder, &made, err);
}

static void close_forest(void *model)
{
    mr_tree_model_close(model);
}

typedef struct forest_step {
    mr_model *model;
    uint32_t feature_count;
} forest_step;

/* work: | columns | pointers to them | scratch of the forest's kernels | */
static void run_forest(const mr_net_step *step, const mr_net_frame *frame)
{
    const forest_step *forest = step->data;
    mr_column *columns = (mr_column *)(void *)frame->work;
    const mr_column **inputs = (const mr_column **)(void *)(columns + forest->feature_count);
    size_t head = (sizeof *columns + sizeof *inputs) * forest->feature_count;
    head = (head + MR_ALIGN - 1) / MR_ALIGN * MR_ALIGN;
    mr_scratch scratch = {.inputs = inputs, .bytes = frame->work + head};
    float *out = mr_net_at(&step->out, frame, 0);
    if (frame->rows == 1) {
        mr_tree_model_score_row(forest->model, mr_net_at(&step->in[0], frame, 0), out, NULL,
                                &scratch);
        return;
    }
    for (uint32_t f = 0; f < forest->feature_count; f++) {
        columns[f] =
            (mr_column){.type = {MR_FLOAT32, 0}, .values = mr_net_at(&step->in[0], frame, f)};
        inputs[f] = &columns[f];
    }
    mr_model_out to = {.margins = out, .stride = frame->rows};
    mr_status status =
        mr_tree_model_score(forest->model, inputs, 0, frame->rows, &to, &scratch, NULL);
    MR_ASSERT(status == MR_OK);
}

static mr_status open_forest(mr_net *net, mr_forest *forest, mr_model **out, mr_error *err)
{
    mr_model_options options = {.settings = net->settings, .setting_count = net->setting_count};
    mr_tree_source source = {.objective = mr_tree_objective_find("reg:squarederror")};
    MR_TRY(mr_tree_model_create(net->tree_kind, forest, &source, &options, out, err));
    mr_status status = mr_arena_on_reset(&net->keep, close_forest, *out);
    if (status != MR_OK) {
        mr_tree_model_close(*out);
        return MR_OUT_OF_MEMORY(err);
    }
    return MR_OK;
}

static mr_status emit_forest(mr_net *net, mr_model *model, const mr_net_operand *x, uint32_t column,
                             uint32_t count, mr_error *err)
{
    forest_step *data = MR_ARENA_NEW(&net->keep, forest_step);
    if (data == NULL)
        return MR_OUT_OF_MEMORY(err);
    *data = (forest_step){model, model->signature.input_count};
    mr_net_step step = {.run = run_forest,
                        .out = mr_net_columns_operand(net, column, count),
                        .in = {*x},
                        .data = data,
                        .work_bytes = (sizeof(mr_column) + sizeof(void *)) * data->feature_count +
                                      MR_ALIGN + model->scratch_bytes + MR_ALIGN};
    return mr_net_emit(net, &step, err);
}

/* Trees [from, to); sums by group, or each tree's leaf number. */
static mr_status build_forest(mr_net *net, const mr_net_layout *l, uint32_t from, uint32_t to,
                              const uint32_t *groups, uint32_t group_count, tree_arrays *arrays,
                              mr_forest **out, mr_error *err)
{
    mr_forest_builder builder = {.feature_count = l->feature_count};
    mr_status status = MR_OK;
    for (uint32_t t = from; t < to && status == MR_OK; t++)
        status = add_tree(l, t, groups != l->numbers, arrays, &builder, err);
    float *base = MR_ARENA_ARRAY(&net->temp, float, group_count);
    if (status == MR_OK && base == NULL)
        status = MR_OUT_OF_MEMORY(err);
    if (status != MR_OK) {
        mr_forest_builder_deinit(&builder);
        return status;
    }
    return mr_forest_finish(&builder, to - from, groups, base, group_count, out, err);
}

static mr_status emit_forests(mr_net *net, const mr_net_layout *l, const mr_net_operand *x,
                              const uint32_t *groups, uint32_t group_count, uint32_t column,
                              mr_error *err)
{
    uint32_t trees = l->from->tree_count, longest = 1;
    bool numbers = groups == l->numbers;
    tree_arrays arrays;
    for (uint32_t t = 0; t < trees; t++)
        longest = MR_MAX(longest, l->firsts[t + 1] - l->firsts[t]);
    MR_TRY(make_arrays(net, longest, &arrays, err));
    uint32_t part = numbers ? TREES_OF_A_FOREST : trees;
    for (uint32_t from = 0; from < trees; from += part) {
        uint32_t to = MR_MIN(trees, from + part), count = numbers ? to - from : group_count;
        mr_forest *forest;
        mr_model *model;
        MR_TRY(build_forest(net, l, from, to, groups, count, &arrays, &forest, err));
        MR_TRY(open_forest(net, forest, &model, err));
        MR_TRY(emit_forest(net, model, x, column + (numbers ? from : 0), count, err));
    }
    return MR_OK;
}

/* ---- the ensemble ---- */

static mr_status emit_average(mr_net *net, mr_tensor *out, uint32_t tree_count, mr_error *err)
{
    mr_tensor sums = *out, trees;
    MR_TRY(mr_net_number(net, out->type, tree_count, &trees, err));
    return mr_net_binary(net, MR_NET_DIV, &sums, &trees, out, err);
}

static mr_status emit_ensemble(mr_net *net, mr_net_layout *l, const mr_tensor *x,
                               const mr_net_operand *in, mr_tensor *out, mr_error *err)
{
    const mr_net_ensemble *e = l->from;
    uint32_t column, *groups = MR_ARENA_ARRAY(&net->temp, uint32_t, e->tree_count + 1);
    if (groups == NULL)
        return MR_OUT_OF_MEMORY(err);
    bool fast = fits_forest(l, x->type);
    if (fast && is_direct(l, groups))
        return emit_forests(net, l, in, groups, e->target_count, out->elements[0], err);
    for (uint32_t t = 0; t < e->tree_count; t++)
        groups[t] = t % TREES_OF_A_FOREST;
    l->numbers = groups;
    MR_TRY(mr_net_columns(net, MR_TENSOR_FLOAT32, e->tree_count, &column, err));
    if (fast)
        MR_TRY(emit_forests(net, l, in, groups, 0, column, err));
    else
        MR_TRY(mr_net_emit_walk(net, l, x->type, in, column, err));
    return mr_net_emit_leaves(net, l, column, out, err);
}

mr_status mr_net_trees(mr_net *net, const mr_net_ensemble *ensemble, const mr_tensor *x,
                       mr_tensor *out, mr_error *err)
{
    char text[128];
    mr_tensor plain = *x;
    mr_net_operand in;
    MR_TRY(mr_net_plain(net, &plain, err));
    if (x->rank != 2 || x->batch != 0 || x->count == 0)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "trees on a tensor of shape %s; [N, features] is wanted",
                       mr_tensor_shape_text(x, text));
    mr_net_layout layout = {.from = ensemble, .feature_count = x->count};
    MR_TRY(check_weights(ensemble, err));
    MR_TRY(lay_out(net, &layout, err));
    MR_TRY(mr_net_fresh(net, x->type, 2, (uint32_t[]){1, ensemble->target_count}, 0, out, err));
    if (out->count == 0 || ensemble->tree_count == 0)
        return MR_FAIL(err, MR_INVALID, "no trees, or no targets");
    MR_TRY(mr_net_together(net, x->type, plain.elements, plain.count, true, &in, err));
    MR_TRY(emit_ensemble(net, &layout, x, &in, out, err));
    return ensemble->aggregate == MR_AGGREGATE_AVERAGE
               ? emit_average(net, out, ensemble->tree_count, err)
               : MR_OK;
}
