/* recover.c -- checkpoints beside the flow, and the way back after a crash.
 *
 *   checkpoint:  begin at P0 | a few slots between micro-batches | all down | sinks durable? | manifest
 *   recovery:    load slots, each at its own position >= P0 -> journal and sources from P0 -> replay
 *
 * The flow bytes of a checkpoint say where P0 is: the journal's offset, and each stream's record.
 *
 * (1) A manifest is written only when the sinks and the journal are durable beyond every slot in it, so a
 *     replay never needs the features of a record that a slot has passed already.
 * (2) A view that the checkpoint does not have is filled by a replay from the first record; when that is not
 *     all there any more, the pipeline is refused, for the values would be wrong without anyone seeing it.
 * (3) Retention does not wait for us, so checkpoints keep ahead of it: one begins when what the last one needs
 *     is in the older half of what a topic keeps, and no later than after a quarter of the age it keeps. */
#include "pipeline/run_internal.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define FLOW_VERSION   2   /* 1 had no cast */
#define SLOTS_IDLE     16  /* written in a step when nothing came in, */
#define ROWS_PER_SLOT  256 /* else one for so many rows of the micro-batch before */
#define SLOTS_IN_HASTE 64  /* retention is near */

#define RETENTION_LOOK_NS  INT64_C(100000000)
#define CHECKPOINT_MS      60000
#define CHECKPOINTS_IN_AGE 4

/* ---- flow bytes ---- */

static void encode_flow(const mr_pipeline *pipeline, mr_bytes *out)
{
    mr_bytes_append_u32(out, FLOW_VERSION);
    mr_bytes_append_u64(out, mr_journal_end(pipeline->journal));
    mr_bytes_append_u32(out, (uint32_t)pipeline->stream_count);
    for (size_t i = 0; i < pipeline->stream_count; i++) {
        const mr_stream *stream = pipeline->streams[i];
        size_t bytes = strlen(stream->name);
        mr_bytes_append_u16(out, (uint16_t)bytes);
        mr_bytes_append(out, stream->name, bytes);
        mr_bytes_append_u64(out, mr_stream_ordinal(stream));
    }
    run_emits_encode(pipeline, out);
    const mr_bytes *cast = pipeline->cast != NULL ? &pipeline->cast->text : &pipeline->replay_cast;
    mr_bytes_append_u32(out, (uint32_t)cast->size);
    mr_bytes_append(out, cast->data, cast->size);
}

static void decode_cast(mr_pipeline *pipeline, mr_reader *reader)
{
    size_t bytes = mr_reader_u32(reader);
    const uint8_t *text = mr_reader_bytes(reader, bytes);
    mr_bytes_clear(&pipeline->replay_cast);
    if (!reader->failed)
        mr_bytes_append(&pipeline->replay_cast, text, bytes);
}

static mr_stream *find_stream(mr_pipeline *pipeline, const char *name, size_t bytes,
                              uint32_t *out_index)
{
    for (uint32_t i = 0; i < pipeline->stream_count; i++) {
        mr_stream *stream = pipeline->streams[i];
        if (strlen(stream->name) == bytes && memcmp(stream->name, name, bytes) == 0) {
            *out_index = i;
            return stream;
        }
    }
    return NULL;
}

/* The place may be gone. After a clean stop nothing before it is needed, so the pipeline can go on behind the gap
 * when it is told to; after a crash the replay needs what is gone, and there is no way on. */
static mr_status go_on_at(mr_pipeline *pipeline, mr_stream *stream, uint64_t ordinal, mr_error *err)
{
    mr_status status = mr_stream_seek(stream, ordinal, err);
    if (status != MR_NOT_FOUND)
        return status;
    const char *name = pipeline->plan->name;
    if (mr_journal_position_end(pipeline->journal) > pipeline->position) {
        mr_error_prefix(
            err,
            "pipeline %s has to take records again that are gone; give it a new name to "
            "start afresh",
            name);
        return status;
    }
    if (!pipeline->options.skip_removed) {
        mr_error_prefix(err, "pipeline %s can go on without them: run it with --skip-removed",
                        name);
        return status;
    }
    mr_error_clear(err);
    uint64_t removed;
    MR_TRY(mr_stream_seek_kept(stream, ordinal, &removed, err));
    pipeline->stats.removed += removed;
    return MR_OK;
}

