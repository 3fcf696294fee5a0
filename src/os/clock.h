/* clock.h -- time and randomness as vtables, so that a test can own both.
 *
 * No result of a pipeline may depend on either: they serve timeouts, pacing, latency figures and
 * ids. */
#ifndef MR_OS_CLOCK_H
#define MR_OS_CLOCK_H

#include "base/status.h"

#include <stddef.h>

typedef struct mr_clock mr_clock;
struct mr_clock {
    int64_t (*wall_us)(mr_clock *clock);           /* since 1970-01-01T00:00:00Z; may jump */
    int64_t (*mono_ns)(mr_clock *clock);           /* never goes back; origin unspecified */
    void (*sleep_ns)(mr_clock *clock, int64_t ns); /* a signal may end it early */
};

mr_clock *mr_clock_real(void); /* static, never freed */

/* Time that moves only when told to (or slept through). */
typedef struct mr_clock_sim {
    mr_clock clock;
    int64_t now_ns;
} mr_clock_sim;

void mr_clock_sim_init(mr_clock_sim *sim, int64_t start_wall_us);
void mr_clock_sim_advance(mr_clock_sim *sim, int64_t ns);

typedef struct mr_random mr_random;
struct mr_random {
    void (*fill)(mr_random *random, void *to, size_t size);
};

mr_random *mr_random_real(void); /* getrandom(2); static */

/* xoshiro256** (Blackman, Vigna 2018) seeded through SplitMix64: the same seed, the same numbers.
 */
typedef struct mr_random_seeded {
    mr_random random;
    uint64_t state[4];
} mr_random_seeded;

void mr_random_seeded_init(mr_random_seeded *random, uint64_t seed);
uint64_t mr_random_next(mr_random_seeded *random);
/* Uniform in [0, below) without bias; below >= 1. */
uint64_t mr_random_below(mr_random_seeded *random, uint64_t below);
double mr_random_unit(mr_random_seeded *random); /* [0, 1), 53 bits */

#endif
