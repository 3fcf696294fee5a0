/* work.c -- one micro-batch over a view: hash the keys, walk the steps of each slot, hand out columns.
 *
 *   begin    one thread     room for hashes, outputs, and the stream time of each step (ttl only)
 *   hash     row ranges     hash (and encoded bytes) of every key
 *   walk     slot ranges    a list of the worker's steps, then for step i:
 *                             3 groups ahead   ask for the tags of the slots' places
 *                             2 groups ahead   ask for the entries' cache lines
 *                             1 group ahead    ask for the rings' lines: ends, and both ends of every window
 *                             i               insert, move windows, read, evict
 *   finish   one thread     bytes of validity become bits, texts become columns
 * Each output row belongs to one step, so workers share columns but no element; validity is a byte per row
 * while they write. A step below its slot's skip_until is in the state already and is passed over. */
#include "feature/feature_internal.h"

typedef struct work_text {
    uint32_t offset, bytes;
    uint16_t owner;
} work_text;

typedef struct work_output {
    mr_column column; /* fixed types: values are written in place */
    void *values;
    work_text *texts;
    uint8_t *valid; /* a byte per row */
} work_output;

typedef struct work_thread {
    mr_bytes keys;
    mr_bytes texts;
    uint32_t *steps;
    uint64_t *inputs; /* of the record in hand */
    mr_text *input_texts;
    mr_view_stats stats;
    bool found; /* a question met a key that has state */
    mr_status status;
    mr_error error;
} __attribute__((aligned(MR_ALIGN))) work_thread;

typedef struct work_side {
    mr_view_rows rows;
    const int64_t *times;
    work_key *keys;
    size_t room;
} work_side;

struct mr_view_work {
    mr_view *view;
    int workers;
    work_thread *threads;
    work_output *outputs;
    fast_sink *sinks; /* in order of the fast plan's outputs */
    fast_input *inputs;
    fast_records records; /* inputs NULL: this micro-batch is not for fast_walk */
    work_side updates, queries;
    uint64_t first_position;
    const uint64_t *positions; /* of steps; NULL: counted from first_position */
    const mr_view_step *steps;
    size_t step_count, output_rows;
    int64_t *now; /* ttl: stream time as of each step */
    size_t steps_room, now_room, rows_room;
    int64_t now_last;
    bool from_outside, as_of_last; /* work_ask: see there */
};

/* ---- birth and death ---- */

mr_status mr_view_work_create(mr_view *view, int workers, mr_view_work **out, mr_error *err)
{
    mr_view_work *work = MR_NEW(mr_view_work);
    *out = NULL;
    MR_ASSERT(workers >= 1 && workers <= UINT16_MAX);
    if (work == NULL)
        return MR_OUT_OF_MEMORY(err);
    work->view = view;
    work->workers = workers;
    work->threads = mr_alloc_aligned((size_t)workers * sizeof *work->threads);
    if (work->threads != NULL)
        memset(work->threads, 0, (size_t)workers * sizeof *work->threads);
    work->outputs = mr_alloc_zero(view->plan.output_count, sizeof *work->outputs);
    work->sinks = mr_alloc_zero(view->plan.output_count, sizeof *work->sinks);
    work->inputs = mr_alloc_zero(view->plan.input_count, sizeof *work->inputs);
    bool ok = work->threads != NULL && work->outputs != NULL && work->sinks != NULL &&
              work->inputs != NULL;
    for (int i = 0; ok && i < workers; i++) {
        work->threads[i].inputs = mr_alloc_zero(view->plan.input_count, sizeof(uint64_t));
        work->threads[i].input_texts = mr_alloc_zero(view->plan.input_count, sizeof(mr_text));
        ok = work->threads[i].inputs != NULL && work->threads[i].input_texts != NULL;
    }
    if (!ok) {
        mr_view_work_destroy(work);
        return MR_OUT_OF_MEMORY(err);
    }
    *out = work;
    return MR_OK;
}

static void free_outputs(mr_view_work *work)
{
    for (uint32_t i = 0; work->outputs != NULL && i < work->view->plan.output_count; i++) {
        mr_column_release(&work->outputs[i].column);
        work->outputs[i].values = NULL;
    }
}

