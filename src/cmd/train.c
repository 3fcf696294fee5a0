/* train.c -- `millrace train`: boosted trees from a file or a topic. */
#include "model/facts.h"
#include "model/train.h"

#include "base/assert.h"
#include "base/time.h"
#include "cmd/ingest.h"
#include "cmd/progress.h"
#include "cmd/rows.h"
#include "cmd/source.h"
#include "cmd/verb.h"
#include "os/process.h"
#include "registry/compose.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct train {
    mr_session *session;
    const char *source, *label, *time, *weight, *out;
    mr_list inputs, leave_out, set;
    mr_setting *settings;
    mr_progress progress;
    mr_batch *rows;
    uint64_t refused;
    mr_bytes provenance; /* of the rows, for model.yaml */
    mr_trained trained;
} train;

/* ---- options ---- */

static mr_status read_instant(const mr_arguments *arguments, const char *option, int64_t *out,
                              mr_error *err)
{
    const char *text = mr_arguments_text(arguments, option);
    if (text != NULL && !mr_time_parse(text, strlen(text), false, out, NULL, NULL))
        return MR_FAIL(err, MR_INVALID, "--%s is '%s', but must be a time such as 2018-05-01",
                       option, text);
    return MR_OK;
}

/* Cuts each "name=value" of --set in two. */
static mr_status read_settings(train *self, mr_error *err)
{
    self->settings = mr_alloc_zero(self->set.count + 1, sizeof self->settings[0]);
    if (self->settings == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < self->set.count; i++) {
        char *item = self->set.text + (self->set.items[i] - self->set.text);
        char *equals = item + strcspn(item, "=");
        if (*equals == '\0')
            return MR_FAIL(err, MR_INVALID, "--set has '%s', but wants NAME=VALUE", item);
        *equals = '\0';
        self->settings[i] = (mr_setting){item, equals + 1};
    }
    return MR_OK;
}

static mr_status read_options(train *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    self->source = mr_arguments_operand(arguments, 0);
    self->label = mr_arguments_text(arguments, "label");
    self->time = mr_arguments_text(arguments, "time");
    self->weight = mr_arguments_text(arguments, "weight");
    self->out = mr_arguments_text(arguments, "out");
    if (self->label == NULL || self->out == NULL)
        return MR_FAIL(err, MR_INVALID,
                       "train wants --label COLUMN, what is to be learnt, and --out DIR, where the "
                       "model goes");
    MR_TRY(mr_list_parse(&self->inputs, mr_arguments_text(arguments, "inputs"), err));
    MR_TRY(mr_list_parse(&self->leave_out, mr_arguments_text(arguments, "leave-out"), err));
    MR_TRY(mr_list_parse(&self->set, mr_arguments_text(arguments, "set"), err));
    return read_settings(self, err);
}

/* ---- rows ---- */

/* A file without --schema: the columns that are named on the command line. */
static mr_status guess_schema(const train *self, mr_schema **out, mr_error *err)
{
    size_t count = 0;
    if (self->inputs.count == 0)
        return MR_FAIL(err, MR_INVALID,
                       "say which columns of the file matter: --inputs a,b,c or --schema");
    mr_field *fields = mr_alloc_zero(self->inputs.count + 3, sizeof *fields);
    if (fields == NULL)
        return MR_OUT_OF_MEMORY(err);
    fields[count++] = (mr_field){.name = self->label, .type = {MR_FLOAT64, 0}};
    if (self->time != NULL)
        fields[count++] = (mr_field){.name = self->time, .type = {MR_TIMESTAMP, 0}};
    if (self->weight != NULL)
        fields[count++] = (mr_field){.name = self->weight, .type = {MR_FLOAT64, 0}};
    for (size_t i = 0; i < self->inputs.count; i++)
        fields[count++] =
            (mr_field){.name = self->inputs.items[i], .type = {MR_FLOAT64, 0}, .nullable = true};
    mr_status status = mr_schema_create(fields, count, out, err);
    mr_free(fields);
    return status;
}

/* Which of the records it read: "at from 2018-05-01 until 2018-06-01". */
static void write_span(train *self)
{
    mr_bytes words = {0};
    const mr_arguments *arguments = &self->session->arguments;
    const char *from = mr_arguments_text(arguments, "from");
    const char *until = mr_arguments_text(arguments, "until");
    mr_bytes_printf(&words, "%s%s%s%s%s", self->time, from != NULL ? " from " : "",
                    from != NULL ? from : "", until != NULL ? " until " : "",
                    until != NULL ? until : "");
    const char *text = mr_bytes_text(&words);
    mr_bytes_append_text(&self->provenance, "training_rows: ");
    mr_facts_quote(&self->provenance, text != NULL ? text : "");
    mr_bytes_append_byte(&self->provenance, '\n');
    self->provenance.failed = self->provenance.failed || text == NULL;
    mr_bytes_deinit(&words);
}

