/* rows.c -- the rows of each source in one micro-batch: cut from the chunks, checked, filtered, derived.
 *
 * (1) With one stream and nothing dropped, columns are shared with the chunk and `merged` stays NULL.
 * (2) `merged` is ascending: rows of a source keep the merged order. */
#include "pipeline/run_internal.h"

#include "base/assert.h"
#include "data/encoder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void release_columns(source_rows *rows)
{
    for (uint32_t i = 0; i < rows->column_count; i++)
        mr_column_release(&rows->columns[i]);
    rows->column_count = 0;
    rows->count = 0;
}

void run_rows_release(mr_pipeline *pipeline, micro_batch *batch)
{
    for (size_t i = 0; i < pipeline->plan->source_count; i++)
        release_columns(&batch->sources[i]);
}

/* ---- cutting ---- */

/* Rows taken from each stream, and which streams of a source gave any. */
static void count_runs(const mr_pipeline *pipeline, const micro_batch *batch, uint32_t *taken)
{
    memset(taken, 0, pipeline->stream_count * sizeof *taken);
    for (size_t i = 0; i < batch->runs.count; i++)
        taken[batch->runs.items[i].stream] += batch->runs.items[i].rows;
}

/* The records of one source as a batch in merged order. A lone stream's are a slice of its chunk. */
static mr_status cut_lone(mr_stream *stream, uint32_t taken, mr_batch **out, mr_error *err)
{
    if (stream->next == 0 && taken == stream->chunk->row_count) {
        *out = mr_batch_retain(stream->chunk);
        return MR_OK;
    }
    return mr_batch_slice(stream->chunk, stream->next, taken, out, err);
}

/* Several streams of one source: their stretches one behind the other, then gathered by the runs. */
static mr_status cut_several(mr_pipeline *pipeline, const micro_batch *batch, uint32_t source,
                             const uint32_t *taken, mr_batch **out, mr_error *err)
{
    mr_batch *parts[STREAMS_MAX];
    uint32_t next[STREAMS_MAX];
    size_t count = 0;
    uint32_t total = 0;
    mr_status status = MR_OK;
    for (size_t s = 0; s < pipeline->stream_count && status == MR_OK; s++) {
        if (pipeline->streams[s]->source_index != source || taken[s] == 0)
            continue;
        next[s] = total;
        total += taken[s];
        status = cut_lone(pipeline->streams[s], taken[s], &parts[count], err);
        count += status == MR_OK;
    }
    mr_batch *joined = NULL;
    if (status == MR_OK)
        status = mr_batch_concat(parts, count, &joined, err);
    for (size_t i = 0; i < count; i++)
        mr_batch_release(parts[i]);
    if (status != MR_OK)
        return status;
    uint32_t row = 0;
    for (size_t i = 0; i < batch->runs.count; i++) {
        const take_run *run = &batch->runs.items[i];
        if (pipeline->streams[run->stream]->source_index != source)
            continue;
        for (uint32_t k = 0; k < run->rows; k++)
            pipeline->selection[row++] = next[run->stream]++;
    }
    status = mr_batch_gather(joined, pipeline->selection, row, out, err);
    mr_batch_release(joined);
    return status;
}

