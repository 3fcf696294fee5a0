/* tree_xgboost_test.c -- reading XGBoost's JSON: every form it comes in, every way it can be wrong. */
#include "test/test.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/artifact.h"
#include "model/tree_model.h"
#include "test/cards.h"
#include "test/models.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static mr_status open_text(const char *text, mr_model **out, mr_error *err)
{
    return mr_model_open_bytes(text, strlen(text), NULL, out, err);
}

static float margin_of(const char *text, float amount, float night, float count)
{
    mr_error err = {0};
    mr_model *model;
    mr_scratch *scratch;
    float margin, inputs[] = {amount, night, count};
    assert_ok(open_text(text, &model, &err), &err);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    (void)mr_model_score_row(model, inputs, &margin, NULL, scratch, NULL);
    mr_scratch_destroy(scratch);
    mr_model_close(model);
    return margin;
}

static float base(void)
{
    return -logf(1.0f / 0.3f - 1.0f);
}

TEST(tree_xgboost, follows_defaults_categories_and_signs)
{
    const char *m = MR_TEST_MODEL_XGBOOST;
    assert_true(margin_of(m, 1.0f, 0, 0) == base() + -0.25f + 0.5f);
    assert_true(margin_of(m, NAN, 0, 0) == base() + -0.25f + 0.5f); /* default left */
    assert_true(margin_of(m, 1.5f, 0.25f, 1) ==
                base() + 0.07f + -0.5f); /* thresholds go right; 1 is in the set */
    assert_true(margin_of(m, 2, 0.2f, 2) == base() + 0.125f + 0.5f);  /* 2 is not in the set */
    assert_true(margin_of(m, 2, NAN, NAN) == base() + 0.07f + -0.5f); /* default right, twice */
    assert_true(margin_of(m, INFINITY, -INFINITY, 3.9f) ==
                base() + 0.125f + -0.5f);                                  /* 3.9 is code 3 */
    assert_true(margin_of(m, -INFINITY, 0, -1) == base() + -0.25f + 0.5f); /* no code: left */
    assert_true(margin_of(m, -INFINITY, 0, 16777216.0f) == base() + -0.25f + 0.5f);
}

/* Far out the library keeps expf finite: its smallest probability is that of -88.7. */
TEST(tree_xgboost, probabilities_far_out_are_the_librarys)
{
    const char *text = MR_TEST_MODEL_OF(
        "gbtree",
        "[" MR_TEST_TREE("0", "[1,-1,-1]", "[2,-1,-1]", "[0,0,0]", "[0,-150,150]", "[1,0,0]",
                         "[0,0,0]", "[]", "[]", "[]", "[]", "3") "," MR_TEST_TREE_1 "]",
        "[0,0]", "", "5E-1", "binary:logistic", "3");
    mr_error err = {0};
    mr_model *model;
    mr_scratch *scratch;
    float inputs[] = {-1, 0, 0}, score, lowest = 1.0f / (expf(88.7f) + 1.0f + 1e-16f);
    assert_ok(open_text(text, &model, &err), &err);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    (void)mr_model_score_row(model, inputs, NULL, &score, scratch, NULL);
    assert_true(score == lowest && score > 0.0f);
    inputs[0] = 1;
    (void)mr_model_score_row(model, inputs, NULL, &score, scratch, NULL);
    assert_true(score == 1.0f);
    mr_scratch_destroy(scratch);
    mr_model_close(model);
}

TEST(tree_xgboost, says_what_it_is)
{
    mr_error err = {0};
    mr_model *model;
    assert_ok(open_text(MR_TEST_MODEL_XGBOOST, &model, &err), &err);
    const mr_model_signature *s = &model->signature;
    assert_string_equal(s->objective, "binary:logistic");
    assert_int_equal(s->input_count, 3);
    assert_string_equal(s->input_names[2], "count 7d");
    assert_int_equal(s->output_count, 1);
    assert_string_equal(s->output_names[0], "probability");
    assert_int_equal(s->float_bits, 32);
    assert_int_equal(mr_model_input_find(model, "night"), 1);
    assert_int_equal(mr_model_input_find(model, "day"), -1);
    mr_model_close(model);
}

