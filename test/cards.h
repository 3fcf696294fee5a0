/* cards.h -- the card payments of the shared data sets, and their features computed the slow, obvious way.
 *
 * An oracle for tests: what is computed here follows the data set's README word by word, with nothing shared
 * with the program under test but the reading of numbers. */
#ifndef MR_TEST_CARDS_H
#define MR_TEST_CARDS_H

#include "base/memory.h"

#define MR_CARDS_INPUTS 15

extern const char *const mr_cards_inputs[MR_CARDS_INPUTS]; /* names, in the models' order */

typedef struct mr_cards {
    size_t count; /* payments, in order of time */
    int64_t *at;  /* seconds since 1970 */
    int64_t *day; /* days since 1970 */
    int64_t *customer, *terminal;
    double *amount;
    uint8_t *fraud;
    uint32_t *by_customer, *by_terminal;       /* payment numbers, grouped, in order of time */
    uint32_t *customer_first, *terminal_first; /* starts of the groups; one more than keys */
} mr_cards;

/* Decompresses a .zst file. */
mr_status mr_cards_read_zst(const char *path, mr_bytes *out, mr_error *err);
mr_status mr_cards_load(const char *path, mr_cards *cards, mr_error *err);
void mr_cards_free(mr_cards *cards);
/* The 15 inputs of one payment. */
void mr_cards_features(const mr_cards *cards, size_t payment, double *out);
/* First payment of a day ("2018-07-11"), or of the first later one. */
size_t mr_cards_first_of_day(const mr_cards *cards, const char *day);

#endif
