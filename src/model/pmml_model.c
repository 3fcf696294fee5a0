/* pmml_model.c -- PMML 4.x as a family: inputs by name, rows of columns into slots, results into columns.
 *
 * Numbers come as float64, booleans as numbers 0 and 1, strings as strings. A regression has one output; a
 * classification one per class, its probability, and a label. With `outputs=declared` the outputs are the numbers among
 * the file's own OutputFields instead. Where the model has no result for a row (missing values it cannot do without,
 * values outside its domain) outputs are NaN and the label -1.
 *
 * Margins: what the tables of a RegressionModel or GeneralRegressionModel add up to; else the outputs themselves.
 *
 * Thread: the program is shared; a state lives in each thread's scratch. */
#include "model/pmml_explain.h"
#include "model/pmml_read.h"

#include "base/assert.h"

#include <stdio.h>

#define BLOCK_VALUES 32768 /* numbers converted at once */
#define BLOCK_ROWS   64

typedef struct pmml_model {
    mr_model model;
    mr_model_kind kind; /* its own, since only some can explain */
    mr_pmml program;
    mr_pmml_explain explain;
    const char **input_names, **output_names, **class_names;
    mr_type_id *input_types;
    uint32_t *declared; /* outputs[] that are scores; NULL: the model's own */
    uint32_t score_count, class_count, block_rows;
    char description[160];
} pmml_model;

static const pmml_model *as_pmml(const mr_model *model)
{
    return (const pmml_model *)(const void *)model;
}

static const mr_pmml_model *top_of(const pmml_model *m)
{
    return MR_PMML_LIST(&m->program, models, mr_pmml_model) + m->program.top;
}

/* ---- scoring ---- */

typedef struct block {
    mr_pmml_state state;
    double *values; /* [input][row] */
    uint32_t rows;  /* room */
} block;

static block open_block(const pmml_model *m, const mr_scratch *scratch)
{
    block b = {.rows = m->block_rows};
    mr_pmml_state_init(&b.state, &m->program, scratch->bytes);
    b.state.declared = m->declared != NULL;
    b.values = (double *)(void *)(scratch->bytes + mr_pmml_state_bytes(&m->program));
    return b;
}

static void load_block(const pmml_model *m, block *b, const mr_column *const *inputs, size_t first,
                       size_t count)
{
    for (uint32_t i = 0; i < m->program.input_count; i++)
        if (m->input_types[i] != MR_STRING)
            mr_model_convert64(inputs[i], first, count, b->values + (size_t)i * b->rows);
}

static double load_text(mr_pmml_state *state, const mr_column *column, size_t row)
{
    if (mr_column_is_null(column, row))
        return NAN;
    mr_text text = mr_column_text(column, row);
    return mr_pmml_text_lend(state, text.size > 0 ? (const void *)text.bytes : "", text.size);
}

/* Any NaN from outside is the one that means missing. */
static void load_row(const pmml_model *m, block *b, const mr_column *const *inputs, size_t first,
                     size_t row)
{
    mr_pmml_state_begin(&b->state);
    double *slots = b->state.slots + 1;
    for (uint32_t i = 0; i < m->program.input_count; i++)
        if (m->input_types[i] == MR_STRING) {
            slots[i] = load_text(&b->state, inputs[i], first + row);
        } else {
            double x = b->values[(size_t)i * b->rows + row];
            slots[i] = isnan(x) ? NAN : x;
        }
}

static double score_of(const pmml_model *m, const mr_pmml_state *state, const double *result,
                       uint32_t k)
{
    if (m->declared != NULL) {
        const mr_pmml_output *outputs = MR_PMML_LIST(&m->program, outputs, mr_pmml_output);
        double x = state->slots[outputs[m->declared[k]].slot];
        return isnan(x) ? NAN : x;
    }
    return isnan(result[0]) ? NAN : result[m->class_count > 0 ? 1 + k : 0];
}

static void store_row(const pmml_model *m, mr_pmml_state *state, const mr_model_out *out,
                      size_t row)
{
    const double *result = state->results + top_of(m)->result;
    bool none = state->failed;
    for (uint32_t k = 0; k < m->score_count && out->scores != NULL; k++)
        ((double *)out->scores)[k * out->stride + row] = none ? NAN : score_of(m, state, result, k);
    if (out->labels != NULL)
        out->labels[row] = none || isnan(result[0]) ? -1 : (int32_t)result[0];
    if (out->margins == NULL)
        return;
    for (uint32_t k = 0; k < m->model.signature.margin_count; k++)
        ((double *)out->margins)[k * out->stride + row] = none ? NAN
                                                          : m->explain.sum_count > 0
                                                              ? mr_pmml_explain_sum(state, k)
                                                              : score_of(m, state, result, k);
}

