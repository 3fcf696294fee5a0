/* glm.c -- linear models of our own: scored input by input over blocks of rows, and explained exactly.
 *
 * scratch: | one converted input | margins of a block | scores of a block | */
#include "model/glm.h"

#include "base/assert.h"
#include "model/model_internal.h"
#include "model/names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_ROWS        256
#define DESCRIPTION_BYTES 128

typedef struct glm_model {
    mr_model model;
    mr_glm glm;
    mr_names inputs, outputs, classes;
    mr_type_id *types;
    char description[DESCRIPTION_BYTES];
} glm_model;

static const glm_model *as_glm(const mr_model *model)
{
    return (const glm_model *)(const void *)model;
}

static void close_glm(mr_model *model)
{
    glm_model *m = (glm_model *)(void *)model;
    mr_glm_deinit(&m->glm);
    mr_names_deinit(&m->inputs);
    mr_names_deinit(&m->outputs);
    mr_names_deinit(&m->classes);
    mr_free(m->types);
    mr_free(m);
}

/* ---- margins ---- */

static const mr_glm_input *input_of(const mr_glm *glm, uint32_t i)
{
    return (const mr_glm_input *)(const void *)glm->inputs.data + i;
}

static const double *weights_of(const mr_glm *glm, uint32_t i)
{
    return (const double *)(const void *)glm->weights.data + (size_t)i * glm->margin_count;
}

static const double *intercepts_of(const mr_glm *glm)
{
    return (const double *)(const void *)glm->intercepts.data;
}

/* (x - mean) / scale, with what stands for a missing value. */
static void standardise(const mr_glm_input *input, double *column, size_t count)
{
    if (input->missing != MR_GLM_MISSING_NONE) {
        double instead = input->missing == MR_GLM_MISSING_MEAN ? input->mean : input->value;
        for (size_t r = 0; r < count; r++)
            column[r] = isnan(column[r]) ? instead : column[r];
    }
    for (size_t r = 0; r < count; r++)
        column[r] = (column[r] - input->mean) / input->scale;
}

static void sum_block(const mr_glm *glm, const mr_column *const *inputs, size_t first, size_t count,
                      double *margins, size_t stride, double *column)
{
    for (uint32_t k = 0; k < glm->margin_count; k++)
        for (size_t r = 0; r < count; r++)
            margins[k * stride + r] = intercepts_of(glm)[k];
    for (uint32_t i = 0; i < glm->input_count; i++) {
        mr_model_convert64(inputs[i], first, count, column);
        standardise(input_of(glm, i), column, count);
        for (uint32_t k = 0; k < glm->margin_count; k++) {
            double weight = weights_of(glm, i)[k], *to = margins + k * stride;
            for (size_t r = 0; r < count; r++)
                to[r] += weight * column[r];
        }
    }
}

/* ---- scores and labels ---- */

static double mean_of(mr_glm_link link, double x)
{
    switch (link) {
    case MR_GLM_LOGIT:
        return 1.0 / (1.0 + exp(-x));
    case MR_GLM_LOG:
        return exp(x);
    case MR_GLM_PROBIT:
        return 0.5 * erfc(x * -0.70710678118654752440); /* 1 / sqrt 2 */
    case MR_GLM_CLOGLOG:
        return -expm1(-exp(x));
    case MR_GLM_INVERSE:
        return 1.0 / x;
    default:
        return x;
    }
}

static void softmax_row(uint32_t classes, const double *from, size_t stride, double *to,
                        size_t stride_out)
{
    double top = from[0], sum = 0.0;
    for (uint32_t k = 1; k < classes; k++)
        top = fmax(from[k * stride], top);
    for (uint32_t k = 0; k < classes; k++) {
        to[k * stride_out] = exp(from[k * stride] - top);
        sum += to[k * stride_out];
    }
    for (uint32_t k = 0; k < classes; k++)
        to[k * stride_out] /= sum;
}

static void apply_link(const mr_glm *glm, const double *margins, size_t stride, size_t count,
                       double *scores, size_t stride_out)
{
    for (size_t r = 0; r < count; r++) {
        if (glm->link == MR_GLM_SOFTMAX)
            softmax_row(glm->margin_count, margins + r, stride, scores + r, stride_out);
        else
            scores[r] = mean_of(glm->link, margins[r]);
    }
}

/* The most probable class, the first of equals; of two classes the second when it has more than a half. */
static int32_t label_of(const mr_glm *glm, const double *scores, size_t stride)
{
    int32_t best = 0;
    for (uint32_t k = 0; k < glm->margin_count; k++)
        if (isnan(scores[k * stride]))
            return -1;
    if (glm->link != MR_GLM_SOFTMAX)
        return scores[0] > 0.5;
    for (uint32_t k = 1; k < glm->margin_count; k++)
        if (scores[k * stride] > scores[(size_t)best * stride])
            best = (int32_t)k;
    return best;
}

static mr_status score_glm(const mr_model *model, const mr_column *const *inputs, size_t first,
                           size_t count, const mr_model_out *out, mr_scratch *scratch,
                           mr_error *err)
{
    (void)err;
    const mr_glm *glm = &as_glm(model)->glm;
    double *column = (double *)(void *)scratch->bytes, *own_margins = column + BLOCK_ROWS;
    double *own_scores = own_margins + (size_t)BLOCK_ROWS * glm->margin_count;
    for (size_t at = 0; at < count; at += BLOCK_ROWS) {
        size_t block = MR_MIN(count - at, (size_t)BLOCK_ROWS);
        double *margins = out->margins != NULL ? (double *)out->margins + at : own_margins;
        double *scores = out->scores != NULL ? (double *)out->scores + at : own_scores;
        size_t stride = out->margins != NULL ? out->stride : BLOCK_ROWS;
        size_t stride_out = out->scores != NULL ? out->stride : BLOCK_ROWS;
        sum_block(glm, inputs, first + at, block, margins, stride, column);
        if (out->scores != NULL || out->labels != NULL)
            apply_link(glm, margins, stride, block, scores, stride_out);
        for (size_t r = 0; out->labels != NULL && r < block; r++)
            out->labels[at + r] = label_of(glm, scores + r, stride_out);
    }
    return MR_OK;
}

