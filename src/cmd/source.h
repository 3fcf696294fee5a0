/* source.h -- a text file or a topic, batch after batch: what verbs read that take "FILE|TOPIC".
 *
 * A source is a file when its ending says so, or "-", standard input; else it is a topic, read partition after
 * partition up to where each ends when it is opened. */
#ifndef MR_CMD_SOURCE_H
#define MR_CMD_SOURCE_H

#include "cmd/session.h"

typedef struct mr_source_reader {
    mr_status (*start)(void *context, const mr_schema *schema,
                       mr_error *err);                                /* before all batches */
    mr_status (*take)(void *context, mr_batch *batch, mr_error *err); /* lends the batch */
    void *context;
    uint32_t rows_max; /* of a batch of a topic */
    mr_bytes *
        provenance; /* gets what was read, a line each as in `training_data` of facts.h; NULL: nobody asks */
} mr_source_reader;

bool mr_source_is_file(const char *source);
/* `schema` is that of a file; a topic has its own. Refused records of a file are printed, and counted in
 * *out_refused. MR_INTERRUPTED: a signal asked to stop. */
mr_status mr_source_read(mr_session *session, const char *source, mr_schema *schema,
                         const mr_source_reader *reader, uint64_t *out_refused, mr_error *err);

#endif
