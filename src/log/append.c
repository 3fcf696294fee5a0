/* append.c -- one batch becomes one block at the end of the active segment.
 *
 *   encode and checksum (no lock) -> append_lock { check the sequence, roll, write } -> lock { the
 * end grows }
 *
 * (1) A block that was not written whole leaves end_position where it was; the next one overwrites
 * it. (2) All that can fail for want of memory is asked for before the block is written. */
#include "log/partition.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

#define UPKEEP_BYTES (UINT64_C(1) << 20) /* worth waking the thread that keeps up */

/* ---- staging ---- */

static mr_staging *take_staging(mr_partition *partition)
{
    mr_mutex_lock(&partition->lock);
    mr_staging *staging = partition->staging;
    if (staging != NULL)
        partition->staging = staging->next;
    mr_mutex_unlock(&partition->lock);
    return staging != NULL ? staging : MR_NEW(mr_staging);
}

static void give_staging(mr_partition *partition, mr_staging *staging)
{
    mr_mutex_lock(&partition->lock);
    staging->next = partition->staging;
    partition->staging = staging;
    mr_mutex_unlock(&partition->lock);
}

/* ---- rolling ---- */

static mr_status seal(mr_partition *partition, mr_error *err)
{
    mr_file *file = partition->active->file;
    mr_error reason = {0};
    mr_mutex_unlock(&partition->lock);
    /* Gives spare space back, and cuts what a failed write may have left behind the last block. */
    mr_status status = mr_file_truncate(file, partition->end_position, &reason);
    if (status == MR_OK)
        status = mr_file_sync(file, &reason);
    mr_mutex_lock(&partition->lock);
    if (status != MR_OK)
        return mr_partition_fail(partition, reason.text, err);
    partition->view.durable_offset = partition->end_offset;
    partition->durable_position = partition->end_position;
    mr_partition_publish(partition, false);
    return MR_OK;
}

/* The side file is a cache: without it, or with half of it, the index is rebuilt when it is needed.
 */
static void write_side_file(mr_partition *partition)
{
    mr_bytes bytes = {0};
    mr_index_encode(&partition->index, partition->salt, &bytes);
    if (!bytes.failed)
        mr_partition_write_side_file(partition, partition->index_base, &bytes);
    mr_bytes_deinit(&bytes);
}

/* A half-made next segment must be gone for good before this one goes on: recovery would believe
 * that this one ended where that one begins. */
static mr_status undo_create(mr_partition *partition, mr_status why, mr_error *err)
{
    mr_error reason = {0};
    if (mr_partition_remove_segment(partition, partition->end_offset, &reason) == MR_OK)
        return why;
    return mr_partition_fail(partition, reason.text, err);
}

static mr_status begin_next(mr_partition *partition, mr_error *err)
{
    mr_segment *segment = NULL;
    uint64_t base_offset = partition->end_offset;
    mr_status status = mr_partition_begin_segment(partition, base_offset, &segment, err);
    if (status == MR_OK)
        status = mr_partition_add_segment(partition, base_offset, err);
    if (status != MR_OK) {
        mr_segment_release(segment);
        return undo_create(partition, status, err);
    }
    write_side_file(partition);
    mr_segment_release(partition->active);
    partition->active = segment;
    mr_index_deinit(&partition->index);
    mr_index_init(&partition->index, base_offset, segment->first_position);
    partition->index_base = base_offset;
    partition->end_position = partition->durable_position = segment->first_position;
    mr_partition_publish(partition, false);
    return MR_OK;
}

mr_status mr_partition_roll(mr_partition *partition, mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    mr_partition_begin_sync(partition);
    mr_status status = mr_partition_check_failed(partition, err);
    if (status == MR_OK)
        status = seal(partition, err);
    if (status == MR_OK)
        status = begin_next(partition, err);
    mr_partition_end_sync(partition);
    mr_mutex_unlock(&partition->lock);
    return status;
}

static bool spare_ready(mr_partition *partition)
{
    mr_mutex_lock(&partition->lock);
    bool ready = mr_partition_spare_ready(partition);
    mr_mutex_unlock(&partition->lock);
    return ready;
}

static bool wants_roll(mr_partition *partition, const mr_topic_options *options, uint64_t bytes,
                       int64_t now_us)
{
    if (partition->index.block_count == 0 || partition->end_offset == partition->index_base)
        return false; /* two segments cannot have the same base offset */
    if (partition->end_position + bytes > options->segment_bytes)
        return true;
    if (partition->end_position + bytes > partition->prepared_position && spare_ready(partition))
        return true; /* from here on commits would be slow, and in the next segment they are not */
    return options->segment_age_ms > 0 &&
           now_us - partition->index.append_first_us > (int64_t)(options->segment_age_ms * 1000);
}

/* ---- one block ---- */

static mr_status reserve_memory(mr_partition *partition, mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    mr_status status = mr_producers_reserve(&partition->producers, err);
    if (status == MR_OK)
        status = mr_index_reserve(&partition->index, err);
    mr_mutex_unlock(&partition->lock);
    return status;
}

/* `lock` held; the block is in. */
static void want_upkeep(mr_partition *partition)
{
    bool first = partition->unsynced_since_ns == 0;
    bool interval = atomic_load(&partition->topic->policy) == MR_LOG_SYNC_INTERVAL;
    if (!(first && interval) && partition->end_position < partition->upkeep_position)
        return;
    partition->upkeep_position = partition->end_position + UPKEEP_BYTES;
    mr_log_want_upkeep(partition->topic->log);
}

