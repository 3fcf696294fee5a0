/* trial_stats.c -- tests that may be looked at all the time. */
#include "pipeline/trial_stats.h"

#include "base/assert.h"
#include "feature/exact.h"
#include "feature/table.h"

#include <math.h>
#include <string.h>

#define LN2       0.69314718055994530942
#define LOG2_E    1.44269504088896340736
#define SMALLEST  1e-9 /* scores differ by no less, or not at all */
#define SHARE_CUT 60   /* bisections */

/* ---- means ---- */

void trial_mean_add(trial_mean *mean, double value)
{
    mean->count++;
    double step = value - mean->mean;
    mean->mean += step / (double)mean->count;
    mean->squares += step * (value - mean->mean);
}

void trial_mean_merge(trial_mean *to, const trial_mean *from)
{
    if (from->count == 0)
        return;
    double a = (double)to->count, b = (double)from->count, step = from->mean - to->mean;
    to->squares += from->squares + step * step * (a * b / (a + b));
    to->mean += step * (b / (a + b));
    to->count += from->count;
}

double trial_mean_variance(const trial_mean *mean)
{
    return mean->count > 1 ? MR_MAX(mean->squares, 0.0) / (double)(mean->count - 1) : 0;
}

static trial_effect unknown(uint64_t count, double estimate)
{
    return (trial_effect){count, estimate, -INFINITY, INFINITY, 1};
}

/* An estimate d with variance v, under the prior N(0, t^2). */
static trial_effect mixture(uint64_t count, double d, double v, double scale, double alpha)
{
    double t = scale * scale;
    double spread = 0.5 * LN2 * mr_steady_log2((v + t) / v); /* ln sqrt((v + t) / v) */
    double evidence = t * d * d / (2 * v * (v + t)) - spread;
    double wanted = LN2 * mr_steady_log2(1 / alpha);
    double radius = sqrt(2 * v * (v + t) / t * (wanted + spread));
    double p = evidence <= 0 ? 1 : evidence > 700 ? 0 : mr_steady_exp2(-evidence * LOG2_E);
    return (trial_effect){count, d, d - radius, d + radius, p};
}

/* Values that never differ: a variance of nothing proves as little as one observation. The floor is what a difference
 * of one scale, seen once among them, would have made. */
static double variance_of_mean(const trial_mean *mean, double scale)
{
    double n = (double)mean->count, floor = scale * scale / n;
    return MR_MAX(trial_mean_variance(mean), floor) / n;
}

trial_effect trial_paired(const trial_mean *differences, double scale, double alpha)
{
    if (differences->count < TRIAL_MEAN_MIN)
        return unknown(differences->count, differences->mean);
    return mixture(differences->count, differences->mean, variance_of_mean(differences, scale),
                   scale, alpha);
}

/* Of the difference. Of rare events the smaller arm alone knows its variance badly, and knows it least when its mean is
 * off: what both arms know together counts, when that is more. */
static double variance_between(const trial_mean *a, const trial_mean *b, double scale)
{
    trial_mean both = *a;
    trial_mean_merge(&both, b);
    double pooled = trial_mean_variance(&both) * (1 / (double)a->count + 1 / (double)b->count);
    return MR_MAX(variance_of_mean(a, scale) + variance_of_mean(b, scale), pooled);
}

trial_effect trial_between(const trial_mean *a, const trial_mean *b, double scale, double alpha)
{
    uint64_t least = MR_MIN(a->count, b->count);
    double d = least > 0 ? b->mean - a->mean : 0;
    if (least < TRIAL_MEAN_MIN)
        return unknown(least, d);
    return mixture(least, d, variance_between(a, b, scale), scale, alpha);
}

/* ---- shares ---- */

double trial_log2_gamma(double z)
{
    double product = 1;
    for (; z < 12; z += 1)
        product *= z;
    double r = 1 / z, r2 = r * r;
    double series =
        r * (1.0 / 12 - r2 * (1.0 / 360 - r2 * (1.0 / 1260 - r2 * (1.0 / 1680 - r2 / 1188))));
    double half_log2_2pi = 1.3257480647361593990;
    return (z - 0.5) * mr_steady_log2(z) + (series - z) * LOG2_E + half_log2_2pi -
           mr_steady_log2(product);
}

