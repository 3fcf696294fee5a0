/* yaml_fuzz.c -- any bytes as a pipeline file: parsed, read and compiled, or refused with a place. */
#include "test/fuzz.h"

#include "base/assert.h"
#include "os/fs_sim.h"
#include "pipeline/pipeline.h"

FUZZ(yaml)
{
    mr_fs_sim *disk;
    mr_plan *plan;
    mr_error err = {0};
    if (mr_fs_sim_create(&(mr_fs_sim_options){.seed = 1}, &disk, &err) != MR_OK)
        return 0;
    mr_status status = mr_plan_compile(mr_fs_sim_fs(disk), NULL, NULL, (const char *)data, size,
                                       "fuzz.yaml", "", &plan, &err);
    MR_ASSERT(status == MR_OK || err.text[0] != '\0');
    mr_plan_release(plan);
    mr_fs_sim_destroy(disk);
    return 0;
}