void mr_view_work_destroy(mr_view_work *work)
{
    if (work == NULL)
        return;
    free_outputs(work);
    for (uint32_t i = 0; work->outputs != NULL && i < work->view->plan.output_count; i++) {
        mr_free(work->outputs[i].texts);
        mr_free(work->outputs[i].valid);
    }
    for (int i = 0; work->threads != NULL && i < work->workers; i++) {
        mr_bytes_deinit(&work->threads[i].keys);
        mr_bytes_deinit(&work->threads[i].texts);
        mr_free(work->threads[i].steps);
        mr_free(work->threads[i].inputs);
        mr_free(work->threads[i].input_texts);
    }
    mr_free(work->threads);
    mr_free(work->outputs);
    mr_free(work->sinks);
    mr_free(work->inputs);
    mr_free(work->updates.keys);
    mr_free(work->queries.keys);
    mr_free(work->now);
    mr_free(work);
}

/* ---- begin ---- */

static mr_status check_side(const mr_view_work *work, const mr_view_rows *rows, bool updates,
                            mr_error *err)
{
    const feature_plan *plan = &work->view->plan;
    const char *side = updates ? "updates" : "queries";
    if (rows->count == 0)
        return MR_OK;
    if (rows->times == NULL ||
        (rows->times->type.id != MR_TIMESTAMP && rows->times->type.id != MR_INT64) ||
        rows->times->null_count > 0)
        return MR_FAIL(err, MR_INVALID, "view %s: the times of %s must be timestamps without NULL",
                       work->view->name, side);
    for (uint32_t i = 0; i < plan->key_count; i++)
        if (!mr_type_equal(rows->keys[i].type, plan->keys[i]))
            return MR_FAIL(err, MR_INVALID, "view %s: key column %u of %s has type %d, not %d",
                           work->view->name, i, side, (int)rows->keys[i].type.id,
                           (int)plan->keys[i].id);
    for (uint32_t i = 0; updates && i < plan->input_count; i++)
        if (rows->inputs[i].type.id != plan->inputs[i].type)
            return MR_FAIL(err, MR_INVALID, "view %s: input column %u has type %d, not %d",
                           work->view->name, i, (int)rows->inputs[i].type.id,
                           (int)plan->inputs[i].type);
    for (uint32_t i = 0; updates && i < plan->where_count; i++)
        if (rows->wheres[i].type.id != MR_BOOL)
            return MR_FAIL(err, MR_INVALID, "view %s: condition column %u is not bool",
                           work->view->name, i);
    return MR_OK;
}

static mr_status begin_side(work_side *side, const mr_view_rows *rows, mr_error *err)
{
    side->rows = *rows;
    side->times = rows->count > 0 ? rows->times->values : NULL;
    if (rows->count <= side->room)
        return MR_OK;
    mr_free(side->keys);
    side->keys = mr_alloc_zero(rows->count, sizeof *side->keys);
    side->room = side->keys != NULL ? rows->count : 0;
    return side->keys != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
}

/* An array of at least `count`; what was in it is not kept. NULL: no memory, and the old one is gone. */
static void *want_room(void *array, size_t *room, size_t count, size_t bytes)
{
    if (count <= *room && array != NULL)
        return array;
    mr_free(array);
    array = mr_alloc(count * bytes);
    *room = array != NULL ? count : 0;
    return array;
}

static mr_status begin_outputs(mr_view_work *work, mr_error *err)
{
    const feature_plan *plan = &work->view->plan;
    size_t rows = work->output_rows, had = work->rows_room;
    work->rows_room = 0; /* until all of them have room again */
    for (uint32_t i = 0; i < plan->output_count; i++) {
        work_output *output = &work->outputs[i];
        size_t room = had;
        output->valid = want_room(output->valid, &room, rows, 1);
        if (output->valid == NULL)
            return MR_OUT_OF_MEMORY(err);
        memset(output->valid, 0, rows);
        room = had;
        if (mr_type_is_text(plan->outputs[i].type.id)) {
            output->texts = want_room(output->texts, &room, rows, sizeof *output->texts);
            if (output->texts == NULL)
                return MR_OUT_OF_MEMORY(err);
        } else {
            MR_TRY(mr_column_alloc(plan->outputs[i].type, rows, &output->column, &output->values,
                                   err));
        }
    }
    for (uint32_t k = 0; plan->fast != NULL && k < plan->fast->output_count; k++) {
        const work_output *output = &work->outputs[plan->fast->outputs[k].index];
        work->sinks[k] = (fast_sink){output->values, output->valid};
    }
    work->rows_room = MR_MAX(had, rows);
    return MR_OK;
}

