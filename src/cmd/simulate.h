/* simulate.h -- card payments by a published method, the same for the same seed.
 *
 * Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection -
 * Practical Handbook", Universite Libre de Bruxelles, chapter 3 (the method; the code is our own):
 *   customers ... a place in a 100 x 100 square, a mean amount of 5 to 100, 0 to 4 payments a day
 *   terminals ... a place in the square; a customer pays only at terminals closer than 5
 *   fraud ....... (1) every amount above 220; (2) two terminals a day are compromised for 28 days, and all
 *                 that is paid there; (3) three cards a day leak, a third of their payments in 14 days is
 *                 multiplied by 5. A later one overwrites the label of an earlier one.
 * Each customer draws from a generator of its own, seeded by (seed, customer). */
#ifndef MR_CMD_SIMULATE_H
#define MR_CMD_SIMULATE_H

#include "data/batch.h"

#define MR_SIMULATION_SCHEMA                                                                       \
    "tx: int64, at: timestamp, customer: int64, terminal: int64, amount: float64, fraud: int64, "  \
    "scenario: int64"
#define MR_SIMULATION_OUTCOMES_SCHEMA                                                              \
    "tx: int64, known_at: timestamp, terminal: int64, fraud: int64"

typedef struct mr_simulation_options {
    uint32_t customer_count;
    uint32_t terminal_count;
    uint32_t day_count;
    int64_t start_us; /* midnight of the first day */
    uint64_t seed;
} mr_simulation_options;

typedef struct mr_simulation mr_simulation;

/* Simulates all days at once: fraud looks ahead. 40 bytes a payment, about 2 payments a customer and day. */
mr_status mr_simulation_create(const mr_simulation_options *options, mr_simulation **out,
                               mr_error *err);
void mr_simulation_destroy(mr_simulation *cards); /* NULL is allowed */
uint64_t mr_simulation_count(const mr_simulation *cards);
/* The first payment at or after an instant; the count when there is none. */
uint64_t mr_simulation_find(const mr_simulation *cards, int64_t at_us);
/* Payments [first, first + count), in order of time, with numbers from 0 on: MR_SIMULATION_SCHEMA. */
mr_status mr_simulation_payments(const mr_simulation *cards, uint64_t first, uint64_t count,
                                 mr_batch **out, mr_error *err);
/* What became of them, known `delay_us` after each: MR_SIMULATION_OUTCOMES_SCHEMA. */
mr_status mr_simulation_outcomes(const mr_simulation *cards, uint64_t first, uint64_t count,
                                 int64_t delay_us, mr_batch **out, mr_error *err);

#endif
