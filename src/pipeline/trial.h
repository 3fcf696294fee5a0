/* trial.h -- a version on trial: what is counted while it plays beside the live one, and what follows from it.
 *
 *   registered -> shadow (0%) -> canary (1%, 10%, ...) -> promoted | rolled back | paused for a person
 *
 *   rows ---> trial.c: differences, flips, shares, drift      outcomes ---> trial_outcome.c: joined by id, matured
 *                         every so many records: a look ---> trial_judge.c: a verdict, once per step
 *   verdict ---> trial_desk.c, beside the flow: an event of the registry ---> the next cast (cast_follow.c)
 *
 * (1) What is counted is a function of the records and casts in the order of the journal: rows are fed one by one, and
 *     looks come at counts, not at micro-batches. Only what a clock measured (p99) is not; it is not kept either.
 * (2) A verdict does nothing by itself: it asks for another cast, which is journalled at its position. A replay
 *     reaches the same verdicts and does not act on them; one that was reached and not acted upon before a crash
 *     is acted upon after it, unless the rollout has moved on.
 * (3) Replayed features are there only from where each slot stood (recover.c), so the trial is kept like a slot: as of
 *     the position when all slots were down, in <home>/pipelines/<name>/trial-<position>, durable before the
 *     manifest; a replay passes over rows before that position.
 * (4) What compares scores of the same record goes on over the steps of a rollout; what compares arms begins anew
 *     with each, because shares change.
 * Thread: the pipeline's, but for the desk. */
#ifndef MR_PIPELINE_TRIAL_H
#define MR_PIPELINE_TRIAL_H

#include "pipeline/run_internal.h"
#include "pipeline/trial_stats.h"

#define TRIAL_SEGMENTS_MAX 32
#define TRIAL_KEYS_MAX     4096 /* distinct keys by which the ratio of arms is checked */
#define TRIAL_WHY_BYTES    256
#define TRIAL_RATIO_ALPHA  0.001

/*  X(NAME, what the registry is told) */
#define TRIAL_VERDICT_MAP(X)                                                                       \
    X(NONE, "") X(ADVANCE, "step") X(PROMOTE, "finish") X(BACK, "abort") X(HOLD, "pause")
typedef enum trial_verdict {
#define X(name, action) TRIAL_VERDICT_##name,
    TRIAL_VERDICT_MAP(X)
#undef X
        TRIAL_VERDICT_COUNT
} trial_verdict;

/* One version against the live one, on the records that both scored. */
typedef struct trial_versus {
    trial_mean mean; /* of its score less the live one's */
    trial_share flips;
    trial_share errors; /* it said nothing */
    trial_sketch differences;
} trial_versus;

typedef struct trial_segment {
    char name[48];
    trial_mean mean;
    uint64_t flips;
} trial_segment;

/* A record that waits for its outcome. */
typedef struct trial_pending {
    uint64_t id;
    int64_t time_us;
    double live, its; /* scores */
    double outcome;
    uint32_t step;
    uint8_t treated; /* decided by the one on trial */
    uint8_t has_outcome;
} trial_pending;

typedef struct trial_queue {
    trial_pending *items; /* a ring, oldest first */
    uint32_t *table;      /* id -> place + 1, open addressing */
    uint64_t room, first, count;
    uint64_t not_followed, unmatched, without;
    int64_t clock_us; /* newest event time */
} trial_queue;

typedef struct mr_trial {
    uint64_t from; /* rows before this position are in it */
    bool active;
    uint64_t id;
    uint32_t step;
    bool paused;
    uint64_t begun; /* position of the step's first record */
    size_t part_count;
    mr_model_ref refs[CAST_PARTS_MAX];
    trial_versus versus[CAST_PARTS_MAX]; /* by part; [0] unused */
    trial_segment segments[TRIAL_SEGMENTS_MAX + 1];
    uint32_t segment_count;
    /* of this step */
    uint64_t decided;        /* records the one on trial decided, or shadowed */
    uint64_t decided_before; /* when it was resumed last */
    trial_sketch live_scores, its_scores;
    trial_share arms; /* distinct keys; hits: the one on trial */
    uint64_t keys[TRIAL_KEYS_MAX * 2];
    trial_mean control, treated; /* outcomes by arm */
    /* of the rollout */
    trial_mean improvement; /* by the metric of success */
    trial_mean worsening;   /* by the metric of the guardrail */
    uint64_t joined, joined_before;
    trial_queue queue;
    uint64_t next_look, next_joined_look, looks;
    double p; /* always valid: the least so far */
    trial_verdict verdict;
    char why[TRIAL_WHY_BYTES];
    /* measured, not kept */
    trial_share slow; /* micro-batches in which a record took longer than the guardrail allows */
    trial_sketch times_ns;
} mr_trial;

/* ---- counting (trial.c) ---- */

/* The cast that plays from here on; NULL terms: nobody is on trial. */
mr_status trial_recast(mr_trial *trial, const run_cast *cast, uint64_t position, mr_error *err);
void trial_deinit(mr_trial *trial);
void trial_encode(const mr_trial *trial, mr_bytes *out);
mr_status trial_decode(mr_trial *trial, const mr_bytes *bytes, mr_error *err);

/* One record as the flow saw it. */
typedef struct trial_row {
    uint64_t position;
    uint64_t key, id;
    int64_t time_us;
    bool treated;
    mr_text segment;
    double live;                 /* NaN: said nothing */
    double said[CAST_PARTS_MAX]; /* by part */
    bool saw[CAST_PARTS_MAX];    /* it scored this record */
    bool flips[CAST_PARTS_MAX];
} trial_row;

void trial_add_row(mr_trial *trial, const trial_terms *terms, const trial_row *row);

/* ---- outcomes (trial_outcome.c) ---- */

mr_status trial_queue_reserve(trial_queue *queue, uint64_t room, mr_error *err);
void trial_queue_deinit(trial_queue *queue);
void trial_follow(mr_trial *trial, const trial_terms *terms, const trial_row *row);
void trial_add_outcome(mr_trial *trial, const trial_terms *terms, uint64_t id, double value);
/* Event time has come to this: what is mature counts. */
void trial_advance(mr_trial *trial, const trial_terms *terms, int64_t time_us);
void trial_queue_encode(const trial_queue *queue, mr_bytes *out);
mr_status trial_queue_decode(trial_queue *queue, mr_reader *from, mr_error *err);

/* ---- judging (trial_judge.c) ---- */

/* After a record or an outcome; sets trial->verdict. */
void trial_look(mr_trial *trial, const trial_terms *terms);
trial_effect trial_success(const mr_trial *trial, const trial_terms *terms);
/* What is known, as one line of JSON. */
void trial_describe(const mr_trial *trial, const trial_terms *terms, const char *pipeline,
                    mr_bytes *out);

#endif
