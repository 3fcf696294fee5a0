/* number_parse.c -- text to numbers (see number.h).
 *
 * (1) At most 19 significant digits fit in 64 bits exactly; with those the 128-bit product decides
 * every case (Mushtak, Lemire, "Fast number parsing without fallback", 2023). (2) Of longer texts
 * the first 19 digits w are taken: if w and w + 1 round to the same float so does the text between
 * them; else strtod sees up to 800 digits and a last one that stands for the rest (767 decide). */
#include "base/number_internal.h"

#include "base/assert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGITS_EXACT   19
#define DIGITS_DECIDE  800
#define EXPONENT_BOUND 1000000 /* beyond it every float is 0 or infinite, whatever the digits */

const uint64_t mr_number_pow10_u64[20] = {1u,
                                          10u,
                                          100u,
                                          1000u,
                                          10000u,
                                          100000u,
                                          1000000u,
                                          10000000u,
                                          100000000u,
                                          1000000000u,
                                          10000000000u,
                                          100000000000u,
                                          1000000000000u,
                                          10000000000000u,
                                          100000000000000u,
                                          1000000000000000u,
                                          10000000000000000u,
                                          100000000000000000u,
                                          1000000000000000000u,
                                          10000000000000000000u};

const double mr_number_pow10_f64[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                        1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- integers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static mr_number_result answer(mr_number_result result, size_t used, size_t *out_used)
{
    if (out_used != NULL)
        *out_used = used;
    return result;
}

mr_number_result mr_number_parse_int64(const char *text, size_t size, int64_t *out,
                                       size_t *out_used)
{
    size_t at = size > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    bool negative = at > 0 && text[0] == '-';
    size_t first = at;
    uint64_t value = 0;
    bool overflow = false;
    for (; at < size && is_digit(text[at]); at++) {
        uint64_t digit = (uint64_t)(text[at] - '0');
        overflow |= __builtin_mul_overflow(value, (uint64_t)10, &value);
        overflow |= __builtin_add_overflow(value, digit, &value);
    }
    if (at == first)
        return answer(MR_NUMBER_NONE, at, out_used);
    if (overflow || value > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return answer(MR_NUMBER_OVERFLOW, at, out_used);
    *out = (int64_t)(negative ? 0 - value : value);
    return answer(MR_NUMBER_OK, at, out_used);
}

bool mr_number_is_int64(const char *text, size_t size, int64_t *out)
{
    size_t used;
    return mr_number_parse_int64(text, size, out, &used) == MR_NUMBER_OK && used == size;
}

/* ---- Eisel-Lemire ---- */

/* What differs between the widths. */
typedef struct float_shape {
    int mantissa_bits; /* stored ones */
    int exponent_bias;
    int exponent_infinite;
    int power_min, power_max; /* below: zero whatever 64-bit digits; above: infinite */
    int even_min, even_max;   /* powers at which 64-bit digits can lie exactly between two floats */
} float_shape;

static const float_shape shape64 = {52, 1023, 0x7ff, -342, 308, -4, 23};
static const float_shape shape32 = {23, 127, 0xff, -65, 38, -17, 10};

typedef struct product {
    uint64_t high, low;
} product;

static product multiply(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 both = (unsigned __int128)a * b;
    return (product){(uint64_t)(both >> 64), (uint64_t)both};
}

/* The leading 128 bits of digits * 10^power; the low half of the table is used only where it
 * matters. */
static product approximate(uint64_t digits, int power, int precision_bits)
{
    const uint64_t *row = mr_number_powers[power - MR_NUMBER_POWER_MIN];
    uint64_t high = row[0], low = row[1];
    if (power < 0 && power >= -27) { /* the reciprocals of exact powers are rounded up */
        low++;
        high += low == 0;
    }
    product first = multiply(digits, high);
    uint64_t mask = UINT64_MAX >> precision_bits;
    if ((first.high & mask) == mask) {
        product second = multiply(digits, low);
        first.low += second.high;
        first.high += second.high > first.low;
    }
    return first;
}

static uint64_t round_subnormal(uint64_t mantissa, int exponent)
{
    if (-exponent + 1 >= 64)
        return 0;
    mantissa >>= -exponent + 1;
    mantissa += mantissa & 1;
    return mantissa >>
           1; /* a carry into the exponent field makes the smallest normal number: right */
}

/* The bits of the nearest float, without a sign. */
static uint64_t scale_bits(uint64_t digits, int64_t power, const float_shape *shape)
{
    uint64_t infinite = (uint64_t)shape->exponent_infinite << shape->mantissa_bits;
    if (digits == 0 || power < shape->power_min)
        return 0;
    if (power > shape->power_max)
        return infinite;
    int q = (int)power, leading = __builtin_clzll(digits), bits = shape->mantissa_bits;
    product p = approximate(digits << leading, q, bits + 3);
    int upper = (int)(p.high >> 63), shift = upper + 64 - bits - 3;
    uint64_t mantissa = p.high >> shift;
    int exponent = ((217706 * q) >> 16) + 63 + upper - leading + shape->exponent_bias;
    if (exponent <= 0)
        return round_subnormal(mantissa, exponent);
    if (p.low <= 1 && q >= shape->even_min && q <= shape->even_max && (mantissa & 3) == 1 &&
        mantissa << shift == p.high)
        mantissa &= ~(uint64_t)1; /* exactly between: to even */
    mantissa += mantissa & 1;
    mantissa >>= 1;
    if (mantissa >= (uint64_t)2 << bits) {
        mantissa = (uint64_t)1 << bits;
        exponent++;
    }
    if (exponent >= shape->exponent_infinite)
        return infinite;
    return (mantissa & (((uint64_t)1 << bits) - 1)) | (uint64_t)exponent << bits;
}

double mr_number_scale_float64(uint64_t digits, int64_t power)
{
    uint64_t bits = scale_bits(digits, power, &shape64);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float mr_number_scale_float32(uint64_t digits, int64_t power)
{
    uint32_t bits = (uint32_t)scale_bits(digits, power, &shape32);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- floats from text ---- */

/* A decimal number taken apart; value = digits * 10^power, more digits behind if `truncated`. */
typedef struct decimal {
    const char *text; /* first digit or point */
    size_t mantissa_size;
    uint64_t digits;
    int64_t power;
    int64_t exponent; /* as written behind the 'e' */
    bool negative;
    bool truncated;
} decimal;

/* Digits and the point. Returns false when there is no digit; *at moves behind them. */
static bool scan_mantissa(const char *text, size_t size, size_t *at, decimal *out)
{
    unsigned significant = 0;
    bool any = false, point = false;
    out->text = text + *at;
    size_t start = *at;
    for (; *at < size; (*at)++) {
        char c = text[*at];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(c))
            break;
        any = true;
        if (significant < DIGITS_EXACT) {
            out->digits = out->digits * 10 + (uint64_t)(c - '0');
            significant += out->digits != 0;
            out->power -= point;
        } else {
            out->truncated |= c != '0';
            out->power += !point;
        }
    }
    out->mantissa_size = *at - start;
    return any;
}

/* An optional exponent; false when it breaks off. */
static bool scan_exponent(const char *text, size_t size, size_t *at, decimal *out)
{
    if (*at >= size || (text[*at] != 'e' && text[*at] != 'E'))
        return true;
    (*at)++;
    bool negative = *at < size && text[*at] == '-';
    if (*at < size && (text[*at] == '-' || text[*at] == '+'))
        (*at)++;
    size_t first = *at;
    int64_t value = 0;
    for (; *at < size && is_digit(text[*at]); (*at)++)
        value = MR_MIN(value * 10 + (text[*at] - '0'), INT64_MAX / 100);
    out->exponent = negative ? -value : value;
    return *at > first;
}

static bool scan_decimal(const char *text, size_t size, decimal *out, size_t *at)
{
    *out = (decimal){0};
    *at = size > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    out->negative = *at > 0 && text[0] == '-';
    return scan_mantissa(text, size, at, out) && scan_exponent(text, size, at, out);
}

/* The number as "digits e power" without a point, so that no locale matters; long tails become one
 * digit. */
static void write_plain(const decimal *number, char *out, size_t out_size)
{
    size_t used = 0;
    int64_t power = number->exponent;
    bool point = false, rest = false;
    for (size_t i = 0; i < number->mantissa_size; i++) {
        char c = number->text[i];
        if (c == '.') {
            point = true;
        } else if (used < DIGITS_DECIDE) {
            used += used > 0 || c != '0';
            if (used > 0)
                out[used - 1] = c;
            power -= point;
        } else {
            rest |= c != '0';
            power += !point;
        }
    }
    if (rest) {
        out[used++] = '1';
        power--;
    }
    power = MR_MAX(MR_MIN(power, EXPONENT_BOUND), -EXPONENT_BOUND);
    (void)snprintf(out + used, out_size - used, "e%lld", (long long)power);
}

static double slow_float64(const decimal *number)
{
    char plain[DIGITS_DECIDE + 32];
    write_plain(number, plain, sizeof plain);
    return strtod(plain, NULL);
}

static float slow_float32(const decimal *number)
{
    char plain[DIGITS_DECIDE + 32];
    write_plain(number, plain, sizeof plain);
    return strtof(plain, NULL);
}

static double value_float64(const decimal *number)
{
    int64_t power = number->power + number->exponent;
    double value = mr_number_scale_float64(number->digits, power);
    if (number->truncated) {
        double above = mr_number_scale_float64(number->digits + 1, power);
        if (memcmp(&value, &above, sizeof value) != 0)
            value = slow_float64(number);
    }
    return number->negative ? -value : value;
}

static float value_float32(const decimal *number)
{
    int64_t power = number->power + number->exponent;
    float value = mr_number_scale_float32(number->digits, power);
    if (number->truncated) {
        float above = mr_number_scale_float32(number->digits + 1, power);
        if (memcmp(&value, &above, sizeof value) != 0)
            value = slow_float32(number);
    }
    return number->negative ? -value : value;
}

mr_number_result mr_number_parse_float64(const char *text, size_t size, double *out,
                                         size_t *out_used)
{
    decimal number;
    size_t at;
    if (!scan_decimal(text, size, &number, &at))
        return answer(MR_NUMBER_NONE, at, out_used);
    double value = value_float64(&number);
    if (isinf(value))
        return answer(MR_NUMBER_OVERFLOW, at, out_used);
    *out = value;
    return answer(MR_NUMBER_OK, at, out_used);
}

mr_number_result mr_number_parse_float32(const char *text, size_t size, float *out,
                                         size_t *out_used)
{
    decimal number;
    size_t at;
    if (!scan_decimal(text, size, &number, &at))
        return answer(MR_NUMBER_NONE, at, out_used);
    float value = value_float32(&number);
    if (isinf(value))
        return answer(MR_NUMBER_OVERFLOW, at, out_used);
    *out = value;
    return answer(MR_NUMBER_OK, at, out_used);
}

bool mr_number_is_float64(const char *text, size_t size, double *out)
{
    size_t used;
    return mr_number_parse_float64(text, size, out, &used) == MR_NUMBER_OK && used == size;
}
