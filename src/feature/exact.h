/* exact.h -- sums without error, rounded once when they are read.
 *
 *   value ............ m * 2^e, m a signed integer of 53 bits (a float64) or more (the sum of a tile)
 *   fixed sum ........ 128-bit two's complement at one exponent, modulo 2^128: adding, taking back and
 *                      merging are exact in any order as long as what is read fits (Kulisch's idea, narrow)
 *   fixed squares .... the same in 256 bits at twice the exponent
 *   mr_super ......... 4608 bits: holds the sum of any float64 values, and of their squares (Kulisch,
 *                      "Computer Arithmetic and Validity", 2008)
 *   steady ........... exp2 and log2 made of + - * / only: the same bits on every machine (libm's are not)
 */
#ifndef MR_FEATURE_EXACT_H
#define MR_FEATURE_EXACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

__extension__ typedef __int128 mr_int128;
__extension__ typedef unsigned __int128 mr_uint128;

typedef struct mr_square {
    uint64_t words[4]; /* little end first */
} mr_square;

#define MR_SUPER_WORDS 72
#define MR_SUPER_BASE  (-2240) /* exponent of bit 0; twice the least float64 exponent is -2148 */

typedef struct mr_super {
    uint64_t words[MR_SUPER_WORDS]; /* two's complement */
} mr_super;

/* A finite double as m * 2^e; |m| < 2^53. */
static inline int64_t mr_exact_split(double value, int *out_exponent)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int field = (int)(bits >> 52) & 0x7ff;
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    uint64_t m = field != 0 ? fraction | UINT64_C(1) << 52 : fraction;
    *out_exponent = field != 0 ? field - 1075 : -1074;
    return (bits >> 63) != 0 ? -(int64_t)m : (int64_t)m;
}

/* Bits of |m|; 0 for 0. */
static inline int mr_exact_bits(mr_int128 m)
{
    mr_uint128 u = m < 0 ? -(mr_uint128)m : (mr_uint128)m;
    uint64_t high = (uint64_t)(u >> 64), low = (uint64_t)u;
    return high != 0 ? 128 - __builtin_clzll(high) : low != 0 ? 64 - __builtin_clzll(low) : 0;
}

/* sum * 2^exponent / count, correctly rounded (to nearest, ties to even). count >= 1. */
double mr_exact_mean(mr_int128 sum, int exponent, uint64_t count);

/* words * 2^exponent / (d1 * d2), correctly rounded; at most 2 * MR_SUPER_WORDS words, little end first. */
double mr_exact_quotient(const uint64_t *words, size_t count, int exponent, bool negative,
                         uint64_t d1, uint64_t d2);

/* (n * squares - sum^2) / (n * d), correctly rounded: the variance when d is n or n - 1. */
double mr_exact_variance(mr_int128 sum, const mr_square *squares, int exponent, uint64_t n,
                         uint64_t d);

/* square of |m| < 2^64, shifted left by `shift`. Bits beyond 256 are lost (modulo). */
void mr_square_add(mr_square *to, const mr_square *value);
void mr_square_subtract(mr_square *from, const mr_square *value);
mr_square mr_square_of(uint64_t m);
mr_square mr_square_shift(const mr_square *value, unsigned shift);
int mr_square_bits(const mr_square *value);

/* Adds (or takes away) magnitude * 2^exponent; count <= 4 words. */
void mr_super_add(mr_super *super, const uint64_t *magnitude, size_t count, int exponent,
                  bool negative);
void mr_super_add_int(mr_super *super, mr_int128 m, int exponent);
double mr_super_mean(const mr_super *super, uint64_t count);
double mr_super_variance(const mr_super *sum, const mr_super *squares, uint64_t n, uint64_t d);
/* The words that differ from the sign: first and count (0 for zero). For storing. */
void mr_super_span(const mr_super *super, uint32_t *out_first, uint32_t *out_count);

/* Error below 1e-15 relative. x within +-1100; log2 of a positive finite number. */
double mr_steady_exp2(double x);
double mr_steady_log2(double x);

#endif
