/* checkpoint_crash_test.c -- the machine dies, the disk fails and rots while checkpoints are written. */
#include "os/fs_sim.h"
#include "state/image.h"
#include "state/state_kit.h"

#include "test/test.h"

#include <stdio.h>
#include <string.h>

static mr_fs_sim *new_disk(uint64_t seed)
{
    mr_fs_sim *sim;
    mr_error err = {0};
    mr_fs_sim_options options = {.seed = seed};
    assert_ok(mr_fs_sim_create(&options, &sim, &err), &err);
    return sim;
}

static void open_on(kit_options *options, mr_fs_sim *sim, mr_budget *budget, uint64_t salt)
{
    *options = (kit_options){.seed = mr_test_seed() + salt,
                             .keys = 60,
                             .ttl_us = salt % 2 != 0 ? 9000 : 0,
                             .fs = mr_fs_sim_fs(sim),
                             .folder = "/state"};
    if (salt % 3 == 0) {
        mr_budget_init(budget, 1100000, NULL);
        options->budget = budget;
        options->spill_folder = "/spill";
        options->spill_kind = &mr_spill_memory;
    }
}

/* Records and rounds until `records` are taken or something fails. */
static mr_status live(state_kit *kit, uint64_t records, uint64_t *out_finished, mr_error *err)
{
    while (kit->position < records) {
        for (int i = 0; i < 40 && kit->position < records; i++)
            MR_TRY(kit_try_step(kit, err));
        MR_TRY(mr_state_maintain(kit->state, err));
        MR_TRY(kit_try_checkpoint(kit, 1, 20, err));
        ++*out_finished;
    }
    return MR_OK;
}

#define LIFE_RECORDS 150

/* Opens after trouble: what is there must be whole, and replay must lead to the undisturbed state. */
static void check_after(const kit_options *options, uint64_t finished, uint64_t floor)
{
    state_kit kit;
    mr_state_recovery recovery;
    kit_recover(&kit, options, &recovery);
    assert_true(recovery.found || finished == 0);
    assert_true(recovery.position_min >= floor || finished == 0);
    assert_int_equal(recovery.damaged, 0); /* what was being written is no checkpoint yet */
    while (kit.position < LIFE_RECORDS * 2)
        kit_run(&kit, 1, 1);
    kit_check(&kit);
    /* And life goes on: a round, and back again. */
    kit_checkpoint(&kit, 0, 5000);
    kit_close(&kit);
    kit_recover(&kit, options, &recovery);
    assert_true(recovery.found);
    assert_int_equal(recovery.damaged, 0);
    kit_check(&kit);
    kit_close(&kit);
}

/* One life that ends in a crash at the n-th change of the disk. False: it ended by itself. */
static bool crash_at(uint64_t n, uint64_t salt)
{
    mr_fs_sim *sim = new_disk(mr_test_seed() + salt * 7919 + n);
    mr_budget budget;
    kit_options options;
    open_on(&options, sim, &budget, salt);
    state_kit kit;
    mr_error err = {0};
    uint64_t finished = 0, needed = 0;
    mr_fs_sim_crash_after(sim, n);
    mr_status status = kit_try_open(&kit, &options, &err);
    if (status == MR_OK) {
        status = live(&kit, LIFE_RECORDS, &finished, &err);
        needed = mr_state_position_needed(kit.state);
        kit_close(&kit);
    }
    bool crashed = status != MR_OK;
    assert_true(!crashed || mr_fs_sim_is_down(sim));
    mr_fs_sim_crash(sim);
    mr_fs_sim_heal(sim);
    check_after(&options, finished, needed);
    mr_fs_sim_destroy(sim);
    return crashed;
}

TEST(checkpoint, survives_a_crash_at_every_change_of_the_disk)
{
    for (uint64_t salt = 0; salt < mr_test_rounds(4); salt++) {
        uint64_t n = 0;
        while (crash_at(n, salt))
            n++;
        assert_true(n > 20);
    }
}

/* The n-th operation of a kind fails. The round is over; after a restart all is right. */
static bool fail_at(mr_fs_op op, uint64_t n, bool go_on)
{
    mr_fs_sim *sim = new_disk(mr_test_seed() + n);
    mr_budget budget;
    kit_options options;
    open_on(&options, sim, &budget, 1);
    state_kit kit;
    mr_error err = {0};
    uint64_t finished = 0;
    kit_open(&kit, &options);
    mr_fs_sim_fail_after(sim, op, n, MR_IO, false);
    mr_status status = live(&kit, LIFE_RECORDS, &finished, &err);
    bool failed = status != MR_OK;
    if (failed) {
        assert_int_equal(status, MR_IO);
        assert_false(mr_state_checkpoint_running(kit.state));
    }
    mr_fs_sim_heal(sim);
    if (failed && go_on) { /* the failure passed: the next rounds need no restart */
        assert_ok(live(&kit, LIFE_RECORDS * 3 / 2, &finished, &err), &err);
        kit_check(&kit);
    }
    kit_close(&kit);
    if (!go_on)
        mr_fs_sim_crash(sim);
    check_after(&options, finished, 0);
    bool struck = mr_fs_sim_failures(sim) > 0;
    mr_fs_sim_destroy(sim);
    return struck;
}

