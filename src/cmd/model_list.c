/* model_list.c -- `millrace model list` and `millrace model show`. */
#include "cmd/model_session.h"
#include "cmd/verb.h"

#include "base/assert.h"
#include "base/time.h"
#include "data/encoder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct lister {
    mr_session *session;
    mr_bytes line;
    size_t count;
} lister;

/* ---- list: names ---- */

static mr_status list_model(void *context, const mr_registry_model *model, mr_error *err)
{
    lister *self = context;
    char time[MR_TIME_TEXT_MAX + 1], champion[32] = "no champion";
    self->count++;
    if (self->session->json) {
        mr_bytes_printf(&self->line,
                        "{\"versions\":%" PRIu64 ",\"newest\":%" PRIu64 ",\"champion\":%" PRIu64,
                        model->version_count, model->newest, model->champion);
        mr_model_json_text(&self->line, "name", model->name);
        mr_model_json_text(&self->line, "description", model->description);
        mr_model_json_time(&self->line, "changed", model->changed_us);
        return mr_model_json_end(self->session, &self->line, err);
    }
    if (model->champion > 0)
        (void)snprintf(champion, sizeof champion, "champion %" PRIu64, model->champion);
    mr_output_printf(&self->session->out, "%-24s %4" PRIu64 " version%s %-14s %s  %s\n",
                     model->name, model->version_count, model->version_count == 1 ? " " : "s",
                     champion, mr_model_time(model->changed_us, time), model->description);
    return MR_OK;
}

/* ---- list: versions ---- */

static void json_version(const mr_registry_version *version, mr_bytes *line)
{
    mr_bytes_printf(line,
                    "{\"version\":%" PRIu64 ",\"event\":%" PRIu64 ",\"bytes\":%" PRIu64
                    ",\"retired\":%s,\"tags\":%s,\"facts\":%s",
                    version->version, version->event, version->bytes,
                    version->retired ? "true" : "false",
                    version->tags[0] != '\0' ? version->tags : "{}",
                    version->facts[0] != '\0' ? version->facts : "{}");
    mr_model_json_text(line, "name", version->name);
    mr_model_json_text(line, "hash", version->hash);
    mr_model_json_text(line, "family", version->family);
    mr_model_json_text(line, "description", version->description);
    mr_model_json_text(line, "aliases", version->aliases);
    mr_model_json_text(line, "who", version->who);
    mr_model_json_text(line, "why", version->why);
    mr_model_json_time(line, "published", version->published_us);
}

static mr_status list_version(void *context, const mr_registry_version *version, mr_error *err)
{
    lister *self = context;
    char time[MR_TIME_TEXT_MAX + 1], reference[2 * MR_REGISTRY_NAME_MAX];
    self->count++;
    if (self->session->json) {
        json_version(version, &self->line);
        return mr_model_json_end(self->session, &self->line, err);
    }
    (void)snprintf(reference, sizeof reference, "%s/%" PRIu64, version->name, version->version);
    mr_output_printf(&self->session->out, "%-24s %-10s %.12s  %s  %s%s%s%s%s\n", reference,
                     version->family, version->hash, mr_model_time(version->published_us, time),
                     version->retired ? "retired " : "", version->aliases,
                     version->aliases[0] != '\0' && version->description[0] != '\0' ? "  " : "",
                     version->description, "");
    return MR_OK;
}

static mr_status list_all(lister *self, mr_model_session *models, mr_error *err)
{
    const char *name = mr_arguments_operand(&self->session->arguments, 0);
    MR_TRY(mr_model_session_open(models, self->session, false, err));
    return name != NULL ? mr_registry_versions(models->registry, name, list_version, self, err)
                        : mr_registry_models(models->registry, list_model, self, err);
}

static mr_status list_run(mr_session *session, mr_error *err)
{
    lister self = {.session = session};
    mr_model_session models = {0};
    mr_status status = list_all(&self, &models, err);
    mr_model_session_close(&models);
    mr_bytes_deinit(&self.line);
    return status;
}

static const struct mr_operand list_operands[] = {
    {"NAME", true, false, "the versions of this model, newest first; all models when not given"},
    {0},
};

const struct mr_verb mr_verb_model_list = {
    .name = "model list",
    .summary = "list the models, or the versions of one",
    .operands = list_operands,
    .run = list_run,
};

/* ---- show ---- */

/* A JSON object over several lines, as people read it; the text is JSON that was checked when it came in. */
static void show_json(mr_output *out, const char *json)
{
    int depth = 0;
    bool quoted = false;
    for (const char *c = json; *c != '\0'; c++) {
        bool opens = !quoted && (*c == '{' || *c == '['),
             closes = !quoted && (*c == '}' || *c == ']');
        if (*c == '"')
            quoted = !quoted;
        depth -= closes;
        bool broken = depth < 2;
        if (closes && broken)
            mr_output_printf(out, "\n%*s", 2 + 2 * depth, "");
        mr_output_bytes(out, c, 1);
        if (quoted && *c == '\\' && c[1] != '\0')
            mr_output_bytes(out, ++c, 1);
        else if (opens && depth < 2)
            mr_output_printf(out, "\n%*s", 4 + 2 * depth, "");
        else if (!quoted && *c == ',' && broken)
            mr_output_printf(out, "\n%*s", 2 + 2 * depth, "");
        else if (!quoted && (*c == ',' || *c == ':'))
            mr_output_text(out, " ");
        depth += opens;
    }
    mr_output_text(out, "\n");
}

