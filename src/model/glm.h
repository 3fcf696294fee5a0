/* glm.h -- linear and generalised linear models of our own: a small JSON that people can read and write.
 *
 *   {"millrace_model": "linear", "link": "logit", "intercept": -1.5,
 *    "inputs": [{"name": "amount", "weight": 0.8, "mean": 35.2, "scale": 17.5, "missing": "mean"},
 *               {"name": "night", "weight": 0.4, "missing": 0}],
 *    "classes": ["genuine", "fraud"]}
 *
 *   margin[k] = intercept[k] + weight[0][k] * ((x[0] - mean[0]) / scale[0]) + weight[1][k] * ...
 *
 * in float64, in the order of the file, without fused operations; the link makes the score of it. `mean` is 0 and `scale` 1
 * when not given. `missing` is the value a missing input has, "mean" for one that adds nothing; without it a row that lacks
 * the input has no result. Softmax has a list of weights for each input and a list of intercepts, one for each class;
 * logit, probit and cloglog may name two classes, the second of which the score is the probability of. Anything else in
 * the file is refused. */
#ifndef MR_MODEL_GLM_H
#define MR_MODEL_GLM_H

#include "model/model.h"

typedef enum mr_glm_link {
    MR_GLM_IDENTITY,
    MR_GLM_LOGIT,
    MR_GLM_LOG,
    MR_GLM_PROBIT,
    MR_GLM_CLOGLOG,
    MR_GLM_INVERSE,
    MR_GLM_SOFTMAX,
    MR_GLM_LINKS
} mr_glm_link;

typedef enum mr_glm_missing {
    MR_GLM_MISSING_NONE, /* no result */
    MR_GLM_MISSING_MEAN,
    MR_GLM_MISSING_VALUE,
} mr_glm_missing;

typedef struct mr_glm_input {
    double mean, scale, value; /* value: of a missing input */
    mr_glm_missing missing;
} mr_glm_input;

/* What a file says. */
typedef struct mr_glm {
    mr_glm_link link;
    uint32_t input_count, margin_count, class_count;
    mr_bytes names, classes; /* each terminated */
    mr_bytes inputs;         /* mr_glm_input */
    mr_bytes weights;        /* double: margin_count of them per input */
    mr_bytes intercepts;     /* double: margin_count */
} mr_glm;

const char *mr_glm_link_name(mr_glm_link link);
/* Errors begin with line and column. */
mr_status mr_glm_read(const void *bytes, size_t size, mr_glm *out, mr_error *err);
/* The file of it; reading that gives the same bits. Check out->failed. */
void mr_glm_write(const mr_glm *glm, mr_bytes *out);
void mr_glm_deinit(mr_glm *glm); /* a zeroed struct is allowed */

#endif
