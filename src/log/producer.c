/* producer.c -- the table of producers of one partition (the rules are in log.h, at mr_append). */
#include "log/producer.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void mr_producers_deinit(mr_producers *producers)
{
    mr_free(producers->slots);
    *producers = (mr_producers){0};
}

static mr_producer *place_of(const mr_producers *producers, uint64_t id)
{
    size_t mask = producers->capacity - 1, at = mr_hash_u64(id) & mask;
    while (producers->slots[at].id != 0 && producers->slots[at].id != id)
        at = (at + 1) & mask;
    return &producers->slots[at];
}

const mr_producer *mr_producers_find(const mr_producers *producers, uint64_t id)
{
    const mr_producer *place = producers->count > 0 ? place_of(producers, id) : NULL;
    return place != NULL && place->id == id ? place : NULL;
}

/* ---- rules ---- */

static void answer_duplicate(const mr_producer *known, const mr_append *what, mr_appended *out)
{
    *out = (mr_appended){MR_LOG_OFFSET_NONE, known->end_offset, true};
    for (uint32_t i = 0; i < known->recent_count; i++) {
        const mr_producer_block *block = &known->recent[i];
        if (block->sequence_first != what->sequence_first ||
            block->sequence_next != what->sequence_next)
            continue;
        out->base_offset = block->base_offset;
        out->end_offset = block->base_offset + block->row_count;
        return;
    }
}

static mr_status refuse_sequence(const mr_append *what, uint64_t known, const char *why,
                                 mr_error *err)
{
    return MR_FAIL(err, MR_CONFLICT,
                   "producer %llu sends sequence %llu to %llu and %llu is known: %s",
                   (unsigned long long)what->producer_id, (unsigned long long)what->sequence_first,
                   (unsigned long long)what->sequence_next, (unsigned long long)known, why);
}

mr_status mr_producers_check(const mr_producers *producers, const mr_append *what, mr_appended *out,
                             mr_error *err)
{
    out->duplicate = false;
    if (what->producer_id == 0)
        return MR_OK;
    if (what->sequence_next < what->sequence_first)
        return MR_FAIL(err, MR_INVALID, "sequence %llu to %llu runs backwards",
                       (unsigned long long)what->sequence_first,
                       (unsigned long long)what->sequence_next);
    const mr_producer *known = mr_producers_find(producers, what->producer_id);
    if (known == NULL)
        return MR_OK; /* the first block may start anywhere */
    if (what->producer_epoch < known->epoch)
        return MR_FAIL(err, MR_CONFLICT, "producer %llu of epoch %u is fenced off by epoch %u",
                       (unsigned long long)what->producer_id, what->producer_epoch, known->epoch);
    if (what->producer_epoch > known->epoch && what->sequence_restarts)
        return MR_OK;
    if (what->sequence_next <= known->sequence_next) {
        answer_duplicate(known, what, out);
        return MR_OK;
    }
    if (what->sequence_first < known->sequence_next)
        return refuse_sequence(what, known->sequence_next,
                               "they overlap; send only what is missing", err);
    if (what->sequence_first > known->sequence_next && !what->gaps_allowed)
        return refuse_sequence(what, known->sequence_next,
                               "out of order; something before is missing", err);
    return MR_OK;
}

/* ---- table ---- */

static void insert_all(mr_producers *to, const mr_producers *from)
{
    for (size_t i = 0; i < from->capacity; i++) {
        if (from->slots[i].id == 0)
            continue;
        *place_of(to, from->slots[i].id) = from->slots[i];
        to->count++;
    }
}

static mr_status grow(mr_producers *producers, mr_error *err)
{
    mr_producers wider = {.capacity = MR_MAX(8, producers->capacity * 2)};
    wider.slots = mr_alloc_zero(wider.capacity, sizeof *wider.slots);
    if (wider.slots == NULL)
        return MR_OUT_OF_MEMORY(err);
    insert_all(&wider, producers);
    mr_producers_deinit(producers);
    *producers = wider;
    return MR_OK;
}

mr_status mr_producers_reserve(mr_producers *producers, mr_error *err)
{
    return (producers->count + 1) * 2 <= producers->capacity ? MR_OK : grow(producers, err);
}

