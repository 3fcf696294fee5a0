/* tensor.c -- shapes and the moving about of elements; nothing here computes a value. */
#include "model/tensor.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} types[MR_TENSOR_TYPES] = {
    [MR_TENSOR_FLOAT32] = {"float32", 4},
    [MR_TENSOR_FLOAT64] = {"float64", 8},
    [MR_TENSOR_INT64] = {"int64", 8},
    [MR_TENSOR_BOOL] = {"bool", 1},
    [MR_TENSOR_TEXT] = {"string", sizeof(mr_text)},
};

size_t mr_tensor_type_bytes(mr_tensor_type type)
{
    return types[type].bytes;
}

const char *mr_tensor_type_name(mr_tensor_type type)
{
    return types[type].name;
}

const char *mr_tensor_shape_text(const mr_tensor *tensor, char out[128])
{
    size_t at = 0;
    out[at++] = '[';
    for (uint32_t a = 0; a < tensor->rank; a++)
        at += (size_t)((int32_t)a == tensor->batch
                           ? snprintf(out + at, 128 - at, "%sN", a > 0 ? ", " : "")
                           : snprintf(out + at, 128 - at, "%s%u", a > 0 ? ", " : "",
                                      tensor->dims[a]));
    (void)snprintf(out + at, 128 - at, "]");
    return out;
}

/* ---- making ---- */

static mr_status set_shape(uint32_t rank, const uint32_t *dims, int32_t batch, mr_tensor *out,
                           mr_error *err)
{
    if (rank > MR_TENSOR_RANK_MAX)
        return MR_FAIL(err, MR_FULL, "a tensor of %u axes; the limit is %d", rank,
                       MR_TENSOR_RANK_MAX);
    uint64_t count = 1;
    for (uint32_t a = 0; a < rank; a++) {
        out->dims[a] = (int32_t)a == batch ? 1 : dims[a];
        count *= out->dims[a];
        if (count > MR_TENSOR_ELEMENTS_MAX)
            return MR_FAIL(err, MR_FULL, "a tensor of more than %u elements a row",
                           MR_TENSOR_ELEMENTS_MAX);
    }
    out->rank = rank;
    out->batch = batch;
    out->count = (uint32_t)count;
    return MR_OK;
}

mr_status mr_tensor_make(mr_tensor_pool *pool, mr_tensor_type type, uint32_t rank,
                         const uint32_t *dims, int32_t batch, mr_tensor *out, mr_error *err)
{
    *out = (mr_tensor){.type = type};
    MR_TRY(set_shape(rank, dims, batch, out, err));
    if (out->count > pool->left)
        return MR_FAIL(err, MR_FULL, "the graph makes more elements than a file of its size may");
    pool->left -= out->count;
    out->elements = mr_arena_alloc(pool->arena, sizeof *out->elements * MR_MAX(out->count, 1u));
    return out->elements != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* Shares the elements. */
static mr_status with_shape(const mr_tensor *from, uint32_t rank, const uint32_t *dims,
                            int32_t batch, mr_tensor *out, mr_error *err)
{
    mr_tensor made = *from;
    MR_TRY(set_shape(rank, dims, batch, &made, err));
    MR_ASSERT(made.count == from->count);
    *out = made;
    return MR_OK;
}

mr_status mr_tensor_axis(const mr_tensor *tensor, int64_t given, uint32_t *out, mr_error *err)
{
    int64_t rank = tensor->rank;
    char text[128];
    if (given < -rank || given >= rank)
        return MR_FAIL(err, MR_INVALID, "axis %lld of a tensor of shape %s", (long long)given,
                       mr_tensor_shape_text(tensor, text));
    *out = (uint32_t)(given < 0 ? given + rank : given);
    return MR_OK;
}

mr_status mr_tensor_inner_axis(const mr_tensor *tensor, int64_t given, uint32_t *out, mr_error *err)
{
    char text[128];
    MR_TRY(mr_tensor_axis(tensor, given, out, err));
    if ((int32_t)*out == tensor->batch)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "it works along the rows (axis %u of %s); rows are scored one by one", *out,
                       mr_tensor_shape_text(tensor, text));
    return MR_OK;
}

