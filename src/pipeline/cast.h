/* cast.h -- which versions play which role in a pipeline: the cast.
 *
 *   live ....... scores every record that no other version is asked for; exactly one
 *   canary ..... decides the records of its share of the keys, instead of the live one
 *   shadow ..... scores every record and decides none; what it would have done is recorded
 *
 * A cast is made beside the flow and taken into use between two micro-batches, at a position; then it never changes.
 * Its text names every version by content, so that a replay, which finds the text in the journal, plays the same cast:
 *
 *   live fraud 7 1f3a...
 *   canary fraud 8 99b0... 10000 customer s1          (share in millionths, key column, salt)
 *   shadow fraud 8 99b0...
 *   trial {...}                                       (by what the one after the live is judged: trial_terms.h)
 *
 * (1) All parts take their inputs from the same frame and give the same columns.
 * (2) Which part decides a record depends on its key and the cast alone.
 * Thread: made on one, then the pipeline's. */
#ifndef MR_PIPELINE_CAST_H
#define MR_PIPELINE_CAST_H

#include "pipeline/models.h"
#include "pipeline/plan_internal.h"
#include "pipeline/trial_terms.h"

#define CAST_PARTS_MAX 8
#define CAST_SHARE_ALL 1000000u

/*  X(NAME, text) */
#define CAST_ROLE_MAP(X) X(LIVE, "live") X(CANARY, "canary") X(SHADOW, "shadow")
typedef enum cast_role {
#define X(name, text) CAST_##name,
    CAST_ROLE_MAP(X)
#undef X
        CAST_ROLE_COUNT
} cast_role;

const char *cast_role_text(cast_role role);

typedef struct cast_part {
    cast_role role;
    mr_model_ref ref;
    uint32_t share;      /* canary: millionths of the keys */
    uint32_t key_column; /* canary: of the frame */
    char salt[64];
    mr_model *model;
    mr_binding *binding;
    uint32_t *columns; /* frame column of each field the binding knows */
    uint32_t column_count;
    mr_column *inputs;      /* of the micro-batch being scored */
    mr_scratch **scratches; /* one per worker */
    mr_reasons *reasons;    /* NULL: none are asked for */
} cast_part;

typedef struct run_cast {
    int workers;
    mr_model *lent; /* the plan's own model, which is not ours to close; NULL: none */
    cast_part parts[CAST_PARTS_MAX]; /* the live one first */
    size_t part_count;
    trial_terms *terms; /* NULL: nobody is on trial; else parts[1] is */
    mr_bytes text;      /* empty: the model is a file, which never changes */
} run_cast;

/* Of a plan whose model is a file: the live part alone. */
mr_status cast_of_plan(const mr_plan *plan, int workers, run_cast **out, mr_error *err);
/* The text of the cast that the plan, the rollout set at run time and the aliases ask for now. */
mr_status cast_compose(const mr_plan *plan, mr_models *models, mr_bytes *out, mr_error *err);
/* What a text says: of the journal, or composed. Opens every version and holds it to its golden rows. */
mr_status cast_parse(const mr_plan *plan, mr_models *models, const mr_bytes *text, int workers,
                     run_cast **out, mr_error *err);
void cast_destroy(run_cast *cast);                        /* NULL is allowed */
bool cast_is(const run_cast *cast, const mr_bytes *text); /* NULL: it is not */

#endif
