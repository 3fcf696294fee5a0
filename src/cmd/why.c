/* why.c -- `millrace why`: how one decision came about, and whether it would come about again. */
#include "cmd/why.h"

#include "base/assert.h"
#include "base/number.h"
#include "cmd/verb.h"
#include "data/expr.h"

#include <stdio.h>
#include <string.h>

#define EXIT_DIFFERS 1

int why_find(const mr_batch *batch, const char *name)
{
    return mr_schema_find(batch->schema, name);
}

int64_t why_int(const mr_batch *batch, int column, uint32_t row)
{
    const mr_column *from = &batch->columns[column];
    if (mr_column_is_null(from, row))
        return -1;
    return from->type.id == MR_INT32 ? ((const int32_t *)from->values)[row]
                                     : ((const int64_t *)from->values)[row];
}

/* ---- which record ---- */

static void write_value(mr_type_id type, const char *value, mr_bytes *out)
{
    if (type != MR_STRING) {
        mr_bytes_printf(out, type == MR_TIMESTAMP ? "timestamp '%s'" : "%s", value);
        return;
    }
    mr_bytes_append_byte(out, '\'');
    for (; *value != '\0'; value++)
        mr_bytes_append_text(out, *value == '\'' ? "''" : (char[]){*value, '\0'});
    mr_bytes_append_byte(out, '\'');
}

/* tx=4711 as an expression: "tx" = 4711. */
static mr_status compile_where(const char *text, const mr_schema *schema, mr_expr **out,
                               mr_error *err)
{
    const char *equal = strchr(text, '=');
    char name[MR_NAME_BYTES_MAX + 1];
    if (equal == NULL || equal == text || (size_t)(equal - text) >= sizeof name)
        return MR_FAIL(err, MR_INVALID, "--where '%s' is not NAME=VALUE", text);
    (void)snprintf(name, sizeof name, "%.*s", (int)(equal - text), text);
    int column = mr_schema_find(schema, name);
    if (column < 0)
        return MR_FAIL(err, MR_NOT_FOUND, "--where: the topic has no column '%s'", name);
    mr_bytes words = {0};
    mr_bytes_printf(&words, "\"%s\" = ", name);
    write_value(schema->fields[column].type.id, equal + 1, &words);
    mr_expr_place place = {.file = "--where"};
    mr_status status = words.failed ? MR_OUT_OF_MEMORY(err)
                                    : mr_expr_compile((const char *)words.data, words.size, schema,
                                                      &place, out, err);
    mr_bytes_deinit(&words);
    return status;
}

static mr_status match_block(const mr_expr *where, mr_expr_scratch *scratch,
                             const mr_log_block *block, uint64_t *out, mr_error *err)
{
    mr_column matches = {0};
    MR_TRY(mr_expr_eval(where, scratch, block->batch->columns, 0, block->batch->row_count, &matches,
                        err));
    mr_status status = MR_END;
    for (uint32_t row = 0; row < block->batch->row_count && status == MR_END; row++)
        if (!mr_column_is_null(&matches, row) && mr_bit_get(matches.values, row)) {
            *out = block->base_offset + row;
            status = MR_OK;
        }
    mr_column_release(&matches);
    return status;
}

/* The first record for which it is true; MR_END: none. */
static mr_status find_match(mr_log_reader *reader, const mr_expr *where, uint64_t *out,
                            mr_error *err)
{
    mr_expr_scratch scratch = {0};
    mr_status status = MR_END;
    for (;;) {
        mr_log_block block = {0};
        mr_status read = mr_log_reader_next(reader, &block, err);
        if (read != MR_OK) {
            status = read;
            break;
        }
        status = match_block(where, &scratch, &block, out, err);
        mr_log_block_release(&block);
        if (status != MR_END)
            break;
    }
    mr_expr_scratch_deinit(&scratch);
    return status;
}

