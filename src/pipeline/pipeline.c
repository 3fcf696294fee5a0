/* pipeline.c -- birth, steps and death of a running pipeline.
 *
 * A home holds one folder per pipeline: <home>/pipelines/<name>/{lock, checkpoints/, spill/}. Everything else
 * is topics. Thread: see pipeline.h. */
#include "pipeline/run_internal.h"

#include "base/assert.h"
#include "os/process.h"

#include <stdio.h>
#include <string.h>

#define WORKERS_MAX      64
#define IDLE_WAIT_NS     INT64_C(50000000)
#define WATCH_NS         INT64_C(100000000)
#define CLOCK_CHECK_MASK 15

/* ---- birth ---- */

static mr_status take_lock(mr_pipeline *pipeline, mr_error *err)
{
    char path[MR_PATH_MAX];
    mr_fs *fs = pipeline->options.fs;
    MR_TRY(mr_fs_make_folder(fs, pipeline->folder, err));
    if ((size_t)snprintf(path, sizeof path, "%s/lock", pipeline->folder) >= sizeof path)
        return MR_FAIL(err, MR_INVALID, "the path of pipeline %s is too long",
                       pipeline->plan->name);
    MR_TRY(mr_fs_open(fs, path, MR_OPEN_CREATE, &pipeline->lock, err));
    mr_status status = mr_file_lock(pipeline->lock, err);
    if (status == MR_BUSY)
        return MR_FAIL(err, MR_BUSY, "pipeline %s is running already (lock %s)",
                       pipeline->plan->name, path);
    return status;
}

static mr_status open_streams(mr_pipeline *pipeline, mr_error *err)
{
    const mr_plan *plan = pipeline->plan;
    mr_stream_options options = {.fs = pipeline->options.fs,
                                 .log = pipeline->options.log,
                                 .rows_max = pipeline->rows_max,
                                 .until_end = pipeline->options.until_end,
                                 .reject = run_stream_reject,
                                 .context = pipeline};
    for (uint32_t i = 0; i < plan->source_count; i++) {
        uint32_t partitions = 1;
        if (plan->sources[i].topic != NULL)
            MR_TRY(run_source_partitions(pipeline, &plan->sources[i], &partitions, err));
        for (uint32_t p = 0; p < partitions; p++) {
            if (pipeline->stream_count == STREAMS_MAX)
                return MR_FAIL(err, MR_FULL, "pipeline %s reads more than %d partitions",
                               plan->name, STREAMS_MAX);
            MR_TRY(mr_stream_open(&plan->sources[i], i, p, &options,
                                  &pipeline->streams[pipeline->stream_count], err));
            pipeline->stream_count++;
        }
    }
    return MR_OK;
}

/* A source's topic that nobody has written to yet is created, so that a pipeline may be started first. */
mr_status run_source_partitions(mr_pipeline *pipeline, const plan_source *source, uint32_t *out,
                                mr_error *err)
{
    mr_topic *topic = NULL;
    mr_status status = mr_topic_open(pipeline->options.log, source->topic, &topic, err);
    if (status == MR_NOT_FOUND && !pipeline->at_rest) {
        mr_error_clear(err);
        mr_topic_options options = {0};
        (void)snprintf(options.event_time, sizeof options.event_time, "%s",
                       source->schema->fields[source->event_time].name);
        MR_TRY(
            mr_topic_create(pipeline->options.log, source->topic, &options, source->schema, err));
        status = mr_topic_open(pipeline->options.log, source->topic, &topic, err);
    }
    MR_TRY(status);
    *out = mr_topic_partitions(topic);
    mr_topic_close(topic);
    return MR_OK;
}

mr_status run_stream_reject(void *context, mr_stream *stream, const stream_reject *reject,
                            mr_error *err)
{
    mr_pipeline *pipeline = context;
    if (pipeline->at_rest)
        return MR_OK;
    char place[MR_PATH_MAX + 48];
    (void)snprintf(place, sizeof place, "%s:%llu:%llu", reject->file,
                   (unsigned long long)reject->line, (unsigned long long)reject->column);
    mr_dead_letter letter = {stream->source->name, place,         reject->field,
                             reject->reason,       reject->bytes, reject->size};
    run_dead_add(pipeline, &pipeline->dead_streams[stream->source_index], &letter, reject->number);
    (void)err;
    return MR_OK;
}

