/* registry.h -- models as data: names, versions, aliases, rollouts, and who did what to them.
 *
 *   artifact ... an immutable folder <home>/registry/artifacts/<hash>, see model/artifact.h
 *   version .... name/7: an artifact under a name; 1, 2, ...; never changed, never used twice
 *   alias ...... name@champion: a movable pointer to a version, with all its history
 *   rollout .... what a pipeline does with versions, as text that the pipeline understands; this room keeps it
 *   event ...... one change of the above: a record of the topic system/registry/events
 *   access ..... who read, exported, imported or scored with an artifact: a record of system/registry/access
 *
 * (1) The events are the truth. A change is an event that is durable first; then it is applied to the catalogue
 *     (SQLite, <home>/registry/catalogue.db), which remembers how far it has come, catches up when it is opened and
 *     before every answer, and is made anew from the events when it is lost or damaged.
 * (2) An artifact is complete and durable before the event that names it.
 * (3) One process changes at a time: it holds the write lock of the topic from before it looks until its event is
 *     durable, and for no longer. Others wait for it, at most MR_REGISTRY_WAIT_MS.
 * (4) A version whose artifact does not have its hash, does not open, or does not reproduce its golden rows is
 *     neither published nor opened.
 *
 * Thread: any, one at a time inside (a lock of its own). Texts lent to callbacks are valid during the call, in which
 * the registry must not be called. */
#ifndef MR_REGISTRY_REGISTRY_H
#define MR_REGISTRY_REGISTRY_H

#include "log/log.h"
#include "model/model.h"

#define MR_REGISTRY_EVENTS "system/registry/events"
#define MR_REGISTRY_ACCESS "system/registry/access"

#define MR_REGISTRY_NAME_MAX                                                                       \
    (100 + 1) /* of names, aliases and tags: 1..100 of [a-zA-Z0-9._-], with terminator */
#define MR_REGISTRY_HASH_MAX   (64 + 1) /* SHA-256 in hexadecimal, with terminator */
#define MR_REGISTRY_DETAIL_MAX (1u << 20)
#define MR_REGISTRY_WAIT_MS    5000

typedef struct mr_registry mr_registry;

/* ---- birth and death ---- */

typedef struct mr_registry_options {
    mr_fs *fs;
    mr_clock *clock;
    mr_log *log;           /* read through it; changes go through one of their own, see (3) */
    const char *home;      /* all four are borrowed and outlive the registry */
    const char *principal; /* who acts: "ann@example.org"; copied */
    const char
        *process; /* what acts: "millrace run cards, process 4711"; copied; NULL: nothing is said */
} mr_registry_options;

/* Makes what is missing (folders, topics, catalogue) and catches up. */
mr_status mr_registry_open(const mr_registry_options *options, mr_registry **out, mr_error *err);
void mr_registry_close(mr_registry *registry); /* NULL is allowed */

/* ---- references: "name" (its champion), "name@alias", "name/7" or "name@7" ---- */

typedef struct mr_registry_ref {
    char name[MR_REGISTRY_NAME_MAX];
    char alias[MR_REGISTRY_NAME_MAX]; /* "": the version was named */
    uint64_t version;
    uint64_t event; /* offset of the event that made it so: of the alias, or of the version */
    char hash[MR_REGISTRY_HASH_MAX];
    char folder[MR_PATH_MAX]; /* of the artifact */
} mr_registry_ref;

/* Whether text can be a reference: no '/' but before a number at the end, only letters of names. A path such as
 * "models/x" or "x.json" may look like one: what exists as a file should win. */
bool mr_registry_is_ref(const char *text);
/* MR_INVALID: no reference. MR_NOT_FOUND says what there is instead. */
mr_status mr_registry_resolve(mr_registry *registry, const char *text, mr_registry_ref *out,
                              mr_error *err);
/* Opens the model of a version: checks its hash (once per version and registry), its golden rows, and records the
 * access as `purpose` ("score", "run cards", ...). MR_CORRUPT names file and place. */
mr_status mr_registry_open_model(mr_registry *registry, const mr_registry_ref *ref,
                                 const char *purpose, mr_model **out, mr_error *err);

/* ---- events ---- */

/*  X(NAME, text, what it says) */
#define MR_REGISTRY_KIND_MAP(X)                                                                    \
    X(PUBLISH, "publish", "a version came to be; detail has its facts")                            \
    X(ALIAS, "alias", "an alias moved, from_version (0: it was nowhere) to version (0: removed)")  \
    X(TAG, "tag", "a tag of a version was set: detail {\"tag\", \"value\" (null: removed)}")       \
    X(DESCRIBE, "describe", "the description of a name: detail {\"description\"}")                 \
    X(RETIRE, "retire", "a version is not to be used for anything new")                            \
    X(ROLLOUT, "rollout", "name is a pipeline; detail {\"action\", ...}, see below")

/* The texts are what is stored. */
typedef enum mr_registry_kind {
#define X(name, text, what) MR_REGISTRY_##name,
    MR_REGISTRY_KIND_MAP(X)
#undef X
        MR_REGISTRY_KIND_COUNT
} mr_registry_kind;

