/* net_model.h -- a tensor program behind the model interface.
 *
 * Its inputs are columns of float32, float64, int64, bool or text. A result that chooses from a list (class labels) gives the
 * labels; all other results are scores, one after the other, float64 if one of them is or is a whole number. Margins are the
 * scores. A row with a NULL where no number says "missing" (int64, bool, text), or without an answer, abstains. */
#ifndef MR_MODEL_NET_MODEL_H
#define MR_MODEL_NET_MODEL_H

#include "model/net.h"

typedef struct mr_net_result {
    const char *name;
    mr_tensor tensor;
} mr_net_result;

typedef struct mr_net_source {
    const char *objective;
    const mr_tensor *inputs; /* of fresh columns, in order */
    uint32_t input_count;    /* tensors */
    const char *names;       /* a terminated name for every column, behind each other; NULL: none */
    const mr_net_result *results;
    uint32_t result_count;
} mr_net_source;

/* Takes the net, whatever the outcome. */
mr_status mr_net_model_create(const mr_model_kind *kind, mr_net *net, const mr_net_source *source,
                              const mr_model_options *options, mr_model **out, mr_error *err);
void mr_net_model_close(mr_model *model);
mr_status mr_net_model_score(const mr_model *model, const mr_column *const *inputs, size_t first,
                             size_t count, const mr_model_out *out, mr_scratch *scratch,
                             mr_error *err);

#endif
