/* number_test.c -- numbers against the C library, on chosen and on random bits. */
#include "base/number.h"
#include "test/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double bits_float64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float bits_float32(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_as_strtod(const char *text)
{
    double got = 0, want = strtod(text, NULL);
    size_t used;
    mr_number_result result = mr_number_parse_float64(text, strlen(text), &got, &used);
    if (result != (isinf(want) ? MR_NUMBER_OVERFLOW : MR_NUMBER_OK) || used != strlen(text) ||
        (!isinf(want) && memcmp(&got, &want, sizeof got) != 0))
        fail_msg("%s: %a, strtod says %a", text, got, want);
    float got32 = 0, want32 = strtof(text, NULL);
    result = mr_number_parse_float32(text, strlen(text), &got32, NULL);
    if (result != (isinf(want32) ? MR_NUMBER_OVERFLOW : MR_NUMBER_OK) ||
        (!isinf(want32) && memcmp(&got32, &want32, sizeof got32) != 0))
        fail_msg("%s: %a, strtof says %a", text, (double)got32, (double)want32);
}

TEST(number, reads_integers_up_to_both_ends)
{
    int64_t value = 7;
    size_t used;
    assert_true(mr_number_is_int64("-9223372036854775808", 20, &value));
    assert_true(value == INT64_MIN);
    assert_true(mr_number_is_int64("9223372036854775807", 19, &value));
    assert_true(value == INT64_MAX);
    assert_int_equal(mr_number_parse_int64("9223372036854775808,", 20, &value, &used),
                     MR_NUMBER_OVERFLOW);
    assert_int_equal(used, 19);
    assert_int_equal(mr_number_parse_int64("-9223372036854775809", 20, &value, &used),
                     MR_NUMBER_OVERFLOW);
    assert_int_equal(mr_number_parse_int64("99999999999999999999999999999", 29, &value, &used),
                     MR_NUMBER_OVERFLOW);
    assert_true(value == INT64_MAX);
    assert_int_equal(mr_number_parse_int64("-", 1, &value, &used), MR_NUMBER_NONE);
    assert_int_equal(mr_number_parse_int64("", 0, &value, &used), MR_NUMBER_NONE);
    assert_int_equal(mr_number_parse_int64("12.5", 4, &value, &used), MR_NUMBER_OK);
    assert_int_equal(used, 2);
    assert_false(mr_number_is_int64("12.5", 4, &value));
    assert_true(mr_number_is_int64("+007", 4, &value));
    assert_int_equal(value, 7);
}

TEST(number, refuses_what_is_no_float)
{
    static const char *const bad[] = {"",    ".",   "-",   "+",   "e5",       "-.",  ".e1", "1e",
                                      "1e+", "1e-", "NaN", "inf", "Infinity", "- 1", " 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value;
        if (mr_number_parse_float64(bad[i], strlen(bad[i]), &value, NULL) != MR_NUMBER_NONE)
            fail_msg("'%s' was read as a number", bad[i]);
    }
    double value;
    size_t used;
    assert_int_equal(mr_number_parse_float64("0x10", 4, &value, &used), MR_NUMBER_OK);
    assert_int_equal(used, 1);
    assert_false(mr_number_is_float64("12.5O", 5, &value));
}

TEST(number, reads_hard_floats_as_the_c_library)
{
    static const char *const hard[] = {
        "0",
        "-0",
        "0.0",
        "1",
        "12.5",
        ".5",
        "5.",
        "1e22",
        "1e23",
        "1e-22",
        "9007199254740993",
        "9007199254740992.5",
        "9007199254740993.0000000000000000000000000000001",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1.797693134862315808e308",
        "1e309",
        "1e400",
        "-1e999999999999999999999",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1e-323",
        "1e-400",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "1e-9999999999999",
        "0e999999999999",
        "6.0221409e23",
        "3.4028235e38",
        "3.4028236e38",
        "3.40282356779733661637539395458142568447e38",
        "1.4e-45",
        "7.0064923216240853546186479164495806564013097093825788587853e-46",
        "16777217",
        "16777219",
        "1.00000017881393432617187499",
        "1.00000017881393432617187500",
        "1.00000017881393432617187501",
        "123456789012345678901234567890e-10",
        "0.000000000000000000000000000000000000000000000000012345678901234567890123",
        "100000000000000000000000000000000000000000000000000000000000000000000000000",
        "2.47032822920623272088284396434110686182e-324",
        "1.1897314953572317650857593266280070162e4932"};
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
        check_as_strtod(hard[i]);
}

