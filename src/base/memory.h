/* memory.h -- all memory of the process: counted, limited, and able to fail on request.
 *
 * Three lifetimes: *startup* (sized from configuration, kept), *arena* (one request, batch or plan), and
 * *shared* (mr_buffer: reference-counted, crosses threads). Only base/ calls malloc.
 *
 *   mr_alloc ...... counted heap memory; NULL when the heap, or an injected fault, says no
 *   mr_budget ..... a limit several owners share; taking more than is left is a normal answer
 *   mr_arena ...... bump allocation with one clean-up; not thread safe
 *   mr_buffer ..... 64-byte aligned bytes with a shared count; immutable once shared
 *   mr_bytes ...... a growing byte string with one owner
 */
#ifndef MR_BASE_MEMORY_H
#define MR_BASE_MEMORY_H

#include "base/status.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define MR_ALIGN 64 /* bytes: one cache line, one AVX-512 register, Arrow's advice */

/* ---- heap ---- */

/* The caller frees with mr_free. Size 0 gives a pointer that may be freed. NULL: no memory. */
void *mr_alloc(size_t bytes) __attribute__((malloc, warn_unused_result));
void *mr_alloc_zero(size_t count, size_t bytes_each) __attribute__((malloc, warn_unused_result));
void *mr_realloc(void *memory, size_t bytes) __attribute__((warn_unused_result));
/* Aligned to MR_ALIGN; freed with mr_free as well. */
void *mr_alloc_aligned(size_t bytes) __attribute__((malloc, warn_unused_result));
void mr_free(void *memory);
/* Copies a terminated string; NULL: no memory. */
char *mr_strdup(const char *text) __attribute__((warn_unused_result));

/* Heap bytes in use by this process as the allocator counts them, approximately (no headers). */
uint64_t mr_memory_used_bytes(void);

/* Fault injection: the (n+1)-th allocation from now on this thread fails; with `persistent` all later
 * ones fail too. n < 0 turns it off. Returns how many allocations were asked for since the last call. */
uint64_t mr_memory_fail_after(int64_t n, bool persistent);
/* +1, and later -1: between them this thread's allocations neither fail on request nor count as asked for.
 * For the machinery of tests, whose memory is not what is tested. */
void mr_memory_fail_hold(int step);

#define MR_NEW(type)          ((type *)mr_alloc_zero(1, sizeof(type)))
#define MR_OUT_OF_MEMORY(err) MR_FAIL((err), MR_NO_MEMORY, "out of memory")

/* ---- budget ---- */

/* A limit shared by several owners. used <= max except by what mr_budget_force took. Thread safe. */
typedef struct mr_budget {
    _Atomic uint64_t used_bytes;
    uint64_t max_bytes; /* 0: no limit */
    struct mr_budget *parent;
} mr_budget;

void mr_budget_init(mr_budget *budget, uint64_t max_bytes, mr_budget *parent);
/* False, and nothing taken, when the budget or a parent has too little left. */
bool mr_budget_take(mr_budget *budget, uint64_t bytes);
/* Takes even beyond the limit: for memory that exists already. */
void mr_budget_force(mr_budget *budget, uint64_t bytes);
void mr_budget_give(mr_budget *budget, uint64_t bytes);
uint64_t mr_budget_used(const mr_budget *budget);

/* ---- arena ---- */

typedef struct mr_arena_chunk mr_arena_chunk;

typedef struct mr_arena_cleanup {
    void (*call)(void *context);
    void *context;
    struct mr_arena_cleanup *next;
} mr_arena_cleanup;

/* Bump allocator. A zeroed struct is an empty arena without a limit. */
typedef struct mr_arena {
    mr_arena_chunk *chunks; /* newest first */
    uint8_t *next;
    uint8_t *end;
    uint64_t used_bytes;
    uint64_t max_bytes; /* 0: no limit */
    mr_arena_cleanup *cleanups;
} mr_arena;

