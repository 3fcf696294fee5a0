/* log_reader_test.c -- the format as documented, read by another program: test/log_reader.py prints what was
 * appended, record by record. */
#include "log/log.h"
#include "test/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const char schema_text[] =
    "at: timestamp, n: int32 null, big: int64, half: float32, x: float64 null, ok: bool, "
    "name: string null, raw: bytes, v: vector(2)";

/* Floats end in .5 and .25, so that every printer of shortest digits agrees. */
static void add_row(mr_builder *builder, int64_t i, mr_bytes *expected)
{
    mr_builder_column *columns = builder->columns;
    char name[32];
    const uint8_t raw[2] = {(uint8_t)i, 0xfe};
    const float v[2] = {(float)i + 0.5f, (float)-i - 0.25f};
    int bytes = snprintf(name, sizeof name, "\xc3\xa9-%" PRId64, i);
    mr_bytes_printf(expected, "{\"offset\": %" PRId64 ", \"at\": %" PRId64 ", ", i, i * 1000000);
    mr_builder_int64(&columns[0], i * 1000000);
    if (i % 3 == 0)
        mr_builder_null(&columns[1]);
    else
        mr_builder_int32(&columns[1], (int32_t)-i);
    mr_bytes_printf(expected, i % 3 == 0 ? "\"n\": null, " : "\"n\": %" PRId64 ", ", -i);
    mr_builder_int64(&columns[2], INT64_MAX - i);
    mr_builder_float32(&columns[3], (float)i + 0.5f);
    mr_bytes_printf(expected, "\"big\": %" PRId64 ", \"half\": %" PRId64 ".5, ", INT64_MAX - i, i);
    if (i % 5 == 0)
        mr_builder_null(&columns[4]);
    else
        mr_builder_float64(&columns[4], (double)i + 0.25);
    mr_bytes_printf(expected, i % 5 == 0 ? "\"x\": null, " : "\"x\": %" PRId64 ".25, ", i);
    mr_builder_bool(&columns[5], i % 2 == 0);
    mr_bytes_printf(expected, "\"ok\": %s, ", i % 2 == 0 ? "true" : "false");
    if (i % 4 == 0)
        mr_builder_null(&columns[6]);
    else
        mr_builder_text(&columns[6], name, (size_t)bytes);
    mr_bytes_printf(expected, i % 4 == 0 ? "\"name\": null, " : "\"name\": \"%s\", ", name);
    mr_builder_text(&columns[7], raw, 2);
    mr_builder_vector(&columns[8], v);
    mr_bytes_printf(expected, "\"raw\": \"%02xfe\", \"v\": [%" PRId64 ".5, -%" PRId64 ".25]}\n",
                    (unsigned)raw[0], i, i);
}

static void run_reader(const char *folder, mr_bytes *out, int *out_exit)
{
    char command[MR_PATH_MAX * 2], piece[4096];
    (void)snprintf(command, sizeof command,
                   "PYTHONIOENCODING=utf-8 python3 test/log_reader.py %s 2>&1", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    for (size_t size; (size = fread(piece, 1, sizeof piece, pipe)) > 0;)
        mr_bytes_append(out, piece, size);
    int how = pclose(pipe);
    assert_true(WIFEXITED(how));
    *out_exit = WEXITSTATUS(how);
}

static void write_topic(const char *home, mr_log_codec codec, mr_bytes *expected)
{
    mr_log *log;
    mr_topic *topic;
    mr_schema *schema;
    mr_error err = {0};
    mr_topic_options options = {.codec = codec, .segment_bytes = 30000, .event_time = "at"};
    assert_ok(mr_schema_parse(schema_text, strlen(schema_text), &schema, &err), &err);
    assert_ok(mr_log_open(mr_fs_real(), mr_clock_real(), home, &log, &err), &err);
    assert_ok(mr_topic_create(log, "t", &options, schema, &err), &err);
    assert_ok(mr_topic_open(log, "t", &topic, &err), &err);
    int64_t next = 0;
    for (uint32_t rows = 0; rows < 60; rows += 3) {
        mr_builder builder = {0};
        mr_batch *batch;
        mr_appended out;
        assert_ok(mr_builder_init(&builder, schema, &err), &err);
        for (uint32_t row = 0; row < rows; row++)
            add_row(&builder, next++, expected);
        assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
        mr_append what = {.batch = batch,
                          .annotation = "for the reader to pass over",
                          .annotation_bytes = rows % 2 == 0 ? 27 : 0,
                          .producer_id = 1 + rows % 2,
                          .sequence_first = rows,
                          .sequence_next = rows + 6};
        assert_ok(mr_topic_append(topic, 0, &what, &out, &err), &err);
        mr_batch_release(batch);
        mr_builder_deinit(&builder);
    }
    assert_ok(mr_topic_sync(topic, 0, &err), &err);
    mr_topic_close(topic);
    mr_log_close(log);
    mr_schema_release(schema);
}

static void compare(mr_log_codec codec)
{
    const char *home = mr_test_folder();
    char folder[MR_PATH_MAX];
    mr_bytes expected = {0}, found = {0};
    int exit_code;
    write_topic(home, codec, &expected);
    (void)snprintf(folder, sizeof folder, "%s/topics/default/default/t", home);
    run_reader(folder, &found, &exit_code);
    assert_string_equal(mr_bytes_text(&found), mr_bytes_text(&expected));
    assert_int_equal(exit_code, 0);
    mr_bytes_deinit(&found);
    mr_bytes_deinit(&expected);
}

TEST(log_reader, another_program_reads_plain_blocks)
{
    compare(MR_LOG_CODEC_NONE);
}

TEST(log_reader, another_program_reads_lz4_blocks)
{
    compare(MR_LOG_CODEC_LZ4);
}

TEST(log_reader, another_program_reads_zstd_blocks)
{
    if (system("python3 -c 'import zstandard' 2>/dev/null || "
               "python3 -c 'import compression.zstd' 2>/dev/null") != 0) {
        print_message("log_reader: this Python has no zstd module\n");
        skip();
    }
    compare(MR_LOG_CODEC_ZSTD);
}

TEST(log_reader, another_program_finds_the_same_damage)
{
    const char *home = mr_test_folder();
    char path[MR_PATH_MAX];
    mr_bytes expected = {0}, found = {0};
    mr_error err = {0};
    mr_file *file;
    uint8_t byte;
    int exit_code;
    write_topic(home, MR_LOG_CODEC_NONE, &expected);
    (void)snprintf(path, sizeof path,
                   "%s/topics/default/default/t/partition-0/00000000000000000000.seg", home);
    assert_ok(mr_fs_open(mr_fs_real(), path, MR_OPEN_WRITE, &file, &err), &err);
    assert_ok(mr_file_read_exact(file, 1000, &byte, 1, &err), &err);
    byte ^= 4;
    assert_ok(mr_file_write(file, 1000, &byte, 1, &err), &err);
    mr_file_close(file);
    (void)snprintf(path, sizeof path, "%s/topics/default/default/t", home);
    run_reader(path, &found, &exit_code);
    assert_int_equal(exit_code, 6);
    assert_non_null(strstr(mr_bytes_text(&found), "partition-0: records [0, 3) cannot be read\n"));
    mr_bytes_deinit(&found);
    mr_bytes_deinit(&expected);
}
