/* slot.c -- open addressing inside one slot.
 *
 *   entries | entry | entry | 0 | entry | entry | 0 | 0 | tags t t 0 t t 0 0 | t t 0 t t 0 0 |
 *             linear probing from mr_slot_home, wrapping                       first tags again
 *
 * (1) An entry lies at or after its home, with no empty place between. Taking one away shifts those behind it
 *     back (Knuth, TAOCP 3, 6.4, algorithm R), so there are no tombstones.
 * (2) At most four fifths are taken; arrays grow by a quarter, so that at least two thirds are, once grown.
 * (3) A dead entry keeps its key and has a zeroed value.
 * (4) A place's tag is 0 exactly when its entry is empty; set_tag writes it wherever it stands. */
#include "state/state_internal.h"

#include "base/assert.h"

#include <string.h>

#define CAPACITY_MIN 4

/* ---- all slots of a table ---- */

static uint64_t slots_bytes(void)
{
    return MR_SLOT_COUNT * (sizeof(mr_slot) + sizeof(mr_slot_rest));
}

mr_status mr_slots_create(mr_table *table, mr_error *err)
{
    if (!mr_heap_source_take(&table->state->source, slots_bytes()))
        return MR_FAIL(err, MR_FULL, "table %s: the memory budget has no room for its slots",
                       table->options.name);
    table->slots = mr_alloc_aligned(MR_SLOT_COUNT * sizeof(mr_slot));
    table->rest = mr_alloc_zero(MR_SLOT_COUNT, sizeof(mr_slot_rest));
    if (table->slots == NULL || table->rest == NULL) {
        mr_slots_destroy(table);
        return MR_OUT_OF_MEMORY(err);
    }
    for (uint32_t i = 0; i < MR_SLOT_COUNT; i++)
        table->slots[i] =
            (mr_slot){.entry_bytes = (uint32_t)sizeof(mr_entry) + table->options.value_bytes,
                      .now_us = INT64_MIN,
                      .table = table};
    return MR_OK;
}

void mr_slots_destroy(mr_table *table)
{
    mr_free(table->slots);
    mr_free(table->rest);
    table->slots = NULL;
    table->rest = NULL;
    mr_heap_source_give(&table->state->source, slots_bytes());
}

static mr_slot_rest *rest_of(const mr_slot *slot)
{
    return &slot->table->rest[slot - slot->table->slots];
}

static uint64_t entries_bytes(const mr_slot *slot, uint32_t capacity)
{
    return capacity == 0 ? 0 : (uint64_t)capacity * (slot->entry_bytes + 1) + MR_SLOT_TAGS - 1;
}

uint64_t mr_slot_bytes(const mr_slot *slot)
{
    return entries_bytes(slot, slot->capacity) + mr_heap_bytes(slot->heap);
}

void mr_slot_free_memory(mr_slot *slot)
{
    mr_free(slot->entries);
    mr_heap_source_give(&slot->table->state->source, entries_bytes(slot, slot->capacity));
    mr_heap_destroy(slot->heap);
}

void mr_slot_clear(mr_slot *slot)
{
    mr_slot_free_memory(slot);
    mr_slot_detach(slot);
}

void mr_slot_detach(mr_slot *slot)
{
    slot->entries = NULL;
    slot->heap = NULL;
    slot->capacity = 0;
    slot->count = 0;
    rest_of(slot)->dead = 0;
}

/* ---- keys ---- */

uint64_t mr_slot_entry_hash(const mr_slot *slot, const mr_entry *entry)
{
    return slot->table->options.byte_keys ? entry->word : mr_hash_u64(entry->word);
}

const void *mr_slot_entry_key(const mr_slot *slot, const mr_entry *entry, size_t *out_bytes)
{
    if (!slot->table->options.byte_keys) {
        *out_bytes = 0;
        return NULL;
    }
    const uint8_t *block = mr_heap_at(slot->heap, entry->key);
    uint32_t size;
    memcpy(&size, block, sizeof size);
    *out_bytes = size;
    return block + sizeof size;
}

