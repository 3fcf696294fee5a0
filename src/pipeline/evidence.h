/* evidence.h -- how a decision came about: where its record stood, the same decision once more from the journal, and
 * what any version of a model says of it.
 *
 * (1) A replay computes what the sink got from the journal alone, in memory, with the versions that played then; it
 *     writes nothing but the registry's notes of access.
 * (2) It starts from the newest checkpoint when no slot of it is ahead of the record, else from the first record.
 * Thread: one at a time; the pipeline may run meanwhile, here or in another process. */
#ifndef MR_PIPELINE_EVIDENCE_H
#define MR_PIPELINE_EVIDENCE_H

#include "pipeline/pipeline.h"

/* ---- where it stood ---- */

/* A stored record of a sink: what its block's header says, and its row in the block. */
typedef struct mr_decision {
    const char *topic;    /* full name */
    uint64_t producer_id; /* says which pipeline it was */
    uint64_t first, next; /* positions the block stands for */
    uint32_t row, rows;   /* in the block */
} mr_decision;

/* The record of a source that it was made for. */
typedef struct mr_origin {
    uint64_t position;
    char source[MR_NAME_BYTES_MAX + 1];
    uint32_t partition;
    uint64_t offset; /* of the source's topic, or number of a file's record */
} mr_origin;

/* Whether this pipeline writes that topic under that producer id. */
bool mr_pipeline_is_producer(const char *pipeline, const char *topic, uint64_t producer_id);
/* By the journal; writes nothing. MR_NOT_FOUND: the journal is trimmed beyond it, or not so far yet. */
mr_status mr_pipeline_origin(mr_log *log, const char *pipeline, uint64_t position, mr_origin *out,
                             mr_error *err);
/* By the journal, when every record of the `on` source in the block has a row; else MR_UNSUPPORTED: which row belongs
 * to which record then follows from a replay only. */
mr_status mr_pipeline_origin_of_row(mr_log *log, const mr_plan *plan, const mr_decision *decision,
                                    mr_origin *out, mr_error *err);
/* Who played when the record of a position was decided, as text (cast.h); empty: the model is a file. */
mr_status mr_pipeline_cast_at(mr_log *log, const char *pipeline, uint64_t position, mr_bytes *out,
                              mr_error *err);
/* The record itself, one row in the source's form. MR_UNSUPPORTED: the source is a file. MR_NOT_FOUND: it is gone. */
mr_status mr_plan_read_record(const mr_plan *plan, mr_log *log, const mr_origin *origin,
                              mr_batch **out, mr_error *err);

/* ---- once more ---- */

typedef struct mr_replayed {
    mr_batch *rows;   /* what the sink gets for the block's positions */
    mr_batch *record; /* that the row was made of, as its source has it: one row */
    mr_batch *frame;  /* all columns of its row */
    mr_origin origin;
    mr_bytes cast;      /* who played, as text (cast.h); empty: the model is a file */
    uint64_t started;   /* position at which the replay began */
    uint64_t records;   /* taken */
    uint64_t plan_then; /* hash of the plan that decided */
} mr_replayed;

/* MR_NOT_FOUND: what it takes is gone, or the journal has not come so far. The topic is a sink of the plan. */
mr_status mr_pipeline_replay(mr_plan *plan, const mr_pipeline_options *options,
                             const mr_decision *decision, mr_replayed *out, mr_error *err);
void mr_replayed_deinit(mr_replayed *replayed); /* a zeroed struct is allowed */

/* ---- what a version says ---- */

/* Of one row that has the model's inputs by their names, or by those of `score: inputs:`. */
typedef struct mr_verdict {
    mr_batch *scores; /* one row: the results */
    double *
        adds; /* of each input to each margin, the base value behind the inputs, as mr_model_explain; NULL: the
                         family cannot say */
} mr_verdict;

mr_status mr_plan_verdict(const mr_plan *plan, const mr_model *model, const mr_batch *row,
                          mr_verdict *out, mr_error *err);
void mr_verdict_deinit(mr_verdict *verdict);

/* ---- what the plan says ---- */

/* "fraud@champion" as the file has it; NULL: the model is a file, or there is none. */
const char *mr_plan_model_reference(const mr_plan *plan);
/* Of a model that is a file or a folder; else NULL. */
const char *mr_plan_model_path(const mr_plan *plan);
/* The model the plan was compiled with; NULL: none. */
const mr_model *mr_plan_model(const mr_plan *plan);
/* Name of the column an input is read from. */
const char *mr_plan_model_column(const mr_plan *plan, const char *input);
/* Name of the (first) score column; "": no model. */
const char *mr_plan_score_column(const mr_plan *plan);

/* How a computed column comes about. */
typedef struct mr_plan_column_account {
    const char *name;
    const char *stage; /* "derive", "features", "decide" */
    const char *view;  /* of a feature; NULL */
} mr_plan_column_account;

/* Calls `each` for the columns of a stage in order; text: the definition. */
typedef void (*mr_plan_account_fn)(void *context, const mr_plan_column_account *column,
                                   const char *text);
mr_status mr_plan_account(const mr_plan *plan, mr_plan_account_fn each, void *context,
                          mr_error *err);
/* The rule of a decided column that holds for a row, as text; appends nothing when it is no `case` or the row lacks
 * columns that the rule reads. */
mr_status mr_plan_rule(const mr_plan *plan, const char *column, const mr_batch *row, mr_bytes *out,
                       mr_error *err);

#endif
