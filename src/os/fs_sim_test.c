/* fs_sim_test.c -- the simulated disk is as nasty as it says, and no nastier. */
#include "os/fs_sim.h"
#include "os/thread.h"
#include "test/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mr_fs_sim *make_disk(const mr_fs_sim_options *options)
{
    mr_error err = {0};
    mr_fs_sim *sim;
    assert_ok(mr_fs_sim_create(options, &sim, &err), &err);
    return sim;
}

static mr_fs_sim *make_fair_disk(uint64_t seed)
{
    const mr_fs_sim_options options = {.seed = seed};
    return make_disk(&options);
}

static mr_file *open_file(mr_fs_sim *sim, const char *path, mr_open_mode mode)
{
    mr_error err = {0};
    mr_file *file;
    assert_ok(mr_fs_open(mr_fs_sim_fs(sim), path, mode, &file, &err), &err);
    return file;
}

static void read_whole(mr_fs_sim *sim, const char *path, mr_bytes *out)
{
    mr_error err = {0};
    assert_ok(mr_fs_read_file(mr_fs_sim_fs(sim), path, 0, out, &err), &err);
}

static void fill(uint8_t *to, size_t size, uint8_t value)
{
    memset(to, value, size);
}

/* ---- what is synced stays, what is not may not ---- */

TEST(fs_sim, synced_bytes_survive_every_crash)
{
    mr_error err = {0};
    for (uint64_t seed = 0; seed < mr_test_rounds(300); seed++) {
        mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed);
        mr_random_seeded random = mr_test_random(seed);
        uint8_t kept[3000], noise[5000];
        for (size_t i = 0; i < sizeof kept; i++)
            kept[i] = (uint8_t)(1 + mr_random_below(&random, 255));
        fill(noise, sizeof noise, 0xee);
        size_t size = 1 + (size_t)mr_random_below(&random, sizeof kept);
        mr_file *file = open_file(sim, "/log", MR_OPEN_NEW);
        assert_ok(mr_file_write(file, 0, kept, size, &err), &err);
        assert_ok(mr_file_sync(file, &err), &err);
        assert_ok(mr_fs_sync_dir(mr_fs_sim_fs(sim), "/", &err), &err);
        /* Unsynced writes behind the end, in the same sector too, harm nothing in front. */
        assert_ok(mr_file_write(file, size, noise, mr_random_below(&random, sizeof noise), &err),
                  &err);
        mr_fs_sim_crash(sim);
        uint8_t byte;
        size_t got;
        assert_int_equal(mr_file_read(file, 0, &byte, 1, &got, &err), MR_IO);
        assert_int_equal(mr_file_write(file, 0, &byte, 1, &err), MR_IO);
        mr_file_close(file);
        mr_bytes bytes = {0};
        read_whole(sim, "/log", &bytes);
        assert_true(bytes.size >= size);
        assert_memory_equal(bytes.data, kept, size);
        mr_bytes_deinit(&bytes);
        mr_fs_sim_destroy(sim);
    }
}

typedef struct outcomes {
    uint32_t kept, lost, mixed, reordered, garbled, shorter;
} outcomes;

/* Sector i of the unsynced part held 0x11 and was to hold 0x22. */
static void classify(const mr_bytes *bytes, size_t sectors, outcomes *seen)
{
    bool lost_before = false;
    if (bytes->size < sectors * 512)
        seen->shorter++;
    for (size_t i = 0; i < bytes->size / 512 && i < sectors; i++) {
        size_t fresh = 0, old = 0;
        for (size_t k = 0; k < 512; k++) {
            fresh += bytes->data[i * 512 + k] == 0x22;
            old += bytes->data[i * 512 + k] == 0x11;
        }
        seen->kept += fresh == 512;
        seen->lost += old == 512;
        seen->mixed += fresh + old == 512 && fresh > 0 && old > 0;
        seen->garbled += fresh + old < 512;
        seen->reordered += lost_before && fresh == 512;
        lost_before = lost_before || old == 512;
    }
}

