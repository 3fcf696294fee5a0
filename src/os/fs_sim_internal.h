/* fs_sim_internal.h -- what the five files of the simulated disk share.
 *
 *   fs_sim.c ........ plans, faults, crash, counters
 *   fs_sim_file.c ... calls on open files
 *   fs_sim_dir.c .... calls on names
 *   fs_sim_data.c ... one file's bytes: what is seen, what is on disk, what a crash makes of it
 *   fs_sim_names.c .. folders: names as seen, names on disk, and the changes between them
 *
 * Everything here runs under the one mutex of the disk. Memory is asserted, not reported: the
 * simulator is not what is being tested. */
#ifndef MR_OS_FS_SIM_INTERNAL_H
#define MR_OS_FS_SIM_INTERNAL_H

#include "os/clock.h"
#include "os/fs_sim.h"
#include "os/thread.h"

#define SIM_SECTOR_BYTES 512
#define SIM_PLANS_MAX    16

typedef struct sim_node sim_node;

/* A sector that differs from the disk, or may. */
typedef struct sim_sector {
    uint64_t index;
    bool doomed; /* a failed sync forgot it: it will not reach the disk unless written again */
    uint8_t disk[SIM_SECTOR_BYTES]; /* what the disk has */
} sim_sector;

typedef struct sim_data {
    mr_buffer *content; /* as seen; shared with mappings; bytes behind `size` are undefined */
    uint64_t size;      /* as seen */
    uint64_t disk_size;
    uint64_t reserved;
    sim_sector *dirty;
    size_t dirty_count;
    size_t dirty_capacity;
    uint32_t *slots; /* sector index -> 1 + place in dirty, 0: clean */
    size_t slot_count;
} sim_data;

typedef struct sim_entry {
    char *name;
    sim_node *node;
} sim_entry;

/* Sorted by name. */
typedef struct sim_names {
    sim_entry *entries;
    size_t count;
    size_t capacity;
} sim_names;

/* A file or folder. It lives while a name, a change or an open file holds it. */
struct sim_node {
    uint64_t id; /* 1, 2, 3, ... in order of birth */
    uint32_t owners;
    uint32_t users; /* live names and open files: while there are any, the space is taken */
    bool is_folder;
    bool marked; /* scratch of the sync of folders */
    const mr_file *locked_by;
    sim_data data;
    sim_names live;
    sim_names durable;
    uint32_t pending; /* changes of names in this folder that are not synced */
    sim_node *next;   /* all nodes, oldest first */
    sim_node *previous;
};

/* folder/name becomes node; NULL: nothing. */
typedef struct sim_put {
    sim_node *folder;
    const char *name; /* owned by the change */
    sim_node *node;
} sim_put;

typedef struct sim_change {
    sim_put puts[2]; /* a rename has two */
    size_t put_count;
} sim_change;

typedef struct sim_plan {
    mr_fs_op op;
    uint64_t left; /* operations before it strikes */
    mr_status status;
    bool persistent;
} sim_plan;

struct mr_fs_sim {
    mr_fs fs;
    mr_mutex mutex;
    mr_fs_sim_options options;
    mr_random_seeded random;
    sim_plan plans[SIM_PLANS_MAX];
    size_t plan_count;
    uint64_t changes_left; /* before the planned crash; UINT64_MAX: none is planned */
    bool down;
    uint32_t generation; /* crashes so far */
    uint64_t counts[MR_FS_OP_COUNT];
    uint64_t change_count;
    uint64_t failure_count;
    uint64_t used_bytes;
    uint64_t last_id;
    sim_node *root;
    sim_node *first;
    sim_node *last;
    sim_change *changes; /* not synced, in order */
    size_t pending_count;
    size_t pending_capacity;
};

/* ---- fs_sim.c ---- */

mr_fs_sim *
sim_enter(mr_fs *fs); /* locks, and holds injected allocation failures off, until leave */
void sim_leave(mr_fs_sim *sim);
mr_status sim_fail_down(mr_error *err);
/* Counts an operation. MR_OK: go on; what else comes from here was planned, or a matter of chance.
 */
