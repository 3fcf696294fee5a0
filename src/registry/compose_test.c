/* compose_test.c -- what is made of a model's file, and what is left as it was. */
#include "registry/compose.h"
#include "registry/registry_test.h"
#include "test/test.h"

#include "base/assert.h"
#include "model/artifact.h"
#include "model/facts.h"
#include "model/profile.h"
#include "test/models.h"

#include <math.h>
#include <string.h>

typedef struct scene {
    mr_fs_sim *disk;
    mr_fs *fs;
    mr_error err;
    mr_arena arena;
} scene;

static void set_up(scene *s)
{
    *s = (scene){0};
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = 1}, &s->disk, &s->err), &s->err);
    s->fs = mr_fs_sim_fs(s->disk);
    assert_ok(mr_fs_write_file(s->fs, "/best.json", MR_TEST_MODEL_XGBOOST,
                               strlen(MR_TEST_MODEL_XGBOOST), &s->err),
              &s->err);
}

static void tear_down(scene *s)
{
    mr_arena_deinit(&s->arena);
    mr_fs_sim_destroy(s->disk);
}

static const mr_yaml *facts_of(scene *s, const char *folder)
{
    const mr_yaml *facts;
    assert_ok(mr_facts_read(s->fs, folder, &s->arena, &facts, &s->err), &s->err);
    return facts;
}

/* 100 rows: amount 0..99 with every tenth missing, night always 1, count 7d = row % 5. */
static mr_batch *training_rows(scene *s)
{
    mr_schema *schema;
    mr_builder builder;
    mr_batch *batch;
    static const char text[] = "amount: float64 null, night: int32, count 7d: int64, y: string";
    assert_ok(mr_schema_parse(text, strlen(text), &schema, &s->err), &s->err);
    assert_ok(mr_builder_init(&builder, schema, &s->err), &s->err);
    for (int32_t i = 0; i < 100; i++) {
        if (i % 10 == 9)
            mr_builder_null(&builder.columns[0]);
        else
            mr_builder_float64(&builder.columns[0], i);
        mr_builder_int32(&builder.columns[1], 1);
        mr_builder_int64(&builder.columns[2], i % 5);
        mr_builder_text(&builder.columns[3], i % 3 == 0 ? "b" : "a", 1);
    }
    assert_ok(mr_builder_finish(&builder, &batch, &s->err), &s->err);
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    return batch;
}

TEST(compose, a_bare_file_becomes_an_artifact_that_proves_itself)
{
    scene s;
    mr_model *model;
    char hash[MR_SHA256_TEXT_BYTES], again[MR_SHA256_TEXT_BYTES];
    set_up(&s);
    mr_compose_options options = {0};
    assert_ok(mr_compose(s.fs, "/best.json", &options, "/one", &s.err), &s.err);
    assert_ok(mr_compose(s.fs, "/best.json", &options, "/two", &s.err), &s.err);
    assert_ok(mr_artifact_hash(s.fs, "/one", hash, NULL, &s.err), &s.err);
    assert_ok(mr_artifact_hash(s.fs, "/two", again, NULL, &s.err), &s.err);
    assert_string_equal(hash, again);
    assert_ok(mr_model_open(s.fs, "/one", NULL, &model, &s.err), &s.err);
    assert_ok(mr_facts_check(facts_of(&s, "/one"), "model.yaml", model, &s.err), &s.err);
    mr_model_close(model);
    assert_string_equal(mr_facts_text(facts_of(&s, "/one"), "family"), "xgboost");
    tear_down(&s);
}

