/* explain_trees.c -- a float32 forest as shap.h wants to see it.
 *
 * x < t in float32 is x <= the float before t. A missing value goes left as -inf and right as NaN, which no
 * comparison takes left; a categorical node is asked itself. */
#include "model/explain_trees.h"

#include "base/assert.h"
#include "model/model_internal.h"
#include "model/shap.h"
#include "os/thread.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define CONVERT_ROWS 128

enum { VIEW_MISSING_LEFT, VIEW_MISSING_RIGHT, VIEW_CODE };

struct mr_tree_explainer {
    mr_shap_forest view;
    const char *refusal; /* why nothing can be said; NULL: it can */
    const char *cpu;
    mr_mutex lock;                /* over planning */
    _Atomic(mr_shap_plan *) plan; /* NULL: not yet */
    double *base;                 /* per group */
};

/* ---- the view ---- */

static uint32_t root_of(const void *context, uint32_t tree, uint32_t *out_group)
{
    const mr_forest *forest = context;
    *out_group = forest->groups[tree];
    return forest->firsts[tree];
}

/* -inf < -inf never holds. */
static double last_below(float threshold)
{
    return isinf(threshold) && threshold < 0 ? (double)NAN
                                             : (double)nextafterf(threshold, -INFINITY);
}

static mr_shap_node node_of(const void *context, uint32_t number)
{
    const mr_forest *forest = context;
    const mr_tree_node *node = &forest->nodes[number];
    mr_shap_node seen = {.value = (double)node->value,
                         .cover = (double)forest->covers[number],
                         .feature = MR_SHAP_LEAF};
    if (node->feature == MR_TREE_LEAF)
        return seen;
    seen.feature = node->feature;
    seen.left = node->left;
    seen.right = node->right;
    seen.value = last_below(node->value);
    seen.set = node->set != 0 ? number + 1 : 0;
    seen.view = node->set != 0       ? VIEW_CODE
                : node->default_left ? VIEW_MISSING_LEFT
                                     : VIEW_MISSING_RIGHT;
    return seen;
}

static void load(const void *context, uint32_t feature, const mr_column *column, uint8_t view,
                 size_t first, size_t count, double *out)
{
    (void)context;
    (void)feature;
    float values[CONVERT_ROWS];
    for (size_t at = 0; at < count; at += CONVERT_ROWS) {
        size_t rows = MR_MIN(count - at, (size_t)CONVERT_ROWS);
        mr_model_convert(column, first + at, rows, values);
        for (size_t r = 0; r < rows; r++)
            out[at + r] = view == VIEW_MISSING_LEFT && isnan(values[r]) ? -(double)INFINITY
                                                                        : (double)values[r];
    }
}

static bool goes_left(const void *context, uint32_t set, double x)
{
    const mr_forest *forest = context;
    return !mr_tree_goes_right(forest, &forest->nodes[set], (float)x);
}

/* ---- once ---- */

static mr_status plan_once(mr_tree_explainer *explainer, mr_shap_plan **out, mr_error *err)
{
    *out = atomic_load_explicit(&explainer->plan, memory_order_acquire);
    if (*out != NULL)
        return MR_OK;
    mr_status status = MR_OK;
    mr_mutex_lock(&explainer->lock);
    *out = atomic_load_explicit(&explainer->plan, memory_order_relaxed);
    if (*out == NULL)
        status = explainer->refusal != NULL
                     ? MR_FAIL(err, MR_UNSUPPORTED, "%s", explainer->refusal)
                     : mr_shap_plan_create(&explainer->view, explainer->cpu, out, err);
    if (status == MR_OK)
        atomic_store_explicit(&explainer->plan, *out, memory_order_release);
    mr_mutex_unlock(&explainer->lock);
    return status;
}

mr_status mr_tree_explainer_run(mr_tree_explainer *explainer, const mr_column *const *inputs,
                                size_t first, size_t count, double *out, mr_scratch *scratch,
                                mr_error *err)
{
    mr_shap_plan *plan;
    MR_TRY(plan_once(explainer, &plan, err));
    if (count == 0)
        return MR_OK;
    uint8_t *work = mr_scratch_explain(scratch, mr_shap_work_bytes(plan));
    if (work == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_shap_explain(plan, inputs, first, count, explainer->base, out, work);
    return MR_OK;
}

/* ---- birth and death ---- */

/* The setting's text lives in the kind's table, not with the caller. */
static const char *cpu_of(const mr_model_kind *kind, const mr_model_options *options)
{
    static const char *const known[] = {"plain", "avx2", "avx512"};
    const char *cpu =
        mr_setting_text(kind->settings, options->settings, options->setting_count, "cpu");
    for (size_t i = 0; i < MR_COUNT_OF(known); i++)
        if (strcmp(known[i], cpu) == 0)
            return known[i];
    return "auto";
}

mr_status mr_tree_explainer_create_of(const mr_shap_forest *view, const double *base,
                                      const char *refusal, const mr_model_kind *kind,
                                      const mr_model_options *options, mr_tree_explainer **out,
                                      mr_error *err)
{
    mr_tree_explainer *explainer = MR_NEW(mr_tree_explainer);
    double *own = mr_alloc(view->group_count * sizeof *own);
    if (explainer == NULL || own == NULL) {
        mr_free(explainer);
        mr_free(own);
        return MR_OUT_OF_MEMORY(err);
    }
    memcpy(own, base, view->group_count * sizeof *own);
    explainer->view = *view;
    explainer->refusal = refusal;
    explainer->base = own;
    explainer->cpu = cpu_of(kind, options);
    mr_mutex_init(&explainer->lock);
    *out = explainer;
    return MR_OK;
}

mr_status mr_tree_explainer_create(const mr_forest *forest, const mr_model_kind *kind,
                                   const mr_model_options *options, mr_tree_explainer **out,
                                   mr_error *err)
{
    double base[MR_MODEL_OUTPUTS_MAX];
    bool covered = forest->covers != NULL || forest->node_count == 0;
    mr_shap_forest view = {.forest = forest,
                           .tree_count = forest->tree_count,
                           .group_count = forest->group_count,
                           .feature_count = forest->feature_count,
                           .root = root_of,
                           .node = node_of,
                           .load = load,
                           .goes_left = goes_left};
    for (uint32_t g = 0; g < forest->group_count; g++)
        base[g] = (double)forest->base[g];
    return mr_tree_explainer_create_of(
        &view, base,
        covered ? NULL
                : "contributions need the covers of the nodes (sum_hessian), which the model's "
                  "file does not have",
        kind, options, out, err);
}

void mr_tree_explainer_destroy(mr_tree_explainer *explainer)
{
    if (explainer == NULL)
        return;
    mr_shap_plan_destroy(atomic_load(&explainer->plan));
    mr_mutex_deinit(&explainer->lock);
    mr_free(explainer->base);
    mr_free(explainer);
}
