/* retention.c -- lets go of old segments, and counts what is kept.
 *
 * (1) Whole sealed segments only, oldest first, each removal durable before the next: a crash leaves a log
 *     that begins later, never one with a hole.
 * (2) Age is by time of append, which never runs ahead of us; event time may be anything.
 * (3) Readers do not hold anything back. Who must not fall behind asks mr_topic_kept_from how far retention
 *     will come; the callback is for a topic that has one reader only, its owner. */
#include "log/partition.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static mr_status segment_bytes(mr_partition *partition, uint64_t base_offset, uint64_t *out,
                               mr_error *err)
{
    char name[MR_SEGMENT_NAME_BYTES], path[MR_PATH_MAX];
    mr_file_info info;
    mr_segment_name(base_offset, "seg", name);
    (void)snprintf(path, sizeof path, "%.4000s/%s", partition->folder, name);
    MR_TRY(mr_fs_info(partition->topic->log->fs, path, &info, err));
    *out = info.size;
    return MR_OK;
}

/* ---- retention ---- */

typedef struct oldest_segment {
    bool sealed; /* there is a sealed segment */
    uint64_t base_offset;
    uint64_t end_offset; /* where the next one begins */
    uint64_t bytes;
    uint64_t total_bytes; /* of the partition */
    int64_t append_last_us;
} oldest_segment;

static mr_status total_bytes(mr_partition *partition, uint64_t *out, mr_error *err)
{
    *out = 0;
    for (size_t i = 0; i < partition->segment_count; i++) {
        uint64_t bytes;
        MR_TRY(segment_bytes(partition, partition->segments[i].base_offset, &bytes, err));
        *out += bytes;
    }
    return MR_OK;
}

static mr_status last_append(mr_partition *partition, uint64_t base_offset, int64_t *out,
                             mr_error *err)
{
    mr_segment *segment;
    mr_index index;
    MR_TRY(mr_segment_open(partition->topic->log->fs, partition->folder, base_offset,
                           partition->salt, false, &segment, err));
    mr_status status = mr_partition_sealed_index(partition, segment, &index, err);
    if (status == MR_OK) {
        *out = index.append_last_us;
        mr_index_deinit(&index);
    }
    mr_segment_release(segment);
    return status;
}

static mr_status look_at_oldest(mr_partition *partition, oldest_segment *out, mr_error *err)
{
    *out = (oldest_segment){0};
    mr_mutex_lock(&partition->lock);
    mr_status status = MR_OK;
    if (partition->segment_count > 1) {
        out->sealed = true;
        out->base_offset = partition->segments[0].base_offset;
        out->end_offset = partition->segments[1].base_offset;
        status = segment_bytes(partition, out->base_offset, &out->bytes, err);
        if (status == MR_OK)
            status = total_bytes(partition, &out->total_bytes, err);
        if (status == MR_OK)
            status = last_append(partition, out->base_offset, &out->append_last_us, err);
    }
    mr_mutex_unlock(&partition->lock);
    return status;
}

static bool is_due(const mr_topic_options *options, const oldest_segment *oldest, int64_t now_us)
{
    if (options->retention_bytes > 0 &&
        oldest->total_bytes - oldest->bytes >= options->retention_bytes)
        return true; /* what is left without it is still the size that is to be kept */
    return options->retention_age_ms > 0 &&
           now_us - oldest->append_last_us > (int64_t)(options->retention_age_ms * 1000);
}

/* Out of the list first: nobody opens it any more, and nobody waits while the file system gives its place back. */
static bool take_oldest(mr_partition *partition, uint64_t base_offset)
{
    mr_mutex_lock(&partition->lock);
    bool ours = partition->segment_count > 1 && partition->segments[0].base_offset == base_offset;
    if (ours) {
        partition->segment_count--;
        memmove(partition->segments, partition->segments + 1,
                partition->segment_count * sizeof *partition->segments);
    }
    mr_mutex_unlock(&partition->lock);
    return ours;
}

