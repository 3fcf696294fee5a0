/* model_alias.c -- `millrace model alias|promote|rollback|retire|tag|describe`: changes of what is published. */
#include "cmd/model_session.h"
#include "cmd/verb.h"

#include "base/assert.h"
#include "base/number.h"
#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHAMPION "champion"

/* What all of them do: open, resolve the first operand, change, say what is so now. */
typedef struct change {
    mr_session *session;
    mr_model_session models;
    mr_registry_ref ref;
    const char *why;
} change;

static mr_status report(change *self, const char *what, const char *alias, uint64_t from,
                        mr_error *err)
{
    mr_bytes line = {0};
    mr_status status = MR_OK;
    if (self->session->json) {
        mr_bytes_printf(&line, "{\"version\":%" PRIu64 ",\"from_version\":%" PRIu64,
                        self->ref.version, from);
        mr_model_json_text(&line, "name", self->ref.name);
        mr_model_json_text(&line, "change", what);
        mr_model_json_text(&line, "alias", alias);
        status = mr_model_json_end(self->session, &line, err);
    }
    mr_bytes_deinit(&line);
    return status;
}

static mr_status run_change(mr_session *session, bool resolved,
                            mr_status (*make)(change *self, mr_error *err), mr_error *err)
{
    change self = {.session = session, .why = mr_arguments_text(&session->arguments, "why")};
    const char *text = mr_arguments_operand(&session->arguments, 0);
    mr_status status = mr_model_session_open(&self.models, session, false, err);
    if (status == MR_OK && resolved)
        status = mr_registry_resolve(self.models.registry, text, &self.ref, err);
    if (status == MR_OK)
        status = make(&self, err);
    mr_model_session_close(&self.models);
    return status;
}

static const struct mr_operand model_operands[] = {
    {"MODEL", false, false, MR_MODEL_REF_HELP},
    {0},
};

static const struct mr_option why_options[] = {
    MR_MODEL_WHY_OPTION,
    {0},
};

/* ---- alias ---- */

static mr_status alias_now(change *self, const char *name, const char *alias, uint64_t *out,
                           mr_error *err)
{
    return mr_registry_alias_at(self->models.registry, name, alias, MR_LOG_OFFSET_NONE, out, err);
}

static mr_status set_alias(change *self, const char *alias, uint64_t expected, mr_error *err)
{
    uint64_t from;
    MR_TRY(alias_now(self, self->ref.name, alias, &from, err));
    MR_TRY(mr_registry_set_alias(self->models.registry, self->ref.name, alias, self->ref.version,
                                 expected, self->why, err));
    if (from > 0)
        mr_session_say(self->session, "%s@%s points to version %" PRIu64 ", before it was %" PRIu64,
                       self->ref.name, alias, self->ref.version, from);
    else
        mr_session_say(self->session, "%s@%s points to version %" PRIu64, self->ref.name, alias,
                       self->ref.version);
    return report(self, "alias", alias, from, err);
}

static mr_status read_expected(const mr_session *session, uint64_t *out, mr_error *err)
{
    int64_t expected = -1;
    MR_TRY(mr_arguments_int(&session->arguments, "expect", 0, INT64_MAX, &expected, err));
    *out = expected >= 0 ? (uint64_t)expected : MR_REGISTRY_ANY;
    return MR_OK;
}

static mr_status make_alias(change *self, mr_error *err)
{
    const char *alias = mr_arguments_operand(&self->session->arguments, 1);
    uint64_t expected;
    MR_TRY(read_expected(self->session, &expected, err));
    return set_alias(self, alias, expected, err);
}

static mr_status remove_alias(change *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    const char *name = mr_arguments_operand(arguments, 0),
               *alias = mr_arguments_operand(arguments, 1);
    uint64_t from, expected;
    MR_TRY(read_expected(self->session, &expected, err));
    (void)snprintf(self->ref.name, sizeof self->ref.name, "%.100s", name);
    MR_TRY(alias_now(self, name, alias, &from, err));
    MR_TRY(mr_registry_set_alias(self->models.registry, name, alias, 0, expected, self->why, err));
    mr_session_say(self->session, "%s has no alias %s any more; it was version %" PRIu64, name,
                   alias, from);
    return report(self, "alias", alias, from, err);
}

