/* registry_test.c -- versions, aliases, rollouts: what is promised of them, one promise a test. */
#include "registry/registry_test.h"
#include "test/test.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct scene {
    mr_fs_sim *disk;
    mr_fs *fs;
    mr_clock_sim clock;
    registry_life life;
    mr_error err;
} scene;

static void set_up(scene *s)
{
    *s = (scene){0};
    mr_clock_sim_init(&s->clock, INT64_C(1700000000000000));
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = 1}, &s->disk, &s->err), &s->err);
    s->fs = mr_fs_sim_fs(s->disk);
    assert_ok(registry_life_open(&s->life, s->fs, &s->clock, &s->err), &s->err);
}

static void tear_down(scene *s)
{
    registry_life_close(&s->life);
    mr_fs_sim_destroy(s->disk);
}

static mr_registry_ref publish(scene *s, const char *name, uint32_t kind, const char *alias)
{
    char folder[64];
    mr_registry_ref ref;
    bool is_new;
    (void)snprintf(folder, sizeof folder, "/made/%u", kind);
    if (!mr_fs_exists(s->fs, folder)) {
        assert_ok(mr_fs_make_folder(s->fs, "/made", &s->err), &s->err);
        assert_ok(registry_test_artifact(s->fs, folder, kind, &s->err), &s->err);
    }
    mr_registry_publish_options options = {.alias = alias, .why = "a test"};
    assert_ok(mr_registry_publish(s->life.registry, name, folder, &options, &ref, &is_new, &s->err),
              &s->err);
    return ref;
}

static uint64_t version_at(scene *s, const char *text)
{
    mr_registry_ref ref;
    assert_ok(mr_registry_resolve(s->life.registry, text, &ref, &s->err), &s->err);
    return ref.version;
}

TEST(registry, versions_are_numbered_and_found_by_name_alias_and_number)
{
    scene s;
    set_up(&s);
    assert_int_equal(publish(&s, "fraud", 1, "champion").version, 1);
    assert_int_equal(publish(&s, "fraud", 2, "challenger").version, 2);
    assert_int_equal(publish(&s, "wine", 1, NULL).version, 1);
    assert_int_equal(version_at(&s, "fraud"), 1);
    assert_int_equal(version_at(&s, "fraud@challenger"), 2);
    assert_int_equal(version_at(&s, "fraud/2"), 2);
    assert_int_equal(version_at(&s, "fraud@2"), 2);
    mr_registry_ref ref;
    static const struct {
        const char *text, *says;
        mr_status status;
    } cases[] = {{"fraud/3", "fraud has no version 3; its newest is 2", MR_NOT_FOUND},
                 {"wine", "wine has no alias champion; its aliases are: none", MR_NOT_FOUND},
                 {"fraud@shadow", "challenger (version 2), champion (version 1)", MR_NOT_FOUND},
                 {"beer", "there is no model beer; there are fraud, wine", MR_NOT_FOUND},
                 {"fraud/0", "names no model", MR_INVALID},
                 {"fraud/x", "names no model", MR_INVALID},
                 {"../fraud", "names no model", MR_INVALID},
                 {"fraud@", "names no model", MR_INVALID},
                 {"", "names no model", MR_INVALID}};
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        assert_int_equal(mr_registry_resolve(s.life.registry, cases[i].text, &ref, &s.err),
                         cases[i].status);
        if (strstr(s.err.text, cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].text, s.err.text);
    }
    tear_down(&s);
}

TEST(registry, the_same_artifact_is_the_same_version)
{
    scene s;
    set_up(&s);
    mr_registry_ref first = publish(&s, "fraud", 1, NULL), again = publish(&s, "fraud", 1, NULL);
    assert_int_equal(first.version, again.version);
    assert_string_equal(first.hash, again.hash);
    assert_int_equal(publish(&s, "fraud", 2, NULL).version, 2);
    assert_int_equal(mr_registry_end(s.life.registry), 2);
    tear_down(&s);
}

