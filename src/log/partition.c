/* partition.c -- birth, taking over for writing, and giving back. */
#include "log/partition.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>

#define LOCK_WAIT_NS INT64_C(500000000)
#define LOCK_STEP_NS INT64_C(1000000)

/* Blocks and segments carry it, so that bytes of another partition or an earlier topic of the same
 * name are never taken for this one's. */
uint64_t mr_partition_salt(uint64_t topic_salt, uint32_t number)
{
    return mr_hash_u64(topic_salt + number);
}

mr_status mr_partition_init(mr_partition *partition, mr_topic *topic, uint32_t number,
                            mr_error *err)
{
    char path[MR_PATH_MAX];
    *partition = (mr_partition){.topic = topic,
                                .number = number,
                                .salt = mr_partition_salt(topic->salt, number),
                                .index_base = MR_LOG_OFFSET_NONE,
                                .empty_unsynced = MR_LOG_OFFSET_NONE,
                                .empty_syncing = MR_LOG_OFFSET_NONE};
    (void)snprintf(path, sizeof path, "%.4000s/partition-%u", topic->folder, number);
    partition->folder = mr_strdup(path);
    if (partition->folder == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_mutex_init(&partition->append_lock);
    mr_mutex_init(&partition->lock);
    mr_condition_init(&partition->sync_done);
    return MR_OK;
}

static void free_staging(mr_staging *staging)
{
    while (staging != NULL) {
        mr_staging *next = staging->next;
        mr_bytes_deinit(&staging->block);
        mr_bytes_deinit(&staging->scratch);
        mr_free(staging);
        staging = next;
    }
}

static void drop_files(mr_partition *partition)
{
    mr_segment_release(partition->active);
    mr_file_close(partition->tail_file);
    mr_file_close(partition->lock_file); /* last: whoever gets the lock finds all else closed */
    partition->active = NULL;
    partition->lock_file = partition->tail_file = NULL;
    mr_index_deinit(&partition->index);
    partition->index_base = MR_LOG_OFFSET_NONE;
    mr_producers_deinit(&partition->producers);
    partition->prepared_position = 0;
    partition->written_out_position = 0;
}

void mr_partition_deinit(mr_partition *partition)
{
    if (partition->folder == NULL)
        return;
    mr_partition_release(partition);
    drop_files(partition);
    free_staging(partition->staging);
    mr_free(partition->segments);
    mr_free(partition->damages);
    mr_free(partition->folder);
    mr_condition_deinit(&partition->sync_done);
    mr_mutex_deinit(&partition->lock);
    mr_mutex_deinit(&partition->append_lock);
    *partition = (mr_partition){0};
}

void mr_partition_place(const mr_partition *partition, uint64_t offset, mr_error *err)
{
    if (err != NULL)
        (void)snprintf(err->place, sizeof err->place, "%.200s/%u@%" PRIu64, partition->topic->name,
                       partition->number, offset);
}

/* ---- taking over ---- */

/* A reader that recovers an orphan holds the lock for a moment: whoever wants to write waits that long. */
static mr_status lock_file(mr_partition *partition, int64_t wait_ns, mr_error *err)
{
    mr_clock *clock = partition->topic->log->clock;
    mr_status status = mr_file_lock(partition->lock_file, err);
    for (int64_t waited = 0; status == MR_BUSY && waited < wait_ns; waited += LOCK_STEP_NS) {
        clock->sleep_ns(clock, LOCK_STEP_NS);
        status = mr_file_lock(partition->lock_file, err);
    }
    return status;
}

static mr_status lock_files(mr_partition *partition, int64_t wait_ns, mr_error *err)
{
    mr_fs *fs = partition->topic->log->fs;
    char path[MR_PATH_MAX];
    (void)snprintf(path, sizeof path, "%.4000s/lock", partition->folder);
    MR_TRY(mr_fs_open(fs, path, MR_OPEN_CREATE, &partition->lock_file, err));
    mr_status status = lock_file(partition, wait_ns, err);
    if (status == MR_BUSY)
        return MR_FAIL(err, MR_BUSY, "%s partition %u is being written by another process",
                       partition->topic->name, partition->number);
    MR_TRY(status);
    mr_file_close(partition->tail_file);
    partition->tail_file = NULL;
    (void)snprintf(path, sizeof path, "%.4000s/tail", partition->folder);
    return mr_fs_open(fs, path, MR_OPEN_CREATE, &partition->tail_file, err);
}

static void begin_writing(mr_partition *partition)
{
    partition->writing = true;
    partition->failed = false;
    partition->view.durable_offset = partition->end_offset;
    partition->durable_position = partition->end_position;
    partition->unsynced_since_ns = 0;
    partition->commit_bytes_mean = 0;
    partition->spare_refused = false;
    partition->empty_unsynced = partition->empty_syncing = MR_LOG_OFFSET_NONE;
    mr_partition_publish(partition, false);
}

static mr_status take_over(mr_partition *partition, int64_t wait_ns, mr_error *err)
{
    mr_topic *topic = partition->topic;
    mr_status status = lock_files(partition, wait_ns, err);
    if (status == MR_OK)
        mr_partition_drop_spare(partition);
    /* A creation whose last sync failed shows its files all the same: before records rest on them, they
     * must be durable. */
    if (status == MR_OK)
        status = mr_fs_sync_dir(topic->log->fs, topic->folder, err);
    if (status == MR_OK)
        status = mr_partition_recover(partition, err);
    if (status != MR_OK) {
        drop_files(partition);
        return status;
    }
    begin_writing(partition);
    /* An older tail that says "clean" must not come back with a crash: a reader would believe it and never
     * look for what was acknowledged since. */
    status = mr_file_sync(partition->tail_file, err);
    if (status != MR_OK) {
        partition->writing = false;
        drop_files(partition);
    }
    return status;
}

mr_status mr_partition_take_over(mr_partition *partition, mr_log_damage_fn report, void *context,
                                 mr_error *err)
{
    mr_mutex_lock(&partition->append_lock);
    mr_mutex_lock(&partition->lock);
    bool ours = partition->writing;
    mr_status status =
        ours ? mr_partition_check_failed(partition, err) : take_over(partition, LOCK_WAIT_NS, err);
    mr_mutex_unlock(&partition->lock);
    for (size_t i = 0; status == MR_OK && !ours && report != NULL && i < partition->damage_count;
         i++)
        report(context, &partition->damages[i]);
    mr_mutex_unlock(&partition->append_lock);
    return status;
}

mr_status mr_partition_settle(mr_partition *partition, mr_error *err)
{
    mr_status status = MR_OK;
    mr_mutex_lock(&partition->append_lock);
    mr_mutex_lock(&partition->lock);
    if (!partition->writing) {
        status = take_over(partition, 0, err);
        if (status == MR_OK) {
            mr_partition_publish(partition, true); /* recovery has synced all */
            partition->writing = false;
            drop_files(partition);
        }
    }
    mr_mutex_unlock(&partition->lock);
    mr_mutex_unlock(&partition->append_lock);
    return status;
}

/* What was prepared behind the last block; recovery does it, too. */
static void give_room_back(mr_partition *partition)
{
    if (!partition->failed && partition->prepared_position > partition->end_position)
        (void)mr_file_truncate(partition->active->file, partition->end_position, NULL);
}

void mr_partition_release(mr_partition *partition)
{
    mr_mutex_lock(&partition->append_lock);
    if (partition->writing) {
        bool clean = mr_partition_sync(partition, NULL) == MR_OK;
        mr_mutex_lock(&partition->lock);
        mr_partition_drop_spare(partition);
        give_room_back(partition);
        if (clean)
            mr_partition_publish(partition, true);
        partition->writing = false;
        drop_files(partition);
        mr_mutex_unlock(&partition->lock);
    }
    mr_mutex_unlock(&partition->append_lock);
}
