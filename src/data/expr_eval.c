/* expr_eval.c -- runs a program over rows, MR_EXPR_ROWS at a time; gives results their Arrow form.
 *
 *   columns --load--> registers --kernels--> result --store--> values, validity | rows of a filter
 *
 * (1) Chunks start at multiples of MR_EXPR_ROWS behind `first`, so a result's bits are whole words.
 * (2) What leaves here obeys batch.h: zero values and bits at NULL rows and behind the last row.
 * (3) Kernels of a full chunk write 8-byte results straight into the output; else the register is
 *     copied.
 *
 * Thread: the caller's, with the caller's scratch. */
#include "data/expr_internal.h"

#include <string.h>

#define OUT_TEXT_BYTES_MAX INT32_MAX

/* ---- scratch ---- */

void mr_expr_memory_deinit(struct mr_expr_memory *memory)
{
    mr_regex_memory_deinit(memory);
    mr_free(memory->regs);
    mr_free(memory->reg_table);
    mr_arena_deinit(&memory->texts);
    mr_bytes_deinit(&memory->out);
    *memory = (struct mr_expr_memory){0};
}

void mr_expr_scratch_deinit(mr_expr_scratch *scratch)
{
    if (scratch->memory != NULL)
        mr_expr_memory_deinit(scratch->memory);
    mr_free(scratch->memory);
    scratch->memory = NULL;
}

static bool need_reg_memory(struct mr_expr_memory *memory, size_t bytes)
{
    if (bytes <= memory->regs_bytes)
        return true;
    mr_free(memory->regs);
    memory->regs = mr_alloc_aligned(bytes);
    memory->regs_bytes = memory->regs != NULL ? bytes : 0;
    if (memory->regs != NULL)
        memset(memory->regs, 0, bytes);
    return memory->regs != NULL;
}

static bool need_reg_table(struct mr_expr_memory *memory, size_t count)
{
    if (count <= memory->reg_count)
        return true;
    mr_free(memory->reg_table);
    memory->reg_table = mr_alloc_zero(count, sizeof(mr_reg));
    memory->reg_count = memory->reg_table != NULL ? count : 0;
    return memory->reg_table != NULL;
}

void mr_reg_fill(mr_reg *reg, mr_rep rep, const mr_value *value, size_t words)
{
    size_t rows = words * 64;
    reg->has_nulls = value->is_null;
    if (value->is_null)
        memset(reg->valid, 0, MR_EXPR_WORDS * 8);
    if (value->is_null || rep == MR_REP_BITS)
        memset(reg->values, value->is_null || !value->as.boolean ? 0 : 0xff,
               mr_rep_bytes(rep, rows));
    else if (rep == MR_REP_TEXT)
        for (size_t i = 0; i < rows; i++)
            ((mr_text *)reg->values)[i] = value->as.text;
    else
        for (size_t i = 0; i < rows; i++)
            ((int64_t *)reg->values)[i] = value->as.integer; /* or the bits of a double */
}

/* Points registers at their memory and fills the constants for chunks of up to `count` rows. */
static mr_status prepare(const mr_expr *expr, mr_expr_scratch *scratch, const mr_column *columns,
                         size_t count, mr_frame *frame, mr_error *err)
{
    const mr_program *program = &expr->program;
    for (uint32_t i = 0; i < expr->column_count; i++)
        MR_ASSERT(mr_type_equal(columns[expr->columns[i]].type, expr->column_types[i]));
    if (scratch->memory == NULL)
        scratch->memory = MR_NEW(struct mr_expr_memory);
    struct mr_expr_memory *memory = scratch->memory;
    if (memory == NULL || !need_reg_memory(memory, program->memory_bytes) ||
        !need_reg_table(memory, program->reg_count))
        return MR_OUT_OF_MEMORY(err);
    *frame = (mr_frame){.regs = memory->reg_table, .columns = columns, .memory = memory};
    for (uint32_t i = 0; i < program->reg_count; i++)
        frame->regs[i] =
            (mr_reg){memory->regs + program->regs[i].values_at,
                     (uint64_t *)(void *)(memory->regs + program->regs[i].valid_at), false};
    size_t words = (MR_MIN(count, MR_EXPR_ROWS) + 63) / 64;
    for (uint32_t i = 0; i < program->constant_count; i++)
        mr_reg_fill(&frame->regs[program->constants[i].reg], program->constants[i].rep,
                    &program->constants[i].value, words);
    return MR_OK;
}

