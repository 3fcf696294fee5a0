/* onnx_trees.c -- TreeEnsembleClassifier and -Regressor (ai.onnx.ml 1 and 3) and TreeEnsemble (5).
 *
 * The older two list nodes as parallel attributes by (tree, node) and weights of leaves by the same pair; the first node
 * of a tree is its root. TreeEnsemble has nodes and leaves apart, branches being numbers into one or the other. How
 * scores and labels come of the sums follows ONNX Runtime, which the definition leaves open for two classes. */
#include "model/onnx_internal.h"

#include "base/assert.h"
#include "base/hash.h"
#include "model/net_trees.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int branch;
} modes[] = {
    {"BRANCH_LEQ", MR_BRANCH_LEQ},
    {"BRANCH_LT", MR_BRANCH_LT},
    {"BRANCH_GTE", MR_BRANCH_GTE},
    {"BRANCH_GT", MR_BRANCH_GT},
    {"BRANCH_EQ", MR_BRANCH_EQ},
    {"BRANCH_NEQ", MR_BRANCH_NEQ},
    {"LEAF", -1},
};

/* ---- the older form ---- */

typedef struct parts {
    mr_onnx_node *node;
    size_t count; /* nodes */
    const int64_t *trees, *ids, *features, *yes, *no, *missing;
    size_t missing_count;
    const ProtobufCBinaryData *modes;
    const double *values;
    uint32_t *places; /* hash of (tree, node) -> node + 1 */
    uint32_t mask;
    int32_t *refs; /* of each node: itself, or ~leaf */
    mr_net_node *nodes;
    uint32_t *leaf_first;
    mr_net_weight *weights;
    int32_t *roots;
    mr_net_ensemble e;
} parts;

static mr_status want_ints(parts *p, const char *name, const int64_t **out, mr_error *err)
{
    size_t count = mr_onnx_ints(p->node, name, out);
    return count == p->count
               ? MR_OK
               : MR_FAIL(err, MR_INVALID, "%zu %s for %zu nodes", count, name, p->count);
}

static mr_status read_attributes(parts *p, mr_error *err)
{
    size_t values;
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(p->node, "nodes_modes");
    p->count = mr_onnx_ints(p->node, "nodes_treeids", &p->trees);
    if (p->count == 0 || p->count > INT32_MAX / 4)
        return MR_FAIL(err, MR_INVALID, "%zu nodes", p->count);
    MR_TRY(want_ints(p, "nodes_nodeids", &p->ids, err));
    MR_TRY(want_ints(p, "nodes_featureids", &p->features, err));
    MR_TRY(want_ints(p, "nodes_truenodeids", &p->yes, err));
    MR_TRY(want_ints(p, "nodes_falsenodeids", &p->no, err));
    bool wide = mr_onnx_attribute(p->node, "nodes_values_as_tensor") != NULL;
    MR_TRY(mr_onnx_doubles(p->node, wide ? "nodes_values_as_tensor" : "nodes_values", &p->values,
                           &values, err));
    p->missing_count = mr_onnx_ints(p->node, "nodes_missing_value_tracks_true", &p->missing);
    if (a == NULL || a->n_strings != p->count || values != p->count)
        return MR_FAIL(err, MR_INVALID, "%zu nodes_modes and %zu nodes_values for %zu nodes",
                       a != NULL ? a->n_strings : 0, values, p->count);
    p->modes = a->strings;
    return MR_OK;
}

static uint32_t *find_place(const parts *p, int64_t tree, int64_t id)
{
    uint32_t slot = (uint32_t)(mr_hash_u64((uint64_t)tree * 0x9e3779b97f4a7c15u + (uint64_t)id));
    for (;; slot++) {
        uint32_t *place = &p->places[slot & p->mask];
        if (*place == 0 || (p->trees[*place - 1] == tree && p->ids[*place - 1] == id))
            return place;
    }
}

