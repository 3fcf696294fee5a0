/* why_print.c -- a decision's story on one screen, or as one JSON object. */
#include "cmd/why.h"

#include "base/assert.h"
#include "base/number.h"
#include "base/time.h"
#include "data/encoder.h"
#include "data/yaml.h"
#include "model/facts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reasons ---- */

typedef struct reason {
    uint32_t input;
    double adds;
} reason;

static int by_weight(const void *a, const void *b)
{
    const reason *left = a, *right = b;
    double x = fabs(left->adds), y = fabs(right->adds);
    return x != y ? (x < y ? 1 : -1) : (left->input > right->input) - (left->input < right->input);
}

/* The margin the reasons speak of: the greatest, which is that of the class that was chosen. */
static uint32_t chosen_margin(const why_version *version)
{
    const mr_model_signature *signature = &version->model->signature;
    uint32_t stride = signature->input_count + 1, best = 0;
    double best_sum = -INFINITY;
    for (uint32_t k = 0; k < signature->margin_count; k++) {
        double sum = 0;
        for (uint32_t i = 0; i < stride; i++)
            sum += version->verdict.adds[(size_t)k * stride + i];
        if (sum > best_sum) {
            best = k;
            best_sum = sum;
        }
    }
    return best;
}

/* The weightiest first, in the arena; *out_base: what stands without any input. */
static reason *weigh(why *self, const why_version *version, size_t *out_count, double *out_base)
{
    uint32_t inputs = version->model->signature.input_count;
    const double *adds = version->verdict.adds + (size_t)chosen_margin(version) * (inputs + 1);
    reason *reasons = MR_ARENA_ARRAY(&self->arena, reason, inputs + 1);
    if (reasons == NULL)
        return NULL;
    for (uint32_t i = 0; i < inputs; i++)
        reasons[i] = (reason){i, adds[i]};
    qsort(reasons, inputs, sizeof *reasons, by_weight);
    *out_count = MR_MIN(inputs, self->reasons_max);
    *out_base = adds[inputs];
    return reasons;
}

static const why_version *decider_with_reasons(const why *self)
{
    const why_version *version = self->decider >= 0 ? &self->versions[self->decider] : NULL;
    return version != NULL && version->verdict.adds != NULL ? version : NULL;
}

/* ---- values ---- */

static void write_cell(const mr_batch *batch, int column, mr_bytes *out)
{
    if (column < 0)
        mr_bytes_append_text(out, "null");
    else
        mr_encode_json_value(&batch->columns[column], 0, out);
}

static int input_column(const why *self, const why_version *version, uint32_t input)
{
    return why_find(
        self->frame,
        mr_plan_model_column(self->running.plan, version->model->signature.input_names[input]));
}

static mr_status rule_of(const why *self, const why_column *column, mr_bytes *out, mr_error *err)
{
    mr_bytes_clear(out);
    return mr_plan_rule(self->running.plan, column->name, self->frame, out, err);
}

/* What the shadows' topic has: float64, as the scores of every model by name. */
static void write_recorded(const why_version *version, mr_bytes *out)
{
    char text[MR_NUMBER_TEXT_MAX];
    if (version->recorded_null)
        mr_bytes_append_text(out, "null");
    else
        mr_bytes_append(out, text, mr_number_format_float64(version->recorded_score, text));
}

/* ---- text ---- */

static void text_heading(mr_bytes *out, const char *words)
{
    mr_bytes_printf(out, "\n%s\n", words);
}

static void text_row(const mr_batch *batch, mr_bytes *out)
{
    mr_bytes_append_text(out, "  ");
    for (uint32_t i = 0; i < batch->schema->field_count; i++) {
        mr_bytes_printf(out, "%s%s ", i > 0 ? ", " : "", batch->schema->fields[i].name);
        write_cell(batch, (int)i, out);
    }
    mr_bytes_append_byte(out, '\n');
}

static void text_time(int64_t us, mr_bytes *out)
{
    char text[MR_TIME_TEXT_MAX];
    mr_bytes_append(out, text, mr_time_format(us, text));
}