static mr_status decode_flow(mr_pipeline *pipeline, const mr_bytes *flow, uint64_t *out_journal,
                             mr_error *err)
{
    mr_reader reader = mr_reader_of(flow->data, flow->size);
    uint32_t version = mr_reader_u32(&reader);
    *out_journal = mr_reader_u64(&reader);
    uint32_t count = mr_reader_u32(&reader);
    if (version < 1 || version > FLOW_VERSION)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "the checkpoint's flow has version %u, this program reads %d", version,
                       FLOW_VERSION);
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        size_t bytes = mr_reader_u16(&reader);
        const uint8_t *name = mr_reader_bytes(&reader, bytes);
        uint64_t ordinal = mr_reader_u64(&reader);
        uint32_t index;
        mr_stream *stream =
            reader.failed ? NULL : find_stream(pipeline, (const char *)name, bytes, &index);
        if (stream != NULL)
            MR_TRY(go_on_at(pipeline, stream, ordinal, err));
    }
    if (!reader.failed)
        MR_TRY(run_emits_decode(pipeline, &reader, err));
    if (!reader.failed && version >= 2)
        decode_cast(pipeline, &reader);
    return reader.failed ? MR_FAIL(err, MR_CORRUPT, "the checkpoint's flow is cut short") : MR_OK;
}

/* ---- replay ---- */

mr_status run_replay_map(mr_pipeline *pipeline, const journal_entry *entry, mr_error *err)
{
    for (size_t i = 0; i < entry->stream_count; i++)
        if (find_stream(pipeline, entry->names[i], strlen(entry->names[i]),
                        &pipeline->replay_map[i]) == NULL)
            pipeline->replay_map[i] = UINT32_MAX;
    for (size_t i = 0; i < entry->run_count; i++)
        if (pipeline->replay_map[entry->runs[i].stream] == UINT32_MAX)
            return MR_FAIL(
                err, MR_CONFLICT,
                "the journal of pipeline %s took records of %s, which the plan does not read any "
                "more; run it with the old plan until it stops cleanly, or give the pipeline a new "
                "name",
                pipeline->plan->name, entry->names[entry->runs[i].stream]);
    return MR_OK;
}

/* Puts the streams where the journal's first entry says they stood. */
static mr_status start_from_journal(mr_pipeline *pipeline, mr_error *err)
{
    journal_entry entry;
    MR_TRY(mr_journal_rewind(pipeline->journal, 0, err));
    mr_status status = mr_journal_next(pipeline->journal, &entry, err);
    if (status == MR_END)
        return MR_OK;
    MR_TRY(status);
    if (entry.position != 0)
        return MR_FAIL(err, MR_CONFLICT,
                       "state of pipeline %s has to be filled from its first record, but its "
                       "journal now starts "
                       "at position %llu; give the pipeline a new name to start afresh",
                       pipeline->plan->name, (unsigned long long)entry.position);
    MR_TRY(run_replay_map(pipeline, &entry, err));
    for (size_t i = 0; i < entry.stream_count; i++) {
        if (pipeline->replay_map[i] == UINT32_MAX)
            continue;
        mr_status sought =
            mr_stream_seek(pipeline->streams[pipeline->replay_map[i]], entry.starts[i], err);
        if (sought == MR_NOT_FOUND)
            mr_error_prefix(err,
                            "state of pipeline %s has to be filled from its first record; give the "
                            "pipeline a new name to start afresh",
                            pipeline->plan->name);
        MR_TRY(sought);
    }
    return mr_journal_rewind(pipeline->journal, 0, err);
}

static mr_status replay_all(mr_pipeline *pipeline, mr_error *err)
{
    uint64_t end = mr_journal_position_end(pipeline->journal);
    MR_TRY(run_again_end(pipeline, &end, err));
    pipeline->replaying = pipeline->position < end;
    while (pipeline->replaying) {
        uint32_t rows;
        MR_TRY(mr_pipeline_step(pipeline, &rows, err));
        pipeline->stats.replayed += rows;
        pipeline->replaying = pipeline->position < end;
    }
    return MR_OK;
}

/* ---- checkpoints ---- */

