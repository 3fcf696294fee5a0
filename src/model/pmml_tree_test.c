/* pmml_tree_test.c -- random trees with random predicates, strategies and missing values, alone and as forests, against a
 * slow reading: the tree is kept as the nodes it was written from, and a row walks it as the specification says. */
#include "test/test.h"

#include "base/assert.h"
#include "model/model.h"
#include "test/pmml_row.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NODES    64
#define FIELDS   3 /* x, y and the categories i */
#define CHILDREN 4

typedef enum answer { NO, YES, UNKNOWN } answer;

typedef struct test {
    int op;    /* as in `operators`; above: see ask_one */
    int field; /* index */
    double value, other;
    int combine; /* 0: simple; else `and`, `or`, `xor`, `surrogate` of two tests of neighbours */
} test;

typedef struct node {
    test asked;
    double score;
    int children[CHILDREN], child_count, default_child;
} node;

typedef struct tree {
    node nodes[NODES];
    int count, strategy, last; /* noTrueChildStrategy */
} tree;

static const char *const names[FIELDS] = {"x", "y", "i"};
static const char *const operators[] = {"lessThan", "lessOrEqual", "greaterThan", "greaterOrEqual",
                                        "equal",    "notEqual",    "isMissing",   "isNotMissing"};
static const char *const strategies[] = {"none", "lastPrediction", "nullPrediction",
                                         "defaultChild"};
static const char *const combiners[] = {"", "and", "or", "xor", "surrogate"};
enum { OP_IN = 8, OP_ALWAYS, OP_NEVER, OPS };

/* ---- making ---- */

static test random_test(mr_random_seeded *random)
{
    test t = {.op = (int)mr_random_below(random, 20)};
    t.op = t.op < OPS ? t.op : t.op % 4; /* thresholds mostly */
    t.field = (int)mr_random_below(random, FIELDS);
    t.value = (double)mr_random_below(random, 7) - 3;
    t.other = (double)mr_random_below(random, 7) - 3;
    t.combine = mr_random_below(random, 5) == 0 ? 1 + (int)mr_random_below(random, 4) : 0;
    return t;
}

static int grow(tree *t, mr_random_seeded *random, int depth)
{
    int index = t->count++;
    node *n = &t->nodes[index];
    *n = (node){.asked = random_test(random), .default_child = -1};
    n->score = (double)mr_random_below(random, 1000) / 8;
    bool leaf = depth == 0 || mr_random_below(random, 4) == 0;
    int wanted = leaf ? 0 : 1 + (int)mr_random_below(random, CHILDREN);
    for (int i = 0; i < wanted && t->count < NODES - 1; i++) {
        int child = grow(t, random, depth - 1);
        n->children[n->child_count++] = child;
    }
    /* Two children that exclude each other: what trainers write. */
    if (n->child_count == 2 && mr_random_below(random, 2) == 0) {
        test *a = &t->nodes[n->children[0]].asked, *b = &t->nodes[n->children[1]].asked;
        static const int opposite[] = {3, 2, 1, 0};
        a->op %= 4;
        a->combine = 0;
        *b = *a;
        b->op = opposite[a->op];
    }
    if (n->child_count > 0)
        n->default_child = n->children[mr_random_below(random, (uint64_t)n->child_count)];
    return index;
}

static test neighbour(const test *t)
{
    return (test){.op = t->op % 6, .field = (t->field + 1) % FIELDS, .value = t->other};
}

static void write_test(mr_bytes *out, const test *t)
{
    if (t->combine > 0) {
        test one = *t, two = neighbour(t);
        one.combine = 0;
        mr_bytes_printf(out, "<CompoundPredicate booleanOperator='%s'>", combiners[t->combine]);
        write_test(out, &one);
        write_test(out, &two);
        mr_bytes_append_text(out, "</CompoundPredicate>");
    } else if (t->op == OP_ALWAYS || t->op == OP_NEVER) {
        mr_bytes_append_text(out, t->op == OP_ALWAYS ? "<True/>" : "<False/>");
    } else if (t->op == OP_IN) {
        mr_bytes_printf(out,
                        "<SimpleSetPredicate field='%s' booleanOperator='isIn'><Array "
                        "type='real'>%g %g</Array></SimpleSetPredicate>",
                        names[t->field], t->value, t->other);
    } else {
        mr_bytes_printf(out, "<SimplePredicate field='%s' operator='%s'", names[t->field],
                        operators[t->op]);
        if (t->op < 6)
            mr_bytes_printf(out, " value='%g'", t->value);
        mr_bytes_append_text(out, "/>");
    }
}

