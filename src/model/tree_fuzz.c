/* tree_fuzz.c -- model files from anyone: refused or scored, never a crash, and batches agree with rows. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

#define INPUTS_MAX 64
#define ROWS       40

/* Rows together and one by one have the same contributions, whatever covers a file claims. */
static void explain_both_ways(const mr_model *model, const mr_column *const *inputs,
                              mr_scratch *scratch)
{
    static double together[ROWS * 8 * (INPUTS_MAX + 1)], alone[8 * (INPUTS_MAX + 1)];
    size_t width = model->signature.margin_count * ((size_t)model->signature.input_count + 1);
    mr_error err = {0};
    if (mr_model_explain_prepare(model, &err) != MR_OK) {
        MR_ASSERT(err.text[0] != '\0');
        return;
    }
    if (model->kind->explain(model, inputs, 0, ROWS, together, scratch, &err) != MR_OK)
        return;
    for (uint32_t r = 0; r < ROWS; r += 13) {
        MR_ASSERT(model->kind->explain(model, inputs, r, 1, alone, scratch, &err) == MR_OK);
        for (size_t i = 0; i < width; i++)
            MR_ASSERT(isfinite(alone[i]) && alone[i] == together[r * width + i]);
    }
}

static void score_both_ways(const mr_model *model)
{
    static const float odd[] = {0.0f,     -0.0f,     1.0f, -1.0f,  0.5f, NAN,
                                INFINITY, -INFINITY, 3.0f, 254.0f, 1e30f};
    static float values[INPUTS_MAX][ROWS];
    mr_column columns[INPUTS_MAX] = {0};
    const mr_column *inputs[INPUTS_MAX];
    uint32_t n = model->signature.input_count, m = model->signature.margin_count;
    mr_scratch *scratch;
    if (n > INPUTS_MAX || m > 8 || mr_scratch_create(model, &scratch, NULL) != MR_OK)
        return;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t r = 0; r < ROWS; r++)
            values[i][r] = odd[(i * 7 + r * 3 + i * r) % MR_COUNT_OF(odd)];
        columns[i] = (mr_column){.type = {MR_FLOAT32, 0}, .values = values[i]};
        inputs[i] = &columns[i];
    }
    float margins[8 * ROWS], row[INPUTS_MAX], sums[8];
    mr_model_out out = {.margins = margins, .stride = ROWS};
    MR_ASSERT(model->kind->score(model, inputs, 0, ROWS, &out, scratch, NULL) == MR_OK);
    for (uint32_t r = 0; r < ROWS; r++) {
        for (uint32_t i = 0; i < n; i++)
            row[i] = values[i][r];
        (void)mr_model_score_row(model, row, sums, NULL, scratch, NULL);
        for (uint32_t g = 0; g < m; g++)
            MR_ASSERT(memcmp(&sums[g], &margins[g * ROWS + r], sizeof sums[g]) == 0);
    }
    explain_both_ways(model, inputs, scratch);
    mr_scratch_destroy(scratch);
}

FUZZ(tree)
{
    static const char *const rows[] = {"walk", "auto"}, *const batches[] = {"auto", "walk"};
    for (int i = 0; i < 2; i++) {
        mr_error err = {0};
        mr_model *model;
        mr_setting settings[] = {{"row_kernel", rows[i]}, {"batch_kernel", batches[i]}};
        mr_model_options options = {.kind = "xgboost", .settings = settings, .setting_count = 2};
        mr_status status = mr_model_open_bytes(data, size, &options, &model, &err);
        MR_ASSERT(status == MR_OK || err.text[0] != '\0');
        if (status != MR_OK)
            return 0;
        score_both_ways(model);
        mr_model_close(model);
    }
    return 0;
}