int64_t run_checkpoint_interval_ns(const mr_pipeline *pipeline)
{
    int64_t ms = pipeline->options.checkpoint_interval_ms;
    ms = ms == 0 ? CHECKPOINT_MS : ms;
    for (size_t i = 0; i < pipeline->stream_count; i++)
        ms = MR_MIN(ms, mr_stream_age_max_ms(pipeline->streams[i]) / CHECKPOINTS_IN_AGE);
    return ms * 1000000;
}

/* Whether a checkpoint is wanted before its time, because retention comes near what the last one needs. */
static bool retention_near(mr_pipeline *pipeline, int64_t now)
{
    if (now < pipeline->next_retention_ns)
        return false;
    pipeline->next_retention_ns = now + RETENTION_LOOK_NS;
    for (size_t i = 0; i < pipeline->stream_count; i++)
        if (mr_stream_wants_checkpoint(pipeline->streams[i]))
            return true;
    return false;
}

static mr_status begin(mr_pipeline *pipeline, mr_error *err)
{
    mr_bytes flow = {0};
    encode_flow(pipeline, &flow);
    mr_status status =
        flow.failed ? MR_OUT_OF_MEMORY(err)
                    : mr_state_checkpoint_begin(pipeline->state, pipeline->plan->hash,
                                                pipeline->position, flow.data, flow.size, err);
    mr_bytes_deinit(&flow);
    pipeline->checkpoint_slots_done = false;
    for (size_t i = 0; i < pipeline->stream_count; i++)
        pipeline->streams[i]->round_ordinal = mr_stream_ordinal(pipeline->streams[i]);
    size_t kept = MR_COUNT_OF(pipeline->checkpoint_starts);
    memmove(pipeline->checkpoint_starts + 1, pipeline->checkpoint_starts,
            (kept - 1) * sizeof pipeline->checkpoint_starts[0]);
    pipeline->checkpoint_starts[0].position = pipeline->position;
    pipeline->checkpoint_starts[0].journal_offset = mr_journal_end(pipeline->journal);
    return status;
}

static mr_status write_slots(mr_pipeline *pipeline, uint32_t slots, mr_error *err)
{
    MR_TRY(mr_state_checkpoint_step(pipeline->state, pipeline->position, slots,
                                    &pipeline->checkpoint_slots_done, err));
    if (!pipeline->checkpoint_slots_done)
        return MR_OK;
    pipeline->checkpoint_position = pipeline->position;
    return run_trial_keep(pipeline, err);
}

/* A step takes a small part of the time of the micro-batch before it, so that none is seen as a pause. */
static uint32_t slots_due(const mr_pipeline *pipeline)
{
    uint32_t rows = pipeline->batch.rows;
    if (pipeline->checkpoint_in_haste)
        return SLOTS_IN_HASTE;
    return rows == 0 ? SLOTS_IDLE : MR_MAX(rows / ROWS_PER_SLOT, 1u);
}

/* What the sinks and the journal may let go of, now that a checkpoint is down: the log does it beside the flow. */
static void retain(mr_pipeline *pipeline)
{
    uint64_t needed = mr_state_position_needed(pipeline->state), offset = 0;
    for (size_t i = 0; i < MR_COUNT_OF(pipeline->checkpoint_starts); i++)
        if (pipeline->checkpoint_starts[i].position == needed)
            offset = pipeline->checkpoint_starts[i].journal_offset;
    mr_journal_trim(pipeline->journal, offset);
    for (size_t i = 0; i < pipeline->sink_count; i++)
        mr_topic_retain_soon(pipeline->sinks[i].topic, UINT64_MAX);
}

/* The log's own thread syncs the journal beside the flow; who cannot wait for it syncs here. */
static mr_status journal_done(mr_pipeline *pipeline, bool wait, mr_error *err)
{
    if (!wait && !pipeline->options.stepped)
        return mr_journal_durable(pipeline->journal, &pipeline->checkpoint_journal_done, err);
    pipeline->checkpoint_journal_done = true;
    return mr_journal_commit(pipeline->journal, err);
}