/* log2 of what Beta(1/2, 1/2) on average gives such a sequence. */
static double log2_mixture(const trial_share *share)
{
    double hits = (double)share->hits, rest = (double)(share->count - share->hits);
    double log2_pi = 1.6514961294723187980; /* Gamma(1/2)^2 */
    return trial_log2_gamma(hits + 0.5) + trial_log2_gamma(rest + 0.5) -
           trial_log2_gamma(hits + rest + 1) - log2_pi;
}

static double log2_or_none(double count, double p)
{
    return count == 0 ? 0 : p <= 0 ? -INFINITY : count * mr_steady_log2(p);
}

static double log2_plain(const trial_share *share, double p)
{
    return log2_or_none((double)share->hits, p) +
           log2_or_none((double)(share->count - share->hits), 1 - p);
}

double trial_share_estimate(const trial_share *share)
{
    return share->count > 0 ? (double)share->hits / (double)share->count : 0;
}

double trial_share_p(const trial_share *share, double expected)
{
    double evidence = log2_mixture(share) - log2_plain(share, expected);
    return evidence <= 0 ? 1 : evidence > 1000 ? 0 : mr_steady_exp2(-evidence);
}

/* Where between `in`, which is believed, and `out` belief ends. */
static double bisect(const trial_share *share, double mix, double wanted, double in, double out)
{
    if (mix - log2_plain(share, out) < wanted)
        return out;
    for (int i = 0; i < SHARE_CUT; i++) {
        double middle = (in + out) / 2;
        if (mix - log2_plain(share, middle) < wanted)
            in = middle;
        else
            out = middle;
    }
    return out;
}

trial_effect trial_share_interval(const trial_share *share, double expected, double alpha)
{
    double estimate = trial_share_estimate(share), mix = log2_mixture(share);
    double wanted = mr_steady_log2(1 / alpha);
    trial_effect effect = {share->count, estimate, 0, 1, trial_share_p(share, expected)};
    if (share->count == 0)
        return effect;
    effect.low = bisect(share, mix, wanted, estimate, 0);
    effect.high = bisect(share, mix, wanted, estimate, 1);
    return effect;
}

double trial_share_chi_square(const trial_share *share, double expected)
{
    double n = (double)share->count, wanted = n * expected;
    if (!(wanted > 0) || !(wanted < n))
        return 0;
    double off = (double)share->hits - wanted;
    return off * off / wanted + off * off / (n - wanted);
}

/* ---- distributions ---- */