TEST(fs_sim, unsynced_sectors_meet_every_fate)
{
    mr_error err = {0};
    outcomes seen = {0};
    for (uint64_t seed = 0; seed < 400; seed++) {
        mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed);
        uint8_t block[8192];
        fill(block, sizeof block, 0x11);
        assert_ok(mr_fs_write_file(mr_fs_sim_fs(sim), "/a", block, 4096, &err), &err);
        mr_file *file = open_file(sim, "/a", MR_OPEN_WRITE);
        fill(block, sizeof block, 0x22);
        assert_ok(mr_file_write(file, 0, block, 8192, &err), &err);
        mr_file_close(file);
        mr_fs_sim_crash(sim);
        mr_bytes bytes = {0};
        read_whole(sim, "/a", &bytes);
        assert_in_range(bytes.size, 4096, 8192);
        classify(&bytes, 8, &seen);
        seen.shorter += bytes.size > 4096 && bytes.size < 8192;
        mr_bytes_deinit(&bytes);
        mr_fs_sim_destroy(sim);
    }
    assert_true(seen.kept > 0 && seen.lost > 0 && seen.mixed > 0);
    assert_true(seen.reordered > 0 && seen.garbled > 0 && seen.shorter > 0);
}

TEST(fs_sim, lost_sectors_may_fall_back_to_any_earlier_state)
{
    mr_error err = {0};
    uint32_t seen[4] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed);
        assert_ok(mr_fs_write_file(mr_fs_sim_fs(sim), "/a", "\0", 1, &err), &err);
        mr_file *file = open_file(sim, "/a", MR_OPEN_WRITE);
        for (uint8_t version = 1; version <= 3; version++)
            assert_ok(mr_file_write(file, 0, &version, 1, &err), &err);
        mr_file_close(file);
        mr_fs_sim_crash(sim);
        mr_bytes bytes = {0};
        read_whole(sim, "/a", &bytes);
        if (bytes.data[0] < 4) /* else a flipped or garbled byte */
            seen[bytes.data[0]]++;
        mr_bytes_deinit(&bytes);
        mr_fs_sim_destroy(sim);
    }
    for (size_t i = 0; i < 4; i++)
        assert_true(seen[i] > 0);
}

TEST(fs_sim, unsynced_truncation_may_be_undone)
{
    mr_error err = {0};
    uint32_t undone = 0, kept = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed);
        uint8_t block[2000];
        fill(block, sizeof block, 0x11);
        assert_ok(mr_fs_write_file(mr_fs_sim_fs(sim), "/a", block, sizeof block, &err), &err);
        mr_file *file = open_file(sim, "/a", MR_OPEN_WRITE);
        assert_ok(mr_file_truncate(file, 700, &err), &err);
        mr_file_close(file);
        mr_fs_sim_crash(sim);
        mr_bytes bytes = {0};
        read_whole(sim, "/a", &bytes);
        assert_true(bytes.size >= 700 && bytes.size <= sizeof block);
        assert_memory_equal(bytes.data, block, 700);
        undone += bytes.size == sizeof block && bytes.data[1999] == 0x11;
        kept += bytes.size == 700;
        mr_bytes_deinit(&bytes);
        mr_fs_sim_destroy(sim);
    }
    assert_true(undone > 0 && kept > 0);
}

/* ---- names ---- */

TEST(fs_sim, names_need_their_folder_synced)
{
    mr_error err = {0};
    uint32_t kept = 0, lost = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed);
        mr_fs *fs = mr_fs_sim_fs(sim);
        mr_file_close(open_file(sim, "/safe", MR_OPEN_NEW));
        assert_ok(mr_fs_sync_dir(fs, "/", &err), &err);
        mr_file *file = open_file(sim, "/new", MR_OPEN_NEW);
        assert_ok(mr_file_write(file, 0, "x", 1, &err), &err);
        assert_ok(mr_file_sync(file, &err), &err);
        mr_file_close(file);
        mr_fs_sim_crash(sim);
        assert_true(mr_fs_exists(fs, "/safe"));
        if (mr_fs_exists(fs, "/new")) {
            mr_bytes bytes = {0};
            read_whole(sim, "/new", &bytes);
            assert_int_equal(bytes.size, 1);
            mr_bytes_deinit(&bytes);
            kept++;
        } else {
            lost++;
        }
        mr_fs_sim_destroy(sim);
    }
    assert_true(kept > 20 && lost > 20);
}

