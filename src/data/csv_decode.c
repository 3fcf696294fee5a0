/* csv_decode.c -- CSV with care: headers, where records end, and why they are rejected.
 *
 *   FIELD --other--> PLAIN --,--> FIELD        PLAIN: '"' is a mistake; CR must be followed by LF
 *     |                |
 *     "              CR, LF --> end
 *     v
 *   QUOTED --"--> CLOSED --"--> QUOTED ; --,--> FIELD ; --CR, LF--> end ; anything else is a mistake
 *
 * (1) After a mistake the record reaches to the next LF, whatever quotes follow (BROKEN).
 * (2) The search for the end goes on where it stopped when more input comes: every byte is looked at once. */
#include "data/decoder_internal.h"

#include "base/utf8.h"

enum { FIELD, PLAIN, AFTER_CR, QUOTED, CLOSED, BROKEN };

/* ---- where a record ends ---- */

/* The next byte that means something outside quotes, or `limit`. */
static const uint8_t *find_special(const uint8_t *p, const uint8_t *limit, uint8_t delimiter)
{
    while (p < limit && *p != delimiter && *p != '\n' && *p != '\r' && *p != '"')
        p++;
    return p;
}

static int break_at(mr_record_scan *scan, const uint8_t *base, const uint8_t *at, const char *wrong)
{
    scan->wrong = wrong;
    scan->wrong_at = (size_t)(at - base);
    return BROKEN;
}

/* The state behind the byte at `p` that stands outside quotes; -1: the record ended there. */
static int step_outside(mr_record_scan *scan, const uint8_t *base, const uint8_t *p,
                        uint8_t delimiter, bool closed)
{
    if (*p == delimiter)
        return FIELD;
    if (*p == '\n')
        return -1;
    if (*p == '\r')
        return AFTER_CR;
    return break_at(
        scan, base, p,
        closed ? "text behind a closing quote; a delimiter or the end of the line is wanted"
               : "a quote inside a field that does not start with one; quote the whole field "
                 "and double the quote");
}

static bool end_record(mr_record *out, const uint8_t *end, const uint8_t *next)
{
    out->end = end;
    out->next = next;
    return true;
}

/* The end of the input stands for the end of a line. */
static bool end_of_input(mr_record_scan *scan, const uint8_t *base, const uint8_t *limit,
                         mr_record *out)
{
    bool lf = limit > base && limit[-1] == '\n';
    if (scan->state == QUOTED) {
        scan->wrong = "the quote that opens here is never closed";
        scan->wrong_at = scan->quote_at;
    }
    bool cut = scan->state == AFTER_CR || (lf && scan->state == QUOTED);
    return end_record(out, limit - cut, limit);
}

static bool csv_frame(mr_decoder *decoder, const uint8_t *limit, bool final, mr_record *out)
{
    mr_record_scan *scan = &decoder->scan;
    const uint8_t *base = out->start, *p = base + scan->at, *cr;
    uint8_t delimiter = (uint8_t)decoder->options.delimiter;
    while (p < limit) {
        switch (scan->state) {
        case FIELD:
            scan->state = *p == '"' ? QUOTED : PLAIN;
            scan->quote_at = (size_t)(p - base);
            p += *p == '"';
            break;
        case PLAIN:
            p = find_special(p, limit, delimiter);
            if (p < limit) {
                scan->state = step_outside(scan, base, p++, delimiter, false);
                if (scan->state < 0)
                    return end_record(out, p - 1, p);
            }
            break;
        case AFTER_CR: /* at `base` the CR went with the piece before */
            cr = p - (p > base);
            if (*p == '\n')
                return end_record(out, cr, p + 1);
            scan->state = break_at(scan, base, cr, "a lone CR; rows end with LF or CR LF");
            break;
        case QUOTED:
            p = memchr(p, '"', (size_t)(limit - p));
            scan->state = p != NULL ? CLOSED : QUOTED;
            p = p != NULL ? p + 1 : limit;
            break;
        case CLOSED:
            scan->state = *p == '"' ? QUOTED : step_outside(scan, base, p, delimiter, true);
            p++;
            if (scan->state < 0)
                return end_record(out, p - 1, p);
            break;
        default: /* BROKEN */
            p = memchr(p, '\n', (size_t)(limit - p));
            if (p != NULL)
                return end_record(out, p - (p > base && p[-1] == '\r'), p + 1);
            p = limit;
        }
    }
    scan->at = (size_t)(p - base);
    return final && end_of_input(scan, base, limit, out);
}

/* ---- fields of a record ---- */