static mr_status alias_run(mr_session *session, mr_error *err)
{
    bool removed = mr_arguments_flag(&session->arguments, "remove");
    return run_change(session, !removed, removed ? remove_alias : make_alias, err);
}

static const struct mr_operand alias_operands[] = {
    {"MODEL", false, false, MR_MODEL_REF_HELP "; with --remove the NAME alone"},
    {"ALIAS", false, false, "a word: champion, challenger, or your own"},
    {0},
};

static const struct mr_option alias_options[] = {
    {"remove", '\0', NULL, NULL, NULL, "take the alias away"},
    {"expect", '\0', "VERSION", NULL, NULL,
     "change it only if it points to this version now (0: to none)"},
    MR_MODEL_WHY_OPTION,
    {0},
};

static const mr_example alias_examples[] = {
    {"millrace model alias fraud/7 challenger --why \"new features\"",
     "fraud@challenger is version 7"},
    {"millrace model alias fraud challenger --remove", "and is no more"},
    {0},
};

static const mr_verb_exit alias_exits[] = {
    {4, "it points there already"},
    {5, "the version is retired, or the alias is not where --expect says"},
    {0},
};

const struct mr_verb mr_verb_model_alias = {
    .name = "model alias",
    .summary = "point an alias to a version; whoever follows it takes that version",
    .operands = alias_operands,
    .options = alias_options,
    .examples = alias_examples,
    .exits = alias_exits,
    .run = alias_run,
};

/* ---- promote ---- */

static mr_status make_promotion(change *self, mr_error *err)
{
    uint64_t expected;
    MR_TRY(read_expected(self->session, &expected, err));
    return set_alias(self, CHAMPION, expected, err);
}

static mr_status promote_run(mr_session *session, mr_error *err)
{
    return run_change(session, true, make_promotion, err);
}

static const struct mr_option promote_options[] = {
    {"expect", '\0', "VERSION", NULL, NULL, "only if this version is the champion now (0: none)"},
    MR_MODEL_WHY_OPTION,
    {0},
};

static const mr_example promote_examples[] = {
    {"millrace model promote fraud@challenger --why \"better by 0.4 % for a week\"",
     "the challenger is the champion"},
    {0},
};

const struct mr_verb mr_verb_model_promote = {
    .name = "model promote",
    .summary = "make a version the champion",
    .operands = model_operands,
    .options = promote_options,
    .examples = promote_examples,
    .exits = alias_exits,
    .run = promote_run,
};

/* ---- rollback ---- */

static mr_status make_rollback(change *self, mr_error *err)
{
    char name[MR_REGISTRY_NAME_MAX], alias[MR_REGISTRY_NAME_MAX] = CHAMPION;
    const char *text = mr_arguments_operand(&self->session->arguments, 0), *at = strchr(text, '@');
    uint64_t from;
    (void)snprintf(name, sizeof name, "%.*s", at != NULL ? (int)MR_MIN(at - text, 100) : 100, text);
    if (at != NULL)
        (void)snprintf(alias, sizeof alias, "%.100s", at + 1);
    MR_TRY(alias_now(self, name, alias, &from, err));
    MR_TRY(mr_registry_rollback(self->models.registry, name, alias, self->why, &self->ref, err));
    mr_session_say(self->session, "%s@%s is back at version %" PRIu64 ", from %" PRIu64, name,
                   alias, self->ref.version, from);
    return report(self, "rollback", alias, from, err);
}

static mr_status rollback_run(mr_session *session, mr_error *err)
{
    return run_change(session, false, make_rollback, err);
}

static const struct mr_operand rollback_operands[] = {
    {"NAME[@ALIAS]", false, false, "the alias to move back; champion when not given"},
    {0},
};

