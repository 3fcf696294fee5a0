/* expr_test.c -- the expression language: what expressions give, how they are refused.
 *
 * The comparison with a row-by-row evaluator is in expr_property_test.c. */
#include "test/test.h"

#include "base/hash.h"
#include "base/number.h"
#include "base/time.h"
#include "data/expr_internal.h"
#include "os/thread.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers ---- */

static mr_schema *make_schema(void)
{
    static const char *const names[] = {"tx",   "at", "customer", "amount", "ratio",
                                        "note", "ok", "raw",      "vec",    "odd name"};
    static const mr_type types[] = {
        {MR_INT64, 0},  {MR_TIMESTAMP, 0}, {MR_INT32, 0}, {MR_FLOAT64, 0}, {MR_FLOAT32, 0},
        {MR_STRING, 0}, {MR_BOOL, 0},      {MR_BYTES, 0}, {MR_VECTOR, 2},  {MR_INT64, 0}};
    static const bool nullable[] = {false, false, false, false, true,
                                    true,  true,  false, true,  false};
    mr_field fields[10];
    mr_schema *schema;
    mr_error err = {0};
    for (size_t i = 0; i < 10; i++)
        fields[i] = (mr_field){.name = names[i], .type = types[i], .nullable = nullable[i]};
    assert_ok(mr_schema_create(fields, 10, &schema, &err), &err);
    return schema;
}

/* Row i is simple arithmetic of i; every third nullable value is NULL. */
static mr_batch *make_batch(mr_schema *schema, size_t rows)
{
    mr_builder b;
    mr_batch *batch;
    mr_error err = {0};
    assert_ok(mr_builder_init(&b, schema, &err), &err);
    for (size_t i = 0; i < rows; i++) {
        char note[32];
        float vector[2] = {(float)i, 1};
        int size = snprintf(note, sizeof note, "note %zu", i);
        bool null = i % 3 == 2;
        mr_builder_int64(&b.columns[0], (int64_t)i);
        mr_builder_int64(&b.columns[1], (int64_t)i * 3600 * MR_TIME_US_PER_SECOND);
        mr_builder_int32(&b.columns[2], (int32_t)i % 7);
        mr_builder_float64(&b.columns[3], (double)i / 4);
        if (null) {
            for (size_t c = 4; c <= 6; c++)
                mr_builder_null(&b.columns[c]);
            mr_builder_null(&b.columns[8]);
        } else {
            mr_builder_float32(&b.columns[4], (float)i / 2);
            mr_builder_text(&b.columns[5], note, (size_t)size);
            mr_builder_bool(&b.columns[6], i % 2 == 0);
            mr_builder_vector(&b.columns[8], vector);
        }
        mr_builder_text(&b.columns[7], note, (size_t)size);
        mr_builder_int64(&b.columns[9], -(int64_t)i);
    }
    assert_ok(mr_builder_finish(&b, &batch, &err), &err);
    mr_builder_deinit(&b);
    return batch;
}

/* The value of a row as text, NULL as "NULL". */
static void show_value(const mr_column *column, size_t row, char *out, size_t out_bytes)
{
    char text[MR_NUMBER_TEXT_MAX + MR_TIME_TEXT_MAX];
    size_t size = 0;
    if (mr_column_is_null(column, row)) {
        (void)snprintf(out, out_bytes, "NULL");
        return;
    }
    switch (column->type.id) {
    case MR_BOOL:
        size = (size_t)snprintf(text, sizeof text, "%s",
                                mr_bit_get(column->values, row) ? "true" : "false");
        break;
    case MR_INT32:
        size = mr_number_format_int64(((const int32_t *)column->values)[row], text);
        break;
    case MR_INT64:
        size = mr_number_format_int64(((const int64_t *)column->values)[row], text);
        break;
    case MR_FLOAT32:
        size = mr_number_format_float32(((const float *)column->values)[row], text);
        break;
    case MR_FLOAT64:
        size = mr_number_format_float64(((const double *)column->values)[row], text);
        break;
    case MR_TIMESTAMP:
        size = mr_time_format(((const int64_t *)column->values)[row], text);
        break;
    default: {
        mr_text value = mr_column_text(column, row);
        (void)snprintf(out, out_bytes, "%.*s", (int)value.size, (const char *)value.bytes);
        return;
    }
    }
    (void)snprintf(out, out_bytes, "%.*s", (int)size, text);
}

static mr_expr *compile(const char *text, const mr_schema *schema)
{
    mr_error err = {0};
    mr_expr *expr = NULL;
    mr_status status = mr_expr_compile(text, strlen(text), schema, NULL, &expr, &err);
    if (status != MR_OK)
        fail_msg("%s: %s: %s", text, err.place, err.text);
    return expr;
}

/* The first row's value of `text` over the test batch. */
static void assert_gives(const char *text, const char *expected)
{
    mr_schema *schema = make_schema();
    mr_batch *batch = make_batch(schema, 3);
    mr_expr *expr = compile(text, schema);
    mr_expr_scratch scratch = {0};
    mr_column out;
    mr_error err = {0};
    char shown[256];
    assert_ok(mr_expr_eval(expr, &scratch, batch->columns, 0, 3, &out, &err), &err);
    assert_ok(mr_column_check(&out, 3, &err), &err);
    show_value(&out, 0, shown, sizeof shown);
    if (strcmp(shown, expected) != 0)
        fail_msg("%s gives %s, not %s", text, shown, expected);
    if (!mr_expr_nullable(expr) && out.null_count > 0)
        fail_msg("%s says it is never NULL and gives NULL", text);
    mr_column_release(&out);
    mr_expr_scratch_deinit(&scratch);
    mr_expr_destroy(expr);
    mr_batch_release(batch);
    mr_schema_release(schema);
}

