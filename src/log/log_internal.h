/* log_internal.h -- what only the files of this folder share: the root object and the topic object.
 *
 * Locks, outermost first: log->tick_lock, log->lock, topic->lock, partition append lock, partition lock,
 * log->wait_lock, log->upkeep_lock. None is held while user code is called. */
#ifndef MR_LOG_INTERNAL_H
#define MR_LOG_INTERNAL_H

#include "log/log.h"
#include "os/thread.h"

typedef struct mr_partition mr_partition;

struct mr_log {
    mr_fs *fs;
    mr_clock *clock;
    char *root; /* <home>/topics */
    mr_mutex lock;
    mr_topic *topics; /* open ones */
    mr_mutex wait_lock;
    mr_condition published; /* some partition of this process shows more */
    _Atomic uint64_t publish_count;
    _Atomic uint32_t waiter_count;
    /* upkeep.c */
    mr_mutex tick_lock; /* one tick at a time; before all other locks */
    mr_topic *ticking;  /* under lock: being kept up, not to be closed */
    mr_condition tick_moved;
    mr_mutex upkeep_lock; /* innermost */
    mr_condition upkeep_wake;
    mr_thread *upkeep;
    _Atomic bool upkeep_runs, upkeep_wanted;
    bool upkeep_stop;
};

typedef struct mr_schema_version {
    mr_schema *schema;
    int event_time_column; /* -1: none */
} mr_schema_version;

struct mr_topic {
    mr_topic *next;
    mr_log *log;
    uint32_t owners; /* under log->lock */
    char name[MR_TOPIC_NAME_MAX];
    char *folder;
    uint64_t salt;
    mr_mutex lock;
    mr_topic_options options; /* under lock */
    _Atomic int policy;       /* options.sync and its interval, for those who hold other locks */
    _Atomic uint32_t interval_ms;
    mr_schema_version *versions; /* under lock; version i + 1 at i; only grows */
    uint32_t version_count;
    mr_partition *partitions; /* options.partition_count of them */
};

/* ---- upkeep.c ---- */

void mr_log_upkeep_init(mr_log *log);
void mr_log_upkeep_deinit(mr_log *log);
/* Something waits to be done beside the flow; any lock may be held. Nothing happens where no thread keeps up. */
void mr_log_want_upkeep(mr_log *log);

/* ---- topic.c ---- */

/* log->lock held; NULL: not open here. */
mr_topic *mr_topic_find_open(mr_log *log, const char *name);
void mr_topic_share(mr_topic *topic);
/* topic->lock held, or not shared yet. Takes the schemas that are new; releases the rest, frees the array. */
mr_status mr_topic_take_versions(mr_topic *topic, mr_schema **schemas, uint32_t count,
                                 mr_error *err);
/* Releases the schemas and frees the array. */
void mr_topic_drop_versions(mr_schema **schemas, uint32_t count);
/* The id under which batches of `schema` are stored, registering it if it is new and compatible,
 * and the index of its event-time column. */
mr_status mr_topic_schema_for_append(mr_topic *topic, mr_schema *schema, uint32_t *out_id,
                                     int *out_event_time_column, mr_error *err);
/* As mr_topic_schema_version, with the event-time column; reads the file again when the id is not
 * known. */
mr_status mr_topic_schema_lookup(mr_topic *topic, uint32_t id, mr_schema **out,
                                 int *out_event_time_column, mr_error *err);
mr_partition *mr_topic_partition(mr_topic *topic, uint32_t partition, mr_error *err);

/* ---- topic_catalog.c ---- */

/* Its folder holds a topic. */
bool mr_topic_is_there(mr_log *log, const char *folder);

/* ---- descriptor.c: the files of a topic's folder ---- */

/* Folder of a resolved name; out needs MR_PATH_MAX. */
void mr_topic_folder(const mr_log *log, const char *name, char *out);
mr_status mr_descriptor_write(mr_log *log, const char *folder, uint64_t salt,
                              const mr_topic_options *options, mr_error *err);
mr_status mr_descriptor_read(mr_log *log, const char *folder, uint64_t *out_salt,
                             mr_topic_options *out_options, mr_error *err);
/* All versions at once, atomically. */
mr_status mr_schemas_write(mr_log *log, const char *folder, mr_schema *const *schemas,
                           uint32_t count, mr_error *err);
/* The caller releases the schemas and frees the array. */
mr_status mr_schemas_read(mr_log *log, const char *folder, mr_schema ***out_schemas,
                          uint32_t *out_count, mr_error *err);
/* Checks the limits of options and fills in the defaults. */
mr_status mr_topic_options_check(mr_topic_options *options, mr_error *err);
/* Checks one part of a name. */
mr_status mr_topic_check_part(const char *what, const char *part, size_t bytes, mr_error *err);
/* Holds the topic's definition (options, schemas, deletion) against other processes, waiting up to
 * 5 s. */
mr_status mr_topic_lock_definition(mr_log *log, const char *folder, mr_file **out, mr_error *err);

#endif
