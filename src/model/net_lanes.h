/* net_lanes.h -- the loops of the tensor program, compiled once for each set of instructions.
 *
 * Included by net_lanes.c, net_lanes_avx2.c and net_lanes_avx512.c with KERNELS the name of the table and RUNS_HERE
 * the question to the processor. Plain additions and products, never contracted, and explicit fused ones: the bits do
 * not depend on the instructions. exp and tanh are ours for float32, so that they become vectors (Cody-Waite reduction
 * and the polynomials of Cephes' expf and tanhf, S. Moshier: errors below 2 ulp); the rest is the C library's. */
#include "model/net.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

/* ---- functions of float32 ---- */

static inline float bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* e^x: x = n ln 2 + r, a polynomial in r, times 2^n in two factors so that every n from -150 to 128 is reached. */
static inline float exp32(float x)
{
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float shifted = x * 1.44269504088896341f + 12582912.0f;
    int32_t n = (int32_t)(float_bits(shifted) - 0x4b400000u);
    float whole = shifted - 12582912.0f;
    float r = x - whole * 0.693359375f;
    r = r - whole * -2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + r + 1.0f;
    int32_t half = n >> 1;
    return y * bits_float((uint32_t)(half + 127) << 23) *
           bits_float((uint32_t)(n - half + 127) << 23);
}

static inline float tanh32(float x)
{
    float a = fabsf(x), s = x * x;
    float small = -5.70498872745e-3f;
    small = small * s + 2.06390887954e-2f;
    small = small * s + -5.37397155531e-2f;
    small = small * s + 1.33314422036e-1f;
    small = small * s + -3.33332819422e-1f;
    small = small * s * x + x;
    float large = 1.0f - 2.0f / (exp32(2.0f * a) + 1.0f);
    large = x < 0 ? -large : large;
    return a < 0.625f ? small : (x == x ? large : x);
}

static inline float sigmoid32(float x)
{
    return 1.0f / (1.0f + exp32(-x));
}

/* As ONNX-ML's operators have it: by the magnitude. */
static inline float logistic32(float x)
{
    float v = 1.0f / (1.0f + exp32(-fabsf(x)));
    return x < 0 ? 1.0f - v : v;
}

static inline float log32(float x)
{
    return logf(x);
}

static inline float softplus32(float x)
{
    return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x));
}

static inline float probit32(float x)
{
    float y = 2 * x - 1, sign = y < 0 ? -1.0f : 1.0f;
    float log = logf((1 - y) * (1 + y));
    float v = 2 / (3.14159f * 0.147f) + 0.5f * log, w = 1 / 0.147f * log;
    return 1.41421356f * (sign * sqrtf(-v + sqrtf(v * v - w)));
}

/* ---- and of float64 ---- */

static inline double exp64(double x)
{
    return exp(x);
}

static inline double tanh64(double x)
{
    return tanh(x);
}