static void text_record(why *self, mr_bytes *out)
{
    mr_bytes_printf(out, "%s %" PRIu64 ", decided by pipeline %s, stored ", self->topic,
                    self->offset, self->pipeline);
    text_time(self->block.append_us, out);
    mr_bytes_append_byte(out, '\n');
    text_heading(out, "what came in");
    if (self->origin_known)
        mr_bytes_printf(out, "  record %" PRIu64 " of %s/%u, position %" PRIu64 "\n",
                        self->origin.offset, self->origin.source, self->origin.partition,
                        self->origin.position);
    if (self->record != NULL)
        text_row(self->record, out);
    else
        mr_bytes_printf(out, "  not shown: %s\n", self->record_error.text);
}

static void text_columns(const why *self, const char *stage, const char *heading, mr_bytes *out)
{
    bool any = false;
    for (size_t i = 0; i < self->column_count; i++) {
        const why_column *column = &self->columns[i];
        mr_bytes value = {0};
        if (strcmp(column->stage, stage) != 0)
            continue;
        if (!any)
            text_heading(out, heading);
        any = true;
        write_cell(self->frame, why_find(self->frame, column->name), &value);
        mr_bytes_printf(out, "  %-28s %-20.*s %s\n", column->name, (int)value.size,
                        (const char *)value.data, column->text);
        out->failed = out->failed || value.failed;
        mr_bytes_deinit(&value);
    }
}

static void text_event(const char *what, const why_event *event, mr_bytes *out)
{
    if (!event->found)
        return;
    mr_bytes_printf(out, "  %s ", what);
    text_time(event->at_us, out);
    mr_bytes_printf(out, " by %s", event->who);
    if (strcmp(event->kind, "alias") == 0 && event->from_version != 0)
        mr_bytes_printf(out, ", as %s instead of version %" PRIu64, event->alias,
                        event->from_version);
    else if (event->alias[0] != '\0')
        mr_bytes_printf(out, ", as %s", event->alias);
    mr_bytes_printf(out, "%s%s (event %" PRIu64 ")\n", event->why[0] != '\0' ? ": " : "",
                    event->why, event->offset);
}

/* "topic payments/0 [0, 4000)", "file rows.csv, sha256 1f3a..." */
static void text_source(const mr_yaml *source, mr_bytes *out)
{
    mr_bytes_append_text(out, "  trained on");
    for (const mr_yaml *child = source->first; child != NULL; child = child->next)
        mr_bytes_printf(out, "%s %s %s", child != source->first ? "," : "", child->key,
                        child->kind == MR_YAML_SCALAR ? child->text : "...");
    mr_bytes_append_byte(out, '\n');
}

static mr_status text_facts(why *self, mr_bytes *out, mr_error *err)
{
    mr_yaml *facts = NULL;
    if (self->facts == NULL || self->facts[0] == '\0')
        return MR_OK;
    MR_TRY(
        mr_yaml_parse(self->facts, strlen(self->facts), "model.yaml", &self->arena, &facts, err));
    const mr_yaml *data = mr_yaml_get(facts, "training_data");
    for (const mr_yaml *source = data != NULL ? data->first : NULL; source != NULL;
         source = source->next)
        text_source(source, out);
    if (data == NULL && mr_facts_text(facts, "data") != NULL)
        mr_bytes_printf(out, "  trained on %s\n", mr_facts_text(facts, "data"));
    return MR_OK;
}

static void text_version(const why_version *version, mr_bytes *out)
{
    mr_bytes_append_text(out, version->ref.name);
    if (version->ref.version != 0)
        mr_bytes_printf(out, "/%" PRIu64, version->ref.version);
}

static mr_status text_model(why *self, mr_bytes *out, mr_error *err)
{
    if (self->decider < 0)
        return MR_OK;
    const why_version *version = &self->versions[self->decider];
    text_heading(out, "model");
    mr_bytes_append_text(out, "  ");
    text_version(version, out);
    mr_bytes_printf(out, ", %s", version->role);
    if (version->ref.hash[0] != '\0')
        mr_bytes_printf(out, ", content %.12s", version->ref.hash);
    mr_bytes_append_byte(out, '\n');
    text_event("put there", &self->placed, out);
    if (!self->placed.found && version->ref.version != 0)
        mr_bytes_append_text(out, "  put there by the pipeline's file\n");
    text_event("published", &self->published, out);
    return text_facts(self, out, err);
}

