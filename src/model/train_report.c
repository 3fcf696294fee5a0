/* train_report.c -- model.yaml: what was learnt, from what, how well. */
#include "model/train_internal.h"

#include "base/number.h"

#include <math.h>
#include <string.h>

/* A YAML double-quoted scalar; its escapes are those of JSON. */
static void append_quoted(mr_bytes *out, const char *text)
{
    mr_bytes_append_byte(out, '"');
    for (const uint8_t *c = (const uint8_t *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            mr_bytes_append_byte(out, '\\');
        if (*c < 0x20 || *c == 0x7f)
            mr_bytes_printf(out, "\\x%02x", *c);
        else
            mr_bytes_append_byte(out, *c);
    }
    mr_bytes_append_byte(out, '"');
}

static void append_entry(mr_bytes *out, const char *indent, const char *name, const char *value)
{
    mr_bytes_printf(out, "%s%s: ", indent, name);
    append_quoted(out, value);
    mr_bytes_append_byte(out, '\n');
}

static void append_number(mr_bytes *out, const char *name, double value)
{
    char text[MR_NUMBER_TEXT_MAX];
    if (isnan(value))
        return;
    mr_bytes_printf(out, "    %s: ", name);
    mr_bytes_append(out, text, mr_number_format_float64(value, text));
    mr_bytes_append_byte(out, '\n');
}

static void append_inputs(const trainer *t, mr_bytes *out)
{
    char type[32];
    mr_bytes_append_text(out, "inputs:\n");
    for (uint32_t i = 0; i < t->input_count; i++) {
        const mr_field *field = &t->rows->batch->schema->fields[t->inputs[i]];
        mr_bytes_append_text(out, "  - {name: ");
        append_quoted(out, field->name);
        mr_bytes_printf(out, ", type: %s}\n", mr_type_format(field->type, type));
    }
}

static void append_parameters(const trainer *t, mr_bytes *out)
{
    mr_bytes_append_text(out, "parameters:\n");
    for (const mr_setting_spec *spec = mr_train_settings; spec->name != NULL; spec++) {
        const char *value = mr_train_text(t->options, spec->name);
        if (value != NULL)
            append_entry(out, "  ", spec->name, value);
    }
    for (size_t i = 0; i < t->options->setting_count; i++)
        if (strncmp(t->options->settings[i].name, "xgboost.", 8) == 0)
            append_entry(out, "  ", t->options->settings[i].name, t->options->settings[i].value);
}

static void append_split(const trainer *t, const mr_train_split *split, mr_bytes *out)
{
    mr_bytes_printf(out, "  %s:\n    rows: %llu\n", split->name, (unsigned long long)split->rows);
    if (t->is_binary) {
        mr_bytes_printf(out, "    positives: %llu\n", (unsigned long long)split->metrics.positives);
        append_number(out, "auc_roc", split->metrics.auc_roc);
        append_number(out, "average_precision", split->metrics.average_precision);
        append_number(out, "log_loss", split->metrics.log_loss);
        append_number(out, "precision_at_k", split->metrics.precision_at_k);
        mr_bytes_printf(out, "    k: %llu\n", (unsigned long long)split->metrics.k);
    } else {
        append_number(out, t->watched, split->watched);
    }
}

mr_status mr_train_describe(const trainer *t, mr_trained *out, mr_error *err)
{
    mr_bytes *yaml = &out->yaml;
    mr_bytes_append_text(yaml, "family: xgboost\n");
    append_entry(yaml, "", "objective", mr_train_text(t->options, "objective"));
    append_entry(yaml, "", "library", "XGBoost");
    append_entry(yaml, "", "library_version", t->library->version);
    append_entry(yaml, "", "label", t->rows->label);
    if (t->rows->weight != NULL)
        append_entry(yaml, "", "weight", t->rows->weight);
    if (t->rows->time != NULL)
        append_entry(yaml, "", "time", t->rows->time);
    if (t->rows->description != NULL)
        append_entry(yaml, "", "data", t->rows->description);
    if (t->rows->provenance != NULL && t->rows->provenance[0] != '\0')
        mr_bytes_printf(yaml, "training_data:\n%s", t->rows->provenance);
    append_entry(yaml, "", "split", t->parts[1].count > 0 ? t->cut : "all rows train");
    mr_bytes_printf(yaml, "rounds: %u\nbest_round: %u\n", t->rounds, t->best_round);
    append_entry(yaml, "", "watched", t->watched);
    append_inputs(t, yaml);
    append_parameters(t, yaml);
    mr_bytes_append_text(yaml, "metrics:\n");
    for (size_t i = 0; i < out->split_count; i++)
        append_split(t, &out->splits[i], yaml);
    mr_bytes_append_text(yaml, "environment: {millrace: \"" MR_VERSION "\"}\n");
    return yaml->failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}
