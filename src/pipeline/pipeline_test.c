/* pipeline_test.c -- what spans the files of this room: partitions, idle sources, checks, failing allocations,
 * changed plans, questions. */
#include "test/flow.h"

#include "base/assert.h"
#include "os/fs_sim.h"

#include <stdio.h>
#include <string.h>

#define PAYMENTS "tx: int64, at: timestamp, customer: int64, amount: float64"

static const char *const header = "tx,at,customer,amount\n";

static void assert_topic(mr_flow *flow, const char *topic, const char *expected)
{
    mr_bytes seen = {0};
    mr_flow_read(flow, topic, &seen);
    assert_string_equal(seen.size > 0 ? mr_bytes_text(&seen) : "", expected);
    mr_bytes_deinit(&seen);
}

TEST(pipeline, joins_partitions_by_event_time)
{
    mr_flow flow;
    mr_error err = {0};
    mr_schema *schema;
    mr_topic *topic;
    mr_flow_open(&flow, NULL);
    assert_ok(mr_schema_parse(PAYMENTS, strlen(PAYMENTS), &schema, &err), &err);
    mr_topic_options options = {.partition_count = 3, .event_time = "at"};
    assert_ok(mr_topic_create(flow.log, "payments", &options, schema, &err), &err);
    assert_ok(mr_topic_open(flow.log, "payments", &topic, &err), &err);
    for (uint32_t partition = 0; partition < 3; partition++) {
        mr_builder builder;
        mr_batch *batch;
        assert_ok(mr_builder_init(&builder, schema, &err), &err);
        for (int64_t i = 0; i < 4; i++) {
            mr_builder_int64(&builder.columns[0], i * 3 + partition);
            mr_builder_int64(&builder.columns[1], (i * 3 + partition) * 1000000);
            mr_builder_int64(&builder.columns[2], 7);
            mr_builder_float64(&builder.columns[3], 1);
        }
        assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
        mr_append what = {.batch = batch};
        mr_appended done;
        assert_ok(mr_topic_append_commit(topic, partition, &what, &done, &err), &err);
        mr_batch_release(batch);
        mr_builder_deinit(&builder);
    }
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_flow_run(&flow,
                "pipeline: p\nsources: {payments: {topic: payments, event_time: at}}\n"
                "features: {c: {key: customer, windows: [lifetime], aggregates: {n: count()}}}\n"
                "sink: {topic: out, columns: [tx, c_n_lifetime]}\n",
                NULL);
    assert_topic(&flow, "out",
                 "{\"tx\":0,\"c_n_lifetime\":1}\n{\"tx\":1,\"c_n_lifetime\":2}\n{\"tx\":2,\"c_n_"
                 "lifetime\":3}\n"
                 "{\"tx\":3,\"c_n_lifetime\":4}\n{\"tx\":4,\"c_n_lifetime\":5}\n{\"tx\":5,\"c_n_"
                 "lifetime\":6}\n"
                 "{\"tx\":6,\"c_n_lifetime\":7}\n{\"tx\":7,\"c_n_lifetime\":8}\n{\"tx\":8,\"c_n_"
                 "lifetime\":9}\n"
                 "{\"tx\":9,\"c_n_lifetime\":10}\n{\"tx\":10,\"c_n_lifetime\":11}\n{\"tx\":11,\"c_"
                 "n_lifetime\":12}\n");
    mr_flow_close(&flow);
}

