/* linear_xgboost_test.c -- gblinear against the library that made it: margins and scores must have its bits. */
#include "test/test.h"

#include "base/assert.h"
#include "model/model.h"
#include "test/xgboost_oracle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS     700
#define FEATURES 11

static void assert_bits(float ours, float theirs, const char *what, size_t row, uint32_t k)
{
    if (memcmp(&ours, &theirs, sizeof ours) != 0)
        fail_msg("%s %u of row %zu: ours %.9g, the library's %.9g", what, k, row, (double)ours,
                 (double)theirs);
}

typedef struct sample {
    float rows[ROWS * FEATURES], columns[FEATURES][ROWS];
    mr_column views[FEATURES];
} sample;

static void make_sample(const mr_oracle_recipe *recipe, mr_random_seeded *random, sample *s)
{
    mr_oracle_fill(recipe, random, s->rows, ROWS);
    for (size_t r = 0; r < ROWS; r += 9) /* zeros of both signs, and rows without a value */
        for (uint32_t f = 0; f < FEATURES; f++)
            s->rows[r * FEATURES + f] = r % 18 == 0 ? NAN : r % 4 == 1 ? -0.0f : 0.0f;
    for (uint32_t f = 0; f < FEATURES; f++) {
        for (size_t r = 0; r < ROWS; r++)
            s->columns[f][r] = s->rows[r * FEATURES + f];
        s->views[f] = (mr_column){.type = {MR_FLOAT32, 0}, .values = s->columns[f]};
    }
}

static void compare_rows(const mr_model *model, const sample *s, const float *theirs, bool margin,
                         mr_scratch *scratch)
{
    float margins[16], scores[16];
    uint32_t count = margin ? model->signature.margin_count : model->signature.output_count;
    for (size_t r = 0; r < ROWS; r++) {
        (void)mr_model_score_row(model, s->rows + r * FEATURES, margins, scores, scratch, NULL);
        for (uint32_t k = 0; k < count; k++)
            assert_bits((margin ? margins : scores)[k], theirs[r * count + k],
                        margin ? "margin" : "score", r, k);
    }
}

static void compare_batch(const mr_model *model, const sample *s, const float *theirs, bool margin,
                          mr_scratch *scratch)
{
    static float ours[16 * ROWS];
    const mr_column *inputs[FEATURES];
    mr_error err = {0};
    for (uint32_t f = 0; f < FEATURES; f++)
        inputs[f] = &s->views[f];
    uint32_t count = margin ? model->signature.margin_count : model->signature.output_count;
    mr_model_out out = {
        .margins = margin ? ours : NULL, .scores = margin ? NULL : ours, .stride = ROWS};
    assert_ok(model->kind->score(model, inputs, 0, ROWS, &out, scratch, &err), &err);
    for (size_t r = 0; r < ROWS; r++)
        for (uint32_t k = 0; k < count; k++)
            assert_bits(ours[k * (size_t)ROWS + r], theirs[r * count + k], "batch", r, k);
}

static void check_model(mr_oracle *oracle, const mr_bytes *bytes, const sample *s)
{
    mr_error err = {0};
    mr_model *model;
    mr_scratch *scratch;
    assert_ok(mr_model_open_bytes(bytes->data, bytes->size, NULL, &model, &err), &err);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    for (int margin = 0; margin < 2; margin++) {
        const float *theirs;
        assert_ok(mr_oracle_predict(oracle, s->rows, ROWS, margin == 1, false, &theirs, &err),
                  &err);
        compare_rows(model, s, theirs, margin == 1, scratch);
        compare_batch(model, s, theirs, margin == 1, scratch);
    }
    mr_scratch_destroy(scratch);
    mr_model_close(model);
}

static void check_recipe(const char *objective, uint32_t groups, uint64_t seed)
{
    static sample s;
    const char *const parameters[] = {"booster",       "gblinear",  "updater",
                                      "coord_descent", "objective", objective,
                                      "base_score",    "0.37",      NULL};
    mr_oracle_recipe recipe = {.rows = 900,
                               .features = FEATURES,
                               .rounds = 7,
                               .groups = groups,
                               .missing = 0.1,
                               .parameters = parameters};
    mr_error err = {0};
    mr_oracle oracle;
    mr_bytes bytes = {0};
    mr_random_seeded random = mr_test_random(seed);
    mr_status status = mr_oracle_train(&recipe, mr_random_next(&random), &oracle, &err);
    if (status == MR_NOT_FOUND)
        skip();
    assert_ok(status, &err);
    make_sample(&recipe, &random, &s);
    assert_ok(mr_oracle_save(&oracle, &bytes, &err), &err);
    check_model(&oracle, &bytes, &s);
    assert_ok(mr_oracle_save_binary(&oracle, &bytes, &err), &err);
    check_model(&oracle, &bytes, &s);
    mr_bytes_deinit(&bytes);
    mr_oracle_close(&oracle);
}