mr_status sim_begin_op(mr_fs_sim *sim, mr_fs_op op, const char *path, mr_error *err);
/* Counts a change; true when the planned crash strikes in it. */
bool sim_dies_now(mr_fs_sim *sim);
const char *sim_verb(mr_fs_op op);
/* Makes a file or folder under a free name. */
mr_status sim_make_node(mr_fs_sim *sim, sim_node *folder, const char *name, bool is_folder,
                        mr_error *err);
/* Grows *array so that one more fits. */
void sim_grow(void **array, size_t *capacity, size_t count, size_t bytes_each);
/* One of two ways, evenly. */
bool sim_coin(mr_fs_sim *sim);

/* ---- fs_sim_data.c ---- */

uint64_t sim_data_charge(const sim_data *data); /* bytes of the disk it takes */
/* Writes, seen at once and not synced; with `size` 0 nothing. */
void sim_data_write(sim_data *data, mr_random_seeded *random, uint64_t offset, const uint8_t *from,
                    size_t size);
void sim_data_truncate(sim_data *data, mr_random_seeded *random, uint64_t size);
void sim_data_sync(sim_data *data);
void sim_data_sync_failed(sim_data *data, mr_random_seeded *random);
void sim_data_crash(sim_data *data, mr_random_seeded *random, const mr_fs_sim_options *options);
void sim_data_flip(sim_data *data, uint64_t offset, unsigned bit);
void sim_data_deinit(sim_data *data);

/* ---- fs_sim_names.c ---- */

sim_node *sim_node_create(mr_fs_sim *sim, bool is_folder); /* one owner */
void sim_node_release(mr_fs_sim *sim, sim_node *node);
void sim_node_use(mr_fs_sim *sim, sim_node *node); /* counts its space in, as unuse counts it out */
void sim_node_unuse(mr_fs_sim *sim, sim_node *node);
/* The folder a path lies in and its last part. The root's own path gives *out_folder NULL,
 * *out_node root. *out_node is NULL when the name is not there. */
mr_status sim_resolve(mr_fs_sim *sim, const char *path, sim_node **out_folder, char *out_name,
                      sim_node **out_node, mr_error *err);
/* Makes one change, seen at once and not synced. Copies the names. */
void sim_names_change(mr_fs_sim *sim, const sim_put *puts, size_t count);
void sim_names_sync(mr_fs_sim *sim, sim_node *folder);
void sim_names_crash(mr_fs_sim *sim);
void sim_names_drop_changes(mr_fs_sim *sim);

/* ---- fs_sim_file.c ---- */

mr_status sim_file_open(mr_fs *fs, const char *path, mr_open_mode mode, mr_file **out,
                        mr_error *err);
void sim_file_close(mr_file *file);
mr_status sim_file_read(mr_file *file, uint64_t offset, void *to, size_t size, size_t *out_size,
                        mr_error *err);
mr_status sim_file_write(mr_file *file, uint64_t offset, const void *from, size_t size,
                         mr_error *err);
mr_status sim_file_sync(mr_file *file, mr_error *err);
mr_status sim_file_truncate(mr_file *file, uint64_t size, mr_error *err);
mr_status sim_file_reserve(mr_file *file, uint64_t size, mr_error *err);
mr_status sim_file_size(mr_file *file, uint64_t *out_size, mr_error *err);
mr_status sim_file_map(mr_file *file, uint64_t offset, size_t size, mr_mapping *out, mr_error *err);
void sim_file_unmap(mr_fs *fs, mr_mapping *mapping);
mr_status sim_file_lock(mr_file *file, mr_error *err);

/* ---- fs_sim_dir.c ---- */

mr_status sim_dir_make_folder(mr_fs *fs, const char *path, mr_error *err);
mr_status sim_dir_remove(mr_fs *fs, const char *path, mr_error *err);
mr_status sim_dir_rename(mr_fs *fs, const char *from, const char *to, mr_error *err);
mr_status sim_dir_list(mr_fs *fs, const char *path, char ***out_names, size_t *out_count,
                       mr_error *err);
mr_status sim_dir_info(mr_fs *fs, const char *path, mr_file_info *out, mr_error *err);
mr_status sim_dir_sync_dir(mr_fs *fs, const char *path, mr_error *err);
/* Makes a file or folder under a free name. */
mr_status sim_make_node(mr_fs_sim *sim, sim_node *folder, const char *name, bool is_folder,
                        mr_error *err);

#endif
