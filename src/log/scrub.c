/* scrub.c -- reads everything that is visible and checks it whole: checksums, lengths, columns. */
#include "log/partition.h"

#include <stdio.h>

typedef struct scrub_run {
    const mr_scrub_watch *watch;
    mr_scrub_report *report;
    const char *topic;
    uint64_t bytes_done;
    uint64_t bytes_total;
} scrub_run;

static void note_damage(scrub_run *run, const mr_log_damage *damage)
{
    run->report->damage_count++;
    run->report->records_damaged += damage->end_offset - damage->first_offset;
    if (run->watch != NULL && run->watch->damage != NULL)
        run->watch->damage(run->watch->context, damage);
}

static mr_status tell_progress(scrub_run *run, mr_error *err)
{
    if (run->watch == NULL || run->watch->progress == NULL ||
        run->watch->progress(run->watch->context, run->topic, run->bytes_done, run->bytes_total))
        return MR_OK;
    return MR_FAIL(err, MR_INTERRUPTED, "scrub of %s was stopped", run->topic);
}

/* A damaged segment header costs nothing but time, but it is damage all the same. */
static mr_status check_segment_header(scrub_run *run, mr_partition *partition, uint64_t offset,
                                      uint64_t *out_next_base, mr_error *err)
{
    mr_segment *segment;
    uint64_t bytes;
    MR_TRY(mr_partition_open_segment(partition, offset, &segment, out_next_base, err));
    mr_status status = mr_file_size(segment->file, &bytes, err);
    if (status == MR_OK)
        run->bytes_total += bytes;
    if (status == MR_OK && segment->header_damaged) {
        mr_log_damage damage = {.partition = partition->number,
                                .first_offset = segment->base_offset,
                                .end_offset = segment->base_offset,
                                .segment_base = segment->base_offset,
                                .bytes = segment->first_position};
        (void)snprintf(damage.reason, sizeof damage.reason, "segment header: %.140s",
                       segment->header_reason);
        note_damage(run, &damage);
    }
    mr_segment_release(segment);
    return status;
}

static mr_status check_segment_headers(scrub_run *run, mr_partition *partition, mr_error *err)
{
    uint64_t offset;
    MR_TRY(mr_partition_first_offset(partition, &offset, err));
    while (offset != MR_LOG_OFFSET_NONE)
        MR_TRY(check_segment_header(run, partition, offset, &offset, err));
    return MR_OK;
}

static void count_block(scrub_run *run, const mr_log_block *block)
{
    run->report->blocks_checked++;
    run->report->records_checked += block->batch->row_count;
}

static mr_status scrub_blocks(scrub_run *run, mr_log_reader *reader, mr_error *err)
{
    for (;;) {
        mr_log_block block;
        mr_error reason = {0};
        mr_status status = mr_log_reader_next(reader, &block, &reason);
        mr_log_damage damage;
        if (status == MR_OK) {
            count_block(run, &block);
            mr_log_block_release(&block);
        } else if (status == MR_CORRUPT && mr_log_reader_damage(reader, &damage)) {
            note_damage(run, &damage);
            MR_TRY(mr_log_reader_skip_damage(reader, err));
        } else {
            return status == MR_END ? MR_OK : MR_FAIL(err, status, "%s", reason.text);
        }
        run->bytes_done = mr_log_reader_bytes(reader);
        MR_TRY(tell_progress(run, err));
    }
}

static mr_status scrub_partition(scrub_run *run, mr_topic *topic, uint32_t number, mr_error *err)
{
    mr_log_reader *reader;
    mr_log_reader_options options = {.empty_blocks = true, .copy = true};
    mr_partition_view view;
    run->bytes_done = run->bytes_total = 0;
    MR_TRY(mr_partition_see(&topic->partitions[number], &view, err));
    MR_TRY(check_segment_headers(run, &topic->partitions[number], err));
    MR_TRY(mr_log_reader_open(topic, number, (mr_log_start){0}, &options, &reader, err));
    mr_status status = scrub_blocks(run, reader, err);
    run->report->bytes_checked += mr_log_reader_bytes(reader);
    mr_log_reader_close(reader);
    return status;
}

static mr_status scrub_topic(mr_log *log, const char *name, const mr_scrub_watch *watch,
                             mr_scrub_report *report, mr_error *err)
{
    mr_topic *topic;
    MR_TRY(mr_topic_open(log, name, &topic, err));
    scrub_run run = {.watch = watch, .report = report, .topic = topic->name};
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < mr_topic_partitions(topic); i++)
        status = scrub_partition(&run, topic, i, err);
    mr_topic_close(topic);
    return status;
}

mr_status mr_log_scrub(mr_log *log, const char *name, const mr_scrub_watch *watch,
                       mr_scrub_report *report, mr_error *err)
{
    if (name != NULL)
        return scrub_topic(log, name, watch, report, err);
    char **names;
    size_t count;
    MR_TRY(mr_topic_list(log, NULL, &names, &count, err));
    mr_status status = MR_OK;
    for (size_t i = 0; status == MR_OK && i < count; i++)
        status = scrub_topic(log, names[i], watch, report, err);
    mr_fs_free_names(names, count);
    return status;
}