TEST(linear_xgboost, margins_and_scores_are_the_librarys)
{
    static const char *const objectives[] = {"binary:logistic", "reg:squarederror", "count:poisson",
                                             "reg:gamma"};
    for (size_t i = 0; i < MR_COUNT_OF(objectives); i++)
        check_recipe(objectives[i], 1, 700 + i);
    check_recipe("multi:softprob", 5, 710);
    check_recipe("multi:softmax", 3, 711);
}

#define MODEL(weights, classes, features)                                                          \
    "{\"learner\":{\"gradient_booster\":{\"model\":{\"weights\":" weights                          \
    "},\"name\":\"gblinear\"},\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":"     \
    "\"" classes "\",\"num_feature\":\"" features                                                  \
    "\"},\"objective\":{\"name\":\"reg:squarederror\"}},\"version\":[2,1,4]}"

TEST(linear_xgboost, sums_in_the_order_of_the_features_and_passes_over_what_is_missing)
{
    static const char text[] = MODEL("[2,-1,0.25]", "0", "2");
    mr_error err = {0};
    mr_model *model;
    mr_scratch *scratch;
    float margin;
    assert_ok(mr_model_open_bytes(text, strlen(text), NULL, &model, &err), &err);
    assert_int_equal(model->signature.input_count, 2);
    assert_string_equal(model->signature.output_names[0], "value");
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    (void)mr_model_score_row(model, (float[]){3, 5}, &margin, NULL, scratch, NULL);
    assert_true(margin == 0.25f + 0.5f + 6 - 5);
    (void)mr_model_score_row(model, (float[]){NAN, 5}, &margin, NULL, scratch, NULL);
    assert_true(margin == 0.25f + 0.5f - 5);
    mr_scratch_destroy(scratch);
    mr_model_close(model);
}

/* Each input adds its product; a missing one nothing; what is left is the bias and the base score. */
TEST(linear_xgboost, says_what_each_input_adds)
{
    static const char text[] = MODEL("[2,-1,0.25]", "0", "2");
    static float values[2][2] = {{3, NAN}, {5, 7}};
    mr_column columns[2] = {{.type = {MR_FLOAT32, 0}, .values = values[0]},
                            {.type = {MR_FLOAT32, 0}, .values = values[1]}};
    const mr_column *inputs[] = {&columns[0], &columns[1]};
    static const double expected[] = {6, -5, 0.75, 0, -7, 0.75};
    double out[6];
    mr_error err = {0};
    mr_model *model;
    mr_scratch *scratch;
    assert_ok(mr_model_open_bytes(text, strlen(text), NULL, &model, &err), &err);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    assert_ok(model->kind->explain(model, inputs, 0, 2, out, scratch, &err), &err);
    assert_memory_equal(out, expected, sizeof expected);
    mr_scratch_destroy(scratch);
    mr_model_close(model);
}

TEST(linear_xgboost, refuses_weights_that_do_not_fit)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {MODEL("[2,-1]", "0", "2"),
         "has 2 weights: 2 features and a bias for 1 output groups make 3"},
        {MODEL("[]", "0", "2"), "has 0 weights"},
        {MODEL("[1,2,Infinity]", "0", "2"), "weights[2] is inf"},
        {MODEL("[1,2,3,4,5,6]", "2", "2"), "num_class is 2 under objective reg:squarederror"},
        {MODEL("[1,x]", "0", "2"), "learner.gradient_booster.model.weights[1] at byte"},
        {MODEL("[1]", "0", "0"), "num_feature is 0"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_model *model;
        assert_true(mr_model_open_bytes(cases[i].text, strlen(cases[i].text), NULL, &model, &err) !=
                    MR_OK);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: '%s', expected '%s'", i, err.text, cases[i].says);
    }
}

/* Opening fails cleanly at every allocation. */
TEST(linear_xgboost, survives_failing_allocations)
{
    static const char text[] = MODEL("[2,-1,0.25]", "0", "2");
    for (int64_t n = 0;; n++) {
        mr_error err = {0};
        mr_model *model;
        (void)mr_memory_fail_after(n, true);
        mr_status status = mr_model_open_bytes(text, strlen(text), NULL, &model, &err);
        (void)mr_memory_fail_after(-1, false);
        if (status == MR_OK) {
            assert_true(n > 3);
            mr_model_close(model);
            return;
        }
        assert_int_equal(status, MR_NO_MEMORY);
    }
}
