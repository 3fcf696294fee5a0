/* recovery.c -- what the next writer finds, and what it makes of it.
 *
 * A torn tail and damage in the middle look alike at the first bad byte; what tells them apart is
 * whether the records there were ever durable. W, a lower bound of the durable end, is the largest
 * of the tail file's durable offset (true once, whenever it was written), and the durable offset in
 * the header of every valid block in the file, also of those behind the bad byte. Bad bytes at an
 * offset below W are damage: kept, reported, read past only on request. At or above W they were
 * never acknowledged: everything from there on is cut, even an intact block behind them, because
 * unsynced writes reach the disk in any order.
 *
 *   | ok | ok | BAD | ok durable=17 |       offset of BAD is 9:  9 < 17   damage of [9, 13)
 *   | ok | ok | BAD | ok durable=9  |       offset of BAD is 9:  9 >= 9   torn: cut from BAD on
 *
 * (1) Only the last segment can be torn: a segment begins after the one before it was synced whole.
 * (2) The cut is synced before anything is appended, so what was cut never comes back.
 * (3) What is kept is synced before it is shown: after a killed process it may lie in memory only.
 * (4) After a failed sync the kernel may hold pages for clean that never reached the disk
 * (fsyncgate, 2018), so reading them back and syncing again proves nothing. The tail file says that
 * a sync failed; then all behind its durable end is cut, whole or not. (After a restart of the
 * machine memory is gone and what is read is what the disk has.) */
#include "log/partition.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct tail_scan {
    mr_partition *partition;
    mr_segment *segment;
    mr_segment_walk walk;
    uint64_t expected;         /* offset the next block should have */
    uint64_t durable_offset;   /* W */
    uint64_t durable_position; /* the tail file's, when it speaks of this segment; else 0 */
    bool sync_failed;          /* (4): nothing behind the durable end is believed */
    bool hole_at_end;          /* durable records are missing and nothing follows them */
    bool spare_room;           /* what is cut are zeros that no block has overwritten yet */
} tail_scan;

/* ---- names ---- */

mr_status mr_partition_add_segment(mr_partition *partition, uint64_t base_offset, mr_error *err)
{
    if (partition->segment_count == partition->segment_capacity) {
        size_t capacity = MR_MAX(8, partition->segment_capacity * 2);
        mr_segment_ref *wider = mr_realloc(partition->segments, capacity * sizeof *wider);
        if (wider == NULL)
            return MR_OUT_OF_MEMORY(err);
        partition->segments = wider;
        partition->segment_capacity = capacity;
    }
    partition->segments[partition->segment_count++] = (mr_segment_ref){base_offset};
    return MR_OK;
}

mr_status mr_partition_list_segments(mr_partition *partition, mr_error *err)
{
    char **names;
    size_t count;
    MR_TRY(mr_fs_list(partition->topic->log->fs, partition->folder, &names, &count, err));
    mr_status status = MR_OK;
    partition->segment_count = 0;
    for (size_t i = 0; status == MR_OK && i < count; i++) {
        uint64_t base_offset;
        if (mr_segment_parse_name(names[i], &base_offset))
            status = mr_partition_add_segment(partition, base_offset, err);
    }
    mr_fs_free_names(names, count);
    return status;
}

static mr_status remove_file(mr_partition *partition, uint64_t base_offset, const char *suffix,
                             mr_error *err)
{
    char name[MR_SEGMENT_NAME_BYTES], path[MR_PATH_MAX];
    mr_segment_name(base_offset, suffix, name);
    (void)snprintf(path, sizeof path, "%s/%s", partition->folder, name);
    mr_status status = mr_fs_remove(partition->topic->log->fs, path, err);
    return status == MR_NOT_FOUND ? MR_OK : status;
}

mr_status mr_partition_remove_segment(mr_partition *partition, uint64_t base_offset, mr_error *err)
{
    MR_TRY(remove_file(partition, base_offset, "seg", err));
    MR_TRY(remove_file(partition, base_offset, "idx", err));
    return mr_fs_sync_dir(partition->topic->log->fs, partition->folder, err);
}

