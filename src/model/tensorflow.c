/* tensorflow.c -- frozen TensorFlow graphs (GraphDef) of dense nets, as a tensor program.
 *
 * Nodes may come in any order; each is built when all its inputs are, without recursion. What no other node reads is a
 * result. Placeholders are the inputs: with a shape, or with as many columns as the matrix has that they meet first. */
#include "base/assert.h"
#include "base/hash.h"
#include "model/model_internal.h"
#include "model/net_model.h"
#include "model/net_proto.h"
#include "model/tree_model.h"

#include "tensorflow.pb-c.h"

#include <string.h>

#define NODES_MAX  (1u << 16)
#define INPUTS_MAX 256

typedef MrTensorflow__NodeDef node_def;

typedef enum state { UNSEEN, OPEN, DONE } state;

typedef struct graph {
    const MrTensorflow__GraphDef *proto;
    const mr_model_options *options;
    mr_net net;
    uint32_t count;
    uint32_t *places; /* hash of names -> node + 1 */
    uint32_t mask;
    mr_tensor *tensors; /* of each node */
    state *states;
    bool *read; /* by some other node */
    mr_bytes names;
} graph;

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

/* ---- nodes by name ---- */

/* "^name" orders nodes only; "name:0" is the first output, the only one there is here. */
static mr_status parse_input(const char *input, size_t *size, bool *control, mr_error *err)
{
    *control = input[0] == '^';
    *size = strcspn(input, ":");
    return input[*size] == '\0' || strcmp(input + *size, ":0") == 0
               ? MR_OK
               : MR_FAIL(err, MR_UNSUPPORTED, "input '%.120s' is another output than the first",
                         input);
}

static uint32_t *find_place(const graph *g, const char *name, size_t size)
{
    uint32_t slot = (uint32_t)mr_hash64(name, size);
    for (;; slot++) {
        uint32_t *place = &g->places[slot & g->mask];
        const char *other = *place != 0 ? text_of(g->proto->node[*place - 1]->name) : NULL;
        if (other == NULL || (strlen(other) == size && memcmp(other, name, size) == 0))
            return place;
    }
}

static mr_status find_node(const graph *g, const char *input, uint32_t *out, bool *control,
                           mr_error *err)
{
    size_t size;
    MR_TRY(parse_input(input, &size, control, err));
    uint32_t skip = *control ? 1 : 0, place = *find_place(g, input + skip, size - skip);
    if (place == 0)
        return MR_FAIL(err, MR_INVALID, "input '%.120s' is no node", input);
    *out = place - 1;
    return MR_OK;
}

static mr_status index_nodes(graph *g, mr_error *err)
{
    mr_arena *temp = &g->net.temp;
    uint32_t room = 16;
    if (g->proto->n_node == 0 || g->proto->n_node > NODES_MAX)
        return MR_FAIL(err, MR_INVALID, "TensorFlow graph of %zu nodes; 1 to %u are right",
                       g->proto->n_node, NODES_MAX);
    g->count = (uint32_t)g->proto->n_node;
    while (room < g->count * 2)
        room *= 2;
    g->mask = room - 1;
    g->places = MR_ARENA_ARRAY(temp, uint32_t, room);
    g->tensors = MR_ARENA_ARRAY(temp, mr_tensor, g->count);
    g->states = MR_ARENA_ARRAY(temp, state, g->count);
    g->read = MR_ARENA_ARRAY(temp, bool, g->count);
    if (g->places == NULL || g->tensors == NULL || g->states == NULL || g->read == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < g->count; i++) {
        const char *name = text_of(g->proto->node[i]->name);
        uint32_t *place = find_place(g, name, strlen(name));
        if (*place != 0)
            return MR_FAIL(err, MR_INVALID, "two nodes are called '%.120s'", name);
        *place = i + 1;
    }
    return MR_OK;
}

/* ---- attributes ---- */

static const MrTensorflow__AttrValue *attribute(const node_def *node, const char *name)
{
    for (size_t i = 0; i < node->n_attr; i++)
        if (strcmp(text_of(node->attr[i]->key), name) == 0)
            return node->attr[i]->value;
    return NULL;
}

