/* pmml_compile.c -- expressions: FieldRef, Constant, NormContinuous, NormDiscrete, Discretize, MapValues, Apply; and what
 * they stand in: DerivedField and DefineFunction.
 *
 * A function the file defines is compiled anew for every call, with the types of its arguments, which wait in slots of
 * their own. So each expression is evaluated at most once per evaluation of what it stands in, and the work of a row is
 * bounded by the number of expressions (EXPRESSIONS_MAX). A function sees only functions defined before it: no recursion. */
#include "model/pmml_reader.h"

#include "base/number.h"

#include <stdlib.h>

#define EXPRESSIONS_MAX (1u << 20)
#define MAP_KEYS_MAX    16

static bool push_expression(mr_pmml_reader *r, uint32_t element, const mr_pmml_expression *from,
                            uint32_t *out)
{
    *out = MR_PMML_COUNT(r->program, expressions, mr_pmml_expression);
    if (*out >= EXPRESSIONS_MAX)
        return mr_pmml_fail(r, element, MR_FULL, "more than %u expressions", EXPRESSIONS_MAX);
    mr_pmml_expression *to = MR_PMML_PUSH(r, expressions, mr_pmml_expression);
    if (to != NULL)
        *to = *from;
    return to != NULL;
}

/* ---- leaves ---- */

static uint8_t guess_type(const char *text)
{
    int64_t whole;
    double number;
    if (mr_number_is_int64(text, strlen(text), &whole))
        return MR_PMML_INTEGER;
    if (mr_pmml_parse_number(text, &number))
        return MR_PMML_DOUBLE;
    bool is_boolean = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    return is_boolean ? MR_PMML_BOOLEAN : MR_PMML_STRING;
}

static bool read_constant(mr_pmml_reader *r, uint32_t element, int hint, mr_pmml_expression *out)
{
    const char *text = mr_xml_text(&r->xml, element), *missing = mr_pmml_get(r, element, "missing");
    out->op = MR_PMML_CONSTANT;
    uint8_t initial = hint >= 0 ? (uint8_t)hint : guess_type(text);
    if (!mr_pmml_read_type(r, element, "dataType", initial, &out->type))
        return false;
    if (missing != NULL && strcmp(missing, "true") == 0) {
        out->value = NAN;
        return true;
    }
    return mr_pmml_read_value(r, element, text, out->type, &out->value);
}

static bool read_map_missing(mr_pmml_reader *r, uint32_t element, mr_pmml_expression *out)
{
    const char *text = mr_pmml_get(r, element, "mapMissingTo");
    return text == NULL || mr_pmml_read_value(r, element, text, out->type, &out->missing_to);
}

static bool read_default(mr_pmml_reader *r, uint32_t element, mr_pmml_expression *out)
{
    const char *text = mr_pmml_get(r, element, "defaultValue");
    return text == NULL || mr_pmml_read_value(r, element, text, out->type, &out->default_value);
}

static bool read_field_ref(mr_pmml_reader *r, uint32_t element, mr_pmml_expression *out)
{
    mr_pmml_field field;
    if (!mr_pmml_field_of(r, element, "field", &field))
        return false;
    out->op = MR_PMML_FIELD;
    out->a = field.slot;
    out->type = field.type;
    return read_map_missing(r, element, out);
}

/* ---- NormContinuous, NormDiscrete ---- */

bool mr_pmml_read_points(mr_pmml_reader *r, uint32_t element, mr_pmml_range *out)
{
    double from, to, last = -INFINITY;
    *out = (mr_pmml_range){mr_pmml_number_count(r), 0};
    MR_PMML_EACH(r, point, element)
    {
        if (!mr_pmml_is(r, point, "LinearNorm"))
            return mr_pmml_refuse(r, point);
        if (!mr_pmml_need_number(r, point, "orig", &from) ||
            !mr_pmml_need_number(r, point, "norm", &to))
            return false;
        if (from <= last || isinf(from) || isinf(to))
            return mr_pmml_fail(r, point, MR_INVALID, "'orig' must ascend, and be finite");
        last = from;
        out->count++;
        if (!mr_pmml_add_number(r, from) || !mr_pmml_add_number(r, to))
            return false;
    }
    return out->count >= 2 ||
           mr_pmml_fail(r, element, MR_INVALID, "%u LinearNorm, at least 2 are needed", out->count);
}

