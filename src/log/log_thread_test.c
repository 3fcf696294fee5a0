/* log_thread_test.c -- several writers and readers of one partition, and a writer that is killed. */
#include "log/log_test.h"

#include "base/assert.h"
#include "os/thread.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define APPENDERS 4
#define READERS   3
#define APPENDS   60
#define ROWS      7
#define RECORDS   (APPENDERS * APPENDS * ROWS)
#define KILLS     4
#define WAIT_NS   INT64_C(20000000000)

typedef struct crew {
    mr_topic *topic;
    mr_schema *schema;
    uint64_t producer;
    uint64_t seen[APPENDERS + 1]; /* next sequence of each producer */
} crew_member;

/* ---- threads ---- */

static void append_many(void *context)
{
    crew_member *self = context;
    mr_error err = {0};
    for (uint64_t i = 0; i < APPENDS; i++) {
        mr_batch *batch = log_test_plain_batch(self->schema, (int64_t)(i * ROWS), ROWS);
        mr_append what = {.batch = batch,
                          .producer_id = self->producer,
                          .sequence_first = i * ROWS,
                          .sequence_next = i * ROWS + ROWS};
        mr_appended out;
        assert_ok(mr_topic_append_commit(self->topic, 0, &what, &out, &err), &err);
        assert_false(out.duplicate);
        assert_ok(mr_topic_append_commit(self->topic, 0, &what, &out, &err), &err);
        assert_true(out.duplicate);
        mr_batch_release(batch);
    }
}

static void check_sequence(crew_member *self, const mr_log_block *block)
{
    assert_in_range(block->producer_id, 1, APPENDERS);
    assert_int_equal(block->sequence_first, self->seen[block->producer_id]);
    self->seen[block->producer_id] = block->sequence_next;
    assert_int_equal(((const int64_t *)block->batch->columns[1].values)[0],
                     (int64_t)block->sequence_first);
}

static void read_all(void *context)
{
    crew_member *self = context;
    mr_error err = {0};
    mr_log_reader *reader;
    assert_ok(mr_log_reader_open(self->topic, 0, (mr_log_start){0}, NULL, &reader, &err), &err);
    for (uint64_t offset = 0; offset < RECORDS;) {
        mr_log_block block;
        mr_status status = mr_log_reader_next(reader, &block, &err);
        if (status == MR_END) {
            assert_ok(mr_log_reader_wait(&reader, 1, WAIT_NS, &err), &err);
            continue;
        }
        assert_ok(status, &err);
        assert_int_equal(block.base_offset, offset);
        check_sequence(self, &block);
        offset = block.next_offset;
        mr_log_block_release(&block);
    }
    mr_log_reader_close(reader);
}

static void run_crew(const char *home, bool readers_elsewhere, uint64_t segment_bytes)
{
    mr_log *log, *other;
    mr_error err = {0};
    mr_topic *topic, *followed;
    mr_topic_options options = {.segment_bytes = segment_bytes};
    mr_schema *schema = log_test_plain_schema();
    assert_ok(mr_log_open(mr_fs_real(), mr_clock_real(), home, &log, &err), &err);
    assert_ok(mr_log_open(mr_fs_real(), mr_clock_real(), home, &other, &err), &err);
    assert_ok(mr_log_keep_up(log, &err), &err);
    assert_ok(mr_log_keep_up(other, &err), &err);
    assert_ok(mr_topic_create(log, "t", &options, schema, &err), &err);
    assert_ok(mr_topic_open(log, "t", &topic, &err), &err);
    assert_ok(mr_topic_open_writer(topic, 0, NULL, NULL, &err), &err);
    assert_ok(mr_topic_open(readers_elsewhere ? other : log, "t", &followed, &err), &err);
    crew_member crew[APPENDERS + READERS];
    mr_thread *threads[APPENDERS + READERS];
    for (size_t i = 0; i < APPENDERS + READERS; i++) {
        bool appends = i < APPENDERS;
        crew[i] =
            (crew_member){.topic = appends ? topic : followed, .schema = schema, .producer = i + 1};
        assert_ok(mr_thread_start(appends ? "append" : "read", appends ? append_many : read_all,
                                  &crew[i], &threads[i], &err),
                  &err);
    }
    for (size_t i = 0; i < APPENDERS + READERS; i++)
        mr_thread_join(threads[i]);
    mr_topic_close(followed);
    mr_topic_close(topic);
    mr_schema_release(schema);
    mr_log_close(other);
    mr_log_close(log);
}

