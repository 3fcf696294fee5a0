/* behaviour_test.c -- what a view promises beside its numbers: errors, reads of one key, ttl, late records,
 * threads, failing memory, damaged bytes, bounds of the approximate aggregates, no drift. */
#include "feature/feature_internal.h"
#include "os/thread.h"
#include "test/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)
#define ROWS   4096

static const mr_type int_key = {MR_INT64, 0};
static const mr_view_column columns_in[] = {{"amount", {MR_FLOAT64, 0}}, {"n", {MR_INT64, 0}}};

typedef struct rows {
    int64_t key[ROWS], at[ROWS], n[ROWS];
    double amount[ROWS];
    size_t count;
} rows;

typedef struct kit {
    mr_state *state;
    mr_view *view;
    mr_view_work *work;
    uint64_t position;
} kit;

static mr_view_aggregate aggregate(const char *name, const char *kind, int input, mr_window window)
{
    return (mr_view_aggregate){.name = name,
                               .kind = mr_aggregate_find(kind, strlen(kind)),
                               .input = input,
                               .where = -1,
                               .window = window,
                               .quantile = 0.5,
                               .k = 3};
}

static mr_view_spec spec_of(const mr_view_aggregate *aggregates, size_t count)
{
    return (mr_view_spec){.name = "v",
                          .keys = &int_key,
                          .key_count = 1,
                          .inputs = columns_in,
                          .input_count = 2,
                          .aggregates = aggregates,
                          .aggregate_count = count,
                          .lateness_us = MR_VIEW_LATENESS_DEFAULT};
}

static mr_status try_open(kit *to, const mr_view_spec *spec, int workers, const char *folder,
                          mr_error *err)
{
    const mr_state_options options = {.fs = mr_fs_real(), .folder = folder, .workers = 1};
    *to = (kit){.position = 0};
    MR_TRY(mr_state_open(&options, &to->state, err));
    MR_TRY(mr_view_create(spec, to->state, &to->view, err));
    return mr_view_work_create(to->view, workers, &to->work, err);
}

static void open_kit(kit *to, const mr_view_spec *spec, int workers)
{
    mr_error err = {0};
    assert_ok(try_open(to, spec, workers, mr_test_folder(), &err), &err);
}

static void close_kit(kit *from)
{
    mr_view_work_destroy(from->work);
    mr_state_close(from->state);
    mr_view_destroy(from->view);
}

static mr_column words(mr_type_id type, const void *values)
{
    return (mr_column){.type = {type, 0}, .values = values};
}

typedef struct lent_input {
    mr_column key, at, inputs[2];
    mr_view_input input;
} lent_input;

static void lend(lent_input *to, const kit *on, const rows *from)
{
    to->key = words(MR_INT64, from->key);
    to->at = words(MR_TIMESTAMP, from->at);
    to->inputs[0] = words(MR_FLOAT64, from->amount);
    to->inputs[1] = words(MR_INT64, from->n);
    to->input = (mr_view_input){.first_position = on->position,
                                .updates = {from->count, &to->key, &to->at, to->inputs, NULL},
                                .output_rows = from->count};
}

static mr_status try_run(kit *on, const rows *from, mr_column *out, mr_error *err)
{
    lent_input lent;
    lend(&lent, on, from);
    MR_TRY(mr_view_run(on->work, &lent.input, out, err));
    on->position += from->count;
    return MR_OK;
}

static void run(kit *on, const rows *from, mr_column *out)
{
    mr_error err = {0};
    assert_ok(try_run(on, from, out, &err), &err);
}

static void release(mr_column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mr_column_release(&columns[i]);
}

static void run_one(kit *on, int64_t key, int64_t at, double amount, int64_t n, mr_column *out)
{
    static rows one;
    one.key[0] = key;
    one.at[0] = at;
    one.amount[0] = amount;
    one.n[0] = n;
    one.count = 1;
    run(on, &one, out);
}

static double number(const mr_column *column, size_t row)
{
    return ((const double *)column->values)[row];
}

static int64_t whole(const mr_column *column, size_t row)
{
    return ((const int64_t *)column->values)[row];
}

static const mr_window hour = {MR_WINDOW_SLIDING, HOUR, 0, 0};
static const mr_window lifetime = {MR_WINDOW_LIFETIME, 0, 0, 0};

/* ---- definitions ---- */

static void refuses(const mr_view_spec *spec, const char *part)
{
    mr_error err = {0};
    kit k;
    assert_int_equal(try_open(&k, spec, 1, mr_test_folder(), &err), MR_INVALID);
    if (strstr(err.text, part) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, part);
    close_kit(&k);
}

