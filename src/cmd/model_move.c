/* model_move.c -- `millrace model export|import|verify`. */
#include "cmd/model_session.h"
#include "cmd/verb.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static mr_status say_version(mr_session *session, const mr_registry_ref *ref, const char *name,
                             const char *value, mr_error *err)
{
    mr_bytes line = {0};
    if (!session->json) {
        mr_output_printf(&session->out, "%s/%" PRIu64 "\n", ref->name, ref->version);
        return MR_OK;
    }
    mr_bytes_printf(&line, "{\"version\":%" PRIu64, ref->version);
    mr_model_json_text(&line, "name", ref->name);
    mr_model_json_text(&line, "hash", ref->hash);
    mr_model_json_text(&line, name, value);
    mr_status status = mr_model_json_end(session, &line, err);
    mr_bytes_deinit(&line);
    return status;
}

/* ---- export ---- */

static mr_status export_version(mr_model_session *models, mr_error *err)
{
    mr_session *session = models->session;
    const char *path = mr_arguments_operand(&session->arguments, 1);
    mr_registry_ref ref;
    char own[2 * MR_REGISTRY_NAME_MAX];
    MR_TRY(mr_model_session_open(models, session, false, err));
    MR_TRY(mr_registry_resolve(models->registry, mr_arguments_operand(&session->arguments, 0), &ref,
                               err));
    (void)snprintf(own, sizeof own, "%s-%" PRIu64 ".tar.zst", ref.name, ref.version);
    path = path != NULL ? path : own;
    MR_TRY(mr_registry_export(models->registry, &ref, path, err));
    mr_session_say(session, "wrote %s", path);
    return say_version(session, &ref, "file", path, err);
}

static mr_status export_run(mr_session *session, mr_error *err)
{
    mr_model_session models = {.session = session};
    mr_status status = export_version(&models, err);
    mr_model_session_close(&models);
    return status;
}

static const struct mr_operand export_operands[] = {
    {"MODEL", false, false, MR_MODEL_REF_HELP},
    {"FILE", true, false, "where to; NAME-VERSION.tar.zst in this folder when not given"},
    {0},
};

static const mr_verb_exit export_exits[] = {
    {4, "the file exists already"},
    {6, "the artifact is damaged"},
    {0},
};

const struct mr_verb mr_verb_model_export = {
    .name = "model export",
    .summary = "write a version as one file, for another home",
    .about = "A tar, packed with Zstandard, which carries the artifact's hash. That it left is "
             "recorded.",
    .operands = export_operands,
    .exits = export_exits,
    .run = export_run,
};

/* ---- import ---- */

static mr_status import_version(mr_model_session *models, mr_error *err)
{
    mr_session *session = models->session;
    const mr_arguments *arguments = &session->arguments;
    const char *path = mr_arguments_operand(arguments, 0);
    mr_registry_publish_options options = {.description =
                                               mr_arguments_text(arguments, "description"),
                                           .alias = mr_arguments_text(arguments, "alias"),
                                           .why = mr_arguments_text(arguments, "why")};
    mr_registry_ref ref;
    bool is_new = false;
    MR_TRY(mr_model_session_open(models, session, true, err));
    MR_TRY(mr_registry_import(models->registry, path, mr_arguments_text(arguments, "name"),
                              &options, &ref, &is_new, err));
    if (!is_new)
        mr_session_say(session, "%s/%" PRIu64 " is this artifact already", ref.name, ref.version);
    return say_version(session, &ref, "file", path, err);
}

static mr_status import_run(mr_session *session, mr_error *err)
{
    mr_model_session models = {.session = session};
    mr_status status = import_version(&models, err);
    mr_model_session_close(&models);
    return status;
}

static const struct mr_operand import_operands[] = {
    {"FILE", false, false, "what `model export` wrote"},
    {0},
};

static const struct mr_option import_options[] = {
    {"name", '\0', "NAME", NULL, NULL,
     "the model it becomes a version of; its old name when not given"},
    {"alias", 'a', "ALIAS", NULL, NULL, "an alias to move to it"},
    {"description", '\0', "TEXT", NULL, NULL, "what this version is"},
    MR_MODEL_WHY_OPTION,
    {0},
};

