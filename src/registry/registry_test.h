/* registry_test.h -- a home on a simulated disk, small artifacts, and processes that come and go. */
#ifndef MR_REGISTRY_TEST_H
#define MR_REGISTRY_TEST_H

#include "os/fs_sim.h"
#include "registry/registry.h"

#define REGISTRY_TEST_HOME "/home"

/* One process: its log and its registry. */
typedef struct registry_life {
    mr_fs *fs;
    mr_clock_sim *clock;
    mr_log *log;
    mr_registry *registry;
} registry_life;

/* Close it also after a failure. */
mr_status registry_life_open(registry_life *life, mr_fs *fs, mr_clock_sim *clock, mr_error *err);
void registry_life_close(registry_life *life);

/* Writes an artifact folder with golden rows; each kind (0, 1, 2, ...) has another hash and other scores. */
mr_status registry_test_artifact(mr_fs *fs, const char *folder, uint32_t kind, mr_error *err);
/* All that can be asked, as one text: what two registries are compared by. */
mr_status registry_test_dump(mr_registry *registry, mr_bytes *out, mr_error *err);

#endif
