/* onnx_fuzz.c -- ONNX files from anyone: refused with words, or scored, and blocks agree with rows to the bit. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

#define INPUTS_MAX  16
#define OUTPUTS_MAX 16
#define ROWS        40

static const double odd[] = {0.0, -0.0, 1.0, -1.0, 0.5, (double)NAN, (double)INFINITY,
                             3.0, 7.0,  2.5, 1e30};

/* Columns of whatever types the model takes. */
typedef struct table {
    float narrow[INPUTS_MAX][ROWS];
    double wide[INPUTS_MAX][ROWS];
    int64_t whole[INPUTS_MAX][ROWS];
    uint8_t flags[INPUTS_MAX][ROWS];
    int32_t offsets[INPUTS_MAX][ROWS + 1];
    mr_column columns[INPUTS_MAX];
    const mr_column *inputs[INPUTS_MAX];
} table;

static void fill(table *t, const mr_model *model)
{
    for (uint32_t i = 0; i < model->signature.input_count; i++) {
        mr_type_id type = model->signature.input_types[i];
        for (uint32_t r = 0; r < ROWS; r++) {
            double x = odd[(i * 7 + r * 3 + i * r) % MR_COUNT_OF(odd)];
            t->narrow[i][r] = (float)x;
            t->wide[i][r] = x;
            t->whole[i][r] = (int64_t)r - 9;
            t->flags[i][r] = (uint8_t)(r * 37 + i);
            t->offsets[i][r + 1] = (r + i) % 5 == 0 ? t->offsets[i][r] : (int32_t)r;
        }
        const void *values =
            type == MR_FLOAT32   ? (const void *)t->narrow[i]
            : type == MR_FLOAT64 ? (const void *)t->wide[i]
            : type == MR_INT64   ? (const void *)t->whole[i]
            : type == MR_BOOL
                ? (const void *)t->flags[i]
                : (const void *)"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
        t->columns[i] = (mr_column){.type = {type, 0}, .values = values, .offsets = t->offsets[i]};
        t->inputs[i] = &t->columns[i];
    }
}

static void score_both_ways(const mr_model *model)
{
    static table t;
    static double whole[OUTPUTS_MAX * ROWS], one[OUTPUTS_MAX];
    int32_t labels[ROWS], label;
    const mr_model_signature *s = &model->signature;
    mr_scratch *scratch;
    if (s->input_count > INPUTS_MAX || s->output_count > OUTPUTS_MAX ||
        mr_scratch_create(model, &scratch, NULL) != MR_OK)
        return;
    memset(&t, 0, sizeof t);
    fill(&t, model);
    bool classes = s->class_count > 0;
    mr_model_out out = {.scores = whole, .labels = classes ? labels : NULL, .stride = ROWS};
    MR_ASSERT(model->kind->score(model, t.inputs, 0, ROWS, &out, scratch, NULL) == MR_OK);
    size_t bytes = s->float_bits / 8;
    for (uint32_t r = 0; r < ROWS; r++) {
        mr_model_out single = {.scores = one, .labels = classes ? &label : NULL, .stride = 1};
        MR_ASSERT(model->kind->score(model, t.inputs, r, 1, &single, scratch, NULL) == MR_OK);
        MR_ASSERT(!classes ||
                  (label == labels[r] && label >= -1 && label < (int32_t)s->class_count));
        for (uint32_t k = 0; k < s->output_count; k++) {
            const uint8_t *a = (const uint8_t *)whole + (k * (size_t)ROWS + r) * bytes;
            const uint8_t *b = (const uint8_t *)one + k * bytes;
            double x = bytes == 8 ? *(const double *)(const void *)a
                                  : (double)*(const float *)(const void *)a;
            double y = bytes == 8 ? *(const double *)(const void *)b
                                  : (double)*(const float *)(const void *)b;
            MR_ASSERT(memcmp(a, b, bytes) == 0 || (isnan(x) && isnan(y)));
        }
    }
    mr_scratch_destroy(scratch);
}

/* A file is of the kind its first byte says. */
FUZZ(onnx)
{
    mr_error err = {0};
    mr_model *model;
    mr_setting settings[] = {{"row_kernel", "walk"}, {"batch_kernel", "walk"}};
    bool graph = size > 0 && data[0] == 0x0a;
    mr_model_options options = {.kind = graph ? "tensorflow" : "onnx",
                                .settings = settings,
                                .setting_count = graph ? 0 : 2};
    mr_status status = mr_model_open_bytes(data, size, &options, &model, &err);
    MR_ASSERT(status == MR_OK || err.text[0] != '\0');
    if (status != MR_OK)
        return 0;
    score_both_ways(model);
    mr_model_close(model);
    return 0;
}
