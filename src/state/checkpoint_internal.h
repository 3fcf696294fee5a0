/* checkpoint_internal.h -- what checkpoint.c (rounds) and checkpoint_files.c (files) share. */
#ifndef MR_STATE_CHECKPOINT_INTERNAL_H
#define MR_STATE_CHECKPOINT_INTERNAL_H

#include "state/image.h"
#include "state/manifest.h"
#include "state/writer.h"

typedef enum mr_round_phase { MR_ROUND_IDLE, MR_ROUND_WRITING, MR_ROUND_FINISHING } mr_round_phase;

typedef struct mr_data_file {
    uint32_t round;
    uint64_t bytes;
    uint64_t live_bytes;
    bool empty_it; /* see (5) */
} mr_data_file;

/* A checkpoint whose files must stay. */
typedef struct mr_keeping {
    uint32_t round; /* 0: none */
    uint64_t position_min;
    uint32_t *files;
    uint32_t file_count;
} mr_keeping;

struct mr_checkpoints {
    mr_state *state;
    mr_writer *writer;
    uint32_t next_round;
    mr_data_file *files; /* newest first; those the newest images may be in */
    uint32_t file_count;
    mr_keeping newest, older, pending;
    mr_round_phase phase;
    /* of the running round */
    uint32_t round;
    uint64_t plan_hash;
    uint64_t position_min;
    uint64_t position_max;
    mr_bytes flow;
    int64_t stream_times_us[MR_TABLE_COUNT_MAX];
    uint32_t table_count;
    uint64_t next;         /* table * MR_SLOT_COUNT + slot */
    uint64_t handed_bytes; /* to the writer */
    /* of the writer's thread, while jobs are on their way */
    mr_file *file;
    uint64_t written_bytes;
};

/* ---- checkpoint_files.c ---- */

/* `pattern` is one of the two of image.h. */
void mr_checkpoint_path(const mr_checkpoints *c, const char *pattern, uint32_t round, char *out);
mr_data_file *mr_checkpoint_find_file(const mr_checkpoints *c, uint32_t round);
/* Counts what is alive in each file, and drops those with nothing. */
void mr_checkpoint_count_live(mr_checkpoints *c);
void mr_checkpoint_choose_files_to_empty(mr_checkpoints *c);
bool mr_checkpoint_add_file(mr_checkpoints *c, uint32_t round);
void mr_checkpoint_forget(mr_keeping *one);
/* Notes the files of the running round, to be kept once it is finished. */
mr_status mr_checkpoint_keep_pending(mr_checkpoints *c, mr_error *err);
/* On the writer's thread: removes what neither the pending nor the newest checkpoint needs. */
void mr_checkpoint_remove_old(mr_checkpoints *c);
/* The manifest of the running round; allocated in the arena. */
mr_status mr_checkpoint_describe(mr_checkpoints *c, mr_arena *arena, mr_manifest *out,
                                 mr_error *err);

#endif
