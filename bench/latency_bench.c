/* latency_bench.c -- how long a payment waits for its decision while payments keep coming.
 *
 * The load is half of what the pipeline did at full speed a moment before, and a light one of 10000 a second. A
 * sender appends what is due and never waits for decisions. Measured from the append of the payment's block to the
 * decision being visible: without waiting for any fsync, and with payments and decisions both durable. The disk's
 * own fdatasync is measured in between. */
#include "bench/bench.h"
#include "bench/cards_world.h"

#include "base/assert.h"
#include "os/thread.h"

#include <stdio.h>
#include <stdlib.h>

#define LIGHT_LOAD 10000.0
#define SECONDS    5
#define SYNCS      300

typedef struct load {
    cards_world *world;
    double events_per_second;
    double seconds;
    _Atomic bool done;
} load;

/* Sends single payments at a steady rate, as many at once as are due, never waiting for the decisions. */
static void send_load(void *context)
{
    load *send = context;
    int64_t start = mr_bench_now_ns();
    uint64_t sent = 0, total = (uint64_t)(send->events_per_second * send->seconds);
    while (sent < total) {
        double elapsed = (double)(mr_bench_now_ns() - start) / 1e9;
        uint64_t due = MR_MIN((uint64_t)(elapsed * send->events_per_second), total);
        if (due > sent)
            cards_world_append(send->world, &cards_small, sent,
                               (uint32_t)MR_MIN(due - sent, (uint64_t)BLOCK_ROWS));
        else
            mr_clock_real()->sleep_ns(mr_clock_real(), 20000);
        sent += due > sent ? MR_MIN(due - sent, (uint64_t)BLOCK_ROWS) : 0;
    }
    atomic_store(&send->done, true);
}

static bool load_done(void *context)
{
    load *send = context;
    mr_pipeline_stats stats;
    mr_pipeline_stats_get(send->world->pipeline, &stats);
    return atomic_load(&send->done) && stats.lag == 0;
}

static void report_quantile(const char *name, const char *what, double us)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s.%s", name, what);
    mr_bench_report(full, us, "us");
}

static void measure_latency(const char *sync, double events_per_second, const char *name)
{
    cards_world world;
    mr_error err = {0};
    mr_thread *thread;
    mr_pipeline_stats stats;
    cards_world_open(&world, true, sync);
    cards_world_pipeline(&world, "topic: payments", sync, (mr_pipeline_options){.workers = 1});
    load send = {.world = &world, .events_per_second = events_per_second, .seconds = SECONDS};
    mr_bench_check(mr_thread_start("load", send_load, &send, &thread, &err), &err);
    mr_pipeline_watch watch = {.stop_asked = load_done, .context = &send};
    mr_bench_check(mr_pipeline_run(world.pipeline, &watch, &err), &err);
    mr_thread_join(thread);
    mr_pipeline_stats_get(world.pipeline, &stats);
    report_quantile(name, "p50", mr_latency_quantile(stats.latency, 0.5));
    report_quantile(name, "p99", mr_latency_quantile(stats.latency, 0.99));
    report_quantile(name, "p99_9", mr_latency_quantile(stats.latency, 0.999));
    cards_world_close(&world);
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

/* Best of three at full speed, over payments that are there already. */
static double full_speed(const char *sync)
{
    const uint64_t rows = 1000000;
    cards_world world;
    double best = 0;
    cards_world_open(&world, true, sync);
    cards_world_fill(&world, &cards_small, rows);
    for (int i = 0; i < 3; i++) {
        cards_world_forget(&world);
        cards_world_pipeline(&world, "topic: payments", sync,
                             (mr_pipeline_options){.workers = 1, .until_end = true});
        double rate = cards_world_run(&world, rows);
        best = MR_MAX(best, rate);
    }
    cards_world_close(&world);
    return best;
}

BENCH(latency)
{
    if (!cards_have_model("latency"))
        return;
    double half = full_speed("os") / 2, half_durable = full_speed("always") / 2;
    mr_bench_report("latency.half_load.no_fsync.rate", half, "events/s");
    measure_latency("os", half, "latency.half_load.no_fsync");
    measure_latency("os", LIGHT_LOAD, "latency.10k_events_s.no_fsync");
    mr_bench_report("latency.half_load.durable.rate", half_durable, "events/s");
    measure_latency("always", half_durable, "latency.half_load.durable");
    measure_fdatasync();
    measure_latency("always", LIGHT_LOAD, "latency.10k_events_s.durable");
}
