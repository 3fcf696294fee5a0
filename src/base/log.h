/* log.h -- one line per event, for people and for machines.
 *
 *   2026-01-02T03:04:05.123456Z INFO  topic tail_cut topic=default/default/payments bytes=812
 *   {"time":"2026-01-02T03:04:05.123456Z","level":"info","component":"topic","event":"tail_cut",...}
 *
 * Logging happens once, at the edge that decides; leaves return errors. Event names and keys are stable
 * words; quantities carry their unit in the key. base/ does not touch the machine: whoever owns the process
 * installs a writer, and until then nothing is written.
 * Thread: any, once the writer is installed; a line is handed over in one call. */
#ifndef MR_BASE_LOG_H
#define MR_BASE_LOG_H

#include "base/status.h"

#include <stddef.h>

typedef enum mr_log_level {
    MR_LOG_ERROR,
    MR_LOG_WARN,
    MR_LOG_INFO,
    MR_LOG_DEBUG,
} mr_log_level;

#define MR_LOG_LINE_BYTES_MAX 4096 /* fields that find no room are left out, and cut=true says so */

/* Where lines go and what time it is. Called on the thread that logs; must bear several at once. */
typedef struct mr_log_writer {
    int64_t (*wall_us)(void *context);
    void (*write)(void *context, const char *line, size_t bytes); /* whole line, with its newline */
    void *context;
} mr_log_writer;

/* Lends the writer until another one, or NULL, is installed. */
void mr_log_install(const mr_log_writer *writer);
/* Level and form as in MILLRACE_LOG: words of error, warn, info, debug, text, json, with commas: "debug,json".
 * At first it is info and text. MR_INVALID, and nothing changed, at any other word. */
mr_status mr_log_configure(const char *words, mr_error *err);
/* For what costs something to prepare. */
bool mr_log_wants(mr_log_level level);

/* `format` is the event's name, then pairs: "tail_cut topic=%s bytes=%zu". A value is a plain word or one
 * conversion of d i u x s g f, with l, ll, z, j or t, and a precision .N or .*; texts are quoted where needed. */
void mr_log_event(mr_log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An error as an event: adds status, place and text: "start_failed topic=%s" -> ... error="..." */
void mr_log_failure(mr_log_level level, const char *component, const mr_error *err,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
