/* log.h -- durable topics: what is appended, in which order, and where one has read to.
 *
 *   mr_log ............. one home folder, a file system and a clock: the root of everything here
 *   mr_topic ........... tenant/namespace/topic, its options, its schema versions, its partitions
 *   partition .......... an append-only sequence of records; offsets 0, 1, 2, ... without gaps
 *   mr_log_reader ...... reads one partition forward, as batches
 *   position ........... a named reading place, stored per topic: one offset per partition
 *
 * (1) A record is acknowledged only when the topic's sync policy says so, and readers see no others:
 *       always ........ after fdatasync (default); those who commit together share one sync
 *       interval N .... the append returns when written; readers see it after the next sync, <= N ms later
 *       os ............ the append returns when written, and readers see it at once
 * (2) Offsets are dense and never used twice for different acknowledged records.
 * (3) Damage is reported with its exact offsets and is passed over only when the reader asks for it.
 * (4) One process writes a partition at a time (a file lock); any number read, here or in other processes.
 * (5) A producer's sequence is stored once: see mr_append.
 *
 * Thread: mr_log and mr_topic are safe from any thread; a reader belongs to one thread at a time. mr_log_tick
 * does what time asks for (interval syncs, writing out, spare segments): on a thread that mr_log_keep_up starts, or in
 * the owner's loop. Under a simulated clock nothing blocks. */
#ifndef MR_LOG_LOG_H
#define MR_LOG_LOG_H

#include "data/batch.h"
#include "os/clock.h"
#include "os/fs.h"

typedef struct mr_log mr_log;
typedef struct mr_topic mr_topic;
typedef struct mr_log_reader mr_log_reader;

#define MR_TOPIC_NAME_MAX       (3 * 128) /* bytes of tenant/namespace/topic with its terminator */
#define MR_TOPIC_PARTITIONS_MAX 1024
#define MR_LOG_ANNOTATION_MAX   65536 /* bytes carried beside a batch */
#define MR_LOG_OFFSET_NONE      UINT64_MAX
#define MR_LOG_BLOCK_BYTES_MAX  (1u << 30)
#define MR_LOG_PRODUCERS_MAX                                                                       \
    65536 /* remembered per partition; the longest silent are forgotten first */

/* ---- the log ---- */

/* Opens (creates) <home>/topics. Borrows fs and clock, which outlive the log. */
mr_status mr_log_open(mr_fs *fs, mr_clock *clock, const char *home, mr_log **out, mr_error *err);
/* All topics and readers must be closed. NULL is allowed. */
void mr_log_close(mr_log *log);
/* Does what time asks for: interval syncs that are due, and what keeps the disk ahead of the flow. *out_next_ns: when
 * to call again (INT64_MAX: no need). Failures are those of mr_topic_sync. */
mr_status mr_log_tick(mr_log *log, int64_t *out_next_ns, mr_error *err);
/* Starts a thread that ticks until the log is closed; nothing to do when there is one. What fails there, the next
 * append or commit of the partition returns. Not under a simulated clock. */
mr_status mr_log_keep_up(mr_log *log, mr_error *err);

/* ---- topics ---- */

/*  X(NAME, text) */
#define MR_LOG_SYNC_MAP(X)  X(ALWAYS, "always") X(INTERVAL, "interval") X(OS, "os")
#define MR_LOG_CODEC_MAP(X) X(NONE, "none") X(LZ4, "lz4") X(ZSTD, "zstd")

typedef enum mr_log_sync {
#define X(name, text) MR_LOG_SYNC_##name,
    MR_LOG_SYNC_MAP(X)
#undef X
} mr_log_sync;

/* The numbers are part of the disk format: append only. */
typedef enum mr_log_codec {
#define X(name, text) MR_LOG_CODEC_##name,
    MR_LOG_CODEC_MAP(X)
#undef X
        MR_LOG_CODEC_COUNT
} mr_log_codec;

/* A zeroed struct means all defaults. partition_count and event_time are fixed at creation. */
typedef struct mr_topic_options {
    uint32_t partition_count;               /* 0: 1 */
    char event_time[MR_NAME_BYTES_MAX + 1]; /* a timestamp column; "": none */
    mr_log_sync sync;
    uint32_t sync_interval_ms; /* of MR_LOG_SYNC_INTERVAL; 0: 10 */
    mr_log_codec codec;        /* of blocks written from now on */
    int32_t codec_level;       /* 0: the codec's default (zstd 1) */
    uint64_t segment_bytes;    /* roll at; 0: 256 MiB */
    uint64_t segment_age_ms;   /* roll when the first block is older; 0: never */
    uint64_t retention_bytes;  /* per partition; 0: no limit */
    uint64_t retention_age_ms; /* by time of append; 0: no limit */
} mr_topic_options;