TEST(behaviour, definitions_are_refused_with_what_would_be_right)
{
    mr_view_aggregate a = aggregate("x", "mean", -1, hour);
    mr_view_spec spec = spec_of(&a, 1);
    refuses(&spec, "view v, aggregate x: mean needs a column: mean(x)");
    a = aggregate("x", "mean", 7, hour);
    refuses(&spec, "input 7");
    a = aggregate("x", "rate", 0, lifetime);
    refuses(&spec, "rate does not work over a lifetime window; it does over sliding");
    a = aggregate("x", "quantile", 0, hour);
    a.quantile = 1.5;
    refuses(&spec, "a number from 0 to 1");
    a = aggregate("x", "top_k", 0, hour);
    a.k = 0;
    refuses(&spec, "1 to 100");
    a = aggregate("x", "count", -1, (mr_window){MR_WINDOW_SLIDING, 0, 0, 0});
    refuses(&spec, "a length of 0 us");
    a = aggregate("x", "distinct_count", 0, (mr_window){MR_WINDOW_LAST, 0, 0, 5});
    spec.resolution_us = SECOND;
    refuses(&spec, "put it into a view of its own");
    a = aggregate("x", "count", -1, hour);
    spec.resolution_us = 2 * HOUR;
    refuses(&spec, "shorter than the resolution");
    spec.resolution_us = 0;
    const mr_view_aggregate two[] = {a, a};
    spec = spec_of(two, 2);
    refuses(&spec, "given twice");
    const mr_type bad_key = {MR_FLOAT64, 0};
    spec = spec_of(&a, 1);
    spec.keys = &bad_key;
    refuses(&spec, "a key of type float64");
    const mr_view_column text = {"shop", {MR_STRING, 0}};
    a = aggregate("x", "sum", 0, hour);
    spec = spec_of(&a, 1);
    spec.inputs = &text;
    spec.input_count = 1;
    refuses(&spec, "sum of shop, which is string; sum takes bool, int32, int64, float32, float64");
}

TEST(behaviour, a_fingerprint_is_of_what_the_state_holds)
{
    mr_view_aggregate a = aggregate("x", "quantile", 0, hour);
    mr_view_spec spec = spec_of(&a, 1);
    uint64_t prints[4];
    for (int i = 0; i < 4; i++) {
        kit k;
        a.name = i == 1 ? "y" : "x";
        a.quantile = i == 1 ? 0.9 : 0.5;
        a.window.length_us = i == 2 ? 2 * HOUR : HOUR;
        spec.lateness_us = i == 3 ? 0 : MR_VIEW_LATENESS_DEFAULT;
        open_kit(&k, &spec, 1);
        prints[i] = mr_view_fingerprint(k.view);
        close_kit(&k);
    }
    assert_true(prints[0] == prints[1] && prints[0] != prints[2] && prints[0] != prints[3]);
}

/* ---- questions about one key ---- */

TEST(behaviour, one_key_is_read_as_of_its_last_record_or_a_given_time)
{
    const mr_view_aggregate list[] = {aggregate("n", "count", -1, hour),
                                      aggregate("m", "mean", 0, hour)};
    const mr_view_spec spec = spec_of(list, 2);
    mr_error err = {0};
    mr_column out[2];
    bool found;
    kit k;
    open_kit(&k, &spec, 1);
    for (int i = 0; i < 3; i++) {
        run_one(&k, 7, i * HOUR / 2 + SECOND, i + 1.0, 0, out);
        release(out, 2);
    }
    mr_view_key key = {.word = 7};
    uint64_t digest, again;
    assert_ok(mr_state_digest(k.state, &digest, &err), &err);
    assert_ok(mr_view_get(k.view, &key, MR_VIEW_AS_OF_LAST, out, &found, NULL, &err), &err);
    assert_true(found && whole(&out[0], 0) == 2 && number(&out[1], 0) == 2.5);
    release(out, 2);
    assert_ok(mr_view_get(k.view, &key, 2 * HOUR, out, &found, NULL, &err), &err);
    assert_true(found && whole(&out[0], 0) == 1 && number(&out[1], 0) == 3.0);
    release(out, 2);
    assert_ok(mr_view_get(k.view, &key, HOUR / 2, out, &found, NULL, &err), &err);
    assert_true(found && whole(&out[0], 0) == 1 && number(&out[1], 0) == 1.0);
    release(out, 2);
    key.word = 8;
    assert_ok(mr_view_get(k.view, &key, MR_VIEW_AS_OF_LAST, out, &found, NULL, &err), &err);
    assert_true(!found && whole(&out[0], 0) == 0 && mr_column_is_null(&out[1], 0));
    release(out, 2);
    key.null = true;
    assert_ok(mr_view_get(k.view, &key, MR_VIEW_AS_OF_LAST, out, &found, NULL, &err), &err);
    assert_true(!found && mr_column_is_null(&out[0], 0));
    release(out, 2);
    assert_ok(mr_state_digest(k.state, &again, &err), &err);
    assert_int_equal(digest, again);
    close_kit(&k);
}

