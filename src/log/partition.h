/* partition.h -- one ordered sequence of records: its segments, its writer, and what readers may
 * see.
 *
 *   offsets   first ............ durable .......... end
 *             | kept, synced     | written, unsynced |        visible = durable, or end under `os`
 *
 * (1) first <= durable <= visible <= end under `os`; visible = durable otherwise.
 * (2) Only the holder of the file lock has an end; the others follow the tail file.
 * (3) All segments but the last are synced whole. One sync runs at a time; those who wait share it.
 * (4) After a failed sync nothing is appended or acknowledged any more.
 * Thread: any; see the locks in log_internal.h. */
#ifndef MR_LOG_PARTITION_H
#define MR_LOG_PARTITION_H

#include "log/log_internal.h"
#include "log/segment.h"
#include "log/tail.h"

/* How far a partition may be read. */
typedef struct mr_partition_view {
    uint64_t offset;       /* one past the newest visible record */
    uint64_t segment_base; /* where that is */
    uint64_t position;
    uint64_t durable_offset;
} mr_partition_view;

typedef struct mr_segment_ref {
    uint64_t base_offset;
} mr_segment_ref;

/* Memory for one encoded block; kept for the next one. */
typedef struct mr_staging {
    struct mr_staging *next;
    mr_bytes block;
    mr_bytes scratch;
} mr_staging;

struct mr_partition {
    mr_topic *topic;
    uint32_t number;
    char *folder;
    uint64_t salt;

    mr_mutex append_lock; /* order of appends; taken before `lock` */
    mr_mutex lock;        /* all below */
    mr_condition sync_done;
    bool writing; /* we hold lock_file and know the end */
    bool seen;    /* a follower has looked at the tail file once */
    bool failed;
    char failed_reason[256];
    mr_file *lock_file;
    mr_file *tail_file;
    uint64_t tail_sequence;
    mr_staging *staging;

    mr_segment_ref *segments; /* ascending; the last one is active */
    size_t segment_count;
    size_t segment_capacity;
    mr_segment *active;  /* of the writer */
    mr_index index;      /* of the active segment (writer) or of the one the view ends in */
    uint64_t index_base; /* which segment it is of; MR_LOG_OFFSET_NONE: of none */
    mr_producers producers;
    uint64_t written_out_position; /* of the active segment: being written to the disk up to here */

    mr_file *spare; /* spare.c; NULL: none */
    uint64_t spare_bytes, spare_filled;
    bool spare_busy;            /* written to without the lock */
    bool spare_refused;         /* there was no room for one */
    uint64_t prepared_position; /* of the active segment: set aside before its first block */
    int64_t active_since_ns;
    uint64_t commit_bytes_mean; /* a moving one */
    uint64_t upkeep_position;   /* end_position at which upkeep is wanted again */

    bool retain_wanted; /* at the next tick, of what lies below: */
    uint64_t retain_below;

    uint64_t end_offset; /* writer: written */
    uint64_t end_position;
    mr_partition_view view;
    uint64_t durable_position;
    bool syncing;
    uint64_t empty_unsynced;   /* offset of the first unsynced block without rows; NONE */
    uint64_t empty_syncing;    /* of those a running sync covers; NONE */
    int64_t unsynced_since_ns; /* when the oldest unsynced byte was written; 0: none */

    mr_log_damage *damages; /* found when taking over */
    size_t damage_count;
    uint64_t cut_bytes;
};

mr_status mr_partition_init(mr_partition *partition, mr_topic *topic, uint32_t number,
                            mr_error *err);
/* Syncs what is written and gives the lock back. A zeroed struct is allowed. */
void mr_partition_deinit(mr_partition *partition);

uint64_t mr_partition_salt(uint64_t topic_salt, uint32_t number);
/* Becomes the writer: lock, recovery, first publication. Nothing to do when it is already. */
mr_status mr_partition_take_over(mr_partition *partition, mr_log_damage_fn report, void *context,
                                 mr_error *err);
/* Recovers and publishes what a dead writer left, and stays a reader; nothing to do for the writer. In one
 * step, so that a thread that takes over meanwhile keeps what it took. */
mr_status mr_partition_settle(mr_partition *partition, mr_error *err);
/* Stops being the writer: syncs what is written, says so in the tail file, gives the lock back. */
void mr_partition_release(mr_partition *partition);
/* "tenant/namespace/topic/3@42" */
void mr_partition_place(const mr_partition *partition, uint64_t offset, mr_error *err);