TEST(registry, a_model_is_opened_and_the_access_is_recorded)
{
    scene s;
    set_up(&s);
    mr_registry_ref ref = publish(&s, "fraud", 1, "champion");
    mr_model *model;
    assert_ok(mr_registry_open_model(s.life.registry, &ref, "score", &model, &s.err), &s.err);
    assert_int_equal(model->signature.input_count, 3);
    mr_model_close(model);
    tear_down(&s);
}

static mr_status count_access(void *context, const mr_registry_access *access, mr_error *err)
{
    (void)err;
    mr_bytes_printf(context, "%s %s/%" PRIu64 " %s %s; ", access->action, access->name,
                    access->version, access->who, access->detail);
    return MR_OK;
}

TEST(registry, accesses_say_who_what_and_what_for)
{
    scene s;
    mr_bytes seen = {0};
    set_up(&s);
    mr_registry_ref ref = publish(&s, "fraud", 1, "champion");
    (void)publish(&s, "wine", 1, NULL);
    mr_model *model;
    assert_ok(mr_registry_open_model(s.life.registry, &ref, "run cards", &model, &s.err), &s.err);
    mr_model_close(model);
    assert_ok(mr_registry_accesses(s.life.registry, "fraud", 1, count_access, &seen, &s.err),
              &s.err);
    assert_string_equal(mr_bytes_text(&seen),
                        "publish fraud/1 ann@test /made/1; read fraud/1 ann@test run cards; ");
    mr_bytes_deinit(&seen);
    tear_down(&s);
}

TEST(registry, a_damaged_artifact_is_refused_and_named)
{
    scene s;
    set_up(&s);
    mr_registry_ref ref = publish(&s, "fraud", 1, "champion");
    char path[MR_PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/model.json", ref.folder);
    assert_ok(mr_fs_sim_flip(s.disk, path, 40, 3, &s.err), &s.err);
    mr_model *model;
    assert_int_equal(mr_registry_open_model(s.life.registry, &ref, "score", &model, &s.err),
                     MR_CORRUPT);
    assert_null(model);
    assert_non_null(strstr(s.err.text, "model fraud/1"));
    assert_non_null(strstr(s.err.text, ref.hash));
    assert_int_equal(mr_registry_verify(s.life.registry, &ref, &s.err), MR_CORRUPT);
    /* Brought again, it is made whole. */
    assert_int_equal(publish(&s, "fraud", 1, NULL).version, 1);
    assert_ok(mr_registry_open_model(s.life.registry, &ref, "score", &model, &s.err), &s.err);
    mr_model_close(model);
    tear_down(&s);
}

typedef struct bad_folder {
    const char *file, *content, *says;
    mr_status status;
} bad_folder;

TEST(registry, what_cannot_prove_itself_is_not_published)
{
    static const bad_folder cases[] = {
        {"golden.csv", "amount,night,count 7d,!margin,!score\n1,0,0,0.5,0.5\n",
         "golden line 2, margin: 0.5 was recorded", MR_CORRUPT},
        {"golden.csv", "amount,night,!margin,!score\n1,0,0.5,0.5\n", "count 7d", MR_CORRUPT},
        {"golden.csv", "", "has no golden rows", MR_INVALID},
        {"model.json", "{\"learner\":", "at byte 11: the file ends", MR_INVALID},
        {"model.json", "hello", "no model of a known kind", MR_UNSUPPORTED},
        {"model.onnx", "", "2 files called model.*", MR_INVALID},
        {"model.yaml", "inputs: [amount, night]\n", "2 inputs are listed here, the model has 3",
         MR_INVALID},
        {"model.yaml", "inputs: [amount, knight, x]\n", "is called 'knight' here", MR_INVALID},
        {"model.yaml", "a: [", "not valid YAML", MR_INVALID},
        {"model.yaml", "- 1\n", "a mapping is wanted", MR_INVALID},
        {"bad name", "x", "the file name 'bad name' is not allowed", MR_INVALID},
    };
    scene s;
    set_up(&s);
    (void)publish(&s, "fraud", 1, "champion");
    uint64_t end = mr_registry_end(s.life.registry);
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        char path[128];
        mr_registry_ref ref;
        assert_ok(mr_fs_remove_tree(s.fs, "/made/bad", &s.err), &s.err);
        assert_ok(registry_test_artifact(s.fs, "/made/bad", 9, &s.err), &s.err);
        (void)snprintf(path, sizeof path, "/made/bad/%s", cases[i].file);
        assert_ok(mr_fs_write_file(s.fs, path, cases[i].content, strlen(cases[i].content), &s.err),
                  &s.err);
        mr_error_clear(&s.err);
        mr_status status =
            mr_registry_publish(s.life.registry, "fraud", "/made/bad", NULL, &ref, NULL, &s.err);
        if (status != cases[i].status || strstr(s.err.text, cases[i].says) == NULL)
            fail_msg("case %zu: %s: %s", i, mr_status_name(status), s.err.text);
    }
    assert_int_equal(mr_registry_end(s.life.registry), end);
    assert_int_equal(version_at(&s, "fraud"), 1);
    tear_down(&s);
}

