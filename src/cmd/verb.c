/* verb.c -- the table of verbs, and the way from argv to one of them and to an exit code. */
#include "cmd/verb.h"

#include "base/assert.h"
#include "base/notice.h"
#include "cmd/help.h"
#include "os/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table: help lists the verbs in this order ---- */

/* clang-format off */
#define MR_VERB_MAP(X)                                                                             \
    X(demo)                                                                                        \
    X(run)                                                                                         \
    X(plan)                                                                                        \
    X(topic_create)                                                                                \
    X(topic_list)                                                                                  \
    X(topic_show)                                                                                  \
    X(topic_delete)                                                                                \
    X(produce)                                                                                     \
    X(consume)                                                                                     \
    X(features_get)                                                                                \
    X(features_list)                                                                               \
    X(simulate_cards)                                                                              \
    X(train)                                                                                       \
    X(why)                                                                                         \
    X(audit_scored)                                                                                \
    X(audit_trained)                                                                               \
    X(audit_access)                                                                                \
    X(model_stats)                                                                                 \
    X(score)                                                                                       \
    X(explain)                                                                                     \
    X(model_push)                                                                                  \
    X(model_list)                                                                                  \
    X(model_show)                                                                                  \
    X(model_alias)                                                                                 \
    X(model_promote)                                                                               \
    X(model_rollback)                                                                              \
    X(model_retire)                                                                                \
    X(model_tag)                                                                                   \
    X(model_describe)                                                                              \
    X(model_diff)                                                                                  \
    X(model_export)                                                                                \
    X(model_import)                                                                                \
    X(model_verify)                                                                                \
    X(scrub)                                                                                       \
    X(help)                                                                                        \
    X(completion)                                                                                  \
    X(version)
/* clang-format on */

#define X(name) extern const struct mr_verb mr_verb_##name;
MR_VERB_MAP(X)
#undef X

static const struct mr_verb *const verbs[] = {
#define X(name) &mr_verb_##name,
    MR_VERB_MAP(X)
#undef X
};

const struct mr_option mr_global_options[] = {
    {"home", '\0', "DIR", ".millrace", "MILLRACE_HOME",
     "the folder that holds topics, state, models and runs"},
    {"principal", '\0', "WHO", NULL, "MILLRACE_PRINCIPAL",
     "in whose name changes and accesses to models are recorded; without it, the user's"},
    {"json", '\0', NULL, NULL, NULL, "write data as JSON, one object a line"},
    {"quiet", 'q', NULL, NULL, NULL, "say nothing on stderr but errors"},
    {"verbose", 'v', NULL, NULL, NULL, "say more on stderr"},
    {"help", 'h', NULL, NULL, NULL, "show the help of the verb"},
    {"version", '\0', NULL, NULL, NULL, "show the version"},
    {0},
};

const struct mr_verb *const *mr_verbs(size_t *out_count)
{
    *out_count = MR_COUNT_OF(verbs);
    return verbs;
}

bool mr_verb_is_group(const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < MR_COUNT_OF(verbs); i++)
        if (strncmp(verbs[i]->name, name, size) == 0 && verbs[i]->name[size] == ' ')
            return true;
    return false;
}

static bool named_by(const struct mr_verb *verb, int argc, char *const *argv, int words)
{
    char name[64];
    if (argc < words)
        return false;
    (void)snprintf(name, sizeof name, "%s%s%s", argv[0], words > 1 ? " " : "",
                   words > 1 ? argv[1] : "");
    return strcmp(name, verb->name) == 0;
}

const struct mr_verb *mr_verb_find(int argc, char *const *argv, int *out_words)
{
    for (*out_words = 2; *out_words >= 1; (*out_words)--)
        for (size_t i = 0; i < MR_COUNT_OF(verbs); i++)
            if (named_by(verbs[i], argc, argv, *out_words))
                return verbs[i];
    return NULL;
}

/* ---- from argv to a verb ---- */

