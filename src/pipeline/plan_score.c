/* plan_score.c -- the model of a plan: a file, or a name in the registry.
 *
 * A file never changes: its content is part of the plan's hash. A name stands for whatever version its alias points to
 * while the pipeline runs; the plan holds only what all of them must give (cast.h says who plays). */
#include "pipeline/plan_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

/* ---- opening ---- */

/* A folder is an artifact; what decides there is its model.json. */
static mr_status hash_model(plan_maker *maker, plan_score *score)
{
    mr_file_info info;
    MR_TRY(mr_fs_info(maker->fs, score->path, &info, maker->err));
    const char *path =
        info.is_folder ? mr_arena_printf(maker->arena, "%s/model.json", score->path) : score->path;
    if (path == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    mr_bytes bytes = {0};
    mr_status status = mr_fs_read_file(maker->fs, path, MR_MODEL_BYTES_MAX, &bytes, maker->err);
    score->content_hash = mr_hash64(bytes.data, bytes.size);
    mr_bytes_deinit(&bytes);
    return status;
}

static mr_status open_file(plan_maker *maker, const char *path, plan_score *score)
{
    score->path = path[0] == '/' || maker->folder == NULL
                      ? path
                      : mr_arena_printf(maker->arena, "%s/%s", maker->folder, path);
    if (score->path == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    mr_status status = mr_model_open(maker->fs, score->path, NULL, &score->model, maker->err);
    return status == MR_OK ? hash_model(maker, score) : status;
}

static mr_status open_named(plan_maker *maker, const char *reference, plan_score *score)
{
    mr_model_ref ref;
    score->reference = reference;
    if (maker->models == NULL)
        return MR_FAIL(maker->err, MR_NOT_FOUND, "there is no registry to find it in");
    MR_TRY(maker->models->resolve(maker->models, reference, &ref, maker->err));
    return maker->models->open(maker->models, &ref, &score->model, maker->err);
}

static mr_status open_model(plan_maker *maker, const mr_spec_score *from, plan_score *score)
{
    const char *text = from->model.text;
    bool named = strchr(text, '@') != NULL && strchr(text, '/') == NULL;
    mr_status status = named ? open_named(maker, text, score) : open_file(maker, text, score);
    if (status != MR_OK && maker->err != NULL) {
        mr_error_prefix(maker->err, "model %s", named ? text : score->path);
        mr_error_place(maker->err, maker->plan->file, from->model.line, from->model.column);
    }
    return status;
}

/* ---- inputs ---- */

static const mr_spec_pair *input_pair(const mr_spec_pairs *pairs, const char *input)
{
    for (size_t i = 0; i < pairs->count; i++)
        if (strcmp(pairs->items[i].name.text, input) == 0)
            return &pairs->items[i];
    return NULL;
}

static int find_field(const mr_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Names in `inputs` must be columns, and the model's; of a model by name, the next version may be the one that has
 * the input. One that is misspelt is found when what it should have fed does not bind. */
static mr_status check_inputs(plan_maker *maker, const mr_spec_score *from, const plan_score *score)
{
    const mr_model *model = score->model;
    mr_schema *frame = NULL;
    MR_TRY(plan_frame_schema(maker, &frame));
    mr_status status = MR_OK;
    for (size_t i = 0; i < from->inputs.count && status == MR_OK; i++) {
        const mr_spec_pair *pair = &from->inputs.items[i];
        uint32_t column;
        if (score->reference == NULL && mr_model_input_find(model, pair->name.text) < 0)
            status = PLAN_FAIL(maker, &pair->name, MR_INVALID, "the model has no input %s",
                               pair->name.text);
        else
            status = plan_find_column(maker, &pair->value, frame, &column);
    }
    mr_schema_release(frame);
    return status;
}

/* The model's inputs come first, under the model's names; the other columns follow, so that a refusal can tell what is
 * there. */
static size_t arrange(const plan_score *score, const mr_field *frame, size_t frame_count,
                      const mr_model *model, mr_field *fields, uint32_t *columns)
{
    const mr_model_signature *signature = &model->signature;
    size_t count = 0;
    for (size_t i = 0; i < signature->input_count; i++) {
        const mr_spec_pair *pair = input_pair(&score->inputs, signature->input_names[i]);
        const char *name = pair != NULL ? pair->value.text : signature->input_names[i];
        int column = find_field(frame, frame_count, name);
        if (column < 0)
            continue;
        columns[count] = (uint32_t)column;
        fields[count] = frame[column];
        fields[count++].name = signature->input_names[i];
    }
    for (size_t i = 0; i < frame_count && count < MR_FIELDS_MAX; i++) {
        if (mr_model_input_find(model, frame[i].name) >= 0)
            continue;
        columns[count] = (uint32_t)i;
        fields[count++] = frame[i];
    }
    return count;
}

mr_status plan_bind_model(const mr_plan *plan, const mr_field *frame, size_t frame_count,
                          const mr_model *model, mr_binding **out, uint32_t **out_columns,
                          uint32_t *out_count, mr_error *err)
{
    size_t room = model->signature.input_count + frame_count;
    mr_field *fields = mr_alloc_zero(room, sizeof *fields);
    uint32_t *columns = mr_alloc_zero(room, sizeof *columns);
    mr_schema *schema = NULL;
    mr_status status = fields != NULL && columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK) {
        *out_count = (uint32_t)arrange(&plan->score, frame, frame_count, model, fields, columns);
        status = mr_schema_create(fields, *out_count, &schema, err);
    }
    if (status == MR_OK)
        status = mr_model_bind(model, schema, out, err);
    mr_schema_release(schema);
    mr_free(fields);
    if (status != MR_OK) {
        mr_free(columns);
        return status;
    }
    *out_columns = columns;
    return MR_OK;
}

/* Whether it binds; the binding itself is the cast's. */
static mr_status try_binding(plan_maker *maker, const mr_spec_score *from, const plan_score *score)
{
    mr_binding *binding = NULL;
    uint32_t *columns = NULL, count;
    mr_status status = plan_bind_model(maker->plan, maker->fields, maker->field_count, score->model,
                                       &binding, &columns, &count, maker->err);
    mr_binding_destroy(binding);
    mr_free(columns);
    if (status == MR_INVALID)
        mr_error_place(maker->err, maker->plan->file, from->line, from->column);
    return status;
}

/* ---- results ---- */

/* Which version decided, and in which role: of a named model, which may change while it runs. */
static mr_status add_version_columns(plan_maker *maker, const mr_spec_score *from,
                                     plan_score *score)
{
    const char *version = mr_arena_printf(maker->arena, "%s_version", score->output);
    const char *role = mr_arena_printf(maker->arena, "%s_role", score->output);
    if (version == NULL || role == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    MR_TRY(plan_add_field(maker, &from->model, version, (mr_type){MR_INT64, 0}, false));
    MR_TRY(plan_add_field(maker, &from->model, role, (mr_type){MR_STRING, 0}, false));
    score->output_count += 2;
    return MR_OK;
}

static mr_status add_columns(plan_maker *maker, const mr_spec_score *from, plan_score *score)
{
    score->output = from->output.text != NULL ? from->output.text : "score";
    score->margin = from->kind.text != NULL && strcmp(from->kind.text, "margin") == 0;
    if (from->kind.text != NULL && !score->margin && strcmp(from->kind.text, "probability") != 0)
        return PLAN_FAIL(maker, &from->kind, MR_INVALID,
                         "kind: '%s' is neither probability nor margin", from->kind.text);
    score->first_output = (uint32_t)maker->field_count;
    MR_TRY(mr_results_fields(score->model, score->output, score->margin, maker->arena,
                             &score->results, &score->result_count, maker->err));
    score->output_count = score->result_count;
    if (score->reference != NULL) /* versions of any family may take turns under a name */
        mr_results_fields_widen(score->results, score->result_count);
    for (uint32_t i = 0; i < score->result_count; i++)
        MR_TRY(plan_add_field(maker, &from->model, score->results[i].name, score->results[i].type,
                              score->results[i].nullable));
    if (score->reference != NULL)
        MR_TRY(add_version_columns(maker, from, score));
    return plan_make_reasons(maker);
}

static mr_status check_rollout(plan_maker *maker, const mr_spec_score *from,
                               const plan_score *score)
{
    const mr_spec_rollout *rollout = &from->rollout;
    const mr_spec_text *first =
        rollout->shadow.count > 0 ? &rollout->shadow.items[0] : &rollout->canary.model;
    if (first->text == NULL || score->reference != NULL)
        return MR_OK;
    return PLAN_FAIL(maker, first, MR_INVALID,
                     "a rollout needs a model by name (fraud@champion): %s is a file, which has "
                     "no versions",
                     score->path);
}

mr_status plan_make_score(plan_maker *maker)
{
    const mr_spec_score *from = &maker->spec->score;
    plan_score *score = &maker->plan->score;
    if (from->model.text == NULL)
        return MR_OK;
    score->inputs = from->inputs;
    score->rollout = from->rollout;
    MR_TRY(open_model(maker, from, score));
    MR_TRY(check_rollout(maker, from, score));
    MR_TRY(check_inputs(maker, from, score));
    MR_TRY(try_binding(maker, from, score));
    return add_columns(maker, from, score);
}
