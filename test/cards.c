/* cards.c -- see the header. */
#include "test/cards.h"

#include "base/number.h"
#include "base/time.h"
#include "os/fs.h"

#include <string.h>
#include <zstd.h>

#define CUSTOMERS 5000
#define TERMINALS 10000
#define DAY_S     86400

const char *const mr_cards_inputs[MR_CARDS_INPUTS] = {
    "TX_AMOUNT",
    "TX_DURING_WEEKEND",
    "TX_DURING_NIGHT",
    "CUSTOMER_ID_NB_TX_1DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW",
    "CUSTOMER_ID_NB_TX_7DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW",
    "CUSTOMER_ID_NB_TX_30DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW",
    "TERMINAL_ID_NB_TX_1DAY_WINDOW",
    "TERMINAL_ID_RISK_1DAY_WINDOW",
    "TERMINAL_ID_NB_TX_7DAY_WINDOW",
    "TERMINAL_ID_RISK_7DAY_WINDOW",
    "TERMINAL_ID_NB_TX_30DAY_WINDOW",
    "TERMINAL_ID_RISK_30DAY_WINDOW",
};

mr_status mr_cards_read_zst(const char *path, mr_bytes *out, mr_error *err)
{
    mr_bytes packed = {0};
    MR_TRY(mr_fs_read_file(mr_fs_real(), path, 1u << 30, &packed, err));
    mr_bytes_clear(out);
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {packed.data, packed.size, 0};
    size_t left = 1;
    while (in.pos < in.size && !ZSTD_isError(left) && mr_bytes_reserve(out, 1u << 20)) {
        ZSTD_outBuffer to = {out->data + out->size, out->capacity - out->size, 0};
        left = ZSTD_decompressStream(stream, &to, &in);
        out->size += to.pos;
    }
    while (left > 0 && !ZSTD_isError(left) && mr_bytes_reserve(out, 1u << 20)) {
        ZSTD_outBuffer to = {out->data + out->size, out->capacity - out->size, 0};
        left = ZSTD_decompressStream(stream, &to, &in);
        out->size += to.pos;
        if (to.pos == 0)
            break;
    }
    ZSTD_freeDStream(stream);
    mr_bytes_deinit(&packed);
    return left == 0 && !out->failed ? MR_OK
                                     : MR_FAIL(err, MR_CORRUPT, "%s does not decompress", path);
}

static const char *next_field(const char *at, const char *end, char stop, size_t *out_size)
{
    const char *found = memchr(at, stop, (size_t)(end - at));
    *out_size = (size_t)((found != NULL ? found : end) - at);
    return found != NULL ? found + 1 : end;
}

static bool read_payment(mr_cards *cards, const char *at, const char *end)
{
    size_t i = cards->count, size;
    int64_t number = 0, us;
    const char *next = next_field(at, end, ',', &size); /* TRANSACTION_ID: the order */
    at = next;
    next = next_field(at, end, ',', &size);
    if (!mr_time_parse(at, size, false, &us, NULL, NULL))
        return false;
    cards->at[i] = us / MR_TIME_US_PER_SECOND;
    cards->day[i] = cards->at[i] / DAY_S;
    at = next;
    next = next_field(at, end, ',', &size);
    bool good = mr_number_is_int64(at, size, &cards->customer[i]);
    at = next;
    next = next_field(at, end, ',', &size);
    good = good && mr_number_is_int64(at, size, &cards->terminal[i]);
    at = next;
    next = next_field(at, end, ',', &size);
    good = good && mr_number_is_float64(at, size, &cards->amount[i]);
    at = next;
    (void)next_field(at, end, ',', &size);
    good = good && mr_number_is_int64(at, size, &number);
    cards->fraud[i] = (uint8_t)number;
    cards->count++;
    return good && cards->customer[i] < CUSTOMERS && cards->terminal[i] < TERMINALS;
}

/* Payment numbers by key, each key's in order of time (counting sort). */
static void group(size_t count, const int64_t *keys, uint32_t *by_key, uint32_t *first,
                  size_t key_count)
{
    memset(first, 0, sizeof *first * (key_count + 1));
    for (size_t i = 0; i < count; i++)
        first[keys[i] + 1]++;
    for (size_t k = 0; k < key_count; k++)
        first[k + 1] += first[k];
    for (size_t i = 0; i < count; i++)
        by_key[first[keys[i]]++] = (uint32_t)i;
    for (size_t k = key_count; k > 0; k--)
        first[k] = first[k - 1];
    first[0] = 0;
}

