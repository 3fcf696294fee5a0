/* decoder_internal.h -- the rooms inside a decoder: window, sinks, mistakes, and what a format must supply.
 *
 *   window   | decided | undecided ............ | 64 zero bytes |
 *            ^0        ^start                   ^end
 *
 * (1) The 64 bytes behind `end` are zero, so that loops may read ahead and stop at a NUL.
 * (2) Rows below `row_count` of every sink are whole; the row being decoded is undone when it fails.
 * (3) The fast path of a format takes a record only if the careful path would, with the same values; anything
 *     it does not expect it leaves to the careful path, which alone finds the reasons of rejects. */
#ifndef MR_DATA_DECODER_INTERNAL_H
#define MR_DATA_DECODER_INTERNAL_H

#include "base/assert.h"
#include "data/decoder.h"

#include <string.h>

#define MR_WINDOW_PAD      64
#define MR_CSV_COLUMNS_MAX 16384
#define MR_JSON_DEPTH_MAX  64
#define MR_BATCH_SPAN_MAX                                                                          \
    ((size_t)1 << 30) /* text of one batch: keeps int32 offsets from overflowing */
#define MR_MISTAKE_TEXT_MAX  400
#define MR_MISTAKE_SHOWN_MAX 60 /* bytes of a bad value that a message repeats */

/* Where the values of one field go; copied into exact buffers when the batch is made. */
typedef struct mr_sink {
    const char *name; /* lent by the schema */
    mr_type type;
    bool nullable;
    mr_time_unit unit;
    uint8_t *values;   /* fixed: a row each; bool: bits, zero before use; text: its bytes */
    int32_t *offsets;  /* text: where each row ends */
    uint8_t *validity; /* nullable: bits, set before use */
    size_t text_size;
    size_t capacity; /* of values, for text */
    uint32_t null_count;
} mr_sink;

/* The first thing wrong with a record. */
typedef struct mr_mistake {
    const uint8_t *at; /* NULL: nothing wrong */
    int field;         /* -1: no matter of one field */
    bool out_of_memory;
    char text[MR_MISTAKE_TEXT_MAX];
} mr_mistake;

typedef struct mr_record {
    const uint8_t *start;
    const uint8_t *end;  /* behind the content */
    const uint8_t *next; /* behind the line end */
} mr_record;

/* How far the search for the end of the record came; kept while input is missing. */
typedef struct mr_record_scan {
    size_t at; /* behind `start` */
    int state;
    size_t quote_at;   /* CSV: where the open quote stands */
    size_t wrong_at;   /* CSV: the first mistake with quotes or line ends */
    const char *wrong; /* what it is; NULL: none */
} mr_record_scan;

typedef enum mr_step {
    MR_STEP_ROW,    /* taken into the sinks */
    MR_STEP_REJECT, /* decoder->mistake says why */
    MR_STEP_BLANK,  /* nothing there */
} mr_step;

typedef struct mr_csv_field {
    const uint8_t *start; /* the quote, if there is one */
    const uint8_t *end;
    bool quoted;
    bool escaped; /* holds doubled quotes */
} mr_csv_field;

typedef struct mr_csv_state {
    bool header_done;
    uint32_t column_count;
    int32_t *column_fields; /* per column of the file: field of the schema, or -1 */
    mr_csv_field *fields;   /* of one record; column_count of them */
    char **ignored;
    size_t ignored_count;
    uint32_t *absent; /* fields of the schema without a column */
    uint32_t absent_count;
} mr_csv_state;

#define MR_JSON_KEY_BYTES 32

typedef struct mr_json_member_key {
    uint8_t text[MR_JSON_KEY_BYTES]; /* "name": as it mostly stands, cut at 32 bytes */
    uint32_t mask;                   /* a bit for each of these bytes that counts */
    uint32_t size;                   /* whole */
    uint8_t *whole;                  /* all of it */
    const char *name;                /* as in the file */
    uint32_t name_size;
} mr_json_member_key;

typedef struct mr_json_state {
    mr_json_member_key *keys; /* one per field of the schema */
    uint32_t *followers; /* per field + 1: the field seen behind it last time (0: at the start) */
    uint64_t *seen;      /* per field: the record it was last seen in */
    uint64_t record;     /* number of the record being decoded */
    uint32_t *table;     /* open addressing: hash of the name -> field + 1 */
    uint32_t table_mask;
} mr_json_state;

typedef struct mr_decoder_kind mr_decoder_kind;

struct mr_decoder {
    const mr_decoder_kind *kind;
    mr_decoder_options options; /* schema retained; name and renames are ours */
    char *name;
    mr_schema *schema;
    mr_sink *sinks;
    uint32_t field_count;
    uint32_t rows_max;
    mr_arena kept; /* what lives as long as the decoder */

    uint8_t *window;
    size_t window_capacity; /* without the padding */
    size_t start, end;
    uint64_t window_offset; /* of window[0] in the input */
    uint64_t line;          /* of window[start] */
    bool finished;
    bool begun;        /* the byte order mark was looked for */
    size_t mark_bytes; /* of the byte order mark: 0 or 3 */
    size_t
        line_start; /* bytes of the line at `start` that stand before it: pieces went to the rejects */
    bool oversize; /* in the middle of a record that is too long */
    mr_record_scan scan;

    uint32_t row_count;
    size_t *row_starts; /* in the window */
    uint64_t *row_lines;
    size_t batch_start;
    bool full; /* the last batch ended because it, or the rejects, were full */

