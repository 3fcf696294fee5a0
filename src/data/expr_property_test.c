/* expr_property_test.c -- random typed expressions over random batches give what a slow evaluator gives.
 *
 * The evaluator below walks a tree row by row with C's own arithmetic, 128-bit integers and gmtime;
 * it shares the base floor's number and time formats with the language, nothing else. One table row
 * per form:
 *
 *   format         the text, @ for each argument
 *   result, args   b bool, i integer, f float, t timestamp, s string, a any one of them
 *   rule           when it is NULL */
#include "test/test.h"

#include "base/hash.h"
#include "base/number.h"
#include "base/time.h"
#include "data/expr_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARGS_MAX  5
#define DEPTH_MAX 5

__extension__ typedef __int128 wide_int;

typedef struct val {
    bool null;
    bool b;
    int64_t i; /* integers and timestamps */
    double f;
    const char *s;
    size_t size;
} val;

/* ---- the slow evaluator's memory for texts: one row's worth ---- */

static char pool[1 << 20];
static size_t pool_used;

static char *room(size_t size)
{
    char *at = pool + pool_used;
    assert_true(pool_used + size <= sizeof pool);
    pool_used += size;
    return at;
}

/* ---- what each form means, for arguments that are not NULL unless its rule says so ---- */

typedef void (*meaning)(const val *a, val *r);
#define MEANING(name, ...)                                                                         \
    static void name(const val *a, val *r)                                                         \
    {                                                                                              \
        (void)a;                                                                                   \
        __VA_ARGS__;                                                                               \
    }

static void wide(wide_int value, val *r)
{
    r->null = value > INT64_MAX || value < INT64_MIN;
    r->i = r->null ? 0 : (int64_t)value;
}

MEANING(add_i, wide((wide_int)a[0].i + a[1].i, r))
MEANING(sub_i, wide((wide_int)a[0].i - a[1].i, r))
MEANING(mul_i, wide((wide_int)a[0].i *a[1].i, r))
MEANING(div_i, if (a[1].i == 0) r->null = true; else wide((wide_int)a[0].i / a[1].i, r))
MEANING(mod_i, if (a[1].i == 0) r->null = true; else wide((wide_int)a[0].i % a[1].i, r))
MEANING(neg_i, wide(-(wide_int)a[0].i, r))
MEANING(abs_i, wide(a[0].i < 0 ? -(wide_int)a[0].i : a[0].i, r))
MEANING(sign_i, r->i = a[0].i > 0 ? 1 : a[0].i < 0 ? -1 : 0)
MEANING(same_i, r->i = a[0].i)
MEANING(add_f, r->f = a[0].f + a[1].f)
MEANING(add_if, r->f = (double)a[0].i + a[1].f)
MEANING(sub_f, r->f = a[0].f - a[1].f)
MEANING(mul_f, r->f = a[0].f * a[1].f)
MEANING(div_f, r->f = a[0].f / a[1].f)
MEANING(div_ii, r->f = (double)a[0].i / (double)a[1].i)
MEANING(mod_f, r->f = fmod(a[0].f, a[1].f))
MEANING(pow_f, r->f = pow(a[0].f, a[1].f))
MEANING(neg_f, r->f = -a[0].f)
MEANING(abs_f, r->f = fabs(a[0].f))
MEANING(sign_f, r->f = a[0].f > 0 ? 1 : a[0].f < 0 ? -1 : 0)
MEANING(floor_f, r->f = floor(a[0].f))
MEANING(ceil_f, r->f = ceil(a[0].f))
MEANING(trunc_f, r->f = trunc(a[0].f))
MEANING(round_f, r->f = round(a[0].f))
MEANING(round_2, r->f = isinf(a[0].f * 100) ? a[0].f : round(a[0].f * 100) / 100)
MEANING(sqrt_f, r->f = sqrt(a[0].f))
MEANING(ln_f, r->f = log(a[0].f))
MEANING(exp_f, r->f = exp(a[0].f))

MEANING(and_b, if ((!a[0].null && !a[0].b) || (!a[1].null && !a[1].b)) r->b = false;
        else if (a[0].null || a[1].null) r->null = true; else r->b = true)
MEANING(or_b, if ((!a[0].null && a[0].b) || (!a[1].null && a[1].b)) r->b = true;
        else if (a[0].null || a[1].null) r->null = true; else r->b = false)
MEANING(not_b, r->b = !a[0].b)
MEANING(is_null, r->b = a[0].null)
MEANING(is_not_null, r->b = !a[0].null)

static int order_s(const val *a, const val *b)
{
    for (size_t i = 0; i < a->size && i < b->size; i++)
        if (a->s[i] != b->s[i])
            return (uint8_t)a->s[i] < (uint8_t)b->s[i] ? -1 : 1;
    return a->size < b->size ? -1 : a->size > b->size;
}

