/* pipeline.h -- a declared pipeline: YAML -> plan -> run.
 *
 *   mr_plan ........ what a YAML file compiles to: checked, typed, hashed; printed by `millrace plan`
 *   mr_pipeline .... a plan at work on a home: sources, state, journal, sinks
 *
 * A pipeline is advanced by calls. One step takes one micro-batch of the merged sources through all stages:
 *
 *   take -> journal -> derive -> features -> derive -> score -> decide -> route -> append -> commit
 *
 * (1) What comes out is a function of the sequence of records taken, the plan and the models: not of worker
 *     count, micro-batch size, clock, or crashes.
 * (2) A sink shows nothing that depends on a choice the journal has not made durable.
 * (3) Each block appended to a sink carries (pipeline id, positions [first, next)); after a crash only what
 *     the sinks lack is appended.
 * Thread: one thread steps a pipeline; mr_pipeline_stats may be read from others. */
#ifndef MR_PIPELINE_PIPELINE_H
#define MR_PIPELINE_PIPELINE_H

#include "data/batch.h"
#include "log/log.h"
#include "os/clock.h"
#include "os/fs.h"
#include "pipeline/models.h"

typedef struct mr_plan mr_plan;
typedef struct mr_pipeline mr_pipeline;

/* ---- plans ---- */

/* Compiles a file. Topics named without a schema take it from `log` (may be NULL: then every source needs
 * one), models by name from `models` (may be NULL, likewise). Relative paths in the file are relative to the file's
 * folder. Errors: file:line:column. */
mr_status mr_plan_load(mr_fs *fs, mr_log *log, mr_models *models, const char *path, mr_plan **out,
                       mr_error *err);
/* The same from text; `name` stands for the file in errors, `folder` for its folder. */
mr_status mr_plan_compile(mr_fs *fs, mr_log *log, mr_models *models, const char *text, size_t bytes,
                          const char *name, const char *folder, mr_plan **out, mr_error *err);
void mr_plan_release(mr_plan *plan); /* NULL is allowed */
const char *mr_plan_name(const mr_plan *plan);
uint64_t mr_plan_hash(const mr_plan *plan);
/* The compiled plan as text (stages, columns with types, windows, bounds) or JSON. */
void mr_plan_format(const mr_plan *plan, bool json, mr_bytes *out);
/* What the sink of that name receives; lent. NULL: no such sink. */
const mr_schema *mr_plan_sink_schema(const mr_plan *plan, const char *sink);
/* A feature view as declared; everything in it is lent by the plan. False: there is no view of that index. */
typedef struct mr_plan_view {
    const char *name;
    const mr_schema *source;     /* of the records that feed it */
    const uint32_t *key_columns; /* of them */
    size_t key_count;
    const mr_field *features;
    uint32_t feature_count;
} mr_plan_view;
bool mr_plan_view_get(const mr_plan *plan, size_t index, mr_plan_view *out);
/* The main sink's topic, or NULL when decisions go nowhere. */
const char *mr_plan_main_sink(const mr_plan *plan);

/* ---- running ---- */

typedef struct mr_pipeline_options {
    mr_log *log;
    mr_models *models; /* of a plan that names its model; else may be NULL */
    mr_fs *fs;
    mr_clock *clock;
    const char *home;               /* state and checkpoints live in <home>/pipelines/<name> */
    int workers;                    /* 0: one per processor */
    uint32_t batch_rows_max;        /* 0: 4096 */
    uint64_t memory_bytes;          /* state's budget; 0: half of the machine */
    int64_t checkpoint_interval_ms; /* 0: 60 s; < 0: only at a clean stop */
    bool skip_removed; /* go on behind records that retention took before they were read */
    bool until_end;    /* stop when all sources have been read to where they end now */
    bool stepped;      /* no threads at all: for simulation */
} mr_pipeline_options;

/* Opens sources, state and sinks, recovers (loads the checkpoint, replays the journal) and is ready. The
 * plan is retained. MR_BUSY: it runs elsewhere. MR_CONFLICT: the state is of another plan; the text says
 * which way out there is. */
