/* model_internal.h -- what families share with model.c and nobody else sees. */
#ifndef MR_MODEL_MODEL_INTERNAL_H
#define MR_MODEL_MODEL_INTERNAL_H

#include "model/model.h"

/* One aligned block per thread; `bytes` has the model's scratch_bytes, aligned to MR_ALIGN. */
struct mr_scratch {
    const mr_column **inputs; /* one per input: set by mr_model_score for the call */
    mr_column *row;           /* one per input, for families without score_row */
    uint8_t *bytes;
};

extern const mr_model_kind mr_model_xgboost; /* tree_xgboost.c */

#endif
