/* log_crash_test.c -- a topic on a disk that fails and dies, many short seeded lives.
 *
 * Record k holds id k, and its producer's sequence is k, so at any time the log must read 0, 1, 2, ... n - 1 with
 * acknowledged <= n <= attempted: nothing lost, nothing doubled, nothing invented, in order. What a life
 * ends by is chosen by the seed: a crash in the middle of any change of the disk, a failed read, write or sync, a
 * full disk, or a close. */
#include "log/log_test.h"

#include "base/assert.h"
#include "os/fs_sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct sim_world {
    uint64_t seed;
    mr_random_seeded random;
    mr_fs_sim *disk;
    mr_clock_sim clock;
    mr_schema *schema;
    mr_schema *wider; /* a later version */
    mr_topic_options options;
    bool created;       /* creation was acknowledged */
    uint64_t attempted; /* ids below were handed to append */
    uint64_t acknowledged;
    uint64_t shown;                 /* readers saw ids below */
    uint64_t first_max;             /* retention may have taken ids below */
    uint64_t position_acknowledged; /* of the named position; 0: none */
    uint64_t position_attempted;
    uint32_t epoch;
    mr_log *log;
    mr_topic *topic;
} sim_world;

static uint64_t below(sim_world *world, uint64_t limit)
{
    return mr_random_below(&world->random, limit);
}

#define MUST(world, condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %" PRIu64 ": %s (acknowledged %" PRIu64 ", attempted %" PRIu64 ")",     \
                     (world)->seed, #condition, (world)->acknowledged, (world)->attempted);        \
    } while (0)

static bool may_happen(mr_status status)
{
    return status == MR_IO || status == MR_FULL || status == MR_INTERRUPTED;
}

/* ---- one life ---- */

/* Unsynced bytes are torn, never damaged. */
static void show_damage(void *context, const mr_log_damage *damage)
{
    sim_world *world = context;
    fail_msg("seed %" PRIu64 ": damage of [%" PRIu64 ", %" PRIu64 ") in segment %" PRIu64
             " at byte %" PRIu64 ": %s",
             world->seed, damage->first_offset, damage->end_offset, damage->segment_base,
             damage->position, damage->reason);
}

static mr_status open_world(sim_world *world, mr_error *err)
{
    MR_TRY(mr_log_open(mr_fs_sim_fs(world->disk), &world->clock.clock, "/home", &world->log, err));
    if (!world->created) {
        mr_status status = mr_topic_create(world->log, "t", &world->options, world->schema, err);
        if (status != MR_OK && status != MR_EXISTS)
            return status;
        world->created = status == MR_OK; /* one that is only seen may be gone after a crash */
    }
    MR_TRY(mr_topic_open(world->log, "t", &world->topic, err));
    MR_TRY(mr_topic_open_writer(world->topic, 0, show_damage, world, err));
    world->created = true;
    return MR_OK;
}

static void close_world(sim_world *world)
{
    mr_topic_close(world->topic);
    mr_log_close(world->log);
    world->topic = NULL;
    world->log = NULL;
}

/* What is stored may be more than what was acknowledged, never less. */
static mr_status resume(sim_world *world, uint64_t *out_next, mr_error *err)
{
    uint32_t epoch;
    *out_next = 0;
    mr_status status = mr_topic_producer(world->topic, 0, 7, &epoch, out_next, err);
    if (status != MR_OK && status != MR_NOT_FOUND)
        return status;
    MUST(world, *out_next >= world->acknowledged && *out_next <= world->attempted);
    return MR_OK;
}

/* Ids from `first` on; sometimes in the later version of the schema. */
static mr_batch *make_batch(sim_world *world, uint64_t first, uint32_t rows)
{
    mr_batch *batch = log_test_plain_batch(world->schema, (int64_t)first, rows), *wide;
    mr_error err = {0};
    if (below(world, 40) > 0)
        return batch;
    assert_ok(mr_batch_adapt(batch, world->wider, &wide, &err), &err);
    mr_batch_release(batch);
    return wide;
}

