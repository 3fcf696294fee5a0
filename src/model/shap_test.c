/* shap_test.c -- contributions against the definition, and against the library that made the model. */
#include "test/test.h"

#include "base/assert.h"
#include "base/number.h"
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

/* ---- the definition ---- */

#define TINY_FEATURES 5
#define TINY_NODES    64

/* Random trees that ask features again on one way, with shares that do not add up to one, and a share of nothing. */
typedef struct tiny {
    mr_shap_node nodes[TINY_NODES];
    uint32_t count;
} tiny;

static uint32_t grow(tiny *t, mr_random_seeded *random, int depth, double cover)
{
    uint32_t here = t->count++;
    if (depth == 0 || mr_random_below(random, 5) == 0) {
        t->nodes[here] = (mr_shap_node){
            .feature = MR_SHAP_LEAF, .value = mr_random_unit(random) - 0.5, .cover = cover};
        return here;
    }
    double left = cover * mr_random_unit(random);
    bool empty = mr_random_below(random, 8) == 0;
    mr_shap_node node = {.feature = (uint32_t)mr_random_below(random, TINY_FEATURES),
                         .value = mr_random_unit(random),
                         .cover = cover,
                         .view = (uint8_t)mr_random_below(random, 2)};
    node.left = grow(t, random, empty ? 0 : depth - 1, empty ? 0.0 : left);
    node.right = grow(t, random, depth - 1, cover - 0.9 * left);
    t->nodes[here] = node;
    return here;
}

static uint32_t tiny_root(const void *context, uint32_t tree, uint32_t *out_group)
{
    (void)context;
    *out_group = tree % 2;
    return 0;
}

static mr_shap_node tiny_node(const void *context, uint32_t number)
{
    return ((const tiny *)context)->nodes[number];
}

static void tiny_load(const void *forest, uint32_t feature, const mr_column *column, uint8_t view,
                      size_t first, size_t count, double *out)
{
    (void)forest;
    (void)feature;
    for (size_t i = 0; i < count; i++) {
        double x = ((const double *)column->values)[first + i];
        out[i] = isnan(x) && view == 0 ? -(double)INFINITY : x;
    }
}

/* The game: features in the set go where the row goes, others both ways by their share. */
static double game(const tiny *t, uint32_t at, const double *row, uint32_t set)
{
    const mr_shap_node *node = &t->nodes[at];
    if (node->feature == MR_SHAP_LEAF)
        return node->value;
    double x = row[node->feature];
    bool left = x <= node->value || (isnan(x) && node->view == 0);
    if (set >> node->feature & 1)
        return game(t, left ? node->left : node->right, row, set);
    return t->nodes[node->left].cover / node->cover * game(t, node->left, row, set) +
           t->nodes[node->right].cover / node->cover * game(t, node->right, row, set);
}

static double factorial(int n)
{
    return n < 2 ? 1.0 : n * factorial(n - 1);
}

static double shapley(const tiny *t, const double *row, uint32_t feature)
{
    double sum = 0;
    for (uint32_t set = 0; set < 1u << TINY_FEATURES; set++) {
        int size = __builtin_popcount(set);
        if (set >> feature & 1)
            continue;
        sum += factorial(size) * factorial(TINY_FEATURES - size - 1) / factorial(TINY_FEATURES) *
               (game(t, 0, row, set | 1u << feature) - game(t, 0, row, set));
    }
    return sum;
}

