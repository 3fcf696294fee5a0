/* lightgbm_random_test.c -- random models as text, scored by every kernel and by the rules written out plainly here. */
#include "test/test.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FEATURES  6
#define TREES_MAX 12
#define LEAVES    300
#define ROWS      600
#define CODES     320

typedef struct tree {
    int leaf_count, set_count;
    bool linear;
    int feature[LEAVES], type[LEAVES], left[LEAVES], right[LEAVES];
    double threshold[LEAVES], value[LEAVES], constant[LEAVES], weight[LEAVES][2];
    int terms[LEAVES], term_feature[LEAVES][2];
    uint32_t sets[LEAVES][CODES / 32];
} tree;

typedef struct forest {
    int tree_count, groups;
    tree trees[TREES_MAX];
} forest;

static const double odd[] = {0.0,  -0.0, 1e-36, -1e-36, 5e-324, 1e-34,  -1e-34, 0.5,
                             -0.5, 1.0,  -1.0,  2.0,    3.99,   254.0,  255.0,  256.0,
                             319., 1e10, 1e300, -1e300, 0.1,    1e-35f, -1e-35f};

static double any_value(mr_random_seeded *random)
{
    uint64_t kind = mr_random_below(random, 12);
    if (kind == 0)
        return NAN;
    if (kind == 1)
        return mr_random_below(random, 2) == 0 ? INFINITY : -INFINITY;
    if (kind < 6)
        return odd[mr_random_below(random, MR_COUNT_OF(odd))];
    return kind < 9 ? (double)mr_random_below(random, CODES) : (mr_random_unit(random) - 0.5) * 8;
}

/* Thresholds of which some differ in float64 only, and some are where values are. */
static double any_threshold(mr_random_seeded *random)
{
    uint64_t kind = mr_random_below(random, 6);
    if (kind == 0)
        return odd[mr_random_below(random, MR_COUNT_OF(odd))];
    if (kind == 1)
        return 0.25 + 1e-12 * (double)mr_random_below(random, 5);
    if (kind == 2 && mr_random_below(random, 20) == 0)
        return INFINITY;
    return (double)mr_random_below(random, 700) / 100.0 - 3.5;
}

/* ---- making ---- */

static void make_leaf(tree *t, int leaf, mr_random_seeded *random)
{
    t->value[leaf] = mr_random_unit(random) - 0.5;
    t->constant[leaf] = mr_random_unit(random) - 0.5;
    t->terms[leaf] = (int)mr_random_below(random, 3);
    for (int i = 0; i < 2; i++) {
        t->weight[leaf][i] = mr_random_unit(random);
        t->term_feature[leaf][i] = (int)mr_random_below(random, FEATURES);
    }
}

static void make_set(tree *t, int split, bool wide, mr_random_seeded *random)
{
    uint32_t *words = t->sets[t->set_count];
    memset(words, 0, sizeof t->sets[0]);
    for (int i = 0; i < 12; i++) {
        uint32_t code = (uint32_t)mr_random_below(random, wide ? CODES : 8);
        words[code / 32] |= 1u << (code % 32);
    }
    t->threshold[split] = t->set_count++;
}

/* Like the library grows it: split s takes a leaf away, which becomes leaf s + 1 on its right. */
static void make_tree(tree *t, int leaves, bool linear, bool wide, mr_random_seeded *random)
{
    int parent[LEAVES + 1];
    bool is_left[LEAVES + 1] = {false};
    *t = (tree){.leaf_count = leaves, .linear = linear};
    parent[0] = -1;
    for (int s = 0; s + 1 < leaves; s++) {
        bool deep = mr_random_below(random, 3) == 0;
        int leaf = deep ? s : (int)mr_random_below(random, (uint64_t)s + 1);
        if (parent[leaf] >= 0)
            *(is_left[leaf] ? &t->left[parent[leaf]] : &t->right[parent[leaf]]) = s;
        t->feature[s] = (int)mr_random_below(random, FEATURES);
        t->threshold[s] = any_threshold(random);
        t->type[s] = (int)(mr_random_below(random, 3) << 2 | mr_random_below(random, 2) << 1 |
                           (mr_random_below(random, 5) == 0));
        if (t->type[s] & 1)
            make_set(t, s, wide, random);
        t->left[s] = ~leaf;
        t->right[s] = ~(s + 1);
        parent[leaf] = parent[s + 1] = s;
        is_left[leaf] = true;
        is_left[s + 1] = false;
    }
    for (int i = 0; i < leaves; i++)
        make_leaf(t, i, random);
}

