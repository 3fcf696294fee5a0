/* state_kit_test.c -- see state_kit.h. */
#include "state/state_kit.h"

#include "base/assert.h"
#include "test/test.h"

#include <stdio.h>
#include <string.h>

/* ---- the kind of value ---- */

static void encode(void *context, mr_slot *slot, const void *value, mr_bytes *out)
{
    (void)context, (void)slot;
    const kit_value *v = value;
    mr_bytes_append_u64(out, (uint64_t)v->last_us);
    mr_bytes_append_u64(out, v->total);
    mr_bytes_append_u32(out, v->count);
    for (uint32_t i = 0; i < v->count; i++)
        mr_bytes_append_u64(out, (uint64_t)v->items[i]);
}

static bool grow(mr_slot *slot, kit_value *v, uint32_t count)
{
    if (count <= v->capacity)
        return true;
    size_t bytes = mr_slot_alloc_bytes(count * sizeof *v->items);
    int64_t *items = mr_slot_alloc(slot, bytes);
    if (items == NULL)
        return false;
    if (v->count > 0)
        memcpy(items, v->items, v->count * sizeof *items);
    mr_slot_free(slot, v->items, v->capacity * sizeof *items);
    v->items = items;
    v->capacity = (uint32_t)(bytes / sizeof *items);
    return true;
}

static mr_status decode(void *context, mr_slot *slot, void *value, mr_reader *from, mr_error *err)
{
    (void)context;
    kit_value *v = value;
    v->last_us = (int64_t)mr_reader_u64(from);
    v->total = mr_reader_u64(from);
    uint32_t count = mr_reader_u32(from);
    if (from->failed || count > KIT_RING_MAX || mr_reader_left(from) != count * sizeof *v->items)
        return MR_FAIL(err, MR_CORRUPT, "%u items", count);
    if (!grow(slot, v, count))
        return MR_OUT_OF_MEMORY(err);
    for (v->count = 0; v->count < count; v->count++)
        v->items[v->count] = (int64_t)mr_reader_u64(from);
    return MR_OK;
}

static void drop(void *context, mr_slot *slot, void *value)
{
    (void)context;
    kit_value *v = value;
    mr_slot_free(slot, v->items, v->capacity * sizeof *v->items);
}

static int64_t last_time_us(void *context, const void *value)
{
    (void)context;
    return ((const kit_value *)value)->last_us;
}

const mr_table_kind kit_kind = {.name = "kit",
                                .version = 1,
                                .encode = encode,
                                .decode = decode,
                                .drop = drop,
                                .last_time_us = last_time_us};

/* ---- records ---- */

typedef struct kit_record {
    uint64_t key;
    int64_t time_us;
    bool removal;
} kit_record;

static kit_record step_at(const state_kit *kit, uint64_t position)
{
    MR_ASSERT(kit->options.keys > 0);
    uint64_t h = mr_hash_u64(kit->options.seed ^ mr_hash_u64(position));
    uint64_t skewed = h & 1 ? (h >> 1) % kit->options.keys : (h >> 1) % (kit->options.keys / 8 + 1);
    return (kit_record){skewed, (int64_t)position * 100 - (int64_t)(h >> 40 & 0xff) * 20,
                        (h >> 50 & 15) == 0};
}

static int64_t word_of(uint64_t key)
{
    return (int64_t)(key * key) - 77;
}

static size_t text_of(uint64_t key, char *to, size_t size)
{
    int length = snprintf(to, size, "customer/%llu", (unsigned long long)key);
    size_t wanted = key % 97 == 5 ? 5000 : key % 13 == 0 ? 300 : (size_t)length;
    memset(to + length, 'x', wanted - (size_t)length);
    return wanted;
}

/* ---- the state's side ---- */

