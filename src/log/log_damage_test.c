/* log_damage_test.c -- bytes that rot at rest, and what goes by intention: exact reports, nothing passed over. */
#include "log/log_test.h"

#include "base/assert.h"
#include "log/block.h"
#include "os/fs_sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTITION "/home/topics/default/default/t/partition-0/"

typedef struct bed {
    mr_fs_sim *disk;
    mr_clock_sim clock;
    mr_log *log;
    mr_schema *schema;
    mr_topic *topic;
    mr_topic_options options;
    uint64_t blocks;
} test_bed;

static void open_bed(test_bed *bed)
{
    mr_error err = {0};
    assert_ok(mr_log_open(mr_fs_sim_fs(bed->disk), &bed->clock.clock, "/home", &bed->log, &err),
              &err);
    assert_ok(mr_topic_open(bed->log, "t", &bed->topic, &err), &err);
}

static void close_bed(test_bed *bed)
{
    mr_topic_close(bed->topic);
    mr_log_close(bed->log);
}

/* Blocks of ten records, each committed. */
static void fill(test_bed *bed, int blocks)
{
    mr_error err = {0};
    for (int i = 0; i < blocks; i++) {
        mr_batch *batch = log_test_plain_batch(bed->schema, (int64_t)bed->blocks * 10, 10);
        mr_append what = {.batch = batch};
        mr_appended out;
        assert_ok(mr_topic_append_commit(bed->topic, 0, &what, &out, &err), &err);
        mr_batch_release(batch);
        bed->blocks++;
        mr_clock_sim_advance(&bed->clock, 1000000000);
    }
}

static void make_bed(test_bed *bed, uint64_t segment_bytes, int blocks)
{
    mr_error err = {0};
    mr_fs_sim_options disk = {.seed = 1};
    bed->schema = log_test_plain_schema();
    bed->options.segment_bytes = segment_bytes;
    bed->options.event_time[0] = 'a';
    bed->options.event_time[1] = 't';
    mr_clock_sim_init(&bed->clock, 1000000000);
    assert_ok(mr_fs_sim_create(&disk, &bed->disk, &err), &err);
    assert_ok(mr_log_open(mr_fs_sim_fs(bed->disk), &bed->clock.clock, "/home", &bed->log, &err),
              &err);
    assert_ok(mr_topic_create(bed->log, "t", &bed->options, bed->schema, &err), &err);
    assert_ok(mr_topic_open(bed->log, "t", &bed->topic, &err), &err);
    fill(bed, blocks);
}

static void drop_bed(test_bed *bed)
{
    close_bed(bed);
    mr_fs_sim_destroy(bed->disk);
    mr_schema_release(bed->schema);
}

static void flip(test_bed *bed, const char *file, uint64_t at)
{
    char path[256];
    mr_error err = {0};
    (void)snprintf(path, sizeof path, PARTITION "%s", file);
    assert_ok(mr_fs_sim_flip(bed->disk, path, at, 3, &err), &err);
}

/* Byte position of the n-th block in a file of blocks of ten plain records: all are equally long but for the
 * digits, so they are walked. */
static uint64_t block_at(test_bed *bed, const char *file, int n)
{
    char path[256];
    mr_bytes bytes = {0};
    mr_error err = {0};
    (void)snprintf(path, sizeof path, PARTITION "%s", file);
    assert_ok(mr_fs_read_file(mr_fs_sim_fs(bed->disk), path, 0, &bytes, &err), &err);
    uint64_t at = 64;
    for (int i = 0; i < n; i++) {
        uint32_t block_bytes;
        memcpy(&block_bytes, bytes.data + at + 16, sizeof block_bytes);
        at += block_bytes;
    }
    mr_bytes_deinit(&bytes);
    return at;
}