static mr_status open_state(mr_pipeline *pipeline, mr_error *err)
{
    char folder[MR_PATH_MAX + 16], spill[MR_PATH_MAX + 16];
    (void)snprintf(folder, sizeof folder, "%s/checkpoints", pipeline->folder);
    (void)snprintf(spill, sizeof spill, "%s/spill", pipeline->folder);
    uint64_t budget = pipeline->options.memory_bytes;
    mr_budget_init(&pipeline->budget, budget != 0 ? budget : mr_process_memory_total_bytes() / 2,
                   NULL);
    mr_state_options options = {.fs = pipeline->options.fs,
                                .folder = folder,
                                .spill_folder = pipeline->at_rest ? NULL : spill,
                                .spill_kind = pipeline->options.stepped ? &mr_spill_memory : NULL,
                                .budget = &pipeline->budget,
                                .workers = pipeline->workers,
                                .background = !pipeline->options.stepped};
    MR_TRY(mr_state_open(&options, &pipeline->state, err));
    MR_TRY(run_views_open(pipeline, err));
    return run_emits_open(pipeline, err);
}

mr_status run_view_open(mr_pipeline *pipeline, const plan_view *plan, run_view *view, mr_error *err)
{
    view->plan = plan;
    MR_TRY(mr_view_create(&plan->spec, pipeline->state, &view->view, err));
    MR_TRY(mr_view_work_create(view->view, pipeline->workers, &view->work, err));
    view->inputs = mr_alloc_zero(plan->input_count, sizeof(mr_column));
    view->wheres = mr_alloc_zero(plan->where_count, sizeof(mr_column));
    view->keys = mr_alloc_zero(plan->spec.key_count, sizeof(mr_column));
    view->lookups = mr_alloc_zero(plan->spec.key_count, sizeof(mr_column));
    bool ok =
        view->inputs != NULL && view->wheres != NULL && view->keys != NULL && view->lookups != NULL;
    return ok ? MR_OK : MR_OUT_OF_MEMORY(err);
}

mr_status run_views_open(mr_pipeline *pipeline, mr_error *err)
{
    size_t count = pipeline->plan->view_count;
    pipeline->views = mr_alloc_zero(count, sizeof *pipeline->views);
    pipeline->steps = mr_alloc(MR_MAX(count, 1) * pipeline->rows_max * sizeof *pipeline->steps);
    if (pipeline->views == NULL || pipeline->steps == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < count; i++)
        MR_TRY(run_view_open(pipeline, &pipeline->plan->views[i], &pipeline->views[i], err));
    return MR_OK;
}

static mr_status open_sinks(mr_pipeline *pipeline, mr_error *err)
{
    const mr_plan *plan = pipeline->plan;
    char producer[MR_TOPIC_NAME_MAX + 16];
    pipeline->sinks = mr_alloc_zero(plan->sink_count, sizeof *pipeline->sinks);
    if (pipeline->sinks == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < plan->sink_count; i++) {
        pipeline->sink_count++;
        MR_TRY(run_sink_open(pipeline, plan->sinks[i].topic, &plan->sinks[i], plan->sinks[i].schema,
                             plan->sinks[i].topic, &pipeline->sinks[i], err));
        pipeline->commits_wait |=
            mr_topic_get_options(pipeline->sinks[i].topic).sync == MR_LOG_SYNC_ALWAYS;
    }
    MR_TRY(mr_dead_letter_schema(&pipeline->dead_schema, err));
    bool any_check = false;
    for (size_t i = 0; i < plan->source_count; i++) {
        any_check = any_check || plan->sources[i].check != NULL;
        (void)snprintf(producer, sizeof producer, "rejects/%s", plan->sources[i].name);
        if (plan->sources[i].file_count > 0)
            MR_TRY(run_dead_open(pipeline, producer, &pipeline->dead_streams[i], err));
    }
    if (any_check || plan->emit_count > 0)
        MR_TRY(run_dead_open(pipeline, "checks", &pipeline->dead, err));
    return MR_OK;
}

