/* setting.c -- checks name=value pairs against a table, and says what would be right. */
#include "model/setting.h"

#include "base/assert.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 64 /* longer names are compared by their beginning */

const mr_setting_spec *mr_setting_find(const mr_setting_spec *table, const char *name)
{
    for (const mr_setting_spec *spec = table; spec != NULL && spec->name != NULL; spec++)
        if (strcmp(spec->name, name) == 0)
            return spec;
    return NULL;
}

static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES_MAX + 1];
    size_t a_size = strnlen(a, NAME_BYTES_MAX), b_size = strnlen(b, NAME_BYTES_MAX);
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t replace = diagonal + ((a[i - 1] | 0x20) != (b[j - 1] | 0x20));
            diagonal = row[j];
            row[j] = MR_MIN(replace, MR_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_size];
}

const char *mr_setting_closest(const char *wanted,
                               const char *(*get)(const void *context, size_t i),
                               const void *context, size_t count)
{
    const char *best = NULL;
    size_t best_distance = strnlen(wanted, NAME_BYTES_MAX) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        const char *candidate = get(context, i);
        size_t distance = edit_distance(wanted, candidate);
        if (distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

static const char *spec_name(const void *context, size_t i)
{
    return ((const mr_setting_spec *)context)[i].name;
}

static mr_status refuse_unknown(const mr_setting_spec *table, const char *name, mr_error *err)
{
    size_t count = 0;
    while (table[count].name != NULL)
        count++;
    const char *closest = mr_setting_closest(name, spec_name, table, count);
    return MR_FAIL(err, MR_INVALID, "no setting is called '%s'%s%s%s", name,
                   closest != NULL ? "; did you mean '" : "", closest != NULL ? closest : "",
                   closest != NULL ? "'?" : "");
}

static bool is_choice(const char *choices, const char *value)
{
    size_t size = strlen(value);
    for (const char *at = choices; size > 0 && at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, value, size) == 0 && (at[size] == '|' || at[size] == '\0'))
            return true;
    }
    return false;
}

static mr_status check_value(const mr_setting_spec *spec, const char *value, mr_error *err)
{
    if (spec->type == MR_SETTING_TEXT)
        return MR_OK;
    if (spec->type == MR_SETTING_CHOICE)
        return is_choice(spec->choices, value)
                   ? MR_OK
                   : MR_FAIL(err, MR_INVALID, "%s is '%s': it must be one of %s", spec->name, value,
                             spec->choices);
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || isnan(number))
        return MR_FAIL(err, MR_INVALID, "%s is '%s': a number is wanted", spec->name, value);
    if (spec->type == MR_SETTING_INT && number != nearbyint(number))
        return MR_FAIL(err, MR_INVALID, "%s is %s: a whole number is wanted", spec->name, value);
    if (number < spec->min || number > spec->max)
        return MR_FAIL(err, MR_INVALID, "%s is %s: it must lie between %.15g and %.15g", spec->name,
                       value, spec->min, spec->max);
    return MR_OK;
}

mr_status mr_setting_check(const mr_setting_spec *table, const mr_setting *settings, size_t count,
                           bool allow_unknown, mr_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const mr_setting_spec *spec = mr_setting_find(table, settings[i].name);
        if (spec != NULL)
            MR_TRY(check_value(spec, settings[i].value, err));
        else if (!allow_unknown)
            return refuse_unknown(table, settings[i].name, err);
    }
    return MR_OK;
}

const char *mr_setting_text(const mr_setting_spec *table, const mr_setting *settings, size_t count,
                            const char *name)
{
    for (size_t i = count; i-- > 0;)
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].value;
    const mr_setting_spec *spec = mr_setting_find(table, name);
    MR_ASSERT(spec != NULL);
    return spec->initial;
}

double mr_setting_number(const mr_setting_spec *table, const mr_setting *settings, size_t count,
                         const char *name)
{
    const char *text = mr_setting_text(table, settings, count, name);
    return text != NULL ? strtod(text, NULL) : 0.0;
}

int64_t mr_setting_int(const mr_setting_spec *table, const mr_setting *settings, size_t count,
                       const char *name)
{
    return (int64_t)mr_setting_number(table, settings, count, name);
}
