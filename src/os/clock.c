/* clock.c -- time and randomness: the machine's, and those a test owns.
 *
 * Thread: the real ones any; the simulated clock and a seeded generator have one owner. */
#include "os/clock.h"

#include "base/assert.h"
#include "base/hash.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

/* ---- the machine's clock ---- */

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    MR_ASSERT(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t real_wall_us(mr_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_REALTIME) / 1000;
}

static int64_t real_mono_ns(mr_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_MONOTONIC);
}

static void real_sleep_ns(mr_clock *clock, int64_t ns)
{
    (void)clock;
    if (ns <= 0)
        return;
    struct timespec wanted = {.tv_sec = (time_t)(ns / 1000000000),
                              .tv_nsec = (long)(ns % 1000000000)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, NULL);
}

mr_clock *mr_clock_real(void)
{
    static mr_clock real = {real_wall_us, real_mono_ns, real_sleep_ns};
    return &real;
}

/* ---- a clock that stands still ---- */

static int64_t sim_wall_us(mr_clock *clock)
{
    return ((mr_clock_sim *)(void *)clock)->now_ns / 1000;
}

static int64_t sim_mono_ns(mr_clock *clock)
{
    return ((mr_clock_sim *)(void *)clock)->now_ns;
}

static void sim_sleep_ns(mr_clock *clock, int64_t ns)
{
    if (ns > 0)
        mr_clock_sim_advance((mr_clock_sim *)(void *)clock, ns);
}

void mr_clock_sim_init(mr_clock_sim *sim, int64_t start_wall_us)
{
    MR_ASSERT(start_wall_us > -INT64_MAX / 1000 && start_wall_us < INT64_MAX / 1000);
    *sim = (mr_clock_sim){{sim_wall_us, sim_mono_ns, sim_sleep_ns}, start_wall_us * 1000};
}

void mr_clock_sim_advance(mr_clock_sim *sim, int64_t ns)
{
    MR_ASSERT(ns >= 0 && sim->now_ns <= INT64_MAX - ns);
    sim->now_ns += ns;
}

/* ---- randomness ---- */

static void real_fill(mr_random *random, void *to, size_t size)
{
    (void)random;
    for (size_t done = 0; done < size;) {
        ssize_t got = getrandom((uint8_t *)to + done, size - done, 0);
        /* EINTR is the only failure a kernel that has the call can give. */
        done += got > 0 ? (size_t)got : 0;
    }
}

mr_random *mr_random_real(void)
{
    static mr_random real = {real_fill};
    return &real;
}

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

uint64_t mr_random_next(mr_random_seeded *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

static void seeded_fill(mr_random *random, void *to, size_t size)
{
    uint8_t *next = to;
    while (size > 0) {
        uint64_t word = mr_random_next((mr_random_seeded *)(void *)random);
        size_t step = MR_MIN(size, sizeof word);
        for (size_t i = 0; i < step; i++)
            next[i] = (uint8_t)(word >> (8 * i));
        next += step;
        size -= step;
    }
}

void mr_random_seeded_init(mr_random_seeded *random, uint64_t seed)
{
    random->random.fill = seeded_fill;
    /* SplitMix64: mr_hash_u64 of seed, seed + gamma, seed + 2 gamma, ... */
    for (uint64_t i = 0; i < 4; i++)
        random->state[i] = mr_hash_u64(seed + i * 0x9e3779b97f4a7c15u);
}

/* The high half of a 128-bit product, rejecting the few draws that would favour low results (Lemire
 * 2019). */
uint64_t mr_random_below(mr_random_seeded *random, uint64_t below)
{
    MR_ASSERT(below >= 1);
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)mr_random_next(random) * below;
    if ((uint64_t)product < below) {
        uint64_t least = -below % below;
        while ((uint64_t)product < least)
            product = (wide)mr_random_next(random) * below;
    }
    return (uint64_t)(product >> 64);
}

double mr_random_unit(mr_random_seeded *random)
{
    return (double)(mr_random_next(random) >> 11) * 0x1.0p-53;
}