mr_status kit_try_open(state_kit *kit, const kit_options *options, mr_error *err)
{
    *kit = (struct state_kit){.options = *options,
                              .kind = kit_kind,
                              .stream_us = INT64_MIN,
                              .model_stream_us = INT64_MIN};
    kit->options.keys = options->keys != 0 ? options->keys : 500;
    kit->kind.version = options->version != 0 ? options->version : 1;
    mr_state_options open = {.fs = options->fs != NULL ? options->fs : mr_fs_real(),
                             .folder = options->folder != NULL ? options->folder : mr_test_folder(),
                             .spill_folder = options->spill_folder,
                             .spill_kind = options->spill_kind,
                             .budget = options->budget,
                             .workers = options->workers,
                             .background = options->background};
    MR_TRY(mr_state_open(&open, &kit->state, err));
    mr_status status = MR_OK;
    for (int i = 0; i < (options->words_only ? 1 : 2); i++) {
        mr_table_options table = {.name = i == 0 ? "words" : "texts",
                                  .fingerprint = options->fingerprint[i],
                                  .kind = &kit->kind,
                                  .value_bytes = sizeof(kit_value),
                                  .byte_keys = i == 1,
                                  .ttl_us = options->ttl_us};
        MR_GOTO(failed, status, mr_state_add_table(kit->state, &table, &kit->tables[i], err));
    }
    return MR_OK;
failed:
    kit_close(kit);
    return status;
}

void kit_open(state_kit *kit, const kit_options *options)
{
    mr_error err = {0};
    assert_ok(kit_try_open(kit, options, &err), &err);
}

void kit_close(state_kit *kit)
{
    mr_state_close(kit->state);
    mr_free(kit->models[0]);
    mr_free(kit->models[1]);
    *kit = (struct state_kit){0};
}

static bool append(mr_slot *slot, kit_value *v, const kit_record *step)
{
    if (v->count == KIT_RING_MAX)
        memmove(v->items, v->items + 1, --v->count * sizeof *v->items);
    if (!grow(slot, v, v->count + 1))
        return false;
    v->items[v->count++] = step->time_us;
    v->last_us = step->time_us;
    v->total++;
    return true;
}

static mr_status apply(state_kit *kit, mr_table *table, const kit_record *step, mr_error *err)
{
    char text[6000];
    bool words = table == kit->tables[0];
    size_t text_bytes = text_of(step->key, text, sizeof text);
    int64_t word = word_of(step->key);
    uint64_t hash = words ? mr_key_hash_word(word) : mr_hash64(text, text_bytes);
    mr_slot *slot = &mr_table_slots(table)[mr_key_slot(hash)];
    if (kit->position < slot->skip_until)
        return MR_OK;
    slot->now_us = kit->stream_us;
    mr_error_clear(err);
    kit_value *value = words ? mr_slot_get_word(slot, hash, word, !step->removal, err)
                             : mr_slot_get_bytes(slot, hash, text, text_bytes, !step->removal, err);
    if (value == NULL)
        return err->status;
    if (step->removal)
        mr_slot_remove(slot, value);
    else if (!append(slot, value, step))
        return MR_OUT_OF_MEMORY(err);
    return MR_OK;
}

mr_status kit_try_step(state_kit *kit, mr_error *err)
{
    kit_record step = step_at(kit, kit->position);
    kit->stream_us = MR_MAX(kit->stream_us, step.time_us);
    for (int i = 0; i < 2; i++)
        if (kit->tables[i] != NULL)
            MR_TRY(apply(kit, kit->tables[i], &step, err));
    kit->position++;
    return MR_OK;
}

void kit_run(state_kit *kit, uint64_t records, uint64_t batch_records)
{
    mr_error err = {0};
    for (uint64_t i = 0; i < records; i++) {
        if (i % batch_records == 0)
            assert_ok(mr_state_maintain(kit->state, &err), &err);
        assert_ok(kit_try_step(kit, &err), &err);
        for (int t = 0; (i + 1) % batch_records == 0 && t < 2 && kit->tables[t] != NULL; t++)
            mr_table_set_stream_time(kit->tables[t], kit->stream_us);
    }
    for (int t = 0; t < 2 && kit->tables[t] != NULL; t++)
        mr_table_set_stream_time(kit->tables[t], kit->stream_us);
}

