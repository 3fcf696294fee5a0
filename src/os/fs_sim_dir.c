/* fs_sim_dir.c -- the calls of the simulated disk that name things: make, rename, remove, list,
 * look, sync.
 *
 * (1) A change in which the machine dies happened whole or not at all. */
#include "os/fs_sim_internal.h"

#include "base/assert.h"

/* Makes a file or folder under a free name. */
mr_status sim_make_node(mr_fs_sim *sim, sim_node *folder, const char *name, bool is_folder,
                        mr_error *err)
{
    bool dies = sim_dies_now(sim);
    if (!dies || sim_coin(sim)) {
        sim_node *node = sim_node_create(sim, is_folder);
        const sim_put one = {folder, name, node};
        sim_names_change(sim, &one, 1);
        sim_node_release(sim, node);
    }
    return dies ? sim_fail_down(err) : MR_OK;
}

static mr_status make_folder_now(mr_fs_sim *sim, const char *path, mr_error *err)
{
    char name[256];
    sim_node *folder, *node;
    MR_TRY(sim_begin_op(sim, MR_FS_MAKE_FOLDER, path, err));
    MR_TRY(sim_resolve(sim, path, &folder, name, &node, err));
    if (node != NULL)
        return MR_FAIL(err, MR_EXISTS, "cannot make folder %s: the name is taken", path);
    return sim_make_node(sim, folder, name, true, err);
}

mr_status sim_dir_make_folder(mr_fs *fs, const char *path, mr_error *err)
{
    mr_fs_sim *sim = sim_enter(fs);
    mr_status status = make_folder_now(sim, path, err);
    sim_leave(sim);
    return status;
}

static mr_status change_now(mr_fs_sim *sim, const sim_put *puts, size_t count, mr_error *err)
{
    bool dies = sim_dies_now(sim);
    if (!dies || sim_coin(sim))
        sim_names_change(sim, puts, count);
    return dies ? sim_fail_down(err) : MR_OK;
}

static mr_status remove_now(mr_fs_sim *sim, const char *path, mr_error *err)
{
    char name[256];
    sim_node *folder, *node;
    MR_TRY(sim_begin_op(sim, MR_FS_REMOVE, path, err));
    MR_TRY(sim_resolve(sim, path, &folder, name, &node, err));
    if (node == NULL)
        return MR_FAIL(err, MR_NOT_FOUND, "cannot remove %s: no such file", path);
    if (folder == NULL)
        return MR_FAIL(err, MR_INVALID, "the root cannot be removed");
    if (node->live.count > 0)
        return MR_FAIL(err, MR_CONFLICT, "cannot remove %s: it holds %zu names", path,
                       node->live.count);
    const sim_put one = {folder, name, NULL};
    return change_now(sim, &one, 1, err);
}

mr_status sim_dir_remove(mr_fs *fs, const char *path, mr_error *err)
{
    mr_fs_sim *sim = sim_enter(fs);
    mr_status status = remove_now(sim, path, err);
    sim_leave(sim);
    return status;
}

/* Folders stay where they are, so that no loss of changes can put one inside itself. */
static mr_status check_rename(const sim_node *node, const sim_node *target, bool same_folder,
                              const char *from, const char *to, mr_error *err)
{
    if (node == NULL)
        return MR_FAIL(err, MR_NOT_FOUND, "cannot rename %s: no such file", from);
    if (node->is_folder && !same_folder)
        return MR_FAIL(err, MR_UNSUPPORTED, "%s: a folder is renamed only where it is", from);
    if (target != NULL && target->is_folder != node->is_folder)
        return MR_FAIL(err, MR_INVALID, "cannot rename %s to %s: one is a folder", from, to);
    if (target != NULL && target->live.count > 0)
        return MR_FAIL(err, MR_CONFLICT, "cannot rename %s to %s: the folder is not empty", from,
                       to);
    return MR_OK;
}