static mr_status append_some(sim_world *world, uint64_t *next, mr_error *err)
{
    static const uint8_t annotation[300];
    uint32_t rows = below(world, 10) == 0 ? 0 : (uint32_t)below(world, 30);
    uint64_t first = *next;
    if (below(world, 10) == 0 && first >= 5) { /* a producer that repeats itself */
        first -= 5;
        rows = 5;
    }
    mr_batch *batch = make_batch(world, first, rows);
    mr_append what = {.batch = batch,
                      .producer_id = rows > 0 ? 7 : 0,
                      .producer_epoch = world->epoch,
                      .sequence_first = first,
                      .sequence_next = first + rows,
                      .annotation = annotation,
                      .annotation_bytes = below(world, sizeof annotation)};
    mr_appended out;
    world->attempted = MR_MAX(world->attempted, first + rows);
    mr_status status = mr_topic_append(world->topic, 0, &what, &out, err);
    mr_batch_release(batch);
    MR_TRY(status);
    MUST(world, out.duplicate == (rows > 0 && first + rows <= *next));
    MUST(world, out.duplicate || out.base_offset == first);
    *next = MR_MAX(*next, first + rows);
    return MR_OK;
}

static mr_status commit_position(sim_world *world, mr_error *err)
{
    uint64_t offset = world->position_attempted + 1;
    world->position_attempted = offset;
    MR_TRY(mr_position_commit(world->topic, "p", &offset, 1, err));
    world->position_acknowledged = offset;
    return MR_OK;
}

static mr_status look(sim_world *world, mr_error *err)
{
    mr_partition_stat stat;
    MR_TRY(mr_topic_stat(world->topic, 0, &stat, err));
    if (world->options.sync != MR_LOG_SYNC_OS) /* which promises nothing */
        world->shown = MR_MAX(world->shown, stat.end_offset);
    return MR_OK;
}

static mr_status do_something(sim_world *world, uint64_t *next, mr_error *err)
{
    mr_clock_sim_advance(&world->clock, (int64_t)below(world, 20000000));
    uint64_t choice = below(world, 20);
    if (choice < 12)
        return append_some(world, next, err);
    if (choice < 16) {
        bool always = world->options.sync == MR_LOG_SYNC_ALWAYS;
        MR_TRY(always ? mr_topic_commit(world->topic, 0, *next, err)
                      : mr_topic_sync(world->topic, 0, err));
        world->acknowledged = *next;
        return MR_OK;
    }
    if (choice == 16)
        return commit_position(world, err);
    if (choice == 17) {
        world->first_max = *next;
        return mr_topic_retain(world->topic, NULL, NULL, NULL, err);
    }
    if (choice == 18)
        return look(world, err);
    int64_t next_ns;
    return mr_log_tick(world->log, &next_ns, err);
}

static mr_status live(sim_world *world, mr_error *err)
{
    uint64_t next, steps = below(world, 40);
    MR_TRY(open_world(world, err));
    MR_TRY(resume(world, &next, err));
    for (uint64_t i = 0; i < steps; i++) {
        mr_status status = do_something(world, &next, err);
        if (status == MR_FULL && below(world, 2) == 0)
            continue; /* a full disk may be tried again */
        MR_TRY(status);
    }
    return MR_OK;
}

/* ---- what must hold ---- */

static void check_block(sim_world *world, const mr_log_block *block)
{
    const int64_t *ids = block->batch->columns[1].values;
    for (uint32_t row = 0; row < block->batch->row_count; row++)
        MUST(world, ids[row] == (int64_t)(block->base_offset + row));
    mr_batch *expected =
        log_test_plain_batch(world->schema, (int64_t)block->base_offset, block->batch->row_count);
    mr_batch *adapted;
    mr_error err = {0};
    assert_ok(mr_batch_adapt(expected, block->batch->schema, &adapted, &err), &err);
    MUST(world, mr_batch_equal(adapted, block->batch));
    mr_batch_release(expected);
    mr_batch_release(adapted);
}

static void check_position(sim_world *world)
{
    mr_error err = {0};
    uint64_t offset = 0;
    mr_status status = mr_position_get(world->topic, "p", &offset, 1, &err);
    MUST(world, status == MR_OK || (status == MR_NOT_FOUND && world->position_acknowledged == 0));
    MUST(world, offset >= world->position_acknowledged && offset <= world->position_attempted);
}

