/* log_reader_internal.h -- the reader, for the files it is spread over.
 *
 *   log_reader.c ... place: seeking, the next block, birth and death        reader_block.c ... one block: loading, decoding
 *   reader_damage.c  what cannot be read                                    reader_wait.c .... waiting for more
 *
 *   place = (segment, position, next offset)        the end = the partition's view (view.c)
 *   chunk = a stretch of the segment in memory: mapped when much is left, read when little is; blocks in it
 *           are decoded in place, and each batch keeps its chunk alive
 *
 * (1) Nothing at or behind the view is touched. (2) A block is decoded only after its checksums match.
 * (3) In front of damage the reader stays until it is told to skip. */
#ifndef MR_LOG_READER_INTERNAL_H
#define MR_LOG_READER_INTERNAL_H

#include "log/partition.h"

struct mr_log_reader {
    mr_topic *topic;
    mr_partition *partition;
    bool empty_blocks;
    bool copy;
    bool schema_fixed; /* asked for by the caller */
    uint32_t rows_max;
    mr_schema *schema; /* batches arrive in this form */

    mr_partition_view view; /* as last seen */
    uint64_t next_offset;
    mr_segment *segment; /* NULL: find it by next_offset */
    bool sealed;
    uint64_t next_base; /* of the segment after a sealed one */
    uint64_t limit;     /* blocks of the segment end here, as far as they may be read */
    uint64_t position;

    mr_buffer *chunk;
    uint64_t chunk_at;
    mr_segment *chunk_segment; /* the chunk is of this one (not retained: compared only) */

    mr_batch *rest; /* of a block that is handed out in slices */
    uint32_t rest_row;
    mr_log_block rest_block;

    bool damaged;
    mr_log_damage damage;
    uint64_t damage_position_end; /* 0: the segment's end */

    uint64_t bytes; /* passed so far */
};

/* Forgets what is in memory of the segment. */
void mr_log_reader_drop_chunk(mr_log_reader *reader);
/* Forgets the rest of a block that was handed out in part. */
void mr_log_reader_drop_rest(mr_log_reader *reader);
/* The next rows of reader->rest. */
mr_status mr_log_reader_hand_out(mr_log_reader *reader, mr_log_block *out, mr_error *err);
/* The block at the position, which lies below the limit; goes behind it. MR_CORRUPT: damage was noted. */
mr_status mr_log_reader_read_block(mr_log_reader *reader, mr_log_block *out, mr_error *err);
/* Nothing is left below the view as last seen. */
bool mr_log_reader_at_end(const mr_log_reader *reader);
/* Notes damage from the next offset and the position on; returns MR_CORRUPT with the text the user gets.
 * end_position 0: up to the segment's end. */
mr_status mr_log_reader_note_damage(mr_log_reader *reader, uint64_t end_offset,
                                    uint64_t end_position, const char *reason, mr_error *err);
/* The same up to the next good block at or behind `from`, or the end of what this segment should hold. */
mr_status mr_log_reader_note_damage_from(mr_log_reader *reader, uint64_t from, const char *reason,
                                         mr_error *err);

#endif