/* Writes "tenant/namespace/topic" into out (MR_TOPIC_NAME_MAX bytes); short names lie in
 * default/default. A part is 1..100 of [a-z A-Z 0-9 . _ -] and does not start with a dot. */
mr_status mr_topic_name_resolve(const char *name, char *out, mr_error *err);

/* Creates a topic whose first schema version is `schema`. options may be NULL. MR_EXISTS when it is
 * there. */
mr_status mr_topic_create(mr_log *log, const char *name, const mr_topic_options *options,
                          mr_schema *schema, mr_error *err);
/* MR_NOT_FOUND names the topic. The same log gives the same object; each open needs a close. */
mr_status mr_topic_open(mr_log *log, const char *name, mr_topic **out, mr_error *err);
/* The last close syncs what is written and gives the write locks back. NULL is allowed. */
void mr_topic_close(mr_topic *topic);
/* Removes a topic and all its records. MR_BUSY when it is open here or written elsewhere. */
mr_status mr_topic_delete(mr_log *log, const char *name, mr_error *err);
/* Full names, sorted; of one tenant or tenant/namespace when `prefix` is not NULL. Free with
 * mr_fs_free_names. */
mr_status mr_topic_list(mr_log *log, const char *prefix, char ***out_names, size_t *out_count,
                        mr_error *err);

const char *mr_topic_name(const mr_topic *topic);
uint32_t mr_topic_partitions(const mr_topic *topic);
mr_topic_options mr_topic_get_options(mr_topic *topic);
/* Durable when it returns. Refuses to change what is fixed at creation. */
mr_status mr_topic_set_options(mr_topic *topic, const mr_topic_options *options, mr_error *err);
/* The newest version; the caller releases it. Its number in *out_id (may be NULL): 1, 2, ... */
mr_status mr_topic_schema(mr_topic *topic, mr_schema **out, uint32_t *out_id, mr_error *err);
mr_status mr_topic_schema_version(mr_topic *topic, uint32_t id, mr_schema **out, mr_error *err);
/* Registers a compatible newer version, durable when it returns; an equal one changes nothing. An
 * append with a newer schema does it by itself. MR_CONFLICT says what does not fit. */
mr_status mr_topic_set_schema(mr_topic *topic, mr_schema *schema, uint32_t *out_id, mr_error *err);

/* Where damage was met: offsets [first, end) cannot be read. */
typedef struct mr_log_damage {
    uint32_t partition;
    uint64_t first_offset;
    uint64_t end_offset;
    uint64_t segment_base; /* names the file */
    uint64_t position;     /* byte in it */
    uint64_t bytes;
    char reason[160];
} mr_log_damage;

typedef struct mr_partition_stat {
    uint64_t first_offset; /* the oldest that is kept */
    uint64_t end_offset;   /* one past the newest that readers see */
    uint64_t durable_offset;
    uint64_t bytes; /* of segments on disk */
    uint32_t segment_count;
    bool has_event_time;
    int64_t event_min; /* of all kept blocks, as far as known without scanning */
    int64_t event_max;
    int64_t append_first_us; /* wall time of the oldest and newest kept block; 0: empty */
    int64_t append_last_us;
    uint64_t recovered_cut_bytes;    /* torn tail cut by this process when it took over */
    uint64_t recovered_damage_count; /* damaged places found then, in the middle */
} mr_partition_stat;

mr_status mr_topic_stat(mr_topic *topic, uint32_t partition, mr_partition_stat *out, mr_error *err);
/* What taking over for writing found: calls report for every damage. */
typedef void (*mr_log_damage_fn)(void *context, const mr_log_damage *damage);

/* ---- appending ---- */

/* What is appended at once: it becomes visible as a whole or not at all.
 *
 * With producer_id != 0 the block carries (producer, epoch, [sequence_first, sequence_next)) and
 * the partition remembers, per producer, the highest epoch and sequence_next (`known`):
 *     sequence_next <= known ................... a duplicate: nothing is written, the answer is
 * "done" sequence_first < known < sequence_next ... MR_CONFLICT: send what is missing
 * (mr_topic_producer) sequence_first > known ................... MR_CONFLICT unless gaps_allowed
 *     epoch < known epoch ...................... MR_CONFLICT: fenced off by a newer instance
 *     epoch > known epoch ...................... taken; the sequence goes on, or starts over with
 *                                                sequence_restarts
 * A batch of no rows is allowed: it carries only the sequence and the annotation. */
