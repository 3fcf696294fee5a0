/* evidence_replay.c -- one decision once more: a pipeline at rest, replayed up to the decision's block.
 *
 *   newest checkpoint, or nothing | journal ... only state ... | positions of the block: score, decide, keep | end
 *
 * (1) A checkpoint serves when no slot of it is ahead of the block: then every feature the block needs is computed by
 *     the replay. Else the replay begins with the first record.
 * (2) What is kept are the rows that the sink got for the block's positions, whatever the cut of micro-batches. */
#include "pipeline/evidence.h"

#include "base/assert.h"
#include "pipeline/run_internal.h"

#include <stdio.h>
#include <string.h>

typedef struct run_again {
    const mr_decision *decision;
    const plan_sink *sink;
    mr_replayed *out;
    mr_bytes parts; /* mr_batch pointers: the sink's rows, by micro-batch */
    uint32_t rows;  /* in them */
    bool from_first;
    bool too_new; /* the checkpoint was ahead */
} run_again;

/* ---- what the pipeline asks ---- */

bool run_again_wants(const mr_pipeline *pipeline, const micro_batch *batch)
{
    const run_again *again = pipeline->again;
    return again != NULL && batch->position < again->decision->next &&
           batch->position + batch->rows > again->decision->first;
}

bool run_again_from_first(const mr_pipeline *pipeline)
{
    return pipeline->again != NULL && pipeline->again->from_first;
}

mr_status run_again_check(mr_pipeline *pipeline, uint64_t position_max, mr_error *err)
{
    run_again *again = pipeline->again;
    if (again == NULL || position_max <= again->decision->first)
        return MR_OK;
    again->too_new = true;
    return MR_FAIL(err, MR_CONFLICT, "the checkpoint has taken records behind position %llu",
                   (unsigned long long)again->decision->first);
}

void run_again_started(mr_pipeline *pipeline)
{
    if (pipeline->again != NULL)
        pipeline->again->out->started = pipeline->position;
}

mr_status run_again_end(const mr_pipeline *pipeline, uint64_t *end, mr_error *err)
{
    if (pipeline->again == NULL)
        return MR_OK;
    uint64_t wanted = pipeline->again->decision->next;
    if (*end < wanted)
        return MR_FAIL(err, MR_NOT_FOUND,
                       "the journal of pipeline %s shows positions below %llu, the decision rests "
                       "on those below %llu; ask again in a moment",
                       pipeline->plan->name, (unsigned long long)*end, (unsigned long long)wanted);
    *end = wanted;
    return MR_OK;
}

/* ---- keeping ---- */

static uint64_t position_of(const micro_batch *batch, const source_rows *rows, uint32_t row)
{
    return batch->position + (rows->merged != NULL ? rows->merged[row] : row);
}

/* Rows that the sink wants, of the block's positions, into pipeline->selection. */
static mr_status choose(mr_pipeline *pipeline, const micro_batch *batch, const source_rows *rows,
                        size_t *out_count, mr_error *err)
{
    const run_again *again = pipeline->again;
    uint32_t *chosen = pipeline->selection;
    size_t count = rows->count;
    if (again->sink->when != NULL)
        MR_TRY(eval_filter(pipeline, again->sink->when, rows->columns, rows->count, &count, err));
    *out_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t row = again->sink->when != NULL ? chosen[i] : (uint32_t)i;
        uint64_t position = position_of(batch, rows, row);
        if (position >= again->decision->first && position < again->decision->next)
            chosen[(*out_count)++] = row;
    }
    return MR_OK;
}

/* Columns [0, count) of one row of the frame. */
static mr_status pick_row(mr_schema *schema, const source_rows *rows, uint32_t row, mr_batch **out,
                          mr_error *err)
{
    mr_column *columns = mr_alloc_zero(MR_MAX(schema->field_count, 1), sizeof *columns);
    mr_status status = columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < schema->field_count && status == MR_OK; i++)
        status = mr_column_gather(&rows->columns[i], &row, 1, &columns[i], err);
    if (status == MR_OK)
        status = mr_batch_create(schema, 1, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < schema->field_count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    return status;
}

