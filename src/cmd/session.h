/* session.h -- one run of the program: what was asked, where its home is, where it may speak.
 *
 * Also the few things many verbs do the same way: open the log, read a schema, pick columns. */
#ifndef MR_CMD_SESSION_H
#define MR_CMD_SESSION_H

#include "cmd/arguments.h"
#include "cmd/output.h"
#include "log/log.h"
#include "os/clock.h"
#include "os/fs.h"
#include "pipeline/models_registry.h"

typedef struct mr_session {
    mr_arguments arguments;
    mr_fs *fs;
    mr_clock *clock;
    const char *home;    /* the home directory; everything the program keeps is below it */
    char principal[256]; /* who acts: --principal, MILLRACE_PRINCIPAL, or the user's name */
    bool json;
    bool quiet;
    bool verbose;
    mr_output out;
    mr_output say;
    int exit_code; /* 0, unless the verb ended well with a documented code of its own */
} mr_session;

/* A line on stderr, unless --quiet. */
void mr_session_say(mr_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Opens the log of the home. With `create` the home is made; else MR_NOT_FOUND when there is none.
 */
mr_status mr_session_open_log(mr_session *session, bool create, mr_log **out, mr_error *err);

/* The models of the home by name, for what `what` says ("plan"); log NULL: there is no home. Opens nothing yet. The log
 * outlives it; close with mr_models_registry_close. */
mr_status mr_session_models(mr_session *session, mr_log *log, const char *what, mr_models **out,
                            mr_error *err);

/* The schema of --schema or --schema-file; *out is NULL when neither is given. The caller releases
 * it. */
mr_status mr_session_schema(mr_session *session, mr_schema **out, mr_error *err);
/* The two rows of an options table that go with it. */
#define MR_SCHEMA_OPTIONS                                                                          \
    {"schema", '\0', "SCHEMA",                                                                     \
     NULL,     NULL, "the columns, as in \"tx: int64, at: timestamp, note: string null\""},        \
    {                                                                                              \
        "schema-file", '\0', "FILE", NULL, NULL, "a file that holds the schema"                    \
    }

/* ---- lists in options ---- */

/* Splits "a,b,c" in place of a copy; items[i] are terminated. Blanks around items are dropped. */
typedef struct mr_list {
    char *text;
    const char **items;
    size_t count;
} mr_list;

mr_status mr_list_parse(mr_list *list, const char *text, mr_error *err); /* NULL gives no items */
void mr_list_deinit(mr_list *list);

/* ---- columns ---- */

/* The schema of some fields of another, in the order of `names`. MR_NOT_FOUND names what is not
 * there. */
mr_status mr_schema_project(const mr_schema *from, const char *const *names, size_t count,
                            mr_schema **out, mr_error *err);
/* The batch with the columns of `to`, found by name; types must be equal. */
mr_status mr_batch_project(const mr_batch *from, mr_schema *to, mr_batch **out, mr_error *err);

#endif