const char *mr_registry_kind_text(mr_registry_kind kind);

typedef struct mr_registry_event {
    uint64_t offset;
    int64_t at_us;
    mr_registry_kind kind;
    const char *name;  /* of the model, or of the pipeline */
    uint64_t version;  /* 0: none */
    const char *alias; /* "": none; of a rollout: the action */
    uint64_t from_version;
    const char *hash; /* "": none */
    const char *who;
    const char *why;    /* "": no reason was given */
    const char *detail; /* JSON, "" if there is nothing more to say */
} mr_registry_event;

typedef mr_status (*mr_registry_event_fn)(void *context, const mr_registry_event *event,
                                          mr_error *err);

/* One past the last event that is visible now: cheap enough to ask between micro-batches (it costs about one look at
 * a file's size). Compare with what you have seen. */
uint64_t mr_registry_end(mr_registry *registry);
/* Calls `each` for every event from `offset` on; *out_next (may be NULL) is where to go on. Stops at the first
 * failure of `each`, and returns it; *out_next is then the event that failed. */
mr_status mr_registry_follow(mr_registry *registry, uint64_t offset, mr_registry_event_fn each,
                             void *context, uint64_t *out_next, mr_error *err);

/* ---- changes ---- */

typedef struct mr_registry_publish_options {
    const char *description; /* of the version; NULL: what model.yaml says */
    const char *alias;       /* moved to it with the same breath (a second event); NULL: none */
    const char *why;         /* may be NULL */
    const char *source;      /* where it came from, for the record of accesses; NULL: `folder` */
} mr_registry_publish_options;

/* Takes a copy of the artifact folder at `folder` (of files->fs) and gives it the next version of `name`. A folder
 * that is already a version of that name changes nothing: *out names it, *out_is_new is false. MR_CORRUPT, MR_INVALID:
 * refused, see (4). */
mr_status mr_registry_publish(mr_registry *registry, const char *name, const char *folder,
                              const mr_registry_publish_options *options, mr_registry_ref *out,
                              bool *out_is_new, mr_error *err);
/* Moves an alias to a version; version 0 removes it. MR_CONFLICT: the version is retired. MR_EXISTS: it is there
 * already. expected_from: refused with MR_CONFLICT unless the alias is there now (0: nowhere; MR_REGISTRY_ANY). */
#define MR_REGISTRY_ANY UINT64_MAX
mr_status mr_registry_set_alias(mr_registry *registry, const char *name, const char *alias,
                                uint64_t version, uint64_t expected_from, const char *why,
                                mr_error *err);
/* Moves an alias back to where it was before its last move. Repeated, it goes further back, not forth again. */
mr_status mr_registry_rollback(mr_registry *registry, const char *name, const char *alias,
                               const char *why, mr_registry_ref *out, mr_error *err);
/* value NULL removes the tag. */
mr_status mr_registry_set_tag(mr_registry *registry, const char *name, uint64_t version,
                              const char *tag, const char *value, const char *why, mr_error *err);
mr_status mr_registry_describe(mr_registry *registry, const char *name, const char *text,
                               const char *why, mr_error *err);
/* MR_CONFLICT when an alias points to it. */
mr_status mr_registry_retire(mr_registry *registry, const char *name, uint64_t version,
                             const char *why, mr_error *err);

/* ---- rollouts ----
 *
 * An event with name = pipeline, alias = action and a JSON object as detail. `set` begins a rollout: its detail is the
 * specification; the others speak of the one that is set. The catalogue keeps the last of each pipeline. */

/*  X(NAME, text, state after it) */
#define MR_ROLLOUT_ACTION_MAP(X)                                                                   \
    X(SET, "set", "running")                                                                       \
    X(STEP, "step", "running")                                                                     \
    X(PAUSE, "pause", "paused")                                                                    \
    X(RESUME, "resume", "running")                                                                 \
    X(ABORT, "abort", "aborted")                                                                   \
    X(FINISH, "finish", "finished")

typedef enum mr_rollout_action {
#define X(name, text, state) MR_ROLLOUT_##name,
    MR_ROLLOUT_ACTION_MAP(X)
#undef X
        MR_ROLLOUT_ACTION_COUNT
} mr_rollout_action;

bool mr_rollout_action_parse(const char *text, mr_rollout_action *out);
const char *mr_rollout_action_text(mr_rollout_action action);
const char *mr_rollout_state_text(mr_rollout_action last); /* "running", "paused", ... */

typedef struct mr_registry_rollout {
    uint64_t set_event;  /* offset of its `set`: what identifies it */
    uint64_t last_event; /* offset of the newest event about it */
    int64_t set_us, last_us;
    mr_rollout_action last; /* gives the state */
    const char *spec;       /* detail of `set` */
    const char *step;       /* detail of the last `step`; "" : none yet */
    const char *detail;     /* of the newest event */
    const char *who;        /* of the newest event */
    const char *why;
} mr_registry_rollout;

