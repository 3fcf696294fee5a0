/* journal.c -- the order of everything taken, one row a micro-batch, in the topic system/journal/<pipeline>.
 *
 *   position ... of the first record      rows ..... how many records
 *   streams .... names of the streams, one a line
 *   starts ..... where each stream stood before: varint per stream
 *   runs ....... how they were merged: (varint stream, varint rows) ...
 *   cast ....... which versions of its model play from here on (cast.h); NULL: the same as before
 *
 * (1) Entries follow each other without gaps: position + rows is the next entry's position.
 * (2) An entry is written before the blocks that depend on it; it is made durable before them only when it
 *     says what nothing else could say (micro_batch.forced).
 * Thread: the pipeline's, but for commit. */
#include "pipeline/run_internal.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

enum {
    COLUMN_POSITION,
    COLUMN_ROWS,
    COLUMN_PLAN,
    COLUMN_STREAMS,
    COLUMN_STARTS,
    COLUMN_RUNS,
    COLUMN_CAST
};

/* A full journal still spans some million micro-batches: what a view that is added later is filled from. */
#define JOURNAL_BYTES_MAX     (UINT64_C(1) << 30)
#define JOURNAL_SEGMENT_BYTES (UINT64_C(16) << 20)

/* Durable a moment later, beside the flow: what must be durable at once is synced by name. */
static const mr_topic_options journal_options = {.segment_bytes = JOURNAL_SEGMENT_BYTES,
                                                 .retention_bytes = JOURNAL_BYTES_MAX,
                                                 .sync = MR_LOG_SYNC_INTERVAL,
                                                 .sync_interval_ms = 100};

#define JOURNAL_SCHEMA                                                                             \
    "position: int64, rows: int64, plan: int64, streams: string, starts: bytes, runs: bytes, "     \
    "cast: string null"

struct mr_journal {
    mr_topic *topic;
    mr_log_reader *reader;
    mr_schema *schema;
    mr_builder builder;
    mr_bytes starts_bytes, runs_bytes, names_bytes;
    _Atomic uint64_t end; /* offset of the next entry */
    uint64_t end_at_open;
    uint64_t position_end; /* at open */
    mr_log_block block;    /* being read */
    uint32_t block_row;
    bool again; /* the entry just read is the next one */
    take_run *runs;
    size_t run_room;
    uint64_t starts[STREAMS_MAX];
    char *names[STREAMS_MAX];
    size_t name_count;
};

/* ---- birth and death ---- */

/* An older program made journals that were synced by name only. */
static mr_status open_writer(mr_topic *topic, mr_error *err)
{
    mr_topic_options options = mr_topic_get_options(topic);
    if (options.sync != journal_options.sync) {
        options.sync = journal_options.sync;
        options.sync_interval_ms = journal_options.sync_interval_ms;
        MR_TRY(mr_topic_set_options(topic, &options, err));
    }
    return mr_topic_open_writer(topic, 0, NULL, NULL, err);
}

static mr_status open_topic(mr_log *log, const char *pipeline, bool writable, mr_journal *journal,
                            mr_error *err)
{
    char name[MR_TOPIC_NAME_MAX];
    (void)snprintf(name, sizeof name, "system/journal/%s", pipeline);
    MR_TRY(mr_schema_parse(JOURNAL_SCHEMA, strlen(JOURNAL_SCHEMA), &journal->schema, err));
    mr_status status = mr_topic_open(log, name, &journal->topic, err);
    if (status == MR_NOT_FOUND && writable) {
        mr_error_clear(err);
        mr_topic_options options = journal_options;
        MR_TRY(mr_topic_create(log, name, &options, journal->schema, err));
        status = mr_topic_open(log, name, &journal->topic, err);
    }
    MR_TRY(status);
    if (writable)
        MR_TRY(open_writer(journal->topic, err));
    mr_log_reader_options options = {.schema = journal->schema};
    return mr_log_reader_open(journal->topic, 0, (mr_log_start){.kind = MR_LOG_START_FIRST},
                              &options, &journal->reader, err);
}

static int64_t number_at(const mr_journal *journal, int column)
{
    return ((const int64_t *)journal->block.batch->columns[column].values)[journal->block_row];
}

static mr_status find_end(mr_journal *journal, mr_error *err)
{
    journal->end_at_open = mr_log_reader_end(journal->reader);
    atomic_init(&journal->end, journal->end_at_open);
    if (journal->end_at_open == 0)
        return MR_OK;
    mr_log_start last = {.kind = MR_LOG_START_OFFSET, .offset = journal->end_at_open - 1};
    MR_TRY(mr_log_reader_seek(journal->reader, last, err));
    MR_TRY(mr_log_reader_next(journal->reader, &journal->block, err));
    journal->block_row = journal->block.batch->row_count - 1;
    journal->position_end =
        (uint64_t)(number_at(journal, COLUMN_POSITION) + number_at(journal, COLUMN_ROWS));
    return MR_OK;
}

