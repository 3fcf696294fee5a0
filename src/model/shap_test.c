/* shap_test.c -- contributions against the definition, and against the library that made the model. */
#include "test/test.h"

#include "base/assert.h"
#include "model/shap.h"
#include "model/tree_model.h"
#include "os/thread.h"
#include "test/models.h"
#include "test/xgboost_oracle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS 300

/* ---- a model, its rows by column, and all of its contributions ---- */

typedef struct subject {
    mr_model *model;
    mr_binding *binding;
    mr_scratch *scratch;
    mr_column *columns;
    float *values; /* by column */
    double *out;
    size_t row_values; /* contributions of one row */
} subject;

static void subject_init(subject *s, const void *json, size_t size, const char *cpu,
                         const float *rows)
{
    mr_error err = {0};
    mr_setting setting = {"cpu", cpu};
    mr_model_options options = {.settings = &setting, .setting_count = 1};
    assert_ok(mr_model_open_bytes(json, size, &options, &s->model, &err), &err);
    uint32_t features = s->model->signature.input_count;
    s->row_values = s->model->signature.margin_count * ((size_t)features + 1);
    s->values = mr_alloc(sizeof(float) * ROWS * features);
    s->columns = mr_alloc_zero(features, sizeof *s->columns);
    s->out = mr_alloc(sizeof(double) * ROWS * s->row_values);
    mr_field *fields = mr_alloc_zero(features, sizeof *fields);
    for (uint32_t f = 0; f < features; f++) {
        for (size_t r = 0; r < ROWS; r++)
            s->values[f * (size_t)ROWS + r] = rows[r * features + f];
        s->columns[f] =
            (mr_column){.type = {MR_FLOAT32, 0}, .values = s->values + f * (size_t)ROWS};
        fields[f] = (mr_field){
            .name = s->model->signature.input_names[f], .type = {MR_FLOAT32, 0}, .nullable = true};
    }
    mr_schema *schema;
    assert_ok(mr_schema_create(fields, features, &schema, &err), &err);
    assert_ok(mr_model_bind(s->model, schema, &s->binding, &err), &err);
    assert_ok(mr_scratch_create(s->model, &s->scratch, &err), &err);
    mr_schema_release(schema);
    mr_free(fields);
}

static void subject_deinit(subject *s)
{
    mr_scratch_destroy(s->scratch);
    mr_binding_destroy(s->binding);
    mr_model_close(s->model);
    mr_free(s->columns);
    mr_free(s->values);
    mr_free(s->out);
}

static mr_status explain(const subject *s, size_t first, size_t count, double *out, mr_error *err)
{
    return mr_model_explain(s->model, s->binding, s->columns, first, count, out, s->scratch, err);
}

/* ---- the library ---- */

static void compare(const subject *s, const float *theirs, uint32_t features, uint32_t groups)
{
    for (size_t r = 0; r < ROWS; r++)
        for (uint32_t k = 0; k < groups; k++) {
            size_t at = (r * groups + k) * ((size_t)features + 1);
            double scale = 1.0;
            for (uint32_t f = 0; f <= features; f++)
                scale = fmax(scale, fabs((double)theirs[at + f]));
            for (uint32_t f = 0; f <= features; f++)
                if (!(fabs(s->out[at + f] - (double)theirs[at + f]) <= 1e-5 * scale))
                    fail_msg("row %zu, margin %u, feature %u: ours %.9g, the library's %.9g", r, k,
                             f, s->out[at + f], (double)theirs[at + f]);
        }
}

static void check_additive(const subject *s, uint32_t features, uint32_t groups)
{
    mr_error err = {0};
    float *margins = mr_alloc(sizeof(float) * ROWS * groups);
    mr_model_out out = {.margins = margins, .stride = ROWS};
    assert_ok(mr_model_score(s->model, s->binding, s->columns, 0, ROWS, &out, s->scratch, &err),
              &err);
    for (size_t r = 0; r < ROWS; r++)
        for (uint32_t k = 0; k < groups; k++) {
            double sum = 0, margin = (double)margins[k * (size_t)ROWS + r];
            for (uint32_t f = 0; f <= features; f++)
                sum += s->out[(r * groups + k) * ((size_t)features + 1) + f];
            /* The margin is a sum of float32: what it lost is not ours. */
            if (!(fabs(sum - margin) <= 1e-6 * fmax(1.0, fabs(margin)) + 30 * ldexp(1, -24)))
                fail_msg("row %zu, margin %u: contributions add up to %.9g, the margin is %.9g", r,
                         k, sum, margin);
        }
    mr_free(margins);
}

