/* utf8.c -- UTF-8 checked by ranges (Unicode 15, table 3-7), sixteen ASCII bytes at a time where
 * there are.
 *
 *   00..7F
 *   C2..DF  80..BF
 *   E0      A0..BF  80..BF        E1..EC, EE, EF  80..BF  80..BF        ED  80..9F  80..BF
 *   F0      90..BF  80..BF  80..BF   F1..F3  80..BF x 3                 F4  80..8F  80..BF  80..BF
 */
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the good sequence at the start, 0 when it is bad. */
static size_t sequence_bytes(const uint8_t *s, size_t size)
{
    uint8_t first = s[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    if (first < 0xe0)
        return size >= 2 && is_tail(s[1]) ? 2 : 0;
    if (size < 3 || !is_tail(s[1]) || !is_tail(s[2]))
        return 0;
    if (first < 0xf0)
        return (first == 0xe0 && s[1] < 0xa0) || (first == 0xed && s[1] > 0x9f) ? 0 : 3;
    if (size < 4 || !is_tail(s[3]))
        return 0;
    return (first == 0xf0 && s[1] < 0x90) || (first == 0xf4 && s[1] > 0x8f) ? 0 : 4;
}

static size_t skip_ascii(const uint8_t *bytes, size_t at, size_t size)
{
    while (size - at >= 16) {
        uint64_t a, b;
        memcpy(&a, bytes + at, 8);
        memcpy(&b, bytes + at + 8, 8);
        if (((a | b) & 0x8080808080808080u) != 0)
            break;
        at += 16;
    }
    while (at < size && bytes[at] < 0x80)
        at++;
    return at;
}

size_t mr_utf8_valid_prefix(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while ((at = skip_ascii(bytes, at, size)) < size) {
        do {
            size_t step = sequence_bytes(bytes + at, size - at);
            if (step == 0)
                return at;
            at += step;
        } while (at < size && bytes[at] >= 0x80);
    }
    return size;
}

size_t mr_utf8_decode(const uint8_t *bytes, size_t size, uint32_t *out_code)
{
    size_t step = size > 0 ? sequence_bytes(bytes, size) : 0;
    if (step == 0)
        return 0;
    static const uint8_t masks[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = bytes[0] & masks[step];
    for (size_t i = 1; i < step; i++)
        code = code << 6 | (bytes[i] & 0x3fu);
    *out_code = code;
    return step;
}

size_t mr_utf8_encode(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
        return 0;
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

size_t mr_utf8_length(const uint8_t *bytes, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += !is_tail(bytes[i]);
    return count;
}

/* One code point, or one bad byte, as it is shown; returns how much of the input that was. */
static size_t quote_one(const uint8_t *bytes, size_t size, char out[8])
{
    uint32_t code;
    size_t step = mr_utf8_decode(bytes, size, &code);
    if (step == 0) {
        (void)snprintf(out, 8, "\\x%02X", bytes[0]);
        return 1;
    }
    static const char named[] = "\n\r\t\"\\", shown[] = "nrt\"\\";
    const char *name = step == 1 && code != 0 ? strchr(named, (int)code) : NULL;
    if (name != NULL)
        (void)snprintf(out, 8, "\\%c", shown[name - named]);
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        (void)snprintf(out, 8, "\\x%02X", code);
    else {
        memcpy(out, bytes, step);
        out[step] = '\0';
    }
    return step;
}

const char *mr_utf8_quote(const uint8_t *bytes, size_t size, size_t shown_max, char *out,
                          size_t out_size)
{
    size_t used = 0, at = 0;
    char piece[8];
    if (out_size < 6) {
        out[0] = '\0';
        return out;
    }
    out[used++] = '"';
    while (at < size && at < shown_max) {
        size_t step = quote_one(bytes + at, size - at, piece), piece_size = strlen(piece);
        if (used + piece_size + 5 > out_size)
            break;
        memcpy(out + used, piece, piece_size);
        used += piece_size;
        at += step;
    }
    (void)snprintf(out + used, out_size - used, "%s", at < size ? "\"..." : "\"");
    return out;
}