static bool flag_of(const node_def *node, const char *name)
{
    const MrTensorflow__AttrValue *a = attribute(node, name);
    return a != NULL && a->has_b && a->b;
}

static int64_t int_of(const node_def *node, const char *name, int64_t otherwise)
{
    const MrTensorflow__AttrValue *a = attribute(node, name);
    return a != NULL && a->has_i ? a->i : otherwise;
}

/* DT_FLOAT 1, DT_DOUBLE 2, DT_INT32 3, DT_INT64 9, DT_BOOL 10 */
static mr_status type_of(const node_def *node, const char *name, mr_tensor_type *out, mr_error *err)
{
    const MrTensorflow__AttrValue *a = attribute(node, name);
    int32_t type = a != NULL && a->has_type ? a->type : 1;
    static const int types[] = {
        -1, MR_TENSOR_FLOAT32, MR_TENSOR_FLOAT64, MR_TENSOR_INT64, -1, -1, -1, -1,
        -1, MR_TENSOR_INT64,   MR_TENSOR_BOOL};
    if (type < 0 || type >= (int32_t)MR_COUNT_OF(types) || types[type] < 0)
        return MR_FAIL(err, MR_UNSUPPORTED, "values of type %d (%s)", type, name);
    *out = (mr_tensor_type)types[type];
    return MR_OK;
}

/* ---- constants ---- */

static mr_status const_shape(const MrTensorflow__TensorShapeProto *shape, uint32_t *rank,
                             uint32_t *dims, mr_error *err)
{
    *rank = shape != NULL ? (uint32_t)MR_MIN(shape->n_dim, (size_t)MR_TENSOR_RANK_MAX + 1) : 0;
    if (*rank > MR_TENSOR_RANK_MAX)
        return MR_FAIL(err, MR_FULL, "a constant of %zu axes", shape->n_dim);
    for (uint32_t a = 0; a < *rank; a++) {
        int64_t size = shape->dim[a]->has_size ? shape->dim[a]->size : 0;
        if (size < 0 || size > MR_TENSOR_ELEMENTS_MAX)
            return MR_FAIL(err, MR_INVALID, "a constant with an axis of %lld", (long long)size);
        dims[a] = (uint32_t)size;
    }
    return MR_OK;
}

/* How many values are written; a shorter list repeats its last one. */
static size_t values_of(const MrTensorflow__TensorProto *t, mr_tensor_type type, size_t bytes)
{
    if (t->has_tensor_content && t->tensor_content.len > 0)
        return t->tensor_content.len / bytes;
    return type == MR_TENSOR_FLOAT32   ? t->n_float_val
           : type == MR_TENSOR_FLOAT64 ? t->n_double_val
           : type == MR_TENSOR_BOOL    ? t->n_bool_val
           : t->dtype == 3             ? t->n_int_val
                                       : t->n_int64_val;
}

typedef union value {
    float narrow;
    double wide;
    int64_t whole;
    uint8_t flag;
} value;

static void read_value(const MrTensorflow__TensorProto *t, mr_tensor_type type, size_t bytes,
                       size_t i, value *out)
{
    int32_t whole;
    if (t->has_tensor_content && t->tensor_content.len > 0) {
        memcpy(out, t->tensor_content.data + i * bytes, bytes);
        memcpy(&whole, out, sizeof whole);
        if (bytes == 4 && type == MR_TENSOR_INT64)
            out->whole = whole;
        return;
    }
    if (type == MR_TENSOR_FLOAT32)
        out->narrow = t->float_val[i];
    else if (type == MR_TENSOR_FLOAT64)
        out->wide = t->double_val[i];
    else if (type == MR_TENSOR_BOOL)
        out->flag = t->bool_val[i] != 0;
    else
        out->whole = t->dtype == 3 ? t->int_val[i] : t->int64_val[i];
}

