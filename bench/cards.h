/* cards.h -- payments for benchmarks: the shape of the cards data set, any number of them, from a seed. */
#ifndef MR_BENCH_CARDS_H
#define MR_BENCH_CARDS_H

#include "data/batch.h"

#define CARDS_SCHEMA                                                                               \
    "tx: int64, at: timestamp, customer: int64, terminal: int64, amount: float64, fraud: int64"

typedef struct cards_options {
    uint64_t customers, terminals;
    int64_t step_us; /* mean time between payments */
} cards_options;

/* Payments [first, first + rows). The same arguments give the same rows. */
mr_status cards_batch(const cards_options *options, mr_schema *schema, uint64_t first,
                      uint32_t rows, mr_batch **out, mr_error *err);
/* The cards pipeline over topic `payments` (or `file`), scored by the model at `model_path`; `sync` is the sink's
 * policy. The text is the caller's buffer. */
void cards_plan(char *text, size_t text_bytes, const char *source, const char *model_path,
                const char *sync);

#endif
