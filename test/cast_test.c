/* cast_test.c -- versions change while a pipeline runs, on a disk that fails: every decision carries the version that
 * the journal says, whatever was interrupted.
 *
 * Version v of the model "m" adds 1000 v to an amount, so a score says by itself which version made it. */
#include "test/flow.h"

#include "base/assert.h"
#include "base/hash.h"
#include "os/fs_sim.h"
#include "pipeline/evidence.h"
#include "pipeline/plan_internal.h"
#include "pipeline/model_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA   "tx: int64, at: timestamp, customer: int64, amount: float64"
#define PAYMENTS 300

/* ---- models without a registry ---- */

typedef struct shelf {
    mr_models models;
    uint64_t generation;
    uint64_t champion;
    uint64_t broken; /* a version that does not open; 0: none */
    char rollout[256];
    bool rollout_set;
    uint64_t opened;
    uint32_t swapped, refused;
} shelf;

static shelf *shelf_of(mr_models *models)
{
    return (shelf *)(void *)models;
}

static mr_status resolve(mr_models *models, const char *text, mr_model_ref *out, mr_error *err)
{
    *out = (mr_model_ref){.name = "m", .version = shelf_of(models)->champion};
    if (strncmp(text, "m@", 2) != 0)
        return MR_FAIL(err, MR_NOT_FOUND, "there is no model %s", text);
    if (strcmp(text, "m@champion") != 0)
        out->version = strtoull(text + 2, NULL, 10);
    (void)snprintf(out->hash, sizeof out->hash, "%064" PRIx64, out->version);
    return MR_OK;
}

static mr_status open_version(mr_models *models, const mr_model_ref *ref, mr_model **out,
                              mr_error *err)
{
    char text[512];
    shelf *self = shelf_of(models);
    if (ref->version == self->broken)
        return MR_FAIL(err, MR_CORRUPT, "version %" PRIu64 " is broken", ref->version);
    self->opened++;
    (void)snprintf(text, sizeof text,
                   "{\"learner\":{\"feature_names\":[\"amount\"],\"feature_types\":[\"float\"],"
                   "\"gradient_booster\":{\"model\":{\"weights\":[1,%" PRIu64
                   "]},\"name\":\"gblinear\"},\"learner_model_param\":{\"base_score\":\"0\","
                   "\"num_class\":\"0\",\"num_feature\":\"1\",\"num_target\":\"1\"},\"objective\":"
                   "{\"name\":\"reg:squarederror\"}},\"version\":[1,7,6]}",
                   ref->version * 1000);
    return mr_model_open_bytes(text, strlen(text), NULL, out, err);
}

static mr_status generation(mr_models *models, uint64_t *out, mr_error *err)
{
    (void)err;
    *out = shelf_of(models)->generation;
    return MR_OK;
}

static mr_status rollout(mr_models *models, const char *pipeline, mr_bytes *out, mr_error *err)
{
    shelf *self = shelf_of(models);
    if (!self->rollout_set)
        return MR_FAIL(err, MR_NOT_FOUND, "no rollout of %s", pipeline);
    mr_bytes_append_text(out, self->rollout);
    return MR_OK;
}

static mr_status report(mr_models *models, const mr_model_report *what, mr_error *err)
{
    shelf *self = shelf_of(models);
    (void)err;
    self->swapped += strcmp(what->kind, "swapped") == 0;
    self->refused += strcmp(what->kind, "refused") == 0;
    return MR_OK;
}

/* Nothing is on trial here that could end. */
static mr_status act(mr_models *models, const mr_model_act *what, mr_error *err)
{
    (void)models;
    return MR_FAIL(err, MR_CONFLICT, "nobody asked for %s", what->action);
}

static void fill_shelf(shelf *self)
{
    *self =
        (shelf){.models = {resolve, open_version, generation, rollout, report, act}, .champion = 1};
}

