/* arrow_test.c -- batches there and back through the C data interface; foreign layouts; arrays that lie. */
#include "base/assert.h"
#include "data/arrow.h"
#include "test/random_batch.h"

#include <string.h>

typedef struct exported {
    struct ArrowSchema schema;
    struct ArrowArray array;
} exported;

static exported export_batch(mr_batch *batch)
{
    exported e;
    mr_error err = {0};
    assert_ok(mr_arrow_export_schema(batch->schema, &e.schema, &err), &err);
    assert_ok(mr_arrow_export_batch(batch, &e.array, &err), &err);
    return e;
}

TEST(arrow, batches_go_there_and_back)
{
    uint64_t used = mr_memory_used_bytes();
    for (uint64_t round = 0; round < mr_test_rounds(300); round++) {
        mr_random_seeded random = mr_test_random(round + 21);
        mr_random_shape shape = {
            .fields_max = 12, .rows_max = 70, .nonfinite = true, .nul_in_strings = true};
        mr_schema *schema = mr_random_schema(&random, &shape), *schema_back;
        mr_batch *batch = mr_random_batch(&random, &shape, schema), *back;
        mr_error err = {0};
        exported e = export_batch(batch);
        assert_ok(mr_arrow_import_schema(&e.schema, &schema_back, &err), &err);
        assert_true(mr_schema_equal(schema, schema_back));
        assert_ok(mr_arrow_import_batch(&e.schema, &e.array, &back, &err), &err);
        assert_null(e.array.release);
        assert_true(mr_batch_equal(batch, back));
        for (uint32_t i = 0; batch->row_count > 0 && i < schema->field_count; i++)
            if (schema->fields[i].type.id != MR_BOOL)
                assert_ptr_equal(batch->columns[i].values,
                                 back->columns[i].values); /* not copied */
        mr_batch_release(batch);
        e.schema.release(&e.schema);
        assert_null(e.schema.release);
        mr_batch_release(back);
        mr_schema_release(schema);
        mr_schema_release(schema_back);
    }
    assert_int_equal(mr_memory_used_bytes(), used);
}

/* Any combination of offsets of the struct and of its children is a slice. */
TEST(arrow, offsets_are_slices)
{
    for (uint64_t round = 0; round < mr_test_rounds(300); round++) {
        mr_random_seeded random = mr_test_random(round + 22);
        mr_random_shape shape = {.fields_max = 9, .rows_max = 70, .nonfinite = true};
        mr_schema *schema = mr_random_schema(&random, &shape);
        mr_batch *batch = mr_random_batch(&random, &shape, schema), *back, *slice;
        mr_error err = {0};
        exported e = export_batch(batch);
        size_t total = batch->row_count, outer = mr_random_below(&random, total + 1);
        size_t inner = mr_random_below(&random, total - outer + 1),
               rows = mr_random_below(&random, total - outer - inner + 1);
        e.array.offset = (int64_t)outer;
        e.array.length = (int64_t)rows;
        for (int64_t i = 0; i < e.array.n_children; i++) {
            e.array.children[i]->offset = (int64_t)inner;
            e.array.children[i]->length = (int64_t)(total - inner);
            e.array.children[i]->null_count = -1; /* unknown */
        }
        assert_ok(mr_arrow_import_batch(&e.schema, &e.array, &back, &err), &err);
        assert_ok(mr_batch_slice(batch, outer + inner, rows, &slice, &err), &err);
        assert_true(mr_batch_equal(slice, back));
        for (uint32_t i = 0; i < schema->field_count; i++)
            assert_ok(mr_column_check(&back->columns[i], rows, &err), &err);
        e.schema.release(&e.schema);
        mr_batch_release(slice);
        mr_batch_release(back);
        mr_batch_release(batch);
        mr_schema_release(schema);
    }
}

/* ---- arrays made by hand, as other makers lay them out ---- */

static int released;

static void count_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void count_array(struct ArrowArray *array)
{
    released++;
    array->release = NULL;
}

typedef struct foreign {
    struct ArrowSchema root_schema, column_schema, *schema_children[1];
    struct ArrowArray root, column, *children[1];
    const void *root_buffers[1], *buffers[3];
} foreign;

