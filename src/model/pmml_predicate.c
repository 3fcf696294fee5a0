/* pmml_predicate.c -- predicates: three-valued, compiled to comparisons of slots with numbers.
 *
 * What a string field is compared with became a number when the file was read, so all comparisons are of doubles.
 * An order among strings is that of the field's Values (optype ordinal): such a comparison becomes a set. */
#include "model/pmml_reader.h"

#include "base/assert.h"

typedef enum predicate_op {
    OP_TRUE,
    OP_FALSE,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_OR_EQUAL,
    OP_GREATER,
    OP_GREATER_OR_EQUAL,
    OP_MISSING,
    OP_NOT_MISSING,
    OP_IN,
    OP_NOT_IN,
    OP_AND,
    OP_OR,
    OP_XOR,
    OP_SURROGATE,
} predicate_op;

bool mr_pmml_is_predicate(const mr_pmml_reader *r, uint32_t element)
{
    static const char *const names[] = {"SimplePredicate", "CompoundPredicate",
                                        "SimpleSetPredicate", "True", "False"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (mr_pmml_is(r, element, names[i]))
            return true;
    return false;
}

/* Values of the ordinal field on the wanted side of `value`. */
static bool read_ordered(mr_pmml_reader *r, uint32_t element, const mr_pmml_field *field,
                         const char *text, mr_pmml_predicate *out)
{
    bool less = out->op == OP_LESS || out->op == OP_LESS_OR_EQUAL, seen = false;
    bool itself = out->op == OP_LESS_OR_EQUAL || out->op == OP_GREATER_OR_EQUAL;
    if (!field->ordinal || field->data == MR_XML_NONE)
        return mr_pmml_fail(r, element, MR_UNSUPPORTED,
                            "an order of strings that are not ordinal is not supported");
    out->list.first = mr_pmml_number_count(r);
    for (uint32_t value = mr_xml_find(&r->xml, field->data, "Value"); value != MR_XML_NONE;
         value = mr_xml_again(&r->xml, value, "Value")) {
        const char *name;
        double number;
        if (!mr_pmml_need(r, value, "value", &name) ||
            !mr_pmml_read_value(r, value, name, field->type, &number))
            return false;
        bool is_it = strcmp(name, text) == 0;
        seen |= is_it;
        if (is_it ? !itself : seen == less)
            continue;
        if (!mr_pmml_add_number(r, number))
            return false;
        out->list.count++;
    }
    out->op = OP_IN;
    mr_pmml_sort_numbers(r, out->list);
    return seen || mr_pmml_fail(r, element, MR_INVALID,
                                "'%.60s' is not among the ordered values of the field", text);
}

static bool read_simple(mr_pmml_reader *r, uint32_t element, mr_pmml_predicate *out)
{
    static const char *const words[] = {"equal",       "notEqual",     "lessThan",
                                        "lessOrEqual", "greaterThan",  "greaterOrEqual",
                                        "isMissing",   "isNotMissing", NULL};
    mr_pmml_field field;
    const char *text;
    uint8_t op;
    if (!mr_pmml_field_of(r, element, "field", &field) ||
        !mr_pmml_need(r, element, "operator", &text) ||
        !mr_pmml_choice(r, element, "operator", words, 0, &op))
        return false;
    out->op = (uint8_t)(OP_EQUAL + op);
    out->slot = field.slot;
    if (out->op == OP_MISSING || out->op == OP_NOT_MISSING)
        return true;
    if (!mr_pmml_need(r, element, "value", &text))
        return false;
    if (field.type == MR_PMML_STRING && out->op >= OP_LESS)
        return read_ordered(r, element, &field, text, out);
    return mr_pmml_read_value(r, element, text, field.type, &out->value);
}

static bool read_set(mr_pmml_reader *r, uint32_t element, mr_pmml_predicate *out)
{
    static const char *const words[] = {"isIn", "isNotIn", NULL};
    mr_pmml_field field;
    const char *text;
    uint8_t op;
    uint32_t array = mr_xml_find(&r->xml, element, "Array");
    if (array == MR_XML_NONE)
        return mr_pmml_fail(r, element, MR_INVALID, "it has no Array");
    if (!mr_pmml_field_of(r, element, "field", &field) ||
        !mr_pmml_need(r, element, "booleanOperator", &text) ||
        !mr_pmml_choice(r, element, "booleanOperator", words, 0, &op))
        return false;
    out->op = (uint8_t)(OP_IN + op);
    out->slot = field.slot;
    return mr_pmml_read_array(r, array, field.type, &out->list);
}

static bool read_compound(mr_pmml_reader *r, uint32_t element, mr_pmml_predicate *out)
{
    static const char *const words[] = {"and", "or", "xor", "surrogate", NULL};
    const char *text;
    uint8_t op;
    size_t from = r->stack.size;
    if (!mr_pmml_need(r, element, "booleanOperator", &text) ||
        !mr_pmml_choice(r, element, "booleanOperator", words, 0, &op))
        return false;
    MR_PMML_EACH(r, child, element)
    {
        uint32_t part;
        if (!mr_pmml_read_predicate(r, child, &part) || !mr_pmml_stack_push(r, part))
            return false;
    }
    out->op = (uint8_t)(OP_AND + op);
    if (!mr_pmml_stack_take(r, from, &out->list))
        return false;
    return out->list.count > 0 || mr_pmml_fail(r, element, MR_INVALID, "it has no predicates");
}

bool mr_pmml_read_predicate(mr_pmml_reader *r, uint32_t element, uint32_t *out)
{
    mr_pmml_predicate p = {0};
    if (!mr_pmml_enter(r, element))
        return false;
    bool ok = mr_pmml_is(r, element, "SimplePredicate")      ? read_simple(r, element, &p)
              : mr_pmml_is(r, element, "SimpleSetPredicate") ? read_set(r, element, &p)
              : mr_pmml_is(r, element, "CompoundPredicate")  ? read_compound(r, element, &p)
              : mr_pmml_is(r, element, "True")               ? true
              : mr_pmml_is(r, element, "False")              ? (p.op = OP_FALSE, true)
                                                             : mr_pmml_refuse(r, element);
    mr_pmml_leave(r);
    *out = MR_PMML_COUNT(r->program, predicates, mr_pmml_predicate);
    mr_pmml_predicate *to = ok ? MR_PMML_PUSH(r, predicates, mr_pmml_predicate) : NULL;
    if (to != NULL)
        *to = p;
    return to != NULL;
}

bool mr_pmml_find_predicate(mr_pmml_reader *r, uint32_t element, uint32_t *out)
{
    MR_PMML_EACH(r, child, element)
    {
        if (mr_pmml_is_predicate(r, child)) {
            *out = child;
            return true;
        }
    }
    return mr_pmml_fail(r, element, MR_INVALID, "it has no predicate");
}

/* x > at decides: true and false are the sides of a walk. False: it is no such comparison. */
bool mr_pmml_predicate_level(const mr_pmml_predicate *p, double *at, bool *when_above)
{
    *when_above = p->op == OP_GREATER || p->op == OP_GREATER_OR_EQUAL;
    bool open =
        p->op == OP_LESS || p->op == OP_GREATER_OR_EQUAL; /* x < t is x <= the one before t */
    *at = open ? nextafter(p->value, -INFINITY) : p->value;
    return p->op >= OP_LESS && p->op <= OP_GREATER_OR_EQUAL && !(open && p->value == -INFINITY);
}

bool mr_pmml_predicate_constant(const mr_pmml_predicate *p, bool *out)
{
    *out = p->op == OP_TRUE;
    return p->op <= OP_FALSE;
}

/* Exactly one of both is true of any value that is there. */
bool mr_pmml_predicate_opposite(const mr_pmml_predicate *a, const mr_pmml_predicate *b)
{
    static const uint8_t other[] = {
        [OP_EQUAL] = OP_NOT_EQUAL,       [OP_NOT_EQUAL] = OP_EQUAL,
        [OP_LESS] = OP_GREATER_OR_EQUAL, [OP_LESS_OR_EQUAL] = OP_GREATER,
        [OP_GREATER] = OP_LESS_OR_EQUAL, [OP_GREATER_OR_EQUAL] = OP_LESS};
    return a->op >= OP_EQUAL && a->op <= OP_GREATER_OR_EQUAL && b->op == other[a->op] &&
           a->slot == b->slot && a->value == b->value;
}

/* ---- evaluation ---- */

static mr_pmml_test test_of(bool is)
{
    return is ? MR_PMML_TRUE : MR_PMML_FALSE;
}

static bool contains(const double *numbers, uint32_t count, double x)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (numbers[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && numbers[low] == x;
}

static mr_pmml_test compare(const mr_pmml_state *state, const mr_pmml_predicate *p, double x)
{
    const double *numbers = MR_PMML_LIST(state->program, numbers, double) + p->list.first;
    switch (p->op) {
    case OP_EQUAL:
        return test_of(x == p->value);
    case OP_NOT_EQUAL:
        return test_of(x != p->value);
    case OP_LESS:
        return test_of(x < p->value);
    case OP_LESS_OR_EQUAL:
        return test_of(x <= p->value);
    case OP_GREATER:
        return test_of(x > p->value);
    case OP_GREATER_OR_EQUAL:
        return test_of(x >= p->value);
    default:
        MR_ASSERT(p->op == OP_IN || p->op == OP_NOT_IN);
        return test_of(contains(numbers, p->list.count, x) == (p->op == OP_IN));
    }
}

/* Parts up to the one that decides. */
static mr_pmml_test combine(mr_pmml_state *state, const mr_pmml_predicate *p)
{
    const uint32_t *parts = MR_PMML_LIST(state->program, indexes, uint32_t) + p->list.first;
    bool unknown = false, odd = false;
    for (uint32_t i = 0; i < p->list.count; i++) {
        mr_pmml_test test = mr_pmml_ask(state, parts[i]);
        if (p->op == OP_SURROGATE && test != MR_PMML_UNKNOWN)
            return test;
        if ((p->op == OP_AND && test == MR_PMML_FALSE) || (p->op == OP_OR && test == MR_PMML_TRUE))
            return test;
        unknown |= test == MR_PMML_UNKNOWN;
        odd ^= test == MR_PMML_TRUE;
    }
    return unknown           ? MR_PMML_UNKNOWN
           : p->op == OP_XOR ? test_of(odd)
           : p->op == OP_AND ? MR_PMML_TRUE
                             : MR_PMML_FALSE;
}

mr_pmml_test mr_pmml_ask(mr_pmml_state *state, uint32_t predicate)
{
    const mr_pmml_predicate *p =
        MR_PMML_LIST(state->program, predicates, mr_pmml_predicate) + predicate;
    if (p->op <= OP_FALSE)
        return test_of(p->op == OP_TRUE);
    if (p->op >= OP_AND)
        return combine(state, p);
    double x = state->slots[p->slot];
    if (isnan(x)) {
        state->failed |= mr_pmml_is_invalid(x);
        return p->op == OP_MISSING       ? MR_PMML_TRUE
               : p->op == OP_NOT_MISSING ? MR_PMML_FALSE
                                         : MR_PMML_UNKNOWN;
    }
    return p->op == OP_MISSING       ? MR_PMML_FALSE
           : p->op == OP_NOT_MISSING ? MR_PMML_TRUE
                                     : compare(state, p, x);
}
