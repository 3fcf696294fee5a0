/* memory.c -- heap, budgets, arenas, shared buffers, growing bytes and the reading cursor.
 *
 * (1) used_bytes counts what malloc really set aside, so it never goes below zero or drifts.
 * (2) A buffer's memory is freed by whoever drops the last share, on whatever thread.
 * Thread: the heap, budgets and buffer counts are safe anywhere; arenas and bytes have one owner. */
#include "base/memory.h"

#include "base/assert.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- heap ---- */

static _Atomic uint64_t heap_used_bytes;
static _Thread_local int64_t fail_countdown = -1;
static _Thread_local bool fail_persistent;
static _Thread_local uint64_t asked_count;
static _Thread_local int fail_holds;

uint64_t mr_memory_fail_after(int64_t n, bool persistent)
{
    uint64_t asked = asked_count;
    fail_countdown = n;
    fail_persistent = persistent;
    asked_count = 0;
    return asked;
}

void mr_memory_fail_hold(int step)
{
    fail_holds += step;
}

static bool should_fail(void)
{
    if (MR_UNLIKELY(fail_holds > 0))
        return false;
    asked_count++;
    if (MR_LIKELY(fail_countdown < 0))
        return false;
    if (fail_countdown > 0) {
        fail_countdown--;
        return false;
    }
    if (!fail_persistent)
        fail_countdown = -1;
    return true;
}

static void *counted(void *memory)
{
    if (memory != NULL)
        atomic_fetch_add_explicit(&heap_used_bytes, malloc_usable_size(memory),
                                  memory_order_relaxed);
    return memory;
}

static void uncount(void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub_explicit(&heap_used_bytes, malloc_usable_size(memory),
                                  memory_order_relaxed);
}

void *mr_alloc(size_t bytes)
{
    return should_fail() ? NULL : counted(malloc(bytes > 0 ? bytes : 1));
}

void *mr_alloc_zero(size_t count, size_t bytes_each)
{
    return should_fail() ? NULL
                         : counted(calloc(count > 0 ? count : 1, bytes_each > 0 ? bytes_each : 1));
}

void *mr_realloc(void *memory, size_t bytes)
{
    if (should_fail())
        return NULL;
    size_t old_bytes = memory != NULL ? malloc_usable_size(memory) : 0;
    void *grown = realloc(memory, bytes > 0 ? bytes : 1);
    if (grown == NULL)
        return NULL;
    atomic_fetch_add_explicit(&heap_used_bytes, malloc_usable_size(grown) - old_bytes,
                              memory_order_relaxed);
    return grown;
}

void *mr_alloc_aligned(size_t bytes)
{
    if (should_fail() || bytes > SIZE_MAX - MR_ALIGN)
        return NULL;
    size_t rounded = (MR_MAX(bytes, 1) + MR_ALIGN - 1) & ~(size_t)(MR_ALIGN - 1);
    return counted(aligned_alloc(MR_ALIGN, rounded));
}

void mr_free(void *memory)
{
    uncount(memory);
    free(memory);
}

char *mr_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = mr_alloc(bytes);
    return copy != NULL ? memcpy(copy, text, bytes) : NULL;
}

uint64_t mr_memory_used_bytes(void)
{
    return atomic_load_explicit(&heap_used_bytes, memory_order_relaxed);
}

/* ---- budget ---- */

void mr_budget_init(mr_budget *budget, uint64_t max_bytes, mr_budget *parent)
{
    atomic_init(&budget->used_bytes, 0);
    budget->max_bytes = max_bytes;
    budget->parent = parent;
}

bool mr_budget_take(mr_budget *budget, uint64_t bytes)
{
    if (budget == NULL)
        return true;
    uint64_t used = atomic_fetch_add_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
    uint64_t max = budget->max_bytes;
    bool fits = max == 0 || (bytes <= max && used <= max - bytes);
    if (fits && mr_budget_take(budget->parent, bytes))
        return true;
    atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
    return false;
}

void mr_budget_force(mr_budget *budget, uint64_t bytes)
{
    for (; budget != NULL; budget = budget->parent)
        atomic_fetch_add_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
}

void mr_budget_give(mr_budget *budget, uint64_t bytes)
{
    for (; budget != NULL; budget = budget->parent)
        atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
}

uint64_t mr_budget_used(const mr_budget *budget)
{
    return atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
}

/* ---- arena ---- */

#define ARENA_CHUNK_BYTES 16384

struct mr_arena_chunk {
    mr_arena_chunk *older;
    size_t bytes; /* of body */
    _Alignas(MR_ALIGN) uint8_t body[];
};

void mr_arena_init(mr_arena *arena, uint64_t max_bytes)
{
    *arena = (mr_arena){.max_bytes = max_bytes};
}

static void run_cleanups(mr_arena *arena)
{
    for (mr_arena_cleanup *one = arena->cleanups; one != NULL; one = one->next)
        one->call(one->context);
    arena->cleanups = NULL;
}

