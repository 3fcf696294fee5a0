/* decoder_fuzz.h -- what csv_fuzz.c and json_fuzz.c demand of any bytes: the fast path over the whole and the careful
 * path over pieces say the same, every byte is accounted for, and rows that were taken survive a round trip.
 *
 * The first two bytes choose options, the rest is the text. */
#ifndef MR_DATA_DECODER_FUZZ_H
#define MR_DATA_DECODER_FUZZ_H

#include "base/assert.h"
#include "base/hash.h"
#include "data/encoder.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_SCHEMA                                                                                \
    "id: int64, at: timestamp, who: string null, sum: float64 null, ok: bool, n: int32 null, "     \
    "raw: bytes null, v: "                                                                         \
    "vector(2) null, f: float32 null, ms: timestamp(ms) null"

typedef struct fuzz_result {
    mr_status status;
    uint64_t rejects; /* a hash of all of them */
    mr_decoder_counts counts;
    mr_bytes rows; /* accepted ones, encoded again */
} fuzz_result;

static void fuzz_note_rejects(const mr_decoder *decoder, size_t size, fuzz_result *out)
{
    size_t count;
    const mr_reject *rejects = mr_decoder_rejects(decoder, &count);
    for (size_t i = 0; i < count; i++) {
        MR_ASSERT(rejects[i].line >= 1 && rejects[i].column >= 1 &&
                  rejects[i].record_offset + rejects[i].size <= size);
        uint64_t parts[] = {out->rejects, rejects[i].line, rejects[i].column,
                            mr_hash64(rejects[i].bytes, rejects[i].size),
                            mr_hash64(rejects[i].reason, strlen(rejects[i].reason))};
        out->rejects = mr_hash64(parts, sizeof parts);
    }
}

static fuzz_result fuzz_decode(const mr_decoder_options *options, const uint8_t *text, size_t size,
                               size_t piece)
{
    fuzz_result out = {.status = MR_OK};
    text = text != NULL ? text : (const uint8_t *)"";
    mr_encoder_options encode = {.format = options->format, .delimiter = options->delimiter};
    mr_decoder *decoder;
    if (mr_decoder_open(options, &decoder, NULL) != MR_OK)
        abort();
    mr_encode_header(&encode, options->schema, &out.rows);
    for (size_t at = 0; out.status == MR_OK && at <= size; at += piece) {
        size_t step = MR_MIN(piece, size - at);
        MR_ASSERT(mr_decoder_feed(decoder, text + at, step, NULL) == MR_OK);
        if (at + piece > size)
            mr_decoder_finish(decoder);
        mr_batch *batch;
        do {
            out.status = mr_decoder_next_batch(decoder, &batch, NULL);
            fuzz_note_rejects(decoder, size, &out);
            for (uint32_t row = 0; batch != NULL && row < batch->row_count; row += 3) {
                mr_row_place where;
                mr_decoder_place(decoder, row, (int)(row % options->schema->field_count), &where);
                MR_ASSERT(where.record_offset + where.size <= size);
            }
            if (batch != NULL)
                mr_encode_rows(&encode, batch, 0, batch->row_count, &out.rows);
            mr_batch_release(batch);
        } while (batch != NULL || mr_decoder_has_more(decoder));
    }
    out.counts = mr_decoder_count(decoder);
    mr_decoder_close(decoder);
    return out;
}

static void fuzz_check_bytes(const mr_bytes *a, const mr_bytes *b)
{
    MR_ASSERT(a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0));
}

static void fuzz_check_same(const fuzz_result *a, const fuzz_result *b)
{
    MR_ASSERT(a->status == b->status);
    if (a->status != MR_OK)
        return;
    MR_ASSERT(a->rejects == b->rejects);
    MR_ASSERT(a->counts.bytes == b->counts.bytes && a->counts.records == b->counts.records);
    fuzz_check_bytes(&a->rows, &b->rows);
}

static int fuzz_text(mr_text_format format, const uint8_t *data, size_t size)
{
    mr_schema *schema;
    if (size < 2)
        return 0;
    if (mr_schema_parse(FUZZ_SCHEMA, sizeof FUZZ_SCHEMA - 1, &schema, NULL) != MR_OK)
        abort();
    uint8_t choice = data[0];
    mr_decoder_options options = {.format = format,
                                  .schema = schema,
                                  .name = "fuzz",
                                  .allow_nonfinite = (choice & 1) != 0,
                                  .zone_required = (choice & 2) != 0,
                                  .no_header = (choice & 4) != 0};
    options.record_bytes_max = (choice & 8) != 0 ? 64 : 0;
    options.field_bytes_max = (choice & 16) != 0 ? 8 : 0;
    options.delimiter = (choice & 32) != 0 ? '\t' : '\0';
    fuzz_result whole = fuzz_decode(&options, data + 2, size - 2, size);
    options.portable = true;
    options.window_bytes = 32;
    options.batch_rows_max = 3;
    options.rejects_max = 2;
    fuzz_result pieces = fuzz_decode(&options, data + 2, size - 2, 1 + data[1]);
    fuzz_check_same(&whole, &pieces);
    if (whole.status == MR_OK) { /* what was taken comes back, whatever the limits were */
        mr_decoder_options again = {.format = format,
                                    .schema = schema,
                                    .name = "again",
                                    .allow_nonfinite = true,
                                    .delimiter = options.delimiter};
        fuzz_result back =
            fuzz_decode(&again, whole.rows.data, whole.rows.size, whole.rows.size + 1);
        MR_ASSERT(back.counts.accepted == whole.counts.accepted && back.counts.rejected == 0);
        fuzz_check_bytes(&back.rows, &whole.rows);
        mr_bytes_deinit(&back.rows);
    }
    mr_bytes_deinit(&whole.rows);
    mr_bytes_deinit(&pieces.rows);
    mr_schema_release(schema);
    return 0;
}

#endif
