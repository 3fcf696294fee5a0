/* load.c -- the sender, and the run. */
#include "bench/load.h"

#include "bench/bench.h"

#include "base/assert.h"
#include "os/thread.h"

#define LINGER_NS INT64_C(100000)
#define SECOND_NS INT64_C(1000000000)

typedef struct load {
    const load_options *options;
    cards_world world;
    _Atomic bool done;
} load;

/* Payments due by now, a block at most. */
static uint32_t due_now(const load_options *options, int64_t elapsed_ns, uint64_t sent)
{
    double asked = (double)elapsed_ns / 1e9 * options->events_per_second;
    uint64_t due = asked < (double)options->rows ? (uint64_t)asked : options->rows;
    return due > sent ? (uint32_t)MR_MIN(due - sent, (uint64_t)BLOCK_ROWS) : 0;
}

static void send_load(void *context)
{
    load *send = context;
    const load_options *options = send->options;
    mr_clock *clock = mr_clock_real();
    int64_t start = mr_bench_now_ns(), next = LINGER_NS;
    uint32_t seconds = 0;
    for (uint64_t sent = 0; sent < options->rows;) {
        int64_t elapsed = mr_bench_now_ns() - start;
        if (options->each_second != NULL && elapsed >= (seconds + 1) * SECOND_NS)
            options->each_second(options->context, ++seconds);
        uint32_t now = due_now(options, elapsed, sent);
        if (now < BLOCK_ROWS && elapsed < next) {
            clock->sleep_ns(clock, next - elapsed);
            continue;
        }
        if (now > 0)
            cards_world_append(&send->world, &cards_small, sent, now);
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
    mr_pipeline_stats_get(send->world.pipeline, &stats);
    return stats.lag == 0;
}

double load_run(const load_options *options, mr_pipeline_stats *out_stats)
{
    load send = {.options = options};
    mr_error err = {0};
    mr_thread *thread;
    cards_world_open(&send.world, true, options->sync);
    cards_world_pipeline(&send.world, "topic: payments",
                         options->sink_sync != NULL ? options->sink_sync : options->sync,
                         (mr_pipeline_options){.workers = 1, .models = options->models});
    int64_t start = mr_bench_now_ns();
    mr_bench_check(mr_thread_start("load", send_load, &send, &thread, &err), &err);
    mr_pipeline_watch watch = {.stop_asked = load_done, .context = &send};
    mr_bench_check(mr_pipeline_run(send.world.pipeline, &watch, &err), &err);
    double seconds = (double)(mr_bench_now_ns() - start) / 1e9;
    mr_thread_join(thread);
    mr_pipeline_stats_get(send.world.pipeline, out_stats);
    cards_world_close(&send.world);
    return (double)options->rows / seconds;
}
