/* run_internal.h -- a pipeline at work, as the siblings of this room see it.
 *
 *   take.c ...... which records come next: merge by event time, or what the journal says
 *   journal.c ... the order of everything taken, in the topic system/journal/<pipeline>
 *   rows.c ...... the rows of each source in one micro-batch: check, filter, derive
 *   eval.c ...... expressions over row ranges, on all workers
 *   stage.c ..... features, derive, score, decide
 *   cast.c ...... which versions of the model play; cast_follow.c: when others do; cast_score.c: what they say
 *   sink.c ...... appending what the sinks lack
 *   commit.c .... making it durable, beside the flow
 *   recover.c ... checkpoint, replay
 *   pipeline.c .. birth, steps, death, questions
 *
 * Numbers: a *merged index* m counts the records of one micro-batch; its position is batch.position + m. */
#ifndef MR_PIPELINE_RUN_INTERNAL_H
#define MR_PIPELINE_RUN_INTERNAL_H

#include "feature/view.h"
#include "log/log.h"
#include "os/thread.h"
#include "pipeline/cast.h"
#include "pipeline/dead.h"
#include "pipeline/model_stats.h"
#include "pipeline/pipeline.h"
#include "pipeline/plan_internal.h"
#include "pipeline/stream.h"
#include "state/spill.h"
#include "state/state.h"

#define STREAMS_MAX 256
#define BATCH_ROWS  4096

/* `rows` records of one stream in a row. */
typedef struct take_run {
    uint32_t stream;
    uint32_t rows;
} take_run;

typedef struct take_runs {
    take_run *items;
    size_t count;
    size_t room;
} take_runs;

/* The rows of one source in the micro-batch. */
typedef struct source_rows {
    mr_column *columns;    /* of the source's frame; the `on` source: of the plan's frame */
    uint32_t column_count; /* filled so far */
    uint32_t count;        /* rows that passed check and filter */
    uint32_t *merged;      /* merged index of each row; NULL: row r is merged index r */
    uint32_t merged_room;
} source_rows;

/* One micro-batch on its way. */
typedef struct micro_batch {
    uint64_t position; /* of merged index 0 */
    uint32_t rows;     /* records taken */
    take_runs runs;
    bool forced;       /* the order rests on a wall clock: the journal must be durable first */
    bool replayed;     /* the journal has it already */
    int64_t append_us; /* wall time of the oldest record; 0: unknown */
    int64_t time_max;  /* newest event time */
    const mr_bytes *
        cast; /* the text of a cast that is new from here on, for the journal; NULL: the old one goes on */
    source_rows sources[MR_SOURCES_MAX];
} micro_batch;

/* ---- journal ---- */

typedef struct mr_journal mr_journal;

/* Not `writable`: for reading what is durable while another process may write. */
mr_status mr_journal_open(mr_log *log, const char *pipeline, bool writable, mr_journal **out,
                          mr_error *err);
void mr_journal_close(mr_journal *journal);
/* Appends one micro-batch: where each stream stood before it, and the runs. */
mr_status mr_journal_append(mr_journal *journal, const micro_batch *batch,
                            mr_stream *const *streams, size_t stream_count, const uint64_t *starts,
                            uint64_t plan_hash, mr_error *err);
/* Makes all that was appended durable. Any thread. */
mr_status mr_journal_commit(mr_journal *journal, mr_error *err);
/* Whether all that was appended is durable by now. */
mr_status mr_journal_durable(mr_journal *journal, bool *out, mr_error *err);
uint64_t mr_journal_end(const mr_journal *journal); /* offset of the next entry */
/* Lets go of old entries beyond the journal's size limit, none of `needed_offset` or after. */
void mr_journal_trim(mr_journal *journal, uint64_t needed_offset);

/* One entry read back; all is lent until the next call. */
typedef struct journal_entry {
    uint64_t position;
    uint64_t rows;
    uint64_t offset;      /* of the entry itself */
    uint64_t plan_hash;   /* of the plan that took it */
    const take_run *runs; /* stream numbers are those of `names` */
    size_t run_count;
    const uint64_t *starts;
    const char *const *names; /* of the streams: "payments/0" */
    size_t stream_count;
    mr_text cast; /* bytes NULL: as before */
} journal_entry;

