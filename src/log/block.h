/* block.h -- one appended batch on disk: a fixed header, an annotation, and the column buffers.
 *
 *   0        128            128+A             block_bytes
 *   | header | annotation 0 | columns       0 |          every part is zero-padded to 64 bytes
 *
 *   columns, plain:  | directory 0 | validity 0 | offsets 0 | values 0 | validity 0 | ...
 *       directory: per field u32 null_count, u32 values_bytes; validity only when null_count > 0; offsets only for
 *       string and bytes (int32, rows + 1, the first is 0); a block of no rows has no columns part.
 *   columns, lz4 or zstd: the plain form as one compressed stretch (lz4 block, zstd frame).
 *
 * (1) Everything is little endian; a block starts at a multiple of 64, so plain columns can be used in place.
 * (2) header_crc covers header bytes [0, 8) and [12, 128); body_crc covers [128, block_bytes), padding included.
 * (3) A header is believed only after its checksum and its salt match; a body after its checksum.
 * docs/explanation/log-format.md gives the offsets of all fields. Pure: no files, no locks. */
#ifndef MR_LOG_BLOCK_H
#define MR_LOG_BLOCK_H

#include "log/log.h"

#define MR_BLOCK_MAGIC        0x314b424du /* "MBK1" */
#define MR_BLOCK_VERSION      1
#define MR_BLOCK_HEADER_BYTES 128

typedef struct mr_block_header {
    uint32_t body_crc;
    uint32_t block_bytes;  /* all of it, padding included */
    uint32_t plain_bytes;  /* of the columns before compression */
    uint32_t stored_bytes; /* of the columns as stored, without padding */
    uint32_t annotation_bytes;
    uint32_t row_count;
    uint32_t schema_id;
    uint8_t codec;
    bool has_event_time; /* some row has one; else event_min and event_max are 0 */
    uint64_t base_offset;
    int64_t event_min;
    int64_t event_max;
    int64_t append_us;
    uint64_t producer_id;
    uint32_t producer_epoch;
    uint64_t sequence_first;
    uint64_t sequence_next;
    uint64_t durable_offset; /* all below was durable when this block was written */
    uint64_t salt;           /* of the partition: bytes of another file are no block of this one */
} mr_block_header;

static inline size_t mr_block_pad(size_t bytes)
{
    return (bytes + MR_ALIGN - 1) & ~(size_t)(MR_ALIGN - 1);
}

/* Offset of the columns from the block's start. */
static inline size_t mr_block_columns_at(const mr_block_header *header)
{
    return MR_BLOCK_HEADER_BYTES + mr_block_pad(header->annotation_bytes);
}

/* Fills 128 bytes, checksum included. */
void mr_block_header_encode(const mr_block_header *header, uint8_t *out);
/* MR_CORRUPT says what is wrong; lengths are checked against each other. `salt` must match. */
mr_status mr_block_header_decode(const uint8_t *bytes, uint64_t salt, mr_block_header *out,
                                 mr_error *err);

/* How a batch is written. */
typedef struct mr_block_options {
    uint32_t schema_id;
    int event_time_column; /* -1: none */
    mr_log_codec codec;
    int32_t codec_level;
} mr_block_options;

/* Replaces *out with the whole block but for the first 128 bytes, which are room for the header,
 * and fills the header but for what is known only in its place: base_offset, append_us,
 * durable_offset, salt. `scratch` is memory for compression, kept by the caller. */
mr_status mr_block_encode(const mr_append *what, const mr_block_options *options, mr_bytes *out,
                          mr_bytes *scratch, mr_block_header *header, mr_error *err);

/* MR_CORRUPT when the checksum of the body (header->block_bytes - 128 bytes behind the header)
 * differs. */
mr_status mr_block_check_body(const mr_block_header *header, const uint8_t *body, mr_error *err);
/* The batch of a block whose `bytes` (all of it, header included) are kept alive by `owner`: plain
 * columns share it, compressed ones are unpacked. Checks all that reading the batch relies on. */
mr_status mr_block_decode(const mr_block_header *header, const uint8_t *bytes, mr_buffer *owner,
                          mr_schema *schema, mr_batch **out, mr_error *err);

#endif
