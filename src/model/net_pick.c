/* net_pick.c -- steps that choose: greatest of several, the first k, an element by a computed index, a value's place in a
 * list, and marking rows that have no answer. */
#include "model/net_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <math.h>
#include <string.h>

static mr_net_step step_of(void (*run)(const mr_net_step *, const mr_net_frame *))
{
    return (mr_net_step){.run = run};
}

/* ---- the greatest of each group ---- */

#define ARG_LEAST 1u
#define ARG_LAST  2u

#define RUN_ARG(name, type)                                                                        \
    static void name(const mr_net_step *step, const mr_net_frame *frame)                           \
    {                                                                                              \
        const bool least = (step->flags & ARG_LEAST) != 0, last = (step->flags & ARG_LAST) != 0;   \
        const size_t rows = frame->rows;                                                           \
        for (uint32_t g = 0; g < step->out.count; g++) {                                           \
            const type *a = mr_net_at(&step->in[0], frame, (size_t)g * step->inner);               \
            int64_t *out = mr_net_at(&step->out, frame, g);                                        \
            for (size_t r = 0; r < rows; r++) {                                                    \
                type best = a[r];                                                                  \
                int64_t at = 0;                                                                    \
                for (uint32_t i = 1; i < step->inner; i++) {                                       \
                    type x = a[i * rows + r];                                                      \
                    bool better = least ? x < best : x > best;                                     \
                    if (better || (last && x == best)) {                                           \
                        best = x;                                                                  \
                        at = i;                                                                    \
                    }                                                                              \
                }                                                                                  \
                out[r] = at;                                                                       \
            }                                                                                      \
        }                                                                                          \
    }

RUN_ARG(run_arg32, float)
RUN_ARG(run_arg64, double)
RUN_ARG(run_arg_int, int64_t)

/* The groups along an axis, as floats or whole numbers that lie together. */
static mr_status group_axis(mr_net *net, const mr_tensor *a, uint32_t axis, bool keep,
                            mr_tensor *out_shape, mr_tensor *out_grouped, mr_error *err)
{
    mr_tensor plain = *a;
    uint32_t inner, checked;
    MR_TRY(mr_tensor_inner_axis(a, axis, &checked, err));
    MR_TRY(mr_net_plain(net, &plain, err));
    if (plain.type == MR_TENSOR_BOOL) {
        mr_tensor flags = plain;
        MR_TRY(mr_net_cast(net, &flags, MR_TENSOR_INT64, &plain, err));
    }
    if (plain.type == MR_TENSOR_TEXT)
        return MR_FAIL(err, MR_UNSUPPORTED, "an order of strings");
    return mr_tensor_group(&net->pool, &plain, 1u << axis, keep, out_shape, out_grouped, &inner,
                           err);
}

mr_status mr_net_arg(mr_net *net, const mr_tensor *a, uint32_t axis, bool least, bool last,
                     bool keep, mr_tensor *out, mr_error *err)
{
    mr_tensor shape, grouped;
    MR_TRY(group_axis(net, a, axis, keep, &shape, &grouped, err));
    MR_TRY(mr_net_fresh(net, MR_TENSOR_INT64, shape.rank, shape.dims, shape.batch, out, err));
    if (out->count == 0)
        return MR_OK;
    mr_net_step step = step_of(grouped.type == MR_TENSOR_FLOAT32   ? run_arg32
                               : grouped.type == MR_TENSOR_FLOAT64 ? run_arg64
                                                                   : run_arg_int);
    step.out = mr_net_columns_operand(net, out->elements[0], out->count);
    step.inner = a->dims[axis];
    step.flags = (least ? ARG_LEAST : 0) | (last ? ARG_LAST : 0);
    MR_TRY(mr_net_together(net, grouped.type, grouped.elements, grouped.count, true, &step.in[0],
                           err));
    return mr_net_emit(net, &step, err);
}

/* ---- the first k of each group ---- */

