/* reader_damage.c -- what cannot be read: said exactly, and passed over only when the caller asks for it. */
#include "log/log_reader_internal.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

mr_status mr_log_reader_note_damage(mr_log_reader *reader, uint64_t end_offset,
                                    uint64_t end_position, const char *reason, mr_error *err)
{
    uint64_t end_of_bytes = end_position != 0 ? end_position : reader->limit;
    reader->damaged = true;
    reader->damage_position_end = end_position;
    reader->damage = (mr_log_damage){.partition = reader->partition->number,
                                     .first_offset = reader->next_offset,
                                     .end_offset = MR_MAX(end_offset, reader->next_offset),
                                     .segment_base = reader->segment->base_offset,
                                     .position = reader->position,
                                     .bytes = end_of_bytes - reader->position};
    (void)snprintf(reader->damage.reason, sizeof reader->damage.reason, "%.159s", reason);
    mr_partition_place(reader->partition, reader->next_offset, err);
    return MR_FAIL(err, MR_CORRUPT,
                   "records [%" PRIu64 ", %" PRIu64 ") cannot be read: %s (segment %020" PRIu64
                   " at byte %" PRIu64 ", %" PRIu64 " bytes)",
                   reader->damage.first_offset, reader->damage.end_offset, reason,
                   reader->damage.segment_base, reader->damage.position, reader->damage.bytes);
}

mr_status mr_log_reader_note_damage_from(mr_log_reader *reader, uint64_t from, const char *reason,
                                         mr_error *err)
{
    mr_segment_walk walk;
    mr_block_header next;
    mr_segment_walk_init(&walk, reader->segment, reader->position, reader->limit);
    mr_status status = mr_segment_walk_resync(&walk, from, reader->next_offset, &next, err);
    if (status == MR_OK)
        return mr_log_reader_note_damage(reader, next.base_offset, walk.position, reason, err);
    if (status != MR_END)
        return status;
    uint64_t end = reader->sealed ? reader->next_base : reader->view.offset;
    return mr_log_reader_note_damage(reader, end != MR_LOG_OFFSET_NONE ? end : reader->view.offset,
                                     0, reason, err);
}

bool mr_log_reader_damage(const mr_log_reader *reader, mr_log_damage *out)
{
    if (reader->damaged)
        *out = reader->damage;
    return reader->damaged;
}

mr_status mr_log_reader_skip_damage(mr_log_reader *reader, mr_error *err)
{
    if (!reader->damaged)
        return MR_FAIL(err, MR_INVALID, "there is no damage to skip");
    reader->damaged = false;
    reader->bytes += reader->damage.bytes;
    reader->next_offset = reader->damage.end_offset;
    reader->position =
        reader->damage_position_end != 0 ? reader->damage_position_end : reader->limit;
    return MR_OK;
}
