/* pmml_general.c -- GeneralRegressionModel: parameters are products of predictors (PPMatrix), a prediction is a sum of
 * parameters with coefficients (ParamMatrix), then the inverse of a link.
 *
 *   numbers[more] ..... coefficients [class][parameter]; a regression has one row
 *   tables[parts] ..... a parameter: its cells are terms, factor = category or covariate ^ exponent
 *
 * CoxRegression, contrast matrices and cells of a single target category in the PPMatrix are refused. */
#include "model/pmml_reader.h"

#include "base/assert.h"
#include "model/pmml_link.h"

enum { KIND_REGRESSION, KIND_GENERAL_LINEAR, KIND_MULTINOMIAL, KIND_ORDINAL, KIND_GENERALIZED };
enum { CELL_POWER, CELL_CATEGORY };
enum {
    LINK_CLOGLOG,
    LINK_IDENTITY,
    LINK_LOG,
    LINK_LOGC,
    LINK_LOGIT,
    LINK_LOGLOG,
    LINK_NEGBIN,
    LINK_ODDSPOWER,
    LINK_POWER,
    LINK_PROBIT,
    LINK_CAUCHIT,
    LINK_INVERSE
};

static const char *const links[] = {"cloglog", "identity", "log",       "logc",  "logit",
                                    "loglog",  "negbin",   "oddspower", "power", "probit",
                                    "cauchit", "inverse",  NULL};

typedef struct general {
    mr_pmml_reader *r;
    const mr_pmml_frame *frame;
    mr_pmml_model *model;
    uint32_t element;
    mr_bytes names; /* uint32_t: symbols of the parameters */
    mr_bytes cells; /* uint32_t per cell of the PPMatrix: parameter */
    mr_bytes rows;  /* uint8_t per class: it has coefficients of its own */
} general;

static uint32_t parameter_count(const general *g)
{
    return (uint32_t)(g->names.size / sizeof(uint32_t));
}

static bool find_parameter(general *g, uint32_t element, uint32_t *out)
{
    const char *name;
    if (!mr_pmml_need(g->r, element, "parameterName", &name))
        return false;
    uint32_t symbol = mr_pmml_symbols_find(&g->r->program->symbols, name, strlen(name));
    const uint32_t *names = (const uint32_t *)(const void *)g->names.data;
    for (*out = 0; *out < parameter_count(g); ++*out)
        if (names[*out] == symbol)
            return true;
    return mr_pmml_fail(g->r, element, MR_INVALID, "no Parameter is called '%.60s'", name);
}

static bool read_parameters(general *g)
{
    uint32_t list = mr_xml_find(&g->r->xml, g->element, "ParameterList");
    if (list == MR_XML_NONE)
        return mr_pmml_fail(g->r, g->element, MR_INVALID, "it has no ParameterList");
    MR_PMML_EACH(g->r, parameter, list)
    {
        const char *name;
        if (!mr_pmml_need(g->r, parameter, "name", &name))
            return false;
        mr_bytes_append_u32(&g->names, mr_pmml_symbol(g->r, name));
        if (g->names.failed)
            return mr_pmml_out_of_memory(g->r);
    }
    return g->r->status == MR_OK;
}

/* ---- PPMatrix ---- */

static bool in_list(general *g, const char *list_name, const char *predictor, uint32_t *out)
{
    uint32_t list = mr_xml_find(&g->r->xml, g->element, list_name);
    for (*out = list == MR_XML_NONE ? MR_XML_NONE : mr_xml_find(&g->r->xml, list, "Predictor");
         *out != MR_XML_NONE; *out = mr_xml_again(&g->r->xml, *out, "Predictor")) {
        const char *name = mr_pmml_get(g->r, *out, "name");
        if (name != NULL && strcmp(name, predictor) == 0)
            return true;
    }
    return false;
}

static bool read_cell(general *g, uint32_t cell, mr_pmml_term *out)
{
    mr_pmml_field field;
    const char *text, *predictor;
    uint32_t listed;
    if (mr_pmml_get(g->r, cell, "targetCategory") != NULL)
        return mr_pmml_fail(g->r, cell, MR_UNSUPPORTED, "targetCategory here is not supported");
    if (!mr_pmml_need(g->r, cell, "predictorName", &predictor) ||
        !mr_pmml_field_of(g->r, cell, "predictorName", &field) ||
        !mr_pmml_need(g->r, cell, "value", &text))
        return false;
    out->slot = field.slot;
    bool is_factor = in_list(g, "FactorList", predictor, &listed);
    if (is_factor && mr_xml_find(&g->r->xml, listed, "Matrix") != MR_XML_NONE)
        return mr_pmml_refuse(g->r, mr_xml_find(&g->r->xml, listed, "Matrix"));
    if (!is_factor && !in_list(g, "CovariateList", predictor, &listed))
        return mr_pmml_fail(g->r, cell, MR_INVALID,
                            "'%.60s' is neither in the FactorList nor in the CovariateList",
                            predictor);
    if (!is_factor && field.type == MR_PMML_STRING)
        return mr_pmml_fail(g->r, cell, MR_INVALID, "'%.60s' is a string and a covariate",
                            predictor);
    out->op = is_factor ? CELL_CATEGORY : CELL_POWER;
    return mr_pmml_read_value(g->r, cell, text, is_factor ? field.type : MR_PMML_DOUBLE,
                              &out->value);
}