static mr_status place_nodes(parts *p, mr_error *err)
{
    uint32_t room = 16;
    while (room < p->count * 2)
        room *= 2;
    p->mask = room - 1;
    p->places = MR_ARENA_ARRAY(&p->node->net->temp, uint32_t, room);
    if (p->places == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < p->count; i++) {
        uint32_t *place = find_place(p, p->trees[i], p->ids[i]);
        if (*place != 0)
            return MR_FAIL(err, MR_INVALID, "node %lld of tree %lld is there twice",
                           (long long)p->ids[i], (long long)p->trees[i]);
        *place = (uint32_t)i + 1;
    }
    return MR_OK;
}

static mr_status mode_of(const ProtobufCBinaryData *text, int *out, mr_error *err)
{
    for (size_t i = 0; i < MR_COUNT_OF(modes); i++)
        if (strlen(modes[i].name) == text->len &&
            memcmp(modes[i].name, text->data, text->len) == 0) {
            *out = modes[i].branch;
            return MR_OK;
        }
    return MR_FAIL(err, MR_UNSUPPORTED, "nodes_modes holds '%.*s'",
                   (int)MR_MIN(text->len, (size_t)40),
                   text->len > 0 ? (const char *)text->data : "");
}

/* Numbers leaves, and roots: the first node of each tree. */
static mr_status number_nodes(parts *p, mr_error *err)
{
    mr_arena *temp = &p->node->net->temp;
    p->refs = MR_ARENA_ARRAY(temp, int32_t, p->count);
    p->roots = MR_ARENA_ARRAY(temp, int32_t, p->count);
    p->nodes = MR_ARENA_ARRAY(temp, mr_net_node, p->count);
    if (p->refs == NULL || p->roots == NULL || p->nodes == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < p->count; i++) {
        int branch;
        MR_TRY(mode_of(&p->modes[i], &branch, err));
        p->refs[i] = branch < 0 ? ~(int32_t)p->e.leaf_count++ : (int32_t)i;
        if (branch >= 0)
            p->nodes[i].branch = (uint32_t)branch & 0xff;
        if (i == 0 || p->trees[i] != p->trees[i - 1])
            p->roots[p->e.tree_count++] = p->refs[i];
    }
    return MR_OK;
}

static mr_status child_of(const parts *p, size_t i, int64_t id, int32_t *out, mr_error *err)
{
    uint32_t place = *find_place(p, p->trees[i], id);
    if (place == 0)
        return MR_FAIL(err, MR_INVALID,
                       "node %lld of tree %lld leads to node %lld, which is not there",
                       (long long)p->ids[i], (long long)p->trees[i], (long long)id);
    *out = p->refs[place - 1];
    return MR_OK;
}

static mr_status fill_nodes(parts *p, mr_error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        mr_net_node *node = &p->nodes[i];
        if (p->refs[i] < 0)
            continue;
        if (p->features[i] < 0 || p->features[i] > INT32_MAX)
            return MR_FAIL(err, MR_INVALID, "node %zu: feature %lld", i, (long long)p->features[i]);
        node->feature = (uint32_t)p->features[i];
        node->value = p->values[i];
        node->missing_true = i < p->missing_count && p->missing[i] != 0;
        MR_TRY(child_of(p, i, p->yes[i], &node->yes, err));
        MR_TRY(child_of(p, i, p->no[i], &node->no, err));
    }
    return MR_OK;
}

/* "class" and "_ids" */
static const char *joined(const char *prefix, const char *suffix, char out[64])
{
    (void)snprintf(out, 64, "%s%s", prefix, suffix);
    return out;
}