static mr_status score_pmml(const mr_model *model, const mr_column *const *inputs, size_t first,
                            size_t count, const mr_model_out *out, mr_scratch *scratch,
                            mr_error *err)
{
    (void)err;
    const pmml_model *m = as_pmml(model);
    block b = open_block(m, scratch);
    for (size_t at = 0; at < count; at += b.rows) {
        size_t rows = MR_MIN(count - at, (size_t)b.rows);
        load_block(m, &b, inputs, first + at, rows);
        for (size_t row = 0; row < rows; row++) {
            load_row(m, &b, inputs, first + at, row);
            mr_pmml_run(&b.state, m->program.top);
            store_row(m, &b.state, out, at + row);
        }
    }
    return MR_OK;
}

static mr_status explain_pmml(const mr_model *model, const mr_column *const *inputs, size_t first,
                              size_t count, double *out, mr_scratch *scratch, mr_error *err)
{
    (void)err;
    const pmml_model *m = as_pmml(model);
    size_t each = (size_t)m->explain.sum_count * (m->program.input_count + 1);
    block b = open_block(m, scratch);
    for (size_t at = 0; at < count; at += b.rows) {
        size_t rows = MR_MIN(count - at, (size_t)b.rows);
        load_block(m, &b, inputs, first + at, rows);
        for (size_t row = 0; row < rows; row++) {
            load_row(m, &b, inputs, first + at, row);
            mr_pmml_run(&b.state, m->program.top);
            mr_pmml_explain_row(&m->explain, &b.state, out + (at + row) * each);
        }
    }
    return MR_OK;
}

/* ---- birth and death ---- */

static void close_pmml(mr_model *model)
{
    pmml_model *m = (pmml_model *)(void *)model;
    mr_pmml_deinit(&m->program);
    mr_free(m->input_names);
    mr_free(m->output_names);
    mr_free(m->class_names);
    mr_free(m->input_types);
    mr_free(m->declared);
    mr_free(m);
}

static const char *symbol_text(const pmml_model *m, uint32_t symbol)
{
    return mr_pmml_symbols_text(&m->program.symbols, symbol);
}

static mr_status name_inputs(pmml_model *m, mr_error *err)
{
    const mr_pmml_input *inputs = MR_PMML_LIST(&m->program, inputs, mr_pmml_input);
    uint32_t count = m->program.input_count;
    m->input_names = mr_alloc_zero(count + 1, sizeof *m->input_names);
    m->input_types = mr_alloc_zero(count + 1, sizeof *m->input_types);
    if (m->input_names == NULL || m->input_types == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < count; i++) {
        m->input_names[i] = symbol_text(m, inputs[i].name);
        m->input_types[i] = inputs[i].type == MR_PMML_STRING ? MR_STRING : MR_FLOAT64;
    }
    return MR_OK;
}

static mr_status name_classes(pmml_model *m, mr_error *err)
{
    const mr_pmml_model *top = top_of(m);
    const uint32_t *classes = MR_PMML_LIST(&m->program, indexes, uint32_t) + top->classes.first;
    m->class_count = top->classes.count;
    m->class_names = mr_alloc_zero(m->class_count + 1, sizeof *m->class_names);
    if (m->class_names == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < m->class_count; i++)
        m->class_names[i] = symbol_text(m, classes[i]);
    return MR_OK;
}

/* A regression's only output is called as the file calls it. */
static const char *name_of_prediction(const pmml_model *m, const char *target)
{
    const mr_pmml_model *top = top_of(m);
    const mr_pmml_output *outputs =
        MR_PMML_LIST(&m->program, outputs, mr_pmml_output) + top->outputs.first;
    for (uint32_t i = 0; i < top->outputs.count; i++)
        if (outputs[i].feature == MR_PMML_PREDICTED)
            return symbol_text(m, outputs[i].name);
    uint32_t symbol = target != NULL
                          ? mr_pmml_symbols_find(&m->program.symbols, target, strlen(target))
                          : MR_PMML_NO_SYMBOL;
    return symbol != MR_PMML_NO_SYMBOL ? symbol_text(m, symbol) : "prediction";
}

static mr_status name_declared(pmml_model *m, mr_error *err)
{
    const mr_pmml_model *top = top_of(m);
    const mr_pmml_output *outputs = MR_PMML_LIST(&m->program, outputs, mr_pmml_output);
    m->declared = mr_alloc_zero(top->outputs.count + 1, sizeof *m->declared);
    m->output_names = mr_alloc_zero(top->outputs.count + 1, sizeof *m->output_names);
    if (m->declared == NULL || m->output_names == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = top->outputs.first; i < top->outputs.first + top->outputs.count; i++)
        if (outputs[i].type != MR_PMML_STRING) {
            m->declared[m->score_count] = i;
            m->output_names[m->score_count++] = symbol_text(m, outputs[i].name);
        }
    if (m->score_count == 0 || m->score_count > MR_MODEL_OUTPUTS_MAX)
        return MR_FAIL(err, MR_INVALID,
                       "outputs=declared: the file declares %u numbers as OutputFields, 1 to %d "
                       "are possible",
                       m->score_count, MR_MODEL_OUTPUTS_MAX);
    return MR_OK;
}

