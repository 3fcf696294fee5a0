/* fs.c -- the calls of fs.h: dispatch to an implementation, and what is composed of its parts.
 *
 * (1) Nothing here knows which implementation it has, so what holds on the simulated disk holds on
 * the real one. Thread: any. */
#include "os/fs.h"

#include <stdio.h>
#include <string.h>

/* ---- dispatch ---- */

mr_status mr_fs_open(mr_fs *fs, const char *path, mr_open_mode mode, mr_file **out, mr_error *err)
{
    *out = NULL;
    return fs->kind->open(fs, path, mode, out, err);
}

void mr_file_close(mr_file *file)
{
    if (file != NULL)
        file->kind->close(file);
}

mr_status mr_file_read(mr_file *file, uint64_t offset, void *to, size_t size, size_t *out_size,
                       mr_error *err)
{
    *out_size = 0;
    return file->kind->read(file, offset, to, size, out_size, err);
}

mr_status mr_file_read_exact(mr_file *file, uint64_t offset, void *to, size_t size, mr_error *err)
{
    size_t got;
    MR_TRY(mr_file_read(file, offset, to, size, &got, err));
    if (got == size)
        return MR_OK;
    return MR_FAIL(err, MR_CORRUPT,
                   "%s: %zu bytes were expected at offset %llu, the file ends after %zu",
                   file->path, size, (unsigned long long)offset, got);
}

mr_status mr_file_write(mr_file *file, uint64_t offset, const void *from, size_t size,
                        mr_error *err)
{
    return file->kind->write(file, offset, from, size, err);
}

mr_status mr_file_sync(mr_file *file, mr_error *err)
{
    if (file->sync_failed)
        return MR_FAIL(err, MR_IO,
                       "cannot sync %s: an earlier sync failed, so its content is unknown",
                       file->path);
    mr_status status = file->kind->sync(file, err);
    file->sync_failed = status != MR_OK;
    return status;
}

mr_status mr_file_truncate(mr_file *file, uint64_t size, mr_error *err)
{
    return file->kind->truncate(file, size, err);
}

mr_status mr_file_reserve(mr_file *file, uint64_t size, mr_error *err)
{
    return file->kind->reserve(file, size, err);
}

void mr_file_write_out(mr_file *file, uint64_t offset, uint64_t size)
{
    if (file->kind->write_out != NULL)
        file->kind->write_out(file, offset, size);
}

mr_status mr_file_size(mr_file *file, uint64_t *out_size, mr_error *err)
{
    *out_size = 0;
    return file->kind->size(file, out_size, err);
}

mr_status mr_file_map(mr_file *file, uint64_t offset, size_t size, mr_mapping *out, mr_error *err)
{
    *out = (mr_mapping){0};
    uint64_t file_size;
    MR_TRY(mr_file_size(file, &file_size, err));
    if (size > file_size || offset > file_size - size)
        return MR_FAIL(err, MR_INVALID, "%s: cannot map %zu bytes at offset %llu of %llu",
                       file->path, size, (unsigned long long)offset, (unsigned long long)file_size);
    return size > 0 ? file->kind->map(file, offset, size, out, err) : MR_OK;
}

void mr_fs_unmap(mr_fs *fs, mr_mapping *mapping)
{
    if (mapping->bytes != NULL)
        fs->kind->unmap(fs, mapping);
    *mapping = (mr_mapping){0};
}

mr_status mr_file_lock(mr_file *file, mr_error *err)
{
    return file->kind->lock(file, err);
}

mr_status mr_fs_rename(mr_fs *fs, const char *from, const char *to, mr_error *err)
{
    return fs->kind->rename(fs, from, to, err);
}

mr_status mr_fs_remove(mr_fs *fs, const char *path, mr_error *err)
{
    return fs->kind->remove(fs, path, err);
}

mr_status mr_fs_list(mr_fs *fs, const char *path, char ***out_names, size_t *out_count,
                     mr_error *err)
{
    *out_names = NULL;
    *out_count = 0;
    return fs->kind->list(fs, path, out_names, out_count, err);
}

void mr_fs_free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mr_free(names[i]);
    mr_free(names);
}

mr_status mr_fs_info(mr_fs *fs, const char *path, mr_file_info *out, mr_error *err)
{
    *out = (mr_file_info){0};
    return fs->kind->info(fs, path, out, err);
}

mr_status mr_fs_sync_dir(mr_fs *fs, const char *path, mr_error *err)
{
    return fs->kind->sync_dir(fs, path, err);
}

/* ---- paths ---- */

/* The folder a path lies in: "a/b" gives "a", "b" gives ".", "/b" gives "/". */
static mr_status parent_of(const char *path, char *out, mr_error *err)
{
    size_t bytes = strlen(path);
    if (bytes == 0 || bytes >= MR_PATH_MAX)
        return MR_FAIL(err, MR_INVALID, "a path has 1 to %d bytes, not %zu", MR_PATH_MAX - 1,
                       bytes);
    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    while (bytes > 0 && path[bytes - 1] != '/')
        bytes--;
    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    (void)snprintf(out, MR_PATH_MAX, "%.*s", bytes > 0 ? (int)bytes : 1, bytes > 0 ? path : ".");
    return MR_OK;
}

