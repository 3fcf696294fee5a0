/* sha256.c -- SHA-256 by Nettle, which picks the processor's instructions at run time. */
#include "base/sha256.h"

#include <nettle/sha2.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(mr_sha256), "the state has room");

static struct sha256_ctx *context_of(mr_sha256 *hash)
{
    return (struct sha256_ctx *)(void *)hash->state;
}

void mr_sha256_init(mr_sha256 *hash)
{
    sha256_init(context_of(hash));
}

void mr_sha256_add(mr_sha256 *hash, const void *data, size_t size)
{
    sha256_update(context_of(hash), size, data);
}

void mr_sha256_finish(mr_sha256 *hash, char out[MR_SHA256_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[SHA256_DIGEST_SIZE];
    sha256_digest(context_of(hash), sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * sizeof bytes] = '\0';
}
