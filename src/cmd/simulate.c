/* simulate.c -- card payments by a published method (see simulate.h).
 *
 *   places --> grid of terminals --> each customer's payments --> fraud (1) (2) (3) --> sorted by time
 *
 * (1) Until the last step payments stand grouped by customer: those of customer c are
 *     [customer_first[c], customer_first[c + 1]).
 * (2) Nothing depends on the order in which customers are simulated. */
#include "cmd/simulate.h"

#include "base/assert.h"
#include "base/hash.h"
#include "os/clock.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SQUARE          100.0
#define REACH           5.0
#define GRID            20 /* cells a side: SQUARE / REACH */
#define DAY_S           86400
#define NOON_S          43200.0
#define SPREAD_S        20000.0
#define AMOUNT_SUSPECT  220.0
#define COMPROMISED     2  /* terminals a day, for */
#define COMPROMISE_DAYS 28 /* days */
#define LEAKED          3  /* cards a day, for */
#define LEAK_DAYS       14 /* days */
#define LEAK_FACTOR     5.0
#define PAYMENTS_MAX    (UINT64_C(1) << 31)

typedef struct place {
    double x, y;
} place;

typedef struct payment {
    int64_t second; /* since the start */
    double amount;
    uint32_t customer;
    uint32_t terminal;
    uint32_t scenario; /* 0: genuine */
    uint32_t index;    /* within the customer: a total order with second and customer */
} payment;

struct mr_simulation {
    mr_simulation_options options;
    place *terminals;
    uint32_t *cell_first;   /* GRID * GRID + 1: where a cell's terminals start in cell_members */
    uint32_t *cell_members; /* terminals, by cell */
    uint32_t *near;         /* of the customer at work: terminals in reach */
    uint64_t *customer_first;
    mr_bytes payments;
    mr_schema *schema;
    mr_schema *outcomes_schema;
};

/* ---- draws ---- */

typedef struct draws {
    mr_random_seeded random;
    double spare; /* normal draws come in pairs */
    bool has_spare;
} draws;

/* One generator per purpose: `stream` 0 is the world, 1 + c is customer c. */
static draws start_draws(uint64_t seed, uint64_t stream)
{
    draws d = {0};
    mr_random_seeded_init(&d.random, mr_hash_u64(seed) ^ mr_hash_u64(stream * 2 + 1));
    return d;
}

static double uniform(draws *d, double from, double to)
{
    return from + (to - from) * mr_random_unit(&d->random);
}

