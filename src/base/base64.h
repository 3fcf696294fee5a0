/* base64.h -- bytes as text: RFC 4648 section 4, with padding, no line breaks. */
#ifndef MR_BASE_BASE64_H
#define MR_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t mr_base64_encoded_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Writes mr_base64_encoded_size(size) characters. */
void mr_base64_encode(const uint8_t *bytes, size_t size, char *out);
/* Room needed is size / 4 * 3. False with the place in *out_at (nullable) when a character, the
 * length or the padding is wrong, or when bits that are cut off are not zero (so each value has one
 * text). */
bool mr_base64_decode(const char *text, size_t size, uint8_t *out, size_t *out_size,
                      size_t *out_at);

#endif