static void text_scores(const why *self, mr_bytes *out)
{
    if (self->version_count == 0)
        return;
    text_heading(out, "scores");
    for (size_t i = 0; i < self->version_count; i++) {
        const why_version *version = &self->versions[i];
        mr_bytes_printf(out, "  %-8s ", version->role);
        text_version(version, out);
        mr_bytes_append_text(out, "  ");
        if (version->verdict.scores == NULL)
            mr_bytes_printf(out, "says nothing: %s", version->error.text);
        for (uint32_t c = 0;
             version->verdict.scores != NULL && c < version->verdict.scores->schema->field_count;
             c++) {
            mr_bytes_printf(out, "%s%s ", c > 0 ? ", " : "",
                            version->verdict.scores->schema->fields[c].name);
            write_cell(version->verdict.scores, (int)c, out);
        }
        if ((int)i == self->decider)
            mr_bytes_append_text(out, "  <- decided");
        if (version->recorded) {
            mr_bytes_append_text(out, "  recorded then: ");
            write_recorded(version, out);
            mr_bytes_append_text(out,
                                 version->recorded_flip ? ", would have decided otherwise" : "");
        }
        mr_bytes_append_byte(out, '\n');
    }
}

static mr_status text_reasons(why *self, mr_bytes *out, mr_error *err)
{
    const why_version *version = decider_with_reasons(self);
    size_t count;
    double base;
    if (version == NULL || self->reasons_max == 0)
        return MR_OK;
    const reason *reasons = weigh(self, version, &count, &base);
    if (reasons == NULL)
        return MR_OUT_OF_MEMORY(err);
    text_heading(out, "reasons: what each input adds to the margin");
    for (size_t i = 0; i < count; i++) {
        mr_bytes_printf(out, "  %+.6f  %s = ", reasons[i].adds,
                        version->model->signature.input_names[reasons[i].input]);
        write_cell(self->frame, input_column(self, version, reasons[i].input), out);
        mr_bytes_append_byte(out, '\n');
    }
    mr_bytes_printf(out, "  %+.6f  without any\n", base);
    return MR_OK;
}

static mr_status text_rules(const why *self, mr_bytes *out, mr_error *err)
{
    mr_bytes rule = {0};
    mr_status status = MR_OK;
    bool any = false;
    for (size_t i = 0; i < self->column_count && status == MR_OK; i++) {
        const why_column *column = &self->columns[i];
        if (strcmp(column->stage, "decide") != 0)
            continue;
        if (!any)
            text_heading(out, "decided");
        any = true;
        status = rule_of(self, column, &rule, err);
        mr_bytes_printf(out, "  %s = ", column->name);
        write_cell(self->frame, why_find(self->frame, column->name), out);
        if (rule.size > 0)
            mr_bytes_printf(out, ", for %.*s", (int)rule.size, (const char *)rule.data);
        mr_bytes_printf(out, "\n    of %s\n", column->text);
    }
    mr_bytes_deinit(&rule);
    return status;
}

static void text_replay(why *self, mr_bytes *out)
{
    if (!self->replayed)
        return;
    text_heading(out, "replay");
    mr_bytes_printf(out,
                    "  positions %" PRIu64 " to %" PRIu64 " again, from position %" PRIu64
                    " on: %u rows\n",
                    self->decision.first, self->decision.next - 1, self->again.started,
                    self->again.rows->row_count);
    if (self->again.plan_then != mr_plan_hash(self->running.plan))
        mr_bytes_append_text(out, "  the pipeline's file has changed since\n");
    if (self->agrees)
        mr_bytes_append_text(out, "  the bytes agree\n");
    else
        mr_bytes_printf(out,
                        "  the bytes DIFFER: the topic holds %u rows; columns that differ: %s\n",
                        self->block.batch->row_count,
                        self->differing.size > 0 ? mr_bytes_text(&self->differing) : "none");
}