typedef struct mr_append {
    mr_batch *batch;
    uint64_t producer_id; /* 0: none */
    uint32_t producer_epoch;
    uint64_t sequence_first;
    uint64_t sequence_next;
    bool gaps_allowed;
    bool sequence_restarts;
    const void *annotation; /* opaque to the log */
    size_t annotation_bytes;
} mr_append;

typedef struct mr_appended {
    uint64_t
        base_offset;     /* of row 0; MR_LOG_OFFSET_NONE for a duplicate whose place is forgotten */
    uint64_t end_offset; /* what to commit up to */
    bool duplicate;
} mr_appended;

/* Takes over a partition for writing now rather than at the first append: lock, recovery. MR_BUSY
 * names the topic when another process writes. */
mr_status mr_topic_open_writer(mr_topic *topic, uint32_t partition, mr_log_damage_fn report,
                               void *context, mr_error *err);
/* Writes; not yet acknowledged under `always`: commit up to out->end_offset first. MR_FULL (disk)
 * leaves the partition as it was. After MR_IO on a sync the partition is failed: MR_IO until it is
 * recovered by opening it anew. */
mr_status mr_topic_append(mr_topic *topic, uint32_t partition, const mr_append *what,
                          mr_appended *out, mr_error *err);
/* Returns when all below `end_offset` is acknowledged under the topic's policy. Callers on several
 * threads share syncs; a thread may append while another commits. */
mr_status mr_topic_commit(mr_topic *topic, uint32_t partition, uint64_t end_offset, mr_error *err);
/* Both. */
mr_status mr_topic_append_commit(mr_topic *topic, uint32_t partition, const mr_append *what,
                                 mr_appended *out, mr_error *err);
/* Makes all that is written durable now, whatever the policy, and shows it to readers. */
mr_status mr_topic_sync(mr_topic *topic, uint32_t partition, mr_error *err);
/* What is stored of a producer (written, not only durable). MR_NOT_FOUND: nothing. Takes over the
 * partition for writing if need be. */
mr_status mr_topic_producer(mr_topic *topic, uint32_t partition, uint64_t producer_id,
                            uint32_t *out_epoch, uint64_t *out_sequence_next, mr_error *err);
/* Row r of the batch belongs to partition out[r], by hash of its key column's value alone: the same
 * key goes to the same partition on every machine. NULL keys go to partition 0. */
mr_status mr_partition_of_rows(const mr_column *key, size_t rows, uint32_t partition_count,
                               uint32_t *out, mr_error *err);
/* One batch per partition, rows in order; NULL where a partition gets none. out has partition_count
 * places; the caller releases. */
mr_status mr_partition_split(const mr_batch *batch, const char *key, uint32_t partition_count,
                             mr_batch **out, mr_error *err);

/* ---- reading ---- */

typedef enum mr_log_start_kind {
    MR_LOG_START_FIRST,      /* the oldest that is kept */
    MR_LOG_START_END,        /* what comes from now on */
    MR_LOG_START_OFFSET,     /* this offset */
    MR_LOG_START_EVENT_TIME, /* the first record whose event time is >= this */
} mr_log_start_kind;

typedef struct mr_log_start {
    mr_log_start_kind kind;
    uint64_t offset;
    int64_t event_time;
} mr_log_start;

typedef struct mr_log_reader_options {
    mr_schema *schema; /* batches arrive in this form; NULL: the newest when the reader is opened */
    uint32_t rows_max; /* larger blocks arrive in slices; 0: no limit */
    bool empty_blocks; /* also blocks without rows (they carry annotations) */
    bool copy;         /* read into memory instead of mapping files */
} mr_log_reader_options;

/* One block or a slice of it. */
typedef struct mr_log_block {
    mr_batch *batch;       /* one share is the caller's: mr_log_block_release */
    uint64_t base_offset;  /* of row 0 of `batch` */
    uint64_t next_offset;  /* where to go on: base_offset + rows */
    uint64_t block_offset; /* of the stored block's row 0: less than base_offset in a later slice */
    uint32_t block_rows;
    uint32_t schema_id; /* as written */
    uint64_t producer_id;
    uint32_t producer_epoch;
    uint64_t sequence_first;
    uint64_t sequence_next;
    int64_t append_us;
    bool has_event_time; /* event_min and event_max of the whole block are known */
    int64_t event_min;
    int64_t event_max;
    const uint8_t *annotation; /* lent until release */
    size_t annotation_bytes;
    mr_buffer *owner; /* private */
} mr_log_block;

/* options may be NULL. MR_NOT_FOUND: the offset is gone (the text says how many records are, and
 * what the first one is) or not written yet. The topic stays open as long as the reader. */