static mr_status remove_oldest(mr_partition *partition, uint64_t base_offset, mr_error *err)
{
    if (!take_oldest(partition, base_offset))
        return MR_OK;
    mr_status status = mr_partition_remove_segment(partition, base_offset, err);
    if (status == MR_OK)
        return MR_OK;
    mr_mutex_lock(&partition->lock);
    (void)mr_partition_list_segments(partition, NULL); /* a half-done removal shows */
    mr_mutex_unlock(&partition->lock);
    return status;
}

/* A topic that nobody appends to grows old in its active segment: it is sealed, so that it can go. */
static mr_status seal_if_old(mr_partition *partition, const mr_topic_options *options,
                             int64_t now_us, mr_error *err)
{
    if (options->retention_age_ms == 0)
        return MR_OK;
    mr_mutex_lock(&partition->append_lock);
    bool holds_records = partition->end_offset > partition->index_base;
    int64_t age_us = now_us - partition->index.append_last_us;
    mr_status status = MR_OK;
    if (holds_records && age_us > (int64_t)(options->retention_age_ms * 1000))
        status = mr_partition_roll(partition, err);
    mr_mutex_unlock(&partition->append_lock);
    return status;
}

static mr_status retain_partition(mr_partition *partition, mr_retention_fn may_take, void *context,
                                  uint64_t *freed, mr_error *err)
{
    mr_topic *topic = partition->topic;
    mr_topic_options options = mr_topic_get_options(topic);
    int64_t now_us = topic->log->clock->wall_us(topic->log->clock);
    MR_TRY(mr_partition_take_over(partition, NULL, NULL, err));
    MR_TRY(seal_if_old(partition, &options, now_us, err));
    for (;;) {
        oldest_segment oldest;
        MR_TRY(look_at_oldest(partition, &oldest, err));
        if (!oldest.sealed || !is_due(&options, &oldest, now_us))
            return MR_OK;
        if (may_take != NULL && !may_take(context, topic, partition->number, oldest.end_offset))
            return MR_OK;
        MR_TRY(remove_oldest(partition, oldest.base_offset, err));
        *freed += oldest.bytes;
    }
}

mr_status mr_topic_retain(mr_topic *topic, mr_retention_fn may_take, void *context,
                          uint64_t *out_bytes, mr_error *err)
{
    uint64_t freed = 0;
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < topic->options.partition_count; i++)
        status = retain_partition(&topic->partitions[i], may_take, context, &freed, err);
    if (out_bytes != NULL)
        *out_bytes = freed;
    return status;
}

static bool may_go(void *context, mr_topic *topic, uint32_t partition, uint64_t end_offset)
{
    (void)topic;
    (void)partition;
    return end_offset <= *(const uint64_t *)context;
}

void mr_topic_retain_soon(mr_topic *topic, uint64_t keep_from)
{
    for (uint32_t i = 0; i < topic->options.partition_count; i++) {
        mr_partition *partition = &topic->partitions[i];
        mr_mutex_lock(&partition->lock);
        partition->retain_below = keep_from;
        partition->retain_wanted = true;
        mr_mutex_unlock(&partition->lock);
    }
    mr_log_want_upkeep(topic->log);
}

mr_status mr_partition_retain_wanted(mr_partition *partition, mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    bool wanted = partition->retain_wanted && partition->writing;
    uint64_t below = partition->retain_below, freed = 0;
    partition->retain_wanted = false;
    mr_mutex_unlock(&partition->lock);
    return wanted ? retain_partition(partition, may_go, &below, &freed, err) : MR_OK;
}

mr_status mr_topic_kept_from(mr_topic *topic, uint32_t partition, uint64_t bytes,
                             uint64_t *out_offset, mr_error *err)
{
    *out_offset = 0;
    mr_partition *of = mr_topic_partition(topic, partition, err);
    if (of == NULL)
        return MR_INVALID;
    mr_mutex_lock(&of->lock);
    mr_status status = of->writing ? MR_OK : mr_partition_list_segments(of, err);
    uint64_t kept = 0;
    for (size_t i = of->segment_count; status == MR_OK && i > 0 && kept < bytes; i--) {
        uint64_t size = 0;
        *out_offset = of->segments[i - 1].base_offset;
        status = segment_bytes(of, *out_offset, &size, err);
        kept += size;
    }
    mr_mutex_unlock(&of->lock);
    return status;
}

