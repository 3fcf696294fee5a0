/* tail.c -- the published end of a partition (the record is drawn in tail.h). */
#include "log/tail.h"

#include "base/hash.h"

#include <string.h>

#define TAIL_MAGIC       0x314c544du /* "MTL1" */
#define FLAG_CLEAN       1u
#define FLAG_SYNC_FAILED 2u

/* A record may be caught while it is being rewritten: then it is whole a moment later. */
#define READ_TRIES 8

static void encode(const mr_tail *tail, uint64_t salt, uint8_t *out)
{
    const uint64_t words[8] = {tail->sequence,
                               salt,
                               tail->durable_offset,
                               tail->visible_offset,
                               tail->segment_base,
                               tail->position,
                               tail->durable_position,
                               (tail->clean ? FLAG_CLEAN : 0) |
                                   (tail->sync_failed ? FLAG_SYNC_FAILED : 0)};
    const uint32_t magic = TAIL_MAGIC;
    memcpy(out, &magic, 4);
    memcpy(out + 8, words, sizeof words);
    uint32_t crc = mr_crc32c(0, out + 8, sizeof words);
    memcpy(out + 4, &crc, 4);
}

static bool decode(const uint8_t *bytes, uint64_t salt, mr_tail *out)
{
    mr_reader in = mr_reader_of(bytes, MR_TAIL_BYTES);
    if (mr_reader_u32(&in) != TAIL_MAGIC ||
        mr_reader_u32(&in) != mr_crc32c(0, bytes + 8, MR_TAIL_BYTES - 8))
        return false;
    out->sequence = mr_reader_u64(&in);
    bool ours = mr_reader_u64(&in) == salt;
    out->durable_offset = mr_reader_u64(&in);
    out->visible_offset = mr_reader_u64(&in);
    out->segment_base = mr_reader_u64(&in);
    out->position = mr_reader_u64(&in);
    out->durable_position = mr_reader_u64(&in);
    uint64_t flags = mr_reader_u64(&in);
    out->clean = (flags & FLAG_CLEAN) != 0;
    out->sync_failed = (flags & FLAG_SYNC_FAILED) != 0;
    return ours;
}

mr_status mr_tail_read(mr_file *file, uint64_t salt, mr_tail *out, mr_error *err)
{
    uint8_t bytes[MR_TAIL_BYTES];
    for (int i = 0; i < READ_TRIES; i++) {
        size_t size;
        MR_TRY(mr_file_read(file, 0, bytes, sizeof bytes, &size, err));
        if (size == sizeof bytes && decode(bytes, salt, out))
            return MR_OK;
    }
    return MR_FAIL(err, MR_CORRUPT, "%s holds no valid record", file->path);
}

mr_status mr_tail_write(mr_file *file, uint64_t salt, const mr_tail *tail, mr_error *err)
{
    uint8_t bytes[MR_TAIL_BYTES] = {0};
    encode(tail, salt, bytes);
    return mr_file_write(file, 0, bytes, sizeof bytes, err);
}