TEST(log_thread, several_threads_append_and_read)
{
    run_crew(mr_test_folder(), false, 0);
    run_crew(mr_test_folder(), false, 20000);
}

TEST(log_thread, readers_elsewhere_follow_several_appenders)
{
    run_crew(mr_test_folder(), true, 20000);
}

/* ---- kill -9 ---- */

/* The child appends without end and notes in shared memory what was acknowledged. */
static _Noreturn void write_until_killed(const char *home, _Atomic uint64_t *acknowledged)
{
    mr_log *log;
    mr_topic *topic;
    uint32_t epoch;
    uint64_t next = 0;
    mr_schema *schema = log_test_plain_schema();
    if (mr_log_open(mr_fs_real(), mr_clock_real(), home, &log, NULL) != MR_OK ||
        mr_topic_open(log, "t", &topic, NULL) != MR_OK)
        _exit(3);
    (void)mr_topic_producer(topic, 0, 5, &epoch, &next, NULL);
    for (;;) {
        uint32_t rows = 1 + (uint32_t)(next % 60);
        mr_batch *batch = log_test_plain_batch(schema, (int64_t)next, rows);
        mr_append what = {
            .batch = batch, .producer_id = 5, .sequence_first = next, .sequence_next = next + rows};
        mr_appended out;
        if (mr_topic_append_commit(topic, 0, &what, &out, NULL) != MR_OK || out.base_offset != next)
            _exit(4);
        mr_batch_release(batch);
        next += rows;
        atomic_store(acknowledged, next);
    }
}

static uint64_t read_ids(const char *home)
{
    mr_log *log;
    mr_topic *topic;
    mr_log_reader *reader;
    mr_error err = {0};
    assert_ok(mr_log_open(mr_fs_real(), mr_clock_real(), home, &log, &err), &err);
    assert_ok(mr_topic_open(log, "t", &topic, &err), &err);
    assert_ok(mr_log_reader_open(topic, 0, (mr_log_start){0}, NULL, &reader, &err), &err);
    uint64_t next = 0;
    mr_log_block block;
    mr_status status;
    while ((status = mr_log_reader_next(reader, &block, &err)) == MR_OK) {
        const int64_t *ids = block.batch->columns[1].values;
        for (uint32_t row = 0; row < block.batch->row_count; row++)
            assert_int_equal(ids[row], (int64_t)next++);
        mr_log_block_release(&block);
    }
    assert_int_equal(status, MR_END);
    mr_log_reader_close(reader);
    mr_topic_close(topic);
    mr_log_close(log);
    return next;
}

TEST(log_crash, a_killed_writer_loses_and_doubles_nothing)
{
    const char *home = mr_test_folder();
    mr_log *log;
    mr_error err = {0};
    mr_topic_options options = {.segment_bytes = 50000};
    mr_schema *schema = log_test_plain_schema();
    mr_random_seeded random = mr_test_random(9);
    assert_ok(mr_log_open(mr_fs_real(), mr_clock_real(), home, &log, &err), &err);
    assert_ok(mr_topic_create(log, "t", &options, schema, &err), &err);
    mr_log_close(log);
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    _Atomic uint64_t *acknowledged = shared;
    for (uint64_t i = 0; i < mr_test_rounds(KILLS); i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_until_killed(home, acknowledged);
        uint64_t before = atomic_load(acknowledged);
        while (atomic_load(acknowledged) == before && waitpid(child, NULL, WNOHANG) == 0)
            (void)usleep(1000); /* until it lives */
        (void)usleep((useconds_t)mr_random_below(&random, 60000));
        int how;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how));
        assert_true(read_ids(home) >= atomic_load(acknowledged));
    }
    (void)munmap(shared, 4096);
    mr_schema_release(schema);
}
