/* demo.c -- `millrace demo`: card payments in, decisions out.
 *
 *   | 30 days: windows fill | 7: outcomes come late | 14 days: training | 7: not known yet | 14 days: live |
 *   |--------------------------- history, stored at once ---------------------------------|-- a thread --|
 *
 * Every step is a verb that is printed before it is run. Only the live days are fed by the demo itself: by a
 * thread that appends payments at a steady pace while the pipeline runs. */
#include "cmd/demo.h"

#include "base/assert.h"
#include "base/time.h"
#include "cmd/running.h"
#include "cmd/verb.h"
#include "os/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HOME          ".millrace-demo"
#define MARK          "demo-home" /* a file: this folder is ours to remove */
#define FIRST_DAY     "2018-04-01"
#define TRAIN_DAY     37 /* 30 days of windows, 7 days until outcomes are known */
#define TRAIN_DAY_END 51
#define LIVE_DAY      58
#define DAY_END       72
#define TREES         100

typedef struct demo {
    mr_session *session;
    const char *home;
    int64_t customers, terminals, seed, seconds;
    int64_t started_ns;
    mr_simulation *cards;
    mr_running running;
    mr_topic *payments;
    mr_demo_feed *feed;
    mr_status feed_status;
    mr_error feed_error;
    mr_panel panel;
    mr_panel_figures catch_up, live;
    uint64_t live_offset; /* of the first decision about a live payment */
    mr_demo_quality quality;
} demo;

/* ---- telling ---- */

static void tell(demo *self, const char *text)
{
    mr_output_printf(&self->session->out, "\n%s%s%s\n",
                     mr_output_paint(&self->session->out, MR_COLOUR_BOLD), text,
                     mr_output_plain(&self->session->out));
    (void)mr_output_flush(&self->session->out);
}

static void tell_command(demo *self, const char *line)
{
    mr_output_text(&self->session->out, "  $ ");
    mr_output_colour(&self->session->out, MR_COLOUR_CYAN, "millrace ");
    mr_output_colour(&self->session->out, MR_COLOUR_CYAN, line);
    mr_output_text(&self->session->out, "\n");
    (void)mr_output_flush(&self->session->out);
}

