/* input_test.c -- plain, gzip and zstd come out the same; cut and damaged ones deliver what they can, then say so. */
#include "data/input.h"
#include "test/test.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

static mr_bytes sample(size_t lines)
{
    mr_bytes text = {0};
    for (size_t i = 0; i < lines; i++)
        mr_bytes_printf(&text, "line %zu of some text, %zu\n", i, i * 7919 % 1000);
    return text;
}

static void gzip_append(const mr_bytes *from, mr_bytes *out)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_true(mr_bytes_reserve(out, deflateBound(&z, from->size)));
    z.next_in = from->data;
    z.avail_in = (unsigned)from->size;
    z.next_out = out->data + out->size;
    z.avail_out = (unsigned)(out->capacity - out->size);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->size += z.total_out;
    (void)deflateEnd(&z);
}

static void zstd_append(const mr_bytes *from, mr_bytes *out)
{
    assert_true(mr_bytes_reserve(out, ZSTD_compressBound(from->size)));
    size_t size =
        ZSTD_compress(out->data + out->size, out->capacity - out->size, from->data, from->size, 3);
    assert_false(ZSTD_isError(size));
    out->size += size;
}

/* Writes the file, reads it in pieces of `piece`; returns the status that ended it. */
static mr_status read_back(const void *data, size_t size, size_t piece, mr_bytes *out,
                           mr_error *err)
{
    static char path[MR_PATH_MAX + 16];
    static const char *folder;
    if (folder == NULL)
        folder = mr_test_folder();
    (void)snprintf(path, sizeof path, "%s/input", folder);
    assert_ok(mr_fs_write_file(mr_fs_real(), path, data, size, err), err);
    mr_input *input;
    assert_ok(mr_input_open(mr_fs_real(), path, &input, err), err);
    assert_string_equal(mr_input_name(input), path);
    assert_int_equal(mr_input_raw_size(input), size);
    mr_status status;
    size_t got;
    mr_bytes_clear(out);
    do {
        assert_true(mr_bytes_reserve(out, piece));
        status = mr_input_read(input, out->data + out->size, piece, &got, err);
        out->size += got;
    } while (status == MR_OK && got > 0);
    assert_int_equal(mr_input_offset(input), out->size);
    if (status == MR_OK)
        assert_int_equal(mr_input_raw_offset(input), size);
    else /* and again */
        assert_int_equal(mr_input_read(input, path, 1, &got, NULL), status);
    mr_input_close(input);
    return status;
}

TEST(input, decompresses_by_the_first_bytes)
{
    mr_error err = {0};
    mr_bytes text = sample(20000), half = sample(10000), empty = {0}, packed = {0}, back = {0},
             twice = {0};
    mr_bytes_append(&twice, half.data, half.size);
    mr_bytes_append(&twice, half.data, half.size);
    static const size_t pieces[] = {1 << 20, 4096, 333};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(read_back(text.data, text.size, pieces[i], &back, &err), &err);
        assert_true(back.size == text.size && memcmp(back.data, text.data, text.size) == 0);
        for (int zstd = 0; zstd < 2; zstd++) {
            mr_bytes_clear(&packed);
            for (int part = 0; part < 2; part++)
                (zstd != 0 ? zstd_append : gzip_append)(&half, &packed);
            (zstd != 0 ? zstd_append : gzip_append)(&empty, &packed);
            assert_ok(read_back(packed.data, packed.size, pieces[i], &back, &err), &err);
            assert_true(back.size == twice.size && memcmp(back.data, twice.data, twice.size) == 0);
        }
    }
    assert_ok(read_back("", 0, 10, &back, &err), &err);
    assert_int_equal(back.size, 0);
    assert_ok(read_back("\x1f", 1, 10, &back, &err), &err);
    assert_int_equal(back.size, 1);
    mr_bytes_deinit(&text);
    mr_bytes_deinit(&half);
    mr_bytes_deinit(&packed);
    mr_bytes_deinit(&back);
    mr_bytes_deinit(&twice);
}

