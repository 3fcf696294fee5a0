/* state.h -- keyed state: what a pipeline remembers per key, as a cache of its journal.
 *
 *   mr_state ....... all tables of one pipeline: their budget, checkpoint folder and spill store
 *   mr_table ....... key -> value, for one feature view or operator; 4096 slots
 *   mr_slot ........ the keys whose hash falls into it: an open-addressed array of entries and a heap
 *   entry .......... | mr_entry (16 bytes) | value (kind->value_bytes, zeroed when new) |
 *
 * A *position* is the place of a record in the pipeline's merged input, counted from 0 over all sources.
 *
 * (1) All that a slot holds is a function of the records at positions < P, its position.
 * (2) A slot is used by one worker at a time: slot index -> worker is the caller's rule. No locks.
 * (3) Checkpoints roll: each slot is written at a position of its own, between micro-batches, a few at a time. The
 *     manifest, written last, is valid once every sink is durable beyond the highest of them. After a crash records
 *     from the lowest position on are replayed, and a slot skips those before its own.
 * (4) Memory of all slots is taken from the budget; when it runs short, cold keys move to the spill store, which is
 *     only a cache, and come back when they are asked for. Nothing fails because of it.
 * (5) A key whose last record is more than ttl behind the stream time as of the record in hand (the highest event
 *     time up to and with it; slot->now_us) is gone. Stream time never goes back, so that sweeping early, late or
 *     never cannot change a result, and nor can the cut of micro-batches.
 * (6) What is in memory hides what the spill store holds of the same key; the store is written only between
 *     micro-batches.
 * Thread: one worker per slot; everything without a slot argument belongs to the pipeline's thread. */
#ifndef MR_STATE_STATE_H
#define MR_STATE_STATE_H

#include "base/hash.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/fs.h"

#define MR_SLOT_COUNT 4096 /* part of the checkpoint format */

typedef struct mr_state mr_state;
typedef struct mr_table mr_table;
typedef struct mr_slot mr_slot;

/* What stands in front of every value. */
typedef struct mr_entry {
    uint64_t word;    /* the key itself (word tables), or the hash of its bytes */
    uint32_t key;     /* byte tables: heap handle of u32 size + bytes; else 0 */
    uint32_t touched; /* 0: the place is empty; else tick of the last use << 2 | flags */
} mr_entry;

#define MR_ENTRY_STORED 1u /* the spill store has an older copy of this key */
#define MR_ENTRY_DEAD   2u /* removed; hides that copy until it is deleted; the value is zero */

/* What a table holds. Functions may be called by any worker, one slot at a time; with the slot they
 * are given they may only alloc and free. Values are moved by encode and decode into another heap,
 * and by memcpy. */
typedef struct mr_table_kind {
    const char *name;
    uint32_t version; /* of the encoding below */
    /* Writes the value into out in a form independent of addresses and capacities: equal contents
     * give equal bytes. Used for checkpoints, for spilling, and to compare states in tests. */
    void (*encode)(void *context, mr_slot *slot, const void *value, mr_bytes *out);
    /* Builds the value (zeroed before) from such bytes. MR_CORRUPT or MR_NO_MEMORY leave it
     * droppable. */
    mr_status (*decode)(void *context, mr_slot *slot, void *value, mr_reader *from, mr_error *err);
    /* Gives the value's heap memory back. Not called when a slot's whole heap goes at once. */
    void (*drop)(void *context, mr_slot *slot, void *value);
    /* Event time of the last record of this key, microseconds; for ttl. NULL: the table has no ttl.
     */
    int64_t (*last_time_us)(void *context, const void *value);
    /* Asks for the memory that encode will read, a few values ahead. NULL: it is all in the value. */
    void (*prefetch)(void *context, const void *value);
} mr_table_kind;

typedef struct mr_table_options {
    const char *name;     /* unique in the state; names the table in checkpoints */
    uint64_t fingerprint; /* of the definition: a checkpoint with another one is not this table's */
    const mr_table_kind *kind;
    void *context;        /* given to the kind's functions */
    uint32_t value_bytes; /* fixed part; multiple of 8 */
    bool byte_keys;       /* false: keys are 64-bit words */
    int64_t ttl_us;       /* 0: none */
} mr_table_options;

/* ---- birth and death ---- */

