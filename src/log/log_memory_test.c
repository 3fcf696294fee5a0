/* log_memory_test.c -- every call of the room with the Nth allocation failing: a clean error, no leak, and the log
 * as good as before. */
#include "log/log_test.h"

#include "base/assert.h"
#include "os/fs_sim.h"

#include <string.h>

typedef struct scene {
    mr_fs *fs;
    mr_clock *clock;
    mr_schema *schema;
    mr_schema *wider;
    mr_batch *batch;
    mr_batch *wide_batch;
    mr_log *log;
    mr_topic *topic;
    mr_log_reader *reader;
} test_scene;

static mr_status append_twice(test_scene *scene, mr_error *err)
{
    mr_append what = {.batch = scene->batch,
                      .producer_id = 3,
                      .sequence_next = 5,
                      .annotation = "x",
                      .annotation_bytes = 1};
    mr_appended out;
    MR_TRY(mr_topic_append_commit(scene->topic, 0, &what, &out, err));
    what = (mr_append){.batch = scene->wide_batch};
    return mr_topic_append_commit(scene->topic, 0, &what, &out, err);
}

static mr_status read_all(test_scene *scene, mr_error *err)
{
    mr_log_reader_options options = {.rows_max = 2, .empty_blocks = true};
    MR_TRY(mr_log_reader_open(scene->topic, 0, (mr_log_start){0}, &options, &scene->reader, err));
    mr_status status;
    mr_log_block block;
    while ((status = mr_log_reader_next(scene->reader, &block, err)) == MR_OK)
        mr_log_block_release(&block);
    return status == MR_END ? MR_OK : status;
}

static mr_status look_around(test_scene *scene, mr_error *err)
{
    uint64_t offset = 1, freed;
    char **names;
    size_t count;
    mr_partition_stat stat;
    mr_scrub_report report = {0};
    MR_TRY(mr_topic_offset_of_time(scene->topic, 0, 2000, &offset, err));
    MR_TRY(mr_topic_stat(scene->topic, 0, &stat, err));
    MR_TRY(mr_topic_retain(scene->topic, NULL, NULL, &freed, err));
    MR_TRY(mr_position_commit(scene->topic, "p", &offset, 1, err));
    MR_TRY(mr_position_get(scene->topic, "p", &offset, 1, err));
    MR_TRY(mr_position_list(scene->topic, &names, &count, err));
    mr_fs_free_names(names, count);
    MR_TRY(mr_log_scrub(scene->log, NULL, NULL, &report, err));
    mr_topic_options options = mr_topic_get_options(scene->topic);
    return mr_topic_set_options(scene->topic, &options, err);
}

static mr_status split(test_scene *scene, mr_error *err)
{
    mr_batch *parts[3];
    MR_TRY(mr_partition_split(scene->batch, "id", 3, parts, err));
    for (int i = 0; i < 3; i++)
        mr_batch_release(parts[i]);
    return MR_OK;
}

static mr_status play(test_scene *scene, mr_error *err)
{
    mr_topic_options options = {
        .event_time = "at", .segment_bytes = 4096, .codec = MR_LOG_CODEC_LZ4};
    MR_TRY(mr_log_open(scene->fs, scene->clock, "/home", &scene->log, err));
    mr_status status = mr_topic_create(scene->log, "t", &options, scene->schema, err);
    if (status != MR_EXISTS)
        MR_TRY(status);
    MR_TRY(mr_topic_open(scene->log, "t", &scene->topic, err));
    for (int i = 0; i < 3; i++)
        MR_TRY(append_twice(scene, err));
    MR_TRY(read_all(scene, err));
    MR_TRY(look_around(scene, err));
    return split(scene, err);
}

static void clear(test_scene *scene)
{
    mr_log_reader_close(scene->reader);
    mr_topic_close(scene->topic);
    mr_log_close(scene->log);
    scene->reader = NULL;
    scene->topic = NULL;
    scene->log = NULL;
}

static void sweep(bool persistent)
{
    uint64_t before = mr_memory_used_bytes(); /* the disk's own memory comes and goes in between */
    mr_fs_sim *disk;
    mr_clock_sim clock;
    mr_error err = {0};
    mr_fs_sim_options options = {.seed = 4};
    mr_random_seeded random = mr_test_random(1);
    static const char wider[] =
        "at: timestamp, id: int64, amount: float64, note: string null, more: int32 null";
    mr_clock_sim_init(&clock, 1000);
    assert_ok(mr_fs_sim_create(&options, &disk, &err), &err);
    test_scene scene = {
        .fs = mr_fs_sim_fs(disk), .clock = &clock.clock, .schema = log_test_plain_schema()};
    assert_ok(mr_schema_parse(wider, sizeof wider - 1, &scene.wider, &err), &err);
    scene.batch = log_test_plain_batch(scene.schema, 0, 5);
    scene.wide_batch = log_test_batch(&random, scene.wider, 4);
    for (int64_t n = 0;; n++) {
        if (n % 7 == 0) /* from nothing, and over what is there */
            assert_ok(mr_fs_remove_tree(scene.fs, "/home", &err), &err);
        (void)mr_memory_fail_after(n, persistent);
        mr_status status = play(&scene, &err);
        uint64_t asked = mr_memory_fail_after(-1, false);
        clear(&scene);
        if (status != MR_OK)
            assert_int_equal(status, MR_NO_MEMORY);
        else if (asked <= (uint64_t)n)
            break; /* all was done and nothing failed */
        mr_clock_sim_advance(&clock, 1000000);
    }
    mr_batch_release(scene.batch);
    mr_batch_release(scene.wide_batch);
    mr_schema_release(scene.schema);
    mr_schema_release(scene.wider);
    mr_fs_sim_destroy(disk);
    assert_int_equal(mr_memory_used_bytes(), before);
}

TEST(log_memory, survives_every_failing_allocation)
{
    sweep(false);
    sweep(true);
}