/* The rank of an element is how many come before it; ties by index, NaN behind all numbers. */
#define RUN_TOP(name, type)                                                                        \
    static void name(const mr_net_step *step, const mr_net_frame *frame)                           \
    {                                                                                              \
        const bool least = (step->flags & ARG_LEAST) != 0;                                         \
        const size_t rows = frame->rows;                                                           \
        const uint32_t wanted = *(const uint32_t *)step->data, inner = step->inner;                \
        for (uint32_t g = 0; g < step->out.count / wanted; g++) {                                  \
            const type *a = mr_net_at(&step->in[0], frame, (size_t)g * inner);                     \
            int64_t *out = mr_net_at(&step->out, frame, (size_t)g * wanted);                       \
            for (size_t r = 0; r < rows; r++)                                                      \
                for (uint32_t i = 0; i < inner; i++) {                                             \
                    const type x = a[i * rows + r];                                                \
                    uint32_t before = 0;                                                           \
                    for (uint32_t j = 0; j < inner; j++) {                                         \
                        const type y = a[j * rows + r];                                            \
                        bool ahead = least ? y < x : y > x;                                        \
                        bool tied = !ahead && !(least ? x < y : x > y);                            \
                        ahead = ahead || (x != x && y == y);                                       \
                        tied = tied && (x != x) == (y != y);                                       \
                        before += ahead || (tied && j < i) ? 1 : 0;                                \
                    }                                                                              \
                    if (before < wanted)                                                           \
                        out[before * rows + r] = i;                                                \
                }                                                                                  \
        }                                                                                          \
    }

RUN_TOP(run_top32, float)
RUN_TOP(run_top64, double)
RUN_TOP(run_top_int, int64_t)

/* Indices come grouped: the axis last. Back to its own place. */
static mr_status axis_from_last(mr_net *net, const mr_tensor *last, uint32_t axis, mr_tensor *out,
                                mr_error *err)
{
    uint32_t order[MR_TENSOR_RANK_MAX];
    for (uint32_t a = 0; a < last->rank; a++)
        order[a] = a < axis ? a : a == axis ? last->rank - 1 : a - 1;
    return mr_tensor_transpose(&net->pool, last, order, out, err);
}

mr_status mr_net_top(mr_net *net, const mr_tensor *a, uint32_t axis, uint32_t count, bool least,
                     mr_tensor *out_values, mr_tensor *out_indices, mr_error *err)
{
    mr_tensor shape, grouped, made;
    MR_TRY(group_axis(net, a, axis, false, &shape, &grouped, err));
    if (count == 0 || count > a->dims[axis])
        return MR_FAIL(err, MR_INVALID, "the first %u of %u", count, a->dims[axis]);
    uint32_t dims[MR_TENSOR_RANK_MAX], *data = MR_ARENA_NEW(&net->keep, uint32_t);
    memcpy(dims, grouped.dims, sizeof dims);
    dims[grouped.rank - 1] = count;
    if (data == NULL)
        return MR_OUT_OF_MEMORY(err);
    *data = count;
    MR_TRY(mr_net_fresh(net, MR_TENSOR_INT64, grouped.rank, dims, grouped.batch, &made, err));
    if (made.count == 0)
        return MR_FAIL(err, MR_INVALID, "the first of nothing");
    mr_net_step step = step_of(grouped.type == MR_TENSOR_FLOAT32   ? run_top32
                               : grouped.type == MR_TENSOR_FLOAT64 ? run_top64
                                                                   : run_top_int);
    step.out = mr_net_columns_operand(net, made.elements[0], made.count);
    step.inner = a->dims[axis];
    step.flags = least ? ARG_LEAST : 0;
    step.data = data;
    MR_TRY(mr_net_together(net, grouped.type, grouped.elements, grouped.count, true, &step.in[0],
                           err));
    MR_TRY(mr_net_emit(net, &step, err));
    MR_TRY(axis_from_last(net, &made, axis, out_indices, err));
    return mr_net_pick(net, a, axis, out_indices, out_values, err);
}

/* ---- by a computed index ---- */

/* One output column from `inner` columns; an index out of range has no answer. */
static void run_pick(const mr_net_step *step, const mr_net_frame *frame)
{
    const size_t rows = frame->rows, bytes = step->out.bytes;
    for (uint32_t c = 0; c < step->out.count; c++) {
        const uint8_t *a = mr_net_at(&step->in[0], frame, (size_t)c * step->inner);
        const int64_t *index = mr_net_at(&step->in[1], frame, c);
        uint8_t *out = mr_net_at(&step->out, frame, c);
        for (size_t r = 0; r < rows; r++) {
            int64_t i = index[r] < 0 ? index[r] + step->inner : index[r];
            bool inside = i >= 0 && i < step->inner;
            frame->abstain[r] |= !inside;
            memcpy(out + r * bytes, a + ((inside ? (size_t)i : 0) * rows + r) * bytes, bytes);
        }
    }
}