/* Cells in the order of their parameters. */
static bool place_cells(general *g, const mr_pmml_term *terms, uint32_t count)
{
    const uint32_t *of = (const uint32_t *)(const void *)g->cells.data;
    mr_pmml_reader *r = g->r;
    g->model->parts =
        (mr_pmml_range){MR_PMML_COUNT(r->program, tables, mr_pmml_table), parameter_count(g)};
    for (uint32_t p = 0; p < parameter_count(g); p++) {
        mr_pmml_table table = {.terms = {MR_PMML_COUNT(r->program, terms, mr_pmml_term), 0}};
        for (uint32_t i = 0; i < count; i++) {
            mr_pmml_term *to = of[i] == p ? MR_PMML_PUSH(r, terms, mr_pmml_term) : NULL;
            if (to != NULL)
                *to = terms[i], table.terms.count++;
        }
        mr_pmml_table *to = MR_PMML_PUSH(r, tables, mr_pmml_table);
        if (to == NULL)
            return false;
        *to = table;
    }
    return true;
}

#define CELLS_MAX 65536 /* times parameters is the work of reading them */

static bool read_matrix(general *g)
{
    mr_bytes terms = {0};
    uint32_t matrix = mr_xml_find(&g->r->xml, g->element, "PPMatrix"), count = 0;
    for (uint32_t cell = matrix == MR_XML_NONE ? MR_XML_NONE : mr_xml_child(&g->r->xml, matrix);
         cell != MR_XML_NONE; cell = mr_xml_next(&g->r->xml, cell), count++) {
        mr_pmml_term term = {0};
        uint32_t parameter;
        if (count == CELLS_MAX)
            (void)mr_pmml_fail(g->r, cell, MR_FULL, "more than %d cells", CELLS_MAX);
        if (g->r->status != MR_OK || !find_parameter(g, cell, &parameter) ||
            !read_cell(g, cell, &term))
            break;
        mr_bytes_append(&terms, &term, sizeof term);
        mr_bytes_append_u32(&g->cells, parameter);
    }
    if (terms.failed || g->cells.failed)
        (void)mr_pmml_out_of_memory(g->r);
    bool ok = g->r->status == MR_OK &&
              place_cells(g, (const mr_pmml_term *)(const void *)terms.data, count);
    mr_bytes_deinit(&terms);
    return ok;
}

/* ---- ParamMatrix ---- */

static bool add_coefficient(general *g, uint32_t class, uint32_t parameter, double beta)
{
    uint32_t at = g->model->more.first + class * parameter_count(g) + parameter;
    *MR_PMML_AT(g->r, numbers, double, at) += beta;
    return true;
}

/* One without a category is of all classes but the reference. */
static bool read_coefficient(general *g, uint32_t cell)
{
    const char *category = mr_pmml_get(g->r, cell, "targetCategory");
    uint32_t parameter, class = 0;
    double beta;
    if (!find_parameter(g, cell, &parameter) || !mr_pmml_need_number(g->r, cell, "beta", &beta))
        return false;
    if (!g->model->classifies)
        return add_coefficient(g, 0, parameter, beta);
    if (category != NULL && !mr_pmml_class_of(g->r, cell, g->frame, category, &class))
        return false;
    for (uint32_t i = 0; i < g->frame->classes.count; i++)
        if (category != NULL ? i == class : i != g->model->base_class) {
            g->rows.data[i] = 1;
            (void)add_coefficient(g, i, parameter, beta);
        }
    return true;
}

static bool read_coefficients(general *g)
{
    uint32_t matrix = mr_xml_find(&g->r->xml, g->element, "ParamMatrix");
    uint32_t rows = g->model->classifies ? g->frame->classes.count : 1;
    if (matrix == MR_XML_NONE)
        return mr_pmml_fail(g->r, g->element, MR_INVALID, "it has no ParamMatrix");
    g->model->more = (mr_pmml_range){mr_pmml_number_count(g->r), rows * parameter_count(g)};
    for (uint32_t i = 0; i < g->model->more.count; i++)
        if (!mr_pmml_add_number(g->r, 0))
            return false;
    if (!mr_bytes_reserve(&g->rows, rows + 1))
        return mr_pmml_out_of_memory(g->r);
    memset(g->rows.data, 0, rows + 1);
    MR_PMML_EACH(g->r, cell, matrix)
    {
        if (!read_coefficient(g, cell))
            return false;
    }
    return true;
}

