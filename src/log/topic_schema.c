/* topic_schema.c -- a topic's options and schema versions, and the calls that go on to a partition.
 *
 * A schema version is durable before a block refers to it. */
#include "log/partition.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

const char *mr_topic_name(const mr_topic *topic)
{
    return topic->name;
}

uint32_t mr_topic_partitions(const mr_topic *topic)
{
    return topic->options.partition_count; /* fixed at creation */
}

/* ---- options ---- */

mr_topic_options mr_topic_get_options(mr_topic *topic)
{
    mr_mutex_lock(&topic->lock);
    mr_topic_options options = topic->options;
    mr_mutex_unlock(&topic->lock);
    return options;
}

static mr_status check_fixed(const mr_topic *topic, const mr_topic_options *options, mr_error *err)
{
    if (options->partition_count != topic->options.partition_count)
        return MR_FAIL(err, MR_CONFLICT,
                       "%s has %u partitions, which cannot become %u: keys would move", topic->name,
                       topic->options.partition_count, options->partition_count);
    if (strcmp(options->event_time, topic->options.event_time) != 0)
        return MR_FAIL(err, MR_CONFLICT,
                       "the event time column of %s is '%s' and cannot become '%s'", topic->name,
                       topic->options.event_time, options->event_time);
    return MR_OK;
}

mr_status mr_topic_set_options(mr_topic *topic, const mr_topic_options *options, mr_error *err)
{
    mr_topic_options checked = *options;
    mr_file *lock;
    MR_TRY(mr_topic_options_check(&checked, err));
    MR_TRY(check_fixed(topic, &checked, err));
    MR_TRY(mr_topic_lock_definition(topic->log, topic->folder, &lock, err));
    mr_mutex_lock(&topic->lock);
    mr_status status = mr_descriptor_write(topic->log, topic->folder, topic->salt, &checked, err);
    if (status == MR_OK) {
        topic->options = checked;
        atomic_store(&topic->policy, (int)checked.sync);
        atomic_store(&topic->interval_ms, checked.sync_interval_ms);
    }
    mr_mutex_unlock(&topic->lock);
    mr_file_close(lock);
    return status;
}

/* ---- schema versions ---- */

/* topic->lock held. Takes over what other processes registered since. */
static mr_status refresh_versions(mr_topic *topic, mr_error *err)
{
    mr_schema **schemas;
    uint32_t count;
    mr_status status = MR_OK;
    MR_TRY(mr_schemas_read(topic->log, topic->folder, &schemas, &count, err));
    if (count >
        topic
            ->version_count) /* seen is not durable yet: their writer's last sync may have failed */
        status = mr_fs_sync_dir(topic->log->fs, topic->folder, err);
    if (status == MR_OK)
        return mr_topic_take_versions(topic, schemas, count, err);
    mr_topic_drop_versions(schemas, count);
    return status;
}

mr_status mr_topic_schema(mr_topic *topic, mr_schema **out, uint32_t *out_id, mr_error *err)
{
    mr_mutex_lock(&topic->lock);
    mr_status status = refresh_versions(topic, err);
    *out = NULL;
    if (status == MR_OK) {
        *out = mr_schema_retain(topic->versions[topic->version_count - 1].schema);
        if (out_id != NULL)
            *out_id = topic->version_count;
    }
    mr_mutex_unlock(&topic->lock);
    return status;
}

mr_status mr_topic_schema_lookup(mr_topic *topic, uint32_t id, mr_schema **out,
                                 int *out_event_time_column, mr_error *err)
{
    mr_status status = MR_OK;
    *out = NULL;
    mr_mutex_lock(&topic->lock);
    if (id > topic->version_count)
        status = refresh_versions(topic, err);
    if (status == MR_OK && (id == 0 || id > topic->version_count))
        status = MR_FAIL(err, MR_NOT_FOUND, "%s has schema versions 1 to %u, not %u", topic->name,
                         topic->version_count, id);
    if (status == MR_OK) {
        *out = mr_schema_retain(topic->versions[id - 1].schema);
        *out_event_time_column = topic->versions[id - 1].event_time_column;
    }
    mr_mutex_unlock(&topic->lock);
    return status;
}

mr_status mr_topic_schema_version(mr_topic *topic, uint32_t id, mr_schema **out, mr_error *err)
{
    int event_time_column;
    return mr_topic_schema_lookup(topic, id, out, &event_time_column, err);
}

/* topic->lock held. The number of an equal version, newest first; 0: none. */
static uint32_t find_version(const mr_topic *topic, const mr_schema *schema)
{
    for (uint32_t id = topic->version_count; id > 0; id--)
        if (topic->versions[id - 1].schema == schema ||
            mr_schema_equal(topic->versions[id - 1].schema, schema))
            return id;
    return 0;
}

