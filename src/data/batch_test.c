/* batch_test.c -- batches against a naive model: rows of cells, each a few plain bytes. */
#include "data/batch.h"
#include "base/assert.h"
#include "test/test.h"

#include <stdio.h>
#include <string.h>

#define FIELDS_MAX     8
#define ROWS_MAX       150
#define CELL_BYTES_MAX 24

typedef struct cell {
    bool null;
    uint8_t size;
    uint8_t bytes[CELL_BYTES_MAX];
} cell;

typedef struct table {
    mr_schema *schema;
    size_t row_count;
    cell cells[ROWS_MAX][FIELDS_MAX];
} table;

/* ---- random tables ---- */

static mr_type random_type(mr_random_seeded *random)
{
    mr_type type = {(mr_type_id)mr_random_below(random, MR_TYPE_COUNT), 0};
    if (type.id == MR_VECTOR)
        type.width = 1 + (uint32_t)mr_random_below(random, CELL_BYTES_MAX / 4);
    return type;
}

static mr_schema *random_schema(mr_random_seeded *random)
{
    mr_error err = {0};
    mr_field fields[FIELDS_MAX] = {0};
    char names[FIELDS_MAX][24];
    size_t count = 1 + (size_t)mr_random_below(random, FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof names[i], "f%zu", i);
        fields[i] =
            (mr_field){names[i], random_type(random), mr_random_below(random, 3) > 0, MR_TIME_ISO};
    }
    mr_schema *schema;
    assert_ok(mr_schema_create(fields, count, &schema, &err), &err);
    return schema;
}

static cell random_cell(const mr_field *field, mr_random_seeded *random)
{
    cell made = {0};
    size_t bytes = mr_type_bytes(field->type);
    made.null = field->nullable && mr_random_below(random, 3) == 0;
    if (made.null)
        return made;
    made.size =
        (uint8_t)(field->type.id == MR_BOOL         ? 1
                  : mr_type_is_text(field->type.id) ? mr_random_below(random, CELL_BYTES_MAX)
                                                    : bytes);
    for (size_t i = 0; i < made.size; i++)
        made.bytes[i] = (uint8_t)mr_random_next(random);
    if (field->type.id == MR_BOOL)
        made.bytes[0] &= 1;
    return made;
}

static void random_rows(table *out, mr_schema *schema, size_t row_count, mr_random_seeded *random)
{
    *out = (table){.schema = schema, .row_count = row_count};
    for (size_t row = 0; row < row_count; row++)
        for (uint32_t i = 0; i < schema->field_count; i++)
            out->cells[row][i] = random_cell(&schema->fields[i], random);
}

/* ---- model to batch, and back ---- */

static void append_cell(mr_builder_column *column, const cell *from)
{
    int32_t int32;
    int64_t int64;
    float float32, vector[CELL_BYTES_MAX / 4];
    double float64;
    if (from->null) {
        mr_builder_null(column);
        return;
    }
    switch (column->type.id) {
    case MR_BOOL:
        mr_builder_bool(column, from->bytes[0] != 0);
        break;
    case MR_INT32:
        memcpy(&int32, from->bytes, sizeof int32);
        mr_builder_int32(column, int32);
        break;
    case MR_INT64:
    case MR_TIMESTAMP:
        memcpy(&int64, from->bytes, sizeof int64);
        mr_builder_int64(column, int64);
        break;
    case MR_FLOAT32:
        memcpy(&float32, from->bytes, sizeof float32);
        mr_builder_float32(column, float32);
        break;
    case MR_FLOAT64:
        memcpy(&float64, from->bytes, sizeof float64);
        mr_builder_float64(column, float64);
        break;
    case MR_STRING:
    case MR_BYTES:
        mr_builder_text(column, from->bytes, from->size);
        break;
    case MR_VECTOR:
        memcpy(vector, from->bytes, sizeof vector);
        mr_builder_vector(column, vector);
        break;
    case MR_TYPE_COUNT:
        fail();
    }
}

static void append_rows(mr_builder *builder, const table *from, size_t first, size_t end)
{
    for (size_t row = first; row < end; row++)
        for (uint32_t i = 0; i < from->schema->field_count; i++)
            append_cell(&builder->columns[i], &from->cells[row][i]);
}

