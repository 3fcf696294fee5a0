/* completion.c -- `millrace completion bash|zsh|fish`: what a shell needs to finish a word.
 *
 * The scripts carry the verbs and options of the table; topics are asked of the program when the
 * key is pressed. One kind of value is told from another by its name: FILE, DIR, TOPIC, or a|b|c.
 */
#include "cmd/help.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

/* ---- bash ---- */

static void print_choices(mr_output *output, const char *choices)
{
    for (; *choices != '\0'; choices++)
        mr_output_bytes(output, *choices == '|' ? " " : choices, 1);
}

static void bash_value(mr_output *output, const struct mr_option *option)
{
    if (option->value == NULL)
        return;
    mr_output_printf(output, "        --%s) ", option->name);
    if (strcmp(option->value, "FILE") == 0)
        mr_output_text(output, "COMPREPLY=($(compgen -f -- \"$word\"))");
    else if (strcmp(option->value, "DIR") == 0)
        mr_output_text(output, "COMPREPLY=($(compgen -d -- \"$word\"))");
    else if (strchr(option->value, '|') != NULL) {
        mr_output_text(output, "COMPREPLY=($(compgen -W '");
        print_choices(output, option->value);
        mr_output_text(output, "' -- \"$word\"))");
    } else
        mr_output_text(output, "COMPREPLY=()");
    mr_output_text(output, "; return ;;\n");
}

static void print_option_words(mr_output *output, const struct mr_option *options)
{
    for (; options != NULL && options->name != NULL; options++)
        mr_output_printf(output, " --%s", options->name);
}

static bool wants(const struct mr_verb *verb, const char *operand)
{
    for (const struct mr_operand *o = verb->operands; o != NULL && o->name != NULL; o++)
        if (strcmp(o->name, operand) == 0)
            return true;
    return false;
}

static bool wants_topic(const struct mr_verb *verb)
{
    return wants(verb, "TOPIC") || wants(verb, "FILE|TOPIC");
}

static bool wants_file(const struct mr_verb *verb)
{
    return wants(verb, "FILE") || wants(verb, "FILE|TOPIC");
}

static void bash_verb(mr_output *output, const struct mr_verb *verb)
{
    mr_output_printf(output, "        '%s') words=\"", verb->name);
    print_option_words(output, verb->options);
    mr_output_text(output, "\";");
    if (wants_topic(verb))
        mr_output_text(output, " topics=1;");
    if (wants_file(verb))
        mr_output_text(output, " files=1;");
    mr_output_text(output, " ;;\n");
}

/* Every first word once; then the second words of a group. */
static void print_first_words(mr_output *output)
{
    size_t count;
    const struct mr_verb *const *verbs = mr_verbs(&count);
    for (size_t i = 0; i < count; i++) {
        size_t size = strcspn(verbs[i]->name, " ");
        bool seen = i > 0 && strncmp(verbs[i - 1]->name, verbs[i]->name, size) == 0 &&
                    verbs[i - 1]->name[size] == ' ';
        if (!seen)
            mr_output_printf(output, "%s%.*s", i > 0 ? " " : "", (int)size, verbs[i]->name);
    }
}

static void bash_group(mr_output *output, const struct mr_verb *const *verbs, size_t count,
                       size_t at)
{
    size_t size = strcspn(verbs[at]->name, " ");
    bool first = at == 0 || strncmp(verbs[at - 1]->name, verbs[at]->name, size + 1) != 0;
    if (verbs[at]->name[size] == '\0' || !first)
        return;
    mr_output_printf(output, "        '%.*s') words=\"", (int)size, verbs[at]->name);
    for (size_t i = at; i < count && strncmp(verbs[i]->name, verbs[at]->name, size + 1) == 0; i++)
        mr_output_printf(output, " %s", verbs[i]->name + size + 1);
    mr_output_text(output, "\" ;;\n");
}

static void print_all_option_values(mr_output *output, const struct mr_verb *const *verbs,
                                    size_t count)
{
    for (const struct mr_option *o = mr_global_options; o->name != NULL; o++)
        bash_value(output, o);
    for (size_t i = 0; i < count; i++)
        for (const struct mr_option *o = verbs[i]->options; o != NULL && o->name != NULL; o++)
            bash_value(output, o);
}

static void print_bash(mr_output *output)
{
    size_t count;
    const struct mr_verb *const *verbs = mr_verbs(&count);
    mr_output_text(
        output,
        "# bash completion for millrace; made by `millrace completion bash`\n"
        "_millrace_complete() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
        "    local verb=${COMP_WORDS[1]} second=${COMP_WORDS[2]:-} words='' topics='' files=''\n"
        "    case $before in\n");
    print_all_option_values(output, verbs, count);
    mr_output_text(output, "    esac\n"
                           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                           "        COMPREPLY=($(compgen -W '");
    print_first_words(output);
    mr_output_text(output, "' -- \"$word\")); return\n"
                           "    fi\n"
                           "    case \"$verb\" in\n");
    for (size_t i = 0; i < count; i++)
        bash_group(output, verbs, count, i);
    mr_output_text(output, "    esac\n"
                           "    if [ -n \"$words\" ] && [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                           "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\")); return\n"
                           "    fi\n"
                           "    [ -n \"$words\" ] && verb=\"$verb $second\"\n"
                           "    case \"$verb\" in\n");
    for (size_t i = 0; i < count; i++)
        bash_verb(output, verbs[i]);
    mr_output_text(output, "    esac\n"
                           "    case $word in\n"
                           "        -*) COMPREPLY=($(compgen -W \"$words");
    print_option_words(output, mr_global_options);
    mr_output_text(
        output,
        "\" -- \"$word\")) ;;\n"
        "        *)  [ -n \"$topics\" ] && COMPREPLY+=($(compgen -W \"$(millrace topic list "
        "--names 2>/dev/null)\" -- \"$word\"))\n"
        "            [ -n \"$files\" ] && COMPREPLY+=($(compgen -f -- \"$word\")) ;;\n"
        "    esac\n"
        "}\n"
        "complete -o filenames -F _millrace_complete millrace\n");
}

