/* arguments_test.c -- command lines are read by the tables, and mistakes are told with what would be right. */
#include "cmd/verb.h"
#include "test/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct mr_operand operands[] = {
    {"TOPIC", false, false, "t"},
    {"FILE", true, true, "f"},
    {0},
};

static const struct mr_option options[] = {
    {"schema", 's', "SCHEMA", NULL, NULL, "a"},
    {"max", 'n', "N", "7", NULL, "b"},
    {"follow", 'f', NULL, NULL, NULL, "c"},
    {"sync", '\0', "always|interval=TIME|os", "always", "MILLRACE_TEST_SYNC", "d"},
    {0},
};

static const struct mr_verb verb = {.name = "try", .operands = operands, .options = options};

static char *words[16];
static int word_count;

/* Splits at blanks into writable words. */
static mr_status parse(const char *line, mr_arguments *out, mr_error *err)
{
    static char text[256];
    (void)snprintf(text, sizeof text, "%s", line);
    word_count = 0;
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        words[word_count++] = word;
    mr_error_clear(err);
    MR_TRY(mr_arguments_parse(out, &verb, word_count, words, err));
    return mr_arguments_check(out, err);
}

TEST(arguments, reads_all_forms)
{
    static const char *const lines[] = {
        "--schema=x --max 3 topic a -f",
        "topic --schema x -n 3 -f a",
        "topic -sx -n3 --follow a",
        "--max=1 --max=3 -s x -f -- topic a",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        mr_arguments arguments;
        mr_error err = {0};
        int64_t max = 0;
        assert_ok(parse(lines[i], &arguments, &err), &err);
        assert_string_equal(mr_arguments_text(&arguments, "schema"), "x");
        assert_ok(mr_arguments_int(&arguments, "max", 0, 10, &max, &err), &err);
        assert_int_equal(max, 3);
        assert_true(mr_arguments_flag(&arguments, "follow"));
        assert_false(mr_arguments_flag(&arguments, "json"));
        assert_string_equal(mr_arguments_operand(&arguments, 0), "topic");
        assert_string_equal(mr_arguments_operand(&arguments, 1), "a");
        assert_null(mr_arguments_operand(&arguments, 2));
    }
}

TEST(arguments, takes_everything_behind_two_dashes_as_operands)
{
    mr_arguments arguments;
    mr_error err = {0};
    assert_ok(parse("-- --max -f", &arguments, &err), &err);
    assert_string_equal(mr_arguments_operand(&arguments, 0), "--max");
    assert_string_equal(mr_arguments_operand(&arguments, 1), "-f");
    assert_ok(parse("topic -", &arguments, &err), &err);
    assert_string_equal(mr_arguments_operand(&arguments, 1), "-");
}

TEST(arguments, prefers_the_line_then_the_environment_then_the_default)
{
    mr_arguments arguments;
    mr_error err = {0};
    assert_ok(parse("topic", &arguments, &err), &err);
    assert_string_equal(mr_arguments_text(&arguments, "sync"), "always");
    (void)setenv("MILLRACE_TEST_SYNC", "os", 1);
    assert_ok(parse("topic", &arguments, &err), &err);
    assert_string_equal(mr_arguments_text(&arguments, "sync"), "os");
    assert_ok(parse("topic --sync interval=5ms", &arguments, &err), &err);
    assert_string_equal(mr_arguments_text(&arguments, "sync"), "interval=5ms");
    (void)setenv("MILLRACE_TEST_SYNC", "never", 1);
    assert_int_equal(parse("topic", &arguments, &err), MR_INVALID);
    (void)unsetenv("MILLRACE_TEST_SYNC");
}

static void refused(const char *line, const char *because)
{
    mr_arguments arguments;
    mr_error err = {0};
    assert_int_equal(parse(line, &arguments, &err), MR_INVALID);
    if (strstr(err.text, because) == NULL)
        fail_msg("'%s' was refused with '%s', which lacks '%s'", line, err.text, because);
}

TEST(arguments, says_what_would_be_right)
{
    refused("topic --shcema x", "did you mean --schema?");
    refused("topic --zzz", "`millrace help try` lists them");
    refused("topic -z", "no option -z");
    refused("topic --max", "--max wants a value");
    refused("topic --follow=yes", "takes no value");
    refused("topic --sync sometimes", "must be one of always|interval=TIME|os");
    refused("topic --sync alway", "must be one of");
    refused("", "wants TOPIC");
}

static mr_status read_max(const char *line)
{
    mr_arguments arguments;
    mr_error err = {0};
    int64_t max = 0;
    assert_ok(parse(line, &arguments, &err), &err);
    return mr_arguments_int(&arguments, "max", -5, 100, &max, &err);
}

TEST(arguments, checks_numbers)
{
    assert_int_equal(read_max("topic --max -5"), MR_OK);
    assert_int_equal(read_max("topic --max 100"), MR_OK);
    assert_int_equal(read_max("topic --max 101"), MR_INVALID);
    assert_int_equal(read_max("topic --max 1x"), MR_INVALID);
    assert_int_equal(read_max("topic --max="), MR_INVALID);
    assert_int_equal(read_max("topic --max 99999999999999999999"), MR_INVALID);
}

static uint64_t read_size(const char *size)
{
    mr_arguments arguments;
    mr_error err = {0};
    char line[64];
    uint64_t bytes = 0;
    (void)snprintf(line, sizeof line, "topic --schema %s", size);
    assert_ok(parse(line, &arguments, &err), &err);
    return mr_arguments_bytes(&arguments, "schema", &bytes, &err) == MR_OK ? bytes : UINT64_MAX;
}

TEST(arguments, reads_sizes)
{
    assert_int_equal(read_size("4096"), 4096);
    assert_int_equal(read_size("64MB"), 64000000);
    assert_int_equal(read_size("2GiB"), UINT64_C(2) << 30);
    assert_int_equal(read_size("2giga"), UINT64_MAX);
    assert_int_equal(read_size("-1"), UINT64_MAX);
    assert_int_equal(read_size("99999999999999TiB"), UINT64_MAX);
    assert_int_equal(read_size("MB"), UINT64_MAX);
}

TEST(arguments, suggests_only_what_is_near)
{
    static const char *const names[] = {"produce", "consume", "topic create", NULL};
    assert_string_equal(mr_suggest("prodcue", names), "produce");
    assert_string_equal(mr_suggest("topic craete", names), "topic create");
    assert_null(mr_suggest("xyz", names));
}

/* What the tables themselves promise: unique names, one sentence each, choices with a default among them. */
TEST(arguments, tables_of_all_verbs_are_sound)
{
    size_t count;
    const struct mr_verb *const *verbs = mr_verbs(&count);
    for (size_t i = 0; i < count; i++) {
        mr_arguments arguments;
        mr_error err = {0};
        assert_non_null(verbs[i]->run);
        assert_true(strlen(verbs[i]->summary) > 0 && strlen(verbs[i]->summary) < 90);
        assert_ok(mr_arguments_parse(&arguments, verbs[i], 0, words, &err), &err);
        for (size_t a = 0; a < arguments.option_count; a++)
            for (size_t b = 0; b < a; b++) {
                assert_string_not_equal(arguments.options[a]->name, arguments.options[b]->name);
                assert_true(arguments.options[a]->letter == '\0' ||
                            arguments.options[a]->letter != arguments.options[b]->letter);
            }
    }
}
