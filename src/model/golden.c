/* golden.c -- what a model said of some rows, as CSV, and whether it still says so.
 *
 * (1) The text is decoded with a schema made from the model, so that rows of another model are refused by name.
 * (2) Results are compared by their bits; any NaN equals any NaN, and a missing result. */
#include "model/artifact.h"

#include "base/assert.h"
#include "data/decoder.h"
#include "data/encoder.h"
#include "model/results.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const mr_encoder_options csv = {.format = MR_FORMAT_CSV};

/* ---- schemas ---- */

static mr_type_id input_type(const mr_model *model, uint32_t input)
{
    const mr_type_id *types = model->signature.input_types;
    return types != NULL ? types[input] : MR_FLOAT32;
}

/* Inputs, margins, and unless `margins_only` scores and label. */
typedef struct golden_form {
    mr_arena arena;
    mr_schema *inputs, *all;
    uint32_t result_count;
} golden_form;

static void deinit_form(golden_form *form)
{
    mr_schema_release(form->inputs);
    mr_schema_release(form->all);
    mr_arena_deinit(&form->arena);
}

static void put_inputs(const mr_model *model, mr_field *fields)
{
    for (uint32_t i = 0; i < model->signature.input_count; i++)
        fields[i] = (mr_field){.name = model->signature.input_names[i],
                               .type = {input_type(model, i), 0},
                               .nullable = true};
}

mr_status mr_artifact_inputs(const mr_model *model, mr_schema **out, mr_error *err)
{
    uint32_t count = model->signature.input_count;
    mr_field *fields = mr_alloc_zero(MR_MAX(count, 1), sizeof *fields);
    *out = NULL;
    if (fields == NULL)
        return MR_OUT_OF_MEMORY(err);
    put_inputs(model, fields);
    mr_status status = mr_schema_create(fields, count, out, err);
    mr_free(fields);
    return status;
}

static mr_status make_all(const mr_model *model, const mr_field *margins, uint32_t margin_count,
                          const mr_field *scores, uint32_t score_count, golden_form *form,
                          mr_error *err)
{
    uint32_t inputs = model->signature.input_count;
    form->result_count = margin_count + score_count;
    mr_field *fields = MR_ARENA_ARRAY(&form->arena, mr_field, inputs + form->result_count);
    if (fields == NULL)
        return MR_OUT_OF_MEMORY(err);
    put_inputs(model, fields);
    memcpy(fields + inputs, margins, margin_count * sizeof *fields);
    if (score_count > 0)
        memcpy(fields + inputs + margin_count, scores, score_count * sizeof *fields);
    for (uint32_t i = 0; i < form->result_count; i++)
        fields[inputs + i].nullable = true;
    return mr_schema_create(fields, inputs + form->result_count, &form->all, err);
}

static mr_status init_form(const mr_model *model, bool margins_only, golden_form *form,
                           mr_error *err)
{
    mr_field *margins, *scores;
    uint32_t margin_count, score_count;
    *form = (golden_form){0};
    mr_status status = mr_artifact_inputs(model, &form->inputs, err);
    if (status == MR_OK)
        status =
            mr_results_fields(model, "!margin", true, &form->arena, &margins, &margin_count, err);
    if (status == MR_OK)
        status =
            mr_results_fields(model, "!score", false, &form->arena, &scores, &score_count, err);
    if (status == MR_OK) /* the label comes once, behind the scores */
        status = make_all(model, margins, model->signature.margin_count, scores,
                          margins_only ? 0 : score_count, form, err);
    if (status != MR_OK)
        deinit_form(form);
    return status;
}

/* ---- scoring ---- */

typedef struct golden_scorer {
    const mr_model *model;
    mr_binding *binding;
    mr_scratch *scratch;
    const mr_batch *batch;
} golden_scorer;

