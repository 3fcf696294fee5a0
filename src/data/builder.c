/* builder.c -- builds a batch value by value (the verbs are in batch.h).
 *
 * (1) `validity` stays empty until the first NULL; from then on it has a bit for every row.
 * (2) A NULL row gets a zero value, so that columns with the same rows have the same bytes. */
#include "data/batch.h"

#include "base/assert.h"

#include <string.h>

mr_status mr_builder_init(mr_builder *builder, mr_schema *schema, mr_error *err)
{
    *builder = (mr_builder){0};
    builder->columns = mr_alloc_zero(schema->field_count, sizeof(mr_builder_column));
    if (builder->columns == NULL)
        return MR_OUT_OF_MEMORY(err);
    builder->schema = mr_schema_retain(schema);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        builder->columns[i].type = schema->fields[i].type;
        builder->columns[i].nullable = schema->fields[i].nullable;
    }
    return MR_OK;
}

static void clear_column(mr_builder_column *column)
{
    mr_bytes_deinit(&column->values);
    mr_bytes_deinit(&column->offsets);
    mr_bytes_deinit(&column->validity);
    column->null_count = column->row_count = 0;
}

void mr_builder_deinit(mr_builder *builder)
{
    if (builder->schema == NULL)
        return;
    for (uint32_t i = 0; i < builder->schema->field_count; i++)
        clear_column(&builder->columns[i]);
    mr_free(builder->columns);
    mr_schema_release(builder->schema);
    *builder = (mr_builder){0};
}

static void push_bit(mr_bytes *bits, uint32_t row, bool value)
{
    if (row % 8 == 0)
        mr_bytes_append_byte(bits, value ? 1 : 0);
    else if (value && !bits->failed)
        bits->data[row / 8] = (uint8_t)(bits->data[row / 8] | (1u << (row % 8)));
}

/* Counts the row in; call after its value was pushed. */
static void count_row(mr_builder_column *column, bool valid)
{
    if (!valid && column->null_count++ == 0)
        for (uint32_t row = 0; row < column->row_count; row++)
            push_bit(&column->validity, row, true);
    if (column->null_count > 0)
        push_bit(&column->validity, column->row_count, valid);
    column->row_count++;
}

static void push_text(mr_builder_column *column, const void *bytes, size_t size)
{
    if (column->offsets.size == 0)
        mr_bytes_append_u32(&column->offsets, 0);
    if (size > INT32_MAX - column->values.size) {
        column->values.failed = true;
        return;
    }
    mr_bytes_append(&column->values, bytes, size);
    uint32_t end = (uint32_t)column->values.size;
    mr_bytes_append(&column->offsets, &end, sizeof end);
}

void mr_builder_null(mr_builder_column *column)
{
    static const uint8_t zeros[8];
    size_t bytes = mr_type_bytes(column->type);
    if (column->type.id == MR_BOOL)
        push_bit(&column->values, column->row_count, false);
    else if (mr_type_is_text(column->type.id))
        push_text(column, NULL, 0);
    else
        for (size_t done = 0; done < bytes; done += 8)
            mr_bytes_append(&column->values, zeros, MR_MIN(bytes - done, 8));
    count_row(column, false);
}

void mr_builder_bool(mr_builder_column *column, bool value)
{
    push_bit(&column->values, column->row_count, value);
    count_row(column, true);
}

void mr_builder_int32(mr_builder_column *column, int32_t value)
{
    mr_bytes_append(&column->values, &value, sizeof value);
    count_row(column, true);
}

void mr_builder_int64(mr_builder_column *column, int64_t value)
{
    mr_bytes_append(&column->values, &value, sizeof value);
    count_row(column, true);
}

void mr_builder_float32(mr_builder_column *column, float value)
{
    mr_bytes_append(&column->values, &value, sizeof value);
    count_row(column, true);
}

void mr_builder_float64(mr_builder_column *column, double value)
{
    mr_bytes_append(&column->values, &value, sizeof value);
    count_row(column, true);
}