static mr_status build_const(graph *g, const node_def *node, mr_tensor *out, mr_error *err)
{
    const MrTensorflow__AttrValue *a = attribute(node, "value");
    uint32_t rank, dims[MR_TENSOR_RANK_MAX];
    mr_tensor_type type;
    if (a == NULL || a->tensor == NULL)
        return MR_FAIL(err, MR_INVALID, "a constant without a value");
    const MrTensorflow__TensorProto *t = a->tensor;
    MR_TRY(type_of(node, "dtype", &type, err));
    MR_TRY(const_shape(t->tensor_shape, &rank, dims, err));
    MR_TRY(mr_tensor_make(&g->net.pool, type, rank, dims, -1, out, err));
    size_t bytes = t->dtype == 3 ? 4 : mr_tensor_type_bytes(type), have = values_of(t, type, bytes);
    bool whole = t->has_tensor_content && t->tensor_content.len > 0;
    if ((have == 0 && out->count > 0) || have > out->count || (whole && have != out->count))
        return MR_FAIL(err, MR_INVALID, "%zu values for a constant of %u", have, out->count);
    for (uint32_t i = 0; i < out->count; i++) {
        value v = {.whole = 0};
        read_value(t, type, bytes, MR_MIN((size_t)i, have - 1), &v);
        MR_TRY(mr_net_constant(&g->net, type, &v, &out->elements[i], err));
    }
    return MR_OK;
}

/* ---- inputs ---- */

/* The constant behind a chain of Identity nodes, NULL: it is none. Chains that go round end as well. */
static const MrTensorflow__TensorProto *constant_behind(const graph *g, uint32_t at)
{
    mr_error ignored;
    bool control;
    for (uint32_t steps = 0; steps < g->count; steps++) {
        const node_def *node = g->proto->node[at];
        const MrTensorflow__AttrValue *v = attribute(node, "value");
        if (strcmp(text_of(node->op), "Const") == 0)
            return v != NULL ? v->tensor : NULL;
        if (strcmp(text_of(node->op), "Identity") != 0 || node->n_input == 0 ||
            find_node(g, node->input[0], &at, &control, &ignored) != MR_OK)
            break;
    }
    return NULL;
}

/* Whether a node is a product of the placeholder and a matrix; its rows. */
static bool is_product_of(const graph *g, const node_def *node, uint32_t placeholder,
                          uint32_t *out_rows)
{
    mr_error ignored;
    uint32_t a, b;
    bool control;
    if (strcmp(text_of(node->op), "MatMul") != 0 || node->n_input < 2 ||
        find_node(g, node->input[0], &a, &control, &ignored) != MR_OK || a != placeholder ||
        find_node(g, node->input[1], &b, &control, &ignored) != MR_OK)
        return false;
    const MrTensorflow__TensorProto *t = constant_behind(g, b);
    if (t == NULL || t->tensor_shape == NULL || t->tensor_shape->n_dim != 2)
        return false;
    int64_t size = t->tensor_shape->dim[flag_of(node, "transpose_b") ? 1 : 0]->size;
    *out_rows = size > 0 && size <= MR_MODEL_INPUTS_MAX ? (uint32_t)size : 0;
    return *out_rows > 0;
}

/* The rows of the first matrix that a placeholder is multiplied with; 0: it meets none. */
static uint32_t columns_from_matrix(const graph *g, uint32_t placeholder)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < g->count; i++)
        if (is_product_of(g, g->proto->node[i], placeholder, &rows))
            return rows;
    return 0;
}

static mr_status build_placeholder(graph *g, uint32_t number, mr_tensor *out, mr_error *err)
{
    const node_def *node = g->proto->node[number];
    const MrTensorflow__AttrValue *a = attribute(node, "shape");
    const MrTensorflow__TensorShapeProto *shape = a != NULL ? a->shape : NULL;
    uint32_t dims[2] = {1, 0}, rank = 2;
    mr_tensor_type type;
    MR_TRY(type_of(node, "dtype", &type, err));
    if (shape != NULL && shape->n_dim > 2)
        return MR_FAIL(err, MR_UNSUPPORTED, "an input of %zu axes", shape->n_dim);
    if (shape != NULL && shape->n_dim == 1)
        rank = 1;
    if (shape != NULL && shape->n_dim == 2 && shape->dim[1]->size > 0 &&
        shape->dim[1]->size <= MR_MODEL_INPUTS_MAX)
        dims[1] = (uint32_t)shape->dim[1]->size;
    if (dims[1] == 0)
        dims[1] = columns_from_matrix(g, number);
    if (dims[1] == 0 && g->options->input_names != NULL &&
        g->options->input_name_count <= MR_MODEL_INPUTS_MAX)
        dims[1] = (uint32_t)g->options->input_name_count;
    if (rank == 2 && dims[1] == 0)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "the graph does not say how many columns it takes; give their names");
    return mr_net_fresh(&g->net, type, rank, dims, 0, out, err);
}