mr_status mr_journal_open(mr_log *log, const char *pipeline, bool writable, mr_journal **out,
                          mr_error *err)
{
    *out = NULL;
    mr_journal *journal = MR_NEW(mr_journal);
    if (journal == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = open_topic(log, pipeline, writable, journal, err);
    if (status == MR_OK)
        status = mr_builder_init(&journal->builder, journal->schema, err);
    if (status == MR_OK)
        status = find_end(journal, err);
    if (status != MR_OK) {
        mr_journal_close(journal);
        return status;
    }
    *out = journal;
    return MR_OK;
}

static void forget_names(mr_journal *journal)
{
    for (size_t i = 0; i < journal->name_count; i++)
        mr_free(journal->names[i]);
    journal->name_count = 0;
}

void mr_journal_close(mr_journal *journal)
{
    if (journal == NULL)
        return;
    mr_log_block_release(&journal->block);
    mr_log_reader_close(journal->reader);
    mr_topic_close(journal->topic);
    mr_builder_deinit(&journal->builder);
    mr_schema_release(journal->schema);
    mr_bytes_deinit(&journal->starts_bytes);
    mr_bytes_deinit(&journal->runs_bytes);
    mr_bytes_deinit(&journal->names_bytes);
    forget_names(journal);
    mr_free(journal->runs);
    mr_free(journal);
}

/* ---- writing ---- */

static void encode_entry(mr_journal *journal, const micro_batch *batch, mr_stream *const *streams,
                         size_t stream_count, const uint64_t *starts)
{
    mr_bytes_clear(&journal->starts_bytes);
    mr_bytes_clear(&journal->runs_bytes);
    mr_bytes_clear(&journal->names_bytes);
    for (size_t i = 0; i < stream_count; i++) {
        mr_bytes_append_varint(&journal->starts_bytes, starts[i]);
        mr_bytes_printf(&journal->names_bytes, "%s\n", streams[i]->name);
    }
    for (size_t i = 0; i < batch->runs.count; i++) {
        mr_bytes_append_varint(&journal->runs_bytes, batch->runs.items[i].stream);
        mr_bytes_append_varint(&journal->runs_bytes, batch->runs.items[i].rows);
    }
}

mr_status mr_journal_append(mr_journal *journal, const micro_batch *batch,
                            mr_stream *const *streams, size_t stream_count, const uint64_t *starts,
                            uint64_t plan_hash, mr_error *err)
{
    encode_entry(journal, batch, streams, stream_count, starts);
    mr_builder_column *columns = journal->builder.columns;
    mr_builder_int64(&columns[COLUMN_POSITION], (int64_t)batch->position);
    mr_builder_int64(&columns[COLUMN_ROWS], batch->rows);
    mr_builder_int64(&columns[COLUMN_PLAN], (int64_t)plan_hash);
    mr_builder_text(&columns[COLUMN_STREAMS], journal->names_bytes.data, journal->names_bytes.size);
    mr_builder_text(&columns[COLUMN_STARTS], journal->starts_bytes.data,
                    journal->starts_bytes.size);
    mr_builder_text(&columns[COLUMN_RUNS], journal->runs_bytes.data, journal->runs_bytes.size);
    if (batch->cast != NULL)
        mr_builder_text(&columns[COLUMN_CAST], batch->cast->data, batch->cast->size);
    else
        mr_builder_null(&columns[COLUMN_CAST]);
    if (journal->starts_bytes.failed || journal->runs_bytes.failed || journal->names_bytes.failed)
        return MR_OUT_OF_MEMORY(err);
    mr_batch *entry;
    MR_TRY(mr_builder_finish(&journal->builder, &entry, err));
    mr_append what = {.batch = entry};
    mr_appended done;
    mr_status status = mr_topic_append(journal->topic, 0, &what, &done, err);
    mr_batch_release(entry);
    if (status != MR_OK)
        return status;
    atomic_store(&journal->end, done.end_offset);
    return MR_OK;
}

mr_status mr_journal_commit(mr_journal *journal, mr_error *err)
{
    return mr_topic_sync(journal->topic, 0, err);
}

mr_status mr_journal_durable(mr_journal *journal, bool *out, mr_error *err)
{
    mr_partition_stat stat;
    MR_TRY(mr_topic_stat(journal->topic, 0, &stat, err));
    *out = stat.durable_offset >= atomic_load(&journal->end);
    return MR_OK;
}

uint64_t mr_journal_end(const mr_journal *journal)
{
    return atomic_load(&journal->end);
}

void mr_journal_trim(mr_journal *journal, uint64_t needed_offset)
{
    mr_topic_retain_soon(journal->topic, needed_offset);
}

uint64_t mr_journal_position_end(const mr_journal *journal)
{
    return journal->position_end;
}

/* ---- reading ---- */

mr_status mr_journal_rewind(mr_journal *journal, uint64_t offset, mr_error *err)
{
    mr_log_block_release(&journal->block);
    forget_names(journal);
    journal->again = false;
    mr_log_start start = {.kind = offset > 0 ? MR_LOG_START_OFFSET : MR_LOG_START_FIRST,
                          .offset = offset};
    return mr_log_reader_seek(journal->reader, start, err);
}

static mr_status read_names(mr_journal *journal, mr_error *err)
{
    forget_names(journal);
    mr_text text =
        mr_column_text(&journal->block.batch->columns[COLUMN_STREAMS], journal->block_row);
    const char *at = (const char *)text.bytes, *end = at + text.size;
    while (at < end && journal->name_count < STREAMS_MAX) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t bytes = line != NULL ? (size_t)(line - at) : (size_t)(end - at);
        char *name = mr_alloc(bytes + 1);
        if (name == NULL)
            return MR_OUT_OF_MEMORY(err);
        memcpy(name, at, bytes);
        name[bytes] = '\0';
        journal->names[journal->name_count++] = name;
        at += bytes + 1;
    }
    return MR_OK;
}

