/* names.h -- the names of a model's inputs and outputs, as every family keeps them. */
#ifndef MR_MODEL_NAMES_H
#define MR_MODEL_NAMES_H

#include "model/model.h"

typedef struct mr_names {
    const char **list;
    char *text; /* the names, each terminated */
} mr_names;

/* `from`: `count` terminated names behind each other, as the file has them; NULL: the caller's, else f0, f1, ...
 * Refuses a wrong number of given names, and a name twice. */
mr_status mr_names_of_inputs(mr_names *names, const char *from, const mr_model_options *options,
                             uint32_t count, mr_error *err);
/* "probability", or "probability_0", "probability_1", ... */
mr_status mr_names_of_outputs(mr_names *names, const char *base, uint32_t count, mr_error *err);
/* `count` terminated names behind each other; takes the text, whatever the outcome. */
mr_status mr_names_take(mr_names *names, mr_bytes *text, uint32_t count, mr_error *err);
void mr_names_deinit(mr_names *names);

#endif
