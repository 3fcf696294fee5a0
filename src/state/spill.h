/* spill.h -- the store of cold keys: an ordered map on disk that is only a cache.
 *
 *   (table, slot, word) -> bytes: the records (record.c) of all keys with that word, one behind the other
 *
 * (1) Written only between begin and commit, by the pipeline's thread, while nobody reads.
 * (2) Read by any thread between commits; bytes are lent until they are released.
 * (3) Wiped at open: nothing in it is needed after a crash, so nothing is ever synced.
 * To add a store: one file with a mr_spill_kind; the conformance test in spill_test.c lists it. */
#ifndef MR_STATE_SPILL_H
#define MR_STATE_SPILL_H

#include "os/fs.h"
#include "state/heap.h"

typedef struct mr_spill mr_spill;
typedef struct mr_spill_scan mr_spill_scan;

typedef struct mr_spill_place {
    uint16_t table;
    uint16_t slot;
    uint64_t word;
    uint64_t hash; /* of the word: its lower 52 bits tell the words of a slot apart */
} mr_spill_place;

typedef struct mr_spill_value {
    const uint8_t *bytes;
    size_t size;
} mr_spill_value;

typedef struct mr_spill_stats {
    uint64_t places;
    uint64_t file_bytes; /* 0: not on disk */
} mr_spill_stats;

typedef struct mr_spill_kind {
    const char *name;
    /* Wipes the folder. What it holds in memory per key is taken from `source`, which is lent. */
    mr_status (*open)(mr_fs *fs, const char *folder, mr_heap_source *source, mr_spill **out,
                      mr_error *err);
    void (*close)(mr_spill *spill);
    mr_status (*begin)(mr_spill *spill, mr_error *err);
    mr_status (*put)(mr_spill *spill, mr_spill_place place, const void *bytes, size_t size,
                     mr_error *err);
    mr_status (*remove)(mr_spill *spill, mr_spill_place place, mr_error *err); /* absent is fine */
    mr_status (*commit)(mr_spill *spill,
                        mr_error *err); /* on failure nothing since begin is there */
    void (*abort)(mr_spill *spill);
    /* MR_NOT_FOUND without touching err. Inside begin..commit: pipeline's thread, sees what was put. */
    mr_status (*get)(mr_spill *spill, mr_spill_place place, mr_spill_value *out, mr_error *err);
    void (*release)(mr_spill *spill, mr_spill_value *value);
    /* Asks for the memory that a get will read first; only the slot and the hash count. NULL: nothing to ask for. */
    void (*prefetch)(const mr_spill *spill, mr_spill_place place);
    /* All places of one slot by word. MR_END at the end; the value is lent until the next call. */
    mr_status (*scan_open)(mr_spill *spill, uint16_t table, uint16_t slot, mr_spill_scan **out,
                           mr_error *err);
    mr_status (*scan_next)(mr_spill_scan *scan, uint64_t *out_word, mr_spill_value *out,
                           mr_error *err);
    void (*scan_close)(mr_spill_scan *scan); /* NULL is allowed */
    void (*stats)(mr_spill *spill, mr_spill_stats *out);
} mr_spill_kind;

struct mr_spill {
    const mr_spill_kind *kind;
};

extern const mr_spill_kind mr_spill_log;
extern const mr_spill_kind mr_spill_memory;

#endif
