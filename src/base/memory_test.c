/* memory_test.c -- counted heap, budgets, arenas, shared buffers, growing bytes, reading. */
#include "base/memory.h"
#include "base/assert.h"
#include "test/test.h"

#include <stdio.h>
#include <string.h>

/* ---- heap ---- */

TEST(memory, heap_is_counted)
{
    uint64_t before = mr_memory_used_bytes();
    void *memory = mr_alloc(1000);
    assert_true(mr_memory_used_bytes() - before >= 1000);
    memory = mr_realloc(memory, 100000);
    assert_true(mr_memory_used_bytes() - before >= 100000);
    memory = mr_realloc(memory, 10);
    uint8_t *aligned = mr_alloc_aligned(1);
    assert_int_equal((uintptr_t)aligned % MR_ALIGN, 0);
    uint64_t *zeros = mr_alloc_zero(100, sizeof *zeros);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    char *copy = mr_strdup("text");
    assert_string_equal(copy, "text");
    mr_free(memory);
    mr_free(aligned);
    mr_free(zeros);
    mr_free(copy);
    mr_free(NULL);
    void *nothing = mr_alloc(0);
    assert_non_null(nothing);
    mr_free(nothing);
    assert_int_equal(mr_memory_used_bytes(), before);
}

TEST(memory, absurd_sizes_fail)
{
    assert_null(mr_alloc_zero(SIZE_MAX / 2, 4));
    assert_null(mr_alloc_aligned(SIZE_MAX - 1));
    assert_null(mr_buffer_create(SIZE_MAX));
    assert_null(mr_buffer_create(SIZE_MAX - 63));
}

TEST(memory, failures_strike_as_asked)
{
    (void)mr_memory_fail_after(1, false);
    void *first = mr_alloc(1), *second = mr_alloc(1), *third = mr_alloc(1);
    assert_true(first != NULL && second == NULL && third != NULL);
    mr_free(first);
    mr_free(third);
    assert_int_equal(mr_memory_fail_after(0, true), 3);
    assert_null(mr_alloc(1));
    assert_null(mr_alloc_zero(1, 1));
    assert_null(mr_realloc(NULL, 1));
    assert_null(mr_alloc_aligned(1));
    mr_memory_fail_hold(1);
    void *held = mr_alloc(1);
    mr_memory_fail_hold(-1);
    assert_non_null(held);
    mr_free(held);
    assert_null(mr_strdup("x"));
    assert_int_equal(mr_memory_fail_after(-1, false), 5);
}

/* ---- budget ---- */

TEST(budget, takes_what_all_ancestors_have)
{
    mr_budget root, child, free_child;
    mr_budget_init(&root, 100, NULL);
    mr_budget_init(&child, 60, &root);
    mr_budget_init(&free_child, 0, &root);
    assert_true(mr_budget_take(&child, 60));
    assert_false(mr_budget_take(&child, 1));
    assert_true(mr_budget_take(&free_child, 40));
    assert_false(mr_budget_take(&free_child, 1));
    assert_int_equal(mr_budget_used(&root), 100);
    assert_int_equal(mr_budget_used(&free_child), 40);
    mr_budget_give(&child, 30);
    assert_true(mr_budget_take(&free_child, 30));
    mr_budget_force(&child, 500);
    assert_int_equal(mr_budget_used(&root), 600);
    assert_false(mr_budget_take(&root, 0));
    mr_budget_give(&child, 530);
    mr_budget_give(&free_child, 70);
    assert_int_equal(mr_budget_used(&root), 0);
    assert_false(mr_budget_take(&child, UINT64_MAX));
    assert_true(mr_budget_take(&child, 1));
    assert_false(mr_budget_take(&child, UINT64_MAX));
    assert_int_equal(mr_budget_used(&child), 1);
    assert_true(mr_budget_take(NULL, 1000));
}

/* ---- arena ---- */

typedef struct note {
    char *out;
    char letter;
} note;

static void write_letter(void *context)
{
    const note *self = context;
    size_t at = strlen(self->out);
    self->out[at] = self->letter;
}

