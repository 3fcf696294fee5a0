/* fs.h -- files as a vtable: a real one, and a simulated one that loses what was not synced.
 *
 * Everything above os/ reaches the disk through this room. The contract both implementations keep:
 * - Written bytes are seen by later reads at once; they survive a crash only after mr_file_sync.
 * - A new, renamed or removed name survives a crash only after mr_fs_sync_dir of its folder.
 * - mr_file_sync that fails with MR_IO poisons the file: what was written since the last good sync
 * may or may not be there. The owner must stop and recover; trying again proves nothing (fsyncgate,
 * 2018).
 * - Reads and writes are whole or fail; short ones are retried inside. Past the end is *out_size <
 * size. Paths are UTF-8, '/'-separated, and may be relative to the process. Thread: all calls are
 * safe from any thread; one file's offsets are the callers' affair. */
#ifndef MR_OS_FS_H
#define MR_OS_FS_H

#include "base/memory.h"
#include "base/status.h"

#define MR_PATH_MAX 4096

typedef struct mr_fs mr_fs;
typedef struct mr_file mr_file;

typedef enum mr_open_mode {
    MR_OPEN_READ,   /* must exist */
    MR_OPEN_WRITE,  /* read and write, must exist */
    MR_OPEN_CREATE, /* read and write, created when absent */
    MR_OPEN_NEW,    /* read and write, must not exist */
} mr_open_mode;

typedef struct mr_file_info {
    uint64_t size;
    bool is_folder;
} mr_file_info;

/* A mapped region lent by the file system until unmapped; read only. */
typedef struct mr_mapping {
    const uint8_t *bytes;
    size_t size;
    void *handle; /* private */
} mr_mapping;

/* What an implementation provides; the calls below carry the contract. Here, make_folder makes one
 * level and says MR_EXISTS, remove says MR_CONFLICT for a folder that is not empty, map is never
 * asked for nothing. */
typedef struct mr_fs_kind {
    const char *name;
    mr_status (*open)(mr_fs *fs, const char *path, mr_open_mode mode, mr_file **out, mr_error *err);
    void (*close)(mr_file *file);
    mr_status (*read)(mr_file *file, uint64_t offset, void *to, size_t size, size_t *out_size,
                      mr_error *err);
    mr_status (*write)(mr_file *file, uint64_t offset, const void *from, size_t size,
                       mr_error *err);
    mr_status (*sync)(mr_file *file, mr_error *err);
    mr_status (*truncate)(mr_file *file, uint64_t size, mr_error *err);
    mr_status (*reserve)(mr_file *file, uint64_t size, mr_error *err);
    void (*write_out)(mr_file *file, uint64_t offset, uint64_t size); /* NULL: nothing to do */
    mr_status (*size)(mr_file *file, uint64_t *out_size, mr_error *err);
    mr_status (*map)(mr_file *file, uint64_t offset, size_t size, mr_mapping *out, mr_error *err);
    void (*unmap)(mr_fs *fs, mr_mapping *mapping);
    mr_status (*lock)(mr_file *file, mr_error *err);
    mr_status (*rename)(mr_fs *fs, const char *from, const char *to, mr_error *err);
    mr_status (*remove)(mr_fs *fs, const char *path, mr_error *err);
    mr_status (*make_folder)(mr_fs *fs, const char *path, mr_error *err);
    mr_status (*list)(mr_fs *fs, const char *path, char ***out_names, size_t *out_count,
                      mr_error *err);
    mr_status (*info)(mr_fs *fs, const char *path, mr_file_info *out, mr_error *err);
    mr_status (*sync_dir)(mr_fs *fs, const char *path, mr_error *err);
} mr_fs_kind;

struct mr_fs {
    const mr_fs_kind *kind;
};

struct mr_file {
    const mr_fs_kind *kind;
    mr_fs *fs;
    const char *path; /* as it was opened; lent until closed */
    _Atomic bool sync_failed;
};

/* The machine's own files; a static object, never freed. */
mr_fs *mr_fs_real(void);

/* MR_NOT_FOUND, MR_EXISTS, MR_FULL (ENOSPC, EDQUOT) or MR_IO, with path and reason in the text. */
mr_status mr_fs_open(mr_fs *fs, const char *path, mr_open_mode mode, mr_file **out, mr_error *err);
void mr_file_close(mr_file *file); /* NULL is allowed; never fails: sync first if it matters */
mr_status mr_file_read(mr_file *file, uint64_t offset, void *to, size_t size, size_t *out_size,
                       mr_error *err);
/* As read, but fewer bytes than asked for is MR_CORRUPT. */
mr_status mr_file_read_exact(mr_file *file, uint64_t offset, void *to, size_t size, mr_error *err);
mr_status mr_file_write(mr_file *file, uint64_t offset, const void *from, size_t size,
                        mr_error *err);
/* fdatasync: data, and the size that is needed to read it. */
mr_status mr_file_sync(mr_file *file, mr_error *err);
mr_status mr_file_truncate(mr_file *file, uint64_t size, mr_error *err);
/* Sets disk space aside without changing the size; may do nothing. MR_FULL when there is none. */
mr_status mr_file_reserve(mr_file *file, uint64_t size, mr_error *err);
/* Starts to bring written bytes to the disk without waiting for it, so that a later sync finds less to do. Promises
 * nothing. */
void mr_file_write_out(mr_file *file, uint64_t offset, uint64_t size);
mr_status mr_file_size(mr_file *file, uint64_t *out_size, mr_error *err);
/* Maps bytes that were written; they must not be truncated away while mapped. */
mr_status mr_file_map(mr_file *file, uint64_t offset, size_t size, mr_mapping *out, mr_error *err);
void mr_fs_unmap(mr_fs *fs, mr_mapping *mapping); /* a zeroed mapping is allowed */
/* One holder across processes, until closed; MR_BUSY when another has it. */
mr_status mr_file_lock(mr_file *file, mr_error *err);

mr_status mr_fs_rename(mr_fs *fs, const char *from, const char *to,
                       mr_error *err); /* replaces `to` */
/* A file or an empty folder; MR_CONFLICT when it is not empty. */
mr_status mr_fs_remove(mr_fs *fs, const char *path, mr_error *err);
/* Parents too; may exist. What is new is durable: the folders around it are synced. */
mr_status mr_fs_make_folder(mr_fs *fs, const char *path, mr_error *err);
/* Names in a folder, sorted by bytes, without "." and ".."; free with mr_fs_free_names. */
mr_status mr_fs_list(mr_fs *fs, const char *path, char ***out_names, size_t *out_count,
                     mr_error *err);
void mr_fs_free_names(char **names, size_t count);
mr_status mr_fs_info(mr_fs *fs, const char *path, mr_file_info *out, mr_error *err);
mr_status mr_fs_sync_dir(mr_fs *fs, const char *path, mr_error *err);

/* Composed of the above. */
bool mr_fs_exists(mr_fs *fs, const char *path);
/* Whole file into *out (cleared first). MR_FULL when larger than max_bytes (0: no limit). */
mr_status mr_fs_read_file(mr_fs *fs, const char *path, uint64_t max_bytes, mr_bytes *out,
                          mr_error *err);
/* Atomic and durable: writes `path.tmp`, syncs, renames, syncs the folder. */
mr_status mr_fs_write_file(mr_fs *fs, const char *path, const void *data, size_t size,
                           mr_error *err);
/* A folder and all below it; MR_OK when there is none. */
mr_status mr_fs_remove_tree(mr_fs *fs, const char *path, mr_error *err);

#endif