#define ORDERS(letter, x, y)                                                                       \
    MEANING(eq_##letter, r->b = (x) == (y))                                                        \
    MEANING(ne_##letter, r->b = (x) != (y))                                                        \
    MEANING(lt_##letter, r->b = (x) < (y))                                                         \
    MEANING(le_##letter, r->b = (x) <= (y))                                                        \
    MEANING(gt_##letter, r->b = (x) > (y))                                                         \
    MEANING(ge_##letter, r->b = (x) >= (y))

ORDERS(b, a[0].b, a[1].b)
ORDERS(i, a[0].i, a[1].i)
ORDERS(f, a[0].f, a[1].f)
ORDERS(s, order_s(&a[0], &a[1]), 0)
MEANING(lt_if, r->b = (double)a[0].i < a[1].f)
MEANING(eq_if, r->b = (double)a[0].i == a[1].f)

/* x between y and z is x >= y and x <= z, NULLs as in `and`. */
MEANING(between_i, val low = {.null = a[0].null || a[1].null, .b = a[0].i >= a[1].i};
        val high = {.null = a[0].null || a[2].null, .b = a[0].i <= a[2].i};
        val both[2] = {low, high}; and_b(both, r))
MEANING(not_between_f, val low = {.null = a[0].null || a[1].null, .b = a[0].f >= a[1].f};
        val high = {.null = a[0].null || a[2].null, .b = a[0].f <= a[2].f};
        val both[2] = {low, high}; and_b(both, r); r->b = !r->b && !r->null)

static void in_list(const val *a, size_t count, bool (*same)(const val *, const val *), val *r)
{
    bool unknown = a[0].null, found = false;
    for (size_t k = 1; k < count; k++) {
        unknown |= a[k].null;
        found |= !a[0].null && !a[k].null && same(&a[0], &a[k]);
    }
    r->b = found;
    r->null = !found && unknown;
}

static bool same_int(const val *a, const val *b)
{
    return a->i == b->i;
}

static bool same_text(const val *a, const val *b)
{
    return order_s(a, b) == 0;
}

static bool same_real(const val *a, const val *b)
{
    return a->f == b->f;
}

MEANING(in_i, in_list(a, 4, same_int, r))
MEANING(in_f, in_list(a, 3, same_real, r))
MEANING(in_s, in_list(a, 3, same_text, r))
MEANING(in_many, r->b = (a[0].i >= -4 && a[0].i <= 7))
MEANING(not_in_i, in_list(a, 3, same_int, r); r->b = !r->b && !r->null)

MEANING(case_1, *r = !a[0].null && a[0].b ? a[1] : a[2])
MEANING(case_none, if (!a[0].null && a[0].b) *r = a[1]; else r->null = true)
MEANING(case_2, *r = !a[0].null && a[0].b ? a[1] : !a[2].null && a[2].b ? a[3] : a[4])
MEANING(case_of, *r = !a[0].null && !a[1].null && a[0].i == a[1].i ? a[2] : a[3])
MEANING(coalesce_3, *r = !a[0].null ? a[0] : !a[1].null ? a[1] : a[2])
MEANING(
    coalesce_if, *r = a[1]; if (!a[0].null) {
        r->null = false;
        r->f = (double)a[0].i;
    })

static int order_any(const val *a, const val *b)
{
    if (a->s != NULL && b->s != NULL)
        return order_s(a, b);
    if (a->i != b->i)
        return a->i < b->i ? -1 : 1;
    if (a->f != b->f)
        return a->f < b->f ? -1 : 1;
    return (int)a->b - (int)b->b;
}

static void extreme(const val *a, size_t count, int sign, val *r)
{
    *r = a[0];
    for (size_t i = 1; i < count; i++)
        if (!a[i].null && (r->null || order_any(&a[i], r) * sign > 0))
            *r = a[i];
}

MEANING(least_3, extreme(a, 3, -1, r))
MEANING(greatest_2, extreme(a, 2, 1, r))

static struct tm calendar(int64_t us)
{
    struct tm tm;
    int64_t seconds = us / 1000000 - (us % 1000000 < 0);
    assert_non_null(gmtime_r(&seconds, &tm));
    return tm;
}

static void back_to_us(struct tm tm, val *r)
{
    wide_int us = (wide_int)timegm(&tm) * 1000000;
    r->i = us < INT64_MIN ? INT64_MIN : (int64_t)us;
}

MEANING(second_t, r->i = calendar(a[0].i).tm_sec)
MEANING(minute_t, r->i = calendar(a[0].i).tm_min)
MEANING(hour_t, r->i = calendar(a[0].i).tm_hour)
MEANING(weekday_t, r->i = (calendar(a[0].i).tm_wday + 6) % 7 + 1)
MEANING(day_t, r->i = calendar(a[0].i).tm_mday)
MEANING(month_t, r->i = calendar(a[0].i).tm_mon + 1)
MEANING(year_t, r->i = (int64_t)calendar(a[0].i).tm_year + 1900)
MEANING(trunc_hour, struct tm tm = calendar(a[0].i); tm.tm_min = tm.tm_sec = 0; back_to_us(tm, r))
MEANING(trunc_month, struct tm tm = calendar(a[0].i); tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        tm.tm_mday = 1; back_to_us(tm, r))

static void text_of(const char *from, size_t size, val *r)
{
    char *copy = room(size + 1);
    if (size > 0)
        memcpy(copy, from, size);
    r->s = copy;
    r->size = size;
}

static void change_case(const val *a, char first, val *r)
{
    text_of(a->s, a->size, r);
    for (size_t i = 0; i < r->size; i++)
        if (r->s[i] >= first && r->s[i] < first + 26)
            ((char *)(uintptr_t)r->s)[i] ^= 32;
}

static void cut(const val *a, int64_t from, wide_int end, val *r)
{
    int64_t place = 0;
    char *to = room(a->size + 1);
    r->s = to;
    for (size_t i = 0; i < a->size; i++) {
        place += ((uint8_t)a->s[i] & 0xc0) != 0x80;
        if (place >= from && place < end)
            *to++ = a->s[i];
    }
    r->size = (size_t)(to - r->s);
}

MEANING(lower_s, change_case(a, 'A', r))
MEANING(upper_s, change_case(a, 'a', r))
MEANING(length_s,
        for (size_t k = 0; k < a[0].size; k++) r->i += ((uint8_t)a[0].s[k] & 0xc0) != 0x80)
MEANING(substr_2, cut(a, a[1].i, (wide_int)1 << 70, r))
MEANING(substr_3, cut(a, a[1].i, (wide_int)a[1].i + a[2].i, r); r->null = a[2].i < 0)
MEANING(concat_2, char *to = room(a[0].size + a[1].size + 1); r->s = to;
        if (a[0].size > 0) memcpy(to, a[0].s, a[0].size);
        if (a[1].size > 0) memcpy(to + a[0].size, a[1].s, a[1].size);
        r->size = a[0].size + a[1].size; r->null = r->size > MR_EXPR_TEXT_BYTES_MAX)
MEANING(starts_s, r->b = a[1].size <= a[0].size && memcmp(a[0].s, a[1].s, a[1].size) == 0)
MEANING(matches_a, r->b = a[0].size > 0 && memchr(a[0].s, 'a', a[0].size) != NULL)
MEANING(matches_end, r->b = a[0].size > 0 && a[0].s[a[0].size - 1] == 'B')

MEANING(hash_i, r->i = (int64_t)mr_hash64(&a[0].i, 8))
MEANING(hash_s, r->i = (int64_t)mr_hash64(a[0].size > 0 ? a[0].s : "", a[0].size))
MEANING(hash_f, double f = a[0].f == 0 ? 0.0 : a[0].f; r->i = (int64_t)mr_hash64(&f, 8))
MEANING(hash_is, val h[2] = {{0}, {0}}; int64_t both[2]; hash_i(a, &h[0]); hash_s(a + 1, &h[1]);
        both[0] = h[0].i; both[1] = h[1].i; r->i = (int64_t)mr_hash64(both, 16))
MEANING(bucket_i, hash_i(a, r); if (a[1].i < 1) r->null = true;
        else r->i = (int64_t)((uint64_t)r->i % (uint64_t)a[1].i))

MEANING(f_to_i,
        if (!(a[0].f >= -9223372036854775808.0 && a[0].f < 9223372036854775808.0)) r->null = true;
        else r->i = (int64_t)a[0].f)
MEANING(f_to_i4, double f = trunc(a[0].f); if (!(f >= INT32_MIN && f <= INT32_MAX)) r->null = true;
        else r->i = (int64_t)f)
MEANING(i_to_i4, r->i = a[0].i; r->null = a[0].i > INT32_MAX || a[0].i < INT32_MIN)
MEANING(i_to_f, r->f = (double)a[0].i)
MEANING(i_to_f4, r->f = (double)(float)a[0].i)
MEANING(f_to_f4, r->f = (double)(float)a[0].f)
MEANING(b_to_i, r->i = a[0].b)
MEANING(b_to_f, r->f = a[0].b ? 1 : 0)
MEANING(i_to_b, r->b = a[0].i != 0)
MEANING(b_to_s, text_of(a[0].b ? "true" : "false", a[0].b ? 4 : 5, r))
MEANING(i_to_s, char text[32]; int n = snprintf(text, sizeof text, "%lld", (long long)a[0].i);
        text_of(text, (size_t)n, r))
MEANING(f_to_s, char text[MR_NUMBER_TEXT_MAX]; size_t n = mr_number_format_float64(a[0].f, text);
        text_of(text, n, r))
MEANING(t_to_s, char text[MR_TIME_TEXT_MAX]; size_t n = mr_time_format(a[0].i, text);
        text_of(text, n, r))
MEANING(s_to_i, r->null = a[0].size == 0 || !mr_number_is_int64(a[0].s, a[0].size, &r->i))
MEANING(s_to_f, r->null = a[0].size == 0 || !mr_number_is_float64(a[0].s, a[0].size, &r->f))
MEANING(s_to_b, char t[8] = ""; if (a[0].size < 8 && a[0].size > 0) memcpy(t, a[0].s, a[0].size);
        r->b = strcasecmp(t, "true") == 0 || strcmp(t, "1") == 0;
        r->null = !r->b && strcasecmp(t, "false") != 0 && strcmp(t, "0") != 0)

/* ---- the forms ---- */

typedef enum rule { STRICT, OWN } rule; /* STRICT: NULL when an argument is */

typedef struct form {
    const char *format;
    char result;
    const char *args;
    rule rule;
    meaning mean;
    int type; /* of the result when its letter does not say; -1: by the letter */
} form;

#define SIX(letter)                                                                                \
    {"(@ = @)", 'b', #letter #letter, STRICT, eq_##letter, -1},                                    \
        {"(@ <> @)", 'b', #letter #letter, STRICT, ne_##letter, -1},                               \
        {"(@ < @)", 'b', #letter #letter, STRICT, lt_##letter, -1},                                \
        {"(@ <= @)", 'b', #letter #letter, STRICT, le_##letter, -1},                               \
        {"(@ > @)", 'b', #letter #letter, STRICT, gt_##letter, -1},                                \
    {                                                                                              \
        "(@ >= @)", 'b', #letter #letter, STRICT, ge_##letter, -1                                  \
    }

static const form forms[] = {
    SIX(b),
    SIX(i),
    SIX(f),
    SIX(s),
    {"(@ < @)", 'b', "tt", STRICT, lt_i, -1},
    {"(@ >= @)", 'b', "tt", STRICT, ge_i, -1},
    {"(@ < @)", 'b', "if", STRICT, lt_if, -1},
    {"(@ = @)", 'b', "if", STRICT, eq_if, -1},
    {"(@ and @)", 'b', "bb", OWN, and_b, -1},
    {"(@ or @)", 'b', "bb", OWN, or_b, -1},
    {"(not @)", 'b', "b", STRICT, not_b, -1},
    {"(@ is null)", 'b', "a", OWN, is_null, -1},
    {"(@ is not null)", 'b', "a", OWN, is_not_null, -1},
    {"(@ between @ and @)", 'b', "iii", OWN, between_i, -1},
    {"(@ not between @ and @)", 'b', "fff", OWN, not_between_f, -1},
    {"(@ in (@, @, @))", 'b', "iiii", OWN, in_i, -1},
    {"(@ in (7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3, -4))", 'b', "i", STRICT, in_many, -1},
    {"(@ in (@, @))", 'b', "fff", OWN, in_f, -1},
    {"(@ in (@, @))", 'b', "sss", OWN, in_s, -1},
    {"(@ not in (@, @))", 'b', "iii", OWN, not_in_i, -1},
    {"starts_with(@, @)", 'b', "ss", STRICT, starts_s, -1},
    {"matches(@, 'a')", 'b', "s", STRICT, matches_a, -1},
    {"matches(@, 'B\\z')", 'b', "s", STRICT, matches_end, -1},
    {"cast(@ as bool)", 'b', "i", STRICT, i_to_b, -1},
    {"cast(@ as bool)", 'b', "s", STRICT, s_to_b, -1},

    {"(@ + @)", 'i', "ii", STRICT, add_i, -1},
    {"(@ - @)", 'i', "ii", STRICT, sub_i, -1},
    {"(@ * @)", 'i', "ii", STRICT, mul_i, -1},
    {"(@ - @)", 'i', "tt", STRICT, sub_i, -1},
    {"div(@, @)", 'i', "ii", STRICT, div_i, -1},
    {"(@ % @)", 'i', "ii", STRICT, mod_i, -1},
    {"(- @)", 'i', "i", STRICT, neg_i, -1},
    {"abs(@)", 'i', "i", STRICT, abs_i, -1},
    {"sign(@)", 'i', "i", STRICT, sign_i, -1},
    {"floor(@)", 'i', "i", STRICT, same_i, -1},
    {"length(@)", 'i', "s", STRICT, length_s, -1},
    {"second(@)", 'i', "t", STRICT, second_t, -1},
    {"minute(@)", 'i', "t", STRICT, minute_t, -1},
    {"hour(@)", 'i', "t", STRICT, hour_t, -1},
    {"weekday(@)", 'i', "t", STRICT, weekday_t, -1},
    {"day(@)", 'i', "t", STRICT, day_t, -1},
    {"month(@)", 'i', "t", STRICT, month_t, -1},
    {"year(@)", 'i', "t", STRICT, year_t, -1},
    {"hash(@)", 'i', "i", STRICT, hash_i, -1},
    {"hash(@)", 'i', "s", STRICT, hash_s, -1},
    {"hash(@)", 'i', "f", STRICT, hash_f, -1},
    {"hash(@, @)", 'i', "is", STRICT, hash_is, -1},
    {"bucket(@, @)", 'i', "ii", STRICT, bucket_i, -1},
    {"cast(@ as int64)", 'i', "f", STRICT, f_to_i, -1},
    {"cast(@ as int32)", 'i', "f", STRICT, f_to_i4, MR_INT32},
    {"cast(@ as int32)", 'i', "i", STRICT, i_to_i4, MR_INT32},
    {"cast(@ as int64)", 'i', "s", STRICT, s_to_i, -1},
    {"cast(@ as int64)", 'i', "b", STRICT, b_to_i, -1},
    {"cast(@ as int64)", 'i', "t", STRICT, same_i, -1},

    {"(@ + @)", 'f', "ff", STRICT, add_f, -1},
    {"(@ + @)", 'f', "if", STRICT, add_if, -1},
    {"(@ - @)", 'f', "ff", STRICT, sub_f, -1},
    {"(@ * @)", 'f', "ff", STRICT, mul_f, -1},
    {"(@ / @)", 'f', "ff", STRICT, div_f, -1},
    {"(@ / @)", 'f', "ii", STRICT, div_ii, -1},
    {"mod(@, @)", 'f', "ff", STRICT, mod_f, -1},
    {"pow(@, @)", 'f', "ff", STRICT, pow_f, -1},
    {"(- @)", 'f', "f", STRICT, neg_f, -1},
    {"abs(@)", 'f', "f", STRICT, abs_f, -1},
    {"sign(@)", 'f', "f", STRICT, sign_f, -1},
    {"floor(@)", 'f', "f", STRICT, floor_f, -1},
    {"ceil(@)", 'f', "f", STRICT, ceil_f, -1},
    {"trunc(@)", 'f', "f", STRICT, trunc_f, -1},
    {"round(@)", 'f', "f", STRICT, round_f, -1},
    {"round(@, 2)", 'f', "f", STRICT, round_2, -1},
    {"sqrt(@)", 'f', "f", STRICT, sqrt_f, -1},
    {"ln(@)", 'f', "f", STRICT, ln_f, -1},
    {"exp(@)", 'f', "f", STRICT, exp_f, -1},
    {"coalesce(@, @)", 'f', "if", OWN, coalesce_if, MR_FLOAT64},
    {"cast(@ as float64)", 'f', "i", STRICT, i_to_f, -1},
    {"cast(@ as float64)", 'f', "b", STRICT, b_to_f, -1},
    {"cast(@ as float64)", 'f', "s", STRICT, s_to_f, -1},
    {"cast(@ as float32)", 'f', "f", STRICT, f_to_f4, MR_FLOAT32},
    {"cast(@ as float32)", 'f', "i", STRICT, i_to_f4, MR_FLOAT32},

    {"(@ + @)", 't', "ti", STRICT, add_i, -1},
    {"(@ + @)", 't', "it", STRICT, add_i, -1},
    {"(@ - @)", 't', "ti", STRICT, sub_i, -1},
    {"date_trunc('hour', @)", 't', "t", STRICT, trunc_hour, -1},
    {"date_trunc('month', @)", 't', "t", STRICT, trunc_month, -1},
    {"cast(@ as timestamp)", 't', "i", STRICT, same_i, -1},

    {"lower(@)", 's', "s", STRICT, lower_s, -1},
    {"upper(@)", 's', "s", STRICT, upper_s, -1},
    {"substr(@, @)", 's', "si", STRICT, substr_2, -1},
    {"substr(@, @, @)", 's', "sii", STRICT, substr_3, -1},
    {"concat(@, @)", 's', "ss", STRICT, concat_2, -1},
    {"(@ || @)", 's', "ss", STRICT, concat_2, -1},
    {"cast(@ as string)", 's', "b", STRICT, b_to_s, -1},
    {"cast(@ as string)", 's', "i", STRICT, i_to_s, -1},
    {"cast(cast(@ as float64) as string)", 's', "f", STRICT, f_to_s, -1},
    {"cast(@ as string)", 's', "t", STRICT, t_to_s, -1},

    {"case when @ then @ else @ end", 'a', "baa", OWN, case_1, -1},
    {"case when @ then @ end", 'a', "ba", OWN, case_none, -1},
    {"case when @ then @ when @ then @ else @ end", 'a', "babaa", OWN, case_2, -1},
    {"case @ when @ then @ else @ end", 'a', "iiaa", OWN, case_of, -1},
    {"coalesce(@, @, @)", 'a', "aaa", OWN, coalesce_3, -1},
    {"least(@, @, @)", 'a', "aaa", OWN, least_3, -1},
    {"greatest(@, @)", 'a', "aa", OWN, greatest_2, -1},
};

/* ---- random trees ---- */

typedef struct node {
    const form *form; /* NULL: a leaf */
    int column;       /* of a leaf; -1: a constant */
    val constant;
    mr_type_id type;
    struct node *args[ARGS_MAX];
    char text[160]; /* of a constant */
} node;

static node nodes[4096];
static size_t node_count;

static const char *const column_names[] = {"b", "i", "i4", "f", "f4", "t", "s"};
static const mr_type_id column_types[] = {MR_BOOL,    MR_INT64,     MR_INT32, MR_FLOAT64,
                                          MR_FLOAT32, MR_TIMESTAMP, MR_STRING};
static const char *const some_texts[] = {"",
                                         "a",
                                         "B",
                                         "ab",
                                         "Zo\xc3\xab",
                                         "1",
                                         "-7",
                                         "2.5",
                                         "true",
                                         "FALSE",
                                         "a'b",
                                         "aB",
                                         "\xe2\x82\xac\xf0\x9f\x98\x80x"};
static const int64_t some_integers[] = {
    0, 1, -1, 2, 3, -3, 7, 100, 1000000, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, INT64_MAX - 1};
static const double some_reals[] = {0,    0.5,   1,     -1,     1.5, -2.5,    3,           1e10,
                                    1e18, -1e19, 1e300, 5e-324, 0.1, 100.125, 2147483648.0};
static const int64_t some_times[] = {0,
                                     -1,
                                     INT64_C(1522540800000000),
                                     INT64_C(1522540799999999),
                                     INT64_C(951782399000001),
                                     INT64_C(-62135596800000000),
                                     INT64_C(253402300799999999)};

static size_t pick(mr_random_seeded *random, size_t below)
{
    return (size_t)mr_random_below(random, below);
}

static char letter_of(mr_type_id id)
{
    return id == MR_BOOL                          ? 'b'
           : id == MR_INT32 || id == MR_INT64     ? 'i'
           : id == MR_FLOAT32 || id == MR_FLOAT64 ? 'f'
           : id == MR_TIMESTAMP                   ? 't'
                                                  : 's';
}

static mr_type_id type_of(char letter)
{
    return letter == 'b'   ? MR_BOOL
           : letter == 'i' ? MR_INT64
           : letter == 'f' ? MR_FLOAT64
           : letter == 't' ? MR_TIMESTAMP
                           : MR_STRING;
}

static void quote(const char *text, size_t size, char *out)
{
    *out++ = '\'';
    for (size_t i = 0; i < size; i++) {
        *out++ = text[i];
        if (text[i] == '\'')
            *out++ = '\'';
    }
    *out++ = '\'';
    *out = '\0';
}

static void make_constant(mr_random_seeded *random, char letter, node *n)
{
    val *v = &n->constant;
    n->column = -1;
    n->type = type_of(letter);
    if (pick(random, 8) == 0) {
        char type[32];
        v->null = true;
        (void)snprintf(n->text, sizeof n->text, "cast(null as %s)",
                       mr_type_format((mr_type){n->type, 0}, type));
        return;
    }
    char text[64];
    size_t size;
    switch (letter) {
    case 'b':
        v->b = pick(random, 2) == 1;
        (void)snprintf(n->text, sizeof n->text, "%s", v->b ? "true" : "false");
        break;
    case 'i':
        v->i = some_integers[pick(random, MR_COUNT_OF(some_integers))];
        (void)snprintf(n->text, sizeof n->text, "%lld", (long long)v->i);
        break;
    case 'f':
        v->f = some_reals[pick(random, MR_COUNT_OF(some_reals))];
        (void)snprintf(n->text, sizeof n->text, "%.17e", v->f);
        break;
    case 't':
        v->i = some_times[pick(random, MR_COUNT_OF(some_times))];
        size = mr_time_format(v->i, text);
        (void)snprintf(n->text, sizeof n->text, "timestamp '%.*s'", (int)size, text);
        break;
    default:
        v->s = some_texts[pick(random, MR_COUNT_OF(some_texts))];
        v->size = strlen(v->s);
        quote(v->s, v->size, n->text);
        break;
    }
}

static void make_leaf(mr_random_seeded *random, char letter, node *n)
{
    if (pick(random, 3) == 0) {
        make_constant(random, letter, n);
        return;
    }
    do
        n->column = (int)pick(random, MR_COUNT_OF(column_types));
    while (letter_of(column_types[n->column]) != letter);
    n->type = column_types[n->column];
}

static mr_type_id widest(mr_type_id a, mr_type_id b)
{
    return a == b ? a : letter_of(a) == 'i' ? MR_INT64 : MR_FLOAT64;
}

static node *make_tree(mr_random_seeded *random, char letter, int depth)
{
    static const char letters[] = "biftss";
    node *n = &nodes[node_count++];
    assert_true(node_count < MR_COUNT_OF(nodes));
    *n = (node){0};
    if (depth == 0 || pick(random, 6) == 0) {
        make_leaf(random, letter, n);
        return n;
    }
    do
        n->form = &forms[pick(random, MR_COUNT_OF(forms))];
    while (n->form->result != letter && n->form->result != 'a');
    char any = n->form->result == 'a' ? letter : letters[pick(random, 5)];
    n->type = n->form->type >= 0 ? (mr_type_id)n->form->type : type_of(letter);
    bool first = true;
    for (size_t i = 0; n->form->args[i] != '\0'; i++) {
        bool common = n->form->args[i] == 'a';
        n->args[i] = make_tree(random, common ? any : n->form->args[i], depth - 1);
        if (common && n->form->result == 'a') {
            n->type = first ? n->args[i]->type : widest(n->type, n->args[i]->type);
            first = false;
        }
    }
    return n;
}

static void print_tree(const node *n, mr_bytes *out)
{
    size_t next = 0;
    if (n->form == NULL) {
        mr_bytes_append_text(out, n->column >= 0 ? column_names[n->column] : n->text);
        return;
    }
    for (const char *c = n->form->format; *c != '\0'; c++)
        if (*c == '@')
            print_tree(n->args[next++], out);
        else
            mr_bytes_append_byte(out, (uint8_t)*c);
}

/* ---- the slow evaluator ---- */

static val value_of_column(const mr_column *column, size_t row)
{
    val v = {.null = mr_column_is_null(column, row)};
    if (v.null)
        return v;
    switch (column->type.id) {
    case MR_BOOL:
        v.b = mr_bit_get(column->values, row);
        break;
    case MR_INT32:
        v.i = ((const int32_t *)column->values)[row];
        break;
    case MR_FLOAT32:
        v.f = (double)((const float *)column->values)[row];
        break;
    case MR_FLOAT64:
        v.f = ((const double *)column->values)[row];
        break;
    case MR_STRING: {
        mr_text text = mr_column_text(column, row);
        v.s = text.size > 0 ? (const char *)text.bytes : "";
        v.size = text.size;
        break;
    }
    default:
        v.i = ((const int64_t *)column->values)[row];
        break;
    }
    return v;
}

static val evaluate(const node *n, const mr_column *columns, size_t row)
{
    val args[ARGS_MAX], r = {0};
    if (n->form == NULL) {
        r = n->column >= 0 ? value_of_column(&columns[n->column], row) : n->constant;
    } else {
        for (size_t i = 0; n->form->args[i] != '\0'; i++) {
            args[i] = evaluate(n->args[i], columns, row);
            r.null |= n->form->rule == STRICT && args[i].null;
        }
        if (!r.null)
            n->form->mean(args, &r);
    }
    if (letter_of(n->type) == 'f' && !isfinite(r.f))
        r.null = true;
    static const val nothing = {.null = true};
    return r.null ? nothing : r;
}

/* ---- random batches ---- */

static float random_float(mr_random_seeded *random)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, -0.0f, 1e-40f, 3e38f};
    return pick(random, 5) == 0 ? odd[pick(random, MR_COUNT_OF(odd))]
                                : (float)((int)pick(random, 200) - 100) / 4;
}

static double random_real(mr_random_seeded *random)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, -0.0, 1e308, 5e-324};
    if (pick(random, 5) == 0)
        return odd[pick(random, MR_COUNT_OF(odd))];
    return pick(random, 2) == 0 ? some_reals[pick(random, MR_COUNT_OF(some_reals))]
                                : mr_random_unit(random) * 200 - 100;
}

static int64_t random_integer(mr_random_seeded *random)
{
    if (pick(random, 4) == 0)
        return some_integers[pick(random, MR_COUNT_OF(some_integers))];
    return (int64_t)pick(random, 21) - 10;
}

static int64_t random_time(mr_random_seeded *random)
{
    switch (pick(random, 8)) {
    case 0:
        return some_times[pick(random, MR_COUNT_OF(some_times))];
    case 1:
        return (int64_t)mr_random_next(random);
    default:
        return INT64_C(1500000000000000) + (int64_t)pick(random, 100000000) * 1000001;
    }
}

static void push_value(mr_random_seeded *random, mr_builder_column *column)
{
    const char *text = some_texts[pick(random, MR_COUNT_OF(some_texts))];
    switch (column->type.id) {
    case MR_BOOL:
        mr_builder_bool(column, pick(random, 2) == 1);
        break;
    case MR_INT32:
        mr_builder_int32(column, (int32_t)random_integer(random));
        break;
    case MR_INT64:
        mr_builder_int64(column, random_integer(random));
        break;
    case MR_TIMESTAMP:
        mr_builder_int64(column, random_time(random));
        break;
    case MR_FLOAT32:
        mr_builder_float32(column, random_float(random));
        break;
    case MR_FLOAT64:
        mr_builder_float64(column, random_real(random));
        break;
    default:
        mr_builder_text(column, text, strlen(text));
        break;
    }
}

static mr_schema *make_schema(void)
{
    mr_field fields[MR_COUNT_OF(column_types)];
    mr_schema *schema;
    mr_error err = {0};
    for (size_t i = 0; i < MR_COUNT_OF(fields); i++)
        fields[i] =
            (mr_field){.name = column_names[i], .type = {column_types[i], 0}, .nullable = true};
    assert_ok(mr_schema_create(fields, MR_COUNT_OF(fields), &schema, &err), &err);
    return schema;
}

/* Each column has no NULLs, some, or long runs of them. */
static mr_batch *make_batch(mr_random_seeded *random, mr_schema *schema, size_t rows)
{
    mr_builder b;
    mr_batch *batch;
    mr_error err = {0};
    assert_ok(mr_builder_init(&b, schema, &err), &err);
    for (size_t c = 0; c < MR_COUNT_OF(column_types); c++) {
        size_t habit = pick(random, 3), run = 0;
        for (size_t row = 0; row < rows; row++) {
            if (run == 0 && habit == 2 && pick(random, 100) == 0)
                run = pick(random, 300);
            bool null = run > 0 || (habit == 1 && pick(random, 4) == 0);
            run -= run > 0;
            if (null)
                mr_builder_null(&b.columns[c]);
            else
                push_value(random, &b.columns[c]);
        }
    }
    assert_ok(mr_builder_finish(&b, &batch, &err), &err);
    mr_builder_deinit(&b);
    return batch;
}

/* ---- the property ---- */

static bool agrees(const val *expected, const mr_column *column, size_t row)
{
    val got = value_of_column(column, row);
    if (expected->null || got.null)
        return expected->null == got.null;
    return got.b == expected->b && got.i == expected->i && memcmp(&got.f, &expected->f, 8) == 0 &&
           got.size == expected->size &&
           (got.size == 0 || memcmp(got.s, expected->s, got.size) == 0);
}

static void assert_zero_tail(const uint8_t *bits, size_t rows)
{
    if (bits != NULL && rows % 8 != 0)
        assert_int_equal(bits[rows / 8] >> (rows % 8), 0);
}

static void assert_zero_nulls(const mr_column *column, size_t rows)
{
    size_t bytes = mr_type_bytes(column->type);
    assert_zero_tail(column->validity, rows);
    if (column->type.id == MR_BOOL)
        assert_zero_tail(column->values, rows);
    for (size_t row = 0; row < rows; row++) {
        if (!mr_column_is_null(column, row))
            continue;
        uint64_t bits = 0;
        if (column->type.id == MR_BOOL)
            bits = mr_bit_get(column->values, row);
        else if (column->type.id == MR_STRING)
            bits = mr_column_text(column, row).size;
        else
            memcpy(&bits, (const uint8_t *)column->values + row * bytes, bytes);
        assert_int_equal(bits, 0);
    }
}

static void check_tree(const node *tree, const mr_batch *batch, mr_expr_scratch *scratch,
                       uint64_t round)
{
    mr_bytes text = {0}, canonical = {0};
    mr_expr *expr, *again;
    mr_column out, out_again;
    mr_error err = {0};
    char got[32], wanted[32];
    print_tree(tree, &text);
    const char *shown = mr_bytes_text(&text);
    if (mr_expr_compile(shown, text.size, batch->schema, NULL, &expr, &err) != MR_OK)
        fail_msg("seed %llu round %llu: %s: %s: %s", (unsigned long long)mr_test_seed(),
                 (unsigned long long)round, shown, err.place, err.text);
    assert_ok(mr_expr_eval(expr, scratch, batch->columns, 0, batch->row_count, &out, &err), &err);
    if (out.type.id != tree->type)
        fail_msg("round %llu: %s is %s, not %s", (unsigned long long)round, shown,
                 mr_type_format(out.type, got), mr_type_format((mr_type){tree->type, 0}, wanted));
    for (size_t row = 0; row < batch->row_count; row++) {
        pool_used = 0;
        val expected = evaluate(tree, batch->columns, row);
        if (!agrees(&expected, &out, row)) {
            val is = value_of_column(&out, row);
            fail_msg("seed %llu round %llu row %zu: %s\ngives null %d bool %d int %lld float %.17g "
                     "text %.*s\n"
                     "not   null %d bool %d int %lld float %.17g text %.*s",
                     (unsigned long long)mr_test_seed(), (unsigned long long)round, row, shown,
                     is.null, is.b, (long long)is.i, is.f, (int)is.size, is.s != NULL ? is.s : "",
                     expected.null, expected.b, (long long)expected.i, expected.f,
                     (int)expected.size, expected.s != NULL ? expected.s : "");
        }
    }
    assert_ok(mr_column_check(&out, batch->row_count, &err), &err);
    assert_zero_nulls(&out, batch->row_count);
    assert_true(mr_expr_nullable(expr) || out.null_count == 0);
    mr_expr_format(expr, &canonical); /* means the same */
    assert_ok(mr_expr_compile((const char *)canonical.data, canonical.size, batch->schema, NULL,
                              &again, &err),
              &err);
    assert_ok(mr_expr_eval(again, scratch, batch->columns, 0, batch->row_count, &out_again, &err),
              &err);
    assert_true(mr_column_equal(&out, 0, &out_again, 0, batch->row_count));
    mr_column_release(&out);
    mr_column_release(&out_again);
    mr_expr_destroy(expr);
    mr_expr_destroy(again);
    mr_bytes_deinit(&text);
    mr_bytes_deinit(&canonical);
}

TEST(expr, random_expressions_agree_with_a_row_by_row_evaluator)
{
    static const char letters[] = "bifts";
    mr_schema *schema = make_schema();
    mr_expr_scratch scratch = {0};
    for (uint64_t round = 0; round < mr_test_rounds(60); round++) {
        mr_random_seeded random = mr_test_random(round);
        mr_batch *batch =
            make_batch(&random, schema, 1 + pick(&random, round % 8 == 0 ? 2500 : 200));
        for (size_t i = 0; i < 40; i++) {
            node_count = 0;
            const node *tree = make_tree(&random, letters[i % 5], (int)pick(&random, DEPTH_MAX));
            check_tree(tree, batch, &scratch, round);
        }
        mr_batch_release(batch);
    }
    mr_expr_scratch_deinit(&scratch);
    mr_schema_release(schema);
}

TEST(expr, every_function_is_among_the_forms)
{
    size_t count;
    const mr_function *table = mr_function_table(&count);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t f = 0; f < MR_COUNT_OF(forms); f++)
            found |= strstr(forms[f].format, table[i].name) != NULL;
        if (!found)
            fail_msg("%s is not compared with the row-by-row evaluator", table[i].name);
    }
}

/* Every form over leaves alone, so that none is met by chance only. */
TEST(expr, every_form_agrees_with_a_row_by_row_evaluator)
{
    static const char letters[] = "bifts";
    mr_schema *schema = make_schema();
    mr_expr_scratch scratch = {0};
    mr_random_seeded random = mr_test_random(77);
    mr_batch *batch = make_batch(&random, schema, 1500);
    for (size_t f = 0; f < MR_COUNT_OF(forms); f++)
        for (size_t k = 0; k < 5; k++) {
            node tree = {.form = &forms[f]};
            char any = letters[k];
            bool first = true;
            node_count = 0;
            char letter = forms[f].result == 'a' ? any : forms[f].result;
            tree.type = forms[f].type >= 0 ? (mr_type_id)forms[f].type : type_of(letter);
            for (size_t i = 0; forms[f].args[i] != '\0'; i++) {
                bool common = forms[f].args[i] == 'a';
                tree.args[i] = make_tree(&random, common ? any : forms[f].args[i], 0);
                if (common && forms[f].result == 'a')
                    tree.type = first ? tree.args[i]->type : widest(tree.type, tree.args[i]->type);
                first &= !common;
            }
            check_tree(&tree, batch, &scratch, f);
        }
    mr_batch_release(batch);
    mr_expr_scratch_deinit(&scratch);
    mr_schema_release(schema);
}
