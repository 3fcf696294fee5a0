/* publish.c -- a folder becomes a version: copied, proven, then named by an event.
 *
 * (1) One process copies at a time (the file publish.lock, held), so that two that bring the same artifact do not
 *     write into one folder.
 * (2) What is proven is the copy: hash, model, golden rows, facts. Only then the event is appended.
 * (3) An artifact without an event (a crash between the two) is nobody's, and is used when it is brought again. */
#include "registry/registry_internal.h"

#include "base/assert.h"
#include "data/encoder.h"
#include "model/artifact.h"
#include "model/facts.h"

#include <stdio.h>
#include <string.h>

#define WAIT_STEP_NS INT64_C(10000000)

/* ---- proving an artifact ---- */

static mr_status check_hash(mr_registry *registry, const char *folder, const char *hash,
                            mr_error *err)
{
    char now[MR_REGISTRY_HASH_MAX];
    MR_TRY(mr_artifact_hash(registry->fs, folder, now, NULL, err));
    if (strcmp(now, hash) != 0)
        return MR_FAIL(err, MR_CORRUPT, "artifact %s: its files have the hash %s", folder, now);
    return MR_OK;
}

/* Opening checks the golden rows; that there are any is checked here. */
static mr_status open_proven(mr_registry *registry, const char *folder, mr_model **out,
                             mr_error *err)
{
    char golden[MR_PATH_MAX + 16];
    mr_file_info info = {0};
    (void)snprintf(golden, sizeof golden, "%s/golden.csv", folder);
    mr_status status = mr_fs_info(registry->fs, golden, &info, err);
    if (status == MR_NOT_FOUND || (status == MR_OK && info.size == 0))
        return MR_FAIL(err, MR_INVALID,
                       "%s has no golden rows: rows and what the model says of them, so that it "
                       "can be held to it; `millrace model push` makes them",
                       folder);
    MR_TRY(status);
    return mr_model_open(registry->fs, folder, NULL, out, err);
}

static mr_status put_detail(const mr_yaml *facts, const mr_model *model, const char *description,
                            uint64_t bytes, mr_bytes *out, mr_error *err)
{
    const char *said = description != NULL ? description : mr_facts_text(facts, "description");
    mr_bytes_append_text(out, "{\"family\":");
    mr_encode_json_text(model->kind->name, strlen(model->kind->name), out);
    mr_bytes_printf(out, ",\"bytes\":%llu", (unsigned long long)bytes);
    if (said != NULL) {
        mr_bytes_append_text(out, ",\"description\":");
        mr_encode_json_text(said, strlen(said), out);
    }
    mr_bytes_append_text(out, ",\"facts\":");
    mr_facts_json(facts, out);
    mr_bytes_append_byte(out, '}');
    if (mr_bytes_text(out) == NULL || out->failed)
        return MR_OUT_OF_MEMORY(err);
    if (out->size > MR_REGISTRY_DETAIL_MAX)
        return MR_FAIL(err, MR_FULL, "model.yaml has %zu bytes as JSON; %u is the limit", out->size,
                       MR_REGISTRY_DETAIL_MAX);
    return MR_OK;
}

/* The artifact is what its hash says, opens, keeps its word, and says what it is: detail of the event. */
static mr_status prove(mr_registry *registry, const char *folder, const char *hash,
                       const char *description, mr_bytes *out_detail, mr_error *err)
{
    mr_arena arena = {0};
    mr_model *model = NULL;
    const mr_yaml *facts = NULL;
    char again[MR_REGISTRY_HASH_MAX], file[MR_PATH_MAX + 16];
    uint64_t bytes = 0;
    (void)snprintf(file, sizeof file, "%s/model.yaml", folder);
    mr_status status = mr_artifact_hash(registry->fs, folder, again, &bytes, err);
    if (status == MR_OK && strcmp(again, hash) != 0)
        status = MR_FAIL(err, MR_CORRUPT, "artifact %s: its files have the hash %s", folder, again);
    if (status == MR_OK)
        status = open_proven(registry, folder, &model, err);
    if (status == MR_OK)
        status = mr_facts_read(registry->fs, folder, &arena, &facts, err);
    if (status == MR_OK)
        status = mr_facts_check(facts, file, model, err);
    if (status == MR_OK && out_detail != NULL)
        status = put_detail(facts, model, description, bytes, out_detail, err);
    mr_model_close(model);
    mr_arena_deinit(&arena);
    return status;
}

/* ---- the copy ---- */