static mr_status open_workers(mr_pipeline *pipeline, mr_error *err)
{
    int workers =
        pipeline->options.workers > 0 ? pipeline->options.workers : mr_thread_processors();
    pipeline->workers = MR_MIN(workers, WORKERS_MAX);
    pipeline->scratches = mr_alloc_zero((size_t)pipeline->workers, sizeof *pipeline->scratches);
    pipeline->worker_errors =
        mr_alloc_zero((size_t)pipeline->workers, sizeof *pipeline->worker_errors);
    if (pipeline->scratches == NULL || pipeline->worker_errors == NULL)
        return MR_OUT_OF_MEMORY(err);
    /* In stepped mode every worker's share is done by the caller: the shares matter, the threads do not. */
    MR_TRY(mr_pool_create(pipeline->options.stepped ? 1 : pipeline->workers, &pipeline->pool, err));
    if (pipeline->options.stepped)
        pipeline->workers = 1;
    return MR_OK;
}

static mr_status make_room(mr_pipeline *pipeline, mr_error *err)
{
    const mr_plan *plan = pipeline->plan;
    pipeline->rows_max =
        pipeline->options.batch_rows_max > 0 ? pipeline->options.batch_rows_max : BATCH_ROWS;
    pipeline->selection = mr_alloc(pipeline->rows_max * sizeof *pipeline->selection);
    if (pipeline->selection == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < plan->source_count; i++) {
        size_t columns =
            i == plan->on ? plan->frame->field_count : plan->sources[i].frame->field_count;
        pipeline->batch.sources[i].columns = mr_alloc_zero(columns, sizeof(mr_column));
        if (pipeline->batch.sources[i].columns == NULL)
            return MR_OUT_OF_MEMORY(err);
    }
    return MR_OK;
}

static mr_status open_all(mr_pipeline *pipeline, mr_error *err)
{
    MR_TRY(make_room(pipeline, err));
    MR_TRY(open_workers(pipeline, err));
    MR_TRY(run_model_stats_open(pipeline, err));
    if (!pipeline->at_rest)
        MR_TRY(take_lock(pipeline, err));
    MR_TRY(mr_journal_open(pipeline->options.log, pipeline->plan->name, !pipeline->at_rest,
                           &pipeline->journal, err));
    if (!pipeline->at_rest)
        MR_TRY(open_sinks(pipeline, err));
    MR_TRY(open_streams(pipeline, err));
    MR_TRY(open_state(pipeline, err));
    if (!pipeline->at_rest)
        MR_TRY(run_emits_open_sinks(pipeline, err));
    MR_TRY(run_commit_start(pipeline, err));
    if (!pipeline->at_rest && !pipeline->options.stepped)
        MR_TRY(mr_log_keep_up(pipeline->options.log, err));
    MR_TRY(run_recover(pipeline, err));
    return pipeline->at_rest ? MR_OK : run_cast_open(pipeline, err);
}

static mr_status open_pipeline(mr_plan *plan, const mr_pipeline_options *options, bool at_rest,
                               struct run_again *again, mr_pipeline **out, mr_error *err)
{
    *out = NULL;
    mr_pipeline *pipeline = MR_NEW(mr_pipeline);
    if (pipeline == NULL)
        return MR_OUT_OF_MEMORY(err);
    pipeline->options = *options;
    pipeline->at_rest = at_rest;
    pipeline->again = again;
    pipeline->plan = plan;
    atomic_fetch_add_explicit(&plan->owners, 1, memory_order_relaxed);
    mr_mutex_init(&pipeline->stats_mutex);
    pipeline->stats.event_time = INT64_MIN;
    mr_status status = MR_OK;
    if ((size_t)snprintf(pipeline->folder, sizeof pipeline->folder, "%s/pipelines/%s",
                         options->home, plan->name) >= sizeof pipeline->folder)
        status = MR_FAIL(err, MR_INVALID, "the path of home %.100s is too long", options->home);
    if (status == MR_OK)
        status = open_all(pipeline, err);
    if (status != MR_OK) {
        mr_pipeline_close(pipeline);
        return status;
    }
    pipeline->next_checkpoint_ns =
        options->clock->mono_ns(options->clock) + run_checkpoint_interval_ns(pipeline);
    *out = pipeline;
    return MR_OK;
}

mr_status mr_pipeline_open(mr_plan *plan, const mr_pipeline_options *options, mr_pipeline **out,
                           mr_error *err)
{
    return open_pipeline(plan, options, false, NULL, out, err);
}