static void make_foreign(foreign *f, const char *format, int64_t length, int64_t buffers,
                         const void *b0, const void *b1, const void *b2)
{
    *f = (foreign){
        .schema_children = {&f->column_schema}, .children = {&f->column}, .buffers = {b0, b1, b2}};
    f->column_schema = (struct ArrowSchema){
        .format = format, .name = "x", .flags = ARROW_FLAG_NULLABLE, .release = count_schema};
    f->root_schema = (struct ArrowSchema){.format = "+s",
                                          .name = "",
                                          .n_children = 1,
                                          .children = f->schema_children,
                                          .release = count_schema};
    f->column = (struct ArrowArray){.length = length,
                                    .null_count = b0 != NULL ? -1 : 0,
                                    .n_buffers = buffers,
                                    .buffers = f->buffers,
                                    .release = count_array};
    f->root = (struct ArrowArray){.length = length,
                                  .n_buffers = 1,
                                  .n_children = 1,
                                  .buffers = f->root_buffers,
                                  .children = f->children,
                                  .release = count_array};
    released = 0;
}

static mr_batch *import_good(foreign *f)
{
    mr_batch *batch;
    mr_error err = {0};
    assert_ok(mr_arrow_import_batch(&f->root_schema, &f->root, &batch, &err), &err);
    assert_null(f->root.release);
    return batch;
}

static void import_bad(foreign *f, mr_status want, const char *text)
{
    mr_batch *batch;
    mr_error err = {0};
    mr_status got = mr_arrow_import_batch(&f->root_schema, &f->root, &batch, &err);
    if (got != want || strstr(err.text, text) == NULL)
        fail_msg("%s: %s; wanted %s: ...%s...", mr_status_name(got), err.text, mr_status_name(want),
                 text);
    assert_null(batch);
    assert_non_null(f->root.release); /* still the caller's */
    assert_int_equal(released, 0);
}

static void check_times(const char *format, const void *values, int64_t first, int64_t second)
{
    foreign f;
    make_foreign(&f, format, 2, 2, NULL, values, NULL);
    mr_batch *batch = import_good(&f);
    assert_int_equal(batch->schema->fields[0].type.id, MR_TIMESTAMP);
    assert_int_equal(((const int64_t *)batch->columns[0].values)[0], first);
    assert_int_equal(((const int64_t *)batch->columns[0].values)[1], second);
    mr_batch_release(batch);
    assert_int_equal(released, 1);
}

TEST(arrow, converts_what_others_have)
{
    static const int64_t times[] = {1709287200, -1};
    check_times("tss:", times, INT64_C(1709287200000000), -1000000);
    check_times("tsm:Europe/Berlin", times, 1709287200000, -1000);
    check_times("tsu:", times, 1709287200, -1);
    check_times("tsn:UTC", times, 1709287, -1);
    static const int32_t days[] = {1, -1};
    check_times("tdD", days, INT64_C(86400000000), -INT64_C(86400000000));
    foreign f;
    static const int8_t small[] = {-1, 5};
    make_foreign(&f, "c", 2, 2, NULL, small, NULL);
    mr_batch *batch = import_good(&f);
    assert_int_equal(((const int32_t *)batch->columns[0].values)[0], -1);
    mr_batch_release(batch);
    static const uint32_t wide[] = {UINT32_MAX, 7};
    make_foreign(&f, "I", 2, 2, NULL, wide, NULL);
    batch = import_good(&f);
    assert_int_equal(((const int64_t *)batch->columns[0].values)[0], UINT32_MAX);
    mr_batch_release(batch);
    static const uint64_t huge[] = {1, UINT64_MAX};
    make_foreign(&f, "L", 2, 2, NULL, huge, NULL);
    import_bad(&f, MR_INVALID, "row 1 holds an unsigned number");
    static const int64_t far[] = {INT64_MAX, 0};
    make_foreign(&f, "tss:", 2, 2, NULL, far, NULL);
    import_bad(&f, MR_INVALID, "microseconds cannot say");
    static const int64_t offsets[] = {1, 3, 3};
    make_foreign(&f, "U", 2, 3, NULL, offsets, "abcd");
    batch = import_good(&f);
    mr_text text = mr_column_text(&batch->columns[0], 0);
    assert_true(text.size == 2 && memcmp(text.bytes, "bc", 2) == 0);
    mr_batch_release(batch);
    assert_int_equal(released, 1);
}