TEST(pipeline, at_equal_times_what_became_known_comes_first)
{
    mr_flow flow;
    mr_flow_open(&flow, NULL);
    mr_flow_append_csv(
        &flow, "payments", "at", PAYMENTS,
        "tx,at,customer,amount\n1,2024-01-01T00:00:10Z,1,5\n2,2024-01-01T00:00:20Z,1,5\n");
    mr_flow_append_csv(
        &flow, "outcomes", "at", "at: timestamp, customer: int64, fraud: int64",
        "at,customer,fraud\n2024-01-01T00:00:10Z,1,1\n2024-01-01T00:00:20.000001Z,1,0\n");
    mr_flow_run(&flow,
                "pipeline: p\nsources:\n  payments: {topic: payments, event_time: at}\n"
                "  outcomes: {topic: outcomes, event_time: at}\non: payments\n"
                "features: {c: {from: outcomes, key: customer, windows: [1d], aggregates: {n: "
                "count(), bad: sum(fraud)}}}\n"
                "sink: {topic: out, columns: [tx, c_n_1d, c_bad_1d]}\n",
                NULL);
    assert_topic(
        &flow, "out",
        "{\"tx\":1,\"c_n_1d\":1,\"c_bad_1d\":1}\n{\"tx\":2,\"c_n_1d\":1,\"c_bad_1d\":1}\n");
    mr_flow_close(&flow);
}

TEST(pipeline, records_that_fail_their_check_go_to_the_dead_letters)
{
    mr_flow flow;
    mr_flow_open(&flow, NULL);
    mr_flow_append_csv(
        &flow, "payments", "at", PAYMENTS,
        "tx,at,customer,amount\n1,2024-01-01T00:00:10Z,1,5\n2,2024-01-01T00:00:20Z,1,-5\n"
        "3,2024-01-01T00:00:30Z,1,6\n");
    mr_flow_run(
        &flow,
        "pipeline: p\nsources: {payments: {topic: payments, event_time: at, check: amount >= 0}}\n"
        "sink: {topic: out, columns: [tx]}\n",
        NULL);
    assert_topic(&flow, "out", "{\"tx\":1}\n{\"tx\":3}\n");
    mr_batch *dead = mr_flow_batch(&flow, "p.dead");
    assert_int_equal(dead->row_count, 1);
    mr_text place = mr_column_text(&dead->columns[1], 0),
            record = mr_column_text(&dead->columns[4], 0);
    static const char *const where = "default/default/payments/0@1";
    static const char *const what =
        "{\"tx\":2,\"at\":\"2024-01-01T00:00:20Z\",\"customer\":1,\"amount\":-5}";
    assert_int_equal(place.size, strlen(where));
    assert_memory_equal(place.bytes, where, place.size);
    assert_int_equal(record.size, strlen(what));
    assert_memory_equal(record.bytes, what, record.size);
    mr_batch_release(dead);
    mr_flow_close(&flow);
}

/* A source that says nothing holds the other up for its `idle`, and no longer. */
TEST(pipeline, a_silent_source_does_not_hold_up_the_other_for_ever)
{
    mr_flow flow;
    mr_error err = {0};
    mr_plan *plan;
    mr_pipeline *pipeline;
    mr_clock_sim clock;
    uint32_t rows;
    const char *yaml = "pipeline: p\nsources:\n  payments: {topic: payments, event_time: at}\n"
                       "  outcomes: {topic: outcomes, event_time: at, idle: 2s, schema: {at: "
                       "timestamp, customer: int64}}\n"
                       "on: payments\nsink: {topic: out, columns: [tx]}\n";
    mr_flow_open(&flow, NULL);
    mr_flow_append_csv(&flow, "payments", "at", PAYMENTS,
                       "tx,at,customer,amount\n1,2024-01-01T00:00:10Z,1,5\n");
    mr_clock_sim_init(&clock, 0);
    assert_ok(mr_plan_compile(mr_fs_real(), flow.log, NULL, yaml, strlen(yaml), "t.yaml", "", &plan,
                              &err),
              &err);
    mr_pipeline_options options = {.log = flow.log,
                                   .fs = mr_fs_real(),
                                   .clock = &clock.clock,
                                   .home = flow.home,
                                   .stepped = true};
    assert_ok(mr_pipeline_open(plan, &options, &pipeline, &err), &err);
    assert_ok(mr_pipeline_step(pipeline, &rows, &err), &err);
    assert_int_equal(rows, 0);
    mr_clock_sim_advance(&clock, INT64_C(1999999999));
    assert_ok(mr_pipeline_step(pipeline, &rows, &err), &err);
    assert_int_equal(rows, 0);
    mr_clock_sim_advance(&clock, 2);
    assert_ok(mr_pipeline_step(pipeline, &rows, &err), &err);
    assert_int_equal(rows, 1);
    mr_pipeline_close(pipeline);
    mr_plan_release(plan);
    mr_flow_close(&flow);
}

