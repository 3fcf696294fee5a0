/* dead.h -- dead letters: what could not be taken, with the place, the reason and the original bytes.
 *
 * One schema for all who write them, so that one reader understands them all. */
#ifndef MR_PIPELINE_DEAD_H
#define MR_PIPELINE_DEAD_H

#include "data/batch.h"
#include "log/log.h"

typedef struct mr_dead_letter {
    const char *source; /* the topic or pipeline source it was meant for */
    const char *place;  /* "file:line:column" or "topic/partition@offset" */
    const char *field;  /* "" when it is no matter of one field */
    const char *reason; /* a sentence */
    const void *bytes;  /* the record as it came */
    size_t size;
} mr_dead_letter;

/* {source: string, place: string, field: string null, reason: string, record: bytes} */
mr_status mr_dead_letter_schema(mr_schema **out, mr_error *err);
/* Adds one to a builder of that schema. Failures of memory show when the builder is finished. */
void mr_dead_letter_add(mr_builder *builder, const mr_dead_letter *letter);

#endif
