/* linear_xgboost.h -- XGBoost's gblinear: a weight per feature and output group, and a bias per group.
 *
 *   margin[g] = (bias[g] + base) + x0 * w[0][g] + x1 * w[1][g] + ...   in float32, in this order, without the features
 *
 * that are missing: exactly the sums of the library (src/gbm/gblinear.cc). From 3.1 on base_score is a number per
 * group, but the linear booster adds the first one to every group (found by comparing with 3.2.0; trees take each
 * group's own), and so does this. Private to the xgboost kind. */
#ifndef MR_MODEL_LINEAR_XGBOOST_H
#define MR_MODEL_LINEAR_XGBOOST_H

#include "model/tree_model.h"

/* weights: (feature_count + 1) x group_count, feature by feature, the biases last; copied. base: the margin of base_score's first.
 * `kind` is asked for nothing but its name, sentence and settings. */
mr_status mr_linear_create(const mr_model_kind *kind, const mr_tree_source *source,
                           uint32_t feature_count, uint32_t group_count, const float *weights,
                           float base, const mr_model_options *options, mr_model **out,
                           mr_error *err);

#endif
