/* status.c -- the status table and the text of errors. */
#include "base/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct status_row {
    const char *name;
    const char *text;
    int http;
    int exit;
    bool retriable;
} status_row;

static const status_row rows[MR_STATUS_COUNT] = {
#define X(symbol, name, text, http, exit, retriable)                                               \
    [MR_##symbol] = {name, text, http, exit, retriable},
    MR_STATUS_MAP(X)
#undef X
};

static const status_row *row_of(mr_status status)
{
    return &rows[(unsigned)status < MR_STATUS_COUNT ? status : MR_INTERNAL];
}

const char *mr_status_name(mr_status status)
{
    return row_of(status)->name;
}

const char *mr_status_text(mr_status status)
{
    return row_of(status)->text;
}

int mr_status_http(mr_status status)
{
    return row_of(status)->http;
}

int mr_status_exit(mr_status status)
{
    return row_of(status)->exit;
}

bool mr_status_retriable(mr_status status)
{
    return row_of(status)->retriable;
}

mr_status mr_error_setv(mr_error *err, mr_status status, const char *format, va_list args)
{
    if (err == NULL)
        return status;
    char text[sizeof err->text]; /* the arguments may point into err->text */
    (void)vsnprintf(text, sizeof text, format, args);
    err->status = status;
    memcpy(err->text, text, strlen(text) + 1);
    return status;
}

mr_status mr_error_set(mr_error *err, mr_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mr_error_setv(err, status, format, args);
    va_end(args);
    return status;
}

void mr_error_place(mr_error *err, const char *file, uint64_t line, uint64_t column)
{
    if (err == NULL)
        return;
    if (line == 0)
        (void)snprintf(err->place, sizeof err->place, "%s", file);
    else if (column == 0)
        (void)snprintf(err->place, sizeof err->place, "%s:%" PRIu64, file, line);
    else
        (void)snprintf(err->place, sizeof err->place, "%s:%" PRIu64 ":%" PRIu64, file, line,
                       column);
}

void mr_error_prefix(mr_error *err, const char *format, ...)
{
    if (err == NULL)
        return;
    char text[2 * sizeof err->text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof err->text - 2, format, args);
    va_end(args);
    size_t at = strlen(text);
    (void)snprintf(text + at, sizeof text - at, ": %s", err->text);
    text[sizeof err->text - 1] = '\0';
    memcpy(err->text, text, strlen(text) + 1);
}

void mr_error_clear(mr_error *err)
{
    if (err == NULL)
        return;
    err->status = MR_OK;
    err->place[0] = '\0';
    err->text[0] = '\0';
}

void mr_error_format(const mr_error *err, char *out, uint64_t out_bytes)
{
    const char *text = err->text[0] != '\0' ? err->text : mr_status_text(err->status);
    if (err->place[0] != '\0')
        (void)snprintf(out, out_bytes, "%s: %s", err->place, text);
    else
        (void)snprintf(out, out_bytes, "%s", text);
}
