/* tile_test.c -- what a view with a resolution tells of many values, against plain lists of the records.
 *
 * view_test.c compares it with the oracle where it is exact. Here tiles hold more than their bounds (which are also made
 * small), and the answers must keep the errors that docs/reference/aggregates.md states. */
#include "feature/feature_internal.h"
#include "test/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000)

enum { RECORDS = 4000, RESOLUTION_S = 60, LATENESS_S = 120, OUTPUTS_MAX = 8 };

static const mr_type int_key = {MR_INT64, 0};
static const mr_view_column columns_in[] = {{"amount", {MR_FLOAT64, 0}}, {"n", {MR_INT64, 0}}};

typedef struct stream {
    int64_t key[RECORDS], at[RECORDS], n[RECORDS];
    double amount[RECORDS];
} stream;

typedef struct kit {
    mr_state *state;
    mr_view *view;
    mr_view_work *work;
    size_t outputs;
} kit;

static mr_view_aggregate aggregate(const char *name, const char *kind, int input, mr_window window)
{
    return (mr_view_aggregate){.name = name,
                               .kind = mr_aggregate_find(kind, strlen(kind)),
                               .input = input,
                               .where = -1,
                               .window = window,
                               .quantile = 0.5,
                               .k = 10};
}

static void open_kit(kit *to, const mr_view_aggregate *aggregates, size_t count,
                     const feature_limits *limits, int workers)
{
    mr_error err = {0};
    const mr_state_options options = {.fs = mr_fs_real(), .folder = mr_test_folder(), .workers = 1};
    const mr_view_spec spec = {.name = "v",
                               .keys = &int_key,
                               .key_count = 1,
                               .inputs = columns_in,
                               .input_count = 2,
                               .aggregates = aggregates,
                               .aggregate_count = count,
                               .resolution_us = RESOLUTION_S * SECOND,
                               .lateness_us = LATENESS_S * SECOND};
    *to = (kit){.outputs = count};
    assert_ok(mr_state_open(&options, &to->state, &err), &err);
    assert_ok(mr_view_create(&spec, to->state, &to->view, &err), &err);
    assert_ok(mr_view_work_create(to->view, workers, &to->work, &err), &err);
    to->view->plan.limits = *limits;
}

static void close_kit(kit *from)
{
    mr_view_work_destroy(from->work);
    mr_state_close(from->state);
    mr_view_destroy(from->view);
}

static void run(kit *on, const stream *from, size_t first, size_t count, mr_column *out)
{
    mr_error err = {0};
    const mr_column key = {.type = {MR_INT64, 0}, .values = from->key + first},
                    at = {.type = {MR_TIMESTAMP, 0}, .values = from->at + first};
    const mr_column inputs[] = {{.type = {MR_FLOAT64, 0}, .values = from->amount + first},
                                {.type = {MR_INT64, 0}, .values = from->n + first}};
    const mr_view_input input = {
        .first_position = first, .updates = {count, &key, &at, inputs, NULL}, .output_rows = count};
    assert_ok(mr_view_run(on->work, &input, out, &err), &err);
}

static void release(mr_column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mr_column_release(&columns[i]);
}

/* One key, mostly forwards, some records up to 100 s late; few values often, many seldom. */
static void fill(mr_random_seeded *random, stream *to, int64_t values, int decades)
{
    int64_t now = 1000000 * SECOND;
    for (size_t i = 0; i < RECORDS; i++) {
        int64_t late = mr_random_below(random, 4) == 0 ? (int64_t)mr_random_below(random, 100) : 0;
        now += mr_random_below(random, 3) == 0 ? SECOND : 0;
        to->key[i] = 1;
        to->at[i] = now - late * SECOND;
        to->n[i] = (int64_t)mr_random_below(random, 1 + mr_random_below(random, (uint64_t)values));
        to->amount[i] = pow(10.0, mr_random_unit(random) * decades) *
                        (mr_random_below(random, 5) == 0 ? -1.0 : 1.0);
        if (mr_random_below(random, 20) == 0)
            to->amount[i] = mr_random_below(random, 2) == 0 ? (double)NAN : 0.0;
    }
}

/* ---- the plain answers ---- */

static int64_t tile_of(int64_t at)
{
    return (at + RESOLUTION_S * SECOND - 1) / (RESOLUTION_S * SECOND);
}

typedef struct plain {
    int64_t n[RECORDS];
    double amount[RECORDS];
    size_t n_count, amount_count;
    bool n_exact; /* no tile has more different values than the limit */
} plain;

static int by_whole(const void *x, const void *y)
{
    int64_t p = *(const int64_t *)x, q = *(const int64_t *)y;
    return (p > q) - (p < q);
}

