/* reasons.c -- contributions to reasons: sum by group, choose, say. */
#include "model/reasons.h"

#include "base/assert.h"
#include "data/encoder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_ROWS       64
#define BLOCK_BYTES_MAX  (1u << 20)
#define CONTRIBUTION_MAX 32 /* characters */

/* An input or a group. */
typedef struct unit {
    const char *name;
    const char *text; /* NULL: none */
    bool is_group;
} unit;

struct mr_reasons {
    const mr_model *model;
    uint32_t count;
    mr_reasons_direction direction;
    double contribution_min;
    uint32_t unit_count; /* in the order of their first inputs */
    uint32_t *unit_of;   /* per input */
    unit *units;
    mr_arena arena;
};

bool mr_reasons_direction_parse(const char *text, mr_reasons_direction *out)
{
    static const char *const names[] = {"higher", "lower", "absolute"};
    for (size_t i = 0; i < MR_COUNT_OF(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (mr_reasons_direction)i;
            return true;
        }
    return false;
}

/* ---- birth ---- */

typedef struct making {
    mr_reasons *reasons;
    const mr_reasons_options *options;
    uint32_t *group_of; /* per input: 1 + group */
    mr_error *err;
} making;

static mr_status join_group(making *m, size_t group)
{
    const mr_reasons_group *from = &m->options->groups[group];
    for (size_t i = 0; i < from->member_count; i++) {
        int64_t input = mr_model_input_find(m->reasons->model, from->members[i]);
        if (input < 0 && m->options->lenient)
            continue;
        if (input < 0)
            return MR_FAIL(m->err, MR_INVALID, "reasons: group %s: the model has no input %s",
                           from->name, from->members[i]);
        if (m->group_of[input] != 0)
            return MR_FAIL(m->err, MR_INVALID,
                           "reasons: input %s stands in group %s and in group %s; one can hold it",
                           from->members[i], m->options->groups[m->group_of[input] - 1].name,
                           from->name);
        m->group_of[input] = (uint32_t)group + 1;
    }
    return MR_OK;
}

static uint32_t unit_named(const mr_reasons *reasons, const char *name, bool is_group)
{
    uint32_t i = 0;
    while (i < reasons->unit_count &&
           !(reasons->units[i].is_group == is_group && strcmp(reasons->units[i].name, name) == 0))
        i++;
    return i;
}

static mr_status make_units(making *m)
{
    mr_reasons *reasons = m->reasons;
    const mr_model_signature *signature = &reasons->model->signature;
    for (uint32_t i = 0; i < signature->input_count; i++) {
        uint32_t group = m->group_of[i];
        const char *name =
            group != 0 ? m->options->groups[group - 1].name : signature->input_names[i];
        uint32_t at = group != 0 ? unit_named(reasons, name, true) : reasons->unit_count;
        reasons->unit_of[i] = at;
        if (at < reasons->unit_count)
            continue;
        const char *kept = mr_arena_strdup(&reasons->arena, name);
        if (kept == NULL)
            return MR_OUT_OF_MEMORY(m->err);
        reasons->units[reasons->unit_count++] = (unit){.name = kept, .is_group = group != 0};
    }
    return MR_OK;
}

static mr_status give_texts(making *m)
{
    mr_reasons *reasons = m->reasons;
    for (size_t i = 0; i < m->options->text_count; i++) {
        const mr_reasons_text *from = &m->options->texts[i];
        uint32_t at = unit_named(reasons, from->name, true);
        if (at == reasons->unit_count)
            at = unit_named(reasons, from->name, false);
        if (at == reasons->unit_count && m->options->lenient)
            continue;
        if (at == reasons->unit_count)
            return MR_FAIL(m->err, MR_INVALID,
                           "reasons: there is a text for %s, which is no group and no input of the "
                           "model outside of groups",
                           from->name);
        reasons->units[at].text = mr_arena_strdup(&reasons->arena, from->text);
        if (reasons->units[at].text == NULL)
            return MR_OUT_OF_MEMORY(m->err);
    }
    return MR_OK;
}

static mr_status make(making *m)
{
    if (m->options->count < 1 || m->options->count > MR_REASONS_COUNT_MAX)
        return MR_FAIL(m->err, MR_INVALID, "reasons: %u of them; 1 to %d can be given",
                       m->options->count, MR_REASONS_COUNT_MAX);
    if (m->group_of == NULL || m->reasons->unit_of == NULL || m->reasons->units == NULL)
        return MR_OUT_OF_MEMORY(m->err);
    MR_TRY(mr_model_explain_prepare(m->reasons->model, m->err));
    for (size_t g = 0; g < m->options->group_count; g++)
        MR_TRY(join_group(m, g));
    MR_TRY(make_units(m));
    return give_texts(m);
}

mr_status mr_reasons_create(const mr_model *model, const mr_reasons_options *options,
                            mr_reasons **out, mr_error *err)
{
    uint32_t inputs = model->signature.input_count;
    mr_reasons *reasons = MR_NEW(mr_reasons);
    *out = NULL;
    if (reasons == NULL)
        return MR_OUT_OF_MEMORY(err);
    reasons->model = model;
    reasons->count = options->count;
    reasons->direction = options->direction;
    reasons->contribution_min = options->contribution_min;
    reasons->unit_of = mr_alloc_zero((size_t)inputs + 1, sizeof(uint32_t));
    reasons->units = mr_alloc_zero((size_t)inputs + 1, sizeof(unit));
    mr_arena_init(&reasons->arena, 0);
    making m = {reasons, options, mr_alloc_zero((size_t)inputs + 1, sizeof(uint32_t)), err};
    mr_status status = make(&m);
    mr_free(m.group_of);
    if (status != MR_OK) {
        mr_reasons_destroy(reasons);
        return status;
    }
    *out = reasons;
    return MR_OK;
}

void mr_reasons_destroy(mr_reasons *reasons)
{
    if (reasons == NULL)
        return;
    mr_free(reasons->unit_of);
    mr_free(reasons->units);
    mr_arena_deinit(&reasons->arena);
    mr_free(reasons);
}

/* ---- choosing ---- */

typedef struct reason {
    uint32_t unit, input; /* the member that weighs most */
    double contribution;
    double weight; /* towards the side asked for */
} reason;

static double weight_of(const mr_reasons *reasons, double contribution)
{
    return reasons->direction == MR_REASONS_HIGHER  ? contribution
           : reasons->direction == MR_REASONS_LOWER ? -contribution
                                                    : fabs(contribution);
}

/* The margin that won: the largest, the first of equals. */
static const double *winner(const mr_model_signature *signature, const double *row)
{
    size_t width = (size_t)signature->input_count + 1;
    const double *best = row;
    double best_sum = 0.0;
    for (uint32_t k = 0; k < signature->margin_count && signature->margin_count > 1; k++) {
        double sum = 0.0;
        for (size_t i = 0; i < width; i++)
            sum += row[k * width + i];
        if (k == 0 || sum > best_sum) {
            best = row + k * width;
            best_sum = sum;
        }
    }
    return best;
}

/* Contributions of inputs -> one candidate a unit. */
static void sum_units(const mr_reasons *reasons, const double *values, reason *candidates)
{
    for (uint32_t u = 0; u < reasons->unit_count; u++)
        candidates[u] = (reason){.unit = u, .input = UINT32_MAX};
    for (uint32_t i = 0; i < reasons->model->signature.input_count; i++) {
        reason *candidate = &candidates[reasons->unit_of[i]];
        candidate->contribution += values[i];
        if (candidate->input == UINT32_MAX ||
            weight_of(reasons, values[i]) > weight_of(reasons, values[candidate->input]))
            candidate->input = i;
    }
    for (uint32_t u = 0; u < reasons->unit_count; u++)
        candidates[u].weight = weight_of(reasons, candidates[u].contribution);
}

/* Puts the largest first; returns how many there are. Equal ones keep their order. */
static uint32_t choose(const mr_reasons *reasons, const reason *candidates, reason *out)
{
    uint32_t count = 0;
    for (uint32_t u = 0; u < reasons->unit_count; u++) {
        double weight = candidates[u].weight;
        if (!(weight > 0.0 && weight >= reasons->contribution_min))
            continue;
        uint32_t at = count < reasons->count ? count++ : reasons->count;
        for (; at > 0 && weight > out[at - 1].weight; at--)
            if (at < reasons->count)
                out[at] = out[at - 1];
        if (at < reasons->count)
            out[at] = candidates[u];
    }
    return count;
}

/* ---- saying ---- */

static bool is_missing(const mr_column *column, size_t row)
{
    if (mr_column_is_null(column, row))
        return true;
    return (column->type.id == MR_FLOAT64 && isnan(((const double *)column->values)[row])) ||
           (column->type.id == MR_FLOAT32 && isnan(((const float *)column->values)[row]));
}

static void write_plain(const mr_column *column, size_t row, mr_bytes *out)
{
    if (is_missing(column, row)) {
        mr_bytes_append_text(out, "missing");
    } else if (mr_type_is_text(column->type.id)) {
        mr_text text = mr_column_text(column, row);
        mr_bytes_append(out, text.bytes, text.size);
    } else {
        mr_encode_json_value(column, row, out);
    }
}

typedef struct speaker {
    const mr_reasons *reasons;
    const mr_binding *binding;
    const mr_column *columns;
    mr_bytes *out;
    mr_bytes text; /* the sentence being made */
    double *values;
    reason *candidates;
} speaker;

static size_t starts(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0 ? strlen(word) : 0;
}

static void fill_text(speaker *s, const char *text, const reason *r, const mr_column *column,
                      size_t row, const char *contribution)
{
    mr_bytes_clear(&s->text);
    while (*text != '\0') {
        size_t value = starts(text, "{value}"), feature = starts(text, "{feature}"),
               size = starts(text, "{contribution}");
        if (value > 0)
            write_plain(column, row, &s->text);
        else if (feature > 0)
            mr_bytes_append_text(&s->text, s->reasons->model->signature.input_names[r->input]);
        else if (size > 0)
            mr_bytes_append_text(&s->text, contribution);
        else
            mr_bytes_append_byte(&s->text, (uint8_t)*text);
        text += MR_MAX(value + feature + size, 1);
    }
}

static void append_json(mr_bytes *out, const char *text)
{
    mr_encode_json_text(text, strlen(text), out);
}

static void say(speaker *s, const reason *r, size_t row)
{
    const unit *u = &s->reasons->units[r->unit];
    const mr_column *column = &s->columns[mr_binding_fields(s->binding)[r->input]];
    char contribution[CONTRIBUTION_MAX];
    (void)snprintf(contribution, sizeof contribution, "%.6g", r->contribution);
    mr_bytes_append_text(s->out, "{\"reason\":");
    append_json(s->out, u->name);
    if (u->text != NULL) {
        fill_text(s, u->text, r, column, row, contribution);
        mr_bytes_append_text(s->out, ",\"text\":");
        mr_encode_json_text(s->text.data, s->text.size, s->out);
    }
    if (u->is_group) {
        mr_bytes_append_text(s->out, ",\"feature\":");
        append_json(s->out, s->reasons->model->signature.input_names[r->input]);
    }
    mr_bytes_append_text(s->out, ",\"value\":");
    if (is_missing(column, row))
        mr_bytes_append_text(s->out, "null");
    else
        mr_encode_json_value(column, row, s->out);
    mr_bytes_printf(s->out, ",\"contribution\":%s}", contribution);
}

static void say_row(speaker *s, const double *contributions, size_t row)
{
    reason chosen[MR_REASONS_COUNT_MAX];
    sum_units(s->reasons, winner(&s->reasons->model->signature, contributions), s->candidates);
    uint32_t count = choose(s->reasons, s->candidates, chosen);
    mr_bytes_append_byte(s->out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            mr_bytes_append_byte(s->out, ',');
        say(s, &chosen[i], row);
    }
    mr_bytes_append_byte(s->out, ']');
}

/* ---- rows ---- */

/* How many of the next rows stand side by side. */
static size_t run_of(const uint32_t *rows, size_t count, size_t max)
{
    size_t run = 1;
    while (run < count && run < max && (rows == NULL || rows[run] == rows[run - 1] + 1))
        run++;
    return run;
}

static mr_status write_rows(speaker *s, const uint32_t *rows, size_t count, size_t row_values,
                            size_t block, mr_scratch *scratch, size_t *ends, mr_error *err)
{
    for (size_t at = 0; at < count;) {
        size_t first = rows != NULL ? rows[at] : at;
        size_t run = run_of(rows != NULL ? rows + at : NULL, count - at, block);
        MR_TRY(mr_model_explain(s->reasons->model, s->binding, s->columns, first, run, s->values,
                                scratch, err));
        for (size_t r = 0; r < run; r++) {
            say_row(s, s->values + r * row_values, first + r);
            ends[at + r] = s->out->size;
        }
        at += run;
    }
    return s->out->failed || s->text.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

mr_status mr_reasons_write(const mr_reasons *reasons, const mr_binding *binding,
                           const mr_column *columns, const uint32_t *rows, size_t count,
                           mr_scratch *scratch, mr_bytes *out, size_t *ends, mr_error *err)
{
    const mr_model_signature *signature = &reasons->model->signature;
    size_t row_values = signature->margin_count * ((size_t)signature->input_count + 1);
    size_t block = MR_MAX(MR_MIN(BLOCK_BYTES_MAX / (row_values * sizeof(double)), BLOCK_ROWS), 1);
    speaker s = {.reasons = reasons, .binding = binding, .columns = columns, .out = out};
    s.values = mr_alloc(block * row_values * sizeof *s.values);
    s.candidates = mr_alloc(((size_t)reasons->unit_count + 1) * sizeof *s.candidates);
    mr_status status = s.values != NULL && s.candidates != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = write_rows(&s, rows, count, row_values, block, scratch, ends, err);
    mr_bytes_deinit(&s.text);
    mr_free(s.values);
    mr_free(s.candidates);
    return status;
}

/* ---- as a column ---- */

static void fill_column(const mr_text *texts, size_t count, uint8_t *bytes, int32_t *ends,
                        uint8_t *valid)
{
    ends[0] = 0;
    for (size_t r = 0; r < count; r++) {
        if (texts[r].bytes != NULL) {
            memcpy(bytes + ends[r], texts[r].bytes, texts[r].size);
            mr_bit_set(valid, r);
        }
        ends[r + 1] = ends[r] + (texts[r].bytes != NULL ? (int32_t)texts[r].size : 0);
    }
}

mr_status mr_reasons_column(const mr_text *texts, size_t count, mr_column *out, mr_error *err)
{
    size_t total = 0;
    for (size_t r = 0; r < count; r++)
        total += texts[r].bytes != NULL ? texts[r].size : 0;
    if (total > INT32_MAX)
        return MR_FAIL(err, MR_FULL, "%zu bytes of reasons in one batch; ask for fewer", total);
    mr_buffer *bytes = mr_buffer_create(MR_MAX(total, 1));
    mr_buffer *ends = mr_buffer_create((count + 1) * sizeof(int32_t));
    mr_buffer *valid = mr_buffer_create(MR_MAX(mr_bitmap_bytes(count), 1));
    if (bytes == NULL || ends == NULL || valid == NULL) {
        mr_buffer_release(bytes);
        mr_buffer_release(ends);
        mr_buffer_release(valid);
        return MR_OUT_OF_MEMORY(err);
    }
    memset(valid->bytes, 0, mr_bitmap_bytes(count));
    fill_column(texts, count, bytes->bytes, (int32_t *)(void *)ends->bytes, valid->bytes);
    *out = (mr_column){.type = {MR_STRING, 0},
                       .values = bytes->bytes,
                       .offsets = (const int32_t *)(void *)ends->bytes,
                       .owners = {NULL, bytes, ends}};
    mr_column_set_validity(out, valid, count);
    return MR_OK;
}
