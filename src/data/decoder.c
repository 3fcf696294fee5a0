/* decoder.c -- the life of a decoder: options, columns, the window of text, resuming, and questions.
 *
 * What becomes of the text is decoder_step.c's affair. Thread: one at a time. */
#include "data/decoder_internal.h"

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

/* ---- fields by name ---- */

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
    /* Every row of a batch may fail the check, besides what did not decode. */
    size_t checked = decoder->options.check != NULL ? rows : 0;
    decoder->rejects =
        mr_alloc_zero(decoder->options.rejects_max + checked, sizeof *decoder->rejects);
    decoder->check_rows = mr_alloc((checked + 1) * sizeof *decoder->check_rows);
    if (decoder->sinks == NULL || decoder->row_starts == NULL || decoder->row_lines == NULL ||
        decoder->rejects == NULL || decoder->check_rows == NULL)
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
    mr_free(decoder->check_rows);
    mr_expr_scratch_deinit(&decoder->check_scratch);
    mr_free(decoder->window);
    mr_free(decoder->name);
    mr_arena_deinit(&decoder->reject_texts);
    mr_arena_deinit(&decoder->kept);
    mr_schema_release(decoder->schema);
    mr_free(decoder);
}

/* ---- the window ---- */

void mr_decoder_forget_batch(mr_decoder *decoder)
{
    decoder->reject_count = 0;
    decoder->row_count = 0;
    decoder->full = false;
}

static mr_status make_room(mr_decoder *decoder, size_t wanted, mr_error *err)
{
    mr_decoder_forget_batch(decoder);
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
    mr_decoder_forget_batch(decoder);
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

/* ---- questions ---- */

const mr_reject *mr_decoder_rejects(const mr_decoder *decoder, size_t *out_count)
{
    *out_count = decoder->reject_count;
    return decoder->rejects;
}

mr_decoder_counts mr_decoder_count(const mr_decoder *decoder)
{
    return decoder->counts;
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
