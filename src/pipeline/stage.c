/* stage.c -- one micro-batch through the stages: derive, features, derive, score, decide.
 *
 * Stages over rows are cut by row range, stages over keys by key shard; workers meet at a barrier in between.
 * (1) No stage's result depends on the number of workers. */
#include "pipeline/run_internal.h"

#include "base/assert.h"

#include <string.h>

#define PARALLEL_STEPS_MIN 512

/* ---- computed columns ---- */

mr_status run_compute(mr_pipeline *pipeline, const plan_columns *columns, source_rows *rows,
                      mr_error *err)
{
    eval_item items[64];
    for (size_t i = 0; i < columns->count;) {
        size_t count = 0;
        for (; i < columns->count && count < MR_COUNT_OF(items); i++, count++)
            items[count] =
                (eval_item){columns->items[i].expr, &rows->columns[columns->items[i].index]};
        /* Counted before they are there: a failure half way must release those that are. */
        rows->column_count = columns->items[i - 1].index + 1;
        MR_TRY(eval_columns(pipeline, items, count, rows->columns, rows->count, err));
    }
    return MR_OK;
}

/* ---- features ---- */

mr_status run_eval_inputs(mr_pipeline *pipeline, const plan_input *inputs, size_t count,
                          const source_rows *rows, mr_column *out, mr_error *err)
{
    eval_item items[MR_VIEW_INPUTS_MAX];
    for (size_t i = 0; i < count; i++)
        items[i] = (eval_item){inputs[i].expr, &out[i]};
    return eval_columns(pipeline, items, count, rows->columns, rows->count, err);
}

static void add_steps(mr_view_step *steps, const source_rows *rows, uint32_t act)
{
    for (uint32_t row = 0; row < rows->count; row++) {
        mr_view_step *step = &steps[rows->merged != NULL ? rows->merged[row] : row];
        *step = (mr_view_step){.row = row, .output = row, .act = act};
    }
}

/* The merged sequence as this view sees it; NULL when every record is both an update and a question. */
static const mr_view_step *make_steps(mr_pipeline *pipeline, const micro_batch *batch,
                                      const run_view *view)
{
    const source_rows *updates = &batch->sources[view->plan->source];
    const source_rows *queries = &batch->sources[pipeline->plan->on];
    if (view->plan->self && updates->merged == NULL && updates->count == batch->rows)
        return NULL;
    mr_view_step *steps = pipeline->steps + (size_t)(view - pipeline->views) * pipeline->rows_max;
    memset(steps, 0, batch->rows * sizeof *steps);
    add_steps(steps, updates, view->plan->self ? MR_VIEW_BOTH : MR_VIEW_UPDATE);
    if (!view->plan->self)
        add_steps(steps, queries, MR_VIEW_QUERY);
    return steps;
}

static mr_status begin_view(mr_pipeline *pipeline, const micro_batch *batch, run_view *view,
                            mr_error *err)
{
    const plan_view *plan = view->plan;
    const source_rows *updates = &batch->sources[plan->source];
    const source_rows *queries = &batch->sources[pipeline->plan->on];
    static const mr_column none;
    if (updates->count > 0) {
        MR_TRY(
            run_eval_inputs(pipeline, plan->inputs, plan->input_count, updates, view->inputs, err));
        MR_TRY(
            run_eval_inputs(pipeline, plan->wheres, plan->where_count, updates, view->wheres, err));
    }
    for (size_t i = 0; i < plan->spec.key_count; i++) {
        view->keys[i] = updates->count > 0 ? updates->columns[plan->key_columns[i]] : none;
        view->lookups[i] = queries->count > 0 ? queries->columns[plan->lookup_columns[i]] : none;
    }
    uint32_t update_time = pipeline->plan->sources[plan->source].event_time;
    uint32_t query_time = pipeline->plan->sources[pipeline->plan->on].event_time;
    mr_view_input input = {
        .first_position = batch->position,
        .steps = make_steps(pipeline, batch, view),
        .step_count = batch->rows,
        .updates = {updates->count, view->keys, &updates->columns[update_time], view->inputs,
                    view->wheres},
        .queries = {queries->count, view->lookups, &queries->columns[query_time], NULL, NULL},
        .output_rows = queries->count,
    };
    return mr_view_begin(view->work, &input, err);
}