TEST(arrow, clears_what_stands_at_nulls)
{
    foreign f;
    static const uint8_t second[] = {1}; /* row 0 valid, row 1 NULL */
    static const int64_t values[] = {7, 99};
    make_foreign(&f, "l", 2, 2, second, values, NULL);
    mr_batch *batch = import_good(&f);
    assert_int_equal(batch->columns[0].null_count, 1);
    assert_int_equal(((const int64_t *)batch->columns[0].values)[1], 0);
    mr_batch_release(batch);
    static const int32_t offsets[] = {0, 2, 4};
    make_foreign(&f, "u", 2, 3, second, offsets, "abcd");
    batch = import_good(&f);
    assert_int_equal(mr_column_text(&batch->columns[0], 0).size, 2);
    assert_int_equal(mr_column_text(&batch->columns[0], 1).size, 0);
    mr_batch_release(batch);
    static const uint8_t odd[1 + 2 * 8 + 7] = {0};
    make_foreign(&f, "l", 2, 2, NULL, odd + (((uintptr_t)odd & 1) == 0),
                 NULL); /* not aligned: copied */
    batch = import_good(&f);
    assert_int_equal((uintptr_t)batch->columns[0].values % 8, 0);
    mr_batch_release(batch);
}

TEST(arrow, refuses_what_lies)
{
    foreign f;
    static const int64_t values[4] = {0};
    static const int32_t back[] = {0, 3, 1}, negative[] = {-1, 0, 0}, good[] = {0, 1, 2};
    make_foreign(&f, "l", 2, 2, NULL, NULL, NULL);
    import_bad(&f, MR_INVALID, "no buffer of values");
    make_foreign(&f, "l", 2, 3, NULL, values, values);
    import_bad(&f, MR_INVALID, "3 buffers, 2 are right");
    make_foreign(&f, "l", 2, 2, NULL, values, NULL);
    f.column.null_count = 1;
    import_bad(&f, MR_INVALID, "without a bitmap");
    make_foreign(&f, "l", 2, 2, NULL, values, NULL);
    f.root.offset = 1;
    import_bad(&f, MR_INVALID, "shorter than the batch");
    f.root.offset = -1;
    import_bad(&f, MR_INVALID, "a batch of 2 rows at -1");
    make_foreign(&f, "u", 2, 3, NULL, back, "abc");
    import_bad(&f, MR_INVALID, "go back at row 1");
    make_foreign(&f, "u", 2, 3, NULL, negative, "abc");
    import_bad(&f, MR_INVALID, "start at -1");
    make_foreign(&f, "u", 2, 3, NULL, good, "a\xff");
    import_bad(&f, MR_INVALID, "row 1 is not UTF-8");
    make_foreign(&f, "u", 2, 3, NULL, good, NULL);
    import_bad(&f, MR_INVALID, "no buffer of texts");
    make_foreign(&f, "l", 2, 2, values, values, NULL);
    f.column_schema.flags = 0;
    import_bad(&f, MR_INVALID, "its schema says it has none");
    make_foreign(&f, "e", 2, 2, NULL, values, NULL);
    import_bad(&f, MR_UNSUPPORTED, "format 'e'");
    make_foreign(&f, "+w:2", 2, 1, NULL, NULL, NULL);
    import_bad(&f, MR_UNSUPPORTED, "list of fixed size");
    make_foreign(&f, "i", 2, 2, NULL, values, NULL);
    f.column_schema.dictionary = &f.root_schema;
    import_bad(&f, MR_UNSUPPORTED, "dictionary");
    make_foreign(&f, "l", 2, 2, NULL, values, NULL);
    f.root_schema.format = "l";
    import_bad(&f, MR_UNSUPPORTED, "must be an Arrow struct");
    make_foreign(&f, "l", 2, 2, NULL, values, NULL);
    f.root.n_children = 2;
    import_bad(&f, MR_INVALID, "2 columns, and a schema of 1");
    static const uint8_t none[1] = {0};
    make_foreign(&f, "l", 2, 2, NULL, values, NULL);
    f.root_buffers[0] = none;
    f.root.null_count = 2;
    import_bad(&f, MR_UNSUPPORTED, "NULL as a whole");
}