/* Weights in the order of leaves; of a leaf in the order of the file. */
static mr_status fill_weights(parts *p, const char *prefix, mr_error *err)
{
    char name[64];
    const int64_t *trees, *ids, *targets;
    const double *values;
    size_t counts[4];
    mr_arena *temp = &p->node->net->temp;
    counts[0] = mr_onnx_ints(p->node, joined(prefix, "_treeids", name), &trees);
    counts[1] = mr_onnx_ints(p->node, joined(prefix, "_nodeids", name), &ids);
    counts[2] = mr_onnx_ints(p->node, joined(prefix, "_ids", name), &targets);
    bool wide = mr_onnx_attribute(p->node, joined(prefix, "_weights_as_tensor", name)) != NULL;
    MR_TRY(mr_onnx_doubles(p->node, joined(prefix, wide ? "_weights_as_tensor" : "_weights", name),
                           &values, &counts[3], err));
    if (counts[0] != counts[1] || counts[0] != counts[2] || counts[0] != counts[3] ||
        counts[0] == 0)
        return MR_FAIL(err, MR_INVALID, "%zu tree ids, %zu node ids, %zu %s ids, %zu weights",
                       counts[0], counts[1], counts[2], prefix, counts[3]);
    p->leaf_first = MR_ARENA_ARRAY(temp, uint32_t, p->e.leaf_count + 2);
    p->weights = MR_ARENA_ARRAY(temp, mr_net_weight, counts[0] + 1);
    int32_t *leaf = MR_ARENA_ARRAY(temp, int32_t, counts[0] + 1);
    if (p->leaf_first == NULL || p->weights == NULL || leaf == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t w = 0; w < counts[0]; w++) {
        uint32_t place = *find_place(p, trees[w], ids[w]);
        if (place == 0 || p->refs[place - 1] >= 0 || targets[w] < 0 || targets[w] > INT32_MAX)
            return MR_FAIL(err, MR_INVALID, "weight %zu: node %lld of tree %lld is no leaf", w,
                           (long long)ids[w], (long long)trees[w]);
        leaf[w] = ~p->refs[place - 1];
        p->leaf_first[leaf[w] + 2]++;
    }
    for (uint32_t l = 0; l < p->e.leaf_count; l++)
        p->leaf_first[l + 2] += p->leaf_first[l + 1];
    for (size_t w = 0; w < counts[0]; w++)
        p->weights[p->leaf_first[leaf[w] + 1]++] = (mr_net_weight){(uint32_t)targets[w], values[w]};
    return MR_OK;
}

static mr_status read_ensemble(parts *p, const char *prefix, uint32_t targets, mr_error *err)
{
    MR_TRY(read_attributes(p, err));
    MR_TRY(place_nodes(p, err));
    MR_TRY(number_nodes(p, err));
    MR_TRY(fill_nodes(p, err));
    MR_TRY(fill_weights(p, prefix, err));
    p->e.nodes = p->nodes;
    p->e.node_count = (uint32_t)p->count;
    p->e.roots = p->roots;
    p->e.leaf_first = p->leaf_first;
    p->e.weights = p->weights;
    p->e.target_count = targets;
    return MR_OK;
}

/* The inputs as the trees compare them: float64 stays, everything else is float32. */
static mr_status tree_input(mr_onnx_node *node, mr_tensor *out, mr_error *err)
{
    *out = *node->in[0];
    return out->type == MR_TENSOR_FLOAT64
               ? mr_net_plain(node->net, out, err)
               : mr_net_cast(node->net, node->in[0], MR_TENSOR_FLOAT32, out, err);
}

static mr_status base_values(mr_onnx_node *node, const double **out, size_t *count, mr_error *err)
{
    bool wide = mr_onnx_attribute(node, "base_values_as_tensor") != NULL;
    return mr_onnx_doubles(node, wide ? "base_values_as_tensor" : "base_values", out, count, err);
}

static mr_status number(mr_onnx_node *node, const mr_tensor *like, double value, mr_tensor *out,
                        mr_error *err)
{
    return mr_net_number(node->net, like->type, value, out, err);
}