/* Reads on from that entry (0: the first that is kept). */
mr_status mr_journal_rewind(mr_journal *journal, uint64_t offset, mr_error *err);
/* MR_END behind the last entry that was there at open. */
mr_status mr_journal_next(mr_journal *journal, journal_entry *out, mr_error *err);
/* The entry that was just read comes once more. */
void mr_journal_again(mr_journal *journal);
/* The position behind the last entry that was there at open, 0 when there was none. */
uint64_t mr_journal_position_end(const mr_journal *journal);

/* evidence_origin.c: hash of the plan that took the record of a position, by the journal. */
mr_status mr_journal_plan_at(mr_log *log, const char *pipeline, uint64_t position, uint64_t *out,
                             mr_error *err);

/* ---- evaluation ---- */

typedef struct eval_item {
    const mr_expr *expr;
    mr_column *to; /* zeroed before; may be one of the columns that later items read */
} eval_item;

/* Evaluates items in order over rows [0, rows) of `columns`; each may use those before it. */
mr_status eval_columns(mr_pipeline *pipeline, const eval_item *items, size_t item_count,
                       const mr_column *columns, uint32_t rows, mr_error *err);
/* Rows of a condition, into pipeline->selection. */
mr_status eval_filter(mr_pipeline *pipeline, const mr_expr *expr, const mr_column *columns,
                      uint32_t rows, size_t *out_count, mr_error *err);

/* Worker's share of the rows, at multiples of 64. */
void run_range(uint32_t rows, int worker, int workers, uint32_t *out_first, uint32_t *out_count);
/* The first failure in worker_errors after a stage. */
mr_status run_worker_error(const mr_pipeline *pipeline, mr_error *err);

/* ---- sinks ---- */

typedef struct run_sink {
    const plan_sink *plan; /* NULL: dead letters */
    mr_topic *topic;       /* NULL: not open */
    uint64_t producer_id;
    uint64_t known;                /* sequences below this are in the topic already */
    _Atomic uint64_t appended_end; /* offset to commit */
    uint64_t rows;                 /* appended by this process */
} run_sink;

/* Opens the topic (creates it when absent), takes it over for writing and asks what is there of ours. */
mr_status run_sink_open(mr_pipeline *pipeline, const char *topic_name, const plan_sink *plan,
                        mr_schema *schema, const char *producer, run_sink *sink, mr_error *err);
void run_sink_close(run_sink *sink);
/* What marks a sink's blocks as this pipeline's; the main sink and the routes are producers by their topic's name. */
uint64_t run_sink_producer_id(const char *pipeline, const char *producer);
/* The sink's columns of the frame: shared when all rows go (chosen NULL), gathered otherwise. */
mr_status run_sink_pick(const plan_sink *plan, const source_rows *rows, const uint32_t *chosen,
                        size_t count, mr_batch **out, mr_error *err);
/* Appends the rows that the sink wants and lacks. *out_batch (may be NULL): what was appended, retained. */
mr_status run_sink_append(mr_pipeline *pipeline, run_sink *sink, const micro_batch *batch,
                          const source_rows *rows, mr_batch **out_batch, mr_error *err);
/* Appends a ready batch that stands for sequences [first, next). */
mr_status run_sink_append_batch(run_sink *sink, mr_batch *batch, uint64_t first, uint64_t next,
                                mr_error *err);
mr_status run_sink_commit(run_sink *sink, mr_error *err); /* any thread */

/* ---- dead letters ---- */

/* Collects the letters of a micro-batch and appends them together, by sequence. */
typedef struct run_dead {
    run_sink sink;
    mr_builder rows;    /* schema NULL: not open */
    mr_bytes sequences; /* uint64_t per row */
} run_dead;

mr_status run_dead_open(mr_pipeline *pipeline, const char *producer, run_dead *dead, mr_error *err);
void run_dead_close(run_dead *dead);
void run_dead_add(mr_pipeline *pipeline, run_dead *dead, const mr_dead_letter *letter,
                  uint64_t sequence);
mr_status run_dead_flush(run_dead *dead, mr_error *err);

/* ---- the pipeline ---- */

/* What waits to become durable. */
typedef struct commit_item {
    uint64_t position_end;
    uint32_t rows; /* decided rows, for the latency histogram */
    int64_t append_us;
} commit_item;