TEST(registry, an_alias_moves_and_goes_back_step_by_step)
{
    scene s;
    set_up(&s);
    for (uint32_t kind = 1; kind <= 4; kind++)
        (void)publish(&s, "fraud", kind, "champion");
    mr_registry *r = s.life.registry;
    mr_registry_ref ref;
    assert_ok(mr_registry_set_alias(r, "fraud", "champion", 2, 4, "because", &s.err), &s.err);
    assert_int_equal(
        mr_registry_set_alias(r, "fraud", "champion", 2, MR_REGISTRY_ANY, NULL, &s.err), MR_EXISTS);
    assert_int_equal(mr_registry_set_alias(r, "fraud", "champion", 3, 4, NULL, &s.err),
                     MR_CONFLICT);
    /* 1 2 3 4 2: back to 4, then 3 is retired, so 2, then 1, then no further. */
    assert_ok(mr_registry_rollback(r, "fraud", "champion", "bad", &ref, &s.err), &s.err);
    assert_int_equal(ref.version, 4);
    assert_ok(mr_registry_retire(r, "fraud", 3, "old", &s.err), &s.err);
    assert_ok(mr_registry_rollback(r, "fraud", "champion", "bad", &ref, &s.err), &s.err);
    assert_int_equal(ref.version, 2);
    assert_ok(mr_registry_rollback(r, "fraud", "champion", "bad", &ref, &s.err), &s.err);
    assert_int_equal(ref.version, 1);
    assert_int_equal(mr_registry_rollback(r, "fraud", "champion", "bad", &ref, &s.err),
                     MR_NOT_FOUND);
    assert_int_equal(mr_registry_retire(r, "fraud", 1, NULL, &s.err), MR_CONFLICT);
    assert_int_equal(
        mr_registry_set_alias(r, "fraud", "champion", 3, MR_REGISTRY_ANY, NULL, &s.err),
        MR_CONFLICT);
    assert_int_equal(mr_registry_set_alias(r, "fraud", "7", 2, MR_REGISTRY_ANY, NULL, &s.err),
                     MR_INVALID);
    uint64_t was;
    assert_ok(mr_registry_alias_at(r, "fraud", "champion", 3, &was, &s.err), &s.err);
    assert_int_equal(was, 1); /* events 0 1 | 2 3 | ...: before event 3 */
    tear_down(&s);
}

