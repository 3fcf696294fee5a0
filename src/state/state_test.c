/* state_test.c -- whole lives: random records, upkeep, spilling, rounds cut short, crashes, rot, new workers. After
 * each the state is what it would be without any of that. */
#include "os/fs_sim.h"
#include "state/state_kit.h"

#include "test/test.h"

typedef struct life {
    mr_random_seeded random;
    mr_fs_sim *sim;
    mr_budget budget;
    kit_options options;
    state_kit kit;
} life;

static void start(life *l, uint64_t seed)
{
    mr_error err = {0};
    *l = (life){.random = mr_test_random(seed)};
    mr_fs_sim_options disk = {.seed = seed};
    assert_ok(mr_fs_sim_create(&disk, &l->sim, &err), &err);
    l->options = (kit_options){.seed = mr_test_seed() + seed,
                               .keys = (uint32_t)(5 + mr_random_below(&l->random, 200)),
                               .ttl_us = (int64_t)(mr_random_below(&l->random, 2) *
                                                   (2000 + mr_random_below(&l->random, 40000))),
                               .fs = mr_fs_sim_fs(l->sim),
                               .folder = "/state"};
    if (mr_random_below(&l->random, 2) == 0) {
        mr_budget_init(&l->budget, 1000000 + mr_random_below(&l->random, 500000), NULL);
        l->options.budget = &l->budget;
        l->options.spill_folder = "/spill";
        l->options.spill_kind = &mr_spill_memory;
    }
    kit_open(&l->kit, &l->options);
}

static void take(life *l)
{
    kit_run(&l->kit, mr_random_below(&l->random, 60), 1 + mr_random_below(&l->random, 40));
}

/* A round, often left in the middle of it. */
static void try_round(life *l)
{
    mr_error err = {0};
    state_kit *kit = &l->kit;
    uint64_t flow = kit->position;
    bool done = false;
    if (!mr_state_checkpoint_running(kit->state))
        assert_ok(mr_state_checkpoint_begin(kit->state, 77, flow, &flow, sizeof flow, &err), &err);
    for (int i = 0; i < 12 && !done; i++) {
        assert_ok(mr_state_checkpoint_step(kit->state, kit->position,
                                           1 + (uint32_t)mr_random_below(&l->random, 30), &done,
                                           &err),
                  &err);
        if (mr_random_below(&l->random, 2) == 0)
            take(l);
    }
    if (done)
        assert_ok(mr_state_checkpoint_finish(kit->state, kit->position, NULL, &err), &err);
}

static void come_back(life *l, bool crash)
{
    uint64_t taken = l->kit.position, needed = mr_state_position_needed(l->kit.state);
    kit_close(&l->kit);
    if (crash)
        mr_fs_sim_crash(l->sim);
    l->options.workers = 1 + (int)mr_random_below(&l->random, 3);
    mr_state_recovery recovery;
    kit_recover(&l->kit, &l->options, &recovery);
    assert_int_equal(recovery.damaged, 0);
    assert_true(l->kit.position >= needed);
    kit_run(&l->kit, taken - l->kit.position, 1 + mr_random_below(&l->random, 50));
}

TEST(state, is_the_same_after_any_life)
{
    for (uint64_t seed = 1; seed <= mr_test_rounds(25); seed++) {
        life l;
        start(&l, seed);
        for (int i = 0; i < 40; i++) {
            switch (mr_random_below(&l.random, 8)) {
            case 0:
                come_back(&l, mr_random_below(&l.random, 2) == 0);
                break;
            case 1:
            case 2:
                try_round(&l);
                break;
            default:
                take(&l);
            }
        }
        kit_check(&l.kit);
        uint64_t records = l.kit.position, digest = kit_digest(&l.kit);
        kit_close(&l.kit);
        mr_fs_sim_destroy(l.sim);
        if (digest != kit_digest_of(&l.options, records))
            fail_msg("seed %llu: the digest differs", (unsigned long long)seed);
        if (l.options.budget != NULL)
            assert_int_equal(mr_budget_used(l.options.budget), 0);
    }
}