static void assert_refused(const char *text, const char *place, const char *message)
{
    mr_schema *schema = make_schema();
    mr_expr *expr = NULL;
    mr_error err = {0};
    mr_expr_place at = {.file = "cards.yaml", .line = 12, .column = 9, .line_indent = 6};
    mr_status status = mr_expr_compile(text, strlen(text), schema, &at, &expr, &err);
    if (status != MR_INVALID || strcmp(err.place, place) != 0 || strcmp(err.text, message) != 0)
        fail_msg("%s is refused (%d) at %s: %s\nnot at %s: %s", text, (int)status, err.place,
                 err.text, place, message);
    assert_null(expr);
    mr_schema_release(schema);
}

/* ---- the table ---- */

TEST(expr, every_function_gives_what_its_example_says)
{
    size_t count;
    const mr_function *table = mr_function_table(&count);
    for (size_t i = 0; i < count; i++)
        if (table[i].what != NULL)
            assert_gives(table[i].example, table[i].gives);
}

TEST(expr, overloads_of_one_name_stand_together)
{
    size_t count;
    const mr_function *table = mr_function_table(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 2; k < count; k++)
            if (strcmp(table[i].name, table[k].name) == 0)
                assert_string_equal(table[i].name, table[k - 1].name);
}

TEST(expr, reference_page_lists_every_function)
{
    size_t count;
    const mr_function *table = mr_function_table(&count);
    mr_bytes page = {0};
    mr_expr_reference(&page);
    const char *text = mr_bytes_text(&page);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        if (table[i].what == NULL || strchr(table[i].what, '|') != NULL)
            continue;
        assert_non_null(strstr(text, table[i].what));
    }
    assert_non_null(strstr(text, "`hour(timestamp)` int64"));
    mr_bytes_deinit(&page);
}

/* GOLDEN=update writes the page anew. */
TEST(expr, reference_page_is_the_one_in_the_docs)
{
    static const char path[] = "docs/reference/expressions.md";
    const char *golden = getenv("GOLDEN");
    mr_bytes page = {0}, kept = {0};
    mr_error err = {0};
    mr_expr_reference(&page);
    if (golden != NULL && strcmp(golden, "update") == 0)
        assert_ok(mr_fs_write_file(mr_fs_real(), path, page.data, page.size, &err), &err);
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 1 << 20, &kept, &err), &err);
    assert_int_equal(kept.size, page.size);
    assert_memory_equal(kept.data, page.data, page.size);
    mr_bytes_deinit(&page);
    mr_bytes_deinit(&kept);
}

/* ---- values ---- */

TEST(expr, numbers)
{
    assert_gives("1 + 2 * 3", "7");
    assert_gives("(1 + 2) * 3", "9");
    assert_gives("7 - 2 - 1", "4");
    assert_gives("1 / 3", "0.3333333333333333");
    assert_gives("-9223372036854775808", "-9223372036854775808");
    assert_gives("-9223372036854775808 - 1", "NULL");
    assert_gives("-(-9223372036854775808)", "NULL");
    assert_gives("abs(-9223372036854775808)", "NULL");
    assert_gives("div(-9223372036854775808, -1)", "NULL");
    assert_gives("mod(-9223372036854775808, -1)", "0");
    assert_gives("mod(5, 0)", "NULL");
    assert_gives("5.5 % 2", "1.5");
    assert_gives("1e308 * 10", "NULL");
    assert_gives("0.0 / 0", "NULL");
    assert_gives("ln(0)", "NULL");
    assert_gives("pow(0, -1)", "NULL");
    assert_gives("round(0.49999999999999994)", "0");
    assert_gives("round(2.5)", "3");
    assert_gives("round(1234.567, 2)", "1234.57");
    assert_gives("round(1250, -2)", "1300");
    assert_gives("round(1, 99)", "NULL");
    assert_gives("- - 3", "3");
    assert_gives("1 -- a comment\n + /* two\nlines */ 1", "2");
    assert_gives("customer + 1.5", "1.5");
    assert_gives("\"odd name\" + 1", "1");
    assert_gives("tx IS NOT NULL AND TRUE", "true");
}