static mr_status add_run(mr_journal *journal, size_t count, take_run run, mr_error *err)
{
    if (count == journal->run_room) {
        size_t room = MR_MAX(64, journal->run_room * 2);
        take_run *grown = mr_realloc(journal->runs, room * sizeof *grown);
        if (grown == NULL)
            return MR_OUT_OF_MEMORY(err);
        journal->runs = grown;
        journal->run_room = room;
    }
    journal->runs[count] = run;
    return MR_OK;
}

static mr_status damaged(const journal_entry *entry, const char *what, mr_error *err)
{
    return MR_FAIL(err, MR_CORRUPT, "journal entry %llu (position %llu) is damaged: %s",
                   (unsigned long long)entry->offset, (unsigned long long)entry->position, what);
}

static mr_status decode_runs(mr_journal *journal, journal_entry *entry, mr_error *err)
{
    mr_text text = mr_column_text(&journal->block.batch->columns[COLUMN_RUNS], journal->block_row);
    mr_reader reader = mr_reader_of(text.bytes, text.size);
    uint64_t total = 0;
    while (mr_reader_left(&reader) > 0 && !reader.failed) {
        uint64_t stream = mr_reader_varint(&reader), rows = mr_reader_varint(&reader);
        if (stream >= journal->name_count || rows == 0 || rows > UINT32_MAX)
            return damaged(entry, "a run names no stream or no rows", err);
        MR_TRY(add_run(journal, entry->run_count++, (take_run){(uint32_t)stream, (uint32_t)rows},
                       err));
        total += rows;
    }
    if (reader.failed || total != entry->rows)
        return damaged(entry, "its runs do not add up", err);
    entry->runs = journal->runs;
    return MR_OK;
}

static mr_status decode_starts(mr_journal *journal, const journal_entry *entry, mr_error *err)
{
    mr_text text =
        mr_column_text(&journal->block.batch->columns[COLUMN_STARTS], journal->block_row);
    mr_reader reader = mr_reader_of(text.bytes, text.size);
    for (size_t i = 0; i < journal->name_count; i++)
        journal->starts[i] = mr_reader_varint(&reader);
    return reader.failed ? damaged(entry, "its starts are cut short", err) : MR_OK;
}

static mr_status next_row(mr_journal *journal, mr_error *err)
{
    if (journal->block.batch != NULL && ++journal->block_row < journal->block.batch->row_count)
        return MR_OK;
    mr_log_block_release(&journal->block);
    if (mr_log_reader_offset(journal->reader) >= journal->end_at_open)
        return MR_END;
    journal->block_row = 0;
    return mr_log_reader_next(journal->reader, &journal->block, err);
}

void mr_journal_again(mr_journal *journal)
{
    journal->again = true;
}

mr_status mr_journal_next(mr_journal *journal, journal_entry *out, mr_error *err)
{
    if (!journal->again)
        MR_TRY(next_row(journal, err));
    journal->again = false;
    uint64_t offset = journal->block.base_offset + journal->block_row;
    MR_TRY(read_names(journal, err));
    *out = (journal_entry){.position = (uint64_t)number_at(journal, COLUMN_POSITION),
                           .rows = (uint64_t)number_at(journal, COLUMN_ROWS),
                           .offset = offset,
                           .plan_hash = (uint64_t)number_at(journal, COLUMN_PLAN),
                           .starts = journal->starts,
                           .names = (const char *const *)journal->names,
                           .stream_count = journal->name_count};
    const mr_column *cast = &journal->block.batch->columns[COLUMN_CAST];
    if (!mr_column_is_null(cast, journal->block_row))
        out->cast = mr_column_text(cast, journal->block_row);
    MR_TRY(decode_runs(journal, out, err));
    return decode_starts(journal, out, err);
}
