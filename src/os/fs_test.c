/* fs_test.c -- one body of promises, run over the machine's files and over the simulated ones. */
#include "os/fs.h"
#include "os/fs_sim.h"
#include "test/test.h"

#include <stdio.h>
#include <string.h>

typedef struct place {
    mr_fs *fs;
    char root[MR_PATH_MAX];
} place;

/* One of a few static strings: root/name. */
static const char *at(const place *here, const char *name)
{
    static char paths[4][MR_PATH_MAX + 300];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", here->root, name);
    return path;
}

static mr_file *open_file(const place *here, const char *name, mr_open_mode mode)
{
    mr_error err = {0};
    mr_file *file;
    assert_ok(mr_fs_open(here->fs, at(here, name), mode, &file, &err), &err);
    return file;
}

static void expect_content(const place *here, const char *name, const char *content)
{
    mr_error err = {0};
    mr_bytes bytes = {0};
    assert_ok(mr_fs_read_file(here->fs, at(here, name), 0, &bytes, &err), &err);
    assert_int_equal(bytes.size, strlen(content));
    assert_memory_equal(mr_bytes_text(&bytes), content, strlen(content));
    mr_bytes_deinit(&bytes);
}

static void opens_as_asked(const place *here)
{
    mr_error err = {0};
    mr_file *file;
    assert_int_equal(mr_fs_open(here->fs, at(here, "a"), MR_OPEN_READ, &file, &err), MR_NOT_FOUND);
    assert_null(file);
    assert_non_null(strstr(err.text, at(here, "a")));
    assert_int_equal(mr_fs_open(here->fs, at(here, "a"), MR_OPEN_WRITE, &file, &err), MR_NOT_FOUND);
    mr_file_close(open_file(here, "a", MR_OPEN_NEW));
    assert_int_equal(mr_fs_open(here->fs, at(here, "a"), MR_OPEN_NEW, &file, &err), MR_EXISTS);
    mr_file_close(open_file(here, "a", MR_OPEN_CREATE));
    assert_int_equal(mr_fs_open(here->fs, at(here, "a/b"), MR_OPEN_CREATE, &file, &err),
                     MR_NOT_FOUND);
    assert_int_equal(mr_fs_open(here->fs, here->root, MR_OPEN_READ, &file, &err), MR_INVALID);
    file = open_file(here, "a", MR_OPEN_READ);
    assert_string_equal(file->path, at(here, "a"));
    assert_int_equal(mr_file_write(file, 0, "x", 1, &err), MR_INVALID);
    mr_file_close(file);
    mr_file_close(NULL);
}

static void reads_what_was_written(const place *here)
{
    mr_error err = {0};
    uint64_t size;
    size_t got;
    char buffer[2000];
    mr_file *file = open_file(here, "a", MR_OPEN_NEW);
    assert_ok(mr_file_write(file, 0, "hello", 5, &err), &err);
    assert_ok(mr_file_write(file, 1000, "world", 5, &err), &err);
    assert_ok(mr_file_size(file, &size, &err), &err);
    assert_int_equal(size, 1005);
    assert_ok(mr_file_read(file, 0, buffer, sizeof buffer, &got, &err), &err);
    assert_int_equal(got, 1005);
    assert_memory_equal(buffer, "hello\0", 6);
    assert_memory_equal(buffer + 999, "\0world", 6);
    assert_ok(mr_file_read(file, 5000, buffer, 1, &got, &err), &err);
    assert_int_equal(got, 0);
    assert_int_equal(mr_file_read_exact(file, 1004, buffer, 2, &err), MR_CORRUPT);
    assert_ok(mr_file_write(file, 1003, "LDS", 3, &err), &err);
    assert_ok(mr_file_read_exact(file, 1000, buffer, 6, &err), &err);
    assert_memory_equal(buffer, "worLDS", 6);
    assert_ok(mr_file_sync(file, &err), &err);
    mr_file_close(file);
}