void mr_builder_text(mr_builder_column *column, const void *bytes, size_t size)
{
    push_text(column, bytes, size);
    count_row(column, true);
}

void mr_builder_vector(mr_builder_column *column, const float *values)
{
    mr_bytes_append(&column->values, values, mr_type_bytes(column->type));
    count_row(column, true);
}

static void truncate_bits(mr_bytes *bits, uint32_t rows)
{
    if (bits->size <= mr_bitmap_bytes(rows) && rows % 8 == 0)
        return;
    bits->size = MR_MIN(bits->size, mr_bitmap_bytes(rows));
    if (rows % 8 != 0 && bits->size == mr_bitmap_bytes(rows))
        bits->data[rows / 8] = (uint8_t)(bits->data[rows / 8] & ((1u << (rows % 8)) - 1));
}

void mr_builder_truncate(mr_builder_column *column, uint32_t rows)
{
    if (rows >= column->row_count)
        return;
    for (uint32_t row = rows; column->null_count > 0 && row < column->row_count; row++)
        if (row / 8 < column->validity.size && !mr_bit_get(column->validity.data, row))
            column->null_count--;
    column->row_count = rows;
    if (column->null_count == 0)
        column->validity.size = 0;
    else
        truncate_bits(&column->validity, rows);
    if (column->type.id == MR_BOOL) {
        truncate_bits(&column->values, rows);
    } else if (mr_type_is_text(column->type.id)) {
        uint32_t end = 0;
        if (column->offsets.size >= (rows + 1) * sizeof end)
            memcpy(&end, column->offsets.data + rows * sizeof end, sizeof end);
        column->values.size = MR_MIN(column->values.size, end);
        column->offsets.size = MR_MIN(column->offsets.size, (rows + 1) * sizeof end);
    } else {
        column->values.size = MR_MIN(column->values.size, rows * mr_type_bytes(column->type));
    }
}

size_t mr_builder_bytes(const mr_builder *builder)
{
    size_t total = 0;
    for (uint32_t i = 0; i < builder->schema->field_count; i++)
        total += builder->columns[i].values.size + builder->columns[i].offsets.size +
                 builder->columns[i].validity.size;
    return total;
}

static mr_status take_buffer(const mr_bytes *bytes, mr_buffer **out, mr_error *err)
{
    *out = bytes->failed ? NULL : mr_buffer_create(bytes->size);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (bytes->size > 0)
        memcpy((*out)->bytes, bytes->data, bytes->size);
    return MR_OK;
}

static mr_status finish_column(mr_builder_column *from, mr_column *to, mr_error *err)
{
    *to = (mr_column){.type = from->type};
    if (mr_type_is_text(from->type.id)) {
        if (from->offsets.size == 0)
            mr_bytes_append_u32(&from->offsets, 0);
        MR_TRY(take_buffer(&from->offsets, &to->owners[2], err));
        to->offsets = (const int32_t *)(const void *)to->owners[2]->bytes;
    }
    MR_TRY(take_buffer(&from->values, &to->owners[1], err));
    to->values = to->owners[1]->bytes;
    if (from->null_count > 0) {
        mr_buffer *bits;
        MR_TRY(take_buffer(&from->validity, &bits, err));
        mr_column_set_validity(to, bits, from->row_count);
    }
    return MR_OK;
}

mr_status mr_builder_finish(mr_builder *builder, mr_batch **out, mr_error *err)
{
    *out = NULL;
    uint32_t count = builder->schema->field_count, rows = builder->columns[0].row_count;
    mr_column *columns = mr_alloc_zero(count, sizeof *columns);
    mr_status status = columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < count; i++) {
        MR_ASSERT(builder->columns[i].row_count == rows);
        status = finish_column(&builder->columns[i], &columns[i], err);
    }
    if (status == MR_OK)
        status = mr_batch_create(builder->schema, rows, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < count; i++) {
        mr_column_release(&columns[i]);
        if (status == MR_OK)
            clear_column(&builder->columns[i]);
    }
    mr_free(columns);
    return status;
}
