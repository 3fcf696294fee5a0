/* pmml_explain.c -- sums of linear models taken apart. */
#include "model/pmml_explain.h"

static const mr_pmml_model *top_of(const mr_pmml *program)
{
    return MR_PMML_LIST(program, models, mr_pmml_model) + program->top;
}

static const mr_pmml_table *tables_of(const mr_pmml *program)
{
    return MR_PMML_LIST(program, tables, mr_pmml_table) + top_of(program)->parts.first;
}

static const mr_pmml_term *terms_of(const mr_pmml *program, const mr_pmml_table *table)
{
    return MR_PMML_LIST(program, terms, mr_pmml_term) + table->terms.first;
}

static bool is_input(const mr_pmml *program, uint32_t slot)
{
    return slot >= 1 && slot <= program->input_count;
}

/* ---- what can be told ---- */

static bool terms_are_simple(const mr_pmml *program, const mr_pmml_table *table)
{
    const mr_pmml_term *terms = terms_of(program, table);
    for (uint32_t i = 0; i < table->terms.count; i++)
        if (terms[i].factors.count > 0 || !is_input(program, terms[i].slot))
            return false;
    return true;
}

/* All cells of a parameter are of one input. */
static bool cells_are_simple(const mr_pmml *program, const mr_pmml_table *table)
{
    const mr_pmml_term *cells = terms_of(program, table);
    for (uint32_t i = 0; i < table->terms.count; i++)
        if (cells[i].slot != cells[0].slot || !is_input(program, cells[i].slot))
            return false;
    return true;
}

mr_pmml_explain mr_pmml_explain_of(const mr_pmml *program)
{
    const mr_pmml_model *top = top_of(program);
    bool general = top->type == MR_PMML_GENERAL;
    mr_pmml_explain explain = {.exact = true};
    if (!general && top->type != MR_PMML_REGRESSION)
        return (mr_pmml_explain){0};
    explain.sum_count = !general ? top->parts.count : top->classifies ? top->classes.count : 1;
    for (uint32_t i = 0; i < top->parts.count; i++)
        explain.exact &= general ? cells_are_simple(program, tables_of(program) + i)
                                 : terms_are_simple(program, tables_of(program) + i);
    if (general && top->offset_slot != MR_PMML_NONE)
        explain.exact &= is_input(program, top->offset_slot);
    return explain;
}

/* ---- a row ---- */

double mr_pmml_explain_sum(mr_pmml_state *state, uint32_t k)
{
    const mr_pmml *program = state->program;
    const mr_pmml_model *top = top_of(program);
    return top->type == MR_PMML_REGRESSION
               ? mr_pmml_regression_sum(state, top, tables_of(program) + k)
               : mr_pmml_general_sum(state, top, k);
}

static void explain_table(mr_pmml_state *state, const mr_pmml_table *table, double *out)
{
    const mr_pmml *program = state->program;
    const mr_pmml_term *terms = terms_of(program, table);
    out[program->input_count] += table->intercept;
    for (uint32_t i = 0; i < table->terms.count; i++)
        out[terms[i].slot - 1] += mr_pmml_regression_term(state, &terms[i]);
}

static void explain_parameters(mr_pmml_state *state, const mr_pmml_model *top, uint32_t row,
                               double *out)
{
    const mr_pmml *program = state->program;
    const double *parameters = state->results + top->work;
    const double *beta =
        MR_PMML_LIST(program, numbers, double) + top->more.first + (size_t)row * top->parts.count;
    for (uint32_t p = 0; p < top->parts.count; p++) {
        const mr_pmml_table *cells = tables_of(program) + p;
        uint32_t to =
            cells->terms.count == 0 ? program->input_count : terms_of(program, cells)[0].slot - 1;
        out[to] += beta[p] * parameters[p];
    }
    if (row == top->base_class)
        return;
    bool varies = top->offset_slot != MR_PMML_NONE;
    out[varies ? top->offset_slot - 1 : program->input_count] +=
        varies ? state->slots[top->offset_slot] : top->offset;
}

void mr_pmml_explain_row(const mr_pmml_explain *explain, mr_pmml_state *state, double *out)
{
    const mr_pmml *program = state->program;
    const mr_pmml_model *top = top_of(program);
    size_t each = (size_t)program->input_count + 1;
    memset(out, 0, sizeof *out * each * explain->sum_count);
    for (uint32_t k = 0; k < explain->sum_count; k++)
        if (top->type == MR_PMML_REGRESSION)
            explain_table(state, tables_of(program) + k, out + k * each);
        else
            explain_parameters(state, top, k, out + k * each);
}