static void write_node(mr_bytes *out, const tree *t, int index)
{
    const node *n = &t->nodes[index];
    mr_bytes_printf(out, "<Node id='n%d' score='%g'", index, n->score);
    if (n->default_child >= 0)
        mr_bytes_printf(out, " defaultChild='n%d'", n->default_child);
    mr_bytes_append_text(out, ">");
    if (index == 0)
        mr_bytes_append_text(out, "<True/>");
    else
        write_test(out, &n->asked);
    for (int i = 0; i < n->child_count; i++)
        write_node(out, t, n->children[i]);
    mr_bytes_append_text(out, "</Node>");
}

#define SCHEMA                                                                                     \
    "<MiningSchema><MiningField name='x'/><MiningField name='y'/><MiningField name='i'/>"          \
    "</MiningSchema>"

static void write_tree(mr_bytes *out, const tree *t)
{
    mr_bytes_printf(out,
                    "<TreeModel functionName='regression' missingValueStrategy='%s' "
                    "noTrueChildStrategy='%s'>" SCHEMA,
                    strategies[t->strategy],
                    t->last ? "returnLastPrediction" : "returnNullPrediction");
    write_node(out, t, 0);
    mr_bytes_append_text(out, "</TreeModel>");
}

/* ---- the slow reading ---- */

static answer ask_one(const test *t, const double *row)
{
    double x = row[t->field];
    if (t->op == OP_ALWAYS || t->op == OP_NEVER)
        return t->op == OP_ALWAYS ? YES : NO;
    if (t->op == 6 || t->op == 7)
        return isnan(x) == (t->op == 6) ? YES : NO;
    if (isnan(x))
        return UNKNOWN;
    bool is = t->op == 0   ? x < t->value
              : t->op == 1 ? x <= t->value
              : t->op == 2 ? x > t->value
              : t->op == 3 ? x >= t->value
              : t->op == 4 ? x == t->value
              : t->op == 5 ? x != t->value
                           : x == t->value || x == t->other;
    return is ? YES : NO;
}

static answer ask(const test *t, const double *row)
{
    test two = neighbour(t);
    answer a = ask_one(t, row), b = t->combine > 0 ? ask_one(&two, row) : NO;
    bool open = a == UNKNOWN || b == UNKNOWN;
    switch (t->combine) {
    case 0:
        return a;
    case 1:
        return a == NO || b == NO ? NO : open ? UNKNOWN : YES;
    case 2:
        return a == YES || b == YES ? YES : open ? UNKNOWN : NO;
    case 3:
        return open ? UNKNOWN : a != b ? YES : NO;
    default:
        return a != UNKNOWN ? a : b;
    }
}

static double walk(const tree *t, int index, const double *row)
{
    const node *n = &t->nodes[index];
    for (int i = 0; i < n->child_count; i++) {
        answer a = ask(&t->nodes[n->children[i]].asked, row);
        if (a == YES)
            return walk(t, n->children[i], row);
        if (a == NO || t->strategy == 0)
            continue;
        return t->strategy == 1   ? n->score
               : t->strategy == 2 ? NAN
                                  : walk(t, n->default_child, row);
    }
    return n->child_count == 0 || t->last ? n->score : NAN;
}

/* ---- comparing ---- */

static void random_row(mr_random_seeded *random, double *row, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < FIELDS; i++) {
        row[i] = mr_random_below(random, 4) == 0 ? NAN : (double)mr_random_below(random, 9) - 4;
        if (i < 2 && mr_random_below(random, 2) == 0)
            row[i] += 0.5;
        if (!isnan(row[i]))
            at += (size_t)snprintf(text + at, size - at, "%s=%g ", names[i], row[i]);
    }
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* A default child behind a sibling that is always true is none a walk can know of: such files are refused. */
static bool reachable(const tree *t)
{
    for (int i = 0; i < t->count; i++)
        for (int k = 0; k < t->nodes[i].child_count; k++) {
            const test *asked = &t->nodes[t->nodes[i].children[k]].asked;
            if (asked->combine == 0 && (asked->op == OP_ALWAYS || asked->op == OP_NEVER) &&
                t->strategy == 3)
                return false;
        }
    return true;
}