TEST(registry, rollouts_are_set_changed_and_end)
{
    scene s;
    set_up(&s);
    mr_registry *r = s.life.registry;
    mr_registry_rollout now;
    mr_arena arena = {0};
    uint64_t set, event;
    assert_int_equal(mr_registry_get_rollout(r, "cards", &arena, &now, &s.err), MR_NOT_FOUND);
    assert_int_equal(mr_registry_set_rollout(r, "cards", "not json", NULL, &set, &s.err),
                     MR_INVALID);
    assert_int_equal(mr_registry_set_rollout(r, "cards", "[1]", NULL, &set, &s.err), MR_INVALID);
    assert_ok(mr_registry_set_rollout(r, "cards", "{\"canary\":\"fraud@2\"}", "try", &set, &s.err),
              &s.err);
    assert_ok(mr_registry_change_rollout(r, "cards", MR_ROLLOUT_STEP, set, "{\"step\":1}", NULL,
                                         &event, &s.err),
              &s.err);
    assert_ok(mr_registry_change_rollout(r, "cards", MR_ROLLOUT_PAUSE, MR_REGISTRY_ANY, NULL,
                                         "lunch", &event, &s.err),
              &s.err);
    assert_int_equal(mr_registry_change_rollout(r, "cards", MR_ROLLOUT_STEP, set + 1, NULL, NULL,
                                                &event, &s.err),
                     MR_CONFLICT);
    assert_ok(mr_registry_get_rollout(r, "cards", &arena, &now, &s.err), &s.err);
    assert_string_equal(now.spec, "{\"canary\":\"fraud@2\"}");
    assert_string_equal(now.step, "{\"step\":1}");
    assert_string_equal(now.why, "lunch");
    assert_string_equal(mr_rollout_state_text(now.last), "paused");
    assert_ok(
        mr_registry_change_rollout(r, "cards", MR_ROLLOUT_ABORT, set, NULL, NULL, &event, &s.err),
        &s.err);
    assert_int_equal(
        mr_registry_change_rollout(r, "cards", MR_ROLLOUT_RESUME, set, NULL, NULL, &event, &s.err),
        MR_CONFLICT);
    mr_arena_deinit(&arena);
    tear_down(&s);
}

static mr_status stop_at_two(void *context, const mr_registry_event *event, mr_error *err)
{
    uint64_t *seen = context;
    if (event->offset == 2)
        return MR_FAIL(err, MR_BUSY, "not now");
    *seen += 1;
    return MR_OK;
}

TEST(registry, another_process_sees_every_change_in_order)
{
    scene s;
    registry_life other;
    mr_bytes a = {0}, b = {0};
    set_up(&s);
    assert_ok(registry_life_open(&other, s.fs, &s.clock, &s.err), &s.err);
    for (uint32_t kind = 1; kind <= 3; kind++) {
        (void)publish(&s, "fraud", kind, "champion");
        assert_int_equal(mr_registry_end(other.registry), 2 * kind);
        mr_registry_ref ref;
        assert_ok(mr_registry_resolve(other.registry, "fraud", &ref, &s.err), &s.err);
        assert_int_equal(ref.version, kind);
    }
    assert_ok(mr_registry_set_tag(other.registry, "fraud", 1, "stage", "gold", NULL, &s.err),
              &s.err);
    assert_ok(mr_registry_describe(other.registry, "fraud", "finds \"fraud\"", NULL, &s.err),
              &s.err);
    assert_ok(registry_test_dump(s.life.registry, &a, &s.err), &s.err);
    assert_ok(registry_test_dump(other.registry, &b, &s.err), &s.err);
    assert_string_equal(mr_bytes_text(&a), mr_bytes_text(&b));
    assert_non_null(strstr(mr_bytes_text(&a), "{\"stage\":\"gold\"}"));
    uint64_t seen = 0, next = 0;
    assert_int_equal(mr_registry_follow(other.registry, 0, stop_at_two, &seen, &next, &s.err),
                     MR_BUSY);
    assert_int_equal(seen, 2);
    assert_int_equal(next, 2);
    mr_bytes_deinit(&a);
    mr_bytes_deinit(&b);
    registry_life_close(&other);
    tear_down(&s);
}