static void free_chunks(mr_arena_chunk *chunk)
{
    while (chunk != NULL) {
        mr_arena_chunk *older = chunk->older;
        mr_free(chunk);
        chunk = older;
    }
}

void mr_arena_deinit(mr_arena *arena)
{
    run_cleanups(arena);
    free_chunks(arena->chunks);
    *arena = (mr_arena){.max_bytes = arena->max_bytes};
}

void mr_arena_reset(mr_arena *arena)
{
    run_cleanups(arena);
    mr_arena_chunk *kept = arena->chunks;
    if (kept == NULL)
        return;
    free_chunks(kept->older);
    kept->older = NULL;
    arena->next = kept->body;
    arena->end = kept->body + kept->bytes;
    arena->used_bytes = 0;
}

static bool add_chunk(mr_arena *arena, size_t bytes)
{
    size_t body_bytes = MR_MAX(bytes, ARENA_CHUNK_BYTES - sizeof(mr_arena_chunk));
    if (body_bytes > SIZE_MAX / 2)
        return false;
    mr_arena_chunk *chunk = mr_alloc_aligned(sizeof(mr_arena_chunk) + body_bytes);
    if (chunk == NULL)
        return false;
    chunk->older = arena->chunks;
    chunk->bytes = body_bytes;
    arena->chunks = chunk;
    arena->next = chunk->body;
    arena->end = chunk->body + body_bytes;
    return true;
}

static void *arena_take(mr_arena *arena, size_t bytes, size_t align)
{
    if (arena->max_bytes != 0 &&
        (bytes > arena->max_bytes || arena->used_bytes > arena->max_bytes - bytes))
        return NULL;
    size_t skip = (size_t)(-(uintptr_t)arena->next & (align - 1));
    if (arena->next == NULL || bytes > SIZE_MAX - skip ||
        (size_t)(arena->end - arena->next) < skip + bytes) {
        if (!add_chunk(arena, bytes))
            return NULL;
        skip = 0;
    }
    uint8_t *memory = arena->next + skip;
    arena->next = memory + bytes;
    arena->used_bytes += bytes;
    return memory;
}

void *mr_arena_alloc(mr_arena *arena, size_t bytes)
{
    return arena_take(arena, bytes, 16);
}

void *mr_arena_alloc_aligned(mr_arena *arena, size_t bytes)
{
    return arena_take(arena, bytes, MR_ALIGN);
}

void *mr_arena_alloc_zero(mr_arena *arena, size_t bytes)
{
    void *memory = mr_arena_alloc(arena, bytes);
    return memory != NULL ? memset(memory, 0, bytes) : NULL;
}

