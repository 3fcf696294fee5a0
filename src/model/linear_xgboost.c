/* linear_xgboost.c -- gblinear as a model: feature by feature over blocks of rows, each sum in the library's order.
 *
 * scratch: | margins of a block, by group | one converted column | */
#include "model/linear_xgboost.h"

#include "base/assert.h"
#include "model/model_internal.h"
#include "model/names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_ROWS        256
#define DESCRIPTION_BYTES 128

typedef struct linear_model {
    mr_model model;
    mr_model_kind kind; /* the reader's, with the functions of this file */
    const mr_tree_objective *objective;
    uint32_t feature_count, group_count;
    float *weights; /* feature by feature, then `start` */
    float *start;   /* bias + base, per group */
    mr_names inputs, outputs;
    char description[DESCRIPTION_BYTES];
} linear_model;

static const linear_model *as_linear(const mr_model *model)
{
    return (const linear_model *)(const void *)model;
}

static void close_linear(mr_model *model)
{
    linear_model *linear = (linear_model *)(void *)model;
    mr_free(linear->weights);
    mr_names_deinit(&linear->inputs);
    mr_names_deinit(&linear->outputs);
    mr_free(linear);
}

/* ---- scoring ---- */

/* Missing values leave the sum as it is: adding 0 would turn -0 into 0. */
static void add_feature(const float *column, size_t count, float weight, float *sums)
{
    for (size_t r = 0; r < count; r++) {
        float sum = sums[r] + column[r] * weight;
        sums[r] = isnan(column[r]) ? sums[r] : sum;
    }
}

static void sum_block(const linear_model *linear, const mr_column *const *inputs, size_t first,
                      size_t count, float *margins, size_t stride, float *column)
{
    uint32_t groups = linear->group_count;
    for (uint32_t g = 0; g < groups; g++)
        for (size_t r = 0; r < count; r++)
            margins[g * stride + r] = linear->start[g];
    for (uint32_t f = 0; f < linear->feature_count; f++) {
        mr_model_convert(inputs[f], first, count, column);
        for (uint32_t g = 0; g < groups; g++)
            add_feature(column, count, linear->weights[(size_t)f * groups + g],
                        margins + g * stride);
    }
}

static mr_status score_linear(const mr_model *model, const mr_column *const *inputs, size_t first,
                              size_t count, const mr_model_out *out, mr_scratch *scratch,
                              mr_error *err)
{
    (void)err;
    const linear_model *linear = as_linear(model);
    float *own = (float *)(void *)scratch->bytes;
    float *column = own + (size_t)BLOCK_ROWS * linear->group_count;
    for (size_t at = 0; at < count; at += BLOCK_ROWS) {
        size_t block = MR_MIN(count - at, (size_t)BLOCK_ROWS);
        float *margins = out->margins != NULL ? (float *)out->margins + at : own;
        size_t stride = out->margins != NULL ? out->stride : BLOCK_ROWS;
        sum_block(linear, inputs, first + at, block, margins, stride, column);
        if (out->scores != NULL)
            mr_tree_objective_apply(linear->objective, linear->group_count, margins, stride, block,
                                    (float *)out->scores + at, out->stride);
    }
    return MR_OK;
}

static void score_linear_row(const mr_model *model, const float *inputs, float *out_margins,
                             float *out_scores, mr_scratch *scratch)
{
    const linear_model *linear = as_linear(model);
    float *margins = out_margins != NULL ? out_margins : (float *)(void *)scratch->bytes;
    uint32_t groups = linear->group_count;
    memcpy(margins, linear->start, sizeof *margins * groups);
    for (uint32_t f = 0; f < linear->feature_count; f++) {
        if (isnan(inputs[f]))
            continue;
        for (uint32_t g = 0; g < groups; g++)
            margins[g] += inputs[f] * linear->weights[(size_t)f * groups + g];
    }
    if (out_scores != NULL)
        mr_tree_objective_apply(linear->objective, groups, margins, 1, 1, out_scores, 1);
}

