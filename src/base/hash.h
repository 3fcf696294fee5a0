/* hash.h -- checksums and hashes: CRC32C for what is stored, XXH3 for what is looked up.
 *
 * CRC32C (Castagnoli, RFC 3720 appendix B.4) comes from ISA-L, which picks the hardware path at run time
 * and has a portable one. XXH3 is the 64-bit hash of the xxHash family. */
#ifndef MR_BASE_HASH_H
#define MR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* CRC32C of `size` bytes, continuing from `crc` (0 to start). mr_crc32c(0, "123456789", 9) == 0xE3069283. */
uint32_t mr_crc32c(uint32_t crc, const void *data, size_t size);

/* XXH3-64 with seed 0. */
uint64_t mr_hash64(const void *data, size_t size);

/* A strong mix of one 64-bit number (the finaliser of SplitMix64, Steele et al. 2014): a bijection. */
static inline uint64_t mr_hash_u64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
