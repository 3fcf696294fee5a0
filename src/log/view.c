/* view.c -- what readers may see of a partition, and where in which segment it lies.
 *
 * In the writer's process the view is shared memory; elsewhere it is the tail file. A partition whose writer
 * died without a word is recovered by the first who looks, if nobody writes: only recovery knows what of
 * its end is durable. */
#include "log/partition.h"

#include <inttypes.h>
#include <stdio.h>

#define TAIL_WAIT_NS INT64_C(5000000000)
#define TAIL_STEP_NS INT64_C(1000000)

/* ---- the end ---- */

/* `lock` held. MR_NOT_FOUND or MR_CORRUPT: there is no valid record. */
static mr_status read_tail(mr_partition *partition, mr_tail *out, mr_error *err)
{
    if (partition->tail_file == NULL) {
        char path[MR_PATH_MAX];
        (void)snprintf(path, sizeof path, "%.4000s/tail", partition->folder);
        MR_TRY(
            mr_fs_open(partition->topic->log->fs, path, MR_OPEN_READ, &partition->tail_file, err));
    }
    return mr_tail_read(partition->tail_file, partition->salt, out, err);
}

/* Somebody is just taking over a partition that never told its end: it will, when it has recovered. */
static bool await_tail(mr_partition *partition)
{
    mr_clock *clock = partition->topic->log->clock;
    mr_status status = MR_NOT_FOUND;
    for (int64_t waited = 0; status != MR_OK && waited < TAIL_WAIT_NS; waited += TAIL_STEP_NS) {
        mr_tail tail;
        clock->sleep_ns(clock, TAIL_STEP_NS);
        mr_mutex_lock(&partition->lock);
        status = partition->writing ? MR_OK : read_tail(partition, &tail, NULL);
        mr_mutex_unlock(&partition->lock);
    }
    return status == MR_OK;
}

static mr_status recover_if_orphaned(mr_partition *partition, bool tail_valid, mr_error *err)
{
    mr_status status = mr_partition_settle(partition, err);
    if (status != MR_BUSY || !(tail_valid || await_tail(partition)))
        return status;
    mr_error_clear(err); /* alive, and it tells us */
    return MR_OK;
}

/* `lock` held. MR_OK with *out_orphan: look again after a recovery. */
static mr_status see_locked(mr_partition *partition, bool first, mr_partition_view *out,
                            bool *out_valid, bool *out_orphan, mr_error *err)
{
    *out_orphan = false;
    if (partition->writing) {
        *out = partition->view;
        return MR_OK;
    }
    mr_tail tail;
    mr_status status = read_tail(partition, &tail, err);
    *out_valid = status == MR_OK;
    *out_orphan = first && (status == MR_CORRUPT || status == MR_NOT_FOUND ||
                            (*out_valid && !partition->seen && !tail.clean));
    if (*out_orphan)
        return MR_OK;
    MR_TRY(status);
    partition->seen = true;
    *out = (mr_partition_view){tail.visible_offset, tail.segment_base, tail.position,
                               tail.durable_offset};
    return MR_OK;
}

mr_status mr_partition_see(mr_partition *partition, mr_partition_view *out, mr_error *err)
{
    for (bool first = true;; first = false) {
        bool valid = false, orphan;
        mr_mutex_lock(&partition->lock);
        mr_status status = see_locked(partition, first, out, &valid, &orphan, err);
        if (status == MR_OK && orphan)
            partition->seen = true;
        mr_mutex_unlock(&partition->lock);
        if (status != MR_OK || !orphan)
            return status;
        MR_TRY(recover_if_orphaned(partition, valid, err));
    }
}

/* ---- segments ---- */

static mr_status refresh_segments(mr_partition *partition, mr_error *err)
{
    return partition->writing ? MR_OK : mr_partition_list_segments(partition, err);
}

mr_status mr_partition_first_offset(mr_partition *partition, uint64_t *out, mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    mr_status status = refresh_segments(partition, err);
    *out = partition->segment_count > 0 ? partition->segments[0].base_offset : 0;
    mr_mutex_unlock(&partition->lock);
    return status;
}

static mr_status gone(const mr_partition *partition, uint64_t offset, mr_error *err)
{
    uint64_t first = partition->segment_count > 0 ? partition->segments[0].base_offset : 0;
    mr_partition_place(partition, offset, err);
    return MR_FAIL(err, MR_NOT_FOUND,
                   "%" PRIu64 " records from offset %" PRIu64
                   " on were removed by retention; the first one kept is %" PRIu64,
                   first - offset, offset, first);
}

