/* help.c -- `millrace help`: the table of verbs as text for a terminal. */
#include "cmd/help.h"

#include "base/assert.h"
#include "data/expr.h"
#include "feature/aggregate.h"
#include "os/process.h"
#include "pipeline/spec.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 100
#define NAME_COLUMN 18

static const mr_help_page pages[] = {
    {"pipeline", "the keys of a pipeline file", mr_spec_reference},
    {"expressions", "operators and functions", mr_expr_reference},
    {"aggregates", "windows and aggregates of feature views", mr_aggregate_reference},
};

/* ---- pieces that man page and markdown use too ---- */

void mr_help_operands(const struct mr_verb *verb, mr_bytes *out)
{
    for (const struct mr_operand *operand = verb->operands;
         operand != NULL && operand->name != NULL; operand++)
        mr_bytes_printf(out, " %s%s%s%s", operand->optional ? "[" : "", operand->name,
                        operand->many ? "..." : "", operand->optional ? "]" : "");
}

const char *mr_help_option(const struct mr_option *option, char *out)
{
    char letter[8] = "";
    if (option->letter != '\0')
        (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    (void)snprintf(out, 128, "%s--%s%s%s", letter, option->name, option->value != NULL ? " " : "",
                   option->value != NULL ? option->value : "");
    return out;
}

const char *mr_help_sentence(const struct mr_option *option, char *out)
{
    int size = snprintf(out, 512, "%s", option->help);
    if (option->fallback != NULL && size > 0 && size < 512)
        size += snprintf(out + size, 512 - (size_t)size, " (default %s)", option->fallback);
    if (option->env != NULL && size > 0 && size < 512)
        (void)snprintf(out + size, 512 - (size_t)size, " [%s]", option->env);
    return out;
}

const char *mr_help_setting(const mr_setting_spec *setting, char *out)
{
    (void)snprintf(out, 128, "%s=%s", setting->name,
                   setting->type == MR_SETTING_CHOICE ? setting->choices : "VALUE");
    return out;
}

const char *mr_help_setting_sentence(const mr_setting_spec *setting, char *out)
{
    bool number = setting->type == MR_SETTING_INT || setting->type == MR_SETTING_NUMBER;
    int size = snprintf(out, 512, "%s", setting->sentence);
    if (number && size > 0 && size < 512)
        size +=
            snprintf(out + size, 512 - (size_t)size, ", from %g to %g", setting->min, setting->max);
    if (setting->initial != NULL && size > 0 && size < 512)
        (void)snprintf(out + size, 512 - (size_t)size, " (default %s)", setting->initial);
    return out;
}

bool mr_help_exit(size_t index, int *out_code, const char **out_when)
{
    if (index == 1) {
        *out_code = MR_EXIT_DEAD_LETTERS;
        *out_when = "done, but some records were refused and went to dead letters";
        return true;
    }
    size_t status = index == 0 ? 0 : index - 1;
    if (status == MR_END)
        status = MR_INTERNAL; /* the end of data is no failure; INTERNAL stands behind it */
    else if (status >= MR_INTERNAL)
        return false;
    *out_code = mr_status_exit((mr_status)status);
    *out_when = status == MR_OK ? "done" : mr_status_text((mr_status)status);
    return true;
}

/* ---- text ---- */

static size_t columns_of(const mr_output *output)
{
    int columns = COLUMNS_MAX, rows = 0;
    if (output->terminal)
        mr_process_terminal_size(output->fd, &columns, &rows);
    return (size_t)MR_MIN(MR_MAX(columns, 40), COLUMNS_MAX);
}

static void print_title(mr_output *output, const char *title)
{
    mr_output_text(output, "\n");
    mr_output_colour(output, MR_COLOUR_BOLD, title);
    mr_output_text(output, "\n");
}

/* "  name              text", the text wrapped behind its column. */
static void print_entry(mr_output *output, const char *name, size_t column, const char *text)
{
    size_t size = strlen(name);
    mr_output_text(output, "  ");
    mr_output_colour(output, MR_COLOUR_CYAN, name);
    if (size + 3 > column)
        mr_output_printf(output, "\n%*s", (int)column, "");
    else
        mr_output_printf(output, "%*s", (int)(column - 2 - size), "");
    mr_output_wrapped(output, text, column, columns_of(output));
}

static void print_verbs(mr_output *output, const char *group)
{
    size_t count;
    const struct mr_verb *const *verbs = mr_verbs(&count);
    size_t size = group != NULL ? strlen(group) : 0;
    for (size_t i = 0; i < count; i++)
        if (group == NULL ||
            (strncmp(verbs[i]->name, group, size) == 0 && verbs[i]->name[size] == ' '))
            print_entry(output, verbs[i]->name, NAME_COLUMN, verbs[i]->summary);
}

static void print_options(mr_output *output, const char *title, const struct mr_option *options)
{
    char name[128], sentence[512];
    if (options == NULL || options->name == NULL)
        return;
    print_title(output, title);
    for (; options->name != NULL; options++)
        print_entry(output, mr_help_option(options, name), 30, mr_help_sentence(options, sentence));
}

static void print_settings(mr_output *output, const mr_setting_spec *settings)
{
    char name[128], sentence[512];
    if (settings == NULL)
        return;
    print_title(output, "Settings");
    for (; settings->name != NULL; settings++)
        print_entry(output, mr_help_setting(settings, name), 30,
                    mr_help_setting_sentence(settings, sentence));
}

mr_status mr_help_overview(mr_output *output)
{
    mr_output_text(output, "millrace: events in, decisions out, in one process\n\n"
                           "usage: millrace VERB [OPERANDS] [OPTIONS]\n");
    print_title(output, "Verbs");
    print_verbs(output, NULL);
    print_title(output, "Pages of help");
    for (size_t i = 0; i < MR_COUNT_OF(pages); i++)
        print_entry(output, pages[i].name, NAME_COLUMN, pages[i].summary);
    print_options(output, "Options of every verb", mr_global_options);
    mr_output_text(output,
                   "\n`millrace help VERB` says more; `millrace demo` shows it all at work.\n");
    return MR_OK;
}

mr_status mr_help_group(mr_output *output, const char *name)
{
    mr_output_printf(output, "usage: millrace %s VERB [OPERANDS] [OPTIONS]\n", name);
    print_title(output, "Verbs");
    print_verbs(output, name);
    return MR_OK;
}

static void print_usage(mr_output *output, const struct mr_verb *verb)
{
    mr_bytes operands = {0};
    mr_help_operands(verb, &operands);
    const char *text = mr_bytes_text(&operands);
    mr_output_printf(output, "usage: millrace %s%s [OPTIONS]\n", verb->name,
                     text != NULL ? text : "");
    mr_bytes_deinit(&operands);
}

static void print_about(mr_output *output, const char *about)
{
    while (about != NULL && *about != '\0') {
        char paragraph[2048];
        size_t size = strcspn(about, "\n");
        (void)snprintf(paragraph, sizeof paragraph, "%.*s", (int)size, about);
        mr_output_text(output, "\n");
        mr_output_wrapped(output, paragraph, 0, columns_of(output));
        about += size;
        about += *about == '\n';
    }
}

static void print_operands(mr_output *output, const struct mr_operand *operands)
{
    if (operands == NULL || operands->name == NULL)
        return;
    print_title(output, "Operands");
    for (; operands->name != NULL; operands++)
        print_entry(output, operands->name, 30, operands->help);
}

static void print_exits(mr_output *output, const mr_verb_exit *exits)
{
    if (exits == NULL)
        return;
    print_title(output, "Exit codes of its own");
    for (; exits->when != NULL; exits++) {
        char code[16];
        (void)snprintf(code, sizeof code, "%d", exits->code);
        print_entry(output, code, 8, exits->when);
    }
}

static void print_examples(mr_output *output, const mr_example *examples)
{
    if (examples == NULL)
        return;
    print_title(output, "Examples");
    for (; examples->command != NULL; examples++) {
        mr_output_text(output, "  ");
        mr_output_colour(output, MR_COLOUR_CYAN, examples->command);
        mr_output_printf(output, "\n      %s\n", examples->what);
    }
}

mr_status mr_help_verb(mr_output *output, const struct mr_verb *verb)
{
    mr_output_printf(output, "millrace %s: %s\n\n", verb->name, verb->summary);
    print_usage(output, verb);
    print_about(output, verb->about);
    print_operands(output, verb->operands);
    print_options(output, "Options", verb->options);
    print_settings(output, verb->settings);
    print_options(output, "Options of every verb", mr_global_options);
    print_examples(output, verb->examples);
    print_exits(output, verb->exits);
    return MR_OK;
}

/* ---- the verb ---- */

static mr_status print_page(mr_output *output, const mr_help_page *page, mr_error *err)
{
    mr_bytes text = {0};
    page->write(&text);
    mr_output_bytes(output, text.data, text.size);
    mr_status status = text.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
    mr_bytes_deinit(&text);
    return status;
}

static const mr_help_page *find_page(const char *name)
{
    for (size_t i = 0; i < MR_COUNT_OF(pages); i++)
        if (strcmp(pages[i].name, name) == 0)
            return &pages[i];
    return NULL;
}

static mr_status help_topic(mr_session *session, mr_error *err)
{
    const mr_arguments *arguments = &session->arguments;
    int words = 0, count = (int)arguments->operand_count;
    const struct mr_verb *verb = mr_verb_find(count, arguments->operands, &words);
    if (verb != NULL && words == count)
        return mr_help_verb(&session->out, verb);
    if (count == 1 && mr_verb_is_group(arguments->operands[0]))
        return mr_help_group(&session->out, arguments->operands[0]);
    const mr_help_page *page = count == 1 ? find_page(arguments->operands[0]) : NULL;
    if (page != NULL)
        return print_page(&session->out, page, err);
    return MR_FAIL(err, MR_NOT_FOUND, "there is no help for '%s'; `millrace help` lists the verbs",
                   arguments->operands[0]);
}

static mr_status help_run(mr_session *session, mr_error *err)
{
    if (mr_arguments_flag(&session->arguments, "man"))
        return mr_help_man(&session->out);
    if (mr_arguments_flag(&session->arguments, "markdown"))
        return mr_help_markdown(&session->out);
    if (session->arguments.operand_count == 0)
        return mr_help_overview(&session->out);
    return help_topic(session, err);
}

static const struct mr_operand help_operands[] = {
    {"VERB", true, true,
     "one or two words, as in `help topic create`, or a page: pipeline, expressions, aggregates"},
    {0},
};

static const struct mr_option help_options[] = {
    {"man", '\0', NULL, NULL, NULL, "write the manual page (roff)"},
    {"markdown", '\0', NULL, NULL, NULL, "write the reference of all verbs as markdown"},
    {0},
};

static const mr_example help_examples[] = {
    {"millrace help produce", "what `produce` does, its options and exit codes"},
    {"millrace help pipeline", "what may stand in a pipeline file"},
    {"millrace help --man > millrace.1", "the manual page"},
    {0},
};

const struct mr_verb mr_verb_help = {
    .name = "help",
    .summary = "show what a verb does and which options it takes",
    .operands = help_operands,
    .options = help_options,
    .examples = help_examples,
    .run = help_run,
};