TEST(arena, cleans_up_newest_first)
{
    char out[8] = "";
    mr_arena arena = {0};
    note notes[3] = {{out, 'a'}, {out, 'b'}, {out, 'c'}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(mr_arena_on_reset(&arena, write_letter, &notes[i]), MR_OK);
    mr_arena_reset(&arena);
    assert_string_equal(out, "cba");
    mr_arena_reset(&arena);
    assert_string_equal(out, "cba");
    assert_int_equal(mr_arena_on_reset(&arena, write_letter, &notes[0]), MR_OK);
    mr_arena_deinit(&arena);
    mr_arena_deinit(&arena);
    assert_string_equal(out, "cbaa");
}

TEST(arena, lends_aligned_memory_that_does_not_overlap)
{
    mr_random_seeded random = mr_test_random(2);
    uint64_t before = mr_memory_used_bytes();
    mr_arena arena = {0};
    for (int round = 0; round < 20; round++) {
        uint8_t *blocks[200];
        size_t sizes[200];
        for (size_t i = 0; i < 200; i++) {
            bool wide = mr_random_below(&random, 4) == 0;
            sizes[i] =
                (size_t)mr_random_below(&random, mr_random_below(&random, 20) == 0 ? 40000 : 200);
            blocks[i] =
                wide ? mr_arena_alloc_aligned(&arena, sizes[i]) : mr_arena_alloc(&arena, sizes[i]);
            assert_int_equal((uintptr_t)blocks[i] % (wide ? MR_ALIGN : 16), 0);
            memset(blocks[i], (int)i, sizes[i]);
        }
        for (size_t i = 0; i < 200; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(blocks[i][k], i);
        mr_arena_reset(&arena);
        assert_int_equal(arena.used_bytes, 0);
    }
    mr_arena_deinit(&arena);
    assert_int_equal(mr_memory_used_bytes(), before);
}

TEST(arena, has_a_limit)
{
    mr_arena arena;
    mr_arena_init(&arena, 1000);
    assert_non_null(mr_arena_alloc(&arena, 1000));
    assert_null(mr_arena_alloc(&arena, 1));
    assert_null(mr_arena_alloc(&arena, SIZE_MAX));
    mr_arena_reset(&arena);
    assert_null(mr_arena_alloc(&arena, 1001));
    assert_non_null(mr_arena_alloc(&arena, 999));
    mr_arena_deinit(&arena);
    assert_int_equal(arena.max_bytes, 1000);
    mr_arena_init(&arena, 0);
    assert_null(mr_arena_alloc(&arena, SIZE_MAX - 8));
    mr_arena_deinit(&arena);
}

TEST(arena, copies_texts)
{
    mr_arena arena = {0};
    assert_string_equal(mr_arena_strdup(&arena, "abc"), "abc");
    assert_string_equal(mr_arena_strndup(&arena, "abcdef", 2), "ab");
    assert_string_equal(mr_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    int *zeros = MR_ARENA_ARRAY(&arena, int, 5000);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(zeros[i], 0);
    mr_arena_deinit(&arena);
}

TEST(arena, survives_failing_memory)
{
    uint64_t before = mr_memory_used_bytes();
    mr_arena arena = {0};
    (void)mr_memory_fail_after(0, true);
    assert_null(mr_arena_alloc(&arena, 1));
    assert_null(mr_arena_strdup(&arena, "x"));
    assert_null(mr_arena_printf(&arena, "%d", 1));
    assert_int_equal(mr_arena_on_reset(&arena, write_letter, NULL), MR_NO_MEMORY);
    (void)mr_memory_fail_after(-1, false);
    mr_arena_deinit(&arena);
    assert_int_equal(mr_memory_used_bytes(), before);
}

/* ---- buffers ---- */

static void count_release(void *context)
{
    ++*(int *)context;
}

TEST(buffer, is_aligned_padded_and_shared)
{
    for (size_t size = 0; size < 200; size++) {
        mr_buffer *buffer = mr_buffer_create(size);
        assert_int_equal((uintptr_t)buffer->bytes % MR_ALIGN, 0);
        assert_true(buffer->capacity >= size && buffer->capacity % MR_ALIGN == 0);
        for (size_t i = size; i < buffer->capacity; i++)
            assert_int_equal(buffer->bytes[i], 0);
        assert_ptr_equal(mr_buffer_retain(buffer), buffer);
        mr_buffer_release(buffer);
        memset(buffer->bytes, 1, size);
        mr_buffer_release(buffer);
    }
    assert_null(mr_buffer_retain(NULL));
    mr_buffer_release(NULL);
}

TEST(buffer, gives_wrapped_memory_back_once)
{
    int released = 0;
    mr_buffer *buffer = mr_buffer_wrap("abc", 3, count_release, &released);
    assert_memory_equal(buffer->bytes, "abc", 3);
    (void)mr_buffer_retain(buffer);
    mr_buffer_release(buffer);
    assert_int_equal(released, 0);
    mr_buffer_release(buffer);
    assert_int_equal(released, 1);
    mr_buffer_release(mr_buffer_wrap("abc", 3, NULL, NULL));
    (void)mr_memory_fail_after(0, false);
    assert_null(mr_buffer_wrap("abc", 3, count_release, &released));
    (void)mr_memory_fail_after(1, false);
    assert_null(mr_buffer_create(3));
    (void)mr_memory_fail_after(-1, false);
    assert_int_equal(released, 1);
}

/* ---- bytes and reader ---- */

TEST(bytes, grow_and_read_back)
{
    mr_random_seeded random = mr_test_random(3);
    for (uint64_t round = 0; round < mr_test_rounds(100); round++) {
        mr_bytes bytes = {0};
        uint64_t values[100];
        for (size_t i = 0; i < 100; i++) {
            values[i] = mr_random_next(&random) >> mr_random_below(&random, 64);
            mr_bytes_append_byte(&bytes, (uint8_t)values[i]);
            mr_bytes_append_u16(&bytes, (uint16_t)values[i]);
            mr_bytes_append_u32(&bytes, (uint32_t)values[i]);
            mr_bytes_append_u64(&bytes, values[i]);
            mr_bytes_append_varint(&bytes, values[i]);
            mr_bytes_printf(&bytes, "%llu", (unsigned long long)values[i]);
        }
        mr_reader reader = mr_reader_of(bytes.data, bytes.size);
        for (size_t i = 0; i < 100; i++) {
            char text[32];
            int size = snprintf(text, sizeof text, "%llu", (unsigned long long)values[i]);
            assert_int_equal(mr_reader_u8(&reader), (uint8_t)values[i]);
            assert_int_equal(mr_reader_u16(&reader), (uint16_t)values[i]);
            assert_int_equal(mr_reader_u32(&reader), (uint32_t)values[i]);
            assert_int_equal(mr_reader_u64(&reader), values[i]);
            assert_int_equal(mr_reader_varint(&reader), values[i]);
            assert_memory_equal(mr_reader_bytes(&reader, (size_t)size), text, (size_t)size);
        }
        assert_false(reader.failed);
        assert_int_equal(mr_reader_left(&reader), 0);
        mr_bytes_deinit(&bytes);
    }
}

TEST(bytes, pad_text_and_clear)
{
    mr_bytes bytes = {0};
    mr_bytes_pad(&bytes, 8);
    assert_int_equal(bytes.size, 0);
    mr_bytes_append_text(&bytes, "abc");
    mr_bytes_pad(&bytes, 8);
    assert_int_equal(bytes.size, 8);
    assert_memory_equal(bytes.data, "abc\0\0\0\0\0", 8);
    mr_bytes_pad(&bytes, 8);
    assert_int_equal(bytes.size, 8);
    bytes.size = 3;
    assert_string_equal(mr_bytes_text(&bytes), "abc");
    assert_int_equal(bytes.size, 3);
    mr_bytes_clear(&bytes);
    assert_string_equal(mr_bytes_text(&bytes), "");
    mr_bytes_append(&bytes, NULL, 0);
    assert_false(mr_bytes_reserve(&bytes, SIZE_MAX - 10));
    assert_true(bytes.failed);
    mr_bytes_append_byte(&bytes, 1);
    assert_int_equal(bytes.size, 0);
    assert_null(mr_bytes_text(&bytes));
    mr_bytes_clear(&bytes);
    mr_bytes_append_byte(&bytes, 1);
    assert_int_equal(bytes.size, 1);
    mr_bytes_deinit(&bytes);
    mr_bytes_deinit(&bytes);
}

TEST(bytes, remember_a_failed_growth)
{
    for (int64_t n = 0; n <= 4; n++) { /* it grows to 64, 128, 256 and 512 bytes */
        mr_bytes bytes = {0};
        (void)mr_memory_fail_after(n, false);
        for (int i = 0; i < 300; i++)
            mr_bytes_append_byte(&bytes, (uint8_t)i);
        (void)mr_memory_fail_after(-1, false);
        assert_int_equal(bytes.failed, n < 4);
        assert_true(bytes.failed || bytes.size == 300);
        mr_bytes_deinit(&bytes);
    }
}

TEST(reader, remembers_its_first_failure)
{
    mr_reader reader = mr_reader_of("\1\2\3", 3);
    assert_int_equal(mr_reader_u16(&reader), 0x0201);
    assert_int_equal(mr_reader_u16(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(mr_reader_u8(&reader), 0);
    assert_null(mr_reader_bytes(&reader, 0));
    reader = mr_reader_of(NULL, 0);
    assert_int_equal(mr_reader_left(&reader), 0);
    assert_int_equal(mr_reader_u8(&reader), 0);
    assert_true(reader.failed);
}

TEST(reader, refuses_bad_varints)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool good;
        uint64_t value;
    } cases[] = {
        {"\x00", 1, true, 0},
        {"\x7f", 1, true, 127},
        {"\x80\x01", 2, true, 128},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, true, UINT64_MAX},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, false, 0}, /* 65 bits */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11, false, 0},
        {"\x80", 1, false, 0},
        {"", 0, false, 0},
    };
    for (size_t i = 0; i < MR_COUNT_OF(cases); i++) {
        mr_reader reader = mr_reader_of(cases[i].bytes, cases[i].size);
        assert_int_equal(mr_reader_varint(&reader), cases[i].value);
        assert_int_equal(!reader.failed, cases[i].good);
    }
}
