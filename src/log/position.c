/* position.c -- named reading places: one small file per name, replaced as a whole.
 *
 *   millrace position 1
 *   0 4711              partition, offset of the next record
 *   1 -                 never committed
 *   crc 0123abcd        of all lines before */
#include "log/log_internal.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE     "millrace position 1\n"
#define FILE_BYTES_MAX 65536

static mr_status path_of(const mr_topic *topic, const char *name, char *out, mr_error *err)
{
    MR_TRY(mr_topic_check_part("position name", name, strlen(name), err));
    size_t bytes = strlen(name);
    if (bytes > 4 && strcmp(name + bytes - 4, ".tmp") == 0)
        return MR_FAIL(err, MR_INVALID,
                       "the position name '%s' ends in .tmp, which half-made files do", name);
    (void)snprintf(out, MR_PATH_MAX, "%.3900s/positions/%.100s", topic->folder, name);
    return MR_OK;
}

mr_status mr_position_commit(mr_topic *topic, const char *name, const uint64_t *offsets,
                             uint32_t count, mr_error *err)
{
    char path[MR_PATH_MAX];
    MR_TRY(path_of(topic, name, path, err));
    if (count == 0 || count > topic->options.partition_count)
        return MR_FAIL(err, MR_INVALID, "%u offsets for a topic of %u partitions", count,
                       topic->options.partition_count);
    mr_bytes text = {0};
    mr_bytes_append_text(&text, FIRST_LINE);
    for (uint32_t i = 0; i < count; i++) {
        if (offsets[i] == MR_LOG_OFFSET_NONE)
            mr_bytes_printf(&text, "%u -\n", i);
        else
            mr_bytes_printf(&text, "%u %" PRIu64 "\n", i, offsets[i]);
    }
    mr_bytes_printf(&text, "crc %08x\n", text.failed ? 0 : mr_crc32c(0, text.data, text.size));
    mr_status status = text.failed
                           ? MR_OUT_OF_MEMORY(err)
                           : mr_fs_write_file(topic->log->fs, path, text.data, text.size, err);
    mr_bytes_deinit(&text);
    return status;
}

static mr_status damaged(const char *name, mr_error *err)
{
    return MR_FAIL(err, MR_CORRUPT, "the file of position %s is damaged; commit it anew", name);
}

static mr_status parse(const char *text, const char *name, uint64_t *offsets, uint32_t count,
                       mr_error *err)
{
    const char *crc = strstr(text, "\ncrc ");
    if (crc == NULL || strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0 ||
        strtoul(crc + 5, NULL, 16) != mr_crc32c(0, text, (size_t)(crc + 1 - text)))
        return damaged(name, err);
    for (uint32_t i = 0; i < count; i++)
        offsets[i] = MR_LOG_OFFSET_NONE;
    for (const char *line = text + strlen(FIRST_LINE); line < crc;) {
        char *rest;
        uint64_t partition = strtoull(line, &rest, 10);
        if (partition < count && *rest == ' ' && rest[1] != '-')
            offsets[partition] = strtoull(rest + 1, NULL, 10);
        line = strchr(rest, '\n') + 1; /* the crc line is behind, so there is one */
    }
    return MR_OK;
}

mr_status mr_position_get(mr_topic *topic, const char *name, uint64_t *offsets, uint32_t count,
                          mr_error *err)
{
    char path[MR_PATH_MAX];
    MR_TRY(path_of(topic, name, path, err));
    if (!mr_fs_exists(topic->log->fs, path))
        return MR_FAIL(err, MR_NOT_FOUND, "%s has no position %s", topic->name, name);
    mr_bytes bytes = {0};
    mr_status status = mr_fs_read_file(topic->log->fs, path, FILE_BYTES_MAX, &bytes, err);
    const char *text = status == MR_OK ? mr_bytes_text(&bytes) : NULL;
    if (status == MR_OK)
        status = text != NULL ? parse(text, name, offsets, count, err) : MR_OUT_OF_MEMORY(err);
    mr_bytes_deinit(&bytes);
    return status;
}

mr_status mr_position_list(mr_topic *topic, char ***out_names, size_t *out_count, mr_error *err)
{
    char path[MR_PATH_MAX];
    (void)snprintf(path, sizeof path, "%.4000s/positions", topic->folder);
    MR_TRY(mr_fs_list(topic->log->fs, path, out_names, out_count, err));
    size_t kept = 0;
    for (size_t i = 0; i < *out_count; i++) {
        size_t bytes = strlen((*out_names)[i]);
        bool half_made = bytes > 4 && strcmp((*out_names)[i] + bytes - 4, ".tmp") == 0;
        if (half_made)
            mr_free((*out_names)[i]);
        else
            (*out_names)[kept++] = (*out_names)[i];
    }
    *out_count = kept;
    return MR_OK;
}

mr_status mr_position_delete(mr_topic *topic, const char *name, mr_error *err)
{
    char path[MR_PATH_MAX];
    MR_TRY(path_of(topic, name, path, err));
    if (!mr_fs_exists(topic->log->fs, path))
        return MR_FAIL(err, MR_NOT_FOUND, "%s has no position %s", topic->name, name);
    MR_TRY(mr_fs_remove(topic->log->fs, path, err));
    (void)snprintf(path, sizeof path, "%.4000s/positions", topic->folder);
    return mr_fs_sync_dir(topic->log->fs, path, err);
}
