/* latency_bench.c -- how long a payment waits for its decision while payments keep coming (load.h).
 *
 * A sender appends what is due and never waits for decisions; it and the pipeline share the machine. The full load is
 * what goes through when the sender is never idle; latency is measured at half of that, and at a light load of 10000 a
 * second: from the append of the payment's block to the decision being visible, without waiting for any fsync, and
 * with payments and decisions both durable. The disk's own fdatasync is measured in between. */
#include "bench/bench.h"
#include "bench/load.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#define FULL_ROWS  2000000
#define LIGHT_LOAD 10000.0
#define SECONDS    3
#define ROUNDS     3
#define SYNCS      300

static void report_quantile(const char *name, const char *what, double us)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s.%s", name, what);
    mr_bench_report(full, us, "us");
}

/* The quantiles of the run whose p99 was lowest: others on the machine disturb whole runs. */
static void measure_latency(const char *sync, double events_per_second, const char *name)
{
    mr_pipeline_stats stats, best;
    for (int i = 0; i < ROUNDS; i++) {
        load_options options = {.sync = sync,
                                .events_per_second = events_per_second,
                                .rows = (uint64_t)(events_per_second * SECONDS)};
        (void)load_run(&options, &stats);
        if (i == 0 ||
            mr_latency_quantile(stats.latency, 0.99) < mr_latency_quantile(best.latency, 0.99))
            best = stats;
    }
    report_quantile(name, "p50", mr_latency_quantile(best.latency, 0.5));
    report_quantile(name, "p99", mr_latency_quantile(best.latency, 0.99));
    report_quantile(name, "p99_9", mr_latency_quantile(best.latency, 0.999));
}

static double full_load(const char *sync)
{
    mr_pipeline_stats stats;
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        load_options options = {.sync = sync, .events_per_second = LOAD_FULL, .rows = FULL_ROWS};
        double rate = load_run(&options, &stats);
        best = MR_MAX(best, rate);
    }
    return best;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One write of a small block and its fdatasync, appended to a file whose room is reserved. */
static void measure_fdatasync(void)
{
    static double us[SYNCS];
    static const uint8_t block[4096] = {1};
    const char *path = HOME "/fdatasync";
    mr_error err = {0};
    mr_file *file;
    mr_bench_check(mr_fs_open(mr_fs_real(), path, MR_OPEN_NEW, &file, &err), &err);
    mr_bench_check(mr_file_reserve(file, sizeof block * SYNCS, &err), &err);
    for (uint64_t i = 0; i < SYNCS; i++) {
        int64_t start = mr_bench_now_ns();
        mr_bench_check(mr_file_write(file, i * sizeof block, block, sizeof block, &err), &err);
        mr_bench_check(mr_file_sync(file, &err), &err);
        us[i] = (double)(mr_bench_now_ns() - start) / 1e3;
    }
    mr_file_close(file);
    mr_bench_check(mr_fs_remove(mr_fs_real(), path, &err), &err);
    qsort(us, SYNCS, sizeof *us, by_size);
    report_quantile("latency.fdatasync", "p50", us[SYNCS / 2]);
    report_quantile("latency.fdatasync", "p99", us[SYNCS * 99 / 100]);
}

static void measure_policy(const char *sync, const char *name)
{
    char full[64];
    double rate = full_load(sync);
    (void)snprintf(full, sizeof full, "latency.full_load.%s.rate", name);
    mr_bench_report(full, rate, "events/s");
    (void)snprintf(full, sizeof full, "latency.half_load.%s", name);
    measure_latency(sync, rate / 2, full);
    (void)snprintf(full, sizeof full, "latency.10k_events_s.%s", name);
    measure_latency(sync, LIGHT_LOAD, full);
}

BENCH(latency)
{
    if (!cards_have_model("latency"))
        return;
    measure_policy("os", "no_fsync");
    measure_fdatasync();
    measure_policy("always", "durable");
}
