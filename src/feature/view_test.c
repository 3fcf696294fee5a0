/* view_test.c -- every aggregate over every window against a brute-force oracle.
 *
 * Streams are random: few keys, ties, late and very late records, NULL, NaN, infinities, and magnitudes that
 * force sums out of 128 bits. The same stream is then run again with other batch cuts, other workers, and all
 * state encoded and decoded in between. */
#include "feature/view_oracle.h"

/* ---- the view under test ---- */

typedef struct bench_view {
    mr_state *state;
    mr_view *view;
    mr_view_work *work;
    const mr_view_spec *spec;
    mr_schema *schema;
    bool text_key;
} bench_view;

static void open_view(bench_view *at, const mr_view_spec *spec, int workers)
{
    mr_error err = {0};
    const mr_state_options options = {.fs = mr_fs_real(), .folder = mr_test_folder(), .workers = 1};
    *at = (bench_view){.spec = spec, .text_key = spec->keys[0].id == MR_STRING};
    assert_ok(mr_state_open(&options, &at->state, &err), &err);
    assert_ok(mr_view_create(spec, at->state, &at->view, &err), &err);
    assert_ok(mr_view_work_create(at->view, workers, &at->work, &err), &err);
    mr_field fields[IN_TOTAL + WHERES + 2 + MR_VIEW_KEYS_MAX];
    size_t count = 0;
    for (; count < IN_TOTAL; count++)
        fields[count] = (mr_field){inputs[count].text, inputs[count].type, true, MR_TIME_US};
    for (size_t i = 0; i < WHERES; i++)
        fields[count++] = (mr_field){wheres[i].text, wheres[i].type, true, MR_TIME_US};
    fields[count++] = (mr_field){"at", {MR_TIMESTAMP, 0}, false, MR_TIME_US};
    static const char *const names[] = {"key0", "key1"};
    for (size_t i = 0; i < spec->key_count; i++)
        fields[count++] = (mr_field){names[i], spec->keys[i], true, MR_TIME_US};
    assert_ok(mr_schema_create(fields, count, &at->schema, &err), &err);
}

static void close_view(bench_view *at)
{
    mr_view_work_destroy(at->work);
    mr_state_close(at->state);
    mr_view_destroy(at->view);
    mr_schema_release(at->schema);
}

static void put_key(mr_builder_column *column, int key)
{
    char text[32];
    if (key < 0)
        mr_builder_null(column);
    else if (column->type.id == MR_STRING)
        mr_builder_text(column, text, (size_t)snprintf(text, sizeof text, "key %d", key));
    else if (column->type.id == MR_INT32)
        mr_builder_int32(column, key - 1);
    else
        mr_builder_int64(column, key * INT64_C(1000000007) - 5);
}

static void put_record(mr_builder *builder, const mr_view_spec *spec, const record *r)
{
    for (int i = 0; i < IN_TOTAL; i++) {
        mr_builder_column *column = &builder->columns[i];
        if (r->null[i])
            mr_builder_null(column);
        else if (i == IN_AMOUNT)
            mr_builder_float64(column, r->number[i]);
        else if (i == IN_RATE)
            mr_builder_float32(column, (float)r->number[i]);
        else if (i == IN_SHOP)
            mr_builder_text(column, shops[r->integer[i]], strlen(shops[r->integer[i]]));
        else if (i == IN_FLAG)
            mr_builder_bool(column, r->integer[i] != 0);
        else if (i == IN_SMALL)
            mr_builder_int32(column, (int32_t)r->integer[i]);
        else
            mr_builder_int64(column, r->integer[i]);
    }
    for (int i = 0; i < WHERES; i++) {
        if (r->where[i] < 0)
            mr_builder_null(&builder->columns[IN_TOTAL + i]);
        else
            mr_builder_bool(&builder->columns[IN_TOTAL + i], r->where[i] != 0);
    }
    mr_builder_int64(&builder->columns[IN_TOTAL + WHERES], r->time);
    for (size_t i = 0; i < spec->key_count; i++)
        put_key(&builder->columns[IN_TOTAL + WHERES + 1 + i], r->key);
}

/* Runs records [from, to) as one micro-batch. */
static mr_status run_batch(bench_view *at, const stream *input_stream, uint32_t from, uint32_t to,
                           mr_column *columns, mr_error *err)
{
    mr_builder builder;
    mr_batch *batch;
    mr_view_step steps[RECORDS];
    assert_ok(mr_builder_init(&builder, at->schema, err), err);
    for (uint32_t i = from; i < to; i++) {
        put_record(&builder, at->spec, &input_stream->records[i]);
        steps[i - from] = (mr_view_step){i - from, i - from, input_stream->records[i].act};
    }
    assert_ok(mr_builder_finish(&builder, &batch, err), err);
    mr_builder_deinit(&builder);
    const mr_view_rows rows = {to - from, batch->columns + IN_TOTAL + WHERES + 1,
                               batch->columns + IN_TOTAL + WHERES, batch->columns,
                               batch->columns + IN_TOTAL};
    const mr_view_input input = {.first_position = from,
                                 .steps = steps,
                                 .step_count = to - from,
                                 .updates = rows,
                                 .queries = rows,
                                 .output_rows = to - from};
    mr_status status = mr_view_run(at->work, &input, columns, err);
    mr_batch_release(batch);
    return status;
}

