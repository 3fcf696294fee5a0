/* emit.c -- emitting windows at work. See emit.h.
 *
 * For one micro-batch: walk the source's records in merged order and write down what is to be done (updates of
 * windows, questions of due ones), then gather the columns for it, and let the view do it all in that order. */
#include "pipeline/emit.h"

#include "base/assert.h"
#include "base/time.h"

#include <stdio.h>
#include <string.h>

/* What one micro-batch asks of the view. Arrays grow and stay. */
typedef struct emit_work {
    mr_bytes steps;     /* mr_view_step */
    mr_bytes positions; /* uint64_t per step */
    mr_bytes rows;      /* uint32_t per update: row of the source */
    mr_bytes starts;    /* int64_t per update: start of its window */
    mr_bytes
        as_of;     /* int64_t per row of the query side: a question, or what to forget before one */
    mr_bytes ends; /* int64_t per question: window_end */
    mr_bytes question_starts;
    mr_bytes question_rows; /* uint32_t per question: its row of the query side */
    mr_bytes merged;        /* uint32_t per question */
    mr_builder keys;        /* key columns of the query side */
    mr_schema *key_schema;
    mr_bytes key; /* of the record in hand */
} emit_work;

struct run_emit {
    const plan_emit *plan;
    run_view view;
    emit_timers timers;
    emit_watermark watermark;
    run_sink sink;
    emit_work work;
    source_rows out; /* rows emitted by the micro-batch */
};

typedef struct run_emit run_emit;

/* ---- open and close ---- */

static mr_status open_keys(run_emit *emit, mr_error *err)
{
    const plan_emit *plan = emit->plan;
    if (plan->key_count == 0)
        return MR_OK;
    MR_TRY(mr_schema_create(plan->frame->fields, plan->key_count, &emit->work.key_schema, err));
    return mr_builder_init(&emit->work.keys, emit->work.key_schema, err);
}

mr_status run_emits_open(mr_pipeline *pipeline, mr_error *err)
{
    size_t count = pipeline->plan->emit_count;
    pipeline->emits = mr_alloc_zero(count, sizeof *pipeline->emits);
    if (pipeline->emits == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; i < count; i++) {
        run_emit *emit = &pipeline->emits[i];
        emit->plan = &pipeline->plan->emits[i];
        emit_watermark_init(&emit->watermark);
        emit->out.columns = mr_alloc_zero(emit->plan->frame->field_count + 2, sizeof(mr_column));
        if (emit->out.columns == NULL)
            return MR_OUT_OF_MEMORY(err);
        MR_TRY(open_keys(emit, err));
        MR_TRY(run_view_open(pipeline, &emit->plan->view, &emit->view, err));
        MR_TRY(emit_timers_open(&emit->timers, emit->plan, pipeline->state, err));
    }
    return MR_OK;
}

mr_status run_emits_open_sinks(mr_pipeline *pipeline, mr_error *err)
{
    for (size_t i = 0; i < pipeline->plan->emit_count; i++) {
        const plan_sink *sink = &pipeline->plan->emits[i].sink;
        MR_TRY(run_sink_open(pipeline, sink->topic, sink, sink->schema, sink->topic,
                             &pipeline->emits[i].sink, err));
    }
    return MR_OK;
}

mr_status run_emits_restore(mr_pipeline *pipeline, mr_error *err)
{
    for (size_t i = 0; i < pipeline->plan->emit_count; i++)
        MR_TRY(emit_timers_restore(&pipeline->emits[i].timers, err));
    return MR_OK;
}

void run_emits_close_views(mr_pipeline *pipeline)
{
    for (size_t i = 0; pipeline->emits != NULL && i < pipeline->plan->emit_count; i++)
        if (pipeline->emits[i].view.plan != NULL)
            run_view_close(&pipeline->emits[i].view);
}

static void release_out(run_emit *emit)
{
    for (uint32_t i = 0; i < emit->out.column_count; i++)
        mr_column_release(&emit->out.columns[i]);
    emit->out.column_count = emit->out.count = 0;
}

