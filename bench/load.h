/* load.h -- payments at a steady rate beside the pipeline that decides them, on the same cores. */
#ifndef MR_BENCH_LOAD_H
#define MR_BENCH_LOAD_H

#include "bench/cards_world.h"

#define LOAD_FULL 1e9 /* the sender is never idle */

typedef struct load_options {
    const char *sync;      /* of payments and decisions */
    const char *sink_sync; /* of decisions, when it is another; NULL: the same */
    double events_per_second;
    uint64_t rows;
    mr_models *models;                                   /* NULL: the model is a file */
    void (*each_second)(void *context, uint32_t second); /* may be NULL; in the sender's thread */
    void *context;
} load_options;

/* Sends all rows, each time what has become due in the last 100 us, as a producer that lingers does, and never waits for
 * decisions; returns when all are decided: events a second. */
double load_run(const load_options *options, mr_pipeline_stats *out_stats);

#endif