static mr_status try_build(const table *from, mr_batch **out, mr_error *err)
{
    mr_builder builder;
    *out = NULL;
    MR_TRY(mr_builder_init(&builder, from->schema, err));
    append_rows(&builder, from, 0, from->row_count);
    mr_status status = mr_builder_finish(&builder, out, err);
    mr_builder_deinit(&builder);
    return status;
}

static mr_batch *build(const table *from)
{
    mr_error err = {0};
    mr_batch *batch;
    assert_ok(try_build(from, &batch, &err), &err);
    return batch;
}

static cell read_cell(const mr_column *column, size_t row)
{
    cell got = {.null = mr_column_is_null(column, row)};
    if (column->type.id == MR_BOOL) {
        got.size = 1;
        got.bytes[0] = mr_bit_get(column->values, row);
    } else if (mr_type_is_text(column->type.id)) {
        mr_text text = mr_column_text(column, row);
        got.size = (uint8_t)text.size;
        if (text.size > 0)
            memcpy(got.bytes, text.bytes, text.size);
    } else {
        got.size = (uint8_t)mr_type_bytes(column->type);
        memcpy(got.bytes, (const uint8_t *)column->values + row * got.size, got.size);
    }
    return got;
}

static void expect_bits_end_in_zeros(const void *bits, size_t count)
{
    const uint8_t *bytes = bits;
    if (count % 8 != 0)
        assert_int_equal(bytes[count / 8] >> (count % 8), 0);
}

/* The invariants of batch.h: zeros under NULLs, exact counts, no bits behind the end. */
static void expect_sound(const mr_column *column, size_t row_count)
{
    static const uint8_t zeros[CELL_BYTES_MAX];
    mr_error err = {0};
    size_t nulls = 0;
    assert_ok(mr_column_check(column, row_count, &err), &err);
    for (size_t row = 0; row < row_count; row++) {
        cell got = read_cell(column, row);
        nulls += got.null;
        if (got.null)
            assert_memory_equal(got.bytes, zeros, CELL_BYTES_MAX);
        if (got.null && mr_type_is_text(column->type.id))
            assert_int_equal(got.size, 0);
    }
    assert_int_equal(nulls, column->null_count);
    assert_int_equal(nulls == 0, column->validity == NULL);
    if (column->validity != NULL)
        expect_bits_end_in_zeros(column->validity, row_count);
    if (column->type.id == MR_BOOL)
        expect_bits_end_in_zeros(column->values, row_count);
}

/* Row i of the batch is row rows[i] of the model (i itself when rows is NULL). */
static void expect_rows(const mr_batch *batch, const table *model, const uint32_t *rows,
                        size_t count)
{
    assert_int_equal(batch->row_count, count);
    for (uint32_t i = 0; i < batch->schema->field_count; i++) {
        const mr_column *column = &batch->columns[i];
        expect_sound(column, count);
        for (size_t row = 0; row < count; row++) {
            const cell *wanted = &model->cells[rows != NULL ? rows[row] : row][i];
            cell got = read_cell(column, row);
            assert_int_equal(got.null, wanted->null);
            if (!got.null) {
                assert_int_equal(got.size, wanted->size);
                assert_memory_equal(got.bytes, wanted->bytes, CELL_BYTES_MAX);
            }
        }
    }
}

/* ---- properties ---- */

static size_t random_size(mr_random_seeded *random)
{
    return (size_t)mr_random_below(random, mr_random_below(random, 4) == 0 ? ROWS_MAX + 1 : 20);
}

