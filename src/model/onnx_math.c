/* onnx_math.c -- ONNX operators that compute: element by element, products, reductions, softmax. */
#include "model/onnx_internal.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

/* ---- element by element ---- */

static mr_status build_unary(mr_onnx_node *node, mr_error *err)
{
    return mr_net_unary(node->net, (mr_net_map)node->operator->what, node->in[0], 0, 0,
                        &node->out[0], err);
}

/* Those with numbers: their names and what they are when not given. */
static mr_status build_numbered(mr_onnx_node *node, mr_error *err)
{
    double p = 0, q = 0;
    switch (node->operator->what) {
    case MR_NET_LEAKY_RELU:
        p = (double)mr_onnx_float(node, "alpha", 0.01f);
        break;
    case MR_NET_ELU:
        p = (double)mr_onnx_float(node, "alpha", 1.0f);
        break;
    case MR_NET_SELU:
        p = (double)mr_onnx_float(node, "alpha", 1.67326319217681884765625f);
        q = (double)mr_onnx_float(node, "gamma", 1.05070102214813232421875f);
        break;
    default:
        p = (double)mr_onnx_float(node, "alpha", 0.2f);
        q = (double)mr_onnx_float(node, "beta", 0.5f);
    }
    return mr_net_unary(node->net, (mr_net_map)node->operator->what, node->in[0], p, q,
                        &node->out[0], err);
}

#define EXCHANGED 0x100u /* a > b is b < a */

static mr_status build_binary(mr_onnx_node *node, mr_error *err)
{
    bool exchanged = (node->operator->what & EXCHANGED) != 0;
    mr_net_map map = (mr_net_map)(node->operator->what & ~EXCHANGED);
    return mr_net_binary(node->net, map, node->in[exchanged ? 1 : 0], node->in[exchanged ? 0 : 1],
                         &node->out[0], err);
}

/* A square is a product, as ONNX Runtime has it; the exponent may have a type of its own. */
static mr_status build_pow(mr_onnx_node *node, mr_error *err)
{
    mr_tensor power, base = *node->in[0], result;
    mr_net *net = node->net;
    double exponent = 0;
    MR_TRY(mr_net_cast(net, node->in[1], MR_TENSOR_FLOAT64, &power, err));
    if (mr_tensor_is_constant(&power) && power.count == 1 && power.rank <= base.rank) {
        mr_net_value(net, MR_TENSOR_FLOAT64, power.elements[0], &exponent);
        if (exponent == 2)
            return mr_net_binary(net, MR_NET_MUL, &base, &base, &node->out[0], err);
    }
    if (base.type == MR_TENSOR_FLOAT32 || base.type == MR_TENSOR_FLOAT64) {
        MR_TRY(mr_net_cast(net, node->in[1], base.type, &power, err));
        return mr_net_binary(net, MR_NET_POW, &base, &power, &node->out[0], err);
    }
    MR_TRY(mr_net_cast(net, node->in[0], MR_TENSOR_FLOAT64, &base, err));
    MR_TRY(mr_net_binary(net, MR_NET_POW, &base, &power, &result, err));
    return mr_net_cast(net, &result, node->in[0]->type, &node->out[0], err);
}

/* Of any number of inputs, from the left. */
static mr_status build_many(mr_onnx_node *node, mr_error *err)
{
    mr_tensor sum = *node->in[0], next;
    bool mean = node->operator->what == MR_NET_MAP_COUNT;
    mr_net_map map = mean ? MR_NET_ADD : (mr_net_map)node->operator->what;
    for (uint32_t i = 1; i < node->in_count; i++) {
        if (node->in[i] == NULL)
            return MR_FAIL(err, MR_INVALID, "input %u is missing", i);
        MR_TRY(mr_net_binary(node->net, map, &sum, node->in[i], &next, err));
        sum = next;
    }
    node->out[0] = sum;
    if (!mean)
        return MR_OK;
    MR_TRY(mr_net_number(node->net, sum.type, node->in_count, &next, err));
    return mr_net_binary(node->net, MR_NET_DIV, &sum, &next, &node->out[0], err);
}

