/* commit.c -- making what was appended durable, beside the flow when there is more to do.
 *
 *   flow:    ... append k | append k+1 | append k+2 ...
 *   commits:      ...... commit <= k ...... | commit <= k+2 ...
 *
 * (1) One fdatasync of each sink covers everything appended before it: under load commits carry many
 *     micro-batches; after a rest the caller commits itself and no thread has to wake up.
 * (2) At most COMMIT_QUEUE_MAX micro-batches are in flight; then the flow waits (back-pressure).
 * (3) The first failure stops everything: what is durable can only be told by recovery. */
#include "pipeline/run_internal.h"

#include "base/assert.h"

#include <string.h>

static mr_status commit_sinks(mr_pipeline *pipeline, mr_error *err)
{
    for (size_t i = 0; i < pipeline->sink_count; i++)
        MR_TRY(run_sink_commit(&pipeline->sinks[i], err));
    MR_TRY(run_sink_commit(&pipeline->shadow, err));
    MR_TRY(run_sink_commit(&pipeline->dead.sink, err));
    for (size_t i = 0; i < pipeline->plan->source_count; i++)
        MR_TRY(run_sink_commit(&pipeline->dead_streams[i].sink, err));
    return run_emits_commit(pipeline, err);
}

static size_t latency_bucket(int64_t us)
{
    /* The two bits below the leading one choose the quarter of the octave. */
    if (us < 4)
        return (size_t)MR_MAX(us, 0);
    int octave = 63 - __builtin_clzll((unsigned long long)us);
    size_t bucket = (size_t)octave * 4 + (size_t)((us >> (octave - 2)) & 3) - 4;
    return MR_MIN(bucket, (size_t)MR_LATENCY_BUCKETS - 1);
}

static void count_latencies(mr_pipeline *pipeline, const commit_item *items, size_t count)
{
    mr_clock *clock = pipeline->options.clock;
    int64_t now = clock->wall_us(clock);
    mr_mutex_lock(&pipeline->stats_mutex);
    for (size_t i = 0; i < count; i++)
        if (items[i].append_us != 0)
            pipeline->stats.latency[latency_bucket(now - items[i].append_us)] += items[i].rows;
    mr_mutex_unlock(&pipeline->stats_mutex);
}

/* Takes everything that waits; false: told to stop and nothing is left. */
static bool take_waiting(committer *commit, commit_item *items, size_t *out_count)
{
    mr_mutex_lock(&commit->mutex);
    while (commit->count == 0 && !commit->stop)
        mr_condition_wait(&commit->changed, &commit->mutex);
    *out_count = commit->count;
    for (size_t i = 0; i < commit->count; i++)
        items[i] = commit->queue[(commit->first + i) % COMMIT_QUEUE_MAX];
    commit->busy = commit->count > 0;
    mr_mutex_unlock(&commit->mutex);
    return *out_count > 0;
}

static void commit_loop(void *context)
{
    mr_pipeline *pipeline = context;
    committer *commit = &pipeline->commit;
    commit_item items[COMMIT_QUEUE_MAX];
    size_t count;
    while (take_waiting(commit, items, &count)) {
        mr_error err = {0};
        mr_status status = commit_sinks(pipeline, &err);
        if (status == MR_OK)
            count_latencies(pipeline, items, count);
        mr_mutex_lock(&commit->mutex);
        commit->first = (commit->first + count) % COMMIT_QUEUE_MAX;
        commit->count -= count;
        commit->busy = false;
        if (status == MR_OK) {
            commit->position_done = items[count - 1].position_end;
        } else if (!commit->failed) {
            commit->failed = true;
            commit->error = err;
        }
        mr_condition_broadcast(&commit->changed);
        mr_mutex_unlock(&commit->mutex);
    }
}

mr_status run_commit_start(mr_pipeline *pipeline, mr_error *err)
{
    mr_mutex_init(&pipeline->commit.mutex);
    mr_condition_init(&pipeline->commit.changed);
    if (pipeline->options.stepped)
        return MR_OK;
    return mr_thread_start("mr-commit", commit_loop, pipeline, &pipeline->commit.thread, err);
}

void run_commit_stop(mr_pipeline *pipeline)
{
    committer *commit = &pipeline->commit;
    mr_mutex_lock(&commit->mutex);
    commit->stop = true;
    mr_condition_broadcast(&commit->changed);
    mr_mutex_unlock(&commit->mutex);
    mr_thread_join(commit->thread);
    commit->thread = NULL;
    mr_condition_deinit(&commit->changed);
    mr_mutex_deinit(&commit->mutex);
}

static mr_status failure(const committer *commit, mr_error *err)
{
    if (!commit->failed)
        return MR_OK;
    if (err != NULL)
        *err = commit->error;
    return commit->error.status;
}

static mr_status commit_here(mr_pipeline *pipeline, const commit_item *item, mr_error *err)
{
    MR_TRY(commit_sinks(pipeline, err));
    count_latencies(pipeline, item, 1);
    mr_mutex_lock(&pipeline->commit.mutex);
    pipeline->commit.position_done = item->position_end;
    mr_mutex_unlock(&pipeline->commit.mutex);
    return MR_OK;
}

mr_status run_commit(mr_pipeline *pipeline, const commit_item *item, bool beside, mr_error *err)
{
    committer *commit = &pipeline->commit;
    if (commit->thread == NULL)
        return commit_here(pipeline, item, err);
    mr_mutex_lock(&commit->mutex);
    bool here = !beside && commit->count == 0 && !commit->failed;
    while (!here && commit->count == COMMIT_QUEUE_MAX && !commit->failed)
        mr_condition_wait(&commit->changed, &commit->mutex);
    mr_status status = failure(commit, err);
    if (status == MR_OK && !here) {
        commit->queue[(commit->first + commit->count++) % COMMIT_QUEUE_MAX] = *item;
        mr_condition_broadcast(&commit->changed);
    }
    mr_mutex_unlock(&commit->mutex);
    return here ? commit_here(pipeline, item, err) : status;
}

mr_status run_commit_wait(mr_pipeline *pipeline, mr_error *err)
{
    committer *commit = &pipeline->commit;
    mr_mutex_lock(&commit->mutex);
    while (commit->thread != NULL && commit->count > 0 && !commit->failed)
        mr_condition_wait(&commit->changed, &commit->mutex);
    mr_status status = failure(commit, err);
    mr_mutex_unlock(&commit->mutex);
    return status;
}

bool run_commit_idle(mr_pipeline *pipeline)
{
    mr_mutex_lock(&pipeline->commit.mutex);
    bool idle = pipeline->commit.count == 0;
    mr_mutex_unlock(&pipeline->commit.mutex);
    return idle;
}

uint64_t run_commit_position(mr_pipeline *pipeline)
{
    mr_mutex_lock(&pipeline->commit.mutex);
    uint64_t position = pipeline->commit.position_done;
    mr_mutex_unlock(&pipeline->commit.mutex);
    return position;
}
