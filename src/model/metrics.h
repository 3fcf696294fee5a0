/* metrics.h -- how good scores are, given what became true. Plain functions over arrays; any thread.
 *
 * Figures that do not exist (one class only, no rows) are NaN. */
#ifndef MR_MODEL_METRICS_H
#define MR_MODEL_METRICS_H

#include "base/status.h"

#include <stddef.h>

typedef struct mr_metrics {
    uint64_t rows, positives;
    double auc_roc; /* chance that a positive scores above a negative; a tie counts half */
    double
        average_precision; /* sum over distinct scores of (recall step) x precision, not interpolated */
    double
        log_loss; /* mean of -ln(probability of what came true), probabilities kept in [1e-15, 1 - 1e-15] */
    double
        precision_at_k; /* share of positives among the k highest; of equal scores the earlier rows */
    uint64_t k;         /* min(k asked for, rows) */
} mr_metrics;

/* scores are probabilities (log_loss) or anything monotonic (the others); labels 0 and 1. */
mr_status mr_metrics_measure(const float *scores, const uint8_t *labels, size_t count, uint64_t k,
                             mr_metrics *out, mr_error *err);
/* Root of the mean squared difference. */
double mr_metrics_rmse(const float *scores, const float *targets, size_t count);

typedef struct mr_grouped_rows {
    const int64_t *period; /* for example the day */
    const int64_t *group;  /* for example the card */
    const float *scores;
    const uint8_t *labels;
    size_t count;
} mr_grouped_rows;

/* Precision among the k best groups of each period, averaged over the periods (ascending) that have rows.
 *
 * A group's score in a period is its largest, its label whether any row there is positive. Of equal scores the
 * smaller group comes first. Each period divides by k even when it has fewer groups. With `drop_found`,
 * positives found among the k are left out of later periods: what was caught is not caught twice. This is the
 * "card precision top-k" of Le Borgne et al., Fraud Detection Handbook, with groups = cards, periods = days. */
mr_status mr_metrics_grouped_precision(const mr_grouped_rows *rows, uint64_t k, bool drop_found,
                                       double *out_mean, mr_error *err);

#endif