/* Blocks are filled up with zeros; a member may still come behind them. */
TEST(input, passes_over_zeros_behind_a_gzip_member)
{
    mr_bytes text = sample(300), packed = {0}, back = {0}, twice = {0};
    for (size_t zeros = 1; zeros < 300000; zeros *= 7) {
        mr_error err = {0};
        mr_bytes_clear(&packed);
        gzip_append(&text, &packed);
        for (size_t i = 0; i < zeros; i++)
            mr_bytes_append_byte(&packed, 0);
        assert_ok(read_back(packed.data, packed.size, 1000, &back, &err), &err);
        assert_true(back.size == text.size && memcmp(back.data, text.data, text.size) == 0);
        gzip_append(&text, &packed);
        assert_ok(read_back(packed.data, packed.size, 1000, &twice, &err), &err);
        assert_int_equal(twice.size, 2 * text.size);
    }
    mr_bytes_deinit(&text);
    mr_bytes_deinit(&packed);
    mr_bytes_deinit(&back);
    mr_bytes_deinit(&twice);
}

/* Cut anywhere: never taken as whole, and what came out is a part of the truth. */
TEST(input, tells_that_it_was_cut)
{
    mr_bytes text = sample(3000), packed = {0}, back = {0};
    for (int zstd = 0; zstd < 2; zstd++) {
        mr_bytes_clear(&packed);
        (zstd != 0 ? zstd_append : gzip_append)(&text, &packed);
        for (size_t size = 4; size < packed.size; size += 1 + packed.size / 41) {
            mr_error err = {0};
            assert_int_equal(read_back(packed.data, size, 1000, &back, &err), MR_CORRUPT);
            assert_true(back.size <= text.size &&
                        (back.size == 0 || memcmp(back.data, text.data, back.size) == 0));
            assert_non_null(strstr(err.text, "cut short at byte"));
        }
    }
    mr_bytes_deinit(&text);
    mr_bytes_deinit(&packed);
    mr_bytes_deinit(&back);
}

TEST(input, survives_damage_anywhere)
{
    mr_random_seeded random = mr_test_random(14);
    mr_bytes text = sample(500), packed = {0}, back = {0};
    for (uint64_t i = 0; i < mr_test_rounds(100); i++) {
        mr_error err = {0};
        mr_bytes_clear(&packed);
        (i % 2 != 0 ? zstd_append : gzip_append)(&text, &packed);
        size_t at = 4 + mr_random_below(&random, packed.size - 4);
        packed.data[at] = (uint8_t)(packed.data[at] ^ (1u << mr_random_below(&random, 8)));
        mr_status status = read_back(packed.data, packed.size, 4096, &back, &err);
        assert_true(status == MR_OK || status == MR_CORRUPT);
    }
    mr_error err = {0};
    mr_bytes_clear(&packed);
    gzip_append(&text, &packed);
    mr_bytes_append_text(&packed, "rubbish behind the end");
    assert_int_equal(read_back(packed.data, packed.size, 4096, &back, &err), MR_CORRUPT);
    assert_int_equal(back.size, text.size);
    char counted[64];
    (void)snprintf(counted, sizeof counted, "%zu bytes of content", text.size);
    assert_non_null(strstr(err.text, counted));
    mr_bytes_deinit(&text);
    mr_bytes_deinit(&packed);
    mr_bytes_deinit(&back);
}

TEST(input, skips_and_survives_failing_allocations)
{
    mr_error err = {0};
    mr_bytes text = sample(3000), packed = {0};
    char path[MR_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/input", mr_test_folder());
    for (int zstd = 0; zstd < 2; zstd++) {
        mr_bytes_clear(&packed);
        if (zstd != 0)
            gzip_append(&text, &packed);
        else
            mr_bytes_append(&packed, text.data, text.size);
        assert_ok(mr_fs_write_file(mr_fs_real(), path, packed.data, packed.size, &err), &err);
        uint64_t used = mr_memory_used_bytes();
        mr_status status = MR_NO_MEMORY;
        for (int64_t n = 0; status != MR_OK; n++) {
            mr_input *input;
            uint8_t got[16];
            size_t size = 0;
            (void)mr_memory_fail_after(n, true);
            status = mr_input_open(mr_fs_real(), path, &input, &err);
            if (status == MR_OK)
                status = mr_input_skip_to(input, 30000, &err);
            if (status == MR_OK)
                status = mr_input_read(input, got, sizeof got, &size, &err);
            (void)mr_memory_fail_after(-1, false);
            if (status == MR_OK) {
                assert_memory_equal(got, text.data + 30000, size);
                assert_int_equal(mr_input_skip_to(input, 1 << 30, &err), MR_END);
            }
            mr_input_close(input);
            assert_true(n < 50 && mr_memory_used_bytes() == used);
        }
    }
    mr_input *input;
    assert_int_equal(mr_input_open(mr_fs_real(), "/nonexistent/file", &input, &err), MR_NOT_FOUND);
    mr_bytes_deinit(&text);
    mr_bytes_deinit(&packed);
}
