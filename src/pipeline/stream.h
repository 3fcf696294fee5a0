/* stream.h -- one ordered input of a running pipeline: a partition of a topic, or a list of files.
 *
 *   chunk ..... the batch in hand; rows before `next` are taken
 *   ordinal ... the place of a record in its stream: a topic's offset, or the n-th good record of the files
 *
 * (1) The records of a stream have fixed ordinals: reading again gives the same records.
 * (2) Small blocks are joined into larger chunks; where a chunk ends never shows in a result.
 * Records a decoder rejects are not part of the stream; they are reported as they are met, each with a number
 * of its own, so that a second reading does not report them twice. Thread: the pipeline's. */
#ifndef MR_PIPELINE_STREAM_H
#define MR_PIPELINE_STREAM_H

#include "log/log.h"
#include "pipeline/plan_internal.h"

typedef struct mr_stream mr_stream;

/* A record the decoder refused; lent for the call. number: 0, 1, 2, ... in the stream. */
typedef struct stream_reject {
    uint64_t number;
    const char *file;
    uint64_t line, column;
    const char *field;
    const char *reason;
    const uint8_t *bytes;
    size_t size;
} stream_reject;

typedef mr_status (*stream_reject_fn)(void *context, mr_stream *stream, const stream_reject *reject,
                                      mr_error *err);

typedef struct mr_stream_options {
    mr_fs *fs;
    mr_log *log;
    uint32_t rows_max; /* of a chunk */
    bool until_end;    /* the stream ends where its topic ends now */
    stream_reject_fn reject;
    void *context;
} mr_stream_options;

struct mr_stream {
    const plan_source *source;
    uint32_t source_index;
    uint32_t partition;
    char name[MR_NAME_BYTES_MAX + 16]; /* "payments/0" */
    mr_batch *chunk;                   /* NULL: nothing in hand */
    const int64_t *times;              /* event times of the chunk */
    uint32_t next;                     /* first row not taken */
    uint64_t chunk_ordinal;            /* of the chunk's row 0 */
    int64_t append_us; /* wall time at which the chunk's oldest block was appended; 0: files */
    bool ended;        /* nothing will ever come */
    int64_t
        empty_since_ns; /* monotonic; when it was first found without records, INT64_MIN: it has some */
    uint64_t seen;      /* records taken by this process */
    uint64_t checkpoint_ordinal; /* where the newest checkpoint goes on: needed after a crash */
    uint64_t round_ordinal;      /* where the checkpoint that is being written will */
};

mr_status mr_stream_open(const plan_source *source, uint32_t source_index, uint32_t partition,
                         const mr_stream_options *options, mr_stream **out, mr_error *err);
void mr_stream_close(mr_stream *stream); /* NULL is allowed */
/* Goes on at that record. MR_NOT_FOUND: retention has taken it; the text says how much is gone. */
mr_status mr_stream_seek(mr_stream *stream, uint64_t ordinal, mr_error *err);
/* Goes on at the first record that retention has left. *out_removed: how many are passed over. */
mr_status mr_stream_seek_kept(mr_stream *stream, uint64_t ordinal, uint64_t *out_removed,
                              mr_error *err);
/* Retention may soon take records behind checkpoint_ordinal, and a checkpoint now would not need them. */
bool mr_stream_wants_checkpoint(mr_stream *stream);
/* How old a record of the stream may get before retention takes it; INT64_MAX: it stays. */
int64_t mr_stream_age_max_ms(const mr_stream *stream);
/* Gets a chunk when none is in hand; leaves `chunk` NULL when there is nothing now. MR_NOT_FOUND: retention has
 * taken what comes next; nothing else has changed. */
mr_status mr_stream_fill(mr_stream *stream, mr_error *err);
/* Counts `rows` of the chunk as taken; drops the chunk when it was the last. */
void mr_stream_take(mr_stream *stream, uint32_t rows);
uint64_t mr_stream_ordinal(const mr_stream *stream); /* of the next record to take */
/* Records that can be seen and are not taken. */
uint64_t mr_stream_lag(mr_stream *stream);
mr_log_reader *mr_stream_reader(mr_stream *stream); /* NULL for files */

#endif
