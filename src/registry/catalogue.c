/* catalogue.c -- the catalogue's file, its layout, and statements. */
#include "registry/catalogue.h"

#include "base/assert.h"
#include "base/notice.h"

#include <stdio.h>
#include <string.h>

#define LAYOUT 1 /* of the tables below; another one is made anew from the events */

static const char layout_sql[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE event(offset INTEGER PRIMARY KEY, at INTEGER, kind INTEGER, name TEXT,"
    " version INTEGER, alias TEXT, from_version INTEGER, hash TEXT, who TEXT, why TEXT, detail "
    "TEXT);"
    "CREATE INDEX event_name ON event(name, offset);"
    "CREATE TABLE model(name TEXT PRIMARY KEY, description TEXT, created INTEGER, changed INTEGER)"
    " WITHOUT ROWID;"
    "CREATE TABLE version(name TEXT, version INTEGER, event INTEGER, at INTEGER, hash TEXT, who "
    "TEXT,"
    " why TEXT, description TEXT, family TEXT, facts TEXT, bytes INTEGER, retired INTEGER,"
    " PRIMARY KEY(name, version)) WITHOUT ROWID;"
    "CREATE INDEX version_hash ON version(hash);"
    "CREATE TABLE alias(name TEXT, alias TEXT, version INTEGER, event INTEGER,"
    " PRIMARY KEY(name, alias)) WITHOUT ROWID;"
    "CREATE TABLE tag(name TEXT, version INTEGER, tag TEXT, value TEXT,"
    " PRIMARY KEY(name, version, tag)) WITHOUT ROWID;"
    "CREATE TABLE rollout(pipeline TEXT PRIMARY KEY, set_event INTEGER, last_event INTEGER,"
    " set_at INTEGER, last_at INTEGER, action TEXT, spec TEXT, step TEXT, detail TEXT, who TEXT,"
    " why TEXT) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('layout', 1), ('applied', 0);";

/* ---- statements ---- */

static mr_status status_of(const registry_catalogue *catalogue, int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return MR_BUSY;
    case SQLITE_FULL:
        return MR_FULL;
    case SQLITE_NOMEM:
        return MR_NO_MEMORY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return MR_CORRUPT;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return catalogue->vfs.failed.status != MR_OK ? catalogue->vfs.failed.status : MR_IO;
    default:
        return MR_INTERNAL;
    }
}

static mr_status fail(const registry_catalogue *catalogue, int code, mr_error *err)
{
    mr_status status = status_of(catalogue, code);
    bool file = catalogue->vfs.failed.text[0] != '\0';
    return MR_FAIL(err, status, "the registry's catalogue %s: %s%s%s", catalogue->path,
                   catalogue->db != NULL ? sqlite3_errmsg(catalogue->db) : sqlite3_errstr(code),
                   file ? ": " : "", file ? catalogue->vfs.failed.text : "");
}

registry_statement registry_prepare(registry_catalogue *catalogue, const char *sql, mr_error *err)
{
    registry_statement statement = {.catalogue = catalogue, .err = err};
    catalogue->vfs.failed = (mr_error){0};
    int code = sqlite3_prepare_v2(catalogue->db, sql, -1, &statement.handle, NULL);
    if (code != SQLITE_OK)
        statement.status = fail(catalogue, code, err);
    return statement;
}

static void note(registry_statement *statement, int code)
{
    if (code != SQLITE_OK && statement->status == MR_OK)
        statement->status = fail(statement->catalogue, code, statement->err);
}

void registry_bind_text(registry_statement *statement, const char *text)
{
    statement->bound++;
    if (statement->status == MR_OK)
        note(statement,
             sqlite3_bind_text(statement->handle, statement->bound, text, -1, SQLITE_STATIC));
}

void registry_bind_int(registry_statement *statement, int64_t value)
{
    statement->bound++;
    if (statement->status == MR_OK)
        note(statement, sqlite3_bind_int64(statement->handle, statement->bound, value));
}

bool registry_step(registry_statement *statement)
{
    if (statement->status != MR_OK)
        return false;
    int code = sqlite3_step(statement->handle);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        note(statement, code);
    return code == SQLITE_ROW;
}

const char *registry_text(registry_statement *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement->handle, column);
    return text != NULL ? (const char *)text : "";
}

int64_t registry_int(registry_statement *statement, int column)
{
    return sqlite3_column_int64(statement->handle, column);
}

void registry_stop(registry_statement *statement, mr_status status)
{
    if (statement->status == MR_OK)
        statement->status = status;
}

mr_status registry_finish(registry_statement *statement)
{
    (void)sqlite3_finalize(statement->handle);
    statement->handle = NULL;
    return statement->status;
}

mr_status registry_run(registry_statement *statement)
{
    while (registry_step(statement))
        ;
    return registry_finish(statement);
}

