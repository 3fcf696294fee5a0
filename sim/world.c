/* world.c -- lives of a simulated process. */
#include "sim/world.h"

#include "base/assert.h"
#include "data/encoder.h"
#include "log/log.h"
#include "pipeline/pipeline.h"

#include <stdio.h>
#include <string.h>

#define LIVES_MAX   12
#define ACTIONS_MAX 100000
#define PRODUCER_ID 77
#define START_US    INT64_C(1522540800000000) /* 2018-04-01T00:00:00Z */
#define PAYMENT_SCHEMA                                                                             \
    "tx: int64, at: timestamp, customer: int64, terminal: string, amount: float64 null"
#define OUTCOME_SCHEMA "tx: int64, known_at: timestamp, terminal: string, fraud: int64"

static const char *const plan_text =
    "pipeline: sim\n"
    "sources:\n"
    "  payments: {topic: payments, event_time: at, check: amount is null or amount >= 0}\n"
    "%s"
    "on: payments\n"
    "derive:\n"
    "  night: hour(at) <= 6\n"
    "features:\n"
    "  customer:\n"
    "    key: customer\n"
    "    windows: [1h, 1d]\n"
    "    aggregates: {n: count(), mean: mean(amount), max: max(amount)}\n"
    "  terminal:\n"
    "%s"
    "    key: terminal\n"
    "    windows: [6h delayed 1h, lifetime]\n"
    "    aggregates: {n: count(), bad: sum(%s)}\n"
    "decide:\n"
    "  action: \"case when customer_mean_1h > 60 then 'block' when night then 'review' else "
    "'allow' end\"\n"
    "sink: decisions\n"
    "route: [{when: \"action = 'block'\", sink: blocked}]\n"
    "aggregate:\n"
    "  hours: {key: terminal, window: hopping 2h every 1h, lateness: 10m, aggregates: {n: count(), "
    "total: sum(amount)},\n"
    "    sink: hours}\n"
    "  visits: {key: customer, window: session 30m, aggregates: {n: count(), most: max(amount)}, "
    "sink: visits}\n";

typedef struct sim_world {
    sim_options options;
    mr_error *err;
    mr_fs_sim *disk;
    mr_clock_sim clock;
    mr_random_seeded random;
    bool two_sources;
    uint32_t payments, outcomes;
    mr_batch *payment_batch, *outcome_batch; /* everything that will be sent */
    uint64_t acked_payments, acked_outcomes;
    uint64_t memory_bytes;
    mr_bytes reference; /* decisions without trouble; empty: not compared */
} sim_world;

typedef struct sim_life {
    sim_world *world;
    mr_log *log;
    mr_topic *payments, *outcomes;
    mr_plan *plan;
    mr_pipeline *pipeline;
    uint64_t sent_payments, sent_outcomes;
} sim_life;

static uint64_t below(sim_world *world, uint64_t n)
{
    return mr_random_below(&world->random, n);
}

#define BROKEN(world, ...) broken((world), __VA_ARGS__)

static mr_status __attribute__((format(printf, 2, 3)))
broken(sim_world *world, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return MR_FAIL(world->err, MR_INTERNAL, "seed %llu: %s",
                   (unsigned long long)world->options.seed, text);
}

/* ---- the records ---- */