static void promote(shelf *self, uint64_t version)
{
    self->champion = version;
    self->generation++;
}

static void set_rollout(shelf *self, const char *text)
{
    (void)snprintf(self->rollout, sizeof self->rollout, "%s", text);
    self->rollout_set = true;
    self->generation++;
}

/* ---- a world ---- */

typedef struct world {
    mr_fs_sim *disk;
    mr_clock_sim clock;
    mr_random_seeded random;
    shelf shelf;
    mr_flow flow;
    mr_plan *plan;
    mr_pipeline *pipeline;
    uint32_t sent;
} world;

static const char *const yaml =
    "pipeline: p\nsources: {payments: {topic: payments, event_time: at}}\n"
    "features: {c: {key: customer, windows: [1d], aggregates: {n: count()}}}\n"
    "score: {model: m@champion, reasons: {count: 1, min_score: 3050, texts: {amount: '{value} "
    "paid'}}}\n"
    "decide: {action: \"case when score > 3050 then 'stop' else 'go' "
    "end\"}\nevidence: full\nsink: out\n";

static uint64_t below(world *self, uint64_t limit)
{
    return mr_random_below(&self->random, limit);
}

static mr_status open_world(world *self, mr_error *err)
{
    mr_fs *fs = mr_fs_sim_fs(self->disk);
    MR_TRY(mr_log_open(fs, &self->clock.clock, "/home", &self->flow.log, err));
    MR_TRY(mr_plan_compile(fs, self->flow.log, &self->shelf.models, yaml, strlen(yaml), "t.yaml",
                           "", &self->plan, err));
    mr_pipeline_options options = {.log = self->flow.log,
                                   .models = &self->shelf.models,
                                   .fs = fs,
                                   .clock = &self->clock.clock,
                                   .home = "/home",
                                   .stepped = true,
                                   .batch_rows_max = 1 + (uint32_t)below(self, 40),
                                   .checkpoint_interval_ms = 5};
    return mr_pipeline_open(self->plan, &options, &self->pipeline, err);
}

static void close_world(world *self)
{
    mr_pipeline_close(self->pipeline);
    mr_plan_release(self->plan);
    mr_log_close(self->flow.log);
    self->pipeline = NULL;
    self->plan = NULL;
    self->flow.log = NULL;
}

/* The payments are there before anything may fail. */
static void make_world(world *self, uint64_t seed)
{
    mr_error err = {0};
    *self = (world){.random = mr_test_random(seed), .flow = {.home = "/home"}};
    fill_shelf(&self->shelf);
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = seed}, &self->disk, &err), &err);
    mr_clock_sim_init(&self->clock, 1000000);
    assert_ok(
        mr_log_open(mr_fs_sim_fs(self->disk), &self->clock.clock, "/home", &self->flow.log, &err),
        &err);
    mr_bytes csv = {0};
    mr_bytes_append_text(&csv, "tx,at,customer,amount\n");
    for (int i = 0; i < PAYMENTS; i++)
        mr_bytes_printf(&csv, "%d,2024-01-01T00:%02d:%02dZ,%d,%d\n", i, i / 60, i % 60, i % 17,
                        i % 100);
    mr_flow_append_csv(&self->flow, "payments", "at", SCHEMA, mr_bytes_text(&csv));
    mr_bytes_deinit(&csv);
    mr_log_close(self->flow.log);
    self->flow.log = NULL;
}

static void free_world(world *self)
{
    close_world(self);
    mr_fs_sim_destroy(self->disk);
}

static void change_models(world *self)
{
    char text[200];
    switch (below(self, 4)) {
    case 0:
        promote(&self->shelf, 1 + below(self, 5));
        break;
    case 1:
        (void)snprintf(text, sizeof text,
                       "{canary: {model: m@%d, share: %d%%, key: customer, salt: s%d}}",
                       (int)(6 + below(self, 3)), (int)below(self, 101), (int)below(self, 9));
        set_rollout(&self->shelf, text);
        break;
    case 2:
        (void)snprintf(text, sizeof text, "{shadow: [m@%d, m@%d]}", (int)(1 + below(self, 9)),
                       (int)(1 + below(self, 9)));
        set_rollout(&self->shelf, text);
        break;
    default:
        set_rollout(&self->shelf, "{}");
    }
}