/* The bound of a Clip: an input, or in the older form an attribute. */
static mr_status clip_bound(mr_onnx_node *node, uint32_t index, const char *name, mr_net_map map,
                            mr_tensor *x, mr_error *err)
{
    mr_tensor bound, from = *x;
    if (mr_onnx_has_input(node, index)) {
        bound = *node->in[index];
    } else if (mr_onnx_attribute(node, name) != NULL) {
        MR_TRY(
            mr_net_number(node->net, x->type, (double)mr_onnx_float(node, name, 0), &bound, err));
    } else {
        return MR_OK;
    }
    return mr_net_binary(node->net, map, &from, &bound, x, err);
}

static mr_status build_clip(mr_onnx_node *node, mr_error *err)
{
    node->out[0] = *node->in[0];
    MR_TRY(clip_bound(node, 1, "min", MR_NET_MAX, &node->out[0], err));
    return clip_bound(node, 2, "max", MR_NET_MIN, &node->out[0], err);
}

static mr_status build_where(mr_onnx_node *node, mr_error *err)
{
    return mr_net_where(node->net, node->in[0], node->in[1], node->in[2], &node->out[0], err);
}

/* x < 0: slope x */
static mr_status build_prelu(mr_onnx_node *node, mr_error *err)
{
    mr_tensor zero, negative, scaled;
    mr_net *net = node->net;
    MR_TRY(mr_net_number(net, node->in[0]->type, 0, &zero, err));
    MR_TRY(mr_net_binary(net, MR_NET_LESS, node->in[0], &zero, &negative, err));
    MR_TRY(mr_net_binary(net, MR_NET_MUL, node->in[0], node->in[1], &scaled, err));
    return mr_net_where(net, &negative, &scaled, node->in[0], &node->out[0], err);
}

/* x / 2 (1 + erf(x / sqrt 2)) */
static mr_status build_gelu(mr_onnx_node *node, mr_error *err)
{
    mr_tensor number, scaled, error, sum, half;
    mr_net *net = node->net;
    mr_tensor_type type = node->in[0]->type;
    if (!mr_onnx_is(node, "approximate", "none", "none"))
        return MR_FAIL(err, MR_UNSUPPORTED, "only approximate=none is supported");
    MR_TRY(mr_net_number(net, type, 0.70710678118654752440, &number, err));
    MR_TRY(mr_net_binary(net, MR_NET_MUL, node->in[0], &number, &scaled, err));
    MR_TRY(mr_net_unary(net, MR_NET_ERF, &scaled, 0, 0, &error, err));
    MR_TRY(mr_net_number(net, type, 1, &number, err));
    MR_TRY(mr_net_binary(net, MR_NET_ADD, &error, &number, &sum, err));
    MR_TRY(mr_net_number(net, type, 0.5, &number, err));
    MR_TRY(mr_net_binary(net, MR_NET_MUL, node->in[0], &number, &half, err));
    return mr_net_binary(net, MR_NET_MUL, &half, &sum, &node->out[0], err);
}

/* ---- products ---- */

/* The constant matrix k x n of a product, transposed when asked for. */
static mr_status read_matrix(mr_onnx_node *node, const mr_tensor *from, bool transpose, void **out,
                             uint32_t *k, uint32_t *n, mr_error *err)
{
    mr_tensor matrix = *from, turned;
    char text[128];
    if (matrix.rank == 1) {
        int64_t last = 1;
        MR_TRY(mr_tensor_unsqueeze(&node->net->pool, from, &last, 1, &matrix, err));
    }
    if (matrix.rank != 2)
        return MR_FAIL(err, MR_UNSUPPORTED, "a product with a tensor of shape %s",
                       mr_tensor_shape_text(from, text));
    turned = matrix;
    if (transpose)
        MR_TRY(mr_tensor_transpose(&node->net->pool, &matrix, (uint32_t[]){1, 0}, &turned, err));
    *k = turned.dims[0];
    *n = turned.dims[1];
    return mr_net_values(node->net, &turned, out, err);
}

static mr_status multiply(mr_onnx_node *node, const mr_tensor *a, const mr_tensor *b,
                          bool transpose, mr_tensor *out, mr_error *err)
{
    uint32_t k, n;
    void *weights;
    char text[128], other[128];
    MR_TRY(read_matrix(node, b, transpose, &weights, &k, &n, err));
    if (a->rank < 2 || a->dims[a->rank - 1] != k || a->type != b->type)
        return MR_FAIL(err, MR_INVALID, "a product of %s%s and %s%s", mr_tensor_type_name(a->type),
                       mr_tensor_shape_text(a, text), mr_tensor_type_name(b->type),
                       mr_tensor_shape_text(b, other));
    return mr_net_product(node->net, a, weights, n, NULL, out, err);
}

