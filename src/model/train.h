/* train.h -- fits boosted trees through XGBoost's C library, and keeps what came of it.
 *
 * Rows are ordered by time and cut once: the earlier part trains, the later part validates, because a model will
 * be asked about days it has not seen. With early stopping only the rounds up to the best one are kept, so that
 * "all trees" is the best model. The same rows, settings and thread count give the same model.
 *
 * Thread: one training at a time (the library keeps its own threads); callbacks on the caller's thread. */
#ifndef MR_MODEL_TRAIN_H
#define MR_MODEL_TRAIN_H

#include "data/batch.h"
#include "model/artifact.h"
#include "model/metrics.h"
#include "model/model.h"

#define MR_TRAIN_CELLS_MAX (1ull << 33) /* rows x inputs: 32 GiB of float32 */

typedef struct mr_train_rows {
    const mr_batch *batch;
    const char *label;         /* bool or number column; no NULLs */
    const char *weight;        /* number column, or NULL */
    const char *time;          /* orders the rows; NULL: they are in order */
    const char *const *inputs; /* NULL: every bool and number column but label, weight and time */
    size_t input_count;
    const char *description; /* where the rows come from, for model.yaml; NULL: nothing is said */
    const char *provenance;  /* the same for machines: the lines of `training_data` (facts.h); NULL or "": nothing */
} mr_train_rows;

typedef struct mr_train_round {
    uint32_t round; /* from 1 */
    uint32_t round_count;
    double validation; /* the metric that early stopping watches; NaN without validation rows */
    uint32_t best_round;
} mr_train_round;

typedef struct mr_train_options {
    const mr_setting
        *settings; /* rows of mr_train_settings, or "xgboost.NAME": handed to the library as NAME */
    size_t setting_count;
    /* Called after every round; false stops training, and what was fitted so far is kept. NULL: not called. */
    bool (*on_round)(void *context, const mr_train_round *round);
    void *context;
} mr_train_options;

extern const mr_setting_spec mr_train_settings[];

typedef struct mr_train_split {
    const char *name; /* "train", "validation" */
    uint64_t rows;
    mr_metrics metrics; /* of binary objectives; zeroed for others */
    double watched;     /* the metric of early stopping */
} mr_train_split;

/* What training gives; deinit frees it. */
typedef struct mr_trained {
    mr_bytes model; /* XGBoost JSON, with feature names and best_iteration */
    mr_bytes yaml;  /* model.yaml */
    mr_bytes golden;
    uint32_t rounds, best_round; /* fitted, kept */
    const char *watched;         /* name of the metric: "auc", "logloss", ... */
    mr_train_split splits[2];
    size_t split_count;
} mr_trained;

/* MR_NOT_FOUND: the library is not installed (and which package has it). */
mr_status mr_train(const mr_train_rows *rows, const mr_train_options *options, mr_trained *out,
                   mr_error *err);
void mr_trained_deinit(mr_trained *trained);
/* Writes model.json, model.yaml and golden.csv as one artifact; see artifact.h. */
mr_status mr_trained_write(const mr_trained *trained, mr_fs *fs, const char *folder, mr_error *err);

#endif
