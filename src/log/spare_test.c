/* spare_test.c -- the next segment is made before it is needed, and nobody sees it until then. */
#include "log/log_test.h"

#include "base/assert.h"
#include "os/clock.h"
#include "os/fs_sim.h"

#include <stdio.h>
#include <string.h>

#define FOLDER "/home/topics/default/default/t/partition-0"

typedef struct spare_bed {
    mr_fs_sim *disk;
    mr_clock_sim clock;
    mr_log *log;
    mr_topic *topic;
    mr_schema *schema;
    log_model model;
} spare_bed;

static void open_bed(spare_bed *bed)
{
    mr_error err = {0};
    assert_ok(mr_log_open(mr_fs_sim_fs(bed->disk), &bed->clock.clock, "/home", &bed->log, &err),
              &err);
}

static void make_bed(spare_bed *bed, mr_log_sync sync)
{
    *bed = (spare_bed){.schema = log_test_plain_schema()};
    mr_error err = {0};
    mr_fs_sim_options fair = {.seed = 3};
    mr_topic_options options = {.sync = sync, .segment_bytes = 64 << 10};
    assert_ok(mr_fs_sim_create(&fair, &bed->disk, &err), &err);
    mr_clock_sim_init(&bed->clock, 1000000);
    open_bed(bed);
    assert_ok(mr_topic_create(bed->log, "t", &options, bed->schema, &err), &err);
    assert_ok(mr_topic_open(bed->log, "t", &bed->topic, &err), &err);
}

static void close_log(spare_bed *bed)
{
    mr_topic_close(bed->topic);
    mr_log_close(bed->log);
}

static void free_bed(spare_bed *bed)
{
    close_log(bed);
    log_model_deinit(&bed->model);
    mr_schema_release(bed->schema);
    mr_fs_sim_destroy(bed->disk);
}

static bool spare_exists(spare_bed *bed)
{
    return mr_fs_exists(mr_fs_sim_fs(bed->disk), FOLDER "/spare.seg");
}

static mr_partition_stat stat_of(spare_bed *bed)
{
    mr_partition_stat stat;
    mr_error err = {0};
    assert_ok(mr_topic_stat(bed->topic, 0, &stat, &err), &err);
    return stat;
}

/* Ten rows, committed, and what a moment later is done beside the flow. */
static void send(spare_bed *bed)
{
    mr_error err = {0};
    mr_batch *batch = log_test_plain_batch(bed->schema, (int64_t)bed->model.end_offset, 10);
    mr_append what = {.batch = batch};
    mr_appended done;
    int64_t next_ns;
    assert_ok(mr_topic_append_commit(bed->topic, 0, &what, &done, &err), &err);
    log_model_add(&bed->model, batch);
    mr_batch_release(batch);
    mr_clock_sim_advance(&bed->clock, 1000000);
    assert_ok(mr_log_tick(bed->log, &next_ns, &err), &err);
}

static void send_until(spare_bed *bed, uint32_t segments)
{
    for (int i = 0; stat_of(bed).segment_count < segments; i++) {
        assert_true(i < 10000);
        send(bed);
    }
}

TEST(spare, segments_begin_in_room_that_was_made_before)
{
    static const mr_log_sync policies[] = {MR_LOG_SYNC_ALWAYS, MR_LOG_SYNC_INTERVAL,
                                           MR_LOG_SYNC_OS};
    for (size_t i = 0; i < MR_COUNT_OF(policies); i++) {
        spare_bed bed;
        make_bed(&bed, policies[i]);
        bool seen = false;
        while (stat_of(&bed).segment_count < 6) {
            seen = seen || spare_exists(&bed);
            send(&bed);
        }
        assert_true(seen);
        mr_error err = {0};
        assert_ok(mr_topic_sync(bed.topic, 0, &err), &err);
        log_model_verify(&bed.model, bed.topic, 0, 0);
        free_bed(&bed);
    }
}

TEST(spare, the_first_segments_are_small_and_grow)
{
    spare_bed bed;
    make_bed(&bed, MR_LOG_SYNC_ALWAYS);
    send_until(&bed, 2);
    assert_true(stat_of(&bed).bytes < 32 << 10); /* a segment holds 64 KiB */
    send_until(&bed, 5);
    assert_true(stat_of(&bed).bytes > 64 << 10);
    free_bed(&bed);
}

TEST(spare, is_gone_after_a_clean_end_and_zeros_with_it)
{
    spare_bed bed;
    make_bed(&bed, MR_LOG_SYNC_ALWAYS);
    send_until(&bed, 3);
    uint64_t bytes = stat_of(&bed).bytes;
    close_log(&bed);
    assert_false(spare_exists(&bed));
    mr_error err = {0};
    char **names;
    size_t count;
    uint64_t on_disk = 0;
    assert_ok(mr_fs_list(mr_fs_sim_fs(bed.disk), FOLDER, &names, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        char path[256];
        mr_file_info info;
        (void)snprintf(path, sizeof path, FOLDER "/%s", names[i]);
        assert_ok(mr_fs_info(mr_fs_sim_fs(bed.disk), path, &info, &err), &err);
        on_disk += strstr(names[i], ".seg") != NULL ? info.size : 0;
    }
    mr_fs_free_names(names, count);
    assert_int_equal(on_disk, bytes);
    open_bed(&bed);
    assert_ok(mr_topic_open(bed.log, "t", &bed.topic, &err), &err);
    log_model_verify(&bed.model, bed.topic, 0, 0);
    free_bed(&bed);
}

TEST(spare, a_crash_leaves_zeros_that_are_no_damage)
{
    spare_bed bed;
    mr_error err = {0};
    make_bed(&bed, MR_LOG_SYNC_ALWAYS);
    for (uint32_t life = 2; life < 6; life++) {
        send_until(&bed, life);
        mr_fs_sim_crash(bed.disk);
        close_log(&bed);
        open_bed(&bed);
        assert_ok(mr_topic_open(bed.log, "t", &bed.topic, &err), &err);
        assert_ok(mr_topic_open_writer(bed.topic, 0, NULL, NULL, &err), &err);
        assert_false(spare_exists(&bed));
        assert_int_equal(stat_of(&bed).recovered_cut_bytes, 0);
        assert_int_equal(stat_of(&bed).recovered_damage_count, 0);
        log_model_verify(&bed.model, bed.topic, 0, 0);
    }
    free_bed(&bed);
}

TEST(spare, a_full_disk_does_without)
{
    spare_bed bed;
    make_bed(&bed, MR_LOG_SYNC_ALWAYS);
    mr_fs_sim_fail_after(bed.disk, MR_FS_RESERVE, 0, MR_FULL, true);
    send_until(&bed, 3);
    assert_false(spare_exists(&bed));
    assert_true(stat_of(&bed).bytes > 2 * (63 << 10)); /* no segment ended early */
    log_model_verify(&bed.model, bed.topic, 0, 0);
    free_bed(&bed);
}
