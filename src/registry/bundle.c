/* bundle.c -- an artifact to one file and back.
 *
 * Reading: (1) nothing is written outside the new folder: a file's name there has passed mr_artifact_is_name.
 * (2) Memory is bounded by two buffers, the disk by MR_ARTIFACT_BYTES_MAX. */
#include "registry/bundle.h"

#include "base/assert.h"
#include "data/input.h"
#include "model/artifact.h"
#include "registry/tar.h"

#include <stdio.h>
#include <string.h>
#include <zstd.h>

#define CHUNK_BYTES    (256u << 10)
#define LEVEL          3
#define TAIL_BYTES_MAX (1u << 20) /* tar programs fill up to 10240, or their own block size */

/* ---- packing ---- */

typedef struct packer {
    mr_file *file;
    uint64_t offset;
    ZSTD_CCtx *zstd;
    uint8_t *packed; /* CHUNK_BYTES */
    uint8_t *plain;  /* CHUNK_BYTES */
    mr_error *err;
} packer;

static mr_status pack(packer *p, const void *bytes, size_t size, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = {bytes, size, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {p->packed, CHUNK_BYTES, 0};
        left = ZSTD_compressStream2(p->zstd, &out, &in, how);
        if (ZSTD_isError(left))
            return MR_FAIL(p->err, MR_NO_MEMORY, "Zstandard: %s", ZSTD_getErrorName(left));
        if (out.pos > 0)
            MR_TRY(mr_file_write(p->file, p->offset, p->packed, out.pos, p->err));
        p->offset += out.pos;
    } while (in.pos < in.size || (how == ZSTD_e_end && left > 0));
    return MR_OK;
}

static mr_status pack_zeros(packer *p, size_t size)
{
    static const uint8_t zeros[2 * MR_TAR_BLOCK_BYTES];
    return size > 0 ? pack(p, zeros, size, ZSTD_e_continue) : MR_OK;
}

static mr_status pack_content(packer *p, mr_file *from, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        size_t piece = (size_t)MR_MIN(size - done, (uint64_t)CHUNK_BYTES);
        MR_TRY(mr_file_read_exact(from, done, p->plain, piece, p->err));
        MR_TRY(pack(p, p->plain, piece, ZSTD_e_continue));
        done += piece;
    }
    return pack_zeros(p, (size_t)(-size & (MR_TAR_BLOCK_BYTES - 1)));
}

static mr_status pack_file(packer *p, mr_fs *fs, const char *folder, const char *top,
                           const char *name)
{
    char path[MR_PATH_MAX], entry[512];
    uint8_t header[MR_TAR_BLOCK_BYTES];
    mr_file *file;
    uint64_t size;
    (void)snprintf(path, sizeof path, "%.3900s/%.100s", folder, name);
    (void)snprintf(entry, sizeof entry, "%s/%s", top, name);
    MR_TRY(mr_fs_open(fs, path, MR_OPEN_READ, &file, p->err));
    mr_status status = mr_file_size(file, &size, p->err);
    if (status == MR_OK)
        status = mr_tar_encode(entry, size, header, p->err);
    if (status == MR_OK)
        status = pack(p, header, sizeof header, ZSTD_e_continue);
    if (status == MR_OK)
        status = pack_content(p, file, size);
    mr_file_close(file);
    return status;
}

static mr_status pack_folder(packer *p, mr_fs *fs, const char *folder, const char *top)
{
    char **names = NULL;
    size_t count = 0;
    MR_TRY(mr_fs_list(fs, folder, &names, &count, p->err));
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < count; i++)
        status = pack_file(p, fs, folder, top, names[i]);
    mr_fs_free_names(names, count);
    MR_TRY(status);
    MR_TRY(pack_zeros(p, 2 * MR_TAR_BLOCK_BYTES));
    return pack(p, NULL, 0, ZSTD_e_end);
}

static mr_status start_packer(packer *p, mr_fs *fs, const char *path, mr_error *err)
{
    p->err = err;
    p->zstd = ZSTD_createCCtx();
    p->packed = mr_alloc(CHUNK_BYTES);
    p->plain = mr_alloc(CHUNK_BYTES);
    if (p->zstd == NULL || p->packed == NULL || p->plain == NULL)
        return MR_OUT_OF_MEMORY(err);
    (void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1);
    return mr_fs_open(fs, path, MR_OPEN_CREATE, &p->file, err);
}

