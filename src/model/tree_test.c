/* tree_test.c -- trees against the library that made them: every margin and score must have its bits. */
#include "test/test.h"

#include "base/assert.h"
#include "model/model_internal.h"
#include "model/tree_kernel.h"
#include "model/tree_model.h"
#include "test/xgboost_oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 2500

static const struct {
    const char *batch, *row, *cpu;
} ways[] = {
    {"walk", "walk", "plain"},
    {"masks-avx2", "walk", "avx2"},
    {"masks-avx512", "ranks", "avx512"},
    {"masks-avx512", "walk", "avx512"},
    {"walk", "lanes-avx512", "avx512"},
    {"walk", "lanes-avx2", "avx2"},
    {"walk", "answers", "plain"},
    {"auto", "auto", "plain"},
    {"auto", "auto", "auto"},
};

typedef struct sample {
    mr_oracle_recipe recipe;
    float *rows;    /* by row */
    float *columns; /* by column */
    mr_column *views;
} sample;

/* Data like those it was trained on, then thresholds hit exactly, zeros of both signs, and infinities. */
static void sample_make(sample *s, const mr_oracle_recipe *recipe, const mr_forest *forest,
                        mr_random_seeded *random, bool infinities)
{
    uint32_t features = recipe->features;
    *s = (sample){.recipe = *recipe,
                  .rows = mr_alloc(sizeof(float) * ROWS * features),
                  .columns = mr_alloc(sizeof(float) * ROWS * features),
                  .views = mr_alloc_zero(features, sizeof(mr_column))};
    assert_non_null(s->rows);
    assert_non_null(s->columns);
    mr_oracle_fill(recipe, random, s->rows, ROWS);
    static const float odd[] = {0.0f,   -0.0f,  INFINITY,    -INFINITY, 1e30f, -1e30f,
                                255.0f, 254.0f, 16777216.0f, -1.0f,     3.7f};
    for (size_t i = 0; i < (size_t)ROWS * features / 4; i++) {
        const mr_tree_node *node = &forest->nodes[mr_random_below(random, forest->node_count)];
        size_t row = mr_random_below(random, ROWS);
        if (node->feature != MR_TREE_LEAF && node->set == 0)
            s->rows[row * features + node->feature] = node->value;
        float x = odd[mr_random_below(random, MR_COUNT_OF(odd))];
        if (i % 16 == 0 && (infinities || isfinite(x)))
            s->rows[row * features + mr_random_below(random, features)] = x;
    }
    for (size_t r = 0; r < ROWS; r++)
        for (uint32_t f = 0; f < features; f++)
            s->columns[f * (size_t)ROWS + r] = s->rows[r * features + f];
    for (uint32_t f = 0; f < features; f++)
        s->views[f] = (mr_column){.type = {MR_FLOAT32, 0}, .values = s->columns + f * (size_t)ROWS};
}

static void sample_free(sample *s)
{
    mr_free(s->rows);
    mr_free(s->columns);
    mr_free(s->views);
}

static mr_schema *float_schema(const mr_model *model)
{
    mr_error err = {0};
    uint32_t count = model->signature.input_count;
    mr_field *fields = mr_alloc_zero(count, sizeof *fields);
    for (uint32_t i = 0; i < count; i++)
        fields[i] = (mr_field){
            .name = model->signature.input_names[i], .type = {MR_FLOAT32, 0}, .nullable = true};
    mr_schema *schema;
    assert_ok(mr_schema_create(fields, count, &schema, &err), &err);
    mr_free(fields);
    return schema;
}

static void assert_bits(const float *ours, const float *theirs, size_t row, uint32_t k,
                        const char *what, const mr_model *model)
{
    if (memcmp(ours, theirs, sizeof *ours) != 0)
        fail_msg("%s of row %zu, output %u: ours %.9g, the library's %.9g (%s)", what, row, k,
                 (double)*ours, (double)*theirs, model->signature.description);
}

