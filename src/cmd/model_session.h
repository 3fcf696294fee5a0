/* model_session.h -- the registry of the session's home, for the verbs `model ...` and whoever takes a model by name. */
#ifndef MR_CMD_MODEL_SESSION_H
#define MR_CMD_MODEL_SESSION_H

#include "cmd/session.h"
#include "registry/registry.h"

typedef struct mr_model_session {
    mr_session *session;
    mr_log *log;
    mr_registry *registry;
    char process[256]; /* "millrace model push, process 4711": what accesses are recorded with */
} mr_model_session;

/* With `create` home and registry are made; else MR_NOT_FOUND when there are none. Close also after a failure. */
mr_status mr_model_session_open(mr_model_session *self, mr_session *session, bool create,
                                mr_error *err);
void mr_model_session_close(mr_model_session *self);

/* A model by file, folder, or registry name: what exists as a file wins. Registry names are opened for `purpose`. */
mr_status mr_model_session_load(mr_session *session, const char *text, const char *purpose,
                                mr_model **out, mr_error *err);

/* RFC 3339; out needs MR_TIME_TEXT_MAX + 1 bytes. Returns out. */
const char *mr_model_time(int64_t us, char *out);
/* ,"name":"text" behind other members. */
void mr_model_json_text(mr_bytes *line, const char *name, const char *text);
void mr_model_json_time(mr_bytes *line, const char *name, int64_t us);
/* Writes the line and its end, and empties it. */
mr_status mr_model_json_end(mr_session *session, mr_bytes *line, mr_error *err);

#define MR_MODEL_WHY_OPTION                                                                        \
    {                                                                                              \
        "why", '\0', "TEXT", NULL, NULL, "the reason, for the history"                             \
    }
#define MR_MODEL_REF_HELP "NAME (its champion), NAME@ALIAS or NAME/VERSION"

#endif
