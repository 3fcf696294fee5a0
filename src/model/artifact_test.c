/* artifact_test.c -- a model folder is whole or absent, wherever the machine dies. */
#include "test/test.h"

#include "base/assert.h"
#include "model/artifact.h"
#include "os/fs_sim.h"
#include "test/models.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void make_golden(mr_bytes *out)
{
    mr_error err = {0};
    mr_model *model;
    const char *text = MR_TEST_MODEL_XGBOOST;
    const float rows[] = {1, 0, 0, NAN, 0.25f, 1, INFINITY, -INFINITY, 3.5f};
    assert_ok(mr_model_open_bytes(text, strlen(text), NULL, &model, &err), &err);
    assert_ok(mr_artifact_golden(model, rows, 3, out, &err), &err);
    mr_model_close(model);
}

static mr_status write_model(mr_fs *fs, const mr_bytes *golden, mr_error *err)
{
    const mr_artifact_file files[] = {
        {"model.json", MR_TEST_MODEL_XGBOOST, strlen(MR_TEST_MODEL_XGBOOST)},
        {"golden.csv", golden->data, golden->size}};
    return mr_artifact_write(fs, "models/fraud", files, 2, err);
}

static mr_fs_sim *fresh_disk(uint64_t seed)
{
    mr_error err = {0};
    mr_fs_sim *sim;
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = seed}, &sim, &err), &err);
    assert_ok(mr_fs_make_folder(mr_fs_sim_fs(sim), "models", &err), &err);
    assert_ok(mr_fs_sync_dir(mr_fs_sim_fs(sim), ".", &err), &err);
    return sim;
}

/* What is there opens and reproduces its golden rows; true when something is there. */
static bool is_whole(mr_fs *fs)
{
    mr_error err = {0};
    mr_model *model;
    if (!mr_fs_exists(fs, "models/fraud"))
        return false;
    assert_true(mr_fs_exists(fs, "models/fraud/golden.csv"));
    assert_ok(mr_model_open(fs, "models/fraud", NULL, &model, &err), &err);
    mr_model_close(model);
    return true;
}

TEST(artifact, is_whole_or_absent_after_a_crash_at_any_change)
{
    mr_error err = {0};
    mr_bytes golden = {0};
    make_golden(&golden);
    bool done = false;
    size_t absent = 0;
    for (uint64_t n = 0; !done; n++) {
        for (uint64_t seed = 0; seed < 8; seed++) {
            mr_fs_sim *sim = fresh_disk(seed * 1000 + n);
            mr_fs_sim_crash_after(sim, n);
            mr_status status = write_model(mr_fs_sim_fs(sim), &golden, &err);
            done = status == MR_OK;
            mr_fs_sim_crash(sim);
            bool there = is_whole(mr_fs_sim_fs(sim));
            assert_true(there || !done); /* reported as written: it is there */
            absent += !there;
            /* What was left lying about does not hinder the next attempt. */
            if (!there)
                assert_ok(write_model(mr_fs_sim_fs(sim), &golden, &err), &err);
            assert_true(is_whole(mr_fs_sim_fs(sim)));
            mr_fs_sim_destroy(sim);
        }
    }
    assert_true(absent > 50);
    mr_bytes_deinit(&golden);
}

TEST(artifact, a_failing_disk_is_reported)
{
    static const mr_fs_op ops[] = {MR_FS_CREATE, MR_FS_WRITE,    MR_FS_SYNC,
                                   MR_FS_RENAME, MR_FS_SYNC_DIR, MR_FS_MAKE_FOLDER};
    mr_bytes golden = {0};
    make_golden(&golden);
    for (size_t i = 0; i < MR_COUNT_OF(ops); i++) {
        mr_error err = {0};
        mr_fs_sim *sim = fresh_disk(i);
        mr_fs_sim_fail_after(sim, ops[i], 0, MR_IO, false);
        assert_int_equal(write_model(mr_fs_sim_fs(sim), &golden, &err), MR_IO);
        assert_true(err.text[0] != '\0');
        mr_fs_sim_destroy(sim);
    }
    mr_bytes_deinit(&golden);
}

TEST(artifact, damaged_golden_rows_are_named)
{
    static const struct {
        const char *golden, *says;
    } cases[] = {
        {"1,0,0\n", "golden line 1, byte 6: the row has 3 fields, 4 are wanted"},
        {"1,0,0,1,1\n", "golden line 1, byte 9: the row has 5 fields, 4 are wanted"},
        {"1,0,zero,1\n", "golden line 1, byte 5: count 7d: \"zero\" is no float32"},
        {"1,0,0,0.5\n", "golden line 1, margin: 0.5 was recorded, the model now gives"},
        {"1,0,0,", "golden line 1, margin: null was recorded"},
        {"amount,night,count 7d,!margin\n1,0,0,0.5\n", "!score"},
        {"amount,night,!margin,!score\n1,0,0,0.5\n", "count 7d"},
        {"amount,night,count 7d,!margin,!score\n1,0,0,0.5,0.5\n", "golden line 2, margin: 0.5 was"},
    };
    mr_error err = {0};
    mr_model *model;
    assert_ok(mr_model_open_bytes(MR_TEST_MODEL_XGBOOST, strlen(MR_TEST_MODEL_XGBOOST), NULL,
                                  &model, &err),
              &err);
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        assert_int_equal(mr_artifact_check(model, cases[i].golden, strlen(cases[i].golden), &err),
                         MR_CORRUPT);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s", i, err.text);
    }
    mr_model_close(model);
}
