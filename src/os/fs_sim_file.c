/* fs_sim_file.c -- open files of the simulated disk: reading, writing, syncing, mapping.
 *
 * (1) A file opened before a crash never acts again: its generation is old.
 * (2) A failed or interrupted call may have had part of its effect. */
#include "os/fs_sim_internal.h"

#include "base/assert.h"

#include <string.h>

#define SIM_FILE_BYTES_MAX (16ull << 30)

typedef struct sim_file {
    mr_file base;
    sim_node *node;
    uint32_t generation;
    bool writable;
    char path[];
} sim_file;

/* ---- open and close ---- */

static mr_status check_open(const sim_node *node, const char *path, mr_open_mode mode,
                            mr_error *err)
{
    if (node == NULL && (mode == MR_OPEN_READ || mode == MR_OPEN_WRITE))
        return MR_FAIL(err, MR_NOT_FOUND, "cannot open %s: no such file", path);
    if (node != NULL && mode == MR_OPEN_NEW)
        return MR_FAIL(err, MR_EXISTS, "cannot open %s: it exists", path);
    if (node != NULL && node->is_folder)
        return MR_FAIL(err, MR_INVALID, "cannot open %s: it is a folder", path);
    return MR_OK;
}

static mr_status find_or_make(mr_fs_sim *sim, const char *path, mr_open_mode mode, sim_node **out,
                              mr_error *err)
{
    char name[256];
    sim_node *folder;
    MR_TRY(sim_resolve(sim, path, &folder, name, out, err));
    mr_fs_op op = *out == NULL && mode >= MR_OPEN_CREATE ? MR_FS_CREATE : MR_FS_OPEN;
    MR_TRY(sim_begin_op(sim, op, path, err));
    MR_TRY(check_open(*out, path, mode, err));
    if (*out != NULL)
        return MR_OK;
    MR_TRY(sim_make_node(sim, folder, name, false, err));
    return sim_resolve(sim, path, &folder, name, out, err);
}

mr_status sim_file_open(mr_fs *fs, const char *path, mr_open_mode mode, mr_file **out,
                        mr_error *err)
{
    size_t path_bytes = strlen(path) + 1;
    sim_file *file = mr_alloc_zero(1, sizeof *file + path_bytes);
    if (file == NULL)
        return MR_OUT_OF_MEMORY(err);
    memcpy(file->path, path, path_bytes);
    file->base.kind = fs->kind;
    file->base.fs = fs;
    file->base.path = file->path;
    file->writable = mode != MR_OPEN_READ;
    mr_fs_sim *sim = sim_enter(fs);
    mr_status status = find_or_make(sim, path, mode, &file->node, err);
    if (status == MR_OK) {
        file->generation = sim->generation;
        file->node->owners++;
        sim_node_use(sim, file->node);
        *out = &file->base;
    }
    sim_leave(sim);
    if (status != MR_OK)
        mr_free(file);
    return status;
}

void sim_file_close(mr_file *file)
{
    sim_file *self = (sim_file *)(void *)file;
    mr_fs_sim *sim = sim_enter(file->fs);
    if (self->generation == sim->generation)
        sim_node_unuse(sim, self->node);
    if (self->node->locked_by == file)
        self->node->locked_by = NULL;
    sim_node_release(sim, self->node);
    sim_leave(sim);
    mr_free(file);
}

/* ---- bytes ---- */

static mr_status begin_file_op(mr_fs_sim *sim, sim_file *file, mr_fs_op op, mr_error *err)
{
    MR_TRY(sim_begin_op(sim, op, file->path, err));
    if (file->generation != sim->generation)
        return MR_FAIL(err, MR_IO, "cannot %s %s: it was opened before the crash", sim_verb(op),
                       file->path);
    if (op != MR_FS_READ && op != MR_FS_INFO && op != MR_FS_SYNC && !file->writable)
        return MR_FAIL(err, MR_INVALID, "cannot %s %s: it was opened for reading", sim_verb(op),
                       file->path);
    return MR_OK;
}

mr_status sim_file_read(mr_file *file, uint64_t offset, void *to, size_t size, size_t *out_size,
                        mr_error *err)
{
    sim_file *self = (sim_file *)(void *)file;
    mr_fs_sim *sim = sim_enter(file->fs);
    mr_status status = begin_file_op(sim, self, MR_FS_READ, err);
    const sim_data *data = &self->node->data;
    if (status == MR_OK && offset < data->size) {
        *out_size = (size_t)MR_MIN(size, data->size - offset);
        memcpy(to, data->content->bytes + offset, *out_size);
    }
    sim_leave(sim);
    return status;
}

/* Asks for space before a file grows to `size`, as seen or as reserved. */
static mr_status charge(mr_fs_sim *sim, sim_file *file, uint64_t size, mr_error *err)
{
    uint64_t now = sim_data_charge(&file->node->data);
    uint64_t more = size > now ? size - now : 0;
    uint64_t capacity = sim->options.capacity_bytes;
    if (size > SIM_FILE_BYTES_MAX ||
        (capacity != 0 && more > 0 &&
         (sim->used_bytes > capacity || more > capacity - sim->used_bytes)))
        return MR_FAIL(err, MR_FULL, "cannot write %s: no space left for %llu bytes more",
                       file->path, (unsigned long long)more);
    sim->used_bytes += more;
    return MR_OK;
}

/* A write that fails, or in which the machine dies, may have happened up to some byte. */
static void write_in_part(mr_fs_sim *sim, sim_file *file, uint64_t offset, const void *from,
                          size_t size)
{
    size_t part = sim_coin(sim) ? (size_t)mr_random_below(&sim->random, (uint64_t)size + 1) : 0;
    if (part > 0 && charge(sim, file, offset + part, NULL) == MR_OK)
        sim_data_write(&file->node->data, &sim->random, offset, from, part);
}