/* ---- damage ---- */

static mr_status note_damage(tail_scan *scan, uint64_t end_offset, uint64_t end_position,
                             const char *reason, mr_error *err)
{
    mr_partition *partition = scan->partition;
    mr_log_damage *wider =
        mr_realloc(partition->damages, (partition->damage_count + 1) * sizeof *wider);
    if (wider == NULL)
        return MR_OUT_OF_MEMORY(err);
    partition->damages = wider;
    mr_log_damage *damage = &wider[partition->damage_count++];
    *damage = (mr_log_damage){.partition = partition->number,
                              .first_offset = scan->expected,
                              .end_offset = end_offset,
                              .segment_base = scan->segment->base_offset,
                              .position = scan->walk.position,
                              .bytes = end_position - scan->walk.position};
    (void)snprintf(damage->reason, sizeof damage->reason, "%.150s", reason);
    return MR_OK;
}

/* ---- the scan ---- */

/* Takes the durable ends that blocks behind the bad one know of. */
static mr_status learn_from_later_blocks(tail_scan *scan, mr_error *err)
{
    mr_segment_walk walk = scan->walk;
    uint64_t from = walk.position + MR_ALIGN;
    for (;;) {
        mr_block_header header;
        mr_status status = mr_segment_walk_resync(&walk, from, 0, &header, err);
        if (status != MR_OK)
            return status == MR_END ? MR_OK : status;
        scan->durable_offset = MR_MAX(scan->durable_offset, header.durable_offset);
        from =
            walk.position + MR_ALIGN; /* its length is not trusted here: its body may be garbage */
    }
}

static bool was_durable(const tail_scan *scan)
{
    return scan->expected < scan->durable_offset || scan->walk.position < scan->durable_position;
}

static mr_status accept(tail_scan *scan, const mr_block_header *header, mr_error *err)
{
    mr_partition *partition = scan->partition;
    MR_TRY(mr_index_reserve(&partition->index, err));
    MR_TRY(mr_producers_reserve(&partition->producers, err));
    mr_index_add(&partition->index, scan->walk.position, header);
    mr_producers_note(&partition->producers, header);
    scan->durable_offset = MR_MAX(scan->durable_offset, header->durable_offset);
    scan->expected = header->base_offset + header->row_count;
    scan->walk.position += header->block_bytes;
    return MR_OK;
}

/* The block at the walk's position is bad, and was durable: go on behind it. */
static mr_status pass_damage(tail_scan *scan, const mr_block_header *bad, const char *reason,
                             mr_error *err)
{
    uint64_t from = scan->walk.position + MR_ALIGN, offset_min = scan->expected;
    if (bad != NULL) {
        from = scan->walk.position + bad->block_bytes;
        offset_min = scan->expected + bad->row_count;
    }
    mr_segment_walk at = scan->walk;
    mr_block_header next;
    mr_status status = mr_segment_walk_resync(&at, from, offset_min, &next, err);
    if (status == MR_END) {
        uint64_t end = MR_MAX(scan->durable_offset, offset_min);
        MR_TRY(note_damage(scan, end, scan->walk.limit, reason, err));
        scan->expected = end;
        scan->hole_at_end = true;
        return MR_END;
    }
    MR_TRY(status);
    MR_TRY(note_damage(scan, next.base_offset, at.position, reason, err));
    scan->expected = next.base_offset;
    scan->walk = at;
    return MR_OK;
}

static mr_status check_next(tail_scan *scan, mr_block_header *header, bool *out_header_valid,
                            mr_error *err)
{
    *out_header_valid = false;
    MR_TRY(mr_segment_walk_peek(&scan->walk, header, err));
    if (header->base_offset != scan->expected)
        return MR_FAIL(err, MR_CORRUPT,
                       "a block of offset %" PRIu64 " stands where %" PRIu64 " should",
                       header->base_offset, scan->expected);
    *out_header_valid = true;
    bool trusted =
        header->row_count > 0 && scan->expected + header->row_count <= scan->durable_offset;
    return trusted ? MR_OK : mr_segment_check_body(scan->segment, scan->walk.position, header, err);
}

