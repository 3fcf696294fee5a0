/* scoring.c -- a model over batches. */
#include "cmd/scoring.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES (MR_NAME_BYTES_MAX + 8)

static void name_output(const mr_model_signature *signature, uint32_t index, char *out)
{
    if (signature->output_count == 1)
        (void)snprintf(out, NAME_BYTES, "score");
    else
        (void)snprintf(out, NAME_BYTES, "score_%s", signature->output_names[index]);
}

static mr_status make_output_schema(mr_scoring *scoring, mr_error *err)
{
    const mr_model_signature *signature = &scoring->model->signature;
    uint32_t kept = scoring->kept->field_count, scores = signature->output_count;
    mr_field *fields = mr_alloc_zero(kept + scores, sizeof *fields);
    char(*names)[NAME_BYTES] = mr_alloc_zero(scores, sizeof *names);
    mr_status status = fields != NULL && names != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        memcpy(fields, scoring->kept->fields, kept * sizeof *fields);
    for (uint32_t i = 0; i < scores && status == MR_OK; i++) {
        name_output(signature, i, names[i]);
        fields[kept + i] = (mr_field){.name = names[i], .type = {MR_FLOAT32, 0}};
    }
    if (status == MR_OK)
        status = mr_schema_create(fields, kept + scores, &scoring->output, err);
    mr_free(names);
    mr_free(fields);
    return status;
}

static mr_status keep_all(const mr_schema *input, mr_schema **out, mr_error *err)
{
    return mr_schema_create(input->fields, input->field_count, out, err);
}

mr_status mr_scoring_open(mr_scoring *scoring, mr_model *model, const mr_schema *input,
                          const char *const *names, size_t count, mr_error *err)
{
    *scoring = (mr_scoring){.model = model};
    MR_TRY(mr_model_bind(model, input, &scoring->binding, err));
    MR_TRY(mr_scratch_create(model, &scoring->scratch, err));
    MR_TRY(count == 0 ? keep_all(input, &scoring->kept, err)
                      : mr_schema_project(input, names, count, &scoring->kept, err));
    return make_output_schema(scoring, err);
}

void mr_scoring_close(mr_scoring *scoring)
{
    mr_binding_destroy(scoring->binding);
    mr_scratch_destroy(scoring->scratch);
    mr_schema_release(scoring->kept);
    mr_schema_release(scoring->output);
    mr_bytes_deinit(&scoring->scores);
    *scoring = (mr_scoring){0};
}

static mr_status compute(mr_scoring *scoring, const mr_batch *input, mr_error *err)
{
    size_t bytes =
        (size_t)input->row_count * scoring->model->signature.output_count * sizeof(float);
    mr_bytes_clear(&scoring->scores);
    if (!mr_bytes_reserve(&scoring->scores, bytes))
        return MR_OUT_OF_MEMORY(err);
    mr_model_out out = {.scores = (float *)(void *)scoring->scores.data,
                        .stride = input->row_count};
    return mr_model_score(scoring->model, scoring->binding, input->columns, 0, input->row_count,
                          &out, scoring->scratch, err);
}

static mr_status fill_columns(mr_scoring *scoring, const mr_batch *input, mr_column *columns,
                              mr_error *err)
{
    uint32_t kept = scoring->kept->field_count;
    size_t bytes = input->row_count * sizeof(float);
    for (uint32_t i = 0; i < kept; i++)
        columns[i] = mr_column_retain(
            &input->columns[mr_schema_find(input->schema, scoring->kept->fields[i].name)]);
    for (uint32_t i = kept; i < scoring->output->field_count; i++) {
        void *values = NULL;
        MR_TRY(
            mr_column_alloc((mr_type){MR_FLOAT32, 0}, input->row_count, &columns[i], &values, err));
        memcpy(values, scoring->scores.data + (i - kept) * bytes, bytes);
    }
    return MR_OK;
}

mr_status mr_scoring_batch(mr_scoring *scoring, const mr_batch *input, mr_batch **out,
                           mr_error *err)
{
    uint32_t count = scoring->output->field_count;
    mr_column *columns = mr_alloc_zero(count, sizeof *columns);
    mr_status status = columns != NULL ? compute(scoring, input, err) : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = fill_columns(scoring, input, columns, err);
    if (status == MR_OK)
        status = mr_batch_create(scoring->output, input->row_count, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < count; i++)
        mr_column_release(&columns[i]); /* moved, and so zeroed, on success */
    mr_free(columns);
    return status;
}
