/* cast_reasons.c -- why the records of a micro-batch were scored so, each by the part that decided it.
 *
 * (1) A record's text depends on the record and its part alone. */
#include "pipeline/run_internal.h"

#include "base/assert.h"

#include <string.h>

#define PARALLEL_ROWS_MIN 32 /* a row takes microseconds */

typedef struct reasons_task {
    mr_pipeline *pipeline;
    const cast_part *part;
    uint32_t count; /* rows in pipeline->selection */
    int workers;
    mr_bytes *texts; /* one per worker */
    size_t *ends;    /* in the worker's text, per row */
} reasons_task;

static uint32_t first_of(const reasons_task *task, int worker)
{
    return (uint32_t)((uint64_t)task->count * (uint64_t)worker / (uint64_t)task->workers);
}

static void write_range(void *context, int worker)
{
    const reasons_task *task = context;
    uint32_t first = first_of(task, worker), count = first_of(task, worker + 1) - first;
    mr_error *err = &task->pipeline->worker_errors[worker];
    mr_error_clear(err);
    if (count > 0)
        err->status = mr_reasons_write(task->part->reasons, task->part->binding, task->part->inputs,
                                       task->pipeline->selection + first, count,
                                       task->part->scratches[worker], &task->texts[worker],
                                       task->ends + first, err);
}

static mr_status write_part(reasons_task *task, const source_rows *rows, mr_text *texts,
                            mr_error *err)
{
    mr_pipeline *pipeline = task->pipeline;
    task->workers = task->count >= PARALLEL_ROWS_MIN ? pipeline->workers : 1;
    run_lend_inputs(task->part, rows);
    for (int worker = 0; worker < pipeline->workers; worker++)
        mr_error_clear(&pipeline->worker_errors[worker]);
    if (task->workers > 1)
        mr_pool_run(pipeline->pool, write_range, task);
    else
        write_range(task, 0);
    MR_TRY(run_worker_error(pipeline, err));
    for (int worker = 0; worker < task->workers; worker++) {
        size_t start = 0;
        for (uint32_t i = first_of(task, worker); i < first_of(task, worker + 1); i++) {
            texts[pipeline->selection[i]] =
                (mr_text){task->texts[worker].data + start, task->ends[i] - start};
            start = task->ends[i];
        }
    }
    return MR_OK;
}

/* ---- which rows ---- */

/* A score that is NULL lies within no limits. */
static bool is_asked(const plan_reasons *reasons, const mr_column *scores, uint32_t row)
{
    if (mr_column_is_null(scores, row))
        return false;
    double score = scores->type.id == MR_FLOAT64 ? ((const double *)scores->values)[row]
                                                 : (double)((const float *)scores->values)[row];
    return score >= reasons->score_min && score <= reasons->score_max;
}

static uint32_t select_rows(mr_pipeline *pipeline, const uint8_t *deciders, size_t part,
                            const source_rows *rows)
{
    const plan_score *plan = &pipeline->plan->score;
    const mr_column *scores = &rows->columns[plan->first_output];
    uint32_t count = 0;
    for (uint32_t row = 0; row < rows->count; row++)
        if (deciders[row] == part && is_asked(plan->reasons, scores, row))
            pipeline->selection[count++] = row;
    return count;
}

static mr_status write_parts(mr_pipeline *pipeline, const uint8_t *deciders,
                             const source_rows *rows, mr_bytes *bytes, size_t *ends, mr_text *texts,
                             mr_error *err)
{
    for (size_t i = 0; i < pipeline->cast->part_count; i++) {
        reasons_task task = {.pipeline = pipeline,
                             .part = &pipeline->cast->parts[i],
                             .count = select_rows(pipeline, deciders, i, rows),
                             .texts = bytes + i * (size_t)pipeline->workers,
                             .ends = ends};
        if (task.count > 0)
            MR_TRY(write_part(&task, rows, texts, err));
    }
    return MR_OK;
}

mr_status run_reasons(mr_pipeline *pipeline, const uint8_t *deciders, source_rows *rows,
                      mr_error *err)
{
    size_t lists = pipeline->cast->part_count * (size_t)pipeline->workers;
    mr_bytes *bytes = mr_alloc_zero(lists, sizeof *bytes);
    size_t *ends = mr_alloc(MR_MAX(rows->count, 1) * sizeof *ends);
    mr_text *texts = mr_alloc_zero(MR_MAX(rows->count, 1), sizeof *texts);
    bool whole = bytes != NULL && ends != NULL && texts != NULL;
    mr_status status = whole ? write_parts(pipeline, deciders, rows, bytes, ends, texts, err)
                             : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = mr_reasons_column(texts, rows->count,
                                   &rows->columns[pipeline->plan->score.reasons->column], err);
    for (size_t i = 0; bytes != NULL && i < lists; i++)
        mr_bytes_deinit(&bytes[i]);
    mr_free(bytes);
    mr_free(ends);
    mr_free(texts);
    return status;
}
