/* model_stats.c -- `millrace model stats`: what each version did while its pipeline ran. */
#include "cmd/running.h"
#include "cmd/verb.h"
#include "data/yaml.h"
#include "model/facts.h"

#include <stdio.h>
#include <string.h>

#define STATS_BYTES_MAX (4u << 20)

/* ---- finding the file ---- */

static mr_status read_stats(mr_session *session, const char *pipeline, mr_bytes *out, mr_error *err)
{
    char path[MR_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/pipelines/%s/models.json", session->home, pipeline);
    mr_status status = mr_fs_read_file(session->fs, path, STATS_BYTES_MAX, out, err);
    if (status == MR_NOT_FOUND)
        return MR_FAIL(err, MR_NOT_FOUND,
                       "pipeline %s has no figures of models: it has not run in this home, or "
                       "scores nothing",
                       pipeline);
    return status;
}

/* ---- text ---- */

static const char *text_of(const mr_yaml *node, const char *key)
{
    const char *text = mr_facts_text(node, key);
    return text != NULL ? text : "";
}

static void print_entry(mr_session *session, const mr_yaml *entry)
{
    const mr_yaml *record = mr_yaml_get(entry, "record_ns");
    const mr_yaml *batch = mr_yaml_get(entry, "micro_batch_ns");
    const mr_yaml *scores = mr_yaml_get(entry, "scores");
    const mr_yaml *parts = mr_yaml_get(scores, "twentieths");
    mr_output *out = &session->out;
    bool plays = strcmp(text_of(entry, "plays"), "true") == 0;
    bool file = strcmp(text_of(entry, "version"), "0") == 0;
    mr_output_printf(out, "%s%s%s, %s%s, since %s (position %s): %s records\n",
                     text_of(entry, "model"), file ? "" : "/",
                     file ? "" : text_of(entry, "version"), text_of(entry, "role"),
                     plays ? "" : ", plays no more", text_of(entry, "since"),
                     text_of(entry, "since_position"), text_of(entry, "records"));
    mr_output_printf(
        out, "  a record      %s ns at least, p50 %s, p90 %s, p99 %s, p99.9 %s, %s at most\n",
        text_of(record, "min"), text_of(record, "p50"), text_of(record, "p90"),
        text_of(record, "p99"), text_of(record, "p999"), text_of(record, "max"));
    mr_output_printf(out,
                     "  a micro-batch %s ns at least, p50 %s, p90 %s, p99 %s, p99.9 %s, %s at "
                     "most; %s of them\n",
                     text_of(batch, "min"), text_of(batch, "p50"), text_of(batch, "p90"),
                     text_of(batch, "p99"), text_of(batch, "p999"), text_of(batch, "max"),
                     text_of(batch, "count"));
    mr_output_printf(out, "  scores        %s to %s, mean %s; in twentieths of [0, 1]:",
                     text_of(scores, "min"), text_of(scores, "max"), text_of(scores, "mean"));
    for (const mr_yaml *part = parts != NULL ? parts->first : NULL; part != NULL; part = part->next)
        mr_output_printf(out, " %s", part->text);
    mr_output_printf(out, "; below %s, above %s, none %s\n", text_of(scores, "below_0"),
                     text_of(scores, "above_1"), text_of(scores, "none"));
}

static mr_status print_text(mr_session *session, const mr_bytes *text, mr_error *err)
{
    mr_arena arena;
    mr_yaml *root = NULL;
    mr_arena_init(&arena, 0);
    mr_status status =
        mr_yaml_parse((const char *)text->data, text->size, "models.json", &arena, &root, err);
    const mr_yaml *models = mr_yaml_get(root, "models");
    for (const mr_yaml *entry = models != NULL ? models->first : NULL; entry != NULL;
         entry = entry->next)
        print_entry(session, entry);
    mr_arena_deinit(&arena);
    return status;
}

/* ---- the verb ---- */

static mr_status stats_run(mr_session *session, mr_error *err)
{
    mr_bytes text = {0};
    const char *pipeline = mr_arguments_operand(&session->arguments, 0);
    char only[MR_RUNNING_NAME_BYTES];
    if (pipeline == NULL) {
        MR_TRY(mr_running_only(session, only, err));
        pipeline = only;
    }
    mr_status status = read_stats(session, pipeline, &text, err);
    if (status == MR_OK && session->json)
        mr_output_bytes(&session->out, text.data, text.size);
    else if (status == MR_OK)
        status = print_text(session, &text, err);
    mr_bytes_deinit(&text);
    return status;
}

static const struct mr_operand operands[] = {
    {"PIPELINE", true, false, "its name; not needed when only one has run in this home"},
    {0},
};

static const mr_example examples[] = {
    {"millrace model stats cards",
     "records, scoring times and scores of each version, while it runs or as it stopped"},
    {0},
};

const struct mr_verb mr_verb_model_stats = {
    .name = "model stats",
    .summary = "show what each version did in a pipeline: records, times, scores",
    .about = "Counted from the start of the pipeline's process, per version and role, and written "
             "two to three times a second. Times are wall time on all workers; a record's is its "
             "share of its micro-batch.",
    .operands = operands,
    .examples = examples,
    .run = stats_run,
};
