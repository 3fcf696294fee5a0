/* pmml_tree.c -- TreeModel: nodes with any number of children become steps with two ways on.
 *
 *   Node(A) { B: x <= 3,  C: y = 'k',  D: else }          at A:  x > 3 ? [ask y = 'k' ? C : D] : B
 *
 * A step asks the predicate of one child; if it is false the next step asks the next child; after the last one the walk
 * ends as noTrueChildStrategy says. Two children whose predicates are opposites are one step. Where the answer is
 * unknown, the step's third way does what missingValueStrategy says:
 *   none ............... as if false           nullPrediction ... a leaf without a result
 *   lastPrediction ..... the node as a leaf    defaultChild ..... on to that child
 * weightedConfidence and aggregateNodes follow all branches: pmml_branches.c.
 *
 * (1) Every step's ways on are behind each other: base, base + 1 and, where `miss` is 2, base + 2.
 * (2) A walk ends: ways on lead deeper into the file's tree, or to a leaf. */
#include "model/pmml_reader.h"

#include <stdlib.h>

enum {
    ON_MISSING_LAST,
    ON_MISSING_NULL,
    ON_MISSING_DEFAULT,
    ON_MISSING_CONFIDENCE,
    ON_MISSING_AGGREGATE,
    ON_MISSING_NONE
};

typedef struct tree_reader {
    mr_pmml_reader *r;
    const mr_pmml_frame *frame;
    mr_pmml_model *model;
    uint32_t depth;    /* the deepest step so far */
    bool last_if_none; /* noTrueChildStrategy */
} tree_reader;

/* A Node whose children are being read. */
typedef struct place {
    uint32_t element;
    uint32_t leaf;             /* what it says as a leaf, MR_PMML_NONE: not read yet */
    const char *default_child; /* id, NULL */
    uint32_t default_at;       /* where that child begins, MR_PMML_NONE: not seen yet */
    size_t jumps;              /* on the stack: steps that lead there */
} place;

/* ---- leaves ---- */

static bool read_share(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                       const char *attribute, uint32_t shares, double *sum)
{
    const char *text;
    double share;
    uint32_t class;
    if (!mr_pmml_need(r, element, "value", &text) ||
        !mr_pmml_class_of(r, element, frame, text, &class) ||
        !mr_pmml_need_number(r, element, attribute, &share))
        return false;
    if (!(share >= 0) || isinf(share))
        return mr_pmml_fail(r, element, MR_INVALID, "%s must be 0 or more", attribute);
    *MR_PMML_AT(r, numbers, double, shares + class) = share;
    *sum += share;
    return true;
}

/* Probabilities where all are given, else shares of the records. */
static bool read_shares(mr_pmml_reader *r, uint32_t node, const mr_pmml_frame *frame,
                        uint32_t shares, double *sum)
{
    uint32_t first = mr_xml_find(&r->xml, node, "ScoreDistribution");
    bool given = first != MR_XML_NONE;
    for (uint32_t at = first; at != MR_XML_NONE;
         at = mr_xml_again(&r->xml, at, "ScoreDistribution"))
        given &= mr_pmml_get(r, at, "probability") != NULL;
    for (uint32_t at = first; at != MR_XML_NONE;
         at = mr_xml_again(&r->xml, at, "ScoreDistribution"))
        if (!read_share(r, at, frame, given ? "probability" : "recordCount", shares, sum))
            return false;
    for (uint32_t i = 0; i < frame->classes.count && !given && *sum > 0; i++)
        *MR_PMML_AT(r, numbers, double, shares + i) /= *sum;
    return true;
}

static double largest(mr_pmml_reader *r, const mr_pmml_frame *frame, uint32_t shares)
{
    const double *numbers = MR_PMML_AT(r, numbers, double, shares);
    uint32_t best = 0;
    for (uint32_t i = 1; i < frame->classes.count; i++)
        if (numbers[i] > numbers[best])
            best = i;
    return best;
}