/* ---- operators ---- */

typedef struct call {
    graph *g;
    const node_def *node;
    const mr_tensor **in;
    uint32_t count, what;
    mr_tensor *out;
} call;

typedef struct op {
    const char *name;
    uint32_t in_min, in_max;
    mr_status (*build)(call *c, mr_error *err);
    uint32_t what;
} op;

static mr_status op_same(call *c, mr_error *err)
{
    (void)err;
    *c->out = *c->in[0];
    return MR_OK;
}

static mr_status op_unary(call *c, mr_error *err)
{
    double p = 0, q = 0;
    const MrTensorflow__AttrValue *alpha = attribute(c->node, "alpha");
    if (c->what == MR_NET_LEAKY_RELU)
        p = alpha != NULL && alpha->has_f ? (double)alpha->f : 0.2;
    else if (c->what == MR_NET_SELU)
        p = 1.67326324235437728481, q = 1.05070098735548049342;
    else if (c->what == MR_NET_ELU)
        p = 1;
    return mr_net_unary(&c->g->net, (mr_net_map)c->what, c->in[0], p, q, c->out, err);
}

static mr_status op_binary(call *c, mr_error *err)
{
    return mr_net_binary(&c->g->net, (mr_net_map)c->what, c->in[0], c->in[1], c->out, err);
}

static mr_status op_square(call *c, mr_error *err)
{
    return mr_net_binary(&c->g->net, MR_NET_MUL, c->in[0], c->in[0], c->out, err);
}

static mr_status op_rsqrt(call *c, mr_error *err)
{
    mr_tensor root;
    MR_TRY(mr_net_unary(&c->g->net, MR_NET_SQRT, c->in[0], 0, 0, &root, err));
    return mr_net_unary(&c->g->net, MR_NET_RECIPROCAL, &root, 0, 0, c->out, err);
}

static mr_status op_relu6(call *c, mr_error *err)
{
    mr_tensor zero, six, above;
    MR_TRY(mr_net_number(&c->g->net, c->in[0]->type, 0, &zero, err));
    MR_TRY(mr_net_number(&c->g->net, c->in[0]->type, 6, &six, err));
    MR_TRY(mr_net_binary(&c->g->net, MR_NET_MAX, c->in[0], &zero, &above, err));
    return mr_net_binary(&c->g->net, MR_NET_MIN, &above, &six, c->out, err);
}

static mr_status op_bias(call *c, mr_error *err)
{
    const MrTensorflow__AttrValue *a = attribute(c->node, "data_format");
    bool channels_first = a != NULL && a->has_s && a->s.len >= 2 && memcmp(a->s.data, "NC", 2) == 0;
    if (channels_first && c->in[0]->rank > 2)
        return MR_FAIL(err, MR_UNSUPPORTED, "data_format NCHW");
    return op_binary(c, err);
}

static mr_status op_product(call *c, mr_error *err)
{
    const mr_tensor *a = c->in[0], *b = c->in[1];
    mr_tensor matrix = *b;
    void *weights;
    char text[128], other[128];
    if (flag_of(c->node, "transpose_a"))
        return MR_FAIL(err, MR_UNSUPPORTED, "transpose_a: rows are scored one by one");
    if (b->rank == 2 && flag_of(c->node, "transpose_b"))
        MR_TRY(mr_tensor_transpose(&c->g->net.pool, b, (uint32_t[]){1, 0}, &matrix, err));
    if (a->rank < 2 || matrix.rank != 2 || a->dims[a->rank - 1] != matrix.dims[0] ||
        a->type != b->type)
        return MR_FAIL(err, MR_INVALID, "a product of %s and %s", mr_tensor_shape_text(a, text),
                       mr_tensor_shape_text(b, other));
    MR_TRY(mr_net_values(&c->g->net, &matrix, &weights, err));
    return mr_net_product(&c->g->net, a, weights, matrix.dims[1], NULL, c->out, err);
}