TEST(checkpoint, survives_every_failing_operation)
{
    static const mr_fs_op ops[] = {MR_FS_CREATE, MR_FS_WRITE, MR_FS_SYNC,    MR_FS_RENAME,
                                   MR_FS_REMOVE, MR_FS_LIST,  MR_FS_SYNC_DIR};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (int go_on = 0; go_on <= 1; go_on++) {
            uint64_t n = 0;
            while (fail_at(ops[i], n, go_on != 0))
                n++;
            assert_true(n > 1);
        }
}

/* ---- rot ---- */

static void flip_somewhere(mr_fs_sim *sim, const char *name, mr_random_seeded *random)
{
    char path[MR_PATH_MAX];
    mr_file_info info;
    mr_error err = {0};
    (void)snprintf(path, sizeof path, "/state/%s", name);
    assert_ok(mr_fs_info(mr_fs_sim_fs(sim), path, &info, &err), &err);
    assert_ok(mr_fs_sim_flip(sim, path, mr_random_below(random, info.size),
                             (unsigned)mr_random_below(random, 8), &err),
              &err);
}

/* Flips a bit in a file of the folder; how often: in the last of its kind, in the last two. */
static void rot(const char *suffix, uint32_t files, bool *out_recovered, mr_state_recovery *out,
                uint64_t seed)
{
    mr_fs_sim *sim = new_disk(seed);
    mr_random_seeded random = mr_test_random(seed);
    kit_options options = {.seed = seed, .keys = 60, .fs = mr_fs_sim_fs(sim), .folder = "/state"};
    state_kit kit;
    mr_error err = {0};
    kit_open(&kit, &options);
    for (int i = 0; i < 4; i++) {
        kit_run(&kit, 50, 10);
        kit_checkpoint(&kit, 1, 20);
    }
    uint64_t taken = kit.position;
    kit_close(&kit);
    char **names;
    size_t count;
    assert_ok(mr_fs_list(options.fs, "/state", &names, &count, &err), &err);
    for (size_t i = count; i-- > 0 && files > 0;)
        if (strstr(names[i], suffix) != NULL) {
            flip_somewhere(sim, names[i], &random);
            files--;
        }
    mr_fs_free_names(names, count);
    mr_status status = kit_try_recover(&kit, &options, out, &err);
    *out_recovered = status == MR_OK;
    if (status == MR_OK) {
        kit_run(&kit, taken - kit.position, 10);
        kit_check(&kit);
        kit_close(&kit);
    } else {
        assert_int_equal(status, MR_CORRUPT);
        assert_non_null(strstr(err.text, "move the folder away"));
    }
    mr_fs_sim_destroy(sim);
}

TEST(checkpoint, falls_back_when_files_rot_and_says_so)
{
    bool recovered;
    mr_state_recovery recovery;
    for (uint64_t seed = 1; seed <= mr_test_rounds(30); seed++) {
        rot(".manifest", 1, &recovered, &recovery, seed);
        assert_true(recovered);
        assert_int_equal(recovery.damaged, 1);
        assert_int_equal(recovery.damage.status, MR_CORRUPT);
        rot(".manifest", 2, &recovered, &recovery, seed);
        assert_false(recovered);
        assert_int_equal(recovery.damaged, 2);
        rot(".data", 1, &recovered, &recovery, seed);
        assert_true(recovered);
        assert_true(recovery.damaged <=
                    1); /* the flip may be in an image that is not used any more */
        rot(".data", 9, &recovered, &recovery, seed);
        assert_true(recovered || recovery.damaged == 2);
    }
}

/* ---- no memory ---- */

TEST(checkpoint, survives_every_failing_allocation)
{
    for (uint64_t n = 0, failed = 1; failed; n += 1 + n / 8) {
        mr_fs_sim *sim = new_disk(n);
        mr_budget budget;
        kit_options options;
        open_on(&options, sim, &budget, 3);
        state_kit kit;
        mr_error err = {0};
        uint64_t finished = 0;
        mr_memory_fail_after((int64_t)n, n % 2 != 0);
        mr_status status = kit_try_open(&kit, &options, &err);
        if (status == MR_OK) {
            status = live(&kit, LIFE_RECORDS, &finished, &err);
            mr_memory_fail_after(-1, false);
            kit_close(&kit);
        }
        mr_memory_fail_after(-1, false);
        failed = status != MR_OK;
        assert_true(!failed || status == MR_NO_MEMORY);
        /* Coming back with too little memory says so, and is no damage. */
        mr_memory_fail_after((int64_t)n, true);
        status = kit_try_recover(&kit, &options, NULL, &err);
        mr_memory_fail_after(-1, false);
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
        failed |= status != MR_OK;
        if (status == MR_OK)
            kit_close(&kit);
        assert_true(options.budget == NULL || mr_budget_used(options.budget) == 0);
        check_after(&options, finished, 0);
        mr_fs_sim_destroy(sim);
    }
}
