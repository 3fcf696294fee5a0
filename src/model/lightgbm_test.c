/* lightgbm_test.c -- LightGBM's files: every mode as the library scores it, random models against a slow evaluator, and
 * every way a file can be wrong. */
#include "test/test.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/forest64_run.h"
#include "model/model.h"
#include "os/fs.h"
#include "test/models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the library computes ---- */

#define CELLS_MAX 64

static size_t split_cells(char *line, char **cells)
{
    size_t count = 0;
    for (char *cell = line; cell != NULL && count < CELLS_MAX; count++) {
        cells[count] = cell;
        cell = strchr(cell, ',');
        if (cell != NULL)
            *cell++ = '\0';
    }
    return count;
}

static double number_of(const char *cell)
{
    return cell[0] == '\0' ? NAN : strtod(cell, NULL);
}

static mr_schema *schema_of(const mr_model *model)
{
    mr_error err = {0};
    mr_field fields[CELLS_MAX];
    for (uint32_t i = 0; i < model->signature.input_count; i++)
        fields[i] = (mr_field){.name = model->signature.input_names[i],
                               .type = {model->signature.input_types[i], 0},
                               .nullable = true};
    mr_schema *schema;
    assert_ok(mr_schema_create(fields, model->signature.input_count, &schema, &err), &err);
    return schema;
}

typedef struct golden {
    mr_batch *batch;
    size_t rows;
    double results[128][CELLS_MAX]; /* raw scores, then scores */
} golden;

static void add_row(mr_builder *builder, const mr_model *model, char **cells)
{
    for (uint32_t i = 0; i < model->signature.input_count; i++) {
        if (model->signature.input_types[i] == MR_FLOAT64)
            mr_builder_float64(&builder->columns[i], number_of(cells[i]));
        else if (strcmp(cells[i], "NULL") == 0)
            mr_builder_null(&builder->columns[i]);
        else
            mr_builder_text(&builder->columns[i], cells[i], strlen(cells[i]));
    }
}

static void read_golden(const char *path, const mr_model *model, golden *out)
{
    mr_error err = {0};
    mr_bytes text = {0};
    mr_builder builder;
    char *cells[CELLS_MAX];
    uint32_t inputs = model->signature.input_count;
    size_t results = model->signature.margin_count + model->signature.output_count;
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &text, &err), &err);
    mr_schema *schema = schema_of(model);
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    mr_bytes_append_byte(&text, 0);
    char *line = strchr((char *)text.data, '\n') + 1; /* behind the head */
    for (out->rows = 0; *line != '\0' && out->rows < 128; out->rows++) {
        char *end = strchr(line, '\n');
        *end = '\0';
        assert_int_equal(split_cells(line, cells), inputs + results);
        add_row(&builder, model, cells);
        for (size_t k = 0; k < results; k++)
            out->results[out->rows][k] = number_of(cells[inputs + k]);
        line = end + 1;
    }
    assert_ok(mr_builder_finish(&builder, &out->batch, &err), &err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    mr_bytes_deinit(&text);
}

/* Neighbours at most: the last digit of exp is the C library's affair. */
static bool nearly(double a, double b)
{
    return a == b || (isnan(a) && isnan(b)) || nextafter(a, b) == b ||
           fabs(a - b) <= 4 * 0x1p-53 * fabs(b);
}

typedef struct folder {
    mr_model *model;
    mr_scratch *scratch;
    mr_binding *binding;
    golden *rows;
} folder;

static void open_folder(const char *name, const char *kernel, const char *cpu, folder *out)
{
    static golden rows;
    mr_error err = {0};
    mr_bytes text = {0};
    char path[256];
    mr_setting settings[] = {{"batch_kernel", kernel}, {"cpu", cpu}};
    mr_model_options options = {.settings = settings, .setting_count = 2};
    (void)snprintf(path, sizeof path, "test/lightgbm/%s/model.txt", name);
    assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &text, &err), &err);
    assert_ok(mr_model_open_bytes(text.data, text.size, &options, &out->model, &err), &err);
    mr_bytes_deinit(&text);
    (void)snprintf(path, sizeof path, "test/lightgbm/%s/rows.csv", name);
    read_golden(path, out->model, &rows);
    out->rows = &rows;
    assert_true(rows.rows > 20);
    assert_ok(mr_model_bind(out->model, rows.batch->schema, &out->binding, &err), &err);
    assert_ok(mr_scratch_create(out->model, &out->scratch, &err), &err);
}

static void close_folder(folder *f)
{
    mr_scratch_destroy(f->scratch);
    mr_binding_destroy(f->binding);
    mr_batch_release(f->rows->batch);
    mr_model_close(f->model);
}

