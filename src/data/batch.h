/* batch.h -- record batches: N rows as typed columns in Arrow memory layout.
 *
 *   fixed types ....... values[row]                      (vectors: values[row * width + k], float32)
 *   bool .............. bit `row` of values, least significant bit first
 *   string, bytes ..... values[offsets[row] .. offsets[row + 1])   (int32; offsets[0] may be > 0)
 *   validity .......... bit `row` set: there is a value; NULL pointer: every row has one
 *
 * (1) A column's values at NULL rows are zero (or empty): the same data always has the same bytes.
 * (2) null_count is exact, and validity is NULL exactly when null_count is 0.
 * (3) Buffers are immutable once a batch is built; batches and buffers are shared by count and may cross
 *     threads. Memory that is ours is 64-byte aligned and zero-padded to 64 bytes.
 * There is no Arrow "offset": a slice of rows shares values and copies the (small) bitmaps. */
#ifndef MR_DATA_BATCH_H
#define MR_DATA_BATCH_H

#include "base/memory.h"
#include "data/schema.h"

#define MR_BATCH_ROWS_MAX (1u << 30)

typedef struct mr_column {
    mr_type type;
    uint32_t null_count;
    const uint8_t *validity; /* NULL: no NULLs */
    const void *values;
    const int32_t *offsets; /* string and bytes only: rows + 1 of them */
    mr_buffer *owners[3];   /* keep validity, values, offsets alive; NULL where not needed */
} mr_column;

typedef struct mr_batch {
    _Atomic uint32_t owners;
    uint32_t row_count;
    mr_schema *schema;
    mr_column *columns; /* schema->field_count of them */
} mr_batch;

/* ---- bits ---- */

static inline bool mr_bit_get(const uint8_t *bits, size_t index)
{
    return (bits[index >> 3] >> (index & 7)) & 1;
}

static inline void mr_bit_set(uint8_t *bits, size_t index)
{
    bits[index >> 3] = (uint8_t)(bits[index >> 3] | (1u << (index & 7)));
}

static inline void mr_bit_clear(uint8_t *bits, size_t index)
{
    bits[index >> 3] = (uint8_t)(bits[index >> 3] & ~(1u << (index & 7)));
}

static inline size_t mr_bitmap_bytes(size_t bits)
{
    return (bits + 7) / 8;
}

/* Set bits among the first `count`. */
size_t mr_bitmap_count(const uint8_t *bits, size_t count);
/* Copies `count` bits from bit `start` of `from` to bit 0 of `to`; the last byte's rest is zero. */
void mr_bitmap_copy(uint8_t *to, const uint8_t *from, size_t start, size_t count);

/* ---- columns ---- */

static inline bool mr_column_is_null(const mr_column *column, size_t row)
{
    return column->validity != NULL && !mr_bit_get(column->validity, row);
}

typedef struct mr_text {
    const uint8_t *bytes; /* lent by the column */
    size_t size;
} mr_text;

static inline mr_text mr_column_text(const mr_column *column, size_t row)
{
    const uint8_t *bytes = column->values;
    int32_t from = column->offsets[row], to = column->offsets[row + 1];
    return bytes != NULL ? (mr_text){bytes + from, (size_t)(to - from)} : (mr_text){NULL, 0};
}

/* Shares every buffer of `from`. */
mr_column mr_column_retain(const mr_column *from);
/* Gives the shares back and zeroes the struct; a zeroed column is allowed. */
void mr_column_release(mr_column *column);
/* Rows [first, first + count). MR_NO_MEMORY only. */
mr_status mr_column_slice(const mr_column *from, size_t first, size_t count, mr_column *out,
                          mr_error *err);
/* Rows named by `rows`, in that order, repeats allowed. */
mr_status mr_column_gather(const mr_column *from, const uint32_t *rows, size_t count,
                           mr_column *out, mr_error *err);
