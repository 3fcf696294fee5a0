/* pmml_explain.h -- the sums of a linear model, and what each input adds to them.
 *
 * Of a RegressionModel (a sum per table) or GeneralRegressionModel (a sum per class, or one) at the top. Exact where every
 * term is of one field, and that field is an input as it came (after its treatment); terms of products or of derived
 * fields have no one input to name. */
#ifndef MR_MODEL_PMML_EXPLAIN_H
#define MR_MODEL_PMML_EXPLAIN_H

#include "model/pmml_program.h"

typedef struct mr_pmml_explain {
    uint32_t sum_count; /* 0: the top model has no such sums */
    bool exact;         /* contributions can be given */
} mr_pmml_explain;

mr_pmml_explain mr_pmml_explain_of(const mr_pmml *program);
/* Of the row that was just run. */
double mr_pmml_explain_sum(mr_pmml_state *state, uint32_t k);
/* sum_count x (inputs + 1) numbers, the base value behind the inputs. */
void mr_pmml_explain_row(const mr_pmml_explain *explain, mr_pmml_state *state, double *out);

#endif
