/* trial_stats.h -- tests that may be looked at all the time: what a rollout rests on. Pure, of values alone.
 *
 * A test with a fixed end, looked at daily, says "better" of equals about every third time. These keep their word under
 * any stopping rule, because each rests on a supermartingale and Ville's inequality: P(ever above 1/a) <= a.
 *
 *   mean .... mixture of normals (Robbins 1970; mSPRT: Johari, Pekelis, Walsh, "Always valid inference", 2015):
 *             with an estimate d of variance v and prior N(0, t^2) on the effect
 *               L = sqrt(v / (v + t^2)) exp(t^2 d^2 / (2 v (v + t^2))),   p = min 1/L
 *             and the confidence sequence is all theta that L(d - theta) does not reject. v is estimated, so it holds
 *             in the limit, from TRIAL_MEAN_MIN observations on (Waudby-Smith et al., "Time-uniform central limit
 *             theory", 2021).
 *   share ... mixture of binomials with Beta(1/2, 1/2) (Robbins; Krichevsky, Trofimov 1981): exact from the first
 *             observation on. Shares of arms against what was declared are checked with it, too (Lindon, Malek,
 *             "Anytime-valid inference for multinomial count data", 2022).
 *   sketch .. DDSketch's buckets (Masson, Rim, Lee 2019): quantiles within 1 %, merged without loss; when it is full,
 *             what lies nearest to zero goes into one bucket.
 *
 * Only + - * / and sqrt, and logarithms made of them: the same bits on every machine. */
#ifndef MR_PIPELINE_TRIAL_STATS_H
#define MR_PIPELINE_TRIAL_STATS_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

#define TRIAL_MEAN_MIN       50
#define TRIAL_SKETCH_BUCKETS 1024
#define TRIAL_PSI_BINS       10

/* ---- means ---- */

typedef struct trial_mean {
    uint64_t count;
    double mean;
    double squares; /* sum of squared distances from the mean (Welford 1962) */
} trial_mean;

void trial_mean_add(trial_mean *mean, double value);
void trial_mean_merge(trial_mean *to, const trial_mean *from); /* Chan, Golub, LeVeque 1979 */
double trial_mean_variance(const trial_mean *mean);            /* of one observation; 0: unknown */

/* What is known of an effect at one look. */
typedef struct trial_effect {
    uint64_t count;
    double estimate;
    double low, high; /* the confidence sequence at this look: infinite while nothing is known */
    double p;         /* of "no effect", at this look: the running minimum is always valid */
} trial_effect;

/* `scale` is the prior's t: the effect that is looked for. */
trial_effect trial_paired(const trial_mean *differences, double scale, double alpha);
/* The mean of b less the mean of a. */
trial_effect trial_between(const trial_mean *a, const trial_mean *b, double scale, double alpha);

/* ---- shares ---- */

typedef struct trial_share {
    uint64_t count;
    uint64_t hits;
} trial_share;

double trial_share_estimate(const trial_share *share); /* 0 when nothing was seen */
/* Of "the share is `expected`". */
double trial_share_p(const trial_share *share, double expected);
trial_effect trial_share_interval(const trial_share *share, double expected, double alpha);
/* The classical statistic with one degree of freedom, for people. */
double trial_share_chi_square(const trial_share *share, double expected);

/* ---- distributions ---- */

typedef struct trial_bucket {
    int64_t key;
    uint64_t count;
} trial_bucket;

typedef struct trial_sketch {
    uint64_t count;
    uint32_t used;
    trial_bucket buckets[TRIAL_SKETCH_BUCKETS]; /* by key */
} trial_sketch;

void trial_sketch_add(trial_sketch *sketch, double value); /* NaN is left out */
void trial_sketch_merge(trial_sketch *to, const trial_sketch *from);
double trial_sketch_quantile(const trial_sketch *sketch, double q); /* NaN when empty */
void trial_sketch_encode(const trial_sketch *sketch, mr_bytes *out);
bool trial_sketch_decode(trial_sketch *sketch, mr_reader *from);
/* Population stability index over the reference's tenths: below 0.1 is called stable, above 0.25 shifted. */
double trial_psi(const trial_sketch *reference, const trial_sketch *now);

/* log2 of the gamma function, z > 0; error below 1e-12 relative to max(1, its value). */
double trial_log2_gamma(double z);

#endif
