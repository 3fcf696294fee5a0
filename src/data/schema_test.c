/* schema_test.c -- names, texts, bytes and compatibility of schemas. */
#include "data/schema.h"
#include "base/assert.h"
#include "test/test.h"

#include <stdio.h>
#include <string.h>

static mr_schema *parse(const char *text)
{
    mr_error err = {0};
    mr_schema *schema;
    assert_ok(mr_schema_parse(text, strlen(text), &schema, &err), &err);
    return schema;
}

static void expect_refusal(const char *text, const char *word)
{
    mr_error err = {0};
    mr_schema *schema;
    assert_int_equal(mr_schema_parse(text, strlen(text), &schema, &err), MR_INVALID);
    assert_null(schema);
    if (strstr(err.text, word) == NULL)
        fail_msg("'%s': %s", text, err.text);
}

static void expect_text(const mr_schema *schema, const char *wanted)
{
    mr_bytes text = {0};
    mr_schema_format(schema, &text);
    assert_string_equal(mr_bytes_text(&text), wanted);
    mr_bytes_deinit(&text);
}

TEST(schema, types_have_names_and_sizes)
{
    for (int id = 0; id < MR_TYPE_COUNT; id++) {
        char text[32];
        mr_type type = {(mr_type_id)id, id == MR_VECTOR ? 5 : 0}, again;
        (void)mr_type_format(type, text);
        assert_true(mr_type_parse(text, strlen(text), &again));
        assert_true(mr_type_equal(type, again));
    }
    assert_int_equal(mr_type_bytes((mr_type){MR_VECTOR, 5}), 20);
    assert_int_equal(mr_type_bytes((mr_type){MR_INT32, 0}), 4);
    assert_int_equal(mr_type_bytes((mr_type){MR_TIMESTAMP, 0}), 8);
    assert_int_equal(mr_type_bytes((mr_type){MR_BOOL, 0}), 0);
    assert_true(mr_type_is_number(MR_FLOAT32) && !mr_type_is_number(MR_TIMESTAMP));
    assert_true(mr_type_is_text(MR_BYTES) && !mr_type_is_text(MR_VECTOR));
    const char *const bad[] = {
        "",          "int",           "int640",     "vector",   "vector()",
        "vector(0)", "vector(65537)", "vector(-1)", "vector(1", "vector(99999999999999999999)",
        "vector(1x)"};
    mr_type type;
    for (size_t i = 0; i < MR_COUNT_OF(bad); i++)
        assert_false(mr_type_parse(bad[i], strlen(bad[i]), &type));
    assert_true(mr_type_parse("vector(65536)", 13, &type) && type.width == 65536);
}

TEST(schema, text_is_read_and_written)
{
    mr_schema *schema =
        parse(" { tx : int64,at:timestamp(ms) null ,\n note: string null, v: vector(16), } ");
    expect_text(schema, "tx: int64, at: timestamp(ms) null, note: string null, v: vector(16)");
    assert_int_equal(mr_schema_find(schema, "note"), 2);
    assert_int_equal(mr_schema_find(schema, "not"), -1);
    assert_int_equal(mr_schema_find(schema, "notes"), -1);
    assert_int_equal(mr_schema_find_n(schema, "tx: ", 2), 0);
    assert_int_equal(mr_schema_find_n(schema, "tx\0", 3), -1);
    assert_int_equal(schema->fields[1].unit, MR_TIME_MS);
    assert_true(schema->fields[1].nullable && !schema->fields[0].nullable);
    mr_schema_release(schema);
    schema = parse("\"a, b: {\\\"c\\\"}\\\\\": bool, \" x \": int32, plain name: bytes");
    assert_string_equal(schema->fields[0].name, "a, b: {\"c\"}\\");
    assert_string_equal(schema->fields[1].name, " x ");
    assert_string_equal(schema->fields[2].name, "plain name");
    expect_text(schema, "\"a, b: {\\\"c\\\"}\\\\\": bool, \" x \": int32, plain name: bytes");
    mr_schema_release(schema);
}