mr_status why_print_text(why *self, mr_error *err)
{
    mr_bytes out = {0};
    text_record(self, &out);
    text_columns(self, "derive", "derived", &out);
    text_columns(self, "features", "features", &out);
    mr_status status = text_model(self, &out, err);
    text_scores(self, &out);
    if (status == MR_OK)
        status = text_reasons(self, &out, err);
    if (status == MR_OK)
        status = text_rules(self, &out, err);
    text_replay(self, &out);
    if (status == MR_OK && out.failed)
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        mr_output_bytes(&self->session->out, out.data, out.size);
    mr_bytes_deinit(&out);
    return status;
}

/* ---- JSON ---- */

static void json_text(mr_bytes *out, const char *key, const char *text)
{
    mr_bytes_printf(out, "\"%s\":", key);
    mr_encode_json_text(text, strlen(text), out);
}

static void json_row(const mr_batch *batch, mr_bytes *out)
{
    mr_bytes_append_byte(out, '{');
    for (uint32_t i = 0; i < batch->schema->field_count; i++) {
        if (i > 0)
            mr_bytes_append_byte(out, ',');
        mr_encode_json_text(batch->schema->fields[i].name, strlen(batch->schema->fields[i].name),
                            out);
        mr_bytes_append_byte(out, ':');
        write_cell(batch, (int)i, out);
    }
    mr_bytes_append_byte(out, '}');
}

static void json_time(mr_bytes *out, const char *key, int64_t us)
{
    char text[MR_TIME_TEXT_MAX];
    mr_bytes_printf(out, "\"%s\":", key);
    mr_encode_json_text(text, mr_time_format(us, text), out);
}

static void json_record(const why *self, mr_bytes *out)
{
    json_text(out, "topic", self->topic);
    mr_bytes_printf(out, ",\"offset\":%" PRIu64 ",", self->offset);
    json_text(out, "pipeline", self->pipeline);
    mr_bytes_append_byte(out, ',');
    json_time(out, "stored", self->block.append_us);
    mr_bytes_append_text(out, ",\"decision\":");
    json_row(self->row, out);
    if (self->origin_known) {
        mr_bytes_printf(out, ",\"position\":%" PRIu64 ",", self->origin.position);
        json_text(out, "source", self->origin.source);
        mr_bytes_printf(out, ",\"source_partition\":%u,\"source_offset\":%" PRIu64,
                        self->origin.partition, self->origin.offset);
    }
    mr_bytes_append_text(out, ",\"record\":");
    if (self->record != NULL)
        json_row(self->record, out);
    else
        mr_bytes_append_text(out, "null");
}

static mr_status json_column(const why *self, const why_column *column, mr_bytes *out,
                             mr_error *err)
{
    mr_bytes rule = {0};
    mr_bytes_append_byte(out, '{');
    json_text(out, "name", column->name);
    mr_bytes_append_byte(out, ',');
    json_text(out, "stage", column->stage);
    if (column->view != NULL) {
        mr_bytes_append_byte(out, ',');
        json_text(out, "view", column->view);
    }
    mr_bytes_append_byte(out, ',');
    json_text(out, "definition", column->text);
    mr_bytes_append_text(out, ",\"value\":");
    write_cell(self->frame, why_find(self->frame, column->name), out);
    mr_status status =
        strcmp(column->stage, "decide") == 0 ? rule_of(self, column, &rule, err) : MR_OK;
    if (rule.size > 0) {
        mr_bytes_append_text(out, ",\"rule\":");
        mr_encode_json_text(rule.data, rule.size, out);
    }
    mr_bytes_deinit(&rule);
    mr_bytes_append_byte(out, '}');
    return status;
}

static mr_status json_columns(const why *self, mr_bytes *out, mr_error *err)
{
    mr_status status = MR_OK;
    mr_bytes_append_text(out, ",\"columns\":[");
    for (size_t i = 0; i < self->column_count && status == MR_OK; i++) {
        mr_bytes_append_text(out, i > 0 ? "," : "");
        status = json_column(self, &self->columns[i], out, err);
    }
    mr_bytes_append_byte(out, ']');
    return status;
}

static void json_event(const char *key, const why_event *event, mr_bytes *out)
{
    if (!event->found)
        return;
    mr_bytes_printf(out, ",\"%s\":{", key);
    json_time(out, "at", event->at_us);
    mr_bytes_append_byte(out, ',');
    json_text(out, "who", event->who);
    mr_bytes_append_byte(out, ',');
    json_text(out, "why", event->why);
    mr_bytes_append_byte(out, ',');
    json_text(out, event->kind, event->alias);
    mr_bytes_printf(out, ",\"from_version\":%" PRIu64 ",\"event\":%" PRIu64 "}",
                    event->from_version, event->offset);
}

