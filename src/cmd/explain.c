/* explain.c -- `millrace explain`: a model as a whole, on a sample: which inputs matter, and a small tree like it. */
#include "base/assert.h"
#include "cmd/ingest.h"
#include "cmd/rows.h"
#include "cmd/scoring.h"
#include "cmd/source.h"
#include "cmd/verb.h"
#include "data/encoder.h"
#include "model/results.h"
#include "model/surrogate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_ROWS     64
#define SAMPLE_MAX     1000000
#define SAMPLE_DEFAULT 10000
#define LEAF_SHARE     200 /* a leaf of the small tree has a 200th of the rows at least */

typedef struct importance {
    uint32_t input;
    double mean; /* of the contributions' magnitudes, over all margins */
} importance;

typedef struct explain {
    mr_session *session;
    mr_log *log;
    mr_models *models;
    mr_model *model;
    mr_batch *rows;
    mr_binding *binding;
    mr_scratch *scratch;
    importance *inputs; /* largest first; NULL: the model cannot say */
    mr_bytes why_not;   /* it cannot */
    double *columns;    /* of the inputs, as numbers */
    double *outputs;
    uint32_t output, depth;
    mr_surrogate *tree;
} explain;

/* ---- what is asked for ---- */

static mr_status open_model(explain *self, const char *text, mr_error *err)
{
    bool named = strchr(text, '@') != NULL && strchr(text, '/') == NULL;
    mr_model_ref ref;
    if (!named)
        return mr_model_open(self->session->fs, text, NULL, &self->model, err);
    MR_TRY(mr_session_open_log(self->session, false, &self->log, err));
    MR_TRY(mr_session_models(self->session, self->log, "explain", &self->models, err));
    MR_TRY(self->models->resolve(self->models, text, &ref, err));
    return self->models->open(self->models, &ref, &self->model, err);
}

static mr_status find_output(explain *self, mr_error *err)
{
    const char *name = mr_arguments_text(&self->session->arguments, "of");
    const mr_model_signature *signature = &self->model->signature;
    while (name != NULL && self->output < signature->output_count &&
           strcmp(signature->output_names[self->output], name) != 0)
        self->output++;
    return self->output < signature->output_count
               ? MR_OK
               : MR_FAIL(err, MR_NOT_FOUND, "the model has no output %s; the first is %s", name,
                         signature->output_names[0]);
}

/* Evenly spread over the source. */
static mr_status thin_out(explain *self, mr_batch *all, mr_error *err)
{
    int64_t wanted = SAMPLE_DEFAULT;
    MR_TRY(mr_arguments_int(&self->session->arguments, "rows", 1, SAMPLE_MAX, &wanted, err));
    uint64_t count = MR_MIN((uint64_t)wanted, (uint64_t)all->row_count);
    uint32_t *rows = mr_alloc(count * sizeof *rows);
    if (rows == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint64_t i = 0; i < count; i++)
        rows[i] = (uint32_t)(i * all->row_count / count);
    mr_status status = mr_batch_gather(all, rows, count, &self->rows, err);
    mr_free(rows);
    return status;
}

static mr_status read_rows(explain *self, mr_error *err)
{
    const char *source = mr_arguments_operand(&self->session->arguments, 0);
    mr_rows_options options = {.from_us = INT64_MIN, .until_us = INT64_MAX};
    uint64_t refused = 0;
    mr_batch *all = NULL;
    MR_TRY(mr_session_schema(self->session, &options.schema, err));
    mr_status status = MR_OK;
    if (options.schema == NULL && mr_source_is_file(source))
        status = mr_scoring_guess_schema(self->model, NULL, 0, &options.schema, err);
    if (status == MR_OK)
        status = mr_rows_read(self->session, source, &options, &all, &refused, err);
    mr_schema_release(options.schema);
    if (status == MR_OK)
        status = thin_out(self, all, err);
    mr_batch_release(all);
    self->session->exit_code = refused > 0 ? MR_EXIT_DEAD_LETTERS : 0;
    return status;
}

/* ---- importance ---- */

static int larger_first(const void *a, const void *b)
{
    const importance *x = a, *y = b;
    if (x->mean != y->mean)
        return x->mean < y->mean ? 1 : -1;
    return x->input < y->input ? -1 : x->input > y->input;
}

