/* flow.h -- a home in a folder, topics filled by hand, pipelines run to their end: for tests that span floors. */
#ifndef MR_TEST_FLOW_H
#define MR_TEST_FLOW_H

#include "log/log.h"
#include "pipeline/pipeline.h"
#include "test/test.h"

typedef struct mr_flow {
    const char *home; /* copied into `folder` */
    char folder[MR_PATH_MAX];
    mr_log *log;
} mr_flow;

/* A home in that folder, or in a fresh one (NULL). Failures fail the test, here and below. */
void mr_flow_open(mr_flow *flow, const char *folder);
void mr_flow_close(mr_flow *flow);
/* Appends a batch durably to a topic that is created when absent. */
void mr_flow_append(mr_flow *flow, const char *topic, const char *event_time, mr_batch *batch);
/* Appends CSV text (header, rows) of a schema. */
void mr_flow_append_csv(mr_flow *flow, const char *topic, const char *event_time,
                        const char *schema, const char *csv);
/* Compiles and runs a pipeline until its sources end; options may be NULL (log, fs, clock, home, until_end are
 * filled in). */
void mr_flow_run(mr_flow *flow, const char *yaml, const mr_pipeline_options *options);
/* All rows of a topic as JSON lines, appended to *out. A topic that does not exist has none. */
void mr_flow_read(mr_flow *flow, const char *topic, mr_bytes *out);
/* All rows of a topic as one batch; the caller releases. NULL when it has none. */
mr_batch *mr_flow_batch(mr_flow *flow, const char *topic);

#endif
