/* batch.c -- columns and batches: sharing, slicing, gathering, joining, comparing.
 *
 * The invariants (1) to (3) of batch.h hold for everything that leaves this file. */
#include "data/batch.h"

#include "base/assert.h"

#include <string.h>

/* ---- bits ---- */

size_t mr_bitmap_count(const uint8_t *bits, size_t count)
{
    size_t set = 0, words = count / 64;
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, bits + i * 8, 8);
        set += (size_t)__builtin_popcountll(word);
    }
    for (size_t i = words * 64; i < count; i++)
        set += mr_bit_get(bits, i);
    return set;
}

void mr_bitmap_copy(uint8_t *to, const uint8_t *from, size_t start, size_t count)
{
    if (count == 0)
        return;
    size_t bytes = mr_bitmap_bytes(count), shift = start % 8;
    const uint8_t *source = from + start / 8;
    if (shift == 0) {
        memcpy(to, source, bytes);
    } else {
        size_t last =
            (start + count - 1) / 8 - start / 8; /* index of the last byte that holds bits */
        for (size_t i = 0; i < bytes; i++) {
            unsigned high = i + 1 <= last ? source[i + 1] : 0u;
            to[i] = (uint8_t)(source[i] >> shift | high << (8 - shift));
        }
    }
    if (count % 8 != 0)
        to[bytes - 1] = (uint8_t)(to[bytes - 1] & ((1u << (count % 8)) - 1));
}

/* ---- columns ---- */

mr_column mr_column_retain(const mr_column *from)
{
    mr_column copy = *from;
    for (size_t i = 0; i < 3; i++)
        (void)mr_buffer_retain(copy.owners[i]);
    return copy;
}

void mr_column_release(mr_column *column)
{
    for (size_t i = 0; i < 3; i++)
        mr_buffer_release(column->owners[i]);
    *column = (mr_column){0};
}

mr_status mr_column_alloc(mr_type type, size_t count, mr_column *out, void **out_values,
                          mr_error *err)
{
    MR_ASSERT(!mr_type_is_text(type.id));
    size_t bytes = type.id == MR_BOOL ? mr_bitmap_bytes(count) : mr_type_bytes(type) * count;
    mr_buffer *buffer = mr_buffer_create(bytes);
    if (buffer == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(buffer->bytes, 0, bytes);
    *out = (mr_column){.type = type, .values = buffer->bytes, .owners = {NULL, buffer, NULL}};
    *out_values = buffer->bytes;
    return MR_OK;
}

void mr_column_set_validity(mr_column *column, mr_buffer *bitmap, size_t count)
{
    mr_buffer_release(column->owners[0]);
    column->null_count =
        bitmap != NULL ? (uint32_t)(count - mr_bitmap_count(bitmap->bytes, count)) : 0;
    if (column->null_count == 0) {
        mr_buffer_release(bitmap);
        bitmap = NULL;
    }
    column->owners[0] = bitmap;
    column->validity = bitmap != NULL ? bitmap->bytes : NULL;
}

static mr_status slice_bits(const uint8_t *bits, size_t first, size_t count, mr_buffer **out,
                            mr_error *err)
{
    *out = mr_buffer_create(mr_bitmap_bytes(count));
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_bitmap_copy((*out)->bytes, bits, first, count);
    return MR_OK;
}

static mr_status slice_values(const mr_column *from, size_t first, size_t count, mr_column *out,
                              mr_error *err)
{
    if (from->type.id == MR_BOOL) {
        mr_buffer *bits;
        MR_TRY(slice_bits(from->values, first, count, &bits, err));
        out->owners[1] = bits;
        out->values = bits->bytes;
        return MR_OK;
    }
    out->owners[1] = mr_buffer_retain(from->owners[1]);
    out->owners[2] = mr_buffer_retain(from->owners[2]);
    if (mr_type_is_text(from->type.id)) {
        out->values = from->values;
        out->offsets = from->offsets + first;
    } else {
        out->values = (const uint8_t *)from->values + first * mr_type_bytes(from->type);
    }
    return MR_OK;
}

mr_status mr_column_slice(const mr_column *from, size_t first, size_t count, mr_column *out,
                          mr_error *err)
{
    *out = (mr_column){.type = from->type};
    if (from->validity != NULL) {
        mr_buffer *bits;
        MR_TRY(slice_bits(from->validity, first, count, &bits, err));
        mr_column_set_validity(out, bits, count);
    }
    mr_status status = slice_values(from, first, count, out, err);
    if (status != MR_OK)
        mr_column_release(out);
    return status;
}

static mr_status gather_validity(const mr_column *from, const uint32_t *rows, size_t count,
                                 mr_column *out, mr_error *err)
{
    if (from->validity == NULL)
        return MR_OK;
    mr_buffer *bits = mr_buffer_create(mr_bitmap_bytes(count));
    if (bits == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(bits->bytes, 0, bits->size);
    for (size_t i = 0; i < count; i++)
        if (mr_bit_get(from->validity, rows[i]))
            mr_bit_set(bits->bytes, i);
    mr_column_set_validity(out, bits, count);
    return MR_OK;
}

static mr_status gather_text(const mr_column *from, const uint32_t *rows, size_t count,
                             mr_column *out, mr_error *err)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += (uint64_t)(from->offsets[rows[i] + 1] - from->offsets[rows[i]]);
    if (total > INT32_MAX)
        return MR_FAIL(err, MR_FULL,
                       "a text column of %zu rows would hold %llu bytes; 2 GiB is the limit", count,
                       (unsigned long long)total);
    mr_buffer *values = out->owners[1] = mr_buffer_create((size_t)total);
    mr_buffer *offsets = out->owners[2] = mr_buffer_create((count + 1) * sizeof(int32_t));
    if (values == NULL || offsets == NULL)
        return MR_OUT_OF_MEMORY(err);
    int32_t *ends = (int32_t *)(void *)offsets->bytes;
    int32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        mr_text text = mr_column_text(from, rows[i]);
        ends[i] = at;
        if (text.size > 0)
            memcpy(values->bytes + at, text.bytes, text.size);
        at += (int32_t)text.size;
    }
    ends[count] = at;
    out->values = values->bytes;
    out->offsets = ends;
    return MR_OK;
}

