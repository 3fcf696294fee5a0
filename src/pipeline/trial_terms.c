/* trial_terms.c -- from the texts of a rollout to numbers and columns. */
#include "pipeline/trial_terms.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

#define RECORDS     1000
#define RECORDS_MAX 100000
#define PENDING     10000
#define PENDING_MAX 1000000
#define ALPHA       0.05

static const struct {
    const char *text;
    bool outcomes;
} metrics[TRIAL_METRIC_COUNT] = {
#define X(name, text, outcomes) [TRIAL_##name] = {text, outcomes},
    TRIAL_METRIC_MAP(X)
#undef X
};

static const char *const guard_texts[TRIAL_GUARD_COUNT] = {
#define X(name, text) [TRIAL_##name] = text,
    TRIAL_GUARD_MAP(X)
#undef X
};

static const char *const then_texts[TRIAL_THEN_COUNT] = {
#define X(name, text) [TRIAL_THEN_##name] = text,
    TRIAL_THEN_MAP(X)
#undef X
};

const char *trial_metric_text(trial_metric metric)
{
    return metrics[metric].text;
}

const char *trial_guard_text(trial_guard_kind kind)
{
    return guard_texts[kind];
}

uint32_t trial_terms_share(const trial_terms *terms)
{
    return terms->share_count > 0 ? terms->shares[terms->step] : 0;
}

/* ---- values ---- */

static mr_status wrong(const char *key, const char *text, const char *right, mr_error *err)
{
    return MR_FAIL(err, MR_INVALID, "rollout: %s: '%.80s' is none; write %s", key, text, right);
}

static mr_status read_count(const char *key, const mr_spec_text *text, uint64_t by_default,
                            uint64_t max, uint64_t *out, mr_error *err)
{
    int64_t value = (int64_t)by_default;
    if (text->text != NULL && (!mr_number_is_int64(text->text, strlen(text->text), &value) ||
                               value < 1 || (uint64_t)value > max))
        return wrong(key, text->text, "a number of records, from 1 on", err);
    *out = (uint64_t)value;
    return MR_OK;
}

static mr_status read_double(const char *key, const char *text, double min, double max, double *out,
                             mr_error *err)
{
    if (!mr_number_is_float64(text, strlen(text), out) || !(*out >= min) || !(*out <= max))
        return MR_FAIL(err, MR_INVALID, "rollout: %s: '%.80s' is no number from %g to %g", key,
                       text, min, max);
    return MR_OK;
}

static mr_status read_share(const char *key, const char *text, uint32_t *out, mr_error *err)
{
    return mr_spec_share(text, out) ? MR_OK : wrong(key, text, "10% or 0.5%", err);
}

static mr_status read_metric(const char *key, const mr_spec_text *text, trial_metric *out,
                             mr_error *err)
{
    for (int i = 0; i < TRIAL_METRIC_COUNT; i++)
        if (strcmp(metrics[i].text, text->text) == 0) {
            *out = (trial_metric)i;
            return MR_OK;
        }
    return wrong(key, text->text, "squared_error, absolute_error, log_loss, hit, outcome or score",
                 err);
}

static mr_status read_then(const mr_spec_text *text, trial_then *out, mr_error *err)
{
    *out = TRIAL_THEN_ROLL_BACK;
    if (text->text == NULL)
        return MR_OK;
    for (int i = 0; i < TRIAL_THEN_COUNT; i++)
        if (strcmp(then_texts[i], text->text) == 0) {
            *out = (trial_then)i;
            return MR_OK;
        }
    return wrong("then", text->text, "rollback, pause or note", err);
}

/* ---- sections ---- */

static mr_status read_steps(const mr_spec_rollout *rollout, trial_terms *terms, mr_error *err)
{
    terms->ab = rollout->ab.model.text != NULL;
    const mr_spec_canary *canary = terms->ab ? &rollout->ab : &rollout->canary;
    MR_TRY(read_count("records", &canary->records, RECORDS, UINT32_MAX, &terms->records, err));
    if (canary->model.text == NULL)
        return MR_OK;
    if (canary->steps.count > TRIAL_STEPS_MAX || (terms->ab && canary->steps.count > 0))
        return MR_FAIL(err, MR_INVALID, "rollout: %zu steps; a canary may have %d, ab has a share",
                       canary->steps.count, TRIAL_STEPS_MAX);
    if (canary->share.text != NULL)
        MR_TRY(read_share("share", canary->share.text, &terms->shares[0], err));
    for (size_t i = 0; i < canary->steps.count; i++)
        MR_TRY(read_share("steps", canary->steps.items[i].text, &terms->shares[i], err));
    terms->share_count = (uint32_t)MR_MAX(canary->steps.count, 1);
    terms->advances = canary->steps.count > 0;
    return MR_OK;
}

