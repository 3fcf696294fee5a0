/* audit.c -- the three questions of an audit, a verb each: which model scored this record, which records trained this
 * model, who had it in hands. */
#include "cmd/verb.h"
#include "cmd/why.h"

#include "base/assert.h"
#include "base/time.h"
#include "data/encoder.h"
#include "model/facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void json_text(mr_bytes *out, const char *key, const char *text)
{
    mr_bytes_printf(out, "\"%s\":", key);
    mr_encode_json_text(text, strlen(text), out);
}

static mr_status print(mr_session *session, mr_bytes *text, mr_status status, mr_error *err)
{
    if (status == MR_OK && text->failed)
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        mr_output_bytes(&session->out, text->data, text->size);
    mr_bytes_deinit(text);
    return status;
}

/* ---- which model scored this record ---- */

static void write_time(int64_t us, mr_bytes *out)
{
    char text[MR_TIME_TEXT_MAX];
    mr_bytes_append(out, text, mr_time_format(us, text));
}

static void scored_event_json(const char *key, const why_event *event, mr_bytes *out)
{
    if (!event->found)
        return;
    mr_bytes_printf(out, ",\"%s\":{\"at\":\"", key);
    write_time(event->at_us, out);
    mr_bytes_append_text(out, "\",");
    json_text(out, "who", event->who);
    mr_bytes_append_byte(out, ',');
    json_text(out, "why", event->why);
    mr_bytes_printf(out, ",\"event\":%" PRIu64 "}", event->offset);
}

static void scored_json(const why *self, const why_version *version, mr_bytes *out)
{
    mr_bytes_append_byte(out, '{');
    json_text(out, "topic", self->topic);
    mr_bytes_printf(out, ",\"offset\":%" PRIu64 ",", self->offset);
    json_text(out, "pipeline", self->pipeline);
    if (self->origin_known)
        mr_bytes_printf(out, ",\"position\":%" PRIu64, self->origin.position);
    if (version == NULL) {
        mr_bytes_append_text(out, ",\"model\":null}\n");
        return;
    }
    mr_bytes_append_byte(out, ',');
    json_text(out, "model", version->ref.name);
    mr_bytes_printf(out, ",\"version\":%" PRIu64 ",", version->ref.version);
    json_text(out, "role", version->role);
    mr_bytes_append_byte(out, ',');
    json_text(out, "content", version->ref.hash);
    scored_event_json("placed", &self->placed, out);
    scored_event_json("published", &self->published, out);
    mr_bytes_append_text(out, "}\n");
}

static void scored_event_text(const char *what, const why_event *event, mr_bytes *out)
{
    if (!event->found)
        return;
    mr_bytes_printf(out, "  %s ", what);
    write_time(event->at_us, out);
    mr_bytes_printf(out, " by %s%s%s\n", event->who, event->why[0] != '\0' ? ": " : "", event->why);
}

static void scored_text(const why *self, const why_version *version, mr_bytes *out)
{
    mr_bytes_printf(out, "%s %" PRIu64 ": ", self->topic, self->offset);
    if (version == NULL) {
        mr_bytes_printf(out, "pipeline %s scores nothing\n", self->pipeline);
        return;
    }
    mr_bytes_append_text(out, version->ref.name);
    if (version->ref.version != 0)
        mr_bytes_printf(out, "/%" PRIu64, version->ref.version);
    mr_bytes_printf(out, ", %s in pipeline %s\n", version->role, self->pipeline);
    if (version->ref.hash[0] != '\0')
        mr_bytes_printf(out, "  content %s\n", version->ref.hash);
    scored_event_text("put there", &self->placed, out);
    scored_event_text("published", &self->published, out);
}

static mr_status scored_body(why *self, mr_error *err)
{
    mr_bytes out = {0};
    why_find_record(self);
    MR_TRY(why_find_models(self, err));
    const why_version *version = self->decider >= 0 ? &self->versions[self->decider] : NULL;
    (self->session->json ? scored_json : scored_text)(self, version, &out);
    return print(self->session, &out, MR_OK, err);
}

static mr_status scored_run(mr_session *session, mr_error *err)
{
    return why_with(session, scored_body, err);
}

static const struct mr_operand scored_operands[] = {
    {"TOPIC", false, false, "a sink of a pipeline: its decisions"},
    {"OFFSET", true, false, "of the record; or say --where"},
    {0},
};

static const struct mr_option scored_options[] = {WHY_OPTIONS, {0}};

static const mr_example scored_examples[] = {
    {"millrace audit scored decisions 4711 --json", "name, version, role and content"},
    {0},
};

const struct mr_verb mr_verb_audit_scored = {
    .name = "audit scored",
    .summary = "tell which model scored a record, and who put it there",
    .operands = scored_operands,
    .options = scored_options,
    .examples = scored_examples,
    .run = scored_run,
};

/* ---- the registry ---- */

typedef struct audit {
    mr_session *session;
    mr_log *log;
    mr_models *models;
    mr_registry *registry;
    mr_arena arena;
} audit;

