/* decoder.c -- the life of a decoder: the window of text, the batch being filled, rejects and places.
 *
 * A record is tried by the fast path of its format, and where that stops, by the careful one, which takes it or makes
 * a mistake (see decoder_internal.h). Thread: one at a time. */
#include "data/decoder_internal.h"

#include "base/utf8.h"

#include <stdio.h>

static const mr_decoder_kind *const kinds[MR_FORMAT_COUNT] = {
    [MR_FORMAT_CSV] = &mr_decoder_csv, [MR_FORMAT_JSONL] = &mr_decoder_jsonl};

/* ---- formats by name ---- */

typedef struct format_name {
    const char *name;
    mr_text_format format;
} format_name;

static const format_name format_names[] = {{"csv", MR_FORMAT_CSV},
                                           {"tsv", MR_FORMAT_CSV},
                                           {"jsonl", MR_FORMAT_JSONL},
                                           {"json", MR_FORMAT_JSONL},
                                           {"ndjson", MR_FORMAT_JSONL}};

bool mr_text_format_parse(const char *text, size_t size, mr_text_format *out)
{
    for (size_t i = 0; i < MR_COUNT_OF(format_names); i++)
        if (strlen(format_names[i].name) == size && memcmp(format_names[i].name, text, size) == 0) {
            *out = format_names[i].format;
            return true;
        }
    return false;
}

static bool ends_with(const char *text, size_t size, const char *end)
{
    size_t end_size = strlen(end);
    return size > end_size && memcmp(text + size - end_size, end, end_size) == 0;
}

bool mr_text_format_of_path(const char *path, mr_text_format *out)
{
    size_t size = strlen(path);
    size -= ends_with(path, size, ".zst") ? 4 : ends_with(path, size, ".gz") ? 3 : 0;
    size_t dot = size;
    while (dot > 0 && path[dot - 1] != '.' && path[dot - 1] != '/')
        dot--;
    return dot > 0 && path[dot - 1] == '.' && mr_text_format_parse(path + dot, size - dot, out);
}

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

int mr_decoder_find_field(const mr_decoder *decoder, const char *name, size_t size)
{
    for (size_t i = 0; i < decoder->options.rename_count; i++) {
        const mr_rename *rename = &decoder->options.renames[i];
        if (strlen(rename->column) == size && memcmp(rename->column, name, size) == 0)
            return mr_schema_find(decoder->schema, rename->field);
    }
    int field = mr_schema_find_n(decoder->schema, name, size);
    for (size_t i = 0; field >= 0 && i < decoder->options.rename_count; i++)
        if (strcmp(decoder->options.renames[i].field, decoder->schema->fields[field].name) == 0)
            return -1; /* it goes by another name in the file */
    return field;
}

/* ---- opening ---- */

static void set_defaults(mr_decoder_options *o)
{
    o->delimiter = o->delimiter != '\0' ? o->delimiter : ',';
    o->batch_rows_max = o->batch_rows_max > 0 ? o->batch_rows_max : 4096;
    o->batch_bytes_max = o->batch_bytes_max > 0 ? o->batch_bytes_max : (size_t)64 << 20;
    o->window_bytes = o->window_bytes > 0 ? o->window_bytes : (size_t)1 << 20;
    o->field_bytes_max = o->field_bytes_max > 0 ? o->field_bytes_max : (size_t)16 << 20;
    o->record_bytes_max = o->record_bytes_max > 0 ? o->record_bytes_max : (size_t)64 << 20;
    o->record_bytes_max = MR_MIN(o->record_bytes_max, MR_BATCH_SPAN_MAX);
    o->rejects_max = o->rejects_max > 0 ? o->rejects_max : 1024;
}

static mr_status check_options(const mr_decoder_options *o, mr_error *err)
{
    /* A delimiter must not occur in numbers, times, base64 or arrays, or end or quote a field. */
    if (o->format == MR_FORMAT_CSV && strchr(",;|\t~^#!&*%$_", o->delimiter) == NULL)
        return MR_FAIL(err, MR_INVALID,
                       "the delimiter is byte %d; , ; | ~ ^ # ! & * %% $ _ and tab are possible",
                       o->delimiter);
    for (size_t i = 0; i < o->rename_count; i++)
        if (mr_schema_find(o->schema, o->renames[i].field) < 0)
            return MR_FAIL(err, MR_INVALID,
                           "column %s is to become field %s, which the schema does not have",
                           o->renames[i].column, o->renames[i].field);
    return MR_OK;
}

