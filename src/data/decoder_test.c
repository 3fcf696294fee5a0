/* decoder_test.c -- what the header promises, case by case: values, refusals, pieces, places, resuming. */
#include "base/assert.h"
#include "base/time.h"
#include "data/decoder_fast.h"
#include "data/encoder.h"
#include "test/test.h"

#include <stdio.h>
#include <string.h>

/* Decodes `text` whole and says all in one line: rows as JSON, then rejects as line:column reason. */
static const char *told(mr_decoder_options options, const char *schema_text, const char *text,
                        size_t size)
{
    static mr_bytes out;
    static char fixed[8192];
    mr_error err = {0};
    mr_decoder *decoder;
    mr_batch *batch;
    mr_encoder_options encode = {.format = MR_FORMAT_JSONL};
    assert_ok(mr_schema_parse(schema_text, strlen(schema_text), &options.schema, &err), &err);
    options.name = "in";
    assert_ok(mr_decoder_open(&options, &decoder, &err), &err);
    assert_ok(mr_decoder_feed(decoder, text, size, &err), &err);
    mr_decoder_finish(decoder);
    do {
        if (mr_decoder_next_batch(decoder, &batch, &err) != MR_OK) {
            mr_bytes_printf(&out, "%s: %s", err.place, err.text);
            break;
        }
        if (batch != NULL)
            mr_encode_rows(&encode, batch, 0, batch->row_count, &out);
        size_t count;
        const mr_reject *rejects = mr_decoder_rejects(decoder, &count);
        for (size_t i = 0; i < count; i++)
            mr_bytes_printf(&out, "%llu:%llu%s %s\n", (unsigned long long)rejects[i].line,
                            (unsigned long long)rejects[i].column, rejects[i].continued ? "+" : "",
                            rejects[i].reason);
        mr_batch_release(batch);
    } while (batch != NULL || mr_decoder_has_more(decoder));
    mr_decoder_close(decoder);
    mr_schema_release(options.schema);
    assert_true(out.size < sizeof fixed);
    memcpy(fixed, out.data != NULL ? out.data : (const uint8_t *)"", out.size);
    fixed[out.size] = '\0';
    mr_bytes_deinit(&out);
    return fixed;
}

/* Both paths must say the same. */
static void check(mr_decoder_options options, const char *schema, const char *text,
                  const char *want)
{
    for (int portable = 0; portable < 2; portable++) {
        options.portable = portable != 0;
        const char *got = told(options, schema, text, strlen(text));
        if (strcmp(got, want) != 0)
            fail_msg("%s\n--- got\n%s\n--- want\n%s", text, got, want);
    }
}

static const mr_decoder_options csv = {.format = MR_FORMAT_CSV},
                                jsonl = {.format = MR_FORMAT_JSONL};

TEST(decoder, csv_empty_fields_are_null_or_empty)
{
    check(csv, "a: string null, b: string, c: int64 null", "a,b,c\n,,\n\"\",\"\",\"\"\nx,y,1\n",
          "{\"a\":null,\"b\":\"\",\"c\":null}\n{\"a\":\"\",\"b\":\"\",\"c\":null}\n{\"a\":\"x\","
          "\"b\":\"y\",\"c\":1}\n");
    check(csv, "c: int64", "c\n1\n\n2\n",
          "{\"c\":1}\n{\"c\":2}\n3:1 c: \"\" is no int64: it is empty\n");
    check(csv, "a: int64, b: int64", "a,b\n1,2\n\n\r\n3,4",
          "{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":4}\n");
}

