/* checkpoint_test.c -- rounds of checkpoints, recovery, damage and crashes, against an undisturbed run. */
#include "os/fs_sim.h"
#include "state/image.h"
#include "state/state_kit.h"

#include "test/test.h"

#include <stdio.h>
#include <string.h>

TEST(checkpoint, recovers_what_was_there)
{
    kit_options options = {.seed = mr_test_seed(), .folder = mr_test_folder(), .keys = 3000};
    state_kit kit;
    kit_open(&kit, &options);
    kit_run(&kit, 9000, 500);
    kit_checkpoint(&kit, 0, 100);
    uint64_t digest = kit_digest(&kit);
    kit_close(&kit);
    mr_state_recovery recovery;
    options.workers = 2;
    kit_recover(&kit, &options, &recovery);
    assert_true(recovery.found);
    assert_int_equal(recovery.position_min, 9000);
    assert_int_equal(recovery.position_max, 9000);
    assert_int_equal(recovery.tables_loaded, 2);
    assert_int_equal(recovery.damaged, 0);
    assert_true(recovery.keys > 3000);
    assert_int_equal(kit_digest(&kit), digest);
    kit_check(&kit);
    kit_close(&kit);
}

TEST(checkpoint, rolls_while_records_come)
{
    kit_options options = {.seed = mr_test_seed() + 1, .keys = 2000, .ttl_us = 150000};
    for (int background = 0; background <= 1; background++) {
        options.folder = mr_test_folder();
        options.background = background != 0;
        state_kit kit;
        kit_open(&kit, &options);
        for (int round = 0; round < 5; round++) {
            kit_run(&kit, 700, 50);
            kit_checkpoint(&kit, 13, 300);
        }
        uint64_t taken = kit.position;
        kit_close(&kit);
        mr_state_recovery recovery;
        kit_recover(&kit, &options, &recovery);
        assert_true(recovery.position_min < recovery.position_max);
        assert_true(recovery.position_max <= taken);
        kit_run(&kit, taken - kit.position, 77);
        kit_check(&kit);
        kit_close(&kit);
    }
}

static uint64_t folder_bytes(const char *folder, size_t *out_count)
{
    char **names;
    mr_error err = {0};
    uint64_t bytes = 0;
    assert_ok(mr_fs_list(mr_fs_real(), folder, &names, out_count, &err), &err);
    for (size_t i = 0; i < *out_count; i++) {
        char path[MR_PATH_MAX];
        mr_file_info info;
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_ok(mr_fs_info(mr_fs_real(), path, &info, &err), &err);
        bytes += info.size;
    }
    mr_fs_free_names(names, *out_count);
    return bytes;
}

TEST(checkpoint, writes_only_what_changed_and_keeps_the_folder_small)
{
    kit_options options = {
        .seed = mr_test_seed(), .folder = mr_test_folder(), .keys = 20000, .words_only = true};
    state_kit kit;
    kit_open(&kit, &options);
    kit_run(&kit, 40000, 500);
    size_t files;
    kit_checkpoint(&kit, 0, 1000);
    uint64_t full = folder_bytes(options.folder, &files);
    kit_run(&kit, 40, 10);
    kit_checkpoint(&kit, 0, 1000);
    uint64_t second = folder_bytes(options.folder, &files) - full;
    assert_true(second < full / 10);
    for (int round = 0; round < 80; round++) {
        kit_run(&kit, 100, 50);
        kit_checkpoint(&kit, 0, 1000);
        assert_true(folder_bytes(options.folder, &files) < full * 4);
        assert_true(files <= 2 + 2 * 66);
    }
    kit_close(&kit);
    kit_recover(&kit, &options, NULL);
    kit_check(&kit);
    kit_close(&kit);
}

TEST(checkpoint, takes_only_tables_of_the_same_definition)
{
    kit_options options = {.seed = mr_test_seed(), .folder = mr_test_folder()};
    state_kit kit;
    kit_open(&kit, &options);
    kit_run(&kit, 2000, 100);
    kit_checkpoint(&kit, 0, 1000);
    kit_close(&kit);
    mr_state_recovery recovery;
    options.fingerprint[1] = 5;
    kit_recover(&kit, &options, &recovery);
    assert_int_equal(recovery.tables_loaded, 1);
    assert_int_equal(recovery.tables_missing, 1);
    assert_int_equal(recovery.tables_dropped, 1);
    assert_false(mr_table_was_missing(kit.tables[0]));
    assert_true(mr_table_was_missing(kit.tables[1]));
    assert_int_equal(kit.position, 0);
    /* Replay fills the new table; the other skips what it has. A checkpoint in the middle of it is as good. */
    kit_run(&kit, 900, 100);
    mr_error err = {0};
    bool done = false;
    assert_ok(mr_state_checkpoint_begin(kit.state, 77, kit.position, &kit.position, 8, &err), &err);
    while (!done)
        assert_ok(mr_state_checkpoint_step(kit.state, kit.position, 5000, &done, &err), &err);
    assert_int_equal(mr_state_checkpoint_finish(kit.state, kit.position, NULL, &err), MR_INVALID);
    assert_ok(mr_state_checkpoint_finish(kit.state, 2000, NULL, &err), &err);
    kit_close(&kit);
    kit_recover(&kit, &options, &recovery);
    assert_int_equal(recovery.position_min, 900);
    assert_int_equal(recovery.position_max, 2000);
    kit_run(&kit, 1600, 100);
    kit_check(&kit);
    kit_close(&kit);
    options.version = 2;
    kit_recover(&kit, &options, &recovery);
    assert_int_equal(recovery.tables_loaded, 0);
    assert_int_equal(recovery.tables_missing, 2);
    assert_int_equal(recovery.tables_dropped, 2);
    kit_run(&kit, 10, 10);
    kit_check(&kit);
    kit_close(&kit);
}
