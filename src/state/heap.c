/* heap.c -- size classes over chunks; see heap.h.
 *
 *   handle  | chunk index 16 | offset / 8  16 |      chunks are at most 64 KB, so an offset fits
 *
 * Free blocks hold the link to the next free one of their class. What is left of a chunk when a block does
 * not fit is cut into free blocks. A named block beyond the classes has a chunk entry of its own. */
#include "state/heap.h"

#include "base/assert.h"

#include <string.h>

#define CLASS_COUNT     32
#define CLASS_BYTES_MAX 4096
#define BLOCK_BYTES_MAX ((size_t)1 << 40)
#define CHUNK_BYTES_MIN 256
#define CHUNK_BYTES_MAX 65536
#define CHUNK_COUNT_MAX 65536
#define MALLOC_BYTES    16 /* what the process heap adds to a block, about */

typedef struct chunk {
    uint8_t *bytes;
    size_t size; /* 0: the place is free */
} chunk;

typedef struct large_block {
    struct large_block *before, *after;
} large_block;

struct mr_heap {
    mr_heap_source *source;
    uint8_t *next, *end; /* of the chunk that is being carved */
    chunk *chunks;
    uint32_t chunk_count, chunk_capacity;
    uint32_t has_free; /* bit per class */
    uint64_t taken_bytes;
    uint64_t used_bytes;
    large_block *larges;
    void *free[CLASS_COUNT];
};

bool mr_heap_source_take(mr_heap_source *source, uint64_t bytes)
{
    bool taken = mr_budget_take(source->budget, bytes);
    if (!taken && source->overdraft)
        mr_budget_force(source->budget, bytes);
    if (taken || source->overdraft)
        atomic_fetch_add_explicit(&source->used_bytes, bytes, memory_order_relaxed);
    return taken || source->overdraft;
}

void mr_heap_source_give(mr_heap_source *source, uint64_t bytes)
{
    mr_budget_give(source->budget, bytes);
    atomic_fetch_sub_explicit(&source->used_bytes, bytes, memory_order_relaxed);
}

/* ---- memory of the process ---- */

static void *take(mr_heap *heap, size_t bytes)
{
    if (!mr_heap_source_take(heap->source, bytes + MALLOC_BYTES))
        return NULL;
    void *memory = mr_alloc(bytes);
    if (memory == NULL)
        mr_heap_source_give(heap->source, bytes + MALLOC_BYTES);
    else
        heap->taken_bytes += bytes + MALLOC_BYTES;
    return memory;
}

static void give(mr_heap *heap, void *memory, size_t bytes)
{
    mr_free(memory);
    heap->taken_bytes -= bytes + MALLOC_BYTES;
    mr_heap_source_give(heap->source, bytes + MALLOC_BYTES);
}

mr_heap *mr_heap_create(mr_heap_source *source)
{
    uint64_t bytes = sizeof(mr_heap) + MALLOC_BYTES;
    if (!mr_heap_source_take(source, bytes))
        return NULL;
    mr_heap *heap = MR_NEW(mr_heap);
    if (heap == NULL) {
        mr_heap_source_give(source, bytes);
        return NULL;
    }
    heap->source = source;
    heap->taken_bytes = bytes;
    heap->used_bytes = bytes;
    return heap;
}

void mr_heap_destroy(mr_heap *heap)
{
    if (heap == NULL)
        return;
    for (uint32_t i = 0; i < heap->chunk_count; i++)
        mr_free(heap->chunks[i].bytes);
    for (large_block *one = heap->larges; one != NULL;) {
        large_block *after = one->after;
        mr_free(one);
        one = after;
    }
    mr_free(heap->chunks);
    mr_heap_source_give(heap->source, heap->taken_bytes);
    mr_free(heap);
}

uint64_t mr_heap_bytes(const mr_heap *heap)
{
    return heap != NULL ? heap->taken_bytes : 0;
}

uint64_t mr_heap_free_bytes(const mr_heap *heap)
{
    return heap != NULL ? heap->taken_bytes - heap->used_bytes : 0;
}

/* ---- classes ---- */

/* The smallest class that holds `units` of 8 bytes. */
static unsigned class_of(size_t units)
{
    if (units <= 8)
        return (unsigned)units - 1;
    unsigned log2 = 63 - (unsigned)__builtin_clzll(units - 1);
    return 8 + (log2 - 3) * 4 + (unsigned)((units - 1) >> (log2 - 2)) - 4;
}