static mr_status add_up(explain *self, double *block, mr_error *err)
{
    const mr_model_signature *signature = &self->model->signature;
    size_t width = (size_t)signature->input_count + 1, count = self->rows->row_count;
    for (size_t at = 0; at < count; at += BLOCK_ROWS) {
        size_t rows = MR_MIN(count - at, (size_t)BLOCK_ROWS);
        MR_TRY(mr_model_explain(self->model, self->binding, self->rows->columns, at, rows, block,
                                self->scratch, err));
        for (size_t i = 0; i < rows * signature->margin_count * width; i++)
            if (i % width < signature->input_count)
                self->inputs[i % width].mean += fabs(block[i]) / (double)count;
    }
    return MR_OK;
}

/* A model that cannot say is no failure: the tree may still be had. */
static mr_status weigh_inputs(explain *self, mr_error *err)
{
    const mr_model_signature *signature = &self->model->signature;
    size_t width = (size_t)signature->input_count + 1;
    mr_error why = {0};
    mr_status status = mr_model_explain_prepare(self->model, &why);
    if (status == MR_UNSUPPORTED) {
        mr_bytes_append_text(&self->why_not, why.text);
        return MR_OK;
    }
    MR_TRY(status);
    double *block = mr_alloc(BLOCK_ROWS * signature->margin_count * width * sizeof *block);
    self->inputs = mr_alloc_zero(width, sizeof *self->inputs);
    status = block != NULL && self->inputs != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < signature->input_count; i++)
        self->inputs[i].input = i;
    if (status == MR_OK)
        status = add_up(self, block, err);
    mr_free(block);
    if (status == MR_OK)
        qsort(self->inputs, signature->input_count, sizeof *self->inputs, larger_first);
    return status;
}

/* ---- the small tree ---- */

static mr_status score_rows(explain *self, mr_error *err)
{
    const mr_model_signature *signature = &self->model->signature;
    size_t count = self->rows->row_count;
    mr_results results;
    MR_TRY(mr_results_init(&results, self->model, false, count, err));
    mr_model_out out = mr_results_out(&results, 0);
    mr_status status = mr_model_score(self->model, self->binding, self->rows->columns, 0, count,
                                      &out, self->scratch, err);
    for (size_t r = 0; status == MR_OK && r < count; r++) {
        size_t at = self->output * out.stride + r;
        double score = signature->float_bits == 64 ? ((const double *)out.scores)[at]
                                                   : (double)((const float *)out.scores)[at];
        self->outputs[r] = isfinite(score) ? score : 0.0;
    }
    mr_results_deinit(&results);
    return status;
}

/* Texts say nothing here. */
static void load_columns(explain *self, const double **lists)
{
    const uint32_t *fields = mr_binding_fields(self->binding);
    size_t count = self->rows->row_count;
    for (uint32_t i = 0; i < self->model->signature.input_count; i++) {
        const mr_column *column = &self->rows->columns[fields[i]];
        double *to = self->columns + i * count;
        lists[i] = to;
        if (!mr_type_is_text(column->type.id))
            mr_model_convert64(column, 0, count, to);
        for (size_t r = 0; mr_type_is_text(column->type.id) && r < count; r++)
            to[r] = (double)NAN;
    }
}

static mr_status imitate(explain *self, mr_error *err)
{
    uint32_t inputs = self->model->signature.input_count, rows = (uint32_t)self->rows->row_count;
    const double **lists = mr_alloc((inputs + (size_t)1) * sizeof *lists);
    self->columns = mr_alloc(((size_t)inputs * rows + 1) * sizeof *self->columns);
    self->outputs = mr_alloc(((size_t)rows + 1) * sizeof *self->outputs);
    self->tree = mr_alloc_zero(1, sizeof *self->tree);
    bool whole =
        lists != NULL && self->columns != NULL && self->outputs != NULL && self->tree != NULL;
    mr_status status = whole ? score_rows(self, err) : MR_OUT_OF_MEMORY(err);
    if (status == MR_OK) {
        load_columns(self, lists);
        status = mr_surrogate_fit(lists, inputs, self->outputs, rows, self->depth,
                                  rows / LEAF_SHARE, 0.5, self->tree, err);
    }
    mr_free(lists);
    return status;
}

