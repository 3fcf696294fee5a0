/* train_rows.c -- a batch as the library wants it: ordered by time, cut in two, float32 row by row. */
#include "model/train_internal.h"

#include "base/assert.h"
#include "base/number.h"
#include "base/time.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- columns by name ---- */

static const char *field_name(const void *context, size_t i)
{
    return ((const mr_schema *)context)->fields[i].name;
}

static bool is_usable(const mr_field *field)
{
    return field->type.id == MR_BOOL || mr_type_is_number(field->type.id);
}

static mr_status find_column(const trainer *t, const char *what, const char *name, int *out,
                             mr_error *err)
{
    const mr_schema *schema = t->rows->batch->schema;
    *out = mr_schema_find(schema, name);
    if (*out < 0) {
        const char *closest = mr_setting_closest(name, field_name, schema, schema->field_count);
        return MR_FAIL(err, MR_INVALID, "%s '%s' is no column%s%s%s", what, name,
                       closest != NULL ? "; did you mean '" : "", closest != NULL ? closest : "",
                       closest != NULL ? "'?" : "");
    }
    const mr_field *field = &schema->fields[*out];
    char type[32];
    if (!is_usable(field) && field->type.id != MR_TIMESTAMP)
        return MR_FAIL(err, MR_INVALID, "%s '%s' is a %s: a number is wanted", what, name,
                       mr_type_format(field->type, type));
    return MR_OK;
}

static mr_status list_given(trainer *t, mr_error *err)
{
    for (size_t i = 0; i < t->rows->input_count; i++) {
        int field;
        MR_TRY(find_column(t, "input", t->rows->inputs[i], &field, err));
        for (uint32_t k = 0; k < t->input_count; k++)
            if (t->inputs[k] == (uint32_t)field)
                return MR_FAIL(err, MR_INVALID, "input '%s' is given twice", t->rows->inputs[i]);
        if (field == mr_schema_find(t->rows->batch->schema, t->rows->label))
            return MR_FAIL(err, MR_INVALID, "'%s' is the label: it cannot be an input",
                           t->rows->label);
        t->inputs[t->input_count++] = (uint32_t)field;
    }
    return MR_OK;
}

static bool is_named(const char *name, const char *other)
{
    return other != NULL && strcmp(name, other) == 0;
}

static void list_all(trainer *t)
{
    const mr_schema *schema = t->rows->batch->schema;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const char *name = schema->fields[i].name;
        if (is_usable(&schema->fields[i]) && !is_named(name, t->rows->label) &&
            !is_named(name, t->rows->weight) && !is_named(name, t->rows->time))
            t->inputs[t->input_count++] = i;
    }
}

