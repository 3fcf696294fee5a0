/* fs_sim_names.c -- the folders of the simulated disk: names as seen, names on disk, changes
 * between.
 *
 *   live  ---- every call sees these            durable ---- a crash begins with these
 *   changes: create a.tmp | rename a.tmp -> a | remove b        made to live, not yet to durable,
 * in order
 *
 * (1) durable plus all changes in order is live.
 * (2) A change reaches the disk whole, and only with all earlier changes of the same names.
 * (3) folder->pending counts the puts of changes that name the folder. */
#include "os/fs_sim_internal.h"

#include "base/assert.h"
#include "base/hash.h"

#include <string.h>

/* ---- nodes ---- */

sim_node *sim_node_create(mr_fs_sim *sim, bool is_folder)
{
    sim_node *node = MR_NEW(sim_node);
    MR_ASSERT(node != NULL);
    node->id = ++sim->last_id;
    node->owners = 1;
    node->is_folder = is_folder;
    node->previous = sim->last;
    *(sim->last != NULL ? &sim->last->next : &sim->first) = node;
    sim->last = node;
    return node;
}

static void clear_names(mr_fs_sim *sim, sim_names *names, bool live)
{
    for (size_t i = 0; i < names->count; i++) {
        if (live)
            sim_node_unuse(sim, names->entries[i].node);
        sim_node_release(sim, names->entries[i].node);
        mr_free(names->entries[i].name);
    }
    names->count = 0;
}

void sim_node_release(mr_fs_sim *sim, sim_node *node)
{
    if (node == NULL || --node->owners > 0)
        return;
    *(node->previous != NULL ? &node->previous->next : &sim->first) = node->next;
    *(node->next != NULL ? &node->next->previous : &sim->last) = node->previous;
    clear_names(sim, &node->live, true);
    clear_names(sim, &node->durable, false);
    mr_free(node->live.entries);
    mr_free(node->durable.entries);
    sim_data_deinit(&node->data);
    mr_free(node);
}

void sim_node_use(mr_fs_sim *sim, sim_node *node)
{
    if (node->users++ == 0)
        sim->used_bytes += sim_data_charge(&node->data);
}

void sim_node_unuse(mr_fs_sim *sim, sim_node *node)
{
    MR_ASSERT(node->users > 0);
    if (--node->users == 0)
        sim->used_bytes -= sim_data_charge(&node->data);
}

/* ---- sorted names ---- */

