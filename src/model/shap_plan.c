/* shap_plan.c -- turns trees into programs: one walk over each tree, down and up, without recursion. */
#include "model/shap_internal.h"

#include "base/assert.h"

#include <math.h>
#include <string.h>

/* A split whose subtree is being walked. */
typedef struct frame {
    mr_shap_op op;
    uint32_t feature;
    uint32_t numbers[2]; /* of the children, as the family counts */
    mr_shap_node children[2];
    double means[2];  /* of the children, over the training rows */
    double merged;    /* share of the feature before this split */
    uint16_t before;  /* place that asked the feature before */
    uint8_t walked;   /* children done */
    uint32_t uniques; /* different features on the way, this one included */
} frame;

typedef struct maker {
    mr_shap_plan *plan;
    uint32_t tree;
    uint32_t uniques_max; /* of the tree */
    mr_bytes ops, trees, factors, slots, used;
    uint32_t *slot_of;    /* per feature and view: 1 + slot */
    uint32_t *used_of;    /* per feature: 1 + place */
    uint16_t *places;     /* per feature: nearest edge above that asked it */
    double *shares;       /* and its merged share */
    frame *frames;        /* MR_SHAP_DEPTH_MAX */
    uint32_t *factors_of; /* per level: factors of the node above */
} maker;

/* ---- one node ---- */

static mr_status check_cover(const maker *m, uint32_t number, double cover, bool is_split,
                             mr_error *err)
{
    if (isfinite(cover) && (cover > 0.0 || (cover == 0.0 && !is_split)))
        return MR_OK;
    return MR_FAIL(err, MR_UNSUPPORTED,
                   "tree %u, node %u: its cover is %g; contributions need the number (or weight) "
                   "of training rows that came to each node, above 0",
                   m->tree, number, cover);
}

/* Sums are rounded as they were made, so a little more is allowed. */
static mr_status check_child(const maker *m, uint32_t number, double cover, double parent,
                             mr_error *err)
{
    MR_TRY(check_cover(m, number, cover, false, err));
    if (cover <= parent * 1.01)
        return MR_OK;
    return MR_FAIL(err, MR_UNSUPPORTED,
                   "tree %u, node %u: its cover is %g, more than the %g of the node above; "
                   "contributions need the number (or weight) of training rows that came there",
                   m->tree, number, cover, parent);
}

static uint32_t number_of(mr_bytes *list, uint32_t *place, const void *item, size_t bytes)
{
    if (*place == 0) {
        mr_bytes_append(list, item, bytes);
        *place = (uint32_t)(list->size / bytes);
    }
    return *place - 1;
}

static uint32_t slot_of(maker *m, const mr_shap_node *node)
{
    mr_shap_slot slot = {node->feature, node->view};
    return number_of(&m->slots, &m->slot_of[(size_t)node->feature * MR_SHAP_VIEWS_MAX + node->view],
                     &slot, sizeof slot);
}

static void make_op(maker *m, frame *f, const mr_shap_node *node, uint16_t place)
{
    f->op = (mr_shap_op){
        .threshold = node->value,
        .left_share = f->children[0].cover / node->cover,
        .right_share = f->children[1].cover / node->cover,
        .left_value = f->children[0].value,
        .right_value = f->children[1].value,
        .share = f->merged,
        .slot = slot_of(m, node),
        .feature =
            number_of(&m->used, &m->used_of[node->feature], &node->feature, sizeof node->feature),
        .set = node->set,
        .place = place,
        .above = f->before,
        .left_is_leaf = f->children[0].feature == MR_SHAP_LEAF,
        .right_is_leaf = f->children[1].feature == MR_SHAP_LEAF,
    };
}

static void emit(maker *m, frame *f, mr_shap_step step)
{
    f->op.step = (uint8_t)step;
    mr_bytes_append(&m->ops, &f->op, sizeof f->op);
}

static mr_status enter(maker *m, frame *f, uint32_t number, const mr_shap_node *node,
                       uint16_t place, uint32_t uniques, mr_error *err)
{
    const mr_shap_forest *forest = &m->plan->forest;
    MR_ASSERT(node->feature < forest->feature_count && node->view < MR_SHAP_VIEWS_MAX);
    *f = (frame){.feature = node->feature, .numbers = {node->left, node->right}};
    MR_TRY(check_cover(m, number, node->cover, true, err));
    for (int side = 0; side < 2; side++) {
        f->children[side] = forest->node(forest->forest, f->numbers[side]);
        f->means[side] = f->children[side].value;
        MR_TRY(check_child(m, f->numbers[side], f->children[side].cover, node->cover, err));
    }
    f->before = m->places[node->feature];
    f->merged = f->before != 0 ? m->shares[node->feature] : 1.0;
    f->uniques = uniques + (f->before == 0);
    m->uniques_max = MR_MAX(m->uniques_max, f->uniques);
    m->plan->depth_max = MR_MAX(m->plan->depth_max, (uint32_t)place / 2 + 1);
    make_op(m, f, node, place);
    bool bottom = f->op.left_is_leaf && f->op.right_is_leaf;
    emit(m, f, bottom ? MR_SHAP_BOTTOM : MR_SHAP_DOWN);
    f->walked = bottom ? 2 : 0;
    return MR_OK;
}