/* Reads all; expects exactly one damage of [first, end), and everything else. */
static void expect_damage(test_bed *bed, uint64_t first, uint64_t end)
{
    mr_error err = {0};
    mr_log_reader *reader;
    mr_log_damage damage;
    assert_ok(mr_log_reader_open(bed->topic, 0, (mr_log_start){0}, NULL, &reader, &err), &err);
    uint64_t offset = 0, damages = 0;
    for (;;) {
        mr_log_block block;
        mr_status status = mr_log_reader_next(reader, &block, &err);
        if (status == MR_END)
            break;
        if (status == MR_CORRUPT) {
            char place[64];
            (void)snprintf(place, sizeof place, "default/default/t/0@%" PRIu64, first);
            assert_string_equal(err.place, place);
            assert_int_equal(mr_log_reader_next(reader, &block, &err), MR_CORRUPT); /* it stays */
            assert_true(mr_log_reader_damage(reader, &damage));
            assert_int_equal(damage.first_offset, first);
            assert_int_equal(damage.end_offset, end);
            assert_int_equal(offset, first);
            assert_ok(mr_log_reader_skip_damage(reader, &err), &err);
            offset = end;
            damages++;
            continue;
        }
        assert_ok(status, &err);
        assert_int_equal(block.base_offset, offset);
        assert_int_equal(((const int64_t *)block.batch->columns[1].values)[0], (int64_t)offset);
        offset = block.next_offset;
        mr_log_block_release(&block);
    }
    assert_int_equal(damages, 1);
    assert_int_equal(offset, bed->blocks * 10);
    assert_int_equal(mr_log_reader_skip_damage(reader, &err), MR_INVALID);
    mr_log_reader_close(reader);
    mr_scrub_report report = {0};
    assert_ok(mr_log_scrub(bed->log, NULL, NULL, &report, &err), &err);
    assert_int_equal(report.damage_count, 1);
    assert_int_equal(report.records_damaged, end - first);
    assert_int_equal(report.records_checked, bed->blocks * 10 - (end - first));
}

static uint64_t damages_at_open(test_bed *bed)
{
    mr_error err = {0};
    mr_partition_stat stat;
    assert_ok(mr_topic_open_writer(bed->topic, 0, NULL, NULL, &err), &err);
    assert_ok(mr_topic_stat(bed->topic, 0, &stat, &err), &err);
    assert_int_equal(stat.recovered_cut_bytes, 0);
    return stat.recovered_damage_count;
}

#define FIRST_SEGMENT "00000000000000000000.seg"

TEST(log_damage, reports_a_rotten_body_exactly)
{
    test_bed bed = {0};
    make_bed(&bed, 1 << 20, 12);
    flip(&bed, FIRST_SEGMENT, block_at(&bed, FIRST_SEGMENT, 5) + 300);
    expect_damage(&bed, 50, 60);
    close_bed(&bed);
    open_bed(&bed);
    (void)damages_at_open(&bed); /* bodies known to be durable are not read on opening */
    fill(&bed, 3);
    expect_damage(&bed, 50, 60);
    drop_bed(&bed);
}

TEST(log_damage, reports_a_rotten_header_exactly)
{
    test_bed bed = {0};
    make_bed(&bed, 1 << 20, 12);
    flip(&bed, FIRST_SEGMENT, block_at(&bed, FIRST_SEGMENT, 5) + 20);
    flip(&bed, FIRST_SEGMENT, block_at(&bed, FIRST_SEGMENT, 5) + 30);
    expect_damage(&bed, 50, 60);
    close_bed(&bed);
    open_bed(&bed);
    assert_int_equal(damages_at_open(&bed), 1);
    fill(&bed, 3);
    expect_damage(&bed, 50, 60);
    drop_bed(&bed);
}

TEST(log_damage, knows_damage_from_a_torn_tail_without_the_tail_file)
{
    test_bed bed = {0};
    make_bed(&bed, 1 << 20, 12);
    close_bed(&bed);
    flip(&bed, "tail", 17); /* the blocks behind the bad one know that it was durable */
    flip(&bed, FIRST_SEGMENT, block_at(&bed, FIRST_SEGMENT, 5) + 20);
    open_bed(&bed);
    assert_int_equal(damages_at_open(&bed), 1);
    expect_damage(&bed, 50, 60);
    drop_bed(&bed);
}

TEST(log_damage, goes_on_behind_durable_records_that_are_gone_from_the_end)
{
    test_bed bed = {0};
    make_bed(&bed, 1 << 20, 12);
    close_bed(&bed);
    flip(&bed, FIRST_SEGMENT, block_at(&bed, FIRST_SEGMENT, 11) + 20);
    open_bed(&bed);
    assert_int_equal(damages_at_open(&bed), 1);
    fill(&bed, 3); /* from offset 120 on, never 110 again */
    expect_damage(&bed, 110, 120);
    drop_bed(&bed);
}

