/* net_sums.c -- steps that join values of a row: products with matrices, reductions, softmax. */
#include "model/net_internal.h"

#include "base/assert.h"

#include <string.h>

/* ---- products ---- */

static void run_product(const mr_net_step *step, const mr_net_frame *frame)
{
    step->product(mr_net_at(&step->out, frame, 0), mr_net_at(&step->in[0], frame, 0), frame->rows,
                  step->inner, step->out.count, step->data,
                  step->in[1].count > 0 ? step->in[1].constant : NULL,
                  (step->flags & MR_NET_PRODUCT_RELU) != 0);
}

bool mr_net_is_product(const mr_net_step *step)
{
    return step->run == run_product;
}

mr_status mr_net_product(mr_net *net, const mr_tensor *a, const void *weights, uint32_t n,
                         const void *bias, mr_tensor *out, mr_error *err)
{
    mr_tensor plain = *a;
    MR_TRY(mr_net_plain(net, &plain, err));
    uint32_t k = plain.rank > 0 ? plain.dims[plain.rank - 1] : 0, dims[MR_TENSOR_RANK_MAX];
    char text[128];
    bool wide = plain.type == MR_TENSOR_FLOAT64;
    if (k == 0 || n == 0 || plain.batch == (int32_t)plain.rank - 1 ||
        (!wide && plain.type != MR_TENSOR_FLOAT32))
        return MR_FAIL(err, MR_UNSUPPORTED, "a product with %s of shape %s",
                       mr_tensor_type_name(plain.type), mr_tensor_shape_text(&plain, text));
    memcpy(dims, plain.dims, sizeof dims);
    dims[plain.rank - 1] = n;
    MR_TRY(mr_net_fresh(net, plain.type, plain.rank, dims, plain.batch, out, err));
    for (uint32_t g = 0; g < plain.count / k; g++) {
        mr_net_step step = {.run = run_product,
                            .product = wide ? net->kernels->product64 : net->kernels->product32,
                            .out = mr_net_columns_operand(net, out->elements[g * n], n),
                            .inner = k,
                            .data = weights};
        MR_TRY(mr_net_together(net, plain.type, plain.elements + (size_t)g * k, k, true,
                               &step.in[0], err));
        if (bias != NULL)
            step.in[1] = (mr_net_operand){.constant = bias, .count = n, .step = 1};
        MR_TRY(mr_net_emit(net, &step, err));
    }
    return MR_OK;
}

/* ---- reductions ---- */

static void run_reduce(const mr_net_step *step, const mr_net_frame *frame)
{
    step->reduce(mr_net_at(&step->out, frame, 0), mr_net_at(&step->in[0], frame, 0), frame->rows,
                 step->out.count, step->inner, (mr_net_reduction)step->flags);
}

static mr_status to_float(mr_net *net, const mr_tensor *a, mr_tensor *out, mr_error *err)
{
    *out = *a;
    MR_TRY(mr_net_plain(net, out, err));
    if (out->type == MR_TENSOR_FLOAT32 || out->type == MR_TENSOR_FLOAT64)
        return MR_OK;
    mr_tensor whole = *out;
    return mr_net_cast(net, &whole, MR_TENSOR_FLOAT64, out, err);
}

static mr_status check_axes(const mr_tensor *a, uint32_t axes, mr_error *err)
{
    uint32_t axis;
    for (uint32_t i = 0; i < a->rank; i++)
        if ((axes >> i & 1) != 0)
            MR_TRY(mr_tensor_inner_axis(a, i, &axis, err));
    return MR_OK;
}

