/* produce.c -- `millrace produce`: text files into a topic, refused records to the dead letters.
 *
 * With --producer every file is a producer of its own, told by that name and the file's name as
 * given; its accepted rows are numbered 0, 1, 2, ... and every block says which of them it holds. A
 * second run finds in the topic how far the first one came, and leaves out what is there.
 *
 * (1) Row number r of a file goes to the same partition in every run: by the key, or there is only
 * one. (2) In each partition the rows below `known` are stored, those from there on are not. */
#include "base/assert.h"
#include "base/hash.h"
#include "cmd/rejects.h"
#include "cmd/ingest.h"
#include "cmd/progress.h"
#include "cmd/verb.h"
#include "os/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BATCHES_PER_COMMIT                                                                         \
    16 /* one sync for so many batches, unless someone waits at the other end */

#define RETENTION_NS INT64_C(1000000000)

typedef struct produce {
    mr_session *session;
    mr_log *log;
    mr_topic *topic;
    mr_schema *schema;
    const char *topic_name;
    const char *key; /* the column that tells the partition; NULL: one partition */
    uint32_t partition_count;
    uint64_t *known;      /* per partition, of the current file; see (2) */
    uint64_t *end_offset; /* per partition, what is to be committed */
    uint32_t uncommitted; /* batches */
    uint64_t producer_id; /* of the current file; 0: none */
    uint64_t row;         /* accepted rows of the current file so far */
    uint64_t read, good, duplicates;
    int64_t next_retention_ns;
    mr_rejects dead;
    mr_ingest ingest;
    mr_progress progress;
} produce;

/* ---- the topic ---- */

static mr_status create_topic(produce *self, mr_error *err)
{
    mr_topic_options options = {0};
    const char *event_time = mr_arguments_text(&self->session->arguments, "event-time");
    if (event_time != NULL && strlen(event_time) >= sizeof options.event_time)
        return MR_FAIL(err, MR_INVALID,
                       "--event-time names a column of %zu bytes, longer than any can be",
                       strlen(event_time));
    (void)snprintf(options.event_time, sizeof options.event_time, "%s",
                   event_time != NULL ? event_time : "");
    MR_TRY(mr_topic_create(self->log, self->topic_name, &options, self->schema, err));
    mr_session_say(self->session, "created topic %s", self->topic_name);
    return MR_OK;
}

/* With a schema a missing topic is created, and a topic that is there must be able to take it. */
static mr_status open_topic(produce *self, mr_error *err)
{
    MR_TRY(mr_session_schema(self->session, &self->schema, err));
    mr_status status = mr_topic_open(self->log, self->topic_name, &self->topic, err);
    if (status == MR_NOT_FOUND && self->schema != NULL) {
        mr_error_clear(err);
        MR_TRY(create_topic(self, err));
        status = mr_topic_open(self->log, self->topic_name, &self->topic, err);
    }
    if (status == MR_NOT_FOUND)
        mr_error_prefix(err, "--schema would create it");
    MR_TRY(status);
    if (self->schema == NULL)
        return mr_topic_schema(self->topic, &self->schema, NULL, err);
    return mr_topic_set_schema(self->topic, self->schema, NULL, err);
}