TEST(decoder, csv_headers_are_by_name)
{
    check(csv, "a: int64, b: int64 null, c: int64 null", "x,c,\"a\"\n\"q,\",3,1\n",
          "{\"a\":1,\"b\":null,\"c\":3}\n");
    check(csv, "a: int64", "b\n1\n",
          "in:1:2: the header has 1 columns, and none for field a, which may not be NULL");
    check(csv, "a: int64", "\n\na,b,a\n1\n",
          "in:3:5: column \"a\" stands in the header twice, at column 1 as well");
    check(csv, "a: int64", "a,\xff\n1,2\n", "in:1:3: the header: byte 0xFF is not UTF-8 here");
    check(csv, "a: int64", "a\rb\r", "in:1:2: the header: a lone CR; rows end with LF or CR LF");
    check(csv, "a: int64", "", "in:1:1: there is no header; the input is empty");
    check(csv, "a: int64", "\xef\xbb\xbf", "in:1:4: there is no header; the input is empty");
    check(csv, "a: int64",
          "\xef\xbb\xbf"
          "a,a\n",
          "in:1:6: column \"a\" stands in the header twice, at column 4 as well");
    mr_decoder_options positional = csv;
    positional.no_header = true;
    check(positional, "a: int64, b: string", "1,x\n2,y\n",
          "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n");
    mr_rename renames[] = {{"TX_ID", "a"}, {"a", "b"}};
    mr_decoder_options renamed = csv;
    renamed.renames = renames;
    renamed.rename_count = 2;
    check(renamed, "a: int64, b: int64", "a,TX_ID\n1,2\n", "{\"a\":2,\"b\":1}\n");
    renamed.format = MR_FORMAT_JSONL;
    check(renamed, "a: int64, b: int64", "{\"a\":1,\"TX_ID\":2,\"b\":7}\n", "{\"a\":2,\"b\":1}\n");
}

TEST(decoder, csv_quotes_and_line_ends)
{
    check(csv, "a: string, b: int64",
          "a,b\r\n\"x \"\"y\"\", z\",1\r\n\"two\nlines\",2\n\"cr\r\",3\r",
          "{\"a\":\"x \\\"y\\\", "
          "z\",\"b\":1}\n{\"a\":\"two\\nlines\",\"b\":2}\n{\"a\":\"cr\\r\",\"b\":3}\n");
    check(csv, "a: string, b: int64", "a,b\n\"x\"y,1\nx\"y,2\nx,3\rz,4\nok,5\n",
          "{\"a\":\"ok\",\"b\":5}\n"
          "2:4 text behind a closing quote; a delimiter or the end of the line is wanted\n"
          "3:2 a quote inside a field that does not start with one; quote the whole field and "
          "double the quote\n"
          "4:4 a lone CR; rows end with LF or CR LF\n");
    check(csv, "a: string, b: int64", "a,b\nx,1,\nx\n\"a\nb\",x\n",
          "2:5 the row has 3 fields, 2 are wanted\n3:2 the row has 1 field, 2 are wanted\n"
          "5:4 b: \"x\" is no int64: \"x\" at byte 1\n");
    mr_decoder_options semicolon = csv;
    semicolon.delimiter = ';';
    check(semicolon, "a: string, b: float64", "a;b\nx,y;1.5\n", "{\"a\":\"x,y\",\"b\":1.5}\n");
}

