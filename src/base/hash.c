/* hash.c -- checksums and hashes; the work is done by ISA-L and xxHash. */
#include "base/hash.h"

#include <isa-l/crc.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint32_t mr_crc32c(uint32_t crc, const void *data, size_t size)
{
    /* ISA-L takes an int and leaves the two inversions of the standard to its caller. */
    const uint8_t *bytes = data;
    uint32_t state = ~crc;
    while (size > 0) {
        size_t step = size < (1u << 30) ? size : (1u << 30);
        state = crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)step, state);
        bytes += step;
        size -= step;
    }
    return ~state;
}

uint64_t mr_hash64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}
