/* image.c -- writing and believing slot images; see image.h.
 *
 * (1) An image is believed only when the manifest's checksum, the header's and the bytes agree, and the header
 *     names the slot that was asked for: an old or misplaced one is never taken for it. */
#include "state/image.h"

#include "base/assert.h"

#include <string.h>

#define IMAGE_MAGIC 0x4953524du /* "MRSI" */
#define CRC_AT      36

static const char file_magic[8] = {'M', 'R', 'C', 'K', 'D', 'A', 'T', 'A'};

void mr_image_file_start(mr_bytes *out, uint32_t round)
{
    mr_bytes_append(out, file_magic, sizeof file_magic);
    mr_bytes_append_u32(out, MR_IMAGE_FORMAT_VERSION);
    mr_bytes_append_u32(out, round);
}

mr_status mr_image_file_check(const uint8_t bytes[MR_IMAGE_FILE_BYTES], uint32_t round,
                              mr_error *err)
{
    mr_reader reader =
        mr_reader_of(bytes + sizeof file_magic, MR_IMAGE_FILE_BYTES - sizeof file_magic);
    uint32_t version = mr_reader_u32(&reader), named = mr_reader_u32(&reader);
    if (memcmp(bytes, file_magic, sizeof file_magic) != 0 || version != MR_IMAGE_FORMAT_VERSION ||
        named != round)
        return MR_FAIL(err, MR_CORRUPT, "checkpoint file %u opens as version %u of round %u", round,
                       version, named);
    return MR_OK;
}

/* Names a table in an image, whatever its place among others. */
static uint64_t tag_of(const mr_table *table)
{
    const char *name = table->options.name;
    return mr_hash_u64(mr_hash64(name, strlen(name)) ^ table->options.fingerprint);
}

static void put_little(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static mr_status write_records(mr_slot *slot, mr_bytes *to, uint32_t *out_keys, mr_error *err)
{
    mr_walk walk;
    MR_TRY(mr_walk_init(&walk, slot, err));
    mr_entry *entry;
    mr_record record;
    mr_status status;
    while ((status = mr_walk_next(&walk, &entry, &record, err)) == MR_OK) {
        if (entry != NULL)
            mr_record_write(slot, entry, to);
        else
            mr_bytes_append(to, record.bytes, record.size);
        ++*out_keys;
    }
    mr_walk_deinit(&walk);
    return status == MR_END ? MR_OK : status;
}

static void seal(mr_slot *slot, uint8_t *header, mr_image *image)
{
    uint64_t body_bytes = image->bytes - MR_IMAGE_HEADER_BYTES;
    put_little(header, IMAGE_MAGIC, 4);
    put_little(header + 4, (uint64_t)(slot - slot->table->slots), 4);
    put_little(header + 8, tag_of(slot->table), 8);
    put_little(header + 16, image->position, 8);
    put_little(header + 24, body_bytes, 8);
    put_little(header + 32, image->keys, 4);
    image->crc = mr_crc32c(0, header, CRC_AT);
    image->crc = mr_crc32c(image->crc, header + MR_IMAGE_HEADER_BYTES, body_bytes);
    put_little(header + CRC_AT, image->crc, 4);
}

mr_status mr_image_write(mr_slot *slot, uint64_t position, mr_bytes *to, mr_image *out_image,
                         mr_error *err)
{
    static const uint8_t room[MR_IMAGE_HEADER_BYTES];
    size_t start = to->size;
    mr_image image = {.position = position};
    mr_bytes_append(to, room, sizeof room);
    mr_status status = write_records(slot, to, &image.keys, err);
    if (status == MR_OK && to->failed)
        status = MR_OUT_OF_MEMORY(err);
    if (status != MR_OK || image.keys == 0)
        to->size = start;
    to->failed = false;
    if (status != MR_OK)
        return status;
    if (image.keys > 0) {
        image.bytes = to->size - start;
        seal(slot, to->data + start, &image);
    }
    *out_image = image;
    return MR_OK;
}

mr_status mr_image_open(const mr_table *table, uint32_t slot, const mr_image *image,
                        const uint8_t *bytes, mr_reader *out_records, mr_error *err)
{
    MR_ASSERT(image->bytes >= MR_IMAGE_HEADER_BYTES);
    mr_reader header = mr_reader_of(bytes, MR_IMAGE_HEADER_BYTES);
    uint64_t body_bytes = image->bytes - MR_IMAGE_HEADER_BYTES;
    bool same = mr_reader_u32(&header) == IMAGE_MAGIC;
    same &= mr_reader_u32(&header) == slot;
    same &= mr_reader_u64(&header) == tag_of(table);
    same &= mr_reader_u64(&header) <= image->position;
    same &= mr_reader_u64(&header) == body_bytes;
    same &= mr_reader_u32(&header) == image->keys;
    same &= mr_reader_u32(&header) == image->crc;
    if (!same)
        return MR_FAIL(err, MR_CORRUPT,
                       "table %s slot %u: another image is at %llu of checkpoint file %u",
                       table->options.name, slot, (unsigned long long)image->offset, image->round);
    uint32_t crc =
        mr_crc32c(mr_crc32c(0, bytes, CRC_AT), bytes + MR_IMAGE_HEADER_BYTES, body_bytes);
    if (crc != image->crc)
        return MR_FAIL(err, MR_CORRUPT,
                       "table %s slot %u: image of %llu bytes at %llu of checkpoint file %u has "
                       "checksum %08x, "
                       "not %08x",
                       table->options.name, slot, (unsigned long long)image->bytes,
                       (unsigned long long)image->offset, image->round, crc, image->crc);
    *out_records = mr_reader_of(bytes + MR_IMAGE_HEADER_BYTES, body_bytes);
    return MR_OK;
}

mr_status mr_image_load(mr_slot *slot, const mr_image *image, mr_reader *records, mr_error *err)
{
    if (image->keys > mr_reader_left(records) / MR_RECORD_BYTES_MIN ||
        !mr_slot_reserve(slot, image->keys))
        return MR_FAIL(err, MR_NO_MEMORY, "table %s: no memory for a slot of %u keys",
                       slot->table->options.name, image->keys);
    mr_record record, before = {0};
    mr_status status;
    while ((status = mr_record_read(slot->table, records, &record, err)) == MR_OK) {
        if (before.bytes != NULL &&
            mr_record_compare(record.word, record.key, record.key_bytes, before.word, before.key,
                              before.key_bytes) <= 0)
            return MR_FAIL(err, MR_CORRUPT, "table %s: word %llx is out of order in an image",
                           slot->table->options.name, (unsigned long long)record.word);
        before = record;
        MR_TRY(mr_record_insert(slot, &record, slot->table->touch, err));
    }
    if (status == MR_END && slot->count != image->keys)
        return MR_FAIL(err, MR_CORRUPT, "table %s: an image of %u keys has %u records",
                       slot->table->options.name, image->keys, slot->count);
    return status == MR_END ? MR_OK : status;
}