mr_status run_open_at_rest(mr_plan *plan, const mr_pipeline_options *options,
                           struct run_again *again, mr_pipeline **out, mr_error *err)
{
    mr_pipeline_options quiet = *options;
    quiet.checkpoint_interval_ms = -1;
    return open_pipeline(plan, &quiet, true, again, out, err);
}

mr_status mr_pipeline_features_at_rest(mr_plan *plan, const mr_pipeline_options *options,
                                       const char *view, const char *key, mr_batch **out,
                                       mr_error *err)
{
    *out = NULL;
    mr_pipeline *pipeline;
    MR_TRY(run_open_at_rest(plan, options, NULL, &pipeline, err));
    mr_status status = mr_pipeline_features(pipeline, view, key, out, err);
    mr_pipeline_close(pipeline);
    return status;
}

/* ---- death ---- */

void run_view_close(run_view *view)
{
    mr_view_work_destroy(view->work);
    mr_free(view->inputs);
    mr_free(view->wheres);
    mr_free(view->keys);
    mr_free(view->lookups);
}

static void close_workers(mr_pipeline *pipeline)
{
    mr_pool_destroy(pipeline->pool);
    for (int i = 0; i < pipeline->workers; i++) {
        if (pipeline->scratches != NULL)
            mr_expr_scratch_deinit(&pipeline->scratches[i]);
    }
    mr_free(pipeline->scratches);
    mr_free(pipeline->worker_errors);
}

static void close_rows(mr_pipeline *pipeline)
{
    run_rows_release(pipeline, &pipeline->batch);
    for (size_t i = 0; i < pipeline->plan->source_count; i++) {
        mr_free(pipeline->batch.sources[i].columns);
        mr_free(pipeline->batch.sources[i].merged);
    }
    mr_free(pipeline->batch.runs.items);
    mr_free(pipeline->replay.items);
    mr_free(pipeline->selection);
    mr_free(pipeline->steps);
    mr_batch_release(pipeline->last_output);
}

void mr_pipeline_close(mr_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    run_commit_stop(pipeline);
    run_cast_close(pipeline);
    for (size_t i = 0; i < pipeline->plan->view_count && pipeline->views != NULL; i++)
        run_view_close(&pipeline->views[i]);
    run_emits_close_views(pipeline);
    mr_state_close(pipeline->state);
    for (size_t i = 0; i < pipeline->plan->view_count && pipeline->views != NULL; i++)
        mr_view_destroy(pipeline->views[i].view);
    mr_free(pipeline->views);
    run_emits_close(pipeline);
    for (size_t i = 0; i < pipeline->stream_count; i++)
        mr_stream_close(pipeline->streams[i]);
    for (size_t i = 0; i < pipeline->sink_count; i++)
        run_sink_close(&pipeline->sinks[i]);
    mr_free(pipeline->sinks);
    run_dead_close(&pipeline->dead);
    for (size_t i = 0; i < pipeline->plan->source_count; i++)
        run_dead_close(&pipeline->dead_streams[i]);
    mr_schema_release(pipeline->dead_schema);
    mr_journal_close(pipeline->journal);
    close_workers(pipeline);
    close_rows(pipeline);
    mr_free(pipeline->model_stats);
    mr_file_close(pipeline->lock);
    mr_mutex_deinit(&pipeline->stats_mutex);
    mr_plan_release(pipeline->plan);
    mr_free(pipeline);
}

/* ---- steps ---- */

static mr_status append_to_sinks(mr_pipeline *pipeline, const micro_batch *batch, mr_error *err)
{
    const source_rows *rows = &batch->sources[pipeline->plan->on];
    mr_batch_release(pipeline->last_output);
    pipeline->last_output = NULL;
    for (size_t i = 0; i < pipeline->sink_count; i++) {
        bool main_sink = i == 0 && pipeline->plan->has_main_sink;
        MR_TRY(run_sink_append(pipeline, &pipeline->sinks[i], batch, rows,
                               main_sink ? &pipeline->last_output : NULL, err));
    }
    MR_TRY(run_shadow_append(pipeline, batch, err));
    MR_TRY(run_emits_append(pipeline, batch, err));
    MR_TRY(run_dead_flush(&pipeline->dead, err));
    for (size_t i = 0; i < pipeline->plan->source_count; i++)
        MR_TRY(run_dead_flush(&pipeline->dead_streams[i], err));
    return MR_OK;
}

