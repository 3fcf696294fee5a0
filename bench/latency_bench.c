/* latency_bench.c -- how long a payment waits for its decision while payments keep coming.
 *
 * A sender appends what is due and never waits for decisions; it and the pipeline share the machine. The full load is
 * what goes through when the sender is never idle; latency is measured at half of that, and at a light load of 10000 a
 * second: from the append of the payment's block to the decision being visible, without waiting for any fsync, and
 * with payments and decisions both durable. The disk's own fdatasync is measured in between. */
#include "bench/bench.h"
#include "bench/cards_world.h"

#include "base/assert.h"
#include "os/thread.h"

#include <stdio.h>
#include <stdlib.h>

#define FULL_LOAD  1e9
#define FULL_ROWS  2000000
#define LIGHT_LOAD 10000.0
#define SECONDS    3
#define ROUNDS     3
#define SYNCS      300
#define LINGER_NS  INT64_C(100000) /* the sender gathers for as long, as a producer does */

typedef struct load {
    cards_world *world;
    double events_per_second;
    uint64_t rows;
    _Atomic bool done;
} load;

/* Payments due by now, a block at most. */
static uint32_t due_now(const load *send, int64_t elapsed_ns, uint64_t sent)
{
    double asked = (double)elapsed_ns / 1e9 * send->events_per_second;
    uint64_t due = asked < (double)send->rows ? (uint64_t)asked : send->rows;
    return due > sent ? (uint32_t)MR_MIN(due - sent, (uint64_t)BLOCK_ROWS) : 0;
}

/* Sends payments at a steady rate, each time what has become due since, never waiting for the decisions. */
static void send_load(void *context)
{
    load *send = context;
    mr_clock *clock = mr_clock_real();
    int64_t start = mr_bench_now_ns(), next = LINGER_NS;
    uint64_t sent = 0;
    while (sent < send->rows) {
        int64_t elapsed = mr_bench_now_ns() - start;
        uint32_t now = due_now(send, elapsed, sent);
        if (now < BLOCK_ROWS && elapsed < next) {
            clock->sleep_ns(clock, next - elapsed);
            continue;
        }
        if (now > 0)
            cards_world_append(send->world, &cards_small, sent, now);
        sent += now;
        next = MR_MAX(next + LINGER_NS, elapsed);
    }
    atomic_store(&send->done, true);
}

/* Asked after every micro-batch: the statistics, which look at every slot, only once the sender is done. */
static bool load_done(void *context)
{
    load *send = context;
    mr_pipeline_stats stats;
    if (!atomic_load(&send->done))
        return false;
    mr_pipeline_stats_get(send->world->pipeline, &stats);
    return stats.lag == 0;
}

static void report_quantile(const char *name, const char *what, double us)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s.%s", name, what);
    mr_bench_report(full, us, "us");
}

/* Runs the pipeline until all that is sent has been decided; events a second. */
static double run_under_load(const char *sync, double events_per_second, uint64_t rows,
                             mr_pipeline_stats *stats)
{
    cards_world world;
    mr_error err = {0};
    mr_thread *thread;
    cards_world_open(&world, true, sync);
    cards_world_pipeline(&world, "topic: payments", sync, (mr_pipeline_options){.workers = 1});
    load send = {.world = &world, .events_per_second = events_per_second, .rows = rows};
    int64_t start = mr_bench_now_ns();
    mr_bench_check(mr_thread_start("load", send_load, &send, &thread, &err), &err);
    mr_pipeline_watch watch = {.stop_asked = load_done, .context = &send};
    mr_bench_check(mr_pipeline_run(world.pipeline, &watch, &err), &err);
    double seconds = (double)(mr_bench_now_ns() - start) / 1e9;
    mr_thread_join(thread);
    mr_pipeline_stats_get(world.pipeline, stats);
    cards_world_close(&world);
    return (double)rows / seconds;
}

/* The quantiles of the run whose p99 was lowest: others on the machine disturb whole runs. */
static void measure_latency(const char *sync, double events_per_second, const char *name)
{
    mr_pipeline_stats stats, best;
    for (int i = 0; i < ROUNDS; i++) {
        (void)run_under_load(sync, events_per_second, (uint64_t)(events_per_second * SECONDS),
                             &stats);
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
        double rate = run_under_load(sync, FULL_LOAD, FULL_ROWS, &stats);
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