static mr_view_step step_at(const mr_view_work *work, size_t index)
{
    if (work->steps != NULL)
        return work->steps[index];
    return (mr_view_step){(uint32_t)index, (uint32_t)index, MR_VIEW_BOTH};
}

static int64_t clamp_time(int64_t time_us)
{
    return MR_MIN(MR_MAX(time_us, MR_TIME_MIN_US), MR_TIME_MAX_US);
}

static int64_t step_time(const mr_view_work *work, const mr_view_step *step)
{
    const work_side *side = (step->act & MR_VIEW_UPDATE) != 0 ? &work->updates : &work->queries;
    return clamp_time(side->times[step->row]);
}

/* Stream time as of a step is the highest time up to and with it: no cut of batches shows in it. */
static mr_status begin_now(mr_view_work *work, mr_error *err)
{
    if (work->view->plan.ttl_us == 0)
        return MR_OK;
    work->now = want_room(work->now, &work->now_room, work->step_count, sizeof *work->now);
    if (work->now == NULL)
        return MR_OUT_OF_MEMORY(err);
    int64_t now = mr_table_stream_time(work->view->table);
    for (size_t i = 0; i < work->step_count; i++) {
        mr_view_step step = step_at(work, i);
        if (step.act != 0 && !work->from_outside)
            now = MR_MAX(now, step_time(work, &step));
        work->now[i] = now;
    }
    work->now_last = now;
    return MR_OK;
}

/* A view on its own stream, one key of 64 bits, whole columns of 8-byte numbers: what fast_walk takes. */
static void begin_records(mr_view_work *work)
{
    const feature_plan *plan = &work->view->plan;
    const mr_view_rows *rows = &work->updates.rows;
    work->records = (fast_records){.plan = plan};
    if (plan->fast == NULL || plan->fast->other_count > 0 || work->steps != NULL ||
        plan->byte_keys || plan->ttl_us > 0 || plan->where_count > 0 || work->positions != NULL ||
        rows->count == 0)
        return;
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const mr_column *column = &rows->inputs[i];
        if (column->null_count > 0 || mr_type_bytes(column->type) != sizeof(uint64_t))
            return;
        work->inputs[i] = (fast_input){column->values, plan->inputs[i].is_float};
        if (!plan->inputs[i].is_float)
            work->records.flags |= UINT64_C(1) << plan->inputs[i].flag;
    }
    work->records.keys = work->updates.keys;
    work->records.times = work->updates.times;
    work->records.inputs = work->inputs;
    work->records.sinks = work->sinks;
    work->records.slots = mr_table_slots(work->view->table);
    work->records.first_position = work->first_position;
}

mr_status mr_view_begin(mr_view_work *work, const mr_view_input *input, mr_error *err)
{
    free_outputs(work);
    MR_TRY(check_side(work, &input->updates, true, err));
    MR_TRY(check_side(work, &input->queries, false, err));
    MR_TRY(begin_side(&work->updates, &input->updates, err));
    MR_TRY(begin_side(&work->queries, &input->queries, err));
    work->first_position = input->first_position;
    work->positions = input->positions;
    work->steps = input->steps;
    work->step_count = input->steps != NULL ? input->step_count : input->updates.count;
    work->output_rows = input->output_rows;
    size_t had = work->steps_room;
    work->steps_room = 0; /* until all of them have room again */
    for (int i = 0; i < work->workers; i++) {
        work_thread *thread = &work->threads[i];
        mr_bytes_clear(&thread->keys);
        mr_bytes_clear(&thread->texts);
        thread->status = MR_OK;
        thread->stats = (mr_view_stats){0};
        size_t room = had;
        thread->steps = want_room(thread->steps, &room, work->step_count, sizeof *thread->steps);
        if (thread->steps == NULL)
            return MR_OUT_OF_MEMORY(err);
    }
    work->steps_room = MR_MAX(had, work->step_count);
    MR_TRY(begin_outputs(work, err));
    begin_records(work);
    return begin_now(work, err);
}

/* ---- hash ---- */

static int64_t key_word(const mr_column *column, size_t row)
{
    switch (column->type.id) {
    case MR_BOOL:
        return mr_bit_get(column->values, row);
    case MR_INT32:
        return ((const int32_t *)column->values)[row];
    default:
        return ((const int64_t *)column->values)[row];
    }
}