static mr_status with_registry(mr_session *session, mr_status (*body)(audit *self, mr_error *err),
                               mr_error *err)
{
    audit self = {.session = session};
    mr_arena_init(&self.arena, 0);
    mr_status status = mr_session_open_log(session, false, &self.log, err);
    if (status == MR_OK)
        status = mr_session_models(session, self.log, "audit", &self.models, err);
    if (status == MR_OK)
        status = mr_models_registry_get(self.models, &self.registry, err);
    if (status == MR_OK)
        status = body(&self, err);
    mr_models_registry_close(self.models);
    mr_log_close(self.log);
    mr_arena_deinit(&self.arena);
    return status;
}

/* ---- which records trained this model ---- */

typedef struct trained {
    audit *audit;
    mr_bytes out;
} trained;

/* Some facts are one text: `data: rows.csv`. */
static const char *const fact_names[] = {"data",    "training_rows",   "split",       "label",
                                         "library", "library_version", "code_version"};

static void trained_json(const mr_registry_version *version, const mr_yaml *facts, mr_bytes *out)
{
    const mr_yaml *data = mr_yaml_get(facts, "training_data");
    mr_bytes_append_byte(out, '{');
    json_text(out, "model", version->name);
    mr_bytes_printf(out, ",\"version\":%" PRIu64 ",", version->version);
    json_text(out, "content", version->hash);
    mr_bytes_append_text(out, ",\"training_data\":");
    if (data != NULL)
        mr_facts_json(data, out);
    else
        mr_bytes_append_text(out, "null");
    for (size_t i = 0; i < MR_COUNT_OF(fact_names); i++) {
        const char *text = mr_facts_text(facts, fact_names[i]);
        if (text == NULL)
            continue;
        mr_bytes_append_byte(out, ',');
        json_text(out, fact_names[i], text);
    }
    mr_bytes_append_text(out, "}\n");
}

static void trained_text(const mr_registry_version *version, const mr_yaml *facts, mr_bytes *out)
{
    const mr_yaml *data = mr_yaml_get(facts, "training_data");
    mr_bytes_printf(out, "%s/%" PRIu64 ", content %s\n", version->name, version->version,
                    version->hash);
    for (const mr_yaml *source = data != NULL ? data->first : NULL; source != NULL;
         source = source->next) {
        mr_bytes_append_text(out, " ");
        for (const mr_yaml *fact = source->first; fact != NULL; fact = fact->next)
            if (fact->kind == MR_YAML_SCALAR)
                mr_bytes_printf(out, " %s %s", fact->key, fact->text);
        mr_bytes_append_byte(out, '\n');
    }
    if (data == NULL)
        mr_bytes_append_text(out, "  its model.yaml names no training_data\n");
    for (size_t i = 0; i < MR_COUNT_OF(fact_names); i++)
        if (mr_facts_text(facts, fact_names[i]) != NULL)
            mr_bytes_printf(out, "  %s: %s\n", fact_names[i], mr_facts_text(facts, fact_names[i]));
}

static mr_status see_version(void *context, const mr_registry_version *version, mr_error *err)
{
    trained *self = context;
    mr_yaml *facts = NULL;
    if (version->facts[0] != '\0')
        MR_TRY(mr_yaml_parse(version->facts, strlen(version->facts), "model.yaml",
                             &self->audit->arena, &facts, err));
    (self->audit->session->json ? trained_json : trained_text)(version, facts, &self->out);
    return MR_OK;
}

static mr_status trained_body(audit *self, mr_error *err)
{
    mr_registry_ref ref;
    trained collected = {.audit = self};
    MR_TRY(mr_registry_resolve(self->registry, mr_arguments_operand(&self->session->arguments, 0),
                               &ref, err));
    mr_status status = mr_registry_version_get(self->registry, ref.name, ref.version, see_version,
                                               &collected, err);
    return print(self->session, &collected.out, status, err);
}

static mr_status trained_run(mr_session *session, mr_error *err)
{
    return with_registry(session, trained_body, err);
}

static const struct mr_operand trained_operands[] = {
    {"MODEL", false, false, "name (its champion), name@alias or name/version"},
    {0},
};

static const mr_example trained_examples[] = {
    {"millrace audit trained fraud@champion", "topics with their offsets, files with their hashes"},
    {0},
};

const struct mr_verb mr_verb_audit_trained = {
    .name = "audit trained",
    .summary = "tell which records trained a model",
    .operands = trained_operands,
    .examples = trained_examples,
    .run = trained_run,
};

/* ---- who had it in hands ---- */

/* A change or an access; texts in the arena. */
typedef struct act {
    int64_t at_us;
    size_t order; /* of equal times */
    const char *action, *who, *process, *detail;
    uint64_t version;
} act;

typedef struct acts {
    audit *audit;
    mr_bytes list;
} acts;

