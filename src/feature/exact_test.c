/* exact_test.c -- exact sums against other ways of getting them right. */
#include "feature/exact.h"
#include "test/test.h"

#include <math.h>
#include <stdlib.h>

__extension__ typedef __float128 quad;

static mr_int128 random_int128(mr_random_seeded *random, unsigned bits)
{
    mr_uint128 u = (mr_uint128)mr_random_next(random) << 64 | mr_random_next(random);
    u >>= 128 - bits;
    return mr_random_below(random, 2) == 0 ? (mr_int128)u : -(mr_int128)u;
}

static double random_double(mr_random_seeded *random, int span)
{
    double sign = mr_random_below(random, 2) == 0 ? 1.0 : -1.0;
    return sign * ldexp(mr_random_unit(random) + 0.5,
                        (int)mr_random_below(random, 2 * (uint64_t)span) - span);
}

/* A quotient of 113 bits rounded again is wrong only within 2^-60 of a tie, which these seeds do not meet. */
TEST(exact, mean_is_correctly_rounded)
{
    mr_random_seeded random = mr_test_random(10);
    for (uint64_t i = 0; i < mr_test_rounds(200000); i++) {
        mr_int128 sum = random_int128(&random, 1 + (unsigned)mr_random_below(&random, 112));
        uint64_t count = 1 + (mr_random_next(&random) >> mr_random_below(&random, 63));
        int exponent = (int)mr_random_below(&random, 200) - 150;
        double want = ldexp((double)((quad)sum / (quad)count), exponent);
        double got = mr_exact_mean(sum, exponent, count);
        if (got != want)
            fail_msg("%016llx%016llx * 2^%d / %llu: %.17g, not %.17g",
                     (unsigned long long)(sum >> 64), (unsigned long long)sum, exponent,
                     (unsigned long long)count, got, want);
    }
}

TEST(exact, ties_go_to_even_and_small_numbers_keep_their_bits)
{
    const mr_int128 one = 1;
    assert_true(mr_exact_mean((one << 54) + 2, 0, 1) == 0x1p54);
    assert_true(mr_exact_mean((one << 54) + 6, 0, 1) == 0x1p54 + 8);
    assert_true(mr_exact_mean((one << 100) + (one << 47) + 1, 0, 1) == 0x1p100 + 0x1p48);
    assert_true(mr_exact_mean(1, -1074, 1) == 0x1p-1074);
    assert_true(mr_exact_mean(1, -1074, 2) == 0.0);
    assert_true(mr_exact_mean(3, -1074, 2) == 0x1p-1073);
    assert_true(mr_exact_mean(-5, -1074, 2) == -0x1p-1073);
    assert_true(mr_exact_mean(one << 120, 904, 1) == (double)INFINITY);
    assert_true(mr_exact_mean((one << 54) - 1, 970, 1) == (double)INFINITY);
    assert_true(mr_exact_mean((one << 53) - 1, 971, 1) == 0x1.fffffffffffffp1023);
    assert_true(mr_exact_mean(one << 120, 904, 2) == 0x1p1023);
}

/* Shewchuk's partials, rounded as in Python's math.fsum: another exact sum. */
static double fsum(const double *values, size_t count)
{
    double partials[2200] = {0}, high = 0.0, low = 0.0;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        double x = values[i];
        size_t kept = 0;
        for (size_t k = 0; k < used; k++) {
            double y = partials[k];
            if (fabs(x) < fabs(y)) {
                double swap = x;
                x = y;
                y = swap;
            }
            high = x + y;
            low = y - (high - x);
            if (low != 0.0)
                partials[kept++] = low;
            x = high;
        }
        partials[kept] = x;
        used = kept + 1;
    }
    size_t n = used;
    high = n > 0 ? partials[--n] : 0.0;
    for (low = 0.0; n > 0 && low == 0.0;) {
        double x = high, y = partials[--n];
        high = x + y;
        low = y - (high - x);
    }
    if (n > 0 && ((low < 0.0 && partials[n - 1] < 0.0) || (low > 0.0 && partials[n - 1] > 0.0))) {
        double y = low * 2.0, x = high + y;
        if (y == x - high)
            high = x;
    }
    return high;
}

