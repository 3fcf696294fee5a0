/* score.c -- `millrace score`: a model over a file or a topic, as text on stdout. */
#include "cmd/ingest.h"
#include "cmd/progress.h"
#include "cmd/rejects.h"
#include "cmd/scoring.h"
#include "cmd/verb.h"
#include "data/encoder.h"
#include "os/process.h"

#include <inttypes.h>
#include <string.h>

#define ROWS_MAX 4096

typedef struct score {
    mr_session *session;
    mr_model *model;
    mr_list keep;
    mr_scoring scoring;
    mr_encoder_options encoder;
    mr_bytes text;
    mr_progress progress;
    bool header_done;
} score;

static mr_status start(score *self, const mr_schema *input, mr_error *err)
{
    return mr_scoring_open(&self->scoring, self->model, input, self->keep.items, self->keep.count,
                           err);
}

static mr_status score_batch(score *self, const mr_batch *batch, mr_error *err)
{
    mr_batch *scored = NULL;
    MR_TRY(mr_scoring_batch(&self->scoring, batch, &scored, err));
    if (!self->header_done)
        mr_encode_header(&self->encoder, scored->schema, &self->text);
    self->header_done = true;
    mr_encode_rows(&self->encoder, scored, 0, scored->row_count, &self->text);
    mr_output_bytes(&self->session->out, self->text.data, self->text.size);
    bool failed = self->text.failed;
    mr_bytes_clear(&self->text);
    mr_batch_release(scored);
    if (failed)
        return MR_OUT_OF_MEMORY(err);
    if (self->session->out.status != MR_OK && err != NULL)
        *err = self->session->out.error;
    return self->session->out.status;
}

/* ---- a topic ---- */

static mr_status score_partition(score *self, mr_topic *topic, mr_schema *schema,
                                 uint32_t partition, mr_error *err)
{
    mr_log_reader *reader = NULL;
    mr_log_reader_options options = {.schema = schema, .rows_max = ROWS_MAX};
    MR_TRY(mr_log_reader_open(topic, partition, (mr_log_start){0}, &options, &reader, err));
    uint64_t end = mr_log_reader_end(reader);
    mr_status status = MR_OK;
    mr_progress_begin(&self->progress, self->session, mr_topic_name(topic), end);
    while (status == MR_OK && mr_log_reader_offset(reader) < end && mr_process_stop_asked() == 0) {
        mr_log_block block = {0};
        status = mr_log_reader_next(reader, &block, err);
        if (status == MR_OK)
            status = score_batch(self, block.batch, err);
        mr_log_block_release(&block);
        mr_progress_set(&self->progress, mr_log_reader_offset(reader));
    }
    mr_progress_end(&self->progress);
    mr_log_reader_close(reader);
    return status;
}

static mr_status score_opened(score *self, mr_topic *topic, mr_error *err)
{
    mr_schema *schema = NULL;
    MR_TRY(mr_topic_schema(topic, &schema, NULL, err));
    mr_status status = start(self, schema, err);
    for (uint32_t i = 0; i < mr_topic_partitions(topic) && status == MR_OK; i++)
        status = score_partition(self, topic, schema, i, err);
    mr_schema_release(schema);
    return status;
}

static mr_status score_topic(score *self, const char *name, mr_error *err)
{
    mr_log *log = NULL;
    mr_topic *topic = NULL;
    MR_TRY(mr_session_open_log(self->session, false, &log, err));
    mr_status status = mr_topic_open(log, name, &topic, err);
    if (status == MR_OK)
        status = score_opened(self, topic, err);
    mr_topic_close(topic);
    mr_log_close(log);
    return status;
}

/* ---- a file ---- */

/* Without --schema: the kept columns as text, and the model's inputs as numbers that may be missing. */
static mr_status guess_schema(const score *self, mr_schema **out, mr_error *err)
{
    const mr_model_signature *signature = &self->model->signature;
    size_t count = 0;
    mr_field *fields = mr_alloc_zero(self->keep.count + signature->input_count, sizeof *fields);
    if (fields == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < self->keep.count; i++)
        if (mr_model_input_find(self->model, self->keep.items[i]) < 0)
            fields[count++] =
                (mr_field){.name = self->keep.items[i], .type = {MR_STRING, 0}, .nullable = true};
    for (uint32_t i = 0; i < signature->input_count; i++)
        fields[count++] = (mr_field){
            .name = signature->input_names[i], .type = {MR_FLOAT64, 0}, .nullable = true};
    mr_status status = mr_schema_create(fields, count, out, err);
    mr_free(fields);
    return status;
}

