/* log_bench.c -- durable append against the disk's own speed, reading to columns, and the latency of small
 * appends.
 *
 * Append writes blocks of 4096 records of about 100 bytes and makes each durable before the next is
 * acknowledged; the peer writes the same bytes to one file, as large, with a sync after each, and knows nothing
 * of records. Both run in turns, and the best round of each counts. */
#include "base/assert.h"
#include "bench/bench.h"
#include "log/log.h"
#include "os/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ROWS   4096
#define BATCHES      96
#define ROUNDS       3
#define SMALL_ROUNDS 500

typedef struct log_bench_state {
    mr_log *log;
    mr_topic *topic;
    mr_batch *batch;
    uint64_t batch_bytes; /* as stored */
    const char *folder;
    mr_error err;
} bench_state;

#define CHECK(state, call) mr_bench_check((call), &(state)->err)

/* 12 columns, 100 bytes a record: what a card payment looks like. */
static const char payment_schema[] =
    "at: timestamp, tx: int64, customer: int64, terminal: int64, amount: float64, currency: int32, "
    "country: int32, risk: float64, device: int64, score: float64, merchant: string, channel: "
    "int32";

static mr_batch *make_batch(bench_state *state)
{
    mr_schema *schema;
    mr_builder builder = {0};
    mr_batch *batch;
    mr_random_seeded random;
    mr_random_seeded_init(&random, 1);
    CHECK(state, mr_schema_parse(payment_schema, sizeof payment_schema - 1, &schema, &state->err));
    CHECK(state, mr_builder_init(&builder, schema, &state->err));
    for (int64_t row = 0; row < BATCH_ROWS; row++) {
        char merchant[16];
        int bytes = snprintf(merchant, sizeof merchant, "merchant-%03d",
                             (int)mr_random_below(&random, 1000));
        for (uint32_t i = 0; i < schema->field_count; i++) {
            mr_builder_column *column = &builder.columns[i];
            if (column->type.id == MR_INT32)
                mr_builder_int32(column, (int32_t)mr_random_below(&random, 300));
            else if (column->type.id == MR_FLOAT64)
                mr_builder_float64(column, mr_random_unit(&random));
            else if (column->type.id == MR_STRING)
                mr_builder_text(column, merchant, (size_t)bytes);
            else
                mr_builder_int64(column, row * 1000 + (int64_t)mr_random_below(&random, 1000));
        }
    }
    CHECK(state, mr_builder_finish(&builder, &batch, &state->err));
    mr_builder_deinit(&builder);
    mr_schema_release(schema);
    return batch;
}

static void make_topic(bench_state *state, const char *name, mr_log_codec codec)
{
    mr_topic_options options = {.event_time = "at", .codec = codec};
    CHECK(state, mr_topic_create(state->log, name, &options, state->batch->schema, &state->err));
    CHECK(state, mr_topic_open(state->log, name, &state->topic, &state->err));
    CHECK(state, mr_topic_open_writer(state->topic, 0, NULL, NULL, &state->err));
}

static void drop_topic(bench_state *state, const char *name)
{
    mr_topic_close(state->topic);
    CHECK(state, mr_topic_delete(state->log, name, &state->err));
}

static void append_one(bench_state *state, bool commit)
{
    mr_append what = {.batch = state->batch};
    mr_appended out;
    CHECK(state, commit ? mr_topic_append_commit(state->topic, 0, &what, &out, &state->err)
                        : mr_topic_append(state->topic, 0, &what, &out, &state->err));
}

static uint64_t topic_bytes(bench_state *state)
{
    mr_partition_stat stat;
    CHECK(state, mr_topic_stat(state->topic, 0, &stat, &state->err));
    return stat.bytes;
}

/* ---- the disk ---- */

static double raw_write_ns(bench_state *state, int sync_every)
{
    char path[MR_PATH_MAX];
    mr_file *file;
    mr_fs *fs = mr_fs_real();
    (void)snprintf(path, sizeof path, "%s/raw", state->folder);
    uint8_t *bytes = mr_alloc_aligned(state->batch_bytes);
    MR_ASSERT(bytes != NULL);
    for (size_t i = 0; i < state->batch_bytes; i++)
        bytes[i] = (uint8_t)(i * 31);
    CHECK(state, mr_fs_open(fs, path, MR_OPEN_NEW, &file, &state->err));
    CHECK(state, mr_file_reserve(file, state->batch_bytes * BATCHES, &state->err));
    int64_t start = mr_bench_now_ns();
    for (int i = 0; i < BATCHES; i++) {
        CHECK(state, mr_file_write(file, (uint64_t)i * state->batch_bytes, bytes,
                                   state->batch_bytes, &state->err));
        if ((i + 1) % sync_every == 0)
            CHECK(state, mr_file_sync(file, &state->err));
    }
    CHECK(state, mr_file_sync(file, &state->err));
    double ns = (double)(mr_bench_now_ns() - start);
    mr_file_close(file);
    CHECK(state, mr_fs_remove(fs, path, &state->err));
    mr_free(bytes);
    return ns;
}

