/* forest64_run.h -- a float64 forest made fast: plans, kernels, and which of them runs.
 *
 * A split's outcome depends on its input only through one of a few *views* of it, so that missing values need no
 * questions of their own: the missing value is -inf in a view where it goes left and NaN in a view where it goes right,
 * and a row goes right exactly when !(view <= threshold). A *slot* is (feature, view). Categories have a view of their
 * own: the code, or -1.
 *
 * Kernels: `walk` (portable, any forest: eight branch-free walks at once, over trees for one row, over rows for a
 * batch) and `masks` (512 rows as bits: see forest64_masks.h). All give the same bits; they are raced at load.
 * Private to the families that use it. */
#ifndef MR_MODEL_FOREST64_RUN_H
#define MR_MODEL_FOREST64_RUN_H

#include "model/forest64.h"

#define MR_RUN64_BLOCK_ROWS 512 /* rows given to mr_run64_batch at most */

typedef struct mr_run64 mr_run64;

/* Rows [first, first + count) of a feature as flushed float64, NaN = missing. */
typedef void mr_run64_load(const void *context, uint32_t feature, size_t first, size_t count,
                           double *out);

/* kernel: "auto", "walk", "masks"; cpu: "auto", "plain", "avx2", "avx512". The forest outlives the run. */
mr_status mr_run64_create(const mr_forest64 *forest, const char *kernel, const char *cpu,
                          mr_run64 **out, mr_error *err);
void mr_run64_destroy(mr_run64 *run); /* NULL is allowed */
size_t mr_run64_scratch_bytes(const mr_run64 *run);
/* So many rows at most are faster one by one. */
size_t mr_run64_rows_max(const mr_run64 *run);
const char *mr_run64_batch_kernel(const mr_run64 *run);
/* Features that any split or leaf reads, in order. */
const uint32_t *mr_run64_used(const mr_run64 *run, uint32_t *out_count);

/* One row of flushed inputs, indexed by feature; those that are not used may hold anything. Scratch is aligned. */
void mr_run64_row(const mr_run64 *run, const double *inputs, double *sums, uint8_t *scratch);
/* count <= MR_RUN64_BLOCK_ROWS; sum of group g for row r to sums[g * stride + r]. */
void mr_run64_batch(const mr_run64 *run, mr_run64_load *load, const void *context, size_t first,
                    size_t count, double *sums, size_t stride, uint8_t *scratch);

#endif
