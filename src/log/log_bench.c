/* log_bench.c -- durable append against the disk's own speed, reading to columns, and the latency of small
 * appends.
 *
 * Append writes blocks of 4096 records of about 100 bytes and makes each durable before the next; the peer
 * writes as many bytes to one file, with a sync after each, and knows nothing of records. Both take turns, batch
 * by batch, so that they meet the same disk, and the medians count. Overlapped is what a pipeline does: one
 * thread appends while another commits what is there; its peer syncs once at the end. */
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

/* ---- append ---- */

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double percentile(double *ns, size_t count, size_t percent)
{
    qsort(ns, count, sizeof *ns, by_value);
    return ns[count * percent / 100];
}

typedef struct raw_file {
    mr_file *file;
    char path[MR_PATH_MAX];
    uint8_t *bytes;
    uint64_t end;
} raw_file;

static void open_raw(bench_state *state, size_t bytes, raw_file *raw)
{
    (void)snprintf(raw->path, sizeof raw->path, "%.4000s/raw", state->folder);
    raw->end = 0;
    raw->bytes = mr_alloc_aligned(bytes);
    MR_ASSERT(raw->bytes != NULL);
    for (size_t i = 0; i < bytes; i++)
        raw->bytes[i] = (uint8_t)(i * 31);
    CHECK(state, mr_fs_open(mr_fs_real(), raw->path, MR_OPEN_NEW, &raw->file, &state->err));
    CHECK(state, mr_file_reserve(raw->file, bytes * BATCHES, &state->err));
}

static void close_raw(bench_state *state, raw_file *raw)
{
    mr_file_close(raw->file);
    CHECK(state, mr_fs_remove(mr_fs_real(), raw->path, &state->err));
    mr_free(raw->bytes);
}

static void write_raw(bench_state *state, raw_file *raw, size_t bytes, bool sync)
{
    CHECK(state, mr_file_write(raw->file, raw->end, raw->bytes, bytes, &state->err));
    raw->end += bytes;
    if (sync)
        CHECK(state, mr_file_sync(raw->file, &state->err));
}

static void report_rate(const bench_state *state, const char *name, double ns_per_batch)
{
    char full[64];
    (void)snprintf(full, sizeof full, "log.%s.records", name);
    mr_bench_report(full, BATCH_ROWS / ns_per_batch * 1e3, "M/s");
    (void)snprintf(full, sizeof full, "log.%s.bytes", name);
    mr_bench_report(full, (double)state->batch_bytes / ns_per_batch * 1e3, "MB/s");
}

static void bench_durable(bench_state *state)
{
    static double ours[BATCHES], peers[BATCHES];
    raw_file raw = {0};
    make_topic(state, "durable", MR_LOG_CODEC_NONE);
    append_one(state, true);
    state->batch_bytes = topic_bytes(state);
    open_raw(state, state->batch_bytes, &raw);
    for (int i = 0; i < BATCHES; i++) {
        int64_t start = mr_bench_now_ns();
        append_one(state, true);
        int64_t middle = mr_bench_now_ns();
        write_raw(state, &raw, state->batch_bytes, true);
        ours[i] = (double)(middle - start);
        peers[i] = (double)(mr_bench_now_ns() - middle);
    }
    double own = percentile(ours, BATCHES, 50), peer = percentile(peers, BATCHES, 50);
    report_rate(state, "append.durable", own);
    report_rate(state, "append.raw-same-syncs", peer);
    mr_bench_report("log.append.durable-of-raw", 100 * peer / own, "%");
    close_raw(state, &raw);
    drop_topic(state, "durable");
}

static double raw_one_sync_ns(bench_state *state)
{
    raw_file raw = {0};
    open_raw(state, state->batch_bytes, &raw);
    int64_t start = mr_bench_now_ns();
    for (int i = 0; i < BATCHES; i++)
        write_raw(state, &raw, state->batch_bytes, i == BATCHES - 1);
    double ns = (double)(mr_bench_now_ns() - start) / BATCHES;
    close_raw(state, &raw);
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
    double ns = (double)(mr_bench_now_ns() - start) / BATCHES;
    mr_condition_deinit(&committer.more);
    mr_mutex_deinit(&committer.lock);
    drop_topic(state, "overlapped");
    return ns;
}

static void bench_overlapped(bench_state *state)
{
    double own = 1e18, peer = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        own = MR_MIN(own, append_overlapped_ns(state));
        peer = MR_MIN(peer, raw_one_sync_ns(state));
    }
    report_rate(state, "append.overlapped", own);
    report_rate(state, "append.raw-one-sync", peer);
    mr_bench_report("log.append.overlapped-of-raw", 100 * peer / own, "%");
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
    double ns = (double)(mr_bench_now_ns() - start) / BATCHES;
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

static void report_latency(const char *name, double *ns, size_t count)
{
    char full[64];
    (void)snprintf(full, sizeof full, "log.%s.p50", name);
    mr_bench_report(full, percentile(ns, count, 50) / 1e3, "us");
    (void)snprintf(full, sizeof full, "log.%s.p99", name);
    mr_bench_report(full, percentile(ns, count, 99) / 1e3, "us");
}

/* One record an append, in turns with as many bytes written and synced. */
static void bench_small(bench_state *state)
{
    static double ours[SMALL_ROUNDS], peers[SMALL_ROUNDS];
    mr_batch *whole = state->batch;
    raw_file raw = {0};
    CHECK(state, mr_batch_slice(whole, 0, 1, &state->batch, &state->err));
    make_topic(state, "small", MR_LOG_CODEC_NONE);
    append_one(state, true);
    uint64_t bytes = topic_bytes(state);
    open_raw(state, bytes, &raw);
    for (int i = 0; i < SMALL_ROUNDS; i++) {
        int64_t start = mr_bench_now_ns();
        append_one(state, true);
        int64_t middle = mr_bench_now_ns();
        write_raw(state, &raw, bytes, true);
        ours[i] = (double)(middle - start);
        peers[i] = (double)(mr_bench_now_ns() - middle);
    }
    report_latency("small.append-commit", ours, SMALL_ROUNDS);
    report_latency("small.raw-write-sync", peers, SMALL_ROUNDS);
    close_raw(state, &raw);
    drop_topic(state, "small");
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
    CHECK(&state, mr_log_keep_up(state.log, &state.err)); /* as every program that appends does */
    state.batch = make_batch(&state);
    mr_bench_note("log: batches of %d records, %zu bytes each", BATCH_ROWS,
                  mr_batch_bytes(state.batch) / BATCH_ROWS);
    bench_durable(&state);
    bench_overlapped(&state);
    bench_read(&state, MR_LOG_CODEC_NONE, "read.mapped", "read.copied");
    bench_read(&state, MR_LOG_CODEC_LZ4, "read-lz4.mapped", "read-lz4.copied");
    bench_small(&state);
    mr_batch_release(state.batch);
    mr_log_close(state.log);
    CHECK(&state, mr_fs_remove_tree(mr_fs_real(), folder, &state.err));
}
