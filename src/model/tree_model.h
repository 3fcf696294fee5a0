/* tree_model.h -- a forest, an objective and the kernels chosen for it, behind the model interface.
 *
 * Readers of tree files build a mr_forest and hand it over here. Private to the tree family. */
#ifndef MR_MODEL_TREE_MODEL_H
#define MR_MODEL_TREE_MODEL_H

#include "model/tree.h"

/* Settings every tree format has; rows of the kind's table. */
#define MR_TREE_SETTINGS                                                                           \
    {"cpu",                                                                                        \
     MR_SETTING_CHOICE,                                                                            \
     "auto",                                                                                       \
     0,                                                                                            \
     0,                                                                                            \
     "auto|plain|avx2|avx512",                                                                     \
     "the newest instructions kernels may use; scores do not depend on it"},                       \
        {"batch_kernel",                                                                           \
         MR_SETTING_CHOICE,                                                                        \
         "auto",                                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         "auto|walk|masks|masks-avx2|masks-avx512",                                                \
         "how batches are computed; auto measures at load; scores do not depend on it"},           \
        {"row_kernel",                                                                             \
         MR_SETTING_CHOICE,                                                                        \
         "auto",                                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         "auto|walk|answers|ranks|lanes|lanes-avx2|lanes-avx512",                                  \
         "how single rows are computed; auto measures at load; scores do not depend on it"},       \
    {                                                                                              \
        "sum", MR_SETTING_CHOICE, "exact", 0, 0, "exact|fast",                                     \
            "exact: leaves are added in file order, as the library does; fast: single rows may "   \
            "be "                                                                                  \
            "added in four parts, within trees x 2^-23 x the sum of the leaves' magnitudes"        \
    }

typedef struct mr_tree_source {
    const mr_tree_objective *objective;
    const char
        *names; /* feature_count terminated strings behind each other; NULL: the file has none */
} mr_tree_source;

/* Takes the forest, whatever the outcome. */
mr_status mr_tree_model_create(const mr_model_kind *kind, mr_forest *forest,
                               const mr_tree_source *source, const mr_model_options *options,
                               mr_model **out, mr_error *err);
/* The members of the kind's struct. */
void mr_tree_model_close(mr_model *model);
mr_status mr_tree_model_score(const mr_model *model, const mr_column *const *inputs, size_t first,
                              size_t count, const mr_model_out *out, mr_scratch *scratch,
                              mr_error *err);
void mr_tree_model_score_row(const mr_model *model, const float *inputs, float *out_margins,
                             float *out_scores, mr_scratch *scratch);
/* Exact Shapley values (shap.h); the first call plans them. Any thread. */
mr_status mr_tree_model_explain(const mr_model *model, const mr_column *const *inputs, size_t first,
                                size_t count, double *out, mr_scratch *scratch, mr_error *err);
/* For tests and figures: what was chosen. */
const char *mr_tree_model_batch_kernel(const mr_model *model);
const char *mr_tree_model_row_kernel(const mr_model *model);
const mr_forest *mr_tree_model_forest(const mr_model *model);

#endif
