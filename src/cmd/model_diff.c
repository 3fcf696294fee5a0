/* model_diff.c -- `millrace model diff`: two versions by what they say, and by what they do to the same rows. */
#include "cmd/ingest.h"
#include "cmd/model_session.h"
#include "cmd/rows.h"
#include "cmd/source.h"
#include "cmd/verb.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/artifact.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORTANCE_ROWS_MAX  4096
#define IMPORTANCE_SHOWN_MAX 20

typedef struct diff {
    mr_session *session;
    mr_model_session models;
    mr_registry_ref refs[2];
    mr_model *opened[2];
    mr_batch *sample;
    double *scores[2]; /* first output, row by row */
    mr_list thresholds;
    mr_bytes line;
    uint64_t facts;
} diff;

/* ---- what they say ---- */

static mr_status show_fact(void *context, const char *path, const char *a, const char *b,
                           mr_error *err)
{
    diff *self = context;
    mr_output *out = &self->session->out;
    const char *name = strncmp(path, "$.", 2) == 0 ? path + 2 : path;
    self->facts++;
    if (self->session->json) {
        mr_bytes_append_text(&self->line, "{\"differs\":\"fact\"");
        mr_model_json_text(&self->line, "path", name);
        if (a != NULL)
            mr_model_json_text(&self->line, "a", a);
        if (b != NULL)
            mr_model_json_text(&self->line, "b", b);
        return mr_model_json_end(self->session, &self->line, err);
    }
    mr_output_printf(out, "  %-40s %s -> %s\n", name, a != NULL ? a : "(nothing)",
                     b != NULL ? b : "(nothing)");
    return MR_OK;
}

static mr_status show_facts(diff *self, mr_error *err)
{
    if (!self->session->json)
        mr_output_printf(&self->session->out, "%s/%" PRIu64 " -> %s/%" PRIu64 "\n",
                         self->refs[0].name, self->refs[0].version, self->refs[1].name,
                         self->refs[1].version);
    MR_TRY(mr_registry_compare(self->models.registry, &self->refs[0], &self->refs[1], show_fact,
                               self, err));
    if (self->facts == 0 && !self->session->json)
        mr_output_text(&self->session->out, "  they say the same of themselves\n");
    return MR_OK;
}

/* ---- the sample ---- */

/* The inputs of both models; where both have one, the first one's type. */
static mr_status sample_schema(const diff *self, mr_schema **out, mr_error *err)
{
    mr_schema *inputs[2] = {NULL, NULL};
    mr_status status = mr_artifact_inputs(self->opened[0], &inputs[0], err);
    if (status == MR_OK)
        status = mr_artifact_inputs(self->opened[1], &inputs[1], err);
    mr_field *fields = NULL;
    size_t count = 0;
    if (status == MR_OK) {
        fields = mr_alloc_zero(inputs[0]->field_count + inputs[1]->field_count, sizeof *fields);
        status = fields != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    }
    for (size_t m = 0; status == MR_OK && m < 2; m++)
        for (uint32_t i = 0; i < inputs[m]->field_count; i++)
            if (m == 0 || mr_schema_find(inputs[0], inputs[1]->fields[i].name) < 0)
                fields[count++] = inputs[m]->fields[i];
    if (status == MR_OK)
        status = mr_schema_create(fields, count, out, err);
    mr_free(fields);
    mr_schema_release(inputs[0]);
    mr_schema_release(inputs[1]);
    return status;
}

static mr_status read_sample(diff *self, const char *source, mr_error *err)
{
    uint64_t refused = 0;
    mr_rows_options options = {.from_us = INT64_MIN, .until_us = INT64_MAX};
    if (mr_source_is_file(source))
        MR_TRY(sample_schema(self, &options.schema, err));
    mr_status status = mr_rows_read(self->session, source, &options, &self->sample, &refused, err);
    mr_schema_release(options.schema);
    return status;
}

/* Binds once, and asks for scores or contributions. */
typedef struct asked_model {
    mr_binding *binding;
    mr_scratch *scratch;
} asked_model;

