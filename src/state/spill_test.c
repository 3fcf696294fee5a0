/* spill_test.c -- every store keeps the contract of spill.h, and a state four times its budget is still right. */
#include "base/assert.h"
#include "os/fs_sim.h"
#include "os/thread.h"
#include "state/spill_index.h"
#include "state/state_kit.h"

#include "test/test.h"

#include <stdio.h>
#include <string.h>

static const mr_spill_kind *const kinds[] = {&mr_spill_log, &mr_spill_memory};

static mr_spill_place place(uint16_t table, uint16_t slot, uint64_t word)
{
    return (mr_spill_place){table, slot, word, mr_hash_u64(word)};
}

static void put(mr_spill *spill, mr_spill_place at, const char *text)
{
    mr_error err = {0};
    assert_ok(spill->kind->put(spill, at, text, strlen(text), &err), &err);
}

static void check_get(mr_spill *spill, mr_spill_place at, const char *text)
{
    mr_error err = {0};
    mr_spill_value value;
    mr_status status = spill->kind->get(spill, at, &value, &err);
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
        mr_heap_source source = {0};
        assert_ok(kinds[k]->open(mr_fs_real(), mr_test_folder(), &source, &spill, &err), &err);
        mr_spill_place a = place(1, 4095, 7), b = place(1, 4095, UINT64_MAX), c = place(2, 0, 0);
        assert_ok(spill->kind->begin(spill, &err), &err);
        put(spill, b, "b");
        put(spill, a, "a");
        put(spill, c, "c");
        check_get(spill, a, "a");
        assert_ok(spill->kind->commit(spill, &err), &err);
        check_get(spill, a, "a");
        check_get(spill, b, "b");
        check_get(spill, place(1, 4095, 8), NULL);
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
        spill->kind->close(spill);
        assert_int_equal(source.used_bytes, 0);
    }
}

/* ---- the log ---- */

#define LOG_WORDS 3000

/* What the model says of a word: a size that depends on its version, bytes that do too; version 0: absent. */
static size_t size_of(uint64_t word, uint32_t version)
{
    if (word == 5 && version % 4 == 1)
        return 9 << 20; /* beyond all size classes */
    return (word * 37 + version * 101) % (word % 50 == 0 ? 40000 : 400);
}

static void fill(uint8_t *bytes, size_t size, uint64_t word, uint32_t version)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(word * 7 + version * 13 + i);
}

static void check_value(const mr_spill_value *value, uint64_t word, uint32_t version)
{
    assert_int_equal(value->size, size_of(word, version));
    for (size_t i = 0; i < value->size; i++)
        if (value->bytes[i] != (uint8_t)(word * 7 + version * 13 + i))
            assert_int_equal(value->bytes[i], (uint8_t)(word * 7 + version * 13 + i));
}

static void check_slot(mr_spill *spill, uint16_t slot, const uint32_t *versions)
{
    mr_error err = {0};
    mr_spill_scan *scan;
    assert_ok(spill->kind->scan_open(spill, 3, slot, &scan, &err), &err);
    for (uint64_t word = slot; word < LOG_WORDS; word += 3) {
        mr_spill_value value;
        mr_status status = spill->kind->get(spill, place(3, slot, word), &value, &err);
        if (versions[word] == 0) {
            assert_int_equal(status, MR_NOT_FOUND);
            continue;
        }
        assert_ok(status, &err);
        check_value(&value, word, versions[word]);
        spill->kind->release(spill, &value);
        uint64_t scanned;
        assert_ok(spill->kind->scan_next(scan, &scanned, &value, &err), &err);
        assert_int_equal(scanned, word);
        check_value(&value, word, versions[word]);
    }
    uint64_t word;
    mr_spill_value value;
    assert_int_equal(spill->kind->scan_next(scan, &word, &value, &err), MR_END);
    spill->kind->scan_close(scan);
}

static void change_some(mr_spill *spill, mr_random_seeded *random, uint32_t *versions)
{
    static uint8_t bytes[9 << 20];
    mr_error err = {0};
    assert_ok(spill->kind->begin(spill, &err), &err);
    for (int i = 0; i < 600; i++) {
        uint64_t word = mr_random_below(random, LOG_WORDS);
        mr_spill_place at = place(3, (uint16_t)(word % 3), word);
        if (mr_random_below(random, 10) == 0) {
            versions[word] = 0;
            assert_ok(spill->kind->remove(spill, at, &err), &err);
            continue;
        }
        versions[word]++;
        size_t size = size_of(word, versions[word]);
        fill(bytes, size, word, versions[word]);
        assert_ok(spill->kind->put(spill, at, bytes, size, &err), &err);
    }
}

/* Written over and over: right after each commit and each abort, and files stay near what is alive. */
TEST(spill, the_log_forgets_what_was_written_over)
{
    static uint32_t versions[LOG_WORDS], before[LOG_WORDS];
    mr_error err = {0};
    mr_spill *spill;
    mr_heap_source source = {0};
    mr_random_seeded random;
    mr_random_seeded_init(&random, mr_test_seed());
    memset(versions, 0, sizeof versions);
    assert_ok(mr_spill_log.open(mr_fs_real(), mr_test_folder(), &source, &spill, &err), &err);
    uint64_t written = 0;
    for (int round = 0; round < 150; round++) {
        memcpy(before, versions, sizeof before);
        change_some(spill, &random, versions);
        if (round % 7 == 3) {
            spill->kind->abort(spill);
            memcpy(versions, before, sizeof before);
        } else {
            assert_ok(spill->kind->commit(spill, &err), &err);
        }
        for (uint16_t slot = 0; slot < 3 && round % 10 == 9; slot++)
            check_slot(spill, slot, versions);
        uint64_t live = 0, places = 0;
        for (uint64_t word = 0; word < LOG_WORDS; word++) {
            places += versions[word] != 0;
            live += versions[word] != 0 ? size_of(word, versions[word]) : 0;
            written += versions[word] != before[word] ? size_of(word, versions[word]) : 0;
        }
        mr_spill_stats stats;
        spill->kind->stats(spill, &stats);
        assert_int_equal(stats.places, places);
        assert_true(stats.file_bytes < 3 * live + (24 << 20));
    }
    assert_true(written > (uint64_t)90 << 20);
    spill->kind->close(spill);
    assert_int_equal(source.used_bytes, 0);
}

