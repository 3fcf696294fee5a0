/* xgboost_oracle.c -- see the header. Linked into tests and benchmarks only. */
#include "test/xgboost_oracle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CHECK(call, what)                                                                          \
    mr_xgboost_library_check(oracle->library, oracle->library->call, what, err)

void mr_oracle_fill(const mr_oracle_recipe *recipe, mr_random_seeded *random, float *rows,
                    size_t count)
{
    for (size_t i = 0; i < count * recipe->features; i++) {
        uint32_t feature = (uint32_t)(i % recipe->features);
        double unit = mr_random_unit(random);
        bool few = feature < recipe->discrete * recipe->features;
        if (recipe->categories > 0 && feature % 3 == 0)
            rows[i] = (float)(uint32_t)(unit * recipe->categories);
        else
            rows[i] = (float)(few ? floor(unit * 8) - 3 : (unit - 0.4) * (1 + feature % 5));
        if (mr_random_unit(random) < recipe->missing)
            rows[i] = NAN;
    }
}

/* A function of the features with interactions, so that trees grow deep and irregular. */
static float target(const mr_oracle_recipe *recipe, const float *row, uint32_t group, double noise)
{
    double sum = noise;
    for (uint32_t f = 0; f < recipe->features; f++) {
        double x = isnan(row[f]) ? 0.3 : row[f];
        double next = row[(f + 1 + group) % recipe->features];
        sum += (f % 2 == 0 ? x : -x) * (isnan(next) ? 1.0 : next > 0.2 ? 1.5 : -0.5);
    }
    return (float)sum;
}

static void make_labels(const mr_oracle_recipe *recipe, const float *rows, float *labels,
                        mr_random_seeded *random, const char *objective)
{
    for (uint32_t r = 0; r < recipe->rows; r++) {
        const float *row = rows + (size_t)r * recipe->features;
        float value = target(recipe, row, 0, mr_random_unit(random) - 0.5);
        if (recipe->groups > 1)
            labels[r] = (float)((uint32_t)fabsf(value * 3) % recipe->groups);
        else if (strncmp(objective, "binary", 6) == 0 || strcmp(objective, "reg:logistic") == 0)
            labels[r] = value > 0 ? 1.0f : 0.0f;
        else
            labels[r] = fabsf(value) + 0.1f;
    }
}

static const char *parameter(const mr_oracle_recipe *recipe, const char *name,
                             const char *otherwise)
{
    for (const char *const *p = recipe->parameters; p != NULL && *p != NULL; p += 2)
        if (strcmp(p[0], name) == 0)
            return p[1];
    return otherwise;
}

static mr_status set_parameters(mr_oracle *oracle, const mr_oracle_recipe *recipe, mr_error *err)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", recipe->groups);
    if (recipe->groups > 1)
        MR_TRY(CHECK(XGBoosterSetParam(oracle->booster, "num_class", text), "num_class"));
    MR_TRY(CHECK(XGBoosterSetParam(oracle->booster, "nthread", "1"), "nthread"));
    for (const char *const *p = recipe->parameters; p != NULL && *p != NULL; p += 2)
        MR_TRY(CHECK(XGBoosterSetParam(oracle->booster, p[0], p[1]), p[0]));
    return MR_OK;
}

static mr_status mark_categories(mr_oracle *oracle, const mr_oracle_recipe *recipe,
                                 mr_xgboost_handle matrix, mr_error *err)
{
    const char *types[256];
    if (recipe->categories == 0)
        return MR_OK;
    for (uint32_t f = 0; f < recipe->features && f < 256; f++)
        types[f] = f % 3 == 0 ? "c" : "float";
    return CHECK(XGDMatrixSetStrFeatureInfo(matrix, "feature_type", types, recipe->features),
                 "feature types");
}

static mr_status train_on(mr_oracle *oracle, const mr_oracle_recipe *recipe,
                          mr_xgboost_handle matrix, const float *labels, mr_error *err)
{
    MR_TRY(CHECK(XGDMatrixSetFloatInfo(matrix, "label", labels, recipe->rows), "labels"));
    MR_TRY(mark_categories(oracle, recipe, matrix, err));
    MR_TRY(
        CHECK(XGBoosterCreate((const mr_xgboost_handle[]){matrix}, 1, &oracle->booster), "create"));
    MR_TRY(set_parameters(oracle, recipe, err));
    for (uint32_t i = 0; i < recipe->rounds; i++)
        MR_TRY(CHECK(XGBoosterUpdateOneIter(oracle->booster, (int)i, matrix), "a round"));
    return MR_OK;
}