#define COMMIT_QUEUE_MAX 32

typedef struct committer {
    mr_mutex mutex;
    mr_condition changed;
    mr_thread *thread; /* NULL: everything is committed by the caller */
    commit_item queue[COMMIT_QUEUE_MAX];
    size_t first, count;
    bool busy, stop;
    bool failed;
    mr_error error;
    uint64_t position_done; /* all sinks are durable up to here */
} committer;

typedef struct run_view {
    const plan_view *plan;
    mr_view *view;
    mr_view_work *work;
    mr_column *inputs, *wheres, *keys, *lookups, *outputs;
} run_view;

struct mr_pipeline {
    mr_plan *plan;
    mr_pipeline_options options;
    char folder[MR_PATH_MAX];
    mr_file *lock;
    mr_budget budget;
    mr_state *state;
    mr_pool *pool;
    int workers;
    mr_stream *streams[STREAMS_MAX];
    size_t stream_count;
    uint64_t starts[STREAMS_MAX]; /* ordinals before the micro-batch, for the journal */
    mr_journal *journal;
    bool replaying;
    take_runs replay; /* runs of the journal still to be taken; replay.items[replay_next...] */
    size_t replay_next;
    uint32_t replay_map[STREAMS_MAX]; /* journal stream -> ours */
    run_view *views;
    struct run_emit *emits;
    run_sink *sinks;
    size_t sink_count;
    run_dead dead;                         /* records that failed a check, by position */
    run_dead dead_streams[MR_SOURCES_MAX]; /* records a decoder refused, by their number */
    mr_schema *dead_schema;
    micro_batch batch;
    mr_view_step *steps;
    mr_expr_scratch *scratches; /* one per worker */
    mr_error *worker_errors;
    run_cast *cast;       /* NULL: scores nothing, or not yet */
    bool cast_told;       /* the journal has its text, from this process */
    uint64_t decided;     /* at open: positions below have decisions in some sink */
    mr_bytes replay_cast; /* replaying: the text that holds for `replay`; empty: unknown */
    struct run_model_stats *model_stats; /* NULL: the plan scores nothing; under stats_mutex */
    struct cast_follow *follow;          /* NULL: the model is a file */
    run_sink shadow;                     /* what shadows said; topic NULL: none yet */
    mr_builder shadow_rows;              /* of this micro-batch; schema NULL: no shadow yet */
    uint8_t *deciders;                   /* part of the cast that decided each row */
    mr_results live_results;             /* of all rows, while a canary decides some */
    struct trial_desk *desk;             /* NULL: the model is a file */
    uint32_t *selection;
    uint32_t rows_max;
    mr_batch *last_output;
    committer commit;
    uint64_t position; /* of the next record to take */
    int64_t next_checkpoint_ns;
    int64_t next_retention_ns;    /* when to look next how close retention has come */
    bool checkpoint_in_haste;     /* this round began because retention was near */
    bool checkpoint_slots_done;   /* all images of this round are written ... */
    uint64_t checkpoint_position; /* ... by this position */
    struct {
        uint64_t position, journal_offset;
    } checkpoint_starts[4]; /* where the last rounds began, newest first */
    bool checkpoint_journal_done;
    bool rested;       /* since the last micro-batch there was nothing to do */
    bool commits_wait; /* some sink acknowledges after a sync */
    bool failed;
    bool
        place_removed; /* ... because retention took what it was to read next: nothing else is wrong */
    bool at_rest;      /* reads only: no lock, no sinks, nothing written */
    struct run_again *again; /* at rest: a decision is computed once more; else NULL */
    mr_mutex stats_mutex;
    mr_pipeline_stats stats;
};

/* pipeline.c */
mr_status run_source_partitions(mr_pipeline *pipeline, const plan_source *source, uint32_t *out,
                                mr_error *err);
mr_status run_stream_reject(void *context, mr_stream *stream, const stream_reject *reject,
                            mr_error *err);
mr_status run_views_open(mr_pipeline *pipeline, mr_error *err);
mr_status run_view_open(mr_pipeline *pipeline, const plan_view *plan, run_view *view,
                        mr_error *err);
