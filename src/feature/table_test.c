/* table_test.c -- counts of values, sketches and registers against naive ones, and their stated errors. */
#include "feature/table.h"
#include "feature/view.h"
#include "test/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct heap {
    mr_state *state;
    mr_view *view;
    mr_slot *slot;
} heap;

/* Slot memory of a view that nothing else uses. */
static void heap_open(heap *to)
{
    mr_error err = {0};
    const mr_state_options options = {.fs = mr_fs_real(), .folder = mr_test_folder(), .workers = 1};
    const mr_type key = {MR_INT64, 0};
    const mr_view_aggregate count = {.name = "n",
                                     .kind = mr_aggregate_find("count", 5),
                                     .input = -1,
                                     .where = -1,
                                     .window = {.kind = MR_WINDOW_LIFETIME}};
    const mr_view_spec spec = {
        .name = "v", .keys = &key, .key_count = 1, .aggregates = &count, .aggregate_count = 1};
    assert_ok(mr_state_open(&options, &to->state, &err), &err);
    assert_ok(mr_view_create(&spec, to->state, &to->view, &err), &err);
    to->slot = mr_table_slots(mr_view_table(to->view));
    assert_non_null(mr_slot_get_word(to->slot, mr_key_hash_word(1), 1, true, &err));
}

static void heap_close(heap *from)
{
    mr_state_close(from->state);
    mr_view_destroy(from->view);
}

TEST(table, values_are_counted_and_taken_back)
{
    heap h;
    mr_error err = {0};
    mr_values *values = NULL;
    uint64_t counts[200] = {0}, used = 0;
    mr_random_seeded random = mr_test_random(20);
    heap_open(&h);
    for (int i = 0; i < 20000; i++) {
        uint64_t value = mr_random_below(&random, i < 10000 ? 200 : 20);
        if (mr_random_below(&random, i < 8000 ? 3 : 2) != 0) {
            assert_ok(mr_values_add(h.slot, &values, value, NULL, 1, &err), &err);
            used += counts[value]++ == 0;
        } else if (counts[value] > 0) {
            mr_values_subtract(h.slot, &values, value, 1);
            used -= --counts[value] == 0;
        }
        assert_int_equal(values != NULL ? values->used : 0, used);
        assert_int_equal(mr_values_count(values, value), counts[value]);
    }
    for (uint64_t value = 0; value < 200; value++)
        assert_int_equal(mr_values_count(values, value), counts[value]);
    mr_values_free(h.slot, &values);
    heap_close(&h);
}

static int by_number(const void *x, const void *y)
{
    double p = *(const double *)x, q = *(const double *)y;
    return p < q ? -1 : p > q;
}

TEST(table, sketch_is_within_one_percent_at_every_rank)
{
    enum { COUNT = 3000, GONE = 1000 };
    heap h;
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(21);
    double values[COUNT];
    heap_open(&h);
    for (int span = 1; span < 1000; span = span * 4) {
        mr_sketch *sketch = NULL;
        for (int i = 0; i < COUNT; i++) {
            double sign = mr_random_below(&random, 3) == 0 ? -1.0 : 1.0;
            values[i] = sign * ldexp(mr_random_unit(&random) + 0.5,
                                     (int)mr_random_below(&random, 2 * (uint64_t)span) - span);
            values[i] = mr_random_below(&random, 20) == 0 ? 0.0 : values[i];
            assert_ok(mr_sketch_add(h.slot, &sketch, mr_sketch_key(values[i]), 1, UINT32_MAX, &err),
                      &err);
        }
        for (int i = 0; i < GONE; i++)
            mr_sketch_remove(h.slot, &sketch, mr_sketch_key(values[COUNT - GONE + i]));
        qsort(values, COUNT - GONE, sizeof *values, by_number);
        for (int q = 0; q <= 100; q++) {
            double rank = ceil(q / 100.0 * (COUNT - GONE));
            double want = values[rank < 1 ? 0 : (size_t)rank - 1];
            const mr_sketch *parts[] = {sketch, NULL, sketch};
            double got = mr_sketch_quantile(parts, 2, q / 100.0);
            assert_true(fabs(got - want) <= 0.010000001 * fabs(want));
            assert_true(mr_sketch_quantile(parts + 1, 2, q / 100.0) == got);
        }
        mr_sketch_free(h.slot, &sketch);
    }
    heap_close(&h);
}