/* ---- one tree ---- */

static mr_status enter_child(maker *m, frame *f, mr_error *err)
{
    uint32_t side = f->walked;
    if ((size_t)(f - m->frames) + 1 == MR_SHAP_DEPTH_MAX)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "tree %u is deeper than %d comparisons: contributions are computed up to "
                       "those",
                       m->tree, MR_SHAP_DEPTH_MAX);
    uint16_t place = (uint16_t)(f->op.place / 2u * 2u + 2u + side);
    m->places[f->feature] = place;
    m->shares[f->feature] = f->merged * (side == 0 ? f->op.left_share : f->op.right_share);
    return enter(m, f + 1, f->numbers[side], &f->children[side], place, f->uniques, err);
}

/* What the split's rows have on average; the feature is as it was above it. */
static double leave(maker *m, frame *f)
{
    if (!(f->op.left_is_leaf && f->op.right_is_leaf))
        emit(m, f, MR_SHAP_UP);
    m->places[f->feature] = f->before;
    m->shares[f->feature] = f->merged;
    return f->op.left_share * f->means[0] + f->op.right_share * f->means[1];
}

static bool is_leaf(const frame *f, uint32_t side)
{
    return side == 0 ? f->op.left_is_leaf : f->op.right_is_leaf;
}

static mr_status walk(maker *m, uint32_t number, const mr_shap_node *root, double *out_mean,
                      mr_error *err)
{
    frame *f = m->frames;
    MR_TRY(enter(m, f, number, root, 0, 0, err));
    for (;;) {
        if (f->walked < 2 && is_leaf(f, f->walked)) {
            f->walked++;
        } else if (f->walked < 2) {
            MR_TRY(enter_child(m, f, err));
            f++;
        } else {
            double mean = leave(m, f);
            if (f == m->frames) {
                *out_mean = mean;
                return MR_OK;
            }
            f--;
            f->means[f->walked++] = mean;
        }
    }
}

