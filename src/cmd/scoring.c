/* scoring.c -- a model over batches. */
#include "cmd/scoring.h"

#include "base/assert.h"
#include "model/results.h"

#include <string.h>

static mr_status make_output_schema(mr_scoring *scoring, mr_error *err)
{
    uint32_t kept = scoring->kept->field_count, count;
    mr_field *results;
    mr_arena arena;
    mr_arena_init(&arena, 0);
    mr_status status =
        mr_results_fields(scoring->model, "score", false, &arena, &results, &count, err);
    mr_field *fields = mr_alloc_zero(kept + MR_MODEL_OUTPUTS_MAX + 1, sizeof *fields);
    if (status == MR_OK && fields == NULL)
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK) {
        memcpy(fields, scoring->kept->fields, kept * sizeof *fields);
        memcpy(fields + kept, results, count * sizeof *fields);
        status = mr_schema_create(fields, kept + count, &scoring->output, err);
    }
    mr_free(fields);
    mr_arena_deinit(&arena);
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
    *scoring = (mr_scoring){0};
}

static mr_status compute(mr_scoring *scoring, const mr_batch *input, mr_column *columns,
                         mr_error *err)
{
    mr_results results;
    MR_TRY(mr_results_init(&results, scoring->model, false, input->row_count, err));
    mr_model_out out = mr_results_out(&results, 0);
    mr_status status = mr_model_score(scoring->model, scoring->binding, input->columns, 0,
                                      input->row_count, &out, scoring->scratch, err);
    if (status == MR_OK)
        status = mr_results_columns(&results, columns, err);
    mr_results_deinit(&results);
    return status;
}

static void keep_columns(const mr_scoring *scoring, const mr_batch *input, mr_column *columns)
{
    for (uint32_t i = 0; i < scoring->kept->field_count; i++)
        columns[i] = mr_column_retain(
            &input->columns[mr_schema_find(input->schema, scoring->kept->fields[i].name)]);
}

mr_status mr_scoring_batch(mr_scoring *scoring, const mr_batch *input, mr_batch **out,
                           mr_error *err)
{
    uint32_t count = scoring->output->field_count;
    mr_column *columns = mr_alloc_zero(count, sizeof *columns);
    if (columns == NULL)
        return MR_OUT_OF_MEMORY(err);
    keep_columns(scoring, input, columns);
    mr_status status = compute(scoring, input, columns + scoring->kept->field_count, err);
    if (status == MR_OK)
        status = mr_batch_create(scoring->output, input->row_count, columns, out, err);
    for (uint32_t i = 0; i < count; i++)
        mr_column_release(&columns[i]); /* moved, and so zeroed, on success */
    mr_free(columns);
    return status;
}
