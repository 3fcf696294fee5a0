/* cast_shadow.c -- what the shadows said, as records of the topic system/shadow/<pipeline>.
 *
 *   position ... of the record in the pipeline's merged input    version ... of the model
 *   score ...... its (first) score    decided ... the score by which the record was decided
 *   flip ....... whether it would have decided otherwise, in any column of `decide`
 *
 * (1) Rows stand by position and then by part, so that the cut of micro-batches does not show. */
#include "pipeline/run_internal.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define SHADOW_SCHEMA                                                                              \
    "position: int64, model: string, version: int64, score: float64 null, "                        \
    "decided: float64 null, flip: bool"

enum { POSITION, MODEL, VERSION, SCORE, DECIDED, FLIP };

static size_t shadow_count(const run_cast *cast)
{
    size_t count = 0;
    for (size_t i = 0; cast != NULL && i < cast->part_count; i++)
        count += cast->parts[i].role == CAST_SHADOW;
    return count;
}

/* ---- one shadow ---- */

/* A frame in which the shadow decided: its own results and what follows from them, all else lent. */
typedef struct shadow_frame {
    const cast_part *part;
    source_rows rows;
} shadow_frame;

static void close_frame(const mr_plan *plan, shadow_frame *frame)
{
    if (frame->rows.columns == NULL)
        return;
    for (uint32_t c = plan->score.first_output; c < plan->frame->field_count; c++)
        mr_column_release(&frame->rows.columns[c]);
    mr_free(frame->rows.columns);
}