static mr_status prepare(const diff *self, size_t m, asked_model *out, mr_error *err)
{
    MR_TRY(mr_model_bind(self->opened[m], self->sample->schema, &out->binding, err));
    return mr_scratch_create(self->opened[m], &out->scratch, err);
}

static void finish(asked_model *out)
{
    mr_binding_destroy(out->binding);
    mr_scratch_destroy(out->scratch);
}

static mr_status score(diff *self, size_t m, mr_error *err)
{
    const mr_model_signature *signature = &self->opened[m]->signature;
    size_t rows = self->sample->row_count, width = signature->float_bits / 8;
    void *values = mr_alloc(rows * signature->output_count * width);
    asked_model asked = {0};
    self->scores[m] = mr_alloc(rows * sizeof *self->scores[m]);
    mr_status status = values != NULL && self->scores[m] != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = prepare(self, m, &asked, err);
    if (status == MR_OK) {
        mr_model_out out = {.scores = values, .stride = rows};
        status = mr_model_score(self->opened[m], asked.binding, self->sample->columns, 0, rows,
                                &out, asked.scratch, err);
    }
    for (size_t i = 0; status == MR_OK && i < rows; i++)
        self->scores[m][i] =
            width == 8 ? ((const double *)values)[i] : (double)((const float *)values)[i];
    finish(&asked);
    mr_free(values);
    return status;
}

/* ---- what they do ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint64_t count_flips(const diff *self, double threshold)
{
    uint64_t flips = 0;
    for (uint32_t i = 0; i < self->sample->row_count; i++)
        flips += (self->scores[0][i] > threshold) != (self->scores[1][i] > threshold);
    return flips;
}

/* "mean absolute"; in JSON mean_absolute. */
static void put_figure(diff *self, const char *name, double value)
{
    if (!self->session->json) {
        mr_output_printf(&self->session->out, "  %-40s %.6g\n", name, value);
        return;
    }
    mr_bytes_append_text(&self->line, ",\"");
    for (const char *c = name; *c != '\0'; c++)
        mr_bytes_append_byte(&self->line, *c == ' ' ? '_' : (uint8_t)*c);
    mr_bytes_printf(&self->line, "\":%.9g", value);
}

/* Sorted in place. */
static void show_quantiles(diff *self, double *differences, size_t count)
{
    static const struct {
        double q;
        const char *name;
    } at[] = {{0.01, "q01"}, {0.05, "q05"}, {0.25, "q25"}, {0.5, "q50"},
              {0.75, "q75"}, {0.95, "q95"}, {0.99, "q99"}};
    qsort(differences, count, sizeof *differences, by_value);
    put_figure(self, "min", differences[0]);
    for (size_t i = 0; i < MR_COUNT_OF(at); i++) {
        size_t rank = (size_t)ceil(at[i].q * (double)count);
        put_figure(self, at[i].name, differences[rank > 0 ? rank - 1 : 0]);
    }
    put_figure(self, "max", differences[count - 1]);
}

static mr_status show_flips(diff *self, mr_error *err)
{
    for (size_t i = 0; i < self->thresholds.count; i++) {
        const char *text = self->thresholds.items[i];
        char name[64];
        double threshold;
        if (!mr_number_is_float64(text, strlen(text), &threshold))
            return MR_FAIL(err, MR_INVALID, "--thresholds has '%s', which is no number", text);
        (void)snprintf(name, sizeof name, "flips at %.32s", text);
        put_figure(self, name, (double)count_flips(self, threshold));
    }
    return MR_OK;
}

