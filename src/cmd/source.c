/* source.c -- a text file or a topic, batch after batch. */
#include "cmd/source.h"

#include "cmd/ingest.h"
#include "cmd/progress.h"
#include "cmd/rejects.h"
#include "model/artifact.h"
#include "model/facts.h"
#include "os/process.h"

#include <string.h>

bool mr_source_is_file(const char *source)
{
    mr_text_format format;
    return strcmp(source, "-") == 0 || mr_text_format_of_path(source, &format);
}

/* ---- topics ---- */

static mr_status read_blocks(mr_session *session, mr_log_reader *from, const char *name,
                             const mr_source_reader *reader, mr_error *err)
{
    mr_progress progress;
    mr_status status = MR_OK;
    uint64_t end = mr_log_reader_end(from);
    mr_progress_begin(&progress, session, name, end);
    while (status == MR_OK && mr_log_reader_offset(from) < end) {
        mr_log_block block = {0};
        status = mr_process_stop_asked() == 0
                     ? mr_log_reader_next(from, &block, err)
                     : MR_FAIL(err, MR_INTERRUPTED, "interrupted while reading %s", name);
        if (status == MR_OK)
            status = reader->take(reader->context, block.batch, err);
        mr_log_block_release(&block);
        mr_progress_set(&progress, mr_log_reader_offset(from));
    }
    mr_progress_end(&progress);
    return status;
}

static void tell_partition(const mr_source_reader *reader, const char *topic, uint32_t partition,
                           uint64_t first, uint64_t end)
{
    if (reader->provenance == NULL)
        return;
    mr_bytes_append_text(reader->provenance, "  - {topic: ");
    mr_facts_quote(reader->provenance, topic);
    mr_bytes_printf(reader->provenance, ", partition: %u, first_offset: %llu, end_offset: %llu}\n",
                    partition, (unsigned long long)first, (unsigned long long)end);
}

static mr_status read_partition(mr_session *session, mr_topic *topic, mr_schema *schema,
                                uint32_t partition, const mr_source_reader *reader, mr_error *err)
{
    mr_log_reader *from = NULL;
    mr_log_reader_options options = {.schema = schema, .rows_max = reader->rows_max};
    MR_TRY(mr_log_reader_open(topic, partition, (mr_log_start){0}, &options, &from, err));
    uint64_t first = mr_log_reader_offset(from);
    mr_status status = read_blocks(session, from, mr_topic_name(topic), reader, err);
    if (status == MR_OK)
        tell_partition(reader, mr_topic_name(topic), partition, first, mr_log_reader_offset(from));
    mr_log_reader_close(from);
    return status;
}

static mr_status read_opened(mr_session *session, mr_topic *topic, const mr_source_reader *reader,
                             mr_error *err)
{
    mr_schema *schema = NULL;
    MR_TRY(mr_topic_schema(topic, &schema, NULL, err));
    mr_status status = reader->start(reader->context, schema, err);
    for (uint32_t i = 0; i < mr_topic_partitions(topic) && status == MR_OK; i++)
        status = read_partition(session, topic, schema, i, reader, err);
    mr_schema_release(schema);
    return status;
}

static mr_status read_topic(mr_session *session, const char *name, const mr_source_reader *reader,
                            mr_error *err)
{
    mr_log *log = NULL;
    mr_topic *topic = NULL;
    MR_TRY(mr_session_open_log(session, false, &log, err));
    mr_status status = mr_topic_open(log, name, &topic, err);
    if (status == MR_OK)
        status = read_opened(session, topic, reader, err);
    mr_topic_close(topic);
    mr_log_close(log);
    return status;
}

/* ---- files ---- */

static mr_status read_step(mr_ingest *ingest, mr_rejects *rejects, const char *path,
                           const mr_source_reader *reader, mr_error *err)
{
    mr_batch *batch = NULL;
    size_t count = 0;
    MR_TRY(mr_ingest_next(ingest, &batch, err));
    const mr_reject *refused = mr_decoder_rejects(ingest->decoder, &count);
    mr_status status = mr_rejects_add(rejects, path, refused, count, err);
    if (status == MR_OK && batch != NULL)
        status = reader->take(reader->context, batch, err);
    mr_batch_release(batch);
    return status;
}

static mr_status read_steps(mr_session *session, mr_ingest *ingest, mr_rejects *rejects,
                            const char *path, const mr_source_reader *reader, mr_error *err)
{
    mr_progress progress;
    mr_status status = MR_OK;
    mr_progress_begin(&progress, session, path, mr_input_raw_size(ingest->input));
    while (status == MR_OK) {
        status = read_step(ingest, rejects, path, reader, err);
        mr_progress_set(&progress, mr_input_raw_offset(ingest->input));
    }
    mr_progress_end(&progress);
    return status == MR_END ? MR_OK : status;
}

static mr_status tell_file(mr_session *session, const mr_source_reader *reader, const char *path,
                           mr_error *err)
{
    char hash[MR_SHA256_TEXT_BYTES];
    uint64_t bytes;
    if (reader->provenance == NULL || strcmp(path, "-") == 0)
        return MR_OK;
    MR_TRY(mr_artifact_hash_file(session->fs, path, hash, &bytes, err));
    mr_bytes_append_text(reader->provenance, "  - {file: ");
    mr_facts_quote(reader->provenance, path);
    mr_bytes_printf(reader->provenance, ", sha256: \"%s\", bytes: %llu}\n", hash,
                    (unsigned long long)bytes);
    return MR_OK;
}

static mr_status read_file(mr_session *session, const char *path, mr_schema *schema,
                           const mr_source_reader *reader, uint64_t *out_refused, mr_error *err)
{
    mr_ingest ingest = {0};
    mr_rejects rejects = {0};
    mr_status status;
    MR_GOTO(done, status, reader->start(reader->context, schema, err));
    MR_GOTO(done, status, mr_ingest_init(&ingest, session, schema, true, err));
    MR_GOTO(done, status, mr_rejects_init(&rejects, session, NULL, NULL, NULL, err));
    MR_GOTO(done, status, mr_ingest_open(&ingest, path, err));
    status = read_steps(session, &ingest, &rejects, path, reader, err);
    *out_refused = rejects.count;
    if (status == MR_OK)
        status = tell_file(session, reader, path, err);
done:
    mr_rejects_deinit(&rejects);
    mr_ingest_deinit(&ingest);
    return status;
}

mr_status mr_source_read(mr_session *session, const char *source, mr_schema *schema,
                         const mr_source_reader *reader, uint64_t *out_refused, mr_error *err)
{
    *out_refused = 0;
    return mr_source_is_file(source) ? read_file(session, source, schema, reader, out_refused, err)
                                     : read_topic(session, source, reader, err);
}
