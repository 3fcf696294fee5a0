/* segment.h -- one append-only file of a partition: a header, then blocks.
 *
 *   | header: 64 + producers, padded to 64 | block | block | ... | torn or foreign bytes |
 *
 * (1) The header is written and synced, and the name made durable, before the first block is written.
 * (2) A segment is begun only after the one before it was synced whole: a valid header proves that.
 * (3) Blocks lie end to end from first_position; a sealed segment is never written again.
 * The file is named after the offset of its first record, in 20 digits, so names sort as offsets do.
 * Thread: counts are shared; reading is safe anywhere; only the partition's writer writes. */
#ifndef MR_LOG_SEGMENT_H
#define MR_LOG_SEGMENT_H

#include "log/index.h"
#include "log/producer.h"

#define MR_SEGMENT_MAGIC       0x3147534du /* "MSG1" */
#define MR_SEGMENT_VERSION     1
#define MR_SEGMENT_FIXED_BYTES 64
#define MR_SEGMENT_NAME_BYTES  32

typedef struct mr_segment {
    _Atomic uint32_t owners;
    mr_file *file;
    uint64_t base_offset;
    uint64_t salt;
    uint64_t first_position;
    bool header_damaged; /* blocks may still be found; `producers` is empty then */
    char header_reason[160];
    mr_producers producers; /* as the segment began */
} mr_segment;

/* "00000000000000000042.seg"; out needs MR_SEGMENT_NAME_BYTES. */
void mr_segment_name(uint64_t base_offset, const char *suffix, char *out);
/* False when the name is no segment's. */
bool mr_segment_parse_name(const char *name, uint64_t *out_base_offset);

/* Writes a new file with its header, durable with its name. Whatever lay there is cut away. `spare`: the path of a file of
 * zeros in the folder, which becomes the segment; NULL: none. */
mr_status mr_segment_create(mr_fs *fs, const char *folder, const char *spare, uint64_t base_offset,
                            uint64_t salt, int64_t created_us, const mr_producers *producers,
                            mr_segment **out, mr_error *err);
/* Opens an existing file. A damaged header is no error: see header_damaged. */
mr_status mr_segment_open(mr_fs *fs, const char *folder, uint64_t base_offset, uint64_t salt,
                          bool for_writing, mr_segment **out, mr_error *err);
mr_segment *mr_segment_retain(mr_segment *segment);
void mr_segment_release(mr_segment *segment); /* NULL is allowed */

/* Walks block headers below `limit`; the bytes around them are read together when blocks are small.
 */
typedef struct mr_segment_walk {
    mr_segment *segment;
    uint64_t position; /* of the next block */
    uint64_t limit;
    uint64_t cached_at;
    size_t cached_bytes;
    uint8_t cache[8192];
} mr_segment_walk;

void mr_segment_walk_init(mr_segment_walk *walk, mr_segment *segment, uint64_t position,
                          uint64_t limit);
/* The header at walk->position, which stays. MR_END at the limit; MR_CORRUPT when no block that
 * fits below the limit stands there. */
mr_status mr_segment_walk_peek(mr_segment_walk *walk, mr_block_header *out, mr_error *err);
/* Moves the walk to the first valid header at or behind `from` whose base offset is at least
 * `offset_min`: MR_OK and the header, or MR_END. For looking past damage. */
mr_status mr_segment_walk_resync(mr_segment_walk *walk, uint64_t from, uint64_t offset_min,
                                 mr_block_header *out, mr_error *err);
/* Whether all bytes of [position, limit) are 0. */
mr_status mr_segment_is_zero(mr_segment *segment, uint64_t position, uint64_t limit, bool *out,
                             mr_error *err);
/* Reads the body of the block at `position` and checks it. MR_CORRUPT when it is not whole. */
mr_status mr_segment_check_body(mr_segment *segment, uint64_t position,
                                const mr_block_header *header, mr_error *err);
/* Adds all blocks from index->end_position up to `limit`, passing over damage. */
mr_status mr_segment_extend_index(mr_segment *segment, uint64_t limit, mr_index *index,
                                  mr_error *err);

#endif
