/* pipeline_bench.c -- the product's own number: payments in, decisions out, durable topic to durable topic.
 *
 * The model is the published one of the cards data set (100 trees, depth 6); without the data set there is none,
 * and these benchmarks say so and do nothing. */
#include "bench/bench.h"
#include "bench/cards.h"

#include "base/assert.h"
#include "data/encoder.h"
#include "log/log.h"
#include "os/process.h"
#include "os/thread.h"
#include "pipeline/pipeline.h"

#include <stdio.h>
#include <string.h>

#define HOME       "build/bench/home"
#define BLOCK_ROWS 4096

static const cards_options small = {.customers = 5000, .terminals = 10000, .step_us = 9000000};
static const cards_options large = {.customers = 1000000, .terminals = 1000000, .step_us = 400000};

typedef struct cards_world {
    mr_log *log;
    mr_topic *payments;
    mr_schema *schema;
    mr_plan *plan;
    mr_pipeline *pipeline;
} cards_world;


static void world_open(cards_world *world, bool fresh, const char *source_sync)
{
    mr_error err = {0};
    mr_fs *fs = mr_fs_real();
    *world = (cards_world){0};
    if (fresh)
        mr_bench_check(mr_fs_remove_tree(fs, HOME, &err), &err);
    mr_bench_check(mr_log_open(fs, mr_clock_real(), HOME, &world->log, &err), &err);
    mr_bench_check(mr_schema_parse(CARDS_SCHEMA, strlen(CARDS_SCHEMA), &world->schema, &err), &err);
    mr_topic_options options = {.event_time = "at"};
    options.sync = strcmp(source_sync, "os") == 0 ? MR_LOG_SYNC_OS : MR_LOG_SYNC_ALWAYS;
    mr_status status = mr_topic_create(world->log, "payments", &options, world->schema, &err);
    if (status != MR_EXISTS)
        mr_bench_check(status, &err);
    mr_bench_check(mr_topic_open(world->log, "payments", &world->payments, &err), &err);
}

static void open_pipeline(cards_world *world, const char *source, const char *sync, int workers, bool until_end)
{
    mr_error err = {0};
    char text[8192];
    cards_plan(text, sizeof text, source, mr_bench_data("cards/xgb_model.json"), sync);
    mr_bench_check(mr_plan_compile(mr_fs_real(), world->log, text, strlen(text), "bench", NULL, &world->plan, &err),
                   &err);
    mr_pipeline_options options = {.log = world->log,
                                   .fs = mr_fs_real(),
                                   .clock = mr_clock_real(),
                                   .home = HOME,
                                   .workers = workers,
                                   .until_end = until_end};
    mr_bench_check(mr_pipeline_open(world->plan, &options, &world->pipeline, &err), &err);
}

static void world_close(cards_world *world)
{
    mr_pipeline_close(world->pipeline);
    mr_plan_release(world->plan);
    mr_topic_close(world->payments);
    mr_schema_release(world->schema);
    mr_log_close(world->log);
}

static void append(cards_world *world, const cards_options *options, uint64_t first, uint32_t rows)
{
    mr_error err = {0};
    mr_batch *batch;
    mr_bench_check(cards_batch(options, world->schema, first, rows, &batch, &err), &err);
    mr_append what = {.batch = batch};
    mr_appended done;
    mr_bench_check(mr_topic_append_commit(world->payments, 0, &what, &done, &err), &err);
    mr_batch_release(batch);
}

static void fill_topic(cards_world *world, const cards_options *options, uint64_t rows)
{
    for (uint64_t n = 0; n < rows; n += BLOCK_ROWS)
        append(world, options, n, (uint32_t)MR_MIN((uint64_t)BLOCK_ROWS, rows - n));
}

static double run_to_end(cards_world *world, uint64_t rows)
{
    mr_error err = {0};
    int64_t start = mr_bench_now_ns();
    mr_bench_check(mr_pipeline_run(world->pipeline, NULL, &err), &err);
    return (double)rows / ((double)(mr_bench_now_ns() - start) / 1e9);
}

