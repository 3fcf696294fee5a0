/* expr_number.c -- kernels of arithmetic, comparison, rounding and numeric casts.
 *
 * Each is a loop over the rows of a chunk, NULL rows included (their values are harmless), that
 * leaves NULL handling to the words of the validity: first all results, then, only when a loop saw
 * that some row has no answer, a second loop that takes those rows out. */
#include "data/expr_internal.h"

#include <math.h>
#include <string.h>

#define INTS(i)   ((const int64_t *)MR_ARG(i)->values)
#define FLOATS(i) ((const double *)MR_ARG(i)->values)

/* ---- finite or NULL ---- */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

/* All exponent bits set, so that adding one to the exponent carries into the sign. */
static uint64_t nonfinite_carry(double value)
{
    return (bits_of(value) & INT64_MAX) + (UINT64_C(1) << 52);
}

static void drop_rows(mr_reg *reg, size_t rows)
{
    const double *values = reg->values;
    for (size_t i = 0; i < rows; i++)
        if (nonfinite_carry(values[i]) >> 63)
            mr_reg_null_row(reg, i);
}

void mr_reg_drop_nonfinite(mr_reg *reg, size_t rows)
{
    const double *values = reg->values;
    uint64_t any = 0;
    for (size_t i = 0; i < rows; i++)
        any |= nonfinite_carry(values[i]);
    if (any >> 63)
        drop_rows(reg, rows);
}

/* ---- integers ---- */

#define INT_CHECKED(name, builtin)                                                                 \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const int64_t *a = INTS(0), *b = INTS(1);                                                  \
        int64_t *restrict to = MR_DST->values, wide;                                               \
        bool any = false;                                                                          \
        for (size_t i = 0; i < frame->rows; i++)                                                   \
            any |= builtin(a[i], b[i], &to[i]);                                                    \
        for (size_t i = 0; any && i < frame->rows; i++)                                            \
            if (builtin(a[i], b[i], &wide))                                                        \
                mr_reg_null_row(MR_DST, i);                                                        \
    }

INT_CHECKED(add_int, __builtin_add_overflow)
INT_CHECKED(sub_int, __builtin_sub_overflow)
INT_CHECKED(mul_int, __builtin_mul_overflow)

static int64_t negate_wrapping(int64_t a)
{
    return (int64_t)(0 - (uint64_t)a);
}

/* By 0 there is no answer; by -1 the machine has none for INT64_MIN, so it is not asked. */
#define INT_DIVIDE(name, operator, by_minus_one, minus_one_fails)                                  \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const int64_t *a = INTS(0), *b = INTS(1);                                                  \
        int64_t *restrict to = MR_DST->values;                                                     \
        for (size_t i = 0; i < frame->rows; i++) {                                                 \
            if (b[i] == -1)                                                                        \
                to[i] = (by_minus_one);                                                            \
            else                                                                                   \
                to[i] = a[i] operator(b[i] == 0 ? 1 : b[i]);                                       \
            if (b[i] == 0 || (b[i] == -1 && (minus_one_fails)))                                    \
                mr_reg_null_row(MR_DST, i);                                                        \
        }                                                                                          \
    }

INT_DIVIDE(div_int, /, negate_wrapping(a[i]), a[i] == INT64_MIN)
INT_DIVIDE(mod_int, %, 0, false)

void mr_kernel_neg_int(mr_frame *frame, const mr_step *step)
{
    const int64_t *a = INTS(0);
    int64_t *restrict to = MR_DST->values;
    bool any = false;
    for (size_t i = 0; i < frame->rows; i++) {
        to[i] = negate_wrapping(a[i]);
        any |= a[i] == INT64_MIN;
    }
    for (size_t i = 0; any && i < frame->rows; i++)
        if (a[i] == INT64_MIN)
            mr_reg_null_row(MR_DST, i);
}

