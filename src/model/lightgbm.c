/* lightgbm.c -- LightGBM's models: what a file holds, bound by name and scored in blocks of rows.
 *
 * Like Booster.predict of the loaded file, all its trees count: what was saved up to the best iteration was cut when it
 * was saved. Raw scores have the library's bits; scores are the library's formula with the C library's exp.
 *
 * scratch: | sums of a block | one row of inputs | the run's own | */
#include "model/lightgbm.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/explain_trees.h"
#include "model/forest64_kernel.h"
#include "model/model_internal.h"
#include "model/names.h"

#include <stdio.h>
#include <string.h>

#define DESCRIPTION_BYTES 200

typedef struct lightgbm_model {
    mr_model model;
    mr_forest64 *forest;
    mr_run64 *run;
    mr_tree_explainer *explainer;
    mr_lightgbm_objective objective;
    double divisor; /* of margins, before the objective: 1, or the iterations of a random forest */
    mr_lightgbm_categories categories;
    const mr_lightgbm_category **category_of; /* per feature; NULL: its numbers are what they are */
    mr_type_id *types;
    mr_names inputs, outputs;
    size_t run_bytes, row_bytes;
    char description[DESCRIPTION_BYTES];
} lightgbm_model;

static const lightgbm_model *as_lightgbm(const mr_model *model)
{
    return (const lightgbm_model *)(const void *)model;
}

static void close_lightgbm(mr_model *model)
{
    lightgbm_model *m = (lightgbm_model *)(void *)model;
    mr_tree_explainer_destroy(m->explainer);
    mr_run64_destroy(m->run);
    mr_forest64_destroy(m->forest);
    mr_lightgbm_categories_deinit(&m->categories);
    mr_free(m->category_of);
    mr_free(m->types);
    mr_names_deinit(&m->inputs);
    mr_names_deinit(&m->outputs);
    mr_free(m);
}

/* ---- scoring ---- */

typedef struct source {
    const lightgbm_model *model;
    const mr_column *const *inputs;
} source;

/* A feature as the forest sees it: codes, or numbers with the smallest flushed. */
static void load_values(const lightgbm_model *m, uint32_t feature, const mr_column *column,
                        size_t first, size_t count, double *out)
{
    const mr_lightgbm_category *category = m->category_of[feature];
    if (category != NULL) {
        mr_lightgbm_category_codes(category, column, first, count, out);
        return;
    }
    mr_model_convert64(column, first, count, out);
    for (size_t r = 0; r < count; r++)
        out[r] = mr_forest64_flush(out[r]);
}

static void load_column(const void *context, uint32_t feature, size_t first, size_t count,
                        double *out)
{
    const source *from = context;
    load_values(from->model, feature, from->inputs[feature], first, count, out);
}

static void load_row(const source *from, size_t row, double *out)
{
    uint32_t count;
    const uint32_t *used = mr_run64_used(from->model->run, &count);
    for (uint32_t i = 0; i < count; i++) {
        const mr_column *column = from->inputs[used[i]];
        if (column->type.id == MR_FLOAT64 && column->null_count == 0 &&
            from->model->category_of[used[i]] == NULL)
            out[used[i]] = mr_forest64_flush(((const double *)column->values)[row]);
        else
            load_column(from, used[i], row, 1, &out[used[i]]);
    }
}

static void sum_block(const source *from, size_t first, size_t count, double *sums, size_t stride,
                      uint8_t *scratch)
{
    const lightgbm_model *m = from->model;
    double *row = (double *)(void *)scratch, one[MR_MODEL_OUTPUTS_MAX];
    uint8_t *own = scratch + m->row_bytes;
    if (count > mr_run64_rows_max(m->run)) {
        mr_run64_batch(m->run, load_column, from, first, count, sums, stride, own);
        return;
    }
    for (size_t r = 0; r < count; r++) {
        load_row(from, first + r, row);
        mr_run64_row(m->run, row, one, own);
        for (uint32_t g = 0; g < m->forest->group_count; g++)
            sums[g * stride + r] = one[g];
    }
}

static size_t sum_bytes(uint32_t groups)
{
    return sizeof(double) * MR_RUN64_BLOCK_ROWS * groups;
}

