/* move.c -- versions out of the registry as one file, and into it. */
#include "registry/registry_internal.h"

#include "model/artifact.h"
#include "os/process.h"
#include "registry/bundle.h"

#include <stdio.h>
#include <string.h>

mr_status mr_registry_export(mr_registry *registry, const mr_registry_ref *ref, const char *path,
                             mr_error *err)
{
    char hash[MR_REGISTRY_HASH_MAX];
    MR_TRY(mr_artifact_hash(registry->fs, ref->folder, hash, NULL, err));
    if (strcmp(hash, ref->hash) != 0)
        return MR_FAIL(err, MR_CORRUPT, "model %s/%llu: the files of artifact %s have the hash %s",
                       ref->name, (unsigned long long)ref->version, ref->folder, hash);
    /* Recorded before it leaves: a copy that nobody knows of must not exist. */
    MR_TRY(mr_registry_note_access(registry, ref, "export", path, err));
    return mr_bundle_write(registry->fs, ref->folder, ref->name, ref->hash, path, err);
}

static mr_status check_hash(mr_registry *registry, const char *path, const char *folder,
                            const char *claimed, mr_error *err)
{
    char hash[MR_REGISTRY_HASH_MAX];
    MR_TRY(mr_artifact_hash(registry->fs, folder, hash, NULL, err));
    if (strcmp(hash, claimed) != 0)
        return MR_FAIL(err, MR_CORRUPT,
                       "%s: it says it is artifact %s, but its files have the hash %s", path,
                       claimed, hash);
    return MR_OK;
}

mr_status mr_registry_import(mr_registry *registry, const char *path, const char *name,
                             const mr_registry_publish_options *options, mr_registry_ref *out,
                             bool *out_is_new, mr_error *err)
{
    char folder[MR_PATH_MAX + 32], claimed[MR_SHA256_TEXT_BYTES], said[MR_BUNDLE_NAME_MAX];
    (void)snprintf(folder, sizeof folder, "%s/import-%d", registry->artifacts, mr_process_id());
    MR_TRY(mr_fs_remove_tree(registry->fs, folder, err));
    MR_TRY(mr_bundle_read(registry->fs, path, folder, said, claimed, err));
    static const mr_registry_publish_options none = {0};
    mr_registry_publish_options with = options != NULL ? *options : none;
    with.source = path;
    mr_status status = check_hash(registry, path, folder, claimed, err);
    if (status == MR_OK)
        status = mr_registry_publish(registry, name != NULL ? name : said, folder, &with, out,
                                     out_is_new, err);
    (void)mr_fs_remove_tree(registry->fs, folder, NULL);
    return status == MR_OK ? mr_registry_note_access(registry, out, "import", path, err) : status;
}
