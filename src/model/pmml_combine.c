/* pmml_combine.c -- what several segments, or the trees of a forest, say together.
 *
 * Sums are taken in the file's order. A missing result makes the whole missing, or is left out (skipSegment), until the
 * share of what is left out passes missingThreshold. Of median and max of a classification the class with the
 * largest median (the upper one of two) or maximum wins, and its probabilities are those of the segments that gave it,
 * averaged. Equal votes: the class that got the first of them. */
#include "model/pmml_program.h"

#include "base/assert.h"

typedef struct combination {
    mr_pmml_state *state;
    const mr_pmml_model *model;
    double *result;
    double
        *work; /* median, max: results one behind the other; votes: when each class got its first */
    uint32_t count;            /* of results kept */
    double weight, weight_out; /* taken, and left out as missing */
    bool missing;
} combination;

static void begin(combination *c, mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    *c = (combination){.state = state, .model = model, .result = result};
    c->work = state->results + model->work;
    memset(result, 0, sizeof *result * (1 + (size_t)model->classes.count));
}

static double weight_of(const mr_pmml_model *model, double weight)
{
    bool weighted =
        model->method == MR_PMML_WEIGHTED_AVERAGE || model->method == MR_PMML_WEIGHTED_MAJORITY;
    return weighted ? weight : 1;
}

static void add_number(combination *c, double weight, double value)
{
    if (c->model->single)
        c->result[0] = (double)((float)c->result[0] + (float)weight * (float)value);
    else
        c->result[0] += weight * value;
}

static void add_vote(combination *c, double weight, uint32_t class)
{
    if (c->result[1 + class] == 0)
        c->work[class] = c->count;
    c->result[1 + class] += weight;
}

static void keep(combination *c, double value, const double *shares)
{
    uint32_t classes = c->model->classes.count;
    double *to = c->work + (size_t)c->count * (1 + (size_t)classes);
    to[0] = value;
    memcpy(to + 1, shares, sizeof *shares * classes);
}

/* Whether one missing part makes the whole missing; votes just go on without it. */
static bool is_lost(const mr_pmml_model *model)
{
    return model->missing == MR_PMML_PART_RETURN_MISSING ||
           (model->missing == MR_PMML_PART_CONTINUE && model->method < MR_PMML_MAJORITY);
}

static void add(combination *c, double weight, double value, const double *shares)
{
    weight = weight_of(c->model, weight);
    if (isnan(value)) {
        c->missing |= is_lost(c->model);
        c->weight_out += weight;
        return;
    }
    c->weight += weight;
    if (c->model->method >= MR_PMML_MEDIAN && c->model->method <= MR_PMML_MAX)
        keep(c, value, shares);
    else if (c->model->method >= MR_PMML_MAJORITY)
        add_vote(c, weight, (uint32_t)value);
    else if (!c->model->classifies)
        add_number(c, weight, value);
    else
        for (uint32_t i = 0; i < c->model->classes.count; i++)
            c->result[1 + i] += weight * shares[i];
    c->count++;
}

/* ---- finishing ---- */

/* In place, by Shell's method with Ciura's gaps (2001): the C library's qsort may allocate. */
static void sort(double *numbers, uint32_t count)
{
    static const uint32_t gaps[] = {3548, 1577, 701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < MR_COUNT_OF(gaps); g++)
        for (uint32_t i = gaps[g]; i < count; i++) {
            double number = numbers[i];
            uint32_t at = i;
            for (; at >= gaps[g] && numbers[at - gaps[g]] > number; at -= gaps[g])
                numbers[at] = numbers[at - gaps[g]];
            numbers[at] = number;
        }
}

static void finish_number(combination *c)
{
    if (c->model->method == MR_PMML_MEDIAN || c->model->method == MR_PMML_MAX) {
        sort(c->work, c->count);
        uint32_t half = c->count / 2;
        c->result[0] = c->model->method == MR_PMML_MAX ? c->work[c->count - 1]
                       : c->count % 2 == 1             ? c->work[half]
                                                       : (c->work[half - 1] + c->work[half]) / 2;
    } else if (c->model->method != MR_PMML_SUM) {
        c->result[0] = c->model->single ? (double)((float)c->result[0] / (float)c->weight)
                                        : c->result[0] / c->weight;
    }
}

/* The share of class i that counts: its maximum, or the upper median. */
static double share_of(combination *c, uint32_t class, double *sorted)
{
    size_t stride = 1 + (size_t)c->model->classes.count;
    for (uint32_t k = 0; k < c->count; k++)
        sorted[k] = c->work[k * stride + 1 + class];
    sort(sorted, c->count);
    return sorted[c->model->method == MR_PMML_MAX ? c->count - 1 : c->count / 2];
}