typedef struct mr_state_options {
    mr_fs *fs;
    const char *folder;       /* checkpoints live here; created */
    const char *spill_folder; /* NULL: no spilling; beyond the budget is then MR_FULL */
    const struct mr_spill_kind
        *spill_kind;   /* NULL: a log in files; &mr_spill_memory in simulation (spill.h) */
    mr_budget *budget; /* shared with others; NULL: no limit */
    int workers;       /* slots are decoded by this many threads at open; 1 in simulation */
    bool background;   /* checkpoint files are written by a thread of their own */
} mr_state_options;

mr_status mr_state_open(const mr_state_options *options, mr_state **out, mr_error *err);
void mr_state_close(mr_state *state); /* NULL is allowed; no checkpoint; removes what was spilled */
/* Before recover. The table lives until the state is closed. */
mr_status mr_state_add_table(mr_state *state, const mr_table_options *options, mr_table **out,
                             mr_error *err);

/* ---- recovery ---- */

typedef struct mr_state_recovery {
    bool found; /* there was a valid checkpoint */
    uint64_t
        position_min; /* replay starts here: where the round began; no slot's position is lower */
    uint64_t position_max; /* sinks are durable up to here at least */
    uint64_t plan_hash;    /* of the plan that wrote it */
    mr_bytes flow;         /* the caller's own bytes given to checkpoint_begin; caller deinits */
    uint32_t tables_loaded;
    uint32_t tables_missing; /* tables added here that the checkpoint does not have: they start
                                empty, skip nothing, and want a replay from the start */
    uint32_t tables_dropped; /* in the checkpoint, but not added here */
    uint64_t bytes;          /* of images read */
    uint64_t keys;
    uint32_t damaged; /* newer checkpoints that could not be used, and why (the newest one) */
    mr_error damage;
} mr_state_recovery;

/* Loads the newest valid checkpoint. A manifest or slot image that is damaged makes it fall back to
 * the checkpoint before, if there is one; never to a silent part of it: when none is whole,
 * MR_CORRUPT. */
mr_status mr_state_recover(mr_state *state, mr_state_recovery *out, mr_error *err);
bool mr_table_was_missing(const mr_table *table);

/* ---- rolling checkpoints ---- */

/* Starts a round. `flow` (copied) is what the caller needs to replay from `position`. */
mr_status mr_state_checkpoint_begin(mr_state *state, uint64_t plan_hash, uint64_t position,
                                    const void *flow, size_t flow_bytes, mr_error *err);
/* Encodes up to `slot_max` changed slots as of `position` (between micro-batches) and hands the
 * bytes to the file; unchanged ones cost nothing. *out_done when all are down. */
mr_status mr_state_checkpoint_step(mr_state *state, uint64_t position, uint32_t slot_max,
                                   bool *out_done, mr_error *err);
/* Once the sinks are durable up to `position`: syncs the files, then writes the manifest. Old files
 * go. With out_done it does not wait: call it again, between micro-batches, until *out_done; NULL
 * waits. A round that fails (begin, step or finish) is over; its slots count as changed. After
 * MR_IO stop and recover. */
mr_status mr_state_checkpoint_finish(mr_state *state, uint64_t position, bool *out_done,
                                     mr_error *err);
bool mr_state_checkpoint_running(const mr_state *state);
/* Replay may have to start here: the position_min of the older one of the checkpoints that are
 * kept. The journal and the sources must be kept from here on. 0 when there is no checkpoint. */
uint64_t mr_state_position_needed(const mr_state *state);

/* ---- upkeep between micro-batches ---- */

/* Spills cold keys while memory is above the budget's mark, drops expired ones, moves the tick on.
 * Call it before every micro-batch: what one of them adds may exceed the mark, and is spilled at
 * the next call. */
mr_status mr_state_maintain(mr_state *state, mr_error *err);
/* Highest event time among the records that are done; for ttl. Lower values are ignored.
 * Checkpoints keep it: after recovery it is as of position_min. INT64_MIN before the first. */
void mr_table_set_stream_time(mr_table *table, int64_t time_us);
int64_t mr_table_stream_time(const mr_table *table);

typedef struct mr_table_stats {
    uint64_t keys; /* in memory */
    uint64_t keys_spilled;
    uint64_t bytes;         /* memory taken, entries and heaps */
    uint64_t bytes_spilled; /* about */
    uint64_t expired;       /* keys dropped by ttl so far */
} mr_table_stats;

void mr_table_stats_get(const mr_table *table, mr_table_stats *out);
/* Bytes one key takes now (entry, heap); 0 when unknown. */
uint64_t mr_table_key_bytes(mr_table *table, const void *key, size_t key_bytes, int64_t word);

/* ---- slots: the hot path ---- */

