/* catalogue.h -- what the events amount to, in SQLite: tables to ask, made by applying events in their order.
 *
 *   meta ....... applied: offset of the next event to apply
 *   event ...... every event, by offset
 *   model, version, alias, tag, rollout: what is so now
 *
 * (1) The tables are a function of the events below `applied`: both change in one transaction.
 * (2) A file that is damaged, or of another layout, is removed and begins anew: nothing is lost that the topic has not.
 *
 * Statements remember their first failure: prepare, bind, step, and ask once in `registry_finish`.
 * Thread: the registry's lock. */
#ifndef MR_REGISTRY_CATALOGUE_H
#define MR_REGISTRY_CATALOGUE_H

#include "registry/registry.h"
#include "registry/vfs.h"

typedef struct registry_catalogue {
    mr_vfs vfs;
    sqlite3 *db;
    char path[MR_PATH_MAX];
} registry_catalogue;

mr_status registry_catalogue_open(registry_catalogue *catalogue, mr_fs *fs, mr_clock *clock,
                                  const char *path, mr_error *err);
void registry_catalogue_close(registry_catalogue *catalogue); /* a zeroed struct is allowed */
/* Removes the file and opens an empty one. */
mr_status registry_catalogue_renew(registry_catalogue *catalogue, mr_error *err);

mr_status registry_catalogue_begin(registry_catalogue *catalogue, mr_error *err);
mr_status registry_catalogue_commit(registry_catalogue *catalogue, mr_error *err);
void registry_catalogue_undo(registry_catalogue *catalogue); /* nothing to do when nothing began */

mr_status registry_catalogue_applied(registry_catalogue *catalogue, uint64_t *out, mr_error *err);
/* In a transaction; the event's offset is the one that is due. */
mr_status registry_catalogue_apply(registry_catalogue *catalogue, const mr_registry_event *event,
                                   mr_error *err);
/* In a transaction: as if no event had been applied. */
mr_status registry_catalogue_clear(registry_catalogue *catalogue, mr_error *err);

/* Whether the text is a JSON object. */
bool registry_is_json_object(registry_catalogue *catalogue, const char *text);

/* ---- statements ---- */

typedef struct registry_statement {
    registry_catalogue *catalogue;
    sqlite3_stmt *handle;
    mr_error *err;
    mr_status status;
    int bound;
} registry_statement;

registry_statement registry_prepare(registry_catalogue *catalogue, const char *sql, mr_error *err);
/* The next parameter; the text is lent until finish, NULL is NULL. */
void registry_bind_text(registry_statement *statement, const char *text);
void registry_bind_int(registry_statement *statement, int64_t value);
bool registry_step(registry_statement *statement); /* true: a row is there */
const char *registry_text(registry_statement *statement,
                          int column); /* "" for NULL; until the next step */
int64_t registry_int(registry_statement *statement, int column);
/* A status of the caller's own ends the stepping. */
void registry_stop(registry_statement *statement, mr_status status);
mr_status registry_finish(registry_statement *statement);
/* Steps to the end and finishes. */
mr_status registry_run(registry_statement *statement);

#endif
