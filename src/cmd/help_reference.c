/* help_reference.c -- the table of verbs as a manual page and as markdown. */
#include "cmd/help.h"

#include <stdio.h>
#include <string.h>

/* ---- roff (man(7)) ---- */

/* Text with the characters that roff reads as commands made plain: '-' is a minus to be copied, '\'
 * is written \e, and a line must not start with '.' or '\''. */
static void print_roff(mr_output *output, const char *text)
{
    if (*text == '.' || *text == '\'')
        mr_output_text(output, "\\&");
    for (; *text != '\0'; text++) {
        if (*text == '-')
            mr_output_text(output, "\\-");
        else if (*text == '\\')
            mr_output_text(output, "\\e");
        else if (*text == '\n')
            mr_output_text(output, "\n.PP\n");
        else
            mr_output_bytes(output, text, 1);
    }
}

static void print_roff_entry(mr_output *output, const char *name, const char *text)
{
    mr_output_text(output, ".TP\n\\fB");
    print_roff(output, name);
    mr_output_text(output, "\\fR\n");
    print_roff(output, text);
    mr_output_text(output, "\n");
}

static void print_roff_options(mr_output *output, const struct mr_option *options)
{
    char name[128], sentence[512];
    for (; options != NULL && options->name != NULL; options++)
        print_roff_entry(output, mr_help_option(options, name),
                         mr_help_sentence(options, sentence));
}

static void print_roff_settings(mr_output *output, const mr_setting_spec *settings)
{
    char name[128], sentence[512];
    for (; settings != NULL && settings->name != NULL; settings++)
        print_roff_entry(output, mr_help_setting(settings, name),
                         mr_help_setting_sentence(settings, sentence));
}

static void print_roff_examples(mr_output *output, const mr_example *examples)
{
    for (; examples != NULL && examples->command != NULL; examples++)
        print_roff_entry(output, examples->command, examples->what);
}

static void print_roff_exits(mr_output *output, const mr_verb_exit *exits)
{
    for (; exits != NULL && exits->when != NULL; exits++) {
        char code[32];
        (void)snprintf(code, sizeof code, "exit code %d", exits->code);
        print_roff_entry(output, code, exits->when);
    }
}

static void print_roff_verb(mr_output *output, const struct mr_verb *verb)
{
    mr_bytes operands = {0};
    mr_help_operands(verb, &operands);
    const char *text = mr_bytes_text(&operands);
    mr_output_text(output, ".SS \"millrace ");
    print_roff(output, verb->name);
    print_roff(output, text != NULL ? text : "");
    mr_output_text(output, " [OPTIONS]\"\n");
    mr_bytes_deinit(&operands);
    print_roff(output, verb->summary);
    mr_output_text(output, ".\n");
    if (verb->about != NULL) {
        mr_output_text(output, ".PP\n");
        print_roff(output, verb->about);
        mr_output_text(output, "\n");
    }
    for (const struct mr_operand *o = verb->operands; o != NULL && o->name != NULL; o++)
        print_roff_entry(output, o->name, o->help);
    print_roff_options(output, verb->options);
    print_roff_settings(output, verb->settings);
    print_roff_exits(output, verb->exits);
    print_roff_examples(output, verb->examples);
}

mr_status mr_help_man(mr_output *output)
{
    size_t count;
    const struct mr_verb *const *verbs = mr_verbs(&count);
    mr_output_text(output, ".TH MILLRACE 1 \"\" \"millrace " MR_VERSION "\" \"User Commands\"\n"
                           ".SH NAME\nmillrace \\- events in, decisions out, in one process\n"
                           ".SH SYNOPSIS\n.B millrace\n.I VERB\n[OPERANDS] [OPTIONS]\n"
                           ".SH OPTIONS OF EVERY VERB\n");
    print_roff_options(output, mr_global_options);
    mr_output_text(output, ".SH VERBS\n");
    for (size_t i = 0; i < count; i++)
        print_roff_verb(output, verbs[i]);
    mr_output_text(output, ".SH EXIT STATUS\n");
    int code;
    const char *when;
    for (size_t i = 0; mr_help_exit(i, &code, &when); i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", code);
        print_roff_entry(output, name, when);
    }
    mr_output_text(output, ".SH ENVIRONMENT\n");
    print_roff_entry(output, "MILLRACE_HOME", "the home directory, where --home is not given");
    print_roff_entry(output, "MILLRACE_LOG",
                     "how much the program logs: error, warn, info or debug");
    print_roff_entry(output, "NO_COLOR", "when set, no colours");
    return MR_OK;
}