static mr_status add_number(mr_onnx_node *node, mr_tensor *x, double value, mr_error *err)
{
    mr_tensor from = *x, addend;
    MR_TRY(number(node, x, value, &addend, err));
    return mr_net_binary(node->net, MR_NET_ADD, &from, &addend, x, err);
}

static mr_status column(mr_onnx_node *node, const mr_tensor *x, uint32_t which, mr_tensor *out,
                        mr_error *err)
{
    return mr_tensor_take(&node->net->pool, x, 1, &which, 1, out, err);
}

/* One base value for each target. */
static mr_status add_bases(mr_onnx_node *node, mr_tensor *sums, const double *base, size_t count,
                           mr_error *err)
{
    mr_tensor values, wide, from = *sums;
    uint32_t dims = (uint32_t)count;
    MR_TRY(mr_net_constants(node->net, MR_TENSOR_FLOAT64, 1, &dims, base, &wide, err));
    MR_TRY(mr_net_cast(node->net, &wide, sums->type, &values, err));
    return mr_net_binary(node->net, MR_NET_ADD, &from, &values, sums, err);
}

/* ---- regression ---- */

static mr_status aggregate_of(mr_onnx_node *node, mr_net_aggregate *out, mr_error *err)
{
    static const char *const names[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    for (int i = 0; i < 4; i++)
        if (mr_onnx_is(node, "aggregate_function", names[i], "SUM")) {
            *out = (mr_net_aggregate)i;
            return MR_OK;
        }
    return MR_FAIL(err, MR_INVALID, "aggregate_function is none of SUM, AVERAGE, MIN, MAX");
}

/* With one target only PROBIT is applied, as in ONNX Runtime. */
static mr_status finish_targets(mr_onnx_node *node, mr_tensor *sums, mr_error *err)
{
    mr_tensor done = *sums;
    if (sums->count > 1 || mr_onnx_is(node, "post_transform", "PROBIT", "NONE"))
        MR_TRY(mr_onnx_transform(node, sums, &done, err));
    return mr_net_cast(node->net, &done, MR_TENSOR_FLOAT32, &node->out[0], err);
}

static mr_status build_regressor(mr_onnx_node *node, mr_error *err)
{
    parts p = {.node = node};
    mr_tensor x, sums;
    const double *base;
    size_t base_count;
    int64_t targets = mr_onnx_int(node, "n_targets", 1);
    if (targets < 1 || targets > MR_MODEL_OUTPUTS_MAX)
        return MR_FAIL(err, MR_INVALID, "n_targets is %lld", (long long)targets);
    MR_TRY(aggregate_of(node, &p.e.aggregate, err));
    MR_TRY(read_ensemble(&p, "target", (uint32_t)targets, err));
    MR_TRY(tree_input(node, &x, err));
    MR_TRY(mr_net_trees(node->net, &p.e, &x, &sums, err));
    MR_TRY(base_values(node, &base, &base_count, err));
    if (base_count != 0 && base_count != (size_t)targets)
        return MR_FAIL(err, MR_UNSUPPORTED, "%zu base_values for %lld targets", base_count,
                       (long long)targets);
    if (base_count > 0)
        MR_TRY(add_bases(node, &sums, base, base_count, err));
    return finish_targets(node, &sums, err);
}

/* ---- classification ---- */

typedef struct two_classes {
    bool one_id;       /* all weights are for one of the two */
    uint32_t id;       /* that one */
    bool all_positive; /* no weight is negative */
} two_classes;

static two_classes look_at(const mr_net_ensemble *e)
{
    two_classes t = {.one_id = true, .all_positive = true};
    uint32_t count = e->leaf_first[e->leaf_count];
    for (uint32_t w = 0; w < count; w++) {
        t.one_id = t.one_id && e->weights[w].target == e->weights[0].target;
        t.all_positive = t.all_positive && !(e->weights[w].value < 0);
    }
    t.id = count > 0 ? e->weights[0].target : 0;
    t.one_id = t.one_id && count > 0;
    return t;
}

/* The second class where s is above a threshold. */
static mr_status label_above(mr_onnx_node *node, const mr_tensor *s, double threshold,
                             mr_tensor *out_above, mr_error *err)
{
    mr_tensor limit, index, flat;
    int64_t last = -1;
    MR_TRY(number(node, s, threshold, &limit, err));
    MR_TRY(mr_net_binary(node->net, MR_NET_LESS, &limit, s, out_above, err));
    MR_TRY(mr_net_cast(node->net, out_above, MR_TENSOR_INT64, &index, err));
    MR_TRY(mr_tensor_squeeze(&node->net->pool, &index, &last, 1, &flat, err));
    return mr_onnx_label(node, &flat, "classlabels_int64s", 2, &node->out[0], err);
}

/* One sum for both: [f(-s), f(s)] with LOGISTIC, [1 - s, s] when it is a share, else [-s, s]. */
static mr_status score_one(mr_onnx_node *node, const two_classes *t, const mr_tensor *s,
                           mr_tensor *out, mr_error *err)
{
    mr_net *net = node->net;
    mr_tensor above, both[2], sides[2], one;
    bool logistic = mr_onnx_is(node, "post_transform", "LOGISTIC", "NONE");
    MR_TRY(label_above(node, s, t->all_positive ? 0.5 : 0.0, &above, err));
    both[1] = sides[1] = *s;
    MR_TRY(number(node, s, 1, &one, err));
    MR_TRY(mr_net_unary(net, MR_NET_NEG, s, 0, 0, &sides[0], err));
    both[0] = sides[0];
    if (t->all_positive && !logistic)
        MR_TRY(mr_net_binary(net, MR_NET_SUB, &one, s, &both[0], err));
    for (int i = 0; i < 2 && logistic; i++)
        MR_TRY(mr_net_unary(net, MR_NET_LOGISTIC, &sides[i], 0, 0, &both[i], err));
    return mr_tensor_concat(&net->pool, both, 2, 1, out, err);
}

/* Two sums. */
static mr_status score_two(mr_onnx_node *node, const two_classes *t, mr_tensor *sums,
                           mr_tensor *out, mr_error *err)
{
    mr_tensor second, above;
    MR_TRY(column(node, sums, 1, &second, err));
    MR_TRY(label_above(node, &second, t->one_id && t->all_positive ? 0.5 : 0.0, &above, err));
    return mr_onnx_transform(node, sums, out, err);
}

static mr_status classify_two(mr_onnx_node *node, const mr_net_ensemble *e, mr_tensor *sums,
                              const double *base, size_t base_count, mr_tensor *out, mr_error *err)
{
    two_classes t = look_at(e);
    mr_tensor s;
    if (base_count > 1 || (base_count > 0 && t.one_id && t.id == 1))
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "%zu base_values for two classes, with weights %s: what they mean is not "
                       "defined",
                       base_count, t.one_id ? "of one class" : "of both");
    if (!t.one_id || t.id == 1) {
        const double first[2] = {base_count > 0 ? base[0] : 0, 0};
        if (base_count > 0)
            MR_TRY(add_bases(node, sums, first, 2, err));
        return score_two(node, &t, sums, out, err);
    }
    if (mr_onnx_is(node, "post_transform", "PROBIT", "NONE"))
        return MR_FAIL(err, MR_UNSUPPORTED, "PROBIT of one sum for two classes");
    MR_TRY(column(node, sums, 0, &s, err));
    if (base_count > 0)
        MR_TRY(add_number(node, &s, base[0], err));
    return score_one(node, &t, &s, out, err);
}