TEST(tree_xgboost, best_iteration_is_the_callers_choice)
{
    mr_error err = {0};
    mr_model *model;
    mr_setting setting = {"trees", "best"};
    mr_model_options options = {.settings = &setting, .setting_count = 1};
    const char *text = MR_TEST_MODEL_XGBOOST;
    assert_ok(mr_model_open_bytes(text, strlen(text), &options, &model, &err), &err);
    assert_int_equal(mr_tree_model_forest(model)->tree_count, 1);
    mr_model_close(model);
    setting.value = "all";
    assert_ok(mr_model_open_bytes(text, strlen(text), &options, &model, &err), &err);
    assert_int_equal(mr_tree_model_forest(model)->tree_count, 2);
    mr_model_close(model);
}

TEST(tree_xgboost, base_score_comes_in_several_forms)
{
#define WITH_BASE(base)                                                                            \
    MR_TEST_MODEL_OF("gbtree", "[" MR_TEST_TREE_0 "," MR_TEST_TREE_1 "]", "[0,0]", "", base,       \
                     "binary:logistic", "3")
    static const char *const forms[] = {WITH_BASE("3E-1"), WITH_BASE("[3E-1]"), WITH_BASE("(0.3)"),
                                        WITH_BASE(" [ 0.3 ] ")};
    for (size_t i = 0; i < MR_COUNT_OF(forms); i++)
        assert_true(margin_of(forms[i], 1, 0, 0) == base() + -0.25f + 0.5f);
}

TEST(tree_xgboost, dart_weights_stand_in_either_place)
{
    const char *beside =
        "{\"learner\":{\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":\"0\",\"num_"
        "feature\":\"3\"},"
        "\"objective\":{\"name\":\"reg:squarederror\"},\"gradient_booster\":{\"name\":\"dart\","
        "\"weight_drop\":[0.5,3E-1],"
        "\"gbtree\":{\"name\":\"gbtree\",\"model\":{\"tree_info\":[0,0],\"trees\":[" MR_TEST_TREE_0
        "," MR_TEST_TREE_1 "]}}}}}";
    const char *inside =
        MR_TEST_MODEL_OF("gbtree", "[" MR_TEST_TREE_0 "," MR_TEST_TREE_1 "]", "[0,0]",
                         ",\"weight_drop\":[0.5,3E-1]", "5E-1", "reg:squarederror", "3");
    float expected = 0.5f + -0.25f * 0.5f + 0.5f * 0.3f;
    assert_true(margin_of(beside, 1, 0, 0) == expected);
    assert_true(margin_of(inside, 1, 0, 0) == expected);
}

/* The same tree, its nodes numbered otherwise: right before left, children far from parents. */
TEST(tree_xgboost, numbering_of_nodes_is_free)
{
    const char *shuffled = MR_TEST_MODEL_OF(
        "gbtree",
        "[" MR_TEST_TREE("0", "[4,-1,-1,2,-1]", "[3,-1,-1,1,-1]", "[0,0,0,1,0]",
                         "[1.5,7E-2,0.125,2.5E-1,-0.25]", "[1,0,0,0,0]", "[0,0,0,0,0]", "[]", "[]",
                         "[]", "[]", "5") "," MR_TEST_TREE_1 "]",
        "[0,0]", "", "[3E-1]", "binary:logistic", "3");
    for (int i = 0; i < 20; i++) {
        float a = (float)(i % 4), b = (float)(i % 3) / 4, c = (float)(i % 5);
        assert_true(margin_of(shuffled, a, b, c) == margin_of(MR_TEST_MODEL_XGBOOST, a, b, c));
    }
}