static mr_status name_scores(pmml_model *m, const char *target, mr_error *err)
{
    m->score_count = m->class_count > 0 ? m->class_count : 1;
    m->output_names = mr_alloc_zero(m->score_count, sizeof *m->output_names);
    if (m->output_names == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < m->class_count; i++)
        m->output_names[i] = m->class_names[i];
    if (m->class_count == 0)
        m->output_names[0] = name_of_prediction(m, target);
    return MR_OK;
}

static void describe(pmml_model *m, const char *element, const char *version)
{
    const mr_pmml *p = &m->program;
    (void)snprintf(m->description, sizeof m->description,
                   "%.40s of PMML %.10s: %u models, %u trees, %u nodes, %u terms, %u layers",
                   element, version, MR_PMML_COUNT(p, models, mr_pmml_model),
                   MR_PMML_COUNT(p, trees, mr_pmml_tree), MR_PMML_COUNT(p, nodes, mr_pmml_node),
                   MR_PMML_COUNT(p, terms, mr_pmml_term), MR_PMML_COUNT(p, layers, mr_pmml_layer));
    m->model.signature = (mr_model_signature){
        .objective = top_of(m)->classifies ? "classification" : "regression",
        .input_count = p->input_count,
        .input_names = m->input_names,
        .input_types = m->input_types,
        .margin_count = m->explain.sum_count > 0 ? m->explain.sum_count : m->score_count,
        .output_count = m->score_count,
        .output_names = m->output_names,
        .float_bits = 64,
        .class_count = m->class_count,
        .class_names = m->class_names,
        .may_abstain = true,
        .description = m->description};
    uint32_t room = BLOCK_VALUES / (p->input_count + 1);
    m->block_rows = room < 1 ? 1 : room < BLOCK_ROWS ? room : BLOCK_ROWS;
    m->model.scratch_bytes =
        mr_pmml_state_bytes(p) + sizeof(double) * m->block_rows * ((size_t)p->input_count + 1);
}

static const mr_setting_spec settings[] = {
    {.name = "outputs",
     .type = MR_SETTING_CHOICE,
     .initial = "model",
     .choices = "model|declared",
     .sentence = "the prediction or one probability per class, or the numbers among the file's "
                 "OutputFields under their names"},
    {.name = NULL},
};

static mr_status finish(pmml_model *m, mr_pmml_reader *r, uint32_t element,
                        const mr_model_options *options, mr_error *err)
{
    const char *outputs =
        mr_setting_text(settings, options->settings, options->setting_count, "outputs");
    MR_TRY(mr_pmml_verify(r, element));
    MR_TRY(name_inputs(m, err));
    MR_TRY(name_classes(m, err));
    MR_TRY(strcmp(outputs, "declared") == 0 ? name_declared(m, err)
                                            : name_scores(m, mr_pmml_target_name(r, element), err));
    m->explain = mr_pmml_explain_of(&m->program);
    describe(m, mr_xml_name(&r->xml, element), mr_pmml_get(r, 0, "version"));
    if (m->explain.exact)
        m->kind.explain = explain_pmml;
    return MR_OK;
}

static mr_status open_pmml(const uint8_t *bytes, size_t size, const mr_model_options *options,
                           mr_model **out, mr_error *err)
{
    pmml_model *m = MR_NEW(pmml_model);
    mr_pmml_reader reader;
    uint32_t element;
    if (m == NULL)
        return MR_OUT_OF_MEMORY(err);
    m->kind = mr_model_pmml;
    m->model.kind = &m->kind;
    mr_status status = mr_pmml_read(&reader, &m->program, bytes, size, &element, err);
    if (status == MR_OK)
        status = finish(m, &reader, element, options, err);
    mr_pmml_reader_deinit(&reader);
    if (status != MR_OK)
        close_pmml(&m->model);
    else
        *out = &m->model;
    return status;
}

/* The name of the root element stands near the start. */
static bool recognise(const uint8_t *bytes, size_t size)
{
    size_t at = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < size && (bytes[at] == ' ' || (bytes[at] >= '\t' && bytes[at] <= '\r')))
        at++;
    if (at == size || bytes[at] != '<')
        return false;
    size_t end = MR_MIN(size, at + 4096);
    for (; at + 5 <= end; at++)
        if ((bytes[at] == '<' || bytes[at] == ':') && memcmp(bytes + at + 1, "PMML", 4) == 0)
            return true;
    return false;
}

const mr_model_kind mr_model_pmml = {
    .name = "pmml",
    .sentence = "PMML 4.x: trees, ensembles, regressions, neural networks",
    .settings = settings,
    .recognise = recognise,
    .open = open_pmml,
    .close = close_pmml,
    .score = score_pmml,
};