/* ---- running ---- */

static void merge_validity(mr_frame *frame, const mr_step *step)
{
    mr_reg *dst = &frame->regs[step->dst];
    dst->has_nulls = false;
    for (uint16_t i = 0; i < step->arg_count; i++) {
        const mr_reg *arg = &frame->regs[step->args[i]];
        if (!arg->has_nulls)
            continue;
        if (!dst->has_nulls)
            memcpy(dst->valid, arg->valid, frame->words * 8);
        else
            for (size_t w = 0; w < frame->words; w++)
                dst->valid[w] &= arg->valid[w];
        dst->has_nulls = true;
    }
}

void mr_step_run(mr_frame *frame, const mr_step *step)
{
    if (step->strict)
        merge_validity(frame, step);
    step->kernel(frame, step);
    mr_reg *dst = &frame->regs[step->dst];
    if (step->bits && dst->has_nulls)
        for (size_t w = 0; w < frame->words; w++)
            ((uint64_t *)dst->values)[w] &= dst->valid[w];
}

static mr_status run_chunk(const mr_program *program, mr_frame *frame, size_t row, size_t rows,
                           mr_error *err)
{
    frame->row = row;
    frame->rows = rows;
    frame->words = (rows + 63) / 64;
    mr_arena_reset(&frame->memory->texts);
    for (uint32_t i = 0; i < program->step_count; i++)
        mr_step_run(frame, &program->steps[i]);
    return frame->failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* ---- storing ---- */

/* Bits behind `rows` in the last word become 0. */
static void clear_tail(uint64_t *bits, size_t rows)
{
    if (rows % 64 != 0)
        bits[rows / 64] &= (UINT64_C(1) << (rows % 64)) - 1;
}

/* Validity words of a result; returns how many rows are NULL. */
static size_t store_validity(const mr_reg *reg, size_t rows, uint64_t *to)
{
    size_t words = (rows + 63) / 64, valid = 0;
    for (size_t w = 0; w < words; w++)
        to[w] = mr_reg_valid_word(reg, w);
    clear_tail(to, rows);
    for (size_t w = 0; w < words; w++)
        valid += (size_t)__builtin_popcountll(to[w]);
    return rows - valid;
}

static void store_values(const mr_reg *reg, mr_type_id id, size_t rows, void *to)
{
    switch (id) {
    case MR_BOOL:
        memcpy(to, reg->values, mr_rep_bytes(MR_REP_BITS, rows));
        clear_tail(to, rows);
        break;
    case MR_INT32:
        for (size_t i = 0; i < rows; i++)
            ((int32_t *)to)[i] = (int32_t)((const int64_t *)reg->values)[i];
        break;
    case MR_FLOAT32:
        for (size_t i = 0; i < rows; i++)
            ((float *)to)[i] = (float)((const double *)reg->values)[i];
        break;
    default:
        if (to != reg->values)
            memcpy(to, reg->values, rows * 8);
        break;
    }
}

static void zero_nulls(const uint64_t *valid, size_t rows, size_t bytes_each, uint8_t *values)
{
    for (size_t w = 0; w * 64 < rows; w++) {
        size_t left = MR_MIN(rows - w * 64, 64);
        uint64_t null = ~valid[w] & (left == 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1);
        for (; null != 0; null &= null - 1)
            memset(values + (w * 64 + (size_t)__builtin_ctzll(null)) * bytes_each, 0, bytes_each);
    }
}

static uint8_t *values_at(mr_type type, void *values, size_t row)
{
    return (uint8_t *)values + (type.id == MR_BOOL ? row / 8 : row * mr_type_bytes(type));
}

/* Rows [first, first + count) to index `at` (a multiple of 64) of values and validity. */
static mr_status eval_fixed(const mr_expr *expr, mr_expr_scratch *scratch, const mr_column *columns,
                            size_t first, size_t count, size_t at, void *values, uint64_t *validity,
                            size_t *out_null_count, mr_error *err)
{
    mr_frame frame;
    MR_TRY(prepare(expr, scratch, columns, count, &frame, err));
    mr_reg *result = &frame.regs[expr->program.result];
    void *own = result->values;
    bool direct = !expr->program.result_is_lent && mr_type_bytes(expr->type) == 8;
    *out_null_count = 0;
    for (size_t done = 0; done < count; done += MR_EXPR_ROWS) {
        size_t rows = MR_MIN(count - done, MR_EXPR_ROWS);
        uint8_t *to = values_at(expr->type, values, at + done);
        uint64_t *valid = validity + (at + done) / 64;
        if (direct)
            result->values = rows == MR_EXPR_ROWS ? to : own;
        MR_TRY(run_chunk(&expr->program, &frame, first + done, rows, err));
        size_t nulls = store_validity(result, rows, valid);
        store_values(result, expr->type.id, rows, to);
        if (nulls > 0 && expr->type.id != MR_BOOL)
            zero_nulls(valid, rows, mr_type_bytes(expr->type), to);
        *out_null_count += nulls;
    }
    return MR_OK;
}

mr_status mr_expr_eval_into(const mr_expr *expr, mr_expr_scratch *scratch, const mr_column *columns,
                            size_t first, size_t count, void *values, uint8_t *validity,
                            size_t *out_null_count, mr_error *err)
{
    MR_ASSERT(first % 64 == 0 && !mr_type_is_text(expr->type.id) && expr->type.id != MR_VECTOR);
    return eval_fixed(expr, scratch, columns, first, count, first, values,
                      (uint64_t *)(void *)validity, out_null_count, err);
}

static mr_status eval_fixed_column(const mr_expr *expr, mr_expr_scratch *scratch,
                                   const mr_column *columns, size_t first, size_t count,
                                   mr_column *out, mr_error *err)
{
    void *values;
    size_t nulls;
    MR_TRY(mr_column_alloc(expr->type, count, out, &values, err));
    mr_buffer *bits = mr_buffer_create(mr_bitmap_bytes(count));
    mr_status status = bits == NULL ? MR_OUT_OF_MEMORY(err)
                                    : eval_fixed(expr, scratch, columns, first, count, 0, values,
                                                 (uint64_t *)(void *)bits->bytes, &nulls, err);
    if (status != MR_OK) {
        mr_buffer_release(bits);
        mr_column_release(out);
        return status;
    }
    mr_column_set_validity(out, bits, count);
    return MR_OK;
}

/* ---- texts ---- */

static mr_status store_texts(const mr_reg *reg, size_t rows, mr_bytes *out, int32_t *ends,
                             mr_error *err)
{
    const mr_text *texts = reg->values;
    size_t total = 0;
    for (size_t i = 0; i < rows; i++)
        total += mr_reg_is_valid(reg, i) ? texts[i].size : 0;
    if (total > OUT_TEXT_BYTES_MAX - out->size)
        return MR_FAIL(err, MR_FULL,
                       "a text column would hold more than 2 GiB; take fewer rows at once");
    if (!mr_bytes_reserve(out, total))
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < rows; i++) {
        if (mr_reg_is_valid(reg, i) && texts[i].size > 0) {
            memcpy(out->data + out->size, texts[i].bytes, texts[i].size);
            out->size += texts[i].size;
        }
        ends[i] = (int32_t)out->size;
    }
    return MR_OK;
}

