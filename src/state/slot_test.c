/* slot_test.c -- slots against a naive model, and what they take and give back. */
#include "base/assert.h"
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

/* slot.c (1) and (4): every key is found where tags lead, and tags say what is empty, at the end again. */
static void check_tags(const mr_slot *slot)
{
    const uint8_t *tags = mr_slot_tags(slot);
    for (uint32_t at = 0; at < slot->capacity; at++) {
        const mr_entry *entry = mr_slot_entry(slot, at);
        if (entry->touched == 0) {
            assert_int_equal(tags[at], 0);
            continue;
        }
        uint64_t hash = mr_slot_entry_hash(slot, entry);
        assert_int_equal(tags[at], mr_slot_tag(hash));
        mr_slot_search search = mr_slot_search_start(slot, hash);
        uint32_t found;
        while ((found = mr_slot_search_next(&search)) != at)
            assert_int_not_equal(found, MR_SLOT_NOWHERE);
    }
    for (uint32_t i = 0; slot->capacity > 0 && i < MR_SLOT_TAGS - 1; i++)
        assert_int_equal(tags[slot->capacity + i], tags[i % slot->capacity]);
}

TEST(slot, finds_every_key_by_its_tag)
{
    static const uint32_t key_counts[] = {200, 3000, 60000};
    for (size_t i = 0; i < MR_COUNT_OF(key_counts); i++) {
        state_kit kit;
        kit_open(&kit, &(kit_options){.seed = mr_test_seed() + i,
                                      .keys = key_counts[i],
                                      .ttl_us = i == 1 ? 30000 : 0});
        for (int round = 0; round < 4; round++) {
            kit_run(&kit, 20000, 1000);
            for (int t = 0; t < 2; t++)
                for (uint32_t k = 0; k < MR_SLOT_COUNT; k++)
                    check_tags(&mr_table_slots(kit.tables[t])[k]);
        }
        kit_close(&kit);
    }
}

TEST(slot, stops_its_search_at_an_empty_place)
{
    state_kit kit;
    kit_open(&kit, &(kit_options){.keys = 1});
    mr_slot *slot = &mr_table_slots(kit.tables[0])[0];
    mr_slot_search search = mr_slot_search_start(slot, 7);
    assert_int_equal(mr_slot_search_next(&search), MR_SLOT_NOWHERE); /* no places at all */
    assert_non_null(mr_slot_add(slot, 5, NULL, 0, NULL));
    uint64_t hash = mr_hash_u64(5);
    assert_int_equal(mr_slot_prefetch_entry(slot, hash), mr_slot_home(slot, hash));
    assert_int_equal(mr_slot_prefetch_entry(slot, hash ^ UINT64_C(1) << 40), MR_SLOT_NOWHERE);
    assert_non_null(mr_slot_peek_word_at(slot, mr_slot_home(slot, hash), 5));
    assert_null(mr_slot_peek_word_at(slot, mr_slot_home(slot, hash), 6));
    assert_null(mr_slot_peek_word_at(slot, slot->capacity, 5));
    assert_null(mr_slot_peek_word_at(slot, MR_SLOT_NOWHERE, 5));
    kit_close(&kit);
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
