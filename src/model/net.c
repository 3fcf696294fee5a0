/* net.c -- building a tensor program: constants, columns, operands, steps. */
#include "model/net.h"

#include "base/assert.h"

#include <string.h>

#define ELEMENTS_PER_BYTE 64 /* of the file: what its tensors may grow to while it is read */
#define ELEMENTS_AT_LEAST (1u << 22)

mr_status mr_net_init(mr_net *net, uint64_t file_bytes, const char *cpu_max, mr_error *err)
{
    memset(net, 0, sizeof *net);
    net->pool.arena = &net->temp;
    net->pool.left = ELEMENTS_AT_LEAST + ELEMENTS_PER_BYTE * file_bytes;
    net->block_rows = MR_NET_ROWS_MAX;
    net->kernels = mr_net_kernels_best(cpu_max);
    int64_t rows = 0;
    uint32_t element;
    MR_TRY(mr_net_constant(net, MR_TENSOR_INT64, &rows, &element, err));
    MR_ASSERT(element == MR_TENSOR_ROWS);
    return MR_OK;
}

void mr_net_seal(mr_net *net)
{
    mr_arena_deinit(&net->temp);
    mr_bytes_deinit(&net->constants);
    mr_bytes_deinit(&net->texts);
}

void mr_net_deinit(mr_net *net)
{
    mr_net_seal(net);
    mr_bytes_deinit(&net->columns);
    mr_bytes_deinit(&net->buffers);
    mr_bytes_deinit(&net->steps);
    mr_arena_deinit(&net->keep);
}

/* ---- columns ---- */

mr_status mr_net_columns(mr_net *net, mr_tensor_type type, uint32_t count, uint32_t *out,
                         mr_error *err)
{
    uint32_t first = (uint32_t)(net->columns.size / sizeof(uint32_t));
    uint32_t number = (uint32_t)(net->buffers.size / sizeof(mr_net_buffer));
    *out = first;
    if (count > MR_NET_COLUMNS_MAX - first)
        return MR_FAIL(err, MR_FULL, "the program needs more than %u values a row",
                       MR_NET_COLUMNS_MAX);
    mr_net_buffer buffer = {.type = type, .first = first, .count = count, .born = UINT32_MAX};
    mr_bytes_append(&net->buffers, &buffer, sizeof buffer);
    if (!mr_bytes_reserve(&net->columns, sizeof number * count) || net->buffers.failed)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < count; i++)
        mr_bytes_append(&net->columns, &number, sizeof number);
    return MR_OK;
}

mr_status mr_net_fresh(mr_net *net, mr_tensor_type type, uint32_t rank, const uint32_t *dims,
                       int32_t batch, mr_tensor *out, mr_error *err)
{
    uint32_t first;
    MR_TRY(mr_tensor_make(&net->pool, type, rank, dims, batch, out, err));
    MR_TRY(mr_net_columns(net, type, out->count, &first, err));
    for (uint32_t i = 0; i < out->count; i++)
        out->elements[i] = first + i;
    return MR_OK;
}

static uint32_t buffer_number(const mr_net *net, uint32_t column)
{
    return ((const uint32_t *)(const void *)net->columns.data)[column];
}

static const mr_net_buffer *buffer_of(const mr_net *net, uint32_t column)
{
    return (const mr_net_buffer *)(const void *)net->buffers.data + buffer_number(net, column);
}

mr_net_operand mr_net_columns_operand(const mr_net *net, uint32_t first, uint32_t count)
{
    const mr_net_buffer *buffer = buffer_of(net, first);
    MR_ASSERT(first - buffer->first + count <= buffer->count);
    return (mr_net_operand){.buffer = buffer_number(net, first),
                            .first = first - buffer->first,
                            .count = count,
                            .step = 1,
                            .bytes = (uint32_t)mr_tensor_type_bytes(buffer->type)};
}

/* ---- constants ---- */