mr_status mr_oracle_train(const mr_oracle_recipe *recipe, uint64_t seed, mr_oracle *oracle,
                          mr_error *err)
{
    *oracle = (mr_oracle){.features = recipe->features, .groups = recipe->groups};
    MR_TRY(mr_xgboost_library_load(&oracle->library, err));
    mr_random_seeded random;
    mr_random_seeded_init(&random, seed);
    float *rows = mr_alloc(sizeof *rows * recipe->rows * recipe->features);
    float *labels = mr_alloc(sizeof *labels * recipe->rows);
    mr_xgboost_handle matrix = NULL;
    mr_status status = rows != NULL && labels != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK) {
        mr_oracle_fill(recipe, &random, rows, recipe->rows);
        make_labels(recipe, rows, labels, &random,
                    parameter(recipe, "objective", "reg:squarederror"));
        status = CHECK(XGDMatrixCreateFromMat(rows, recipe->rows, recipe->features, NAN, &matrix),
                       "data");
    }
    if (status == MR_OK)
        status = train_on(oracle, recipe, matrix, labels, err);
    if (matrix != NULL)
        (void)oracle->library->XGDMatrixFree(matrix);
    mr_free(rows);
    mr_free(labels);
    if (status != MR_OK)
        mr_oracle_close(oracle);
    return status;
}

mr_status mr_oracle_load(const void *bytes, size_t size, uint32_t features, uint32_t groups,
                         mr_oracle *oracle, mr_error *err)
{
    *oracle = (mr_oracle){.features = features, .groups = groups};
    MR_TRY(mr_xgboost_library_load(&oracle->library, err));
    MR_TRY(CHECK(XGBoosterCreate(NULL, 0, &oracle->booster), "create"));
    MR_TRY(CHECK(XGBoosterSetParam(oracle->booster, "nthread", "1"), "nthread"));
    return CHECK(XGBoosterLoadModelFromBuffer(oracle->booster, bytes, size), "load");
}

void mr_oracle_close(mr_oracle *oracle)
{
    if (oracle->booster != NULL)
        (void)oracle->library->XGBoosterFree(oracle->booster);
    *oracle = (mr_oracle){0};
}

static mr_status save_as(mr_oracle *oracle, const char *config, mr_bytes *out, mr_error *err)
{
    mr_xgboost_ulong size;
    const char *bytes;
    MR_TRY(CHECK(XGBoosterSaveModelToBuffer(oracle->booster, config, &size, &bytes), "save"));
    mr_bytes_clear(out);
    mr_bytes_append(out, bytes, size);
    return out->failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

mr_status mr_oracle_save(mr_oracle *oracle, mr_bytes *out, mr_error *err)
{
    return save_as(oracle, "{\"format\": \"json\"}", out, err);
}

mr_status mr_oracle_save_binary(mr_oracle *oracle, mr_bytes *out, mr_error *err)
{
    return save_as(oracle, "{\"format\": \"ubj\"}", out, err);
}

static mr_status predict_inplace(mr_oracle *oracle, const float *rows, size_t count,
                                 const char *config, const float **out, mr_error *err)
{
    char array[256];
    const mr_xgboost_ulong *shape;
    mr_xgboost_ulong dimensions;
    (void)snprintf(
        array, sizeof array,
        "{\"data\": [%llu, true], \"shape\": [%zu, %u], \"typestr\": \"<f4\", \"version\": 3}",
        (unsigned long long)(uintptr_t)rows, count, oracle->features);
    return CHECK(
        XGBoosterPredictFromDense(oracle->booster, array, config, NULL, &shape, &dimensions, out),
        "predict");
}

static mr_status predict_matrix(mr_oracle *oracle, const float *rows, size_t count,
                                const char *config, const float **out, mr_error *err)
{
    mr_xgboost_handle matrix;
    const mr_xgboost_ulong *shape;
    mr_xgboost_ulong dimensions;
    MR_TRY(CHECK(XGDMatrixCreateFromMat(rows, count, oracle->features, NAN, &matrix), "data"));
    mr_status status = CHECK(
        XGBoosterPredictFromDMatrix(oracle->booster, matrix, config, &shape, &dimensions, out),
        "predict");
    (void)oracle->library->XGDMatrixFree(matrix);
    return status;
}

mr_status mr_oracle_predict(mr_oracle *oracle, const float *rows, size_t count, bool margin,
                            bool inplace, const float **out, mr_error *err)
{
    char config[256];
    (void)snprintf(
        config, sizeof config,
        "{\"type\": %d, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, "
        "\"strict_shape\": true%s}",
        margin, inplace ? ", \"missing\": NaN, \"cache_id\": 0" : "");
    return inplace ? predict_inplace(oracle, rows, count, config, out, err)
                   : predict_matrix(oracle, rows, count, config, out, err);
}

mr_status mr_oracle_explain(mr_oracle *oracle, const float *rows, size_t count, const float **out,
                            mr_error *err)
{
    return predict_matrix(oracle, rows, count,
                          "{\"type\": 2, \"training\": false, \"iteration_begin\": 0, "
                          "\"iteration_end\": 0, \"strict_shape\": true}",
                          out, err);
}