/* Begins a rollout; one that is running or paused is replaced. */
mr_status mr_registry_set_rollout(mr_registry *registry, const char *pipeline,
                                  const char *spec_json, const char *why, uint64_t *out_event,
                                  mr_error *err);
/* Any other action. MR_NOT_FOUND: there is no rollout. MR_CONFLICT: it has ended, or is not the one that
 * expected_set_event (MR_REGISTRY_ANY) names. detail_json may be NULL. */
mr_status mr_registry_change_rollout(mr_registry *registry, const char *pipeline,
                                     mr_rollout_action action, uint64_t expected_set_event,
                                     const char *detail_json, const char *why, uint64_t *out_event,
                                     mr_error *err);
/* The newest rollout of a pipeline, its texts in the arena. MR_NOT_FOUND: there was none. */
mr_status mr_registry_get_rollout(mr_registry *registry, const char *pipeline, mr_arena *arena,
                                  mr_registry_rollout *out, mr_error *err);

/* ---- questions: the catalogue, caught up ---- */

typedef struct mr_registry_model {
    const char *name;
    const char *description;
    uint64_t version_count;
    uint64_t newest;
    uint64_t champion; /* 0: none */
    int64_t created_us, changed_us;
} mr_registry_model;

typedef struct mr_registry_version {
    const char *name;
    uint64_t version;
    uint64_t event;
    int64_t published_us;
    const char *hash;
    const char *who;
    const char *why;
    const char *description;
    const char *family;
    const char *facts;   /* JSON: what model.yaml says */
    const char *aliases; /* those that point here, separated by blanks */
    const char *tags;    /* JSON object */
    uint64_t bytes;      /* of the artifact */
    bool retired;
} mr_registry_version;

typedef mr_status (*mr_registry_model_fn)(void *context, const mr_registry_model *model,
                                          mr_error *err);
typedef mr_status (*mr_registry_version_fn)(void *context, const mr_registry_version *version,
                                            mr_error *err);

/* By name. */
mr_status mr_registry_models(mr_registry *registry, mr_registry_model_fn each, void *context,
                             mr_error *err);
/* Of one name (NULL: all), newest first. MR_NOT_FOUND: no such name. */
mr_status mr_registry_versions(mr_registry *registry, const char *name, mr_registry_version_fn each,
                               void *context, mr_error *err);
mr_status mr_registry_version_get(mr_registry *registry, const char *name, uint64_t version,
                                  mr_registry_version_fn each, void *context, mr_error *err);
/* Events of one model or pipeline (NULL: all), oldest first. */
mr_status mr_registry_history(mr_registry *registry, const char *name, mr_registry_event_fn each,
                              void *context, mr_error *err);
/* Where an alias points, at offset `before` of the events (MR_LOG_OFFSET_NONE: now). 0: nowhere. */
mr_status mr_registry_alias_at(mr_registry *registry, const char *name, const char *alias,
                               uint64_t before, uint64_t *out_version, mr_error *err);

/* ---- access ---- */

typedef struct mr_registry_access {
    uint64_t offset;
    int64_t at_us;
    const char *action; /* "read", "export", "import", "publish", "score", "verify", ... */
    const char *name;
    uint64_t version;
    const char *hash;
    const char *who;
    const char *process;
    const char *detail; /* where to, where from, what for */
} mr_registry_access;

typedef mr_status (*mr_registry_access_fn)(void *context, const mr_registry_access *access,
                                           mr_error *err);

/* Durable when it returns. */
mr_status mr_registry_note_access(mr_registry *registry, const mr_registry_ref *ref,
                                  const char *action, const char *detail, mr_error *err);
/* Oldest first; of one name (NULL: all) and version (0: all). */
mr_status mr_registry_accesses(mr_registry *registry, const char *name, uint64_t version,
                               mr_registry_access_fn each, void *context, mr_error *err);

/* ---- what the facts say ---- */

/* Every fact (path as "$.parameters.eta", value as text) that differs; a or b NULL: that version does not say. */
typedef mr_status (*mr_registry_fact_fn)(void *context, const char *path, const char *a,
                                         const char *b, mr_error *err);
mr_status mr_registry_compare(mr_registry *registry, const mr_registry_ref *a,
                              const mr_registry_ref *b, mr_registry_fact_fn each, void *context,
                              mr_error *err);

/* ---- moving and mending ---- */

/* Writes the version as one file, NAME-VERSION.tar.zst by custom; see bundle.h. */
mr_status mr_registry_export(mr_registry *registry, const mr_registry_ref *ref, const char *path,
                             mr_error *err);
/* Publishes what such a file holds; `name` NULL: the name it was exported under. */
mr_status mr_registry_import(mr_registry *registry, const char *path, const char *name,
                             const mr_registry_publish_options *options, mr_registry_ref *out,
                             bool *out_is_new, mr_error *err);
/* Reads a version whole: hash, model, golden rows. MR_CORRUPT says what is wrong. */
mr_status mr_registry_verify(mr_registry *registry, const mr_registry_ref *ref, mr_error *err);
/* Forgets the catalogue and makes it anew from the events. */
mr_status mr_registry_rebuild(mr_registry *registry, mr_error *err);

#endif
