/* cards_test.c -- the truth test: the handbook's own features on ten days of card payments, every row.
 *
 * All payments from the first one on run through the two views; the terminal view is written both ways, delayed
 * by seven days over labelled payments, and over a stream of outcomes known seven days later. Counts must be
 * equal, means and risks within 1e-9. Ties are taken in order of TRANSACTION_ID, as the data's README says. */
#include "feature/view.h"
#include "test/test.h"

#include "base/number.h"
#include "base/time.h"
#include "data/input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY_US   INT64_C(86400000000)
#define ROWS_MAX 1300000
#define BATCH    4096

enum { DAYS = 3, CHECKED_ROWS = 95926 };

/* ---- reading: comma-separated, no quotes ---- */

typedef struct table_file {
    mr_bytes text;
    const char *next;
    const char *fields[32];
    size_t sizes[32];
    size_t count;
} table_file;

static void read_all(const char *path, table_file *to)
{
    mr_error err = {0};
    mr_input *input;
    *to = (table_file){.next = NULL};
    assert_ok(mr_input_open(mr_fs_real(), path, &input, &err), &err);
    for (size_t size = 1; size > 0;) {
        assert_true(mr_bytes_reserve(&to->text, 1 << 20));
        assert_ok(mr_input_read(input, to->text.data + to->text.size, 1 << 20, &size, &err), &err);
        to->text.size += size;
    }
    mr_input_close(input);
    to->next = (const char *)to->text.data;
}

static bool next_line(table_file *from)
{
    const char *end = (const char *)from->text.data + from->text.size;
    if (from->next == end)
        return false;
    const char *line_end = memchr(from->next, '\n', (size_t)(end - from->next));
    for (from->count = 0; from->next < line_end; from->count++) {
        assert_true(from->count < 32);
        const char *comma = memchr(from->next, ',', (size_t)(line_end - from->next));
        const char *stop = comma != NULL ? comma : line_end;
        from->fields[from->count] = from->next;
        from->sizes[from->count] = (size_t)(stop - from->next);
        from->next = stop < line_end ? stop + 1 : stop;
    }
    from->next = line_end + 1;
    return true;
}

static int64_t whole(const table_file *from, size_t field)
{
    int64_t value;
    assert_true(mr_number_is_int64(from->fields[field], from->sizes[field], &value));
    return value;
}

static double decimal(const table_file *from, size_t field)
{
    double value;
    assert_true(mr_number_is_float64(from->fields[field], from->sizes[field], &value));
    return value;
}

static size_t column_of(const table_file *header, const char *name)
{
    for (size_t i = 0; i < header->count; i++)
        if (header->sizes[i] == strlen(name) && memcmp(header->fields[i], name, strlen(name)) == 0)
            return i;
    fail_msg("no column %s", name);
    return 0;
}

typedef struct payments {
    int64_t *at, *customer, *terminal, *fraud;
    double *amount;
    size_t count;
} payments;

static void read_payments(payments *to)
{
    table_file file;
    read_all(mr_test_data("cards/transactions.csv.zst"), &file);
    int64_t **columns[] = {&to->at, &to->customer, &to->terminal, &to->fraud};
    for (size_t i = 0; i < 4; i++)
        *columns[i] = malloc(ROWS_MAX * sizeof(int64_t));
    to->amount = malloc(ROWS_MAX * sizeof(double));
    assert_true(next_line(&file));
    size_t at = column_of(&file, "TX_DATETIME"), customer = column_of(&file, "CUSTOMER_ID"),
           terminal = column_of(&file, "TERMINAL_ID"), amount = column_of(&file, "TX_AMOUNT"),
           fraud = column_of(&file, "TX_FRAUD"), id = column_of(&file, "TRANSACTION_ID");
    for (to->count = 0; next_line(&file); to->count++) {
        size_t i = to->count;
        assert_true(i < ROWS_MAX);
        assert_int_equal(whole(&file, id), i);
        assert_true(mr_time_parse(file.fields[at], file.sizes[at], false, &to->at[i], NULL, NULL));
        to->customer[i] = whole(&file, customer);
        to->terminal[i] = whole(&file, terminal);
        to->amount[i] = decimal(&file, amount);
        to->fraud[i] = whole(&file, fraud);
    }
    mr_bytes_deinit(&file.text);
}

static void free_payments(payments *from)
{
    free(from->at);
    free(from->customer);
    free(from->terminal);
    free(from->fraud);
    free(from->amount);
}

/* ---- views ---- */

typedef struct card_view {
    mr_view *view;
    mr_view_work *work;
    int64_t *counts[DAYS]; /* of every payment */
    double *means[DAYS];
} card_view;

