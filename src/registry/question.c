/* question.c -- references, lists and history, asked of the catalogue after it caught up. */
#include "registry/registry_internal.h"

#include "base/assert.h"
#include "base/number.h"

#include <stdio.h>
#include <string.h>

/* ---- references ---- */

/* "name@alias", "name/7", "name@7" in its parts; alias "champion" when there is none. */
static bool split(const char *text, mr_registry_ref *out)
{
    *out = (mr_registry_ref){0};
    size_t size = strcspn(text, "@/");
    const char *rest = text[size] != '\0' ? text + size + 1 : "champion";
    if (size >= sizeof out->name || strlen(rest) >= sizeof out->alias)
        return false;
    (void)snprintf(out->name, sizeof out->name, "%.*s", (int)size, text);
    if (text[size] != '/' && !registry_is_number(rest)) {
        (void)snprintf(out->alias, sizeof out->alias, "%s", rest);
        return true;
    }
    int64_t version = 0;
    if (rest[0] == '0' || !registry_is_number(rest) ||
        !mr_number_is_int64(rest, strlen(rest), &version))
        return false;
    out->version = (uint64_t)version;
    return true;
}

bool mr_registry_is_ref(const char *text)
{
    mr_registry_ref ref;
    return split(text, &ref) && registry_check_name("the model", ref.name, NULL) == MR_OK &&
           (ref.version > 0 || registry_check_alias(ref.alias, NULL) == MR_OK);
}

mr_status registry_artifact_folder(const mr_registry *registry, const char *hash, char *out,
                                   mr_error *err)
{
    int size = snprintf(out, MR_PATH_MAX, "%s/%s", registry->artifacts, hash);
    return size < MR_PATH_MAX
               ? MR_OK
               : MR_FAIL(err, MR_INVALID, "the path of an artifact has %d bytes", size);
}

static mr_status list_names(mr_registry *registry, mr_bytes *out, mr_error *err)
{
    registry_statement s = registry_prepare(&registry->catalogue,
                                            "SELECT name FROM model ORDER BY name LIMIT 20", err);
    while (registry_step(&s))
        mr_bytes_printf(out, "%s%s", out->size > 0 ? ", " : "", registry_text(&s, 0));
    return registry_finish(&s);
}

static mr_status fail_no_model(mr_registry *registry, const char *name, mr_error *err)
{
    mr_bytes names = {0};
    mr_status status = list_names(registry, &names, err);
    const char *known = mr_bytes_text(&names);
    if (status == MR_OK)
        status = names.size > 0
                     ? MR_FAIL(err, MR_NOT_FOUND, "there is no model %s; there are %s", name,
                               known != NULL ? known : "others")
                     : MR_FAIL(err, MR_NOT_FOUND,
                               "there is no model %s, and no other; `millrace model push` brings "
                               "one",
                               name);
    mr_bytes_deinit(&names);
    return status;
}

static mr_status newest_version(mr_registry *registry, const char *name, uint64_t *out,
                                mr_error *err)
{
    registry_statement s = registry_prepare(
        &registry->catalogue, "SELECT ifnull(max(version), 0) FROM version WHERE name = ?1", err);
    registry_bind_text(&s, name);
    if (registry_step(&s))
        *out = (uint64_t)registry_int(&s, 0);
    return registry_finish(&s);
}

static mr_status fail_no_version(mr_registry *registry, const char *name, uint64_t version,
                                 mr_error *err)
{
    uint64_t newest = 0;
    MR_TRY(newest_version(registry, name, &newest, err));
    if (newest == 0)
        return fail_no_model(registry, name, err);
    return MR_FAIL(err, MR_NOT_FOUND, "%s has no version %llu; its newest is %llu", name,
                   (unsigned long long)version, (unsigned long long)newest);
}

mr_status registry_find_version(mr_registry *registry, const char *name, uint64_t version,
                                mr_registry_ref *out, bool *out_retired, mr_error *err)
{
    *out = (mr_registry_ref){.version = version};
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    registry_statement s = registry_prepare(
        &registry->catalogue,
        "SELECT event, hash, retired FROM version WHERE name = ?1 AND version = ?2", err);
    registry_bind_text(&s, name);
    registry_bind_int(&s, (int64_t)version);
    bool found = registry_step(&s);
    if (found) {
        out->event = (uint64_t)registry_int(&s, 0);
        (void)snprintf(out->hash, sizeof out->hash, "%s", registry_text(&s, 1));
        *out_retired = registry_int(&s, 2) != 0;
    }
    MR_TRY(registry_finish(&s));
    return found ? registry_artifact_folder(registry, out->hash, out->folder, err)
                 : fail_no_version(registry, name, version, err);
}

