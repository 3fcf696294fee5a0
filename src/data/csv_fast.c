/* csv_fast.c -- CSV rows as they mostly are: one pass from the row's first byte to its LF, straight into columns.
 *
 * No index of delimiters is made first: each column's type knows what it looks for. Whatever is unusual (a value
 * that does not fit, a line end inside quotes, a count that is off) undoes the row and leaves it to the careful
 * path. */
#include "data/decoder_fast.h"

#include "base/utf8.h"

typedef struct row_reader {
    mr_decoder *decoder;
    uint32_t row;
    uint8_t delimiter;

} row_reader;

static inline bool ends_field(uint8_t byte, uint8_t delimiter)
{
    return byte == delimiter || byte == '\n' || byte == '\r';
}

/* Text up to the next stop into the sink; NULL: not plain (NUL, not UTF-8, too long, no memory). */
static inline const uint8_t *copy_run(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    size_t start = sink->text_size;
    unsigned high = 0;
    for (;; p += MR_FAST_STEP) {
        if (MR_UNLIKELY(!mr_sink_room(sink, MR_FAST_STEP)))
            return NULL;
        mr_fast_stop stop = mr_fast_csv_stops(p, r->delimiter);
        mr_fast_copy16(sink->values + sink->text_size, p);
        high |= stop.high;
        if (stop.stops != 0) {
            unsigned run = (unsigned)__builtin_ctz(stop.stops);
            sink->text_size += run;
            p += run;
            break;
        }
        sink->text_size += MR_FAST_STEP;
    }
    size_t size = sink->text_size - start;
    if (MR_UNLIKELY(high != 0) && !mr_utf8_is_valid(sink->values + start, size))
        return NULL;
    return size <= r->decoder->options.field_bytes_max ? p : NULL;
}

/* Behind an opening quote: up to behind the closing one. Delimiters are text here, line ends are left alone. */
static const uint8_t *copy_quoted(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    size_t start = sink->text_size;
    for (;;) {
        p = copy_run(r, sink, p);
        if (p == NULL || (*p != '"' && *p != r->delimiter))
            return NULL;
        if (*p == '"' && *++p != '"')
            break;
        if (!mr_sink_append(sink, p++, 1))
            return NULL;
    }
    /* A sequence cannot have been cut: the stops between the runs are ASCII. */
    return sink->text_size - start <= r->decoder->options.field_bytes_max ? p : NULL;
}

static const uint8_t *put_string(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    bool quoted = *p == '"';
    if (!quoted && sink->nullable && ends_field(*p, r->delimiter)) {
        mr_sink_null(sink, r->row);
        return p;
    }
    p = quoted ? copy_quoted(r, sink, p + 1) : copy_run(r, sink, p);
    if (p != NULL)
        mr_sink_end_text(sink, r->row);
    return p;
}

static const uint8_t *put_bool(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    if (*p == '1' || *p == '0') {
        if (*p == '1')
            mr_bit_set(sink->values, r->row);
        return p + 1;
    }
    if (memcmp(p, "true", 4) == 0) {
        mr_bit_set(sink->values, r->row);
        return p + 4;
    }
    return memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
}

static inline const uint8_t *put_number(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    int64_t whole;
    double wide;
    float narrow;
    switch (sink->type.id) {
    case MR_INT64:
        if ((p = mr_fast_int64(p, &whole)) != NULL)
            mr_sink_int64(sink, r->row, whole);
        return p;
    case MR_FLOAT64:
        if ((p = mr_fast_float64(p, &wide)) != NULL)
            mr_sink_float64(sink, r->row, wide);
        return p;
    case MR_TIMESTAMP:
        if ((p = mr_fast_instant(sink, p, r->decoder->options.zone_required, &whole)) != NULL)
            mr_sink_int64(sink, r->row, whole);
        return p;
    case MR_INT32:
        if ((p = mr_fast_int64(p, &whole)) == NULL || whole < INT32_MIN || whole > INT32_MAX)
            return NULL;
        mr_sink_int32(sink, r->row, (int32_t)whole);
        return p;
    case MR_FLOAT32:
        if ((p = mr_fast_float32(p, &narrow)) != NULL)
            mr_sink_float32(sink, r->row, narrow);
        return p;
    case MR_BOOL:
        return put_bool(r, sink, p);
    case MR_VECTOR:
        return mr_fast_vector(p, mr_sink_vector(sink, r->row), sink->type.width);
    default: /* bytes */
        return NULL;
    }
}

/* One field of any type but string. */
static inline const uint8_t *put_value(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    if (sink->nullable && ends_field(*p, r->delimiter)) {
        mr_sink_null(sink, r->row);
        return p;
    }
    bool quoted = *p == '"';
    if (!quoted && sink->type.width > 1) /* commas of an array that is not quoted are delimiters */
        return NULL;
    p = put_number(r, sink, p + quoted);
    return p == NULL || !quoted ? p : *p == '"' ? p + 1 : NULL;
}

/* A column that nobody wants: checked, thrown away. */
static const uint8_t *skip_field(const row_reader *r, const uint8_t *p)
{
    mr_sink *scratch = &r->decoder->scratch;
    scratch->text_size = 0;
    return *p == '"' ? copy_quoted(r, scratch, p + 1) : copy_run(r, scratch, p);
}

static inline const uint8_t *put_field(const row_reader *r, int32_t field, const uint8_t *p)
{
    if (field < 0)
        return skip_field(r, p);
    mr_sink *sink = &r->decoder->sinks[field];
    return sink->type.id == MR_STRING ? put_string(r, sink, p) : put_value(r, sink, p);
}

/* One row; NULL when it is not plain. */
static inline const uint8_t *put_row(const row_reader *r, const uint8_t *p)
{
    const mr_csv_state *csv = &r->decoder->csv;
    if (*p == '\n' || *p == '\r')
        return NULL;
    for (uint32_t i = 0;;) {
        p = put_field(r, csv->column_fields[i], p);
        if (p == NULL)
            return NULL;
        if (++i == csv->column_count)
            break;
        if (*p++ != r->delimiter)
            return NULL;
    }
    p += *p == '\r';
    if (*p != '\n')
        return NULL;
    for (uint32_t i = 0; i < csv->absent_count; i++)
        mr_sink_null(&r->decoder->sinks[csv->absent[i]], r->row);
    return p + 1;
}

void mr_csv_fast(mr_decoder *decoder)
{
    row_reader r = {decoder, decoder->row_count, (uint8_t)decoder->options.delimiter};
    const uint8_t *p = decoder->window + decoder->start, *end = decoder->window + decoder->end;
    size_t most = decoder->options.record_bytes_max;
    while (p < end && r.row < decoder->rows_max &&
           (size_t)(p - decoder->window) - decoder->batch_start < MR_BATCH_SPAN_MAX) {
        const uint8_t *next = put_row(&r, p);
        if (next == NULL || (size_t)(next - p) > most) {
            for (uint32_t i = 0; i < decoder->field_count; i++)
                mr_sink_undo(&decoder->sinks[i], r.row);
            break;
        }
        decoder->row_starts[r.row] = (size_t)(p - decoder->window);
        decoder->row_lines[r.row] = decoder->line++;
        r.row++;
        p = next;
    }
    decoder->row_count = r.row;
    decoder->start = (size_t)(p - decoder->window);
}
