/* bundle_test.c -- an artifact goes out and comes back the same; what is hostile is refused and leaves nothing. */
#include "registry/bundle.h"
#include "registry/registry_test.h"
#include "registry/tar.h"
#include "test/test.h"

#include "base/assert.h"
#include "model/artifact.h"

#include <stdio.h>
#include <string.h>

#define HASH "283f4215a309e265aad870ae34a61bc7d6417f8083f880f9bc9eda98e8798b57"

static mr_fs_sim *disk_with_artifact(mr_error *err)
{
    mr_fs_sim *disk;
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = 3}, &disk, err), err);
    assert_ok(mr_fs_make_folder(mr_fs_sim_fs(disk), "/made", err), err);
    assert_ok(registry_test_artifact(mr_fs_sim_fs(disk), "/made/1", 1, err), err);
    return disk;
}

TEST(bundle, what_went_out_comes_back)
{
    mr_error err = {0};
    mr_fs_sim *disk = disk_with_artifact(&err);
    mr_fs *fs = mr_fs_sim_fs(disk);
    char hash[MR_SHA256_TEXT_BYTES], again[MR_SHA256_TEXT_BYTES], said[MR_SHA256_TEXT_BYTES];
    char name[MR_BUNDLE_NAME_MAX];
    assert_ok(mr_artifact_hash(fs, "/made/1", hash, NULL, &err), &err);
    assert_ok(mr_bundle_write(fs, "/made/1", "fraud", hash, "/a.tar.zst", &err), &err);
    assert_int_equal(mr_bundle_write(fs, "/made/1", "fraud", hash, "/a.tar.zst", &err), MR_EXISTS);
    assert_ok(mr_bundle_read(fs, "/a.tar.zst", "/back", name, said, &err), &err);
    assert_ok(mr_artifact_hash(fs, "/back", again, NULL, &err), &err);
    assert_string_equal(name, "fraud");
    assert_string_equal(said, hash);
    assert_string_equal(again, hash);
    mr_fs_sim_destroy(disk);
}

TEST(bundle, every_cut_is_refused_and_leaves_nothing)
{
    mr_error err = {0};
    mr_fs_sim *disk = disk_with_artifact(&err);
    mr_fs *fs = mr_fs_sim_fs(disk);
    mr_bytes whole = {0};
    char said[MR_SHA256_TEXT_BYTES], name[MR_BUNDLE_NAME_MAX];
    assert_ok(mr_bundle_write(fs, "/made/1", "fraud", HASH, "/a.tar.zst", &err), &err);
    assert_ok(mr_fs_read_file(fs, "/a.tar.zst", 0, &whole, &err), &err);
    for (size_t size = 0; size < whole.size; size++) {
        assert_ok(mr_fs_write_file(fs, "/cut", whole.data, size, &err), &err);
        mr_error_clear(&err);
        mr_status status = mr_bundle_read(fs, "/cut", "/back", name, said, &err);
        if (status == MR_OK)
            fail_msg("the first %zu of %zu bytes were taken for whole", size, whole.size);
        assert_true(err.text[0] != '\0');
        assert_false(mr_fs_exists(fs, "/back"));
    }
    mr_bytes_deinit(&whole);
    mr_fs_sim_destroy(disk);
}

/* ---- hostile entries ---- */

typedef struct hostile {
    const char *name, *says;
    char type;
    const char *size; /* NULL: of "x" */
    bool twice, no_end, bad_sum;
} hostile;

static void put_sum(uint8_t *block)
{
    uint32_t sum = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < MR_TAR_BLOCK_BYTES; i++)
        sum += block[i];
    (void)snprintf((char *)block + 148, 8, "%06o", sum);
}

static void put_entry(const hostile *h, mr_bytes *out)
{
    uint8_t block[MR_TAR_BLOCK_BYTES];
    mr_error err = {0};
    assert_ok(mr_tar_encode(h->name, 1, block, &err), &err);
    block[156] = (uint8_t)h->type;
    if (h->size != NULL)
        memcpy(block + 124, h->size, strlen(h->size) + 1);
    put_sum(block);
    if (h->bad_sum)
        block[0] ^= 1;
    mr_bytes_append(out, block, sizeof block);
    mr_bytes_append(out, "x", 1);
    mr_bytes_pad(out, MR_TAR_BLOCK_BYTES);
}

