/* evidence.c -- what two versions say of themselves, compared fact by fact. */
#include "registry/registry_internal.h"

static const char compare_sql[] =
    "WITH a AS (SELECT fullkey k, atom v FROM json_tree((SELECT facts FROM version"
    "  WHERE name = ?1 AND version = ?2)) WHERE atom IS NOT NULL),"
    " b AS (SELECT fullkey k, atom v FROM json_tree((SELECT facts FROM version"
    "  WHERE name = ?3 AND version = ?4)) WHERE atom IS NOT NULL)"
    " SELECT replace(coalesce(a.k, b.k), '\"', ''), a.v, b.v, a.k IS NULL, b.k IS NULL"
    " FROM a FULL OUTER JOIN b ON a.k = b.k WHERE a.v IS NOT b.v ORDER BY 1";

static mr_status compare(mr_registry *registry, const mr_registry_ref *a, const mr_registry_ref *b,
                         mr_registry_fact_fn each, void *context, mr_error *err)
{
    registry_statement s = registry_prepare(&registry->catalogue, compare_sql, err);
    registry_bind_text(&s, a->name);
    registry_bind_int(&s, (int64_t)a->version);
    registry_bind_text(&s, b->name);
    registry_bind_int(&s, (int64_t)b->version);
    while (registry_step(&s))
        registry_stop(&s, each(context, registry_text(&s, 0),
                               registry_int(&s, 3) ? NULL : registry_text(&s, 1),
                               registry_int(&s, 4) ? NULL : registry_text(&s, 2), err));
    return registry_finish(&s);
}

mr_status mr_registry_compare(mr_registry *registry, const mr_registry_ref *a,
                              const mr_registry_ref *b, mr_registry_fact_fn each, void *context,
                              mr_error *err)
{
    mr_mutex_lock(&registry->lock);
    mr_status status = registry_catch_up(registry, err);
    if (status == MR_OK)
        status = compare(registry, a, b, each, context, err);
    mr_mutex_unlock(&registry->lock);
    return status;
}