static void check_folder(const char *name, const char *kernel, const char *cpu)
{
    static double results[128 * CELLS_MAX];
    mr_error err = {0};
    folder f;
    open_folder(name, kernel, cpu, &f);
    const golden *g = f.rows;
    uint32_t m = f.model->signature.margin_count, k = f.model->signature.output_count;
    mr_model_out out = {results, results + g->rows * m, NULL, g->rows};
    assert_ok(
        mr_model_score(f.model, f.binding, g->batch->columns, 0, g->rows, &out, f.scratch, &err),
        &err);
    for (size_t r = 0; r < g->rows; r++)
        for (uint32_t i = 0; i < m + k; i++) {
            double got = results[i * g->rows + r], wanted = g->results[r][i];
            bool same =
                i < m ? got == wanted || (isnan(got) && isnan(wanted)) : nearly(got, wanted);
            if (!same)
                fail_msg("%s, %s, row %zu, result %u: %.17g, the library gives %.17g", name, kernel,
                         r, i, got, wanted);
        }
    close_folder(&f);
}

TEST(lightgbm, scores_are_the_librarys)
{
    mr_error err = {0};
    char **names;
    size_t count;
    assert_ok(mr_fs_list(mr_fs_real(), "test/lightgbm", &names, &count, &err), &err);
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        check_folder(names[i], "auto", "auto");
        check_folder(names[i], "walk", "plain");
        check_folder(names[i], "masks", "avx2");
        check_folder(names[i], "masks", "avx512");
    }
    mr_fs_free_names(names, count);
}

/* The library's own contributions, to nine digits; ours add up to the raw score. */
static void check_shares(const char *name, const mr_bytes *text)
{
    static double shares[128 * CELLS_MAX];
    mr_error err = {0};
    folder f;
    open_folder(name, "auto", "auto", &f);
    uint32_t m = f.model->signature.margin_count, n = f.model->signature.input_count + 1;
    const char *at = (const char *)text->data;
    assert_ok(mr_model_explain(f.model, f.binding, f.rows->batch->columns, 0, f.rows->rows, shares,
                               f.scratch, &err),
              &err);
    for (size_t r = 0; r < f.rows->rows; r++)
        for (uint32_t k = 0; k < m; k++) {
            double sum = 0.0;
            for (uint32_t i = 0; i < n; i++) {
                char *end;
                double got = shares[(r * m + k) * n + i], wanted = strtod(at, &end);
                if (fabs(got - wanted) > 1e-9)
                    fail_msg("%s, row %zu, margin %u, input %u: %.12g, the library gives %.12g",
                             name, r, k, i, got, wanted);
                sum += got;
                at = end + 1;
            }
            assert_true(fabs(sum - f.rows->results[r][k]) < 1e-9);
        }
    close_folder(&f);
}

TEST(lightgbm, contributions_are_the_librarys)
{
    mr_error err = {0};
    char **names, path[256];
    size_t count, explained = 0;
    assert_ok(mr_fs_list(mr_fs_real(), "test/lightgbm", &names, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        mr_bytes text = {0};
        (void)snprintf(path, sizeof path, "test/lightgbm/%s/shares.csv", names[i]);
        if (!mr_fs_exists(mr_fs_real(), path))
            continue;
        assert_ok(mr_fs_read_file(mr_fs_real(), path, 1u << 20, &text, &err), &err);
        mr_bytes_append_byte(&text, 0);
        check_shares(names[i], &text);
        mr_bytes_deinit(&text);
        explained++;
    }
    assert_true(explained >= 10);
    mr_fs_free_names(names, count);
}

TEST(lightgbm, linear_leaves_have_no_contributions)
{
    mr_error err = {0};
    folder f;
    double shares[CELLS_MAX];
    open_folder("4.7.0-linear", "auto", "auto", &f);
    assert_int_equal(
        mr_model_explain(f.model, f.binding, f.rows->batch->columns, 0, 1, shares, f.scratch, &err),
        MR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "the leaves are linear"));
    close_folder(&f);
}

/* ---- what it says of itself ---- */

TEST(lightgbm, says_what_it_is)
{
    mr_error err = {0};
    mr_model *model;
    const char *text = MR_TEST_MODEL_LIGHTGBM;
    assert_ok(mr_model_open_bytes(text, strlen(text), NULL, &model, &err), &err);
    const mr_model_signature *s = &model->signature;
    assert_string_equal(model->kind->name, "lightgbm");
    assert_string_equal(s->objective, "binary");
    assert_int_equal(s->input_count, 3);
    assert_int_equal(s->input_types[2], MR_STRING);
    assert_int_equal(s->float_bits, 64);
    assert_string_equal(s->output_names[0], "probability");
    mr_model_close(model);
}

