/* random_batch.h -- schemas and batches of every shape from a seed, for property tests. */
#ifndef MR_TEST_RANDOM_BATCH_H
#define MR_TEST_RANDOM_BATCH_H

#include "data/batch.h"
#include "test/test.h"

typedef struct mr_random_shape {
    uint32_t fields_max; /* 1 to so many fields */
    uint32_t rows_max;   /* 0 to so many rows */
    bool nonfinite;      /* NaN and infinities, and timestamps outside the years 1 to 9999 */
    bool nul_in_strings;
    bool numbers_only; /* no text, bytes or vectors */
} mr_random_shape;

mr_schema *mr_random_schema(mr_random_seeded *random, const mr_random_shape *shape);
mr_batch *mr_random_batch(mr_random_seeded *random, const mr_random_shape *shape,
                          mr_schema *schema);

#endif