mr_status mr_net_constant(mr_net *net, mr_tensor_type type, const void *value, uint32_t *out,
                          mr_error *err)
{
    uint64_t bits = 0;
    uint64_t number = net->constants.size / sizeof bits;
    if (number > MR_TENSOR_ELEMENTS_MAX)
        return MR_FAIL(err, MR_FULL, "more than %u constants", MR_TENSOR_ELEMENTS_MAX);
    if (type == MR_TENSOR_TEXT) {
        bits = net->texts.size / sizeof(mr_text);
        mr_bytes_append(&net->texts, value, sizeof(mr_text));
    } else {
        memcpy(&bits, value, mr_tensor_type_bytes(type));
    }
    mr_bytes_append(&net->constants, &bits, sizeof bits);
    *out = MR_TENSOR_CONSTANT | (uint32_t)number;
    return net->constants.failed || net->texts.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

void mr_net_value(const mr_net *net, mr_tensor_type type, uint32_t element, void *out)
{
    MR_ASSERT((element & MR_TENSOR_CONSTANT) != 0);
    const uint64_t *bits =
        (const uint64_t *)(const void *)net->constants.data + (element & ~MR_TENSOR_CONSTANT);
    if (type == MR_TENSOR_TEXT)
        memcpy(out, (const mr_text *)(const void *)net->texts.data + *bits, sizeof(mr_text));
    else
        memcpy(out, bits, mr_tensor_type_bytes(type));
}

mr_status mr_net_constants(mr_net *net, mr_tensor_type type, uint32_t rank, const uint32_t *dims,
                           const void *values, mr_tensor *out, mr_error *err)
{
    size_t bytes = mr_tensor_type_bytes(type);
    MR_TRY(mr_tensor_make(&net->pool, type, rank, dims, -1, out, err));
    for (uint32_t i = 0; i < out->count; i++)
        MR_TRY(mr_net_constant(net, type, (const uint8_t *)values + i * bytes, &out->elements[i],
                               err));
    return MR_OK;
}

mr_status mr_net_number(mr_net *net, mr_tensor_type type, double value, mr_tensor *out,
                        mr_error *err)
{
    float narrow = (float)value;
    int64_t whole = value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : INT64_MIN;
    uint8_t flag = value != 0;
    const void *values[MR_TENSOR_TYPES] = {&narrow, &value, &whole, &flag, NULL};
    MR_ASSERT(values[type] != NULL);
    return mr_net_constants(net, type, 0, NULL, values[type], out, err);
}

/* The elements as an array of the type, in `keep`. */
static mr_status keep_values(mr_net *net, mr_tensor_type type, const uint32_t *elements,
                             uint32_t count, void **out, mr_error *err)
{
    size_t bytes = mr_tensor_type_bytes(type);
    *out = mr_arena_alloc_aligned(&net->keep, bytes * MR_MAX(count, 1u));
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < count; i++) {
        if (elements[i] == MR_TENSOR_ROWS)
            return MR_FAIL(err, MR_UNSUPPORTED, "it computes with the number of rows");
        mr_net_value(net, type, elements[i], (uint8_t *)*out + i * bytes);
    }
    return MR_OK;
}

static mr_status want_constant(const mr_tensor *tensor, mr_error *err)
{
    return mr_tensor_is_constant(tensor)
               ? MR_OK
               : MR_FAIL(err, MR_UNSUPPORTED,
                         "it needs a constant where the graph computes a value row by row");
}

mr_status mr_net_values(mr_net *net, const mr_tensor *tensor, void **out, mr_error *err)
{
    MR_TRY(want_constant(tensor, err));
    return keep_values(net, tensor->type, tensor->elements, tensor->count, out, err);
}

