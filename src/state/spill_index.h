/* spill_index.h -- where in the log of cold keys the keys of one slot are: 12 bytes a key.
 *
 *   item   | hash 32 | hash 20, segment 12 | offset 24, size class 8 |      open addressing, linear probing
 *
 * (1) 52 bits of hash tell the keys of a slot apart without looking at the log: the other 12 chose the slot, and
 *     the hash of a word is one of its own (base/hash.h: every step of it can be undone).
 * (2) A place whose segment is 0 is empty; removal shifts back, as in slot.c.
 * Thread: read by the slot's worker between commits, changed by the pipeline's thread. */
#ifndef MR_STATE_SPILL_INDEX_H
#define MR_STATE_SPILL_INDEX_H

#include "state/heap.h"

#define MR_SPILL_SEGMENTS_MAX 4096
#define MR_SPILL_UNIT_BYTES   16 /* of offsets and sizes */
#define MR_SPILL_OFFSETS_MAX  (1u << 24)
#define MR_SPILL_HASH_MASK    ((UINT64_C(1) << 52) - 1)

typedef struct mr_spill_at {
    uint32_t segment; /* 0: nowhere */
    uint32_t offset;  /* units */
    uint32_t size;    /* class: see mr_spill_class_bytes */
} mr_spill_at;

typedef struct mr_spill_item {
    uint32_t words[3];
} mr_spill_item;

typedef struct mr_spill_index {
    mr_spill_item *items;
    uint32_t count, capacity;
} mr_spill_index;

/* Sizes in 8 bits, rounded up by a sixteenth at most; the last class is also for all that is larger. */
#define MR_SPILL_CLASS_LAST 255
uint32_t mr_spill_class_of(size_t bytes);
size_t mr_spill_class_bytes(uint32_t size_class);

mr_spill_at mr_spill_index_get(const mr_spill_index *index, uint64_t hash);
/* Asks for the line where the search for this hash starts. */
void mr_spill_index_prefetch(const mr_spill_index *index, uint64_t hash);
/* Room for one more, so that the next set cannot fail. */
bool mr_spill_index_reserve(mr_spill_index *index, mr_heap_source *source);
/* at.segment 0 takes it away. */
void mr_spill_index_set(mr_spill_index *index, uint64_t hash, mr_spill_at at);
/* What is at a place; segment 0: nothing. */
mr_spill_at mr_spill_index_at(const mr_spill_index *index, uint32_t place);
void mr_spill_index_deinit(mr_spill_index *index, mr_heap_source *source);

#endif