static void stop_packer(packer *p)
{
    mr_file_close(p->file);
    (void)ZSTD_freeCCtx(p->zstd);
    mr_free(p->packed);
    mr_free(p->plain);
}

static void parent_of(const char *path, char *out)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        (void)snprintf(out, MR_PATH_MAX, ".");
    else
        (void)snprintf(out, MR_PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

mr_status mr_bundle_write(mr_fs *fs, const char *folder, const char *name, const char *hash,
                          const char *path, mr_error *err)
{
    char temporary[MR_PATH_MAX], parent[MR_PATH_MAX], top[256];
    packer p = {0};
    if (mr_fs_exists(fs, path))
        return MR_FAIL(err, MR_EXISTS, "%s exists already", path);
    (void)snprintf(top, sizeof top, "%.100s@%.64s", name, hash);
    (void)snprintf(temporary, sizeof temporary, "%.4000s.new", path);
    mr_status status = start_packer(&p, fs, temporary, err);
    if (status == MR_OK)
        status = mr_file_truncate(p.file, 0, err);
    if (status == MR_OK)
        status = pack_folder(&p, fs, folder, top);
    if (status == MR_OK)
        status = mr_file_sync(p.file, err);
    stop_packer(&p);
    if (status == MR_OK)
        status = mr_fs_rename(fs, temporary, path, err);
    else
        (void)mr_fs_remove(fs, temporary, NULL);
    parent_of(path, parent);
    return status == MR_OK ? mr_fs_sync_dir(fs, parent, err) : status;
}

/* ---- unpacking ---- */

typedef struct unpacker {
    mr_fs *fs;
    mr_input *input;
    const char *folder;
    uint8_t *chunk; /* CHUNK_BYTES */
    char top[MR_TAR_NAME_MAX];
    size_t files;
    uint64_t bytes;
    mr_error *err;
} unpacker;

static mr_status read_exact(unpacker *u, void *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t got = 0;
        MR_TRY(mr_input_read(u->input, (uint8_t *)to + done, size - done, &got, u->err));
        if (got == 0)
            return MR_FAIL(u->err, MR_CORRUPT, "the tar ends at byte %llu, in the middle",
                           (unsigned long long)mr_input_offset(u->input));
        done += got;
    }
    return MR_OK;
}

/* "fraud@283f.../model.json": the folder must be the same for all; the file is what is behind it. */
static mr_status check_name(unpacker *u, const mr_tar_entry *entry, const char **out_file)
{
    const char *slash = strchr(entry->name, '/');
    size_t size = slash != NULL ? (size_t)(slash - entry->name) : strlen(entry->name);
    if (slash == NULL ||
        (u->top[0] != '\0' && (strlen(u->top) != size || memcmp(u->top, entry->name, size) != 0)))
        return MR_FAIL(u->err, MR_INVALID, "entry %.200s is not in the one folder NAME@HASH%s%s",
                       entry->name, u->top[0] != '\0' ? ", which is " : "", u->top);
    memcpy(u->top, entry->name, size);
    u->top[size] = '\0';
    *out_file = slash + 1;
    if (entry->is_folder ? slash[1] != '\0' : !mr_artifact_is_name(slash + 1))
        return MR_FAIL(u->err, MR_INVALID,
                       "entry %.200s: an artifact has no file of that name, and no folders",
                       entry->name);
    return MR_OK;
}

static mr_status check_limits(unpacker *u, const mr_tar_entry *entry)
{
    if (u->files == MR_ARTIFACT_FILES_MAX)
        return MR_FAIL(u->err, MR_FULL, "entry %.200s: an artifact has at most %d files",
                       entry->name, MR_ARTIFACT_FILES_MAX);
    if (entry->size > MR_ARTIFACT_BYTES_MAX - u->bytes)
        return MR_FAIL(u->err, MR_FULL, "entry %.200s of %llu bytes: an artifact has at most %llu",
                       entry->name, (unsigned long long)entry->size,
                       (unsigned long long)MR_ARTIFACT_BYTES_MAX);
    u->files++;
    u->bytes += entry->size;
    return MR_OK;
}

static mr_status unpack_content(unpacker *u, mr_file *file, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        size_t piece = (size_t)MR_MIN(size - done, (uint64_t)CHUNK_BYTES);
        MR_TRY(read_exact(u, u->chunk, piece));
        MR_TRY(mr_file_write(file, done, u->chunk, piece, u->err));
        done += piece;
    }
    MR_TRY(mr_file_sync(file, u->err));
    return read_exact(u, u->chunk, (size_t)(-size & (MR_TAR_BLOCK_BYTES - 1)));
}

