/* decoder.h -- bytes in, record batches and rejects out: CSV (RFC 4180) and JSON lines, read by a
 * schema straight into typed columns.
 *
 *   bytes --feed--> | window: raw text | --next_batch--> batch   (+ rejects of the same stretch of
 * text)
 *
 * Life: open; then { feed (or room + fed) ; next_batch until *out is NULL } until the input ends;
 * finish; next_batch until *out is NULL; close. One thread at a time. Memory is bounded by the
 * options.
 *
 * What is accepted, by type (anything else is rejected, nothing is rounded, cut or guessed):
 *   bool ........ JSON true false; CSV true false 1 0 (also True, TRUE, False, FALSE)
 *   int32 int64 . decimal digits that fit; no point, no exponent
 *   float32 64 .. a finite decimal number, correctly rounded; too large for the type is an error,
 * too small is the nearest value (0). With allow_nonfinite also NaN, Infinity, -Infinity (strings
 * in JSON) timestamp ... text as in base/time.h; with a unit (s, ms, us) also a whole number of
 * that unit. With allow_nonfinite also @microseconds, what the encoder writes outside the years 1
 * to 9999 string ...... valid UTF-8; in CSV without NUL bytes ....... base64 (RFC 4648, padded) vector(n)
 * ... JSON array of exactly n numbers; in CSV the same as (quoted) text
 *
 * CSV. A quote opens a quoted field only at the field's start; "" inside is one quote. Rows end
 * with LF or CRLF (a CR at the very end of the input counts as one); a lone CR outside quotes is an
 * error. The last row needs no newline. Empty lines are skipped, unless the file has one column. A
 * UTF-8 byte order mark is skipped. The header names columns in any order. Columns that the schema
 * does not name are ignored (see mr_decoder_ignored); a column of the schema that the header lacks
 * is NULL when nullable, else the file is refused. Refused as well: no header, the same name twice.
 * An empty field is NULL in a nullable column (in a string or bytes column only if not quoted), the
 * empty text in a string or bytes column that is not nullable, and an error elsewhere. A row with a
 * wrong number of fields is rejected as a whole before its values are looked at. After a mistake
 * with quotes (or a lone CR) the rejected record reaches to the end of that physical line, so that
 * one bad line never swallows its neighbours; a quote that is never closed swallows the rest, which
 * goes to the reject.
 *
 * JSON lines. One object a line; empty lines and blanks are skipped, as is a byte order mark. Keys
 * in any order; keys that the schema does not name are checked for syntax and skipped (nesting up
 * to 64). Rejected: a key of the schema twice (also when spelled with escapes), a missing key or
 * null unless nullable, everything RFC 8259 does not allow (NaN, +1, 01, 1., trailing commas,
 * control characters), and lone surrogates.
 *
 * Places. Lines are physical lines (ended by LF) from 1, columns are bytes from 1. The place of a
 * reject is the first offending byte where bytes are wrong (NUL, not UTF-8, quotes, JSON syntax),
 * the first byte of the field where a value is wrong, and just past the end where something is
 * missing. */
#ifndef MR_DATA_DECODER_H
#define MR_DATA_DECODER_H

#include "data/batch.h"
#include "data/expr.h"

typedef enum mr_text_format { MR_FORMAT_CSV, MR_FORMAT_JSONL, MR_FORMAT_COUNT } mr_text_format;

/* "csv", "jsonl" (also "json", "ndjson"); false for others. */
bool mr_text_format_parse(const char *text, size_t size, mr_text_format *out);
/* By the file's name, behind .zst and .gz: .csv .tsv -> CSV, .jsonl .ndjson .json -> JSON lines. */
bool mr_text_format_of_path(const char *path, mr_text_format *out);

/* A column of the file (or JSON key) that is called otherwise in the schema. */
typedef struct mr_rename {
    const char *column;
    const char *field;
} mr_rename;

/* Zero means the default throughout. */
typedef struct mr_decoder_options {
    mr_text_format format;
    mr_schema *schema;     /* retained */
    const char *name;      /* of the input, for places; copied */
    char delimiter;        /* CSV; 0: ',' */
    bool no_header;        /* CSV: the columns are the schema's fields, in order */
    bool allow_nonfinite;  /* accept NaN, Infinity, -Infinity and @microseconds */
    bool columns_required; /* nullable columns must be there as well, if only with NULLs */
    bool zone_required;    /* timestamps without a zone are rejected */
    bool portable;         /* only the careful path, no fast one: the same results, for tests */
    const mr_expr *
        check; /* lent: a condition over the schema; records for which it is not true are rejected */
    const mr_rename *renames; /* copied */
    size_t rename_count;
    uint32_t batch_rows_max; /* 0: 4096 */
    size_t batch_bytes_max;  /* fixed-size columns of one batch; 0: 64 MiB */
    size_t window_bytes;     /* text decoded at once; 0: 1 MiB */
    size_t field_bytes_max;  /* a longer text value is rejected; 0: 16 MiB */
    size_t record_bytes_max; /* a longer record is rejected, in pieces; 0: 64 MiB */
    uint32_t rejects_max;    /* next_batch returns when so many are waiting; 0: 1024 */
} mr_decoder_options;

