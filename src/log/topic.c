/* topic.c -- the log's root, and topics: their life, their schema versions, and the calls on partitions.
 *
 * (1) A topic exists exactly when its folder holds a whole `topic` file; that file is written last and
 *     removed first, and leftovers of a cut-short creation or deletion are cleared by the next creation.
 * (2) A schema version is durable before a block refers to it. */
#include "log/partition.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
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
    *out = log;
    return MR_OK;
}

void mr_log_close(mr_log *log)
{
    if (log == NULL)
        return;
    MR_ASSERT(log->topics == NULL);
    mr_condition_deinit(&log->published);
    mr_mutex_deinit(&log->wait_lock);
    mr_mutex_deinit(&log->lock);
    mr_free(log->root);
    mr_free(log);
}

static mr_status tick_topic(mr_topic *topic, int64_t *next_ns, mr_error *err)
{
    mr_status first = MR_OK;
    for (uint32_t i = 0; i < topic->options.partition_count; i++) {
        int64_t next;
        mr_status status =
            mr_partition_tick(&topic->partitions[i], &next, first == MR_OK ? err : NULL);
        first = first == MR_OK ? status : first;
        *next_ns = MR_MIN(*next_ns, next);
    }
    return first;
}

mr_status mr_log_tick(mr_log *log, int64_t *out_next_ns, mr_error *err)
{
    mr_status first = MR_OK;
    *out_next_ns = INT64_MAX;
    mr_mutex_lock(&log->lock);
    for (mr_topic *topic = log->topics; topic != NULL; topic = topic->next) {
        mr_status status = tick_topic(topic, out_next_ns, first == MR_OK ? err : NULL);
        first = first == MR_OK ? status : first;
    }
    mr_mutex_unlock(&log->lock);
    return first;
}

/* ---- creation ---- */

static mr_status check_event_time(const mr_topic_options *options, const mr_schema *schema,
                                  mr_error *err)
{
    const char *name = options->event_time;
    if (name[0] == '\0')
        return MR_OK;
    int at = mr_schema_find(schema, name);
    if (at < 0 || strchr(name, '\n') != NULL)
        return MR_FAIL(err, MR_INVALID, "the event time column '%s' is not in the schema", name);
    char type[32];
    if (schema->fields[at].type.id != MR_TIMESTAMP)
        return MR_FAIL(err, MR_INVALID, "the event time column '%s' is %s; it must be timestamp",
                       name, mr_type_format(schema->fields[at].type, type));
    return MR_OK;
}

/* Makes every folder on the way from the root durable. */
static mr_status sync_path(mr_log *log, const char *folder, mr_error *err)
{
    char path[MR_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s", folder);
    size_t root_bytes = strlen(log->root);
    while (strlen(path) >= root_bytes) {
        MR_TRY(mr_fs_sync_dir(log->fs, path, err));
        char *slash = strrchr(path, '/');
        *slash = '\0';
    }
    return MR_OK;
}

static mr_status make_folders(mr_log *log, const char *folder, uint32_t partition_count,
                              mr_error *err)
{
    char path[MR_PATH_MAX];
    for (uint32_t i = 0; i < partition_count; i++) {
        (void)snprintf(path, sizeof path, "%.4000s/partition-%u", folder, i);
        MR_TRY(mr_fs_make_folder(log->fs, path, err));
        MR_TRY(mr_fs_sync_dir(log->fs, path, err));
    }
    (void)snprintf(path, sizeof path, "%.4000s/positions", folder);
    MR_TRY(mr_fs_make_folder(log->fs, path, err));
    MR_TRY(mr_fs_sync_dir(log->fs, path, err));
    return sync_path(log, folder, err);
}

static bool is_topic(mr_log *log, const char *folder)
{
    char path[MR_PATH_MAX];
    (void)snprintf(path, sizeof path, "%.4000s/topic", folder);
    return mr_fs_exists(log->fs, path);
}

/* What a creation or deletion that was cut short left behind; the lock file we hold stays. */
static mr_status clear_leftovers(mr_log *log, const char *folder, mr_error *err)
{
    char **names, path[MR_PATH_MAX];
    size_t count;
    MR_TRY(mr_fs_list(log->fs, folder, &names, &count, err));
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < count; i++) {
        (void)snprintf(path, sizeof path, "%.3500s/%.500s", folder, names[i]);
        if (strcmp(names[i], "lock") != 0)
            status = mr_fs_remove_tree(log->fs, path, err);
    }
    mr_fs_free_names(names, count);
    return status == MR_OK ? mr_fs_sync_dir(log->fs, folder, err) : status;
}

