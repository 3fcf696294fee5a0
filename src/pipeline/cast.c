/* cast.c -- from aliases and rollouts to a cast, by way of its text. */
#include "pipeline/cast.h"

#include "base/assert.h"
#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRIAL_LINE "trial "

static const char *const role_texts[CAST_ROLE_COUNT] = {
#define X(name, text) [CAST_##name] = text,
    CAST_ROLE_MAP(X)
#undef X
};

const char *cast_role_text(cast_role role)
{
    return role_texts[role];
}

/* ---- birth and death ---- */

static void destroy_part(const run_cast *cast, cast_part *part)
{
    for (int i = 0; part->scratches != NULL && i < cast->workers; i++)
        mr_scratch_destroy(part->scratches[i]);
    mr_free(part->scratches);
    mr_free(part->inputs);
    mr_binding_destroy(part->binding);
    mr_free(part->columns);
    mr_reasons_destroy(part->reasons);
    if (part->model != cast->lent)
        mr_model_close(part->model);
}

void cast_destroy(run_cast *cast)
{
    if (cast == NULL)
        return;
    for (size_t i = 0; i < cast->part_count; i++)
        destroy_part(cast, &cast->parts[i]);
    trial_terms_destroy(cast->terms);
    mr_bytes_deinit(&cast->text);
    mr_free(cast);
}

bool cast_is(const run_cast *cast, const mr_bytes *text)
{
    return cast != NULL && cast->text.size == text->size &&
           (text->size == 0 || memcmp(cast->text.data, text->data, text->size) == 0);
}

/* ---- parts ---- */

static mr_status same_results(const mr_plan *plan, const mr_model *model, mr_error *err)
{
    const plan_score *score = &plan->score;
    mr_arena arena;
    mr_field *fields;
    uint32_t count = 0;
    mr_arena_init(&arena, 0);
    mr_status status =
        mr_results_fields(model, score->output, score->margin, &arena, &fields, &count, err);
    bool same = count == score->result_count;
    for (uint32_t i = 0; status == MR_OK && same && i < count; i++)
        same = strcmp(fields[i].name, score->results[i].name) == 0 &&
               mr_type_is_text(fields[i].type.id) == mr_type_is_text(score->results[i].type.id) &&
               (!fields[i].nullable || score->results[i].nullable);
    mr_arena_deinit(&arena);
    if (status == MR_OK && !same)
        status = MR_FAIL(err, MR_CONFLICT,
                         "it gives other columns than the version the pipeline was started with");
    return status;
}

static mr_status same_classes(const mr_plan *plan, const mr_model *model, mr_error *err)
{
    const mr_model_signature *ours = &plan->score.model->signature, *its = &model->signature;
    bool same = ours->class_count == its->class_count;
    for (uint32_t i = 0; same && i < ours->class_count; i++)
        same = strcmp(ours->class_names[i], its->class_names[i]) == 0;
    return same ? MR_OK
                : MR_FAIL(err, MR_CONFLICT,
                          "it has other classes than the version the pipeline was started with");
}