/* The same bits from any cut and any instructions. */
static void check_cuts(const subject *s, const mr_bytes *json, const float *rows)
{
    static const size_t cuts[][2] = {{0, 1}, {1, 7}, {8, 9}, {3, 130}, {299, 1}};
    static const char *const cpus[] = {"plain", "avx2", "avx512"};
    mr_error err = {0};
    for (size_t c = 0; c < MR_COUNT_OF(cpus); c++) {
        subject other;
        subject_init(&other, json->data, json->size, cpus[c], rows);
        for (size_t i = 0; i < MR_COUNT_OF(cuts); i++) {
            assert_ok(explain(&other, cuts[i][0], cuts[i][1], other.out, &err), &err);
            assert_memory_equal(other.out, s->out + cuts[i][0] * s->row_values,
                                cuts[i][1] * s->row_values * sizeof(double));
        }
        subject_deinit(&other);
    }
}

static void check_recipe(const mr_oracle_recipe *recipe, uint64_t seed)
{
    mr_error err = {0};
    mr_oracle oracle;
    mr_bytes json = {0}, binary = {0};
    mr_random_seeded random = mr_test_random(seed);
    mr_status status = mr_oracle_train(recipe, mr_random_next(&random), &oracle, &err);
    if (status == MR_NOT_FOUND)
        skip();
    assert_ok(status, &err);
    assert_ok(mr_oracle_save(&oracle, &json, &err), &err);
    assert_ok(mr_oracle_save_binary(&oracle, &binary, &err), &err);
    float *rows = mr_alloc(sizeof(float) * ROWS * recipe->features);
    mr_oracle_fill(recipe, &random, rows, ROWS);
    const float *theirs;
    assert_ok(mr_oracle_explain(&oracle, rows, ROWS, &theirs, &err), &err);
    subject s;
    subject_init(&s, binary.data, binary.size, "auto", rows);
    assert_ok(explain(&s, 0, ROWS, s.out, &err), &err);
    compare(&s, theirs, recipe->features, s.model->signature.margin_count);
    check_additive(&s, recipe->features, s.model->signature.margin_count);
    check_cuts(&s, &json, rows);
    subject_deinit(&s);
    mr_free(rows);
    mr_bytes_deinit(&json);
    mr_bytes_deinit(&binary);
    mr_oracle_close(&oracle);
}

#define PARAMETERS(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(shap, contributions_are_the_librarys_at_any_depth)
{
    static const char *const depths[] = {"1", "2", "3", "4", "6", "8", "9", "12"};
    static const uint32_t features[] = {3, 9, 25};
    for (size_t d = 0; d < MR_COUNT_OF(depths); d++)
        check_recipe(&(mr_oracle_recipe){.rows = 1000,
                                         .features = features[d % 3],
                                         .rounds = 15,
                                         .groups = 1,
                                         .missing = d % 2 == 0 ? 0.15 : 0.0,
                                         .discrete = 0.3,
                                         .parameters = PARAMETERS("objective", "binary:logistic",
                                                                  "max_depth", depths[d])},
                     d);
}

TEST(shap, contributions_are_the_librarys_for_classes_forests_and_categories)
{
    check_recipe(&(mr_oracle_recipe){.rows = 900,
                                     .features = 7,
                                     .rounds = 8,
                                     .groups = 4,
                                     .missing = 0.1,
                                     .parameters = PARAMETERS("objective", "multi:softprob",
                                                              "max_depth", "5")},
                 100);
    check_recipe(&(mr_oracle_recipe){.rows = 900,
                                     .features = 7,
                                     .rounds = 12,
                                     .groups = 1,
                                     .missing = 0.1,
                                     .parameters = PARAMETERS("booster", "dart", "rate_drop", "0.4",
                                                              "objective", "binary:logistic",
                                                              "max_depth", "5")},
                 101);
    check_recipe(
        &(mr_oracle_recipe){.rows = 900,
                            .features = 7,
                            .rounds = 3,
                            .groups = 1,
                            .parameters = PARAMETERS("objective", "reg:squarederror",
                                                     "num_parallel_tree", "5", "subsample", "0.7",
                                                     "colsample_bynode", "0.6", "max_depth", "6")},
        102);
    static const uint32_t categories[] = {3, 70};
    for (size_t i = 0; i < MR_COUNT_OF(categories); i++)
        check_recipe(&(mr_oracle_recipe){.rows = 1500,
                                         .features = 8,
                                         .rounds = 10,
                                         .groups = 1,
                                         .missing = 0.1,
                                         .categories = categories[i],
                                         .parameters = PARAMETERS(
                                             "objective", "binary:logistic", "tree_method", "hist",
                                             "max_depth", "6", "max_cat_to_onehot",
                                             i % 2 == 0 ? "4" : "1000")},
                     200 + i);
}
