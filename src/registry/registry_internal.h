/* registry_internal.h -- what the files of this room share.
 *
 *   stream.c ....... the two system topics: records in, records out
 *   registry.c ..... birth and death, catching up, following
 *   catalogue.c, apply.c, vfs.c: the tables that the events amount to
 *   question.c ..... references, lists, history
 *   change.c ....... one change at a time: look, append, apply
 *   rollout.c, access.c, publish.c, bundle.c, tar.c: see their heads */
#ifndef MR_REGISTRY_INTERNAL_H
#define MR_REGISTRY_INTERNAL_H

#include "registry/catalogue.h"
#include "registry/registry.h"

#include "os/thread.h"

/* ---- streams ---- */

/* A system topic of one partition, always synced, kept for ever. */
typedef struct registry_stream {
    const char *name;
    mr_schema *schema;
    mr_topic *topic; /* of the registry's reading log: open as long as the registry */
    mr_log_reader *reader;
} registry_stream;

typedef mr_status (*registry_row_fn)(void *context, const mr_batch *batch, uint32_t row,
                                     uint64_t offset, mr_error *err);

/* Creates the topic through `changes` when it is missing, opens it in `log`. Close also after a failure. */
mr_status registry_stream_open(registry_stream *stream, mr_log *log, mr_log *changes,
                               const char *name, const char *schema, mr_error *err);
void registry_stream_close(registry_stream *stream); /* a zeroed struct is allowed */
/* Rows from `offset` to the end that is visible now; *out_next, also after a failure, is the row to go on with. */
mr_status registry_stream_read(registry_stream *stream, uint64_t offset, registry_row_fn each,
                               void *context, uint64_t *out_next, mr_error *err);

/* A topic that is known to be there: that it is not found is a failure of the disk. */
mr_status registry_topic_open(mr_log *log, const char *name, mr_topic **out, mr_error *err);

/* The text of a row in the arena, terminated; NULL is "". */
const char *registry_row_text(const mr_batch *batch, int column, uint32_t row, mr_arena *arena);
int64_t registry_row_int(const mr_batch *batch, int column, uint32_t row);

/* ---- the registry ---- */

typedef struct registry_verified {
    char hash[MR_REGISTRY_HASH_MAX];
    struct registry_verified *next;
} registry_verified;

struct mr_registry {
    mr_fs *fs;
    mr_clock *clock;
    mr_log *log;     /* the caller's: read through it */
    mr_log *changes; /* ours: its topics are open, and their write locks held, for a change only */
    char *principal, *process;
    char artifacts[MR_PATH_MAX];
    mr_mutex lock;
    registry_stream events, access;
    registry_catalogue catalogue;
    uint64_t applied; /* the catalogue has at least these events */
    registry_verified *verified;
    mr_mutex
        watch_lock; /* of `watch`, so that nobody who asks for the end waits for a slow question */
    mr_log_reader *watch;
};

/* Brings the catalogue up to all that is visible. With the lock. */
mr_status registry_catch_up(mr_registry *registry, mr_error *err);
/* A row of the events' topic; texts in the arena. */
mr_status registry_event_of(const mr_batch *batch, uint32_t row, uint64_t offset, mr_arena *arena,
                            mr_registry_event *out, mr_error *err);

/* ---- changes; with the lock ---- */

typedef struct registry_change {
    mr_registry *registry;
    mr_topic *topic; /* its write lock is ours */
} registry_change;

/* Waits for the write lock, and catches up. End it also after a failure. */
mr_status registry_change_begin(registry_change *change, mr_registry *registry, mr_error *err);
/* Appends the events as one, durably, and applies them. Offset, time and principal are filled in. MR_OK: they are
 * made, even if the catalogue cannot show it yet. */
mr_status registry_change_append(registry_change *change, mr_registry_event *events, size_t count,
                                 mr_error *err);
void registry_change_end(registry_change *change);
/* Opens a topic of `changes` for writing, waiting for others. */
mr_status registry_topic_take(mr_registry *registry, const char *name, mr_topic **out,
                              mr_error *err);

/* ---- small questions; caught up, with the lock ---- */

bool registry_is_number(const char *text); /* digits only: no alias, but a version */
mr_status registry_check_name(const char *what, const char *name, mr_error *err);
mr_status registry_check_alias(const char *alias, mr_error *err);
/* Fills name, version, event, hash, folder. MR_NOT_FOUND says what there is. */
mr_status registry_find_version(mr_registry *registry, const char *name, uint64_t version,
                                mr_registry_ref *out, bool *out_retired, mr_error *err);
mr_status registry_find_alias(mr_registry *registry, const char *name, const char *alias,
                              uint64_t *out_version, uint64_t *out_event, mr_error *err);
mr_status registry_artifact_folder(const mr_registry *registry, const char *hash, char *out,
                                   mr_error *err);

#endif
