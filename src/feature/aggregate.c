/* aggregate.c -- the table of aggregates, and the reference page made from it. */
#include "feature/aggregate.h"

#include "base/assert.h"

#include <string.h>

#define ON(kind)        (1u << MR_WINDOW_##kind)
#define ALL_BUT_DECAYED (ON(SLIDING) | ON(LAST) | ON(LIFETIME) | ON(DAY) | ON(SESSION))
#define ALL_WINDOWS     (ALL_BUT_DECAYED | ON(DECAYED))

#define SKIPS  "NULL, NaN and infinite values are skipped"
#define ROUNDS "exact sum, rounded once"

#define HYPERLOGLOG "HyperLogLog with 4096 registers (standard error 1.6 %)"
#define IN_TILES    "exact for the records of the tiles"
#define ENDS_MEMORY "with a resolution 48 bytes a tile, and two texts"

const mr_aggregate_kind mr_aggregate_kinds[] = {
    [MR_AGGREGATE_COUNT] = {"count", MR_AGGREGATE_COUNT, "count() or count(x)",
                            "Number of records, or of those that have x.", MR_ARGUMENT_OPTIONAL,
                            MR_PARAMETER_NONE, MR_TYPES_ANY, ALL_WINDOWS, "int64; decayed: float64",
                            "0", "exact; decayed: relative error about n 2^-52",
                            "count() takes every record; count(x): " SKIPS, IN_TILES, NULL},
    [MR_AGGREGATE_SUM] = {"sum", MR_AGGREGATE_SUM, "sum(x)", "Sum of x.", MR_ARGUMENT_REQUIRED,
                          MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_WINDOWS,
                          "int64 for bool, int32, int64; else float64", "0",
                          ROUNDS "; NULL when a sum of integers leaves int64", SKIPS, IN_TILES,
                          NULL},
    [MR_AGGREGATE_MEAN] = {"mean", MR_AGGREGATE_MEAN, "mean(x)", "Arithmetic mean of x.",
                           MR_ARGUMENT_REQUIRED, MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_WINDOWS,
                           "float64", "NULL", "exact sum over count, rounded once", SKIPS, IN_TILES,
                           NULL},
    [MR_AGGREGATE_MIN] = {"min", MR_AGGREGATE_MIN, "min(x)", "Least x.", MR_ARGUMENT_REQUIRED,
                          MR_PARAMETER_NONE, MR_TYPES_ORDERED, ALL_BUT_DECAYED,
                          "int64, float64 or timestamp, as x", "NULL", "exact; O(log n) a record",
                          SKIPS "; -0 stands before 0", IN_TILES, NULL},
    [MR_AGGREGATE_MAX] = {"max", MR_AGGREGATE_MAX, "max(x)", "Greatest x.", MR_ARGUMENT_REQUIRED,
                          MR_PARAMETER_NONE, MR_TYPES_ORDERED, ALL_BUT_DECAYED,
                          "int64, float64 or timestamp, as x", "NULL", "exact; O(log n) a record",
                          SKIPS "; -0 stands before 0", IN_TILES, NULL},
    [MR_AGGREGATE_VARIANCE] = {"variance", MR_AGGREGATE_VARIANCE, "variance(x)",
                               "Sample variance of x (divided by n - 1).", MR_ARGUMENT_REQUIRED,
                               MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, "float64",
                               "NULL, also for a single value",
                               "exact sums of x and x*x, rounded once: no cancellation", SKIPS,
                               IN_TILES, NULL},
    [MR_AGGREGATE_STDDEV] = {"stddev", MR_AGGREGATE_STDDEV, "stddev(x)",
                             "Square root of variance(x).", MR_ARGUMENT_REQUIRED, MR_PARAMETER_NONE,
                             MR_TYPES_NUMBER, ALL_BUT_DECAYED, "float64",
                             "NULL, also for a single value",
                             "root of the rounded variance: below 1 ulp", SKIPS, IN_TILES, NULL},
    [MR_AGGREGATE_VARIANCE_POP] = {"variance_pop", MR_AGGREGATE_VARIANCE_POP, "variance_pop(x)",
                                   "Population variance of x (divided by n).", MR_ARGUMENT_REQUIRED,
                                   MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, "float64",
                                   "NULL", "as variance", SKIPS, IN_TILES, NULL},
    [MR_AGGREGATE_STDDEV_POP] = {"stddev_pop", MR_AGGREGATE_STDDEV_POP, "stddev_pop(x)",
                                 "Square root of variance_pop(x).", MR_ARGUMENT_REQUIRED,
                                 MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, "float64",
                                 "NULL", "as stddev", SKIPS, IN_TILES, NULL},
    [MR_AGGREGATE_FIRST] = {"first", MR_AGGREGATE_FIRST, "first(x)",
                            "x of the earliest matching record.", MR_ARGUMENT_REQUIRED,
                            MR_PARAMETER_NONE, MR_TYPES_ANY, ALL_BUT_DECAYED,
                            "int64, float64, timestamp, string or bytes, as x", "NULL",
                            "exact; steps over records that do not match", SKIPS, NULL,
                            ENDS_MEMORY},
    [MR_AGGREGATE_LAST] = {"last", MR_AGGREGATE_LAST, "last(x)", "x of the latest matching record.",
                           MR_ARGUMENT_REQUIRED, MR_PARAMETER_NONE, MR_TYPES_ANY, ALL_BUT_DECAYED,
                           "int64, float64, timestamp, string or bytes, as x", "NULL",
                           "exact; steps over records that do not match", SKIPS, IN_TILES,
                           ENDS_MEMORY},
    [MR_AGGREGATE_TIME_SINCE_LAST] =
        {"time_since_last", MR_AGGREGATE_TIME_SINCE_LAST, "time_since_last() or time_since_last(x)",
         "Seconds from the latest matching record before this one.", MR_ARGUMENT_OPTIONAL,
         MR_PARAMETER_NONE, MR_TYPES_ANY, ALL_BUT_DECAYED, "float64", "NULL",
         "exact to the microsecond", "time_since_last(x): records whose x is missing are skipped",
         "exact for records in order; for one that comes between the first and "
         "the last that its tile has, less than a resolution too long",
         ENDS_MEMORY},
    [MR_AGGREGATE_RATE] =
        {"rate", MR_AGGREGATE_RATE, "rate(), rate(x) or rate(x, unit)",
         "Records, or sum of x, per unit of time (a second) over the window's length.",
         MR_ARGUMENT_OPTIONAL, MR_PARAMETER_UNIT, MR_TYPES_NUMBER, ON(SLIDING), "float64", "0",
         "exact sum, then two roundings", SKIPS, IN_TILES, NULL},
    [MR_AGGREGATE_RATIO] =
        {"ratio", MR_AGGREGATE_RATIO, "ratio() or ratio(x)",
         "Matching records, or their sum of x, divided by all records of the window.",
         MR_ARGUMENT_OPTIONAL, MR_PARAMETER_NONE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, "float64",
         "NULL", ROUNDS, "records whose x is missing count in the divisor", IN_TILES, NULL},
    [MR_AGGREGATE_DISTINCT_COUNT] =
        {"distinct_count", MR_AGGREGATE_DISTINCT_COUNT, "distinct_count(x)",
         "Number of different x.", MR_ARGUMENT_REQUIRED, MR_PARAMETER_NONE, MR_TYPES_ANY,
         ALL_BUT_DECAYED, "int64", "0",
         "exact for any number: the records are kept (see Memory); lifetime: exact up to 4096 "
         "values among those that left the ring, then " HYPERLOGLOG,
         SKIPS "; -0 equals 0; texts are told apart by a 64-bit hash",
         "exact as long as no tile of the window has more than 512 different values (lifetime: and "
         "at most 4096 that left); then " HYPERLOGLOG,
         "a window: 32 to 192 bytes a different value; with a resolution: a tile: 8 to 16 bytes a "
         "different value, at most 4 KiB; a window: 4 KiB more once estimated; lifetime: at most "
         "192 KiB, 4 KiB once estimated"},
    [MR_AGGREGATE_QUANTILE] = {"quantile", MR_AGGREGATE_QUANTILE, "quantile(x, q)",
                               "The x at rank ceil(q n), at least 1.", MR_ARGUMENT_REQUIRED,
                               MR_PARAMETER_QUANTILE, MR_TYPES_NUMBER, ALL_BUT_DECAYED, "float64",
                               "NULL",
                               "exact while the window holds at most 256 records; beyond, and over "
                               "lifetime, within 1 % of the "
                               "value at that rank (DDSketch), subnormal numbers to a unit",
                               SKIPS,
                               "within 1 % of the value at that rank (DDSketch) as long as "
                               "the values of a tile, or of all that left, fill at most 2048 "
                               "buckets of 2 % (17 decades of one sign); of more, the lowest count "
                               "as one",
                               "16 to 64 bytes a bucket, about 115 buckets a decade: of each "
                               "window; with a resolution also of each tile, at most 32 KiB; "
                               "lifetime: at most 32 KiB"},
    [MR_AGGREGATE_TOP_K] =
        {"top_k", MR_AGGREGATE_TOP_K, "top_k(x, k)",
         "The k most frequent x, as JSON: [{\"value\":x,\"count\":n},...]; equal counts by value.",
         MR_ARGUMENT_REQUIRED, MR_PARAMETER_K, MR_TYPES_ANY & ~(1u << MR_BYTES), ALL_BUT_DECAYED,
         "string", "NULL",
         "exact: the records are kept; lifetime: exact up to 1024 values among those that left the "
         "ring, then Misra-Gries: a count is too low by at most n / 1025",
         SKIPS "; -0 equals 0",
         "exact as long as no tile has more than 256 different values, then Misra-Gries: a count "
         "is "
         "too low by at most n / 257; lifetime: by at most n / 205",
         "32 to 192 bytes a value, and its text: of each window; with a resolution also of each "
         "tile, at most 256 values; lifetime: at most 1024 values"},
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
    mr_bytes_printf(out, " |\n| with a resolution | %s |\n", kind->tiled);
    if (kind->memory != NULL)
        mr_bytes_printf(out, "| memory of a key | %s |\n", kind->memory);
}