static bool alloc_cards(mr_cards *cards, size_t count)
{
    *cards = (mr_cards){.at = mr_alloc(count * 8),
                        .day = mr_alloc(count * 8),
                        .customer = mr_alloc(count * 8),
                        .terminal = mr_alloc(count * 8),
                        .amount = mr_alloc(count * 8),
                        .fraud = mr_alloc(count),
                        .by_customer = mr_alloc(count * 4),
                        .by_terminal = mr_alloc(count * 4),
                        .customer_first = mr_alloc((CUSTOMERS + 1) * 4),
                        .terminal_first = mr_alloc((TERMINALS + 1) * 4)};
    return cards->at != NULL && cards->day != NULL && cards->customer != NULL &&
           cards->terminal != NULL && cards->amount != NULL && cards->fraud != NULL &&
           cards->by_customer != NULL && cards->by_terminal != NULL &&
           cards->customer_first != NULL && cards->terminal_first != NULL;
}

mr_status mr_cards_load(const char *path, mr_cards *cards, mr_error *err)
{
    mr_bytes text = {0};
    size_t size;
    *cards = (mr_cards){0};
    MR_TRY(mr_cards_read_zst(path, &text, err));
    const char *at = (const char *)text.data, *end = at + text.size;
    bool good = alloc_cards(cards, text.size / 20 + 1); /* no line is shorter */
    at = next_field(at, end, '\n', &size);
    while (good && at < end) {
        const char *next = next_field(at, end, '\n', &size);
        good = read_payment(cards, at, at + size);
        at = next;
    }
    mr_bytes_deinit(&text);
    if (!good) {
        mr_cards_free(cards);
        return MR_FAIL(err, MR_CORRUPT, "%s: line %zu is no payment", path, cards->count + 2);
    }
    group(cards->count, cards->customer, cards->by_customer, cards->customer_first, CUSTOMERS);
    group(cards->count, cards->terminal, cards->by_terminal, cards->terminal_first, TERMINALS);
    return MR_OK;
}

void mr_cards_free(mr_cards *cards)
{
    mr_free(cards->at);
    mr_free(cards->day);
    mr_free(cards->customer);
    mr_free(cards->terminal);
    mr_free(cards->amount);
    mr_free(cards->fraud);
    mr_free(cards->by_customer);
    mr_free(cards->by_terminal);
    mr_free(cards->customer_first);
    mr_free(cards->terminal_first);
    *cards = (mr_cards){0};
}

/* Payments of one key with time in (from, to], not after `last` itself. */
static void window(const mr_cards *cards, const uint32_t *by_key, uint32_t first, uint32_t end,
                   int64_t from, int64_t to, size_t last, double *count, double *amount,
                   double *frauds)
{
    *count = *amount = *frauds = 0;
    for (uint32_t i = first; i < end && by_key[i] <= last; i++) {
        uint32_t payment = by_key[i];
        if (cards->at[payment] <= from || cards->at[payment] > to)
            continue;
        *count += 1;
        *amount += cards->amount[payment];
        *frauds += cards->fraud[payment];
    }
}

void mr_cards_features(const mr_cards *cards, size_t payment, double *out)
{
    static const int64_t days[3] = {1, 7, 30};
    int64_t at = cards->at[payment], delayed = at - 7 * DAY_S;
    int64_t customer = cards->customer[payment], terminal = cards->terminal[payment];
    out[0] = cards->amount[payment];
    out[1] = mr_time_weekday(at * MR_TIME_US_PER_SECOND) >= 6;
    out[2] = at % DAY_S < 7 * 3600;
    for (int w = 0; w < 3; w++) {
        double count, amount, frauds;
        window(cards, cards->by_customer, cards->customer_first[customer],
               cards->customer_first[customer + 1], at - days[w] * DAY_S, at, payment, &count,
               &amount, &frauds);
        out[3 + 2 * w] = count;
        out[4 + 2 * w] = amount / count;
        window(cards, cards->by_terminal, cards->terminal_first[terminal],
               cards->terminal_first[terminal + 1], delayed - days[w] * DAY_S, delayed, payment,
               &count, &amount, &frauds);
        out[9 + 2 * w] = count;
        out[10 + 2 * w] = count > 0 ? frauds / count : 0;
    }
}

size_t mr_cards_first_of_day(const mr_cards *cards, const char *day)
{
    int64_t us = 0;
    (void)mr_time_parse(day, strlen(day), false, &us, NULL, NULL);
    size_t i = 0;
    while (i < cards->count && cards->at[i] < us / MR_TIME_US_PER_SECOND)
        i++;
    return i;
}
