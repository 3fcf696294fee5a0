/* change.c -- one change at a time: take the topic's write lock, look, append, apply.
 *
 * (1) What is looked at cannot change before the event is durable: the lock is held over both.
 * (2) An event's sequence is its offset, so that an append that does not know the end is refused by the log itself. */
#include "registry/registry_internal.h"

#include "base/assert.h"
#include "base/notice.h"
#include "data/encoder.h"

#include <stdio.h>
#include <string.h>

#define WAIT_STEP_NS  INT64_C(10000000)
#define EVENTS_SOURCE UINT64_C(0x6d6f64656c73) /* the one producer of the events: "models" */

/* ---- the lock ---- */

mr_status registry_topic_take(mr_registry *registry, const char *name, mr_topic **out,
                              mr_error *err)
{
    mr_clock *clock = registry->clock;
    int64_t until = clock->mono_ns(clock) + INT64_C(1000000) * MR_REGISTRY_WAIT_MS;
    for (;;) {
        MR_TRY(registry_topic_open(registry->changes, name, out, err));
        mr_status status = mr_topic_open_writer(*out, 0, NULL, NULL, err);
        if (status == MR_OK)
            return MR_OK;
        mr_topic_close(*out);
        *out = NULL;
        if (status != MR_BUSY || clock->mono_ns(clock) >= until)
            return status;
        clock->sleep_ns(clock, WAIT_STEP_NS);
    }
}

/* The writer knows its end; readers know what its tail file says, which a failing disk may not have taken. */
static mr_status check_end(const registry_change *change, mr_error *err)
{
    mr_partition_stat stat;
    MR_TRY(mr_topic_stat(change->topic, 0, &stat, err));
    if (stat.end_offset != change->registry->applied)
        return MR_FAIL(err, MR_IO, "%s has %llu events, but only %llu can be read",
                       MR_REGISTRY_EVENTS, (unsigned long long)stat.end_offset,
                       (unsigned long long)change->registry->applied);
    return MR_OK;
}

mr_status registry_change_begin(registry_change *change, mr_registry *registry, mr_error *err)
{
    *change = (registry_change){.registry = registry};
    MR_TRY(registry_topic_take(registry, MR_REGISTRY_EVENTS, &change->topic, err));
    mr_error_clear(err);
    MR_TRY(registry_catch_up(registry, err));
    return check_end(change, err);
}

void registry_change_end(registry_change *change)
{
    mr_topic_close(change->topic);
    change->topic = NULL;
}

/* ---- appending ---- */

static void put_text(mr_builder_column *column, const char *text)
{
    mr_builder_text(column, text, strlen(text));
}

static void put_event(mr_builder *builder, const mr_registry_event *event)
{
    mr_builder_column *column = builder->columns;
    mr_builder_int64(column++, event->at_us);
    put_text(column++, mr_registry_kind_text(event->kind));
    put_text(column++, event->name);
    mr_builder_int64(column++, (int64_t)event->version);
    put_text(column++, event->alias);
    mr_builder_int64(column++, (int64_t)event->from_version);
    put_text(column++, event->hash);
    put_text(column++, event->who);
    put_text(column++, event->why);
    put_text(column, event->detail);
}

static void fill(const mr_registry *registry, mr_registry_event *event, uint64_t offset)
{
    event->offset = offset;
    event->at_us = registry->clock->wall_us(registry->clock);
    event->who = registry->principal;
    event->alias = event->alias != NULL ? event->alias : "";
    event->hash = event->hash != NULL ? event->hash : "";
    event->why = event->why != NULL ? event->why : "";
    event->detail = event->detail != NULL ? event->detail : "";
}

static mr_status make_batch(mr_registry *registry, mr_registry_event *events, size_t count,
                            mr_batch **out, mr_error *err)
{
    mr_builder builder;
    MR_TRY(mr_builder_init(&builder, registry->events.schema, err));
    for (size_t i = 0; i < count; i++) {
        fill(registry, &events[i], registry->applied + i);
        put_event(&builder, &events[i]);
    }
    mr_status status = mr_builder_finish(&builder, out, err);
    mr_builder_deinit(&builder);
    return status;
}

