/* shap.c -- explains rows by a plan, a block at a time.
 *
 * work: | values of the slots, 8 x chunks rows each | sums, chunk by chunk | stack | masks |
 *
 * A tree is run over all chunks of a block before the next one: its program stays in the first cache. The block is as
 * long as its sums fit the second. */
#include "model/shap_internal.h"

#include "base/assert.h"

#include <string.h>

#define CHUNKS_MAX     16
#define SUMS_BYTES_MAX (256u << 10)

static size_t sums_of_chunk(const mr_shap_plan *plan)
{
    return (size_t)plan->used_count * plan->points_max * MR_SHAP_LANES;
}

static uint32_t chunks_of(const mr_shap_plan *plan)
{
    size_t bytes = MR_MAX(sums_of_chunk(plan) * sizeof(double), 1);
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

static size_t stack_of(const mr_shap_plan *plan)
{
    return places_of(plan) * plan->points_max * MR_SHAP_LANES;
}

static work work_of(const mr_shap_plan *plan, uint8_t *at)
{
    work w = {.stride = (size_t)chunks_of(plan) * MR_SHAP_LANES};
    w.values = (double *)(void *)at;
    w.sums = w.values + plan->slot_count * w.stride;
    w.stack = w.sums + sums_of_chunk(plan) * chunks_of(plan);
    w.masks = (int64_t *)(void *)(w.stack + stack_of(plan));
    return w;
}

size_t mr_shap_work_bytes(const mr_shap_plan *plan)
{
    size_t chunks = chunks_of(plan);
    return sizeof(double) *
           (plan->slot_count * chunks * MR_SHAP_LANES + sums_of_chunk(plan) * chunks +
            stack_of(plan) + places_of(plan) * MR_SHAP_LANES);
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
        plan->forest.load(inputs[slot->feature], slot->view, first, count, to);
        memset(to + count, 0, (w->stride - count) * sizeof *to);
    }
}

static void run_group(const mr_shap_plan *plan, uint32_t first_tree, uint32_t end_tree,
                      size_t chunks, const work *w)
{
    size_t chunk_sums = sums_of_chunk(plan);
    memset(w->sums, 0, chunk_sums * chunks * sizeof *w->sums);
    for (uint32_t t = first_tree; t < end_tree; t++)
        for (size_t c = 0; c < chunks; c++)
            plan->run(plan, &plan->trees[t], w->values + c * MR_SHAP_LANES, w->stride,
                      w->sums + c * chunk_sums, w->stack, w->masks);
}

/* Row r of the block: its points are added up in order. */
static void put_row(const mr_shap_plan *plan, const work *w, size_t r, double *out)
{
    const double *sums = w->sums + r / MR_SHAP_LANES * sums_of_chunk(plan) + r % MR_SHAP_LANES;
    for (uint32_t u = 0; u < plan->used_count; u++) {
        double sum = 0.0;
        for (uint32_t q = 0; q < plan->points_max; q++)
            sum += sums[((size_t)u * plan->points_max + q) * MR_SHAP_LANES];
        out[plan->used[u]] = sum;
    }
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
        run_group(plan, first, end, (count + MR_SHAP_LANES - 1) / MR_SHAP_LANES, w);
        for (size_t r = 0; r < count; r++) {
            double *row = out + (r * groups + g) * ((size_t)features + 1);
            memset(row, 0, features * sizeof *row);
            put_row(plan, w, r, row);
            row[features] = base[g] + plan->means[g];
        }
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
