/* pmml_reader.c -- what all parts of the PMML compiler use: failing, attributes, records. */
#include "model/pmml_reader.h"

#include "base/number.h"

#include <stdio.h>

/* ---- failing ---- */

bool mr_pmml_fail(mr_pmml_reader *r, uint32_t element, mr_status status, const char *format, ...)
{
    if (r->status != MR_OK)
        return false;
    char text[640];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const mr_xml_element *e = mr_xml_at(&r->xml, element);
    r->status = MR_FAIL(r->err, status, "<%.80s> at %u:%u: %s", mr_xml_name(&r->xml, element),
                        e->line, e->column, text);
    return false;
}

bool mr_pmml_refuse(mr_pmml_reader *r, uint32_t element)
{
    return mr_pmml_fail(r, element, MR_UNSUPPORTED, "this element is not supported here");
}

bool mr_pmml_out_of_memory(mr_pmml_reader *r)
{
    if (r->status == MR_OK)
        r->status = MR_OUT_OF_MEMORY(r->err);
    return false;
}

/* ---- elements ---- */

bool mr_pmml_is(const mr_pmml_reader *r, uint32_t element, const char *name)
{
    return mr_xml_is(&r->xml, element, name);
}

const char *mr_pmml_get(const mr_pmml_reader *r, uint32_t element, const char *attribute)
{
    return mr_xml_get(&r->xml, element, attribute);
}

bool mr_pmml_need(mr_pmml_reader *r, uint32_t element, const char *attribute, const char **out)
{
    *out = mr_pmml_get(r, element, attribute);
    return *out != NULL ||
           mr_pmml_fail(r, element, MR_INVALID, "attribute '%s' is missing", attribute);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The words of XML Schema, and Java's. */
static bool parse_infinity(const char *text, size_t size, double *out)
{
    bool negative = size > 0 && text[0] == '-';
    text += negative, size -= negative;
    bool is = (size == 3 && memcmp(text, "INF", 3) == 0) ||
              (size == 8 && memcmp(text, "Infinity", 8) == 0);
    if (is)
        *out = negative ? -INFINITY : INFINITY;
    return is;
}

bool mr_pmml_parse_number(const char *text, double *out)
{
    while (is_blank(*text))
        text++;
    size_t size = strlen(text);
    while (size > 0 && is_blank(text[size - 1]))
        size--;
    return mr_number_is_float64(text, size, out) || parse_infinity(text, size, out);
}

bool mr_pmml_number(mr_pmml_reader *r, uint32_t element, const char *attribute, double initial,
                    double *out)
{
    const char *text = mr_pmml_get(r, element, attribute);
    *out = initial;
    return text == NULL || mr_pmml_parse_number(text, out) ||
           mr_pmml_fail(r, element, MR_INVALID, "%s=\"%.60s\" is no number", attribute, text);
}

bool mr_pmml_need_number(mr_pmml_reader *r, uint32_t element, const char *attribute, double *out)
{
    const char *text;
    return mr_pmml_need(r, element, attribute, &text) &&
           mr_pmml_number(r, element, attribute, 0, out);
}

static bool fail_choice(mr_pmml_reader *r, uint32_t element, const char *attribute,
                        const char *text, const char *const *words)
{
    mr_bytes list = {0};
    for (size_t i = 0; words[i] != NULL; i++)
        mr_bytes_printf(&list, "%s%s", i > 0 ? ", " : "", words[i]);
    const char *known = mr_bytes_text(&list);
    (void)mr_pmml_fail(r, element, MR_UNSUPPORTED, "%s=\"%.60s\" is not among: %s", attribute, text,
                       known != NULL ? known : "(out of memory)");
    mr_bytes_deinit(&list);
    return false;
}

bool mr_pmml_choice(mr_pmml_reader *r, uint32_t element, const char *attribute,
                    const char *const *words, int initial, uint8_t *out)
{
    const char *text = mr_pmml_get(r, element, attribute);
    *out = (uint8_t)initial;
    if (text == NULL)
        return true;
    for (uint8_t i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return true;
        }
    return fail_choice(r, element, attribute, text, words);
}

/* ---- records ---- */

void *mr_pmml_push(mr_pmml_reader *r, mr_bytes *list, size_t bytes)
{
    if (r->status != MR_OK)
        return NULL;
    if (list->size / bytes >= MR_PMML_RECORDS_MAX || !mr_bytes_reserve(list, bytes)) {
        (void)mr_pmml_out_of_memory(r);
        return NULL;
    }
    void *record = list->data + list->size;
    memset(record, 0, bytes);
    list->size += bytes;
    return record;
}

bool mr_pmml_add_number(mr_pmml_reader *r, double number)
{
    double *to = MR_PMML_PUSH(r, numbers, double);
    if (to != NULL)
        *to = number;
    return to != NULL;
}

bool mr_pmml_add_index(mr_pmml_reader *r, uint32_t index)
{
    uint32_t *to = MR_PMML_PUSH(r, indexes, uint32_t);
    if (to != NULL)
        *to = index;
    return to != NULL;
}

uint32_t mr_pmml_number_count(const mr_pmml_reader *r)
{
    return MR_PMML_COUNT(r->program, numbers, double);
}

uint32_t mr_pmml_index_count(const mr_pmml_reader *r)
{
    return MR_PMML_COUNT(r->program, indexes, uint32_t);
}

bool mr_pmml_stack_push(mr_pmml_reader *r, uint32_t value)
{
    uint32_t *to = mr_pmml_push(r, &r->stack, sizeof value);
    if (to != NULL)
        *to = value;
    return to != NULL;
}

bool mr_pmml_stack_take(mr_pmml_reader *r, size_t from, mr_pmml_range *out)
{
    *out = (mr_pmml_range){mr_pmml_index_count(r),
                           (uint32_t)((r->stack.size - from) / sizeof(uint32_t))};
    for (uint32_t i = 0; i < out->count; i++)
        if (!mr_pmml_add_index(r, ((uint32_t *)(void *)(r->stack.data + from))[i]))
            return false;
    r->stack.size = from;
    return r->status == MR_OK;
}

uint32_t mr_pmml_symbol(mr_pmml_reader *r, const char *text)
{
    if (r->status != MR_OK)
        return MR_PMML_NO_SYMBOL;
    uint32_t symbol = mr_pmml_symbols_add(&r->program->symbols, text, strlen(text));
    if (symbol == MR_PMML_NO_SYMBOL)
        (void)mr_pmml_out_of_memory(r);
    return symbol;
}

uint32_t mr_pmml_slot(mr_pmml_reader *r, uint32_t element)
{
    if (r->program->slot_count > MR_PMML_SLOTS_MAX) {
        (void)mr_pmml_fail(r, element, MR_FULL, "more than %u fields", MR_PMML_SLOTS_MAX);
        return MR_PMML_NONE;
    }
    return r->program->slot_count++;
}

uint32_t mr_pmml_result(mr_pmml_reader *r, uint32_t count)
{
    if (r->program->result_count > MR_PMML_RECORDS_MAX - count) {
        (void)mr_pmml_out_of_memory(r);
        return 0;
    }
    r->program->result_count += count;
    return r->program->result_count - count;
}

bool mr_pmml_enter(mr_pmml_reader *r, uint32_t element)
{
    if (r->nesting == MR_PMML_NESTING_MAX)
        return mr_pmml_fail(r, element, MR_FULL, "nested deeper than %d", MR_PMML_NESTING_MAX);
    r->nesting++;
    return r->status == MR_OK;
}

void mr_pmml_leave(mr_pmml_reader *r)
{
    r->nesting--;
}