void run_view_close(run_view *view); /* all but the view itself, which outlives the state */
/* Evaluates arguments or conditions of a view over the rows that feed it. */
mr_status run_eval_inputs(mr_pipeline *pipeline, const plan_input *inputs, size_t count,
                          const source_rows *rows, mr_column *out, mr_error *err);
/* take.c: fills batch->runs, rows, forced and takes nothing yet. rows 0: nothing to take now. */
mr_status run_take(mr_pipeline *pipeline, micro_batch *batch, mr_error *err);
/* rows.c: moves the rows out of the streams into batch->sources. */
mr_status run_rows(mr_pipeline *pipeline, micro_batch *batch, mr_error *err);
void run_rows_release(mr_pipeline *pipeline, micro_batch *batch);
/* Keeps only the rows for which it is true. */
mr_status run_rows_filter(mr_pipeline *pipeline, const mr_expr *filter, source_rows *rows,
                          mr_error *err);
/* Name and offset of the record at a merged index, for the place of a dead letter. */
const mr_stream *run_stream_at(const mr_pipeline *pipeline, const micro_batch *batch,
                               uint32_t merged, uint64_t *out_ordinal);
/* Puts a record of a source into the dead letters by position. `columns`: the source's frame. */
mr_status run_reject_row(mr_pipeline *pipeline, const micro_batch *batch, const plan_source *source,
                         const mr_column *columns, uint32_t row, uint32_t merged,
                         const char *reason, mr_error *err);
/* stage.c */
mr_status run_stages(mr_pipeline *pipeline, micro_batch *batch, mr_error *err);
/* Computed columns over the rows, one after the other. */
mr_status run_compute(mr_pipeline *pipeline, const plan_columns *columns, source_rows *rows,
                      mr_error *err);
/* evidence_columns.c: what the plan keeps beside the decision. */
mr_status run_evidence(mr_pipeline *pipeline, const micro_batch *batch, source_rows *rows,
                       mr_error *err);
/* cast_score.c: all parts of the cast over the rows. */
mr_status run_score(mr_pipeline *pipeline, source_rows *rows, mr_error *err);
/* One part alone, in the plan's columns. */
mr_status run_score_as(mr_pipeline *pipeline, const cast_part *part, source_rows *rows,
                       mr_error *err);
/* The part's inputs are the frame's columns, until its next use. */
void run_lend_inputs(const cast_part *part, const source_rows *rows);
/* cast_reasons.c: the last of the score's columns, by the parts that decided the rows. */
mr_status run_reasons(mr_pipeline *pipeline, const uint8_t *deciders, source_rows *rows,
                      mr_error *err);
/* The live part's results before a canary's went over them; once after run_score. */
mr_status run_score_live(mr_pipeline *pipeline, source_rows *rows, mr_error *err);
uint64_t run_key_hash(const mr_column *column, size_t row);
/* Whether two frames decide a row differently. */
bool run_flips(const mr_plan *plan, const source_rows *a, const source_rows *b, uint32_t row);
/* trial_desk.c: what the parts said of the rows; live is rows when no canary plays. */
typedef struct trial_view {
    const source_rows *rows, *live;
    const source_rows *shadows[CAST_PARTS_MAX];
    const cast_part *parts[CAST_PARTS_MAX];
    size_t shadow_count;
} trial_view;
/* view NULL: no record was decided. */
mr_status run_trial_batch(mr_pipeline *pipeline, const micro_batch *batch, const trial_view *view,
                          mr_error *err);
void run_trial_timed(mr_pipeline *pipeline, const cast_part *part, int64_t took_ns, uint32_t rows);
void run_trial_act(mr_pipeline *pipeline); /* the loader's */
mr_status run_trial_keep(mr_pipeline *pipeline, mr_error *err);
mr_status run_trial_recover(mr_pipeline *pipeline, mr_error *err);
void run_trial_close(mr_pipeline *pipeline);
/* cast_shadow.c: what the shadows said of these rows, by their `decide`. */
mr_status run_shadow_rows(mr_pipeline *pipeline, const micro_batch *batch, const source_rows *rows,
                          mr_error *err);