static bool read_continuous(mr_pmml_reader *r, uint32_t element, mr_pmml_expression *out)
{
    static const char *const words[] = {"asIs", "asMissingValues", "asExtremeValues", NULL};
    mr_pmml_field field;
    if (!mr_pmml_field_of(r, element, "field", &field))
        return false;
    if (field.type == MR_PMML_STRING)
        return mr_pmml_fail(r, element, MR_INVALID, "it needs a number, the field is a string");
    out->op = MR_PMML_CONTINUOUS;
    out->type = MR_PMML_DOUBLE;
    out->a = field.slot;
    return mr_pmml_read_points(r, element, &out->list) &&
           mr_pmml_choice(r, element, "outliers", words, 0, &out->rule) &&
           mr_pmml_number(r, element, "mapMissingTo", NAN, &out->missing_to);
}

static bool read_discrete(mr_pmml_reader *r, uint32_t element, mr_pmml_expression *out)
{
    mr_pmml_field field;
    const char *text;
    out->op = MR_PMML_DISCRETE;
    out->type = MR_PMML_DOUBLE;
    if (!mr_pmml_field_of(r, element, "field", &field) ||
        !mr_pmml_need(r, element, "value", &text) ||
        !mr_pmml_read_value(r, element, text, field.type, &out->value) ||
        !mr_pmml_number(r, element, "mapMissingTo", NAN, &out->missing_to))
        return false;
    out->a = field.slot;
    return true;
}

/* ---- Discretize ---- */

static bool read_bin(mr_pmml_reader *r, uint32_t bin, uint8_t type, mr_pmml_interval *interval,
                     double *value)
{
    const char *text;
    uint32_t inner = mr_xml_find(&r->xml, bin, "Interval");
    if (!mr_pmml_is(r, bin, "DiscretizeBin"))
        return mr_pmml_refuse(r, bin);
    if (inner == MR_XML_NONE)
        return mr_pmml_fail(r, bin, MR_INVALID, "it has no Interval");
    return mr_pmml_need(r, bin, "binValue", &text) &&
           mr_pmml_read_value(r, bin, text, type, value) &&
           mr_pmml_read_interval(r, inner, interval);
}

static bool read_bins(mr_pmml_reader *r, uint32_t element, int hint, mr_pmml_expression *out)
{
    mr_pmml_field field;
    uint8_t initial = hint >= 0 ? (uint8_t)hint : MR_PMML_STRING;
    if (!mr_pmml_field_of(r, element, "field", &field) ||
        !mr_pmml_read_type(r, element, "dataType", initial, &out->type))
        return false;
    if (field.type == MR_PMML_STRING)
        return mr_pmml_fail(r, element, MR_INVALID, "it needs a number, the field is a string");
    out->op = MR_PMML_BINS;
    out->a = field.slot;
    out->b = mr_pmml_number_count(r);
    out->list.first = MR_PMML_COUNT(r->program, intervals, mr_pmml_interval);
    MR_PMML_EACH(r, bin, element)
    {
        mr_pmml_interval interval = {0};
        double value;
        if (!read_bin(r, bin, out->type, &interval, &value) || !mr_pmml_add_number(r, value))
            return false;
        mr_pmml_interval *to = MR_PMML_PUSH(r, intervals, mr_pmml_interval);
        if (to == NULL)
            return false;
        *to = interval;
        out->list.count++;
    }
    return read_map_missing(r, element, out) && read_default(r, element, out);
}

/* ---- MapValues ---- */

typedef struct map_columns {
    const char *columns[MAP_KEYS_MAX + 1]; /* of the table; the last is the output */
    uint8_t types[MAP_KEYS_MAX + 1];
    uint32_t count;
} map_columns;

