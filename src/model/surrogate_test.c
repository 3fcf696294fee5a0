/* surrogate_test.c -- a small tree finds what can be found, and says how far it comes. */
#include "test/test.h"

#include "base/assert.h"
#include "model/surrogate.h"

#include <math.h>

#define ROWS 1000

static double columns[3][ROWS], outputs[ROWS];
static const double *const lists[] = {columns[0], columns[1], columns[2]};

static void fill(void)
{
    mr_random_seeded random = mr_test_random(1);
    for (int r = 0; r < ROWS; r++)
        for (int f = 0; f < 3; f++)
            columns[f][r] = floor(mr_random_unit(&random) * 10);
}

static uint32_t depth_of(const mr_surrogate *tree, uint32_t at)
{
    const mr_surrogate_node *node = &tree->nodes[at];
    if (node->feature == UINT32_MAX)
        return 0;
    uint32_t left = depth_of(tree, node->left), right = depth_of(tree, node->right);
    assert_int_equal(node->rows, tree->nodes[node->left].rows + tree->nodes[node->right].rows);
    return 1 + MR_MAX(left, right);
}

TEST(surrogate, finds_a_tree_that_is_one)
{
    mr_error err = {0};
    mr_surrogate tree;
    fill();
    for (int r = 0; r < ROWS; r++)
        outputs[r] = columns[1][r] < 4 ? 0.0 : columns[2][r] < 7 ? 0.5 : 0.9;
    assert_ok(mr_surrogate_fit(lists, 3, outputs, ROWS, 5, 1, 0.5, &tree, &err), &err);
    assert_int_equal(depth_of(&tree, 0), 2);
    assert_int_equal(tree.node_count, 5);
    assert_true(tree.r2 > 1 - 1e-12 && tree.agreement == 1);
    for (uint32_t i = 0; i < tree.node_count; i++) {
        const mr_surrogate_node *node = &tree.nodes[i];
        assert_true(node->feature != 1 || node->threshold == 4);
        assert_true(node->feature != 2 || node->threshold == 7);
        assert_true(node->feature != 0);
    }
}

TEST(surrogate, keeps_its_depth_and_leaves_and_says_what_it_misses)
{
    mr_error err = {0};
    mr_surrogate tree;
    double before = 0;
    fill();
    for (int r = 0; r < ROWS; r++)
        outputs[r] = columns[0][r] + columns[1][r] * columns[2][r];
    for (uint32_t depth = 1; depth <= 5; depth++) {
        assert_ok(mr_surrogate_fit(lists, 3, outputs, ROWS, depth, 20, 25, &tree, &err), &err);
        assert_int_equal(depth_of(&tree, 0), depth);
        assert_true(tree.r2 > before && tree.r2 < 1 && tree.agreement < 1);
        before = tree.r2;
        for (uint32_t i = 0; i < tree.node_count; i++)
            assert_true(tree.nodes[i].rows >= 20);
    }
}

TEST(surrogate, missing_values_go_right_and_constants_are_one_leaf)
{
    mr_error err = {0};
    mr_surrogate tree;
    fill();
    for (int r = 0; r < ROWS; r++) {
        outputs[r] = r % 3 == 0 ? 1 : 0;
        columns[0][r] = r % 3 == 0 ? (double)NAN : r % 3;
        columns[1][r] = 7;
        columns[2][r] = (double)NAN;
    }
    assert_ok(mr_surrogate_fit(lists, 3, outputs, ROWS, 5, 1, 0.5, &tree, &err), &err);
    assert_true(tree.nodes[0].value > 0.3 && tree.nodes[0].value < 0.34);
    for (int r = 0; r < ROWS; r++)
        outputs[r] = 3;
    assert_ok(mr_surrogate_fit(lists, 3, outputs, ROWS, 5, 1, 0.5, &tree, &err), &err);
    assert_int_equal(tree.node_count, 1);
    assert_true(tree.r2 == 1);
}

TEST(surrogate, survives_lost_memory)
{
    mr_error err = {0};
    mr_surrogate tree;
    fill();
    mr_status status = MR_NO_MEMORY;
    for (int64_t n = 0; status != MR_OK; n++) {
        (void)mr_memory_fail_after(n, false);
        status = mr_surrogate_fit(lists, 3, outputs, ROWS, 3, 1, 0.5, &tree, &err);
        (void)mr_memory_fail_after(-1, false);
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
    }
}