TEST(fs_sim, renames_and_removals_are_whole_or_undone)
{
    mr_error err = {0};
    uint32_t old_state = 0, new_state = 0, back = 0, gone = 0, reordered = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed);
        mr_fs *fs = mr_fs_sim_fs(sim);
        assert_ok(mr_fs_make_folder(fs, "/f", &err), &err);
        assert_ok(mr_fs_write_file(fs, "/f/a", "one", 3, &err), &err);
        assert_ok(mr_fs_write_file(fs, "/f/b", "two", 3, &err), &err);
        assert_ok(mr_fs_write_file(fs, "/f/c", "three", 5, &err), &err);
        assert_ok(mr_fs_rename(fs, "/f/a", "/f/b", &err), &err);
        assert_ok(mr_fs_remove(fs, "/f/c", &err), &err);
        mr_fs_sim_crash(sim);
        mr_bytes bytes = {0};
        read_whole(sim, "/f/b", &bytes);
        bool renamed = memcmp(bytes.data, "one", 3) == 0;
        assert_int_equal(mr_fs_exists(fs, "/f/a"), !renamed);
        assert_true(renamed || memcmp(bytes.data, "two", 3) == 0);
        bool removed = !mr_fs_exists(fs, "/f/c");
        new_state += renamed;
        old_state += !renamed;
        gone += removed;
        back += !removed;
        reordered += removed && !renamed;
        mr_bytes_deinit(&bytes);
        mr_fs_sim_destroy(sim);
    }
    assert_true(new_state > 20 && old_state > 20 && gone > 20 && back > 20 && reordered > 5);
}

TEST(fs_sim, written_files_are_old_or_new_at_any_crash)
{
    mr_error err = {0};
    bool finished = false;
    for (uint64_t n = 0; !finished; n++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed * 1000 + n);
            mr_fs *fs = mr_fs_sim_fs(sim);
            uint8_t block[3000];
            fill(block, sizeof block, 1);
            assert_ok(mr_fs_write_file(fs, "/a", block, 2000, &err), &err);
            fill(block, sizeof block, 2);
            mr_fs_sim_crash_after(sim, n);
            mr_status status = mr_fs_write_file(fs, "/a", block, 3000, &err);
            assert_true(status == MR_OK || status == MR_INTERRUPTED);
            assert_int_equal(mr_fs_sim_is_down(sim), status == MR_INTERRUPTED);
            finished = status == MR_OK;
            mr_fs_sim_crash(sim);
            mr_bytes bytes = {0};
            read_whole(sim, "/a", &bytes);
            bool is_new = bytes.size == 3000;
            assert_true(is_new || (!finished && bytes.size == 2000));
            fill(block, sizeof block, is_new ? 2 : 1);
            assert_memory_equal(bytes.data, block, bytes.size);
            mr_bytes_deinit(&bytes);
            mr_fs_sim_destroy(sim);
        }
        assert_in_range(n, 0, 20);
    }
}

/* ---- failures ---- */

TEST(fs_sim, plans_strike_once_or_for_good)
{
    mr_error err = {0};
    mr_fs_sim *sim = make_fair_disk(1);
    mr_file *file = open_file(sim, "/a", MR_OPEN_NEW);
    mr_fs_sim_fail_after(sim, MR_FS_WRITE, 1, MR_FULL, false);
    assert_ok(mr_file_write(file, 0, "a", 1, &err), &err);
    assert_int_equal(mr_file_write(file, 0, "b", 1, &err), MR_FULL);
    assert_ok(mr_file_write(file, 0, "c", 1, &err), &err);
    mr_fs_sim_fail_after(sim, MR_FS_READ, 0, MR_IO, true);
    char byte;
    size_t got;
    for (int i = 0; i < 3; i++)
        assert_int_equal(mr_file_read(file, 0, &byte, 1, &got, &err), MR_IO);
    assert_int_equal(mr_fs_sim_failures(sim), 4);
    mr_fs_sim_heal(sim);
    assert_ok(mr_file_read_exact(file, 0, &byte, 1, &err), &err);
    assert_int_equal(byte, 'c');
    assert_int_equal(mr_fs_sim_count(sim, MR_FS_WRITE), 3);
    assert_int_equal(mr_fs_sim_count(sim, MR_FS_ANY), 3 + 4 + 1);
    assert_int_equal(mr_fs_sim_changes(sim), 4);
    mr_file_close(file);
    mr_fs_sim_destroy(sim);
}