static bool read_class_leaf(mr_pmml_reader *r, uint32_t node, const mr_pmml_frame *frame,
                            mr_pmml_leaf *leaf)
{
    const char *score = mr_pmml_get(r, node, "score");
    uint32_t class = 0;
    double sum = 0;
    leaf->shares = mr_pmml_number_count(r);
    for (uint32_t i = 0; i < frame->classes.count; i++)
        if (!mr_pmml_add_number(r, 0))
            return false;
    if (!read_shares(r, node, frame, leaf->shares, &sum))
        return false;
    if (score == NULL) {
        leaf->value = sum > 0 ? largest(r, frame, leaf->shares) : NAN;
        return true;
    }
    if (!mr_pmml_class_of(r, node, frame, score, &class))
        return false;
    leaf->value = class;
    if (sum == 0)
        *MR_PMML_AT(r, numbers, double, leaf->shares + class) = 1;
    return true;
}

bool mr_pmml_read_leaf(mr_pmml_reader *r, uint32_t node, const mr_pmml_frame *frame,
                       const mr_pmml_model *model, uint32_t *out)
{
    mr_pmml_leaf leaf = {.value = NAN};
    *out = MR_PMML_COUNT(r->program, leaves, mr_pmml_leaf);
    bool ok = model->classifies ? read_class_leaf(r, node, frame, &leaf)
                                : mr_pmml_number(r, node, "score", NAN, &leaf.value);
    if (!model->classifies && model->single)
        leaf.value = (double)(float)leaf.value;
    mr_pmml_leaf *to = ok ? MR_PMML_PUSH(r, leaves, mr_pmml_leaf) : NULL;
    if (to != NULL)
        *to = leaf;
    return to != NULL;
}

static bool set_leaf(tree_reader *t, uint32_t at, uint32_t leaf)
{
    *MR_PMML_AT(t->r, nodes, mr_pmml_node, at) =
        (mr_pmml_node){.at = leaf, .base = at, .op = MR_PMML_NODE_LEAF};
    return true;
}

static bool set_null_leaf(tree_reader *t, uint32_t at)
{
    uint32_t leaf = MR_PMML_COUNT(t->r->program, leaves, mr_pmml_leaf);
    mr_pmml_leaf *to = MR_PMML_PUSH(t->r, leaves, mr_pmml_leaf);
    if (to == NULL)
        return false;
    to->value = NAN;
    return set_leaf(t, at, leaf);
}

static bool set_own_leaf(tree_reader *t, place *p, uint32_t at)
{
    return (p->leaf != MR_PMML_NONE ||
            mr_pmml_read_leaf(t->r, p->element, t->frame, t->model, &p->leaf)) &&
           set_leaf(t, at, p->leaf);
}

static bool set_no_child(tree_reader *t, place *p, uint32_t at)
{
    return t->last_if_none ? set_own_leaf(t, p, at) : set_null_leaf(t, at);
}

/* ---- steps ---- */

static bool allocate(tree_reader *t, uint32_t count, uint32_t *out)
{
    *out = MR_PMML_COUNT(t->r->program, nodes, mr_pmml_node);
    for (uint32_t i = 0; i < count; i++)
        if (MR_PMML_PUSH(t->r, nodes, mr_pmml_node) == NULL)
            return false;
    return true;
}

static bool is_default(const tree_reader *t, const place *p, uint32_t child)
{
    const char *id = mr_pmml_get(t->r, child, "id");
    return p->default_child != NULL && id != NULL && strcmp(id, p->default_child) == 0;
}

/* Where an unknown answer goes: 0 or 1 of two ways, or 2: a way of its own. */
static uint8_t way_of_unknown(const tree_reader *t, const place *p, uint32_t child, uint32_t other,
                              uint8_t way_true)
{
    if (t->model->missing == ON_MISSING_NONE && other == MR_XML_NONE)
        return (uint8_t)(1 - way_true);
    if (t->model->missing == ON_MISSING_DEFAULT && is_default(t, p, child))
        return way_true;
    if (t->model->missing == ON_MISSING_DEFAULT && other != MR_XML_NONE && is_default(t, p, other))
        return (uint8_t)(1 - way_true);
    return 2;
}

static bool set_unknown(tree_reader *t, place *p, uint32_t at)
{
    switch (t->model->missing) {
    case ON_MISSING_NONE:
        return set_no_child(t, p, at);
    case ON_MISSING_LAST:
        return set_own_leaf(t, p, at);
    case ON_MISSING_NULL:
        return set_null_leaf(t, at);
    default:
        if (p->default_child == NULL)
            return mr_pmml_fail(t->r, p->element, MR_INVALID,
                                "missingValueStrategy defaultChild needs a defaultChild here");
        return mr_pmml_stack_push(t->r, at);
    }
}