static mr_status classify_many(mr_onnx_node *node, uint32_t classes, mr_tensor *sums,
                               const double *base, size_t base_count, mr_tensor *out, mr_error *err)
{
    mr_tensor index;
    if (base_count != 0 && base_count != classes)
        return MR_FAIL(err, MR_UNSUPPORTED, "%zu base_values for %u classes", base_count, classes);
    if (base_count > 0)
        MR_TRY(add_bases(node, sums, base, base_count, err));
    MR_TRY(mr_net_arg(node->net, sums, 1, false, false, false, &index, err));
    MR_TRY(mr_onnx_label(node, &index, "classlabels_int64s", classes, &node->out[0], err));
    return mr_onnx_transform(node, sums, out, err);
}

static mr_status build_classifier(mr_onnx_node *node, mr_error *err)
{
    parts p = {.node = node};
    mr_tensor x, sums, scores;
    const double *base;
    const int64_t *ints;
    size_t base_count;
    const MrOnnx__AttributeProto *texts = mr_onnx_attribute(node, "classlabels_strings");
    size_t classes = texts != NULL && texts->n_strings > 0
                         ? texts->n_strings
                         : mr_onnx_ints(node, "classlabels_int64s", &ints);
    if (classes < 2 || classes > MR_MODEL_OUTPUTS_MAX)
        return MR_FAIL(err, MR_UNSUPPORTED, "%zu classes; from 2 to %d are supported", classes,
                       MR_MODEL_OUTPUTS_MAX);
    MR_TRY(read_ensemble(&p, "class", (uint32_t)classes, err));
    MR_TRY(tree_input(node, &x, err));
    MR_TRY(mr_net_trees(node->net, &p.e, &x, &sums, err));
    MR_TRY(base_values(node, &base, &base_count, err));
    MR_TRY(classes == 2
               ? classify_two(node, &p.e, &sums, base, base_count, &scores, err)
               : classify_many(node, (uint32_t)classes, &sums, base, base_count, &scores, err));
    return mr_net_cast(node->net, &scores, MR_TENSOR_FLOAT32, &node->out[1], err);
}