/* One field of a record without mistakes; returns its end (a delimiter or `end`). */
static const uint8_t *take_field(const uint8_t *p, const uint8_t *end, uint8_t delimiter,
                                 mr_csv_field *out)
{
    *out = (mr_csv_field){.start = p, .quoted = p < end && *p == '"'};
    if (!out->quoted) {
        const uint8_t *stop = memchr(p, delimiter, (size_t)(end - p));
        return out->end = stop != NULL ? stop : end;
    }
    for (p++;; p += 2) {
        p = memchr(p, '"', (size_t)(end - p));
        if (p + 1 >= end || p[1] != '"')
            break;
        out->escaped = true;
    }
    return out->end = p + 1;
}

/* Splits into at most `room` fields; returns how many there are in all. *out_extra: the first beyond `room`. */
static size_t split(const mr_record *record, uint8_t delimiter, mr_csv_field *fields, size_t room,
                    const uint8_t **out_extra)
{
    size_t count = 0;
    mr_csv_field spare;
    for (const uint8_t *p = record->start;; p++) {
        if (count == room)
            *out_extra = p;
        p = take_field(p, record->end, delimiter, count < room ? &fields[count] : &spare);
        count++;
        if (p == record->end)
            return count;
    }
}

/* The field without its quotes; unescaped into the scratch when it must be. False: no memory. */
static bool field_text(mr_decoder *decoder, const mr_csv_field *field, const char **out,
                       size_t *out_size)
{
    const uint8_t *p = field->start + field->quoted, *end = field->end - field->quoted;
    *out = (const char *)p;
    *out_size = (size_t)(end - p);
    if (!field->escaped)
        return true;
    mr_sink *scratch = &decoder->scratch;
    scratch->text_size = 0;
    while (p < end) {
        const uint8_t *quote = memchr(p, '"', (size_t)(end - p));
        size_t piece = quote != NULL ? (size_t)(quote - p) + 1 : (size_t)(end - p);
        if (!mr_sink_append(scratch, p, piece))
            return false;
        p += piece + (quote != NULL);
    }
    *out = (const char *)scratch->values;
    *out_size = scratch->text_size;
    return true;
}

static bool put_field(mr_decoder *decoder, int index, const mr_csv_field *field)
{
    const mr_sink *sink = &decoder->sinks[index];
    const char *text;
    size_t size;
    if (!field_text(decoder, field, &text, &size))
        return mr_mistake_memory(decoder);
    bool is_text = mr_type_is_text(sink->type.id);
    if (size == 0 && sink->nullable && !(is_text && field->quoted)) {
        mr_sink_null(&decoder->sinks[index], decoder->row_count);
        return true;
    }
    return mr_value_put(decoder, index, text, size, field->start);
}

/* NULL for the fields that have no column in the file. */
static void put_absent(mr_decoder *decoder)
{
    for (uint32_t i = 0; i < decoder->csv.absent_count; i++)
        mr_sink_null(&decoder->sinks[decoder->csv.absent[i]], decoder->row_count);
}

static bool check_count(mr_decoder *decoder, const mr_record *record, size_t count,
                        const uint8_t *extra)
{
    size_t wanted = decoder->csv.column_count;
    if (count < wanted)
        return mr_mistake_make(decoder, record->end, -1, "the row has %zu field%s, %zu are wanted",
                               count, count == 1 ? "" : "s", wanted);
    return count == wanted ||
           mr_mistake_make(decoder, extra, -1, "the row has %zu fields, %zu are wanted", count,
                           wanted);
}

/* NUL and bytes that are not UTF-8, and what framing found: whichever comes first. */
static bool check_bytes(mr_decoder *decoder, const mr_record *record)
{
    size_t size = (size_t)(record->end - record->start);
    const uint8_t *nul = memchr(record->start, '\0', size);
    const uint8_t *bad = record->start + mr_utf8_valid_prefix(record->start, size);
    const uint8_t *wrong =
        decoder->scan.wrong != NULL ? record->start + decoder->scan.wrong_at : record->end;
    if (nul != NULL && nul < bad && nul < wrong)
        return mr_mistake_make(decoder, nul, -1, "a NUL byte");
    if (bad < wrong)
        return mr_mistake_make(decoder, bad, -1, "byte 0x%02X is not UTF-8 here", *bad);
    return decoder->scan.wrong == NULL ||
           mr_mistake_make(decoder, wrong, -1, "%s", decoder->scan.wrong);
}