static mr_status build_matmul(mr_onnx_node *node, mr_error *err)
{
    mr_tensor product;
    const mr_tensor *b = node->in[1];
    int64_t last = -1;
    MR_TRY(multiply(node, node->in[0], b, false, &product, err));
    node->out[0] = product;
    return b->rank == 1
               ? mr_tensor_squeeze(&node->net->pool, &product, &last, 1, &node->out[0], err)
               : MR_OK;
}

static mr_status scale(mr_net *net, mr_tensor *x, float factor, mr_error *err)
{
    mr_tensor number, from = *x;
    if (factor == 1.0f)
        return MR_OK;
    MR_TRY(mr_net_number(net, x->type, (double)factor, &number, err));
    return mr_net_binary(net, MR_NET_MUL, &from, &number, x, err);
}

static mr_status build_gemm(mr_onnx_node *node, mr_error *err)
{
    mr_tensor product;
    if (mr_onnx_int(node, "transA", 0) != 0)
        return MR_FAIL(err, MR_UNSUPPORTED, "transA: rows are scored one by one");
    MR_TRY(multiply(node, node->in[0], node->in[1], mr_onnx_int(node, "transB", 0) != 0, &product,
                    err));
    MR_TRY(scale(node->net, &product, mr_onnx_float(node, "alpha", 1), err));
    node->out[0] = product;
    if (!mr_onnx_has_input(node, 2))
        return MR_OK;
    mr_tensor addend = *node->in[2];
    MR_TRY(scale(node->net, &addend, mr_onnx_float(node, "beta", 1), err));
    return mr_net_binary(node->net, MR_NET_ADD, &product, &addend, &node->out[0], err);
}

/* (x - mean) scale / sqrt(var + eps) + bias, with what is constant computed first. */
static mr_status build_batch_norm(mr_onnx_node *node, mr_error *err)
{
    mr_net *net = node->net;
    mr_tensor p[4], sum, root, factor, shift, shifted, eps, scaled;
    int64_t axes[MR_TENSOR_RANK_MAX];
    const mr_tensor *x = node->in[0];
    if (x->rank < 2 || mr_onnx_int(node, "training_mode", 0) != 0)
        return MR_FAIL(err, MR_UNSUPPORTED, "only inference over [N, channels, ...]");
    for (uint32_t a = 2; a < x->rank; a++)
        axes[a - 2] = a - 1;
    for (int i = 0; i < 4; i++)
        MR_TRY(mr_tensor_unsqueeze(&net->pool, node->in[i + 1], axes, x->rank - 2, &p[i], err));
    MR_TRY(mr_net_number(net, p[3].type, (double)mr_onnx_float(node, "epsilon", 1e-5f), &eps, err));
    MR_TRY(mr_net_binary(net, MR_NET_ADD, &p[3], &eps, &sum, err));
    MR_TRY(mr_net_unary(net, MR_NET_SQRT, &sum, 0, 0, &root, err));
    MR_TRY(mr_net_binary(net, MR_NET_DIV, &p[0], &root, &factor, err));
    MR_TRY(mr_net_binary(net, MR_NET_MUL, &p[2], &factor, &shift, err));
    MR_TRY(mr_net_binary(net, MR_NET_SUB, &p[1], &shift, &shifted, err));
    MR_TRY(mr_net_binary(net, MR_NET_MUL, x, &factor, &scaled, err));
    return mr_net_binary(net, MR_NET_ADD, &scaled, &shifted, &node->out[0], err);
}

/* ---- along axes ---- */

static mr_status read_axes(mr_onnx_node *node, uint32_t *out, mr_error *err)
{
    int64_t *axes;
    size_t count;
    *out = 0;
    MR_TRY(mr_onnx_integers(node, 1, "axes", &axes, &count, err));
    for (size_t i = 0; i < count; i++) {
        uint32_t axis;
        MR_TRY(mr_tensor_axis(node->in[0], axes[i], &axis, err));
        *out |= 1u << axis;
    }
    if (count == 0)
        *out = (1u << node->in[0]->rank) - 1;
    return MR_OK;
}

