/* arrow.h -- batches in and out through the Arrow C data interface, without copying values.
 *
 * The three structs stand in millrace/arrow.h. Our types map as: bool
 * b, int32 i, int64 l, float32 f, float64 g, timestamp tsu:UTC, string u, bytes z, vector(n) +w:n
 * of float32. A batch is a struct (+s) of its columns.
 *
 * Export keeps a share of the batch until the consumer calls release. Import keeps the producer's
 * array alive until the last column is gone, and copies only what our layout has no room for:
 * bitmaps at an offset, NULL rows that do not hold zeros, timestamps in other units, smaller and
 * unsigned integers, large strings. Everything that can be checked is checked, as the buffers come
 * without their sizes: counts, offsets ascending and within 2 GiB, UTF-8. */
#ifndef MR_DATA_ARROW_H
#define MR_DATA_ARROW_H

#include "data/batch.h"
#include "millrace/arrow.h"

/* Fill *out, which the caller (or whoever it is given to) releases through out->release. */
mr_status mr_arrow_export_schema(const mr_schema *schema, struct ArrowSchema *out, mr_error *err);
mr_status mr_arrow_export_batch(mr_batch *batch, struct ArrowArray *out, mr_error *err);

/* Reads a struct schema; the caller still releases `from`. MR_UNSUPPORTED names the column and its
 * format. */
mr_status mr_arrow_import_schema(const struct ArrowSchema *from, mr_schema **out, mr_error *err);
/* Moves *array in (its release becomes NULL) on success; on failure the caller still owns it.
 * `from` describes it. */
mr_status mr_arrow_import_batch(const struct ArrowSchema *from, struct ArrowArray *array,
                                mr_batch **out, mr_error *err);

/* A stream that calls next(context) for batches (MR_OK with NULL: the end) and drop(context) on
 * release. */
typedef struct mr_arrow_producer {
    mr_schema *schema; /* retained */
    mr_status (*next)(void *context, mr_batch **out, mr_error *err);
    void (*drop)(void *context); /* nullable */
    void *context;
} mr_arrow_producer;

mr_status mr_arrow_export_stream(const mr_arrow_producer *producer, struct ArrowArrayStream *out,
                                 mr_error *err);

#endif
