/* lightgbm_objective.c -- what a margin means: the objectives of LightGBM, and their functions to the bit.
 *
 * Each formula is evaluated in float64 with the C library's exp and log1p in the order of the library's
 * ConvertOutput (src/objective of LightGBM 3 and 4). */
#include "model/lightgbm.h"

#include "base/assert.h"
#include "base/number.h"

#include <string.h>

typedef struct known {
    const char *name, *output;
    mr_lightgbm_transform transform;
    bool takes_sqrt, takes_sigmoid, takes_classes;
} known;

static const known objectives[] = {
    {"regression", "value", MR_LIGHTGBM_NONE, true, false, false},
    {"regression_l2", "value", MR_LIGHTGBM_NONE, true, false, false},
    {"regression_l1", "value", MR_LIGHTGBM_NONE, true, false, false},
    {"huber", "value", MR_LIGHTGBM_NONE, false, false, false},
    {"fair", "value", MR_LIGHTGBM_NONE, true, false, false},
    {"quantile", "value", MR_LIGHTGBM_NONE, true, false, false},
    {"mape", "value", MR_LIGHTGBM_NONE, true, false, false},
    {"poisson", "value", MR_LIGHTGBM_EXP, false, false, false},
    {"gamma", "value", MR_LIGHTGBM_EXP, false, false, false},
    {"tweedie", "value", MR_LIGHTGBM_EXP, false, false, false},
    {"binary", "probability", MR_LIGHTGBM_SIGMOID, false, true, false},
    {"multiclass", "probability", MR_LIGHTGBM_SOFTMAX, false, false, true},
    {"multiclassova", "probability", MR_LIGHTGBM_SIGMOID, false, true, true},
    {"cross_entropy", "probability", MR_LIGHTGBM_SIGMOID, false, false, false},
    {"cross_entropy_lambda", "value", MR_LIGHTGBM_LOG1P, false, false, false},
    {"lambdarank", "score", MR_LIGHTGBM_NONE, false, false, false},
    {"rank_xendcg", "score", MR_LIGHTGBM_NONE, false, false, false},
    {"custom", "value", MR_LIGHTGBM_NONE, false, false, false},
};

/* ---- reading ---- */

static mr_status refuse(const char *word, size_t size, mr_error *err)
{
    mr_bytes list = {0};
    for (size_t i = 0; i < MR_COUNT_OF(objectives); i++)
        mr_bytes_printf(&list, "%s%s", i > 0 ? ", " : "", objectives[i].name);
    const char *text = mr_bytes_text(&list);
    mr_status status =
        MR_FAIL(err, MR_UNSUPPORTED, "objective '%.*s' is not known; there are: %s",
                (int)MR_MIN(size, 40u), word, text != NULL ? text : "(out of memory)");
    mr_bytes_deinit(&list);
    return status;
}

static const known *find(const char *word, size_t size)
{
    for (size_t i = 0; i < MR_COUNT_OF(objectives); i++)
        if (strlen(objectives[i].name) == size && memcmp(objectives[i].name, word, size) == 0)
            return &objectives[i];
    return NULL;
}

static bool starts(const char *word, size_t size, const char *with)
{
    return size >= strlen(with) && memcmp(word, with, strlen(with)) == 0;
}

static mr_status read_sigmoid(const char *word, size_t size, double *out, mr_error *err)
{
    size_t skip = strlen("sigmoid:");
    if (!mr_number_is_float64(word + skip, size - skip, out) || !(*out > 0.0))
        return MR_FAIL(err, MR_INVALID, "'%.*s': sigmoid is a positive number",
                       (int)MR_MIN(size, 40u), word);
    return MR_OK;
}

