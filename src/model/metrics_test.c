/* metrics_test.c -- metrics against their definitions, counted pair by pair. */
#include "test/test.h"

#include "base/assert.h"
#include "model/metrics.h"

#include <math.h>

static double auc_by_pairs(const float *scores, const uint8_t *labels, size_t n)
{
    double won = 0, pairs = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if (labels[i] && !labels[j]) {
                pairs++;
                won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
            }
    return won / pairs;
}

/* Over every distinct score as threshold: (recall step) x precision. */
static double precision_by_thresholds(const float *scores, const uint8_t *labels, size_t n)
{
    double sum = 0, positives = 0;
    for (size_t i = 0; i < n; i++)
        positives += labels[i];
    for (size_t i = 0; i < n; i++) {
        double above = 0, true_above = 0, true_here = 0;
        bool first = true;
        for (size_t j = 0; j < n; j++) {
            first = first && !(j < i && scores[j] == scores[i]);
            above += scores[j] >= scores[i];
            true_above += scores[j] >= scores[i] && labels[j];
            true_here += scores[j] == scores[i] && labels[j];
        }
        sum += first ? true_here / positives * true_above / above : 0;
    }
    return sum;
}

TEST(metrics, equal_their_definitions_with_ties)
{
    mr_random_seeded random = mr_test_random(1);
    for (int round = 0; round < 50; round++) {
        float scores[60];
        uint8_t labels[60];
        size_t n = 2 + mr_random_below(&random, 58);
        for (size_t i = 0; i < n; i++) {
            scores[i] = (float)mr_random_below(&random, 12) / 12.0f;
            labels[i] = i < 2 ? (uint8_t)i : (uint8_t)mr_random_below(&random, 2);
        }
        mr_metrics got;
        mr_error err = {0};
        assert_ok(mr_metrics_measure(scores, labels, n, 5, &got, &err), &err);
        assert_true(fabs(got.auc_roc - auc_by_pairs(scores, labels, n)) < 1e-12);
        assert_true(fabs(got.average_precision - precision_by_thresholds(scores, labels, n)) <
                    1e-12);
    }
}

TEST(metrics, precision_at_k_and_log_loss_by_hand)
{
    mr_metrics got;
    mr_error err = {0};
    const float scores[] = {0.9f, 0.5f, 0.5f, 0.1f};
    const uint8_t labels[] = {1, 0, 1, 0};
    assert_ok(mr_metrics_measure(scores, labels, 4, 2, &got, &err), &err);
    assert_true(got.precision_at_k == 0.5); /* of the two at 0.5 the earlier one counts */
    assert_true(fabs(got.log_loss + (log(0.9) + log(0.5) * 2 + log(0.9)) / 4) < 1e-7);
    assert_ok(mr_metrics_measure(scores, labels, 4, 100, &got, &err), &err);
    assert_int_equal(got.k, 4);
    assert_ok(mr_metrics_measure(scores, labels, 0, 2, &got, &err), &err);
    assert_true(isnan(got.auc_roc) && isnan(got.average_precision) && isnan(got.log_loss) &&
                isnan(got.precision_at_k));
    const uint8_t ones[] = {1, 1};
    assert_ok(mr_metrics_measure(scores, ones, 2, 2, &got, &err), &err);
    assert_true(isnan(got.auc_roc) && got.average_precision == 1.0);
}

TEST(metrics, grouped_precision_leaves_out_what_was_found)
{
    /* Day 1: cards 7 (fraud, best), 8, 9. Day 2: card 7 is fraud again and best again; card 9 is second. */
    const int64_t days[] = {1, 1, 1, 1, 2, 2, 2}, cards[] = {7, 8, 9, 7, 7, 9, 8};
    const float scores[] = {0.9f, 0.4f, 0.4f, 0.1f, 0.9f, 0.8f, 0.1f};
    const uint8_t labels[] = {1, 0, 1, 0, 1, 1, 0};
    mr_grouped_rows rows = {days, cards, scores, labels, 7};
    double mean;
    mr_error err = {0};
    assert_ok(mr_metrics_grouped_precision(&rows, 1, true, &mean, &err), &err);
    assert_true(mean == 1.0); /* day 2 finds card 9, because card 7 is out */
    assert_ok(mr_metrics_grouped_precision(&rows, 2, true, &mean, &err), &err);
    assert_true(mean == 0.5); /* day 1: 7 and 8 (tie: smaller card), day 2: 9 and 8 */
    assert_ok(mr_metrics_grouped_precision(&rows, 2, false, &mean, &err), &err);
    assert_true(mean == 0.75); /* day 2 keeps 7 and 9 */
    assert_int_equal(mr_metrics_grouped_precision(&rows, 0, false, &mean, &err), MR_INVALID);
}
