/* emit_test.c -- emitting windows against a model that keeps every record, for any cut and after interruptions. */
#include "test/flow.h"

#include "base/assert.h"
#include "base/time.h"
#include "data/encoder.h"
#include "pipeline/emit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS     1500
#define START    INT64_C(1522540800000000)
#define MINUTE   INT64_C(60000000)
#define JUMP_US  INT64_C(86400000000)
#define OPEN_MAX 4096

typedef struct event {
    int64_t at;
    char shop; /* 0: NULL */
    int64_t amount;
} event;

typedef struct window_rule {
    bool session;
    int64_t width, hop, gap, lateness;
} window_rule;

/* What the model keeps of a pending window. */
typedef struct open_window {
    char shop;
    int64_t start, end; /* sessions: first and last time */
    int64_t count, sum, max;
} open_window;

/* ---- the model ---- */

static void print_row(const open_window *window, int64_t end, mr_bytes *out)
{
    char from[MR_TIME_TEXT_MAX + 1], to[MR_TIME_TEXT_MAX + 1];
    from[mr_time_format(window->start, from)] = '\0';
    to[mr_time_format(end, to)] = '\0';
    mr_bytes_printf(out,
                    "{\"shop\":\"%c\",\"window_start\":\"%s\",\"window_end\":\"%s\",\"n\":%lld,"
                    "\"total\":%lld,\"most\":%lld}\n",
                    window->shop, from, to, (long long)window->count, (long long)window->sum,
                    (long long)window->max);
}

static int64_t due_of(const window_rule *rule, const open_window *window)
{
    return window->end + rule->lateness + (rule->session ? rule->gap : 0);
}

static void model_emit(const window_rule *rule, open_window *open, size_t *count, int64_t watermark,
                       mr_bytes *out)
{
    for (;;) {
        size_t best = *count;
        for (size_t i = 0; i < *count; i++) {
            if (due_of(rule, &open[i]) > watermark)
                continue;
            if (best == *count || due_of(rule, &open[i]) < due_of(rule, &open[best]) ||
                (due_of(rule, &open[i]) == due_of(rule, &open[best]) &&
                 open[i].shop < open[best].shop))
                best = i;
        }
        if (best == *count)
            return;
        print_row(&open[best], open[best].end + (rule->session ? rule->gap : 0), out);
        open[best] = open[--*count];
    }
}

static void model_add(open_window *window, const event *one)
{
    window->sum += one->amount;
    window->max = window->count++ == 0 ? one->amount : MR_MAX(window->max, one->amount);
}

static bool model_session(const window_rule *rule, open_window *open, size_t *count,
                          const event *one, int64_t watermark)
{
    if (one->at + rule->gap + rule->lateness <= watermark)
        return false;
    open_window merged = {.shop = one->shop, .start = one->at, .end = one->at};
    model_add(&merged, one);
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < *count && !again; i++) {
            if (open[i].shop != one->shop || open[i].start > merged.end + rule->gap ||
                open[i].end < merged.start - rule->gap)
                continue;
            merged.start = MR_MIN(merged.start, open[i].start);
            merged.end = MR_MAX(merged.end, open[i].end);
            merged.count += open[i].count;
            merged.sum += open[i].sum;
            merged.max = MR_MAX(merged.max, open[i].max);
            open[i] = open[--*count];
            again = true;
        }
    }
    open[(*count)++] = merged;
    return true;
}

static bool model_windows(const window_rule *rule, open_window *open, size_t *count,
                          const event *one, int64_t watermark)
{
    bool taken = false;
    for (int64_t start = one->at - one->at % rule->hop; start > one->at - rule->width;
         start -= rule->hop) {
        if (start + rule->width + rule->lateness <= watermark)
            continue;
        size_t at = 0;
        while (at < *count && (open[at].shop != one->shop || open[at].start != start))
            at++;
        if (at == *count)
            open[(*count)++] =
                (open_window){.shop = one->shop, .start = start, .end = start + rule->width};
        model_add(&open[at], one);
        taken = true;
    }
    return taken;
}

static size_t model_run(const window_rule *rule, const event *events, size_t event_count,
                        mr_bytes *out)
{
    static open_window open[OPEN_MAX];
    size_t count = 0, late = 0;
    int64_t watermark = INT64_MIN, candidate = INT64_MIN;
    for (size_t i = 0; i < event_count; i++) {
        const event *one = &events[i];
        if (watermark != INT64_MIN && one->at <= watermark + JUMP_US) {
            watermark = MR_MAX(watermark, one->at);
            candidate = INT64_MIN;
        } else {
            if (candidate != INT64_MIN && one->at >= candidate - JUMP_US)
                watermark = MR_MAX(watermark, MR_MIN(candidate, one->at));
            candidate = one->at;
        }
        if (watermark != INT64_MIN)
            model_emit(rule, open, &count, watermark, out);
        if (one->shop == 0)
            continue;
        assert_true(count + 64 < OPEN_MAX);
        late += !(rule->session ? model_session(rule, open, &count, one, watermark)
                                : model_windows(rule, open, &count, one, watermark));
    }
    return late;
}