mr_status mr_log_reader_open(mr_topic *topic, uint32_t partition, mr_log_start start,
                             const mr_log_reader_options *options, mr_log_reader **out,
                             mr_error *err);
void mr_log_reader_close(mr_log_reader *reader); /* NULL is allowed; its batches live on */
/* MR_OK: *out is filled. MR_END: nothing more to see now. MR_CORRUPT: the next records are damaged;
 * the text and mr_log_reader_damage say which; the reader stays in front of them. MR_NOT_FOUND:
 * retention has taken the reader's place; seek. */
mr_status mr_log_reader_next(mr_log_reader *reader, mr_log_block *out, mr_error *err);
void mr_log_block_release(mr_log_block *block);             /* a zeroed block is allowed */
uint64_t mr_log_reader_offset(const mr_log_reader *reader); /* of the next record */
uint64_t mr_log_reader_end(mr_log_reader *reader);          /* one past the newest visible, now */
/* Bytes of blocks read so far, as stored; for progress and figures. */
uint64_t mr_log_reader_bytes(const mr_log_reader *reader);
mr_status mr_log_reader_seek(mr_log_reader *reader, mr_log_start start, mr_error *err);
/* What the last MR_CORRUPT was about; false: nothing. */
bool mr_log_reader_damage(const mr_log_reader *reader, mr_log_damage *out);
/* Goes past the damage that mr_log_reader_next met; the loss is the caller's to report. */
mr_status mr_log_reader_skip_damage(mr_log_reader *reader, mr_error *err);
/* Waits until one of the readers (all of one log) has something, at most timeout_ns: MR_OK, else
 * MR_END. timeout 0 polls. Under a simulated clock it sleeps there, and returns. */
mr_status mr_log_reader_wait(mr_log_reader *const *readers, size_t count, int64_t timeout_ns,
                             mr_error *err);
/* The first offset whose event time is >= t; the end offset when there is none. */
mr_status mr_topic_offset_of_time(mr_topic *topic, uint32_t partition, int64_t event_time,
                                  uint64_t *out_offset, mr_error *err);

/* ---- named positions ---- */

/* Sets the offsets of `count` partitions from partition 0 on, together and durably. */
mr_status mr_position_commit(mr_topic *topic, const char *name, const uint64_t *offsets,
                             uint32_t count, mr_error *err);
/* Fills offsets of all partitions; those never committed get MR_LOG_OFFSET_NONE. MR_NOT_FOUND: no
 * such name. */
mr_status mr_position_get(mr_topic *topic, const char *name, uint64_t *offsets, uint32_t count,
                          mr_error *err);
mr_status mr_position_list(mr_topic *topic, char ***out_names, size_t *out_count, mr_error *err);
mr_status mr_position_delete(mr_topic *topic, const char *name, mr_error *err);

/* ---- upkeep ---- */

/* Asked before records below `end_offset` go: false keeps them (this time). No lock is held. */
typedef bool (*mr_retention_fn)(void *context, mr_topic *topic, uint32_t partition,
                                uint64_t end_offset);
/* Removes sealed segments beyond the topic's age and size; takes over the partitions for writing if
 * need be. may_take may be NULL. *out_bytes: freed. */
mr_status mr_topic_retain(mr_topic *topic, mr_retention_fn may_take, void *context,
                          uint64_t *out_bytes, mr_error *err);

/* The first offset that retention leaves in a partition that may hold `bytes`. Reads only. */
mr_status mr_topic_kept_from(mr_topic *topic, uint32_t partition, uint64_t bytes,
                             uint64_t *out_offset, mr_error *err);

/* Asks for the same beside the flow, at the next tick; nothing at `keep_from` or behind it goes. A failure leaves what
 * could not be removed, for the next time. */
void mr_topic_retain_soon(mr_topic *topic, uint64_t keep_from);

typedef struct mr_scrub_report {
    uint64_t bytes_checked;
    uint64_t blocks_checked;
    uint64_t records_checked;
    uint64_t damage_count;
    uint64_t records_damaged;
} mr_scrub_report;

typedef struct mr_scrub_watch {
    mr_log_damage_fn damage; /* may be NULL */
    /* May be NULL; returning false stops with MR_INTERRUPTED. */
    bool (*progress)(void *context, const char *topic, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
} mr_scrub_watch;

/* Reads every visible block of a topic (NULL: of all topics) and checks it whole. Damage is
 * counted, not an error. Adds to *report. */
mr_status mr_log_scrub(mr_log *log, const char *name, const mr_scrub_watch *watch,
                       mr_scrub_report *report, mr_error *err);

#endif
