/* encoder.h -- batches to text, losslessly: decoding what was encoded gives an equal batch.
 *
 * CSV (RFC 4180, LF): NULL is an empty field, the empty text is "". Quotes only where needed. JSON
 * lines: one object a row, every field of the schema in its order, NULL as null. Floats in the
 * shortest form that reads back to the same bits; NaN, Infinity and -Infinity as these words (JSON:
 * as strings) and timestamps outside the years 1 to 9999 as @microseconds: to read those, the
 * decoder needs allow_nonfinite. (One NaN: sign and payload are not kept; and CSV cannot carry a
 * NUL inside a string.) bytes are base64, vectors JSON arrays, timestamps RFC 3339 in UTC with as
 * many digits as needed. Append-only writers: a failed allocation shows in out->failed, ask once at
 * the end. */
#ifndef MR_DATA_ENCODER_H
#define MR_DATA_ENCODER_H

#include "data/batch.h"
#include "data/decoder.h"

typedef struct mr_encoder_options {
    mr_text_format format;
    char delimiter; /* CSV; 0: ',' */
} mr_encoder_options;

/* The CSV header line; nothing for JSON lines. */
void mr_encode_header(const mr_encoder_options *options, const mr_schema *schema, mr_bytes *out);
/* Rows [first, first + count), each with its LF. */
void mr_encode_rows(const mr_encoder_options *options, const mr_batch *batch, size_t first,
                    size_t count, mr_bytes *out);

/* One value as JSON text (null for NULL). */
void mr_encode_json_value(const mr_column *column, size_t row, mr_bytes *out);
/* A JSON string with its quotes; bytes that are not UTF-8 come out as U+FFFD. */
void mr_encode_json_text(const void *text, size_t size, mr_bytes *out);
/* A CSV field, quoted when needed. */
void mr_encode_csv_text(const void *text, size_t size, char delimiter, mr_bytes *out);

#endif