/* ---- append ---- */

static double append_ns(bench_state *state)
{
    make_topic(state, "append", MR_LOG_CODEC_NONE);
    int64_t start = mr_bench_now_ns();
    for (int i = 0; i < BATCHES; i++)
        append_one(state, true);
    double ns = (double)(mr_bench_now_ns() - start);
    state->batch_bytes = topic_bytes(state) / BATCHES / 64 * 64;
    drop_topic(state, "append");
    return ns;
}

/* As a pipeline does it: one thread appends, another commits what is there. */
typedef struct commit_thread {
    bench_state *state;
    mr_mutex lock;
    mr_condition more;
    uint64_t end_offset;
    bool done;
} commit_thread;

static void commit_all(void *context)
{
    commit_thread *self = context;
    mr_error err = {0};
    uint64_t committed = 0;
    for (;;) {
        mr_mutex_lock(&self->lock);
        while (self->end_offset == committed && !self->done)
            mr_condition_wait(&self->more, &self->lock);
        uint64_t end = self->end_offset;
        mr_mutex_unlock(&self->lock);
        if (end == committed)
            return;
        mr_bench_check(mr_topic_commit(self->state->topic, 0, end, &err), &err);
        committed = end;
    }
}

static double append_overlapped_ns(bench_state *state)
{
    make_topic(state, "overlapped", MR_LOG_CODEC_NONE);
    commit_thread committer = {.state = state};
    mr_thread *thread;
    mr_mutex_init(&committer.lock);
    mr_condition_init(&committer.more);
    CHECK(state, mr_thread_start("commit", commit_all, &committer, &thread, &state->err));
    int64_t start = mr_bench_now_ns();
    for (int i = 0; i < BATCHES; i++) {
        append_one(state, false);
        mr_mutex_lock(&committer.lock);
        committer.end_offset += BATCH_ROWS;
        committer.done = i == BATCHES - 1;
        mr_condition_signal(&committer.more);
        mr_mutex_unlock(&committer.lock);
    }
    mr_thread_join(thread);
    double ns = (double)(mr_bench_now_ns() - start);
    mr_condition_deinit(&committer.more);
    mr_mutex_deinit(&committer.lock);
    drop_topic(state, "overlapped");
    return ns;
}

static void report_rate(const bench_state *state, const char *name, double ns)
{
    char full[64];
    double records = (double)BATCHES * BATCH_ROWS;
    (void)snprintf(full, sizeof full, "log.%s.records", name);
    mr_bench_report(full, records / ns * 1e3, "M/s");
    (void)snprintf(full, sizeof full, "log.%s.bytes", name);
    mr_bench_report(full, (double)(state->batch_bytes * BATCHES) / ns * 1e3, "MB/s");
}

static void bench_append(bench_state *state)
{
    double serial = 1e18, overlapped = 1e18, raw = 1e18, raw_end = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        serial = MR_MIN(serial, append_ns(state));
        raw = MR_MIN(raw, raw_write_ns(state, 1));
        overlapped = MR_MIN(overlapped, append_overlapped_ns(state));
        raw_end = MR_MIN(raw_end, raw_write_ns(state, BATCHES));
    }
    report_rate(state, "append.durable", serial);
    report_rate(state, "append.overlapped", overlapped);
    report_rate(state, "append.raw-same-syncs", raw);
    report_rate(state, "append.raw-one-sync", raw_end);
    mr_bench_report("log.append.durable-of-raw", 100 * raw / serial, "%");
    mr_bench_report("log.append.overlapped-of-raw", 100 * raw / overlapped, "%");
}

/* ---- read ---- */