/* ---- walking ---- */

/* Counts through dims and keeps the offset that strides make of it. */
typedef struct walk {
    uint32_t rank;
    const uint32_t *dims;
    uint32_t at[MR_TENSOR_RANK_MAX], stride[MR_TENSOR_RANK_MAX], offset;
} walk;

static void walk_next(walk *w)
{
    for (uint32_t a = w->rank; a-- > 0;) {
        w->offset += w->stride[a];
        if (++w->at[a] < w->dims[a])
            return;
        w->offset -= w->stride[a] * w->dims[a];
        w->at[a] = 0;
    }
}

static void strides_of(const mr_tensor *tensor, uint32_t *out)
{
    uint32_t stride = 1;
    for (uint32_t a = tensor->rank; a-- > 0;) {
        out[a] = stride;
        stride *= tensor->dims[a];
    }
}

static void walk_fill(walk *w, const mr_tensor *from, uint32_t count, uint32_t *to)
{
    for (uint32_t i = 0; i < count; i++) {
        to[i] = from->elements[w->offset];
        walk_next(w);
    }
}

/* ---- broadcasting ---- */

static mr_status join_shape(const mr_tensor *t, uint32_t rank, uint32_t *dims, int32_t *batch,
                            mr_error *err)
{
    uint32_t shift = rank - t->rank;
    char text[128];
    for (uint32_t a = 0; a < t->rank; a++) {
        if (t->dims[a] == 1)
            continue;
        if (dims[a + shift] != 1 && dims[a + shift] != t->dims[a])
            return MR_FAIL(err, MR_INVALID, "shape %s does not fit: %u against %u",
                           mr_tensor_shape_text(t, text), t->dims[a], dims[a + shift]);
        dims[a + shift] = t->dims[a];
    }
    if (t->batch < 0)
        return MR_OK;
    int32_t axis = t->batch + (int32_t)shift;
    if (*batch >= 0 && *batch != axis)
        return MR_FAIL(err, MR_UNSUPPORTED, "rows against rows: shape %s crosses another's rows",
                       mr_tensor_shape_text(t, text));
    *batch = axis;
    return MR_OK;
}

static mr_status spread(mr_tensor_pool *pool, const mr_tensor *from, uint32_t rank,
                        const uint32_t *dims, int32_t batch, mr_tensor *out, mr_error *err)
{
    uint32_t own[MR_TENSOR_RANK_MAX], shift = rank - from->rank;
    MR_TRY(mr_tensor_make(pool, from->type, rank, dims, batch, out, err));
    out->table = from->table;
    walk w = {.rank = rank, .dims = out->dims};
    strides_of(from, own);
    for (uint32_t a = 0; a < from->rank; a++)
        w.stride[a + shift] = from->dims[a] == 1 ? 0 : own[a];
    walk_fill(&w, from, out->count, out->elements);
    return MR_OK;
}