/* The row that was asked for. The frame begins with the source's own columns. */
static mr_status keep_row(mr_pipeline *pipeline, const micro_batch *batch, const source_rows *rows,
                          uint32_t row, mr_error *err)
{
    const mr_plan *plan = pipeline->plan;
    mr_replayed *out = pipeline->again->out;
    uint32_t merged = rows->merged != NULL ? rows->merged[row] : row;
    const mr_stream *stream = run_stream_at(pipeline, batch, merged, &out->origin.offset);
    out->origin.position = batch->position + merged;
    out->origin.partition = stream->partition;
    (void)snprintf(out->origin.source, sizeof out->origin.source, "%s", stream->source->name);
    if (plan->score.reference != NULL)
        mr_bytes_append(&out->cast, pipeline->cast->text.data, pipeline->cast->text.size);
    if (out->cast.failed)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(pick_row(plan->sources[plan->on].schema, rows, row, &out->record, err));
    return pick_row(plan->frame, rows, row, &out->frame, err);
}

mr_status run_again_keep(mr_pipeline *pipeline, const micro_batch *batch, const source_rows *rows,
                         mr_error *err)
{
    run_again *again = pipeline->again;
    size_t count;
    mr_batch *part = NULL;
    MR_TRY(choose(pipeline, batch, rows, &count, err));
    if (count == 0)
        return MR_OK;
    uint32_t asked = again->decision->row;
    if (asked >= again->rows && asked < again->rows + count)
        MR_TRY(keep_row(pipeline, batch, rows, pipeline->selection[asked - again->rows], err));
    if (!mr_bytes_reserve(&again->parts, sizeof part))
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(run_sink_pick(again->sink, rows, pipeline->selection, count, &part, err));
    mr_bytes_append(&again->parts, &part, sizeof part);
    again->rows += (uint32_t)count;
    return MR_OK;
}

/* ---- asking ---- */

static const plan_sink *find_sink(const mr_plan *plan, const char *topic)
{
    for (size_t i = 0; i < plan->sink_count; i++)
        if (strcmp(plan->sinks[i].topic, topic) == 0)
            return &plan->sinks[i];
    return NULL;
}

static mr_status join(run_again *again, mr_error *err)
{
    mr_batch **parts = (mr_batch **)(void *)again->parts.data;
    size_t count = again->parts.size / sizeof *parts;
    if (again->out->frame == NULL)
        return MR_FAIL(err, MR_NOT_FOUND,
                       "the replay gives %u rows for positions %llu to %llu, and none that would "
                       "be row %u of the block",
                       again->rows, (unsigned long long)again->decision->first,
                       (unsigned long long)again->decision->next, again->decision->row);
    return mr_batch_concat(parts, count, &again->out->rows, err);
}

static void forget(run_again *again)
{
    mr_batch **parts = (mr_batch **)(void *)again->parts.data;
    for (size_t i = 0; i < again->parts.size / sizeof *parts; i++)
        mr_batch_release(parts[i]);
    mr_bytes_deinit(&again->parts);
}

static mr_status replay(mr_plan *plan, const mr_pipeline_options *options, run_again *again,
                        mr_error *err)
{
    mr_pipeline *pipeline = NULL;
    MR_TRY(run_open_at_rest(plan, options, again, &pipeline, err));
    again->out->records = pipeline->stats.replayed;
    mr_pipeline_close(pipeline);
    return join(again, err);
}

mr_status mr_pipeline_replay(mr_plan *plan, const mr_pipeline_options *options,
                             const mr_decision *decision, mr_replayed *out, mr_error *err)
{
    *out = (mr_replayed){0};
    run_again again = {.decision = decision, .sink = find_sink(plan, decision->topic), .out = out};
    if (again.sink == NULL)
        return MR_FAIL(err, MR_NOT_FOUND, "topic %s is no sink of pipeline %s", decision->topic,
                       plan->name);
    mr_status status = replay(plan, options, &again, err);
    if (status != MR_OK && again.too_new) {
        mr_error_clear(err);
        again.from_first = true;
        status = replay(plan, options, &again, err);
    }
    forget(&again);
    if (status == MR_OK)
        status = mr_journal_plan_at(options->log, plan->name, out->origin.position, &out->plan_then,
                                    err);
    if (status != MR_OK)
        mr_replayed_deinit(out);
    return status;
}

void mr_replayed_deinit(mr_replayed *replayed)
{
    mr_batch_release(replayed->rows);
    mr_batch_release(replayed->record);
    mr_batch_release(replayed->frame);
    mr_bytes_deinit(&replayed->cast);
    *replayed = (mr_replayed){0};
}
