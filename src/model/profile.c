/* profile.c -- one sort a column gives all of its profile. */
#include "model/profile.h"

#include "base/assert.h"
#include "base/number.h"
#include "data/encoder.h"
#include "model/json_scan.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void put_number(mr_bytes *out, double value)
{
    char text[MR_NUMBER_TEXT_MAX];
    if (isfinite(value))
        mr_bytes_append(out, text, mr_number_format_float64(value, text));
    else
        mr_bytes_printf(out, "\"%s\"", isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
}

static void put_member(mr_bytes *out, const char *name, double value)
{
    mr_bytes_printf(out, ",\"%s\":", name);
    put_number(out, value);
}

/* Two passes over sorted values: the same whatever the order of the rows. */
static void put_moments(const double *values, size_t count, mr_bytes *out)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    put_member(out, "mean", mean);
    put_member(out, "stddev", count > 1 ? sqrt(squares / (double)(count - 1)) : 0);
    put_member(out, "min", values[0]);
    put_member(out, "max", values[count - 1]);
}

static double at_rank(const double *values, size_t count, double q)
{
    size_t rank = (size_t)ceil(q * (double)count);
    return values[rank > 0 ? MR_MIN(rank, count) - 1 : 0];
}

static void put_quantiles(const double *values, size_t count, mr_bytes *out)
{
    static const double at[] = {0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99};
    mr_bytes_append_text(out, ",\"quantiles\":[");
    for (size_t i = 0; i < MR_COUNT_OF(at); i++) {
        mr_bytes_printf(out, "%s[%g,", i > 0 ? "," : "", at[i]);
        put_number(out, at_rank(values, count, at[i]));
        mr_bytes_append_byte(out, ']');
    }
    mr_bytes_append_byte(out, ']');
}

static void put_bins(const double *values, size_t count, mr_bytes *out)
{
    size_t done = 0;
    mr_bytes_append_text(out, ",\"bins\":[");
    for (size_t bin = 1; bin <= MR_PROFILE_BINS_MAX && done < count; bin++) {
        size_t end = bin * count / MR_PROFILE_BINS_MAX;
        if (end <= done)
            continue;
        double edge = values[end - 1];
        while (end < count && values[end] <= edge)
            end++;
        mr_bytes_append_text(out, done > 0 ? ",[" : "[");
        put_number(out, edge);
        mr_bytes_printf(out, ",%zu]", end - done);
        done = end;
    }
    mr_bytes_append_byte(out, ']');
}

static mr_status put_numbers(const mr_column *column, size_t rows, mr_bytes *out, mr_error *err)
{
    double *values = mr_alloc(MR_MAX(rows, 1) * sizeof *values);
    size_t count = 0;
    if (values == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_model_convert64(column, 0, rows, values);
    for (size_t i = 0; i < rows; i++)
        if (!isnan(values[i]))
            values[count++] = values[i];
    mr_bytes_printf(out, ",\"count\":%zu,\"nulls\":%zu", count, rows - count);
    if (count > 0) {
        qsort(values, count, sizeof *values, by_value);
        put_moments(values, count, out);
        put_quantiles(values, count, out);
        put_bins(values, count, out);
    }
    mr_free(values);
    return MR_OK;
}

/* ---- texts ---- */

typedef struct text_count {
    mr_text text;
    size_t count;
} text_count;

static int by_text(const void *a, const void *b)
{
    const mr_text *x = a, *y = b;
    size_t shorter = MR_MIN(x->size, y->size);
    int order = shorter > 0 ? memcmp(x->bytes, y->bytes, shorter) : 0;
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

/* Most frequent first, then by text. */
static int by_count(const void *a, const void *b)
{
    const text_count *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
                                : by_text(&x->text, &y->text);
}

/* Equal neighbours become one entry. */
static size_t count_texts(const mr_text *texts, size_t count, text_count *out)
{
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || by_text(&texts[i - 1], &texts[i]) != 0)
            out[distinct++] = (text_count){texts[i], 0};
        out[distinct - 1].count++;
    }
    return distinct;
}

static void put_top(const text_count *top, size_t distinct, mr_bytes *out)
{
    mr_bytes_printf(out, ",\"distinct\":%zu,\"top\":[", distinct);
    for (size_t i = 0; i < MR_MIN(distinct, (size_t)MR_PROFILE_TOP_MAX); i++) {
        mr_bytes_append_text(out, i > 0 ? ",[" : "[");
        mr_encode_json_text(top[i].text.bytes, top[i].text.size, out);
        mr_bytes_printf(out, ",%zu]", top[i].count);
    }
    mr_bytes_append_byte(out, ']');
}

static mr_status put_texts(const mr_column *column, size_t rows, mr_bytes *out, mr_error *err)
{
    mr_text *texts = mr_alloc_zero(MR_MAX(rows, 1), sizeof *texts);
    text_count *counts = mr_alloc_zero(MR_MAX(rows, 1), sizeof *counts);
    mr_status status = texts != NULL && counts != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK) {
        size_t count = 0;
        for (size_t i = 0; i < rows; i++)
            if (!mr_column_is_null(column, i))
                texts[count++] = mr_column_text(column, i);
        qsort(texts, count, sizeof *texts, by_text);
        size_t distinct = count_texts(texts, count, counts);
        qsort(counts, distinct, sizeof *counts, by_count);
        mr_bytes_printf(out, ",\"count\":%zu,\"nulls\":%zu", count, rows - count);
        put_top(counts, distinct, out);
    }
    mr_free(texts);
    mr_free(counts);
    return status;
}

