/* rejects.h -- what text files hold that a topic cannot take: to the dead letters, and told on stderr.
 *
 * They go to a topic (TOPIC.dead) or to a file of JSON lines, in the form of pipeline/dead.h. */
#ifndef MR_CMD_REJECTS_H
#define MR_CMD_REJECTS_H

#include "cmd/session.h"
#include "data/decoder.h"

#define MR_DEAD_SUFFIX ".dead"

typedef struct mr_rejects {
    mr_session *session;
    mr_log *log;
    const char *beside; /* the topic whose dead letters these are; lent */
    const char *path;   /* of the file; NULL: a topic */
    mr_schema *schema;
    mr_topic *topic; /* opened, and created, with the first dead letter */
    mr_file *file;
    uint64_t file_bytes;
    uint64_t producer_id; /* 0: none */
    uint64_t sequence;    /* dead letters of this producer so far */
    uint64_t known;       /* of which the topic has these already */
    uint64_t end_offset;
    uint64_t count; /* records refused */
    uint64_t shown; /* printed on stderr */
} mr_rejects;

/* Opens nothing yet. `path` NULL: the topic `beside` + ".dead"; both NULL: they are only printed and counted. */
mr_status mr_rejects_init(mr_rejects *dead, mr_session *session, mr_log *log, const char *beside,
                          const char *path, mr_error *err);
void mr_rejects_deinit(mr_rejects *dead);
/* The dead letters to come are those of this producer, from its first on. */
mr_status mr_rejects_set_producer(mr_rejects *dead, uint64_t producer_id, mr_error *err);
/* Stores rejects of an input, and prints the first few on stderr. */
mr_status mr_rejects_add(mr_rejects *dead, const char *input, const mr_reject *rejects,
                         size_t count, mr_error *err);
/* All that was added is durable when it returns. */
mr_status mr_rejects_commit(mr_rejects *dead, mr_error *err);
/* The topic's name or the file's, for messages; `out` has MR_PATH_MAX bytes. Returns out. */
const char *mr_rejects_name(const mr_rejects *dead, char *out);

#endif
