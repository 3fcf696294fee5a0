/* pmml_walk.c -- from the root of a tree to a leaf: one tree of any steps, or eight of levels at once.
 *
 * Eight walks keep eight chains of loads in flight; a leaf leads to itself, so no walk has to stop before the others. */
#include "model/pmml_program.h"

static uint32_t way_of_level(mr_pmml_state *state, const mr_pmml_node *node)
{
    double x = state->slots[node->slot];
    if (!isnan(x))
        return x > node->at;
    state->failed |= mr_pmml_is_invalid(x);
    return node->miss;
}

static uint32_t way_of_answer(mr_pmml_state *state, const mr_pmml_node *node)
{
    mr_pmml_test test = mr_pmml_ask(state, (uint32_t)node->at);
    return test == MR_PMML_TRUE ? 0 : test == MR_PMML_FALSE ? 1 : node->miss;
}

uint32_t mr_pmml_walk(mr_pmml_state *state, uint32_t root)
{
    const mr_pmml_node *nodes = MR_PMML_LIST(state->program, nodes, mr_pmml_node);
    const mr_pmml_node *node = nodes + root;
    while (node->op != MR_PMML_NODE_LEAF)
        node = nodes + node->base +
               (node->op == MR_PMML_NODE_LEVEL ? way_of_level(state, node)
                                               : way_of_answer(state, node));
    return (uint32_t)node->at;
}

void mr_pmml_walk_plain(const mr_pmml_state *state, const mr_pmml_tree *trees, uint32_t *leaves)
{
    const mr_pmml_node *nodes = MR_PMML_LIST(state->program, nodes, mr_pmml_node);
    const double *slots = state->slots;
    uint32_t at[MR_PMML_TREES_AT_ONCE], depth = 0;
    for (int i = 0; i < MR_PMML_TREES_AT_ONCE; i++) {
        at[i] = trees[i].root;
        depth = trees[i].depth > depth ? trees[i].depth : depth;
    }
    for (bool done = false; !done;) {
        for (uint32_t step = 0; step <= depth; step++)
            for (int i = 0; i < MR_PMML_TREES_AT_ONCE; i++) {
                const mr_pmml_node *node = nodes + at[i];
                at[i] = node->base + (slots[node->slot] > node->at);
            }
        done = true;
        for (int i = 0; i < MR_PMML_TREES_AT_ONCE; i++)
            done &= nodes[at[i]].op == MR_PMML_NODE_LEAF;
    }
    for (int i = 0; i < MR_PMML_TREES_AT_ONCE; i++)
        leaves[i] = (uint32_t)nodes[at[i]].at;
}

/* ---- one tree as a model ---- */

void mr_pmml_run_tree(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    const mr_pmml_leaf *leaf =
        MR_PMML_LIST(state->program, leaves, mr_pmml_leaf) + mr_pmml_walk(state, model->root);
    result[0] = leaf->value;
    if (model->classes.count > 0 && !isnan(leaf->value))
        memcpy(result + 1, MR_PMML_LIST(state->program, numbers, double) + leaf->shares,
               sizeof(double) * model->classes.count);
}
