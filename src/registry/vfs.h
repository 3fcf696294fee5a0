/* vfs.h -- SQLite's files through os/fs.h, so that the simulated disk carries the catalogue too.
 *
 * What SQLite asks of a file system and what stands for it:
 *   locks ........... any lock is the file NAME-lock, held: one process at a time, readers too; transactions are short
 *   sync ............ mr_file_sync, and the folder after a file was made
 *   delete .......... durable when it returns, so a journal that is gone stays gone
 *   randomness ...... numbers the journal is told apart by: from the clock, so that a simulation repeats itself
 * There is no shared memory (no WAL) and there are no temporary files (temp_store = MEMORY). */
#ifndef MR_REGISTRY_VFS_H
#define MR_REGISTRY_VFS_H

#include "os/clock.h"
#include "os/fs.h"

#include <sqlite3.h>

typedef struct mr_vfs {
    sqlite3_vfs base;
    char name[32];
    mr_fs *fs;
    mr_clock *clock;
    uint64_t drawn;  /* numbers given so far */
    mr_error failed; /* of the last call that failed: SQLite itself keeps only a code */
} mr_vfs;

/* Registers with SQLite under a name of its own, vfs->name. The struct stays where it is until deinit. */
mr_status mr_vfs_init(mr_vfs *vfs, mr_fs *fs, mr_clock *clock, mr_error *err);
/* All databases opened through it are closed. A zeroed struct is allowed. */
void mr_vfs_deinit(mr_vfs *vfs);

#endif