/* ---- append.c ---- */

mr_status mr_partition_append(mr_partition *partition, const mr_append *what, mr_appended *out,
                              mr_error *err);

/* Seals the active segment and begins the next; append_lock held, and the segment holds records. */
mr_status mr_partition_roll(mr_partition *partition, mr_error *err);
/* Writes a segment's index file beside it; failures are passed over: it is a cache. */
void mr_partition_write_side_file(mr_partition *partition, uint64_t base_offset,
                                  const mr_bytes *bytes);

/* ---- sync.c ---- */

mr_status mr_partition_commit(mr_partition *partition, uint64_t end_offset, mr_error *err);
mr_status mr_partition_sync(mr_partition *partition, mr_error *err);
/* Syncs when the topic's interval has passed; *out_next_ns: how long until it is due, INT64_MAX: no
 * need. */
mr_status mr_partition_tick(mr_partition *partition, int64_t *out_next_ns, mr_error *err);
/* The parts of a sync, for those who do more under it; `lock` held. begin waits for a running one.
 */
void mr_partition_begin_sync(mr_partition *partition);
void mr_partition_end_sync(mr_partition *partition);
/* Shows what the policy allows to readers here and elsewhere; `lock` held. */
void mr_partition_publish(mr_partition *partition, bool clean);
/* `lock` held: takes nothing more from now on. Returns MR_IO with the text the user gets. */
mr_status mr_partition_fail(mr_partition *partition, const char *reason, mr_error *err);
/* MR_OK, or what mr_partition_fail said. `lock` held. */
mr_status mr_partition_check_failed(const mr_partition *partition, mr_error *err);

/* ---- spare.c; `lock` held ---- */

/* Does a step towards a spare segment if one is wanted; how long until the next step is, INT64_MAX: no need. */
int64_t mr_partition_keep_spare(mr_partition *partition, const mr_topic_options *options);
bool mr_partition_spare_ready(const mr_partition *partition);
void mr_partition_drop_spare(mr_partition *partition);
/* A segment of that base offset, from the spare when there is one, else new. The caller makes it the active one. */
mr_status mr_partition_begin_segment(mr_partition *partition, uint64_t base_offset,
                                     mr_segment **out, mr_error *err);

/* ---- retention.c ---- */

/* What mr_topic_retain_soon has asked for. */
mr_status mr_partition_retain_wanted(mr_partition *partition, mr_error *err);

/* ---- recovery.c ---- */

/* Finds the end of the log, cuts a torn tail, notes damage; called with append_lock and the file
 * lock held. On MR_OK the partition has an active segment, synced. */
mr_status mr_partition_recover(mr_partition *partition, mr_error *err);
/* Reads the names of the folder into partition->segments; with `lock` held or single-threaded. */
mr_status mr_partition_list_segments(mr_partition *partition, mr_error *err);
mr_status mr_partition_add_segment(mr_partition *partition, uint64_t base_offset, mr_error *err);
/* Removes a segment's files; durable when it returns. */
mr_status mr_partition_remove_segment(mr_partition *partition, uint64_t base_offset, mr_error *err);

/* ---- reading: view.c ---- */

/* What is visible now. In a process that does not write, reads the tail file; the first time, a
 * partition whose writer died is recovered if nobody writes. */
mr_status mr_partition_see(mr_partition *partition, mr_partition_view *out, mr_error *err);
/* The offset of the oldest record kept. */
mr_status mr_partition_first_offset(mr_partition *partition, uint64_t *out, mr_error *err);
/* The segment that holds (or should hold) `offset`, opened; MR_NOT_FOUND when it is gone, with the
 * text the user gets. *out_next_base: where the one after it begins, MR_LOG_OFFSET_NONE for the
 * last. */
mr_status mr_partition_open_segment(mr_partition *partition, uint64_t offset, mr_segment **out,
                                    uint64_t *out_next_base, mr_error *err);
/* Where to start walking for an offset or an event time in a segment that is read below `limit`. */
mr_status mr_partition_find(mr_partition *partition, mr_segment *segment, bool sealed,
                            uint64_t limit, bool by_time, uint64_t offset, int64_t event_time,
                            mr_index_entry *out, mr_error *err);
/* The totals of a sealed segment, from its side file or by walking it. The caller deinits *out. */
mr_status mr_partition_sealed_index(mr_partition *partition, mr_segment *segment, mr_index *out,
                                    mr_error *err);

#endif