#define ROOT 0x100u /* of the sum: L2 */

static mr_status build_reduce(mr_onnx_node *node, mr_error *err)
{
    uint32_t axes;
    mr_tensor sum;
    bool keep = mr_onnx_int(node, "keepdims", 1) != 0;
    bool given = mr_onnx_attribute(node, "axes") != NULL || mr_onnx_has_input(node, 1);
    node->out[0] = *node->in[0];
    if (!given && mr_onnx_int(node, "noop_with_empty_axes", 0) != 0)
        return MR_OK;
    MR_TRY(read_axes(node, &axes, err));
    mr_net_reduction how = (mr_net_reduction)(node->operator->what & ~ROOT);
    MR_TRY(mr_net_reduce(node->net, how, node->in[0], axes, keep, &sum, err));
    node->out[0] = sum;
    return (node->operator->what & ROOT) != 0
               ? mr_net_unary(node->net, MR_NET_SQRT, &sum, 0, 0, &node->out[0], err)
               : MR_OK;
}

/* Up to opset 12 all axes from the given one on are one. */
static mr_status build_softmax(mr_onnx_node *node, mr_error *err)
{
    uint32_t axis;
    bool older = node->opset < 13;
    MR_TRY(mr_tensor_axis(node->in[0], mr_onnx_int(node, "axis", older ? 1 : -1), &axis, err));
    uint32_t axes = older ? ((1u << node->in[0]->rank) - 1) & ~((1u << axis) - 1) : 1u << axis;
    return mr_net_softmax(node->net, node->in[0], axes, node->operator->what != 0, false,
                          &node->out[0], err);
}

static mr_status build_arg(mr_onnx_node *node, mr_error *err)
{
    uint32_t axis;
    mr_tensor index;
    MR_TRY(mr_tensor_inner_axis(node->in[0], mr_onnx_int(node, "axis", 0), &axis, err));
    MR_TRY(mr_net_arg(node->net, node->in[0], axis, node->operator->what != 0,
                      mr_onnx_int(node, "select_last_index", 0) != 0,
                      mr_onnx_int(node, "keepdims", 1) != 0, &index, err));
    return mr_net_numbered(node->net, &index, node->in[0]->dims[axis], &node->out[0], err);
}

static mr_status build_top(mr_onnx_node *node, mr_error *err)
{
    uint32_t axis;
    int64_t *count;
    size_t counts;
    mr_tensor values, indices;
    MR_TRY(mr_tensor_inner_axis(node->in[0], mr_onnx_int(node, "axis", -1), &axis, err));
    if (mr_onnx_has_input(node, 1))
        MR_TRY(mr_onnx_integers(node, 1, "", &count, &counts, err));
    int64_t wanted =
        mr_onnx_has_input(node, 1) ? (counts > 0 ? count[0] : 0) : mr_onnx_int(node, "k", 0);
    if (wanted < 1 || wanted > node->in[0]->dims[axis])
        return MR_FAIL(err, MR_INVALID, "the first %lld of %u", (long long)wanted,
                       node->in[0]->dims[axis]);
    MR_TRY(mr_net_top(node->net, node->in[0], axis, (uint32_t)wanted,
                      mr_onnx_int(node, "largest", 1) == 0, &values, &indices, err));
    node->out[0] = values;
    node->out[1] = indices;
    return MR_OK;
}

#define UNARY(name, map)                                                                           \
    {                                                                                              \
        name, 1, 1, 1, "", build_unary, map                                                        \
    }
#define BINARY(name, map)                                                                          \
    {                                                                                              \
        name, 2, 2, 1, "axis,broadcast", build_binary, map                                         \
    }
#define MANY(name, map)                                                                            \
    {                                                                                              \
        name, 1, MR_ONNX_INPUTS_MAX, 1, "", build_many, map                                        \
    }
#define REDUCE(name, how)                                                                          \
    {                                                                                              \
        name, 1, 2, 1, "axes,keepdims,noop_with_empty_axes", build_reduce, how                     \
    }

