/* facts_fuzz.c -- any bytes as model.yaml: refused with a place, or JSON that reads. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "model/facts.h"
#include "model/json_scan.h"
#include "model/profile.h"
#include "os/fs_sim.h"

static void check_json(const mr_yaml *facts)
{
    mr_bytes json = {0};
    mr_json_scan scan;
    mr_error err = {0};
    mr_facts_json(facts, &json);
    mr_json_open(&scan, json.data, json.size, &err);
    MR_ASSERT(mr_json_skip(&scan) && mr_json_end(&scan));
    mr_json_close(&scan);
    mr_bytes_deinit(&json);
}

FUZZ(facts)
{
    mr_fs_sim *disk;
    mr_arena arena = {0};
    mr_error err = {0};
    const mr_yaml *facts = NULL;
    mr_profile_feature feature;
    if (mr_fs_sim_create(&(mr_fs_sim_options){.seed = 1}, &disk, &err) != MR_OK)
        return 0;
    mr_fs *fs = mr_fs_sim_fs(disk);
    if (mr_fs_make_folder(fs, "/a", &err) == MR_OK &&
        mr_fs_write_file(fs, "/a/model.yaml", data, size, &err) == MR_OK) {
        mr_status status = mr_facts_read(fs, "/a", &arena, &facts, &err);
        MR_ASSERT(status == MR_OK || err.text[0] != '\0');
        if (status == MR_OK)
            check_json(facts);
    }
    (void)mr_profile_find(data, size, "features", NULL, &feature,
                          &err); /* the other text of an artifact */
    mr_arena_deinit(&arena);
    mr_fs_sim_destroy(disk);
    return 0;
}