static void grow_end(mr_partition *partition, const mr_block_header *header)
{
    mr_clock *clock = partition->topic->log->clock;
    mr_mutex_lock(&partition->lock);
    mr_index_add(&partition->index, partition->end_position, header);
    mr_producers_note(&partition->producers, header);
    if (header->row_count == 0 && partition->empty_unsynced == MR_LOG_OFFSET_NONE)
        partition->empty_unsynced = header->base_offset;
    partition->end_offset += header->row_count;
    partition->end_position += header->block_bytes;
    want_upkeep(partition);
    if (partition->unsynced_since_ns == 0)
        partition->unsynced_since_ns = MR_MAX(clock->mono_ns(clock), 1);
    if (atomic_load(&partition->topic->policy) == MR_LOG_SYNC_OS)
        mr_partition_publish(partition, false);
    mr_mutex_unlock(&partition->lock);
}

static mr_status write_block(mr_partition *partition, const mr_topic_options *options,
                             mr_block_header *header, mr_bytes *block, mr_error *err)
{
    mr_log *log = partition->topic->log;
    header->append_us = log->clock->wall_us(log->clock);
    if (wants_roll(partition, options, block->size, header->append_us))
        MR_TRY(mr_partition_roll(partition, err));
    MR_TRY(reserve_memory(partition, err));
    mr_mutex_lock(&partition->lock);
    header->durable_offset = partition->view.durable_offset;
    mr_mutex_unlock(&partition->lock);
    header->base_offset = partition->end_offset;
    header->salt = partition->salt;
    mr_block_header_encode(header, block->data);
    MR_TRY(mr_file_write(partition->active->file, partition->end_position, block->data, block->size,
                         err));
    grow_end(partition, header);
    return MR_OK;
}

/* append_lock held */
static mr_status append_block(mr_partition *partition, const mr_append *what,
                              const mr_topic_options *options, mr_block_header *header,
                              mr_bytes *block, mr_appended *out, mr_error *err)
{
    MR_TRY(mr_producers_check(&partition->producers, what, out, err));
    if (out->duplicate)
        return MR_OK;
    if (partition->end_offset > (uint64_t)INT64_MAX - header->row_count)
        return MR_FAIL(err, MR_FULL, "offsets end at %" PRIu64, partition->end_offset);
    MR_TRY(write_block(partition, options, header, block, err));
    *out = (mr_appended){header->base_offset, header->base_offset + header->row_count, false};
    return MR_OK;
}

/* ---- the call ---- */

static mr_status check_append(const mr_append *what, mr_error *err)
{
    if (what->annotation_bytes > MR_LOG_ANNOTATION_MAX)
        return MR_FAIL(err, MR_INVALID, "an annotation of %zu bytes; %d is the limit",
                       what->annotation_bytes, MR_LOG_ANNOTATION_MAX);
    const mr_schema *schema = what->batch->schema;
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (!schema->fields[i].nullable && what->batch->columns[i].null_count > 0)
            return MR_FAIL(err, MR_INVALID, "column %s may not be NULL and is in %u of %u rows",
                           schema->fields[i].name, what->batch->columns[i].null_count,
                           what->batch->row_count);
    return MR_OK;
}

/* Whether it may be appended, before the work of encoding it. */
static mr_status check_early(mr_partition *partition, const mr_append *what, mr_appended *out,
                             mr_error *err)
{
    mr_mutex_lock(&partition->lock);
    if (!partition->writing) {
        mr_mutex_unlock(&partition->lock);
        MR_TRY(mr_partition_take_over(partition, NULL, NULL, err));
        mr_mutex_lock(&partition->lock);
    }
    mr_status status = mr_partition_check_failed(partition, err);
    if (status == MR_OK)
        status = mr_producers_check(&partition->producers, what, out, err);
    mr_mutex_unlock(&partition->lock);
    return status;
}

static mr_status encode_and_append(mr_partition *partition, const mr_append *what,
                                   const mr_block_options *encoding,
                                   const mr_topic_options *options, mr_staging *staging,
                                   mr_appended *out, mr_error *err)
{
    mr_block_header header;
    MR_TRY(mr_block_encode(what, encoding, &staging->block, &staging->scratch, &header, err));
    mr_mutex_lock(&partition->append_lock);
    mr_mutex_lock(&partition->lock);
    mr_status status = mr_partition_check_failed(partition, err);
    mr_mutex_unlock(&partition->lock);
    if (status == MR_OK)
        status = append_block(partition, what, options, &header, &staging->block, out, err);
    mr_mutex_unlock(&partition->append_lock);
    return status;
}

mr_status mr_partition_append(mr_partition *partition, const mr_append *what, mr_appended *out,
                              mr_error *err)
{
    *out = (mr_appended){MR_LOG_OFFSET_NONE, 0, false};
    MR_TRY(check_append(what, err));
    MR_TRY(check_early(partition, what, out, err));
    if (out->duplicate)
        return MR_OK;
    mr_topic_options options = mr_topic_get_options(partition->topic);
    mr_block_options encoding = {.codec = options.codec, .codec_level = options.codec_level};
    MR_TRY(mr_topic_schema_for_append(partition->topic, what->batch->schema, &encoding.schema_id,
                                      &encoding.event_time_column, err));
    mr_staging *staging = take_staging(partition);
    if (staging == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = encode_and_append(partition, what, &encoding, &options, staging, out, err);
    give_staging(partition, staging);
    return status;
}