static mr_status make_merged(const mr_pipeline *pipeline, source_rows *rows, mr_error *err)
{
    if (rows->merged_room >= pipeline->rows_max)
        return MR_OK;
    mr_free(rows->merged);
    rows->merged = mr_alloc(pipeline->rows_max * sizeof *rows->merged);
    rows->merged_room = rows->merged != NULL ? pipeline->rows_max : 0;
    return rows->merged != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static void fill_merged(const mr_pipeline *pipeline, const micro_batch *batch, uint32_t source,
                        uint32_t *merged)
{
    uint32_t m = 0, row = 0;
    for (size_t i = 0; i < batch->runs.count; i++) {
        const take_run *run = &batch->runs.items[i];
        bool ours = pipeline->streams[run->stream]->source_index == source;
        for (uint32_t k = 0; k < run->rows; k++, m++)
            if (ours)
                merged[row++] = m;
    }
}

/* ---- check and filter ---- */

const mr_stream *run_stream_at(const mr_pipeline *pipeline, const micro_batch *batch,
                               uint32_t merged, uint64_t *out_ordinal)
{
    uint64_t before[STREAMS_MAX] = {0};
    uint32_t m = 0;
    for (size_t i = 0; i < batch->runs.count; i++) {
        const take_run *run = &batch->runs.items[i];
        if (merged < m + run->rows) {
            *out_ordinal = pipeline->starts[run->stream] + before[run->stream] + (merged - m);
            return pipeline->streams[run->stream];
        }
        before[run->stream] += run->rows;
        m += run->rows;
    }
    MR_UNREACHABLE();
}

/* The record as JSON, for its decoded form is all that a topic has of it. */
mr_status run_reject_row(mr_pipeline *pipeline, const micro_batch *batch, const plan_source *source,
                         const mr_column *columns, uint32_t row, uint32_t merged,
                         const char *reason, mr_error *err)
{
    uint64_t ordinal;
    const mr_stream *stream = run_stream_at(pipeline, batch, merged, &ordinal);
    char place[MR_TOPIC_NAME_MAX + 48];
    if (source->topic != NULL)
        (void)snprintf(place, sizeof place, "%s/%u@%" PRIu64, source->topic, stream->partition,
                       ordinal);
    else
        (void)snprintf(place, sizeof place, "%s, record %" PRIu64, source->name, ordinal + 1);
    mr_batch raw = {.row_count = row + 1,
                    .schema = source->schema,
                    .columns = (mr_column *)(uintptr_t)columns}; /* only read */
    mr_bytes text = {0};
    mr_encode_rows(&(mr_encoder_options){.format = MR_FORMAT_JSONL}, &raw, row, 1, &text);
    mr_status status = text.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
    if (status == MR_OK)
        run_dead_add(pipeline, &pipeline->dead,
                     &(mr_dead_letter){source->name, place, "", reason, text.data, text.size - 1},
                     batch->position + merged);
    mr_bytes_deinit(&text);
    return status;
}

static mr_status reject_unchecked(mr_pipeline *pipeline, const micro_batch *batch,
                                  const plan_source *source, const mr_batch *raw, uint32_t row,
                                  uint32_t merged, mr_error *err)
{
    mr_bytes reason = {0};
    mr_bytes_append_text(&reason, "the source's check is not true: ");
    mr_expr_format(source->check, &reason);
    const char *words = mr_bytes_text(&reason);
    mr_status status = words == NULL ? MR_OUT_OF_MEMORY(err)
                                     : run_reject_row(pipeline, batch, source, raw->columns, row,
                                                      merged, words, err);
    mr_bytes_deinit(&reason);
    return status;
}

static mr_status reject_rows(mr_pipeline *pipeline, const micro_batch *batch,
                             const plan_source *source, const mr_batch *raw,
                             const source_rows *rows, size_t kept, mr_error *err)
{
    size_t at = 0;
    for (uint32_t row = 0; row < raw->row_count; row++) {
        if (at < kept && pipeline->selection[at] == row)
            at++;
        else
            MR_TRY(reject_unchecked(pipeline, batch, source, raw, row,
                                    rows->merged != NULL ? rows->merged[row] : row, err));
    }
    return MR_OK;
}

/* Keeps the rows in pipeline->selection; `merged` shrinks with them. */
static mr_status keep_rows(mr_pipeline *pipeline, source_rows *rows, size_t kept, mr_error *err)
{
    bool identity = rows->merged == NULL;
    MR_TRY(make_merged(pipeline, rows, err));
    for (size_t i = 0; i < kept; i++)
        rows->merged[i] = identity ? pipeline->selection[i] : rows->merged[pipeline->selection[i]];
    for (uint32_t c = 0; c < rows->column_count; c++) {
        mr_column gathered;
        MR_TRY(mr_column_gather(&rows->columns[c], pipeline->selection, kept, &gathered, err));
        mr_column_release(&rows->columns[c]);
        rows->columns[c] = gathered;
    }
    rows->count = (uint32_t)kept;
    return MR_OK;
}

mr_status run_rows_filter(mr_pipeline *pipeline, const mr_expr *filter, source_rows *rows,
                          mr_error *err)
{
    size_t kept;
    if (filter == NULL || rows->count == 0)
        return MR_OK;
    MR_TRY(eval_filter(pipeline, filter, rows->columns, rows->count, &kept, err));
    return kept < rows->count ? keep_rows(pipeline, rows, kept, err) : MR_OK;
}

/* ---- one source ---- */

static mr_status check_rows(mr_pipeline *pipeline, const micro_batch *batch,
                            const plan_source *source, const mr_batch *raw, source_rows *rows,
                            mr_error *err)
{
    size_t kept;
    if (source->check == NULL || source->topic == NULL) /* of files the decoder has checked it */
        return MR_OK;
    MR_TRY(eval_filter(pipeline, source->check, rows->columns, rows->count, &kept, err));
    if (kept == rows->count)
        return MR_OK;
    MR_TRY(reject_rows(pipeline, batch, source, raw, rows, kept, err));
    return keep_rows(pipeline, rows, kept, err);
}

static mr_status derive_rows(mr_pipeline *pipeline, const plan_columns *derive, source_rows *rows,
                             mr_error *err)
{
    for (size_t i = 0; i < derive->count; i++) {
        uint32_t index = derive->items[i].index;
        eval_item item = {derive->items[i].expr, &rows->columns[index]};
        MR_TRY(eval_columns(pipeline, &item, 1, rows->columns, rows->count, err));
        rows->column_count = index + 1;
    }
    return MR_OK;
}

static mr_status fill_source(mr_pipeline *pipeline, const micro_batch *batch, uint32_t index,
                             mr_batch *raw, source_rows *rows, mr_error *err)
{
    const plan_source *source = &pipeline->plan->sources[index];
    rows->count = raw->row_count;
    rows->column_count = source->schema->field_count;
    for (uint32_t c = 0; c < rows->column_count; c++)
        rows->columns[c] = mr_column_retain(&raw->columns[c]);
    if (raw->row_count < batch->rows) {
        MR_TRY(make_merged(pipeline, rows, err));
        fill_merged(pipeline, batch, index, rows->merged);
    } else {
        mr_free(rows->merged);
        rows->merged = NULL;
        rows->merged_room = 0;
    }
    MR_TRY(check_rows(pipeline, batch, source, raw, rows, err));
    MR_TRY(run_rows_filter(pipeline, source->filter, rows, err));
    return derive_rows(pipeline, &source->derive, rows, err);
}

static mr_status take_source(mr_pipeline *pipeline, micro_batch *batch, uint32_t index,
                             const uint32_t *taken, mr_error *err)
{
    size_t streams = 0, lone = 0;
    for (size_t s = 0; s < pipeline->stream_count; s++) {
        if (pipeline->streams[s]->source_index == index && taken[s] > 0) {
            streams++;
            lone = s;
        }
    }
    if (streams == 0)
        return MR_OK;
    mr_batch *raw = NULL;
    MR_TRY(streams == 1 ? cut_lone(pipeline->streams[lone], taken[lone], &raw, err)
                        : cut_several(pipeline, batch, index, taken, &raw, err));
    mr_status status = fill_source(pipeline, batch, index, raw, &batch->sources[index], err);
    mr_batch_release(raw);
    return status;
}

static void note_times(mr_pipeline *pipeline, micro_batch *batch, const uint32_t *taken)
{
    batch->append_us = 0;
    batch->time_max = INT64_MIN;
    for (size_t s = 0; s < pipeline->stream_count; s++) {
        const mr_stream *stream = pipeline->streams[s];
        if (taken[s] == 0)
            continue;
        if (stream->source_index == pipeline->plan->on)
            batch->append_us = stream->append_us;
        for (uint32_t row = stream->next; row < stream->next + taken[s]; row++)
            batch->time_max = MR_MAX(batch->time_max, stream->times[row]);
    }
}

mr_status run_rows(mr_pipeline *pipeline, micro_batch *batch, mr_error *err)
{
    uint32_t taken[STREAMS_MAX];
    count_runs(pipeline, batch, taken);
    note_times(pipeline, batch, taken);
    for (uint32_t i = 0; i < pipeline->plan->source_count; i++)
        MR_TRY(take_source(pipeline, batch, i, taken, err));
    for (size_t s = 0; s < pipeline->stream_count; s++)
        if (taken[s] > 0)
            mr_stream_take(pipeline->streams[s], taken[s]);
    return MR_OK;
}
