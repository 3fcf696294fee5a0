/* train_internal.h -- the parts of training: rows (train_rows.c), rounds (train.c), the report (train_report.c). */
#ifndef MR_MODEL_TRAIN_INTERNAL_H
#define MR_MODEL_TRAIN_INTERNAL_H

#include "model/train.h"
#include "model/tree.h"
#include "model/xgboost_library.h"

typedef struct train_part {
    size_t count;
    float *values; /* count x inputs, row by row, NaN = missing */
    float *labels;
    float *weights; /* NULL: none */
    uint8_t *flags; /* labels != 0, for binary metrics */
    mr_xgboost_handle matrix;
} train_part;

typedef struct trainer {
    const mr_train_rows *rows;
    const mr_train_options *options;
    const mr_xgboost_library *library;
    uint32_t *inputs; /* field numbers */
    uint32_t input_count;
    uint32_t class_count;
    bool is_binary;
    train_part parts[2]; /* train, validation */
    mr_xgboost_handle booster;
    const char *watched;
    bool watches;
    uint32_t patience, rounds, best_round;
    double best;
    char cut[64]; /* how the rows were cut, for the report */
} trainer;

const char *mr_train_text(const mr_train_options *options, const char *name);
double mr_train_number(const mr_train_options *options, const char *name);

/* Fills inputs and parts. */
mr_status mr_train_load(trainer *t, mr_error *err);
void mr_train_unload(trainer *t);
mr_status mr_train_measure(trainer *t, train_part *part, mr_metrics *out_metrics,
                           double *out_watched, mr_error *err);
/* Writes out->yaml. */
mr_status mr_train_describe(const trainer *t, mr_trained *out, mr_error *err);

#endif