/* The exact decimal midpoint between two floats, and its neighbours in the last place. */
TEST(number, rounds_midpoints_to_even)
{
    mr_random_seeded random = mr_test_random(1);
    char text[1200];
    for (uint64_t i = 0; i < mr_test_rounds(3000); i++) {
        uint64_t bits = mr_random_next(&random) & INT64_MAX;
        double low = bits_float64(bits), high = bits_float64(bits + 1);
        if (!isfinite(high))
            continue;
        __extension__ long double middle = ((long double)low + (long double)high) / 2;
        int size = snprintf(text, sizeof text, "%.1100Lg", middle);
        check_as_strtod(text);
        char *end = strpbrk(text, "e");
        size_t last = (end != NULL ? (size_t)(end - text) : (size_t)size) - 1;
        if (text[last] >= '1' && text[last] <= '8') {
            text[last]++;
            check_as_strtod(text);
            text[last] = (char)(text[last] - 2);
            check_as_strtod(text);
        }
    }
}

TEST(number, reads_random_texts_as_the_c_library)
{
    mr_random_seeded random = mr_test_random(2);
    char text[96];
    for (uint64_t i = 0; i < mr_test_rounds(200000); i++) {
        size_t size = 0, digits = 1 + mr_random_below(&random, i % 16 == 0 ? 40 : 19);
        size_t point = mr_random_below(&random, digits + 1);
        if (mr_random_below(&random, 2) == 0)
            text[size++] = '-';
        for (size_t d = 0; d < digits; d++) {
            if (d == point)
                text[size++] = '.';
            text[size++] = (char)('0' + mr_random_below(&random, 10));
        }
        int power = (int)mr_random_below(&random, i % 2 == 0 ? 60 : 720) - (i % 2 == 0 ? 30 : 360);
        text[size] = '\0';
        if (i % 3 != 2)
            (void)snprintf(text + size, sizeof text - size, i % 3 == 0 ? "e%d" : "E%+d", power);
        check_as_strtod(text);
    }
}

static void check_float64(double value)
{
    char text[MR_NUMBER_TEXT_MAX + 1], wide[64];
    size_t size = mr_number_format_float64(value, text);
    assert_in_range(size, 1, MR_NUMBER_TEXT_MAX);
    text[size] = '\0';
    double back = strtod(text, NULL), ours = 0;
    if (memcmp(&back, &value, sizeof back) != 0)
        fail_msg("%a was written as %s, which is %a", value, text, back);
    assert_true(mr_number_is_float64(text, size, &ours) && memcmp(&ours, &value, sizeof ours) == 0);
    /* No shorter text would do: with one digit fewer the nearest decimal is another double. */
    size_t digits = 0;
    for (const char *c = text; *c != '\0' && *c != 'e'; c++)
        digits += *c >= '1' && *c <= '9' ? 1 : *c == '0' && digits > 0;
    const char *mantissa_end = strchr(text, 'e');
    mantissa_end = mantissa_end != NULL ? mantissa_end : text + size;
    if (memchr(text, '.', size) == NULL)
        while (digits > 1 && mantissa_end[-1] == '0') {
            mantissa_end--;
            digits--;
        }
    if (digits > 1) {
        (void)snprintf(wide, sizeof wide, "%.*e", (int)digits - 2, value);
        if (strtod(wide, NULL) == value)
            fail_msg("%a was written as %s, %s is shorter", value, text, wide);
    }
    /* The nearest of that length. */
    if (digits > 0) {
        (void)snprintf(wide, sizeof wide, "%.*e", (int)digits - 1, value);
        if (strtod(wide, NULL) == value &&
            fabsl(strtold(wide, NULL) - (long double)value) <
                fabsl(strtold(text, NULL) - (long double)value) * 0.999L)
            fail_msg("%a was written as %s, %s is nearer", value, text, wide);
    }
}