static mr_status append_batch(registry_change *change, mr_batch *batch, mr_error *err)
{
    uint64_t first = change->registry->applied;
    mr_appended out = {0};
    mr_append what = {.batch = batch,
                      .producer_id = EVENTS_SOURCE,
                      .producer_epoch = 1,
                      .sequence_first = first,
                      .sequence_next = first + batch->row_count,
                      .gaps_allowed = true};
    MR_TRY(mr_topic_append_commit(change->topic, 0, &what, &out, err));
    if (out.duplicate || out.base_offset != first)
        return MR_FAIL(
            err, MR_CONFLICT, "%s: an event was to stand at %llu, but the topic is at %llu",
            MR_REGISTRY_EVENTS, (unsigned long long)first, (unsigned long long)out.base_offset);
    return MR_OK;
}

mr_status registry_change_append(registry_change *change, mr_registry_event *events, size_t count,
                                 mr_error *err)
{
    mr_batch *batch = NULL;
    mr_error behind = {0};
    MR_TRY(make_batch(change->registry, events, count, &batch, err));
    mr_status status = append_batch(change, batch, err);
    mr_batch_release(batch);
    if (status == MR_OK && registry_catch_up(change->registry, &behind) != MR_OK)
        mr_notice_failure(MR_NOTICE_WARN, "registry", &behind, "catalogue_behind event=%llu",
                          (unsigned long long)events[0].offset);
    return status;
}

/* ---- names ---- */

static bool is_name(const char *text, size_t size)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return size > 0 && size < MR_REGISTRY_NAME_MAX && text[0] != '.' && text[0] != '-' &&
           strspn(text, letters) >= size;
}

bool registry_is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

mr_status registry_check_name(const char *what, const char *name, mr_error *err)
{
    if (!is_name(name, strlen(name)))
        return MR_FAIL(
            err, MR_INVALID,
            "%s '%.120s' is no name: 1 to %d of a-z A-Z 0-9 . _ -, and neither . nor - in "
            "front",
            what, name, MR_REGISTRY_NAME_MAX - 1);
    return MR_OK;
}

mr_status registry_check_alias(const char *alias, mr_error *err)
{
    MR_TRY(registry_check_name("the alias", alias, err));
    if (registry_is_number(alias))
        return MR_FAIL(err, MR_INVALID, "the alias %s would look like a version; give it a letter",
                       alias);
    return MR_OK;
}

/* ---- changes ---- */

/* Makes one event of what `check` lets pass. */
typedef struct planned {
    mr_registry_event event;
    mr_registry_ref found; /* the version, when it was looked up */
    uint64_t expected_from;
    mr_status (*check)(mr_registry *registry, struct planned *wish, mr_error *err);
    mr_bytes detail;
} planned;

static mr_status make(mr_registry *registry, planned *wish, mr_error *err)
{
    registry_change change;
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_change_begin(&change, registry, err);
    if (status == MR_OK)
        status = wish->check(registry, wish, err);
    if (status == MR_OK)
        status = registry_change_append(&change, &wish->event, 1, err);
    registry_change_end(&change);
    mr_mutex_unlock(&registry->lock);
    mr_bytes_deinit(&wish->detail);
    return status;
}

static mr_status check_usable(mr_registry *registry, planned *wish, mr_error *err)
{
    bool retired;
    MR_TRY(registry_find_version(registry, wish->event.name, wish->event.version, &wish->found,
                                 &retired, err));
    if (retired)
        return MR_FAIL(err, MR_CONFLICT, "%s/%llu is retired", wish->event.name,
                       (unsigned long long)wish->event.version);
    return MR_OK;
}

static mr_status check_alias(mr_registry *registry, planned *wish, mr_error *err)
{
    mr_registry_event *event = &wish->event;
    uint64_t at;
    MR_TRY(
        registry_find_alias(registry, event->name, event->alias, &event->from_version, &at, err));
    if (wish->expected_from != MR_REGISTRY_ANY && wish->expected_from != event->from_version)
        return MR_FAIL(err, MR_CONFLICT, "%s@%s is at version %llu, not at %llu", event->name,
                       event->alias, (unsigned long long)event->from_version,
                       (unsigned long long)wish->expected_from);
    if (event->version == event->from_version)
        return event->version == 0
                   ? MR_FAIL(err, MR_NOT_FOUND, "%s has no alias %s", event->name, event->alias)
                   : MR_FAIL(err, MR_EXISTS, "%s@%s is at version %llu already", event->name,
                             event->alias, (unsigned long long)event->version);
    return event->version == 0 ? MR_OK : check_usable(registry, wish, err);
}