/* ---- comparing ---- */

static bool same_bits(double x, double y)
{
    return memcmp(&x, &y, sizeof x) == 0;
}

static bool answer_equal(const answer *want, const mr_column *column, size_t row)
{
    if (want->close && isinf(want->tolerance))
        return true;
    if (mr_column_is_null(column, row) || !want->present)
        return mr_column_is_null(column, row) && !want->present;
    if (mr_type_is_text(column->type.id)) {
        mr_text text = mr_column_text(column, row);
        return text.size == strlen(want->text) && memcmp(text.bytes, want->text, text.size) == 0;
    }
    if (column->type.id != MR_FLOAT64)
        return ((const int64_t *)column->values)[row] == want->integer;
    double got = ((const double *)column->values)[row];
    return want->close ? fabs(got - want->number) <= want->tolerance : same_bits(got, want->number);
}

static void describe(const mr_view_spec *spec, const mr_view_aggregate *a,
                     const stream *input_stream, uint32_t i, const answer *want,
                     const mr_column *column, size_t row)
{
    char got[256] = "NULL";
    if (!mr_column_is_null(column, row)) {
        if (mr_type_is_text(column->type.id))
            (void)snprintf(got, sizeof got, "%.*s", (int)mr_column_text(column, row).size,
                           (const char *)mr_column_text(column, row).bytes);
        else if (column->type.id == MR_FLOAT64)
            (void)snprintf(got, sizeof got, "%.17g", ((const double *)column->values)[row]);
        else
            (void)snprintf(got, sizeof got, "%lld",
                           (long long)((const int64_t *)column->values)[row]);
    }
    fail_msg("seed %llu: %s(%s) where %d over %s %lld n %u delayed %lld, resolution %lld lateness "
             "%lld, step %lld, "
             "record %u key %d act %u time %lld: got %s, want %s%.17g / %lld / '%s'",
             (unsigned long long)mr_test_seed(), a->kind->name,
             a->input >= 0 ? inputs[a->input].text : "", a->where,
             mr_window_kind_name(a->window.kind), (long long)a->window.length_us, a->window.events,
             (long long)a->window.delay_us, (long long)spec->resolution_us,
             (long long)spec->lateness_us, (long long)input_stream->step, i,
             input_stream->records[i].key, input_stream->records[i].act,
             (long long)input_stream->records[i].time, got, want->present ? "" : "NULL ",
             want->number, (long long)want->integer, want->text);
}

/* Encodes every key of the table, drops it, and decodes it again, in place. */
static void recode_all(bench_view *at)
{
    mr_error err = {0};
    mr_slot *slots = mr_table_slots(mr_view_table(at->view));
    mr_bytes bytes = {0};
    for (uint32_t i = 0; i < MR_SLOT_COUNT; i++)
        for (uint32_t k = 0; k < slots[i].capacity; k++) {
            mr_entry *entry = mr_slot_entry(&slots[i], k);
            if (entry->touched == 0)
                continue;
            mr_bytes_clear(&bytes);
            feature_table_kind.encode(at->view, &slots[i], entry + 1, &bytes);
            feature_table_kind.drop(at->view, &slots[i], entry + 1);
            mr_reader reader = mr_reader_of(bytes.data, bytes.size);
            assert_ok(feature_table_kind.decode(at->view, &slots[i], entry + 1, &reader, &err),
                      &err);
            assert_int_equal(mr_reader_left(&reader), 0);
        }
    mr_bytes_deinit(&bytes);
}

static uint64_t digest_of(bench_view *at)
{
    mr_error err = {0};
    uint64_t digest;
    assert_ok(mr_state_digest(at->state, &digest, &err), &err);
    return digest;
}

static void release_columns(mr_column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mr_column_release(&columns[i]);
}