    mr_reject *rejects;
    uint32_t reject_count;
    mr_arena reject_texts;
    uint32_t *check_rows; /* of options.check: rows that pass */
    mr_expr_scratch check_scratch;
    mr_mistake mistake;
    mr_sink scratch; /* a text that is no value yet: keys, unescaped fields */

    mr_decoder_counts counts;
    mr_status refused;
    mr_error refusal;

    mr_csv_state csv;
    mr_json_state json;
};

/* What a format supplies. */
struct mr_decoder_kind {
    const char *name;
    mr_status (*open)(mr_decoder *decoder, mr_error *err);
    void (*close)(mr_decoder *decoder);
    /* Reads what stands before the first record; *out_wait when it is not all there yet. */
    mr_status (*begin)(mr_decoder *decoder, bool *out_wait, mr_error *err);
    void (*restart)(mr_decoder *decoder);
    /* Takes records as long as they are what is expected; moves start, line and row_count. */
    void (*fast)(mr_decoder *decoder);
    /* Finds the end of the record at `start`, looking no further than `limit`; goes on from decoder->scan. At the
     * end of the input (`final`) the record ends at `limit`. False: not all there. */
    bool (*frame)(mr_decoder *decoder, const uint8_t *limit, bool final, mr_record *out);
    mr_step (*careful)(mr_decoder *decoder, const mr_record *record);
    /* Where the value of a field stands in a good record. */
    const uint8_t *(*locate)(mr_decoder *decoder, const mr_record *record, int field);
};

extern const mr_decoder_kind mr_decoder_csv;
extern const mr_decoder_kind mr_decoder_jsonl;

/* ---- decoder.c ---- */

/* Rows and rejects of the last batch point into the window: they end when it moves. */
void mr_decoder_forget_batch(mr_decoder *decoder);
/* A field of the schema by the name it has in the file; -1: none. */
int mr_decoder_find_field(const mr_decoder *decoder, const char *name, size_t size);

/* ---- decoder_check.c ---- */

/* Takes rows for which options.check is not true out of the batch and into the rejects; *batch NULL: none are left. */
mr_status mr_decoder_apply_check(mr_decoder *decoder, mr_batch **batch, mr_error *err);

/* ---- decoder_step.c ---- */

/* Notes the first mistake of a record; always false, so that parsers can return it. */
bool mr_mistake_make(mr_decoder *decoder, const uint8_t *at, int field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool mr_mistake_memory(mr_decoder *decoder);
/* "name: VALUE is no TYPE" and what follows. */
bool mr_mistake_value(mr_decoder *decoder, const uint8_t *at, int field, const void *value,
                      size_t size, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Moves behind a record. */
void mr_decoder_pass(mr_decoder *decoder, const mr_record *record);
/* Puts "name:line:column" of a byte of the record at decoder->line on an error. */
void mr_decoder_error_place(const mr_decoder *decoder, const mr_record *record, const uint8_t *at,
                            mr_error *err);

/* ---- csv_fast.c, json_fast.c ---- */

void mr_csv_fast(mr_decoder *decoder);
void mr_json_fast(mr_decoder *decoder);

/* ---- decoder_sink.c ---- */

mr_status mr_sink_init(mr_sink *sink, const mr_field *field, uint32_t rows_max, mr_error *err);
void mr_sink_deinit(mr_sink *sink);
void mr_sink_reset(mr_sink *sink, uint32_t rows_max);
void mr_sink_undo(mr_sink *sink, uint32_t row);
mr_status mr_sink_finish(mr_sink *sink, uint32_t rows, mr_column *out, mr_error *err);
/* Makes room for `more` bytes of text behind text_size; false: no memory. */
bool mr_sink_grow(mr_sink *sink, size_t more);
void mr_sink_null(mr_sink *sink, uint32_t row);

static inline bool mr_sink_room(mr_sink *sink, size_t more)
{
    return sink->capacity - sink->text_size >= more || mr_sink_grow(sink, more);
}

static inline bool mr_sink_append(mr_sink *sink, const void *bytes, size_t size)
{
    if (!mr_sink_room(sink, size))
        return false;
    if (size > 0)
        memcpy(sink->values + sink->text_size, bytes, size);
    sink->text_size += size;
    return true;
}

static inline void mr_sink_end_text(mr_sink *sink, uint32_t row)
{
    sink->offsets[row + 1] = (int32_t)sink->text_size;
}

static inline void mr_sink_int64(mr_sink *sink, uint32_t row, int64_t value)
{
    ((int64_t *)(void *)sink->values)[row] = value;
}

static inline void mr_sink_int32(mr_sink *sink, uint32_t row, int32_t value)
{
    ((int32_t *)(void *)sink->values)[row] = value;
}

static inline void mr_sink_float64(mr_sink *sink, uint32_t row, double value)
{
    ((double *)(void *)sink->values)[row] = value;
}

static inline void mr_sink_float32(mr_sink *sink, uint32_t row, float value)
{
    ((float *)(void *)sink->values)[row] = value;
}

static inline float *mr_sink_vector(mr_sink *sink, uint32_t row)
{
    return (float *)(void *)sink->values + (size_t)row * sink->type.width;
}

/* ---- decoder_value.c ---- */

/* The text of one value into its sink at row_count, by the field's type. `at` is where it stands in the window;
 * false: a mistake was made. */
bool mr_value_put(mr_decoder *decoder, int field, const char *text, size_t size, const uint8_t *at);
/* NaN, Infinity, -Infinity. */
bool mr_value_nonfinite(const char *text, size_t size, double *out);

#endif
