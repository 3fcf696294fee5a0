/* model_push.c -- `millrace model push`: a file or folder becomes the next version of a model. */
#include "cmd/ingest.h"
#include "cmd/model_session.h"
#include "cmd/rows.h"
#include "cmd/source.h"
#include "cmd/verb.h"

#include "base/assert.h"
#include "base/number.h"
#include "model/artifact.h"
#include "os/process.h"
#include "registry/compose.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GOLDEN_BYTES_MAX MR_ARTIFACT_GOLDEN_BYTES_MAX

typedef struct push {
    mr_model_session models;
    mr_session *session;
    mr_model *model;
    mr_schema *inputs;
    mr_batch *golden_rows, *profile_rows;
    mr_bytes golden_text;
    mr_list data_items, metric_items;
    mr_bytes data, metrics; /* of mr_compose_data, mr_compose_metric */
    mr_compose_options compose;
    char folder[MR_PATH_MAX];
} push;

/* ---- rows ---- */

static mr_status read_rows(push *self, const char *source, mr_batch **out, mr_error *err)
{
    uint64_t refused = 0;
    mr_rows_options options = {.schema = mr_source_is_file(source) ? self->inputs : NULL,
                               .from_us = INT64_MIN,
                               .until_us = INT64_MAX};
    MR_TRY(mr_rows_read(self->session, source, &options, out, &refused, err));
    if (refused > 0)
        return MR_FAIL(err, MR_INVALID, "%" PRIu64 " records of %s were refused", refused, source);
    return MR_OK;
}

static bool has_results(const mr_bytes *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->size);
    return text->size > 0 &&
           memchr(text->data, '!', end != NULL ? (size_t)(end - text->data) : text->size) != NULL;
}

/* A file whose header has results is the golden text itself; other rows are scored now. */
static mr_status read_golden(push *self, mr_error *err)
{
    const char *source = mr_arguments_text(&self->session->arguments, "golden");
    if (source == NULL)
        return MR_OK;
    if (mr_fs_exists(self->session->fs, source))
        MR_TRY(
            mr_fs_read_file(self->session->fs, source, GOLDEN_BYTES_MAX, &self->golden_text, err));
    if (!has_results(&self->golden_text)) {
        MR_TRY(read_rows(self, source, &self->golden_rows, err));
        self->compose.golden_rows = self->golden_rows;
        return MR_OK;
    }
    self->compose.golden_text = self->golden_text.data;
    self->compose.golden_bytes = self->golden_text.size;
    return MR_OK;
}

static mr_status read_profile(push *self, mr_error *err)
{
    const char *source = mr_arguments_text(&self->session->arguments, "profile");
    if (source == NULL)
        return MR_OK;
    MR_TRY(read_rows(self, source, &self->profile_rows, err));
    self->compose.profile_rows = self->profile_rows;
    return MR_OK;
}

/* ---- --data ---- */

/* "12-34" */
static bool read_range(const char *text, uint64_t *out_first, uint64_t *out_end)
{
    int64_t first, end;
    const char *dash = strchr(text, '-');
    if (dash == NULL || !mr_number_is_int64(text, (size_t)(dash - text), &first) ||
        !mr_number_is_int64(dash + 1, strlen(dash + 1), &end) || first < 0 || end < first)
        return false;
    *out_first = (uint64_t)first;
    *out_end = (uint64_t)end;
    return true;
}

static void add_data(push *self, const mr_compose_data *data)
{
    mr_bytes_append(&self->data, data, sizeof *data);
}

/* All that a topic holds now. */
static mr_status add_whole_topic(push *self, const char *name, mr_error *err)
{
    mr_topic *topic;
    MR_TRY(mr_topic_open(self->models.log, name, &topic, err));
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < mr_topic_partitions(topic); i++) {
        mr_partition_stat stat;
        status = mr_topic_stat(topic, i, &stat, err);
        if (status == MR_OK)
            add_data(self, &(mr_compose_data){.topic = name,
                                              .partition = i,
                                              .first_offset = stat.first_offset,
                                              .end_offset = stat.end_offset});
    }
    mr_topic_close(topic);
    return status;
}

