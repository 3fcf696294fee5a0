/* bundle_fuzz.c -- any bytes as a tar of an artifact, packed or not: refused, or unpacked into the one folder. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "os/fs_sim.h"
#include "registry/bundle.h"

FUZZ(bundle)
{
    mr_fs_sim *disk;
    mr_error err = {0};
    char name[MR_BUNDLE_NAME_MAX], hash[MR_SHA256_TEXT_BYTES], **names = NULL;
    size_t count = 0;
    if (mr_fs_sim_create(&(mr_fs_sim_options){.seed = 1, .capacity_bytes = 64u << 20}, &disk,
                         &err) != MR_OK)
        return 0;
    mr_fs *fs = mr_fs_sim_fs(disk);
    if (mr_fs_write_file(fs, "/in", data, size, &err) == MR_OK) {
        mr_status status = mr_bundle_read(fs, "/in", "/out", name, hash, &err);
        MR_ASSERT(status == MR_OK || err.text[0] != '\0');
        MR_ASSERT(mr_fs_exists(fs, "/out") == (status == MR_OK));
        MR_ASSERT(mr_fs_list(fs, "/", &names, &count, NULL) == MR_OK && count <= 2);
        mr_fs_free_names(names, count);
    }
    mr_fs_sim_destroy(disk);
    return 0;
}
