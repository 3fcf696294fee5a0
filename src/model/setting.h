/* setting.h -- settings as tables: name, type, default, range, one sentence.
 *
 * A model family, a trainer, anything that takes name=value pairs lists them in one table.
 * Checking, error messages, help and the reference page all come from it. To add a setting, add a
 * row. */
#ifndef MR_MODEL_SETTING_H
#define MR_MODEL_SETTING_H

#include "base/status.h"

#include <stddef.h>

typedef enum mr_setting_type {
    MR_SETTING_INT,
    MR_SETTING_NUMBER,
    MR_SETTING_CHOICE, /* one of `choices` */
    MR_SETTING_TEXT,
} mr_setting_type;

typedef struct mr_setting_spec {
    const char *name; /* NULL ends the table */
    mr_setting_type type;
    const char *initial;  /* the default as text; NULL: none */
    double min, max;      /* of numbers, inclusive */
    const char *choices;  /* "auto|plain|avx2" */
    const char *sentence; /* for help and reference, no full stop */
} mr_setting_spec;

/* One name=value pair as its user wrote it. */
typedef struct mr_setting {
    const char *name;
    const char *value;
} mr_setting;

/* Every pair names a row of the table and has a value in its range; else MR_INVALID saying what
 * would be right. With `allow_unknown` names that are not in the table pass (they are someone
 * else's to check). */
mr_status mr_setting_check(const mr_setting_spec *table, const mr_setting *settings, size_t count,
                           bool allow_unknown, mr_error *err);
const mr_setting_spec *mr_setting_find(const mr_setting_spec *table, const char *name);
/* The last value given, or the table's default. The settings have been checked. */
const char *mr_setting_text(const mr_setting_spec *table, const mr_setting *settings, size_t count,
                            const char *name);
double mr_setting_number(const mr_setting_spec *table, const mr_setting *settings, size_t count,
                         const char *name);
int64_t mr_setting_int(const mr_setting_spec *table, const mr_setting *settings, size_t count,
                       const char *name);

/* The name closest to `wanted` by edit distance (Levenshtein 1966), NULL when none is near: for
 * "did you mean". `get(context, i)` gives the i-th candidate. */
const char *mr_setting_closest(const char *wanted,
                               const char *(*get)(const void *context, size_t i),
                               const void *context, size_t count);

#endif