static mr_status read_state(const mr_spec_rollout *rollout, trial_terms *terms, mr_error *err)
{
    double step = 0;
    if (rollout->step.text != NULL)
        MR_TRY(read_double("step", rollout->step.text, 0, TRIAL_STEPS_MAX - 1, &step, err));
    terms->step = (uint32_t)step;
    if (terms->step > 0 && terms->step >= terms->share_count)
        return MR_FAIL(err, MR_INVALID, "rollout: step %u of %u", terms->step, terms->share_count);
    terms->paused = rollout->state.text != NULL && strcmp(rollout->state.text, "paused") == 0;
    return MR_OK;
}

static mr_status read_limit(trial_guard_kind kind, const char *text, double *out, mr_error *err)
{
    const char *name = guard_texts[kind];
    uint32_t share;
    int64_t us;
    switch (kind) {
    case TRIAL_ERROR_SHARE:
    case TRIAL_AGREEMENT:
        MR_TRY(read_share(name, text, &share, err));
        *out = share / 1e6;
        return MR_OK;
    case TRIAL_P99:
        if (!mr_spec_duration(text, &us))
            return wrong(name, text, "a duration: 500us", err);
        *out = (double)us * 1000;
        return MR_OK;
    default:
        return read_double(name, text, 1e-9, 1e9, out, err);
    }
}

static mr_status read_guards(const mr_spec_guards *from, trial_terms *terms, mr_error *err)
{
    const mr_spec_guard *const all[TRIAL_GUARD_COUNT] = {
        &from->error_share, &from->p99, &from->drift, &from->agreement, &from->quality};
    for (int i = 0; i < TRIAL_GUARD_COUNT; i++) {
        trial_guard *guard = &terms->guards[i];
        guard->set = all[i]->limit.text != NULL;
        if (!guard->set)
            continue;
        MR_TRY(read_limit((trial_guard_kind)i, all[i]->limit.text, &guard->limit, err));
        MR_TRY(read_then(&all[i]->then, &guard->then, err));
        if (all[i]->metric.text != NULL)
            MR_TRY(read_metric("quality", &all[i]->metric, &guard->metric, err));
    }
    return MR_OK;
}

static mr_status read_success(const mr_spec_success *from, trial_terms *terms, mr_error *err)
{
    terms->alpha = ALPHA;
    terms->records_max = RECORDS_MAX;
    if (from->alpha.text != NULL)
        MR_TRY(read_double("alpha", from->alpha.text, 1e-9, 0.5, &terms->alpha, err));
    MR_TRY(read_count("max_records", &from->max_records, RECORDS_MAX, INT64_MAX,
                      &terms->records_max, err));
    terms->has_success = from->metric.text != NULL;
    if (!terms->has_success)
        return MR_OK;
    MR_TRY(read_metric("success", &from->metric, &terms->metric, err));
    MR_TRY(read_double("min_effect", from->min_effect.text, 1e-9, 1e9, &terms->min_effect, err));
    const char *direction = from->direction.text != NULL ? from->direction.text : "higher";
    terms->lower = strcmp(direction, "lower") == 0;
    if (!terms->lower && strcmp(direction, "higher") != 0)
        return wrong("direction", direction, "higher or lower", err);
    return MR_OK;
}

static mr_status find_column(const mr_schema *schema, const char *key, const char *name,
                             uint32_t *out, mr_error *err)
{
    int column = mr_schema_find(schema, name);
    if (column < 0)
        return MR_FAIL(err, MR_INVALID, "rollout: %s: there is no column %s", key, name);
    *out = (uint32_t)column;
    return MR_OK;
}

static mr_status find_source(const mr_plan *plan, const char *name, uint32_t *out, mr_error *err)
{
    for (uint32_t i = 0; i < plan->source_count; i++)
        if (strcmp(plan->sources[i].name, name) == 0 && i != plan->on) {
            *out = i;
            return MR_OK;
        }
    return MR_FAIL(err, MR_INVALID,
                   "rollout: outcomes: '%s' is no other source of the pipeline; declare it under "
                   "`sources`",
                   name);
}

static bool is_number(const mr_field *field)
{
    mr_type_id id = field->type.id;
    return id == MR_BOOL || id == MR_INT32 || id == MR_INT64 || id == MR_FLOAT32 ||
           id == MR_FLOAT64;
}

