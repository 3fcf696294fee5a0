/* trial_test.c -- rollouts that go by themselves, in simulated time, without a registry: a good version is promoted step by
 * step, a bad one rolls itself back, what stays open waits for a person, and a crash changes nothing.
 *
 * Versions of "m": 1 scores amount, 2 the same, 3 amount + 1. Outcomes are what the good one would say. */
#include "test/flow.h"

#include "base/assert.h"
#include "os/fs_sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "tx: int64, at: timestamp, customer: int64, amount: float64"

typedef struct shelf {
    mr_models models;
    uint64_t generation, champion;
    char rollout[1024];
    bool set, paused;
    char story[256]; /* what was done: "step step finish " */
} shelf;

static shelf *of(mr_models *models)
{
    return (shelf *)(void *)models;
}

static mr_status resolve(mr_models *models, const char *text, mr_model_ref *out, mr_error *err)
{
    (void)err;
    *out = (mr_model_ref){.name = "m", .version = of(models)->champion};
    if (strcmp(text, "m@champion") != 0)
        out->version = strtoull(text + 2, NULL, 10);
    (void)snprintf(out->hash, sizeof out->hash, "%064" PRIx64, out->version);
    return MR_OK;
}

static mr_status open_version(mr_models *models, const mr_model_ref *ref, mr_model **out,
                              mr_error *err)
{
    char text[512];
    (void)models;
    (void)snprintf(text, sizeof text,
                   "{\"learner\":{\"feature_names\":[\"amount\"],\"feature_types\":[\"float\"],"
                   "\"gradient_booster\":{\"model\":{\"weights\":[1,%d]},\"name\":\"gblinear\"},"
                   "\"learner_model_param\":{\"base_score\":\"0\",\"num_class\":\"0\","
                   "\"num_feature\":\"1\",\"num_target\":\"1\"},\"objective\":"
                   "{\"name\":\"reg:squarederror\"}},\"version\":[1,7,6]}",
                   ref->version == 3 ? 1 : 0);
    return mr_model_open_bytes(text, strlen(text), NULL, out, err);
}

static mr_status generation(mr_models *models, uint64_t *out, mr_error *err)
{
    (void)err;
    *out = of(models)->generation;
    return MR_OK;
}

static mr_status rollout(mr_models *models, const char *pipeline, mr_bytes *out, mr_error *err)
{
    shelf *self = of(models);
    if (!self->set)
        return MR_FAIL(err, MR_NOT_FOUND, "no rollout of %s", pipeline);
    mr_bytes_append_text(out, self->paused ? "{\"state\":\"paused\"," : "");
    mr_bytes_append_text(out, self->rollout + self->paused);
    return MR_OK;
}

static mr_status report(mr_models *models, const mr_model_report *what, mr_error *err)
{
    (void)models;
    (void)what;
    (void)err;
    return MR_OK;
}

static mr_status act(mr_models *models, const mr_model_act *what, mr_error *err)
{
    shelf *self = of(models);
    (void)err;
    size_t used = strlen(self->story);
    (void)snprintf(self->story + used, sizeof self->story - used, "%s ", what->action);
    self->set = true;
    self->generation++;
    if (what->detail != NULL)
        (void)snprintf(self->rollout, sizeof self->rollout, "%s", what->detail);
    self->paused = strcmp(what->action, "pause") == 0;
    bool ends = strcmp(what->action, "abort") == 0 || strcmp(what->action, "finish") == 0;
    if (ends)
        (void)snprintf(self->rollout, sizeof self->rollout, "{}");
    if (strcmp(what->action, "finish") == 0)
        self->champion = what->version;
    return MR_OK;
}

typedef struct world {
    mr_fs_sim *disk;
    mr_clock_sim clock;
    shelf shelf;
    mr_flow flow;
    mr_plan *plan;
    mr_pipeline *pipeline;
    const char *rollout;
} world;

static void open_world(world *self, uint32_t batch)
{
    char yaml[2000];
    mr_error err = {0};
    mr_fs *fs = mr_fs_sim_fs(self->disk);
    (void)snprintf(yaml, sizeof yaml,
                   "pipeline: p\non: payments\nsources:\n"
                   "  payments: {topic: payments, event_time: at}\n"
                   "  outcomes: {topic: outcomes, event_time: at, idle: 0s}\n"
                   "features: {c: {key: customer, windows: [1d], aggregates: {n: count()}}}\n"
                   "score: {model: m@champion, rollout: %s}\n"
                   "decide: {action: \"score > 50\"}\nsink: out\n",
                   self->rollout);
    assert_ok(mr_log_open(fs, &self->clock.clock, "/home", &self->flow.log, &err), &err);
    assert_ok(mr_plan_compile(fs, self->flow.log, &self->shelf.models, yaml, strlen(yaml), "t.yaml",
                              "", &self->plan, &err),
              &err);
    mr_pipeline_options options = {.log = self->flow.log,
                                   .models = &self->shelf.models,
                                   .fs = fs,
                                   .clock = &self->clock.clock,
                                   .home = "/home",
                                   .stepped = true,
                                   .batch_rows_max = batch,
                                   .checkpoint_interval_ms = 2};
    assert_ok(mr_pipeline_open(self->plan, &options, &self->pipeline, &err), &err);
}

