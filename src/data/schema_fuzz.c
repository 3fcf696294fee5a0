/* schema_fuzz.c -- any text and any bytes as a schema: refused, or the same again after a round trip. */
#include "data/schema.h"
#include "base/assert.h"
#include "test/fuzz.h"

static void check_round_trips(const mr_schema *schema)
{
    mr_bytes text = {0}, binary = {0};
    mr_schema *again;
    mr_error err = {0};
    mr_schema_format(schema, &text);
    MR_ASSERT(mr_schema_parse((const char *)text.data, text.size, &again, &err) == MR_OK);
    MR_ASSERT(mr_schema_equal(schema, again));
    mr_schema_release(again);
    mr_schema_encode(schema, &binary);
    mr_reader reader = mr_reader_of(binary.data, binary.size);
    MR_ASSERT(mr_schema_decode(&reader, &again, &err) == MR_OK);
    MR_ASSERT(mr_schema_equal(schema, again) && mr_reader_left(&reader) == 0);
    mr_schema_release(again);
    mr_bytes_deinit(&text);
    mr_bytes_deinit(&binary);
}

FUZZ(schema)
{
    mr_schema *schema;
    mr_error err = {0};
    if (mr_schema_parse((const char *)data, size, &schema, &err) == MR_OK)
        check_round_trips(schema);
    mr_schema_release(schema);
    mr_reader reader = mr_reader_of(data, size);
    if (mr_schema_decode(&reader, &schema, &err) == MR_OK)
        check_round_trips(schema);
    mr_schema_release(schema);
    return 0;
}
