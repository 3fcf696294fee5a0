/* block_fuzz.c -- any bytes as a block: refused, or a batch that survives a round trip. Each input is also
 * tried with the checksums it would need, so that what lies behind them is reached. */
#include "log/block.h"

#include "base/assert.h"
#include "base/hash.h"
#include "test/fuzz.h"

#include <string.h>

static mr_schema *fuzz_schema(void)
{
    static const char text[] = "at: timestamp null, id: int64, ok: bool null, note: string null, "
                               "v: vector(2), raw: bytes, small: int32, f: float32";
    mr_schema *schema = NULL;
    MR_ASSERT(mr_schema_parse(text, sizeof text - 1, &schema, NULL) == MR_OK);
    return schema;
}

/* ---- one block ---- */

/* Gives the bytes the checksums they need, so that what lies behind the checks is reached. */
static void mend(uint8_t *bytes, size_t size, uint64_t salt)
{
    mr_block_header header = {0};
    mr_reader in = mr_reader_of(bytes + 16, 20);
    header.block_bytes = (uint32_t)size;
    (void)mr_reader_u32(&in);
    header.plain_bytes = mr_reader_u32(&in);
    header.stored_bytes = mr_reader_u32(&in);
    header.annotation_bytes = mr_reader_u32(&in) % (MR_LOG_ANNOTATION_MAX + 1);
    header.row_count = mr_reader_u32(&in);
    header.codec = bytes[116] % MR_LOG_CODEC_COUNT;
    header.schema_id = 1;
    header.salt = salt;
    size_t annotation = MR_MIN(header.annotation_bytes, size - MR_BLOCK_HEADER_BYTES);
    header.annotation_bytes = (uint32_t)(annotation / MR_ALIGN * MR_ALIGN);
    header.stored_bytes = (uint32_t)(size - mr_block_columns_at(&header));
    if (header.codec == MR_LOG_CODEC_NONE)
        header.plain_bytes = header.stored_bytes;
    header.plain_bytes = MR_MIN(header.plain_bytes, 1u << 20);
    header.body_crc = mr_crc32c(0, bytes + MR_BLOCK_HEADER_BYTES, size - MR_BLOCK_HEADER_BYTES);
    mr_block_header_encode(&header, bytes);
}

/* Every value of a decoded batch can be touched, and it encodes to a block that decodes to the same. */
static void check_batch(mr_batch *batch)
{
    mr_bytes block = {0}, scratch = {0};
    mr_block_header header;
    mr_append what = {.batch = batch};
    mr_block_options options = {.schema_id = 1, .event_time_column = 0};
    MR_ASSERT(mr_block_encode(&what, &options, &block, &scratch, &header, NULL) == MR_OK);
    mr_buffer *owner = mr_buffer_wrap(block.data, block.size, NULL, NULL);
    mr_batch *again;
    MR_ASSERT(owner != NULL &&
              mr_block_decode(&header, block.data, owner, batch->schema, &again, NULL) == MR_OK);
    MR_ASSERT(mr_batch_equal(batch, again));
    mr_batch_release(again);
    mr_buffer_release(owner);
    mr_bytes_deinit(&block);
    mr_bytes_deinit(&scratch);
}

static void try_block(const uint8_t *data, size_t size, bool mended)
{
    if (size < MR_BLOCK_HEADER_BYTES)
        return;
    mr_buffer *bytes = mr_buffer_create(size);
    mr_schema *schema = fuzz_schema();
    MR_ASSERT(bytes != NULL);
    memcpy(bytes->bytes, data, size);
    if (mended)
        mend(bytes->bytes, size, 7);
    mr_block_header header;
    mr_batch *batch;
    mr_error err = {0};
    if (mr_block_header_decode(bytes->bytes, 7, &header, &err) == MR_OK &&
        header.block_bytes <= size &&
        mr_block_check_body(&header, bytes->bytes + MR_BLOCK_HEADER_BYTES, &err) == MR_OK &&
        mr_block_decode(&header, bytes->bytes, bytes, schema, &batch, &err) == MR_OK) {
        check_batch(batch);
        mr_batch_release(batch);
    }
    mr_schema_release(schema);
    mr_buffer_release(bytes);
}

FUZZ(block)
{
    try_block(data, size, false);
    try_block(data, size / MR_ALIGN * MR_ALIGN, true);
    return 0;
}