/* Several columns: fixed ones as 8 bytes, texts with their size in front. */
static void encode_key(const feature_plan *plan, const mr_column *columns, size_t row,
                       mr_bytes *out)
{
    for (uint32_t i = 0; i < plan->key_count; i++) {
        if (!mr_type_is_text(columns[i].type.id)) {
            mr_bytes_append_u64(out, (uint64_t)key_word(&columns[i], row));
            continue;
        }
        mr_text text = mr_column_text(&columns[i], row);
        if (plan->key_count > 1)
            mr_bytes_append_varint(out, text.size);
        mr_bytes_append(out, text.bytes, text.size);
    }
}

static void hash_rows(mr_view_work *work, work_side *side, int worker)
{
    const feature_plan *plan = &work->view->plan;
    const mr_column *columns = side->rows.keys;
    mr_bytes *bytes = &work->threads[worker].keys;
    size_t from = side->rows.count * (size_t)worker / (size_t)work->workers;
    size_t to = side->rows.count * ((size_t)worker + 1) / (size_t)work->workers;
    if (from < to && !plan->byte_keys && columns[0].type.id == MR_INT64 &&
        columns[0].null_count == 0) {
        const int64_t *words = columns[0].values;
        for (size_t row = from; row < to; row++)
            side->keys[row] =
                (work_key){mr_key_hash_word(words[row]), (uint64_t)words[row], 0, 0, false};
        return;
    }
    for (size_t row = from; row < to; row++) {
        work_key *key = &side->keys[row];
        key->null = false;
        for (uint32_t i = 0; i < plan->key_count; i++)
            key->null = key->null || mr_column_is_null(&columns[i], row);
        if (key->null)
            continue;
        if (!plan->byte_keys) {
            key->word = (uint64_t)key_word(&columns[0], row);
            key->hash = mr_key_hash_word((int64_t)key->word);
            continue;
        }
        key->word = bytes->size;
        key->owner = (uint16_t)worker;
        encode_key(plan, columns, row, bytes);
        key->bytes = (uint32_t)(bytes->size - key->word);
        key->hash = bytes->failed ? 0 : mr_hash64(bytes->data + key->word, key->bytes);
    }
}

void mr_view_hash(mr_view_work *work, int worker)
{
    hash_rows(work, &work->updates, worker);
    hash_rows(work, &work->queries, worker);
    work_thread *thread = &work->threads[worker];
    if (thread->keys.failed)
        thread->status = MR_OUT_OF_MEMORY(&thread->error);
}

/* ---- walk: one record ---- */

static const work_key *step_key(const mr_view_work *work, const mr_view_step *step)
{
    const work_side *side = (step->act & MR_VIEW_UPDATE) != 0 ? &work->updates : &work->queries;
    return &side->keys[step->row];
}

static uint64_t float_bits(double value, mr_view_stats *stats)
{
    uint64_t bits;
    if (MR_UNLIKELY(!(value - value == 0.0))) {
        stats->not_finite++;
        value = __builtin_nan("");
    }
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t input_bits(const mr_column *column, size_t row, mr_view_stats *stats)
{
    switch (column->type.id) {
    case MR_FLOAT64:
        return float_bits(((const double *)column->values)[row], stats);
    case MR_FLOAT32:
        return float_bits((double)((const float *)column->values)[row], stats);
    default:
        return (uint64_t)key_word(column, row);
    }
}

static feature_event take_event(mr_view_work *work, work_thread *thread, size_t row)
{
    const feature_plan *plan = &work->view->plan;
    const mr_view_rows *rows = &work->updates.rows;
    int64_t time_us = clamp_time(work->updates.times[row]);
    feature_event event = {time_us, 0, thread->inputs, thread->input_texts, time_us};
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const mr_column *column = &rows->inputs[i];
        bool null = mr_column_is_null(column, row);
        if (plan->inputs[i].is_text)
            thread->input_texts[i] = mr_column_text(column, row);
        else if (!null)
            thread->inputs[i] = input_bits(column, row, &thread->stats);
        else
            thread->inputs[i] = plan->inputs[i].is_float ? UINT64_C(0x7ff8) << 48 : 0;
        if (!null && !plan->inputs[i].is_float)
            event.flags |= UINT64_C(1) << plan->inputs[i].flag;
    }
    for (uint32_t i = 0; i < plan->where_count; i++)
        if (!mr_column_is_null(&rows->wheres[i], row) && mr_bit_get(rows->wheres[i].values, row))
            event.flags |= UINT64_C(1) << plan->where_flags[i];
    return event;
}

