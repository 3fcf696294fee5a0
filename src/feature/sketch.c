/* sketch.c -- counts in buckets whose bounds grow by a ratio: quantiles within 1 %. Thread: the slot's worker. */
#include "feature/table.h"

#include "base/assert.h"
#include "feature/exact.h"

#include <math.h>
#include <string.h>

enum { SKETCH_CAPACITY_MIN = 8 };

#define SKETCH_ACCURACY 0.01
/* log2((1 + a) / (1 - a)) for a = 0.01 */
#define SKETCH_LOG2_GAMMA 0.028854862672184987
#define SKETCH_KEY_ZERO                                                                            \
    (INT64_C(1) << 20) /* above any bucket number, so that keys have the value's sign */

int64_t mr_sketch_key(double value)
{
    if (value == 0.0)
        return 0;
    double bucket = mr_steady_log2(value < 0 ? -value : value) / SKETCH_LOG2_GAMMA;
    int64_t number = (int64_t)bucket;
    number += (double)number < bucket; /* upwards */
    return value < 0 ? -(number + SKETCH_KEY_ZERO) : number + SKETCH_KEY_ZERO;
}

double mr_sketch_value(int64_t key)
{
    if (key == 0)
        return 0.0;
    int64_t number = (key < 0 ? -key : key) - SKETCH_KEY_ZERO;
    double power = (double)number * SKETCH_LOG2_GAMMA;
    /* 2 gamma^i / (gamma + 1) = (1 - a) gamma^i; the power is split so that its end stays finite */
    double value = mr_steady_exp2(power - 1.0) * (1.0 - SKETCH_ACCURACY) * 2.0;
    return key < 0 ? -value : value;
}

static size_t sketch_bytes(uint32_t capacity)
{
    return sizeof(mr_sketch) + capacity * sizeof(mr_bucket);
}

