/* millrace.h -- Millrace as a library: topics, pipelines and models in your own process.
 *
 *   millrace_home ........ a home directory: topics, state and pipelines live in it
 *   millrace_topic ....... a durable sequence of records: append to it, read from it
 *   millrace_pipeline .... a declared pipeline (YAML) that is advanced by calls
 *   millrace_model ....... a model file that scores rows
 *
 * Records go in and out through the Arrow C data interface (no copy), or as CSV and JSON lines. Every call that
 * can fail returns a millrace_status, 0 when it went well, and fills *error (which may be NULL) with a sentence.
 * `open` gives you a handle that you `close`; closing NULL is allowed. Close what was opened from a home before
 * the home.
 *
 * Threads: a home and a topic may be used from any thread; a pipeline and a stream by one at a time; a model by
 * any number at once. The library starts no threads but those of a pipeline's workers and makes no use of
 * signals. It may be used together with the program `millrace` on the same home; one process writes a topic's
 * partition at a time. */
#ifndef MILLRACE_MILLRACE_H
#define MILLRACE_MILLRACE_H

#include <millrace/arrow.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MR_API __attribute__((visibility("default")))

/* ---- errors ---- */

typedef enum millrace_status {
    MILLRACE_OK = 0,
    MILLRACE_INVALID,     /* invalid input */
    MILLRACE_NOT_FOUND,   /* no such thing */
    MILLRACE_EXISTS,      /* exists already */
    MILLRACE_CONFLICT,    /* conflicts with what is there */
    MILLRACE_CORRUPT,     /* data is damaged */
    MILLRACE_IO,          /* input or output failed */
    MILLRACE_FULL,        /* a limit is reached; may go away */
    MILLRACE_NO_MEMORY,   /* may go away */
    MILLRACE_BUSY,        /* in use by another; may go away */
    MILLRACE_UNSUPPORTED, /* not supported */
    MILLRACE_INTERRUPTED, /* may go away */
    MILLRACE_END,         /* end of data: no failure */
    MILLRACE_INTERNAL     /* a mistake of ours */
} millrace_status;

/* Belongs to the caller; nothing in it is allocated. */
typedef struct millrace_error {
    millrace_status status;
    char place[256]; /* "file:line:column", "topic/partition@offset" or "" */
    char text[1024]; /* one sentence */
} millrace_error;

MR_API const char *millrace_version(void);                       /* "0.1.0" */
MR_API const char *millrace_status_name(millrace_status status); /* "not_found" */
MR_API bool millrace_status_retriable(millrace_status status);   /* trying again can help */

/* ---- a home ---- */

typedef struct millrace_home millrace_home;

/* Opens the folder, and makes it when it is not there. */
MR_API millrace_status millrace_home_open(const char *folder, millrace_home **out,
                                          millrace_error *error);
MR_API void millrace_home_close(millrace_home *home);

/* ---- topics ---- */

typedef struct millrace_topic millrace_topic;

/* `schema` is text, as in "tx: int64, at: timestamp, note: string null"; `event_time` names a timestamp column, or
 * is NULL. MILLRACE_EXISTS when there is one of that name. */
MR_API millrace_status millrace_topic_create(millrace_home *home, const char *name,
                                             const char *schema, const char *event_time,
                                             millrace_error *error);
MR_API millrace_status millrace_topic_open(millrace_home *home, const char *name,
                                           millrace_topic **out, millrace_error *error);
MR_API void millrace_topic_close(millrace_topic *topic);

/* Appends one record batch (a struct array, see the Arrow specification) to partition 0, durably as the topic's
 * sync policy says. Takes *batch on success (its release becomes NULL); *schema stays yours. The columns must
 * be those of the topic, or of a compatible newer schema. *out_offset (may be NULL): of the first row. */
MR_API millrace_status millrace_topic_append(millrace_topic *topic,
                                             const struct ArrowSchema *schema,
                                             struct ArrowArray *batch, uint64_t *out_offset,
                                             millrace_error *error);