/* Some steps with swaps among them; ends early when the disk gives out. */
static mr_status live(world *self, bool to_the_end, mr_error *err)
{
    MR_TRY(open_world(self, err));
    for (uint64_t i = 0; to_the_end || i < below(self, 60); i++) {
        uint32_t rows;
        if (below(self, 2) == 0)
            change_models(self);
        mr_clock_sim_advance(&self->clock, (int64_t)below(self, 4) * 1000000);
        int64_t next_ns;
        MR_TRY(mr_log_tick(self->flow.log, &next_ns, err));
        MR_TRY(mr_pipeline_step(self->pipeline, &rows, err));
        if (to_the_end && rows == 0)
            return mr_pipeline_stop(self->pipeline, err);
    }
    return below(self, 3) == 0 ? mr_pipeline_stop(self->pipeline, err) : MR_OK;
}

/* ---- what must hold ---- */

static const mr_column *column_of(const mr_batch *batch, const char *name)
{
    int index = mr_schema_find(batch->schema, name);
    assert_true(index >= 0);
    return &batch->columns[index];
}

/* Of a score of 3050 and more: the amount, which every version adds as it is. */
static void check_reasons(const mr_column *reasons, uint32_t row, double score)
{
    char wanted[128] = "[]";
    uint32_t amount = row % 100;
    assert_true(mr_column_is_null(reasons, row) == (score < 3050));
    if (score < 3050)
        return;
    if (amount > 0)
        (void)snprintf(wanted, sizeof wanted,
                       "[{\"reason\":\"amount\",\"text\":\"%u paid\",\"value\":%u,"
                       "\"contribution\":%u}]",
                       amount, amount, amount);
    mr_text text = mr_column_text(reasons, row);
    assert_int_equal(text.size, strlen(wanted));
    assert_memory_equal(text.bytes, wanted, text.size);
}

/* One decision for each payment, in order, made by the version that it names. */
static void check_decisions(world *self, mr_batch *decisions)
{
    assert_non_null(decisions);
    assert_int_equal(decisions->row_count, PAYMENTS);
    const int64_t *tx = column_of(decisions, "tx")->values,
                  *version = column_of(decisions, "score_version")->values,
                  *position = column_of(decisions, "position")->values,
                  *offset = column_of(decisions, "source_offset")->values;
    const mr_column *rule = column_of(decisions, "action_rule");
    const double *score = column_of(decisions, "score")->values;
    const mr_column *role = column_of(decisions, "score_role"),
                    *action = column_of(decisions, "action");
    for (uint32_t row = 0; row < PAYMENTS; row++) {
        assert_int_equal(tx[row], row);
        assert_true(score[row] == (double)(version[row] * 1000 + row % 100));
        check_reasons(column_of(decisions, "score_reasons"), row, score[row]);
        mr_text is = mr_column_text(role, row), does = mr_column_text(action, row);
        bool canary = is.size == 6 && memcmp(is.bytes, "canary", 6) == 0;
        assert_true(canary == (version[row] > 5));
        assert_true((does.size == 4) == (score[row] > 3050));
        assert_int_equal(position[row], row);
        assert_int_equal(offset[row], row);
        mr_text why = mr_column_text(rule, row);
        assert_true(why.size == (score[row] > 3050 ? strlen("score > 3050") : strlen("else")));
    }
    (void)self;
}