static mr_status choose_partitions(produce *self, mr_error *err)
{
    self->key = mr_arguments_text(&self->session->arguments, "key");
    self->partition_count = mr_topic_partitions(self->topic);
    self->known = mr_alloc_zero(self->partition_count, sizeof self->known[0]);
    self->end_offset = mr_alloc_zero(self->partition_count, sizeof self->end_offset[0]);
    if (self->known == NULL || self->end_offset == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (self->key != NULL && mr_schema_find(self->schema, self->key) < 0)
        return MR_FAIL(err, MR_NOT_FOUND, "--key names '%s', which is no column of %s", self->key,
                       self->topic_name);
    if (self->key == NULL && self->partition_count > 1)
        return MR_FAIL(err, MR_INVALID,
                       "%s has %" PRIu32 " partitions: name the column that chooses with --key",
                       self->topic_name, self->partition_count);
    return MR_OK;
}

/* ---- appending ---- */

/* Whoever writes a topic keeps it within its retention, also while the input never ends. */
static mr_status retain(produce *self, mr_error *err)
{
    int64_t now_ns = self->session->clock->mono_ns(self->session->clock);
    if (now_ns < self->next_retention_ns)
        return MR_OK;
    self->next_retention_ns = now_ns + RETENTION_NS;
    return mr_topic_retain(self->topic, NULL, NULL, NULL, err);
}

static mr_status append(produce *self, uint32_t partition, mr_batch *batch, uint64_t first,
                        uint64_t next, mr_error *err)
{
    mr_appended appended;
    mr_append what = {.batch = batch,
                      .producer_id = self->producer_id,
                      .sequence_first = first,
                      .sequence_next = next};
    if (self->producer_id == 0)
        what.sequence_first = what.sequence_next = 0;
    MR_TRY(mr_topic_append(self->topic, partition, &what, &appended, err));
    self->end_offset[partition] = appended.end_offset;
    return MR_OK;
}

/* Rows [at, at + batch rows), all of which a partition has, or none. */
static mr_status append_part(produce *self, uint32_t partition, mr_batch *part, uint64_t at,
                             uint64_t next, mr_error *err)
{
    if (self->known[partition] >= next) {
        self->duplicates += part->row_count;
        return MR_OK;
    }
    return append(self, partition, part, at, next, err);
}

static mr_status append_split(produce *self, mr_batch *batch, uint64_t at, uint64_t next,
                              mr_error *err)
{
    mr_batch **parts = mr_alloc_zero(self->partition_count, sizeof *parts);
    if (parts == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = mr_partition_split(batch, self->key, self->partition_count, parts, err);
    for (uint32_t i = 0; i < self->partition_count; i++) {
        if (status == MR_OK && parts[i] != NULL)
            status = append_part(self, i, parts[i], at, next, err);
        mr_batch_release(parts[i]);
    }
    mr_free(parts);
    return status;
}

static mr_status append_segment(produce *self, const mr_batch *batch, uint64_t at, uint64_t next,
                                mr_error *err)
{
    mr_batch *rows = NULL;
    MR_TRY(mr_batch_slice(batch, (size_t)(at - self->row), (size_t)(next - at), &rows, err));
    mr_status status = self->partition_count == 1 ? append_part(self, 0, rows, at, next, err)
                                                  : append_split(self, rows, at, next, err);
    mr_batch_release(rows);
    return status;
}

/* The batch is cut where a partition's known rows end, so that (2) holds for whole segments. */
static uint64_t segment_end(const produce *self, uint64_t at, uint64_t next)
{
    for (uint32_t i = 0; i < self->partition_count; i++)
        if (self->known[i] > at && self->known[i] < next)
            next = self->known[i];
    return next;
}

static mr_status append_batch(produce *self, const mr_batch *batch, mr_error *err)
{
    uint64_t end = self->row + batch->row_count;
    for (uint64_t at = self->row; at < end;) {
        uint64_t next = segment_end(self, at, end);
        MR_TRY(append_segment(self, batch, at, next, err));
        at = next;
    }
    self->row = end;
    self->good += batch->row_count;
    self->uncommitted++;
    return MR_OK;
}

static mr_status commit(produce *self, mr_error *err)
{
    for (uint32_t i = 0; i < self->partition_count; i++)
        if (self->end_offset[i] > 0)
            MR_TRY(mr_topic_commit(self->topic, i, self->end_offset[i], err));
    self->uncommitted = 0;
    MR_TRY(mr_rejects_commit(&self->dead, err));
    return retain(self, err);
}

/* ---- files ---- */

/* The producer of a file: a hash of both names, never 0. */
static uint64_t producer_of(const char *name, const char *path)
{
    mr_bytes key = {0};
    mr_bytes_printf(&key, "%s%c%s", name, '\0', path);
    uint64_t hash = mr_hash64(key.data, key.size);
    mr_bytes_deinit(&key);
    return MR_MAX(hash, 1);
}

static mr_status start_producer(produce *self, const char *path, mr_error *err)
{
    const char *name = mr_arguments_text(&self->session->arguments, "producer");
    self->row = 0;
    if (name == NULL)
        return MR_OK;
    self->producer_id = producer_of(name, path);
    for (uint32_t i = 0; i < self->partition_count; i++) {
        uint32_t epoch = 0;
        self->known[i] = 0;
        mr_status status =
            mr_topic_producer(self->topic, i, self->producer_id, &epoch, &self->known[i], err);
        if (status != MR_NOT_FOUND)
            MR_TRY(status);
    }
    return mr_rejects_set_producer(&self->dead, self->producer_id, err);
}

static mr_status take_rejects(produce *self, const char *path, mr_error *err)
{
    size_t count = 0;
    const mr_reject *rejects = mr_decoder_rejects(self->ingest.decoder, &count);
    if (count > 0)
        mr_progress_end(&self->progress);
    return mr_rejects_add(&self->dead, path, rejects, count, err);
}

static mr_status produce_step(produce *self, const char *path, mr_error *err)
{
    mr_batch *batch = NULL;
    MR_TRY(mr_ingest_next(&self->ingest, &batch, err));
    mr_status status = take_rejects(self, path, err);
    if (status == MR_OK && batch != NULL)
        status = append_batch(self, batch, err);
    mr_batch_release(batch);
    MR_TRY(status);
    if (self->uncommitted >= BATCHES_PER_COMMIT || mr_ingest_would_wait(&self->ingest))
        MR_TRY(commit(self, err));
    mr_progress_set(&self->progress, mr_input_raw_offset(self->ingest.input));
    return MR_OK;
}

static mr_status produce_file(produce *self, const char *path, mr_error *err)
{
    MR_TRY(mr_ingest_open(&self->ingest, path, err));
    MR_TRY(start_producer(self, path, err));
    mr_progress_begin(&self->progress, self->session, path, mr_input_raw_size(self->ingest.input));
    mr_status status;
    do
        status = produce_step(self, path, err);
    while (status == MR_OK);
    mr_progress_end(&self->progress);
    self->read += mr_decoder_count(self->ingest.decoder).records;
    mr_status committed = commit(self, status == MR_END ? err : NULL);
    return status == MR_END ? committed : status;
}

static mr_status produce_files(produce *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    if (arguments->operand_count < 2)
        return produce_file(self, "-", err);
    for (size_t i = 1; i < arguments->operand_count; i++)
        MR_TRY(produce_file(self, mr_arguments_operand(arguments, i), err));
    return MR_OK;
}

/* ---- the verb ---- */

static void summarise(produce *self)
{
    char name[MR_PATH_MAX];
    mr_session *session = self->session;
    uint64_t stored = self->good - self->duplicates;
    if (session->json)
        mr_output_printf(&session->out,
                         "{\"topic\":\"%s\",\"read\":%" PRIu64 ",\"stored\":%" PRIu64
                         ",\"dead\":%" PRIu64 ",\"already_there\":%" PRIu64 "}\n",
                         mr_topic_name(self->topic), self->read, stored, self->dead.count,
                         self->duplicates);
    mr_session_say(session, "%s: %" PRIu64 " records read, %" PRIu64 " stored, %" PRIu64 " dead",
                   self->topic_name, self->read, stored, self->dead.count);
    if (self->duplicates > 0)
        mr_session_say(session,
                       "  %" PRIu64 " were there already, from an earlier run of this producer",
                       self->duplicates);
    if (self->dead.count > 0)
        mr_session_say(session, "  dead letters are in %s", mr_rejects_name(&self->dead, name));
}

static mr_status produce_all(produce *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    MR_TRY(mr_log_keep_up(self->log, err));
    MR_TRY(open_topic(self, err));
    MR_TRY(choose_partitions(self, err));
    MR_TRY(mr_rejects_init(&self->dead, self->session, self->log, self->topic_name,
                           mr_arguments_text(arguments, "dead-letters"), err));
    MR_TRY(mr_ingest_init(&self->ingest, self->session, self->schema, false, err));
    mr_status status = produce_files(self, err);
    if (status == MR_OK || status == MR_INTERRUPTED || self->good > 0)
        summarise(self); /* also of a file that turned out to be damaged further on */
    return status == MR_OK ? mr_topic_retain(self->topic, NULL, NULL, NULL, err) : status;
}

static mr_status produce_run(mr_session *session, mr_error *err)
{
    produce self = {.session = session, .topic_name = mr_arguments_operand(&session->arguments, 0)};
    mr_process_catch_signals();
    mr_status status = mr_session_open_log(session, true, &self.log, err);
    if (status == MR_OK)
        status = produce_all(&self, err);
    if (status == MR_OK && self.dead.count > 0)
        session->exit_code = MR_EXIT_DEAD_LETTERS;
    mr_ingest_deinit(&self.ingest);
    mr_rejects_deinit(&self.dead);
    mr_topic_close(self.topic);
    mr_log_close(self.log);
    mr_schema_release(self.schema);
    mr_free(self.known);
    mr_free(self.end_offset);
    return status;
}

static const struct mr_operand operands[] = {
    {"TOPIC", false, false, "where the records go"},
    {"FILE", true, true, "CSV or JSON lines, also .zst and .gz; - or nothing is standard input"},
    {0},
};

static const struct mr_option options[] = {
    MR_SCHEMA_OPTIONS,
    {"event-time", '\0', "COLUMN", NULL, NULL,
     "of a topic that is created: the column that says when"},
    MR_INGEST_OPTIONS,
    {"key", '\0', "COLUMN", NULL, NULL,
     "the column that tells the partition, when there are several"},
    {"producer", '\0', "NAME", NULL, NULL,
     "number the records, so that running again with the same name and files stores only what is "
     "missing"},
    {"dead-letters", '\0', "FILE", NULL, NULL,
     "write refused records to FILE as JSON lines, instead of the topic TOPIC.dead"},
    {0},
};

static const mr_example examples[] = {
    {"millrace produce payments payments.csv.zst --schema \"tx: int64, at: timestamp, amount: "
     "float64\"",
     "load a file; the topic is created when it is not there"},
    {"tail -f events.jsonl | millrace produce events --format jsonl",
     "store what a program writes, as it comes"},
    {"millrace produce payments day1.csv day2.csv --producer nightly",
     "can be run again after a crash: nothing is stored twice"},
    {0},
};

static const mr_verb_exit exits[] = {
    {MR_EXIT_DEAD_LETTERS, "done, but some records were refused and went to the dead letters"},
    {0},
};

const struct mr_verb mr_verb_produce = {
    .name = "produce",
    .summary = "store records from files or standard input in a topic",
    .about =
        "Records are checked against the schema and stored in batches. A record that does not fit "
        "goes to "
        "the dead letters with its place, the reason and its bytes; the rest of the file goes on.\n"
        "A file is told by its name as given, so that --producer recognises it in the next run; a "
        "file "
        "that has grown since is continued.",
    .operands = operands,
    .options = options,
    .examples = examples,
    .exits = exits,
    .run = produce_run,
};