/* ---- changed plans ---- */

static const char *const first_plan =
    "pipeline: p\nsources: {payments: {topic: payments, event_time: at}}\n"
    "features: {c: {key: customer, windows: [lifetime], aggregates: {n: count()}}}\n"
    "sink: {topic: out, columns: [tx, c_n_lifetime]}\n";

TEST(pipeline, a_view_added_later_is_filled_by_replay)
{
    mr_flow flow;
    mr_flow_open(&flow, NULL);
    mr_flow_append_csv(
        &flow, "payments", "at", PAYMENTS,
        "tx,at,customer,amount\n1,2024-01-01T00:00:10Z,1,5\n2,2024-01-01T00:00:20Z,1,7\n");
    mr_flow_run(&flow, first_plan, NULL);
    mr_flow_append_csv(&flow, "payments", "at", PAYMENTS,
                       "tx,at,customer,amount\n3,2024-01-01T00:00:30Z,1,9\n");
    mr_flow_run(&flow,
                "pipeline: p\nsources: {payments: {topic: payments, event_time: at}}\n"
                "features:\n  c: {key: customer, windows: [lifetime], aggregates: {n: count()}}\n"
                "  d: {key: customer, windows: [1h], aggregates: {total: sum(amount)}}\n"
                "sink: {topic: out2, columns: [tx, c_n_lifetime, d_total_1h]}\n",
                NULL);
    assert_topic(&flow, "out", "{\"tx\":1,\"c_n_lifetime\":1}\n{\"tx\":2,\"c_n_lifetime\":2}\n");
    mr_bytes seen = {0};
    mr_flow_read(&flow, "out2", &seen);
    const char *last = strstr(mr_bytes_text(&seen), "{\"tx\":3");
    assert_non_null(last);
    assert_string_equal(last, "{\"tx\":3,\"c_n_lifetime\":3,\"d_total_1h\":21}\n");
    mr_bytes_deinit(&seen);
    mr_flow_close(&flow);
}

TEST(pipeline, answers_for_one_key_while_at_rest)
{
    mr_flow flow;
    mr_error err = {0};
    mr_plan *plan;
    mr_batch *values;
    mr_flow_open(&flow, NULL);
    mr_flow_append_csv(
        &flow, "payments", "at", PAYMENTS,
        "tx,at,customer,amount\n1,2024-01-01T00:00:10Z,1,5\n2,2024-01-01T00:00:20Z,1,7\n");
    mr_flow_run(&flow, first_plan, NULL);
    assert_ok(mr_plan_compile(mr_fs_real(), flow.log, NULL, first_plan, strlen(first_plan),
                              "t.yaml", "", &plan, &err),
              &err);
    mr_pipeline_options options = {.log = flow.log,
                                   .fs = mr_fs_real(),
                                   .clock = mr_clock_real(),
                                   .home = flow.home,
                                   .workers = 1};
    assert_ok(mr_pipeline_features_at_rest(plan, &options, "c", "1", &values, &err), &err);
    assert_int_equal(((const int64_t *)values->columns[0].values)[0], 2);
    mr_batch_release(values);
    assert_int_equal(mr_pipeline_features_at_rest(plan, &options, "nothing", "1", &values, &err),
                     MR_NOT_FOUND);
    assert_int_equal(mr_pipeline_features_at_rest(plan, &options, "c", "one", &values, &err),
                     MR_INVALID);
    mr_plan_release(plan);
    mr_flow_close(&flow);
}

/* ---- failing allocations ---- */

typedef struct scene {
    mr_fs_sim *disk;
    mr_clock_sim clock;
    mr_log *log;
} scene;