/* weight * (x - mean) / scale of each input, and the intercept: added up in this order they are the margin. */
static mr_status explain_glm(const mr_model *model, const mr_column *const *inputs, size_t first,
                             size_t count, double *out, mr_scratch *scratch, mr_error *err)
{
    (void)err;
    const mr_glm *glm = &as_glm(model)->glm;
    double *column = (double *)(void *)scratch->bytes;
    uint32_t margins = glm->margin_count, shares = glm->input_count + 1;
    for (size_t at = 0; at < count; at += BLOCK_ROWS) {
        size_t block = MR_MIN(count - at, (size_t)BLOCK_ROWS);
        double *to = out + at * margins * shares;
        for (uint32_t i = 0; i < glm->input_count; i++) {
            mr_model_convert64(inputs[i], first + at, block, column);
            standardise(input_of(glm, i), column, block);
            for (size_t r = 0; r < block; r++)
                for (uint32_t k = 0; k < margins; k++)
                    to[(r * margins + k) * shares + i] = weights_of(glm, i)[k] * column[r];
        }
        for (size_t r = 0; r < block; r++)
            for (uint32_t k = 0; k < margins; k++)
                to[(r * margins + k) * shares + glm->input_count] = intercepts_of(glm)[k];
    }
    return MR_OK;
}

/* ---- birth ---- */

static mr_status name_all(glm_model *m, const mr_model_options *options, mr_error *err)
{
    static const mr_model_options none = {0};
    static const char *const outputs[MR_GLM_LINKS] = {
        "value", "probability", "value", "probability", "probability", "value", "probability"};
    const mr_glm *glm = &m->glm;
    const char *classes = (const char *)glm->classes.data;
    MR_TRY(mr_names_of_inputs(&m->inputs, (const char *)glm->names.data, options, glm->input_count,
                              err));
    if (glm->class_count > 0)
        MR_TRY(mr_names_of_inputs(&m->classes, classes, &none, glm->class_count, err));
    if (glm->class_count == glm->margin_count)
        return mr_names_of_inputs(&m->outputs, classes, &none, glm->class_count, err);
    return mr_names_of_outputs(&m->outputs, outputs[glm->link], glm->margin_count, err);
}

static bool may_abstain(const mr_glm *glm)
{
    for (uint32_t i = 0; i < glm->input_count; i++)
        if (input_of(glm, i)->missing == MR_GLM_MISSING_NONE)
            return true;
    return false;
}

static void sign(glm_model *m)
{
    const mr_glm *glm = &m->glm;
    (void)snprintf(m->description, sizeof m->description, "linear, %u inputs, link %s",
                   glm->input_count, mr_glm_link_name(glm->link));
    for (uint32_t i = 0; i < glm->input_count; i++)
        m->types[i] = MR_FLOAT64;
    m->model.signature = (mr_model_signature){.objective = mr_glm_link_name(glm->link),
                                              .input_count = glm->input_count,
                                              .input_names = m->inputs.list,
                                              .input_types = m->types,
                                              .margin_count = glm->margin_count,
                                              .output_count = glm->margin_count,
                                              .output_names = m->outputs.list,
                                              .float_bits = 64,
                                              .class_count = glm->class_count,
                                              .class_names = m->classes.list,
                                              .may_abstain = may_abstain(glm),
                                              .description = m->description};
    m->model.scratch_bytes = sizeof(double) * BLOCK_ROWS * (1 + 2 * (size_t)glm->margin_count);
}

static mr_status open_glm(const uint8_t *bytes, size_t size, const mr_model_options *options,
                          mr_model **out, mr_error *err)
{
    glm_model *m = MR_NEW(glm_model);
    if (m == NULL)
        return MR_OUT_OF_MEMORY(err);
    m->model.kind = &mr_model_glm;
    mr_status status = mr_glm_read(bytes, size, &m->glm, err);
    if (status == MR_OK) {
        m->types = mr_alloc(sizeof *m->types * m->glm.input_count);
        status = m->types != NULL ? name_all(m, options, err) : MR_OUT_OF_MEMORY(err);
    }
    if (status != MR_OK) {
        mr_error_prefix(err, "linear model");
        close_glm(&m->model);
        return status;
    }
    sign(m);
    *out = &m->model;
    return MR_OK;
}

/* An object whose beginning says "millrace_model": "linear". */
static bool recognise_glm(const uint8_t *bytes, size_t size)
{
    static const char key[] = "\"millrace_model\"", value[] = "\"linear\"";
    size_t head = MR_MIN(size, (size_t)4096);
    const uint8_t *at = memmem(bytes, head, key, strlen(key));
    if (at == NULL)
        return false;
    at += strlen(key);
    while (at < bytes + head &&
           (*at == ':' || *at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return (size_t)(bytes + head - at) >= strlen(value) && memcmp(at, value, strlen(value)) == 0;
}

static const mr_setting_spec settings[] = {{0}};

const mr_model_kind mr_model_glm = {
    .name = "linear",
    .sentence = "linear, logistic and other generalised linear models as our own small JSON",
    .settings = settings,
    .recognise = recognise_glm,
    .open = open_glm,
    .close = close_glm,
    .score = score_glm,
    .explain = explain_glm,
};
