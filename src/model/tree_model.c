/* tree_model.c -- a forest behind the model interface: which kernels run, and when.
 *
 * At load every kernel that can run here and that suits the forest's shape is timed for a few milliseconds
 * on rows drawn from the forest's own thresholds; the fastest one for rows and the fastest one for batches
 * stay. Few rows at the end of a batch go row by row when that is cheaper than a block. None of this can be
 * seen in the scores. */
#include "model/tree_model.h"

#include "base/assert.h"
#include "model/model_internal.h"
#include "model/explain_trees.h"
#include "model/names.h"
#include "model/tree_kernel.h"
#include "os/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEASURE_ROWS        64
#define MEASURE_COLUMNS_MAX 256
#define MEASURE_NS_MAX      2000000 /* per kernel and purpose */
#define MEASURE_ROUNDS_MAX  5
#define DESCRIPTION_BYTES   256
#define TURN_ROWS           16 /* rows turned from columns to rows at once */

static const mr_tree_kernel *const kernels[] = {
    &mr_tree_walk,         &mr_tree_answers,
#if defined(__x86_64__)
    &mr_tree_masks_avx2,   &mr_tree_masks_avx512, &mr_tree_ranks_avx512,
    &mr_tree_lanes_avx512, &mr_tree_lanes_avx2,
#endif
};

typedef struct tree_model {
    mr_model model;
    mr_forest *forest;
    const mr_tree_objective *objective;
    mr_tree_plan *batch, *row; /* may be the same */
    size_t rows_max;           /* up to so many rows go one by one */
    mr_tree_explainer *explainer;
    mr_names inputs, outputs;
    char description[DESCRIPTION_BYTES];
} tree_model;

static const tree_model *as_trees(const mr_model *model)
{
    return (const tree_model *)(const void *)model;
}

/* ---- scratch: margins of a block | rows of floats | a converted column | the kernels' own ---- */

typedef struct work {
    float *margins, *rows, *column;
    uint8_t *kernel;
} work;

static size_t rounded(size_t bytes)
{
    return (bytes + MR_ALIGN - 1) / MR_ALIGN * MR_ALIGN;
}

static size_t margin_bytes(const mr_forest *forest)
{
    return rounded(sizeof(float) * MR_TREE_BLOCK_ROWS * forest->group_count);
}

static size_t row_bytes(const mr_forest *forest)
{
    return rounded(sizeof(float) * TURN_ROWS * forest->feature_count);
}

static work work_of(const tree_model *trees, uint8_t *bytes)
{
    work w = {.margins = (float *)(void *)bytes};
    w.column = (float *)(void *)(bytes + margin_bytes(trees->forest));
    w.rows = w.column + MR_TREE_BLOCK_ROWS;
    w.kernel = (uint8_t *)w.rows + row_bytes(trees->forest);
    return w;
}

static size_t work_bytes(const mr_forest *forest, size_t kernel_bytes)
{
    return margin_bytes(forest) + sizeof(float) * MR_TREE_BLOCK_ROWS + row_bytes(forest) +
           rounded(kernel_bytes);
}

/* ---- scoring ---- */

/* At most TURN_ROWS rows, one by one. */
static void score_few(const tree_model *trees, const mr_column *const *inputs, size_t first,
                      size_t count, float *margins, size_t stride, const work *w)
{
    float sums[MR_MODEL_OUTPUTS_MAX];
    uint32_t features = trees->forest->feature_count;
    for (uint32_t f = 0; f < features; f++) {
        mr_model_convert(inputs[f], first, count, w->column);
        for (size_t r = 0; r < count; r++)
            w->rows[r * features + f] = w->column[r];
    }
    for (size_t r = 0; r < count; r++) {
        trees->row->kernel->row(trees->row, w->rows + r * features, sums, w->kernel);
        for (uint32_t g = 0; g < trees->forest->group_count; g++)
            margins[g * stride + r] = sums[g];
    }
}