mr_status mr_tensor_broadcast(mr_tensor_pool *pool, const mr_tensor *const *from, size_t count,
                              mr_tensor *out, mr_error *err)
{
    uint32_t rank = 0, dims[MR_TENSOR_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    int32_t batch = -1;
    for (size_t i = 0; i < count; i++)
        rank = MR_MAX(rank, from[i]->rank);
    for (size_t i = 0; i < count; i++)
        MR_TRY(join_shape(from[i], rank, dims, &batch, err));
    if (batch >= 0 && dims[batch] != 1)
        return MR_FAIL(err, MR_UNSUPPORTED, "rows against an axis of %u", dims[batch]);
    for (size_t i = 0; i < count; i++)
        MR_TRY(spread(pool, from[i], rank, dims, batch, &out[i], err));
    return MR_OK;
}

/* ---- other shapes, same elements ---- */

/* Sizes with 0 and -1 resolved; the batch is the one that is MR_TENSOR_SIZE_ROWS, or follows. */
static mr_status resolve(const mr_tensor *from, const int64_t *sizes, size_t count, bool allow_zero,
                         uint32_t *dims, int32_t *out_batch, mr_error *err)
{
    int64_t rest = -1;
    uint64_t known = 1;
    *out_batch = -1;
    for (size_t a = 0; a < count; a++) {
        int64_t size = sizes[a];
        if (size == 0 && !allow_zero && a < from->rank)
            size = (int32_t)a == from->batch ? MR_TENSOR_SIZE_ROWS : (int64_t)from->dims[a];
        bool rows = size == MR_TENSOR_SIZE_ROWS;
        if ((rows && *out_batch >= 0) || (size == -1 && rest >= 0))
            return MR_FAIL(err, MR_INVALID, "two sizes of the new shape are left open");
        if (rows)
            *out_batch = (int32_t)a;
        else if (size == -1)
            rest = (int64_t)a;
        else if (size < 0 || size > MR_TENSOR_ELEMENTS_MAX)
            return MR_FAIL(err, MR_INVALID, "size %lld in the new shape", (long long)size);
        dims[a] = rows || size == -1 ? 1 : (uint32_t)size;
        known = MR_MIN(known * dims[a], (uint64_t)MR_TENSOR_ELEMENTS_MAX * 2);
    }
    if (from->batch >= 0 && *out_batch < 0 && rest >= 0 && known == from->count) {
        *out_batch = (int32_t)rest; /* -1 stands for the rows themselves */
        return MR_OK;
    }
    if (rest >= 0 && known != 0)
        dims[rest] = (uint32_t)(from->count / known);
    return MR_OK;
}

/* A graph that was written for one row at a time says 1 where the rows are. */
static void adopt_rows(const mr_tensor *from, const uint32_t *dims, size_t count, int32_t *batch)
{
    if (from->batch == 0 && *batch < 0 && count > 0 && dims[0] == 1)
        *batch = 0;
}

mr_status mr_tensor_reshape(mr_tensor_pool *pool, const mr_tensor *from, const int64_t *sizes,
                            size_t count, bool allow_zero, mr_tensor *out, mr_error *err)
{
    (void)pool;
    uint32_t dims[MR_TENSOR_RANK_MAX];
    int32_t batch;
    char text[128];
    if (count > MR_TENSOR_RANK_MAX)
        return MR_FAIL(err, MR_FULL, "a shape of %zu axes", count);
    MR_TRY(resolve(from, sizes, count, allow_zero, dims, &batch, err));
    adopt_rows(from, dims, count, &batch);
    uint64_t total = 1;
    for (size_t a = 0; a < count; a++)
        total = MR_MIN(total * dims[a], (uint64_t)MR_TENSOR_ELEMENTS_MAX * 2);
    if (total != from->count || (batch >= 0) != (from->batch >= 0))
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "the new shape does not keep rows and the %u elements of %s apart",
                       from->count, mr_tensor_shape_text(from, text));
    uint32_t before = 1, before_new = 1;
    for (int32_t a = 0; a < from->batch; a++)
        before *= from->dims[a];
    for (int32_t a = 0; a < batch; a++)
        before_new *= dims[a];
    if (batch >= 0 && before != before_new)
        return MR_FAIL(err, MR_UNSUPPORTED, "the new shape moves the rows of %s",
                       mr_tensor_shape_text(from, text));
    return with_shape(from, (uint32_t)count, dims, batch, out, err);
}