static mr_status gather_fixed(const mr_column *from, const uint32_t *rows, size_t count,
                              mr_column *out, mr_error *err)
{
    void *values;
    mr_column made;
    MR_TRY(mr_column_alloc(from->type, count, &made, &values, err));
    size_t bytes = mr_type_bytes(from->type);
    if (from->type.id == MR_BOOL) {
        for (size_t i = 0; i < count; i++)
            if (mr_bit_get(from->values, rows[i]))
                mr_bit_set(values, i);
    } else if (bytes == 8) {
        for (size_t i = 0; i < count; i++)
            ((uint64_t *)values)[i] = ((const uint64_t *)from->values)[rows[i]];
    } else {
        for (size_t i = 0; i < count; i++)
            memcpy((uint8_t *)values + i * bytes, (const uint8_t *)from->values + rows[i] * bytes,
                   bytes);
    }
    out->owners[1] = made.owners[1];
    out->values = values;
    return MR_OK;
}

mr_status mr_column_gather(const mr_column *from, const uint32_t *rows, size_t count,
                           mr_column *out, mr_error *err)
{
    *out = (mr_column){.type = from->type};
    mr_status status = gather_validity(from, rows, count, out, err);
    if (status == MR_OK)
        status = mr_type_is_text(from->type.id) ? gather_text(from, rows, count, out, err)
                                                : gather_fixed(from, rows, count, out, err);
    if (status != MR_OK)
        mr_column_release(out);
    return status;
}

static bool equal_value(const mr_column *a, size_t row_a, const mr_column *b, size_t row_b)
{
    if (a->type.id == MR_BOOL)
        return mr_bit_get(a->values, row_a) == mr_bit_get(b->values, row_b);
    if (mr_type_is_text(a->type.id)) {
        mr_text left = mr_column_text(a, row_a), right = mr_column_text(b, row_b);
        return left.size == right.size &&
               (left.size == 0 || memcmp(left.bytes, right.bytes, left.size) == 0);
    }
    size_t bytes = mr_type_bytes(a->type);
    return memcmp((const uint8_t *)a->values + row_a * bytes,
                  (const uint8_t *)b->values + row_b * bytes, bytes) == 0;
}

bool mr_column_equal(const mr_column *a, size_t first_a, const mr_column *b, size_t first_b,
                     size_t count)
{
    if (!mr_type_equal(a->type, b->type))
        return false;
    for (size_t i = 0; i < count; i++) {
        bool null = mr_column_is_null(a, first_a + i);
        if (null != mr_column_is_null(b, first_b + i) ||
            (!null && !equal_value(a, first_a + i, b, first_b + i)))
            return false;
    }
    return true;
}

