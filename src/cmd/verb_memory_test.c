/* verb_memory_test.c -- every verb without memory: the Nth allocation fails, alone or with all after it.
 *
 * (1) The verb ends as it does with memory, or with the exit code of "out of memory" and an error on stderr.
 * (2) Nothing is kept, and the home it leaves is one that the same command works on afterwards. */
#include "cmd/verb.h"

#include "base/assert.h"
#include "base/notice.h"
#include "test/models.h"
#include "test/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 24

static const char *const payments = "tx,at,customer,amount\n1,2024-05-01T10:00:00Z,1,10.5\n"
                                    "2,2024-05-01T10:00:01Z,2,x\n3,2024-05-01T10:00:02Z,1,7\n";
static const char *const rows = "amount,night,count 7d\n1,0,3\n100,1,\n";
static const char *const pipeline =
    "pipeline: p\nsources: {s: {topic: t, event_time: at, check: amount >= 0}}\n"
    "derive: {night: hour(at) <= 6, \"count 7d\": customer}\n"
    "features: {v: {key: customer, windows: [1d, lifetime], aggregates: {n: count(), mean: "
    "mean(amount)}}}\n"
    "score: {model: m.json}\ndecide: {action: \"case when score > 0.5 then 'x' else 'y' end\"}\n"
    "sink: out\n";

/* Words of a command; N in a word becomes the number of the try, so that names can be fresh. */
typedef struct command {
    const char *words; /* separated by '|' */
    const char *first; /* a command that is run before each try, with memory; or NULL */
    int exit_code;     /* with memory */
} command;

static const command commands[] = {
    {"version", NULL, 0},
    {"help", NULL, 0},
    {"help|run", NULL, 0},
    {"help|--markdown", NULL, 0},
    {"completion|bash", NULL, 0},
    {"plan|nothing.yaml", NULL, 3},
    {"simulate|cards|--customers|3|--days|2|--out|cards.csv", NULL, 0},
    {"simulate|cards|--customers|3|--days|2|--topic|cards-N", NULL, 0},
    {"topic|create|fresh-N|--schema|a: int64, b: string null|--partitions|2", NULL, 0},
    {"topic|delete|gone|--yes", "topic|create|gone|--schema|a: int64", 0},
    {"produce|t|t.csv|--schema|tx: int64, at: timestamp, customer: int64, amount: float64|"
     "--event-time|at|--dead-letters|dead.jsonl",
     NULL, MR_EXIT_DEAD_LETTERS},
    {"produce|t|t.csv|--producer|p-N", NULL, MR_EXIT_DEAD_LETTERS},
    {"produce|t|nothing.csv", NULL, 3},
    {"topic|list", NULL, 0},
    {"topic|show|t|--json", NULL, 0},
    {"consume|t|--fields|tx,at", NULL, 0},
    {"consume|t|--position|me-N|--max|2|--json", NULL, 0},
    {"plan|p.yaml", NULL, 0},
    {"plan|p.yaml|--json", NULL, 0},
    {"run|p.yaml|--until-end|--workers|1", "produce|t|t.csv|-q", 0},
    {"features|list|--pipeline|p.yaml", NULL, 0},
    {"features|get|v|1|--pipeline|p.yaml", NULL, 0},
    {"why|out|0", NULL, 0},
    {"why|out|--where|tx=1|--replay|--json", NULL, 0},
    {"audit|scored|out|1|--json", NULL, 0},
    {"model|stats|p", NULL, 0},
    {"score|rows.csv|--model|m.json", NULL, 0},
    {"explain|rows.csv|--model|m.json|--depth|2", NULL, 0},
    {"score|t|--model|m.json|--rename|tx=night", NULL, 2},
    {"scrub", NULL, 0},
};

typedef struct scene {
    char folder[MR_PATH_MAX];
    char said[MR_PATH_MAX + 16];
} scene;

static void write_file(const char *name, const char *text)
{
    mr_error err = {0};
    assert_ok(mr_fs_write_file(mr_fs_real(), name, text, strlen(text), &err), &err);
}

