/* explain_trees.h -- explanations of forests, planned when the first is asked for: of float32 ones (tree.h), or of any
 * that shap.h can see.
 *
 * Thread: any number may explain; the first plans under a lock, so models that are never explained pay nothing. */
#ifndef MR_MODEL_EXPLAIN_TREES_H
#define MR_MODEL_EXPLAIN_TREES_H

#include "model/shap.h"
#include "model/tree.h"

typedef struct mr_tree_explainer mr_tree_explainer;

/* Keeps the forest, which outlives it. Setting `cpu` as for scoring. */
mr_status mr_tree_explainer_create(const mr_forest *forest, const mr_model_kind *kind,
                                   const mr_model_options *options, mr_tree_explainer **out,
                                   mr_error *err);
/* base: of each group. refusal: the words of MR_UNSUPPORTED when it cannot say, lent for good; NULL: it can. */
mr_status mr_tree_explainer_create_of(const mr_shap_forest *view, const double *base,
                                      const char *refusal, const mr_model_kind *kind,
                                      const mr_model_options *options, mr_tree_explainer **out,
                                      mr_error *err);
void mr_tree_explainer_destroy(mr_tree_explainer *explainer); /* NULL is allowed */
/* As mr_model_kind.explain. MR_UNSUPPORTED when the file has no covers, or impossible ones. */
mr_status mr_tree_explainer_run(mr_tree_explainer *explainer, const mr_column *const *inputs,
                                size_t first, size_t count, double *out, mr_scratch *scratch,
                                mr_error *err);

#endif