static mr_status write_now(mr_fs_sim *sim, sim_file *file, uint64_t offset, const void *from,
                           size_t size, mr_error *err)
{
    mr_status status = begin_file_op(sim, file, MR_FS_WRITE, err);
    bool stale = file->generation != sim->generation || !file->writable || sim->down;
    if (stale)
        return status;
    bool dies = sim_dies_now(sim);
    if (status == MR_OK && !dies && size > 0)
        status = offset <= SIM_FILE_BYTES_MAX
                     ? charge(sim, file, offset + size, err)
                     : MR_FAIL(err, MR_FULL, "cannot write %s: offset %llu is too large",
                               file->path, (unsigned long long)offset);
    if (status == MR_OK && !dies)
        sim_data_write(&file->node->data, &sim->random, offset, from, size);
    else if (offset <= SIM_FILE_BYTES_MAX)
        write_in_part(sim, file, offset, from, size);
    return dies ? sim_fail_down(err) : status;
}

mr_status sim_file_write(mr_file *file, uint64_t offset, const void *from, size_t size,
                         mr_error *err)
{
    mr_fs_sim *sim = sim_enter(file->fs);
    mr_status status = write_now(sim, (sim_file *)(void *)file, offset, from, size, err);
    sim_leave(sim);
    return status;
}

static mr_status sync_now(mr_fs_sim *sim, sim_file *file, mr_error *err)
{
    mr_status status = begin_file_op(sim, file, MR_FS_SYNC, err);
    if (file->generation != sim->generation || sim->down)
        return status;
    bool dies = sim_dies_now(sim);
    if (status == MR_OK && (!dies || sim_coin(sim)))
        sim_data_sync(&file->node->data);
    else if (!dies)
        sim_data_sync_failed(&file->node->data, &sim->random);
    return dies ? sim_fail_down(err) : status;
}

mr_status sim_file_sync(mr_file *file, mr_error *err)
{
    mr_fs_sim *sim = sim_enter(file->fs);
    mr_status status = sync_now(sim, (sim_file *)(void *)file, err);
    sim_leave(sim);
    return status;
}

static mr_status truncate_now(mr_fs_sim *sim, sim_file *file, uint64_t size, mr_error *err)
{
    sim_data *data = &file->node->data;
    MR_TRY(begin_file_op(sim, file, MR_FS_TRUNCATE, err));
    bool dies = sim_dies_now(sim);
    if (dies && sim_coin(sim))
        return sim_fail_down(err);
    MR_TRY(charge(sim, file, size, err));
    uint64_t before = MR_MAX(sim_data_charge(data), size);
    sim_data_truncate(data, &sim->random, size);
    sim->used_bytes -= before - sim_data_charge(data);
    return dies ? sim_fail_down(err) : MR_OK;
}

mr_status sim_file_truncate(mr_file *file, uint64_t size, mr_error *err)
{
    mr_fs_sim *sim = sim_enter(file->fs);
    mr_status status = truncate_now(sim, (sim_file *)(void *)file, size, err);
    sim_leave(sim);
    return status;
}

mr_status sim_file_reserve(mr_file *file, uint64_t size, mr_error *err)
{
    sim_file *self = (sim_file *)(void *)file;
    mr_fs_sim *sim = sim_enter(file->fs);
    mr_status status = begin_file_op(sim, self, MR_FS_RESERVE, err);
    if (status == MR_OK)
        status = charge(sim, self, size, err);
    if (status == MR_OK)
        self->node->data.reserved = MR_MAX(self->node->data.reserved, size);
    sim_leave(sim);
    return status;
}

mr_status sim_file_size(mr_file *file, uint64_t *out_size, mr_error *err)
{
    sim_file *self = (sim_file *)(void *)file;
    mr_fs_sim *sim = sim_enter(file->fs);
    mr_status status = begin_file_op(sim, self, MR_FS_INFO, err);
    if (status == MR_OK)
        *out_size = self->node->data.size;
    sim_leave(sim);
    return status;
}

/* The mapping shares the content: growth and crashes put a new buffer in its place. */
mr_status sim_file_map(mr_file *file, uint64_t offset, size_t size, mr_mapping *out, mr_error *err)
{
    sim_file *self = (sim_file *)(void *)file;
    mr_fs_sim *sim = sim_enter(file->fs);
    mr_status status = begin_file_op(sim, self, MR_FS_READ, err);
    const sim_data *data = &self->node->data;
    if (status == MR_OK && (size > data->size || offset > data->size - size))
        status = MR_FAIL(err, MR_INVALID, "%s: it shrank while it was mapped", file->path);
    if (status == MR_OK)
        *out = (mr_mapping){data->content->bytes + offset, size, mr_buffer_retain(data->content)};
    sim_leave(sim);
    return status;
}

void sim_file_unmap(mr_fs *fs, mr_mapping *mapping)
{
    (void)fs;
    mr_buffer_release(mapping->handle);
}

mr_status sim_file_lock(mr_file *file, mr_error *err)
{
    sim_file *self = (sim_file *)(void *)file;
    mr_fs_sim *sim = sim_enter(file->fs);
    mr_status status = begin_file_op(sim, self, MR_FS_INFO, err);
    if (status == MR_OK && self->node->locked_by != NULL && self->node->locked_by != file)
        status = MR_FAIL(err, MR_BUSY, "%s is locked by another process", file->path);
    if (status == MR_OK)
        self->node->locked_by = file;
    sim_leave(sim);
    return status;
}