static void check_records(sim_world *world)
{
    mr_error err = {0};
    mr_log_reader *reader;
    assert_ok(mr_log_reader_open(world->topic, 0, (mr_log_start){0}, NULL, &reader, &err), &err);
    uint64_t offset = mr_log_reader_offset(reader);
    MUST(world, offset <= world->first_max);
    for (;;) {
        mr_log_block block;
        mr_status status = mr_log_reader_next(reader, &block, &err);
        if (status == MR_END)
            break;
        if (status != MR_OK)
            fail_msg("seed %" PRIu64 ": %s", world->seed, err.text);
        MUST(world, block.base_offset == offset);
        check_block(world, &block);
        offset = block.next_offset;
        mr_log_block_release(&block);
    }
    MUST(world, offset >= world->acknowledged && offset <= world->attempted);
    MUST(world, offset >= world->shown);
    mr_log_reader_close(reader);
    mr_partition_stat stat;
    assert_ok(mr_topic_stat(world->topic, 0, &stat, &err), &err);
    MUST(world, stat.recovered_damage_count == 0); /* unsynced bytes are torn, never damaged */
    world->acknowledged = offset;                  /* recovery has synced it */
}

static void check_world(sim_world *world)
{
    mr_error err = {0};
    mr_status status = open_world(world, &err);
    if (status != MR_OK)
        fail_msg("seed %" PRIu64 ": %s", world->seed, err.text);
    if (world->topic != NULL) {
        check_records(world);
        check_position(world);
    }
    close_world(world);
}

/* ---- the seeds ---- */

static void plan_trouble(sim_world *world)
{
    static const mr_fs_op ops[] = {MR_FS_READ,     MR_FS_WRITE,    MR_FS_SYNC,
                                   MR_FS_SYNC_DIR, MR_FS_CREATE,   MR_FS_RENAME,
                                   MR_FS_REMOVE,   MR_FS_TRUNCATE, MR_FS_LIST};
    uint64_t choice = below(world, 10);
    if (choice < 5)
        mr_fs_sim_crash_after(world->disk, below(world, below(world, 4) == 0 ? 15 : 80));
    else if (choice < 8)
        mr_fs_sim_fail_after(world->disk, ops[below(world, MR_COUNT_OF(ops))], below(world, 30),
                             below(world, 3) == 0 ? MR_FULL : MR_IO, below(world, 4) == 0);
}

static void run_seed(uint64_t seed, mr_log_sync sync)
{
    sim_world world = {
        .seed = seed, .random = mr_test_random(seed), .schema = log_test_plain_schema()};
    mr_fs_sim_options disk = {.seed = mr_random_next(&world.random)};
    mr_error err = {0};
    static const char wider[] =
        "at: timestamp, id: int64, amount: float64, note: string null, more: int32 null";
    assert_ok(mr_schema_parse(wider, sizeof wider - 1, &world.wider, &err), &err);
    assert_ok(mr_fs_sim_create(&disk, &world.disk, &err), &err);
    mr_clock_sim_init(&world.clock, 1000000);
    world.options = (mr_topic_options){.sync = sync,
                                       .sync_interval_ms = 15,
                                       .codec = (mr_log_codec)below(&world, MR_LOG_CODEC_COUNT),
                                       .segment_bytes = 4096 + below(&world, 30000),
                                       .retention_bytes = below(&world, 2) ? 20000 : 0,
                                       .event_time = "at"};
    for (int i = 0; i < 4; i++) {
        plan_trouble(&world);
        world.epoch++;
        mr_status status = live(&world, &err);
        if (status != MR_OK && !may_happen(status))
            fail_msg("seed %" PRIu64 ": %s: %s", seed, mr_status_name(status), err.text);
        if (mr_fs_sim_is_down(world.disk) || below(&world, 2) == 0)
            mr_fs_sim_crash(world.disk);
        close_world(&world);
        if (mr_fs_sim_is_down(world.disk)) /* the planned crash struck while closing */
            mr_fs_sim_crash(world.disk);
        mr_fs_sim_heal(world.disk);
        check_world(&world);
    }
    mr_fs_sim_destroy(world.disk);
    mr_schema_release(world.schema);
    mr_schema_release(world.wider);
}

TEST(log_crash, survives_crashes_with_all_that_was_acknowledged)
{
    for (uint64_t seed = 0; seed < mr_test_rounds(1500); seed++)
        run_seed(seed, MR_LOG_SYNC_ALWAYS);
}

