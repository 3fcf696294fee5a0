/* demo.h -- the pieces of `millrace demo`, each in a file of its own.
 *
 *   demo.c ......... the story: which commands, and the summary
 *   demo_feed.c .... payments that happen now: a thread that appends them at a steady pace
 *   demo_quality.c . how good the decisions were, once the truth is known
 *   demo_files.c ... the pipelines of examples/cards, carried in the program */
#ifndef MR_CMD_DEMO_H
#define MR_CMD_DEMO_H

#include "cmd/simulate.h"
#include "log/log.h"
#include "os/clock.h"

/* ---- feeding ---- */

typedef struct mr_demo_feed mr_demo_feed;

/* Appends payments [first, end) of `cards` to a topic, evenly over `seconds`, on a thread. */
mr_status mr_demo_feed_start(const mr_simulation *cards, mr_topic *topic, mr_clock *clock,
                             uint64_t first, double seconds, mr_demo_feed **out, mr_error *err);
/* All are stored, or it failed. */
bool mr_demo_feed_done(const mr_demo_feed *feed);
/* Stops it where it is, waits for the thread, and gives what went wrong in it. NULL is allowed. */
mr_status mr_demo_feed_stop(mr_demo_feed *feed, mr_error *err);

/* ---- quality ---- */

typedef struct mr_demo_quality {
    uint64_t payments;
    uint64_t frauds;
    double auc_roc;
    double average_precision;
    double card_precision_100; /* mean over the days */
    uint32_t days;
} mr_demo_quality;

/* Judges the decisions of a topic from an offset on: columns at, customer, fraud and score. */
mr_status mr_demo_judge(mr_topic *decisions, uint64_t from_offset, mr_demo_quality *out,
                        mr_error *err);

/* ---- files ---- */

typedef struct mr_demo_file {
    const char *name;
    const char *text;
    size_t size;
} mr_demo_file;

/* Ends with a name of NULL. */
const mr_demo_file *mr_demo_files(void);

#endif
