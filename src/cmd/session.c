/* session.c -- what many verbs do the same way. */
#include "cmd/session.h"

#include "base/assert.h"
#include "os/process.h"

#include <stdio.h>
#include <string.h>

#define SCHEMA_FILE_BYTES_MAX (1u << 20)

void mr_session_say(mr_session *session, const char *format, ...)
{
    char line[2048];
    va_list args;
    if (session->quiet)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    mr_output_printf(&session->say, "%s\n", line);
}

mr_status mr_session_open_log(mr_session *session, bool create, mr_log **out, mr_error *err)
{
    if (!create && !mr_fs_exists(session->fs, session->home))
        return MR_FAIL(
            err, MR_NOT_FOUND,
            "there is no home at %s; --home or MILLRACE_HOME names another, `millrace topic "
            "create` and `millrace produce` make one",
            session->home);
    return mr_log_open(session->fs, session->clock, session->home, out, err);
}

mr_status mr_session_models(mr_session *session, mr_log *log, const char *what, mr_models **out,
                            mr_error *err)
{
    char process[128];
    (void)snprintf(process, sizeof process, "millrace %s, process %d", what, mr_process_id());
    mr_registry_options options = {.fs = session->fs,
                                   .clock = session->clock,
                                   .log = log,
                                   .home = session->home,
                                   .principal = session->principal,
                                   .process = process};
    MR_TRY(mr_models_registry_open(&options, out, err));
    mr_models_registry_for(*out, what, "");
    return MR_OK;
}

static mr_status read_schema_file(mr_session *session, const char *path, mr_schema **out,
                                  mr_error *err)
{
    mr_bytes text = {0};
    mr_status status = mr_fs_read_file(session->fs, path, SCHEMA_FILE_BYTES_MAX, &text, err);
    if (status == MR_OK)
        status = mr_schema_parse((const char *)text.data, text.size, out, err);
    if (status == MR_INVALID)
        mr_error_place(err, path, 0, 0);
    mr_bytes_deinit(&text);
    return status;
}

mr_status mr_session_schema(mr_session *session, mr_schema **out, mr_error *err)
{
    const char *text = mr_arguments_text(&session->arguments, "schema");
    const char *path = mr_arguments_text(&session->arguments, "schema-file");
    *out = NULL;
    if (text != NULL && path != NULL)
        return MR_FAIL(err, MR_INVALID,
                       "--schema and --schema-file are both given; one of them is enough");
    if (path != NULL)
        return read_schema_file(session, path, out, err);
    if (text == NULL)
        return MR_OK;
    MR_TRY(mr_schema_parse(text, strlen(text), out, err));
    return MR_OK;
}

/* ---- lists ---- */

static size_t count_items(const char *text)
{
    size_t count = 1;
    for (; *text != '\0'; text++)
        count += *text == ',';
    return count;
}

static char *trim(char *item)
{
    item += strspn(item, " \t");
    size_t size = strlen(item);
    while (size > 0 && (item[size - 1] == ' ' || item[size - 1] == '\t'))
        item[--size] = '\0';
    return item;
}

mr_status mr_list_parse(mr_list *list, const char *text, mr_error *err)
{
    *list = (mr_list){0};
    if (text == NULL)
        return MR_OK;
    size_t count = count_items(text);
    list->text = mr_strdup(text);
    list->items = mr_alloc_zero(count, sizeof list->items[0]);
    if (list->text == NULL || list->items == NULL) {
        mr_list_deinit(list);
        return MR_OUT_OF_MEMORY(err);
    }
    for (char *item = list->text; list->count < count;) {
        char *comma = item + strcspn(item, ",");
        char *next = *comma == ',' ? comma + 1 : comma;
        *comma = '\0';
        list->items[list->count++] = trim(item);
        item = next;
    }
    return MR_OK;
}

void mr_list_deinit(mr_list *list)
{
    mr_free(list->text);
    mr_free(list->items);
    *list = (mr_list){0};
}

/* ---- columns ---- */

static mr_status fail_no_field(const mr_schema *schema, const char *name, mr_error *err)
{
    mr_bytes known = {0};
    for (uint32_t i = 0; i < schema->field_count; i++)
        mr_bytes_printf(&known, "%s%s", i > 0 ? ", " : "", schema->fields[i].name);
    const char *text = mr_bytes_text(&known);
    mr_status status = MR_FAIL(err, MR_NOT_FOUND, "there is no column '%s'; there are %s", name,
                               text != NULL ? text : "others");
    mr_bytes_deinit(&known);
    return status;
}

mr_status mr_schema_project(const mr_schema *from, const char *const *names, size_t count,
                            mr_schema **out, mr_error *err)
{
    mr_field *fields = mr_alloc_zero(count, sizeof *fields);
    if (fields == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = MR_OK;
    for (size_t i = 0; i < count && status == MR_OK; i++) {
        int at = mr_schema_find(from, names[i]);
        if (at < 0)
            status = fail_no_field(from, names[i], err);
        else
            fields[i] = from->fields[at];
    }
    if (status == MR_OK)
        status = mr_schema_create(fields, count, out, err);
    mr_free(fields);
    return status;
}

mr_status mr_batch_project(const mr_batch *from, mr_schema *to, mr_batch **out, mr_error *err)
{
    mr_column *columns = mr_alloc_zero(to->field_count, sizeof *columns);
    if (columns == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < to->field_count; i++) {
        int at = mr_schema_find(from->schema, to->fields[i].name);
        MR_ASSERT(at >= 0);
        columns[i] = mr_column_retain(&from->columns[at]);
    }
    mr_status status = mr_batch_create(to, from->row_count, columns, out, err);
    for (uint32_t i = 0; status != MR_OK && i < to->field_count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    return status;
}