mr_status mr_net_pick(mr_net *net, const mr_tensor *a, uint32_t axis, const mr_tensor *index,
                      mr_tensor *out, mr_error *err)
{
    mr_tensor plain = *a, at = *index;
    uint32_t checked, inner = a->dims[axis], behind = 1;
    char text[128], other[128];
    MR_TRY(mr_tensor_inner_axis(a, axis, &checked, err));
    MR_TRY(mr_net_plain(net, &plain, err));
    MR_TRY(mr_net_plain(net, &at, err));
    bool fits = at.rank == a->rank && at.type == MR_TENSOR_INT64 && inner > 0;
    for (uint32_t d = 0; fits && d < a->rank; d++) {
        fits = d == axis || at.dims[d] == a->dims[d];
        behind *= d > axis ? a->dims[d] : 1;
    }
    if (!fits)
        return MR_FAIL(err, MR_INVALID, "indices of shape %s into %s along axis %u",
                       mr_tensor_shape_text(index, text), mr_tensor_shape_text(a, other), axis);
    MR_TRY(mr_net_fresh(net, a->type, at.rank, at.dims, MR_MAX(at.batch, a->batch), out, err));
    uint32_t *candidates = MR_ARENA_ARRAY(&net->temp, uint32_t, inner);
    if (candidates == NULL)
        return MR_OUT_OF_MEMORY(err);
    net->abstains = net->abstains || out->count > 0;
    for (uint32_t i = 0; i < out->count; i++) {
        uint32_t o = i / (behind * at.dims[axis]), b = i % behind;
        for (uint32_t k = 0; k < inner; k++)
            candidates[k] = plain.elements[((size_t)o * inner + k) * behind + b];
        mr_net_step step = step_of(run_pick);
        step.out = mr_net_columns_operand(net, out->elements[i], 1);
        step.inner = inner;
        MR_TRY(mr_net_together(net, a->type, candidates, inner, true, &step.in[0], err));
        MR_TRY(mr_net_together(net, MR_TENSOR_INT64, &at.elements[i], 1, true, &step.in[1], err));
        MR_TRY(mr_net_emit(net, &step, err));
    }
    return MR_OK;
}

/* ---- tables ---- */

static void run_lookup(const mr_net_step *step, const mr_net_frame *frame)
{
    const mr_tensor_table *table = step->data;
    const uint8_t *values = table->values;
    const size_t bytes = step->out.bytes, count = step->out.count * frame->rows;
    const int64_t *index = mr_net_at(&step->in[0], frame, 0);
    uint8_t *out = mr_net_at(&step->out, frame, 0);
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * bytes, values + (size_t)index[i] * bytes, bytes);
}

static void run_clamp(const mr_net_step *step, const mr_net_frame *frame)
{
    const int64_t count = step->inner;
    const int64_t *index = mr_net_at(&step->in[0], frame, 0);
    int64_t *out = mr_net_at(&step->out, frame, 0);
    for (size_t i = 0; i < step->out.count * frame->rows; i++) {
        int64_t at = index[i] < 0 ? index[i] + count : index[i];
        bool inside = at >= 0 && at < count;
        frame->abstain[i % frame->rows] |= !inside;
        out[i] = inside ? at : 0;
    }
}

/* Constants are checked here, columns when they are computed. */
static mr_status clamp(mr_net *net, const mr_tensor *index, uint32_t count, mr_tensor *out,
                       mr_error *err)
{
    int64_t at;
    MR_TRY(mr_tensor_make(&net->pool, MR_TENSOR_INT64, index->rank, index->dims, index->batch, out,
                          err));
    for (uint32_t i = 0; i < out->count; i++) {
        if ((index->elements[i] & MR_TENSOR_CONSTANT) != 0) {
            mr_net_value(net, MR_TENSOR_INT64, index->elements[i], &at);
            at += at < 0 ? count : 0;
            if (index->elements[i] == MR_TENSOR_ROWS || at < 0 || at >= count)
                return MR_FAIL(err, MR_INVALID, "index %lld of a list of %u", (long long)at, count);
            MR_TRY(mr_net_constant(net, MR_TENSOR_INT64, &at, &out->elements[i], err));
            continue;
        }
        MR_TRY(mr_net_columns(net, MR_TENSOR_INT64, 1, &out->elements[i], err));
        mr_net_step step = step_of(run_clamp);
        step.inner = count;
        step.out = mr_net_columns_operand(net, out->elements[i], 1);
        step.in[0] = mr_net_columns_operand(net, index->elements[i], 1);
        MR_TRY(mr_net_emit(net, &step, err));
        net->abstains = true;
    }
    return MR_OK;
}

