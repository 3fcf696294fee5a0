/* panel.c -- a running pipeline, live. */
#include "cmd/panel.h"

#include "base/assert.h"
#include "base/time.h"
#include "data/encoder.h"
#include "os/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DRAW_NS        INT64_C(200000000)
#define LINE_NS        INT64_C(1000000000)
#define ALERT_COLUMNS  5  /* from the left, behind action and score */
#define ALERTS_A_BATCH 64 /* rows looked at from the end: only the newest are shown */

void mr_panel_begin(mr_panel *panel, mr_session *session, mr_output *output, const char *title,
                    bool lines, mr_pipeline *pipeline)
{
    *panel = (mr_panel){.session = session, .output = output, .title = title};
    panel->started_ns = session->clock->mono_ns(session->clock);
    panel->drawn_ns = panel->started_ns;
    panel->live = output->terminal;
    panel->on = !session->quiet && (panel->live || lines);
    mr_pipeline_stats_get(pipeline, &panel->base);
    panel->drawn = panel->base;
}

/* ---- counting ---- */

static bool is_named(const mr_panel_action *action, mr_text name)
{
    return strlen(action->name) == name.size &&
           (name.size == 0 || memcmp(action->name, name.bytes, name.size) == 0);
}

static mr_panel_action *find_action(mr_panel *panel, mr_text name)
{
    for (size_t i = 0; i < panel->action_count; i++)
        if (is_named(&panel->actions[i], name))
            return &panel->actions[i];
    if (panel->action_count == MR_PANEL_ACTIONS_MAX || name.size >= sizeof panel->actions[0].name)
        return NULL;
    mr_panel_action *action = &panel->actions[panel->action_count++];
    if (name.size > 0)
        memcpy(action->name, name.bytes, name.size);
    return action;
}

static const mr_panel_action *commonest(const mr_panel *panel)
{
    const mr_panel_action *best = NULL;
    for (size_t i = 0; i < panel->action_count; i++)
        if (best == NULL || panel->actions[i].count > best->count)
            best = &panel->actions[i];
    return best;
}

/* A value as a person reads it: texts without quotes, floats with six digits. */
static void append_cell(mr_bytes *line, const mr_batch *batch, uint32_t column, size_t row)
{
    const mr_column *from = &batch->columns[column];
    mr_bytes_printf(line, "%s ", batch->schema->fields[column].name);
    if (from->type.id == MR_FLOAT64 && !mr_column_is_null(from, row))
        mr_bytes_printf(line, "%.6g  ", ((const double *)from->values)[row]);
    else if (from->type.id == MR_FLOAT32 && !mr_column_is_null(from, row))
        mr_bytes_printf(line, "%.4f  ", (double)((const float *)from->values)[row]);
    else if (from->type.id == MR_STRING) {
        mr_text text = mr_column_text(from, row);
        mr_bytes_append(line, text.bytes, text.size);
        mr_bytes_append_text(line, "  ");
    } else {
        mr_encode_json_value(from, row, line);
        mr_bytes_append_text(line, "  ");
    }
}

/* What was decided, then what it was about: the first columns of the record. */
static void describe(const mr_batch *batch, uint32_t action, size_t row, char *out)
{
    mr_bytes line = {0};
    int score = mr_schema_find(batch->schema, "score");
    append_cell(&line, batch, action, row);
    if (score >= 0)
        append_cell(&line, batch, (uint32_t)score, row);
    for (uint32_t i = 0; i < MR_MIN(batch->schema->field_count, ALERT_COLUMNS); i++)
        if (i != action && (int)i != score)
            append_cell(&line, batch, i, row);
    const char *text = mr_bytes_text(&line);
    const char *decided =
        text != NULL ? strchr(text, ' ') : NULL; /* the column's name goes without saying */
    (void)snprintf(out, MR_PANEL_LINE_MAX, "%s", decided != NULL ? decided + 1 : "");
    mr_bytes_deinit(&line);
}

static void add_alert(mr_panel *panel, const mr_batch *batch, uint32_t action, size_t row)
{
    memmove(panel->alerts[1], panel->alerts[0], sizeof panel->alerts - sizeof panel->alerts[0]);
    panel->alert_count = MR_MIN(panel->alert_count + 1, MR_PANEL_ALERTS_MAX);
    describe(batch, action, row, panel->alerts[0]);
}

