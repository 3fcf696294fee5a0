/* table.c -- counts of values, sketches and registers. Thread: the slot's worker. */
#include "feature/table.h"

#include "base/assert.h"
#include "feature/exact.h"
#include "feature/feature_internal.h"

#include <math.h>

/* ---- values ---- */

enum { VALUES_LOG2_MIN = 2, SKETCH_CAPACITY_MIN = 8 };

static size_t values_bytes(uint32_t log2)
{
    return sizeof(mr_values) + (sizeof(mr_value_count) << log2);
}

static uint32_t values_home(const mr_values *values, uint64_t identity)
{
    return (uint32_t)(mr_hash_u64(identity) >> (64 - values->log2));
}

static uint32_t values_find(const mr_values *values, uint64_t identity)
{
    uint32_t mask = (1u << values->log2) - 1, at = values_home(values, identity);
    while (values->places[at].count != 0 && values->places[at].identity != identity)
        at = (at + 1) & mask;
    return at;
}

static mr_status values_grow(mr_slot *slot, mr_values **values, mr_error *err)
{
    mr_values *old = *values;
    uint32_t log2 = old != NULL ? old->log2 + 1 : VALUES_LOG2_MIN;
    mr_values *grown = mr_slot_alloc(slot, values_bytes(log2));
    if (grown == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(grown, 0, values_bytes(log2));
    grown->log2 = log2;
    for (uint32_t i = 0; i < mr_values_places(old); i++)
        if (old->places[i].count != 0)
            grown->places[values_find(grown, old->places[i].identity)] = old->places[i];
    if (old != NULL) {
        grown->used = old->used;
        mr_slot_free(slot, old, values_bytes(old->log2));
    }
    *values = grown;
    return MR_OK;
}

mr_status mr_values_add(mr_slot *slot, mr_values **values, uint64_t identity,
                        const feature_text *text, uint64_t by, mr_error *err)
{
    if (*values == NULL || (*values)->used + 1 > (3u << (*values)->log2) / 4)
        MR_TRY(values_grow(slot, values, err));
    mr_value_count *place = &(*values)->places[values_find(*values, identity)];
    if (place->count == 0) {
        feature_text *copy = NULL;
        if (text != NULL) {
            copy = text_create(slot, text->bytes, text->size);
            if (copy == NULL)
                return MR_OUT_OF_MEMORY(err);
        }
        *place = (mr_value_count){identity, copy, 0};
        (*values)->used++;
    }
    place->count += by;
    return MR_OK;
}

/* Closes the hole by moving back what was displaced over it (Knuth, vol. 3, 6.4 algorithm R). */
static void values_close(mr_values *values, uint32_t hole)
{
    uint32_t mask = (1u << values->log2) - 1;
    for (uint32_t at = (hole + 1) & mask; values->places[at].count != 0; at = (at + 1) & mask) {
        uint32_t home = values_home(values, values->places[at].identity);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            values->places[hole] = values->places[at];
            hole = at;
        }
    }
    values->places[hole] = (mr_value_count){0, NULL, 0};
}

static void values_take_out(mr_slot *slot, mr_values **values, uint32_t at)
{
    text_destroy(slot, (*values)->places[at].text);
    values_close(*values, at);
    if (--(*values)->used == 0)
        mr_values_free(slot, values);
}

void mr_values_remove(mr_slot *slot, mr_values **values, uint64_t identity)
{
    MR_ASSERT(*values != NULL);
    uint32_t at = values_find(*values, identity);
    mr_value_count *place = &(*values)->places[at];
    MR_ASSERT(place->count > 0);
    if (--place->count == 0)
        values_take_out(slot, values, at);
}

void mr_values_drop(mr_slot *slot, mr_values **values, uint64_t identity)
{
    uint32_t at = values_find(*values, identity);
    MR_ASSERT((*values)->places[at].count > 0);
    values_take_out(slot, values, at);
}

uint64_t mr_values_count(const mr_values *values, uint64_t identity)
{
    return values != NULL ? values->places[values_find(values, identity)].count : 0;
}

void mr_values_free(mr_slot *slot, mr_values **values)
{
    if (*values == NULL)
        return;
    for (uint32_t i = 0; i < mr_values_places(*values); i++)
        if ((*values)->places[i].count != 0)
            text_destroy(slot, (*values)->places[i].text);
    mr_slot_free(slot, *values, values_bytes((*values)->log2));
    *values = NULL;
}