static mr_status create_in(mr_log *log, const char *name, const char *folder,
                           const mr_topic_options *options, mr_schema *schema, mr_error *err)
{
    if (is_topic(log, folder))
        return MR_FAIL(err, MR_EXISTS, "topic %s exists already", name);
    MR_TRY(clear_leftovers(log, folder, err));
    MR_TRY(make_folders(log, folder, options->partition_count, err));
    MR_TRY(mr_schemas_write(log, folder, &schema, 1, err));
    int64_t now_us = log->clock->wall_us(log->clock);
    uint64_t salt = mr_hash_u64(mr_hash64(name, strlen(name)) ^ (uint64_t)now_us);
    return mr_descriptor_write(log, folder, salt, options, err);
}

mr_status mr_topic_create(mr_log *log, const char *name, const mr_topic_options *options,
                          mr_schema *schema, mr_error *err)
{
    char full[MR_TOPIC_NAME_MAX], folder[MR_PATH_MAX];
    mr_topic_options checked = options != NULL ? *options : (mr_topic_options){0};
    MR_TRY(mr_topic_name_resolve(name, full, err));
    MR_TRY(mr_topic_options_check(&checked, err));
    MR_TRY(check_event_time(&checked, schema, err));
    mr_topic_folder(log, full, folder);
    MR_TRY(mr_fs_make_folder(log->fs, folder, err));
    mr_file *lock;
    MR_TRY(mr_topic_lock_definition(log, folder, &lock, err));
    mr_status status = create_in(log, full, folder, &checked, schema, err);
    mr_file_close(lock);
    return status;
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
static mr_topic *find_open(mr_log *log, const char *name)
{
    mr_topic *topic = log->topics;
    while (topic != NULL && strcmp(topic->name, name) != 0)
        topic = topic->next;
    return topic;
}

/* log->lock held */
static mr_status open_new(mr_log *log, const char *name, mr_topic **out, mr_error *err)
{
    char folder[MR_PATH_MAX];
    mr_topic_folder(log, name, folder);
    if (!is_topic(log, folder))
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
    mr_topic *topic = find_open(log, full);
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

/* ---- deletion ---- */

static mr_status check_unwritten(mr_log *log, const char *name, const char *folder,
                                 uint32_t partition_count, mr_error *err)
{
    for (uint32_t i = 0; i < partition_count; i++) {
        char path[MR_PATH_MAX];
        mr_file *file;
        (void)snprintf(path, sizeof path, "%.4000s/partition-%u/lock", folder, i);
        mr_status status = mr_fs_open(log->fs, path, MR_OPEN_WRITE, &file, NULL);
        if (status != MR_OK)
            continue; /* never written */
        status = mr_file_lock(file, err);
        mr_file_close(file);
        if (status != MR_OK)
            return MR_FAIL(err, status, "topic %s is being written by another process", name);
    }
    return MR_OK;
}

static mr_status delete_in(mr_log *log, const char *name, const char *folder, mr_error *err)
{
    char path[MR_PATH_MAX];
    mr_topic_options options;
    uint64_t salt;
    if (!is_topic(log, folder))
        return MR_FAIL(err, MR_NOT_FOUND, "there is no topic %s", name);
    mr_status status = mr_descriptor_read(log, folder, &salt, &options, err);
    if (status == MR_OK)
        MR_TRY(check_unwritten(log, name, folder, options.partition_count, err));
    (void)snprintf(path, sizeof path, "%.4000s/topic", folder);
    MR_TRY(mr_fs_remove(log->fs, path, err));
    MR_TRY(mr_fs_sync_dir(log->fs, folder, err));
    return clear_leftovers(log, folder, err);
}

mr_status mr_topic_delete(mr_log *log, const char *name, mr_error *err)
{
    char full[MR_TOPIC_NAME_MAX], folder[MR_PATH_MAX];
    mr_file *lock = NULL;
    MR_TRY(mr_topic_name_resolve(name, full, err));
    mr_topic_folder(log, full, folder);
    mr_mutex_lock(&log->lock);
    mr_status status = MR_OK;
    if (find_open(log, full) != NULL)
        status = MR_FAIL(err, MR_BUSY, "topic %s is open in this process", full);
    else if (!is_topic(log, folder))
        status = MR_FAIL(err, MR_NOT_FOUND, "there is no topic %s", full);
    if (status == MR_OK)
        status = mr_topic_lock_definition(log, folder, &lock, err);
    if (status == MR_OK)
        status = delete_in(log, full, folder, err);
    mr_file_close(lock);
    mr_mutex_unlock(&log->lock);
    return status;
}

/* ---- list ---- */

typedef struct name_list {
    char **names;
    size_t count;
    size_t capacity;
} name_list;

static mr_status add_name(name_list *list, const char *name, mr_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = MR_MAX(16, list->capacity * 2);
        char **wider = mr_realloc(list->names, capacity * sizeof *wider);
        if (wider == NULL)
            return MR_OUT_OF_MEMORY(err);
        list->names = wider;
        list->capacity = capacity;
    }
    list->names[list->count] = mr_strdup(name);
    if (list->names[list->count] == NULL)
        return MR_OUT_OF_MEMORY(err);
    list->count++;
    return MR_OK;
}

static bool in_prefix(const char *name, const char *prefix)
{
    size_t bytes = prefix != NULL ? strlen(prefix) : 0;
    return bytes == 0 ||
           (strncmp(name, prefix, bytes) == 0 && (name[bytes] == '/' || name[bytes] == '\0'));
}

/* `depth` 0: tenants, 1: namespaces, 2: topics of `path`, whose name so far is `name`. */
static mr_status list_level(mr_log *log, const char *name, int depth, const char *prefix,
                            name_list *list, mr_error *err)
{
    char folder[MR_PATH_MAX];
    char **parts;
    size_t count;
    (void)snprintf(folder, sizeof folder, "%.3500s%s%s", log->root, name[0] != '\0' ? "/" : "",
                   name);
    mr_file_info info;
    if (mr_fs_info(log->fs, folder, &info, NULL) != MR_OK || !info.is_folder)
        return MR_OK;
    MR_TRY(mr_fs_list(log->fs, folder, &parts, &count, err));
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < count; i++) {
        char below[MR_TOPIC_NAME_MAX], path[MR_PATH_MAX];
        if (mr_topic_check_part("name", parts[i], strlen(parts[i]), NULL) != MR_OK)
            continue;
        (void)snprintf(below, sizeof below, "%.250s%s%.120s", name, name[0] != '\0' ? "/" : "",
                       parts[i]);
        mr_topic_folder(log, below, path);
        if (depth < 2)
            status = list_level(log, below, depth + 1, prefix, list, err);
        else if (in_prefix(below, prefix) && is_topic(log, path))
            status = add_name(list, below, err);
    }
    mr_fs_free_names(parts, count);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

mr_status mr_topic_list(mr_log *log, const char *prefix, char ***out_names, size_t *out_count,
                        mr_error *err)
{
    name_list list = {0};
    *out_names = NULL;
    *out_count = 0;
    mr_status status = list_level(log, "", 0, prefix, &list, err);
    if (status != MR_OK) {
        mr_fs_free_names(list.names, list.count);
        return status;
    }
    if (list.count > 0)
        qsort(list.names, list.count, sizeof *list.names, by_bytes);
    *out_names = list.names;
    *out_count = list.count;
    return MR_OK;
}