/* Thirty keys of slot 1 get this version, as one commit; what fails is undone. */
static mr_status try_version(mr_spill *spill, uint32_t version, mr_error *err)
{
    uint8_t bytes[400];
    MR_TRY(spill->kind->begin(spill, err));
    for (uint64_t word = 1; word < 91; word += 3) {
        size_t size = size_of(word, version);
        fill(bytes, size, word, version);
        mr_status status = word % 5 == version % 5
                               ? spill->kind->remove(spill, place(3, 1, word), err)
                               : spill->kind->put(spill, place(3, 1, word), bytes, size, err);
        if (status != MR_OK) {
            spill->kind->abort(spill);
            return status;
        }
    }
    return spill->kind->commit(spill, err);
}

static void check_version(mr_spill *spill, uint32_t version)
{
    uint32_t versions[LOG_WORDS] = {0};
    for (uint64_t word = 1; word < 91 && version > 0; word += 3)
        versions[word] = word % 5 == version % 5 ? 0 : version;
    check_slot(spill, 1, versions);
}

TEST(spill, a_commit_that_fails_leaves_what_was)
{
    mr_error err = {0};
    mr_spill *spill;
    mr_heap_source source = {0};
    assert_ok(mr_spill_log.open(mr_fs_real(), mr_test_folder(), &source, &spill, &err), &err);
    uint32_t version = 0;
    for (int64_t n = 0, failed = 1; failed > 0 || n < 40; n++) {
        mr_memory_fail_after(n, false);
        mr_status status = try_version(spill, version + 1, &err);
        mr_memory_fail_after(-1, false);
        failed = status != MR_OK;
        assert_true(status == MR_OK || status == MR_NO_MEMORY);
        version += status == MR_OK;
        check_version(spill, version);
    }
    assert_true(version > 1);
    spill->kind->close(spill);
    assert_int_equal(source.used_bytes, 0);
}

TEST(spill, a_disk_that_fails_leaves_what_was)
{
    mr_error err = {0};
    mr_spill *spill;
    mr_heap_source source = {0};
    mr_fs_sim *sim;
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = mr_test_seed()}, &sim, &err), &err);
    assert_ok(mr_spill_log.open(mr_fs_sim_fs(sim), "spill", &source, &spill, &err), &err);
    uint32_t version = 0;
    for (int round = 0; round < 40; round++) {
        bool fails = round % 3 == 1;
        if (fails)
            mr_fs_sim_fail_after(sim, MR_FS_WRITE, 0, MR_FULL, false);
        assert_int_equal(try_version(spill, version + 1, &err), fails ? MR_FULL : MR_OK);
        version += !fails;
        check_version(spill, version);
    }
    mr_spill_value value;
    mr_fs_sim_fail_after(sim, MR_FS_READ, 0, MR_IO, false);
    uint64_t word = version % 5 == 1 ? 4 : 1;
    assert_int_equal(spill->kind->get(spill, place(3, 1, word), &value, &err), MR_IO);
    check_version(spill, version);
    spill->kind->close(spill);
    mr_fs_sim_destroy(sim);
    assert_int_equal(source.used_bytes, 0);
}

TEST(spill, sizes_are_rounded_up_by_little)
{
    for (size_t bytes = 1; bytes < 7000000; bytes += 1 + bytes / 37) {
        uint32_t size_class = mr_spill_class_of(bytes);
        size_t held = mr_spill_class_bytes(size_class);
        assert_true(held >= bytes && held < bytes + bytes / 16 + MR_SPILL_UNIT_BYTES);
        assert_true(size_class < MR_SPILL_CLASS_LAST);
    }
    assert_int_equal(mr_spill_class_of((size_t)1 << 30), MR_SPILL_CLASS_LAST);
}

TEST(spill, an_index_holds_what_a_naive_one_holds)
{
    mr_heap_source source = {0};
    mr_spill_index index = {0};
    uint32_t model[512] = {0}; /* offset, 0: absent */
    mr_random_seeded random;
    mr_random_seeded_init(&random, mr_test_seed());
    for (uint32_t i = 1; i < 20000; i++) {
        uint64_t key = mr_random_below(&random, MR_COUNT_OF(model)), hash = mr_hash_u64(key);
        bool away = mr_random_below(&random, i / 5000 % 2 == 0 ? 4 : 2) == 0;
        assert_true(mr_spill_index_reserve(&index, &source));
        mr_spill_index_set(&index, hash, (mr_spill_at){away ? 0 : 1 + i % 4095, i, i % 256});
        model[key] = away ? 0 : i;
        key = mr_random_below(&random, MR_COUNT_OF(model));
        mr_spill_at at = mr_spill_index_get(&index, mr_hash_u64(key));
        assert_int_equal(at.segment, model[key] != 0 ? 1 + model[key] % 4095 : 0);
        if (model[key] != 0) {
            assert_int_equal(at.offset, model[key]);
            assert_int_equal(at.size, model[key] % 256);
        }
    }
    mr_spill_index_deinit(&index, &source);
    assert_int_equal(source.used_bytes, 0);
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