static mr_status journal_batch(mr_pipeline *pipeline, const micro_batch *batch, mr_error *err)
{
    if (batch->replayed)
        return MR_OK;
    MR_TRY(mr_journal_append(pipeline->journal, batch, pipeline->streams, pipeline->stream_count,
                             pipeline->starts, pipeline->plan->hash, err));
    return batch->forced ? mr_journal_commit(pipeline->journal, err) : MR_OK;
}

static void count_batch(mr_pipeline *pipeline, const micro_batch *batch)
{
    mr_pipeline_stats *stats = &pipeline->stats;
    mr_mutex_lock(&pipeline->stats_mutex);
    stats->position = pipeline->position;
    stats->micro_batches++;
    stats->event_time = MR_MAX(stats->event_time, batch->time_max);
    if (!batch->replayed)
        stats->records += batch->rows;
    if (pipeline->last_output != NULL)
        stats->decisions += pipeline->last_output->row_count;
    mr_mutex_unlock(&pipeline->stats_mutex);
}

static bool more_waits(const mr_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->stream_count; i++)
        if (pipeline->streams[i]->chunk != NULL)
            return true;
    return false;
}

/* Whether the flow would lose time by waiting for the sinks itself. */
static bool commit_beside(const mr_pipeline *pipeline)
{
    return more_waits(pipeline) || (!pipeline->rested && pipeline->commits_wait);
}

static mr_status process(mr_pipeline *pipeline, micro_batch *batch, mr_error *err)
{
    for (size_t i = 0; i < pipeline->stream_count; i++)
        pipeline->starts[i] = mr_stream_ordinal(pipeline->streams[i]);
    MR_TRY(run_cast_turn(pipeline, batch, err));
    MR_TRY(journal_batch(pipeline, batch, err));
    MR_TRY(run_rows(pipeline, batch, err));
    MR_TRY(mr_state_maintain(pipeline->state, err));
    MR_TRY(run_stages(pipeline, batch, err));
    pipeline->position += batch->rows;
    if (pipeline->at_rest)
        return MR_OK;
    MR_TRY(append_to_sinks(pipeline, batch, err));
    commit_item item = {pipeline->position, batch->sources[pipeline->plan->on].count,
                        batch->append_us};
    if (batch->replayed)
        item.append_us = 0; /* its latency was counted, or died with a crash */
    MR_TRY(run_commit(pipeline, &item, commit_beside(pipeline), err));
    pipeline->rested = false;
    count_batch(pipeline, batch);
    return MR_OK;
}

static bool all_ended(const mr_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->stream_count; i++)
        if (!pipeline->streams[i]->ended || pipeline->streams[i]->chunk != NULL)
            return false;
    return true;
}

mr_status mr_pipeline_step(mr_pipeline *pipeline, uint32_t *out_rows, mr_error *err)
{
    *out_rows = 0;
    if (pipeline->failed)
        return MR_FAIL(err, MR_CONFLICT, "pipeline %s has failed; open it again to recover",
                       pipeline->plan->name);
    micro_batch *batch = &pipeline->batch;
    mr_status status = run_take(pipeline, batch, err);
    pipeline->place_removed = status == MR_NOT_FOUND;
    if (status == MR_OK && batch->rows > 0)
        status = process(pipeline, batch, err);
    run_rows_release(pipeline, batch);
    if (status == MR_OK && !pipeline->at_rest)
        status = run_checkpoint_tick(pipeline, false, err);
    pipeline->failed = status != MR_OK;
    *out_rows = status == MR_OK ? batch->rows : 0;
    if (status != MR_OK || batch->rows > 0 || !all_ended(pipeline))
        return status;
    if (!pipeline->at_rest)
        MR_TRY(append_to_sinks(pipeline, batch, err)); /* the last dead letters of a file */
    return MR_END;
}