TEST(behaviour, a_key_older_than_ttl_starts_anew)
{
    const mr_view_aggregate n = aggregate("n", "count", -1, lifetime);
    mr_view_spec spec = spec_of(&n, 1);
    mr_column out[1];
    kit k;
    spec.ttl_us = 10 * HOUR;
    open_kit(&k, &spec, 1);
    const int64_t at[] = {0, HOUR, 12 * HOUR, 21 * HOUR, 23 * HOUR}, key[] = {1, 1, 2, 1, 2};
    const int64_t want[] = {1, 2, 1, 1, 1}; /* the last: 11 hours after its only record */
    for (int i = 0; i < 5; i++) {
        run_one(&k, key[i], at[i], 0.0, 0, out);
        assert_int_equal(whole(&out[0], 0), want[i]);
        release(out, 1);
    }
    close_kit(&k);
}

TEST(behaviour, a_late_record_is_counted_and_never_lost_to_lifetime)
{
    const mr_view_aggregate list[] = {aggregate("n", "count", -1, hour),
                                      aggregate("all", "count", -1, lifetime)};
    mr_view_spec spec = spec_of(list, 2);
    mr_view_stats stats;
    mr_column out[2];
    kit k;
    spec.lateness_us = 60 * SECOND;
    open_kit(&k, &spec, 1);
    const int64_t at[] = {0, 2 * HOUR, 2 * HOUR - 30 * SECOND, SECOND, 2 * HOUR};
    const int64_t in_hour[] = {1, 1, 1, 1, 3}, in_all[] = {1, 2, 2, 2, 5};
    for (int i = 0; i < 5; i++) {
        run_one(&k, 1, at[i], 1.0, 1, out);
        assert_int_equal(whole(&out[0], 0), in_hour[i]);
        assert_int_equal(whole(&out[1], 0), in_all[i]);
        release(out, 2);
    }
    mr_view_stats_get(k.view, &stats);
    assert_int_equal(stats.updates, 5);
    assert_int_equal(stats.out_of_order, 2);
    assert_int_equal(stats.late, 1);
    close_kit(&k);
}

/* ---- exactness over time ---- */

/* Windows of one record after many of all sizes: nothing of the past is left in them. */
TEST(behaviour, sums_do_not_drift)
{
    const mr_view_aggregate list[] = {
        aggregate("s", "sum", 0, (mr_window){MR_WINDOW_SLIDING, SECOND, 0, 0}),
        aggregate("m", "mean", 0, hour),
        aggregate("v", "variance", 0, (mr_window){MR_WINDOW_LAST, 0, 0, 2})};
    const mr_view_spec spec = spec_of(list, 3);
    mr_random_seeded random = mr_test_random(30);
    static rows r;
    mr_column out[3];
    kit k;
    open_kit(&k, &spec, 1);
    r.count = ROWS;
    for (int batch = 0; batch < 4; batch++) {
        for (size_t i = 0; i < ROWS; i++) {
            int size = (int)mr_random_below(&random, 40) * (batch % 3) - 40;
            r.key[i] = 1;
            r.at[i] = (int64_t)(batch * ROWS + (int)i) * SECOND;
            r.amount[i] = ldexp(mr_random_unit(&random) - 0.5, size);
        }
        run(&k, &r, out);
        for (size_t i = 0; i < ROWS; i++)
            assert_true(number(&out[0], i) == r.amount[i]);
        release(out, 3);
    }
    for (size_t i = 0; i < ROWS; i++) {
        r.at[i] += (ROWS + 3600) * SECOND;
        r.amount[i] = 0.1;
    }
    run(&k, &r, out);
    for (size_t i = 1; i < ROWS; i++)
        assert_true(number(&out[1], i) == 0.1 && number(&out[2], i) == 0.0);
    release(out, 3);
    close_kit(&k);
}

