/* cards_test.c -- the published truth: features and scores of the cards data set, through whole pipelines.
 *
 * The terminal view is written both ways: `delayed 7d` over labelled payments, and a stream of outcomes that
 * arrive seven days later. Counts must be equal, means within 1e-9 (the published ones slide a running sum). */
#include "test/flow.h"

#include "base/assert.h"
#include "data/decoder.h"
#include "data/input.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TRANSACTIONS "cards/transactions.csv.zst"
#define FEATURES     "cards/features_2018-07-25_2018-08-03.csv.zst"
#define PREDICTIONS  "cards/xgb_predictions_first20000.csv.zst"
#define MODEL        "cards/xgb_model.json"
#define DELAY_US     (INT64_C(7) * 86400000000)

static const char *const payment_source = "  payments: {file: %s, event_time: at,\n"
                                          "    schema: {tx: int64, at: timestamp, customer: int64, "
                                          "terminal: int64, amount: float64, fraud: int64},\n"
                                          "    columns: {tx: TRANSACTION_ID, at: TX_DATETIME, "
                                          "customer: CUSTOMER_ID, terminal: TERMINAL_ID,\n"
                                          "              amount: TX_AMOUNT, fraud: TX_FRAUD}}\n";

static const char *const customer_view = "  customer: {key: customer, windows: [1d, 7d, 30d], "
                                         "aggregates: {n: count(), avg: mean(amount)}}\n";

static const char *const derived = "derive:\n  night: hour(at) <= 6\n  weekend: weekday(at) >= 6\n";

/* Only the days that can be compared are kept. */
static const char *const kept_days = "route: [{when: \"at >= timestamp '2018-07-25' and at < "
                                     "timestamp '2018-08-04'\", sink: kept}]\n";

/* ---- reading files ---- */

static mr_batch *read_csv(const char *path, const char *schema_text)
{
    mr_error err = {0};
    mr_schema *schema;
    mr_input *input;
    mr_decoder *decoder;
    mr_batch *batch, *joined, **parts = NULL;
    size_t count = 0, size = 1;
    assert_ok(mr_schema_parse(schema_text, strlen(schema_text), &schema, &err), &err);
    mr_decoder_options options = {
        .format = MR_FORMAT_CSV, .schema = schema, .name = path, .batch_rows_max = 65536};
    assert_ok(mr_input_open(mr_fs_real(), path, &input, &err), &err);
    assert_ok(mr_decoder_open(&options, &decoder, &err), &err);
    while (size > 0) {
        uint8_t *room;
        size_t room_bytes;
        assert_ok(mr_decoder_room(decoder, &room, &room_bytes, &err), &err);
        assert_ok(mr_input_read(input, room, room_bytes, &size, &err), &err);
        if (size > 0)
            mr_decoder_fed(decoder, size);
        else
            mr_decoder_finish(decoder);
        for (;;) {
            assert_ok(mr_decoder_next_batch(decoder, &batch, &err), &err);
            if (batch == NULL)
                break;
            mr_batch **grown = mr_realloc(parts, (count + 1) * sizeof *parts);
            assert_non_null(grown);
            parts = grown;
            parts[count++] = batch;
        }
    }
    assert_int_equal(mr_decoder_count(decoder).rejected, 0);
    assert_ok(mr_batch_concat(parts, count, &joined, &err), &err);
    for (size_t i = 0; i < count; i++)
        mr_batch_release(parts[i]);
    mr_free(parts);
    mr_decoder_close(decoder);
    mr_input_close(input);
    mr_schema_release(schema);
    return joined;
}

/* ---- comparing ---- */

typedef struct pair {
    const char *ours;
    const char *published;
    bool exact;
} pair;

static const pair pairs[] = {
    {"customer_n_1d", "CUSTOMER_ID_NB_TX_1DAY_WINDOW", true},
    {"customer_n_7d", "CUSTOMER_ID_NB_TX_7DAY_WINDOW", true},
    {"customer_n_30d", "CUSTOMER_ID_NB_TX_30DAY_WINDOW", true},
    {"customer_avg_1d", "CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW", false},
    {"customer_avg_7d", "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW", false},
    {"customer_avg_30d", "CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW", false},
    {"terminal_n_1d", "TERMINAL_ID_NB_TX_1DAY_WINDOW", true},
    {"terminal_n_7d", "TERMINAL_ID_NB_TX_7DAY_WINDOW", true},
    {"terminal_n_30d", "TERMINAL_ID_NB_TX_30DAY_WINDOW", true},
    {"terminal_risk_1d", "TERMINAL_ID_RISK_1DAY_WINDOW", false},
    {"terminal_risk_7d", "TERMINAL_ID_RISK_7DAY_WINDOW", false},
    {"terminal_risk_30d", "TERMINAL_ID_RISK_30DAY_WINDOW", false},
    {"night", "TX_DURING_NIGHT", true},
    {"weekend", "TX_DURING_WEEKEND", true},
};

