/* upkeep.c -- what is done beside the flow: syncs by the clock, writing out, spare segments.
 *
 * (1) One tick at a time. A topic is not closed while it is being kept up; the log's lock is not held meanwhile.
 * (2) The thread sleeps until something is due or wanted: a log at rest wakes nobody. */
#include "log/partition.h"

#include "base/assert.h"

/* ---- one round ---- */

static mr_status tick_topic(mr_topic *topic, int64_t *next_ns, mr_error *err)
{
    mr_status first = MR_OK;
    for (uint32_t i = 0; i < topic->options.partition_count; i++) {
        int64_t next;
        mr_status status =
            mr_partition_tick(&topic->partitions[i], &next, first == MR_OK ? err : NULL);
        first = first == MR_OK ? status : first;
        *next_ns = MR_MIN(*next_ns, next);
    }
    return first;
}

mr_status mr_log_tick(mr_log *log, int64_t *out_next_ns, mr_error *err)
{
    mr_status first = MR_OK;
    *out_next_ns = INT64_MAX;
    mr_mutex_lock(&log->tick_lock);
    mr_mutex_lock(&log->lock);
    for (mr_topic *topic = log->topics; topic != NULL; topic = topic->next) {
        log->ticking = topic;
        mr_mutex_unlock(&log->lock);
        mr_status status = tick_topic(topic, out_next_ns, first == MR_OK ? err : NULL);
        first = first == MR_OK ? status : first;
        mr_mutex_lock(&log->lock);
        log->ticking = NULL;
        mr_condition_broadcast(&log->tick_moved);
    }
    mr_mutex_unlock(&log->lock);
    mr_mutex_unlock(&log->tick_lock);
    return first;
}

/* ---- the thread ---- */

/* False: told to stop. */
static bool wait_for_work(mr_log *log, int64_t next_ns)
{
    mr_mutex_lock(&log->upkeep_lock);
    if (!log->upkeep_stop && !atomic_load(&log->upkeep_wanted)) {
        if (next_ns == INT64_MAX)
            mr_condition_wait(&log->upkeep_wake, &log->upkeep_lock);
        else
            (void)mr_condition_wait_for(&log->upkeep_wake, &log->upkeep_lock, next_ns);
    }
    bool go_on = !log->upkeep_stop;
    mr_mutex_unlock(&log->upkeep_lock);
    return go_on;
}

static void keep_up(void *context)
{
    mr_log *log = context;
    int64_t next_ns;
    do {
        atomic_store(&log->upkeep_wanted, false);
        (void)mr_log_tick(log, &next_ns, NULL); /* a partition remembers that it failed */
    } while (wait_for_work(log, next_ns));
}

mr_status mr_log_keep_up(mr_log *log, mr_error *err)
{
    MR_ASSERT(log->clock == mr_clock_real());
    mr_mutex_lock(&log->upkeep_lock);
    mr_status status = MR_OK;
    if (log->upkeep == NULL)
        status = mr_thread_start("mr-log", keep_up, log, &log->upkeep, err);
    atomic_store(&log->upkeep_runs, log->upkeep != NULL);
    mr_mutex_unlock(&log->upkeep_lock);
    return status;
}

void mr_log_want_upkeep(mr_log *log)
{
    if (!atomic_load(&log->upkeep_runs) || atomic_exchange(&log->upkeep_wanted, true))
        return;
    mr_mutex_lock(&log->upkeep_lock);
    mr_condition_signal(&log->upkeep_wake);
    mr_mutex_unlock(&log->upkeep_lock);
}

void mr_log_upkeep_init(mr_log *log)
{
    mr_mutex_init(&log->tick_lock);
    mr_condition_init(&log->tick_moved);
    mr_mutex_init(&log->upkeep_lock);
    mr_condition_init(&log->upkeep_wake);
}

void mr_log_upkeep_deinit(mr_log *log)
{
    mr_mutex_lock(&log->upkeep_lock);
    log->upkeep_stop = true;
    mr_condition_signal(&log->upkeep_wake);
    mr_mutex_unlock(&log->upkeep_lock);
    mr_thread_join(log->upkeep);
    mr_condition_deinit(&log->upkeep_wake);
    mr_mutex_deinit(&log->upkeep_lock);
    mr_condition_deinit(&log->tick_moved);
    mr_mutex_deinit(&log->tick_lock);
}