static void close_emit(run_emit *emit)
{
    mr_bytes *arrays[] = {&emit->work.steps,
                          &emit->work.positions,
                          &emit->work.rows,
                          &emit->work.starts,
                          &emit->work.as_of,
                          &emit->work.ends,
                          &emit->work.question_starts,
                          &emit->work.merged,
                          &emit->work.question_rows,
                          &emit->work.key};
    for (size_t i = 0; i < MR_COUNT_OF(arrays); i++)
        mr_bytes_deinit(arrays[i]);
    mr_builder_deinit(&emit->work.keys);
    mr_schema_release(emit->work.key_schema);
    release_out(emit);
    mr_free(emit->out.columns);
    mr_view_destroy(emit->view.view);
    emit_timers_close(&emit->timers);
    run_sink_close(&emit->sink);
}

void run_emits_close(mr_pipeline *pipeline)
{
    for (size_t i = 0; pipeline->emits != NULL && i < pipeline->plan->emit_count; i++)
        close_emit(&pipeline->emits[i]);
    mr_free(pipeline->emits);
}

/* ---- flow bytes ---- */

void run_emits_encode(const mr_pipeline *pipeline, mr_bytes *out)
{
    mr_bytes_append_u32(out, (uint32_t)pipeline->plan->emit_count);
    for (size_t i = 0; i < pipeline->plan->emit_count; i++) {
        const run_emit *emit = &pipeline->emits[i];
        size_t bytes = strlen(emit->plan->name);
        mr_bytes_append_u16(out, (uint16_t)bytes);
        mr_bytes_append(out, emit->plan->name, bytes);
        mr_bytes_append_u64(out, (uint64_t)emit->watermark.time_us);
        mr_bytes_append_u64(out, (uint64_t)emit->watermark.candidate_us);
    }
}

mr_status run_emits_decode(mr_pipeline *pipeline, mr_reader *from, mr_error *err)
{
    uint32_t count = mr_reader_u32(from);
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        size_t bytes = mr_reader_u16(from);
        const uint8_t *name = mr_reader_bytes(from, bytes);
        emit_watermark watermark;
        watermark.time_us = (int64_t)mr_reader_u64(from);
        watermark.candidate_us = (int64_t)mr_reader_u64(from);
        for (size_t k = 0; k < pipeline->plan->emit_count && !from->failed; k++) {
            const char *own = pipeline->plan->emits[k].name;
            if (strlen(own) == bytes && memcmp(own, name, bytes) == 0)
                pipeline->emits[k].watermark = watermark;
        }
    }
    return from->failed ? MR_FAIL(err, MR_CORRUPT, "the checkpoint's watermarks are cut short")
                        : MR_OK;
}

/* ---- keys as bytes ---- */

/* Fixed types as 8 bytes, texts as a length and their bytes. False: a key column is NULL. */
static bool encode_key(const plan_emit *plan, const source_rows *rows, uint32_t row, mr_bytes *out)
{
    mr_bytes_clear(out);
    for (uint32_t i = 0; i < plan->key_count; i++) {
        const mr_column *column = &rows->columns[plan->view.key_columns[i]];
        if (mr_column_is_null(column, row))
            return false;
        if (mr_type_is_text(column->type.id)) {
            mr_text text = mr_column_text(column, row);
            mr_bytes_append_varint(out, text.size);
            mr_bytes_append(out, text.bytes, text.size);
            continue;
        }
        int64_t word = column->type.id == MR_BOOL    ? mr_bit_get(column->values, row)
                       : column->type.id == MR_INT32 ? ((const int32_t *)column->values)[row]
                                                     : ((const int64_t *)column->values)[row];
        mr_bytes_append(out, &word, sizeof word);
    }
    return true;
}