static bool read_cell(mr_pmml_reader *r, uint32_t row, const char *column, uint8_t type,
                      double *out)
{
    const char *colon = strrchr(column, ':');
    uint32_t cell = mr_xml_find(&r->xml, row, colon != NULL ? colon + 1 : column);
    if (cell == MR_XML_NONE)
        return mr_pmml_fail(r, row, MR_INVALID, "it has no column '%.60s'", column);
    return mr_pmml_read_value(r, cell, mr_xml_text(&r->xml, cell), type, out);
}

static bool read_rows(mr_pmml_reader *r, uint32_t table, const map_columns *columns,
                      mr_pmml_range *out)
{
    *out = (mr_pmml_range){mr_pmml_number_count(r), 0};
    MR_PMML_EACH(r, row, table)
    {
        double value;
        if (!mr_pmml_is(r, row, "row"))
            return mr_pmml_refuse(r, row);
        for (uint32_t i = 0; i <= columns->count; i++)
            if (!read_cell(r, row, columns->columns[i], columns->types[i], &value) ||
                !mr_pmml_add_number(r, value))
                return false;
        out->count++;
    }
    return true;
}

static bool read_columns(mr_pmml_reader *r, uint32_t element, map_columns *columns,
                         mr_pmml_expression *out)
{
    out->a = mr_pmml_index_count(r);
    for (uint32_t pair = mr_xml_find(&r->xml, element, "FieldColumnPair"); pair != MR_XML_NONE;
         pair = mr_xml_again(&r->xml, pair, "FieldColumnPair")) {
        mr_pmml_field field;
        if (columns->count == MAP_KEYS_MAX)
            return mr_pmml_fail(r, pair, MR_FULL, "more than %d columns", MAP_KEYS_MAX);
        if (!mr_pmml_field_of(r, pair, "field", &field) ||
            !mr_pmml_need(r, pair, "column", &columns->columns[columns->count]) ||
            !mr_pmml_add_index(r, field.slot))
            return false;
        columns->types[columns->count++] = field.type;
    }
    out->b = columns->count;
    return columns->count > 0 || mr_pmml_fail(r, element, MR_INVALID, "it has no FieldColumnPair");
}

static bool read_map(mr_pmml_reader *r, uint32_t element, int hint, mr_pmml_expression *out)
{
    map_columns columns = {0};
    uint8_t initial = hint >= 0 ? (uint8_t)hint : MR_PMML_STRING;
    uint32_t table = mr_xml_find(&r->xml, element, "InlineTable");
    if (mr_xml_find(&r->xml, element, "TableLocator") != MR_XML_NONE)
        return mr_pmml_refuse(r, mr_xml_find(&r->xml, element, "TableLocator"));
    if (table == MR_XML_NONE)
        return mr_pmml_fail(r, element, MR_INVALID, "it has no InlineTable");
    if (!mr_pmml_read_type(r, element, "dataType", initial, &out->type) ||
        !read_columns(r, element, &columns, out) ||
        !mr_pmml_need(r, element, "outputColumn", &columns.columns[columns.count]))
        return false;
    columns.types[columns.count] = out->type;
    out->op = MR_PMML_MAP;
    return read_rows(r, table, &columns, &out->list) && read_map_missing(r, element, out) &&
           read_default(r, element, out);
}

/* ---- functions of the file ---- */

static bool bind_argument(mr_pmml_reader *r, uint32_t parameter, uint32_t argument)
{
    const char *name;
    uint32_t expression;
    mr_pmml_field field = {.slot = mr_pmml_slot(r, parameter)};
    uint8_t type = UINT8_MAX;
    if (!mr_pmml_need(r, parameter, "name", &name) ||
        !mr_pmml_read_type(r, parameter, "dataType", UINT8_MAX, &type) ||
        !mr_pmml_read_expression(r, argument, type == UINT8_MAX ? -1 : type, &expression))
        return false;
    if (type != UINT8_MAX && !mr_pmml_read_cast(r, &expression, type))
        return false;
    field.type = MR_PMML_AT(r, expressions, mr_pmml_expression, expression)->type;
    return field.slot != MR_PMML_NONE && mr_pmml_stack_push(r, field.slot) &&
           mr_pmml_stack_push(r, expression) && mr_pmml_stack_push(r, field.type);
}