static void open_view(card_view *to, mr_state *state, const char *name, const char *input,
                      mr_type type, int64_t delay_us, bool zero_when_empty, size_t rows)
{
    static const int64_t days[DAYS] = {1, 7, 30};
    static const char *const names[2 * DAYS] = {"count_1d", "count_7d", "count_30d",
                                                "mean_1d",  "mean_7d",  "mean_30d"};
    const mr_type key = {MR_INT64, 0};
    const mr_view_column column = {input, type};
    mr_view_aggregate aggregates[2 * DAYS];
    mr_error err = {0};
    for (size_t i = 0; i < 2 * DAYS; i++) {
        const char *kind = i < DAYS ? "count" : "mean";
        aggregates[i] = (mr_view_aggregate){
            .name = names[i],
            .kind = mr_aggregate_find(kind, strlen(kind)),
            .input = i < DAYS ? -1 : 0,
            .where = -1,
            .window = {MR_WINDOW_SLIDING, days[i % DAYS] * DAY_US, delay_us, 0},
            .empty_given = zero_when_empty && i >= DAYS,
        };
    }
    const mr_view_spec spec = {.name = name,
                               .keys = &key,
                               .key_count = 1,
                               .inputs = &column,
                               .input_count = 1,
                               .aggregates = aggregates,
                               .aggregate_count = 2 * DAYS,
                               .lateness_us = MR_VIEW_LATENESS_DEFAULT};
    assert_ok(mr_view_create(&spec, state, &to->view, &err), &err);
    assert_ok(mr_view_work_create(to->view, 2, &to->work, &err), &err);
    for (size_t i = 0; i < DAYS; i++) {
        to->counts[i] = malloc(rows * sizeof(int64_t));
        to->means[i] = malloc(rows * sizeof(double));
    }
}

static void close_view(card_view *view)
{
    mr_view_work_destroy(view->work);
    mr_view_destroy(view->view);
    for (size_t i = 0; i < DAYS; i++) {
        free(view->counts[i]);
        free(view->means[i]);
    }
}

/* Takes the answers of one micro-batch: output row k is payment first + k. */
static void keep(card_view *view, mr_column *columns, size_t first, size_t rows)
{
    for (size_t i = 0; i < DAYS; i++) {
        assert_int_equal(columns[i].null_count + columns[DAYS + i].null_count, 0);
        memcpy(view->counts[i] + first, columns[i].values, rows * sizeof(int64_t));
        memcpy(view->means[i] + first, columns[DAYS + i].values, rows * sizeof(double));
        mr_column_release(&columns[i]);
        mr_column_release(&columns[DAYS + i]);
    }
}

static mr_column column(mr_type_id type, const void *values)
{
    return (mr_column){.type = {type, 0}, .values = values};
}

/* Every payment updates and asks. */
static void run_payments(card_view *view, const payments *p, const int64_t *keys, mr_type_id type,
                         const void *values)
{
    mr_error err = {0};
    mr_column columns[2 * DAYS];
    for (size_t first = 0; first < p->count; first += BATCH) {
        size_t rows = p->count - first < BATCH ? p->count - first : BATCH;
        const mr_column key = column(MR_INT64, keys + first),
                        times = column(MR_TIMESTAMP, p->at + first);
        const mr_column inputs = column(type, (const int64_t *)values + first); /* 8 bytes each */
        const mr_view_input input = {.first_position = first,
                                     .updates = {rows, &key, &times, &inputs, NULL},
                                     .output_rows = rows};
        assert_ok(mr_view_run(view->work, &input, columns, &err), &err);
        keep(view, columns, first, rows);
    }
}

/* Payments ask; outcomes, seven days later, update: at equal times before the payments. */
static void run_outcomes(card_view *view, const payments *p)
{
    mr_error err = {0};
    mr_column columns[2 * DAYS];
    mr_view_step *steps = malloc(4 * BATCH * sizeof *steps);
    int64_t *known_at = malloc(p->count * sizeof *known_at);
    size_t outcome = 0, position = 0;
    for (size_t i = 0; i < p->count; i++)
        known_at[i] = p->at[i] + 7 * DAY_US;
    for (size_t first = 0, rows; first < p->count; first += rows) {
        size_t from = outcome, count = 0;
        for (rows = 0; first + rows < p->count && count < 2 * BATCH;) {
            if (known_at[outcome] <= p->at[first + rows])
                steps[count++] = (mr_view_step){(uint32_t)(outcome++ - from), 0, MR_VIEW_UPDATE};
            else {
                steps[count++] = (mr_view_step){(uint32_t)rows, (uint32_t)rows, MR_VIEW_QUERY};
                rows++;
            }
        }
        const mr_column outcome_key = column(MR_INT64, p->terminal + from);
        const mr_column outcome_time = column(MR_TIMESTAMP, known_at + from),
                        fraud = column(MR_INT64, p->fraud + from);
        const mr_column key = column(MR_INT64, p->terminal + first),
                        time = column(MR_TIMESTAMP, p->at + first);
        const mr_view_input input = {
            .first_position = position,
            .steps = steps,
            .step_count = count,
            .updates = {outcome - from, &outcome_key, &outcome_time, &fraud, NULL},
            .queries = {rows, &key, &time, NULL, NULL},
            .output_rows = rows};
        assert_ok(mr_view_run(view->work, &input, columns, &err), &err);
        keep(view, columns, first, rows);
        position += count;
    }
    free(steps);
    free(known_at);
}