static void truncates_and_grows_with_zeros(const place *here)
{
    mr_error err = {0};
    char buffer[10];
    size_t got;
    mr_file *file = open_file(here, "a", MR_OPEN_NEW);
    assert_ok(mr_file_write(file, 0, "0123456789", 10, &err), &err);
    assert_ok(mr_file_truncate(file, 4, &err), &err);
    assert_ok(mr_file_read(file, 0, buffer, 10, &got, &err), &err);
    assert_int_equal(got, 4);
    assert_ok(mr_file_truncate(file, 8, &err), &err);
    assert_ok(mr_file_read_exact(file, 0, buffer, 8, &err), &err);
    assert_memory_equal(buffer, "0123\0\0\0\0", 8);
    uint64_t size;
    assert_ok(mr_file_reserve(file, 1 << 16, &err), &err);
    assert_ok(mr_file_size(file, &size, &err), &err);
    assert_int_equal(size, 8);
    mr_file_close(file);
}

static void maps_written_bytes(const place *here)
{
    mr_error err = {0};
    mr_file *file = open_file(here, "a", MR_OPEN_NEW);
    char content[10000];
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i % 251);
    assert_ok(mr_file_write(file, 0, content, sizeof content, &err), &err);
    mr_mapping all, part, none, beyond;
    assert_ok(mr_file_map(file, 0, sizeof content, &all, &err), &err);
    assert_ok(mr_file_map(file, 5001, 4000, &part, &err), &err);
    assert_ok(mr_file_map(file, 5001, 0, &none, &err), &err);
    assert_int_equal(mr_file_map(file, 5001, 5000, &beyond, &err), MR_INVALID);
    /* Growth does not move or end a mapping, nor does closing the file. */
    for (uint64_t i = 1; i <= 50; i++)
        assert_ok(mr_file_write(file, i * 10000, content, sizeof content, &err), &err);
    mr_file_close(file);
    assert_memory_equal(all.bytes, content, all.size);
    assert_memory_equal(part.bytes, content + 5001, part.size);
    mr_fs_unmap(here->fs, &all);
    mr_fs_unmap(here->fs, &part);
    mr_fs_unmap(here->fs, &none);
    mr_fs_unmap(here->fs, &none);
}

static void locks_for_one_holder(const place *here)
{
    mr_error err = {0};
    mr_file *first = open_file(here, "lock", MR_OPEN_CREATE);
    mr_file *second = open_file(here, "lock", MR_OPEN_CREATE);
    assert_ok(mr_file_lock(first, &err), &err);
    assert_ok(mr_file_lock(first, &err), &err);
    assert_int_equal(mr_file_lock(second, &err), MR_BUSY);
    mr_file_close(first);
    assert_ok(mr_file_lock(second, &err), &err);
    mr_file_close(second);
}

