/* log_test.c -- topics, appending, reading, positions: the whole room against a naive model. */
#include "log/log_test.h"

#include "base/assert.h"
#include "os/fs_sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- random data ---- */

mr_schema *log_test_schema(mr_random_seeded *random, uint32_t extra_max)
{
    mr_field fields[16] = {{.name = "at", .type = {MR_TIMESTAMP, 0}, .nullable = true}};
    char names[16][8];
    uint32_t extra = (uint32_t)mr_random_below(random, extra_max + 1);
    for (uint32_t i = 1; i <= extra; i++) {
        (void)snprintf(names[i], sizeof names[i], "c%u", i);
        mr_type_id id = (mr_type_id)mr_random_below(random, MR_TYPE_COUNT);
        fields[i] =
            (mr_field){.name = names[i],
                       .type = {id, id == MR_VECTOR ? 1 + (uint32_t)mr_random_below(random, 5) : 0},
                       .nullable = mr_random_below(random, 2) == 0};
    }
    mr_schema *schema;
    mr_error err = {0};
    assert_ok(mr_schema_create(fields, extra + 1, &schema, &err), &err);
    return schema;
}

mr_schema *log_test_plain_schema(void)
{
    static const char text[] = "at: timestamp, id: int64, amount: float64, note: string null";
    mr_schema *schema;
    mr_error err = {0};
    assert_ok(mr_schema_parse(text, sizeof text - 1, &schema, &err), &err);
    return schema;
}

static void push_random(mr_random_seeded *random, mr_builder_column *column)
{
    uint8_t noise[64];
    float floats[8];
    switch (column->type.id) {
    case MR_BOOL:
        mr_builder_bool(column, mr_random_below(random, 2) == 1);
        break;
    case MR_INT32:
        mr_builder_int32(column, (int32_t)mr_random_next(random));
        break;
    case MR_INT64:
        mr_builder_int64(column, (int64_t)mr_random_below(random, 100));
        break;
    case MR_TIMESTAMP:
        mr_builder_int64(column, (int64_t)mr_random_below(random, 1000000));
        break;
    case MR_FLOAT32:
        mr_builder_float32(column, (float)mr_random_unit(random));
        break;
    case MR_FLOAT64:
        mr_builder_float64(column, mr_random_unit(random));
        break;
    case MR_VECTOR:
        for (uint32_t i = 0; i < column->type.width; i++)
            floats[i] = (float)mr_random_unit(random);
        mr_builder_vector(column, floats);
        break;
    default:
        memset(noise, 'a' + (int)mr_random_below(random, 26), sizeof noise);
        mr_builder_text(column, noise, mr_random_below(random, sizeof noise));
    }
}

static mr_batch *build(mr_random_seeded *random, mr_schema *schema, uint32_t rows)
{
    mr_builder builder = {0};
    mr_batch *batch;
    mr_error err = {0};
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t i = 0; i < schema->field_count; i++) {
            mr_builder_column *column = &builder.columns[i];
            if (column->nullable && mr_random_below(random, 4) == 0)
                mr_builder_null(column);
            else
                push_random(random, column);
        }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    return batch;
}

mr_batch *log_test_batch(mr_random_seeded *random, mr_schema *schema, uint32_t rows)
{
    if (mr_random_below(random, 3) > 0)
        return build(random, schema, rows);
    uint32_t before = (uint32_t)mr_random_below(random, 20);
    mr_batch *whole = build(random, schema, before + rows + 3), *slice;
    mr_error err = {0};
    assert_ok(mr_batch_slice(whole, before, rows, &slice, &err), &err);
    mr_batch_release(whole);
    return slice;
}

mr_batch *log_test_plain_batch(mr_schema *schema, int64_t first, uint32_t rows)
{
    mr_builder builder = {0};
    mr_batch *batch;
    mr_error err = {0};
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (int64_t id = first; id < first + rows; id++) {
        char note[32];
        int bytes = snprintf(note, sizeof note, "note %" PRId64, id);
        mr_builder_int64(&builder.columns[0], id * 1000);
        mr_builder_int64(&builder.columns[1], id);
        mr_builder_float64(&builder.columns[2], (double)id / 4);
        if (id % 7 == 0)
            mr_builder_null(&builder.columns[3]);
        else
            mr_builder_text(&builder.columns[3], note, (size_t)bytes);
    }
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    return batch;
}

/* ---- the naive log ---- */

void log_model_add(log_model *model, mr_batch *batch)
{
    if (model->count == model->capacity) {
        model->capacity = MR_MAX(16, model->capacity * 2);
        model->entries = mr_realloc(model->entries, model->capacity * sizeof *model->entries);
        assert_non_null(model->entries);
    }
    model->entries[model->count].batch = mr_batch_retain(batch);
    model->entries[model->count++].base_offset = model->end_offset;
    model->end_offset += batch->row_count;
}