/* The live version at each position, as the journal tells it. */
static void check_journal(world *self, const mr_batch *decisions)
{
    mr_batch *journal = mr_flow_batch(&self->flow, "system/journal/p");
    assert_non_null(journal);
    const int64_t *position = column_of(journal, "position")->values,
                  *rows = column_of(journal, "rows")->values,
                  *version = column_of(decisions, "score_version")->values;
    const mr_column *cast = column_of(journal, "cast");
    char text[2000] = "";
    for (uint32_t i = 0; i < journal->row_count; i++) {
        if (!mr_column_is_null(cast, i)) {
            mr_text now = mr_column_text(cast, i);
            (void)snprintf(text, sizeof text, "\n%.*s", (int)now.size, (const char *)now.bytes);
        }
        for (int64_t p = position[i]; p < position[i] + rows[i]; p++) {
            char part[64];
            (void)snprintf(part, sizeof part, "\n%s m %lld ", version[p] > 5 ? "canary" : "live",
                           (long long)version[p]);
            if (strstr(text, part) == NULL)
                fail_msg("position %lld was decided by %s, the journal has %s", (long long)p, part,
                         text);
        }
    }
    mr_batch_release(journal);
}

/* Shadows said something once of each record that they saw, in order. */
static void check_shadows(world *self)
{
    mr_batch *rows = mr_flow_batch(&self->flow, "system/shadow/p");
    if (rows == NULL)
        return;
    const int64_t *position = column_of(rows, "position")->values,
                  *version = column_of(rows, "version")->values;
    const double *score = column_of(rows, "score")->values;
    const mr_column *flip = column_of(rows, "flip");
    const double *decided = column_of(rows, "decided")->values;
    for (uint32_t i = 0; i < rows->row_count; i++) {
        assert_float_equal(score[i], (double)(version[i] * 1000 + position[i] % 100), 0);
        assert_true(mr_bit_get(flip->values, i) == ((score[i] > 3050) != (decided[i] > 3050)));
        if (i > 0)
            assert_true(position[i] == position[i - 1] || position[i] > position[i - 1]);
        if (i > 1)
            assert_true(position[i] != position[i - 2]); /* two shadows at most */
    }
    mr_batch_release(rows);
}

/* ---- once more ---- */

/* The stored block that holds a decision. */
static void read_block(world *self, uint64_t offset, mr_log_block *out)
{
    mr_error err = {0};
    mr_topic *topic;
    mr_log_reader *reader;
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = offset};
    assert_ok(mr_topic_open(self->flow.log, "out", &topic, &err), &err);
    assert_ok(mr_log_reader_open(topic, 0, start, NULL, &reader, &err), &err);
    assert_ok(mr_log_reader_next(reader, out, &err), &err);
    uint64_t first = out->block_offset;
    mr_log_block_release(out);
    assert_ok(mr_log_reader_seek(
                  reader, (mr_log_start){.kind = MR_LOG_START_OFFSET, .offset = first}, &err),
              &err);
    assert_ok(mr_log_reader_next(reader, out, &err), &err);
    mr_log_reader_close(reader);
    mr_topic_close(topic);
}

/* A replay in memory gives the bytes that are in the topic, and says where the record stood. */
static void check_replay(world *self, uint64_t offset)
{
    mr_error err = {0};
    mr_log_block block = {0};
    mr_replayed again;
    mr_origin counted;
    mr_pipeline_options options = {.log = self->flow.log,
                                   .models = &self->shelf.models,
                                   .fs = mr_fs_sim_fs(self->disk),
                                   .clock = &self->clock.clock,
                                   .home = "/home",
                                   .stepped = true,
                                   .batch_rows_max = 1 + (uint32_t)below(self, 40)};
    read_block(self, offset, &block);
    assert_true(mr_pipeline_is_producer("p", "default/default/out", block.producer_id));
    mr_decision decision = {.topic = "default/default/out",
                            .producer_id = block.producer_id,
                            .first = block.sequence_first,
                            .next = block.sequence_next,
                            .row = (uint32_t)(offset - block.block_offset),
                            .rows = block.block_rows};
    assert_ok(mr_pipeline_replay(self->plan, &options, &decision, &again, &err), &err);
    assert_true(mr_batch_equal(again.rows, block.batch));
    assert_int_equal(again.origin.position, offset);
    assert_int_equal(again.origin.offset, offset);
    assert_int_equal(((const int64_t *)again.record->columns[0].values)[0], offset);
    assert_int_equal(again.plan_then, mr_plan_hash(self->plan));
    assert_true(again.started <= offset && again.started + again.records >= decision.next);
    assert_ok(mr_pipeline_origin_of_row(self->flow.log, self->plan, &decision, &counted, &err),
              &err);
    assert_memory_equal(&counted, &again.origin, sizeof counted);
    mr_replayed_deinit(&again);
    mr_log_block_release(&block);
}

