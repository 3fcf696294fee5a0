/* progress.c -- a bar for long work. */
#include "cmd/progress.h"

#include "base/assert.h"
#include "os/process.h"

#include <stdio.h>
#include <string.h>

#define REDRAW_NS INT64_C(100000000)
#define BAR_WIDTH 24

void mr_progress_begin(mr_progress *progress, mr_session *session, const char *label,
                       uint64_t total)
{
    *progress = (mr_progress){.session = session, .label = label, .total = total};
    progress->on = session->say.terminal && !session->quiet;
    progress->started_ns = session->clock->mono_ns(session->clock);
    progress->drawn_ns = progress->started_ns;
}

static void draw_bar(mr_progress *progress, uint64_t done, double seconds)
{
    double share = progress->total > 0 ? MR_MIN((double)done / (double)progress->total, 1.0) : 0;
    int full = (int)(share * BAR_WIDTH);
    mr_output_printf(&progress->session->say, "\r\033[K%s  [%.*s%.*s] %3.0f %%  %.1f s",
                     progress->label, full, "########################", BAR_WIDTH - full,
                     "------------------------", share * 100, seconds);
    if (share > 0.01)
        mr_output_printf(&progress->session->say, ", %.1f s left", seconds / share - seconds);
}

static void draw(mr_progress *progress, uint64_t done, int64_t now_ns)
{
    char count[32];
    double seconds = (double)(now_ns - progress->started_ns) / 1e9;
    if (progress->total > 0)
        draw_bar(progress, done, seconds);
    else
        mr_output_printf(&progress->session->say, "\r\033[K%s  %s  %.1f s", progress->label,
                         mr_text_count(done, count), seconds);
    (void)mr_output_flush(&progress->session->say);
}

void mr_progress_set(mr_progress *progress, uint64_t done)
{
    if (!progress->on)
        return;
    mr_clock *clock = progress->session->clock;
    int64_t now_ns = clock->mono_ns(clock);
    if (now_ns - progress->drawn_ns < REDRAW_NS)
        return;
    progress->drawn_ns = now_ns;
    draw(progress, done, now_ns);
}

void mr_progress_end(mr_progress *progress)
{
    if (!progress->on)
        return;
    mr_output_text(&progress->session->say, "\r\033[K");
    (void)mr_output_flush(&progress->session->say);
    progress->on = false;
}