static void check_float32(float value)
{
    char text[MR_NUMBER_TEXT_MAX + 1];
    size_t size = mr_number_format_float32(value, text);
    text[size] = '\0';
    float back = strtof(text, NULL), ours = 0;
    if (memcmp(&back, &value, sizeof back) != 0)
        fail_msg("%a was written as %s, which is %a", (double)value, text, (double)back);
    assert_int_equal(mr_number_parse_float32(text, size, &ours, NULL), MR_NUMBER_OK);
    assert_memory_equal(&ours, &value, sizeof ours);
    for (int precision = 0; precision < 9; precision++) {
        char wide[64];
        (void)snprintf(wide, sizeof wide, "%.*e", precision, (double)value);
        if (strtof(wide, NULL) == value) {
            size_t digits = 0, trailing = 0;
            bool point = memchr(text, '.', size) != NULL;
            for (const char *c = text; *c != '\0' && *c != 'e'; c++)
                if (*c >= '0' && *c <= '9' && (digits > 0 || *c != '0')) {
                    digits++;
                    trailing = *c == '0' ? trailing + 1 : 0;
                }
            digits -= point ? 0 : trailing;
            if (digits > (size_t)precision + 1)
                fail_msg("%a was written as %s, %s is shorter", (double)value, text, wide);
            break;
        }
    }
}

TEST(number, writes_the_shortest_text)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.0, "0"},
                 {-0.0, "-0"},
                 {12.0, "12"},
                 {12.5, "12.5"},
                 {-0.1, "-0.1"},
                 {1e21, "1e+21"},
                 {1e20, "100000000000000000000"},
                 {1e300, "1e+300"},
                 {1.5e-7, "1.5e-7"},
                 {0.000001, "0.000001"},
                 {5e-324, "5e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {9007199254740993.0, "9007199254740992"},
                 {1e23, "1e+23"},
                 {2e-44, "2e-44"},
                 {0.3, "0.3"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {(double)NAN, "NaN"},
                 {-(double)INFINITY, "-Infinity"},
                 {(double)INFINITY, "Infinity"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[MR_NUMBER_TEXT_MAX + 1];
        text[mr_number_format_float64(cases[i].value, text)] = '\0';
        assert_string_equal(text, cases[i].text);
    }
    char text[MR_NUMBER_TEXT_MAX + 1];
    text[mr_number_format_float32(0.1f, text)] = '\0';
    assert_string_equal(text, "0.1");
    text[mr_number_format_float32(16777216.0f, text)] = '\0';
    assert_string_equal(text, "16777216");
}

TEST(number, writes_random_bits_that_read_back)
{
    mr_random_seeded random = mr_test_random(3);
    for (uint64_t i = 0; i < mr_test_rounds(100000); i++) {
        double value = bits_float64(mr_random_next(&random));
        if (i % 4 == 1) /* decimals people write */
            value = (double)(int64_t)mr_random_below(&random, 100000000) / 100;
        if (i % 4 == 2) /* powers of two: the lower neighbour is closer */
            value = ldexp(1.0, (int)mr_random_below(&random, 2098) - 1074);
        if (isfinite(value))
            check_float64(value);
        float narrow = bits_float32((uint32_t)mr_random_next(&random));
        if (isfinite(narrow))
            check_float32(narrow);
    }
    for (int exponent = -149; exponent < 128; exponent++)
        check_float32(ldexpf(1.0f, exponent));
}

TEST(number, writes_integers_of_every_length)
{
    char ours[MR_NUMBER_TEXT_MAX + 1], theirs[64];
    mr_random_seeded random = mr_test_random(4);
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t bits = mr_random_next(&random) >> (i % 64);
        int64_t value = (int64_t)(i % 2 == 0 ? bits : 0 - bits);
        if (i < 40) { /* around the powers of ten */
            uint64_t power = 1;
            for (uint64_t p = 0; p < i / 2 && p < 18; p++)
                power *= 10;
            value = (int64_t)(power - i % 2);
        }
        ours[mr_number_format_int64(value, ours)] = '\0';
        (void)snprintf(theirs, sizeof theirs, "%lld", (long long)value);
        assert_string_equal(ours, theirs);
    }
    ours[mr_number_format_int64(INT64_MIN, ours)] = '\0';
    assert_string_equal(ours, "-9223372036854775808");
    ours[mr_number_format_uint64(UINT64_MAX, ours)] = '\0';
    assert_string_equal(ours, "18446744073709551615");
}