/* Tiles are told by their end. */
static int64_t tile_end(const feature_plan *plan, int64_t time_us)
{
    int64_t rest = time_us % plan->resolution_us;
    rest = rest < 0 ? rest + plan->resolution_us : rest;
    return rest == 0 ? time_us : time_us - rest + plan->resolution_us;
}

static mr_status update(mr_view_work *work, work_thread *thread, feature_key *key, size_t row,
                        uint32_t *out_self)
{
    const feature_plan *plan = key->plan;
    const key_state *state = state_of(key);
    feature_event event = take_event(work, thread, row);
    if (plan->tiled)
        event.time_us = tile_end(plan, event.time_us);
    thread->stats.updates++;
    if (state->end != state->first) {
        int64_t newest = time_at(plan, state, state->end - 1);
        thread->stats.out_of_order += event.time_us < newest;
        thread->stats.late += event.time_us < newest - plan->lateness_us;
    }
    if (plan->fast != NULL && fast_insert(key, &event, out_self))
        return MR_OK;
    return ring_insert(key, &event, out_self, &thread->error);
}

static void put_value(const mr_view_work *work, work_thread *thread, uint32_t index, uint32_t row,
                      const feature_value *value, size_t text_from)
{
    work_output *output = &work->outputs[index];
    output->valid[row] = value->present;
    if (!value->present)
        return;
    if (output->values != NULL)
        ((int64_t *)output->values)[row] = value->integer;
    else
        output->texts[row] =
            (work_text){(uint32_t)text_from, (uint32_t)(thread->texts.size - text_from),
                        (uint16_t)(thread - work->threads)};
}

static mr_status answer_one(mr_view_work *work, work_thread *thread, feature_key *key,
                            uint32_t index, uint32_t row, int64_t time_us, uint32_t self)
{
    feature_value value;
    size_t text_from = thread->texts.size;
    MR_TRY(read_output(key, &key->plan->outputs[index], time_us, self, &value, &thread->texts,
                       &thread->error));
    put_value(work, thread, index, row, &value, text_from);
    if (thread->texts.failed)
        return MR_OUT_OF_MEMORY(&thread->error);
    if (thread->texts.size > UINT32_MAX)
        return MR_FAIL(&thread->error, MR_FULL, "the texts of one micro-batch are over 4 GiB");
    return MR_OK;
}

static mr_status answer(mr_view_work *work, work_thread *thread, feature_key *key, uint32_t row,
                        int64_t time_us, uint32_t self)
{
    const feature_plan *plan = key->plan;
    const fast_plan *fast = plan->fast;
    mr_status status = MR_OK;
    if (fast != NULL && fast_ask(key, time_us, self, work->sinks, row, &status, &thread->error)) {
        for (uint32_t i = 0; i < fast->other_count && status == MR_OK; i++)
            status = answer_one(work, thread, key, fast->others[i], row, time_us, self);
        return status;
    }
    MR_TRY(read_prepare(key, time_us, self, &thread->error));
    for (uint32_t i = 0; i < plan->output_count; i++)
        MR_TRY(answer_one(work, thread, key, i, row, time_us, self));
    return MR_OK;
}

static void answer_empty(const mr_view_work *work, work_thread *thread, uint32_t row)
{
    for (uint32_t i = 0; i < work->view->plan.output_count; i++) {
        feature_value value = read_empty(&work->view->plan.outputs[i]);
        put_value(work, thread, i, row, &value, thread->texts.size);
    }
}

static void *get_value(mr_view_work *work, mr_slot *slot, const work_key *key, bool create,
                       mr_error *err)
{
    if (!work->view->plan.byte_keys)
        return mr_slot_get_word(slot, key->hash, (int64_t)key->word, create, err);
    const uint8_t *bytes = work->threads[key->owner].keys.data;
    return mr_slot_get_bytes(slot, key->hash, bytes != NULL ? bytes + key->word : NULL, key->bytes,
                             create, err);
}