/* ---- markdown ---- */

/* '|' would end a cell of a table. */
static void print_cell(mr_output *output, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            mr_output_text(output, "\\");
        mr_output_bytes(output, text, 1);
    }
}

static void print_row(mr_output *output, const char *name, const char *text)
{
    mr_output_text(output, "| `");
    print_cell(output, name);
    mr_output_text(output, "` | ");
    print_cell(output, text);
    mr_output_text(output, " |\n");
}

static void print_table(mr_output *output, const char *name, const char *text)
{
    mr_output_printf(output, "\n| %s | %s |\n|---|---|\n", name, text);
}

static void print_markdown_options(mr_output *output, const struct mr_option *options)
{
    char name[128], sentence[512];
    if (options == NULL || options->name == NULL)
        return;
    print_table(output, "option", "meaning");
    for (; options->name != NULL; options++)
        print_row(output, mr_help_option(options, name), mr_help_sentence(options, sentence));
}

static void print_markdown_about(mr_output *output, const char *about)
{
    if (about == NULL)
        return;
    mr_output_text(output, "\n");
    for (; *about != '\0'; about++)
        mr_output_text(output, *about == '\n' ? "\n\n" : (char[2]){*about, '\0'});
    mr_output_text(output, "\n");
}

static void print_markdown_operands(mr_output *output, const struct mr_operand *operands)
{
    if (operands == NULL || operands->name == NULL)
        return;
    print_table(output, "operand", "meaning");
    for (; operands->name != NULL; operands++)
        print_row(output, operands->name, operands->help);
}

static void print_markdown_settings(mr_output *output, const mr_setting_spec *settings)
{
    char name[128], sentence[512];
    if (settings == NULL)
        return;
    print_table(output, "setting", "meaning");
    for (; settings->name != NULL; settings++)
        print_row(output, mr_help_setting(settings, name),
                  mr_help_setting_sentence(settings, sentence));
}

static void print_markdown_exits(mr_output *output, const mr_verb_exit *exits)
{
    if (exits == NULL)
        return;
    print_table(output, "exit code", "when");
    for (; exits->when != NULL; exits++)
        mr_output_printf(output, "| %d | %s |\n", exits->code, exits->when);
}

static void print_markdown_examples(mr_output *output, const mr_example *examples)
{
    if (examples == NULL)
        return;
    mr_output_text(output, "\n```text\n");
    for (; examples->command != NULL; examples++)
        mr_output_printf(output, "# %s\n%s\n", examples->what, examples->command);
    mr_output_text(output, "```\n");
}

static void print_markdown_verb(mr_output *output, const struct mr_verb *verb)
{
    mr_bytes operands = {0};
    mr_help_operands(verb, &operands);
    const char *text = mr_bytes_text(&operands);
    mr_output_printf(output, "\n## %s\n\n`millrace %s%s [OPTIONS]`: %s.\n", verb->name, verb->name,
                     text != NULL ? text : "", verb->summary);
    mr_bytes_deinit(&operands);
    print_markdown_about(output, verb->about);
    print_markdown_operands(output, verb->operands);
    print_markdown_options(output, verb->options);
    print_markdown_settings(output, verb->settings);
    print_markdown_exits(output, verb->exits);
    print_markdown_examples(output, verb->examples);
}

mr_status mr_help_markdown(mr_output *output)
{
    size_t count;
    const struct mr_verb *const *verbs = mr_verbs(&count);
    mr_output_text(
        output,
        "# The command line\n\nMade by `millrace help --markdown`; `make test` checks that it is "
        "current.\n\n`millrace VERB [OPERANDS] [OPTIONS]`. Data goes to standard output, "
        "everything else to standard error.\n\n## Options of every verb\n");
    print_markdown_options(output, mr_global_options);
    for (size_t i = 0; i < count; i++)
        print_markdown_verb(output, verbs[i]);
    mr_output_text(output, "\n## Exit codes\n");
    print_table(output, "code", "when");
    int code;
    const char *when;
    for (size_t i = 0; mr_help_exit(i, &code, &when); i++)
        mr_output_printf(output, "| %d | %s |\n", code, when);
    return MR_OK;
}