static mr_status rename_now(mr_fs_sim *sim, const char *from, const char *to, mr_error *err)
{
    char from_name[256] = "", to_name[256] = "";
    sim_node *from_folder, *to_folder, *node, *target;
    MR_TRY(sim_begin_op(sim, MR_FS_RENAME, from, err));
    MR_TRY(sim_resolve(sim, from, &from_folder, from_name, &node, err));
    MR_TRY(sim_resolve(sim, to, &to_folder, to_name, &target, err));
    if (from_folder == NULL || to_folder == NULL)
        return MR_FAIL(err, MR_INVALID, "the root cannot be renamed");
    if (node != NULL && node == target)
        return MR_OK;
    MR_TRY(check_rename(node, target, from_folder == to_folder, from, to, err));
    const sim_put two[2] = {{from_folder, from_name, NULL}, {to_folder, to_name, node}};
    return change_now(sim, two, 2, err);
}

mr_status sim_dir_rename(mr_fs *fs, const char *from, const char *to, mr_error *err)
{
    mr_fs_sim *sim = sim_enter(fs);
    mr_status status = rename_now(sim, from, to, err);
    sim_leave(sim);
    return status;
}

static mr_status find_folder(mr_fs_sim *sim, mr_fs_op op, const char *path, sim_node **out,
                             mr_error *err)
{
    char name[256];
    sim_node *folder;
    MR_TRY(sim_resolve(sim, path, &folder, name, out, err));
    if (*out == NULL || !(*out)->is_folder)
        return MR_FAIL(err, MR_NOT_FOUND, "cannot %s %s: no such folder", sim_verb(op), path);
    return MR_OK;
}

static mr_status list_now(mr_fs_sim *sim, const char *path, char ***out_names, size_t *out_count,
                          mr_error *err)
{
    sim_node *folder = NULL;
    MR_TRY(sim_begin_op(sim, MR_FS_LIST, path, err));
    MR_TRY(find_folder(sim, MR_FS_LIST, path, &folder, err));
    size_t count = folder->live.count;
    char **names = count > 0 ? mr_alloc_zero(count, sizeof *names) : NULL;
    for (size_t i = 0; i < count; i++) {
        names[i] = mr_strdup(folder->live.entries[i].name);
        MR_ASSERT(names[i] != NULL);
    }
    *out_names = names;
    *out_count = count;
    return MR_OK;
}

mr_status sim_dir_list(mr_fs *fs, const char *path, char ***out_names, size_t *out_count,
                       mr_error *err)
{
    mr_fs_sim *sim = sim_enter(fs);
    mr_status status = list_now(sim, path, out_names, out_count, err);
    sim_leave(sim);
    return status;
}

static mr_status info_now(mr_fs_sim *sim, const char *path, mr_file_info *out, mr_error *err)
{
    char name[256];
    sim_node *folder, *node;
    MR_TRY(sim_begin_op(sim, MR_FS_INFO, path, err));
    MR_TRY(sim_resolve(sim, path, &folder, name, &node, err));
    if (node == NULL)
        return MR_FAIL(err, MR_NOT_FOUND, "cannot look at %s: no such file", path);
    *out = (mr_file_info){node->data.size, node->is_folder};
    return MR_OK;
}

mr_status sim_dir_info(mr_fs *fs, const char *path, mr_file_info *out, mr_error *err)
{
    mr_fs_sim *sim = sim_enter(fs);
    mr_status status = info_now(sim, path, out, err);
    sim_leave(sim);
    return status;
}

static mr_status sync_dir_now(mr_fs_sim *sim, const char *path, mr_error *err)
{
    sim_node *folder = NULL;
    MR_TRY(sim_begin_op(sim, MR_FS_SYNC_DIR, path, err));
    MR_TRY(find_folder(sim, MR_FS_SYNC_DIR, path, &folder, err));
    bool dies = sim_dies_now(sim);
    if (!dies || sim_coin(sim))
        sim_names_sync(sim, folder);
    return dies ? sim_fail_down(err) : MR_OK;
}

mr_status sim_dir_sync_dir(mr_fs *fs, const char *path, mr_error *err)
{
    mr_fs_sim *sim = sim_enter(fs);
    mr_status status = sync_dir_now(sim, path, err);
    sim_leave(sim);
    return status;
}