static mr_status fail_unknown_verb(int argc, char *const *argv, mr_error *err)
{
    const char *names[MR_COUNT_OF(verbs) + 1] = {0};
    char full[128];
    for (size_t i = 0; i < MR_COUNT_OF(verbs); i++)
        names[i] = verbs[i]->name;
    bool two = argc > 1 && mr_verb_is_group(argv[0]);
    (void)snprintf(full, sizeof full, "%s%s%s", argv[0], two ? " " : "", two ? argv[1] : "");
    const char *near = mr_suggest(full, names);
    if (mr_verb_is_group(argv[0]) && near == NULL)
        return MR_FAIL(err, MR_INVALID,
                       "millrace %s wants one more word; `millrace help %s` lists them", argv[0],
                       argv[0]);
    if (near != NULL)
        return MR_FAIL(err, MR_INVALID, "there is no verb '%s'; did you mean '%s'?", full, near);
    return MR_FAIL(err, MR_INVALID, "there is no verb '%s'; `millrace help` lists them", full);
}

/* Global options may stand in front of the verb: they are moved behind it. Returns where the verb
 * stands. */
static int skip_leading_options(int argc, char **argv)
{
    int at = 0;
    while (at < argc && argv[at][0] == '-' && argv[at][1] != '\0' && strcmp(argv[at], "--") != 0) {
        bool value_follows =
            strcmp(argv[at], "--home") == 0 || strcmp(argv[at], "--principal") == 0;
        at += value_follows ? 2 : 1;
    }
    return MR_MIN(at, argc);
}

static void rotate_left(char **argv, int argc, int by)
{
    for (int round = 0; round < by; round++) {
        char *first = argv[0];
        memmove(argv, argv + 1, sizeof argv[0] * (size_t)(argc - 1));
        argv[argc - 1] = first;
    }
}

/* Options in front of the verb go behind it, but in front of a "--" and what follows that. */
static void move_leading_options(int argc, char **argv)
{
    int leading = skip_leading_options(argc, argv);
    int end = leading;
    while (end < argc && strcmp(argv[end], "--") != 0)
        end++;
    if (leading < end)
        rotate_left(argv, end, leading);
}

/* What is logged: MILLRACE_LOG says, else warnings, and with --verbose what happens. */
static mr_status apply_log(const mr_session *session, mr_error *err)
{
    const char *words = getenv("MILLRACE_LOG");
    if (words == NULL || words[0] == '\0')
        words = session->quiet ? "error" : session->verbose ? "info" : "warn";
    mr_status status = mr_notice_configure(words, err);
    if (status != MR_OK)
        mr_error_prefix(err, "MILLRACE_LOG");
    return status;
}

static mr_status apply_principal(mr_session *session, mr_error *err)
{
    const char *who = mr_arguments_text(&session->arguments, "principal");
    if (who == NULL || who[0] == '\0')
        mr_process_user(session->principal, sizeof session->principal);
    else if (strlen(who) < sizeof session->principal)
        (void)snprintf(session->principal, sizeof session->principal, "%s", who);
    else
        return MR_FAIL(err, MR_INVALID, "--principal has %zu bytes; %zu are the limit", strlen(who),
                       sizeof session->principal - 1);
    return MR_OK;
}

static mr_status apply_globals(mr_session *session, mr_error *err)
{
    const mr_arguments *arguments = &session->arguments;
    session->home = mr_arguments_text(arguments, "home");
    MR_TRY(apply_principal(session, err));
    session->json = mr_arguments_flag(arguments, "json");
    session->quiet = mr_arguments_flag(arguments, "quiet");
    session->verbose = mr_arguments_flag(arguments, "verbose");
    return apply_log(session, err);
}

static mr_status run_verb(mr_session *session, const struct mr_verb *verb, int argc, char **argv,
                          mr_error *err)
{
    MR_TRY(mr_arguments_parse(&session->arguments, verb, argc, argv, err));
    MR_TRY(apply_globals(session, err));
    if (mr_arguments_flag(&session->arguments, "help"))
        return mr_help_verb(&session->out, verb);
    MR_TRY(mr_arguments_check(&session->arguments, err));
    return verb->run(session, err);
}