TEST(exact, super_sums_any_doubles)
{
    mr_random_seeded random = mr_test_random(11);
    double values[300];
    for (uint64_t round = 0; round < mr_test_rounds(500); round++) {
        size_t count = 1 + (size_t)mr_random_below(&random, 300);
        int span = 1 + (int)mr_random_below(&random, 1000);
        mr_super super = {{0}};
        for (size_t i = 0; i < count; i++) {
            int exponent;
            values[i] = i > 0 && mr_random_below(&random, 4) == 0 ? -values[i - 1]
                                                                  : random_double(&random, span);
            int64_t m = mr_exact_split(values[i], &exponent);
            mr_super_add_int(&super, m, exponent);
        }
        assert_true(mr_super_mean(&super, 1) == fsum(values, count));
        for (size_t i = 0; i < count; i++) { /* taking all back leaves nothing */
            int exponent;
            int64_t m = mr_exact_split(values[i], &exponent);
            mr_super_add_int(&super, -m, exponent);
        }
        uint32_t first, used;
        mr_super_span(&super, &first, &used);
        assert_int_equal(used, 0);
    }
}

/* Integers small enough for the numerator to be exact in a double: one correctly rounded division. */
TEST(exact, variance_has_no_cancellation)
{
    mr_random_seeded random = mr_test_random(12);
    for (uint64_t round = 0; round < mr_test_rounds(2000); round++) {
        uint64_t n = 2 + mr_random_below(&random, 50);
        int64_t offset = (int64_t)mr_random_below(&random, 1u << 30), small = 0;
        int64_t numerator = 0;
        mr_int128 sum = 0;
        mr_square squares = {{0}};
        mr_super wide = {{0}}, wide_squares = {{0}};
        int64_t total = 0, total_squares = 0;
        for (uint64_t i = 0; i < n; i++) {
            small = (int64_t)mr_random_below(&random, 1000);
            int64_t x = offset * 8388608 + small; /* a mean 10^12 times the deviation */
            mr_square square = mr_square_of((uint64_t)x);
            mr_square_add(&squares, &square);
            mr_super_add(&wide_squares, square.words, 4, 0, false);
            mr_super_add_int(&wide, x, 0);
            sum += x;
            total += small;
            total_squares += small * small;
        }
        numerator = (int64_t)n * total_squares - total * total;
        double want = (double)numerator / (double)(n * (n - 1));
        assert_true(mr_exact_variance(sum, &squares, 0, n, n - 1) == want);
        assert_true(mr_super_variance(&wide, &wide_squares, n, n - 1) == want);
    }
}

TEST(exact, squares_shift_add_and_go_back)
{
    mr_random_seeded random = mr_test_random(13);
    for (int i = 0; i < 1000; i++) {
        mr_square a = mr_square_of(mr_random_next(&random)),
                  b = mr_square_of(mr_random_next(&random)), c = a;
        unsigned shift = (unsigned)mr_random_below(&random, 128);
        mr_square moved = mr_square_shift(&a, shift);
        assert_int_equal(mr_square_bits(&moved), mr_square_bits(&a) + (int)shift);
        mr_square_add(&c, &b);
        mr_square_subtract(&c, &b);
        assert_memory_equal(&a, &c, sizeof a);
    }
}

TEST(exact, steady_functions_are_close_to_libm)
{
    mr_random_seeded random = mr_test_random(14);
    for (int i = 0; i < 20000; i++) {
        double x = (mr_random_unit(&random) - 0.5) * 1900.0, y = fabs(random_double(&random, 1000));
        assert_true(fabs(mr_steady_exp2(x) - exp2(x)) <= 1e-15 * exp2(x));
        assert_true(fabs(mr_steady_log2(y) - log2(y)) <= 1e-15 * (fabs(log2(y)) + 1e-3));
    }
    assert_true(mr_steady_exp2(0.0) == 1.0 && mr_steady_exp2(-2000.0) == 0.0 &&
                mr_steady_log2(1.0) == 0.0);
    assert_true(mr_steady_log2(0x1p-1074) == -1074.0 && mr_steady_exp2(10.0) == 1024.0);
}
