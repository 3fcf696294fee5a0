/* why.h -- all that is known of one decision, gathered by why.c and why_model.c, printed by why_print.c.
 *
 *   decision ... the stored record and its block      record ... what came in, found through the journal
 *   frame ...... what the rules and models are asked about: the decision, or after --replay all columns
 *   versions ... who played, with what each says now, and what the shadows' topic has of it */
#ifndef MR_CMD_WHY_H
#define MR_CMD_WHY_H

#include "cmd/running.h"
#include "pipeline/evidence.h"

#define WHY_VERSIONS_MAX 24
#define WHY_ROLE_BYTES   16

/* An event of the registry. */
typedef struct why_event {
    bool found;
    uint64_t offset;
    int64_t at_us;
    const char *kind, *alias, *who, *why; /* in the arena */
    uint64_t from_version;
} why_event;

typedef struct why_version {
    char role[WHY_ROLE_BYTES]; /* "live", ..., or "asked" */
    mr_model_ref ref;          /* version 0: a file */
    const mr_model *model;     /* NULL: it does not open; see error */
    mr_model *own;             /* to be closed */
    mr_verdict verdict;        /* scores NULL: none; see error */
    mr_error error;
    bool recorded; /* a shadow: its record was found ... */
    double recorded_score;
    bool recorded_null, recorded_flip;
} why_version;

/* A computed column: how it comes about. */
typedef struct why_column {
    const char *name, *stage, *view, *text; /* in the arena */
} why_column;

typedef struct why {
    mr_session *session;
    mr_running running;
    mr_arena arena;
    char topic[MR_TOPIC_NAME_MAX];
    uint64_t offset;
    mr_log_block block; /* whole */
    mr_batch *row;      /* of it */
    mr_decision decision;
    char pipeline[128];
    bool origin_known;
    mr_origin origin;
    mr_batch *record; /* NULL: not to be had; see record_error */
    mr_error record_error;
    bool replayed;
    mr_replayed again;
    bool agrees;
    mr_bytes differing; /* names of columns that differ, separated by ", " */
    const mr_batch *frame;
    why_column *columns;
    size_t column_count;
    why_version versions[WHY_VERSIONS_MAX];
    size_t version_count;
    int decider; /* index in versions; -1: unknown or no model */
    why_event placed, published;
    const char *facts; /* JSON, of the decider; NULL: none */
    size_t reasons_max;
} why;

/* Index of a column, -1: none. */
int why_find(const mr_batch *batch, const char *name);
int64_t why_int(const mr_batch *batch, int column, uint32_t row);

/* Reads the record that TOPIC and OFFSET or --where name, finds its pipeline, runs `body`, and cleans up. */
mr_status why_with(mr_session *session, mr_status (*body)(why *self, mr_error *err), mr_error *err);
/* The record that came in; that it cannot be had is kept in record_error. */
void why_find_record(why *self);
/* The options of verbs that name a decision. */
#define WHY_OPTIONS                                                                                \
    {"where", '\0', "NAME=VALUE",                                                                  \
     NULL,    NULL, "the first record in which the column NAME has that value"},                   \
    {                                                                                              \
        "pipeline", 'p', "FILE", NULL, NULL,                                                       \
            "the pipeline's file, when it is no longer where the pipeline was started from"        \
    }

/* why_model.c: who played and where they come from; then what they say. */
mr_status why_find_models(why *self, mr_error *err);
mr_status why_ask_models(why *self, mr_error *err);
void why_close_models(why *self);

/* why_print.c */
mr_status why_print_text(why *self, mr_error *err);
mr_status why_print_json(why *self, mr_error *err);

#endif