static mr_status op_softmax(call *c, mr_error *err)
{
    uint32_t axis;
    MR_TRY(mr_tensor_inner_axis(c->in[0], -1, &axis, err));
    return mr_net_softmax(&c->g->net, c->in[0], 1u << axis, c->what != 0, false, c->out, err);
}

static mr_status op_reshape(call *c, mr_error *err)
{
    int64_t *sizes;
    MR_TRY(mr_net_integers(&c->g->net, c->in[1], &sizes, err));
    return mr_tensor_reshape(&c->g->net.pool, c->in[0], sizes, c->in[1]->count, true, c->out, err);
}

static mr_status op_squeeze(call *c, mr_error *err)
{
    const MrTensorflow__AttrValue *a = attribute(c->node, "squeeze_dims");
    const MrTensorflow__ListValue *list = a != NULL ? a->list : NULL;
    return mr_tensor_squeeze(&c->g->net.pool, c->in[0], list != NULL ? list->i : NULL,
                             list != NULL ? list->n_i : 0, c->out, err);
}

static mr_status op_expand(call *c, mr_error *err)
{
    int64_t *axis;
    MR_TRY(mr_net_integers(&c->g->net, c->in[1], &axis, err));
    return mr_tensor_unsqueeze(&c->g->net.pool, c->in[0], axis, c->in[1]->count, c->out, err);
}

static mr_status op_arg(call *c, mr_error *err)
{
    int64_t *given;
    uint32_t axis;
    mr_tensor index;
    MR_TRY(mr_net_integers(&c->g->net, c->in[1], &given, err));
    if (c->in[1]->count != 1)
        return MR_FAIL(err, MR_INVALID, "%u axes", c->in[1]->count);
    MR_TRY(mr_tensor_inner_axis(c->in[0], given[0], &axis, err));
    MR_TRY(mr_net_arg(&c->g->net, c->in[0], axis, c->what != 0, false, false, &index, err));
    return mr_net_numbered(&c->g->net, &index, c->in[0]->dims[axis], c->out, err);
}

static mr_status op_reduce(call *c, mr_error *err)
{
    int64_t *given;
    uint32_t axes = 0, axis;
    MR_TRY(mr_net_integers(&c->g->net, c->in[1], &given, err));
    for (uint32_t i = 0; i < c->in[1]->count; i++) {
        MR_TRY(mr_tensor_inner_axis(c->in[0], given[i], &axis, err));
        axes |= 1u << axis;
    }
    return mr_net_reduce(&c->g->net, (mr_net_reduction)c->what, c->in[0], axes,
                         flag_of(c->node, "keep_dims"), c->out, err);
}

static mr_status op_concat(call *c, mr_error *err)
{
    int64_t *axis;
    mr_tensor *in = MR_ARENA_ARRAY(&c->g->net.temp, mr_tensor, c->count);
    if (in == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_net_integers(&c->g->net, c->in[c->count - 1], &axis, err));
    if (c->in[c->count - 1]->count != 1)
        return MR_FAIL(err, MR_INVALID, "%u axes", c->in[c->count - 1]->count);
    for (uint32_t i = 0; i + 1 < c->count; i++) {
        in[i] = *c->in[i];
        MR_TRY(mr_net_plain(&c->g->net, &in[i], err));
    }
    return mr_tensor_concat(&c->g->net.pool, in, c->count - 1, axis[0], c->out, err);
}

static mr_status op_pack(call *c, mr_error *err)
{
    mr_tensor *in = MR_ARENA_ARRAY(&c->g->net.temp, mr_tensor, c->count);
    int64_t axis = int_of(c->node, "axis", 0);
    if (in == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < c->count; i++) {
        mr_tensor plain = *c->in[i];
        MR_TRY(mr_net_plain(&c->g->net, &plain, err));
        MR_TRY(mr_tensor_unsqueeze(&c->g->net.pool, &plain, &axis, 1, &in[i], err));
    }
    return mr_tensor_concat(&c->g->net.pool, in, c->count, axis, c->out, err);
}

static mr_status op_cast(call *c, mr_error *err)
{
    mr_tensor_type to;
    MR_TRY(type_of(c->node, "DstT", &to, err));
    return mr_net_cast(&c->g->net, c->in[0], to, c->out, err);
}