static void lists_sorted(const place *here)
{
    mr_error err = {0};
    const char *const names[] = {"b", "a", "10", "2", "Z"};
    for (size_t i = 0; i < 5; i++)
        mr_file_close(open_file(here, names[i], MR_OPEN_NEW));
    char **found;
    size_t count;
    assert_ok(mr_fs_list(here->fs, here->root, &found, &count, &err), &err);
    const char *const sorted[] = {"10", "2", "Z", "a", "b"};
    assert_int_equal(count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(found[i], sorted[i]);
    mr_fs_free_names(found, count);
    assert_int_equal(mr_fs_list(here->fs, at(here, "none"), &found, &count, &err), MR_NOT_FOUND);
}

static void makes_and_removes_folders(const place *here)
{
    mr_error err = {0};
    mr_file_info info;
    assert_ok(mr_fs_make_folder(here->fs, at(here, "x/y//z/"), &err), &err);
    assert_ok(mr_fs_make_folder(here->fs, at(here, "x/y/z"), &err), &err);
    assert_ok(mr_fs_info(here->fs, at(here, "x/y/z"), &info, &err), &err);
    assert_true(info.is_folder);
    mr_file_close(open_file(here, "x/file", MR_OPEN_NEW));
    assert_int_equal(mr_fs_make_folder(here->fs, at(here, "x/file"), &err), MR_EXISTS);
    assert_int_equal(mr_fs_remove(here->fs, at(here, "x"), &err), MR_CONFLICT);
    assert_ok(mr_fs_remove(here->fs, at(here, "x/y/z"), &err), &err);
    assert_int_equal(mr_fs_remove(here->fs, at(here, "x/y/z"), &err), MR_NOT_FOUND);
    assert_ok(mr_fs_remove_tree(here->fs, at(here, "x"), &err), &err);
    assert_false(mr_fs_exists(here->fs, at(here, "x")));
    assert_ok(mr_fs_remove_tree(here->fs, at(here, "x"), &err), &err);
    assert_int_equal(mr_fs_make_folder(here->fs, "", &err), MR_INVALID);
    assert_int_equal(mr_fs_sync_dir(here->fs, at(here, "none"), &err), MR_NOT_FOUND);
    assert_ok(mr_fs_sync_dir(here->fs, here->root, &err), &err);
}

static void renames_over(const place *here)
{
    mr_error err = {0};
    assert_ok(mr_fs_write_file(here->fs, at(here, "a"), "one", 3, &err), &err);
    assert_ok(mr_fs_write_file(here->fs, at(here, "b"), "two", 3, &err), &err);
    mr_file *replaced = open_file(here, "b", MR_OPEN_READ);
    assert_ok(mr_fs_rename(here->fs, at(here, "a"), at(here, "b"), &err), &err);
    assert_false(mr_fs_exists(here->fs, at(here, "a")));
    expect_content(here, "b", "one");
    char buffer[3];
    assert_ok(mr_file_read_exact(replaced, 0, buffer, 3, &err), &err);
    assert_memory_equal(buffer, "two", 3);
    mr_file_close(replaced);
    assert_int_equal(mr_fs_rename(here->fs, at(here, "a"), at(here, "b"), &err), MR_NOT_FOUND);
    assert_ok(mr_fs_rename(here->fs, at(here, "b"), at(here, "b"), &err), &err);
    expect_content(here, "b", "one");
    assert_ok(mr_fs_make_folder(here->fs, at(here, "f"), &err), &err);
    assert_ok(mr_fs_rename(here->fs, at(here, "f"), at(here, "g"), &err), &err);
    assert_true(mr_fs_exists(here->fs, at(here, "g")));
}

static void writes_files_at_once(const place *here)
{
    mr_error err = {0};
    assert_ok(mr_fs_write_file(here->fs, at(here, "a"), "first and long", 14, &err), &err);
    assert_ok(mr_fs_write_file(here->fs, at(here, "a"), "next", 4, &err), &err);
    expect_content(here, "a", "next");
    assert_false(mr_fs_exists(here->fs, at(here, "a.tmp")));
    mr_bytes bytes = {0};
    assert_int_equal(mr_fs_read_file(here->fs, at(here, "a"), 3, &bytes, &err), MR_FULL);
    assert_ok(mr_fs_read_file(here->fs, at(here, "a"), 4, &bytes, &err), &err);
    assert_ok(mr_fs_write_file(here->fs, at(here, "a"), "", 0, &err), &err);
    assert_ok(mr_fs_read_file(here->fs, at(here, "a"), 4, &bytes, &err), &err);
    assert_int_equal(bytes.size, 0);
    mr_bytes_deinit(&bytes);
    assert_int_equal(mr_fs_write_file(here->fs, at(here, "no/a"), "", 0, &err), MR_NOT_FOUND);
}

/* A random sequence of writes and truncations against an array. */
static void keeps_any_sequence(const place *here)
{
    enum { SPACE = 8192 };
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(11);
    static uint8_t model[SPACE], seen[SPACE];
    memset(model, 0, sizeof model);
    uint64_t size = 0;
    mr_file *file = open_file(here, "a", MR_OPEN_NEW);
    for (uint64_t i = 0; i < mr_test_rounds(2000); i++) {
        uint64_t from = mr_random_below(&random, SPACE),
                 to = from + mr_random_below(&random, SPACE - from);
        if (mr_random_below(&random, 8) == 0) {
            assert_ok(mr_file_truncate(file, from, &err), &err);
            if (from < size)
                memset(model + from, 0, size - from);
            size = from;
        } else if (to > from) {
            for (uint64_t k = from; k < to; k++)
                model[k] = (uint8_t)mr_random_next(&random);
            assert_ok(mr_file_write(file, from, model + from, to - from, &err), &err);
            size = size > to ? size : to;
        }
        if (mr_random_below(&random, 16) == 0)
            assert_ok(mr_file_sync(file, &err), &err);
        size_t got;
        assert_ok(mr_file_read(file, 0, seen, SPACE, &got, &err), &err);
        assert_int_equal(got, size);
        assert_memory_equal(seen, model, size);
    }
    mr_file_close(file);
}

/* Memory may fail at any allocation: the call says so, and nothing leaks. */
static void survives_failing_memory(const place *here)
{
    mr_error err = {0};
    mr_status status = MR_NO_MEMORY;
    for (int64_t n = 0; status != MR_OK; n++) {
        mr_bytes bytes = {0};
        (void)mr_memory_fail_after(n, false);
        status = mr_fs_write_file(here->fs, at(here, "a"), "content", 7, &err);
        if (status == MR_OK)
            status = mr_fs_make_folder(here->fs, at(here, "f/g/h"), &err);
        if (status == MR_OK)
            status = mr_fs_read_file(here->fs, at(here, "a"), 0, &bytes, &err);
        if (status == MR_OK)
            status = mr_fs_remove_tree(here->fs, at(here, "f"), &err);
        (void)mr_memory_fail_after(-1, false);
        mr_bytes_deinit(&bytes);
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
        assert_in_range(n, 0, 200);
    }
}

static void (*const promises[])(const place *) = {
    opens_as_asked,     reads_what_was_written,    truncates_and_grows_with_zeros,
    maps_written_bytes, locks_for_one_holder,      lists_sorted,
    renames_over,       makes_and_removes_folders, writes_files_at_once,
    keeps_any_sequence, survives_failing_memory,
};

TEST(fs, real_files_keep_the_contract)
{
    for (size_t i = 0; i < sizeof promises / sizeof promises[0]; i++) {
        place here = {.fs = mr_fs_real()};
        (void)snprintf(here.root, sizeof here.root, "%s", mr_test_folder());
        promises[i](&here);
    }
}

TEST(fs, simulated_files_keep_the_contract)
{
    for (size_t i = 0; i < sizeof promises / sizeof promises[0]; i++) {
        mr_error err = {0};
        mr_fs_sim *sim;
        const mr_fs_sim_options options = {.seed = mr_test_seed() + i};
        assert_ok(mr_fs_sim_create(&options, &sim, &err), &err);
        place here = {.fs = mr_fs_sim_fs(sim), .root = "/home/here"};
        assert_ok(mr_fs_make_folder(here.fs, here.root, &err), &err);
        promises[i](&here);
        mr_fs_sim_destroy(sim);
    }
}

/* ---- the same calls, side by side ---- */

static mr_status act(const place *here, uint64_t verb, const char *from, const char *to,
                     mr_open_mode mode)
{
    mr_file *file;
    mr_file_info info;
    mr_status status;
    switch (verb) {
    case 0:
        return mr_fs_rename(here->fs, at(here, from), at(here, to), NULL);
    case 1:
        return mr_fs_remove(here->fs, at(here, from), NULL);
    case 2:
        return mr_fs_make_folder(here->fs, at(here, from), NULL);
    case 3:
        return mr_fs_write_file(here->fs, at(here, from), to, strlen(to), NULL);
    case 4:
        return mr_fs_info(here->fs, at(here, from), &info, NULL);
    case 5:
        return mr_fs_sync_dir(here->fs, at(here, from), NULL);
    default:
        status = mr_fs_open(here->fs, at(here, from), mode, &file, NULL);
        mr_file_close(file);
        return status;
    }
}

/* Every name and content below a folder as one text. */
static void describe(const place *here, const char *folder, mr_bytes *out)
{
    mr_error err = {0};
    char **names, path[256];
    size_t count;
    assert_ok(mr_fs_list(here->fs, at(here, folder), &names, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        mr_file_info info;
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_ok(mr_fs_info(here->fs, at(here, path), &info, &err), &err);
        mr_bytes_printf(out, "%s%s", path, info.is_folder ? "/\n" : " ");
        if (info.is_folder) {
            describe(here, path, out);
            continue;
        }
        mr_bytes content = {0};
        assert_ok(mr_fs_read_file(here->fs, at(here, path), 0, &content, &err), &err);
        mr_bytes_printf(out, "%.*s\n", (int)content.size,
                        content.size > 0 ? (char *)content.data : "");
        mr_bytes_deinit(&content);
    }
    mr_fs_free_names(names, count);
}

/* Folders are renamed only where they are: the one thing the simulation leaves out. */
static bool is_simulated(const place *here, uint64_t verb, const char *from, const char *to)
{
    const char *from_leaf = strrchr(from, '/'), *to_leaf = strrchr(to, '/');
    bool same_folder =
        from_leaf - from == to_leaf - to && memcmp(from, to, (size_t)(to_leaf - to)) == 0;
    mr_file_info info;
    return verb != 0 || same_folder || mr_fs_info(here->fs, at(here, from), &info, NULL) != MR_OK ||
           !info.is_folder;
}

TEST(fs, simulated_names_behave_like_real_ones)
{
    static const char *const paths[] = {"./a",   "./b",     "./f",   "./f/a",   "./f/b",
                                        "./f/g", "./f/g/a", "./a/b", "./f/.//g"};
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(12);
    uint64_t seen[MR_STATUS_COUNT] = {0};
    for (uint64_t round = 0; round < mr_test_rounds(6); round++) {
        mr_fs_sim *sim;
        const mr_fs_sim_options options = {.seed = round};
        assert_ok(mr_fs_sim_create(&options, &sim, &err), &err);
        place real = {.fs = mr_fs_real()}, simulated = {.fs = mr_fs_sim_fs(sim), .root = "/here"};
        (void)snprintf(real.root, sizeof real.root, "%s", mr_test_folder());
        assert_ok(mr_fs_make_folder(simulated.fs, simulated.root, &err), &err);
        for (int i = 0; i < 200; i++) {
            uint64_t verb = mr_random_below(&random, 8);
            const size_t path_count = sizeof paths / sizeof paths[0];
            const char *from = paths[mr_random_below(&random, path_count)];
            const char *to = paths[mr_random_below(&random, path_count)];
            mr_open_mode mode = (mr_open_mode)mr_random_below(&random, 4);
            if (!is_simulated(&real, verb, from, to))
                continue;
            mr_status wanted = act(&real, verb, from, to, mode),
                      got = act(&simulated, verb, from, to, mode);
            /* Why a rename is refused is for people; that it is must be the same. */
            if (verb == 0 ? (wanted == MR_OK) != (got == MR_OK) : wanted != got)
                fail_msg("verb %d, %s to %s, mode %d: real %s, simulated %s", (int)verb, from, to,
                         (int)mode, mr_status_name(wanted), mr_status_name(got));
            seen[wanted]++;
        }
        mr_bytes texts[2] = {0};
        describe(&real, ".", &texts[0]);
        describe(&simulated, ".", &texts[1]);
        assert_string_equal(mr_bytes_text(&texts[0]), mr_bytes_text(&texts[1]));
        mr_bytes_deinit(&texts[0]);
        mr_bytes_deinit(&texts[1]);
        mr_fs_sim_destroy(sim);
    }
    assert_true(seen[MR_OK] > 0 && seen[MR_NOT_FOUND] > 0 && seen[MR_EXISTS] > 0 &&
                seen[MR_CONFLICT] > 0);
}
