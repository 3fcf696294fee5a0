/* tree_objective.c -- what a margin means: the objectives of XGBoost, and their functions to the bit.
 *
 * Each formula is evaluated in float32 with the C library's expf and logf, in the order the library
 * (src/common/math.h, src/objective/ of XGBoost 1.7 to 3.x) evaluates it, so that scores have its bits. */
#include "model/tree.h"

#include <math.h>
#include <string.h>

static const mr_tree_objective objectives[] = {
    {"binary:logistic", MR_LINK_LOGIT, MR_TRANSFORM_SIGMOID, "probability"},
    {"binary:logitraw", MR_LINK_NONE, MR_TRANSFORM_NONE, "margin"},
    {"binary:hinge", MR_LINK_NONE, MR_TRANSFORM_STEP, "class"},
    {"reg:logistic", MR_LINK_LOGIT, MR_TRANSFORM_SIGMOID, "probability"},
    {"reg:squarederror", MR_LINK_NONE, MR_TRANSFORM_NONE, "value"},
    {"reg:linear", MR_LINK_NONE, MR_TRANSFORM_NONE, "value"},
    {"reg:squaredlogerror", MR_LINK_NONE, MR_TRANSFORM_NONE, "value"},
    {"reg:pseudohubererror", MR_LINK_NONE, MR_TRANSFORM_NONE, "value"},
    {"reg:absoluteerror", MR_LINK_NONE, MR_TRANSFORM_NONE, "value"},
    {"reg:quantileerror", MR_LINK_NONE, MR_TRANSFORM_NONE, "value"},
    {"reg:expectileerror", MR_LINK_NONE, MR_TRANSFORM_NONE, "value"},
    {"reg:gamma", MR_LINK_LOG, MR_TRANSFORM_EXP, "value"},
    {"reg:tweedie", MR_LINK_LOG, MR_TRANSFORM_EXP, "value"},
    {"count:poisson", MR_LINK_LOG, MR_TRANSFORM_EXP, "value"},
    {"survival:cox", MR_LINK_LOG, MR_TRANSFORM_EXP, "hazard"},
    {"survival:aft", MR_LINK_LOG, MR_TRANSFORM_EXP, "time"},
    {"rank:pairwise", MR_LINK_NONE, MR_TRANSFORM_NONE, "score"},
    {"rank:ndcg", MR_LINK_NONE, MR_TRANSFORM_NONE, "score"},
    {"rank:map", MR_LINK_NONE, MR_TRANSFORM_NONE, "score"},
    {"multi:softprob", MR_LINK_NONE, MR_TRANSFORM_SOFTMAX, "probability"},
    {"multi:softmax", MR_LINK_NONE, MR_TRANSFORM_ARGMAX, "class"},
};

const mr_tree_objective *mr_tree_objective_find(const char *name)
{
    for (size_t i = 0; i < sizeof objectives / sizeof objectives[0]; i++)
        if (strcmp(objectives[i].name, name) == 0)
            return &objectives[i];
    return NULL;
}

void mr_tree_objective_list(mr_bytes *out)
{
    for (size_t i = 0; i < sizeof objectives / sizeof objectives[0]; i++)
        mr_bytes_printf(out, "%s%s", i > 0 ? ", " : "", objectives[i].name);
}

uint32_t mr_tree_objective_outputs(const mr_tree_objective *objective, uint32_t group_count)
{
    return objective->transform == MR_TRANSFORM_ARGMAX ? 1 : group_count;
}

static float logit(float p, bool clamp)
{
    if (clamp)
        p = fminf(fmaxf(p, 1e-6f), 1.0f - 1e-6f);
    return -logf(1.0f / p - 1.0f);
}

mr_status mr_tree_objective_base(const mr_tree_objective *objective, float base_score, bool clamp,
                                 float *out_margin, mr_error *err)
{
    float margin = base_score;
    if (objective->link == MR_LINK_LOGIT)
        margin = logit(base_score, clamp);
    else if (objective->link == MR_LINK_LOG)
        margin = logf(base_score);
    *out_margin = margin;
    if (!isfinite(margin))
        return MR_FAIL(err, MR_INVALID, "base_score %g has no margin under %s: %s is wanted",
                       (double)base_score, objective->name,
                       objective->link == MR_LINK_LOGIT ? "a number between 0 and 1"
                                                        : "a positive number");
    return MR_OK;
}

/* ---- margins to scores ---- */

static float sigmoid(float x)
{
    float t = -x;
    t = 88.7f < t ? 88.7f : t; /* so that expf stays finite; in this form NaN stays NaN */
    return 1.0f / (expf(t) + 1.0f + 1e-16f);
}

static void apply_each(mr_tree_transform transform, const float *from, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = transform == MR_TRANSFORM_SIGMOID ? sigmoid(from[i])
                : transform == MR_TRANSFORM_EXP   ? expf(from[i])
                : transform == MR_TRANSFORM_STEP  ? (from[i] > 0.0f ? 1.0f : 0.0f)
                                                  : from[i];
}

static void softmax_row(uint32_t groups, const float *from, size_t stride, float *to,
                        size_t stride_out)
{
    float top = from[0];
    for (uint32_t g = 1; g < groups; g++)
        top = fmaxf(from[g * stride], top);
    double sum = 0.0;
    for (uint32_t g = 0; g < groups; g++) {
        float e = expf(from[g * stride] - top);
        to[g * stride_out] = e;
        sum += (double)e;
    }
    for (uint32_t g = 0; g < groups; g++)
        to[g * stride_out] /= (float)sum;
}

static float argmax_row(uint32_t groups, const float *from, size_t stride)
{
    uint32_t best = 0;
    for (uint32_t g = 1; g < groups; g++)
        if (from[g * stride] > from[best * stride])
            best = g;
    return (float)best;
}

void mr_tree_objective_apply(const mr_tree_objective *objective, uint32_t group_count,
                             const float *margins, size_t stride, size_t count, float *scores,
                             size_t stride_out)
{
    if (objective->transform == MR_TRANSFORM_SOFTMAX)
        for (size_t r = 0; r < count; r++)
            softmax_row(group_count, margins + r, stride, scores + r, stride_out);
    else if (objective->transform == MR_TRANSFORM_ARGMAX)
        for (size_t r = 0; r < count; r++)
            scores[r] = argmax_row(group_count, margins + r, stride);
    else
        for (uint32_t g = 0; g < group_count; g++)
            apply_each(objective->transform, margins + g * stride, count, scores + g * stride_out);
}