/* Index of the last segment with a base offset <= offset, or segment_count. */
static size_t find_ref(const mr_partition *partition, uint64_t offset)
{
    size_t low = 0, high = partition->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (partition->segments[middle].base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? low - 1 : partition->segment_count;
}

/* `lock` held */
static mr_status open_ref(mr_partition *partition, uint64_t offset, mr_segment **out,
                          uint64_t *out_next_base, mr_error *err)
{
    MR_TRY(refresh_segments(partition, err));
    size_t at = find_ref(partition, offset);
    if (at == partition->segment_count)
        return gone(partition, offset, err);
    uint64_t base_offset = partition->segments[at].base_offset;
    *out_next_base = at + 1 < partition->segment_count ? partition->segments[at + 1].base_offset
                                                       : MR_LOG_OFFSET_NONE;
    if (partition->active != NULL && partition->active->base_offset == base_offset) {
        *out = mr_segment_retain(partition->active);
        return MR_OK;
    }
    return mr_segment_open(partition->topic->log->fs, partition->folder, base_offset,
                           partition->salt, false, out, err);
}

mr_status mr_partition_open_segment(mr_partition *partition, uint64_t offset, mr_segment **out,
                                    uint64_t *out_next_base, mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    mr_status status = open_ref(partition, offset, out, out_next_base, err);
    if (status == MR_NOT_FOUND &&
        !partition->writing) /* taken away between the list and the open */
        status = open_ref(partition, offset, out, out_next_base, err);
    mr_mutex_unlock(&partition->lock);
    return status;
}

/* ---- indexes ---- */

static void side_path(const mr_partition *partition, uint64_t base_offset, char *out)
{
    char name[MR_SEGMENT_NAME_BYTES];
    mr_segment_name(base_offset, "idx", name);
    (void)snprintf(out, MR_PATH_MAX, "%.4000s/%s", partition->folder, name);
}

void mr_partition_write_side_file(mr_partition *partition, uint64_t base_offset,
                                  const mr_bytes *bytes)
{
    char path[MR_PATH_MAX];
    mr_file *file;
    side_path(partition, base_offset, path);
    if (mr_fs_open(partition->topic->log->fs, path, MR_OPEN_CREATE, &file, NULL) != MR_OK)
        return;
    if (mr_file_truncate(file, 0, NULL) == MR_OK)
        (void)mr_file_write(file, 0, bytes->data, bytes->size, NULL);
    mr_file_close(file);
}

static mr_status read_side_file(mr_partition *partition, mr_segment *segment, mr_index *out,
                                mr_error *err)
{
    char path[MR_PATH_MAX];
    mr_bytes bytes = {0};
    side_path(partition, segment->base_offset, path);
    mr_status status = mr_fs_read_file(partition->topic->log->fs, path, 0, &bytes, err);
    if (status == MR_OK)
        status = mr_index_decode(bytes.data, bytes.size, partition->salt, segment->base_offset, out,
                                 err);
    mr_bytes_deinit(&bytes);
    return status;
}

static mr_status rebuild_index(mr_partition *partition, mr_segment *segment, mr_index *out,
                               mr_error *err)
{
    uint64_t size;
    MR_TRY(mr_file_size(segment->file, &size, err));
    mr_index_init(out, segment->base_offset, segment->first_position);
    mr_status status = mr_segment_extend_index(segment, size, out, err);
    if (status != MR_OK) {
        mr_index_deinit(out);
        return status;
    }
    mr_bytes bytes = {0};
    mr_index_encode(out, partition->salt, &bytes);
    if (!bytes.failed && partition->lock_file != NULL) /* only the writer writes here */
        mr_partition_write_side_file(partition, segment->base_offset, &bytes);
    mr_bytes_deinit(&bytes);
    return MR_OK;
}

mr_status mr_partition_sealed_index(mr_partition *partition, mr_segment *segment, mr_index *out,
                                    mr_error *err)
{
    if (read_side_file(partition, segment, out, NULL) == MR_OK)
        return MR_OK;
    return rebuild_index(partition, segment, out, err);
}

static mr_index_entry look_up(const mr_index *index, bool by_time, uint64_t offset,
                              int64_t event_time)
{
    return by_time ? mr_index_find_time(index, event_time) : mr_index_find_offset(index, offset);
}

/* `lock` held. The index of the segment the view ends in: the writer's own, or one we keep up to date. */
static mr_status find_in_open(mr_partition *partition, mr_segment *segment, uint64_t limit,
                              mr_error *err)
{
    if (partition->index_base == segment->base_offset && partition->writing)
        return MR_OK;
    if (partition->index_base != segment->base_offset) {
        mr_index_deinit(&partition->index);
        mr_index_init(&partition->index, segment->base_offset, segment->first_position);
        partition->index_base = segment->base_offset;
    }
    return mr_segment_extend_index(segment, limit, &partition->index, err);
}

mr_status mr_partition_find(mr_partition *partition, mr_segment *segment, bool sealed,
                            uint64_t limit, bool by_time, uint64_t offset, int64_t event_time,
                            mr_index_entry *out, mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    bool rolled = partition->writing && partition->index_base != segment->base_offset;
    if (!sealed && !rolled) {
        mr_status status = find_in_open(partition, segment, limit, err);
        if (status == MR_OK)
            *out = look_up(&partition->index, by_time, offset, event_time);
        mr_mutex_unlock(&partition->lock);
        return status;
    }
    mr_mutex_unlock(&partition->lock);
    mr_index index;
    MR_TRY(mr_partition_sealed_index(partition, segment, &index, err));
    *out = look_up(&index, by_time, offset, event_time);
    mr_index_deinit(&index);
    return MR_OK;
}
