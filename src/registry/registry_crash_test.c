/* registry_crash_test.c -- random changes against an obvious model, in many lives that end by a crash, a fault or a
 * close.
 *
 * Promised, and checked after every life, on a disk that is fair again:
 *   (1) a change that was acknowledged is there; one that was under way is there whole or not at all;
 *   (2) a change succeeds or is refused as the model says;
 *   (3) the catalogue is what a replay of the events gives;
 *   (4) every version there is can be opened and proves itself. */
#include "registry/registry_test.h"
#include "test/test.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES    2
#define ALIASES  2
#define KINDS    4
#define VERSIONS (KINDS + 1) /* 1..KINDS: each kind is published once a name */
#define TRAIL    256

static const char *const names[NAMES] = {"fraud", "wine"};
static const char *const aliases[ALIASES] = {"champion", "challenger"};

/* What is so; the part up to `trail` can be asked of a registry. */
typedef struct toy {
    uint32_t count[NAMES];
    uint32_t kind[NAMES][VERSIONS];
    bool retired[NAMES][VERSIONS];
    uint32_t tag[NAMES][VERSIONS]; /* 0: none */
    uint32_t alias[NAMES][ALIASES];
    uint32_t rollout; /* number of the one that is set; 0: none */
    bool rollout_ended;
    uint32_t trail[NAMES][ALIASES][TRAIL];
    uint32_t trail_length[NAMES][ALIASES];
} toy;

#define TOY_SEEN_BYTES offsetof(toy, trail)

typedef enum toy_kind { PUBLISH, ALIAS, ROLLBACK, RETIRE, TAG, SET, ABORT, TOY_KINDS } toy_kind;

typedef struct toy_change {
    toy_kind kind;
    uint32_t name, alias, version, number;
} toy_change;

typedef struct world {
    uint64_t seed;
    mr_random_seeded random;
    mr_fs_sim *disk;
    mr_fs *fs;
    mr_clock_sim clock;
    registry_life life;
    toy now;
    uint64_t changes, uncertain;
    uint64_t failures; /* of the disk, before this life */
} world;

static uint32_t below(world *w, uint32_t limit)
{
    return (uint32_t)mr_random_below(&w->random, limit);
}

/* ---- the model ---- */

static void move(toy *t, uint32_t name, uint32_t alias, uint32_t version)
{
    t->alias[name][alias] = version;
    t->trail[name][alias][t->trail_length[name][alias]++] = version;
}

static mr_status toy_publish(toy *t, const toy_change *c)
{
    uint32_t version = 1;
    while (version <= t->count[c->name] && t->kind[c->name][version] != c->number)
        version++;
    if (version <= t->count[c->name] && t->retired[c->name][version])
        return MR_CONFLICT;
    if (version > t->count[c->name]) {
        t->count[c->name] = version;
        t->kind[c->name][version] = c->number;
    }
    if (c->alias < ALIASES && t->alias[c->name][c->alias] != version)
        move(t, c->name, c->alias, version);
    return MR_OK;
}

static mr_status toy_alias(toy *t, const toy_change *c)
{
    uint32_t from = t->alias[c->name][c->alias];
    if (c->version == from)
        return c->version == 0 ? MR_NOT_FOUND : MR_EXISTS;
    if (c->version > t->count[c->name])
        return MR_NOT_FOUND;
    if (c->version > 0 && t->retired[c->name][c->version])
        return MR_CONFLICT;
    move(t, c->name, c->alias, c->version);
    return MR_OK;
}

static mr_status toy_rollback(toy *t, const toy_change *c)
{
    uint32_t *length = &t->trail_length[c->name][c->alias];
    for (uint32_t i = *length; i-- > 1;) {
        uint32_t to = t->trail[c->name][c->alias][i - 1];
        if (to == 0 || to == t->alias[c->name][c->alias] || t->retired[c->name][to])
            continue;
        *length = i;
        t->alias[c->name][c->alias] = to;
        return MR_OK;
    }
    return MR_NOT_FOUND;
}