static void measure_topic(const cards_options *options, uint64_t rows, int workers, const char *name)
{
    cards_world world;
    world_open(&world, true, "always");
    fill_topic(&world, options, rows);
    open_pipeline(&world, "topic: payments", "always", workers, true);
    mr_bench_report(name, run_to_end(&world, rows), "events/s");
    world_close(&world);
}

static bool have_model(void)
{
    if (mr_bench_data("cards/xgb_model.json") != NULL)
        return true;
    mr_bench_note("no cards data set: the pipeline benchmarks need its model");
    return false;
}

BENCH(pipeline_topic)
{
    if (!have_model())
        return;
    measure_topic(&small, 2000000, 1, "pipeline.topic.5k_keys.1_worker");
    measure_topic(&small, 2000000, 2, "pipeline.topic.5k_keys.2_workers");
    measure_topic(&large, 4000000, 1, "pipeline.topic.1m_keys.1_worker");
}

BENCH(pipeline_json)
{
    if (!have_model())
        return;
    const uint64_t rows = 1000000;
    const char *path = HOME "/payments.jsonl";
    cards_world world;
    mr_error err = {0};
    mr_bytes text = {0};
    mr_file *file;
    uint64_t offset = 0;
    world_open(&world, true, "always");
    mr_bench_check(mr_fs_open(mr_fs_real(), path, MR_OPEN_CREATE, &file, &err), &err);
    for (uint64_t n = 0; n < rows; n += BLOCK_ROWS) {
        mr_batch *batch;
        uint32_t count = (uint32_t)MR_MIN((uint64_t)BLOCK_ROWS, rows - n);
        mr_bench_check(cards_batch(&small, world.schema, n, count, &batch, &err), &err);
        mr_bytes_clear(&text);
        mr_encode_rows(&(mr_encoder_options){.format = MR_FORMAT_JSONL}, batch, 0, count, &text);
        mr_bench_check(mr_file_write(file, offset, text.data, text.size, &err), &err);
        offset += text.size;
        mr_batch_release(batch);
    }
    mr_file_close(file);
    mr_bytes_deinit(&text);
    char source[MR_PATH_MAX];
    (void)snprintf(source, sizeof source, "file: %s", path);
    open_pipeline(&world, source, "always", 1, true);
    mr_bench_report("pipeline.jsonl.5k_keys.1_worker", run_to_end(&world, rows), "events/s");
    world_close(&world);
}

/* ---- scale ---- */

#define SCALE_ROWS  10000000
#define SCALE_STEP  1000000

/* Runs over 10 M payments of 1 M customers and 1 M terminals; says what each million costs, what the state takes
 * at the end, and how large the process ever was. Returns the state's bytes. */