static mr_status want_rule(mr_shap_plan *plan, uint32_t points, mr_error *err)
{
    MR_ASSERT(points > 0 && points <= MR_SHAP_POINTS_MAX);
    plan->points_max = MR_MAX(plan->points_max, points);
    if (plan->rules[points] != NULL)
        return MR_OK;
    plan->pad_max = MR_SHAP_PAD(plan->points_max);
    plan->rules[points] = mr_alloc(3 * (size_t)MR_SHAP_PAD(points) * sizeof(double));
    if (plan->rules[points] == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_shap_quadrature(points, plan->rules[points]);
    return MR_OK;
}

/* 1 / w, A and B at every point, for rows that met the conditions above. */
static void add_factors(maker *m, double share, uint32_t points, const double *rule)
{
    uint32_t pad = MR_SHAP_PAD(points);
    for (int part = 0; part < 3; part++)
        for (uint32_t q = 0; q < pad; q++) {
            double rest = share * rule[pad + q], t = rule[2 * pad + q], w = rest + t;
            double factor = part == 0 ? 1.0 / w : part == 1 ? rest / w : t / w;
            factor = q < points ? factor : 0.0;
            mr_bytes_append(&m->factors, &factor, sizeof factor);
        }
}

/* Now that the number of points is known. An UP finds what its DOWN was given. */
static void make_factors(maker *m, uint32_t first, uint32_t points)
{
    mr_shap_op *ops = (mr_shap_op *)(void *)m->ops.data;
    for (uint32_t i = first; i < m->ops.size / sizeof *ops; i++) {
        uint32_t *at = &m->factors_of[ops[i].place / 2];
        if (ops[i].above == 0)
            continue;
        if (ops[i].step != MR_SHAP_UP) {
            *at = (uint32_t)(m->factors.size / sizeof(double));
            add_factors(m, ops[i].share, points, m->plan->rules[points]);
        }
        ops[i].factors = *at;
    }
}

static mr_status add_tree(maker *m, uint32_t tree, mr_error *err)
{
    const mr_shap_forest *forest = &m->plan->forest;
    mr_shap_tree made = {.first = (uint32_t)(m->ops.size / sizeof(mr_shap_op))};
    uint32_t number = forest->root(forest->forest, tree, &made.group);
    mr_shap_node root = forest->node(forest->forest, number);
    double mean = root.value;
    m->tree = tree;
    m->uniques_max = 0;
    if (root.feature != MR_SHAP_LEAF) {
        MR_TRY(walk(m, number, &root, &mean, err));
        if (m->ops.failed || m->slots.failed || m->used.failed)
            return MR_OUT_OF_MEMORY(err);
        made.count = (uint32_t)(m->ops.size / sizeof(mr_shap_op)) - made.first;
        made.points = (m->uniques_max + 1) / 2;
        MR_TRY(want_rule(m->plan, made.points, err));
        made.rule = m->plan->rules[made.points];
        make_factors(m, made.first, made.points);
        mr_bytes_append(&m->trees, &made, sizeof made);
    }
    m->plan->means[made.group] += mean;
    return m->trees.failed || m->factors.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* ---- the plan ---- */

static void *take(mr_bytes *bytes)
{
    void *data = bytes->data;
    memset(bytes, 0, sizeof *bytes);
    return data;
}

/* Trees of one group behind each other, otherwise in the forest's order. */
static mr_status sort_trees(maker *m, mr_error *err)
{
    mr_shap_plan *plan = m->plan;
    const mr_shap_tree *from = (const mr_shap_tree *)(void *)m->trees.data;
    plan->tree_count = (uint32_t)(m->trees.size / sizeof *from);
    plan->trees = mr_alloc(plan->tree_count * sizeof *from);
    uint32_t *next = mr_alloc_zero((size_t)plan->forest.group_count + 1, sizeof *next);
    if (plan->trees == NULL || next == NULL) {
        mr_free(next);
        return MR_OUT_OF_MEMORY(err);
    }
    for (uint32_t t = 0; t < plan->tree_count; t++)
        next[from[t].group + 1]++;
    for (uint32_t g = 0; g < plan->forest.group_count; g++)
        next[g + 1] += next[g];
    for (uint32_t t = 0; t < plan->tree_count; t++)
        plan->trees[next[from[t].group]++] = from[t];
    mr_free(next);
    return MR_OK;
}

static mr_status make(maker *m, mr_error *err)
{
    mr_shap_plan *plan = m->plan;
    for (uint32_t t = 0; t < plan->forest.tree_count; t++)
        MR_TRY(add_tree(m, t, err));
    MR_TRY(sort_trees(m, err));
    plan->slot_count = (uint32_t)(m->slots.size / sizeof(mr_shap_slot));
    plan->used_count = (uint32_t)(m->used.size / sizeof(uint32_t));
    plan->ops = take(&m->ops);
    plan->factors = take(&m->factors);
    plan->slots = take(&m->slots);
    plan->used = take(&m->used);
    return MR_OK;
}

static mr_status maker_init(maker *m, const mr_shap_forest *forest, mr_error *err)
{
    size_t features = forest->feature_count;
    m->plan = MR_NEW(mr_shap_plan);
    if (m->plan == NULL)
        return MR_OUT_OF_MEMORY(err);
    m->plan->forest = *forest;
    m->plan->means = mr_alloc_zero(forest->group_count, sizeof(double));
    m->slot_of = mr_alloc_zero(features, MR_SHAP_VIEWS_MAX * sizeof(uint32_t));
    m->used_of = mr_alloc_zero(features, sizeof(uint32_t));
    m->places = mr_alloc_zero(features, sizeof(uint16_t));
    m->shares = mr_alloc_zero(features, sizeof(double));
    m->frames = mr_alloc(MR_SHAP_DEPTH_MAX * sizeof(frame));
    m->factors_of = mr_alloc_zero(MR_SHAP_DEPTH_MAX, sizeof(uint32_t));
    bool whole = m->plan->means != NULL && m->slot_of != NULL && m->used_of != NULL &&
                 m->places != NULL && m->shares != NULL && m->frames != NULL &&
                 m->factors_of != NULL;
    return whole ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static void maker_deinit(maker *m)
{
    void *all[] = {m->slot_of, m->used_of, m->places, m->shares, m->frames, m->factors_of};
    mr_bytes *lists[] = {&m->ops, &m->trees, &m->factors, &m->slots, &m->used};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_free(all[i]);
    for (size_t i = 0; i < MR_COUNT_OF(lists); i++)
        mr_bytes_deinit(lists[i]);
}

static const mr_shap_kernel *choose_kernel(const char *cpu)
{
    static const mr_shap_kernel *const kernels[] = {
#if defined(__x86_64__)
        &mr_shap_avx512,
        &mr_shap_avx2,
#endif
        &mr_shap_plain
    };
    bool allowed = strcmp(cpu, "auto") == 0;
    for (size_t i = 0; i < MR_COUNT_OF(kernels); i++) {
        allowed |= strcmp(cpu, kernels[i]->name) == 0;
        if (allowed && (kernels[i]->runs_here == NULL || kernels[i]->runs_here()))
            return kernels[i];
    }
    return &mr_shap_plain;
}

mr_status mr_shap_plan_create(const mr_shap_forest *forest, const char *cpu, mr_shap_plan **out,
                              mr_error *err)
{
    maker m = {0};
    *out = NULL;
    mr_status status = maker_init(&m, forest, err);
    if (status == MR_OK)
        status = make(&m, err);
    maker_deinit(&m);
    if (status != MR_OK) {
        mr_shap_plan_destroy(m.plan);
        return status;
    }
    m.plan->kernel = choose_kernel(cpu);
    *out = m.plan;
    return MR_OK;
}

void mr_shap_plan_destroy(mr_shap_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < MR_COUNT_OF(plan->rules); i++)
        mr_free(plan->rules[i]);
    void *all[] = {plan->ops, plan->trees, plan->factors, plan->slots, plan->used, plan->means};
    for (size_t i = 0; i < MR_COUNT_OF(all); i++)
        mr_free(all[i]);
    mr_free(plan);
}