/* Finds how far the shadows of an earlier run have come. */
mr_status run_shadow_recover(mr_pipeline *pipeline, mr_error *err);
mr_status run_shadow_append(mr_pipeline *pipeline, const micro_batch *batch, mr_error *err);
/* cast_follow.c */
mr_status run_cast_open(mr_pipeline *pipeline, mr_error *err); /* after recovery has ended */
void run_cast_close(mr_pipeline *pipeline);
/* The cast for this micro-batch: the journal's in a replay, else the newest that is ready. */
mr_status run_cast_turn(mr_pipeline *pipeline, micro_batch *batch, mr_error *err);
/* commit.c */
mr_status run_commit_start(mr_pipeline *pipeline, mr_error *err);
void run_commit_stop(mr_pipeline *pipeline);
mr_status run_commit(mr_pipeline *pipeline, const commit_item *item, bool beside, mr_error *err);
mr_status run_commit_wait(mr_pipeline *pipeline, mr_error *err); /* until the queue is empty */
bool run_commit_idle(mr_pipeline *pipeline); /* nothing waits to become durable */
uint64_t run_commit_position(mr_pipeline *pipeline);
/* model_stats.c */
struct run_model_stats {
    mr_model_stats entries[MR_MODEL_STATS_MAX];
    size_t count;
    bool swapped; /* another cast plays since the last look */
    uint64_t changes, written;
};
mr_status run_model_stats_open(mr_pipeline *pipeline, mr_error *err);
void run_model_stats_swapped(mr_pipeline *pipeline);
int64_t run_model_stats_begin(const mr_pipeline *pipeline);
void run_model_stats_end(mr_pipeline *pipeline, const cast_part *part, const mr_results *results,
                         int64_t begun_ns);
/* evidence_replay.c */
/* Whether the micro-batch is to be scored and decided although the pipeline is at rest. */
bool run_again_wants(const mr_pipeline *pipeline, const micro_batch *batch);
mr_status run_again_keep(mr_pipeline *pipeline, const micro_batch *batch, const source_rows *rows,
                         mr_error *err);
/* Position to replay up to: no further than `end`, what the journal has. */
mr_status run_again_end(const mr_pipeline *pipeline, uint64_t *end, mr_error *err);
bool run_again_from_first(const mr_pipeline *pipeline); /* no checkpoint may be used */
/* Whether a checkpoint up to that position may be used; MR_CONFLICT: it is ahead of what is asked for. */
mr_status run_again_check(mr_pipeline *pipeline, uint64_t position_max, mr_error *err);
void run_again_started(mr_pipeline *pipeline);
/* pipeline.c: birth at rest. `again` is lent, or NULL. */
mr_status run_open_at_rest(mr_plan *plan, const mr_pipeline_options *options,
                           struct run_again *again, mr_pipeline **out, mr_error *err);
/* recover.c */
int64_t run_checkpoint_interval_ns(const mr_pipeline *pipeline);
mr_status run_recover(mr_pipeline *pipeline, mr_error *err);
/* Maps the entry's stream numbers to ours, in pipeline->replay_map. */
mr_status run_replay_map(mr_pipeline *pipeline, const journal_entry *entry, mr_error *err);
mr_status run_checkpoint_tick(mr_pipeline *pipeline, bool all, mr_error *err);
/* emit.c */
mr_status run_emits_open(mr_pipeline *pipeline, mr_error *err); /* adds tables: before recovery */
mr_status run_emits_open_sinks(mr_pipeline *pipeline, mr_error *err);
mr_status run_emits_restore(mr_pipeline *pipeline, mr_error *err); /* after the state is loaded */
/* Watermarks into and out of a checkpoint's flow bytes. */
void run_emits_encode(const mr_pipeline *pipeline, mr_bytes *out);
mr_status run_emits_decode(mr_pipeline *pipeline, mr_reader *from, mr_error *err);
/* After the early derives and the filter of the `on` source. */
mr_status run_emits_batch(mr_pipeline *pipeline, micro_batch *batch, mr_error *err);
mr_status run_emits_append(mr_pipeline *pipeline, const micro_batch *batch, mr_error *err);
mr_status run_emits_commit(mr_pipeline *pipeline, mr_error *err); /* any thread */
mr_status run_emits_sync(mr_pipeline *pipeline, mr_error *err);
void run_emits_close_views(mr_pipeline *pipeline); /* before the state is closed */
void run_emits_close(mr_pipeline *pipeline);

#endif
