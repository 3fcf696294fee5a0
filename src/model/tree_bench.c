/* tree_bench.c -- trees: batches from columns, one row, and loading, beside XGBoost's library in the same run.
 *
 * Both sides score the same rows with one thread. Ours starts from float64 columns; the library from its fastest
 * form, rows of float32 scored in place. */
#include "bench/bench.h"

#include "model/tree_model.h"
#include "test/xgboost_oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 4096
#define ONES  2000

typedef struct side {
    mr_model *model;
    mr_binding *binding;
    mr_scratch *scratch;
    mr_column *columns;
    float *margins;
    mr_oracle *oracle;
    const float *rows;
    uint32_t features;
    const mr_bytes *json;
} side;

static void ours_batch(void *context)
{
    side *s = context;
    mr_model_out out = {.margins = s->margins, .stride = BATCH};
    mr_error err;
    mr_bench_check(
        mr_model_score(s->model, s->binding, s->columns, 0, BATCH, &out, s->scratch, &err), &err);
}

static void ours_scores(void *context)
{
    side *s = context;
    mr_model_out out = {.scores = s->margins, .stride = BATCH};
    mr_error err;
    mr_bench_check(
        mr_model_score(s->model, s->binding, s->columns, 0, BATCH, &out, s->scratch, &err), &err);
}

static void ours_ones(void *context)
{
    side *s = context;
    for (size_t r = 0; r < ONES; r++)
        (void)mr_model_score_row(s->model, s->rows + r * s->features, &s->margins[r], NULL,
                                 s->scratch, NULL);
}

static void ours_load(void *context)
{
    side *s = context;
    mr_model *model;
    mr_error err = {0};
    mr_bench_check(mr_model_open_bytes(s->json->data, s->json->size, NULL, &model, &err), &err);
    mr_model_close(model);
}

static void theirs_batch(void *context)
{
    side *s = context;
    const float *out;
    mr_error err = {0};
    mr_bench_check(mr_oracle_predict(s->oracle, s->rows, BATCH, true, true, &out, &err), &err);
}

static void theirs_ones(void *context)
{
    side *s = context;
    const float *out;
    mr_error err = {0};
    for (size_t r = 0; r < ONES / 10; r++)
        mr_bench_check(
            mr_oracle_predict(s->oracle, s->rows + r * s->features, 1, true, true, &out, &err),
            &err);
}

static void report(const char *shape, const char *what, const char *who, double value,
                   const char *unit)
{
    char name[128];
    (void)snprintf(name, sizeof name, "trees.%s.%s.%s", shape, what, who);
    mr_bench_report(name, value, unit);
}

static void open_ours(side *s, const mr_setting *settings, size_t count)
{
    mr_error err = {0};
    mr_model_options options = {.settings = settings, .setting_count = count};
    mr_bench_check(mr_model_open_bytes(s->json->data, s->json->size, &options, &s->model, &err),
                   &err);
    mr_field *fields = mr_alloc_zero(s->features, sizeof *fields);
    for (uint32_t f = 0; f < s->features; f++)
        fields[f] = (mr_field){.name = s->model->signature.input_names[f], .type = {MR_FLOAT64, 0}};
    mr_schema *schema;
    mr_bench_check(mr_schema_create(fields, s->features, &schema, &err), &err);
    mr_bench_check(mr_model_bind(s->model, schema, &s->binding, &err), &err);
    mr_bench_check(mr_scratch_create(s->model, &s->scratch, &err), &err);
    mr_schema_release(schema);
    mr_free(fields);
}

static void make_columns(side *s)
{
    s->columns = mr_alloc_zero(s->features, sizeof *s->columns);
    s->margins = mr_alloc(sizeof(float) * BATCH);
    for (uint32_t f = 0; f < s->features; f++) {
        double *values = mr_alloc(sizeof *values * BATCH);
        for (size_t r = 0; r < BATCH; r++)
            values[r] = (double)s->rows[r * s->features + f];
        s->columns[f] = (mr_column){.type = {MR_FLOAT64, 0}, .values = values};
    }
}