/* ---- events ---- */

static void make_events(event *events, uint64_t salt)
{
    mr_random_seeded random = mr_test_random(salt);
    int64_t at = START;
    for (size_t i = 0; i < ROWS; i++) {
        at += (int64_t)mr_random_below(&random, 90) * 1000000;
        int64_t late =
            mr_random_below(&random, 5) == 0 ? (int64_t)mr_random_below(&random, 20) * MINUTE : 0;
        events[i].at = at - late;
        if (mr_random_below(&random, 200) == 0)
            at += 3 * JUMP_US; /* a real gap in the data */
        if (mr_random_below(&random, 150) == 0)
            events[i].at = INT64_C(253402300799000000); /* a record from the year 9999 */
        events[i].shop =
            mr_random_below(&random, 30) == 0 ? 0 : (char)('a' + mr_random_below(&random, 4));
        events[i].amount = (int64_t)mr_random_below(&random, 1000) - 300;
    }
}

static mr_batch *to_batch(const event *events)
{
    mr_error err = {0};
    mr_schema *schema;
    mr_builder builder;
    mr_batch *batch;
    const char *text = "at: timestamp, shop: string null, amount: int64";
    assert_ok(mr_schema_parse(text, strlen(text), &schema, &err), &err);
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (size_t i = 0; i < ROWS; i++) {
        mr_builder_int64(&builder.columns[0], events[i].at);
        if (events[i].shop == 0)
            mr_builder_null(&builder.columns[1]);
        else
            mr_builder_text(&builder.columns[1], &events[i].shop, 1);
        mr_builder_int64(&builder.columns[2], events[i].amount);
    }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    return batch;
}

/* ---- runs ---- */

static const char *const plan_form = "pipeline: %s\n"
                                     "sources: {sales: {topic: sales, event_time: at}}\n"
                                     "aggregate:\n"
                                     "  w: {key: shop, window: %s, lateness: %dm,\n"
                                     "      aggregates: {n: count(), total: sum(amount), most: "
                                     "max(amount)}, sink: {topic: %s-out, sync: os}}\n";

static void check(const mr_bytes *expected, mr_flow *flow, const char *name)
{
    char topic[64];
    mr_bytes seen = {0};
    (void)snprintf(topic, sizeof topic, "%s-out", name);
    mr_flow_read(flow, topic, &seen);
    if (seen.size != expected->size || memcmp(seen.data, expected->data, seen.size) != 0) {
        size_t at = 0;
        while (at < seen.size && at < expected->size && seen.data[at] == expected->data[at])
            at++;
        while (at > 0 && expected->data[at - 1] != '\n')
            at--;
        fail_msg("%s: %zu bytes, %zu expected; first difference:\n%.150s\nexpected\n%.150s", name,
                 seen.size, expected->size, seen.size > at ? (const char *)seen.data + at : "",
                 expected->size > at ? (const char *)expected->data + at : "");
    }
    mr_bytes_deinit(&seen);
}

static void check_rule(const window_rule *rule, const char *window, uint64_t salt)
{
    static const uint32_t cuts[] = {1, 13, 4096};
    event events[ROWS];
    mr_flow flow;
    mr_bytes expected = {0};
    make_events(events, salt);
    size_t late = model_run(rule, events, ROWS, &expected);
    assert_true(expected.size > 1000);
    mr_batch *batch = to_batch(events);
    mr_flow_open(&flow, NULL);
    mr_flow_append(&flow, "sales", "at", batch);
    for (size_t i = 0; i < MR_COUNT_OF(cuts); i++) {
        char name[32], plan[2048];
        (void)snprintf(name, sizeof name, "cut%u", cuts[i]);
        (void)snprintf(plan, sizeof plan, plan_form, name, window, (int)(rule->lateness / MINUTE),
                       name);
        mr_pipeline_options options = {.workers = (int)i + 1, .batch_rows_max = cuts[i]};
        mr_flow_run(&flow, plan, &options);
        check(&expected, &flow, name);
        (void)snprintf(plan, sizeof plan, "%s.dead", name);
        mr_batch *dead = mr_flow_batch(&flow, plan);
        assert_int_equal(dead != NULL ? dead->row_count : 0, late);
        mr_batch_release(dead);
    }
    mr_batch_release(batch);
    mr_flow_close(&flow);
    mr_bytes_deinit(&expected);
}