static void score_block(const tree_model *trees, const mr_column *const *inputs, size_t first,
                        size_t count, float *margins, size_t stride, const work *w)
{
    if (count > trees->rows_max)
        trees->batch->kernel->batch(trees->batch, inputs, first, count, margins, stride, w->kernel);
    else
        for (size_t r = 0; r < count; r += TURN_ROWS)
            score_few(trees, inputs, first + r, MR_MIN(count - r, (size_t)TURN_ROWS), margins + r,
                      stride, w);
}

mr_status mr_tree_model_score(const mr_model *model, const mr_column *const *inputs, size_t first,
                              size_t count, const mr_model_out *out, mr_scratch *scratch,
                              mr_error *err)
{
    (void)err;
    const tree_model *trees = as_trees(model);
    work w = work_of(trees, scratch->bytes);
    for (size_t at = 0; at < count; at += MR_TREE_BLOCK_ROWS) {
        size_t block = MR_MIN(count - at, (size_t)MR_TREE_BLOCK_ROWS);
        float *margins = out->margins != NULL ? (float *)out->margins + at : w.margins;
        size_t stride = out->margins != NULL ? out->stride : MR_TREE_BLOCK_ROWS;
        score_block(trees, inputs, first + at, block, margins, stride, &w);
        if (out->scores != NULL)
            mr_tree_objective_apply(trees->objective, trees->forest->group_count, margins, stride,
                                    block, (float *)out->scores + at, out->stride);
    }
    return MR_OK;
}

void mr_tree_model_score_row(const mr_model *model, const float *inputs, float *out_margins,
                             float *out_scores, mr_scratch *scratch)
{
    const tree_model *trees = as_trees(model);
    work w = work_of(trees, scratch->bytes);
    float *margins = out_margins != NULL ? out_margins : w.margins;
    trees->row->kernel->row(trees->row, inputs, margins, w.kernel);
    if (out_scores != NULL)
        mr_tree_objective_apply(trees->objective, trees->forest->group_count, margins, 1, 1,
                                out_scores, 1);
}

mr_status mr_tree_model_explain(const mr_model *model, const mr_column *const *inputs, size_t first,
                                size_t count, double *out, mr_scratch *scratch, mr_error *err)
{
    return mr_tree_explainer_run(as_trees(model)->explainer, inputs, first, count, out, scratch,
                                 err);
}

/* ---- which kernels may run ---- */

typedef struct kernel_choice {
    const char *batch_kernel, *row_kernel;
    mr_tree_cpu cpu_max;
    bool fast;
} kernel_choice;

static kernel_choice choice_of(const mr_model_kind *kind, const mr_model_options *options)
{
    const mr_setting *s = options->settings;
    size_t n = options->setting_count;
    const char *cpu = mr_setting_text(kind->settings, s, n, "cpu");
    return (kernel_choice){
        .batch_kernel = mr_setting_text(kind->settings, s, n, "batch_kernel"),
        .row_kernel = mr_setting_text(kind->settings, s, n, "row_kernel"),
        .cpu_max = strcmp(cpu, "plain") == 0  ? MR_CPU_PLAIN
                   : strcmp(cpu, "avx2") == 0 ? MR_CPU_AVX2
                                              : MR_CPU_AVX512,
        .fast = strcmp(mr_setting_text(kind->settings, s, n, "sum"), "fast") == 0,
    };
}

static bool is_wanted(const char *wanted, const char *name)
{
    return strcmp(wanted, "auto") == 0 || strncmp(wanted, name, strlen(wanted)) == 0;
}

static bool may_run(const mr_tree_kernel *kernel, const kernel_choice *choice)
{
    return kernel->cpu <= choice->cpu_max && (kernel->runs_here == NULL || kernel->runs_here());
}

/* ---- measuring ---- */

/* Features share columns when there are many: a probe must stay small whatever a file claims. */
typedef struct probe {
    const mr_forest *forest;
    uint32_t column_count;
    float *values; /* MR_TREE_BLOCK_ROWS of each column */
    float *rows;   /* MEASURE_ROWS x feature_count */
    mr_column columns[MEASURE_COLUMNS_MAX];
    const mr_column **inputs;
    uint8_t *scratch;
} probe;

static void probe_deinit(probe *p)
{
    mr_free(p->values);
    mr_free(p->rows);
    mr_free(p->inputs);
    mr_free(p->scratch);
}

