/* number_format.c -- numbers to text (see number.h): Schubfach after Giulietti, "The Schubfach way
 * to render doubles" (2020).
 *
 *   v = c * 2^q; every decimal between the midpoints to v's neighbours reads back as v. Of the
 * decimals s * 10^k with the largest k that has one there, the nearest to v is taken. vb, vbl, vbr
 * below are 4 v, and 4 times the lower and upper midpoint, over 10^k, kept to 128 bits and rounded
 * to odd, which is enough to compare exactly.
 *
 * Where we differ: the paper's table of g is our table of leading bits plus one where that is not
 * exact. */
#include "base/number_internal.h"

#include <math.h>

/* ---- integers ---- */

static const char pairs[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

static unsigned count_digits(uint64_t value)
{
    /* floor(bits * log10(2)) is right or one too large. */
    unsigned guess = ((64 - (unsigned)__builtin_clzll(value | 1)) * 1233) >> 12;
    return guess + (value >= mr_number_pow10_u64[guess < 19 ? guess : 19] || value == 0);
}

static void write_digits(uint64_t value, unsigned count, char *out)
{
    char *at = out + count;
    while (at - out >= 2) {
        at -= 2;
        memcpy(at, pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (at > out)
        *out = (char)('0' + value);
}

size_t mr_number_format_uint64(uint64_t value, char *out)
{
    unsigned count = count_digits(value);
    write_digits(value, count, out);
    return count;
}

size_t mr_number_format_int64(int64_t value, char *out)
{
    if (value >= 0)
        return mr_number_format_uint64((uint64_t)value, out);
    *out = '-';
    return 1 + mr_number_format_uint64(0 - (uint64_t)value, out + 1);
}

/* ---- Schubfach ---- */

typedef struct decimal {
    uint64_t digits;
    int power;
} decimal;

/* floor(log10(2^q)), or floor(log10(3/4 * 2^q)) where the lower neighbour is closer. */
static int decimal_exponent(int q, bool closer)
{
    return (q * 1262611 - (closer ? 524031 : 0)) >> 22;
}

/* floor(log2(10^e)) */
static int binary_exponent(int e)
{
    return (e * 1741647) >> 19;
}

/* The same choice for both widths, from the three scaled values (see the top). */
static decimal choose(uint64_t vb, uint64_t lower, uint64_t upper, int k)
{
    uint64_t s = vb / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
        if (below != above)
            return (decimal){tens + above, k + 1};
    }
    bool below = lower <= 4 * s, above = 4 * s + 4 <= upper;
    if (below != above)
        return (decimal){s + above, k};
    uint64_t middle = 4 * s + 2;
    return (decimal){s + (vb > middle || (vb == middle && (s & 1) != 0)), k};
}

static uint64_t round_to_odd64(uint64_t high, uint64_t low, uint64_t factor)
{
    __extension__ typedef unsigned __int128 u128;
    u128 x = (u128)low * factor, y = (u128)high * factor + (uint64_t)(x >> 64);
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

static uint64_t round_to_odd32(uint64_t g, uint32_t factor)
{
    __extension__ unsigned __int128 y = (unsigned __int128)g * factor;
    return (uint64_t)(y >> 64) | ((uint32_t)(y >> 32) > 1);
}

static decimal shortest64(uint64_t mantissa, int exponent)
{
    uint64_t c = exponent != 0 ? mantissa | (uint64_t)1 << 52 : mantissa;
    int q = (exponent != 0 ? exponent : 1) - 1075;
    if (q <= 0 && q > -53 && (c & (((uint64_t)1 << -q) - 1)) == 0)
        return (decimal){c >> -q, 0}; /* a whole number */
    bool odd = (c & 1) != 0, closer = mantissa == 0 && exponent > 1;
    int k = decimal_exponent(q, closer), h = q + binary_exponent(-k) + 1;
    const uint64_t *row = mr_number_powers[-k - MR_NUMBER_POWER_MIN];
    uint64_t high = row[0], low = row[1];
    if (k > 0 || k < -55) {
        low++;
        high += low == 0;
    }
    uint64_t vbl = round_to_odd64(high, low, (4 * c - 2 + closer) << h);
    uint64_t vb = round_to_odd64(high, low, (4 * c) << h);
    uint64_t vbr = round_to_odd64(high, low, (4 * c + 2) << h);
    return choose(vb, vbl + odd, vbr - odd, k);
}

static decimal shortest32(uint32_t mantissa, int exponent)
{
    uint32_t c = exponent != 0 ? mantissa | (uint32_t)1 << 23 : mantissa;
    int q = (exponent != 0 ? exponent : 1) - 150;
    if (q <= 0 && q > -24 && (c & (((uint32_t)1 << -q) - 1)) == 0)
        return (decimal){c >> -q, 0};
    bool odd = (c & 1) != 0, closer = mantissa == 0 && exponent > 1;
    int k = decimal_exponent(q, closer), h = q + binary_exponent(-k) + 1;
    const uint64_t *row = mr_number_powers[-k - MR_NUMBER_POWER_MIN];
    uint64_t g = row[0] + (k > 0 || k < -27);
    uint64_t vbl = round_to_odd32(g, (4 * c - 2 + closer) << h);
    uint64_t vb = round_to_odd32(g, (4 * c) << h);
    uint64_t vbr = round_to_odd32(g, (4 * c + 2) << h);
    return choose(vb, vbl + odd, vbr - odd, k);
}

/* ---- layout ---- */

/* Inlined, so that the divisions are multiplications. */
static inline void strip_some(decimal *number, uint64_t power, int zeros)
{
    while (number->digits % power == 0) {
        number->digits /= power;
        number->power += zeros;
    }
}

static decimal strip_zeros(decimal number)
{
    if (number.digits % 10 != 0)
        return number;
    strip_some(&number, 100000000, 8);
    strip_some(&number, 10000, 4);
    strip_some(&number, 100, 2);
    strip_some(&number, 10, 1);
    return number;
}

/* 123.45: `whole` digits before the point, 1 <= whole < count. */
static size_t write_point(uint64_t digits, unsigned count, unsigned whole, char *out)
{
    write_digits(digits, count, out + 1);
    memmove(out, out + 1, whole);
    out[whole] = '.';
    return count + 1;
}

static size_t write_exponent(uint64_t digits, unsigned count, int exponent, char *out)
{
    size_t used = count > 1 ? write_point(digits, count, 1, out) : 1;
    if (count == 1)
        *out = (char)('0' + digits);
    out[used++] = 'e';
    out[used++] = exponent < 0 ? '-' : '+';
    return used +
           mr_number_format_uint64((uint64_t)(exponent < 0 ? -exponent : exponent), out + used);
}

/* Plain from 1e-6 up to below 1e21, as ECMAScript does; else with an exponent. */
static size_t write_decimal(decimal number, char *out)
{
    number = strip_zeros(number);
    unsigned count = count_digits(number.digits);
    int point = (int)count + number.power; /* digits before the point */
    if (point > 21 || point <= -6)
        return write_exponent(number.digits, count, point - 1, out);
    if (point <= 0) {
        memcpy(out, "0.000000", 8);
        write_digits(number.digits, count, out + 2 - point);
        return (size_t)(2 - point) + count;
    }
    if ((unsigned)point < count)
        return write_point(number.digits, count, (unsigned)point, out);
    write_digits(number.digits, count, out);
    memset(out + count, '0', (size_t)number.power);
    return (size_t)point;
}

static size_t write_word(const char *word, char *out)
{
    size_t size = strlen(word);
    memcpy(out, word, size);
    return size;
}

size_t mr_number_format_float64(double value, char *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (!isfinite(value))
        return write_word(isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity", out);
    size_t sign = bits >> 63;
    *out = '-';
    if (bits << 1 == 0)
        return sign + write_word("0", out + sign);
    uint64_t mantissa = bits & (((uint64_t)1 << 52) - 1);
    return sign + write_decimal(shortest64(mantissa, (int)(bits >> 52 & 0x7ff)), out + sign);
}

size_t mr_number_format_float32(float value, char *out)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (!isfinite(value))
        return write_word(isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity", out);
    size_t sign = bits >> 31;
    *out = '-';
    if (bits << 1 == 0)
        return sign + write_word("0", out + sign);
    return sign + write_decimal(shortest32(bits & 0x7fffff, (int)(bits >> 23 & 0xff)), out + sign);
}