static double read_ns(bench_state *state, bool copy)
{
    mr_log_reader *reader;
    mr_log_reader_options options = {.copy = copy};
    int64_t start = mr_bench_now_ns(), sum = 0;
    uint64_t records = 0;
    CHECK(state,
          mr_log_reader_open(state->topic, 0, (mr_log_start){0}, &options, &reader, &state->err));
    for (;;) {
        mr_log_block block;
        mr_status status = mr_log_reader_next(reader, &block, &state->err);
        if (status == MR_END)
            break;
        CHECK(state, status);
        const int64_t *times = block.batch->columns[0].values;
        records += block.batch->row_count;
        sum += times[block.batch->row_count - 1];
        mr_log_block_release(&block);
    }
    double ns = (double)(mr_bench_now_ns() - start);
    MR_ASSERT(records == (uint64_t)BATCHES * BATCH_ROWS && sum != 0);
    mr_log_reader_close(reader);
    return ns;
}

static void bench_read(bench_state *state, mr_log_codec codec, const char *mapped,
                       const char *copied)
{
    make_topic(state, "read", codec);
    for (int i = 0; i < BATCHES; i++)
        append_one(state, false);
    CHECK(state, mr_topic_sync(state->topic, 0, &state->err));
    double with_map = 1e18, with_copy = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        with_map = MR_MIN(with_map, read_ns(state, false));
        with_copy = MR_MIN(with_copy, read_ns(state, true));
    }
    report_rate(state, mapped, with_map);
    report_rate(state, copied, with_copy);
    drop_topic(state, "read");
}

/* ---- small appends ---- */

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static void report_latency(const char *name, double *ns, size_t count)
{
    char full[64];
    qsort(ns, count, sizeof *ns, by_value);
    (void)snprintf(full, sizeof full, "log.%s.p50", name);
    mr_bench_report(full, ns[count / 2] / 1e3, "us");
    (void)snprintf(full, sizeof full, "log.%s.p99", name);
    mr_bench_report(full, ns[count * 99 / 100] / 1e3, "us");
}

static void bench_small(bench_state *state)
{
    static double ns[SMALL_ROUNDS];
    mr_batch *whole = state->batch;
    CHECK(state, mr_batch_slice(whole, 0, 1, &state->batch, &state->err));
    make_topic(state, "small", MR_LOG_CODEC_NONE);
    for (int i = 0; i < SMALL_ROUNDS; i++) {
        int64_t start = mr_bench_now_ns();
        append_one(state, true);
        ns[i] = (double)(mr_bench_now_ns() - start);
    }
    report_latency("small.append-commit", ns, SMALL_ROUNDS);
    uint64_t bytes = topic_bytes(state) / SMALL_ROUNDS;
    drop_topic(state, "small");
    char path[MR_PATH_MAX];
    mr_file *file;
    static const uint8_t zeros[65536];
    (void)snprintf(path, sizeof path, "%s/raw", state->folder);
    CHECK(state, mr_fs_open(mr_fs_real(), path, MR_OPEN_NEW, &file, &state->err));
    for (int i = 0; i < SMALL_ROUNDS; i++) {
        int64_t start = mr_bench_now_ns();
        CHECK(state, mr_file_write(file, (uint64_t)i * bytes, zeros, bytes, &state->err));
        CHECK(state, mr_file_sync(file, &state->err));
        ns[i] = (double)(mr_bench_now_ns() - start);
    }
    report_latency("small.raw-write-sync", ns, SMALL_ROUNDS);
    mr_file_close(file);
    CHECK(state, mr_fs_remove(mr_fs_real(), path, &state->err));
    mr_batch_release(state->batch);
    state->batch = whole;
}

BENCH(log)
{
    bench_state state = {0};
    char folder[MR_PATH_MAX];
    const char *tmp = getenv("MILLRACE_BENCH_FOLDER");
    (void)snprintf(folder, sizeof folder, "%s/millrace-bench-log", tmp != NULL ? tmp : "build");
    state.folder = folder;
    CHECK(&state, mr_fs_remove_tree(mr_fs_real(), folder, &state.err));
    CHECK(&state, mr_log_open(mr_fs_real(), mr_clock_real(), folder, &state.log, &state.err));
    state.batch = make_batch(&state);
    mr_bench_note("log: batches of %d records, %zu bytes each", BATCH_ROWS,
                  mr_batch_bytes(state.batch) / BATCH_ROWS);
    bench_append(&state);
    bench_read(&state, MR_LOG_CODEC_NONE, "read.mapped", "read.copied");
    bench_read(&state, MR_LOG_CODEC_LZ4, "read-lz4.mapped", "read-lz4.copied");
    bench_small(&state);
    mr_batch_release(state.batch);
    mr_log_close(state.log);
    CHECK(&state, mr_fs_remove_tree(mr_fs_real(), folder, &state.err));
}
