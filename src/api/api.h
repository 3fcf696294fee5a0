/* api.h -- behind include/millrace/millrace.h: the handles, and how statuses and errors cross over.
 *
 * The public header is self-contained and stays as it is for years; everything here is free to change. A
 * function of this room checks nothing that a lower floor checks, and holds no logic of its own.
 *
 * (1) millrace_status and mr_status have the same numbers, millrace_error and mr_error the same layout: asserted
 *     in home.c, so that errors are passed through, not copied. */
#ifndef MR_API_API_H
#define MR_API_API_H

#include "data/arrow.h"
#include "log/log.h"
#include "millrace/millrace.h"

struct millrace_home {
    mr_log *log;
    char *folder;
};

struct millrace_topic {
    mr_topic *topic;
};

static inline mr_error *api_error(millrace_error *error)
{
    if (error != NULL)
        *error = (millrace_error){0};
    return (mr_error *)(void *)error;
}

#endif