mr_status mr_net_integers(mr_net *net, const mr_tensor *tensor, int64_t **out, mr_error *err)
{
    MR_TRY(want_constant(tensor, err));
    if (tensor->type != MR_TENSOR_INT64)
        return MR_FAIL(err, MR_INVALID, "whole numbers are wanted, not %s",
                       mr_tensor_type_name(tensor->type));
    *out = mr_arena_alloc(&net->temp, sizeof **out * MR_MAX(tensor->count, 1u));
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < tensor->count; i++)
        if (tensor->elements[i] == MR_TENSOR_ROWS)
            (*out)[i] = MR_TENSOR_SIZE_ROWS;
        else
            mr_net_value(net, MR_TENSOR_INT64, tensor->elements[i], &(*out)[i]);
    return MR_OK;
}

/* ---- steps ---- */

mr_status mr_net_emit(mr_net *net, const mr_net_step *step, mr_error *err)
{
    if (net->steps.size / sizeof *step >= MR_NET_STEPS_MAX)
        return MR_FAIL(err, MR_FULL, "the program has more than %u steps", MR_NET_STEPS_MAX);
    mr_bytes_append(&net->steps, step, sizeof *step);
    return net->steps.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* ---- maps ---- */

static bool lies_behind(const mr_net *net, uint32_t a, uint32_t b)
{
    return b == a + 1 && buffer_number(net, a) == buffer_number(net, b);
}

static bool is_constant(uint32_t element)
{
    return (element & MR_TENSOR_CONSTANT) != 0;
}

/* How many elements from the first on make one operand: all the same (step 0), or constants, or columns that lie
 * together. */
static uint32_t run_length(const mr_net *net, const uint32_t *elements, uint32_t count,
                           uint32_t *out_step)
{
    uint32_t n = 1;
    *out_step = 1;
    if (count > 1 && elements[1] == elements[0]) {
        *out_step = 0;
        while (n < count && elements[n] == elements[0])
            n++;
    } else if (is_constant(elements[0])) {
        while (n < count && is_constant(elements[n]))
            n++;
    } else {
        while (n < count && !is_constant(elements[n]) &&
               lies_behind(net, elements[n - 1], elements[n]))
            n++;
    }
    return n;
}

/* Of the first `count` elements, which make one. */
static mr_status operand_of(mr_net *net, mr_tensor_type type, const uint32_t *elements,
                            uint32_t count, mr_net_operand *out, mr_error *err)
{
    uint32_t step;
    MR_ASSERT(run_length(net, elements, count, &step) == count);
    if (!is_constant(elements[0])) {
        *out = mr_net_columns_operand(net, elements[0], step == 0 ? 1 : count);
        out->count = count;
        out->step = step;
        return MR_OK;
    }
    void *values;
    MR_TRY(keep_values(net, type, elements, step == 0 ? 1 : count, &values, err));
    *out = (mr_net_operand){.constant = values,
                            .count = count,
                            .step = step,
                            .bytes = (uint32_t)mr_tensor_type_bytes(type)};
    return MR_OK;
}

/* One call where everything lies together; else column by column. */
static void run_map(const mr_net_step *step, const mr_net_frame *frame)
{
    const void *in[3] = {NULL, NULL, NULL};
    unsigned scalars = 0;
    bool flat = true;
    size_t rows = frame->rows, count = step->out.count;
    for (int i = 0; i < 3 && step->in[i].count > 0; i++) {
        const mr_net_operand *operand = &step->in[i];
        in[i] = operand->constant != NULL ? operand->constant : mr_net_at(operand, frame, 0);
        bool one = operand->step == 0 && (operand->constant != NULL || rows == 1);
        scalars |= one && step->in[1].count > 0 ? 1u << i : 0;
        flat = flat && ((one && step->in[1].count > 0) ||
                        (operand->step == 1 && (operand->constant == NULL || rows == 1)));
    }
    if (flat) {
        step->kernel(mr_net_at(&step->out, frame, 0), in[0], in[1], in[2], count * rows, scalars,
                     step->p, step->q);
        return;
    }
    for (size_t c = 0; c < count; c++) {
        scalars = 0;
        for (int i = 0; i < 3 && step->in[i].count > 0; i++) {
            const mr_net_operand *operand = &step->in[i];
            if (operand->constant == NULL)
                in[i] = mr_net_at(operand, frame, c);
            else
                in[i] = (const uint8_t *)operand->constant + c * operand->step * operand->bytes;
            scalars |= operand->constant != NULL ? 1u << i : 0;
        }
        step->kernel(mr_net_at(&step->out, frame, c), in[0], in[1], in[2], rows, scalars, step->p,
                     step->q);
    }
}

static void run_fill(const mr_net_step *step, const mr_net_frame *frame)
{
    size_t bytes = step->out.bytes;
    for (size_t c = 0; c < step->out.count; c++) {
        const uint8_t *from = (const uint8_t *)step->in[0].constant + c * step->in[0].step * bytes;
        uint8_t *to = mr_net_at(&step->out, frame, c);
        for (size_t r = 0; r < frame->rows; r++)
            memcpy(to + r * bytes, from, bytes);
    }
}

/* What a map does, and to what. */
typedef struct mapping {
    mr_net_map map;
    mr_net_map_kernel kernel;
    int arguments;
    mr_tensor_type in[3], out;
    const uint32_t *elements[3];
    double p, q;
} mapping;

/* Shapes may be passed on, and multiplied by 1; an axis is never 0 or -1 rows long. */
static bool fold_rows(const mr_net *net, const mapping *m, const uint32_t *in, uint32_t *out,
                      bool *out_equal)
{
    int64_t other = 0;
    *out_equal = false;
    if (m->arguments == 1 && m->map == MR_NET_COPY) {
        *out = in[0];
        return true;
    }
    if (m->arguments != 2 || in[0] == in[1])
        return false;
    uint32_t second = in[0] == MR_TENSOR_ROWS ? in[1] : in[0];
    mr_net_value(net, MR_TENSOR_INT64, second, &other);
    *out = MR_TENSOR_ROWS;
    *out_equal = m->map == MR_NET_EQUAL && other <= 0;
    return *out_equal || (m->map == MR_NET_MUL && other == 1);
}

static mr_status fold(mr_net *net, const mapping *m, uint32_t i, uint32_t *out, mr_error *err)
{
    union {
        mr_text text;
        double number;
        uint8_t bytes[sizeof(mr_text)];
    } values[3], result;
    uint32_t in[3] = {0};
    bool rows = false, never_equal = false;
    for (int k = 0; k < m->arguments; k++) {
        in[k] = m->elements[k][i];
        rows = rows || in[k] == MR_TENSOR_ROWS;
        mr_net_value(net, m->in[k], in[k], &values[k]);
    }
    if (rows && m->map == MR_NET_WHERE && in[0] != MR_TENSOR_ROWS) {
        *out = values[0].bytes[0] != 0 ? in[1] : in[2];
        return MR_OK;
    }
    if (rows && !fold_rows(net, m, in, out, &never_equal))
        return MR_FAIL(err, MR_UNSUPPORTED, "it computes with the number of rows");
    memset(&result, 0, sizeof result);
    if (rows && !never_equal)
        return MR_OK;
    if (!never_equal)
        m->kernel(&result, &values[0], &values[1], &values[2], 1, 0, m->p, m->q);
    return mr_net_constant(net, m->out, &result, out, err);
}

static bool all_constant(const mapping *m, uint32_t i)
{
    for (int k = 0; k < m->arguments; k++)
        if (!is_constant(m->elements[k][i]))
            return false;
    return true;
}

/* Elements [from, to) are not foldable and get the columns from `column` on. */
static mr_status emit_runs(mr_net *net, const mapping *m, uint32_t from, uint32_t to,
                           uint32_t column, mr_error *err)
{
    while (from < to) {
        uint32_t n = to - from, step;
        for (int k = 0; k < m->arguments; k++)
            n = MR_MIN(n, run_length(net, m->elements[k] + from, n, &step));
        mr_net_step made = {.run = run_map,
                            .kernel = m->kernel,
                            .map = m->map,
                            .out = mr_net_columns_operand(net, column, n),
                            .p = m->p,
                            .q = m->q};
        for (int k = 0; k < m->arguments; k++)
            MR_TRY(operand_of(net, m->in[k], m->elements[k] + from, n, &made.in[k], err));
        if (m->arguments == 1 && made.in[0].constant != NULL)
            made.run = run_fill;
        MR_TRY(mr_net_emit(net, &made, err));
        from += n;
        column += n;
    }
    return MR_OK;
}

static mr_status emit_map(mr_net *net, const mapping *m, uint32_t count, uint32_t *out,
                          mr_error *err)
{
    uint32_t columns = 0, next = 0;
    for (uint32_t i = 0; i < count; i++)
        columns += all_constant(m, i) ? 0 : 1;
    if (columns > 0)
        MR_TRY(mr_net_columns(net, m->out, columns, &next, err));
    for (uint32_t i = 0; i < count;) {
        if (all_constant(m, i)) {
            MR_TRY(fold(net, m, i, &out[i], err));
            i++;
            continue;
        }
        uint32_t from = i;
        for (; i < count && !all_constant(m, i); i++)
            out[i] = next + (i - from);
        MR_TRY(emit_runs(net, m, from, i, next, err));
        next += i - from;
    }
    return MR_OK;
}

static mr_status kernel_of(mr_net *net, mr_net_map map, mr_tensor_type type, mapping *m,
                           mr_error *err)
{
    static const struct {
        const char *name;
        int arguments;
    } maps[] = {
#define X(symbol, count) {#symbol, count},
        MR_NET_MAPS(X)
#undef X
    };
    *m = (mapping){.map = map,
                   .kernel = net->kernels->maps[map][type],
                   .arguments = maps[map].arguments,
                   .in = {type, type, type},
                   .out = type};
    if (map == MR_NET_IS_NAN || map == MR_NET_EQUAL || map == MR_NET_LESS ||
        map == MR_NET_LESS_EQUAL)
        m->out = MR_TENSOR_BOOL;
    if (map == MR_NET_WHERE)
        m->in[0] = MR_TENSOR_BOOL;
    return m->kernel != NULL ? MR_OK
                             : MR_FAIL(err, MR_UNSUPPORTED, "%s of %s values", maps[map].name,
                                       mr_tensor_type_name(type));
}

static mr_status same_type(const mr_tensor *a, const mr_tensor *b, mr_error *err)
{
    return a->type == b->type ? MR_OK
                              : MR_FAIL(err, MR_INVALID, "%s and %s do not go together",
                                        mr_tensor_type_name(a->type), mr_tensor_type_name(b->type));
}

mr_status mr_net_unary(mr_net *net, mr_net_map map, const mr_tensor *a, double p, double q,
                       mr_tensor *out, mr_error *err)
{
    mapping m;
    mr_tensor plain = *a;
    MR_TRY(mr_net_plain(net, &plain, err));
    MR_TRY(kernel_of(net, map, a->type, &m, err));
    m.p = p;
    m.q = q;
    m.elements[0] = plain.elements;
    MR_TRY(mr_tensor_make(&net->pool, m.out, a->rank, a->dims, a->batch, out, err));
    return emit_map(net, &m, out->count, out->elements, err);
}

mr_status mr_net_binary(mr_net *net, mr_net_map map, const mr_tensor *a, const mr_tensor *b,
                        mr_tensor *out, mr_error *err)
{
    mapping m;
    mr_tensor in[2] = {*a, *b}, spread[2];
    const mr_tensor *list[2] = {&in[0], &in[1]};
    MR_TRY(same_type(a, b, err));
    for (int i = 0; i < 2; i++)
        MR_TRY(mr_net_plain(net, &in[i], err));
    MR_TRY(mr_tensor_broadcast(&net->pool, list, 2, spread, err));
    MR_TRY(kernel_of(net, map, a->type, &m, err));
    m.elements[0] = spread[0].elements;
    m.elements[1] = spread[1].elements;
    MR_TRY(mr_tensor_make(&net->pool, m.out, spread[0].rank, spread[0].dims, spread[0].batch, out,
                          err));
    return emit_map(net, &m, out->count, out->elements, err);
}

mr_status mr_net_where(mr_net *net, const mr_tensor *condition, const mr_tensor *a,
                       const mr_tensor *b, mr_tensor *out, mr_error *err)
{
    mapping m;
    mr_tensor in[3] = {*condition, *a, *b}, spread[3];
    const mr_tensor *list[3] = {&in[0], &in[1], &in[2]};
    MR_TRY(same_type(a, b, err));
    if (condition->type != MR_TENSOR_BOOL)
        return MR_FAIL(err, MR_INVALID, "the condition is %s, not bool",
                       mr_tensor_type_name(condition->type));
    for (int i = 0; i < 3; i++)
        MR_TRY(mr_net_plain(net, &in[i], err));
    MR_TRY(mr_tensor_broadcast(&net->pool, list, 3, spread, err));
    MR_TRY(kernel_of(net, MR_NET_WHERE, a->type, &m, err));
    for (int i = 0; i < 3; i++)
        m.elements[i] = spread[i].elements;
    MR_TRY(mr_tensor_make(&net->pool, m.out, spread[0].rank, spread[0].dims, spread[0].batch, out,
                          err));
    return emit_map(net, &m, out->count, out->elements, err);
}

mr_status mr_net_cast(mr_net *net, const mr_tensor *a, mr_tensor_type to, mr_tensor *out,
                      mr_error *err)
{
    mapping m = {.map = MR_NET_COPY,
                 .kernel = net->kernels->casts[a->type][to],
                 .arguments = 1,
                 .in = {a->type},
                 .out = to};
    mr_tensor plain = *a;
    if (a->type == to) {
        *out = *a;
        return mr_net_plain(net, out, err);
    }
    if (m.kernel == NULL)
        return MR_FAIL(err, MR_UNSUPPORTED, "a cast of %s values to %s",
                       mr_tensor_type_name(a->type), mr_tensor_type_name(to));
    MR_TRY(mr_net_plain(net, &plain, err));
    for (uint32_t i = 0; i < plain.count; i++)
        if (plain.elements[i] == MR_TENSOR_ROWS && to != MR_TENSOR_INT64)
            return MR_FAIL(err, MR_UNSUPPORTED, "it computes with the number of rows");
    m.elements[0] = plain.elements;
    MR_TRY(mr_tensor_make(&net->pool, to, a->rank, a->dims, a->batch, out, err));
    return emit_map(net, &m, out->count, out->elements, err);
}

/* ---- operands of other steps ---- */

mr_status mr_net_together(mr_net *net, mr_tensor_type type, const uint32_t *elements,
                          uint32_t count, bool columns_only, mr_net_operand *out, mr_error *err)
{
    uint32_t step, first;
    mapping m = {.map = MR_NET_COPY,
                 .kernel = net->kernels->maps[MR_NET_COPY][type],
                 .arguments = 1,
                 .in = {type},
                 .out = type,
                 .elements = {elements}};
    MR_ASSERT(count > 0);
    bool constant = is_constant(elements[0]);
    if (run_length(net, elements, count, &step) == count && (step == 1 || count == 1) &&
        !(constant && columns_only))
        return operand_of(net, type, elements, count, out, err);
    MR_TRY(mr_net_columns(net, type, count, &first, err));
    MR_TRY(emit_runs(net, &m, 0, count, first, err));
    *out = mr_net_columns_operand(net, first, count);
    return MR_OK;
}
