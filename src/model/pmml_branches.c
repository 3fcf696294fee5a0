/* pmml_branches.c -- trees that follow every branch an unknown answer leaves open.
 *
 *   weightedConfidence ... the results of the siblings that are not false, weighted by their numbers of records
 *   aggregateNodes ....... the numbers of records per class of the leaves reached, added up; of a regression the mean
 *                          of their scores, weighted by their records
 *
 * A row may reach every leaf: the work is bounded by the number of nodes. */
#include "model/pmml_reader.h"

/* ---- compiling ---- */

static bool read_counts(mr_pmml_reader *r, uint32_t node, const mr_pmml_frame *frame,
                        mr_pmml_branch *branch)
{
    const mr_pmml_leaf *leaf = MR_PMML_AT(r, leaves, mr_pmml_leaf, branch->leaf);
    uint32_t shares = leaf->shares;
    branch->counts = mr_pmml_number_count(r);
    (void)node;
    for (uint32_t i = 0; i < frame->classes.count; i++)
        if (!mr_pmml_add_number(r, *MR_PMML_AT(r, numbers, double, shares + i) * branch->records))
            return false;
    return true;
}

static bool read_parts(mr_pmml_reader *r, uint32_t node, const mr_pmml_frame *frame,
                       mr_pmml_model *model, mr_pmml_branch *branch)
{
    size_t from = r->stack.size;
    for (uint32_t child = mr_xml_find(&r->xml, node, "Node"); child != MR_XML_NONE;
         child = mr_xml_again(&r->xml, child, "Node")) {
        uint32_t part;
        if (!mr_pmml_read_branches(r, child, frame, model, &part) || !mr_pmml_stack_push(r, part))
            return false;
    }
    return mr_pmml_stack_take(r, from, &branch->children);
}

bool mr_pmml_read_branches(mr_pmml_reader *r, uint32_t node, const mr_pmml_frame *frame,
                           mr_pmml_model *model, uint32_t *out)
{
    mr_pmml_branch branch = {0};
    uint32_t predicate;
    if (!mr_pmml_find_predicate(r, node, &predicate) ||
        !mr_pmml_read_predicate(r, predicate, &branch.predicate) ||
        !mr_pmml_read_leaf(r, node, frame, model, &branch.leaf) ||
        !mr_pmml_need_number(r, node, "recordCount", &branch.records))
        return false;
    if (!(branch.records >= 0) || isinf(branch.records))
        return mr_pmml_fail(r, node, MR_INVALID, "recordCount must be 0 or more");
    if ((model->classifies && !read_counts(r, node, frame, &branch)) ||
        !read_parts(r, node, frame, model, &branch))
        return false;
    *out = MR_PMML_COUNT(r->program, branches, mr_pmml_branch);
    mr_pmml_branch *to = MR_PMML_PUSH(r, branches, mr_pmml_branch);
    if (to != NULL)
        *to = branch;
    return to != NULL;
}

/* ---- a row ---- */

typedef struct run {
    mr_pmml_state *state;
    const mr_pmml_model *model;
    double *result;
    double weight; /* that reached a result */
} run;

static const mr_pmml_branch *branch_at(const run *r, uint32_t index)
{
    return MR_PMML_LIST(r->state->program, branches, mr_pmml_branch) + index;
}

static void end_at(run *r, const mr_pmml_branch *branch, double weight)
{
    const double *numbers = MR_PMML_LIST(r->state->program, numbers, double);
    const mr_pmml_leaf *leaf = MR_PMML_LIST(r->state->program, leaves, mr_pmml_leaf) + branch->leaf;
    bool by_confidence = r->model->method != 0;
    const double *shares = numbers + (by_confidence ? leaf->shares : branch->counts);
    if (isnan(leaf->value))
        return;
    for (uint32_t i = 0; i < r->model->classes.count; i++)
        r->result[1 + i] += by_confidence ? weight * shares[i] : shares[i];
    double own = by_confidence ? weight : branch->records;
    r->result[0] += own * leaf->value;
    r->weight += own;
}

static void follow(run *r, const mr_pmml_branch *branch, double weight);

/* Siblings from `first` on that are not false. */
static void follow_open(run *r, const mr_pmml_branch *parent, uint32_t first, double weight)
{
    const uint32_t *parts =
        MR_PMML_LIST(r->state->program, indexes, uint32_t) + parent->children.first;
    double records = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = first; i < parent->children.count; i++) {
            const mr_pmml_branch *part = branch_at(r, parts[i]);
            if (mr_pmml_ask(r->state, part->predicate) == MR_PMML_FALSE)
                continue;
            if (pass == 0)
                records += part->records;
            else if (records > 0)
                follow(r, part, weight * part->records / records);
        }
}

static void follow(run *r, const mr_pmml_branch *branch, double weight)
{
    const uint32_t *parts =
        MR_PMML_LIST(r->state->program, indexes, uint32_t) + branch->children.first;
    for (uint32_t i = 0; i < branch->children.count; i++) {
        mr_pmml_test test = mr_pmml_ask(r->state, branch_at(r, parts[i])->predicate);
        if (test == MR_PMML_TRUE) {
            follow(r, branch_at(r, parts[i]), weight);
            return;
        }
        if (test == MR_PMML_UNKNOWN) {
            follow_open(r, branch, i, weight);
            return;
        }
    }
    if (branch->children.count == 0 || r->model->kind != 0)
        end_at(r, branch, weight);
}

static void finish(run *r)
{
    uint32_t count = r->model->classes.count, best = 0;
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += r->result[1 + i];
        best = r->result[1 + i] > r->result[1 + best] ? i : best;
    }
    for (uint32_t i = 0; i < count && sum > 0; i++)
        r->result[1 + i] /= sum;
    if (!(r->weight > 0) || (count > 0 && !(sum > 0)))
        r->result[0] = NAN;
    else
        r->result[0] = count > 0 ? best : r->result[0] / r->weight;
}

void mr_pmml_run_branches(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    run r = {.state = state, .model = model, .result = result};
    const mr_pmml_branch *root = branch_at(&r, model->root);
    memset(result, 0, sizeof *result * (1 + (size_t)model->classes.count));
    if (mr_pmml_ask(state, root->predicate) == MR_PMML_TRUE)
        follow(&r, root, 1);
    finish(&r);
}