static mr_status toy_retire(toy *t, const toy_change *c)
{
    if (c->version == 0 || c->version > t->count[c->name])
        return MR_NOT_FOUND;
    bool used = t->alias[c->name][0] == c->version || t->alias[c->name][1] == c->version;
    if (t->retired[c->name][c->version] || used)
        return MR_CONFLICT;
    t->retired[c->name][c->version] = true;
    return MR_OK;
}

static mr_status toy_rest(toy *t, const toy_change *c)
{
    if (c->kind == SET) {
        t->rollout = c->number;
        t->rollout_ended = false;
        return MR_OK;
    }
    if (c->kind == ABORT) {
        if (t->rollout == 0)
            return MR_NOT_FOUND;
        if (t->rollout_ended)
            return MR_CONFLICT;
        t->rollout_ended = true;
        return MR_OK;
    }
    if (c->version == 0 || c->version > t->count[c->name])
        return MR_NOT_FOUND;
    t->tag[c->name][c->version] = c->number;
    return MR_OK;
}

static mr_status toy_apply(toy *t, const toy_change *c)
{
    return c->kind == PUBLISH    ? toy_publish(t, c)
           : c->kind == ALIAS    ? toy_alias(t, c)
           : c->kind == ROLLBACK ? toy_rollback(t, c)
           : c->kind == RETIRE   ? toy_retire(t, c)
                                 : toy_rest(t, c);
}

/* ---- the registry ---- */

static mr_status real_publish(world *w, const toy_change *c, mr_error *err)
{
    char folder[64];
    mr_registry_ref ref;
    (void)snprintf(folder, sizeof folder, "/made/%u", c->number);
    mr_registry_publish_options options = {.alias = c->alias < ALIASES ? aliases[c->alias] : NULL};
    return mr_registry_publish(w->life.registry, names[c->name], folder, &options, &ref, NULL, err);
}

static mr_status real_apply(world *w, const toy_change *c, mr_error *err)
{
    mr_registry *r = w->life.registry;
    const char *name = names[c->name], *alias = aliases[c->alias % ALIASES];
    char text[64];
    mr_registry_ref ref;
    (void)snprintf(text, sizeof text, c->kind == TAG ? "%u" : "{\"number\":%u}", c->number);
    switch (c->kind) {
    case PUBLISH:
        return real_publish(w, c, err);
    case ALIAS:
        return mr_registry_set_alias(r, name, alias, c->version, MR_REGISTRY_ANY, "why", err);
    case ROLLBACK:
        return mr_registry_rollback(r, name, alias, NULL, &ref, err);
    case RETIRE:
        return mr_registry_retire(r, name, c->version, NULL, err);
    case TAG:
        return mr_registry_set_tag(r, name, c->version, "n", c->number > 0 ? text : NULL, NULL,
                                   err);
    case SET:
        return mr_registry_set_rollout(r, "cards", text, NULL, NULL, err);
    default:
        return mr_registry_change_rollout(r, "cards", MR_ROLLOUT_ABORT, MR_REGISTRY_ANY, NULL, NULL,
                                          NULL, err);
    }
}

static uint32_t number_behind(const char *text, const char *prefix)
{
    size_t size = strlen(prefix);
    assert_memory_equal(text, prefix, size);
    return (uint32_t)strtoul(text + size, NULL, 10);
}

static mr_status see_version(void *context, const mr_registry_version *v, mr_error *err)
{
    (void)err;
    toy *seen = context;
    uint32_t name = strcmp(v->name, names[0]) == 0 ? 0 : 1;
    assert_true(v->version < VERSIONS);
    seen->kind[name][v->version] = number_behind(v->description, "kind ");
    seen->count[name] = MR_MAX(seen->count[name], (uint32_t)v->version);
    seen->retired[name][v->version] = v->retired;
    if (v->tags[0] != '\0' && strcmp(v->tags, "{}") != 0)
        seen->tag[name][v->version] = number_behind(v->tags, "{\"n\":\"");
    return MR_OK;
}