static void take_alerts(mr_panel *panel, const mr_batch *batch, uint32_t action)
{
    const mr_column *column = &batch->columns[action];
    const mr_panel_action *normal = commonest(panel);
    size_t first = batch->row_count > ALERTS_A_BATCH ? batch->row_count - ALERTS_A_BATCH : 0;
    for (size_t row = first; row < batch->row_count && normal != NULL; row++) {
        mr_text name = mr_column_text(column, row);
        if (!is_named(normal, name))
            add_alert(panel, batch, action, row);
    }
}

void mr_panel_take(mr_panel *panel, const mr_batch *decisions)
{
    int at = decisions != NULL ? mr_schema_find(decisions->schema, "action") : -1;
    if (at < 0 || !mr_type_is_text(decisions->columns[at].type.id))
        return;
    const mr_column *column = &decisions->columns[at];
    for (size_t row = 0; row < decisions->row_count; row++) {
        mr_panel_action *action = find_action(panel, mr_column_text(column, row));
        if (action != NULL)
            action->count++;
    }
    take_alerts(panel, decisions, (uint32_t)at);
}

/* ---- drawing ---- */

static void start_line(mr_panel *panel, const char *name)
{
    char padded[16];
    (void)snprintf(padded, sizeof padded, "%-13s", name);
    mr_output_text(panel->output, panel->live ? "\033[K" : "");
    mr_output_colour(panel->output, MR_COLOUR_DIM, padded);
    panel->lines++;
}

/* What happened from one moment to another. */
static mr_panel_figures difference(const mr_pipeline_stats *from, int64_t from_ns,
                                   const mr_pipeline_stats *to, int64_t to_ns)
{
    mr_panel_figures figures = {.records = to->records - from->records};
    uint64_t buckets[MR_LATENCY_BUCKETS];
    for (size_t i = 0; i < MR_LATENCY_BUCKETS; i++)
        buckets[i] = to->latency[i] - from->latency[i];
    figures.seconds = (double)MR_MAX(to_ns - from_ns, 1) / 1e9;
    figures.per_second = (double)figures.records / figures.seconds;
    figures.p50_us = mr_latency_quantile(buckets, 0.50);
    figures.p99_us = mr_latency_quantile(buckets, 0.99);
    return figures;
}

void mr_panel_figures_get(const mr_panel *panel, mr_pipeline *pipeline, mr_panel_figures *out)
{
    mr_pipeline_stats stats;
    mr_clock *clock = panel->session->clock;
    mr_pipeline_stats_get(pipeline, &stats);
    *out = difference(&panel->base, panel->started_ns, &stats, clock->mono_ns(clock));
}

static const char *format_us(double us, char *out)
{
    (void)snprintf(out, 32,
                   us < 1000  ? "%.0f us"
                   : us < 1e6 ? "%.2f ms"
                              : "%.2f s",
                   us < 1000  ? us
                   : us < 1e6 ? us / 1e3
                              : us / 1e6);
    return out;
}

static void draw_figures(mr_panel *panel, const mr_pipeline_stats *stats,
                         const mr_panel_figures *figures)
{
    char a[32], b[32];
    start_line(panel, "events");
    mr_output_printf(panel->output, "%-12s %s /s\n",
                     mr_text_count(stats->records - panel->base.records, a),
                     mr_text_count((uint64_t)figures->per_second, b));
    if (!panel->backlog) {
        start_line(panel, "latency");
        mr_output_printf(panel->output,
                         "p50 %-8s p99 %-8s  from stored event to visible decision\n",
                         format_us(figures->p50_us, a), format_us(figures->p99_us, b));
    }
    start_line(panel, "lag");
    mr_output_printf(panel->output, "%s\n", mr_text_count(stats->lag, a));
    start_line(panel, "state");
    mr_output_printf(panel->output, "%s keys, %s\n", mr_text_count(stats->state_keys, a),
                     mr_text_size(stats->state_bytes, b));
}

static void draw_event_time(mr_panel *panel, const mr_pipeline_stats *stats)
{
    char text[MR_TIME_TEXT_MAX + 1];
    if (stats->event_time == INT64_MIN)
        return;
    text[mr_time_format(stats->event_time, text)] = '\0';
    start_line(panel, "event time");
    mr_output_printf(panel->output, "%s\n", text);
}

