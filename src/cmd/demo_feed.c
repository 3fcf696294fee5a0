/* demo_feed.c -- payments that happen now: appended at a steady pace by a thread of their own.
 *
 * Every few milliseconds what has become due is appended as one batch and committed. Thread: the feed writes
 * `done` and `error`, in this order never again; the owner reads them after `done`. */
#include "base/assert.h"
#include "cmd/demo.h"
#include "os/thread.h"

#include <stdatomic.h>

#define PAUSE_NS INT64_C(5000000)
#define ROWS_MAX 4096

struct mr_demo_feed {
    const mr_simulation *cards;
    mr_topic *topic;
    mr_clock *clock;
    uint64_t next;
    uint64_t first;
    uint64_t end;
    int64_t started_ns;
    double per_ns; /* payments a nanosecond */
    atomic_bool stop;
    atomic_bool done;
    mr_status status;
    mr_error error;
    mr_thread *thread;
};

static uint64_t due(const mr_demo_feed *feed)
{
    double elapsed_ns = (double)(feed->clock->mono_ns(feed->clock) - feed->started_ns);
    double count = elapsed_ns * feed->per_ns;
    return count >= (double)(feed->end - feed->first) ? feed->end : feed->first + (uint64_t)count;
}

static mr_status feed_some(mr_demo_feed *feed, uint64_t until, mr_error *err)
{
    mr_append append = {0};
    mr_appended appended;
    uint64_t count = MR_MIN(until - feed->next, ROWS_MAX);
    MR_TRY(mr_simulation_payments(feed->cards, feed->next, count, &append.batch, err));
    mr_status status = mr_topic_append_commit(feed->topic, 0, &append, &appended, err);
    mr_batch_release(append.batch);
    feed->next += count;
    return status;
}

static void feed_all(void *context)
{
    mr_demo_feed *feed = context;
    while (feed->status == MR_OK && feed->next < feed->end && !atomic_load(&feed->stop)) {
        uint64_t until = due(feed);
        if (until > feed->next)
            feed->status = feed_some(feed, until, &feed->error);
        else
            feed->clock->sleep_ns(feed->clock, PAUSE_NS);
    }
    atomic_store(&feed->done, true);
}

mr_status mr_demo_feed_start(const mr_simulation *cards, mr_topic *topic, mr_clock *clock,
                             uint64_t first, double seconds, mr_demo_feed **out, mr_error *err)
{
    *out = NULL;
    mr_demo_feed *feed = MR_NEW(mr_demo_feed);
    if (feed == NULL)
        return MR_OUT_OF_MEMORY(err);
    feed->cards = cards;
    feed->topic = topic;
    feed->clock = clock;
    feed->first = feed->next = first;
    feed->end = mr_simulation_count(cards);
    feed->per_ns = (double)(feed->end - first) / (seconds * 1e9);
    feed->started_ns = clock->mono_ns(clock);
    mr_status status = mr_thread_start("demo-feed", feed_all, feed, &feed->thread, err);
    if (status != MR_OK)
        mr_free(feed);
    else
        *out = feed;
    return status;
}

bool mr_demo_feed_done(const mr_demo_feed *feed)
{
    return atomic_load(&feed->done);
}

mr_status mr_demo_feed_stop(mr_demo_feed *feed, mr_error *err)
{
    if (feed == NULL)
        return MR_OK;
    atomic_store(&feed->stop, true);
    mr_thread_join(feed->thread);
    mr_status status = feed->status;
    if (status != MR_OK && err != NULL)
        *err = feed->error;
    mr_free(feed);
    return status;
}
