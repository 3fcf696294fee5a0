/* utf8_test.c -- UTF-8 and base64 against plain definitions. */
#include "base/base64.h"
#include "base/utf8.h"
#include "test/test.h"

#include <string.h>

TEST(utf8, every_code_point_goes_there_and_back)
{
    for (uint32_t code = 0; code < 0x110400; code++) {
        uint8_t bytes[4];
        uint32_t back = 0;
        size_t size = mr_utf8_encode(code, bytes);
        bool good = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        if (good != (size > 0) || (good && (mr_utf8_decode(bytes, size, &back) != size ||
                                            back != code || !mr_utf8_is_valid(bytes, size) ||
                                            mr_utf8_valid_prefix(bytes, size - 1) != 0)))
            fail_msg("U+%04X", code);
    }
}

/* The plain definition: a sequence is good when encoding what it decodes to gives the same bytes.
 */
static size_t naive_sequence(const uint8_t *s, size_t size)
{
    for (size_t length = 1; length <= 4 && length <= size; length++) {
        static const uint8_t lead_mask[5] = {0, 0x80, 0xe0, 0xf0, 0xf8},
                             lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
        if ((s[0] & lead_mask[length]) != lead[length])
            continue;
        uint32_t code = s[0] & (uint8_t)~lead_mask[length];
        for (size_t i = 1; i < length; i++)
            code = code << 6 | (s[i] & 0x3fu);
        uint8_t bytes[4];
        return mr_utf8_encode(code, bytes) == length && memcmp(bytes, s, length) == 0 ? length : 0;
    }
    return 0;
}

TEST(utf8, finds_the_first_bad_byte)
{
    mr_random_seeded random = mr_test_random(6);
    static const uint8_t pool[] = {'a',  'b',  0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xc3,
                                   0xe0, 0xa0, 0xed, 0x9f, 0xef, 0xf0, 0x90, 0xf4,
                                   0x8f, 0xf5, 0xff, 0xe2, 0x82, 0xac};
    for (uint64_t i = 0; i < mr_test_rounds(200000); i++) {
        uint8_t text[40];
        size_t size = mr_random_below(&random, sizeof text + 1), at = 0;
        for (size_t k = 0; k < size; k++)
            text[k] =
                i % 3 != 0 && k + 6 < size ? 'x' : pool[mr_random_below(&random, sizeof pool)];
        while (at < size) {
            size_t step = naive_sequence(text + at, size - at);
            if (step == 0)
                break;
            at += step;
        }
        assert_int_equal(mr_utf8_valid_prefix(text, size), at);
    }
}

TEST(utf8, quotes_anything_within_its_room)
{
    char out[64];
    assert_string_equal(
        mr_utf8_quote((const uint8_t *)"a\"b\\\n\0\xff\xc3\xa9", 9, 50, out, sizeof out),
        "\"a\\\"b\\\\\\n\\x00\\xFF\xc3\xa9\"");
    assert_string_equal(mr_utf8_quote((const uint8_t *)"abcdef", 6, 3, out, sizeof out),
                        "\"abc\"...");
    assert_string_equal(mr_utf8_quote((const uint8_t *)"", 0, 3, out, sizeof out), "\"\"");
    uint8_t bytes[300];
    memset(bytes, 0xff, sizeof bytes);
    for (size_t room = 1; room < sizeof out; room++) {
        memset(out, '#', sizeof out);
        assert_true(strlen(mr_utf8_quote(bytes, sizeof bytes, 300, out, room)) < room);
        assert_true(room == sizeof out || out[room] == '#');
    }
    assert_int_equal(mr_utf8_length((const uint8_t *)"a\xc3\xa9\xe2\x82\xac", 6), 3);
}

TEST(base64, goes_there_and_back)
{
    mr_random_seeded random = mr_test_random(7);
    for (size_t size = 0; size < 100; size++) {
        uint8_t bytes[100], back[102];
        char text[140];
        size_t back_size = 0;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)mr_random_next(&random);
        mr_base64_encode(bytes, size, text);
        assert_true(mr_base64_decode(text, mr_base64_encoded_size(size), back, &back_size, NULL));
        assert_int_equal(back_size, size);
        assert_memory_equal(back, bytes, size);
    }
}

TEST(base64, says_what_is_wrong)
{
    static const struct {
        const char *text;
        size_t at;
    } bad[] = {{"A", 1},    {"AB", 2},       {"ABC", 3},  {"AB*D", 2}, {"====", 0},  {"A===", 1},
               {"AB=C", 2}, {"AB==ABCD", 2}, {"AR==", 1}, {"AAF=", 2}, {"QUJ D", 3}, {"QUJD\n", 5}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t out[16];
        size_t size, at = 99;
        if (mr_base64_decode(bad[i].text, strlen(bad[i].text), out, &size, &at) || at != bad[i].at)
            fail_msg("%s: %zu, not %zu", bad[i].text, at, bad[i].at);
    }
}