TEST(expr, nulls)
{
    assert_gives("null = null", "NULL");
    assert_gives("null is null", "true");
    assert_gives("not cast(null as bool)", "NULL");
    assert_gives("null and true", "NULL");
    assert_gives("null or false", "NULL");
    assert_gives("1 in (1, null)", "true");
    assert_gives("2 in (1, null)", "NULL");
    assert_gives("2 not in (1, 3)", "true");
    assert_gives("2 not in (1, null)", "NULL");
    assert_gives("null in (1, 2)", "NULL");
    assert_gives("tx in (5, 4, 3, 2, 1, 0, 9, 8, 7, 6)", "true");
    assert_gives("note in ('note 1', 'note 0')", "true");
    assert_gives("ok in (false, null)", "NULL");
    assert_gives("5 between 1 and null", "NULL");
    assert_gives("5 between 6 and null", "false");
    assert_gives("5 not between 6 and 7", "true");
    assert_gives("case when null then 1 else 2 end", "2");
    assert_gives("case null when null then 1 else 2 end", "2");
    assert_gives("case 2 when 1 then 'a' when 2 then 'b' end", "b");
    assert_gives("case when false then 1 end", "NULL");
    assert_gives("case when tx = 0 then 1 else 2.5 end", "1");
    assert_gives("coalesce(cast(null as float64), tx)", "0");
    assert_gives("least(cast(null as string), cast(null as string))", "NULL");
    assert_gives("concat('a', null)", "NULL");
    assert_gives("vec is null", "false");
}

TEST(expr, times)
{
    assert_gives("at + 90s", "1970-01-01T00:01:30Z");
    assert_gives("at - 1us", "1969-12-31T23:59:59.999999Z");
    assert_gives("hour(at - 1us)", "23");
    assert_gives("minute(at - 1us)", "59");
    assert_gives("weekday(at)", "4");
    assert_gives("weekday(timestamp '2018-04-07') >= 6", "true");
    assert_gives("timestamp '2018-04-01 02:00:00+02:00' = timestamp '2018-04-01'", "true");
    assert_gives("7d = 168h and 1h30m = 90m and 2w = 14d", "true");
    assert_gives("date_trunc('month', timestamp '2018-02-28T23:00:00Z')", "2018-02-01T00:00:00Z");
    assert_gives("date_trunc('quarter', timestamp '2018-06-30')", "2018-04-01T00:00:00Z");
    assert_gives("timestamp '9999-12-31' + 9223372036854775807", "NULL");
    assert_gives("year(at) * 10000 + month(at) * 100 + day(at)", "19700101");
}

TEST(expr, texts)
{
    assert_gives("'it''s'", "it's");
    assert_gives("substr('Zoë Ω!', 3, 3)", "ë Ω");
    assert_gives("substr('abc', -1, 3)", "a");
    assert_gives("substr('abc', 2, -1)", "NULL");
    assert_gives("substr('abc', 9)", "");
    assert_gives("substr('abc', -9223372036854775808, 9223372036854775807)", "");
    assert_gives("substr('abc', 2, 9223372036854775807)", "bc");
    assert_gives("upper('straße')", "STRAßE");
    assert_gives("note || '/' || note", "note 0/note 0");
    assert_gives("length(raw)", "6");
    assert_gives("'a' < 'B'", "false");
    assert_gives("'a' < 'ab' and '' < 'a'", "true");
    assert_gives("matches(note, '^note [0-9]$')", "true");
    assert_gives("matches('ZOË', '(?i)zoë')", "true");
    assert_gives("starts_with('ab', 'abc')", "false");
}

TEST(expr, casts)
{
    assert_gives("'12'::int64", "12");
    assert_gives("cast(' 12' as int64)", "NULL");
    assert_gives("cast('2147483648' as int32)", "NULL");
    assert_gives("cast(2147483648 as int32)", "NULL");
    assert_gives("cast(-2147483648.9 as int32)", "-2147483648");
    assert_gives("cast(-2.9 as int64)", "-2");
    assert_gives("cast(9223372036854775807.0 as int64)", "NULL");
    assert_gives("cast(-9223372036854775808.0 as int64)", "-9223372036854775808");
    assert_gives("cast(1e39 as float32)", "NULL");
    assert_gives("cast(0.1 as float32)", "0.1");
    assert_gives("cast(cast(0.1 as float32) as float64)", "0.10000000149011612");
    assert_gives("cast('nan' as float64)", "NULL");
    assert_gives("cast(1.0 as string)", "1");
    assert_gives("cast(cast(0.1 as float32) as string)", "0.1");
    assert_gives("true::int32 + true::int64", "2");
    assert_gives("cast('TRUE' as bool)", "true");
    assert_gives("cast('yes' as bool)", "NULL");
    assert_gives("cast(0 as bool)", "false");
    assert_gives("cast('2018-04-01T01:00:00+01:00' as timestamp)", "2018-04-01T00:00:00Z");
    assert_gives("cast(timestamp '2018-04-01' as string)", "2018-04-01T00:00:00Z");
    assert_gives("at::int64::timestamp = at", "true");
    assert_gives("cast(raw as string) = note", "true");
    assert_gives("cast(null as timestamp) is null", "true");
}

TEST(expr, hashes_are_the_documented_ones)
{
    int64_t numbers[2] = {42, -1};
    double real = 2.5;
    char text[64];
    (void)snprintf(text, sizeof text, "%lld", (long long)mr_hash64(&numbers[0], 8));
    assert_gives("hash(42)", text);
    assert_gives("hash(cast(42 as int32))", text);
    (void)snprintf(text, sizeof text, "%lld", (long long)mr_hash64(&real, 8));
    assert_gives("hash(2.5)", text);
    int64_t hashes[2] = {(int64_t)mr_hash64(&numbers[0], 8), (int64_t)mr_hash64("x", 1)};
    (void)snprintf(text, sizeof text, "%lld", (long long)mr_hash64(hashes, 16));
    assert_gives("hash(42, 'x')", text);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)(mr_hash64("x", 1) % 10));
    assert_gives("bucket('x', 10)", text);
    assert_gives("hash(-0.0) = hash(0.0)", "true");
    assert_gives("bucket('x', 0)", "NULL");
    assert_gives("hash(null, 1)", "NULL");
}

