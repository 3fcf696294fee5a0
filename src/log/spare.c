/* spare.c -- the next segment, made before it is needed.
 *
 *   spare.seg   |000000000000000000|      made beside the flow
 *   roll        |head|0000000000000|      header, sync, rename: then blocks overwrite the zeros
 *
 * A file that grows is slow now and then: an append waits while the file system finds place for an earlier one, and a
 * commit waits for the file system's own records of the file, which all files share. In a file whose place is found an
 * append waits for neither; in one whose place is written, too, a commit is the data and a flush of the disk (0.1 ms
 * here, against 0.14 to 2.4 ms). PostgreSQL recycles the segments of its write-ahead log for the same reason.
 *
 * (1) Zeros are written only where somebody waits for syncs, and commits little at a time: bulk loads would write
 *     everything twice. Otherwise the place is set aside.
 * (2) What lies in spare.seg is nothing: whoever takes the partition over removes it.
 * (3) A spare that cannot be made (a full disk) is not missed: the next segment grows.
 * Thread: keeping up is the ticking thread's; spare_busy keeps others away from the file meanwhile. */
#include "log/partition.h"

#include "base/assert.h"

#include <stdio.h>

#define SPARE_FROM_BYTES (UINT64_C(256) << 10) /* smaller partitions see no load worth it */
#define SPARE_GROWTH     2
#define COMMIT_BYTES_MAX (UINT64_C(256) << 10)
#define STEP_BYTES       (UINT64_C(256) << 10)
#define PACE_MIN_NS      2e5
#define PACE_MAX_NS      5e6

static void path_of(const mr_partition *partition, char *out)
{
    (void)snprintf(out, MR_PATH_MAX, "%.4000s/spare.seg", partition->folder);
}

/* ---- whether, and how large ---- */

static bool wants_spare(const mr_partition *partition, const mr_topic_options *options)
{
    uint64_t from = MR_MIN(SPARE_FROM_BYTES, options->segment_bytes / 4);
    return !partition->spare_refused &&
           partition->end_position >= MR_MAX(from, partition->prepared_position / 8);
}

static bool wants_zeros(const mr_partition *partition, const mr_topic_options *options)
{
    return options->sync != MR_LOG_SYNC_OS && partition->commit_bytes_mean <= COMMIT_BYTES_MAX;
}

/* Small at first, so that it is there soon; segments grow to their full size step by step. */
static uint64_t spare_size(const mr_partition *partition, const mr_topic_options *options)
{
    uint64_t active = MR_MAX(partition->end_position, partition->prepared_position);
    return MR_MIN(active * SPARE_GROWTH, options->segment_bytes);
}

bool mr_partition_spare_ready(const mr_partition *partition)
{
    return partition->spare != NULL && !partition->spare_busy &&
           partition->spare_filled == partition->spare_bytes;
}

/* ---- making ---- */

static void forget(mr_partition *partition)
{
    mr_file_close(partition->spare);
    partition->spare = NULL;
    partition->spare_bytes = partition->spare_filled = 0;
}

void mr_partition_drop_spare(mr_partition *partition)
{
    char path[MR_PATH_MAX];
    while (partition->spare_busy)
        mr_condition_wait(&partition->sync_done, &partition->lock);
    forget(partition);
    path_of(partition, path);
    (void)mr_fs_remove(partition->topic->log->fs, path, NULL);
}

static void refuse(mr_partition *partition)
{
    partition->spare_refused = true;
    mr_partition_drop_spare(partition);
}

static mr_status begin_spare(mr_partition *partition, const mr_topic_options *options)
{
    char path[MR_PATH_MAX];
    path_of(partition, path);
    partition->spare_bytes = spare_size(partition, options);
    partition->spare_filled = 0;
    MR_TRY(mr_fs_open(partition->topic->log->fs, path, MR_OPEN_CREATE, &partition->spare, NULL));
    MR_TRY(mr_file_truncate(partition->spare, 0, NULL));
    MR_TRY(mr_file_reserve(partition->spare, partition->spare_bytes, NULL));
    if (!wants_zeros(partition, options))
        partition->spare_filled = partition->spare_bytes;
    return MR_OK;
}

/* The disk is asked to write along, in small portions, so that those who commit meanwhile wait for little. */
static mr_status fill_step(mr_file *file, uint64_t filled, uint64_t size)
{
    static const uint8_t zeros[STEP_BYTES];
    uint64_t bytes = MR_MIN(STEP_BYTES, size - filled);
    MR_TRY(mr_file_write(file, filled, zeros, bytes, NULL));
    mr_file_write_out(file, filled, bytes);
    return filled + bytes == size ? mr_file_sync(file, NULL) : MR_OK;
}

/* So that it is ready a little before the active segment ends, and no faster: others need the disk. */
static int64_t pace_ns(const mr_partition *partition)
{
    mr_clock *clock = partition->topic->log->clock;
    double end = (double)partition->end_position, prepared = (double)partition->prepared_position;
    double left = (double)(partition->spare_bytes - partition->spare_filled);
    double room = prepared > end ? prepared - end : end;
    double age_ns = (double)(clock->mono_ns(clock) - partition->active_since_ns);
    double ns = age_ns / end * room * 0.7 * (double)STEP_BYTES / MR_MAX(left, 1.0);
    return (int64_t)MR_MAX(MR_MIN(ns, PACE_MAX_NS), PACE_MIN_NS);
}

static void fill_spare(mr_partition *partition)
{
    mr_file *file = partition->spare;
    uint64_t filled = partition->spare_filled, size = partition->spare_bytes;
    partition->spare_busy = true;
    mr_mutex_unlock(&partition->lock);
    mr_status status = fill_step(file, filled, size);
    mr_mutex_lock(&partition->lock);
    partition->spare_busy = false;
    mr_condition_broadcast(&partition->sync_done);
    if (status == MR_OK) {
        partition->spare_filled = MR_MIN(filled + STEP_BYTES, size);
        return;
    }
    refuse(partition);
}

int64_t mr_partition_keep_spare(mr_partition *partition, const mr_topic_options *options)
{
    if (!partition->writing || partition->failed)
        return INT64_MAX;
    if (partition->spare == NULL && wants_spare(partition, options) &&
        begin_spare(partition, options) != MR_OK)
        refuse(partition);
    if (partition->spare == NULL || mr_partition_spare_ready(partition))
        return INT64_MAX;
    fill_spare(partition);
    return mr_partition_spare_ready(partition) ? INT64_MAX : pace_ns(partition);
}

/* ---- using ---- */

mr_status mr_partition_begin_segment(mr_partition *partition, uint64_t base_offset,
                                     mr_segment **out, mr_error *err)
{
    mr_log *log = partition->topic->log;
    char spare[MR_PATH_MAX];
    path_of(partition, spare);
    bool ready = mr_partition_spare_ready(partition);
    uint64_t prepared = ready ? partition->spare_bytes : 0;
    if (ready)
        forget(partition);
    MR_TRY(mr_segment_create(log->fs, partition->folder, ready ? spare : NULL, base_offset,
                             partition->salt, log->clock->wall_us(log->clock),
                             &partition->producers, out, err));
    partition->prepared_position = prepared;
    partition->spare_refused = false;
    partition->active_since_ns = log->clock->mono_ns(log->clock);
    partition->written_out_position = partition->upkeep_position = 0;
    return MR_OK;
}
