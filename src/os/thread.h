/* thread.h -- threads at the edges: mutex, condition, one thread, and a pool for fork-join stages.
 *
 * The core is steppable: it never needs a thread to make progress. A pool of one worker runs
 * everything on the caller, which is what the simulator uses. */
#ifndef MR_OS_THREAD_H
#define MR_OS_THREAD_H

#include "base/status.h"

#include <pthread.h>

typedef struct mr_mutex {
    pthread_mutex_t handle;
} mr_mutex;

typedef struct mr_condition {
    pthread_cond_t handle;
} mr_condition;

void mr_mutex_init(mr_mutex *mutex);
void mr_mutex_deinit(mr_mutex *mutex);
void mr_mutex_lock(mr_mutex *mutex);
void mr_mutex_unlock(mr_mutex *mutex);

void mr_condition_init(mr_condition *condition);
void mr_condition_deinit(mr_condition *condition);
void mr_condition_wait(mr_condition *condition, mr_mutex *mutex);
/* False when `timeout_ns` passed first. Monotonic. */
bool mr_condition_wait_for(mr_condition *condition, mr_mutex *mutex, int64_t timeout_ns);
void mr_condition_signal(mr_condition *condition);
void mr_condition_broadcast(mr_condition *condition);

typedef struct mr_thread mr_thread;
/* Runs body(context) on a new thread named `name` (15 bytes are kept). Signals are blocked in it.
 */
mr_status mr_thread_start(const char *name, void (*body)(void *), void *context, mr_thread **out,
                          mr_error *err);
void mr_thread_join(mr_thread *thread); /* frees it; NULL is allowed */

int mr_thread_processors(void); /* usable by this process, at least 1 */

/* A fork-join pool: worker 0 is the caller. */
typedef struct mr_pool mr_pool;
#define MR_POOL_WORKERS_MAX 1024
mr_status mr_pool_create(int worker_count, mr_pool **out, mr_error *err);
void mr_pool_destroy(mr_pool *pool); /* NULL is allowed */
int mr_pool_workers(const mr_pool *pool);
/* Calls task(context, worker) once for every worker, worker = 0 .. workers-1, and returns when all
 * are done: a barrier. Workers spin for a few microseconds before they sleep, so a stage of 10 us
 * is worth it. One caller at a time; a task does not run the pool it runs on. */
void mr_pool_run(mr_pool *pool, void (*task)(void *context, int worker), void *context);

#endif