struct mr_slot {
    uint8_t *entries; /* capacity * entry_bytes, then tags; NULL when capacity is 0 */
    uint32_t capacity;
    uint32_t entry_bytes;
    uint32_t count;      /* keys in memory */
    uint32_t spilled;    /* keys that are only in the spill store */
    uint64_t skip_until; /* records before this position are in already (recovery) */
    uint64_t
        changed_tick; /* last micro-batch that changed it; 0: none since its image was written */
    int64_t now_us;   /* ttl tables: stream time as of the record in hand; the caller sets it before
                         get */
    struct mr_heap *heap; /* NULL when nothing is allocated */
    mr_table *table;
};

mr_slot *mr_table_slots(mr_table *table); /* MR_SLOT_COUNT of them */
uint32_t mr_table_tick(const mr_table *table);

static inline uint64_t mr_key_hash_word(int64_t word)
{
    return mr_hash_u64((uint64_t)word);
}

static inline uint32_t mr_key_slot(uint64_t hash)
{
    return (uint32_t)(hash >> 52);
}

/* Where the search for this hash starts: any capacity will do, so that little of the array is empty
 * (multiply and shift instead of a mask: Lemire, "Fast random integer generation in an interval",
 * 2019). */
static inline uint32_t mr_slot_home(const mr_slot *slot, uint64_t hash)
{
    return (uint32_t)(((hash & 0xffffffffu) * slot->capacity) >> 32);
}

static inline mr_entry *mr_slot_entry(const mr_slot *slot, uint32_t at)
{
    return (mr_entry *)(void *)(slot->entries + (size_t)at * slot->entry_bytes);
}

/* A byte for each place stands behind the entries: 0 where it is empty, else eight bits of the hash
 * that choose neither slot nor home. So a search reads a line of these, and an entry only when it
 * very likely is the one (the control bytes of Abseil's Swiss tables, 2017). The first ones are there
 * once more at the end, so that eight can be read from any place. */
#define MR_SLOT_TAGS 8

static inline uint8_t *mr_slot_tags(const mr_slot *slot)
{
    return slot->entries + (size_t)slot->capacity * slot->entry_bytes;
}

static inline uint8_t mr_slot_tag(uint64_t hash)
{
    uint8_t tag = (uint8_t)(hash >> 40);
    return tag != 0 ? tag : 1;
}

/* A search for the places of a hash: start, then next until MR_SLOT_NOWHERE. */
#define MR_SLOT_NOWHERE UINT32_MAX
#define MR_SLOT_EACH    UINT64_C(0x0101010101010101)

typedef struct mr_slot_search {
    const uint8_t *tags;
    uint64_t hits;   /* high bit of each byte of the group that may be it */
    uint64_t wanted; /* the tag, eight times */
    uint32_t from;   /* place of the group */
    uint32_t capacity;
    bool last; /* the group has an empty place: none lie behind it */
} mr_slot_search;

/* Looks at eight tags; those behind an empty place do not count. */
static inline void mr_slot_search_group(mr_slot_search *search)
{
    uint64_t group, low = MR_SLOT_EACH * 0x7f;
    __builtin_memcpy(&group, search->tags + search->from, sizeof group);
    uint64_t other = group ^ search->wanted;
    uint64_t empty = ~(((group & low) + low) | group | low);
    search->hits = ~(((other & low) + low) | other | low) & (empty ^ (empty - 1));
    search->last = empty != 0;
}

static inline mr_slot_search mr_slot_search_start(const mr_slot *slot, uint64_t hash)
{
    mr_slot_search search = {.capacity = slot->capacity, .last = true};
    if (slot->capacity == 0)
        return search;
    search.tags = mr_slot_tags(slot);
    search.wanted = MR_SLOT_EACH * mr_slot_tag(hash);
    search.from = mr_slot_home(slot, hash);
    mr_slot_search_group(&search);
    return search;
}

static inline uint32_t mr_slot_search_next(mr_slot_search *search)
{
    while (search->hits == 0) {
        if (search->last)
            return MR_SLOT_NOWHERE;
        search->from = (search->from + MR_SLOT_TAGS) % search->capacity;
        mr_slot_search_group(search);
    }
    uint32_t at = search->from + ((uint32_t)__builtin_ctzll(search->hits) >> 3);
    search->hits &= search->hits - 1;
    return at < search->capacity ? at : at % search->capacity;
}

/* Asks for the line of the tags where the search for this hash starts. */
static inline void mr_slot_prefetch(const mr_slot *slot, uint64_t hash)
{
    __builtin_prefetch(mr_slot_tags(slot) + mr_slot_home(slot, hash), 0);
}