#define ONE_TREE(left, right, indices, conditions, defaults, types, categories, nodes, segments,   \
                 sizes, count)                                                                     \
    MR_TEST_MODEL_OF("gbtree",                                                                     \
                     "[" MR_TEST_TREE("0", left, right, indices, conditions, defaults, types,      \
                                      categories, nodes, segments, sizes,                          \
                                      count) "," MR_TEST_TREE_1 "]",                               \
                     "[0,0]", "", "[3E-1]", "binary:logistic", "3")
#define PLAIN_TREE(left, right, indices, conditions)                                               \
    ONE_TREE(left, right, indices, conditions, "[0,0,0]", "[0,0,0]", "[]", "[]", "[]", "[]", "3")
#define TWO_TREES "[" MR_TEST_TREE_0 "," MR_TEST_TREE_1 "]"

TEST(tree_xgboost, every_mistake_is_named_with_its_place)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{\"learner\":", "the file ends where"},
        {"{\"learner\":{}}", "gradient_booster.name is ''"},
        {"{\"version\":[1,7,4],\"x\":{\"learner\":1}}", "there is no 'learner'"},
        {"{\"learner\":{},\"learner\":{}}", "a second learner"},
        {MR_TEST_MODEL_XGBOOST "x", "the end of the file is expected"},
        {MR_TEST_MODEL_OF("gblinear", TWO_TREES, "[0,0]", "", "0.5", "binary:logistic", "3"),
         "has 0 weights: 3 features and a bias for 1 output groups make 4"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0,0]", "", "0.5", "reg:magic", "3"),
         "objective.name is 'reg:magic'; known are binary:logistic"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0,1]", "", "0.5", "binary:logistic", "3"),
         "tree_info[1] is 1, the model has 1 output groups"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0]", "", "0.5", "binary:logistic", "3"),
         "tree_info has 1 entries for 2 trees"},
        {MR_TEST_MODEL_OF("gbtree", "[" MR_TEST_TREE_0 "]", "[0]", "", "0.5", "binary:logistic",
                          "3"),
         "num_trees is 2, there are 1 trees"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0,0]", "", "1.5", "binary:logistic", "3"),
         "a number between 0 and 1 is wanted"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0,0]", "", "half", "binary:logistic", "3"),
         "base_score at byte"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0,0]", "", "[1,2]", "reg:squarederror", "3"),
         "base_score has 2 values for 1 output groups"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0,0]", "", "0.5", "binary:logistic", "2"),
         "feature_names has 3 names, num_feature is 2"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0,0]", "", "0.5", "binary:logistic", "many"),
         "'many' is no whole number"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0,0]", ",\"weight_drop\":[1,1,1]", "0.5",
                          "binary:logistic", "3"),
         "weight_drop has 3 weights for 2 trees"},
        {MR_TEST_MODEL_OF("dart", TWO_TREES, "[0,0]", "", "0.5", "binary:logistic", "3"),
         "weight_drop has 0 weights for 2 trees"},
        {MR_TEST_MODEL_OF("gbtree", TWO_TREES, "[0,0]", ",\"cats\":{\"enc\":[{}]}", "0.5",
                          "binary:logistic", "3"),
         "re-codes categories by name"},
        {PLAIN_TREE("[1,-1,-1]", "[3,-1,-1]", "[0,0,0]", "[1,2,3]"),
         "tree 0, node 0: right child 3 is not one of its 3 nodes"},
        {PLAIN_TREE("[1,-1,-1]", "[1,-1,-1]", "[0,0,0]", "[1,2,3]"),
         "right child 1 has another parent already"},
        {PLAIN_TREE("[1,0,-1]", "[2,2,-1]", "[0,0,0]", "[1,2,3]"),
         "left child 0 has another parent already"},
        {PLAIN_TREE("[-2,-1,-1]", "[2,-1,-1]", "[0,0,0]", "[1,2,3]"), "left child -2 is not one"},
        {PLAIN_TREE("[1,-1,-1]", "[2,-1,-1]", "[3,0,0]", "[1,2,3]"),
         "splits on feature 3, num_feature is 3"},
        {PLAIN_TREE("[1,-1,-1]", "[2,-1,-1]", "[-1,0,0]", "[1,2,3]"), "splits on feature -1"},
        {PLAIN_TREE("[1,-1,-1]", "[2,-1,-1]", "[0,0,0]", "[NaN,2,3]"),
         "tree 0, node 0: the threshold is NaN"},
        {PLAIN_TREE("[1,-1,-1]", "[2,-1,-1]", "[0,0,0]", "[1,Infinity,3]"),
         "node 1: the leaf's value is inf"},
        {PLAIN_TREE("[1,-1,-1]", "[2,-1,-1]", "[0,0,0]", "[1,2]"), "trees[0] at byte"},
        {PLAIN_TREE("[1,-1,-1]", "[2,-1,-1]", "[0,0]", "[1,2,3]"),
         "left_children has 3 elements, split_indices has 2"},
        {PLAIN_TREE("[1,-1,x]", "[2,-1,-1]", "[0,0,0]", "[1,2,3]"),
         "learner.gradient_booster.model.trees[0].left_children[2] at byte"},
        {PLAIN_TREE("[1,-1,9999999999]", "[2,-1,-1]", "[0,0,0]", "[1,2,3]"),
         "9999999999 does not fit 32 bits"},
        {PLAIN_TREE("[]", "[]", "[]", "[]"), "num_nodes is 3, left_children has 0"},
        {ONE_TREE("[]", "[]", "[]", "[]", "[]", "[]", "[]", "[]", "[]", "[]", "0"),
         "tree 0 has no nodes"},
        {ONE_TREE("[1,-1,-1]", "[2,-1,-1]", "[0,0,0]", "[1,2,3]", "[0,0,0]", "[1,0,0]", "[1]",
                  "[0]", "[0]", "[2]", "3"),
         "categories_segments[0] is 0 and its size 2, of 1 categories"},
        {ONE_TREE("[1,-1,-1]", "[2,-1,-1]", "[0,0,0]", "[1,2,3]", "[0,0,0]", "[1,0,0]", "[]", "[]",
                  "[]", "[]", "3"),
         "node 0 is categorical and not among categories_nodes"},
        {ONE_TREE("[1,-1,-1]", "[2,-1,-1]", "[0,0,0]", "[1,2,3]", "[0,0,0]", "[0,0,0]", "[1]",
                  "[0]", "[0]", "[1]", "3"),
         "categories_nodes[0] is 0: no categorical node"},
        {ONE_TREE("[1,-1,-1]", "[2,-1,-1]", "[0,0,0]", "[1,2,3]", "[0,0,0]", "[1,0,0]", "[-4]",
                  "[0]", "[0]", "[1]", "3"),
         "category -4 is no code"},
        {"{\"learner\":{\"gradient_booster\":{\"model\":{\"trees\":[{\"tree_param\":{\"size_leaf_"
         "vector\":\"3\"}}]}}}}",
         "leaves with 3 values"},
        {"{\"learner\":{\"feature_names\":[\"\\ud800\"]}}", "surrogate pair"},
        {"{\"learner\":{\"feature_names\":[\"a", "the file ends where '\"' is expected"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_model *model;
        mr_status status = open_text(cases[i].text, &model, &err);
        if (status == MR_OK || strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s: '%s', expected '%s'", i, mr_status_name(status), err.text,
                     cases[i].says);
        assert_null(model);
    }
}