/* ---- TreeEnsemble ---- */

typedef struct flat {
    size_t nodes, leaves, sets;
    const int64_t *features, *yes, *no, *yes_leaf, *no_leaf, *missing, *targets, *roots;
    size_t missing_count, root_count;
    const double *splits, *weights, *members;
    const MrOnnx__AttributeProto *modes;
} flat;

static mr_status read_modes(mr_onnx_node *node, flat *f, mr_error *err)
{
    f->modes = mr_onnx_attribute(node, "nodes_modes");
    bool bytes = f->modes != NULL && f->modes->t != NULL && f->modes->t->has_raw_data;
    size_t count = f->modes == NULL || f->modes->t == NULL ? 0
                   : bytes                                 ? f->modes->t->raw_data.len
                                                           : f->modes->t->n_int32_data;
    return count == f->nodes
               ? MR_OK
               : MR_FAIL(err, MR_INVALID, "%zu nodes_modes for %zu nodes", count, f->nodes);
}

static mr_status read_flat(mr_onnx_node *node, flat *f, mr_error *err)
{
    size_t counts[4], weights, splits;
    f->nodes = mr_onnx_ints(node, "nodes_featureids", &f->features);
    counts[0] = mr_onnx_ints(node, "nodes_truenodeids", &f->yes);
    counts[1] = mr_onnx_ints(node, "nodes_falsenodeids", &f->no);
    counts[2] = mr_onnx_ints(node, "nodes_trueleafs", &f->yes_leaf);
    counts[3] = mr_onnx_ints(node, "nodes_falseleafs", &f->no_leaf);
    f->missing_count = mr_onnx_ints(node, "nodes_missing_value_tracks_true", &f->missing);
    f->root_count = mr_onnx_ints(node, "tree_roots", &f->roots);
    f->leaves = mr_onnx_ints(node, "leaf_targetids", &f->targets);
    MR_TRY(mr_onnx_doubles(node, "nodes_splits", &f->splits, &splits, err));
    MR_TRY(mr_onnx_doubles(node, "leaf_weights", &f->weights, &weights, err));
    MR_TRY(mr_onnx_doubles(node, "membership_values", &f->members, &f->sets, err));
    MR_TRY(read_modes(node, f, err));
    for (int i = 0; i < 4; i++)
        if (counts[i] != f->nodes || f->nodes == 0 || f->nodes > INT32_MAX / 4)
            return MR_FAIL(err, MR_INVALID, "%zu nodes_featureids and %zu of another list of nodes",
                           f->nodes, counts[i]);
    if (weights != f->leaves || splits != f->nodes || f->leaves > INT32_MAX / 4 ||
        f->root_count == 0 || f->root_count > f->nodes)
        return MR_FAIL(err, MR_INVALID,
                       "%zu leaf_weights for %zu leaf_targetids, %zu nodes_splits for %zu nodes, "
                       "%zu tree_roots",
                       weights, f->leaves, splits, f->nodes, f->root_count);
    return MR_OK;
}

