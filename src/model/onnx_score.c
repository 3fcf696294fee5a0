/* onnx_score.c -- linear classifiers and regressors of ai.onnx.ml, and what classifiers share: labels, transforms. */
#include "model/onnx_internal.h"

#include "base/assert.h"

#include <string.h>

/* ---- what classifiers share ---- */

mr_status mr_onnx_label(mr_onnx_node *node, const mr_tensor *index, const char *ints,
                        uint32_t class_count, mr_tensor *out, mr_error *err)
{
    mr_text *texts;
    const int64_t *whole;
    uint32_t count;
    mr_tensor numbered;
    size_t numbers = mr_onnx_ints(node, ints, &whole);
    MR_TRY(mr_onnx_texts(node, "classlabels_strings", &texts, &count, err));
    MR_TRY(mr_net_numbered(node->net, index, class_count, &numbered, err));
    if (count > 0 ? count != class_count : numbers != class_count)
        return MR_FAIL(err, MR_INVALID, "%zu class labels for %u classes",
                       count > 0 ? (size_t)count : numbers, class_count);
    return count > 0
               ? mr_net_tabled(node->net, &numbered, MR_TENSOR_TEXT, count, texts, out, err)
               : mr_net_tabled(node->net, &numbered, MR_TENSOR_INT64, class_count, whole, out, err);
}

mr_status mr_onnx_apply(mr_onnx_node *node, const char *name, const mr_tensor *scores,
                        mr_tensor *out, mr_error *err)
{
    *out = *scores;
    if (strcmp(name, "NONE") == 0)
        return MR_OK;
    if (strcmp(name, "LOGISTIC") == 0)
        return mr_net_unary(node->net, MR_NET_LOGISTIC, scores, 0, 0, out, err);
    if (strcmp(name, "PROBIT") == 0)
        return mr_net_unary(node->net, MR_NET_PROBIT, scores, 0, 0, out, err);
    return mr_net_softmax(node->net, scores, 1u << (scores->rank - 1), false,
                          strcmp(name, "SOFTMAX_ZERO") == 0, out, err);
}

mr_status mr_onnx_transform(mr_onnx_node *node, const mr_tensor *scores, mr_tensor *out,
                            mr_error *err)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    for (size_t i = 0; i < MR_COUNT_OF(names); i++)
        if (mr_onnx_is(node, "post_transform", names[i], "NONE"))
            return mr_onnx_apply(node, names[i], scores, out, err);
    return MR_FAIL(err, MR_UNSUPPORTED,
                   "post_transform is none of NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT");
}

/* ---- linear ---- */

/* coefficients: [targets][features]; turned to [features][targets], in `keep`. */
static mr_status turn(mr_onnx_node *node, uint32_t targets, uint32_t features, float **out,
                      mr_error *err)
{
    const float *given;
    size_t count = mr_onnx_floats(node, "coefficients", &given);
    if (count != (size_t)targets * features)
        return MR_FAIL(err, MR_INVALID, "%zu coefficients for %u outputs of %u inputs", count,
                       targets, features);
    *out = mr_arena_alloc_aligned(&node->net->keep, sizeof **out * (count + 1));
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t t = 0; t < targets; t++)
        for (uint32_t f = 0; f < features; f++)
            (*out)[(size_t)f * targets + t] = given[(size_t)t * features + f];
    return MR_OK;
}

/* x w + intercepts */
static mr_status linear(mr_onnx_node *node, uint32_t targets, mr_tensor *out, mr_error *err)
{
    mr_tensor x;
    float *weights, *bias = NULL;
    const float *intercepts;
    size_t count = mr_onnx_floats(node, "intercepts", &intercepts);
    MR_TRY(mr_net_cast(node->net, node->in[0], MR_TENSOR_FLOAT32, &x, err));
    if (x.rank != 2 || x.batch != 0 || targets == 0 || (count != 0 && count != targets))
        return MR_FAIL(err, MR_INVALID, "%zu intercepts for %u outputs, or an input of %u axes",
                       count, targets, x.rank);
    MR_TRY(turn(node, targets, x.dims[1], &weights, err));
    if (count > 0) {
        bias = mr_arena_alloc_aligned(&node->net->keep, sizeof *bias * count);
        if (bias == NULL)
            return MR_OUT_OF_MEMORY(err);
        memcpy(bias, intercepts, sizeof *bias * count);
    }
    return mr_net_product(node->net, &x, weights, targets, bias, out, err);
}

static mr_status build_regressor(mr_onnx_node *node, mr_error *err)
{
    mr_tensor sums;
    int64_t targets = mr_onnx_int(node, "targets", 1);
    if (targets < 1 || targets > MR_MODEL_OUTPUTS_MAX)
        return MR_FAIL(err, MR_INVALID, "%lld targets", (long long)targets);
    MR_TRY(linear(node, (uint32_t)targets, &sums, err));
    return mr_onnx_transform(node, &sums, &node->out[0], err);
}

/* s -> [1 - s, s], where s is 1 / (1 + e^-s) with LOGISTIC. */
static mr_status two_of_one(mr_onnx_node *node, const mr_tensor *sums, mr_error *err)
{
    mr_tensor both[2], one;
    mr_net *net = node->net;
    MR_TRY(mr_onnx_transform(node, sums, &both[1], err));
    MR_TRY(mr_net_number(net, MR_TENSOR_FLOAT32, 1, &one, err));
    MR_TRY(mr_net_binary(net, MR_NET_SUB, &one, &both[1], &both[0], err));
    return mr_tensor_concat(&net->pool, both, 2, 1, &node->out[1], err);
}

/* A sum above 0 is the second class. */
static mr_status build_one_sum(mr_onnx_node *node, const mr_tensor *sums, mr_error *err)
{
    mr_tensor zero, above, index;
    int64_t last = -1;
    MR_TRY(mr_net_number(node->net, MR_TENSOR_FLOAT32, 0, &zero, err));
    MR_TRY(mr_net_binary(node->net, MR_NET_LESS, &zero, sums, &above, err));
    MR_TRY(mr_net_cast(node->net, &above, MR_TENSOR_INT64, &index, err));
    above = index;
    MR_TRY(mr_tensor_squeeze(&node->net->pool, &above, &last, 1, &index, err));
    MR_TRY(mr_onnx_label(node, &index, "classlabels_ints", 2, &node->out[0], err));
    return two_of_one(node, sums, err);
}

static mr_status build_classifier(mr_onnx_node *node, mr_error *err)
{
    mr_tensor sums, index;
    const float *intercepts;
    uint32_t targets = (uint32_t)mr_onnx_floats(node, "intercepts", &intercepts);
    MR_TRY(linear(node, targets, &sums, err));
    if (targets == 1)
        return build_one_sum(node, &sums, err);
    MR_TRY(mr_net_arg(node->net, &sums, 1, false, false, false, &index, err));
    MR_TRY(mr_onnx_label(node, &index, "classlabels_ints", targets, &node->out[0], err));
    return mr_onnx_transform(node, &sums, &node->out[1], err);
}

const mr_onnx_operator mr_onnx_score[] = {
    {"LinearRegressor", 1, 1, 1, "coefficients,intercepts,post_transform,targets", build_regressor,
     0},
    {"LinearClassifier", 1, 1, 2,
     "classlabels_ints,classlabels_strings,coefficients,intercepts,multi_class,post_transform",
     build_classifier, 0},
    {.name = NULL},
};