static int by_number(const void *x, const void *y)
{
    double p = *(const double *)x, q = *(const double *)y;
    return (p > q) - (p < q);
}

static size_t different(int64_t *values, size_t count)
{
    size_t used = 0;
    qsort(values, count, sizeof *values, by_whole);
    for (size_t i = 0; i < count; i++)
        used += i == 0 || values[i] != values[i - 1];
    return used;
}

/* The records up to `last` of tiles [from, to], sorted by value. */
static void gather(const stream *s, size_t last, int64_t from, int64_t to, uint32_t limit,
                   plain *out)
{
    static int64_t of_tile[RECORDS];
    *out = (plain){.n_exact = true};
    for (size_t i = 0; i <= last; i++) {
        if (tile_of(s->at[i]) < from || tile_of(s->at[i]) > to)
            continue;
        out->n[out->n_count++] = s->n[i];
        if (s->amount[i] == s->amount[i])
            out->amount[out->amount_count++] = s->amount[i];
    }
    for (int64_t tile = MR_MAX(from, tile_of(s->at[0]) - 3); tile <= to && out->n_exact; tile++) {
        size_t count = 0;
        for (size_t i = 0; i <= last; i++)
            if (tile_of(s->at[i]) == tile)
                of_tile[count++] = s->n[i];
        out->n_exact = different(of_tile, count) <= limit;
    }
    qsort(out->n, out->n_count, sizeof *out->n, by_whole);
    qsort(out->amount, out->amount_count, sizeof *out->amount, by_number);
}

static size_t count_of_value(const plain *p, int64_t value)
{
    size_t count = 0;
    for (size_t i = 0; i < p->n_count; i++)
        count += p->n[i] == value;
    return count;
}

static void check_distinct(plain *p, const mr_column *column, size_t row)
{
    double want = (double)different(p->n, p->n_count);
    double got = (double)((const int64_t *)column->values)[row];
    if (p->n_exact ? got != want : fabs(got - want) > 5 * 0.0163 * want + 1)
        fail_msg("seed %llu: row %zu of %zu: %g different values, not %g (%s)",
                 (unsigned long long)mr_test_seed(), row, p->n_count, got, want,
                 p->n_exact ? "exact" : "estimated");
}

/* The lowest buckets of full tiles count as one: an answer may then be too high, but never above the largest. */
static void check_quantile(const plain *p, const mr_column *column, size_t row, bool limited)
{
    double got = ((const double *)column->values)[row];
    double want = p->amount[(size_t)ceil(0.5 * (double)p->amount_count) - 1];
    double most = p->amount[p->amount_count - 1], error = 0.010000001;
    bool close = fabs(got - want) <= error * fabs(want);
    bool above = limited && got >= want - error * fabs(want) && got <= most + error * fabs(most);
    if (!close && !above)
        fail_msg("seed %llu: median %.17g, not %.17g", (unsigned long long)mr_test_seed(), got,
                 want);
}

static void check_top(const plain *p, const mr_column *column, size_t row, uint32_t counters,
                      double base_share)
{
    mr_text text = mr_column_text(column, row);
    char copy[1024];
    (void)snprintf(copy, sizeof copy, "%.*s", (int)text.size, (const char *)text.bytes);
    double bound = (base_share + (p->n_exact ? 0.0 : 1.0 / (counters + 1))) * (double)p->n_count;
    long long before = INT64_MAX;
    int listed = 0;
    for (char *at = copy; (at = strstr(at, "{\"value\":")) != NULL;) {
        long long value = strtoll(at + strlen("{\"value\":"), &at, 10);
        long long count = strtoll(at + strlen(",\"count\":"), &at, 10);
        long long want = (long long)count_of_value(p, value);
        if (count > want || (double)count < (double)want - bound || count > before)
            fail_msg("seed %llu: %lld counted %lld times, not %lld, at most %g less",
                     (unsigned long long)mr_test_seed(), value, count, want, bound);
        before = count;
        listed++;
    }
    for (size_t i = 0; i < p->n_count && listed == 10; i++) { /* who is left out is not far above */
        char item[64];
        (void)snprintf(item, sizeof item, "{\"value\":%lld,", (long long)p->n[i]);
        assert_true(strstr(copy, item) != NULL ||
                    (double)count_of_value(p, p->n[i]) <= (double)before + bound);
    }
    assert_true(listed > 0 || !p->n_exact);
}

typedef struct window_case {
    mr_window window;
    double base_share; /* of n, that what left may lack in a count of top k */
} window_case;

static int64_t first_tile(const mr_window *w, int64_t at)
{
    if (w->kind == MR_WINDOW_LIFETIME)
        return INT64_MIN;
    return (at - w->delay_us - w->length_us) / (RESOLUTION_S * SECOND) + 1;
}

