/* writer.h -- bytes written to one file after the other, behind the caller's back when that is wanted.
 *
 * (1) At most MR_WRITER_BUFFERS jobs are on their way; when all are taken there is no buffer, and the caller
 *     comes back later: it never waits for the disk.
 * (2) Jobs run one at a time, in order. After one has failed the rest are let go, until mr_writer_reset.
 * Thread: one caller. Without `background` a job runs inside submit. */
#ifndef MR_STATE_WRITER_H
#define MR_STATE_WRITER_H

#include "base/memory.h"

#define MR_WRITER_BUFFERS 3

typedef struct mr_writer mr_writer;

/* Runs on the writer's thread. `bytes` is what was submitted. */
typedef mr_status (*mr_writer_job)(void *context, const mr_bytes *bytes, mr_error *err);

/* The buffers are counted in the budget, which may be NULL. */
mr_status mr_writer_create(bool background, mr_budget *budget, mr_writer **out, mr_error *err);
void mr_writer_destroy(mr_writer *writer); /* waits; NULL is allowed */
/* The buffer being filled, kept until submit; NULL: all are on their way. */
mr_bytes *mr_writer_buffer(mr_writer *writer);
/* Hands the buffer (as got last) to `job`. */
void mr_writer_submit(mr_writer *writer, mr_writer_job call, void *context);
/* MR_BUSY (err untouched) while jobs are on their way, else how they ended. */
mr_status mr_writer_poll(mr_writer *writer, mr_error *err);
mr_status mr_writer_wait(mr_writer *writer, mr_error *err);
/* Waits, forgets a failure, gives the buffers' memory back. */
void mr_writer_reset(mr_writer *writer);

#endif
