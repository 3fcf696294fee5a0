/* spill_test.c -- every store keeps the contract of spill.h, and a state four times its budget is still right. */
#include "base/assert.h"
#include "os/thread.h"
#include "state/state_kit.h"

#include "test/test.h"

#include <stdio.h>
#include <string.h>

static const mr_spill_kind *const kinds[] = {&mr_spill_lmdb, &mr_spill_memory};

static void put(mr_spill *spill, mr_spill_place place, const char *text)
{
    mr_error err = {0};
    assert_ok(spill->kind->put(spill, place, text, strlen(text), &err), &err);
}

static void check_get(mr_spill *spill, mr_spill_place place, const char *text)
{
    mr_error err = {0};
    mr_spill_value value;
    mr_status status = spill->kind->get(spill, place, &value, &err);
    if (text == NULL) {
        assert_int_equal(status, MR_NOT_FOUND);
        return;
    }
    assert_ok(status, &err);
    assert_int_equal(value.size, strlen(text));
    assert_memory_equal(value.bytes, text, value.size);
    spill->kind->release(spill, &value);
}

static void check_scan(mr_spill *spill, uint16_t table, uint16_t slot, const uint64_t *words,
                       size_t count)
{
    mr_error err = {0};
    mr_spill_scan *scan;
    assert_ok(spill->kind->scan_open(spill, table, slot, &scan, &err), &err);
    uint64_t word;
    mr_spill_value value;
    for (size_t i = 0; i < count; i++) {
        assert_ok(spill->kind->scan_next(scan, &word, &value, &err), &err);
        assert_int_equal(word, words[i]);
    }
    assert_int_equal(spill->kind->scan_next(scan, &word, &value, &err), MR_END);
    spill->kind->scan_close(scan);
}

TEST(spill, stores_keep_their_contract)
{
    for (size_t k = 0; k < MR_COUNT_OF(kinds); k++) {
        mr_error err = {0};
        mr_spill *spill;
        assert_ok(kinds[k]->open(mr_fs_real(), mr_test_folder(), &spill, &err), &err);
        mr_spill_place a = {1, 4095, 7}, b = {1, 4095, UINT64_MAX}, c = {2, 0, 0};
        assert_ok(spill->kind->begin(spill, &err), &err);
        put(spill, b, "b");
        put(spill, a, "a");
        put(spill, c, "c");
        check_get(spill, a, "a");
        assert_ok(spill->kind->commit(spill, &err), &err);
        check_get(spill, a, "a");
        check_get(spill, b, "b");
        check_get(spill, (mr_spill_place){1, 4095, 8}, NULL);
        check_scan(spill, 1, 4095, (uint64_t[]){7, UINT64_MAX}, 2);
        check_scan(spill, 2, 0, (uint64_t[]){0}, 1);
        check_scan(spill, 0, 0, NULL, 0);
        assert_ok(spill->kind->begin(spill, &err), &err);
        put(spill, a, "longer than before");
        assert_ok(spill->kind->remove(spill, b, &err), &err);
        assert_ok(spill->kind->remove(spill, b, &err), &err);
        check_get(spill, b, NULL);
        spill->kind->abort(spill);
        check_get(spill, a, "a");
        check_get(spill, b, "b");
        assert_ok(spill->kind->begin(spill, &err), &err);
        put(spill, a, "longer than before");
        assert_ok(spill->kind->remove(spill, b, &err), &err);
        assert_ok(spill->kind->commit(spill, &err), &err);
        check_get(spill, a, "longer than before");
        check_get(spill, b, NULL);
        mr_spill_stats stats;
        spill->kind->stats(spill, &stats);
        assert_int_equal(stats.places, 2);
        spill->kind->relax(spill);
        spill->kind->close(spill);
    }
}

/* Grows through several sizes of the mapping. */
TEST(spill, lmdb_grows)
{
    mr_error err = {0};
    mr_spill *spill;
    char big[65536];
    memset(big, 'x', sizeof big);
    assert_ok(mr_spill_lmdb.open(mr_fs_real(), mr_test_folder(), &spill, &err), &err);
    for (uint64_t i = 0; i < 90; i++) {
        assert_ok(spill->kind->begin(spill, &err), &err);
        for (uint16_t j = 0; j < 32; j++) {
            memcpy(big, &i, sizeof i);
            assert_ok(spill->kind->put(spill, (mr_spill_place){0, j, i}, big, sizeof big, &err),
                      &err);
        }
        assert_ok(spill->kind->commit(spill, &err), &err);
        mr_spill_value value;
        assert_ok(spill->kind->get(spill, (mr_spill_place){0, 31, i / 2}, &value, &err), &err);
        uint64_t seen;
        memcpy(&seen, value.bytes, sizeof seen);
        assert_int_equal(seen, i / 2);
        spill->kind->release(spill, &value);
    }
    mr_spill_stats stats;
    spill->kind->stats(spill, &stats);
    assert_true(stats.file_bytes > (uint64_t)180 << 20);
    spill->kind->close(spill);
}

static uint64_t used_bytes_max;

static void run_watched(state_kit *kit, uint64_t records, uint64_t batch)
{
    for (uint64_t done = 0; done < records; done += batch) {
        kit_run(kit, MR_MIN(batch, records - done), batch);
        used_bytes_max = MR_MAX(used_bytes_max, mr_budget_used(kit->options.budget));
    }
}

