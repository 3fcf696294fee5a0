/* expr_load.c -- rows of columns into registers: lent where the forms agree, widened where not.
 *
 * Floats that are not finite become NULL here (promise 3 of expr.h). */
#include "data/expr_internal.h"

static const mr_column *column_of(const mr_frame *frame, const mr_step *step)
{
    return &frame->columns[step->args[0]];
}

static void load_validity(mr_frame *frame, const mr_column *column, mr_reg *dst)
{
    dst->has_nulls = column->validity != NULL;
    if (dst->has_nulls)
        mr_bitmap_copy((uint8_t *)dst->valid, column->validity, frame->row, frame->rows);
}

void mr_kernel_load_validity(mr_frame *frame, const mr_step *step)
{
    load_validity(frame, column_of(frame, step), MR_DST);
}

void mr_kernel_load_bits(mr_frame *frame, const mr_step *step)
{
    const mr_column *column = column_of(frame, step);
    load_validity(frame, column, MR_DST);
    mr_bitmap_copy(MR_DST->values, column->values, frame->row, frame->rows);
}

/* The register borrows the column's memory; no kernel writes to an argument. */
static void lend_values(mr_frame *frame, const mr_step *step)
{
    const mr_column *column = column_of(frame, step);
    load_validity(frame, column, MR_DST);
    MR_DST->values = (uint8_t *)(uintptr_t)column->values + frame->row * 8;
}

void mr_kernel_load_int64(mr_frame *frame, const mr_step *step)
{
    lend_values(frame, step);
}

void mr_kernel_load_float64(mr_frame *frame, const mr_step *step)
{
    lend_values(frame, step);
    mr_reg_drop_nonfinite(MR_DST, frame->rows);
}

void mr_kernel_load_int32(mr_frame *frame, const mr_step *step)
{
    const mr_column *column = column_of(frame, step);
    const int32_t *from = (const int32_t *)column->values + frame->row;
    int64_t *to = MR_DST->values;
    load_validity(frame, column, MR_DST);
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = from[i];
}

void mr_kernel_load_float32(mr_frame *frame, const mr_step *step)
{
    const mr_column *column = column_of(frame, step);
    const float *from = (const float *)column->values + frame->row;
    double *to = MR_DST->values;
    load_validity(frame, column, MR_DST);
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = (double)from[i];
    mr_reg_drop_nonfinite(MR_DST, frame->rows);
}

void mr_kernel_load_text(mr_frame *frame, const mr_step *step)
{
    const mr_column *column = column_of(frame, step);
    mr_text *to = MR_DST->values;
    load_validity(frame, column, MR_DST);
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = mr_column_text(column, frame->row + i);
}
