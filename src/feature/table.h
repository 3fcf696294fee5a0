/* table.h -- what a window, a tile or the base knows about the values in it, in slot memory.
 *
 *   mr_values ..... value -> how often; open addressing, deletion by shifting back. For distinct count, top k
 *   ... as top ..... Misra-Gries (Misra, Gries, "Finding repeated elements", 1982): at most `max` values with counts
 *                   that are too low by at most n / (max + 1). Sums of such summaries keep the bound (Agarwal et al.,
 *                   "Mergeable summaries", PODS 2012)
 *   mr_sketch ..... DDSketch (Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
 *                   relative-error guarantees", VLDB 2019): counts in buckets of ratio gamma, sorted; a value
 *                   can be taken back. Quantiles within 1 % of the value at that rank. With a limit of buckets the
 *                   lowest ones become one: what is kept is a function of the values, not of their order
 *   mr_registers .. HyperLogLog (Flajolet et al. 2007), 4096 registers, read by the estimator of Ertl, "New
 *                   cardinality estimation algorithms for HyperLogLog sketches" (2017): error 1.6 %
 *   mr_distinct ... a sorted set of identities up to a bound, then registers in the same 4 KiB
 * All are NULL while empty, and hold memory by what is in them now. After MR_NO_MEMORY
 * they can be freed, and nothing else. */
#ifndef MR_FEATURE_TABLE_H
#define MR_FEATURE_TABLE_H

#include "data/batch.h"
#include "state/state.h"

/* ---- table.c: values ---- */

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
mr_status mr_values_add(mr_slot *slot, mr_values **values, uint64_t identity, const mr_text *text,
                        uint64_t by, mr_error *err);
/* The same with at most `max` values: when another one comes, all counts fall by what it and they can pay. */
mr_status mr_values_add_top(mr_slot *slot, mr_values **values, uint64_t identity,
                            const mr_text *text, uint64_t by, uint32_t max, mr_error *err);
/* Takes back some of what was added; the table goes when it is empty. */
void mr_values_subtract(mr_slot *slot, mr_values **values, uint64_t identity, uint64_t by);
uint64_t mr_values_count(const mr_values *values, uint64_t identity);
void mr_values_free(mr_slot *slot, mr_values **values);
static inline uint32_t mr_values_places(const mr_values *values)
{
    return values != NULL ? 1u << values->log2 : 0;
}

/* Appends the mr_value_counts in order of identity. */
void mr_values_sorted(const mr_values *values, mr_bytes *out);

/* ---- sketch.c: quantiles ---- */

#define MR_SKETCH_KEY_MAX (INT64_C(1) << 21)

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

/* At most `max` buckets (at least 2); UINT32_MAX: as many as there are. */
mr_status mr_sketch_add(mr_slot *slot, mr_sketch **sketch, int64_t key, uint64_t by, uint32_t max,
                        mr_error *err);
mr_status mr_sketch_merge(mr_slot *slot, mr_sketch **to, const mr_sketch *from, uint32_t max,
                          mr_error *err);
/* For sketches without a limit. */
void mr_sketch_remove(mr_slot *slot, mr_sketch **sketch, int64_t key);
void mr_sketch_unmerge(mr_slot *slot, mr_sketch **from, const mr_sketch *what);
void mr_sketch_free(mr_slot *slot, mr_sketch **sketch);
int64_t mr_sketch_key(double value);
double mr_sketch_value(int64_t key);
enum { MR_SKETCH_PARTS_MAX = 3 };
/* The value at rank ceil(q n), at least 1, of all parts together (any may be NULL); 0 when all are. */
double mr_sketch_quantile(const mr_sketch *const *parts, uint32_t count, double q);

/* ---- distinct.c: how many are different ---- */

enum { MR_REGISTER_COUNT = 4096, MR_REGISTER_BITS = 12, MR_RANKS = 64 - MR_REGISTER_BITS + 2 };

typedef struct mr_registers {
    uint8_t ranks[MR_REGISTER_COUNT];
} mr_registers;

void mr_registers_add(mr_registers *registers, uint64_t identity);
void mr_registers_merge(mr_registers *to, const mr_registers *from);
double mr_registers_estimate(const mr_registers *registers);

/* As many identities as take the memory of the registers. */
enum { MR_DISTINCT_MAX = MR_REGISTER_COUNT / 8 };

typedef struct mr_distinct {
    uint32_t capacity; /* of identities; 0: registers stand in their place */
    uint32_t used;
    uint64_t identities[]; /* sorted */
} mr_distinct;

/* Exact up to `max` (at most MR_DISTINCT_MAX) identities, registers from there on. */
mr_status mr_distinct_add(mr_slot *slot, mr_distinct **distinct, uint64_t identity, uint32_t max,
                          mr_error *err);
/* All registers from given ranks, for decoding. */
mr_status mr_distinct_of_ranks(mr_slot *slot, mr_distinct **distinct, const uint8_t *ranks,
                               mr_error *err);
void mr_distinct_free(mr_slot *slot, mr_distinct **distinct);
bool mr_distinct_holds(const mr_distinct *distinct, uint64_t identity); /* of an exact one */
/* NULL while it is exact (or empty). */
static inline const mr_registers *mr_distinct_registers(const mr_distinct *distinct)
{
    return distinct != NULL && distinct->capacity == 0
               ? (const mr_registers *)(const void *)distinct->identities
               : NULL;
}
/* All it holds, into registers. */
void mr_distinct_spread(const mr_distinct *distinct, mr_registers *to);

/* ---- distinct.c: many mr_distinct together, each of which can leave again ---- */

typedef struct mr_union {
    mr_values *values;       /* of the exact ones: in how many of them */
    mr_registers *registers; /* of all; NULL: not known, to be made again */
    uint32_t inexact_count;  /* how many are registers */
} mr_union;

mr_status mr_union_add(mr_slot *slot, mr_union *to, const mr_distinct *part, mr_error *err);
void mr_union_subtract(mr_slot *slot, mr_union *from, const mr_distinct *part);
void mr_union_free(mr_slot *slot, mr_union *of);

#endif
