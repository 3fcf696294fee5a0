/* aggregate.c -- the table of aggregates, and the reference page made from it. */
#include "feature/aggregate.h"

#include "base/assert.h"

#include <string.h>

#define ON(kind)        (1u << MR_WINDOW_##kind)
#define ALL_BUT_DECAYED (ON(SLIDING) | ON(LAST) | ON(LIFETIME) | ON(DAY) | ON(SESSION))
#define ALL_WINDOWS     (ALL_BUT_DECAYED | ON(DECAYED))

#define SKIPS  "NULL, NaN and infinite values are skipped"
#define ROUNDS "exact sum, rounded once"

const mr_aggregate_kind mr_aggregate_kinds[] = {
    [MR_AGGREGATE_COUNT] = {"count", MR_AGGREGATE_COUNT, "count() or count(x)",
                            "Number of records, or of those that have x.", MR_ARGUMENT_OPTIONAL,
                            MR_PARAMETER_NONE, MR_TYPES_ANY, ALL_WINDOWS, true,
                            "int64; decayed: float64", "0",
                            "exact; decayed: relative error about n 2^-52",
                            "count() takes every record; count(x): " SKIPS},
    [MR_AGGREGATE_SUM] = {"sum", MR_AGGREGATE_SUM, "sum(x)", "Sum of x.", MR_ARGUMENT_REQUIRED,
                          MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_WINDOWS, true,
                          "int64 for bool, int32, int64; else float64", "0",
                          ROUNDS "; NULL when a sum of integers leaves int64", SKIPS},
    [MR_AGGREGATE_MEAN] = {"mean", MR_AGGREGATE_MEAN, "mean(x)", "Arithmetic mean of x.",
                           MR_ARGUMENT_REQUIRED, MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_WINDOWS,
                           true, "float64", "NULL", "exact sum over count, rounded once", SKIPS},
    [MR_AGGREGATE_MIN] = {"min", MR_AGGREGATE_MIN, "min(x)", "Least x.", MR_ARGUMENT_REQUIRED,
                          MR_PARAMETER_NONE, MR_TYPES_ORDERED, ALL_BUT_DECAYED, true,
                          "int64, float64 or timestamp, as x", "NULL", "exact; O(log n) a record",
                          SKIPS "; -0 stands before 0"},
    [MR_AGGREGATE_MAX] = {"max", MR_AGGREGATE_MAX, "max(x)", "Greatest x.", MR_ARGUMENT_REQUIRED,
                          MR_PARAMETER_NONE, MR_TYPES_ORDERED, ALL_BUT_DECAYED, true,
                          "int64, float64 or timestamp, as x", "NULL", "exact; O(log n) a record",
                          SKIPS "; -0 stands before 0"},
    [MR_AGGREGATE_VARIANCE] = {"variance", MR_AGGREGATE_VARIANCE, "variance(x)",
                               "Sample variance of x (divided by n - 1).", MR_ARGUMENT_REQUIRED,
                               MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, true, "float64",
                               "NULL, also for a single value",
                               "exact sums of x and x*x, rounded once: no cancellation", SKIPS},
    [MR_AGGREGATE_STDDEV] = {"stddev", MR_AGGREGATE_STDDEV, "stddev(x)",
                             "Square root of variance(x).", MR_ARGUMENT_REQUIRED, MR_PARAMETER_NONE,
                             MR_TYPES_NUMBER, ALL_BUT_DECAYED, true, "float64",
                             "NULL, also for a single value",
                             "root of the rounded variance: below 1 ulp", SKIPS},
    [MR_AGGREGATE_VARIANCE_POP] = {"variance_pop", MR_AGGREGATE_VARIANCE_POP, "variance_pop(x)",
                                   "Population variance of x (divided by n).", MR_ARGUMENT_REQUIRED,
                                   MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, true,
                                   "float64", "NULL", "as variance", SKIPS},
    [MR_AGGREGATE_STDDEV_POP] = {"stddev_pop", MR_AGGREGATE_STDDEV_POP, "stddev_pop(x)",
                                 "Square root of variance_pop(x).", MR_ARGUMENT_REQUIRED,
                                 MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, true,
                                 "float64", "NULL", "as stddev", SKIPS},
    [MR_AGGREGATE_FIRST] = {"first", MR_AGGREGATE_FIRST, "first(x)",
                            "x of the earliest matching record.", MR_ARGUMENT_REQUIRED,
                            MR_PARAMETER_NONE, MR_TYPES_ANY, ALL_BUT_DECAYED, false,
                            "int64, float64, timestamp, string or bytes, as x", "NULL",
                            "exact; steps over records that do not match", SKIPS},
    [MR_AGGREGATE_LAST] = {"last", MR_AGGREGATE_LAST, "last(x)", "x of the latest matching record.",
                           MR_ARGUMENT_REQUIRED, MR_PARAMETER_NONE, MR_TYPES_ANY, ALL_BUT_DECAYED,
                           false, "int64, float64, timestamp, string or bytes, as x", "NULL",
                           "exact; steps over records that do not match", SKIPS},
    [MR_AGGREGATE_TIME_SINCE_LAST] = {"time_since_last", MR_AGGREGATE_TIME_SINCE_LAST,
                                      "time_since_last() or time_since_last(x)",
                                      "Seconds from the latest matching record before this one.",
                                      MR_ARGUMENT_OPTIONAL, MR_PARAMETER_NONE, MR_TYPES_ANY,
                                      ALL_BUT_DECAYED, false, "float64", "NULL",
                                      "exact to the microsecond",
                                      "time_since_last(x): records whose x is missing are skipped"},
    [MR_AGGREGATE_RATE] =
        {"rate", MR_AGGREGATE_RATE, "rate(), rate(x) or rate(x, unit)",
         "Records, or sum of x, per unit of time (a second) over the window's length.",
         MR_ARGUMENT_OPTIONAL, MR_PARAMETER_UNIT, MR_TYPES_NUMBER, ON(SLIDING), true, "float64",
         "0", "exact sum, then two roundings", SKIPS},
    [MR_AGGREGATE_RATIO] =
        {"ratio", MR_AGGREGATE_RATIO, "ratio() or ratio(x)",
         "Matching records, or their sum of x, divided by all records of the window.",
         MR_ARGUMENT_OPTIONAL, MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, true, "float64",
         "NULL", ROUNDS, "records whose x is missing count in the divisor"},
    [MR_AGGREGATE_DISTINCT_COUNT] =
        {"distinct_count", MR_AGGREGATE_DISTINCT_COUNT, "distinct_count(x)",
         "Number of different x.", MR_ARGUMENT_REQUIRED, MR_PARAMETER_NONE, MR_TYPES_ANY,
         ALL_BUT_DECAYED, false, "int64", "0",
         "exact while the records are kept; lifetime: exact up to 4096 values among those that "
         "left the "
         "ring, then HyperLogLog with 4096 registers (standard error 1.6 %)",
         SKIPS "; -0 equals 0; texts are told apart by a 64-bit hash"},
    [MR_AGGREGATE_QUANTILE] = {"quantile", MR_AGGREGATE_QUANTILE, "quantile(x, q)",
                               "The x at rank ceil(q n), at least 1.", MR_ARGUMENT_REQUIRED,
                               MR_PARAMETER_QUANTILE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, false,
                               "float64", "NULL",
                               "exact while the window holds at most 256 records; beyond, and over "
                               "lifetime, within 1 % of the "
                               "value at that rank (DDSketch), subnormal numbers to a unit",
                               SKIPS},
    [MR_AGGREGATE_TOP_K] =
        {"top_k", MR_AGGREGATE_TOP_K, "top_k(x, k)",
         "The k most frequent x, as JSON: [{\"value\":x,\"count\":n},...]; equal counts by value.",
         MR_ARGUMENT_REQUIRED, MR_PARAMETER_K, MR_TYPES_ANY & ~(1u << MR_BYTES), ALL_BUT_DECAYED,
         false, "string", "NULL",
         "exact while the records are kept; lifetime: exact up to 1024 values among those that "
         "left the "
         "ring, then SpaceSaving: a count is too high by at most n / 1024",
         SKIPS "; -0 equals 0"},
};