TEST(table, sketch_buckets_cover_all_numbers)
{
    const double numbers[] = {0x1p-1074, 0x1p-1022, 1e-300,
                              0.999999,  1.0,       1.000001,
                              12345.678, 1e300,     0x1.fffffffffffffp1023};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double value = mr_sketch_value(mr_sketch_key(numbers[i]));
        assert_true(fabs(value - numbers[i]) <= 0.010000001 * numbers[i] || numbers[i] < 0x1p-1060);
        assert_true(mr_sketch_value(mr_sketch_key(-numbers[i])) == -value);
    }
    assert_true(mr_sketch_key(0.0) == 0 && mr_sketch_key(-0.0) == 0 && mr_sketch_value(0) == 0.0);
}

TEST(table, registers_estimate_within_their_error)
{
    mr_registers registers = {{0}};
    uint64_t added = 0;
    assert_true(mr_registers_estimate(&registers) == 0.0);
    for (uint64_t target = 1; target <= 1000000; target *= 10) {
        for (; added < target; added++)
            mr_registers_add(&registers, added * 7919);
        double error = mr_registers_estimate(&registers) / (double)target - 1.0;
        assert_true(fabs(error) < 4 * 0.0163); /* four standard errors */
    }
    mr_registers again = registers;
    for (uint64_t i = 0; i < added; i++)
        mr_registers_add(&again, i * 7919);
    assert_memory_equal(&registers, &again, sizeof again);
}

/* ---- summaries that are merged ---- */

static uint64_t skewed(mr_random_seeded *random, uint64_t of)
{
    return mr_random_below(random, 1 + mr_random_below(random, of));
}

/* Misra-Gries: never too high, too low by at most n / (max + 1); so too when summaries are merged, in any order. */
TEST(table, top_counts_are_too_low_by_their_bound_at_most)
{
    enum { VALUES = 400, PARTS = 5, EACH = 3000 };
    heap h;
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(22);
    heap_open(&h);
    for (uint32_t max = 1; max <= 512; max *= 4) {
        uint64_t counts[VALUES] = {0};
        mr_values *parts[PARTS] = {NULL}, *merged = NULL;
        for (int p = 0; p < PARTS; p++)
            for (int i = 0; i < EACH; i++) {
                uint64_t value = skewed(&random, VALUES);
                counts[value]++;
                assert_ok(mr_values_add_top(h.slot, &parts[p], value, NULL, 1, max, &err), &err);
                assert_true(parts[p] == NULL || parts[p]->used <= max);
            }
        for (int p = 0; p < PARTS; p++)
            for (uint32_t i = 0; i < mr_values_places(parts[p]); i++)
                if (parts[p]->places[i].count > 0)
                    assert_ok(mr_values_add_top(h.slot, &merged, parts[p]->places[i].identity, NULL,
                                                parts[p]->places[i].count, max, &err),
                              &err);
        for (uint64_t value = 0; value < VALUES; value++) {
            uint64_t sum = 0, bound = PARTS * EACH / (max + 1);
            for (int p = 0; p < PARTS; p++)
                sum += mr_values_count(parts[p], value);
            assert_true(sum <= counts[value] && sum + bound >= counts[value]);
            uint64_t got = mr_values_count(merged, value);
            assert_true(got <= counts[value] && got + 2 * bound >= counts[value]);
            assert_true(max < VALUES || got == counts[value]);
        }
        for (int p = 0; p < PARTS; p++)
            mr_values_free(h.slot, &parts[p]);
        mr_values_free(h.slot, &merged);
    }
    heap_close(&h);
}