static mr_status see_rollout(world *w, toy *seen, mr_error *err)
{
    mr_arena arena = {0};
    mr_registry_rollout rollout;
    mr_status status = mr_registry_get_rollout(w->life.registry, "cards", &arena, &rollout, err);
    if (status == MR_OK) {
        seen->rollout = number_behind(rollout.spec, "{\"number\":");
        seen->rollout_ended = rollout.last == MR_ROLLOUT_ABORT;
    }
    mr_arena_deinit(&arena);
    return status == MR_NOT_FOUND ? MR_OK : status;
}

static mr_status see(world *w, toy *seen, mr_error *err)
{
    memset(seen, 0, sizeof *seen);
    MR_TRY(mr_registry_versions(w->life.registry, NULL, see_version, seen, err));
    for (uint32_t n = 0; n < NAMES; n++)
        for (uint32_t a = 0; a < ALIASES; a++) {
            uint64_t at;
            MR_TRY(mr_registry_alias_at(w->life.registry, names[n], aliases[a], MR_LOG_OFFSET_NONE,
                                        &at, err));
            seen->alias[n][a] = (uint32_t)at;
        }
    return see_rollout(w, seen, err);
}

static bool is_seen(const toy *a, const toy *b)
{
    return memcmp(a, b, TOY_SEEN_BYTES) == 0;
}

/* ---- lives ---- */

static toy_change choose(world *w)
{
    static const toy_kind kinds[] = {PUBLISH,  PUBLISH, ALIAS, ALIAS, ALIAS, ROLLBACK,
                                     ROLLBACK, RETIRE,  TAG,   SET,   ABORT};
    toy_change c = {.kind = kinds[below(w, MR_COUNT_OF(kinds))],
                    .name = below(w, NAMES),
                    .alias = below(w, ALIASES),
                    .version = below(w, VERSIONS)};
    if (c.kind == PUBLISH) {
        c.number = 1 + below(w, KINDS);
        c.alias = below(w, ALIASES + 1);
    } else {
        c.number = c.kind == SET ? 1 + below(w, 1000) : below(w, 3);
    }
    return c;
}

/* A tail that the disk would not take reads as a damaged one. */
static bool is_trouble(const world *w, mr_status status)
{
    bool failed = mr_fs_sim_failures(w->disk) > w->failures;
    return status == MR_IO || status == MR_FULL || status == MR_INTERRUPTED || status == MR_BUSY ||
           (status == MR_CORRUPT && failed);
}

/* True while the life may go on. `before` is what is sure, w->now what may be. */
static bool change_once(world *w, toy *before)
{
    mr_error err = {0};
    toy_change c = choose(w);
    *before = w->now;
    mr_clock_sim_advance(&w->clock, 1000000);
    mr_status wanted = toy_apply(&w->now, &c), got = real_apply(w, &c, &err);
    w->changes++;
    if (got == wanted) {
        if (got == MR_OK)
            *before = w->now;
        return true;
    }
    if (!is_trouble(w, got))
        fail_msg("seed %" PRIu64 ": change %d of %s: %s was expected, it was %s: %s", w->seed,
                 (int)c.kind, names[c.name], mr_status_name(wanted), mr_status_name(got), err.text);
    w->uncertain++;
    return false;
}

static void plan_trouble(world *w)
{
    static const mr_fs_op ops[] = {MR_FS_WRITE, MR_FS_SYNC,     MR_FS_CREATE,
                                   MR_FS_READ,  MR_FS_SYNC_DIR, MR_FS_REMOVE};
    uint32_t what = below(w, 10);
    if (what < 6)
        mr_fs_sim_crash_after(w->disk, below(w, 300));
    else if (what < 9)
        mr_fs_sim_fail_after(w->disk, ops[below(w, MR_COUNT_OF(ops))], below(w, 60),
                             below(w, 4) == 0 ? MR_FULL : MR_IO, below(w, 2) == 0);
}