static mr_status make_table(mr_net *net, mr_tensor_type type, uint32_t count, const void *values,
                            const mr_tensor_table **out, mr_error *err)
{
    mr_tensor_table *table = MR_ARENA_NEW(&net->keep, mr_tensor_table);
    size_t bytes = mr_tensor_type_bytes(type);
    uint8_t *copy = mr_arena_alloc_aligned(&net->keep, bytes * MR_MAX(count, 1u));
    if (table == NULL || copy == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (values != NULL && count > 0)
        memcpy(copy, values, bytes * count);
    for (uint32_t i = 0; values == NULL && i < count; i++)
        ((int64_t *)(void *)copy)[i] = i;
    *table = (mr_tensor_table){type, count, copy, values == NULL};
    *out = table;
    return MR_OK;
}

mr_status mr_net_tabled(mr_net *net, const mr_tensor *index, mr_tensor_type type, uint32_t count,
                        const void *values, mr_tensor *out, mr_error *err)
{
    const mr_tensor_table *table;
    mr_tensor in = *index;
    bool safe = index->table != NULL && index->table->numbers && index->table->count <= count;
    MR_TRY(make_table(net, type, count, values, &table, err));
    if (!safe)
        MR_TRY(mr_net_plain(net, &in, err));
    if (in.type != MR_TENSOR_INT64)
        return MR_FAIL(err, MR_INVALID, "an index of %s values", mr_tensor_type_name(in.type));
    *out = in;
    if (!safe)
        MR_TRY(clamp(net, &in, count, out, err));
    out->type = type;
    out->table = table;
    return MR_OK;
}

mr_status mr_net_numbered(mr_net *net, const mr_tensor *index, uint32_t count, mr_tensor *out,
                          mr_error *err)
{
    *out = *index;
    return make_table(net, MR_TENSOR_INT64, count, NULL, &out->table, err);
}

static mr_status plain_constant(mr_net *net, const mr_tensor_table *table, uint32_t element,
                                uint32_t *out, mr_error *err)
{
    int64_t index;
    mr_net_value(net, MR_TENSOR_INT64, element, &index);
    MR_ASSERT(index >= 0 && index < table->count);
    return mr_net_constant(net, table->type,
                           (const uint8_t *)table->values +
                               (size_t)index * mr_tensor_type_bytes(table->type),
                           out, err);
}

mr_status mr_net_plain(mr_net *net, mr_tensor *tensor, mr_error *err)
{
    mr_tensor out;
    const mr_tensor_table *table = tensor->table;
    if (table == NULL)
        return MR_OK;
    MR_TRY(mr_tensor_make(&net->pool, table->type, tensor->rank, tensor->dims, tensor->batch, &out,
                          err));
    for (uint32_t i = 0; i < out.count; i++) {
        if ((tensor->elements[i] & MR_TENSOR_CONSTANT) != 0) {
            MR_TRY(plain_constant(net, table, tensor->elements[i], &out.elements[i], err));
            continue;
        }
        MR_TRY(mr_net_columns(net, table->type, 1, &out.elements[i], err));
        mr_net_step step = step_of(run_lookup);
        step.data = table;
        step.out = mr_net_columns_operand(net, out.elements[i], 1);
        step.in[0] = mr_net_columns_operand(net, tensor->elements[i], 1);
        MR_TRY(mr_net_emit(net, &step, err));
    }
    *tensor = out;
    return MR_OK;
}

/* ---- the place of a value in a list ---- */

typedef struct known {
    mr_tensor_type type;
    uint32_t count;
    const void *values;
    uint32_t mask;
    uint32_t *slots; /* place + 1; 0: free */
    int64_t otherwise;
} known;

/* Equal values have equal bits: one NaN, one zero. */
static uint64_t key_bits(mr_tensor_type type, const void *value)
{
    double number;
    int64_t whole;
    switch (type) {
    case MR_TENSOR_TEXT: {
        const mr_text *text = value;
        return mr_hash64(text->size > 0 ? text->bytes : (const uint8_t *)"", text->size);
    }
    case MR_TENSOR_FLOAT32:
        number = (double)*(const float *)value;
        break;
    case MR_TENSOR_FLOAT64:
        number = *(const double *)value;
        break;
    case MR_TENSOR_BOOL:
        return mr_hash_u64(*(const uint8_t *)value);
    default:
        memcpy(&whole, value, sizeof whole);
        return mr_hash_u64((uint64_t)whole);
    }
    number = isnan(number) ? (double)NAN : number + 0.0;
    memcpy(&whole, &number, sizeof whole);
    return mr_hash_u64((uint64_t)whole);
}

static bool same_key(mr_tensor_type type, const void *a, const void *b)
{
    if (type == MR_TENSOR_TEXT) {
        const mr_text *x = a, *y = b;
        return x->size == y->size && (x->size == 0 || memcmp(x->bytes, y->bytes, x->size) == 0);
    }
    if (type == MR_TENSOR_FLOAT32) {
        float x = *(const float *)a, y = *(const float *)b;
        return x == y || (isnan(x) && isnan(y));
    }
    if (type == MR_TENSOR_FLOAT64) {
        double x = *(const double *)a, y = *(const double *)b;
        return x == y || (isnan(x) && isnan(y));
    }
    return memcmp(a, b, mr_tensor_type_bytes(type)) == 0;
}

static int64_t find_key(const known *list, const void *key, uint32_t *out_slot)
{
    size_t bytes = mr_tensor_type_bytes(list->type);
    uint32_t slot = (uint32_t)key_bits(list->type, key) & list->mask;
    for (; list->slots[slot] != 0; slot = (slot + 1) & list->mask) {
        uint32_t place = list->slots[slot] - 1;
        if (same_key(list->type, (const uint8_t *)list->values + place * bytes, key))
            return place;
    }
    *out_slot = slot;
    return -1;
}

static void run_find(const mr_net_step *step, const mr_net_frame *frame)
{
    const known *list = step->data;
    const size_t bytes = step->in[0].bytes, count = step->out.count * frame->rows;
    const uint8_t *keys = mr_net_at(&step->in[0], frame, 0);
    int64_t *out = mr_net_at(&step->out, frame, 0);
    for (size_t i = 0; i < count; i++) {
        uint32_t slot;
        int64_t place = find_key(list, keys + i * bytes, &slot);
        place = place < 0 ? list->otherwise : place;
        frame->abstain[i % frame->rows] |= place < 0;
        out[i] = place < 0 ? 0 : place;
    }
}

static mr_status make_known(mr_net *net, mr_tensor_type type, const void *values, uint32_t count,
                            int64_t otherwise, known **out, mr_error *err)
{
    uint32_t room = 4;
    while (room < count * 2)
        room *= 2;
    known *list = MR_ARENA_NEW(&net->keep, known);
    uint32_t *slots = MR_ARENA_ARRAY(&net->keep, uint32_t, room);
    if (list == NULL || slots == NULL)
        return MR_OUT_OF_MEMORY(err);
    *list = (known){type, count, values, room - 1, slots, otherwise};
    size_t bytes = mr_tensor_type_bytes(type);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot;
        if (find_key(list, (const uint8_t *)values + i * bytes, &slot) < 0)
            slots[slot] = i + 1;
    }
    *out = list;
    return MR_OK;
}