/* ---- the comparison ---- */

static void check_row(const table_file *row, const size_t *wanted, const card_view *view, size_t id,
                      const char *what)
{
    for (size_t i = 0; i < DAYS; i++) {
        if ((int64_t)decimal(row, wanted[2 * i]) != view->counts[i][id])
            fail_msg("%s, payment %zu, window %zu: count %lld, published %g", what, id, i,
                     (long long)view->counts[i][id], decimal(row, wanted[2 * i]));
        double difference = fabs(decimal(row, wanted[2 * i + 1]) - view->means[i][id]);
        if (!(difference <= 1e-9))
            fail_msg("%s, payment %zu, window %zu: mean %.17g, published %.17g", what, id, i,
                     view->means[i][id], decimal(row, wanted[2 * i + 1]));
    }
}

TEST(cards, features_equal_the_published_ones)
{
    static const char *const customer_names[] = {
        "CUSTOMER_ID_NB_TX_1DAY_WINDOW",  "CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW",
        "CUSTOMER_ID_NB_TX_7DAY_WINDOW",  "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW",
        "CUSTOMER_ID_NB_TX_30DAY_WINDOW", "CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW"};
    static const char *const terminal_names[] = {
        "TERMINAL_ID_NB_TX_1DAY_WINDOW",  "TERMINAL_ID_RISK_1DAY_WINDOW",
        "TERMINAL_ID_NB_TX_7DAY_WINDOW",  "TERMINAL_ID_RISK_7DAY_WINDOW",
        "TERMINAL_ID_NB_TX_30DAY_WINDOW", "TERMINAL_ID_RISK_30DAY_WINDOW"};
    const char *published = mr_test_data("cards/features_2018-07-25_2018-08-03.csv.zst");
    mr_error err = {0};
    mr_state *state;
    payments p;
    card_view customer, delayed, outcomes;
    table_file file;
    const mr_state_options options = {.fs = mr_fs_real(), .folder = mr_test_folder(), .workers = 1};
    read_payments(&p);
    assert_ok(mr_state_open(&options, &state, &err), &err);
    open_view(&customer, state, "customer", "amount", (mr_type){MR_FLOAT64, 0}, 0, false, p.count);
    open_view(&delayed, state, "delayed", "fraud", (mr_type){MR_INT64, 0}, 7 * DAY_US, true,
              p.count);
    open_view(&outcomes, state, "outcomes", "fraud", (mr_type){MR_INT64, 0}, 0, true, p.count);
    run_payments(&customer, &p, p.customer, MR_FLOAT64, p.amount);
    run_payments(&delayed, &p, p.terminal, MR_INT64, p.fraud);
    run_outcomes(&outcomes, &p);
    read_all(published, &file);
    assert_true(next_line(&file));
    size_t customer_columns[2 * DAYS], terminal_columns[2 * DAYS],
        rows = 0, id = column_of(&file, "TRANSACTION_ID");
    for (size_t i = 0; i < 2 * DAYS; i++) {
        customer_columns[i] = column_of(&file, customer_names[i]);
        terminal_columns[i] = column_of(&file, terminal_names[i]);
    }
    for (; next_line(&file); rows++) {
        size_t payment = (size_t)whole(&file, id);
        check_row(&file, customer_columns, &customer, payment, "customer");
        check_row(&file, terminal_columns, &delayed, payment, "terminal, delayed");
        check_row(&file, terminal_columns, &outcomes, payment, "terminal, outcomes");
    }
    assert_int_equal(rows, CHECKED_ROWS);
    for (size_t i = 0; i < DAYS; i++) { /* and the two ways agree on all payments, to the bit */
        assert_memory_equal(delayed.counts[i], outcomes.counts[i], p.count * sizeof(int64_t));
        assert_memory_equal(delayed.means[i], outcomes.means[i], p.count * sizeof(double));
    }
    mr_bytes_deinit(&file.text);
    mr_state_close(state);
    close_view(&customer);
    close_view(&delayed);
    close_view(&outcomes);
    free_payments(&p);
}