/* No verb: `millrace`, `millrace --version`, `millrace --help`, `millrace topic`. */
static mr_status run_nothing(mr_session *session, int argc, char **argv, mr_error *err)
{
    bool group = argc > 0 && mr_verb_is_group(argv[0]) && (argc == 1 || argv[1][0] == '-');
    if (group)
        return mr_help_group(&session->out, argv[0]);
    MR_TRY(mr_arguments_parse(&session->arguments, NULL, argc, argv, err));
    MR_TRY(apply_globals(session, err));
    if (mr_arguments_flag(&session->arguments, "version"))
        return mr_verb_version.run(session, err);
    if (session->arguments.operand_count > 0)
        return fail_unknown_verb((int)session->arguments.operand_count, argv, err);
    return mr_help_overview(&session->out);
}

static mr_status dispatch(mr_session *session, int argc, char **argv, mr_error *err)
{
    int words = 0;
    move_leading_options(argc, argv);
    const struct mr_verb *verb = argc > 0 ? mr_verb_find(argc, argv, &words) : NULL;
    if (verb != NULL)
        return run_verb(session, verb, argc - words, argv + words, err);
    return run_nothing(session, argc, argv, err);
}

#define CALL_WORDS_MAX 64

mr_status mr_verb_call(mr_session *session, const char *line, mr_error *err)
{
    char text[2048], *words[CALL_WORDS_MAX];
    int count = 0, used = 0;
    MR_ASSERT(strlen(line) < sizeof text);
    (void)snprintf(text, sizeof text, "%s", line);
    char *rest = text;
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        MR_ASSERT(count < CALL_WORDS_MAX);
        words[count++] = word;
    }
    move_leading_options(count, words);
    const struct mr_verb *verb = mr_verb_find(count, words, &used);
    MR_ASSERT(verb != NULL);
    mr_session caller = *session;
    mr_status status = run_verb(session, verb, count - used, words + used, err);
    session->arguments = caller.arguments;
    session->home = caller.home;
    memcpy(session->principal, caller.principal, sizeof session->principal);
    session->json = caller.json;
    session->quiet = caller.quiet;
    session->verbose = caller.verbose;
    return status;
}

/* ---- ending ---- */

static void say_error(mr_session *session, const mr_error *err)
{
    char text[MR_ERROR_TEXT_MAX + MR_ERROR_PLACE_MAX + 4];
    mr_error_format(err, text, sizeof text);
    mr_output_colour(&session->say, MR_COLOUR_RED, "error:");
    mr_output_printf(&session->say, " %s\n", text);
    if (mr_output_flush(&session->say) != MR_NO_MEMORY)
        return;
    /* Not even for these words: they are on the stack, and go out as they are. */
    static const char start[] = "error: ";
    (void)mr_process_write(session->say.fd, start, sizeof start - 1, NULL);
    (void)mr_process_write(session->say.fd, text, strlen(text), NULL);
    (void)mr_process_write(session->say.fd, "\n", 1, NULL);
}

/* A reader of stdout that went away (`| head`) has what it wanted. */
static bool reader_went_away(const mr_session *session)
{
    return session->out.status == MR_END;
}

static int finish(mr_session *session, mr_status status, mr_error *err)
{
    if (mr_output_flush(&session->out) != MR_OK && status == MR_OK && !reader_went_away(session)) {
        status = session->out.status;
        *err = session->out.error;
    }
    if (reader_went_away(session) && status == session->out.status)
        status = MR_OK;
    if (status != MR_OK && status != MR_END)
        say_error(session, err);
    mr_output_deinit(&session->out);
    mr_output_deinit(&session->say);
    return status == MR_OK ? session->exit_code : mr_status_exit(status);
}

int mr_verb_main(int argc, char **argv)
{
    mr_session session = {.fs = mr_fs_real(), .clock = mr_clock_real()};
    mr_error err = {0};
    mr_output_init(&session.out, 1);
    mr_output_init(&session.say, 2);
    session.say.prompt = true;
    mr_notice_install(mr_process_notice_writer());
    mr_status status = dispatch(&session, argc - 1, argv + 1, &err);
    return finish(&session, status, &err);
}
