/* rollout.c -- what a pipeline is to do with versions, kept as events; what it means is the pipeline's affair. */
#include "registry/registry_internal.h"

#include "base/assert.h"

#include <string.h>

static const struct {
    const char *text, *state;
} actions[] = {
#define X(name, text, state) [MR_ROLLOUT_##name] = {text, state},
    MR_ROLLOUT_ACTION_MAP(X)
#undef X
};

bool mr_rollout_action_parse(const char *text, mr_rollout_action *out)
{
    for (size_t i = 0; i < MR_COUNT_OF(actions); i++)
        if (strcmp(actions[i].text, text) == 0) {
            *out = (mr_rollout_action)i;
            return true;
        }
    return false;
}

const char *mr_rollout_action_text(mr_rollout_action action)
{
    return actions[action].text;
}

const char *mr_rollout_state_text(mr_rollout_action last)
{
    return actions[last].state;
}

static bool has_ended(mr_rollout_action last)
{
    return last == MR_ROLLOUT_ABORT || last == MR_ROLLOUT_FINISH;
}

/* ---- asking ---- */

static mr_status get(mr_registry *registry, const char *pipeline, mr_arena *arena,
                     mr_registry_rollout *out, mr_error *err)
{
    registry_statement s = registry_prepare(
        &registry->catalogue,
        "SELECT set_event, last_event, set_at, last_at, action, spec, step, detail,"
        " who, why FROM rollout WHERE pipeline = ?1",
        err);
    registry_bind_text(&s, pipeline);
    *out = (mr_registry_rollout){0};
    bool found = registry_step(&s);
    const char **texts[] = {&out->spec, &out->step, &out->detail, &out->who, &out->why};
    if (found) {
        out->set_event = (uint64_t)registry_int(&s, 0);
        out->last_event = (uint64_t)registry_int(&s, 1);
        out->set_us = registry_int(&s, 2);
        out->last_us = registry_int(&s, 3);
        (void)mr_rollout_action_parse(registry_text(&s, 4), &out->last);
        for (size_t i = 0; i < MR_COUNT_OF(texts); i++)
            if ((*texts[i] = mr_arena_strdup(arena, registry_text(&s, 5 + (int)i))) == NULL)
                registry_stop(&s, MR_OUT_OF_MEMORY(err));
    }
    MR_TRY(registry_finish(&s));
    return found ? MR_OK : MR_FAIL(err, MR_NOT_FOUND, "pipeline %s has no rollout", pipeline);
}

mr_status mr_registry_get_rollout(mr_registry *registry, const char *pipeline, mr_arena *arena,
                                  mr_registry_rollout *out, mr_error *err)
{
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_catch_up(registry, err);
    if (status == MR_OK)
        status = get(registry, pipeline, arena, out, err);
    mr_mutex_unlock(&registry->lock);
    return status;
}

/* ---- changing ---- */

typedef struct rollout_change {
    const char *pipeline, *detail, *why;
    mr_rollout_action action;
    uint64_t expected;
} rollout_change;

static mr_status check_running(mr_registry *registry, const rollout_change *wish, mr_error *err)
{
    mr_arena arena = {0};
    mr_registry_rollout now;
    mr_status status = get(registry, wish->pipeline, &arena, &now, err);
    if (status == MR_OK && wish->expected != MR_REGISTRY_ANY && wish->expected != now.set_event)
        status = MR_FAIL(err, MR_CONFLICT,
                         "the rollout of pipeline %s is the one of event %llu, not of event %llu",
                         wish->pipeline, (unsigned long long)now.set_event,
                         (unsigned long long)wish->expected);
    else if (status == MR_OK && has_ended(now.last))
        status = MR_FAIL(err, MR_CONFLICT, "the rollout of pipeline %s is %s already",
                         wish->pipeline, mr_rollout_state_text(now.last));
    mr_arena_deinit(&arena);
    return status;
}

static mr_status check(mr_registry *registry, const rollout_change *wish, mr_error *err)
{
    size_t size = wish->detail != NULL ? strlen(wish->detail) : 0;
    if (size > MR_REGISTRY_DETAIL_MAX)
        return MR_FAIL(err, MR_FULL, "a rollout of %zu bytes; %u is the limit", size,
                       MR_REGISTRY_DETAIL_MAX);
    if (size > 0 && !registry_is_json_object(&registry->catalogue, wish->detail))
        return MR_FAIL(err, MR_INVALID, "what a rollout says must be a JSON object, not %.100s",
                       wish->detail);
    return wish->action == MR_ROLLOUT_SET ? MR_OK : check_running(registry, wish, err);
}

static mr_status make(mr_registry *registry, const rollout_change *wish, uint64_t *out_event,
                      mr_error *err)
{
    mr_registry_event event = {.kind = MR_REGISTRY_ROLLOUT,
                               .name = wish->pipeline,
                               .alias = actions[wish->action].text,
                               .why = wish->why,
                               .detail = wish->detail};
    registry_change change;
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_change_begin(&change, registry, err);
    if (status == MR_OK)
        status = check(registry, wish, err);
    if (status == MR_OK)
        status = registry_change_append(&change, &event, 1, err);
    registry_change_end(&change);
    mr_mutex_unlock(&registry->lock);
    if (status == MR_OK && out_event != NULL)
        *out_event = event.offset;
    return status;
}

mr_status mr_registry_set_rollout(mr_registry *registry, const char *pipeline,
                                  const char *spec_json, const char *why, uint64_t *out_event,
                                  mr_error *err)
{
    rollout_change wish = {pipeline, spec_json, why, MR_ROLLOUT_SET, MR_REGISTRY_ANY};
    MR_TRY(registry_check_name("the pipeline", pipeline, err));
    return make(registry, &wish, out_event, err);
}

mr_status mr_registry_change_rollout(mr_registry *registry, const char *pipeline,
                                     mr_rollout_action action, uint64_t expected_set_event,
                                     const char *detail_json, const char *why, uint64_t *out_event,
                                     mr_error *err)
{
    rollout_change wish = {pipeline, detail_json, why, action, expected_set_event};
    if (action == MR_ROLLOUT_SET)
        return MR_FAIL(err, MR_INVALID, "a rollout is set with mr_registry_set_rollout");
    MR_TRY(registry_check_name("the pipeline", pipeline, err));
    return make(registry, &wish, out_event, err);
}
