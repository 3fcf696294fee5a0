/* results.c -- scores, margins and labels become columns. */
#include "model/results.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

static uint32_t value_count(const mr_model *model, bool margins)
{
    return margins ? model->signature.margin_count : model->signature.output_count;
}

static mr_type value_type(uint32_t float_bits)
{
    return (mr_type){float_bits == 64 ? MR_FLOAT64 : MR_FLOAT32, 0};
}

static size_t value_bytes(const mr_results *results)
{
    return results->float_bits / 8;
}

/* ---- names ---- */

static const char *name_of(const mr_model *model, const char *name, bool margins, uint32_t index,
                           mr_arena *arena)
{
    if (value_count(model, margins) == 1)
        return mr_arena_printf(arena, "%s", name);
    if (margins)
        return mr_arena_printf(arena, "%s_%u", name, index);
    return mr_arena_printf(arena, "%s_%s", name, model->signature.output_names[index]);
}

mr_status mr_results_fields(const mr_model *model, const char *name, bool margins, mr_arena *arena,
                            mr_field **out, uint32_t *out_count, mr_error *err)
{
    const mr_model_signature *signature = &model->signature;
    uint32_t values = value_count(model, margins), count = values + (signature->class_count > 0);
    mr_field *fields = MR_ARENA_ARRAY(arena, mr_field, count);
    if (fields == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < values; i++)
        fields[i] = (mr_field){.name = name_of(model, name, margins, i, arena),
                               .type = value_type(signature->float_bits),
                               .nullable = signature->may_abstain};
    if (count > values)
        fields[values] = (mr_field){.name = mr_arena_printf(arena, "%s_label", name),
                                    .type = {MR_STRING, 0},
                                    .nullable = signature->may_abstain};
    for (uint32_t i = 0; i < count; i++)
        if (fields[i].name == NULL)
            return MR_OUT_OF_MEMORY(err);
    *out = fields;
    *out_count = count;
    return MR_OK;
}

void mr_results_fields_widen(mr_field *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (fields[i].type.id == MR_FLOAT32)
            fields[i].type.id = MR_FLOAT64;
        fields[i].nullable = true;
    }
}

/* ---- room ---- */

mr_status mr_results_init(mr_results *results, const mr_model *model, bool margins, size_t rows,
                          mr_error *err)
{
    *results = (mr_results){.model = model,
                            .margins = margins,
                            .may_abstain = model->signature.may_abstain,
                            .float_bits = model->signature.float_bits,
                            .rows = rows,
                            .stride = (rows + 15) / 16 * 16};
    results->values =
        mr_buffer_create(results->stride * value_count(model, margins) * value_bytes(results));
    bool classes = model->signature.class_count > 0;
    if (classes)
        results->labels = mr_alloc(MR_MAX(rows, 1) * sizeof *results->labels);
    if (results->values == NULL || (classes && results->labels == NULL)) {
        mr_results_deinit(results);
        return MR_OUT_OF_MEMORY(err);
    }
    memset(results->values->bytes, 0, results->values->size);
    return MR_OK;
}

mr_status mr_results_widen(mr_results *results, mr_error *err)
{
    results->may_abstain = true;
    if (results->float_bits == 64)
        return MR_OK;
    size_t count = results->stride * value_count(results->model, results->margins);
    mr_buffer *wide = mr_buffer_create(count * sizeof(double));
    if (wide == NULL)
        return MR_OUT_OF_MEMORY(err);
    const float *from = (const float *)(const void *)results->values->bytes;
    double *to = (double *)(void *)wide->bytes;
    for (size_t i = 0; i < count; i++)
        to[i] = (double)from[i];
    mr_buffer_release(results->values);
    results->values = wide;
    results->float_bits = 64;
    return MR_OK;
}

void mr_results_deinit(mr_results *results)
{
    mr_buffer_release(results->values);
    mr_free(results->labels);
    *results = (mr_results){0};
}

mr_model_out mr_results_out(const mr_results *results, size_t first)
{
    void *values = results->values->bytes + first * value_bytes(results);
    return (mr_model_out){.margins = results->margins ? values : NULL,
                          .scores = results->margins ? NULL : values,
                          .labels = results->labels != NULL ? results->labels + first : NULL,
                          .stride = results->stride};
}

/* ---- columns ---- */

static bool abstains(const mr_column *column, size_t row)
{
    return column->type.id == MR_FLOAT64 ? isnan(((const double *)column->values)[row])
                                         : isnan(((const float *)column->values)[row]);
}

/* NaN becomes NULL, and zero as the value of a NULL must be. */
static mr_status blank(const mr_results *results, mr_column *column, mr_error *err)
{
    size_t width = value_bytes(results);
    mr_buffer *bitmap = NULL;
    for (size_t row = 0; row < results->rows; row++) {
        if (!abstains(column, row))
            continue;
        if (bitmap == NULL) {
            bitmap = mr_buffer_create(mr_bitmap_bytes(results->rows));
            if (bitmap == NULL)
                return MR_OUT_OF_MEMORY(err);
            memset(bitmap->bytes, 0xff, mr_bitmap_bytes(results->rows));
            if (results->rows % 8 != 0)
                bitmap->bytes[results->rows / 8] = (uint8_t)((1u << (results->rows % 8)) - 1);
        }
        mr_bit_clear(bitmap->bytes, row);
        memset((uint8_t *)(uintptr_t)column->values + row * width, 0, width);
    }
    if (bitmap != NULL)
        mr_column_set_validity(column, bitmap, results->rows);
    return MR_OK;
}

static mr_status make_labels(const mr_results *results, mr_column *out, mr_error *err)
{
    const mr_model_signature *signature = &results->model->signature;
    mr_builder builder;
    mr_batch *batch = NULL;
    mr_schema *schema;
    mr_field field = {.name = "label", .type = {MR_STRING, 0}, .nullable = true};
    MR_TRY(mr_schema_create(&field, 1, &schema, err));
    mr_status status = mr_builder_init(&builder, schema, err);
    mr_schema_release(schema);
    if (status != MR_OK)
        return status;
    for (size_t row = 0; row < results->rows; row++) {
        int32_t label = results->labels[row];
        MR_ASSERT(label < (int32_t)signature->class_count);
        if (label < 0)
            mr_builder_null(&builder.columns[0]);
        else
            mr_builder_text(&builder.columns[0], signature->class_names[label],
                            strlen(signature->class_names[label]));
    }
    status = mr_builder_finish(&builder, &batch, err);
    mr_builder_deinit(&builder);
    if (status != MR_OK)
        return status;
    *out = mr_column_retain(&batch->columns[0]);
    mr_batch_release(batch);
    return MR_OK;
}

mr_status mr_results_columns(const mr_results *results, mr_column *columns, mr_error *err)
{
    uint32_t values = value_count(results->model, results->margins);
    size_t column_bytes = results->stride * value_bytes(results);
    for (uint32_t k = 0; k < values; k++) {
        columns[k] = (mr_column){.type = value_type(results->float_bits),
                                 .values = results->values->bytes + k * column_bytes,
                                 .owners = {NULL, mr_buffer_retain(results->values), NULL}};
        if (results->may_abstain)
            MR_TRY(blank(results, &columns[k], err));
    }
    return results->labels != NULL ? make_labels(results, &columns[values], err) : MR_OK;
}