mr_status mr_column_check(const mr_column *column, size_t rows, mr_error *err)
{
    size_t nulls = column->validity != NULL ? rows - mr_bitmap_count(column->validity, rows) : 0;
    if (nulls != column->null_count || (column->validity != NULL && nulls == 0))
        return MR_FAIL(err, MR_CORRUPT, "a column claims %u NULLs and has %zu", column->null_count,
                       nulls);
    if (!mr_type_is_text(column->type.id))
        return MR_OK;
    if (column->offsets[0] < 0)
        return MR_FAIL(err, MR_CORRUPT, "a text column starts at offset %d", column->offsets[0]);
    for (size_t i = 0; i < rows; i++)
        if (column->offsets[i + 1] < column->offsets[i])
            return MR_FAIL(err, MR_CORRUPT, "text offsets go back at row %zu: %d after %d", i,
                           column->offsets[i + 1], column->offsets[i]);
    return MR_OK;
}

/* ---- batches ---- */

static mr_batch *alloc_batch(mr_schema *schema, size_t row_count)
{
    mr_batch *batch = mr_alloc_zero(1, sizeof *batch + schema->field_count * sizeof(mr_column));
    if (batch == NULL)
        return NULL;
    atomic_init(&batch->owners, 1);
    batch->row_count = (uint32_t)row_count;
    batch->schema = mr_schema_retain(schema);
    batch->columns = (mr_column *)(void *)(batch + 1);
    return batch;
}

mr_status mr_batch_create(mr_schema *schema, size_t row_count, mr_column *columns, mr_batch **out,
                          mr_error *err)
{
    *out = NULL;
    if (row_count > MR_BATCH_ROWS_MAX)
        return MR_FAIL(err, MR_FULL, "a batch of %zu rows; %u is the limit", row_count,
                       MR_BATCH_ROWS_MAX);
    for (uint32_t i = 0; i < schema->field_count; i++)
        MR_ASSERT(mr_type_equal(columns[i].type, schema->fields[i].type));
    mr_batch *batch = alloc_batch(schema, row_count);
    if (batch == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(batch->columns, columns, schema->field_count * sizeof(mr_column));
    memset(columns, 0, schema->field_count * sizeof(mr_column));
    *out = batch;
    return MR_OK;
}

mr_batch *mr_batch_retain(mr_batch *batch)
{
    atomic_fetch_add_explicit(&batch->owners, 1, memory_order_relaxed);
    return batch;
}

void mr_batch_release(mr_batch *batch)
{
    if (batch == NULL || atomic_fetch_sub_explicit(&batch->owners, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < batch->schema->field_count; i++)
        mr_column_release(&batch->columns[i]);
    mr_schema_release(batch->schema);
    mr_free(batch);
}

mr_status mr_batch_slice(const mr_batch *from, size_t first, size_t count, mr_batch **out,
                         mr_error *err)
{
    MR_ASSERT(first + count <= from->row_count);
    mr_batch *batch = *out = alloc_batch(from->schema, count);
    mr_status status = batch != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < from->schema->field_count; i++)
        status = mr_column_slice(&from->columns[i], first, count, &batch->columns[i], err);
    if (status != MR_OK) {
        mr_batch_release(batch);
        *out = NULL;
    }
    return status;
}

mr_status mr_batch_gather(const mr_batch *from, const uint32_t *rows, size_t count, mr_batch **out,
                          mr_error *err)
{
    mr_batch *batch = *out = alloc_batch(from->schema, count);
    mr_status status = batch != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < from->schema->field_count; i++)
        status = mr_column_gather(&from->columns[i], rows, count, &batch->columns[i], err);
    if (status != MR_OK) {
        mr_batch_release(batch);
        *out = NULL;
    }
    return status;
}

/* Sets bits [at, at + count) of zeroed bits from bit 0 of `from`; NULL stands for ones. */
static void put_bits(uint8_t *to, size_t at, const uint8_t *from, size_t count)
{
    size_t i = 0;
    for (; (at + i) % 8 != 0 && i < count; i++)
        if (from == NULL || mr_bit_get(from, i))
            mr_bit_set(to, at + i);
    for (; i + 8 <= count; i += 8) {
        unsigned low = from != NULL ? (unsigned)from[i / 8] >> (i % 8) : 0xffu;
        unsigned high = from != NULL && i % 8 != 0 ? (unsigned)from[i / 8 + 1] << (8 - i % 8) : 0u;
        to[(at + i) / 8] = (uint8_t)(low | high);
    }
    for (; i < count; i++)
        if (from == NULL || mr_bit_get(from, i))
            mr_bit_set(to, at + i);
}