static mr_status forget(feature_key *key, mr_slot *slot, int64_t time_us, mr_error *err)
{
    slot->changed_tick = mr_table_tick(slot->table);
    if (!key->plan->has_base) {
        MR_TRY(ring_forget(key, time_us, err));
        if (state_of(key)->first < state_of(key)->end)
            return MR_OK;
    }
    mr_slot_remove(slot, key->value);
    return MR_OK;
}

static mr_status take_step(mr_view_work *work, work_thread *thread, size_t index)
{
    mr_view_step step = step_at(work, index);
    const work_key *at = step_key(work, &step);
    mr_slot *slot = &mr_table_slots(work->view->table)[mr_key_slot(at->hash)];
    uint64_t position =
        work->positions != NULL ? work->positions[index] : work->first_position + index;
    if (position < slot->skip_until)
        return MR_OK;
    bool updates = (step.act & MR_VIEW_UPDATE) != 0, asks = (step.act & MR_VIEW_QUERY) != 0;
    feature_key key = {&work->view->plan, slot, NULL, &thread->stats};
    int64_t time_us = step_time(work, &step);
    uint32_t self = NONE;
    if (work->now != NULL && key.plan->ttl_us > 0)
        slot->now_us = work->now[index];
    thread->error.status = MR_OK;
    key.value = get_value(work, slot, at, updates, &thread->error);
    if (key.value == NULL && (updates || thread->error.status != MR_OK))
        return thread->error.status != MR_OK ? thread->error.status : MR_NO_MEMORY;
    if (updates)
        MR_TRY(update(work, thread, &key, step.row, &self));
    if (asks && key.value == NULL)
        answer_empty(work, thread, step.output);
    else if (asks) {
        thread->found = true;
        if (work->as_of_last)
            time_us = time_at(key.plan, state_of(&key), state_of(&key)->end - 1);
        MR_TRY(answer(work, thread, &key, step.output, time_us, self));
    }
    thread->stats.queries += asks;
    if ((step.act & MR_VIEW_FORGET) != 0 && key.value != NULL)
        return forget(&key, slot, time_us, &thread->error);
    if (!updates)
        return MR_OK;
    return key.plan->fast != NULL ? fast_evict(&key, &thread->error)
                                  : ring_evict(&key, &thread->error);
}

/* ---- walk: all of a worker's steps ---- */

MR_ALWAYS_INLINE const mr_slot *slot_ahead(const mr_view_work *work, const mr_slot *slots,
                                           uint32_t index, uint64_t *out_hash)
{
    mr_view_step step = step_at(work, index);
    *out_hash = step_key(work, &step)->hash;
    return &slots[mr_key_slot(*out_hash)];
}

MR_ALWAYS_INLINE void prefetch_tags(const mr_view_work *work, const mr_slot *slots, uint32_t index)
{
    uint64_t hash;
    const mr_slot *slot = slot_ahead(work, slots, index, &hash);
    mr_slot_prefetch(slot, hash);
}

MR_ALWAYS_INLINE void prefetch_entry(const mr_view_work *work, const mr_slot *slots, uint32_t index)
{
    uint64_t hash;
    const mr_slot *slot = slot_ahead(work, slots, index, &hash);
    if (mr_slot_prefetch_entry(slot, hash) == MR_SLOT_NOWHERE && slot->spilled > 0)
        mr_slot_prefetch_spilled(slot, hash);
}

MR_ALWAYS_INLINE void prefetch_ring(const mr_view_work *work, const mr_slot *slots, uint32_t index)
{
    const feature_plan *plan = &work->view->plan;
    mr_view_step step = step_at(work, index);
    const work_key *at = step_key(work, &step);
    uint8_t *value = mr_slot_peek_word(&slots[mr_key_slot(at->hash)], at->hash, (int64_t)at->word);
    if (value == NULL)
        return;
    const feature_key key = {plan, NULL, value, NULL};
    const key_state *state = state_of(&key);
    if (state->ring == NULL)
        return;
    __builtin_prefetch(element_at(plan, state, state->end), 1);
    __builtin_prefetch(element_at(plan, state, state->end - 1), 1);
    __builtin_prefetch(element_at(plan, state, state->first), 0);
    for (uint32_t i = 0; i < plan->window_count; i++) {
        const window_bounds *bounds = bounds_of(&key, &plan->windows[i]);
        __builtin_prefetch(element_at(plan, state, bounds->lo), 0);
        if (plan->windows[i].window.delay_us > 0)
            __builtin_prefetch(element_at(plan, state, bounds->hi), 0);
    }
}