char *mr_arena_strndup(mr_arena *arena, const char *text, size_t bytes)
{
    char *copy = mr_arena_alloc(arena, bytes + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *mr_arena_strdup(mr_arena *arena, const char *text)
{
    return mr_arena_strndup(arena, text, strlen(text));
}

char *mr_arena_printf(mr_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = bytes >= 0 ? mr_arena_alloc(arena, (size_t)bytes + 1) : NULL;
    if (text == NULL)
        return NULL;
    va_start(args, format);
    (void)vsnprintf(text, (size_t)bytes + 1, format, args);
    va_end(args);
    return text;
}

mr_status mr_arena_on_reset(mr_arena *arena, void (*call)(void *), void *context)
{
    mr_arena_cleanup *one = mr_arena_alloc(arena, sizeof *one);
    if (one == NULL)
        return MR_NO_MEMORY;
    *one = (mr_arena_cleanup){call, context, arena->cleanups};
    arena->cleanups = one;
    return MR_OK;
}

/* ---- shared buffers ---- */

mr_buffer *mr_buffer_create(size_t size)
{
    mr_buffer *buffer = mr_alloc(sizeof *buffer);
    size_t capacity = size <= SIZE_MAX - MR_ALIGN ? (size + MR_ALIGN) & ~(size_t)(MR_ALIGN - 1) : 0;
    uint8_t *bytes = buffer != NULL && capacity > 0 ? mr_alloc_aligned(capacity) : NULL;
    if (bytes == NULL) {
        mr_free(buffer);
        return NULL;
    }
    memset(bytes + size, 0, capacity - size);
    *buffer = (mr_buffer){.bytes = bytes, .size = size, .capacity = capacity};
    atomic_init(&buffer->owners, 1);
    return buffer;
}

mr_buffer *mr_buffer_wrap(const void *bytes, size_t size, void (*release)(void *), void *context)
{
    mr_buffer *buffer = mr_alloc(sizeof *buffer);
    if (buffer == NULL)
        return NULL;
    /* The const is dropped because one struct serves both; wrapped bytes are never written. */
    *buffer = (mr_buffer){
        .bytes = (uint8_t *)(uintptr_t)bytes, .size = size, .release = release, .context = context};
    atomic_init(&buffer->owners, 1);
    return buffer;
}

mr_buffer *mr_buffer_retain(mr_buffer *buffer)
{
    if (buffer != NULL)
        atomic_fetch_add_explicit(&buffer->owners, 1, memory_order_relaxed);
    return buffer;
}

void mr_buffer_release(mr_buffer *buffer)
{
    if (buffer == NULL || atomic_fetch_sub_explicit(&buffer->owners, 1, memory_order_acq_rel) != 1)
        return;
    if (buffer->capacity > 0)
        mr_free(buffer->bytes);
    else if (buffer->release != NULL)
        buffer->release(buffer->context);
    mr_free(buffer);
}

/* ---- growing bytes ---- */

void mr_bytes_deinit(mr_bytes *bytes)
{
    mr_free(bytes->data);
    *bytes = (mr_bytes){0};
}

void mr_bytes_clear(mr_bytes *bytes)
{
    bytes->size = 0;
    bytes->failed = false;
}

bool mr_bytes_reserve(mr_bytes *bytes, size_t more)
{
    if (bytes->failed)
        return false;
    if (MR_LIKELY(bytes->capacity - bytes->size >= more))
        return true;
    bool overflow = more > SIZE_MAX / 2 - bytes->size;
    size_t wanted = overflow ? 0 : MR_MAX(bytes->size + more, MR_MAX(64, bytes->capacity * 2));
    uint8_t *grown = overflow ? NULL : mr_realloc(bytes->data, wanted);
    if (grown == NULL) {
        bytes->failed = true;
        return false;
    }
    bytes->data = grown;
    bytes->capacity = wanted;
    return true;
}

void mr_bytes_append(mr_bytes *bytes, const void *data, size_t size)
{
    if (size == 0 || !mr_bytes_reserve(bytes, size))
        return;
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void mr_bytes_append_byte(mr_bytes *bytes, uint8_t byte)
{
    if (mr_bytes_reserve(bytes, 1))
        bytes->data[bytes->size++] = byte;
}

void mr_bytes_append_text(mr_bytes *bytes, const char *text)
{
    mr_bytes_append(bytes, text, strlen(text));
}

void mr_bytes_printf(mr_bytes *bytes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0 || !mr_bytes_reserve(bytes, (size_t)size + 1))
        return;
    va_start(args, format);
    (void)vsnprintf((char *)bytes->data + bytes->size, (size_t)size + 1, format, args);
    va_end(args);
    bytes->size += (size_t)size;
}

static void append_little(mr_bytes *bytes, uint64_t value, size_t size)
{
    uint8_t raw[8];
    for (size_t i = 0; i < size; i++)
        raw[i] = (uint8_t)(value >> (8 * i));
    mr_bytes_append(bytes, raw, size);
}

void mr_bytes_append_u16(mr_bytes *bytes, uint16_t value)
{
    append_little(bytes, value, 2);
}

void mr_bytes_append_u32(mr_bytes *bytes, uint32_t value)
{
    append_little(bytes, value, 4);
}

void mr_bytes_append_u64(mr_bytes *bytes, uint64_t value)
{
    append_little(bytes, value, 8);
}

void mr_bytes_append_varint(mr_bytes *bytes, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        mr_bytes_append_byte(bytes, (uint8_t)(value | 0x80));
    mr_bytes_append_byte(bytes, (uint8_t)value);
}

void mr_bytes_pad(mr_bytes *bytes, size_t align)
{
    size_t more = (align - bytes->size % align) % align;
    if (more == 0 || !mr_bytes_reserve(bytes, more))
        return;
    memset(bytes->data + bytes->size, 0, more);
    bytes->size += more;
}

const char *mr_bytes_text(mr_bytes *bytes)
{
    if (!mr_bytes_reserve(bytes, 1))
        return NULL;
    bytes->data[bytes->size] = '\0';
    return (const char *)bytes->data;
}

/* ---- reading bytes ---- */

mr_reader mr_reader_of(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    return (mr_reader){.next = bytes, .end = size > 0 ? bytes + size : bytes};
}

size_t mr_reader_left(const mr_reader *reader)
{
    return (size_t)(reader->end - reader->next);
}

const uint8_t *mr_reader_bytes(mr_reader *reader, size_t size)
{
    if (reader->failed || mr_reader_left(reader) < size) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *bytes = reader->next;
    if (size > 0)
        reader->next += size;
    return bytes;
}

static uint64_t read_little(mr_reader *reader, size_t size)
{
    const uint8_t *raw = mr_reader_bytes(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; raw != NULL && i < size; i++)
        value |= (uint64_t)raw[i] << (8 * i);
    return value;
}

uint8_t mr_reader_u8(mr_reader *reader)
{
    return (uint8_t)read_little(reader, 1);
}

uint16_t mr_reader_u16(mr_reader *reader)
{
    return (uint16_t)read_little(reader, 2);
}

uint32_t mr_reader_u32(mr_reader *reader)
{
    return (uint32_t)read_little(reader, 4);
}

uint64_t mr_reader_u64(mr_reader *reader)
{
    return read_little(reader, 8);
}

uint64_t mr_reader_varint(mr_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = mr_reader_u8(reader);
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->failed = true;
    return 0;
}