TEST(tree_xgboost, every_truncation_is_refused)
{
    const char *text = MR_TEST_MODEL_XGBOOST;
    for (size_t size = 0; size < strlen(text); size++) {
        mr_error err = {0};
        mr_model *model;
        mr_model_options options = {.kind = "xgboost"};
        assert_true(mr_model_open_bytes(text, size, &options, &model, &err) != MR_OK);
        assert_true(err.text[0] != '\0');
    }
}

TEST(tree_xgboost, input_names_can_be_given)
{
    static const char nameless[] =
        "{\"learner\":{\"gradient_booster\":{\"model\":{\"tree_info\":[0,0],\"trees\":" TWO_TREES
        "},\"name\":\"gbtree\"},"
        "\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_feature\":\"3\"},\"objective\":{"
        "\"name\":\"reg:squarederror\"}}}";
    static const char *const names[] = {"x", "y", "z"}, *const doubled[] = {"x", "y", "x"};
    mr_error err = {0};
    mr_model *model;
    assert_ok(open_text(nameless, &model, &err), &err);
    assert_string_equal(model->signature.input_names[2], "f2");
    mr_model_close(model);
    mr_model_options options = {.input_names = names, .input_name_count = 3};
    assert_ok(mr_model_open_bytes(nameless, strlen(nameless), &options, &model, &err), &err);
    assert_string_equal(model->signature.input_names[2], "z");
    mr_model_close(model);
    options.input_name_count = 2;
    assert_int_equal(mr_model_open_bytes(nameless, strlen(nameless), &options, &model, &err),
                     MR_INVALID);
    options = (mr_model_options){.input_names = doubled, .input_name_count = 3};
    assert_int_equal(mr_model_open_bytes(nameless, strlen(nameless), &options, &model, &err),
                     MR_INVALID);
    assert_non_null(strstr(err.text, "two inputs are called 'x'"));
}