static void check_tiny(const tiny *t, mr_random_seeded *random, const char *cpu)
{
    enum { COUNT = 37 };
    mr_error err = {0};
    double columns[TINY_FEATURES][COUNT], base[2] = {0.25, -1};
    mr_column views[TINY_FEATURES];
    const mr_column *inputs[TINY_FEATURES];
    for (int f = 0; f < TINY_FEATURES; f++) {
        for (int r = 0; r < COUNT; r++)
            columns[f][r] = mr_random_below(random, 6) == 0 ? (double)NAN : mr_random_unit(random);
        views[f] = (mr_column){.type = {MR_FLOAT64, 0}, .values = columns[f]};
        inputs[f] = &views[f];
    }
    mr_shap_forest forest = {.forest = t,
                             .tree_count = 3,
                             .group_count = 2,
                             .feature_count = TINY_FEATURES,
                             .root = tiny_root,
                             .node = tiny_node,
                             .load = tiny_load};
    mr_shap_plan *plan;
    assert_ok(mr_shap_plan_create(&forest, cpu, &plan, &err), &err);
    uint8_t *work = mr_alloc_aligned(mr_shap_work_bytes(plan));
    double out[COUNT][2][TINY_FEATURES + 1];
    mr_shap_explain(plan, inputs, 0, COUNT, base, &out[0][0][0], work);
    for (int r = 0; r < COUNT; r++) {
        double row[TINY_FEATURES];
        for (int f = 0; f < TINY_FEATURES; f++)
            row[f] = columns[f][r];
        for (int g = 0; g < 2; g++) {
            double times = g == 0 ? 2 : 1; /* of three trees two are of group 0 */
            for (uint32_t f = 0; f < TINY_FEATURES; f++)
                assert_true(fabs(out[r][g][f] - times * shapley(t, row, f)) < 1e-12);
            assert_true(fabs(out[r][g][TINY_FEATURES] - base[g] - times * game(t, 0, row, 0)) <
                        1e-12);
        }
    }
    mr_free(work);
    mr_shap_plan_destroy(plan);
}

TEST(shap, values_are_those_of_the_definition_over_all_subsets)
{
    static const char *const cpus[] = {"plain", "avx2", "avx512"};
    mr_random_seeded random = mr_test_random(7);
    for (int i = 0; i < 120; i++) {
        tiny t = {0};
        (void)grow(&t, &random, 1 + i % 5, 1000);
        check_tiny(&t, &random, cpus[i % 3]);
    }
}

/* A chain of `depth` splits on different features, each with a leaf on its left. */
static uint32_t chain_root(const void *context, uint32_t tree, uint32_t *out_group)
{
    (void)context;
    (void)tree;
    *out_group = 0;
    return 0;
}

static mr_shap_node chain_node(const void *context, uint32_t number)
{
    uint32_t depth = *(const uint32_t *)context, level = number / 2;
    if (number % 2 == 1 || level == depth)
        return (mr_shap_node){
            .feature = MR_SHAP_LEAF, .value = number * 0.01, .cover = 1 + 2.0 * depth - number};
    return (mr_shap_node){.feature = level,
                          .value = 0.5,
                          .cover = 1 + 2.0 * depth - number,
                          .left = number + 1,
                          .right = number + 2};
}

static mr_status explain_chain(uint32_t depth, double x, double *out_sum, mr_error *err)
{
    double value = x, base = 0, out[MR_SHAP_DEPTH_MAX + 2];
    mr_column column = {.type = {MR_FLOAT64, 0}, .values = &value};
    const mr_column *inputs[MR_SHAP_DEPTH_MAX + 1];
    for (uint32_t i = 0; i <= MR_SHAP_DEPTH_MAX; i++)
        inputs[i] = &column;
    mr_shap_forest forest = {.forest = &depth,
                             .tree_count = 1,
                             .group_count = 1,
                             .feature_count = depth,
                             .root = chain_root,
                             .node = chain_node,
                             .load = tiny_load};
    mr_shap_plan *plan;
    MR_TRY(mr_shap_plan_create(&forest, "auto", &plan, err));
    uint8_t *work = mr_alloc_aligned(mr_shap_work_bytes(plan));
    mr_shap_explain(plan, inputs, 0, 1, &base, out, work);
    *out_sum = 0;
    for (uint32_t i = 0; i <= depth; i++)
        *out_sum += out[i];
    mr_free(work);
    mr_shap_plan_destroy(plan);
    return MR_OK;
}

TEST(shap, deep_ways_are_exact_up_to_the_limit_and_refused_beyond)
{
    static const uint32_t depths[] = {1, 2, 31, 64, 200, MR_SHAP_DEPTH_MAX};
    mr_error err = {0};
    double sum;
    for (size_t i = 0; i < MR_COUNT_OF(depths); i++) {
        assert_ok(explain_chain(depths[i], 1.0, &sum, &err), &err);
        assert_true(fabs(sum - 2.0 * depths[i] * 0.01) < 1e-11);
        assert_ok(explain_chain(depths[i], 0.0, &sum, &err), &err);
        assert_true(fabs(sum - 0.01) < 1e-11);
    }
    assert_int_equal(explain_chain(MR_SHAP_DEPTH_MAX + 1, 1.0, &sum, &err), MR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "deeper than 256"));
}

