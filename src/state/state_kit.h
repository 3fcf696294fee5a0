/* state_kit.h -- a small pipeline for the tests of this room, beside a naive model of what it must hold.
 *
 * Record p is a function of (seed, p): a key, a time that may go back, a change or a removal. It goes to two
 * tables: `words` (64-bit keys) and `texts` (byte keys, a few of them longer than any size class). So the right
 * state after any number of records is known without looking at the state. */
#ifndef MR_STATE_STATE_KIT_H
#define MR_STATE_STATE_KIT_H

#include "state/state_internal.h"

#define KIT_RING_MAX 24

typedef struct kit_value {
    int64_t last_us;
    uint64_t total;
    int64_t *items; /* the latest, oldest first */
    uint32_t count;
    uint32_t capacity;
} kit_value;

extern const mr_table_kind kit_kind;

typedef struct kit_model {
    int64_t last_us;
    uint64_t total;
    uint32_t count;
    bool present;
    int64_t items[KIT_RING_MAX];
} kit_model;

typedef struct kit_options {
    uint64_t seed;
    uint32_t keys; /* 0: 500 */
    int64_t ttl_us;
    mr_budget *budget;
    mr_fs *fs;                /* NULL: the real one */
    const char *folder;       /* NULL: a fresh one */
    const char *spill_folder; /* NULL: no spilling */
    const mr_spill_kind *spill_kind;
    int workers;
    bool background;
    uint64_t fingerprint[2]; /* of words and texts */
    uint32_t version;        /* of the kind; 0: 1 */
    bool words_only;
} kit_options;

typedef struct state_kit {
    kit_options options;
    mr_state *state;
    mr_table *tables[2];
    mr_table_kind kind;
    uint64_t position; /* records taken so far */
    int64_t stream_us;
    kit_model *models[2]; /* after `position` records */
    uint64_t model_position;
    int64_t model_stream_us;
} state_kit;

mr_status kit_try_open(state_kit *kit, const kit_options *options, mr_error *err);
void kit_open(state_kit *kit, const kit_options *options); /* fails the test instead */
void kit_close(state_kit *kit);
/* Takes the next record; skips it where a slot has it already. */
mr_status kit_try_step(state_kit *kit, mr_error *err);
void kit_run(state_kit *kit, uint64_t records, uint64_t batch_records);
/* A whole round, `records_per_step` records taken between its steps of `slot_max` slots. */
mr_status kit_try_checkpoint(state_kit *kit, uint64_t records_per_step, uint32_t slot_max,
                             mr_error *err);
void kit_checkpoint(state_kit *kit, uint64_t records_per_step, uint32_t slot_max);
/* Opens, recovers, and stands where replay starts. *out_recovery may be NULL. */
mr_status kit_try_recover(state_kit *kit, const kit_options *options,
                          mr_state_recovery *out_recovery, mr_error *err);
void kit_recover(state_kit *kit, const kit_options *options, mr_state_recovery *out_recovery);
/* Fails the test unless both tables are as the model says. */
void kit_check(state_kit *kit);
/* Digest of an undisturbed run of `records`, in memory. */
uint64_t kit_digest_of(const kit_options *options, uint64_t records);
uint64_t kit_digest(state_kit *kit);

#endif
