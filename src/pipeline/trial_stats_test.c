/* trial_stats_test.c -- the promises of trial_stats.h, against known truth. */
#include "pipeline/trial_stats.h"

#include "base/assert.h"
#include "test/test.h"

#include <math.h>

#define RUNS  10000
#define ALPHA 0.05

static double uniform(mr_random_seeded *random)
{
    return mr_random_unit(random) + 0x1p-54;
}

static double normal(mr_random_seeded *random)
{
    return sqrt(-2 * log(uniform(random))) * cos(6.283185307179586 * uniform(random));
}

/* One run of paired differences, looked at after each. Returns how many looks it took to be sure, 0: never. */
static uint64_t paired_run(mr_random_seeded *random, double effect, uint64_t length, double scale,
                           bool *out_covered)
{
    trial_mean mean = {0};
    uint64_t sure = 0;
    *out_covered = true;
    for (uint64_t i = 1; i <= length; i++) {
        trial_mean_add(&mean, effect + normal(random));
        trial_effect known = trial_paired(&mean, scale, ALPHA);
        if (known.p < ALPHA && sure == 0)
            sure = i;
        *out_covered = *out_covered && known.low <= effect && effect <= known.high;
    }
    return sure;
}

TEST(trial_stats, equals_looked_at_all_the_time_are_told_apart_less_often_than_declared)
{
    mr_random_seeded random = mr_test_random(1);
    uint64_t alarms = 0, missed = 0;
    for (int run = 0; run < RUNS; run++) {
        bool covered;
        alarms += paired_run(&random, 0, 1000, 0.1, &covered) > 0;
        missed += !covered;
    }
    print_message("A/A of means, %d runs of 1000 looks: %.2f %% false alarms, %.2f %% declared\n",
                  RUNS, 100.0 * (double)alarms / RUNS, 100 * ALPHA);
    assert_true((double)alarms < ALPHA * RUNS);
    assert_true((double)missed < ALPHA * RUNS);
    assert_true(alarms > 0);
}

TEST(trial_stats, a_real_effect_is_found_and_covered)
{
    mr_random_seeded random = mr_test_random(2);
    uint64_t found = 0, missed = 0, looks = 0;
    for (int run = 0; run < 500; run++) {
        bool covered;
        uint64_t sure = paired_run(&random, 0.1, 4000, 0.1, &covered);
        found += sure > 0;
        looks += sure;
        missed += !covered;
    }
    print_message("effect of 0.1 sd: found in %.1f %% of runs, after %.0f on average\n",
                  (double)found / 5, (double)looks / (double)found);
    assert_true(found >= 495);
    assert_true((double)missed <= ALPHA * 500);
}

TEST(trial_stats, equal_arms_of_rare_events_are_told_apart_less_often_than_declared)
{
    mr_random_seeded random = mr_test_random(3);
    uint64_t alarms = 0;
    for (int run = 0; run < RUNS; run++) {
        trial_mean a = {0}, b = {0};
        bool alarm = false;
        for (int i = 0; i < 1000; i++) {
            bool arm = mr_random_below(&random, 4) == 0;
            trial_mean_add(arm ? &b : &a, mr_random_below(&random, 50) == 0);
            alarm = alarm || trial_between(&a, &b, 0.02, ALPHA).p < ALPHA;
        }
        alarms += alarm;
    }
    print_message("A/A of arms 3:1 with events of 2 %%: %.2f %% false alarms\n",
                  100.0 * (double)alarms / RUNS);
    assert_true((double)alarms < ALPHA * RUNS);
}

TEST(trial_stats, between_arms_a_real_effect_is_found)
{
    mr_random_seeded random = mr_test_random(4);
    uint64_t found = 0, wrong = 0;
    for (int run = 0; run < 300; run++) {
        trial_mean a = {0}, b = {0};
        trial_effect known = {0};
        for (int i = 0; i < 6000 && !(known.low > 0); i++) {
            trial_mean_add(&a, mr_random_below(&random, 100) < 10);
            trial_mean_add(&b, mr_random_below(&random, 100) < 14);
            known = trial_between(&a, &b, 0.04, ALPHA);
            wrong += known.high < 0;
        }
        found += known.low > 0;
    }
    assert_true(found >= 285);
    assert_int_equal(wrong, 0);
}

TEST(trial_stats, shares_are_covered_from_the_first_record_on)
{
    static const double truths[] = {0.001, 0.01, 0.3, 0.5, 0.97};
    mr_random_seeded random = mr_test_random(5);
    for (size_t t = 0; t < MR_COUNT_OF(truths); t++) {
        uint64_t missed = 0, alarms = 0;
        for (int run = 0; run < 2000; run++) {
            trial_share share = {0};
            bool alarm = false, covered = true;
            for (int i = 0; i < 400; i++) {
                share.count++;
                share.hits += uniform(&random) < truths[t];
                alarm = alarm || trial_share_p(&share, truths[t]) < ALPHA;
                if (i % 40 == 39) {
                    trial_effect known = trial_share_interval(&share, truths[t], ALPHA);
                    covered = covered && known.low <= truths[t] && truths[t] <= known.high;
                    assert_true(known.low <= known.estimate && known.estimate <= known.high);
                }
            }
            alarms += alarm;
            missed += !covered;
        }
        assert_true((double)alarms < ALPHA * 2000);
        assert_true((double)missed < ALPHA * 2000);
    }
}