static double number_at(const mr_batch *batch, const char *name, uint32_t row)
{
    int at = mr_schema_find(batch->schema, name);
    assert_true(at >= 0);
    const mr_column *column = &batch->columns[at];
    assert_false(mr_column_is_null(column, row));
    switch (column->type.id) {
    case MR_BOOL:
        return mr_bit_get(column->values, row);
    case MR_INT64:
        return (double)((const int64_t *)column->values)[row];
    case MR_FLOAT32:
        return (double)((const float *)column->values)[row];
    default:
        return ((const double *)column->values)[row];
    }
}

static void compare_features(const mr_batch *ours)
{
    mr_batch *truth = read_csv(
        mr_test_data(FEATURES),
        "TRANSACTION_ID: int64, TX_DURING_NIGHT: int64, TX_DURING_WEEKEND: int64,"
        "CUSTOMER_ID_NB_TX_1DAY_WINDOW: int64, CUSTOMER_ID_NB_TX_7DAY_WINDOW: int64,"
        "CUSTOMER_ID_NB_TX_30DAY_WINDOW: int64, CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW: float64,"
        "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW: float64, CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW: float64,"
        "TERMINAL_ID_NB_TX_1DAY_WINDOW: int64, TERMINAL_ID_NB_TX_7DAY_WINDOW: int64,"
        "TERMINAL_ID_NB_TX_30DAY_WINDOW: int64, TERMINAL_ID_RISK_1DAY_WINDOW: float64,"
        "TERMINAL_ID_RISK_7DAY_WINDOW: float64, TERMINAL_ID_RISK_30DAY_WINDOW: float64");
    assert_int_equal(truth->row_count, 95926);
    assert_int_equal(ours->row_count, truth->row_count);
    for (uint32_t row = 0; row < truth->row_count; row++) {
        assert_true(number_at(ours, "tx", row) == number_at(truth, "TRANSACTION_ID", row));
        for (size_t i = 0; i < MR_COUNT_OF(pairs); i++) {
            double seen = number_at(ours, pairs[i].ours, row),
                   told = number_at(truth, pairs[i].published, row);
            if (pairs[i].exact ? seen != told : !(fabs(seen - told) <= 1e-9))
                fail_msg("payment %.0f: %s is %.17g, published %.17g", number_at(ours, "tx", row),
                         pairs[i].ours, seen, told);
        }
    }
    mr_batch_release(truth);
}

/* ---- features ---- */

TEST(cards, features_with_delayed_windows_equal_the_published_ones)
{
    const char *path = mr_test_data(TRANSACTIONS);
    mr_flow flow;
    char source[4096], plan[8192];
    mr_flow_open(&flow, NULL);
    (void)snprintf(source, sizeof source, payment_source, path);
    (void)snprintf(
        plan, sizeof plan,
        "pipeline: delayed\nsources:\n%s%sfeatures:\n%s"
        "  terminal: {key: terminal, windows: [1d delayed 7d, 7d delayed 7d, 30d delayed 7d],\n"
        "    aggregates: {n: count(), risk: {value: mean(fraud), empty: 0}}}\n%s",
        source, derived, customer_view, kept_days);
    mr_pipeline_options options = {.workers = 2, .checkpoint_interval_ms = -1};
    mr_flow_run(&flow, plan, &options);
    mr_batch *ours = mr_flow_batch(&flow, "kept");
    compare_features(ours);
    mr_batch_release(ours);
    mr_flow_close(&flow);
}