TEST(schema, refusals_name_the_piece)
{
    expect_refusal("", "1 to 4096 fields");
    expect_refusal("{}", "1 to 4096 fields");
    expect_refusal("a", "name: type");
    expect_refusal("a: int32, : int64", "field 1");
    expect_refusal("a: int32, b", "byte 10");
    expect_refusal("a: intt", "field a: 'intt' is no type");
    expect_refusal("a: int32, a: int64", "twice");
    expect_refusal("a: int32(ms)", "no type");
    expect_refusal("a: timestamp(ns)", "no type");
    expect_refusal("a: null", "no type");
    expect_refusal("\"a: int32", "name: type");
    expect_refusal("\"a\\", "name: type");
    expect_refusal("\"a\" b: int32", "name: type");
}

static mr_schema *random_schema(mr_random_seeded *random)
{
    static const char letters[] = "abcdefgh_:,{}\"\\ ()\xc3\xa9\n";
    mr_error err = {0};
    mr_field fields[20] = {0};
    char names[20][32];
    size_t count = 1 + (size_t)mr_random_below(random, 20);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = (size_t)mr_random_below(random, 8);
        (void)snprintf(names[i], sizeof names[i], "%zu", i);
        size_t at = strlen(names[i]);
        for (size_t k = 0; k < bytes; k++)
            names[i][at++] = letters[mr_random_below(random, sizeof letters - 1)];
        names[i][at] = '\0';
        mr_type type = {(mr_type_id)mr_random_below(random, MR_TYPE_COUNT), 0};
        if (type.id == MR_VECTOR)
            type.width = 1 + (uint32_t)mr_random_below(random, 1000);
        fields[i] = (mr_field){names[i], type, mr_random_below(random, 2) == 0,
                               (mr_time_unit)mr_random_below(random, 4)};
    }
    mr_schema *schema;
    assert_ok(mr_schema_create(fields, count, &schema, &err), &err);
    return schema;
}

static void expect_same(const mr_schema *a, const mr_schema *b)
{
    assert_true(mr_schema_equal(a, b));
    assert_int_equal(a->fingerprint, b->fingerprint);
    for (uint32_t i = 0; i < a->field_count; i++)
        assert_int_equal(a->fields[i].unit, b->fields[i].unit);
}

TEST(schema, round_trips_through_text_and_bytes)
{
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(31);
    for (uint64_t round = 0; round < mr_test_rounds(500); round++) {
        mr_schema *schema = random_schema(&random), *again;
        mr_bytes bytes = {0};
        mr_schema_format(schema, &bytes);
        assert_ok(mr_schema_parse((const char *)bytes.data, bytes.size, &again, &err), &err);
        expect_same(schema, again);
        mr_schema_release(again);
        mr_bytes_clear(&bytes);
        mr_schema_encode(schema, &bytes);
        for (size_t cut = 0; cut < bytes.size; cut++) {
            mr_reader reader = mr_reader_of(bytes.data, cut);
            assert_int_equal(mr_schema_decode(&reader, &again, &err), MR_CORRUPT);
        }
        mr_reader reader = mr_reader_of(bytes.data, bytes.size);
        assert_ok(mr_schema_decode(&reader, &again, &err), &err);
        expect_same(schema, again);
        for (uint32_t i = 0; i < schema->field_count; i++)
            assert_int_equal(mr_schema_find(again, schema->fields[i].name), i);
        mr_schema_release(again);
        mr_schema_release(schema);
        mr_bytes_deinit(&bytes);
    }
}

