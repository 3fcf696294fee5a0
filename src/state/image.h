/* image.h -- one slot as bytes in a checkpoint file.
 *
 *    0 magic u32 "MRSI"   4 slot u32   8 table u64   16 position u64   24 body bytes u64   32 keys u32
 *   36 crc32c u32, of the 36 bytes before it and the body   40 body: `keys` records (record.c), in order
 *
 * A file opens with 16 bytes: magic "MRCKDATA", version u32, round u32. Little endian. */
#ifndef MR_STATE_IMAGE_H
#define MR_STATE_IMAGE_H

#include "state/state_internal.h"

#define MR_IMAGE_HEADER_BYTES   40
#define MR_IMAGE_FILE_BYTES     16 /* in front of the first image */
#define MR_IMAGE_FORMAT_VERSION 1
#define MR_CHECKPOINT_PATH_MAX  (MR_PATH_MAX + 64)
#define MR_CHECKPOINT_DATA_NAME "ckpt-%010u.data"
#define MR_CHECKPOINT_MANIFEST  "ckpt-%010u.manifest"

void mr_image_file_start(mr_bytes *out, uint32_t round);
mr_status mr_image_file_check(const uint8_t bytes[MR_IMAGE_FILE_BYTES], uint32_t round,
                              mr_error *err);
/* Appends the slot as of `position` and fills bytes, position, keys and crc of *out_image. An empty slot takes
 * no bytes. On failure `to` is as before. */
mr_status mr_image_write(mr_slot *slot, uint64_t position, mr_bytes *to, mr_image *out_image,
                         mr_error *err);
/* Checks header and checksum against what the manifest says; gives the records. */
mr_status mr_image_open(const mr_table *table, uint32_t slot, const mr_image *image,
                        const uint8_t *bytes, mr_reader *out_records, mr_error *err);
/* Fills an empty slot with the records. On failure it may be partly filled. */
mr_status mr_image_load(mr_slot *slot, const mr_image *image, mr_reader *records, mr_error *err);

#endif