mr_status mr_profile_column(const char *name, const mr_column *column, size_t rows, mr_bytes *out,
                            mr_error *err)
{
    char type[32];
    mr_bytes_append_text(out, "{\"name\":");
    mr_encode_json_text(name, strlen(name), out);
    mr_bytes_printf(out, ",\"type\":\"%s\"", mr_type_format(column->type, type));
    mr_status status = MR_OK;
    if (column->type.id == MR_STRING)
        status = put_texts(column, rows, out, err);
    else if (column->type.id != MR_BYTES && column->type.id != MR_VECTOR)
        status = put_numbers(column, rows, out, err);
    mr_bytes_append_byte(out, '}');
    return status == MR_OK && out->failed ? MR_OUT_OF_MEMORY(err) : status;
}

/* ---- reading ---- */

static void read_double(mr_json_scan *scan, double *out)
{
    const char *text;
    size_t size;
    if (mr_json_peek(scan) == '"') {
        if (mr_json_string(scan, &text))
            *out = strcmp(text, "Infinity") == 0    ? INFINITY
                   : strcmp(text, "-Infinity") == 0 ? -INFINITY
                                                    : NAN;
        return;
    }
    const char *start = (const char *)scan->next;
    if (mr_json_skip(
            scan)) { /* the number's own text: the scanner itself reads floats of 32 bits */
        while (start < (const char *)scan->next && strchr(" \t\r\n:,", *start) != NULL)
            start++;
        size = (size_t)((const char *)scan->next - start);
        if (mr_number_parse_float64(start, size, out, NULL) != MR_NUMBER_OK)
            (void)mr_json_fail(scan, MR_INVALID, "a number is wanted");
    }
}

static void read_count(mr_json_scan *scan, uint64_t *out)
{
    int64_t value = 0;
    if (mr_json_int(scan, &value))
        *out = value > 0 ? (uint64_t)value : 0;
}

static void read_bins(mr_json_scan *scan, mr_profile_feature *out)
{
    if (!mr_json_array(scan))
        return;
    while (mr_json_element(scan)) {
        if (out->bin_count == MR_PROFILE_BINS_MAX) {
            (void)mr_json_fail(scan, MR_INVALID, "more than %d bins", MR_PROFILE_BINS_MAX);
            return;
        }
        mr_profile_bin *bin = &out->bins[out->bin_count++];
        if (mr_json_array(scan) && mr_json_element(scan))
            read_double(scan, &bin->edge);
        if (mr_json_element(scan))
            read_count(scan, &bin->count);
        (void)mr_json_element(scan);
    }
}

static void read_feature(mr_json_scan *scan, mr_profile_feature *out)
{
    const char *key, *text;
    *out = (mr_profile_feature){0};
    if (!mr_json_object(scan))
        return;
    while (mr_json_key(scan, &key)) {
        if (strcmp(key, "name") == 0 && mr_json_string(scan, &text))
            (void)snprintf(out->name, sizeof out->name, "%s", text);
        else if (strcmp(key, "count") == 0)
            read_count(scan, &out->count);
        else if (strcmp(key, "nulls") == 0)
            read_count(scan, &out->nulls);
        else if (strcmp(key, "mean") == 0)
            read_double(scan, &out->mean);
        else if (strcmp(key, "stddev") == 0)
            read_double(scan, &out->stddev);
        else if (strcmp(key, "min") == 0)
            read_double(scan, &out->min);
        else if (strcmp(key, "max") == 0)
            read_double(scan, &out->max);
        else if (strcmp(key, "bins") == 0)
            read_bins(scan, out);
        else
            (void)mr_json_skip(scan);
    }
}

static bool find_in_list(mr_json_scan *scan, const char *name, mr_profile_feature *out)
{
    bool found = false;
    mr_profile_feature *feature = MR_NEW(mr_profile_feature);
    if (feature == NULL)
        return mr_json_fail(scan, MR_NO_MEMORY, "out of memory");
    if (mr_json_array(scan))
        while (mr_json_element(scan)) {
            read_feature(scan, feature);
            if (!found && (name == NULL || strcmp(name, feature->name) == 0)) {
                *out = *feature;
                found = true;
            }
        }
    mr_free(feature);
    return found;
}

mr_status mr_profile_find(const void *json, size_t size, const char *list, const char *name,
                          mr_profile_feature *out, mr_error *err)
{
    mr_json_scan scan;
    const char *key;
    bool found = false;
    if (mr_json_is_binary(json, size))
        return MR_FAIL(err, MR_INVALID, "a profile is JSON text");
    mr_json_open(&scan, json, size, err);
    if (mr_json_object(&scan))
        while (mr_json_key(&scan, &key)) {
            if (strcmp(key, list) == 0)
                found = find_in_list(&scan, name, out) || found;
            else
                (void)mr_json_skip(&scan);
        }
    (void)mr_json_end(&scan);
    mr_status status = scan.status;
    mr_json_close(&scan);
    if (status != MR_OK || found)
        return status;
    return MR_FAIL(err, MR_NOT_FOUND, "the profile has no %s%s%s", list,
                   name != NULL ? " called " : "", name != NULL ? name : "");
}
