/* shap.c -- explains rows by a plan, a block at a time.
 *
 * work: | values of the slots, a block each | sums, chunk by chunk | stack | masks |
 *
 * A chunk is as many rows as the kernel takes at once; a few rows at the end of a block go one by one. A tree is run over
 * the whole block before the next one: its program stays in the first cache. The block is as long as its sums fit the
 * second. */
#include "model/shap_internal.h"

#include "base/assert.h"

#include <string.h>

#define CHUNKS_MAX     16
#define SUMS_BYTES_MAX (256u << 10)

static size_t sums_of_row(const mr_shap_plan *plan)
{
    return (size_t)plan->used_count * plan->pad_max;
}

static uint32_t chunks_of(const mr_shap_plan *plan)
{
    size_t bytes = MR_MAX(sums_of_row(plan) * plan->kernel->lanes * sizeof(double), 1);
    return (uint32_t)MR_MAX(MR_MIN(SUMS_BYTES_MAX / bytes, (size_t)CHUNKS_MAX), 1);
}

typedef struct work {
    double *values, *sums, *stack;
    int64_t *masks;
    size_t stride; /* rows of a block */
} work;

static size_t places_of(const mr_shap_plan *plan)
{
    return 2 * ((size_t)plan->depth_max + 1);
}

/* Whole cache lines: vectors must be aligned. */
static size_t rounded(size_t values)
{
    return (values + 7) / 8 * 8;
}

static work work_of(const mr_shap_plan *plan, uint8_t *at)
{
    work w = {.stride = (size_t)chunks_of(plan) * plan->kernel->lanes};
    w.values = (double *)(void *)at;
    w.sums = w.values + rounded(plan->slot_count * w.stride);
    w.stack = w.sums + rounded(sums_of_row(plan) * w.stride);
    w.masks = (int64_t *)(void *)(w.stack +
                                  rounded(places_of(plan) * plan->pad_max * plan->kernel->lanes));
    return w;
}

size_t mr_shap_work_bytes(const mr_shap_plan *plan)
{
    size_t lanes = plan->kernel->lanes, rows = chunks_of(plan) * lanes;
    return sizeof(double) *
           (rounded(plan->slot_count * rows) + rounded(sums_of_row(plan) * rows) +
            rounded(places_of(plan) * plan->pad_max * lanes) + rounded(places_of(plan) * lanes));
}

const double *mr_shap_means(const mr_shap_plan *plan)
{
    return plan->means;
}

/* Rows that do not exist are zeros. */
static void load_block(const mr_shap_plan *plan, const mr_column *const *inputs, size_t first,
                       size_t count, const work *w)
{
    for (uint32_t s = 0; s < plan->slot_count; s++) {
        const mr_shap_slot *slot = &plan->slots[s];
        double *to = w->values + s * w->stride;
        plan->forest.load(plan->forest.forest, slot->feature, inputs[slot->feature], slot->view,
                          first, count, to);
        memset(to + count, 0, (w->stride - count) * sizeof *to);
    }
}

/* How many rows of a block go one by one: what a last chunk would be too small for. */
static size_t few_of(const mr_shap_plan *plan, size_t count)
{
    size_t rest = count % plan->kernel->lanes;
    return rest <= plan->kernel->few ? rest : 0;
}

static void run_group(const mr_shap_plan *plan, uint32_t first_tree, uint32_t end_tree,
                      size_t count, const work *w)
{
    size_t row_sums = sums_of_row(plan), lanes = plan->kernel->lanes;
    size_t few = few_of(plan, count), wide = count - few;
    memset(w->sums, 0, row_sums * ((wide + lanes - 1) / lanes * lanes + few) * sizeof *w->sums);
    for (uint32_t t = first_tree; t < end_tree; t++) {
        for (size_t r = 0; r < wide; r += lanes)
            plan->kernel->rows(plan, &plan->trees[t], w->values + r, w->stride,
                               w->sums + r * row_sums, w->stack, w->masks);
        for (size_t r = wide; r < count; r++)
            plan->kernel->row(plan, &plan->trees[t], w->values + r, w->stride,
                              w->sums + r * row_sums, w->stack, w->masks);
    }
}

/* Points are added up in order. `lanes`: between one point and the next. */
static void put_row(const mr_shap_plan *plan, const double *sums, size_t lanes, double *out)
{
    for (uint32_t u = 0; u < plan->used_count; u++) {
        double sum = 0.0;
        for (uint32_t q = 0; q < plan->points_max; q++)
            sum += sums[((size_t)u * plan->pad_max + q) * lanes];
        out[plan->used[u]] = sum;
    }
}

static void put_rows(const mr_shap_plan *plan, const work *w, size_t count, double *out,
                     size_t stride)
{
    size_t row_sums = sums_of_row(plan), lanes = plan->kernel->lanes;
    size_t wide = count - few_of(plan, count);
    for (size_t r = 0; r < wide; r++)
        put_row(plan, w->sums + r / lanes * lanes * row_sums + r % lanes, lanes, out + r * stride);
    for (size_t r = wide; r < count; r++)
        put_row(plan, w->sums + r * row_sums, 1, out + r * stride);
}

static void explain_block(const mr_shap_plan *plan, const double *base, size_t count, double *out,
                          const work *w)
{
    uint32_t groups = plan->forest.group_count, features = plan->forest.feature_count;
    uint32_t first = 0;
    for (uint32_t g = 0; g < groups; g++) {
        uint32_t end = first;
        while (end < plan->tree_count && plan->trees[end].group == g)
            end++;
        size_t row = groups * ((size_t)features + 1);
        double *at = out + g * ((size_t)features + 1);
        run_group(plan, first, end, count, w);
        for (size_t r = 0; r < count; r++) {
            memset(at + r * row, 0, features * sizeof *at);
            at[r * row + features] = base[g] + plan->means[g];
        }
        put_rows(plan, w, count, at, row);
        first = end;
    }
}

void mr_shap_explain(const mr_shap_plan *plan, const mr_column *const *inputs, size_t first,
                     size_t count, const double *base, double *out, uint8_t *bytes)
{
    work w = work_of(plan, bytes);
    size_t row = (size_t)plan->forest.group_count * ((size_t)plan->forest.feature_count + 1);
    for (size_t at = 0; at < count; at += w.stride) {
        size_t block = MR_MIN(count - at, w.stride);
        load_block(plan, inputs, first + at, block, &w);
        explain_block(plan, base, block, out + at * row, &w);
    }
}
