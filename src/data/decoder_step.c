/* decoder_step.c -- the work of a decoder: record by record into the sinks or to the rejects, and batches made of
 * them.
 *
 * A record is tried by the fast path of its format, and where that stops, by the careful one, which takes it or makes
 * a mistake (see decoder_internal.h). A failed call leaves everything as it was. */
#include "data/decoder_internal.h"

#include "base/utf8.h"

#include <stdio.h>

/* ---- mistakes ---- */

bool mr_mistake_make(mr_decoder *decoder, const uint8_t *at, int field, const char *format, ...)
{
    mr_mistake *mistake = &decoder->mistake;
    if (mistake->at != NULL)
        return false;
    mistake->at = at;
    mistake->field = field;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(mistake->text, sizeof mistake->text, format, args);
    va_end(args);
    return false;
}

bool mr_mistake_memory(mr_decoder *decoder)
{
    decoder->mistake.out_of_memory = true;
    return mr_mistake_make(decoder, decoder->window + decoder->start, -1, "out of memory");
}

bool mr_mistake_value(mr_decoder *decoder, const uint8_t *at, int field, const void *value,
                      size_t size, const char *format, ...)
{
    const mr_field *wanted = &decoder->schema->fields[field];
    char shown[MR_MISTAKE_SHOWN_MAX * 4 + 8], type[32], rest[120];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(rest, sizeof rest, format, args);
    va_end(args);
    mr_utf8_quote(value, size, MR_MISTAKE_SHOWN_MAX, shown, 160);
    return mr_mistake_make(decoder, at, field, "%.100s: %s is no %s%s", wanted->name, shown,
                           mr_type_format(wanted->type, type), rest);
}

/* ---- rejects ---- */

static uint64_t count_lines(const uint8_t *from, const uint8_t *to)
{
    uint64_t lines = 0;
    for (const uint8_t *lf; from < to && (lf = memchr(from, '\n', (size_t)(to - from))) != NULL;
         from = lf + 1)
        lines++;
    return lines;
}

/* Line and column of a byte at or behind the record's start. */
static void place_of(const mr_decoder *decoder, const uint8_t *start, uint64_t start_line,
                     const uint8_t *at, uint64_t *out_line, uint64_t *out_column)
{
    const uint8_t *lf = memrchr(start, '\n', (size_t)(at - start));
    *out_line = start_line + count_lines(start, at);
    *out_column = (uint64_t)(at - (lf != NULL ? lf + 1 : start)) + 1;
    if (lf == NULL && start == decoder->window + decoder->start)
        *out_column += decoder->line_start;
    if (*out_line == 1) /* columns are bytes, and the mark's were some */
        *out_column += decoder->mark_bytes;
}

void mr_decoder_error_place(const mr_decoder *decoder, const mr_record *record, const uint8_t *at,
                            mr_error *err)
{
    uint64_t line, column;
    place_of(decoder, record->start, decoder->line, at, &line, &column);
    mr_error_place(err, decoder->name, line, column);
}

static mr_status add_reject(mr_decoder *decoder, const mr_record *record, bool continued,
                            mr_error *err)
{
    const mr_mistake *mistake = &decoder->mistake;
    mr_reject *reject = &decoder->rejects[decoder->reject_count];
    *reject = (mr_reject){
        .record_line = decoder->line,
        .record_offset = decoder->window_offset + decoder->start,
        .field = mistake->field >= 0 ? decoder->schema->fields[mistake->field].name : "",
        .reason = mr_arena_strdup(&decoder->reject_texts, mistake->text),
        .bytes = record->start,
        .size = (size_t)(record->end - record->start),
        .row_index = decoder->row_count,
        .continued = continued};
    if (reject->reason == NULL)
        return MR_OUT_OF_MEMORY(err);
    place_of(decoder, record->start, decoder->line, mistake->at, &reject->line, &reject->column);
    decoder->reject_count++;
    decoder->counts.rejected += !continued;
    return MR_OK;
}

static void undo_row(mr_decoder *decoder)
{
    for (uint32_t i = 0; i < decoder->field_count; i++)
        mr_sink_undo(&decoder->sinks[i], decoder->row_count);
}

static void take_row(mr_decoder *decoder)
{
    decoder->row_starts[decoder->row_count] = decoder->start;
    decoder->row_lines[decoder->row_count] = decoder->line;
    decoder->row_count++;
}