mr_status mr_registry_set_alias(mr_registry *registry, const char *name, const char *alias,
                                uint64_t version, uint64_t expected_from, const char *why,
                                mr_error *err)
{
    planned wish = {.event = {.kind = MR_REGISTRY_ALIAS,
                              .name = name,
                              .alias = alias,
                              .version = version,
                              .why = why},
                    .expected_from = expected_from,
                    .check = check_alias};
    MR_TRY(registry_check_name("the model", name, err));
    MR_TRY(registry_check_alias(alias, err));
    return make(registry, &wish, err);
}

static mr_status check_retire(mr_registry *registry, planned *wish, mr_error *err)
{
    char alias[MR_REGISTRY_NAME_MAX] = "";
    MR_TRY(check_usable(registry, wish, err));
    registry_statement s =
        registry_prepare(&registry->catalogue,
                         "SELECT alias FROM alias WHERE name = ?1 AND version = ?2 LIMIT 1", err);
    registry_bind_text(&s, wish->event.name);
    registry_bind_int(&s, (int64_t)wish->event.version);
    if (registry_step(&s))
        (void)strncpy(alias, registry_text(&s, 0), sizeof alias - 1);
    MR_TRY(registry_finish(&s));
    if (alias[0] != '\0')
        return MR_FAIL(err, MR_CONFLICT, "%s/%llu is %s@%s; move that alias first",
                       wish->event.name, (unsigned long long)wish->event.version, wish->event.name,
                       alias);
    return MR_OK;
}

mr_status mr_registry_retire(mr_registry *registry, const char *name, uint64_t version,
                             const char *why, mr_error *err)
{
    planned wish = {
        .event = {.kind = MR_REGISTRY_RETIRE, .name = name, .version = version, .why = why},
        .check = check_retire};
    MR_TRY(registry_check_name("the model", name, err));
    return make(registry, &wish, err);
}

static void put_member(mr_bytes *out, const char *name, const char *text)
{
    mr_bytes_printf(out, "%c\"%s\":", out->size == 0 ? '{' : ',', name);
    if (text == NULL)
        mr_bytes_append_text(out, "null");
    else
        mr_encode_json_text(text, strlen(text), out);
}

static mr_status take_detail(planned *wish, mr_error *err)
{
    mr_bytes_append_byte(&wish->detail, '}');
    wish->event.detail = mr_bytes_text(&wish->detail);
    if (wish->event.detail == NULL || wish->detail.failed)
        return MR_OUT_OF_MEMORY(err);
    if (wish->detail.size > MR_REGISTRY_DETAIL_MAX)
        return MR_FAIL(err, MR_FULL, "a text of %zu bytes; %u is the limit", wish->detail.size,
                       MR_REGISTRY_DETAIL_MAX);
    return MR_OK;
}

static mr_status check_exists(mr_registry *registry, planned *wish, mr_error *err)
{
    mr_registry_ref ref;
    bool retired;
    return registry_find_version(registry, wish->event.name, wish->event.version, &ref, &retired,
                                 err);
}

mr_status mr_registry_set_tag(mr_registry *registry, const char *name, uint64_t version,
                              const char *tag, const char *value, const char *why, mr_error *err)
{
    planned wish = {
        .event = {.kind = MR_REGISTRY_TAG, .name = name, .version = version, .why = why},
        .check = check_exists};
    MR_TRY(registry_check_name("the model", name, err));
    MR_TRY(registry_check_name("the tag", tag, err));
    put_member(&wish.detail, "tag", tag);
    put_member(&wish.detail, "value", value);
    mr_status status = take_detail(&wish, err);
    if (status == MR_OK)
        return make(registry, &wish, err);
    mr_bytes_deinit(&wish.detail);
    return status;
}

static mr_status check_described(mr_registry *registry, planned *wish, mr_error *err)
{
    mr_registry_ref ref;
    bool retired;
    return registry_find_version(registry, wish->event.name, 1, &ref, &retired, err);
}