static void decode_key(const plan_emit *plan, const emit_timer *timer, mr_builder *to)
{
    mr_reader reader = mr_reader_of(timer->key, timer->key_bytes);
    for (uint32_t i = 0; i < plan->key_count; i++) {
        mr_builder_column *column = &to->columns[i];
        if (mr_type_is_text(column->type.id)) {
            size_t size = (size_t)mr_reader_varint(&reader);
            mr_builder_text(column, mr_reader_bytes(&reader, size), size);
            continue;
        }
        int64_t word = (int64_t)mr_reader_u64(&reader);
        if (column->type.id == MR_BOOL)
            mr_builder_bool(column, word != 0);
        else if (column->type.id == MR_INT32)
            mr_builder_int32(column, (int32_t)word);
        else
            mr_builder_int64(column, word);
    }
    MR_ASSERT(!reader.failed);
}

/* ---- writing down what is to be done ---- */

static void add_step(run_emit *emit, uint64_t position, uint32_t row, uint32_t output, uint32_t act)
{
    mr_view_step step = {.row = row, .output = output, .act = act};
    mr_bytes_append(&emit->work.steps, &step, sizeof step);
    mr_bytes_append(&emit->work.positions, &position, sizeof position);
}

/* A row of the query side, and its step. */
static uint32_t add_query(run_emit *emit, uint64_t position, const emit_timer *timer,
                          int64_t as_of_us, uint32_t output, uint32_t act)
{
    uint32_t row = (uint32_t)(emit->work.as_of.size / sizeof as_of_us);
    decode_key(emit->plan, timer, &emit->work.keys);
    mr_bytes_append(&emit->work.as_of, &as_of_us, sizeof as_of_us);
    add_step(emit, position, row, output, act);
    return row;
}

/* A session first forgets what is older than itself: that has been emitted, but a view whose slot was restored at an
 * earlier position than the timers' may have it again. */
static void add_question(run_emit *emit, uint64_t position, uint32_t merged,
                         const emit_timer *timer)
{
    emit_work *work = &emit->work;
    uint32_t number = (uint32_t)(work->merged.size / sizeof merged);
    bool session = emit->plan->session;
    int64_t as_of = session ? timer->last_us : emit_add(timer->last_us, -1);
    int64_t end = session ? emit_add(timer->last_us, emit->plan->gap_us) : timer->last_us;
    if (session)
        (void)add_query(emit, position, timer, emit_add(timer->start_us, -1), 0, MR_VIEW_FORGET);
    uint32_t row = add_query(emit, position, timer, as_of, number, MR_VIEW_QUERY | MR_VIEW_FORGET);
    mr_bytes_append(&work->ends, &end, sizeof end);
    mr_bytes_append(&work->question_starts, &timer->start_us, sizeof timer->start_us);
    mr_bytes_append(&work->question_rows, &row, sizeof row);
    mr_bytes_append(&work->merged, &merged, sizeof merged);
}

static mr_status emit_due(run_emit *emit, uint64_t position, uint32_t merged, mr_error *err)
{
    for (;;) {
        emit_timer timer;
        bool found;
        MR_TRY(emit_timers_pop(&emit->timers, emit->watermark.time_us, &timer, &found, err));
        if (!found)
            return MR_OK;
        add_question(emit, position, merged, &timer);
        mr_free(timer.key);
    }
}

static mr_status add_update(run_emit *emit, uint64_t position, uint32_t row, int64_t start_us,
                            int64_t time_us, mr_error *err)
{
    uint32_t number = (uint32_t)(emit->work.rows.size / sizeof row);
    mr_bytes_append(&emit->work.rows, &row, sizeof row);
    mr_bytes_append(&emit->work.starts, &start_us, sizeof start_us);
    add_step(emit, position, number, 0, MR_VIEW_UPDATE);
    return emit_timers_add(&emit->timers, position, &emit->work.key, start_us, time_us, err);
}

