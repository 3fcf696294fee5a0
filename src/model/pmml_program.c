/* pmml_program.c -- a row in work: where its values are, the texts it brings, and how a model runs. */
#include "model/pmml_program.h"

#include "base/assert.h"

#define LISTS 20

static void list_all(mr_pmml *p, mr_bytes **out)
{
    mr_bytes *all[] = {&p->treatments, &p->intervals, &p->expressions, &p->steps,
                       &p->predicates, &p->nodes,     &p->leaves,      &p->trees,
                       &p->branches,   &p->models,    &p->segments,    &p->targets,
                       &p->outputs,    &p->terms,     &p->tables,      &p->layers,
                       &p->numbers,    &p->indexes,   &p->inputs,      &p->neural_outputs};
    _Static_assert(MR_COUNT_OF(all) == LISTS, "every list once");
    memcpy(out, all, sizeof all);
}

mr_status mr_pmml_init(mr_pmml *program, mr_error *err)
{
    mr_bytes *all[LISTS];
    *program = (mr_pmml){0};
    list_all(program, all);
    for (size_t i = 0; i < LISTS; i++)
        if (!mr_bytes_reserve(all[i], sizeof(double)))
            return MR_OUT_OF_MEMORY(err);
    return MR_OK;
}

void mr_pmml_deinit(mr_pmml *program)
{
    mr_bytes *all[LISTS];
    list_all(program, all);
    for (size_t i = 0; i < LISTS; i++)
        mr_bytes_deinit(all[i]);
    mr_pmml_symbols_deinit(&program->symbols);
}

static size_t padded(size_t bytes)
{
    return (bytes + MR_ALIGN - 1) / MR_ALIGN * MR_ALIGN;
}

size_t mr_pmml_state_bytes(const mr_pmml *program)
{
    return padded(sizeof(double) * program->slot_count) +
           padded(sizeof(double) * program->result_count) +
           padded(sizeof(mr_pmml_text) * MR_PMML_ROW_TEXTS) + MR_PMML_ROW_BYTES;
}

void mr_pmml_state_init(mr_pmml_state *state, const mr_pmml *program, void *memory)
{
    uint8_t *at = memory;
    *state = (mr_pmml_state){.program = program, .slots = memory};
    at += padded(sizeof(double) * program->slot_count);
    state->results = (double *)(void *)at;
    at += padded(sizeof(double) * program->result_count);
    state->texts = (mr_pmml_text *)(void *)at;
    state->text_bytes = at + padded(sizeof(mr_pmml_text) * MR_PMML_ROW_TEXTS);
}

void mr_pmml_state_begin(mr_pmml_state *state)
{
    state->slots[MR_PMML_SLOT_LOWEST] = -INFINITY;
    state->text_count = 0;
    state->text_size = 0;
    state->failed = false;
}

/* ---- texts ---- */

static double fail_text(mr_pmml_state *state)
{
    state->failed = true;
    return mr_pmml_invalid();
}

static double text_value(mr_pmml_state *state, const void *text, size_t size, bool lent)
{
    const mr_pmml_symbols *symbols = &state->program->symbols;
    uint32_t symbol = mr_pmml_symbols_find(symbols, text, size);
    if (symbol != MR_PMML_NO_SYMBOL)
        return symbol;
    for (uint32_t i = 0; i < state->text_count; i++)
        if (state->texts[i].size == size && memcmp(state->texts[i].bytes, text, size) == 0)
            return (double)symbols->count + i;
    if (state->text_count == MR_PMML_ROW_TEXTS ||
        (!lent && size > MR_PMML_ROW_BYTES - state->text_size))
        return fail_text(state);
    if (!lent) {
        memcpy(state->text_bytes + state->text_size, text, size);
        text = state->text_bytes + state->text_size;
        state->text_size += size;
    }
    state->texts[state->text_count] = (mr_pmml_text){text, size};
    return (double)symbols->count + state->text_count++;
}

double mr_pmml_text_value(mr_pmml_state *state, const void *text, size_t size)
{
    return text_value(state, text, size, false);
}

double mr_pmml_text_lend(mr_pmml_state *state, const void *text, size_t size)
{
    return text_value(state, text, size, true);
}

mr_pmml_text mr_pmml_value_text(const mr_pmml_state *state, double value)
{
    const mr_pmml_symbols *symbols = &state->program->symbols;
    uint32_t number = (uint32_t)value;
    if (number >= symbols->count)
        return state->texts[number - symbols->count];
    return (mr_pmml_text){(const uint8_t *)mr_pmml_symbols_text(symbols, number),
                          mr_pmml_symbols_size(symbols, number)};
}

/* ---- models ---- */

static void enter(mr_pmml_state *state, const mr_pmml_model *model)
{
    const mr_pmml_step *steps =
        MR_PMML_LIST(state->program, steps, mr_pmml_step) + model->steps.first;
    const mr_pmml_treatment *treatments =
        MR_PMML_LIST(state->program, treatments, mr_pmml_treatment);
    for (uint32_t i = 0; i < model->steps.count; i++)
        if (steps[i].expression == MR_PMML_NONE)
            mr_pmml_treat(state, &treatments[steps[i].index]);
        else
            state->slots[steps[i].index] = mr_pmml_evaluate(state, steps[i].expression);
}

/* What segments that do not run would have said is missing. */
static void forget_outputs(mr_pmml_state *state, const mr_pmml_model *mining)
{
    const mr_pmml_segment *segments =
        MR_PMML_LIST(state->program, segments, mr_pmml_segment) + mining->parts.first;
    const mr_pmml_output *outputs = MR_PMML_LIST(state->program, outputs, mr_pmml_output);
    for (uint32_t i = 0; i < mining->parts.count; i++) {
        mr_pmml_range range =
            MR_PMML_LIST(state->program, models, mr_pmml_model)[segments[i].model].outputs;
        for (uint32_t k = 0; k < range.count; k++)
            state->slots[outputs[range.first + k].slot] = NAN;
    }
}

static void run_part(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    switch (model->type) {
    case MR_PMML_TREE:
        mr_pmml_run_tree(state, model, result);
        break;
    case MR_PMML_BRANCHES:
        mr_pmml_run_branches(state, model, result);
        break;
    case MR_PMML_FOREST:
        mr_pmml_run_forest(state, model, result);
        break;
    case MR_PMML_MINING:
        forget_outputs(state, model);
        mr_pmml_run_mining(state, model, result);
        break;
    case MR_PMML_REGRESSION:
        mr_pmml_run_regression(state, model, result);
        break;
    case MR_PMML_GENERAL:
        mr_pmml_run_general(state, model, result);
        break;
    default:
        mr_pmml_run_network(state, model, result);
    }
}

void mr_pmml_run(mr_pmml_state *state, uint32_t index)
{
    const mr_pmml_model *model = MR_PMML_LIST(state->program, models, mr_pmml_model) + index;
    double *result = state->results + model->result;
    enter(state, model);
    run_part(state, model, result);
    if (model->target != MR_PMML_NONE)
        mr_pmml_apply_target(state, model, result);
    if (index != state->program->top || state->declared)
        mr_pmml_fill_outputs(state, model, result);
}