mr_status mr_tensor_transpose(mr_tensor_pool *pool, const mr_tensor *from, const uint32_t *order,
                              mr_tensor *out, mr_error *err)
{
    uint32_t dims[MR_TENSOR_RANK_MAX], own[MR_TENSOR_RANK_MAX], seen = 0;
    int32_t batch = -1;
    strides_of(from, own);
    walk w = {.rank = from->rank};
    for (uint32_t a = 0; a < from->rank; a++) {
        if (order[a] >= from->rank || (seen >> order[a] & 1) != 0)
            return MR_FAIL(err, MR_INVALID, "perm is no order of %u axes", from->rank);
        seen |= 1u << order[a];
        dims[a] = from->dims[order[a]];
        w.stride[a] = own[order[a]];
        if ((int32_t)order[a] == from->batch)
            batch = (int32_t)a;
    }
    MR_TRY(mr_tensor_make(pool, from->type, from->rank, dims, batch, out, err));
    out->table = from->table;
    w.dims = out->dims;
    walk_fill(&w, from, out->count, out->elements);
    return MR_OK;
}

mr_status mr_tensor_unsqueeze(mr_tensor_pool *pool, const mr_tensor *from, const int64_t *axes,
                              size_t count, mr_tensor *out, mr_error *err)
{
    (void)pool;
    uint32_t dims[MR_TENSOR_RANK_MAX], rank = from->rank + (uint32_t)count, next = 0, added = 0;
    int32_t batch = -1;
    if (count > MR_TENSOR_RANK_MAX || rank > MR_TENSOR_RANK_MAX)
        return MR_FAIL(err, MR_FULL, "a tensor of %zu axes", from->rank + count);
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank || (added >> axis & 1) != 0)
            return MR_FAIL(err, MR_INVALID, "axis %lld twice or out of range", (long long)axes[i]);
        added |= 1u << axis;
    }
    for (uint32_t a = 0; a < rank; a++) {
        bool is_new = (added >> a & 1) != 0;
        if (!is_new && (int32_t)next == from->batch)
            batch = (int32_t)a;
        dims[a] = is_new ? 1 : from->dims[next++];
    }
    return with_shape(from, rank, dims, batch, out, err);
}

mr_status mr_tensor_squeeze(mr_tensor_pool *pool, const mr_tensor *from, const int64_t *axes,
                            size_t count, mr_tensor *out, mr_error *err)
{
    (void)pool;
    uint32_t dims[MR_TENSOR_RANK_MAX], rank = 0, gone = 0;
    int32_t batch = -1;
    for (size_t i = 0; i < count; i++) {
        uint32_t axis;
        MR_TRY(mr_tensor_inner_axis(from, axes[i], &axis, err));
        if (from->dims[axis] != 1)
            return MR_FAIL(err, MR_INVALID, "axis %u to squeeze has size %u", axis,
                           from->dims[axis]);
        gone |= 1u << axis;
    }
    for (uint32_t a = 0; a < from->rank; a++) {
        bool rows = (int32_t)a == from->batch;
        if ((gone >> a & 1) != 0 || (count == 0 && from->dims[a] == 1 && !rows))
            continue;
        if (rows)
            batch = (int32_t)rank;
        dims[rank++] = from->dims[a];
    }
    return with_shape(from, rank, dims, batch, out, err);
}

/* ---- some of the elements, or more ---- */

/* Runs of `inner` elements lie together on each side of an axis. */
static void inner_outer(const mr_tensor *t, uint32_t axis, uint32_t *outer, uint32_t *inner)
{
    *outer = *inner = 1;
    for (uint32_t a = 0; a < t->rank; a++)
        if (a < axis)
            *outer *= t->dims[a];
        else if (a > axis)
            *inner *= t->dims[a];
}

mr_status mr_tensor_take(mr_tensor_pool *pool, const mr_tensor *from, uint32_t axis,
                         const uint32_t *index, uint32_t count, mr_tensor *out, mr_error *err)
{
    uint32_t dims[MR_TENSOR_RANK_MAX], outer, inner, size = from->dims[axis];
    memcpy(dims, from->dims, sizeof dims);
    dims[axis] = count;
    for (uint32_t i = 0; i < count; i++)
        if (index[i] >= size)
            return MR_FAIL(err, MR_INVALID, "index %u of an axis of size %u", index[i], size);
    MR_TRY(mr_tensor_make(pool, from->type, from->rank, dims, from->batch, out, err));
    out->table = from->table;
    inner_outer(from, axis, &outer, &inner);
    uint32_t *to = out->elements;
    for (uint32_t o = 0; o < outer; o++)
        for (uint32_t i = 0; i < count; i++, to += inner)
            memcpy(to, from->elements + ((size_t)o * size + index[i]) * inner, sizeof *to * inner);
    return MR_OK;
}