TEST(schema, compatibility_says_what_changed)
{
    static const struct {
        const char *from, *to, *refusal; /* NULL: compatible */
    } cases[] = {
        {"a: int32", "a: int32", NULL},
        {"a: int32", "a: int64", NULL},
        {"a: int32", "a: float64", NULL},
        {"a: float32", "a: float64", NULL},
        {"a: int32", "a: int32 null", NULL},
        {"a: int32, b: bool", "c: string null, b: bool, a: int64 null", NULL},
        {"a: timestamp(ms)", "a: timestamp(s)", NULL},
        {"a: int64", "a: float64", "column a: int64 cannot become float64"},
        {"a: int32", "a: float32", "column a: int32 cannot become float32"},
        {"a: int64", "a: int32", "cannot become int32"},
        {"a: float64", "a: float32", "cannot become float32"},
        {"a: string", "a: bytes", "cannot become bytes"},
        {"a: vector(3)", "a: vector(4)", "column a: vector(3) cannot become vector(4)"},
        {"a: int32 null", "a: int32", "may be NULL"},
        {"a: int32, b: bool", "a: int32", "column b is gone"},
        {"a: int32", "a: int32, b: bool", "new column b must be nullable"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_schema *from = parse(cases[i].from), *to = parse(cases[i].to);
        mr_status status = mr_schema_check_compatible(from, to, &err);
        assert_int_equal(status, cases[i].refusal == NULL ? MR_OK : MR_CONFLICT);
        if (cases[i].refusal != NULL && strstr(err.text, cases[i].refusal) == NULL)
            fail_msg("%s -> %s: %s", cases[i].from, cases[i].to, err.text);
        mr_schema_release(from);
        mr_schema_release(to);
    }
}

TEST(schema, equality_is_names_types_and_nulls)
{
    mr_schema *base = parse("a: int32, b: timestamp(ms)");
    const char *const same[] = {"a: int32, b: timestamp(s)", "{a: int32, b: timestamp}"};
    const char *const other[] = {"b: timestamp, a: int32", "a: int32 null, b: timestamp",
                                 "a: int64, b: timestamp", "a: int32", "a: int32, c: timestamp"};
    for (size_t i = 0; i < MR_COUNT_OF(same); i++) {
        mr_schema *schema = parse(same[i]);
        assert_true(mr_schema_equal(base, schema));
        mr_schema_release(schema);
    }
    for (size_t i = 0; i < MR_COUNT_OF(other); i++) {
        mr_schema *schema = parse(other[i]);
        assert_false(mr_schema_equal(base, schema));
        assert_true(base->fingerprint != schema->fingerprint);
        mr_schema_release(schema);
    }
    mr_schema_release(base);
}

TEST(schema, limits_are_enforced)
{
    mr_error err = {0};
    mr_schema *schema;
    char longest[MR_NAME_BYTES_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    mr_field field = {longest, {MR_INT32, 0}, false, MR_TIME_ISO};
    assert_int_equal(mr_schema_create(&field, 1, &schema, &err), MR_INVALID);
    field.name = longest + 1;
    assert_ok(mr_schema_create(&field, 1, &schema, &err), &err);
    mr_schema_release(schema);
    field.type = (mr_type){MR_INT32, 1};
    assert_int_equal(mr_schema_create(&field, 1, &schema, &err), MR_INVALID);
    field.type = (mr_type){MR_VECTOR, MR_VECTOR_WIDTH_MAX + 1};
    assert_int_equal(mr_schema_create(&field, 1, &schema, &err), MR_INVALID);
    field.type = (mr_type){MR_TYPE_COUNT, 0};
    assert_int_equal(mr_schema_create(&field, 1, &schema, &err), MR_INVALID);
    static mr_field many[MR_FIELDS_MAX + 1];
    static char names[MR_FIELDS_MAX + 1][24];
    for (size_t i = 0; i <= MR_FIELDS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "%zu", i);
        many[i] = (mr_field){names[i], {MR_BOOL, 0}, false, MR_TIME_ISO};
    }
    assert_int_equal(mr_schema_create(many, MR_FIELDS_MAX + 1, &schema, &err), MR_INVALID);
    assert_ok(mr_schema_create(many, MR_FIELDS_MAX, &schema, &err), &err);
    for (size_t i = 0; i < MR_FIELDS_MAX; i++)
        assert_int_equal(mr_schema_find(schema, names[i]), i);
    mr_schema_release(schema);
}

TEST(schema, survives_failing_memory)
{
    static const char text[] = "{tx: int64, \"quoted\": timestamp(ms) null, v: vector(16)}";
    mr_status status = MR_NO_MEMORY;
    for (int64_t n = 0; status != MR_OK; n++) {
        mr_error err = {0};
        mr_schema *schema, *again = NULL;
        mr_bytes bytes = {0};
        uint64_t used_bytes = mr_memory_used_bytes();
        (void)mr_memory_fail_after(n, false);
        status = mr_schema_parse(text, sizeof text - 1, &schema, &err);
        if (status == MR_OK)
            mr_schema_encode(schema, &bytes);
        mr_reader reader = mr_reader_of(bytes.data, bytes.size);
        if (status == MR_OK)
            status = bytes.failed ? MR_NO_MEMORY : mr_schema_decode(&reader, &again, &err);
        (void)mr_memory_fail_after(-1, false);
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
        mr_schema_release(schema);
        mr_schema_release(again);
        mr_bytes_deinit(&bytes);
        assert_int_equal(mr_memory_used_bytes(), used_bytes);
        assert_in_range(n, 0, 50);
    }
}