_Static_assert(sizeof mr_aggregate_kinds / sizeof *mr_aggregate_kinds == MR_AGGREGATE_COUNT_OF,
               "one row for every kind");

typedef struct window_text {
    const char *name, *written, *bounds, *kept;
} window_text;

static const window_text windows[MR_WINDOW_KINDS] = {
    [MR_WINDOW_SLIDING] = {"sliding", "7d", "(t - d - w, t - d]", "d + w + lateness"},
    [MR_WINDOW_LAST] = {"last", "last 10", "the last N records at or before t - d",
                        "the last N of t - d - lateness"},
    [MR_WINDOW_LIFETIME] = {"lifetime", "lifetime", "all records at or before t - d",
                            "d + lateness, then only accumulators"},
    [MR_WINDOW_DECAYED] = {"decayed", "half-life 1h",
                           "all at or before t - d, weight 2^-((t - d - time) / h)",
                           "d + lateness, then only accumulators"},
    [MR_WINDOW_DAY] = {"day", "day", "[start of the UTC day of t - d, t - d]",
                       "d + 1 day + lateness"},
    [MR_WINDOW_SESSION] =
        {"session", "session 30m",
         "back from t - d as long as no gap is longer than g; empty when the last record "
         "is more than g before t - d",
         "the session of t - d - lateness, and all since"},
};

