/* heap_test.c -- blocks do not overlap, sizes are as told, and all is given back. */
#include "state/heap.h"

#include "base/assert.h"
#include "test/test.h"

#include <string.h>

#define BLOCKS 400

typedef struct block {
    uint8_t *memory;
    size_t bytes;
    uint32_t handle;
    bool named;
    uint8_t fill;
} block;

static void check_fill(const block *one)
{
    for (size_t i = 0; i < one->bytes; i++)
        assert_int_equal(one->memory[i], one->fill);
}

static void take_block(mr_heap *heap, block *one, mr_random_seeded *random)
{
    one->bytes = (size_t)mr_random_below(random, mr_random_below(random, 20) == 0 ? 20000 : 400);
    one->named = mr_random_below(random, 3) == 0;
    one->fill = (uint8_t)mr_random_next(random);
    if (one->named) {
        assert_true(mr_heap_alloc_named(heap, one->bytes, &one->handle));
        one->memory = mr_heap_at(heap, one->handle);
    } else {
        one->memory = mr_heap_alloc(heap, one->bytes);
        assert_true(mr_heap_alloc_bytes(one->bytes) >= one->bytes);
        assert_true(mr_heap_alloc_bytes(one->bytes) <= one->bytes + one->bytes / 4 + 8);
        assert_int_equal(mr_heap_alloc_bytes(mr_heap_alloc_bytes(one->bytes)),
                         mr_heap_alloc_bytes(one->bytes));
    }
    assert_non_null(one->memory);
    assert_int_equal((uintptr_t)one->memory % 8, 0);
    memset(one->memory, one->fill, one->bytes);
}

static void give_block(mr_heap *heap, block *one)
{
    check_fill(one);
    if (one->named)
        mr_heap_free_named(heap, one->handle, one->bytes);
    else
        mr_heap_free(heap, one->memory, one->bytes);
    *one = (block){0};
}

TEST(heap, keeps_blocks_apart)
{
    mr_budget budget;
    mr_budget_init(&budget, 0, NULL);
    mr_heap_source source = {.budget = &budget};
    mr_heap *heap = mr_heap_create(&source);
    assert_non_null(heap);
    mr_random_seeded random = mr_test_random(5);
    block blocks[BLOCKS] = {0};
    for (uint64_t i = 0; i < mr_test_rounds(20000); i++) {
        block *one = &blocks[mr_random_below(&random, BLOCKS)];
        if (one->memory != NULL)
            give_block(heap, one);
        else
            take_block(heap, one, &random);
        assert_int_equal(mr_heap_bytes(heap), mr_budget_used(&budget));
        assert_int_equal(mr_heap_bytes(heap), source.used_bytes);
        assert_true(mr_heap_free_bytes(heap) < mr_heap_bytes(heap));
    }
    uint64_t asked = 0;
    for (size_t i = 0; i < BLOCKS; i++)
        asked += blocks[i].bytes;
    assert_true(mr_heap_bytes(heap) - mr_heap_free_bytes(heap) >= asked);
    assert_true(mr_heap_bytes(heap) < asked * 2);
    mr_heap_destroy(heap); /* with blocks in use */
    assert_int_equal(mr_budget_used(&budget), 0);
}

TEST(heap, says_when_there_is_no_memory)
{
    mr_budget budget;
    mr_budget_init(&budget, 20000, NULL);
    mr_heap_source source = {.budget = &budget};
    mr_heap *heap = mr_heap_create(&source);
    assert_non_null(heap);
    size_t count = 0;
    while (mr_heap_alloc(heap, 100) != NULL)
        count++;
    assert_true(count > 120 && count < 200);
    assert_null(mr_heap_alloc(heap, 1 << 20));
    assert_null(mr_heap_alloc(heap, SIZE_MAX));
    uint32_t handle;
    assert_false(mr_heap_alloc_named(heap, 50000, &handle));
    assert_true(mr_budget_used(&budget) <= 20000);
    source.overdraft = true; /* somebody will spill */
    assert_non_null(mr_heap_alloc(heap, 50000));
    mr_heap_destroy(heap);
    assert_int_equal(mr_budget_used(&budget), 0);
    assert_null(mr_heap_create(&(mr_heap_source){.budget = &(mr_budget){.max_bytes = 10}}));
}