static const mr_verb_exit import_exits[] = {
    {2, "the file is no artifact, or holds what an artifact may not"},
    {6, "it is cut short or damaged, has not the hash it says, or does not give its golden rows"},
    {0},
};

const struct mr_verb mr_verb_model_import = {
    .name = "model import",
    .summary = "publish what `model export` wrote",
    .about = "Hash and golden rows are checked first; what is refused leaves nothing behind.",
    .operands = import_operands,
    .options = import_options,
    .exits = import_exits,
    .run = import_run,
};

/* ---- verify ---- */

typedef struct verifier {
    mr_model_session models;
    mr_bytes refs; /* mr_registry_ref each: questions may not be asked while a list runs */
    uint64_t damaged;
    mr_error first;
} verifier;

static mr_status collect(void *context, const mr_registry_version *version, mr_error *err)
{
    verifier *self = context;
    mr_registry_ref ref = {.version = version->version};
    (void)err;
    (void)snprintf(ref.name, sizeof ref.name, "%s", version->name);
    mr_bytes_append(&self->refs, &ref, sizeof ref);
    return MR_OK;
}

static mr_status verify_one(verifier *self, const mr_registry_ref *named, mr_error *err)
{
    mr_session *session = self->models.session;
    char text[2 * MR_REGISTRY_NAME_MAX], problem[MR_ERROR_TEXT_MAX + MR_ERROR_PLACE_MAX + 4] = "ok";
    mr_registry_ref ref;
    mr_error found = {0};
    (void)snprintf(text, sizeof text, "%s/%" PRIu64, named->name, named->version);
    MR_TRY(mr_registry_resolve(self->models.registry, text, &ref, err));
    mr_status status = mr_registry_verify(self->models.registry, &ref, &found);
    if (status != MR_OK) {
        mr_error_format(&found, problem, sizeof problem);
        self->first = self->damaged++ == 0 ? found : self->first;
    }
    if (session->json)
        return say_version(session, &ref, "verdict", problem, err);
    mr_output_printf(&session->out, "%-24s %.12s  %s\n", text, ref.hash, problem);
    return MR_OK;
}

static mr_status list_refs(verifier *self, mr_error *err)
{
    mr_registry_ref ref;
    const char *text = mr_arguments_operand(&self->models.session->arguments, 0);
    if (text == NULL)
        return mr_registry_versions(self->models.registry, NULL, collect, self, err);
    MR_TRY(mr_registry_resolve(self->models.registry, text, &ref, err));
    mr_bytes_append(&self->refs, &ref, sizeof ref);
    return MR_OK;
}

static mr_status verify_all(verifier *self, mr_session *session, mr_error *err)
{
    MR_TRY(mr_model_session_open(&self->models, session, false, err));
    MR_TRY(list_refs(self, err));
    if (self->refs.failed)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < self->refs.size / sizeof(mr_registry_ref); i++) {
        mr_registry_ref ref;
        memcpy(&ref, self->refs.data + i * sizeof ref, sizeof ref);
        MR_TRY(verify_one(self, &ref, err));
    }
    if (self->damaged == 0)
        return MR_OK;
    *err = self->first;
    return self->first.status;
}

static mr_status verify_run(mr_session *session, mr_error *err)
{
    verifier self = {0};
    mr_status status = verify_all(&self, session, err);
    mr_bytes_deinit(&self.refs);
    mr_model_session_close(&self.models);
    return status;
}

static const struct mr_operand verify_operands[] = {
    {"MODEL", true, false, MR_MODEL_REF_HELP "; every version of every model when not given"},
    {0},
};

static const mr_verb_exit verify_exits[] = {
    {6, "a version is damaged, or no longer gives what it gave when it was published"},
    {0},
};

const struct mr_verb mr_verb_model_verify = {
    .name = "model verify",
    .summary = "read versions whole: hash, model, golden rows",
    .operands = verify_operands,
    .exits = verify_exits,
    .run = verify_run,
};