static void json_version(const why *self, size_t index, mr_bytes *out)
{
    const why_version *version = &self->versions[index];
    mr_bytes_append_byte(out, '{');
    json_text(out, "role", version->role);
    mr_bytes_append_byte(out, ',');
    json_text(out, "model", version->ref.name);
    mr_bytes_printf(out, ",\"version\":%" PRIu64 ",", version->ref.version);
    json_text(out, "content", version->ref.hash);
    mr_bytes_printf(out, ",\"decided\":%s", (int)index == self->decider ? "true" : "false");
    mr_bytes_append_text(out, ",\"scores\":");
    if (version->verdict.scores != NULL)
        json_row(version->verdict.scores, out);
    else
        mr_bytes_append_text(out, "null");
    if (version->verdict.scores == NULL) {
        mr_bytes_append_byte(out, ',');
        json_text(out, "error", version->error.text);
    }
    if (version->recorded) {
        mr_bytes_append_text(out, ",\"recorded\":");
        write_recorded(version, out);
    }
    if (version->recorded)
        mr_bytes_printf(out, ",\"flip\":%s", version->recorded_flip ? "true" : "false");
    mr_bytes_append_byte(out, '}');
}

static mr_status json_reasons(why *self, mr_bytes *out, mr_error *err)
{
    const why_version *version = decider_with_reasons(self);
    size_t count;
    double base;
    if (version == NULL)
        return MR_OK;
    const reason *reasons = weigh(self, version, &count, &base);
    if (reasons == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_bytes_append_text(out, ",\"reasons\":[");
    for (size_t i = 0; i < count; i++) {
        mr_bytes_append_text(out, i > 0 ? ",{" : "{");
        json_text(out, "input", version->model->signature.input_names[reasons[i].input]);
        mr_bytes_append_text(out, ",\"value\":");
        write_cell(self->frame, input_column(self, version, reasons[i].input), out);
        mr_bytes_printf(out, ",\"adds\":%.17g}", reasons[i].adds);
    }
    mr_bytes_printf(out, "],\"base\":%.17g", base);
    return MR_OK;
}

static void json_replay(why *self, mr_bytes *out)
{
    if (!self->replayed)
        return;
    mr_bytes_printf(out,
                    ",\"replay\":{\"agrees\":%s,\"first\":%" PRIu64 ",\"next\":%" PRIu64
                    ",\"rows\":%u,\"rows_stored\":%u,\"started\":%" PRIu64 ",\"same_plan\":%s,",
                    self->agrees ? "true" : "false", self->decision.first, self->decision.next,
                    self->again.rows->row_count, self->block.batch->row_count, self->again.started,
                    self->again.plan_then == mr_plan_hash(self->running.plan) ? "true" : "false");
    json_text(out, "differing", self->differing.size > 0 ? mr_bytes_text(&self->differing) : "");
    mr_bytes_append_byte(out, '}');
}

mr_status why_print_json(why *self, mr_error *err)
{
    mr_bytes out = {0};
    mr_bytes_append_byte(&out, '{');
    json_record(self, &out);
    mr_status status = json_columns(self, &out, err);
    json_event("placed", &self->placed, &out);
    json_event("published", &self->published, &out);
    if (self->facts != NULL && self->facts[0] != '\0')
        mr_bytes_printf(&out, ",\"facts\":%s", self->facts);
    mr_bytes_append_text(&out, ",\"versions\":[");
    for (size_t i = 0; i < self->version_count; i++) {
        mr_bytes_append_text(&out, i > 0 ? "," : "");
        json_version(self, i, &out);
    }
    mr_bytes_append_byte(&out, ']');
    if (status == MR_OK)
        status = json_reasons(self, &out, err);
    json_replay(self, &out);
    mr_bytes_append_text(&out, "}\n");
    if (status == MR_OK && out.failed)
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK)
        mr_output_bytes(&self->session->out, out.data, out.size);
    mr_bytes_deinit(&out);
    return status;
}