/* First pass against the oracle, in random cuts; second pass in other cuts against the first. */
static void check_stream(mr_random_seeded *random, const mr_view_spec *spec,
                         const stream *input_stream)
{
    mr_error err = {0};
    bench_view first, second;
    oracle o;
    static mr_column all[64][RECORDS]; /* one row each, of the first pass */
    mr_column columns[64];
    open_view(&first, spec, 1 + (int)mr_random_below(random, 3));
    oracle_open(&o, spec);
    for (uint32_t from = 0, to; from < input_stream->count; from = to) {
        to = from + 1 + (uint32_t)mr_random_below(random, 60);
        to = to < input_stream->count ? to : input_stream->count;
        assert_ok(run_batch(&first, input_stream, from, to, columns, &err), &err);
        for (uint32_t i = from; i < to; i++) {
            const record *r = &input_stream->records[i];
            int self = r->key >= 0 && (r->act & MR_VIEW_UPDATE) != 0 ? oracle_insert(&o, r) : -1;
            for (size_t k = 0; k < spec->aggregate_count; k++) {
                answer want = {.present = false};
                if (r->key >= 0 && (r->act & MR_VIEW_QUERY) != 0)
                    oracle_answer(&o, r, &spec->aggregates[k], self, &want);
                if (!answer_equal(&want, &columns[k], i - from))
                    describe(spec, &spec->aggregates[k], input_stream, i, &want, &columns[k],
                             i - from);
                assert_ok(mr_column_slice(&columns[k], i - from, 1, &all[k][i], &err), &err);
            }
            if (self >= 0)
                oracle_evict(&o, r->key);
        }
        release_columns(columns, spec->aggregate_count);
    }
    open_view(&second, spec, 1 + (int)mr_random_below(random, 4));
    for (uint32_t from = 0, to; from < input_stream->count; from = to) {
        to = from + 1 + (uint32_t)mr_random_below(random, 120);
        to = to < input_stream->count ? to : input_stream->count;
        assert_ok(run_batch(&second, input_stream, from, to, columns, &err), &err);
        for (uint32_t i = from; i < to; i++)
            for (size_t k = 0; k < spec->aggregate_count; k++)
                if (!mr_column_equal(&all[k][i], 0, &columns[k], i - from, 1))
                    fail_msg("seed %llu: record %u output %zu depends on cuts",
                             (unsigned long long)mr_test_seed(), i, k);
        release_columns(columns, spec->aggregate_count);
        if (mr_random_below(random, 3) == 0)
            recode_all(&second);
    }
    assert_int_equal(digest_of(&first), digest_of(&second));
    for (size_t k = 0; k < spec->aggregate_count; k++)
        release_columns(all[k], input_stream->count);
    free(o.keys);
    close_view(&first);
    close_view(&second);
}

/* ---- random definitions: every kind over every window, where, delay and resolution ---- */

typedef struct combination {
    const mr_aggregate_kind *kind;
    mr_window_kind window;
    bool where, delayed, tiled;
} combination;

static size_t combinations(combination *out)
{
    size_t count = 0;
    for (int id = 0; id < MR_AGGREGATE_COUNT_OF; id++)
        for (int window = 0; window < MR_WINDOW_KINDS; window++)
            for (int bits = 0; bits < 8; bits++) {
                combination c = {&mr_aggregate_kinds[id], (mr_window_kind)window, bits & 1,
                                 bits & 2, bits & 4};
                bool tiles = window == MR_WINDOW_SLIDING || window == MR_WINDOW_LIFETIME;
                if ((c.kind->windows >> window & 1) != 0 && (!c.tiled || tiles))
                    out[count++] = c;
            }
    return count;
}

static int random_input(mr_random_seeded *random, const mr_aggregate_kind *kind)
{
    if (kind->input == MR_ARGUMENT_NONE ||
        (kind->input == MR_ARGUMENT_OPTIONAL && mr_random_below(random, 2)))
        return -1;
    if (mr_random_below(random, 2) == 0 && (kind->types >> MR_FLOAT64 & 1) != 0)
        return IN_AMOUNT;
    for (;;) {
        int input = (int)mr_random_below(random, IN_TOTAL);
        if ((kind->types >> inputs[input].type.id & 1) != 0)
            return input;
    }
}

static mr_view_aggregate random_aggregate(mr_random_seeded *random, const combination *c,
                                          int64_t step, int64_t resolution, char *name)
{
    int64_t span = step * (1 + (int64_t)mr_random_below(random, 40));
    mr_view_aggregate a = {
        .name = name,
        .kind = c->kind,
        .input = random_input(random, c->kind),
        .where = c->where ? (int)mr_random_below(random, WHERES) : -1,
        .window = {c->window, span,
                   c->delayed ? step * (1 + (int64_t)mr_random_below(random, 10)) : 0,
                   1 + (uint32_t)mr_random_below(random, 12)},
        .quantile = (double)mr_random_below(random, 11) / 10.0,
        .k = 1 + (uint32_t)mr_random_below(random, 4),
        .unit_us = mr_random_below(random, 2) == 0 ? 0 : 60000000,
    };
    if (c->window == MR_WINDOW_SESSION)
        a.window.length_us = step * (int64_t)mr_random_below(random, 4) + 1;
    if (mr_random_below(random, 8) == 0 && c->window == MR_WINDOW_SLIDING)
        a.window.length_us = step * 400; /* nearly everything: long rings, trees, sketches */
    if (c->tiled && a.window.length_us < resolution)
        a.window.length_us = resolution;
    mr_type_id input = a.input >= 0 ? inputs[a.input].type.id : MR_INT64;
    bool text = a.kind->id == MR_AGGREGATE_TOP_K || mr_type_is_text(input);
    a.empty_given = !text && mr_random_below(random, 3) == 0;
    a.empty = -7;
    return a;
}

