/* topic.c -- the log's root, and open topics. */
#include "log/partition.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

/* ---- the log ---- */

/* Makes the folder and those above it, durably. What exists is synced too, two levels up: it may stem from an
 * attempt that was cut short. */
static mr_status make_root(mr_fs *fs, const char *root, mr_error *err)
{
    char path[MR_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s", root);
    size_t levels = 2;
    for (char *slash; (slash = strrchr(path, '/')) != NULL; *slash = '\0')
        levels += !mr_fs_exists(fs, path);
    MR_TRY(mr_fs_make_folder(fs, root, err));
    (void)snprintf(path, sizeof path, "%s", root);
    for (size_t i = 0; i < levels && path[0] != '\0'; i++) {
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return mr_fs_sync_dir(fs, ".", err);
        *slash = '\0';
        MR_TRY(mr_fs_sync_dir(fs, path[0] != '\0' ? path : "/", err));
    }
    return MR_OK;
}

mr_status mr_log_open(mr_fs *fs, mr_clock *clock, const char *home, mr_log **out, mr_error *err)
{
    char root[MR_PATH_MAX];
    *out = NULL;
    if (strlen(home) > MR_PATH_MAX / 2)
        return MR_FAIL(err, MR_INVALID, "a home path of %zu bytes; %d is the limit", strlen(home),
                       MR_PATH_MAX / 2);
    (void)snprintf(root, sizeof root, "%s/topics", home);
    MR_TRY(make_root(fs, root, err));
    mr_log *log = MR_NEW(mr_log);
    char *copy = mr_strdup(root);
    if (log == NULL || copy == NULL) {
        mr_free(log);
        mr_free(copy);
        return MR_OUT_OF_MEMORY(err);
    }
    log->fs = fs;
    log->clock = clock;
    log->root = copy;
    mr_mutex_init(&log->lock);
    mr_mutex_init(&log->wait_lock);
    mr_condition_init(&log->published);
    mr_log_upkeep_init(log);
    *out = log;
    return MR_OK;
}

void mr_log_close(mr_log *log)
{
    if (log == NULL)
        return;
    MR_ASSERT(log->topics == NULL);
    mr_log_upkeep_deinit(log);
    mr_condition_deinit(&log->published);
    mr_mutex_deinit(&log->wait_lock);
    mr_mutex_deinit(&log->lock);
    mr_free(log->root);
    mr_free(log);
}

mr_topic *mr_topic_find_open(mr_log *log, const char *name)
{
    mr_topic *topic = log->topics;
    while (topic != NULL && strcmp(topic->name, name) != 0)
        topic = topic->next;
    return topic;
}

/* ---- open and close ---- */

static void free_topic(mr_topic *topic)
{
    for (uint32_t i = 0; topic->partitions != NULL && i < topic->options.partition_count; i++)
        mr_partition_deinit(&topic->partitions[i]);
    for (uint32_t i = 0; i < topic->version_count; i++)
        mr_schema_release(topic->versions[i].schema);
    mr_free(topic->partitions);
    mr_free(topic->versions);
    mr_free(topic->folder);
    mr_mutex_deinit(&topic->lock);
    mr_free(topic);
}

void mr_topic_drop_versions(mr_schema **schemas, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        mr_schema_release(schemas[i]);
    mr_free(schemas);
}

mr_status mr_topic_take_versions(mr_topic *topic, mr_schema **schemas, uint32_t count,
                                 mr_error *err)
{
    uint32_t known = topic->version_count;
    mr_schema_version *versions = topic->versions;
    if (count > known)
        versions = mr_realloc(topic->versions, count * sizeof *versions);
    mr_status status = versions != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < count; i++) {
        if (status != MR_OK || i < known) {
            mr_schema_release(schemas[i]);
            continue;
        }
        const char *name = topic->options.event_time;
        versions[i] =
            (mr_schema_version){schemas[i], name[0] ? mr_schema_find(schemas[i], name) : -1};
        topic->version_count = i + 1;
    }
    if (status == MR_OK)
        topic->versions = versions;
    mr_free(schemas);
    return status;
}

static mr_status read_versions(mr_topic *topic, mr_error *err)
{
    mr_schema **schemas;
    uint32_t count;
    MR_TRY(mr_schemas_read(topic->log, topic->folder, &schemas, &count, err));
    return mr_topic_take_versions(topic, schemas, count, err);
}

static void take_options(mr_topic *topic, const mr_topic_options *options)
{
    topic->options = *options;
    atomic_store(&topic->policy, (int)options->sync);
    atomic_store(&topic->interval_ms, options->sync_interval_ms);
}

static mr_status load_topic(mr_topic *topic, const char *folder, mr_error *err)
{
    mr_topic_options options;
    topic->folder = mr_strdup(folder);
    if (topic->folder == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_descriptor_read(topic->log, folder, &topic->salt, &options, err));
    take_options(topic, &options);
    MR_TRY(read_versions(topic, err));
    topic->partitions = mr_alloc_zero(options.partition_count, sizeof *topic->partitions);
    if (topic->partitions == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < options.partition_count; i++)
        MR_TRY(mr_partition_init(&topic->partitions[i], topic, i, err));
    return MR_OK;
}

/* log->lock held */
static mr_status open_new(mr_log *log, const char *name, mr_topic **out, mr_error *err)
{
    char folder[MR_PATH_MAX];
    mr_topic_folder(log, name, folder);
    if (!mr_topic_is_there(log, folder))
        return MR_FAIL(err, MR_NOT_FOUND, "there is no topic %s", name);
    mr_topic *topic = MR_NEW(mr_topic);
    if (topic == NULL)
        return MR_OUT_OF_MEMORY(err);
    topic->log = log;
    topic->owners = 1;
    (void)snprintf(topic->name, sizeof topic->name, "%s", name);
    mr_mutex_init(&topic->lock);
    mr_status status = load_topic(topic, folder, err);
    if (status != MR_OK) {
        mr_error_prefix(err, "open topic %s", name);
        free_topic(topic);
        return status;
    }
    topic->next = log->topics;
    log->topics = topic;
    *out = topic;
    return MR_OK;
}

mr_status mr_topic_open(mr_log *log, const char *name, mr_topic **out, mr_error *err)
{
    char full[MR_TOPIC_NAME_MAX];
    *out = NULL;
    MR_TRY(mr_topic_name_resolve(name, full, err));
    mr_mutex_lock(&log->lock);
    mr_status status = MR_OK;
    mr_topic *topic = mr_topic_find_open(log, full);
    if (topic != NULL) {
        topic->owners++;
        *out = topic;
    } else {
        status = open_new(log, full, out, err);
    }
    mr_mutex_unlock(&log->lock);
    return status;
}

void mr_topic_share(mr_topic *topic)
{
    mr_mutex_lock(&topic->log->lock);
    topic->owners++;
    mr_mutex_unlock(&topic->log->lock);
}

void mr_topic_close(mr_topic *topic)
{
    if (topic == NULL)
        return;
    mr_log *log = topic->log;
    mr_mutex_lock(&log->lock);
    while (log->ticking == topic)
        mr_condition_wait(&log->tick_moved, &log->lock);
    bool last = --topic->owners == 0;
    for (mr_topic **at = &log->topics; last && *at != NULL; at = &(*at)->next)
        if (*at == topic) {
            *at = topic->next;
            break;
        }
    /* Freed under the lock, so that whoever opens it next finds its file locks given back. */
    if (last)
        free_topic(topic);
    mr_mutex_unlock(&log->lock);
}
