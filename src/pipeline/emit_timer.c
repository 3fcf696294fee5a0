/* emit_timer.c -- watermarks, and which windows are pending.
 *
 * The table's key is the entity's bytes, for tumbling and hopping windows with the start behind; its value is
 * a mark for those, and the list of open sessions for sessions. (1) Sessions of one key do not touch: the gap
 * between two is longer than `gap`. (2) The heap may hold a session that has grown or merged since; what the table
 * says counts, and such a timer is dropped, for a newer one was pushed. */
#include "pipeline/emit.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

/* ---- watermark ---- */

void emit_watermark_init(emit_watermark *watermark)
{
    *watermark = (emit_watermark){INT64_MIN, INT64_MIN};
}

int64_t emit_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

int64_t emit_watermark_take(emit_watermark *watermark, int64_t time_us)
{
    bool jump =
        watermark->time_us == INT64_MIN || time_us > emit_add(watermark->time_us, EMIT_JUMP_US);
    if (!jump) {
        watermark->candidate_us = INT64_MIN;
        watermark->time_us = MR_MAX(watermark->time_us, time_us);
        return watermark->time_us;
    }
    int64_t candidate = watermark->candidate_us;
    watermark->candidate_us = time_us;
    if (candidate != INT64_MIN && time_us >= emit_add(candidate, -EMIT_JUMP_US))
        watermark->time_us = MR_MAX(watermark->time_us, MR_MIN(candidate, time_us));
    return watermark->time_us;
}

int64_t emit_window_start(int64_t time_us, int64_t hop_us)
{
    int64_t rest = time_us % hop_us;
    return emit_add(time_us, -(rest < 0 ? rest + hop_us : rest));
}

/* ---- sessions in the table ---- */

typedef struct session {
    int64_t first_us, last_us;
} session;

typedef struct session_list {
    session *items; /* slot heap; ascending */
    uint32_t count;
    uint32_t room;
} session_list;

static void encode_sessions(void *context, mr_slot *slot, const void *value, mr_bytes *out)
{
    const session_list *list = value;
    (void)context;
    (void)slot;
    mr_bytes_append_varint(out, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        mr_bytes_append_u64(out, (uint64_t)list->items[i].first_us);
        mr_bytes_append_u64(out, (uint64_t)list->items[i].last_us);
    }
}

