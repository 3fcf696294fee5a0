/* thread_test.c -- the pool runs every worker once a stage, and a stage is a barrier. */
#include "os/thread.h"
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
