/* arguments.h -- reads a verb's command line by its tables.
 *
 *   --name value   --name=value   -n value   --flag   --   (what follows are operands)
 *
 * A value comes from the command line, else from the option's environment variable, else from its
 * default. The last of several wins. Errors are MR_INVALID with what was meant, where it can be
 * guessed. All texts are lent by argv, the environment and the tables. */
#ifndef MR_CMD_ARGUMENTS_H
#define MR_CMD_ARGUMENTS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define MR_OPTIONS_MAX 32 /* of one verb, global ones included */

struct mr_verb;

/* A value named FILE, DIR or TOPIC is completed as such; one written a|b|c is a choice, and
 * checked. */
struct mr_option {
    const char *name;  /* without the dashes */
    char letter;       /* '\0': no short form */
    const char *value; /* what the value is called; NULL: a flag */
    const char *fallback;
    const char *env;
    const char *help; /* one sentence */
};

typedef struct mr_operand_count {
    size_t min;
    size_t max;
} mr_operand_count;

struct mr_operand {
    const char *name; /* "TOPIC" */
    bool optional;
    bool many; /* the last operand only */
    const char *help;
};

typedef struct mr_arguments {
    const struct mr_verb *verb;
    const struct mr_option *options[MR_OPTIONS_MAX];
    const char *values[MR_OPTIONS_MAX]; /* "" for a flag that is given, NULL when not given */
    size_t option_count;
    char *const *operands; /* lent by argv, which is reordered */
    size_t operand_count;
} mr_arguments;

/* Reads argv[0..argc), which starts behind the verb's name. With verb == NULL only global options
 * are known and reading stops at the first operand. Reorders argv. */
mr_status mr_arguments_parse(mr_arguments *arguments, const struct mr_verb *verb, int argc,
                             char **argv, mr_error *err);
/* How many operands the verb must and may have are checked here, apart, so that --help comes first.
 */
mr_status mr_arguments_check(const mr_arguments *arguments, mr_error *err);

/* The option must be in the verb's table. NULL: not given, and there is no default. */
const char *mr_arguments_text(const mr_arguments *arguments, const char *option);
bool mr_arguments_flag(const mr_arguments *arguments, const char *option);
/* Operand `index`, or NULL. */
const char *mr_arguments_operand(const mr_arguments *arguments, size_t index);

/* A whole number in [min, max]; *out is left alone when the option has no value. */
mr_status mr_arguments_int(const mr_arguments *arguments, const char *option, int64_t min,
                           int64_t max, int64_t *out, mr_error *err);
/* "64MB", "1GiB", "4096": bytes; decimal and binary units. */
mr_status mr_arguments_bytes(const mr_arguments *arguments, const char *option, uint64_t *out,
                             mr_error *err);

/* The member of `names` (NULL-terminated) nearest to `text`, or NULL when none is near. */
const char *mr_suggest(const char *text, const char *const *names);

#endif
