/* decoder_fast.h -- the kernels of the fast paths: they read ahead freely (the window is padded with NULs), take
 * what looks as it mostly does, and return NULL for everything else.
 *
 * Digits are found and converted eight at a time, dates sixteen bytes at a time, all in plain 64-bit words; only
 * the search for the end of a text uses SSE2, with a portable twin. */
#ifndef MR_DATA_DECODER_FAST_H
#define MR_DATA_DECODER_FAST_H

#include "base/number_internal.h"
#include "base/time.h"
#include "data/decoder_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ---- numbers ---- */

/* At most 18 digits with an optional '-'. */
static inline const uint8_t *mr_fast_int64(const uint8_t *p, int64_t *out)
{
    bool negative = *p == '-';
    uint64_t value;
    p += negative;
    unsigned count = mr_number_digits(p, &value);
    if (count == 0 || count > 18)
        return NULL;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return p + count;
}

typedef struct mr_fast_decimal {
    uint64_t digits;
    int64_t power;
    bool negative;
} mr_fast_decimal;

static inline const uint8_t *mr_fast_exponent(const uint8_t *p, int64_t *power)
{
    bool negative = p[1] == '-';
    uint64_t value;
    p += 1 + (p[1] == '-' || p[1] == '+');
    unsigned count = mr_number_digits(p, &value);
    if (count == 0 || count > 6)
        return NULL;
    *power += negative ? -(int64_t)value : (int64_t)value;
    return p + count;
}

/* Digits that count, of a number whose `count` digits start at p with a point after the first `whole`: leading
 * zeros are none. */
static inline unsigned mr_fast_significant(const uint8_t *p, unsigned whole, unsigned count)
{
    unsigned zeros = 0;
    while (zeros < count && p[zeros + (zeros >= whole)] == '0')
        zeros++;
    return count - zeros;
}

/* -?digits[.digits][e[+-]digits] with at most 19 digits that count before the exponent. */
static inline const uint8_t *mr_fast_number(const uint8_t *p, mr_fast_decimal *out)
{
    out->negative = *p == '-';
    p += out->negative;
    out->power = 0;
    unsigned whole = mr_number_digits(p, &out->digits), behind = 0;
    const uint8_t *start = p;
    p += whole;
    if (whole == 0)
        return NULL;
    if (*p == '.') {
        behind = mr_number_more_digits(p + 1, &out->digits);
        p += 1 + behind;
        out->power = -(int64_t)behind;
        if (behind == 0)
            return NULL;
    }
    if (MR_UNLIKELY(whole + behind > 19) &&
        (whole > 19 || behind >= 24 || mr_fast_significant(start, whole, whole + behind) > 19))
        return NULL;
    return (*p | 0x20) == 'e' ? mr_fast_exponent(p, &out->power) : p;
}

/* Below 2^53 and with a power of ten that is exact, one division or product rounds correctly (Clinger). */
static inline const uint8_t *mr_fast_float64(const uint8_t *p, double *out)
{
    mr_fast_decimal number;
    p = mr_fast_number(p, &number);
    if (p == NULL)
        return NULL;
    double value;
    if (number.digits <= (uint64_t)1 << 53 && number.power <= 22 && number.power >= -22) {
        value = (double)(int64_t)number.digits;
        value = number.power < 0 ? value / mr_number_pow10_f64[-number.power]
                                 : value * mr_number_pow10_f64[number.power];
    } else {
        value = mr_number_scale_float64(number.digits, number.power);
        if (value > 1.7976931348623157e308)
            return NULL;
    }
    *out = number.negative ? -value : value;
    return p;
}

static inline const uint8_t *mr_fast_float32(const uint8_t *p, float *out)
{
    static const float powers[11] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f,
                                     1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
    mr_fast_decimal number;
    p = mr_fast_number(p, &number);
    if (p == NULL)
        return NULL;
    float value;
    if (number.digits <= (uint64_t)1 << 24 && number.power <= 0 && number.power >= -10) {
        value = (float)(int32_t)number.digits / powers[-number.power];
    } else {
        value = mr_number_scale_float32(number.digits, number.power);
        if (value > 3.40282347e38f)
            return NULL;
    }
    *out = number.negative ? -value : value;
    return p;
}

