/* model_session.c -- opens the registry, and what the verbs `model ...` print alike. */
#include "cmd/model_session.h"

#include "base/time.h"
#include "cmd/verb.h"
#include "data/encoder.h"
#include "os/process.h"

#include <stdio.h>
#include <string.h>

static mr_status check_there(mr_log *log, mr_error *err)
{
    mr_topic *topic = NULL;
    mr_status status = mr_topic_open(log, MR_REGISTRY_EVENTS, &topic, err);
    mr_topic_close(topic);
    if (status != MR_NOT_FOUND)
        return status;
    mr_error_clear(err);
    return MR_FAIL(err, MR_NOT_FOUND,
                   "this home has no models yet; `millrace model push` brings the first");
}

mr_status mr_model_session_open(mr_model_session *self, mr_session *session, bool create,
                                mr_error *err)
{
    *self = (mr_model_session){.session = session};
    MR_TRY(mr_session_open_log(session, create, &self->log, err));
    if (!create)
        MR_TRY(check_there(self->log, err));
    (void)snprintf(self->process, sizeof self->process, "millrace %s, process %d",
                   session->arguments.verb != NULL ? session->arguments.verb->name : "",
                   mr_process_id());
    mr_registry_options options = {.fs = session->fs,
                                   .clock = session->clock,
                                   .log = self->log,
                                   .home = session->home,
                                   .principal = session->principal,
                                   .process = self->process};
    return mr_registry_open(&options, &self->registry, err);
}

void mr_model_session_close(mr_model_session *self)
{
    mr_registry_close(self->registry);
    mr_log_close(self->log);
    self->registry = NULL;
    self->log = NULL;
}

static mr_status load_by_name(mr_session *session, const char *text, const char *purpose,
                              mr_model **out, mr_error *err)
{
    mr_model_session self;
    mr_registry_ref ref;
    mr_status status = mr_model_session_open(&self, session, false, err);
    if (status == MR_OK)
        status = mr_registry_resolve(self.registry, text, &ref, err);
    if (status == MR_OK)
        status = mr_registry_open_model(self.registry, &ref, purpose, out, err);
    mr_model_session_close(&self);
    return status;
}

mr_status mr_model_session_load(mr_session *session, const char *text, const char *purpose,
                                mr_model **out, mr_error *err)
{
    *out = NULL;
    if (mr_fs_exists(session->fs, text) || !mr_registry_is_ref(text))
        return mr_model_open(session->fs, text, NULL, out, err);
    mr_status status = load_by_name(session, text, purpose, out, err);
    if (status == MR_NOT_FOUND)
        mr_error_prefix(err, "no file or folder is called %s, and as a name", text);
    return status;
}

/* ---- printing ---- */

const char *mr_model_time(int64_t us, char *out)
{
    out[mr_time_format(us, out)] = '\0';
    return out;
}

void mr_model_json_text(mr_bytes *line, const char *name, const char *text)
{
    mr_bytes_printf(line, ",\"%s\":", name);
    mr_encode_json_text(text, strlen(text), line);
}

void mr_model_json_time(mr_bytes *line, const char *name, int64_t us)
{
    char text[MR_TIME_TEXT_MAX + 1];
    mr_model_json_text(line, name, mr_model_time(us, text));
}

mr_status mr_model_json_end(mr_session *session, mr_bytes *line, mr_error *err)
{
    mr_bytes_append_text(line, "}\n");
    mr_output_bytes(&session->out, line->data, line->size);
    bool failed = line->failed;
    mr_bytes_clear(line);
    return failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}