/* Values around thresholds of the model, so that walks take every turn. */
static void fill_values(probe *p)
{
    mr_random_seeded random;
    mr_random_seeded_init(&random, 1);
    const mr_forest *forest = p->forest;
    MR_ASSERT(p->column_count > 0);
    size_t total = (size_t)MR_TREE_BLOCK_ROWS * p->column_count;
    for (size_t i = 0; i < total; i++)
        p->values[i] = (float)mr_random_unit(&random);
    for (size_t i = 0; i < total && forest->node_count > 0; i++) {
        const mr_tree_node *node = &forest->nodes[mr_random_below(&random, forest->node_count)];
        size_t column = node->feature % p->column_count;
        if (node->feature != MR_TREE_LEAF && node->set == 0)
            p->values[column * MR_TREE_BLOCK_ROWS + i % MR_TREE_BLOCK_ROWS] = node->value;
    }
}

static void fill_probe(probe *p)
{
    fill_values(p);
    MR_ASSERT(p->column_count > 0);
    for (uint32_t c = 0; c < p->column_count; c++)
        p->columns[c] = (mr_column){.type = {MR_FLOAT32, 0},
                                    .values = p->values + (size_t)c * MR_TREE_BLOCK_ROWS};
    for (uint32_t f = 0; f < p->forest->feature_count; f++) {
        p->inputs[f] = &p->columns[f % p->column_count];
        for (size_t r = 0; r < MEASURE_ROWS; r++)
            p->rows[r * p->forest->feature_count + f] =
                p->values[(size_t)(f % p->column_count) * MR_TREE_BLOCK_ROWS + r];
    }
}

static mr_status probe_init(probe *p, const mr_forest *forest, size_t scratch_bytes, mr_error *err)
{
    size_t features = MR_MAX(forest->feature_count, 1); /* a model may be constant */
    *p = (probe){.forest = forest,
                 .column_count = (uint32_t)MR_MIN(features, (size_t)MEASURE_COLUMNS_MAX)};
    p->values = mr_alloc(sizeof(float) * MR_TREE_BLOCK_ROWS * p->column_count);
    p->rows = mr_alloc(sizeof(float) * MEASURE_ROWS * features);
    p->inputs = mr_alloc(sizeof *p->inputs * features);
    p->scratch = mr_alloc_aligned(scratch_bytes + margin_bytes(forest));
    if (p->values == NULL || p->rows == NULL || p->inputs == NULL || p->scratch == NULL) {
        probe_deinit(p);
        return MR_OUT_OF_MEMORY(err);
    }
    fill_probe(p);
    return MR_OK;
}

static void run_batch(const probe *p, const mr_tree_plan *plan)
{
    float *margins = (float *)(void *)p->scratch;
    plan->kernel->batch(plan, p->inputs, 0, MR_TREE_BLOCK_ROWS, margins, MR_TREE_BLOCK_ROWS,
                        p->scratch + margin_bytes(p->forest));
}

static void run_rows(const probe *p, const mr_tree_plan *plan)
{
    for (size_t r = 0; r < MEASURE_ROWS; r++)
        plan->kernel->row(plan, p->rows + r * p->forest->feature_count, (float *)(void *)p->scratch,
                          p->scratch + margin_bytes(p->forest));
}

/* Best of a few rounds, in nanoseconds; the first one warms up and counts only when it is long. A round that was
 * interrupted is as long as a slow kernel's, so there are two at least when rounds should be short. */
static int64_t time_best(const probe *p, const mr_tree_plan *plan,
                         void (*run)(const probe *, const mr_tree_plan *), int rounds_min)
{
    mr_clock *clock = mr_clock_real();
    int64_t start = clock->mono_ns(clock), best = INT64_MAX, now = start;
    for (int i = 0; i < rounds_min || (i < MEASURE_ROUNDS_MAX && now - start < MEASURE_NS_MAX);
         i++) {
        int64_t before = now;
        run(p, plan);
        now = clock->mono_ns(clock);
        best = MR_MIN(best, now - before);
    }
    return best;
}

/* ---- choosing ---- */

typedef struct candidates {
    mr_tree_plan *plans[MR_COUNT_OF(kernels)];
    size_t count;
} candidates;

