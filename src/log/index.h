/* index.h -- where in a segment to start looking: a sparse map of offset and event time to block.
 *
 * An entry stands for one block in every MR_INDEX_STEP_BYTES or so; from it the block headers are
 * walked. (1) Entries ascend in base_offset and position; entry 0 is the segment's first block. (2)
 * event_max_before is the highest event time of all blocks of the segment before the entry, so it
 * never falls, and the first block with event_max >= t lies behind the last entry with
 * event_max_before < t. It is a cache: a sealed segment's index lies in a side file that is rebuilt
 * when missing or damaged. */
#ifndef MR_LOG_INDEX_H
#define MR_LOG_INDEX_H

#include "log/block.h"

#define MR_INDEX_STEP_BYTES 65536

typedef struct mr_index_entry {
    uint64_t base_offset;
    uint64_t position;
    int64_t event_max_before; /* INT64_MIN: no event time before */
} mr_index_entry;

/* A zeroed struct is not usable: init. */
typedef struct mr_index {
    mr_index_entry *entries;
    size_t count;
    size_t capacity;
    uint64_t end_offset; /* one past the last block that was added */
    uint64_t end_position;
    uint64_t block_count;
    bool has_event_time;
    int64_t event_min;
    int64_t event_max;
    int64_t append_first_us; /* 0: no block */
    int64_t append_last_us;
} mr_index;

void mr_index_init(mr_index *index, uint64_t base_offset, uint64_t first_position);
void mr_index_deinit(mr_index *index);
/* Room for one more entry, so that the next add cannot fail. */
mr_status mr_index_reserve(mr_index *index, mr_error *err);
/* Counts the block at `position` in; blocks come in order. Needs a reserve before it. */
void mr_index_add(mr_index *index, uint64_t position, const mr_block_header *header);
/* Where to start walking for the block that holds `offset`, and for those without rows in front of it. */
mr_index_entry mr_index_find_offset(const mr_index *index, uint64_t offset);
/* Where to start walking for the first block with event_max >= event_time. */
mr_index_entry mr_index_find_time(const mr_index *index, int64_t event_time);

/* The side file: checksummed, bound to its segment by salt and base offset. */
void mr_index_encode(const mr_index *index, uint64_t salt, mr_bytes *out);
/* MR_CORRUPT when it is not the index of this segment; *out is init'ed only on MR_OK. */
mr_status mr_index_decode(const void *bytes, size_t size, uint64_t salt, uint64_t base_offset,
                          mr_index *out, mr_error *err);

#endif
