/* surrogate.c -- grows the tree over binned columns, node by node. */
#include "model/surrogate.h"

#include "base/assert.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BINS_MAX 64 /* the last one holds what is missing */

typedef struct fitting {
    uint32_t features, rows;
    const double *outputs;
    double *thresholds; /* BINS_MAX a feature; bin b holds thresholds[b - 1] <= x < thresholds[b] */
    uint32_t *threshold_counts;
    uint8_t *bins;   /* rows a feature */
    uint32_t *order; /* rows, those of a node side by side */
    uint32_t *spare;
    double *sorted;
} fitting;

/* A node's rows: order[first .. first + count). */
typedef struct span {
    uint32_t node, first, count, depth;
} span;

typedef struct split {
    uint32_t feature, bin; /* bins up to it go left */
    double gain;
} split;

/* ---- bins ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint8_t bin_of(const double *thresholds, uint32_t count, double x)
{
    uint8_t bin = 0;
    if (isnan(x))
        return (uint8_t)count;
    while (bin < count && x >= thresholds[bin])
        bin++;
    return bin;
}

static void bin_feature(fitting *f, uint32_t feature, const double *column)
{
    double *thresholds = f->thresholds + (size_t)feature * BINS_MAX;
    uint32_t known = 0, count = 0;
    for (uint32_t r = 0; r < f->rows; r++)
        if (!isnan(column[r]))
            f->sorted[known++] = column[r];
    qsort(f->sorted, known, sizeof *f->sorted, by_value);
    for (uint32_t b = 1; b < BINS_MAX && known > 0; b++) {
        double at = f->sorted[(uint64_t)known * b / BINS_MAX];
        if (at > f->sorted[0] && (count == 0 || at > thresholds[count - 1]))
            thresholds[count++] = at;
    }
    f->threshold_counts[feature] = count;
    for (uint32_t r = 0; r < f->rows; r++)
        f->bins[(size_t)feature * f->rows + r] = bin_of(thresholds, count, column[r]);
}

/* ---- splits ---- */

static double sum_of(const fitting *f, const span *s)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->count; i++)
        sum += f->outputs[f->order[s->first + i]];
    return sum;
}

static void try_feature(const fitting *f, const span *s, uint32_t feature, double sum,
                        uint32_t rows_min, split *best)
{
    double sums[BINS_MAX] = {0}, left_sum = 0;
    uint32_t counts[BINS_MAX] = {0}, left = 0;
    const uint8_t *bins = f->bins + (size_t)feature * f->rows;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t row = f->order[s->first + i];
        sums[bins[row]] += f->outputs[row];
        counts[bins[row]]++;
    }
    for (uint32_t b = 0; b < f->threshold_counts[feature]; b++) {
        left += counts[b];
        left_sum += sums[b];
        uint32_t right = s->count - left;
        if (left < rows_min || right < rows_min)
            continue;
        double right_sum = sum - left_sum;
        double gain =
            left_sum * left_sum / left + right_sum * right_sum / right - sum * sum / s->count;
        if (gain > best->gain)
            *best = (split){feature, b, gain};
    }
}

/* Stable: rows keep their order on either side. Returns how many go left. */
static uint32_t part(const fitting *f, const span *s, const split *at)
{
    const uint8_t *bins = f->bins + (size_t)at->feature * f->rows;
    uint32_t *order = f->order + s->first, left = 0, right = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t row = order[i];
        if (bins[row] <= at->bin)
            order[left++] = row;
        else
            f->spare[right++] = row;
    }
    memcpy(order + left, f->spare, right * sizeof *order);
    return left;
}

/* ---- the tree ---- */

static void grow(fitting *f, uint32_t depth_max, uint32_t rows_min, mr_surrogate *tree)
{
    span queue[MR_SURROGATE_NODES_MAX] = {{0, 0, f->rows, 0}};
    tree->node_count = 1;
    for (uint32_t at = 0; at < tree->node_count; at++) {
        span s = queue[at];
        double sum = sum_of(f, &s);
        split best = {.gain = 1e-12 * sum * sum / s.count};
        mr_surrogate_node *node = &tree->nodes[at];
        *node = (mr_surrogate_node){.feature = UINT32_MAX, .value = sum / s.count, .rows = s.count};
        bool found = false;
        for (uint32_t feature = 0; s.depth < depth_max && feature < f->features; feature++) {
            double before = best.gain;
            try_feature(f, &s, feature, sum, rows_min, &best);
            found |= best.gain > before;
        }
        if (!found)
            continue;
        uint32_t left = part(f, &s, &best);
        node->feature = best.feature;
        node->threshold = f->thresholds[(size_t)best.feature * BINS_MAX + best.bin];
        node->left = tree->node_count++;
        node->right = tree->node_count++;
        queue[node->left] = (span){node->left, s.first, left, s.depth + 1};
        queue[node->right] = (span){node->right, s.first + left, s.count - left, s.depth + 1};
    }
}

static double value_at(const mr_surrogate *tree, const double *const *columns, uint32_t row)
{
    const mr_surrogate_node *node = tree->nodes;
    while (node->feature != UINT32_MAX)
        node =
            &tree->nodes[columns[node->feature][row] < node->threshold ? node->left : node->right];
    return node->value;
}

static void measure(const double *const *columns, const double *outputs, uint32_t rows, double cut,
                    mr_surrogate *tree)
{
    double mean = tree->nodes[0].value, total = 0, rest = 0;
    uint32_t same = 0;
    for (uint32_t r = 0; r < rows; r++) {
        double says = value_at(tree, columns, r);
        total += (outputs[r] - mean) * (outputs[r] - mean);
        rest += (outputs[r] - says) * (outputs[r] - says);
        same += (outputs[r] >= cut) == (says >= cut);
    }
    tree->r2 = total > 0 ? 1.0 - rest / total : 1.0;
    tree->agreement = (double)same / rows;
}

mr_status mr_surrogate_fit(const double *const *columns, uint32_t feature_count,
                           const double *outputs, uint32_t rows, uint32_t depth_max,
                           uint32_t leaf_rows_min, double cut, mr_surrogate *out, mr_error *err)
{
    MR_ASSERT(depth_max <= MR_SURROGATE_DEPTH_MAX && rows > 0);
    fitting f = {.features = feature_count, .rows = rows, .outputs = outputs};
    size_t features = MR_MAX(feature_count, 1);
    f.thresholds = mr_alloc(features * BINS_MAX * sizeof *f.thresholds);
    f.threshold_counts = mr_alloc(features * sizeof *f.threshold_counts);
    f.bins = mr_alloc(features * rows);
    f.order = mr_alloc(rows * sizeof *f.order);
    f.spare = mr_alloc(rows * sizeof *f.spare);
    f.sorted = mr_alloc(rows * sizeof *f.sorted);
    bool whole = f.thresholds != NULL && f.threshold_counts != NULL && f.bins != NULL &&
                 f.order != NULL && f.spare != NULL && f.sorted != NULL;
    for (uint32_t r = 0; whole && r < rows; r++)
        f.order[r] = r;
    for (uint32_t i = 0; whole && i < feature_count; i++)
        bin_feature(&f, i, columns[i]);
    if (whole) {
        grow(&f, depth_max, MR_MAX(leaf_rows_min, 1), out);
        measure(columns, outputs, rows, cut, out);
    }
    void *all[] = {f.thresholds, f.threshold_counts, f.bins, f.order, f.spare, f.sorted};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_free(all[i]);
    return whole ? MR_OK : MR_OUT_OF_MEMORY(err);
}
