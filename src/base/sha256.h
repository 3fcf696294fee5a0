/* sha256.h -- SHA-256 (FIPS 180-4) as hexadecimal text: names what must not change. */
#ifndef MR_BASE_SHA256_H
#define MR_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define MR_SHA256_TEXT_BYTES 65 /* 64 digits and the terminator */

typedef struct mr_sha256 {
    _Alignas(8) uint8_t state[128]; /* private */
} mr_sha256;

void mr_sha256_init(mr_sha256 *hash);
void mr_sha256_add(mr_sha256 *hash, const void *data, size_t size);
/* Lower case, terminated. The hash must be initialised again before it is used again. */
void mr_sha256_finish(mr_sha256 *hash, char out[MR_SHA256_TEXT_BYTES]);

#endif
