/* aggregate.h -- the aggregates a feature view can compute: one table, from which help, reference
 * and errors are made.
 *
 * An aggregate looks at the *matching* records of a window: those inside its bounds for which
 * `where` is true (NULL counts as false). Of an input value NULL, NaN and the infinities are
 * *missing*: a record whose input is missing does not match an aggregate with that input. To add
 * one: a row in aggregate.c, a case in read.c, and a line in the oracle of view_test.c. */
#ifndef MR_FEATURE_AGGREGATE_H
#define MR_FEATURE_AGGREGATE_H

#include "data/schema.h"

typedef enum mr_window_kind {
    MR_WINDOW_SLIDING,  /* (t - delay - length, t - delay] */
    MR_WINDOW_LAST,     /* the last `events` records at or before t - delay */
    MR_WINDOW_LIFETIME, /* all records at or before t - delay */
    MR_WINDOW_DECAYED,  /* all, each weighted 2^-((t - delay - time) / length) */
    MR_WINDOW_DAY,      /* [start of the UTC day of t - delay, t - delay] */
    MR_WINDOW_SESSION,  /* back from t - delay while gaps are at most `length` */
    MR_WINDOW_KINDS
} mr_window_kind;

typedef struct mr_window {
    mr_window_kind kind;
    int64_t length_us; /* sliding: width; decayed: half-life; session: gap */
    int64_t delay_us;
    uint32_t events; /* last N */
} mr_window;

const char *mr_window_kind_name(mr_window_kind kind);

typedef enum mr_aggregate_id {
    MR_AGGREGATE_COUNT,
    MR_AGGREGATE_SUM,
    MR_AGGREGATE_MEAN,
    MR_AGGREGATE_MIN,
    MR_AGGREGATE_MAX,
    MR_AGGREGATE_VARIANCE,
    MR_AGGREGATE_STDDEV,
    MR_AGGREGATE_VARIANCE_POP,
    MR_AGGREGATE_STDDEV_POP,
    MR_AGGREGATE_FIRST,
    MR_AGGREGATE_LAST,
    MR_AGGREGATE_TIME_SINCE_LAST,
    MR_AGGREGATE_RATE,
    MR_AGGREGATE_RATIO,
    MR_AGGREGATE_DISTINCT_COUNT,
    MR_AGGREGATE_QUANTILE,
    MR_AGGREGATE_TOP_K,
    MR_AGGREGATE_COUNT_OF
} mr_aggregate_id;

typedef enum mr_argument {
    MR_ARGUMENT_NONE,
    MR_ARGUMENT_OPTIONAL,
    MR_ARGUMENT_REQUIRED
} mr_argument;

/* What may stand behind the input in the call: quantile(amount, 0.95), top_k(shop, 3), rate(amount,
 * 1h). */
typedef enum mr_parameter {
    MR_PARAMETER_NONE,
    MR_PARAMETER_QUANTILE, /* a number from 0 to 1 */
    MR_PARAMETER_K,        /* an integer from 1 to MR_TOP_K_MAX */
    MR_PARAMETER_UNIT,     /* a duration; one second when left out */
} mr_parameter;

#define MR_TOP_K_MAX 100

#define MR_TYPES_NUMBER                                                                            \
    (1u << MR_BOOL | 1u << MR_INT32 | 1u << MR_INT64 | 1u << MR_FLOAT32 | 1u << MR_FLOAT64)
#define MR_TYPES_ORDERED (MR_TYPES_NUMBER | 1u << MR_TIMESTAMP)
#define MR_TYPES_ANY     (MR_TYPES_ORDERED | 1u << MR_STRING | 1u << MR_BYTES)

typedef struct mr_aggregate_kind {
    const char *name;
    mr_aggregate_id id;
    const char *arguments;   /* as written: "quantile(x, q)" */
    const char *description; /* one sentence */
    mr_argument input;
    mr_parameter parameter;
    uint32_t types;      /* of the input, bits 1 << mr_type_id */
    uint32_t windows;    /* bits 1 << mr_window_kind */
    const char *result;  /* type, in words */
    const char *empty;   /* value where nothing matches, unless the user names one */
    const char *bounds;  /* exactness, memory */
    const char *missing; /* rule for NULL, NaN, infinities */
    const char *tiled;   /* exactness in a view with a resolution */
    const char
        *memory; /* of a key, beside its records or tiles; NULL: a few bytes, see README.md */
} mr_aggregate_kind;

/* MR_AGGREGATE_COUNT_OF of them, indexed by id. */
extern const mr_aggregate_kind mr_aggregate_kinds[];

/* NULL when there is none of that name. */
const mr_aggregate_kind *mr_aggregate_find(const char *name, size_t bytes);
/* The reference page (Markdown): windows, aggregates, rules. */
void mr_aggregate_reference(mr_bytes *out);

#endif
