/* pmml_regression.c -- RegressionModel: sums of terms, one table per class, and what normalizationMethod makes of them.
 *
 * Of a classification with unordered classes: `none` leaves the last class what the others leave of 1; softmax and
 * simplemax divide; the link functions give each table's own probability, and of two classes the second is the rest of
 * the first, of more all are divided by their sum. With ordered classes (optype ordinal) a link gives cumulative
 * probabilities. A missing numeric predictor makes the result missing; a missing category adds nothing. */
#include "model/pmml_reader.h"

#include "base/assert.h"
#include "model/pmml_link.h"

enum { TERM_NUMBER, TERM_POWER, TERM_CATEGORY, TERM_PRODUCT };

/* ---- compiling ---- */

static bool read_numeric(mr_pmml_reader *r, uint32_t element, mr_pmml_term *out)
{
    mr_pmml_field field;
    if (!mr_pmml_field_of(r, element, "name", &field) ||
        !mr_pmml_need_number(r, element, "coefficient", &out->coefficient) ||
        !mr_pmml_number(r, element, "exponent", 1, &out->value))
        return false;
    if (field.type == MR_PMML_STRING)
        return mr_pmml_fail(r, element, MR_INVALID, "the field is a string");
    out->op = out->value == 1 ? TERM_NUMBER : TERM_POWER;
    out->slot = field.slot;
    return true;
}

static bool read_categorical(mr_pmml_reader *r, uint32_t element, mr_pmml_term *out)
{
    mr_pmml_field field;
    const char *text;
    out->op = TERM_CATEGORY;
    if (!mr_pmml_field_of(r, element, "name", &field) ||
        !mr_pmml_need(r, element, "value", &text) ||
        !mr_pmml_read_value(r, element, text, field.type, &out->value) ||
        !mr_pmml_need_number(r, element, "coefficient", &out->coefficient))
        return false;
    out->slot = field.slot;
    return true;
}

static bool read_product(mr_pmml_reader *r, uint32_t element, mr_pmml_term *out)
{
    size_t from = r->stack.size;
    out->op = TERM_PRODUCT;
    if (!mr_pmml_need_number(r, element, "coefficient", &out->coefficient))
        return false;
    MR_PMML_EACH(r, child, element)
    {
        mr_pmml_field field;
        if (!mr_pmml_is(r, child, "FieldRef"))
            return mr_pmml_refuse(r, child);
        if (!mr_pmml_field_of(r, child, "field", &field) || !mr_pmml_stack_push(r, field.slot))
            return false;
        if (field.type == MR_PMML_STRING)
            return mr_pmml_fail(r, child, MR_INVALID, "the field is a string");
    }
    return mr_pmml_stack_take(r, from, &out->factors);
}

static bool read_terms(mr_pmml_reader *r, uint32_t element, mr_pmml_range *out)
{
    *out = (mr_pmml_range){MR_PMML_COUNT(r->program, terms, mr_pmml_term), 0};
    MR_PMML_EACH(r, child, element)
    {
        mr_pmml_term term = {0};
        bool ok = mr_pmml_is(r, child, "NumericPredictor")       ? read_numeric(r, child, &term)
                  : mr_pmml_is(r, child, "CategoricalPredictor") ? read_categorical(r, child, &term)
                  : mr_pmml_is(r, child, "PredictorTerm")        ? read_product(r, child, &term)
                                                                 : mr_pmml_refuse(r, child);
        mr_pmml_term *to = ok ? MR_PMML_PUSH(r, terms, mr_pmml_term) : NULL;
        if (to == NULL)
            return false;
        *to = term;
        out->count++;
    }
    return true;
}