/* ---- types ---- */

static void assert_typed(const char *text, const char *type, bool nullable)
{
    mr_schema *schema = make_schema();
    mr_expr *expr = compile(text, schema);
    char shown[32];
    assert_string_equal(mr_type_format(mr_expr_type(expr), shown), type);
    assert_int_equal(mr_expr_nullable(expr), nullable);
    mr_expr_destroy(expr);
    mr_schema_release(schema);
}

TEST(expr, types_and_nullability)
{
    assert_typed("customer", "int32", false);
    assert_typed("ratio", "float32", true);
    assert_typed("vec", "vector(2)", true);
    assert_typed("customer + customer", "int64", true);
    assert_typed("coalesce(customer, customer)", "int32", false);
    assert_typed("coalesce(ratio, cast(1 as float32))", "float32", false);
    assert_typed("case when ok then customer else 1 end", "int64", false);
    assert_typed("case when ok then customer end", "int32", true);
    assert_typed("least(customer, 1.5)", "float64", false);
    assert_typed("hour(at) <= 6", "bool", false);
    assert_typed("ok and tx > 0", "bool", true);
    assert_typed("note is null", "bool", false);
    assert_typed("at - at", "int64", true);
    assert_typed("at + 1h", "timestamp", true);
    assert_typed("1 + 1", "int64", false);
    assert_typed("'a' || 'b'", "string", false);
    assert_typed("cast(note as bytes)", "bytes", true);
    assert_typed("7 / 7", "float64", false);
}

TEST(expr, columns_in_use)
{
    mr_schema *schema = make_schema();
    mr_expr *expr = compile("case when amount > 1 then tx else tx + amount end", schema);
    size_t count;
    uint32_t index;
    const uint32_t *columns = mr_expr_columns(expr, &count);
    assert_int_equal(count, 2);
    assert_int_equal(columns[0], 0);
    assert_int_equal(columns[1], 3);
    assert_false(mr_expr_is_column(expr, &index));
    mr_expr_destroy(expr);
    expr = compile("(note)", schema);
    assert_true(mr_expr_is_column(expr, &index));
    assert_int_equal(index, 5);
    mr_expr_destroy(expr);
    expr = compile("amount", schema); /* may hold a NaN */
    assert_false(mr_expr_is_column(expr, &index));
    mr_expr_destroy(expr);
    expr = compile("cast(customer as int64)", schema);
    assert_false(mr_expr_is_column(expr, &index));
    mr_expr_destroy(expr);
    mr_schema_release(schema);
}

/* ---- canonical text ---- */

static void assert_format(const char *text, const char *expected)
{
    mr_schema *schema = make_schema();
    mr_expr *expr = compile(text, schema);
    mr_bytes out = {0};
    mr_expr_format(expr, &out);
    assert_string_equal(mr_bytes_text(&out), expected);
    mr_expr_destroy(expr);
    expr = compile(expected, schema);
    mr_bytes_clear(&out);
    mr_expr_format(expr, &out);
    assert_string_equal(mr_bytes_text(&out), expected);
    mr_bytes_deinit(&out);
    mr_expr_destroy(expr);
    mr_schema_release(schema);
}

TEST(expr, canonical_text)
{
    assert_format("  HOUR( at )<=06", "hour(at) <= 6");
    assert_format("(tx+1)*2 - (3 - 4)", "(tx + 1) * 2 - (3 - 4)");
    assert_format("((tx)) + (1 * 2)", "tx + 1 * 2");
    assert_format("NOT (ok AND NOT ok) OR (tx = 1 OR ok)", "not (ok and not ok) or (tx = 1 or ok)");
    assert_format("CASE tx WHEN 1 THEN 'a''b' ELSE NULL END",
                  "case tx when 1 then 'a''b' else null end");
    assert_format("tx NOT IN (1,2) -- why", "tx not in (1, 2)");
    assert_format("tx between 1 and 2 and ok", "tx between 1 and 2 and ok");
    assert_format("amount::int32", "cast(amount as int32)");
    assert_format("- - amount + -5", "-(-amount) + -5");
    assert_format("-(5)", "-5");
    assert_format("1e3 + 0.50 + 1e300", "1000.0 + 0.5 + 1e+300");
    assert_format("at > timestamp '2018-04-01' + 1h30m",
                  "at > timestamp '2018-04-01T00:00:00Z' + 1h30m");
    assert_format("\"odd name\" + \"tx\"", "\"odd name\" + tx");
    assert_format("tx == 1 or tx != 2", "tx = 1 or tx <> 2");
    assert_format("(tx is null) = ok", "(tx is null) = ok");
    assert_format("not (tx = 1)", "not tx = 1");
    assert_format("date_trunc('hour', at)", "date_trunc('hour', at)");
}

/* ---- errors ---- */

