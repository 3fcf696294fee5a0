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
            mr_values_remove(h.slot, &values, value);
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
            assert_ok(mr_sketch_add(h.slot, &sketch, mr_sketch_key(values[i]), 1, &err), &err);
        }
        for (int i = 0; i < GONE; i++)
            mr_sketch_remove(h.slot, &sketch, mr_sketch_key(values[COUNT - GONE + i]));
        qsort(values, COUNT - GONE, sizeof *values, by_number);
        for (int q = 0; q <= 100; q++) {
            double rank = ceil(q / 100.0 * (COUNT - GONE));
            double want = values[rank < 1 ? 0 : (size_t)rank - 1];
            double got = mr_sketch_quantile(sketch, NULL, q / 100.0);
            assert_true(fabs(got - want) <= 0.010000001 * fabs(want));
            assert_true(mr_sketch_quantile(NULL, sketch, q / 100.0) == got);
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
