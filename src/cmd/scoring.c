/* scoring.c -- a model over batches. */
#include "cmd/scoring.h"

#include "base/assert.h"
#include "model/results.h"

#include <string.h>

/* Columns that contributions take. */
static size_t contribution_count(const mr_scoring *scoring)
{
    const mr_model_signature *signature = &scoring->model->signature;
    return scoring->contributions ? signature->margin_count * ((size_t)signature->input_count + 1)
                                  : 0;
}

static const char *contribution_name(const mr_model_signature *signature, mr_arena *arena,
                                     uint32_t margin, uint32_t input)
{
    bool base = input == signature->input_count;
    const char *name = base ? "" : signature->input_names[input];
    if (signature->margin_count == 1)
        return mr_arena_printf(arena, "%s%s", base ? "score_base" : "contribution_", name);
    return base ? mr_arena_printf(arena, "score_base_%u", margin)
                : mr_arena_printf(arena, "contribution_%u_%s", margin, name);
}

static mr_status add_evidence(const mr_scoring *scoring, mr_arena *arena, mr_field *fields,
                              uint32_t *count, mr_error *err)
{
    const mr_model_signature *signature = &scoring->model->signature;
    size_t width = (size_t)signature->input_count + 1;
    for (size_t i = 0; i < contribution_count(scoring); i++) {
        const char *name =
            contribution_name(signature, arena, (uint32_t)(i / width), (uint32_t)(i % width));
        if (name == NULL)
            return MR_OUT_OF_MEMORY(err);
        fields[(*count)++] = (mr_field){.name = name, .type = {MR_FLOAT64, 0}};
    }
    if (scoring->reasons != NULL)
        fields[(*count)++] =
            (mr_field){.name = "score_reasons", .type = {MR_STRING, 0}, .nullable = true};
    return MR_OK;
}

static mr_status make_output_schema(mr_scoring *scoring, mr_error *err)
{
    uint32_t kept = scoring->kept->field_count, count = 0;
    mr_field *results;
    mr_arena arena;
    mr_arena_init(&arena, 0);
    mr_status status =
        mr_results_fields(scoring->model, "score", false, &arena, &results, &count, err);
    size_t room = kept + MR_MODEL_OUTPUTS_MAX + 2 + contribution_count(scoring);
    mr_field *fields = mr_alloc_zero(room, sizeof *fields);
    if (status == MR_OK && fields == NULL)
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK) {
        memcpy(fields, scoring->kept->fields, kept * sizeof *fields);
        memcpy(fields + kept, results, count * sizeof *fields);
        scoring->result_count = count;
        count += kept;
        status = add_evidence(scoring, &arena, fields, &count, err);
    }
    if (status == MR_OK)
        status = mr_schema_create(fields, count, &scoring->output, err);
    mr_free(fields);
    mr_arena_deinit(&arena);
    return status;
}

static mr_status keep_all(const mr_schema *input, mr_schema **out, mr_error *err)
{
    return mr_schema_create(input->fields, input->field_count, out, err);
}

static mr_status prepare_evidence(mr_scoring *scoring, uint32_t reasons, mr_error *err)
{
    mr_reasons_options options = {.count = reasons};
    if (scoring->contributions)
        MR_TRY(mr_model_explain_prepare(scoring->model, err));
    return reasons > 0 ? mr_reasons_create(scoring->model, &options, &scoring->reasons, err)
                       : MR_OK;
}

mr_status mr_scoring_open(mr_scoring *scoring, mr_model *model, const mr_schema *input,
                          const mr_scoring_options *options, mr_error *err)
{
    *scoring = (mr_scoring){.model = model, .contributions = options->contributions};
    MR_TRY(mr_model_bind(model, input, &scoring->binding, err));
    MR_TRY(mr_scratch_create(model, &scoring->scratch, err));
    MR_TRY(prepare_evidence(scoring, options->reasons, err));
    MR_TRY(options->name_count == 0 ? keep_all(input, &scoring->kept, err)
                                    : mr_schema_project(input, options->names, options->name_count,
                                                        &scoring->kept, err));
    return make_output_schema(scoring, err);
}

