/* log_test.h -- what the tests of this folder share: random schemas and batches, and a naive log to compare
 * with. */
#ifndef MR_LOG_LOG_TEST_H
#define MR_LOG_LOG_TEST_H

#include "log/log.h"
#include "test/test.h"

/* Column 0 is `at`, a timestamp; up to `extra_max` random columns follow, named c1, c2, ... */
mr_schema *log_test_schema(mr_random_seeded *random, uint32_t extra_max);
/* at: timestamp, id: int64, amount: float64, note: string null */
mr_schema *log_test_plain_schema(void);
/* Random values, NULLs where allowed; sometimes a slice of a longer batch. */
mr_batch *log_test_batch(mr_random_seeded *random, mr_schema *schema, uint32_t rows);
/* Rows of the plain schema with id = first, first + 1, ... and at = 1000 * id. */
mr_batch *log_test_plain_batch(mr_schema *schema, int64_t first, uint32_t rows);

/* The naive log: batches in a list. */
typedef struct log_model {
    struct {
        mr_batch *batch;
        uint64_t base_offset;
    } * entries;
    size_t count;
    size_t capacity;
    uint64_t end_offset;
} log_model;

void log_model_add(log_model *model, mr_batch *batch); /* retains it */
void log_model_deinit(log_model *model);
/* Rows [offset, offset + rows of batch) of the model, adapted to the batch's schema, equal the batch. */
bool log_model_matches(const log_model *model, uint64_t offset, const mr_batch *batch);
/* Reads [from, end) of a partition and compares; fails the test when something differs or is missing. */
void log_model_verify(const log_model *model, mr_topic *topic, uint32_t partition, uint64_t from);

#endif