static void check_world(world *self)
{
    mr_batch *decisions = mr_flow_batch(&self->flow, "out");
    check_decisions(self, decisions);
    check_journal(self, decisions);
    check_shadows(self);
    mr_batch_release(decisions);
    check_replay(self, below(self, PAYMENTS));
}

static uint64_t run_world(uint64_t seed)
{
    world self;
    mr_error err = {0};
    make_world(&self, seed);
    uint64_t lives = 1 + below(&self, 5);
    for (uint64_t life = 0; life < lives; life++) {
        if (below(&self, 3) > 0)
            mr_fs_sim_crash_after(self.disk, below(&self, 400));
        mr_status status = live(&self, false, &err);
        if (status != MR_OK && !mr_fs_sim_is_down(self.disk))
            fail_msg("seed %" PRIu64 ": %s", seed, err.text);
        if (mr_fs_sim_is_down(self.disk) || below(&self, 2) == 0)
            mr_fs_sim_crash(self.disk);
        close_world(&self);
        if (mr_fs_sim_is_down(self.disk))
            mr_fs_sim_crash(self.disk);
        mr_fs_sim_heal(self.disk);
        mr_error_clear(&err);
    }
    mr_status status = live(&self, true, &err);
    if (status != MR_OK)
        fail_msg("seed %" PRIu64 ": %s", seed, err.text);
    check_world(&self);
    uint64_t swapped = self.shelf.swapped;
    free_world(&self);
    return swapped;
}

TEST(cast, every_decision_carries_the_version_the_journal_says)
{
    uint64_t swapped = 0, rounds = mr_test_rounds(1700);
    for (uint64_t seed = 0; seed < rounds; seed++)
        swapped += run_world(seed);
    assert_true(swapped >= 6 * rounds); /* over 10000 by default */
}

TEST(cast, a_broken_version_leaves_the_old_one_playing)
{
    world self;
    mr_error err = {0};
    uint32_t rows;
    make_world(&self, 1);
    assert_ok(open_world(&self, &err), &err);
    assert_ok(mr_pipeline_step(self.pipeline, &rows, &err), &err);
    self.shelf.broken = 2;
    promote(&self.shelf, 2);
    assert_ok(mr_pipeline_step(self.pipeline, &rows, &err), &err);
    assert_int_equal(self.shelf.refused, 1);
    promote(&self.shelf, 3);
    do
        assert_ok(mr_pipeline_step(self.pipeline, &rows, &err), &err);
    while (rows > 0);
    assert_ok(mr_pipeline_stop(self.pipeline, &err), &err);
    mr_batch *decisions = mr_flow_batch(&self.flow, "out");
    check_decisions(&self, decisions);
    const int64_t *version = column_of(decisions, "score_version")->values;
    assert_int_equal(version[0], 1);
    assert_int_equal(version[PAYMENTS - 1], 3);
    for (uint32_t row = 0; row < PAYMENTS; row++)
        assert_true(version[row] != 2);
    mr_batch_release(decisions);
    free_world(&self);
}