void mr_scoring_close(mr_scoring *scoring)
{
    mr_binding_destroy(scoring->binding);
    mr_scratch_destroy(scoring->scratch);
    mr_reasons_destroy(scoring->reasons);
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

/* Rows by columns. */
static mr_status contribute(mr_scoring *scoring, const mr_batch *input, mr_column *columns,
                            mr_error *err)
{
    size_t width = contribution_count(scoring), rows = input->row_count;
    double *values = mr_alloc(MR_MAX(rows * width, 1) * sizeof *values);
    mr_status status = values != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = mr_model_explain(scoring->model, scoring->binding, input->columns, 0, rows, values,
                                  scoring->scratch, err);
    for (size_t i = 0; status == MR_OK && i < width; i++) {
        void *to;
        status = mr_column_alloc((mr_type){MR_FLOAT64, 0}, rows, &columns[i], &to, err);
        for (size_t r = 0; status == MR_OK && r < rows; r++)
            ((double *)to)[r] = values[r * width + i];
    }
    mr_free(values);
    return status;
}

static mr_status give_reasons(mr_scoring *scoring, const mr_batch *input, mr_column *out,
                              mr_error *err)
{
    size_t rows = input->row_count, *ends = mr_alloc(MR_MAX(rows, 1) * sizeof *ends);
    mr_text *texts = mr_alloc(MR_MAX(rows, 1) * sizeof *texts);
    mr_bytes bytes = {0};
    mr_status status = ends != NULL && texts != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = mr_reasons_write(scoring->reasons, scoring->binding, input->columns, NULL, rows,
                                  scoring->scratch, &bytes, ends, err);
    for (size_t r = 0; status == MR_OK && r < rows; r++) {
        size_t start = r > 0 ? ends[r - 1] : 0;
        texts[r] = (mr_text){bytes.data + start, ends[r] - start};
    }
    if (status == MR_OK)
        status = mr_reasons_column(texts, rows, out, err);
    mr_bytes_deinit(&bytes);
    mr_free(ends);
    mr_free(texts);
    return status;
}

static mr_status explain(mr_scoring *scoring, const mr_batch *input, mr_column *columns,
                         mr_error *err)
{
    if (scoring->contributions)
        MR_TRY(contribute(scoring, input, columns, err));
    return scoring->reasons != NULL
               ? give_reasons(scoring, input, columns + contribution_count(scoring), err)
               : MR_OK;
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
    uint32_t kept = scoring->kept->field_count;
    mr_status status = compute(scoring, input, columns + kept, err);
    if (status == MR_OK)
        status = explain(scoring, input, columns + kept + scoring->result_count, err);
    if (status == MR_OK)
        status = mr_batch_create(scoring->output, input->row_count, columns, out, err);
    for (uint32_t i = 0; i < count; i++)
        mr_column_release(&columns[i]); /* moved, and so zeroed, on success */
    mr_free(columns);
    return status;
}

/* ---- files without a schema ---- */

/* Texts as texts, all else as numbers. */
static mr_type type_of_input(const mr_model_signature *signature, uint32_t input)
{
    bool text = signature->input_types != NULL && signature->input_types[input] == MR_STRING;
    return (mr_type){text ? MR_STRING : MR_FLOAT64, 0};
}

mr_status mr_scoring_guess_schema(const mr_model *model, const char *const *names,
                                  size_t name_count, mr_schema **out, mr_error *err)
{
    const mr_model_signature *signature = &model->signature;
    size_t count = 0;
    mr_field *fields = mr_alloc_zero(name_count + signature->input_count, sizeof *fields);
    if (fields == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < name_count; i++)
        if (mr_model_input_find(model, names[i]) < 0)
            fields[count++] =
                (mr_field){.name = names[i], .type = {MR_STRING, 0}, .nullable = true};
    for (uint32_t i = 0; i < signature->input_count; i++)
        fields[count++] = (mr_field){.name = signature->input_names[i],
                                     .type = type_of_input(signature, i),
                                     .nullable = true};
    mr_status status = mr_schema_create(fields, count, out, err);
    mr_free(fields);
    return status;
}
