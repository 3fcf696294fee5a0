/* heap.h -- the memory of one slot: size classes carved from a few chunks.
 *
 *   chunk sizes 256, 512, ... 64 K, the next one about an eighth of what the heap has: little is ever unused
 *   classes     8, 16, ... 64, then four to a doubling (80, 96, 112, 128, 160, ...) up to 4096 bytes
 *   beyond      straight from the process heap, behind a small header
 *
 * (1) Every byte taken from the process is taken from the budget first, and given back with it.
 * (2) A block stays where it is until it is freed; a freed one is the next of its class to be handed out.
 * (3) Chunks go only with the whole heap: a slot is compacted by moving its values into a fresh heap.
 * Thread: that of the slot. */
#ifndef MR_STATE_HEAP_H
#define MR_STATE_HEAP_H

#include "base/memory.h"

/* Where the memory of slots comes from. */
typedef struct mr_heap_source {
    mr_budget *budget; /* NULL: no limit */
    bool overdraft;    /* go beyond it: somebody spills at the next chance */
    _Atomic uint64_t used_bytes;
} mr_heap_source;

bool mr_heap_source_take(mr_heap_source *source, uint64_t bytes);
void mr_heap_source_give(mr_heap_source *source, uint64_t bytes);

typedef struct mr_heap mr_heap;

mr_heap *mr_heap_create(mr_heap_source *source); /* lends the source; NULL: no memory */
void mr_heap_destroy(mr_heap *heap);             /* with all blocks; NULL is allowed */

/* About so many bytes will be allocated: an empty heap takes them in one piece, if it can. */
void mr_heap_expect(mr_heap *heap, uint64_t bytes);

/* 8-byte aligned; NULL: no memory. Freed with the same size. */
void *mr_heap_alloc(mr_heap *heap, size_t bytes) __attribute__((warn_unused_result));
void mr_heap_free(mr_heap *heap, void *memory, size_t bytes);
/* What an allocation of `bytes` really takes. */
size_t mr_heap_alloc_bytes(size_t bytes);

/* A block with a 32-bit name, for keys. False: no memory. */
bool mr_heap_alloc_named(mr_heap *heap, size_t bytes, uint32_t *out_handle);
void *mr_heap_at(const mr_heap *heap, uint32_t handle);
void mr_heap_free_named(mr_heap *heap, uint32_t handle, size_t bytes);

uint64_t mr_heap_bytes(const mr_heap *heap);      /* taken from the budget; NULL has 0 */
uint64_t mr_heap_free_bytes(const mr_heap *heap); /* of them in no block */

#endif