/* theirs: row by row; ours: output by output. */
static void compare(const mr_model *model, const float *ours, const float *theirs, uint32_t outputs,
                    size_t first, size_t count, const char *what)
{
    for (size_t r = 0; r < count; r++)
        for (uint32_t k = 0; k < outputs; k++)
            assert_bits(&ours[k * (size_t)ROWS + r], &theirs[(first + r) * outputs + k], first + r,
                        k, what, model);
}

static void compare_batches(const mr_model *model, const sample *s, const float *margins,
                            const float *scores)
{
    mr_error err = {0};
    mr_schema *schema = float_schema(model);
    mr_binding *binding;
    mr_scratch *scratch;
    assert_ok(mr_model_bind(model, schema, &binding, &err), &err);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    uint32_t groups = model->signature.margin_count, outputs = model->signature.output_count;
    float *ours = mr_alloc(sizeof(float) * ROWS * (groups + outputs));
    static const size_t cuts[][2] = {{0, ROWS},  {3, 1},        {17, 600},
                                     {511, 514}, {ROWS - 7, 7}, {5, 0}};
    for (size_t c = 0; c < MR_COUNT_OF(cuts); c++) {
        mr_model_out out = {
            .margins = ours, .scores = ours + (size_t)ROWS * groups, .stride = ROWS};
        assert_ok(
            mr_model_score(model, binding, s->views, cuts[c][0], cuts[c][1], &out, scratch, &err),
            &err);
        compare(model, out.margins, margins, groups, cuts[c][0], cuts[c][1], "margin");
        compare(model, out.scores, scores, outputs, cuts[c][0], cuts[c][1], "score");
    }
    mr_free(ours);
    mr_scratch_destroy(scratch);
    mr_binding_destroy(binding);
    mr_schema_release(schema);
}

static void compare_rows(const mr_model *model, const sample *s, const float *margins,
                         const float *scores)
{
    mr_error err = {0};
    mr_scratch *scratch;
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    uint32_t groups = model->signature.margin_count, outputs = model->signature.output_count;
    float ours[64], ours_scores[64];
    for (size_t r = 0; r < ROWS; r++) {
        (void)mr_model_score_row(model, s->rows + r * s->recipe.features, ours, ours_scores,
                                 scratch, NULL);
        for (uint32_t k = 0; k < groups; k++)
            assert_bits(&ours[k], &margins[r * groups + k], r, k, "margin of one row", model);
        for (uint32_t k = 0; k < outputs; k++)
            assert_bits(&ours_scores[k], &scores[r * outputs + k], r, k, "score of one row", model);
    }
    mr_scratch_destroy(scratch);
}

static float *copy_floats(const float *from, size_t count)
{
    float *to = mr_alloc(sizeof *to * count);
    assert_non_null(to);
    memcpy(to, from, sizeof *to * count);
    return to;
}

static mr_status open_way(const mr_bytes *json, size_t way, mr_model **out, mr_error *err)
{
    mr_setting settings[] = {
        {"batch_kernel", ways[way].batch}, {"row_kernel", ways[way].row}, {"cpu", ways[way].cpu}};
    mr_model_options options = {.settings = settings, .setting_count = MR_COUNT_OF(settings)};
    return mr_model_open_bytes(json->data, json->size, &options, out, err);
}

/* Every way of computing, on one model and one sample. A way that does not suit this machine or this forest
 * is passed over; auto and walk always suit. Returns how many ways ran. */
