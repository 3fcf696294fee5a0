/* flow.c -- see flow.h. */
#include "test/flow.h"

#include "data/decoder.h"
#include "data/encoder.h"

#include <stdio.h>
#include <string.h>

void mr_flow_open(mr_flow *flow, const char *folder)
{
    mr_error err = {0};
    (void)snprintf(flow->folder, sizeof flow->folder, "%s",
                   folder != NULL ? folder : mr_test_folder());
    flow->home = flow->folder;
    assert_ok(mr_log_open(mr_fs_real(), mr_clock_real(), flow->home, &flow->log, &err), &err);
}

void mr_flow_close(mr_flow *flow)
{
    mr_log_close(flow->log);
    flow->log = NULL;
}

void mr_flow_append(mr_flow *flow, const char *topic, const char *event_time, mr_batch *batch)
{
    mr_error err = {0};
    mr_topic *open;
    mr_topic_options options = {0};
    (void)snprintf(options.event_time, sizeof options.event_time, "%s", event_time);
    mr_status status = mr_topic_create(flow->log, topic, &options, batch->schema, &err);
    if (status != MR_EXISTS)
        assert_ok(status, &err);
    assert_ok(mr_topic_open(flow->log, topic, &open, &err), &err);
    mr_append what = {.batch = batch};
    mr_appended done;
    assert_ok(mr_topic_append_commit(open, 0, &what, &done, &err), &err);
    mr_topic_close(open);
}

void mr_flow_append_csv(mr_flow *flow, const char *topic, const char *event_time,
                        const char *schema, const char *csv)
{
    mr_error err = {0};
    mr_schema *parsed;
    mr_decoder *decoder;
    mr_batch *batch;
    assert_ok(mr_schema_parse(schema, strlen(schema), &parsed, &err), &err);
    mr_decoder_options options = {.format = MR_FORMAT_CSV, .schema = parsed, .name = topic};
    assert_ok(mr_decoder_open(&options, &decoder, &err), &err);
    assert_ok(mr_decoder_feed(decoder, csv, strlen(csv), &err), &err);
    mr_decoder_finish(decoder);
    for (;;) {
        size_t rejects;
        assert_ok(mr_decoder_next_batch(decoder, &batch, &err), &err);
        (void)mr_decoder_rejects(decoder, &rejects);
        assert_int_equal(rejects, 0);
        if (batch == NULL)
            break;
        mr_flow_append(flow, topic, event_time, batch);
        mr_batch_release(batch);
    }
    mr_decoder_close(decoder);
    mr_schema_release(parsed);
}

void mr_flow_run(mr_flow *flow, const char *yaml, const mr_pipeline_options *options)
{
    mr_error err = {0};
    mr_plan *plan;
    mr_pipeline *pipeline;
    mr_pipeline_options filled = options != NULL ? *options : (mr_pipeline_options){.workers = 1};
    filled.log = flow->log;
    filled.fs = mr_fs_real();
    filled.clock = mr_clock_real();
    filled.home = flow->home;
    filled.until_end = true;
    assert_ok(mr_plan_compile(filled.fs, flow->log, filled.models, yaml, strlen(yaml), "test.yaml",
                              flow->home, &plan, &err),
              &err);
    assert_ok(mr_pipeline_open(plan, &filled, &pipeline, &err), &err);
    assert_ok(mr_pipeline_run(pipeline, NULL, &err), &err);
    mr_pipeline_close(pipeline);
    mr_plan_release(plan);
}

/* Opens a reader at the start of a topic; NULL when there is no such topic. */
static mr_log_reader *open_reader(mr_flow *flow, const char *topic, mr_topic **out_topic)
{
    mr_error err = {0};
    mr_log_reader *reader;
    mr_status status = mr_topic_open(flow->log, topic, out_topic, &err);
    if (status == MR_NOT_FOUND)
        return NULL;
    assert_ok(status, &err);
    assert_ok(mr_log_reader_open(*out_topic, 0, (mr_log_start){.kind = MR_LOG_START_FIRST}, NULL,
                                 &reader, &err),
              &err);
    return reader;
}

void mr_flow_read(mr_flow *flow, const char *topic, mr_bytes *out)
{
    mr_error err = {0};
    mr_topic *open;
    mr_log_reader *reader = open_reader(flow, topic, &open);
    if (reader == NULL)
        return;
    mr_log_block block;
    mr_status status;
    while ((status = mr_log_reader_next(reader, &block, &err)) == MR_OK) {
        mr_encode_rows(&(mr_encoder_options){.format = MR_FORMAT_JSONL}, block.batch, 0,
                       block.batch->row_count, out);
        mr_log_block_release(&block);
    }
    assert_int_equal(status, MR_END);
    mr_log_reader_close(reader);
    mr_topic_close(open);
}

mr_batch *mr_flow_batch(mr_flow *flow, const char *topic)
{
    mr_error err = {0};
    mr_topic *open;
    mr_batch *joined = NULL, **parts = NULL;
    size_t count = 0;
    mr_log_reader *reader = open_reader(flow, topic, &open);
    if (reader == NULL)
        return NULL;
    mr_log_block block;
    mr_status status;
    while ((status = mr_log_reader_next(reader, &block, &err)) == MR_OK) {
        mr_batch **grown = mr_realloc(parts, (count + 1) * sizeof *parts);
        assert_non_null(grown);
        parts = grown;
        parts[count++] = mr_batch_retain(block.batch);
        mr_log_block_release(&block);
    }
    assert_int_equal(status, MR_END);
    if (count > 0)
        assert_ok(mr_batch_concat(parts, count, &joined, &err), &err);
    for (size_t i = 0; i < count; i++)
        mr_batch_release(parts[i]);
    mr_free(parts);
    mr_log_reader_close(reader);
    mr_topic_close(open);
    return joined;
}