static void set_stream_time(state_kit *kit)
{
    for (int t = 0; t < 2 && kit->tables[t] != NULL; t++)
        mr_table_set_stream_time(kit->tables[t], kit->stream_us);
}

static mr_status take_records(state_kit *kit, uint64_t records, mr_error *err)
{
    if (records == 0)
        return MR_OK;
    MR_TRY(mr_state_maintain(kit->state, err));
    for (uint64_t i = 0; i < records; i++)
        MR_TRY(kit_try_step(kit, err));
    set_stream_time(kit);
    return MR_OK;
}

mr_status kit_try_checkpoint(state_kit *kit, uint64_t records_per_step, uint32_t slot_max,
                             mr_error *err)
{
    uint64_t flow = kit->position;
    set_stream_time(kit);
    MR_TRY(mr_state_checkpoint_begin(kit->state, 77, kit->position, &flow, sizeof flow, err));
    for (bool done = false; !done;) {
        MR_TRY(mr_state_checkpoint_step(kit->state, kit->position, slot_max, &done, err));
        MR_TRY(take_records(kit, records_per_step, err));
    }
    if (!kit->options.background)
        return mr_state_checkpoint_finish(kit->state, kit->position, NULL, err);
    for (bool done = false; !done;)
        MR_TRY(mr_state_checkpoint_finish(kit->state, kit->position, &done, err));
    return MR_OK;
}

void kit_checkpoint(state_kit *kit, uint64_t records_per_step, uint32_t slot_max)
{
    mr_error err = {0};
    assert_ok(kit_try_checkpoint(kit, records_per_step, slot_max, &err), &err);
    assert_false(mr_state_checkpoint_running(kit->state));
}

mr_status kit_try_recover(state_kit *kit, const kit_options *options, mr_state_recovery *out,
                          mr_error *err)
{
    mr_state_recovery own;
    MR_TRY(kit_try_open(kit, options, err));
    mr_status status = mr_state_recover(kit->state, out != NULL ? out : &own, err);
    if (out == NULL)
        out = &own;
    if (status == MR_OK && out->found) {
        uint64_t flow = 0;
        MR_ASSERT(out->flow.size == sizeof flow && out->plan_hash == 77);
        memcpy(&flow, out->flow.data, sizeof flow);
        MR_ASSERT(flow == out->position_min && out->position_max >= flow);
        kit->position = flow;
        kit->stream_us = mr_table_stream_time(kit->tables[0]);
        if (mr_table_was_missing(kit->tables[0]) ||
            (kit->tables[1] != NULL && mr_table_was_missing(kit->tables[1]))) {
            kit->position = 0;
            kit->stream_us = INT64_MIN;
        }
    }
    mr_bytes_deinit(&out->flow);
    if (status != MR_OK)
        kit_close(kit);
    return status;
}

void kit_recover(state_kit *kit, const kit_options *options, mr_state_recovery *out)
{
    mr_error err = {0};
    assert_ok(kit_try_recover(kit, options, out, &err), &err);
}

uint64_t kit_digest(state_kit *kit)
{
    mr_error err = {0};
    uint64_t digest = 0;
    assert_ok(mr_state_digest(kit->state, &digest, &err), &err);
    return digest;
}

uint64_t kit_digest_of(const kit_options *options, uint64_t records)
{
    state_kit plain;
    kit_open(&plain, &(kit_options){.seed = options->seed,
                                    .keys = options->keys,
                                    .ttl_us = options->ttl_us,
                                    .words_only = options->words_only});
    kit_run(&plain, records, 1000000);
    uint64_t digest = kit_digest(&plain);
    kit_close(&plain);
    return digest;
}