TEST(lightgbm, made_up_names_give_way_to_the_callers)
{
    static const char head[] =
        "tree\nversion=v3\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\n"
        "feature_names=Column_0 Column_1\nfeature_infos=none none\n\nend of trees\n";
    static const char *const names[] = {"amount", "night"};
    mr_error err = {0};
    mr_model *model;
    mr_model_options options = {.input_names = names, .input_name_count = 2};
    assert_ok(mr_model_open_bytes(head, strlen(head), &options, &model, &err), &err);
    assert_string_equal(model->signature.input_names[1], "night");
    mr_model_close(model);
    assert_ok(mr_model_open_bytes(head, strlen(head), NULL, &model, &err), &err);
    assert_string_equal(model->signature.input_names[1], "Column_1");
    mr_model_close(model);
}

/* ---- what is wrong ---- */

typedef struct change {
    const char *from, *to, *says;
} change;

static void replace(const char *text, const change *c, mr_bytes *out)
{
    const char *at = strstr(text, c->from);
    assert_non_null(at);
    mr_bytes_append(out, text, (size_t)(at - text));
    mr_bytes_append_text(out, c->to);
    mr_bytes_append_text(out, at + strlen(c->from));
}

TEST(lightgbm, refuses_with_name_and_line)
{
    static const change cases[] = {
        {"version=v4", "version=v2", "line 2: version v2 is not supported, v3 and v4 are"},
        {"num_class=1", "num_class=0", "line 3: num_class has '0' where a whole number from 1"},
        {"label_index=0", "linear_tree_2=1", "line 5: 'linear_tree_2' is not known in the head"},
        {"max_feature_idx=2", "max_feature_idx=3", "feature_names has 3 names"},
        {"objective=binary", "objective=binry",
         "line 7: objective 'binry' is not known; there are"},
        {"sigmoid:1", "sigmoid:-1", "line 7: 'sigmoid:-1': sigmoid is a positive number"},
        {"objective=binary sigmoid:1", "objective=multiclass num_class:3",
         "the objective says 'num_class:3', num_class is 1"},
        {"objective=binary sigmoid:1", "objective=multiclass",
         "objective multiclass with num_class 1"},
        {"amount count", "amount amount", "two inputs are called 'amount'"},
        {"Tree=0", "Tree=1", "line 12: Tree=1 where 0 comes next"},
        {"num_leaves=4", "num_leaves=5", "leaf_value has 4 values, the tree of line 12 wants 5"},
        {"num_leaves=4\n", "", "line 12: the tree has no num_leaves"},
        {"num_leaves=4", "num_leaves=999999999999", "num_leaves has '999999999999'"},
        {"split_feature=0 1 2", "split_feature=0 1 3", "split 2 asks feature 3 of 3"},
        {"split_feature=0 1 2", "split_feature=0 1 -2", "split 2 asks feature"},
        {"split_feature=0 1 2\n", "", "line 12: the tree has no split_feature"},
        {"threshold=0.5 -1.5 0", "threshold=0.5 nan 0", "threshold has 'nan' where a number is"},
        {"threshold=0.5 -1.5 0", "threshold=0.5 -1.5 1", "threshold[2] is 1, and no set of the 1"},
        {"threshold=0.5 -1.5 0", "threshold=0.5 -1.5 0.5", "threshold[2] is 0.5, and no set"},
        {"decision_type=10 4 1", "decision_type=10 4 12", "decision_type[2] is 12"},
        {"decision_type=10 4 1", "decision_type=10 4 16", "decision_type[2] is 16"},
        {"left_child=1 -1 -3", "left_child=1 0 -3", "the left child of split 1 is 0"},
        {"left_child=1 -1 -3", "left_child=1 -1 -1", "the left child of split 1 is -1"},
        {"left_child=1 -1 -3", "left_child=3 -1 -3", "the left child of split 0 is 3"},
        {"right_child=2 -2 -4", "right_child=2 -2 -5", "the right child of split 2 is -5"},
        {"right_child=2 -2 -4", "right_child=2 -2147483648 -4", "the right child of split 1 is"},
        {"leaf_value=0.1", "leaf_value=inf", "leaf 0 is inf"},
        {"leaf_value=0.1", "leaf_value=1e999", "leaf_value has '1e999' where a number is"},
        {"cat_boundaries=0 1", "cat_boundaries=0 2", "cat_boundaries goes from 0 to 2, of 1 words"},
        {"cat_boundaries=0 1", "cat_boundaries=1 1", "cat_boundaries goes from 1 to 1"},
        {"cat_threshold=5", "cat_threshold=99999999999", "cat_threshold has '99999999999'"},
        {"is_linear=0", "is_linear=1", "line 12: the tree has no leaf_const"},
        {"shrinkage=1\n", "leaf_tensor=1\n", "line 30: 'leaf_tensor' is not known in a tree"},
        {"leaf_count=10", "leaf_value=0 0 0 0\nleaf_count=10", "a second line leaf_value"},
        {"end of trees", "", "is not known in a tree"},
        {"end of parameters", "", "the file ends inside the parameters"},
        {"[[\"a\", \"c\", \"e\"]]", "[[\"a\", 1]]", "texts and numbers in one category"},
        {"[[\"a\", \"c\", \"e\"]]", "[[\"a\", \"c\"]]",
         "which column has which list cannot be told"},
        {"[[\"a\", \"c\", \"e\"]]", "[[\"a\"], [\"b\"]]", "pandas_columns=NAME NAME"},
        {"[[\"a\", \"c\", \"e\"]]", "[[\"a\"", "pandas_categorical"},
        {"label_index=0", "average_output\nlabel_index=", NULL},
        {"decision_type=0", "decision_type=4", NULL},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_model *model = NULL;
        mr_bytes text = {0};
        replace(MR_TEST_MODEL_LIGHTGBM, &cases[i], &text);
        mr_model_options options = {.kind = "lightgbm"};
        mr_status status = mr_model_open_bytes(text.data, text.size, &options, &model, &err);
        if ((status == MR_OK) != (cases[i].says == NULL))
            fail_msg("case %zu: %s", i, status == MR_OK ? "it was read" : err.text);
        if (cases[i].says != NULL && strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, err.text);
        mr_model_close(model);
        mr_bytes_deinit(&text);
    }
}