void log_model_deinit(log_model *model)
{
    for (size_t i = 0; i < model->count; i++)
        mr_batch_release(model->entries[i].batch);
    mr_free(model->entries);
    *model = (log_model){0};
}

static bool matches_piece(mr_batch *expected, size_t from, const mr_batch *batch, size_t at,
                          size_t rows)
{
    mr_batch *adapted = NULL, *left = NULL, *right = NULL;
    mr_error err = {0};
    assert_ok(mr_batch_adapt(expected, batch->schema, &adapted, &err), &err);
    assert_ok(mr_batch_slice(adapted, from, rows, &left, &err), &err);
    assert_ok(mr_batch_slice(batch, at, rows, &right, &err), &err);
    bool equal = mr_batch_equal(left, right);
    mr_batch_release(adapted);
    mr_batch_release(left);
    mr_batch_release(right);
    return equal;
}

bool log_model_matches(const log_model *model, uint64_t offset, const mr_batch *batch)
{
    uint64_t end = offset + batch->row_count;
    if (end > model->end_offset)
        return false;
    for (size_t i = 0; i < model->count; i++) {
        mr_batch *expected = model->entries[i].batch;
        uint64_t base = model->entries[i].base_offset;
        uint64_t from = MR_MAX(base, offset), to = MR_MIN(base + expected->row_count, end);
        if (from < to && !matches_piece(expected, from - base, batch, from - offset, to - from))
            return false;
    }
    return true;
}

void log_model_verify(const log_model *model, mr_topic *topic, uint32_t partition, uint64_t from)
{
    mr_error err = {0};
    mr_log_reader *reader;
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = from};
    assert_ok(mr_log_reader_open(topic, partition, start, NULL, &reader, &err), &err);
    uint64_t offset = from;
    for (;;) {
        mr_log_block block;
        mr_status status = mr_log_reader_next(reader, &block, &err);
        if (status == MR_END)
            break;
        assert_ok(status, &err);
        assert_int_equal(block.base_offset, offset);
        assert_true(log_model_matches(model, offset, block.batch));
        offset = block.next_offset;
        mr_log_block_release(&block);
    }
    assert_int_equal(offset, model->end_offset);
    mr_log_reader_close(reader);
}

/* ---- set-up ---- */

static mr_log *open_log(const char *home)
{
    mr_log *log;
    mr_error err = {0};
    assert_ok(mr_log_open(mr_fs_real(), mr_clock_real(), home, &log, &err), &err);
    return log;
}

/* Where many appends are committed: a disk that does not make them wait. */
static mr_log *open_log_on(mr_fs_sim *disk)
{
    mr_log *log;
    mr_error err = {0};
    assert_ok(mr_log_open(mr_fs_sim_fs(disk), mr_clock_real(), "/home", &log, &err), &err);
    return log;
}

static mr_fs_sim *make_disk(void)
{
    mr_fs_sim *disk;
    mr_error err = {0};
    mr_fs_sim_options fair = {.seed = 1};
    assert_ok(mr_fs_sim_create(&fair, &disk, &err), &err);
    return disk;
}

static mr_topic *open_topic(mr_log *log, const char *name)
{
    mr_topic *topic;
    mr_error err = {0};
    assert_ok(mr_topic_open(log, name, &topic, &err), &err);
    return topic;
}

static mr_topic *make_topic(mr_log *log, const char *name, const mr_topic_options *options,
                            mr_schema *schema)
{
    mr_error err = {0};
    assert_ok(mr_topic_create(log, name, options, schema, &err), &err);
    return open_topic(log, name);
}

static uint64_t append(mr_topic *topic, mr_batch *batch)
{
    mr_error err = {0};
    mr_appended out;
    mr_append what = {.batch = batch};
    assert_ok(mr_topic_append_commit(topic, 0, &what, &out, &err), &err);
    return out.base_offset;
}

/* ---- names ---- */

TEST(log, resolves_names)
{
    char full[MR_TOPIC_NAME_MAX];
    mr_error err = {0};
    assert_ok(mr_topic_name_resolve("payments", full, &err), &err);
    assert_string_equal(full, "default/default/payments");
    assert_ok(mr_topic_name_resolve("bank/cards/payments", full, &err), &err);
    assert_string_equal(full, "bank/cards/payments");
    static const char *const bad[] = {"",        "a/b",    "a/b/c/d", "a//c", "/a/b",
                                      ".hidden", "a/../c", "a b/c/d", "ü",    "a/b/c/"};
    for (size_t i = 0; i < MR_COUNT_OF(bad); i++)
        assert_int_equal(mr_topic_name_resolve(bad[i], full, &err), MR_INVALID);
    char longest[400];
    memset(longest, 'x', sizeof longest);
    longest[100] = longest[201] = '/';
    longest[302] = '\0';
    assert_ok(mr_topic_name_resolve(longest, full, &err), &err);
    longest[302] = 'x';
    longest[303] = '\0';
    assert_int_equal(mr_topic_name_resolve(longest, full, &err), MR_INVALID);
}

