/* decoder_property_test.c -- what holds for any schema, any text, and any way of feeding it:
 * what was encoded comes back; the fast and the careful path agree on every byte; nothing is lost. */
#include "base/assert.h"
#include "data/encoder.h"
#include "test/random_batch.h"

#include <stdio.h>
#include <string.h>

/* Everything a decoder said about an input, as one text: rows re-encoded, rejects with all they carry. */
typedef struct transcript {
    mr_bytes rows;
    mr_bytes rejects;
    mr_decoder_counts counts;
    bool refused;
} transcript;

static void free_transcript(transcript *t)
{
    mr_bytes_deinit(&t->rows);
    mr_bytes_deinit(&t->rejects);
}

static void note_rejects(const mr_decoder *decoder, transcript *t)
{
    size_t count;
    const mr_reject *rejects = mr_decoder_rejects(decoder, &count);
    for (size_t i = 0; i < count; i++) {
        const mr_reject *r = &rejects[i];
        mr_bytes_printf(&t->rejects, "%llu:%llu from %llu @%llu %s%s|%s|",
                        (unsigned long long)r->line, (unsigned long long)r->column,
                        (unsigned long long)r->record_line, (unsigned long long)r->record_offset,
                        r->continued ? "+" : "", r->field, r->reason);
        mr_bytes_append(&t->rejects, r->bytes, r->size);
        mr_bytes_append_byte(&t->rejects, '\n');
    }
}

/* A place is inside its record, and the record is where it is said to be. */
static void check_places(mr_decoder *decoder, const mr_batch *batch, const mr_bytes *input)
{
    for (uint32_t row = 0; row < batch->row_count; row++) {
        mr_row_place where, field;
        mr_decoder_place(decoder, row, -1, &where);
        assert_true(where.record_offset + where.size <= input->size);
        assert_memory_equal(where.bytes, input->data + where.record_offset, where.size);
        mr_decoder_place(decoder, row, (int)(row % batch->schema->field_count), &field);
        assert_true(field.line > where.line ||
                    (field.line == where.line && field.column >= where.column));
    }
}

static void drain(mr_decoder *decoder, const mr_encoder_options *encode, const mr_bytes *input,
                  transcript *t)
{
    mr_error err = {0};
    mr_batch *batch = NULL;
    do {
        if (mr_decoder_next_batch(decoder, &batch, &err) != MR_OK) {
            t->refused = true;
            mr_bytes_printf(&t->rejects, "refused at %s: %s", err.place, err.text);
            return;
        }
        note_rejects(decoder, t);
        if (batch != NULL) {
            check_places(decoder, batch, input);
            mr_encode_rows(encode, batch, 0, batch->row_count, &t->rows);
        }
        mr_batch_release(batch);
    } while (batch != NULL || mr_decoder_has_more(decoder));
}