/* A file, TOPIC, TOPIC@FIRST-END or TOPIC:PARTITION@FIRST-END. */
static mr_status read_data_item(push *self, char *item, mr_error *err)
{
    mr_compose_data data = {0};
    int64_t partition = 0;
    char *at = strrchr(item, '@'), *colon;
    if (mr_fs_exists(self->session->fs, item)) {
        data.file = item;
        add_data(self, &data);
        return MR_OK;
    }
    if (at == NULL)
        return add_whole_topic(self, item, err);
    *at = '\0';
    colon = strchr(item, ':');
    if (colon != NULL)
        *colon = '\0';
    data.topic = item;
    if (!read_range(at + 1, &data.first_offset, &data.end_offset) ||
        (colon != NULL && !mr_number_is_int64(colon + 1, strlen(colon + 1), &partition)) ||
        partition < 0 || partition >= MR_TOPIC_PARTITIONS_MAX)
        return MR_FAIL(err, MR_INVALID,
                       "--data has '%s@%s', but wants a file, TOPIC, or "
                       "TOPIC[:PARTITION]@FIRST-END, where END is one past the last offset",
                       item, at + 1);
    data.partition = (uint32_t)partition;
    add_data(self, &data);
    return MR_OK;
}

/* ---- --metric ---- */

/* "auc=0.93" is of the split `validation`; "test.auc=0.91" names its own. */
static mr_status read_metric(push *self, char *item, mr_error *err)
{
    mr_compose_metric metric = {.split = "validation", .name = item};
    char *equals = strchr(item, '=');
    if (equals == NULL || !mr_number_is_float64(equals + 1, strlen(equals + 1), &metric.value))
        return MR_FAIL(err, MR_INVALID, "--metric has '%s', but wants [SPLIT.]NAME=NUMBER", item);
    *equals = '\0';
    char *dot = strchr(item, '.');
    if (dot != NULL) {
        *dot = '\0';
        metric.split = item;
        metric.name = dot + 1;
    }
    mr_bytes_append(&self->metrics, &metric, sizeof metric);
    return MR_OK;
}

/* Those of one split stand behind each other; the first of a split keeps its place. */
static void group_metrics(mr_compose_metric *metrics, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j < count; j++)
            if (strcmp(metrics[j].split, metrics[i - 1].split) == 0) {
                mr_compose_metric moved = metrics[j];
                memmove(&metrics[i + 1], &metrics[i], (j - i) * sizeof *metrics);
                metrics[i] = moved;
                break;
            }
}

static char *item_at(const mr_list *list, size_t i)
{
    return list->text + (list->items[i] - list->text);
}

static mr_status read_facts(push *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    MR_TRY(mr_list_parse(&self->data_items, mr_arguments_text(arguments, "data"), err));
    MR_TRY(mr_list_parse(&self->metric_items, mr_arguments_text(arguments, "metric"), err));
    for (size_t i = 0; i < self->data_items.count; i++)
        MR_TRY(read_data_item(self, item_at(&self->data_items, i), err));
    for (size_t i = 0; i < self->metric_items.count; i++)
        MR_TRY(read_metric(self, item_at(&self->metric_items, i), err));
    if (self->data.failed || self->metrics.failed)
        return MR_OUT_OF_MEMORY(err);
    self->compose.data = (const mr_compose_data *)(const void *)self->data.data;
    self->compose.data_count = self->data.size / sizeof(mr_compose_data);
    self->compose.metric_count = self->metrics.size / sizeof(mr_compose_metric);
    self->compose.metrics = (const mr_compose_metric *)(const void *)self->metrics.data;
    group_metrics((mr_compose_metric *)(void *)self->metrics.data, self->compose.metric_count);
    self->compose.description = mr_arguments_text(arguments, "description");
    return MR_OK;
}

/* ---- the report ---- */

static mr_status report(push *self, const mr_registry_ref *ref, bool is_new, mr_error *err)
{
    const char *alias = mr_arguments_text(&self->session->arguments, "alias");
    mr_bytes line = {0};
    if (self->session->json) {
        mr_bytes_printf(&line, "{\"version\":%" PRIu64 ",\"new\":%s", ref->version,
                        is_new ? "true" : "false");
        mr_model_json_text(&line, "name", ref->name);
        mr_model_json_text(&line, "hash", ref->hash);
        mr_model_json_text(&line, "artifact", ref->folder);
        if (alias != NULL)
            mr_model_json_text(&line, "alias", alias);
        mr_status status = mr_model_json_end(self->session, &line, err);
        mr_bytes_deinit(&line);
        return status;
    }
    mr_output_printf(&self->session->out, "%s/%" PRIu64 "%s\n", ref->name, ref->version,
                     is_new ? "" : " is this artifact already");
    mr_session_say(self->session, "%s, %u inputs, artifact %.12s%s%s%s", self->model->kind->name,
                   self->model->signature.input_count, ref->hash, alias != NULL ? "; " : "",
                   alias != NULL ? alias : "", alias != NULL ? " points to it" : "");
    return MR_OK;
}