/* JSON allows no leading zeros. */
static inline bool mr_fast_leads_with_zero(const uint8_t *p)
{
    p += *p == '-';
    return p[0] == '0' && p[1] >= '0' && p[1] <= '9';
}

/* [1,2.5, 3] of exactly `width` numbers, one blank at most behind each comma. */
static inline const uint8_t *mr_fast_vector(const uint8_t *p, float *out, uint32_t width)
{
    if (*p != '[')
        return NULL;
    for (uint32_t i = 0; i < width; i++) {
        p++; /* the bracket or a comma */
        p += i > 0 && *p == ' ';
        if (mr_fast_leads_with_zero(p) || (p = mr_fast_float32(p, &out[i])) == NULL ||
            *p != (i + 1 < width ? ',' : ']'))
            return NULL;
    }
    return p + 1;
}

/* ---- times ---- */

/* Two decimal digits per byte pair: byte i of the result is 10 * byte i + byte i + 1. */
static inline uint64_t mr_fast_pairs(uint64_t zeroed)
{
    return zeroed * 10 + (zeroed >> 8);
}

/* The eight bytes look like `shape`, where '0' stands for any digit; given as text ^ shape. */
static inline bool mr_fast_shaped(uint64_t zeroed, uint64_t add, uint64_t mask)
{
    return (((zeroed + add) | zeroed) & mask) == 0;
}

static inline int64_t mr_fast_days(unsigned year, unsigned month, unsigned day)
{
    static const uint16_t before[2][16] = {
        {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 0, 0, 0},
        {0, 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 0, 0, 0}};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    unsigned past = year - 1;
    return (int64_t)(past * 365 + past / 4 - past / 100 + past / 400 + before[leap][month & 15] +
                     day) -
           719163;
}

static inline const uint8_t *mr_fast_fraction(const uint8_t *p, int64_t *us)
{
    uint64_t value;
    unsigned count = mr_number_digits(p, &value);
    if (count == 0 || count > 6)
        return NULL;
    *us += (int64_t)(value * mr_number_pow10_u64[6 - count]);
    return p + count;
}

