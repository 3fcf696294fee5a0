/* table.h -- what a window knows about the values in it, in slot memory.
 *
 *   mr_values ..... value -> how often; open addressing, deletion by shifting back. For distinct count, top k
 *   mr_sketch ..... DDSketch (Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
 *                   relative-error guarantees", VLDB 2019): counts in buckets of ratio gamma, sorted; a value
 *                   can be taken back. Quantiles within 1 % of the value at that rank.
 *   mr_registers .. HyperLogLog (Flajolet et al. 2007), 4096 registers, read by the estimator of Ertl, "New
 *                   cardinality estimation algorithms for HyperLogLog sketches" (2017): error 1.6 %
 * All are NULL while empty. Each call that grows one may answer MR_NO_MEMORY, and then has changed nothing. */
#ifndef MR_FEATURE_TABLE_H
#define MR_FEATURE_TABLE_H

#include "state/state.h"

struct feature_text;

typedef struct mr_value_count {
    uint64_t identity;
    struct feature_text *text; /* a copy of its own, or NULL */
    uint64_t count;            /* 0: the place is empty */
} mr_value_count;

typedef struct mr_values {
    uint32_t log2;
    uint32_t used;
    mr_value_count places[];
} mr_values;

/* `text` (nullable) is copied when the value is new. */
mr_status mr_values_add(mr_slot *slot, mr_values **values, uint64_t identity,
                        const struct feature_text *text, uint64_t by, mr_error *err);
/* Takes back one that was added; the table goes when it is empty. */
void mr_values_remove(mr_slot *slot, mr_values **values, uint64_t identity);
/* Takes a value out, whatever its count. */
void mr_values_drop(mr_slot *slot, mr_values **values, uint64_t identity);
uint64_t mr_values_count(const mr_values *values, uint64_t identity);
void mr_values_free(mr_slot *slot, mr_values **values);
static inline uint32_t mr_values_places(const mr_values *values)
{
    return values != NULL ? 1u << values->log2 : 0;
}

typedef struct mr_bucket {
    int64_t key; /* sorted; negative values have negative keys, zero is 0 */
    uint64_t count;
} mr_bucket;

typedef struct mr_sketch {
    uint32_t capacity;
    uint32_t used;
    uint64_t total;
    mr_bucket buckets[];
} mr_sketch;

mr_status mr_sketch_add(mr_slot *slot, mr_sketch **sketch, int64_t key, uint64_t by, mr_error *err);
void mr_sketch_remove(mr_slot *slot, mr_sketch **sketch, int64_t key);
void mr_sketch_free(mr_slot *slot, mr_sketch **sketch);
int64_t mr_sketch_key(double value);
double mr_sketch_value(int64_t key);
/* The value at rank ceil(q n), at least 1, of both together (either may be NULL, not both empty). */
double mr_sketch_quantile(const mr_sketch *a, const mr_sketch *b, double q);

enum { MR_REGISTER_COUNT = 4096, MR_REGISTER_BITS = 12, MR_RANKS = 64 - MR_REGISTER_BITS + 2 };

typedef struct mr_registers {
    uint8_t ranks[MR_REGISTER_COUNT];
} mr_registers;

void mr_registers_add(mr_registers *registers, uint64_t identity);
double mr_registers_estimate(const mr_registers *registers);

#endif