static uint64_t run_scale(uint64_t memory_bytes, const char *name)
{
    cards_world world;
    mr_error err = {0};
    char full[128];
    world_open(&world, false, "always");
    open_pipeline(&world, "topic: payments", "os", 1, true);
    mr_pipeline_close(world.pipeline);
    mr_bench_check(mr_fs_remove_tree(mr_fs_real(), HOME "/pipelines", &err), &err);
    mr_bench_check(mr_fs_remove_tree(mr_fs_real(), HOME "/topics/system", &err), &err);
    mr_bench_check(mr_fs_remove_tree(mr_fs_real(), HOME "/topics/default/default/decisions", &err), &err);
    mr_pipeline_options options = {.log = world.log, .fs = mr_fs_real(), .clock = mr_clock_real(), .home = HOME,
                                   .workers = 1, .until_end = true, .memory_bytes = memory_bytes};
    mr_bench_check(mr_pipeline_open(world.plan, &options, &world.pipeline, &err), &err);
    mr_pipeline_stats stats = {0};
    uint64_t resident_max = 0;
    for (uint64_t million = 1; million <= SCALE_ROWS / SCALE_STEP; million++) {
        int64_t start = mr_bench_now_ns(), cpu = mr_process_cpu_ns();
        uint32_t rows = 1;
        for (uint64_t taken = 0; taken < SCALE_STEP && rows > 0; taken += rows) {
            mr_status status = mr_pipeline_step(world.pipeline, &rows, &err);
            if (status != MR_END)
                mr_bench_check(status, &err);
        }
        mr_pipeline_stats_get(world.pipeline, &stats);
        resident_max = MR_MAX(resident_max, mr_process_memory_resident_bytes());
        if (million != 1 && million != 2 && million != 5 && million != 10)
            continue;
        (void)snprintf(full, sizeof full, "%s.million_%llu.wall", name, (unsigned long long)million);
        mr_bench_report(full, (double)(mr_bench_now_ns() - start) / SCALE_STEP, "ns/event");
        (void)snprintf(full, sizeof full, "%s.million_%llu.cpu", name, (unsigned long long)million);
        mr_bench_report(full, (double)(mr_process_cpu_ns() - cpu) / SCALE_STEP, "ns/event");
    }
    (void)snprintf(full, sizeof full, "%s.state", name);
    mr_bench_report(full, (double)stats.state_bytes / 1e6, "MB");
    (void)snprintf(full, sizeof full, "%s.keys_spilled", name);
    mr_bench_report(full, (double)stats.state_keys_spilled, "keys");
    (void)snprintf(full, sizeof full, "%s.resident", name);
    mr_bench_report(full, (double)resident_max / 1e6, "MB");
    world_close(&world);
    return stats.state_bytes;
}

BENCH(pipeline_scale)
{
    if (!have_model())
        return;
    cards_world world;
    world_open(&world, true, "always");
    fill_topic(&world, &large, SCALE_ROWS);
    world_close(&world);
    uint64_t state_bytes = run_scale(0, "scale.default_budget");
    (void)run_scale(state_bytes / 4, "scale.quarter_budget");
}

/* ---- latency ---- */

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
            append(send->world, &small, sent, (uint32_t)MR_MIN(due - sent, (uint64_t)BLOCK_ROWS));
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

static void measure_latency(const char *sync, double events_per_second, const char *name)
{
    cards_world world;
    mr_error err = {0};
    mr_thread *thread;
    char full[128];
    world_open(&world, true, sync);
    open_pipeline(&world, "topic: payments", sync, 1, false);
    load send = {.world = &world, .events_per_second = events_per_second, .seconds = 5};
    mr_bench_check(mr_thread_start("load", send_load, &send, &thread, &err), &err);
    mr_pipeline_watch watch = {.stop_asked = load_done, .context = &send};
    mr_bench_check(mr_pipeline_run(world.pipeline, &watch, &err), &err);
    mr_thread_join(thread);
    mr_pipeline_stats stats;
    mr_pipeline_stats_get(world.pipeline, &stats);
    (void)snprintf(full, sizeof full, "%s.p50", name);
    mr_bench_report(full, mr_latency_quantile(stats.latency, 0.5), "us");
    (void)snprintf(full, sizeof full, "%s.p99", name);
    mr_bench_report(full, mr_latency_quantile(stats.latency, 0.99), "us");
    (void)snprintf(full, sizeof full, "%s.p99_9", name);
    mr_bench_report(full, mr_latency_quantile(stats.latency, 0.999), "us");
    world_close(&world);
}

BENCH(pipeline_latency)
{
    if (!have_model())
        return;
    measure_latency("os", 10000, "latency.10k_events_s.no_fsync");
    measure_latency("os", 350000, "latency.350k_events_s.no_fsync");
    measure_latency("always", 10000, "latency.10k_events_s.durable");
    measure_latency("always", 350000, "latency.350k_events_s.durable");
}
