/* forest64_masks_kernel.h -- the part of the mask kernels that is the same for every width: programs, and the frame.
 *
 * Included by forest64_masks_avx2.c and forest64_masks_avx512.c with MASK_BYTES defined; they add what needs their own
 * instructions: rank_feature, compare_run, member_run, add_trees, write_sums. */

#include "base/assert.h"

#include <string.h>

#define ROWS          (MASK_BYTES * 8)
#define TREES_AT_ONCE 4 /* leaves added per visit of the sums */
#define INLINE        static inline __attribute__((always_inline))

typedef uint64_t vec __attribute__((vector_size(MASK_BYTES), aligned(MASK_BYTES), may_alias));

/* What a file of one instruction set brings. */
static void rank_feature(const mr_masks64 *masks, const mr_ranks64_feature *feature,
                         const mr_masks64_work *w);
static void compare_run(const uint8_t *lane, const uint8_t *ranks, uint32_t count, uint8_t *to);
static void member_run(const uint8_t *lane, const uint8_t *sets, uint32_t count, uint8_t *to);
static void add_trees(const mr_masks64 *masks, uint32_t tree, uint32_t count, const vec *planes,
                      double *sums);
static void write_sums(const double *sums, size_t count, double *out);

/* ---- inputs ---- */

static void fill_lanes(const mr_masks64 *masks, mr_run64_load *load, const void *context,
                       size_t first, size_t count, const mr_masks64_work *w)
{
    for (size_t r = count; r < ROWS; r++)
        w->column[r] = 0.0;
    for (uint32_t f = 0; f < masks->feature_count; f++) {
        load(context, masks->features[f].feature, first, count, w->column);
        rank_feature(masks, &masks->features[f], w);
    }
    for (uint32_t f = 0; f < masks->code_count; f++) {
        load(context, masks->code_features[f], first, count, w->column);
        mr_masks64_code_lane(masks, f, w->column, w);
    }
}

static void fill_masks(const mr_masks64 *masks, const mr_masks64_chunk *chunk,
                       const mr_masks64_work *w)
{
    uint8_t *to = w->masks;
    for (uint32_t i = chunk->first_run; i < chunk->first_run + chunk->run_count; i++) {
        const mr_masks64_run *run = &masks->runs[i];
        const uint8_t *lane = w->lanes + (size_t)ROWS * run->lane;
        if (run->kind == MR_RUN_RANKS)
            compare_run(lane, masks->ranks + run->first, run->count, to);
        else if (run->kind == MR_RUN_SETS)
            member_run(lane, masks->set_bytes + (size_t)run->first * MR_MASKS64_SET_BYTES,
                       run->count, to);
        else
            mr_masks64_wide_run(masks, run,
                                w->codes + (size_t)ROWS * (run->lane - masks->code_lane_first), to);
        to += (size_t)run->count * MASK_BYTES;
    }
}

/* ---- programs ---- */

INLINE void run_steps(const mr_masks64_step *step, uint32_t count, int plane_count,
                      const uint8_t *masks, uint8_t *planes)
{
    for (const mr_masks64_step *end = step + count; step < end; step++) {
        vec mask = *(const vec *)(const void *)(masks + step->mask);
        const vec *left = (const vec *)(const void *)(planes + step->left);
        const vec *right = (const vec *)(const void *)(planes + step->right);
        vec *out = (vec *)(void *)(planes + step->out);
        for (int i = 0; i < plane_count; i++)
            out[i] = (right[i] & mask) | (left[i] & ~mask);
    }
}

static void run_program(const mr_masks64 *masks, const mr_masks64_tree *tree,
                        const mr_masks64_work *w)
{
    const mr_masks64_step *steps = masks->steps + tree->first_step;
    switch (tree->planes) {
    case 1:
        run_steps(steps, tree->step_count, 1, w->masks, w->planes);
        break;
    case 2:
        run_steps(steps, tree->step_count, 2, w->masks, w->planes);
        break;
    case 3:
        run_steps(steps, tree->step_count, 3, w->masks, w->planes);
        break;
    case 4:
        run_steps(steps, tree->step_count, 4, w->masks, w->planes);
        break;
    case 5:
        run_steps(steps, tree->step_count, 5, w->masks, w->planes);
        break;
    case 6:
        run_steps(steps, tree->step_count, 6, w->masks, w->planes);
        break;
    case 7:
        run_steps(steps, tree->step_count, 7, w->masks, w->planes);
        break;
    case 8:
        run_steps(steps, tree->step_count, 8, w->masks, w->planes);
        break;
    default:
        MR_ASSERT(tree->planes == 0);
    }
}

/* The planes of the tree's result; those above its own are zero. */
static void take_planes(const mr_masks64_tree *tree, const mr_masks64_work *w, vec *out)
{
    const vec *result =
        (const vec *)(const void *)(w->planes + (size_t)MR_MASKS64_CONSTANTS * MASK_BYTES);
    for (uint32_t i = 0; i < MR_MASKS64_PLANES; i++)
        out[i] = i < tree->planes ? result[i] : (vec){0};
}

/* How many trees from `tree` on, TREES_AT_ONCE at most, add to the same group from tables of the same size. */
static uint32_t alike(const mr_masks64 *masks, uint32_t tree, uint32_t end)
{
    uint32_t count = 1;
    const mr_masks64_tree *trees = masks->trees + tree;
    while (count < TREES_AT_ONCE && tree + count < end && trees[count].group == trees->group &&
           trees[count].table_bits == trees->table_bits)
        count++;
    return count;
}

static void run_chunk(const mr_masks64 *masks, const mr_masks64_chunk *chunk,
                      const mr_masks64_work *w)
{
    uint32_t end = chunk->first_tree + chunk->tree_count, count;
    fill_masks(masks, chunk, w);
    for (uint32_t tree = chunk->first_tree; tree < end; tree += count) {
        vec planes[TREES_AT_ONCE * MR_MASKS64_PLANES];
        count = alike(masks, tree, end);
        for (uint32_t t = 0; t < count; t++) {
            run_program(masks, &masks->trees[tree + t], w);
            take_planes(&masks->trees[tree + t], w, planes + (size_t)t * MR_MASKS64_PLANES);
        }
        add_trees(masks, tree, count, planes, w->sums + (size_t)ROWS * masks->trees[tree].group);
    }
}

/* ---- the frame ---- */

static void fill_constants(const mr_masks64 *masks, uint8_t *planes)
{
    for (uint32_t i = 0; i < MR_MASKS64_CONSTANTS; i++)
        memset(planes + (size_t)i * MASK_BYTES, masks->constants[i] != 0 ? 0xff : 0, MASK_BYTES);
}

static void run_batch(const mr_masks64 *masks, mr_run64_load *load, const void *context,
                      size_t first, size_t count, double *sums, size_t stride, uint8_t *scratch)
{
    mr_masks64_work w = mr_masks64_work_of(masks, scratch);
    uint32_t groups = masks->forest->group_count;
    fill_constants(masks, w.planes);
    for (size_t at = 0; at < count; at += ROWS) {
        size_t rows = MR_MIN(count - at, (size_t)ROWS);
        fill_lanes(masks, load, context, first + at, rows, &w);
        memset(w.sums, 0, sizeof *w.sums * ROWS * groups);
        for (uint32_t c = 0; c < masks->chunk_count; c++)
            run_chunk(masks, &masks->chunks[c], &w);
        for (uint32_t g = 0; g < groups; g++)
            write_sums(w.sums + (size_t)ROWS * g, rows, sums + g * stride + at);
    }
}
