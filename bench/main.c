/* main.c -- runs the registered benchmarks, or those named on the command line. */
#include "bench/bench.h"

#include "os/clock.h"
#include "os/fs.h"

#include <stdarg.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mr_bench *first_bench;

void mr_bench_register(mr_bench *bench)
{
    mr_bench **at = &first_bench;
    while (*at != NULL && strcmp((*at)->name, bench->name) < 0)
        at = &(*at)->next;
    bench->next = *at;
    *at = bench;
}

void mr_bench_report(const char *name, double value, const char *unit)
{
    (void)printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", name, value, unit);
    (void)fflush(stdout);
}

void mr_bench_skip(const char *name, const char *reason)
{
    (void)printf("{\"name\": \"%s\", \"skipped\": \"%s\"}\n", name, reason);
    (void)fflush(stdout);
}

void mr_bench_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

void mr_bench_check(mr_status status, const mr_error *err)
{
    if (status == MR_OK)
        return;
    mr_bench_note("benchmark stopped: %s: %s", mr_status_name(status), err->text);
    exit(1);
}

int64_t mr_bench_now_ns(void)
{
    mr_clock *clock = mr_clock_real();
    return clock->mono_ns(clock);
}

double mr_bench_best_ns(void (*body)(void *context), void *context, int rounds)
{
    int64_t start = mr_bench_now_ns(), best = INT64_MAX, now = start;
    for (int i = 0; i < rounds || (i < 1000 && now - start < 300000000); i++) {
        if (i > 0 && now - start > 3000000000)
            break;
        int64_t before = mr_bench_now_ns();
        body(context);
        now = mr_bench_now_ns();
        best = now - before < best ? now - before : best;
    }
    return (double)best;
}

const char *mr_bench_data(const char *relative_path)
{
    static char path[PATH_MAX];
    char named[MR_PATH_MAX];
    const char *root = getenv("MILLRACE_DATA");
    (void)snprintf(named, sizeof named, "%s/%s", root != NULL ? root : "../shared/data",
                   relative_path);
    return realpath(named, path);
}

static bool wanted(const mr_bench *bench, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], bench->name) == 0)
            return true;
    return argc <= 1;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (const mr_bench *bench = first_bench; bench != NULL; bench = bench->next)
        if (wanted(bench, argc, argv)) {
            bench->body();
            count++;
        }
    return count > 0 ? 0 : 1;
}