static bool read_table(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                       const mr_pmml_model *model)
{
    mr_pmml_table table = {.index = 0};
    const char *text;
    if (!mr_pmml_need_number(r, element, "intercept", &table.intercept) ||
        (model->classifies && (!mr_pmml_need(r, element, "targetCategory", &text) ||
                               !mr_pmml_class_of(r, element, frame, text, &table.index))) ||
        !read_terms(r, element, &table.terms))
        return false;
    for (uint32_t i = model->parts.first;
         i < MR_PMML_COUNT(r->program, tables, mr_pmml_table) && model->classifies; i++)
        if (MR_PMML_AT(r, tables, mr_pmml_table, i)->index == table.index)
            return mr_pmml_fail(r, element, MR_INVALID, "a second table of '%.60s'", text);
    mr_pmml_table *to = MR_PMML_PUSH(r, tables, mr_pmml_table);
    if (to != NULL)
        *to = table;
    return to != NULL;
}

static bool check_tables(mr_pmml_reader *r, uint32_t element, const mr_pmml_model *model)
{
    uint8_t how = model->normalization;
    if (!model->classifies && model->parts.count != 1)
        return mr_pmml_fail(r, element, MR_INVALID, "%u RegressionTables, a regression has 1",
                            model->parts.count);
    if (model->classifies && model->parts.count < 2)
        return mr_pmml_fail(r, element, MR_INVALID,
                            "%u RegressionTables, a classification has at least 2",
                            model->parts.count);
    if (model->classifies ? how == MR_PMML_LINK_EXP : how == MR_PMML_LINK_SIMPLEMAX)
        return mr_pmml_fail(r, element, MR_INVALID, "this normalizationMethod is for %s",
                            model->classifies ? "regression" : "classification");
    return true;
}

bool mr_pmml_read_regression(mr_pmml_reader *r, uint32_t element, const mr_pmml_frame *frame,
                             mr_pmml_model *model)
{
    static const char *const words[] = {"none",    "simplemax", "softmax", "logit",   "probit",
                                        "cloglog", "exp",       "loglog",  "cauchit", NULL};
    model->type = MR_PMML_REGRESSION;
    model->parts.first = MR_PMML_COUNT(r->program, tables, mr_pmml_table);
    if (!mr_pmml_choice(r, element, "normalizationMethod", words, 0, &model->normalization))
        return false;
    for (uint32_t table = mr_xml_find(&r->xml, element, "RegressionTable"); table != MR_XML_NONE;
         table = mr_xml_again(&r->xml, table, "RegressionTable"), model->parts.count++)
        if (!read_table(r, table, frame, model))
            return false;
    return check_tables(r, element, model);
}

/* ---- a row ---- */

double mr_pmml_regression_term(mr_pmml_state *state, const mr_pmml_term *term)
{
    double x = state->slots[term->slot];
    switch (term->op) {
    case TERM_NUMBER:
        return x * term->coefficient;
    case TERM_POWER:
        return pow(x, term->value) * term->coefficient;
    case TERM_CATEGORY:
        return x == term->value ? term->coefficient : mr_pmml_is_invalid(x) ? NAN : 0;
    default:
        MR_ASSERT(term->op == TERM_PRODUCT);
        x = term->coefficient;
        for (uint32_t i = 0; i < term->factors.count; i++)
            x *= state->slots[MR_PMML_LIST(state->program, indexes,
                                           uint32_t)[term->factors.first + i]];
        return x;
    }
}

static bool any_invalid(const mr_pmml_state *state, const mr_pmml_term *term)
{
    const uint32_t *slots = MR_PMML_LIST(state->program, indexes, uint32_t) + term->factors.first;
    for (uint32_t i = 0; i < term->factors.count; i++)
        if (mr_pmml_is_invalid(state->slots[slots[i]]))
            return true;
    return term->factors.count == 0 && mr_pmml_is_invalid(state->slots[term->slot]);
}

/* In floats every step is rounded, as JPMML does under x-mathContext="float". */
static double sum_single(mr_pmml_state *state, const mr_pmml_table *table,
                         const mr_pmml_term *terms)
{
    float sum = 0;
    for (uint32_t i = 0; i < table->terms.count; i++)
        sum += (float)mr_pmml_regression_term(state, &terms[i]);
    return (double)(sum + (float)table->intercept);
}