static mr_status make_payments(sim_world *world, mr_error *err)
{
    mr_schema *schema = NULL;
    mr_builder builder = {0};
    int64_t at = START_US;
    MR_TRY(mr_schema_parse(PAYMENT_SCHEMA, strlen(PAYMENT_SCHEMA), &schema, err));
    mr_status status = mr_builder_init(&builder, schema, err);
    for (uint32_t i = 0; i < world->payments && status == MR_OK; i++) {
        char terminal[8];
        int bytes = snprintf(terminal, sizeof terminal, "t%u", (unsigned)below(world, 5));
        at += (int64_t)below(world, 3) == 0 ? 0 : (int64_t)below(world, 1800) * 1000000;
        int64_t late = below(world, 8) == 0 ? (int64_t)below(world, 3000) * 1000000 : 0;
        mr_builder_int64(&builder.columns[0], i);
        mr_builder_int64(&builder.columns[1], at - late);
        mr_builder_int64(&builder.columns[2], (int64_t)below(world, 7));
        mr_builder_text(&builder.columns[3], terminal, (size_t)bytes);
        if (below(world, 20) == 0)
            mr_builder_null(&builder.columns[4]);
        else
            mr_builder_float64(&builder.columns[4], (double)below(world, 11000) / 100.0 - 2.0);
    }
    if (status == MR_OK)
        status = mr_builder_finish(&builder, &world->payment_batch, err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    return status;
}

static mr_status make_outcomes(sim_world *world, mr_error *err)
{
    mr_schema *schema = NULL;
    mr_builder builder = {0};
    int64_t at = START_US;
    MR_TRY(mr_schema_parse(OUTCOME_SCHEMA, strlen(OUTCOME_SCHEMA), &schema, err));
    mr_status status = mr_builder_init(&builder, schema, err);
    for (uint32_t i = 0; i < world->outcomes && status == MR_OK; i++) {
        char terminal[8];
        int bytes = snprintf(terminal, sizeof terminal, "t%u", (unsigned)below(world, 5));
        at += (int64_t)below(world, 3600) * 1000000;
        mr_builder_int64(&builder.columns[0], i);
        mr_builder_int64(&builder.columns[1], at);
        mr_builder_text(&builder.columns[2], terminal, (size_t)bytes);
        mr_builder_int64(&builder.columns[3], (int64_t)below(world, 2));
    }
    if (status == MR_OK)
        status = mr_builder_finish(&builder, &world->outcome_batch, err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    return status;
}

/* ---- one life ---- */

static mr_status open_topic(sim_life *life, const char *name, mr_batch *records,
                            const char *event_time, mr_topic **out, mr_error *err)
{
    mr_topic_options options = {.segment_bytes = 4096 + below(life->world, 30000)};
    options.codec = (mr_log_codec)below(life->world, MR_LOG_CODEC_COUNT);
    (void)snprintf(options.event_time, sizeof options.event_time, "%s", event_time);
    mr_status status = mr_topic_create(life->log, name, &options, records->schema, err);
    if (status != MR_OK && status != MR_EXISTS)
        return status;
    mr_error_clear(err);
    return mr_topic_open(life->log, name, out, err);
}

static mr_status producer_place(sim_life *life, mr_topic *topic, uint64_t acked, uint64_t *out,
                                mr_error *err)
{
    uint32_t epoch;
    mr_status status = mr_topic_producer(topic, 0, PRODUCER_ID, &epoch, out, err);
    if (status == MR_NOT_FOUND) {
        mr_error_clear(err);
        *out = 0;
        status = MR_OK;
    }
    MR_TRY(status);
    if (*out < acked)
        return BROKEN(life->world, "topic %s holds %llu records, %llu were acknowledged",
                      mr_topic_name(topic), (unsigned long long)*out, (unsigned long long)acked);
    return MR_OK;
}

static mr_status open_pipeline(sim_life *life, mr_error *err)
{
    sim_world *world = life->world;
    char text[2048];
    (void)snprintf(text, sizeof text, plan_text,
                   world->two_sources
                       ? "  outcomes: {topic: outcomes, event_time: known_at, idle: 100ms}\n"
                       : "",
                   world->two_sources ? "    from: outcomes\n" : "",
                   world->two_sources ? "fraud" : "case when amount > 50 then 1 else 0 end");
    mr_fs *fs = mr_fs_sim_fs(world->disk);
    MR_TRY(mr_plan_compile(fs, life->log, NULL, text, strlen(text), "sim.yaml", "/", &life->plan,
                           err));
    mr_pipeline_options options = {.log = life->log,
                                   .fs = fs,
                                   .clock = &world->clock.clock,
                                   .home = "/home",
                                   .batch_rows_max = world->options.batch_rows_max,
                                   .memory_bytes = world->memory_bytes,
                                   .checkpoint_interval_ms = 1 + (int64_t)below(world, 200),
                                   .stepped = true};
    return mr_pipeline_open(life->plan, &options, &life->pipeline, err);
}

static mr_status life_open(sim_life *life, mr_error *err)
{
    sim_world *world = life->world;
    MR_TRY(mr_log_open(mr_fs_sim_fs(world->disk), &world->clock.clock, "/home", &life->log, err));
    MR_TRY(open_topic(life, "payments", world->payment_batch, "at", &life->payments, err));
    MR_TRY(producer_place(life, life->payments, world->acked_payments, &life->sent_payments, err));
    if (world->two_sources) {
        MR_TRY(
            open_topic(life, "outcomes", world->outcome_batch, "known_at", &life->outcomes, err));
        MR_TRY(
            producer_place(life, life->outcomes, world->acked_outcomes, &life->sent_outcomes, err));
    }
    return open_pipeline(life, err);
}

static void life_close(sim_life *life)
{
    mr_pipeline_close(life->pipeline);
    mr_plan_release(life->plan);
    mr_topic_close(life->payments);
    mr_topic_close(life->outcomes);
    mr_log_close(life->log);
    *life = (sim_life){.world = life->world};
}

static mr_status send(sim_life *life, mr_topic *topic, mr_batch *records, uint64_t *sent,
                      uint64_t *acked, mr_error *err)
{
    sim_world *world = life->world;
    if (*sent == records->row_count)
        return MR_OK;
    uint64_t wanted = 1 + below(world, 12), rows = MR_MIN(wanted, records->row_count - *sent);
    mr_batch *slice;
    MR_TRY(mr_batch_slice(records, *sent, rows, &slice, err));
    mr_append what = {.batch = slice,
                      .producer_id = PRODUCER_ID,
                      .producer_epoch = 1,
                      .sequence_first = *sent,
                      .sequence_next = *sent + rows};
    mr_appended done;
    mr_status status = mr_topic_append_commit(topic, 0, &what, &done, err);
    mr_batch_release(slice);
    if (status != MR_OK)
        return status;
    *sent += rows;
    *acked = *sent;
    return MR_OK;
}

/* A few steps; sometimes a clean stop and a new start. */
static mr_status work(sim_life *life, mr_error *err)
{
    uint32_t rows;
    for (uint64_t steps = 1 + below(life->world, 4); steps > 0; steps--) {
        mr_status status = mr_pipeline_step(life->pipeline, &rows, err);
        if (status != MR_OK)
            return status;
    }
    if (below(life->world, 40) != 0)
        return MR_OK;
    MR_TRY(mr_pipeline_stop(life->pipeline, err));
    mr_pipeline_close(life->pipeline);
    mr_plan_release(life->plan);
    life->pipeline = NULL;
    life->plan = NULL;
    return open_pipeline(life, err);
}

static mr_status act(sim_life *life, mr_error *err)
{
    sim_world *world = life->world;
    int64_t tick_ns;
    switch (below(world, 6)) {
    case 0:
    case 1:
        return send(life, life->payments, world->payment_batch, &life->sent_payments,
                    &world->acked_payments, err);
    case 2:
        return world->two_sources ? send(life, life->outcomes, world->outcome_batch,
                                         &life->sent_outcomes, &world->acked_outcomes, err)
                                  : MR_OK;
    case 3:
        mr_clock_sim_advance(&world->clock, (int64_t)below(world, 80) * 1000000);
        return mr_log_tick(life->log, &tick_ns, err);
    default:
        return work(life, err);
    }
}

static bool life_done(const sim_life *life)
{
    const sim_world *world = life->world;
    mr_pipeline_stats stats;
    mr_pipeline_stats_get(life->pipeline, &stats);
    return life->sent_payments == world->payments && life->sent_outcomes == world->outcomes &&
           stats.position == (uint64_t)world->payments + world->outcomes;
}

/* ---- what can be seen ---- */

static mr_status read_topic(sim_world *world, mr_log *log, const char *name, mr_bytes *out,
                            mr_error *err)
{
    mr_topic *topic;
    mr_log_reader *reader = NULL;
    mr_status status = mr_topic_open(log, name, &topic, err);
    if (status == MR_NOT_FOUND) {
        mr_error_clear(err);
        return MR_OK;
    }
    MR_TRY(status);
    mr_encoder_options json = {.format = MR_FORMAT_JSONL};
    status = mr_log_reader_open(topic, 0, (mr_log_start){.kind = MR_LOG_START_FIRST}, NULL, &reader,
                                err);
    while (status == MR_OK) {
        mr_log_block block;
        status = mr_log_reader_next(reader, &block, err);
        if (status == MR_OK) {
            mr_encode_rows(&json, block.batch, 0, block.batch->row_count, out);
            mr_log_block_release(&block);
        }
    }
    mr_log_reader_close(reader);
    mr_topic_close(topic);
    (void)world;
    return status == MR_END ? MR_OK : status;
}

static mr_status check_prefix(sim_life *life, mr_error *err)
{
    sim_world *world = life->world;
    if (world->reference.size == 0)
        return MR_OK;
    mr_bytes seen = {0};
    mr_status status = read_topic(world, life->log, "decisions", &seen, err);
    if (status == MR_OK &&
        (seen.size > world->reference.size ||
         (seen.size > 0 && memcmp(seen.data, world->reference.data, seen.size) != 0)))
        status =
            BROKEN(world, "the %zu bytes of decisions seen are not a beginning of the %zu expected",
                   seen.size, world->reference.size);
    mr_bytes_deinit(&seen);
    return status;
}

/* ---- trouble ---- */

static void plan_trouble(sim_world *world)
{
    static const mr_fs_op ops[] = {MR_FS_READ, MR_FS_WRITE, MR_FS_SYNC};
    mr_fs_sim_crash_after(world->disk, below(world, 400));
    if (below(world, 4) == 0)
        mr_fs_sim_fail_after(world->disk, ops[below(world, 3)], below(world, 200),
                             below(world, 4) == 0 ? MR_FULL : MR_IO, below(world, 2) == 0);
}

/* What a fault may make of a call: the process then ends as if killed. */
static bool is_trouble(mr_status status)
{
    return status == MR_INTERRUPTED || status == MR_IO || status == MR_FULL;
}

static mr_status not_done(const sim_life *life)
{
    const sim_world *world = life->world;
    mr_pipeline_stats stats;
    mr_pipeline_stats_get(life->pipeline, &stats);
    return BROKEN(life->world,
                  "not done after %d actions: %llu of %u payments and %llu of %u outcomes sent, "
                  "position %llu",
                  ACTIONS_MAX, (unsigned long long)life->sent_payments, world->payments,
                  (unsigned long long)life->sent_outcomes, world->outcomes,
                  (unsigned long long)stats.position);
}

static mr_status live(sim_world *world, bool last, bool *out_done, sim_result *out, mr_error *err)
{
    sim_life life = {.world = world};
    *out_done = false;
    if (world->options.trouble && !last)
        plan_trouble(world);
    else
        mr_fs_sim_heal(world->disk);
    mr_status status = life_open(&life, err);
    if (status == MR_OK)
        status = check_prefix(&life, err);
    for (int actions = 0; status == MR_OK && !*out_done; actions++) {
        if (actions == ACTIONS_MAX)
            status = not_done(&life);
        else
            status = act(&life, err);
        *out_done = status == MR_OK && life_done(&life);
    }
    if (*out_done)
        status = mr_pipeline_stop(life.pipeline, err);
    mr_bytes_clear(&out->decisions); /* an earlier life may have died while reading */
    mr_bytes_clear(&out->others);
    if (status == MR_OK && *out_done)
        status = read_topic(world, life.log, "decisions", &out->decisions, err);
    static const char *const others[] = {"blocked", "hours", "visits", "sim.dead"};
    for (size_t i = 0; i < MR_COUNT_OF(others) && status == MR_OK && *out_done; i++)
        status = read_topic(world, life.log, others[i], &out->others, err);
    *out_done = *out_done && status == MR_OK;
    bool killed = is_trouble(status) || below(world, 2) == 0;
    life_close(&life);
    if (killed || mr_fs_sim_is_down(world->disk))
        mr_fs_sim_crash(world->disk);
    if (is_trouble(status) && !last && world->options.trouble) {
        mr_error_clear(err);
        return MR_OK;
    }
    return status;
}

/* Forgets state and decisions, keeps the journal and the sources, and lets the pipeline do it all again. */
static mr_status check_replay(sim_world *world, const mr_bytes *expected, mr_error *err)
{
    sim_life life = {.world = world};
    mr_bytes again = {0};
    mr_fs *fs = mr_fs_sim_fs(world->disk);
    mr_fs_sim_heal(world->disk);
    mr_status status = mr_log_open(fs, &world->clock.clock, "/home", &life.log, err);
    if (status == MR_OK)
        status = mr_topic_delete(life.log, "decisions", err);
    if (status == MR_OK)
        status = mr_fs_remove_tree(fs, "/home/pipelines/sim/checkpoints", err);
    if (status == MR_OK)
        status = open_pipeline(&life, err);
    if (status == MR_OK)
        status = mr_pipeline_stop(life.pipeline, err);
    if (status == MR_OK)
        status = read_topic(world, life.log, "decisions", &again, err);
    if (status == MR_OK &&
        (again.size != expected->size || memcmp(again.data, expected->data, again.size) != 0))
        status = BROKEN(world, "a replay of the journal gives %zu bytes of decisions, %zu expected",
                        again.size, expected->size);
    life_close(&life);
    mr_bytes_deinit(&again);
    return status;
}

/* ---- worlds ---- */

static mr_status world_open(sim_world *world, mr_error *err)
{
    mr_random_seeded_init(&world->random, world->options.seed);
    world->two_sources = below(world, 3) == 0;
    world->payments =
        world->options.records > 0 ? world->options.records : 20 + (uint32_t)below(world, 80);
    world->outcomes = world->two_sources ? 5 + (uint32_t)below(world, 30) : 0;
    world->memory_bytes = below(world, 4) == 0 ? 1u << 21 : 1u << 28;
    mr_clock_sim_init(&world->clock, START_US);
    MR_TRY(make_payments(world, err));
    if (world->two_sources)
        MR_TRY(make_outcomes(world, err));
    /* The same records for the reference and the troubled run; what follows may differ. */
    mr_random_seeded_init(&world->random,
                          world->options.seed ^ (world->options.trouble ? 0x5eed : 0));
    return mr_fs_sim_create(&(mr_fs_sim_options){.seed = world->options.seed}, &world->disk, err);
}

static void world_close(sim_world *world)
{
    mr_fs_sim_destroy(world->disk);
    mr_batch_release(world->payment_batch);
    mr_batch_release(world->outcome_batch);
}

static mr_status run_world(sim_world *world, sim_result *out, mr_error *err)
{
    MR_TRY(world_open(world, err));
    bool done = false;
    for (out->lives = 0; !done; out->lives++)
        MR_TRY(live(world, out->lives >= LIVES_MAX, &done, out, err));
    out->disk_changes = mr_fs_sim_changes(world->disk);
    return world->two_sources ? check_replay(world, &out->decisions, err) : MR_OK;
}

static mr_status run_with(const sim_options *options, const mr_bytes *reference, sim_result *out,
                          mr_error *err)
{
    *out = (sim_result){0};
    sim_world world = {.options = *options, .err = err};
    if (reference != NULL)
        world.reference = *reference;
    mr_status status = run_world(&world, out, err);
    world_close(&world);
    return status;
}

mr_status sim_run(const sim_options *options, sim_result *out, mr_error *err)
{
    return run_with(options, NULL, out, err);
}

static bool same_bytes(const mr_bytes *a, const mr_bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static mr_status compare(sim_result *calm, sim_result *troubled, uint64_t seed, mr_error *err)
{
    bool same = same_bytes(&calm->decisions, &troubled->decisions) &&
                same_bytes(&calm->others, &troubled->others);
    return same ? MR_OK
                : MR_FAIL(err, MR_INTERNAL,
                          "seed %llu: decisions (%zu bytes, %zu expected) or other sinks (%zu, "
                          "%zu) differ from the "
                          "run without trouble",
                          (unsigned long long)seed, troubled->decisions.size, calm->decisions.size,
                          troubled->others.size, calm->others.size);
}

/* With two sources the order of taking depends on who is silent when, so the two runs may rightly differ; there
 * the world compares with a replay of its own journal. */
mr_status sim_check(uint64_t seed, mr_error *err)
{
    static const uint32_t cuts[] = {1, 3, 7, 64};
    mr_random_seeded random;
    mr_random_seeded_init(&random, seed);
    bool two_sources = mr_random_below(&random, 3) == 0;
    sim_result calm = {0}, troubled = {0};
    sim_options options = {.seed = seed, .batch_rows_max = cuts[seed % 4]};
    mr_status status = two_sources ? MR_OK : sim_run(&options, &calm, err);
    options.trouble = true;
    options.batch_rows_max = cuts[seed / 4 % 4];
    if (status == MR_OK)
        status = run_with(&options, two_sources ? NULL : &calm.decisions, &troubled, err);
    if (status == MR_OK && !two_sources)
        status = compare(&calm, &troubled, seed, err);
    mr_bytes_deinit(&calm.decisions);
    mr_bytes_deinit(&calm.others);
    mr_bytes_deinit(&troubled.decisions);
    mr_bytes_deinit(&troubled.others);
    return status;
}
