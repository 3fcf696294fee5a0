/* decoder_bench.c -- text to columns and back: MB/s and ns a row, beside bench/peers/simdjson_columns.cpp, which fills
 * the same columns from the same bytes and must come to the same sums. */
#include "bench/bench.h"
#include "bench/payment_rows.h"
#include "data/encoder.h"

#include <stdlib.h>

#define ROWS 8000 /* 1.8 MB: one pass is short enough to find an undisturbed moment */

typedef struct task {
    mr_text_format format;
    bool portable;
    bool in_place;
    mr_bytes text;
    mr_schema *schema;
    payment_sums sums;
    uint64_t rows;
} task;

static void make_text(task *t, int hard)
{
    payment_random random = {42};
    if (t->format == MR_FORMAT_CSV) {
        mr_encoder_options options = {.format = MR_FORMAT_CSV};
        mr_encode_header(&options, t->schema, &t->text);
    }
    for (uint64_t row = 0; row < ROWS; row++) {
        if (!mr_bytes_reserve(&t->text, PAYMENT_ROW_BYTES_MAX))
            abort();
        char *room = (char *)t->text.data + t->text.size;
        t->text.size += t->format == MR_FORMAT_CSV ? payment_csv(&random, row, hard, room)
                                                   : payment_json(&random, row, hard, room);
    }
}

static void add_column(const mr_column *column, uint32_t rows, payment_sums *sums)
{
    for (uint32_t row = 0; row < rows; row++) {
        if (mr_column_is_null(column, row))
            sums->nulls++;
        else if (column->type.id == MR_FLOAT64)
            sums->floats += ((const double *)column->values)[row];
        else if (column->type.id == MR_INT32)
            sums->integers += (uint64_t)((const int32_t *)column->values)[row];
        else if (column->type.id == MR_BOOL)
            sums->integers += mr_bit_get(column->values, row);
        else if (column->type.id == MR_STRING) {
            mr_text text = mr_column_text(column, row);
            for (size_t i = 0; i < text.size; i++)
                sums->integers += text.bytes[i];
        } else
            sums->integers += (uint64_t)((const int64_t *)column->values)[row];
    }
}

static void take(task *t, mr_decoder *decoder, bool sum)
{
    mr_error err = {0};
    mr_batch *batch;
    do {
        size_t rejects;
        mr_bench_check(mr_decoder_next_batch(decoder, &batch, &err), &err);
        (void)mr_decoder_rejects(decoder, &rejects);
        if (rejects > 0)
            abort();
        for (uint32_t i = 0; sum && batch != NULL && i < batch->schema->field_count; i++)
            add_column(&batch->columns[i], batch->row_count, &t->sums);
        t->rows += batch != NULL ? batch->row_count : 0;
        mr_batch_release(batch);
    } while (batch != NULL);
}

static void decode(task *t, bool sum)
{
    mr_error err = {0};
    mr_decoder *decoder;
    mr_decoder_options options = {
        .format = t->format, .schema = t->schema, .name = "bench", .portable = t->portable};
    mr_bench_check(mr_decoder_open(&options, &decoder, &err), &err);
    for (size_t at = 0; at < t->text.size;) {
        uint8_t *room;
        size_t size;
        mr_bench_check(mr_decoder_room(decoder, &room, &size, &err), &err);
        size = size < t->text.size - at ? size : t->text.size - at;
        memcpy(room, t->text.data + at, size);
        mr_decoder_fed(decoder, size);
        at += size;
        take(t, decoder, sum);
    }
    mr_decoder_finish(decoder);
    take(t, decoder, sum);
    mr_decoder_close(decoder);
}

static void decode_timed(void *context)
{
    decode(context, false);
}

static void report(const char *name, const task *t, double ns)
{
    char full[128];
    (void)snprintf(full, sizeof full, "%s.ours.speed", name);
    mr_bench_report(full, (double)t->text.size / ns * 1000, "MB/s");
    (void)snprintf(full, sizeof full, "%s.ours.row", name);
    mr_bench_report(full, ns / ROWS, "ns/row");
}

static void measure(const char *name, mr_text_format format, int hard, bool portable)
{
    mr_error err = {0};
    task t = {.format = format, .portable = portable};
    mr_bench_check(mr_schema_parse(PAYMENT_SCHEMA, sizeof PAYMENT_SCHEMA - 1, &t.schema, &err),
                   &err);
    make_text(&t, hard);
    decode(&t, true);
    if (t.rows != ROWS)
        abort();
    mr_bench_note("%s: %.0f bytes/row; sums %llu %.17g %llu", name, (double)t.text.size / ROWS,
                  (unsigned long long)t.sums.integers, t.sums.floats,
                  (unsigned long long)t.sums.nulls);
    report(name, &t, mr_bench_best_ns(decode_timed, &t, 400));
    mr_bytes_deinit(&t.text);
    mr_schema_release(t.schema);
}

BENCH(json)
{
    measure("json.plain", MR_FORMAT_JSONL, 0, false);
    measure("json.hard", MR_FORMAT_JSONL, 1, false);
    measure("json.plain.careful", MR_FORMAT_JSONL, 0, true);
}

BENCH(csv)
{
    measure("csv.plain", MR_FORMAT_CSV, 0, false);
    measure("csv.hard", MR_FORMAT_CSV, 1, false);
    measure("csv.plain.careful", MR_FORMAT_CSV, 0, true);
}

/* ---- encoding ---- */

typedef struct encode_task {
    mr_encoder_options options;
    mr_batch *batch;
    mr_bytes out;
} encode_task;

static void encode_timed(void *context)
{
    encode_task *t = context;
    mr_bytes_clear(&t->out);
    mr_encode_rows(&t->options, t->batch, 0, t->batch->row_count, &t->out);
}

static mr_batch *some_batch(void)
{
    mr_error err = {0};
    mr_decoder *decoder;
    mr_batch *batch;
    task t = {.format = MR_FORMAT_JSONL};
    mr_bench_check(mr_schema_parse(PAYMENT_SCHEMA, sizeof PAYMENT_SCHEMA - 1, &t.schema, &err),
                   &err);
    make_text(&t, 0);
    mr_decoder_options options = {.format = t.format, .schema = t.schema, .name = "bench"};
    mr_bench_check(mr_decoder_open(&options, &decoder, &err), &err);
    mr_bench_check(mr_decoder_feed(decoder, t.text.data, t.text.size, &err), &err);
    mr_bench_check(mr_decoder_next_batch(decoder, &batch, &err), &err);
    mr_decoder_close(decoder);
    mr_bytes_deinit(&t.text);
    mr_schema_release(t.schema);
    return batch;
}

BENCH(encode)
{
    static const char *const names[MR_FORMAT_COUNT] = {
        [MR_FORMAT_CSV] = "encode.csv.ours.row", [MR_FORMAT_JSONL] = "encode.json.ours.row"};
    for (int format = 0; format < MR_FORMAT_COUNT; format++) {
        encode_task t = {.options = {.format = (mr_text_format)format}, .batch = some_batch()};
        double ns = mr_bench_best_ns(encode_timed, &t, 300);
        mr_bench_report(names[format], ns / t.batch->row_count, "ns/row");
        mr_batch_release(t.batch);
        mr_bytes_deinit(&t.out);
    }
}
