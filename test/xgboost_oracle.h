/* xgboost_oracle.h -- for tests and benchmarks: models made and scored by XGBoost's own library. */
#ifndef MR_TEST_XGBOOST_ORACLE_H
#define MR_TEST_XGBOOST_ORACLE_H

#include "base/memory.h"
#include "model/xgboost_library.h"
#include "os/clock.h"

typedef struct mr_oracle {
    const mr_xgboost_library *library;
    mr_xgboost_handle booster;
    uint32_t features, groups;
} mr_oracle;

/* What the training data look like and what is learnt. Parameters end with NULL: name, value, ... */
typedef struct mr_oracle_recipe {
    uint32_t rows, features, rounds, groups;
    double missing;      /* share of values that are NaN */
    double discrete;     /* share of features with few different values */
    uint32_t categories; /* > 0: every third feature is categorical with so many codes */
    const char *const *parameters;
} mr_oracle_recipe;

/* Trains on seeded random data; fails the caller's way through status. */
mr_status mr_oracle_train(const mr_oracle_recipe *recipe, uint64_t seed, mr_oracle *oracle,
                          mr_error *err);
mr_status mr_oracle_load(const void *bytes, size_t size, uint32_t features, uint32_t groups,
                         mr_oracle *oracle, mr_error *err);
void mr_oracle_close(mr_oracle *oracle);
mr_status mr_oracle_save(mr_oracle *oracle, mr_bytes *out, mr_error *err);        /* as JSON */
mr_status mr_oracle_save_binary(mr_oracle *oracle, mr_bytes *out, mr_error *err); /* as UBJSON */
/* rows x features, row by row; out gets rows x outputs (lent by the library until its next call). `inplace`
 * allows infinities, and is what serving code calls. */
mr_status mr_oracle_predict(mr_oracle *oracle, const float *rows, size_t count, bool margin,
                            bool inplace, const float **out, mr_error *err);
/* What each feature adds to each margin (pred_contribs): rows x groups x (features + 1), lent as above. */
mr_status mr_oracle_explain(mr_oracle *oracle, const float *rows, size_t count, const float **out,
                            mr_error *err);
/* Values as the recipe's data have them, row by row. */
void mr_oracle_fill(const mr_oracle_recipe *recipe, mr_random_seeded *random, float *rows,
                    size_t count);

#endif
