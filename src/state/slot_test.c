/* slot_test.c -- slots against a naive model, and what they take and give back. */
#include "state/state_kit.h"

#include "test/test.h"

#include <string.h>

TEST(slot, holds_what_a_naive_model_holds)
{
    for (uint64_t seed = 1; seed <= mr_test_rounds(3); seed++) {
        state_kit kit;
        kit_open(&kit,
                 &(kit_options){.seed = mr_test_seed() + seed, .keys = seed == 1 ? 20 : 3000});
        kit_run(&kit, 20000, 1000);
        kit_check(&kit);
        kit_close(&kit);
    }
}

TEST(slot, forgets_by_ttl_wherever_batches_are_cut)
{
    kit_options options = {.seed = mr_test_seed(), .keys = 700, .ttl_us = 30000};
    uint64_t digest = kit_digest_of(&options, 5000);
    for (uint64_t batch = 1; batch < 5000; batch = batch * 5 + 2) {
        state_kit kit;
        kit_open(&kit, &options);
        kit_run(&kit, 5000, batch);
        kit_check(&kit);
        assert_int_equal(kit_digest(&kit), digest);
        mr_table_stats stats;
        mr_table_stats_get(kit.tables[0], &stats);
        assert_true(stats.expired > 0);
        kit_close(&kit);
    }
}

TEST(slot, gives_all_memory_back)
{
    mr_budget budget;
    mr_budget_init(&budget, 0, NULL);
    state_kit kit;
    kit_open(&kit, &(kit_options){.budget = &budget, .keys = 5000});
    assert_true(mr_budget_used(&budget) < 4000000);
    kit_run(&kit, 20000, 1000);
    mr_table_stats words, texts;
    mr_table_stats_get(kit.tables[0], &words);
    mr_table_stats_get(kit.tables[1], &texts);
    assert_int_equal(words.bytes + texts.bytes, mr_budget_used(&budget));
    kit_close(&kit);
    assert_int_equal(mr_budget_used(&budget), 0);
}

TEST(slot, says_when_the_budget_is_used_up)
{
    mr_budget budget;
    mr_budget_init(&budget, 3000000, NULL);
    state_kit kit;
    kit_open(&kit, &(kit_options){.budget = &budget, .keys = 100000});
    mr_error err = {0};
    mr_status status;
    while ((status = kit_try_step(&kit, &err)) == MR_OK)
        assert_true(kit.position < 100000);
    assert_true(status == MR_FULL || status == MR_NO_MEMORY);
    assert_true(mr_budget_used(&budget) <= 3000000);
    kit_close(&kit);
    assert_int_equal(mr_budget_used(&budget), 0);
}

TEST(slot, counts_what_a_key_takes)
{
    state_kit kit;
    kit_open(&kit, &(kit_options){.keys = 1});
    kit_run(&kit, 30, 10);
    uint64_t words = mr_table_key_bytes(kit.tables[0], NULL, 0, -77);
    uint64_t texts = mr_table_key_bytes(kit.tables[1], "customer/0", 10, 0);
    assert_true(words >= sizeof(mr_entry) + sizeof(kit_value) + 8 && words < 400);
    assert_int_equal(mr_table_key_bytes(kit.tables[0], NULL, 0, 5), 0);
    assert_int_equal(texts, 0); /* this key is 300 bytes long */
    kit_close(&kit);
}
