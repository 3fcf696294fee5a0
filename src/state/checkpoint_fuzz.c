/* checkpoint_fuzz.c -- any bytes as a manifest or as the records of a slot image: refused, or the same again.
 *
 * The first byte chooses: bit 0 manifest or image, bit 1 byte keys, bit 2 ttl. Checksums are put right, so that what
 * lies behind them is reached. */
#include "base/assert.h"
#include "os/fs_sim.h"
#include "state/image.h"
#include "state/manifest.h"
#include "test/fuzz.h"

#include <string.h>

/* ---- manifests ---- */

static void append_crc(mr_bytes *bytes)
{
    mr_bytes_append_u32(bytes, mr_crc32c(0, bytes->data, bytes->size));
}

static void try_manifest(const uint8_t *data, size_t size)
{
    mr_bytes bytes = {0}, once = {0}, twice = {0};
    mr_arena arena = {0};
    mr_manifest manifest;
    mr_error err = {0};
    mr_bytes_append(&bytes, data, size);
    append_crc(&bytes);
    if (mr_manifest_read(bytes.data, bytes.size, &arena, &manifest, &err) == MR_OK) {
        mr_manifest_write(&manifest, &once);
        MR_ASSERT(mr_manifest_read(once.data, once.size, &arena, &manifest, &err) == MR_OK);
        mr_manifest_write(&manifest, &twice);
        MR_ASSERT(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    } else {
        MR_ASSERT(err.text[0] != '\0');
    }
    mr_arena_deinit(&arena);
    mr_bytes_deinit(&bytes);
    mr_bytes_deinit(&once);
    mr_bytes_deinit(&twice);
}

/* ---- images ---- */

typedef struct text_value {
    uint8_t *bytes;
    uint64_t size;
} text_value;

static void encode(void *context, mr_slot *slot, const void *value, mr_bytes *out)
{
    (void)context, (void)slot;
    const text_value *text = value;
    mr_bytes_append_varint(out, text->size);
    mr_bytes_append(out, text->bytes, text->size);
}

static mr_status decode(void *context, mr_slot *slot, void *value, mr_reader *from, mr_error *err)
{
    (void)context;
    text_value *text = value;
    uint64_t size = mr_reader_varint(from);
    const uint8_t *bytes = mr_reader_bytes(from, size);
    if (bytes == NULL)
        return MR_FAIL(err, MR_CORRUPT, "a text of %llu bytes", (unsigned long long)size);
    text->bytes = mr_slot_alloc(slot, size);
    if (text->bytes == NULL)
        return MR_OUT_OF_MEMORY(err);
    text->size = size;
    memcpy(text->bytes, bytes, size);
    return MR_OK;
}

static void drop(void *context, mr_slot *slot, void *value)
{
    (void)context;
    text_value *text = value;
    mr_slot_free(slot, text->bytes, text->size);
}

static int64_t last_time_us(void *context, const void *value)
{
    (void)context;
    return (int64_t)((const text_value *)value)->size;
}

static const mr_table_kind text_kind = {"text", 1, encode, decode, drop, last_time_us, NULL};

/* Loads the records into slot 0, writes the slot, loads that again: the same bytes. */
static void try_records(mr_table *table, const uint8_t *data, size_t size)
{
    mr_slot *slot = &mr_table_slots(table)[0];
    mr_error err = {0};
    mr_bytes once = {0}, twice = {0};
    mr_image image = {.keys = 1};
    mr_reader records = mr_reader_of(data, size);
    mr_record record;
    for (image.keys = 0; mr_record_read(table, &records, &record, &err) == MR_OK;)
        image.keys++;
    records = mr_reader_of(data, size);
    if (mr_image_load(slot, &image, &records, &err) == MR_OK && image.keys > 0) {
        MR_ASSERT(mr_image_write(slot, 5, &once, &image, &err) == MR_OK);
        mr_slot_clear(slot);
        MR_ASSERT(mr_image_open(table, 0, &image, once.data, &records, &err) == MR_OK);
        MR_ASSERT(mr_image_load(slot, &image, &records, &err) == MR_OK);
        MR_ASSERT(mr_image_write(slot, 5, &twice, &image, &err) == MR_OK);
        MR_ASSERT(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    }
    mr_bytes_deinit(&once);
    mr_bytes_deinit(&twice);
}

static void try_image(uint8_t choice, const uint8_t *data, size_t size)
{
    mr_fs_sim *sim;
    mr_state *state;
    mr_table *table;
    mr_error err = {0};
    mr_fs_sim_options disk = {.seed = 1};
    MR_ASSERT(mr_fs_sim_create(&disk, &sim, &err) == MR_OK);
    mr_state_options options = {.fs = mr_fs_sim_fs(sim), .folder = "/state", .workers = 1};
    MR_ASSERT(mr_state_open(&options, &state, &err) == MR_OK);
    mr_table_options wanted = {.name = "fuzz",
                               .kind = &text_kind,
                               .value_bytes = sizeof(text_value),
                               .byte_keys = (choice & 2) != 0,
                               .ttl_us = (choice & 4) != 0 ? INT64_MAX : 0};
    MR_ASSERT(mr_state_add_table(state, &wanted, &table, &err) == MR_OK);
    try_records(table, data, size);
    mr_state_close(state);
    mr_fs_sim_destroy(sim);
}

FUZZ(checkpoint)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        try_manifest(data + 1, size - 1);
    else
        try_image(data[0], data + 1, size - 1);
    return 0;
}
