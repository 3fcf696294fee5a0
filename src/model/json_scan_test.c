/* json_scan_test.c -- text and binary JSON through the same calls: all types, all ways to be wrong, all with their place. */
#include "test/test.h"

#include "base/assert.h"
#include "model/json_scan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BYTES(text) text, sizeof text - 1

static mr_json_scan open_scan(const void *bytes, size_t size, mr_error *err)
{
    mr_json_scan scan;
    const char *key;
    mr_json_open(&scan, bytes, size, err);
    assert_true(mr_json_object(&scan));
    assert_true(mr_json_key(&scan, &key));
    assert_string_equal(key, "a");
    return scan;
}

static void close_scan(mr_json_scan *scan)
{
    const char *key;
    assert_false(mr_json_key(scan, &key));
    assert_true(mr_json_end(scan));
    mr_json_close(scan);
}

TEST(json_scan, whole_numbers_of_every_type)
{
    static const struct {
        const char *bytes;
        size_t size;
        int64_t value;
    } cases[] = {
        {BYTES("{i\x01"
               "ai\xff}"),
         -1},
        {BYTES("{U\x01"
               "aU\xff}"),
         255},
        {BYTES("{I\x00\x01"
               "aI\xff\x00}"),
         -256},
        {BYTES("{l\x00\x00\x00\x01"
               "al\x80\x00\x00\x00}"),
         INT32_MIN},
        {BYTES("{L\0\0\0\0\0\0\0\x01"
               "aL\x00\x00\x00\x01\x00\x00\x00\x00}"),
         4294967296},
        {BYTES("{i\x01"
               "aT}"),
         1},
        {BYTES("{i\x01"
               "aNNF}"),
         0},
        {BYTES("{i\x01"
               "aHi\x03-12}"),
         -12},
        {BYTES("{$l#i\x01i\x01"
               "a\x00\x00\x00\x07"),
         7},
        {BYTES("{#i\x01i\x01"
               "aU\x07"),
         7},
        {BYTES("{\"a\":-17}"), -17},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        int64_t value = 99;
        mr_json_scan scan = open_scan(cases[i].bytes, cases[i].size, &err);
        if (!mr_json_int(&scan, &value) || value != cases[i].value)
            fail_msg("case %zu: %lld, expected %lld (%s)", i, (long long)value,
                     (long long)cases[i].value, err.text);
        close_scan(&scan);
    }
}

TEST(json_scan, floats_of_every_type)
{
    static const struct {
        const char *bytes;
        size_t size;
        float value;
    } cases[] = {
        {BYTES("{i\x01"
               "ad\xbf\x40\x00\x00}"),
         -0.75f},
        {BYTES("{i\x01"
               "aD\x3f\xb9\x99\x99\x99\x99\x99\x9a}"),
         0.1f},
        {BYTES("{i\x01"
               "ad\x7f\x80\x00\x00}"),
         INFINITY},
        {BYTES("{i\x01"
               "aHU\x05"
               "1e-45}"),
         1e-45f},
        {BYTES("{i\x01"
               "aI\x01\x00}"),
         256.0f},
        {BYTES("{\"a\": 2.5E-1}"), 0.25f},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        float value = 99;
        mr_json_scan scan = open_scan(cases[i].bytes, cases[i].size, &err);
        if (!mr_json_float(&scan, &value) || value != cases[i].value)
            fail_msg("case %zu: %.9g, expected %.9g (%s)", i, (double)value, (double)cases[i].value,
                     err.text);
        close_scan(&scan);
    }
}

TEST(json_scan, arrays_of_every_form)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {BYTES("{i\x01"
               "a[i\x01N"
               "i\x02i\x03]}")},
        {BYTES("{i\x01"
               "a[#i\x03i\x01i\x02U\x03}")},
        {BYTES("{i\x01"
               "a[$U#i\x03\x01\x02\x03}")},
        {BYTES("{i\x01"
               "a[$I#L\0\0\0\0\0\0\0\x03\0\x01\0\x02\0\x03}")},
        {BYTES("{i\x01"
               "a[$L#i\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03}")},
        {BYTES("{\"a\" : [1, 2,3 ] }")},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_bytes out = {0};
        mr_json_scan scan = open_scan(cases[i].bytes, cases[i].size, &err);
        assert_int_equal(mr_json_peek(&scan), '[');
        assert_true(mr_json_ints(&scan, &out));
        static const int32_t expected[] = {1, 2, 3};
        assert_int_equal(out.size, sizeof expected);
        assert_memory_equal(out.data, expected, sizeof expected);
        close_scan(&scan);
        scan = open_scan(cases[i].bytes, cases[i].size, &err);
        assert_true(mr_json_skip(&scan));
        close_scan(&scan);
        mr_bytes_deinit(&out);
    }
}