mr_status mr_net_find(mr_net *net, const mr_tensor *keys, const void *values, uint32_t count,
                      int64_t otherwise, mr_tensor *out, mr_error *err)
{
    mr_tensor plain = *keys;
    known *list;
    MR_TRY(mr_net_plain(net, &plain, err));
    MR_TRY(make_known(net, plain.type, values, count, otherwise, &list, err));
    MR_TRY(mr_net_fresh(net, MR_TENSOR_INT64, plain.rank, plain.dims, plain.batch, out, err));
    net->abstains = net->abstains || otherwise < 0;
    if (out->count == 0)
        return MR_OK;
    mr_net_step step = step_of(run_find);
    step.data = list;
    step.out = mr_net_columns_operand(net, out->elements[0], out->count);
    MR_TRY(mr_net_together(net, plain.type, plain.elements, plain.count, true, &step.in[0], err));
    return mr_net_emit(net, &step, err);
}

/* ---- no answer ---- */

static void run_abstain(const mr_net_step *step, const mr_net_frame *frame)
{
    const uint8_t *bad = mr_net_at(&step->in[0], frame, 0);
    for (size_t i = 0; i < step->in[0].count * frame->rows; i++)
        frame->abstain[i % frame->rows] |= bad[i];
}

mr_status mr_net_abstain(mr_net *net, const mr_tensor *bad, mr_error *err)
{
    mr_net_step step = step_of(run_abstain);
    net->abstains = true;
    if (bad->count == 0)
        return MR_OK;
    MR_TRY(mr_net_together(net, MR_TENSOR_BOOL, bad->elements, bad->count, true, &step.in[0], err));
    return mr_net_emit(net, &step, err);
}