TEST(fs_sim, failed_sync_forgets_some_writes_for_good)
{
    mr_error err = {0};
    uint32_t forgotten = 0, kept = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed);
        uint8_t block[512];
        fill(block, sizeof block, 1);
        assert_ok(mr_fs_write_file(mr_fs_sim_fs(sim), "/a", block, 512, &err), &err);
        mr_file *file = open_file(sim, "/a", MR_OPEN_WRITE);
        fill(block, sizeof block, 2);
        assert_ok(mr_file_write(file, 0, block, 512, &err), &err);
        mr_fs_sim_fail_after(sim, MR_FS_SYNC, 0, MR_IO, false);
        assert_int_equal(mr_file_sync(file, &err), MR_IO);
        assert_int_equal(mr_file_sync(file, &err), MR_IO); /* this file is not believed again */
        assert_ok(mr_file_read_exact(file, 0, block, 512, &err), &err);
        assert_int_equal(block[0], 2);
        mr_file_close(file);
        /* Another descriptor's sync succeeds and proves nothing. */
        file = open_file(sim, "/a", MR_OPEN_WRITE);
        assert_ok(mr_file_sync(file, &err), &err);
        mr_file_close(file);
        mr_fs_sim_crash(sim);
        mr_bytes bytes = {0};
        read_whole(sim, "/a", &bytes);
        forgotten += bytes.data[0] == 1;
        kept += bytes.data[0] == 2;
        mr_bytes_deinit(&bytes);
        mr_fs_sim_destroy(sim);
    }
    assert_int_equal(forgotten + kept, 100);
    assert_true(forgotten > 20 && kept > 20);
}

TEST(fs_sim, disk_gets_full_and_free_again)
{
    mr_error err = {0};
    const mr_fs_sim_options options = {.seed = 3, .capacity_bytes = 10000};
    mr_fs_sim *sim = make_disk(&options);
    mr_fs *fs = mr_fs_sim_fs(sim);
    uint8_t block[6000];
    fill(block, sizeof block, 1);
    mr_file *a = open_file(sim, "/a", MR_OPEN_NEW), *b = open_file(sim, "/b", MR_OPEN_NEW);
    assert_ok(mr_file_write(a, 0, block, 6000, &err), &err);
    assert_int_equal(mr_file_reserve(b, 6000, &err), MR_FULL);
    assert_int_equal(mr_file_write(b, 0, block, 6000, &err), MR_FULL);
    assert_ok(mr_file_truncate(b, 0, &err), &err);
    assert_ok(mr_file_reserve(b, 4000, &err), &err);
    assert_int_equal(mr_file_write(a, 6000, block, 1, &err), MR_FULL);
    assert_ok(mr_file_write(b, 0, block, 4000, &err), &err);
    assert_ok(mr_fs_remove(fs, "/a", &err), &err);
    assert_int_equal(mr_file_write(b, 4000, block, 1, &err), MR_FULL); /* a is open still */
    mr_file_close(a);
    assert_ok(mr_file_write(b, 4000, block, 6000, &err), &err);
    mr_fs_sim_set_capacity(sim, 20000);
    assert_ok(mr_file_write(b, 10000, block, 6000, &err), &err);
    mr_file_close(b);
    mr_fs_sim_destroy(sim);
}

TEST(fs_sim, bits_rot_on_request)
{
    mr_error err = {0};
    mr_fs_sim *sim = make_fair_disk(1);
    assert_ok(mr_fs_write_file(mr_fs_sim_fs(sim), "/a", "abc", 3, &err), &err);
    assert_ok(mr_fs_sim_flip(sim, "/a", 1, 0, &err), &err);
    assert_int_equal(mr_fs_sim_flip(sim, "/a", 3, 0, &err), MR_INVALID);
    assert_int_equal(mr_fs_sim_flip(sim, "/b", 0, 0, &err), MR_NOT_FOUND);
    mr_fs_sim_crash(sim);
    mr_bytes bytes = {0};
    read_whole(sim, "/a", &bytes);
    assert_memory_equal(bytes.data, "acc", 3);
    mr_bytes_deinit(&bytes);
    mr_fs_sim_destroy(sim);
}

/* ---- any life: no leak, and the same seed gives the same disk ---- */

