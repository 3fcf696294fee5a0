/* bench.h -- benchmarks that register themselves, as tests do.
 *
 *   BENCH(trees) { ... mr_bench_report("trees.batch.ours", ns, "ns/row"); }
 *
 * Each prints JSON lines {"name", "value", "unit"} on stdout: one figure a line, lower-case names from general to
 * special, the peer's figure under the same name with its own last part. Times are the best of several runs:
 * the least disturbed one. Data are made from seeds. */
#ifndef MR_BENCH_BENCH_H
#define MR_BENCH_BENCH_H

#include "base/status.h"

#include <stddef.h>

typedef struct mr_bench {
    const char *name;
    void (*body)(void);
    struct mr_bench *next;
} mr_bench;

void mr_bench_register(mr_bench *bench);

#define BENCH(name)                                                                                \
    static void bench_##name(void);                                                                \
    static mr_bench mr_bench_##name = {#name, bench_##name, NULL};                                 \
    __attribute__((constructor)) static void register_bench_##name(void)                           \
    {                                                                                              \
        mr_bench_register(&mr_bench_##name);                                                       \
    }                                                                                              \
    static void bench_##name(void)

void mr_bench_report(const char *name, double value, const char *unit);
/* Says that something was not measured, and why: nothing is left out silently. */
void mr_bench_skip(const char *name, const char *reason);
/* A line for people, on stderr. */
void mr_bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Stops the program with the error's text: a benchmark that cannot run must not look like a fast one. */
void mr_bench_check(mr_status status, const mr_error *err);
/* Nanoseconds of a monotonic clock. */
int64_t mr_bench_now_ns(void);
/* Best time of body(context) in nanoseconds: at least `rounds` runs, and at most about 300 ms unless one run is
 * longer. */
double mr_bench_best_ns(void (*body)(void *context), void *context, int rounds);
/* Folder of shared data sets, NULL when there is none. */
const char *mr_bench_data(const char *relative_path);

#endif
