/* home.c -- the public API: version, errors, homes. */
#include "api/api.h"

#include "os/clock.h"
#include "os/fs.h"

#define X(symbol, name, text, http, exit, retriable)                                               \
    _Static_assert((int)MILLRACE_##symbol == (int)MR_##symbol, "statuses have the same numbers");
MR_STATUS_MAP(X)
#undef X

_Static_assert(sizeof(millrace_error) == sizeof(mr_error), "errors have the same layout");
_Static_assert(offsetof(millrace_error, place) == offsetof(mr_error, place),
               "errors have the same layout");
_Static_assert(offsetof(millrace_error, text) == offsetof(mr_error, text),
               "errors have the same layout");

const char *millrace_version(void)
{
    return MR_VERSION;
}

const char *millrace_status_name(millrace_status status)
{
    return mr_status_name((mr_status)status);
}

bool millrace_status_retriable(millrace_status status)
{
    return mr_status_retriable((mr_status)status);
}

static mr_status open_home(const char *folder, millrace_home *home, mr_error *err)
{
    home->folder = mr_strdup(folder);
    if (home->folder == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_log_open(mr_fs_real(), mr_clock_real(), folder, &home->log, err));
    return mr_log_keep_up(home->log, err);
}

millrace_status millrace_home_open(const char *folder, millrace_home **out, millrace_error *error)
{
    mr_error *err = api_error(error);
    *out = NULL;
    millrace_home *home = MR_NEW(millrace_home);
    mr_status status = home != NULL ? open_home(folder, home, err) : MR_OUT_OF_MEMORY(err);
    if (status != MR_OK)
        millrace_home_close(home);
    else
        *out = home;
    return (millrace_status)status;
}

void millrace_home_close(millrace_home *home)
{
    if (home == NULL)
        return;
    mr_log_close(home->log);
    mr_free(home->folder);
    mr_free(home);
}
