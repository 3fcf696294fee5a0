/* pmml_bench.c -- the wine files: one row, all rows, loading. JPMML reads the same files beside it (bench/peers). */
#include "bench/bench.h"

#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS   1599
#define INPUTS 11

static const char *const inputs[INPUTS] = {"fixed acidity",
                                           "volatile acidity",
                                           "citric acid",
                                           "residual sugar",
                                           "chlorides",
                                           "free sulfur dioxide",
                                           "total sulfur dioxide",
                                           "density",
                                           "pH",
                                           "sulphates",
                                           "alcohol"};

typedef struct side {
    mr_bytes file;
    mr_model *model;
    mr_binding *binding;
    mr_scratch *scratch;
    mr_column columns[INPUTS];
    double *scores;
} side;

static void all_rows(void *context)
{
    side *s = context;
    mr_model_out out = {.scores = s->scores, .stride = ROWS};
    mr_error err = {0};
    mr_bench_check(
        mr_model_score(s->model, s->binding, s->columns, 0, ROWS, &out, s->scratch, &err), &err);
}

static void row_by_row(void *context)
{
    side *s = context;
    mr_error err = {0};
    for (size_t row = 0; row < ROWS; row++) {
        mr_model_out out = {.scores = s->scores + row, .stride = ROWS};
        mr_bench_check(
            mr_model_score(s->model, s->binding, s->columns, row, 1, &out, s->scratch, &err), &err);
    }
}

static void load(void *context)
{
    side *s = context;
    mr_error err = {0};
    mr_model *model;
    mr_bench_check(mr_model_open_bytes(s->file.data, s->file.size, NULL, &model, &err), &err);
    mr_model_close(model);
}

static void read_columns(const char *path, double *values)
{
    mr_error err = {0};
    mr_bytes text = {0};
    mr_bench_check(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &text, &err), &err);
    char *at = (char *)(uintptr_t)mr_bytes_text(&text);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t i = 0; i <= INPUTS; i++) {
            double value = strtod(at, &at);
            at += *at != '\0';
            if (i < INPUTS)
                values[i * ROWS + row] = value;
        }
    mr_bytes_deinit(&text);
}

static void open_side(side *s, const char *path)
{
    mr_error err = {0};
    mr_schema *schema;
    mr_field fields[INPUTS];
    mr_bench_check(mr_fs_read_file(mr_fs_real(), path, 1u << 24, &s->file, &err), &err);
    mr_bench_check(mr_model_open_bytes(s->file.data, s->file.size, NULL, &s->model, &err), &err);
    for (size_t i = 0; i < INPUTS; i++)
        fields[i] = (mr_field){.name = inputs[i], .type = {MR_FLOAT64, 0}};
    mr_bench_check(mr_schema_create(fields, INPUTS, &schema, &err), &err);
    mr_bench_check(mr_model_bind(s->model, schema, &s->binding, &err), &err);
    mr_bench_check(mr_scratch_create(s->model, &s->scratch, &err), &err);
    mr_schema_release(schema);
}

static void close_side(side *s)
{
    mr_scratch_destroy(s->scratch);
    mr_binding_destroy(s->binding);
    mr_model_close(s->model);
    mr_bytes_deinit(&s->file);
}

static void report(const char *model, const char *what, double value, const char *unit)
{
    char name[128];
    (void)snprintf(name, sizeof name, "families.pmml.%s.%s.ours", model, what);
    mr_bench_report(name, value, unit);
}

static void measure(const char *model, const char *file, const double *values, double *scores)
{
    char relative[160];
    side s = {.scores = scores};
    (void)snprintf(relative, sizeof relative, "wine/models/winequality%s.pmml", file);
    open_side(&s, mr_bench_data(relative));
    for (size_t i = 0; i < INPUTS; i++)
        s.columns[i] = (mr_column){.type = {MR_FLOAT64, 0}, .values = values + i * ROWS};
    report(model, "one_row", mr_bench_best_ns(row_by_row, &s, 20) / ROWS, "ns");
    report(model, "batch", mr_bench_best_ns(all_rows, &s, 20) / ROWS, "ns/row");
    report(model, "load", mr_bench_best_ns(load, &s, 5) / 1e3, "us");
    close_side(&s);
}

BENCH(pmml)
{
    const char *rows = mr_bench_data("wine/winequality_red.original.csv");
    if (rows == NULL) {
        mr_bench_skip("families.pmml", "the wine data are not there");
        return;
    }
    double *values = mr_alloc(sizeof(double) * ROWS * INPUTS);
    double *scores = mr_alloc(sizeof(double) * ROWS * 6);
    read_columns(rows, values);
    measure("linear", "LinearRegression", values, scores);
    measure("glm", "GeneralizedLinearRegressionGaussian", values, scores);
    measure("tree", "DecisionTreeClassification", values, scores);
    measure("forest", "RandonForrestClassification", values, scores);
    measure("network", "MultilayerPerceptron", values, scores);
    mr_free(values);
    mr_free(scores);
}
