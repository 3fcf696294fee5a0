/* forest64_kernel.h -- what the kernels of float64 forests are planned from: views of the inputs.
 *
 * (1) A row goes right at a split exactly when !(its slot's value <= threshold): NaN in a slot goes right everywhere.
 * (2) Slots are in order of their features.
 * To add a kernel: its file, its plan and batch function here, its line in forest64_run.c. Private to forest64*. */
#ifndef MR_MODEL_FOREST64_KERNEL_H
#define MR_MODEL_FOREST64_KERNEL_H

#include "model/forest64_run.h"

#define MR_NO_SLOT64 UINT32_MAX

typedef enum mr_view64 {
    MR_VIEW_PLAIN,      /* NaN is 0 */
    MR_VIEW_ZERO_LEFT,  /* NaN is 0, and 0 is missing and goes left */
    MR_VIEW_ZERO_RIGHT, /* the same, right */
    MR_VIEW_NAN_LEFT,   /* NaN is missing and goes left */
    MR_VIEW_NAN_RIGHT,  /* the same, right */
    MR_VIEW_CODE,       /* a category's code, -1: none */
    MR_VIEWS
} mr_view64;

typedef struct mr_slots64 {
    uint32_t count, used_count;
    uint32_t *features; /* per slot */
    uint8_t *views;     /* per slot */
    uint32_t *of;       /* [feature * MR_VIEWS + view]: its slot, or MR_NO_SLOT64 */
    uint32_t *used;     /* features that splits or linear leaves read, in order */
} mr_slots64;

mr_status mr_slots64_init(mr_slots64 *slots, const mr_forest64 *forest, mr_error *err);
void mr_slots64_deinit(mr_slots64 *slots);

static inline mr_view64 mr_view64_of(const mr_split64 *split)
{
    if (split->set != 0)
        return MR_VIEW_CODE;
    return split->missing == MR_MISSING_NONE ? MR_VIEW_PLAIN
           : split->missing == MR_MISSING_ZERO
               ? (split->default_left ? MR_VIEW_ZERO_LEFT : MR_VIEW_ZERO_RIGHT)
           : split->default_left ? MR_VIEW_NAN_LEFT
                                 : MR_VIEW_NAN_RIGHT;
}

static inline uint32_t mr_slot64_of(const mr_slots64 *slots, const mr_split64 *split)
{
    return slots->of[(size_t)split->feature * MR_VIEWS + mr_view64_of(split)];
}

/* x is flushed. */
static inline double mr_view64_value(mr_view64 view, double x)
{
    switch (view) {
    case MR_VIEW_PLAIN:
        return isnan(x) ? 0.0 : x;
    case MR_VIEW_ZERO_LEFT:
        return isnan(x) || x == 0.0 ? -INFINITY : x;
    case MR_VIEW_ZERO_RIGHT:
        return isnan(x) || x == 0.0 ? (double)NAN : x;
    case MR_VIEW_NAN_LEFT:
        return isnan(x) ? -INFINITY : x;
    case MR_VIEW_NAN_RIGHT:
        return x;
    default:
        return x > -1.0 && x < MR_FOREST64_CODE_MAX ? (double)(int32_t)x : -1.0;
    }
}

/* ---- walk: any forest, any processor: forest64_walk.c ---- */

typedef struct mr_walk64 mr_walk64;

mr_status mr_walk64_create(const mr_forest64 *forest, const mr_slots64 *slots, mr_walk64 **out,
                           mr_error *err);
void mr_walk64_destroy(mr_walk64 *walk); /* NULL is allowed */
size_t mr_walk64_scratch_bytes(const mr_walk64 *walk);
void mr_walk64_row(const mr_walk64 *walk, const double *inputs, double *sums, uint8_t *scratch);
void mr_walk64_batch(const mr_walk64 *walk, mr_run64_load *load, const void *context, size_t first,
                     size_t count, double *sums, size_t stride, uint8_t *scratch);

/* ---- masks: forest64_masks.h ---- */

typedef struct mr_masks64 mr_masks64;

#if defined(__x86_64__)
bool mr_masks64_avx512_here(void);
void mr_masks64_avx512(const mr_masks64 *masks, mr_run64_load *load, const void *context,
                       size_t first, size_t count, double *sums, size_t stride, uint8_t *scratch);
bool mr_masks64_avx2_here(void);
void mr_masks64_avx2(const mr_masks64 *masks, mr_run64_load *load, const void *context,
                     size_t first, size_t count, double *sums, size_t stride, uint8_t *scratch);
#endif

#endif