/* Place of the first entry that is not below `name`. */
static size_t lower_bound(const sim_names *names, const char *name)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(names->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool holds(const sim_names *names, size_t at, const char *name)
{
    return at < names->count && strcmp(names->entries[at].name, name) == 0;
}

static void insert_entry(sim_names *names, size_t at, const char *name)
{
    void *array = names->entries;
    sim_grow(&array, &names->capacity, names->count, sizeof *names->entries);
    names->entries = array;
    memmove(&names->entries[at + 1], &names->entries[at],
            (names->count - at) * sizeof *names->entries);
    names->entries[at] = (sim_entry){mr_strdup(name), NULL};
    MR_ASSERT(names->entries[at].name != NULL);
    names->count++;
}

static void erase_entry(sim_names *names, size_t at)
{
    mr_free(names->entries[at].name);
    names->count--;
    memmove(&names->entries[at], &names->entries[at + 1],
            (names->count - at) * sizeof *names->entries);
}

/* The new node is held before the old one is let go: they may be the same. */
static void put(mr_fs_sim *sim, sim_names *names, const char *name, sim_node *node, bool live)
{
    size_t at = lower_bound(names, name);
    bool there = holds(names, at, name);
    sim_node *old = there ? names->entries[at].node : NULL;
    if (node != NULL) {
        node->owners++;
        if (live)
            sim_node_use(sim, node);
        if (!there)
            insert_entry(names, at, name);
        names->entries[at].node = node;
    } else if (there) {
        erase_entry(names, at);
    }
    if (old != NULL && live)
        sim_node_unuse(sim, old);
    sim_node_release(sim, old);
}

/* ---- paths ---- */

/* The next part of a path, or false at its end. "." is left out. */
static bool next_part(const char **path, const char **out_part, size_t *out_bytes)
{
    do {
        *path += strspn(*path, "/");
        *out_part = *path;
        *out_bytes = strcspn(*path, "/");
        *path += *out_bytes;
    } while (*out_bytes == 1 && **out_part == '.');
    return *out_bytes > 0;
}

mr_status sim_resolve(mr_fs_sim *sim, const char *path, sim_node **out_folder, char *out_name,
                      sim_node **out_node, mr_error *err)
{
    *out_folder = NULL;
    *out_node = sim->root;
    if (path[0] == '\0')
        return MR_FAIL(err, MR_NOT_FOUND, "an empty path names nothing");
    const char *rest = path, *part;
    size_t bytes;
    while (next_part(&rest, &part, &bytes)) {
        if (*out_node == NULL || !(*out_node)->is_folder)
            return MR_FAIL(err, MR_NOT_FOUND, "%s: there is no folder %.*s", path,
                           (int)(part - path), path);
        if (bytes > 255 || (bytes == 2 && memcmp(part, "..", 2) == 0))
            return MR_FAIL(err, MR_INVALID, "%s: a part has 1 to 255 bytes and is not '..'", path);
        *out_folder = *out_node;
        memcpy(out_name, part, bytes);
        out_name[bytes] = '\0';
        const sim_names *names = &(*out_folder)->live;
        size_t at = lower_bound(names, out_name);
        *out_node = holds(names, at, out_name) ? names->entries[at].node : NULL;
    }
    return MR_OK;
}

/* ---- changes ---- */

void sim_names_change(mr_fs_sim *sim, const sim_put *puts, size_t count)
{
    void *array = sim->changes;
    sim_grow(&array, &sim->pending_capacity, sim->pending_count, sizeof *sim->changes);
    sim->changes = array;
    sim_change *change = &sim->changes[sim->pending_count++];
    *change = (sim_change){.put_count = count};
    for (size_t i = 0; i < count; i++) {
        sim_put *copy = &change->puts[i];
        *copy = (sim_put){puts[i].folder, mr_strdup(puts[i].name), puts[i].node};
        MR_ASSERT(copy->name != NULL);
        copy->folder->owners++;
        copy->folder->pending++;
        if (copy->node != NULL)
            copy->node->owners++;
        put(sim, &copy->folder->live, copy->name, copy->node, true);
    }
}

static void release_change(mr_fs_sim *sim, sim_change *change)
{
    for (size_t i = 0; i < change->put_count; i++) {
        change->puts[i].folder->pending--;
        mr_free((void *)(uintptr_t)change->puts[i].name);
        sim_node_release(sim, change->puts[i].node);
        sim_node_release(sim, change->puts[i].folder);
    }
}

static void make_durable(mr_fs_sim *sim, sim_change *change)
{
    for (size_t i = 0; i < change->put_count; i++)
        put(sim, &change->puts[i].folder->durable, change->puts[i].name, change->puts[i].node,
            false);
}

static bool touches_marked(const sim_change *change)
{
    return change->puts[0].folder->marked ||
           (change->put_count == 2 && change->puts[1].folder->marked);
}

/* Walking back, a rename out of or into a marked folder marks the other one too: see (2). */
static void mark_needed(mr_fs_sim *sim, bool *needed)
{
    for (size_t i = sim->pending_count; i-- > 0;) {
        sim_change *change = &sim->changes[i];
        needed[i] = touches_marked(change);
        for (size_t k = 0; needed[i] && k < change->put_count; k++)
            change->puts[k].folder->marked = true;
    }
    for (size_t i = 0; i < sim->pending_count; i++)
        for (size_t k = 0; k < sim->changes[i].put_count; k++)
            sim->changes[i].puts[k].folder->marked = false;
}

void sim_names_sync(mr_fs_sim *sim, sim_node *folder)
{
    if (folder->pending == 0)
        return;
    bool *needed = mr_alloc_zero(sim->pending_count, sizeof *needed);
    MR_ASSERT(needed != NULL);
    folder->marked = true;
    mark_needed(sim, needed);
    size_t kept = 0;
    for (size_t i = 0; i < sim->pending_count; i++) {
        if (!needed[i]) {
            sim->changes[kept++] = sim->changes[i];
            continue;
        }
        make_durable(sim, &sim->changes[i]);
        release_change(sim, &sim->changes[i]);
    }
    sim->pending_count = kept;
    mr_free(needed);
}

/* ---- crash ---- */

/* A set of hashes, open addressing; 0 is a free place. */
typedef struct hash_set {
    uint64_t *places;
    size_t mask;
} hash_set;

/* The place of a name: where it is, or where it would go. */
static uint64_t *find_place(const hash_set *set, const sim_put *one, uint64_t *out_hash)
{
    *out_hash = mr_hash_u64(one->folder->id ^ mr_hash64(one->name, strlen(one->name))) | 1;
    size_t at = (size_t)(*out_hash >> 1) & set->mask;
    while (set->places[at] != 0 && set->places[at] != *out_hash)
        at = (at + 1) & set->mask;
    return &set->places[at];
}

/* A change is lost by its own fate or with an earlier one; then its names are lost for later ones.
 */
static bool is_lost(const hash_set *lost, const sim_change *change, bool unlucky)
{
    uint64_t hash;
    for (size_t i = 0; i < change->put_count; i++)
        unlucky = unlucky || *find_place(lost, &change->puts[i], &hash) != 0;
    for (size_t i = 0; unlucky && i < change->put_count; i++) {
        uint64_t *place = find_place(lost, &change->puts[i], &hash);
        *place = hash;
    }
    return unlucky;
}

/* As with sectors, all changes often fare alike, or in the order they were made (a journal's
 * order). */
static void settle_changes(mr_fs_sim *sim)
{
    hash_set lost = {.mask = 7};
    while (lost.mask < 4 * sim->pending_count)
        lost.mask = lost.mask * 2 + 1;
    lost.places = mr_alloc_zero(lost.mask + 1, sizeof *lost.places);
    MR_ASSERT(lost.places != NULL);
    bool in_order = sim_coin(sim);
    size_t cut = (size_t)mr_random_below(&sim->random, sim->pending_count + 1);
    for (size_t i = 0; i < sim->pending_count; i++) {
        bool unlucky = in_order ? i >= cut : sim_coin(sim);
        if (!is_lost(&lost, &sim->changes[i], unlucky))
            make_durable(sim, &sim->changes[i]);
    }
    mr_free(lost.places);
}

void sim_names_drop_changes(mr_fs_sim *sim)
{
    for (size_t i = 0; i < sim->pending_count; i++)
        release_change(sim, &sim->changes[i]);
    sim->pending_count = 0;
}

static void see_what_is_durable(mr_fs_sim *sim, sim_node *folder)
{
    clear_names(sim, &folder->live, true);
    for (size_t i = 0; i < folder->durable.count; i++) {
        const sim_entry *entry = &folder->durable.entries[i];
        put(sim, &folder->live, entry->name, entry->node, true);
    }
}

void sim_names_crash(mr_fs_sim *sim)
{
    settle_changes(sim);
    sim_names_drop_changes(sim);
    /* Letting names go may end nodes later in the list, never the one being looked at: it is held.
     */
    for (sim_node *node = sim->first; node != NULL;) {
        node->owners++;
        if (node->is_folder)
            see_what_is_durable(sim, node);
        sim_node *next = node->next;
        sim_node_release(sim, node);
        node = next;
    }
}