/* Whole numbers are reduced as float64 and come back: exact up to 2^53. */
mr_status mr_net_reduce(mr_net *net, mr_net_reduction how, const mr_tensor *a, uint32_t axes,
                        bool keep, mr_tensor *out, mr_error *err)
{
    mr_tensor in, grouped, shape;
    uint32_t inner;
    MR_TRY(check_axes(a, axes, err));
    MR_TRY(to_float(net, a, &in, err));
    MR_TRY(mr_tensor_group(&net->pool, &in, axes, keep, &shape, &grouped, &inner, err));
    MR_TRY(mr_net_fresh(net, in.type, shape.rank, shape.dims, shape.batch, out, err));
    if (out->count == 0)
        return MR_OK;
    mr_net_step step = {.run = run_reduce,
                        .reduce = in.type == MR_TENSOR_FLOAT64 ? net->kernels->reduce64
                                                               : net->kernels->reduce32,
                        .out = mr_net_columns_operand(net, out->elements[0], out->count),
                        .inner = inner,
                        .flags = (uint32_t)how};
    MR_TRY(mr_net_together(net, in.type, grouped.elements, grouped.count, true, &step.in[0], err));
    MR_TRY(mr_net_emit(net, &step, err));
    if (in.type == a->type)
        return MR_OK;
    mr_tensor wide = *out;
    return mr_net_cast(net, &wide, a->type, out, err);
}

/* ---- softmax ---- */

#define SOFTMAX_LOG  1u
#define SOFTMAX_ZERO 2u

static void run_softmax(const mr_net_step *step, const mr_net_frame *frame)
{
    step->softmax(mr_net_at(&step->out, frame, 0), mr_net_at(&step->in[0], frame, 0), frame->rows,
                  step->out.count / step->inner, step->inner, (step->flags & SOFTMAX_LOG) != 0,
                  (step->flags & SOFTMAX_ZERO) != 0);
}

/* Back from groups to the axes' own places. */
static mr_status ungroup(mr_net *net, const mr_tensor *a, uint32_t axes, uint32_t first,
                         mr_tensor *out, mr_error *err)
{
    mr_tensor numbers, grouped, shape;
    uint32_t inner;
    MR_TRY(mr_tensor_make(&net->pool, a->type, a->rank, a->dims, a->batch, &numbers, err));
    for (uint32_t i = 0; i < a->count; i++)
        numbers.elements[i] = i;
    MR_TRY(mr_tensor_group(&net->pool, &numbers, axes, true, &shape, &grouped, &inner, err));
    MR_TRY(mr_tensor_make(&net->pool, a->type, a->rank, a->dims, a->batch, out, err));
    for (uint32_t i = 0; i < a->count; i++)
        out->elements[grouped.elements[i]] = first + i;
    return MR_OK;
}

mr_status mr_net_softmax(mr_net *net, const mr_tensor *a, uint32_t axes, bool log, bool zero,
                         mr_tensor *out, mr_error *err)
{
    mr_tensor plain = *a, grouped, shape;
    uint32_t inner, first;
    bool wide = a->type == MR_TENSOR_FLOAT64;
    MR_TRY(check_axes(a, axes, err));
    MR_TRY(mr_net_plain(net, &plain, err));
    if (!wide && a->type != MR_TENSOR_FLOAT32)
        return MR_FAIL(err, MR_UNSUPPORTED, "softmax of %s values", mr_tensor_type_name(a->type));
    MR_TRY(mr_tensor_group(&net->pool, &plain, axes, true, &shape, &grouped, &inner, err));
    *out = plain;
    if (plain.count == 0)
        return MR_OK;
    MR_TRY(mr_net_columns(net, a->type, plain.count, &first, err));
    mr_net_step step = {.run = run_softmax,
                        .softmax = wide ? net->kernels->softmax64 : net->kernels->softmax32,
                        .out = mr_net_columns_operand(net, first, plain.count),
                        .inner = inner,
                        .flags = (log ? SOFTMAX_LOG : 0) | (zero ? SOFTMAX_ZERO : 0)};
    MR_TRY(mr_net_together(net, a->type, grouped.elements, grouped.count, true, &step.in[0], err));
    MR_TRY(mr_net_emit(net, &step, err));
    return ungroup(net, &plain, axes, first, out, err);
}