static uint32_t find(const trial_sketch *sketch, int64_t key)
{
    uint32_t low = 0, high = sketch->used;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sketch->buckets[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t distance(const trial_sketch *sketch, uint32_t at)
{
    int64_t key = at < sketch->used ? sketch->buckets[at].key : INT64_MAX;
    return key < 0 ? -key : key;
}

/* The one nearer to zero of the buckets below and at `at`. */
static uint32_t nearer(const trial_sketch *sketch, uint32_t at)
{
    return at > 0 && distance(sketch, at - 1) < distance(sketch, at) ? at - 1 : at;
}

/* The two buckets nearest to zero become one, of zero. */
static void fold(trial_sketch *sketch)
{
    uint32_t zero = nearer(sketch, find(sketch, 0));
    sketch->buckets[zero].key = 0;
    bool below = zero > 0 && distance(sketch, zero - 1) < distance(sketch, zero + 1);
    uint32_t left = below ? zero - 1 : zero;
    trial_bucket *pair = &sketch->buckets[left];
    pair[0] = (trial_bucket){0, pair[0].count + pair[1].count};
    memmove(pair + 1, pair + 2, (sketch->used - left - 2) * sizeof *pair);
    sketch->used--;
}

static void put(trial_sketch *sketch, int64_t key, uint64_t count)
{
    uint32_t at = find(sketch, key);
    sketch->count += count;
    if (at < sketch->used && sketch->buckets[at].key == key) {
        sketch->buckets[at].count += count;
        return;
    }
    if (sketch->used == TRIAL_SKETCH_BUCKETS) {
        fold(sketch);
        at = find(sketch, key);
    }
    memmove(&sketch->buckets[at + 1], &sketch->buckets[at],
            (sketch->used - at) * sizeof sketch->buckets[0]);
    sketch->buckets[at] = (trial_bucket){key, count};
    sketch->used++;
}

void trial_sketch_add(trial_sketch *sketch, double value)
{
    double clipped = MR_MIN(MR_MAX(value, -1e300), 1e300);
    if (value == value)
        put(sketch, fabs(value) < SMALLEST ? 0 : mr_sketch_key(clipped), 1);
}

void trial_sketch_merge(trial_sketch *to, const trial_sketch *from)
{
    for (uint32_t i = 0; i < from->used; i++)
        put(to, from->buckets[i].key, from->buckets[i].count);
}

/* The bucket in which the record of that rank lies. */
static uint32_t bucket_at(const trial_sketch *sketch, double q)
{
    double rank = q * (double)(sketch->count - 1), seen = 0;
    uint32_t i = 0;
    for (; i + 1 < sketch->used; i++) {
        seen += (double)sketch->buckets[i].count;
        if (seen > rank)
            break;
    }
    return i;
}

double trial_sketch_quantile(const trial_sketch *sketch, double q)
{
    if (sketch->count == 0)
        return NAN;
    return mr_sketch_value(sketch->buckets[bucket_at(sketch, q)].key);
}

void trial_sketch_encode(const trial_sketch *sketch, mr_bytes *out)
{
    mr_bytes_append_u32(out, sketch->used);
    for (uint32_t i = 0; i < sketch->used; i++) {
        mr_bytes_append_u64(out, (uint64_t)sketch->buckets[i].key);
        mr_bytes_append_varint(out, sketch->buckets[i].count);
    }
}

bool trial_sketch_decode(trial_sketch *sketch, mr_reader *from)
{
    uint32_t used = mr_reader_u32(from);
    *sketch = (trial_sketch){0};
    if (used > TRIAL_SKETCH_BUCKETS)
        return false;
    for (uint32_t i = 0; i < used && !from->failed; i++) {
        int64_t key = (int64_t)mr_reader_u64(from);
        uint64_t count = mr_reader_varint(from);
        if (i > 0 && key <= sketch->buckets[i - 1].key)
            return false;
        sketch->buckets[sketch->used++] = (trial_bucket){key, count};
        sketch->count += count;
    }
    return !from->failed;
}

/* Records with keys up to each edge, cumulated. */
static uint64_t up_to(const trial_sketch *sketch, int64_t key)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < sketch->used && sketch->buckets[i].key <= key; i++)
        count += sketch->buckets[i].count;
    return count;
}

static double psi_term(uint64_t reference, uint64_t reference_all, uint64_t now, uint64_t now_all)
{
    double half_all = 0.5 * TRIAL_PSI_BINS;
    double r = ((double)reference + 0.5) / ((double)reference_all + half_all);
    double n = ((double)now + 0.5) / ((double)now_all + half_all);
    return (n - r) * LN2 * mr_steady_log2(n / r);
}

double trial_psi(const trial_sketch *reference, const trial_sketch *now)
{
    if (reference->count == 0 || now->count == 0)
        return 0;
    double psi = 0;
    uint64_t reference_below = 0, now_below = 0;
    for (int bin = 1; bin <= TRIAL_PSI_BINS; bin++) {
        int64_t edge =
            bin == TRIAL_PSI_BINS
                ? INT64_MAX
                : reference->buckets[bucket_at(reference, (double)bin / TRIAL_PSI_BINS)].key;
        uint64_t r = up_to(reference, edge), n = up_to(now, edge);
        if (r > reference_below || n > now_below)
            psi += psi_term(r - reference_below, reference->count, n - now_below, now->count);
        reference_below = r;
        now_below = n;
    }
    return psi;
}