static inline double sigmoid64(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static inline double logistic64(double x)
{
    double v = 1.0 / (1.0 + exp(-fabs(x)));
    return x < 0 ? 1.0 - v : v;
}

static inline double log64(double x)
{
    return log(x);
}

static inline double softplus64(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static inline double probit64(double x)
{
    return (double)probit32((float)x);
}

/* ---- maps ---- */

#define INPUT(type, name, bit)                                                                     \
    const type *name = v##name;                                                                    \
    const size_t step_##name = (scalars & (bit)) != 0 ? 0 : 1;

/* The three ways are loops of their own, so that the compiler makes vectors of each. */
#define MAP1(name, from, to, expression)                                                           \
    static void name(void *vo, const void *va, const void *vb, const void *vc, size_t n,           \
                     unsigned scalars, double vp, double vq)                                       \
    {                                                                                              \
        to *restrict out = vo;                                                                     \
        const from *restrict as = va;                                                              \
        (void)vb, (void)vc, (void)vp, (void)vq, (void)scalars;                                     \
        for (size_t i = 0; i < n; i++) {                                                           \
            const from a = as[i];                                                                  \
            out[i] = (to)(expression);                                                             \
        }                                                                                          \
    }

#define MAP1P(name, type, expression)                                                              \
    static void name(void *vo, const void *va, const void *vb, const void *vc, size_t n,           \
                     unsigned scalars, double vp, double vq)                                       \
    {                                                                                              \
        type *restrict out = vo;                                                                   \
        const type *restrict as = va;                                                              \
        const type p = (type)vp, q = (type)vq;                                                     \
        (void)vb, (void)vc, (void)q, (void)scalars;                                                \
        for (size_t i = 0; i < n; i++) {                                                           \
            const type a = as[i];                                                                  \
            out[i] = (type)(expression);                                                           \
        }                                                                                          \
    }

#define MAP2(name, from, to, expression)                                                           \
    static void name(void *vo, const void *va, const void *vb, const void *vc, size_t n,           \
                     unsigned scalars, double vp, double vq)                                       \
    {                                                                                              \
        to *restrict out = vo;                                                                     \
        const from *as = va, *bs = vb;                                                             \
        (void)vc, (void)vp, (void)vq;                                                              \
        if (scalars == 2) {                                                                        \
            const from b = bs[0];                                                                  \
            for (size_t i = 0; i < n; i++) {                                                       \
                const from a = as[i];                                                              \
                out[i] = (to)(expression);                                                         \
            }                                                                                      \
        } else if (scalars == 1) {                                                                 \
            const from a = as[0];                                                                  \
            for (size_t i = 0; i < n; i++) {                                                       \
                const from b = bs[i];                                                              \
                out[i] = (to)(expression);                                                         \
            }                                                                                      \
        } else {                                                                                   \
            const size_t step = scalars == 3 ? 0 : 1;                                              \
            for (size_t i = 0; i < n; i++) {                                                       \
                const from a = as[i * step], b = bs[i * step];                                     \
                out[i] = (to)(expression);                                                         \
            }                                                                                      \
        }                                                                                          \
    }

#define WHERE(name, type)                                                                          \
    static void name(void *vo, const void *va, const void *vb, const void *vc, size_t n,           \
                     unsigned scalars, double vp, double vq)                                       \
    {                                                                                              \
        type *out = vo;                                                                            \
        INPUT(uint8_t, a, 1u)                                                                      \
        INPUT(type, b, 2u)                                                                         \
        INPUT(type, c, 4u)                                                                         \
        (void)vp, (void)vq;                                                                        \
        for (size_t i = 0; i < n; i++)                                                             \
            out[i] = a[i * step_a] != 0 ? b[i * step_b] : c[i * step_c];                           \
    }

#define FLOAT_MAPS(type, w, abs_, sqrt_, floor_, ceil_, rint_, erf_, pow_, expm1_)                 \
    MAP1(neg##w, type, type, -a)                                                                   \
    MAP1(abs##w, type, type, abs_(a))                                                              \
    MAP1(sign##w, type, type, a > 0 ? 1 : a < 0 ? -1 : a != a ? a : 0)                             \
    MAP1(square_root##w, type, type, sqrt_(a))                                                     \
    MAP1(exponential##w, type, type, exp##w(a))                                                    \
    MAP1(logarithm##w, type, type, log##w(a))                                                      \
    MAP1(down##w, type, type, floor_(a))                                                           \
    MAP1(up##w, type, type, ceil_(a))                                                              \
    MAP1(even##w, type, type, rint_(a))                                                            \
    MAP1(reciprocal##w, type, type, 1 / a)                                                         \
    MAP1(sigmoid_map##w, type, type, sigmoid##w(a))                                                \
    MAP1(logistic_map##w, type, type, logistic##w(a))                                              \
    MAP1(tanh_map##w, type, type, tanh##w(a))                                                      \
    MAP1(relu##w, type, type, a < 0 ? 0 : a)                                                       \
    MAP1P(leaky_relu##w, type, a < 0 ? p * a : a)                                                  \
    MAP1P(elu##w, type, a < 0 ? p * expm1_(a) : a)                                                 \
    MAP1P(selu##w, type, q *(a <= 0 ? p * exp##w(a) - p : a))                                      \
    MAP1P(hard_sigmoid##w, type, p *a + q < 0 ? 0 : p * a + q > 1 ? 1 : p * a + q)                 \
    MAP1(softplus_map##w, type, type, softplus##w(a))                                              \
    MAP1(softsign##w, type, type, a / (1 + abs_(a)))                                               \
    MAP1(erf_map##w, type, type, erf_(a))                                                          \
    MAP1(probit_map##w, type, type, probit##w(a))                                                  \
    MAP1(is_nan##w, type, uint8_t, a != a)                                                         \
    MAP2(div##w, type, type, a / b)                                                                \
    MAP2(pow_map##w, type, type, pow_(a, b))                                                       \
    MAP2(max##w, type, type, a != a || a > b ? a : b)                                              \
    MAP2(min##w, type, type, a != a || a < b ? a : b)

#define NUMBER_MAPS(type, w)                                                                       \
    MAP2(add##w, type, type, a + b)                                                                \
    MAP2(sub##w, type, type, a - b)                                                                \
    MAP2(mul##w, type, type, a *b)                                                                 \
    MAP2(equal##w, type, uint8_t, a == b)                                                          \
    MAP2(less##w, type, uint8_t, a < b)                                                            \
    MAP2(less_equal##w, type, uint8_t, a <= b)

#define ANY_MAPS(type, w) MAP1(copy##w, type, type, a) WHERE(where##w, type)

FLOAT_MAPS(float, 32, fabsf, sqrtf, floorf, ceilf, rintf, erff, powf, expm1f)
FLOAT_MAPS(double, 64, fabs, sqrt, floor, ceil, rint, erf, pow, expm1)
NUMBER_MAPS(float, 32)
NUMBER_MAPS(double, 64)
ANY_MAPS(float, 32)
ANY_MAPS(double, 64)
ANY_MAPS(int64_t, _int)
ANY_MAPS(uint8_t, _bool)
WHERE(where_text, mr_text)

static void copy_text(void *vo, const void *va, const void *vb, const void *vc, size_t n,
                      unsigned scalars, double vp, double vq)
{
    (void)vb, (void)vc, (void)vp, (void)vq, (void)scalars;
    memcpy(vo, va, n * sizeof(mr_text));
}

/* Whole numbers wrap, as two's complement does. */
#define WRAP(expression) (int64_t)((uint64_t)a expression(uint64_t) b)
MAP2(add_int, int64_t, int64_t, WRAP(+))
MAP2(sub_int, int64_t, int64_t, WRAP(-))
MAP2(mul_int, int64_t, int64_t, WRAP(*))
MAP2(div_int, int64_t, int64_t, b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b)
MAP2(max_int, int64_t, int64_t, a > b ? a : b)
MAP2(min_int, int64_t, int64_t, a < b ? a : b)
MAP2(equal_int, int64_t, uint8_t, a == b)
MAP2(less_int, int64_t, uint8_t, a < b)
MAP2(less_equal_int, int64_t, uint8_t, a <= b)
MAP1(neg_int, int64_t, int64_t, 0 - (uint64_t)a)
MAP1(abs_int, int64_t, int64_t, a < 0 ? 0 - (uint64_t)a : (uint64_t)a)
MAP1(sign_int, int64_t, int64_t, (a > 0) - (a < 0))
MAP1(relu_int, int64_t, int64_t, a < 0 ? 0 : a)
MAP1(not_bool, uint8_t, uint8_t, a == 0)
MAP2(and_bool, uint8_t, uint8_t, (a & b) != 0)
MAP2(or_bool, uint8_t, uint8_t, (a | b) != 0)
MAP2(xor_bool, uint8_t, uint8_t, a != b)
MAP2(equal_bool, uint8_t, uint8_t, a == b)
MAP2(equal_text, mr_text, uint8_t,
     a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0))

/* ---- casts ---- */

/* What does not fit becomes the least number, as x86's own conversion has it. */
static inline int64_t whole(double x)
{
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

MAP1(cast_32_64, float, double, a)
MAP1(cast_32_int, float, int64_t, whole((double)a))
MAP1(cast_32_bool, float, uint8_t, a != 0)
MAP1(cast_64_32, double, float, a)
MAP1(cast_64_int, double, int64_t, whole(a))
MAP1(cast_64_bool, double, uint8_t, a != 0)
MAP1(cast_int_32, int64_t, float, a)
MAP1(cast_int_64, int64_t, double, a)
MAP1(cast_int_bool, int64_t, uint8_t, a != 0)
MAP1(cast_bool_32, uint8_t, float, a)
MAP1(cast_bool_64, uint8_t, double, a)
MAP1(cast_bool_int, uint8_t, int64_t, a)

/* ---- reductions: groups of `inner` columns, each row's in the order of the columns ---- */

#define REDUCE(w, type, abs_)                                                                      \
    static void take##w(type *restrict out, const type *restrict a, size_t rows,                   \
                        mr_net_reduction how)                                                      \
    {                                                                                              \
        switch (how) {                                                                             \
        case MR_NET_GREATEST:                                                                      \
            for (size_t r = 0; r < rows; r++)                                                      \
                out[r] = a[r] != a[r] || a[r] > out[r] ? a[r] : out[r];                            \
            break;                                                                                 \
        case MR_NET_LEAST:                                                                         \
            for (size_t r = 0; r < rows; r++)                                                      \
                out[r] = a[r] != a[r] || a[r] < out[r] ? a[r] : out[r];                            \
            break;                                                                                 \
        case MR_NET_PRODUCT:                                                                       \
            for (size_t r = 0; r < rows; r++)                                                      \
                out[r] = out[r] * a[r];                                                            \
            break;                                                                                 \
        case MR_NET_SUM_ABS:                                                                       \
            for (size_t r = 0; r < rows; r++)                                                      \
                out[r] = out[r] + abs_(a[r]);                                                      \
            break;                                                                                 \
        case MR_NET_SUM_SQUARES:                                                                   \
            for (size_t r = 0; r < rows; r++)                                                      \
                out[r] = out[r] + a[r] * a[r];                                                     \
            break;                                                                                 \
        default:                                                                                   \
            for (size_t r = 0; r < rows; r++)                                                      \
                out[r] = out[r] + a[r];                                                            \
        }                                                                                          \
    }                                                                                              \
    static void log_sum_exp##w(type *restrict out, const type *restrict a, size_t rows,            \
                               uint32_t inner)                                                     \
    {                                                                                              \
        for (size_t r = 0; r < rows; r++) {                                                        \
            type top = a[r], sum = 0;                                                              \
            for (uint32_t i = 1; i < inner; i++)                                                   \
                top = a[i * rows + r] > top ? a[i * rows + r] : top;                               \
            for (uint32_t i = 0; i < inner; i++)                                                   \
                sum += exp##w(a[i * rows + r] - top);                                              \
            out[r] = log##w(sum) + top;                                                            \
        }                                                                                          \
    }                                                                                              \
    static void reduce##w(void *vo, const void *va, size_t rows, uint32_t groups, uint32_t inner,  \
                          mr_net_reduction how)                                                    \
    {                                                                                              \
        type *out = vo;                                                                            \
        const type *a = va;                                                                        \
        bool first_is_start = how == MR_NET_GREATEST || how == MR_NET_LEAST;                       \
        for (uint32_t g = 0; g < groups; g++, out += rows, a += inner * rows) {                    \
            if (how == MR_NET_LOG_SUM_EXP) {                                                       \
                log_sum_exp##w(out, a, rows, inner);                                               \
                continue;                                                                          \
            }                                                                                      \
            for (size_t r = 0; r < rows; r++)                                                      \
                out[r] = first_is_start ? a[r] : how == MR_NET_PRODUCT ? 1 : 0;                    \
            for (uint32_t i = first_is_start; i < inner; i++)                                      \
                take##w(out, a + i * rows, rows, how);                                             \
            for (size_t r = 0; r < rows && how == MR_NET_MEAN; r++)                                \
                out[r] = out[r] / (type)inner;                                                     \
        }                                                                                          \
    }

REDUCE(32, float, fabsf)
REDUCE(64, double, fabs)

/* ---- softmax ---- */

/* `zero`: values within 1e-7 of 0 stay out of the sum, ONNX-ML's SOFTMAX_ZERO. */
#define SOFTMAX(w, type)                                                                           \
    static void softmax_group##w(type *restrict out, const type *restrict a, size_t rows,          \
                                 uint32_t inner, bool log, bool zero)                              \
    {                                                                                              \
        type top[MR_NET_ROWS_MAX], sum[MR_NET_ROWS_MAX];                                           \
        for (size_t r = 0; r < rows; r++)                                                          \
            top[r] = a[r], sum[r] = 0;                                                             \
        for (uint32_t i = 1; i < inner; i++)                                                       \
            for (size_t r = 0; r < rows; r++)                                                      \
                top[r] = a[i * rows + r] > top[r] ? a[i * rows + r] : top[r];                      \
        for (uint32_t i = 0; i < inner; i++)                                                       \
            for (size_t r = 0; r < rows; r++) {                                                    \
                type x = a[i * rows + r], e = exp##w(x - top[r]);                                  \
                out[i * rows + r] = log ? x - top[r] : e;                                          \
                sum[r] += e;                                                                       \
            }                                                                                      \
        for (size_t r = 0; r < rows && zero; r++) {                                                \
            type scale = exp##w(-top[r]);                                                          \
            sum[r] = 0;                                                                            \
            for (uint32_t i = 0; i < inner; i++) {                                                 \
                type x = a[i * rows + r];                                                          \
                bool counts = x > (type)0.0000001f || x < (type)-0.0000001f;                       \
                if (counts)                                                                        \
                    sum[r] += out[i * rows + r];                                                   \
                else                                                                               \
                    out[i * rows + r] = x * scale;                                                 \
            }                                                                                      \
        }                                                                                          \
        for (size_t r = 0; r < rows && log; r++)                                                   \
            sum[r] = log##w(sum[r]);                                                               \
        for (uint32_t i = 0; i < inner; i++)                                                       \
            for (size_t r = 0; r < rows; r++)                                                      \
                out[i * rows + r] = log ? out[i * rows + r] - sum[r] : out[i * rows + r] / sum[r]; \
    }                                                                                              \
    static void softmax##w(void *vo, const void *va, size_t rows, uint32_t groups, uint32_t inner, \
                           bool log, bool zero)                                                    \
    {                                                                                              \
        type *out = vo;                                                                            \
        const type *a = va;                                                                        \
        for (uint32_t g = 0; g < groups; g++)                                                      \
            softmax_group##w(out + g * (size_t)inner * rows, a + g * (size_t)inner * rows, rows,   \
                             inner, log, zero);                                                    \
    }

SOFTMAX(32, float)
SOFTMAX(64, double)

/* ---- products ---- */

/* The definition, and the way where there are no vectors of fused multiply-adds. */
#define PRODUCT_PLAIN(w, type, fma_)                                                               \
    __attribute__((unused)) static void product_plain##w(                                          \
        type *out, const type *x, size_t rows, size_t from, size_t to, uint32_t k, uint32_t n,     \
        uint32_t first, const type *weights, const type *bias, bool relu)                          \
    {                                                                                              \
        for (uint32_t j = first; j < n; j++)                                                       \
            for (size_t r = from; r < to; r++) {                                                   \
                type sum = 0;                                                                      \
                for (uint32_t i = 0; i < k; i++)                                                   \
                    sum = fma_(x[i * rows + r], weights[(size_t)i * n + j], sum);                  \
                sum = bias != NULL ? sum + bias[j] : sum;                                          \
                out[j * rows + r] = relu && sum < 0 ? 0 : sum;                                     \
            }                                                                                      \
    }

PRODUCT_PLAIN(32, float, fmaf)
PRODUCT_PLAIN(64, double, fma)

#ifdef PRODUCT_LANES

#define V          V32
#define SCALAR     float
#define W(name)    name##32
#define FMA_SCALAR fmaf
#include "model/net_product.h"
#undef V
#undef SCALAR
#undef W
#undef FMA_SCALAR
#define V          V64
#define SCALAR     double
#define W(name)    name##64
#define FMA_SCALAR fma
#include "model/net_product.h"

#else

static void product32(void *out, const void *x, size_t rows, uint32_t k, uint32_t n,
                      const void *weights, const void *bias, bool relu)
{
    product_plain32(out, x, rows, 0, rows, k, n, 0, weights, bias, relu);
}

static void product64(void *out, const void *x, size_t rows, uint32_t k, uint32_t n,
                      const void *weights, const void *bias, bool relu)
{
    product_plain64(out, x, rows, 0, rows, k, n, 0, weights, bias, relu);
}

#endif

/* ---- the table ---- */

#define BOTH(name)                                                                                 \
    {                                                                                              \
        [MR_TENSOR_FLOAT32] = name##32, [MR_TENSOR_FLOAT64] = name##64                             \
    }
#define NUMBERS(name)                                                                              \
    {                                                                                              \
        [MR_TENSOR_FLOAT32] = name##32, [MR_TENSOR_FLOAT64] = name##64,                            \
        [MR_TENSOR_INT64] = name##_int                                                             \
    }
#define BOOLS(name)                                                                                \
    {                                                                                              \
        [MR_TENSOR_BOOL] = name##_bool                                                             \
    }
#define ALL(name)                                                                                  \
    {                                                                                              \
        [MR_TENSOR_FLOAT32] = name##32, [MR_TENSOR_FLOAT64] = name##64,                            \
        [MR_TENSOR_INT64] = name##_int, [MR_TENSOR_BOOL] = name##_bool,                            \
        [MR_TENSOR_TEXT] = name##_text                                                             \
    }

const mr_net_kernels KERNELS = {
    .name = KERNELS_NAME,
    .runs_here = RUNS_HERE,
    .maps = {[MR_NET_COPY] = ALL(copy),
             [MR_NET_NEG] = NUMBERS(neg),
             [MR_NET_ABS] = NUMBERS(abs),
             [MR_NET_SIGN] = NUMBERS(sign),
             [MR_NET_SQRT] = BOTH(square_root),
             [MR_NET_EXP] = BOTH(exponential),
             [MR_NET_LOG] = BOTH(logarithm),
             [MR_NET_FLOOR] = BOTH(down),
             [MR_NET_CEIL] = BOTH(up),
             [MR_NET_ROUND] = BOTH(even),
             [MR_NET_RECIPROCAL] = BOTH(reciprocal),
             [MR_NET_SIGMOID] = BOTH(sigmoid_map),
             [MR_NET_LOGISTIC] = BOTH(logistic_map),
             [MR_NET_TANH] = BOTH(tanh_map),
             [MR_NET_RELU] = NUMBERS(relu),
             [MR_NET_LEAKY_RELU] = BOTH(leaky_relu),
             [MR_NET_ELU] = BOTH(elu),
             [MR_NET_SELU] = BOTH(selu),
             [MR_NET_HARD_SIGMOID] = BOTH(hard_sigmoid),
             [MR_NET_SOFTPLUS] = BOTH(softplus_map),
             [MR_NET_SOFTSIGN] = BOTH(softsign),
             [MR_NET_ERF] = BOTH(erf_map),
             [MR_NET_PROBIT] = BOTH(probit_map),
             [MR_NET_NOT] = BOOLS(not ),
             [MR_NET_IS_NAN] = BOTH(is_nan),
             [MR_NET_ADD] = NUMBERS(add),
             [MR_NET_SUB] = NUMBERS(sub),
             [MR_NET_MUL] = NUMBERS(mul),
             [MR_NET_DIV] = NUMBERS(div),
             [MR_NET_POW] = BOTH(pow_map),
             [MR_NET_MAX] = NUMBERS(max),
             [MR_NET_MIN] = NUMBERS(min),
             [MR_NET_EQUAL] = ALL(equal),
             [MR_NET_LESS] = NUMBERS(less),
             [MR_NET_LESS_EQUAL] = NUMBERS(less_equal),
             [MR_NET_AND] = BOOLS(and),
             [MR_NET_OR] = BOOLS(or),
             [MR_NET_XOR] = BOOLS(xor),
             [MR_NET_WHERE] = ALL(where)},
    .casts = {[MR_TENSOR_FLOAT32] = {copy32, cast_32_64, cast_32_int, cast_32_bool, NULL},
              [MR_TENSOR_FLOAT64] = {cast_64_32, copy64, cast_64_int, cast_64_bool, NULL},
              [MR_TENSOR_INT64] = {cast_int_32, cast_int_64, copy_int, cast_int_bool, NULL},
              [MR_TENSOR_BOOL] = {cast_bool_32, cast_bool_64, cast_bool_int, copy_bool, NULL},
              [MR_TENSOR_TEXT] = {NULL, NULL, NULL, NULL, copy_text}},
    .product32 = product32,
    .product64 = product64,
    .softmax32 = softmax32,
    .softmax64 = softmax64,
    .reduce32 = reduce32,
    .reduce64 = reduce64,
};