static mr_status score_lightgbm(const mr_model *model, const mr_column *const *inputs, size_t first,
                                size_t count, const mr_model_out *out, mr_scratch *scratch,
                                mr_error *err)
{
    (void)err;
    const lightgbm_model *m = as_lightgbm(model);
    source from = {m, inputs};
    uint32_t groups = m->forest->group_count;
    for (size_t at = 0; at < count; at += MR_RUN64_BLOCK_ROWS) {
        size_t block = MR_MIN(count - at, (size_t)MR_RUN64_BLOCK_ROWS);
        double *sums =
            out->margins != NULL ? (double *)out->margins + at : (double *)(void *)scratch->bytes;
        size_t stride = out->margins != NULL ? out->stride : MR_RUN64_BLOCK_ROWS;
        sum_block(&from, first + at, block, sums, stride, scratch->bytes + sum_bytes(groups));
        if (out->scores != NULL)
            mr_lightgbm_objective_apply(&m->objective, m->divisor, groups, sums, stride, block,
                                        (double *)out->scores + at, out->stride);
    }
    return MR_OK;
}

/* ---- explaining: node i < split_count is a split, the others are leaves ---- */

static uint32_t root_of(const void *context, uint32_t tree, uint32_t *out_group)
{
    const mr_forest64 *forest = ((const lightgbm_model *)context)->forest;
    uint32_t first = forest->first_splits[tree];
    *out_group = forest->groups[tree];
    return first < forest->first_splits[tree + 1]
               ? first
               : forest->split_count + forest->first_leaves[tree];
}