static mr_status lock_store(mr_registry *registry, mr_file **out, mr_error *err)
{
    char path[MR_PATH_MAX + 16];
    mr_clock *clock = registry->clock;
    int64_t until = clock->mono_ns(clock) + INT64_C(1000000) * MR_REGISTRY_WAIT_MS;
    (void)snprintf(path, sizeof path, "%s.lock", registry->artifacts);
    MR_TRY(mr_fs_open(registry->fs, path, MR_OPEN_CREATE, out, err));
    mr_status status;
    while ((status = mr_file_lock(*out, err)) == MR_BUSY && clock->mono_ns(clock) < until)
        clock->sleep_ns(clock, WAIT_STEP_NS);
    if (status != MR_OK) {
        mr_file_close(*out);
        *out = NULL;
    }
    return status;
}

/* Proven elsewhere first: what does not keep its word never gets the name of its hash. */
static mr_status store_new(mr_registry *registry, const char *from, const char *to,
                           const char *hash, const char *description, mr_bytes *detail,
                           mr_error *err)
{
    char incoming[MR_PATH_MAX + 16];
    (void)snprintf(incoming, sizeof incoming, "%s/incoming", registry->artifacts);
    MR_TRY(mr_fs_remove_tree(registry->fs, incoming, err));
    mr_status status = mr_artifact_copy(registry->fs, from, incoming, err);
    if (status == MR_OK)
        status = prove(registry, incoming, hash, description, detail, err);
    if (status == MR_OK)
        status = mr_fs_rename(registry->fs, incoming, to, err);
    if (status == MR_OK)
        return mr_fs_sync_dir(registry->fs, registry->artifacts, err);
    (void)mr_fs_remove_tree(registry->fs, incoming, NULL);
    return status;
}

/* True when the folder is there and has its hash. */
static bool is_stored(mr_registry *registry, const char *folder, const char *hash)
{
    return mr_fs_exists(registry->fs, folder) && check_hash(registry, folder, hash, NULL) == MR_OK;
}

/* What is there already is proven too; one that was damaged is made anew from what is brought. */
static mr_status store_locked(mr_registry *registry, const char *from, const char *hash,
                              const char *description, mr_bytes *detail, mr_error *err)
{
    char to[MR_PATH_MAX];
    MR_TRY(registry_artifact_folder(registry, hash, to, err));
    if (!is_stored(registry, to, hash)) {
        MR_TRY(mr_fs_remove_tree(registry->fs, to, err));
        return store_new(registry, from, to, hash, description, detail, err);
    }
    MR_TRY(prove(registry, to, hash, description, detail, err));
    return mr_fs_sync_dir(registry->fs, registry->artifacts, err);
}

static mr_status store(mr_registry *registry, const char *from, const char *hash,
                       const char *description, mr_bytes *detail, mr_error *err)
{
    mr_file *lock = NULL;
    MR_TRY(lock_store(registry, &lock, err));
    mr_status status = store_locked(registry, from, hash, description, detail, err);
    mr_file_close(lock);
    return status;
}

/* ---- the version ---- */

static mr_status find_same(mr_registry *registry, const char *name, const char *hash,
                           uint64_t *out_version, uint64_t *out_next, mr_error *err)
{
    registry_statement s = registry_prepare(
        &registry->catalogue,
        "SELECT ifnull(max(iif(hash = ?2, version, 0)), 0), ifnull(max(version), 0) + 1"
        " FROM version WHERE name = ?1",
        err);
    registry_bind_text(&s, name);
    registry_bind_text(&s, hash);
    if (registry_step(&s)) {
        *out_version = (uint64_t)registry_int(&s, 0);
        *out_next = (uint64_t)registry_int(&s, 1);
    }
    return registry_finish(&s);
}

typedef struct publication {
    const char *name, *hash, *detail;
    const mr_registry_publish_options *options;
    mr_registry_ref ref;
    bool is_new;
} publication;

static mr_status check_in_use(mr_registry *registry, publication *self, uint64_t version,
                              mr_error *err)
{
    bool retired;
    MR_TRY(registry_find_version(registry, self->name, version, &self->ref, &retired, err));
    if (retired)
        return MR_FAIL(err, MR_CONFLICT, "this artifact is %s/%llu, which is retired", self->name,
                       (unsigned long long)version);
    return MR_OK;
}

static mr_status plan_version(mr_registry *registry, publication *self, uint64_t version,
                              mr_error *err)
{
    self->is_new = true;
    self->ref = (mr_registry_ref){.version = version, .event = registry->applied};
    (void)snprintf(self->ref.name, sizeof self->ref.name, "%s", self->name);
    (void)snprintf(self->ref.hash, sizeof self->ref.hash, "%s", self->hash);
    return registry_artifact_folder(registry, self->hash, self->ref.folder, err);
}

