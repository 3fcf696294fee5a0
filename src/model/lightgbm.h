/* lightgbm.h -- what the files of the LightGBM family share: what a margin means, and categories by name.
 *
 * Private to lightgbm*.c. */
#ifndef MR_MODEL_LIGHTGBM_H
#define MR_MODEL_LIGHTGBM_H

#include "model/forest64.h"

/* ---- objectives: lightgbm_objective.c ---- */

typedef enum mr_lightgbm_transform {
    MR_LIGHTGBM_NONE,
    MR_LIGHTGBM_SQUARE,  /* sign(x) x x: trained on square roots */
    MR_LIGHTGBM_EXP,     /* e^x */
    MR_LIGHTGBM_SIGMOID, /* 1 / (1 + e^-kx) of every margin */
    MR_LIGHTGBM_LOG1P,   /* log(1 + e^x) */
    MR_LIGHTGBM_SOFTMAX,
} mr_lightgbm_transform;

typedef struct mr_lightgbm_objective {
    char name[64];
    const char *output; /* what a score is called */
    mr_lightgbm_transform transform;
    double sigmoid;
} mr_lightgbm_objective;

/* The value of the line `objective=`: "binary sigmoid:1". MR_UNSUPPORTED lists the known ones. */
mr_status mr_lightgbm_objective_parse(const char *text, size_t size, uint32_t class_count,
                                      mr_lightgbm_objective *out, mr_error *err);
/* margins[g * stride + r] -> scores[g * stride_out + r]; margins are divided by `divisor` first. */
void mr_lightgbm_objective_apply(const mr_lightgbm_objective *objective, double divisor,
                                 uint32_t group_count, const double *margins, size_t stride,
                                 size_t count, double *scores, size_t stride_out);

/* ---- categories of pandas: lightgbm_category.c ---- */

typedef struct mr_lightgbm_value {
    double number;
    const char *text; /* of texts */
    uint32_t code;
} mr_lightgbm_value;

/* The values a column had in the training frame; the code of a value is its place there. Texts or numbers, not both. */
typedef struct mr_lightgbm_category {
    uint32_t count;
    bool is_text, is_plain;    /* plain: every value is its own code */
    mr_lightgbm_value *values; /* ascending */
    char *texts;
} mr_lightgbm_category;

typedef struct mr_lightgbm_categories {
    uint32_t count;
    mr_lightgbm_category *list;
} mr_lightgbm_categories;

/* The JSON behind `pandas_categorical:`; null gives none. */
mr_status mr_lightgbm_categories_parse(const void *json, size_t size, mr_lightgbm_categories *out,
                                       mr_error *err);
void mr_lightgbm_categories_deinit(mr_lightgbm_categories *categories);
/* Rows of a column as codes; a value that was not in the training frame is NaN, as NULL is. */
void mr_lightgbm_category_codes(const mr_lightgbm_category *category, const mr_column *column,
                                size_t first, size_t count, double *out);

/* ---- files: lightgbm_read.c ---- */

typedef struct mr_lightgbm_file {
    uint32_t feature_count, group_count;
    bool average_output; /* a random forest: sums are divided by the iterations */
    mr_forest64_builder forest;
    mr_lightgbm_objective objective;
    mr_bytes names, infos; /* each terminated; infos may be missing */
    uint32_t name_count, info_count;
    mr_lightgbm_categories categories;
    mr_bytes columns; /* which have the categories, in order, each terminated; empty: not said */
    uint32_t column_count;
} mr_lightgbm_file;

/* Reads and checks all of it; errors name the line. */
mr_status mr_lightgbm_read(const uint8_t *bytes, size_t size, mr_lightgbm_file *out, mr_error *err);
void mr_lightgbm_file_deinit(mr_lightgbm_file *file); /* a zeroed struct is allowed */

#endif