static void live_randomly(mr_fs_sim *sim, uint64_t salt, uint64_t steps)
{
    mr_random_seeded random = mr_test_random(salt);
    mr_fs *fs = mr_fs_sim_fs(sim);
    mr_file *open[4] = {0};
    uint8_t block[3000];
    for (uint64_t i = 0; i < steps; i++) {
        char path[32], other[32];
        (void)snprintf(path, sizeof path, "/d%d/f%d", (int)mr_random_below(&random, 3),
                       (int)mr_random_below(&random, 4));
        (void)snprintf(other, sizeof other, "/d%d/f%d", (int)mr_random_below(&random, 3),
                       (int)mr_random_below(&random, 4));
        mr_file **file = &open[mr_random_below(&random, 4)];
        uint64_t offset = mr_random_below(&random, 3000);
        size_t size = (size_t)mr_random_below(&random, 3000), got;
        fill(block, sizeof block, (uint8_t)i);
        char **names;
        switch (mr_random_below(&random, 14)) {
        case 0:
        case 1:
            mr_file_close(*file);
            *file = NULL;
            (void)mr_fs_open(fs, path, (mr_open_mode)mr_random_below(&random, 4), file, NULL);
            break;
        case 2:
            (void)mr_fs_rename(fs, path, other, NULL);
            break;
        case 3:
            (void)mr_fs_remove(fs, path, NULL);
            break;
        case 4:
            path[3] = '\0';
            (void)mr_fs_make_folder(fs, path, NULL);
            break;
        case 5:
            path[3] = '\0';
            (void)mr_fs_sync_dir(fs, path, NULL);
            break;
        case 6:
            if (mr_random_below(&random, 8) == 0)
                mr_fs_sim_crash_after(sim, mr_random_below(&random, 30));
            break;
        case 7:
            path[3] = '\0';
            if (mr_fs_list(fs, path, &names, &got, NULL) == MR_OK)
                mr_fs_free_names(names, got);
            break;
        case 8:
            (void)(*file != NULL ? mr_file_sync(*file, NULL) : MR_OK);
            break;
        case 9:
            (void)(*file != NULL ? mr_file_truncate(*file, offset, NULL) : MR_OK);
            break;
        case 10:
            (void)(*file != NULL ? mr_file_read(*file, offset, block, size, &got, NULL) : MR_OK);
            break;
        default:
            (void)(*file != NULL ? mr_file_write(*file, offset, block, size, NULL) : MR_OK);
            break;
        }
        if (mr_fs_sim_is_down(sim) && mr_random_below(&random, 4) == 0)
            mr_fs_sim_crash(sim);
    }
    for (size_t i = 0; i < 4; i++)
        mr_file_close(open[i]);
    mr_fs_sim_crash(sim);
}

static void dump_with_content(mr_fs_sim *sim, mr_bytes *out)
{
    mr_fs_sim_dump(sim, out);
    mr_fs_sim_heal(sim);
    for (int folder = 0; folder < 3; folder++)
        for (int file = 0; file < 4; file++) {
            char path[32];
            mr_bytes bytes = {0};
            (void)snprintf(path, sizeof path, "/d%d/f%d", folder, file);
            if (mr_fs_read_file(mr_fs_sim_fs(sim), path, 0, &bytes, NULL) == MR_OK)
                mr_bytes_append(out, bytes.data, bytes.size);
            mr_bytes_deinit(&bytes);
        }
}

TEST(fs_sim, same_seed_same_disk)
{
    size_t different = 0;
    for (uint64_t round = 0; round < mr_test_rounds(40); round++) {
        mr_bytes dumps[3] = {0};
        for (uint64_t i = 0; i < 3; i++) {
            const mr_fs_sim_options options = {.seed = round * 2 + i / 2,
                                               .capacity_bytes = 20000,
                                               .read_failure = 0.01,
                                               .write_failure = 0.02,
                                               .sync_failure = 0.05};
            mr_fs_sim *sim = make_disk(&options);
            live_randomly(sim, round, 600);
            dump_with_content(sim, &dumps[i]);
            mr_fs_sim_destroy(sim);
        }
        assert_int_equal(dumps[0].size, dumps[1].size);
        assert_memory_equal(dumps[0].data, dumps[1].data, dumps[0].size);
        different += dumps[2].size != dumps[0].size ||
                     memcmp(dumps[2].data, dumps[0].data, dumps[0].size) != 0;
        for (size_t i = 0; i < 3; i++)
            mr_bytes_deinit(&dumps[i]);
    }
    assert_true(different > 0);
}

/* ---- threads ---- */

