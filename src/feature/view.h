/* view.h -- feature views: aggregates over windows of one entity's past, as of each event.
 *
 *   mr_view ........ a compiled view and its table of keyed state (one table per view)
 *   mr_view_work ... the reusable scratch of one micro-batch: hashes, outputs; shared by the workers
 *   step ........... one record in merged order: it updates the state, asks for values, or both
 *
 *   one micro-batch:   begin -> hash (each worker) | barrier | -> walk (each worker) | barrier | -> finish
 *
 * (1) A value is a function of the key's own sequence of updates and of the asking time: it does not depend on
 *     micro-batch cuts, workers, checkpoints or other keys.
 * (2) A record that updates and asks is added first, then the windows are read: it sees itself. Of records with equal
 *     times the earlier one in the sequence does not see the later ones.
 * (3) A late record takes its place in time (after equals) and sees what has arrived of its own windows. Records are
 *     kept until they are older than the key's newest time less the longest reach less `lateness`; one that comes
 *     later than that sees itself and what is still kept, counts in lifetime aggregates, and is counted in
 *     mr_view_stats.late.
 * (4) A NULL in any key column: every output is NULL and the state is untouched.
 * (5) Sums are exact and rounded once: equal windows give equal bits, whatever came before.
 *
 * With a `resolution` r records are kept in tiles (k r, (k + 1) r]: a sliding window starts at t - delay - length rounded
 * down to a multiple of r (so it is up to r longer); a delayed one ends at t - delay rounded down (up to r less fresh);
 * one without delay ends with the tile of t. Events in order see exact ends. A tile is a bounded summary: what it costs
 * and what it makes approximate stands in README.md.
 *
 * Thread: create, begin, finish, get and destroy belong to the pipeline's thread. hash and walk are called once per
 * worker and micro-batch; worker k owns the slots [k, k + 1) * MR_SLOT_COUNT / workers. */
#ifndef MR_FEATURE_VIEW_H
#define MR_FEATURE_VIEW_H

#include "data/batch.h"
#include "feature/aggregate.h"
#include "state/state.h"

#define MR_VIEW_AGGREGATES_MAX   1024
#define MR_VIEW_INPUTS_MAX       64
#define MR_VIEW_WHERES_MAX       64
#define MR_VIEW_KEYS_MAX         8
#define MR_VIEW_LATENESS_DEFAULT INT64_C(-1) /* min(1 h, longest window) */

/* ---- the definition ---- */

typedef struct mr_view_column {
    const char
        *text; /* what it is ("amount", "amount * rate"): part of the fingerprint, and of errors */
    mr_type type; /* wheres: bool */
} mr_view_column;

typedef struct mr_view_aggregate {
    const char *name; /* of the output; unique in the view */
    const mr_aggregate_kind *kind;
    int input; /* index into spec.inputs; -1: none */
    int where; /* index into spec.wheres; -1: every record */
    mr_window window;
    double quantile;
    uint32_t k;
    int64_t unit_us;  /* rate; 0: one second */
    bool empty_given; /* `empty` replaces the kind's value where nothing matches; numeric results
                         only */
    double empty;
} mr_view_aggregate;

typedef struct mr_view_spec {
    const char *name;    /* of the view and of its table */
    const mr_type *keys; /* bool, int32, int64, timestamp, string or bytes */
    size_t key_count;
    const mr_view_column *inputs;
    size_t input_count;
    const mr_view_column *wheres;
    size_t where_count;
    const mr_view_aggregate *aggregates;
    size_t aggregate_count;
    int64_t resolution_us; /* 0: exact */
    int64_t lateness_us;   /* MR_VIEW_LATENESS_DEFAULT, or >= 0 */
    int64_t ttl_us;        /* 0: none */
    const char
        *lineage; /* what feeds the view, in words; part of the fingerprint only. May be NULL */
} mr_view_spec;

typedef struct mr_view mr_view;

/* Checks the spec (copied) and adds the view's table to `state`, before recovery. MR_INVALID names
 * the aggregate and what would be right. The view must be destroyed after the state is closed. With
 * `state` NULL the view can only be asked for its outputs and its text: for compiling a plan. */
mr_status mr_view_create(const mr_view_spec *spec, mr_state *state, mr_view **out, mr_error *err);
void mr_view_destroy(mr_view *view); /* NULL is allowed */

mr_table *mr_view_table(const mr_view *view);
const char *mr_view_name(const mr_view *view);
/* Hash of the canonical text of the definition, which mr_view_text writes. */
uint64_t mr_view_fingerprint(const mr_view *view);
void mr_view_text(const mr_view *view, mr_bytes *out);

