/* fs_sim.c -- the simulated disk: birth and death, planned trouble, questions.
 *
 * Every call goes: enter; count it and ask for planned trouble (begin_op); act; leave.
 * (1) While down nothing changes and every call says MR_INTERRUPTED.
 * (2) Injected allocation failures are held off between enter and leave: memory given to callers is
 * allocated outside. */
#include "os/fs_sim_internal.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

typedef struct op_row {
    const char *name;
    const char *verb;
    bool changes;
} op_row;

static const op_row ops[MR_FS_OP_COUNT] = {
#define X(name, verb, changes) [MR_FS_##name] = {#name, verb, changes},
    MR_FS_OP_MAP(X)
#undef X
};

mr_fs_sim *sim_enter(mr_fs *fs)
{
    mr_fs_sim *sim = (mr_fs_sim *)(void *)fs;
    mr_mutex_lock(&sim->mutex);
    mr_memory_fail_hold(1);
    return sim;
}

void sim_leave(mr_fs_sim *sim)
{
    mr_memory_fail_hold(-1);
    mr_mutex_unlock(&sim->mutex);
}

bool sim_coin(mr_fs_sim *sim)
{
    return mr_random_next(&sim->random) >> 63 != 0;
}

/* ---- trouble ---- */

mr_status sim_fail_down(mr_error *err)
{
    return MR_FAIL(err, MR_INTERRUPTED, "the simulated machine is down");
}

static bool has_chance(mr_fs_sim *sim, double chance)
{
    return chance > 0 && mr_random_unit(&sim->random) < chance;
}

static double chance_of(const mr_fs_sim *sim, mr_fs_op op)
{
    if (op == MR_FS_READ)
        return sim->options.read_failure;
    if (op == MR_FS_SYNC || op == MR_FS_SYNC_DIR)
        return sim->options.sync_failure;
    return op == MR_FS_WRITE ? sim->options.write_failure : 0;
}

static mr_status strike_plans(mr_fs_sim *sim, mr_fs_op op)
{
    mr_status status = MR_OK;
    for (size_t i = 0; i < sim->plan_count; i++) {
        sim_plan *plan = &sim->plans[i];
        if (plan->op != op && plan->op != MR_FS_ANY)
            continue;
        if (plan->left > 0) {
            plan->left--;
            continue;
        }
        status = plan->status;
        if (!plan->persistent)
            sim->plans[i--] = sim->plans[--sim->plan_count];
    }
    return status;
}

/* MR_OK: go on. What else comes from here was planned, or a matter of chance. */
mr_status sim_begin_op(mr_fs_sim *sim, mr_fs_op op, const char *path, mr_error *err)
{
    if (sim->down)
        return sim_fail_down(err);
    sim->counts[op]++;
    mr_status status = strike_plans(sim, op);
    if (status == MR_OK && has_chance(sim, chance_of(sim, op)))
        status = MR_IO;
    if (status == MR_OK)
        return MR_OK;
    sim->failure_count++;
    return MR_FAIL(err, status, "cannot %s %s: simulated failure", ops[op].verb, path);
}

/* Counts a change; true when the planned crash strikes in it. */
bool sim_dies_now(mr_fs_sim *sim)
{
    sim->change_count++;
    if (sim->changes_left == UINT64_MAX || sim->changes_left-- > 0)
        return false;
    sim->changes_left = UINT64_MAX;
    sim->down = true;
    return true;
}

const char *sim_verb(mr_fs_op op)
{
    return ops[op].verb;
}

/* Files that were open hold no space any more: only live names do. */
static void recount_users(mr_fs_sim *sim)
{
    sim->used_bytes = 0;
    for (sim_node *node = sim->first; node != NULL; node = node->next)
        node->users = 0;
    for (sim_node *node = sim->first; node != NULL; node = node->next)
        for (size_t i = 0; i < node->live.count; i++)
            sim_node_use(sim, node->live.entries[i].node);
}

void mr_fs_sim_crash(mr_fs_sim *sim)
{
    (void)sim_enter(&sim->fs);
    sim_names_crash(sim);
    for (sim_node *node = sim->first; node != NULL; node = node->next) {
        sim_data_crash(&node->data, &sim->random, &sim->options);
        node->locked_by = NULL;
    }
    recount_users(sim);
    sim->generation++;
    sim->down = false;
    sim->changes_left = UINT64_MAX;
    sim_leave(sim);
}

void mr_fs_sim_crash_after(mr_fs_sim *sim, uint64_t n)
{
    (void)sim_enter(&sim->fs);
    sim->changes_left = n;
    sim_leave(sim);
}

void mr_fs_sim_fail_after(mr_fs_sim *sim, mr_fs_op op, uint64_t n, mr_status status,
                          bool persistent)
{
    (void)sim_enter(&sim->fs);
    MR_ASSERT(sim->plan_count < SIM_PLANS_MAX && status != MR_OK);
    sim->plans[sim->plan_count++] = (sim_plan){op, n, status, persistent};
    sim_leave(sim);
}

void mr_fs_sim_heal(mr_fs_sim *sim)
{
    (void)sim_enter(&sim->fs);
    sim->plan_count = 0;
    sim->changes_left = UINT64_MAX;
    sim->options.capacity_bytes = 0;
    sim->options.read_failure = sim->options.write_failure = sim->options.sync_failure = 0;
    sim_leave(sim);
}

void mr_fs_sim_set_capacity(mr_fs_sim *sim, uint64_t capacity_bytes)
{
    (void)sim_enter(&sim->fs);
    sim->options.capacity_bytes = capacity_bytes;
    sim_leave(sim);
}