/* Rows first..first+count of `a` and of `b` from `first_b` hold the same values (floats by bits). */
bool mr_column_equal(const mr_column *a, size_t first_a, const mr_column *b, size_t first_b,
                     size_t count);
/* A column of `count` fixed-size or bool rows whose values the caller fills through *out_values (zeroed)
 * before sharing it; no NULLs until the caller gives it a validity with mr_column_set_validity. */
mr_status mr_column_alloc(mr_type type, size_t count, mr_column *out, void **out_values,
                          mr_error *err);
/* Takes a bitmap buffer of `count` bits; counts the NULLs, and drops the buffer when there are none. */
void mr_column_set_validity(mr_column *column, mr_buffer *bitmap, size_t count);
/* Checks invariants (offsets ascending, sizes, UTF-8 not checked); for columns from outside. */
mr_status mr_column_check(const mr_column *column, size_t rows, mr_error *err);

/* ---- batches ---- */

/* Takes the columns (they are moved from the array, which is zeroed) on success. */
mr_status mr_batch_create(mr_schema *schema, size_t row_count, mr_column *columns, mr_batch **out,
                          mr_error *err);
mr_batch *mr_batch_retain(mr_batch *batch);
void mr_batch_release(mr_batch *batch); /* NULL is allowed */
mr_status mr_batch_slice(const mr_batch *from, size_t first, size_t count, mr_batch **out,
                         mr_error *err);
mr_status mr_batch_gather(const mr_batch *from, const uint32_t *rows, size_t count, mr_batch **out,
                          mr_error *err);
/* One batch of all rows, in order. All must have equal schemas; count >= 1. */
mr_status mr_batch_concat(mr_batch *const *batches, size_t count, mr_batch **out, mr_error *err);
/* The batch as a compatible newer schema sees it: columns by name, numbers widened, missing ones NULL. */
mr_status mr_batch_adapt(const mr_batch *from, mr_schema *to, mr_batch **out, mr_error *err);
bool mr_batch_equal(const mr_batch *a, const mr_batch *b);
/* Bytes of all buffers as stored. */
size_t mr_batch_bytes(const mr_batch *batch);

/* ---- building by rows ---- */

/* Grows columns value by value. A zeroed struct is not usable: call init. One thread. */
typedef struct mr_builder_column {
    mr_type type;
    bool nullable;
    mr_bytes values;
    mr_bytes offsets;
    mr_bytes validity; /* empty until the first NULL */
    uint32_t null_count;
    uint32_t row_count;
} mr_builder_column;

typedef struct mr_builder {
    mr_schema *schema;
    mr_builder_column *columns;
} mr_builder;

mr_status mr_builder_init(mr_builder *builder, mr_schema *schema,
                          mr_error *err); /* retains schema */
void mr_builder_deinit(mr_builder *builder);

/* Append one value to one column; a row is whole when every column got one. Failures of memory are kept
 * and reported by mr_builder_finish. Numbers are converted to the column's own type by the caller. */
void mr_builder_null(mr_builder_column *column);
void mr_builder_bool(mr_builder_column *column, bool value);
void mr_builder_int32(mr_builder_column *column, int32_t value);
void mr_builder_int64(mr_builder_column *column, int64_t value); /* int64, timestamp */
void mr_builder_float32(mr_builder_column *column, float value);
void mr_builder_float64(mr_builder_column *column, double value);
void mr_builder_text(mr_builder_column *column, const void *bytes, size_t size); /* string, bytes */
void mr_builder_vector(mr_builder_column *column, const float *values);          /* width of them */
/* Cuts a column back to `rows` rows (a rejected row leaves nothing behind). */
void mr_builder_truncate(mr_builder_column *column, uint32_t rows);
/* Bytes held so far, all columns. */
size_t mr_builder_bytes(const mr_builder *builder);
/* All columns must have the same number of rows. The builder is empty afterwards and may go on. */
mr_status mr_builder_finish(mr_builder *builder, mr_batch **out, mr_error *err);

#endif