static transcript transcribe(const mr_decoder_options *options, const mr_bytes *input,
                             mr_random_seeded *cuts)
{
    transcript t = {0};
    mr_error err = {0};
    mr_decoder *decoder;
    mr_encoder_options encode = {.format = MR_FORMAT_JSONL};
    assert_ok(mr_decoder_open(options, &decoder, &err), &err);
    for (size_t at = 0; at < input->size && !t.refused;) {
        size_t piece = cuts != NULL ? 1 + mr_random_below(cuts, 200) : input->size;
        piece = MR_MIN(piece, input->size - at);
        assert_ok(mr_decoder_feed(decoder, input->data + at, piece, &err), &err);
        drain(decoder, &encode, input, &t);
        at += piece;
    }
    mr_decoder_finish(decoder);
    if (!t.refused)
        drain(decoder, &encode, input, &t);
    t.counts = mr_decoder_count(decoder);
    if (!t.refused)
        assert_int_equal(
            t.counts.bytes +
                (input->size >= 3 && memcmp(input->data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0),
            input->size);
    mr_decoder_close(decoder);
    return t;
}

static void check_same(const transcript *a, const transcript *b, const char *what,
                       const mr_bytes *input, uint64_t seed)
{
    if (a->rows.size == b->rows.size && a->rejects.size == b->rejects.size &&
        a->refused == b->refused &&
        (a->rows.size == 0 || memcmp(a->rows.data, b->rows.data, a->rows.size) == 0) &&
        (a->rejects.size == 0 || memcmp(a->rejects.data, b->rejects.data, a->rejects.size) == 0))
        return;
    fail_msg("%s differs at round %llu (seed %llu)\n--- input\n%.*s\n--- rejects\n%.*s\n--- "
             "or\n%.*s\n--- rows\n%.*s\n--- or\n%.*s",
             what, (unsigned long long)seed, (unsigned long long)mr_test_seed(), (int)input->size,
             (const char *)input->data, (int)a->rejects.size, (const char *)a->rejects.data,
             (int)b->rejects.size, (const char *)b->rejects.data, (int)a->rows.size,
             (const char *)a->rows.data, (int)b->rows.size, (const char *)b->rows.data);
}

/* Breaks the text in ways that text breaks. */
static void mutate(mr_random_seeded *random, mr_bytes *text)
{
    static const char *const pieces[] = {"\"",
                                         ",",
                                         "\n",
                                         "\r",
                                         "\r\n",
                                         "\"\"",
                                         "\\",
                                         "\\u0041",
                                         "\\ud83d",
                                         "\xff",
                                         "\xc3",
                                         "{",
                                         "}",
                                         "[",
                                         "]",
                                         ":",
                                         "null",
                                         "NaN",
                                         "-",
                                         "0",
                                         "1e400",
                                         ".5",
                                         " ",
                                         "\t",
                                         "\"a\":1",
                                         "\xef\xbb\xbf",
                                         "true",
                                         "+1",
                                         "123456789012345678901234567890",
                                         "@5",
                                         "0x1",
                                         "\n\n",
                                         "2024-02-30T00:00:00Z"};
    uint64_t count = mr_random_below(random, 4);
    for (uint64_t i = 0; i < count && text->size > 0; i++) {
        size_t at = mr_random_below(random, text->size);
        const char *piece = pieces[mr_random_below(random, MR_COUNT_OF(pieces))];
        size_t size = strlen(piece),
               cut = mr_random_below(random, 3) == 0 ? mr_random_below(random, 8) : 0;
        cut = MR_MIN(cut, text->size - at);
        if (mr_random_below(random, 16) == 0) {
            text->data[at] = 0;
            continue;
        }
        if (mr_random_below(random, 3) ==
            0) { /* another digit: days that no month has, overflows */
            while (at + 1 < text->size && (text->data[at] < '0' || text->data[at] > '9'))
                at++;
            text->data[at] = (uint8_t)('0' + mr_random_below(random, 10));
            continue;
        }
        if (cut > 0 && mr_random_below(random, 2) == 0)
            size = 0;
        assert_true(mr_bytes_reserve(text, size));
        memmove(text->data + at + size, text->data + at + cut, text->size - at - cut);
        memcpy(text->data + at, piece, size);
        text->size = text->size + size - cut;
    }
    if (mr_random_below(random, 8) == 0)
        text->size = mr_random_below(random, text->size + 1);
}

static mr_decoder_options random_options(mr_random_seeded *random, mr_schema *schema,
                                         mr_text_format format)
{
    mr_decoder_options options = {.format = format, .schema = schema, .name = "any"};
    options.allow_nonfinite = mr_random_below(random, 2) == 0;
    options.zone_required = mr_random_below(random, 4) == 0;
    options.no_header = false;
    if (mr_random_below(random, 3) == 0)
        options.record_bytes_max = 40 + mr_random_below(random, 400);
    if (mr_random_below(random, 4) == 0)
        options.field_bytes_max = 1 + mr_random_below(random, 30);
    return options;
}

static void one_round(uint64_t round)
{
    mr_random_seeded random = mr_test_random(round * 7 + 11);
    mr_random_shape shape = {.fields_max = 9, .rows_max = 12, .nonfinite = round % 3 == 0};
    mr_schema *schema = mr_random_schema(&random, &shape);
    mr_batch *batch = mr_random_batch(&random, &shape, schema);
    mr_text_format format = round % 2 == 0 ? MR_FORMAT_CSV : MR_FORMAT_JSONL;
    mr_encoder_options encode = {.format = format};
    mr_bytes text = {0};
    mr_encode_header(&encode, schema, &text);
    mr_encode_rows(&encode, batch, 0, batch->row_count, &text);
    mutate(&random, &text);
    mr_decoder_options options = random_options(&random, schema, format);
    transcript fast = transcribe(&options, &text, NULL);
    options.portable = true;
    transcript careful = transcribe(&options, &text, NULL);
    check_same(&fast, &careful, "fast path", &text, round);
    options.portable = false;
    options.window_bytes = 1 + mr_random_below(&random, 100);
    options.batch_rows_max = 1 + (uint32_t)mr_random_below(&random, 5);
    options.rejects_max = 1 + (uint32_t)mr_random_below(&random, 3);
    transcript cut = transcribe(&options, &text, &random);
    check_same(&fast, &cut, "feeding", &text, round);
    free_transcript(&fast);
    free_transcript(&careful);
    free_transcript(&cut);
    mr_bytes_deinit(&text);
    mr_batch_release(batch);
    mr_schema_release(schema);
}

TEST(decoder_property, paths_and_feeding_agree_on_broken_text)
{
    for (uint64_t round = 0; round < mr_test_rounds(2500); round++)
        one_round(round);
}

static mr_batch *decode_one(const mr_decoder_options *options, const mr_bytes *text)
{
    mr_decoder *decoder;
    mr_error err = {0};
    mr_batch *batch;
    assert_ok(mr_decoder_open(options, &decoder, &err), &err);
    assert_ok(mr_decoder_feed(decoder, text->data, text->size, &err), &err);
    mr_decoder_finish(decoder);
    assert_ok(mr_decoder_next_batch(decoder, &batch, &err), &err);
    size_t rejects;
    const mr_reject *reject = mr_decoder_rejects(decoder, &rejects);
    if (rejects > 0)
        fail_msg("line %llu: %s\n%.*s", (unsigned long long)reject->line, reject->reason,
                 (int)text->size, (const char *)text->data);
    mr_decoder_close(decoder);
    return batch;
}

TEST(decoder_property, what_was_encoded_comes_back)
{
    for (uint64_t round = 0; round < mr_test_rounds(1500); round++) {
        mr_random_seeded random = mr_test_random(round * 3 + 12);
        mr_text_format format = round % 2 == 0 ? MR_FORMAT_CSV : MR_FORMAT_JSONL;
        mr_random_shape shape = {.fields_max = 12,
                                 .rows_max = 30,
                                 .nonfinite = round % 3 == 0,
                                 .nul_in_strings = format == MR_FORMAT_JSONL};
        mr_schema *schema = mr_random_schema(&random, &shape);
        mr_batch *batch = mr_random_batch(&random, &shape, schema), *back;
        mr_encoder_options encode = {.format = format, .delimiter = round % 4 == 0 ? ';' : '\0'};
        mr_bytes text = {0};
        mr_encode_header(&encode, schema, &text);
        mr_encode_rows(&encode, batch, 0, batch->row_count, &text);
        assert_false(text.failed);
        mr_decoder_options options = {.format = format,
                                      .schema = schema,
                                      .delimiter = encode.delimiter,
                                      .allow_nonfinite = shape.nonfinite,
                                      .portable = round % 5 == 0,
                                      .zone_required = round % 7 == 0};
        back = decode_one(&options, &text);
        if ((back == NULL) != (batch->row_count == 0) ||
            (back != NULL && !mr_batch_equal(batch, back)))
            fail_msg("round %llu: %u rows, %u back\n%.*s", (unsigned long long)round,
                     batch->row_count, back != NULL ? back->row_count : 0, (int)text.size,
                     (const char *)text.data);
        mr_batch_release(back);
        mr_batch_release(batch);
        mr_schema_release(schema);
        mr_bytes_deinit(&text);
    }
}

/* Every call, with the n-th allocation failing, for all n: a clean error, and the same rows when tried again. */
static mr_status decode_failing(const mr_decoder_options *options, const mr_bytes *text,
                                uint64_t *out_rows)
{
    mr_decoder *decoder;
    mr_error err = {0};
    mr_batch *batch = NULL;
    *out_rows = 0;
    MR_TRY(mr_decoder_open(options, &decoder, &err));
    mr_status status = mr_decoder_feed(decoder, text->data, text->size, &err);
    mr_decoder_finish(decoder);
    while (status == MR_OK) {
        status = mr_decoder_next_batch(decoder, &batch, &err);
        size_t rejects;
        (void)mr_decoder_rejects(decoder, &rejects);
        *out_rows += (batch != NULL ? batch->row_count : 0) + (status == MR_OK ? rejects : 0);
        bool more = batch != NULL || mr_decoder_has_more(decoder);
        mr_batch_release(batch);
        batch = NULL;
        if (!more)
            break;
    }
    if (status == MR_NO_MEMORY) { /* memory is back: nothing was lost */
        (void)mr_memory_fail_after(-1, false);
        mr_decoder_counts before = mr_decoder_count(decoder);
        if (before.records == *out_rows)
            while (mr_decoder_next_batch(decoder, &batch, &err) == MR_OK &&
                   (batch != NULL || mr_decoder_has_more(decoder)))
                mr_batch_release(batch);
        *out_rows = mr_decoder_count(decoder).records;
    }
    mr_decoder_close(decoder);
    return status;
}

TEST(decoder_property, survives_every_failing_allocation)
{
    for (int format = 0; format < MR_FORMAT_COUNT; format++) {
        mr_random_seeded random = mr_test_random(13);
        mr_random_shape shape = {.fields_max = 12, .rows_max = 30};
        mr_schema *schema = mr_random_schema(&random, &shape);
        mr_batch *batch = mr_random_batch(&random, &shape, schema);
        mr_encoder_options encode = {.format = (mr_text_format)format};
        mr_bytes text = {0};
        mr_encode_header(&encode, schema, &text);
        mr_encode_rows(&encode, batch, 0, batch->row_count, &text);
        mr_bytes_append_text(&text, "{broken,\"\n");
        mr_decoder_options options = {
            .format = (mr_text_format)format, .schema = schema, .batch_rows_max = 7};
        uint64_t rows = 0, used = mr_memory_used_bytes();
        int64_t n = 0;
        mr_status status;
        do {
            (void)mr_memory_fail_after(n++, true);
            status = decode_failing(&options, &text, &rows);
            (void)mr_memory_fail_after(-1, false);
            assert_true(status == MR_OK || status == MR_NO_MEMORY);
            assert_int_equal(mr_memory_used_bytes(), used);
            assert_true(n < 1000);
        } while (status != MR_OK);
        assert_int_equal(rows, batch->row_count + 1);
        assert_true(n > 8);
        mr_bytes_deinit(&text);
        mr_batch_release(batch);
        mr_schema_release(schema);
    }
}

TEST(decoder_property, encoders_survive_every_failing_allocation)
{
    for (int format = 0; format < MR_FORMAT_COUNT; format++) {
        mr_random_seeded random = mr_test_random(15);
        mr_random_shape shape = {.fields_max = 12, .rows_max = 30};
        mr_schema *schema = mr_random_schema(&random, &shape);
        mr_batch *batch = mr_random_batch(&random, &shape, schema);
        mr_encoder_options encode = {.format = (mr_text_format)format};
        uint64_t used = mr_memory_used_bytes();
        bool failed = true;
        for (int64_t n = 0; failed; n++) {
            mr_bytes text = {0};
            (void)mr_memory_fail_after(n, true);
            mr_encode_header(&encode, schema, &text);
            mr_encode_rows(&encode, batch, 0, batch->row_count, &text);
            (void)mr_memory_fail_after(-1, false);
            failed = text.failed;
            mr_bytes_deinit(&text);
            assert_int_equal(mr_memory_used_bytes(), used);
            assert_true(n < 200 && (n > 0 || failed));
        }
        mr_batch_release(batch);
        mr_schema_release(schema);
    }
}