/* "YYYY-MM-DDThh:mm:ss[.ffffff]" and 'Z', or nothing where no zone is wanted. */
static inline const uint8_t *mr_fast_time(const uint8_t *p, bool zone_required, int64_t *out)
{
    /* Read from the low byte: "0000-00-" and "00T00:00". */
    uint64_t a = mr_number_load8(p) ^ 0x2d30302d30303030u,
             b = mr_number_load8(p + 8) ^ 0x30303a3030543030u;
    uint64_t seconds = mr_number_load8(p + 16) ^ 0x303030303030303au;
    if (!mr_fast_shaped(a, 0x0006060006060606u, 0xfff0f0fff0f0f0f0u) ||
        !mr_fast_shaped(b, 0x0606000606000606u, 0xf0f0fff0f0fff0f0u) ||
        !mr_fast_shaped(seconds, 0x060600u, 0xf0f0ffu))
        return NULL;
    uint64_t ap = mr_fast_pairs(a), bp = mr_fast_pairs(b);
    unsigned year = (unsigned)(ap & 0xff) * 100 + (unsigned)(ap >> 16 & 0xff),
             month = (unsigned)(ap >> 40 & 0xff);
    unsigned day = (unsigned)(bp & 0xff), hour = (unsigned)(bp >> 24 & 0xff),
             minute = (unsigned)(bp >> 48 & 0xff);
    unsigned second = (unsigned)(seconds >> 8 & 0xf) * 10 + (unsigned)(seconds >> 16 & 0xf);
    if (year == 0 || month - 1 > 11 || hour > 23 || minute > 59 || second > 59 || day == 0 ||
        (day > 28 && day > (unsigned)mr_time_days_in_month(year, (int32_t)month)))
        return NULL;
    int64_t us =
        (mr_fast_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * 1000000;
    p += 19;
    if (*p == '.' && (p = mr_fast_fraction(p + 1, &us)) == NULL)
        return NULL;
    *out = us;
    if (*p == 'Z')
        return p + 1;
    return zone_required || *p == '+' || *p == '-' || *p == 'z' ? NULL : p;
}

/* A whole number of the field's unit. */
static inline const uint8_t *mr_fast_epoch(const mr_sink *sink, const uint8_t *p, int64_t *out)
{
    static const int64_t factors[] = {
        [MR_TIME_ISO] = 1, [MR_TIME_S] = 1000000, [MR_TIME_MS] = 1000, [MR_TIME_US] = 1};
    int64_t number, factor = factors[sink->unit];
    p = mr_fast_int64(p, &number);
    if (p == NULL || number < MR_TIME_MIN_US / factor || number > MR_TIME_MAX_US / factor)
        return NULL;
    *out = number * factor;
    return p;
}

/* A whole number of the unit, if the field has one, or a time. */
static inline const uint8_t *mr_fast_instant(const mr_sink *sink, const uint8_t *p,
                                             bool zone_required, int64_t *out)
{
    const uint8_t *behind = sink->unit != MR_TIME_ISO ? mr_fast_epoch(sink, p, out) : NULL;
    return behind != NULL && *behind != '-' ? behind : mr_fast_time(p, zone_required, out);
}

/* ---- texts ---- */

#define MR_FAST_STEP 16

typedef struct mr_fast_stop {
    unsigned stops; /* bit i: byte i ends the run */
    unsigned high;  /* bit i: byte i is not ASCII */
} mr_fast_stop;

/* JSON: quote, backslash, control characters. */
static inline mr_fast_stop mr_fast_json_stops(const uint8_t *p)
{
#ifdef __SSE2__
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p), limit = _mm_set1_epi8(0x1f);
    __m128i stops = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
                                              _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))),
                                 _mm_cmpeq_epi8(_mm_min_epu8(block, limit), block));
    return (mr_fast_stop){(unsigned)_mm_movemask_epi8(stops), (unsigned)_mm_movemask_epi8(block)};
#else
    mr_fast_stop out = {0, 0};
    for (unsigned i = 0; i < MR_FAST_STEP; i++) {
        out.stops |= (unsigned)(p[i] == '"' || p[i] == '\\' || p[i] < 0x20) << i;
        out.high |= (unsigned)(p[i] >> 7) << i;
    }
    return out;
#endif
}

/* CSV: delimiter, quote, LF, CR, NUL. */
static inline mr_fast_stop mr_fast_csv_stops(const uint8_t *p, uint8_t delimiter)
{
#ifdef __SSE2__
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('\n')),
                                _mm_cmpeq_epi8(block, _mm_set1_epi8('\r')));
    __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8((char)delimiter)),
                                 _mm_cmpeq_epi8(block, _mm_set1_epi8('"')));
    __m128i stops =
        _mm_or_si128(_mm_or_si128(ends, marks), _mm_cmpeq_epi8(block, _mm_setzero_si128()));
    return (mr_fast_stop){(unsigned)_mm_movemask_epi8(stops), (unsigned)_mm_movemask_epi8(block)};
#else
    mr_fast_stop out = {0, 0};
    for (unsigned i = 0; i < MR_FAST_STEP; i++) {
        out.stops |= (unsigned)(p[i] == delimiter || p[i] == '"' || p[i] == '\n' || p[i] == '\r' ||
                                p[i] == 0)
                     << i;
        out.high |= (unsigned)(p[i] >> 7) << i;
    }
    return out;
#endif
}

static inline void mr_fast_copy16(uint8_t *to, const uint8_t *from)
{
    memcpy(to, from, MR_FAST_STEP);
}

#endif
