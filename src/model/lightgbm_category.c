/* lightgbm_category.c -- categories by name: what a pandas column held when it was trained on, as codes.
 *
 * The Python package writes [["a", "b"], [10, 20, 30]] behind `pandas_categorical:`, a list for each column of type
 * category in the order of the frame, and turns a value into its place in the list before it predicts. */
#include "model/lightgbm.h"

#include "base/assert.h"
#include "model/json_scan.h"

#include <stdlib.h>
#include <string.h>

void mr_lightgbm_categories_deinit(mr_lightgbm_categories *categories)
{
    for (uint32_t i = 0; i < categories->count; i++) {
        mr_free(categories->list[i].values);
        mr_free(categories->list[i].texts);
    }
    mr_free(categories->list);
    *categories = (mr_lightgbm_categories){0};
}

/* ---- reading ---- */

typedef struct reader {
    mr_json_scan scan;
    mr_bytes list;   /* mr_lightgbm_category */
    mr_bytes values; /* of the present one */
    mr_bytes texts;  /* of the present one, each terminated */
} reader;

static bool read_value(reader *r, uint32_t code, bool *is_text)
{
    mr_lightgbm_value value = {.code = code};
    char next = mr_json_peek(&r->scan);
    bool text = next == '"';
    if (code > 0 && text != *is_text)
        return mr_json_fail(&r->scan, MR_UNSUPPORTED, "texts and numbers in one category");
    *is_text = text;
    if (text) {
        const char *string;
        if (!mr_json_string(&r->scan, &string))
            return false;
        mr_bytes_append(&r->texts, string, strlen(string) + 1);
    } else if (next == 't' || next == 'f') {
        int64_t flag;
        if (!mr_json_int(&r->scan, &flag))
            return false;
        value.number = (double)flag;
    } else if (!mr_json_double(&r->scan, &value.number)) {
        return false;
    }
    mr_bytes_append(&r->values, &value, sizeof value);
    return true;
}

static int by_number(const void *a, const void *b)
{
    const mr_lightgbm_value *left = a, *right = b;
    int order = (left->number > right->number) - (left->number < right->number);
    return order != 0 ? order : (left->code > right->code) - (left->code < right->code);
}

static int by_text(const void *a, const void *b)
{
    const mr_lightgbm_value *left = a, *right = b;
    int order = strcmp(left->text, right->text);
    return order != 0 ? order : (left->code > right->code) - (left->code < right->code);
}

static void sort_values(mr_lightgbm_category *category)
{
    const char *text = category->texts;
    category->is_plain = !category->is_text;
    for (uint32_t i = 0; i < category->count; i++) {
        mr_lightgbm_value *value = &category->values[i];
        category->is_plain = category->is_plain && value->number == (double)i;
        if (category->is_text) {
            value->text = text;
            text += strlen(text) + 1;
        }
    }
    if (category->count > 0)
        qsort(category->values, category->count, sizeof *category->values,
              category->is_text ? by_text : by_number);
}

static bool read_category(reader *r)
{
    mr_lightgbm_category category = {0};
    if (!mr_json_array(&r->scan))
        return false;
    while (mr_json_element(&r->scan))
        if (!read_value(r, category.count++, &category.is_text))
            return false;
    if (r->scan.status != MR_OK)
        return false;
    if (r->values.failed || r->texts.failed || !mr_bytes_reserve(&r->list, sizeof category))
        return mr_json_fail(&r->scan, MR_NO_MEMORY, "out of memory");
    category.values = (mr_lightgbm_value *)(void *)r->values.data;
    category.texts = (char *)r->texts.data;
    r->values = r->texts = (mr_bytes){0};
    sort_values(&category);
    mr_bytes_append(&r->list, &category, sizeof category);
    return true;
}

static bool read_all(reader *r)
{
    if (mr_json_peek(&r->scan) == 'n')
        return mr_json_skip(&r->scan) && mr_json_end(&r->scan);
    if (!mr_json_array(&r->scan))
        return false;
    while (mr_json_element(&r->scan))
        if (!read_category(r))
            return false;
    return mr_json_end(&r->scan);
}

mr_status mr_lightgbm_categories_parse(const void *json, size_t size, mr_lightgbm_categories *out,
                                       mr_error *err)
{
    reader r = {0};
    mr_json_open(&r.scan, json, size, err);
    mr_status status = read_all(&r) ? MR_OK : r.scan.status;
    mr_bytes_deinit(&r.values);
    mr_bytes_deinit(&r.texts);
    mr_json_close(&r.scan);
    *out = (mr_lightgbm_categories){.count = (uint32_t)(r.list.size / sizeof(mr_lightgbm_category)),
                                    .list = (mr_lightgbm_category *)(void *)r.list.data};
    if (status != MR_OK)
        mr_lightgbm_categories_deinit(out);
    return status;
}

/* ---- codes ---- */

static int compare_text(mr_text text, const char *with)
{
    size_t size = strlen(with);
    int order = memcmp(text.bytes, with, MR_MIN(text.size, size));
    return order != 0 ? order : (text.size > size) - (text.size < size);
}

static double code_of_text(const mr_lightgbm_category *category, mr_text text)
{
    uint32_t low = 0, high = category->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = text.bytes == NULL ? -(int)(category->values[middle].text[0] != '\0')
                                       : compare_text(text, category->values[middle].text);
        if (order == 0)
            return category->values[middle].code;
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    return NAN;
}

static double code_of_number(const mr_lightgbm_category *category, double number)
{
    uint32_t low = 0, high = category->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (category->values[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < category->count && category->values[low].number == number
               ? (double)category->values[low].code
               : (double)NAN;
}

void mr_lightgbm_category_codes(const mr_lightgbm_category *category, const mr_column *column,
                                size_t first, size_t count, double *out)
{
    if (!category->is_text) {
        mr_model_convert64(column, first, count, out);
        for (size_t r = 0; r < count; r++)
            out[r] = code_of_number(category, out[r]);
        return;
    }
    for (size_t r = 0; r < count; r++)
        out[r] = mr_column_is_null(column, first + r)
                     ? NAN
                     : code_of_text(category, mr_column_text(column, first + r));
}
