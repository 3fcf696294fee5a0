/* simulate_test.c -- the simulated payments follow the published method, and the seed alone. */
#include "cmd/simulate.h"
#include "test/test.h"

#include <math.h>

static mr_simulation *simulate_world(uint32_t customers, uint32_t terminals, uint32_t days,
                                     uint64_t seed)
{
    mr_simulation_options options = {customers, terminals, days, 0, seed};
    mr_simulation *cards = NULL;
    mr_error err = {0};
    assert_ok(mr_simulation_create(&options, &cards, &err), &err);
    return cards;
}

static mr_batch *all_payments(const mr_simulation *cards)
{
    mr_batch *batch = NULL;
    mr_error err = {0};
    assert_ok(mr_simulation_payments(cards, 0, mr_simulation_count(cards), &batch, &err), &err);
    return batch;
}

static const int64_t *integers(const mr_batch *batch, const char *name)
{
    return batch->columns[mr_schema_find(batch->schema, name)].values;
}

static const double *amounts_of(const mr_batch *batch)
{
    return batch->columns[mr_schema_find(batch->schema, "amount")].values;
}

TEST(simulate, depends_on_the_seed_alone)
{
    mr_simulation *first = simulate_world(200, 400, 20, 7),
                  *again = simulate_world(200, 400, 20, 7);
    mr_simulation *other = simulate_world(200, 400, 20, 8);
    mr_batch *a = all_payments(first), *b = all_payments(again), *c = all_payments(other);
    assert_true(a->row_count > 1000);
    assert_true(mr_batch_equal(a, b));
    assert_false(mr_batch_equal(a, c));
    mr_batch_release(a);
    mr_batch_release(b);
    mr_batch_release(c);
    mr_simulation_destroy(first);
    mr_simulation_destroy(again);
    mr_simulation_destroy(other);
}

/* Published: 5,000 customers and 10,000 terminals make about 9,600 payments a day, 0.84 percent of them fraud
 * in the long run, of which scenario 2 is the most and scenario 1 the least. */
TEST(simulate, reaches_the_published_rates)
{
    mr_simulation *cards = simulate_world(5000, 10000, 60, 1);
    mr_batch *batch = all_payments(cards);
    double daily = (double)batch->row_count / 60;
    assert_true(daily > 9200 && daily < 10000);
    uint64_t from = mr_simulation_find(cards, INT64_C(30) * 86400 * 1000000), by_scenario[4] = {0};
    for (uint64_t i = from; i < batch->row_count; i++)
        by_scenario[integers(batch, "scenario")[i]]++;
    double fraud = (double)(by_scenario[1] + by_scenario[2] + by_scenario[3]);
    double share = fraud / (double)(batch->row_count - from);
    assert_true(share > 0.006 && share < 0.0115);
    assert_true(by_scenario[2] > by_scenario[3] && by_scenario[3] > by_scenario[1] &&
                by_scenario[1] > 0);
    mr_batch_release(batch);
    mr_simulation_destroy(cards);
}

TEST(simulate, is_in_order_of_time_and_within_days)
{
    mr_simulation *cards = simulate_world(300, 600, 15, 3);
    mr_batch *batch = all_payments(cards);
    const int64_t *at = integers(batch, "at"), *tx = integers(batch, "tx");
    const int64_t *fraud = integers(batch, "fraud"), *scenario = integers(batch, "scenario");
    for (uint32_t i = 0; i < batch->row_count; i++) {
        assert_true(i == 0 || at[i - 1] <= at[i]);
        assert_true(at[i] > 0 && at[i] < INT64_C(15) * 86400 * 1000000);
        assert_int_equal(tx[i], i);
        assert_int_equal(fraud[i], scenario[i] != 0);
        assert_true(amounts_of(batch)[i] >= 0);
        assert_true(scenario[i] != 0 || amounts_of(batch)[i] <= 220);
        assert_true(scenario[i] != 1 || amounts_of(batch)[i] > 220);
    }
    mr_batch_release(batch);
    mr_simulation_destroy(cards);
}

TEST(simulate, tells_outcomes_after_the_delay)
{
    mr_simulation *cards = simulate_world(50, 400, 10, 5);
    mr_batch *payments = all_payments(cards), *outcomes = NULL;
    mr_error err = {0};
    assert_ok(mr_simulation_outcomes(cards, 0, mr_simulation_count(cards), 1000, &outcomes, &err),
              &err);
    for (uint32_t i = 0; i < payments->row_count; i++) {
        assert_int_equal(integers(outcomes, "known_at")[i], integers(payments, "at")[i] + 1000);
        assert_int_equal(integers(outcomes, "fraud")[i], integers(payments, "fraud")[i]);
        assert_int_equal(integers(outcomes, "terminal")[i], integers(payments, "terminal")[i]);
    }
    mr_batch_release(payments);
    mr_batch_release(outcomes);
    mr_simulation_destroy(cards);
}

/* One customer and one terminal out of reach: nothing happens, and nothing breaks. */
TEST(simulate, survives_tiny_worlds)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        mr_simulation *cards = simulate_world(1, 1, 1, seed);
        assert_true(mr_simulation_count(cards) < 20);
        assert_int_equal(mr_simulation_find(cards, INT64_MAX), mr_simulation_count(cards));
        mr_simulation_destroy(cards);
    }
}

TEST(simulate, gives_memory_back_when_it_runs_out)
{
    mr_simulation_options options = {20, 200, 3, 0, 1};
    mr_status status = MR_NO_MEMORY;
    for (int64_t n = 0; status != MR_OK; n++) {
        uint64_t before = mr_memory_used_bytes();
        mr_simulation *cards = NULL;
        mr_error err = {0};
        (void)mr_memory_fail_after(n, true);
        status = mr_simulation_create(&options, &cards, &err);
        (void)mr_memory_fail_after(-1, false);
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
        mr_simulation_destroy(cards);
        assert_int_equal(mr_memory_used_bytes(), before);
    }
}
