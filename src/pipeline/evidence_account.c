/* evidence_account.c -- how a plan's columns come about, in words: what `why` prints beside their values. */
#include "pipeline/evidence.h"

#include "base/assert.h"
#include "pipeline/plan_internal.h"

#include <string.h>

/* ---- the model ---- */

const char *mr_plan_model_reference(const mr_plan *plan)
{
    return plan->score.reference;
}

const char *mr_plan_model_path(const mr_plan *plan)
{
    return plan->score.path;
}

const mr_model *mr_plan_model(const mr_plan *plan)
{
    return plan->score.model;
}

const char *mr_plan_model_column(const mr_plan *plan, const char *input)
{
    for (size_t i = 0; i < plan->score.inputs.count; i++)
        if (strcmp(plan->score.inputs.items[i].name.text, input) == 0)
            return plan->score.inputs.items[i].value.text;
    return input;
}

const char *mr_plan_score_column(const mr_plan *plan)
{
    return plan->score.model != NULL ? plan->score.results[0].name : "";
}

/* ---- windows ---- */

static void write_duration(int64_t us, mr_bytes *out)
{
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {{"d", INT64_C(86400000000)}, {"h", INT64_C(3600000000)}, {"m", INT64_C(60000000)},
                 {"s", INT64_C(1000000)},     {"ms", INT64_C(1000)},      {"us", INT64_C(1)}};
    size_t i = 0;
    while (i + 1 < MR_COUNT_OF(units) && (us < units[i].us || us % units[i].us != 0))
        i++;
    mr_bytes_printf(out, "%lld%s", (long long)(us / units[i].us), units[i].unit);
}

static void write_window(const mr_window *window, mr_bytes *out)
{
    static const char *const words[MR_WINDOW_KINDS] = {
        [MR_WINDOW_SLIDING] = "over ",          [MR_WINDOW_LAST] = "over the last ",
        [MR_WINDOW_LIFETIME] = "over lifetime", [MR_WINDOW_DECAYED] = "with half-life ",
        [MR_WINDOW_DAY] = "over the day",       [MR_WINDOW_SESSION] = "over the session, gap "};
    mr_bytes_append_text(out, words[window->kind]);
    if (window->kind == MR_WINDOW_LAST)
        mr_bytes_printf(out, "%u", window->events);
    else if (window->kind != MR_WINDOW_LIFETIME && window->kind != MR_WINDOW_DAY)
        write_duration(window->length_us, out);
    if (window->delay_us == 0)
        return;
    mr_bytes_append_text(out, " delayed ");
    write_duration(window->delay_us, out);
}

static void write_feature(const mr_plan *plan, const plan_view *view,
                          const mr_view_aggregate *aggregate, mr_bytes *out)
{
    mr_bytes_printf(out, "%s(%s) ", aggregate->kind->name,
                    aggregate->input >= 0 ? view->inputs[aggregate->input].text : "");
    write_window(&aggregate->window, out);
    if (aggregate->where >= 0)
        mr_bytes_printf(out, " where %s", view->wheres[aggregate->where].text);
    mr_bytes_printf(out, " of %s by ", plan->sources[view->source].name);
    for (size_t i = 0; i < view->spec.key_count; i++)
        mr_bytes_printf(out, "%s%s", i > 0 ? ", " : "",
                        plan->frame->fields[view->lookup_columns[i]].name);
}

/* ---- columns ---- */

typedef struct account {
    mr_plan_account_fn each;
    void *context;
    mr_bytes text;
    bool failed; /* some text was lost: clear forgets it */
} account;

static void tell(account *self, const char *name, const char *stage, const char *view)
{
    const mr_plan_column_account column = {.name = name, .stage = stage, .view = view};
    const char *text = mr_bytes_text(&self->text);
    self->failed |= text == NULL;
    if (text != NULL)
        self->each(self->context, &column, text);
}

static void tell_columns(account *self, const char *stage, const plan_columns *columns)
{
    for (size_t i = 0; i < columns->count; i++) {
        mr_bytes_clear(&self->text);
        mr_expr_format(columns->items[i].expr, &self->text);
        tell(self, columns->items[i].name, stage, NULL);
    }
}

static void tell_features(account *self, const mr_plan *plan, const plan_view *view)
{
    for (size_t i = 0; i < view->spec.aggregate_count; i++) {
        mr_bytes_clear(&self->text);
        write_feature(plan, view, &view->spec.aggregates[i], &self->text);
        tell(self, view->spec.aggregates[i].name, "features", view->name);
    }
}

mr_status mr_plan_account(const mr_plan *plan, mr_plan_account_fn each, void *context,
                          mr_error *err)
{
    account self = {.each = each, .context = context};
    tell_columns(&self, "derive", &plan->sources[plan->on].derive);
    tell_columns(&self, "derive", &plan->early);
    for (size_t i = 0; i < plan->view_count; i++)
        tell_features(&self, plan, &plan->views[i]);
    tell_columns(&self, "derive", &plan->late);
    tell_columns(&self, "decide", &plan->decide);
    mr_status status = self.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
    mr_bytes_deinit(&self.text);
    return status;
}

/* ---- rules ---- */

static const plan_column *find_decided(const mr_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->decide.count; i++)
        if (strcmp(plan->decide.items[i].name, name) == 0)
            return &plan->decide.items[i];
    return NULL;
}

static mr_status evaluate(const mr_bytes *text, const mr_batch *row, mr_bytes *out, mr_error *err)
{
    mr_expr *expr = NULL;
    mr_expr_scratch scratch = {0};
    mr_column value = {0};
    mr_status status =
        mr_expr_compile((const char *)text->data, text->size, row->schema, NULL, &expr, err);
    if (status == MR_INVALID) { /* the row has not all columns that it reads */
        mr_error_clear(err);
        return MR_OK;
    }
    if (status == MR_OK)
        status = mr_expr_eval(expr, &scratch, row->columns, 0, 1, &value, err);
    if (status == MR_OK && !mr_column_is_null(&value, 0)) {
        mr_text words = mr_column_text(&value, 0);
        mr_bytes_append(out, words.bytes, words.size);
    }
    mr_column_release(&value);
    mr_expr_scratch_deinit(&scratch);
    mr_expr_destroy(expr);
    return status;
}

mr_status mr_plan_rule(const mr_plan *plan, const char *column, const mr_batch *row, mr_bytes *out,
                       mr_error *err)
{
    const plan_column *decided = find_decided(plan, column);
    mr_bytes text = {0};
    mr_status status = MR_OK;
    if (decided != NULL && mr_expr_rule(decided->expr, &text))
        status = text.failed ? MR_OUT_OF_MEMORY(err) : evaluate(&text, row, out, err);
    mr_bytes_deinit(&text);
    return status == MR_OK && out->failed ? MR_OUT_OF_MEMORY(err) : status;
}