TEST(compose, what_is_given_is_written_down)
{
    scene s;
    mr_bytes json = {0}, profile = {0};
    mr_profile_feature feature;
    set_up(&s);
    mr_batch *rows = training_rows(&s);
    const mr_compose_data data[] = {
        {.topic = "payments", .partition = 2, .first_offset = 10, .end_offset = 30},
        {.file = "/best.json"}};
    const mr_compose_metric metrics[] = {{"test", "auc", 0.5}};
    mr_compose_options options = {.profile_rows = rows,
                                  .data = data,
                                  .data_count = 2,
                                  .metrics = metrics,
                                  .metric_count = 1,
                                  .description = "says \"hello\""};
    assert_ok(mr_compose(s.fs, "/best.json", &options, "/one", &s.err), &s.err);
    mr_facts_json(facts_of(&s, "/one"), &json);
    const char *text = mr_bytes_text(&json);
    assert_non_null(strstr(text, "{\"topic\":\"payments\",\"partition\":2,\"first_offset\":10,"
                                 "\"end_offset\":30},{\"file\":\"/best.json\",\"sha256\":\""));
    assert_non_null(strstr(text, "\"metrics\":{\"test\":{\"auc\":0.5}}"));
    assert_non_null(strstr(text, "\"description\":\"says \\\"hello\\\"\""));
    assert_ok(mr_fs_read_file(s.fs, "/one/profile.json", 0, &profile, &s.err), &s.err);
    assert_ok(mr_profile_find(profile.data, profile.size, "features", "amount", &feature, &s.err),
              &s.err);
    assert_int_equal(feature.count, 90);
    assert_int_equal(feature.nulls, 10);
    assert_true(feature.min == 0 && feature.max == 98 && feature.mean == 49);
    assert_int_equal(feature.bin_count, MR_PROFILE_BINS_MAX);
    uint64_t total = 0;
    for (uint32_t i = 0; i < feature.bin_count; i++)
        total += feature.bins[i].count;
    assert_int_equal(total, 90);
    assert_ok(mr_profile_find(profile.data, profile.size, "features", "night", &feature, &s.err),
              &s.err);
    assert_int_equal(feature.bin_count, 1); /* one value, one bin */
    assert_int_equal(feature.bins[0].count, 100);
    assert_true(feature.stddev == 0);
    assert_ok(mr_profile_find(profile.data, profile.size, "scores", NULL, &feature, &s.err),
              &s.err);
    assert_int_equal(feature.count, 100);
    assert_int_equal(
        mr_profile_find(profile.data, profile.size, "features", "zz", &feature, &s.err),
        MR_NOT_FOUND);
    /* Again, from the folder: what is there stays, and is not said twice. */
    mr_compose_options nothing = {0};
    assert_ok(mr_compose(s.fs, "/one", &nothing, "/two", &s.err), &s.err);
    char a[MR_SHA256_TEXT_BYTES], b[MR_SHA256_TEXT_BYTES];
    assert_ok(mr_artifact_hash(s.fs, "/one", a, NULL, &s.err), &s.err);
    assert_ok(mr_artifact_hash(s.fs, "/two", b, NULL, &s.err), &s.err);
    assert_string_equal(a, b);
    assert_int_equal(mr_compose(s.fs, "/one", &options, "/three", &s.err), MR_EXISTS);
    assert_false(mr_fs_exists(s.fs, "/three"));
    mr_batch_release(rows);
    mr_bytes_deinit(&json);
    mr_bytes_deinit(&profile);
    tear_down(&s);
}

TEST(profile, texts_are_counted)
{
    scene s;
    mr_bytes out = {0};
    set_up(&s);
    mr_batch *rows = training_rows(&s);
    assert_ok(mr_profile_column("y", &rows->columns[3], rows->row_count, &out, &s.err), &s.err);
    assert_string_equal(mr_bytes_text(&out),
                        "{\"name\":\"y\",\"type\":\"string\",\"count\":100,\"nulls\":0,"
                        "\"distinct\":2,\"top\":[[\"a\",66],[\"b\",34]]}");
    mr_bytes_deinit(&out);
    mr_batch_release(rows);
    tear_down(&s);
}

/* Every allocation of a whole life fails once: a clean error, and the next life has all or nothing of it. */
TEST(registry, memory_that_runs_out_is_an_error_and_nothing_else)
{
    bool done = false;
    for (int64_t n = 0; !done; n += 1 + n / 50) {
        scene s;
        mr_clock_sim clock;
        registry_life life;
        mr_registry_ref ref;
        mr_model *model = NULL;
        set_up(&s);
        mr_clock_sim_init(&clock, INT64_C(1700000000000000));
        assert_ok(mr_fs_make_folder(s.fs, "/made", &s.err), &s.err);
        assert_ok(registry_test_artifact(s.fs, "/made/1", 1, &s.err), &s.err);
        (void)mr_memory_fail_after(n, false);
        mr_status status = registry_life_open(&life, s.fs, &clock, &s.err);
        mr_registry_publish_options options = {.alias = "champion"};
        if (status == MR_OK)
            status = mr_registry_publish(life.registry, "fraud", "/made/1", &options, &ref, NULL,
                                         &s.err);
        if (status == MR_OK)
            status = mr_registry_resolve(life.registry, "fraud", &ref, &s.err);
        if (status == MR_OK)
            status = mr_registry_open_model(life.registry, &ref, "test", &model, &s.err);
        if (status == MR_OK)
            status = mr_registry_export(life.registry, &ref, "/a.tar.zst", &s.err);
        mr_model_close(model);
        registry_life_close(&life);
        done = mr_memory_fail_after(-1, false) <= (uint64_t)n;
        if (status != MR_OK && status != MR_NO_MEMORY)
            fail_msg("allocation %lld: %s: %s", (long long)n, mr_status_name(status), s.err.text);
        assert_ok(registry_life_open(&life, s.fs, &clock, &s.err), &s.err);
        status = mr_registry_resolve(life.registry, "fraud", &ref, &s.err);
        assert_true(status == MR_OK || status == MR_NOT_FOUND);
        if (status == MR_OK)
            assert_ok(mr_registry_verify(life.registry, &ref, &s.err), &s.err);
        registry_life_close(&life);
        tear_down(&s);
    }
}