static bool same_key(const mr_slot *slot, const mr_entry *entry, const void *key, size_t key_bytes)
{
    size_t own_bytes;
    const void *own = mr_slot_entry_key(slot, entry, &own_bytes);
    return own_bytes == key_bytes && (key_bytes == 0 || memcmp(own, key, key_bytes) == 0);
}

static inline uint32_t after(const mr_slot *slot, uint32_t at)
{
    return at + 1 < slot->capacity ? at + 1 : 0;
}

static mr_entry *find_bytes(const mr_slot *slot, uint64_t hash, const void *key, size_t key_bytes)
{
    mr_slot_search search = mr_slot_search_start(slot, hash);
    for (uint32_t at; (at = mr_slot_search_next(&search)) != MR_SLOT_NOWHERE;) {
        mr_entry *entry = mr_slot_entry(slot, at);
        if (entry->word == hash && same_key(slot, entry, key, key_bytes))
            return entry;
    }
    return NULL;
}

mr_entry *mr_slot_find(const mr_slot *slot, uint64_t word, const void *key, size_t key_bytes)
{
    return slot->table->options.byte_keys ? find_bytes(slot, word, key, key_bytes)
                                          : mr_slot_find_word(slot, mr_hash_u64(word), word);
}

/* ---- growth ---- */

static void set_tag(const mr_slot *slot, uint32_t at, uint8_t tag)
{
    uint8_t *tags = mr_slot_tags(slot);
    for (uint64_t i = at; i < (uint64_t)slot->capacity + MR_SLOT_TAGS - 1; i += slot->capacity)
        tags[i] = tag;
}

/* The first empty place for the hash, with its tag set: the caller fills it. */
static mr_entry *take_place(const mr_slot *slot, uint64_t hash)
{
    const uint8_t *tags = mr_slot_tags(slot);
    uint32_t at = mr_slot_home(slot, hash);
    while (tags[at] != 0)
        at = after(slot, at);
    set_tag(slot, at, mr_slot_tag(hash));
    return mr_slot_entry(slot, at);
}

static bool set_capacity(mr_slot *slot, uint32_t capacity)
{
    mr_heap_source *source = &slot->table->state->source;
    uint64_t bytes = entries_bytes(slot, capacity);
    if (!mr_heap_source_take(source, bytes))
        return false;
    uint8_t *fresh = mr_alloc_aligned(bytes);
    if (fresh == NULL) {
        mr_heap_source_give(source, bytes);
        return false;
    }
    memset(fresh, 0, bytes);
    mr_slot old = *slot;
    slot->entries = fresh;
    slot->capacity = capacity;
    for (uint32_t at = 0; at < old.capacity; at++) {
        mr_entry *entry = mr_slot_entry(&old, at);
        if (entry->touched != 0)
            memcpy(take_place(slot, mr_slot_entry_hash(slot, entry)), entry, slot->entry_bytes);
    }
    mr_free(old.entries);
    mr_heap_source_give(source, entries_bytes(&old, old.capacity));
    return true;
}

static bool fits(uint64_t used, uint64_t capacity)
{
    return used * 5 <= capacity * 4;
}

static bool make_room(mr_slot *slot)
{
    uint64_t used = (uint64_t)slot->count + rest_of(slot)->dead + 1;
    if (MR_LIKELY(fits(used, slot->capacity)))
        return true;
    uint64_t wanted = (uint64_t)slot->capacity + MR_MAX(CAPACITY_MIN, slot->capacity / 4);
    return wanted < UINT32_MAX / 2 && set_capacity(slot, (uint32_t)wanted);
}

bool mr_slot_reserve(mr_slot *slot, uint32_t count)
{
    uint64_t used = (uint64_t)slot->count + rest_of(slot)->dead + count;
    uint64_t wanted = used + used / 4 + 1;
    return fits(used, slot->capacity) ||
           (wanted < UINT32_MAX / 2 && set_capacity(slot, (uint32_t)wanted));
}

/* ---- adding and taking away ---- */

static bool has_heap(mr_slot *slot)
{
    if (slot->heap == NULL)
        slot->heap = mr_heap_create(&slot->table->state->source);
    return slot->heap != NULL;
}