static size_t compare_all_ways(mr_oracle *oracle, const mr_oracle_recipe *recipe,
                               const mr_bytes *json, mr_random_seeded *random, bool dart)
{
    mr_error err = {0};
    mr_model *model;
    assert_ok(mr_model_open_bytes(json->data, json->size, NULL, &model, &err), &err);
    sample s;
    sample_make(&s, recipe, mr_tree_model_forest(model), random, !dart);
    uint32_t groups = model->signature.margin_count, outputs = model->signature.output_count;
    mr_model_close(model);
    const float *lent;
    assert_ok(mr_oracle_predict(oracle, s.rows, ROWS, true, !dart, &lent, &err), &err);
    float *margins = copy_floats(lent, (size_t)ROWS * groups);
    assert_ok(mr_oracle_predict(oracle, s.rows, ROWS, false, !dart, &lent, &err), &err);
    float *scores = copy_floats(lent, (size_t)ROWS * outputs);
    size_t ran = 0;
    for (size_t w = 0; w < MR_COUNT_OF(ways); w++) {
        mr_status status = open_way(json, w, &model, &err);
        if (status == MR_UNSUPPORTED && strcmp(ways[w].row, "auto") != 0 && w > 0)
            continue;
        assert_ok(status, &err);
        compare_batches(model, &s, margins, scores);
        compare_rows(model, &s, margins, scores);
        mr_model_close(model);
        ran++;
    }
    mr_free(margins);
    mr_free(scores);
    sample_free(&s);
    return ran;
}

/* UBJSON and JSON of one model are one forest, to the bit. */
static void compare_formats(mr_oracle *oracle, const mr_bytes *json)
{
    mr_error err = {0};
    mr_bytes binary = {0};
    mr_model *models[2];
    mr_setting plain = {"cpu", "plain"};
    mr_model_options options = {.settings = &plain, .setting_count = 1};
    assert_ok(mr_oracle_save_binary(oracle, &binary, &err), &err);
    assert_ok(mr_model_open_bytes(json->data, json->size, &options, &models[0], &err), &err);
    assert_ok(mr_model_open_bytes(binary.data, binary.size, &options, &models[1], &err), &err);
    const mr_forest *a = mr_tree_model_forest(models[0]), *b = mr_tree_model_forest(models[1]);
    assert_int_equal(a->node_count, b->node_count);
    assert_int_equal(a->tree_count, b->tree_count);
    assert_int_equal(a->feature_count, b->feature_count);
    assert_int_equal(a->group_count, b->group_count);
    assert_int_equal(a->set_count, b->set_count);
    assert_memory_equal(a->nodes, b->nodes, sizeof *a->nodes * a->node_count);
    assert_memory_equal(a->groups, b->groups, sizeof *a->groups * a->tree_count);
    assert_memory_equal(a->base, b->base, sizeof *a->base * a->group_count);
    assert_memory_equal(a->sets, b->sets, sizeof *a->sets * a->set_count);
    for (uint32_t i = 0; i < a->set_count; i++)
        assert_memory_equal(a->set_words + a->sets[i].first_word,
                            b->set_words + b->sets[i].first_word,
                            sizeof *a->set_words * a->sets[i].word_count);
    assert_string_equal(models[0]->signature.objective, models[1]->signature.objective);
    mr_model_close(models[0]);
    mr_model_close(models[1]);
    mr_bytes_deinit(&binary);
}

static size_t check_recipe(const mr_oracle_recipe *recipe, uint64_t seed, bool dart)
{
    mr_error err = {0};
    mr_oracle oracle;
    mr_bytes json = {0};
    mr_random_seeded random = mr_test_random(seed);
    mr_status status = mr_oracle_train(recipe, mr_random_next(&random), &oracle, &err);
    if (status == MR_NOT_FOUND)
        skip();
    assert_ok(status, &err);
    assert_ok(mr_oracle_save(&oracle, &json, &err), &err);
    compare_formats(&oracle, &json);
    size_t ran = compare_all_ways(&oracle, recipe, &json, &random, dart);
    mr_bytes_deinit(&json);
    mr_oracle_close(&oracle);
    return ran;
}

static bool has_all_instructions(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("gfni");
#else
    return false;
#endif
}