TEST(batch, slice_and_gather_pick_the_rows_named)
{
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(21);
    static table model;
    for (uint64_t round = 0; round < mr_test_rounds(300); round++) {
        mr_schema *schema = random_schema(&random);
        random_rows(&model, schema, random_size(&random), &random);
        mr_batch *batch = build(&model), *slice, *inner, *gathered;
        expect_rows(batch, &model, NULL, model.row_count);
        uint32_t rows[ROWS_MAX];
        size_t first = (size_t)mr_random_below(&random, model.row_count + 1);
        size_t count = (size_t)mr_random_below(&random, model.row_count - first + 1);
        size_t inner_first = (size_t)mr_random_below(&random, count + 1),
               inner_count = count - inner_first;
        assert_ok(mr_batch_slice(batch, first, count, &slice, &err), &err);
        assert_ok(mr_batch_slice(slice, inner_first, inner_count, &inner, &err), &err);
        mr_batch_release(batch); /* slices keep alive what they share */
        for (size_t i = 0; i < inner_count; i++)
            rows[i] = (uint32_t)(first + inner_first + i);
        expect_rows(inner, &model, rows, inner_count);
        uint32_t picks[ROWS_MAX];
        size_t pick_count = count > 0 ? random_size(&random) : 0;
        for (size_t i = 0; i < pick_count; i++) {
            picks[i] = (uint32_t)mr_random_below(&random, count);
            rows[i] = (uint32_t)first + picks[i];
        }
        assert_ok(mr_batch_gather(slice, picks, pick_count, &gathered, &err), &err);
        expect_rows(gathered, &model, rows, pick_count);
        mr_batch_release(slice);
        mr_batch_release(inner);
        mr_batch_release(gathered);
        mr_schema_release(schema);
    }
}

TEST(batch, concat_joins_pieces_as_if_never_cut)
{
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(22);
    static table model;
    for (uint64_t round = 0; round < mr_test_rounds(200); round++) {
        mr_schema *schema = random_schema(&random);
        random_rows(&model, schema, random_size(&random), &random);
        mr_batch *whole = build(&model), *pieces[5], *joined;
        size_t piece_count = 1 + (size_t)mr_random_below(&random, 5);
        for (size_t i = 0, first = 0; i < piece_count; i++) {
            size_t left = model.row_count - first;
            size_t count = i + 1 < piece_count ? (size_t)mr_random_below(&random, left + 1) : left;
            assert_ok(mr_batch_slice(whole, first, count, &pieces[i], &err), &err);
            first += count;
        }
        assert_ok(mr_batch_concat(pieces, piece_count, &joined, &err), &err);
        expect_rows(joined, &model, NULL, model.row_count);
        assert_true(mr_batch_equal(joined, whole));
        assert_int_equal(mr_batch_bytes(joined), mr_batch_bytes(whole));
        for (size_t i = 0; i < piece_count; i++)
            mr_batch_release(pieces[i]);
        mr_batch_release(joined);
        mr_batch_release(whole);
        mr_schema_release(schema);
    }
}

/* Rejected rows leave nothing behind: appended, cut back, appended again, over several batches. */
TEST(batch, builder_truncates_as_if_never_appended)
{
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(23);
    static table model, noise;
    for (uint64_t round = 0; round < mr_test_rounds(200); round++) {
        mr_schema *schema = random_schema(&random);
        mr_builder builder;
        assert_ok(mr_builder_init(&builder, schema, &err), &err);
        for (int batches = 0; batches < 2; batches++) {
            random_rows(&model, schema, random_size(&random), &random);
            for (size_t row = 0; row < model.row_count;) {
                size_t end = row + 1 + (size_t)mr_random_below(&random, model.row_count - row);
                append_rows(&builder, &model, row, end);
                random_rows(&noise, schema, (size_t)mr_random_below(&random, 20), &random);
                append_rows(&builder, &noise, 0, noise.row_count);
                row = (size_t)mr_random_below(&random, end + 1);
                if (mr_random_below(&random, 3) > 0)
                    row = end;
                for (uint32_t i = 0; i < schema->field_count; i++)
                    mr_builder_truncate(&builder.columns[i], (uint32_t)row);
            }
            mr_batch *batch, *plain = build(&model);
            assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
            expect_rows(batch, &model, NULL, model.row_count);
            assert_true(mr_batch_equal(batch, plain));
            assert_int_equal(mr_builder_bytes(&builder), 0);
            mr_batch_release(batch);
            mr_batch_release(plain);
        }
        mr_builder_deinit(&builder);
        mr_schema_release(schema);
    }
}

