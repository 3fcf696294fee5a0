/* decoder_hostile_test.c -- the hostile folder comes out as its expected.csv says, however it is fed.
 *
 * The schema's wishes beyond types (event_id not negative, user not empty, country two capitals) are checked here
 * as a pipeline checks them: on decoded rows, with the place asked for afterwards. */
#include "base/assert.h"
#include "data/decoder.h"
#include "test/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENT_ID, EVENT_TIME, USER, AMOUNT, COUNTRY };

typedef struct place {
    uint64_t line, column;
} place;

typedef struct outcome {
    bool refused;
    uint64_t good, bad;
    uint64_t dead_bytes; /* of all dead letters */
    place places[64];
    int64_t event_ids[64], times[64];
    char refusal[MR_ERROR_PLACE_MAX];
} outcome;

static void add_bad(outcome *out, uint64_t line, uint64_t column, size_t bytes)
{
    assert_true(out->bad < 64);
    out->places[out->bad++] = (place){line, column};
    out->dead_bytes += bytes;
}

static int broken_wish(const mr_batch *batch, uint32_t row)
{
    mr_text user = mr_column_text(&batch->columns[USER], row),
            country = mr_column_text(&batch->columns[COUNTRY], row);
    if (((const int64_t *)batch->columns[EVENT_ID].values)[row] < 0)
        return EVENT_ID;
    if (user.size == 0)
        return USER;
    bool capitals = country.size == 2 && country.bytes[0] >= 'A' && country.bytes[0] <= 'Z' &&
                    country.bytes[1] >= 'A' && country.bytes[1] <= 'Z';
    return capitals ? -1 : COUNTRY;
}

static void take_rows(mr_decoder *decoder, const mr_batch *batch, outcome *out)
{
    for (uint32_t row = 0; batch != NULL && row < batch->row_count; row++) {
        int field = broken_wish(batch, row);
        if (field >= 0) {
            mr_row_place where;
            mr_decoder_place(decoder, row, field, &where);
            add_bad(out, where.line, where.column, where.size);
            continue;
        }
        assert_true(out->good < 64);
        out->event_ids[out->good] = ((const int64_t *)batch->columns[EVENT_ID].values)[row];
        out->times[out->good++] = ((const int64_t *)batch->columns[EVENT_TIME].values)[row];
    }
}

static bool take_batches(mr_decoder *decoder, outcome *out)
{
    mr_error err = {0};
    mr_batch *batch;
    do {
        mr_status status = mr_decoder_next_batch(decoder, &batch, &err);
        if (status != MR_OK) {
            out->refused = true;
            assert_true(strlen(err.text) > 10);
            (void)snprintf(out->refusal, sizeof out->refusal, "%s", err.place);
            return false;
        }
        take_rows(decoder, batch, out);
        size_t count;
        const mr_reject *rejects = mr_decoder_rejects(decoder, &count);
        for (size_t i = 0; i < count; i++) {
            assert_true(strlen(rejects[i].reason) > 5);
            add_bad(out, rejects[i].line, rejects[i].column, rejects[i].size);
        }
        mr_batch_release(batch);
    } while (batch != NULL || mr_decoder_has_more(decoder));
    return true;
}

static mr_schema *hostile_schema(void)
{
    static const char text[] =
        "event_id: int64, event_time: timestamp, user: string, amount: float64, country: string";
    mr_schema *schema;
    mr_error err = {0};
    assert_ok(mr_schema_parse(text, sizeof text - 1, &schema, &err), &err);
    return schema;
}

static int by_place(const void *a, const void *b)
{
    const place *left = a, *right = b;
    return left->line != right->line
               ? (left->line > right->line) - (left->line < right->line)
               : (left->column > right->column) - (left->column < right->column);
}

static outcome decode_all(const char *name, const mr_bytes *content, size_t piece, bool portable)
{
    outcome out = {0};
    mr_error err = {0};
    mr_decoder *decoder;
    mr_schema *schema = hostile_schema();
    mr_decoder_options options = {
        .schema = schema, .name = name, .zone_required = true, .portable = portable};
    options.window_bytes = piece == 1 ? 16 : 4096;
    options.batch_rows_max = piece == 7 ? 2 : 0;
    options.rejects_max = piece == 7 ? 1 : 0;
    assert_true(mr_text_format_of_path(name, &options.format));
    assert_ok(mr_decoder_open(&options, &decoder, &err), &err);
    bool good = true;
    for (size_t at = 0; good && at < content->size; at += piece) {
        assert_ok(
            mr_decoder_feed(decoder, content->data + at, MR_MIN(piece, content->size - at), &err),
            &err);
        good = take_batches(decoder, &out);
    }
    mr_decoder_finish(decoder);
    good = good && take_batches(decoder, &out);
    if (good)
        assert_int_equal(mr_decoder_count(decoder).records, out.good + out.bad);
    mr_decoder_close(decoder);
    mr_schema_release(schema);
    qsort(out.places, out.bad, sizeof *out.places, by_place);
    return out;
}