/* ---- files ---- */

#define TREE_WITH(covers)                                                                          \
    "{\"tree_param\":{\"num_nodes\":\"3\"},\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-" \
    "1],\"split_indices\":[0,0,0],\"split_conditions\":[0.5,-1,1],\"default_left\":[1,0,0]" covers \
    "}"
#define FILE_WITH(covers)                                                                          \
    MR_TEST_MODEL_OF("gbtree", "[" TREE_WITH(covers) "," TREE_WITH(covers) "]", "[0,0]", "",       \
                     "5E-1", "reg:squarederror", "3")

static mr_status explain_file(const char *json, double *out, mr_error *err)
{
    float rows[ROWS * 3] = {0};
    subject s;
    subject_init(&s, json, strlen(json), "auto", rows);
    mr_status status = explain(&s, 0, 1, s.out, err);
    memcpy(out, s.out, sizeof *out * 4);
    subject_deinit(&s);
    return status;
}

TEST(shap, covers_that_cannot_be_are_refused_and_scores_still_given)
{
    mr_error err = {0};
    double out[4];
    assert_ok(explain_file(FILE_WITH(",\"sum_hessian\":[4,1,3]"), out, &err), &err);
    assert_true(out[0] == -3 && out[1] == 0 && out[2] == 0 && out[3] == 0.5 + 1);
    assert_ok(explain_file(FILE_WITH(",\"sum_hessian\":[4,0,4]"), out, &err), &err);
    assert_true(out[0] == -4 && out[3] == 0.5 + 2);
    static const struct {
        const char *json, *says;
    } wrong[] = {
        {FILE_WITH(""), "sum_hessian"},
        {FILE_WITH(",\"sum_hessian\":[0,0,0]"), "tree 0, node 0: its cover is 0"},
        {FILE_WITH(",\"sum_hessian\":[4,-1,5]"), "node 1: its cover is -1"},
        {FILE_WITH(",\"sum_hessian\":[4,1,NaN]"), "nan"},
        {FILE_WITH(",\"sum_hessian\":[Infinity,1,1]"), "inf"},
        {FILE_WITH(",\"sum_hessian\":[4,5,1]"), "cover is 5, more than the 4"},
    };
    for (size_t i = 0; i < MR_COUNT_OF(wrong); i++) {
        assert_int_equal(explain_file(wrong[i].json, out, &err), MR_UNSUPPORTED);
        if (strstr(err.text, wrong[i].says) == NULL)
            fail_msg("'%s' does not say '%s'", err.text, wrong[i].says);
    }
    mr_model *model;
    const char *text = FILE_WITH(",\"sum_hessian\":[4,1]");
    assert_int_equal(mr_model_open_bytes(text, strlen(text), NULL, &model, &err), MR_INVALID);
    assert_non_null(strstr(err.text, "sum_hessian has 2"));
}

TEST(shap, no_memory_is_a_clean_error_at_every_allocation)
{
    mr_error err = {0};
    const char *json = FILE_WITH(",\"sum_hessian\":[4,1,3]");
    float rows[ROWS * 3] = {0};
    mr_status status = MR_NO_MEMORY;
    int64_t n = 0;
    for (; status != MR_OK; n++) {
        subject s;
        subject_init(&s, json, strlen(json), "auto", rows);
        (void)mr_memory_fail_after(n, false);
        status = explain(&s, 0, 1, s.out, &err);
        (void)mr_memory_fail_after(-1, false);
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
        if (status != MR_OK) /* and the next try is none the worse for it */
            assert_ok(explain(&s, 0, 1, s.out, &err), &err);
        assert_true(s.out[0] == -3);
        subject_deinit(&s);
    }
    assert_true(n > 10);
}

/* ---- threads ---- */

static void explain_together(void *context, int worker)
{
    const subject *s = &((const subject *)context)[worker];
    mr_error err = {0};
    for (size_t r = 0; r < ROWS; r += 50)
        assert_ok(explain(s, r, 50, s->out + r * s->row_values, &err), &err);
}

