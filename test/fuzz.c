/* fuzz.c -- replays a corpus and mutations of it, and keeps the input that kills. */
#include "test/fuzz.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX (1u << 20)

typedef struct corpus {
    mr_bytes *files;
    size_t count;
} corpus;

/* ---- the input being tried, for the moment of death ---- */

extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static const char *current_name;
static const uint8_t *current_data;
static size_t current_size;

static void keep_killer(void)
{
    char path[256];
    (void)snprintf(path, sizeof path, "build/crash-%s",
                   current_name != NULL ? current_name : "unknown");
    FILE *file = current_name != NULL ? fopen(path, "wb") : NULL;
    if (file == NULL)
        return;
    (void)fwrite(current_data, 1, current_size, file);
    (void)fclose(file);
    (void)fprintf(stderr, "the input that killed %s is %s\n", current_name, path);
}

/* The copy is exactly as long as the input, so that reading behind it is seen. */
static void try_input(int (*target)(const uint8_t *, size_t), const mr_bytes *input)
{
    uint8_t *copy = malloc(input->size > 0 ? input->size : 1);
    assert_non_null(copy);
    if (input->size > 0)
        memcpy(copy, input->data, input->size);
    current_data = copy;
    current_size = input->size;
    (void)target(copy, input->size);
    free(copy);
}

/* ---- mutations ---- */

static void cut_out(mr_bytes *input, size_t from, size_t bytes)
{
    memmove(input->data + from, input->data + from + bytes, input->size - from - bytes);
    input->size -= bytes;
}

static void insert(mr_bytes *input, size_t from, const uint8_t *bytes, size_t size)
{
    if (size == 0 || input->size + size > INPUT_BYTES_MAX || !mr_bytes_reserve(input, size))
        return;
    memmove(input->data + from + size, input->data + from, input->size - from);
    memcpy(input->data + from, bytes, size);
    input->size += size;
}

static void insert_from(mr_bytes *input, size_t from, const mr_bytes *other,
                        mr_random_seeded *random)
{
    if (other->size == 0)
        return;
    size_t start = (size_t)mr_random_below(random, other->size);
    size_t size = 1 + (size_t)mr_random_below(random, MR_MIN(other->size - start, 64));
    mr_bytes piece = {0};
    mr_bytes_append(&piece, other->data + start, size);
    if (!piece.failed)
        insert(input, from, piece.data, size);
    mr_bytes_deinit(&piece);
}

static void overwrite_number(mr_bytes *input, size_t at, mr_random_seeded *random)
{
    static const uint64_t numbers[] = {0,      1,         0x7f,       0x80,      0xff,      0x7fff,
                                       0xffff, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint64_t number = numbers[mr_random_below(random, MR_COUNT_OF(numbers))];
    memcpy(input->data + at, &number, MR_MIN(sizeof number, input->size - at));
}

static void mutate_once(mr_bytes *input, const corpus *from, mr_random_seeded *random)
{
    static const uint8_t marks[] = "\"\\,:{}[]()\n\r\t \0-+.eE0%'#&*|>";
    size_t at = (size_t)mr_random_below(random, (uint64_t)input->size + 1);
    size_t left = input->size - at;
    uint8_t byte = (uint8_t)mr_random_next(random);
    switch (mr_random_below(random, 8)) {
    case 0:
        if (left > 0)
            input->data[at] = byte;
        break;
    case 1:
        if (left > 0)
            input->data[at] = (uint8_t)(input->data[at] ^ (1u << (byte & 7)));
        break;
    case 2:
        if (left > 0)
            cut_out(input, at, 1 + (size_t)mr_random_below(random, MR_MIN(left, 32)));
        break;
    case 3:
        input->size = at;
        break;
    case 4:
        insert(input, at, &marks[byte % (sizeof marks - 1)], 1);
        break;
    case 5:
        insert_from(input, at, input, random);
        break;
    case 6:
        if (from->count > 0)
            insert_from(input, at, &from->files[mr_random_below(random, from->count)], random);
        break;
    default:
        if (left > 0)
            overwrite_number(input, at, random);
        break;
    }
}

/* ---- the corpus ---- */

static void load(corpus *out, const char *name)
{
    char folder[256], path[1024];
    char **names;
    size_t count;
    mr_error err = {0};
    (void)snprintf(folder, sizeof folder, "test/corpus/%s", name);
    if (mr_fs_list(mr_fs_real(), folder, &names, &count, NULL) != MR_OK)
        return;
    out->files = mr_alloc_zero(count, sizeof *out->files);
    assert_non_null(out->files);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_ok(mr_fs_read_file(mr_fs_real(), path, INPUT_BYTES_MAX, &out->files[i], &err), &err);
    }
    out->count = count;
    mr_fs_free_names(names, count);
}

void mr_fuzz_replay(const char *name, int (*target)(const uint8_t *data, size_t size))
{
    corpus seeds = {0};
    load(&seeds, name);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(keep_killer);
    current_name = name;
    mr_bytes input = {0};
    try_input(target, &input);
    for (size_t i = 0; i < seeds.count; i++)
        try_input(target, &seeds.files[i]);
    mr_random_seeded random = mr_test_random(seeds.count);
    for (uint64_t i = 0; i < mr_test_rounds(500); i++) {
        mr_bytes_clear(&input);
        if (seeds.count > 0) {
            const mr_bytes *seed = &seeds.files[mr_random_below(&random, seeds.count)];
            mr_bytes_append(&input, seed->data, seed->size);
        }
        for (uint64_t k = 1 + mr_random_below(&random, 5); k > 0; k--)
            mutate_once(&input, &seeds, &random);
        try_input(target, &input);
    }
    current_name = NULL;
    mr_bytes_deinit(&input);
    for (size_t i = 0; i < seeds.count; i++)
        mr_bytes_deinit(&seeds.files[i]);
    mr_free(seeds.files);
}