static mr_status make_room(mr_slot *slot, session_list *list, mr_error *err)
{
    if (list->count < list->room)
        return MR_OK;
    uint32_t room = list->room > 0 ? list->room * 2 : 2;
    session *grown = mr_slot_alloc(slot, room * sizeof *grown);
    if (grown == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (list->count > 0)
        memcpy(grown, list->items, list->count * sizeof *grown);
    if (list->items != NULL)
        mr_slot_free(slot, list->items, list->room * sizeof *grown);
    list->items = grown;
    list->room = room;
    return MR_OK;
}

static mr_status decode_sessions(void *context, mr_slot *slot, void *value, mr_reader *from,
                                 mr_error *err)
{
    session_list *list = value;
    (void)context;
    uint64_t count = mr_reader_varint(from);
    if (from->failed || count > mr_reader_left(from) / 16)
        return MR_FAIL(err, MR_CORRUPT, "a list of %llu sessions is cut short",
                       (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) {
        MR_TRY(make_room(slot, list, err));
        session *item = &list->items[list->count++];
        item->first_us = (int64_t)mr_reader_u64(from);
        item->last_us = (int64_t)mr_reader_u64(from);
    }
    return MR_OK;
}

static void drop_sessions(void *context, mr_slot *slot, void *value)
{
    session_list *list = value;
    (void)context;
    if (list->items != NULL)
        mr_slot_free(slot, list->items, list->room * sizeof(session));
    *list = (session_list){0};
}

static void encode_mark(void *context, mr_slot *slot, const void *value, mr_bytes *out)
{
    (void)context;
    (void)slot;
    (void)value;
    mr_bytes_append_byte(out, 1);
}

static mr_status decode_mark(void *context, mr_slot *slot, void *value, mr_reader *from,
                             mr_error *err)
{
    (void)context;
    (void)slot;
    *(uint8_t *)value = mr_reader_u8(from);
    return *(uint8_t *)value == 1 ? MR_OK
                                  : MR_FAIL(err, MR_CORRUPT, "a pending window has no mark");
}

static void drop_mark(void *context, mr_slot *slot, void *value)
{
    (void)context;
    (void)slot;
    (void)value;
}

static const mr_table_kind session_kind = {.name = "sessions",
                                           .version = 1,
                                           .encode = encode_sessions,
                                           .decode = decode_sessions,
                                           .drop = drop_sessions};
static const mr_table_kind window_kind = {.name = "windows",
                                          .version = 1,
                                          .encode = encode_mark,
                                          .decode = decode_mark,
                                          .drop = drop_mark};

/* ---- the heap ---- */

static bool sooner(const emit_timer *a, const emit_timer *b)
{
    if (a->due_us != b->due_us)
        return a->due_us < b->due_us;
    int order = memcmp(a->key, b->key, MR_MIN(a->key_bytes, b->key_bytes));
    if (order != 0 || a->key_bytes != b->key_bytes)
        return order != 0 ? order < 0 : a->key_bytes < b->key_bytes;
    return a->start_us < b->start_us;
}

static void swap(emit_timer *a, emit_timer *b)
{
    emit_timer kept = *a;
    *a = *b;
    *b = kept;
}

static mr_status push(emit_timers *timers, int64_t due_us, int64_t start_us, int64_t last_us,
                      const void *key, size_t key_bytes, mr_error *err)
{
    if (timers->count == timers->room) {
        size_t room = MR_MAX(64, timers->room * 2);
        emit_timer *grown = mr_realloc(timers->heap, room * sizeof *grown);
        if (grown == NULL)
            return MR_OUT_OF_MEMORY(err);
        timers->heap = grown;
        timers->room = room;
    }
    uint8_t *copy = mr_alloc(key_bytes);
    if (copy == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (key_bytes > 0)
        memcpy(copy, key, key_bytes);
    size_t at = timers->count++;
    timers->heap[at] = (emit_timer){due_us, start_us, last_us, (uint32_t)key_bytes, copy};
    for (; at > 0 && sooner(&timers->heap[at], &timers->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&timers->heap[at], &timers->heap[(at - 1) / 2]);
    return MR_OK;
}

static emit_timer take_first(emit_timers *timers)
{
    emit_timer first = timers->heap[0];
    timers->heap[0] = timers->heap[--timers->count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < timers->count; child++)
            if (sooner(&timers->heap[child], &timers->heap[least]))
                least = child;
        if (least == at)
            return first;
        swap(&timers->heap[at], &timers->heap[least]);
        at = least;
    }
}

/* ---- birth, death, recovery ---- */

mr_status emit_timers_open(emit_timers *timers, const plan_emit *plan, mr_state *state,
                           mr_error *err)
{
    char name[MR_NAME_BYTES_MAX + 32];
    mr_bytes text = {0};
    timers->plan = plan;
    (void)snprintf(name, sizeof name, "timers/%.200s", plan->name);
    mr_bytes_printf(&text, "%s %d %lld %lld %lld %lld ", plan->view.text, plan->session,
                    (long long)plan->width_us, (long long)plan->hop_us, (long long)plan->gap_us,
                    (long long)plan->lateness_us);
    if (plan->where != NULL)
        mr_expr_format(plan->where, &text);
    mr_table_options options = {.name = name,
                                .fingerprint = mr_hash64(text.data, text.size),
                                .kind = plan->session ? &session_kind : &window_kind,
                                .context = timers,
                                .value_bytes = plan->session ? sizeof(session_list) : 8,
                                .byte_keys = true};
    mr_status status = text.failed ? MR_OUT_OF_MEMORY(err)
                                   : mr_state_add_table(state, &options, &timers->table, err);
    mr_bytes_deinit(&text);
    return status;
}

void emit_timers_close(emit_timers *timers)
{
    for (size_t i = 0; i < timers->count; i++)
        mr_free(timers->heap[i].key);
    mr_free(timers->heap);
    mr_bytes_deinit(&timers->scratch);
    *timers = (emit_timers){0};
}

typedef struct restore {
    emit_timers *timers;
    mr_status status;
    mr_error *err;
} restore;

static int64_t session_due(const plan_emit *plan, int64_t last_us)
{
    return emit_add(last_us, emit_add(plan->gap_us, plan->lateness_us));
}

static int64_t window_due(const plan_emit *plan, int64_t start_us)
{
    return emit_add(start_us, emit_add(plan->width_us, plan->lateness_us));
}

static bool restore_one(void *context, const void *key, size_t key_bytes, void *value)
{
    restore *to = context;
    const plan_emit *plan = to->timers->plan;
    if (!plan->session) {
        int64_t start;
        memcpy(&start, (const uint8_t *)key + key_bytes - sizeof start, sizeof start);
        to->status = push(to->timers, window_due(plan, start), start,
                          emit_add(start, plan->width_us), key, key_bytes - sizeof start, to->err);
        return to->status == MR_OK;
    }
    const session_list *list = value;
    for (uint32_t i = 0; i < list->count && to->status == MR_OK; i++)
        to->status = push(to->timers, session_due(plan, list->items[i].last_us),
                          list->items[i].first_us, list->items[i].last_us, key, key_bytes, to->err);
    return to->status == MR_OK;
}

mr_status emit_timers_restore(emit_timers *timers, mr_error *err)
{
    restore to = {timers, MR_OK, err};
    MR_TRY(mr_table_each(timers->table, restore_one, &to, err));
    return to.status;
}

/* ---- adding ---- */

/* Puts a time into the sessions of a key: into one, between two that it joins, or as one of its own. Returns the
 * index of the session it is in. */
static mr_status join_session(mr_slot *slot, session_list *list, int64_t time_us, int64_t gap_us,
                              uint32_t *out_at, mr_error *err)
{
    uint32_t at = 0;
    while (at < list->count && emit_add(list->items[at].last_us, gap_us) < time_us)
        at++;
    if (at == list->count || time_us < emit_add(list->items[at].first_us, -gap_us)) {
        MR_TRY(make_room(slot, list, err));
        memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof *list->items);
        list->items[at] = (session){time_us, time_us};
        list->count++;
    }
    session *own = &list->items[at];
    own->first_us = MR_MIN(own->first_us, time_us);
    own->last_us = MR_MAX(own->last_us, time_us);
    if (at + 1 < list->count && own[1].first_us <= emit_add(own->last_us, gap_us)) {
        own->last_us = own[1].last_us;
        list->count--;
        memmove(own + 1, own + 2, (list->count - at - 1) * sizeof *own);
    }
    *out_at = at;
    return MR_OK;
}

static mr_slot *slot_of(emit_timers *timers, uint64_t hash)
{
    return &mr_table_slots(timers->table)[mr_key_slot(hash)];
}

static mr_status add_session(emit_timers *timers, uint64_t position, const mr_bytes *key,
                             int64_t time_us, mr_error *err)
{
    uint64_t hash = mr_hash64(key->data, key->size);
    mr_slot *slot = slot_of(timers, hash);
    uint32_t at;
    if (position < slot->skip_until)
        return MR_OK;
    session_list *list = mr_slot_get_bytes(slot, hash, key->data, key->size, true, err);
    if (list == NULL)
        return MR_NO_MEMORY;
    MR_TRY(join_session(slot, list, time_us, timers->plan->gap_us, &at, err));
    const session *own = &list->items[at];
    return push(timers, session_due(timers->plan, own->last_us), own->first_us, own->last_us,
                key->data, key->size, err);
}

/* The table's key of a tumbling or hopping window. */
static const mr_bytes *window_key(emit_timers *timers, const void *key, size_t key_bytes,
                                  int64_t start_us)
{
    mr_bytes_clear(&timers->scratch);
    mr_bytes_append(&timers->scratch, key, key_bytes);
    mr_bytes_append(&timers->scratch, &start_us, sizeof start_us);
    return &timers->scratch;
}

mr_status emit_timers_add(emit_timers *timers, uint64_t position, const mr_bytes *key,
                          int64_t start_us, int64_t time_us, mr_error *err)
{
    if (timers->plan->session)
        return add_session(timers, position, key, time_us, err);
    const mr_bytes *whole = window_key(timers, key->data, key->size, start_us);
    if (whole->failed)
        return MR_OUT_OF_MEMORY(err);
    uint64_t hash = mr_hash64(whole->data, whole->size);
    mr_slot *slot = slot_of(timers, hash);
    if (position < slot->skip_until)
        return MR_OK;
    mr_error_clear(err);
    uint8_t *mark = mr_slot_get_bytes(slot, hash, whole->data, whole->size, true, err);
    if (mark == NULL)
        return MR_NO_MEMORY;
    if (*mark != 0)
        return MR_OK; /* pending already */
    *mark = 1;
    return push(timers, window_due(timers->plan, start_us), start_us,
                emit_add(start_us, timers->plan->width_us), key->data, key->size, err);
}

/* ---- popping ---- */

/* Takes the session off the table; false when the table has no such session (any more). */
static mr_status take_session(emit_timers *timers, const emit_timer *timer, bool *out_found,
                              mr_error *err)
{
    uint64_t hash = mr_hash64(timer->key, timer->key_bytes);
    mr_slot *slot = slot_of(timers, hash);
    mr_error own = {0};
    *out_found = false;
    session_list *list = mr_slot_get_bytes(slot, hash, timer->key, timer->key_bytes, false, &own);
    if (list == NULL) {
        if (own.status != MR_OK && err != NULL)
            *err = own;
        return own.status;
    }
    uint32_t at = 0;
    while (at < list->count && (list->items[at].first_us != timer->start_us ||
                                list->items[at].last_us != timer->last_us))
        at++;
    if (at == list->count)
        return MR_OK;
    *out_found = true;
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof *list->items);
    slot->changed_tick = mr_table_tick(timers->table);
    if (list->count == 0)
        mr_slot_remove(slot, list);
    return MR_OK;
}

static mr_status take_window(emit_timers *timers, const emit_timer *timer, bool *out_found,
                             mr_error *err)
{
    const mr_bytes *whole = window_key(timers, timer->key, timer->key_bytes, timer->start_us);
    if (whole->failed)
        return MR_OUT_OF_MEMORY(err);
    uint64_t hash = mr_hash64(whole->data, whole->size);
    mr_slot *slot = slot_of(timers, hash);
    mr_error own = {0};
    void *mark = mr_slot_get_bytes(slot, hash, whole->data, whole->size, false, &own);
    *out_found = mark != NULL;
    if (mark != NULL)
        mr_slot_remove(slot, mark);
    else if (own.status != MR_OK && err != NULL)
        *err = own;
    return mark != NULL ? MR_OK : own.status;
}

mr_status emit_timers_pop(emit_timers *timers, int64_t watermark_us, emit_timer *out,
                          bool *out_found, mr_error *err)
{
    *out_found = false;
    while (timers->count > 0 && watermark_us != INT64_MIN &&
           timers->heap[0].due_us <= watermark_us) {
        *out = take_first(timers);
        mr_status status = timers->plan->session ? take_session(timers, out, out_found, err)
                                                 : take_window(timers, out, out_found, err);
        if (status == MR_OK && *out_found)
            return MR_OK;
        mr_free(out->key);
        MR_TRY(status);
    }
    return MR_OK;
}
