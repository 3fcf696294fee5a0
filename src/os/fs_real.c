/* fs_real.c -- the machine's own files.
 *
 * (1) Reads and writes are whole or fail: short ones and EINTR are retried here.
 * Thread: any. */
#include "os/fs.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct real_file {
    mr_file base;
    int fd;
    char path[]; /* for error texts */
} real_file;

static int fd_of(const mr_file *file)
{
    return ((const real_file *)(const void *)file)->fd;
}

/* ---- errors ---- */

static mr_status status_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return MR_NOT_FOUND;
    case EEXIST:
        return MR_EXISTS;
    case ENOTEMPTY:
        return MR_CONFLICT;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
        return MR_FULL;
    case ENOMEM:
        return MR_NO_MEMORY;
    case EWOULDBLOCK:
    case EBUSY:
        return MR_BUSY;
    case EINVAL:
    case EBADF: /* opened for reading */
    case EISDIR:
    case ENAMETOOLONG:
        return MR_INVALID;
    default:
        return MR_IO;
    }
}

/* "cannot open a/b: No such file or directory" */
static mr_status fail(mr_error *err, int number, const char *verb, const char *path)
{
    char reason[128];
    /* A full table of descriptors is cured by other means than a full disk. */
    const char *cure = number == EMFILE ? " (raise the limit with ulimit -n)" : "";
    return MR_FAIL(err, status_of(number), "cannot %s %s: %s%s", verb, path,
                   strerror_r(number, reason, sizeof reason), cure);
}

/* ---- open and close ---- */

static const int open_flags[] = {
    [MR_OPEN_READ] = O_RDONLY,
    [MR_OPEN_WRITE] = O_RDWR,
    [MR_OPEN_CREATE] = O_RDWR | O_CREAT,
    [MR_OPEN_NEW] = O_RDWR | O_CREAT | O_EXCL,
};

