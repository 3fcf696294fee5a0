/* registry.c -- birth and death, catching up with the events, and following them.
 *
 * (1) applied <= the catalogue's own mark <= the end of the topic; a catalogue that claims more is of another topic
 *     and begins anew.
 * (2) The catalogue's transaction covers the reading of its mark and all that is applied, so that two processes that
 *     catch up at once apply each event once. */
#include "registry/registry_internal.h"

#include "base/assert.h"
#include "base/notice.h"

#include <stdio.h>
#include <string.h>

/* Columns of the events' topic, in this order. */
enum { AT, KIND, NAME, VERSION, ALIAS, FROM, HASH, WHO, WHY, DETAIL };

static const char events_schema[] = "at: timestamp, kind: string, name: string, version: int64, "
                                    "alias: string, from_version: int64, "
                                    "hash: string, who: string, why: string, detail: string";

static const char access_schema[] =
    "at: timestamp, action: string, name: string, version: int64, hash: string, who: string, "
    "process: string, detail: string";

static const char *const kind_texts[] = {
#define X(name, text, what) [MR_REGISTRY_##name] = text,
    MR_REGISTRY_KIND_MAP(X)
#undef X
};

const char *mr_registry_kind_text(mr_registry_kind kind)
{
    return kind < MR_REGISTRY_KIND_COUNT ? kind_texts[kind] : "unknown";
}

/* ---- events ---- */

static mr_registry_kind kind_of(const char *text)
{
    size_t kind = 0;
    while (kind < MR_REGISTRY_KIND_COUNT && strcmp(kind_texts[kind], text) != 0)
        kind++;
    return (mr_registry_kind)kind;
}

mr_status registry_event_of(const mr_batch *batch, uint32_t row, uint64_t offset, mr_arena *arena,
                            mr_registry_event *out, mr_error *err)
{
    const char *kind = registry_row_text(batch, KIND, row, arena);
    *out = (mr_registry_event){.offset = offset,
                               .at_us = registry_row_int(batch, AT, row),
                               .name = registry_row_text(batch, NAME, row, arena),
                               .version = (uint64_t)registry_row_int(batch, VERSION, row),
                               .alias = registry_row_text(batch, ALIAS, row, arena),
                               .from_version = (uint64_t)registry_row_int(batch, FROM, row),
                               .hash = registry_row_text(batch, HASH, row, arena),
                               .who = registry_row_text(batch, WHO, row, arena),
                               .why = registry_row_text(batch, WHY, row, arena),
                               .detail = registry_row_text(batch, DETAIL, row, arena)};
    const char *const texts[] = {kind,     out->name, out->alias, out->hash,
                                 out->who, out->why,  out->detail};
    for (size_t i = 0; i < MR_COUNT_OF(texts); i++)
        if (texts[i] == NULL)
            return MR_OUT_OF_MEMORY(err);
    out->kind = kind_of(kind);
    return MR_OK;
}

/* ---- catching up ---- */

typedef struct replay {
    mr_registry *registry;
    mr_arena arena;
} replay;

static mr_status apply_row(void *context, const mr_batch *batch, uint32_t row, uint64_t offset,
                           mr_error *err)
{
    replay *self = context;
    mr_registry_event event;
    mr_arena_reset(&self->arena);
    MR_TRY(registry_event_of(batch, row, offset, &self->arena, &event, err));
    return registry_catalogue_apply(&self->registry->catalogue, &event, err);
}

/* In a transaction. */
static mr_status apply_missing(mr_registry *registry, uint64_t *out_applied, mr_error *err)
{
    replay self = {.registry = registry};
    uint64_t applied = 0, end = mr_log_reader_end(registry->events.reader);
    MR_TRY(registry_catalogue_applied(&registry->catalogue, &applied, err));
    if (applied > end) {
        mr_notice(MR_NOTICE_WARN, "registry", "catalogue_ahead applied=%llu end=%llu",
                  (unsigned long long)applied, (unsigned long long)end);
        MR_TRY(registry_catalogue_clear(&registry->catalogue, err));
        applied = 0;
    }
    mr_status status =
        registry_stream_read(&registry->events, applied, apply_row, &self, out_applied, err);
    mr_arena_deinit(&self.arena);
    return status;
}

static mr_status apply_in_transaction(mr_registry *registry, mr_error *err)
{
    uint64_t applied = 0;
    MR_TRY(registry_catalogue_begin(&registry->catalogue, err));
    mr_status status = apply_missing(registry, &applied, err);
    if (status == MR_OK)
        status = registry_catalogue_commit(&registry->catalogue, err);
    else
        registry_catalogue_undo(&registry->catalogue);
    if (status == MR_OK)
        registry->applied = applied;
    return status;
}

mr_status registry_catch_up(mr_registry *registry, mr_error *err)
{
    if (registry->applied == mr_log_reader_end(registry->events.reader))
        return MR_OK;
    mr_status status = apply_in_transaction(registry, err);
    mr_log_damage damage;
    if (status != MR_CORRUPT || mr_log_reader_damage(registry->events.reader, &damage))
        return status;
    mr_notice_failure(MR_NOTICE_WARN, "registry", err, "catalogue_renewed path=%s",
                      registry->catalogue.path);
    mr_error_clear(err);
    MR_TRY(registry_catalogue_renew(&registry->catalogue, err));
    return apply_in_transaction(registry, err);
}