/* Called for each record that does not fit. Everything is lent for the call. */
typedef void (*millrace_reject_fn)(void *context, uint64_t line, uint64_t column,
                                   const char *reason, const void *record, size_t record_bytes);

/* Decodes `format` ("csv" with a header line, or "jsonl") and appends what fits. Records that do not fit are given
 * to `reject` (may be NULL) and left out. The counts may be NULL. */
MR_API millrace_status millrace_topic_append_text(millrace_topic *topic, const char *format,
                                                  const void *text, size_t text_bytes,
                                                  millrace_reject_fn reject, void *context,
                                                  uint64_t *out_accepted, uint64_t *out_rejected,
                                                  millrace_error *error);

/* Offsets of a partition: the oldest that is kept, and one past the newest that can be read. */
MR_API millrace_status millrace_topic_range(millrace_topic *topic, uint32_t partition,
                                            uint64_t *out_first, uint64_t *out_end,
                                            millrace_error *error);

/* Reads records from `offset` on as a stream of record batches that ends where the partition ends now. The
 * stream, which you release, keeps the topic open. */
MR_API millrace_status millrace_topic_read(millrace_topic *topic, uint32_t partition,
                                           uint64_t offset, struct ArrowArrayStream *out,
                                           millrace_error *error);

/* ---- pipelines ---- */

typedef struct millrace_pipeline millrace_pipeline;

/* Opens a pipeline file (YAML) on a home: recovers, and is ready to go on where it was. `workers` 0: one per
 * processor. With `until_end` it ends where its sources end now. MILLRACE_BUSY: it runs elsewhere. */
MR_API millrace_status millrace_pipeline_open(millrace_home *home, const char *file, int workers,
                                              bool until_end, millrace_pipeline **out,
                                              millrace_error *error);
/* One micro-batch. *out_records (may be NULL) is how many were taken; 0: nothing was there. MILLRACE_END: all is
 * done (until_end). */
MR_API millrace_status millrace_pipeline_step(millrace_pipeline *pipeline, uint32_t *out_records,
                                              millrace_error *error);
/* Waits until a source has something, at most so long. */
MR_API millrace_status millrace_pipeline_wait(millrace_pipeline *pipeline, int64_t timeout_ms,
                                              millrace_error *error);
/* Feature values of one key as of the last micro-batch: a batch of one row, which you release, as its schema. */
MR_API millrace_status millrace_pipeline_features(millrace_pipeline *pipeline, const char *view,
                                                  const char *key, struct ArrowSchema *out_schema,
                                                  struct ArrowArray *out_row,
                                                  millrace_error *error);
/* Finishes what is in flight and checkpoints, so that the next open has nothing to replay. */
MR_API millrace_status millrace_pipeline_stop(millrace_pipeline *pipeline, millrace_error *error);
/* Without a stop before it: as after a crash. The next open recovers. */
MR_API void millrace_pipeline_close(millrace_pipeline *pipeline);

/* ---- models ---- */

typedef struct millrace_model millrace_model;

/* Opens a model file (XGBoost JSON) or an artifact folder. */
MR_API millrace_status millrace_model_open(const char *path, millrace_model **out,
                                           millrace_error *error);
MR_API void millrace_model_close(millrace_model *model);
MR_API uint32_t millrace_model_input_count(const millrace_model *model);
MR_API uint32_t millrace_model_output_count(const millrace_model *model);
/* Lent by the model; NULL when there is no input of that index. */
MR_API const char *millrace_model_input_name(const millrace_model *model, uint32_t index);

/* Scores `row_count` rows of input_count floats each, one row behind the other, in the model's order; NaN is a
 * missing value. Writes output_count scores a row, row by row. */
MR_API millrace_status millrace_model_score(const millrace_model *model, const float *rows,
                                            size_t row_count, float *out_scores,
                                            millrace_error *error);

#ifdef __cplusplus
}
#endif

#endif