/* ---- the model's side ---- */

static bool gone(const state_kit *kit, const kit_model *model)
{
    return !model->present ||
           (kit->options.ttl_us > 0 && kit->model_stream_us - model->last_us > kit->options.ttl_us);
}

static void model_apply(state_kit *kit, kit_model *model, const kit_record *step)
{
    if (gone(kit, model) || step->removal)
        *model = (kit_model){0};
    if (step->removal)
        return;
    model->present = true;
    if (model->count == KIT_RING_MAX)
        memmove(model->items, model->items + 1, --model->count * sizeof *model->items);
    model->items[model->count++] = step->time_us;
    model->last_us = step->time_us;
    model->total++;
}

static void model_advance(state_kit *kit)
{
    for (int i = 0; i < 2; i++)
        if (kit->models[i] == NULL) {
            kit->models[i] = mr_alloc_zero(kit->options.keys, sizeof(kit_model));
            assert_non_null(kit->models[i]);
        }
    for (; kit->model_position < kit->position; kit->model_position++) {
        kit_record step = step_at(kit, kit->model_position);
        kit->model_stream_us = MR_MAX(kit->model_stream_us, step.time_us);
        for (int i = 0; i < 2; i++)
            model_apply(kit, &kit->models[i][step.key], &step);
    }
}

typedef struct checking {
    state_kit *kit;
    const kit_model *models;
    bool words;
    uint64_t seen;
    uint64_t before_slot, before_word;
} checking;

/* The key's number: both kinds of key have it in them. */
static uint64_t key_of(const checking *check, const void *key, size_t key_bytes)
{
    if (check->words) {
        int64_t word;
        assert_int_equal(key_bytes, sizeof word);
        memcpy(&word, key, sizeof word);
        for (uint64_t k = 0; k < check->kit->options.keys; k++)
            if (word_of(k) == word)
                return k;
    }
    uint64_t number = 0;
    const char *text = key;
    for (size_t i = 9; !check->words && i < key_bytes && text[i] >= '0' && text[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    char wanted[6000];
    assert_int_equal(text_of(number, wanted, sizeof wanted), key_bytes);
    assert_memory_equal(wanted, key, key_bytes);
    return number;
}

static void check_order(checking *check, const void *key, size_t key_bytes)
{
    uint64_t word = 0;
    if (check->words)
        memcpy(&word, key, sizeof word);
    else
        word = mr_hash64(key, key_bytes);
    uint64_t slot = mr_key_slot(check->words ? mr_hash_u64(word) : word);
    assert_true(check->seen == 0 || slot > check->before_slot ||
                (slot == check->before_slot && word > check->before_word));
    check->before_slot = slot;
    check->before_word = word;
}

static bool check_one(void *context, const void *key, size_t key_bytes, void *value)
{
    checking *check = context;
    const kit_value *v = value;
    check_order(check, key, key_bytes);
    const kit_model *model = &check->models[key_of(check, key, key_bytes)];
    assert_false(gone(check->kit, model));
    assert_int_equal(v->total, model->total);
    assert_int_equal(v->last_us, model->last_us);
    assert_int_equal(v->count, model->count);
    assert_memory_equal(v->items, model->items, v->count * sizeof *v->items);
    check->seen++;
    return true;
}

void kit_check(state_kit *kit)
{
    model_advance(kit);
    for (int t = 0; t < 2 && kit->tables[t] != NULL; t++) {
        checking check = {.kit = kit, .models = kit->models[t], .words = t == 0};
        mr_error err = {0};
        assert_ok(mr_table_each(kit->tables[t], check_one, &check, &err), &err);
        uint64_t wanted = 0;
        for (uint32_t k = 0; k < kit->options.keys; k++)
            wanted += !gone(kit, &kit->models[t][k]);
        assert_int_equal(check.seen, wanted);
    }
}
