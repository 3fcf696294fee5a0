/* glm_test.c -- our own linear models: every link by its formula, strict reading, writing, explanations. */
#include "test/test.h"

#include "base/assert.h"
#include "model/glm.h"
#include "test/models.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS 600

static mr_model *open_text(const char *text, size_t size)
{
    mr_error err = {0};
    mr_model *model;
    assert_ok(mr_model_open_bytes(text, size, NULL, &model, &err), &err);
    assert_string_equal(model->kind->name, "linear");
    return model;
}

/* Up to three inputs of one row. */
static void score_one(const mr_model *model, const double *row, double *margins, double *scores,
                      int32_t *label)
{
    mr_error err = {0};
    mr_scratch *scratch;
    mr_column columns[3] = {0};
    const mr_column *inputs[3];
    for (uint32_t i = 0; i < model->signature.input_count; i++) {
        columns[i] = (mr_column){.type = {MR_FLOAT64, 0}, .values = &row[i]};
        inputs[i] = &columns[i];
    }
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    mr_model_out out = {margins, scores, label, 1};
    assert_ok(model->kind->score(model, inputs, 0, 1, &out, scratch, &err), &err);
    mr_scratch_destroy(scratch);
}

TEST(glm, follows_means_scales_and_missing_values)
{
    mr_model *model = open_text(MR_TEST_MODEL_GLM, strlen(MR_TEST_MODEL_GLM));
    double margin, score;
    int32_t label;
    score_one(model, (double[]){4.5, 1, 10}, &margin, &score, &label);
    assert_true(margin == -0.5 + 0.25 * ((4.5 - 1.5) / 2) + 0.75 * 1 + -0.1 * (10.0 - 3.0));
    assert_true(score == 1 / (1 + exp(-margin)) && label == 0);
    score_one(model, (double[]){4.5, NAN, NAN}, &margin, &score, &label);
    assert_true(margin == -0.5 + 0.25 * 1.5);
    score_one(model, (double[]){30, 1, 3}, &margin, &score, &label);
    assert_int_equal(label, 1);
    score_one(model, (double[]){NAN, 1, 10}, &margin, &score, &label);
    assert_true(isnan(margin) && isnan(score) && label == -1);
    assert_true(model->signature.may_abstain);
    assert_string_equal(model->signature.output_names[0], "probability");
    assert_string_equal(model->signature.class_names[1], "fraud");
    mr_model_close(model);
}

TEST(glm, links_are_their_formulas)
{
    static const char *const links[] = {"identity", "logit", "log", "probit", "cloglog", "inverse"};
    for (size_t i = 0; i < MR_COUNT_OF(links); i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "{\"millrace_model\":\"linear\",\"link\":\"%s\",\"intercept\":0.25,"
                       "\"inputs\":[{\"name\":\"x\",\"weight\":2,\"missing\":1}]}",
                       links[i]);
        mr_model *model = open_text(text, strlen(text));
        for (double x = -3; x < 3; x += 0.37) {
            double margin, score, m = 0.25 + 2 * x;
            double wanted[] = {
                m,    1 / (1 + exp(-m)), exp(m), 0.5 * (1 + erf(m / sqrt(2))), 1 - exp(-exp(m)),
                1 / m};
            score_one(model, &x, &margin, &score, NULL);
            assert_true(margin == m && fabs(score - wanted[i]) <= 1e-14 * fabs(wanted[i]) + 1e-16);
        }
        assert_false(model->signature.may_abstain);
        mr_model_close(model);
    }
}

static const char softmax[] =
    "{\"inputs\":[{\"weight\":[1,-1,0.5],\"name\":\"x\"}],\"link\":\"softmax\","
    "\"millrace_model\":\"linear\",\"classes\":[\"a\",\"b\",\"c\"],\"intercept\":[0,0.125,-2]}";

TEST(glm, softmax_has_a_margin_for_each_class)
{
    mr_model *model = open_text(softmax, strlen(softmax));
    double margins[3], scores[3], x = 0.5;
    int32_t label;
    score_one(model, &x, margins, scores, &label);
    double e[] = {exp(0.5), exp(-0.375), exp(-1.75)}, sum = e[0] + e[1] + e[2];
    for (int k = 0; k < 3; k++)
        assert_true(fabs(scores[k] - e[k] / sum) < 1e-15);
    assert_int_equal(label, 0);
    assert_string_equal(model->signature.output_names[2], "c");
    x = NAN;
    score_one(model, &x, margins, scores, &label);
    assert_int_equal(label, -1);
    mr_model_close(model);
}

/* Shares are exact: added up behind the intercept they are the margin to the bit, whatever the cut. */
TEST(glm, shares_add_up_to_the_margin)
{
    mr_error err = {0};
    mr_model *model = open_text(MR_TEST_MODEL_GLM, strlen(MR_TEST_MODEL_GLM));
    static double values[3][ROWS], shares[ROWS * 4], margins[ROWS];
    mr_random_seeded random = mr_test_random(1);
    mr_column columns[3] = {0};
    const mr_column *inputs[3];
    mr_scratch *scratch;
    for (int i = 0; i < 3; i++) {
        for (int r = 0; r < ROWS; r++)
            values[i][r] = i > 0 && r % 7 == 0 ? NAN : (mr_random_unit(&random) - 0.5) * 100;
        columns[i] = (mr_column){.type = {MR_FLOAT64, 0}, .values = values[i]};
        inputs[i] = &columns[i];
    }
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    mr_model_out out = {.margins = margins, .stride = ROWS};
    assert_ok(model->kind->score(model, inputs, 0, ROWS, &out, scratch, &err), &err);
    assert_ok(model->kind->explain(model, inputs, 0, ROWS, shares, scratch, &err), &err);
    for (int r = 0; r < ROWS; r++) {
        const double *s = shares + r * 4;
        assert_true(s[3] == -0.5 && s[3] + s[0] + s[1] + s[2] == margins[r]);
        assert_true(r % 7 != 0 || (s[1] == 0 && s[2] == 0));
    }
    mr_scratch_destroy(scratch);
    mr_model_close(model);
}