static int64_t last_tile(const mr_window *w, int64_t at)
{
    return w->delay_us > 0 ? (at - w->delay_us) / (RESOLUTION_S * SECOND) : tile_of(at);
}

static const window_case cases[] = {
    {{MR_WINDOW_SLIDING, 600 * SECOND, 0, 0}, 0},
    {{MR_WINDOW_SLIDING, 290 * SECOND, 170 * SECOND, 0}, 0},
    {{MR_WINDOW_LIFETIME, 0, 0, 0}, 1.0 / 1025},
};
static const feature_limits limits[] = {
    {TILE_DISTINCT_MAX, TILE_COUNTERS_MAX, BUCKETS_MAX}, {40, 40, 30}, {1, 1, 2}, {100, 12, 200}};

static void encode_and_decode(kit *on)
{
    mr_error err = {0};
    mr_bytes bytes = {0}, again = {0};
    uint64_t hash = mr_key_hash_word(1);
    mr_slot *slot = &mr_table_slots(mr_view_table(on->view))[mr_key_slot(hash)];
    void *value = mr_slot_get_word(slot, hash, 1, false, &err);
    feature_table_kind.encode(on->view, slot, value, &bytes);
    feature_table_kind.drop(on->view, slot, value);
    mr_reader reader = mr_reader_of(bytes.data, bytes.size);
    assert_ok(feature_table_kind.decode(on->view, slot, value, &reader, &err), &err);
    assert_int_equal(mr_reader_left(&reader), 0);
    feature_table_kind.encode(on->view, slot, value, &again);
    assert_int_equal(bytes.size, again.size);
    assert_memory_equal(bytes.data, again.data, bytes.size);
    mr_bytes_deinit(&bytes);
    mr_bytes_deinit(&again);
}

/* Runs the stream in random cuts; the second time all state is encoded and decoded now and then, to the same answers. */
TEST(tile, full_tiles_keep_the_stated_errors)
{
    static stream s;
    static plain p;
    mr_random_seeded random = mr_test_random(40);
    for (uint64_t round = 0; round < mr_test_rounds(12); round++) {
        const window_case *c = &cases[round % MR_COUNT_OF(cases)];
        const feature_limits *limit = &limits[round / MR_COUNT_OF(cases) % MR_COUNT_OF(limits)];
        const mr_view_aggregate list[] = {aggregate("d", "distinct_count", 1, c->window),
                                          aggregate("q", "quantile", 0, c->window),
                                          aggregate("t", "top_k", 1, c->window)};
        kit a, b;
        mr_column out[3], again[3];
        open_kit(&a, list, 3, limit, 1);
        open_kit(&b, list, 3, limit, 2);
        fill(&random, &s, round % 2 == 0 ? 3000 : 60, 1 + (int)(round % 5));
        for (size_t from = 0, count; from < RECORDS; from += count) {
            count = 1 + (size_t)mr_random_below(&random, 200);
            count = MR_MIN(count, RECORDS - from);
            run(&a, &s, from, count, out);
            for (size_t row = 0; row < count; row += 1 + (size_t)mr_random_below(&random, 80)) {
                size_t i = from + row;
                int64_t first = first_tile(&c->window, s.at[i]);
                int64_t last = last_tile(&c->window, s.at[i]);
                gather(&s, i, first, last, limit->distinct, &p);
                if (p.n_count > 0)
                    check_distinct(&p, &out[0], row);
                if (p.amount_count > 0)
                    check_quantile(&p, &out[1], row, limit->buckets < BUCKETS_MAX);
                gather(&s, i, first, last, limit->counters, &p);
                if (p.n_count > 0 && !mr_column_is_null(&out[2], row))
                    check_top(&p, &out[2], row, limit->counters, c->base_share);
            }
            for (size_t row = 0; row < count; row++) {
                run(&b, &s, from + row, 1, again);
                for (int k = 0; k < 3; k++)
                    assert_true(mr_column_equal(&out[k], row, &again[k], 0, 1));
                release(again, 3);
            }
            encode_and_decode(&b);
            release(out, 3);
        }
        mr_error err = {0};
        uint64_t digests[2];
        assert_ok(mr_state_digest(a.state, &digests[0], &err), &err);
        assert_ok(mr_state_digest(b.state, &digests[1], &err), &err);
        assert_int_equal(digests[0], digests[1]);
        close_kit(&a);
        close_kit(&b);
    }
}

/* ---- order of arrival, memory ---- */

/* Records of the same times in another order, all within lateness: what does not count by order is bit by bit the same,
 * also where tiles are full. */