#define PARAMETERS(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(tree, margins_and_probabilities_are_the_librarys_for_any_depth)
{
    static const char *const depths[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "11"};
    for (size_t d = 0; d < MR_COUNT_OF(depths); d++) {
        size_t ran = check_recipe(
            &(mr_oracle_recipe){
                .rows = 1200,
                .features = 9,
                .rounds = 21,
                .groups = 1,
                .missing = d % 2 == 0 ? 0.1 : 0.0,
                .discrete = 0.3,
                .parameters = PARAMETERS("objective", "binary:logistic", "max_depth", depths[d])},
            d, false);
        /* Up to depth 8 no kernel may excuse itself. */
        assert_true(ran == MR_COUNT_OF(ways) || strtol(depths[d], NULL, 10) > 8 ||
                    !has_all_instructions());
    }
}

TEST(tree, objectives_are_the_librarys)
{
    static const char *const objectives[] = {
        "reg:squarederror",     "reg:logistic",  "binary:logitraw", "binary:hinge",
        "count:poisson",        "reg:gamma",     "reg:tweedie",     "reg:squaredlogerror",
        "reg:pseudohubererror", "rank:pairwise", "survival:cox",    "reg:absoluteerror"};
    for (size_t i = 0; i < MR_COUNT_OF(objectives); i++)
        (void)check_recipe(
            &(mr_oracle_recipe){.rows = 700,
                                .features = 6,
                                .rounds = 11,
                                .groups = 1,
                                .missing = 0.05,
                                .discrete = 0.2,
                                .parameters = PARAMETERS("objective", objectives[i], "max_depth",
                                                         "5", "base_score", "0.37")},
            100 + i, false);
}

TEST(tree, multiclass_is_the_librarys)
{
    (void)check_recipe(&(mr_oracle_recipe){.rows = 900,
                                           .features = 7,
                                           .rounds = 9,
                                           .groups = 5,
                                           .missing = 0.1,
                                           .parameters = PARAMETERS("objective", "multi:softprob",
                                                                    "max_depth", "5")},
                       200, false);
    (void)check_recipe(&(mr_oracle_recipe){.rows = 900,
                                           .features = 7,
                                           .rounds = 6,
                                           .groups = 3,
                                           .parameters = PARAMETERS("objective", "multi:softmax",
                                                                    "max_depth", "8")},
                       201, false);
}

TEST(tree, forests_are_the_librarys)
{
    (void)check_recipe(
        &(mr_oracle_recipe){.rows = 900,
                            .features = 7,
                            .rounds = 3,
                            .groups = 1,
                            .parameters = PARAMETERS("objective", "binary:logistic",
                                                     "num_parallel_tree", "7", "subsample", "0.7",
                                                     "colsample_bynode", "0.6", "max_depth", "6")},
        300, false);
}

TEST(tree, dart_is_the_librarys)
{
    (void)check_recipe(&(mr_oracle_recipe){.rows = 900,
                                           .features = 7,
                                           .rounds = 12,
                                           .groups = 1,
                                           .missing = 0.1,
                                           .parameters = PARAMETERS(
                                               "booster", "dart", "rate_drop", "0.4", "objective",
                                               "binary:logistic", "max_depth", "5")},
                       400, true);
}

TEST(tree, categorical_splits_are_the_librarys)
{
    static const uint32_t categories[] = {3, 12, 70, 250, 300};
    for (size_t i = 0; i < MR_COUNT_OF(categories); i++)
        (void)check_recipe(&(mr_oracle_recipe){.rows = 1500,
                                               .features = 8,
                                               .rounds = 10,
                                               .groups = 1,
                                               .missing = 0.1,
                                               .categories = categories[i],
                                               .parameters = PARAMETERS(
                                                   "objective", "binary:logistic", "tree_method",
                                                   "hist", "max_depth", "6", "max_cat_to_onehot",
                                                   i % 2 == 0 ? "4" : "1000")},
                           500 + i, false);
}