TEST(batch, equal_sees_every_difference)
{
    mr_random_seeded random = mr_test_random(24);
    static table model, other;
    for (uint64_t round = 0; round < mr_test_rounds(200); round++) {
        mr_schema *schema = random_schema(&random);
        random_rows(&model, schema, 1 + random_size(&random) % ROWS_MAX, &random);
        other = model;
        mr_batch *batch = build(&model), *same = build(&other);
        assert_true(mr_batch_equal(batch, same));
        size_t row = (size_t)mr_random_below(&random, model.row_count);
        size_t field = (size_t)mr_random_below(&random, schema->field_count);
        cell *changed = &other.cells[row][field];
        *changed = random_cell(&schema->fields[field], &random);
        bool equal = changed->null == model.cells[row][field].null &&
                     (changed->null ||
                      (changed->size == model.cells[row][field].size &&
                       memcmp(changed->bytes, model.cells[row][field].bytes, CELL_BYTES_MAX) == 0));
        mr_batch *different = build(&other);
        assert_int_equal(mr_batch_equal(batch, different), equal);
        mr_batch_release(different);
        other.row_count--;
        different = build(&other);
        assert_false(mr_batch_equal(batch, different));
        mr_batch_release(different);
        mr_batch_release(batch);
        mr_batch_release(same);
        mr_schema_release(schema);
    }
}

TEST(batch, bitmaps_copy_from_any_bit)
{
    mr_random_seeded random = mr_test_random(25);
    for (uint64_t round = 0; round < mr_test_rounds(2000); round++) {
        size_t start = (size_t)mr_random_below(&random, 70),
               count = (size_t)mr_random_below(&random, 200);
        size_t bytes = mr_bitmap_bytes(start + count), set = 0;
        uint8_t *from = mr_alloc(bytes), *to = mr_alloc(mr_bitmap_bytes(count));
        random.random.fill(&random.random, from, bytes);
        mr_bitmap_copy(to, from, start, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(mr_bit_get(to, i), mr_bit_get(from, start + i));
            set += mr_bit_get(to, i);
        }
        expect_bits_end_in_zeros(to, count);
        assert_int_equal(mr_bitmap_count(to, count), set);
        mr_free(from);
        mr_free(to);
    }
}

/* ---- adapting to a newer schema ---- */

static mr_schema *parse_schema(const char *text)
{
    mr_error err = {0};
    mr_schema *schema;
    assert_ok(mr_schema_parse(text, strlen(text), &schema, &err), &err);
    return schema;
}

static mr_batch *numbers_batch(mr_schema *schema)
{
    mr_error err = {0};
    mr_builder builder;
    mr_batch *batch;
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    const int32_t values[] = {INT32_MIN, -1, 0, 7, INT32_MAX};
    for (size_t i = 0; i < 5; i++) {
        mr_builder_int32(&builder.columns[0], values[i]);
        if (i == 2)
            mr_builder_null(&builder.columns[1]);
        else
            mr_builder_int32(&builder.columns[1], values[i]);
        mr_builder_float32(&builder.columns[2], 0.1f * (float)i);
        mr_builder_text(&builder.columns[3], "x", i % 2);
    }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    return batch;
}

TEST(batch, adapts_to_a_compatible_schema)
{
    mr_error err = {0};
    mr_schema *old = parse_schema("a: int32, b: int32 null, c: float32, d: string");
    mr_schema *new = parse_schema(
        "n: vector(3) null, c: float64 null, d: string, b: float64 null, a: int64, s: string null, "
        "o: bool null");
    mr_batch *batch = numbers_batch(old), *adapted;
    assert_ok(mr_batch_adapt(batch, new, &adapted, &err), &err);
    const int64_t *a = adapted->columns[4].values;
    const double *b = adapted->columns[3].values, *c = adapted->columns[1].values;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(a[i], ((const int32_t *)batch->columns[0].values)[i]);
        assert_true(b[i] == (double)((const int32_t *)batch->columns[1].values)[i]);
        assert_true(c[i] == (double)((const float *)batch->columns[2].values)[i]);
        assert_int_equal(mr_column_is_null(&adapted->columns[3], i), i == 2);
        assert_int_equal(mr_column_text(&adapted->columns[2], i).size, i % 2);
    }
    const uint32_t new_columns[] = {0, 5, 6};
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(adapted->columns[new_columns[k]].null_count, 5);
    for (uint32_t i = 0; i < new->field_count; i++)
        expect_sound(&adapted->columns[i], 5);
    mr_batch *back;
    assert_int_equal(mr_batch_adapt(adapted, old, &back, &err), MR_CONFLICT);
    assert_null(back);
    mr_batch_release(batch);
    mr_batch_release(adapted);
    mr_schema_release(old);
    mr_schema_release(new);
}

/* ---- failing memory ---- */

typedef mr_status (*operation)(const table *model, mr_batch *batch, mr_batch **out, mr_error *err);