TEST(arrow, takes_empty_arrays_without_buffers)
{
    foreign f;
    static const char *const kinds[] = {"l", "b", "u", "Z", "tsn:"};
    for (size_t i = 0; i < MR_COUNT_OF(kinds); i++) {
        make_foreign(&f, kinds[i], 0, 0, NULL, NULL, NULL);
        mr_batch *batch = import_good(&f);
        assert_int_equal(batch->row_count, 0);
        mr_batch_release(batch);
        assert_int_equal(released, 1);
    }
}

/* ---- streams and memory ---- */

typedef struct counter {
    mr_batch *batch;
    int left, dropped;
} counter;

static mr_status next_batch(void *context, mr_batch **out, mr_error *err)
{
    counter *c = context;
    if (c->left-- == 0)
        return MR_FAIL(err, MR_IO, "the disk is gone");
    *out = c->left > 0 ? mr_batch_retain(c->batch) : NULL;
    return MR_OK;
}

static void drop(void *context)
{
    ((counter *)context)->dropped++;
}

TEST(arrow, streams_batches_to_the_end)
{
    mr_random_seeded random = mr_test_random(23);
    mr_random_shape shape = {.fields_max = 4, .rows_max = 20};
    mr_schema *schema = mr_random_schema(&random, &shape);
    counter c = {.batch = mr_random_batch(&random, &shape, schema), .left = 3};
    struct ArrowArrayStream stream;
    struct ArrowSchema exported_schema;
    struct ArrowArray array;
    mr_error err = {0};
    mr_arrow_producer producer = {
        .schema = schema, .next = next_batch, .drop = drop, .context = &c};
    assert_ok(mr_arrow_export_stream(&producer, &stream, &err), &err);
    assert_int_equal(stream.get_schema(&stream, &exported_schema), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stream.get_next(&stream, &array), 0);
        array.release(&array);
    }
    assert_int_equal(stream.get_next(&stream, &array), 0);
    assert_null(array.release);
    assert_null(stream.get_last_error(&stream));
    assert_int_not_equal(stream.get_next(&stream, &array), 0);
    assert_string_equal(stream.get_last_error(&stream), "the disk is gone");
    stream.release(&stream);
    assert_int_equal(c.dropped, 1);
    exported_schema.release(&exported_schema);
    mr_batch_release(c.batch);
    mr_schema_release(schema);
}

TEST(arrow, survives_every_failing_allocation)
{
    mr_random_seeded random = mr_test_random(24);
    mr_random_shape shape = {.fields_max = 12, .rows_max = 20};
    mr_schema *schema = mr_random_schema(&random, &shape);
    mr_batch *batch = mr_random_batch(&random, &shape, schema), *back = NULL;
    uint64_t used = mr_memory_used_bytes();
    mr_status status = MR_NO_MEMORY;
    for (int64_t n = 0; status != MR_OK; n++) {
        exported e = {0};
        mr_error err = {0};
        (void)mr_memory_fail_after(n, true);
        status = mr_arrow_export_schema(schema, &e.schema, &err);
        if (status == MR_OK)
            status = mr_arrow_export_batch(batch, &e.array, &err);
        if (status == MR_OK)
            status = mr_arrow_import_batch(&e.schema, &e.array, &back, &err);
        (void)mr_memory_fail_after(-1, false);
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
        mr_batch_release(back);
        if (e.array.release != NULL)
            e.array.release(&e.array);
        if (e.schema.release != NULL)
            e.schema.release(&e.schema);
        assert_int_equal(mr_memory_used_bytes(), used);
        assert_true(n < 500);
    }
    mr_batch_release(batch);
    mr_schema_release(schema);
}
