/* thread.c -- POSIX threads, and a pool whose workers meet at a barrier after every stage.
 *
 *   caller   run: generation++ ---- task(0) ---- waits for left == 0
 *   worker   waits for generation to move ---- task(w) ---- left--
 *
 * (1) Both waits spin for a few microseconds, then sleep on a condition; whoever changes what is
 * waited for does so, or rings, under the mutex, so no wake-up is lost. (2) `task` and `context`
 * are written before `generation` is stored and read after it is loaded. (3) A pool with more
 * workers than processors never spins: it would take the time of who is waited for. */
#include "os/thread.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- mutex and condition ---- */

void mr_mutex_init(mr_mutex *mutex)
{
    MR_ASSERT(pthread_mutex_init(&mutex->handle, NULL) == 0);
}

void mr_mutex_deinit(mr_mutex *mutex)
{
    MR_ASSERT(pthread_mutex_destroy(&mutex->handle) == 0);
}

void mr_mutex_lock(mr_mutex *mutex)
{
    MR_ASSERT(pthread_mutex_lock(&mutex->handle) == 0);
}

void mr_mutex_unlock(mr_mutex *mutex)
{
    MR_ASSERT(pthread_mutex_unlock(&mutex->handle) == 0);
}

void mr_condition_init(mr_condition *condition)
{
    pthread_condattr_t attributes;
    MR_ASSERT(pthread_condattr_init(&attributes) == 0);
    MR_ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    MR_ASSERT(pthread_cond_init(&condition->handle, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

void mr_condition_deinit(mr_condition *condition)
{
    MR_ASSERT(pthread_cond_destroy(&condition->handle) == 0);
}

void mr_condition_wait(mr_condition *condition, mr_mutex *mutex)
{
    MR_ASSERT(pthread_cond_wait(&condition->handle, &mutex->handle) == 0);
}

static int64_t mono_ns(void)
{
    struct timespec now;
    MR_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool mr_condition_wait_for(mr_condition *condition, mr_mutex *mutex, int64_t timeout_ns)
{
    int64_t now = mono_ns();
    int64_t until = timeout_ns < INT64_MAX - now ? now + MR_MAX(timeout_ns, 0) : INT64_MAX;
    struct timespec end = {.tv_sec = (time_t)(until / 1000000000),
                           .tv_nsec = (long)(until % 1000000000)};
    int result = pthread_cond_timedwait(&condition->handle, &mutex->handle, &end);
    MR_ASSERT(result == 0 || result == ETIMEDOUT);
    return result == 0;
}

void mr_condition_signal(mr_condition *condition)
{
    MR_ASSERT(pthread_cond_signal(&condition->handle) == 0);
}

void mr_condition_broadcast(mr_condition *condition)
{
    MR_ASSERT(pthread_cond_broadcast(&condition->handle) == 0);
}

/* ---- one thread ---- */

struct mr_thread {
    pthread_t handle;
    void (*body)(void *context);
    void *context;
    char name[16];
};

static void *thread_main(void *argument)
{
    mr_thread *thread = argument;
    (void)pthread_setname_np(pthread_self(), thread->name);
    thread->body(thread->context);
    return NULL;
}

/* Signals are blocked before the thread exists, so that none can reach it on its first
 * instructions. */
static int create_deaf(mr_thread *thread)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    MR_ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int result = pthread_create(&thread->handle, NULL, thread_main, thread);
    MR_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return result;
}

mr_status mr_thread_start(const char *name, void (*body)(void *), void *context, mr_thread **out,
                          mr_error *err)
{
    *out = NULL;
    mr_thread *thread = MR_NEW(mr_thread);
    if (thread == NULL)
        return MR_OUT_OF_MEMORY(err);
    thread->body = body;
    thread->context = context;
    (void)snprintf(thread->name, sizeof thread->name, "%s", name);
    int result = create_deaf(thread);
    if (result != 0) {
        char reason[128];
        mr_free(thread);
        return MR_FAIL(err, MR_FULL, "cannot start thread %s: %s", name,
                       strerror_r(result, reason, sizeof reason));
    }
    *out = thread;
    return MR_OK;
}

void mr_thread_join(mr_thread *thread)
{
    if (thread == NULL)
        return;
    MR_ASSERT(pthread_join(thread->handle, NULL) == 0);
    mr_free(thread);
}

int mr_thread_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return MR_MAX(count, 1);
}

/* ---- pool ---- */

#define SPIN_NS      20000 /* about the cost of sleeping and being woken */
#define SPINS_A_LOOK 32    /* pauses between two looks at the clock */

typedef struct pool_worker {
    mr_pool *pool;
    mr_thread *thread;
    int index;
} pool_worker;

struct mr_pool {
    int worker_count;
    bool spins;
    void (*task)(void *context, int worker); /* NULL ends the workers */
    void *context;
    _Alignas(MR_ALIGN) _Atomic uint32_t generation; /* a new one is a new task */
    _Alignas(MR_ALIGN) _Atomic int left;            /* workers still in the task */
    _Alignas(MR_ALIGN) mr_mutex mutex;
    mr_condition started;
    mr_condition finished;
    int sleepers;          /* workers that wait on `started` */
    bool caller_sleeps;    /* on `finished` */
    pool_worker workers[]; /* worker_count of them; 0 has no thread */
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool moved(const mr_pool *pool, uint32_t seen)
{
    return atomic_load_explicit(&pool->generation, memory_order_acquire) != seen;
}

static bool all_done(const mr_pool *pool)
{
    return atomic_load_explicit(&pool->left, memory_order_acquire) == 0;
}

static void wait_for_task(mr_pool *pool, uint32_t seen)
{
    for (int64_t end = pool->spins ? mono_ns() + SPIN_NS : 0; end != 0 && mono_ns() < end;)
        for (int i = 0; i < SPINS_A_LOOK; i++, pause_briefly())
            if (moved(pool, seen))
                return;
    mr_mutex_lock(&pool->mutex);
    pool->sleepers++;
    while (!moved(pool, seen))
        mr_condition_wait(&pool->started, &pool->mutex);
    pool->sleepers--;
    mr_mutex_unlock(&pool->mutex);
}

static void finish_task(mr_pool *pool)
{
    if (atomic_fetch_sub_explicit(&pool->left, 1, memory_order_acq_rel) != 1)
        return;
    mr_mutex_lock(&pool->mutex);
    if (pool->caller_sleeps)
        mr_condition_signal(&pool->finished);
    mr_mutex_unlock(&pool->mutex);
}

static void worker_main(void *context)
{
    const pool_worker *worker = context;
    mr_pool *pool = worker->pool;
    for (uint32_t seen = 0;; seen++) {
        wait_for_task(pool, seen);
        if (pool->task == NULL)
            return;
        pool->task(pool->context, worker->index);
        finish_task(pool);
    }
}

static void start_task(mr_pool *pool, void (*task)(void *, int), void *context)
{
    pool->task = task;
    pool->context = context;
    atomic_store_explicit(&pool->left, pool->worker_count - 1, memory_order_relaxed);
    mr_mutex_lock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    if (pool->sleepers > 0)
        mr_condition_broadcast(&pool->started);
    mr_mutex_unlock(&pool->mutex);
}

static void wait_for_workers(mr_pool *pool)
{
    for (int64_t end = pool->spins ? mono_ns() + SPIN_NS : 0; end != 0 && mono_ns() < end;)
        for (int i = 0; i < SPINS_A_LOOK; i++, pause_briefly())
            if (all_done(pool))
                return;
    mr_mutex_lock(&pool->mutex);
    pool->caller_sleeps = true;
    while (!all_done(pool))
        mr_condition_wait(&pool->finished, &pool->mutex);
    pool->caller_sleeps = false;
    mr_mutex_unlock(&pool->mutex);
}

void mr_pool_run(mr_pool *pool, void (*task)(void *context, int worker), void *context)
{
    if (pool->worker_count > 1)
        start_task(pool, task, context);
    task(context, 0);
    if (pool->worker_count > 1)
        wait_for_workers(pool);
}

static mr_status start_worker(mr_pool *pool, int index, mr_error *err)
{
    char name[32];
    (void)snprintf(name, sizeof name, "worker-%d", index);
    pool->workers[index] = (pool_worker){pool, NULL, index};
    return mr_thread_start(name, worker_main, &pool->workers[index], &pool->workers[index].thread,
                           err);
}

mr_status mr_pool_create(int worker_count, mr_pool **out, mr_error *err)
{
    *out = NULL;
    if (worker_count < 1 || worker_count > MR_POOL_WORKERS_MAX)
        return MR_FAIL(err, MR_INVALID, "a pool has 1 to %d workers, not %d", MR_POOL_WORKERS_MAX,
                       worker_count);
    mr_pool *pool = mr_alloc_aligned(sizeof *pool + (size_t)worker_count * sizeof(pool_worker));
    if (pool == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(pool, 0, sizeof *pool + (size_t)worker_count * sizeof(pool_worker));
    pool->worker_count = worker_count;
    pool->spins = worker_count <= mr_thread_processors();
    mr_mutex_init(&pool->mutex);
    mr_condition_init(&pool->started);
    mr_condition_init(&pool->finished);
    mr_status status = MR_OK;
    for (int i = 1; status == MR_OK && i < worker_count; i++)
        status = start_worker(pool, i, err);
    if (status != MR_OK)
        mr_pool_destroy(pool);
    else
        *out = pool;
    return status;
}

void mr_pool_destroy(mr_pool *pool)
{
    if (pool == NULL)
        return;
    start_task(pool, NULL, NULL);
    for (int i = 1; i < pool->worker_count; i++)
        mr_thread_join(pool->workers[i].thread);
    mr_condition_deinit(&pool->finished);
    mr_condition_deinit(&pool->started);
    mr_mutex_deinit(&pool->mutex);
    mr_free(pool);
}

int mr_pool_workers(const mr_pool *pool)
{
    return pool->worker_count;
}