/* Lifetime aggregates after far more values than are kept: their stated errors. */
TEST(behaviour, approximate_aggregates_keep_their_bounds)
{
    enum { BATCHES = 3 };
    const mr_view_aggregate list[] = {
        aggregate("d", "distinct_count", 1, lifetime), aggregate("q", "quantile", 1, lifetime),
        aggregate("t", "top_k", 1, lifetime),
        aggregate("h", "quantile", 1, (mr_window){MR_WINDOW_SLIDING, 3000 * SECOND, 0, 0})};
    mr_view_spec spec = spec_of(list, 4);
    static rows r;
    mr_column out[4];
    kit k;
    spec.lateness_us = 0;
    open_kit(&k, &spec, 1);
    int64_t next = 0;
    for (int batch = 0; batch < BATCHES; batch++) {
        for (size_t i = 0; i < ROWS;
             i++, next++) { /* 5 is every fourth value, the others are all new */
            r.key[i] = 1;
            r.at[i] = next * SECOND;
            r.n[i] = next % 4 == 0 ? 5 : next + 1000;
        }
        r.count = ROWS;
        run(&k, &r, out);
        double distinct = (double)next * 3 / 4 + 1;
        assert_true(fabs((double)whole(&out[0], ROWS - 1) / distinct - 1.0) < 0.07);
        double median = (double)next / 3 + 1000; /* rank n / 2, a quarter of all are below */
        assert_true(fabs(number(&out[1], ROWS - 1) / median - 1.0) < 0.011);
        mr_text top = mr_column_text(&out[2], ROWS - 1);
        static const char start[] = "[{\"value\":5,\"count\":";
        assert_true(top.size > sizeof start);
        assert_memory_equal(top.bytes, start, sizeof start - 1);
        int64_t count = strtoll((const char *)top.bytes + sizeof start - 1, NULL, 10);
        assert_true(count <= next / 4 + 1 && count >= next / 4 - next / 1025);
        assert_true(number(&out[3], ROWS - 1) > 0.9 * (double)(next - 3000));
        release(out, 4);
    }
    close_kit(&k);
}

/* ---- workers ---- */

typedef struct threaded {
    kit *on;
    bool hashing;
} threaded;

static void work_of(void *context, int worker)
{
    threaded *t = context;
    if (t->hashing)
        mr_view_hash(t->on->work, worker);
    else
        mr_view_walk(t->on->work, worker);
}

static void fill(mr_random_seeded *random, rows *r, int64_t from)
{
    for (r->count = 0; r->count < ROWS; r->count++) {
        r->key[r->count] = (int64_t)mr_random_below(random, 500);
        r->at[r->count] =
            from + (int64_t)r->count * SECOND - (int64_t)mr_random_below(random, 50) * SECOND;
        r->amount[r->count] = (double)mr_random_below(random, 10000) / 100.0;
        r->n[r->count] = (int64_t)mr_random_below(random, 20);
    }
}

TEST(behaviour, workers_share_a_batch)
{
    const mr_view_aggregate list[] = {
        aggregate("n", "count", -1, hour), aggregate("m", "mean", 0, hour),
        aggregate("x", "max", 0, hour), aggregate("t", "top_k", 1, hour)};
    const mr_view_spec spec = spec_of(list, 4);
    mr_random_seeded random = mr_test_random(31);
    static rows r;
    mr_column one[4], many[4];
    mr_error err = {0};
    mr_pool *pool;
    kit alone, shared;
    open_kit(&alone, &spec, 1);
    open_kit(&shared, &spec, 3);
    assert_ok(mr_pool_create(3, &pool, &err), &err);
    for (int batch = 0; batch < 4; batch++) {
        lent_input lent;
        threaded t = {&shared, true};
        fill(&random, &r, batch * ROWS * SECOND);
        run(&alone, &r, one);
        lend(&lent, &shared, &r);
        assert_ok(mr_view_begin(shared.work, &lent.input, &err), &err);
        mr_pool_run(pool, work_of, &t);
        t.hashing = false;
        mr_pool_run(pool, work_of, &t);
        assert_ok(mr_view_finish(shared.work, many, &err), &err);
        for (int i = 0; i < 4; i++)
            assert_true(mr_column_equal(&one[i], 0, &many[i], 0, ROWS));
        release(one, 4);
        release(many, 4);
    }
    mr_pool_destroy(pool);
    close_kit(&alone);
    close_kit(&shared);
}