TEST(decoder, csv_values_by_type)
{
    check(csv, "b: bool", "b\ntrue\n0\nTRUE\nFalse\nyes\n",
          "{\"b\":true}\n{\"b\":false}\n{\"b\":true}\n{\"b\":false}\n6:1 b: \"yes\" is no bool: "
          "true or false is wanted\n");
    check(
        csv, "i: int32", "i\n2147483647\n-2147483648\n2147483648\n 1\n1 \n+7\n",
        "{\"i\":2147483647}\n{\"i\":-2147483648}\n{\"i\":7}\n4:1 i: \"2147483648\" is no int32: it "
        "is too large\n"
        "5:1 i: \" 1\" is no int32: \" \" at byte 1\n6:1 i: \"1 \" is no int32: \" \" at byte 2\n");
    check(csv, "f: float32", "f\n0.1\n3.5e38\n1e-50\n.5\n5.\n",
          "{\"f\":0.1}\n{\"f\":0}\n{\"f\":0.5}\n{\"f\":5}\n3:1 f: \"3.5e38\" is no float32: it is "
          "too large\n");
    check(csv, "t: timestamp(s)", "t\n1709287200\n2024-03-01T10:00:00Z\n1e9\n99999999999999\n",
          "{\"t\":\"2024-03-01T10:00:00Z\"}\n{\"t\":\"2024-03-01T10:00:00Z\"}\n"
          "4:1 t: \"1e9\" is no timestamp: expected a year from 0001 to 9999 at byte 2\n"
          "5:1 t: \"99999999999999\" is no timestamp: expected '-' behind the year at byte 5\n");
    check(csv, "t: timestamp(ms)", "t\n-1\n", "{\"t\":\"1969-12-31T23:59:59.999Z\"}\n");
    check(csv, "r: bytes", "r\nQUI=\nQUI\n",
          "{\"r\":\"QUI=\"}\n3:1 r: \"QUI\" is no bytes: no base64 at byte 4\n");
    check(csv, "v: vector(2)", "v\n[1,2]\n", "2:4 the row has 2 fields, 1 are wanted\n");
    check(csv, "v: vector(2)", "v\n\"[1, -2.5]\"\n[1]\n\"[1,2,3]\"\n\"[1,NaN]\"\n1 2\n",
          "{\"v\":[1,-2.5]}\n3:1 v: \"[1]\" is no vector(2): it has 1 values\n4:1 v: \"[1,2,3]\" "
          "is no vector(2): it has more values\n"
          "5:1 v: \"NaN\" is no vector(2) in an array\n6:1 v: \"1 2\" is no vector(2): an array is "
          "wanted\n");
}

TEST(decoder, json_is_strict)
{
    check(jsonl, "a: int64, b: string null",
          " { \"b\" : \"x\\u00e9\\ud83d\\ude00\" , \"a\" : 1 } \r\n\n{\"a\":2,\"c\":[{}]}\n",
          "{\"a\":1,\"b\":\"x\xc3\xa9\xf0\x9f\x98\x80\"}\n{\"a\":2,\"b\":null}\n");
    static const char *const cases[][2] = {
        {"{\"a\":01}", "1:6 a: \"01\" is no int64, and no JSON value\n"},
        {"{\"a\":+1}", "1:6 a: \"+1\" is no int64, and no JSON value\n"},
        {"{\"a\":1.0}", "1:6 a: \"1.0\" is no int64: \".\" at byte 2\n"},
        {"{\"a\":1,}", "1:8 a key in quotes is wanted\n"},
        {"{\"a\":1}}", "1:8 something follows the object; one object a line\n"},
        {"{\"a\":1 \"b\":2}", "1:8 ',' or '}' is wanted\n"},
        {"{\"a\" 1}", "1:6 ':' is wanted behind a key\n"},
        {"{\"a\":}", "1:6 a value is missing\n"},
        {"{\"a\":", "1:6 the line ends before a value\n"},
        {"{\"a\":1", "1:7 the line ends inside the object\n"},
        {"{a:1}", "1:2 a key in quotes is wanted\n"},
        {"{\"a\":1,\"b\":\"\t\"}", "1:13 a control character inside a string\n"},
        {"{\"a\":1,\"b\":\"\\q\"}", "1:13 an escape that JSON does not know\n"},
        {"{\"a\":1,\"b\":\"\\u12g4\"}", "1:13 \\u and no four hexadecimal digits\n"},
        {"{\"a\":1,\"b\":\"\xc3(\"}", "1:13 byte 0xC3 is not UTF-8 here\n"},
        {"{\"a\":null}", "1:6 a: \"null\" is no int64: the field may not be NULL\n"},
        {"{\"b\":\"x\"}", "1:9 key a is missing, and the field may not be NULL\n"},
        {"{\"a\":1,\"\\u0061\":2}", "1:8 key a stands in the object twice\n"},
        {"{\"a\":1,\"b\":7}", "1:12 b: \"7\" is no string: a number where a string is wanted\n"},
        {"{\"a\":\"1\"}", "1:6 a: \"\\\"1\\\"\" is no int64: a string where a number is wanted\n"},
        {"{\"a\":1,\"z\":[1,2}", "1:16 ',' or the closing bracket is wanted\n"},
        {"{\"a\":1,\"z\":tru}", "1:12 \"tru\" is no JSON value\n"},
        {"[]", "1:1 an object is wanted, not \"[]\"\n"}};
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++)
        check(jsonl, "a: int64, b: string null", cases[i][0], cases[i][1]);
}