static void compare(const char *name, const outcome *got, uint64_t good, uint64_t bad,
                    const char *places)
{
    char text[1024] = "";
    size_t used = 0;
    for (uint64_t i = 0; i < got->bad; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%llu:%llu", i > 0 ? ";" : "",
                                 (unsigned long long)got->places[i].line,
                                 (unsigned long long)got->places[i].column);
    if (got->good != good || got->bad != bad || strcmp(text, places) != 0)
        fail_msg("%s: %llu good, %llu bad at %s; expected %llu, %llu at %s", name,
                 (unsigned long long)got->good, (unsigned long long)got->bad, text,
                 (unsigned long long)good, (unsigned long long)bad, places);
}

static void check_file(const char *name, const char *verdict, uint64_t good, uint64_t bad,
                       const char *places)
{
    char path[512];
    mr_bytes content = {0};
    mr_error err = {0};
    (void)snprintf(path, sizeof path, "hostile/%s", name);
    assert_ok(mr_fs_read_file(mr_fs_real(), mr_test_data(path), 0, &content, &err), &err);
    size_t pieces[] = {SIZE_MAX / 2, 4096, 7, 1};
    for (size_t i = 0; i < 8; i++) {
        if (content.size > 1000000 && i / 2 > 1)
            continue;
        outcome got =
            decode_all(name, &content, MR_MIN(pieces[i / 2], MR_MAX(content.size, 1)), i % 2 == 1);
        bool refuse = strcmp(verdict, "refuse") == 0;
        if (got.refused != refuse)
            fail_msg("%s: %s", name, refuse ? "was not refused" : "was refused");
        if (refuse)
            assert_non_null(strstr(got.refusal, places));
        else
            compare(name, &got, good, bad, places);
    }
    mr_bytes_deinit(&content);
}

static char *copy_text(const mr_batch *batch, int column, uint32_t row, char *out)
{
    mr_text text = mr_column_text(&batch->columns[column], row);
    assert_true(text.size < 256);
    if (text.size > 0)
        memcpy(out, text.bytes, text.size);
    out[text.size] = '\0';
    return out;
}

/* expected.csv, read by the decoder itself. */
static mr_batch *read_expected(void)
{
    static const char text[] =
        "file: string, verdict: string, good: int64, bad: int64, all_bad_line_column: string";
    mr_error err = {0};
    mr_bytes content = {0};
    mr_decoder *decoder;
    mr_batch *batch;
    mr_schema *schema;
    assert_ok(
        mr_fs_read_file(mr_fs_real(), mr_test_data("hostile/expected.csv"), 0, &content, &err),
        &err);
    assert_ok(mr_schema_parse(text, sizeof text - 1, &schema, &err), &err);
    mr_decoder_options options = {.schema = schema, .name = "expected.csv"};
    assert_ok(mr_decoder_open(&options, &decoder, &err), &err);
    assert_ok(mr_decoder_feed(decoder, content.data, content.size, &err), &err);
    mr_decoder_finish(decoder);
    assert_ok(mr_decoder_next_batch(decoder, &batch, &err), &err);
    assert_non_null(batch);
    size_t ignored;
    (void)mr_decoder_ignored(decoder, &ignored);
    assert_int_equal(ignored, 4);
    mr_decoder_close(decoder);
    mr_schema_release(schema);
    mr_bytes_deinit(&content);
    return batch;
}

TEST(decoder_hostile, comes_out_as_expected)
{
    mr_batch *expected = read_expected();
    assert_true(expected->row_count >= 26);
    for (uint32_t row = 0; row < expected->row_count; row++) {
        char name[256], verdict[256], places[256];
        check_file(copy_text(expected, 0, row, name), copy_text(expected, 1, row, verdict),
                   (uint64_t)((const int64_t *)expected->columns[2].values)[row],
                   (uint64_t)((const int64_t *)expected->columns[3].values)[row],
                   copy_text(expected, 4, row, places));
    }
    mr_batch_release(expected);
}

static outcome outcome_of(const char *path)
{
    mr_bytes content = {0};
    mr_error err = {0};
    assert_ok(mr_fs_read_file(mr_fs_real(), mr_test_data(path), 0, &content, &err), &err);
    outcome out = decode_all(strrchr(path, '/') + 1, &content, content.size, false);
    mr_bytes_deinit(&content);
    return out;
}

TEST(decoder_hostile, keeps_values_exactly)
{
    outcome times = outcome_of("hostile/ts_mixed_zones.csv");
    for (uint64_t i = 0; i < times.good; i++)
        assert_int_equal(times.times[i], INT64_C(1709287200000000));
    static const int64_t far_ms[] = {253402300799000, 2147483648000, 4294967296000,
                                     9223372800000,   -1000,         -62135596800000};
    outcome far = outcome_of("hostile/ts_far_future.csv");
    assert_int_equal(far.good, 6);
    for (uint64_t i = 0; i < 6; i++)
        assert_int_equal(far.times[i], far_ms[i] * 1000);
    outcome ids = outcome_of("hostile/jsonl_huge_ints.jsonl");
    assert_int_equal(ids.event_ids[0], INT64_C(9007199254740993));
    assert_int_equal(ids.event_ids[1], INT64_MAX);
    /* Lines 4 to 6 of the unbalanced quote, but for the last line end. */
    assert_int_equal(outcome_of("hostile/csv_unbalanced_quote.csv").dead_bytes,
                     36 + 1 + 35 + 1 + 35);
}