MR_ALWAYS_INLINE void look_ahead(const mr_view_work *work, const mr_slot *slots,
                                 const uint32_t *steps, size_t count, size_t at, bool words)
{
    for (size_t i = at + WALK_TAGS * WALK_GROUP; i < MR_MIN(at + WALK_SLOTS * WALK_GROUP, count);
         i++)
        prefetch_tags(work, slots, steps[i]);
    for (size_t i = at + WALK_ENTRIES * WALK_GROUP; i < MR_MIN(at + WALK_TAGS * WALK_GROUP, count);
         i++)
        prefetch_entry(work, slots, steps[i]);
    for (size_t i = at + WALK_GROUP; words && i < MR_MIN(at + WALK_ENTRIES * WALK_GROUP, count);
         i++)
        prefetch_ring(work, slots, steps[i]);
}

/* The steps of this worker's slots, in order. */
static size_t list_steps(mr_view_work *work, int worker)
{
    work_thread *thread = &work->threads[worker];
    uint32_t from = (uint32_t)(MR_SLOT_COUNT * (int64_t)worker / work->workers);
    uint32_t to = (uint32_t)(MR_SLOT_COUNT * ((int64_t)worker + 1) / work->workers);
    size_t count = 0;
    for (size_t i = 0; i < work->step_count; i++) {
        mr_view_step step = step_at(work, i);
        if (step.act == 0)
            continue;
        const work_key *key = step_key(work, &step);
        uint32_t slot = mr_key_slot(key->hash);
        if (key->null)
            thread->stats.null_keys += worker == 0;
        else if (slot >= from && slot < to)
            thread->steps[count++] = (uint32_t)i;
    }
    return count;
}

/* All of a worker's records through fast.c, but for those it leaves to the general way. */
static void walk_records(mr_view_work *work, work_thread *thread, size_t count)
{
    fast_progress progress = {0};
    while (thread->status == MR_OK && !fast_walk(&work->records, thread->steps, count, &progress,
                                                 &thread->stats, &thread->status, &thread->error))
        if (thread->status == MR_OK)
            thread->status = take_step(work, thread, thread->steps[progress.next - 1 - WALK_AHEAD]);
}