static mr_status read_rows(train *self, mr_error *err)
{
    mr_rows_options options = {
        .from_us = INT64_MIN, .until_us = INT64_MAX, .provenance = &self->provenance};
    MR_TRY(read_instant(&self->session->arguments, "from", &options.from_us, err));
    MR_TRY(read_instant(&self->session->arguments, "until", &options.until_us, err));
    bool limited = options.from_us != INT64_MIN || options.until_us != INT64_MAX;
    if (limited && self->time == NULL)
        return MR_FAIL(err, MR_INVALID, "--from and --until want --time: the column they speak of");
    options.time = limited ? self->time : NULL;
    MR_TRY(mr_session_schema(self->session, &options.schema, err));
    if (options.schema == NULL && mr_source_is_file(self->source))
        MR_TRY(guess_schema(self, &options.schema, err));
    mr_status status =
        mr_rows_read(self->session, self->source, &options, &self->rows, &self->refused, err);
    if (status == MR_OK && limited)
        write_span(self);
    mr_schema_release(options.schema);
    return status;
}

static bool is_among(const mr_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

static bool same(const char *a, const char *b)
{
    return b != NULL && strcmp(a, b) == 0;
}

/* Without --inputs every number and bool is one, but the label, weight and time, and what is left out. */
static bool is_input(const train *self, const mr_field *field)
{
    bool number = mr_type_is_number(field->type.id) || field->type.id == MR_BOOL;
    return number && !same(field->name, self->label) && !same(field->name, self->weight) &&
           !same(field->name, self->time) && !is_among(&self->leave_out, field->name);
}

static size_t choose_inputs(const train *self, const char **out)
{
    const mr_schema *schema = self->rows->schema;
    size_t count = 0;
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (is_input(self, &schema->fields[i]))
            out[count++] = schema->fields[i].name;
    return count;
}

/* ---- training ---- */

static bool show_round(void *context, const mr_train_round *round)
{
    train *self = context;
    if (round->round == 1)
        mr_progress_begin(&self->progress, self->session, "training", round->round_count);
    mr_progress_set(&self->progress, round->round);
    return mr_process_stop_asked() == 0;
}

static mr_status fit(train *self, mr_error *err)
{
    const char **chosen = mr_alloc_zero(self->rows->schema->field_count, sizeof *chosen);
    if (chosen == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_train_rows rows = {.batch = self->rows,
                          .label = self->label,
                          .weight = self->weight,
                          .time = self->time,
                          .inputs = self->inputs.items,
                          .input_count = self->inputs.count,
                          .description = self->source,
                          .provenance = mr_bytes_text(&self->provenance)};
    if (rows.provenance == NULL) {
        mr_free(chosen);
        return MR_OUT_OF_MEMORY(err);
    }
    mr_train_options options = {.settings = self->settings,
                                .setting_count = self->set.count,
                                .on_round = show_round,
                                .context = self};
    if (self->inputs.count == 0) {
        rows.inputs = chosen;
        rows.input_count = choose_inputs(self, chosen);
    }
    mr_status status = mr_train(&rows, &options, &self->trained, err);
    mr_progress_end(&self->progress);
    mr_free(chosen);
    return status;
}

/* Only what looks like an artifact is replaced. */
static mr_status clear_out(const train *self, mr_error *err)
{
    char file[MR_PATH_MAX];
    mr_fs *fs = self->session->fs;
    if (!mr_arguments_flag(&self->session->arguments, "replace") || !mr_fs_exists(fs, self->out))
        return MR_OK;
    (void)snprintf(file, sizeof file, "%s/model.yaml", self->out);
    if (!mr_fs_exists(fs, file))
        return MR_FAIL(err, MR_EXISTS, "%s is there and is no model, so it is not replaced",
                       self->out);
    return mr_fs_remove_tree(fs, self->out, err);
}

/* ---- the artifact ---- */

/* Beside what training knows: how the data lay. */
static mr_status write_artifact(const train *self, mr_error *err)
{
    char fitted[MR_PATH_MAX];
    mr_fs *fs = self->session->fs;
    mr_compose_options options = {.profile_rows = self->rows};
    (void)snprintf(fitted, sizeof fitted, "%.4000s.fitted", self->out);
    MR_TRY(mr_fs_remove_tree(fs, fitted, err));
    mr_status status = mr_trained_write(&self->trained, fs, fitted, err);
    if (status == MR_OK)
        status = mr_compose(fs, fitted, &options, self->out, err);
    (void)mr_fs_remove_tree(fs, fitted, NULL);
    return status;
}

/* ---- the report ---- */

static void print_split_json(mr_output *out, const mr_train_split *split)
{
    const mr_metrics *m = &split->metrics;
    const struct {
        const char *name;
        double value;
    } figures[] = {{"auc_roc", m->auc_roc},
                   {"average_precision", m->average_precision},
                   {"log_loss", m->log_loss},
                   {"precision_at_k", m->precision_at_k}};
    mr_output_printf(out, "\"%s\":{\"rows\":%" PRIu64 ",\"positives\":%" PRIu64, split->name,
                     split->rows, m->positives);
    for (size_t i = 0; i < MR_COUNT_OF(figures); i++)
        if (isfinite(figures[i].value))
            mr_output_printf(out, ",\"%s\":%.9g", figures[i].name, figures[i].value);
    mr_output_printf(out, ",\"k\":%" PRIu64 "}", m->k);
}

static void report_json(const train *self)
{
    mr_output *out = &self->session->out;
    mr_output_printf(out, "{\"rounds\":%" PRIu32 ",\"best_round\":%" PRIu32, self->trained.rounds,
                     self->trained.best_round);
    for (size_t i = 0; i < self->trained.split_count; i++) {
        mr_output_text(out, ",");
        print_split_json(out, &self->trained.splits[i]);
    }
    mr_output_text(out, "}\n");
}

static void report_text(const train *self)
{
    mr_output *out = &self->session->out;
    char rows[32], positives[32];
    mr_output_printf(out, "%" PRIu32 " rounds, %" PRIu32 " kept\n", self->trained.rounds,
                     self->trained.best_round);
    for (size_t i = 0; i < self->trained.split_count; i++) {
        const mr_train_split *split = &self->trained.splits[i];
        const mr_metrics *m = &split->metrics;
        mr_output_printf(out, "%-10s  %s rows", split->name, mr_text_count(split->rows, rows));
        if (m->rows > 0)
            mr_output_printf(
                out,
                ", %s positive; AUC ROC %.4f, average precision %.4f, log-loss %.5f, precision at "
                "%" PRIu64 " %.3f",
                mr_text_count(m->positives, positives), m->auc_roc, m->average_precision,
                m->log_loss, m->k, m->precision_at_k);
        else
            mr_output_printf(out, ", %s %.6g", self->trained.watched, split->watched);
        mr_output_text(out, "\n");
    }
}

/* ---- the verb ---- */

static mr_status train_all(train *self, mr_error *err)
{
    MR_TRY(read_options(self, err));
    MR_TRY(read_rows(self, err));
    MR_TRY(fit(self, err));
    MR_TRY(clear_out(self, err));
    MR_TRY(write_artifact(self, err));
    (self->session->json ? report_json : report_text)(self);
    mr_session_say(self->session, "the model is in %s", self->out);
    self->session->exit_code = self->refused > 0 ? MR_EXIT_DEAD_LETTERS : 0;
    return MR_OK;
}

static mr_status train_run(mr_session *session, mr_error *err)
{
    train self = {.session = session};
    mr_process_catch_signals();
    mr_status status = train_all(&self, err);
    mr_trained_deinit(&self.trained);
    mr_batch_release(self.rows);
    mr_bytes_deinit(&self.provenance);
    mr_list_deinit(&self.inputs);
    mr_list_deinit(&self.leave_out);
    mr_list_deinit(&self.set);
    mr_free(self.settings);
    return status;
}

static const struct mr_operand operands[] = {
    {"FILE|TOPIC", false, false,
     "the rows: a CSV or JSON lines file (told by its ending; -: standard input), or a "
     "topic"},
    {0},
};

static const struct mr_option options[] = {
    {"label", 'l', "COLUMN", NULL, NULL, "what is to be learnt; no value may be missing"},
    {"out", 'o', "DIR", NULL, NULL,
     "the folder to write: the model, what it is, and rows that prove it"},
    {"time", 't', "COLUMN", NULL, NULL, "orders the rows; by default they are in order"},
    {"from", '\0', "TIME", NULL, NULL, "only rows of this time and later"},
    {"until", '\0', "TIME", NULL, NULL, "only rows before this time"},
    {"inputs", 'i', "COLUMN,...", NULL, NULL,
     "what it is learnt from; by default every number and bool of the rest"},
    {"leave-out", '\0', "COLUMN,...", NULL, NULL,
     "columns that are no inputs, when all others are"},
    {"weight", '\0', "COLUMN", NULL, NULL, "how much each row counts"},
    {"set", 's', "NAME=VALUE,...", NULL, NULL, "settings of the training, from the table below"},
    {"replace", '\0', NULL, NULL, NULL, "replace the model that is in --out"},
    MR_SCHEMA_OPTIONS,
    MR_INGEST_OPTIONS,
    {0},
};

static const mr_example examples[] = {
    {"millrace train features --label fraud --time at --leave-out tx,customer --out model",
     "from a topic; every other number is an input"},
    {"millrace train rows.csv --label y --inputs a,b --out model --set "
     "rounds=500,eta=0.1,validation_fraction=0.2,early_stopping=20",
     "from a file, the last fifth of the rows validates, stopped when that gets no better"},
    {0},
};

static const mr_verb_exit exits[] = {
    {MR_EXIT_DEAD_LETTERS, "done, but some records of the file were refused and not used"},
    {3, "no rows, no such column, or XGBoost's library is not installed"},
    {4, "there is something at --out already"},
    {0},
};

const struct mr_verb mr_verb_train = {
    .name = "train",
    .summary = "fit boosted trees to the rows of a file or a topic",
    .about =
        "Rows are ordered by time and cut once: the later part validates. Boosting is done by "
        "XGBoost's library; "
        "the model that is written is scored by this program, to the bit as the library would.",
    .operands = operands,
    .options = options,
    .settings = mr_train_settings,
    .examples = examples,
    .exits = exits,
    .run = train_run,
};
