/* trial_terms.h -- what a rollout is judged by: declared before anyone looks, then never changed.
 *
 * The terms are part of the cast's text (`trial {...}`, one line of JSON), so the journal has them and a replay counts
 * the same. Two rollouts are one trial when their text is the same but for step and state. */
#ifndef MR_PIPELINE_TRIAL_TERMS_H
#define MR_PIPELINE_TRIAL_TERMS_H

#include "pipeline/plan_internal.h"

#define TRIAL_STEPS_MAX 32

/*  X(NAME, text, of outcomes) -- an improvement is positive; all but OUTCOME compare the two scores of one record */
#define TRIAL_METRIC_MAP(X)                                                                        \
    X(SQUARED_ERROR, "squared_error", true)                                                        \
    X(ABSOLUTE_ERROR, "absolute_error", true)                                                      \
    X(LOG_LOSS, "log_loss", true)                                                                  \
    X(HIT, "hit", true)                                                                            \
    X(OUTCOME, "outcome", true)                                                                    \
    X(SCORE, "score", false)
typedef enum trial_metric {
#define X(name, text, outcomes) TRIAL_##name,
    TRIAL_METRIC_MAP(X)
#undef X
        TRIAL_METRIC_COUNT
} trial_metric;

/*  X(NAME, text) */
#define TRIAL_GUARD_MAP(X)                                                                         \
    X(ERROR_SHARE, "error_share")                                                                  \
    X(P99, "p99") X(DRIFT, "drift") X(AGREEMENT, "agreement") X(QUALITY, "quality")
typedef enum trial_guard_kind {
#define X(name, text) TRIAL_##name,
    TRIAL_GUARD_MAP(X)
#undef X
        TRIAL_GUARD_COUNT
} trial_guard_kind;

/*  X(NAME, text) -- what happens when it is surely broken */
#define TRIAL_THEN_MAP(X) X(ROLL_BACK, "rollback") X(PAUSE, "pause") X(NOTE, "note")
typedef enum trial_then {
#define X(name, text) TRIAL_THEN_##name,
    TRIAL_THEN_MAP(X)
#undef X
        TRIAL_THEN_COUNT
} trial_then;

typedef struct trial_guard {
    bool set;
    double limit; /* p99: nanoseconds */
    trial_then then;
    trial_metric metric; /* QUALITY */
} trial_guard;

typedef struct trial_terms {
    uint64_t id;   /* of the text without step and state */
    char *text;    /* whole, one line; owned */
    char *next;    /* the same one step on; owned */
    uint32_t step; /* the one that plays */
    bool paused;
    bool ab;
    uint32_t shares[TRIAL_STEPS_MAX]; /* millionths */
    uint32_t share_count;             /* 0: only shadows; 1 without `advances`: it stays so */
    bool advances;
    uint64_t records; /* per step, at least */
    trial_guard guards[TRIAL_GUARD_COUNT];
    bool has_success;
    trial_metric metric;
    double min_effect, alpha;
    bool lower; /* is better */
    uint64_t records_max;
    bool has_outcomes;
    uint32_t outcome_source;             /* of the plan */
    uint32_t outcome_key, outcome_value; /* columns of its frame */
    uint32_t id_column;                  /* of the main frame */
    int64_t maturity_us;
    bool has_missing;
    double missing;
    uint64_t pending_max;
    int segments; /* column of the main frame; -1: none */
} trial_terms;

/* MR_INVALID names the key that is wrong. */
mr_status trial_terms_read(const mr_plan *plan, const mr_spec_rollout *rollout, trial_terms **out,
                           mr_error *err);
/* From a line of a cast. */
mr_status trial_terms_parse(const mr_plan *plan, const char *text, trial_terms **out,
                            mr_error *err);
void trial_terms_destroy(trial_terms *terms); /* NULL is allowed */
/* Of the step that plays; 0: it only shadows. */
uint32_t trial_terms_share(const trial_terms *terms);
const char *trial_metric_text(trial_metric metric);
const char *trial_guard_text(trial_guard_kind kind);

#endif
