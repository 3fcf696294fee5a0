/* model_internal.h -- what families share with model.c and nobody else sees. */
#ifndef MR_MODEL_MODEL_INTERNAL_H
#define MR_MODEL_MODEL_INTERNAL_H

#include "model/model.h"

/* One aligned block per thread; `bytes` has the model's scratch_bytes, aligned to MR_ALIGN. */
struct mr_scratch {
    const mr_column **inputs; /* one per input: set by mr_model_score for the call */
    mr_column *row;           /* one per input, for families without score_row */
    uint8_t *bytes;
    uint8_t *explain; /* working memory of explanations; none before the first */
    size_t explain_bytes;
};

/* At least `bytes` for explanations, aligned to MR_ALIGN; kept from call to call. NULL: no memory. */
uint8_t *mr_scratch_explain(mr_scratch *scratch, size_t bytes);

extern const mr_model_kind mr_model_xgboost;    /* tree_xgboost.c */
extern const mr_model_kind mr_model_lightgbm;   /* lightgbm.c */
extern const mr_model_kind mr_model_glm;        /* glm.c */
extern const mr_model_kind mr_model_pmml;       /* pmml_model.c */
extern const mr_model_kind mr_model_onnx;       /* onnx.c */
extern const mr_model_kind mr_model_tensorflow; /* tensorflow.c */

#endif
