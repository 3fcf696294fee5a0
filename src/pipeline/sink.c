/* sink.c -- appending to topics exactly what they lack.
 *
 * A sink's blocks carry this pipeline's producer id and the positions [first, next) they stand for, so a
 * topic itself knows how far it has come. (1) Rows at positions below `known` are left out, however a replay
 * cuts its micro-batches. (2) Positions without rows leave gaps, which are allowed. */
#include "pipeline/run_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH 1 /* the partition's write lock already keeps a second instance away */

/* ---- open and close ---- */

static mr_status create_topic(mr_pipeline *pipeline, const char *name, const plan_sink *plan,
                              mr_schema *schema, mr_error *err)
{
    mr_topic_options options = {0};
    if (plan != NULL) {
        options.sync = plan->sync;
        options.sync_interval_ms = plan->sync_interval_ms;
        options.codec = plan->codec;
        (void)snprintf(options.event_time, sizeof options.event_time, "%s",
                       plan->event_time != NULL ? plan->event_time : "");
    }
    return mr_topic_create(pipeline->options.log, name, &options, schema, err);
}

static mr_status open_or_create(mr_pipeline *pipeline, const char *name, const plan_sink *plan,
                                mr_schema *schema, mr_topic **out, mr_error *err)
{
    mr_status status = mr_topic_open(pipeline->options.log, name, out, err);
    if (status == MR_NOT_FOUND) {
        mr_error_clear(err);
        MR_TRY(create_topic(pipeline, name, plan, schema, err));
        return mr_topic_open(pipeline->options.log, name, out, err);
    }
    MR_TRY(status);
    status = mr_topic_set_schema(*out, schema, NULL, err);
    if (status != MR_OK)
        mr_error_prefix(err, "sink %s has records of another form", name);
    return status;
}

uint64_t run_sink_producer_id(const char *pipeline, const char *producer)
{
    char id[512];
    int bytes = snprintf(id, sizeof id, "%s/%s", pipeline, producer);
    return mr_hash64(id, (size_t)bytes) | 1; /* never 0, which means none */
}

mr_status run_sink_open(mr_pipeline *pipeline, const char *topic_name, const plan_sink *plan,
                        mr_schema *schema, const char *producer, run_sink *sink, mr_error *err)
{
    sink->plan = plan;
    sink->producer_id = run_sink_producer_id(pipeline->plan->name, producer);
    MR_TRY(open_or_create(pipeline, topic_name, plan, schema, &sink->topic, err));
    MR_TRY(mr_topic_open_writer(sink->topic, 0, NULL, NULL, err));
    uint32_t epoch;
    mr_status status =
        mr_topic_producer(sink->topic, 0, sink->producer_id, &epoch, &sink->known, err);
    if (status != MR_NOT_FOUND)
        return status;
    mr_error_clear(err);
    sink->known = 0;
    return MR_OK;
}

void run_sink_close(run_sink *sink)
{
    mr_topic_close(sink->topic);
    sink->topic = NULL;
}

/* ---- append ---- */

mr_status run_sink_append_batch(run_sink *sink, mr_batch *batch, uint64_t first, uint64_t next,
                                mr_error *err)
{
    mr_append what = {.batch = batch,
                      .producer_id = sink->producer_id,
                      .producer_epoch = EPOCH,
                      .sequence_first = MR_MAX(first, sink->known),
                      .sequence_next = next,
                      .gaps_allowed = true};
    mr_appended done;
    MR_TRY(mr_topic_append(sink->topic, 0, &what, &done, err));
    MR_ASSERT(!done.duplicate);
    sink->known = next;
    sink->rows += batch->row_count;
    atomic_store(&sink->appended_end, done.end_offset);
    return MR_OK;
}

mr_status run_sink_commit(run_sink *sink, mr_error *err)
{
    uint64_t end = atomic_load(&sink->appended_end);
    return end > 0 ? mr_topic_commit(sink->topic, 0, end, err) : MR_OK;
}