static mr_status score_step(score *self, mr_ingest *ingest, mr_rejects *rejects, const char *path,
                            mr_error *err)
{
    mr_batch *batch = NULL;
    size_t count = 0;
    MR_TRY(mr_ingest_next(ingest, &batch, err));
    const mr_reject *refused = mr_decoder_rejects(ingest->decoder, &count);
    mr_status status = mr_rejects_add(rejects, path, refused, count, err);
    if (status == MR_OK && batch != NULL)
        status = score_batch(self, batch, err);
    mr_batch_release(batch);
    mr_progress_set(&self->progress, mr_input_raw_offset(ingest->input));
    return status;
}

static mr_status score_steps(score *self, mr_ingest *ingest, mr_rejects *rejects, const char *path,
                             mr_error *err)
{
    mr_status status = MR_OK;
    MR_TRY(mr_ingest_open(ingest, path, err));
    mr_progress_begin(&self->progress, self->session, path, mr_input_raw_size(ingest->input));
    while (status == MR_OK)
        status = score_step(self, ingest, rejects, path, err);
    mr_progress_end(&self->progress);
    return status == MR_END ? MR_OK : status;
}

static mr_status score_file(score *self, const char *path, mr_error *err)
{
    mr_schema *schema = NULL;
    mr_ingest ingest = {0};
    mr_rejects rejects = {0};
    mr_status status;
    MR_GOTO(done, status, mr_session_schema(self->session, &schema, err));
    if (schema == NULL)
        MR_GOTO(done, status, guess_schema(self, &schema, err));
    MR_GOTO(done, status, start(self, schema, err));
    MR_GOTO(done, status, mr_ingest_init(&ingest, self->session, schema, true, err));
    MR_GOTO(done, status, mr_rejects_init(&rejects, self->session, NULL, NULL, NULL, err));
    MR_GOTO(done, status, score_steps(self, &ingest, &rejects, path, err));
    if (rejects.count > 0)
        mr_session_say(self->session, "%" PRIu64 " records were refused and have no score",
                       rejects.count);
    self->session->exit_code = rejects.count > 0 ? MR_EXIT_DEAD_LETTERS : 0;
done:
    mr_rejects_deinit(&rejects);
    mr_ingest_deinit(&ingest);
    mr_schema_release(schema);
    return status;
}

/* ---- the verb ---- */

static mr_status score_source(score *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    const char *source = mr_arguments_operand(arguments, 0),
               *model = mr_arguments_text(arguments, "model");
    const char *output = mr_arguments_text(arguments, "output");
    mr_text_format format;
    if (model == NULL)
        return MR_FAIL(err, MR_INVALID, "score wants --model: a model file or artifact folder");
    self->encoder.format =
        self->session->json || strcmp(output, "jsonl") == 0 ? MR_FORMAT_JSONL : MR_FORMAT_CSV;
    MR_TRY(mr_list_parse(&self->keep, mr_arguments_text(arguments, "keep"), err));
    MR_TRY(mr_model_open(self->session->fs, model, NULL, &self->model, err));
    if (strcmp(source, "-") == 0 || mr_text_format_of_path(source, &format))
        return score_file(self, source, err);
    return score_topic(self, source, err);
}

static mr_status score_run(mr_session *session, mr_error *err)
{
    score self = {.session = session};
    mr_process_catch_signals();
    mr_status status = score_source(&self, err);
    mr_scoring_close(&self.scoring);
    mr_model_close(self.model);
    mr_list_deinit(&self.keep);
    mr_bytes_deinit(&self.text);
    return status;
}

static const struct mr_operand operands[] = {
    {"FILE|TOPIC", false, false,
     "what to score: a CSV or JSON lines file (told by its ending; -: standard input), "
     "or a topic"},
    {0},
};

static const struct mr_option options[] = {
    {"model", 'm', "FILE", NULL, NULL,
     "the model: an XGBoost JSON file, or the folder that `train` wrote"},
    {"keep", '\0', "COLUMN,...", NULL, NULL,
     "the columns to write beside the score; all when not given"},
    {"output", '\0', "csv|jsonl", "csv", NULL, "what is written"},
    MR_SCHEMA_OPTIONS,
    MR_INGEST_OPTIONS,
    {0},
};

static const mr_example examples[] = {
    {"millrace score payments.csv --model model.json --keep tx > scores.csv",
     "the score of each row, with its tx"},
    {"millrace score features --model model --keep tx,customer --json", "a topic, as JSON lines"},
    {0},
};

static const mr_verb_exit exits[] = {
    {MR_EXIT_DEAD_LETTERS, "done, but some records of the file were refused and have no score"},
    {0},
};

const struct mr_verb mr_verb_score = {
    .name = "score",
    .summary = "score a file or a topic with a model",
    .about = "Without --schema the kept columns of a file are read as text, and the model's inputs "
             "as numbers that "
             "may be missing.",
    .operands = operands,
    .options = options,
    .examples = examples,
    .exits = exits,
    .run = score_run,
};
