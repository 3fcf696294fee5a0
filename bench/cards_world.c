/* cards_world.c -- the payments' topic and the pipeline over it. */
#include "bench/cards_world.h"

#include "bench/bench.h"

#include "base/assert.h"

#include <string.h>

const cards_options cards_small = {.customers = 5000, .terminals = 10000, .step_us = 9000000};
const cards_options cards_large = {.customers = 1000000, .terminals = 1000000, .step_us = 400000};

bool cards_have_model(const char *name)
{
    if (mr_bench_data("cards/xgb_model.json") != NULL)
        return true;
    mr_bench_skip(name, "no cards data set, whose model it needs (MILLRACE_DATA)");
    return false;
}

void cards_world_open(cards_world *world, bool fresh, const char *sync)
{
    mr_error err = {0};
    mr_fs *fs = mr_fs_real();
    *world = (cards_world){0};
    if (fresh)
        mr_bench_check(mr_fs_remove_tree(fs, HOME, &err), &err);
    mr_bench_check(mr_log_open(fs, mr_clock_real(), HOME, &world->log, &err), &err);
    mr_bench_check(mr_schema_parse(CARDS_SCHEMA, strlen(CARDS_SCHEMA), &world->schema, &err), &err);
    mr_topic_options options = {.event_time = "at"};
    options.sync = strcmp(sync, "os") == 0 ? MR_LOG_SYNC_OS : MR_LOG_SYNC_ALWAYS;
    mr_status status = mr_topic_create(world->log, "payments", &options, world->schema, &err);
    if (status != MR_EXISTS)
        mr_bench_check(status, &err);
    mr_bench_check(mr_topic_open(world->log, "payments", &world->payments, &err), &err);
}

static void close_pipeline(cards_world *world)
{
    mr_pipeline_close(world->pipeline);
    mr_plan_release(world->plan);
    world->pipeline = NULL;
    world->plan = NULL;
}

void cards_world_close(cards_world *world)
{
    close_pipeline(world);
    mr_topic_close(world->payments);
    mr_schema_release(world->schema);
    mr_log_close(world->log);
}

void cards_world_append(cards_world *world, const cards_options *cards, uint64_t first,
                        uint32_t rows)
{
    mr_error err = {0};
    mr_batch *batch;
    mr_bench_check(cards_batch(cards, world->schema, first, rows, &batch, &err), &err);
    mr_append what = {.batch = batch};
    mr_appended done;
    mr_bench_check(mr_topic_append_commit(world->payments, 0, &what, &done, &err), &err);
    mr_batch_release(batch);
}

void cards_world_fill(cards_world *world, const cards_options *cards, uint64_t rows)
{
    for (uint64_t n = 0; n < rows; n += BLOCK_ROWS)
        cards_world_append(world, cards, n, (uint32_t)MR_MIN((uint64_t)BLOCK_ROWS, rows - n));
}

void cards_world_pipeline(cards_world *world, const char *source, const char *sync,
                          mr_pipeline_options options)
{
    mr_error err = {0};
    char text[8192];
    close_pipeline(world);
    const char *model =
        options.models != NULL ? "fraud@champion" : mr_bench_data("cards/xgb_model.json");
    cards_plan(text, sizeof text, source, model, sync);
    mr_bench_check(mr_plan_compile(mr_fs_real(), world->log, options.models, text, strlen(text),
                                   "bench", NULL, &world->plan, &err),
                   &err);
    options.log = world->log;
    options.fs = mr_fs_real();
    options.clock = mr_clock_real();
    options.home = HOME;
    mr_bench_check(mr_pipeline_open(world->plan, &options, &world->pipeline, &err), &err);
}

void cards_world_forget(cards_world *world)
{
    static const char *const written[] = {HOME "/pipelines", HOME "/topics/system",
                                          HOME "/topics/default/default/decisions"};
    mr_error err = {0};
    close_pipeline(world);
    for (size_t i = 0; i < MR_COUNT_OF(written); i++)
        mr_bench_check(mr_fs_remove_tree(mr_fs_real(), written[i], &err), &err);
}

double cards_world_run(cards_world *world, uint64_t rows)
{
    mr_error err = {0};
    int64_t start = mr_bench_now_ns();
    mr_bench_check(mr_pipeline_run(world->pipeline, NULL, &err), &err);
    return (double)rows / ((double)(mr_bench_now_ns() - start) / 1e9);
}
