/* swap_bench.c -- one swap of the model a second while payments keep coming: does anybody notice?
 *
 * The same half load with and without swaps, then five minutes at a tenth of it with a look at memory. Each swap opens,
 * checks and warms a model of 100 trees beside the flow, takes it into use between two micro-batches, journals it, and
 * frees the one before. */
#include "bench/bench.h"
#include "bench/load.h"

#include "base/assert.h"
#include "os/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HALF_LOAD       1000000.0
#define LONG_LOAD       100000.0
#define SECONDS         20
#define LONG_SECONDS    300
#define SETTLED_SECONDS 60

/* A registry of one file: every version of it is the same model. */
typedef struct shelf {
    mr_models models;
    _Atomic uint64_t version;
    _Atomic uint64_t swaps;
    uint64_t resident_early, resident_late;
} shelf;

static shelf *shelf_of(mr_models *models)
{
    return (shelf *)(void *)models;
}

static mr_status resolve(mr_models *models, const char *text, mr_model_ref *out, mr_error *err)
{
    (void)err;
    *out = (mr_model_ref){.version = atomic_load(&shelf_of(models)->version)};
    (void)snprintf(out->name, sizeof out->name, "%.*s", (int)strcspn(text, "@"), text);
    (void)snprintf(out->hash, sizeof out->hash, "%064" PRIx64, out->version);
    return MR_OK;
}

static mr_status open_version(mr_models *models, const mr_model_ref *ref, mr_model **out,
                              mr_error *err)
{
    (void)models;
    (void)ref;
    return mr_model_open(mr_fs_real(), mr_bench_data("cards/xgb_model.json"), NULL, out, err);
}

static mr_status generation(mr_models *models, uint64_t *out, mr_error *err)
{
    (void)err;
    *out = atomic_load(&shelf_of(models)->version);
    return MR_OK;
}

static mr_status no_rollout(mr_models *models, const char *pipeline, mr_bytes *out, mr_error *err)
{
    (void)models;
    (void)out;
    return MR_FAIL(err, MR_NOT_FOUND, "no rollout of %s", pipeline);
}

static mr_status count_swap(mr_models *models, const mr_model_report *report, mr_error *err)
{
    (void)err;
    if (strcmp(report->kind, "swapped") == 0)
        atomic_fetch_add(&shelf_of(models)->swaps, 1);
    return MR_OK;
}

static void next_version(void *context, uint32_t second)
{
    shelf *self = context;
    atomic_fetch_add(&self->version, 1);
    self->resident_late = mr_process_memory_resident_bytes();
    if (second == SETTLED_SECONDS)
        self->resident_early = self->resident_late;
}

static void report(const char *name, const char *what, double value, const char *unit)
{
    char full[128];
    (void)snprintf(full, sizeof full, "swap.%s.%s", name, what);
    mr_bench_report(full, value, unit);
}

static void run(const char *name, double rate, uint32_t seconds, bool swaps)
{
    shelf self = {.models = {resolve, open_version, generation, no_rollout, count_swap},
                  .version = 1};
    mr_pipeline_stats stats;
    load_options options = {.sync = "os",
                            .events_per_second = rate,
                            .rows = (uint64_t)(rate * seconds),
                            .models = &self.models,
                            .each_second = swaps ? next_version : NULL,
                            .context = &self};
    (void)load_run(&options, &stats);
    report(name, "p50", mr_latency_quantile(stats.latency, 0.5), "us");
    report(name, "p99", mr_latency_quantile(stats.latency, 0.99), "us");
    report(name, "p99_9", mr_latency_quantile(stats.latency, 0.999), "us");
    if (!swaps)
        return;
    report(name, "swaps", (double)self.swaps, "swaps");
    if (self.resident_early == 0)
        return;
    report(name, "resident_after_1_min", (double)self.resident_early / 1e6, "MB");
    report(name, "resident_at_the_end", (double)self.resident_late / 1e6, "MB");
}

BENCH(swap)
{
    if (!cards_have_model("swap"))
        return;
    run("half_load.none", HALF_LOAD, SECONDS, false);
    run("half_load.each_second", HALF_LOAD, SECONDS, true);
    run("five_minutes.each_second", LONG_LOAD, LONG_SECONDS, true);
}