static void close_world(world *self)
{
    mr_pipeline_close(self->pipeline);
    mr_plan_release(self->plan);
    mr_log_close(self->flow.log);
}

static void append(world *self, const char *topic, const char *schema, int records, bool outcomes)
{
    mr_bytes csv = {0};
    mr_bytes_append_text(&csv, outcomes ? "tx,at,became\n" : "tx,at,customer,amount\n");
    for (int i = 0; i < records; i++) {
        int second = i + (outcomes ? 30 : 0);
        mr_bytes_printf(&csv, "%d,2024-01-01T%02d:%02d:%02dZ,", i, second / 3600, second / 60 % 60,
                        second % 60);
        if (outcomes)
            mr_bytes_printf(&csv, "%d\n", i % 100 + i * 7 % 3);
        else
            mr_bytes_printf(&csv, "%d,%d\n", i * 31 % 997, i % 100);
    }
    mr_flow_append_csv(&self->flow, topic, "at", schema, mr_bytes_text(&csv));
    mr_bytes_deinit(&csv);
}

static void make_world(world *self, const char *rollout_text, int records)
{
    mr_error err = {0};
    *self = (world){.flow = {.home = "/home"}, .rollout = rollout_text};
    self->shelf =
        (shelf){.models = {resolve, open_version, generation, rollout, report, act}, .champion = 1};
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = 1}, &self->disk, &err), &err);
    mr_clock_sim_init(&self->clock, 1000000);
    assert_ok(
        mr_log_open(mr_fs_sim_fs(self->disk), &self->clock.clock, "/home", &self->flow.log, &err),
        &err);
    append(self, "payments", SCHEMA, records, false);
    append(self, "outcomes", "tx: int64, at: timestamp, became: float64", records, true);
    mr_log_close(self->flow.log);
}

/* Crashes every `life` steps; 0: never. */
static void play(world *self, uint32_t batch, uint32_t life)
{
    mr_error err = {0};
    uint32_t rows = 1, idle = 0;
    open_world(self, batch);
    for (uint32_t i = 1; idle < 5; i++) {
        mr_clock_sim_advance(&self->clock, 1000000);
        int64_t next_ns;
        assert_ok(mr_log_tick(self->flow.log, &next_ns, &err), &err);
        assert_ok(mr_pipeline_step(self->pipeline, &rows, &err), &err);
        idle = rows == 0 ? idle + 1 : 0;
        if (life > 0 && i % life == 0 && idle == 0) {
            mr_fs_sim_crash(self->disk);
            close_world(self);
            mr_fs_sim_crash(self->disk);
            open_world(self, batch);
        }
    }
    close_world(self);
}

static void tell(const char *rollout_text, uint32_t batch, uint32_t life, const char *story,
                 uint64_t champion)
{
    world self;
    make_world(&self, rollout_text, 6000);
    play(&self, batch, life);
    assert_string_equal(self.shelf.story, story);
    assert_int_equal(self.shelf.champion, champion);
    mr_fs_sim_destroy(self.disk);
}

#define STEPS "key: customer, steps: [0%, 10%, 50%, 100%], records: 200}"

TEST(trial, a_good_version_is_promoted_step_by_step)
{
    tell("{canary: {model: m@2, " STEPS ", guardrails: {agreement: 95%, error_share: 1%}}", 64, 0,
         "set step step step finish ", 2);
}

TEST(trial, a_bad_version_rolls_itself_back)
{
    tell("{canary: {model: m@3, " STEPS ", guardrails: {agreement: 99.9%}}", 64, 0, "set abort ",
         1);
}

TEST(trial, what_stays_open_waits_for_a_person)
{
    tell("{ab: {model: m@2, key: customer, share: 50%}, success: {metric: outcome, "
         "min_effect: 1, max_records: 1000}, outcomes: {source: outcomes, key: tx, value: became}}",
         64, 0, "set pause ", 1);
}

TEST(trial, versions_that_never_differ_are_not_worth_a_promotion)
{
    tell("{canary: {model: m@2, " STEPS ", success: {metric: score, min_effect: 0.01}}", 64, 0,
         "set abort ", 1);
}

TEST(trial, quality_is_known_when_outcomes_arrive)
{
    tell("{ab: {model: m@3, key: customer, share: 50%}, success: {metric: squared_error, "
         "min_effect: 0.3}, outcomes: {source: outcomes, key: tx, value: became, maturity: 40s}}",
         64, 0, "set finish ", 3);
    tell("{ab: {model: m@3, key: customer, share: 50%}, success: {metric: squared_error, "
         "min_effect: 3}, outcomes: {source: outcomes, key: tx, value: became}}",
         64, 0, "set abort ", 1);
}

TEST(trial, a_crash_in_the_middle_changes_nothing)
{
    for (uint32_t life = 2; life < 40; life += 7)
        tell("{canary: {model: m@2, " STEPS ", guardrails: {agreement: 95%}, segments: customer}",
             50, life, "set step step step finish ", 2);
}
