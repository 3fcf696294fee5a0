/* state_internal.h -- what the files of this room share.
 *
 *   slot.c ........ places, lookups, growth          heap.c ....... memory of a slot
 *   record.c ...... one key as bytes                 walk.c ....... all keys of a slot in order
 *   state.c ....... tables, upkeep, statistics       evict.c ...... what leaves memory, and compaction
 *   store.c ....... keys in the spill store          sweep.c ...... what ttl took
 *   checkpoint.c .. rounds; checkpoint_files.c       writer.c ..... files written behind the caller
 *   manifest.c .... which image is where             recover.c .... the way back
 *   spill.h ....... the store of cold keys: spill_log.c and its spill_index.c, spill_memory.c
 */
#ifndef MR_STATE_STATE_INTERNAL_H
#define MR_STATE_STATE_INTERNAL_H

#include "state/heap.h"
#include "state/spill.h"
#include "state/state.h"

/* An image of a slot in a checkpoint file. */
typedef struct mr_image {
    uint64_t offset;
    uint64_t bytes;    /* 0: the slot was empty, there is none */
    uint64_t position; /* of the records before it the image is made */
    uint32_t round;    /* names the file */
    uint32_t keys;
    uint32_t crc;
} mr_image;

/* What a slot needs seldom. */
typedef struct mr_slot_rest {
    mr_image image; /* the newest one */
    uint64_t expired;
    uint32_t dead;         /* places with MR_ENTRY_DEAD */
    uint32_t visited_tick; /* when the hand of evict.c was here last */
} mr_slot_rest;

struct mr_table {
    mr_slot *slots;
    mr_slot_rest *rest;
    mr_state *state;
    mr_table_options options; /* name is ours */
    uint32_t touch;           /* tick << 2, never 0: what a touched entry gets */
    uint32_t id;              /* index in state->tables */
    uint64_t tick;
    int64_t stream_time_us;
    int64_t swept_us; /* stream time up to which the sweep has gone once round */
    uint32_t sweep_slot;
    uint64_t put_count; /* records put into the spill store so far, */
    uint64_t put_bytes; /* and their bytes, for an average */
    bool missing;
};

#define MR_TABLE_COUNT_MAX 256

typedef struct mr_checkpoints mr_checkpoints; /* checkpoint.c */
struct mr_manifest;

struct mr_state {
    mr_fs *fs;
    char *folder;
    char *spill_folder;
    mr_heap_source source;
    mr_table *tables[MR_TABLE_COUNT_MAX];
    uint32_t table_count;
    int workers;
    bool background;
    uint64_t tick;
    uint64_t advised_bytes; /* heap of the process when huge pages were last asked for */
    mr_spill *spill;        /* NULL: none */
    const mr_spill_kind *spill_kind;
    mr_bytes scratch;
    uint32_t hand_table, hand_slot; /* of evict.c */
    uint32_t compact_next;
    uint64_t compact_credit_bytes; /* that may be moved */
    uint64_t used_bytes_left;      /* when the last upkeep was done */
    uint64_t growth_bytes_max;     /* most that was added between two of them, fading */
    mr_checkpoints *checkpoints;
};

/* ---- slot.c ---- */

mr_status mr_slots_create(mr_table *table, mr_error *err);
void mr_slots_destroy(mr_table *table);
uint64_t mr_slot_bytes(const mr_slot *slot); /* entries and heap, as taken from the budget */
/* Forgets all in memory; position and image stay. */
void mr_slot_clear(mr_slot *slot);
/* The two halves of it: the memory of a copy, and the slot without its memory. */
void mr_slot_free_memory(mr_slot *slot);
void mr_slot_detach(mr_slot *slot);
/* The hash the search starts from. */
uint64_t mr_slot_entry_hash(const mr_slot *slot, const mr_entry *entry);
const void *mr_slot_entry_key(const mr_slot *slot, const mr_entry *entry, size_t *out_bytes);
/* The entry, dead or alive, or NULL; word tables have no key bytes. */
mr_entry *mr_slot_find(const mr_slot *slot, uint64_t word, const void *key, size_t key_bytes);
/* A new zeroed entry for a key that is not there. NULL: no memory. */
mr_entry *mr_slot_add(mr_slot *slot, uint64_t word, const void *key, size_t key_bytes,
                      mr_error *err);
