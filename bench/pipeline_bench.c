/* pipeline_bench.c -- the product's own number: payments in, decisions out, durable topic to durable decisions;
 * the same from JSON lines on disk; and over ten million payments of a million customers. */
#include "bench/bench.h"
#include "bench/cards_world.h"

#include "base/assert.h"
#include "data/encoder.h"
#include "os/process.h"

#include <stdio.h>

#define ROUNDS 3

/* The best of several runs over the same payments, each from the beginning. */
static double best_rate(cards_world *world, const char *source, uint64_t rows, int workers,
                        int rounds)
{
    double best = 0;
    for (int i = 0; i < rounds; i++) {
        cards_world_forget(world);
        cards_world_pipeline(world, source, "always",
                             (mr_pipeline_options){.workers = workers, .until_end = true});
        double rate = cards_world_run(world, rows);
        best = MR_MAX(best, rate);
    }
    return best;
}

BENCH(pipeline_topic)
{
    const uint64_t rows = 2000000;
    cards_world world;
    if (!cards_have_model("pipeline.topic"))
        return;
    cards_world_open(&world, true, "always");
    cards_world_fill(&world, &cards_small, rows);
    mr_bench_report("pipeline.topic.5k_keys.1_worker",
                    best_rate(&world, "topic: payments", rows, 1, ROUNDS), "events/s");
    mr_bench_report("pipeline.topic.5k_keys.2_workers",
                    best_rate(&world, "topic: payments", rows, 2, ROUNDS), "events/s");
    cards_world_close(&world);
    cards_world_open(&world, true, "always");
    cards_world_fill(&world, &cards_large, 2 * rows);
    mr_bench_report("pipeline.topic.1m_keys.1_worker",
                    best_rate(&world, "topic: payments", 2 * rows, 1, 2), "events/s");
    cards_world_close(&world);
}

/* What the peers are given; to be run with as many processors as they have. Payments and decisions stay in the
 * home, so that the peers get the same ones and theirs can be compared. */
BENCH(pipeline_peer)
{
    const uint64_t rows = 2000000;
    cards_world world;
    if (!cards_have_model("pipeline.one_core.ours"))
        return;
    cards_world_open(&world, true, "always");
    cards_world_fill(&world, &cards_small, rows);
    mr_bench_report("pipeline.one_core.ours", best_rate(&world, "topic: payments", rows, 1, ROUNDS),
                    "events/s");
    cards_world_close(&world);
}

static void write_json_lines(const char *path, uint64_t rows, mr_schema *schema)
{
    mr_error err = {0};
    mr_bytes text = {0};
    mr_file *file;
    uint64_t offset = 0;
    mr_bench_check(mr_fs_open(mr_fs_real(), path, MR_OPEN_CREATE, &file, &err), &err);
    for (uint64_t n = 0; n < rows; n += BLOCK_ROWS) {
        mr_batch *batch;
        uint32_t count = (uint32_t)MR_MIN((uint64_t)BLOCK_ROWS, rows - n);
        mr_bench_check(cards_batch(&cards_small, schema, n, count, &batch, &err), &err);
        mr_bytes_clear(&text);
        mr_encode_rows(&(mr_encoder_options){.format = MR_FORMAT_JSONL}, batch, 0, count, &text);
        mr_bench_check(mr_file_write(file, offset, text.data, text.size, &err), &err);
        offset += text.size;
        mr_batch_release(batch);
    }
    mr_file_close(file);
    mr_bytes_deinit(&text);
}

BENCH(pipeline_json)
{
    const uint64_t rows = 1000000;
    cards_world world;
    if (!cards_have_model("pipeline.jsonl"))
        return;
    cards_world_open(&world, true, "always");
    write_json_lines(HOME "/payments.jsonl", rows, world.schema);
    mr_bench_report("pipeline.jsonl.5k_keys.1_worker",
                    best_rate(&world, "file: " HOME "/payments.jsonl", rows, 1, ROUNDS),
                    "events/s");
    cards_world_close(&world);
}

/* ---- scale ---- */

#define SCALE_ROWS 10000000
#define SCALE_STEP 1000000

static void report_scale(const char *name, const char *what, double value, const char *unit)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s.%s", name, what);
    mr_bench_report(full, value, unit);
}

static void step_million(cards_world *world)
{
    mr_error err = {0};
    uint32_t rows = 1;
    for (uint64_t taken = 0; taken < SCALE_STEP && rows > 0; taken += rows) {
        mr_status status = mr_pipeline_step(world->pipeline, &rows, &err);
        if (status != MR_END)
            mr_bench_check(status, &err);
    }
}