static size_t class_units(unsigned index)
{
    if (index < 8)
        return index + 1;
    unsigned log2 = (index - 8) / 4 + 3;
    MR_ASSERT_SLOW(log2 < 64);
    return (size_t)((index - 8) % 4 + 5) << (log2 - 2);
}

static size_t units_of(size_t bytes)
{
    return bytes > 0 ? (bytes + 7) / 8 : 1;
}

size_t mr_heap_alloc_bytes(size_t bytes)
{
    if (bytes > BLOCK_BYTES_MAX)
        return bytes; /* nobody gets it */
    if (bytes > CLASS_BYTES_MAX)
        return (bytes + 7) & ~(size_t)7;
    return class_units(class_of(units_of(bytes))) * 8;
}

static void push_free(mr_heap *heap, void *memory, unsigned class_index)
{
    memcpy(memory, &heap->free[class_index], sizeof(void *));
    heap->free[class_index] = memory;
    heap->has_free |= 1u << class_index;
}

static void *pop_free(mr_heap *heap, unsigned class_index)
{
    void *memory = heap->free[class_index];
    memcpy(&heap->free[class_index], memory, sizeof(void *));
    if (heap->free[class_index] == NULL)
        heap->has_free &= ~(1u << class_index);
    return memory;
}

/* Makes free blocks of `bytes` (a multiple of 8) behind `from`, the largest first. */
static void cut_free(mr_heap *heap, uint8_t *from, size_t bytes)
{
    while (bytes > 0) {
        unsigned index = class_of(MR_MIN(bytes, CLASS_BYTES_MAX) / 8);
        if (class_units(index) * 8 > bytes)
            index--;
        push_free(heap, from, index);
        from += class_units(index) * 8;
        bytes -= class_units(index) * 8;
    }
}

/* ---- chunks ---- */

static bool grow_chunk_list(mr_heap *heap)
{
    uint32_t capacity = heap->chunk_capacity + MR_MAX(4, heap->chunk_capacity / 2);
    capacity = MR_MIN(capacity, CHUNK_COUNT_MAX);
    uint64_t bytes = (capacity - heap->chunk_capacity) * sizeof(chunk);
    if (!mr_heap_source_take(heap->source, bytes))
        return false;
    chunk *grown = mr_realloc(heap->chunks, capacity * sizeof(chunk));
    if (grown == NULL) {
        mr_heap_source_give(heap->source, bytes);
        return false;
    }
    heap->chunks = grown;
    heap->chunk_capacity = capacity;
    heap->taken_bytes += bytes;
    heap->used_bytes += bytes;
    return true;
}

/* A place in the list; one that was given back before the list grows. */
static chunk *new_chunk_place(mr_heap *heap)
{
    bool full = heap->chunk_count == heap->chunk_capacity;
    for (uint32_t i = 0; full && i < heap->chunk_count; i++)
        if (heap->chunks[i].size == 0)
            return &heap->chunks[i];
    if (full && (heap->chunk_count == CHUNK_COUNT_MAX || !grow_chunk_list(heap)))
        return NULL;
    heap->chunks[heap->chunk_count] = (chunk){0};
    return &heap->chunks[heap->chunk_count++];
}

static chunk *add_chunk(mr_heap *heap, size_t size)
{
    chunk *place = new_chunk_place(heap);
    uint8_t *bytes = place != NULL ? take(heap, size) : NULL;
    if (bytes == NULL)
        return NULL;
    heap->used_bytes += MALLOC_BYTES;
    *place = (chunk){bytes, size};
    return place;
}

static size_t next_chunk_bytes(const mr_heap *heap, size_t needed)
{
    size_t size = CHUNK_BYTES_MIN;
    while (size < needed || (size < CHUNK_BYTES_MAX && size < heap->taken_bytes / 8))
        size *= 2;
    return size;
}

static bool start_chunk(mr_heap *heap, size_t size)
{
    chunk *fresh = add_chunk(heap, size);
    if (fresh == NULL)
        return false;
    cut_free(heap, heap->next, (size_t)(heap->end - heap->next));
    heap->next = fresh->bytes;
    heap->end = fresh->bytes + fresh->size;
    return true;
}

void mr_heap_expect(mr_heap *heap, uint64_t bytes)
{
    size_t size = (size_t)MR_MIN(bytes, CHUNK_BYTES_MAX) & ~(size_t)63;
    if (heap->next == heap->end && size >= CHUNK_BYTES_MIN)
        (void)start_chunk(heap, size);
}