/* *out_taken: the record lies in a window that is still open. */
static mr_status take_record(run_emit *emit, uint64_t position, uint32_t row, int64_t time_us,
                             bool *out_taken, mr_error *err)
{
    const plan_emit *plan = emit->plan;
    int64_t watermark = emit->watermark.time_us;
    *out_taken = false;
    if (plan->session) {
        *out_taken = watermark == INT64_MIN ||
                     emit_add(time_us, emit_add(plan->gap_us, plan->lateness_us)) > watermark;
        return *out_taken ? add_update(emit, position, row, 0, time_us, err) : MR_OK;
    }
    int64_t start = emit_window_start(time_us, plan->hop_us);
    for (; start > emit_add(time_us, -plan->width_us); start = emit_add(start, -plan->hop_us)) {
        if (watermark != INT64_MIN &&
            emit_add(start, emit_add(plan->width_us, plan->lateness_us)) <= watermark)
            break;
        *out_taken = true;
        MR_TRY(add_update(emit, position, row, start, time_us, err));
    }
    return MR_OK;
}

static mr_status reject_late(mr_pipeline *pipeline, const micro_batch *batch, const run_emit *emit,
                             uint32_t row, uint32_t merged, int64_t time_us, mr_error *err)
{
    char at[MR_TIME_TEXT_MAX + 1], mark[MR_TIME_TEXT_MAX + 1], reason[256];
    at[mr_time_format(time_us, at)] = '\0';
    mark[mr_time_format(emit->watermark.time_us, mark)] = '\0';
    (void)snprintf(reason, sizeof reason,
                   "late for aggregate %.100s: it is of %s, the watermark is at %s",
                   emit->plan->name, at, mark);
    pipeline->stats.late_windows++;
    const plan_source *source = &pipeline->plan->sources[emit->plan->source];
    return pipeline->at_rest
               ? MR_OK
               : run_reject_row(pipeline, batch, source, batch->sources[emit->plan->source].columns,
                                row, merged, reason, err);
}

static void clear_work(emit_work *work)
{
    mr_bytes *arrays[] = {&work->steps,           &work->positions,     &work->rows,
                          &work->starts,          &work->as_of,         &work->ends,
                          &work->question_starts, &work->question_rows, &work->merged};
    for (size_t i = 0; i < MR_COUNT_OF(arrays); i++)
        mr_bytes_clear(arrays[i]);
}