TEST(log_damage, reports_a_sealed_segment_that_ends_early)
{
    test_bed bed = {0};
    make_bed(&bed, 6000, 30);
    mr_file *file;
    mr_error err = {0};
    uint64_t at = block_at(&bed, FIRST_SEGMENT, 3);
    assert_ok(
        mr_fs_open(mr_fs_sim_fs(bed.disk), PARTITION FIRST_SEGMENT, MR_OPEN_WRITE, &file, &err),
        &err);
    assert_ok(mr_file_truncate(file, at, &err), &err);
    mr_file_close(file);
    uint64_t next;
    char **names;
    size_t count;
    assert_ok(mr_fs_list(mr_fs_sim_fs(bed.disk), "/home/topics/default/default/t/partition-0",
                         &names, &count, &err),
              &err);
    assert_true(count > 4);
    next = strtoull(names[2], NULL, 10); /* 0.idx, 0.seg, next */
    mr_fs_free_names(names, count);
    expect_damage(&bed, 30, next);
    drop_bed(&bed);
}

TEST(log_damage, a_rotten_segment_header_costs_no_record)
{
    test_bed bed = {0};
    make_bed(&bed, 1 << 20, 12);
    close_bed(&bed);
    flip(&bed, FIRST_SEGMENT, 20);
    open_bed(&bed);
    assert_int_equal(damages_at_open(&bed), 0);
    fill(&bed, 2);
    mr_error err = {0};
    mr_scrub_report report = {0};
    assert_ok(mr_log_scrub(bed.log, "t", NULL, &report, &err), &err);
    assert_int_equal(report.damage_count, 1);
    assert_int_equal(report.records_damaged, 0);
    assert_int_equal(report.records_checked, 140);
    drop_bed(&bed);
}

TEST(log_damage, rebuilds_index_files_that_are_gone_or_garbled)
{
    test_bed bed = {0};
    make_bed(&bed, 6000, 30);
    mr_error err = {0};
    for (int round = 0; round < 2; round++) {
        uint64_t offset;
        if (round == 0)
            flip(&bed, "00000000000000000000.idx", 50);
        else
            assert_ok(
                mr_fs_remove(mr_fs_sim_fs(bed.disk), PARTITION "00000000000000000000.idx", &err),
                &err);
        assert_ok(mr_topic_offset_of_time(bed.topic, 0, 7000, &offset, &err), &err);
        assert_int_equal(offset, 7);
        assert_true(mr_fs_exists(mr_fs_sim_fs(bed.disk), PARTITION "00000000000000000000.idx"));
    }
    drop_bed(&bed);
}

TEST(log_damage, a_damaged_topic_description_is_told)
{
    test_bed bed = {0};
    make_bed(&bed, 1 << 20, 2);
    close_bed(&bed);
    mr_error err = {0};
    assert_ok(mr_fs_sim_flip(bed.disk, "/home/topics/default/default/t/topic", 30, 1, &err), &err);
    assert_ok(mr_log_open(mr_fs_sim_fs(bed.disk), &bed.clock.clock, "/home", &bed.log, &err), &err);
    assert_int_equal(mr_topic_open(bed.log, "t", &bed.topic, &err), MR_CORRUPT);
    assert_non_null(strstr(err.text, "open topic default/default/t"));
    drop_bed(&bed);
}

/* ---- scrub ---- */

static bool stop_at_once(void *context, const char *topic, uint64_t done, uint64_t total)
{
    (*(int *)context)++;
    assert_string_equal(topic, "default/default/t");
    assert_true(done > 0 && done <= total);
    return false;
}

TEST(log_damage, scrub_can_be_stopped)
{
    test_bed bed = {0};
    make_bed(&bed, 6000, 30);
    mr_error err = {0};
    mr_scrub_report report = {0};
    int calls = 0;
    mr_scrub_watch watch = {.progress = stop_at_once, .context = &calls};
    assert_int_equal(mr_log_scrub(bed.log, "t", &watch, &report, &err), MR_INTERRUPTED);
    assert_int_equal(calls, 1);
    assert_int_equal(mr_log_scrub(bed.log, "none", &watch, &report, &err), MR_NOT_FOUND);
    drop_bed(&bed);
}

/* ---- retention ---- */

typedef struct guard {
    uint64_t needed; /* a checkpoint still needs what lies from here on */
    int calls;
} checkpoint_guard;

static bool may_take(void *context, mr_topic *topic, uint32_t partition, uint64_t end_offset)
{
    checkpoint_guard *guard = context;
    guard->calls++;
    assert_int_equal(partition, 0);
    assert_string_equal(mr_topic_name(topic), "default/default/t");
    return end_offset <= guard->needed;
}

static uint64_t first_offset(test_bed *bed)
{
    mr_error err = {0};
    mr_partition_stat stat;
    assert_ok(mr_topic_stat(bed->topic, 0, &stat, &err), &err);
    return stat.first_offset;
}

