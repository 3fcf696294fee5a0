/* lightgbm_bench.c -- LightGBM's models: batches from columns, one row, and loading, beside its own library in the same run.
 *
 * bench/peers/lightgbm_models.py trains the models and leaves them in a folder, with rows of float64 (`rows.f64`) and the
 * place of the library (`library`); MILLRACE_BENCH_LIGHTGBM names the folder. The library is called as its C API allows
 * it to be fastest: one row through the call that was prepared once, batches as one matrix, one thread. */
#include "bench/bench.h"

#include "model/model.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH    4096
#define ONES     1000
#define FEATURES 28

/* LightGBM's C API, as its documentation gives it. */
enum { DTYPE_FLOAT64 = 1, PREDICT_RAW_SCORE = 1 };
typedef struct library {
    int (*open)(const char *path, int *out_iterations, void **out_booster);
    int (*close)(void *booster);
    int (*batch)(void *booster, const void *data, int type, int32_t rows, int32_t columns,
                 int row_major, int predict, int start, int count, const char *parameters,
                 int64_t *out_size, double *out);
    int (*prepare)(void *booster, int predict, int start, int count, int type, int32_t columns,
                   const char *parameters, void **out_call);
    int (*row)(void *call, const void *data, int64_t *out_size, double *out);
    int (*release)(void *call);
} library;

typedef struct side {
    mr_model *model;
    mr_binding *binding;
    mr_scratch *scratch;
    mr_column columns[FEATURES];
    const double *rows;
    double *sums;
    mr_bytes file;
    library library;
    void *booster, *call;
} side;

static void ours_batch(void *context)
{
    side *s = context;
    mr_error err = {0};
    mr_model_out out = {.margins = s->sums, .stride = BATCH};
    mr_bench_check(
        mr_model_score(s->model, s->binding, s->columns, 0, BATCH, &out, s->scratch, &err), &err);
}

static void ours_ones(void *context)
{
    side *s = context;
    mr_error err = {0};
    for (size_t r = 0; r < ONES; r++) {
        mr_model_out out = {.margins = s->sums + r, .stride = 1};
        mr_bench_check(
            mr_model_score(s->model, s->binding, s->columns, r, 1, &out, s->scratch, &err), &err);
    }
}

static void ours_load(void *context)
{
    side *s = context;
    mr_error err = {0};
    mr_model *model;
    mr_bench_check(mr_model_open_bytes(s->file.data, s->file.size, NULL, &model, &err), &err);
    mr_model_close(model);
}

static void theirs_batch(void *context)
{
    side *s = context;
    int64_t size;
    (void)s->library.batch(s->booster, s->rows, DTYPE_FLOAT64, BATCH, FEATURES, 1,
                           PREDICT_RAW_SCORE, 0, -1, "num_threads=1", &size, s->sums);
}

static void theirs_ones(void *context)
{
    side *s = context;
    int64_t size;
    for (size_t r = 0; r < ONES; r++)
        (void)s->library.row(s->call, s->rows + r * FEATURES, &size, s->sums + r);
}

static void report(const char *shape, const char *what, const char *who, double value,
                   const char *unit)
{
    char name[128];
    (void)snprintf(name, sizeof name, "families.lightgbm.%s.%s.%s", shape, what, who);
    mr_bench_report(name, value, unit);
}

/* ---- ours ---- */