TEST(expr, errors_name_the_place_and_what_is_right)
{
    assert_refused("tx + amout", "cards.yaml:12:14", "unknown column amout; did you mean amount?");
    assert_refused("zzz", "cards.yaml:12:9",
                   "unknown column zzz; there are tx, at, customer, amount, ratio, note, ok, raw, "
                   "vec, odd name");
    assert_refused("Tx", "cards.yaml:12:9", "unknown column Tx; did you mean tx?");
    assert_refused("z", "cards.yaml:12:9",
                   "unknown column z; there are tx, at, customer, amount, ratio, note, ok, raw, "
                   "vec, odd name");
    assert_refused("hour(amount)", "cards.yaml:12:9", "hour() wants timestamp, got float64");
    assert_refused("1 +\n  amuont", "cards.yaml:13:9",
                   "unknown column amuont; did you mean amount?");
    assert_refused("/* é */ hour(amount)", "cards.yaml:12:17",
                   "hour() wants timestamp, got float64");
    assert_refused("hours(at)", "cards.yaml:12:9",
                   "unknown function hours(); did you mean hour()?");
    assert_refused("xyzzy(at)", "cards.yaml:12:9",
                   "unknown function xyzzy(); `millrace help expressions` lists them");
    assert_refused("tx +", "cards.yaml:12:13", "expected a value, but the expression ends here");
    assert_refused("tx tx", "cards.yaml:12:12", "expected an operator or the end, got \"tx\"");
    assert_refused("", "cards.yaml:12:9", "expected a value, but the expression ends here");
    assert_refused("(tx", "cards.yaml:12:12", "expected ')', but the expression ends here");
    assert_refused("case ok end", "cards.yaml:12:17", "expected when, got \"end\"");
    assert_refused("tx not 5", "cards.yaml:12:16", "expected in or between, got \"5\"");
    assert_refused(
        "note + 1", "cards.yaml:12:14",
        "+ wants int64 + int64 or float64 + float64 or timestamp + int64 or int64 + timestamp, "
        "got string, int64");
    assert_refused("not tx", "cards.yaml:12:9", "not wants bool, got int64");
    assert_refused("substr(note)", "cards.yaml:12:9",
                   "substr() wants (string, int64) or (string, int64, int64), got string");
    assert_refused("hour()", "cards.yaml:12:9", "hour() wants timestamp, got nothing");
    assert_refused(
        "at > '2018-04-01'", "cards.yaml:12:12",
        "> wants values of one type, got timestamp, string; write timestamp '2018-04-01'");
    assert_refused("tx in (1, 'a')", "cards.yaml:12:19",
                   "in compares int64 with string, which have no common type");
    assert_refused("case when ok then 1 else 'a' end", "cards.yaml:12:34",
                   "case gives string here and int64 before; one type is right");
    assert_refused("case when tx then 1 end", "cards.yaml:12:19", "when wants bool, got int64");
    assert_refused("cast(amount as timestamp)", "cards.yaml:12:9",
                   "there is no cast from float64 to timestamp");
    assert_refused(
        "cast(tx as int)", "cards.yaml:12:20",
        "expected a type (bool, int32, int64, float32, float64, timestamp, string or bytes), "
        "got \"int\"");
    assert_refused(
        "99999999999999999999", "cards.yaml:12:9",
        "99999999999999999999 does not fit int64; write it with a point to make it float64");
    assert_refused("1e999", "cards.yaml:12:9", "1e999 does not fit float64");
    assert_refused("5x", "cards.yaml:12:9",
                   "5x is no number; a duration is written 90s, 15m, 1h or 7d");
    assert_refused("'abc", "cards.yaml:12:9", "this text is not closed; ' is missing");
    assert_refused("/* abc", "cards.yaml:12:9", "this comment is not closed; */ is missing");
    assert_refused("tx ? 1", "cards.yaml:12:12", "'?' cannot stand in an expression");
    assert_refused("null", "cards.yaml:12:9",
                   "this is always NULL and has no type; cast(null as float64) has one");
    assert_refused("matches(note, note)", "cards.yaml:12:23",
                   "matches() wants a constant text here");
    assert_refused(
        "date_trunc('eon', at)", "cards.yaml:12:20",
        "date_trunc(): 'eon' is no unit; expected second, minute, hour, day, week, month, quarter "
        "or year");
    assert_refused(
        "matches(note, 'a(')", "cards.yaml:12:23",
        "matches(): the pattern 'a(' fails at its character 3: missing closing parenthesis");
    assert_refused("vec = vec", "cards.yaml:12:13",
                   "= wants values of one type, got vector(2), vector(2)");
}

TEST(expr, limits)
{
    mr_bytes text = {0};
    for (int i = 0; i < 201; i++)
        mr_bytes_append_text(&text, "(");
    mr_bytes_append_text(&text, "tx");
    for (int i = 0; i < 201; i++)
        mr_bytes_append_text(&text, ")");
    assert_refused(mr_bytes_text(&text), "cards.yaml:12:210",
                   "the expression nests deeper than 200 levels here");
    mr_bytes_clear(&text);
    mr_bytes_append_text(&text, "tx");
    for (int i = 0; i < 1000; i++)
        mr_bytes_append_text(&text, " + 1");
    assert_refused(mr_bytes_text(&text), "cards.yaml:12:4008",
                   "more than 1000 operations build on each other here");
    mr_bytes_clear(&text);
    mr_bytes_append_text(&text, "least(0");
    for (int i = 1; i < 2100; i++)
        mr_bytes_printf(&text, ", tx + %d", i);
    mr_bytes_append_text(&text, ")");
    assert_refused(mr_bytes_text(&text), "cards.yaml:12:9",
                   "the expression has 4201 operations and values; 2048 are the most");
    mr_bytes_clear(&text);
    for (int i = 0; i < 70000; i++)
        mr_bytes_append_byte(&text, ' ');
    assert_refused(mr_bytes_text(&text), "cards.yaml:12:9",
                   "the expression has 70000 bytes; 65536 are the most");
    mr_bytes_deinit(&text);
}

