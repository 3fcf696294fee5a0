/* thread_test.c -- threads, conditions, and a pool whose stages are barriers. Made to be run under TSan. */
#include "os/thread.h"
#include "os/clock.h"
#include "test/test.h"

#include <stdlib.h>

#define STAGES 2000

typedef struct stages {
    int64_t cells[8]; /* one a worker, plain: the barrier is what orders them */
    int64_t total;
    int workers;
} stages;

static void add_one(void *context, int worker)
{
    stages *self = context;
    self->cells[worker]++;
}

/* Every worker reads what all wrote in the stage before. */
static void check_all(void *context, int worker)
{
    stages *self = context;
    for (int i = 0; i < self->workers; i++)
        if (self->cells[i] != self->cells[worker])
            abort();
}

TEST(thread, pool_is_a_barrier_between_stages)
{
    mr_error err = {0};
    const int sizes[] = {1, 2, 3, 8};
    for (size_t s = 0; s < 4; s++) {
        stages self = {.workers = sizes[s]};
        mr_pool *pool;
        assert_ok(mr_pool_create(sizes[s], &pool, &err), &err);
        assert_int_equal(mr_pool_workers(pool), sizes[s]);
        for (int i = 0; i < STAGES / sizes[s]; i++) {
            mr_pool_run(pool, add_one, &self);
            mr_pool_run(pool, check_all, &self);
            self.total += self.cells[sizes[s] - 1];
        }
        mr_pool_destroy(pool);
        int64_t n = STAGES / sizes[s];
        assert_int_equal(self.total, n * (n + 1) / 2);
    }
}

/* ---- threads and conditions ---- */

typedef struct mailbox {
    mr_mutex mutex;
    mr_condition changed;
    int content; /* 0: empty */
    int64_t sum;
} mailbox;

static void take_letters(void *context)
{
    mailbox *box = context;
    for (int last = 0; last != -1;) {
        mr_mutex_lock(&box->mutex);
        while (box->content == 0)
            mr_condition_wait(&box->changed, &box->mutex);
        last = box->content;
        box->sum += last > 0 ? last : 0;
        box->content = 0;
        mr_condition_broadcast(&box->changed);
        mr_mutex_unlock(&box->mutex);
    }
}

TEST(thread, conditions_carry_letters)
{
    mr_error err = {0};
    mailbox box = {0};
    mr_mutex_init(&box.mutex);
    mr_condition_init(&box.changed);
    mr_thread *thread;
    assert_ok(
        mr_thread_start("a name of more than fifteen bytes", take_letters, &box, &thread, &err),
        &err);
    for (int i = 1; i <= 500; i++) {
        mr_mutex_lock(&box.mutex);
        while (box.content != 0)
            mr_condition_wait(&box.changed, &box.mutex);
        box.content = i < 500 ? i : -1;
        mr_condition_signal(&box.changed);
        mr_mutex_unlock(&box.mutex);
    }
    mr_thread_join(thread);
    mr_thread_join(NULL);
    assert_int_equal(box.sum, 499 * 500 / 2);
    mr_condition_deinit(&box.changed);
    mr_mutex_deinit(&box.mutex);
}

TEST(thread, waiting_ends_with_the_time)
{
    mr_clock *clock = mr_clock_real();
    mr_mutex mutex;
    mr_condition condition;
    mr_mutex_init(&mutex);
    mr_condition_init(&condition);
    mr_mutex_lock(&mutex);
    int64_t start_ns = clock->mono_ns(clock);
    while (mr_condition_wait_for(&condition, &mutex, 3000000))
        continue;
    assert_true(clock->mono_ns(clock) - start_ns >= 3000000);
    while (mr_condition_wait_for(&condition, &mutex, -1))
        continue;
    mr_mutex_unlock(&mutex);
    mr_condition_deinit(&condition);
    mr_mutex_deinit(&mutex);
}

/* Pauses between stages let the workers fall asleep; without, they are still spinning. */
TEST(thread, pool_wakes_sleepers)
{
    mr_error err = {0};
    mr_clock *clock = mr_clock_real();
    mr_pool *pool;
    stages self = {.workers = 3};
    assert_ok(mr_pool_create(3, &pool, &err), &err);
    for (int i = 0; i < 60; i++) {
        clock->sleep_ns(clock, i % 3 * 100000);
        mr_pool_run(pool, add_one, &self);
        mr_pool_run(pool, check_all, &self);
    }
    mr_pool_destroy(pool);
    mr_pool_destroy(NULL);
    assert_int_equal(self.cells[0], 60);
}

TEST(thread, pool_creation_survives_failing_memory)
{
    mr_error err = {0};
    mr_pool *pool;
    mr_status status = MR_NO_MEMORY;
    for (int64_t n = 0; status != MR_OK; n++) {
        (void)mr_memory_fail_after(n, false);
        status = mr_pool_create(3, &pool, &err);
        (void)mr_memory_fail_after(-1, false);
        assert_true(status == MR_OK || (status == MR_NO_MEMORY && pool == NULL));
        mr_pool_destroy(pool);
        assert_in_range(n, 0, 10);
    }
    assert_int_equal(mr_pool_create(0, &pool, &err), MR_INVALID);
}