TEST(glm, what_is_written_reads_back_the_same)
{
    static const char *const texts[] = {MR_TEST_MODEL_GLM, softmax};
    for (size_t i = 0; i < MR_COUNT_OF(texts); i++) {
        mr_error err = {0};
        mr_glm first, second;
        mr_bytes once = {0}, twice = {0};
        assert_ok(mr_glm_read(texts[i], strlen(texts[i]), &first, &err), &err);
        mr_glm_write(&first, &once);
        assert_ok(mr_glm_read(once.data, once.size, &second, &err), &err);
        mr_glm_write(&second, &twice);
        assert_int_equal(once.size, twice.size);
        assert_memory_equal(once.data, twice.data, once.size);
        assert_int_equal(first.weights.size, second.weights.size);
        assert_memory_equal(first.weights.data, second.weights.data, first.weights.size);
        assert_memory_equal(first.inputs.data, second.inputs.data, first.inputs.size);
        mr_glm_deinit(&first);
        mr_glm_deinit(&second);
        mr_bytes_deinit(&once);
        mr_bytes_deinit(&twice);
    }
}

#define GLM(link, intercept, inputs, more)                                                         \
    "{\"millrace_model\":\"linear\",\"link\":\"" link "\",\"intercept\":" intercept                \
    ",\n \"inputs\":[" inputs "]" more "}"
#define X "{\"name\":\"x\",\"weight\":1}"

TEST(glm, refuses_with_line_and_column)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {GLM("logistic", "0", X, ""), "line 1, column 45: link at byte 44: link 'logistic' is not"},
        {GLM("log", "0", X ",", ""), "line 2, column 36: inputs[1]"},
        {GLM("log", "0", "{\"name\":\"x\",\"weight\":NaN}", ""),
         "line 2, column 33: inputs[0].weight"},
        {GLM("log", "0", "{\"name\":\"x\",\"weight\":1e999}", ""), "too large for a float64"},
        {GLM("log", "0", "{\"name\":\"x\",\"weigth\":1}", ""), "an input has no 'weigth'"},
        {GLM("log", "0", "{\"name\":\"x\"}", ""), "the input has no weight"},
        {GLM("log", "0", "{\"name\":\"\",\"weight\":1}", ""), "an empty name"},
        {GLM("log", "0", "{\"name\":\"x\",\"weight\":1,\"scale\":0}", ""), "a scale of 0"},
        {GLM("log", "0", "{\"name\":\"x\",\"weight\":1,\"missing\":\"no\"}", ""),
         "'no': a number or \"mean\" is wanted"},
        {GLM("log", "0", "{\"name\":\"x\",\"name\":\"y\",\"weight\":1}", ""), "given twice"},
        {GLM("log", "0", X "," X, ""), "two inputs are called 'x'"},
        {GLM("log", "0", "", ""), "the model has no inputs"},
        {GLM("log", "[0,1]", X, ""), "1 numbers, where there were 2 before"},
        {GLM("log", "[]", X, ""), "0 numbers: 1 to 1024 are wanted"},
        {GLM("softmax", "0", X, ""), "softmax over one class"},
        {GLM("log", "0", X, ",\"classes\":[\"a\",\"b\"]"), "2 classes under link log, where 0"},
        {GLM("logit", "0", X, ",\"classes\":[\"a\"]"), "1 classes under link logit, where 2"},
        {GLM("log", "0", X, ",\"bias\":1"), "a linear model has no 'bias'"},
        {GLM("log", "0", X, "} "), "the end of the file is expected"},
        {"{\"millrace_model\":\"linear\",\"link\":\"log\"}", "the model has no intercept"},
        {"{\"millrace_model\":\"linear\",\"link\":\"log\",\"link\":\"log\"}", "given twice"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_model *model;
        mr_status status =
            mr_model_open_bytes(cases[i].text, strlen(cases[i].text), NULL, &model, &err);
        if (status == MR_OK || strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, status == MR_OK ? "it was read" : err.text);
    }
}

TEST(glm, survives_cut_and_damaged_files)
{
    const char *text = MR_TEST_MODEL_GLM;
    size_t size = strlen(text);
    char *copy = mr_alloc(size);
    mr_model_options options = {.kind = "linear"};
    for (size_t i = 0; i < 8 * size + size; i++) {
        mr_error err = {0};
        mr_model *model;
        size_t cut = i < size ? i : size;
        memcpy(copy, text, size);
        if (i >= size)
            copy[(i - size) / 8] = (char)(copy[(i - size) / 8] ^ (1 << (i % 8)));
        mr_status status = mr_model_open_bytes(copy, cut, &options, &model, &err);
        assert_true(status == MR_OK ? i + 1 >= size : err.text[0] != '\0');
        mr_model_close(model);
    }
    mr_free(copy);
}
