/* arguments.c -- reads a command line by the tables of a verb. */
#include "cmd/arguments.h"

#include "base/assert.h"
#include "cmd/verb.h"
#include "model/setting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *get_name(const void *names, size_t i)
{
    return ((const char *const *)names)[i];
}

const char *mr_suggest(const char *text, const char *const *names)
{
    size_t count = 0;
    while (names[count] != NULL)
        count++;
    return mr_setting_closest(text, get_name, names, count);
}

/* ---- parsing ---- */

static void add_options(mr_arguments *arguments, const struct mr_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        MR_ASSERT(arguments->option_count < MR_OPTIONS_MAX);
        arguments->options[arguments->option_count++] = options;
    }
}

static size_t find_long(const mr_arguments *arguments, const char *name, size_t size)
{
    for (size_t i = 0; i < arguments->option_count; i++) {
        const char *known = arguments->options[i]->name;
        if (strncmp(known, name, size) == 0 && known[size] == '\0')
            return i;
    }
    return MR_OPTIONS_MAX;
}

static size_t find_letter(const mr_arguments *arguments, char letter)
{
    for (size_t i = 0; i < arguments->option_count; i++)
        if (arguments->options[i]->letter == letter)
            return i;
    return MR_OPTIONS_MAX;
}

static const char *verb_name(const mr_arguments *arguments)
{
    return arguments->verb != NULL ? arguments->verb->name : "";
}

static mr_status fail_unknown(const mr_arguments *arguments, const char *word, mr_error *err)
{
    const char *names[MR_OPTIONS_MAX + 1];
    char bare[64];
    for (size_t i = 0; i < arguments->option_count; i++)
        names[i] = arguments->options[i]->name;
    names[arguments->option_count] = NULL;
    (void)snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word + 2, "="),
                   word[1] == '-' ? word + 2 : "");
    const char *near = bare[0] != '\0' ? mr_suggest(bare, names) : NULL;
    const char *verb = verb_name(arguments);
    const char *gap = verb[0] != '\0' ? " " : "";
    if (near != NULL)
        return MR_FAIL(err, MR_INVALID, "millrace%s%s: there is no option %.*s; did you mean --%s?",
                       gap, verb, (int)strcspn(word, "="), word, near);
    return MR_FAIL(err, MR_INVALID,
                   "millrace%s%s: there is no option %.*s; `millrace help%s%s` lists them", gap,
                   verb, (int)strcspn(word, "="), word, gap, verb);
}

/* A value named a|b|c must be one of these. A part "name=..." stands for all that start so. */
static bool choice_allows(const char *choices, const char *value)
{
    while (*choices != '\0') {
        size_t size = strcspn(choices, "|");
        size_t fixed = strcspn(choices, "|=");
        bool open = fixed < size;
        if (strncmp(choices, value, open ? fixed + 1 : size) == 0 && (open || value[size] == '\0'))
            return true;
        choices += size;
        choices += *choices == '|';
    }
    return false;
}

static mr_status set_value(mr_arguments *arguments, size_t index, const char *value, mr_error *err)
{
    const struct mr_option *option = arguments->options[index];
    if (strchr(option->value, '|') != NULL && !choice_allows(option->value, value))
        return MR_FAIL(err, MR_INVALID, "--%s is '%s', but must be one of %s", option->name, value,
                       option->value);
    arguments->values[index] = value;
    return MR_OK;
}

/* An option word at argv[*at]; moves *at past it and its value. */
static mr_status parse_option(mr_arguments *arguments, size_t index, const char *attached, int argc,
                              char **argv, int *at, mr_error *err)
{
    if (index == MR_OPTIONS_MAX)
        return fail_unknown(arguments, argv[*at], err);
    const struct mr_option *option = arguments->options[index];
    (*at)++;
    if (option->value == NULL && attached != NULL)
        return MR_FAIL(err, MR_INVALID, "--%s takes no value, but was given '%s'", option->name,
                       attached);
    if (option->value == NULL) {
        arguments->values[index] = "";
        return MR_OK;
    }
    if (attached != NULL)
        return set_value(arguments, index, attached, err);
    if (*at >= argc)
        return MR_FAIL(err, MR_INVALID, "--%s wants a value: --%s %s", option->name, option->name,
                       option->value);
    return set_value(arguments, index, argv[(*at)++], err);
}

static mr_status parse_long(mr_arguments *arguments, int argc, char **argv, int *at, mr_error *err)
{
    const char *name = argv[*at] + 2;
    size_t size = strcspn(name, "=");
    const char *attached = name[size] == '=' ? name + size + 1 : NULL;
    return parse_option(arguments, find_long(arguments, name, size), attached, argc, argv, at, err);
}

static mr_status parse_short(mr_arguments *arguments, int argc, char **argv, int *at, mr_error *err)
{
    const char *word = argv[*at];
    const char *attached = word[2] != '\0' ? word + 2 : NULL;
    return parse_option(arguments, find_letter(arguments, word[1]), attached, argc, argv, at, err);
}