static const mr_example rollback_examples[] = {
    {"millrace model rollback fraud --why \"too many blocks\"",
     "the champion is again what it was before"},
    {0},
};

static const mr_verb_exit rollback_exits[] = {
    {3, "it was nowhere else before, or only at versions that are retired"},
    {0},
};

const struct mr_verb mr_verb_model_rollback = {
    .name = "model rollback",
    .summary = "move an alias back to where it was before",
    .about = "Repeated, it goes further back. Versions that are retired are passed over.",
    .operands = rollback_operands,
    .options = why_options,
    .examples = rollback_examples,
    .exits = rollback_exits,
    .run = rollback_run,
};

/* ---- retire ---- */

static mr_status make_retirement(change *self, mr_error *err)
{
    MR_TRY(mr_registry_retire(self->models.registry, self->ref.name, self->ref.version, self->why,
                              err));
    mr_session_say(self->session, "%s/%" PRIu64 " is retired", self->ref.name, self->ref.version);
    return report(self, "retire", "", 0, err);
}

static mr_status retire_run(mr_session *session, mr_error *err)
{
    return run_change(session, true, make_retirement, err);
}

static const mr_verb_exit retire_exits[] = {
    {5, "an alias points to it, or it is retired already"},
    {0},
};

const struct mr_verb mr_verb_model_retire = {
    .name = "model retire",
    .summary = "say that a version is not to be used for anything new",
    .about = "Nothing is removed: what it decided can still be replayed. No alias can point to it "
             "any more.",
    .operands = model_operands,
    .options = why_options,
    .exits = retire_exits,
    .run = retire_run,
};

/* ---- tag ---- */

static mr_status make_tag(change *self, mr_error *err)
{
    char tag[MR_REGISTRY_NAME_MAX];
    const char *item = mr_arguments_operand(&self->session->arguments, 1),
               *equals = strchr(item, '=');
    if (equals == NULL || equals == item || equals - item >= (ptrdiff_t)sizeof tag)
        return MR_FAIL(err, MR_INVALID, "'%.120s' is no TAG=VALUE; TAG= takes a tag away", item);
    (void)snprintf(tag, sizeof tag, "%.*s", (int)(equals - item), item);
    MR_TRY(mr_registry_set_tag(self->models.registry, self->ref.name, self->ref.version, tag,
                               equals[1] != '\0' ? equals + 1 : NULL, self->why, err));
    mr_session_say(self->session, "%s/%" PRIu64 ": %s", self->ref.name, self->ref.version, item);
    return report(self, "tag", "", 0, err);
}

static mr_status tag_run(mr_session *session, mr_error *err)
{
    return run_change(session, true, make_tag, err);
}

static const struct mr_operand tag_operands[] = {
    {"MODEL", false, false, MR_MODEL_REF_HELP},
    {"TAG=VALUE", false, false, "TAG= takes it away"},
    {0},
};

const struct mr_verb mr_verb_model_tag = {
    .name = "model tag",
    .summary = "set a tag of a version, or take it away",
    .operands = tag_operands,
    .options = why_options,
    .run = tag_run,
};

/* ---- describe ---- */

static mr_status make_description(change *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    const char *name = mr_arguments_operand(arguments, 0);
    MR_TRY(mr_registry_describe(self->models.registry, name, mr_arguments_operand(arguments, 1),
                                self->why, err));
    (void)snprintf(self->ref.name, sizeof self->ref.name, "%.100s", name);
    return report(self, "describe", "", 0, err);
}

static mr_status describe_run(mr_session *session, mr_error *err)
{
    return run_change(session, false, make_description, err);
}

static const struct mr_operand describe_operands[] = {
    {"NAME", false, false, "the model"},
    {"TEXT", false, false, "what it is for"},
    {0},
};

const struct mr_verb mr_verb_model_describe = {
    .name = "model describe",
    .summary = "say what a model is for",
    .operands = describe_operands,
    .options = why_options,
    .run = describe_run,
};
