/* one_answer_test.c -- the same records give the same decisions, byte for byte: for any number of workers, any
 * micro-batch, live or replayed, from a topic or from a file, in one go or interrupted. */
#include "test/flow.h"

#include "base/assert.h"
#include "data/encoder.h"

#include <stdio.h>
#include <string.h>

#define ROWS   6000
#define SCHEMA "tx: int64, at: timestamp, customer: int64, shop: string, amount: float64 null"

static const char *const source_topic = "topic: payments";
static const char *const plan_form =
    "pipeline: %s\n"
    "sources: {payments: {%s, event_time: at, check: \"amount is null or amount >= 0\",\n"
    "  schema: {tx: int64, at: timestamp, customer: int64, shop: string, amount: \"float64 "
    "null\"}}}\n"
    "derive:\n"
    "  night: hour(at) <= 6\n"
    "  ratio: amount / customer_mean_1d\n"
    "filter: amount is null or amount < 99\n"
    "features:\n"
    "  customer: {key: customer, windows: [1h, 1d, 7d, last 5, day, lifetime],\n"
    "    aggregates: {n: count(), mean: mean(amount), high: max(amount), sd: stddev(amount),\n"
    "                 shops: distinct_count(shop), q: \"quantile(amount, 0.9)\"}}\n"
    "  shop: {key: shop, windows: [6h delayed 1h, half-life 2h], where: \"amount > 10\", "
    "aggregates: {total: sum(amount)}}\n"
    "decide:\n"
    "  action: \"case when ratio > 2 then 'block' when night then 'review' else 'allow' end\"\n"
    "sink: {topic: %s, sync: os}\n"
    "route: [{when: \"action = 'block'\", sink: {topic: %s-blocked, sync: os, columns: [tx, "
    "action, ratio]}}]\n";

static void write_plan(char *out, size_t bytes, const char *name, const char *source)
{
    (void)snprintf(out, bytes, plan_form, name, source, name, name);
}

static mr_batch *make_payments(uint32_t rows)
{
    mr_error err = {0};
    mr_schema *schema;
    mr_builder builder;
    mr_batch *batch;
    mr_random_seeded random = mr_test_random(1);
    int64_t at = INT64_C(1522540800000000);
    assert_ok(mr_schema_parse(SCHEMA, strlen(SCHEMA), &schema, &err), &err);
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (uint32_t i = 0; i < rows; i++) {
        char shop[16];
        int size = snprintf(shop, sizeof shop, "shop-%u", (unsigned)mr_random_below(&random, 40));
        at += (int64_t)mr_random_below(&random, 120) * 1000000;
        int64_t late = mr_random_below(&random, 10) == 0
                           ? (int64_t)mr_random_below(&random, 2000) * 1000000
                           : 0;
        mr_builder_int64(&builder.columns[0], i);
        mr_builder_int64(&builder.columns[1], at - late);
        mr_builder_int64(&builder.columns[2], (int64_t)mr_random_below(&random, 97));
        mr_builder_text(&builder.columns[3], shop, (size_t)size);
        if (mr_random_below(&random, 25) == 0)
            mr_builder_null(&builder.columns[4]);
        else
            mr_builder_float64(&builder.columns[4],
                               (double)mr_random_below(&random, 10200) / 100.0 - 1.0);
    }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    return batch;
}

/* A home whose payments came in blocks of odd sizes. */
static void fill(mr_flow *flow, const mr_batch *payments)
{
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(2);
    for (uint32_t row = 0; row < payments->row_count;) {
        uint32_t wanted = 1 + (uint32_t)mr_random_below(&random, 700);
        uint32_t rows = MR_MIN(wanted, payments->row_count - row);
        mr_batch *slice;
        assert_ok(mr_batch_slice(payments, row, rows, &slice, &err), &err);
        mr_flow_append(flow, "payments", "at", slice);
        mr_batch_release(slice);
        row += rows;
    }
}

static void assert_same(const mr_bytes *expected, const mr_bytes *seen, const char *what)
{
    if (expected->size != seen->size || memcmp(expected->data, seen->data, seen->size) != 0)
        fail_msg("%s: %zu bytes of decisions, %zu expected, or other ones", what, seen->size,
                 expected->size);
}

static void check_variant(mr_flow *flow, const char *name, const char *source,
                          const mr_pipeline_options *options, const mr_bytes *decisions,
                          const mr_bytes *blocked)
{
    char plan[4096], topic[64];
    mr_bytes seen = {0};
    write_plan(plan, sizeof plan, name, source);
    mr_flow_run(flow, plan, options);
    mr_flow_read(flow, name, &seen);
    assert_same(decisions, &seen, name);
    mr_bytes_clear(&seen);
    (void)snprintf(topic, sizeof topic, "%s-blocked", name);
    mr_flow_read(flow, topic, &seen);
    assert_same(blocked, &seen, topic);
    mr_bytes_deinit(&seen);
}