TEST(emit, tumbling_windows_equal_the_model)
{
    check_rule(&(window_rule){.width = 10 * MINUTE, .hop = 10 * MINUTE}, "tumbling 10m", 1);
    check_rule(&(window_rule){.width = 10 * MINUTE, .hop = 10 * MINUTE, .lateness = 5 * MINUTE},
               "tumbling 10m", 2);
}

TEST(emit, hopping_windows_equal_the_model)
{
    check_rule(&(window_rule){.width = 30 * MINUTE, .hop = 5 * MINUTE}, "hopping 30m every 5m", 3);
    check_rule(&(window_rule){.width = 7 * MINUTE, .hop = 3 * MINUTE, .lateness = 10 * MINUTE},
               "hopping 7m every 3m", 4);
}

TEST(emit, sessions_equal_the_model)
{
    check_rule(&(window_rule){.session = true, .gap = 3 * MINUTE}, "session 3m", 5);
    check_rule(&(window_rule){.session = true, .gap = 2 * MINUTE, .lateness = 15 * MINUTE},
               "session 2m", 6);
}

/* Interrupted again and again, with checkpoints all the time. */
TEST(emit, windows_survive_interruptions)
{
    static const struct {
        const char *window;
        window_rule rule;
    } cases[] = {
        {"hopping 20m every 5m", {.width = 20 * MINUTE, .hop = 5 * MINUTE, .lateness = 2 * MINUTE}},
        {"session 4m", {.session = true, .gap = 4 * MINUTE, .lateness = 2 * MINUTE}}};
    for (size_t c = 0; c < MR_COUNT_OF(cases); c++) {
        event events[ROWS];
        mr_flow flow;
        mr_error err = {0};
        mr_bytes expected = {0}, calm = {0};
        char text[2048];
        make_events(events, 10 + c);
        model_run(&cases[c].rule, events, ROWS, &expected);
        mr_batch *batch = to_batch(events);
        mr_flow_open(&flow, NULL);
        (void)snprintf(text, sizeof text, plan_form, "calm", cases[c].window, 2, "calm");
        mr_flow_append(&flow, "sales", "at", batch);
        mr_flow_run(&flow, text, NULL);
        mr_flow_read(&flow, "calm-out", &calm);
        check(&expected, &flow, "calm");
        (void)snprintf(text, sizeof text, plan_form, "torn", cases[c].window, 2, "torn");
        for (bool done = false; !done;) {
            mr_plan *plan;
            mr_pipeline *pipeline;
            assert_ok(mr_plan_compile(mr_fs_real(), flow.log, NULL, text, strlen(text), "t.yaml",
                                      "", &plan, &err),
                      &err);
            mr_pipeline_options options = {.log = flow.log,
                                           .fs = mr_fs_real(),
                                           .clock = mr_clock_real(),
                                           .home = flow.home,
                                           .workers = 2,
                                           .checkpoint_interval_ms = 1,
                                           .batch_rows_max = 17};
            assert_ok(mr_pipeline_open(plan, &options, &pipeline, &err), &err);
            uint32_t rows = 1;
            for (int steps = 0; steps < 23 && rows > 0; steps++)
                assert_ok(mr_pipeline_step(pipeline, &rows, &err), &err);
            done = rows == 0;
            mr_pipeline_close(pipeline);
            mr_plan_release(plan);
        }
        check(&calm, &flow, "torn");
        mr_batch_release(batch);
        mr_flow_close(&flow);
        mr_bytes_deinit(&expected);
        mr_bytes_deinit(&calm);
    }
}

TEST(emit, one_record_from_the_future_closes_no_window)
{
    emit_watermark watermark;
    emit_watermark_init(&watermark);
    assert_true(emit_watermark_take(&watermark, START) == INT64_MIN);
    assert_true(emit_watermark_take(&watermark, START + 5) == START);
    assert_true(emit_watermark_take(&watermark, START + 9) == START + 9);
    assert_true(emit_watermark_take(&watermark, START + 400 * JUMP_US) == START + 9);
    assert_true(emit_watermark_take(&watermark, START + 10) == START + 10);
    assert_true(emit_watermark_take(&watermark, START + 3 * JUMP_US) == START + 10);
    assert_true(emit_watermark_take(&watermark, START + 3 * JUMP_US + 7) == START + 3 * JUMP_US);
    assert_true(emit_watermark_take(&watermark, START) == START + 3 * JUMP_US);
}

TEST(emit, windows_start_at_multiples_of_the_hop)
{
    assert_true(emit_window_start(17, 5) == 15);
    assert_true(emit_window_start(15, 5) == 15);
    assert_true(emit_window_start(-1, 5) == -5);
    assert_true(emit_window_start(-5, 5) == -5);
    assert_true(emit_window_start(INT64_MIN, 7) == INT64_MIN);
}