static mr_status run_scene(const scene *here, mr_error *err)
{
    mr_plan *plan = NULL;
    mr_pipeline *pipeline = NULL;
    uint32_t rows = 1;
    const char *yaml =
        "pipeline: p\nsources: {payments: {topic: payments, event_time: at, check: amount > 0}}\n"
        "derive: {big: amount > 6, share: amount / c_mean_1d}\n"
        "features: {c: {key: customer, windows: [1d, last 3], aggregates: {n: count(), mean: "
        "mean(amount), "
        "q: \"quantile(amount, 0.5)\"}}}\n"
        "decide: {action: \"case when big then 'stop' else 'go' end\"}\n"
        "sink: out\nroute: [{when: big, sink: bigs}]\n"
        "aggregate: {w: {key: customer, window: tumbling 10s, aggregates: {n: count()}, sink: "
        "wins}}\n";
    mr_fs *fs = mr_fs_sim_fs(here->disk);
    mr_status status =
        mr_plan_compile(fs, here->log, NULL, yaml, strlen(yaml), "t.yaml", "", &plan, err);
    mr_pipeline_options options = {.log = here->log,
                                   .fs = fs,
                                   .clock = (mr_clock *)(uintptr_t)&here->clock.clock,
                                   .home = "/home",
                                   .stepped = true,
                                   .checkpoint_interval_ms = 1};
    if (status == MR_OK)
        status = mr_pipeline_open(plan, &options, &pipeline, err);
    while (status == MR_OK && rows > 0)
        status = mr_pipeline_step(pipeline, &rows, err);
    if (status == MR_OK)
        status = mr_pipeline_stop(pipeline, err);
    mr_pipeline_close(pipeline);
    mr_plan_release(plan);
    return status;
}

static void fill_scene(scene *here)
{
    mr_error err = {0};
    mr_flow flow = {.home = "/home"};
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = 1}, &here->disk, &err), &err);
    mr_clock_sim_init(&here->clock, 0);
    assert_ok(mr_log_open(mr_fs_sim_fs(here->disk), &here->clock.clock, "/home", &flow.log, &err),
              &err);
    mr_bytes csv = {0};
    mr_bytes_append_text(&csv, header);
    for (int i = 0; i < 40; i++)
        mr_bytes_printf(&csv, "%d,2024-01-01T00:00:%02dZ,%d,%d\n", i, i, i % 3, i % 11);
    mr_flow_append_csv(&flow, "payments", "at", PAYMENTS, mr_bytes_text(&csv));
    mr_bytes_deinit(&csv);
    here->log = flow.log;
}

TEST(pipeline, survives_failing_allocations)
{
    scene calm = {0}, torn = {0};
    mr_error err = {0};
    mr_bytes expected = {0}, seen = {0};
    mr_flow flow = {.home = "/home"};
    fill_scene(&calm);
    assert_ok(run_scene(&calm, &err), &err);
    flow.log = calm.log;
    mr_flow_read(&flow, "out", &expected);
    fill_scene(&torn);
    mr_status status = MR_NO_MEMORY;
    for (int64_t n = 0; status != MR_OK; n += 1 + n / 24) {
        mr_error_clear(&err);
        mr_memory_fail_after(n, false);
        status = run_scene(&torn, &err);
        mr_memory_fail_after(-1, false);
        if (status != MR_OK && status != MR_NO_MEMORY)
            fail_msg("allocation %lld: %s: %s", (long long)n, mr_status_name(status), err.text);
        mr_clock_sim_advance(&torn.clock, 2000000);
    }
    flow.log = torn.log;
    mr_flow_read(&flow, "out", &seen);
    assert_int_equal(seen.size, expected.size);
    assert_memory_equal(seen.data, expected.data, seen.size);
    mr_log_close(calm.log);
    mr_log_close(torn.log);
    mr_fs_sim_destroy(calm.disk);
    mr_fs_sim_destroy(torn.disk);
    mr_bytes_deinit(&expected);
    mr_bytes_deinit(&seen);
}
