/* base64.c -- three bytes as four characters. */
#include "base/base64.h"

static const char letters[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void mr_base64_encode(const uint8_t *bytes, size_t size, char *out)
{
    for (; size >= 3; size -= 3, bytes += 3, out += 4) {
        uint32_t word = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
        out[0] = letters[word >> 18];
        out[1] = letters[word >> 12 & 63];
        out[2] = letters[word >> 6 & 63];
        out[3] = letters[word & 63];
    }
    if (size > 0) {
        uint32_t word = (uint32_t)bytes[0] << 16 | (size > 1 ? (uint32_t)bytes[1] << 8 : 0);
        out[0] = letters[word >> 18];
        out[1] = letters[word >> 12 & 63];
        out[2] = size > 1 ? letters[word >> 6 & 63] : '=';
        out[3] = '=';
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of 4 characters, `used` of them letters (2 to 4); false with *at on the bad one. */
static bool decode_group(const char *text, size_t used, uint8_t *out, size_t *at)
{
    uint32_t word = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < used ? value_of(text[i]) : 0;
        *at += value >= 0;
        if (value < 0)
            return false;
        word = word << 6 | (uint32_t)value;
    }
    out[0] = (uint8_t)(word >> 16);
    if (used > 2)
        out[1] = (uint8_t)(word >> 8);
    if (used > 3)
        out[2] = (uint8_t)word;
    uint32_t spare = used == 2 ? word & 0xffff : used == 3 ? word & 0xff : 0;
    *at -= spare != 0 ? 5 - used : 0;
    return spare == 0;
}

bool mr_base64_decode(const char *text, size_t size, uint8_t *out, size_t *out_size, size_t *out_at)
{
    size_t at = 0, wrote = 0;
    bool good = true;
    while (good && at < size) {
        size_t left = size - at;
        size_t used = left == 4 && text[at + 3] == '=' ? (text[at + 2] == '=' ? 2 : 3) : 4;
        if (left < 4) {
            at = size;
            good = false;
        } else {
            good = decode_group(text + at, used, out + wrote, &at);
            wrote += good ? used - 1 : 0;
        }
    }
    *out_size = wrote;
    if (out_at != NULL)
        *out_at = at;
    return good;
}