static mr_status compile_inputs(world *self, const char *model, const char *inputs, mr_error *err)
{
    char text[512];
    mr_fs *fs = mr_fs_sim_fs(self->disk);
    mr_plan *plan = NULL;
    (void)snprintf(text, sizeof text,
                   "pipeline: q\nsources: {payments: {topic: payments, event_time: at}}\n"
                   "score: {model: %s, inputs: {%s}}\nsink: out\n",
                   model, inputs);
    mr_status status = mr_plan_compile(fs, self->flow.log, &self->shelf.models, text, strlen(text),
                                       "t.yaml", "", &plan, err);
    mr_plan_release(plan);
    return status;
}

TEST(cast, inputs_may_name_what_only_another_version_takes)
{
    world self;
    mr_error err = {0};
    make_world(&self, 2);
    assert_ok(open_world(&self, &err), &err);
    assert_ok(compile_inputs(&self, "m@champion", "fixed acidity: amount, amount: tx", &err), &err);
    assert_int_equal(compile_inputs(&self, "m@champion", "fixed acidity: amounts", &err),
                     MR_INVALID);
    assert_non_null(strstr(err.text, "amounts"));
    free_world(&self);
}

/* A finished world with a swap and a shadow in it. */
static void make_finished(world *self)
{
    mr_error err = {0};
    uint32_t rows;
    make_world(self, 3);
    assert_ok(open_world(self, &err), &err);
    assert_ok(mr_pipeline_step(self->pipeline, &rows, &err), &err);
    promote(&self->shelf, 2);
    set_rollout(&self->shelf, "{shadow: [m@4]}");
    do
        assert_ok(mr_pipeline_step(self->pipeline, &rows, &err), &err);
    while (rows > 0);
    assert_ok(mr_pipeline_stop(self->pipeline, &err), &err);
}

/* All that `why` asks of a pipeline. */
static mr_status ask_all(world *self, const mr_pipeline_options *options,
                         const mr_decision *decision, mr_error *err)
{
    mr_replayed again = {0};
    mr_origin origin;
    mr_verdict verdict = {0};
    mr_model *model = NULL;
    mr_batch *record = NULL;
    mr_bytes cast = {0}, rule = {0};
    mr_model_ref ref = {.name = "m", .version = 9};
    mr_status status = mr_pipeline_replay(self->plan, options, decision, &again, err);
    if (status == MR_OK)
        status = mr_pipeline_origin(options->log, "p", again.origin.position, &origin, err);
    if (status == MR_OK)
        status = mr_plan_read_record(self->plan, options->log, &origin, &record, err);
    if (status == MR_OK)
        status = mr_pipeline_cast_at(options->log, "p", origin.position, &cast, err);
    if (status == MR_OK)
        status = open_version(&self->shelf.models, &ref, &model, err);
    if (status == MR_OK)
        status = mr_plan_verdict(self->plan, model, again.frame, &verdict, err);
    if (status == MR_OK)
        status = mr_plan_rule(self->plan, "action", again.frame, &rule, err);
    if (status == MR_OK) {
        assert_true(mr_batch_equal(record, again.record));
        assert_int_equal(cast.size, again.cast.size);
        assert_memory_equal(cast.data, again.cast.data, cast.size);
        assert_non_null(strstr(mr_bytes_text(&cast), "shadow m 4 "));
        double score = ((const double *)verdict.scores->columns[0].values)[0];
        double amount = ((const double *)record->columns[3].values)[0];
        assert_true(score == 9000 + amount);
        assert_true(verdict.adds[0] + verdict.adds[1] == score);
        assert_string_equal(mr_bytes_text(&rule), "else"); /* version 2: at most 2099 */
    }
    mr_replayed_deinit(&again);
    mr_batch_release(record);
    mr_verdict_deinit(&verdict);
    mr_model_close(model);
    mr_bytes_deinit(&cast);
    mr_bytes_deinit(&rule);
    return status;
}

