/* status.h -- errors are values with text a user can act on.
 *
 * Every fallible call returns mr_status and takes a nullable `mr_error *err`. The message says what
 * was tried, on what, with numbers, and where it can, what would be right. The table below is the
 * only list of statuses: it gives enum, name, HTTP code, exit code and whether trying again can
 * help. */
#ifndef MR_BASE_STATUS_H
#define MR_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/*  X(NAME, name, text, http, exit, retriable) */
#define MR_STATUS_MAP(X)                                                                           \
    X(OK, "ok", "ok", 200, 0, false)                                                               \
    X(INVALID, "invalid", "invalid input", 400, 2, false)                                          \
    X(NOT_FOUND, "not_found", "no such thing", 404, 3, false)                                      \
    X(EXISTS, "exists", "exists already", 409, 4, false)                                           \
    X(CONFLICT, "conflict", "conflicts with what is there", 409, 5, false)                         \
    X(CORRUPT, "corrupt", "data is damaged", 500, 6, false)                                        \
    X(IO, "io", "input or output failed", 500, 7, false)                                           \
    X(FULL, "full", "a limit is reached", 503, 8, true)                                            \
    X(NO_MEMORY, "no_memory", "out of memory", 503, 9, true)                                       \
    X(BUSY, "busy", "in use by another", 503, 10, true)                                            \
    X(UNSUPPORTED, "unsupported", "not supported", 501, 11, false)                                 \
    X(INTERRUPTED, "interrupted", "interrupted", 503, 12, true)                                    \
    X(END, "end", "end of data", 404, 0, false)                                                    \
    X(INTERNAL, "internal", "a mistake of ours", 500, 70, false)

typedef enum mr_status {
#define X(symbol, name, text, http, exit, retriable) MR_##symbol,
    MR_STATUS_MAP(X)
#undef X
        MR_STATUS_COUNT
} mr_status;

#define MR_ERROR_TEXT_MAX  1024
#define MR_ERROR_PLACE_MAX 256

/* What went wrong and where. Lives with the caller; nothing in it is allocated. */
typedef struct mr_error {
    mr_status status;
    char place[MR_ERROR_PLACE_MAX]; /* "file:line:column", "topic/partition@offset" or "" */
    char text[MR_ERROR_TEXT_MAX];   /* one sentence, no newline at the end */
} mr_error;

/* Short lower-case name ("not_found"), sentence, and the numbers of the table. */
const char *mr_status_name(mr_status status);
const char *mr_status_text(mr_status status);
int mr_status_http(mr_status status);
int mr_status_exit(mr_status status);
bool mr_status_retriable(mr_status status);

/* Fills *err (when not NULL) and returns `status`. Keeps a place set before by mr_error_place. The arguments may be
 * texts of *err itself. */
mr_status mr_error_set(mr_error *err, mr_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
mr_status mr_error_setv(mr_error *err, mr_status status, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Puts "file:line:column" on an error; line or column 0 are left out. */
void mr_error_place(mr_error *err, const char *file, uint64_t line, uint64_t column);

/* Puts words in front of the text as an error travels up: "open log a/b/c: <text>". */
void mr_error_prefix(mr_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Empties *err; NULL is allowed. */
void mr_error_clear(mr_error *err);

/* Writes "place: text" or "text" into out, always terminated. */
void mr_error_format(const mr_error *err, char *out, uint64_t out_bytes);

/* The status is repeated so that the compiler, too, knows that this is a failure. */
#define MR_FAIL(err, status, ...)                                                                  \
    ((void)mr_error_set((err), (status), __VA_ARGS__), (mr_status)(status))
#define MR_TRY(call)                                                                               \
    do {                                                                                           \
        mr_status mr_try_status_ = (call);                                                         \
        if (mr_try_status_ != MR_OK)                                                               \
            return mr_try_status_;                                                                 \
    } while (0)

/* With something to undo: `MR_GOTO(done, status, call)` sets `status` and jumps on failure. */
#define MR_GOTO(label, status, call)                                                               \
    do {                                                                                           \
        (status) = (call);                                                                         \
        if ((status) != MR_OK)                                                                     \
            goto label;                                                                            \
    } while (0)

#endif