/* ---- the model ---- */

static bool read_reference(general *g)
{
    const char *text = mr_pmml_get(g->r, g->element, "targetReferenceCategory");
    g->model->base_class = MR_PMML_NONE;
    if (!g->model->classifies)
        return true;
    if (text != NULL)
        return mr_pmml_class_of(g->r, g->element, g->frame, text, &g->model->base_class);
    if (g->model->kind == KIND_ORDINAL)
        g->model->base_class = g->frame->classes.count - 1;
    return true;
}

/* Without a name the reference is the class that has no coefficients. */
static bool find_reference(general *g)
{
    uint32_t without = 0;
    if (!g->model->classifies || g->model->base_class != MR_PMML_NONE)
        return true;
    for (uint32_t i = 0; i < g->frame->classes.count; i++)
        if (g->rows.data[i] == 0) {
            g->model->base_class = i;
            without++;
        }
    return without == 1 || mr_pmml_fail(g->r, g->element, MR_INVALID,
                                        "%u classes have no coefficients, exactly one may be the "
                                        "reference (targetReferenceCategory)",
                                        without);
}

static bool read_variable(general *g, const char *variable, const char *value, double initial,
                          uint32_t *slot, double *number)
{
    mr_pmml_field field;
    *slot = MR_PMML_NONE;
    if (mr_pmml_get(g->r, g->element, variable) != NULL) {
        if (!mr_pmml_field_of(g->r, g->element, variable, &field))
            return false;
        *slot = field.slot;
    }
    return mr_pmml_number(g->r, g->element, value, initial, number);
}

static bool read_head(general *g)
{
    static const char *const kinds[] = {"regression",          "generalLinear",
                                        "multinomialLogistic", "ordinalMultinomial",
                                        "generalizedLinear",   NULL};
    mr_pmml_model *m = g->model;
    const char *text;
    uint32_t e = g->element;
    if (!mr_pmml_need(g->r, e, "modelType", &text) ||
        !mr_pmml_choice(g->r, e, "modelType", kinds, 0, &m->kind))
        return false;
    bool ordinal = m->kind == KIND_ORDINAL, generalized = m->kind == KIND_GENERALIZED;
    if ((ordinal || m->kind == KIND_MULTINOMIAL) && !m->classifies)
        return mr_pmml_fail(g->r, e, MR_INVALID, "this modelType is for classification");
    if (m->kind <= KIND_GENERAL_LINEAR && m->classifies)
        return mr_pmml_fail(g->r, e, MR_INVALID, "this modelType is for regression");
    if (generalized && m->classifies && g->frame->classes.count != 2)
        return mr_pmml_fail(g->r, e, MR_UNSUPPORTED, "generalizedLinear with %u classes; 2 are",
                            g->frame->classes.count);
    m->link = LINK_IDENTITY;
    if (generalized && !mr_pmml_need(g->r, e, "linkFunction", &text))
        return false;
    if ((generalized || ordinal) &&
        !mr_pmml_choice(g->r, e, generalized ? "linkFunction" : "cumulativeLink", links, LINK_LOGIT,
                        &m->link))
        return false;
    return mr_pmml_number(g->r, e, m->link == LINK_NEGBIN ? "distParameter" : "linkParameter", 1,
                          &m->link_parameter) &&
           read_variable(g, "offsetVariable", "offsetValue", 0, &m->offset_slot, &m->offset) &&
           read_variable(g, "trialsVariable", "trialsValue", 1, &m->trials_slot, &m->trials);
}

bool mr_pmml_read_general(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                          mr_pmml_model *model)
{
    general g = {.r = r, .frame = frame, .model = model, .element = element};
    model->type = MR_PMML_GENERAL;
    bool ok = read_head(&g) && read_parameters(&g) && read_matrix(&g) && read_reference(&g) &&
              read_coefficients(&g) && find_reference(&g);
    if (ok)
        model->work = mr_pmml_result(r, parameter_count(&g));
    mr_bytes_deinit(&g.names);
    mr_bytes_deinit(&g.cells);
    mr_bytes_deinit(&g.rows);
    return ok && r->status == MR_OK;
}

/* ---- a row ---- */