/* What input f adds to every group's margin of one row; behind the inputs stands what every row has. */
static double share_of(const linear_model *linear, uint32_t f, uint32_t group, float x)
{
    if (f == linear->feature_count)
        return (double)linear->start[group];
    return isnan(x) ? 0.0
                    : (double)x * (double)linear->weights[(size_t)f * linear->group_count + group];
}

/* Exact: a sum is its own explanation. */
static mr_status explain_linear(const mr_model *model, const mr_column *const *inputs, size_t first,
                                size_t count, double *out, mr_scratch *scratch, mr_error *err)
{
    (void)err;
    if (count == 0)
        return MR_OK;
    const linear_model *linear = as_linear(model);
    uint32_t groups = linear->group_count, shares = linear->feature_count + 1;
    float *column = (float *)(void *)scratch->bytes;
    for (size_t at = 0; at < count; at += BLOCK_ROWS) {
        size_t block = MR_MIN(count - at, (size_t)BLOCK_ROWS);
        for (uint32_t f = 0; f < shares; f++) {
            if (f < linear->feature_count)
                mr_model_convert(inputs[f], first + at, block, column);
            for (size_t r = 0; r < block; r++)
                for (uint32_t g = 0; g < groups; g++)
                    out[((at + r) * groups + g) * shares + f] = share_of(linear, f, g, column[r]);
        }
    }
    return MR_OK;
}

/* ---- birth ---- */

static mr_status copy_weights(linear_model *linear, const float *weights, float base, mr_error *err)
{
    size_t biases = (size_t)linear->feature_count * linear->group_count;
    linear->weights = mr_alloc(sizeof *weights * (biases + linear->group_count));
    if (linear->weights == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(linear->weights, weights, sizeof *weights * biases);
    linear->start = linear->weights + biases;
    for (uint32_t g = 0; g < linear->group_count; g++)
        linear->start[g] = weights[biases + g] + base;
    return MR_OK;
}

static void describe(linear_model *linear)
{
    mr_model_signature *signature = &linear->model.signature;
    (void)snprintf(linear->description, sizeof linear->description,
                   "linear, %u weights and a bias for each of %u margins", linear->feature_count,
                   linear->group_count);
    *signature = (mr_model_signature){
        .objective = linear->objective->name,
        .input_count = linear->feature_count,
        .input_names = linear->inputs.list,
        .margin_count = linear->group_count,
        .output_count = mr_tree_objective_outputs(linear->objective, linear->group_count),
        .output_names = linear->outputs.list,
        .float_bits = 32,
        .description = linear->description};
    linear->model.scratch_bytes = sizeof(float) * BLOCK_ROWS * ((size_t)linear->group_count + 1);
}

mr_status mr_linear_create(const mr_model_kind *kind, const mr_tree_source *source,
                           uint32_t feature_count, uint32_t group_count, const float *weights,
                           float base, const mr_model_options *options, mr_model **out,
                           mr_error *err)
{
    linear_model *linear = MR_NEW(linear_model);
    if (linear == NULL)
        return MR_OUT_OF_MEMORY(err);
    linear->kind = *kind;
    linear->kind.close = close_linear;
    linear->kind.score = score_linear;
    linear->kind.score_row = score_linear_row;
    linear->kind.explain = explain_linear;
    linear->model.kind = &linear->kind;
    linear->objective = source->objective;
    linear->feature_count = feature_count;
    linear->group_count = group_count;
    uint32_t outputs = mr_tree_objective_outputs(source->objective, group_count);
    mr_status status =
        mr_names_of_inputs(&linear->inputs, source->names, options, feature_count, err);
    if (status == MR_OK)
        status = mr_names_of_outputs(&linear->outputs, source->objective->output, outputs, err);
    if (status == MR_OK)
        status = copy_weights(linear, weights, base, err);
    if (status != MR_OK) {
        close_linear(&linear->model);
        return status;
    }
    describe(linear);
    *out = &linear->model;
    return MR_OK;
}
