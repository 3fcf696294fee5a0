/* cards_world.h -- a home with the topic of payments and the cards pipeline over it, for benchmarks.
 *
 * The model is the published one of the cards data set (100 trees, depth 6); without the data set there is none,
 * and what needs it says so and is skipped. */
#ifndef MR_BENCH_CARDS_WORLD_H
#define MR_BENCH_CARDS_WORLD_H

#include "bench/cards.h"

#include "log/log.h"
#include "pipeline/pipeline.h"

#define BENCH_FOLDER "build/bench"
#define HOME         BENCH_FOLDER "/home"
#define BLOCK_ROWS   4096

extern const cards_options cards_small; /* 5000 cards, 10000 terminals, as the data set has */
extern const cards_options cards_large; /* a million of each */

typedef struct cards_world {
    mr_log *log;
    mr_topic *payments;
    mr_schema *schema;
    mr_plan *plan;
    mr_pipeline *pipeline;
} cards_world;

/* False, and a line of skipped, when there is no model. */
bool cards_have_model(const char *name);

/* `fresh` starts from an empty home; `sync` is the policy of the topic when it is created. */
void cards_world_open(cards_world *world, bool fresh, const char *sync);
void cards_world_close(cards_world *world);

/* Payments [first, first + rows), durable by the topic's policy when it returns. */
void cards_world_append(cards_world *world, const cards_options *cards, uint64_t first,
                        uint32_t rows);
void cards_world_fill(cards_world *world, const cards_options *cards, uint64_t rows);

/* Opens the pipeline over `source` ("topic: payments", "file: PATH"), its sink under `sync`; home, log and clock
 * of the options are filled in. Closes the one that is open. */
void cards_world_pipeline(cards_world *world, const char *source, const char *sync,
                          mr_pipeline_options options);
/* Closes the pipeline and removes what it has written: the next one starts anew over the same payments. */
void cards_world_forget(cards_world *world);
/* Runs to the end; events a second. */
double cards_world_run(cards_world *world, uint64_t rows);

#endif