static mr_status open_frame(mr_pipeline *pipeline, const source_rows *rows, const cast_part *part,
                            shadow_frame *frame, mr_error *err)
{
    const mr_plan *plan = pipeline->plan;
    uint32_t first = plan->score.first_output, count = plan->frame->field_count;
    frame->part = part;
    frame->rows = *rows;
    frame->rows.columns = mr_alloc_zero(count, sizeof(mr_column));
    if (frame->rows.columns == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(frame->rows.columns, rows->columns, first * sizeof(mr_column));
    frame->rows.column_count = first;
    MR_TRY(part == &pipeline->cast->parts[0] ? run_score_live(pipeline, &frame->rows, err)
                                             : run_score_as(pipeline, part, &frame->rows, err));
    return run_compute(pipeline, &plan->decide, &frame->rows, err);
}

bool run_flips(const mr_plan *plan, const source_rows *a, const source_rows *b, uint32_t row)
{
    for (size_t i = 0; i < plan->decide.count; i++) {
        uint32_t c = plan->decide.items[i].index;
        if (!mr_column_equal(&a->columns[c], row, &b->columns[c], row, 1))
            return true;
    }
    return false;
}

/* ---- records ---- */

static void add_score(mr_builder_column *to, const mr_column *scores, uint32_t row)
{
    if (mr_column_is_null(scores, row))
        mr_builder_null(to);
    else if (scores->type.id == MR_FLOAT64)
        mr_builder_float64(to, ((const double *)scores->values)[row]);
    else
        mr_builder_float64(to, (double)((const float *)scores->values)[row]);
}

static void add_row(mr_pipeline *pipeline, const micro_batch *batch, const source_rows *rows,
                    const shadow_frame *frame, uint32_t row)
{
    mr_builder_column *columns = pipeline->shadow_rows.columns;
    uint32_t score = pipeline->plan->score.first_output;
    uint32_t merged = rows->merged != NULL ? rows->merged[row] : row;
    const mr_model_ref *ref = &frame->part->ref;
    mr_builder_int64(&columns[POSITION], (int64_t)(batch->position + merged));
    mr_builder_text(&columns[MODEL], ref->name, strlen(ref->name));
    mr_builder_int64(&columns[VERSION], (int64_t)ref->version);
    add_score(&columns[SCORE], &frame->rows.columns[score], row);
    add_score(&columns[DECIDED], &rows->columns[score], row);
    mr_builder_bool(&columns[FLIP], run_flips(pipeline->plan, rows, &frame->rows, row));
}

static void topic_name(const mr_pipeline *pipeline, char *out)
{
    (void)snprintf(out, MR_TOPIC_NAME_MAX, "system/shadow/%s", pipeline->plan->name);
}

static mr_status open_topic(mr_pipeline *pipeline, mr_error *err)
{
    if (pipeline->shadow.topic != NULL)
        return MR_OK;
    char name[MR_TOPIC_NAME_MAX];
    mr_schema *schema;
    topic_name(pipeline, name);
    MR_TRY(mr_schema_parse(SHADOW_SCHEMA, strlen(SHADOW_SCHEMA), &schema, err));
    mr_status status =
        run_sink_open(pipeline, name, NULL, schema, "shadow", &pipeline->shadow, err);
    if (status == MR_OK)
        status = mr_builder_init(&pipeline->shadow_rows, schema, err);
    mr_schema_release(schema);
    return status;
}

mr_status run_shadow_recover(mr_pipeline *pipeline, mr_error *err)
{
    char name[MR_TOPIC_NAME_MAX];
    mr_topic *topic;
    topic_name(pipeline, name);
    mr_status status = mr_topic_open(pipeline->options.log, name, &topic, err);
    if (status == MR_NOT_FOUND) {
        mr_error_clear(err);
        return MR_OK;
    }
    MR_TRY(status);
    mr_topic_close(topic);
    return open_topic(pipeline, err);
}

/* What the sinks of an earlier run lack. */
static void add_rows(mr_pipeline *pipeline, const micro_batch *batch, const source_rows *rows,
                     const shadow_frame *frames, size_t count)
{
    for (uint32_t row = 0; row < rows->count; row++) {
        uint32_t merged = rows->merged != NULL ? rows->merged[row] : row;
        for (size_t i = 0; i < count && batch->position + merged >= pipeline->shadow.known; i++)
            add_row(pipeline, batch, rows, &frames[i], row);
    }
}

static mr_status add_to_trial(mr_pipeline *pipeline, const micro_batch *batch,
                              const source_rows *rows, const shadow_frame *frames, size_t count,
                              mr_error *err)
{
    trial_view view = {.rows = rows, .live = rows, .shadow_count = count};
    shadow_frame live = {0};
    mr_status status = MR_OK;
    if (pipeline->live_results.values != NULL) {
        status = open_frame(pipeline, rows, &pipeline->cast->parts[0], &live, err);
        view.live = &live.rows;
    }
    for (size_t i = 0; i < count; i++) {
        view.shadows[i] = &frames[i].rows;
        view.parts[i] = frames[i].part;
    }
    if (status == MR_OK)
        status = run_trial_batch(pipeline, batch, &view, err);
    close_frame(pipeline->plan, &live);
    return status;
}

mr_status run_shadow_rows(mr_pipeline *pipeline, const micro_batch *batch, const source_rows *rows,
                          mr_error *err)
{
    shadow_frame frames[CAST_PARTS_MAX] = {0};
    size_t count = 0;
    mr_status status = shadow_count(pipeline->cast) > 0 ? open_topic(pipeline, err) : MR_OK;
    for (size_t i = 0; pipeline->cast != NULL && i < pipeline->cast->part_count; i++)
        if (status == MR_OK && pipeline->cast->parts[i].role == CAST_SHADOW)
            status = open_frame(pipeline, rows, &pipeline->cast->parts[i], &frames[count++], err);
    if (status == MR_OK)
        add_rows(pipeline, batch, rows, frames, count);
    if (status == MR_OK)
        status = add_to_trial(pipeline, batch, rows, frames, count, err);
    for (size_t i = 0; i < count; i++)
        close_frame(pipeline->plan, &frames[i]);
    return status;
}

mr_status run_shadow_append(mr_pipeline *pipeline, const micro_batch *batch, mr_error *err)
{
    if (pipeline->shadow_rows.schema == NULL || pipeline->shadow_rows.columns[0].row_count == 0)
        return MR_OK;
    mr_batch *rows;
    MR_TRY(mr_builder_finish(&pipeline->shadow_rows, &rows, err));
    mr_status status = run_sink_append_batch(&pipeline->shadow, rows, batch->position,
                                             batch->position + batch->rows, err);
    mr_batch_release(rows);
    return status;
}