static void *carve(mr_heap *heap, size_t bytes)
{
    if ((size_t)(heap->end - heap->next) < bytes &&
        !start_chunk(heap, next_chunk_bytes(heap, bytes)))
        return NULL;
    void *memory = heap->next;
    heap->next += bytes;
    return memory;
}

/* ---- blocks ---- */

static void *alloc_large(mr_heap *heap, size_t bytes)
{
    large_block *one = bytes <= BLOCK_BYTES_MAX ? take(heap, sizeof(large_block) + bytes) : NULL;
    if (one == NULL)
        return NULL;
    *one = (large_block){NULL, heap->larges};
    if (heap->larges != NULL)
        heap->larges->before = one;
    heap->larges = one;
    heap->used_bytes += sizeof(large_block) + bytes + MALLOC_BYTES;
    return one + 1;
}

static void free_large(mr_heap *heap, void *memory, size_t bytes)
{
    large_block *one = (large_block *)memory - 1;
    if (one->before != NULL)
        one->before->after = one->after;
    else
        heap->larges = one->after;
    if (one->after != NULL)
        one->after->before = one->before;
    heap->used_bytes -= sizeof(large_block) + bytes + MALLOC_BYTES;
    give(heap, one, sizeof(large_block) + bytes);
}

/* Cuts a block from a larger free one. */
static void *split_free(mr_heap *heap, unsigned class_index)
{
    unsigned index = (unsigned)__builtin_ctz(heap->has_free & ~((1u << class_index) - 1));
    uint8_t *memory = pop_free(heap, index);
    size_t bytes = class_units(class_index) * 8;
    cut_free(heap, memory + bytes, class_units(index) * 8 - bytes);
    return memory;
}

void *mr_heap_alloc(mr_heap *heap, size_t bytes)
{
    if (bytes > CLASS_BYTES_MAX)
        return alloc_large(heap, mr_heap_alloc_bytes(bytes));
    unsigned index = class_of(units_of(bytes));
    size_t rounded = class_units(index) * 8;
    void *memory;
    if (heap->free[index] != NULL)
        memory = pop_free(heap, index);
    else if ((size_t)(heap->end - heap->next) < rounded && heap->has_free >> index != 0)
        memory = split_free(heap, index);
    else
        memory = carve(heap, rounded);
    if (memory != NULL)
        heap->used_bytes += rounded;
    return memory;
}

void mr_heap_free(mr_heap *heap, void *memory, size_t bytes)
{
    if (memory == NULL)
        return;
    if (bytes > CLASS_BYTES_MAX) {
        free_large(heap, memory, mr_heap_alloc_bytes(bytes));
        return;
    }
    unsigned index = class_of(units_of(bytes));
    push_free(heap, memory, index);
    heap->used_bytes -= class_units(index) * 8;
}

/* ---- named blocks ---- */

static uint32_t name_of(const mr_heap *heap, const uint8_t *memory)
{
    for (uint32_t i = heap->chunk_count; i-- > 0;) {
        uintptr_t offset = (uintptr_t)memory - (uintptr_t)heap->chunks[i].bytes;
        if (offset < heap->chunks[i].size)
            return i << 16 | (uint32_t)(offset / 8);
    }
    MR_UNREACHABLE();
}

bool mr_heap_alloc_named(mr_heap *heap, size_t bytes, uint32_t *out_handle)
{
    if (bytes <= CLASS_BYTES_MAX) {
        uint8_t *memory = mr_heap_alloc(heap, bytes);
        if (memory != NULL)
            *out_handle = name_of(heap, memory);
        return memory != NULL;
    }
    chunk *own = bytes <= BLOCK_BYTES_MAX ? add_chunk(heap, mr_heap_alloc_bytes(bytes)) : NULL;
    if (own == NULL)
        return false;
    heap->used_bytes += own->size;
    *out_handle = (uint32_t)(own - heap->chunks) << 16;
    return true;
}

void *mr_heap_at(const mr_heap *heap, uint32_t handle)
{
    return heap->chunks[handle >> 16].bytes + (size_t)(handle & 0xffff) * 8;
}

void mr_heap_free_named(mr_heap *heap, uint32_t handle, size_t bytes)
{
    if (bytes <= CLASS_BYTES_MAX) {
        mr_heap_free(heap, mr_heap_at(heap, handle), bytes);
        return;
    }
    chunk *own = &heap->chunks[handle >> 16];
    heap->used_bytes -= own->size + MALLOC_BYTES;
    give(heap, own->bytes, own->size);
    *own = (chunk){0};
}
