/* main.c -- runs the registered tests, each as a cmocka group of one, and counts them.
 *
 * The last line is `N passed, N failed, N skipped`. Exit code 1 when any failed. */
#include "test/test.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static mr_test *first_test;
static size_t test_count;
static const mr_test *current;
static bool current_returned;
static char scratch_root[MR_PATH_MAX];
static unsigned scratch_count;

/* A failing assertion shows its stack and counts as a death; an absurd size is a failed allocation. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_abort=1:allocator_may_return_null=1:detect_stack_use_after_return=1";
}

__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1:halt_on_error=1";
}

void mr_test_register(mr_test *test)
{
    test->next = first_test;
    first_test = test;
    test_count++;
}

uint64_t mr_test_seed(void)
{
    const char *text = getenv("MILLRACE_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : 20180401;
}

mr_random_seeded mr_test_random(uint64_t salt)
{
    mr_random_seeded random;
    mr_random_seeded_init(&random, mr_test_seed() + salt * 0x9e3779b97f4a7c15u);
    return random;
}

uint64_t mr_test_rounds(uint64_t normal)
{
    const char *text = getenv("MILLRACE_TEST_EFFORT");
    uint64_t effort = text != NULL ? strtoull(text, NULL, 10) : 1;
    return normal * (effort > 0 ? effort : 1);
}

const char *mr_test_folder(void)
{
    static char path[MR_PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/%u", scratch_root, scratch_count++);
    mr_error err = {0};
    assert_ok(mr_fs_make_folder(mr_fs_real(), path, &err), &err);
    return path;
}

const char *mr_test_data(const char *relative_path)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    const char *root = getenv("MILLRACE_DATA");
    char named[MR_PATH_MAX], *path = paths[turn++ % 4];
    (void)snprintf(named, sizeof named, "%s/%s", root != NULL ? root : "../shared/data",
                   relative_path);
    /* Absolute, for a pipeline reads its files from its own folder. */
    if (realpath(named, path) == NULL) {
        print_message("%s.%s: no data set at %s (set MILLRACE_DATA)\n", current->room,
                      current->name, named);
        skip();
    }
    return path;
}

static void run_current(void **state)
{
    (void)state;
    current->body();
    current_returned = true;
}

static int by_name(const void *a, const void *b)
{
    const mr_test *left = *(mr_test *const *)a, *right = *(mr_test *const *)b;
    int order = strcmp(left->room, right->room);
    return order != 0 ? order : strcmp(left->name, right->name);
}

static bool wanted(const mr_test *test, int argc, char **argv)
{
    char full[512];
    (void)snprintf(full, sizeof full, "%s.%s", test->room, test->name);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], test->room) == 0 || strcmp(argv[i], full) == 0)
            return true;
    return argc <= 1;
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    mr_test **tests = calloc(test_count + 1, sizeof *tests);
    if (tests == NULL)
        return 1;
    size_t n = 0;
    for (mr_test *test = first_test; test != NULL; test = test->next)
        if (wanted(test, argc, argv))
            tests[n++] = test;
    qsort(tests, n, sizeof *tests, by_name);
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(scratch_root, sizeof scratch_root, "%s/millrace-test-%d",
                   tmp != NULL ? tmp : "/tmp", (int)getpid());
    (void)setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
    size_t passed = 0, failed = 0, skipped = 0;
    for (size_t i = 0; i < n; i++) {
        current = tests[i];
        current_returned = false;
        char name[512];
        (void)snprintf(name, sizeof name, "%s.%s", current->room, current->name);
        const struct CMUnitTest unit[] = {{name, run_current, NULL, NULL, NULL}};
        int64_t start = now_ms();
        int bad = _cmocka_run_group_tests(name, unit, 1, NULL, NULL);
        (void)fflush(stdout);
        if (bad != 0)
            failed++;
        else if (current_returned)
            passed++;
        else
            skipped++;
        if (now_ms() - start > 2000)
            (void)printf("# %s took %lld ms\n", name, (long long)(now_ms() - start));
    }
    if (failed == 0)
        (void)mr_fs_remove_tree(mr_fs_real(), scratch_root, NULL);
    free(tests);
    (void)printf("%zu passed, %zu failed, %zu skipped\n", passed, failed, skipped);
    return failed == 0 && n > 0 ? 0 : 1;
}