void mr_kernel_abs_int(mr_frame *frame, const mr_step *step)
{
    const int64_t *a = INTS(0);
    int64_t *restrict to = MR_DST->values;
    bool any = false;
    for (size_t i = 0; i < frame->rows; i++) {
        to[i] = a[i] < 0 ? negate_wrapping(a[i]) : a[i];
        any |= a[i] == INT64_MIN;
    }
    for (size_t i = 0; any && i < frame->rows; i++)
        if (a[i] == INT64_MIN)
            mr_reg_null_row(MR_DST, i);
}

void mr_kernel_sign_int(mr_frame *frame, const mr_step *step)
{
    const int64_t *a = INTS(0);
    int64_t *restrict to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = (a[i] > 0) - (a[i] < 0);
}

/* ---- floats ---- */

#define FLOAT_BINARY(name, expression)                                                             \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const double *a = FLOATS(0), *b = FLOATS(1);                                               \
        double *restrict to = MR_DST->values;                                                      \
        uint64_t any = 0;                                                                          \
        for (size_t i = 0; i < frame->rows; i++) {                                                 \
            to[i] = (expression);                                                                  \
            any |= nonfinite_carry(to[i]);                                                         \
        }                                                                                          \
        if (any >> 63)                                                                             \
            drop_rows(MR_DST, frame->rows);                                                        \
    }

#define FLOAT_UNARY(name, expression)                                                              \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const double *a = FLOATS(0);                                                               \
        double *restrict to = MR_DST->values;                                                      \
        for (size_t i = 0; i < frame->rows; i++)                                                   \
            to[i] = (expression);                                                                  \
    }

#define FLOAT_UNARY_CHECKED(name, expression)                                                      \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const double *a = FLOATS(0);                                                               \
        double *restrict to = MR_DST->values;                                                      \
        uint64_t any = 0;                                                                          \
        for (size_t i = 0; i < frame->rows; i++) {                                                 \
            to[i] = (expression);                                                                  \
            any |= nonfinite_carry(to[i]);                                                         \
        }                                                                                          \
        if (any >> 63)                                                                             \
            drop_rows(MR_DST, frame->rows);                                                        \
    }

FLOAT_BINARY(add_float, a[i] + b[i])
FLOAT_BINARY(sub_float, a[i] - b[i])
FLOAT_BINARY(mul_float, a[i] * b[i])
FLOAT_BINARY(div_float, a[i] / b[i])
FLOAT_BINARY(mod_float, fmod(a[i], b[i]))
FLOAT_BINARY(pow_float, pow(a[i], b[i]))
FLOAT_UNARY(neg_float, -a[i])
FLOAT_UNARY(abs_float, fabs(a[i]))
FLOAT_UNARY(sign_float, (double)((a[i] > 0) - (a[i] < 0)))
FLOAT_UNARY(floor_float, floor(a[i]))
FLOAT_UNARY(ceil_float, ceil(a[i]))
FLOAT_UNARY(trunc_float, trunc(a[i]))
FLOAT_UNARY(round_float, round(a[i]))
FLOAT_UNARY_CHECKED(sqrt_float, sqrt(a[i]))
FLOAT_UNARY_CHECKED(ln_float, log(a[i]))
FLOAT_UNARY_CHECKED(exp_float, exp(a[i]))

/* To `digits` places: scaled by a power of ten, rounded, scaled back. A number so large that
 * scaling overflows has no digits there to lose. */
static double round_digits(double value, int64_t digits)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    if (digits < -15 || digits > 15)
        return NAN;
    if (digits < 0)
        return round(value / powers[-digits]) * powers[-digits];
    double scaled = value * powers[digits];
    return isfinite(scaled) ? round(scaled) / powers[digits] : value;
}

void mr_kernel_round_float_digits(mr_frame *frame, const mr_step *step)
{
    const double *a = FLOATS(0);
    const int64_t *digits = INTS(1);
    double *restrict to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = round_digits(a[i], digits[i]);
    mr_reg_drop_nonfinite(MR_DST, frame->rows);
}

/* ---- comparison ---- */