/* Whether the outputs are probabilities, so that a side of 0.5 means something. */
static bool has_sides(const explain *self)
{
    for (size_t r = 0; r < self->rows->row_count; r++)
        if (!(self->outputs[r] >= 0.0 && self->outputs[r] <= 1.0))
            return false;
    return true;
}

/* ---- saying it ---- */

static double total_of(const explain *self)
{
    double total = 0;
    for (uint32_t i = 0; self->inputs != NULL && i < self->model->signature.input_count; i++)
        total += self->inputs[i].mean;
    return total > 0 ? total : 1.0;
}

static void print_inputs(explain *self)
{
    mr_output *out = &self->session->out;
    const mr_model_signature *signature = &self->model->signature;
    double total = total_of(self);
    if (self->inputs == NULL) {
        mr_session_say(self->session, "no importance of inputs: %s", mr_bytes_text(&self->why_not));
        return;
    }
    mr_output_text(out, "importance of inputs: mean size of what each adds to the margin\n");
    for (uint32_t i = 0; i < signature->input_count; i++)
        mr_output_printf(out, "  %10.6g  %5.1f %%  %s\n", self->inputs[i].mean,
                         100.0 * self->inputs[i].mean / total,
                         signature->input_names[self->inputs[i].input]);
}

static void print_node(explain *self, uint32_t at, uint32_t level, const char *words)
{
    mr_output *out = &self->session->out;
    const mr_surrogate_node *node = &self->tree->nodes[at];
    char condition[MR_ERROR_TEXT_MAX];
    mr_output_printf(out, "  %*s%s%.4g (%u rows)\n", (int)level * 4, "", words, node->value,
                     node->rows);
    if (node->feature == UINT32_MAX)
        return;
    const char *name = self->model->signature.input_names[node->feature];
    (void)snprintf(condition, sizeof condition, "%.200s < %.6g: ", name, node->threshold);
    print_node(self, node->left, level + 1, condition);
    print_node(self, node->right, level + 1, "else: ");
}

static void print_tree(explain *self)
{
    mr_output *out = &self->session->out;
    mr_output_printf(out, "a tree that imitates %s: R2 %.3f",
                     self->model->signature.output_names[self->output], self->tree->r2);
    if (has_sides(self))
        mr_output_printf(out, ", same side of 0.5 for %.1f %% of the rows",
                         100.0 * self->tree->agreement);
    mr_output_text(out, "\n");
    print_node(self, 0, 0, "");
}

static void json_text(mr_bytes *out, const char *key, const char *text)
{
    mr_bytes_append_text(out, key);
    mr_encode_json_text(text, strlen(text), out);
}

static void json_inputs(const explain *self, mr_bytes *out)
{
    double total = total_of(self);
    mr_bytes_append_text(out, ",\"importance\":");
    if (self->inputs == NULL) {
        mr_bytes_append_text(out, "null");
        return;
    }
    for (uint32_t i = 0; i < self->model->signature.input_count; i++) {
        json_text(out, i > 0 ? ",{\"input\":" : "[{\"input\":",
                  self->model->signature.input_names[self->inputs[i].input]);
        mr_bytes_printf(out, ",\"mean_contribution\":%.17g,\"share\":%.6g}", self->inputs[i].mean,
                        self->inputs[i].mean / total);
    }
    mr_bytes_append_text(out, self->model->signature.input_count > 0 ? "]" : "[]");
}

static void json_tree(const explain *self, mr_bytes *out)
{
    const mr_surrogate *tree = self->tree;
    json_text(out,
              ",\"surrogate\":{\"output\":", self->model->signature.output_names[self->output]);
    mr_bytes_printf(out, ",\"r2\":%.6g", tree->r2);
    if (has_sides(self))
        mr_bytes_printf(out, ",\"agreement\":%.6g", tree->agreement);
    mr_bytes_append_text(out, ",\"nodes\":[");
    for (uint32_t i = 0; i < tree->node_count; i++) {
        const mr_surrogate_node *node = &tree->nodes[i];
        mr_bytes_printf(out, "%s{\"value\":%.17g,\"rows\":%u", i > 0 ? "," : "", node->value,
                        node->rows);
        if (node->feature != UINT32_MAX) {
            json_text(out, ",\"input\":", self->model->signature.input_names[node->feature]);
            mr_bytes_printf(out, ",\"below\":%.17g,\"then\":%u,\"else\":%u", node->threshold,
                            node->left, node->right);
        }
        mr_bytes_append_byte(out, '}');
    }
    mr_bytes_append_text(out, "]}");
}