static void live(world *w, toy *before)
{
    mr_error err = {0};
    w->failures = mr_fs_sim_failures(w->disk);
    plan_trouble(w);
    mr_status status = registry_life_open(&w->life, w->fs, &w->clock, &err);
    *before = w->now;
    if (status != MR_OK && !is_trouble(w, status))
        fail_msg("seed %" PRIu64 ": open: %s: %s", w->seed, mr_status_name(status), err.text);
    for (uint32_t left = below(w, 25); status == MR_OK && left > 0 && change_once(w, before);
         left--)
        ;
    if (below(w, 3) == 0) { /* the machine dies with everything open */
        mr_fs_sim_crash(w->disk);
        registry_life_close(&w->life);
    } else {
        registry_life_close(&w->life);
        if (mr_fs_sim_is_down(w->disk))
            mr_fs_sim_crash(w->disk);
    }
    mr_fs_sim_heal(w->disk);
}

/* ---- checks ---- */

static void check_versions(world *w)
{
    mr_error err = {0};
    for (uint32_t n = 0; n < NAMES; n++)
        for (uint32_t v = 1; v <= w->now.count[n]; v++) {
            char text[64];
            mr_registry_ref ref;
            (void)snprintf(text, sizeof text, "%s/%u", names[n], v);
            assert_ok(mr_registry_resolve(w->life.registry, text, &ref, &err), &err);
            assert_ok(mr_registry_verify(w->life.registry, &ref, &err), &err);
        }
}

static void check_replay(world *w)
{
    mr_error err = {0};
    mr_bytes kept = {0}, replayed = {0};
    assert_ok(registry_test_dump(w->life.registry, &kept, &err), &err);
    assert_ok(mr_registry_rebuild(w->life.registry, &err), &err);
    assert_ok(registry_test_dump(w->life.registry, &replayed, &err), &err);
    if (strcmp(mr_bytes_text(&kept), mr_bytes_text(&replayed)) != 0)
        fail_msg("seed %" PRIu64 ": the catalogue is not the replay:\n%s\n---\n%s", w->seed,
                 mr_bytes_text(&kept), mr_bytes_text(&replayed));
    mr_bytes_deinit(&kept);
    mr_bytes_deinit(&replayed);
}

static void check(world *w, const toy *before)
{
    mr_error err = {0};
    toy seen;
    assert_ok(registry_life_open(&w->life, w->fs, &w->clock, &err), &err);
    assert_ok(see(w, &seen, &err), &err);
    if (!is_seen(&seen, &w->now)) {
        if (!is_seen(&seen, before))
            fail_msg("seed %" PRIu64 ": neither what was acknowledged nor what was under way is "
                     "there",
                     w->seed);
        w->now = *before;
    }
    check_replay(w);
    check_versions(w);
    registry_life_close(&w->life);
}

static void run_world(world *w, uint64_t seed)
{
    mr_error err = {0};
    *w = (world){.seed = seed};
    w->random = mr_test_random(seed);
    mr_clock_sim_init(&w->clock, INT64_C(1700000000000000));
    assert_ok(mr_fs_sim_create(&(mr_fs_sim_options){.seed = seed}, &w->disk, &err), &err);
    w->fs = mr_fs_sim_fs(w->disk);
    assert_ok(mr_fs_make_folder(w->fs, "/made", &err), &err);
    for (uint32_t kind = 1; kind <= KINDS; kind++) {
        char folder[64];
        (void)snprintf(folder, sizeof folder, "/made/%u", kind);
        assert_ok(registry_test_artifact(w->fs, folder, kind, &err), &err);
    }
    for (uint32_t life = 0; life < 4; life++) {
        toy before;
        live(w, &before);
        check(w, &before);
    }
    mr_fs_sim_destroy(w->disk);
}

TEST(registry, any_life_leaves_what_the_events_say)
{
    uint64_t changes = 0, uncertain = 0, rounds = mr_test_rounds(120);
    world *w = MR_NEW(world);
    for (uint64_t seed = 0; seed < rounds; seed++) {
        run_world(w, seed);
        changes += w->changes;
        uncertain += w->uncertain;
    }
    mr_free(w);
    assert_true(changes > rounds * 10);
    assert_true(uncertain > rounds); /* the trouble was met */
}
