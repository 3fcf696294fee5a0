/* plan_test.c -- what a pipeline file may say, and where an error is found when it says something else. */
#include "test/test.h"

#include "base/assert.h"
#include "os/fs_sim.h"
#include "pipeline/pipeline.h"
#include "pipeline/spec.h"

#include <string.h>

#define HEAD                                                                                       \
    "pipeline: p\n"                                                                                \
    "sources:\n"                                                                                   \
    "  payments: {topic: payments, event_time: at, schema: {tx: int64, at: timestamp, customer: "  \
    "int64, amount: "                                                                              \
    "float64}}\n"

typedef struct wrong_plan {
    const char *text;
    const char *place;
    const char *message; /* a part of it */
} wrong_plan;

static const wrong_plan wrong[] = {
    {"", "t.yaml:1:1", "no document"},
    {"a: [1, 2", "t.yaml:2:1", "not valid YAML"},
    {"- 1\n- 2\n", "t.yaml:1:1", "the pipeline should be a mapping, found a sequence"},
    {"pipeline: p\npipeline: q\n", "t.yaml:2:1", "key pipeline appears twice; first at line 1"},
    {"pipeline: &a p\nsources: *a\n", "t.yaml:1:11", "anchors and tags"},
    {"pipeline: p\nsource: {}\n", "t.yaml:2:1", "has no key 'source'; did you mean 'sources'?"},
    {"pipeline: p\n", "t.yaml:1:1", "needs the key 'sources'"},
    {"pipeline: p q\nsources: {s: {topic: t, event_time: at}}\n", "t.yaml:1:11",
     "is no name for a pipeline"},
    {"pipeline: p\nsources: {s: {event_time: at}}\n", "t.yaml:2:14", "needs one of topic and file"},
    {"pipeline: p\nsources: {s: {topic: t, event_time: at}}\n", "t.yaml:2:22",
     "does not exist, so source s needs"},
    {"pipeline: p\nsources: {s: {topic: t, event_time: at, schema: {at: int65}}}\n", "t.yaml:2:54",
     "is no type"},
    {"pipeline: p\nsources: {s: {topic: t, event_time: at, schema: {at: int64}}}\n", "t.yaml:2:37",
     "must be a timestamp that is never NULL"},
    {"pipeline: p\nsources: {s: {topic: t, event_time: when, schema: {at: timestamp}}}\n",
     "t.yaml:2:37", "unknown column when"},
    {HEAD "on: outcomes\n", "t.yaml:4:5", "there is no source 'outcomes'"},
    {HEAD "derive:\n  big: amout > 3\n", "t.yaml:5:8", "did you mean amount"},
    {HEAD "derive: {amount: amount * 2}\n", "t.yaml:4:10", "column amount is there already"},
    {HEAD "derive: {big: amount >}\n", "t.yaml:4:", ""},
    {HEAD "filter: amount + 1\n", "t.yaml:4:9",
     "a condition is wanted here (bool), this is float64"},
    {HEAD "features:\n  c: {key: custmer, aggregates: {n: count()}}\n", "t.yaml:5:12",
     "did you mean customer"},
    {HEAD "features:\n  c: {aggregates: {n: count()}}\n", "t.yaml:5:6", "needs the key 'key'"},
    {HEAD "features:\n  c: {key: customer, windows: [7x], aggregates: {n: count()}}\n",
     "t.yaml:5:32", "'7x' is no window"},
    {HEAD "features:\n  c: {key: customer, aggregates: {n: cuont()}}\n", "t.yaml:5:38",
     "did you mean count?"},
    {HEAD "features:\n  c: {key: customer, aggregates: {n: mean()}}\n", "t.yaml:5:38",
     "is no call of mean"},
    {HEAD "features:\n  c: {key: customer, aggregates: {n: \"quantile(amount, 2)\"}}\n",
     "t.yaml:5:", "is no call of quantile"},
    {HEAD "features:\n  c: {key: customer, from: nowhere, aggregates: {n: count()}}\n",
     "t.yaml:5:28", "there is no source nowhere"},
    {HEAD "features:\n  c: {key: customer, lateness: soon, aggregates: {n: count()}}\n",
     "t.yaml:5:32", "is no duration"},
    {HEAD "score: {model: nothing.json}\n", "t.yaml:4:16", "model /nothing.json"},
    {HEAD "decide: {action: score > 1}\n", "t.yaml:4:18", "unknown column score"},
    {HEAD "sink: payments\n", "t.yaml:4:7", "is a source of this pipeline"},
    {HEAD "sink: a/b\n", "t.yaml:4:7", ""},
    {HEAD "sink: {topic: d, columns: [tx, nothing]}\n", "t.yaml:4:32", "unknown column nothing"},
    {HEAD "sink: {topic: d, sync: never}\n", "t.yaml:4:24", "is none of always, os and interval"},
    {HEAD "sink: d\nroute: [{when: amount > 3, sink: d}]\n", "t.yaml:5:34",
     "is a sink of this pipeline already"},
};