static void write_outcomes(mr_flow *flow, const char *path)
{
    mr_error err = {0};
    mr_schema *schema;
    const char *text = "known_at: timestamp, terminal: int64, fraud: int64";
    mr_batch *all = read_csv(path, "TX_DATETIME: timestamp, TERMINAL_ID: int64, TX_FRAUD: int64");
    assert_ok(mr_schema_parse(text, strlen(text), &schema, &err), &err);
    void *times;
    mr_column columns[3];
    assert_ok(
        mr_column_alloc((mr_type){MR_TIMESTAMP, 0}, all->row_count, &columns[0], &times, &err),
        &err);
    for (uint32_t row = 0; row < all->row_count; row++)
        ((int64_t *)times)[row] = ((const int64_t *)all->columns[0].values)[row] + DELAY_US;
    columns[1] = mr_column_retain(&all->columns[1]);
    columns[2] = mr_column_retain(&all->columns[2]);
    mr_batch *outcomes;
    assert_ok(mr_batch_create(schema, all->row_count, columns, &outcomes, &err), &err);
    mr_flow_append(flow, "outcomes", "known_at", outcomes);
    mr_batch_release(outcomes);
    mr_batch_release(all);
    mr_schema_release(schema);
}

TEST(cards, features_from_a_stream_of_outcomes_equal_the_published_ones)
{
    const char *path = mr_test_data(TRANSACTIONS);
    mr_flow flow;
    char source[4096], plan[8192];
    mr_flow_open(&flow, NULL);
    write_outcomes(&flow, path);
    (void)snprintf(source, sizeof source, payment_source, path);
    (void)snprintf(
        plan, sizeof plan,
        "pipeline: outcomes\nsources:\n%s  outcomes: {topic: outcomes, event_time: known_at}\n"
        "on: payments\n%sfeatures:\n%s"
        "  terminal: {from: outcomes, key: terminal, windows: [1d, 7d, 30d],\n"
        "    aggregates: {n: count(), risk: {value: mean(fraud), empty: 0}}}\n%s",
        source, derived, customer_view, kept_days);
    mr_pipeline_options options = {.workers = 2, .checkpoint_interval_ms = -1};
    mr_flow_run(&flow, plan, &options);
    mr_batch *ours = mr_flow_batch(&flow, "kept");
    compare_features(ours);
    mr_batch_release(ours);
    mr_flow_close(&flow);
}

/* ---- scores ---- */

TEST(cards, scores_are_the_library_s_bits)
{
    const char *path = mr_test_data(PREDICTIONS), *model = mr_test_data(MODEL);
    mr_flow flow;
    char plan[8192];
    mr_flow_open(&flow, NULL);
    /* No time in that file: the transaction number serves as one. */
    (void)snprintf(
        plan, sizeof plan,
        "pipeline: scores\nsources:\n  rows: {file: %s, event_time: at, columns: {at: "
        "TRANSACTION_ID},\n"
        "    schema: {at: timestamp(s), TX_AMOUNT: float64, TX_DURING_WEEKEND: int64,\n"
        "      TX_DURING_NIGHT: int64, CUSTOMER_ID_NB_TX_1DAY_WINDOW: int64,\n"
        "      CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW: float64, CUSTOMER_ID_NB_TX_7DAY_WINDOW: int64,\n"
        "      CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW: float64, CUSTOMER_ID_NB_TX_30DAY_WINDOW: "
        "int64,\n"
        "      CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW: float64, TERMINAL_ID_NB_TX_1DAY_WINDOW: "
        "int64,\n"
        "      TERMINAL_ID_RISK_1DAY_WINDOW: float64, TERMINAL_ID_NB_TX_7DAY_WINDOW: int64,\n"
        "      TERMINAL_ID_RISK_7DAY_WINDOW: float64, TERMINAL_ID_NB_TX_30DAY_WINDOW: int64,\n"
        "      TERMINAL_ID_RISK_30DAY_WINDOW: float64, probability: float32}}\n"
        "score: {model: %s}\nsink: scored\n",
        path, model);
    mr_flow_run(&flow, plan, NULL);
    mr_batch *scored = mr_flow_batch(&flow, "scored");
    assert_int_equal(scored->row_count, 20000);
    int score = mr_schema_find(scored->schema, "score"),
        told = mr_schema_find(scored->schema, "probability");
    assert_true(score >= 0 && told >= 0);
    assert_true(
        mr_column_equal(&scored->columns[score], 0, &scored->columns[told], 0, scored->row_count));
    mr_batch_release(scored);
    mr_flow_close(&flow);
}