TEST(view, agrees_with_brute_force)
{
    static combination list[1024];
    static stream records;
    static char names[64][32];
    mr_random_seeded random = mr_test_random(1);
    const mr_type keys[3][2] = {{{MR_INT64, 0}}, {{MR_STRING, 0}}, {{MR_INT32, 0}, {MR_STRING, 0}}};
    for (uint64_t round = 0; round < mr_test_rounds(2); round++) {
        size_t count = combinations(list);
        for (size_t i = count; i > 1; i--) { /* shuffled */
            size_t k = (size_t)mr_random_below(&random, i);
            combination swap = list[i - 1];
            list[i - 1] = list[k];
            list[k] = swap;
        }
        for (int tiled = 0; tiled < 2; tiled++)
            for (size_t at = 0; at < count;) {
                mr_view_aggregate aggregates[16];
                size_t wanted = 1 + (size_t)mr_random_below(&random, 16), used = 0;
                random_stream(&random, (profile)mr_random_below(&random, PROFILES),
                              mr_random_below(&random, 2) == 0, &records);
                int64_t resolution =
                    tiled ? records.step * (1 + (int64_t)mr_random_below(&random, 4)) : 0;
                for (; at < count && used < wanted; at++)
                    if (list[at].tiled == (tiled != 0)) {
                        (void)snprintf(names[used], sizeof names[used], "out%zu", used);
                        aggregates[used] = random_aggregate(&random, &list[at], records.step,
                                                            resolution, names[used]);
                        used++;
                    }
                if (used == 0)
                    break;
                size_t key = (size_t)mr_random_below(&random, 3);
                const int64_t lateness[] = {MR_VIEW_LATENESS_DEFAULT, 0, records.step * 3,
                                            records.step * 100};
                const mr_view_spec spec = {
                    .name = "v",
                    .keys = keys[key],
                    .key_count = key == 2 ? 2 : 1,
                    .inputs = inputs,
                    .input_count = IN_TOTAL,
                    .wheres = wheres,
                    .where_count = WHERES,
                    .aggregates = aggregates,
                    .aggregate_count = used,
                    .resolution_us = resolution,
                    .lateness_us = lateness[mr_random_below(&random, 4)],
                };
                check_stream(&random, &spec, &records);
            }
    }
}

/* Counts, sums and means over sliding windows: the views that fast.c takes. */
TEST(view, fast_views_agree_with_brute_force)
{
    static stream records;
    static const char *const kinds[] = {"count", "mean", "sum", "rate", "ratio"};
    static char names[16][32];
    mr_random_seeded random = mr_test_random(2);
    const mr_type key = {MR_INT64, 0};
    for (uint64_t round = 0; round < mr_test_rounds(24); round++) {
        mr_view_aggregate aggregates[16];
        size_t used = 1 + (size_t)mr_random_below(&random, 10);
        random_stream(&random, (profile)mr_random_below(&random, PROFILES), round % 2 == 0,
                      &records);
        int64_t delay = records.step * (int64_t)mr_random_below(&random, 9);
        for (size_t i = 0; i < used; i++) {
            const char *name = kinds[mr_random_below(&random, MR_COUNT_OF(kinds))];
            const combination c = {mr_aggregate_find(name, strlen(name)), MR_WINDOW_SLIDING,
                                   mr_random_below(&random, 3) == 0, false, false};
            (void)snprintf(names[i], sizeof names[i], "out%zu", i);
            aggregates[i] = random_aggregate(&random, &c, records.step, 0, names[i]);
            aggregates[i].window.delay_us = mr_random_below(&random, 3) != 0 ? delay : 0;
            if (aggregates[i].input > IN_COUNT)
                aggregates[i].input = (int)mr_random_below(&random, 2);
        }
        const mr_view_spec spec = {.name = "v",
                                   .keys = &key,
                                   .key_count = 1,
                                   .inputs = inputs,
                                   .input_count = IN_SHOP /* the first two */,
                                   .wheres = wheres,
                                   .where_count = WHERES,
                                   .aggregates = aggregates,
                                   .aggregate_count = used,
                                   .lateness_us = mr_random_below(&random, 2) == 0
                                                      ? MR_VIEW_LATENESS_DEFAULT
                                                      : records.step * 5};
        check_stream(&random, &spec, &records);
    }
}