static mr_status list_inputs(trainer *t, mr_error *err)
{
    size_t most = MR_MAX(t->rows->input_count, (size_t)t->rows->batch->schema->field_count);
    t->inputs = mr_alloc(sizeof *t->inputs * most);
    if (t->inputs == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (t->rows->inputs != NULL)
        MR_TRY(list_given(t, err));
    else
        list_all(t);
    if (t->input_count == 0)
        return MR_FAIL(err, MR_INVALID, "there is no input column");
    return MR_OK;
}

/* ---- order and cut ---- */

typedef struct moment {
    double time;
    uint32_t row;
} moment;

static int by_time(const void *a, const void *b)
{
    const moment *left = a, *right = b;
    if (left->time != right->time)
        return left->time < right->time ? -1 : 1;
    return (left->row > right->row) - (left->row < right->row);
}

/* Integers up to 2^53 are exact as doubles: microseconds of the next 250 years. */
static double time_at(const mr_column *column, size_t row)
{
    switch (column->type.id) {
    case MR_TIMESTAMP:
    case MR_INT64:
        return (double)((const int64_t *)column->values)[row];
    case MR_INT32:
        return (double)((const int32_t *)column->values)[row];
    case MR_FLOAT64:
        return ((const double *)column->values)[row];
    default: {
        float value;
        mr_model_convert(column, row, 1, &value);
        return (double)value;
    }
    }
}

static mr_status order_rows(const trainer *t, moment *order, mr_error *err)
{
    size_t count = t->rows->batch->row_count;
    int field;
    for (size_t r = 0; r < count; r++)
        order[r] = (moment){(double)r, (uint32_t)r};
    if (t->rows->time == NULL)
        return MR_OK;
    MR_TRY(find_column(t, "time", t->rows->time, &field, err));
    const mr_column *column = &t->rows->batch->columns[field];
    for (size_t r = 0; r < count; r++) {
        order[r].time = time_at(column, r);
        if (mr_column_is_null(column, r) || isnan(order[r].time))
            return MR_FAIL(err, MR_INVALID, "row %zu has no %s: rows cannot be ordered", r,
                           t->rows->time);
    }
    qsort(order, count, sizeof *order, by_time);
    return MR_OK;
}

/* ISO 8601 means microseconds, which only a timestamp column counts in. */
static mr_status parse_moment(const trainer *t, const char *text, double *out, mr_error *err)
{
    const mr_schema *schema = t->rows->batch->schema;
    int field = mr_schema_find(schema, t->rows->time);
    int64_t us;
    if (mr_number_is_float64(text, strlen(text), out))
        return MR_OK;
    if (!mr_time_parse(text, strlen(text), false, &us, NULL, NULL))
        return MR_FAIL(err, MR_INVALID,
                       "validation_from '%s' is neither a number nor an ISO 8601 time", text);
    *out = (double)us;
    return schema->fields[field].type.id == MR_TIMESTAMP
               ? MR_OK
               : MR_FAIL(err, MR_INVALID,
                         "validation_from '%s' is a time, and '%s' a number: give a number", text,
                         t->rows->time);
}

/* How many rows, from the first, train. */
static mr_status cut_rows(trainer *t, const moment *order, size_t *out, mr_error *err)
{
    size_t count = t->rows->batch->row_count;
    const char *from = mr_train_text(t->options, "validation_from");
    double fraction = mr_train_number(t->options, "validation_fraction"), start;
    *out = count - (size_t)floor((double)count * fraction);
    (void)snprintf(t->cut, sizeof t->cut, "the latest %g of the rows validate", fraction);
    if (from != NULL) {
        if (t->rows->time == NULL)
            return MR_FAIL(err, MR_INVALID, "validation_from needs a time column");
        MR_TRY(parse_moment(t, from, &start, err));
        for (*out = 0; *out < count && order[*out].time < start;)
            (*out)++;
        (void)snprintf(t->cut, sizeof t->cut, "rows from %.40s on validate", from);
    }
    if (*out == 0)
        return MR_FAIL(err, MR_INVALID, "no rows to train on: %zu rows, %zu of them validate",
                       count, count - *out);
    return MR_OK;
}

/* ---- matrices ---- */

static mr_status alloc_part(const trainer *t, train_part *part, size_t count, mr_error *err)
{
    uint64_t cells = (uint64_t)count * t->input_count;
    part->count = count;
    if (count == 0)
        return MR_OK;
    if (cells > MR_TRAIN_CELLS_MAX)
        return MR_FAIL(err, MR_FULL, "%zu rows of %u inputs: at most %llu values are supported",
                       count, t->input_count, (unsigned long long)MR_TRAIN_CELLS_MAX);
    part->values = mr_alloc(sizeof(float) * cells);
    part->labels = mr_alloc(sizeof(float) * count);
    part->flags = mr_alloc(count);
    part->weights = t->rows->weight != NULL ? mr_alloc(sizeof(float) * count) : NULL;
    bool whole = part->values != NULL && part->labels != NULL && part->flags != NULL &&
                 (t->rows->weight == NULL || part->weights != NULL);
    return whole ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* One column of the batch into column `k` of a matrix with `stride` columns, both parts. */
static void scatter(trainer *t, const mr_column *column, const moment *order, float *all,
                    uint32_t k, bool is_label, bool is_weight)
{
    size_t count = t->rows->batch->row_count;
    mr_model_convert(column, 0, count, all);
    for (size_t r = 0; r < count; r++) {
        bool first = r < t->parts[0].count;
        train_part *part = &t->parts[first ? 0 : 1];
        size_t at = first ? r : r - t->parts[0].count;
        float value = all[order[r].row];
        if (is_label)
            part->labels[at] = value;
        else if (is_weight)
            part->weights[at] = value;
        else
            part->values[at * t->input_count + k] = value;
    }
}

static mr_status check_labels(const trainer *t, const train_part *part, const moment *order,
                              size_t first, mr_error *err)
{
    for (size_t r = 0; r < part->count; r++) {
        float label = part->labels[r];
        part->flags[r] = label != 0.0f;
        bool good = isfinite(label) && (!t->is_binary || label == 0.0f || label == 1.0f) &&
                    (t->class_count == 0 ||
                     (label >= 0.0f && label < (float)t->class_count && label == floorf(label)));
        if (!good)
            return MR_FAIL(err, MR_INVALID, "row %u: the label '%s' is %g; %s wants %s",
                           order[first + r].row, t->rows->label, (double)label,
                           mr_train_text(t->options, "objective"),
                           t->is_binary         ? "0 or 1"
                           : t->class_count > 0 ? "a class number below num_class"
                                                : "a finite number");
    }
    return MR_OK;
}

static mr_status make_matrix(const trainer *t, train_part *part, mr_error *err)
{
    if (part->count == 0)
        return MR_OK;
    MR_TRY(mr_xgboost_library_check(t->library,
                                    t->library->XGDMatrixCreateFromMat(part->values, part->count,
                                                                       t->input_count, NAN,
                                                                       &part->matrix),
                                    "data", err));
    MR_TRY(mr_xgboost_library_check(
        t->library,
        t->library->XGDMatrixSetFloatInfo(part->matrix, "label", part->labels, part->count),
        "labels", err));
    return part->weights == NULL
               ? MR_OK
               : mr_xgboost_library_check(t->library,
                                          t->library->XGDMatrixSetFloatInfo(
                                              part->matrix, "weight", part->weights, part->count),
                                          "weights", err);
}

static mr_status fill_parts(trainer *t, const moment *order, mr_error *err)
{
    const mr_batch *batch = t->rows->batch;
    int label, weight = -1;
    MR_TRY(find_column(t, "label", t->rows->label, &label, err));
    if (t->rows->weight != NULL)
        MR_TRY(find_column(t, "weight", t->rows->weight, &weight, err));
    float *all = mr_alloc(sizeof *all * batch->row_count);
    if (all == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < t->input_count; i++)
        scatter(t, &batch->columns[t->inputs[i]], order, all, i, false, false);
    scatter(t, &batch->columns[label], order, all, 0, true, false);
    if (weight >= 0)
        scatter(t, &batch->columns[weight], order, all, 0, false, true);
    mr_free(all);
    for (size_t i = 0, first = 0; i < 2; first += t->parts[i++].count) {
        MR_TRY(check_labels(t, &t->parts[i], order, first, err));
        MR_TRY(make_matrix(t, &t->parts[i], err));
    }
    return MR_OK;
}

mr_status mr_train_load(trainer *t, mr_error *err)
{
    size_t count = t->rows->batch->row_count, train_count;
    const char *objective = mr_train_text(t->options, "objective");
    t->is_binary = strncmp(objective, "binary:", 7) == 0;
    t->class_count = (uint32_t)mr_train_number(t->options, "num_class");
    MR_TRY(list_inputs(t, err));
    moment *order = mr_alloc(sizeof *order * (count + 1));
    if (order == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = order_rows(t, order, err);
    if (status == MR_OK)
        status = cut_rows(t, order, &train_count, err);
    if (status == MR_OK)
        status = alloc_part(t, &t->parts[0], train_count, err);
    if (status == MR_OK)
        status = alloc_part(t, &t->parts[1], count - train_count, err);
    if (status == MR_OK)
        status = fill_parts(t, order, err);
    mr_free(order);
    return status;
}

void mr_train_unload(trainer *t)
{
    if (t->booster != NULL)
        (void)t->library->XGBoosterFree(t->booster);
    for (size_t i = 0; i < 2; i++) {
        if (t->parts[i].matrix != NULL)
            (void)t->library->XGDMatrixFree(t->parts[i].matrix);
        mr_free(t->parts[i].values);
        mr_free(t->parts[i].labels);
        mr_free(t->parts[i].weights);
        mr_free(t->parts[i].flags);
    }
    mr_free(t->inputs);
}