/* Ties (blocks without rows) go by id, so that a rebuilt table forgets the same one. */
static bool silent_longer(const mr_producer *a, const mr_producer *b)
{
    return a->end_offset != b->end_offset ? a->end_offset < b->end_offset : a->id < b->id;
}

/* Takes the longest silent one out and closes the gap behind it (Knuth 6.4, algorithm R). */
static void forget_one(mr_producers *producers)
{
    mr_producer *oldest = NULL;
    for (size_t i = 0; i < producers->capacity; i++)
        if (producers->slots[i].id != 0 &&
            (oldest == NULL || silent_longer(&producers->slots[i], oldest)))
            oldest = &producers->slots[i];
    size_t mask = producers->capacity - 1, hole = (size_t)(oldest - producers->slots);
    for (size_t at = (hole + 1) & mask; producers->slots[at].id != 0; at = (at + 1) & mask) {
        size_t home = mr_hash_u64(producers->slots[at].id) & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        producers->slots[hole] = producers->slots[at];
        hole = at;
    }
    producers->slots[hole] = (mr_producer){0};
    producers->count--;
}

void mr_producers_note(mr_producers *producers, const mr_block_header *header)
{
    if (header->producer_id == 0)
        return;
    mr_producer *place = place_of(producers, header->producer_id);
    if (place->id == 0 && producers->count >= MR_LOG_PRODUCERS_MAX) {
        forget_one(producers);
        place = place_of(producers, header->producer_id);
    }
    if (place->id == 0) {
        MR_ASSERT((producers->count + 1) * 2 <= producers->capacity);
        *place = (mr_producer){.id = header->producer_id};
        producers->count++;
    }
    if (header->producer_epoch != place->epoch)
        place->recent_count = 0; /* sequences may have started over */
    place->epoch = header->producer_epoch;
    place->sequence_next = header->sequence_next;
    place->end_offset = header->base_offset + header->row_count;
    memmove(place->recent + 1, place->recent, (MR_PRODUCER_RECENT - 1) * sizeof *place->recent);
    place->recent[0] = (mr_producer_block){header->sequence_first, header->sequence_next,
                                           header->base_offset, header->row_count};
    place->recent_count = MR_MIN(place->recent_count + 1, MR_PRODUCER_RECENT);
}

/* ---- stored form ---- */

static int by_id(const void *a, const void *b)
{
    const mr_producer *left = *(mr_producer *const *)a, *right = *(mr_producer *const *)b;
    return left->id < right->id ? -1 : left->id > right->id;
}

static void encode_one(const mr_producer *producer, mr_bytes *out)
{
    const mr_producer_block *last = &producer->recent[0];
    mr_bytes_append_u64(out, producer->id);
    mr_bytes_append_u64(out, producer->sequence_next);
    mr_bytes_append_u64(out, last->sequence_first);
    mr_bytes_append_u64(out, last->base_offset);
    mr_bytes_append_u32(out, last->row_count);
    mr_bytes_append_u32(out, producer->epoch);
}

void mr_producers_encode(const mr_producers *producers, mr_bytes *out)
{
    mr_producer **sorted = mr_alloc((producers->count + 1) * sizeof *sorted);
    if (sorted == NULL) {
        out->failed = true;
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < producers->capacity; i++)
        if (producers->slots[i].id != 0)
            sorted[count++] = &producers->slots[i];
    qsort(sorted, count, sizeof *sorted, by_id);
    for (size_t i = 0; i < count; i++)
        encode_one(sorted[i], out);
    mr_free(sorted);
}

mr_status mr_producers_decode(mr_reader *in, size_t count, mr_producers *out, mr_error *err)
{
    *out = (mr_producers){0};
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < count && !in->failed; i++) {
        mr_block_header header = {.producer_id = mr_reader_u64(in)};
        header.sequence_next = mr_reader_u64(in);
        header.sequence_first = mr_reader_u64(in);
        header.base_offset = mr_reader_u64(in);
        header.row_count = mr_reader_u32(in);
        header.producer_epoch = mr_reader_u32(in);
        status = mr_producers_reserve(out, err);
        if (status == MR_OK && !in->failed)
            mr_producers_note(out, &header);
    }
    if (status == MR_OK && in->failed)
        status = MR_FAIL(err, MR_CORRUPT, "a table of %zu producers is cut short", count);
    if (status != MR_OK)
        mr_producers_deinit(out);
    return status;
}
