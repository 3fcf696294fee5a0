/* results.h -- what a model says of rows, as columns: for pipelines and the command line.
 *
 *   NAME ................ the score of a model with one output
 *   NAME_<output> ....... the scores of a model with several
 *   NAME_<k> ............ its margins, when those are asked for
 *   NAME_label .......... the class, of a model that names its classes
 *
 * Scores are float32 or float64, as the model computes; where it abstains they are NULL. */
#ifndef MR_MODEL_RESULTS_H
#define MR_MODEL_RESULTS_H

#include "model/model.h"

/* The columns; names live in the arena. */
mr_status mr_results_fields(const mr_model *model, const char *name, bool margins, mr_arena *arena,
                            mr_field **out, uint32_t *out_count, mr_error *err);

/* The columns of results that are widened, see below. */
void mr_results_fields_widen(mr_field *fields, uint32_t count);

/* Room for the results of `rows` rows. */
typedef struct mr_results {
    const mr_model *model;
    bool margins;
    bool may_abstain;    /* the model's, until widened */
    uint32_t float_bits; /* the model's, until widened */
    size_t rows;
    size_t stride;
    mr_buffer *values;
    int32_t *labels; /* NULL: no classes */
} mr_results;

mr_status mr_results_init(mr_results *results, const mr_model *model, bool margins, size_t rows,
                          mr_error *err);
/* Makes them what models of any family can give: float64, NULL allowed. On failure they are as they were. */
mr_status mr_results_widen(mr_results *results, mr_error *err);
/* A zeroed struct is allowed; columns that were made stay. */
void mr_results_deinit(mr_results *results);
/* Where rows from `first` on go: for mr_model_score. Threads may fill ranges that do not overlap. */
mr_model_out mr_results_out(const mr_results *results, size_t first);
/* The columns in the order of mr_results_fields; `columns` are zeroed structs that become the caller's. On failure those
 * made so far are the caller's to release. */
mr_status mr_results_columns(const mr_results *results, mr_column *columns, mr_error *err);

#endif
