/* verb.h -- the command line: one table of verbs, from which everything else is made.
 *
 * A verb is a `static const struct mr_verb` in a file of its own. Its texts and tables are the one
 * source of `help`, `VERB --help`, the man page, docs/reference/cli.md and shell completion; its
 * options table drives the parser. A verb is thin: it reads its arguments, calls the rooms below,
 * and prints.
 *
 * To add a verb: write src/cmd/NAME.c with the struct, and add one line to the table in verb.c.
 *
 * Rules every verb keeps: data goes to session->out (stdout), all else to session->say (stderr);
 * with --json data is JSON; a verb returns the status of what went wrong, and the exit code is that
 * of the table in base/status.h; only MR_EXIT_DEAD_LETTERS is the command line's own. */
#ifndef MR_CMD_VERB_H
#define MR_CMD_VERB_H

#include "cmd/session.h"
#include "model/setting.h"

#define MR_EXIT_DEAD_LETTERS 1 /* done, but some records went to dead letters */

typedef struct mr_example {
    const char *command;
    const char *what;
} mr_example;

typedef struct mr_verb_exit {
    int code;
    const char *when;
} mr_verb_exit;

/* Arrays end with an entry whose first member is NULL (exits: whose text is NULL). */
struct mr_verb {
    const char *name;    /* one or two words: "produce", "topic create" */
    const char *summary; /* one line, no full stop */
    const char *about;   /* a paragraph or NULL; "\n" separates paragraphs */
    const struct mr_operand *operands;
    const struct mr_option *options; /* besides the global ones */
    const mr_setting_spec *settings; /* for --set, or NULL */
    const mr_example *examples;
    const mr_verb_exit *exits; /* codes that mean something special here, or NULL */
    mr_status (*run)(mr_session *session, mr_error *err);
};

/* ---- the table ---- */

extern const struct mr_option mr_global_options[];

const struct mr_verb *const *mr_verbs(size_t *out_count);
/* The verb that argv starts with, and how many words name it; NULL when there is none. */
const struct mr_verb *mr_verb_find(int argc, char *const *argv, int *out_words);
/* True when `name` is the first word of verbs of two words, as "topic" is. */
bool mr_verb_is_group(const char *name);

/* Runs a verb from within another, as if `line` had been typed (words are separated by blanks, there are no
 * quotes). The exit code it asks for is added to the session's. */
mr_status mr_verb_call(mr_session *session, const char *line, mr_error *err);

/* The whole program: parses, runs one verb, prints the error, and returns the exit code. */
int mr_verb_main(int argc, char **argv);

#endif
