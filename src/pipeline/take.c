/* take.c -- which records come next.
 *
 * Sources merge by event time; of equal times the source declared first comes first, the `on` source last, so
 * that what became known at t counts for a payment at t. Within a source lower partitions come first.
 *
 * (1) While every stream shows a record, or has ended, the order follows from the records alone.
 * (2) A stream that shows none holds the others up for its `idle` at most; what is then taken without it is
 *     *forced*: only the journal can say it again, so the journal is made durable before anything shows it.
 * (3) A micro-batch takes from one chunk of each stream, so each stream gives one stretch of rows. */
#include "pipeline/run_internal.h"

#include "base/assert.h"

#include <string.h>

static mr_status add_run(take_runs *runs, uint32_t stream, uint32_t rows, mr_error *err)
{
    if (runs->count > 0 && runs->items[runs->count - 1].stream == stream) {
        runs->items[runs->count - 1].rows += rows;
        return MR_OK;
    }
    if (runs->count == runs->room) {
        size_t room = MR_MAX(64, runs->room * 2);
        take_run *grown = mr_realloc(runs->items, room * sizeof *grown);
        if (grown == NULL)
            return MR_OUT_OF_MEMORY(err);
        runs->items = grown;
        runs->room = room;
    }
    runs->items[runs->count++] = (take_run){stream, rows};
    return MR_OK;
}

/* ---- from the journal ---- */

static mr_status take_replayed(mr_pipeline *pipeline, micro_batch *batch, mr_error *err)
{
    uint32_t left[STREAMS_MAX]; /* rows of each chunk not taken yet; streams are few */
    for (size_t i = 0; i < pipeline->stream_count; i++) {
        const mr_stream *stream = pipeline->streams[i];
        left[i] = stream->chunk != NULL ? stream->chunk->row_count - stream->next : 0;
    }
    while (pipeline->replay_next < pipeline->replay.count && batch->rows < pipeline->rows_max) {
        take_run *run = &pipeline->replay.items[pipeline->replay_next];
        uint32_t rows = MR_MIN(run->rows, pipeline->rows_max - batch->rows);
        rows = MR_MIN(rows, left[run->stream]);
        if (rows == 0)
            break;
        MR_TRY(add_run(&batch->runs, run->stream, rows, err));
        batch->rows += rows;
        left[run->stream] -= rows;
        run->rows -= rows;
        pipeline->replay_next += run->rows == 0;
    }
    if (batch->rows > 0)
        return MR_OK;
    if (pipeline->replay_next == pipeline->replay.count)
        return MR_FAIL(err, MR_CORRUPT,
                       "the journal of pipeline %s ends at position %llu, before its own end",
                       pipeline->plan->name, (unsigned long long)pipeline->position);
    const take_run *run = &pipeline->replay.items[pipeline->replay_next];
    const mr_stream *stream = pipeline->streams[run->stream];
    return MR_FAIL(
        err, MR_NOT_FOUND,
        "replay of pipeline %s: the journal took %u records of %s at %llu, which are not there",
        pipeline->plan->name, run->rows, stream->name,
        (unsigned long long)mr_stream_ordinal(stream));
}

/* ---- live ---- */

/* Streams in the order of ties. */
static bool comes_before(const mr_pipeline *pipeline, uint32_t a, int64_t time_a, uint32_t b,
                         int64_t time_b)
{
    if (time_a != time_b)
        return time_a < time_b;
    const mr_stream *left = pipeline->streams[a], *right = pipeline->streams[b];
    if (left->source_index != right->source_index) {
        bool left_on = left->source_index == pipeline->plan->on;
        bool right_on = right->source_index == pipeline->plan->on;
        if (left_on != right_on)
            return right_on;
        return left->source_index < right->source_index;
    }
    return left->partition < right->partition;
}

typedef struct merge_head {
    uint32_t stream;
    uint32_t next, end; /* rows of the chunk */
    const int64_t *times;
} merge_head;

/* Whether the silent streams allow going on; *out_forced when that rests on the clock. */
static bool may_go_on(mr_pipeline *pipeline, bool *out_forced)
{
    int64_t now = pipeline->options.clock->mono_ns(pipeline->options.clock);
    bool allowed = true;
    for (size_t i = 0; i < pipeline->stream_count; i++) {
        mr_stream *stream = pipeline->streams[i];
        if (stream->chunk != NULL || (stream->ended && stream->source->topic == NULL))
            continue;
        *out_forced = true;
        if (stream->ended)
            continue; /* the topic may grow later, so only the journal knows that it ended here */
        if (stream->empty_since_ns == INT64_MIN)
            stream->empty_since_ns = now;
        allowed = allowed && now - stream->empty_since_ns >= stream->source->idle_us * 1000;
    }
    return allowed;
}