/* What a table holds memory for is what is in it now. */
TEST(table, values_and_sketches_shrink_when_they_empty)
{
    heap h;
    mr_error err = {0};
    mr_values *values = NULL;
    mr_sketch *sketch = NULL;
    heap_open(&h);
    for (uint64_t i = 0; i < 5000; i++) {
        assert_ok(mr_values_add(h.slot, &values, i, NULL, 1, &err), &err);
        assert_ok(mr_sketch_add(h.slot, &sketch, (int64_t)i, 1, UINT32_MAX, &err), &err);
    }
    for (uint64_t i = 0; i < 4990; i++) {
        mr_values_subtract(h.slot, &values, i, 1);
        mr_sketch_remove(h.slot, &sketch, (int64_t)i);
        assert_true(mr_values_places(values) <= 16 * (values->used + 1));
        assert_true(sketch->capacity <= 8 || sketch->capacity <= 4 * (sketch->used + 1));
    }
    for (uint64_t i = 4990; i < 5000; i++)
        assert_int_equal(mr_values_count(values, i), 1);
    mr_values_free(h.slot, &values);
    mr_sketch_free(h.slot, &sketch);
    heap_close(&h);
}

static bool sketch_equal(const mr_sketch *a, const mr_sketch *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->used == b->used && a->total == b->total &&
           memcmp(a->buckets, b->buckets, a->used * sizeof *a->buckets) == 0;
}

TEST(table, sketches_merge_to_the_sketch_of_all_and_can_leave_again)
{
    enum { PARTS = 6 };
    heap h;
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(23);
    heap_open(&h);
    for (uint64_t round = 0; round < mr_test_rounds(50); round++) {
        mr_sketch *parts[PARTS] = {NULL}, *all = NULL, *merged = NULL;
        int64_t span = 1 + (int64_t)mr_random_below(&random, 300);
        for (int p = 0; p < PARTS; p++)
            for (uint64_t i = mr_random_below(&random, 200); i > 0; i--) {
                int64_t key = (int64_t)mr_random_below(&random, (uint64_t)(2 * span)) - span;
                assert_ok(mr_sketch_add(h.slot, &parts[p], key, 1, UINT32_MAX, &err), &err);
                if (p % 2 == 0)
                    assert_ok(mr_sketch_add(h.slot, &all, key, 1, UINT32_MAX, &err), &err);
            }
        for (int p = 0; p < PARTS; p++)
            assert_ok(mr_sketch_merge(h.slot, &merged, parts[p], UINT32_MAX, &err), &err);
        for (int p = 1; p < PARTS; p += 2)
            mr_sketch_unmerge(h.slot, &merged, parts[p]);
        assert_true(sketch_equal(all, merged));
        for (int p = 0; p < PARTS; p++)
            mr_sketch_free(h.slot, &parts[p]);
        mr_sketch_free(h.slot, &all);
        mr_sketch_free(h.slot, &merged);
    }
    heap_close(&h);
}

