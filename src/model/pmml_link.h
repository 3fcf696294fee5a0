/* pmml_link.h -- the inverses of link functions, and what divides scores among classes. */
#ifndef MR_MODEL_PMML_LINK_H
#define MR_MODEL_PMML_LINK_H

#include <stdbool.h>
#include <stdint.h>

typedef enum mr_pmml_link {
    MR_PMML_LINK_NONE,
    MR_PMML_LINK_SIMPLEMAX,
    MR_PMML_LINK_SOFTMAX, /* of one number: logit */
    MR_PMML_LINK_LOGIT,
    MR_PMML_LINK_PROBIT,
    MR_PMML_LINK_CLOGLOG,
    MR_PMML_LINK_EXP,
    MR_PMML_LINK_LOGLOG,
    MR_PMML_LINK_CAUCHIT,
} mr_pmml_link;

double mr_pmml_link_inverse(uint8_t link, double x);
/* In float32, as JPMML computes under x-mathContext="float": exp in double, then rounded. */
double mr_pmml_link_inverse_single(uint8_t link, double x);
void mr_pmml_softmax(double *scores, uint32_t count, bool single);
void mr_pmml_simplemax(double *scores, uint32_t count);

#endif
