/* expr_fuzz.c -- any text as an expression over a fixed batch: refused with a place, or evaluated; its
 * canonical text means the same and is its own canonical text; and any text as a call taken apart. */
#include "base/assert.h"
#include "base/utf8.h"
#include "data/expr.h"
#include "test/fuzz.h"

#include <math.h>
#include <string.h>

#define ROWS 70 /* more than a word of bits, and not a multiple of 64 */

static mr_batch *make_batch(void)
{
    static const char text[] = "{b: bool null, i: int64, i4: int32 null, f: float64, f4: float32 "
                               "null, t: timestamp, s: string null, "
                               "y: bytes, v: vector(2) null}";
    static const char *const texts[] = {"",         "a",          "Zo\xc3\xab", "12",
                                        "\xff\xfe", "2018-04-01", "aaaaaaaaab"};
    static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1522540800000000, 7};
    static const double reals[] = {0, -1.5, NAN, INFINITY, 1e308, 5e-324, 0.1};
    mr_schema *schema;
    mr_builder b;
    mr_batch *batch;
    mr_error err;
    MR_ASSERT(mr_schema_parse(text, sizeof text - 1, &schema, &err) == MR_OK);
    MR_ASSERT(mr_builder_init(&b, schema, &err) == MR_OK);
    for (size_t i = 0; i < ROWS; i++) {
        const float vector[2] = {1, (float)i};
        const char *word = texts[i % 7];
        mr_builder_bool(&b.columns[0], i % 2 == 0);
        mr_builder_int64(&b.columns[1], integers[i % 7]);
        mr_builder_int32(&b.columns[2], (int32_t)integers[(i + 1) % 7]);
        mr_builder_float64(&b.columns[3], reals[i % 7]);
        mr_builder_float32(&b.columns[4], (float)(i % 9));
        mr_builder_int64(&b.columns[5], integers[(i + 3) % 7]);
        if (i % 5 == 4)
            mr_builder_null(&b.columns[6]);
        else
            mr_builder_text(&b.columns[6], word, strlen(word));
        mr_builder_text(&b.columns[7], word, strlen(word));
        mr_builder_vector(&b.columns[8], vector);
    }
    MR_ASSERT(mr_builder_finish(&b, &batch, &err) == MR_OK);
    mr_builder_deinit(&b);
    mr_schema_release(schema);
    return batch;
}

static void check_expr(mr_expr *expr, const mr_batch *batch, mr_expr_scratch *scratch)
{
    mr_bytes text = {0}, text_again = {0};
    mr_expr *again;
    mr_column out, out_again;
    mr_error err = {0};
    mr_expr_format(expr, &text);
    if (text.size <= MR_EXPR_BYTES_MAX) { /* casts and durations may be longer than as written */
        MR_ASSERT(mr_expr_compile((const char *)text.data, text.size, batch->schema, NULL, &again,
                                  &err) == MR_OK);
        mr_expr_format(again, &text_again);
        MR_ASSERT(text.size == text_again.size &&
                  memcmp(text.data, text_again.data, text.size) == 0);
        MR_ASSERT(mr_expr_eval(expr, scratch, batch->columns, 0, ROWS, &out, &err) == MR_OK);
        MR_ASSERT(mr_expr_eval(again, scratch, batch->columns, 0, ROWS, &out_again, &err) == MR_OK);
        MR_ASSERT(mr_column_check(&out, ROWS, &err) == MR_OK);
        MR_ASSERT(mr_expr_nullable(expr) || out.null_count == 0);
        MR_ASSERT(mr_column_equal(&out, 0, &out_again, 0, ROWS));
        mr_column_release(&out);
        mr_column_release(&out_again);
        mr_expr_destroy(again);
    }
    mr_bytes_deinit(&text);
    mr_bytes_deinit(&text_again);
}

static bool is_line(const char *text)
{
    return mr_utf8_is_valid((const uint8_t *)text, strlen(text)) && strchr(text, '\n') == NULL;
}

FUZZ(expr)
{
    static mr_batch *batch;
    static mr_expr_scratch scratch;
    mr_expr *expr;
    mr_expr_call call;
    mr_error err = {0};
    if (batch == NULL)
        batch = make_batch();
    mr_status status = mr_expr_compile((const char *)data, size, batch->schema, NULL, &expr, &err);
    MR_ASSERT(status == MR_OK ? expr != NULL : expr == NULL && status == MR_INVALID);
    MR_ASSERT(status == MR_OK || (err.place[0] != '\0' && is_line(err.text)));
    if (status == MR_OK)
        check_expr(expr, batch, &scratch);
    mr_expr_destroy(expr);
    if (mr_expr_split_call((const char *)data, size, NULL, &call, &err) == MR_OK)
        for (size_t i = 0; i < call.arg_count; i++)
            MR_ASSERT(call.args[i].bytes > 0 &&
                      call.args[i].text + call.args[i].bytes <= (const char *)data + size);
    return 0;
}