void mr_slot_expect(mr_slot *slot, uint64_t bytes)
{
    if (has_heap(slot))
        mr_heap_expect(slot->heap, bytes);
}

static bool store_key(mr_slot *slot, const void *key, size_t key_bytes, uint32_t *out)
{
    uint32_t size = (uint32_t)key_bytes;
    if (!has_heap(slot) || key_bytes > UINT32_MAX / 2 ||
        !mr_heap_alloc_named(slot->heap, sizeof size + key_bytes, out))
        return false;
    uint8_t *block = mr_heap_at(slot->heap, *out);
    memcpy(block, &size, sizeof size);
    if (key_bytes > 0)
        memcpy(block + sizeof size, key, key_bytes);
    return true;
}

static mr_status no_memory(const mr_slot *slot, mr_error *err)
{
    mr_heap_source *source = &slot->table->state->source;
    if (source->budget == NULL || source->overdraft)
        return MR_OUT_OF_MEMORY(err);
    return MR_FAIL(
        err, MR_FULL,
        "table %s needs more memory than the budget of %llu bytes has left, and no spill folder "
        "is set",
        slot->table->options.name, (unsigned long long)source->budget->max_bytes);
}

mr_entry *mr_slot_add(mr_slot *slot, uint64_t word, const void *key, size_t key_bytes,
                      mr_error *err)
{
    uint32_t handle = 0;
    if (!make_room(slot) ||
        (slot->table->options.byte_keys && !store_key(slot, key, key_bytes, &handle))) {
        (void)no_memory(slot, err);
        return NULL;
    }
    uint64_t hash = slot->table->options.byte_keys ? word : mr_hash_u64(word);
    mr_entry *entry = take_place(slot, hash);
    memset(entry, 0, slot->entry_bytes);
    *entry = (mr_entry){word, handle, slot->table->touch};
    slot->count++;
    return entry;
}

static void free_key(mr_slot *slot, const mr_entry *entry)
{
    if (!slot->table->options.byte_keys)
        return;
    size_t key_bytes;
    (void)mr_slot_entry_key(slot, entry, &key_bytes);
    mr_heap_free_named(slot->heap, entry->key, sizeof(uint32_t) + key_bytes);
}

/* How far `at` lies behind `from`, going round. */
static uint32_t distance(const mr_slot *slot, uint32_t from, uint32_t at)
{
    return at >= from ? at - from : at + slot->capacity - from;
}

/* Empties the place and closes the gap, see (1). */
static void shift_back(mr_slot *slot, uint32_t hole)
{
    for (uint32_t at = after(slot, hole);; at = after(slot, at)) {
        mr_entry *entry = mr_slot_entry(slot, at);
        if (entry->touched == 0)
            break;
        uint32_t home = mr_slot_home(slot, mr_slot_entry_hash(slot, entry));
        if (distance(slot, home, at) < distance(slot, hole, at))
            continue;
        memcpy(mr_slot_entry(slot, hole), entry, slot->entry_bytes);
        set_tag(slot, hole, mr_slot_tags(slot)[at]);
        hole = at;
    }
    memset(mr_slot_entry(slot, hole), 0, sizeof(mr_entry));
    set_tag(slot, hole, 0);
}

void mr_slot_erase(mr_slot *slot, mr_entry *entry)
{
    if (entry->touched & MR_ENTRY_DEAD)
        rest_of(slot)->dead--;
    else
        slot->count--;
    free_key(slot, entry);
    shift_back(slot, (uint32_t)(((uint8_t *)entry - slot->entries) / slot->entry_bytes));
}

static void drop_value(mr_slot *slot, mr_entry *entry)
{
    const mr_table_options *options = &slot->table->options;
    options->kind->drop(options->context, slot, entry + 1);
    memset(entry + 1, 0, options->value_bytes);
}

void mr_slot_remove(mr_slot *slot, void *value)
{
    mr_entry *entry = (mr_entry *)value - 1;
    drop_value(slot, entry);
    slot->changed_tick = slot->table->tick;
    if ((entry->touched & MR_ENTRY_STORED) == 0) {
        mr_slot_erase(slot, entry);
        return;
    }
    entry->touched |= MR_ENTRY_DEAD;
    rest_of(slot)->dead++;
    slot->count--;
}