static mr_status compile(const char *text, mr_plan **out, mr_error *err)
{
    mr_fs_sim *disk;
    mr_error ignored;
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = 1}, &disk, &ignored), &ignored);
    mr_status status =
        mr_plan_compile(mr_fs_sim_fs(disk), NULL, NULL, text, strlen(text), "t.yaml", "", out, err);
    mr_fs_sim_destroy(disk);
    return status;
}

TEST(plan, says_where_and_what_is_wrong)
{
    for (size_t i = 0; i < MR_COUNT_OF(wrong); i++) {
        mr_plan *plan;
        mr_error err = {0};
        mr_status status = compile(wrong[i].text, &plan, &err);
        if (status == MR_OK || strncmp(err.place, wrong[i].place, strlen(wrong[i].place)) != 0 ||
            strstr(err.text, wrong[i].message) == NULL)
            fail_msg("plan %zu:\n%s\ngives %s: %s: %s, expected %s: %s", i, wrong[i].text,
                     mr_status_name(status), err.place, err.text, wrong[i].place, wrong[i].message);
        assert_null(plan);
    }
}

static const char *const whole =
    HEAD "derive:\n  night: hour(at) <= 6\n  share: amount / customer_mean_1d\n"
         "features:\n  customer: {key: customer, windows: [1d, 7d delayed 1d], aggregates: {n: "
         "count(), mean: mean(amount)}}\n"
         "decide: {action: \"case when share > 2 then 'review' else 'allow' end\"}\n"
         "sink: {topic: decisions, columns: [tx, share, action]}\n";

TEST(plan, knows_which_columns_need_features)
{
    mr_plan *plan;
    mr_error err = {0};
    mr_bytes text = {0};
    assert_ok(compile(whole, &plan, &err), &err);
    mr_plan_format(plan, false, &text);
    const char *printed = mr_bytes_text(&text);
    const char *night = strstr(printed, "derive night"),
               *features = strstr(printed, "features customer"),
               *share = strstr(printed, "derive share");
    assert_true(night != NULL && features != NULL && share != NULL);
    assert_true(night < features && features < share);
    assert_string_equal(mr_plan_main_sink(plan), "default/default/decisions");
    assert_int_equal(mr_plan_sink_schema(plan, "default/default/decisions")->field_count, 3);
    mr_bytes_deinit(&text);
    mr_plan_release(plan);
}

TEST(plan, hash_ignores_spelling_and_sees_meaning)
{
    mr_plan *a, *b, *c;
    mr_error err = {0};
    assert_ok(compile(HEAD "derive: {x: amount*2}\n", &a, &err), &err);
    assert_ok(compile(HEAD "derive:\n    x:   ( amount   *  2 )\n", &b, &err), &err);
    assert_ok(compile(HEAD "derive: {x: amount*3}\n", &c, &err), &err);
    assert_true(mr_plan_hash(a) == mr_plan_hash(b));
    assert_true(mr_plan_hash(a) != mr_plan_hash(c));
    mr_plan_release(a);
    mr_plan_release(b);
    mr_plan_release(c);
}

TEST(plan, survives_failing_allocations)
{
    mr_plan *plan = NULL;
    for (int64_t n = 0; plan == NULL; n++) {
        mr_error err = {0};
        mr_memory_fail_after(n, false);
        mr_status status = mr_plan_compile(mr_fs_real(), NULL, NULL, whole, strlen(whole), "t.yaml",
                                           "", &plan, &err);
        mr_memory_fail_after(-1, false);
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
    }
    mr_plan_release(plan);
}

TEST(spec, reads_durations)
{
    int64_t us;
    assert_true(mr_spec_duration("7d", &us));
    assert_int_equal(us, INT64_C(604800000000));
    assert_true(mr_spec_duration("10ms", &us));
    assert_int_equal(us, 10000);
    assert_false(mr_spec_duration("d", &us));
    assert_false(mr_spec_duration("", &us));
    assert_false(mr_spec_duration("1", &us));
    assert_false(mr_spec_duration("-1d", &us));
    assert_false(mr_spec_duration("999999999999999w", &us));
}