static int open_retrying(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* A folder can be opened for reading, which serves nobody; it is refused here and not at the first
 * read. */
static int open_file(const char *path, mr_open_mode mode)
{
    int fd = open_retrying(path, open_flags[mode]);
    struct stat info;
    if (fd >= 0 && mode == MR_OPEN_READ && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        (void)close(fd);
        errno = EISDIR;
        return -1;
    }
    return fd;
}

static mr_status real_open(mr_fs *fs, const char *path, mr_open_mode mode, mr_file **out,
                           mr_error *err)
{
    size_t path_bytes = strlen(path) + 1;
    real_file *file = mr_alloc_zero(1, sizeof *file + path_bytes);
    if (file == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(file->path, path, path_bytes);
    file->base.kind = fs->kind;
    file->base.fs = fs;
    file->base.path = file->path;
    file->fd = open_file(path, mode);
    if (file->fd < 0) {
        int number = errno;
        mr_free(file);
        return fail(err, number, "open", path);
    }
    *out = &file->base;
    return MR_OK;
}

static void real_close(mr_file *file)
{
    (void)close(fd_of(file));
    mr_free(file);
}

/* ---- bytes ---- */

static mr_status real_read(mr_file *file, uint64_t offset, void *to, size_t size, size_t *out_size,
                           mr_error *err)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(fd_of(file), (uint8_t *)to + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(err, errno, "read", file->path);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *out_size = done;
    return MR_OK;
}

static mr_status real_write(mr_file *file, uint64_t offset, const void *from, size_t size,
                            mr_error *err)
{
    size_t done = 0;
    while (done < size) {
        ssize_t put =
            pwrite(fd_of(file), (const uint8_t *)from + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return fail(err, put < 0 ? errno : EIO, "write", file->path);
        done += (size_t)put;
    }
    return MR_OK;
}

static mr_status real_sync(mr_file *file, mr_error *err)
{
    int result;
    do
        result = fdatasync(fd_of(file));
    while (result != 0 && errno == EINTR);
    return result == 0 ? MR_OK : fail(err, errno, "sync", file->path);
}

static mr_status real_truncate(mr_file *file, uint64_t size, mr_error *err)
{
    int result;
    do
        result = ftruncate(fd_of(file), (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? MR_OK : fail(err, errno, "truncate", file->path);
}

/* Only a full disk is worth telling: file systems that cannot reserve lose nothing but speed. */
static mr_status real_reserve(mr_file *file, uint64_t size, mr_error *err)
{
    if (size == 0 || fallocate(fd_of(file), FALLOC_FL_KEEP_SIZE, 0, (off_t)size) == 0)
        return MR_OK;
    return errno == ENOSPC || errno == EDQUOT ? fail(err, errno, "reserve space for", file->path)
                                              : MR_OK;
}

static void real_write_out(mr_file *file, uint64_t offset, uint64_t size)
{
    (void)sync_file_range(fd_of(file), (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

static mr_status real_size(mr_file *file, uint64_t *out_size, mr_error *err)
{
    struct stat info;
    if (fstat(fd_of(file), &info) != 0)
        return fail(err, errno, "ask the size of", file->path);
    *out_size = (uint64_t)info.st_size;
    return MR_OK;
}

/* ---- mapping: `handle` is the page the mapping starts on ---- */

static mr_status real_map(mr_file *file, uint64_t offset, size_t size, mr_mapping *out,
                          mr_error *err)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t skip = (size_t)(offset % page_bytes);
    void *page =
        mmap(NULL, size + skip, PROT_READ, MAP_SHARED, fd_of(file), (off_t)(offset - skip));
    if (page == MAP_FAILED)
        return fail(err, errno, "map", file->path);
    *out = (mr_mapping){(const uint8_t *)page + skip, size, page};
    return MR_OK;
}

static void real_unmap(mr_fs *fs, mr_mapping *mapping)
{
    (void)fs;
    size_t skip = (size_t)(mapping->bytes - (const uint8_t *)mapping->handle);
    (void)munmap(mapping->handle, mapping->size + skip);
}

/* flock belongs to the open file, so a second open in this process is refused like one of another.
 */
static mr_status real_lock(mr_file *file, mr_error *err)
{
    if (flock(fd_of(file), LOCK_EX | LOCK_NB) == 0)
        return MR_OK;
    if (errno == EWOULDBLOCK)
        return MR_FAIL(err, MR_BUSY, "%s is locked by another process", file->path);
    return fail(err, errno, "lock", file->path);
}

/* ---- names ---- */

static mr_status real_rename(mr_fs *fs, const char *from, const char *to, mr_error *err)
{
    (void)fs;
    if (rename(from, to) == 0)
        return MR_OK;
    char reason[128];
    int number = errno;
    return MR_FAIL(err, status_of(number), "cannot rename %s to %s: %s", from, to,
                   strerror_r(number, reason, sizeof reason));
}

static mr_status real_remove(mr_fs *fs, const char *path, mr_error *err)
{
    (void)fs;
    return remove(path) == 0 ? MR_OK
                             : fail(err, errno == EEXIST ? ENOTEMPTY : errno, "remove", path);
}

static mr_status real_make_folder(mr_fs *fs, const char *path, mr_error *err)
{
    (void)fs;
    return mkdir(path, 0777) == 0 ? MR_OK : fail(err, errno, "make folder", path);
}

static mr_status real_info(mr_fs *fs, const char *path, mr_file_info *out, mr_error *err)
{
    (void)fs;
    struct stat info;
    if (stat(path, &info) != 0)
        return fail(err, errno, "look at", path);
    *out = (mr_file_info){(uint64_t)info.st_size, S_ISDIR(info.st_mode)};
    return MR_OK;
}

static mr_status real_sync_dir(mr_fs *fs, const char *path, mr_error *err)
{
    (void)fs;
    int fd = open_retrying(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail(err, errno, "open folder", path);
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    int number = errno;
    (void)close(fd);
    /* EINVAL: this file system has no such call for folders and keeps names by other means. */
    return result == 0 || number == EINVAL ? MR_OK : fail(err, number, "sync folder", path);
}

/* ---- lists ---- */

typedef struct name_list {
    char **names;
    size_t count;
    size_t capacity;
} name_list;

static bool list_add(name_list *list, const char *name)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : 16;
        char **names = mr_realloc(list->names, capacity * sizeof *names);
        if (names == NULL)
            return false;
        list->names = names;
        list->capacity = capacity;
    }
    char *copy = mr_strdup(name);
    if (copy == NULL)
        return false;
    list->names[list->count++] = copy;
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static mr_status read_names(DIR *folder, const char *path, name_list *list, mr_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            return errno == 0 ? MR_OK : fail(err, errno, "list", path);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !list_add(list, entry->d_name))
            return MR_OUT_OF_MEMORY(err);
    }
}

static mr_status real_list(mr_fs *fs, const char *path, char ***out_names, size_t *out_count,
                           mr_error *err)
{
    (void)fs;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return fail(err, errno, "list", path);
    name_list list = {0};
    mr_status status = read_names(folder, path, &list, err);
    (void)closedir(folder);
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

static const mr_fs_kind real_kind = {
    .name = "real",
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .sync = real_sync,
    .truncate = real_truncate,
    .reserve = real_reserve,
    .write_out = real_write_out,
    .size = real_size,
    .map = real_map,
    .unmap = real_unmap,
    .lock = real_lock,
    .rename = real_rename,
    .remove = real_remove,
    .make_folder = real_make_folder,
    .list = real_list,
    .info = real_info,
    .sync_dir = real_sync_dir,
};

mr_fs *mr_fs_real(void)
{
    static mr_fs real = {&real_kind};
    return &real;
}
