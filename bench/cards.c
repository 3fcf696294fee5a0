/* cards.c -- simulated payments without state: row n is a function of n. */
#include "bench/cards.h"

#include "base/hash.h"

#include <math.h>
#include <stdio.h>

#define START_US INT64_C(1522540800000000) /* 2018-04-01T00:00:00Z */

mr_status cards_batch(const cards_options *options, mr_schema *schema, uint64_t first,
                      uint32_t rows, mr_batch **out, mr_error *err)
{
    mr_builder builder;
    MR_TRY(mr_builder_init(&builder, schema, err));
    for (uint64_t n = first; n < first + rows; n++) {
        uint64_t a = mr_hash_u64(n), b = mr_hash_u64(a), c = mr_hash_u64(b);
        mr_builder_int64(&builder.columns[0], (int64_t)n);
        mr_builder_int64(&builder.columns[1], START_US + (int64_t)n * options->step_us +
                                                  (int64_t)(a % 1000) * options->step_us / 2000);
        mr_builder_int64(&builder.columns[2], (int64_t)(a % options->customers));
        mr_builder_int64(&builder.columns[3], (int64_t)(b % options->terminals));
        mr_builder_float64(&builder.columns[4], (double)(c % 20000) / 100.0);
        mr_builder_int64(&builder.columns[5], c % 128 == 0);
    }
    mr_status status = mr_builder_finish(&builder, out, err);
    mr_builder_deinit(&builder);
    return status;
}

void cards_plan(char *text, size_t text_bytes, const char *source, const char *model_path,
                const char *sync)
{
    (void)snprintf(
        text, text_bytes,
        "pipeline: cards\n"
        "sources:\n"
        "  payments: {%s, event_time: at, schema: {tx: int64, at: timestamp, customer: int64, "
        "terminal: int64, "
        "amount: float64, fraud: int64}}\n"
        "derive:\n"
        "  night: hour(at) <= 6\n"
        "  weekend: weekday(at) >= 6\n"
        "features:\n"
        "  customer:\n"
        "    key: customer\n"
        "    windows: [1d, 7d, 30d]\n"
        "    aggregates: {nb: count(), avg: mean(amount)}\n"
        "  terminal:\n"
        "    key: terminal\n"
        "    windows: [1d delayed 7d, 7d delayed 7d, 30d delayed 7d]\n"
        "    aggregates: {nb: count(), risk: {value: mean(fraud), empty: 0}}\n"
        "score:\n"
        "  model: %s\n"
        "  inputs: {TX_AMOUNT: amount, TX_DURING_WEEKEND: weekend, TX_DURING_NIGHT: night,\n"
        "    CUSTOMER_ID_NB_TX_1DAY_WINDOW: customer_nb_1d, CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW: "
        "customer_avg_1d,\n"
        "    CUSTOMER_ID_NB_TX_7DAY_WINDOW: customer_nb_7d, CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW: "
        "customer_avg_7d,\n"
        "    CUSTOMER_ID_NB_TX_30DAY_WINDOW: customer_nb_30d, CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW: "
        "customer_avg_30d,\n"
        "    TERMINAL_ID_NB_TX_1DAY_WINDOW: terminal_nb_1d, TERMINAL_ID_RISK_1DAY_WINDOW: "
        "terminal_risk_1d,\n"
        "    TERMINAL_ID_NB_TX_7DAY_WINDOW: terminal_nb_7d, TERMINAL_ID_RISK_7DAY_WINDOW: "
        "terminal_risk_7d,\n"
        "    TERMINAL_ID_NB_TX_30DAY_WINDOW: terminal_nb_30d, TERMINAL_ID_RISK_30DAY_WINDOW: "
        "terminal_risk_30d}\n"
        "decide:\n"
        "  action: \"case when score > 0.9 then 'block' when score > 0.5 then 'review' else "
        "'allow' end\"\n"
        "sink: {topic: decisions, sync: %s}\n",
        source, model_path, sync);
}
