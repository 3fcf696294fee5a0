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
 * (3) Checkpoints roll: each slot is written at a position of its own, between micro-batches, a few at a
 *     time. The manifest, written last, is valid once every sink is durable beyond the highest of them.
 *     After a crash records from the lowest position on are replayed, and a slot skips those before its own.
 * (4) Memory of all slots is taken from the budget; when it runs short, cold keys move to the spill store,
 *     which is only a cache, and come back when they are asked for. Nothing fails because of it.
 * (5) A key whose last touch (event time) is more than ttl behind the table's stream time is gone: the rule
 *     is evaluated when the key is looked up, so that sweeping early or late cannot change a result.
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
    uint32_t touched; /* 0: the place is empty; else the micro-batch tick of the last use */
} mr_entry;

/* What a table holds. Functions may be called by any worker, one slot at a time. */
typedef struct mr_table_kind {
    const char *name;
    uint32_t version; /* of the encoding below */
    /* Writes the value into out in a form independent of addresses and capacities: equal contents give
     * equal bytes. Used for checkpoints, for spilling, and to compare states in tests. */
    void (*encode)(void *context, mr_slot *slot, const void *value, mr_bytes *out);
    /* Builds the value (zeroed before) from such bytes. MR_CORRUPT or MR_NO_MEMORY leave it droppable. */
    mr_status (*decode)(void *context, mr_slot *slot, void *value, mr_reader *from, mr_error *err);
    /* Gives the value's heap memory back. */
    void (*drop)(void *context, mr_slot *slot, void *value);
    /* Event time of the last record of this key, microseconds; for ttl. NULL: the table has no ttl. */
    int64_t (*last_time_us)(void *context, const void *value);
} mr_table_kind;

typedef struct mr_table_options {
    const char *name;           /* unique in the state; names the table in checkpoints */
    uint64_t fingerprint;       /* of the definition: a checkpoint with another one is not this table's */
    const mr_table_kind *kind;
    void *context;              /* given to the kind's functions */
    uint32_t value_bytes;       /* fixed part; multiple of 8 */
    bool byte_keys;             /* false: keys are 64-bit words */
    int64_t ttl_us;             /* 0: none */
} mr_table_options;

/* ---- birth and death ---- */

typedef struct mr_state_options {
    mr_fs *fs;
    const char *folder;       /* checkpoints live here; created */
    const char *spill_folder; /* NULL: no spilling; beyond the budget is then MR_FULL */
    mr_budget *budget;        /* shared with others; NULL: no limit */
    int workers;              /* slots are decoded by this many threads at open; 1 in simulation */
} mr_state_options;

mr_status mr_state_open(const mr_state_options *options, mr_state **out, mr_error *err);
void mr_state_close(mr_state *state); /* NULL is allowed; writes nothing */
/* Before recover. The table lives until the state is closed. */
mr_status mr_state_add_table(mr_state *state, const mr_table_options *options, mr_table **out,
                             mr_error *err);

/* ---- recovery ---- */

typedef struct mr_state_recovery {
    bool found;              /* there was a valid checkpoint */
    uint64_t position_min;   /* replay starts here: lowest slot position over all tables found in it */
    uint64_t position_max;   /* sinks are durable up to here at least */
    uint64_t plan_hash;      /* of the plan that wrote it */
    mr_bytes flow;           /* the caller's own bytes given to checkpoint_begin; caller deinits */
    uint32_t tables_loaded;
    uint32_t tables_missing; /* tables added here that the checkpoint does not have: they start empty,
                                skip nothing, and want a replay from the start */
    uint32_t tables_dropped; /* in the checkpoint, but not added here */
    uint64_t bytes;
    uint64_t keys;
} mr_state_recovery;

/* Loads the newest valid checkpoint. A manifest or slot image that is damaged makes it fall back to the
 * checkpoint before, if there is one; never to a silent part of it. */
mr_status mr_state_recover(mr_state *state, mr_state_recovery *out, mr_error *err);
bool mr_table_was_missing(const mr_table *table);

/* ---- rolling checkpoints ---- */

/* Starts a round. `flow` (copied) is what the caller needs to replay from `position`. */
mr_status mr_state_checkpoint_begin(mr_state *state, uint64_t plan_hash, uint64_t position,
                                    const void *flow, size_t flow_bytes, mr_error *err);
/* Encodes up to `slot_max` changed slots as of `position` (between micro-batches) and hands the bytes to
 * the file; unchanged ones cost nothing. *out_done when all are down. */