const char *mr_window_kind_name(mr_window_kind kind)
{
    return (unsigned)kind < MR_WINDOW_KINDS ? windows[kind].name : "unknown";
}

const mr_aggregate_kind *mr_aggregate_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < MR_AGGREGATE_COUNT_OF; i++)
        if (strlen(mr_aggregate_kinds[i].name) == bytes &&
            memcmp(mr_aggregate_kinds[i].name, name, bytes) == 0)
            return &mr_aggregate_kinds[i];
    return NULL;
}

/* ---- the reference page ---- */

static void write_windows(mr_bytes *out)
{
    mr_bytes_append_text(out, "| window | written | records in it | records are kept for |\n"
                              "|---|---|---|---|\n");
    for (int i = 0; i < MR_WINDOW_KINDS; i++)
        mr_bytes_printf(out, "| %s | `%s` | %s | %s |\n", windows[i].name, windows[i].written,
                        windows[i].bounds, windows[i].kept);
}

static void write_aggregate(const mr_aggregate_kind *kind, mr_bytes *out)
{
    char type[32];
    mr_bytes_printf(out, "\n### %s\n\n`%s`\n\n%s\n\n| | |\n|---|---|\n", kind->name,
                    kind->arguments, kind->description);
    if (kind->input != MR_ARGUMENT_NONE) {
        mr_bytes_append_text(out, "| x | ");
        for (int id = 0, count = 0; id < MR_TYPE_COUNT; id++)
            if ((kind->types >> id & 1) != 0)
                mr_bytes_printf(out, "%s%s", count++ > 0 ? ", " : "",
                                mr_type_format((mr_type){(mr_type_id)id, 0}, type));
        mr_bytes_append_text(out, " |\n");
    }
    mr_bytes_printf(
        out,
        "| result | %s |\n| where nothing matches | %s |\n| exactness | %s |\n| missing | %s "
        "|\n| windows | ",
        kind->result, kind->empty, kind->bounds, kind->missing);
    for (int i = 0, count = 0; i < MR_WINDOW_KINDS; i++)
        if ((kind->windows >> i & 1) != 0)
            mr_bytes_printf(out, "%s%s", count++ > 0 ? ", " : "", windows[i].name);
    mr_bytes_printf(out, " |\n| with a resolution | %s |\n", kind->resolution ? "yes" : "no");
}

void mr_aggregate_reference(mr_bytes *out)
{
    mr_bytes_append_text(
        out, "# Aggregates and windows\n\n"
             "Written by the program from its own table (`src/feature/aggregate.c`).\n\n"
             "The features of a record are as of its event time t and count the record itself. Of "
             "records with\n"
             "equal times, one that arrived earlier does not see those that arrived later. A "
             "record *matches* an\n"
             "aggregate when it lies in the window, `where` is true (NULL is not), and the value x "
             "is not missing:\n"
             "NULL, NaN and the infinities are missing. `empty: v` gives another value where "
             "nothing matches. A\n"
             "NULL in the key makes all values NULL.\n\n"
             "## Windows\n\n");
    write_windows(out);
    mr_bytes_append_text(out, "\nd is the delay (`delayed 7d`), 0 when none is given. Late records "
                              "take their place in time; later\n"
                              "than `lateness` (by default the lesser of one hour and the longest "
                              "window) behind the newest one of\n"
                              "their key they see what is still kept. With `resolution: r` records "
                              "are kept in tiles (k r, (k + 1) r]:\n"
                              "a sliding window starts at t - d - w rounded down to a multiple of "
                              "r, so it is up to r longer; a\n"
                              "delayed one ends at t - d rounded down; sums stay exact. Only "
                              "sliding and lifetime windows have a\n"
                              "resolution.\n\n## Aggregates\n");
    for (size_t i = 0; i < MR_AGGREGATE_COUNT_OF; i++)
        write_aggregate(&mr_aggregate_kinds[i], out);
}
