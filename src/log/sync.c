/* sync.c -- making durable what was appended, and telling readers.
 *
 * Group commit: whoever finds no sync running starts one for all that is written by then; the
 * others wait and look again. So a sync is shared by all who appended while the one before it ran.
 */
#include "log/partition.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

#define WRITE_OUT_BYTES (UINT64_C(1) << 20)
#define WRITE_OUT_BEHIND                                                                           \
    (UINT64_C(1) << 18) /* who appends waits for a page that is being written */

/* ---- publishing ---- */

static void tell_waiters(mr_log *log)
{
    atomic_fetch_add(&log->publish_count, 1);
    if (atomic_load(&log->waiter_count) == 0)
        return;
    mr_mutex_lock(&log->wait_lock);
    mr_condition_broadcast(&log->published);
    mr_mutex_unlock(&log->wait_lock);
}

/* The tail file is a hint: a failure to write it costs readers elsewhere time, not truth. */
static void write_tail(mr_partition *partition, bool clean)
{
    const mr_partition_view *view = &partition->view;
    mr_tail tail = {.sequence = ++partition->tail_sequence,
                    .durable_offset = view->durable_offset,
                    .visible_offset = view->offset,
                    .segment_base = view->segment_base,
                    .position = view->position,
                    .durable_position = partition->durable_position,
                    .clean = clean,
                    .sync_failed = partition->failed};
    (void)mr_tail_write(partition->tail_file, partition->salt, &tail, NULL);
}

void mr_partition_publish(mr_partition *partition, bool clean)
{
    bool all = atomic_load(&partition->topic->policy) == MR_LOG_SYNC_OS;
    partition->view.segment_base = partition->active->base_offset;
    partition->view.offset = all ? partition->end_offset : partition->view.durable_offset;
    partition->view.position = all ? partition->end_position : partition->durable_position;
    write_tail(partition, clean);
    tell_waiters(partition->topic->log);
}

/* ---- failure ---- */

mr_status mr_partition_check_failed(const mr_partition *partition, mr_error *err)
{
    if (!partition->failed)
        return MR_OK;
    return MR_FAIL(err, MR_IO,
                   "%s partition %u has failed and takes nothing more: %s; restart to recover it",
                   partition->topic->name, partition->number, partition->failed_reason);
}

mr_status mr_partition_fail(mr_partition *partition, const char *reason, mr_error *err)
{
    partition->failed = true;
    (void)snprintf(partition->failed_reason, sizeof partition->failed_reason, "%.250s", reason);
    write_tail(partition, false);
    return mr_partition_check_failed(partition, err);
}

/* ---- syncing ---- */

void mr_partition_begin_sync(mr_partition *partition)
{
    while (partition->syncing)
        mr_condition_wait(&partition->sync_done, &partition->lock);
    partition->syncing = true;
    partition->empty_syncing = partition->empty_unsynced;
    partition->empty_unsynced = MR_LOG_OFFSET_NONE;
    partition->unsynced_since_ns = 0;
}

void mr_partition_end_sync(mr_partition *partition)
{
    partition->syncing = false;
    if (partition->failed && partition->empty_syncing != MR_LOG_OFFSET_NONE)
        partition->empty_unsynced = partition->empty_syncing;
    partition->empty_syncing = MR_LOG_OFFSET_NONE;
    mr_condition_broadcast(&partition->sync_done);
}

static void note_commit(mr_partition *partition, uint64_t bytes)
{
    uint64_t mean = partition->commit_bytes_mean;
    partition->commit_bytes_mean = mean == 0 ? bytes : (7 * mean + bytes) / 8;
}

/* The lock is given back while the disk works; the active segment stays, because a roll waits for
 * us. */
static mr_status sync_active(mr_partition *partition, mr_error *err)
{
    uint64_t offset = partition->end_offset, position = partition->end_position;
    mr_file *file = partition->active->file;
    mr_error reason = {0};
    mr_mutex_unlock(&partition->lock);
    mr_status status = mr_file_sync(file, &reason);
    mr_mutex_lock(&partition->lock);
    if (status != MR_OK)
        return mr_partition_fail(partition, reason.text, err);
    note_commit(partition, position - partition->durable_position);
    partition->view.durable_offset = offset;
    partition->durable_position = position;
    mr_partition_publish(partition, false);
    return MR_OK;
}

static mr_status sync_once(mr_partition *partition, mr_error *err)
{
    mr_partition_begin_sync(partition);
    mr_status status = mr_partition_check_failed(partition, err);
    if (status == MR_OK)
        status = sync_active(partition, err);
    mr_partition_end_sync(partition);
    return status;
}

static mr_status check_writing(const mr_partition *partition, mr_error *err)
{
    if (partition->writing)
        return MR_OK;
    return MR_FAIL(err, MR_INVALID, "%s partition %u is not being written here",
                   partition->topic->name, partition->number);
}