/* ---- life of a topic ---- */

TEST(log, creates_lists_and_deletes_topics)
{
    mr_log *log = open_log(mr_test_folder());
    mr_schema *schema = log_test_plain_schema();
    mr_error err = {0};
    mr_topic_options options = {.partition_count = 3, .event_time = "at"};
    assert_ok(mr_topic_create(log, "b", &options, schema, &err), &err);
    assert_ok(mr_topic_create(log, "bank/cards/a", NULL, schema, &err), &err);
    assert_int_equal(mr_topic_create(log, "b", NULL, schema, &err), MR_EXISTS);
    char **names;
    size_t count;
    assert_ok(mr_topic_list(log, NULL, &names, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "bank/cards/a");
    assert_string_equal(names[1], "default/default/b");
    mr_fs_free_names(names, count);
    assert_ok(mr_topic_list(log, "bank", &names, &count, &err), &err);
    assert_int_equal(count, 1);
    mr_fs_free_names(names, count);
    mr_topic *topic = open_topic(log, "b");
    assert_int_equal(mr_topic_partitions(topic), 3);
    assert_int_equal(mr_topic_delete(log, "b", &err), MR_BUSY);
    mr_topic_close(topic);
    assert_ok(mr_topic_delete(log, "b", &err), &err);
    assert_int_equal(mr_topic_open(log, "b", &topic, &err), MR_NOT_FOUND);
    assert_int_equal(mr_topic_delete(log, "b", &err), MR_NOT_FOUND);
    assert_ok(mr_topic_create(log, "b", NULL, schema, &err), &err);
    mr_schema_release(schema);
    mr_log_close(log);
}

TEST(log, refuses_impossible_topics)
{
    mr_log *log = open_log(mr_test_folder());
    mr_schema *schema = log_test_plain_schema();
    mr_error err = {0};
    mr_topic_options options = {.event_time = "id"};
    assert_int_equal(mr_topic_create(log, "t", &options, schema, &err), MR_INVALID);
    assert_non_null(strstr(err.text, "must be timestamp"));
    options = (mr_topic_options){.event_time = "nothing"};
    assert_int_equal(mr_topic_create(log, "t", &options, schema, &err), MR_INVALID);
    options = (mr_topic_options){.partition_count = MR_TOPIC_PARTITIONS_MAX + 1};
    assert_int_equal(mr_topic_create(log, "t", &options, schema, &err), MR_INVALID);
    options = (mr_topic_options){.segment_bytes = 1};
    assert_int_equal(mr_topic_create(log, "t", &options, schema, &err), MR_INVALID);
    mr_topic *topic;
    assert_int_equal(mr_topic_open(log, "t", &topic, &err), MR_NOT_FOUND);
    mr_schema_release(schema);
    mr_log_close(log);
}

TEST(log, keeps_options_and_refuses_to_change_fixed_ones)
{
    const char *home = mr_test_folder();
    mr_log *log = open_log(home);
    mr_schema *schema = log_test_plain_schema();
    mr_error err = {0};
    mr_topic_options options = {.event_time = "at",
                                .sync = MR_LOG_SYNC_INTERVAL,
                                .sync_interval_ms = 25,
                                .codec = MR_LOG_CODEC_ZSTD,
                                .codec_level = 3,
                                .retention_bytes = 12345678901,
                                .retention_age_ms = 86400000};
    mr_topic *topic = make_topic(log, "t", &options, schema);
    options = mr_topic_get_options(topic);
    options.codec = MR_LOG_CODEC_LZ4;
    assert_ok(mr_topic_set_options(topic, &options, &err), &err);
    options.partition_count = 2;
    assert_int_equal(mr_topic_set_options(topic, &options, &err), MR_CONFLICT);
    mr_topic_close(topic);
    mr_log_close(log);
    log = open_log(home);
    topic = open_topic(log, "t");
    options = mr_topic_get_options(topic);
    assert_int_equal(options.partition_count, 1);
    assert_int_equal(options.codec, MR_LOG_CODEC_LZ4);
    assert_int_equal(options.sync, MR_LOG_SYNC_INTERVAL);
    assert_int_equal(options.sync_interval_ms, 25);
    assert_int_equal(options.retention_bytes, 12345678901);
    assert_string_equal(options.event_time, "at");
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(log);
}

/* ---- append and read ---- */

static void run_property(uint64_t seed)
{
    mr_random_seeded random = mr_test_random(seed);
    mr_fs_sim *disk = make_disk();
    mr_log *log = open_log_on(disk);
    mr_schema *schema = log_test_schema(&random, 6);
    mr_topic_options options = {.event_time = "at",
                                .codec = (mr_log_codec)mr_random_below(&random, MR_LOG_CODEC_COUNT),
                                .segment_bytes = 4096 + mr_random_below(&random, 60000)};
    mr_topic *topic = make_topic(log, "t", &options, schema);
    log_model model = {0};
    for (int i = 0; i < 60; i++) {
        mr_batch *batch = log_test_batch(&random, schema, (uint32_t)mr_random_below(&random, 80));
        assert_int_equal(append(topic, batch), model.end_offset);
        log_model_add(&model, batch);
        mr_batch_release(batch);
        if (mr_random_below(&random, 20) == 0) {
            mr_topic_close(topic);
            topic = open_topic(log, "t");
        }
        if (mr_random_below(&random, 8) == 0)
            log_model_verify(&model, topic, 0, mr_random_below(&random, model.end_offset + 1));
    }
    log_model_verify(&model, topic, 0, 0);
    mr_topic_close(topic);
    topic = open_topic(log, "t");
    log_model_verify(&model, topic, 0, 0);
    log_model_deinit(&model);
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(log);
    mr_fs_sim_destroy(disk);
}

TEST(log, reads_back_what_was_appended)
{
    for (uint64_t seed = 0; seed < mr_test_rounds(60); seed++)
        run_property(seed);
}

TEST(log, hands_out_large_blocks_in_slices)
{
    mr_log *log = open_log(mr_test_folder());
    mr_schema *schema = log_test_plain_schema();
    mr_topic *topic = make_topic(log, "t", NULL, schema);
    mr_batch *batch = log_test_plain_batch(schema, 0, 100);
    log_model model = {0};
    (void)append(topic, batch);
    log_model_add(&model, batch);
    mr_log_reader *reader;
    mr_error err = {0};
    mr_log_reader_options options = {.rows_max = 30};
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = 5};
    assert_ok(mr_log_reader_open(topic, 0, start, &options, &reader, &err), &err);
    static const uint32_t sizes[] = {30, 30, 30, 5};
    uint64_t offset = 5;
    for (size_t i = 0; i < MR_COUNT_OF(sizes); i++) {
        mr_log_block block;
        assert_ok(mr_log_reader_next(reader, &block, &err), &err);
        assert_int_equal(block.batch->row_count, sizes[i]);
        assert_int_equal(block.base_offset, offset);
        assert_int_equal(block.block_offset, 0);
        assert_int_equal(block.block_rows, 100);
        assert_true(log_model_matches(&model, offset, block.batch));
        offset = block.next_offset;
        mr_log_block_release(&block);
    }
    mr_log_block block;
    assert_int_equal(mr_log_reader_next(reader, &block, &err), MR_END);
    mr_log_reader_close(reader);
    mr_batch_release(batch);
    log_model_deinit(&model);
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(log);
}