TEST(log_damage, retention_by_age_asks_before_it_takes)
{
    test_bed bed = {0};
    bed.options.retention_age_ms = 20500;
    make_bed(&bed, 6000, 50); /* one block a second */
    mr_error err = {0};
    checkpoint_guard guard = {.needed = 100};
    mr_log_reader *slow;
    assert_ok(mr_log_reader_open(bed.topic, 0, (mr_log_start){0}, NULL, &slow, &err), &err);
    uint64_t freed;
    assert_ok(mr_topic_retain(bed.topic, may_take, &guard, &freed, &err), &err);
    uint64_t first = first_offset(&bed);
    assert_true(freed > 0 && guard.calls > 0 && first > 0 && first <= 100);
    assert_ok(mr_topic_retain(bed.topic, NULL, NULL, &freed, &err), &err);
    first = first_offset(&bed);
    assert_true(first > 200 &&
                first <= 300); /* the last 20 blocks and what shares a segment with them */
    mr_log_block block;
    mr_status status; /* the slow reader has its segment open; then its place is gone */
    while ((status = mr_log_reader_next(slow, &block, &err)) == MR_OK)
        mr_log_block_release(&block);
    assert_int_equal(status, MR_NOT_FOUND);
    char text[128];
    (void)snprintf(text, sizeof text, "the first one kept is %" PRIu64, first);
    assert_non_null(strstr(err.text, text));
    assert_ok(mr_log_reader_seek(slow, (mr_log_start){0}, &err), &err);
    assert_int_equal(mr_log_reader_offset(slow), first);
    assert_ok(mr_log_reader_next(slow, &block, &err), &err);
    mr_log_block_release(&block);
    mr_log_reader *reader;
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = 5};
    assert_int_equal(mr_log_reader_open(bed.topic, 0, start, NULL, &reader, &err), MR_NOT_FOUND);
    start = (mr_log_start){.kind = MR_LOG_START_EVENT_TIME, .event_time = 0};
    assert_ok(mr_log_reader_open(bed.topic, 0, start, NULL, &reader, &err), &err);
    assert_int_equal(mr_log_reader_offset(reader), first);
    mr_log_reader_close(reader);
    mr_log_reader_close(slow);
    close_bed(&bed);
    open_bed(&bed);
    fill(&bed, 1);
    assert_int_equal(first_offset(&bed), first);
    drop_bed(&bed);
}

TEST(log_damage, retention_by_age_empties_an_idle_topic)
{
    test_bed bed = {0};
    bed.options.retention_age_ms = 60000;
    make_bed(&bed, 1 << 20, 5);
    mr_error err = {0};
    uint64_t freed;
    assert_ok(mr_topic_retain(bed.topic, NULL, NULL, &freed, &err), &err);
    assert_int_equal(freed, 0);
    mr_clock_sim_advance(&bed.clock, INT64_C(100000000000));
    assert_ok(mr_topic_retain(bed.topic, NULL, NULL, &freed, &err), &err);
    assert_true(freed > 0);
    mr_partition_stat stat;
    assert_ok(mr_topic_stat(bed.topic, 0, &stat, &err), &err);
    assert_int_equal(stat.first_offset, 50);
    assert_int_equal(stat.end_offset, 50);
    assert_ok(mr_topic_retain(bed.topic, NULL, NULL, &freed, &err), &err);
    assert_int_equal(freed, 0);
    close_bed(&bed);
    open_bed(&bed);
    fill(&bed, 1); /* offsets go on */
    assert_int_equal(first_offset(&bed), 50);
    drop_bed(&bed);
}

TEST(log_damage, retention_by_size_keeps_what_was_asked_for)
{
    test_bed bed = {0};
    bed.options.retention_bytes = 20000;
    make_bed(&bed, 6000, 50);
    mr_error err = {0};
    uint64_t freed;
    assert_ok(mr_topic_retain(bed.topic, NULL, NULL, &freed, &err), &err);
    mr_partition_stat stat;
    assert_ok(mr_topic_stat(bed.topic, 0, &stat, &err), &err);
    assert_true(stat.bytes >= 20000 && stat.bytes < 26000);
    assert_true(stat.event_min == (int64_t)stat.first_offset * 1000 && stat.event_max == 499000);
    drop_bed(&bed);
}

TEST(log_damage, segments_roll_by_age)
{
    test_bed bed = {0};
    bed.options.segment_age_ms = 4500;
    make_bed(&bed, 1 << 20, 20);
    mr_error err = {0};
    mr_partition_stat stat;
    assert_ok(mr_topic_stat(bed.topic, 0, &stat, &err), &err);
    assert_int_equal(stat.segment_count, 4);
    drop_bed(&bed);
}