TEST(spill, a_state_four_times_its_budget_is_right)
{
    for (size_t k = 0; k < MR_COUNT_OF(kinds); k++) {
        mr_budget all, quarter;
        kit_options options = {.seed = mr_test_seed() + 3, .keys = 6000, .budget = &all};
        mr_budget_init(&all, 0, NULL);
        state_kit kit;
        kit_open(&kit, &options);
        uint64_t empty = mr_budget_used(&all);
        kit_run(&kit, 24000, 500);
        uint64_t state_bytes = mr_budget_used(&all) - empty, digest = kit_digest(&kit);
        kit_close(&kit);
        mr_budget_init(&quarter, empty + state_bytes / 4, NULL);
        options.budget = &quarter;
        options.spill_folder = mr_test_folder();
        options.spill_kind = kinds[k];
        options.folder = mr_test_folder();
        kit_open(&kit, &options);
        used_bytes_max = 0;
        run_watched(&kit, 12000, 500);
        kit_checkpoint(&kit, 0, 1000);
        run_watched(&kit, 12000, 500);
        mr_table_stats stats;
        mr_table_stats_get(kit.tables[0], &stats);
        assert_true(stats.keys_spilled > stats.keys);
        assert_true(stats.bytes_spilled > 0);
        assert_true(used_bytes_max <= quarter.max_bytes);
        assert_int_equal(kit_digest(&kit), digest);
        kit_check(&kit);
        kit_close(&kit);
        /* Loading it again stays within the budget too. */
        kit_recover(&kit, &options, NULL);
        assert_true(mr_budget_used(&quarter) <= quarter.max_bytes);
        run_watched(&kit, 24000 - kit.position, 500);
        assert_int_equal(kit_digest(&kit), digest);
        kit_close(&kit);
        assert_false(mr_fs_exists(mr_fs_real(), options.spill_folder));
        assert_int_equal(mr_budget_used(&quarter), 0);
    }
}

TEST(spill, ttl_reaches_what_is_spilled)
{
    for (size_t k = 0; k < MR_COUNT_OF(kinds); k++) {
        mr_budget budget;
        mr_budget_init(&budget, 4000000, NULL);
        kit_options options = {.seed = mr_test_seed() + 4,
                               .keys = 8000,
                               .ttl_us = 500000,
                               .budget = &budget,
                               .spill_folder = mr_test_folder(),
                               .spill_kind = kinds[k]};
        state_kit kit;
        kit_open(&kit, &options);
        kit_run(&kit, 40000, 300);
        kit_check(&kit);
        assert_int_equal(kit_digest(&kit), kit_digest_of(&options, 40000));
        /* Time alone empties memory and store. */
        mr_error err = {0};
        for (int i = 0; i < 300; i++) {
            for (int t = 0; t < 2; t++)
                mr_table_set_stream_time(kit.tables[t], kit.stream_us + i * 20000);
            assert_ok(mr_state_maintain(kit.state, &err), &err);
        }
        mr_table_stats stats;
        for (int t = 0; t < 2; t++) {
            mr_table_stats_get(kit.tables[t], &stats);
            assert_int_equal(stats.keys + stats.keys_spilled, 0);
        }
        mr_spill_stats stored;
        kit.state->spill->kind->stats(kit.state->spill, &stored);
        assert_int_equal(stored.places, 0);
        kit_close(&kit);
    }
}

TEST(spill, without_a_store_beyond_the_budget_is_said)
{
    mr_budget budget;
    mr_budget_init(&budget, 2400000, NULL);
    kit_options options = {.keys = 50000, .folder = mr_test_folder()};
    state_kit kit;
    kit_open(&kit, &options);
    kit_run(&kit, 24000, 1000);
    kit_checkpoint(&kit, 0, 1000);
    kit_close(&kit);
    mr_error err = {0};
    options.budget = &budget;
    assert_int_equal(kit_try_recover(&kit, &options, NULL, &err), MR_NO_MEMORY);
    assert_int_equal(mr_budget_used(&budget), 0);
}

/* ---- readers on several threads ---- */

#define READ_WORKERS 4

static void read_slots(void *context, int worker)
{
    state_kit *kit = context;
    for (int t = 0; t < 2; t++)
        for (uint32_t i = (uint32_t)worker; i < MR_SLOT_COUNT; i += READ_WORKERS) {
            mr_slot *slot = &mr_table_slots(kit->tables[t])[i];
            mr_error err = {0};
            mr_walk walk;
            mr_entry *entry;
            mr_record record;
            assert_ok(mr_walk_init(&walk, slot, &err), &err);
            uint64_t words[64];
            size_t n = 0;
            while (n < 64 && mr_walk_next(&walk, &entry, &record, &err) == MR_OK)
                if (entry == NULL)
                    words[n++] = record.word;
            mr_walk_deinit(&walk);
            for (size_t w = 0; w < n; w++)
                assert_ok(mr_store_bring_back(slot, words[w], &err), &err);
        }
}

TEST(spill, workers_bring_keys_back_side_by_side)
{
    mr_budget budget;
    mr_budget_init(&budget, 5000000, NULL);
    kit_options options = {
        .seed = 9, .keys = 16000, .budget = &budget, .spill_folder = mr_test_folder()};
    state_kit kit;
    kit_open(&kit, &options);
    kit_run(&kit, 40000, 500);
    mr_pool *pool;
    mr_error err = {0};
    assert_ok(mr_pool_create(READ_WORKERS, &pool, &err), &err);
    mr_pool_run(pool, read_slots, &kit);
    mr_pool_destroy(pool);
    kit_check(&kit);
    kit_run(&kit, 5000, 500);
    assert_true(mr_budget_used(&budget) <= budget.max_bytes);
    kit_check(&kit);
    kit_close(&kit);
}
