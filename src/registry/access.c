/* access.c -- who read, moved or scored with an artifact: one durable record each. */
#include "registry/registry_internal.h"

#include "base/assert.h"

#include <string.h>

/* Columns of the topic, in this order. */
enum { AT, ACTION, NAME, VERSION, HASH, WHO, PROCESS, DETAIL };

static mr_status make_batch(mr_registry *registry, const mr_registry_ref *ref, const char *action,
                            const char *detail, mr_batch **out, mr_error *err)
{
    mr_builder builder;
    MR_TRY(mr_builder_init(&builder, registry->access.schema, err));
    const char *const texts[] = {[ACTION] = action,
                                 [NAME] = ref->name,
                                 [HASH] = ref->hash,
                                 [WHO] = registry->principal,
                                 [PROCESS] = registry->process,
                                 [DETAIL] = detail != NULL ? detail : ""};
    mr_builder_int64(&builder.columns[AT], registry->clock->wall_us(registry->clock));
    mr_builder_int64(&builder.columns[VERSION], (int64_t)ref->version);
    for (size_t i = 0; i < MR_COUNT_OF(texts); i++)
        if (texts[i] != NULL)
            mr_builder_text(&builder.columns[i], texts[i], strlen(texts[i]));
    mr_status status = mr_builder_finish(&builder, out, err);
    mr_builder_deinit(&builder);
    return status;
}

static mr_status append(mr_registry *registry, mr_batch *batch, mr_error *err)
{
    mr_topic *topic = NULL;
    mr_appended out;
    MR_TRY(registry_topic_take(registry, MR_REGISTRY_ACCESS, &topic, err));
    mr_status status = mr_topic_append_commit(topic, 0, &(mr_append){.batch = batch}, &out, err);
    mr_topic_close(topic);
    return status;
}

mr_status mr_registry_note_access(mr_registry *registry, const mr_registry_ref *ref,
                                  const char *action, const char *detail, mr_error *err)
{
    mr_batch *batch = NULL;
    MR_TRY(make_batch(registry, ref, action, detail, &batch, err));
    mr_mutex_lock(&registry->lock);
    mr_status status = append(registry, batch, err);
    mr_mutex_unlock(&registry->lock);
    mr_batch_release(batch);
    return status;
}

typedef struct access_filter {
    const char *name;
    uint64_t version;
    mr_registry_access_fn each;
    void *context;
    mr_arena arena;
} access_filter;

static mr_status read_row(void *context, const mr_batch *batch, uint32_t row, uint64_t offset,
                          mr_error *err)
{
    access_filter *self = context;
    mr_arena_reset(&self->arena);
    mr_registry_access access = {
        .offset = offset,
        .at_us = registry_row_int(batch, AT, row),
        .action = registry_row_text(batch, ACTION, row, &self->arena),
        .name = registry_row_text(batch, NAME, row, &self->arena),
        .version = (uint64_t)registry_row_int(batch, VERSION, row),
        .hash = registry_row_text(batch, HASH, row, &self->arena),
        .who = registry_row_text(batch, WHO, row, &self->arena),
        .process = registry_row_text(batch, PROCESS, row, &self->arena),
        .detail = registry_row_text(batch, DETAIL, row, &self->arena),
    };
    if (access.action == NULL || access.name == NULL || access.hash == NULL || access.who == NULL ||
        access.process == NULL || access.detail == NULL)
        return MR_OUT_OF_MEMORY(err);
    bool wanted = (self->name == NULL || strcmp(self->name, access.name) == 0) &&
                  (self->version == 0 || self->version == access.version);
    return wanted ? self->each(self->context, &access, err) : MR_OK;
}

mr_status mr_registry_accesses(mr_registry *registry, const char *name, uint64_t version,
                               mr_registry_access_fn each, void *context, mr_error *err)
{
    access_filter self = {.name = name, .version = version, .each = each, .context = context};
    uint64_t next;
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_stream_read(&registry->access, 0, read_row, &self, &next, err);
    mr_mutex_unlock(&registry->lock);
    mr_arena_deinit(&self.arena);
    return status;
}
