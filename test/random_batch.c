/* random_batch.c -- odd values are as likely as plain ones: extremes, empty texts, quotes, line ends, emoji. */
#include "test/random_batch.h"

#include "base/assert.h"
#include "base/time.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void random_name(mr_random_seeded *random, uint32_t index, char *out)
{
    static const char *const odd[] = {
        "", " a", "\"q\"", ",", "\xc3\xa9t\xc3\xa9", "back\\slash", "with a rather long name here"};
    (void)sprintf(
        out, "f%u%s", index,
        odd[mr_random_below(random, 4) == 0 ? mr_random_below(random, MR_COUNT_OF(odd)) : 0]);
}

mr_schema *mr_random_schema(mr_random_seeded *random, const mr_random_shape *shape)
{
    mr_field fields[64];
    char names[64][64];
    uint32_t count = 1 + (uint32_t)mr_random_below(random, MR_MIN(shape->fields_max, 64));
    for (uint32_t i = 0; i < count; i++) {
        random_name(random, i, names[i]);
        mr_type_id id =
            (mr_type_id)mr_random_below(random, shape->numbers_only ? MR_STRING : MR_TYPE_COUNT);
        fields[i] =
            (mr_field){.name = names[i],
                       .type = {id, id == MR_VECTOR ? 1 + (uint32_t)mr_random_below(random, 5) : 0},
                       .nullable = mr_random_below(random, 2) == 0,
                       .unit = (mr_time_unit)(id == MR_TIMESTAMP ? mr_random_below(random, 4) : 0)};
    }
    mr_schema *schema;
    mr_error err = {0};
    assert_ok(mr_schema_create(fields, count, &schema, &err), &err);
    return schema;
}

static double random_double(mr_random_seeded *random, const mr_random_shape *shape)
{
    static const double odd[] = {0.0, -0.0, 1.0,  5e-324, 1.7976931348623157e308,
                                 0.1, 1e22, 1e23, -1.5};
    uint64_t bits = mr_random_next(random);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (mr_random_below(random, 3) == 0)
        value = odd[mr_random_below(random, MR_COUNT_OF(odd))];
    if (mr_random_below(random, 8) == 0 && shape->nonfinite)
        value = mr_random_below(random, 3) == 0
                    ? (double)NAN
                    : copysign((double)INFINITY, (double)(bits & 1) - 0.5);
    if (isnan(value))
        return shape->nonfinite ? (double)NAN : 2.5;
    return !shape->nonfinite && isinf(value) ? 3.5 : value;
}

static float random_float(mr_random_seeded *random, const mr_random_shape *shape)
{
    uint32_t bits = (uint32_t)mr_random_next(random);
    float value;
    memcpy(&value, &bits, sizeof value);
    if (mr_random_below(random, 4) == 0)
        value = (float)random_double(random, shape);
    if (isnan(value))
        return shape->nonfinite ? (float)NAN : 2.5f;
    return !shape->nonfinite && isinf(value) ? 3.5f : value;
}

static int64_t random_int(mr_random_seeded *random)
{
    static const int64_t odd[] = {
        0, 1, -1, INT64_MAX, INT64_MIN, 9007199254740993, 999999999999999999, 1000000000000000000};
    uint64_t bits = mr_random_next(random);
    return bits % 5 == 0 ? odd[mr_random_below(random, MR_COUNT_OF(odd))]
                         : (int64_t)bits >> (bits % 64);
}

static int64_t random_time(mr_random_seeded *random, const mr_random_shape *shape)
{
    if (shape->nonfinite && mr_random_below(random, 6) == 0)
        return random_int(random);
    int64_t us = MR_TIME_MIN_US +
                 (int64_t)mr_random_below(random, (uint64_t)(MR_TIME_MAX_US - MR_TIME_MIN_US) + 1);
    return mr_random_below(random, 2) == 0 ? mr_time_truncate(us, MR_TIME_PART_SECOND) : us;
}

static size_t random_text(mr_random_seeded *random, const mr_random_shape *shape, uint8_t *out)
{
    static const char plain[] = "abc,\"\\\n\r\t;x '/{}[]:01";
    size_t size = 0,
           characters = mr_random_below(random, mr_random_below(random, 8) == 0 ? 120 : 20);
    bool ascii = mr_random_below(random, 3) > 0, tame = mr_random_below(random, 2) == 0;
    for (size_t i = 0; i < characters; i++) {
        uint32_t code = (uint8_t)plain[mr_random_below(random, tame ? 3 : sizeof plain - 1)];
        if (!ascii && mr_random_below(random, 3) == 0)
            code = (uint32_t)mr_random_below(random,
                                             mr_random_below(random, 2) == 0 ? 0x800 : 0x110000);
        if (code == 0 && !shape->nul_in_strings)
            code = 1;
        size += mr_utf8_encode(code, out + size);
    }
    return size;
}

static void random_value(mr_random_seeded *random, const mr_random_shape *shape,
                         mr_builder_column *column)
{
    uint8_t text[512];
    float values[8];
    size_t size = mr_random_below(random, 40);
    switch (column->type.id) {
    case MR_BOOL:
        mr_builder_bool(column, mr_random_below(random, 2) == 0);
        return;
    case MR_INT32:
        mr_builder_int32(column, (int32_t)random_int(random));
        return;
    case MR_INT64:
        mr_builder_int64(column, random_int(random));
        return;
    case MR_FLOAT32:
        mr_builder_float32(column, random_float(random, shape));
        return;
    case MR_FLOAT64:
        mr_builder_float64(column, random_double(random, shape));
        return;
    case MR_TIMESTAMP:
        mr_builder_int64(column, random_time(random, shape));
        return;
    case MR_STRING:
        mr_builder_text(column, text, random_text(random, shape, text));
        return;
    case MR_BYTES:
        for (size_t i = 0; i < size; i++)
            text[i] = (uint8_t)mr_random_next(random);
        mr_builder_text(column, text, size);
        return;
    default:
        for (uint32_t i = 0; i < column->type.width; i++)
            values[i] = random_float(random, shape);
        mr_builder_vector(column, values);
    }
}

mr_batch *mr_random_batch(mr_random_seeded *random, const mr_random_shape *shape, mr_schema *schema)
{
    mr_builder builder = {0};
    mr_batch *batch;
    mr_error err = {0};
    uint32_t rows = (uint32_t)mr_random_below(random, shape->rows_max + 1);
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t i = 0; i < schema->field_count; i++) {
            if (schema->fields[i].nullable && mr_random_below(random, 3) == 0)
                mr_builder_null(&builder.columns[i]);
            else
                random_value(random, shape, &builder.columns[i]);
        }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    return batch;
}