static double invert(const mr_pmml_model *m, double x)
{
    double d = m->link_parameter;
    switch (m->link) {
    case LINK_IDENTITY:
        return x;
    case LINK_LOG:
        return exp(x);
    case LINK_LOGC:
        return 1 - exp(x);
    case LINK_LOGIT:
        return mr_pmml_link_inverse(MR_PMML_LINK_LOGIT, x);
    case LINK_LOGLOG:
        return mr_pmml_link_inverse(MR_PMML_LINK_LOGLOG, x);
    case LINK_CLOGLOG:
        return mr_pmml_link_inverse(MR_PMML_LINK_CLOGLOG, x);
    case LINK_PROBIT:
        return mr_pmml_link_inverse(MR_PMML_LINK_PROBIT, x);
    case LINK_CAUCHIT:
        return mr_pmml_link_inverse(MR_PMML_LINK_CAUCHIT, x);
    case LINK_NEGBIN:
        return 1 / (d * (exp(-x) - 1));
    case LINK_ODDSPOWER:
        return d == 0 ? mr_pmml_link_inverse(MR_PMML_LINK_LOGIT, x)
                      : 1 / (1 + pow(1 + d * x, -1 / d));
    case LINK_POWER:
        return d == 0 ? exp(x) : pow(x, 1 / d);
    default:
        MR_ASSERT(m->link == LINK_INVERSE);
        return 1 / x;
    }
}

static double cell_value(mr_pmml_state *state, const mr_pmml_term *cell)
{
    double x = state->slots[cell->slot];
    if (isnan(x)) {
        state->failed |= mr_pmml_is_invalid(x);
        return NAN;
    }
    return cell->op == CELL_CATEGORY ? x == cell->value
           : cell->value == 1        ? x
                                     : pow(x, cell->value);
}

static void fill_parameters(mr_pmml_state *state, const mr_pmml_model *model, double *to)
{
    const mr_pmml_table *tables =
        MR_PMML_LIST(state->program, tables, mr_pmml_table) + model->parts.first;
    const mr_pmml_term *terms = MR_PMML_LIST(state->program, terms, mr_pmml_term);
    for (uint32_t p = 0; p < model->parts.count; p++) {
        to[p] = 1;
        for (uint32_t i = 0; i < tables[p].terms.count; i++)
            to[p] *= cell_value(state, &terms[tables[p].terms.first + i]);
    }
}

static double variable(mr_pmml_state *state, uint32_t slot, double initial)
{
    double x = slot != MR_PMML_NONE ? state->slots[slot] : initial;
    state->failed |= mr_pmml_is_invalid(x);
    return x;
}

static double predictor(const mr_pmml_state *state, const mr_pmml_model *model, uint32_t row,
                        const double *parameters)
{
    const double *beta = MR_PMML_LIST(state->program, numbers, double) + model->more.first +
                         (size_t)row * model->parts.count;
    double sum = 0;
    for (uint32_t p = 0; p < model->parts.count; p++)
        sum += beta[p] * parameters[p];
    return sum;
}

double mr_pmml_general_sum(mr_pmml_state *state, const mr_pmml_model *model, uint32_t class)
{
    return class == model->base_class
               ? 0
               : variable(state, model->offset_slot, model->offset) +
                     predictor(state, model, class, state->results + model->work);
}

static void cumulate(const mr_pmml_model *model, double *shares)
{
    double before = 0;
    for (uint32_t i = 0; i < model->classes.count; i++) {
        double below = i + 1 == model->classes.count ? 1 : invert(model, shares[i]);
        shares[i] = fmax(below - before, 0);
        before = below;
    }
}

/* Links give the classes with coefficients; the reference is the rest. */
static void fill_reference(const mr_pmml_model *model, double *shares)
{
    double sum = 0;
    for (uint32_t i = 0; i < model->classes.count; i++)
        if (i != model->base_class) {
            shares[i] = invert(model, shares[i]);
            sum += shares[i];
        }
    shares[model->base_class] = 1 - sum;
}

static void run_classes(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    double *shares = result + 1;
    uint32_t best = 0, count = model->classes.count;
    for (uint32_t i = 0; i < count; i++)
        shares[i] = mr_pmml_general_sum(state, model, i);
    if (model->kind == KIND_MULTINOMIAL)
        mr_pmml_softmax(shares, count, false);
    else if (model->kind == KIND_ORDINAL)
        cumulate(model, shares);
    else
        fill_reference(model, shares);
    for (uint32_t i = 1; i < count; i++)
        best = shares[i] > shares[best] ? i : best;
    result[0] = isnan(shares[best]) ? NAN : (double)best;
}

void mr_pmml_run_general(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    fill_parameters(state, model, state->results + model->work);
    if (model->classifies)
        run_classes(state, model, result);
    else
        result[0] = variable(state, model->trials_slot, model->trials) *
                    invert(model, mr_pmml_general_sum(state, model, 0));
}