TEST(log_crash, survives_crashes_under_the_other_policies)
{
    for (uint64_t seed = 100000; seed < 100000 + mr_test_rounds(250); seed++) {
        run_seed(seed, MR_LOG_SYNC_INTERVAL);
        run_seed(seed, MR_LOG_SYNC_OS);
    }
}

/* ---- topics come and go ---- */

typedef enum topic_fate { ABSENT, PRESENT, UNSURE } topic_fate;

#define TOPICS 3

static mr_status come_and_go(sim_world *world, topic_fate *fates, mr_error *err)
{
    MR_TRY(mr_log_open(mr_fs_sim_fs(world->disk), &world->clock.clock, "/home", &world->log, err));
    for (int i = 0; i < 12; i++) {
        uint64_t which = below(world, TOPICS);
        char name[32];
        (void)snprintf(name, sizeof name, "bank/cards/t%d", (int)which);
        mr_clock_sim_advance(&world->clock, 1000000);
        bool create = below(world, 2) == 0;
        topic_fate before = fates[which];
        fates[which] = UNSURE;
        mr_status status =
            create ? mr_topic_create(world->log, name, &world->options, world->schema, err)
                   : mr_topic_delete(world->log, name, err);
        if (status == MR_OK)
            fates[which] = create ? PRESENT : ABSENT;
        else if (status == MR_EXISTS || status == MR_NOT_FOUND)
            fates[which] = before; /* seen, which proves nothing */
        else
            return status;
        MUST(world, status != MR_EXISTS || before != ABSENT);
        MUST(world, status != MR_NOT_FOUND || before != PRESENT);
    }
    return MR_OK;
}

/* A topic that is there is whole: it opens, takes a record, and gives back that one alone. */
static void check_topic(sim_world *world, const char *name, topic_fate fate)
{
    mr_error err = {0};
    mr_appended out;
    mr_status status = mr_topic_open(world->log, name, &world->topic, &err);
    MUST(world, status == MR_OK || status == MR_NOT_FOUND);
    MUST(world, fate == UNSURE || (status == MR_OK) == (fate == PRESENT));
    if (status != MR_OK)
        return;
    mr_batch *batch = log_test_plain_batch(world->schema, 0, 3);
    mr_append what = {.batch = batch, .producer_id = 1, .sequence_next = 3};
    assert_ok(mr_topic_append_commit(world->topic, 0, &what, &out, &err), &err);
    log_model model = {0};
    log_model_add(&model, batch);
    log_model_verify(&model, world->topic, 0, 0);
    log_model_deinit(&model);
    mr_batch_release(batch);
    mr_topic_close(world->topic);
    world->topic = NULL;
}

static void check_topics(sim_world *world, topic_fate *fates)
{
    mr_error err = {0};
    assert_ok(
        mr_log_open(mr_fs_sim_fs(world->disk), &world->clock.clock, "/home", &world->log, &err),
        &err);
    for (int i = 0; i < TOPICS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "bank/cards/t%d", i);
        check_topic(world, name, fates[i]);
    }
    close_world(world);
}

static void run_topics(uint64_t seed)
{
    topic_fate fates[TOPICS] = {ABSENT};
    sim_world world = {
        .seed = seed, .random = mr_test_random(seed), .schema = log_test_plain_schema()};
    mr_fs_sim_options disk = {.seed = mr_random_next(&world.random)};
    mr_error err = {0};
    assert_ok(mr_fs_sim_create(&disk, &world.disk, &err), &err);
    mr_clock_sim_init(&world.clock, 1000000);
    for (int i = 0; i < 3; i++) {
        plan_trouble(&world);
        mr_status status = come_and_go(&world, fates, &err);
        if (status != MR_OK && !may_happen(status))
            fail_msg("seed %" PRIu64 ": %s", seed, err.text);
        if (mr_fs_sim_is_down(world.disk) || below(&world, 2) == 0)
            mr_fs_sim_crash(world.disk);
        close_world(&world);
        mr_fs_sim_heal(world.disk);
        check_topics(&world, fates);
    }
    mr_fs_sim_destroy(world.disk);
    mr_schema_release(world.schema);
}

TEST(log_crash, topics_are_there_whole_or_not_at_all)
{
    for (uint64_t seed = 500000; seed < 500000 + mr_test_rounds(600); seed++)
        run_topics(seed);
}