/* A sketch with a limit: the highest buckets as they are, all below them in the lowest, in whatever order they came. */
TEST(table, a_full_sketch_does_not_depend_on_order)
{
    enum { COUNT = 500, MAX = 40 };
    heap h;
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(24);
    heap_open(&h);
    for (uint64_t round = 0; round < mr_test_rounds(20); round++) {
        mr_sketch *sketches[3] = {NULL}, *free_one = NULL;
        int64_t keys[COUNT];
        for (int i = 0; i < COUNT; i++)
            keys[i] = (int64_t)mr_random_below(&random, 300) - 150;
        for (int s = 0; s < 3; s++) {
            mr_sketch *half = NULL;
            for (size_t i = COUNT; i > 1; i--) {
                size_t k = (size_t)mr_random_below(&random, i);
                int64_t swap = keys[i - 1];
                keys[i - 1] = keys[k];
                keys[k] = swap;
            }
            for (int i = 0; i < COUNT; i++) /* the last one is merged from two */
                assert_ok(mr_sketch_add(h.slot, s == 2 && i % 2 ? &half : &sketches[s], keys[i], 1,
                                        MAX, &err),
                          &err);
            assert_ok(mr_sketch_merge(h.slot, &sketches[s], half, MAX, &err), &err);
            mr_sketch_free(h.slot, &half);
        }
        for (int i = 0; i < COUNT; i++)
            assert_ok(mr_sketch_add(h.slot, &free_one, keys[i], 1, UINT32_MAX, &err), &err);
        assert_true(sketch_equal(sketches[0], sketches[1]));
        assert_true(sketch_equal(sketches[0], sketches[2]));
        assert_int_equal(sketches[0]->used, MAX);
        for (uint32_t i = 1; i < MAX; i++)
            assert_memory_equal(&sketches[0]->buckets[i],
                                &free_one->buckets[free_one->used - MAX + i], sizeof(mr_bucket));
        for (int s = 0; s < 3; s++)
            mr_sketch_free(h.slot, &sketches[s]);
        mr_sketch_free(h.slot, &free_one);
    }
    heap_close(&h);
}

/* Exact up to the bound, the registers of all values from there on; unions of both, after some have left. */
TEST(table, distinct_values_are_exact_up_to_their_bound)
{
    enum { PARTS = 8 };
    heap h;
    mr_error err = {0};
    mr_random_seeded random = mr_test_random(25);
    heap_open(&h);
    for (uint64_t round = 0; round < mr_test_rounds(40); round++) {
        uint32_t max = 1 + (uint32_t)mr_random_below(&random, MR_DISTINCT_MAX);
        mr_distinct *parts[PARTS] = {NULL};
        mr_union all = {0}, left = {0};
        mr_registers want = {{0}};
        for (int p = 0; p < PARTS; p++) {
            uint64_t count = mr_random_below(&random, 2 * max), from = mr_random_below(&random, 99);
            for (uint64_t i = 0; i < 2 * count + 2 && count > 0; i++) {
                uint64_t value = from + (i % 2 ? i / 2 : count - i / 2);
                assert_ok(mr_distinct_add(h.slot, &parts[p], value, max, &err), &err);
                if (p % 2 == 0)
                    mr_registers_add(&want, value);
            }
            if (count == 0 || parts[p] == NULL)
                continue;
            assert_int_equal(mr_distinct_registers(parts[p]) == NULL, count + 1 <= max);
            if (count + 1 <= max) {
                assert_int_equal(parts[p]->used, count + 1);
                assert_true(mr_distinct_holds(parts[p], from + count));
                assert_true(!mr_distinct_holds(parts[p], from + count + 1));
            }
        }
        for (int p = 0; p < PARTS; p++)
            assert_ok(mr_union_add(h.slot, &all, parts[p], &err), &err);
        for (int p = 1; p < PARTS; p += 2)
            mr_union_subtract(h.slot, &all, parts[p]);
        for (int p = 0; p < PARTS; p += 2)
            assert_ok(mr_union_add(h.slot, &left, parts[p], &err), &err);
        assert_int_equal(all.inexact_count, left.inexact_count);
        assert_int_equal(all.values != NULL ? all.values->used : 0,
                         left.values != NULL ? left.values->used : 0);
        mr_registers got = {{0}};
        for (int p = 0; p < PARTS; p += 2)
            mr_distinct_spread(parts[p], &got);
        assert_memory_equal(&got, &want, sizeof got);
        for (int p = 0; p < PARTS; p++)
            mr_distinct_free(h.slot, &parts[p]);
        mr_union_free(h.slot, &all);
        mr_union_free(h.slot, &left);
    }
    heap_close(&h);
}
