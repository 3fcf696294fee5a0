/* evidence_origin.c -- from a decision back to the record it was made for, by the journal. */
#include "pipeline/evidence.h"

#include "base/assert.h"
#include "base/number.h"
#include "pipeline/run_internal.h"

#include <stdio.h>
#include <string.h>

bool mr_pipeline_is_producer(const char *pipeline, const char *topic, uint64_t producer_id)
{
    return run_sink_producer_id(pipeline, topic) == producer_id;
}

/* ---- the journal ---- */

static mr_status not_kept(const char *pipeline, uint64_t position, mr_error *err)
{
    return MR_FAIL(err, MR_NOT_FOUND,
                   "the journal of pipeline %s does not show position %llu: it was trimmed, or has "
                   "not come so far",
                   pipeline, (unsigned long long)position);
}

static mr_status entry_at(mr_journal *journal, uint64_t offset, journal_entry *out, mr_error *err)
{
    MR_TRY(mr_journal_rewind(journal, offset, err));
    return mr_journal_next(journal, out, err);
}

/* The entry that took a position: entries are in order of both, so half of those left go with each look. */
static mr_status find_entry(mr_journal *journal, const char *pipeline, uint64_t position,
                            journal_entry *out, mr_error *err)
{
    mr_status status = entry_at(journal, 0, out, err);
    if (status == MR_END || (status == MR_OK && out->position > position) ||
        position >= mr_journal_position_end(journal))
        return not_kept(pipeline, position, err);
    MR_TRY(status);
    uint64_t low = out->offset, high = mr_journal_end(journal);
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        MR_TRY(entry_at(journal, middle, out, err));
        if (out->position <= position)
            low = middle;
        else
            high = middle;
    }
    return entry_at(journal, low, out, err);
}

mr_status mr_journal_plan_at(mr_log *log, const char *pipeline, uint64_t position, uint64_t *out,
                             mr_error *err)
{
    mr_journal *journal;
    journal_entry entry;
    MR_TRY(mr_journal_open(log, pipeline, false, &journal, err));
    mr_status status = find_entry(journal, pipeline, position, &entry, err);
    if (status == MR_OK)
        *out = entry.plan_hash;
    mr_journal_close(journal);
    return status;
}

/* ---- who played ---- */

#define LOOK_BACK                                                                                  \
    4096 /* entries: only some say who plays, so they are searched backwards, a stretch at a time */

/* The newest cast among the entries [from, end), into *out, which stays as it is when there is none. */
static mr_status read_casts(mr_journal *journal, uint64_t from, uint64_t end, mr_bytes *out,
                            mr_error *err)
{
    journal_entry entry;
    mr_status status = entry_at(journal, from, &entry, err);
    while (status == MR_OK && entry.offset < end) {
        if (entry.cast.bytes != NULL) {
            mr_bytes_clear(out);
            mr_bytes_append(out, entry.cast.bytes, entry.cast.size);
            if (out->failed)
                return MR_OUT_OF_MEMORY(err);
        }
        status = mr_journal_next(journal, &entry, err);
    }
    return status == MR_END ? MR_OK : status;
}

mr_status mr_pipeline_cast_at(mr_log *log, const char *pipeline, uint64_t position, mr_bytes *out,
                              mr_error *err)
{
    mr_journal *journal;
    journal_entry entry, first;
    MR_TRY(mr_journal_open(log, pipeline, false, &journal, err));
    mr_status status = find_entry(journal, pipeline, position, &entry, err);
    uint64_t end = status == MR_OK ? entry.offset + 1 : 0, kept = 0;
    if (status == MR_OK && (status = entry_at(journal, 0, &first, err)) == MR_OK)
        kept = first.offset;
    while (status == MR_OK && out->size == 0 && end > kept) {
        uint64_t from = end - kept > LOOK_BACK ? end - LOOK_BACK : kept;
        status = read_casts(journal, from, end, out, err);
        end = from;
    }
    mr_journal_close(journal);
    return status == MR_OK && out->failed ? MR_OUT_OF_MEMORY(err) : status;
}

/* ---- the record's place ---- */

/* "payments/0" */
static mr_status name_stream(const char *name, mr_origin *out, mr_error *err)
{
    const char *slash = strrchr(name, '/');
    int64_t partition = -1;
    if (slash == NULL || !mr_number_is_int64(slash + 1, strlen(slash + 1), &partition) ||
        partition < 0 || (size_t)(slash - name) >= sizeof out->source)
        return MR_FAIL(err, MR_CORRUPT, "the journal names a stream '%.100s'", name);
    (void)snprintf(out->source, sizeof out->source, "%.*s", (int)(slash - name), name);
    out->partition = (uint32_t)partition;
    return MR_OK;
}