static mr_status execute(registry_catalogue *catalogue, const char *sql, mr_error *err)
{
    catalogue->vfs.failed = (mr_error){0};
    int code = sqlite3_exec(catalogue->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? MR_OK : fail(catalogue, code, err);
}

/* ---- birth and death ---- */

static mr_status read_meta(registry_catalogue *catalogue, const char *key, int64_t *out,
                           mr_error *err)
{
    registry_statement s =
        registry_prepare(catalogue, "SELECT value FROM meta WHERE key = ?1", err);
    registry_bind_text(&s, key);
    bool found = registry_step(&s);
    *out = found ? registry_int(&s, 0) : -1;
    MR_TRY(registry_finish(&s));
    return found ? MR_OK
                 : MR_FAIL(err, MR_CORRUPT, "the registry's catalogue %s does not say its %s",
                           catalogue->path, key);
}

/* In a transaction, so that two processes that begin at once make one layout. */
static mr_status make_layout(registry_catalogue *catalogue, mr_error *err)
{
    int64_t tables = 0, layout = 0;
    registry_statement s = registry_prepare(catalogue, "SELECT count(*) FROM sqlite_schema", err);
    if (registry_step(&s))
        tables = registry_int(&s, 0);
    MR_TRY(registry_finish(&s));
    if (tables == 0)
        return execute(catalogue, layout_sql, err);
    MR_TRY(read_meta(catalogue, "layout", &layout, err));
    if (layout != LAYOUT)
        return MR_FAIL(err, MR_CORRUPT, "the registry's catalogue %s has layout %lld, not %d",
                       catalogue->path, (long long)layout, LAYOUT);
    return MR_OK;
}

static mr_status open_file(registry_catalogue *catalogue, mr_error *err)
{
    catalogue->vfs.failed = (mr_error){0};
    int code = sqlite3_open_v2(catalogue->path, &catalogue->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                               catalogue->vfs.name);
    if (code != SQLITE_OK)
        return fail(catalogue, code, err);
    (void)sqlite3_busy_timeout(catalogue->db, MR_REGISTRY_WAIT_MS);
    MR_TRY(execute(catalogue,
                   "PRAGMA temp_store = MEMORY; PRAGMA journal_mode = DELETE;"
                   "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF",
                   err));
    MR_TRY(registry_catalogue_begin(catalogue, err));
    mr_status status = make_layout(catalogue, err);
    if (status == MR_OK)
        return registry_catalogue_commit(catalogue, err);
    registry_catalogue_undo(catalogue);
    return status;
}

static void close_file(registry_catalogue *catalogue)
{
    if (catalogue->db != NULL)
        (void)sqlite3_close(catalogue->db);
    catalogue->db = NULL;
}

mr_status registry_catalogue_renew(registry_catalogue *catalogue, mr_error *err)
{
    char journal[MR_PATH_MAX + 16];
    mr_fs *fs = catalogue->vfs.fs;
    close_file(catalogue);
    (void)snprintf(journal, sizeof journal, "%s-journal", catalogue->path);
    mr_status status = mr_fs_remove(fs, catalogue->path, err);
    if (status == MR_OK || status == MR_NOT_FOUND)
        status = mr_fs_remove(fs, journal, err);
    if (status != MR_OK && status != MR_NOT_FOUND)
        return status;
    return open_file(catalogue, err);
}

mr_status registry_catalogue_open(registry_catalogue *catalogue, mr_fs *fs, mr_clock *clock,
                                  const char *path, mr_error *err)
{
    *catalogue = (registry_catalogue){0};
    (void)snprintf(catalogue->path, sizeof catalogue->path, "%s", path);
    MR_TRY(mr_vfs_init(&catalogue->vfs, fs, clock, err));
    mr_status status = open_file(catalogue, err);
    if (status != MR_CORRUPT)
        return status;
    mr_notice_failure(MR_NOTICE_WARN, "registry", err, "catalogue_renewed path=%s", path);
    mr_error_clear(err);
    return registry_catalogue_renew(catalogue, err);
}

void registry_catalogue_close(registry_catalogue *catalogue)
{
    close_file(catalogue);
    mr_vfs_deinit(&catalogue->vfs);
}

/* ---- transactions ---- */

mr_status registry_catalogue_begin(registry_catalogue *catalogue, mr_error *err)
{
    return execute(catalogue, "BEGIN IMMEDIATE", err);
}

mr_status registry_catalogue_commit(registry_catalogue *catalogue, mr_error *err)
{
    mr_status status = execute(catalogue, "COMMIT", err);
    if (status != MR_OK)
        registry_catalogue_undo(catalogue);
    return status;
}

void registry_catalogue_undo(registry_catalogue *catalogue)
{
    if (catalogue->db != NULL && sqlite3_get_autocommit(catalogue->db) == 0)
        (void)sqlite3_exec(catalogue->db, "ROLLBACK", NULL, NULL, NULL);
}

mr_status registry_catalogue_applied(registry_catalogue *catalogue, uint64_t *out, mr_error *err)
{
    int64_t value = 0;
    MR_TRY(read_meta(catalogue, "applied", &value, err));
    *out = (uint64_t)value;
    return MR_OK;
}

mr_status registry_catalogue_clear(registry_catalogue *catalogue, mr_error *err)
{
    return execute(catalogue,
                   "DELETE FROM event; DELETE FROM model; DELETE FROM version; DELETE FROM alias;"
                   "DELETE FROM tag; DELETE FROM rollout;"
                   "UPDATE meta SET value = 0 WHERE key = 'applied'",
                   err);
}

bool registry_is_json_object(registry_catalogue *catalogue, const char *text)
{
    registry_statement s = registry_prepare(
        catalogue, "SELECT json_valid(?1) AND iif(json_valid(?1), json_type(?1), '') = 'object'",
        NULL);
    registry_bind_text(&s, text);
    bool is = registry_step(&s) && registry_int(&s, 0) != 0;
    return registry_finish(&s) == MR_OK && is;
}