/* The arguments are compiled before the first name is bound: they see the caller's names. */
static bool bind_arguments(mr_pmml_reader *r, uint32_t element, uint32_t function, size_t mark,
                           mr_pmml_expression *out)
{
    uint32_t argument = mr_xml_child(&r->xml, element);
    uint32_t first = mr_xml_find(&r->xml, function, "ParameterField"), parameter = first;
    for (; parameter != MR_XML_NONE && argument != MR_XML_NONE;
         parameter = mr_xml_again(&r->xml, parameter, "ParameterField"),
         argument = mr_xml_next(&r->xml, argument))
        if (!bind_argument(r, parameter, argument))
            return false;
    if (parameter != MR_XML_NONE || argument != MR_XML_NONE)
        return mr_pmml_fail(r, element, MR_INVALID, "the number of arguments does not fit");
    uint32_t *list = (uint32_t *)(void *)(r->stack.data + mark);
    out->list.first = mr_pmml_index_count(r);
    for (parameter = first; parameter != MR_XML_NONE;
         parameter = mr_xml_again(&r->xml, parameter, "ParameterField"), list += 3) {
        mr_pmml_field field = {.slot = list[0], .type = (uint8_t)list[2]};
        if (!mr_pmml_bind(r, mr_pmml_get(r, parameter, "name"), &field) ||
            !mr_pmml_add_index(r, list[0]) || !mr_pmml_add_index(r, list[1]))
            return false;
        out->list.count++;
    }
    r->stack.size = mark;
    return true;
}

static bool read_call(mr_pmml_reader *r, uint32_t element, uint32_t function,
                      mr_pmml_expression *out)
{
    size_t bound = mr_pmml_bound_mark(r);
    uint8_t type = UINT8_MAX;
    out->op = MR_PMML_CALL;
    /* While its body is compiled a function is not known: it cannot call itself. */
    const char *name = mr_pmml_get(r, function, "name");
    uint32_t symbol = mr_pmml_symbol(r, name);
    if (symbol == MR_PMML_NO_SYMBOL || !mr_pmml_read_type(r, function, "dataType", type, &type) ||
        !bind_arguments(r, element, function, r->stack.size, out))
        return false;
    *mr_pmml_map_at(r, &r->functions, symbol) = 0;
    bool ok = mr_pmml_read_inner(r, function, type == UINT8_MAX ? -1 : type, &out->a) &&
              (type == UINT8_MAX || mr_pmml_read_cast(r, &out->a, type));
    *mr_pmml_map_at(r, &r->functions, symbol) = function;
    mr_pmml_bound_undo(r, bound);
    if (!ok)
        return false;
    out->type = MR_PMML_AT(r, expressions, mr_pmml_expression, out->a)->type;
    return read_map_missing(r, element, out) && read_default(r, element, out);
}

static bool read_any_apply(mr_pmml_reader *r, uint32_t element, int hint, mr_pmml_expression *out)
{
    const char *name;
    if (!mr_pmml_need(r, element, "function", &name))
        return false;
    uint32_t function = mr_pmml_map_find(r, &r->functions, name);
    if (function != 0)
        return read_call(r, element, function, out);
    return mr_pmml_read_apply(r, element, hint, out) && read_map_missing(r, element, out) &&
           read_default(r, element, out);
}

bool mr_pmml_read_functions(mr_pmml_reader *r, uint32_t element)
{
    for (uint32_t function = mr_xml_find(&r->xml, element, "DefineFunction");
         function != MR_XML_NONE; function = mr_xml_again(&r->xml, function, "DefineFunction")) {
        const char *name;
        if (!mr_pmml_need(r, function, "name", &name))
            return false;
        uint32_t symbol = mr_pmml_symbol(r, name);
        uint32_t *to =
            symbol == MR_PMML_NO_SYMBOL ? NULL : mr_pmml_map_at(r, &r->functions, symbol);
        if (to == NULL)
            return false;
        *to = function;
    }
    return true;
}