/* Each worker appends to its own file and reads its own mapping, made when it was half as long. */
static void write_and_map(void *context, int worker)
{
    mr_fs_sim *sim = context;
    char path[32];
    uint8_t block[100];
    mr_mapping mapping = {0};
    (void)snprintf(path, sizeof path, "/worker-%d", worker);
    mr_file *file = open_file(sim, path, MR_OPEN_CREATE);
    fill(block, sizeof block, (uint8_t)worker);
    for (uint64_t i = 0; i < 400; i++) {
        if (mr_file_write(file, i * sizeof block, block, sizeof block, NULL) != MR_OK ||
            (i % 10 == 0 && mr_file_sync(file, NULL) != MR_OK) ||
            (i == 200 && mr_file_map(file, 0, 20000, &mapping, NULL) != MR_OK))
            abort();
    }
    mr_file_close(file);
    for (size_t i = 0; i < mapping.size; i++)
        if (mapping.bytes[i] != worker)
            abort();
    mr_fs_unmap(mr_fs_sim_fs(sim), &mapping);
}

TEST(fs_sim, serves_several_threads)
{
    mr_error err = {0};
    mr_fs_sim *sim = make_fair_disk(1);
    mr_pool *pool;
    assert_ok(mr_pool_create(3, &pool, &err), &err);
    mr_pool_run(pool, write_and_map, sim);
    mr_pool_destroy(pool);
    assert_int_equal(mr_fs_sim_count(sim, MR_FS_WRITE), 1200);
    mr_fs_sim_destroy(sim);
}

/* ---- renames across folders ---- */

/* a/x is made and synced, moved to b/x, and only b is synced: the move is whole, so it must be gone from a. */
TEST(fs_sim, a_move_is_durable_with_either_folder)
{
    mr_error err = {0};
    for (uint64_t seed = 0; seed < 60; seed++) {
        mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed);
        mr_fs *fs = mr_fs_sim_fs(sim);
        assert_ok(mr_fs_make_folder(fs, "/a", &err), &err);
        assert_ok(mr_fs_make_folder(fs, "/b", &err), &err);
        mr_file_close(open_file(sim, "/a/x", MR_OPEN_NEW));
        mr_file_close(open_file(sim, "/a/y", MR_OPEN_NEW));
        assert_ok(mr_fs_rename(fs, "/a/x", "/b/x", &err), &err);
        if (seed % 3 < 2)
            assert_ok(mr_fs_sync_dir(fs, seed % 3 == 0 ? "/a" : "/b", &err), &err);
        mr_fs_sim_crash(sim);
        bool in_a = mr_fs_exists(fs, "/a/x"), in_b = mr_fs_exists(fs, "/b/x");
        assert_true(seed % 3 < 2 ? in_b && !in_a : !(in_a && in_b));
        assert_true(seed % 3 != 0 || mr_fs_exists(fs, "/a/y"));
        mr_fs_sim_destroy(sim);
    }
}

/* The second move cannot be kept without the first. */
TEST(fs_sim, a_file_moved_twice_is_in_one_place)
{
    mr_error err = {0};
    uint32_t seen[3] = {0};
    for (uint64_t seed = 0; seed < 100; seed++) {
        mr_fs_sim *sim = make_fair_disk(mr_test_seed() + seed);
        mr_fs *fs = mr_fs_sim_fs(sim);
        assert_ok(mr_fs_write_file(fs, "/a", "x", 1, &err), &err);
        assert_ok(mr_fs_rename(fs, "/a", "/b", &err), &err);
        assert_ok(mr_fs_rename(fs, "/b", "/c", &err), &err);
        mr_fs_sim_crash(sim);
        const bool there[] = {mr_fs_exists(fs, "/a"), mr_fs_exists(fs, "/b"),
                              mr_fs_exists(fs, "/c")};
        assert_int_equal(there[0] + there[1] + there[2], 1);
        for (size_t i = 0; i < 3; i++)
            seen[i] += there[i];
        mr_fs_sim_destroy(sim);
    }
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
}

/* Appending and syncing costs what is written, not what is there. */
TEST(fs_sim, long_files_stay_cheap)
{
    mr_error err = {0};
    mr_fs_sim *sim = make_fair_disk(1);
    mr_file *file = open_file(sim, "/a", MR_OPEN_NEW);
    uint8_t block[100];
    fill(block, sizeof block, 7);
    for (uint64_t i = 0; i < 200000; i++) {
        assert_ok(mr_file_write(file, i * sizeof block, block, sizeof block, &err), &err);
        if (i % 4 == 0)
            assert_ok(mr_file_sync(file, &err), &err);
    }
    mr_file_close(file);
    mr_fs_sim_destroy(sim);
}