TEST(log, carries_annotations_and_empty_blocks)
{
    mr_log *log = open_log(mr_test_folder());
    mr_schema *schema = log_test_plain_schema();
    mr_topic *topic = make_topic(log, "t", NULL, schema);
    mr_batch *none = log_test_plain_batch(schema, 0, 0), *some = log_test_plain_batch(schema, 0, 3);
    mr_error err = {0};
    mr_appended out;
    mr_append what = {.batch = none,
                      .annotation = "hello",
                      .annotation_bytes = 5,
                      .producer_id = 9,
                      .sequence_next = 7};
    assert_ok(mr_topic_append_commit(topic, 0, &what, &out, &err), &err);
    what = (mr_append){.batch = some, .annotation = "world!", .annotation_bytes = 6};
    assert_ok(mr_topic_append_commit(topic, 0, &what, &out, &err), &err);
    assert_int_equal(out.base_offset, 0);
    mr_log_reader_options options = {.empty_blocks = true};
    mr_log_reader *reader;
    mr_log_block block;
    assert_ok(mr_log_reader_open(topic, 0, (mr_log_start){0}, &options, &reader, &err), &err);
    assert_ok(mr_log_reader_next(reader, &block, &err), &err);
    assert_int_equal(block.batch->row_count, 0);
    assert_int_equal(block.sequence_next, 7);
    assert_memory_equal(block.annotation, "hello", 5);
    mr_log_block_release(&block);
    assert_ok(mr_log_reader_next(reader, &block, &err), &err);
    assert_int_equal(block.batch->row_count, 3);
    assert_int_equal(block.annotation_bytes, 6);
    mr_log_reader_close(reader);
    assert_memory_equal(block.annotation, "world!", 6); /* outlives its reader */
    mr_log_block_release(&block);
    what.annotation_bytes = MR_LOG_ANNOTATION_MAX + 1;
    assert_int_equal(mr_topic_append(topic, 0, &what, &out, &err), MR_INVALID);
    mr_batch_release(none);
    mr_batch_release(some);
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(log);
}