bool mr_fs_exists(mr_fs *fs, const char *path)
{
    mr_file_info info;
    return mr_fs_info(fs, path, &info, NULL) == MR_OK;
}

/* ---- folders ---- */

static mr_status make_one_folder(mr_fs *fs, const char *path, mr_error *err)
{
    mr_file_info info;
    mr_status status = mr_fs_info(fs, path, &info, err);
    if (status == MR_OK)
        return info.is_folder ? MR_OK : MR_FAIL(err, MR_EXISTS, "%s exists and is no folder", path);
    if (status != MR_NOT_FOUND)
        return status;
    status = fs->kind->make_folder(fs, path, err);
    if (status == MR_EXISTS) /* another was faster */
        return MR_OK;
    MR_TRY(status);
    char parent[MR_PATH_MAX];
    MR_TRY(parent_of(path, parent, err));
    return mr_fs_sync_dir(fs, parent, err);
}

mr_status mr_fs_make_folder(mr_fs *fs, const char *path, mr_error *err)
{
    char prefix[MR_PATH_MAX];
    size_t bytes = strlen(path);
    if (bytes == 0 || bytes >= sizeof prefix)
        return MR_FAIL(err, MR_INVALID, "a path has 1 to %d bytes, not %zu", MR_PATH_MAX - 1,
                       bytes);
    for (size_t end = 1; end <= bytes; end++) {
        if ((path[end] != '/' && path[end] != '\0') || path[end - 1] == '/')
            continue;
        memcpy(prefix, path, end);
        prefix[end] = '\0';
        MR_TRY(make_one_folder(fs, prefix, err));
    }
    return MR_OK;
}

static mr_status remove_tree_below(mr_fs *fs, const char *path, mr_error *err)
{
    char **names;
    size_t count;
    MR_TRY(mr_fs_list(fs, path, &names, &count, err));
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < count; i++) {
        mr_bytes child = {0};
        mr_bytes_printf(&child, "%s/%s", path, names[i]);
        const char *text = mr_bytes_text(&child);
        status = text != NULL ? mr_fs_remove_tree(fs, text, err) : MR_OUT_OF_MEMORY(err);
        mr_bytes_deinit(&child);
    }
    mr_fs_free_names(names, count);
    return status;
}

/* Removing comes first and asking second, so that a link to a folder is removed and not followed.
 */
mr_status mr_fs_remove_tree(mr_fs *fs, const char *path, mr_error *err)
{
    mr_status status = mr_fs_remove(fs, path, err);
    if (status == MR_CONFLICT) {
        MR_TRY(remove_tree_below(fs, path, err));
        status = mr_fs_remove(fs, path, err);
    }
    if (status != MR_NOT_FOUND)
        return status;
    mr_error_clear(err);
    return MR_OK;
}

/* ---- whole files ---- */

static mr_status read_all(mr_file *file, uint64_t max_bytes, mr_bytes *out, mr_error *err)
{
    uint64_t size;
    MR_TRY(mr_file_size(file, &size, err));
    if (max_bytes != 0 && size > max_bytes)
        return MR_FAIL(err, MR_FULL, "%s has %llu bytes; %llu is the limit", file->path,
                       (unsigned long long)size, (unsigned long long)max_bytes);
    if (size > SIZE_MAX / 4 || !mr_bytes_reserve(out, (size_t)size))
        return MR_OUT_OF_MEMORY(err);
    size_t got;
    MR_TRY(mr_file_read(file, 0, out->data, (size_t)size, &got, err));
    out->size = got;
    return MR_OK;
}

mr_status mr_fs_read_file(mr_fs *fs, const char *path, uint64_t max_bytes, mr_bytes *out,
                          mr_error *err)
{
    mr_bytes_clear(out);
    mr_file *file;
    MR_TRY(mr_fs_open(fs, path, MR_OPEN_READ, &file, err));
    mr_status status = read_all(file, max_bytes, out, err);
    mr_file_close(file);
    return status;
}

static mr_status write_synced(mr_fs *fs, const char *path, const void *data, size_t size,
                              mr_error *err)
{
    mr_file *file;
    MR_TRY(mr_fs_open(fs, path, MR_OPEN_CREATE, &file, err));
    mr_status status = mr_file_truncate(file, 0, err);
    if (status == MR_OK)
        status = mr_file_write(file, 0, data, size, err);
    if (status == MR_OK)
        status = mr_file_sync(file, err);
    mr_file_close(file);
    return status;
}

mr_status mr_fs_write_file(mr_fs *fs, const char *path, const void *data, size_t size,
                           mr_error *err)
{
    char folder[MR_PATH_MAX], temporary[MR_PATH_MAX + 8];
    MR_TRY(parent_of(path, folder, err));
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
    mr_status status = write_synced(fs, temporary, data, size, err);
    if (status == MR_OK)
        status = mr_fs_rename(fs, temporary, path, err);
    if (status != MR_OK) {
        (void)mr_fs_remove(fs, temporary, NULL);
        return status;
    }
    return mr_fs_sync_dir(fs, folder, err);
}
