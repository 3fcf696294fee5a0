/* running.c -- pipelines at work, as the verbs need them. */
#include "cmd/running.h"

#include "base/notice.h"
#include "os/process.h"
#include "os/thread.h"
#include "pipeline/model_stats.h"

#include <stdio.h>
#include <string.h>

static void pipelines_path(const mr_session *session, const char *name, const char *file, char *out)
{
    (void)snprintf(out, MR_PATH_MAX, "%s/pipelines%s%s%s", session->home,
                   name[0] != '\0' ? "/" : "", name, file);
}

/* ---- remembering where a pipeline's file is ---- */

static mr_status remember(const mr_running *running, const char *path, mr_error *err)
{
    char folder[MR_PATH_MAX], file[MR_PATH_MAX], whole[2 * MR_PATH_MAX] = "";
    pipelines_path(running->session, mr_plan_name(running->plan), "", folder);
    pipelines_path(running->session, mr_plan_name(running->plan), "/file", file);
    if (path[0] != '/')
        MR_TRY(mr_process_folder(folder, sizeof folder, err));
    (void)snprintf(whole, sizeof whole, "%s%s%s", path[0] != '/' ? folder : "",
                   path[0] != '/' ? "/" : "", path);
    return mr_fs_write_file(running->session->fs, file, whole, strlen(whole), err);
}

static mr_status fail_not_one(char **names, size_t count, mr_error *err)
{
    mr_bytes list = {0};
    for (size_t i = 0; i < count; i++)
        mr_bytes_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    const char *text = mr_bytes_text(&list);
    mr_status status = count == 0 ? MR_FAIL(err, MR_NOT_FOUND,
                                            "no pipeline has run in this home; name its file "
                                            "with --pipeline")
                                  : MR_FAIL(err, MR_INVALID,
                                            "several pipelines have run in this home (%s); name "
                                            "one with --pipeline",
                                            text != NULL ? text : "");
    mr_bytes_deinit(&list);
    return status;
}

mr_status mr_running_only(mr_session *session, char *out_name, mr_error *err)
{
    char folder[MR_PATH_MAX];
    char **names = NULL;
    size_t count = 0;
    pipelines_path(session, "", "", folder);
    if (mr_fs_exists(session->fs, folder))
        MR_TRY(mr_fs_list(session->fs, folder, &names, &count, err));
    mr_status status = count == 1 ? MR_OK : fail_not_one(names, count, err);
    if (status == MR_OK)
        (void)snprintf(out_name, MR_RUNNING_NAME_BYTES, "%s", names[0]);
    mr_fs_free_names(names, count);
    return status;
}

mr_status mr_running_find(mr_session *session, const char *name, mr_bytes *out_path, mr_error *err)
{
    char only[MR_RUNNING_NAME_BYTES], file[MR_PATH_MAX];
    if (name != NULL && strchr(name, '.') != NULL) { /* a file, not a name */
        mr_bytes_append_text(out_path, name);
        return mr_bytes_text(out_path) != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    }
    if (name == NULL)
        MR_TRY(mr_running_only(session, only, err));
    pipelines_path(session, name != NULL ? name : only, "/file", file);
    mr_status status = mr_fs_read_file(session->fs, file, MR_PATH_MAX * 2, out_path, err);
    if (status == MR_NOT_FOUND)
        return MR_FAIL(err, MR_NOT_FOUND,
                       "no pipeline %s has run in this home; name its file with --pipeline",
                       name != NULL ? name : only);
    MR_TRY(status);
    return mr_bytes_text(out_path) != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* ---- running ---- */

mr_status mr_running_load(mr_running *running, mr_session *session, const char *path,
                          const char *what, bool create, mr_error *err)
{
    *running = (mr_running){.session = session};
    MR_TRY(mr_session_open_log(session, create, &running->log, err));
    MR_TRY(mr_session_models(session, running->log, what, &running->models, err));
    running->options = (mr_pipeline_options){.log = running->log,
                                             .models = running->models,
                                             .fs = session->fs,
                                             .clock = session->clock,
                                             .home = session->home};
    MR_TRY(mr_plan_load(session->fs, running->log, running->models, path, &running->plan, err));
    mr_models_registry_for(running->models, what, mr_plan_name(running->plan));
    return MR_OK;
}

mr_status mr_running_open(mr_running *running, const char *path, mr_error *err)
{
    MR_TRY(mr_pipeline_open(running->plan, &running->options, &running->pipeline, err));
    return remember(running, path, err);
}

typedef struct watcher {
    mr_panel *panel;
    bool (*idle)(void *context);
    void *context;
} watcher;

static bool stop_asked(void *context)
{
    (void)context;
    return mr_process_stop_asked() != 0;
}

static void tick(void *context, mr_pipeline *pipeline)
{
    mr_panel_tick(((watcher *)context)->panel, pipeline);
}

static void taken(void *context, const mr_batch *output)
{
    mr_panel_take(((watcher *)context)->panel, output);
}

static bool idle_asked(void *context, mr_pipeline *pipeline)
{
    (void)pipeline;
    watcher *self = context;
    return self->idle != NULL && self->idle(self->context);
}

/* ---- statistics of models, written beside the flow ---- */

#define STATS_NS INT64_C(400000000)

typedef struct stats_writer {
    mr_pipeline *pipeline;
    mr_mutex mutex;
    mr_condition changed;
    mr_thread *thread;
    bool stop;
} stats_writer;

static void write_stats(mr_pipeline *pipeline)
{
    mr_error err = {0};
    if (mr_pipeline_model_stats_write(pipeline, &err) != MR_OK)
        mr_notice_failure(MR_NOTICE_WARN, "models", &err, "stats_not_written");
}

static void write_loop(void *context)
{
    stats_writer *self = context;
    mr_mutex_lock(&self->mutex);
    while (!self->stop) {
        (void)mr_condition_wait_for(&self->changed, &self->mutex, STATS_NS);
        mr_mutex_unlock(&self->mutex);
        write_stats(self->pipeline);
        mr_mutex_lock(&self->mutex);
    }
    mr_mutex_unlock(&self->mutex);
}

static mr_status start_writer(stats_writer *self, mr_pipeline *pipeline, mr_error *err)
{
    *self = (stats_writer){.pipeline = pipeline};
    mr_mutex_init(&self->mutex);
    mr_condition_init(&self->changed);
    return mr_thread_start("mr-model-stats", write_loop, self, &self->thread, err);
}

static void stop_writer(stats_writer *self)
{
    mr_mutex_lock(&self->mutex);
    self->stop = true;
    mr_condition_signal(&self->changed);
    mr_mutex_unlock(&self->mutex);
    mr_thread_join(self->thread);
    mr_condition_deinit(&self->changed);
    mr_mutex_deinit(&self->mutex);
}

mr_status mr_running_run(mr_running *running, mr_panel *panel, bool (*idle)(void *context),
                         void *context, mr_error *err)
{
    watcher self = {panel, idle, context};
    mr_pipeline_watch watch = {.stop_asked = stop_asked,
                               .tick = tick,
                               .taken = taken,
                               .idle = idle_asked,
                               .context = &self};
    stats_writer writer;
    mr_status status = start_writer(&writer, running->pipeline, err);
    if (status == MR_OK)
        status = mr_pipeline_run(running->pipeline, &watch, err);
    stop_writer(&writer);
    return status;
}

void mr_running_close(mr_running *running)
{
    mr_pipeline_close(running->pipeline);
    mr_plan_release(running->plan);
    mr_models_registry_close(running->models);
    mr_log_close(running->log);
    *running = (mr_running){0};
}
