/* scoring.h -- a model over batches: the batch's columns go in, the same with scores behind them come out. */
#ifndef MR_CMD_SCORING_H
#define MR_CMD_SCORING_H

#include "cmd/session.h"
#include "model/reasons.h"

typedef struct mr_scoring_options {
    const char *const *names; /* columns to keep; none: all */
    size_t name_count;
    uint32_t reasons; /* how many, as score_reasons; 0: none */
    bool
        contributions; /* of every input, as contribution_<input>; what all rows have is score_base */
} mr_scoring_options;

typedef struct mr_scoring {
    mr_model *model;
    mr_reasons *reasons; /* NULL: not asked for */
    bool contributions;
    mr_binding *binding;
    mr_scratch *scratch;
    mr_schema *kept;   /* columns of the input that come out again */
    mr_schema *output; /* these, the scores, contributions and reasons */
    uint32_t result_count;
} mr_scoring;

/* The scores are named as results.h says, `score`; behind them stand contributions and reasons. With several margins the
 * columns are contribution_<k>_<input> and score_base_<k>. Close also after a failure. */
mr_status mr_scoring_open(mr_scoring *scoring, mr_model *model, const mr_schema *input,
                          const mr_scoring_options *options, mr_error *err);
void mr_scoring_close(mr_scoring *scoring); /* the model stays open */
mr_status mr_scoring_batch(mr_scoring *scoring, const mr_batch *input, mr_batch **out,
                           mr_error *err);
/* Of a file without a schema: the named columns as text, and the model's inputs as what it takes, which may be missing. */
mr_status mr_scoring_guess_schema(const mr_model *model, const char *const *names,
                                  size_t name_count, mr_schema **out, mr_error *err);

#endif