/* The place where the key very likely is, and asks for its entry. The place may be another's, or gone by
 * the time it is used: mr_slot_get_word_at looks. */
static inline uint32_t mr_slot_prefetch_entry(const mr_slot *slot, uint64_t hash)
{
    mr_slot_search search = mr_slot_search_start(slot, hash);
    uint32_t at = mr_slot_search_next(&search);
    if (at == MR_SLOT_NOWHERE)
        return at;
    const uint8_t *entry = (const uint8_t *)mr_slot_entry(slot, at);
    for (uint32_t line = 0; line < slot->entry_bytes; line += MR_ALIGN)
        __builtin_prefetch(entry + line, 1);
    __builtin_prefetch(entry + slot->entry_bytes - 1, 1);
    return at;
}

/* For a key that is not in memory: asks for what says where it is in the spill store, if it is. */
void mr_slot_prefetch_spilled(const mr_slot *slot, uint64_t hash);

/* The entry of a word key, dead or alive, or NULL. */
static inline mr_entry *mr_slot_find_word(const mr_slot *slot, uint64_t hash, uint64_t word)
{
    mr_slot_search search = mr_slot_search_start(slot, hash);
    for (uint32_t at; (at = mr_slot_search_next(&search)) != MR_SLOT_NOWHERE;) {
        mr_entry *entry = mr_slot_entry(slot, at);
        if (entry->word == word)
            return entry;
    }
    return NULL;
}

/* The value in memory of a word key, or NULL (absent or spilled). No ttl rule, no touch. */
static inline void *mr_slot_peek_word(const mr_slot *slot, uint64_t hash, int64_t word)
{
    mr_entry *entry = mr_slot_find_word(slot, hash, (uint64_t)word);
    return entry != NULL && (entry->touched & MR_ENTRY_DEAD) == 0 ? entry + 1 : NULL;
}

/* The same when the place is known, or thought to be: NULL when it is not there. */
static inline void *mr_slot_peek_word_at(const mr_slot *slot, uint32_t at, int64_t word)
{
    if (at >= slot->capacity)
        return NULL;
    mr_entry *entry = mr_slot_entry(slot, at);
    return entry->word == (uint64_t)word && entry->touched != 0 &&
                   (entry->touched & MR_ENTRY_DEAD) == 0
               ? entry + 1
               : NULL;
}

/* The value of a key; created (zeroed) when `create`, brought back when spilled, fresh when expired
 * by ttl. NULL: absent and not `create`, or no memory (then *err is set). Touches the key and marks
 * the slot changed when `create`. Valid until the next call on this slot. `hash` is
 * mr_key_hash_word(word). */
void *mr_slot_get_word(mr_slot *slot, uint64_t hash, int64_t word, bool create, mr_error *err);
/* The same with create, where mr_slot_prefetch_entry said that it may be at `at`. */
void *mr_slot_get_word_at(mr_slot *slot, uint32_t at, uint64_t hash, int64_t word, mr_error *err);
/* The same for byte tables; `hash` is mr_hash64(key, key_bytes). */
void *mr_slot_get_bytes(mr_slot *slot, uint64_t hash, const void *key, size_t key_bytes,
                        bool create, mr_error *err);

/* Forgets the key whose value this is (just got from this slot), heap memory included. */
void mr_slot_remove(mr_slot *slot, void *value);

/* Heap memory of a slot: 8-byte aligned, size-classed, given back with the same size. NULL: no
 * memory. Stays where it is until freed. */
void *mr_slot_alloc(mr_slot *slot, size_t bytes) __attribute__((warn_unused_result));
void mr_slot_free(mr_slot *slot, void *memory, size_t bytes);
/* What an allocation of `bytes` really takes: use the rest. */
size_t mr_slot_alloc_bytes(size_t bytes);

/* ---- reading all of it ---- */

/* Calls visit for every key of the table, spilled ones too, in a fixed order (slot, then word, that
 * is key or its hash, then key); not those gone by ttl. Between micro-batches. The value is lent
 * for the call. Stops when visit returns false. For word tables key is the 8 bytes of the word. */
mr_status mr_table_each(mr_table *table,
                        bool (*visit)(void *context, const void *key, size_t key_bytes,
                                      void *value),
                        void *context, mr_error *err);
/* A hash over every key and its encoded value in that order: equal states, equal digests. */
mr_status mr_state_digest(mr_state *state, uint64_t *out, mr_error *err);

#endif