TEST(json_scan, skips_what_is_nested)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {BYTES("{i\x01"
               "a[[]{}[[$d#i\x02"
               "12345678]{i\x01"
               "bSi\x02[{i\x01"
               "cCx}NZTF]}")},
        {BYTES("{i\x01"
               "a[$[#i\x02i\x01i\x02]#i\x01Z}")},
        {BYTES("{i\x01"
               "a{$S#i\x02i\x01xi\x01yi\x00i\x02zz}")},
        {BYTES("{i\x01"
               "aHi\x02"
               "12}")},
        {BYTES("{\"a\":[[],{},[[1,2]],{\"b\":\"[{\"},null,true]}")},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_json_scan scan = open_scan(cases[i].bytes, cases[i].size, &err);
        if (!mr_json_skip(&scan))
            fail_msg("case %zu: %s", i, err.text);
        close_scan(&scan);
    }
}

TEST(json_scan, what_is_wrong_in_binary_is_named_with_its_place)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *says;
    } cases[] = {
        {BYTES("{i\x01"
               "a[$T#i\x02}"),
         "at byte 6: a type of members that take bytes is expected, not 'T'"},
        {BYTES("{i\x01"
               "a[$d}"),
         "at byte 7: '#' and the number of members is expected"},
        {BYTES("{i\x01"
               "a[$d#i\xff}"),
         "the number of members is negative: -1"},
        {BYTES("{i\x01"
               "a[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff}"),
         "members of 4 bytes or more, 1 bytes remain"},
        {BYTES("{i\x01"
               "a[#l\x7f\xff\xff\xff}"),
         "2147483647 members of 1 bytes or more, 1 bytes remain"},
        {BYTES("{i\x01"
               "a[$U#i\x03\x01\x02"),
         "3 members of 1 bytes or more, 2 bytes remain"},
        {BYTES("{i\x01"
               "aSi\x09xx}"),
         "the value takes 9 bytes, 3 remain"},
        {BYTES("{i\x01"
               "aSi\xfexx}"),
         "the length of a string is negative: -2"},
        {BYTES("{i\x01"
               "aSd\0\0\0\0}"),
         "the length of a string is expected, not 'd'"},
        {BYTES("{i\x01"
               "al\x00\x00}"),
         "a at byte 5: the value takes 4 bytes, 3 remain"},
        {BYTES("{i\x01"
               "a?}"),
         "a value is expected, not '?'"},
        {BYTES("{i\x01"
               "a["),
         "another member is expected"},
        {BYTES("{i\x01"
               "a{x}"),
         "the length of a key is expected, not 'x'"},
        {BYTES("{i\x01"
               "a[i\x01}"),
         "a[1] at byte 7: a value is expected, not '}'"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_json_scan scan = open_scan(cases[i].bytes, cases[i].size, &err);
        if (mr_json_skip(&scan) || strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: '%s', expected '%s'", i, err.text, cases[i].says);
        assert_ptr_equal(scan.next, scan.end);
        mr_json_close(&scan);
    }
}

TEST(json_scan, binary_values_that_do_not_fit_are_refused)
{
    mr_error err = {0};
    int64_t whole;
    float number;
    const char *text;
    mr_json_scan scan = open_scan(BYTES("{i\x01"
                                        "ad\0\0\0\0}"),
                                  &err);
    assert_false(mr_json_int(&scan, &whole));
    mr_json_close(&scan);
    scan = open_scan(BYTES("{i\x01"
                           "aD\x7f\xe0\0\0\0\0\0\0}"),
                     &err);
    assert_false(mr_json_float(&scan, &number));
    assert_non_null(strstr(err.text, "too large for a float32"));
    mr_json_close(&scan);
    scan = open_scan(BYTES("{i\x01"
                           "aSi\x02x\0}"),
                     &err);
    assert_false(mr_json_string(&scan, &text));
    assert_non_null(strstr(err.text, "0x00"));
    mr_json_close(&scan);
    scan = open_scan(BYTES("{i\x01"
                           "aHi\x03"
                           "1x2}"),
                     &err);
    assert_false(mr_json_float(&scan, &number));
    mr_json_close(&scan);
}

/* As deep as the file is long: a clear end, no recursion. */
TEST(json_scan, binary_depth_is_bounded)
{
    static char deep[100000];
    mr_error err = {0};
    memset(deep, '[', sizeof deep);
    memcpy(deep,
           "{i\x01"
           "a",
           4);
    mr_json_scan scan = open_scan(deep, sizeof deep, &err);
    assert_false(mr_json_skip(&scan));
    assert_int_equal(scan.status, MR_FULL);
    assert_non_null(strstr(err.text, "more than 64 levels"));
    mr_json_close(&scan);
}