static mr_status concat_validity(mr_batch *const *batches, size_t count, uint32_t field,
                                 size_t rows, mr_column *out, mr_error *err)
{
    bool any = false;
    for (size_t b = 0; b < count; b++)
        any = any || batches[b]->columns[field].validity != NULL;
    if (!any)
        return MR_OK;
    mr_buffer *bits = mr_buffer_create(mr_bitmap_bytes(rows));
    if (bits == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(bits->bytes, 0, bits->size);
    size_t at = 0;
    for (size_t b = 0; b < count; at += batches[b++]->row_count)
        put_bits(bits->bytes, at, batches[b]->columns[field].validity, batches[b]->row_count);
    mr_column_set_validity(out, bits, rows);
    return MR_OK;
}

static mr_status concat_text(mr_batch *const *batches, size_t count, uint32_t field, size_t rows,
                             mr_column *out, mr_error *err)
{
    uint64_t total = 0;
    for (size_t b = 0; b < count; b++) {
        const int32_t *offsets = batches[b]->columns[field].offsets;
        total += (uint64_t)(offsets[batches[b]->row_count] - offsets[0]);
    }
    if (total > INT32_MAX)
        return MR_FAIL(err, MR_FULL,
                       "a text column of %zu rows would hold %llu bytes; 2 GiB is the limit", rows,
                       (unsigned long long)total);
    mr_buffer *values = out->owners[1] = mr_buffer_create((size_t)total);
    mr_buffer *ends = out->owners[2] = mr_buffer_create((rows + 1) * sizeof(int32_t));
    if (values == NULL || ends == NULL)
        return MR_OUT_OF_MEMORY(err);
    int32_t *to = (int32_t *)(void *)ends->bytes, at = 0;
    for (size_t b = 0; b < count; b++) {
        const mr_column *from = &batches[b]->columns[field];
        uint32_t from_rows = batches[b]->row_count;
        int32_t first = from->offsets[0], bytes = from->offsets[from_rows] - first;
        for (uint32_t row = 0; row < from_rows; row++)
            *to++ = from->offsets[row] - first + at;
        if (bytes > 0)
            memcpy(values->bytes + at, (const uint8_t *)from->values + first, (size_t)bytes);
        at += bytes;
    }
    *to = at;
    out->values = values->bytes;
    out->offsets = (const int32_t *)(const void *)ends->bytes;
    return MR_OK;
}

static mr_status concat_fixed(mr_batch *const *batches, size_t count, uint32_t field, size_t rows,
                              mr_column *out, mr_error *err)
{
    void *values;
    mr_column made;
    MR_TRY(mr_column_alloc(out->type, rows, &made, &values, err));
    size_t bytes = mr_type_bytes(out->type), at = 0;
    for (size_t b = 0; b < count; at += batches[b++]->row_count) {
        const mr_column *from = &batches[b]->columns[field];
        if (out->type.id == MR_BOOL)
            put_bits(values, at, from->values, batches[b]->row_count);
        else if (batches[b]->row_count > 0)
            memcpy((uint8_t *)values + at * bytes, from->values, batches[b]->row_count * bytes);
    }
    out->owners[1] = made.owners[1];
    out->values = values;
    return MR_OK;
}

mr_status mr_batch_concat(mr_batch *const *batches, size_t count, mr_batch **out, mr_error *err)
{
    *out = NULL;
    size_t rows = 0;
    for (size_t b = 0; b < count; b++) {
        MR_ASSERT(mr_schema_equal(batches[b]->schema, batches[0]->schema));
        rows += batches[b]->row_count;
    }
    if (rows > MR_BATCH_ROWS_MAX)
        return MR_FAIL(err, MR_FULL, "a batch of %zu rows; %u is the limit", rows,
                       MR_BATCH_ROWS_MAX);
    mr_batch *batch = alloc_batch(batches[0]->schema, rows);
    mr_status status = batch != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < batch->schema->field_count; i++) {
        mr_column *column = &batch->columns[i];
        column->type = batch->schema->fields[i].type;
        status = concat_validity(batches, count, i, rows, column, err);
        if (status == MR_OK)
            status = mr_type_is_text(column->type.id)
                         ? concat_text(batches, count, i, rows, column, err)
                         : concat_fixed(batches, count, i, rows, column, err);
    }
    if (status != MR_OK) {
        mr_batch_release(batch);
        return status;
    }
    *out = batch;
    return MR_OK;
}

