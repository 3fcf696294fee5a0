/* pmml_row.c -- see the header. */
#include "test/pmml_row.h"

#include "test/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void mr_pmml_row_open(mr_pmml_row *row, const char *document, const char *outputs)
{
    mr_error err = {0};
    mr_setting setting = {"outputs", outputs};
    mr_model_options options = {
        .kind = "pmml", .settings = &setting, .setting_count = outputs != NULL};
    *row = (mr_pmml_row){0};
    mr_status status = mr_model_open_bytes(document, strlen(document), &options, &row->model, &err);
    if (status != MR_OK)
        fail_msg("%s\n%s", err.text, document);
    assert_ok(mr_scratch_create(row->model, &row->scratch, &err), &err);
}

void mr_pmml_row_close(mr_pmml_row *row)
{
    mr_scratch_destroy(row->scratch);
    mr_model_close(row->model);
}

/* The text behind NAME=, NULL: not given. */
static const char *given(const char *inputs, const char *name, size_t *out_size)
{
    size_t length = strlen(name);
    for (const char *at = inputs; at != NULL;
         at = strchr(at, ' ') != NULL ? strchr(at, ' ') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            *out_size = strcspn(at + length + 1, " ");
            return at + length + 1;
        }
    return NULL;
}

static void append(mr_builder_column *column, mr_type_id type, const char *text, size_t size)
{
    char copy[128];
    if (text == NULL) {
        mr_builder_null(column);
        return;
    }
    assert_true(size < sizeof copy);
    for (size_t i = 0; i < size; i++)
        copy[i] = (char)(text[i] == '_' ? ' ' : text[i]);
    copy[size] = '\0';
    if (type == MR_STRING)
        mr_builder_text(column, copy, size);
    else
        mr_builder_float64(column, strtod(copy, NULL));
}

void mr_pmml_row_score(mr_pmml_row *row, const char *inputs)
{
    mr_error err = {0};
    const mr_model_signature *signature = &row->model->signature;
    mr_field fields[32];
    mr_schema *schema;
    mr_builder builder;
    mr_batch *batch;
    mr_binding *binding;
    uint32_t count = signature->input_count;
    assert_true(count <= 32 && signature->output_count <= 8);
    for (uint32_t i = 0; i < count; i++)
        fields[i] = (mr_field){.name = signature->input_names[i],
                               .type = {signature->input_types[i], 0},
                               .nullable = true};
    assert_ok(mr_schema_create(fields, count, &schema, &err), &err);
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (uint32_t i = 0; i < count; i++) {
        size_t size = 0;
        const char *text = given(inputs, signature->input_names[i], &size);
        append(&builder.columns[i], signature->input_types[i], text, size);
    }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    assert_ok(mr_model_bind(row->model, schema, &binding, &err), &err);
    mr_model_out out = {.scores = row->scores, .stride = 1};
    out.labels = signature->class_count > 0 ? &row->label : NULL;
    assert_ok(mr_model_score(row->model, binding, batch->columns, 0, 1, &out, row->scratch, &err),
              &err);
    mr_binding_destroy(binding);
    mr_builder_deinit(&builder);
    mr_batch_release(batch);
    mr_schema_release(schema);
}

double mr_pmml_row_first(const char *document, const char *inputs)
{
    mr_pmml_row row;
    mr_pmml_row_open(&row, document, NULL);
    mr_pmml_row_score(&row, inputs);
    double score = row.scores[0];
    mr_pmml_row_close(&row);
    return score;
}
