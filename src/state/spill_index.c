/* spill_index.c -- see spill_index.h. */
#include "state/spill_index.h"

#include "base/assert.h"

#include <string.h>

#define CAPACITY_MIN 4u
#define CLASS_STEPS  16 /* to a doubling */

/* ---- sizes ---- */

uint32_t mr_spill_class_of(size_t bytes)
{
    size_t units = (bytes + MR_SPILL_UNIT_BYTES - 1) / MR_SPILL_UNIT_BYTES;
    if (units < CLASS_STEPS)
        return (uint32_t)units;
    unsigned shift = 59 - (unsigned)__builtin_clzll(units);
    size_t steps =
        (units + ((size_t)1 << shift) - 1) >> shift; /* 16 .. 32: 32 is the next doubling's 16 */
    return (uint32_t)MR_MIN((size_t)CLASS_STEPS * shift + steps, MR_SPILL_CLASS_LAST);
}

size_t mr_spill_class_bytes(uint32_t size_class)
{
    if (size_class < CLASS_STEPS)
        return (size_t)size_class * MR_SPILL_UNIT_BYTES;
    size_t steps = CLASS_STEPS + size_class % CLASS_STEPS;
    return (steps << (size_class / CLASS_STEPS - 1)) * MR_SPILL_UNIT_BYTES;
}

/* ---- items ---- */

static uint64_t item_hash(const mr_spill_item *item)
{
    return (uint64_t)(item->words[1] & 0xfffff) << 32 | item->words[0];
}

static bool is_empty(const mr_spill_item *item)
{
    return item->words[1] >> 20 == 0;
}

static mr_spill_item item_of(uint64_t hash, mr_spill_at at)
{
    return (mr_spill_item){
        {(uint32_t)hash, (uint32_t)(hash >> 32) | at.segment << 20, at.offset | at.size << 24}};
}

static mr_spill_at at_of(const mr_spill_item *item)
{
    return (mr_spill_at){item->words[1] >> 20, item->words[2] & (MR_SPILL_OFFSETS_MAX - 1),
                         item->words[2] >> 24};
}

static uint32_t home_of(const mr_spill_index *index, uint64_t hash)
{
    return (uint32_t)(((hash & UINT32_MAX) * index->capacity) >> 32);
}

static uint32_t after(const mr_spill_index *index, uint32_t place)
{
    return place + 1 < index->capacity ? place + 1 : 0;
}

/* The place of the hash, or the empty one where it would be. There is one: at most four fifths are taken. */
static uint32_t find(const mr_spill_index *index, uint64_t hash)
{
    uint32_t place = home_of(index, hash);
    while (!is_empty(&index->items[place]) && item_hash(&index->items[place]) != hash)
        place = after(index, place);
    return place;
}

mr_spill_at mr_spill_index_get(const mr_spill_index *index, uint64_t hash)
{
    if (index->capacity == 0)
        return (mr_spill_at){0};
    return at_of(&index->items[find(index, hash & MR_SPILL_HASH_MASK)]);
}

void mr_spill_index_prefetch(const mr_spill_index *index, uint64_t hash)
{
    if (index->capacity > 0)
        __builtin_prefetch(&index->items[home_of(index, hash)]);
}

mr_spill_at mr_spill_index_at(const mr_spill_index *index, uint32_t place)
{
    return at_of(&index->items[place]);
}

/* ---- growth ---- */

bool mr_spill_index_reserve(mr_spill_index *index, mr_heap_source *source)
{
    if (((uint64_t)index->count + 1) * 5 <= (uint64_t)index->capacity * 4)
        return true;
    mr_spill_index grown = {.capacity =
                                index->capacity + MR_MAX(CAPACITY_MIN, index->capacity / 4)};
    if (!mr_heap_source_take(source, grown.capacity * sizeof *grown.items))
        return false;
    grown.items = mr_alloc_zero(grown.capacity, sizeof *grown.items);
    if (grown.items == NULL) {
        mr_heap_source_give(source, grown.capacity * sizeof *grown.items);
        return false;
    }
    for (uint32_t i = 0; i < index->capacity; i++)
        if (!is_empty(&index->items[i]))
            grown.items[find(&grown, item_hash(&index->items[i]))] = index->items[i];
    grown.count = index->count;
    mr_spill_index_deinit(index, source);
    *index = grown;
    return true;
}

void mr_spill_index_deinit(mr_spill_index *index, mr_heap_source *source)
{
    mr_free(index->items);
    mr_heap_source_give(source, index->capacity * sizeof *index->items);
    *index = (mr_spill_index){0};
}

/* ---- changes ---- */

static uint32_t distance(const mr_spill_index *index, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + index->capacity - from;
}

static void erase(mr_spill_index *index, uint32_t hole)
{
    for (uint32_t at = after(index, hole); !is_empty(&index->items[at]); at = after(index, at)) {
        uint32_t home = home_of(index, item_hash(&index->items[at]));
        if (distance(index, home, at) < distance(index, hole, at))
            continue;
        index->items[hole] = index->items[at];
        hole = at;
    }
    index->items[hole] = (mr_spill_item){{0}};
    index->count--;
}

void mr_spill_index_set(mr_spill_index *index, uint64_t hash, mr_spill_at at)
{
    hash &= MR_SPILL_HASH_MASK;
    if (index->capacity == 0)
        return; /* only taking away is asked for without reserve */
    uint32_t place = find(index, hash);
    bool was_empty = is_empty(&index->items[place]);
    if (at.segment != 0) {
        index->items[place] = item_of(hash, at);
        index->count += was_empty;
    } else if (!was_empty) {
        erase(index, place);
    }
}
