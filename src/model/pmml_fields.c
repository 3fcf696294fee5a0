/* pmml_fields.c -- DataDictionary and MiningSchema: what a field is, what it means where, and what is done to its values
 * before a model sees them.
 *
 * A field of the top model's schema is an input. A field of an inner model's schema is the outer field itself, unless the
 * inner schema replaces, clamps or drops values: then it is a slot of its own, computed when that model is entered.
 * Values are checked against the DataDictionary once, at the top. */
#include "model/pmml_reader.h"

#include "base/assert.h"

#include <stdlib.h>

/* ---- types and values ---- */

bool mr_pmml_read_type(mr_pmml_reader *r, uint32_t element, const char *attribute, uint8_t initial,
                       uint8_t *out)
{
    static const char *const words[] = {"double", "float", "integer", "boolean", "string", NULL};
    return mr_pmml_choice(r, element, attribute, words, initial, out);
}

bool mr_pmml_read_value(mr_pmml_reader *r, uint32_t element, const char *text, uint8_t type,
                        double *out)
{
    if (type == MR_PMML_STRING) {
        *out = mr_pmml_symbol(r, text);
        return r->status == MR_OK;
    }
    bool is_true = strcmp(text, "true") == 0;
    if (type == MR_PMML_BOOLEAN && (is_true || strcmp(text, "false") == 0)) {
        *out = is_true;
        return true;
    }
    if (!mr_pmml_parse_number(text, out))
        return mr_pmml_fail(r, element, MR_INVALID, "'%.60s' is no %s", text,
                            type == MR_PMML_BOOLEAN ? "boolean" : "number");
    if (type == MR_PMML_FLOAT)
        *out = (double)(float)*out;
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void mr_pmml_sort_numbers(mr_pmml_reader *r, mr_pmml_range range)
{
    if (range.count > 1)
        qsort(MR_PMML_AT(r, numbers, double, range.first), range.count, sizeof(double),
              compare_numbers);
}

/* The next token of an Array: words, or quoted with \" inside. False: none is left. */
static bool next_token(const char **at, mr_bytes *out)
{
    const char *p = *at;
    mr_bytes_clear(out);
    while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
        p++;
    if (*p == '\0')
        return false;
    bool quoted = *p == '"';
    for (p += quoted; *p != '\0'; p++) {
        if (quoted ? *p == '"' : (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
            break;
        if (p[0] == '\\' && p[1] == '"')
            p++;
        mr_bytes_append_byte(out, (uint8_t)*p);
    }
    *at = *p == '"' && quoted ? p + 1 : p;
    return true;
}

bool mr_pmml_read_array(mr_pmml_reader *r, uint32_t element, uint8_t type, mr_pmml_range *out)
{
    mr_bytes token = {0};
    const char *at = mr_xml_text(&r->xml, element);
    *out = (mr_pmml_range){mr_pmml_number_count(r), 0};
    while (r->status == MR_OK && next_token(&at, &token)) {
        const char *text = mr_bytes_text(&token);
        double value;
        if (text == NULL)
            (void)mr_pmml_out_of_memory(r);
        else if (mr_pmml_read_value(r, element, text, type, &value))
            (void)mr_pmml_add_number(r, value);
    }
    mr_bytes_deinit(&token);
    out->count = mr_pmml_number_count(r) - out->first;
    if (r->status == MR_OK)
        mr_pmml_sort_numbers(r, *out);
    return r->status == MR_OK;
}

bool mr_pmml_read_interval(mr_pmml_reader *r, uint32_t element, mr_pmml_interval *out)
{
    static const char *const words[] = {"openOpen", "openClosed", "closedOpen", "closedClosed",
                                        NULL};
    uint8_t closure;
    const char *text;
    if (!mr_pmml_need(r, element, "closure", &text) ||
        !mr_pmml_choice(r, element, "closure", words, 0, &closure) ||
        !mr_pmml_number(r, element, "leftMargin", -INFINITY, &out->low) ||
        !mr_pmml_number(r, element, "rightMargin", INFINITY, &out->high))
        return false;
    out->low_open = closure < 2;
    out->high_open = closure % 2 == 0;
    return true;
}

/* ---- what a name means ---- */

uint32_t *mr_pmml_map_at(mr_pmml_reader *r, mr_bytes *map, uint32_t symbol)
{
    size_t wanted = ((size_t)symbol + 1) * sizeof(uint32_t), have = map->size;
    if (have < wanted) {
        if (!mr_bytes_reserve(map, wanted * 2 - have)) {
            (void)mr_pmml_out_of_memory(r);
            return NULL;
        }
        memset(map->data + have, 0, wanted * 2 - have);
        map->size = wanted * 2;
    }
    return (uint32_t *)(void *)map->data + symbol;
}

uint32_t mr_pmml_map_find(const mr_pmml_reader *r, const mr_bytes *map, const char *name)
{
    uint32_t symbol = mr_pmml_symbols_find(&r->program->symbols, name, strlen(name));
    if (symbol == MR_PMML_NO_SYMBOL || symbol >= map->size / sizeof(uint32_t))
        return 0;
    return ((const uint32_t *)(const void *)map->data)[symbol];
}

bool mr_pmml_read_dictionary(mr_pmml_reader *r, uint32_t element)
{
    MR_PMML_EACH(r, field, element)
    {
        const char *name;
        if (mr_pmml_is(r, field, "Taxonomy"))
            continue;
        if (!mr_pmml_is(r, field, "DataField"))
            return mr_pmml_refuse(r, field);
        if (!mr_pmml_need(r, field, "name", &name))
            return false;
        uint32_t symbol = mr_pmml_symbol(r, name);
        uint32_t *to = symbol == MR_PMML_NO_SYMBOL ? NULL : mr_pmml_map_at(r, &r->data, symbol);
        if (to == NULL)
            return false;
        if (*to != 0)
            return mr_pmml_fail(r, field, MR_INVALID, "a second '%.100s'", name);
        *to = field;
    }
    return true;
}

bool mr_pmml_bind(mr_pmml_reader *r, const char *name, const mr_pmml_field *field)
{
    uint32_t symbol = mr_pmml_symbol(r, name);
    uint32_t *bound = symbol == MR_PMML_NO_SYMBOL ? NULL : mr_pmml_map_at(r, &r->bound, symbol);
    mr_pmml_field *to = mr_pmml_push(r, &r->fields, sizeof *field);
    if (bound == NULL || to == NULL)
        return false;
    *to = *field;
    mr_bytes_append_u32(&r->undo, symbol);
    mr_bytes_append_u32(&r->undo, *bound);
    if (r->undo.failed)
        return mr_pmml_out_of_memory(r);
    *bound = (uint32_t)(r->fields.size / sizeof *field);
    return true;
}

size_t mr_pmml_bound_mark(const mr_pmml_reader *r)
{
    return r->undo.size;
}

void mr_pmml_bound_undo(mr_pmml_reader *r, size_t mark)
{
    while (r->undo.size > mark) {
        r->undo.size -= 2 * sizeof(uint32_t);
        const uint32_t *pair = (const uint32_t *)(const void *)(r->undo.data + r->undo.size);
        ((uint32_t *)(void *)r->bound.data)[pair[0]] = pair[1];
    }
}

const mr_pmml_field *mr_pmml_lookup(mr_pmml_reader *r, const char *name)
{
    uint32_t bound = mr_pmml_map_find(r, &r->bound, name);
    return bound == 0 ? NULL : (const mr_pmml_field *)(const void *)r->fields.data + bound - 1;
}

bool mr_pmml_field_of(mr_pmml_reader *r, uint32_t element, const char *attribute,
                      mr_pmml_field *out)
{
    const char *name;
    if (!mr_pmml_need(r, element, attribute, &name))
        return false;
    const mr_pmml_field *field = mr_pmml_lookup(r, name);
    if (field == NULL)
        return mr_pmml_fail(r, element, MR_INVALID, "no field is called '%.100s' here", name);
    if (field->slot == MR_PMML_NONE)
        return mr_pmml_fail(r, element, MR_UNSUPPORTED, "the value of '%.100s' cannot be had: %s",
                            name, field->why);
    *out = *field;
    return true;
}

/* ---- treatments ---- */

/* NaN is missing whether the file says so or not. */
static bool is_nan(const mr_pmml_reader *r, uint32_t value, uint8_t type)
{
    const char *text = mr_pmml_get(r, value, "value");
    return type <= MR_PMML_FLOAT && text != NULL && strcmp(text, "NaN") == 0;
}

/* Values of the DataField with one property. */
static bool read_values(mr_pmml_reader *r, uint32_t data, uint8_t type, uint8_t wanted,
                        mr_pmml_range *out)
{
    static const char *const words[] = {"valid", "invalid", "missing", NULL};
    *out = (mr_pmml_range){mr_pmml_number_count(r), 0};
    MR_PMML_EACH(r, value, data)
    {
        uint8_t property;
        const char *text;
        double number;
        if (!mr_pmml_is(r, value, "Value"))
            continue;
        if (!mr_pmml_choice(r, value, "property", words, 0, &property))
            return false;
        if (property != wanted || is_nan(r, value, type))
            continue;
        if (!mr_pmml_need(r, value, "value", &text) ||
            !mr_pmml_read_value(r, value, text, type, &number) || !mr_pmml_add_number(r, number))
            return false;
    }
    out->count = mr_pmml_number_count(r) - out->first;
    mr_pmml_sort_numbers(r, *out);
    return true;
}

static bool read_intervals(mr_pmml_reader *r, uint32_t data, mr_pmml_range *out)
{
    *out = (mr_pmml_range){MR_PMML_COUNT(r->program, intervals, mr_pmml_interval), 0};
    MR_PMML_EACH(r, interval, data)
    {
        mr_pmml_interval read;
        if (!mr_pmml_is(r, interval, "Interval"))
            continue;
        if (!mr_pmml_read_interval(r, interval, &read))
            return false;
        mr_pmml_interval *to = MR_PMML_PUSH(r, intervals, mr_pmml_interval);
        if (to == NULL)
            return false;
        *to = read;
        out->count++;
    }
    return true;
}

/* The rules of a MiningField. */
static bool read_rules(mr_pmml_reader *r, uint32_t mining, mr_pmml_treatment *t)
{
    static const char *const invalid[] = {"returnInvalid", "asIs", "asMissing", "asValue", NULL};
    static const char *const outliers[] = {"asIs", "asMissingValues", "asExtremeValues", NULL};
    static const char *const missing[] = {"asIs",    "asMean",        "asMode", "asMedian",
                                          "asValue", "returnInvalid", NULL};
    uint8_t how;
    const char *text = mr_pmml_get(r, mining, "missingValueReplacement");
    t->missing_to = NAN;
    t->invalid_to = NAN;
    if (text != NULL && !mr_pmml_read_value(r, mining, text, t->type, &t->missing_to))
        return false;
    text = mr_pmml_get(r, mining, "invalidValueReplacement");
    if (text != NULL && !mr_pmml_read_value(r, mining, text, t->type, &t->invalid_to))
        return false;
    if (!mr_pmml_choice(r, mining, "missingValueTreatment", missing, 0, &how) ||
        !mr_pmml_choice(r, mining, "invalidValueTreatment", invalid, 0, &t->invalid) ||
        !mr_pmml_choice(r, mining, "outliers", outliers, 0, &t->outliers) ||
        !mr_pmml_number(r, mining, "lowValue", -INFINITY, &t->low) ||
        !mr_pmml_number(r, mining, "highValue", INFINITY, &t->high))
        return false;
    t->missing_is_invalid = how == 5;
    if (t->invalid == MR_PMML_AS_VALUE && isnan(t->invalid_to))
        return mr_pmml_fail(r, mining, MR_INVALID,
                            "invalidValueTreatment asValue needs an invalidValueReplacement");
    if (t->outliers != MR_PMML_OUTLIER_AS_IS && t->type == MR_PMML_STRING)
        return mr_pmml_fail(r, mining, MR_INVALID, "outliers of a string field");
    return true;
}

static bool push_treatment(mr_pmml_reader *r, const mr_pmml_treatment *treatment)
{
    uint32_t index = MR_PMML_COUNT(r->program, treatments, mr_pmml_treatment);
    mr_pmml_treatment *to = MR_PMML_PUSH(r, treatments, mr_pmml_treatment);
    mr_pmml_step *step = MR_PMML_PUSH(r, steps, mr_pmml_step);
    if (to == NULL || step == NULL)
        return false;
    *to = *treatment;
    *step = (mr_pmml_step){MR_PMML_NONE, index};
    return true;
}

static bool read_input(mr_pmml_reader *r, uint32_t mining, const char *name)
{
    uint32_t data = mr_pmml_map_find(r, &r->data, name);
    const char *optype;
    if (data == MR_XML_NONE)
        return mr_pmml_fail(r, mining, MR_INVALID, "'%.100s' is not in the DataDictionary", name);
    if (r->program->input_count >= MR_MODEL_INPUTS_MAX - 2)
        return mr_pmml_fail(r, mining, MR_FULL, "more than %u inputs", MR_MODEL_INPUTS_MAX - 2);
    const mr_pmml_field *there = mr_pmml_lookup(r, name);
    if (there != NULL)
        return mr_pmml_fail(r, mining, MR_INVALID, "'%.100s' is there twice", name);
    mr_pmml_treatment t = {0};
    t.from = t.to = mr_pmml_slot(r, mining);
    if (t.to == MR_PMML_NONE || !mr_pmml_need(r, data, "optype", &optype) ||
        !mr_pmml_read_type(r, data, "dataType", MR_PMML_STRING, &t.type) ||
        !read_rules(r, mining, &t) || !read_intervals(r, data, &t.intervals) ||
        !read_values(r, data, t.type, 0, &t.valid) ||
        !read_values(r, data, t.type, 1, &t.unwanted) ||
        !read_values(r, data, t.type, 2, &t.absent) || !push_treatment(r, &t))
        return false;
    mr_pmml_input *input = MR_PMML_PUSH(r, inputs, mr_pmml_input);
    if (input == NULL)
        return false;
    *input = (mr_pmml_input){mr_pmml_symbol(r, name), t.type};
    r->program->input_count++;
    return mr_pmml_bind(
        r, name,
        &(mr_pmml_field){
            .slot = t.to, .data = data, .type = t.type, .ordinal = strcmp(optype, "ordinal") == 0});
}

/* Of an inner model: a slot of its own only where the schema changes values. */
static bool read_inner_field(mr_pmml_reader *r, uint32_t mining, const char *name)
{
    const mr_pmml_field *outer = mr_pmml_lookup(r, name);
    if (outer == NULL || outer->slot == MR_PMML_NONE)
        return true; /* whoever refers to it says so */
    mr_pmml_field field = *outer;
    mr_pmml_treatment t = {.from = outer->slot, .type = outer->type};
    if (!read_rules(r, mining, &t))
        return false;
    t.invalid = MR_PMML_AS_IS;
    if (isnan(t.missing_to) && t.outliers == MR_PMML_OUTLIER_AS_IS && !t.missing_is_invalid)
        return true;
    t.to = field.slot = mr_pmml_slot(r, mining);
    return t.to != MR_PMML_NONE && push_treatment(r, &t) && mr_pmml_bind(r, name, &field);
}

bool mr_pmml_read_schema(mr_pmml_reader *r, uint32_t model, bool is_top, const char **out_target)
{
    uint32_t schema = mr_xml_find(&r->xml, model, "MiningSchema");
    *out_target = NULL;
    if (schema == MR_XML_NONE)
        return mr_pmml_fail(r, model, MR_INVALID, "it has no MiningSchema");
    MR_PMML_EACH(r, mining, schema)
    {
        const char *name, *usage = mr_pmml_get(r, mining, "usageType");
        if (!mr_pmml_is(r, mining, "MiningField"))
            return mr_pmml_refuse(r, mining);
        if (!mr_pmml_need(r, mining, "name", &name))
            return false;
        if (usage == NULL || strcmp(usage, "active") == 0) {
            if (!(is_top ? read_input(r, mining, name) : read_inner_field(r, mining, name)))
                return false;
        } else if (strcmp(usage, "target") == 0 || strcmp(usage, "predicted") == 0) {
            *out_target = *out_target == NULL ? name : *out_target;
        }
    }
    return true;
}

/* ---- a value of a row ---- */

static bool contains(const double *numbers, mr_pmml_range range, double x)
{
    uint32_t low = range.first, high = range.first + range.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (numbers[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low < range.first + range.count && numbers[low] == x;
}

static bool in_domain(const mr_pmml *program, const mr_pmml_treatment *t, double x)
{
    const double *numbers = MR_PMML_LIST(program, numbers, double);
    const mr_pmml_interval *intervals = MR_PMML_LIST(program, intervals, mr_pmml_interval);
    if ((t->type == MR_PMML_INTEGER && x != trunc(x)) ||
        (t->type == MR_PMML_BOOLEAN && x != 0 && x != 1) ||
        (t->unwanted.count > 0 && contains(numbers, t->unwanted, x)))
        return false;
    if (t->intervals.count == 0 && t->valid.count == 0)
        return true;
    for (uint32_t i = 0; i < t->intervals.count; i++)
        if (mr_pmml_interval_has(&intervals[t->intervals.first + i], x))
            return true;
    return t->valid.count > 0 && contains(numbers, t->valid, x);
}

/* NaN: it counts as missing. */
static double treat_present(mr_pmml_state *state, const mr_pmml_treatment *t, double x)
{
    if (!in_domain(state->program, t, x)) {
        state->failed |= t->invalid == MR_PMML_RETURN_INVALID;
        return t->invalid == MR_PMML_AS_MISSING ? NAN
               : t->invalid == MR_PMML_AS_VALUE ? t->invalid_to
                                                : x;
    }
    if (t->outliers == MR_PMML_OUTLIER_AS_IS || (x >= t->low && x <= t->high))
        return x;
    return t->outliers == MR_PMML_OUTLIER_AS_MISSING ? NAN : x < t->low ? t->low : t->high;
}

void mr_pmml_treat(mr_pmml_state *state, const mr_pmml_treatment *t)
{
    double x = state->slots[t->from];
    if (mr_pmml_is_invalid(x)) {
        state->slots[t->to] = x;
        return;
    }
    if (t->type == MR_PMML_FLOAT)
        x = (double)(float)x;
    const double *numbers = MR_PMML_LIST(state->program, numbers, double);
    if (!isnan(x) && (t->absent.count == 0 || !contains(numbers, t->absent, x)))
        x = treat_present(state, t, x);
    else
        x = NAN;
    if (isnan(x)) {
        state->failed |= t->missing_is_invalid;
        x = t->missing_to;
    }
    state->slots[t->to] = x;
}
