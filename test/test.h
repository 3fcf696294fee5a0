/* test.h -- tests that register themselves, over cmocka.
 *
 *   TEST(segment, refuses_a_torn_tail) { assert_int_equal(...); }
 *
 * The room is the file's noun. Run all, or `build/MODE/unit-test room[.name] ...`. mr_test_seed() is fixed unless
 * MILLRACE_SEED is set; print it when a property fails. */
#ifndef MR_TEST_TEST_H
#define MR_TEST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/status.h"
#include "os/clock.h"
#include "os/fs.h"

typedef struct mr_test {
    const char *room;
    const char *name;
    void (*body)(void);
    struct mr_test *next;
} mr_test;

void mr_test_register(mr_test *test);

#define TEST(room, name)                                                                           \
    static void test_##room##_##name(void);                                                        \
    static mr_test mr_test_##room##_##name = {#room, #name, test_##room##_##name, NULL};           \
    __attribute__((constructor)) static void register_##room##_##name(void)                        \
    {                                                                                              \
        mr_test_register(&mr_test_##room##_##name);                                                \
    }                                                                                              \
    static void test_##room##_##name(void)

/* The status is MR_OK, or the test fails with the error's text. */
#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        mr_status assert_ok_status_ = (call);                                                      \
        if (assert_ok_status_ != MR_OK)                                                            \
            fail_msg("%s: %s: %s%s%s", #call, mr_status_name(assert_ok_status_), (err)->place,     \
                     (err)->place[0] != '\0' ? ": " : "", (err)->text);                            \
    } while (0)

uint64_t mr_test_seed(void);
/* A generator seeded with mr_test_seed() + salt. */
mr_random_seeded mr_test_random(uint64_t salt);
/* A fresh empty folder below the build folder, removed when the run ends well. Lent until then. */
const char *mr_test_folder(void);
/* The folder of shared data sets (MILLRACE_DATA, or ../shared/data), or skips the test when absent. */
const char *mr_test_data(const char *relative_path);
/* How often a property is tried: `normal`, or more under MILLRACE_TEST_EFFORT=N (times N). */
uint64_t mr_test_rounds(uint64_t normal);

#endif