static mr_status concat_shape(const mr_tensor *from, size_t count, uint32_t axis, uint32_t *dims,
                              int32_t *batch, mr_error *err)
{
    uint64_t total = 0;
    char text[128], other[128];
    for (size_t i = 0; i < count; i++) {
        bool fits = from[i].rank == from[0].rank && from[i].type == from[0].type;
        for (uint32_t a = 0; fits && a < from[i].rank; a++)
            fits = a == axis || from[i].dims[a] == from[0].dims[a];
        if (!fits)
            return MR_FAIL(err, MR_INVALID, "%s of %s does not join %s of %s along axis %u",
                           mr_tensor_type_name(from[i].type), mr_tensor_shape_text(&from[i], other),
                           mr_tensor_type_name(from[0].type), mr_tensor_shape_text(from, text),
                           axis);
        total += from[i].dims[axis];
        *batch = MR_MAX(*batch, from[i].batch);
    }
    if (*batch == (int32_t)axis || total > MR_TENSOR_ELEMENTS_MAX)
        return MR_FAIL(err, MR_UNSUPPORTED, "rows cannot be joined to rows, or there are too many");
    dims[axis] = (uint32_t)total;
    return MR_OK;
}

mr_status mr_tensor_concat(mr_tensor_pool *pool, const mr_tensor *from, size_t count, int64_t given,
                           mr_tensor *out, mr_error *err)
{
    uint32_t axis, dims[MR_TENSOR_RANK_MAX], outer, inner, other;
    int32_t batch = -1;
    MR_TRY(mr_tensor_axis(&from[0], given, &axis, err));
    memcpy(dims, from[0].dims, sizeof dims);
    MR_TRY(concat_shape(from, count, axis, dims, &batch, err));
    MR_TRY(mr_tensor_make(pool, from[0].type, from[0].rank, dims, batch, out, err));
    inner_outer(&from[0], axis, &outer, &inner);
    uint32_t *to = out->elements;
    for (uint32_t o = 0; o < outer; o++)
        for (size_t i = 0; i < count; i++) {
            inner_outer(&from[i], axis, &other, &inner);
            size_t run = (size_t)inner * from[i].dims[axis];
            if (run > 0)
                memcpy(to, from[i].elements + o * run, sizeof *to * run);
            to += run;
        }
    return MR_OK;
}

mr_status mr_tensor_group(mr_tensor_pool *pool, const mr_tensor *from, uint32_t reduce, bool keep,
                          mr_tensor *out_shape, mr_tensor *out_grouped, uint32_t *out_inner,
                          mr_error *err)
{
    uint32_t order[MR_TENSOR_RANK_MAX], dims[MR_TENSOR_RANK_MAX], rank = 0, at = 0;
    int32_t batch = -1;
    *out_inner = 1;
    for (uint32_t a = 0; a < from->rank; a++) {
        bool gone = (reduce >> a & 1) != 0;
        if (!gone)
            order[at++] = a;
        if (gone)
            *out_inner *= from->dims[a];
        if (gone && !keep)
            continue;
        if ((int32_t)a == from->batch)
            batch = (int32_t)rank;
        dims[rank++] = gone ? 1 : from->dims[a];
    }
    for (uint32_t a = 0; a < from->rank; a++)
        if ((reduce >> a & 1) != 0)
            order[at++] = a;
    if (*out_inner == 0)
        return MR_FAIL(err, MR_INVALID, "nothing to reduce");
    MR_TRY(mr_tensor_transpose(pool, from, order, out_grouped, err));
    return mr_tensor_make(pool, from->type, rank, dims, batch, out_shape, err);
}