/* Members stand behind each other, each node's set ended by a NaN. */
static mr_status next_set(const flat *f, size_t *at, mr_net_node *node, mr_error *err)
{
    size_t first = *at, end = first;
    while (end < f->sets && !isnan(f->members[end]))
        end++;
    if (end >= f->sets)
        return MR_FAIL(err, MR_INVALID, "membership_values has too few sets");
    node->set_first = (uint32_t)first;
    node->set_count = (uint32_t)(end - first);
    *at = end + 1;
    return MR_OK;
}

static mr_status flat_nodes(const flat *f, mr_net_node *nodes, mr_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < f->nodes; i++) {
        const MrOnnx__TensorProto *t = f->modes->t;
        int mode = t->has_raw_data ? t->raw_data.data[i] : t->int32_data[i];
        bool fits = mode >= 0 && mode < MR_BRANCHES && f->features[i] >= 0 &&
                    f->features[i] <= INT32_MAX && f->yes[i] >= 0 && f->no[i] >= 0 &&
                    f->yes[i] < INT32_MAX && f->no[i] < INT32_MAX;
        if (!fits)
            return MR_FAIL(err, MR_INVALID,
                           "node %zu: mode %d, feature %lld, branches %lld and %lld", i, mode,
                           (long long)f->features[i], (long long)f->yes[i], (long long)f->no[i]);
        nodes[i] =
            (mr_net_node){.value = f->splits[i],
                          .feature = (uint32_t)f->features[i],
                          .branch = (uint32_t)mode & 0xff,
                          .missing_true = i < f->missing_count && f->missing[i] != 0,
                          .yes = f->yes_leaf[i] != 0 ? ~(int32_t)f->yes[i] : (int32_t)f->yes[i],
                          .no = f->no_leaf[i] != 0 ? ~(int32_t)f->no[i] : (int32_t)f->no[i]};
        if (mode == MR_BRANCH_MEMBER)
            MR_TRY(next_set(f, &at, &nodes[i], err));
    }
    return MR_OK;
}