mr_status mr_partition_sync(mr_partition *partition, mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    mr_status status = check_writing(partition, err);
    if (status == MR_OK)
        status = mr_partition_check_failed(partition, err);
    while (status == MR_OK && partition->syncing)
        mr_condition_wait(&partition->sync_done, &partition->lock);
    if (status == MR_OK && partition->durable_position < partition->end_position)
        status = sync_once(partition, err);
    mr_mutex_unlock(&partition->lock);
    return status;
}

/* Blocks without rows have no offsets of their own, so they are looked for by name. */
static bool is_durable(const mr_partition *partition, uint64_t end_offset)
{
    return partition->view.durable_offset >= end_offset && partition->empty_unsynced > end_offset &&
           partition->empty_syncing > end_offset;
}

static mr_status commit_always(mr_partition *partition, uint64_t end_offset, mr_error *err)
{
    while (!is_durable(partition, end_offset)) {
        MR_TRY(mr_partition_check_failed(partition, err));
        if (partition->syncing)
            mr_condition_wait(&partition->sync_done, &partition->lock);
        else
            MR_TRY(sync_once(partition, err));
    }
    return MR_OK;
}

/* How long until an interval sync is due; 0: now, INT64_MAX: nothing is unsynced. */
static int64_t interval_left_ns(const mr_partition *partition)
{
    if (partition->unsynced_since_ns == 0 || partition->failed)
        return INT64_MAX;
    mr_clock *clock = partition->topic->log->clock;
    int64_t interval_ns = (int64_t)atomic_load(&partition->topic->interval_ms) * 1000000;
    int64_t left = partition->unsynced_since_ns + interval_ns - clock->mono_ns(clock);
    return MR_MAX(left, 0);
}

static mr_status commit_by_policy(mr_partition *partition, uint64_t end_offset, mr_error *err)
{
    MR_TRY(check_writing(partition, err));
    if (end_offset > partition->end_offset)
        return MR_FAIL(
            err, MR_INVALID, "cannot commit %s partition %u up to %" PRIu64 ": it ends at %" PRIu64,
            partition->topic->name, partition->number, end_offset, partition->end_offset);
    switch (atomic_load(&partition->topic->policy)) {
    case MR_LOG_SYNC_ALWAYS:
        return commit_always(partition, end_offset, err);
    case MR_LOG_SYNC_INTERVAL:
        MR_TRY(mr_partition_check_failed(partition, err));
        return !partition->syncing && interval_left_ns(partition) == 0 ? sync_once(partition, err)
                                                                       : MR_OK;
    default:
        return mr_partition_check_failed(partition, err);
    }
}

mr_status mr_partition_commit(mr_partition *partition, uint64_t end_offset, mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    mr_status status = commit_by_policy(partition, end_offset, err);
    mr_mutex_unlock(&partition->lock);
    return status;
}

/* Where nobody waits for a sync, the disk is kept busy all the same: else a full segment would have to be written at
 * once before the next may begin, and its appender would wait. Gives the lock back meanwhile. */
static void write_out(mr_partition *partition)
{
    uint64_t from = partition->written_out_position, end = partition->end_position;
    if (end < from + WRITE_OUT_BYTES + WRITE_OUT_BEHIND)
        return;
    end -= WRITE_OUT_BEHIND;
    mr_segment *segment = mr_segment_retain(partition->active);
    partition->written_out_position = end;
    mr_mutex_unlock(&partition->lock);
    mr_file_write_out(segment->file, from, end - from);
    mr_segment_release(segment);
    mr_mutex_lock(&partition->lock);
}

/* `lock` held */
static mr_status tick(mr_partition *partition, const mr_topic_options *options,
                      int64_t *out_next_ns, mr_error *err)
{
    mr_status status = MR_OK;
    if (options->sync != MR_LOG_SYNC_ALWAYS)
        write_out(partition);
    if (options->sync == MR_LOG_SYNC_INTERVAL && !partition->syncing &&
        interval_left_ns(partition) == 0)
        status = sync_once(partition, err);
    *out_next_ns = mr_partition_keep_spare(partition, options);
    if (options->sync == MR_LOG_SYNC_INTERVAL)
        *out_next_ns = MR_MIN(*out_next_ns, interval_left_ns(partition));
    return status;
}

mr_status mr_partition_tick(mr_partition *partition, int64_t *out_next_ns, mr_error *err)
{
    mr_status status = MR_OK;
    *out_next_ns = INT64_MAX;
    mr_topic_options options = mr_topic_get_options(partition->topic);
    mr_mutex_lock(&partition->lock);
    if (partition->writing)
        status = tick(partition, &options, out_next_ns, err);
    mr_mutex_unlock(&partition->lock);
    return status == MR_OK ? mr_partition_retain_wanted(partition, err) : status;
}