static mr_status null_column(mr_type type, size_t rows, mr_column *out, mr_error *err)
{
    *out = (mr_column){.type = type};
    void *values;
    if (mr_type_is_text(type.id)) {
        mr_buffer *offsets = mr_buffer_create((rows + 1) * sizeof(int32_t));
        mr_buffer *bytes = mr_buffer_create(0);
        if (offsets == NULL || bytes == NULL) {
            mr_buffer_release(offsets);
            mr_buffer_release(bytes);
            return MR_OUT_OF_MEMORY(err);
        }
        memset(offsets->bytes, 0, offsets->size);
        out->owners[1] = bytes;
        out->owners[2] = offsets;
        out->values = bytes->bytes;
        out->offsets = (const int32_t *)(const void *)offsets->bytes;
    } else {
        MR_TRY(mr_column_alloc(type, rows, out, &values, err));
    }
    mr_buffer *bits = mr_buffer_create(mr_bitmap_bytes(rows));
    if (bits == NULL) {
        mr_column_release(out);
        return MR_OUT_OF_MEMORY(err);
    }
    memset(bits->bytes, 0, bits->size);
    mr_column_set_validity(out, bits, rows);
    return MR_OK;
}

static mr_status widen_column(const mr_column *from, mr_type to, size_t rows, mr_column *out,
                              mr_error *err)
{
    void *values;
    MR_TRY(mr_column_alloc(to, rows, out, &values, err));
    for (size_t i = 0; i < rows; i++) {
        if (from->type.id == MR_INT32 && to.id == MR_INT64)
            ((int64_t *)values)[i] = ((const int32_t *)from->values)[i];
        else if (from->type.id == MR_INT32)
            ((double *)values)[i] = ((const int32_t *)from->values)[i];
        else
            ((double *)values)[i] = (double)((const float *)from->values)[i];
    }
    out->null_count = from->null_count;
    out->validity = from->validity;
    out->owners[0] = mr_buffer_retain(from->owners[0]);
    return MR_OK;
}

static mr_status adapt_column(const mr_batch *from, const mr_field *field, mr_column *out,
                              mr_error *err)
{
    int at = mr_schema_find(from->schema, field->name);
    if (at < 0)
        return null_column(field->type, from->row_count, out, err);
    const mr_column *column = &from->columns[at];
    if (mr_type_equal(column->type, field->type)) {
        *out = mr_column_retain(column);
        return MR_OK;
    }
    return widen_column(column, field->type, from->row_count, out, err);
}

mr_status mr_batch_adapt(const mr_batch *from, mr_schema *to, mr_batch **out, mr_error *err)
{
    *out = NULL;
    MR_TRY(mr_schema_check_compatible(from->schema, to, err));
    mr_batch *batch = alloc_batch(to, from->row_count);
    mr_status status = batch != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < to->field_count; i++)
        status = adapt_column(from, &to->fields[i], &batch->columns[i], err);
    if (status != MR_OK) {
        mr_batch_release(batch);
        return status;
    }
    *out = batch;
    return MR_OK;
}

bool mr_batch_equal(const mr_batch *a, const mr_batch *b)
{
    if (a->row_count != b->row_count || !mr_schema_equal(a->schema, b->schema))
        return false;
    for (uint32_t i = 0; i < a->schema->field_count; i++)
        if (!mr_column_equal(&a->columns[i], 0, &b->columns[i], 0, a->row_count))
            return false;
    return true;
}

size_t mr_batch_bytes(const mr_batch *batch)
{
    size_t total = 0, rows = batch->row_count;
    for (uint32_t i = 0; i < batch->schema->field_count; i++) {
        const mr_column *column = &batch->columns[i];
        total += column->validity != NULL ? mr_bitmap_bytes(rows) : 0;
        if (mr_type_is_text(column->type.id))
            total +=
                (rows + 1) * sizeof(int32_t) + (size_t)(column->offsets[rows] - column->offsets[0]);
        else
            total += column->type.id == MR_BOOL ? mr_bitmap_bytes(rows)
                                                : mr_type_bytes(column->type) * rows;
    }
    return total;
}
