/* plan.c -- `millrace plan`: what a pipeline file compiles to. */
#include "cmd/verb.h"
#include "pipeline/pipeline.h"

static mr_status print_plan(mr_session *session, mr_log *log, mr_models *models, mr_error *err)
{
    mr_plan *plan = NULL;
    mr_bytes text = {0};
    MR_TRY(mr_plan_load(session->fs, log, models, mr_arguments_operand(&session->arguments, 0),
                        &plan, err));
    mr_plan_format(plan, session->json, &text);
    mr_output_bytes(&session->out, text.data, text.size);
    mr_status status = text.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
    mr_bytes_deinit(&text);
    mr_plan_release(plan);
    return status;
}

/* Topics without a schema in the file are looked up in the home, when there is one. */
static mr_status plan_run(mr_session *session, mr_error *err)
{
    mr_log *log = NULL;
    if (mr_fs_exists(session->fs, session->home))
        MR_TRY(mr_session_open_log(session, false, &log, err));
    mr_models *models = NULL;
    mr_status status = mr_session_models(session, log, "plan", &models, err);
    if (status == MR_OK)
        status = print_plan(session, log, models, err);
    mr_models_registry_close(models);
    mr_log_close(log);
    return status;
}

static const struct mr_operand operands[] = {
    {"FILE", false, false, "a pipeline (YAML)"},
    {0},
};

static const mr_example examples[] = {
    {"millrace plan pipeline.yaml",
     "check a pipeline without running it, and see its columns and stages"},
    {0},
};

static const mr_verb_exit exits[] = {
    {2, "the file is not right; the message names line and column"},
    {0},
};

const struct mr_verb mr_verb_plan = {
    .name = "plan",
    .summary = "check a pipeline file and show what it compiles to",
    .operands = operands,
    .examples = examples,
    .exits = exits,
    .run = plan_run,
};