/* ---- the given predictions ---- */

static const char *field_end(const char *at, const char *end)
{
    while (at < end && *at != ',' && *at != '\n')
        at++;
    return at;
}

static void check_predictions(const mr_model *model, const mr_bytes *text)
{
    mr_error err = {0};
    mr_scratch *scratch;
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    const char *at = (const char *)text->data, *end = at + text->size;
    size_t rows = 0;
    at = (const char *)memchr(at, '\n', text->size) + 1;
    for (; at < end; at++, rows++) {
        double values[18];
        float inputs[MR_CARDS_INPUTS], margin, probability;
        for (int i = 0; i < 18; i++) {
            const char *stop = field_end(at, end);
            assert_true(mr_number_is_float64(at, (size_t)(stop - at), &values[i]));
            at = i < 17 ? stop + 1 : stop;
        }
        for (int i = 0; i < MR_CARDS_INPUTS; i++)
            inputs[i] = (float)values[1 + i];
        (void)mr_model_score_row(model, inputs, &margin, &probability, scratch, NULL);
        char ours[64], theirs[64];
        (void)snprintf(ours, sizeof ours, "%.9g %.9g", (double)margin, (double)probability);
        (void)snprintf(theirs, sizeof theirs, "%.9g %.9g", values[16], values[17]);
        assert_string_equal(ours, theirs);
    }
    assert_int_equal(rows, 20000);
    mr_scratch_destroy(scratch);
}

TEST(tree_xgboost, cards_predictions_are_the_given_ones)
{
    mr_error err = {0};
    mr_bytes text = {0};
    assert_ok(
        mr_cards_read_zst(mr_test_data("cards/xgb_predictions_first20000.csv.zst"), &text, &err),
        &err);
    const char *path = mr_test_data("cards/xgb_model.json");
    static const char *const cpus[] = {"plain", "avx512"};
    for (size_t i = 0; i < MR_COUNT_OF(cpus); i++) {
        mr_model *model;
        mr_setting setting = {"cpu", cpus[i]};
        mr_model_options options = {.settings = &setting, .setting_count = 1};
        assert_ok(mr_model_open(mr_fs_real(), path, &options, &model, &err), &err);
        for (int f = 0; f < MR_CARDS_INPUTS; f++)
            assert_string_equal(model->signature.input_names[f], mr_cards_inputs[f]);
        check_predictions(model, &text);
        mr_model_close(model);
    }
    mr_bytes_deinit(&text);
}

