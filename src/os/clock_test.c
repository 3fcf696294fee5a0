/* clock_test.c -- clocks go forward, and seeded randomness is the published one. */
#include "os/clock.h"
#include "test/test.h"

#include <string.h>

TEST(clock, real_time_passes)
{
    mr_clock *clock = mr_clock_real();
    int64_t start_ns = clock->mono_ns(clock);
    clock->sleep_ns(clock, 2000000);
    clock->sleep_ns(clock, -1);
    assert_true(clock->mono_ns(clock) - start_ns >= 2000000);
    assert_true(clock->wall_us(clock) > INT64_C(1700000000000000)); /* after November 2023 */
}

TEST(clock, simulated_time_stands_still)
{
    mr_clock_sim sim;
    mr_clock_sim_init(&sim, 1700000000000000);
    mr_clock *clock = &sim.clock;
    int64_t start_ns = clock->mono_ns(clock);
    assert_int_equal(clock->wall_us(clock), 1700000000000000);
    assert_int_equal(clock->mono_ns(clock), start_ns);
    clock->sleep_ns(clock, 1500);
    mr_clock_sim_advance(&sim, 500);
    clock->sleep_ns(clock, -5);
    assert_int_equal(clock->mono_ns(clock) - start_ns, 2000);
    assert_int_equal(clock->wall_us(clock), 1700000000000002);
}

/* From the algorithms as published: xoshiro256** from state 1 2 3 4, and SplitMix64 from 1234567. */
TEST(random, known_answers)
{
    static const uint64_t xoshiro[] = {11520u,
                                       0u,
                                       1509978240u,
                                       1215971899390074240u,
                                       1216172134540287360u,
                                       607988272756665600u,
                                       16172922978634559625u,
                                       8476171486693032832u,
                                       10595114339597558777u,
                                       2904607092377533576u};
    mr_random_seeded random;
    mr_random_seeded_init(&random, 1234567);
    static const uint64_t splitmix[] = {6457827717110365317u, 3203168211198807973u,
                                        9817491932198370423u, 4593380528125082431u};
    assert_memory_equal(random.state, splitmix, sizeof splitmix);
    for (uint64_t i = 0; i < 4; i++)
        random.state[i] = i + 1;
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(mr_random_next(&random), xoshiro[i]);
}

TEST(random, fills_little_endian_and_again_the_same)
{
    mr_random_seeded a, b;
    mr_random_seeded_init(&a, 7);
    mr_random_seeded_init(&b, 7);
    uint8_t bytes[19];
    a.random.fill(&a.random, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes;) {
        uint64_t word = mr_random_next(&b);
        for (size_t k = 0; k < 8 && i < sizeof bytes; k++, i++)
            assert_int_equal(bytes[i], word >> (8 * k) & 0xff);
    }
}

TEST(random, below_is_even_and_in_range)
{
    mr_random_seeded random = mr_test_random(1);
    uint32_t counts[7] = {0};
    for (int i = 0; i < 70000; i++)
        counts[mr_random_below(&random, 7)]++;
    for (size_t i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500); /* 5 sigma are 463 */
    for (int i = 0; i < 100; i++) {
        assert_int_equal(mr_random_below(&random, 1), 0);
        assert_true(mr_random_below(&random, UINT64_C(3) << 62) < UINT64_C(3) << 62);
        double unit = mr_random_unit(&random);
        assert_true(unit >= 0 && unit < 1);
    }
}

TEST(random, real_randomness_differs)
{
    uint8_t a[32] = {0}, b[32] = {0};
    mr_random_real()->fill(mr_random_real(), a, sizeof a);
    mr_random_real()->fill(mr_random_real(), b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}
