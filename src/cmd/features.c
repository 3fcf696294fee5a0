/* features.c -- `millrace features`: the online values of feature views. */
#include "cmd/running.h"
#include "cmd/verb.h"
#include "data/encoder.h"

#include <string.h>

/* ---- get ---- */

static void print_json(mr_session *session, const mr_batch *values)
{
    mr_encoder_options encoder = {.format = MR_FORMAT_JSONL};
    mr_bytes text = {0};
    mr_encode_rows(&encoder, values, 0, values->row_count, &text);
    mr_output_bytes(&session->out, text.data, text.size);
    mr_bytes_deinit(&text);
}

static void print_table(mr_session *session, const mr_batch *values)
{
    for (uint32_t i = 0; i < values->schema->field_count; i++) {
        mr_bytes value = {0};
        mr_encode_json_value(&values->columns[i], 0, &value);
        mr_output_printf(&session->out, "%-32s %.*s\n", values->schema->fields[i].name,
                         (int)value.size, (const char *)value.data);
        mr_bytes_deinit(&value);
    }
}

static mr_status get_values(mr_running *running, mr_error *err)
{
    mr_session *session = running->session;
    mr_batch *values = NULL;
    MR_TRY(mr_pipeline_features_at_rest(
        running->plan, &running->options, mr_arguments_operand(&session->arguments, 0),
        mr_arguments_operand(&session->arguments, 1), &values, err));
    (session->json ? print_json : print_table)(session, values);
    mr_batch_release(values);
    return MR_OK;
}

static mr_status with_plan(mr_session *session, mr_status (*body)(mr_running *, mr_error *),
                           mr_error *err)
{
    mr_running running = {0};
    mr_bytes path = {0};
    const char *name = mr_arguments_text(&session->arguments, "pipeline");
    mr_status status;
    MR_GOTO(done, status, mr_running_find(session, name, &path, err));
    MR_GOTO(done, status,
            mr_running_load(&running, session, (const char *)path.data, "features", false, err));
    status = body(&running, err);
done:
    mr_running_close(&running);
    mr_bytes_deinit(&path);
    return status;
}

static mr_status get_run(mr_session *session, mr_error *err)
{
    return with_plan(session, get_values, err);
}

static const struct mr_operand get_operands[] = {
    {"VIEW", false, false, "a feature view of the pipeline"},
    {"KEY", false, false, "the entity, as in CSV; several key columns are joined by commas"},
    {0},
};

static const struct mr_option feature_options[] = {
    {"pipeline", 'p', "FILE", NULL, NULL,
     "the pipeline's file, or its name when it has run in this home; not needed when there is only "
     "one"},
    {0},
};

static const mr_example get_examples[] = {
    {"millrace features get customer 4711", "what is known of a customer now"},
    {0},
};

static const mr_verb_exit get_exits[] = {
    {3, "no such view"},
    {0},
};

const struct mr_verb mr_verb_features_get = {
    .name = "features get",
    .summary = "show the feature values of one key",
    .about = "Values are as of the last finished micro-batch, whether the pipeline runs or not. A "
             "key that was never seen has those of an empty window.",
    .operands = get_operands,
    .options = feature_options,
    .examples = get_examples,
    .exits = get_exits,
    .run = get_run,
};

/* ---- list ---- */

static void print_keys(mr_output *output, const mr_plan_view *view)
{
    for (size_t i = 0; i < view->key_count; i++)
        mr_output_printf(output, "%s%s", i > 0 ? "," : "",
                         view->source->fields[view->key_columns[i]].name);
}

static void list_view_text(mr_session *session, const mr_plan_view *view)
{
    char type[32];
    mr_output_printf(&session->out, "%s (key ", view->name);
    print_keys(&session->out, view);
    mr_output_text(&session->out, ")\n");
    for (uint32_t i = 0; i < view->feature_count; i++)
        mr_output_printf(&session->out, "  %-32s %s\n", view->features[i].name,
                         mr_type_format(view->features[i].type, type));
}

static void list_view_json(mr_session *session, const mr_plan_view *view)
{
    char type[32];
    mr_output_printf(&session->out, "{\"view\":\"%s\",\"key\":\"", view->name);
    print_keys(&session->out, view);
    mr_output_text(&session->out, "\",\"features\":{");
    for (uint32_t i = 0; i < view->feature_count; i++)
        mr_output_printf(&session->out, "%s\"%s\":\"%s\"", i > 0 ? "," : "", view->features[i].name,
                         mr_type_format(view->features[i].type, type));
    mr_output_text(&session->out, "}}\n");
}

static mr_status list_views(mr_running *running, mr_error *err)
{
    mr_plan_view view;
    (void)err;
    for (size_t i = 0; mr_plan_view_get(running->plan, i, &view); i++)
        (running->session->json ? list_view_json : list_view_text)(running->session, &view);
    return MR_OK;
}

static mr_status list_run(mr_session *session, mr_error *err)
{
    return with_plan(session, list_views, err);
}

const struct mr_verb mr_verb_features_list = {
    .name = "features list",
    .summary = "list the feature views of a pipeline with their columns",
    .options = feature_options,
    .run = list_run,
};