static mr_status unpack_entry(unpacker *u, const mr_tar_entry *entry)
{
    char path[MR_PATH_MAX];
    const char *name;
    mr_file *file;
    MR_TRY(check_name(u, entry, &name));
    if (entry->is_folder)
        return MR_OK;
    MR_TRY(check_limits(u, entry));
    (void)snprintf(path, sizeof path, "%.3900s/%.100s", u->folder, name);
    mr_status status = mr_fs_open(u->fs, path, MR_OPEN_NEW, &file, u->err);
    if (status == MR_EXISTS)
        return MR_FAIL(u->err, MR_INVALID, "entry %.200s is there twice", entry->name);
    MR_TRY(status);
    status = unpack_content(u, file, entry->size);
    mr_file_close(file);
    return status;
}

/* To the end, so that the packing's own checksum is looked at: zeros, and not many of them. */
static mr_status read_tail(unpacker *u)
{
    size_t got, total = 0;
    do {
        MR_TRY(mr_input_read(u->input, u->chunk, CHUNK_BYTES, &got, u->err));
        total += got;
        for (size_t i = 0; i < got; i++)
            if (u->chunk[i] != 0)
                return MR_FAIL(u->err, MR_INVALID, "something follows the end of the tar");
    } while (got > 0 && total <= TAIL_BYTES_MAX);
    if (total < MR_TAR_BLOCK_BYTES || got > 0)
        return MR_FAIL(u->err, MR_CORRUPT, "the tar's end has %zu bytes of zeros, not %d to %u",
                       total + MR_TAR_BLOCK_BYTES, 2 * MR_TAR_BLOCK_BYTES, TAIL_BYTES_MAX);
    return MR_OK;
}

static mr_status unpack_entries(unpacker *u)
{
    for (;;) {
        uint8_t block[MR_TAR_BLOCK_BYTES];
        mr_tar_entry entry;
        MR_TRY(read_exact(u, block, sizeof block));
        MR_TRY(mr_tar_decode(block, &entry, u->err));
        if (entry.is_end)
            break;
        MR_TRY(unpack_entry(u, &entry));
    }
    if (u->files == 0)
        return MR_FAIL(u->err, MR_INVALID, "the tar holds no file");
    MR_TRY(read_tail(u));
    return mr_fs_sync_dir(u->fs, u->folder, u->err);
}

/* "fraud@283f..." */
static mr_status split_top(const unpacker *u, char *out_name, char *out_hash)
{
    const char *at = strrchr(u->top, '@');
    size_t size = at != NULL ? (size_t)(at - u->top) : 0;
    if (size == 0 || size >= MR_BUNDLE_NAME_MAX || strlen(at + 1) != MR_SHA256_TEXT_BYTES - 1)
        return MR_FAIL(u->err, MR_INVALID, "the tar's folder %.200s is not NAME@HASH", u->top);
    (void)snprintf(out_name, MR_BUNDLE_NAME_MAX, "%.*s", (int)size, u->top);
    (void)snprintf(out_hash, MR_SHA256_TEXT_BYTES, "%s", at + 1);
    return MR_OK;
}

static mr_status unpack(unpacker *u, const char *path, char *out_name, char *out_hash)
{
    u->chunk = mr_alloc(CHUNK_BYTES);
    if (u->chunk == NULL)
        return MR_OUT_OF_MEMORY(u->err);
    MR_TRY(mr_input_open(u->fs, path, &u->input, u->err));
    MR_TRY(unpack_entries(u));
    return split_top(u, out_name, out_hash);
}

mr_status mr_bundle_read(mr_fs *fs, const char *path, const char *folder,
                         char out_name[MR_BUNDLE_NAME_MAX], char out_hash[MR_SHA256_TEXT_BYTES],
                         mr_error *err)
{
    unpacker u = {.fs = fs, .folder = folder, .err = err};
    if (mr_fs_exists(fs, folder))
        return MR_FAIL(err, MR_EXISTS, "%s exists already", folder);
    MR_TRY(mr_fs_make_folder(fs, folder, err));
    mr_status status = unpack(&u, path, out_name, out_hash);
    mr_input_close(u.input);
    mr_free(u.chunk);
    if (status != MR_OK) {
        mr_error_prefix(err, "%s", path);
        (void)mr_fs_remove_tree(fs, folder, NULL);
    }
    return status;
}