/* Where key is, or where it would be put in. */
static uint32_t sketch_find(const mr_sketch *sketch, int64_t key)
{
    uint32_t low = 0, high = sketch->used;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sketch->buckets[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static mr_status sketch_resize(mr_slot *slot, mr_sketch **sketch, uint32_t capacity, mr_error *err)
{
    mr_sketch *old = *sketch;
    mr_sketch *made = mr_slot_alloc(slot, sketch_bytes(capacity));
    if (made == NULL)
        return MR_OUT_OF_MEMORY(err);
    *made = (mr_sketch){.capacity = 0};
    if (old != NULL) {
        memcpy(made, old, sketch_bytes(old->used));
        mr_slot_free(slot, old, sketch_bytes(old->capacity));
    }
    made->capacity = capacity;
    *sketch = made;
    return MR_OK;
}

static mr_status sketch_reserve(mr_slot *slot, mr_sketch **sketch, uint32_t count, mr_error *err)
{
    uint32_t had = *sketch != NULL ? (*sketch)->capacity : 0;
    uint32_t capacity = MR_MAX(had, SKETCH_CAPACITY_MIN);
    while (capacity < count)
        capacity *= 2;
    return capacity > had ? sketch_resize(slot, sketch, capacity, err) : MR_OK;
}

/* After something was taken out. Without memory it stays as it is. */
static void sketch_shrink(mr_slot *slot, mr_sketch **sketch)
{
    uint32_t capacity = (*sketch)->capacity;
    if ((*sketch)->used == 0)
        mr_sketch_free(slot, sketch);
    else if (capacity > SKETCH_CAPACITY_MIN && (*sketch)->used < capacity / 4)
        (void)sketch_resize(slot, sketch, capacity / 2, NULL);
}

/* The lowest bucket goes into the one that will then be the lowest: `key` too may be that. */
static void put_within(mr_sketch *s, uint32_t at, mr_bucket bucket)
{
    if (at == 0) {
        s->buckets[0].count += bucket.count;
    } else {
        uint64_t lowest = s->buckets[0].count;
        memmove(s->buckets, s->buckets + 1, (at - 1) * sizeof *s->buckets);
        s->buckets[at - 1] = bucket;
        s->buckets[0].count += lowest;
    }
}

mr_status mr_sketch_add(mr_slot *slot, mr_sketch **sketch, int64_t key, uint64_t by, uint32_t max,
                        mr_error *err)
{
    uint32_t used = *sketch != NULL ? (*sketch)->used : 0;
    MR_ASSERT_SLOW(max >= 2);
    uint32_t at = used > 0 ? sketch_find(*sketch, key) : 0;
    if (at < used && (*sketch)->buckets[at].key == key) {
        (*sketch)->buckets[at].count += by;
    } else if (used >= max) {
        put_within(*sketch, at, (mr_bucket){key, by});
    } else {
        MR_TRY(sketch_reserve(slot, sketch, used + 1, err));
        mr_bucket *place = &(*sketch)->buckets[at];
        memmove(place + 1, place, (used - at) * sizeof *place);
        *place = (mr_bucket){key, by};
        (*sketch)->used++;
    }
    (*sketch)->total += by;
    return MR_OK;
}

static uint32_t count_both(const mr_sketch *a, const mr_sketch *b)
{
    uint32_t count = 0, i = 0, k = 0;
    while (i < a->used && k < b->used) {
        int64_t left = a->buckets[i].key, right = b->buckets[k].key;
        i += left <= right;
        k += right <= left;
        count++;
    }
    return count + (a->used - i) + (b->used - k);
}

/* Folds the lowest buckets until `max` are left. */
static void sketch_fold(mr_sketch *s, uint32_t max)
{
    if (s->used <= max)
        return;
    uint32_t extra = s->used - max;
    for (uint32_t i = 0; i < extra; i++)
        s->buckets[extra].count += s->buckets[i].count;
    memmove(s->buckets, s->buckets + extra, max * sizeof *s->buckets);
    s->used = max;
}

/* From behind, so that nothing is written over before it was read. */
mr_status mr_sketch_merge(mr_slot *slot, mr_sketch **to, const mr_sketch *from, uint32_t max,
                          mr_error *err)
{
    if (from == NULL)
        return MR_OK;
    uint32_t used = *to != NULL ? count_both(*to, from) : from->used;
    MR_TRY(sketch_reserve(slot, to, used, err));
    mr_sketch *s = *to;
    uint32_t i = s->used, k = from->used;
    for (uint32_t at = used; k > 0; at--) {
        if (i > 0 && s->buckets[i - 1].key > from->buckets[k - 1].key) {
            s->buckets[at - 1] = s->buckets[--i];
            continue;
        }
        mr_bucket bucket = from->buckets[--k];
        if (i > 0 && s->buckets[i - 1].key == bucket.key)
            bucket.count += s->buckets[--i].count;
        s->buckets[at - 1] = bucket;
    }
    s->used = used;
    s->total += from->total;
    sketch_fold(s, max);
    return MR_OK;
}

void mr_sketch_remove(mr_slot *slot, mr_sketch **sketch, int64_t key)
{
    mr_sketch *s = *sketch;
    uint32_t at = s != NULL ? sketch_find(s, key) : 0;
    MR_ASSERT(s != NULL && at < s->used && s->buckets[at].key == key);
    s->total--;
    if (--s->buckets[at].count > 0)
        return;
    s->used--;
    memmove(s->buckets + at, s->buckets + at + 1, (s->used - at) * sizeof *s->buckets);
    sketch_shrink(slot, sketch);
}

void mr_sketch_unmerge(mr_slot *slot, mr_sketch **from, const mr_sketch *what)
{
    mr_sketch *s = *from;
    uint32_t k = 0, kept = 0;
    if (what == NULL)
        return;
    MR_ASSERT(s != NULL && s->total >= what->total);
    for (uint32_t i = 0; i < s->used; i++) {
        mr_bucket bucket = s->buckets[i];
        if (k < what->used && what->buckets[k].key == bucket.key)
            bucket.count -= what->buckets[k++].count;
        if (bucket.count > 0)
            s->buckets[kept++] = bucket;
    }
    MR_ASSERT(k == what->used);
    s->used = kept;
    s->total -= what->total;
    sketch_shrink(slot, from);
}

void mr_sketch_free(mr_slot *slot, mr_sketch **sketch)
{
    if (*sketch != NULL)
        mr_slot_free(slot, *sketch, sketch_bytes((*sketch)->capacity));
    *sketch = NULL;
}

double mr_sketch_quantile(const mr_sketch *const *parts, uint32_t count, double q)
{
    uint32_t at[MR_SKETCH_PARTS_MAX] = {0};
    uint64_t total = 0, seen = 0;
    MR_ASSERT(count <= MR_SKETCH_PARTS_MAX);
    for (uint32_t i = 0; i < count; i++)
        total += parts[i] != NULL ? parts[i]->total : 0;
    if (total == 0)
        return 0.0;
    uint64_t rank = (uint64_t)ceil(q * (double)total);
    rank = rank < 1 ? 1 : rank > total ? total : rank;
    int64_t key = 0;
    while (seen < rank) {
        uint32_t least = count;
        for (uint32_t i = 0; i < count; i++)
            if (parts[i] != NULL && at[i] < parts[i]->used &&
                (least == count ||
                 parts[i]->buckets[at[i]].key < parts[least]->buckets[at[least]].key))
                least = i;
        MR_ASSERT(least < count);
        key = parts[least]->buckets[at[least]].key;
        seen += parts[least]->buckets[at[least]++].count;
    }
    return mr_sketch_value(key);
}
