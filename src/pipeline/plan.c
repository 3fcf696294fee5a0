/* plan.c -- from the declared pipeline to the compiled one: the order of compilation and what all parts share.
 *
 *   sources -> frame of the `on` source -> derive (what needs no features) -> filter -> views -> derive (the
 *   rest) -> score -> decide -> sinks -> emitting windows -> hash
 *
 * A derived column is early when it compiles without features, else late: nobody has to say which. */
#include "pipeline/plan_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <string.h>

#define PLAN_FILE_BYTES_MAX (1u << 20)

/* ---- shared pieces ---- */

mr_expr_place plan_place(const plan_maker *maker, const mr_spec_text *text)
{
    return (mr_expr_place){.file = maker->plan->file, .line = text->line, .column = text->column};
}

mr_status plan_compile(plan_maker *maker, const mr_spec_text *text, const mr_schema *schema,
                       bool want_bool, mr_expr **out)
{
    mr_expr_place place = plan_place(maker, text);
    MR_TRY(mr_expr_compile(text->text, strlen(text->text), schema, &place, out, maker->err));
    if (!want_bool || mr_expr_type(*out).id == MR_BOOL)
        return MR_OK;
    char type[32];
    mr_status status =
        PLAN_FAIL(maker, text, MR_INVALID, "a condition is wanted here (bool), this is %s",
                  mr_type_format(mr_expr_type(*out), type));
    mr_expr_destroy(*out);
    *out = NULL;
    return status;
}

mr_status plan_add_field(plan_maker *maker, const mr_spec_text *where, const char *name,
                         mr_type type, bool nullable)
{
    for (size_t i = 0; i < maker->field_count; i++)
        if (strcmp(maker->fields[i].name, name) == 0)
            return PLAN_FAIL(maker, where, MR_INVALID,
                             "column %s is there already; choose another name", name);
    if (maker->field_count == MR_FIELDS_MAX)
        return PLAN_FAIL(maker, where, MR_FULL, "more than %d columns", MR_FIELDS_MAX);
    maker->fields[maker->field_count++] =
        (mr_field){.name = name, .type = type, .nullable = nullable};
    return MR_OK;
}

mr_status plan_frame_schema(plan_maker *maker, mr_schema **out)
{
    return mr_schema_create(maker->fields, maker->field_count, out, maker->err);
}