static mr_status make_scratches(const run_cast *cast, cast_part *part, mr_error *err)
{
    part->scratches = mr_alloc_zero((size_t)cast->workers, sizeof *part->scratches);
    part->inputs = mr_alloc_zero(part->column_count, sizeof *part->inputs);
    if (part->scratches == NULL || part->inputs == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (int i = 0; i < cast->workers; i++)
        MR_TRY(mr_scratch_create(part->model, &part->scratches[i], err));
    return MR_OK;
}

/* Another version may know other inputs: what is said of those it does not have falls away. */
static mr_status make_reasons(const mr_plan *plan, cast_part *part, mr_error *err)
{
    if (plan->score.reasons == NULL)
        return MR_OK;
    mr_reasons_options options = plan->score.reasons->options;
    options.lenient = true;
    return mr_reasons_create(part->model, &options, &part->reasons, err);
}

/* The model is there; all else is made. */
static mr_status complete(const mr_plan *plan, const run_cast *cast, cast_part *part, mr_error *err)
{
    const plan_score *score = &plan->score;
    MR_TRY(same_results(plan, part->model, err));
    MR_TRY(same_classes(plan, part->model, err));
    MR_TRY(plan_bind_model(plan, plan->frame->fields, score->first_output, part->model,
                           &part->binding, &part->columns, &part->column_count, err));
    MR_TRY(make_reasons(plan, part, err));
    return make_scratches(cast, part, err);
}

mr_status cast_of_plan(const mr_plan *plan, int workers, run_cast **out, mr_error *err)
{
    run_cast *cast = MR_NEW(run_cast);
    if (cast == NULL)
        return MR_OUT_OF_MEMORY(err);
    cast->workers = workers;
    cast->lent = cast->parts[0].model = plan->score.model;
    cast->part_count = 1;
    mr_status status = complete(plan, cast, &cast->parts[0], err);
    if (status != MR_OK)
        cast_destroy(cast);
    else
        *out = cast;
    return status;
}

/* ---- text ---- */

static void write_part(mr_bytes *out, cast_role role, const mr_model_ref *ref)
{
    mr_bytes_printf(out, "%s %s %" PRIu64 " %s", role_texts[role], ref->name, ref->version,
                    ref->hash);
}

static mr_status write_canary(const mr_plan *plan, mr_models *models, const mr_spec_canary *canary,
                              uint32_t share, mr_bytes *out, mr_error *err)
{
    mr_model_ref ref;
    const char *key = canary->key.text;
    MR_TRY(models->resolve(models, canary->model.text, &ref, err));
    if (key == NULL && plan->view_count > 0)
        key = plan->frame->fields[plan->views[0].lookup_columns[0]].name;
    if (key == NULL || mr_schema_find(plan->frame, key) < 0)
        return MR_FAIL(err, MR_INVALID,
                       "canary: key '%s' is no column; name the one by which records stay with a "
                       "version",
                       key != NULL ? key : "");
    if ((uint32_t)mr_schema_find(plan->frame, key) >= plan->score.first_output)
        return MR_FAIL(err, MR_INVALID, "canary: key '%s' is made after the score", key);
    const char *salt = canary->salt.text != NULL ? canary->salt.text : ref.name;
    if (strlen(salt) >= sizeof((cast_part *)0)->salt || strpbrk(salt, " \n") != NULL)
        return MR_FAIL(err, MR_INVALID,
                       "canary: salt '%.80s' is longer than 63 bytes or has blanks", salt);
    write_part(out, CAST_CANARY, &ref);
    mr_bytes_printf(out, " %u %s %s\n", share, key, salt);
    return MR_OK;
}

static mr_status write_shadow(mr_models *models, const char *model, mr_bytes *out, mr_error *err)
{
    mr_model_ref ref;
    MR_TRY(models->resolve(models, model, &ref, err));
    write_part(out, CAST_SHADOW, &ref);
    mr_bytes_append_byte(out, '\n');
    return MR_OK;
}

/* The one on trial comes first, and its terms last. */
static mr_status write_parts(const mr_plan *plan, mr_models *models, const mr_spec_rollout *rollout,
                             const trial_terms *terms, mr_bytes *out, mr_error *err)
{
    const mr_spec_canary *canary = terms->ab ? &rollout->ab : &rollout->canary;
    uint32_t share = trial_terms_share(terms);
    if (canary->model.text != NULL && share > 0)
        MR_TRY(write_canary(plan, models, canary, share, out, err));
    else if (canary->model.text != NULL)
        MR_TRY(write_shadow(models, canary->model.text, out, err));
    for (size_t i = 0; i < rollout->shadow.count; i++)
        MR_TRY(write_shadow(models, rollout->shadow.items[i].text, out, err));
    if (canary->model.text != NULL || rollout->shadow.count > 0)
        mr_bytes_printf(out, TRIAL_LINE "%s\n", terms->text);
    return MR_OK;
}

static mr_status write_rollout(const mr_plan *plan, mr_models *models,
                               const mr_spec_rollout *rollout, mr_bytes *out, mr_error *err)
{
    trial_terms *terms;
    if (rollout->json == NULL)
        return MR_OK;
    if (rollout->shadow.count + 2 > CAST_PARTS_MAX)
        return MR_FAIL(err, MR_FULL, "%zu shadows; %d are the limit", rollout->shadow.count,
                       CAST_PARTS_MAX - 2);
    MR_TRY(trial_terms_read(plan, rollout, &terms, err));
    mr_status status = write_parts(plan, models, rollout, terms, out, err);
    trial_terms_destroy(terms);
    return status;
}

static mr_status write_rollout_text(const mr_plan *plan, mr_models *models, const mr_bytes *text,
                                    mr_bytes *out, mr_error *err)
{
    mr_arena arena;
    mr_yaml *root;
    mr_spec_rollout rollout;
    mr_arena_init(&arena, 0);
    mr_status status =
        mr_yaml_parse((const char *)text->data, text->size, "rollout", &arena, &root, err);
    if (status == MR_OK)
        status = mr_spec_read_rollout(root, "rollout", &arena, &rollout, err);
    if (status == MR_OK)
        status = write_rollout(plan, models, &rollout, out, err);
    mr_arena_deinit(&arena);
    return status;
}

mr_status cast_compose(const mr_plan *plan, mr_models *models, mr_bytes *out, mr_error *err)
{
    mr_model_ref live;
    mr_bytes set = {0};
    MR_TRY(models->resolve(models, plan->score.reference, &live, err));
    write_part(out, CAST_LIVE, &live);
    mr_bytes_append_byte(out, '\n');
    mr_status status = models->rollout(models, plan->name, &set, err);
    if (status == MR_OK) {
        status = write_rollout_text(plan, models, &set, out, err);
    } else if (status == MR_NOT_FOUND) {
        mr_error_clear(err);
        status = write_rollout(plan, models, &plan->score.rollout, out, err);
    }
    mr_bytes_deinit(&set);
    return status == MR_OK && out->failed ? MR_OUT_OF_MEMORY(err) : status;
}

/* ---- from text ---- */

static mr_status damaged(const char *line, mr_error *err)
{
    return MR_FAIL(err, MR_CORRUPT, "'%.100s' is no part of a cast", line);
}

static mr_status read_number(const char *text, uint64_t *out, const char *line, mr_error *err)
{
    size_t used = 0;
    int64_t value = 0;
    if (mr_number_parse_int64(text, strlen(text), &value, &used) != MR_NUMBER_OK ||
        text[used] != '\0' || value < 0)
        return damaged(line, err);
    *out = (uint64_t)value;
    return MR_OK;
}

static mr_status read_share(const mr_plan *plan, char **words, cast_part *part, const char *line,
                            mr_error *err)
{
    uint64_t share;
    MR_TRY(read_number(words[4], &share, line, err));
    int column = mr_schema_find(plan->frame, words[5]);
    if (share > CAST_SHARE_ALL || column < 0 || (uint32_t)column >= plan->score.first_output ||
        strlen(words[6]) >= sizeof part->salt)
        return damaged(line, err);
    part->share = (uint32_t)share;
    part->key_column = (uint32_t)column;
    (void)snprintf(part->salt, sizeof part->salt, "%s", words[6]);
    return MR_OK;
}

static mr_status read_part(const mr_plan *plan, char *line, cast_part *part, mr_error *err)
{
    char whole[512], *words[8] = {NULL}, *rest = NULL;
    size_t count = 0;
    (void)snprintf(whole, sizeof whole, "%s", line);
    for (char *word = strtok_r(line, " ", &rest); word != NULL && count < MR_COUNT_OF(words);
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    cast_role role = 0;
    while (count > 0 && role < CAST_ROLE_COUNT && strcmp(words[0], role_texts[role]) != 0)
        role++;
    if (role == CAST_ROLE_COUNT || count != (role == CAST_CANARY ? 7u : 4u) ||
        strlen(words[1]) >= MR_MODEL_NAME_BYTES || strlen(words[3]) >= MR_MODEL_HASH_BYTES)
        return damaged(whole, err);
    part->role = role;
    (void)snprintf(part->ref.name, sizeof part->ref.name, "%s", words[1]);
    (void)snprintf(part->ref.hash, sizeof part->ref.hash, "%s", words[3]);
    MR_TRY(read_number(words[2], &part->ref.version, whole, err));
    return role == CAST_CANARY ? read_share(plan, words, part, whole, err) : MR_OK;
}

static mr_status add_terms(const mr_plan *plan, const char *text, run_cast *cast, mr_error *err)
{
    if (cast->terms != NULL || cast->part_count < 2)
        return MR_FAIL(err, MR_CORRUPT, "a cast has one trial, of versions beside the live one");
    return trial_terms_parse(plan, text, &cast->terms, err);
}

static mr_status add_part(const mr_plan *plan, mr_models *models, char *line, run_cast *cast,
                          mr_error *err)
{
    cast_part part = {0};
    if (strncmp(line, TRIAL_LINE, strlen(TRIAL_LINE)) == 0)
        return add_terms(plan, line + strlen(TRIAL_LINE), cast, err);
    MR_TRY(read_part(plan, line, &part, err));
    bool live = part.role == CAST_LIVE;
    if (cast->part_count == CAST_PARTS_MAX || live != (cast->part_count == 0))
        return MR_FAIL(err, MR_CORRUPT, "a cast has one live part, its first, and %d at most",
                       CAST_PARTS_MAX);
    cast_part *slot = &cast->parts[cast->part_count++];
    *slot = part;
    mr_status status = models->open(models, &slot->ref, &slot->model, err);
    if (status == MR_OK)
        status = complete(plan, cast, slot, err);
    if (status != MR_OK)
        mr_error_prefix(err, "version %" PRIu64 " of model %s", part.ref.version, part.ref.name);
    return status;
}

static mr_status add_parts(const mr_plan *plan, mr_models *models, char *text, run_cast *cast,
                           mr_error *err)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        MR_TRY(add_part(plan, models, line, cast, err));
    return cast->part_count > 0 ? MR_OK : MR_FAIL(err, MR_CORRUPT, "a cast without parts");
}

mr_status cast_parse(const mr_plan *plan, mr_models *models, const mr_bytes *text, int workers,
                     run_cast **out, mr_error *err)
{
    run_cast *cast = MR_NEW(run_cast);
    mr_bytes copy = {0};
    mr_status status = cast != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK) {
        cast->workers = workers;
        mr_bytes_append(&cast->text, text->data, text->size);
        mr_bytes_append(&copy, text->data, text->size);
        mr_bytes_append_byte(&copy, 0);
        status = copy.failed || cast->text.failed
                     ? MR_OUT_OF_MEMORY(err)
                     : add_parts(plan, models, (char *)copy.data, cast, err);
    }
    mr_bytes_deinit(&copy);
    if (status != MR_OK)
        cast_destroy(cast);
    else
        *out = cast;
    return status;
}