static bool read_node(tree_reader *t, uint32_t element, uint32_t at, uint32_t depth);

static bool read_child(tree_reader *t, place *p, uint32_t child, uint32_t at, uint32_t depth)
{
    if (is_default(t, p, child))
        p->default_at = at;
    return read_node(t, child, at, depth);
}

/* The last sibling, when it is true exactly where this one is false. */
static bool find_opposite(tree_reader *t, uint32_t child, const mr_pmml_predicate *predicate,
                          uint32_t *out)
{
    uint32_t next = mr_xml_again(&t->r->xml, child, "Node"), element, other;
    *out = MR_XML_NONE;
    if (next == MR_XML_NONE || mr_xml_again(&t->r->xml, next, "Node") != MR_XML_NONE)
        return true;
    size_t before = t->r->program->predicates.size;
    if (!mr_pmml_find_predicate(t->r, next, &element) ||
        !mr_pmml_is(t->r, element, "SimplePredicate"))
        return t->r->status == MR_OK;
    if (!mr_pmml_read_predicate(t->r, element, &other))
        return false;
    if (mr_pmml_predicate_opposite(predicate,
                                   MR_PMML_AT(t->r, predicates, mr_pmml_predicate, other)))
        *out = next;
    t->r->program->predicates.size = before; /* it is not asked on its own */
    return true;
}

static bool set_step(tree_reader *t, place *p, uint32_t child, uint32_t predicate, uint32_t *at,
                     uint32_t depth, bool *closed)
{
    mr_pmml_predicate asked = *MR_PMML_AT(t->r, predicates, mr_pmml_predicate, predicate);
    mr_pmml_node node = {.at = predicate, .op = MR_PMML_NODE_ASK};
    double level;
    bool above;
    uint8_t way_true = 0;
    uint32_t other;
    if (mr_pmml_predicate_level(&asked, &level, &above)) {
        node = (mr_pmml_node){.at = level, .slot = (uint16_t)asked.slot};
        way_true = above;
    }
    if (!find_opposite(t, child, &asked, &other))
        return false;
    node.miss = way_of_unknown(t, p, child, other, way_true);
    if (!allocate(t, node.miss == 2 ? 3 : 2, &node.base))
        return false;
    *MR_PMML_AT(t->r, nodes, mr_pmml_node, *at) = node;
    if ((node.miss == 2 && !set_unknown(t, p, node.base + 2)) ||
        !read_child(t, p, child, node.base + way_true, depth + 1))
        return false;
    *at = node.base + 1 - way_true;
    *closed = other != MR_XML_NONE;
    return !*closed || read_child(t, p, other, *at, depth + 1);
}

static bool set_jumps(tree_reader *t, const place *p)
{
    const uint32_t *jumps = (const uint32_t *)(const void *)(t->r->stack.data + p->jumps);
    size_t count = (t->r->stack.size - p->jumps) / sizeof *jumps;
    if (count > 0 && p->default_at == MR_PMML_NONE)
        return mr_pmml_fail(t->r, p->element, MR_INVALID, "defaultChild '%.60s' is no child of it",
                            p->default_child);
    for (size_t i = 0; i < count; i++)
        *MR_PMML_AT(t->r, nodes, mr_pmml_node, jumps[i]) =
            (mr_pmml_node){.at = INFINITY, .base = p->default_at, .op = MR_PMML_NODE_LEVEL};
    t->r->stack.size = p->jumps;
    return true;
}

static bool read_children(tree_reader *t, place *p, uint32_t at, uint32_t depth)
{
    mr_pmml_reader *r = t->r;
    bool closed = false, is_true;
    uint32_t child = mr_xml_find(&r->xml, p->element, "Node"), element, predicate;
    if (child == MR_XML_NONE)
        return set_own_leaf(t, p, at);
    for (; child != MR_XML_NONE && !closed; child = mr_xml_again(&r->xml, child, "Node")) {
        if (!mr_pmml_find_predicate(r, child, &element) ||
            !mr_pmml_read_predicate(r, element, &predicate))
            return false;
        bool is_constant = mr_pmml_predicate_constant(
            MR_PMML_AT(r, predicates, mr_pmml_predicate, predicate), &is_true);
        if (is_constant && !is_true)
            continue;
        closed = is_constant;
        if (!(is_constant ? read_child(t, p, child, at, depth)
                          : set_step(t, p, child, predicate, &at, depth, &closed)))
            return false;
        depth++;
    }
    return (closed || set_no_child(t, p, at)) && set_jumps(t, p);
}

