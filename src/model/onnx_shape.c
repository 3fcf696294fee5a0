/* onnx_shape.c -- ONNX operators that move elements about or make them: nothing here costs time when scoring, but for
 * casts and indices that are computed row by row. */
#include "model/onnx_internal.h"

#include "base/assert.h"
#include "base/number.h"

#include <string.h>

/* ---- the same elements ---- */

static mr_status build_identity(mr_onnx_node *node, mr_error *err)
{
    (void)err;
    node->out[0] = *node->in[0];
    return MR_OK;
}

static mr_status build_dropout(mr_onnx_node *node, mr_error *err)
{
    node->out[0] = *node->in[0];
    if (node->out_count == 1)
        return MR_OK;
    mr_tensor all;
    uint8_t kept = 1;
    MR_TRY(mr_net_constants(node->net, MR_TENSOR_BOOL, 0, NULL, &kept, &all, err));
    node->out[1] = all;
    return MR_OK;
}

static mr_status build_reshape(mr_onnx_node *node, mr_error *err)
{
    int64_t *sizes;
    size_t count;
    MR_TRY(mr_onnx_integers(node, 1, "shape", &sizes, &count, err));
    return mr_tensor_reshape(&node->net->pool, node->in[0], sizes, count,
                             mr_onnx_int(node, "allowzero", 0) != 0, &node->out[0], err);
}

static mr_status build_flatten(mr_onnx_node *node, mr_error *err)
{
    const mr_tensor *x = node->in[0];
    int64_t axis = mr_onnx_int(node, "axis", 1), sizes[2] = {1, 1};
    axis += axis < 0 ? x->rank : 0;
    if (axis < 0 || axis > x->rank)
        return MR_FAIL(err, MR_INVALID, "axis %lld of %u", (long long)axis, x->rank);
    for (uint32_t a = 0; a < x->rank; a++) {
        int64_t *size = &sizes[a < axis ? 0 : 1];
        if ((int32_t)a == x->batch && *size != 1)
            return MR_FAIL(err, MR_UNSUPPORTED, "rows would be joined with an axis");
        *size = (int32_t)a == x->batch         ? MR_TENSOR_SIZE_ROWS
                : *size == MR_TENSOR_SIZE_ROWS ? MR_TENSOR_SIZE_ROWS
                                               : *size * x->dims[a];
    }
    return mr_tensor_reshape(&node->net->pool, x, sizes, 2, true, &node->out[0], err);
}

static mr_status build_transpose(mr_onnx_node *node, mr_error *err)
{
    uint32_t order[MR_TENSOR_RANK_MAX], rank = node->in[0]->rank;
    const int64_t *perm;
    size_t count = mr_onnx_ints(node, "perm", &perm);
    if (count != 0 && count != rank)
        return MR_FAIL(err, MR_INVALID, "perm has %zu axes, the tensor %u", count, rank);
    for (uint32_t a = 0; a < rank; a++)
        order[a] = count == 0                       ? rank - 1 - a
                   : perm[a] >= 0 && perm[a] < rank ? (uint32_t)perm[a]
                                                    : rank;
    return mr_tensor_transpose(&node->net->pool, node->in[0], order, &node->out[0], err);
}

static mr_status build_squeeze(mr_onnx_node *node, mr_error *err)
{
    int64_t *axes;
    size_t count;
    MR_TRY(mr_onnx_integers(node, 1, "axes", &axes, &count, err));
    return node->operator->what == 0
               ? mr_tensor_squeeze(&node->net->pool, node->in[0], axes, count, &node->out[0], err)
               : mr_tensor_unsqueeze(&node->net->pool, node->in[0], axes, count, &node->out[0],
                                     err);
}

/* ---- joining and cutting ---- */

static mr_status build_concat(mr_onnx_node *node, mr_error *err)
{
    mr_tensor *in = MR_ARENA_ARRAY(&node->net->temp, mr_tensor, node->in_count);
    if (in == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->in[i] == NULL)
            return MR_FAIL(err, MR_INVALID, "input %u is missing", i);
        in[i] = *node->in[i];
        MR_TRY(mr_net_plain(node->net, &in[i], err));
    }
    return mr_tensor_concat(&node->net->pool, in, node->in_count, mr_onnx_int(node, "axis", 1),
                            &node->out[0], err);
}