/* *out_done: the manifest is written. */
static mr_status finish(mr_pipeline *pipeline, bool wait, bool *out_done, mr_error *err)
{
    *out_done = false;
    if (run_commit_position(pipeline) < pipeline->checkpoint_position)
        return MR_OK;
    if (!pipeline->checkpoint_journal_done)
        MR_TRY(journal_done(pipeline, wait, err));
    if (!pipeline->checkpoint_journal_done)
        return MR_OK;
    *out_done = true;
    MR_TRY(mr_state_checkpoint_finish(pipeline->state, pipeline->checkpoint_position,
                                      wait ? NULL : out_done, err));
    if (!*out_done)
        return MR_OK;
    pipeline->checkpoint_journal_done = false;
    for (size_t i = 0; i < pipeline->stream_count; i++)
        pipeline->streams[i]->checkpoint_ordinal = pipeline->streams[i]->round_ordinal;
    pipeline->stats.checkpoints++;
    retain(pipeline);
    return MR_OK;
}

/* A whole round, now: for a clean stop. */
static mr_status checkpoint_now(mr_pipeline *pipeline, mr_error *err)
{
    bool done = false;
    if (!mr_state_checkpoint_running(pipeline->state))
        MR_TRY(begin(pipeline, err));
    while (!pipeline->checkpoint_slots_done)
        MR_TRY(write_slots(pipeline, MR_SLOT_COUNT, err));
    MR_TRY(run_commit_wait(pipeline, err));
    MR_TRY(finish(pipeline, true, &done, err));
    MR_ASSERT(done);
    return MR_OK;
}

mr_status run_checkpoint_tick(mr_pipeline *pipeline, bool all, mr_error *err)
{
    if (all) {
        /* A round that is under way began at an earlier place; finish it, then write what changed since. */
        if (mr_state_checkpoint_running(pipeline->state))
            MR_TRY(checkpoint_now(pipeline, err));
        return checkpoint_now(pipeline, err);
    }
    if (pipeline->options.checkpoint_interval_ms < 0 || pipeline->replaying)
        return MR_OK;
    mr_clock *clock = pipeline->options.clock;
    int64_t now = clock->mono_ns(clock);
    if (!mr_state_checkpoint_running(pipeline->state)) {
        pipeline->checkpoint_in_haste = retention_near(pipeline, now);
        if (now < pipeline->next_checkpoint_ns && !pipeline->checkpoint_in_haste)
            return MR_OK;
        pipeline->next_checkpoint_ns = now + run_checkpoint_interval_ns(pipeline);
        return begin(pipeline, err);
    }
    if (!pipeline->checkpoint_slots_done)
        return write_slots(pipeline, slots_due(pipeline), err);
    bool done;
    return finish(pipeline, false, &done, err);
}

/* ---- the way back ---- */

mr_status run_recover(mr_pipeline *pipeline, mr_error *err)
{
    mr_clock *clock = pipeline->options.clock;
    int64_t start_ns = clock->mono_ns(clock);
    mr_state_recovery found = {0};
    if (!run_again_from_first(pipeline))
        MR_TRY(mr_state_recover(pipeline->state, &found, err));
    mr_status status = run_again_check(pipeline, found.position_max, err);
    uint64_t journal_offset = 0;
    if (status != MR_OK) {
        mr_bytes_deinit(&found.flow);
        return status;
    }
    if (found.found && found.tables_missing == 0) {
        pipeline->position = found.position_min;
        status = decode_flow(pipeline, &found.flow, &journal_offset, err);
        if (status == MR_OK)
            status = mr_journal_rewind(pipeline->journal, journal_offset, err);
    } else {
        status = start_from_journal(pipeline, err);
    }
    mr_bytes_deinit(&found.flow);
    pipeline->commit.position_done = pipeline->position; /* nothing below is waited for */
    run_again_started(pipeline);
    if (status == MR_OK)
        status = run_emits_restore(pipeline, err);
    if (status == MR_OK)
        status = run_trial_recover(pipeline, err);
    if (status == MR_OK)
        status = replay_all(pipeline, err);
    if (status == MR_OK && pipeline->stats.removed > 0 && !pipeline->at_rest)
        status = checkpoint_now(pipeline, err); /* from now on behind the gap, whatever happens */
    pipeline->stats.position = pipeline->position;
    pipeline->stats.recovery_ns = clock->mono_ns(clock) - start_ns;
    return status;
}