const mr_onnx_operator mr_onnx_math[] = {
    UNARY("Abs", MR_NET_ABS),
    UNARY("Neg", MR_NET_NEG),
    UNARY("Sign", MR_NET_SIGN),
    UNARY("Sqrt", MR_NET_SQRT),
    UNARY("Exp", MR_NET_EXP),
    UNARY("Log", MR_NET_LOG),
    UNARY("Floor", MR_NET_FLOOR),
    UNARY("Ceil", MR_NET_CEIL),
    UNARY("Round", MR_NET_ROUND),
    UNARY("Reciprocal", MR_NET_RECIPROCAL),
    UNARY("Sigmoid", MR_NET_SIGMOID),
    UNARY("Tanh", MR_NET_TANH),
    UNARY("Relu", MR_NET_RELU),
    UNARY("Softplus", MR_NET_SOFTPLUS),
    UNARY("Softsign", MR_NET_SOFTSIGN),
    UNARY("Erf", MR_NET_ERF),
    UNARY("Not", MR_NET_NOT),
    UNARY("IsNaN", MR_NET_IS_NAN),
    {"LeakyRelu", 1, 1, 1, "alpha", build_numbered, MR_NET_LEAKY_RELU},
    {"Elu", 1, 1, 1, "alpha", build_numbered, MR_NET_ELU},
    {"Selu", 1, 1, 1, "alpha,gamma", build_numbered, MR_NET_SELU},
    {"HardSigmoid", 1, 1, 1, "alpha,beta", build_numbered, MR_NET_HARD_SIGMOID},
    {"PRelu", 2, 2, 1, "", build_prelu, 0},
    {"Gelu", 1, 1, 1, "approximate", build_gelu, 0},
    {"Clip", 1, 3, 1, "min,max", build_clip, 0},
    BINARY("Add", MR_NET_ADD),
    BINARY("Sub", MR_NET_SUB),
    BINARY("Mul", MR_NET_MUL),
    BINARY("Div", MR_NET_DIV),
    {"Pow", 2, 2, 1, "", build_pow, 0},
    BINARY("Equal", MR_NET_EQUAL),
    BINARY("Less", MR_NET_LESS),
    BINARY("Greater", MR_NET_LESS | EXCHANGED),
    BINARY("LessOrEqual", MR_NET_LESS_EQUAL),
    BINARY("GreaterOrEqual", MR_NET_LESS_EQUAL | EXCHANGED),
    BINARY("And", MR_NET_AND),
    BINARY("Or", MR_NET_OR),
    BINARY("Xor", MR_NET_XOR),
    MANY("Sum", MR_NET_ADD),
    MANY("Max", MR_NET_MAX),
    MANY("Min", MR_NET_MIN),
    MANY("Mean", MR_NET_MAP_COUNT),
    {"Where", 3, 3, 1, "", build_where, 0},
    {"MatMul", 2, 2, 1, "", build_matmul, 0},
    {"Gemm", 2, 3, 1, "alpha,beta,transA,transB", build_gemm, 0},
    {"BatchNormalization", 5, 5, 1, "epsilon,momentum,training_mode,spatial", build_batch_norm, 0},
    REDUCE("ReduceSum", MR_NET_SUM),
    REDUCE("ReduceMean", MR_NET_MEAN),
    REDUCE("ReduceMax", MR_NET_GREATEST),
    REDUCE("ReduceMin", MR_NET_LEAST),
    REDUCE("ReduceProd", MR_NET_PRODUCT),
    REDUCE("ReduceL1", MR_NET_SUM_ABS),
    REDUCE("ReduceL2", MR_NET_SUM_SQUARES | ROOT),
    REDUCE("ReduceSumSquare", MR_NET_SUM_SQUARES),
    REDUCE("ReduceLogSumExp", MR_NET_LOG_SUM_EXP),
    {"Softmax", 1, 1, 1, "axis", build_softmax, 0},
    {"LogSoftmax", 1, 1, 1, "axis", build_softmax, 1},
    {"ArgMax", 1, 1, 1, "axis,keepdims,select_last_index", build_arg, 0},
    {"ArgMin", 1, 1, 1, "axis,keepdims,select_last_index", build_arg, 1},
    {"TopK", 1, 2, 2, "axis,largest,sorted,k", build_top, 0},
    {.name = NULL},
};