/* ---- any expression ---- */

bool mr_pmml_is_expression(const mr_pmml_reader *r, uint32_t element)
{
    static const char *const names[] = {"FieldRef",   "Constant",  "NormContinuous", "NormDiscrete",
                                        "Discretize", "MapValues", "Apply",          "TextIndex",
                                        "Aggregate",  "Lag"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (mr_pmml_is(r, element, names[i]))
            return true;
    return false;
}

static bool read_expression(mr_pmml_reader *r, uint32_t element, int hint, mr_pmml_expression *e)
{
    return mr_pmml_is(r, element, "FieldRef")         ? read_field_ref(r, element, e)
           : mr_pmml_is(r, element, "Constant")       ? read_constant(r, element, hint, e)
           : mr_pmml_is(r, element, "Apply")          ? read_any_apply(r, element, hint, e)
           : mr_pmml_is(r, element, "NormContinuous") ? read_continuous(r, element, e)
           : mr_pmml_is(r, element, "NormDiscrete")   ? read_discrete(r, element, e)
           : mr_pmml_is(r, element, "Discretize")     ? read_bins(r, element, hint, e)
           : mr_pmml_is(r, element, "MapValues")      ? read_map(r, element, hint, e)
                                                      : mr_pmml_refuse(r, element);
}

bool mr_pmml_read_expression(mr_pmml_reader *r, uint32_t element, int hint, uint32_t *out)
{
    mr_pmml_expression e = {.missing_to = NAN, .default_value = NAN};
    if (!mr_pmml_enter(r, element))
        return false;
    bool ok = read_expression(r, element, hint, &e);
    mr_pmml_leave(r);
    return ok && push_expression(r, element, &e, out);
}

bool mr_pmml_read_inner(mr_pmml_reader *r, uint32_t element, int hint, uint32_t *out)
{
    MR_PMML_EACH(r, child, element)
    {
        if (mr_pmml_is_expression(r, child))
            return mr_pmml_read_expression(r, child, hint, out);
    }
    return mr_pmml_fail(r, element, MR_INVALID, "it has no expression");
}

bool mr_pmml_read_cast(mr_pmml_reader *r, uint32_t *expression, uint8_t type)
{
    uint8_t from = MR_PMML_AT(r, expressions, mr_pmml_expression, *expression)->type;
    if (from == type || (type == MR_PMML_DOUBLE && from != MR_PMML_STRING))
        return true;
    mr_pmml_expression e = {.op = MR_PMML_CONVERT,
                            .type = type,
                            .a = *expression,
                            .b = from,
                            .missing_to = NAN,
                            .default_value = NAN};
    return push_expression(r, 0, &e, expression);
}

static bool read_derived_field(mr_pmml_reader *r, uint32_t element)
{
    const char *name, *optype = mr_pmml_get(r, element, "optype");
    mr_pmml_field field = {.ordinal = optype != NULL && strcmp(optype, "ordinal") == 0};
    uint32_t expression;
    if (!mr_pmml_need(r, element, "name", &name) ||
        !mr_pmml_read_type(r, element, "dataType", MR_PMML_DOUBLE, &field.type) ||
        !mr_pmml_read_inner(r, element, field.type, &expression) ||
        !mr_pmml_read_cast(r, &expression, field.type))
        return false;
    field.slot = mr_pmml_slot(r, element);
    field.data = element; /* its Values, when it is ordinal */
    mr_pmml_step *step = MR_PMML_PUSH(r, steps, mr_pmml_step);
    if (step == NULL || field.slot == MR_PMML_NONE)
        return false;
    *step = (mr_pmml_step){expression, field.slot};
    return mr_pmml_bind(r, name, &field);
}

bool mr_pmml_read_derived(mr_pmml_reader *r, uint32_t element)
{
    for (uint32_t field = mr_xml_find(&r->xml, element, "DerivedField"); field != MR_XML_NONE;
         field = mr_xml_again(&r->xml, field, "DerivedField"))
        if (!read_derived_field(r, field))
            return false;
    return true;
}