static mr_status score(const golden_scorer *scorer, bool margins, mr_column *columns, mr_error *err)
{
    mr_results results;
    size_t rows = scorer->batch->row_count;
    MR_TRY(mr_results_init(&results, scorer->model, margins, rows, err));
    mr_model_out out = mr_results_out(&results, 0);
    mr_status status = mr_model_score(scorer->model, scorer->binding, scorer->batch->columns, 0,
                                      rows, &out, scorer->scratch, err);
    if (status == MR_OK)
        status = mr_results_columns(&results, columns, err);
    mr_results_deinit(&results);
    return status;
}

/* The columns of the form's results; of margins_only the margins. A model that names classes adds the label to
 * both, and the first one is dropped. */
static mr_status score_both(const golden_scorer *scorer, const golden_form *form, mr_column *out,
                            mr_error *err)
{
    uint32_t margins = scorer->model->signature.margin_count;
    MR_TRY(score(scorer, true, out, err));
    mr_column_release(&out[margins]); /* zeroed where there is no label */
    return form->result_count > margins ? score(scorer, false, out + margins, err) : MR_OK;
}

/* Room for the results: one more than there are, see score_both. */
static mr_status score_batch(const mr_model *model, const golden_form *form, const mr_batch *batch,
                             mr_column **out, mr_error *err)
{
    golden_scorer scorer = {.model = model, .batch = batch};
    *out = mr_alloc_zero(form->result_count + 1, sizeof **out);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = mr_model_bind(model, batch->schema, &scorer.binding, err);
    if (status == MR_OK)
        status = mr_scratch_create(model, &scorer.scratch, err);
    if (status == MR_OK)
        status = score_both(&scorer, form, *out, err);
    mr_scratch_destroy(scorer.scratch);
    mr_binding_destroy(scorer.binding);
    return status;
}

static void free_results(const golden_form *form, mr_column *results)
{
    for (uint32_t i = 0; results != NULL && i <= form->result_count; i++)
        mr_column_release(&results[i]);
    mr_free(results);
}

/* ---- inputs as the model takes them ---- */

