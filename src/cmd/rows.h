/* rows.h -- all rows of a source at once, in memory: what training needs.
 *
 * Rows may be limited to a span of a timestamp column. What a source is: cmd/source.h. */
#ifndef MR_CMD_ROWS_H
#define MR_CMD_ROWS_H

#include "cmd/session.h"

typedef struct mr_rows_options {
    mr_schema *schema;    /* of a file; not used for a topic */
    const char *time;     /* the column that from and until speak of; NULL: no limits */
    int64_t from_us;      /* INT64_MIN: no limit */
    int64_t until_us;     /* INT64_MAX: no limit; rows at it are not taken */
    mr_bytes *provenance; /* gets what was read, see cmd/source.h; may be NULL */
} mr_rows_options;

/* One batch of all rows, the caller's. Refused rows of a file are printed, and counted in *out_refused.
 * MR_NOT_FOUND: there are none. */
mr_status mr_rows_read(mr_session *session, const char *source, const mr_rows_options *options,
                       mr_batch **out, uint64_t *out_refused, mr_error *err);

#endif