static void show_text(mr_session *session, const mr_registry_version *version)
{
    mr_output *out = &session->out;
    char time[MR_TIME_TEXT_MAX + 1], size[32];
    mr_output_printf(out, "model         %s/%" PRIu64 "%s\n", version->name, version->version,
                     version->retired ? " (retired)" : "");
    if (version->description[0] != '\0')
        mr_output_printf(out, "description   %s\n", version->description);
    mr_output_printf(out, "family        %s\naliases       %s\n", version->family,
                     version->aliases[0] != '\0' ? version->aliases : "none");
    if (version->tags[0] != '\0' && strcmp(version->tags, "{}") != 0)
        mr_output_printf(out, "tags          %s\n", version->tags);
    mr_output_printf(out, "published     %s by %s%s%s\n",
                     mr_model_time(version->published_us, time), version->who,
                     version->why[0] != '\0' ? ": " : "", version->why);
    mr_output_printf(out, "artifact      %s, %s\nfacts         ", version->hash,
                     mr_text_size(version->bytes, size));
    show_json(out, version->facts);
}

typedef struct shower {
    mr_session *session;
    mr_bytes line;
    uint64_t version;
} shower;

static mr_status show_version(void *context, const mr_registry_version *version, mr_error *err)
{
    shower *self = context;
    if (!self->session->json) {
        show_text(self->session, version);
        return MR_OK;
    }
    json_version(version, &self->line);
    return mr_model_json_end(self->session, &self->line, err);
}

static bool concerns(const shower *self, const mr_registry_event *event)
{
    return event->version == self->version ||
           (event->kind == MR_REGISTRY_ALIAS && event->from_version == self->version) ||
           event->kind == MR_REGISTRY_DESCRIBE;
}

static void show_move(mr_output *out, const mr_registry_event *event)
{
    if (event->from_version > 0)
        mr_output_printf(out, "%s %" PRIu64 " -> ", event->alias, event->from_version);
    else
        mr_output_printf(out, "%s -> ", event->alias);
    if (event->version > 0)
        mr_output_printf(out, "%" PRIu64, event->version);
    else
        mr_output_text(out, "removed");
}

static mr_status show_event(void *context, const mr_registry_event *event, mr_error *err)
{
    shower *self = context;
    mr_output *out = &self->session->out;
    char time[MR_TIME_TEXT_MAX + 1];
    if (!concerns(self, event))
        return MR_OK;
    if (self->session->json) {
        mr_bytes_printf(&self->line,
                        "{\"event\":%" PRIu64 ",\"version\":%" PRIu64 ",\"from_version\":%" PRIu64,
                        event->offset, event->version, event->from_version);
        mr_model_json_text(&self->line, "kind", mr_registry_kind_text(event->kind));
        mr_model_json_time(&self->line, "at", event->at_us);
        mr_model_json_text(&self->line, "alias", event->alias);
        mr_model_json_text(&self->line, "who", event->who);
        mr_model_json_text(&self->line, "why", event->why);
        return mr_model_json_end(self->session, &self->line, err);
    }
    mr_output_printf(out, "%6" PRIu64 "  %-27s %-10s ", event->offset,
                     mr_model_time(event->at_us, time), mr_registry_kind_text(event->kind));
    if (event->kind == MR_REGISTRY_ALIAS)
        show_move(out, event);
    mr_output_printf(out, "  by %s%s%s\n", event->who, event->why[0] != '\0' ? ": " : "",
                     event->why);
    return MR_OK;
}

static mr_status show_model(shower *self, mr_model_session *models, mr_error *err)
{
    mr_registry_ref ref;
    const char *text = mr_arguments_operand(&self->session->arguments, 0);
    MR_TRY(mr_model_session_open(models, self->session, false, err));
    MR_TRY(mr_registry_resolve(models->registry, text, &ref, err));
    self->version = ref.version;
    MR_TRY(
        mr_registry_version_get(models->registry, ref.name, ref.version, show_version, self, err));
    if (!mr_arguments_flag(&self->session->arguments, "history"))
        return MR_OK;
    if (!self->session->json)
        mr_output_text(&self->session->out, "history\n");
    return mr_registry_history(models->registry, ref.name, show_event, self, err);
}

static mr_status show_run(mr_session *session, mr_error *err)
{
    shower self = {.session = session};
    mr_model_session models = {0};
    mr_status status = show_model(&self, &models, err);
    mr_model_session_close(&models);
    mr_bytes_deinit(&self.line);
    return status;
}

static const struct mr_operand show_operands[] = {
    {"MODEL", false, false, MR_MODEL_REF_HELP},
    {0},
};

static const struct mr_option show_options[] = {
    {"history", '\0', NULL, NULL, NULL,
     "also the events about this version: who, when, why, from, to"},
    {0},
};

const struct mr_verb mr_verb_model_show = {
    .name = "model show",
    .summary = "show what a version is, and with --history what happened to it",
    .operands = show_operands,
    .options = show_options,
    .run = show_run,
};