static void drop_others(candidates *all, const mr_tree_plan *a, const mr_tree_plan *b)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->plans[i] != a && all->plans[i] != b)
            all->plans[i]->kernel->destroy(all->plans[i]);
    all->count = 0;
}

static mr_status plan_all(const mr_forest *forest, const mr_tree_ranks *ranks,
                          const kernel_choice *choice, candidates *all, mr_error *err)
{
    for (size_t i = 0; i < MR_COUNT_OF(kernels); i++) {
        const mr_tree_kernel *kernel = kernels[i];
        bool batch = kernel->batch != NULL && is_wanted(choice->batch_kernel, kernel->name);
        bool row = kernel->row != NULL && is_wanted(choice->row_kernel, kernel->name);
        mr_tree_plan *plan = NULL;
        if (!may_run(kernel, choice) || !(batch || row))
            continue;
        MR_TRY(kernel->plan(forest, ranks, choice->fast, &plan, err));
        if (plan != NULL)
            all->plans[all->count++] = plan;
    }
    return MR_OK;
}

static bool can(const mr_tree_plan *plan, bool batch, const char *wanted)
{
    bool has = batch ? plan->kernel->batch != NULL : plan->kernel->row != NULL;
    return has && is_wanted(wanted, plan->kernel->name);
}

static size_t count_able(const candidates *all, bool batch, const char *wanted)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++)
        count += can(all->plans[i], batch, wanted);
    return count;
}

/* The fastest, and its time; without a probe the first, and no time. */
static mr_tree_plan *best_of(const candidates *all, const probe *p, const char *wanted, bool batch,
                             int64_t *out_ns)
{
    mr_tree_plan *best = NULL;
    *out_ns = 0;
    for (size_t i = 0; i < all->count; i++) {
        mr_tree_plan *plan = all->plans[i];
        if (!can(plan, batch, wanted))
            continue;
        int64_t ns = p == NULL ? 0
                     : batch   ? time_best(p, plan, run_batch, 1)
                               : time_best(p, plan, run_rows, 3);
        if (best == NULL || ns < *out_ns) {
            best = plan;
            *out_ns = ns;
        }
    }
    return best;
}

/* How many rows are cheaper one by one than as a block: all of them, where only plain C runs and the forest is large. A
 * forced batch kernel takes all. */
static size_t rows_below(const kernel_choice *choice, int64_t batch_ns, int64_t row_ns)
{
    if (row_ns <= 0 || strcmp(choice->batch_kernel, "auto") != 0)
        return 0;
    return MR_MIN((size_t)(batch_ns * MEASURE_ROWS / row_ns), (size_t)MR_TREE_BLOCK_ROWS);
}

/* A single candidate is not timed: large forests would pay for a foregone conclusion. */
static mr_status choose_best(tree_model *trees, const kernel_choice *choice, const candidates *all,
                             mr_error *err)
{
    size_t scratch_bytes = 0;
    for (size_t i = 0; i < all->count; i++)
        scratch_bytes = MR_MAX(scratch_bytes, all->plans[i]->scratch_bytes);
    bool timed = count_able(all, true, choice->batch_kernel) > 1 ||
                 count_able(all, false, choice->row_kernel) > 1;
    probe p = {0};
    if (timed)
        MR_TRY(probe_init(&p, trees->forest, scratch_bytes, err));
    int64_t batch_ns, row_ns;
    trees->batch = best_of(all, timed ? &p : NULL, choice->batch_kernel, true, &batch_ns);
    trees->row = best_of(all, timed ? &p : NULL, choice->row_kernel, false, &row_ns);
    trees->rows_max = rows_below(choice, batch_ns, row_ns);
    probe_deinit(&p);
    return MR_OK;
}

static mr_status choose(tree_model *trees, const kernel_choice *choice, candidates *all,
                        mr_error *err)
{
    MR_TRY(choose_best(trees, choice, all, err));
    if (trees->batch == NULL || trees->row == NULL)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "batch_kernel=%s, row_kernel=%s: no such kernel runs here for this forest "
                       "(%u trees, depth %u); auto finds one",
                       choice->batch_kernel, choice->row_kernel, trees->forest->tree_count,
                       trees->forest->depth_max);
    drop_others(all, trees->batch, trees->row);
    trees->model.scratch_bytes =
        work_bytes(trees->forest, MR_MAX(trees->batch->scratch_bytes, trees->row->scratch_bytes));
    return MR_OK;
}