TEST(log, refuses_nulls_where_the_schema_has_none)
{
    mr_log *log = open_log(mr_test_folder());
    mr_schema *schema = log_test_plain_schema();
    mr_topic *topic = make_topic(log, "t", NULL, schema);
    mr_builder builder = {0};
    mr_batch *batch;
    mr_error err = {0};
    assert_ok(mr_builder_init(&builder, schema, &err), &err);
    for (uint32_t i = 0; i < schema->field_count; i++)
        mr_builder_null(&builder.columns[i]);
    assert_ok(mr_builder_finish(&builder, &batch, &err), &err);
    mr_builder_deinit(&builder);
    mr_append what = {.batch = batch};
    mr_appended out;
    assert_int_equal(mr_topic_append(topic, 0, &what, &out, &err), MR_INVALID);
    assert_string_equal(err.text, "column at may not be NULL and is in 1 of 1 rows");
    mr_batch_release(batch);
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(log);
}

TEST(log, offsets_out_of_range_are_told)
{
    mr_log *log = open_log(mr_test_folder());
    mr_schema *schema = log_test_plain_schema();
    mr_topic *topic = make_topic(log, "t", NULL, schema);
    mr_log_reader *reader;
    mr_error err = {0};
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = 1};
    assert_int_equal(mr_log_reader_open(topic, 0, start, NULL, &reader, &err), MR_NOT_FOUND);
    assert_non_null(strstr(err.text, "not written yet; the end is 0"));
    assert_string_equal(err.place, "default/default/t/0@1");
    assert_int_equal(mr_log_reader_open(topic, 1, start, NULL, &reader, &err), MR_INVALID);
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(log);
}

/* ---- schema versions ---- */

static mr_schema *parse_schema(const char *text)
{
    mr_schema *schema;
    mr_error err = {0};
    assert_ok(mr_schema_parse(text, strlen(text), &schema, &err), &err);
    return schema;
}

static mr_batch *one_row(mr_schema *schema, int32_t id)
{
    mr_random_seeded random = mr_test_random((uint64_t)id);
    return build(&random, schema, 1);
}

TEST(log, follows_schema_versions)
{
    const char *home = mr_test_folder();
    mr_log *log = open_log(home);
    mr_schema *v1 = parse_schema("id: int32"), *v2 = parse_schema("id: int64, note: string null"),
              *bad = parse_schema("id: string");
    mr_topic *topic = make_topic(log, "t", NULL, v1);
    mr_batch *old = one_row(v1, 1), *new = one_row(v2, 2), *wrong = one_row(bad, 3);
    log_model model = {0};
    (void)append(topic, old);
    mr_log_reader *early, *fixed;
    mr_error err = {0};
    mr_log_reader_options options = {.schema = v1};
    assert_ok(mr_log_reader_open(topic, 0, (mr_log_start){0}, NULL, &early, &err), &err);
    assert_ok(mr_log_reader_open(topic, 0, (mr_log_start){0}, &options, &fixed, &err), &err);
    (void)append(topic, new);
    (void)append(topic, old); /* a writer that was not told yet */
    log_model_add(&model, old);
    log_model_add(&model, new);
    log_model_add(&model, old);
    mr_append what = {.batch = wrong};
    mr_appended out;
    assert_int_equal(mr_topic_append(topic, 0, &what, &out, &err), MR_CONFLICT);
    assert_non_null(strstr(err.text, "id: int64 cannot become string"));
    uint32_t id;
    mr_schema *newest;
    assert_ok(mr_topic_schema(topic, &newest, &id, &err), &err);
    assert_int_equal(id, 2);
    assert_true(mr_schema_equal(newest, v2));
    mr_schema_release(newest);
    log_model_verify(&model, topic, 0, 0);
    for (int i = 0; i < 3; i++) { /* the early reader goes over to version 2 when it comes */
        mr_log_block block;
        assert_ok(mr_log_reader_next(early, &block, &err), &err);
        assert_true(mr_schema_equal(block.batch->schema, i == 0 ? v1 : v2));
        mr_log_block_release(&block);
    }
    mr_log_block block;
    assert_ok(mr_log_reader_next(fixed, &block, &err), &err);
    mr_log_block_release(&block);
    assert_int_equal(mr_log_reader_next(fixed, &block, &err),
                     MR_CONFLICT); /* int64 does not fit int32 */
    mr_log_reader_close(early);
    mr_log_reader_close(fixed);
    mr_topic_close(topic);
    mr_log_close(log);
    log = open_log(home);
    topic = open_topic(log, "t");
    log_model_verify(&model, topic, 0, 0);
    mr_topic_close(topic);
    mr_log_close(log);
    log_model_deinit(&model);
    mr_batch_release(old);
    mr_batch_release(new);
    mr_batch_release(wrong);
    mr_schema_release(v1);
    mr_schema_release(v2);
    mr_schema_release(bad);
}