mr_status mr_state_checkpoint_step(mr_state *state, uint64_t position, uint32_t slot_max, bool *out_done,
                                   mr_error *err);
/* Once the sinks are durable up to `position`: syncs the files, then writes the manifest. Old files go. */
mr_status mr_state_checkpoint_finish(mr_state *state, uint64_t position, mr_error *err);
bool mr_state_checkpoint_running(const mr_state *state);

/* ---- upkeep between micro-batches ---- */

/* Spills cold keys while memory is above the budget's mark, drops expired ones, moves the tick on. */
mr_status mr_state_maintain(mr_state *state, mr_error *err);
/* Event time reached by the table's stream; never goes back. */
void mr_table_set_stream_time(mr_table *table, int64_t time_us);

typedef struct mr_table_stats {
    uint64_t keys;         /* in memory */
    uint64_t keys_spilled;
    uint64_t bytes;        /* memory taken, entries and heaps */
    uint64_t bytes_spilled;
    uint64_t expired;      /* keys dropped by ttl so far */
} mr_table_stats;

void mr_table_stats_get(const mr_table *table, mr_table_stats *out);
/* Bytes one key takes now (entry, heap); 0 when unknown. */
uint64_t mr_table_key_bytes(mr_table *table, const void *key, size_t key_bytes, int64_t word);

/* ---- slots: the hot path ---- */

struct mr_slot {
    uint8_t *entries;      /* (mask + 1) * entry_bytes; NULL when empty */
    uint32_t mask;
    uint32_t entry_bytes;
    uint32_t count;
    uint32_t spilled;      /* keys of this slot in the spill store */
    uint64_t skip_until;   /* records before this position are in already (recovery) */
    uint64_t changed_tick; /* last micro-batch that changed it */
    struct mr_slot_heap *heap;
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

/* Asks for the cache line where the search for this hash will start. */
static inline void mr_slot_prefetch(const mr_slot *slot, uint64_t hash)
{
    if (slot->entries != NULL)
        __builtin_prefetch(slot->entries + (size_t)(hash & slot->mask) * slot->entry_bytes, 1);
}

/* The value in memory of a word key, or NULL (absent or spilled). No ttl rule, no touch. */
static inline void *mr_slot_peek_word(const mr_slot *slot, uint64_t hash, int64_t word)
{
    if (slot->entries == NULL)
        return NULL;
    for (uint64_t at = hash;; at++) {
        mr_entry *entry = (mr_entry *)(void *)(slot->entries + (size_t)(at & slot->mask) * slot->entry_bytes);
        if (entry->touched == 0)
            return NULL;
        if (entry->word == (uint64_t)word)
            return entry + 1;
    }
}

/* The value of a key; created (zeroed) when `create`, brought back when spilled, fresh when expired by ttl.
 * NULL: absent and not `create`, or no memory (then *err is set). Touches the key and marks the slot changed
 * when `create`. Valid until the next call on this slot. `hash` is mr_key_hash_word(word). */
void *mr_slot_get_word(mr_slot *slot, uint64_t hash, int64_t word, bool create, mr_error *err);
/* The same for byte tables; `hash` is mr_hash64(key, key_bytes). */
void *mr_slot_get_bytes(mr_slot *slot, uint64_t hash, const void *key, size_t key_bytes, bool create,
                        mr_error *err);

/* Heap memory of a slot: 8-byte aligned, size-classed, given back with the same size. NULL: no memory.
 * Stays where it is until freed. */
void *mr_slot_alloc(mr_slot *slot, size_t bytes) __attribute__((warn_unused_result));
void mr_slot_free(mr_slot *slot, void *memory, size_t bytes);
/* What an allocation of `bytes` really takes: use the rest. */
size_t mr_slot_alloc_bytes(size_t bytes);

/* ---- reading all of it ---- */

/* Calls visit for every key of the table, spilled ones too, in a fixed order (slot, then key). The value is
 * lent for the call. Stops when visit returns false. For word tables key is the 8 bytes of the word. */
mr_status mr_table_each(mr_table *table, bool (*visit)(void *context, const void *key, size_t key_bytes, void *value),
                        void *context, mr_error *err);
/* A hash over every key and its encoded value in that order: equal states, equal digests. */
mr_status mr_state_digest(mr_state *state, uint64_t *out, mr_error *err);

#endif
