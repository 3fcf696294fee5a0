/* segment_fuzz.c -- any bytes as the files of a partition: taken over, read to the end and scrubbed, with every
 * byte accounted for: read, reported damaged, or cut.
 *
 * The first byte says which file of a small healthy topic the rest replaces or is written over. */
#include "log/log.h"

#include "base/assert.h"
#include "os/fs_sim.h"
#include "test/fuzz.h"

#include <string.h>

#define FOLDER "/home/topics/default/default/t/"

static const char *const files[] = {
    FOLDER "partition-0/00000000000000000000.seg",
    FOLDER "partition-0/00000000000000000000.idx",
    FOLDER "partition-0/tail",
    FOLDER "topic",
    FOLDER "schemas",
    FOLDER "positions/p",
};

/* One sealed segment and one open one, five blocks of two records each. */
static void fill(mr_log *log)
{
    static const char text[] = "at: timestamp, note: string null";
    mr_schema *schema;
    mr_topic *topic;
    mr_builder builder = {0};
    mr_topic_options options = {.segment_bytes = 4096, .event_time = "at"};
    MR_ASSERT(mr_schema_parse(text, sizeof text - 1, &schema, NULL) == MR_OK);
    MR_ASSERT(mr_topic_create(log, "t", &options, schema, NULL) == MR_OK);
    MR_ASSERT(mr_topic_open(log, "t", &topic, NULL) == MR_OK);
    for (int i = 0; i < 10; i++) {
        mr_batch *batch;
        MR_ASSERT(mr_builder_init(&builder, schema, NULL) == MR_OK);
        mr_builder_int64(&builder.columns[0], i);
        mr_builder_text(&builder.columns[1], "hello", 5);
        mr_builder_int64(&builder.columns[0], i + 1);
        mr_builder_null(&builder.columns[1]);
        MR_ASSERT(mr_builder_finish(&builder, &batch, NULL) == MR_OK);
        mr_builder_deinit(&builder);
        mr_append what = {.batch = batch,
                          .producer_id = 3,
                          .sequence_first = (uint64_t)i,
                          .sequence_next = (uint64_t)i + 1};
        mr_appended out;
        MR_ASSERT(mr_topic_append_commit(topic, 0, &what, &out, NULL) == MR_OK);
        mr_batch_release(batch);
    }
    uint64_t offset = 4;
    MR_ASSERT(mr_position_commit(topic, "p", &offset, 1, NULL) == MR_OK);
    mr_topic_close(topic);
    mr_schema_release(schema);
}

static void spoil(mr_fs *fs, const uint8_t *data, size_t size)
{
    mr_file *file;
    size_t which = data[0] % MR_COUNT_OF(files);
    bool over = data[0] >= 128; /* written over what is there, from a place the input names */
    uint64_t at = over && size > 2 ? (uint64_t)data[1] * 16 : 0;
    MR_ASSERT(mr_fs_open(fs, files[which], MR_OPEN_CREATE, &file, NULL) == MR_OK);
    if (!over)
        MR_ASSERT(mr_file_truncate(file, 0, NULL) == MR_OK);
    MR_ASSERT(mr_file_write(file, at, data + 1, size - 1, NULL) == MR_OK);
    mr_file_close(file);
}

/* Offsets go up without a gap that was not reported. */
static void read_all(mr_topic *topic)
{
    mr_log_reader *reader;
    mr_error err = {0};
    if (mr_log_reader_open(topic, 0, (mr_log_start){0}, NULL, &reader, &err) != MR_OK)
        return;
    uint64_t offset = mr_log_reader_offset(reader);
    for (;;) {
        mr_log_block block;
        mr_log_damage damage;
        mr_status status = mr_log_reader_next(reader, &block, &err);
        if (status == MR_OK) {
            MR_ASSERT(block.base_offset == offset && block.next_offset > offset);
            offset = block.next_offset;
            mr_log_block_release(&block);
        } else if (status == MR_CORRUPT && mr_log_reader_damage(reader, &damage)) {
            MR_ASSERT(damage.first_offset == offset && damage.end_offset >= offset);
            MR_ASSERT(mr_log_reader_skip_damage(reader, &err) == MR_OK);
            offset = damage.end_offset;
        } else {
            break;
        }
    }
    MR_ASSERT(offset <= mr_log_reader_end(reader) || mr_log_reader_end(reader) == 0);
    mr_log_reader_close(reader);
}

static void use(mr_log *log)
{
    mr_topic *topic;
    mr_error err = {0};
    mr_scrub_report report = {0};
    uint64_t offset;
    mr_partition_stat stat;
    if (mr_topic_open(log, "t", &topic, &err) != MR_OK)
        return;
    read_all(topic);
    (void)mr_topic_offset_of_time(topic, 0, 3, &offset, &err);
    (void)mr_position_get(topic, "p", &offset, 1, &err);
    (void)mr_topic_open_writer(topic, 0, NULL, NULL, &err);
    read_all(topic);
    (void)mr_log_scrub(log, "t", NULL, &report, &err);
    (void)mr_topic_stat(topic, 0, &stat, &err);
    mr_topic_close(topic);
}

FUZZ(segment)
{
    if (size < 2 || size > 65536)
        return 0;
    mr_fs_sim *disk;
    mr_fs_sim_options options = {.seed = 1};
    mr_clock_sim clock;
    mr_log *log;
    mr_clock_sim_init(&clock, 1);
    MR_ASSERT(mr_fs_sim_create(&options, &disk, NULL) == MR_OK);
    MR_ASSERT(mr_log_open(mr_fs_sim_fs(disk), &clock.clock, "/home", &log, NULL) == MR_OK);
    fill(log);
    spoil(mr_fs_sim_fs(disk), data, size);
    use(log);
    mr_log_close(log);
    mr_fs_sim_destroy(disk);
    return 0;
}