static void draw_actions(mr_panel *panel)
{
    char count[32];
    const mr_panel_action *normal = commonest(panel);
    if (normal == NULL)
        return;
    start_line(panel, "decisions");
    for (size_t i = 0; i < panel->action_count; i++) {
        const mr_panel_action *action = &panel->actions[i];
        mr_output_colour(panel->output, action == normal ? MR_COLOUR_GREEN : MR_COLOUR_YELLOW,
                         action->name);
        mr_output_printf(panel->output, " %s   ", mr_text_count(action->count, count));
    }
    mr_output_text(panel->output, "\n");
}

static void draw_alerts(mr_panel *panel)
{
    int columns = 80, rows = 24;
    if (panel->live)
        mr_process_terminal_size(panel->output->fd, &columns, &rows);
    for (size_t i = 0; i < panel->alert_count; i++) {
        start_line(panel, i == 0 ? "latest" : "");
        mr_output_printf(panel->output, "%.*s\n", MR_MAX(columns - 14, 20), panel->alerts[i]);
    }
}

static void draw_title(mr_panel *panel, int64_t now_ns)
{
    char seconds[32];
    (void)snprintf(seconds, sizeof seconds, "%.1f s", (double)(now_ns - panel->started_ns) / 1e9);
    mr_output_text(panel->output, "\033[K");
    mr_output_colour(panel->output, MR_COLOUR_BOLD, panel->title);
    mr_output_printf(panel->output, "  %s\n", seconds);
    panel->lines++;
}

static void draw_screen(mr_panel *panel, const mr_pipeline_stats *stats,
                        const mr_panel_figures *figures, int64_t now_ns)
{
    bool prompt = panel->output->prompt;
    panel->output->prompt = false; /* the whole picture in one write: no flicker */
    if (panel->lines > 0)
        mr_output_printf(panel->output, "\033[%dA", panel->lines);
    panel->lines = 0;
    draw_title(panel, now_ns);
    draw_figures(panel, stats, figures);
    draw_event_time(panel, stats);
    draw_actions(panel);
    draw_alerts(panel);
    mr_output_text(panel->output, "\033[J");
    panel->output->prompt = prompt;
}

static void draw_line(mr_panel *panel, const mr_pipeline_stats *stats,
                      const mr_panel_figures *figures, int64_t now_ns)
{
    char a[32], b[32], c[32], d[32];
    mr_output_printf(panel->output, "%6.1f s  %s events  %s /s",
                     (double)(now_ns - panel->started_ns) / 1e9,
                     mr_text_count(stats->records - panel->base.records, a),
                     mr_text_count((uint64_t)figures->per_second, b));
    if (!panel->backlog)
        mr_output_printf(panel->output, "  p50 %s  p99 %s", format_us(figures->p50_us, c),
                         format_us(figures->p99_us, d));
    mr_output_printf(panel->output, "  lag %" PRIu64, stats->lag);
    for (size_t i = 0; i < panel->action_count; i++)
        mr_output_printf(panel->output, "  %s %" PRIu64, panel->actions[i].name,
                         panel->actions[i].count);
    mr_output_text(panel->output, "\n");
}

/* The figures of a drawing are those since the one before; of the last one, those of the whole time. */
static void draw(mr_panel *panel, mr_pipeline *pipeline, int64_t now_ns, bool whole)
{
    mr_pipeline_stats stats;
    mr_pipeline_stats_get(pipeline, &stats);
    mr_panel_figures figures = whole ? difference(&panel->base, panel->started_ns, &stats, now_ns)
                                     : difference(&panel->drawn, panel->drawn_ns, &stats, now_ns);
    (panel->live ? draw_screen : draw_line)(panel, &stats, &figures, now_ns);
    (void)mr_output_flush(panel->output);
    panel->drawn = stats;
    panel->drawn_ns = now_ns;
}

void mr_panel_tick(mr_panel *panel, mr_pipeline *pipeline)
{
    mr_clock *clock = panel->session->clock;
    int64_t now_ns = clock->mono_ns(clock);
    if (panel->on && now_ns - panel->drawn_ns >= (panel->live ? DRAW_NS : LINE_NS))
        draw(panel, pipeline, now_ns, false);
}

void mr_panel_end(mr_panel *panel, mr_pipeline *pipeline)
{
    mr_clock *clock = panel->session->clock;
    if (panel->on)
        draw(panel, pipeline, clock->mono_ns(clock), true);
}