static void finish_chosen(combination *c)
{
    uint32_t classes = c->model->classes.count, best = 0, givers = 0;
    size_t stride = 1 + (size_t)classes;
    double *sorted = c->work + c->model->parts.count * stride, highest = -1;
    for (uint32_t i = 0; i < classes; i++) {
        double share = share_of(c, i, sorted);
        if (share > highest)
            highest = share, best = i;
    }
    for (uint32_t k = 0; k < c->count; k++) {
        const double *shares = c->work + k * stride + 1;
        if (shares[best] != highest)
            continue;
        givers++;
        for (uint32_t i = 0; i < classes; i++)
            c->result[1 + i] += shares[i];
    }
    for (uint32_t i = 0; i < classes; i++)
        c->result[1 + i] /= givers;
    c->result[0] = best;
}

static void finish_classes(combination *c)
{
    uint32_t best = 0;
    bool votes = c->model->method >= MR_PMML_MAJORITY;
    for (uint32_t i = 0; i < c->model->classes.count; i++) {
        bool equal = c->result[1 + i] == c->result[1 + best];
        if (c->result[1 + i] > c->result[1 + best] ||
            (votes && equal && c->result[1 + i] > 0 && c->work[i] < c->work[best]))
            best = i;
    }
    for (uint32_t i = 0; i < c->model->classes.count; i++)
        c->result[1 + i] /= c->weight;
    c->result[0] = best;
}

static void finish(combination *c)
{
    double all = c->weight + c->weight_out;
    if (c->missing || c->count == 0 || !(c->weight > 0) ||
        c->weight_out / all > c->model->threshold) {
        c->result[0] = NAN;
        return;
    }
    if (!c->model->classifies)
        finish_number(c);
    else if (c->model->method == MR_PMML_MEDIAN || c->model->method == MR_PMML_MAX)
        finish_chosen(c);
    else
        finish_classes(c);
}

/* ---- forests ---- */

static bool all_there(const mr_pmml_state *state, const mr_pmml_model *model)
{
    const uint32_t *slots = MR_PMML_LIST(state->program, indexes, uint32_t) + model->slots.first;
    for (uint32_t i = 0; i < model->slots.count; i++)
        if (isnan(state->slots[slots[i]]))
            return false;
    return true;
}

static void add_leaf(combination *c, uint32_t tree, uint32_t index)
{
    const mr_pmml *program = c->state->program;
    const mr_pmml_leaf *leaf = MR_PMML_LIST(program, leaves, mr_pmml_leaf) + index;
    const double *numbers = MR_PMML_LIST(program, numbers, double);
    add(c, numbers[c->model->more.first + tree], leaf->value, numbers + leaf->shares);
}

void mr_pmml_run_forest(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    combination c;
    const mr_pmml_tree *trees =
        MR_PMML_LIST(state->program, trees, mr_pmml_tree) + model->parts.first;
    uint32_t at = 0, count = model->parts.count, leaves[MR_PMML_TREES_AT_ONCE];
    begin(&c, state, model, result);
    if (model->plain && all_there(state, model))
        for (; at + MR_PMML_TREES_AT_ONCE <= count; at += MR_PMML_TREES_AT_ONCE) {
            mr_pmml_walk_plain(state, trees + at, leaves);
            for (uint32_t i = 0; i < MR_PMML_TREES_AT_ONCE; i++)
                add_leaf(&c, at + i, leaves[i]);
        }
    for (; at < count; at++)
        add_leaf(&c, at, mr_pmml_walk(state, trees[at].root));
    finish(&c);
}

/* ---- segments ---- */

static const double *run_segment(mr_pmml_state *state, const mr_pmml_segment *segment)
{
    if (mr_pmml_ask(state, segment->predicate) != MR_PMML_TRUE)
        return NULL;
    mr_pmml_run(state, segment->model);
    const mr_pmml_model *model =
        MR_PMML_LIST(state->program, models, mr_pmml_model) + segment->model;
    return state->results + model->result;
}

/* The last one of a chain, or the first of a selection, that runs gives the result. */
static void run_chosen(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    const mr_pmml_segment *segments =
        MR_PMML_LIST(state->program, segments, mr_pmml_segment) + model->parts.first;
    const mr_pmml_model *models = MR_PMML_LIST(state->program, models, mr_pmml_model);
    result[0] = NAN;
    for (uint32_t i = 0; i < model->parts.count; i++) {
        const double *said = run_segment(state, &segments[i]);
        const mr_pmml_model *inner = &models[segments[i].model];
        if (said == NULL)
            continue;
        result[0] = NAN;
        if (inner->classifies == model->classifies && inner->classes.first == model->classes.first)
            memcpy(result, said, sizeof *result * (1 + (size_t)model->classes.count));
        if (model->method == MR_PMML_FIRST)
            return;
    }
}

void mr_pmml_run_mining(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    combination c;
    const mr_pmml_segment *segments =
        MR_PMML_LIST(state->program, segments, mr_pmml_segment) + model->parts.first;
    if (model->method >= MR_PMML_CHAIN) {
        run_chosen(state, model, result);
        return;
    }
    begin(&c, state, model, result);
    for (uint32_t i = 0; i < model->parts.count; i++) {
        const double *said = run_segment(state, &segments[i]);
        if (said != NULL)
            add(&c, segments[i].weight, said[0], said + 1);
    }
    finish(&c);
}