void mr_decoder_pass(mr_decoder *decoder, const mr_record *record)
{
    decoder->line += count_lines(record->start, record->next);
    decoder->start = (size_t)(record->next - decoder->window);
    decoder->scan = (mr_record_scan){0};
}

/* ---- one record, carefully ---- */

static mr_status take_record(mr_decoder *decoder, const mr_record *record, mr_error *err)
{
    mr_step step = decoder->kind->careful(decoder, record);
    if (step == MR_STEP_REJECT) {
        undo_row(decoder);
        if (decoder->mistake.out_of_memory)
            return MR_OUT_OF_MEMORY(err);
        MR_TRY(add_reject(decoder, record, false, err));
    }
    if (step == MR_STEP_ROW)
        take_row(decoder);
    mr_decoder_pass(decoder, record);
    return MR_OK;
}

/* A record that is too long goes to the rejects in pieces of record_bytes_max, wherever input was cut. */
static mr_status take_piece(mr_decoder *decoder, const mr_record *record, mr_error *err)
{
    bool continued = decoder->oversize;
    const uint8_t *at = record->start;
    if (!continued && decoder->scan.wrong == NULL && decoder->scan.quote_at > 0)
        at += decoder->scan.quote_at;
    bool nothing_left = continued && record->start == record->end;
    mr_mistake_make(decoder, at, -1,
                    continued ? "the record before goes on" : "the record is longer than %zu bytes",
                    decoder->options.record_bytes_max);
    if (!nothing_left)
        MR_TRY(add_reject(decoder, record, continued, err));
    mr_record_scan scan = decoder->scan;
    const uint8_t *lf = memrchr(record->start, '\n', (size_t)(record->end - record->start));
    decoder->line_start = lf != NULL ? (size_t)(record->end - lf) - 1
                                     : decoder->line_start + (size_t)(record->end - record->start);
    mr_decoder_pass(decoder, record);
    decoder->scan = scan;
    decoder->scan.at = 0;
    decoder->scan.quote_at = decoder->scan.wrong_at = 0;
    decoder->oversize = true;
    return MR_OK;
}

/* Decides about the next record; *out_wait when it is not all there. */
static mr_status next_record(mr_decoder *decoder, bool *out_wait, mr_error *err)
{
    size_t left = decoder->end - decoder->start, most = decoder->options.record_bytes_max;
    const uint8_t *start = decoder->window + decoder->start;
    mr_record record = {.start = start};
    decoder->mistake.at = NULL;
    decoder->mistake.out_of_memory = false;
    *out_wait = left == 0;
    if (left == 0)
        return MR_OK;
    bool whole = decoder->kind->frame(decoder, start + MR_MIN(left, most),
                                      decoder->finished && left <= most, &record);
    if (!whole) {
        *out_wait = left <= most; /* at the limit the next byte, or the end, decides */
        record.end = record.next = start + most;
        return *out_wait ? MR_OK : take_piece(decoder, &record, err);
    }
    if (!decoder->oversize)
        return take_record(decoder, &record, err);
    MR_TRY(take_piece(decoder, &record, err));
    decoder->scan = (mr_record_scan){0};
    decoder->oversize = false;
    decoder->line_start = 0;
    return MR_OK;
}

/* ---- batches ---- */

static mr_status make_batch(mr_decoder *decoder, mr_batch **out, mr_error *err)
{
    mr_column *columns = mr_alloc_zero(decoder->field_count, sizeof *columns);
    mr_status status = columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < decoder->field_count; i++)
        status = mr_sink_finish(&decoder->sinks[i], decoder->row_count, &columns[i], err);
    if (status == MR_OK)
        status = mr_batch_create(decoder->schema, decoder->row_count, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < decoder->field_count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    return status;
}

/* The byte order mark and whatever the format has before its records. */
static mr_status begin(mr_decoder *decoder, bool *out_wait, mr_error *err)
{
    size_t left = decoder->end - decoder->start;
    const uint8_t *bytes = decoder->window + decoder->start;
    *out_wait = false;
    if (!decoder->begun) {
        static const uint8_t mark[3] = {0xef, 0xbb, 0xbf};
        if (left < 3 && !decoder->finished && memcmp(bytes, mark, left) == 0) {
            *out_wait = true;
            return MR_OK;
        }
        decoder->mark_bytes = left >= 3 && memcmp(bytes, mark, 3) == 0 ? 3 : 0;
        decoder->start += decoder->mark_bytes;
        decoder->begun = true;
    }
    size_t before = decoder->start;
    mr_status status = decoder->kind->begin(decoder, out_wait, &decoder->refusal);
    decoder->counts.bytes += decoder->start - before;
    if (status == MR_INVALID)
        decoder->refused = status;
    if (status != MR_OK && err != NULL)
        *err = decoder->refusal;
    return status;
}

