/* artifact.c -- model folders: written at one stroke, copied, and named by what they hold. */
#include "model/artifact.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES (1u << 20)

/* ---- folders ---- */

bool mr_artifact_is_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t size = strlen(name);
    return size > 0 && size <= MR_ARTIFACT_NAME_MAX && name[0] != '.' && name[0] != '-' &&
           strspn(name, letters) == size;
}

static mr_status join(mr_bytes *out, const char *folder, const char *name, const char **out_path,
                      mr_error *err)
{
    mr_bytes_clear(out);
    mr_bytes_printf(out, "%s%s", folder, name);
    *out_path = mr_bytes_text(out);
    return *out_path != NULL && !out->failed ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* The folder that holds `path`: "." when it has no slash. */
static mr_status parent_of(const char *path, mr_bytes *out, const char **out_parent, mr_error *err)
{
    const char *slash = strrchr(path, '/');
    mr_bytes_clear(out);
    if (slash == NULL)
        mr_bytes_append_text(out, ".");
    else
        mr_bytes_append(out, path, slash == path ? 1 : (size_t)(slash - path));
    *out_parent = mr_bytes_text(out);
    return *out_parent != NULL && !out->failed ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* What fills the new folder. */
typedef mr_status (*fill_fn)(mr_fs *fs, const char *folder, const void *context, mr_error *err);

static mr_status make_whole(mr_fs *fs, const char *folder, fill_fn fill, const void *context,
                            mr_error *err)
{
    if (mr_fs_exists(fs, folder))
        return MR_FAIL(err, MR_EXISTS, "%s exists already: an artifact is never overwritten",
                       folder);
    mr_bytes temporary = {0}, path = {0};
    const char *name, *parent;
    mr_status status = join(&temporary, folder, ".new", &name, err);
    if (status == MR_OK)
        status = mr_fs_remove_tree(fs, name, err); /* what an earlier attempt left */
    if (status == MR_OK)
        status = mr_fs_make_folder(fs, name, err);
    if (status == MR_OK)
        status = fill(fs, name, context, err);
    if (status == MR_OK)
        status = mr_fs_sync_dir(fs, name, err);
    if (status == MR_OK)
        status = mr_fs_rename(fs, name, folder, err);
    if (status == MR_OK)
        status = parent_of(folder, &path, &parent, err);
    if (status == MR_OK)
        status = mr_fs_sync_dir(fs, parent, err);
    mr_bytes_deinit(&temporary);
    mr_bytes_deinit(&path);
    return status;
}

typedef struct file_list {
    const mr_artifact_file *files;
    size_t count;
} file_list;

static mr_status fill_from_memory(mr_fs *fs, const char *folder, const void *context, mr_error *err)
{
    const file_list *list = context;
    mr_bytes path = {0};
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < list->count; i++) {
        const char *name;
        mr_bytes_clear(&path);
        mr_bytes_printf(&path, "%s/%s", folder, list->files[i].name);
        name = mr_bytes_text(&path);
        status = name != NULL
                     ? mr_fs_write_file(fs, name, list->files[i].data, list->files[i].size, err)
                     : MR_OUT_OF_MEMORY(err);
    }
    mr_bytes_deinit(&path);
    return status;
}

mr_status mr_artifact_write(mr_fs *fs, const char *folder, const mr_artifact_file *files,
                            size_t count, mr_error *err)
{
    file_list list = {files, count};
    return make_whole(fs, folder, fill_from_memory, &list, err);
}

/* ---- what a folder holds ---- */

typedef mr_status (*file_fn)(mr_fs *fs, const char *path, const char *name, uint64_t size,
                             void *context, mr_error *err);

static mr_status look_at(mr_fs *fs, const char *folder, const char *name, file_fn each,
                         void *context, mr_error *err)
{
    char path[MR_PATH_MAX];
    mr_file_info info;
    if (!mr_artifact_is_name(name))
        return MR_FAIL(err, MR_INVALID,
                       "%s: the file name '%.120s' is not allowed: 1 to %d of a-z A-Z 0-9 . _ -, "
                       "and neither . nor - in front",
                       folder, name, MR_ARTIFACT_NAME_MAX);
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return MR_FAIL(err, MR_INVALID, "the path of %s in %.200s is too long", name, folder);
    MR_TRY(mr_fs_info(fs, path, &info, err));
    if (info.is_folder)
        return MR_FAIL(err, MR_INVALID, "%s is a folder; an artifact holds files only", path);
    return each(fs, path, name, info.size, context, err);
}

/* In the order of names. */
static mr_status each_file(mr_fs *fs, const char *folder, file_fn each, void *context,
                           mr_error *err)
{
    char **names = NULL;
    size_t count = 0;
    MR_TRY(mr_fs_list(fs, folder, &names, &count, err));
    mr_status status = MR_OK;
    if (count == 0 || count > MR_ARTIFACT_FILES_MAX)
        status = MR_FAIL(err, MR_INVALID, "%s holds %zu files; an artifact has 1 to %d", folder,
                         count, MR_ARTIFACT_FILES_MAX);
    for (size_t i = 0; status == MR_OK && i < count; i++)
        status = look_at(fs, folder, names[i], each, context, err);
    mr_fs_free_names(names, count);
    return status;
}

/* Hands the file's bytes on, piece by piece. */
typedef mr_status (*piece_fn)(void *context, uint64_t offset, const void *bytes, size_t size,
                              mr_error *err);

static mr_status read_pieces(mr_fs *fs, const char *path, piece_fn each, void *context,
                             uint64_t *out_size, mr_error *err)
{
    mr_file *file = NULL;
    uint64_t offset = 0;
    size_t got = 0;
    uint8_t *chunk = mr_alloc(CHUNK_BYTES);
    mr_status status =
        chunk != NULL ? mr_fs_open(fs, path, MR_OPEN_READ, &file, err) : MR_OUT_OF_MEMORY(err);
    do {
        if (status == MR_OK)
            status = mr_file_read(file, offset, chunk, CHUNK_BYTES, &got, err);
        if (status == MR_OK)
            status = each(context, offset, chunk, got, err);
        offset += got;
    } while (status == MR_OK && got == CHUNK_BYTES);
    mr_file_close(file);
    mr_free(chunk);
    if (out_size != NULL)
        *out_size = offset;
    return status;
}

/* ---- copies ---- */

static mr_status write_piece(void *context, uint64_t offset, const void *bytes, size_t size,
                             mr_error *err)
{
    return size > 0 ? mr_file_write(context, offset, bytes, size, err) : MR_OK;
}

static mr_status copy_file(mr_fs *fs, const char *path, const char *name, uint64_t size,
                           void *context, mr_error *err)
{
    (void)size;
    char to[MR_PATH_MAX];
    mr_file *file;
    if (snprintf(to, sizeof to, "%s/%s", (const char *)context, name) >= (int)sizeof to)
        return MR_FAIL(err, MR_INVALID, "the path of %s is too long", name);
    MR_TRY(mr_fs_open(fs, to, MR_OPEN_NEW, &file, err));
    mr_status status = read_pieces(fs, path, write_piece, file, NULL, err);
    if (status == MR_OK)
        status = mr_file_sync(file, err);
    mr_file_close(file);
    return status;
}

static mr_status fill_from_folder(mr_fs *fs, const char *folder, const void *context, mr_error *err)
{
    char to[MR_PATH_MAX];
    (void)snprintf(to, sizeof to, "%s", folder);
    return each_file(fs, context, copy_file, to, err);
}

mr_status mr_artifact_copy(mr_fs *fs, const char *from, const char *to, mr_error *err)
{
    return make_whole(fs, to, fill_from_folder, from, err);
}

/* ---- hashes ---- */

static mr_status hash_piece(void *context, uint64_t offset, const void *bytes, size_t size,
                            mr_error *err)
{
    (void)offset;
    (void)err;
    mr_sha256_add(context, bytes, size);
    return MR_OK;
}

mr_status mr_artifact_hash_file(mr_fs *fs, const char *path, char out_hash[MR_SHA256_TEXT_BYTES],
                                uint64_t *out_bytes, mr_error *err)
{
    mr_sha256 hash;
    mr_sha256_init(&hash);
    MR_TRY(read_pieces(fs, path, hash_piece, &hash, out_bytes, err));
    mr_sha256_finish(&hash, out_hash);
    return MR_OK;
}

typedef struct hasher {
    mr_sha256 hash;
    uint64_t bytes;
    uint32_t models;
} hasher;

static bool is_model(const char *name)
{
    return strncmp(name, "model.", 6) == 0 && strcmp(name, "model.yaml") != 0;
}

static mr_status hash_file(mr_fs *fs, const char *path, const char *name, uint64_t size,
                           void *context, mr_error *err)
{
    hasher *self = context;
    char hash[MR_SHA256_TEXT_BYTES], line[MR_SHA256_TEXT_BYTES + 24 + MR_ARTIFACT_NAME_MAX + 2];
    if (size > MR_ARTIFACT_BYTES_MAX - self->bytes)
        return MR_FAIL(err, MR_FULL, "%s: an artifact has at most %llu bytes", path,
                       (unsigned long long)MR_ARTIFACT_BYTES_MAX);
    MR_TRY(mr_artifact_hash_file(fs, path, hash, &size, err));
    int length = snprintf(line, sizeof line, "%s %llu %s\n", hash, (unsigned long long)size, name);
    mr_sha256_add(&self->hash, line, (size_t)length);
    self->bytes += size;
    self->models += is_model(name);
    return MR_OK;
}

static mr_status fail_models(const char *folder, uint32_t count, mr_error *err)
{
    return count == 0
               ? MR_FAIL(err, MR_NOT_FOUND,
                         "%s holds no model: a file called model.json, .ubj, .txt, .onnx, "
                         ".pmml or .pb",
                         folder)
               : MR_FAIL(err, MR_INVALID, "%s holds %u files called model.*; one is the model",
                         folder, count);
}

mr_status mr_artifact_hash(mr_fs *fs, const char *folder, char out_hash[MR_SHA256_TEXT_BYTES],
                           uint64_t *out_bytes, mr_error *err)
{
    static const char title[] = "millrace artifact 1\n";
    hasher self = {0};
    mr_sha256_init(&self.hash);
    mr_sha256_add(&self.hash, title, sizeof title - 1);
    MR_TRY(each_file(fs, folder, hash_file, &self, err));
    if (self.models != 1)
        return fail_models(folder, self.models, err);
    mr_sha256_finish(&self.hash, out_hash);
    if (out_bytes != NULL)
        *out_bytes = self.bytes;
    return MR_OK;
}

/* ---- the model's file ---- */

/* model.json where there are several: a folder that is not (yet) an artifact may hold one model in two forms. */
static bool is_better(const char *name, uint32_t models)
{
    return models == 0 || strcmp(name, "model.json") == 0;
}

mr_status mr_artifact_model_file(mr_fs *fs, const char *folder, mr_bytes *out_path, mr_error *err)
{
    char **names = NULL;
    size_t count = 0;
    uint32_t models = 0;
    bool json = false;
    MR_TRY(mr_fs_list(fs, folder, &names, &count, err));
    mr_bytes_clear(out_path);
    for (size_t i = 0; i < count; i++) {
        if (!is_model(names[i]))
            continue;
        if (is_better(names[i], models++)) {
            mr_bytes_clear(out_path);
            mr_bytes_printf(out_path, "%s/%s", folder, names[i]);
            json = json || strcmp(names[i], "model.json") == 0;
        }
    }
    mr_fs_free_names(names, count);
    if (models != 1 && !json)
        return fail_models(folder, models, err);
    return mr_bytes_text(out_path) != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}