/* Takes from heads[best] as long as it stays in front of the others. */
static uint32_t run_length(const mr_pipeline *pipeline, const merge_head *heads, size_t count,
                           size_t best, uint32_t rows_max)
{
    const merge_head *head = &heads[best];
    uint32_t end = (uint32_t)MR_MIN((uint64_t)head->end, (uint64_t)head->next + rows_max);
    if (count == 1)
        return end - head->next;
    size_t second = best == 0 ? 1 : 0;
    for (size_t i = 0; i < count; i++)
        if (i != best &&
            comes_before(pipeline, heads[i].stream, heads[i].times[heads[i].next],
                         heads[second].stream, heads[second].times[heads[second].next]))
            second = i;
    uint32_t row = head->next + 1;
    while (row < end && comes_before(pipeline, head->stream, head->times[row], heads[second].stream,
                                     heads[second].times[heads[second].next]))
        row++;
    return row - head->next;
}

static mr_status merge(mr_pipeline *pipeline, micro_batch *batch, merge_head *heads, size_t count,
                       mr_error *err)
{
    while (batch->rows < pipeline->rows_max) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++)
            if (comes_before(pipeline, heads[i].stream, heads[i].times[heads[i].next],
                             heads[best].stream, heads[best].times[heads[best].next]))
                best = i;
        uint32_t rows = run_length(pipeline, heads, count, best, pipeline->rows_max - batch->rows);
        MR_TRY(add_run(&batch->runs, heads[best].stream, rows, err));
        batch->rows += rows;
        heads[best].next += rows;
        if (heads[best].next == heads[best].end)
            return MR_OK; /* its next record is not known yet */
    }
    return MR_OK;
}

static mr_status take_live(mr_pipeline *pipeline, micro_batch *batch, mr_error *err)
{
    merge_head heads[STREAMS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < pipeline->stream_count; i++) {
        mr_stream *stream = pipeline->streams[i];
        if (stream->chunk != NULL)
            heads[count++] =
                (merge_head){(uint32_t)i, stream->next, stream->chunk->row_count, stream->times};
    }
    if (count == 0)
        return MR_OK;
    if (count < pipeline->stream_count && !may_go_on(pipeline, &batch->forced))
        return MR_OK;
    return merge(pipeline, batch, heads, count, err);
}

static bool casts_anew(const mr_pipeline *pipeline, const journal_entry *entry)
{
    const mr_bytes *now = &pipeline->replay_cast;
    return entry->cast.bytes != NULL &&
           (entry->cast.size != now->size || memcmp(entry->cast.bytes, now->data, now->size) != 0);
}

static mr_status note_cast(mr_pipeline *pipeline, const journal_entry *entry, mr_error *err)
{
    if (!casts_anew(pipeline, entry))
        return MR_OK;
    mr_bytes_clear(&pipeline->replay_cast);
    mr_bytes_append(&pipeline->replay_cast, entry->cast.bytes, entry->cast.size);
    return pipeline->replay_cast.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* Reads journal entries ahead until a micro-batch's worth of runs is there, or the journal ends. */
static mr_status load_replay(mr_pipeline *pipeline, mr_error *err)
{
    if (pipeline->replay_next < pipeline->replay.count)
        return MR_OK;
    pipeline->replay.count = pipeline->replay_next = 0;
    uint64_t rows = 0;
    while (rows < pipeline->rows_max) {
        journal_entry entry;
        mr_status status = mr_journal_next(pipeline->journal, &entry, err);
        if (status == MR_END)
            break;
        MR_TRY(status);
        if (rows > 0 && casts_anew(pipeline, &entry)) {
            mr_journal_again(pipeline->journal); /* a micro-batch has one cast */
            break;
        }
        MR_TRY(note_cast(pipeline, &entry, err));
        MR_TRY(run_replay_map(pipeline, &entry, err));
        uint64_t wanted = pipeline->position + rows;
        uint64_t skip = wanted > entry.position ? wanted - entry.position : 0;
        for (size_t i = 0; i < entry.run_count; i++) {
            uint32_t skipped = (uint32_t)MR_MIN(skip, (uint64_t)entry.runs[i].rows);
            skip -= skipped;
            if (entry.runs[i].rows > skipped)
                MR_TRY(add_run(&pipeline->replay, pipeline->replay_map[entry.runs[i].stream],
                               entry.runs[i].rows - skipped, err));
            rows += entry.runs[i].rows - skipped;
        }
    }
    return MR_OK;
}

mr_status run_take(mr_pipeline *pipeline, micro_batch *batch, mr_error *err)
{
    batch->runs.count = 0;
    batch->rows = 0;
    batch->forced = false;
    batch->position = pipeline->position;
    if (pipeline->replaying)
        MR_TRY(load_replay(pipeline, err));
    for (size_t i = 0; i < pipeline->stream_count; i++)
        MR_TRY(mr_stream_fill(pipeline->streams[i], err));
    batch->replayed = pipeline->replaying;
    return pipeline->replaying ? take_replayed(pipeline, batch, err)
                               : take_live(pipeline, batch, err);
}