static mr_status find_where(why *self, mr_topic *topic, const char *text, mr_error *err)
{
    mr_schema *schema = NULL;
    mr_log_reader *reader = NULL;
    mr_expr *where = NULL;
    MR_TRY(mr_topic_schema(topic, &schema, NULL, err));
    mr_log_reader_options options = {.schema = schema};
    mr_status status = compile_where(text, schema, &where, err);
    if (status == MR_OK && mr_expr_type(where).id != MR_BOOL)
        status = MR_FAIL(err, MR_INVALID, "--where '%s' is no condition", text);
    if (status == MR_OK)
        status = mr_log_reader_open(topic, 0, (mr_log_start){.kind = MR_LOG_START_FIRST}, &options,
                                    &reader, err);
    if (status == MR_OK)
        status = find_match(reader, where, &self->offset, err);
    if (status == MR_END)
        status = MR_FAIL(err, MR_NOT_FOUND, "%s has no record with %s", self->topic, text);
    mr_log_reader_close(reader);
    mr_expr_destroy(where);
    mr_schema_release(schema);
    return status;
}

static mr_status choose_offset(why *self, mr_topic *topic, mr_error *err)
{
    const mr_arguments *arguments = &self->session->arguments;
    const char *text = mr_arguments_operand(arguments, 1);
    const char *where = mr_arguments_text(arguments, "where");
    int64_t offset;
    if ((text == NULL) == (where == NULL))
        return MR_FAIL(err, MR_INVALID, "name the record by its OFFSET or by --where NAME=VALUE");
    if (where != NULL)
        return find_where(self, topic, where, err);
    if (!mr_number_is_int64(text, strlen(text), &offset) || offset < 0)
        return MR_FAIL(err, MR_INVALID, "'%s' is no offset", text);
    self->offset = (uint64_t)offset;
    return MR_OK;
}

/* The whole block that holds the record. */
static mr_status read_block(why *self, mr_topic *topic, mr_error *err)
{
    mr_log_reader *reader;
    mr_log_start start = {.kind = MR_LOG_START_OFFSET, .offset = self->offset};
    MR_TRY(mr_log_reader_open(topic, 0, start, NULL, &reader, err));
    mr_status status = mr_log_reader_next(reader, &self->block, err);
    if (status == MR_OK && self->block.block_offset < self->block.base_offset) {
        start.offset = self->block.block_offset;
        mr_log_block_release(&self->block);
        self->block = (mr_log_block){0};
        status = mr_log_reader_seek(reader, start, err);
        if (status == MR_OK)
            status = mr_log_reader_next(reader, &self->block, err);
    }
    mr_log_reader_close(reader);
    if (status == MR_END)
        return MR_FAIL(err, MR_NOT_FOUND, "%s has no record %llu", self->topic,
                       (unsigned long long)self->offset);
    return status;
}

static mr_status read_decision(why *self, mr_log *log, mr_error *err)
{
    mr_topic *topic;
    MR_TRY(mr_topic_name_resolve(mr_arguments_operand(&self->session->arguments, 0), self->topic,
                                 err));
    MR_TRY(mr_topic_open(log, self->topic, &topic, err));
    mr_status status = choose_offset(self, topic, err);
    if (status == MR_OK)
        status = read_block(self, topic, err);
    mr_topic_close(topic);
    MR_TRY(status);
    const mr_log_block *block = &self->block;
    self->decision = (mr_decision){.topic = self->topic,
                                   .producer_id = block->producer_id,
                                   .first = block->sequence_first,
                                   .next = block->sequence_next,
                                   .row = (uint32_t)(self->offset - block->block_offset),
                                   .rows = block->block_rows};
    return mr_batch_slice(block->batch, self->decision.row, 1, &self->row, err);
}

/* ---- which pipeline ---- */

