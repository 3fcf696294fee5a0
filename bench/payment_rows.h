/* payment_rows.h -- the text that the decoders of this project and of its peers are measured on; C and C++.
 *
 * Twelve mixed fields, about 220 bytes a row as JSON. `plain`: keys in order, amounts with two decimals. `hard`: keys
 * shuffled anew in each row, doubles of 17 digits. The same seed gives the same bytes. */
#ifndef MR_BENCH_PAYMENT_ROWS_H
#define MR_BENCH_PAYMENT_ROWS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PAYMENT_FIELDS        12
#define PAYMENT_ROW_BYTES_MAX 400
#define PAYMENT_SCHEMA                                                                             \
    "tx_id: int64, at: timestamp, customer: int64, terminal: int64, amount: float64, currency: "   \
    "string, country: string, merchant: string, online: bool, risk: float64, items: int32, note: " \
    "string null"

typedef struct payment_random {
    uint64_t state;
} payment_random;

static inline uint64_t payment_next(payment_random *random)
{
    uint64_t x = random->state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The twelve values of row `row` as CSV text; note is empty for NULL. */
typedef struct payment_row {
    char values[PAYMENT_FIELDS][64];
} payment_row;

static inline void payment_make(payment_random *random, uint64_t row, int hard, payment_row *out)
{
    static const char *const currencies[4] = {"EUR", "USD", "GBP", "CHF"};
    static const char *const countries[5] = {"DE", "FR", "IT", "ES", "PT"};
    static const char *const notes[4] = {"", "gift", "paid in the shop, second try", "recurring"};
    uint64_t seconds = row % 86400, bits = payment_next(random);
    double unit = (double)(payment_next(random) >> 11) / 9007199254740992.0;
    char(*v)[64] = out->values;
    (void)snprintf(v[0], 64, "%llu", (unsigned long long)(100000000 + row));
    (void)snprintf(v[1], 64, "2024-03-%02uT%02u:%02u:%02uZ", (unsigned)(1 + row / 86400 % 28),
                   (unsigned)(seconds / 3600), (unsigned)(seconds / 60 % 60),
                   (unsigned)(seconds % 60));
    (void)snprintf(v[2], 64, "%llu", (unsigned long long)(bits % 1000000));
    (void)snprintf(v[3], 64, "%llu", (unsigned long long)(bits >> 20) % 10000);
    if (hard)
        (void)snprintf(v[4], 64, "%.17g", unit * 1000 + 1);
    else
        (void)snprintf(v[4], 64, "%.2f", unit * 1000 + 1);
    (void)snprintf(v[5], 64, "%s", currencies[bits >> 40 & 3]);
    (void)snprintf(v[6], 64, "%s", countries[(bits >> 42) % 5]);
    (void)snprintf(v[7], 64, "merchant-%llu", (unsigned long long)((bits >> 45) % 50000));
    (void)snprintf(v[8], 64, "%s", (bits >> 61 & 1) != 0 ? "true" : "false");
    if (hard)
        (void)snprintf(v[9], 64, "%.17g", unit * unit + 1e-3);
    else
        (void)snprintf(v[9], 64, "%.6f", unit * unit);
    (void)snprintf(v[10], 64, "%u", (unsigned)(1 + (bits >> 62)));
    (void)snprintf(v[11], 64, "%s", notes[bits >> 8 & 3]);
}

static const char *const payment_names[PAYMENT_FIELDS] = {
    "tx_id",   "at",       "customer", "terminal", "amount", "currency",
    "country", "merchant", "online",   "risk",     "items",  "note"};

static inline int payment_is_text(int field)
{
    return field == 1 || field == 5 || field == 6 || field == 7 || field == 11;
}

/* Writes one line and returns its size; room for PAYMENT_ROW_BYTES_MAX is needed. */
static inline size_t payment_json(payment_random *random, uint64_t row, int hard, char *out)
{
    payment_row values;
    int order[PAYMENT_FIELDS];
    size_t used = 0;
    payment_make(random, row, hard, &values);
    for (int i = 0; i < PAYMENT_FIELDS; i++)
        order[i] = i;
    for (int i = PAYMENT_FIELDS - 1; hard && i > 0; i--) {
        int j = (int)(payment_next(random) % (uint64_t)(i + 1)), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (int i = 0; i < PAYMENT_FIELDS; i++) {
        int f = order[i];
        const char *quote = payment_is_text(f) ? "\"" : "", *value = values.values[f];
        if (f == 11 && value[0] == '\0') {
            quote = "";
            value = "null";
        }
        used += (size_t)sprintf(out + used, "%c\"%s\":%s%s%s", i == 0 ? '{' : ',', payment_names[f],
                                quote, value, quote);
    }
    memcpy(out + used, "}\n", 2);
    return used + 2;
}

static inline size_t payment_csv(payment_random *random, uint64_t row, int hard, char *out)
{
    payment_row values;
    size_t used = 0;
    payment_make(random, row, hard, &values);
    for (int i = 0; i < PAYMENT_FIELDS; i++) {
        const char *quote = strchr(values.values[i], ',') != NULL ? "\"" : "";
        used += (size_t)sprintf(out + used, "%s%s%s%s", i == 0 ? "" : ",", quote, values.values[i],
                                quote);
    }
    out[used] = '\n';
    return used + 1;
}

/* Sums that all decoders of the same text must agree on. */
typedef struct payment_sums {
    uint64_t
        integers; /* of all integer columns, times in microseconds, bools and text bytes, wrapping */
    double floats; /* in row order */
    uint64_t nulls;
} payment_sums;

#endif
