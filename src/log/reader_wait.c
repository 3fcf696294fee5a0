/* reader_wait.c -- waiting for more: on a condition for writers of this process, by looking at the tail file for
 * others, and not at all under a simulated clock, which is only moved. */
#include "log/log_reader_internal.h"

#include "base/assert.h"

#define POLL_MIN_NS 50000 /* looking at another process's tail file */
#define POLL_MAX_NS 1000000

/* Errors count as "something": the caller's next read returns them. *out_remote: some writer is elsewhere. */
static bool any_ready(mr_log_reader *const *readers, size_t count, bool *out_remote)
{
    *out_remote = false;
    for (size_t i = 0; i < count; i++) {
        mr_log_reader *reader = readers[i];
        if (reader->rest != NULL || reader->damaged || !mr_log_reader_at_end(reader))
            return true;
        mr_partition_view view;
        if (mr_partition_see(reader->partition, &view, NULL) != MR_OK ||
            view.segment_base != reader->view.segment_base ||
            view.position != reader->view.position)
            return true;
        mr_mutex_lock(&reader->partition->lock);
        *out_remote |= !reader->partition->writing;
        mr_mutex_unlock(&reader->partition->lock);
    }
    return false;
}

/* Sleeps until something is published here, or `ns` passed. */
static void sleep_until_published(mr_log *log, uint64_t seen, int64_t ns)
{
    mr_mutex_lock(&log->wait_lock);
    atomic_fetch_add(&log->waiter_count, 1);
    if (atomic_load(&log->publish_count) == seen)
        (void)mr_condition_wait_for(&log->published, &log->wait_lock, ns);
    atomic_fetch_sub(&log->waiter_count, 1);
    mr_mutex_unlock(&log->wait_lock);
}

mr_status mr_log_reader_wait(mr_log_reader *const *readers, size_t count, int64_t timeout_ns,
                             mr_error *err)
{
    if (count == 0)
        return MR_FAIL(err, MR_INVALID, "there is no reader to wait for");
    mr_log *log = readers[0]->topic->log;
    int64_t deadline = log->clock->mono_ns(log->clock) + MR_MIN(timeout_ns, INT64_MAX / 4);
    for (int64_t poll_ns = POLL_MIN_NS;; poll_ns = MR_MIN(poll_ns * 2, POLL_MAX_NS)) {
        bool remote;
        uint64_t seen = atomic_load(&log->publish_count);
        if (any_ready(readers, count, &remote))
            return MR_OK;
        int64_t left = deadline - log->clock->mono_ns(log->clock);
        if (left <= 0)
            return MR_END;
        if (log->clock == mr_clock_real())
            sleep_until_published(log, seen, remote ? MR_MIN(left, poll_ns) : left);
        else
            log->clock->sleep_ns(log->clock, left);
    }
}
