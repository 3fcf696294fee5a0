/* vfs.c -- SQLite's files through os/fs.h.
 *
 * (1) `lock` is open and held exactly while level > SQLITE_LOCK_NONE.
 * Thread: that of the connection; one at a time. */
#include "registry/vfs.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#define LOCK_SUFFIX  "-lock"
#define SECTOR_BYTES 4096

typedef struct vfs_file {
    sqlite3_file base;
    mr_vfs *vfs;
    mr_file *file;
    mr_file *lock;
    int level;
    bool name_unsynced; /* made by us, and the folder does not know it durably yet */
    char path[MR_PATH_MAX];
} vfs_file;

static vfs_file *file_of(sqlite3_file *file)
{
    return (vfs_file *)(void *)file;
}

static mr_vfs *vfs_of(sqlite3_vfs *base)
{
    return (mr_vfs *)(void *)base;
}

/* Keeps the text, and gives SQLite the code that goes with the status. */
static int fail(mr_vfs *vfs, mr_status status, const mr_error *err, int code)
{
    vfs->failed = *err;
    vfs->failed.status = status;
    return status == MR_FULL        ? SQLITE_FULL
           : status == MR_BUSY      ? SQLITE_BUSY
           : status == MR_NO_MEMORY ? SQLITE_NOMEM
                                    : code;
}

