/* hash_test.c -- checksums and hashes against published answers. */
#include "base/hash.h"
#include "test/test.h"

#include <string.h>

/* RFC 3720 B.4 and the usual check value; the RFC prints the bytes in wire order. */
TEST(hash, crc32c_known_answers)
{
    uint8_t bytes[48];
    assert_int_equal(mr_crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, 32);
    assert_int_equal(mr_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(mr_crc32c(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(mr_crc32c(0, bytes, 32), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(mr_crc32c(0, bytes, 32), 0x113fdb5c);
    static const uint8_t iscsi_read[48] = {0x01, 0xc0, 0, 0,    0,    0, 0, 0,    0,    0, 0,    0,
                                           0,    0,    0, 0,    0x14, 0, 0, 0,    0,    0, 0x04, 0,
                                           0,    0,    0, 0x14, 0,    0, 0, 0x18, 0x28, 0, 0,    0,
                                           0,    0,    0, 0,    0x02, 0, 0, 0,    0,    0, 0,    0};
    assert_int_equal(mr_crc32c(0, iscsi_read, 48), 0xd9963a56);
    assert_int_equal(mr_crc32c(0, "", 0), 0);
}

/* Bit by bit, from the polynomial 0x1EDC6F41 reflected. */
static uint32_t crc32c_slowly(uint32_t crc, const uint8_t *bytes, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

TEST(hash, crc32c_continues_at_any_cut)
{
    mr_random_seeded random = mr_test_random(5);
    uint8_t bytes[700];
    random.random.fill(&random.random, bytes, sizeof bytes);
    for (uint64_t i = 0; i < mr_test_rounds(500); i++) {
        size_t start = (size_t)mr_random_below(&random, 64);
        size_t size = (size_t)mr_random_below(&random, sizeof bytes - start);
        size_t cut = (size_t)mr_random_below(&random, size + 1);
        uint32_t whole = mr_crc32c(0, bytes + start, size);
        assert_int_equal(whole, crc32c_slowly(0, bytes + start, size));
        uint32_t front = mr_crc32c(0, bytes + start, cut);
        assert_int_equal(whole, mr_crc32c(front, bytes + start + cut, size - cut));
    }
}

/* From the XXH3 specification's reference: XXH3_64bits of nothing with seed 0; and SplitMix64 from state 0. */
TEST(hash, hash64_and_mix_known_answers)
{
    assert_int_equal(mr_hash64("", 0), 0x2d06800538d394c2u);
    assert_int_equal(mr_hash_u64(0), 0xe220a8397b1dcdafu);
    assert_int_equal(mr_hash_u64(0x9e3779b97f4a7c15u), 0x6e789e6aa1b965f4u);
    assert_int_not_equal(mr_hash64("a", 1), mr_hash64("b", 1));
}