static mr_status read_outcomes(const mr_plan *plan, const mr_spec_outcomes *from,
                               trial_terms *terms, mr_error *err)
{
    terms->has_outcomes = from->source.text != NULL;
    if (!terms->has_outcomes)
        return MR_OK;
    MR_TRY(find_source(plan, from->source.text, &terms->outcome_source, err));
    const mr_schema *frame = plan->sources[terms->outcome_source].frame;
    MR_TRY(find_column(frame, "outcomes: key", from->key.text, &terms->outcome_key, err));
    MR_TRY(find_column(frame, "outcomes: value", from->value.text, &terms->outcome_value, err));
    MR_TRY(find_column(plan->frame, "outcomes: id",
                       from->id.text != NULL ? from->id.text : from->key.text, &terms->id_column,
                       err));
    if (frame->fields[terms->outcome_key].type.id != plan->frame->fields[terms->id_column].type.id)
        return MR_FAIL(err, MR_INVALID, "rollout: outcomes: %s and the record's id differ in type",
                       from->key.text);
    if (!is_number(&frame->fields[terms->outcome_value]))
        return MR_FAIL(err, MR_INVALID, "rollout: outcomes: %s is no number", from->value.text);
    terms->maturity_us = from->maturity_us;
    terms->has_missing = from->missing.text != NULL;
    if (terms->has_missing)
        MR_TRY(read_double("missing", from->missing.text, -1e300, 1e300, &terms->missing, err));
    return read_count("pending", &from->pending, PENDING, PENDING_MAX, &terms->pending_max, err);
}

static mr_status check_outcomes(const trial_terms *terms, mr_error *err)
{
    bool wanted =
        (terms->has_success && metrics[terms->metric].outcomes) || terms->guards[TRIAL_QUALITY].set;
    if (wanted && !terms->has_outcomes)
        return MR_FAIL(err, MR_INVALID,
                       "rollout: %s is told by outcomes; say under `outcomes` where they come from",
                       terms->has_success ? metrics[terms->metric].text : "quality");
    return MR_OK;
}

/* ---- all ---- */

static mr_status keep_texts(const mr_spec_rollout *rollout, trial_terms *terms, mr_error *err)
{
    mr_bytes now = {0}, next = {0};
    mr_spec_write_rollout(rollout, terms->step, terms->paused ? "paused" : "", &now);
    mr_spec_write_rollout(rollout, terms->step + 1, "", &next);
    const char *now_text = mr_bytes_text(&now), *next_text = mr_bytes_text(&next);
    terms->text = now_text != NULL ? mr_strdup(now_text) : NULL;
    terms->next = next_text != NULL ? mr_strdup(next_text) : NULL;
    terms->id = mr_hash64(rollout->json, strlen(rollout->json));
    mr_bytes_deinit(&now);
    mr_bytes_deinit(&next);
    return terms->text != NULL && terms->next != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

static mr_status fill(const mr_plan *plan, const mr_spec_rollout *rollout, trial_terms *terms,
                      mr_error *err)
{
    uint32_t segments = 0;
    MR_TRY(read_steps(rollout, terms, err));
    MR_TRY(read_state(rollout, terms, err));
    MR_TRY(read_guards(&rollout->guards, terms, err));
    MR_TRY(read_success(&rollout->success, terms, err));
    MR_TRY(read_outcomes(plan, &rollout->outcomes, terms, err));
    MR_TRY(check_outcomes(terms, err));
    if (rollout->segments.text != NULL)
        MR_TRY(find_column(plan->frame, "segments", rollout->segments.text, &segments, err));
    terms->segments = rollout->segments.text != NULL ? (int)segments : -1;
    return keep_texts(rollout, terms, err);
}

mr_status trial_terms_read(const mr_plan *plan, const mr_spec_rollout *rollout, trial_terms **out,
                           mr_error *err)
{
    trial_terms *terms = MR_NEW(trial_terms);
    if (terms == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = fill(plan, rollout, terms, err);
    if (status != MR_OK)
        trial_terms_destroy(terms);
    else
        *out = terms;
    return status;
}

mr_status trial_terms_parse(const mr_plan *plan, const char *text, trial_terms **out, mr_error *err)
{
    mr_arena arena;
    mr_yaml *root;
    mr_spec_rollout rollout;
    mr_arena_init(&arena, 0);
    mr_status status = mr_yaml_parse(text, strlen(text), "rollout", &arena, &root, err);
    if (status == MR_OK)
        status = mr_spec_read_rollout(root, "rollout", &arena, &rollout, err);
    if (status == MR_OK)
        status = trial_terms_read(plan, &rollout, out, err);
    mr_arena_deinit(&arena);
    return status;
}

void trial_terms_destroy(trial_terms *terms)
{
    if (terms == NULL)
        return;
    mr_free(terms->text);
    mr_free(terms->next);
    mr_free(terms);
}