static mr_status flip_bit(mr_fs_sim *sim, const char *path, uint64_t offset, unsigned bit,
                          mr_error *err)
{
    char name[256];
    sim_node *folder, *node;
    MR_TRY(sim_resolve(sim, path, &folder, name, &node, err));
    if (node == NULL || node->is_folder)
        return MR_FAIL(err, MR_NOT_FOUND, "%s: no such file", path);
    if (offset >= node->data.size || bit > 7)
        return MR_FAIL(err, MR_INVALID, "%s: byte %llu, bit %u of %llu bytes", path,
                       (unsigned long long)offset, bit, (unsigned long long)node->data.size);
    sim_data_flip(&node->data, offset, bit);
    return MR_OK;
}

mr_status mr_fs_sim_flip(mr_fs_sim *sim, const char *path, uint64_t offset, unsigned bit,
                         mr_error *err)
{
    (void)sim_enter(&sim->fs);
    mr_status status = flip_bit(sim, path, offset, bit, err);
    sim_leave(sim);
    return status;
}

/* ---- birth and death ---- */

static const mr_fs_kind sim_kind = {
    .name = "simulated",
    .open = sim_file_open,
    .close = sim_file_close,
    .read = sim_file_read,
    .write = sim_file_write,
    .sync = sim_file_sync,
    .truncate = sim_file_truncate,
    .reserve = sim_file_reserve,
    .size = sim_file_size,
    .map = sim_file_map,
    .unmap = sim_file_unmap,
    .lock = sim_file_lock,
    .rename = sim_dir_rename,
    .remove = sim_dir_remove,
    .make_folder = sim_dir_make_folder,
    .list = sim_dir_list,
    .info = sim_dir_info,
    .sync_dir = sim_dir_sync_dir,
};

mr_status mr_fs_sim_create(const mr_fs_sim_options *options, mr_fs_sim **out, mr_error *err)
{
    mr_fs_sim *sim = *out = MR_NEW(mr_fs_sim);
    if (sim == NULL)
        return MR_OUT_OF_MEMORY(err);
    sim->fs.kind = &sim_kind;
    sim->options = *options;
    sim->changes_left = UINT64_MAX;
    mr_mutex_init(&sim->mutex);
    mr_random_seeded_init(&sim->random, options->seed);
    (void)sim_enter(&sim->fs);
    sim->root = sim_node_create(sim, true);
    sim_leave(sim);
    return MR_OK;
}

void mr_fs_sim_destroy(mr_fs_sim *sim)
{
    if (sim == NULL)
        return;
    sim_names_drop_changes(sim);
    sim_node_release(sim, sim->root);
    MR_ASSERT(sim->first == NULL); /* a file is still open */
    mr_mutex_deinit(&sim->mutex);
    mr_free(sim->changes);
    mr_free(sim);
}

mr_fs *mr_fs_sim_fs(mr_fs_sim *sim)
{
    return &sim->fs;
}

/* ---- questions ---- */

bool mr_fs_sim_is_down(mr_fs_sim *sim)
{
    (void)sim_enter(&sim->fs);
    bool down = sim->down;
    sim_leave(sim);
    return down;
}

uint64_t mr_fs_sim_count(mr_fs_sim *sim, mr_fs_op op)
{
    uint64_t count = 0;
    (void)sim_enter(&sim->fs);
    for (int i = 0; i < MR_FS_OP_COUNT; i++)
        count += op == MR_FS_ANY || (int)op == i ? sim->counts[i] : 0;
    sim_leave(sim);
    return count;
}

uint64_t mr_fs_sim_changes(mr_fs_sim *sim)
{
    (void)sim_enter(&sim->fs);
    uint64_t count = sim->change_count;
    sim_leave(sim);
    return count;
}

uint64_t mr_fs_sim_failures(mr_fs_sim *sim)
{
    (void)sim_enter(&sim->fs);
    uint64_t count = sim->failure_count;
    sim_leave(sim);
    return count;
}

static void dump_names(const sim_node *folder, const char *path, mr_bytes *out)
{
    for (size_t i = 0; i < folder->live.count; i++) {
        const sim_entry *entry = &folder->live.entries[i];
        const sim_data *data = &entry->node->data;
        char child[MR_PATH_MAX];
        int size = snprintf(child, sizeof child, "%s/%s", path, entry->name);
        if (size < 0 || (size_t)size >= sizeof child)
            continue;
        if (entry->node->is_folder) {
            mr_bytes_printf(out, "%s/ (%u unsynced)\n", child, entry->node->pending);
            dump_names(entry->node, child, out);
        } else {
            mr_bytes_printf(out, "%s %llu bytes, %llu on disk, %zu sectors unsynced\n", child,
                            (unsigned long long)data->size, (unsigned long long)data->disk_size,
                            data->dirty_count);
        }
    }
}

static void dump_changes(const mr_fs_sim *sim, mr_bytes *out)
{
    for (size_t i = 0; i < sim->pending_count; i++)
        for (size_t k = 0; k < sim->changes[i].put_count; k++) {
            const sim_put *one = &sim->changes[i].puts[k];
            mr_bytes_printf(out, "unsynced name %zu: %s in folder %llu %s\n", i, one->name,
                            (unsigned long long)one->folder->id,
                            one->node != NULL ? "set" : "removed");
        }
}

void mr_fs_sim_dump(mr_fs_sim *sim, mr_bytes *out)
{
    (void)sim_enter(&sim->fs);
    mr_bytes_printf(out, "%s after %llu changes, %llu bytes used\n", sim->down ? "down" : "up",
                    (unsigned long long)sim->change_count, (unsigned long long)sim->used_bytes);
    dump_names(sim->root, "", out);
    dump_changes(sim, out);
    sim_leave(sim);
}