static void make_forest(forest *f, uint64_t round, mr_random_seeded *random)
{
    f->groups = round % 4 == 3 ? 3 : 1;
    f->tree_count = (int)(1 + mr_random_below(random, TREES_MAX / 3)) * 3;
    bool linear = round % 5 == 4, wide = round % 3 == 2;
    uint64_t top = round % 6 == 5 ? LEAVES : round % 6 == 1 ? 256 : 70;
    for (int t = 0; t < f->tree_count; t++)
        make_tree(&f->trees[t], (int)(1 + mr_random_below(random, top)),
                  linear && mr_random_below(random, 2) == 0, wide, random);
}

/* ---- writing ---- */

static void write_ints(mr_bytes *out, const char *name, const int *values, int count)
{
    mr_bytes_printf(out, "%s=", name);
    for (int i = 0; i < count; i++)
        mr_bytes_printf(out, "%s%d", i > 0 ? " " : "", values[i]);
    mr_bytes_append_text(out, "\n");
}

static void write_doubles(mr_bytes *out, const char *name, const double *values, int count)
{
    mr_bytes_printf(out, "%s=", name);
    for (int i = 0; i < count; i++)
        mr_bytes_printf(out, "%s%.17g", i > 0 ? " " : "", values[i]);
    mr_bytes_append_text(out, "\n");
}

static void write_sets(mr_bytes *out, const tree *t)
{
    mr_bytes_append_text(out, "cat_boundaries=0");
    for (int i = 1; i <= t->set_count; i++)
        mr_bytes_printf(out, " %d", i * (CODES / 32));
    mr_bytes_append_text(out, "\ncat_threshold=");
    for (int i = 0; i < t->set_count; i++)
        for (int w = 0; w < CODES / 32; w++)
            mr_bytes_printf(out, "%u ", t->sets[i][w]);
    mr_bytes_append_text(out, "\n");
}

static void write_linear(mr_bytes *out, const tree *t)
{
    write_doubles(out, "leaf_const", t->constant, t->leaf_count);
    write_ints(out, "num_features", t->terms, t->leaf_count);
    mr_bytes_append_text(out, "leaf_features=");
    for (int i = 0; i < t->leaf_count; i++)
        for (int k = 0; k < t->terms[i]; k++)
            mr_bytes_printf(out, "%d  ", t->term_feature[i][k]);
    mr_bytes_append_text(out, "\nleaf_coeff=");
    for (int i = 0; i < t->leaf_count; i++)
        for (int k = 0; k < t->terms[i]; k++)
            mr_bytes_printf(out, "%.17g  ", t->weight[i][k]);
    mr_bytes_append_text(out, "\n");
}

static void write_tree(mr_bytes *out, const tree *t, int number)
{
    int splits = t->leaf_count - 1;
    mr_bytes_printf(out, "Tree=%d\nnum_leaves=%d\nnum_cat=%d\n", number, t->leaf_count,
                    t->set_count);
    write_ints(out, "split_feature", t->feature, splits);
    write_doubles(out, "threshold", t->threshold, splits);
    write_ints(out, "decision_type", t->type, splits);
    write_ints(out, "left_child", t->left, splits);
    write_ints(out, "right_child", t->right, splits);
    write_doubles(out, "leaf_value", t->value, t->leaf_count);
    if (t->set_count > 0)
        write_sets(out, t);
    mr_bytes_printf(out, "is_linear=%d\n", t->linear);
    if (t->linear)
        write_linear(out, t);
    mr_bytes_append_text(out, "shrinkage=1\n\n\n");
}

static void write_forest(mr_bytes *out, const forest *f)
{
    mr_bytes_printf(out,
                    "tree\nversion=v4\nnum_class=%d\nnum_tree_per_iteration=%d\n"
                    "label_index=0\nmax_feature_idx=%d\n%sfeature_names=a b c d e f\n"
                    "feature_infos=none none none none none none\n\n",
                    f->groups, f->groups, FEATURES - 1,
                    f->groups == 1 ? "objective=regression\n" : "");
    for (int t = 0; t < f->tree_count; t++)
        write_tree(out, &f->trees[t], t);
    mr_bytes_append_text(out, "end of trees\n");
}

/* ---- the rules, one value at a time ---- */

static bool in_set(const tree *t, int set, double x)
{
    if (isnan(x) || x <= -1.0 || x >= 2147483648.0)
        return false;
    int code = (int)x;
    return code < CODES && (t->sets[set][code / 32] >> (code % 32) & 1) != 0;
}