static bool put_row(mr_decoder *decoder, const mr_record *record)
{
    mr_csv_state *csv = &decoder->csv;
    const uint8_t *extra = NULL;
    if (!check_bytes(decoder, record))
        return false;
    size_t count =
        split(record, (uint8_t)decoder->options.delimiter, csv->fields, csv->column_count, &extra);
    if (!check_count(decoder, record, count, extra))
        return false;
    for (uint32_t i = 0; i < csv->column_count; i++)
        if (csv->column_fields[i] >= 0 &&
            !put_field(decoder, csv->column_fields[i], &csv->fields[i]))
            return false;
    put_absent(decoder);
    return true;
}

static mr_step csv_careful(mr_decoder *decoder, const mr_record *record)
{
    if (record->start == record->end && decoder->csv.column_count > 1)
        return MR_STEP_BLANK;
    return put_row(decoder, record) ? MR_STEP_ROW : MR_STEP_REJECT;
}

static const uint8_t *csv_locate(mr_decoder *decoder, const mr_record *record, int field)
{
    const mr_csv_state *csv = &decoder->csv;
    const uint8_t *extra = NULL;
    (void)split(record, (uint8_t)decoder->options.delimiter, csv->fields, csv->column_count,
                &extra);
    for (uint32_t i = 0; i < csv->column_count; i++)
        if (csv->column_fields[i] == field)
            return csv->fields[i].start;
    return record->end;
}

/* ---- the header ---- */