TEST(decoder, special_values_need_leave)
{
    mr_decoder_options allowed = jsonl;
    allowed.allow_nonfinite = true;
    check(allowed, "a: float64, t: timestamp null",
          "{\"a\":\"NaN\"}\n{\"a\":\"-Infinity\",\"t\":\"@-99999999999999999\"}\n",
          "{\"a\":\"NaN\",\"t\":null}\n{\"a\":\"-Infinity\",\"t\":\"@-99999999999999999\"}\n");
    check(jsonl, "a: float64", "{\"a\":\"NaN\"}\n",
          "1:6 a: \"\\\"NaN\\\"\" is no float64: a string where a number is wanted\n");
    check(jsonl, "t: timestamp", "{\"t\":\"@5\"}\n",
          "1:6 t: \"@5\" is no timestamp: expected a year from 0001 to 9999 at byte 1\n");
    allowed.format = MR_FORMAT_CSV;
    check(
        allowed, "a: float64", "a\nNaN\nInfinity\n1e400\n",
        "{\"a\":\"NaN\"}\n{\"a\":\"Infinity\"}\n4:1 a: \"1e400\" is no float64: it is too large\n");
}

TEST(decoder, too_long_goes_in_pieces)
{
    mr_decoder_options limited = csv;
    limited.record_bytes_max = 16;
    check(limited, "a: string",
          "a\n0123456789abcde\n0123456789abcdef\n0123456789abcdef0123456789abcdefXY\nok\n",
          "{\"a\":\"0123456789abcde\"}\n{\"a\":\"ok\"}\n3:1 the record is longer than 16 bytes\n"
          "4:1 the record is longer than 16 bytes\n4:17+ the record before goes on\n4:33+ the "
          "record before goes on\n");
    check(
        limited, "a: string", "a\n\"x\ny\nz\nx\ny\nz\nx\ny\nz\n\"\nok\n",
        "{\"a\":\"ok\"}\n2:1 the record is longer than 16 bytes\n9:2+ the record before goes on\n");
    check(limited, "a: string", "a\n0123456789abcde\r\n0123456789abcde\rx\nok\n",
          "{\"a\":\"ok\"}\n2:1 the record is longer than 16 bytes\n3:1 the record is longer than "
          "16 bytes\n"
          "3:17+ the record before goes on\n");
    mr_decoder_options fields = csv;
    fields.field_bytes_max = 3;
    check(fields, "a: string", "a\nabc\nabcd\n\"a\"\"b\"\n",
          "{\"a\":\"abc\"}\n{\"a\":\"a\\\"b\"}\n3:1 a: \"abcd\" is no string of 4 bytes; 3 is the "
          "limit\n");
}

