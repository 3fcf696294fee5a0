/* encoder_internal.h -- what the two encoders share: room in the output, and values that look the
 * same in both. */
#ifndef MR_DATA_ENCODER_INTERNAL_H
#define MR_DATA_ENCODER_INTERNAL_H

#include "base/number.h"
#include "base/time.h"
#include "data/encoder.h"

#include <string.h>

#define MR_ENCODE_VALUE_MAX 48 /* more than any number, time or word takes */

/* `size` bytes to write at; NULL when there is no memory (out->failed). Commit by adding to
 * out->size. */
static inline char *mr_encode_room(mr_bytes *out, size_t size)
{
    if (out->capacity - out->size < size && !mr_bytes_reserve(out, size))
        return NULL;
    return out->failed ? NULL : (char *)out->data + out->size;
}

static inline void mr_encode_copy(mr_bytes *out, const void *bytes, size_t size)
{
    char *room = mr_encode_room(out, size);
    if (room == NULL)
        return;
    if (size > 0)
        memcpy(room, bytes, size);
    out->size += size;
}

static inline void mr_encode_byte(mr_bytes *out, char byte)
{
    char *room = mr_encode_room(out, 1);
    if (room == NULL)
        return;
    *room = byte;
    out->size++;
}

/* Numbers, bools and timestamps without quotes, into MR_ENCODE_VALUE_MAX bytes; returns the size.
 */
size_t mr_encode_plain(const mr_column *column, size_t row, char *out);
void mr_encode_base64(mr_text text, mr_bytes *out);
/* [1,2.5,NaN] with each value that is not finite between `quote` (nullable text). */
void mr_encode_vector(const float *values, uint32_t width, const char *quote, mr_bytes *out);

void mr_encode_csv_rows(const mr_batch *batch, size_t first, size_t count, char delimiter,
                        mr_bytes *out);
void mr_encode_json_rows(const mr_batch *batch, size_t first, size_t count, mr_bytes *out);

#endif