static bool goes_left(const tree *t, int split, double x)
{
    int type = t->type[split], missing = type >> 2;
    if (type & 1)
        return in_set(t, (int)t->threshold[split], x);
    if (isnan(x) && missing != 2)
        x = 0.0;
    if ((missing == 1 && fabs(x) <= (double)1e-35f) || (missing == 2 && isnan(x)))
        return (type & 2) != 0;
    return x <= t->threshold[split];
}

static double value_of(const tree *t, const double *row)
{
    int at = t->leaf_count > 1 ? 0 : ~0;
    while (at >= 0)
        at = goes_left(t, at, row[t->feature[at]]) ? t->left[at] : t->right[at];
    int leaf = ~at;
    if (!t->linear)
        return t->value[leaf];
    double sum = t->constant[leaf];
    for (int k = 0; k < t->terms[leaf]; k++) {
        double x = row[t->term_feature[leaf][k]];
        if (isnan(x))
            return t->value[leaf];
        sum += t->weight[leaf][k] * x;
    }
    return sum;
}

static void expect(const forest *f, const double *columns, size_t r, double *sums)
{
    double row[FEATURES];
    for (int i = 0; i < FEATURES; i++) {
        double x = columns[(size_t)i * ROWS + r];
        row[i] = fabs(x) <= (double)1e-35f ? 0.0 : x;
    }
    for (int g = 0; g < f->groups; g++)
        sums[g] = 0.0;
    for (int t = 0; t < f->tree_count; t++)
        sums[t % f->groups] += value_of(&f->trees[t], row);
}

/* ---- comparing ---- */

static void check(const forest *f, const mr_bytes *text, const double *columns, const char *kernel,
                  const char *cpu, uint64_t round)
{
    static double sums[3 * ROWS];
    mr_error err = {0};
    mr_model *model;
    mr_scratch *scratch;
    mr_column list[FEATURES] = {0};
    const mr_column *inputs[FEATURES];
    mr_setting settings[] = {{"batch_kernel", kernel}, {"cpu", cpu}};
    mr_model_options options = {.settings = settings, .setting_count = 2};
    assert_ok(mr_model_open_bytes(text->data, text->size, &options, &model, &err), &err);
    assert_ok(mr_scratch_create(model, &scratch, &err), &err);
    for (int i = 0; i < FEATURES; i++) {
        list[i] = (mr_column){.type = {MR_FLOAT64, 0}, .values = columns + (size_t)i * ROWS};
        inputs[i] = &list[i];
    }
    size_t cut = 1 + round * 37 % (ROWS - 1); /* two batches, rows one by one or not */
    mr_model_out head = {.margins = sums, .stride = ROWS},
                 tail = {.margins = sums + cut, .stride = ROWS};
    assert_ok(model->kind->score(model, inputs, 0, cut, &head, scratch, &err), &err);
    assert_ok(model->kind->score(model, inputs, cut, ROWS - cut, &tail, scratch, &err), &err);
    for (size_t r = 0; r < ROWS; r++) {
        double wanted[3];
        expect(f, columns, r, wanted);
        for (int g = 0; g < f->groups; g++) {
            double got = sums[(size_t)g * ROWS + r];
            if (memcmp(&got, &wanted[g], sizeof got) != 0 && !(isnan(got) && isnan(wanted[g])))
                fail_msg("round %llu, %s %s, row %zu, margin %d: %.17g, %.17g is right",
                         (unsigned long long)round, kernel, cpu, r, g, got, wanted[g]);
        }
    }
    mr_scratch_destroy(scratch);
    mr_model_close(model);
}

TEST(lightgbm, random_models_follow_the_rules)
{
    static forest f;
    static double columns[FEATURES * ROWS];
    for (uint64_t round = 0; round < mr_test_rounds(60); round++) {
        mr_random_seeded random = mr_test_random(round);
        mr_bytes text = {0};
        make_forest(&f, round, &random);
        write_forest(&text, &f);
        for (size_t i = 0; i < MR_COUNT_OF(columns); i++)
            columns[i] = any_value(&random);
        check(&f, &text, columns, "walk", "auto", round);
        check(&f, &text, columns, "masks", "avx2", round);
        check(&f, &text, columns, "masks", "avx512", round);
        check(&f, &text, columns, "auto", "auto", round);
        mr_bytes_deinit(&text);
    }
}