/* Runs over 10 M payments of 1 M customers and 1 M terminals; says what each million costs, what the state takes
 * at the end, and how large the process ever was. Returns the state's bytes. */
static uint64_t run_scale(uint64_t memory_bytes, const char *name)
{
    cards_world world;
    char what[64];
    cards_world_open(&world, false, "always");
    cards_world_forget(&world);
    cards_world_pipeline(
        &world, "topic: payments", "os",
        (mr_pipeline_options){.workers = 1, .until_end = true, .memory_bytes = memory_bytes});
    uint64_t resident_max = 0;
    for (int million = 1; million <= SCALE_ROWS / SCALE_STEP; million++) {
        int64_t start = mr_bench_now_ns(), cpu = mr_process_cpu_ns();
        step_million(&world);
        resident_max = MR_MAX(resident_max, mr_process_memory_resident_bytes());
        if (million != 1 && million != 2 && million != 5 && million != 10)
            continue;
        (void)snprintf(what, sizeof what, "million_%d.wall", million);
        report_scale(name, what, (double)(mr_bench_now_ns() - start) / SCALE_STEP, "ns/event");
        (void)snprintf(what, sizeof what, "million_%d.cpu", million);
        report_scale(name, what, (double)(mr_process_cpu_ns() - cpu) / SCALE_STEP, "ns/event");
    }
    mr_pipeline_stats stats = {0};
    mr_pipeline_stats_get(world.pipeline, &stats);
    report_scale(name, "state", (double)stats.state_bytes / 1e6, "MB");
    report_scale(name, "keys_spilled", (double)stats.state_keys_spilled, "keys");
    report_scale(name, "resident", (double)resident_max / 1e6, "MB");
    cards_world_close(&world);
    return stats.state_bytes;
}

BENCH(pipeline_scale)
{
    cards_world world;
    if (!cards_have_model("scale"))
        return;
    cards_world_open(&world, true, "os");
    cards_world_fill(&world, &cards_large, SCALE_ROWS);
    cards_world_close(&world);
    uint64_t state_bytes = run_scale(0, "scale.default_budget");
    (void)run_scale(state_bytes / 4, "scale.quarter_budget");
}

/* ---- restart ---- */

/* Takes what is there and stops in mid-flow: no checkpoint, as when the process is killed. */
static void run_and_die(cards_world *world)
{
    mr_error err = {0};
    uint32_t rows = 1;
    mr_status status = MR_OK;
    for (; status == MR_OK && rows > 0; status = mr_pipeline_step(world->pipeline, &rows, &err))
        ;
    if (status != MR_END)
        mr_bench_check(status, &err);
}

/* Runs `rows` payments and stops cleanly, runs `more` and dies: opening again loads the state and replays what
 * came after the checkpoint, before it is ready. */
static void measure_restart(uint64_t rows, uint64_t more, const char *name)
{
    cards_world world;
    mr_pipeline_options options = {.workers = 1, .until_end = true, .checkpoint_interval_ms = -1};
    cards_world_open(&world, true, "os");
    cards_world_fill(&world, &cards_large, rows);
    cards_world_pipeline(&world, "topic: payments", "os", options);
    (void)cards_world_run(&world, rows);
    for (uint64_t n = 0; n < more; n += BLOCK_ROWS)
        cards_world_append(&world, &cards_large, rows + n, BLOCK_ROWS);
    cards_world_pipeline(&world, "topic: payments", "os", options);
    run_and_die(&world);
    mr_pipeline_stats stats;
    double best = 1e18;
    for (int i = 0; i < ROUNDS; i++) {
        cards_world_pipeline(&world, "topic: payments", "os", options);
        mr_pipeline_stats_get(world.pipeline, &stats);
        best = MR_MIN(best, (double)stats.recovery_ns / 1e9);
    }
    report_scale(name, "state", (double)stats.state_bytes / 1e6, "MB");
    report_scale(name, "replayed", (double)stats.replayed, "events");
    report_scale(name, "seconds", best, "s");
    report_scale(name, "per_gb", best / ((double)stats.state_bytes / 1e9), "s/GB");
    cards_world_close(&world);
}

BENCH(pipeline_restart)
{
    if (!cards_have_model("restart"))
        return;
    measure_restart(1000000, 0, "restart.1m_events.checkpoint_at_stop");
    measure_restart(4000000, 0, "restart.4m_events.checkpoint_at_stop");
    measure_restart(1000000, 100 * BLOCK_ROWS, "restart.1m_events.checkpoint_400k_events_old");
}
