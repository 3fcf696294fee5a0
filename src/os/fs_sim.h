/* fs_sim.h -- a disk in memory that loses, tears and garbles what was not synced, all from one
 * seed.
 *
 * It keeps the contract of fs.h as badly as a real disk may:
 * - At a crash each 512-byte sector written since its file's last sync is kept, lost, torn,
 * bit-flipped or garbage, each on its own, so that later writes may survive earlier ones. Before
 * that the sector may have been written back at any time, so what is lost falls back to any earlier
 * state. A byte not written since the last sync keeps its value (SQLite's "powersafe overwrite").
 * - Names made, moved or removed since their folder's last sync are kept or lost; a rename is whole
 * or not at all; a change survives only with all earlier changes of the same names.
 * - A sync that fails may have written some sectors and forgotten others for good, though reads
 * show them. The same seed and the same calls give the same disk. Paths are absolute; relative ones
 * start at the root. Thread: all calls from any thread. The memory it takes is not subject to
 * injected allocation failures. */
#ifndef MR_OS_FS_SIM_H
#define MR_OS_FS_SIM_H

#include "os/fs.h"

typedef struct mr_fs_sim mr_fs_sim;

/*  X(NAME, verb, changes what is on disk) */
#define MR_FS_OP_MAP(X)                                                                            \
    X(OPEN, "open", false)                                                                         \
    X(CREATE, "create", true) /* an open that makes a file */                                      \
    X(READ, "read", false)    /* and map */                                                        \
    X(WRITE, "write", true)                                                                        \
    X(SYNC, "sync", true)                                                                          \
    X(TRUNCATE, "truncate", true)                                                                  \
    X(RESERVE, "reserve", false)                                                                   \
    X(RENAME, "rename", true)                                                                      \
    X(REMOVE, "remove", true)                                                                      \
    X(MAKE_FOLDER, "make folder", true)                                                            \
    X(LIST, "list", false)                                                                         \
    X(INFO, "look at", false) /* and size */                                                       \
    X(SYNC_DIR, "sync folder", true)

typedef enum mr_fs_op {
#define X(name, verb, changes) MR_FS_##name,
    MR_FS_OP_MAP(X)
#undef X
        MR_FS_OP_COUNT,
    MR_FS_ANY = MR_FS_OP_COUNT
} mr_fs_op;

/* A zeroed struct is a fair disk: no limit, no faults, usual fates. */
typedef struct mr_fs_sim_options {
    uint64_t seed;
    uint64_t capacity_bytes; /* of all files; 0: no limit. Beyond it writes say MR_FULL */
    /* Fates of an unsynced sector at a crash, by weight; all zero: 50, 35, 10, 3, 2. */
    uint32_t keep_weight;
    uint32_t lose_weight;
    uint32_t tear_weight;
    uint32_t flip_weight;
    uint32_t garble_weight;
    /* Chances that any one operation fails with MR_IO, 0 to 1. */
    double read_failure;
    double write_failure;
    double sync_failure; /* of files and folders */
} mr_fs_sim_options;

mr_status mr_fs_sim_create(const mr_fs_sim_options *options, mr_fs_sim **out, mr_error *err);
/* All files must be closed before. NULL is allowed. */
void mr_fs_sim_destroy(mr_fs_sim *sim);
mr_fs *mr_fs_sim_fs(mr_fs_sim *sim); /* lent until destroyed */

/* ---- trouble ---- */

/* The machine dies and starts again. Files that were open fail with MR_IO from now on; close them.
 */
void mr_fs_sim_crash(mr_fs_sim *sim);
/* The machine dies in the (n+1)-th change of the disk from now on: that change happens in part or
 * not at all, it and every later call say MR_INTERRUPTED until mr_fs_sim_crash. */
void mr_fs_sim_crash_after(mr_fs_sim *sim, uint64_t n);
/* The (n+1)-th operation of this kind from now on fails with `status` (MR_IO, MR_FULL); with
 * `persistent` all later ones fail too. Up to 16 plans at a time. */
void mr_fs_sim_fail_after(mr_fs_sim *sim, mr_fs_op op, uint64_t n, mr_status status,
                          bool persistent);
/* Drops all plans and failure chances, and removes the limit of capacity: the disk is fair from now
 * on. */
void mr_fs_sim_heal(mr_fs_sim *sim);
void mr_fs_sim_set_capacity(mr_fs_sim *sim, uint64_t capacity_bytes);
/* Flips one bit of a file at rest, as if it had rotted: byte `offset`, bit 0 to 7. */
mr_status mr_fs_sim_flip(mr_fs_sim *sim, const char *path, uint64_t offset, unsigned bit,
                         mr_error *err);

/* ---- questions ---- */

bool mr_fs_sim_is_down(mr_fs_sim *sim); /* a planned crash has struck */
uint64_t mr_fs_sim_count(mr_fs_sim *sim,
                         mr_fs_op op);       /* operations asked for so far; MR_FS_ANY: all */
uint64_t mr_fs_sim_changes(mr_fs_sim *sim);  /* those that change the disk */
uint64_t mr_fs_sim_failures(mr_fs_sim *sim); /* those that failed by plan or chance */
/* The tree with sizes, unsynced sectors and names, one line each, for debugging. */
void mr_fs_sim_dump(mr_fs_sim *sim, mr_bytes *out);

#endif
