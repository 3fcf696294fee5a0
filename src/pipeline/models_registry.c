/* models_registry.c -- the registry as a pipeline sees it. */
#include "pipeline/models_registry.h"

#include "base/assert.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PURPOSE_BYTES 160

typedef struct models_registry {
    mr_models models; /* first: what the pipeline holds */
    mr_registry_options options;
    char *home, *principal, *process;
    char purpose[PURPOSE_BYTES];
    mr_registry *registry; /* NULL: nobody has asked yet, or there is none */
} models_registry;

static models_registry *of(mr_models *models)
{
    return (models_registry *)(void *)models;
}

/* ---- the registry, when it is first asked ---- */

static mr_status find_events(const models_registry *self, mr_error *err)
{
    mr_topic *topic = NULL;
    mr_status status = self->options.log != NULL
                           ? mr_topic_open(self->options.log, MR_REGISTRY_EVENTS, &topic, err)
                           : MR_NOT_FOUND;
    mr_topic_close(topic);
    return status != MR_NOT_FOUND
               ? status
               : MR_FAIL(err, MR_NOT_FOUND,
                         "home %s has no models yet; `millrace model push` makes the first",
                         self->home);
}

static mr_status reach(mr_models *models, mr_registry **out, mr_error *err)
{
    models_registry *self = of(models);
    if (self->registry == NULL) {
        MR_TRY(find_events(self, err));
        MR_TRY(mr_registry_open(&self->options, &self->registry, err));
    }
    *out = self->registry;
    return MR_OK;
}

mr_status mr_models_registry_get(mr_models *models, mr_registry **out, mr_error *err)
{
    return reach(models, out, err);
}

/* ---- versions ---- */

/* "fraud@7" is the registry's "fraud/7". */
static bool names_version(const char *text, char *out, size_t out_bytes)
{
    const char *at = strchr(text, '@');
    if (at == NULL || at[1] == '\0' || at[1 + strspn(at + 1, "0123456789")] != '\0')
        return false;
    int bytes = snprintf(out, out_bytes, "%.*s/%s", (int)(at - text), text, at + 1);
    return bytes > 0 && (size_t)bytes < out_bytes;
}

static mr_status resolve(mr_models *models, const char *text, mr_model_ref *out, mr_error *err)
{
    mr_registry *registry;
    mr_registry_ref ref;
    char version[2 * MR_REGISTRY_NAME_MAX];
    MR_TRY(reach(models, &registry, err));
    MR_TRY(mr_registry_resolve(
        registry, names_version(text, version, sizeof version) ? version : text, &ref, err));
    *out = (mr_model_ref){.version = ref.version};
    (void)snprintf(out->name, sizeof out->name, "%s", ref.name);
    (void)snprintf(out->hash, sizeof out->hash, "%s", ref.hash);
    return MR_OK;
}

static mr_status find_version(mr_registry *registry, const mr_model_ref *wanted,
                              mr_registry_ref *out, mr_error *err)
{
    char text[MR_MODEL_NAME_BYTES + 32];
    (void)snprintf(text, sizeof text, "%s/%" PRIu64, wanted->name, wanted->version);
    MR_TRY(mr_registry_resolve(registry, text, out, err));
    if (strcmp(out->hash, wanted->hash) == 0)
        return MR_OK;
    return MR_FAIL(err, MR_CONFLICT,
                   "the registry's %s has content %.12s, not %.12s, which was used before", text,
                   out->hash, wanted->hash);
}

static mr_status open_version(mr_models *models, const mr_model_ref *ref, mr_model **out,
                              mr_error *err)
{
    mr_registry *registry;
    mr_registry_ref found;
    *out = NULL;
    MR_TRY(reach(models, &registry, err));
    MR_TRY(find_version(registry, ref, &found, err));
    return mr_registry_open_model(registry, &found, of(models)->purpose, out, err);
}

/* ---- changes ---- */

static mr_status generation(mr_models *models, uint64_t *out, mr_error *err)
{
    mr_registry *registry;
    MR_TRY(reach(models, &registry, err));
    *out = mr_registry_end(registry);
    return MR_OK;
}

static const char *asked_for(const mr_registry_rollout *rollout)
{
    if (rollout->last == MR_ROLLOUT_ABORT || rollout->last == MR_ROLLOUT_FINISH)
        return "{}";
    return rollout->step[0] != '\0' ? rollout->step : rollout->spec;
}

/* JSON: that it is paused is one member more. */
static void write_rollout(const mr_registry_rollout *rollout, mr_bytes *out)
{
    const char *text = asked_for(rollout);
    bool paused = rollout->last == MR_ROLLOUT_PAUSE && text[0] == '{' && text[1] != '}';
    mr_bytes_append_text(out, paused ? "{\"state\":\"paused\"," : "");
    mr_bytes_append_text(out, text + paused);
}

