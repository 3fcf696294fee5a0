/* topic_catalog.c -- which topics there are: making, removing and listing them.
 *
 * A topic exists exactly when its folder holds a whole `topic` file; that file is written last and removed
 * first, and leftovers of a cut-short creation or deletion are cleared by the next creation. */
#include "log/log_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mr_topic_is_there(mr_log *log, const char *folder)
{
    char path[MR_PATH_MAX];
    (void)snprintf(path, sizeof path, "%.4000s/topic", folder);
    return mr_fs_exists(log->fs, path);
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
    if (mr_topic_is_there(log, folder))
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
    if (!mr_topic_is_there(log, folder))
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
    if (mr_topic_find_open(log, full) != NULL)
        status = MR_FAIL(err, MR_BUSY, "topic %s is open in this process", full);
    else if (!mr_topic_is_there(log, folder))
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
        else if (in_prefix(below, prefix) && mr_topic_is_there(log, path))
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