typedef struct mr_reject {
    uint64_t line, column;  /* where the mistake is */
    uint64_t record_line;   /* where the record starts */
    uint64_t record_offset; /* byte offset of the record in the input */
    const char *field;      /* of the schema, or "" when it is no matter of one field */
    const char *reason;     /* "amount: \"12.5O\" is no float64: 'O' at byte 5" */
    const uint8_t *bytes;   /* the whole record as it came, without its line end */
    size_t size;
    uint32_t row_index; /* accepted rows of the same batch that came before it */
    bool continued;     /* a further piece of the record before; not counted as a record */
} mr_reject;

typedef struct mr_decoder_counts {
    uint64_t bytes;   /* taken from the input and decided about */
    uint64_t records; /* accepted + rejected */
    uint64_t accepted;
    uint64_t rejected;
} mr_decoder_counts;

/* Where an accepted row, or one field of it, stood. Bytes are lent until the next feed, room or
 * close. */
typedef struct mr_row_place {
    uint64_t line, column;
    uint64_t record_line;
    uint64_t record_offset;
    const uint8_t *bytes; /* the whole record without its line end */
    size_t size;
} mr_row_place;

typedef struct mr_decoder mr_decoder;

mr_status mr_decoder_open(const mr_decoder_options *options, mr_decoder **out, mr_error *err);
void mr_decoder_close(mr_decoder *decoder); /* NULL is allowed */

/* Adds input (copied). All batches of what was fed before should be taken first, or the window
 * grows. */
mr_status mr_decoder_feed(mr_decoder *decoder, const void *bytes, size_t size, mr_error *err);
/* The same without a copy: lends *out_room bytes (at least 1) at *out; then say how many were
 * filled. */
mr_status mr_decoder_room(mr_decoder *decoder, uint8_t **out, size_t *out_room, mr_error *err);
void mr_decoder_fed(mr_decoder *decoder, size_t size);
/* The input has ended: a last record without a line end counts. */
void mr_decoder_finish(mr_decoder *decoder);

/* The next batch, owned by the caller; 1 to batch_rows_max rows. *out is NULL when none can be made
 * of what was fed; there may be rejects in either case, which the call before's are replaced by.
 * MR_INVALID with a place when the whole input is refused (its header), and again at every later
 * call. */
mr_status mr_decoder_next_batch(mr_decoder *decoder, mr_batch **out, mr_error *err);
/* The rejects of the last next_batch, in order; lent until the next call of next_batch, feed, room
 * or close. */
const mr_reject *mr_decoder_rejects(const mr_decoder *decoder, size_t *out_count);
/* More records can be decoded without feeding: next_batch stopped because a batch or the rejects
 * were full. */
bool mr_decoder_has_more(const mr_decoder *decoder);

/* The place of row `row` of the last batch; `field` is an index of the schema, or -1 for the
 * record. Found by reading the record again: for errors, not for every row. */
void mr_decoder_place(mr_decoder *decoder, uint32_t row, int field, mr_row_place *out);

mr_decoder_counts mr_decoder_count(const mr_decoder *decoder);
/* CSV: names of the header that the schema does not have, in order; lent until close. Empty before
 * the header. */
const char *const *mr_decoder_ignored(const mr_decoder *decoder, size_t *out_count);
/* True once the header was read (JSON lines and no_header: always). */
bool mr_decoder_header_done(const mr_decoder *decoder);

/* Where the next undecided record starts: a place to resume from. */
void mr_decoder_position(const mr_decoder *decoder, uint64_t *out_offset, uint64_t *out_line);
/* Drops undecided input and goes on as if the next byte fed stood at that place. For CSV with a
 * header: feed the head of the file until mr_decoder_header_done, then resume. */
void mr_decoder_resume(mr_decoder *decoder, uint64_t offset, uint64_t line);
/* Starts another input of the same kind: a new header, line 1, counts kept. Copies the name. */
mr_status mr_decoder_restart(mr_decoder *decoder, const char *name, mr_error *err);

#endif