TEST(decoder, tells_the_place_of_a_field_afterwards)
{
    static const char text[] = "b,a\n1,2\n\n\"x\ny\",\"3\"\n";
    mr_schema *schema;
    mr_decoder *decoder;
    mr_batch *batch;
    mr_row_place place;
    mr_error err = {0};
    assert_ok(mr_schema_parse("a: int64, b: string, c: bool null", 33, &schema, &err), &err);
    mr_decoder_options options = {.schema = schema, .name = "in"};
    assert_ok(mr_decoder_open(&options, &decoder, &err), &err);
    assert_ok(mr_decoder_feed(decoder, text, sizeof text - 1, &err), &err);
    assert_ok(mr_decoder_next_batch(decoder, &batch, &err), &err);
    assert_int_equal(batch->row_count, 2);
    static const struct {
        uint32_t row;
        int field;
        uint64_t line, column;
    } wanted[] = {{0, -1, 2, 1}, {0, 0, 2, 3}, {0, 1, 2, 1}, {0, 2, 2, 4},
                  {1, -1, 4, 1}, {1, 0, 5, 4}, {1, 1, 4, 1}, {1, 2, 5, 7}};
    for (size_t i = 0; i < MR_COUNT_OF(wanted); i++) {
        mr_decoder_place(decoder, wanted[i].row, wanted[i].field, &place);
        if (place.line != wanted[i].line || place.column != wanted[i].column)
            fail_msg("row %u field %d: %llu:%llu", wanted[i].row, wanted[i].field,
                     (unsigned long long)place.line, (unsigned long long)place.column);
    }
    assert_int_equal(place.record_offset, 9);
    assert_int_equal(place.size, 9);
    assert_int_equal(place.record_line, 4);
    mr_batch_release(batch);
    mr_decoder_close(decoder);
    mr_schema_release(schema);
}

TEST(decoder, resumes_where_it_was_and_restarts)
{
    static const char text[] = "a\n1\n2\n3\nx\n4\n";
    mr_schema *schema;
    mr_decoder *decoder;
    mr_batch *batch;
    mr_error err = {0};
    assert_ok(mr_schema_parse("a: int64", 8, &schema, &err), &err);
    mr_decoder_options options = {.schema = schema, .name = "one", .batch_rows_max = 2};
    assert_ok(mr_decoder_open(&options, &decoder, &err), &err);
    assert_ok(mr_decoder_feed(decoder, text, sizeof text - 1, &err), &err);
    assert_ok(mr_decoder_next_batch(decoder, &batch, &err), &err);
    mr_batch_release(batch);
    uint64_t offset, line;
    mr_decoder_position(decoder, &offset, &line);
    assert_int_equal(offset, 6);
    assert_int_equal(line, 4);
    assert_true(mr_decoder_has_more(decoder));
    mr_decoder_close(decoder);
    /* Another process: the head, then from there. */
    assert_ok(mr_decoder_open(&options, &decoder, &err), &err);
    assert_false(mr_decoder_header_done(decoder));
    assert_ok(mr_decoder_feed(decoder, text, 3, &err), &err);
    assert_ok(mr_decoder_next_batch(decoder, &batch, &err), &err);
    assert_null(batch);
    assert_true(mr_decoder_header_done(decoder));
    mr_decoder_resume(decoder, offset, line);
    assert_ok(mr_decoder_feed(decoder, text + offset, sizeof text - 1 - offset, &err), &err);
    mr_decoder_finish(decoder);
    assert_ok(mr_decoder_next_batch(decoder, &batch, &err), &err);
    assert_int_equal(batch->row_count, 2);
    assert_int_equal(((const int64_t *)batch->columns[0].values)[0], 3);
    size_t count;
    assert_int_equal(mr_decoder_rejects(decoder, &count)->line, 5);
    assert_int_equal(count, 1);
    assert_int_equal(mr_decoder_rejects(decoder, &count)->row_index, 1);
    mr_batch_release(batch);
    /* The next file of the same kind. */
    assert_ok(mr_decoder_restart(decoder, "two", &err), &err);
    assert_ok(mr_decoder_feed(decoder, "b,a\n7,x\n8,5\n", 12, &err), &err);
    mr_decoder_finish(decoder);
    assert_ok(mr_decoder_next_batch(decoder, &batch, &err), &err);
    assert_int_equal(((const int64_t *)batch->columns[0].values)[0], 5);
    assert_int_equal(mr_decoder_rejects(decoder, &count)->line, 2);
    assert_int_equal(mr_decoder_count(decoder).records, 5);
    assert_int_equal(mr_decoder_count(decoder).rejected, 2);
    mr_batch_release(batch);
    mr_decoder_close(decoder);
    mr_schema_release(schema);
}

