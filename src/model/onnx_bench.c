/* onnx_bench.c -- ONNX models: batches from columns, one row, and loading; beside ONNX Runtime's figures for the same files.
 *
 * bench/peers/onnx_models.py makes the models, times ONNX Runtime and leaves in a folder NAME.onnx, rows.f32 and the last
 * score of every row, NAME.f32; MILLRACE_BENCH_ONNX names the folder. Scores are compared before times are believed. */
#include "bench/bench.h"

#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH    4096
#define ONES     2000
#define FEATURES 11
#define SCORES   2

typedef struct side {
    mr_model *model;
    mr_binding *binding;
    mr_scratch *scratch;
    mr_column columns[FEATURES];
    const float *rows; /* row by row */
    float *scores;
    mr_bytes file;
} side;

static void score_batch(void *context)
{
    side *s = context;
    mr_error err = {0};
    mr_model_out out = {.scores = s->scores, .stride = BATCH};
    mr_bench_check(
        mr_model_score(s->model, s->binding, s->columns, 0, BATCH, &out, s->scratch, &err), &err);
}

static void score_ones(void *context)
{
    side *s = context;
    for (size_t r = 0; r < ONES; r++)
        (void)mr_model_score_row(s->model, s->rows + r * FEATURES, NULL, s->scores + r * SCORES,
                                 s->scratch, NULL);
}

static void load(void *context)
{
    side *s = context;
    mr_error err = {0};
    mr_model *model;
    mr_bench_check(mr_model_open_bytes(s->file.data, s->file.size, NULL, &model, &err), &err);
    mr_model_close(model);
}

static void read_file(const char *folder, const char *name, mr_bytes *out)
{
    char path[1024];
    mr_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    mr_bench_check(mr_fs_read_file(mr_fs_real(), path, 1u << 30, out, &err), &err);
}

static void make_columns(side *s, float *values)
{
    for (size_t f = 0; f < FEATURES; f++) {
        for (size_t r = 0; r < BATCH; r++)
            values[f * BATCH + r] = s->rows[r * FEATURES + f];
        s->columns[f] = (mr_column){.type = {MR_FLOAT32, 0}, .values = values + f * BATCH};
    }
}

static void bind(side *s)
{
    mr_error err = {0};
    mr_field fields[FEATURES];
    mr_schema *schema;
    for (uint32_t f = 0; f < FEATURES; f++)
        fields[f] = (mr_field){.name = s->model->signature.input_names[f], .type = {MR_FLOAT32, 0}};
    mr_bench_check(mr_schema_create(fields, FEATURES, &schema, &err), &err);
    mr_bench_check(mr_model_bind(s->model, schema, &s->binding, &err), &err);
    mr_bench_check(mr_scratch_create(s->model, &s->scratch, &err), &err);
    mr_schema_release(schema);
}

static void compare(const side *s, const float *theirs)
{
    mr_error err = {0};
    const float *last = s->scores + (size_t)(s->model->signature.output_count - 1) * BATCH;
    for (size_t r = 0; r < BATCH; r++)
        if (!(fabsf(last[r] - theirs[r]) <= 1e-5f))
            mr_bench_check(MR_FAIL(&err, MR_INTERNAL, "row %zu: %g, ONNX Runtime says %g", r,
                                   (double)last[r], (double)theirs[r]),
                           &err);
}

static void measure(const char *folder, const char *name, side *s)
{
    char text[128];
    mr_error err = {0};
    mr_bytes theirs = {0};
    (void)snprintf(text, sizeof text, "%s.onnx", name);
    read_file(folder, text, &s->file);
    (void)snprintf(text, sizeof text, "%s.f32", name);
    read_file(folder, text, &theirs);
    mr_bench_check(mr_model_open_bytes(s->file.data, s->file.size, NULL, &s->model, &err), &err);
    mr_bench_note("%s: %s", name, s->model->signature.description);
    bind(s);
    score_batch(s);
    compare(s, (const float *)(void *)theirs.data);
    (void)snprintf(text, sizeof text, "onnx.%s.batch.ours", name);
    mr_bench_report(text, mr_bench_best_ns(score_batch, s, 10) / BATCH, "ns/row");
    (void)snprintf(text, sizeof text, "onnx.%s.one_row.ours", name);
    mr_bench_report(text, mr_bench_best_ns(score_ones, s, 10) / ONES, "ns");
    (void)snprintf(text, sizeof text, "onnx.%s.load.ours", name);
    mr_bench_report(text, mr_bench_best_ns(load, s, 3) / 1e6, "ms");
    mr_scratch_destroy(s->scratch);
    mr_binding_destroy(s->binding);
    mr_model_close(s->model);
    mr_bytes_deinit(&s->file);
    mr_bytes_deinit(&theirs);
}

BENCH(onnx)
{
    static const char *const names[] = {"logistic", "forest", "net"};
    const char *folder = getenv("MILLRACE_BENCH_ONNX");
    if (folder == NULL) {
        mr_bench_skip("onnx", "MILLRACE_BENCH_ONNX names no folder of bench/peers/onnx_models.py");
        return;
    }
    mr_bytes rows = {0};
    float *values = mr_alloc(sizeof *values * BATCH * FEATURES);
    side s = {.scores = mr_alloc(sizeof(float) * BATCH * SCORES)};
    read_file(folder, "rows.f32", &rows);
    s.rows = (const float *)(void *)rows.data;
    make_columns(&s, values);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        measure(folder, names[i], &s);
    mr_free(s.scores);
    mr_free(values);
    mr_bytes_deinit(&rows);
}