static mr_status choose_kernels(tree_model *trees, const mr_model_options *options, mr_error *err)
{
    kernel_choice choice = choice_of(trees->model.kind, options);
    candidates all = {0};
    mr_tree_ranks *ranks;
    MR_TRY(mr_tree_ranks_create(trees->forest, &ranks, err));
    mr_status status = plan_all(trees->forest, ranks, &choice, &all, err);
    mr_tree_ranks_destroy(ranks);
    if (status == MR_OK)
        status = choose(trees, &choice, &all, err);
    if (status != MR_OK) {
        drop_others(&all, NULL, NULL);
        trees->batch = trees->row = NULL;
    }
    return status;
}

/* ---- names ---- */

static mr_status name_all(tree_model *trees, const mr_tree_source *source,
                          const mr_model_options *options, mr_error *err)
{
    uint32_t outputs = mr_tree_objective_outputs(trees->objective, trees->forest->group_count);
    MR_TRY(mr_names_of_inputs(&trees->inputs, source->names, options, trees->forest->feature_count,
                              err));
    trees->model.signature.output_count = outputs;
    return mr_names_of_outputs(&trees->outputs, trees->objective->output, outputs, err);
}

static void describe(tree_model *trees)
{
    const mr_forest *forest = trees->forest;
    (void)snprintf(trees->description, sizeof trees->description,
                   "%u trees, depth %u, %u nodes, %u categorical sets; batches by %s, rows by %s, "
                   "up to %zu rows one by one",
                   forest->tree_count, forest->depth_max, forest->node_count, forest->set_count,
                   trees->batch->kernel->name, trees->row->kernel->name, trees->rows_max);
    trees->model.signature.objective = trees->objective->name;
    trees->model.signature.input_count = forest->feature_count;
    trees->model.signature.input_names = trees->inputs.list;
    trees->model.signature.margin_count = forest->group_count;
    trees->model.signature.output_names = trees->outputs.list;
    trees->model.signature.float_bits = 32;
    trees->model.signature.description = trees->description;
}

/* ---- birth and death ---- */

mr_status mr_tree_model_create(const mr_model_kind *kind, mr_forest *forest,
                               const mr_tree_source *source, const mr_model_options *options,
                               mr_model **out, mr_error *err)
{
    tree_model *trees = MR_NEW(tree_model);
    if (trees == NULL) {
        mr_forest_destroy(forest);
        return MR_OUT_OF_MEMORY(err);
    }
    trees->model.kind = kind;
    trees->forest = forest;
    trees->objective = source->objective;
    mr_status status = name_all(trees, source, options, err);
    if (status == MR_OK)
        status = mr_tree_explainer_create(forest, kind, options, &trees->explainer, err);
    if (status == MR_OK)
        status = choose_kernels(trees, options, err);
    if (status != MR_OK) {
        mr_tree_model_close(&trees->model);
        return status;
    }
    describe(trees);
    *out = &trees->model;
    return MR_OK;
}

void mr_tree_model_close(mr_model *model)
{
    tree_model *trees = (tree_model *)(void *)model;
    if (trees->batch != NULL)
        trees->batch->kernel->destroy(trees->batch);
    if (trees->row != NULL && trees->row != trees->batch)
        trees->row->kernel->destroy(trees->row);
    mr_tree_explainer_destroy(trees->explainer);
    mr_forest_destroy(trees->forest);
    mr_names_deinit(&trees->inputs);
    mr_names_deinit(&trees->outputs);
    mr_free(trees);
}

const char *mr_tree_model_batch_kernel(const mr_model *model)
{
    return as_trees(model)->batch->kernel->name;
}

const char *mr_tree_model_row_kernel(const mr_model *model)
{
    return as_trees(model)->row->kernel->name;
}

const mr_forest *mr_tree_model_forest(const mr_model *model)
{
    return as_trees(model)->forest;
}
