/* ingest.c -- text files as batches. */
#include "cmd/ingest.h"

#include "os/process.h"

#include <string.h>

static mr_status read_delimiter(const mr_arguments *arguments, char *out, mr_error *err)
{
    const char *text = mr_arguments_text(arguments, "delimiter");
    if (strcmp(text, "\\t") == 0)
        *out = '\t';
    else if (text[0] != '\0' && text[1] == '\0' && strchr("\"\r\n", text[0]) == NULL)
        *out = text[0];
    else
        return MR_FAIL(err, MR_INVALID, "--delimiter is '%s', but must be one character, or \\t",
                       text);
    return MR_OK;
}

/* Cuts each "column=field" of the list in two. */
static mr_status read_renames(mr_ingest *ingest, const char *text, mr_error *err)
{
    MR_TRY(mr_list_parse(&ingest->rename_list, text, err));
    size_t count = ingest->rename_list.count;
    ingest->renames = mr_alloc_zero(count + 1, sizeof ingest->renames[0]);
    if (ingest->renames == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < count; i++) {
        const char *item = ingest->rename_list.items[i];
        char *equals = ingest->rename_list.text + (item - ingest->rename_list.text);
        equals += strcspn(equals, "=");
        if (*equals == '\0')
            return MR_FAIL(err, MR_INVALID, "--rename has '%s', but wants COLUMN=FIELD", item);
        *equals = '\0';
        ingest->renames[i] = (mr_rename){item, equals + 1};
    }
    ingest->options.renames = ingest->renames;
    ingest->options.rename_count = count;
    return MR_OK;
}

static mr_status read_check(mr_ingest *ingest, const char *text, mr_error *err)
{
    char type[32];
    if (text == NULL)
        return MR_OK;
    mr_expr_place place = {.file = "--check"};
    MR_TRY(
        mr_expr_compile(text, strlen(text), ingest->options.schema, &place, &ingest->check, err));
    if (mr_expr_type(ingest->check).id != MR_BOOL)
        return MR_FAIL(err, MR_INVALID, "--check wants a condition (bool), this is %s",
                       mr_type_format(mr_expr_type(ingest->check), type));
    ingest->options.check = ingest->check;
    return MR_OK;
}

mr_status mr_ingest_init(mr_ingest *ingest, mr_session *session, mr_schema *schema,
                         bool columns_required, mr_error *err)
{
    const mr_arguments *arguments = &session->arguments;
    const char *format = mr_arguments_text(arguments, "format");
    *ingest = (mr_ingest){.session = session, .options.schema = mr_schema_retain(schema)};
    ingest->options.no_header = mr_arguments_flag(arguments, "no-header");
    ingest->options.columns_required = columns_required;
    ingest->format_given = format != NULL;
    if (format != NULL && !mr_text_format_parse(format, strlen(format), &ingest->options.format))
        return MR_FAIL(err, MR_INVALID, "--format is '%s', but must be csv or jsonl", format);
    ingest->options.zone_required = mr_arguments_flag(arguments, "require-zone");
    MR_TRY(read_check(ingest, mr_arguments_text(arguments, "check"), err));
    MR_TRY(read_delimiter(arguments, &ingest->options.delimiter, err));
    return read_renames(ingest, mr_arguments_text(arguments, "rename"), err);
}

static void close_file(mr_ingest *ingest)
{
    mr_decoder_close(ingest->decoder);
    mr_input_close(ingest->input);
    ingest->decoder = NULL;
    ingest->input = NULL;
    ingest->ended = false;
}

void mr_ingest_deinit(mr_ingest *ingest)
{
    close_file(ingest);
    mr_schema_release(ingest->options.schema);
    mr_expr_destroy(ingest->check);
    mr_list_deinit(&ingest->rename_list);
    mr_free(ingest->renames);
    *ingest = (mr_ingest){0};
}

mr_status mr_ingest_open(mr_ingest *ingest, const char *path, mr_error *err)
{
    close_file(ingest);
    if (!ingest->format_given && !mr_text_format_of_path(path, &ingest->options.format))
        return MR_FAIL(err, MR_INVALID,
                       "cannot tell the format of %s from its name; say --format csv or jsonl",
                       strcmp(path, "-") == 0 ? "standard input" : path);
    MR_TRY(mr_input_open(ingest->session->fs, path, &ingest->input, err));
    ingest->options.name = mr_input_name(ingest->input);
    return mr_decoder_open(&ingest->options, &ingest->decoder, err);
}

static mr_status read_more(mr_ingest *ingest, mr_error *err)
{
    uint8_t *room = NULL;
    size_t room_bytes = 0, size = 0;
    MR_TRY(mr_decoder_room(ingest->decoder, &room, &room_bytes, err));
    MR_TRY(mr_input_read(ingest->input, room, room_bytes, &size, err));
    if (size > 0) {
        mr_decoder_fed(ingest->decoder, size);
    } else {
        mr_decoder_finish(ingest->decoder);
        ingest->ended = true;
    }
    return MR_OK;
}

mr_status mr_ingest_next(mr_ingest *ingest, mr_batch **out, mr_error *err)
{
    for (*out = NULL;;) {
        size_t rejects = 0;
        if (mr_process_stop_asked() != 0)
            return MR_FAIL(err, MR_INTERRUPTED, "stopped while reading %s",
                           mr_input_name(ingest->input));
        MR_TRY(mr_decoder_next_batch(ingest->decoder, out, err));
        (void)mr_decoder_rejects(ingest->decoder, &rejects);
        if (*out != NULL || rejects > 0)
            return MR_OK;
        if (ingest->ended)
            return MR_END;
        MR_TRY(read_more(ingest, err));
    }
}

bool mr_ingest_would_wait(const mr_ingest *ingest)
{
    bool pipe = mr_input_raw_size(ingest->input) == 0;
    return pipe && !mr_decoder_has_more(ingest->decoder);
}