/* ---- the verb ---- */

static mr_status make_and_publish(push *self, const char *name, const char *path, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    mr_registry_publish_options options = {.description =
                                               mr_arguments_text(arguments, "description"),
                                           .alias = mr_arguments_text(arguments, "alias"),
                                           .why = mr_arguments_text(arguments, "why"),
                                           .source = path};
    mr_registry_ref ref;
    bool is_new = false;
    (void)snprintf(self->folder, sizeof self->folder, "%.2000s/registry/push-%d",
                   self->session->home, mr_process_id());
    MR_TRY(mr_fs_remove_tree(self->session->fs, self->folder, err));
    MR_TRY(mr_compose(self->session->fs, path, &self->compose, self->folder, err));
    MR_TRY(mr_registry_publish(self->models.registry, name, self->folder, &options, &ref, &is_new,
                               err));
    return report(self, &ref, is_new, err);
}

static mr_status push_model(push *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    const char *name = mr_arguments_operand(arguments, 0),
               *path = mr_arguments_operand(arguments, 1);
    MR_TRY(mr_model_open(self->session->fs, path, NULL, &self->model, err));
    MR_TRY(mr_artifact_inputs(self->model, &self->inputs, err));
    MR_TRY(mr_model_session_open(&self->models, self->session, true, err));
    MR_TRY(read_golden(self, err));
    MR_TRY(read_profile(self, err));
    MR_TRY(read_facts(self, err));
    return make_and_publish(self, name, path, err);
}

static mr_status push_run(mr_session *session, mr_error *err)
{
    push self = {.session = session};
    mr_process_catch_signals();
    mr_status status = push_model(&self, err);
    if (self.folder[0] != '\0')
        (void)mr_fs_remove_tree(session->fs, self.folder, NULL);
    mr_model_session_close(&self.models);
    mr_model_close(self.model);
    mr_schema_release(self.inputs);
    mr_batch_release(self.golden_rows);
    mr_batch_release(self.profile_rows);
    mr_bytes_deinit(&self.golden_text);
    mr_bytes_deinit(&self.data);
    mr_bytes_deinit(&self.metrics);
    mr_list_deinit(&self.data_items);
    mr_list_deinit(&self.metric_items);
    return status;
}

static const struct mr_operand operands[] = {
    {"NAME", false, false, "the model's name: letters, digits, . _ -"},
    {"FILE|DIR", false, false, "a model file, or a folder as `train` writes it"},
    {0},
};

static const struct mr_option options[] = {
    {"alias", 'a', "ALIAS", NULL, NULL, "an alias to move to it, as champion or challenger"},
    {"description", '\0', "TEXT", NULL, NULL, "what this version is"},
    {"golden", '\0', "FILE", NULL, NULL,
     "rows that it will be held to: CSV with the inputs, and with results (!margin, !score) if "
     "they "
     "are known"},
    {"profile", '\0', "FILE", NULL, NULL,
     "the training data, a file or topic: its distribution is kept, and golden rows are taken from "
     "it"},
    {"data", '\0', "ITEM,...", NULL, NULL,
     "what it was trained on: files (kept by hash), TOPIC, or TOPIC[:PARTITION]@FIRST-END"},
    {"metric", '\0', "NAME=NUMBER,...", NULL, NULL,
     "how good it is, as auc=0.93 (of validation) or test.auc=0.91"},
    MR_MODEL_WHY_OPTION,
    MR_INGEST_OPTIONS,
    {0},
};

static const mr_example examples[] = {
    {"millrace model push fraud model --alias champion --why \"first\"",
     "what `train --out model` wrote, used at once by whoever asks for fraud"},
    {"millrace model push fraud fraud.onnx --profile train.csv --data train.csv --metric auc=0.93",
     "a file from elsewhere, with what is known of it"},
    {0},
};

static const mr_verb_exit exits[] = {
    {4, "model.yaml says already what an option says"},
    {5, "this artifact is a version that was retired"},
    {6, "it does not give the results of its golden rows, or is damaged"},
    {11, "no family of models that is known, or it uses what is not supported"},
    {0},
};

const struct mr_verb mr_verb_model_push = {
    .name = "model push",
    .summary = "publish a model as the next version of a name",
    .about =
        "The model, what it says of itself, rows that prove it, and the profile of its training "
        "data become "
        "an artifact: a folder that is named by the hash of its content and never changes. A model "
        "that does "
        "not reproduce its golden rows is refused. The same artifact again is the same version.",
    .operands = operands,
    .options = options,
    .examples = examples,
    .exits = exits,
    .run = push_run,
};