/* ---- figures ---- */

static void add_index(mr_partition_stat *stat, const mr_index *index)
{
    if (index->block_count > 0) {
        if (stat->append_first_us == 0)
            stat->append_first_us = index->append_first_us;
        stat->append_last_us = index->append_last_us;
    }
    if (!index->has_event_time)
        return;
    stat->event_min =
        stat->has_event_time ? MR_MIN(stat->event_min, index->event_min) : index->event_min;
    stat->event_max =
        stat->has_event_time ? MR_MAX(stat->event_max, index->event_max) : index->event_max;
    stat->has_event_time = true;
}

/* The totals of the segment the view ends in; *out has no entries. */
static mr_status open_totals(mr_partition *partition, mr_segment *segment, uint64_t limit,
                             mr_index *out, mr_error *err)
{
    mr_index_entry unused; /* the search brings the index up to date */
    MR_TRY(mr_partition_find(partition, segment, false, limit, false, 0, 0, &unused, err));
    mr_mutex_lock(&partition->lock);
    bool ours = partition->index_base == segment->base_offset;
    *out = partition->index;
    mr_mutex_unlock(&partition->lock);
    out->entries = NULL;
    out->count = out->capacity = 0;
    return ours ? MR_OK
                : mr_partition_sealed_index(partition, segment, out, err); /* sealed meanwhile */
}

static mr_status add_segment(mr_partition *partition, const mr_partition_view *view,
                             uint64_t base_offset, mr_partition_stat *stat, mr_error *err)
{
    mr_segment *segment;
    uint64_t bytes, next_base;
    mr_index index;
    MR_TRY(mr_partition_open_segment(partition, base_offset, &segment, &next_base, err));
    mr_status status = mr_file_size(segment->file, &bytes, err);
    if (status == MR_OK && base_offset != view->segment_base)
        status = mr_partition_sealed_index(partition, segment, &index, err);
    else if (status == MR_OK)
        status = open_totals(partition, segment, view->position, &index, err);
    if (status == MR_OK) {
        add_index(stat, &index);
        mr_index_deinit(&index);
        /* Room that was prepared behind the last block is not counted. */
        stat->bytes += base_offset == view->segment_base ? MR_MIN(bytes, view->position) : bytes;
        stat->segment_count++;
    }
    mr_segment_release(segment);
    return status;
}

static mr_status copy_bases(mr_partition *partition, uint64_t **out, size_t *out_count,
                            mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    mr_status status = partition->writing ? MR_OK : mr_partition_list_segments(partition, err);
    uint64_t *bases = mr_alloc((partition->segment_count + 1) * sizeof *bases);
    if (status == MR_OK && bases == NULL)
        status = MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; status == MR_OK && i < partition->segment_count; i++)
        bases[i] = partition->segments[i].base_offset;
    *out_count = partition->segment_count;
    mr_mutex_unlock(&partition->lock);
    if (status != MR_OK) {
        mr_free(bases);
        bases = NULL;
    }
    *out = bases;
    return status;
}

mr_status mr_topic_stat(mr_topic *topic, uint32_t partition, mr_partition_stat *out, mr_error *err)
{
    *out = (mr_partition_stat){0};
    mr_partition *of = mr_topic_partition(topic, partition, err);
    if (of == NULL)
        return MR_INVALID;
    mr_partition_view view;
    uint64_t *bases;
    size_t count;
    MR_TRY(mr_partition_see(of, &view, err));
    MR_TRY(copy_bases(of, &bases, &count, err));
    out->first_offset = count > 0 ? bases[0] : 0;
    out->end_offset = view.offset;
    out->durable_offset = view.durable_offset;
    out->recovered_cut_bytes = of->cut_bytes;
    out->recovered_damage_count = of->damage_count;
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < count && bases[i] <= view.segment_base; i++)
        status = add_segment(of, &view, bases[i], out, err);
    mr_free(bases);
    return status;
}