void mr_pack_bits(uint64_t *bits, const uint8_t *bytes, size_t words)
{
    for (size_t w = 0; w < words; w++) {
        uint64_t word = 0;
        for (size_t k = 0; k < 8; k++) {
            uint64_t eight;
            memcpy(&eight, bytes + w * 64 + k * 8, 8);
            word |= (eight * UINT64_C(0x0102040810204080) >> 56) << (k * 8);
        }
        bits[w] = word;
    }
}

#define COMPARE(name, type, operator)                                                              \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const type *a = MR_ARG(0)->values, *b = MR_ARG(1)->values;                                 \
        uint8_t bytes[MR_EXPR_ROWS];                                                               \
        memset(bytes + frame->rows, 0, frame->words * 64 - frame->rows);                           \
        for (size_t i = 0; i < frame->rows; i++)                                                   \
            bytes[i] = a[i] operator b[i];                                                         \
        mr_pack_bits(MR_DST->values, bytes, frame->words);                                         \
    }

COMPARE(eq_int, int64_t, ==)
COMPARE(lt_int, int64_t, <)
COMPARE(le_int, int64_t, <=)
COMPARE(eq_float, double, ==)
COMPARE(lt_float, double, <)
COMPARE(le_float, double, <=)

/* ---- casts ---- */

void mr_kernel_int_to_float(mr_frame *frame, const mr_step *step)
{
    const int64_t *a = INTS(0);
    double *restrict to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = (double)a[i];
}

void mr_kernel_int_to_float32(mr_frame *frame, const mr_step *step)
{
    const int64_t *a = INTS(0);
    double *restrict to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = (double)(float)a[i]; /* rounded once */
}

void mr_kernel_int_to_int32(mr_frame *frame, const mr_step *step)
{
    const int64_t *a = INTS(0);
    int64_t *restrict to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++) {
        to[i] = a[i];
        if (a[i] != (int32_t)a[i])
            mr_reg_null_row(MR_DST, i);
    }
}

/* Cut towards zero. Both bounds are doubles and do not fit themselves; all doubles between them do.
 */
static void float_to_int(mr_frame *frame, const mr_step *step, double low, double end)
{
    const double *a = FLOATS(0);
    int64_t *restrict to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++) {
        bool fits = a[i] > low && a[i] < end;
        to[i] = (int64_t)(fits ? a[i] : 0);
        if (!fits)
            mr_reg_null_row(MR_DST, i);
    }
}

void mr_kernel_float_to_int32(mr_frame *frame, const mr_step *step)
{
    float_to_int(frame, step, -2147483649.0, 2147483648.0);
}

void mr_kernel_float_to_int64(mr_frame *frame, const mr_step *step)
{
    float_to_int(frame, step, -9223372036854777856.0, 9223372036854775808.0);
}

void mr_kernel_float_to_float32(mr_frame *frame, const mr_step *step)
{
    const double *a = FLOATS(0);
    double *restrict to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = (double)(float)a[i];
    mr_reg_drop_nonfinite(MR_DST, frame->rows);
}

void mr_kernel_bits_to_int(mr_frame *frame, const mr_step *step)
{
    const uint64_t *a = MR_ARG(0)->values;
    int64_t *restrict to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = (int64_t)(a[i / 64] >> (i % 64) & 1);
}

void mr_kernel_bits_to_float(mr_frame *frame, const mr_step *step)
{
    const uint64_t *a = MR_ARG(0)->values;
    double *restrict to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = (double)(a[i / 64] >> (i % 64) & 1);
}

void mr_kernel_int_to_bits(mr_frame *frame, const mr_step *step)
{
    const int64_t *a = INTS(0);
    uint8_t bytes[MR_EXPR_ROWS];
    memset(bytes + frame->rows, 0, frame->words * 64 - frame->rows);
    for (size_t i = 0; i < frame->rows; i++)
        bytes[i] = a[i] != 0;
    mr_pack_bits(MR_DST->values, bytes, frame->words);
}