static mr_status read_environment(mr_arguments *arguments, mr_error *err)
{
    for (size_t i = 0; i < arguments->option_count; i++) {
        const struct mr_option *option = arguments->options[i];
        const char *value = option->env != NULL ? getenv(option->env) : NULL;
        if (arguments->values[i] != NULL || value == NULL || value[0] == '\0')
            continue;
        if (option->value == NULL)
            arguments->values[i] = "";
        else
            MR_TRY(set_value(arguments, i, value, err));
    }
    return MR_OK;
}

mr_status mr_arguments_parse(mr_arguments *arguments, const struct mr_verb *verb, int argc,
                             char **argv, mr_error *err)
{
    *arguments = (mr_arguments){.verb = verb, .operands = argv};
    add_options(arguments, verb != NULL ? verb->options : NULL);
    add_options(arguments, mr_global_options);
    bool only_operands = false;
    for (int at = 0; at < argc;) {
        char *word = argv[at];
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
            at++;
        } else if (only_operands || word[0] != '-' || word[1] == '\0') {
            argv[arguments->operand_count++] = word;
            at++;
        } else if (word[1] == '-') {
            MR_TRY(parse_long(arguments, argc, argv, &at, err));
        } else {
            MR_TRY(parse_short(arguments, argc, argv, &at, err));
        }
    }
    return read_environment(arguments, err);
}

static mr_operand_count count_operands(const struct mr_operand *operands)
{
    mr_operand_count count = {0};
    for (; operands != NULL && operands->name != NULL; operands++) {
        count.min += operands->optional ? 0 : 1;
        count.max = operands->many ? SIZE_MAX : count.max + 1;
    }
    return count;
}

mr_status mr_arguments_check(const mr_arguments *arguments, mr_error *err)
{
    const struct mr_verb *verb = arguments->verb;
    mr_operand_count count = count_operands(verb->operands);
    if (arguments->operand_count < count.min)
        return MR_FAIL(err, MR_INVALID, "millrace %s wants %s; `millrace help %s` shows how",
                       verb->name, verb->operands[arguments->operand_count].name, verb->name);
    if (arguments->operand_count > count.max)
        return MR_FAIL(err, MR_INVALID, "millrace %s takes %zu operand%s, but '%s' is one more",
                       verb->name, count.max, count.max == 1 ? "" : "s",
                       arguments->operands[count.max]);
    return MR_OK;
}

/* ---- asking ---- */

static size_t index_of(const mr_arguments *arguments, const char *option)
{
    size_t index = find_long(arguments, option, strlen(option));
    MR_ASSERT(index < MR_OPTIONS_MAX);
    return index;
}

const char *mr_arguments_text(const mr_arguments *arguments, const char *option)
{
    size_t index = index_of(arguments, option);
    const char *value = arguments->values[index];
    return value != NULL ? value : arguments->options[index]->fallback;
}

bool mr_arguments_flag(const mr_arguments *arguments, const char *option)
{
    return arguments->values[index_of(arguments, option)] != NULL;
}

const char *mr_arguments_operand(const mr_arguments *arguments, size_t index)
{
    return index < arguments->operand_count ? arguments->operands[index] : NULL;
}

mr_status mr_arguments_int(const mr_arguments *arguments, const char *option, int64_t min,
                           int64_t max, int64_t *out, mr_error *err)
{
    const char *text = mr_arguments_text(arguments, option);
    if (text == NULL)
        return MR_OK;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < min || value > max)
        return MR_FAIL(err, MR_INVALID,
                       "--%s is '%s', but must be a whole number from %" PRId64 " to %" PRId64,
                       option, text, min, max);
    *out = value;
    return MR_OK;
}

static const struct byte_unit {
    const char *name;
    uint64_t bytes;
} byte_units[] = {
    {"", 1},
    {"B", 1},
    {"KB", 1000},
    {"MB", 1000 * 1000},
    {"GB", 1000ull * 1000 * 1000},
    {"TB", 1000ull * 1000 * 1000 * 1000},
    {"KiB", 1u << 10},
    {"MiB", 1u << 20},
    {"GiB", 1u << 30},
    {"TiB", 1ull << 40},
};

mr_status mr_arguments_bytes(const mr_arguments *arguments, const char *option, uint64_t *out,
                             mr_error *err)
{
    const char *text = mr_arguments_text(arguments, option);
    if (text == NULL)
        return MR_OK;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    for (size_t i = 0; i < MR_COUNT_OF(byte_units); i++) {
        bool fits = errno == 0 && text[0] >= '0' && text[0] <= '9' && end != text;
        if (fits && strcmp(end, byte_units[i].name) == 0 &&
            value <= UINT64_MAX / byte_units[i].bytes) {
            *out = value * byte_units[i].bytes;
            return MR_OK;
        }
    }
    return MR_FAIL(err, MR_INVALID, "--%s is '%s', but must be a size such as 4096, 64MB or 1GiB",
                   option, text);
}
