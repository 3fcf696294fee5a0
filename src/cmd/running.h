/* running.h -- what `run`, `features` and `demo` share about pipelines: their options, and the loop.
 *
 * A pipeline that was started from a file leaves that file's place in <home>/pipelines/NAME/file, so that
 * `features` finds it again. */
#ifndef MR_CMD_RUNNING_H
#define MR_CMD_RUNNING_H

#include "cmd/panel.h"

typedef struct mr_running {
    mr_session *session;
    mr_log *log;
    mr_models *models;
    mr_plan *plan;
    mr_pipeline *pipeline;
    mr_pipeline_options options;
} mr_running;

/* Loads the plan of a file; opens nothing. `what` is what it is for ("run"): accesses to models are recorded with it.
 * Close also after a failure. */
mr_status mr_running_load(mr_running *running, mr_session *session, const char *path,
                          const char *what, bool create, mr_error *err);
/* Opens the pipeline and remembers the file. */
mr_status mr_running_open(mr_running *running, const char *path, mr_error *err);
/* Runs until a signal, the end (options.until_end), or until `idle(context)` (may be NULL), which is asked whenever
 * there was nothing to take, says so. Then the pipeline is stopped: nothing in flight, and a checkpoint. */
mr_status mr_running_run(mr_running *running, mr_panel *panel, bool (*idle)(void *context),
                         void *context, mr_error *err);
void mr_running_close(mr_running *running);

#define MR_RUNNING_NAME_BYTES 128 /* of a pipeline: the plan allows 100 */

/* The only pipeline that ran in this home, into MR_RUNNING_NAME_BYTES; MR_NOT_FOUND or MR_INVALID: there is none, or
 * several. */
mr_status mr_running_only(mr_session *session, char *out_name, mr_error *err);
/* The file of a pipeline that ran in this home; `name` NULL: the only one. Caller frees with mr_bytes_deinit. */
mr_status mr_running_find(mr_session *session, const char *name, mr_bytes *out_path, mr_error *err);

#endif
