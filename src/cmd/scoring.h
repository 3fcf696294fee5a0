/* scoring.h -- a model over batches: the batch's columns go in, the same with scores behind them come out. */
#ifndef MR_CMD_SCORING_H
#define MR_CMD_SCORING_H

#include "cmd/session.h"
#include "model/model.h"

typedef struct mr_scoring {
    mr_model *model;
    mr_binding *binding;
    mr_scratch *scratch;
    mr_schema *kept;   /* columns of the input that come out again */
    mr_schema *output; /* these, and the scores */
} mr_scoring;

/* `names` of `count` columns are kept; count 0: all. The scores are named as results.h says, `score`. Close also after a failure. */
mr_status mr_scoring_open(mr_scoring *scoring, mr_model *model, const mr_schema *input,
                          const char *const *names, size_t count, mr_error *err);
void mr_scoring_close(mr_scoring *scoring); /* the model stays open */
mr_status mr_scoring_batch(mr_scoring *scoring, const mr_batch *input, mr_batch **out,
                           mr_error *err);

#endif