/* Rows of one batch, so that its fixed-size columns stay below batch_bytes_max. */
static uint32_t rows_that_fit(const mr_decoder_options *o)
{
    size_t row_bytes = 1;
    for (uint32_t i = 0; i < o->schema->field_count; i++)
        row_bytes += MR_MAX(mr_type_bytes(o->schema->fields[i].type), sizeof(int32_t));
    size_t rows = MR_MAX(o->batch_bytes_max / row_bytes, 1);
    return (uint32_t)MR_MIN(MR_MIN(rows, o->batch_rows_max), MR_BATCH_ROWS_MAX);
}

static mr_status copy_renames(mr_decoder *decoder, mr_error *err)
{
    size_t count = decoder->options.rename_count;
    mr_rename *copies = MR_ARENA_ARRAY(&decoder->kept, mr_rename, count + 1);
    bool ok = copies != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        copies[i].column = mr_arena_strdup(&decoder->kept, decoder->options.renames[i].column);
        copies[i].field = mr_arena_strdup(&decoder->kept, decoder->options.renames[i].field);
        ok = copies[i].column != NULL && copies[i].field != NULL;
    }
    decoder->options.renames = copies;
    return ok ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static mr_status open_columns(mr_decoder *decoder, mr_error *err)
{
    uint32_t rows = decoder->rows_max = rows_that_fit(&decoder->options);
    decoder->sinks = mr_alloc_zero(decoder->field_count, sizeof *decoder->sinks);
    decoder->row_starts = mr_alloc(rows * sizeof *decoder->row_starts);
    decoder->row_lines = mr_alloc(rows * sizeof *decoder->row_lines);
    decoder->rejects = mr_alloc_zero(decoder->options.rejects_max, sizeof *decoder->rejects);
    if (decoder->sinks == NULL || decoder->row_starts == NULL || decoder->row_lines == NULL ||
        decoder->rejects == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < decoder->field_count; i++)
        MR_TRY(mr_sink_init(&decoder->sinks[i], &decoder->schema->fields[i], rows, err));
    return mr_sink_grow(&decoder->scratch, 0) ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static mr_status open_window(mr_decoder *decoder, mr_error *err)
{
    decoder->window_capacity = decoder->options.window_bytes;
    decoder->window = mr_alloc(decoder->window_capacity + MR_WINDOW_PAD);
    if (decoder->window == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(decoder->window, 0, MR_WINDOW_PAD);
    return MR_OK;
}

static mr_status set_name(mr_decoder *decoder, const char *name, mr_error *err)
{
    char *copy = mr_strdup(name != NULL ? name : "input");
    if (copy == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_free(decoder->name);
    decoder->name = copy;
    return MR_OK;
}

mr_status mr_decoder_open(const mr_decoder_options *options, mr_decoder **out, mr_error *err)
{
    *out = NULL;
    mr_decoder *decoder = MR_NEW(mr_decoder);
    if (decoder == NULL)
        return MR_OUT_OF_MEMORY(err);
    decoder->options = *options;
    decoder->schema = mr_schema_retain(options->schema);
    decoder->field_count = options->schema->field_count;
    decoder->kind = kinds[options->format];
    decoder->line = 1;
    set_defaults(&decoder->options);
    mr_status status = check_options(&decoder->options, err);
    if (status == MR_OK)
        status = set_name(decoder, options->name, err);
    if (status == MR_OK)
        status = copy_renames(decoder, err);
    if (status == MR_OK)
        status = open_columns(decoder, err);
    if (status == MR_OK)
        status = open_window(decoder, err);
    if (status == MR_OK)
        status = decoder->kind->open(decoder, err);
    if (status != MR_OK)
        mr_decoder_close(decoder);
    else
        *out = decoder;
    return status;
}

void mr_decoder_close(mr_decoder *decoder)
{
    if (decoder == NULL)
        return;
    decoder->kind->close(decoder);
    for (uint32_t i = 0; decoder->sinks != NULL && i < decoder->field_count; i++)
        mr_sink_deinit(&decoder->sinks[i]);
    mr_sink_deinit(&decoder->scratch);
    mr_free(decoder->sinks);
    mr_free(decoder->row_starts);
    mr_free(decoder->row_lines);
    mr_free(decoder->rejects);
    mr_free(decoder->window);
    mr_free(decoder->name);
    mr_arena_deinit(&decoder->reject_texts);
    mr_arena_deinit(&decoder->kept);
    mr_schema_release(decoder->schema);
    mr_free(decoder);
}

/* ---- the window ---- */

/* Rows and rejects of the last batch point into the window: they end when it moves. */
static void forget_batch(mr_decoder *decoder)
{
    decoder->reject_count = 0;
    decoder->row_count = 0;
}

static mr_status make_room(mr_decoder *decoder, size_t wanted, mr_error *err)
{
    forget_batch(decoder);
    if (decoder->start > 0) {
        memmove(decoder->window, decoder->window + decoder->start, decoder->end - decoder->start);
        decoder->window_offset += decoder->start;
        decoder->end -= decoder->start;
        decoder->start = 0;
    }
    if (decoder->window_capacity - decoder->end >= wanted)
        return MR_OK;
    size_t capacity = MR_MAX(decoder->window_capacity * 2, decoder->end + wanted);
    uint8_t *grown = mr_realloc(decoder->window, capacity + MR_WINDOW_PAD);
    if (grown == NULL)
        return MR_OUT_OF_MEMORY(err);
    decoder->window = grown;
    decoder->window_capacity = capacity;
    return MR_OK;
}

mr_status mr_decoder_room(mr_decoder *decoder, uint8_t **out, size_t *out_room, mr_error *err)
{
    MR_TRY(make_room(decoder, 1, err));
    *out = decoder->window + decoder->end;
    *out_room = decoder->window_capacity - decoder->end;
    return MR_OK;
}

void mr_decoder_fed(mr_decoder *decoder, size_t size)
{
    MR_ASSERT(size <= decoder->window_capacity - decoder->end && !decoder->finished);
    decoder->end += size;
    memset(decoder->window + decoder->end, 0, MR_WINDOW_PAD);
}

mr_status mr_decoder_feed(mr_decoder *decoder, const void *bytes, size_t size, mr_error *err)
{
    MR_TRY(make_room(decoder, size, err));
    if (size > 0)
        memcpy(decoder->window + decoder->end, bytes, size);
    mr_decoder_fed(decoder, size);
    return MR_OK;
}

void mr_decoder_finish(mr_decoder *decoder)
{
    decoder->finished = true;
}

static void drop_window(mr_decoder *decoder)
{
    forget_batch(decoder);
    decoder->start = decoder->end = 0;
    memset(decoder->window, 0, MR_WINDOW_PAD);
    decoder->scan = (mr_record_scan){0};
    decoder->oversize = false;
    decoder->line_start = 0;
    decoder->finished = false;
}

void mr_decoder_resume(mr_decoder *decoder, uint64_t offset, uint64_t line)
{
    drop_window(decoder);
    decoder->window_offset = offset;
    decoder->line = line;
    decoder->begun = decoder->begun || offset > 0;
}

mr_status mr_decoder_restart(mr_decoder *decoder, const char *name, mr_error *err)
{
    MR_TRY(set_name(decoder, name, err));
    drop_window(decoder);
    decoder->window_offset = 0;
    decoder->line = 1;
    decoder->begun = false;
    decoder->refused = MR_OK;
    decoder->kind->restart(decoder);
    return MR_OK;
}

void mr_decoder_position(const mr_decoder *decoder, uint64_t *out_offset, uint64_t *out_line)
{
    *out_offset = decoder->window_offset + decoder->start;
    *out_line = decoder->line;
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
        *out_wait = left < most;
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
    forget_batch(decoder);
}

static mr_status fill_and_make(mr_decoder *decoder, mr_batch **out, mr_error *err)
{
    snapshot before = {decoder->start, decoder->line,       decoder->counts,
                       decoder->scan,  decoder->line_start, decoder->oversize};
    mr_status status = fill(decoder, err);
    if (status == MR_OK && decoder->row_count > 0)
        status = make_batch(decoder, out, err);
    if (status != MR_OK) {
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
    forget_batch(decoder);
    mr_arena_reset(&decoder->reject_texts);
    for (uint32_t i = 0; i < decoder->field_count; i++)
        mr_sink_reset(&decoder->sinks[i], decoder->rows_max);
    mr_status status = begin(decoder, &wait, err);
    if (status != MR_OK || wait)
        return status;
    return fill_and_make(decoder, out, err);
}

/* ---- questions ---- */

const mr_reject *mr_decoder_rejects(const mr_decoder *decoder, size_t *out_count)
{
    *out_count = decoder->reject_count;
    return decoder->rejects;
}

bool mr_decoder_has_more(const mr_decoder *decoder)
{
    return decoder->refused == MR_OK && !may_go_on(decoder) && decoder->start < decoder->end;
}

mr_decoder_counts mr_decoder_count(const mr_decoder *decoder)
{
    return decoder->counts;
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

const char *const *mr_decoder_ignored(const mr_decoder *decoder, size_t *out_count)
{
    *out_count = decoder->csv.ignored_count;
    return (const char *const *)decoder->csv.ignored;
}

bool mr_decoder_header_done(const mr_decoder *decoder)
{
    return decoder->options.format != MR_FORMAT_CSV || decoder->csv.header_done;
}