static mr_status do_build(const table *model, mr_batch *batch, mr_batch **out, mr_error *err)
{
    (void)batch;
    return try_build(model, out, err);
}

static mr_status do_slice(const table *model, mr_batch *batch, mr_batch **out, mr_error *err)
{
    return mr_batch_slice(batch, 3, model->row_count - 3, out, err);
}

static mr_status do_gather(const table *model, mr_batch *batch, mr_batch **out, mr_error *err)
{
    (void)model;
    const uint32_t rows[] = {7, 3, 3, 0};
    return mr_batch_gather(batch, rows, 4, out, err);
}

static mr_status do_concat(const table *model, mr_batch *batch, mr_batch **out, mr_error *err)
{
    (void)model;
    mr_batch *const both[] = {batch, batch};
    return mr_batch_concat(both, 2, out, err);
}

static mr_status do_adapt(const table *model, mr_batch *batch, mr_batch **out, mr_error *err)
{
    (void)model;
    static const char text[] =
        "f0: bool null, f1: int64 null, f2: int64 null, f3: float64 null, f4: float64 null, "
        "f5: timestamp null, f6: string null, f7: vector(2) null, g: bytes null, h: bool null";
    mr_schema *schema;
    *out = NULL;
    MR_TRY(mr_schema_parse(text, sizeof text - 1, &schema, err));
    mr_status status = mr_batch_adapt(batch, schema, out, err);
    mr_schema_release(schema);
    return status;
}

TEST(batch, survives_failing_memory)
{
    static const operation operations[] = {do_build, do_slice, do_gather, do_concat, do_adapt};
    mr_random_seeded random = mr_test_random(26);
    mr_schema *schema =
        parse_schema("f0: bool null, f1: int32 null, f2: int64 null, f3: float32 null, "
                     "f4: float64 null, f5: timestamp null, f6: string null, f7: vector(2) null");
    static table model;
    random_rows(&model, schema, 40, &random);
    mr_batch *batch = build(&model);
    for (size_t i = 0; i < MR_COUNT_OF(operations); i++) {
        uint64_t used_bytes = mr_memory_used_bytes();
        mr_status status = MR_NO_MEMORY;
        for (int64_t n = 0; status != MR_OK; n++) {
            mr_error err = {0};
            mr_batch *out;
            (void)mr_memory_fail_after(n, n % 2 == 1);
            status = operations[i](&model, batch, &out, &err);
            (void)mr_memory_fail_after(-1, false);
            assert_true(status == MR_OK ? out != NULL : status == MR_NO_MEMORY && out == NULL);
            mr_batch_release(out);
            assert_int_equal(mr_memory_used_bytes(), used_bytes);
            assert_in_range(n, 0, 300);
        }
    }
    mr_batch_release(batch);
    mr_schema_release(schema);
}

/* ---- columns from outside ---- */

TEST(batch, check_refuses_broken_columns)
{
    mr_error err = {0};
    const int32_t good[] = {2, 2, 5}, back[] = {0, 4, 3}, negative[] = {-1, 0, 1};
    const uint8_t bits[] = {0x01};
    mr_column column = {.type = {MR_STRING, 0}, .values = "abcde", .offsets = good};
    assert_ok(mr_column_check(&column, 2, &err), &err);
    column.offsets = back;
    assert_int_equal(mr_column_check(&column, 2, &err), MR_CORRUPT);
    column.offsets = negative;
    assert_int_equal(mr_column_check(&column, 2, &err), MR_CORRUPT);
    column.offsets = good;
    column.null_count = 1;
    assert_int_equal(mr_column_check(&column, 2, &err), MR_CORRUPT);
    column.validity = bits;
    assert_ok(mr_column_check(&column, 2, &err), &err);
    column.null_count = 2;
    assert_int_equal(mr_column_check(&column, 2, &err), MR_CORRUPT);
}

TEST(batch, too_many_rows_are_refused)
{
    mr_error err = {0};
    mr_schema *schema = parse_schema("a: int32");
    mr_column column = {.type = {MR_INT32, 0}};
    mr_batch *batch;
    assert_int_equal(mr_batch_create(schema, MR_BATCH_ROWS_MAX + 1ull, &column, &batch, &err),
                     MR_FULL);
    assert_null(batch);
    mr_schema_release(schema);
}