static mr_status eval_texts(const mr_expr *expr, mr_expr_scratch *scratch, const mr_column *columns,
                            size_t first, size_t count, mr_buffer *offsets, mr_buffer *bits,
                            mr_error *err)
{
    mr_frame frame;
    MR_TRY(prepare(expr, scratch, columns, count, &frame, err));
    int32_t *ends = (int32_t *)(void *)offsets->bytes;
    mr_bytes_clear(&scratch->memory->out);
    ends[0] = 0;
    for (size_t done = 0; done < count; done += MR_EXPR_ROWS) {
        size_t rows = MR_MIN(count - done, MR_EXPR_ROWS);
        const mr_reg *result = &frame.regs[expr->program.result];
        MR_TRY(run_chunk(&expr->program, &frame, first + done, rows, err));
        (void)store_validity(result, rows, (uint64_t *)(void *)bits->bytes + done / 64);
        MR_TRY(store_texts(result, rows, &scratch->memory->out, ends + done + 1, err));
    }
    return MR_OK;
}

static mr_status eval_text_column(const mr_expr *expr, mr_expr_scratch *scratch,
                                  const mr_column *columns, size_t first, size_t count,
                                  mr_column *out, mr_error *err)
{
    mr_buffer *offsets = mr_buffer_create((count + 1) * sizeof(int32_t));
    mr_buffer *bits = mr_buffer_create(mr_bitmap_bytes(count)), *values = NULL;
    mr_status status = offsets == NULL || bits == NULL
                           ? MR_OUT_OF_MEMORY(err)
                           : eval_texts(expr, scratch, columns, first, count, offsets, bits, err);
    if (status == MR_OK) {
        const mr_bytes *made = &scratch->memory->out;
        values = mr_buffer_create(made->size);
        if (values == NULL)
            status = MR_OUT_OF_MEMORY(err);
        else if (made->size > 0)
            memcpy(values->bytes, made->data, made->size);
    }
    if (status != MR_OK) {
        mr_buffer_release(offsets);
        mr_buffer_release(bits);
        return status;
    }
    *out = (mr_column){.type = expr->type,
                       .values = values->bytes,
                       .offsets = (const int32_t *)(const void *)offsets->bytes,
                       .owners = {NULL, values, offsets}};
    mr_column_set_validity(out, bits, count);
    return MR_OK;
}