TEST(tree, many_thresholds_and_many_features_are_the_librarys)
{
    (void)check_recipe(
        &(mr_oracle_recipe){.rows = 20000,
                            .features = 3,
                            .rounds = 40,
                            .groups = 1,
                            .missing = 0.05,
                            .parameters = PARAMETERS("objective", "binary:logistic", "tree_method",
                                                     "exact", "max_depth", "8")},
        600, false);
    (void)check_recipe(&(mr_oracle_recipe){.rows = 1500,
                                           .features = 150,
                                           .rounds = 20,
                                           .groups = 1,
                                           .missing = 0.05,
                                           .parameters = PARAMETERS("objective", "binary:logistic",
                                                                    "max_depth", "6")},
                       601, false);
    /* More than 32 and more than 64 pairs of feature and side of NaN: ranks in several registers, with and without
     * levels 7 and 8. */
    static const char *const depths[] = {"6", "8"};
    static const uint32_t features[] = {24, 45};
    for (size_t i = 0; i < 4; i++)
        (void)check_recipe(
            &(mr_oracle_recipe){.rows = 3000,
                                .features = features[i / 2],
                                .rounds = 70,
                                .groups = 1,
                                .missing = 0.1,
                                .parameters = PARAMETERS("objective", "binary:logistic",
                                                         "max_depth", depths[i % 2])},
            602 + i, false);
}

/* The stated bound of sum=fast: trees x 2^-23 x the sum of the leaves' magnitudes. */
TEST(tree, fast_sums_stay_within_their_bound)
{
    mr_error err = {0};
    mr_oracle oracle;
    mr_bytes json = {0};
    static const char *const parameters[] = {"objective", "binary:logistic", "max_depth", "5",
                                             NULL};
    mr_oracle_recipe recipe = {
        .rows = 1000, .features = 5, .rounds = 60, .groups = 1, .parameters = parameters};
    mr_status status = mr_oracle_train(&recipe, 5, &oracle, &err);
    if (status == MR_NOT_FOUND)
        skip();
    assert_ok(status, &err);
    assert_ok(mr_oracle_save(&oracle, &json, &err), &err);
    mr_random_seeded random = mr_test_random(9);
    float rows[200 * 5], margins[2][200];
    mr_oracle_fill(&recipe, &random, rows, 200);
    double magnitude = 0;
    for (int fast = 0; fast < 2; fast++) {
        mr_setting settings[] = {{"sum", fast ? "fast" : "exact"}, {"row_kernel", "walk"}};
        mr_model_options options = {.settings = settings, .setting_count = 2};
        mr_model *model;
        mr_scratch *scratch;
        assert_ok(mr_model_open_bytes(json.data, json.size, &options, &model, &err), &err);
        assert_ok(mr_scratch_create(model, &scratch, &err), &err);
        for (int r = 0; r < 200; r++)
            (void)mr_model_score_row(model, rows + r * 5, &margins[fast][r], NULL, scratch, NULL);
        const mr_forest *forest = mr_tree_model_forest(model);
        for (uint32_t t = 0; !fast && t < forest->tree_count; t++) {
            float largest = 0;
            for (uint32_t i = forest->firsts[t]; i < forest->firsts[t + 1]; i++)
                if (forest->nodes[i].feature == MR_TREE_LEAF)
                    largest = fmaxf(largest, fabsf(forest->nodes[i].value));
            magnitude += (double)largest;
        }
        mr_scratch_destroy(scratch);
        mr_model_close(model);
    }
    size_t different = 0;
    for (int r = 0; r < 200; r++) {
        assert_true(fabs((double)margins[0][r] - (double)margins[1][r]) <=
                    60 * ldexp(1, -23) * magnitude);
        different += margins[0][r] != margins[1][r];
    }
    assert_true(different > 0); /* else the mode does nothing */
    mr_bytes_deinit(&json);
    mr_oracle_close(&oracle);
}