/* Steps go the general way record by record; rows without steps go through fast_walk. */
TEST(behaviour, the_straight_way_gives_what_the_general_one_gives)
{
    const mr_window late_hour = {MR_WINDOW_SLIDING, HOUR, HOUR, 0},
                    minute = {MR_WINDOW_SLIDING, 60 * SECOND, 0, 0};
    const mr_view_aggregate list[] = {
        aggregate("a", "count", -1, hour),    aggregate("b", "mean", 0, hour),
        aggregate("c", "mean", 0, late_hour), aggregate("d", "mean", 0, minute),
        aggregate("e", "mean", 1, hour),      aggregate("f", "count", 0, minute)};
    mr_random_seeded random = mr_test_random(34);
    static rows r;
    static mr_view_step steps[ROWS];
    for (int round = 0; round < 12; round++) {
        size_t used = round % 3 == 0 ? 3 : 6; /* the first three need one lane only */
        const mr_view_spec spec = spec_of(list, used);
        mr_error err = {0};
        mr_column straight[6], general[6];
        uint64_t digests[2];
        kit a, b;
        open_kit(&a, &spec, 1);
        open_kit(&b, &spec, 1);
        for (int batch = 0; batch < 3; batch++) {
            lent_input lent;
            fill(&random, &r, batch * ROWS * SECOND);
            r.count = 1500;
            for (size_t i = 0; i < r.count; i++) {
                r.key[i] %= 20;
                if (round % 4 != 0 && mr_random_below(&random, 100) == 0)
                    r.amount[i] = mr_random_below(&random, 3) == 0
                                      ? (double)NAN
                                      : ldexp(1.0, (int)mr_random_below(&random, 2000) - 1060);
                if (round % 2 == 0) /* in order */
                    r.at[i] = (batch * ROWS + (int)i) * SECOND;
                steps[i] = (mr_view_step){(uint32_t)i, (uint32_t)i, MR_VIEW_BOTH};
            }
            run(&a, &r, straight);
            lend(&lent, &b, &r);
            lent.input.steps = steps;
            lent.input.step_count = r.count;
            b.position += r.count;
            assert_ok(mr_view_run(b.work, &lent.input, general, &err), &err);
            for (size_t i = 0; i < used; i++)
                assert_true(mr_column_equal(&straight[i], 0, &general[i], 0, r.count));
            release(straight, used);
            release(general, used);
        }
        mr_view_stats stats[2];
        mr_view_stats_get(a.view, &stats[0]);
        mr_view_stats_get(b.view, &stats[1]);
        assert_memory_equal(&stats[0], &stats[1], sizeof stats[0]);
        assert_ok(mr_state_digest(a.state, &digests[0], &err), &err);
        assert_ok(mr_state_digest(b.state, &digests[1], &err), &err);
        assert_int_equal(digests[0], digests[1]);
        close_kit(&a);
        close_kit(&b);
    }
}

/* ---- failing memory, damaged bytes ---- */

static void allocations_may_fail(const mr_view_spec *given, bool tiled)
{
    mr_view_spec spec = *given;
    mr_random_seeded random = mr_test_random(32);
    static rows r;
    spec.lateness_us = 60 * SECOND;
    spec.resolution_us = tiled ? 60 * SECOND : 0;
    fill(&random, &r, 0);
    r.count = 700;
    for (size_t i = 0; i < r.count; i++)
        r.key[i] %= 3;
    for (int64_t n = 0;; n += n < 60 ? 1 : 1 + n / 16) {
        const char *folder = mr_test_folder();
        mr_error err = {0};
        mr_column out[6];
        kit k;
        (void)mr_memory_fail_after(n, true);
        mr_status status = try_open(&k, &spec, 1, folder, &err);
        if (status == MR_OK)
            status = try_run(&k, &r, out, &err);
        (void)mr_memory_fail_after(-1, false);
        if (status == MR_OK)
            release(out, 6);
        close_kit(&k);
        if (status == MR_OK)
            break;
        assert_int_equal(status, MR_NO_MEMORY);
        assert_true(err.text[0] != '\0');
        assert_true(n < 1000000);
    }
}