mr_status mr_pipeline_wait(mr_pipeline *pipeline, int64_t timeout_ns, mr_error *err)
{
    mr_log_reader *readers[STREAMS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < pipeline->stream_count; i++)
        if (mr_stream_reader(pipeline->streams[i]) != NULL && pipeline->streams[i]->chunk == NULL)
            readers[count++] = mr_stream_reader(pipeline->streams[i]);
    mr_clock *clock = pipeline->options.clock;
    if (count == 0) {
        clock->sleep_ns(clock, MR_MIN(timeout_ns, INT64_C(1000000)));
        return MR_OK;
    }
    pipeline->rested = true;
    mr_status status = mr_log_reader_wait(readers, count, timeout_ns, err);
    return status == MR_END ? MR_OK : status;
}

static bool stop_asked(const mr_pipeline_watch *watch)
{
    return watch != NULL && watch->stop_asked != NULL && watch->stop_asked(watch->context);
}

/* How long to wait for records: no longer than syncs and silent sources allow. */
static int64_t wait_ns(mr_pipeline *pipeline, int64_t tick_ns)
{
    /* Records are in hand, but a silent source holds them up; a checkpoint wants its next steps; or the last
     * decisions are not durable yet. */
    bool soon = more_waits(pipeline) || mr_state_checkpoint_running(pipeline->state) ||
                !run_commit_idle(pipeline);
    int64_t wait = soon ? INT64_C(1000000) : IDLE_WAIT_NS;
    return MR_MAX(MR_MIN(wait, tick_ns), 0);
}

/* Retention overtook the pipeline. What it took is decided and checkpointed, so that the next start can go on
 * behind the gap, if it is told to. */
static mr_status stop_before_gap(mr_pipeline *pipeline, mr_error *err)
{
    mr_error stop = {0};
    mr_status status = mr_pipeline_stop(pipeline, &stop);
    if (status != MR_OK && err != NULL)
        *err = stop;
    if (status != MR_OK)
        return status;
    mr_error_prefix(err, "pipeline %s was overtaken by retention and stopped",
                    pipeline->plan->name);
    return MR_NOT_FOUND;
}

mr_status mr_pipeline_run(mr_pipeline *pipeline, const mr_pipeline_watch *watch, mr_error *err)
{
    mr_clock *clock = pipeline->options.clock;
    int64_t next_watch = 0;
    for (uint64_t round = 0; !stop_asked(watch); round++) {
        uint32_t rows;
        mr_status status = mr_pipeline_step(pipeline, &rows, err);
        if (status == MR_END)
            break;
        if (pipeline->place_removed)
            return stop_before_gap(pipeline, err);
        MR_TRY(status);
        if (rows > 0 && watch != NULL && watch->taken != NULL)
            watch->taken(watch->context, pipeline->last_output);
        if (rows > 0 && (round & CLOCK_CHECK_MASK) != 0)
            continue;
        int64_t tick_ns = INT64_MAX;
        if (pipeline->options.stepped)
            MR_TRY(mr_log_tick(pipeline->options.log, &tick_ns, err));
        int64_t now = clock->mono_ns(clock);
        if (watch != NULL && watch->tick != NULL && now >= next_watch) {
            watch->tick(watch->context, pipeline);
            next_watch = now + WATCH_NS;
        }
        if (rows == 0 && watch != NULL && watch->idle != NULL && run_commit_idle(pipeline) &&
            watch->idle(watch->context, pipeline))
            break;
        if (rows == 0)
            MR_TRY(mr_pipeline_wait(pipeline, wait_ns(pipeline, tick_ns), err));
    }
    return mr_pipeline_stop(pipeline, err);
}

mr_status mr_pipeline_stop(mr_pipeline *pipeline, mr_error *err)
{
    MR_TRY(append_to_sinks(pipeline, &(micro_batch){.position = pipeline->position}, err));
    commit_item item = {pipeline->position, 0, 0};
    MR_TRY(run_commit(pipeline, &item, false, err));
    MR_TRY(run_commit_wait(pipeline, err));
    for (size_t i = 0; i < pipeline->sink_count; i++)
        MR_TRY(mr_topic_sync(pipeline->sinks[i].topic, 0, err));
    MR_TRY(run_emits_sync(pipeline, err));
    MR_TRY(run_checkpoint_tick(pipeline, true, err));
    int64_t next_ns;
    return mr_log_tick(pipeline->options.log, &next_ns, err); /* what retention was asked for */
}

const mr_batch *mr_pipeline_last_output(const mr_pipeline *pipeline)
{
    return pipeline->last_output;
}
