/* score.c -- `millrace score`: a model over a file or a topic, as text on stdout. */
#include "cmd/ingest.h"
#include "cmd/model_session.h"
#include "cmd/scoring.h"
#include "cmd/source.h"
#include "base/number.h"
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
    uint32_t reasons;
    mr_scoring scoring;
    mr_encoder_options encoder;
    mr_bytes text;
    bool header_done;
} score;

static mr_status start(void *context, const mr_schema *input, mr_error *err)
{
    score *self = context;
    mr_scoring_options options = {
        .names = self->keep.items,
        .name_count = self->keep.count,
        .reasons = self->reasons,
        .contributions = mr_arguments_flag(&self->session->arguments, "contributions")};
    return mr_scoring_open(&self->scoring, self->model, input, &options, err);
}

static mr_status score_batch(void *context, mr_batch *batch, mr_error *err)
{
    score *self = context;
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

/* ---- the source ---- */

static mr_status score_rows(score *self, const char *source, mr_error *err)
{
    mr_schema *schema = NULL;
    uint64_t refused = 0;
    mr_source_reader reader = {start, score_batch, self, ROWS_MAX, NULL};
    MR_TRY(mr_session_schema(self->session, &schema, err));
    mr_status status = MR_OK;
    if (schema == NULL && mr_source_is_file(source))
        status =
            mr_scoring_guess_schema(self->model, self->keep.items, self->keep.count, &schema, err);
    if (status == MR_OK)
        status = mr_source_read(self->session, source, schema, &reader, &refused, err);
    mr_schema_release(schema);
    if (refused > 0)
        mr_session_say(self->session, "%" PRIu64 " records were refused and have no score",
                       refused);
    self->session->exit_code = refused > 0 ? MR_EXIT_DEAD_LETTERS : 0;
    return status;
}

/* ---- the verb ---- */

static mr_status read_reasons(score *self, mr_error *err)
{
    int64_t count = 0;
    MR_TRY(mr_arguments_int(&self->session->arguments, "reasons", 1, MR_REASONS_COUNT_MAX, &count,
                            err));
    self->reasons = (uint32_t)count;
    return MR_OK;
}

static mr_status score_source(score *self, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    const char *source = mr_arguments_operand(arguments, 0),
               *model = mr_arguments_text(arguments, "model");
    const char *output = mr_arguments_text(arguments, "output");
    if (model == NULL)
        return MR_FAIL(err, MR_INVALID,
                       "score wants --model: a model file, an artifact folder, or NAME@ALIAS");
    self->encoder.format =
        self->session->json || strcmp(output, "jsonl") == 0 ? MR_FORMAT_JSONL : MR_FORMAT_CSV;
    MR_TRY(read_reasons(self, err));
    MR_TRY(mr_list_parse(&self->keep, mr_arguments_text(arguments, "keep"), err));
    MR_TRY(mr_model_session_load(self->session, model, "score", &self->model, err));
    return score_rows(self, source, err);
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
    {"model", 'm', "MODEL", NULL, NULL,
     "a model file, the folder that `train` wrote, or a published one: NAME, NAME@ALIAS, "
     "NAME/VERSION"},
    {"keep", '\0', "COLUMN,...", NULL, NULL,
     "the columns to write beside the score; all when not given"},
    {"reasons", '\0', "K", NULL, NULL,
     "also the K inputs that raised the score most, as JSON in score_reasons"},
    {"contributions", '\0', NULL, NULL, NULL,
     "also what each input adds to the margin: contribution_<input>; score_base is what all "
     "rows have"},
    {"output", '\0', "csv|jsonl", "csv", NULL, "what is written"},
    MR_SCHEMA_OPTIONS,
    MR_INGEST_OPTIONS,
    {0},
};

static const mr_example examples[] = {
    {"millrace score payments.csv --model model.json --keep tx > scores.csv",
     "the score of each row, with its tx"},
    {"millrace score features --model model --keep tx,customer --json", "a topic, as JSON lines"},
    {"millrace score payments.csv --model model.json --keep tx --reasons 3",
     "with the three largest reasons of each score"},
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