static mr_status add_act(acts *self, act what, mr_error *err)
{
    mr_arena *arena = &self->audit->arena;
    const char **const texts[] = {&what.action, &what.who, &what.process, &what.detail};
    for (size_t i = 0; i < MR_COUNT_OF(texts); i++)
        if ((*texts[i] = mr_arena_strdup(arena, *texts[i])) == NULL)
            return MR_OUT_OF_MEMORY(err);
    what.order = self->list.size / sizeof what;
    mr_bytes_append(&self->list, &what, sizeof what);
    return self->list.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

static mr_status see_access(void *context, const mr_registry_access *access, mr_error *err)
{
    return add_act(context,
                   (act){.at_us = access->at_us,
                         .action = access->action,
                         .who = access->who,
                         .process = access->process,
                         .detail = access->detail,
                         .version = access->version},
                   err);
}

static mr_status see_change(void *context, const mr_registry_event *event, mr_error *err)
{
    acts *self = context;
    mr_bytes detail = {0};
    if (event->kind == MR_REGISTRY_ALIAS)
        mr_bytes_printf(&detail, "%s from version %" PRIu64 "%s", event->alias, event->from_version,
                        event->why[0] != '\0' ? ": " : "");
    mr_bytes_append_text(&detail, event->why);
    const char *text = mr_bytes_text(&detail);
    mr_status status = text == NULL ? MR_OUT_OF_MEMORY(err)
                                    : add_act(self,
                                              (act){.at_us = event->at_us,
                                                    .action = mr_registry_kind_text(event->kind),
                                                    .who = event->who,
                                                    .process = "",
                                                    .detail = text,
                                                    .version = event->version},
                                              err);
    mr_bytes_deinit(&detail);
    return status;
}

static int by_time(const void *a, const void *b)
{
    const act *left = a, *right = b;
    if (left->at_us != right->at_us)
        return left->at_us < right->at_us ? -1 : 1;
    return (left->order > right->order) - (left->order < right->order);
}

static void act_json(const char *name, const act *what, mr_bytes *out)
{
    mr_bytes_append_text(out, "{\"at\":\"");
    write_time(what->at_us, out);
    mr_bytes_append_text(out, "\",");
    json_text(out, "action", what->action);
    mr_bytes_append_byte(out, ',');
    json_text(out, "model", name);
    mr_bytes_printf(out, ",\"version\":%" PRIu64 ",", what->version);
    json_text(out, "who", what->who);
    mr_bytes_append_byte(out, ',');
    json_text(out, "process", what->process);
    mr_bytes_append_byte(out, ',');
    json_text(out, "detail", what->detail);
    mr_bytes_append_text(out, "}\n");
}

static void act_text(const char *name, const act *what, mr_bytes *out)
{
    write_time(what->at_us, out);
    mr_bytes_printf(out, "  %-9s %s/%" PRIu64 "  %s", what->action, name, what->version, what->who);
    if (what->process[0] != '\0')
        mr_bytes_printf(out, " (%s)", what->process);
    mr_bytes_printf(out, "%s%s\n", what->detail[0] != '\0' ? "  " : "", what->detail);
}

static mr_status access_body(audit *self, mr_error *err)
{
    mr_registry_ref ref = {0};
    acts collected = {.audit = self};
    mr_bytes out = {0};
    const char *text = mr_arguments_operand(&self->session->arguments, 0);
    bool one = strpbrk(text, "@/") != NULL;
    if (one)
        MR_TRY(mr_registry_resolve(self->registry, text, &ref, err));
    const char *name = one ? ref.name : text;
    mr_status status = mr_registry_history(self->registry, name, see_change, &collected, err);
    if (status == MR_OK)
        status = mr_registry_accesses(self->registry, name, 0, see_access, &collected, err);
    act *list = (act *)(void *)collected.list.data;
    size_t count = collected.list.size / sizeof *list;
    if (status == MR_OK && count == 0)
        status = MR_FAIL(err, MR_NOT_FOUND, "there is no model %s", name);
    if (status == MR_OK)
        qsort(list, count, sizeof *list, by_time);
    for (size_t i = 0; i < count && status == MR_OK; i++)
        if (!one || list[i].version == ref.version)
            (self->session->json ? act_json : act_text)(name, &list[i], &out);
    mr_bytes_deinit(&collected.list);
    return print(self->session, &out, status, err);
}

static mr_status access_run(mr_session *session, mr_error *err)
{
    return with_registry(session, access_body, err);
}

static const struct mr_operand access_operands[] = {
    {"MODEL", false, false, "a name; name@alias or name/version for one version"},
    {0},
};

static const mr_example access_examples[] = {
    {"millrace audit access fraud", "who read, moved, exported or scored with it, and when"},
    {0},
};

const struct mr_verb mr_verb_audit_access = {
    .name = "audit access",
    .summary = "tell who read, moved or downloaded a model, and when",
    .about = "Changes (publish, alias, tag, retire) and accesses in the order of their times. A "
             "pipeline opens a version when it begins to play in it, and says so with its name.",
    .operands = access_operands,
    .examples = access_examples,
    .run = access_run,
};
