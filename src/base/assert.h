/* assert.h -- catches our own mistakes, never bad input.
 *
 * MR_ASSERT is cheap and stays on in production; MR_ASSERT_SLOW checks whole structures and is compiled
 * only into test builds (MR_SLOW_ASSERTS). */
#ifndef MR_BASE_ASSERT_H
#define MR_BASE_ASSERT_H

/* Prints where and what to stderr and aborts. */
_Noreturn void mr_assert_failed(const char *file, int line, const char *what);

#define MR_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : mr_assert_failed(__FILE__, __LINE__, #condition))

#ifdef MR_SLOW_ASSERTS
#define MR_ASSERT_SLOW(condition) MR_ASSERT(condition)
#else
#define MR_ASSERT_SLOW(condition) ((void)0)
#endif

#define MR_UNREACHABLE() mr_assert_failed(__FILE__, __LINE__, "unreachable")

#define MR_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MR_MIN(a, b)       ((a) < (b) ? (a) : (b))
#define MR_MAX(a, b)       ((a) > (b) ? (a) : (b))
#define MR_LIKELY(x)       __builtin_expect(!!(x), 1)
#define MR_UNLIKELY(x)     __builtin_expect(!!(x), 0)

#endif
