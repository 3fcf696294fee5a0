/* split.c -- which partition a record belongs to: the hash of its key's value.
 *
 * Whole numbers hash as 64-bit values, so that a key column widened from int32 to int64 stays where it is; text
 * hashes by its bytes. The partition is the hash scaled to the count (Lemire 2016), not a remainder. */
#include "log/log.h"

#include "base/hash.h"

#include <string.h>

static uint32_t scale(uint64_t hash, uint32_t count)
{
    return (uint32_t)(((hash >> 32) * count) >> 32);
}

/* +0 and -0 are one key, and so are all NaNs. */
static uint64_t hash_float(double value)
{
    uint64_t bits;
    value = value == 0 ? 0 : value;
    memcpy(&bits, &value, sizeof bits);
    return mr_hash_u64(value != value ? UINT64_C(0x7ff8000000000000) : bits);
}

static uint64_t hash_value(const mr_column *column, size_t row)
{
    switch (column->type.id) {
    case MR_BOOL:
        return mr_hash_u64(mr_bit_get(column->values, row));
    case MR_INT32:
        return mr_hash_u64((uint64_t)(int64_t)((const int32_t *)column->values)[row]);
    case MR_INT64:
    case MR_TIMESTAMP:
        return mr_hash_u64(((const uint64_t *)column->values)[row]);
    case MR_FLOAT32:
        return hash_float((double)((const float *)column->values)[row]);
    case MR_FLOAT64:
        return hash_float(((const double *)column->values)[row]);
    default: {
        mr_text text = mr_column_text(column, row);
        return mr_hash64(text.size > 0 ? (const void *)text.bytes : "", text.size);
    }
    }
}

mr_status mr_partition_of_rows(const mr_column *key, size_t rows, uint32_t partition_count,
                               uint32_t *out, mr_error *err)
{
    if (key->type.id == MR_VECTOR)
        return MR_FAIL(err, MR_INVALID, "a vector column cannot be a key");
    for (size_t row = 0; row < rows; row++)
        out[row] = mr_column_is_null(key, row) ? 0 : scale(hash_value(key, row), partition_count);
    return MR_OK;
}

/* Row numbers grouped by partition, in order: partition p has [starts[p], starts[p + 1]). */
static void group_rows(const uint32_t *partition_of, uint32_t rows, uint32_t count,
                       uint32_t *starts, uint32_t *grouped)
{
    memset(starts, 0, (count + 1) * sizeof *starts);
    for (uint32_t row = 0; row < rows; row++)
        starts[partition_of[row] + 1]++;
    for (uint32_t p = 0; p < count; p++)
        starts[p + 1] += starts[p];
    for (uint32_t row = 0; row < rows; row++)
        grouped[starts[partition_of[row]]++] = row;
    memmove(starts + 1, starts,
            count * sizeof *starts); /* each start has moved on to the next one's */
    starts[0] = 0;
}

static mr_status split_grouped(const mr_batch *batch, const mr_column *key, uint32_t count,
                               uint32_t *memory, mr_batch **out, mr_error *err)
{
    uint32_t rows = batch->row_count;
    uint32_t *partition_of = memory, *grouped = memory + rows, *starts = memory + 2 * (size_t)rows;
    MR_TRY(mr_partition_of_rows(key, rows, count, partition_of, err));
    group_rows(partition_of, rows, count, starts, grouped);
    mr_status status = MR_OK;
    for (uint32_t p = 0; status == MR_OK && p < count; p++)
        if (starts[p + 1] > starts[p])
            status = mr_batch_gather(batch, grouped + starts[p], starts[p + 1] - starts[p], &out[p],
                                     err);
    for (uint32_t p = 0; status != MR_OK && p < count; p++) {
        mr_batch_release(out[p]);
        out[p] = NULL;
    }
    return status;
}

mr_status mr_partition_split(const mr_batch *batch, const char *key, uint32_t partition_count,
                             mr_batch **out, mr_error *err)
{
    memset(out, 0, partition_count * sizeof(mr_batch *));
    int at = mr_schema_find(batch->schema, key);
    if (at < 0)
        return MR_FAIL(err, MR_INVALID, "the key column '%s' is not in the batch", key);
    uint32_t *memory =
        mr_alloc((2 * (size_t)batch->row_count + partition_count + 1) * sizeof(uint32_t));
    if (memory == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = split_grouped(batch, &batch->columns[at], partition_count, memory, out, err);
    mr_free(memory);
    return status;
}
