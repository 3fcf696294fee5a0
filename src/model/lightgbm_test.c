/* lightgbm_test.c -- LightGBM's files: every mode as the library scores it, random models against a slow evaluator, and
 * every way a file can be wrong. */
#include "test/test.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/forest64_run.h"
#include "model/model.h"
#include "os/fs.h"
#include "test/models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the library computes ---- */

#define CELLS_MAX 64

static size_t split_cells(char *line, char **cells)
{
    size_t count = 0;
    for (char *cell = line; cell != NULL && count < CELLS_MAX; count++) {
        cells[count] = cell;
        cell = strchr(cell, ',');
        if (cell != NULL)
            *cell++ = '\0';
    }
    return count;
}

static double number_of(const char *cell)
{
    return cell[0] == '\0' ? NAN : strtod(cell, NULL);
}

static mr_schema *schema_of(const mr_model *model)
{
    mr_error err = {0};
    mr_field fields[CELLS_MAX];
    for (uint32_t i = 0; i < model->signature.input_count; i++)
        fields[i] = (mr_field){.name = model->signature.input_names[i],
                               .type = {model->signature.input_types[i], 0},
                               .nullable = true};
    mr_schema *schema;
    assert_ok(mr_schema_create(fields, model->signature.input_count, &schema, &err), &err);
    return schema;
}

typedef struct golden {
    mr_batch *batch;
    size_t rows;
    double results[128][CELLS_MAX]; /* raw scores, then scores */
} golden;

static void add_row(mr_builder *builder, const mr_model *model, char **cells)
{
    for (uint32_t i = 0; i < model->signature.input_count; i++) {
        if (model->signature.input_types[i] == MR_FLOAT64)
            mr_builder_float64(&builder->columns[i], number_of(cells[i]));
        else if (strcmp(cells[i], "NULL") == 0)
            mr_builder_null(&builder->columns[i]);
        else
            mr_builder_text(&builder->columns[i], cells[i], strlen(cells[i]));
    }
}

static void read_golden(const char *path, const mr_model *model, golden *out)
{
    mr_error err = {0};
    mr_bytes text = {0};
    mr_builder builder;
    char *cells[CELLS_MAX];
    uint32_t inputs = model->signature.input_count;
    size_t results = model->signature.margin_count + model->signature.output_count;
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &text, &err), &err);
    mr_schema *schema = schema_of(model);
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    mr_bytes_append_byte(&text, 0);
    char *line = strchr((char *)text.data, '\n') + 1; /* behind the head */
    for (out->rows = 0; *line != '\0' && out->rows < 128; out->rows++) {
        char *end = strchr(line, '\n');
        *end = '\0';
        assert_int_equal(split_cells(line, cells), inputs + results);
        add_row(&builder, model, cells);
        for (size_t k = 0; k < results; k++)
            out->results[out->rows][k] = number_of(cells[inputs + k]);
        line = end + 1;
    }
    assert_ok(mr_builder_finish(&builder, &out->batch, &err), &err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    mr_bytes_deinit(&text);
}

/* Neighbours at most: the last digit of exp is the C library's affair. */
static bool nearly(double a, double b)
{
    return a == b || (isnan(a) && isnan(b)) || nextafter(a, b) == b ||
           fabs(a - b) <= 4 * 0x1p-53 * fabs(b);
}

static void check_folder(const char *name, const char *kernel, const char *cpu)
{
    mr_error err = {0};
    mr_bytes text = {0};
    mr_model *model;
    mr_scratch *scratch;
    mr_binding *binding;
    char path[256];
    static golden g;
    static double results[128 * CELLS_MAX];
    mr_setting settings[] = {{"batch_kernel", kernel}, {"cpu", cpu}};
    mr_model_options options = {.settings = settings, .setting_count = 2};
    (void)snprintf(path, sizeof path, "test/lightgbm/%s/model.txt", name);
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &text, &err), &err);
    assert_ok(mr_model_open_bytes(text.data, text.size, &options, &model, &err), &err);
    (void)snprintf(path, sizeof path, "test/lightgbm/%s/rows.csv", name);
    read_golden(path, model, &g);
    assert_ok(mr_model_bind(model, g.batch->schema, &binding, &err), &err);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    uint32_t m = model->signature.margin_count, k = model->signature.output_count;
    mr_model_out out = {results, results + g.rows * m, NULL, g.rows};
    assert_ok(mr_model_score(model, binding, g.batch->columns, 0, g.rows, &out, scratch, &err),
              &err);
    for (size_t r = 0; r < g.rows; r++)
        for (uint32_t i = 0; i < m + k; i++) {
            double got = results[i * g.rows + r], wanted = g.results[r][i];
            bool same =
                i < m ? got == wanted || (isnan(got) && isnan(wanted)) : nearly(got, wanted);
            if (!same)
                fail_msg("%s, %s, row %zu, result %u: %.17g, the library gives %.17g", name, kernel,
                         r, i, got, wanted);
        }
    assert_true(g.rows > 20);
    mr_scratch_destroy(scratch);
    mr_binding_destroy(binding);
    mr_batch_release(g.batch);
    mr_model_close(model);
    mr_bytes_deinit(&text);
}

TEST(lightgbm, scores_are_the_librarys)
{
    mr_error err = {0};
    char **names;
    size_t count;
    assert_ok(mr_fs_list(mr_fs_real(), "test/lightgbm", &names, &count, &err), &err);
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        check_folder(names[i], "auto", "auto");
        check_folder(names[i], "walk", "plain");
        check_folder(names[i], "masks", "avx2");
        check_folder(names[i], "masks", "avx512");
    }
    mr_fs_free_names(names, count);
}