/* A tree that is one leaf has a node whose branches both lead to it. */
static mr_status flat_ensemble(mr_onnx_node *node, const flat *f, mr_net_ensemble *e, mr_error *err)
{
    mr_arena *temp = &node->net->temp;
    mr_net_node *nodes = MR_ARENA_ARRAY(temp, mr_net_node, f->nodes);
    int32_t *roots = MR_ARENA_ARRAY(temp, int32_t, f->root_count);
    uint32_t *leaf_first = MR_ARENA_ARRAY(temp, uint32_t, f->leaves + 1);
    mr_net_weight *weights = MR_ARENA_ARRAY(temp, mr_net_weight, f->leaves + 1);
    if (nodes == NULL || roots == NULL || leaf_first == NULL || weights == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(flat_nodes(f, nodes, err));
    for (size_t t = 0; t < f->root_count; t++) {
        if (f->roots[t] < 0 || (size_t)f->roots[t] >= f->nodes)
            return MR_FAIL(err, MR_INVALID, "tree_roots[%zu] is %lld of %zu nodes", t,
                           (long long)f->roots[t], f->nodes);
        roots[t] = (int32_t)f->roots[t];
    }
    for (size_t l = 0; l < f->leaves; l++) {
        if (f->targets[l] < 0 || f->targets[l] > INT32_MAX)
            return MR_FAIL(err, MR_INVALID, "leaf_targetids[%zu] is %lld", l,
                           (long long)f->targets[l]);
        weights[l] = (mr_net_weight){(uint32_t)f->targets[l], f->weights[l]};
        leaf_first[l + 1] = (uint32_t)l + 1;
    }
    e->nodes = nodes;
    e->node_count = (uint32_t)f->nodes;
    e->roots = roots;
    e->tree_count = (uint32_t)f->root_count;
    e->leaf_first = leaf_first;
    e->leaf_count = (uint32_t)f->leaves;
    e->weights = weights;
    e->members = f->members;
    return MR_OK;
}

static mr_status build_ensemble(mr_onnx_node *node, mr_error *err)
{
    static const mr_net_aggregate aggregates[] = {MR_AGGREGATE_AVERAGE, MR_AGGREGATE_SUM,
                                                  MR_AGGREGATE_MIN, MR_AGGREGATE_MAX};
    static const char *const transforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                             "PROBIT"};
    flat f;
    mr_net_ensemble e = {0};
    mr_tensor x, sums;
    int64_t targets = mr_onnx_int(node, "n_targets", 1),
            aggregate = mr_onnx_int(node, "aggregate_function", 1),
            transform = mr_onnx_int(node, "post_transform", 0);
    if (targets < 1 || targets > MR_MODEL_OUTPUTS_MAX || aggregate < 0 || aggregate > 3 ||
        transform < 0 || transform > 4)
        return MR_FAIL(err, MR_INVALID,
                       "n_targets %lld, aggregate_function %lld, post_transform %lld",
                       (long long)targets, (long long)aggregate, (long long)transform);
    e.target_count = (uint32_t)targets;
    e.aggregate = aggregates[aggregate];
    MR_TRY(read_flat(node, &f, err));
    MR_TRY(flat_ensemble(node, &f, &e, err));
    MR_TRY(tree_input(node, &x, err));
    MR_TRY(mr_net_trees(node->net, &e, &x, &sums, err));
    node->out[0] = sums;
    if (targets == 1 && transform != 4)
        return MR_OK;
    return mr_onnx_apply(node, transforms[transform], &sums, &node->out[0], err);
}

#define NODES                                                                                      \
    "nodes_falsenodeids,nodes_featureids,nodes_hitrates,nodes_hitrates_as_tensor,"                 \
    "nodes_missing_value_tracks_true,nodes_modes,nodes_nodeids,nodes_treeids,nodes_truenodeids,"   \
    "nodes_values,nodes_values_as_tensor,base_values,base_values_as_tensor,post_transform,"

const mr_onnx_operator mr_onnx_trees[] = {
    {"TreeEnsembleRegressor", 1, 1, 1,
     NODES "aggregate_function,n_targets,target_ids,target_nodeids,target_treeids,target_weights,"
           "target_weights_as_tensor",
     build_regressor, 0},
    {"TreeEnsembleClassifier", 1, 1, 2,
     NODES "class_ids,class_nodeids,class_treeids,class_weights,class_weights_as_tensor,"
           "classlabels_int64s,classlabels_strings",
     build_classifier, 0},
    {"TreeEnsemble", 1, 1, 1,
     "aggregate_function,leaf_targetids,leaf_weights,membership_values,n_targets,nodes_falseleafs,"
     "nodes_falsenodeids,nodes_featureids,nodes_hitrates,nodes_missing_value_tracks_true,nodes_"
     "modes,"
     "nodes_splits,nodes_trueleafs,nodes_truenodeids,post_transform,tree_roots",
     build_ensemble, 0},
    {.name = NULL},
};