static bool read_node(tree_reader *t, uint32_t element, uint32_t at, uint32_t depth)
{
    static const char *const refused[] = {"Regression", "DecisionTree", "EmbeddedModel"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (mr_xml_find(&t->r->xml, element, refused[i]) != MR_XML_NONE)
            return mr_pmml_refuse(t->r, mr_xml_find(&t->r->xml, element, refused[i]));
    place p = {.element = element,
               .leaf = MR_PMML_NONE,
               .default_child = mr_pmml_get(t->r, element, "defaultChild"),
               .default_at = MR_PMML_NONE,
               .jumps = t->r->stack.size};
    t->depth = depth > t->depth ? depth : t->depth;
    return read_children(t, &p, at, depth);
}

/* The root's own predicate is a step before the tree. */
static bool read_root(tree_reader *t, uint32_t element, uint32_t *out)
{
    uint32_t predicate_element, predicate, base;
    bool is_true;
    if (!mr_pmml_find_predicate(t->r, element, &predicate_element) ||
        !mr_pmml_read_predicate(t->r, predicate_element, &predicate) || !allocate(t, 1, out))
        return false;
    if (mr_pmml_predicate_constant(MR_PMML_AT(t->r, predicates, mr_pmml_predicate, predicate),
                                   &is_true))
        return is_true ? read_node(t, element, *out, 0) : set_null_leaf(t, *out);
    if (!allocate(t, 2, &base))
        return false;
    *MR_PMML_AT(t->r, nodes, mr_pmml_node, *out) =
        (mr_pmml_node){.at = predicate, .base = base, .op = MR_PMML_NODE_ASK, .miss = 1};
    return set_null_leaf(t, base + 1) && read_node(t, element, base, 1);
}

bool mr_pmml_read_tree(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                       mr_pmml_model *model)
{
    static const char *const missing[] = {"lastPrediction",
                                          "nullPrediction",
                                          "defaultChild",
                                          "weightedConfidence",
                                          "aggregateNodes",
                                          "none",
                                          NULL};
    static const char *const none[] = {"returnNullPrediction", "returnLastPrediction", NULL};
    tree_reader t = {.r = r, .frame = frame, .model = model};
    uint8_t last;
    double penalty;
    uint32_t root = mr_xml_find(&r->xml, element, "Node");
    if (root == MR_XML_NONE)
        return mr_pmml_fail(r, element, MR_INVALID, "it has no Node");
    if (!mr_pmml_choice(r, element, "missingValueStrategy", missing, ON_MISSING_NONE,
                        &model->missing) ||
        !mr_pmml_choice(r, element, "noTrueChildStrategy", none, 0, &last) ||
        !mr_pmml_number(r, element, "missingValuePenalty", 1, &penalty))
        return false;
    if (!(penalty >= 0 && penalty <= 1))
        return mr_pmml_fail(r, element, MR_INVALID, "missingValuePenalty must be 0 to 1");
    t.last_if_none = last;
    if (model->missing == ON_MISSING_CONFIDENCE || model->missing == ON_MISSING_AGGREGATE) {
        model->type = MR_PMML_BRANCHES;
        model->method = model->missing == ON_MISSING_CONFIDENCE;
        model->kind = last;
        return mr_pmml_read_branches(r, root, frame, model, &model->root);
    }
    model->type = MR_PMML_TREE;
    if (!read_root(&t, root, &model->root))
        return false;
    model->parts = (mr_pmml_range){MR_PMML_COUNT(r->program, trees, mr_pmml_tree), 1};
    mr_pmml_tree *tree = MR_PMML_PUSH(r, trees, mr_pmml_tree);
    if (tree != NULL)
        *tree = (mr_pmml_tree){model->root, t.depth};
    return tree != NULL;
}