mr_status plan_find_column(plan_maker *maker, const mr_spec_text *name, const mr_schema *schema,
                           uint32_t *out_index)
{
    int at = mr_schema_find(schema, name->text);
    if (at >= 0) {
        *out_index = (uint32_t)at;
        return MR_OK;
    }
    const char **names = MR_ARENA_ARRAY(maker->arena, const char *, schema->field_count);
    if (names == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    for (uint32_t i = 0; i < schema->field_count; i++)
        names[i] = schema->fields[i].name;
    const char *near = mr_expr_closest(name->text, strlen(name->text), names, schema->field_count);
    return PLAN_FAIL(maker, name, MR_INVALID, "unknown column %s%s%s%s", name->text,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "");
}

void plan_release_columns(plan_columns *columns)
{
    for (size_t i = 0; i < columns->count; i++)
        mr_expr_destroy(columns->items[i].expr);
    columns->count = 0;
}

/* ---- derived and decided columns ---- */

static mr_status add_computed(plan_maker *maker, const mr_spec_pair *pair, plan_columns *to)
{
    mr_schema *frame = NULL;
    MR_TRY(plan_frame_schema(maker, &frame));
    mr_expr *expr = NULL;
    mr_status status = plan_compile(maker, &pair->value, frame, false, &expr);
    mr_schema_release(frame);
    if (status != MR_OK)
        return status;
    plan_column *column = &to->items[to->count++];
    *column = (plan_column){pair->name.text, (uint32_t)maker->field_count, expr};
    return plan_add_field(maker, &pair->name, pair->name.text, mr_expr_type(expr),
                          mr_expr_nullable(expr));
}

static mr_status make_columns(plan_maker *maker, size_t room, plan_columns *out)
{
    out->items = MR_ARENA_ARRAY(maker->arena, plan_column, room + 1);
    return out->items != NULL ? MR_OK : MR_OUT_OF_MEMORY(maker->err);
}

/* Compiles what compiles now; `later` marks the others. Their mistakes, if any, come out in make_late. */
static mr_status make_early(plan_maker *maker, bool *later)
{
    const mr_spec_pairs *derive = &maker->spec->derive;
    MR_TRY(make_columns(maker, derive->count, &maker->plan->early));
    mr_error *err = maker->err;
    mr_status status = MR_OK;
    for (size_t i = 0; i < derive->count && status == MR_OK; i++) {
        mr_error ignored = {0};
        maker->err = &ignored;
        status = add_computed(maker, &derive->items[i], &maker->plan->early);
        maker->err = err;
        later[i] = status == MR_INVALID;
        if (later[i])
            status = MR_OK;
        else if (status != MR_OK && err != NULL)
            *err = ignored;
    }
    return status;
}

static mr_status make_late(plan_maker *maker, const bool *later)
{
    const mr_spec_pairs *derive = &maker->spec->derive;
    MR_TRY(make_columns(maker, derive->count, &maker->plan->late));
    for (size_t i = 0; i < derive->count; i++)
        if (later[i])
            MR_TRY(add_computed(maker, &derive->items[i], &maker->plan->late));
    return MR_OK;
}

static mr_status make_decide(plan_maker *maker)
{
    const mr_spec_pairs *decide = &maker->spec->decide;
    MR_TRY(make_columns(maker, decide->count, &maker->plan->decide));
    for (size_t i = 0; i < decide->count; i++)
        MR_TRY(add_computed(maker, &decide->items[i], &maker->plan->decide));
    return MR_OK;
}

/* ---- the whole ---- */

static mr_status start_frame(plan_maker *maker)
{
    const mr_schema *on = maker->plan->sources[maker->plan->on].frame;
    memcpy(maker->fields, on->fields, on->field_count * sizeof(mr_field));
    maker->field_count = on->field_count;
    return MR_OK;
}

static mr_status make_filter(plan_maker *maker)
{
    if (maker->spec->filter.text == NULL)
        return MR_OK;
    mr_schema *frame = NULL;
    MR_TRY(plan_frame_schema(maker, &frame));
    mr_status status = plan_compile(maker, &maker->spec->filter, frame, true, &maker->plan->filter);
    mr_schema_release(frame);
    return status;
}

static mr_status hash_plan(plan_maker *maker)
{
    mr_bytes text = {0};
    mr_plan_format(maker->plan, false, &text);
    mr_status status = text.failed ? MR_OUT_OF_MEMORY(maker->err) : MR_OK;
    maker->plan->hash = mr_hash64(text.data, text.size);
    mr_bytes_deinit(&text);
    return status;
}

static mr_status make_plan(plan_maker *maker)
{
    mr_plan *plan = maker->plan;
    bool *later = MR_ARENA_ARRAY(maker->arena, bool, maker->spec->derive.count + 1);
    plan->name = mr_arena_strdup(maker->arena, maker->spec->name.text);
    if (later == NULL || plan->name == NULL)
        return MR_OUT_OF_MEMORY(maker->err);
    MR_TRY(plan_make_sources(maker));
    MR_TRY(start_frame(maker));
    MR_TRY(make_early(maker, later));
    MR_TRY(make_filter(maker));
    MR_TRY(plan_make_views(maker));
    MR_TRY(make_late(maker, later));
    MR_TRY(plan_make_score(maker));
    MR_TRY(make_decide(maker));
    MR_TRY(plan_make_evidence(maker));
    MR_TRY(plan_frame_schema(maker, &plan->frame));
    MR_TRY(plan_make_sinks(maker));
    MR_TRY(plan_make_emits(maker));
    return hash_plan(maker);
}

static mr_status new_plan(const char *name, mr_plan **out, mr_error *err)
{
    mr_plan *plan = MR_NEW(mr_plan);
    if (plan == NULL)
        return MR_OUT_OF_MEMORY(err);
    atomic_init(&plan->owners, 1);
    plan->file = mr_arena_strdup(&plan->arena, name);
    *out = plan;
    return plan->file != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

mr_status mr_plan_compile(mr_fs *fs, mr_log *log, mr_models *models, const char *text, size_t bytes,
                          const char *name, const char *folder, mr_plan **out, mr_error *err)
{
    *out = NULL;
    mr_plan *plan = NULL;
    plan_maker *maker = MR_NEW(plan_maker);
    mr_spec *spec = MR_NEW(mr_spec);
    mr_status status =
        maker != NULL && spec != NULL ? new_plan(name, &plan, err) : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK) {
        *maker = (plan_maker){.plan = plan,
                              .spec = spec,
                              .fs = fs,
                              .log = log,
                              .models = models,
                              .folder = folder,
                              .arena = &plan->arena,
                              .err = err};
        mr_yaml *root = NULL;
        status = mr_yaml_parse(text, bytes, plan->file, &plan->arena, &root, err);
        if (status == MR_OK)
            status = mr_spec_read(root, plan->file, &plan->arena, spec, err);
        if (status == MR_OK)
            status = make_plan(maker);
    }
    mr_free(maker);
    mr_free(spec);
    if (status != MR_OK) {
        mr_plan_release(plan);
        return status;
    }
    *out = plan;
    return MR_OK;
}

mr_status mr_plan_load(mr_fs *fs, mr_log *log, mr_models *models, const char *path, mr_plan **out,
                       mr_error *err)
{
    *out = NULL;
    mr_bytes text = {0};
    mr_status status = mr_fs_read_file(fs, path, PLAN_FILE_BYTES_MAX, &text, err);
    const char *slash = strrchr(path, '/');
    char folder[MR_PATH_MAX] = ".";
    if (slash != NULL && (size_t)(slash - path) < sizeof folder) {
        memcpy(folder, path, (size_t)(slash - path));
        folder[slash - path] = '\0';
    }
    if (status == MR_OK)
        status = mr_plan_compile(fs, log, models, (const char *)text.data, text.size, path, folder,
                                 out, err);
    mr_bytes_deinit(&text);
    return status;
}

void mr_plan_release(mr_plan *plan)
{
    if (plan == NULL || atomic_fetch_sub_explicit(&plan->owners, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < plan->source_count; i++)
        plan_release_source(&plan->sources[i]);
    for (size_t i = 0; i < plan->view_count; i++)
        plan_release_view(&plan->views[i]);
    for (size_t i = 0; i < plan->sink_count; i++)
        plan_release_sink(&plan->sinks[i]);
    plan_release_emits(plan);
    mr_expr_destroy(plan->filter);
    plan_release_columns(&plan->early);
    plan_release_columns(&plan->late);
    plan_release_columns(&plan->decide);
    plan_release_columns(&plan->evidence.rules);
    mr_model_close(plan->score.model);
    mr_schema_release(plan->frame);
    mr_arena_deinit(&plan->arena);
    mr_free(plan);
}

const char *mr_plan_name(const mr_plan *plan)
{
    return plan->name;
}

uint64_t mr_plan_hash(const mr_plan *plan)
{
    return plan->hash;
}

const mr_schema *mr_plan_sink_schema(const mr_plan *plan, const char *sink)
{
    for (size_t i = 0; i < plan->sink_count; i++)
        if (strcmp(plan->sinks[i].topic, sink) == 0)
            return plan->sinks[i].schema;
    return NULL;
}

bool mr_plan_view_get(const mr_plan *plan, size_t index, mr_plan_view *out)
{
    if (index >= plan->view_count)
        return false;
    const plan_view *view = &plan->views[index];
    *out = (mr_plan_view){.name = view->name,
                          .source = plan->sources[view->source].frame,
                          .key_columns = view->key_columns,
                          .key_count = view->spec.key_count,
                          .features = plan->frame->fields + view->first_output,
                          .feature_count = view->output_count};
    return true;
}

const char *mr_plan_main_sink(const mr_plan *plan)
{
    return plan->has_main_sink ? plan->sinks[0].topic : NULL;
}