void mr_arena_init(mr_arena *arena, uint64_t max_bytes);
/* Runs the clean-ups, newest first, and frees all. */
void mr_arena_deinit(mr_arena *arena);
/* As deinit, but keeps the newest chunk for the next round. */
void mr_arena_reset(mr_arena *arena);
/* 16-byte aligned, not zeroed; NULL: no memory or the limit. Valid until reset or deinit. */
void *mr_arena_alloc(mr_arena *arena, size_t bytes) __attribute__((warn_unused_result));
void *mr_arena_alloc_zero(mr_arena *arena, size_t bytes) __attribute__((warn_unused_result));
void *mr_arena_alloc_aligned(mr_arena *arena, size_t bytes) __attribute__((warn_unused_result));
char *mr_arena_strdup(mr_arena *arena, const char *text);
char *mr_arena_strndup(mr_arena *arena, const char *text, size_t bytes);
char *mr_arena_printf(mr_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Calls `call(context)` at reset or deinit. MR_NO_MEMORY: not registered, `call` was not made. */
mr_status mr_arena_on_reset(mr_arena *arena, void (*call)(void *), void *context);

#define MR_ARENA_NEW(arena, type)      ((type *)mr_arena_alloc_zero((arena), sizeof(type)))
#define MR_ARENA_ARRAY(arena, type, n) ((type *)mr_arena_alloc_zero((arena), sizeof(type) * (n)))

/* ---- shared buffers ---- */

/* Aligned bytes with a shared count. `size` bytes are in use; they are zero-padded to a multiple of 64
 * when the memory is ours. Immutable once a second owner holds it. */
typedef struct mr_buffer {
    _Atomic uint32_t owners;
    uint8_t *bytes;
    size_t size;
    size_t capacity; /* 0: memory of someone else, given back through `release` */
    void (*release)(void *context);
    void *context;
} mr_buffer;

/* One owner (the caller), `size` bytes, not zeroed but for the padding. NULL: no memory. */
mr_buffer *mr_buffer_create(size_t size) __attribute__((warn_unused_result));
/* Wraps memory of someone else; `release(context)` is called when the last owner lets go. */
mr_buffer *mr_buffer_wrap(const void *bytes, size_t size, void (*release)(void *), void *context);
mr_buffer *mr_buffer_retain(mr_buffer *buffer); /* NULL gives NULL */
void mr_buffer_release(mr_buffer *buffer);      /* NULL is allowed */

/* ---- growing bytes ---- */

/* A byte string with one owner. A zeroed struct is empty. After a failed growth `failed` stays set and
 * appends do nothing, so that a writer can go straight down and ask once at the end. */
typedef struct mr_bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
} mr_bytes;

void mr_bytes_deinit(mr_bytes *bytes);
void mr_bytes_clear(mr_bytes *bytes); /* size 0, memory kept, failure forgotten */
/* Room for `more` bytes behind size; false: no memory. */
bool mr_bytes_reserve(mr_bytes *bytes, size_t more);
void mr_bytes_append(mr_bytes *bytes, const void *data, size_t size);
void mr_bytes_append_byte(mr_bytes *bytes, uint8_t byte);
void mr_bytes_append_text(mr_bytes *bytes, const char *text);
void mr_bytes_printf(mr_bytes *bytes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void mr_bytes_append_u16(mr_bytes *bytes, uint16_t value); /* little endian, as all below */
void mr_bytes_append_u32(mr_bytes *bytes, uint32_t value);
void mr_bytes_append_u64(mr_bytes *bytes, uint64_t value);
void mr_bytes_append_varint(mr_bytes *bytes, uint64_t value); /* LEB128 */
/* Zero bytes up to a multiple of `align`. */
void mr_bytes_pad(mr_bytes *bytes, size_t align);
/* The content as a terminated string; the terminator is not counted in size. NULL: no memory. */
const char *mr_bytes_text(mr_bytes *bytes);

/* ---- reading bytes ---- */

/* A cursor over bytes of someone else that remembers its first failure: reads past the end give zeros
 * and set `failed`; ask once at the end. */
typedef struct mr_reader {
    const uint8_t *next;
    const uint8_t *end;
    bool failed;
} mr_reader;

mr_reader mr_reader_of(const void *data, size_t size);
uint8_t mr_reader_u8(mr_reader *reader);
uint16_t mr_reader_u16(mr_reader *reader);
uint32_t mr_reader_u32(mr_reader *reader);
uint64_t mr_reader_u64(mr_reader *reader);
uint64_t mr_reader_varint(mr_reader *reader);
/* Lends `size` bytes of the input; NULL and failed when fewer remain. */
const uint8_t *mr_reader_bytes(mr_reader *reader, size_t size);
size_t mr_reader_left(const mr_reader *reader);

#endif