static void hash_task(void *context, int worker)
{
    mr_pipeline *pipeline = context;
    for (size_t i = 0; i < pipeline->plan->view_count; i++)
        mr_view_hash(pipeline->views[i].work, worker);
}

static void walk_task(void *context, int worker)
{
    mr_pipeline *pipeline = context;
    for (size_t i = 0; i < pipeline->plan->view_count; i++)
        mr_view_walk(pipeline->views[i].work, worker);
}

/* A few rows are done sooner by one than by a barrier. */
static void on_workers(mr_pipeline *pipeline, uint32_t rows, void (*task)(void *, int))
{
    if (rows >= PARALLEL_STEPS_MIN && pipeline->workers > 1) {
        mr_pool_run(pipeline->pool, task, pipeline);
        return;
    }
    for (int worker = 0; worker < pipeline->workers; worker++)
        task(pipeline, worker);
}

static mr_status finish_view(mr_pipeline *pipeline, micro_batch *batch, run_view *view,
                             mr_error *err)
{
    source_rows *rows = &batch->sources[pipeline->plan->on];
    MR_TRY(mr_view_finish(view->work, &rows->columns[view->plan->first_output], err));
    rows->column_count = view->plan->first_output + view->plan->output_count;
    return MR_OK;
}

static void release_inputs(run_view *view)
{
    for (size_t i = 0; i < view->plan->input_count; i++)
        mr_column_release(&view->inputs[i]);
    for (size_t i = 0; i < view->plan->where_count; i++)
        mr_column_release(&view->wheres[i]);
}

static mr_status features(mr_pipeline *pipeline, micro_batch *batch, mr_error *err)
{
    size_t count = pipeline->plan->view_count;
    mr_status status = MR_OK;
    for (size_t i = 0; i < count && status == MR_OK; i++)
        status = begin_view(pipeline, batch, &pipeline->views[i], err);
    if (status == MR_OK && count > 0) {
        on_workers(pipeline, batch->rows, hash_task);
        on_workers(pipeline, batch->rows, walk_task);
    }
    for (size_t i = 0; i < count && status == MR_OK; i++)
        status = finish_view(pipeline, batch, &pipeline->views[i], err);
    for (size_t i = 0; i < count; i++)
        release_inputs(&pipeline->views[i]);
    return status;
}

/* ---- all of it ---- */

mr_status run_stages(mr_pipeline *pipeline, micro_batch *batch, mr_error *err)
{
    const mr_plan *plan = pipeline->plan;
    source_rows *rows = &batch->sources[plan->on];
    if (rows->count > 0)
        MR_TRY(run_compute(pipeline, &plan->early, rows, err));
    MR_TRY(run_rows_filter(pipeline, plan->filter, rows, err));
    MR_TRY(run_emits_batch(pipeline, batch, err));
    MR_TRY(features(pipeline, batch, err));
    if (rows->count == 0)
        return run_trial_batch(pipeline, batch, NULL, err);
    MR_TRY(run_compute(pipeline, &plan->late, rows, err));
    if (pipeline->at_rest && !run_again_wants(pipeline, batch))
        return MR_OK; /* only state is asked for */
    MR_TRY(run_score(pipeline, rows, err));
    MR_TRY(run_compute(pipeline, &plan->decide, rows, err));
    MR_TRY(run_evidence(pipeline, batch, rows, err));
    return pipeline->at_rest ? run_again_keep(pipeline, batch, rows, err)
                             : run_shadow_rows(pipeline, batch, rows, err);
}