/* ---- event time ---- */

static uint64_t naive_offset_of_time(const log_model *model, int64_t event_time)
{
    for (size_t i = 0; i < model->count; i++) {
        const mr_batch *batch = model->entries[i].batch;
        const mr_column *at = &batch->columns[0];
        for (uint32_t row = 0; row < batch->row_count; row++)
            if (!mr_column_is_null(at, row) && ((const int64_t *)at->values)[row] >= event_time)
                return model->entries[i].base_offset + row;
    }
    return model->end_offset;
}

TEST(log, finds_offsets_by_event_time)
{
    for (uint64_t seed = 0; seed < mr_test_rounds(25); seed++) {
        mr_random_seeded random = mr_test_random(1000 + seed);
        mr_fs_sim *disk = make_disk();
        mr_log *log = open_log_on(disk);
        mr_schema *schema = log_test_schema(&random, 2);
        mr_topic_options options = {.event_time = "at",
                                    .segment_bytes = 4096 + mr_random_below(&random, 9000)};
        mr_topic *topic = make_topic(log, "t", &options, schema);
        log_model model = {0};
        for (int i = 0; i < 40; i++) {
            mr_batch *batch =
                log_test_batch(&random, schema, (uint32_t)mr_random_below(&random, 12));
            (void)append(topic, batch);
            log_model_add(&model, batch);
            mr_batch_release(batch);
        }
        mr_error err = {0};
        for (int i = 0; i < 40; i++) {
            int64_t t = i < 20 ? (int64_t)mr_random_below(&random, 1100000) : 990000 + i * 500;
            uint64_t offset;
            assert_ok(mr_topic_offset_of_time(topic, 0, t, &offset, &err), &err);
            assert_int_equal(offset, naive_offset_of_time(&model, t));
        }
        log_model_deinit(&model);
        mr_topic_close(topic);
        mr_schema_release(schema);
        mr_log_close(log);
        mr_fs_sim_destroy(disk);
    }
}

/* ---- producers ---- */

static mr_status send(mr_topic *topic, mr_batch *batch, uint32_t epoch, uint64_t first,
                      uint64_t next, bool gaps, mr_appended *out)
{
    mr_error err = {0};
    mr_append what = {.batch = batch,
                      .producer_id = 42,
                      .producer_epoch = epoch,
                      .sequence_first = first,
                      .sequence_next = next,
                      .gaps_allowed = gaps};
    return mr_topic_append_commit(topic, 0, &what, out, &err);
}

TEST(log, stores_a_producers_sequence_once)
{
    const char *home = mr_test_folder();
    mr_log *log = open_log(home);
    mr_schema *schema = log_test_plain_schema();
    mr_topic_options options = {.segment_bytes = 4096};
    mr_topic *topic = make_topic(log, "t", &options, schema);
    mr_batch *batch = log_test_plain_batch(schema, 0, 10);
    mr_appended out;
    mr_error err = {0};
    uint32_t epoch;
    uint64_t next;
    assert_int_equal(mr_topic_producer(topic, 0, 42, &epoch, &next, &err), MR_NOT_FOUND);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(send(topic, batch, 1, i * 10, i * 10 + 10, false, &out), MR_OK);
        assert_false(out.duplicate);
        assert_int_equal(out.base_offset, i * 10);
        if (i == 5) {
            mr_topic_close(topic);
            topic = open_topic(log, "t");
        }
        assert_int_equal(send(topic, batch, 1, i * 10, i * 10 + 10, false, &out), MR_OK);
        assert_true(out.duplicate);
        assert_int_equal(out.base_offset, i * 10);
        assert_int_equal(out.end_offset, i * 10 + 10);
    }
    assert_int_equal(send(topic, batch, 1, 0, 10, false, &out),
                     MR_OK); /* long forgotten where it went */
    assert_true(out.duplicate);
    assert_int_equal(out.base_offset, MR_LOG_OFFSET_NONE);
    assert_int_equal(send(topic, batch, 1, 95, 105, false, &out), MR_CONFLICT);  /* overlap */
    assert_int_equal(send(topic, batch, 1, 110, 120, false, &out), MR_CONFLICT); /* gap */
    assert_int_equal(send(topic, batch, 0, 100, 110, false, &out), MR_CONFLICT); /* fenced */
    assert_int_equal(send(topic, batch, 2, 110, 120, true, &out), MR_OK);
    assert_int_equal(send(topic, batch, 1, 120, 130, true, &out), MR_CONFLICT); /* fenced by 2 */
    mr_append restart = {.batch = batch,
                         .producer_id = 42,
                         .producer_epoch = 3,
                         .sequence_next = 4,
                         .sequence_restarts = true};
    assert_ok(mr_topic_append_commit(topic, 0, &restart, &out, &err), &err);
    assert_false(out.duplicate);
    assert_ok(mr_topic_producer(topic, 0, 42, &epoch, &next, &err), &err);
    assert_int_equal(epoch, 3);
    assert_int_equal(next, 4);
    mr_partition_stat stat;
    assert_ok(mr_topic_stat(topic, 0, &stat, &err), &err);
    assert_int_equal(stat.end_offset, 120);
    assert_true(stat.segment_count > 2);
    mr_batch_release(batch);
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(log);
}