/* Takes the entry away; its value has been dropped. Others may move. */
void mr_slot_erase(mr_slot *slot, mr_entry *entry);
/* Whether a key with this last record is gone at `now_us`. */
bool mr_table_expires(const mr_table *table, int64_t last_us, int64_t now_us);
bool mr_slot_entry_expired(const mr_slot *slot, const mr_entry *entry, int64_t now_us);
/* Values will take about so many bytes of the heap: taken in one piece. */
void mr_slot_expect(mr_slot *slot, uint64_t bytes);
/* Room for `count` keys at once. */
bool mr_slot_reserve(mr_slot *slot, uint32_t count);

/* ---- record.c ---- */

/* One key and its value as bytes, the same in images and in the spill store. */
#define MR_RECORD_BYTES_MIN 12

typedef struct mr_record {
    uint64_t word;
    int64_t last_us; /* ttl tables, else 0 */
    const uint8_t *key;
    size_t key_bytes;
    const uint8_t *value;
    size_t value_bytes;
    const uint8_t *bytes; /* all of it */
    size_t size;
} mr_record;

void mr_record_write(const mr_slot *slot, const mr_entry *entry, mr_bytes *out);
/* MR_END at the end; MR_CORRUPT names the table. */
mr_status mr_record_read(const mr_table *table, mr_reader *from, mr_record *out, mr_error *err);
int mr_record_compare(uint64_t word_a, const void *key_a, size_t key_a_bytes, uint64_t word_b,
                      const void *key_b, size_t key_b_bytes);
/* Builds the value of an entry that is zeroed. On failure it is zeroed again. */
mr_status mr_record_decode(mr_slot *slot, const mr_record *record, mr_entry *entry, mr_error *err);
/* Adds the key to a slot that has it not, with its value. */
mr_status mr_record_insert(mr_slot *slot, const mr_record *record, uint32_t flags, mr_error *err);

/* ---- walk.c ---- */

/* The keys of a slot, spilled ones too, by word, then key. Pipeline's thread; the slot must not change. */
typedef struct mr_walk_entry {
    uint64_t word; /* again: sorting reads these alone */
    mr_entry *entry;
} mr_walk_entry;

typedef struct mr_walk {
    mr_slot *slot;
    mr_walk_entry *entries; /* dead ones too: they hide what is stored */
    uint32_t count, at;
    mr_spill_scan *scan;
    mr_bytes group; /* records of the store under one word, sorted */
    mr_reader left; /* of group */
    mr_record record;
    bool has_record;
} mr_walk;

mr_status mr_walk_init(mr_walk *walk, mr_slot *slot, mr_error *err);
/* Gives either an entry or a record (lent until the next call), skipping what ttl took; MR_END. */
mr_status mr_walk_next(mr_walk *walk, mr_entry **out_entry, mr_record *out_record, mr_error *err);
void mr_walk_deinit(mr_walk *walk);

/* ---- checkpoint.c ---- */

mr_status mr_checkpoints_create(mr_state *state, mr_checkpoints **out, mr_error *err);
void mr_checkpoints_destroy(mr_checkpoints *checkpoints); /* NULL is allowed */
/* The state was loaded from this one. */
mr_status mr_checkpoints_adopt(mr_checkpoints *checkpoints, const struct mr_manifest *manifest,
                               mr_error *err);
/* True when the name is of a file of checkpoints: which round's, and whether its manifest. */
bool mr_checkpoint_name(const char *name, uint32_t *out_round, bool *out_manifest);

/* ---- evict.c ---- */

/* Memory is above the mark at which keys are spilled. */
bool mr_state_is_short(const mr_state *state);
/* Spills cold keys until it is not. */
mr_status mr_state_evict(mr_state *state, mr_error *err);
/* Moves the values into a fresh heap, so that no free block is left; some, when `keep` says so. On failure the
 * slot is as before. */
mr_status mr_slot_rebuild(mr_slot *slot, bool (*keep)(const mr_slot *slot, const mr_entry *entry),
                          mr_error *err);

/* ---- sweep.c ---- */

/* Drops keys that ttl took, a few slots at a time, in memory and in the spill store. */
mr_status mr_state_sweep(mr_state *state, mr_error *err);

/* ---- store.c: the slot's side of the spill store ---- */

/* Between begin and commit. */
mr_status mr_store_put(const mr_slot *slot, const mr_record *record, mr_error *err);
mr_status mr_store_remove(const mr_slot *slot, uint64_t word, const void *key, size_t key_bytes,
                          mr_error *err);
/* Puts all records of an image; their keys are then spilled. */
mr_status mr_store_put_all(mr_slot *slot, mr_reader *records, mr_error *err);
/* Brings all keys of a word back into memory. MR_OK also when there are none. */
mr_status mr_store_bring_back(mr_slot *slot, uint64_t word, mr_error *err);
mr_status mr_store_wipe(mr_state *state, mr_error *err);

#endif