/* ---- whole columns ---- */

/* A column that needs no change is shared; floats do when one of them is not finite. */
static bool can_share(const mr_column *column, size_t first, size_t count)
{
    bool finite = true;
    if (column->type.id == MR_FLOAT64)
        for (size_t i = first; i < first + count; i++)
            finite &= __builtin_isfinite(((const double *)column->values)[i]) != 0;
    if (column->type.id == MR_FLOAT32)
        for (size_t i = first; i < first + count; i++)
            finite &= __builtin_isfinite(((const float *)column->values)[i]) != 0;
    return finite;
}

mr_status mr_expr_eval(const mr_expr *expr, mr_expr_scratch *scratch, const mr_column *columns,
                       size_t first, size_t count, mr_column *out, mr_error *err)
{
    *out = (mr_column){0};
    if (expr->is_column && can_share(&columns[expr->columns[0]], first, count))
        return mr_column_slice(&columns[expr->columns[0]], first, count, out, err);
    if (mr_type_is_text(expr->type.id))
        return eval_text_column(expr, scratch, columns, first, count, out, err);
    return eval_fixed_column(expr, scratch, columns, first, count, out, err);
}

/* ---- filters ---- */

/* Appends the rows whose bit is set. */
static size_t take_rows(const uint64_t *bits, size_t count, size_t first, uint32_t *rows)
{
    size_t taken = 0;
    for (size_t w = 0; w * 64 < count; w++) {
        size_t left = MR_MIN(count - w * 64, 64);
        uint64_t word = bits[w] & (left == 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1);
        if (word == UINT64_MAX) {
            for (size_t i = 0; i < 64; i++)
                rows[taken++] = (uint32_t)(first + w * 64 + i);
            continue;
        }
        for (; word != 0; word &= word - 1)
            rows[taken++] = (uint32_t)(first + w * 64 + (size_t)__builtin_ctzll(word));
    }
    return taken;
}

mr_status mr_expr_eval_filter(const mr_expr *expr, mr_expr_scratch *scratch,
                              const mr_column *columns, size_t first, size_t count, uint32_t *rows,
                              size_t *out_count, mr_error *err)
{
    mr_frame frame;
    MR_ASSERT(expr->type.id == MR_BOOL);
    *out_count = 0;
    MR_TRY(prepare(expr, scratch, columns, count, &frame, err));
    for (size_t done = 0; done < count; done += MR_EXPR_ROWS) {
        size_t chunk = MR_MIN(count - done, MR_EXPR_ROWS);
        MR_TRY(run_chunk(&expr->program, &frame, first + done, chunk, err));
        *out_count += take_rows(frame.regs[expr->program.result].values, chunk, first + done,
                                rows + *out_count);
    }
    return MR_OK;
}
