/* model.c -- the public API: models. */
#include "model/model.h"

#include "api/api.h"

#include <string.h>

struct millrace_model {
    mr_model *model;
};

millrace_status millrace_model_open(const char *path, millrace_model **out, millrace_error *error)
{
    mr_error *err = api_error(error);
    *out = NULL;
    millrace_model *self = MR_NEW(millrace_model);
    mr_status status = self != NULL ? mr_model_open(mr_fs_real(), path, NULL, &self->model, err)
                                    : MR_OUT_OF_MEMORY(err);
    if (status != MR_OK)
        mr_free(self);
    else
        *out = self;
    return (millrace_status)status;
}

void millrace_model_close(millrace_model *self)
{
    if (self == NULL)
        return;
    mr_model_close(self->model);
    mr_free(self);
}

uint32_t millrace_model_input_count(const millrace_model *self)
{
    return self->model->signature.input_count;
}

uint32_t millrace_model_output_count(const millrace_model *self)
{
    return self->model->signature.output_count;
}

const char *millrace_model_input_name(const millrace_model *self, uint32_t index)
{
    const mr_model_signature *signature = &self->model->signature;
    return index < signature->input_count ? signature->input_names[index] : NULL;
}

millrace_status millrace_model_score(const millrace_model *self, const float *rows,
                                     size_t row_count, float *out_scores, millrace_error *error)
{
    const mr_model_signature *signature = &self->model->signature;
    mr_scratch *scratch = NULL;
    mr_error *err = api_error(error);
    mr_status status = mr_scratch_create(self->model, &scratch, err);
    if (status == MR_OK && !mr_model_takes_numbers(self->model))
        status = MR_FAIL(err, MR_UNSUPPORTED,
                         "the model has inputs that are no floats; score a batch with it");
    for (size_t i = 0; i < row_count && status == MR_OK; i++)
        status = mr_model_score_row(self->model, rows + i * signature->input_count, NULL,
                                    out_scores + i * signature->output_count, scratch, err);
    mr_scratch_destroy(scratch);
    return (millrace_status)status;
}