static mr_status op_shape(call *c, mr_error *err)
{
    const mr_tensor *x = c->in[0];
    MR_TRY(mr_tensor_make(&c->g->net.pool, MR_TENSOR_INT64, 1, &x->rank, -1, c->out, err));
    for (uint32_t a = 0; a < x->rank; a++) {
        int64_t size = x->dims[a];
        c->out->elements[a] = MR_TENSOR_ROWS;
        if ((int32_t)a != x->batch)
            MR_TRY(mr_net_constant(&c->g->net, MR_TENSOR_INT64, &size, &c->out->elements[a], err));
    }
    return MR_OK;
}

/* One element of a shape: what Keras takes the rows from before it flattens. */
static mr_status op_strided_slice(call *c, mr_error *err)
{
    const mr_tensor *x = c->in[0];
    int64_t *begin, *stride;
    MR_TRY(mr_net_integers(&c->g->net, c->in[1], &begin, err));
    MR_TRY(mr_net_integers(&c->g->net, c->in[3], &stride, err));
    bool one = x->rank == 1 && c->in[1]->count == 1 &&
               int_of(c->node, "shrink_axis_mask", 0) == 1 && mr_tensor_is_constant(x) &&
               c->in[3]->count == 1;
    int64_t at = one && begin[0] < 0 && begin[0] >= -(int64_t)x->count ? begin[0] + x->count
                 : one                                                 ? begin[0]
                                                                       : -1;
    if (at < 0 || at >= x->count || stride[0] != 1)
        return MR_FAIL(err, MR_UNSUPPORTED, "only one element of a shape is taken so");
    uint32_t index = (uint32_t)at;
    mr_tensor taken;
    MR_TRY(mr_tensor_take(&c->g->net.pool, x, 0, &index, 1, &taken, err));
    return mr_tensor_reshape(&c->g->net.pool, &taken, NULL, 0, true, c->out, err);
}

#define UNARY(name, map)                                                                           \
    {                                                                                              \
        name, 1, 1, op_unary, map                                                                  \
    }
#define BINARY(name, map)                                                                          \
    {                                                                                              \
        name, 2, 2, op_binary, map                                                                 \
    }

static const op ops[] = {
    {"Identity", 1, 1, op_same, 0},
    {"StopGradient", 1, 1, op_same, 0},
    {"MatMul", 2, 2, op_product, 0},
    {"BiasAdd", 2, 2, op_bias, MR_NET_ADD},
    BINARY("Add", MR_NET_ADD),
    BINARY("AddV2", MR_NET_ADD),
    BINARY("Sub", MR_NET_SUB),
    BINARY("Mul", MR_NET_MUL),
    BINARY("RealDiv", MR_NET_DIV),
    BINARY("Maximum", MR_NET_MAX),
    BINARY("Minimum", MR_NET_MIN),
    UNARY("Relu", MR_NET_RELU),
    {"Relu6", 1, 1, op_relu6, 0},
    UNARY("LeakyRelu", MR_NET_LEAKY_RELU),
    UNARY("Elu", MR_NET_ELU),
    UNARY("Selu", MR_NET_SELU),
    UNARY("Sigmoid", MR_NET_SIGMOID),
    UNARY("Tanh", MR_NET_TANH),
    UNARY("Softplus", MR_NET_SOFTPLUS),
    UNARY("Softsign", MR_NET_SOFTSIGN),
    UNARY("Exp", MR_NET_EXP),
    UNARY("Log", MR_NET_LOG),
    UNARY("Sqrt", MR_NET_SQRT),
    UNARY("Neg", MR_NET_NEG),
    UNARY("Abs", MR_NET_ABS),
    {"Square", 1, 1, op_square, 0},
    {"Rsqrt", 1, 1, op_rsqrt, 0},
    {"Softmax", 1, 1, op_softmax, 0},
    {"LogSoftmax", 1, 1, op_softmax, 1},
    {"Reshape", 2, 2, op_reshape, 0},
    {"Squeeze", 1, 1, op_squeeze, 0},
    {"ExpandDims", 2, 2, op_expand, 0},
    {"ArgMax", 2, 2, op_arg, 0},
    {"ArgMin", 2, 2, op_arg, 1},
    {"Sum", 2, 2, op_reduce, MR_NET_SUM},
    {"Mean", 2, 2, op_reduce, MR_NET_MEAN},
    {"Max", 2, 2, op_reduce, MR_NET_GREATEST},
    {"ConcatV2", 2, INPUTS_MAX, op_concat, 0},
    {"Pack", 1, INPUTS_MAX, op_pack, 0},
    {"Cast", 1, 1, op_cast, 0},
    {"Shape", 1, 1, op_shape, 0},
    {"StridedSlice", 4, 4, op_strided_slice, 0},
    {.name = NULL},
};

