/* linear_fuzz.c -- weights from anyone: a gblinear of the bytes' numbers is refused, or its batches agree with its rows. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "model/linear_xgboost.h"
#include "model/model_internal.h"

#include <math.h>
#include <string.h>

#define FEATURES_MAX 16
#define ROWS         300 /* more than a block */

static void compare(const mr_model *model)
{
    static const float odd[] = {0.0f, -0.0f, 1.0f, NAN, INFINITY, -INFINITY, 1e30f, -0.3f};
    static float values[FEATURES_MAX][ROWS], batch[4 * ROWS];
    mr_column columns[FEATURES_MAX] = {0};
    const mr_column *inputs[FEATURES_MAX];
    uint32_t n = model->signature.input_count, groups = model->signature.margin_count;
    mr_scratch *scratch;
    if (n > FEATURES_MAX || groups > 4 || mr_scratch_create(model, &scratch, NULL) != MR_OK)
        return;
    for (uint32_t f = 0; f < n; f++) {
        for (uint32_t r = 0; r < ROWS; r++)
            values[f][r] = odd[(f * 5 + r * 3 + f * r) % MR_COUNT_OF(odd)];
        columns[f] = (mr_column){.type = {MR_FLOAT32, 0}, .values = values[f]};
        inputs[f] = &columns[f];
    }
    mr_model_out out = {.margins = batch, .stride = ROWS};
    MR_ASSERT(model->kind->score(model, inputs, 0, ROWS, &out, scratch, NULL) == MR_OK);
    for (uint32_t r = 0; r < ROWS; r++) {
        float row[FEATURES_MAX], sums[4];
        for (uint32_t f = 0; f < n; f++)
            row[f] = values[f][r];
        (void)mr_model_score_row(model, row, sums, NULL, scratch, NULL);
        for (uint32_t g = 0; g < groups; g++)
            MR_ASSERT(memcmp(&sums[g], &batch[g * ROWS + r], sizeof sums[g]) == 0 ||
                      (isnan(sums[g]) && isnan(batch[g * ROWS + r])));
    }
    mr_scratch_destroy(scratch);
}

/* Half of the runs make a model of the bytes as they are, half a document around them. */
FUZZ(linear)
{
    mr_error err = {0};
    mr_model *model;
    mr_bytes text = {0};
    mr_model_options options = {.kind = "xgboost"};
    if (size > 0 && data[0] != '{') {
        mr_bytes_append_text(
            &text,
            "{\"learner\":{\"gradient_booster\":{\"name\":\"gblinear\",\"model\":{\"weights\":");
        mr_bytes_append(&text, data, size);
        mr_bytes_printf(&text,
                        "}},\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":\"%d\","
                        "\"num_feature\":\"%d\"},\"objective\":{\"name\":\"%s\"}}}",
                        size % 2 == 0 ? 0 : 3, (int)(size % 5),
                        size % 2 == 0 ? "reg:squarederror" : "multi:softprob");
    } else {
        mr_bytes_append(&text, data, size);
    }
    mr_status status = mr_model_open_bytes(text.data, text.size, &options, &model, &err);
    MR_ASSERT(status == MR_OK || err.text[0] != '\0');
    mr_bytes_deinit(&text);
    if (status != MR_OK)
        return 0;
    compare(model);
    mr_model_close(model);
    return 0;
}
