/* evidence_verdict.c -- what any version of a model says of one row, with what each input adds. */
#include "pipeline/evidence.h"

#include "base/assert.h"
#include "pipeline/plan_internal.h"

/* A model bound to the row's columns. */
typedef struct bound {
    const mr_model *model;
    mr_binding *binding;
    mr_column *inputs; /* lent by the row */
    mr_scratch *scratch;
} bound;

static void unbind(bound *self)
{
    mr_binding_destroy(self->binding);
    mr_scratch_destroy(self->scratch);
    mr_free(self->inputs);
}

static mr_status bind(const mr_plan *plan, const mr_model *model, const mr_batch *row, bound *out,
                      mr_error *err)
{
    uint32_t *columns = NULL, count = 0;
    *out = (bound){.model = model};
    MR_TRY(plan_bind_model(plan, row->schema->fields, row->schema->field_count, model,
                           &out->binding, &columns, &count, err));
    out->inputs = mr_alloc_zero(MR_MAX(count, 1), sizeof *out->inputs);
    for (uint32_t i = 0; out->inputs != NULL && i < count; i++)
        out->inputs[i] = row->columns[columns[i]];
    mr_free(columns);
    if (out->inputs == NULL)
        return MR_OUT_OF_MEMORY(err);
    return mr_scratch_create(model, &out->scratch, err);
}

/* ---- scores ---- */

static mr_status make_batch(const mr_plan *plan, const mr_results *results, mr_batch **out,
                            mr_error *err)
{
    mr_arena arena;
    mr_field *fields;
    mr_schema *schema = NULL;
    mr_column *columns = NULL;
    uint32_t count = 0;
    mr_arena_init(&arena, 0);
    mr_status status = mr_results_fields(results->model, plan->score.output, plan->score.margin,
                                         &arena, &fields, &count, err);
    if (status == MR_OK && plan->score.reference != NULL)
        mr_results_fields_widen(fields, count);
    if (status == MR_OK)
        status = mr_schema_create(fields, count, &schema, err);
    if (status == MR_OK && (columns = mr_alloc_zero(MR_MAX(count, 1), sizeof *columns)) == NULL)
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = mr_results_columns(results, columns, err);
    if (status == MR_OK)
        status = mr_batch_create(schema, 1, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    mr_schema_release(schema);
    mr_arena_deinit(&arena);
    return status;
}

static mr_status score(const mr_plan *plan, const bound *self, mr_batch **out, mr_error *err)
{
    mr_results results = {0};
    MR_TRY(mr_results_init(&results, self->model, plan->score.margin, 1, err));
    mr_model_out to = mr_results_out(&results, 0);
    mr_status status =
        mr_model_score(self->model, self->binding, self->inputs, 0, 1, &to, self->scratch, err);
    if (status == MR_OK && plan->score.reference != NULL)
        status = mr_results_widen(&results, err);
    if (status == MR_OK)
        status = make_batch(plan, &results, out, err);
    mr_results_deinit(&results);
    return status;
}

/* ---- reasons ---- */

static mr_status explain(const bound *self, double **out, mr_error *err)
{
    const mr_model_signature *signature = &self->model->signature;
    size_t count = (size_t)signature->margin_count * (signature->input_count + 1);
    *out = mr_alloc_zero(count, sizeof **out);
    if (*out == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status =
        mr_model_explain(self->model, self->binding, self->inputs, 0, 1, *out, self->scratch, err);
    if (status == MR_OK)
        return MR_OK;
    mr_free(*out);
    *out = NULL;
    if (status != MR_UNSUPPORTED)
        return status;
    mr_error_clear(err);
    return MR_OK;
}

mr_status mr_plan_verdict(const mr_plan *plan, const mr_model *model, const mr_batch *row,
                          mr_verdict *out, mr_error *err)
{
    bound self;
    *out = (mr_verdict){0};
    mr_status status = bind(plan, model, row, &self, err);
    if (status == MR_OK)
        status = score(plan, &self, &out->scores, err);
    if (status == MR_OK)
        status = explain(&self, &out->adds, err);
    unbind(&self);
    if (status != MR_OK)
        mr_verdict_deinit(out);
    return status;
}

void mr_verdict_deinit(mr_verdict *verdict)
{
    mr_batch_release(verdict->scores);
    mr_free(verdict->adds);
    *verdict = (mr_verdict){0};
}