static void reference(mr_flow *flow, mr_bytes *decisions, mr_bytes *blocked)
{
    char plan[4096];
    write_plan(plan, sizeof plan, "reference", source_topic);
    mr_flow_run(flow, plan, NULL);
    mr_flow_read(flow, "reference", decisions);
    mr_flow_read(flow, "reference-blocked", blocked);
    assert_true(decisions->size > 100000);
    assert_true(blocked->size > 1000);
}

TEST(one_answer, for_any_workers_and_micro_batches)
{
    static const int workers[] = {1, 2, 5};
    static const uint32_t cuts[] = {1, 7, 4096};
    mr_flow flow;
    mr_bytes decisions = {0}, blocked = {0};
    mr_batch *payments = make_payments(ROWS);
    mr_flow_open(&flow, NULL);
    fill(&flow, payments);
    reference(&flow, &decisions, &blocked);
    for (size_t w = 0; w < MR_COUNT_OF(workers); w++) {
        for (size_t c = 0; c < MR_COUNT_OF(cuts); c++) {
            char name[64];
            (void)snprintf(name, sizeof name, "w%d-c%u", workers[w], cuts[c]);
            mr_pipeline_options options = {.workers = workers[w], .batch_rows_max = cuts[c]};
            check_variant(&flow, name, source_topic, &options, &decisions, &blocked);
        }
    }
    mr_flow_close(&flow);
    mr_batch_release(payments);
    mr_bytes_deinit(&decisions);
    mr_bytes_deinit(&blocked);
}

TEST(one_answer, from_a_file_as_from_a_topic)
{
    mr_flow flow;
    mr_error err = {0};
    mr_bytes decisions = {0}, blocked = {0}, text = {0};
    char path[MR_PATH_MAX + 32], source[MR_PATH_MAX + 64];
    mr_batch *payments = make_payments(ROWS);
    mr_flow_open(&flow, NULL);
    fill(&flow, payments);
    reference(&flow, &decisions, &blocked);
    mr_encoder_options csv = {.format = MR_FORMAT_CSV};
    mr_encode_header(&csv, payments->schema, &text);
    mr_encode_rows(&csv, payments, 0, payments->row_count, &text);
    (void)snprintf(path, sizeof path, "%s/payments.csv", flow.home);
    assert_ok(mr_fs_write_file(mr_fs_real(), path, text.data, text.size, &err), &err);
    (void)snprintf(source, sizeof source, "file: %s", path);
    check_variant(&flow, "file", source, NULL, &decisions, &blocked);
    mr_flow_close(&flow);
    mr_batch_release(payments);
    mr_bytes_deinit(&decisions);
    mr_bytes_deinit(&blocked);
    mr_bytes_deinit(&text);
}

/* Records come in three lots; in between the pipeline stops cleanly or dies without a word. */
TEST(one_answer, live_and_interrupted)
{
    mr_flow flow;
    mr_error err = {0};
    mr_bytes decisions = {0}, blocked = {0}, seen = {0};
    char text[4096];
    mr_batch *payments = make_payments(ROWS);
    mr_flow_open(&flow, NULL);
    fill(&flow, payments);
    reference(&flow, &decisions, &blocked);
    mr_flow_close(&flow);

    mr_flow_open(&flow, NULL);
    write_plan(text, sizeof text, "live", source_topic);
    mr_random_seeded random = mr_test_random(3);
    for (uint32_t row = 0; row < ROWS;) {
        mr_plan *plan;
        mr_pipeline *pipeline;
        uint32_t wanted = 500 + (uint32_t)mr_random_below(&random, 1500);
        uint32_t rows = MR_MIN(wanted, ROWS - row);
        mr_batch *slice;
        assert_ok(mr_batch_slice(payments, row, rows, &slice, &err), &err);
        mr_flow_append(&flow, "payments", "at", slice);
        mr_batch_release(slice);
        assert_ok(mr_plan_compile(mr_fs_real(), flow.log, NULL, text, strlen(text), "live.yaml",
                                  flow.home, &plan, &err),
                  &err);
        mr_pipeline_options options = {.log = flow.log,
                                       .fs = mr_fs_real(),
                                       .clock = mr_clock_real(),
                                       .home = flow.home,
                                       .workers = 2,
                                       .checkpoint_interval_ms = 1,
                                       .batch_rows_max = 64};
        assert_ok(mr_pipeline_open(plan, &options, &pipeline, &err), &err);
        for (uint32_t n = 1; n > 0;)
            assert_ok(mr_pipeline_step(pipeline, &n, &err), &err);
        if (mr_random_below(&random, 2) == 0)
            assert_ok(mr_pipeline_stop(pipeline, &err), &err);
        mr_pipeline_close(pipeline);
        mr_plan_release(plan);
        row += rows;
    }
    mr_flow_read(&flow, "live", &seen);
    assert_same(&decisions, &seen, "live");
    mr_flow_close(&flow);
    mr_batch_release(payments);
    mr_bytes_deinit(&decisions);
    mr_bytes_deinit(&blocked);
    mr_bytes_deinit(&seen);
}