/* Runs a command as the program would, its output into files; the allocation n from now on fails (n < 0: none). */
static int run(const scene *s, const char *line, int64_t n, bool persistent)
{
    char text[1024], name[32], *words[WORDS_MAX] = {NULL};
    int count = 0;
    words[count++] = (char *)(uintptr_t) "millrace";
    (void)snprintf(text, sizeof text, "%s", line);
    (void)snprintf(name, sizeof name, "%lld%s", (long long)MR_MAX(n, 0), persistent ? "-p" : "");
    char numbered[1200];
    const char *number = strstr(text, "-N");
    if (number != NULL)
        (void)snprintf(numbered, sizeof numbered, "%.*s-%s%s", (int)(number - text), text, name,
                       number + 2);
    else
        (void)snprintf(numbered, sizeof numbered, "%s", text);
    char *rest = numbered;
    for (char *word = strtok_r(numbered, "|", &rest); word != NULL;
         word = strtok_r(NULL, "|", &rest))
        words[count++] = word;
    words[count++] = (char *)(uintptr_t) "--home";
    words[count++] = (char *)(uintptr_t) "home";
    int out = dup(1), say = dup(2), file = open(s->said, O_RDWR | O_CREAT | O_TRUNC, 0600),
        null = open("/dev/null", O_WRONLY);
    assert_true(out >= 0 && say >= 0 && file >= 0 && null >= 0);
    (void)dup2(null, 1);
    (void)dup2(file, 2);
    (void)mr_memory_fail_after(n, persistent);
    int code = mr_verb_main(count, words);
    (void)mr_memory_fail_after(-1, false);
    mr_notice_install(NULL);
    (void)dup2(out, 1);
    (void)dup2(say, 2);
    (void)close(out);
    (void)close(say);
    (void)close(file);
    (void)close(null);
    return code;
}

/* What the last command said on stderr; lent until the next call. */
static const char *said(const scene *s)
{
    static char text[2048];
    mr_bytes bytes = {0};
    mr_error err = {0};
    assert_ok(mr_fs_read_file(mr_fs_real(), s->said, 1 << 20, &bytes, &err), &err);
    (void)snprintf(text, sizeof text, "%.*s", (int)MR_MIN(bytes.size, sizeof text - 1),
                   bytes.size > 0 ? (const char *)bytes.data : "");
    mr_bytes_deinit(&bytes);
    return text;
}

/* Whether it got through. */
static bool try_once(const scene *s, const command *c, int64_t n, bool persistent)
{
    int no_memory = mr_status_exit(MR_NO_MEMORY);
    if (c->first != NULL) {
        int code = run(s, c->first, -1, false);
        if (code != 0 && code != MR_EXIT_DEAD_LETTERS && code != mr_status_exit(MR_EXISTS))
            fail_msg("%s before allocation %lld: exit %d: %s", c->first, (long long)n, code,
                     said(s));
    }
    uint64_t before = mr_memory_used_bytes();
    int code = run(s, c->words, n, persistent);
    if (code != c->exit_code && code != no_memory)
        fail_msg("%s, allocation %lld%s: exit %d: %s", c->words, (long long)n,
                 persistent ? " and all after it" : "", code, said(s));
    if (code == no_memory && strstr(said(s), "memory") == NULL)
        fail_msg("%s, allocation %lld: nothing on stderr but '%s'", c->words, (long long)n,
                 said(s));
    if (mr_memory_used_bytes() != before)
        fail_msg("%s, allocation %lld: %lld bytes are kept", c->words, (long long)n,
                 (long long)(mr_memory_used_bytes() - before));
    return code == c->exit_code;
}

static void try_command(const scene *s, const command *c)
{
    bool each = mr_test_rounds(1) > 1; /* else all of the first, then ever fewer */
    uint64_t failed = 0;
    for (int persistent = 0; persistent < 2; persistent++) {
        int through =
            0; /* a lone failure may be one that costs nothing, so the end is several in a row */
        for (int64_t n = 0; through < 8; n += each ? 1 : 1 + n / 10) {
            through = try_once(s, c, n, persistent != 0) ? through + 1 : 0;
            failed += through == 0;
        }
    }
    if (failed == 0)
        fail_msg("%s asked for no memory: nothing was tried", c->words);
    if (mr_test_rounds(1) > 1)
        print_message("%s: %llu times out of memory\n", c->words, (unsigned long long)failed);
}

TEST(verb_memory, every_verb_survives_failing_allocations)
{
    scene s;
    char back[MR_PATH_MAX];
    assert_non_null(getcwd(back, sizeof back));
    (void)snprintf(s.folder, sizeof s.folder, "%s", mr_test_folder());
    assert_int_equal(chdir(s.folder), 0);
    assert_non_null(getcwd(s.folder, sizeof s.folder));
    (void)snprintf(s.said, sizeof s.said, "%.4000s/said", s.folder);
    write_file("t.csv", payments);
    write_file("rows.csv", rows);
    write_file("p.yaml", pipeline);
    write_file("m.json", MR_TEST_MODEL_XGBOOST);
    for (size_t i = 0; i < MR_COUNT_OF(commands); i++)
        try_command(&s, &commands[i]);
    assert_int_equal(chdir(back), 0);
}