static mr_status write_down(mr_pipeline *pipeline, const micro_batch *batch, run_emit *emit,
                            mr_error *err)
{
    const plan_emit *plan = emit->plan;
    const source_rows *rows = &batch->sources[plan->source];
    const int64_t *times = rows->columns[pipeline->plan->sources[plan->source].event_time].values;
    size_t wanted = rows->count, next = 0;
    if (plan->where != NULL)
        MR_TRY(eval_filter(pipeline, plan->where, rows->columns, rows->count, &wanted, err));
    for (uint32_t row = 0; row < rows->count; row++) {
        uint32_t merged = rows->merged != NULL ? rows->merged[row] : row;
        uint64_t position = batch->position + merged;
        bool taken,
            skip = plan->where != NULL && (next == wanted || pipeline->selection[next] != row);
        next += plan->where != NULL && !skip;
        (void)emit_watermark_take(&emit->watermark, times[row]);
        MR_TRY(emit_due(emit, position, merged, err));
        if (skip || !encode_key(plan, rows, row, &emit->work.key))
            continue;
        MR_TRY(take_record(emit, position, row, times[row], &taken, err));
        if (!taken)
            MR_TRY(reject_late(pipeline, batch, emit, row, merged, times[row], err));
    }
    bool failed = emit->work.steps.failed || emit->work.positions.failed ||
                  emit->work.rows.failed || emit->work.starts.failed || emit->work.as_of.failed ||
                  emit->work.ends.failed || emit->work.question_starts.failed ||
                  emit->work.question_rows.failed || emit->work.merged.failed ||
                  emit->work.key.failed;
    return failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* ---- doing it ---- */

static mr_status times_column(const mr_bytes *array, mr_column *out, mr_error *err)
{
    void *values;
    MR_TRY(mr_column_alloc((mr_type){MR_TIMESTAMP, 0}, array->size / sizeof(int64_t), out, &values,
                           err));
    if (array->size > 0)
        memcpy(values, array->data, array->size);
    return MR_OK;
}

/* Columns of the view's rows; all are released by release_sides. */
typedef struct emit_sides {
    mr_column keys[MR_VIEW_KEYS_MAX], lookups[MR_VIEW_KEYS_MAX];
    mr_column times, as_of;
    mr_column inputs[MR_VIEW_INPUTS_MAX], wheres[MR_VIEW_WHERES_MAX];
} emit_sides;

static void release_sides(emit_sides *sides)
{
    for (size_t i = 0; i < MR_VIEW_KEYS_MAX; i++) {
        mr_column_release(&sides->keys[i]);
        mr_column_release(&sides->lookups[i]);
    }
    for (size_t i = 0; i < MR_VIEW_INPUTS_MAX; i++)
        mr_column_release(&sides->inputs[i]);
    for (size_t i = 0; i < MR_VIEW_WHERES_MAX; i++)
        mr_column_release(&sides->wheres[i]);
    mr_column_release(&sides->times);
    mr_column_release(&sides->as_of);
}

static mr_status gather_values(mr_pipeline *pipeline, const plan_input *inputs, size_t count,
                               const source_rows *rows, const uint32_t *chosen, size_t chosen_count,
                               mr_column *out, mr_error *err)
{
    mr_column whole[MR_VIEW_INPUTS_MAX] = {0};
    mr_status status = run_eval_inputs(pipeline, inputs, count, rows, whole, err);
    for (size_t i = 0; i < count && status == MR_OK; i++)
        status = mr_column_gather(&whole[i], chosen, chosen_count, &out[i], err);
    for (size_t i = 0; i < count; i++)
        mr_column_release(&whole[i]);
    return status;
}

static mr_status gather_updates(mr_pipeline *pipeline, const run_emit *emit,
                                const source_rows *rows, emit_sides *sides, mr_error *err)
{
    const plan_emit *plan = emit->plan;
    const uint32_t *chosen = (const uint32_t *)(const void *)emit->work.rows.data;
    size_t count = emit->work.rows.size / sizeof *chosen;
    uint32_t time = pipeline->plan->sources[plan->source].event_time;
    if (rows->count == 0)
        return MR_OK;
    for (uint32_t i = 0; i < plan->key_count; i++)
        MR_TRY(mr_column_gather(&rows->columns[plan->view.key_columns[i]], chosen, count,
                                &sides->keys[i], err));
    if (!plan->session)
        MR_TRY(times_column(&emit->work.starts, &sides->keys[plan->key_count], err));
    MR_TRY(mr_column_gather(&rows->columns[time], chosen, count, &sides->times, err));
    MR_TRY(gather_values(pipeline, plan->view.inputs, plan->view.input_count, rows, chosen, count,
                         sides->inputs, err));
    return gather_values(pipeline, plan->view.wheres, plan->view.where_count, rows, chosen, count,
                         sides->wheres, err);
}

static mr_status gather_questions(run_emit *emit, emit_sides *sides, mr_error *err)
{
    const plan_emit *plan = emit->plan;
    if (plan->key_count > 0) {
        mr_batch *keys;
        MR_TRY(mr_builder_finish(&emit->work.keys, &keys, err));
        for (uint32_t i = 0; i < plan->key_count; i++)
            sides->lookups[i] = mr_column_retain(&keys->columns[i]);
        mr_batch_release(keys);
    }
    if (!plan->session)
        MR_TRY(times_column(&emit->work.question_starts, &sides->lookups[plan->key_count], err));
    return times_column(&emit->work.as_of, &sides->as_of, err);
}

/* Key columns, window_start, window_end, then what the view answered. */
static mr_status fill_rows(run_emit *emit, const emit_sides *sides, mr_column *answers,
                           mr_error *err)
{
    const plan_emit *plan = emit->plan;
    source_rows *out = &emit->out;
    const uint32_t *rows = (const uint32_t *)(const void *)emit->work.question_rows.data;
    size_t count = emit->work.question_rows.size / sizeof *rows;
    for (uint32_t i = 0; i < plan->key_count; i++)
        MR_TRY(mr_column_gather(&sides->lookups[i], rows, count, &out->columns[out->column_count++],
                                err));
    MR_TRY(times_column(&emit->work.question_starts, &out->columns[out->column_count++], err));
    MR_TRY(times_column(&emit->work.ends, &out->columns[out->column_count++], err));
    for (uint32_t i = 0; i < plan->value_count; i++) {
        out->columns[out->column_count++] = answers[i];
        answers[i] = (mr_column){0};
    }
    out->count = (uint32_t)(emit->work.merged.size / sizeof(uint32_t));
    out->merged = (uint32_t *)(void *)emit->work.merged.data;
    return MR_OK;
}

static mr_status ask_view(mr_pipeline *pipeline, const micro_batch *batch, run_emit *emit,
                          emit_sides *sides, mr_error *err)
{
    const plan_emit *plan = emit->plan;
    emit_work *work = &emit->work;
    size_t questions = work->merged.size / sizeof(uint32_t);
    mr_view_input input = {
        .positions = (const uint64_t *)(const void *)work->positions.data,
        .steps = (const mr_view_step *)(const void *)work->steps.data,
        .step_count = work->steps.size / sizeof(mr_view_step),
        .updates = {work->rows.size / sizeof(uint32_t), sides->keys, &sides->times, sides->inputs,
                    sides->wheres},
        .queries = {work->as_of.size / sizeof(int64_t), sides->lookups, &sides->as_of, NULL, NULL},
        .output_rows = questions,
    };
    mr_column *answers = mr_alloc_zero(plan->view.output_count, sizeof *answers);
    if (answers == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = gather_updates(pipeline, emit, &batch->sources[plan->source], sides, err);
    if (status == MR_OK)
        status = gather_questions(emit, sides, err);
    if (status == MR_OK)
        status = mr_view_run(emit->view.work, &input, answers, err);
    if (status == MR_OK && questions > 0)
        status = fill_rows(emit, sides, answers, err);
    for (uint32_t i = 0; i < plan->view.output_count; i++)
        mr_column_release(&answers[i]);
    mr_free(answers);
    return status;
}

static mr_status run_one(mr_pipeline *pipeline, micro_batch *batch, run_emit *emit, mr_error *err)
{
    release_out(emit);
    clear_work(&emit->work);
    if (batch->sources[emit->plan->source].count == 0)
        return MR_OK;
    MR_TRY(write_down(pipeline, batch, emit, err));
    if (emit->work.steps.size == 0)
        return MR_OK;
    emit_sides *sides = MR_NEW(emit_sides);
    if (sides == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_status status = ask_view(pipeline, batch, emit, sides, err);
    release_sides(sides);
    mr_free(sides);
    return status;
}

mr_status run_emits_batch(mr_pipeline *pipeline, micro_batch *batch, mr_error *err)
{
    for (size_t i = 0; i < pipeline->plan->emit_count; i++)
        MR_TRY(run_one(pipeline, batch, &pipeline->emits[i], err));
    return MR_OK;
}

/* ---- sinks ---- */

mr_status run_emits_append(mr_pipeline *pipeline, const micro_batch *batch, mr_error *err)
{
    for (size_t i = 0; i < pipeline->plan->emit_count; i++) {
        run_emit *emit = &pipeline->emits[i];
        MR_TRY(run_sink_append(pipeline, &emit->sink, batch, &emit->out, NULL, err));
        release_out(emit);
    }
    return MR_OK;
}

mr_status run_emits_commit(mr_pipeline *pipeline, mr_error *err)
{
    for (size_t i = 0; i < pipeline->plan->emit_count; i++)
        MR_TRY(run_sink_commit(&pipeline->emits[i].sink, err));
    return MR_OK;
}

mr_status run_emits_sync(mr_pipeline *pipeline, mr_error *err)
{
    for (size_t i = 0; i < pipeline->plan->emit_count; i++)
        MR_TRY(mr_topic_sync(pipeline->emits[i].sink.topic, 0, err));
    return MR_OK;
}
