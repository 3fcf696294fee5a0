/* latency_bench.c -- how long a payment waits for its decision while payments keep coming (load.h).
 *
 * A sender appends what is due and never waits for decisions; it and the pipeline share the machine. The full load is
 * what goes through when the sender is never idle; latency is measured at half of that, and at a light load of 10000 a
 * second: from the append of the payment's block to the decision being visible, without waiting for any fsync, and
 * with payments and decisions both durable. The disk's own fdatasync is measured in between. */
#include "bench/bench.h"
#include "bench/load.h"

#include "base/assert.h"
#include "os/thread.h"

#include <stdio.h>
#include <stdlib.h>

#define FULL_ROWS  2000000
#define LIGHT_LOAD 10000.0
#define SECONDS    3
#define ROUNDS     5
#define SYNCS      300

#define PAYMENT_BYTES  85.0 /* as they are stored */
#define DECISION_BYTES 230.0
#define RAW_SYNCS_MAX  60000
#define PAUSE_US       300.0

static void report_quantile(const char *name, const char *what, double us)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s.%s", name, what);
    mr_bench_report(full, us, "us");
}

/* The quantiles of the run whose p99 was lowest: others on the machine disturb whole runs. */
static void measure_latency(const char *sync, const char *sink_sync, double events_per_second,
                            const char *name)
{
    mr_pipeline_stats stats, best;
    for (int i = 0; i < ROUNDS; i++) {
        load_options options = {.sync = sync,
                                .sink_sync = sink_sync,
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

/* ---- the disk and the machine under the same load ---- */

typedef struct raw_load {
    const char *path;
    double bytes_per_second;
    double us[RAW_SYNCS_MAX];
    size_t count;
} raw_load;

/* Appends what has become due to a plain file and syncs it, again and again. */
static void write_raw(void *context)
{
    static const uint8_t block[1 << 20] = {1};
    raw_load *raw = context;
    mr_clock *clock = mr_clock_real();
    mr_error err = {0};
    mr_file *file;
    uint64_t written = 0;
    mr_bench_check(mr_fs_open(mr_fs_real(), raw->path, MR_OPEN_NEW, &file, &err), &err);
    int64_t start = mr_bench_now_ns(), elapsed = 0;
    while (elapsed < SECONDS * INT64_C(1000000000) && raw->count < RAW_SYNCS_MAX) {
        clock->sleep_ns(clock, 100000);
        int64_t begun = mr_bench_now_ns();
        elapsed = begun - start;
        double due = (double)elapsed / 1e9 * raw->bytes_per_second - (double)written;
        size_t bytes = (size_t)MR_MAX(MR_MIN(due, (double)sizeof block), 64.0);
        mr_bench_check(mr_file_write(file, written, block, bytes, &err), &err);
        mr_bench_check(mr_file_sync(file, &err), &err);
        written += bytes;
        raw->us[raw->count++] = (double)(mr_bench_now_ns() - begun) / 1e3;
    }
    mr_file_close(file);
    mr_bench_check(mr_fs_remove(mr_fs_real(), raw->path, &err), &err);
}

/* Two plain files that take as many bytes as payments and decisions would, each synced all the time: what the disk's
 * fdatasync costs when it has that to do. The slower file's quantiles. */
static void measure_raw_load(double events_per_second)
{
    static raw_load raw[2];
    mr_thread *threads[2];
    mr_error err = {0};
    raw[0] = (raw_load){HOME "/raw.payments", events_per_second * PAYMENT_BYTES, {0}, 0};
    raw[1] = (raw_load){HOME "/raw.decisions", events_per_second * DECISION_BYTES, {0}, 0};
    for (int i = 0; i < 2; i++)
        mr_bench_check(mr_thread_start("raw", write_raw, &raw[i], &threads[i], &err), &err);
    for (int i = 0; i < 2; i++) {
        mr_thread_join(threads[i]);
        qsort(raw[i].us, raw[i].count, sizeof raw[i].us[0], by_size);
    }
    const raw_load *slow =
        raw[0].us[raw[0].count * 99 / 100] > raw[1].us[raw[1].count * 99 / 100] ? &raw[0] : &raw[1];
    report_quantile("latency.fdatasync_same_load", "p50", slow->us[slow->count / 2]);
    report_quantile("latency.fdatasync_same_load", "p99", slow->us[slow->count * 99 / 100]);
}

typedef struct pause_watch {
    double longest_us, lost_us;
} pause_watch;

/* Does nothing but read the clock: what it misses, somebody else has taken. */
static void watch_pauses(void *context)
{
    pause_watch *watch = context;
    int64_t start = mr_bench_now_ns(), last = start;
    while (last - start < SECONDS * INT64_C(1000000000)) {
        int64_t now = mr_bench_now_ns();
        double gap_us = (double)(now - last) / 1e3;
        watch->longest_us = MR_MAX(watch->longest_us, gap_us);
        watch->lost_us += gap_us > PAUSE_US ? gap_us : 0;
        last = now;
    }
}

static void measure_pauses(void)
{
    pause_watch watches[2] = {{0}};
    mr_thread *threads[2];
    mr_error err = {0};
    for (int i = 0; i < 2; i++)
        mr_bench_check(mr_thread_start("pauses", watch_pauses, &watches[i], &threads[i], &err),
                       &err);
    for (int i = 0; i < 2; i++)
        mr_thread_join(threads[i]);
    mr_bench_report("latency.machine.longest_pause",
                    MR_MAX(watches[0].longest_us, watches[1].longest_us), "us");
    mr_bench_report("latency.machine.lost_to_pauses",
                    (watches[0].lost_us + watches[1].lost_us) / (2e4 * SECONDS), "%");
}

/* ---- all of it ---- */

static double measure_policy(const char *sync, const char *name)
{
    char full[64];
    double rate = full_load(sync);
    (void)snprintf(full, sizeof full, "latency.full_load.%s.rate", name);
    mr_bench_report(full, rate, "events/s");
    (void)snprintf(full, sizeof full, "latency.half_load.%s", name);
    measure_latency(sync, NULL, rate / 2, full);
    (void)snprintf(full, sizeof full, "latency.10k_events_s.%s", name);
    measure_latency(sync, NULL, LIGHT_LOAD, full);
    return rate / 2;
}

BENCH(latency)
{
    if (!cards_have_model("latency"))
        return;
    measure_pauses();
    (void)measure_policy("os", "no_fsync");
    measure_fdatasync();
    double half = measure_policy("always", "durable");
    measure_latency("always", "os", half, "latency.half_load.payments_durable");
    measure_raw_load(half);
}