TEST(decoder, refuses_options_that_cannot_be)
{
    mr_schema *schema;
    mr_decoder *decoder;
    mr_error err = {0};
    assert_ok(mr_schema_parse("a: int64", 8, &schema, &err), &err);
    mr_decoder_options options = {.schema = schema, .delimiter = '-'};
    assert_int_equal(mr_decoder_open(&options, &decoder, &err), MR_INVALID);
    mr_rename rename = {"x", "nothing"};
    options = (mr_decoder_options){.schema = schema, .renames = &rename, .rename_count = 1};
    assert_int_equal(mr_decoder_open(&options, &decoder, &err), MR_INVALID);
    rename = (mr_rename){"b", "a"};
    mr_schema_release(schema);
    mr_text_format format;
    assert_true(mr_text_format_of_path("x/y.jsonl.zst", &format) && format == MR_FORMAT_JSONL);
    assert_true(mr_text_format_of_path("a.csv.gz", &format) && format == MR_FORMAT_CSV);
    assert_false(mr_text_format_of_path("dir.csv/file", &format));
    assert_false(mr_text_format_of_path("csv", &format));
}

/* Every date and hour that two digits can spell, by the kernel and by the definition. */
TEST(decoder, fast_times_are_times)
{
    static const char *const years[] = {"0000", "0001", "0004", "1900", "1970", "1972",
                                        "2000", "2023", "2024", "2100", "9999", "20:4"};
    static const char *const clocks[] = {"T00:00:00Z", "T23:59:59.5", "T24:00:00Z",
                                         "T12:60:00Z", "T12:00:60Z",  "T09:08:07.123456Z",
                                         "T0:800:00Z"};
    uint8_t text[64 + MR_WINDOW_PAD];
    for (size_t y = 0; y < MR_COUNT_OF(years); y++)
        for (int month = 0; month < 20; month++)
            for (int day = 0; day < 40; day++)
                for (size_t k = 0; k < MR_COUNT_OF(clocks); k++) {
                    memset(text, 0, sizeof text);
                    int size = snprintf((char *)text, 64, "%s-%02d-%02d%s", years[y], month, day,
                                        clocks[k]);
                    int64_t fast = 0, slow = 0;
                    const uint8_t *end = mr_fast_time(text, false, &fast);
                    bool good =
                        mr_time_parse((const char *)text, (size_t)size, false, &slow, NULL, NULL);
                    if (good != (end == text + size) || (good && fast != slow))
                        fail_msg("%s: %lld, not %lld", (const char *)text, (long long)fast,
                                 (long long)slow);
                }
}

TEST(decoder, rejects_what_fails_the_check_in_its_place)
{
    mr_error err = {0};
    mr_schema *schema;
    mr_expr *condition;
    const char *text = "id: int64, user: string", *words = "length(user) > 0 and id >= 0";
    assert_ok(mr_schema_parse(text, strlen(text), &schema, &err), &err);
    assert_ok(mr_expr_compile(words, strlen(words), schema, NULL, &condition, &err), &err);
    for (uint32_t rows = 1; rows < 4; rows++) {
        mr_decoder_options options = {
            .check = condition, .batch_rows_max = rows, .rejects_max = rows};
        const char *want_rows[] = {"{\"id\":1,\"user\":\"a\"}", "{\"id\":5,\"user\":\"e\"}"};
        const char *want_rejects[] = {"3:1 the check", "4:1 id: ", "5:1 the check"};
        const char *got = told(options, text, "id,user\n1,a\n2,\nx,c\n-4,d\n5,e\n", 27);
        for (size_t i = 0; i < MR_COUNT_OF(want_rows); i++)
            assert_non_null(strstr(got, want_rows[i]));
        const char *at = got;
        for (size_t i = 0; i < MR_COUNT_OF(want_rejects); i++) {
            at = strstr(at, want_rejects[i]);
            assert_non_null(at);
        }
        assert_null(strstr(got, "\"id\":2"));
    }
    mr_expr_destroy(condition);
    mr_schema_release(schema);
}