mr_status mr_pipeline_open(mr_plan *plan, const mr_pipeline_options *options, mr_pipeline **out,
                           mr_error *err);
/* One micro-batch. *out_rows: records taken; 0: nothing was there. MR_END: until_end, and all is done. */
mr_status mr_pipeline_step(mr_pipeline *pipeline, uint32_t *out_rows, mr_error *err);
/* Waits until a source has something or timeout_ns passed. */
mr_status mr_pipeline_wait(mr_pipeline *pipeline, int64_t timeout_ns, mr_error *err);
/* Steps and waits until stop_asked says so or the end is reached, then stops. `watch`, and each function in it, may
 * be NULL; tick is called about ten times a second. */
typedef struct mr_pipeline_watch {
    bool (*stop_asked)(void *context);
    void (*tick)(void *context, mr_pipeline *pipeline);
    /* After each micro-batch that took something: mr_pipeline_last_output. */
    void (*taken)(void *context, const mr_batch *output);
    /* When there was nothing to take and all that was taken is durable; true ends the run. */
    bool (*idle)(void *context, mr_pipeline *pipeline);
    void *context;
} mr_pipeline_watch;
mr_status mr_pipeline_run(mr_pipeline *pipeline, const mr_pipeline_watch *watch, mr_error *err);
/* Finishes what is in flight, checkpoints: the next open replays nothing. */
mr_status mr_pipeline_stop(mr_pipeline *pipeline, mr_error *err);
/* Frees everything without finishing anything: as after a crash. NULL is allowed. */
void mr_pipeline_close(mr_pipeline *pipeline);

/* ---- questions ---- */

/* One feature view's values of one key as of the last finished micro-batch: one row of columns, the last of them
 * state_bytes, the memory that the key takes. The key is
 * text as in CSV ("4711"), several key columns joined by ','. */
mr_status mr_pipeline_features(mr_pipeline *pipeline, const char *view, const char *key,
                               mr_batch **out, mr_error *err);
/* The same from the newest checkpoint of a pipeline that is not running or runs elsewhere, brought up to
 * date by replaying the journal in memory; writes nothing. */
mr_status mr_pipeline_features_at_rest(mr_plan *plan, const mr_pipeline_options *options,
                                       const char *view, const char *key, mr_batch **out,
                                       mr_error *err);

#define MR_LATENCY_BUCKETS                                                                         \
    96 /* quarter octaves: 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ... us */

typedef struct mr_pipeline_stats {
    uint64_t position; /* records taken over all sources, ever */
    uint64_t records;  /* taken by this process */
    uint64_t micro_batches;
    uint64_t decisions; /* rows appended to the main sink by this process */
    uint64_t dead_letters;
    uint64_t late;         /* for a feature view: beyond its lateness; still decided */
    uint64_t late_windows; /* for an emitting window: put to the dead letters */
    uint64_t replayed;     /* records taken again at open */
    uint64_t removed; /* records passed over at open, as retention had taken them (skip_removed) */
    uint64_t lag;     /* records visible in the sources and not taken yet */
    uint64_t checkpoints;
    int64_t recovery_ns;
    uint64_t state_keys, state_keys_spilled, state_bytes;
    uint64_t latency[MR_LATENCY_BUCKETS]; /* append of the source's block to visible decision */
    int64_t event_time;                   /* newest event time taken; INT64_MIN: none */
} mr_pipeline_stats;

void mr_pipeline_stats_get(mr_pipeline *pipeline, mr_pipeline_stats *out);
/* Quantile of a latency histogram, microseconds (upper end of its bucket); 0 when it is empty. */
double mr_latency_quantile(const uint64_t *buckets, double q);
/* Lends the columns of the last finished micro-batch's main output (NULL when there were none): what a live
 * panel shows. Valid until the next step. */
const mr_batch *mr_pipeline_last_output(const mr_pipeline *pipeline);

#endif