TEST(behaviour, every_allocation_may_fail)
{
    const mr_window last = {MR_WINDOW_LAST, 0, 0, 70};
    const mr_view_aggregate list[] = {aggregate("a", "mean", 0, hour),
                                      aggregate("b", "max", 0, last),
                                      aggregate("c", "distinct_count", 1, lifetime),
                                      aggregate("d", "quantile", 0, lifetime),
                                      aggregate("e", "top_k", 1, hour),
                                      aggregate("f", "variance", 0, lifetime)};
    const mr_view_aggregate tiles[] = {
        aggregate("a", "distinct_count", 1, hour), aggregate("b", "quantile", 0, hour),
        aggregate("c", "top_k", 1, hour),          aggregate("d", "distinct_count", 1, lifetime),
        aggregate("e", "quantile", 0, lifetime),   aggregate("f", "top_k", 1, lifetime)};
    const mr_view_spec specs[] = {spec_of(list, 6), spec_of(tiles, 6)};
    for (int tiled = 0; tiled < 2; tiled++)
        allocations_may_fail(&specs[tiled], tiled != 0);
}

/* Bytes with errors are refused, or read as some state; what came of them can be dropped. */
TEST(behaviour, damaged_bytes_are_never_believed_blindly)
{
    const mr_window last = {MR_WINDOW_LAST, 0, 0, 70};
    const mr_view_aggregate raw[] = {aggregate("a", "mean", 0, hour),
                                     aggregate("b", "max", 0, last),
                                     aggregate("c", "distinct_count", 1, lifetime),
                                     aggregate("d", "quantile", 0, lifetime),
                                     aggregate("e", "first", 0, lifetime),
                                     aggregate("f", "variance", 0, lifetime),
                                     aggregate("g", "top_k", 1, lifetime)};
    const mr_view_aggregate tiles[] = {aggregate("a", "mean", 0, hour),
                                       aggregate("b", "max", 0, hour),
                                       aggregate("c", "variance", 0, lifetime),
                                       aggregate("d", "distinct_count", 1, hour),
                                       aggregate("e", "first", 0, lifetime),
                                       aggregate("f", "quantile", 0, hour),
                                       aggregate("g", "top_k", 1, lifetime),
                                       aggregate("h", "distinct_count", 0, hour),
                                       aggregate("i", "time_since_last", -1, hour)};
    mr_random_seeded random = mr_test_random(33);
    static rows r;
    for (int tiled = 0; tiled < 2; tiled++) {
        mr_view_spec spec = tiled ? spec_of(tiles, 9) : spec_of(raw, 7);
        mr_column out[9];
        mr_error err = {0};
        mr_bytes bytes = {0};
        kit k;
        spec.resolution_us = tiled ? 60 * SECOND : 0;
        spec.lateness_us = 60 * SECOND;
        open_kit(&k, &spec, 1);
        fill(&random, &r, 0);
        for (size_t i = 0; i < ROWS; i++)
            r.key[i] = 1;
        run(&k, &r, out);
        release(out, spec.aggregate_count);
        uint64_t hash = mr_key_hash_word(1);
        mr_slot *slot = &mr_table_slots(mr_view_table(k.view))[mr_key_slot(hash)];
        feature_table_kind.encode(k.view, slot, mr_slot_get_word(slot, hash, 1, false, &err),
                                  &bytes);
        uint64_t *value = calloc(1, k.view->plan.value_bytes);
        for (uint64_t round = 0; round < mr_test_rounds(600); round++) {
            size_t at = (size_t)mr_random_below(&random, bytes.size), size = bytes.size;
            if (mr_random_below(&random, 2) == 0)
                at = (size_t)mr_random_below(&random, 64) % bytes.size;
            uint8_t before = bytes.data[at];
            bytes.data[at] = (uint8_t)mr_random_next(&random);
            if (mr_random_below(&random, 4) == 0)
                size = at;
            mr_reader reader = mr_reader_of(bytes.data, size);
            mr_status status = feature_table_kind.decode(k.view, slot, value, &reader, &err);
            assert_true(status == MR_OK || status == MR_CORRUPT);
            if (status == MR_OK) {
                feature_key key = {&k.view->plan, slot, (uint8_t *)value, NULL};
                mr_bytes text = {0};
                assert_ok(read_prepare(&key, ROWS * SECOND, NONE, &err), &err);
                for (size_t i = 0; i < spec.aggregate_count; i++) {
                    feature_value read;
                    assert_ok(read_output(&key, &k.view->plan.outputs[i], ROWS * SECOND, NONE,
                                          &read, &text, &err),
                              &err);
                }
                mr_bytes_deinit(&text);
            }
            feature_table_kind.drop(k.view, slot, value);
            bytes.data[at] = before;
        }
        free(value);
        mr_bytes_deinit(&bytes);
        close_kit(&k);
    }
}
