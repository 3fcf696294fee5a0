/* pmml_fuzz.c -- PMML from anyone: refused with words, or a model that scores the same row the same twice. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "model/model_internal.h"

#include <math.h>
#include <string.h>

#define INPUTS_MAX 32
#define ROWS       5

static void score(const mr_model *model)
{
    static const double odd[] = {0, 1, -1, 2.5, 1e300, -INFINITY, NAN};
    static double values[INPUTS_MAX][ROWS];
    static double first[64 * ROWS], second[64 * ROWS];
    static const int32_t offsets[ROWS + 1] = {0, 1, 1, 4, 6, 6};
    mr_column columns[INPUTS_MAX] = {0};
    const mr_column *inputs[INPUTS_MAX];
    const mr_model_signature *signature = &model->signature;
    mr_scratch *scratch;
    if (signature->input_count > INPUTS_MAX || signature->output_count > 64 ||
        mr_scratch_create(model, &scratch, NULL) != MR_OK)
        return;
    for (uint32_t i = 0; i < signature->input_count; i++) {
        bool text = signature->input_types[i] == MR_STRING;
        for (uint32_t r = 0; r < ROWS; r++)
            values[i][r] = odd[(i * 3 + r) % MR_COUNT_OF(odd)];
        columns[i] = (mr_column){.type = {signature->input_types[i], 0},
                                 .values = text ? (const void *)"aredb1" : values[i],
                                 .offsets = text ? offsets : NULL};
        inputs[i] = &columns[i];
    }
    mr_model_out out = {.scores = first, .stride = ROWS};
    MR_ASSERT(model->kind->score(model, inputs, 0, ROWS, &out, scratch, NULL) == MR_OK);
    out.scores = second;
    MR_ASSERT(model->kind->score(model, inputs, 0, ROWS, &out, scratch, NULL) == MR_OK);
    for (size_t i = 0; i < ROWS * (size_t)signature->output_count; i++)
        MR_ASSERT(first[i] == second[i] || (isnan(first[i]) && isnan(second[i])));
    mr_scratch_destroy(scratch);
}

FUZZ(pmml)
{
    mr_error err = {0};
    mr_model *model;
    mr_model_options options = {.kind = "pmml"};
    mr_status status = mr_model_open_bytes(data, size, &options, &model, &err);
    MR_ASSERT(status == MR_OK || err.text[0] != '\0');
    if (status != MR_OK)
        return 0;
    score(model);
    mr_model_close(model);
    return 0;
}