TEST(lightgbm, columns_of_categories_can_be_named)
{
    static const struct {
        const char *columns, *says;
    } cases[] = {{"country count", NULL},
                 {"country", "pandas_columns names 1 columns, pandas_categorical has 2 lists"},
                 {"country city", "pandas_columns names 'city', which is no input"},
                 {"country count\npandas_columns=count country", "a second line pandas_columns"}};
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_error err = {0};
        mr_model *model = NULL;
        mr_bytes text = {0};
        char line[128];
        (void)snprintf(line, sizeof line,
                       "pandas_columns=%s\npandas_categorical:[[\"a\", \"c\"], [1, 5]]",
                       cases[i].columns);
        change c = {"pandas_categorical:[[\"a\", \"c\", \"e\"]]", line, NULL};
        replace(MR_TEST_MODEL_LIGHTGBM, &c, &text);
        mr_status status = mr_model_open_bytes(text.data, text.size, NULL, &model, &err);
        if ((status == MR_OK) != (cases[i].says == NULL))
            fail_msg("case %zu: %s", i, err.text);
        if (cases[i].says != NULL)
            assert_non_null(strstr(err.text, cases[i].says));
        else
            assert_true(model->signature.input_types[1] == MR_FLOAT64 &&
                        model->signature.input_types[2] == MR_STRING);
        mr_model_close(model);
        mr_bytes_deinit(&text);
    }
}

/* Every prefix is refused, or is the whole but for what is behind the trees; every flipped byte is refused or scores. */
TEST(lightgbm, survives_cut_and_damaged_files)
{
    const char *text = MR_TEST_MODEL_LIGHTGBM;
    size_t size = strlen(text), trees = (size_t)(strstr(text, "end of trees") - text) + 12;
    char *copy = mr_alloc(size);
    mr_model_options options = {.kind = "lightgbm"};
    for (size_t cut = 0; cut < size; cut++) {
        mr_error err = {0};
        mr_model *model;
        memcpy(copy, text, cut);
        mr_status status = mr_model_open_bytes(copy, cut, &options, &model, &err);
        if (status == MR_OK && cut < trees)
            fail_msg("the first %zu bytes were read", cut);
        assert_true(status == MR_OK || err.text[0] != '\0');
        mr_model_close(model);
    }
    for (size_t at = 0; at < size; at++) {
        mr_error err = {0};
        mr_model *model;
        memcpy(copy, text, size);
        copy[at] = (char)(copy[at] ^ (1 << (at % 7)));
        mr_status status = mr_model_open_bytes(copy, size, &options, &model, &err);
        assert_true(status == MR_OK || err.text[0] != '\0');
        mr_model_close(model);
    }
    mr_free(copy);
}