static void folder_of(const char *path, char *out)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        (void)snprintf(out, MR_PATH_MAX, ".");
    else
        (void)snprintf(out, MR_PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* ---- a file ---- */

static int file_close(sqlite3_file *base)
{
    vfs_file *self = file_of(base);
    mr_file_close(self->file);
    mr_file_close(self->lock);
    self->file = self->lock = NULL;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *to, int size, sqlite3_int64 offset)
{
    vfs_file *self = file_of(base);
    mr_error err = {0};
    size_t got = 0;
    mr_status status = mr_file_read(self->file, (uint64_t)offset, to, (size_t)size, &got, &err);
    if (status != MR_OK)
        return fail(self->vfs, status, &err, SQLITE_IOERR_READ);
    memset((uint8_t *)to + got, 0, (size_t)size - got);
    return got == (size_t)size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *from, int size, sqlite3_int64 offset)
{
    vfs_file *self = file_of(base);
    mr_error err = {0};
    mr_status status = mr_file_write(self->file, (uint64_t)offset, from, (size_t)size, &err);
    return status == MR_OK ? SQLITE_OK : fail(self->vfs, status, &err, SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    vfs_file *self = file_of(base);
    mr_error err = {0};
    mr_status status = mr_file_truncate(self->file, (uint64_t)size, &err);
    return status == MR_OK ? SQLITE_OK : fail(self->vfs, status, &err, SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *base, int flags)
{
    (void)flags;
    vfs_file *self = file_of(base);
    mr_error err = {0};
    char folder[MR_PATH_MAX];
    mr_status status = mr_file_sync(self->file, &err);
    if (status == MR_OK && self->name_unsynced) {
        folder_of(self->path, folder);
        status = mr_fs_sync_dir(self->vfs->fs, folder, &err);
        self->name_unsynced = status != MR_OK;
    }
    return status == MR_OK ? SQLITE_OK : fail(self->vfs, status, &err, SQLITE_IOERR_FSYNC);
}

static int file_size(sqlite3_file *base, sqlite3_int64 *out)
{
    vfs_file *self = file_of(base);
    mr_error err = {0};
    uint64_t size = 0;
    mr_status status = mr_file_size(self->file, &size, &err);
    *out = (sqlite3_int64)size;
    return status == MR_OK ? SQLITE_OK : fail(self->vfs, status, &err, SQLITE_IOERR_FSTAT);
}

static int file_lock(sqlite3_file *base, int level)
{
    vfs_file *self = file_of(base);
    if (self->level == SQLITE_LOCK_NONE) {
        char path[MR_PATH_MAX + sizeof LOCK_SUFFIX];
        mr_error err = {0};
        (void)snprintf(path, sizeof path, "%s" LOCK_SUFFIX, self->path);
        mr_status status = mr_fs_open(self->vfs->fs, path, MR_OPEN_CREATE, &self->lock, &err);
        if (status == MR_OK)
            status = mr_file_lock(self->lock, &err);
        if (status != MR_OK) {
            mr_file_close(self->lock);
            self->lock = NULL;
            return fail(self->vfs, status, &err, SQLITE_IOERR_LOCK);
        }
    }
    self->level = MR_MAX(self->level, level);
    return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level)
{
    vfs_file *self = file_of(base);
    if (level == SQLITE_LOCK_NONE) {
        mr_file_close(self->lock);
        self->lock = NULL;
    }
    self->level = level;
    return SQLITE_OK;
}

/* Asked when a journal is found, by one who holds a lock, and so is the only one. */
static int file_check_reserved(sqlite3_file *base, int *out)
{
    *out = file_of(base)->level >= SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int what, void *argument)
{
    (void)base;
    (void)what;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base)
{
    (void)base;
    return SECTOR_BYTES;
}

static int file_characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_characteristics,
};

/* ---- names ---- */

static int vfs_open(sqlite3_vfs *base, const char *path, sqlite3_file *file, int flags,
                    int *out_flags)
{
    vfs_file *self = file_of(file);
    mr_vfs *vfs = vfs_of(base);
    mr_error err = {0};
    *self = (vfs_file){.vfs = vfs};
    if (path == NULL) /* a temporary file, which temp_store = MEMORY leaves no need for */
        return SQLITE_CANTOPEN;
    (void)snprintf(self->path, sizeof self->path, "%s", path);
    bool create = (flags & SQLITE_OPEN_CREATE) != 0, write = (flags & SQLITE_OPEN_READWRITE) != 0;
    mr_status status =
        mr_fs_open(vfs->fs, path, write ? MR_OPEN_WRITE : MR_OPEN_READ, &self->file, &err);
    if (status == MR_NOT_FOUND && create) {
        self->name_unsynced = true;
        status = mr_fs_open(vfs->fs, path, MR_OPEN_CREATE, &self->file, &err);
    }
    if (status != MR_OK)
        return fail(vfs, status, &err, SQLITE_CANTOPEN);
    self->base.pMethods = &file_methods;
    if (out_flags != NULL)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *base, const char *path, int sync_folder)
{
    (void)sync_folder;
    mr_vfs *vfs = vfs_of(base);
    mr_error err = {0};
    char folder[MR_PATH_MAX];
    mr_status status = mr_fs_remove(vfs->fs, path, &err);
    if (status == MR_NOT_FOUND)
        return SQLITE_IOERR_DELETE_NOENT;
    folder_of(path, folder);
    if (status == MR_OK)
        status = mr_fs_sync_dir(vfs->fs, folder, &err);
    return status == MR_OK ? SQLITE_OK : fail(vfs, status, &err, SQLITE_IOERR_DELETE);
}

static int vfs_access(sqlite3_vfs *base, const char *path, int flags, int *out)
{
    (void)flags;
    mr_vfs *vfs = vfs_of(base);
    mr_error err = {0};
    mr_file_info info = {0};
    mr_status status = mr_fs_info(vfs->fs, path, &info, &err);
    *out = status == MR_OK && !(flags == SQLITE_ACCESS_EXISTS && info.size == 0);
    return status == MR_OK || status == MR_NOT_FOUND ? SQLITE_OK
                                                     : fail(vfs, status, &err, SQLITE_IOERR_ACCESS);
}

static int vfs_full_path(sqlite3_vfs *base, const char *path, int room, char *out)
{
    (void)base;
    return snprintf(out, (size_t)room, "%s", path) < room ? SQLITE_OK : SQLITE_CANTOPEN;
}

/* ---- the machine ---- */

static int vfs_randomness(sqlite3_vfs *base, int size, char *out)
{
    mr_vfs *vfs = vfs_of(base);
    uint64_t seed = (uint64_t)vfs->clock->wall_us(vfs->clock);
    for (int at = 0; at < size; at += 8) {
        uint64_t number = mr_hash_u64(seed + mr_hash_u64(vfs->drawn++));
        memcpy(out + at, &number, (size_t)MR_MIN(8, size - at));
    }
    return size;
}

static int vfs_sleep(sqlite3_vfs *base, int microseconds)
{
    mr_vfs *vfs = vfs_of(base);
    vfs->clock->sleep_ns(vfs->clock, (int64_t)microseconds * 1000);
    return microseconds;
}

/* Milliseconds of the Julian day, as SQLite counts. */
static int vfs_time64(sqlite3_vfs *base, sqlite3_int64 *out)
{
    mr_vfs *vfs = vfs_of(base);
    *out = INT64_C(210866760000000) + vfs->clock->wall_us(vfs->clock) / 1000;
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *base, double *out)
{
    sqlite3_int64 ms;
    int code = vfs_time64(base, &ms);
    *out = (double)ms / 86400000.0;
    return code;
}

static int vfs_last_error(sqlite3_vfs *base, int room, char *out)
{
    if (room > 0)
        (void)snprintf(out, (size_t)room, "%s", vfs_of(base)->failed.text);
    return 0;
}

/* ---- birth and death ---- */

mr_status mr_vfs_init(mr_vfs *vfs, mr_fs *fs, mr_clock *clock, mr_error *err)
{
    *vfs = (mr_vfs){.fs = fs, .clock = clock};
    if (sqlite3_initialize() != SQLITE_OK)
        return MR_FAIL(err, MR_NO_MEMORY, "SQLite does not start");
    (void)snprintf(vfs->name, sizeof vfs->name, "millrace-%p", (void *)vfs);
    vfs->base = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(vfs_file),
        .mxPathname = MR_PATH_MAX - (int)sizeof LOCK_SUFFIX,
        .zName = vfs->name,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time64,
    };
    if (sqlite3_vfs_register(&vfs->base, 0) != SQLITE_OK)
        return MR_FAIL(err, MR_NO_MEMORY, "SQLite does not take our file layer");
    return MR_OK;
}

void mr_vfs_deinit(mr_vfs *vfs)
{
    if (vfs->base.zName != NULL)
        (void)sqlite3_vfs_unregister(&vfs->base);
    *vfs = (mr_vfs){0};
}