TEST(bundle, hostile_entries_are_refused_by_name)
{
#define TOP "fraud@" HASH "/"
    static const hostile cases[] = {
        {"../model.json", "the tar's folder .. is not NAME@HASH", '0', NULL, false, false, false},
        {"/etc/passwd", "an artifact has no file of that name", '0', NULL, false, false, false},
        {"model.json", "is not in the one folder", '0', NULL, false, false, false},
        {TOP "../x", "an artifact has no file of that name", '0', NULL, false, false, false},
        {TOP "a/b", "an artifact has no file of that name", '0', NULL, false, false, false},
        {TOP ".hidden", "an artifact has no file of that name", '0', NULL, false, false, false},
        {TOP "", "an artifact has no file of that name", '0', NULL, false, false, false},
        {TOP "x", "is of type 0x32", '2', NULL, false, false, false},
        {TOP "x", "is of type 0x31", '1', NULL, false, false, false},
        {TOP "x", "is of type 0x78", 'x', NULL, false, false, false},
        {TOP "x", "is there twice", '0', NULL, true, false, false},
        {TOP "x", "ends at byte 1024", '0', NULL, false, true, false},
        {TOP "x", "checksum of a tar header", '0', NULL, false, false, true},
        {TOP "x", "its size is no octal number", '0', "\200\0\0\0\0\0\0\0\0\0\1", false, false,
         false},
        {TOP "x", "its size is no octal number", '0', "0000000009x", false, false, false},
        {TOP "x", "in the middle", '0', "77777777777", false, false, false},
        {TOP "d/", "an artifact has no file of that name", '5', "00000000000", false, false, false},
        {"fraud@123/x", "is not NAME@HASH", '0', NULL, false, false, false},
    };
    mr_error err = {0};
    mr_fs_sim *disk = disk_with_artifact(&err);
    mr_fs *fs = mr_fs_sim_fs(disk);
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        char said[MR_SHA256_TEXT_BYTES], name[MR_BUNDLE_NAME_MAX];
        static const uint8_t zeros[2 * MR_TAR_BLOCK_BYTES];
        mr_bytes tar = {0};
        put_entry(&cases[i], &tar);
        if (cases[i].twice)
            put_entry(&cases[i], &tar);
        if (!cases[i].no_end)
            mr_bytes_append(&tar, zeros, sizeof zeros);
        assert_ok(mr_fs_write_file(fs, "/hostile.tar", tar.data, tar.size, &err), &err);
        mr_error_clear(&err);
        mr_status status = mr_bundle_read(fs, "/hostile.tar", "/back", name, said, &err);
        if (status == MR_OK || strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu, %s: %s: %s", i, cases[i].name, mr_status_name(status), err.text);
        assert_false(mr_fs_exists(fs, "/back"));
        mr_bytes_deinit(&tar);
    }
    mr_fs_sim_destroy(disk);
}

TEST(bundle, a_home_takes_what_another_gave_and_refuses_what_was_changed)
{
    mr_error err = {0};
    mr_fs_sim *disk = disk_with_artifact(&err);
    mr_fs *fs = mr_fs_sim_fs(disk);
    mr_clock_sim clock;
    registry_life life;
    mr_registry_ref ref, again;
    bool is_new;
    mr_clock_sim_init(&clock, INT64_C(1700000000000000));
    assert_ok(registry_life_open(&life, fs, &clock, &err), &err);
    assert_ok(mr_registry_publish(life.registry, "fraud", "/made/1", NULL, &ref, NULL, &err), &err);
    assert_ok(mr_registry_export(life.registry, &ref, "/a.tar.zst", &err), &err);
    assert_ok(mr_registry_import(life.registry, "/a.tar.zst", "copy", NULL, &again, &is_new, &err),
              &err);
    assert_true(is_new);
    assert_string_equal(again.hash, ref.hash);
    /* A bundle that claims another hash. */
    assert_ok(mr_bundle_write(fs, "/made/1", "fraud", HASH, "/lie.tar.zst", &err), &err);
    uint64_t end = mr_registry_end(life.registry);
    assert_int_equal(
        mr_registry_import(life.registry, "/lie.tar.zst", NULL, NULL, &again, &is_new, &err),
        MR_CORRUPT);
    assert_non_null(strstr(err.text, HASH));
    assert_int_equal(mr_registry_end(life.registry), end);
    registry_life_close(&life);
    mr_fs_sim_destroy(disk);
}