static uint32_t *make_index(mr_onnx_node *node, uint32_t count)
{
    return MR_ARENA_ARRAY(&node->net->temp, uint32_t, count + 1);
}

/* Along the rows only all of them, in order. */
static bool is_everything(int64_t start, int64_t end, int64_t step)
{
    return start == 0 && step == 1 && (end >= INT32_MAX || end == MR_TENSOR_SIZE_ROWS);
}

static int64_t bounded(int64_t at, int64_t size, int64_t least, int64_t most)
{
    at = at < -size ? least : at < 0 ? at + size : at;
    return at < least ? least : at > most ? most : at;
}

/* NumPy's rule for start:end:step. */
static mr_status slice_axis(mr_onnx_node *node, uint32_t axis, int64_t start, int64_t end,
                            int64_t step, mr_tensor *x, mr_error *err)
{
    int64_t size = x->dims[axis];
    uint32_t count = 0, *index = make_index(node, x->dims[axis]);
    mr_tensor from = *x;
    if (index == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (step == 0 || start == MR_TENSOR_SIZE_ROWS || end == MR_TENSOR_SIZE_ROWS)
        return MR_FAIL(err, MR_UNSUPPORTED, "a slice with step 0, or up to the number of rows");
    start = bounded(start, size, 0, step > 0 ? size : size - 1);
    end = bounded(end, size, step > 0 ? 0 : -1, size);
    step = step > size ? size + 1 : step < -size ? -size - 1 : step;
    for (int64_t i = start; step > 0 ? i < end : i > end; i += step)
        index[count++] = (uint32_t)i;
    return mr_tensor_take(&node->net->pool, &from, axis, index, count, x, err);
}

static mr_status build_slice(mr_onnx_node *node, mr_error *err)
{
    int64_t *starts, *ends, *axes, *steps;
    size_t count, end_count, axis_count, step_count;
    MR_TRY(mr_onnx_integers(node, 1, "starts", &starts, &count, err));
    MR_TRY(mr_onnx_integers(node, 2, "ends", &ends, &end_count, err));
    MR_TRY(mr_onnx_integers(node, 3, "axes", &axes, &axis_count, err));
    MR_TRY(mr_onnx_integers(node, 4, "", &steps, &step_count, err));
    if (count != end_count || (axis_count != 0 && axis_count != count) ||
        (step_count != 0 && step_count != count) || count > node->in[0]->rank)
        return MR_FAIL(err, MR_INVALID, "%zu starts, %zu ends, %zu axes, %zu steps", count,
                       end_count, axis_count, step_count);
    node->out[0] = *node->in[0];
    for (size_t i = 0; i < count; i++) {
        uint32_t axis;
        int64_t step = step_count > 0 ? steps[i] : 1;
        MR_TRY(mr_tensor_axis(node->in[0], axis_count > 0 ? axes[i] : (int64_t)i, &axis, err));
        if ((int32_t)axis == node->in[0]->batch && is_everything(starts[i], ends[i], step))
            continue;
        MR_TRY(mr_tensor_inner_axis(node->in[0], axis, &axis, err));
        MR_TRY(slice_axis(node, axis, starts[i], ends[i], step, &node->out[0], err));
    }
    return MR_OK;
}

/* Sizes: given, or as equal as can be (the last one smaller). */
static mr_status split_sizes(mr_onnx_node *node, uint32_t size, int64_t *sizes, mr_error *err)
{
    int64_t *given, total = 0;
    size_t count;
    MR_TRY(mr_onnx_integers(node, 1, "split", &given, &count, err));
    uint32_t parts = node->out_count, each = (size + parts - 1) / parts;
    if (count != 0 && count != parts)
        return MR_FAIL(err, MR_INVALID, "%zu sizes for %u outputs", count, parts);
    for (uint32_t i = 0; i < parts; i++) {
        sizes[i] = count > 0 ? given[i] : MR_MIN((int64_t)each, (int64_t)size - total);
        if (sizes[i] < 0 || sizes[i] > size)
            return MR_FAIL(err, MR_INVALID, "part %u has size %lld", i, (long long)sizes[i]);
        total += sizes[i];
    }
    return total == size ? MR_OK
                         : MR_FAIL(err, MR_INVALID, "parts of %lld together, the axis has %u",
                                   (long long)total, size);
}

static mr_status build_split(mr_onnx_node *node, mr_error *err)
{
    uint32_t axis, at = 0;
    int64_t sizes[MR_ONNX_OUTPUTS_MAX];
    MR_TRY(mr_tensor_inner_axis(node->in[0], mr_onnx_int(node, "axis", 0), &axis, err));
    uint32_t *index = make_index(node, node->in[0]->dims[axis]);
    if (index == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(split_sizes(node, node->in[0]->dims[axis], sizes, err));
    for (uint32_t i = 0; i < node->out_count; i++) {
        for (uint32_t k = 0; k < sizes[i]; k++)
            index[k] = at++;
        MR_TRY(mr_tensor_take(&node->net->pool, node->in[0], axis, index, (uint32_t)sizes[i],
                              &node->out[i], err));
    }
    return MR_OK;
}

/* ---- by index ---- */

static mr_status constant_index(mr_onnx_node *node, const mr_tensor *from, uint32_t size,
                                uint32_t **out, mr_error *err)
{
    int64_t *given;
    MR_TRY(mr_net_integers(node->net, from, &given, err));
    *out = make_index(node, from->count);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < from->count; i++) {
        int64_t at = given[i] < 0 ? given[i] + size : given[i];
        if (given[i] == MR_TENSOR_SIZE_ROWS || at < 0 || at >= size)
            return MR_FAIL(err, MR_INVALID, "index %lld of an axis of size %u", (long long)given[i],
                           size);
        (*out)[i] = (uint32_t)at;
    }
    return MR_OK;
}

/* The axis is replaced by the axes of the index. */
static mr_status gather_constant(mr_onnx_node *node, uint32_t axis, mr_error *err)
{
    const mr_tensor *x = node->in[0], *index = node->in[1];
    uint32_t *at, rank = 0;
    int64_t sizes[2 * MR_TENSOR_RANK_MAX];
    mr_tensor taken;
    MR_TRY(constant_index(node, index, x->dims[axis], &at, err));
    MR_TRY(mr_tensor_take(&node->net->pool, x, axis, at, index->count, &taken, err));
    for (uint32_t a = 0; a < x->rank; a++) {
        for (uint32_t i = 0; a == axis && i < index->rank; i++)
            sizes[rank++] = index->dims[i];
        if (a != axis)
            sizes[rank++] = (int32_t)a == x->batch ? MR_TENSOR_SIZE_ROWS : (int64_t)x->dims[a];
    }
    return mr_tensor_reshape(&node->net->pool, &taken, sizes, rank, true, &node->out[0], err);
}

/* A value of a constant list for each row. */
static mr_status gather_listed(mr_onnx_node *node, mr_error *err)
{
    void *values;
    const mr_tensor *x = node->in[0];
    MR_TRY(mr_net_values(node->net, x, &values, err));
    return mr_net_tabled(node->net, node->in[1], x->type, x->count, values, &node->out[0], err);
}

static mr_status build_gather(mr_onnx_node *node, mr_error *err)
{
    uint32_t axis;
    const mr_tensor *x = node->in[0];
    if (mr_tensor_is_constant(x) && x->rank == 1 && !mr_tensor_is_constant(node->in[1]))
        return gather_listed(node, err);
    MR_TRY(mr_tensor_inner_axis(x, mr_onnx_int(node, "axis", 0), &axis, err));
    return gather_constant(node, axis, err);
}

static mr_status build_gather_elements(mr_onnx_node *node, mr_error *err)
{
    uint32_t axis;
    MR_TRY(mr_tensor_inner_axis(node->in[0], mr_onnx_int(node, "axis", 0), &axis, err));
    return mr_net_pick(node->net, node->in[0], axis, node->in[1], &node->out[0], err);
}

/* ---- shapes as values ---- */

static mr_status build_shape(mr_onnx_node *node, mr_error *err)
{
    const mr_tensor *x = node->in[0];
    int64_t start = mr_onnx_int(node, "start", 0), end = mr_onnx_int(node, "end", x->rank);
    mr_tensor *out = &node->out[0];
    start = bounded(start, x->rank, 0, x->rank);
    end = bounded(end, x->rank, start, x->rank);
    uint32_t count = (uint32_t)(end - start);
    MR_TRY(mr_tensor_make(&node->net->pool, MR_TENSOR_INT64, 1, &count, -1, out, err));
    for (uint32_t i = 0; i < count; i++) {
        int64_t size = x->dims[start + i];
        if ((int32_t)(start + i) == x->batch)
            out->elements[i] = MR_TENSOR_ROWS;
        else
            MR_TRY(mr_net_constant(node->net, MR_TENSOR_INT64, &size, &out->elements[i], err));
    }
    return MR_OK;
}

/* A shape that was computed: sizes, with the rows at most once. */
static mr_status read_shape(mr_onnx_node *node, const mr_tensor *shape, uint32_t *dims,
                            int32_t *batch, mr_error *err)
{
    int64_t *sizes;
    *batch = -1;
    MR_TRY(mr_net_integers(node->net, shape, &sizes, err));
    if (shape->count > MR_TENSOR_RANK_MAX)
        return MR_FAIL(err, MR_FULL, "a shape of %u axes", shape->count);
    for (uint32_t a = 0; a < shape->count; a++) {
        bool rows = sizes[a] == MR_TENSOR_SIZE_ROWS;
        if ((rows && *batch >= 0) || (!rows && (sizes[a] < 0 || sizes[a] > MR_TENSOR_ELEMENTS_MAX)))
            return MR_FAIL(err, MR_INVALID, "size %lld at axis %u", (long long)sizes[a], a);
        dims[a] = rows ? 1 : (uint32_t)sizes[a];
        *batch = rows ? (int32_t)a : *batch;
    }
    return MR_OK;
}

static mr_status build_constant_of_shape(mr_onnx_node *node, mr_error *err)
{
    uint32_t dims[MR_TENSOR_RANK_MAX], element;
    int32_t batch;
    mr_tensor value;
    const MrOnnx__AttributeProto *a = mr_onnx_attribute(node, "value");
    MR_TRY(read_shape(node, node->in[0], dims, &batch, err));
    MR_TRY(mr_net_number(node->net, MR_TENSOR_FLOAT32, 0, &value, err));
    if (a != NULL && a->t != NULL)
        MR_TRY(mr_onnx_tensor(node->net, a->t, &value, err));
    if (value.count != 1)
        return MR_FAIL(err, MR_INVALID, "%u values to fill with", value.count);
    element = value.elements[0];
    MR_TRY(mr_tensor_make(&node->net->pool, value.type, node->in[0]->count, dims, batch,
                          &node->out[0], err));
    for (uint32_t i = 0; i < node->out[0].count; i++)
        node->out[0].elements[i] = element;
    return MR_OK;
}

static mr_status build_expand(mr_onnx_node *node, mr_error *err)
{
    uint32_t dims[MR_TENSOR_RANK_MAX];
    int32_t batch;
    mr_tensor shape, spread[2], x = *node->in[0];
    MR_TRY(mr_net_plain(node->net, &x, err));
    MR_TRY(read_shape(node, node->in[1], dims, &batch, err));
    if (x.batch == 0 && batch < 0 && node->in[1]->count == x.rank && dims[0] == 1)
        batch = 0; /* written for one row */
    MR_TRY(mr_tensor_make(&node->net->pool, x.type, node->in[1]->count, dims, batch, &shape, err));
    for (uint32_t i = 0; i < shape.count; i++)
        shape.elements[i] = MR_TENSOR_ROWS;
    MR_TRY(
        mr_tensor_broadcast(&node->net->pool, (const mr_tensor *[]){&x, &shape}, 2, spread, err));
    node->out[0] = spread[0];
    return MR_OK;
}

static mr_status build_tile(mr_onnx_node *node, mr_error *err)
{
    int64_t *times;
    size_t count;
    MR_TRY(mr_onnx_integers(node, 1, "", &times, &count, err));
    node->out[0] = *node->in[0];
    if (count != node->in[0]->rank)
        return MR_FAIL(err, MR_INVALID, "%zu repeats for %u axes", count, node->in[0]->rank);
    for (uint32_t a = 0; a < count; a++) {
        mr_tensor from = node->out[0];
        if (times[a] == 1)
            continue;
        uint32_t axis, total;
        MR_TRY(mr_tensor_inner_axis(&from, a, &axis, err));
        if (times[a] < 0 || times[a] > MR_TENSOR_ELEMENTS_MAX ||
            (uint64_t)times[a] * from.dims[axis] > MR_TENSOR_ELEMENTS_MAX)
            return MR_FAIL(err, MR_INVALID, "%lld repeats", (long long)times[a]);
        total = (uint32_t)times[a] * from.dims[axis];
        uint32_t *index = make_index(node, total);
        if (index == NULL)
            return MR_OUT_OF_MEMORY(err);
        for (uint32_t i = 0; i < total; i++)
            index[i] = i % from.dims[axis];
        MR_TRY(mr_tensor_take(&node->net->pool, &from, axis, index, total, &node->out[0], err));
    }
    return MR_OK;
}

static mr_status build_constant(mr_onnx_node *node, mr_error *err)
{
    mr_net *net = node->net;
    const MrOnnx__AttributeProto *a;
    mr_text *texts;
    uint32_t count;
    if ((a = mr_onnx_attribute(node, "value")) != NULL && a->t != NULL)
        return mr_onnx_tensor(net, a->t, &node->out[0], err);
    if ((a = mr_onnx_attribute(node, "value_float")) != NULL)
        return mr_net_constants(net, MR_TENSOR_FLOAT32, 0, NULL, &a->f, &node->out[0], err);
    if ((a = mr_onnx_attribute(node, "value_int")) != NULL)
        return mr_net_constants(net, MR_TENSOR_INT64, 0, NULL, &a->i, &node->out[0], err);
    if ((a = mr_onnx_attribute(node, "value_floats")) != NULL)
        return mr_net_constants(net, MR_TENSOR_FLOAT32, 1, (uint32_t[]){(uint32_t)a->n_floats},
                                a->floats, &node->out[0], err);
    if ((a = mr_onnx_attribute(node, "value_ints")) != NULL)
        return mr_net_constants(net, MR_TENSOR_INT64, 1, (uint32_t[]){(uint32_t)a->n_ints}, a->ints,
                                &node->out[0], err);
    MR_TRY(mr_onnx_texts(node, "value_strings", &texts, &count, err));
    if (mr_onnx_attribute(node, "value_strings") == NULL)
        return MR_FAIL(err, MR_INVALID, "a constant without a value");
    return mr_net_constants(net, MR_TENSOR_TEXT, 1, &count, texts, &node->out[0], err);
}

/* ---- casts ---- */

/* A listed value in another type; texts are numbers as they are written. */
static mr_status cast_value(mr_net *net, mr_tensor_type from, const void *value, mr_tensor_type to,
                            void *out, mr_error *err)
{
    char text[MR_NUMBER_TEXT_MAX];
    size_t size;
    if (to == MR_TENSOR_TEXT) {
        size = from == MR_TENSOR_INT64     ? mr_number_format_int64(*(const int64_t *)value, text)
               : from == MR_TENSOR_FLOAT32 ? mr_number_format_float32(*(const float *)value, text)
               : from == MR_TENSOR_FLOAT64 ? mr_number_format_float64(*(const double *)value, text)
                                           : 0;
        if (size == 0)
            return MR_FAIL(err, MR_UNSUPPORTED, "a cast of bool values to string");
        char *copy = mr_arena_strndup(&net->keep, text, size);
        *(mr_text *)out = (mr_text){(const uint8_t *)copy, size};
        return copy != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    }
    double number = 0;
    const mr_text *given = value;
    if (from != MR_TENSOR_TEXT) {
        net->kernels->casts[from][to](out, value, NULL, NULL, 1, 0, 0, 0);
        return MR_OK;
    }
    if (given->size == 0 || !mr_number_is_float64((const char *)given->bytes, given->size, &number))
        return MR_FAIL(err, MR_INVALID, "'%.*s' is no number", (int)MR_MIN(given->size, (size_t)40),
                       given->size > 0 ? (const char *)given->bytes : "");
    if (to == MR_TENSOR_FLOAT64)
        memcpy(out, &number, sizeof number);
    else
        net->kernels->casts[MR_TENSOR_FLOAT64][to](out, &number, NULL, NULL, 1, 0, 0, 0);
    return MR_OK;
}

static mr_status cast_list(mr_net *net, mr_tensor_type from, const void *values, uint32_t count,
                           mr_tensor_type to, void **out, mr_error *err)
{
    size_t bytes_from = mr_tensor_type_bytes(from), bytes_to = mr_tensor_type_bytes(to);
    uint8_t *made = mr_arena_alloc_aligned(&net->temp, bytes_to * (count + 1u));
    if (made == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < count; i++)
        MR_TRY(cast_value(net, from, (const uint8_t *)values + i * bytes_from, to,
                          made + i * bytes_to, err));
    *out = made;
    return MR_OK;
}

/* Labels stay labels: what is cast is the list. */
static mr_status cast_table(mr_onnx_node *node, mr_tensor_type to, mr_error *err)
{
    const mr_tensor *x = node->in[0];
    const mr_tensor_table *table = x->table;
    mr_tensor index = *x;
    void *values;
    MR_TRY(cast_list(node->net, table->type, table->values, table->count, to, &values, err));
    MR_TRY(mr_net_numbered(node->net, &index, table->count, &index, err));
    index.type = MR_TENSOR_INT64;
    return mr_net_tabled(node->net, &index, to, table->count, values, &node->out[0], err);
}

static mr_status cast_texts(mr_onnx_node *node, mr_tensor_type to, mr_error *err)
{
    const mr_tensor *x = node->in[0];
    void *values, *made;
    MR_TRY(mr_net_values(node->net, x, &values, err));
    MR_TRY(cast_list(node->net, x->type, values, x->count, to, &made, err));
    return mr_net_constants(node->net, to, x->rank, x->dims, made, &node->out[0], err);
}

static mr_status build_cast(mr_onnx_node *node, mr_error *err)
{
    const mr_tensor *x = node->in[0];
    mr_tensor_type to;
    MR_TRY(mr_onnx_type((int32_t)mr_onnx_int(node, "to", 0), &to, err));
    node->out[0] = *x;
    if (x->table != NULL)
        return x->type == to ? MR_OK : cast_table(node, to, err);
    if (x->type != to && (x->type == MR_TENSOR_TEXT || to == MR_TENSOR_TEXT)) {
        if (!mr_tensor_is_constant(x))
            return MR_FAIL(err, MR_UNSUPPORTED, "a cast of %s values to %s, row by row",
                           mr_tensor_type_name(x->type), mr_tensor_type_name(to));
        return cast_texts(node, to, err);
    }
    return mr_net_cast(node->net, x, to, &node->out[0], err);
}

const mr_onnx_operator mr_onnx_shape[] = {
    {"Identity", 1, 1, 1, "", build_identity, 0},
    {"Dropout", 1, 3, 2, "ratio,seed,is_test", build_dropout, 0},
    {"Reshape", 1, 2, 1, "shape,allowzero", build_reshape, 0},
    {"Flatten", 1, 1, 1, "axis", build_flatten, 0},
    {"Transpose", 1, 1, 1, "perm", build_transpose, 0},
    {"Squeeze", 1, 2, 1, "axes", build_squeeze, 0},
    {"Unsqueeze", 1, 2, 1, "axes", build_squeeze, 1},
    {"Concat", 1, MR_ONNX_INPUTS_MAX, 1, "axis", build_concat, 0},
    {"Slice", 1, 5, 1, "starts,ends,axes", build_slice, 0},
    {"Split", 1, 2, MR_ONNX_OUTPUTS_MAX, "axis,split,num_outputs", build_split, 0},
    {"Gather", 2, 2, 1, "axis", build_gather, 0},
    {"GatherElements", 2, 2, 1, "axis", build_gather_elements, 0},
    {"Shape", 1, 1, 1, "start,end", build_shape, 0},
    {"ConstantOfShape", 1, 1, 1, "value", build_constant_of_shape, 0},
    {"Expand", 2, 2, 1, "", build_expand, 0},
    {"Tile", 2, 2, 1, "", build_tile, 0},
    {"Constant", 0, 0, 1, "value,value_float,value_int,value_floats,value_ints,value_strings",
     build_constant, 0},
    {"Cast", 1, 1, 1, "to,saturate", build_cast, 0},
    {.name = NULL},
};