/* MR_OK: go on; MR_END: the log ends at the walk's position. */
static mr_status scan_one(tail_scan *scan, mr_error *err)
{
    if (scan->sync_failed && !was_durable(scan))
        return MR_END;
    mr_block_header header;
    mr_error reason = {0};
    bool header_valid;
    mr_status status = check_next(scan, &header, &header_valid, &reason);
    if (status == MR_OK)
        return accept(scan, &header, err);
    if (status == MR_END)
        return was_durable(scan) ? pass_damage(scan, NULL, "the file ends early", err) : MR_END;
    if (status != MR_CORRUPT)
        return MR_FAIL(err, status, "%s", reason.text);
    if (!was_durable(scan))
        MR_TRY(mr_segment_is_zero(scan->segment, scan->walk.position, scan->walk.limit,
                                  &scan->spare_room, err));
    if (!was_durable(scan) && !scan->spare_room)
        MR_TRY(learn_from_later_blocks(scan, err));
    if (!was_durable(scan))
        return MR_END;
    return pass_damage(scan, header_valid ? &header : NULL, reason.text, err);
}

static mr_status scan_segment(tail_scan *scan, mr_error *err)
{
    mr_partition *partition = scan->partition;
    uint64_t size;
    MR_TRY(mr_file_size(scan->segment->file, &size, err));
    mr_index_deinit(&partition->index);
    mr_index_init(&partition->index, scan->segment->base_offset, scan->segment->first_position);
    partition->index_base = scan->segment->base_offset;
    mr_segment_walk_init(&scan->walk, scan->segment, scan->segment->first_position, size);
    scan->expected = scan->segment->base_offset;
    mr_status status;
    do
        status = scan_one(scan, err);
    while (status == MR_OK);
    return status == MR_END ? MR_OK : status;
}

/* ---- producers ---- */

static mr_status note_producers(mr_segment *segment, mr_producers *producers, mr_error *err)
{
    mr_segment_walk walk;
    uint64_t size;
    MR_TRY(mr_file_size(segment->file, &size, err));
    mr_segment_walk_init(&walk, segment, segment->first_position, size);
    for (uint64_t expected = segment->base_offset;;) {
        mr_block_header header;
        mr_status status = mr_segment_walk_peek(&walk, &header, err);
        if (status == MR_CORRUPT)
            status =
                mr_segment_walk_resync(&walk, walk.position + MR_ALIGN, expected, &header, err);
        if (status != MR_OK)
            return status == MR_END ? MR_OK : status;
        MR_TRY(mr_producers_reserve(producers, err));
        mr_producers_note(producers, &header);
        expected = header.base_offset + header.row_count;
        walk.position += header.block_bytes;
    }
}

static void move_producers(mr_producers *to, mr_producers *from)
{
    mr_producers_deinit(to);
    *to = *from;
    *from = (mr_producers){0};
}

/* The table as it was when the last segment began: its header has it; when that is damaged, the
 * segments before it are walked from the nearest good header on. */
static mr_status producers_at_start(mr_partition *partition, mr_segment *last, mr_error *err)
{
    if (!last->header_damaged) {
        move_producers(&partition->producers, &last->producers);
        return MR_OK;
    }
    mr_producers_deinit(&partition->producers);
    mr_fs *fs = partition->topic->log->fs;
    size_t first = partition->segment_count - 1;
    for (bool good = false; first > 0 && !good;) {
        mr_segment *segment;
        first--;
        MR_TRY(mr_segment_open(fs, partition->folder, partition->segments[first].base_offset,
                               partition->salt, false, &segment, err));
        good = !segment->header_damaged;
        if (good)
            move_producers(&partition->producers, &segment->producers);
        mr_segment_release(segment);
    }
    mr_status status = MR_OK;
    for (size_t i = first; status == MR_OK && i + 1 < partition->segment_count; i++) {
        mr_segment *segment;
        MR_TRY(mr_segment_open(fs, partition->folder, partition->segments[i].base_offset,
                               partition->salt, false, &segment, err));
        status = note_producers(segment, &partition->producers, err);
        mr_segment_release(segment);
    }
    return status;
}