static double sum_double(mr_pmml_state *state, const mr_pmml_table *table,
                         const mr_pmml_term *terms)
{
    double sum = 0;
    for (uint32_t i = 0; i < table->terms.count; i++)
        sum += mr_pmml_regression_term(state, &terms[i]);
    return sum + table->intercept;
}

double mr_pmml_regression_sum(mr_pmml_state *state, const mr_pmml_model *model,
                              const mr_pmml_table *table)
{
    const mr_pmml_term *terms =
        MR_PMML_LIST(state->program, terms, mr_pmml_term) + table->terms.first;
    double sum = model->single ? sum_single(state, table, terms) : sum_double(state, table, terms);
    for (uint32_t i = 0; i < table->terms.count && isnan(sum); i++)
        state->failed |= any_invalid(state, &terms[i]);
    return sum;
}

static void normalize_ordinal(const mr_pmml_model *model, const mr_pmml_table *tables,
                              double *result)
{
    double before = 0;
    for (uint32_t i = 0; i < model->parts.count; i++) {
        double *share = &result[1 + tables[i].index];
        double below = i + 1 == model->parts.count
                           ? 1
                           : fmin(fmax(mr_pmml_link_inverse(model->normalization, *share), 0), 1);
        *share = fmax(below - before, 0);
        before = below;
    }
}

static void normalize_links(const mr_pmml_model *model, const mr_pmml_table *tables, double *result)
{
    double sum = 0;
    uint32_t last = model->parts.count - 1;
    bool rest = model->parts.count == 2 || model->normalization == MR_PMML_LINK_NONE;
    for (uint32_t i = 0; i < last + !rest; i++) {
        double *share = &result[1 + tables[i].index];
        *share = mr_pmml_link_inverse(model->normalization, *share);
        sum += *share;
    }
    if (rest)
        result[1 + tables[last].index] = 1 - sum;
    for (uint32_t i = 0; i <= last && !rest; i++)
        result[1 + tables[i].index] /= sum;
}

static void normalize_classes(const mr_pmml_model *model, const mr_pmml_table *tables,
                              double *result)
{
    uint32_t count = model->classes.count;
    if (model->ordinal)
        normalize_ordinal(model, tables, result);
    else if (model->normalization == MR_PMML_LINK_SOFTMAX)
        mr_pmml_softmax(result + 1, count, model->single);
    else if (model->normalization == MR_PMML_LINK_SIMPLEMAX)
        mr_pmml_simplemax(result + 1, count);
    else
        normalize_links(model, tables, result);
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        best = result[1 + i] > result[1 + best] ? i : best;
    result[0] = isnan(result[1 + best]) ? NAN : (double)best;
}

void mr_pmml_run_regression(mr_pmml_state *state, const mr_pmml_model *model, double *result)
{
    const mr_pmml_table *tables =
        MR_PMML_LIST(state->program, tables, mr_pmml_table) + model->parts.first;
    if (!model->classifies) {
        double sum = mr_pmml_regression_sum(state, model, &tables[0]);
        result[0] = model->single ? mr_pmml_link_inverse_single(model->normalization, sum)
                                  : mr_pmml_link_inverse(model->normalization, sum);
        return;
    }
    /* A class without a table has no share in the softmax. */
    bool softmax = model->normalization == MR_PMML_LINK_SOFTMAX;
    for (uint32_t i = 0; i < model->classes.count; i++)
        result[1 + i] = softmax ? -INFINITY : 0;
    for (uint32_t i = 0; i < model->parts.count; i++)
        result[1 + tables[i].index] = mr_pmml_regression_sum(state, model, &tables[i]);
    for (uint32_t i = 0; i < model->parts.count; i++)
        if (isnan(result[1 + tables[i].index])) {
            result[0] = NAN;
            return;
        }
    normalize_classes(model, tables, result);
}
