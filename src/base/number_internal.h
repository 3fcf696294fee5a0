/* number_internal.h -- the kernels of number parsing, for loops that read text in place.
 *
 * Everything here may read up to 8 bytes behind the digits it is pointed at: the caller's buffer
 * must be padded. Used by number_parse.c and by the decoders of data/. */
#ifndef MR_BASE_NUMBER_INTERNAL_H
#define MR_BASE_NUMBER_INTERNAL_H

#include "base/number.h"

#include <string.h>

#define MR_NUMBER_POWER_MIN (-342)
#define MR_NUMBER_POWER_MAX 324

extern const uint64_t mr_number_powers[MR_NUMBER_POWER_MAX - MR_NUMBER_POWER_MIN + 1][2];
extern const uint64_t mr_number_pow10_u64[20]; /* 10^0 .. 10^19 */
extern const double mr_number_pow10_f64[23];   /* 10^0 .. 10^22, all exact */

/* The double (float) nearest to digits * 10^power; infinity when too large. Any digits, any power.
 */
double mr_number_scale_float64(uint64_t digits, int64_t power);
float mr_number_scale_float32(uint64_t digits, int64_t power);

/* Eight bytes of text, first byte lowest, whatever the machine's byte order. */
static inline uint64_t mr_number_load8(const uint8_t *text)
{
    uint64_t word;
    memcpy(&word, text, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Digits at the start of the eight bytes, given as text ^ "00000000": 0 to 8. A carry out of a byte
 * that is no digit can only disturb the bytes behind it, which no longer matter. */
static inline unsigned mr_number_run(uint64_t zeroed)
{
    uint64_t other = ((zeroed + 0x7676767676767676u) | zeroed) & 0x8080808080808080u;
    return other != 0 ? (unsigned)__builtin_ctzll(other) >> 3 : 8;
}

/* The number that eight digits (0 to 9 each, first lowest) make: three multiplications (Lemire
 * 2021). */
static inline uint64_t mr_number_eight(uint64_t zeroed)
{
    zeroed = zeroed * 10 + (zeroed >> 8);
    return ((zeroed & 0x000000ff000000ffu) * 0x000f424000000064u +
            ((zeroed >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u) >>
           32;
}

/* Adds the digits at `text` to *value, at most 24 of them, and returns how many there were. More than 19
 * digits in all make *value worthless: the caller counts. */
static inline unsigned mr_number_more_digits(const uint8_t *text, uint64_t *value)
{
    unsigned count = 0, run = 8;
    while (run == 8 && count < 24) {
        uint64_t zeroed = mr_number_load8(text + count) ^ 0x3030303030303030u;
        run = mr_number_run(zeroed);
        if (run > 0)
            *value = *value * mr_number_pow10_u64[run] + mr_number_eight(zeroed << (64 - 8 * run));
        count += run;
    }
    return count;
}

/* The same for a number that starts here: *value need not be set. */
static inline unsigned mr_number_digits(const uint8_t *text, uint64_t *value)
{
    uint64_t zeroed = mr_number_load8(text) ^ 0x3030303030303030u;
    unsigned run = mr_number_run(zeroed);
    *value = run > 0 ? mr_number_eight(zeroed << (64 - 8 * run)) : 0;
    return run < 8 ? run : 8 + mr_number_more_digits(text + 8, value);
}

#endif