static mr_status find_pipeline(why *self, mr_error *err)
{
    char folder[MR_PATH_MAX];
    char **names = NULL;
    size_t count = 0;
    (void)snprintf(folder, sizeof folder, "%s/pipelines", self->session->home);
    if (mr_fs_exists(self->session->fs, folder))
        MR_TRY(mr_fs_list(self->session->fs, folder, &names, &count, err));
    for (size_t i = 0; i < count; i++)
        if (self->decision.producer_id != 0 &&
            mr_pipeline_is_producer(names[i], self->topic, self->decision.producer_id))
            (void)snprintf(self->pipeline, sizeof self->pipeline, "%s", names[i]);
    mr_fs_free_names(names, count);
    if (self->pipeline[0] != '\0')
        return MR_OK;
    return MR_FAIL(err, MR_NOT_FOUND,
                   "record %llu of %s was not decided by a pipeline of this home",
                   (unsigned long long)self->offset, self->topic);
}

static mr_status load_pipeline(why *self, mr_error *err)
{
    const char *named = mr_arguments_text(&self->session->arguments, "pipeline");
    mr_bytes path = {0};
    MR_TRY(find_pipeline(self, err));
    mr_status status =
        mr_running_find(self->session, named != NULL ? named : self->pipeline, &path, err);
    if (status == MR_OK)
        status = mr_running_load(&self->running, self->session, (const char *)path.data, "why",
                                 false, err);
    if (status == MR_OK && strcmp(mr_plan_name(self->running.plan), self->pipeline) != 0)
        status = MR_FAIL(err, MR_CONFLICT, "%s is of pipeline %s, the record was decided by %s",
                         (const char *)path.data, mr_plan_name(self->running.plan), self->pipeline);
    mr_bytes_deinit(&path);
    return status;
}

/* ---- once more ---- */

static mr_status compare(why *self, mr_error *err)
{
    mr_batch *again = NULL;
    const mr_batch *stored = self->block.batch;
    MR_TRY(mr_batch_adapt(self->again.rows, stored->schema, &again, err));
    self->agrees = mr_batch_equal(again, stored);
    uint32_t rows = MR_MIN(again->row_count, stored->row_count);
    for (uint32_t c = 0; c < stored->schema->field_count && !self->agrees; c++)
        if (!mr_column_equal(&again->columns[c], 0, &stored->columns[c], 0, rows))
            mr_bytes_printf(&self->differing, "%s%s", self->differing.size > 0 ? ", " : "",
                            stored->schema->fields[c].name);
    mr_batch_release(again);
    if (!self->agrees)
        self->session->exit_code = EXIT_DIFFERS;
    return MR_OK;
}

static mr_status replay(why *self, mr_error *err)
{
    MR_TRY(mr_pipeline_replay(self->running.plan, &self->running.options, &self->decision,
                              &self->again, err));
    self->replayed = true;
    self->frame = self->again.frame;
    self->origin = self->again.origin;
    self->origin_known = true;
    self->record = mr_batch_retain(self->again.record);
    return compare(self, err);
}

/* By what the decision keeps of its place, else by counting records. */
static mr_status find_origin(why *self, mr_error *err)
{
    int position = why_find(self->row, "position");
    bool kept = position >= 0 && self->row->columns[position].type.id == MR_INT64 &&
                !mr_column_is_null(&self->row->columns[position], 0);
    if (kept)
        return mr_pipeline_origin(self->running.log, self->pipeline,
                                  (uint64_t)why_int(self->row, position, 0), &self->origin, err);
    return mr_pipeline_origin_of_row(self->running.log, self->running.plan, &self->decision,
                                     &self->origin, err);
}

/* What came in. That it is gone, or not to be told without a replay, is an answer too. */
void why_find_record(why *self)
{
    mr_error *err = &self->record_error;
    self->origin_known = find_origin(self, err) == MR_OK;
    if (self->origin_known)
        (void)mr_plan_read_record(self->running.plan, self->running.log, &self->origin,
                                  &self->record, err);
    else
        mr_error_prefix(err, "--replay can tell which record it was");
}

/* ---- how columns come about ---- */

static void keep_column(void *context, const mr_plan_column_account *column, const char *text)
{
    why *self = context;
    if (why_find(self->frame, column->name) < 0)
        return;
    self->columns[self->column_count++] = (why_column){column->name, column->stage, column->view,
                                                       mr_arena_strdup(&self->arena, text)};
}