static void append_times(mr_bytes *text, const char *piece, int times)
{
    for (int i = 0; i < times; i++)
        mr_bytes_append_text(text, piece);
}

TEST(expr, what_is_within_the_limits_runs)
{
    mr_bytes text = {0};
    append_times(&text, "(", 200);
    mr_bytes_append_text(&text, "tx");
    append_times(&text, ")", 200);
    assert_gives(mr_bytes_text(&text), "0");
    mr_bytes_clear(&text);
    mr_bytes_append_text(&text, "tx");
    append_times(&text, " + 1", 999);
    assert_gives(mr_bytes_text(&text), "999");
    mr_bytes_clear(&text);
    append_times(&text, "case when ok then 1 else ", 199);
    mr_bytes_append_text(&text, "2 ");
    append_times(&text, "end ", 199);
    assert_gives(mr_bytes_text(&text), "1");
    mr_bytes_clear(&text);
    append_times(&text, "not ", 200);
    mr_bytes_append_text(&text, "ok");
    assert_gives(mr_bytes_text(&text), "true");
    mr_bytes_clear(&text);
    mr_bytes_append_text(&text, "tx in (1");
    for (int i = 2; i < 9000; i++)
        mr_bytes_printf(&text, ", %d", i);
    mr_bytes_append_text(&text, ", 0)");
    assert_gives(mr_bytes_text(&text), "true");
    mr_bytes_deinit(&text);
}

TEST(expr, place_defaults)
{
    mr_schema *schema = make_schema();
    mr_expr *expr;
    mr_error err = {0};
    assert_int_equal(mr_expr_compile("tx\n+ nix", 8, schema, NULL, &expr, &err), MR_INVALID);
    assert_string_equal(err.place, "expression:2:3");
    assert_int_equal(mr_expr_compile("tx +", 4, schema, NULL, &expr, NULL), MR_INVALID);
    mr_schema_release(schema);
}

/* ---- hostile patterns and texts ---- */

TEST(expr, hostile_patterns_end)
{
    static const char *const hostile[] = {"(a+)+$", "(a|aa)+$", "(a*)*b", "a*a*a*a*a*a*[bc]",
                                          "(.*)(.*)(.*)x"};
    static char text[MR_EXPR_BYTES_MAX];
    for (size_t i = 0; i < MR_COUNT_OF(hostile); i++) {
        int size =
            snprintf(text, sizeof text, "matches('%0*d', '%s') is null", 9000, 0, hostile[i]);
        for (char *c = text; *c != '\0'; c++)
            *c = *c == '0' ? 'a' : *c;
        assert_true(size > 9000);
        mr_schema *schema = make_schema();
        mr_expr *expr = compile(text, schema);
        mr_expr_destroy(expr);
        mr_schema_release(schema);
    }
    assert_gives("matches('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', '^(a+)+$')",
                 "NULL");
}

/* ---- ranges, filters, sharing ---- */

TEST(expr, any_cut_gives_the_same_bits)
{
    static const char *const texts[] = {"tx * 3 - customer",
                                        "amount / ratio",
                                        "ok or amount > 100",
                                        "note || '!'",
                                        "cast(tx as int32)",
                                        "ratio",
                                        "case when ok then tx when tx % 5 = 0 then -tx end"};
    enum { ROWS = 3000 };
    mr_schema *schema = make_schema();
    mr_batch *batch = make_batch(schema, ROWS);
    mr_expr_scratch scratch = {0};
    mr_error err = {0};
    for (size_t t = 0; t < MR_COUNT_OF(texts); t++) {
        mr_expr *expr = compile(texts[t], schema);
        mr_column whole, part;
        assert_ok(mr_expr_eval(expr, &scratch, batch->columns, 0, ROWS, &whole, &err), &err);
        mr_random_seeded random = mr_test_random(t);
        for (size_t first = 0; first < ROWS;) {
            size_t count = 1 + mr_random_below(&random, 1500);
            count = MR_MIN(count, ROWS - first);
            assert_ok(mr_expr_eval(expr, &scratch, batch->columns, first, count, &part, &err),
                      &err);
            assert_true(mr_column_equal(&whole, first, &part, 0, count));
            assert_ok(mr_column_check(&part, count, &err), &err);
            mr_column_release(&part);
            first += count;
        }
        mr_column_release(&whole);
        mr_expr_destroy(expr);
    }
    mr_expr_scratch_deinit(&scratch);
    mr_batch_release(batch);
    mr_schema_release(schema);
}