/* ---- ttl ---- */

bool mr_table_expires(const mr_table *table, int64_t last_us, int64_t now_us)
{
    int64_t age_us;
    if (table->options.ttl_us <= 0 || now_us <= last_us)
        return false;
    return __builtin_sub_overflow(now_us, last_us, &age_us) || age_us > table->options.ttl_us;
}

bool mr_slot_entry_expired(const mr_slot *slot, const mr_entry *entry, int64_t now_us)
{
    const mr_table_options *options = &slot->table->options;
    return options->ttl_us > 0 &&
           mr_table_expires(slot->table, options->kind->last_time_us(options->context, entry + 1),
                            now_us);
}

static int64_t now_of(const mr_slot *slot)
{
    return MR_MAX(slot->now_us, slot->table->stream_time_us);
}

/* ---- lookups ---- */

/* An entry was found: gives its value, fresh when it is dead or expired. */
static inline void *use(mr_slot *slot, mr_entry *entry, bool create)
{
    bool dead = (entry->touched & MR_ENTRY_DEAD) != 0;
    bool gone = dead || (slot->table->options.ttl_us > 0 &&
                         mr_slot_entry_expired(slot, entry, now_of(slot)));
    if (!create)
        return gone ? NULL : entry + 1;
    if (MR_UNLIKELY(dead)) {
        rest_of(slot)->dead--;
        slot->count++;
    } else if (MR_UNLIKELY(gone)) {
        drop_value(slot, entry);
        rest_of(slot)->expired++;
    }
    entry->touched = slot->table->touch | (entry->touched & MR_ENTRY_STORED);
    slot->changed_tick = slot->table->tick;
    return entry + 1;
}

static void *get_absent(mr_slot *slot, uint64_t word, const void *key, size_t key_bytes,
                        bool create, mr_error *err)
{
    if (slot->spilled > 0) {
        if (mr_store_bring_back(slot, word, err) != MR_OK)
            return NULL;
        mr_entry *entry = mr_slot_find(slot, word, key, key_bytes);
        if (entry != NULL)
            return use(slot, entry, create);
    }
    if (!create)
        return NULL;
    mr_entry *entry = mr_slot_add(slot, word, key, key_bytes, err);
    if (entry == NULL)
        return NULL;
    slot->changed_tick = slot->table->tick;
    return entry + 1;
}

void *mr_slot_get_word(mr_slot *slot, uint64_t hash, int64_t word, bool create, mr_error *err)
{
    mr_entry *entry = mr_slot_find_word(slot, hash, (uint64_t)word);
    if (MR_LIKELY(entry != NULL))
        return use(slot, entry, create);
    return get_absent(slot, (uint64_t)word, NULL, 0, create, err);
}

void *mr_slot_get_word_at(mr_slot *slot, uint32_t at, uint64_t hash, int64_t word, mr_error *err)
{
    void *value = mr_slot_peek_word_at(slot, at, word);
    if (MR_LIKELY(value != NULL))
        return use(slot, (mr_entry *)value - 1, true);
    return mr_slot_get_word(slot, hash, word, true, err);
}

void *mr_slot_get_bytes(mr_slot *slot, uint64_t hash, const void *key, size_t key_bytes,
                        bool create, mr_error *err)
{
    mr_entry *entry = find_bytes(slot, hash, key, key_bytes);
    if (MR_LIKELY(entry != NULL))
        return use(slot, entry, create);
    return get_absent(slot, hash, key, key_bytes, create, err);
}

/* ---- memory of values ---- */

void *mr_slot_alloc(mr_slot *slot, size_t bytes)
{
    return has_heap(slot) ? mr_heap_alloc(slot->heap, bytes) : NULL;
}

void mr_slot_free(mr_slot *slot, void *memory, size_t bytes)
{
    if (memory != NULL)
        mr_heap_free(slot->heap, memory, bytes);
}

size_t mr_slot_alloc_bytes(size_t bytes)
{
    return mr_heap_alloc_bytes(bytes);
}