static mr_status set_missing(mr_column *column, const mr_column *from, size_t rows, mr_error *err)
{
    size_t width = mr_type_bytes(column->type);
    mr_buffer *bitmap = mr_buffer_create(mr_bitmap_bytes(rows));
    if (bitmap == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(bitmap->bytes, 0, mr_bitmap_bytes(rows));
    for (size_t row = 0; row < rows; row++) {
        bool nan = (column->type.id == MR_FLOAT32 && isnan(((const float *)column->values)[row])) ||
                   (column->type.id == MR_FLOAT64 && isnan(((const double *)column->values)[row]));
        if (!nan && !mr_column_is_null(from, row))
            mr_bit_set(bitmap->bytes, row);
        else
            memset((uint8_t *)(uintptr_t)column->values + row * width, 0, width);
    }
    mr_column_set_validity(column, bitmap, rows);
    return MR_OK;
}

static void copy_integers(const mr_column *from, size_t rows, int64_t *out)
{
    for (size_t row = 0; row < rows; row++)
        out[row] = from->type.id == MR_INT32  ? ((const int32_t *)from->values)[row]
                   : from->type.id == MR_BOOL ? mr_bit_get(from->values, row)
                                              : ((const int64_t *)from->values)[row];
}

static mr_status take_input(const mr_column *from, mr_type type, size_t rows, mr_column *out,
                            mr_error *err)
{
    void *values;
    if (mr_type_equal(from->type, type) && type.id != MR_FLOAT32 && type.id != MR_FLOAT64) {
        *out = mr_column_retain(from);
        return MR_OK;
    }
    MR_TRY(mr_column_alloc(type, rows, out, &values, err));
    if (type.id == MR_FLOAT32)
        mr_model_convert(from, 0, rows, values);
    else if (type.id == MR_FLOAT64)
        mr_model_convert64(from, 0, rows, values);
    else
        copy_integers(from, rows, values);
    return set_missing(out, from, rows, err);
}

static mr_status take_inputs(const mr_model *model, const golden_form *form, const mr_batch *batch,
                             mr_batch **out, mr_error *err)
{
    mr_binding *binding;
    uint32_t count = model->signature.input_count;
    MR_TRY(mr_model_bind(model, batch->schema, &binding, err));
    mr_column *columns = mr_alloc_zero(count, sizeof *columns);
    mr_status status = columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < count; i++)
        status = take_input(&batch->columns[mr_binding_fields(binding)[i]],
                            form->inputs->fields[i].type, batch->row_count, &columns[i], err);
    if (status == MR_OK)
        status = mr_batch_create(form->inputs, batch->row_count, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    mr_binding_destroy(binding);
    return status;
}

/* ---- writing ---- */

static mr_status write_rows(const golden_form *form, const mr_batch *inputs,
                            const mr_column *results, mr_bytes *out, mr_error *err)
{
    uint32_t count = inputs->schema->field_count;
    mr_batch *batch;
    mr_column *columns = mr_alloc_zero(count + form->result_count, sizeof *columns);
    if (columns == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < count + form->result_count; i++)
        columns[i] = mr_column_retain(i < count ? &inputs->columns[i] : &results[i - count]);
    mr_status status = mr_batch_create(form->all, inputs->row_count, columns, &batch, err);
    if (status == MR_OK) {
        mr_encode_header(&csv, form->all, out);
        mr_encode_rows(&csv, batch, 0, batch->row_count, out);
        mr_batch_release(batch);
    }
    for (uint32_t i = 0; i < count + form->result_count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    return status == MR_OK && out->failed ? MR_OUT_OF_MEMORY(err) : status;
}

mr_status mr_artifact_golden_batch(const mr_model *model, const mr_batch *batch, mr_bytes *out,
                                   mr_error *err)
{
    golden_form form;
    mr_batch *inputs = NULL;
    mr_column *results = NULL;
    MR_TRY(init_form(model, false, &form, err));
    mr_status status = take_inputs(model, &form, batch, &inputs, err);
    if (status == MR_OK)
        status = score_batch(model, &form, inputs, &results, err);
    if (status == MR_OK)
        status = write_rows(&form, inputs, results, out, err);
    free_results(&form, results);
    mr_batch_release(inputs);
    deinit_form(&form);
    return status;
}

mr_status mr_artifact_golden(const mr_model *model, const float *rows, size_t count, mr_bytes *out,
                             mr_error *err)
{
    uint32_t inputs = model->signature.input_count;
    mr_schema *schema = NULL;
    mr_batch *batch = NULL;
    mr_builder builder = {0};
    MR_ASSERT(mr_model_takes_numbers(model));
    MR_TRY(mr_artifact_inputs(model, &schema, err));
    mr_status status = mr_builder_init(&builder, schema, err);
    for (size_t r = 0; status == MR_OK && r < count; r++)
        for (uint32_t i = 0; i < inputs; i++) {
            float value = rows[r * inputs + i];
            if (isnan(value))
                mr_builder_null(&builder.columns[i]);
            else if (schema->fields[i].type.id == MR_FLOAT64)
                mr_builder_float64(&builder.columns[i], (double)value);
            else
                mr_builder_float32(&builder.columns[i], value);
        }
    if (status == MR_OK)
        status = mr_builder_finish(&builder, &batch, err);
    if (status == MR_OK)
        status = mr_artifact_golden_batch(model, batch, out, err);
    mr_batch_release(batch);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    return status;
}

/* ---- checking ---- */

static bool is_nan_at(const mr_column *column, size_t row)
{
    return mr_column_is_null(column, row) ||
           (column->type.id == MR_FLOAT32 && isnan(((const float *)column->values)[row])) ||
           (column->type.id == MR_FLOAT64 && isnan(((const double *)column->values)[row]));
}

static mr_status fail_difference(const mr_column *recorded, const mr_column *now, size_t row,
                                 const char *name, uint64_t line, mr_error *err)
{
    mr_bytes was = {0}, is = {0};
    mr_encode_json_value(recorded, row, &was);
    mr_encode_json_value(now, row, &is);
    const char *a = mr_bytes_text(&was), *b = mr_bytes_text(&is);
    mr_status status =
        MR_FAIL(err, MR_CORRUPT, "golden line %llu, %s: %s was recorded, the model now gives %s",
                (unsigned long long)line, name + 1, a != NULL ? a : "?", b != NULL ? b : "?");
    mr_bytes_deinit(&was);
    mr_bytes_deinit(&is);
    return status;
}

typedef struct golden_check {
    const mr_model *model;
    golden_form form;
    mr_decoder *decoder;
} golden_check;

static mr_status compare(golden_check *check, const mr_batch *batch, const mr_column *results,
                         mr_error *err)
{
    uint32_t inputs = check->model->signature.input_count;
    for (uint32_t i = 0; i < check->form.result_count; i++)
        for (uint32_t row = 0; row < batch->row_count; row++) {
            const mr_column *recorded = &batch->columns[inputs + i];
            bool none = is_nan_at(recorded, row), none_now = is_nan_at(&results[i], row);
            if ((none && none_now) ||
                (!none && !none_now && mr_column_equal(recorded, row, &results[i], row, 1)))
                continue;
            mr_row_place place;
            mr_decoder_place(check->decoder, row, -1, &place);
            return fail_difference(recorded, &results[i], row,
                                   check->form.all->fields[inputs + i].name, place.record_line,
                                   err);
        }
    return MR_OK;
}

static mr_status check_batch(golden_check *check, const mr_batch *batch, mr_error *err)
{
    mr_column *results = NULL;
    mr_status status = score_batch(check->model, &check->form, batch, &results, err);
    if (status == MR_OK)
        status = compare(check, batch, results, err);
    free_results(&check->form, results);
    return status;
}

static mr_status check_rejects(const golden_check *check, mr_error *err)
{
    size_t count;
    const mr_reject *rejects = mr_decoder_rejects(check->decoder, &count);
    if (count == 0)
        return MR_OK;
    return MR_FAIL(err, MR_CORRUPT, "golden line %llu, byte %llu: %s",
                   (unsigned long long)rejects[0].line, (unsigned long long)rejects[0].column,
                   rejects[0].reason);
}

static mr_status check_rows(golden_check *check, mr_error *err)
{
    for (;;) {
        mr_batch *batch = NULL;
        mr_status status = mr_decoder_next_batch(check->decoder, &batch, err);
        if (status == MR_OK)
            status = check_rejects(check, err);
        if (status == MR_OK && batch != NULL)
            status = check_batch(check, batch, err);
        mr_batch_release(batch);
        if (status == MR_INVALID) /* the header */
            return MR_FAIL(err, MR_CORRUPT, "golden rows: %s", err != NULL ? err->text : "");
        MR_TRY(status);
        if (batch == NULL)
            return MR_OK;
    }
}

static bool has_header(const uint8_t *text, size_t size)
{
    const uint8_t *end = memchr(text, '\n', size);
    return memchr(text, '!', end != NULL ? (size_t)(end - text) : size) != NULL;
}

mr_status mr_artifact_check(const mr_model *model, const void *golden, size_t size, mr_error *err)
{
    golden_check check = {.model = model};
    mr_error own = {0};
    if (size == 0)
        return MR_OK;
    if (err == NULL)
        err = &own;
    bool header = has_header(golden, size);
    MR_TRY(init_form(model, !header, &check.form, err));
    mr_decoder_options options = {.format = MR_FORMAT_CSV,
                                  .schema = check.form.all,
                                  .name = "golden.csv",
                                  .no_header = !header,
                                  .columns_required = true,
                                  .allow_nonfinite = true};
    mr_status status = mr_decoder_open(&options, &check.decoder, err);
    if (status == MR_OK)
        status = mr_decoder_feed(check.decoder, golden, size, err);
    if (status == MR_OK) {
        mr_decoder_finish(check.decoder);
        status = check_rows(&check, err);
    }
    mr_decoder_close(check.decoder);
    deinit_form(&check.form);
    return status;
}
