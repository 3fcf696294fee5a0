/* exact.c -- exact sums: wide integers, and one rounding at the end. No libm, no state. Any thread. */
#include "feature/exact.h"

#include "base/assert.h"

/* ---- rounding ---- */

/* top * 2^exponent with `sticky` for anything below its last bit; top has bit 63 set. */
static double round_top(uint64_t top, bool sticky, int exponent, bool negative)
{
    int drop = 11; /* 64 - 53 */
    if (exponent + drop < -1074)
        drop = -1074 - exponent; /* below the normal range fewer bits are kept */
    uint64_t bits = 0;
    if (drop <= 64) {
        uint64_t kept = drop < 64 ? top >> drop : 0;
        uint64_t rest = drop < 64 ? top << (64 - drop) : top;
        const uint64_t half = UINT64_C(1) << 63;
        if (rest > half || (rest == half && (sticky || (kept & 1) != 0)))
            kept++;
        int field = exponent + drop + 1074; /* 0: subnormal or the first normal binade */
        bits = field >= 2046 ? UINT64_C(0x7ff) << 52 : kept + ((uint64_t)field << 52);
        if (bits > UINT64_C(0x7ff) << 52)
            bits = UINT64_C(0x7ff) << 52;
    }
    if (negative)
        bits |= UINT64_C(1) << 63;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Divides in place; gives the remainder. */
static uint64_t divide_words(uint64_t *words, size_t count, uint64_t divisor)
{
    uint64_t rest = 0;
    for (size_t i = count; i-- > 0;) {
        mr_uint128 part = (mr_uint128)rest << 64 | words[i];
        words[i] = (uint64_t)(part / divisor);
        rest = (uint64_t)(part % divisor);
    }
    return rest;
}

#define QUOTIENT_EXTRA                                                                             \
    4 /* zero words below, so that the quotient has bits enough for any divisors */

double mr_exact_quotient(const uint64_t *words, size_t count, int exponent, bool negative,
                         uint64_t d1, uint64_t d2)
{
    uint64_t work[2 * MR_SUPER_WORDS + QUOTIENT_EXTRA] = {0};
    MR_ASSERT(count <= 2 * MR_SUPER_WORDS && d1 > 0 && d2 > 0);
    while (count > 0 && words[count - 1] == 0)
        count--;
    if (count == 0)
        return 0.0;
    memcpy(work + QUOTIENT_EXTRA, words, count * sizeof *words);
    count += QUOTIENT_EXTRA;
    bool sticky = d1 > 1 && divide_words(work, count, d1) != 0;
    sticky = (d2 > 1 && divide_words(work, count, d2) != 0) || sticky;
    while (work[count - 1] == 0)
        count--;
    int lead = __builtin_clzll(work[count - 1]);
    uint64_t top = work[count - 1] << lead;
    if (lead > 0 && count > 1)
        top |= work[count - 2] >> (64 - lead);
    if (count > 1)
        sticky = sticky || (work[count - 2] << lead) != 0;
    for (size_t i = 0; i + 2 < count; i++)
        sticky = sticky || work[i] != 0;
    int shift = 64 * ((int)count - 1 - QUOTIENT_EXTRA) - lead;
    return round_top(top, sticky, exponent + shift, negative);
}

static double power_of_two(int exponent)
{
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* One division: 53 bits over 53 bits, or 62 bits and a sticky one out of 128 over 32. */
double mr_exact_mean(mr_int128 sum, int exponent, uint64_t count)
{
    bool negative = sum < 0;
    mr_uint128 u = negative ? -(mr_uint128)sum : (mr_uint128)sum;
    if (u == 0)
        return 0.0;
    if (count >> 32 != 0 || exponent < -900 || exponent > 700) {
        uint64_t words[2] = {(uint64_t)u, (uint64_t)(u >> 64)};
        return mr_exact_quotient(words, 2, exponent, negative, count, 1);
    }
    if (u >> 53 == 0) {
        double mean = (double)(int64_t)u / (double)(int64_t)count * power_of_two(exponent);
        return negative ? -mean : mean;
    }
    /* As many upper bits of the sum as give the quotient 63 or 64 bits: one machine division. */
    uint64_t high = (uint64_t)(u >> 64), low = (uint64_t)u;
    int lead = high != 0 ? __builtin_clzll(high) : 64 + __builtin_clzll(low);
    mr_uint128 lifted = u << lead;
    int up = 63 - __builtin_clzll(count);
    mr_uint128 dividend = lifted >> (64 - up);
    uint64_t quotient = (uint64_t)(dividend / count), rest = (uint64_t)dividend - quotient * count;
    bool sticky = ((quotient & 1) | rest | (uint64_t)lifted << up) != 0;
    double mean =
        (double)(int64_t)(quotient >> 1 | sticky) * power_of_two(exponent + 65 - lead - up);
    return negative ? -mean : mean;
}

/* ---- 256 bits ---- */

void mr_square_add(mr_square *to, const mr_square *value)
{
    mr_uint128 carry = 0;
    for (int i = 0; i < 4; i++) {
        carry += (mr_uint128)to->words[i] + value->words[i];
        to->words[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

void mr_square_subtract(mr_square *from, const mr_square *value)
{
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        mr_uint128 part = (mr_uint128)from->words[i] - value->words[i] - borrow;
        from->words[i] = (uint64_t)part;
        borrow = (uint64_t)(part >> 64) & 1;
    }
}

mr_square mr_square_of(uint64_t m)
{
    mr_uint128 product = (mr_uint128)m * m;
    return (mr_square){{(uint64_t)product, (uint64_t)(product >> 64), 0, 0}};
}

mr_square mr_square_shift(const mr_square *value, unsigned shift)
{
    mr_square out = {{0}};
    unsigned word = shift / 64, bit = shift % 64;
    for (unsigned i = word; i < 4; i++) {
        out.words[i] = value->words[i - word] << bit;
        if (bit > 0 && i > word)
            out.words[i] |= value->words[i - word - 1] >> (64 - bit);
    }
    return out;
}

int mr_square_bits(const mr_square *value)
{
    for (int i = 3; i >= 0; i--)
        if (value->words[i] != 0)
            return 64 * i + 64 - __builtin_clzll(value->words[i]);
    return 0;
}

/* ---- variance: one exact numerator ---- */

/* out (na + nb words) = a * b. */
static void multiply(const uint64_t *a, size_t na, const uint64_t *b, size_t nb, uint64_t *out)
{
    memset(out, 0, (na + nb) * sizeof *out);
    for (size_t i = 0; i < na; i++) {
        uint64_t carry = 0;
        for (size_t k = 0; k < nb; k++) {
            mr_uint128 part = (mr_uint128)a[i] * b[k] + out[i + k] + carry;
            out[i + k] = (uint64_t)part;
            carry = (uint64_t)(part >> 64);
        }
        out[i + nb] = carry;
    }
}

/* a -= b; a >= b. */
static void subtract(uint64_t *a, size_t na, const uint64_t *b, size_t nb)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < na && (i < nb || borrow != 0); i++) {
        mr_uint128 part = (mr_uint128)a[i] - (i < nb ? b[i] : 0) - borrow;
        a[i] = (uint64_t)part;
        borrow = (uint64_t)(part >> 64) & 1;
    }
}

double mr_exact_variance(mr_int128 sum, const mr_square *squares, int exponent, uint64_t n,
                         uint64_t d)
{
    mr_uint128 u = sum < 0 ? -(mr_uint128)sum : (mr_uint128)sum;
    uint64_t magnitude[2] = {(uint64_t)u, (uint64_t)(u >> 64)}, square[4], numerator[5];
    multiply(squares->words, 4, &n, 1, numerator);
    multiply(magnitude, 2, magnitude, 2, square);
    subtract(numerator, 5, square, 4);
    return mr_exact_quotient(numerator, 5, 2 * exponent, false, n, d);
}

/* ---- 4608 bits ---- */

static void super_carry(mr_super *super, size_t at, bool negative)
{
    for (size_t i = at; i < MR_SUPER_WORDS; i++) {
        uint64_t before = super->words[i];
        super->words[i] = negative ? before - 1 : before + 1;
        if (before != (negative ? 0 : UINT64_MAX))
            return;
    }
}

void mr_super_add(mr_super *super, const uint64_t *magnitude, size_t count, int exponent,
                  bool negative)
{
    unsigned position = (unsigned)(exponent - MR_SUPER_BASE), bit = position % 64;
    size_t word = position / 64;
    uint64_t carry = 0;
    for (size_t i = 0; i <= count; i++) {
        uint64_t part = i < count ? magnitude[i] << bit : 0;
        if (bit > 0 && i > 0)
            part |= magnitude[i - 1] >> (64 - bit);
        if (word + i >= MR_SUPER_WORDS) { /* only the empty top of a 4-word magnitude gets here */
            MR_ASSERT(part == 0);
            return;
        }
        uint64_t *at = &super->words[word + i];
        mr_uint128 sum = negative ? (mr_uint128)*at - part - carry : (mr_uint128)*at + part + carry;
        *at = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64) & 1;
    }
    if (carry != 0)
        super_carry(super, word + count + 1, negative);
}

void mr_super_add_int(mr_super *super, mr_int128 m, int exponent)
{
    mr_uint128 u = m < 0 ? -(mr_uint128)m : (mr_uint128)m;
    uint64_t magnitude[2] = {(uint64_t)u, (uint64_t)(u >> 64)};
    mr_super_add(super, magnitude, 2, exponent, m < 0);
}

/* The absolute value; gives the sign. */
static bool super_magnitude(const mr_super *super, uint64_t *out)
{
    bool negative = super->words[MR_SUPER_WORDS - 1] >> 63 != 0;
    uint64_t carry = negative;
    for (size_t i = 0; i < MR_SUPER_WORDS; i++) {
        uint64_t word = negative ? ~super->words[i] : super->words[i];
        out[i] = word + carry;
        carry = carry != 0 && out[i] == 0;
    }
    return negative;
}

double mr_super_mean(const mr_super *super, uint64_t count)
{
    uint64_t magnitude[MR_SUPER_WORDS];
    bool negative = super_magnitude(super, magnitude);
    return mr_exact_quotient(magnitude, MR_SUPER_WORDS, MR_SUPER_BASE, negative, count, 1);
}

double mr_super_variance(const mr_super *sum, const mr_super *squares, uint64_t n, uint64_t d)
{
    _Static_assert(MR_SUPER_BASE % 64 == 0, "squares are aligned by whole words");
    enum { LIFT = -MR_SUPER_BASE / 64 };
    uint64_t magnitude[MR_SUPER_WORDS], square[2 * MR_SUPER_WORDS];
    uint64_t numerator[2 * MR_SUPER_WORDS] = {0};
    (void)super_magnitude(sum, magnitude);
    multiply(squares->words, MR_SUPER_WORDS, &n, 1, numerator + LIFT);
    multiply(magnitude, MR_SUPER_WORDS, magnitude, MR_SUPER_WORDS, square);
    subtract(numerator, 2 * MR_SUPER_WORDS, square, 2 * MR_SUPER_WORDS);
    return mr_exact_quotient(numerator, 2 * MR_SUPER_WORDS, 2 * MR_SUPER_BASE, false, n, d);
}

void mr_super_span(const mr_super *super, uint32_t *out_first, uint32_t *out_count)
{
    uint64_t sign = super->words[MR_SUPER_WORDS - 1] >> 63 != 0 ? UINT64_MAX : 0;
    uint32_t end = MR_SUPER_WORDS, first = 0;
    while (end > 0 && super->words[end - 1] == sign)
        end--;
    if (end < MR_SUPER_WORDS && (end > 0 || sign != 0))
        end++; /* one word that carries the sign */
    while (first < end && super->words[first] == 0)
        first++;
    *out_first = end > first ? first : 0;
    *out_count = end - first;
}

/* ---- steady functions ---- */

/* 2^f for |f| <= 1/2 as e^(f ln 2): Taylor's series, Horner's order; the rest is below 1e-17. */
double mr_steady_exp2(double x)
{
    if (x < -1080.0)
        return 0.0;
    int whole = (int)(x < 0 ? x - 0.5 : x + 0.5);
    double y = (x - whole) * 0.693147180559945309417, sum = 1.0;
    for (int i = 16; i >= 1; i--)
        sum = 1.0 + sum * y / i;
    int half = whole / 2; /* two steps, so that neither power leaves the range */
    return sum * power_of_two(half) * power_of_two(whole - half);
}

/* log2(m 2^e) = e + 2/ln 2 artanh((m - 1) / (m + 1)), m in [sqrt 1/2, sqrt 2). */
double mr_steady_log2(double x)
{
    int exponent;
    int64_t m = mr_exact_split(x, &exponent);
    int bits = 64 - __builtin_clzll((uint64_t)m);
    double f = (double)m * power_of_two(-bits); /* [1/2, 1) */
    exponent += bits;
    if (f < 0.70710678118654752440) {
        f *= 2.0;
        exponent--;
    }
    double s = (f - 1.0) / (f + 1.0), s2 = s * s, sum = 0.0;
    for (int i = 23; i >= 1; i -= 2)
        sum = sum * s2 + 1.0 / i;
    return exponent + 2.0 * 1.44269504088896340736 * s * sum;
}
