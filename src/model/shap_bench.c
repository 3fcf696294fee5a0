/* shap_bench.c -- contributions of every feature, beside XGBoost's pred_contribs on the same rows in the same run.
 *
 * One thread each. The library gets a DMatrix made beforehand, ours starts from float64 columns. */
#include "bench/bench.h"

#include "model/tree_model.h"
#include "test/xgboost_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH       1024
#define THEIR_ROWS  64 /* the library takes milliseconds a row */
#define FEATURE_MAX 64

typedef struct side {
    mr_model *model;
    mr_binding *binding;
    mr_scratch *scratch;
    mr_column columns[FEATURE_MAX];
    double *values; /* by column */
    double *out;
    mr_oracle *oracle;
    const float *rows;
    const mr_bytes *json;
    uint32_t features;
} side;

static void ours_batch(void *context)
{
    side *s = context;
    mr_error err;
    mr_bench_check(
        mr_model_explain(s->model, s->binding, s->columns, 0, BATCH, s->out, s->scratch, &err),
        &err);
}

static void ours_ones(void *context)
{
    side *s = context;
    mr_error err;
    for (size_t r = 0; r < THEIR_ROWS; r++)
        mr_bench_check(
            mr_model_explain(s->model, s->binding, s->columns, r, 1, s->out, s->scratch, &err),
            &err);
}

static void theirs_batch(void *context)
{
    side *s = context;
    const float *out;
    mr_error err = {0};
    mr_bench_check(mr_oracle_explain(s->oracle, s->rows, THEIR_ROWS, &out, &err), &err);
}

static void theirs_one(void *context)
{
    side *s = context;
    const float *out;
    mr_error err = {0};
    mr_bench_check(mr_oracle_explain(s->oracle, s->rows, 1, &out, &err), &err);
}

static void report(const char *shape, const char *what, const char *who, double value,
                   const char *unit)
{
    char name[128];
    (void)snprintf(name, sizeof name, "reasons.%s.%s.%s", shape, what, who);
    mr_bench_report(name, value, unit);
}

static void open_ours(side *s, const char *cpu)
{
    mr_error err = {0};
    mr_setting setting = {"cpu", cpu};
    mr_model_options options = {.settings = &setting, .setting_count = 1};
    mr_bench_check(mr_model_open_bytes(s->json->data, s->json->size, &options, &s->model, &err),
                   &err);
    mr_field fields[FEATURE_MAX];
    for (uint32_t f = 0; f < s->features; f++)
        fields[f] = (mr_field){.name = s->model->signature.input_names[f], .type = {MR_FLOAT64, 0}};
    mr_schema *schema;
    mr_bench_check(mr_schema_create(fields, s->features, &schema, &err), &err);
    mr_bench_check(mr_model_bind(s->model, schema, &s->binding, &err), &err);
    mr_bench_check(mr_scratch_create(s->model, &s->scratch, &err), &err);
    mr_schema_release(schema);
}

static void close_ours(side *s)
{
    mr_scratch_destroy(s->scratch);
    mr_binding_destroy(s->binding);
    mr_model_close(s->model);
}

/* The first explanation of a model, which plans the rest. */
static double first_ms(side *s)
{
    mr_error err;
    mr_clock *clock = mr_clock_real();
    int64_t start = clock->mono_ns(clock);
    mr_bench_check(
        mr_model_explain(s->model, s->binding, s->columns, 0, 1, s->out, s->scratch, &err), &err);
    return (double)(clock->mono_ns(clock) - start) / 1e6;
}

static void measure_cpu(const char *shape, side *s, const char *cpu, const char *who)
{
    open_ours(s, cpu);
    report(shape, "first", who, first_ms(s), "ms");
    report(shape, "batch", who, mr_bench_best_ns(ours_batch, s, 3) / BATCH, "ns/row");
    report(shape, "one_row", who, mr_bench_best_ns(ours_ones, s, 3) / THEIR_ROWS, "ns");
    close_ours(s);
}

static void measure(const char *shape, side *s)
{
    measure_cpu(shape, s, "plain", "ours_plain");
    measure_cpu(shape, s, "avx2", "ours_avx2");
    measure_cpu(shape, s, "auto", "ours");
    report(shape, "batch", "xgboost", mr_bench_best_ns(theirs_batch, s, 2) / THEIR_ROWS, "ns/row");
    report(shape, "one_row", "xgboost", mr_bench_best_ns(theirs_one, s, 3), "ns");
}

/* As the models of BENCH(trees), which leaves them for the peers. */
static void bench_recipe(const char *shape, const mr_oracle_recipe *recipe)
{
    mr_error err = {0};
    mr_oracle oracle;
    mr_bytes json = {0};
    mr_bench_check(mr_oracle_train(recipe, 7, &oracle, &err), &err);
    mr_bench_check(mr_oracle_save(&oracle, &json, &err), &err);
    const char *folder = getenv("MILLRACE_BENCH_KEEP");
    if (folder != NULL) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s.json", folder, shape);
        mr_bench_check(mr_fs_write_file(mr_fs_real(), path, json.data, json.size, &err), &err);
    }
    mr_random_seeded random;
    mr_random_seeded_init(&random, 8);
    float *rows = mr_alloc(sizeof(float) * BATCH * recipe->features);
    mr_oracle_fill(recipe, &random, rows, BATCH);
    side s = {.oracle = &oracle, .rows = rows, .features = recipe->features, .json = &json};
    s.values = mr_alloc(sizeof(double) * BATCH * s.features);
    s.out = mr_alloc(sizeof(double) * BATCH * ((size_t)s.features + 1));
    for (uint32_t f = 0; f < s.features; f++) {
        for (size_t r = 0; r < BATCH; r++)
            s.values[f * (size_t)BATCH + r] = (double)rows[r * s.features + f];
        s.columns[f] = (mr_column){.type = {MR_FLOAT64, 0}, .values = s.values + f * (size_t)BATCH};
    }
    measure(shape, &s);
    mr_free(s.values);
    mr_free(s.out);
    mr_free(rows);
    mr_bytes_deinit(&json);
    mr_oracle_close(&oracle);
}

BENCH(reasons)
{
    static const char *const shallow[] = {
        "objective", "binary:logistic", "tree_method", "hist", "max_depth", "6", NULL};
    static const char *const deep[] = {
        "objective", "binary:logistic", "tree_method", "hist", "max_depth", "8", "eta", "0.1",
        NULL};
    bench_recipe(
        "100x6",
        &(mr_oracle_recipe){
            .rows = 50000, .features = 20, .rounds = 100, .groups = 1, .parameters = shallow});
    bench_recipe(
        "500x8",
        &(mr_oracle_recipe){
            .rows = 50000, .features = 20, .rounds = 500, .groups = 1, .parameters = deep});
}
