/* tensor.h -- tensors while a graph is being read: shapes, and for every element where its value will be.
 *
 * One axis, the *batch*, counts the rows that are scored; how many there are is not known at load. Every other size is.
 * An element is either a constant or a *column*: one value per row, in the scratch. So what only moves elements about
 * (Reshape, Transpose, Slice, Concat, Gather, Split, Expand ...) makes a new list of the same elements and costs
 * nothing when scoring, and an operator on constants is folded element by element.
 *
 *   element ..... bit 31 set: constant number (element & ~bit 31); else a column of the program
 *   [N, 2, 3] ... rank 3, batch 0, dims {1, 2, 3}, 6 elements, row-major over dims
 *
 * (1) dims[batch] == 1, and count is the product of dims.
 * (2) Constant 0 is the number of rows, so that shapes can be computed with (Shape, Concat, Reshape).
 * (3) With a `table` the elements are int64 indices into it, never out of range, and `type` is the type of what it holds: class labels stay
 *     indices until someone needs their values.
 * Thread: one, at load. Lives in an arena of the program's builder. */
#ifndef MR_MODEL_TENSOR_H
#define MR_MODEL_TENSOR_H

#include "base/memory.h"
#include "data/batch.h"

#define MR_TENSOR_RANK_MAX     8
#define MR_TENSOR_ELEMENTS_MAX (1u << 26)
#define MR_TENSOR_CONSTANT     0x80000000u
#define MR_TENSOR_ROWS         MR_TENSOR_CONSTANT /* the constant that stands for the number of rows */

typedef enum mr_tensor_type {
    MR_TENSOR_FLOAT32,
    MR_TENSOR_FLOAT64,
    MR_TENSOR_INT64, /* all whole numbers */
    MR_TENSOR_BOOL,  /* a byte */
    MR_TENSOR_TEXT,  /* mr_text: lent by a column or the model */
    MR_TENSOR_TYPES,
} mr_tensor_type;

/* Bytes of a value in the scratch; name for messages. */
size_t mr_tensor_type_bytes(mr_tensor_type type);
const char *mr_tensor_type_name(mr_tensor_type type);

typedef struct mr_tensor_table {
    mr_tensor_type type;
    uint32_t count;
    const void *values; /* of the type */
    bool numbers;       /* they are 0, 1, 2, ... */
} mr_tensor_table;

typedef struct mr_tensor {
    mr_tensor_type type;
    uint32_t rank;
    int32_t batch; /* axis; -1: the same for all rows */
    uint32_t dims[MR_TENSOR_RANK_MAX];
    uint32_t count;
    uint32_t *elements;
    const mr_tensor_table *table; /* NULL: the elements are the values */
} mr_tensor;

static inline bool mr_tensor_is_constant(const mr_tensor *tensor)
{
    for (uint32_t i = 0; i < tensor->count; i++)
        if ((tensor->elements[i] & MR_TENSOR_CONSTANT) == 0)
            return false;
    return tensor->table == NULL;
}

/* What tensors are made in; `left` elements may still be made, so that no file makes more than it is worth. */
typedef struct mr_tensor_pool {
    mr_arena *arena;
    uint64_t left;
} mr_tensor_pool;

/* Elements are not set. MR_FULL beyond the limits. */
mr_status mr_tensor_make(mr_tensor_pool *pool, mr_tensor_type type, uint32_t rank,
                         const uint32_t *dims, int32_t batch, mr_tensor *out, mr_error *err);
/* "[N, 3]", for messages. */
const char *mr_tensor_shape_text(const mr_tensor *tensor, char out[128]);
/* An axis as files give it (negative from the end), checked. */
mr_status mr_tensor_axis(const mr_tensor *tensor, int64_t given, uint32_t *out, mr_error *err);
/* As above, and not the batch. */
mr_status mr_tensor_inner_axis(const mr_tensor *tensor, int64_t given, uint32_t *out,
                               mr_error *err);

/* The common shape of several tensors by NumPy's rule, and each one's elements spread over it. `types` stay. */
mr_status mr_tensor_broadcast(mr_tensor_pool *pool, const mr_tensor *const *from, size_t count,
                              mr_tensor *out, mr_error *err);
/* The same elements under another shape: -1 for one size that follows, MR_TENSOR_SIZE_ROWS for the rows, 0 for the size
 * there was (unless allow_zero). */
#define MR_TENSOR_SIZE_ROWS INT64_MIN
mr_status mr_tensor_reshape(mr_tensor_pool *pool, const mr_tensor *from, const int64_t *sizes,
                            size_t count, bool allow_zero, mr_tensor *out, mr_error *err);
mr_status mr_tensor_transpose(mr_tensor_pool *pool, const mr_tensor *from, const uint32_t *order,
                              mr_tensor *out, mr_error *err);
/* Elements index[0..count) along an inner axis. */
mr_status mr_tensor_take(mr_tensor_pool *pool, const mr_tensor *from, uint32_t axis,
                         const uint32_t *index, uint32_t count, mr_tensor *out, mr_error *err);
mr_status mr_tensor_concat(mr_tensor_pool *pool, const mr_tensor *from, size_t count, int64_t axis,
                           mr_tensor *out, mr_error *err);
/* Adds axes of size 1 where `axes` (of the result) say, or takes them away (all of size 1 when there are none). */
mr_status mr_tensor_unsqueeze(mr_tensor_pool *pool, const mr_tensor *from, const int64_t *axes,
                              size_t count, mr_tensor *out, mr_error *err);
mr_status mr_tensor_squeeze(mr_tensor_pool *pool, const mr_tensor *from, const int64_t *axes,
                            size_t count, mr_tensor *out, mr_error *err);
/* The same elements with the inner axes `reduce` (bits) moved behind the others: groups to reduce lie together. *out_inner
 * is the size of a group; `out` has the shape of what is left, with size 1 in their place, or without them. */
mr_status mr_tensor_group(mr_tensor_pool *pool, const mr_tensor *from, uint32_t reduce, bool keep,
                          mr_tensor *out_shape, mr_tensor *out_grouped, uint32_t *out_inner,
                          mr_error *err);

#endif