static void close_ours(side *s)
{
    for (uint32_t f = 0; f < s->features; f++) {
        const void *values = s->columns[f].values;
        void *owned;
        memcpy(&owned, &values, sizeof owned);
        mr_free(owned);
    }
    mr_free(s->columns);
    mr_free(s->margins);
    mr_scratch_destroy(s->scratch);
    mr_binding_destroy(s->binding);
    mr_model_close(s->model);
}

/* The same with older instructions; scores are the same. */
static void measure_cpu(const char *shape, side *s, const char *cpu)
{
    char what[64];
    mr_setting setting = {"cpu", cpu};
    open_ours(s, &setting, 1);
    make_columns(s);
    (void)snprintf(what, sizeof what, "ours_%s", cpu);
    report(shape, "batch", what, mr_bench_best_ns(ours_batch, s, 3) / BATCH, "ns/row");
    report(shape, "one_row", what, mr_bench_best_ns(ours_ones, s, 3) / ONES, "ns");
    close_ours(s);
}

static void measure(const char *shape, side *s)
{
    measure_cpu(shape, s, "plain");
    measure_cpu(shape, s, "avx2");
    open_ours(s, NULL, 0);
    make_columns(s);
    mr_bench_note("%s: %s", shape, s->model->signature.description);
    double batch = mr_bench_best_ns(ours_batch, s, 5) / BATCH,
           one = mr_bench_best_ns(ours_ones, s, 5) / ONES;
    double peer_batch = mr_bench_best_ns(theirs_batch, s, 10) / BATCH;
    double peer_one = mr_bench_best_ns(theirs_ones, s, 3) / ((double)ONES / 10);
    report(shape, "batch", "ours", batch, "ns/row");
    report(shape, "batch_with_scores", "ours", mr_bench_best_ns(ours_scores, s, 5) / BATCH,
           "ns/row");
    report(shape, "batch", "xgboost", peer_batch, "ns/row");
    report(shape, "batch", "ratio", peer_batch / batch, "x");
    report(shape, "one_row", "ours", one, "ns");
    report(shape, "one_row", "xgboost", peer_one, "ns");
    report(shape, "one_row", "ratio", peer_one / one, "x");
    report(shape, "load", "ours", mr_bench_best_ns(ours_load, s, 3) / 1e6, "ms");
    close_ours(s);
}

/* With MILLRACE_BENCH_KEEP=FOLDER the models are left there, for bench/peers/trees.py to measure others on them. */
static void keep_model(const char *shape, const mr_bytes *json)
{
    const char *folder = getenv("MILLRACE_BENCH_KEEP");
    char path[1024];
    mr_error err = {0};
    if (folder == NULL)
        return;
    (void)snprintf(path, sizeof path, "%s/%s.json", folder, shape);
    mr_bench_check(mr_fs_write_file(mr_fs_real(), path, json->data, json->size, &err), &err);
}

static void bench_recipe(const char *shape, const mr_oracle_recipe *recipe)
{
    mr_error err = {0};
    mr_oracle oracle;
    mr_bytes json = {0};
    mr_bench_check(mr_oracle_train(recipe, 7, &oracle, &err), &err);
    mr_bench_check(mr_oracle_save(&oracle, &json, &err), &err);
    keep_model(shape, &json);
    mr_random_seeded random;
    mr_random_seeded_init(&random, 8);
    float *rows = mr_alloc(sizeof(float) * BATCH * recipe->features);
    mr_oracle_fill(recipe, &random, rows, BATCH);
    side s = {.oracle = &oracle, .rows = rows, .features = recipe->features, .json = &json};
    measure(shape, &s);
    mr_free(rows);
    mr_bytes_deinit(&json);
    mr_oracle_close(&oracle);
}

BENCH(trees)
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