/* zsh reads bash completions through bashcompinit, which comes with it. The file is loaded at the first key, which
 * is then answered too. */
static void print_zsh(mr_output *output)
{
    mr_output_text(output, "#compdef millrace\n"
                           "autoload -U +X bashcompinit && bashcompinit\n");
    print_bash(output);
    mr_output_text(output, "_bash_complete -o filenames -F _millrace_complete\n");
}

/* ---- fish ---- */

static void print_fish_quoted(mr_output *output, const char *text)
{
    mr_output_text(output, "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            mr_output_text(output, "\\");
        mr_output_bytes(output, text, 1);
    }
    mr_output_text(output, "'");
}

static void fish_option(mr_output *output, const char *condition, const struct mr_option *option)
{
    mr_output_printf(output, "complete -c millrace%s -l %s", condition, option->name);
    if (option->letter != '\0')
        mr_output_printf(output, " -s %c", option->letter);
    if (option->value != NULL &&
        (strcmp(option->value, "FILE") == 0 || strcmp(option->value, "DIR") == 0))
        mr_output_text(output, " -r -F");
    else if (option->value != NULL)
        mr_output_text(output, " -x");
    if (option->value != NULL && strchr(option->value, '|') != NULL) {
        mr_output_text(output, " -a '");
        print_choices(output, option->value);
        mr_output_text(output, "'");
    }
    mr_output_text(output, " -d ");
    print_fish_quoted(output, option->help);
    mr_output_text(output, "\n");
}

static void fish_verb(mr_output *output, const struct mr_verb *verb)
{
    char condition[128];
    size_t size = strcspn(verb->name, " ");
    const char *second = verb->name[size] == ' ' ? verb->name + size + 1 : NULL;
    if (second != NULL)
        mr_output_printf(
            output,
            "complete -c millrace -f -n '__fish_use_subcommand' -a '%.*s'\n"
            "complete -c millrace -f -n '__fish_seen_subcommand_from %.*s' -a '%s' -d ",
            (int)size, verb->name, (int)size, verb->name, second);
    else
        mr_output_printf(output, "complete -c millrace -f -n '__fish_use_subcommand' -a '%s' -d ",
                         verb->name);
    print_fish_quoted(output, verb->summary);
    mr_output_text(output, "\n");
    (void)snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'",
                   second != NULL ? second : verb->name);
    for (const struct mr_option *o = verb->options; o != NULL && o->name != NULL; o++)
        fish_option(output, condition, o);
    if (wants_topic(verb))
        mr_output_printf(
            output, "complete -c millrace%s -f -a '(millrace topic list --names 2>/dev/null)'\n",
            condition);
    if (wants_file(verb))
        mr_output_printf(output, "complete -c millrace%s -F\n", condition);
}

static void print_fish(mr_output *output)
{
    size_t count;
    const struct mr_verb *const *verbs = mr_verbs(&count);
    mr_output_text(output, "# fish completion for millrace; made by `millrace completion fish`\n");
    for (const struct mr_option *o = mr_global_options; o->name != NULL; o++)
        fish_option(output, "", o);
    for (size_t i = 0; i < count; i++)
        fish_verb(output, verbs[i]);
}

/* ---- the verb ---- */

static const struct shell {
    const char *name;
    void (*print)(mr_output *output);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

static mr_status completion_run(mr_session *session, mr_error *err)
{
    const char *name = mr_arguments_operand(&session->arguments, 0);
    for (size_t i = 0; i < MR_COUNT_OF(shells); i++)
        if (strcmp(shells[i].name, name) == 0) {
            shells[i].print(&session->out);
            return MR_OK;
        }
    return MR_FAIL(err, MR_INVALID, "there is no completion for '%s': bash, zsh and fish are known",
                   name);
}

static const struct mr_operand completion_operands[] = {
    {"SHELL", false, false, "bash, zsh or fish"},
    {0},
};

static const mr_example completion_examples[] = {
    {"source <(millrace completion bash)", "for this shell"},
    {"millrace completion fish > ~/.config/fish/completions/millrace.fish", "for good"},
    {0},
};

const struct mr_verb mr_verb_completion = {
    .name = "completion",
    .summary = "write the completion script of a shell",
    .operands = completion_operands,
    .examples = completion_examples,
    .run = completion_run,
};