/* topic->lock and the definition's file lock held; versions are fresh. */
static mr_status write_version(mr_topic *topic, mr_schema *schema, mr_error *err)
{
    uint32_t count = topic->version_count;
    MR_TRY(mr_schema_check_compatible(topic->versions[count - 1].schema, schema, err));
    const char *event_time = topic->options.event_time;
    if (event_time[0] != '\0') {
        int at = mr_schema_find(schema, event_time);
        MR_ASSERT(at >= 0 &&
                  schema->fields[at].type.id == MR_TIMESTAMP); /* compatible schemas keep it */
    }
    mr_schema **all = mr_alloc_zero(count + 1, sizeof(mr_schema *));
    if (all == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i <= count; i++)
        all[i] = mr_schema_retain(i < count ? topic->versions[i].schema : schema);
    mr_status status = mr_schemas_write(topic->log, topic->folder, all, count + 1, err);
    if (status == MR_OK)
        return mr_topic_take_versions(topic, all, count + 1, err);
    mr_topic_drop_versions(all, count + 1);
    return status;
}

static mr_status register_version(mr_topic *topic, mr_schema *schema, uint32_t *out_id,
                                  mr_error *err)
{
    mr_file *lock;
    MR_TRY(mr_topic_lock_definition(topic->log, topic->folder, &lock, err));
    mr_mutex_lock(&topic->lock);
    mr_status status = refresh_versions(topic, err);
    *out_id = status == MR_OK ? find_version(topic, schema) : 0;
    if (status == MR_OK && *out_id == 0) {
        status = write_version(topic, schema, err);
        *out_id = topic->version_count;
        if (status == MR_CONFLICT)
            mr_error_prefix(err, "%s: the schema does not follow version %u", topic->name,
                            topic->version_count);
    }
    mr_mutex_unlock(&topic->lock);
    mr_file_close(lock);
    return status;
}

mr_status mr_topic_set_schema(mr_topic *topic, mr_schema *schema, uint32_t *out_id, mr_error *err)
{
    uint32_t id;
    MR_TRY(register_version(topic, schema, &id, err));
    if (out_id != NULL)
        *out_id = id;
    return MR_OK;
}

mr_status mr_topic_schema_for_append(mr_topic *topic, mr_schema *schema, uint32_t *out_id,
                                     int *out_event_time_column, mr_error *err)
{
    mr_mutex_lock(&topic->lock);
    uint32_t id = find_version(topic, schema);
    mr_mutex_unlock(&topic->lock);
    if (id == 0)
        MR_TRY(register_version(topic, schema, &id, err));
    mr_mutex_lock(&topic->lock);
    *out_id = id;
    *out_event_time_column = topic->versions[id - 1].event_time_column;
    mr_mutex_unlock(&topic->lock);
    return MR_OK;
}

/* ---- partitions ---- */

mr_partition *mr_topic_partition(mr_topic *topic, uint32_t partition, mr_error *err)
{
    if (partition < topic->options.partition_count)
        return &topic->partitions[partition];
    (void)MR_FAIL(err, MR_INVALID, "%s has partitions 0 to %u, not %u", topic->name,
                  topic->options.partition_count - 1, partition);
    return NULL;
}

mr_status mr_topic_open_writer(mr_topic *topic, uint32_t partition, mr_log_damage_fn report,
                               void *context, mr_error *err)
{
    mr_partition *self = mr_topic_partition(topic, partition, err);
    return self != NULL ? mr_partition_take_over(self, report, context, err) : MR_INVALID;
}

mr_status mr_topic_append(mr_topic *topic, uint32_t partition, const mr_append *what,
                          mr_appended *out, mr_error *err)
{
    mr_partition *self = mr_topic_partition(topic, partition, err);
    return self != NULL ? mr_partition_append(self, what, out, err) : MR_INVALID;
}

mr_status mr_topic_commit(mr_topic *topic, uint32_t partition, uint64_t end_offset, mr_error *err)
{
    mr_partition *self = mr_topic_partition(topic, partition, err);
    return self != NULL ? mr_partition_commit(self, end_offset, err) : MR_INVALID;
}

mr_status mr_topic_append_commit(mr_topic *topic, uint32_t partition, const mr_append *what,
                                 mr_appended *out, mr_error *err)
{
    MR_TRY(mr_topic_append(topic, partition, what, out, err));
    return mr_topic_commit(topic, partition, out->end_offset, err);
}

mr_status mr_topic_sync(mr_topic *topic, uint32_t partition, mr_error *err)
{
    mr_partition *self = mr_topic_partition(topic, partition, err);
    return self != NULL ? mr_partition_sync(self, err) : MR_INVALID;
}

mr_status mr_topic_producer(mr_topic *topic, uint32_t partition, uint64_t producer_id,
                            uint32_t *out_epoch, uint64_t *out_sequence_next, mr_error *err)
{
    mr_partition *self = mr_topic_partition(topic, partition, err);
    if (self == NULL)
        return MR_INVALID;
    MR_TRY(mr_partition_take_over(self, NULL, NULL, err));
    mr_mutex_lock(&self->lock);
    const mr_producer *producer = mr_producers_find(&self->producers, producer_id);
    if (producer != NULL) {
        *out_epoch = producer->epoch;
        *out_sequence_next = producer->sequence_next;
    }
    mr_mutex_unlock(&self->lock);
    if (producer != NULL)
        return MR_OK;
    return MR_FAIL(err, MR_NOT_FOUND, "%s partition %u knows nothing of producer %llu", topic->name,
                   partition, (unsigned long long)producer_id);
}
