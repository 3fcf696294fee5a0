/* help.h -- the table of verbs, told in the forms people and tools read: help, man page, markdown,
 * completion. All of them are functions of the table alone. */
#ifndef MR_CMD_HELP_H
#define MR_CMD_HELP_H

#include "cmd/verb.h"

mr_status mr_help_overview(mr_output *output);
/* The verbs whose first word is `name`. */
mr_status mr_help_group(mr_output *output, const char *name);
mr_status mr_help_verb(mr_output *output, const struct mr_verb *verb);
mr_status mr_help_man(mr_output *output);      /* roff, for man(7) */
mr_status mr_help_markdown(mr_output *output); /* docs/reference/cli.md */

/* A page that is no verb: what may stand in a pipeline file, an expression, a feature view. Written by the room
 * whose table it tells. To add one: a line in help.c. */
typedef struct mr_help_page {
    const char *name;
    const char *summary;
    void (*write)(mr_bytes *out);
} mr_help_page;

/* "TOPIC [FILES...]" of a verb, with a leading blank, into out. */
void mr_help_operands(const struct mr_verb *verb, mr_bytes *out);
/* "-n, --name VALUE" of an option into out (128 bytes). Returns out. */
const char *mr_help_option(const struct mr_option *option, char *out);
/* The option's sentence with default and environment variable, into out (512 bytes). Returns out.
 */
const char *mr_help_sentence(const struct mr_option *option, char *out);

/* The same of a setting: "name=VALUE" and its sentence with range and default. */
const char *mr_help_setting(const mr_setting_spec *setting, char *out);
const char *mr_help_setting_sentence(const mr_setting_spec *setting, char *out);

/* Exit codes of the program: index 0, 1, ... until false. */
bool mr_help_exit(size_t index, int *out_code, const char **out_when);

extern const struct mr_verb mr_verb_version;

#endif