static mr_status show_differences(diff *self, mr_error *err)
{
    size_t rows = self->sample->row_count, count = 0, same = 0;
    double *differences = mr_alloc(MR_MAX(rows, 1) * sizeof *differences), sum = 0, absolute = 0;
    if (differences == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < rows; i++) {
        double difference = self->scores[1][i] - self->scores[0][i];
        if (isnan(difference))
            continue;
        differences[count++] = difference;
        same += difference == 0;
        sum += difference;
        absolute += fabs(difference);
    }
    if (self->session->json)
        mr_bytes_append_text(&self->line, "{\"differs\":\"score\"");
    else
        mr_output_printf(&self->session->out,
                         "score differences on the sample, %s/%" PRIu64 " - %s/%" PRIu64 "\n",
                         self->refs[1].name, self->refs[1].version, self->refs[0].name,
                         self->refs[0].version);
    put_figure(self, "rows", (double)rows);
    put_figure(self, "equal", (double)same);
    mr_status status = MR_OK;
    if (count > 0) {
        put_figure(self, "mean", sum / (double)count);
        put_figure(self, "mean absolute", absolute / (double)count);
        show_quantiles(self, differences, count);
        status = show_flips(self, err);
    }
    mr_free(differences);
    if (status == MR_OK && self->session->json)
        status = mr_model_json_end(self->session, &self->line, err);
    return status;
}

/* ---- importance ---- */

typedef struct importance {
    const char *name;
    double values[2]; /* mean absolute contribution to the first margin; NaN: no such input */
} importance;

static mr_status weigh(diff *self, size_t m, double *out, mr_error *err)
{
    const mr_model_signature *signature = &self->opened[m]->signature;
    size_t rows = MR_MIN(self->sample->row_count, (size_t)IMPORTANCE_ROWS_MAX);
    size_t stride = signature->input_count + 1, per_row = stride * signature->margin_count;
    double *contributions = mr_alloc(rows * per_row * sizeof *contributions);
    asked_model asked = {0};
    mr_status status =
        contributions != NULL ? prepare(self, m, &asked, err) : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        status = mr_model_explain(self->opened[m], asked.binding, self->sample->columns, 0, rows,
                                  contributions, asked.scratch, err);
    for (uint32_t i = 0; status == MR_OK && i < signature->input_count; i++) {
        out[i] = 0;
        for (size_t r = 0; r < rows; r++)
            out[i] += fabs(contributions[r * per_row + i]) / (double)rows;
    }
    finish(&asked);
    mr_free(contributions);
    return status;
}

static int by_weight(const void *a, const void *b)
{
    const importance *x = a, *y = b;
    double p = fmax(x->values[0], x->values[1]), q = fmax(y->values[0], y->values[1]);
    return p != q ? (p < q) - (p > q) : strcmp(x->name, y->name);
}

static size_t merge(const diff *self, double *const weights[2], importance *out)
{
    const mr_model *a = self->opened[0], *b = self->opened[1];
    size_t count = 0;
    for (uint32_t i = 0; i < a->signature.input_count; i++) {
        const char *name = a->signature.input_names[i];
        int64_t other = mr_model_input_find(b, name);
        out[count++] =
            (importance){name, {weights[0][i], other >= 0 ? weights[1][other] : (double)NAN}};
    }
    for (uint32_t i = 0; i < b->signature.input_count; i++)
        if (mr_model_input_find(a, b->signature.input_names[i]) < 0)
            out[count++] = (importance){b->signature.input_names[i], {(double)NAN, weights[1][i]}};
    return count;
}

static const char *weight_text(double weight, char out[32])
{
    if (isnan(weight))
        return "(no input)";
    (void)snprintf(out, 32, "%.6g", weight);
    return out;
}

static mr_status show_merged(diff *self, importance *all, size_t count, mr_error *err)
{
    qsort(all, count, sizeof *all, by_weight);
    if (!self->session->json)
        mr_output_text(&self->session->out,
                       "importance: mean absolute contribution on the sample\n");
    for (size_t i = 0; i < count; i++) {
        if (self->session->json) {
            mr_bytes_append_text(&self->line, "{\"differs\":\"importance\"");
            mr_model_json_text(&self->line, "input", all[i].name);
            for (int m = 0; m < 2; m++)
                if (!isnan(all[i].values[m]))
                    mr_bytes_printf(&self->line, ",\"%c\":%.9g", 'a' + m, all[i].values[m]);
            MR_TRY(mr_model_json_end(self->session, &self->line, err));
        } else if (i < IMPORTANCE_SHOWN_MAX) {
            char a[32], b[32];
            mr_output_printf(&self->session->out, "  %-40s %s -> %s\n", all[i].name,
                             weight_text(all[i].values[0], a), weight_text(all[i].values[1], b));
        }
    }
    return MR_OK;
}

