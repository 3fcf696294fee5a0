/* registry_life_test.c -- what the tests of this room share: see registry_test.h. */
#include "registry/registry_test.h"
#include "test/test.h"

#include "base/assert.h"
#include "model/artifact.h"
#include "test/models.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

mr_status registry_life_open(registry_life *life, mr_fs *fs, mr_clock_sim *clock, mr_error *err)
{
    *life = (registry_life){.fs = fs, .clock = clock};
    MR_TRY(mr_log_open(fs, &clock->clock, REGISTRY_TEST_HOME, &life->log, err));
    mr_registry_options options = {.fs = fs,
                                   .clock = &clock->clock,
                                   .log = life->log,
                                   .home = REGISTRY_TEST_HOME,
                                   .principal = "ann@test",
                                   .process = "test"};
    return mr_registry_open(&options, &life->registry, err);
}

void registry_life_close(registry_life *life)
{
    mr_registry_close(life->registry);
    mr_log_close(life->log);
    *life = (registry_life){0};
}

/* The base score tells the kinds apart. */
static void model_text(uint32_t kind, mr_bytes *out)
{
    static const char text[] = MR_TEST_MODEL_XGBOOST;
    static const char base[] = "[3E-1]";
    const char *at = strstr(text, base);
    MR_ASSERT(at != NULL);
    mr_bytes_append(out, text, (size_t)(at - text));
    mr_bytes_printf(out, "[%g]", 0.1 + 0.8 * (double)(kind % 1000) / 1000);
    mr_bytes_append_text(out, at + sizeof base - 1);
}

static mr_status golden_of(const mr_bytes *model_bytes, mr_bytes *out, mr_error *err)
{
    const float rows[] = {1, 0, 0, NAN, 0.25f, 1, 2, 0.5f, 3.5f};
    mr_model *model;
    MR_TRY(mr_model_open_bytes(model_bytes->data, model_bytes->size, NULL, &model, err));
    mr_status status = mr_artifact_golden(model, rows, 3, out, err);
    mr_model_close(model);
    return status;
}

mr_status registry_test_artifact(mr_fs *fs, const char *folder, uint32_t kind, mr_error *err)
{
    mr_bytes model = {0}, golden = {0}, yaml = {0};
    model_text(kind, &model);
    mr_bytes_printf(&yaml,
                    "family: xgboost\ndescription: \"kind %u\"\n"
                    "inputs: [{name: amount, type: float32}, night, {name: \"count 7d\"}]\n"
                    "metrics: {validation: {auc_roc: 0.9}}\n",
                    kind);
    mr_status status = golden_of(&model, &golden, err);
    const mr_artifact_file files[] = {{"model.json", model.data, model.size},
                                      {"model.yaml", yaml.data, yaml.size},
                                      {"golden.csv", golden.data, golden.size}};
    if (status == MR_OK)
        status = mr_artifact_write(fs, folder, files, 3, err);
    mr_bytes_deinit(&model);
    mr_bytes_deinit(&golden);
    mr_bytes_deinit(&yaml);
    return status;
}

/* ---- the dump ---- */

static mr_status dump_event(void *context, const mr_registry_event *e, mr_error *err)
{
    (void)err;
    mr_bytes_printf(context,
                    "event %" PRIu64 " %" PRId64 " %s %s/%" PRIu64 " %s %" PRIu64 " %s %s %s %s\n",
                    e->offset, e->at_us, mr_registry_kind_text(e->kind), e->name, e->version,
                    e->alias, e->from_version, e->hash, e->who, e->why, e->detail);
    return MR_OK;
}

static mr_status dump_version(void *context, const mr_registry_version *v, mr_error *err)
{
    (void)err;
    mr_bytes_printf(context,
                    "version %s/%" PRIu64 " %" PRIu64 " %s %s [%s] %s %s %s %s %" PRIu64 " %d\n",
                    v->name, v->version, v->event, v->hash, v->who, v->aliases, v->tags,
                    v->description, v->family, v->facts, v->bytes, v->retired);
    return MR_OK;
}

static mr_status dump_model(void *context, const mr_registry_model *m, mr_error *err)
{
    (void)err;
    mr_bytes_printf(context,
                    "model %s '%s' %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n",
                    m->name, m->description, m->version_count, m->newest, m->champion,
                    m->created_us, m->changed_us);
    return MR_OK;
}

mr_status registry_test_dump(mr_registry *registry, mr_bytes *out, mr_error *err)
{
    static const char *const pipelines[] = {"cards", "wine"};
    mr_bytes_clear(out);
    MR_TRY(mr_registry_models(registry, dump_model, out, err));
    MR_TRY(mr_registry_versions(registry, NULL, dump_version, out, err));
    MR_TRY(mr_registry_history(registry, NULL, dump_event, out, err));
    for (size_t i = 0; i < MR_COUNT_OF(pipelines); i++) {
        mr_arena arena = {0};
        mr_registry_rollout r;
        mr_status status = mr_registry_get_rollout(registry, pipelines[i], &arena, &r, err);
        if (status == MR_OK)
            mr_bytes_printf(out, "rollout %" PRIu64 " %" PRIu64 " %s %s %s %s %s %s\n", r.set_event,
                            r.last_event, mr_rollout_action_text(r.last), r.spec, r.step, r.detail,
                            r.who, r.why);
        mr_arena_deinit(&arena);
        if (status != MR_OK && status != MR_NOT_FOUND)
            return status;
    }
    return out->failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}
