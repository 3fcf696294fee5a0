/* utf8.h -- UTF-8 (RFC 3629): validation, single code points, and text made safe to print.
 *
 * Valid means: shortest form only, no surrogates, nothing above U+10FFFF. */
#ifndef MR_BASE_UTF8_H
#define MR_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The index of the first byte of the first bad sequence (also one cut off by the end), or `size`.
 */
size_t mr_utf8_valid_prefix(const uint8_t *bytes, size_t size);

static inline bool mr_utf8_is_valid(const uint8_t *bytes, size_t size)
{
    return mr_utf8_valid_prefix(bytes, size) == size;
}

/* Bytes of the code point at the start (1 to 4) and its number, or 0 when it is bad or size is 0.
 */
size_t mr_utf8_decode(const uint8_t *bytes, size_t size, uint32_t *out_code);
/* Writes 1 to 4 bytes; 0 for surrogates and numbers above U+10FFFF. */
size_t mr_utf8_encode(uint32_t code, uint8_t out[4]);
/* Code points in valid text. */
size_t mr_utf8_length(const uint8_t *bytes, size_t size);

/* Writes bytes into out as a quoted, escaped, always terminated text for messages: control
 * characters, quotes and bad bytes as \n \" \xFF; more than `shown_max` bytes of input are cut with
 * "...". Returns out. Never writes more than out_size; 16 is the least that is useful. */
const char *mr_utf8_quote(const uint8_t *bytes, size_t size, size_t shown_max, char *out,
                          size_t out_size);

#endif