static mr_status read_inputs(call *c, mr_error *err)
{
    graph *g = c->g;
    if (c->node->n_input > INPUTS_MAX)
        return MR_FAIL(err, MR_FULL, "%zu inputs", c->node->n_input);
    c->in = MR_ARENA_ARRAY(&g->net.temp, const mr_tensor *, c->node->n_input + 1);
    if (c->in == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < c->node->n_input; i++) {
        uint32_t from;
        bool control;
        MR_TRY(find_node(g, c->node->input[i], &from, &control, err));
        if (!control)
            c->in[c->count++] = &g->tensors[from];
    }
    return MR_OK;
}

static mr_status build_op(graph *g, uint32_t number, mr_error *err)
{
    const node_def *node = g->proto->node[number];
    call c = {.g = g, .node = node, .out = &g->tensors[number]};
    const char *name = text_of(node->op);
    if (strcmp(name, "Const") == 0)
        return build_const(g, node, c.out, err);
    if (strcmp(name, "Placeholder") == 0)
        return build_placeholder(g, number, c.out, err);
    if (strcmp(name, "NoOp") == 0)
        return mr_net_number(&g->net, MR_TENSOR_FLOAT32, 0, c.out, err);
    const op *found = ops;
    while (found->name != NULL && strcmp(found->name, name) != 0)
        found++;
    if (found->name == NULL)
        return MR_FAIL(err, MR_UNSUPPORTED, "this operation is not supported");
    MR_TRY(read_inputs(&c, err));
    if (c.count < found->in_min || c.count > found->in_max)
        return MR_FAIL(err, MR_INVALID, "%u inputs; %u to %u are right", c.count, found->in_min,
                       found->in_max);
    c.what = found->what;
    return found->build(&c, err);
}

/* ---- the graph ---- */

static mr_status build_one(graph *g, uint32_t number, mr_error *err)
{
    const node_def *node = g->proto->node[number];
    mr_status status = build_op(g, number, err);
    g->states[number] = DONE;
    if (status != MR_OK)
        mr_error_prefix(err, "node[%u] '%.120s' (%.40s of TensorFlow)", number, text_of(node->name),
                        text_of(node->op));
    return status;
}

/* The first input that is not built yet is pushed; when there is none, the node is built. */
static mr_status visit(graph *g, uint32_t *stack, uint32_t *depth, mr_error *err)
{
    uint32_t number = stack[*depth - 1];
    const node_def *node = g->proto->node[number];
    g->states[number] = OPEN;
    for (size_t i = 0; i < node->n_input; i++) {
        uint32_t from;
        bool control;
        MR_TRY(find_node(g, node->input[i], &from, &control, err));
        g->read[from] = true;
        if (g->states[from] == DONE || control)
            continue;
        if (g->states[from] == OPEN)
            return MR_FAIL(err, MR_UNSUPPORTED, "node '%.120s' depends on itself",
                           text_of(node->name));
        stack[(*depth)++] = from;
        return MR_OK;
    }
    (*depth)--;
    return build_one(g, number, err);
}

static mr_status build_all(graph *g, mr_error *err)
{
    uint32_t depth, *stack = MR_ARENA_ARRAY(&g->net.temp, uint32_t, g->count + 1);
    if (stack == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < g->count; i++) {
        depth = 0;
        if (g->states[i] == UNSEEN)
            stack[depth++] = i;
        while (depth > 0)
            MR_TRY(visit(g, stack, &depth, err));
    }
    return MR_OK;
}