/* ---- the whole ---- */

static mr_status new_segment(mr_partition *partition, uint64_t base_offset, mr_error *err)
{
    mr_segment *segment;
    MR_TRY(mr_partition_begin_segment(partition, base_offset, &segment, err));
    mr_status status = mr_partition_add_segment(partition, base_offset, err);
    if (status != MR_OK) {
        mr_segment_release(segment);
        return status;
    }
    mr_segment_release(partition->active);
    partition->active = segment;
    mr_index_deinit(&partition->index);
    mr_index_init(&partition->index, base_offset, segment->first_position);
    partition->index_base = base_offset;
    partition->end_offset = base_offset;
    partition->end_position = segment->first_position;
    return MR_OK;
}

/* A segment whose header never became whole holds nothing: its making was cut short. */
static mr_status open_last(mr_partition *partition, uint64_t durable_offset, mr_error *err)
{
    uint64_t base_offset = 0;
    while (partition->segment_count > 0) {
        base_offset = partition->segments[partition->segment_count - 1].base_offset;
        mr_segment *segment;
        uint64_t size;
        MR_TRY(mr_segment_open(partition->topic->log->fs, partition->folder, base_offset,
                               partition->salt, true, &segment, err));
        mr_status status = mr_file_size(segment->file, &size, err);
        if (status != MR_OK || !segment->header_damaged || segment->first_position < size ||
            base_offset < durable_offset) {
            partition->active = segment;
            return status;
        }
        mr_segment_release(segment);
        MR_TRY(mr_partition_remove_segment(partition, base_offset, err));
        partition->segment_count--;
    }
    return new_segment(partition, base_offset, err);
}

static mr_status cut_and_sync(mr_partition *partition, const tail_scan *scan, mr_error *err)
{
    mr_file *file = scan->segment->file;
    uint64_t end = scan->hole_at_end ? scan->walk.limit : scan->walk.position;
    if (end < scan->walk.limit) {
        partition->cut_bytes = scan->spare_room ? 0 : scan->walk.limit - end;
        MR_TRY(mr_file_truncate(file, end, err));
    }
    MR_TRY(mr_file_sync(file, err));
    MR_TRY(mr_fs_sync_dir(partition->topic->log->fs, partition->folder, err));
    partition->end_offset = scan->expected;
    partition->end_position = end;
    return MR_OK;
}

mr_status mr_partition_recover(mr_partition *partition, mr_error *err)
{
    mr_tail tail = {0};
    mr_status status = mr_tail_read(partition->tail_file, partition->salt, &tail, err);
    if (status != MR_OK && status != MR_CORRUPT)
        return status;
    if (status == MR_CORRUPT)
        tail = (mr_tail){0};
    partition->tail_sequence = tail.sequence;
    partition->damage_count = 0;
    partition->cut_bytes = 0;
    MR_TRY(mr_partition_list_segments(partition, err));
    MR_TRY(open_last(partition, tail.durable_offset, err));
    MR_TRY(producers_at_start(partition, partition->active, err));
    tail_scan scan = {.partition = partition,
                      .segment = partition->active,
                      .durable_offset = tail.durable_offset};
    if (tail.segment_base == partition->active->base_offset) {
        scan.durable_position = tail.durable_position;
        scan.sync_failed = tail.sync_failed;
    }
    MR_TRY(scan_segment(&scan, err));
    MR_TRY(cut_and_sync(partition, &scan, err));
    /* Bytes that cannot be read stay for those who may save them; the log goes on in a new file. */
    return scan.hole_at_end ? new_segment(partition, scan.expected, err) : MR_OK;
}