static mr_status keep_columns(why *self, mr_error *err)
{
    self->columns = MR_ARENA_ARRAY(&self->arena, why_column, self->frame->schema->field_count + 1);
    if (self->columns == NULL)
        return MR_OUT_OF_MEMORY(err);
    MR_TRY(mr_plan_account(self->running.plan, keep_column, self, err));
    for (size_t i = 0; i < self->column_count; i++)
        if (self->columns[i].text == NULL)
            return MR_OUT_OF_MEMORY(err);
    return MR_OK;
}

/* ---- the verb ---- */

static mr_status answer(why *self, mr_error *err)
{
    int64_t reasons = 0;
    MR_TRY(mr_arguments_int(&self->session->arguments, "reasons", 0, 1000, &reasons, err));
    self->reasons_max = (size_t)reasons;
    if (mr_arguments_flag(&self->session->arguments, "replay"))
        MR_TRY(replay(self, err));
    else
        why_find_record(self);
    MR_TRY(keep_columns(self, err));
    MR_TRY(why_find_models(self, err));
    MR_TRY(why_ask_models(self, err));
    return self->session->json ? why_print_json(self, err) : why_print_text(self, err);
}

static void close_all(why *self)
{
    why_close_models(self);
    mr_replayed_deinit(&self->again);
    mr_batch_release(self->record);
    mr_batch_release(self->row);
    mr_bytes_deinit(&self->differing);
    mr_log_block_release(&self->block);
    mr_running_close(&self->running);
    mr_arena_deinit(&self->arena);
}

mr_status why_with(mr_session *session, mr_status (*body)(why *self, mr_error *err), mr_error *err)
{
    mr_log *log = NULL;
    why *self = MR_NEW(why);
    if (self == NULL)
        return MR_OUT_OF_MEMORY(err);
    self->session = session;
    self->decider = -1;
    mr_arena_init(&self->arena, 0);
    mr_status status = mr_session_open_log(session, false, &log, err);
    if (status == MR_OK)
        status = read_decision(self, log, err);
    self->frame = self->row;
    if (status == MR_OK)
        status = load_pipeline(self, err);
    if (status == MR_OK)
        status = body(self, err);
    close_all(self);
    mr_log_close(log);
    mr_free(self);
    return status;
}

static mr_status why_run(mr_session *session, mr_error *err)
{
    return why_with(session, answer, err);
}

static const struct mr_operand operands[] = {
    {"TOPIC", false, false, "a sink of a pipeline: its decisions"},
    {"OFFSET", true, false, "of the record; or say --where"},
    {0},
};

static const struct mr_option options[] = {
    WHY_OPTIONS,
    {"replay", '\0', NULL, NULL, NULL,
     "compute it again from the journal, in memory, and compare the bytes"},
    {"with", '\0', "MODEL,...", NULL, NULL,
     "score it with these versions, too: name@alias, name/7, a file or a folder"},
    {"reasons", '\0', "N", "5", NULL, "how many inputs to name, the weightiest first"},
    {0},
};

static const mr_example examples[] = {
    {"millrace why decisions 4711", "what came in, features, model, scores, reasons, rule"},
    {"millrace why decisions --where tx=98231 --replay",
     "the same for a record by its id, computed again and compared"},
    {"millrace why decisions 4711 --with fraud/3,fraud@challenger --json",
     "what other versions say of it"},
    {0},
};

static const mr_verb_exit exits[] = {
    {EXIT_DIFFERS, "--replay gives other bytes than the topic holds"},
    {3, "no such record, or what it takes is no longer kept"},
    {0},
};

const struct mr_verb mr_verb_why = {
    .name = "why",
    .summary = "tell how one decision came about",
    .about =
        "Shows the record that came in, the features and how they are defined, which version of "
        "the model decided, when and by whom it was put there and on what it was trained, what "
        "each version says of the record, what each input adds, and the rule that held.\n"
        "With --replay the decision is computed again from the journal, with the versions that "
        "played then, and compared byte by byte with what the topic holds.",
    .operands = operands,
    .options = options,
    .examples = examples,
    .exits = exits,
    .run = why_run,
};