mr_status registry_find_alias(mr_registry *registry, const char *name, const char *alias,
                              uint64_t *out_version, uint64_t *out_event, mr_error *err)
{
    *out_version = *out_event = 0;
    registry_statement s =
        registry_prepare(&registry->catalogue,
                         "SELECT version, event FROM alias WHERE name = ?1 AND alias = ?2", err);
    registry_bind_text(&s, name);
    registry_bind_text(&s, alias);
    if (registry_step(&s)) {
        *out_version = (uint64_t)registry_int(&s, 0);
        *out_event = (uint64_t)registry_int(&s, 1);
    }
    return registry_finish(&s);
}

static mr_status fail_no_alias(mr_registry *registry, const char *name, const char *alias,
                               mr_error *err)
{
    uint64_t newest = 0;
    mr_bytes known = {0};
    MR_TRY(newest_version(registry, name, &newest, err));
    if (newest == 0)
        return fail_no_model(registry, name, err);
    registry_statement s =
        registry_prepare(&registry->catalogue,
                         "SELECT alias, version FROM alias WHERE name = ?1 ORDER BY alias", err);
    registry_bind_text(&s, name);
    while (registry_step(&s))
        mr_bytes_printf(&known, "%s%s (version %lld)", known.size > 0 ? ", " : "",
                        registry_text(&s, 0), (long long)registry_int(&s, 1));
    mr_status status = registry_finish(&s);
    const char *aliases = mr_bytes_text(&known);
    if (status == MR_OK)
        status = MR_FAIL(err, MR_NOT_FOUND,
                         "%s has no alias %s; its aliases are: %s; its newest version is %llu",
                         name, alias, known.size > 0 && aliases != NULL ? aliases : "none",
                         (unsigned long long)newest);
    mr_bytes_deinit(&known);
    return status;
}

static mr_status resolve(mr_registry *registry, mr_registry_ref *ref, mr_error *err)
{
    mr_registry_ref found;
    bool retired;
    uint64_t event = 0, version = ref->version;
    if (ref->alias[0] != '\0') {
        MR_TRY(registry_find_alias(registry, ref->name, ref->alias, &version, &event, err));
        if (version == 0)
            return fail_no_alias(registry, ref->name, ref->alias, err);
    }
    MR_TRY(registry_find_version(registry, ref->name, version, &found, &retired, err));
    memcpy(found.alias, ref->alias, sizeof found.alias);
    found.event = ref->alias[0] != '\0' ? event : found.event;
    *ref = found;
    return MR_OK;
}

mr_status mr_registry_resolve(mr_registry *registry, const char *text, mr_registry_ref *out,
                              mr_error *err)
{
    if (!mr_registry_is_ref(text))
        return MR_FAIL(err, MR_INVALID,
                       "'%.200s' names no model: NAME (its champion), NAME@ALIAS or NAME/VERSION",
                       text);
    (void)split(text, out);
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_catch_up(registry, err);
    if (status == MR_OK)
        status = resolve(registry, out, err);
    mr_mutex_unlock(&registry->lock);
    return status;
}

/* ---- lists ---- */

mr_status mr_registry_models(mr_registry *registry, mr_registry_model_fn each, void *context,
                             mr_error *err)
{
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_catch_up(registry, err);
    if (status == MR_OK) {
        registry_statement s = registry_prepare(
            &registry->catalogue,
            "SELECT name, description,"
            " (SELECT count(*) FROM version v WHERE v.name = m.name),"
            " (SELECT ifnull(max(version), 0) FROM version v WHERE v.name = m.name),"
            " ifnull((SELECT version FROM alias a WHERE a.name = m.name AND alias = 'champion'), "
            "0),"
            " created, changed FROM model m ORDER BY name",
            err);
        while (registry_step(&s)) {
            mr_registry_model model = {.name = registry_text(&s, 0),
                                       .description = registry_text(&s, 1),
                                       .version_count = (uint64_t)registry_int(&s, 2),
                                       .newest = (uint64_t)registry_int(&s, 3),
                                       .champion = (uint64_t)registry_int(&s, 4),
                                       .created_us = registry_int(&s, 5),
                                       .changed_us = registry_int(&s, 6)};
            registry_stop(&s, each(context, &model, err));
        }
        status = registry_finish(&s);
    }
    mr_mutex_unlock(&registry->lock);
    return status;
}