/* Prints a command and does it. */
static mr_status type(demo *self, mr_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static mr_status type(demo *self, mr_error *err, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    tell_command(self, line);
    if (mr_process_stop_asked() != 0)
        return MR_FAIL(err, MR_INTERRUPTED, "the demo was stopped; run it again to start over");
    MR_TRY(mr_verb_call(self->session, line, err));
    (void)mr_output_flush(&self->session->out);
    return MR_OK;
}

/* ---- a fresh home ---- */

static mr_status clear_home(demo *self, mr_error *err)
{
    char mark[MR_PATH_MAX];
    mr_fs *fs = self->session->fs;
    (void)snprintf(mark, sizeof mark, "%s/" MARK, self->home);
    if (mr_fs_exists(fs, self->home) && !mr_fs_exists(fs, mark))
        return MR_FAIL(err, MR_EXISTS,
                       "%s is there, and no demo made it; --home names another place", self->home);
    MR_TRY(mr_fs_remove_tree(fs, self->home, err));
    MR_TRY(mr_fs_make_folder(fs, self->home, err));
    return mr_fs_write_file(fs, mark, "made by `millrace demo`, which may remove this folder\n", 53,
                            err);
}

static mr_status write_files(demo *self, mr_error *err)
{
    char path[MR_PATH_MAX];
    for (const mr_demo_file *file = mr_demo_files(); file->name != NULL; file++) {
        (void)snprintf(path, sizeof path, "%s/%s", self->home, file->name);
        MR_TRY(mr_fs_write_file(self->session->fs, path, file->text, file->size, err));
    }
    return MR_OK;
}

/* ---- history and training ---- */

static mr_status make_history(demo *self, mr_error *err)
{
    tell(self,
         "1. Eight weeks of card payments, made up by a published method, into a durable topic");
    return type(self, err,
                "--home %s simulate cards --customers %" PRId64 " --terminals %" PRId64
                " --seed %" PRId64 " --start " FIRST_DAY
                " --days %d --first-days %d --topic payments",
                self->home, self->customers, self->terminals, self->seed, DAY_END, LIVE_DAY);
}

static int64_t day_us(int day)
{
    int64_t start = 0;
    (void)mr_time_parse(FIRST_DAY, strlen(FIRST_DAY), false, &start, NULL, NULL);
    return start + day * MR_TIME_US_PER_DAY;
}

static const char *day_text(int day, char *out)
{
    out[mr_time_format(day_us(day), out)] = '\0';
    out[strcspn(out, "T")] = '\0';
    return out;
}

static mr_status train(demo *self, mr_error *err)
{
    char from[MR_TIME_TEXT_MAX + 1], to[MR_TIME_TEXT_MAX + 1];
    tell(self, "2. Their features, by the same plan that will run live");
    MR_TRY(type(self, err, "--home %s run %s/features.yaml --until-end", self->home, self->home));
    tell(self, "3. A model of two weeks whose outcomes are known");
    return type(self, err,
                "--home %s train features --label fraud --time at --from %s --until %s --leave-out "
                "tx,customer,terminal,scenario --set rounds=%d,tree_method=hist --out %s/model",
                self->home, day_text(TRAIN_DAY, from), day_text(TRAIN_DAY_END, to), TREES,
                self->home);
}

/* ---- live ---- */

/* The history is worked off: from now on payments come one by one. */
static mr_status start_live(demo *self, mr_error *err)
{
    mr_pipeline_stats stats;
    mr_pipeline_stats_get(self->running.pipeline, &stats);
    mr_panel_end(&self->panel, self->running.pipeline);
    mr_panel_figures_get(&self->panel, self->running.pipeline, &self->catch_up);
    self->live_offset = stats.decisions;
    mr_panel_begin(&self->panel, self->session, &self->session->out, "live", true,
                   self->running.pipeline);
    return mr_demo_feed_start(self->cards, self->payments, self->session->clock,
                              mr_simulation_find(self->cards, day_us(LIVE_DAY)),
                              (double)self->seconds, &self->feed, err);
}

/* There is nothing to take: the history has been worked off, or the feed is between two batches, or all is done. */
static bool idle(void *context)
{
    demo *self = context;
    mr_pipeline_stats stats;
    if (self->feed == NULL) {
        self->feed_status = start_live(self, &self->feed_error);
        return self->feed_status != MR_OK;
    }
    mr_pipeline_stats_get(self->running.pipeline, &stats);
    return mr_demo_feed_done(self->feed) && stats.lag == 0;
}

static mr_status run_live(demo *self, mr_error *err)
{
    mr_panel_begin(&self->panel, self->session, &self->session->out, "catching up with the history",
                   true, self->running.pipeline);
    self->panel.backlog = true;
    mr_status status = mr_running_run(&self->running, &self->panel, idle, self, err);
    if (self->feed != NULL)
        self->feed_status = mr_demo_feed_stop(self->feed, &self->feed_error);
    self->feed = NULL;
    if (status == MR_OK && self->feed_status != MR_OK)
        *err = self->feed_error;
    MR_TRY(status);
    MR_TRY(self->feed_status);
    if (mr_process_stop_asked() != 0)
        return MR_FAIL(err, MR_INTERRUPTED, "the demo was stopped; run it again to start over");
    mr_panel_end(&self->panel, self->running.pipeline);
    mr_panel_figures_get(&self->panel, self->running.pipeline, &self->live);
    return MR_OK;
}

static mr_status open_live(demo *self, const char *file, mr_error *err)
{
    mr_simulation_options options = {.customer_count = (uint32_t)self->customers,
                                     .terminal_count = (uint32_t)self->terminals,
                                     .day_count = DAY_END,
                                     .start_us = day_us(0),
                                     .seed = (uint64_t)self->seed};
    MR_TRY(mr_simulation_create(&options, &self->cards, err));
    MR_TRY(mr_running_load(&self->running, self->session, file, "demo", true, err));
    MR_TRY(mr_running_open(&self->running, file, err));
    return mr_topic_open(self->running.log, "payments", &self->payments, err);
}

static mr_status judge(demo *self, mr_error *err)
{
    mr_topic *decisions = NULL;
    MR_TRY(mr_topic_open(self->running.log, "decisions", &decisions, err));
    mr_status status = mr_demo_judge(decisions, self->live_offset, &self->quality, err);
    mr_topic_close(decisions);
    return status;
}

static mr_status live(demo *self, mr_error *err)
{
    char file[MR_PATH_MAX], line[MR_PATH_MAX + 64];
    const char *home = self->session->home;
    tell(self,
         "4. The pipeline: first what has happened so far, then two more weeks, as they come");
    (void)snprintf(file, sizeof file, "%s/pipeline.yaml", self->home);
    (void)snprintf(line, sizeof line, "--home %s run %s", self->home, file);
    tell_command(self, line);
    self->session->home = self->home;
    mr_status status;
    MR_GOTO(done, status, open_live(self, file, err));
    MR_GOTO(done, status, run_live(self, err));
    status = judge(self, err);
done:
    self->session->home = home;
    mr_topic_close(self->payments);
    mr_running_close(&self->running);
    mr_simulation_destroy(self->cards);
    return status;
}

/* ---- the summary ---- */

static void summarise_quality(demo *self)
{
    mr_output *out = &self->session->out;
    const mr_demo_quality *quality = &self->quality;
    char payments[32], frauds[32];
    tell(self, "What came of it");
    mr_output_printf(out, "  quality    %s live payments on %" PRIu32 " days, %s of them fraud\n",
                     mr_text_count(quality->payments, payments), quality->days,
                     mr_text_count(quality->frauds, frauds));
    mr_output_printf(out,
                     "             AUC ROC %.3f, average precision %.3f, card precision@100 %.3f\n",
                     quality->auc_roc, quality->average_precision, quality->card_precision_100);
}

static void summarise_speed(demo *self)
{
    mr_output *out = &self->session->out;
    mr_clock *clock = self->session->clock;
    char records[32], rate[32];
    mr_output_printf(
        out, "  speed      history: %s payments in %.2f s, %s a second, durable to durable\n",
        mr_text_count(self->catch_up.records, records), self->catch_up.seconds,
        mr_text_count((uint64_t)self->catch_up.per_second, rate));
    mr_output_printf(
        out,
        "             live: %s a second; stored payment to visible decision %.2f ms (p50), "
        "%.2f ms (p99), synced to disk\n",
        mr_text_count((uint64_t)self->live.per_second, rate), self->live.p50_us / 1e3,
        self->live.p99_us / 1e3);
    mr_output_printf(out, "             the whole demo: %.1f s\n",
                     (double)(clock->mono_ns(clock) - self->started_ns) / 1e9);
}

static void suggest(demo *self)
{
    char line[MR_PATH_MAX + 128];
    static const char *const next[] = {
        "consume decisions --max 3 --json",
        "features get customer 42 --pipeline cards",
        "topic show decisions",
        "scrub",
    };
    mr_output_printf(&self->session->out, "  decisions  are in the topic `decisions` of %s; try\n",
                     self->home);
    for (size_t i = 0; i < MR_COUNT_OF(next); i++) {
        (void)snprintf(line, sizeof line, "--home %s %s", self->home, next[i]);
        tell_command(self, line);
    }
    mr_output_printf(&self->session->out, "  The pipeline is %s/pipeline.yaml; ", self->home);
    mr_output_text(&self->session->out,
                   "docs/tutorial/first-pipeline.md makes one from nothing.\n");
}

/* ---- the verb ---- */

static mr_status read_options(demo *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    self->home = mr_arguments_flag(arguments, "home") ? self->session->home : HOME;
    if (strchr(self->home, ' ') != NULL)
        return MR_FAIL(err, MR_INVALID,
                       "the demo prints commands to copy, so its home '%s' must have no blanks",
                       self->home);
    MR_TRY(mr_arguments_int(arguments, "customers", 1, 1000000, &self->customers, err));
    MR_TRY(mr_arguments_int(arguments, "terminals", 1, 1000000, &self->terminals, err));
    MR_TRY(mr_arguments_int(arguments, "seed", 0, INT64_MAX, &self->seed, err));
    return mr_arguments_int(arguments, "seconds", 1, 3600, &self->seconds, err);
}

static mr_status demo_run(mr_session *session, mr_error *err)
{
    demo self = {.session = session, .started_ns = session->clock->mono_ns(session->clock)};
    mr_process_catch_signals();
    MR_TRY(read_options(&self, err));
    MR_TRY(clear_home(&self, err));
    MR_TRY(write_files(&self, err));
    MR_TRY(make_history(&self, err));
    MR_TRY(train(&self, err));
    MR_TRY(live(&self, err));
    summarise_quality(&self);
    summarise_speed(&self);
    suggest(&self);
    return MR_OK;
}

static const struct mr_option options[] = {
    {"customers", '\0', "N", "5000", NULL, "how many cards"},
    {"terminals", '\0', "N", "10000", NULL, "how many places to pay at"},
    {"seconds", '\0', "N", "12", NULL, "how long the two live weeks take"},
    {"seed", '\0', "N", "1", NULL, "the same seed gives the same payments"},
    {0},
};

static const mr_example examples[] = {
    {"millrace demo", "simulate, train, run, in less than a minute"},
    {0},
};

const struct mr_verb mr_verb_demo = {
    .name = "demo",
    .summary = "card payments in, decisions out: everything at work",
    .about = "Simulates card payments, trains a model on the first weeks, and runs a pipeline over "
             "the rest while it "
             "happens. Everything is kept in " HOME " (or --home), which a later demo starts over.",
    .options = options,
    .examples = examples,
    .run = demo_run,
};
