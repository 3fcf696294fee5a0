/* pipeline.c -- the public API: pipelines. */
#include "pipeline/pipeline.h"

#include "api/api.h"

#include "os/process.h"
#include "pipeline/models_registry.h"

#include <stdlib.h>

struct millrace_pipeline {
    mr_models *models;
    mr_plan *plan;
    mr_pipeline *pipeline;
};

/* In whose name versions are opened: as on the command line. */
static mr_status open_models(millrace_home *home, mr_models **out, mr_error *err)
{
    char user[256];
    const char *who = getenv("MILLRACE_PRINCIPAL");
    mr_process_user(user, sizeof user);
    mr_registry_options options = {.fs = mr_fs_real(),
                                   .clock = mr_clock_real(),
                                   .log = home->log,
                                   .home = home->folder,
                                   .principal = who != NULL && who[0] != '\0' ? who : user,
                                   .process = "libmillrace"};
    return mr_models_registry_open(&options, out, err);
}

static mr_status open_pipeline(millrace_home *home, const char *file, int workers, bool until_end,
                               millrace_pipeline *self, mr_error *err)
{
    MR_TRY(open_models(home, &self->models, err));
    mr_models_registry_for(self->models, "run", file);
    mr_pipeline_options options = {.log = home->log,
                                   .models = self->models,
                                   .fs = mr_fs_real(),
                                   .clock = mr_clock_real(),
                                   .home = home->folder,
                                   .workers = workers,
                                   .until_end = until_end};
    MR_TRY(mr_plan_load(options.fs, home->log, self->models, file, &self->plan, err));
    return mr_pipeline_open(self->plan, &options, &self->pipeline, err);
}

millrace_status millrace_pipeline_open(millrace_home *home, const char *file, int workers,
                                       bool until_end, millrace_pipeline **out,
                                       millrace_error *error)
{
    mr_error *err = api_error(error);
    *out = NULL;
    millrace_pipeline *self = MR_NEW(millrace_pipeline);
    mr_status status = self != NULL ? open_pipeline(home, file, workers, until_end, self, err)
                                    : MR_OUT_OF_MEMORY(err);
    if (status != MR_OK)
        millrace_pipeline_close(self);
    else
        *out = self;
    return (millrace_status)status;
}

millrace_status millrace_pipeline_step(millrace_pipeline *self, uint32_t *out_records,
                                       millrace_error *error)
{
    uint32_t records = 0;
    mr_status status = mr_pipeline_step(self->pipeline, &records, api_error(error));
    if (out_records != NULL)
        *out_records = records;
    return (millrace_status)status;
}

millrace_status millrace_pipeline_wait(millrace_pipeline *self, int64_t timeout_ms,
                                       millrace_error *error)
{
    return (millrace_status)mr_pipeline_wait(self->pipeline, timeout_ms * 1000000,
                                             api_error(error));
}

millrace_status millrace_pipeline_features(millrace_pipeline *self, const char *view,
                                           const char *key, struct ArrowSchema *out_schema,
                                           struct ArrowArray *out_row, millrace_error *error)
{
    mr_error *err = api_error(error);
    mr_batch *row = NULL;
    *out_schema = (struct ArrowSchema){0};
    mr_status status = mr_pipeline_features(self->pipeline, view, key, &row, err);
    if (status == MR_OK)
        status = mr_arrow_export_schema(row->schema, out_schema, err);
    if (status == MR_OK)
        status = mr_arrow_export_batch(row, out_row, err);
    if (status != MR_OK && out_schema->release != NULL)
        out_schema->release(out_schema);
    mr_batch_release(row);
    return (millrace_status)status;
}

millrace_status millrace_pipeline_stop(millrace_pipeline *self, millrace_error *error)
{
    return (millrace_status)mr_pipeline_stop(self->pipeline, api_error(error));
}

void millrace_pipeline_close(millrace_pipeline *self)
{
    if (self == NULL)
        return;
    mr_pipeline_close(self->pipeline);
    mr_plan_release(self->plan);
    mr_models_registry_close(self->models);
    mr_free(self);
}