/* ---- two processes ---- */

TEST(log, one_process_writes_and_others_follow)
{
    const char *home = mr_test_folder();
    mr_log *here = open_log(home),
           *there = open_log(home); /* locks tell the two apart as two processes */
    mr_schema *schema = log_test_plain_schema();
    mr_topic_options options = {.segment_bytes = 8192, .event_time = "at"};
    mr_topic *writer = make_topic(here, "t", &options, schema), *follower = open_topic(there, "t");
    mr_error err = {0};
    mr_log_reader *reader;
    assert_ok(mr_log_reader_open(follower, 0, (mr_log_start){0}, NULL, &reader, &err), &err);
    log_model model = {0};
    mr_log_block block;
    uint64_t offset = 0;
    for (int64_t i = 0; i < 30; i++) {
        assert_int_equal(mr_log_reader_next(reader, &block, &err), MR_END);
        mr_batch *batch = log_test_plain_batch(schema, i * 20, 20);
        mr_append what = {.batch = batch};
        mr_appended out;
        assert_ok(mr_topic_append(writer, 0, &what, &out, &err), &err);
        assert_int_equal(mr_log_reader_next(reader, &block, &err),
                         MR_END); /* written, not durable */
        assert_ok(mr_topic_commit(writer, 0, out.end_offset, &err), &err);
        assert_ok(mr_log_reader_wait(&reader, 1, 0, &err), &err);
        log_model_add(&model, batch);
        assert_ok(mr_log_reader_next(reader, &block, &err), &err);
        assert_true(log_model_matches(&model, offset, block.batch));
        offset = block.next_offset;
        mr_log_block_release(&block);
        if (i == 7)
            assert_int_equal(mr_topic_append(follower, 0, &what, &out, &err), MR_BUSY);
        mr_batch_release(batch);
    }
    log_model_verify(&model, follower, 0, 123);
    uint64_t found;
    assert_ok(mr_topic_offset_of_time(follower, 0, 555500, &found, &err), &err);
    assert_int_equal(found, 556);
    mr_topic_close(writer);
    mr_batch *batch = log_test_plain_batch(schema, 600, 20); /* the other one takes over */
    assert_int_equal(append(follower, batch), 600);
    assert_ok(mr_log_reader_next(reader, &block, &err), &err);
    mr_log_block_release(&block);
    mr_batch_release(batch);
    log_model_deinit(&model);
    mr_log_reader_close(reader);
    mr_topic_close(follower);
    mr_schema_release(schema);
    mr_log_close(here);
    mr_log_close(there);
}

/* ---- policies ---- */