static void open_ours(side *s, const char *cpu)
{
    mr_error err = {0};
    mr_field fields[FEATURES];
    mr_schema *schema;
    mr_setting setting = {"cpu", cpu};
    mr_model_options options = {.settings = &setting, .setting_count = 1};
    mr_bench_check(mr_model_open_bytes(s->file.data, s->file.size, &options, &s->model, &err),
                   &err);
    for (uint32_t f = 0; f < FEATURES; f++)
        fields[f] = (mr_field){.name = s->model->signature.input_names[f], .type = {MR_FLOAT64, 0}};
    mr_bench_check(mr_schema_create(fields, FEATURES, &schema, &err), &err);
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

static void measure_ours(side *s, const char *shape, const char *cpu, const char *who)
{
    open_ours(s, cpu);
    mr_bench_note("%s: %s", shape, s->model->signature.description);
    report(shape, "batch", who, mr_bench_best_ns(ours_batch, s, 5) / BATCH, "ns/row");
    report(shape, "one_row", who, mr_bench_best_ns(ours_ones, s, 5) / ONES, "ns");
    close_ours(s);
}

/* ---- theirs ---- */

static bool load_library(const char *folder, library *out)
{
    char path[1024];
    mr_error err = {0};
    mr_bytes name = {0};
    (void)snprintf(path, sizeof path, "%s/library", folder);
    if (mr_fs_read_file(mr_fs_real(), path, 4096, &name, &err) != MR_OK)
        return false;
    void *handle = dlopen(mr_bytes_text(&name), RTLD_NOW | RTLD_LOCAL);
    mr_bytes_deinit(&name);
    if (handle == NULL)
        return false;
    static const char *const names[] = {"LGBM_BoosterCreateFromModelfile",
                                        "LGBM_BoosterFree",
                                        "LGBM_BoosterPredictForMat",
                                        "LGBM_BoosterPredictForMatSingleRowFastInit",
                                        "LGBM_BoosterPredictForMatSingleRowFast",
                                        "LGBM_FastConfigFree"};
    void *found[6];
    _Static_assert(sizeof found == sizeof *out, "as many functions as names");
    for (size_t i = 0; i < 6; i++) {
        found[i] = dlsym(handle, names[i]);
        if (found[i] == NULL)
            return false;
    }
    memcpy(out, found, sizeof *out);
    return true;
}

static void measure_theirs(side *s, const char *folder, const char *shape)
{
    char path[1024];
    int iterations;
    (void)snprintf(path, sizeof path, "%s/%s.txt", folder, shape);
    if (!load_library(folder, &s->library) ||
        s->library.open(path, &iterations, &s->booster) != 0 ||
        s->library.prepare(s->booster, PREDICT_RAW_SCORE, 0, -1, DTYPE_FLOAT64, FEATURES,
                           "num_threads=1", &s->call) != 0) {
        mr_bench_skip("families.lightgbm.library", "LightGBM's library could not be loaded");
        return;
    }
    report(shape, "batch", "lightgbm", mr_bench_best_ns(theirs_batch, s, 3) / BATCH, "ns/row");
    report(shape, "one_row", "lightgbm", mr_bench_best_ns(theirs_ones, s, 3) / ONES, "ns");
    (void)s->library.release(s->call);
    (void)s->library.close(s->booster);
}

/* Both sides give the same bits for all rows. */
static void compare_sides(side *s, const char *folder, const char *shape)
{
    double *ours = mr_alloc(sizeof *ours * BATCH);
    if (ours == NULL || !load_library(folder, &s->library)) {
        mr_free(ours);
        return;
    }
    char path[1024];
    int iterations;
    mr_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s.txt", folder, shape);
    open_ours(s, "auto");
    ours_batch(s);
    memcpy(ours, s->sums, sizeof *ours * BATCH);
    close_ours(s);
    if (s->library.open(path, &iterations, &s->booster) == 0) {
        theirs_batch(s);
        mr_status same = memcmp(ours, s->sums, sizeof *ours * BATCH) == 0
                             ? MR_OK
                             : MR_FAIL(&err, MR_CORRUPT, "%s: raw scores differ", shape);
        mr_bench_check(same, &err);
        (void)s->library.close(s->booster);
    }
    mr_free(ours);
}

/* ---- both ---- */

static void read_rows(side *s, const char *folder, mr_bytes *rows)
{
    char path[1024];
    mr_error err = {0};
    (void)snprintf(path, sizeof path, "%s/rows.f64", folder);
    mr_bench_check(mr_fs_read_file(mr_fs_real(), path, 1u << 26, rows, &err), &err);
    mr_bench_check(rows->size == sizeof(double) * BATCH * FEATURES
                       ? MR_OK
                       : MR_FAIL(&err, MR_INVALID, "%s: not %d rows of %d", path, BATCH, FEATURES),
                   &err);
    s->rows = (const double *)(const void *)rows->data;
}

static double *make_columns(side *s)
{
    double *values = mr_alloc(sizeof *values * BATCH * FEATURES);
    for (size_t f = 0; values != NULL && f < FEATURES; f++) {
        for (size_t r = 0; r < BATCH; r++)
            values[f * BATCH + r] = s->rows[r * FEATURES + f];
        s->columns[f] = (mr_column){.type = {MR_FLOAT64, 0}, .values = values + f * BATCH};
    }
    return values;
}

static void measure(const char *folder, const char *shape)
{
    side s = {0};
    mr_error err = {0};
    char path[1024];
    mr_bytes rows = {0};
    (void)snprintf(path, sizeof path, "%s/%s.txt", folder, shape);
    mr_bench_check(mr_fs_read_file(mr_fs_real(), path, 1u << 28, &s.file, &err), &err);
    read_rows(&s, folder, &rows);
    double *values = make_columns(&s);
    s.sums = mr_alloc(sizeof(double) * BATCH);
    measure_ours(&s, shape, "plain", "ours_plain");
    measure_ours(&s, shape, "avx2", "ours_avx2");
    measure_ours(&s, shape, "auto", "ours");
    report(shape, "load", "ours", mr_bench_best_ns(ours_load, &s, 3) / 1e6, "ms");
    measure_theirs(&s, folder, shape);
    compare_sides(&s, folder, shape);
    mr_free(values);
    mr_free(s.sums);
    mr_bytes_deinit(&s.file);
    mr_bytes_deinit(&rows);
}

BENCH(lightgbm)
{
    const char *folder = getenv("MILLRACE_BENCH_LIGHTGBM");
    if (folder == NULL) {
        mr_bench_skip("families.lightgbm", "there are no models (MILLRACE_BENCH_LIGHTGBM)");
        return;
    }
    measure(folder, "100x63");
    measure(folder, "500x255");
}