/* Models and margins made by XGBoost 1.3, 1.7, 2.1 and 3.2 themselves (test/make_xgboost_versions.py): opening a folder
 * scores its golden rows and refuses a difference of one bit. */
TEST(tree_xgboost, other_versions_models_give_their_margins)
{
    mr_error err = {0};
    char **names;
    size_t count;
    assert_ok(mr_fs_list(mr_fs_real(), "test/xgboost", &names, &count, &err), &err);
    assert_true(count >= 30);
    for (size_t i = 0; i < count; i++) {
        static const char *const cpus[] = {"plain", "avx2", "avx512"};
        char path[512];
        (void)snprintf(path, sizeof path, "test/xgboost/%s", names[i]);
        for (size_t c = 0; c < MR_COUNT_OF(cpus); c++) {
            mr_model *model;
            mr_setting setting = {"cpu", cpus[c]};
            mr_model_options options = {.settings = &setting, .setting_count = 1};
            assert_ok(mr_model_open(mr_fs_real(), path, &options, &model, &err), &err);
            mr_model_close(model);
        }
    }
    mr_fs_free_names(names, count);
}

/* The same models as UBJSON, which those versions write by default or on request. */
TEST(tree_xgboost, other_versions_binary_models_give_their_margins)
{
    mr_error err = {0};
    char **names, path[512];
    size_t count, opened = 0;
    mr_bytes bytes = {0}, golden = {0};
    assert_ok(mr_fs_list(mr_fs_real(), "test/xgboost", &names, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        mr_model *model;
        (void)snprintf(path, sizeof path, "test/xgboost/%s/model.ubj", names[i]);
        if (!mr_fs_exists(mr_fs_real(), path))
            continue;
        mr_bytes_clear(&bytes);
        mr_bytes_clear(&golden);
        assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &bytes, &err), &err);
        (void)snprintf(path, sizeof path, "test/xgboost/%s/golden.csv", names[i]);
        assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &golden, &err), &err);
        assert_ok(mr_model_open_bytes(bytes.data, bytes.size, NULL, &model, &err), &err);
        assert_ok(mr_artifact_check(model, golden.data, golden.size, &err), &err);
        mr_model_close(model);
        opened++;
    }
    assert_true(opened >= 26);
    mr_bytes_deinit(&bytes);
    mr_bytes_deinit(&golden);
    mr_fs_free_names(names, count);
}

/* Every truncation of a binary model, and every 7th byte changed: refused with a place, or a model. */
TEST(tree_xgboost, broken_binary_models_are_refused)
{
    mr_error err = {0};
    mr_bytes bytes = {0};
    mr_setting plain = {"cpu", "plain"};
    mr_model_options options = {.kind = "xgboost", .settings = &plain, .setting_count = 1};
    assert_ok(mr_fs_read_file(mr_fs_real(), "test/xgboost/1.7.6-categories/model.ubj", 1u << 20,
                              &bytes, &err),
              &err);
    mr_model *model;
    for (size_t size = 2; size < bytes.size; size += size < 200 ? 1 : 13) {
        uint8_t *copy = mr_alloc(size); /* of exactly that size, so that a byte beyond is noticed */
        assert_non_null(copy);
        memcpy(copy, bytes.data, size);
        err = (mr_error){0};
        assert_true(mr_model_open_bytes(copy, size, &options, &model, &err) != MR_OK);
        assert_non_null(strstr(err.text, "XGBoost UBJSON: "));
        assert_non_null(strstr(err.text, "at byte "));
        mr_free(copy);
    }
    for (size_t at = 0; at < bytes.size; at += 7) {
        bytes.data[at] ^= 0x55;
        if (mr_model_open_bytes(bytes.data, bytes.size, &options, &model, &err) == MR_OK)
            mr_model_close(model);
        bytes.data[at] ^= 0x55;
    }
    mr_bytes_deinit(&bytes);
}