TEST(trial_stats, a_wrong_ratio_of_arms_is_seen)
{
    mr_random_seeded random = mr_test_random(6);
    for (int run = 0; run < 100; run++) {
        trial_share share = {0};
        for (int i = 0; i < 4000; i++) {
            share.count++;
            share.hits += uniform(&random) < 0.42;
        }
        assert_true(trial_share_p(&share, 0.5) < 1e-6);
        assert_true(trial_share_chi_square(&share, 0.5) > 30);
    }
}

TEST(trial_stats, the_gamma_function_is_right)
{
    double z = 0.5;
    for (int i = 0; i < 4000; i++, z *= 1.005) {
        double is = trial_log2_gamma(z), should = lgamma(z) / log(2);
        assert_true(fabs(is - should) <= 1e-12 * fmax(1, fabs(should)));
    }
}

TEST(trial_stats, means_merge_as_if_added_one_by_one)
{
    mr_random_seeded random = mr_test_random(7);
    trial_mean all = {0}, parts[3] = {{0}};
    for (int i = 0; i < 3000; i++) {
        double value = 1000 + normal(&random);
        trial_mean_add(&all, value);
        trial_mean_add(&parts[i % 3], value);
    }
    for (int i = 1; i < 3; i++)
        trial_mean_merge(&parts[0], &parts[i]);
    assert_int_equal(parts[0].count, all.count);
    assert_float_equal(parts[0].mean, all.mean, 1e-9);
    assert_float_equal(trial_mean_variance(&parts[0]), trial_mean_variance(&all), 1e-9);
}

TEST(trial_stats, values_that_never_differ_prove_little_at_once)
{
    trial_mean mean = {0};
    for (int i = 0; i < TRIAL_MEAN_MIN; i++)
        trial_mean_add(&mean, 0);
    trial_effect known = trial_paired(&mean, 0.1, ALPHA);
    assert_true(known.low < 0 && known.high > 0 && known.high < 0.1);
    assert_true(known.p == 1);
}

TEST(trial_stats, quantiles_are_within_a_hundredth_and_merge)
{
    mr_random_seeded random = mr_test_random(8);
    static trial_sketch all, half[2];
    all = half[0] = half[1] = (trial_sketch){0};
    for (int i = 0; i < 100000; i++) {
        double value = uniform(&random) - 0.25; /* quantile q is q - 0.25 */
        trial_sketch_add(&all, value);
        trial_sketch_add(&half[i % 2], value);
    }
    trial_sketch_merge(&half[0], &half[1]);
    for (double q = 0.01; q < 1; q += 0.01) {
        double is = trial_sketch_quantile(&all, q);
        assert_true(fabs(is - (q - 0.25)) < 0.01 * fabs(q - 0.25) + 0.005);
        assert_true(is == trial_sketch_quantile(&half[0], q));
    }
}

TEST(trial_stats, a_full_sketch_keeps_what_is_far_from_zero)
{
    mr_random_seeded random = mr_test_random(9);
    static trial_sketch sketch, again;
    sketch = (trial_sketch){0};
    for (int i = 0; i < 50000; i++)
        trial_sketch_add(&sketch, (i % 2 == 0 ? 1 : -1) * exp(-20 + 25 * uniform(&random)));
    assert_int_equal(sketch.count, 50000);
    assert_true(sketch.used <= TRIAL_SKETCH_BUCKETS);
    assert_true(fabs(trial_sketch_quantile(&sketch, 1) - exp(5)) < 0.02 * exp(5));
    assert_true(fabs(trial_sketch_quantile(&sketch, 0) + exp(5)) < 0.02 * exp(5));
    mr_bytes bytes = {0};
    trial_sketch_encode(&sketch, &bytes);
    for (size_t size = 0; size < bytes.size; size += 1 + size / 50) {
        mr_reader cut = mr_reader_of(bytes.data, size);
        assert_false(trial_sketch_decode(&again, &cut));
    }
    mr_reader reader = mr_reader_of(bytes.data, bytes.size);
    assert_true(trial_sketch_decode(&again, &reader));
    assert_int_equal(again.used, sketch.used);
    assert_memory_equal(again.buckets, sketch.buckets, sketch.used * sizeof sketch.buckets[0]);
    mr_bytes_deinit(&bytes);
}

TEST(trial_stats, drift_is_small_between_equals_and_large_after_a_shift)
{
    mr_random_seeded random = mr_test_random(10);
    static trial_sketch reference, equal, shifted;
    reference = equal = shifted = (trial_sketch){0};
    for (int i = 0; i < 5000; i++) {
        trial_sketch_add(&reference, uniform(&random));
        trial_sketch_add(&equal, uniform(&random));
        trial_sketch_add(&shifted, 0.3 + 0.7 * uniform(&random));
    }
    assert_true(trial_psi(&reference, &equal) < 0.02);
    assert_true(trial_psi(&reference, &shifted) > 0.5);
}
