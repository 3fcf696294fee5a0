/* metrics.c -- ranking metrics by one sort. */
#include "model/metrics.h"

#include "base/assert.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct ranked {
    float score;
    uint32_t label;
    size_t row;
} ranked;

/* Highest score first, NaN last, equal scores by row. */
static int by_score(const void *a, const void *b)
{
    const ranked *left = a, *right = b;
    float x = isnan(left->score) ? -INFINITY : left->score,
          y = isnan(right->score) ? -INFINITY : right->score;
    if (x != y)
        return x > y ? -1 : 1;
    return (left->row > right->row) - (left->row < right->row);
}

static ranked *rank_rows(const float *scores, const uint8_t *labels, size_t count)
{
    ranked *rows = mr_alloc(sizeof *rows * (count + 1));
    for (size_t i = 0; rows != NULL && i < count; i++)
        rows[i] = (ranked){scores[i], labels[i] != 0, i};
    if (rows != NULL)
        qsort(rows, count, sizeof *rows, by_score);
    return rows;
}

/* First row after those whose score equals that of row i. */
static size_t end_of_ties(const ranked *rows, size_t i, size_t count)
{
    size_t end = i + 1;
    while (end < count && rows[end].score == rows[i].score)
        end++;
    return end;
}

/* One pass over the distinct scores, highest first. */
static void measure_ranks(const ranked *rows, mr_metrics *out)
{
    double positives = (double)out->positives, negatives = (double)(out->rows - out->positives);
    double true_count = 0, false_count = 0, area = 0, precision_sum = 0;
    for (size_t i = 0, end; i < out->rows; i = end) {
        double true_here = 0;
        end = end_of_ties(rows, i, out->rows);
        for (size_t j = i; j < end; j++)
            true_here += rows[j].label;
        double false_here = (double)(end - i) - true_here;
        area += false_here * (true_count + true_here / 2);
        true_count += true_here;
        false_count += false_here;
        precision_sum += true_here * true_count / (true_count + false_count);
    }
    out->auc_roc = positives > 0 && negatives > 0 ? area / (positives * negatives) : NAN;
    out->average_precision = positives > 0 ? precision_sum / positives : NAN;
}

static double mean_log_loss(const float *scores, const uint8_t *labels, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double p = fmin(fmax((double)scores[i], 1e-15), 1 - 1e-15);
        sum -= labels[i] != 0 ? log(p) : log1p(-p);
    }
    return count > 0 ? sum / (double)count : NAN;
}

mr_status mr_metrics_measure(const float *scores, const uint8_t *labels, size_t count, uint64_t k,
                             mr_metrics *out, mr_error *err)
{
    *out = (mr_metrics){.rows = count, .k = MR_MIN(k, (uint64_t)count)};
    ranked *rows = rank_rows(scores, labels, count);
    if (rows == NULL)
        return MR_OUT_OF_MEMORY(err);
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        out->positives += rows[i].label;
        found += i < out->k ? rows[i].label : 0;
    }
    out->precision_at_k = out->k > 0 ? (double)found / (double)out->k : NAN;
    out->log_loss = mean_log_loss(scores, labels, count);
    measure_ranks(rows, out);
    mr_free(rows);
    return MR_OK;
}

double mr_metrics_rmse(const float *scores, const float *targets, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)scores[i] - (double)targets[i]) * ((double)scores[i] - (double)targets[i]);
    return count > 0 ? sqrt(sum / (double)count) : NAN;
}

/* ---- by group and period ---- */

typedef struct member {
    int64_t period, group;
    float score;
    uint8_t label;
} member;

static int by_period_group(const void *a, const void *b)
{
    const member *left = a, *right = b;
    if (left->period != right->period)
        return left->period < right->period ? -1 : 1;
    return (left->group > right->group) - (left->group < right->group);
}

static int by_score_group(const void *a, const void *b)
{
    const member *left = a, *right = b;
    if (left->score != right->score)
        return left->score > right->score ? -1 : 1;
    return (left->group > right->group) - (left->group < right->group);
}

static int by_number(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Rows sorted by period and group become one member per pair; returns how many. */
static size_t merge_members(member *rows, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || by_period_group(&rows[kept - 1], &rows[i]) != 0) {
            rows[kept++] = rows[i];
            continue;
        }
        rows[kept - 1].score = fmaxf(rows[kept - 1].score, rows[i].score);
        rows[kept - 1].label |= rows[i].label;
    }
    return kept;
}

typedef struct found_groups {
    int64_t *groups; /* sorted */
    size_t count;
} found_groups;

static size_t drop_members(member *rows, size_t count, const found_groups *found)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (bsearch(&rows[i].group, found->groups, found->count, sizeof(int64_t), by_number) ==
            NULL)
            rows[kept++] = rows[i];
    return kept;
}

/* One period: positives among the k best; they join `found`. */
static uint64_t take_best(member *rows, size_t count, uint64_t k, found_groups *found)
{
    uint64_t positives = 0;
    qsort(rows, count, sizeof *rows, by_score_group);
    for (size_t i = 0; i < count && i < k; i++) {
        if (rows[i].label == 0)
            continue;
        found->groups[found->count++] = rows[i].group;
        positives++;
    }
    return positives;
}

static double average_periods(member *rows, size_t count, uint64_t k, bool drop_found,
                              found_groups *found)
{
    double sum = 0;
    size_t periods = 0;
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && rows[end].period == rows[i].period;)
            end++;
        size_t size = end - i;
        if (drop_found)
            size = drop_members(rows + i, size, found);
        sum += (double)take_best(rows + i, size, k, found) / (double)k;
        periods++;
        qsort(found->groups, found->count, sizeof *found->groups, by_number);
    }
    return periods > 0 ? sum / (double)periods : NAN;
}

mr_status mr_metrics_grouped_precision(const mr_grouped_rows *rows, uint64_t k, bool drop_found,
                                       double *out_mean, mr_error *err)
{
    *out_mean = NAN;
    if (k == 0)
        return MR_FAIL(err, MR_INVALID, "grouped precision at 0: at least 1 is wanted");
    member *members = mr_alloc(sizeof *members * (rows->count + 1));
    found_groups found = {.groups = mr_alloc(sizeof(int64_t) * (rows->count + 1))};
    bool whole = members != NULL && found.groups != NULL;
    if (whole) {
        for (size_t i = 0; i < rows->count; i++)
            members[i] = (member){rows->period[i], rows->group[i],
                                  isnan(rows->scores[i]) ? -INFINITY : rows->scores[i],
                                  rows->labels[i] != 0};
        qsort(members, rows->count, sizeof *members, by_period_group);
        size_t count = merge_members(members, rows->count);
        *out_mean = average_periods(members, count, k, drop_found, &found);
    }
    mr_free(members);
    mr_free(found.groups);
    return whole ? MR_OK : MR_OUT_OF_MEMORY(err);
}
