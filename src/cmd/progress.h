/* progress.h -- a bar for long work, on a terminal only.
 *
 *   reading payments.csv  [########--------]  52 %  3.1 s, 2.9 s left
 *
 * One line of stderr that is drawn over itself, at most ten times a second, and wiped at the end.
 * With
 * --quiet, or when stderr is no terminal, nothing is drawn. */
#ifndef MR_CMD_PROGRESS_H
#define MR_CMD_PROGRESS_H

#include "cmd/session.h"

typedef struct mr_progress {
    mr_session *session;
    const char *label; /* lent */
    uint64_t total;    /* 0: unknown, then counts are shown */
    int64_t started_ns;
    int64_t drawn_ns;
    bool on;
} mr_progress;

void mr_progress_begin(mr_progress *progress, mr_session *session, const char *label,
                       uint64_t total);
void mr_progress_set(mr_progress *progress, uint64_t done);
/* Wipes the line. A zeroed struct is allowed. */
void mr_progress_end(mr_progress *progress);

#endif
