/* run.c -- `millrace run`: a pipeline at work until it is stopped, or its sources end. */
#include "base/time.h"
#include "cmd/running.h"
#include "cmd/verb.h"
#include "os/process.h"

#include <inttypes.h>
#include <string.h>

static mr_status read_options(const mr_arguments *arguments, mr_pipeline_options *options,
                              mr_error *err)
{
    int64_t workers = 0, rows = 0, interval_us = 0;
    const char *interval = mr_arguments_text(arguments, "checkpoint-interval");
    MR_TRY(mr_arguments_int(arguments, "workers", 1, 1024, &workers, err));
    MR_TRY(mr_arguments_int(arguments, "batch-rows", 1, 1 << 20, &rows, err));
    MR_TRY(mr_arguments_bytes(arguments, "memory", &options->memory_bytes, err));
    if (!mr_time_parse_duration(interval, strlen(interval), &interval_us, NULL) ||
        interval_us < 1000)
        return MR_FAIL(err, MR_INVALID,
                       "--checkpoint-interval is '%s', but must be a duration such as 10s or 5m",
                       interval);
    options->workers = (int)workers;
    options->batch_rows_max = (uint32_t)rows;
    options->checkpoint_interval_ms = interval_us / 1000;
    options->until_end = mr_arguments_flag(arguments, "until-end");
    options->skip_removed = mr_arguments_flag(arguments, "skip-removed");
    return MR_OK;
}

static void summarise(mr_running *running)
{
    mr_session *session = running->session;
    mr_pipeline_stats stats;
    mr_pipeline_stats_get(running->pipeline, &stats);
    if (session->json)
        mr_output_printf(&session->out,
                         "{\"pipeline\":\"%s\",\"records\":%" PRIu64 ",\"decisions\":%" PRIu64
                         ",\"dead_letters\":%" PRIu64 ",\"late\":%" PRIu64 ",\"replayed\":%" PRIu64
                         ",\"removed\":%" PRIu64 ",\"position\":%" PRIu64 ",\"lag\":%" PRIu64 "}\n",
                         mr_plan_name(running->plan), stats.records, stats.decisions,
                         stats.dead_letters, stats.late, stats.replayed, stats.removed,
                         stats.position, stats.lag);
    mr_session_say(session,
                   "%s: %" PRIu64 " records, %" PRIu64 " decisions, %" PRIu64 " dead letters",
                   mr_plan_name(running->plan), stats.records, stats.decisions, stats.dead_letters);
    session->exit_code = stats.dead_letters > 0 ? MR_EXIT_DEAD_LETTERS : 0;
}

static void say_removed(mr_running *running)
{
    mr_pipeline_stats stats;
    mr_pipeline_stats_get(running->pipeline, &stats);
    if (stats.removed > 0)
        mr_session_say(running->session,
                       "%s: goes on behind %" PRIu64
                       " records that retention removed before they were read",
                       mr_plan_name(running->plan), stats.removed);
}

static mr_status run_pipeline(mr_running *running, const char *path, mr_error *err)
{
    mr_panel panel;
    mr_session *session = running->session;
    MR_TRY(read_options(&session->arguments, &running->options, err));
    MR_TRY(mr_running_open(running, path, err));
    say_removed(running);
    mr_panel_begin(&panel, session, &session->say, mr_plan_name(running->plan), session->verbose,
                   running->pipeline);
    MR_TRY(mr_running_run(running, &panel, NULL, NULL, err));
    mr_panel_end(&panel, running->pipeline);
    summarise(running);
    return MR_OK;
}

static mr_status run_run(mr_session *session, mr_error *err)
{
    mr_running running;
    const char *path = mr_arguments_operand(&session->arguments, 0);
    mr_process_catch_signals();
    mr_status status = mr_running_load(&running, session, path, "run", true, err);
    if (status == MR_OK)
        status = run_pipeline(&running, path, err);
    mr_running_close(&running);
    return status;
}

static const struct mr_operand operands[] = {
    {"FILE", false, false, "a pipeline (YAML)"},
    {0},
};

static const struct mr_option options[] = {
    {"until-end", '\0', NULL, NULL, NULL,
     "stop when the sources have been read to where they end now"},
    {"skip-removed", '\0', NULL, NULL, NULL,
     "go on behind records that retention removed before they were read, and say how many"},
    {"workers", 'w', "N", NULL, NULL, "threads; one per processor when not given"},
    {"batch-rows", '\0', "N", "4096", NULL, "most records taken at once"},
    {"memory", '\0', "SIZE", NULL, NULL, "for keyed state; half of the machine's when not given"},
    {"checkpoint-interval", '\0', "TIME", "60s", NULL, "how often the state is checkpointed"},
    {0},
};

static const mr_example examples[] = {
    {"millrace run pipeline.yaml",
     "run until ^C, which finishes the batch and checkpoints; a second ^C leaves at once"},
    {"millrace run pipeline.yaml --until-end", "work off what is there: a backfill"},
    {0},
};

static const mr_verb_exit exits[] = {
    {0, "stopped cleanly, by a signal or at the end"},
    {MR_EXIT_DEAD_LETTERS, "the same, but some records were refused and went to the dead letters"},
    {3, "retention removed records before they were read: what was read is decided and "
        "checkpointed, and the message says how many are gone"},
    {5, "the state in this home is of another plan; the message says which way out there is"},
    {10, "the pipeline runs already"},
    {0},
};

const struct mr_verb mr_verb_run = {
    .name = "run",
    .summary = "run a pipeline",
    .about = "The pipeline goes on where it stopped or crashed: state, journal and decisions are "
             "in the home "
             "directory. Nothing is decided twice, and nothing is left out.",
    .operands = operands,
    .options = options,
    .examples = examples,
    .exits = exits,
    .run = run_run,
};