TEST(log, interval_and_os_policies_show_records_when_they_say)
{
    mr_clock_sim clock;
    mr_clock_sim_init(&clock, 1000000);
    mr_log *log;
    mr_error err = {0};
    assert_ok(mr_log_open(mr_fs_real(), &clock.clock, mr_test_folder(), &log, &err), &err);
    mr_schema *schema = log_test_plain_schema();
    mr_topic_options options = {.sync = MR_LOG_SYNC_INTERVAL, .sync_interval_ms = 20};
    mr_topic *topic = make_topic(log, "t", &options, schema);
    mr_batch *batch = log_test_plain_batch(schema, 0, 5);
    mr_log_reader *reader;
    mr_log_block block;
    assert_ok(mr_log_reader_open(topic, 0, (mr_log_start){0}, NULL, &reader, &err), &err);
    (void)append(topic, batch);
    assert_int_equal(mr_log_reader_next(reader, &block, &err), MR_END);
    int64_t next_ns;
    mr_clock_sim_advance(&clock, 19000000);
    assert_ok(mr_log_tick(log, &next_ns, &err), &err);
    assert_int_equal(next_ns, 1000000);
    assert_int_equal(mr_log_reader_next(reader, &block, &err), MR_END);
    mr_clock_sim_advance(&clock, 1000000);
    assert_ok(mr_log_tick(log, &next_ns, &err), &err);
    assert_int_equal(next_ns, INT64_MAX);
    assert_ok(mr_log_reader_next(reader, &block, &err), &err);
    mr_log_block_release(&block);
    options = mr_topic_get_options(topic);
    options.sync = MR_LOG_SYNC_OS;
    assert_ok(mr_topic_set_options(topic, &options, &err), &err);
    (void)append(topic, batch);
    assert_ok(mr_log_reader_next(reader, &block, &err), &err);
    mr_log_block_release(&block);
    mr_partition_stat stat;
    assert_ok(mr_topic_stat(topic, 0, &stat, &err), &err);
    assert_int_equal(stat.end_offset, 10);
    assert_int_equal(stat.durable_offset, 5);
    assert_ok(mr_topic_sync(topic, 0, &err), &err);
    assert_ok(mr_topic_stat(topic, 0, &stat, &err), &err);
    assert_int_equal(stat.durable_offset, 10);
    int64_t before = clock.now_ns;
    assert_int_equal(mr_log_reader_wait(&reader, 1, 5000, &err), MR_END);
    assert_int_equal(clock.now_ns, before + 5000); /* simulated waiting does not block */
    mr_log_reader_close(reader);
    mr_batch_release(batch);
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(log);
}

/* ---- positions ---- */

TEST(log, positions_are_kept)
{
    const char *home = mr_test_folder();
    mr_log *log = open_log(home);
    mr_schema *schema = log_test_plain_schema();
    mr_topic_options options = {.partition_count = 3};
    mr_topic *topic = make_topic(log, "t", &options, schema);
    mr_error err = {0};
    uint64_t offsets[3] = {7, MR_LOG_OFFSET_NONE, 9};
    assert_int_equal(mr_position_get(topic, "audit", offsets, 3, &err), MR_NOT_FOUND);
    assert_ok(mr_position_commit(topic, "audit", offsets, 3, &err), &err);
    assert_ok(mr_position_commit(topic, "billing", offsets, 2, &err), &err);
    mr_topic_close(topic);
    topic = open_topic(log, "t");
    memset(offsets, 0, sizeof offsets);
    assert_ok(mr_position_get(topic, "audit", offsets, 3, &err), &err);
    assert_int_equal(offsets[0], 7);
    assert_int_equal(offsets[1], MR_LOG_OFFSET_NONE);
    assert_int_equal(offsets[2], 9);
    assert_ok(mr_position_get(topic, "billing", offsets, 3, &err), &err);
    assert_int_equal(offsets[2], MR_LOG_OFFSET_NONE);
    char **names;
    size_t count;
    assert_ok(mr_position_list(topic, &names, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_string_equal(names[1], "billing");
    mr_fs_free_names(names, count);
    assert_ok(mr_position_delete(topic, "audit", &err), &err);
    assert_int_equal(mr_position_get(topic, "audit", offsets, 3, &err), MR_NOT_FOUND);
    assert_int_equal(mr_position_commit(topic, "../x", offsets, 3, &err), MR_INVALID);
    assert_int_equal(mr_position_commit(topic, "x", offsets, 4, &err), MR_INVALID);
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(log);
}

/* ---- splitting ---- */

TEST(log, splits_batches_by_key)
{
    mr_random_seeded random = mr_test_random(5);
    mr_schema *schema = parse_schema("k: int64 null, v: int64, s: string");
    mr_batch *batch = build(&random, schema, 500), *parts[7];
    mr_error err = {0};
    assert_ok(mr_partition_split(batch, "k", 7, parts, &err), &err);
    uint32_t total = 0;
    int64_t owner[100];
    memset(owner, -1, sizeof owner);
    for (int64_t p = 0; p < 7; p++) {
        if (parts[p] == NULL)
            continue;
        total += parts[p]->row_count;
        for (uint32_t row = 0; row < parts[p]->row_count; row++) {
            if (mr_column_is_null(&parts[p]->columns[0], row)) {
                assert_int_equal(p, 0);
                continue;
            }
            int64_t key = ((const int64_t *)parts[p]->columns[0].values)[row];
            assert_true(owner[key] == -1 || owner[key] == p);
            owner[key] = p;
        }
        mr_batch_release(parts[p]);
    }
    assert_int_equal(total, 500);
    assert_int_equal(mr_partition_split(batch, "nothing", 7, parts, &err), MR_INVALID);
    mr_batch_release(batch);
    mr_schema_release(schema);
}