/* Marsaglia's polar method (1964). */
static double normal(draws *d, double mean, double deviation)
{
    if (d->has_spare) {
        d->has_spare = false;
        return mean + deviation * d->spare;
    }
    double u, v, s;
    do {
        u = uniform(d, -1, 1);
        v = uniform(d, -1, 1);
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    double factor = sqrt(-2 * log(s) / s);
    d->spare = v * factor;
    d->has_spare = true;
    return mean + deviation * u * factor;
}

/* Knuth's product of uniform draws (The Art of Computer Programming, volume 2, 3.4.1); for small means. */
static uint32_t poisson(draws *d, double mean)
{
    double limit = exp(-mean), product = mr_random_unit(&d->random);
    uint32_t count = 0;
    for (; product > limit; count++)
        product *= mr_random_unit(&d->random);
    return count;
}

static place draw_place(draws *d)
{
    place p;
    p.x = uniform(d, 0, SQUARE);
    p.y = uniform(d, 0, SQUARE);
    return p;
}

/* ---- terminals on a grid ---- */

static uint32_t cell_of(double coordinate)
{
    return MR_MIN((uint32_t)(coordinate / REACH), GRID - 1);
}

static uint32_t cell_index(place p)
{
    return cell_of(p.y) * GRID + cell_of(p.x);
}

/* Counting sort of terminals by cell. */
static void fill_grid(mr_simulation *cards)
{
    uint32_t count = cards->options.terminal_count;
    uint32_t *first = cards->cell_first;
    for (uint32_t t = 0; t < count; t++)
        first[cell_index(cards->terminals[t]) + 1]++;
    for (uint32_t c = 0; c < GRID * GRID; c++)
        first[c + 1] += first[c];
    for (uint32_t t = count; t-- > 0;)
        cards->cell_members[--first[cell_index(cards->terminals[t]) + 1]] = t;
    /* Every entry now holds its own cell's start, one place too late. */
    memmove(first, first + 1, sizeof first[0] * GRID * GRID);
    first[GRID * GRID] = count;
}

static uint32_t near_in_cell(mr_simulation *cards, place p, uint32_t cell, uint32_t found)
{
    for (uint32_t i = cards->cell_first[cell]; i < cards->cell_first[cell + 1]; i++) {
        uint32_t terminal = cards->cell_members[i];
        double dx = cards->terminals[terminal].x - p.x, dy = cards->terminals[terminal].y - p.y;
        if (dx * dx + dy * dy < REACH * REACH)
            cards->near[found++] = terminal;
    }
    return found;
}

/* Terminals in reach of a place: the 3 x 3 cells around it hold them all. */
static uint32_t find_near(mr_simulation *cards, place p)
{
    uint32_t column = cell_of(p.x), row = cell_of(p.y), found = 0;
    uint32_t column_end = MR_MIN(column + 2, GRID), row_end = MR_MIN(row + 2, GRID);
    for (uint32_t y = row > 0 ? row - 1 : 0; y < row_end; y++)
        for (uint32_t x = column > 0 ? column - 1 : 0; x < column_end; x++)
            found = near_in_cell(cards, p, y * GRID + x, found);
    return found;
}

/* ---- payments ---- */

static double draw_amount(draws *d, double mean)
{
    double amount = normal(d, mean, mean / 2);
    if (amount < 0)
        amount = uniform(d, 0, 2 * mean);
    return round(amount * 100) / 100;
}

static void simulate_day(mr_simulation *cards, draws *d, uint32_t day, uint32_t near_count,
                         double daily, double mean, payment *next)
{
    uint32_t count = poisson(d, daily);
    for (uint32_t i = 0; i < count; i++) {
        int64_t second = (int64_t)normal(d, NOON_S, SPREAD_S);
        next->amount = draw_amount(d, mean);
        next->terminal = cards->near[mr_random_below(&d->random, near_count)];
        if (second <= 0 || second >= DAY_S)
            continue;
        next->second = (int64_t)day * DAY_S + second;
        next->scenario = next->amount > AMOUNT_SUSPECT ? 1 : 0;
        mr_bytes_append(&cards->payments, next, sizeof *next);
        next->index++;
    }
}

static void simulate_customer(mr_simulation *cards, uint32_t customer)
{
    draws d = start_draws(cards->options.seed, 1 + (uint64_t)customer);
    place home = draw_place(&d);
    double mean = uniform(&d, 5, 100), daily = uniform(&d, 0, 4);
    uint32_t near_count = find_near(cards, home);
    payment next = {.customer = customer};
    for (uint32_t day = 0; day < cards->options.day_count && near_count > 0; day++)
        simulate_day(cards, &d, day, near_count, daily, mean, &next);
}

static uint64_t payment_count(const mr_simulation *cards)
{
    return cards->payments.size / sizeof(payment);
}

static payment *payments_of(const mr_simulation *cards)
{
    return (payment *)(void *)cards->payments.data;
}

static mr_status simulate_customers(mr_simulation *cards, mr_error *err)
{
    for (uint32_t c = 0; c < cards->options.customer_count && !cards->payments.failed; c++) {
        simulate_customer(cards, c);
        cards->customer_first[c + 1] = payment_count(cards);
        if (payment_count(cards) > PAYMENTS_MAX)
            return MR_FAIL(err, MR_FULL,
                           "more than %" PRIu64 " payments: fewer customers or days will do",
                           PAYMENTS_MAX);
    }
    return cards->payments.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* ---- fraud ---- */

/* `count` different numbers below `limit`, or as many as there are. Returns how many. */
static uint32_t draw_distinct(draws *d, uint32_t limit, uint32_t count, uint32_t *out)
{
    uint32_t drawn = 0;
    while (drawn < MR_MIN(count, limit)) {
        out[drawn] = (uint32_t)mr_random_below(&d->random, limit);
        uint32_t same = 0;
        while (out[same] != out[drawn])
            same++;
        drawn += same == drawn;
    }
    return drawn;
}

typedef struct compromise {
    uint32_t day;
    uint32_t next; /* index + 1 of another one of the same terminal */
} compromise;

static bool is_compromised(const compromise *all, uint32_t head, uint32_t day)
{
    for (uint32_t at = head; at != 0; at = all[at - 1].next)
        if (day >= all[at - 1].day && day < all[at - 1].day + COMPROMISE_DAYS)
            return true;
    return false;
}

static void mark_compromised(mr_simulation *cards, const compromise *all, const uint32_t *head)
{
    payment *p = payments_of(cards);
    for (uint64_t i = 0; i < payment_count(cards); i++)
        if (is_compromised(all, head[p[i].terminal], (uint32_t)(p[i].second / DAY_S)))
            p[i].scenario = 2;
}

static mr_status compromise_terminals(mr_simulation *cards, draws *d, mr_error *err)
{
    uint32_t terminals = cards->options.terminal_count, count = 0;
    compromise *all = mr_alloc_zero((size_t)cards->options.day_count * COMPROMISED, sizeof *all);
    uint32_t *head = mr_alloc_zero(terminals, sizeof *head);
    mr_status status = all != NULL && head != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t day = 0; day < cards->options.day_count && status == MR_OK; day++) {
        uint32_t drawn[COMPROMISED];
        for (uint32_t i = draw_distinct(d, terminals, COMPROMISED, drawn); i-- > 0;) {
            all[count] = (compromise){day, head[drawn[i]]};
            head[drawn[i]] = ++count;
        }
    }
    if (status == MR_OK)
        mark_compromised(cards, all, head);
    mr_free(all);
    mr_free(head);
    return status;
}

/* Indices of a card's payments in the days after the leak. */
static void collect_leaked(const mr_simulation *cards, uint32_t customer, uint32_t day,
                           mr_bytes *found)
{
    const payment *p = payments_of(cards);
    for (uint64_t i = cards->customer_first[customer]; i < cards->customer_first[customer + 1]; i++)
        if (p[i].second / DAY_S >= day && p[i].second / DAY_S < day + LEAK_DAYS)
            mr_bytes_append(found, &i, sizeof i);
}

/* A third of them is drawn without repeats: a partial shuffle (Fisher, Yates 1938; Durstenfeld 1964). */
static void misuse_third(mr_simulation *cards, draws *d, uint64_t *found, uint64_t count)
{
    payment *p = payments_of(cards);
    for (uint64_t i = 0; i < count / 3; i++) {
        uint64_t other = i + mr_random_below(&d->random, count - i);
        uint64_t drawn = found[other];
        found[other] = found[i];
        p[drawn].amount *= LEAK_FACTOR;
        p[drawn].scenario = 3;
    }
}

static mr_status leak_cards(mr_simulation *cards, draws *d, mr_error *err)
{
    mr_bytes found = {0};
    for (uint32_t day = 0; day < cards->options.day_count && !found.failed; day++) {
        uint32_t leaked[LEAKED];
        uint32_t count = draw_distinct(d, cards->options.customer_count, LEAKED, leaked);
        mr_bytes_clear(&found);
        for (uint32_t i = 0; i < count; i++)
            collect_leaked(cards, leaked[i], day, &found);
        misuse_third(cards, d, (uint64_t *)(void *)found.data, found.size / sizeof(uint64_t));
    }
    mr_status status = found.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
    mr_bytes_deinit(&found);
    return status;
}

/* ---- birth and death ---- */

static int by_time(const void *left, const void *right)
{
    const payment *a = left, *b = right;
    if (a->second != b->second)
        return a->second < b->second ? -1 : 1;
    if (a->customer != b->customer)
        return a->customer < b->customer ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static mr_status simulate(mr_simulation *cards, mr_error *err)
{
    draws world = start_draws(cards->options.seed, 0);
    for (uint32_t t = 0; t < cards->options.terminal_count; t++)
        cards->terminals[t] = draw_place(&world);
    fill_grid(cards);
    MR_TRY(simulate_customers(cards, err));
    MR_TRY(compromise_terminals(cards, &world, err));
    MR_TRY(leak_cards(cards, &world, err));
    if (cards->payments.size > 0)
        qsort(cards->payments.data, payment_count(cards), sizeof(payment), by_time);
    return MR_OK;
}

static mr_status allocate(mr_simulation *cards, mr_error *err)
{
    uint32_t terminals = cards->options.terminal_count;
    cards->terminals = mr_alloc_zero(terminals, sizeof *cards->terminals);
    cards->cell_first = mr_alloc_zero(GRID * GRID + 2, sizeof *cards->cell_first);
    cards->cell_members = mr_alloc_zero(terminals, sizeof *cards->cell_members);
    cards->near = mr_alloc_zero(terminals, sizeof *cards->near);
    cards->customer_first =
        mr_alloc_zero((size_t)cards->options.customer_count + 1, sizeof(uint64_t));
    if (cards->terminals == NULL || cards->cell_first == NULL || cards->cell_members == NULL ||
        cards->near == NULL || cards->customer_first == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(
        mr_schema_parse(MR_SIMULATION_SCHEMA, strlen(MR_SIMULATION_SCHEMA), &cards->schema, err));
    return mr_schema_parse(MR_SIMULATION_OUTCOMES_SCHEMA, strlen(MR_SIMULATION_OUTCOMES_SCHEMA),
                           &cards->outcomes_schema, err);
}

mr_status mr_simulation_create(const mr_simulation_options *options, mr_simulation **out,
                               mr_error *err)
{
    MR_ASSERT(options->customer_count > 0 && options->terminal_count > 0);
    *out = NULL;
    mr_simulation *cards = MR_NEW(mr_simulation);
    if (cards == NULL)
        return MR_OUT_OF_MEMORY(err);
    cards->options = *options;
    mr_status status = allocate(cards, err);
    if (status == MR_OK)
        status = simulate(cards, err);
    if (status != MR_OK)
        mr_simulation_destroy(cards);
    else
        *out = cards;
    return status;
}

void mr_simulation_destroy(mr_simulation *cards)
{
    if (cards == NULL)
        return;
    mr_free(cards->terminals);
    mr_free(cards->cell_first);
    mr_free(cards->cell_members);
    mr_free(cards->near);
    mr_free(cards->customer_first);
    mr_bytes_deinit(&cards->payments);
    mr_schema_release(cards->schema);
    mr_schema_release(cards->outcomes_schema);
    mr_free(cards);
}

/* ---- reading ---- */

uint64_t mr_simulation_count(const mr_simulation *cards)
{
    return payment_count(cards);
}

static int64_t time_us(const mr_simulation *cards, const payment *p)
{
    return cards->options.start_us + p->second * 1000000;
}

uint64_t mr_simulation_find(const mr_simulation *cards, int64_t at_us)
{
    const payment *p = payments_of(cards);
    uint64_t from = 0, to = payment_count(cards);
    while (from < to) {
        uint64_t middle = from + (to - from) / 2;
        if (time_us(cards, &p[middle]) < at_us)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

mr_status mr_simulation_payments(const mr_simulation *cards, uint64_t first, uint64_t count,
                                 mr_batch **out, mr_error *err)
{
    mr_builder builder;
    MR_ASSERT(first + count <= payment_count(cards));
    MR_TRY(mr_builder_init(&builder, cards->schema, err));
    for (uint64_t i = first; i < first + count; i++) {
        const payment *p = &payments_of(cards)[i];
        mr_builder_int64(&builder.columns[0], (int64_t)i);
        mr_builder_int64(&builder.columns[1], time_us(cards, p));
        mr_builder_int64(&builder.columns[2], p->customer);
        mr_builder_int64(&builder.columns[3], p->terminal);
        mr_builder_float64(&builder.columns[4], p->amount);
        mr_builder_int64(&builder.columns[5], p->scenario > 0);
        mr_builder_int64(&builder.columns[6], p->scenario);
    }
    mr_status status = mr_builder_finish(&builder, out, err);
    mr_builder_deinit(&builder);
    return status;
}

mr_status mr_simulation_outcomes(const mr_simulation *cards, uint64_t first, uint64_t count,
                                 int64_t delay_us, mr_batch **out, mr_error *err)
{
    mr_builder builder;
    MR_ASSERT(first + count <= payment_count(cards));
    MR_TRY(mr_builder_init(&builder, cards->outcomes_schema, err));
    for (uint64_t i = first; i < first + count; i++) {
        const payment *p = &payments_of(cards)[i];
        mr_builder_int64(&builder.columns[0], (int64_t)i);
        mr_builder_int64(&builder.columns[1], time_us(cards, p) + delay_us);
        mr_builder_int64(&builder.columns[2], p->terminal);
        mr_builder_int64(&builder.columns[3], p->scenario > 0);
    }
    mr_status status = mr_builder_finish(&builder, out, err);
    mr_builder_deinit(&builder);
    return status;
}
