/* pmml_link.c -- the inverses of link functions (PMML 4.4, RegressionModel and GeneralRegressionModel). */
#include "model/pmml_link.h"

#include "base/assert.h"

#include <math.h>

double mr_pmml_link_inverse(uint8_t link, double x)
{
    switch (link) {
    case MR_PMML_LINK_NONE:
        return x;
    case MR_PMML_LINK_SOFTMAX:
    case MR_PMML_LINK_LOGIT:
        return 1 / (1 + exp(-x));
    case MR_PMML_LINK_PROBIT:
        return 0.5 * erfc(-x / sqrt(2.0));
    case MR_PMML_LINK_CLOGLOG:
        return 1 - exp(-exp(x));
    case MR_PMML_LINK_EXP:
        return exp(x);
    case MR_PMML_LINK_LOGLOG:
        return exp(-exp(-x));
    default:
        MR_ASSERT(link == MR_PMML_LINK_CAUCHIT);
        return 0.5 + atan(x) / M_PI;
    }
}

static float exp_single(float x)
{
    return (float)exp((double)x);
}

double mr_pmml_link_inverse_single(uint8_t link, double x)
{
    float f = (float)x;
    if (link == MR_PMML_LINK_LOGIT || link == MR_PMML_LINK_SOFTMAX)
        return (double)(1 / (1 + exp_single(-f)));
    if (link == MR_PMML_LINK_EXP)
        return (double)exp_single(f);
    return (double)(float)mr_pmml_link_inverse(link, (double)f);
}

static void softmax_single(double *scores, uint32_t count, double high)
{
    float sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        float e = exp_single((float)scores[i] - (float)high);
        scores[i] = (double)e;
        sum += e;
    }
    for (uint32_t i = 0; i < count; i++)
        scores[i] = (double)((float)scores[i] / sum);
}

void mr_pmml_softmax(double *scores, uint32_t count, bool single)
{
    double high = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < count; i++)
        high = fmax(high, scores[i]);
    if (single) {
        softmax_single(scores, count, high);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        scores[i] = exp(scores[i] - high);
        sum += scores[i];
    }
    for (uint32_t i = 0; i < count; i++)
        scores[i] /= sum;
}

void mr_pmml_simplemax(double *scores, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += scores[i];
    for (uint32_t i = 0; i < count; i++)
        scores[i] /= sum;
}