/* ---- sketch ---- */

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

static mr_status sketch_grow(mr_slot *slot, mr_sketch **sketch, mr_error *err)
{
    mr_sketch *old = *sketch;
    uint32_t capacity = old != NULL ? 2 * old->capacity : SKETCH_CAPACITY_MIN;
    mr_sketch *grown = mr_slot_alloc(slot, sketch_bytes(capacity));
    if (grown == NULL)
        return MR_OUT_OF_MEMORY(err);
    *grown = (mr_sketch){.capacity = 0};
    if (old != NULL) {
        memcpy(grown, old, sketch_bytes(old->used));
        mr_slot_free(slot, old, sketch_bytes(old->capacity));
    }
    grown->capacity = capacity;
    *sketch = grown;
    return MR_OK;
}

mr_status mr_sketch_add(mr_slot *slot, mr_sketch **sketch, int64_t key, uint64_t by, mr_error *err)
{
    if (*sketch == NULL || (*sketch)->used == (*sketch)->capacity)
        MR_TRY(sketch_grow(slot, sketch, err));
    mr_sketch *s = *sketch;
    uint32_t at = sketch_find(s, key);
    if (at == s->used || s->buckets[at].key != key) {
        memmove(s->buckets + at + 1, s->buckets + at, (s->used - at) * sizeof *s->buckets);
        s->buckets[at] = (mr_bucket){key, 0};
        s->used++;
    }
    s->buckets[at].count += by;
    s->total += by;
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
    if (s->used == 0)
        mr_sketch_free(slot, sketch);
}

void mr_sketch_free(mr_slot *slot, mr_sketch **sketch)
{
    if (*sketch != NULL)
        mr_slot_free(slot, *sketch, sketch_bytes((*sketch)->capacity));
    *sketch = NULL;
}

double mr_sketch_quantile(const mr_sketch *a, const mr_sketch *b, double q)
{
    uint64_t total = (a != NULL ? a->total : 0) + (b != NULL ? b->total : 0);
    uint64_t rank = (uint64_t)ceil(q * (double)total), seen = 0;
    rank = rank < 1 ? 1 : rank > total ? total : rank;
    uint32_t i = 0, k = 0, end_a = a != NULL ? a->used : 0, end_b = b != NULL ? b->used : 0;
    int64_t key = 0;
    while (seen < rank) {
        MR_ASSERT_SLOW(i < end_a || k < end_b); /* a total is the sum of its buckets */
        bool from_a = k == end_b || (i < end_a && a->buckets[i].key <= b->buckets[k].key);
        const mr_bucket *bucket = from_a ? &a->buckets[i++] : &b->buckets[k++];
        key = bucket->key;
        seen += bucket->count;
    }
    return mr_sketch_value(key);
}

/* ---- registers ---- */

void mr_registers_add(mr_registers *registers, uint64_t identity)
{
    uint64_t hash = mr_hash_u64(identity), rest = hash << MR_REGISTER_BITS;
    uint8_t rank = rest != 0 ? (uint8_t)(__builtin_clzll(rest) + 1) : MR_RANKS - 1;
    uint8_t *at = &registers->ranks[hash >> (64 - MR_REGISTER_BITS)];
    if (*at < rank)
        *at = rank;
}

static double ertl_sigma(double x)
{
    double y = 1.0, z = x, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double ertl_tau(double x)
{
    double y = 1.0, z = 1.0 - x, before;
    if (x == 0.0 || x == 1.0)
        return 0.0;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
    } while (z != before);
    return z / 3.0;
}

double mr_registers_estimate(const mr_registers *registers)
{
    const double m = MR_REGISTER_COUNT;
    uint32_t histogram[MR_RANKS] = {0};
    for (uint32_t i = 0; i < MR_REGISTER_COUNT; i++)
        histogram[registers->ranks[i]]++;
    if (histogram[0] == MR_REGISTER_COUNT)
        return 0.0;
    double z = m * ertl_tau(1.0 - histogram[MR_RANKS - 1] / m);
    for (int k = MR_RANKS - 2; k >= 1; k--)
        z = 0.5 * (z + histogram[k]);
    z += m * ertl_sigma(histogram[0] / m);
    return m * m / (2.0 * 0.693147180559945309417 * z);
}