TEST(shap, threads_share_the_first_plan)
{
    enum { WORKERS = 4 };
    mr_error err = {0};
    const char *json = FILE_WITH(",\"sum_hessian\":[4,1,3]");
    float rows[ROWS * 3];
    for (size_t i = 0; i < MR_COUNT_OF(rows); i++)
        rows[i] = (float)(i % 2);
    subject subjects[WORKERS];
    subject_init(&subjects[0], json, strlen(json), "auto", rows);
    for (int w = 1; w < WORKERS; w++) {
        subjects[w] = subjects[0];
        subjects[w].out = mr_alloc(sizeof(double) * ROWS * subjects[0].row_values);
        assert_ok(mr_scratch_create(subjects[0].model, &subjects[w].scratch, &err), &err);
    }
    mr_pool *pool;
    assert_ok(mr_pool_create(WORKERS, &pool, &err), &err);
    mr_pool_run(pool, explain_together, subjects);
    mr_pool_destroy(pool);
    for (int w = 1; w < WORKERS; w++) {
        assert_memory_equal(subjects[w].out, subjects[0].out,
                            sizeof(double) * ROWS * subjects[0].row_values);
        mr_scratch_destroy(subjects[w].scratch);
        mr_free(subjects[w].out);
    }
    subject_deinit(&subjects[0]);
}

/* ---- versions ---- */

/* Numbers separated by commas and line ends, NaN where there is none. */
static size_t read_numbers(const char *folder, const char *name, float *out, size_t room)
{
    char path[512];
    mr_error err = {0};
    mr_bytes text = {0};
    size_t count = 0;
    (void)snprintf(path, sizeof path, "test/xgboost/%s/%s", folder, name);
    if (!mr_fs_exists(mr_fs_real(), path))
        return 0;
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &text, &err), &err);
    for (const char *at = mr_bytes_text(&text); *at != '\0' && count < room; at++) {
        size_t used = 0;
        out[count] = NAN;
        (void)mr_number_parse_float32(at, strlen(at), &out[count], &used);
        at += used;
        count++;
    }
    mr_bytes_deinit(&text);
    return count;
}

/* Files of XGBoost 1.7 to 3.2 with the contributions that very version gave (test/make_xgboost_versions.py). */
TEST(shap, contributions_are_those_of_the_version_that_wrote_the_file)
{
    enum { GOLDEN = 24, FEATURES = 5 };
    static float theirs[ROWS * 64], golden[ROWS * 64];
    mr_error err = {0};
    char **names;
    size_t count, compared = 0;
    assert_ok(mr_fs_list(mr_fs_real(), "test/xgboost", &names, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        size_t numbers = read_numbers(names[i], "contributions.csv", theirs, MR_COUNT_OF(theirs));
        if (numbers == 0)
            continue;
        size_t all = read_numbers(names[i], "golden.csv", golden, MR_COUNT_OF(golden));
        float rows[ROWS * FEATURES] = {0};
        for (size_t r = 0; r < GOLDEN; r++)
            for (size_t f = 0; f < FEATURES; f++)
                rows[r * FEATURES + f] = golden[r * (all / GOLDEN) + f];
        char path[512];
        mr_bytes json = {0};
        subject s;
        (void)snprintf(path, sizeof path, "test/xgboost/%s/model.json", names[i]);
        assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &json, &err), &err);
        subject_init(&s, json.data, json.size, "auto", rows);
        assert_ok(explain(&s, 0, GOLDEN, s.out, &err), &err);
        assert_int_equal(numbers, GOLDEN * s.row_values);
        for (size_t k = 0; k < numbers; k++)
            if (!(fabs(s.out[k] - (double)theirs[k]) <= 1e-5 * fmax(1.0, fabs((double)theirs[k]))))
                fail_msg("%s: value %zu: ours %.9g, theirs %.9g", names[i], k, s.out[k],
                         (double)theirs[k]);
        compared += numbers;
        mr_bytes_deinit(&json);
        subject_deinit(&s);
    }
    assert_true(compared > 3000);
    mr_fs_free_names(names, count);
}
