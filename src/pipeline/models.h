/* models.h -- where a pipeline finds models that are named and not filed: the registry, or a stand-in in tests.
 *
 * Calls come from one thread at a time, not always the same. */
#ifndef MR_PIPELINE_MODELS_H
#define MR_PIPELINE_MODELS_H

#include "model/model.h"

#define MR_MODEL_NAME_BYTES 128
#define MR_MODEL_HASH_BYTES 65

/* One version of a model. */
typedef struct mr_model_ref {
    char name[MR_MODEL_NAME_BYTES];
    uint64_t version;
    char hash[MR_MODEL_HASH_BYTES]; /* of the artifact's content */
} mr_model_ref;

/* What a pipeline did by itself, for the history of its models. */
typedef struct mr_model_report {
    const char *pipeline;
    const char *kind;  /* "swapped", "refused", "advanced", "rolled back", "promoted", "paused" */
    const char *model; /* "fraud@champion"; of a swap the live version: "fraud@7" */
    uint64_t position; /* from which on it holds */
    const char *text;  /* why, for people */
} mr_model_report;

/* What a pipeline decides about its rollout. */
typedef struct mr_model_act {
    const char *pipeline;
    const char *action; /* of a rollout: "set", "step", "pause", "abort", "finish" */
    const char *detail; /* set, step: the rollout from now on, as JSON; else NULL */
    const char *model;  /* finish: the alias that moves, "fraud@champion", to ... */
    uint64_t version;   /* ... this version */
    const char *why;
} mr_model_act;

typedef struct mr_models mr_models;
struct mr_models {
    /* "fraud@champion", "fraud@7" -> the version it stands for now. MR_NOT_FOUND names what is missing. */
    mr_status (*resolve)(mr_models *models, const char *text, mr_model_ref *out, mr_error *err);
    /* Opens a version and holds it to its golden rows. */
    mr_status (*open)(mr_models *models, const mr_model_ref *ref, mr_model **out, mr_error *err);
    /* A number that changes whenever an answer of resolve or rollout may have changed. Cheap. */
    mr_status (*generation)(mr_models *models, uint64_t *out, mr_error *err);
    /* The rollout set for a pipeline at run time, YAML as under `score: rollout:`, with `state: paused` while it is;
     * "{}" when it has ended; MR_NOT_FOUND: none was set. */
    mr_status (*rollout)(mr_models *models, const char *pipeline, mr_bytes *out, mr_error *err);
    mr_status (*report)(mr_models *models, const mr_model_report *report, mr_error *err);
    /* Durable when it returns. Doing what was done already is no failure. */
    mr_status (*act)(mr_models *models, const mr_model_act *act, mr_error *err);
};

#endif