static mr_status read_classes(const char *word, size_t size, uint32_t class_count, mr_error *err)
{
    int64_t classes;
    size_t skip = strlen("num_class:");
    if (!mr_number_is_int64(word + skip, size - skip, &classes) || classes != class_count)
        return MR_FAIL(err, MR_INVALID, "the objective says '%.*s', num_class is %u",
                       (int)MR_MIN(size, 40u), word, class_count);
    return MR_OK;
}

static mr_status read_word(const known *kind, const char *word, size_t size, uint32_t class_count,
                           mr_lightgbm_objective *out, mr_error *err)
{
    if (size == 4 && memcmp(word, "sqrt", 4) == 0) {
        out->transform = kind->takes_sqrt ? MR_LIGHTGBM_SQUARE : kind->transform;
        return MR_OK;
    }
    if (kind->takes_sigmoid && starts(word, size, "sigmoid:"))
        return read_sigmoid(word, size, &out->sigmoid, err);
    if (kind->takes_classes && starts(word, size, "num_class:"))
        return read_classes(word, size, class_count, err);
    /* what else the library writes (tweedie's power, a quantile's alpha) is for training */
    return MR_OK;
}

mr_status mr_lightgbm_objective_parse(const char *text, size_t size, uint32_t class_count,
                                      mr_lightgbm_objective *out, mr_error *err)
{
    size_t at = 0;
    const known *kind = NULL;
    while (at < size) {
        size_t end = at;
        while (end < size && text[end] != ' ')
            end++;
        if (end > at && kind == NULL) {
            kind = find(text + at, end - at);
            if (kind == NULL)
                return refuse(text + at, end - at, err);
            *out = (mr_lightgbm_objective){
                .output = kind->output, .transform = kind->transform, .sigmoid = 1.0};
            memcpy(out->name, kind->name, strlen(kind->name) + 1);
        } else if (end > at) {
            MR_TRY(read_word(kind, text + at, end - at, class_count, out, err));
        }
        at = end + 1;
    }
    if (kind == NULL)
        return refuse("", 0, err);
    if (kind->takes_classes != (class_count > 1) && strcmp(kind->name, "custom") != 0)
        return MR_FAIL(err, MR_INVALID, "objective %s with num_class %u", kind->name, class_count);
    return MR_OK;
}

/* ---- margins to scores ---- */

static double apply_one(const mr_lightgbm_objective *objective, double x)
{
    switch (objective->transform) {
    case MR_LIGHTGBM_SQUARE:
        return (double)((x > 0.0) - (x < 0.0)) * x * x;
    case MR_LIGHTGBM_EXP:
        return exp(x);
    case MR_LIGHTGBM_SIGMOID:
        return 1.0 / (1.0 + exp(-objective->sigmoid * x));
    case MR_LIGHTGBM_LOG1P:
        return log1p(exp(x));
    default:
        return x;
    }
}

static void softmax_row(uint32_t groups, double divisor, const double *from, size_t stride,
                        double *to, size_t stride_out)
{
    double top = from[0] / divisor, sum = 0.0;
    for (uint32_t g = 1; g < groups; g++)
        top = fmax(from[g * stride] / divisor, top);
    for (uint32_t g = 0; g < groups; g++) {
        to[g * stride_out] = exp(from[g * stride] / divisor - top);
        sum += to[g * stride_out];
    }
    for (uint32_t g = 0; g < groups; g++)
        to[g * stride_out] /= sum;
}

void mr_lightgbm_objective_apply(const mr_lightgbm_objective *objective, double divisor,
                                 uint32_t group_count, const double *margins, size_t stride,
                                 size_t count, double *scores, size_t stride_out)
{
    if (objective->transform == MR_LIGHTGBM_SOFTMAX)
        for (size_t r = 0; r < count; r++)
            softmax_row(group_count, divisor, margins + r, stride, scores + r, stride_out);
    else
        for (uint32_t g = 0; g < group_count; g++)
            for (size_t r = 0; r < count; r++)
                scores[g * stride_out + r] =
                    apply_one(objective, margins[g * stride + r] / divisor);
}