/* The tree a split belongs to: the last that begins at or before it. */
static uint32_t tree_of(const mr_forest64 *forest, uint32_t split)
{
    uint32_t low = 0, high = forest->tree_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (forest->first_splits[middle] <= split)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static uint32_t number_of(const mr_forest64 *forest, uint32_t tree, int32_t child)
{
    return child >= 0 ? forest->first_splits[tree] + (uint32_t)child
                      : forest->split_count + forest->first_leaves[tree] + (uint32_t)~child;
}

static mr_shap_node node_of(const void *context, uint32_t number)
{
    const mr_forest64 *forest = ((const lightgbm_model *)context)->forest;
    double cover = forest->covers[number];
    if (number >= forest->split_count)
        return (mr_shap_node){.value = forest->leaves[number - forest->split_count],
                              .cover = cover,
                              .feature = MR_SHAP_LEAF};
    const mr_split64 *split = &forest->splits[number];
    uint32_t tree = tree_of(forest, number);
    return (mr_shap_node){.value = split->threshold,
                          .cover = cover,
                          .feature = split->feature,
                          .left = number_of(forest, tree, split->left),
                          .right = number_of(forest, tree, split->right),
                          .set = split->set,
                          .view = (uint8_t)mr_view64_of(split)};
}

static void load_view(const void *context, uint32_t feature, const mr_column *column, uint8_t view,
                      size_t first, size_t count, double *out)
{
    load_values(context, feature, column, first, count, out);
    for (size_t r = 0; r < count; r++)
        out[r] = mr_view64_value((mr_view64)view, out[r]);
}

static bool goes_left(const void *context, uint32_t set, double x)
{
    return mr_forest64_member(((const lightgbm_model *)context)->forest, set, x);
}

static mr_status create_explainer(lightgbm_model *m, const mr_model_options *options, mr_error *err)
{
    static const double none[MR_MODEL_OUTPUTS_MAX] = {0};
    mr_shap_forest view = {.forest = m,
                           .tree_count = m->forest->tree_count,
                           .group_count = m->forest->group_count,
                           .feature_count = m->forest->feature_count,
                           .root = root_of,
                           .node = node_of,
                           .load = load_view,
                           .goes_left = goes_left};
    const char *refusal =
        m->forest->linear != NULL
            ? "the leaves are linear: path-dependent contributions are not defined for them"
        : m->forest->covers == NULL ? "contributions need leaf_count and internal_count of every "
                                      "tree, which the model's file does not have"
                                    : NULL;
    return mr_tree_explainer_create_of(&view, none, refusal, m->model.kind, options, &m->explainer,
                                       err);
}

static mr_status explain_lightgbm(const mr_model *model, const mr_column *const *inputs,
                                  size_t first, size_t count, double *out, mr_scratch *scratch,
                                  mr_error *err)
{
    return mr_tree_explainer_run(as_lightgbm(model)->explainer, inputs, first, count, out, scratch,
                                 err);
}

/* ---- categories by name ---- */

/* How many codes a category's `feature_infos` names: "-1:0:2" names up to 2, three; 0: it is none. */
static int64_t codes_of(const char *info)
{
    int64_t top = -1;
    if (info[0] == '[' || strcmp(info, "none") == 0)
        return 0;
    while (*info != '\0') {
        const char *end = strchrnul(info, ':');
        int64_t code;
        if (!mr_number_is_int64(info, (size_t)(end - info), &code))
            return 0;
        top = MR_MAX(top, code);
        info = *end != '\0' ? end + 1 : end;
    }
    return top + 1;
}

static bool all_plain(const mr_lightgbm_categories *categories)
{
    for (uint32_t i = 0; i < categories->count; i++)
        if (!categories->list[i].is_plain)
            return false;
    return true;
}

/* The file says which features have the lists, one after the other. */
static mr_status name_columns(lightgbm_model *m, const mr_lightgbm_file *file, mr_error *err)
{
    const char *name = (const char *)file->columns.data;
    if (file->column_count != m->categories.count)
        return MR_FAIL(err, MR_INVALID,
                       "pandas_columns names %u columns, pandas_categorical has %u lists",
                       file->column_count, m->categories.count);
    for (uint32_t i = 0; i < file->column_count; i++) {
        int64_t feature = mr_model_input_find(&m->model, name);
        if (feature < 0)
            return MR_FAIL(err, MR_INVALID, "pandas_columns names '%.100s', which is no input",
                           name);
        m->category_of[feature] = &m->categories.list[i];
        name += strlen(name) + 1;
    }
    return MR_OK;
}

/* Features marked as categories take the lists in order, when there are as many and each has as many codes. */
static mr_status match_columns(lightgbm_model *m, const mr_lightgbm_file *file, mr_error *err)
{
    uint32_t found = 0;
    bool alike = true;
    const char *info = (const char *)file->infos.data;
    for (uint32_t f = 0; f < file->info_count; f++) {
        int64_t codes = codes_of(info);
        info += strlen(info) + 1;
        if (codes == 0)
            continue;
        if (found < m->categories.count) {
            m->category_of[f] = &m->categories.list[found];
            alike = alike && codes == m->categories.list[found].count;
        }
        found++;
    }
    if (found == m->categories.count && alike)
        return MR_OK;
    return MR_FAIL(err, MR_UNSUPPORTED,
                   "pandas_categorical has %u lists, and %u of the features are marked as "
                   "categories%s: which column has which list cannot be told; say it in a line "
                   "pandas_columns=NAME NAME before it (the frame's columns of type category, in "
                   "its order)",
                   m->categories.count, found, alike ? "" : ", not all with as many values");
}

static mr_status bind_categories(lightgbm_model *m, mr_lightgbm_file *file, mr_error *err)
{
    m->categories = file->categories;
    file->categories = (mr_lightgbm_categories){0};
    if (file->column_count > 0)
        MR_TRY(name_columns(m, file, err));
    else if (!all_plain(&m->categories))
        MR_TRY(match_columns(m, file, err));
    for (uint32_t f = 0; f < m->forest->feature_count; f++)
        m->types[f] =
            m->category_of[f] != NULL && m->category_of[f]->is_text ? MR_STRING : MR_FLOAT64;
    return MR_OK;
}

/* ---- birth ---- */

static void describe(lightgbm_model *m)
{
    const mr_forest64 *forest = m->forest;
    (void)snprintf(m->description, sizeof m->description,
                   "%u trees, up to %u leaves, depth %u, %u leaves in all%s; batches by %s",
                   forest->tree_count, forest->leaves_max, forest->depth_max, forest->leaf_count,
                   forest->linear != NULL ? ", linear" : "", mr_run64_batch_kernel(m->run));
    m->model.signature.description = m->description;
}

static void sign(lightgbm_model *m)
{
    m->model.signature = (mr_model_signature){.objective = m->objective.name,
                                              .input_count = m->forest->feature_count,
                                              .input_names = m->inputs.list,
                                              .input_types = m->types,
                                              .margin_count = m->forest->group_count,
                                              .output_count = m->forest->group_count,
                                              .output_names = m->outputs.list,
                                              .float_bits = 64};
}

/* Names the library makes up when it is given none are none: the caller's count then. */
static bool names_made_up(const mr_lightgbm_file *file)
{
    const char *name = (const char *)file->names.data;
    for (uint32_t f = 0; f < file->name_count; f++) {
        char made[32];
        (void)snprintf(made, sizeof made, "Column_%u", f);
        if (strcmp(name, made) != 0)
            return false;
        name += strlen(name) + 1;
    }
    return true;
}

static mr_status fill(lightgbm_model *m, mr_lightgbm_file *file, const mr_model_options *options,
                      mr_error *err)
{
    const mr_setting_spec *table = mr_model_lightgbm.settings;
    const mr_setting *s = options->settings;
    size_t n = options->setting_count;
    uint32_t features = file->feature_count, groups = file->group_count;
    uint32_t trees = file->forest.tree_count;
    m->objective = file->objective;
    m->divisor = file->average_output ? (double)(trees / groups) : 1.0;
    MR_TRY(mr_forest64_finish(&file->forest, groups, &m->forest, err));
    m->category_of = mr_alloc_zero(features, sizeof *m->category_of);
    m->types = mr_alloc_zero(features, sizeof *m->types);
    if (m->category_of == NULL || m->types == NULL)
        return MR_OUT_OF_MEMORY(err);
    bool given = options->input_names != NULL && names_made_up(file);
    MR_TRY(mr_names_of_inputs(&m->inputs, given ? NULL : (const char *)file->names.data, options,
                              features, err));
    MR_TRY(mr_names_of_outputs(&m->outputs, m->objective.output, groups, err));
    sign(m);
    MR_TRY(bind_categories(m, file, err));
    MR_TRY(mr_run64_create(m->forest, mr_setting_text(table, s, n, "batch_kernel"),
                           mr_setting_text(table, s, n, "cpu"), &m->run, err));
    MR_TRY(create_explainer(m, options, err));
    describe(m);
    m->row_bytes = (sizeof(double) * features + MR_ALIGN - 1) / MR_ALIGN * MR_ALIGN;
    m->model.scratch_bytes = sum_bytes(groups) + m->row_bytes + mr_run64_scratch_bytes(m->run);
    return MR_OK;
}

static mr_status assemble(mr_lightgbm_file *file, const mr_model_options *options, mr_model **out,
                          mr_error *err)
{
    lightgbm_model *m = MR_NEW(lightgbm_model);
    if (m == NULL)
        return MR_OUT_OF_MEMORY(err);
    m->model.kind = &mr_model_lightgbm;
    mr_status status = fill(m, file, options, err);
    if (status != MR_OK)
        close_lightgbm(&m->model);
    else
        *out = &m->model;
    return status;
}

static mr_status open_lightgbm(const uint8_t *bytes, size_t size, const mr_model_options *options,
                               mr_model **out, mr_error *err)
{
    mr_lightgbm_file file;
    mr_status status = mr_lightgbm_read(bytes, size, &file, err);
    if (status == MR_OK) {
        status = assemble(&file, options, out, err);
        mr_lightgbm_file_deinit(&file);
    }
    if (status != MR_OK)
        mr_error_prefix(err, "LightGBM text");
    return status;
}

/* The first line is "tree", and a version comes soon. */
static bool recognise_lightgbm(const uint8_t *bytes, size_t size)
{
    static const char head[] = "tree\n", head_windows[] = "tree\r\n", version[] = "version=v";
    bool first =
        (size >= strlen(head) && memcmp(bytes, head, strlen(head)) == 0) ||
        (size >= strlen(head_windows) && memcmp(bytes, head_windows, strlen(head_windows)) == 0);
    return first && memmem(bytes, MR_MIN(size, 256u), version, strlen(version)) != NULL;
}

static const mr_setting_spec settings[] = {
    {"cpu", MR_SETTING_CHOICE, "auto", 0, 0, "auto|plain|avx2|avx512",
     "the newest instructions kernels may use; scores do not depend on it"},
    {"batch_kernel", MR_SETTING_CHOICE, "auto", 0, 0, "auto|walk|masks",
     "how batches are computed; auto measures at load; scores do not depend on it"},
    {0},
};

const mr_model_kind mr_model_lightgbm = {
    .name = "lightgbm",
    .sentence = "boosted trees and random forests as LightGBM 3 and 4 saves them as text",
    .settings = settings,
    .recognise = recognise_lightgbm,
    .open = open_lightgbm,
    .close = close_lightgbm,
    .score = score_lightgbm,
    .explain = explain_lightgbm,
};
