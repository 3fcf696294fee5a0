/* world.h -- the whole program in simulated time on a simulated disk, from one seed.
 *
 *   world ... a disk, a clock, a source of chances; they outlive the process
 *   life .... one process: a log, a producer, a pipeline; it ends by stopping, by a fault, or by a crash
 *
 * The producer sends records prepared from the seed and remembers what was acknowledged. What a world promises,
 * and checks after every life:
 *   (1) what was acknowledged is there, once, in order;
 *   (2) the decisions that can be seen are the first n decisions of a run without any trouble, byte for byte;
 * and at the end, on a healed disk:
 *   (3) all decisions are there;
 *   (4) with several sources, a replay of the journal into an empty sink gives the same decisions. */
#ifndef MR_SIM_WORLD_H
#define MR_SIM_WORLD_H

#include "base/memory.h"
#include "os/clock.h"
#include "os/fs_sim.h"

typedef struct sim_options {
    uint64_t seed;
    bool trouble; /* crashes and faults; false: the reference run */
    uint32_t batch_rows_max;
    uint32_t records; /* payments; 0: chosen by the seed */
} sim_options;

typedef struct sim_result {
    mr_bytes decisions; /* all decided rows as JSON lines; the caller deinits */
    mr_bytes
        others; /* rows of the other sinks, one after the other: routes, windows, dead letters */
    uint32_t lives;
    uint64_t disk_changes;
} sim_result;

/* Runs one world to its end. On a broken promise: MR_INTERNAL and a text that says which, and the seed. */
mr_status sim_run(const sim_options *options, sim_result *out, mr_error *err);
/* The reference run, then the run with trouble, then the comparison. */
mr_status sim_check(uint64_t seed, mr_error *err);

#endif
