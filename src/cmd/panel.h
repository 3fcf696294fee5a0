/* panel.h -- a running pipeline, live: a few lines that are drawn over themselves.
 *
 *   card-fraud                                              12.3 s
 *   events       1,234,567     101,234 /s
 *   latency      p50 180 us    p99 420 us   append to visible decision
 *   lag          0
 *   event time   2018-06-05T14:03:11Z
 *   state        14,990 keys   12.3 MiB
 *   action       allow 1,230,000   review 3,100   block 1,467
 *   latest       block  score 0.9712  tx 4711  at "2018-06-05T14:02:59Z"  customer 123  amount 512.3
 *
 * On a terminal it is drawn a few times a second; elsewhere a line is written every second. The breakdown
 * counts the values of a text column named `action`, and a record with any value but the commonest is an
 * alert. Thread: the one that steps the pipeline. */
#ifndef MR_CMD_PANEL_H
#define MR_CMD_PANEL_H

#include "cmd/session.h"
#include "pipeline/pipeline.h"

#define MR_PANEL_ACTIONS_MAX 8
#define MR_PANEL_ALERTS_MAX  5
#define MR_PANEL_LINE_MAX    200

typedef struct mr_panel_action {
    char name[32];
    uint64_t count;
} mr_panel_action;

typedef struct mr_panel {
    mr_session *session;
    mr_output *output;
    const char *title; /* lent */
    int64_t started_ns;
    int64_t drawn_ns;
    mr_pipeline_stats base;  /* as of the beginning: what is shown is since then */
    mr_pipeline_stats drawn; /* as of the last drawing, for rates */
    mr_panel_action actions[MR_PANEL_ACTIONS_MAX];
    size_t action_count;
    char alerts[MR_PANEL_ALERTS_MAX][MR_PANEL_LINE_MAX]; /* newest first */
    size_t alert_count;
    int lines; /* on the screen now */
    bool live; /* drawn over itself */
    bool on;
    bool
        backlog; /* set after begin: old records are worked off, so latencies say nothing and are not shown */
} mr_panel;

/* `output` is where it is drawn. With --quiet nothing is; nor, unless `lines`, where there is no terminal. */
void mr_panel_begin(mr_panel *panel, mr_session *session, mr_output *output, const char *title,
                    bool lines, mr_pipeline *pipeline);
/* Counts the decisions of one step; NULL is allowed. */
void mr_panel_take(mr_panel *panel, const mr_batch *decisions);
/* Draws when it is time to. */
void mr_panel_tick(mr_panel *panel, mr_pipeline *pipeline);
/* Draws a last time, with figures of the whole time, and leaves it standing. */
void mr_panel_end(mr_panel *panel, mr_pipeline *pipeline);

/* What happened since mr_panel_begin. */
typedef struct mr_panel_figures {
    uint64_t records;
    double seconds;
    double per_second;
    double p50_us;
    double p99_us;
} mr_panel_figures;
void mr_panel_figures_get(const mr_panel *panel, mr_pipeline *pipeline, mr_panel_figures *out);

#endif
