/* spill_memory.c -- the spill store of the simulator: two sorted arrays, the second for what is not committed.
 *
 * It counts nothing in any budget and scales badly: it is here to be simple and deterministic. */
#include "base/assert.h"
#include "state/spill.h"

#include <string.h>

typedef struct stored_item {
    mr_spill_place place;
    uint8_t *bytes; /* NULL, when pending: removed */
    size_t size;
} stored_item;

typedef struct item_list {
    stored_item *list;
    size_t count, capacity;
} item_list;

typedef struct memory_spill {
    mr_spill spill;
    item_list committed, pending;
} memory_spill;

struct mr_spill_scan {
    memory_spill *in;
    size_t next, end;
};

static int compare(const mr_spill_place *a, const mr_spill_place *b)
{
    if (a->table != b->table)
        return a->table < b->table ? -1 : 1;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return (a->word > b->word) - (a->word < b->word);
}

/* Index of the first item not before `place`. */
static size_t lower_bound(const item_list *in, const mr_spill_place *place)
{
    size_t low = 0, high = in->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&in->list[middle].place, place) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static stored_item *find(const item_list *in, const mr_spill_place *place)
{
    size_t at = lower_bound(in, place);
    return at < in->count && compare(&in->list[at].place, place) == 0 ? &in->list[at] : NULL;
}

static bool reserve(item_list *in, size_t more)
{
    if (in->capacity - in->count >= more)
        return true;
    size_t capacity = MR_MAX(in->count + more, in->capacity * 2);
    stored_item *grown = mr_realloc(in->list, capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    in->list = grown;
    in->capacity = capacity;
    return true;
}

/* Takes the bytes; there is room. */
static void set(item_list *in, stored_item fresh)
{
    stored_item *old = find(in, &fresh.place);
    if (old != NULL) {
        mr_free(old->bytes);
        *old = fresh;
        return;
    }
    size_t at = lower_bound(in, &fresh.place);
    memmove(in->list + at + 1, in->list + at, (in->count - at) * sizeof *in->list);
    in->list[at] = fresh;
    in->count++;
}

static void unset(item_list *in, const mr_spill_place *place)
{
    stored_item *old = find(in, place);
    if (old == NULL)
        return;
    mr_free(old->bytes);
    in->count--;
    memmove(old, old + 1, (in->count - (size_t)(old - in->list)) * sizeof *old);
}

static void clear(item_list *in)
{
    for (size_t i = 0; i < in->count; i++)
        mr_free(in->list[i].bytes);
    in->count = 0;
}

/* ---- the kind ---- */

static mr_status memory_open(mr_fs *fs, const char *folder, mr_heap_source *source, mr_spill **out,
                             mr_error *err)
{
    (void)fs, (void)folder, (void)source;
    memory_spill *in = MR_NEW(memory_spill);
    if (in == NULL)
        return MR_OUT_OF_MEMORY(err);
    in->spill.kind = &mr_spill_memory;
    *out = &in->spill;
    return MR_OK;
}

static void memory_close(mr_spill *spill)
{
    memory_spill *in = (memory_spill *)spill;
    clear(&in->committed);
    clear(&in->pending);
    mr_free(in->committed.list);
    mr_free(in->pending.list);
    mr_free(in);
}

static mr_status memory_begin(mr_spill *spill, mr_error *err)
{
    (void)err;
    clear(&((memory_spill *)spill)->pending);
    return MR_OK;
}

static mr_status memory_put(mr_spill *spill, mr_spill_place place, const void *bytes, size_t size,
                            mr_error *err)
{
    item_list *pending = &((memory_spill *)spill)->pending;
    uint8_t *copy = mr_alloc(size);
    if (copy == NULL || !reserve(pending, 1)) {
        mr_free(copy);
        return MR_OUT_OF_MEMORY(err);
    }
    memcpy(copy, bytes, size);
    set(pending, (stored_item){place, copy, size});
    return MR_OK;
}

static mr_status memory_remove(mr_spill *spill, mr_spill_place place, mr_error *err)
{
    item_list *pending = &((memory_spill *)spill)->pending;
    if (!reserve(pending, 1))
        return MR_OUT_OF_MEMORY(err);
    set(pending, (stored_item){place, NULL, 0});
    return MR_OK;
}

static mr_status memory_commit(mr_spill *spill, mr_error *err)
{
    memory_spill *in = (memory_spill *)spill;
    if (!reserve(&in->committed, in->pending.count)) {
        clear(&in->pending);
        return MR_OUT_OF_MEMORY(err);
    }
    for (size_t i = 0; i < in->pending.count; i++) {
        if (in->pending.list[i].bytes != NULL)
            set(&in->committed, in->pending.list[i]);
        else
            unset(&in->committed, &in->pending.list[i].place);
    }
    in->pending.count = 0;
    return MR_OK;
}

static void memory_abort(mr_spill *spill)
{
    clear(&((memory_spill *)spill)->pending);
}

static mr_status memory_get(mr_spill *spill, mr_spill_place place, mr_spill_value *out,
                            mr_error *err)
{
    (void)err;
    const memory_spill *in = (const memory_spill *)spill;
    const stored_item *one = find(&in->pending, &place);
    if (one == NULL)
        one = find(&in->committed, &place);
    if (one == NULL || one->bytes == NULL)
        return MR_NOT_FOUND;
    *out = (mr_spill_value){one->bytes, one->size};
    return MR_OK;
}

static void memory_release(mr_spill *spill, mr_spill_value *value)
{
    (void)spill;
    *value = (mr_spill_value){0};
}

static mr_status memory_scan_open(mr_spill *spill, uint16_t table, uint16_t slot,
                                  mr_spill_scan **out, mr_error *err)
{
    mr_spill_scan *scan = MR_NEW(mr_spill_scan);
    if (scan == NULL)
        return MR_OUT_OF_MEMORY(err);
    scan->in = (memory_spill *)spill;
    mr_spill_place last = {table, slot, UINT64_MAX, 0};
    scan->next = lower_bound(&scan->in->committed, &(mr_spill_place){table, slot, 0, 0});
    scan->end = lower_bound(&scan->in->committed, &last);
    scan->end += find(&scan->in->committed, &last) != NULL;
    *out = scan;
    return MR_OK;
}

static mr_status memory_scan_next(mr_spill_scan *scan, uint64_t *out_word, mr_spill_value *out,
                                  mr_error *err)
{
    (void)err;
    if (scan->next == scan->end)
        return MR_END;
    const stored_item *one = &scan->in->committed.list[scan->next++];
    *out_word = one->place.word;
    *out = (mr_spill_value){one->bytes, one->size};
    return MR_OK;
}

static void memory_scan_close(mr_spill_scan *scan)
{
    mr_free(scan);
}

static void memory_stats(mr_spill *spill, mr_spill_stats *out)
{
    *out = (mr_spill_stats){.places = ((const memory_spill *)spill)->committed.count};
}

const mr_spill_kind mr_spill_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .put = memory_put,
    .remove = memory_remove,
    .commit = memory_commit,
    .abort = memory_abort,
    .get = memory_get,
    .release = memory_release,
    .scan_open = memory_scan_open,
    .scan_next = memory_scan_next,
    .scan_close = memory_scan_close,
    .stats = memory_stats,
};