TEST(cast, asking_why_survives_failing_allocations)
{
    world self;
    mr_log_block block = {0};
    mr_status status = MR_NO_MEMORY;
    make_finished(&self);
    mr_pipeline_options options = {.log = self.flow.log,
                                   .models = &self.shelf.models,
                                   .fs = mr_fs_sim_fs(self.disk),
                                   .clock = &self.clock.clock,
                                   .home = "/home",
                                   .stepped = true};
    read_block(&self, PAYMENTS - 1, &block);
    mr_decision decision = {.topic = "default/default/out",
                            .first = block.sequence_first,
                            .next = block.sequence_next,
                            .row = (uint32_t)(PAYMENTS - 1 - block.block_offset),
                            .rows = block.block_rows};
    for (int64_t n = 0; status != MR_OK; n++) {
        mr_error err = {0};
        assert_true(n < 5000);
        (void)mr_memory_fail_after(n, n % 2 == 0);
        status = ask_all(&self, &options, &decision, &err);
        (void)mr_memory_fail_after(-1, false);
        if (status != MR_NO_MEMORY && status != MR_FULL) /* state says its budget is full */
            assert_ok(status, &err);
    }
    mr_log_block_release(&block);
    free_world(&self);
}

TEST(cast, figures_of_each_version_are_kept_apart)
{
    world self;
    mr_error err = {0};
    mr_bytes text = {0};
    mr_model_stats *entries = mr_alloc(MR_MODEL_STATS_MAX * sizeof *entries);
    make_finished(&self);
    assert_int_equal(mr_pipeline_model_stats(self.pipeline, entries), 3);
    assert_int_equal(entries[0].ref.version, 1);
    assert_false(entries[0].plays);
    assert_true(entries[1].plays && entries[2].plays);
    assert_string_equal(entries[1].role, "live");
    assert_string_equal(entries[2].role, "shadow");
    assert_int_equal(entries[0].record.count + entries[1].record.count, PAYMENTS);
    assert_int_equal(entries[2].record.count, entries[1].record.count);
    assert_int_equal(entries[1].since_position, entries[0].record.count);
    assert_int_equal(entries[2].scores_above, entries[2].record.count);
    assert_true(entries[2].score_max == 4099);
    assert_ok(mr_pipeline_model_stats_write(self.pipeline, &err), &err);
    assert_ok(
        mr_fs_read_file(mr_fs_sim_fs(self.disk), "/home/pipelines/p/models.json", 0, &text, &err),
        &err);
    assert_non_null(strstr(mr_bytes_text(&text), "\"version\":4,\"role\":\"shadow\""));
    mr_bytes_deinit(&text);
    mr_free(entries);
    free_world(&self);
}

TEST(cast, timings_have_quantiles)
{
    mr_timing timing = {0};
    assert_true(mr_timing_quantile(&timing, 0.5) == 0);
    for (int64_t ns = 1; ns <= 1000000; ns = ns * 3 / 2 + 1) {
        timing = (mr_timing){0};
        mr_timing_add(&timing, ns, 99);
        mr_timing_add(&timing, ns * 100, 1);
        double half = mr_timing_quantile(&timing, 0.5), last = mr_timing_quantile(&timing, 1);
        assert_true(half >= (double)ns && half <= (double)ns * 1.25 + 1);
        assert_true(last == (double)ns * 100);
    }
    assert_int_equal(timing.count, 100);
}

/* m computes with float32; the next version of the name may not. */
TEST(cast, scores_of_a_model_by_name_have_room_for_any_family)
{
    world self;
    mr_error err = {0};
    make_world(&self, 3);
    assert_ok(open_world(&self, &err), &err);
    for (uint32_t i = 0; i < self.plan->score.result_count; i++) {
        assert_int_equal(self.plan->score.results[i].type.id, MR_FLOAT64);
        assert_true(self.plan->score.results[i].nullable);
    }
    free_world(&self);
}