static bool may_go_on(const mr_decoder *decoder)
{
    return decoder->row_count < decoder->rows_max &&
           decoder->reject_count < decoder->options.rejects_max &&
           decoder->start - decoder->batch_start < MR_BATCH_SPAN_MAX;
}

static mr_status fill(mr_decoder *decoder, mr_error *err)
{
    bool wait = false;
    decoder->batch_start = decoder->start;
    while (!wait && may_go_on(decoder)) {
        if (!decoder->options.portable && !decoder->oversize && decoder->scan.at == 0)
            decoder->kind->fast(decoder);
        if (may_go_on(decoder))
            MR_TRY(next_record(decoder, &wait, err));
    }
    return MR_OK;
}

static mr_status refuse(const mr_decoder *decoder, mr_error *err)
{
    if (err != NULL)
        *err = decoder->refusal;
    return decoder->refused;
}

/* What a failed call must leave as it was. */
typedef struct snapshot {
    size_t start;
    uint64_t line;
    mr_decoder_counts counts;
    mr_record_scan scan;
    size_t line_start;
    bool oversize;
} snapshot;

static void restore(mr_decoder *decoder, const snapshot *before)
{
    decoder->start = before->start;
    decoder->line = before->line;
    decoder->counts = before->counts;
    decoder->scan = before->scan;
    decoder->line_start = before->line_start;
    decoder->oversize = before->oversize;
    mr_decoder_forget_batch(decoder);
}

static mr_status fill_and_make(mr_decoder *decoder, mr_batch **out, mr_error *err)
{
    snapshot before = {decoder->start, decoder->line,       decoder->counts,
                       decoder->scan,  decoder->line_start, decoder->oversize};
    mr_status status = fill(decoder, err);
    decoder->full = !may_go_on(decoder);
    if (status == MR_OK && decoder->row_count > 0)
        status = make_batch(decoder, out, err);
    if (status == MR_OK && *out != NULL && decoder->options.check != NULL)
        status = mr_decoder_apply_check(decoder, out, err);
    if (status != MR_OK) {
        mr_batch_release(*out);
        *out = NULL;
        restore(decoder, &before);
        return status;
    }
    decoder->counts.accepted += decoder->row_count;
    decoder->counts.records = decoder->counts.accepted + decoder->counts.rejected;
    decoder->counts.bytes += decoder->start - before.start;
    return MR_OK;
}

mr_status mr_decoder_next_batch(mr_decoder *decoder, mr_batch **out, mr_error *err)
{
    bool wait;
    *out = NULL;
    if (decoder->refused != MR_OK)
        return refuse(decoder, err);
    mr_decoder_forget_batch(decoder);
    mr_arena_reset(&decoder->reject_texts);
    for (uint32_t i = 0; i < decoder->field_count; i++)
        mr_sink_reset(&decoder->sinks[i], decoder->rows_max);
    mr_status status = begin(decoder, &wait, err);
    if (status != MR_OK || wait)
        return status;
    return fill_and_make(decoder, out, err);
}

/* ---- questions about what was decoded ---- */

bool mr_decoder_has_more(const mr_decoder *decoder)
{
    return decoder->refused == MR_OK && decoder->full && decoder->start < decoder->end;
}

void mr_decoder_place(mr_decoder *decoder, uint32_t row, int field, mr_row_place *out)
{
    MR_ASSERT(row < decoder->row_count && field < (int)decoder->field_count);
    size_t start = decoder->row_starts[row];
    mr_record_scan kept = decoder->scan;
    size_t kept_start = decoder->start;
    decoder->scan = (mr_record_scan){0};
    decoder->start = start;
    mr_record record = {.start = decoder->window + start};
    bool whole = decoder->kind->frame(decoder, decoder->window + decoder->end, true, &record);
    MR_ASSERT(whole);
    const uint8_t *at = field >= 0 ? decoder->kind->locate(decoder, &record, field) : record.start;
    decoder->scan = kept;
    decoder->start = kept_start;
    *out = (mr_row_place){.record_line = decoder->row_lines[row],
                          .record_offset = decoder->window_offset + start,
                          .bytes = record.start,
                          .size = (size_t)(record.end - record.start)};
    place_of(decoder, record.start, out->record_line, at, &out->line, &out->column);
}