typedef struct mr_view_output {
    const char *name; /* lent by the view */
    mr_type type;     /* int64, float64, timestamp, string or bytes; any output may be NULL */
} mr_view_output;

size_t mr_view_output_count(const mr_view *view);
mr_view_output mr_view_output_at(const mr_view *view, size_t index);
/* How far back from the newest record of a key records are kept, lateness included; INT64_MAX when
 * the rule is one of counts (last N, sessions). For retention and replay of views that are filled
 * later. */
int64_t mr_view_reach_us(const mr_view *view);

typedef struct mr_view_stats {
    uint64_t updates;
    uint64_t queries;
    uint64_t null_keys;
    uint64_t out_of_order; /* updates before the newest time of their key */
    uint64_t late;         /* of these, beyond lateness */
    uint64_t not_finite;   /* NaN and infinite inputs, taken as missing */
} mr_view_stats;

void mr_view_stats_get(const mr_view *view, mr_view_stats *out); /* since create */

/* ---- one micro-batch ---- */

typedef enum mr_view_act {
    MR_VIEW_UPDATE = 1,
    MR_VIEW_QUERY = 2,
    MR_VIEW_BOTH = 3, /* updates with `row`, then asks as that record */
    MR_VIEW_FORGET =
        4, /* alone, or with QUERY after the answer: what is at or before its time is removed */
} mr_view_act;

/* The i-th step stands at position first_position + i, or at position when positions are given. */
typedef struct mr_view_step {
    uint32_t row;    /* of the update set (UPDATE, BOTH) or of the query set (QUERY) */
    uint32_t output; /* row of the outputs (QUERY, BOTH); each output row at most once */
    uint32_t act;    /* mr_view_act; 0: a record of another stream, passed over */
} mr_view_step;

/* Rows of one side. Columns are lent until finish. times may have no NULL. */
typedef struct mr_view_rows {
    size_t count;
    const mr_column *keys;   /* key_count of them */
    const mr_column *times;  /* timestamp or int64, microseconds */
    const mr_column *inputs; /* update side: input_count of them */
    const mr_column *wheres; /* update side: where_count bool columns */
} mr_view_rows;

typedef struct mr_view_input {
    uint64_t first_position;
    const uint64_t
        *positions; /* NULL, or one per step, ascending; then first_position is not used */
    const mr_view_step *steps; /* NULL: every update row is BOTH, in order, output row = row */
    size_t step_count;         /* steps NULL: taken from updates.count */
    mr_view_rows updates;
    mr_view_rows queries;
    size_t output_rows; /* rows no step asks for come out NULL */
} mr_view_input;

typedef struct mr_view_work mr_view_work;

mr_status mr_view_work_create(mr_view *view, int workers, mr_view_work **out, mr_error *err);
void mr_view_work_destroy(mr_view_work *work); /* NULL is allowed */

/* Checks the columns against the spec and makes room. */
mr_status mr_view_begin(mr_view_work *work, const mr_view_input *input, mr_error *err);
/* Hashes this worker's share of the rows. */
void mr_view_hash(mr_view_work *work, int worker);
/* Walks the steps whose slot belongs to this worker. After a failure the state is not usable any
 * more: close and recover. Errors are kept for finish. */
void mr_view_walk(mr_view_work *work, int worker);
/* The first error of a walk, or one column per output, output_rows long, moved into `columns`. */
mr_status mr_view_finish(mr_view_work *work, mr_column *columns, mr_error *err);

/* begin, hash, walk and finish on the calling thread. */
mr_status mr_view_run(mr_view_work *work, const mr_view_input *input, mr_column *columns,
                      mr_error *err);

/* ---- reading one key ---- */

/* One value per column of spec.keys; for mr_view_get. */
typedef struct mr_view_key {
    bool null;
    int64_t word; /* bool, int32, int64, timestamp */
    mr_text text; /* string, bytes */
} mr_view_key;

#define MR_VIEW_AS_OF_LAST                                                                         \
    INT64_MIN /* the time of the key's newest record (with a resolution: of its tile's end) */

/* The outputs of one key as a query at `as_of_us` would see them after the last finished micro-batch: one row.
 * *out_found (nullable) is false for a key without state; its outputs are those of empty windows. *out_bytes
 * (nullable): what the key takes in memory. */
mr_status mr_view_get(mr_view *view, const mr_view_key *key, int64_t as_of_us, mr_column *columns,
                      bool *out_found, uint64_t *out_bytes, mr_error *err);

#endif