/* The version, and the alias that moves with it, as one append. */
static mr_status append_version(registry_change *change, publication *self, mr_error *err)
{
    mr_registry *registry = change->registry;
    const mr_registry_publish_options *options = self->options;
    mr_registry_event events[2];
    uint64_t same = 0, next = 0, from = 0, at;
    size_t count = 0;
    MR_TRY(find_same(registry, self->name, self->hash, &same, &next, err));
    MR_TRY(same > 0 ? check_in_use(registry, self, same, err)
                    : plan_version(registry, self, next, err));
    if (self->is_new)
        events[count++] = (mr_registry_event){.kind = MR_REGISTRY_PUBLISH,
                                              .name = self->name,
                                              .version = self->ref.version,
                                              .hash = self->hash,
                                              .why = options->why,
                                              .detail = self->detail};
    if (options->alias != NULL)
        MR_TRY(registry_find_alias(registry, self->name, options->alias, &from, &at, err));
    if (options->alias != NULL && from != self->ref.version)
        events[count++] = (mr_registry_event){.kind = MR_REGISTRY_ALIAS,
                                              .name = self->name,
                                              .alias = options->alias,
                                              .version = self->ref.version,
                                              .from_version = from,
                                              .why = options->why};
    return count > 0 ? registry_change_append(change, events, count, err) : MR_OK;
}

static mr_status name_version(mr_registry *registry, publication *self, mr_error *err)
{
    registry_change change;
    mr_status status = registry_change_begin(&change, registry, err);
    if (status == MR_OK)
        status = append_version(&change, self, err);
    registry_change_end(&change);
    return status;
}

mr_status mr_registry_publish(mr_registry *registry, const char *name, const char *folder,
                              const mr_registry_publish_options *options, mr_registry_ref *out,
                              bool *out_is_new, mr_error *err)
{
    static const mr_registry_publish_options none = {0};
    char hash[MR_REGISTRY_HASH_MAX];
    mr_bytes detail = {0};
    options = options != NULL ? options : &none;
    MR_TRY(registry_check_name("the model", name, err));
    if (options->alias != NULL)
        MR_TRY(registry_check_alias(options->alias, err));
    MR_TRY(mr_artifact_hash(registry->fs, folder, hash, NULL, err));
    mr_status status = store(registry, folder, hash, options->description, &detail, err);
    publication self = {
        .name = name, .hash = hash, .detail = (const char *)detail.data, .options = options};
    if (status == MR_OK) {
        mr_mutex_lock(&registry->lock);
        status = name_version(registry, &self, err);
        mr_mutex_unlock(&registry->lock);
    }
    mr_bytes_deinit(&detail);
    *out = self.ref;
    if (status == MR_OK)
        status = mr_registry_note_access(registry, out, "publish",
                                         options->source != NULL ? options->source : folder, err);
    if (out_is_new != NULL)
        *out_is_new = self.is_new;
    return status;
}

/* ---- reading versions ---- */

static bool is_verified(mr_registry *registry, const char *hash)
{
    mr_mutex_lock(&registry->lock);
    const registry_verified *at = registry->verified;
    while (at != NULL && strcmp(at->hash, hash) != 0)
        at = at->next;
    mr_mutex_unlock(&registry->lock);
    return at != NULL;
}

/* Without memory it is checked again the next time. */
static void note_verified(mr_registry *registry, const char *hash)
{
    registry_verified *entry = MR_NEW(registry_verified);
    if (entry == NULL)
        return;
    (void)snprintf(entry->hash, sizeof entry->hash, "%s", hash);
    mr_mutex_lock(&registry->lock);
    entry->next = registry->verified;
    registry->verified = entry;
    mr_mutex_unlock(&registry->lock);
}

mr_status mr_registry_open_model(mr_registry *registry, const mr_registry_ref *ref,
                                 const char *purpose, mr_model **out, mr_error *err)
{
    *out = NULL;
    mr_status status = MR_OK;
    if (!is_verified(registry, ref->hash)) {
        status = check_hash(registry, ref->folder, ref->hash, err);
        if (status == MR_OK)
            note_verified(registry, ref->hash);
    }
    if (status == MR_OK)
        status = open_proven(registry, ref->folder, out, err);
    if (status == MR_OK)
        status = mr_registry_note_access(registry, ref, "read", purpose, err);
    if (status == MR_OK)
        return MR_OK;
    mr_error_prefix(err, "model %s/%llu", ref->name, (unsigned long long)ref->version);
    mr_model_close(*out);
    *out = NULL;
    return status;
}

mr_status mr_registry_verify(mr_registry *registry, const mr_registry_ref *ref, mr_error *err)
{
    mr_status status = prove(registry, ref->folder, ref->hash, NULL, NULL, err);
    if (status == MR_OK)
        return mr_registry_note_access(registry, ref, "verify", NULL, err);
    mr_error_prefix(err, "model %s/%llu", ref->name, (unsigned long long)ref->version);
    return status;
}
