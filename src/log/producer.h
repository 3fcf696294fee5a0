/* producer.h -- what a partition remembers of those who append to it, so that nothing is stored
 * twice.
 *
 * Per producer id: the highest epoch, the sequence known, and where its last few blocks went. The
 * table is rebuilt from block headers; each segment's header carries it as it was when the segment
 * began, so that only the last segment is walked. At most MR_LOG_PRODUCERS_MAX: the longest silent
 * is forgotten first. Thread: the partition's lock. */
#ifndef MR_LOG_PRODUCER_H
#define MR_LOG_PRODUCER_H

#include "log/block.h"

#define MR_PRODUCER_RECENT       4 /* blocks whose place is remembered */
#define MR_PRODUCER_STORED_BYTES 40

typedef struct mr_producer_block {
    uint64_t sequence_first;
    uint64_t sequence_next;
    uint64_t base_offset;
    uint32_t row_count;
} mr_producer_block;

typedef struct mr_producer {
    uint64_t id; /* 0: a free place */
    uint32_t epoch;
    uint32_t recent_count;
    uint64_t sequence_next;
    uint64_t end_offset;                          /* after its last block */
    mr_producer_block recent[MR_PRODUCER_RECENT]; /* newest first */
} mr_producer;

/* A zeroed struct is empty. */
typedef struct mr_producers {
    mr_producer *slots; /* open addressing, capacity a power of two */
    size_t capacity;
    size_t count;
} mr_producers;

void mr_producers_deinit(mr_producers *producers);
/* Lends the producer until the next note; NULL: unknown. */
const mr_producer *mr_producers_find(const mr_producers *producers, uint64_t id);
/* The rules of mr_append. MR_OK with *out_duplicate, or MR_CONFLICT. */
mr_status mr_producers_check(const mr_producers *producers, const mr_append *what, mr_appended *out,
                             mr_error *err);
/* Room for one more, so that the next note cannot fail. */
mr_status mr_producers_reserve(mr_producers *producers, mr_error *err);
/* Counts a stored block in; needs a reserve before it. */
void mr_producers_note(mr_producers *producers, const mr_block_header *header);
/* MR_PRODUCER_STORED_BYTES each, sorted by id. */
void mr_producers_encode(const mr_producers *producers, mr_bytes *out);
mr_status mr_producers_decode(mr_reader *in, size_t count, mr_producers *out, mr_error *err);

#endif