/* Names after the last slash: "dense_3/Sigmoid" gives Sigmoid. */
static const char *short_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : name;
}

static mr_status find_results(graph *g, mr_net_result **out, uint32_t *count, mr_error *err)
{
    *out = MR_ARENA_ARRAY(&g->net.temp, mr_net_result, g->count);
    *count = 0;
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < g->count; i++)
        if (!g->read[i] && g->tensors[i].batch >= 0 &&
            strcmp(text_of(g->proto->node[i]->op), "Placeholder") != 0)
            (*out)[(*count)++] =
                (mr_net_result){short_name(text_of(g->proto->node[i]->name)), g->tensors[i]};
    return *count > 0
               ? MR_OK
               : MR_FAIL(err, MR_INVALID, "no node of the graph computes anything of its inputs");
}

static mr_status find_inputs(graph *g, mr_tensor **out, uint32_t *count, mr_error *err)
{
    *out = MR_ARENA_ARRAY(&g->net.temp, mr_tensor, g->count);
    *count = 0;
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < g->count; i++) {
        const char *name = text_of(g->proto->node[i]->name);
        if (strcmp(text_of(g->proto->node[i]->op), "Placeholder") != 0)
            continue;
        (*out)[(*count)++] = g->tensors[i];
        for (uint32_t c = 0; c < g->tensors[i].count; c++) {
            mr_bytes_append_text(&g->names, short_name(name));
            if (g->tensors[i].count > 1)
                mr_bytes_printf(&g->names, "_%u", c);
            mr_bytes_append_byte(&g->names, 0);
        }
    }
    return g->names.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

static mr_status make_model(graph *g, mr_model **out, mr_error *err)
{
    mr_net_source source = {.objective = "tensorflow"};
    mr_net_result *results;
    mr_tensor *inputs;
    MR_TRY(index_nodes(g, err));
    MR_TRY(build_all(g, err));
    MR_TRY(find_results(g, &results, &source.result_count, err));
    MR_TRY(find_inputs(g, &inputs, &source.input_count, err));
    source.results = results;
    source.inputs = inputs;
    if (source.input_count > 1 && g->options->input_names == NULL)
        source.names = (const char *)g->names.data;
    return mr_net_model_create(&mr_model_tensorflow, &g->net, &source, g->options, out, err);
}

static mr_status open_graph(const MrTensorflow__GraphDef *proto, size_t size,
                            const mr_model_options *options, mr_model **out, mr_error *err)
{
    graph g = {.proto = proto, .options = options};
    const char *cpu = mr_setting_text(mr_model_tensorflow.settings, options->settings,
                                      options->setting_count, "cpu");
    mr_status status = mr_net_init(&g.net, size, cpu, err);
    if (status == MR_OK)
        status = make_model(&g, out, err);
    mr_net_deinit(&g.net);
    mr_bytes_deinit(&g.names);
    return status;
}

static mr_status open_model(const uint8_t *bytes, size_t size, const mr_model_options *options,
                            mr_model **out, mr_error *err)
{
    mr_net_proto proto;
    *out = NULL;
    mr_status status = mr_net_proto_open(&proto, &mr_tensorflow__graph_def__descriptor, bytes, size,
                                         "TensorFlow graph", err);
    if (status == MR_OK)
        status = open_graph((const MrTensorflow__GraphDef *)(const void *)proto.message, size,
                            options, out, err);
    mr_net_proto_close(&proto);
    return status;
}

/* GraphDef begins with a node, which begins with its name, and has no field beyond 5. */
static bool recognise(const uint8_t *bytes, size_t size)
{
    return size > 16 && bytes[0] == 0x0a && mr_net_proto_looks_like(bytes, size, 1, 5);
}

static const mr_setting_spec settings[] = {
    {"cpu", MR_SETTING_CHOICE, "auto", 0, 0, "auto|plain|avx2|avx512",
     "the newest instructions kernels may use; scores do not depend on it"},
    {.name = NULL},
};

const mr_model_kind mr_model_tensorflow = {
    .name = "tensorflow",
    .sentence = "frozen TensorFlow graphs of dense nets",
    .settings = settings,
    .recognise = recognise,
    .open = open_model,
    .close = mr_net_model_close,
    .score = mr_net_model_score,
};