static mr_status origin_in(const journal_entry *entry, uint64_t position, mr_origin *out,
                           mr_error *err)
{
    uint64_t taken[STREAMS_MAX] = {0}, at = entry->position;
    for (size_t i = 0; i < entry->run_count; i++) {
        const take_run *run = &entry->runs[i];
        if (position < at + run->rows) {
            out->position = position;
            out->offset = entry->starts[run->stream] + taken[run->stream] + (position - at);
            return name_stream(entry->names[run->stream], out, err);
        }
        at += run->rows;
        taken[run->stream] += run->rows;
    }
    return MR_FAIL(err, MR_CORRUPT, "journal entry %llu does not have position %llu",
                   (unsigned long long)entry->offset, (unsigned long long)position);
}

mr_status mr_pipeline_origin(mr_log *log, const char *pipeline, uint64_t position, mr_origin *out,
                             mr_error *err)
{
    mr_journal *journal;
    journal_entry entry;
    *out = (mr_origin){0};
    MR_TRY(mr_journal_open(log, pipeline, false, &journal, err));
    mr_status status = find_entry(journal, pipeline, position, &entry, err);
    if (status == MR_OK)
        status = origin_in(&entry, position, out, err);
    mr_journal_close(journal);
    return status;
}

/* ---- by counting ---- */

/* Counts the records of the `on` source at the block's positions; that of the row is *out_position. */
static mr_status count_records(mr_journal *journal, const mr_plan *plan,
                               const mr_decision *decision, journal_entry *entry,
                               uint64_t *out_count, uint64_t *out_position, mr_error *err)
{
    const char *on = plan->sources[plan->on].name;
    size_t bytes = strlen(on);
    *out_count = 0;
    for (;;) {
        uint64_t at = entry->position;
        for (size_t i = 0; i < entry->run_count && at < decision->next; i++) {
            const char *name = entry->names[entry->runs[i].stream];
            bool ours = strncmp(name, on, bytes) == 0 && name[bytes] == '/';
            uint64_t from = MR_MAX(at, decision->first);
            uint64_t to = MR_MIN(at + entry->runs[i].rows, decision->next);
            at += entry->runs[i].rows;
            if (!ours || from >= to)
                continue;
            if (decision->row >= *out_count && decision->row < *out_count + (to - from))
                *out_position = from + (decision->row - *out_count);
            *out_count += to - from;
        }
        if (entry->position + entry->rows >= decision->next)
            return MR_OK;
        mr_status status = mr_journal_next(journal, entry, err);
        if (status == MR_END)
            return not_kept(plan->name, decision->next - 1, err);
        MR_TRY(status);
    }
}

mr_status mr_pipeline_origin_of_row(mr_log *log, const mr_plan *plan, const mr_decision *decision,
                                    mr_origin *out, mr_error *err)
{
    mr_journal *journal;
    journal_entry entry;
    uint64_t count = 0, position = 0;
    MR_TRY(mr_journal_open(log, plan->name, false, &journal, err));
    mr_status status = find_entry(journal, plan->name, decision->first, &entry, err);
    if (status == MR_OK)
        status = count_records(journal, plan, decision, &entry, &count, &position, err);
    mr_journal_close(journal);
    MR_TRY(status);
    if (count != decision->rows)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "positions %llu to %llu hold %llu records of %s, and the block %u rows",
                       (unsigned long long)decision->first, (unsigned long long)decision->next,
                       (unsigned long long)count, plan->sources[plan->on].name, decision->rows);
    return mr_pipeline_origin(log, plan->name, position, out, err);
}

/* ---- the record ---- */

static mr_status read_one(mr_topic *topic, const mr_origin *origin, mr_schema *schema,
                          mr_batch **out, mr_error *err)
{
    mr_log_reader *reader = NULL;
    mr_log_block block = {0};
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = origin->offset};
    mr_log_reader_options options = {.schema = schema, .rows_max = 1};
    MR_TRY(mr_log_reader_open(topic, origin->partition, start, &options, &reader, err));
    mr_status status = mr_log_reader_next(reader, &block, err);
    if (status == MR_END)
        status = MR_FAIL(err, MR_NOT_FOUND, "%s has no record %llu", mr_topic_name(topic),
                         (unsigned long long)origin->offset);
    if (status == MR_OK)
        *out = mr_batch_retain(block.batch);
    mr_log_block_release(&block);
    mr_log_reader_close(reader);
    return status;
}

mr_status mr_plan_read_record(const mr_plan *plan, mr_log *log, const mr_origin *origin,
                              mr_batch **out, mr_error *err)
{
    const plan_source *source = NULL;
    *out = NULL;
    for (size_t i = 0; i < plan->source_count; i++)
        if (strcmp(plan->sources[i].name, origin->source) == 0)
            source = &plan->sources[i];
    if (source == NULL)
        return MR_FAIL(err, MR_NOT_FOUND, "pipeline %s has no source %s any more", plan->name,
                       origin->source);
    if (source->topic == NULL)
        return MR_FAIL(err, MR_UNSUPPORTED, "source %s is a file", source->name);
    mr_topic *topic;
    MR_TRY(mr_topic_open(log, source->topic, &topic, err));
    mr_status status = read_one(topic, origin, source->schema, out, err);
    mr_topic_close(topic);
    return status;
}