static mr_status rollout(mr_models *models, const char *pipeline, mr_bytes *out, mr_error *err)
{
    mr_registry *registry;
    mr_registry_rollout found;
    mr_arena arena;
    MR_TRY(reach(models, &registry, err));
    mr_arena_init(&arena, 0);
    mr_status status = mr_registry_get_rollout(registry, pipeline, &arena, &found, err);
    if (status == MR_OK)
        write_rollout(&found, out);
    mr_arena_deinit(&arena);
    return status == MR_OK && out->failed ? MR_OUT_OF_MEMORY(err) : status;
}

/* What a pipeline did is an access to the version in question, with the place in its input. */
static mr_status report(mr_models *models, const mr_model_report *what, mr_error *err)
{
    mr_registry *registry;
    mr_registry_ref ref;
    mr_bytes detail = {0};
    MR_TRY(reach(models, &registry, err));
    MR_TRY(mr_registry_resolve(registry, what->model, &ref, err));
    mr_bytes_printf(&detail, "pipeline %s, position %" PRIu64, what->pipeline, what->position);
    if (what->text[0] != '\0')
        mr_bytes_printf(&detail, ": %s", what->text);
    const char *text = mr_bytes_text(&detail);
    mr_status status = text != NULL ? mr_registry_note_access(registry, &ref, what->kind, text, err)
                                    : MR_OUT_OF_MEMORY(err);
    mr_bytes_deinit(&detail);
    return status;
}

/* The alias of "fraud@champion" moves; that it stands there already is what was wanted. */
static mr_status move_alias(mr_registry *registry, const mr_model_act *what, mr_error *err)
{
    char name[MR_REGISTRY_NAME_MAX];
    const char *at = strchr(what->model, '@');
    if (at == NULL || (size_t)(at - what->model) >= sizeof name)
        return MR_FAIL(err, MR_INVALID, "%s names no alias that could move", what->model);
    (void)snprintf(name, sizeof name, "%.*s", (int)(at - what->model), what->model);
    mr_status status = mr_registry_set_alias(registry, name, at + 1, what->version, MR_REGISTRY_ANY,
                                             what->why, err);
    if (status == MR_EXISTS)
        mr_error_clear(err);
    return status == MR_EXISTS ? MR_OK : status;
}

static mr_status act(mr_models *models, const mr_model_act *what, mr_error *err)
{
    mr_registry *registry;
    mr_rollout_action action;
    MR_TRY(reach(models, &registry, err));
    if (!mr_rollout_action_parse(what->action, &action))
        return MR_FAIL(err, MR_INVALID, "'%s' is nothing a rollout can do", what->action);
    if (action == MR_ROLLOUT_SET)
        return mr_registry_set_rollout(registry, what->pipeline, what->detail, what->why, NULL,
                                       err);
    if (action == MR_ROLLOUT_FINISH)
        MR_TRY(move_alias(registry, what, err));
    return mr_registry_change_rollout(registry, what->pipeline, action, MR_REGISTRY_ANY,
                                      what->detail, what->why, NULL, err);
}

/* ---- birth and death ---- */

mr_status mr_models_registry_open(const mr_registry_options *options, mr_models **out,
                                  mr_error *err)
{
    *out = NULL;
    models_registry *self = MR_NEW(models_registry);
    if (self == NULL)
        return MR_OUT_OF_MEMORY(err);
    self->models = (mr_models){resolve, open_version, generation, rollout, report, act};
    self->options = *options;
    self->options.home = self->home = mr_strdup(options->home);
    self->options.principal = self->principal = mr_strdup(options->principal);
    if (options->process != NULL)
        self->options.process = self->process = mr_strdup(options->process);
    if (self->home == NULL || self->principal == NULL ||
        (options->process != NULL && self->process == NULL)) {
        mr_models_registry_close(&self->models);
        return MR_OUT_OF_MEMORY(err);
    }
    *out = &self->models;
    return MR_OK;
}

void mr_models_registry_close(mr_models *models)
{
    models_registry *self = of(models);
    if (self == NULL)
        return;
    mr_registry_close(self->registry);
    mr_free(self->home);
    mr_free(self->principal);
    mr_free(self->process);
    mr_free(self);
}

void mr_models_registry_for(mr_models *models, const char *what, const char *whom)
{
    models_registry *self = of(models);
    (void)snprintf(self->purpose, sizeof self->purpose, "%s%s%s", what, whom[0] != 0 ? " " : "",
                   whom);
}