static mr_status each_version(mr_registry *registry, const char *name, uint64_t version,
                              mr_registry_version_fn each, void *context, mr_error *err)
{
    size_t count = 0;
    registry_statement s = registry_prepare(
        &registry->catalogue,
        "SELECT name, version, event, at, hash, who, why, description, family, facts, bytes,"
        " retired,"
        " (SELECT group_concat(alias, ' ') FROM (SELECT alias FROM alias a"
        "  WHERE a.name = v.name AND a.version = v.version ORDER BY alias)),"
        " (SELECT json_group_object(tag, value) FROM (SELECT tag, value FROM tag t"
        "  WHERE t.name = v.name AND t.version = v.version ORDER BY tag))"
        " FROM version v WHERE (?1 IS NULL OR name = ?1) AND (?2 = 0 OR version = ?2)"
        " ORDER BY name, version DESC",
        err);
    registry_bind_text(&s, name);
    registry_bind_int(&s, (int64_t)version);
    for (; registry_step(&s); count++) {
        mr_registry_version found = {.name = registry_text(&s, 0),
                                     .version = (uint64_t)registry_int(&s, 1),
                                     .event = (uint64_t)registry_int(&s, 2),
                                     .published_us = registry_int(&s, 3),
                                     .hash = registry_text(&s, 4),
                                     .who = registry_text(&s, 5),
                                     .why = registry_text(&s, 6),
                                     .description = registry_text(&s, 7),
                                     .family = registry_text(&s, 8),
                                     .facts = registry_text(&s, 9),
                                     .bytes = (uint64_t)registry_int(&s, 10),
                                     .retired = registry_int(&s, 11) != 0,
                                     .aliases = registry_text(&s, 12),
                                     .tags = registry_text(&s, 13)};
        registry_stop(&s, each(context, &found, err));
    }
    MR_TRY(registry_finish(&s));
    if (count > 0 || name == NULL)
        return MR_OK;
    return version == 0 ? fail_no_model(registry, name, err)
                        : fail_no_version(registry, name, version, err);
}

mr_status mr_registry_versions(mr_registry *registry, const char *name, mr_registry_version_fn each,
                               void *context, mr_error *err)
{
    return mr_registry_version_get(registry, name, 0, each, context, err);
}

mr_status mr_registry_version_get(mr_registry *registry, const char *name, uint64_t version,
                                  mr_registry_version_fn each, void *context, mr_error *err)
{
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_catch_up(registry, err);
    if (status == MR_OK)
        status = each_version(registry, name, version, each, context, err);
    mr_mutex_unlock(&registry->lock);
    return status;
}

/* ---- history ---- */

static mr_status each_event(mr_registry *registry, const char *name, mr_registry_event_fn each,
                            void *context, mr_error *err)
{
    registry_statement s = registry_prepare(
        &registry->catalogue,
        "SELECT offset, at, kind, name, version, alias, from_version, hash, who, why, detail"
        " FROM event WHERE ?1 IS NULL OR name = ?1 ORDER BY offset",
        err);
    registry_bind_text(&s, name);
    while (registry_step(&s)) {
        mr_registry_event event = {.offset = (uint64_t)registry_int(&s, 0),
                                   .at_us = registry_int(&s, 1),
                                   .kind = (mr_registry_kind)registry_int(&s, 2),
                                   .name = registry_text(&s, 3),
                                   .version = (uint64_t)registry_int(&s, 4),
                                   .alias = registry_text(&s, 5),
                                   .from_version = (uint64_t)registry_int(&s, 6),
                                   .hash = registry_text(&s, 7),
                                   .who = registry_text(&s, 8),
                                   .why = registry_text(&s, 9),
                                   .detail = registry_text(&s, 10)};
        registry_stop(&s, each(context, &event, err));
    }
    return registry_finish(&s);
}

mr_status mr_registry_history(mr_registry *registry, const char *name, mr_registry_event_fn each,
                              void *context, mr_error *err)
{
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_catch_up(registry, err);
    if (status == MR_OK)
        status = each_event(registry, name, each, context, err);
    mr_mutex_unlock(&registry->lock);
    return status;
}

static mr_status alias_at(mr_registry *registry, const char *name, const char *alias,
                          uint64_t before, uint64_t *out_version, mr_error *err)
{
    registry_statement s = registry_prepare(&registry->catalogue,
                                            "SELECT version FROM event WHERE name = ?1 AND"
                                            " kind = ?2 AND alias = ?3 AND offset < ?4"
                                            " ORDER BY offset DESC LIMIT 1",
                                            err);
    registry_bind_text(&s, name);
    registry_bind_int(&s, MR_REGISTRY_ALIAS);
    registry_bind_text(&s, alias);
    registry_bind_int(&s, (int64_t)MR_MIN(before, (uint64_t)INT64_MAX));
    *out_version = registry_step(&s) ? (uint64_t)registry_int(&s, 0) : 0;
    return registry_finish(&s);
}

mr_status mr_registry_alias_at(mr_registry *registry, const char *name, const char *alias,
                               uint64_t before, uint64_t *out_version, mr_error *err)
{
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_catch_up(registry, err);
    if (status == MR_OK)
        status = alias_at(registry, name, alias, before, out_version, err);
    mr_mutex_unlock(&registry->lock);
    return status;
}