TEST(expr, fills_ranges_of_one_column)
{
    enum { ROWS = 1300 };
    static const char *const texts[] = {"tx * 2 + coalesce(ratio, 0)", "ok",
                                        "cast(amount as int32)"};
    mr_schema *schema = make_schema();
    mr_batch *batch = make_batch(schema, ROWS);
    mr_expr_scratch scratch = {0};
    mr_error err = {0};
    for (size_t t = 0; t < MR_COUNT_OF(texts); t++) {
        static const size_t cuts[] = {0, 64, 640, 1280, ROWS};
        mr_expr *expr = compile(texts[t], schema);
        mr_column whole, filled;
        void *values;
        size_t nulls, total = 0;
        mr_buffer *bits = mr_buffer_create(mr_bitmap_bytes(ROWS));
        assert_ok(mr_column_alloc(mr_expr_type(expr), ROWS, &filled, &values, &err), &err);
        assert_ok(mr_expr_eval(expr, &scratch, batch->columns, 0, ROWS, &whole, &err), &err);
        for (size_t i = 0; i + 1 < MR_COUNT_OF(cuts); i++) {
            assert_ok(mr_expr_eval_into(expr, &scratch, batch->columns, cuts[i],
                                        cuts[i + 1] - cuts[i], values, bits->bytes, &nulls, &err),
                      &err);
            total += nulls;
        }
        mr_column_set_validity(&filled, bits, ROWS);
        assert_int_equal(total, filled.null_count);
        assert_true(mr_column_equal(&whole, 0, &filled, 0, ROWS));
        mr_column_release(&whole);
        mr_column_release(&filled);
        mr_expr_destroy(expr);
    }
    mr_expr_scratch_deinit(&scratch);
    mr_batch_release(batch);
    mr_schema_release(schema);
}

typedef struct shared_run {
    const mr_expr *expr;
    const mr_batch *batch;
    void *values;
    uint8_t *validity;
    int workers;
} shared_run;

static void fill_range(void *context, int worker)
{
    const shared_run *run = context;
    mr_expr_scratch scratch = {0};
    mr_error err = {0};
    size_t each = run->batch->row_count / (size_t)run->workers / 64 * 64, nulls;
    size_t first = each * (size_t)worker;
    size_t count = worker == run->workers - 1 ? run->batch->row_count - first : each;
    mr_status status = mr_expr_eval_into(run->expr, &scratch, run->batch->columns, first, count,
                                         run->values, run->validity, &nulls, &err);
    MR_ASSERT(status == MR_OK);
    mr_expr_scratch_deinit(&scratch);
}

TEST(expr, threads_share_an_expression_and_a_column)
{
    enum { ROWS = 10000, WORKERS = 4 };
    static const char *const texts[] = {
        "case when matches(note, '7$') then amount / customer else ratio end", "ok or tx % 3 = 1"};
    mr_schema *schema = make_schema();
    mr_batch *batch = make_batch(schema, ROWS);
    mr_expr_scratch scratch = {0};
    mr_error err = {0};
    mr_pool *pool;
    assert_ok(mr_pool_create(WORKERS, &pool, &err), &err);
    for (size_t t = 0; t < MR_COUNT_OF(texts); t++) {
        mr_expr *expr = compile(texts[t], schema);
        mr_column whole, filled;
        shared_run run = {.expr = expr, .batch = batch, .workers = WORKERS};
        mr_buffer *bits = mr_buffer_create(mr_bitmap_bytes(ROWS));
        assert_ok(mr_column_alloc(mr_expr_type(expr), ROWS, &filled, &run.values, &err), &err);
        run.validity = bits->bytes;
        mr_pool_run(pool, fill_range, &run);
        mr_column_set_validity(&filled, bits, ROWS);
        assert_ok(mr_expr_eval(expr, &scratch, batch->columns, 0, ROWS, &whole, &err), &err);
        assert_true(mr_column_equal(&whole, 0, &filled, 0, ROWS));
        mr_column_release(&whole);
        mr_column_release(&filled);
        mr_expr_destroy(expr);
    }
    mr_pool_destroy(pool);
    mr_expr_scratch_deinit(&scratch);
    mr_batch_release(batch);
    mr_schema_release(schema);
}

TEST(expr, filter_takes_true_rows_only)
{
    enum { ROWS = 2500 };
    mr_schema *schema = make_schema();
    mr_batch *batch = make_batch(schema, ROWS);
    mr_expr *expr = compile("ok", schema);
    mr_expr_scratch scratch = {0};
    mr_error err = {0};
    static uint32_t rows[ROWS];
    size_t count, expected = 0;
    assert_ok(
        mr_expr_eval_filter(expr, &scratch, batch->columns, 100, ROWS - 100, rows, &count, &err),
        &err);
    for (uint32_t i = 100; i < ROWS; i++)
        if (i % 3 != 2 && i % 2 == 0)
            assert_int_equal(rows[expected++], i);
    assert_int_equal(count, expected);
    mr_expr_destroy(expr);
    expr = compile("tx >= 0", schema);
    assert_ok(mr_expr_eval_filter(expr, &scratch, batch->columns, 0, ROWS, rows, &count, &err),
              &err);
    assert_int_equal(count, ROWS);
    assert_int_equal(rows[ROWS - 1], ROWS - 1);
    mr_expr_destroy(expr);
    mr_expr_scratch_deinit(&scratch);
    mr_batch_release(batch);
    mr_schema_release(schema);
}