mr_status mr_registry_rebuild(mr_registry *registry, mr_error *err)
{
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_catalogue_renew(&registry->catalogue, err);
    if (status == MR_OK)
        status = apply_in_transaction(registry, err);
    mr_mutex_unlock(&registry->lock);
    return status;
}

/* ---- birth and death ---- */

static mr_status open_watch(mr_registry *registry, mr_error *err)
{
    mr_log_reader_options options = {.schema = registry->events.schema};
    return mr_log_reader_open(registry->events.topic, 0, (mr_log_start){.kind = MR_LOG_START_FIRST},
                              &options, &registry->watch, err);
}

static mr_status open_catalogue(mr_registry *registry, const char *root, mr_error *err)
{
    char path[MR_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/catalogue.db", root);
    MR_TRY(registry_catalogue_open(&registry->catalogue, registry->fs, registry->clock, path, err));
    MR_TRY(registry_catalogue_applied(&registry->catalogue, &registry->applied, err));
    return registry_catch_up(registry, err);
}

static mr_status open_all(mr_registry *registry, const mr_registry_options *options, mr_error *err)
{
    char root[MR_PATH_MAX];
    registry->principal = mr_strdup(options->principal);
    registry->process = mr_strdup(options->process != NULL ? options->process : "");
    if (registry->principal == NULL || registry->process == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (strlen(options->home) > MR_PATH_MAX / 2)
        return MR_FAIL(err, MR_INVALID, "a home path of %zu bytes; %d is the limit",
                       strlen(options->home), MR_PATH_MAX / 2);
    (void)snprintf(root, sizeof root, "%s/registry", options->home);
    (void)snprintf(registry->artifacts, sizeof registry->artifacts, "%.2100s/artifacts", root);
    MR_TRY(mr_fs_make_folder(registry->fs, registry->artifacts, err));
    MR_TRY(mr_log_open(registry->fs, registry->clock, options->home, &registry->changes, err));
    MR_TRY(registry_stream_open(&registry->events, registry->log, registry->changes,
                                MR_REGISTRY_EVENTS, events_schema, err));
    MR_TRY(registry_stream_open(&registry->access, registry->log, registry->changes,
                                MR_REGISTRY_ACCESS, access_schema, err));
    MR_TRY(open_watch(registry, err));
    return open_catalogue(registry, root, err);
}

mr_status mr_registry_open(const mr_registry_options *options, mr_registry **out, mr_error *err)
{
    *out = NULL;
    mr_registry *registry = MR_NEW(mr_registry);
    if (registry == NULL)
        return MR_OUT_OF_MEMORY(err);
    registry->fs = options->fs;
    registry->clock = options->clock;
    registry->log = options->log;
    mr_mutex_init(&registry->lock);
    mr_mutex_init(&registry->watch_lock);
    mr_status status = open_all(registry, options, err);
    if (status != MR_OK) {
        mr_error_prefix(err, "open the registry of %.300s", options->home);
        mr_registry_close(registry);
        return status;
    }
    *out = registry;
    return MR_OK;
}

static void forget_verified(mr_registry *registry)
{
    while (registry->verified != NULL) {
        registry_verified *first = registry->verified;
        registry->verified = first->next;
        mr_free(first);
    }
}

void mr_registry_close(mr_registry *registry)
{
    if (registry == NULL)
        return;
    registry_catalogue_close(&registry->catalogue);
    mr_log_reader_close(registry->watch);
    registry_stream_close(&registry->events);
    registry_stream_close(&registry->access);
    mr_log_close(registry->changes);
    forget_verified(registry);
    mr_mutex_deinit(&registry->watch_lock);
    mr_mutex_deinit(&registry->lock);
    mr_free(registry->principal);
    mr_free(registry->process);
    mr_free(registry);
}

/* ---- following ---- */

uint64_t mr_registry_end(mr_registry *registry)
{
    mr_mutex_lock(&registry->watch_lock);
    uint64_t end = mr_log_reader_end(registry->watch);
    mr_mutex_unlock(&registry->watch_lock);
    return end;
}

typedef struct follower {
    mr_arena arena;
    mr_registry_event_fn each;
    void *context;
} follower;

static mr_status follow_row(void *context, const mr_batch *batch, uint32_t row, uint64_t offset,
                            mr_error *err)
{
    follower *self = context;
    mr_registry_event event;
    mr_arena_reset(&self->arena);
    MR_TRY(registry_event_of(batch, row, offset, &self->arena, &event, err));
    return self->each(self->context, &event, err);
}

mr_status mr_registry_follow(mr_registry *registry, uint64_t offset, mr_registry_event_fn each,
                             void *context, uint64_t *out_next, mr_error *err)
{
    follower self = {.each = each, .context = context};
    uint64_t next = offset;
    mr_mutex_lock(&registry->lock);
    mr_status status =
        registry_stream_read(&registry->events, offset, follow_row, &self, &next, err);
    mr_mutex_unlock(&registry->lock);
    mr_arena_deinit(&self.arena);
    if (out_next != NULL)
        *out_next = next;
    return status;
}