static mr_status show_importance(diff *self, mr_error *err)
{
    size_t counts[2] = {self->opened[0]->signature.input_count,
                        self->opened[1]->signature.input_count};
    double *weights[2] = {mr_alloc_zero(counts[0], sizeof(double)),
                          mr_alloc_zero(counts[1], sizeof(double))};
    importance *all = mr_alloc_zero(counts[0] + counts[1], sizeof *all);
    mr_status status =
        weights[0] != NULL && weights[1] != NULL && all != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (size_t m = 0; status == MR_OK && m < 2; m++)
        status = weigh(self, m, weights[m], err);
    if (status == MR_OK)
        status = show_merged(self, all, merge(self, weights, all), err);
    if (status == MR_UNSUPPORTED) /* a family that cannot say */
        status = MR_OK;
    mr_free(weights[0]);
    mr_free(weights[1]);
    mr_free(all);
    return status;
}

/* ---- the verb ---- */

static mr_status compare_models(diff *self, const char *source, mr_error *err)
{
    for (size_t m = 0; m < 2; m++)
        MR_TRY(mr_registry_open_model(self->models.registry, &self->refs[m], "diff",
                                      &self->opened[m], err));
    MR_TRY(mr_list_parse(&self->thresholds,
                         mr_arguments_text(&self->session->arguments, "thresholds"), err));
    MR_TRY(read_sample(self, source, err));
    MR_TRY(score(self, 0, err));
    MR_TRY(score(self, 1, err));
    MR_TRY(show_differences(self, err));
    return show_importance(self, err);
}

static mr_status compare(diff *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    const char *source = mr_arguments_text(arguments, "sample");
    MR_TRY(mr_model_session_open(&self->models, self->session, false, err));
    for (size_t m = 0; m < 2; m++)
        MR_TRY(mr_registry_resolve(self->models.registry, mr_arguments_operand(arguments, m),
                                   &self->refs[m], err));
    MR_TRY(show_facts(self, err));
    return source != NULL ? compare_models(self, source, err) : MR_OK;
}

static mr_status diff_run(mr_session *session, mr_error *err)
{
    diff self = {.session = session};
    mr_status status = compare(&self, err);
    for (size_t m = 0; m < 2; m++) {
        mr_model_close(self.opened[m]);
        mr_free(self.scores[m]);
    }
    mr_batch_release(self.sample);
    mr_list_deinit(&self.thresholds);
    mr_bytes_deinit(&self.line);
    mr_model_session_close(&self.models);
    return status;
}

static const struct mr_operand operands[] = {
    {"A", false, false, MR_MODEL_REF_HELP},
    {"B", false, false, "the other one"},
    {0},
};

static const struct mr_option options[] = {
    {"sample", '\0', "FILE", NULL, NULL,
     "rows that both score, a file or topic: how the scores differ, and what each input weighs"},
    {"thresholds", '\0', "NUMBER,...", "0.5", NULL, "decisions: how many rows change sides"},
    MR_INGEST_OPTIONS,
    {0},
};

static const mr_example examples[] = {
    {"millrace model diff fraud fraud@challenger --sample payments.csv --thresholds 0.5,0.9",
     "what differs in signature, parameters, data and metrics, and in what they say of the rows"},
    {0},
};

const struct mr_verb mr_verb_model_diff = {
    .name = "model diff",
    .summary = "compare two versions: what they say, and how they score the same rows",
    .about = "Differences are B - A, of the first score. Importance is shown for families that can "
             "explain themselves.",
    .operands = operands,
    .options = options,
    .examples = examples,
    .run = diff_run,
};
