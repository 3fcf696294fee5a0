/* tree_kernel.h -- ways to compute the margins of a forest: same bits, different speed.
 *
 * A kernel turns a forest into a plan of its own and runs it over columns, or over one row, or both. All
 * kernels add the same floats in the same order, so which one runs is a matter of speed only; tree_model.c
 * measures at load. To add one: its file, its line in `mr_tree_kernels` (tree_model.c).
 * Private to the tree family. */
#ifndef MR_MODEL_TREE_KERNEL_H
#define MR_MODEL_TREE_KERNEL_H

#include "model/tree_ranks.h"

#define MR_TREE_BLOCK_ROWS 512 /* rows given to a batch kernel at most */

typedef struct mr_tree_kernel mr_tree_kernel;

/* The part every plan begins with. */
typedef struct mr_tree_plan {
    const mr_tree_kernel *kernel;
    size_t scratch_bytes;
} mr_tree_plan;

typedef enum mr_tree_cpu { MR_CPU_PLAIN, MR_CPU_AVX2, MR_CPU_AVX512 } mr_tree_cpu;

struct mr_tree_kernel {
    const char *name;
    mr_tree_cpu cpu;         /* what it needs */
    bool (*runs_here)(void); /* asks the processor; NULL: everywhere */
    /* *out NULL with MR_OK: the forest's shape is not for this kernel. The forest outlives the plan, the ranks do
     * not. `fast`: sums may be reordered. */
    mr_status (*plan)(const mr_forest *forest, const mr_tree_ranks *ranks, bool fast,
                      mr_tree_plan **out, mr_error *err);
    void (*destroy)(mr_tree_plan *plan);
    /* count <= MR_TREE_BLOCK_ROWS; margin g of row r to margins[g * stride + r]. NULL: rows only. */
    void (*batch)(const mr_tree_plan *plan, const mr_column *const *inputs, size_t first,
                  size_t count, float *margins, size_t stride, uint8_t *scratch);
    /* One row of float32 inputs. NULL: batches only. */
    void (*row)(const mr_tree_plan *plan, const float *inputs, float *margins, uint8_t *scratch);
};

extern const mr_tree_kernel mr_tree_walk;    /* tree_walk.c */
extern const mr_tree_kernel mr_tree_answers; /* tree_answers.c */
#if defined(__x86_64__)
extern const mr_tree_kernel mr_tree_masks_avx512; /* tree_masks_avx512.c */
extern const mr_tree_kernel mr_tree_masks_avx2;   /* tree_masks_avx2.c */
extern const mr_tree_kernel mr_tree_ranks_avx512; /* tree_ranks_avx512.c */
extern const mr_tree_kernel mr_tree_lanes_avx512; /* tree_lanes_avx512.c */
extern const mr_tree_kernel mr_tree_lanes_avx2;   /* tree_lanes_avx2.c */
#endif

/* A float as an integer with the same order (-0 and 0 alike); NaN is not allowed. Two's complement of the
 * magnitude for negatives; the two ends of the range stay free for NaN that goes left and right. */
static inline int32_t mr_tree_key(float x)
{
    union {
        float f;
        int32_t i;
    } bits = {x + 0.0f};
    return bits.i >= 0 ? bits.i : (int32_t)(INT32_MIN - (int64_t)bits.i);
}

#endif