static const char rules[] =
    "\nd is the delay (`delayed 7d`), 0 when none is given. Late records take their place in\n"
    "time; later than `lateness` (by default the lesser of one hour and the longest window)\n"
    "behind the newest one of their key they see what is still kept.\n\n"
    "## Resolution\n\n"
    "With `resolution: r` a key keeps no records, but summaries of all of them in tiles (k r,\n"
    "(k + 1) r]: a sliding window starts at t - d - w rounded down to a multiple of r, so it\n"
    "is up to r longer; a delayed one ends at t - d rounded down; one without delay ends with\n"
    "the tile of t, as far as it has come. All aggregates can be had, over sliding and\n"
    "lifetime windows; sums stay exact, and what is said of each aggregate below holds for\n"
    "the records of the window's tiles together: summaries are merged without adding to their\n"
    "errors (Agarwal et al., Mergeable summaries, PODS 2012). Results do not depend on\n"
    "micro-batches or workers; but for top_k of tiles beyond its bound, and for ties of first and\n"
    "last, neither on the order in which the records came.\n\n"
    "## Memory\n\n"
    "Without a resolution a key keeps every record of its longest window and lateness, 8\n"
    "bytes and 8 for each input, with up to as much again in reserve: that, and nothing else,\n"
    "grows with the number of records. From them distinct_count and top_k are exact for any\n"
    "number of values: their tables take up to 192 bytes a different value and window, so no\n"
    "more than a constant times the records, and an estimate beside the records would not\n"
    "bound the memory of a key. What bounds it is `resolution`: a key then has at most (d + w\n"
    "+ lateness) / r + 2 tiles, however many records come, and each tile is bounded as said\n"
    "below. `last N`, a shorter window and `ttl` bound it, too.\n\n"
    "## Aggregates\n";

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
    mr_bytes_append_text(out, rules);
    for (size_t i = 0; i < MR_AGGREGATE_COUNT_OF; i++)
        write_aggregate(&mr_aggregate_kinds[i], out);
}