TEST(expr, a_column_alone_is_shared)
{
    mr_schema *schema = make_schema();
    mr_batch *batch = make_batch(schema, 10);
    mr_expr *expr = compile("amount", schema);
    mr_expr_scratch scratch = {0};
    mr_column out;
    mr_error err = {0};
    assert_ok(mr_expr_eval(expr, &scratch, batch->columns, 2, 5, &out, &err), &err);
    assert_ptr_equal(out.values, (const double *)batch->columns[3].values + 2);
    mr_column_release(&out);
    ((double *)(uintptr_t)batch->columns[3].values)[4] = NAN;
    assert_ok(mr_expr_eval(expr, &scratch, batch->columns, 2, 5, &out, &err), &err);
    assert_int_equal(out.null_count, 1);
    assert_true(mr_column_is_null(&out, 2));
    assert_true(((const double *)out.values)[2] == 0);
    mr_column_release(&out);
    assert_ok(mr_expr_eval(expr, &scratch, batch->columns, 0, 0, &out, &err), &err);
    mr_column_release(&out);
    mr_expr_destroy(expr);
    mr_expr_scratch_deinit(&scratch);
    mr_batch_release(batch);
    mr_schema_release(schema);
}

/* ---- calls taken apart ---- */

TEST(expr, splits_a_call)
{
    mr_expr_call call;
    mr_error err = {0};
    mr_expr_place place = {.file = "f.yaml", .line = 3, .column = 5};
    const char *text = "quantile(amount * least(1, 2), /* p */ 0.9 ) where ok";
    assert_ok(mr_expr_split_call(text, strlen(text), &place, &call, &err), &err);
    assert_int_equal(call.name.bytes, 8);
    assert_int_equal(call.arg_count, 2);
    assert_memory_equal(call.args[0].text, "amount * least(1, 2)", call.args[0].bytes);
    assert_int_equal(call.args[0].bytes, 20);
    assert_int_equal(call.args[0].place.column, 14);
    assert_memory_equal(call.args[1].text, "0.9", 3);
    assert_int_equal(call.args[1].bytes, 3);
    assert_int_equal(call.rest.bytes, 8);
    assert_int_equal(call.rest.place.column, 50);
    assert_ok(mr_expr_split_call("count()", 7, NULL, &call, &err), &err);
    assert_int_equal(call.arg_count, 0);
    assert_int_equal(call.rest.bytes, 0);
    assert_int_equal(mr_expr_split_call("mean(a,)", 8, NULL, &call, &err), MR_INVALID);
    assert_string_equal(err.text, "expected a value, got \")\"");
    assert_int_equal(mr_expr_split_call("mean(a", 6, NULL, &call, &err), MR_INVALID);
    assert_int_equal(mr_expr_split_call("mean", 4, NULL, &call, &err), MR_INVALID);
}

/* ---- memory ---- */

TEST(expr, survives_every_failing_allocation)
{
    static const char *const texts[] = {
        "case when matches(note, '^n(o)te') and amount > 1.5 then upper(note) || '-x' else 'y' end",
        "tx in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10) or cast(tx as string) = note or hash(tx, note) = 1",
        "concat('a', 'b', note) is null",
        "amout",
        "round(amount, 2)",
        "note",
        "nope(1)",
        "hour(1)"};
    mr_schema *schema = make_schema();
    mr_batch *batch = make_batch(schema, 100);
    for (size_t t = 0; t < MR_COUNT_OF(texts); t++) {
        mr_status status = MR_NO_MEMORY;
        for (int64_t n = 0; status == MR_NO_MEMORY; n++) {
            mr_expr *expr = NULL;
            mr_expr_scratch scratch = {0};
            mr_column out = {0};
            mr_error err = {0};
            assert_true(n < 1000);
            (void)mr_memory_fail_after(n, n % 2 == 0);
            status = mr_expr_compile(texts[t], strlen(texts[t]), schema, NULL, &expr, &err);
            if (status == MR_OK)
                status = mr_expr_eval(expr, &scratch, batch->columns, 0, 100, &out, &err);
            (void)mr_memory_fail_after(-1, false);
            assert_true(status == MR_OK || status == MR_NO_MEMORY || status == MR_INVALID);
            mr_column_release(&out);
            mr_expr_scratch_deinit(&scratch);
            mr_expr_destroy(expr);
        }
    }
    mr_batch_release(batch);
    mr_schema_release(schema);
}

/* ---- the branch that holds ---- */

static void assert_rule(const char *text, const char *expected)
{
    mr_schema *schema = make_schema();
    mr_expr *expr = compile(text, schema);
    mr_bytes out = {0};
    assert_int_equal(mr_expr_rule(expr, &out), expected != NULL);
    if (expected != NULL) {
        assert_string_equal(mr_bytes_text(&out), expected);
        mr_expr_destroy(compile(expected, schema));
    }
    mr_bytes_deinit(&out);
    mr_expr_destroy(expr);
    mr_schema_release(schema);
}

TEST(expr, says_which_branch_of_a_case_holds)
{
    assert_rule("CASE WHEN amount>1.5 THEN 'a' WHEN note = 'it''s' THEN 'b' ELSE 'c' END",
                "case when amount > 1.5 then 'amount > 1.5' when note = 'it''s' then 'note = "
                "''it''''s''' else 'else' end");
    assert_rule("case tx when 1 then 'a' end", "case tx when 1 then 'tx = 1' else 'else' end");
    assert_rule("amount > 1", NULL);
    assert_rule("upper(case when amount > 1 then 'a' end)", NULL);
}