TEST(tile, answers_do_not_depend_on_the_order_of_arrival)
{
    static stream s, shuffled;
    const mr_window ten_minutes = cases[0].window, lifetime = cases[2].window;
    const mr_view_aggregate list[] = {
        aggregate("d", "distinct_count", 1, ten_minutes),
        aggregate("q", "quantile", 0, ten_minutes),
        aggregate("l", "distinct_count", 1, lifetime),
        aggregate("m", "quantile", 0, lifetime),
        aggregate("f", "first", 1, ten_minutes),
        aggregate("z", "last", 1, ten_minutes),
    };
    mr_random_seeded random = mr_test_random(41);
    for (uint64_t round = 0; round < mr_test_rounds(8); round++) {
        mr_column out[6], other[6];
        mr_error err = {0};
        const mr_view_key key = {.word = 1};
        kit a, b;
        fill(&random, &s, 2000, 12);
        for (size_t i = 0; i < RECORDS; i++) /* no two of one time: ties count by arrival */
            s.at[i] = 1000000 * SECOND + (int64_t)i * SECOND / 4;
        shuffled = s;
        for (size_t i = 0; i + 300 < RECORDS; i++) { /* by at most 75 s */
            size_t k = i + (size_t)mr_random_below(&random, 300 - i % 300);
            int64_t at = shuffled.at[i], n = shuffled.n[i];
            double amount = shuffled.amount[i];
            shuffled.at[i] = shuffled.at[k];
            shuffled.n[i] = shuffled.n[k];
            shuffled.amount[i] = shuffled.amount[k];
            shuffled.at[k] = at;
            shuffled.n[k] = n;
            shuffled.amount[k] = amount;
        }
        const feature_limits *limit = &limits[round % MR_COUNT_OF(limits)];
        open_kit(&a, list, 6, limit, 1);
        open_kit(&b, list, 6, limit, 1);
        run(&a, &s, 0, RECORDS, out);
        run(&b, &shuffled, 0, RECORDS, other);
        release(out, 6);
        release(other, 6);
        assert_ok(mr_view_get(a.view, &key, MR_VIEW_AS_OF_LAST, out, NULL, NULL, &err), &err);
        assert_ok(mr_view_get(b.view, &key, MR_VIEW_AS_OF_LAST, other, NULL, NULL, &err), &err);
        for (int i = 0; i < 6; i++)
            assert_true(mr_column_equal(&out[i], 0, &other[i], 0, 1));
        release(out, 6);
        release(other, 6);
        close_kit(&a);
        close_kit(&b);
    }
}

static uint64_t bytes_of_key(kit *on)
{
    mr_column out[OUTPUTS_MAX];
    mr_error err = {0};
    uint64_t bytes;
    const mr_view_key key = {.word = 1};
    assert_ok(mr_view_get(on->view, &key, MR_VIEW_AS_OF_LAST, out, NULL, &bytes, &err), &err);
    release(out, on->outputs);
    return bytes;
}

/* A key stays below what its tiles may hold, however many records and different values come. */
TEST(tile, memory_of_a_key_is_bounded)
{
    enum { ROUNDS = 10, PER_SECOND = 20, TILES = (600 + LATENESS_S) / RESOLUTION_S + 2 };
    static stream s;
    const mr_view_aggregate list[] = {aggregate("d", "distinct_count", 1, cases[0].window),
                                      aggregate("q", "quantile", 0, cases[0].window),
                                      aggregate("t", "top_k", 1, cases[0].window),
                                      aggregate("f", "first", 1, cases[0].window)};
    mr_random_seeded random = mr_test_random(42);
    mr_column out[4];
    kit k;
    open_kit(&k, list, 4, &limits[0], 1);
    uint64_t after[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < RECORDS; i++) {
            size_t at = (size_t)round * RECORDS + i;
            s.key[i] = 1;
            s.at[i] = (int64_t)at * SECOND / PER_SECOND;
            s.n[i] = (int64_t)at;
            s.amount[i] = pow(10.0, mr_random_unit(&random) * 300.0 - 150.0);
        }
        run(&k, &s, 0, RECORDS, out);
        release(out, 4);
        after[round] = bytes_of_key(&k);
    }
    /* Per tile: 4 KiB of registers, 512 places of top k, a sketch of at most 32 KiB; per window the same of all. */
    const uint64_t tile = 256 + 4096 + 512 * 24 + 64 + 2048 * 16;
    const uint64_t window = 3 * TILES * 256 * 24 + 2 * PER_SECOND * 600 * 16 + 4096 + 1024;
    assert_true(after[ROUNDS - 1] < TILES * tile + window);
    assert_true(after[ROUNDS - 1] < after[ROUNDS / 2] * 5 / 4);
    close_kit(&k);
}