/* First row whose position is not in the topic yet. */
static uint32_t first_wanted(const run_sink *sink, const micro_batch *batch,
                             const source_rows *rows)
{
    if (sink->known <= batch->position)
        return 0;
    uint64_t merged = sink->known - batch->position;
    if (rows->merged == NULL)
        return (uint32_t)MR_MIN(merged, (uint64_t)rows->count);
    uint32_t low = 0, high = rows->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (rows->merged[middle] < merged)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

mr_status run_sink_pick(const plan_sink *plan, const source_rows *rows, const uint32_t *chosen,
                        size_t count, mr_batch **out, mr_error *err)
{
    mr_column *columns = mr_alloc_zero(plan->column_count, sizeof *columns);
    mr_status status = columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < plan->column_count && status == MR_OK; i++) {
        const mr_column *from = &rows->columns[plan->columns[i]];
        if (chosen == NULL)
            columns[i] = mr_column_retain(from);
        else
            status = mr_column_gather(from, chosen, count, &columns[i], err);
    }
    if (status == MR_OK)
        status = mr_batch_create(plan->schema, count, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < plan->column_count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    return status;
}

static mr_status choose(mr_pipeline *pipeline, const run_sink *sink, const micro_batch *batch,
                        const source_rows *rows, const uint32_t **out_chosen, size_t *out_count,
                        mr_error *err)
{
    uint32_t first = first_wanted(sink, batch, rows);
    *out_chosen = NULL;
    *out_count = rows->count - first;
    if (sink->plan->when != NULL) {
        size_t count;
        MR_TRY(eval_filter(pipeline, sink->plan->when, rows->columns, rows->count, &count, err));
        size_t skipped = 0;
        while (skipped < count && pipeline->selection[skipped] < first)
            skipped++;
        *out_chosen = pipeline->selection + skipped;
        *out_count = count - skipped;
    } else if (first > 0) {
        for (uint32_t i = first; i < rows->count; i++)
            pipeline->selection[i - first] = i;
        *out_chosen = pipeline->selection;
    }
    if (*out_count == rows->count)
        *out_chosen = NULL;
    return MR_OK;
}

mr_status run_sink_append(mr_pipeline *pipeline, run_sink *sink, const micro_batch *batch,
                          const source_rows *rows, mr_batch **out_batch, mr_error *err)
{
    uint64_t next = batch->position + batch->rows;
    const uint32_t *chosen;
    size_t count;
    if (rows->count == 0 || next <= sink->known)
        return MR_OK;
    MR_TRY(choose(pipeline, sink, batch, rows, &chosen, &count, err));
    if (count == 0)
        return MR_OK;
    mr_batch *made = NULL;
    MR_TRY(run_sink_pick(sink->plan, rows, chosen, count, &made, err));
    mr_status status = run_sink_append_batch(sink, made, batch->position, next, err);
    if (status == MR_OK && out_batch != NULL)
        *out_batch = mr_batch_retain(made);
    mr_batch_release(made);
    return status;
}

/* ---- dead letters ---- */

mr_status run_dead_open(mr_pipeline *pipeline, const char *producer, run_dead *dead, mr_error *err)
{
    MR_TRY(run_sink_open(pipeline, pipeline->plan->dead_letters, NULL, pipeline->dead_schema,
                         producer, &dead->sink, err));
    return mr_builder_init(&dead->rows, pipeline->dead_schema, err);
}

void run_dead_close(run_dead *dead)
{
    run_sink_close(&dead->sink);
    mr_builder_deinit(&dead->rows);
    mr_bytes_deinit(&dead->sequences);
}

void run_dead_add(mr_pipeline *pipeline, run_dead *dead, const mr_dead_letter *letter,
                  uint64_t sequence)
{
    if (dead->rows.schema == NULL || sequence < dead->sink.known)
        return; /* at rest nothing is written */
    mr_bytes_append(&dead->sequences, &sequence, sizeof sequence);
    mr_dead_letter_add(&dead->rows, letter);
    pipeline->stats.dead_letters++;
}

typedef struct letter_place {
    uint64_t sequence;
    uint32_t row;
} letter_place;

static int by_sequence(const void *a, const void *b)
{
    const letter_place *left = a, *right = b;
    if (left->sequence != right->sequence)
        return left->sequence < right->sequence ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

/* Several stages of one micro-batch may have rejected records: in the topic they stand by position, so that the
 * cut of micro-batches does not show. */
static mr_status sort_letters(const run_dead *dead, mr_batch **batch, uint64_t *out_first,
                              uint64_t *out_next, mr_error *err)
{
    const uint64_t *sequences = (const uint64_t *)(const void *)dead->sequences.data;
    uint32_t count = (*batch)->row_count;
    letter_place *places = mr_alloc(count * sizeof *places);
    uint32_t *rows = mr_alloc(count * sizeof *rows);
    mr_batch *sorted = NULL;
    mr_status status = places != NULL && rows != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < count; i++)
        places[i] = (letter_place){sequences[i], i};
    if (status == MR_OK) {
        qsort(places, count, sizeof *places, by_sequence);
        *out_first = places[0].sequence;
        *out_next = places[count - 1].sequence + 1;
        for (uint32_t i = 0; i < count; i++)
            rows[i] = places[i].row;
        status = mr_batch_gather(*batch, rows, count, &sorted, err);
    }
    mr_free(places);
    mr_free(rows);
    if (status != MR_OK)
        return status;
    mr_batch_release(*batch);
    *batch = sorted;
    return MR_OK;
}

mr_status run_dead_flush(run_dead *dead, mr_error *err)
{
    if (dead->rows.schema == NULL || dead->rows.columns[0].row_count == 0)
        return MR_OK;
    mr_batch *batch;
    uint64_t first, next;
    if (dead->sequences.failed)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_builder_finish(&dead->rows, &batch, err));
    mr_status status = sort_letters(dead, &batch, &first, &next, err);
    if (status == MR_OK)
        status = run_sink_append_batch(&dead->sink, batch, first, next, err);
    mr_bytes_clear(&dead->sequences);
    mr_batch_release(batch);
    return status;
}