static mr_status refuse_at(mr_decoder *decoder, const mr_record *record, const uint8_t *at,
                           mr_error *err, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static mr_status refuse_at(mr_decoder *decoder, const mr_record *record, const uint8_t *at,
                           mr_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mr_error_setv(err, MR_INVALID, format, args);
    va_end(args);
    mr_decoder_error_place(decoder, record, at, err);
    return MR_INVALID;
}

static mr_status alloc_columns(mr_decoder *decoder, size_t count, mr_error *err)
{
    mr_csv_state *csv = &decoder->csv;
    csv->column_count = (uint32_t)count;
    csv->column_fields = mr_alloc_zero(count, sizeof *csv->column_fields);
    csv->fields = mr_alloc_zero(count, sizeof *csv->fields);
    csv->ignored = mr_alloc_zero(count, sizeof *csv->ignored);
    csv->absent = mr_alloc_zero(decoder->field_count, sizeof *csv->absent);
    return csv->column_fields != NULL && csv->fields != NULL && csv->ignored != NULL &&
                   csv->absent != NULL
               ? MR_OK
               : MR_OUT_OF_MEMORY(err);
}

static void free_columns(mr_csv_state *csv)
{
    for (size_t i = 0; i < csv->ignored_count; i++)
        mr_free(csv->ignored[i]);
    mr_free(csv->ignored);
    mr_free(csv->column_fields);
    mr_free(csv->fields);
    mr_free(csv->absent);
    *csv = (mr_csv_state){0};
}

/* Fields of the schema that no column fills must be nullable, and all may be asked for. */
static mr_status find_absent(mr_decoder *decoder, const mr_record *record, mr_error *err)
{
    mr_csv_state *csv = &decoder->csv;
    for (uint32_t f = 0; f < decoder->field_count; f++) {
        bool found = false;
        for (uint32_t i = 0; i < csv->column_count && !found; i++)
            found = csv->column_fields[i] == (int32_t)f;
        bool must = decoder->options.columns_required || !decoder->sinks[f].nullable;
        if (!found && must)
            return refuse_at(
                decoder, record, record->end, err,
                "the header has %u columns, and none for field %s, which may not be %s",
                csv->column_count, decoder->sinks[f].name,
                decoder->sinks[f].nullable ? "left out" : "NULL");
        if (!found)
            csv->absent[csv->absent_count++] = f;
    }
    return MR_OK;
}

static mr_status note_ignored(mr_csv_state *csv, const char *name, size_t size, mr_error *err)
{
    char *copy = mr_alloc(size + 1);
    if (copy == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(copy, name, size);
    copy[size] = '\0';
    csv->ignored[csv->ignored_count++] = copy;
    return MR_OK;
}

/* Byte strings are compared as they stand; the one before with the same name, or NULL. */
static const mr_csv_field *find_double(const mr_decoder *decoder, uint32_t column)
{
    const mr_csv_field *fields = decoder->csv.fields, *field = &fields[column];
    const uint8_t *text = field->start + field->quoted;
    size_t size = (size_t)(field->end - field->quoted - text);
    for (uint32_t i = 0; i < column; i++) {
        const uint8_t *other = fields[i].start + fields[i].quoted;
        if ((size_t)(fields[i].end - fields[i].quoted - other) == size &&
            memcmp(other, text, size) == 0)
            return &fields[i];
        if (decoder->csv.column_fields[i] >= 0 &&
            decoder->csv.column_fields[i] == decoder->csv.column_fields[column])
            return &fields[i];
    }
    return NULL;
}

static mr_status read_name(mr_decoder *decoder, const mr_record *record, uint32_t column,
                           mr_error *err)
{
    mr_csv_state *csv = &decoder->csv;
    const char *name;
    size_t size;
    if (!field_text(decoder, &csv->fields[column], &name, &size))
        return MR_OUT_OF_MEMORY(err);
    csv->column_fields[column] = mr_decoder_find_field(decoder, name, size);
    const mr_csv_field *other = find_double(decoder, column);
    if (other != NULL) {
        char shown[200];
        return refuse_at(
            decoder, record, csv->fields[column].start, err,
            "column %s stands in the header twice, at column %zu as well",
            mr_utf8_quote((const uint8_t *)name, size, MR_MISTAKE_SHOWN_MAX, shown, sizeof shown),
            (size_t)(other->start - record->start) + 1 + decoder->mark_bytes);
    }
    return csv->column_fields[column] >= 0 ? MR_OK : note_ignored(csv, name, size, err);
}

static mr_status read_header(mr_decoder *decoder, const mr_record *record, mr_error *err)
{
    if (!check_bytes(decoder, record))
        return refuse_at(decoder, record, decoder->mistake.at, err, "the header: %s",
                         decoder->mistake.text);
    const uint8_t *extra = NULL;
    uint8_t delimiter = (uint8_t)decoder->options.delimiter;
    size_t count = split(record, delimiter, NULL, 0, &extra);
    if (count > MR_CSV_COLUMNS_MAX)
        return refuse_at(decoder, record, record->start, err,
                         "the header has %zu columns; %d is the limit", count, MR_CSV_COLUMNS_MAX);
    MR_TRY(alloc_columns(decoder, count, err));
    (void)split(record, delimiter, decoder->csv.fields, count, &extra);
    for (uint32_t i = 0; i < count; i++)
        MR_TRY(read_name(decoder, record, i, err));
    return find_absent(decoder, record, err);
}

static mr_status columns_by_position(mr_decoder *decoder, mr_error *err)
{
    MR_TRY(alloc_columns(decoder, decoder->field_count, err));
    for (uint32_t i = 0; i < decoder->field_count; i++)
        decoder->csv.column_fields[i] = (int32_t)i;
    decoder->csv.header_done = true;
    return MR_OK;
}

/* The header is the first line that is not empty. */
static mr_status frame_header(mr_decoder *decoder, mr_record *out, bool *out_wait, mr_error *err)
{
    for (;;) {
        size_t left = decoder->end - decoder->start, most = decoder->options.record_bytes_max;
        *out = (mr_record){.start = decoder->window + decoder->start};
        out->end = out->start;
        if (left == 0 && decoder->finished)
            return refuse_at(decoder, out, out->start, err,
                             "there is no header; the input is empty");
        *out_wait = left == 0 || !csv_frame(decoder, out->start + MR_MIN(left, most),
                                            decoder->finished && left <= most, out);
        if (*out_wait && left > most)
            return refuse_at(decoder, out, out->start, err, "the header is longer than %zu bytes",
                             most);
        if (*out_wait || out->end > out->start)
            return MR_OK;
        mr_decoder_pass(decoder, out);
    }
}

static mr_status csv_begin(mr_decoder *decoder, bool *out_wait, mr_error *err)
{
    mr_record record;
    if (decoder->csv.header_done)
        return MR_OK;
    if (decoder->options.no_header)
        return columns_by_position(decoder, err);
    MR_TRY(frame_header(decoder, &record, out_wait, err));
    if (*out_wait)
        return MR_OK;
    decoder->mistake.at = NULL;
    mr_status status = read_header(decoder, &record, err);
    if (status != MR_OK) {
        free_columns(&decoder->csv);
        decoder->scan = (mr_record_scan){0};
        return status;
    }
    decoder->csv.header_done = true;
    mr_decoder_pass(decoder, &record);
    return MR_OK;
}

static mr_status csv_open(mr_decoder *decoder, mr_error *err)
{
    (void)decoder;
    (void)err;
    return MR_OK;
}

static void csv_close(mr_decoder *decoder)
{
    free_columns(&decoder->csv);
}

const mr_decoder_kind mr_decoder_csv = {
    .name = "csv",
    .open = csv_open,
    .close = csv_close,
    .begin = csv_begin,
    .restart = csv_close,
    .fast = mr_csv_fast,
    .frame = csv_frame,
    .careful = csv_careful,
    .locate = csv_locate,
};
