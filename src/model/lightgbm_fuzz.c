/* lightgbm_fuzz.c -- LightGBM files from anyone: refused with a reason, or every kernel gives the same bits. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

#define INPUTS_MAX 16
#define GROUPS_MAX 4
#define ROWS       70

static const double odd[] = {0.0, -0.0, 1.0,   NAN,  INFINITY, -INFINITY, 1e300,
                             2.5, -3.0, 254.0, 1e10, -0.3,     1e-36};

static bool score(const mr_model *model, double *out)
{
    static double values[INPUTS_MAX][ROWS];
    static int32_t offsets[ROWS + 1];
    mr_column columns[INPUTS_MAX] = {0};
    const mr_column *inputs[INPUTS_MAX];
    uint32_t n = model->signature.input_count;
    mr_scratch *scratch;
    if (n > INPUTS_MAX || model->signature.margin_count > GROUPS_MAX ||
        mr_scratch_create(model, &scratch, NULL) != MR_OK)
        return false;
    for (uint32_t r = 0; r <= ROWS; r++)
        offsets[r] = (int32_t)r;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t r = 0; r < ROWS; r++)
            values[i][r] = odd[(i * 7 + r * 3 + i * r) % MR_COUNT_OF(odd)];
        columns[i] = model->signature.input_types[i] == MR_STRING
                         ? (mr_column){.type = {MR_STRING, 0},
                                       .values = "abcdefghijabcdefghijabcdefghijabcdefghij"
                                                 "abcdefghijabcdefghijabcdefghij",
                                       .offsets = offsets}
                         : (mr_column){.type = {MR_FLOAT64, 0}, .values = values[i]};
        inputs[i] = &columns[i];
    }
    mr_model_out to = {.margins = out, .stride = ROWS};
    MR_ASSERT(model->kind->score(model, inputs, 0, ROWS, &to, scratch, NULL) == MR_OK);
    mr_scratch_destroy(scratch);
    return true;
}

FUZZ(lightgbm)
{
    static const char *const kernels[] = {"walk", "masks", "masks"}, *const cpus[] = {
                                                                         "plain", "avx2", "avx512"};
    static double sums[3][GROUPS_MAX * ROWS];
    for (int i = 0; i < 3; i++) {
        mr_error err = {0};
        mr_model *model;
        mr_setting settings[] = {{"batch_kernel", kernels[i]}, {"cpu", cpus[i]}};
        mr_model_options options = {.kind = "lightgbm", .settings = settings, .setting_count = 2};
        mr_status status = mr_model_open_bytes(data, size, &options, &model, &err);
        MR_ASSERT(status == MR_OK || err.text[0] != '\0');
        if (status != MR_OK)
            return 0;
        bool scored = score(model, sums[i]);
        size_t count = (size_t)ROWS * model->signature.margin_count;
        mr_model_close(model);
        for (size_t k = 0; scored && k < count; k++)
            MR_ASSERT(memcmp(&sums[i][k], &sums[0][k], sizeof(double)) == 0 ||
                      (isnan(sums[i][k]) && isnan(sums[0][k])));
    }
    return 0;
}