mr_status mr_registry_describe(mr_registry *registry, const char *name, const char *text,
                               const char *why, mr_error *err)
{
    planned wish = {.event = {.kind = MR_REGISTRY_DESCRIBE, .name = name, .why = why},
                    .check = check_described};
    MR_TRY(registry_check_name("the model", name, err));
    put_member(&wish.detail, "description", text);
    mr_status status = take_detail(&wish, err);
    if (status == MR_OK)
        return make(registry, &wish, err);
    mr_bytes_deinit(&wish.detail);
    return status;
}

/* ---- going back ---- */

/* The places an alias was moved to, without those that were taken back: the last is where it is. */
typedef struct alias_trail {
    mr_bytes versions; /* uint64 each */
} alias_trail;

static size_t trail_length(const alias_trail *trail)
{
    return trail->versions.size / 8;
}

static uint64_t trail_at(const alias_trail *trail, size_t i)
{
    mr_reader reader = mr_reader_of(trail->versions.data + 8 * i, 8);
    return mr_reader_u64(&reader);
}

/* A rollback says in its detail how many places it took back. */
static mr_status walk_trail(mr_registry *registry, const planned *wish, alias_trail *trail,
                            mr_error *err)
{
    registry_statement s = registry_prepare(
        &registry->catalogue,
        "SELECT version, json_extract(iif(json_valid(detail), detail, '{}'), '$.rollback')"
        " FROM event WHERE name = ?1 AND kind = ?2 AND alias = ?3 ORDER BY offset",
        err);
    registry_bind_text(&s, wish->event.name);
    registry_bind_int(&s, MR_REGISTRY_ALIAS);
    registry_bind_text(&s, wish->event.alias);
    while (registry_step(&s)) {
        size_t back = (size_t)MR_MAX(0, registry_int(&s, 1));
        if (back > 0)
            trail->versions.size -= 8 * MR_MIN(back, trail_length(trail));
        else
            mr_bytes_append_u64(&trail->versions, (uint64_t)registry_int(&s, 0));
    }
    MR_TRY(registry_finish(&s));
    return trail->versions.failed ? MR_OUT_OF_MEMORY(err) : MR_OK;
}

/* The newest place before the last that can be used. */
static mr_status find_earlier(mr_registry *registry, planned *wish, const alias_trail *trail,
                              mr_error *err)
{
    for (size_t i = trail_length(trail); i-- > 1;) {
        wish->event.version = trail_at(trail, i - 1);
        bool elsewhere =
            wish->event.version != 0 && wish->event.version != wish->event.from_version;
        if (elsewhere && check_usable(registry, wish, NULL) == MR_OK) {
            mr_bytes_printf(&wish->detail, "{\"rollback\":%zu", trail_length(trail) - i);
            return take_detail(wish, err);
        }
    }
    return MR_FAIL(err, MR_NOT_FOUND, "%s@%s was at no other version before that could be used",
                   wish->event.name, wish->event.alias);
}

static mr_status check_rollback(mr_registry *registry, planned *wish, mr_error *err)
{
    uint64_t at;
    alias_trail trail = {0};
    MR_TRY(registry_find_alias(registry, wish->event.name, wish->event.alias,
                               &wish->event.from_version, &at, err));
    mr_status status = walk_trail(registry, wish, &trail, err);
    if (status == MR_OK)
        status = find_earlier(registry, wish, &trail, err);
    mr_bytes_deinit(&trail.versions);
    return status;
}

mr_status mr_registry_rollback(mr_registry *registry, const char *name, const char *alias,
                               const char *why, mr_registry_ref *out, mr_error *err)
{
    planned wish = {.event = {.kind = MR_REGISTRY_ALIAS, .name = name, .alias = alias, .why = why},
                    .check = check_rollback};
    MR_TRY(registry_check_name("the model", name, err));
    MR_TRY(registry_check_alias(alias, err));
    MR_TRY(make(registry, &wish, err));
    *out = wish.found; /* not asked again: the change is made, whatever happens now */
    out->event = wish.event.offset;
    (void)snprintf(out->alias, sizeof out->alias, "%s", alias);
    return MR_OK;
}
