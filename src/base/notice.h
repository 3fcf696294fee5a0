/* notice.h -- the program's own log: one line per event, for people and for machines.
 * (A "log" in this code is the room src/log/, of topics; what the program says of itself is a notice.)
 *
 *   2026-01-02T03:04:05.123456Z INFO  topic tail_cut topic=default/default/payments bytes=812
 *   {"time":"2026-01-02T03:04:05.123456Z","level":"info","component":"topic","event":"tail_cut",...}
 *
 * A notice is given once, at the edge that decides; leaves return errors. Event names and keys are stable
 * words; quantities carry their unit in the key. base/ does not touch the machine: whoever owns the process
 * installs a writer, and until then nothing is written.
 * Thread: any, once the writer is installed; a line is handed over in one call. */
#ifndef MR_BASE_NOTICE_H
#define MR_BASE_NOTICE_H

#include "base/status.h"

#include <stddef.h>

typedef enum mr_notice_level {
    MR_NOTICE_ERROR,
    MR_NOTICE_WARN,
    MR_NOTICE_INFO,
    MR_NOTICE_DEBUG,
} mr_notice_level;

#define MR_NOTICE_LINE_BYTES_MAX                                                                   \
    4096 /* fields that find no room are left out, and cut=true says so */

/* Where lines go and what time it is. Called on the thread that logs; must bear several at once. */
typedef struct mr_notice_writer {
    int64_t (*wall_us)(void *context);
    void (*write)(void *context, const char *line, size_t bytes); /* whole line, with its newline */
    void *context;
} mr_notice_writer;

/* Lends the writer until another one, or NULL, is installed. */
void mr_notice_install(const mr_notice_writer *writer);
/* Level and form as in MILLRACE_LOG: words of error, warn, info, debug, text, json, with commas: "debug,json".
 * At first it is info and text. MR_INVALID, and nothing changed, at any other word. */
mr_status mr_notice_configure(const char *words, mr_error *err);
/* For what costs something to prepare. */
bool mr_notice_wants(mr_notice_level level);

/* `format` is the event's name, then pairs: "tail_cut topic=%s bytes=%zu". A value is a plain word or one
 * conversion of d i u x s g f, with l, ll, z, j or t, and a precision .N or .*; texts are quoted where needed. */
void mr_notice(mr_notice_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An error as an event: adds status, place and text: "start_failed topic=%s" -> ... error="..." */
void mr_notice_failure(mr_notice_level level, const char *component, const mr_error *err,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