void mr_view_walk(mr_view_work *work, int worker)
{
    work_thread *thread = &work->threads[worker];
    const mr_slot *slots = mr_table_slots(work->view->table);
    for (int i = 0; i < work->workers; i++)
        if (work->threads[i].keys.failed)
            return; /* its hash reports it */
    size_t count = list_steps(work, worker);
    bool words = !work->view->plan.byte_keys;
    if (work->records.inputs != NULL) {
        walk_records(work, thread, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (i % WALK_GROUP == 0)
            look_ahead(work, slots, thread->steps, count, i, words);
        thread->status = take_step(work, thread, thread->steps[i]);
        if (thread->status != MR_OK)
            return;
    }
}

/* ---- finish ---- */

static mr_status finish_text(const mr_view_work *work, const work_output *output, mr_column *out,
                             mr_error *err)
{
    size_t rows = work->output_rows, size = 0;
    for (size_t row = 0; row < rows; row++)
        size += output->valid[row] ? output->texts[row].bytes : 0;
    if (size > INT32_MAX)
        return MR_FAIL(err, MR_FULL, "the texts of one micro-batch are over 2 GiB");
    mr_buffer *values = mr_buffer_create(size),
              *ends = mr_buffer_create((rows + 1) * sizeof(int32_t));
    if (values == NULL || ends == NULL) {
        mr_buffer_release(values);
        mr_buffer_release(ends);
        return MR_OUT_OF_MEMORY(err);
    }
    int32_t *offsets = (int32_t *)(void *)ends->bytes, at = 0;
    offsets[0] = 0;
    for (size_t row = 0; row < rows; row++) {
        if (output->valid[row] && output->texts[row].bytes > 0) {
            const work_text *text = &output->texts[row];
            memcpy(values->bytes + at, work->threads[text->owner].texts.data + text->offset,
                   text->bytes);
            at += (int32_t)text->bytes;
        }
        offsets[row + 1] = at;
    }
    out->values = values->bytes;
    out->offsets = offsets;
    out->owners[1] = values;
    out->owners[2] = ends;
    return MR_OK;
}

static mr_status finish_validity(const work_output *output, size_t rows, mr_column *out,
                                 mr_error *err)
{
    size_t nulls = 0;
    for (size_t row = 0; row < rows; row++)
        nulls += !output->valid[row];
    if (nulls == 0)
        return MR_OK;
    mr_buffer *bits = mr_buffer_create(mr_bitmap_bytes(rows));
    if (bits == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(bits->bytes, 0, mr_bitmap_bytes(rows));
    for (size_t row = 0; row < rows; row++)
        if (output->valid[row])
            mr_bit_set(bits->bytes, row);
    mr_column_set_validity(out, bits, rows);
    return MR_OK;
}

static void add_stats(mr_view_stats *to, const mr_view_stats *from)
{
    to->updates += from->updates;
    to->queries += from->queries;
    to->null_keys += from->null_keys;
    to->out_of_order += from->out_of_order;
    to->late += from->late;
    to->not_finite += from->not_finite;
}

static mr_status finish_columns(mr_view_work *work, mr_column *columns, mr_error *err)
{
    const feature_plan *plan = &work->view->plan;
    for (uint32_t i = 0; i < plan->output_count; i++) {
        work_output *output = &work->outputs[i];
        output->column.type = plan->outputs[i].type;
        if (output->values == NULL)
            MR_TRY(finish_text(work, output, &output->column, err));
        MR_TRY(finish_validity(output, work->output_rows, &output->column, err));
    }
    for (uint32_t i = 0; i < plan->output_count; i++) {
        columns[i] = work->outputs[i].column;
        work->outputs[i].column = (mr_column){0};
        work->outputs[i].values = NULL;
    }
    return MR_OK;
}

mr_status mr_view_finish(mr_view_work *work, mr_column *columns, mr_error *err)
{
    for (int i = 0; i < work->workers; i++) {
        if (!work->from_outside)
            add_stats(&work->view->stats, &work->threads[i].stats);
        if (work->threads[i].status != MR_OK) {
            if (err != NULL)
                *err = work->threads[i].error;
            return work->threads[i].status;
        }
    }
    if (work->view->plan.ttl_us > 0 && work->step_count > 0 && !work->from_outside)
        mr_table_set_stream_time(work->view->table, work->now_last);
    return finish_columns(work, columns, err);
}

mr_status mr_view_run(mr_view_work *work, const mr_view_input *input, mr_column *columns,
                      mr_error *err)
{
    MR_TRY(mr_view_begin(work, input, err));
    for (int i = 0; i < work->workers; i++)
        mr_view_hash(work, i);
    for (int i = 0; i < work->workers; i++)
        mr_view_walk(work, i);
    return mr_view_finish(work, columns, err);
}

/* One question from outside the stream: it leaves no trace in statistics or stream time, and is never
 * passed over as a replayed step would be. */
/* What the key asked for takes in memory. */
static uint64_t asked_bytes(const mr_view_work *work)
{
    const mr_view_step step = {0, 0, MR_VIEW_QUERY};
    const work_key *key = step_key(work, &step);
    const uint8_t *bytes = work->threads[key->owner].keys.data;
    if (key->null)
        return 0;
    return mr_table_key_bytes(work->view->table, bytes != NULL ? bytes + key->word : NULL,
                              key->bytes, (int64_t)key->word);
}

mr_status work_ask(mr_view_work *work, const mr_column *keys, int64_t as_of_us, mr_column *columns,
                   bool *out_found, uint64_t *out_bytes, mr_error *err)
{
    const mr_column times = {.type = {MR_INT64, 0}, .values = &as_of_us};
    const mr_view_step step = {0, 0, MR_VIEW_QUERY};
    const mr_view_input input = {
        .first_position = UINT64_MAX,
        .steps = &step,
        .step_count = 1,
        .queries = {.count = 1, .keys = keys, .times = &times},
        .output_rows = 1,
    };
    work->from_outside = true;
    work->as_of_last = as_of_us == MR_VIEW_AS_OF_LAST;
    work->threads[0].found = false;
    MR_TRY(mr_view_run(work, &input, columns, err));
    if (out_found != NULL)
        *out_found = work->threads[0].found;
    if (out_bytes != NULL)
        *out_bytes = asked_bytes(work);
    return MR_OK;
}
