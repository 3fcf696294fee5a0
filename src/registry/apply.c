/* apply.c -- one event to the tables of the catalogue. What does not fit is kept as an event and changes nothing
 * else: the topic is the truth, also where it is odd. */
#include "registry/catalogue.h"

#include "base/assert.h"

static mr_status apply_record(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    registry_statement s = registry_prepare(
        c, "INSERT INTO event VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", err);
    registry_bind_int(&s, (int64_t)e->offset);
    registry_bind_int(&s, e->at_us);
    registry_bind_int(&s, (int64_t)e->kind);
    registry_bind_text(&s, e->name);
    registry_bind_int(&s, (int64_t)e->version);
    registry_bind_text(&s, e->alias);
    registry_bind_int(&s, (int64_t)e->from_version);
    registry_bind_text(&s, e->hash);
    registry_bind_text(&s, e->who);
    registry_bind_text(&s, e->why);
    registry_bind_text(&s, e->detail);
    return registry_run(&s);
}

static mr_status apply_model(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    registry_statement s = registry_prepare(
        c, "INSERT INTO model VALUES(?1, '', ?2, ?2) ON CONFLICT(name) DO UPDATE SET changed = ?2",
        err);
    registry_bind_text(&s, e->name);
    registry_bind_int(&s, e->at_us);
    return registry_run(&s);
}

static mr_status apply_publish(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    registry_statement s =
        registry_prepare(c,
                         "INSERT OR IGNORE INTO version SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7,"
                         " json_extract(d, '$.description'), json_extract(d, '$.family'),"
                         " json_extract(d, '$.facts'), json_extract(d, '$.bytes'), 0"
                         " FROM (SELECT iif(json_valid(?8), ?8, '{}') AS d)",
                         err);
    registry_bind_text(&s, e->name);
    registry_bind_int(&s, (int64_t)e->version);
    registry_bind_int(&s, (int64_t)e->offset);
    registry_bind_int(&s, e->at_us);
    registry_bind_text(&s, e->hash);
    registry_bind_text(&s, e->who);
    registry_bind_text(&s, e->why);
    registry_bind_text(&s, e->detail);
    return registry_run(&s);
}

static mr_status apply_alias(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    registry_statement s =
        registry_prepare(c,
                         e->version == 0 ? "DELETE FROM alias WHERE name = ?1 AND alias = ?2"
                                         : "INSERT OR REPLACE INTO alias VALUES(?1, ?2, ?3, ?4)",
                         err);
    registry_bind_text(&s, e->name);
    registry_bind_text(&s, e->alias);
    if (e->version > 0) {
        registry_bind_int(&s, (int64_t)e->version);
        registry_bind_int(&s, (int64_t)e->offset);
    }
    return registry_run(&s);
}

static mr_status apply_tag(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    static const char *const steps[] = {
        "DELETE FROM tag WHERE name = ?1 AND version = ?2 AND json_valid(?3)"
        " AND tag = json_extract(iif(json_valid(?3), ?3, '{}'), '$.tag')",
        "INSERT OR REPLACE INTO tag SELECT ?1, ?2, json_extract(d, '$.tag'),"
        " json_extract(d, '$.value') FROM (SELECT iif(json_valid(?3), ?3, '{}') AS d)"
        " WHERE json_extract(d, '$.value') IS NOT NULL AND json_extract(d, '$.tag') IS NOT NULL"};
    for (size_t i = 0; i < MR_COUNT_OF(steps); i++) {
        registry_statement s = registry_prepare(c, steps[i], err);
        registry_bind_text(&s, e->name);
        registry_bind_int(&s, (int64_t)e->version);
        registry_bind_text(&s, e->detail);
        MR_TRY(registry_run(&s));
    }
    return MR_OK;
}

static mr_status apply_describe(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    registry_statement s =
        registry_prepare(c,
                         "UPDATE model SET description = json_extract(?2, '$.description')"
                         " WHERE name = ?1 AND json_valid(?2)",
                         err);
    registry_bind_text(&s, e->name);
    registry_bind_text(&s, e->detail);
    return registry_run(&s);
}

static mr_status apply_retire(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    registry_statement s =
        registry_prepare(c, "UPDATE version SET retired = 1 WHERE name = ?1 AND version = ?2", err);
    registry_bind_text(&s, e->name);
    registry_bind_int(&s, (int64_t)e->version);
    return registry_run(&s);
}

static mr_status apply_rollout(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    mr_rollout_action action;
    if (!mr_rollout_action_parse(e->alias, &action))
        return MR_OK;
    registry_statement s = registry_prepare(
        c,
        action == MR_ROLLOUT_SET
            ? "INSERT OR REPLACE INTO rollout"
              " VALUES(?1, ?2, ?2, ?3, ?3, ?4, ?5, '', ?5, ?6, ?7)"
            : "UPDATE rollout SET last_event = ?2, last_at = ?3, action = ?4, detail = ?5,"
              " who = ?6, why = ?7, step = iif(?4 = 'step', ?5, step) WHERE pipeline = ?1",
        err);
    registry_bind_text(&s, e->name);
    registry_bind_int(&s, (int64_t)e->offset);
    registry_bind_int(&s, e->at_us);
    registry_bind_text(&s, e->alias);
    registry_bind_text(&s, e->detail);
    registry_bind_text(&s, e->who);
    registry_bind_text(&s, e->why);
    return registry_run(&s);
}

static mr_status apply_kind(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    switch (e->kind) {
    case MR_REGISTRY_PUBLISH:
        return apply_publish(c, e, err);
    case MR_REGISTRY_ALIAS:
        return apply_alias(c, e, err);
    case MR_REGISTRY_TAG:
        return apply_tag(c, e, err);
    case MR_REGISTRY_DESCRIBE:
        return apply_describe(c, e, err);
    case MR_REGISTRY_RETIRE:
        return apply_retire(c, e, err);
    case MR_REGISTRY_ROLLOUT:
        return apply_rollout(c, e, err);
    case MR_REGISTRY_KIND_COUNT: /* of a newer program */
        break;
    }
    return MR_OK;
}

static mr_status advance(registry_catalogue *c, uint64_t next, mr_error *err)
{
    registry_statement s =
        registry_prepare(c, "UPDATE meta SET value = ?1 WHERE key = 'applied'", err);
    registry_bind_int(&s, (int64_t)next);
    return registry_run(&s);
}

mr_status registry_catalogue_apply(registry_catalogue *c, const mr_registry_event *e, mr_error *err)
{
    bool about_model = e->kind != MR_REGISTRY_ROLLOUT && e->kind != MR_REGISTRY_KIND_COUNT;
    MR_TRY(apply_record(c, e, err));
    if (about_model)
        MR_TRY(apply_model(c, e, err));
    MR_TRY(apply_kind(c, e, err));
    return advance(c, e->offset + 1, err);
}