static void make_tree(tree *t, mr_random_seeded *random)
{
    do {
        *t = (tree){.strategy = (int)mr_random_below(random, 4),
                    .last = (int)mr_random_below(random, 2)};
        (void)grow(t, random, 5);
    } while (!reachable(t));
}

TEST(pmml, trees_agree_with_a_slow_reading)
{
    mr_random_seeded random = mr_test_random(2);
    tree *t = mr_alloc(sizeof *t);
    mr_bytes text = {0};
    uint64_t missing = 0, results = 0;
    for (uint64_t round = 0; round < mr_test_rounds(300); round++) {
        mr_pmml_row one;
        mr_bytes_clear(&text);
        make_tree(t, &random);
        mr_bytes_append_text(&text, "<PMML version='4.4'>" MR_PMML_DICTIONARY);
        write_tree(&text, t);
        mr_bytes_append_text(&text, "</PMML>");
        mr_pmml_row_open(&one, mr_bytes_text(&text), NULL);
        for (int i = 0; i < 30; i++) {
            double row[FIELDS];
            char inputs[128];
            random_row(&random, row, inputs, sizeof inputs);
            mr_pmml_row_score(&one, inputs);
            double wanted = walk(t, 0, row);
            if (!same(one.scores[0], wanted))
                fail_msg("seed %llu: %g, not %g, of %s\n%s", (unsigned long long)mr_test_seed(),
                         one.scores[0], wanted, inputs, mr_bytes_text(&text));
            missing += isnan(wanted) ? 1 : 0;
            results += isnan(wanted) ? 0 : 1;
        }
        mr_pmml_row_close(&one);
    }
    assert_true(missing > 100 && results > 100);
    mr_bytes_deinit(&text);
    mr_free(t);
}

/* Eight trees and more at once, those that take other paths one by one: the sum is that of the trees. */
TEST(pmml, forests_add_up_their_trees)
{
    mr_random_seeded random = mr_test_random(3);
    enum { TREES = 19 };
    tree *trees = mr_alloc(sizeof *trees * TREES);
    mr_bytes text = {0};
    for (uint64_t round = 0; round < mr_test_rounds(60); round++) {
        mr_pmml_row one;
        bool plain = round % 2 == 0;
        mr_bytes_clear(&text);
        mr_bytes_append_text(&text, "<PMML version='4.4'>" MR_PMML_DICTIONARY
                                    "<MiningModel functionName='regression'>" SCHEMA
                                    "<Segmentation multipleModelMethod='sum' "
                                    "missingPredictionTreatment='skipSegment'>");
        for (int k = 0; k < TREES; k++) {
            make_tree(&trees[k], &random);
            for (int i = 0; i < trees[k].count && plain; i++) {
                trees[k].nodes[i].asked.op %= 4;
                trees[k].nodes[i].asked.combine = 0;
            }
            mr_bytes_append_text(&text, "<Segment><True/>");
            write_tree(&text, &trees[k]);
            mr_bytes_append_text(&text, "</Segment>");
        }
        mr_bytes_append_text(&text, "</Segmentation></MiningModel></PMML>");
        mr_pmml_row_open(&one, mr_bytes_text(&text), NULL);
        for (int i = 0; i < 60; i++) {
            double row[FIELDS], sum = 0;
            char inputs[128];
            int kept = 0;
            random_row(&random, row, inputs, sizeof inputs);
            mr_pmml_row_score(&one, inputs);
            for (int k = 0; k < TREES; k++) {
                double said = walk(&trees[k], 0, row);
                sum += isnan(said) ? 0 : said;
                kept += !isnan(said);
            }
            if (!same(one.scores[0], kept > 0 ? sum : NAN))
                fail_msg("seed %llu: %g, not %g, of %s", (unsigned long long)mr_test_seed(),
                         one.scores[0], sum, inputs);
        }
        mr_pmml_row_close(&one);
    }
    mr_bytes_deinit(&text);
    mr_free(trees);
}