static mr_status print_json(explain *self, mr_error *err)
{
    mr_bytes out = {0};
    mr_bytes_printf(&out, "{\"rows\":%zu", (size_t)self->rows->row_count);
    json_inputs(self, &out);
    json_tree(self, &out);
    mr_bytes_append_text(&out, "}\n");
    mr_output_bytes(&self->session->out, out.data, out.size);
    mr_status status = out.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
    mr_bytes_deinit(&out);
    return status;
}

static mr_status print_all(explain *self, mr_error *err)
{
    if (self->session->json)
        return print_json(self, err);
    mr_output_printf(&self->session->out, "%s, on %zu rows\n", self->model->signature.objective,
                     (size_t)self->rows->row_count);
    print_inputs(self);
    print_tree(self);
    return MR_OK;
}

/* ---- the verb ---- */

static mr_status explain_model(explain *self, mr_error *err)
{
    const char *model = mr_arguments_text(&self->session->arguments, "model");
    int64_t depth = 5;
    if (model == NULL)
        return MR_FAIL(err, MR_INVALID, "explain wants --model: a file, a folder, or name@alias");
    MR_TRY(mr_arguments_int(&self->session->arguments, "depth", 1, MR_SURROGATE_DEPTH_MAX, &depth,
                            err));
    self->depth = (uint32_t)depth;
    MR_TRY(open_model(self, model, err));
    MR_TRY(find_output(self, err));
    MR_TRY(read_rows(self, err));
    MR_TRY(mr_model_bind(self->model, self->rows->schema, &self->binding, err));
    MR_TRY(mr_scratch_create(self->model, &self->scratch, err));
    MR_TRY(weigh_inputs(self, err));
    MR_TRY(imitate(self, err));
    return print_all(self, err);
}

static mr_status explain_run(mr_session *session, mr_error *err)
{
    explain self = {.session = session};
    mr_status status = explain_model(&self, err);
    mr_free(self.tree);
    mr_free(self.outputs);
    mr_free(self.columns);
    mr_free(self.inputs);
    mr_bytes_deinit(&self.why_not);
    mr_scratch_destroy(self.scratch);
    mr_binding_destroy(self.binding);
    mr_batch_release(self.rows);
    mr_model_close(self.model);
    mr_models_registry_close(self.models);
    mr_log_close(self.log);
    return status;
}

static const struct mr_operand operands[] = {
    {"FILE|TOPIC", false, false, "the rows to explain it on: a CSV or JSON lines file, or a topic"},
    {0},
};

static const struct mr_option options[] = {
    {"model", 'm', "MODEL", NULL, NULL,
     "the model: a file, an artifact folder, or a name of the registry"},
    {"rows", '\0', "N", "10000", NULL, "how many rows, evenly spread over the source"},
    {"depth", '\0', "N", "5", NULL, "levels of the tree that imitates it, up to 8"},
    {"of", '\0', "OUTPUT", NULL, NULL, "the output it imitates; the first when not given"},
    MR_SCHEMA_OPTIONS,
    MR_INGEST_OPTIONS,
    {0},
};

static const mr_example examples[] = {
    {"millrace explain payments.csv --model model.json",
     "which inputs matter, and a tree that says roughly what the model does"},
    {"millrace explain features --model fraud@champion --json", "a topic and a name, as JSON"},
    {0},
};

static const mr_verb_exit exits[] = {
    {MR_EXIT_DEAD_LETTERS, "done, but some records of the file were refused"},
    {0},
};

const struct mr_verb mr_verb_explain = {
    .name = "explain",
    .summary = "say which inputs of a model matter, and imitate it by a small tree",
    .about =
        "Importance is the mean size of what each input adds to the margin (exact contributions, "
        "for models that have them), over a sample of rows. The tree is fitted to the model's "
        "output on the same rows; beside it stands how well it imitates: R2, and for probabilities "
        "the share of rows it puts on the same side of 0.5.",
    .operands = operands,
    .options = options,
    .examples = examples,
    .exits = exits,
    .run = explain_run,
};
