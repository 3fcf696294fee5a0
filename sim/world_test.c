/* world_test.c -- thousands of worlds, each from one seed. MILLRACE_SEED=n MILLRACE_SIM_WORLDS=1 runs one again. */
#include "sim/world.h"
#include "test/test.h"

#include <inttypes.h>
#include <stdlib.h>

#define WORLDS 2000

static uint64_t world_count(void)
{
    const char *text = getenv("MILLRACE_SIM_WORLDS");
    return text != NULL ? strtoull(text, NULL, 10) : mr_test_rounds(WORLDS);
}

TEST(world, keeps_its_promises_whatever_the_disk_does)
{
    uint64_t first = mr_test_seed(), count = world_count();
    for (uint64_t seed = first; seed < first + count; seed++) {
        mr_error err = {0};
        if (sim_check(seed, &err) != MR_OK)
            fail_msg("world %" PRIu64 ": %s%s%s (MILLRACE_SEED=%" PRIu64 " MILLRACE_SIM_WORLDS=1)",
                     seed, err.place, err.place[0] != '\0' ? ": " : "", err.text, seed);
    }
}
