/* distinct.c -- how many values are different: exact sets, registers, and unions of both. Thread: the slot's worker. */
#include "feature/table.h"

#include "base/assert.h"
#include "base/hash.h"

#include <math.h>
#include <string.h>

/* ---- registers ---- */

void mr_registers_add(mr_registers *registers, uint64_t identity)
{
    uint64_t hash = mr_hash_u64(identity), rest = hash << MR_REGISTER_BITS;
    uint8_t rank = rest != 0 ? (uint8_t)(__builtin_clzll(rest) + 1) : MR_RANKS - 1;
    uint8_t *at = &registers->ranks[hash >> (64 - MR_REGISTER_BITS)];
    if (*at < rank)
        *at = rank;
}

void mr_registers_merge(mr_registers *to, const mr_registers *from)
{
    for (int i = 0; i < MR_REGISTER_COUNT; i++)
        to->ranks[i] = MR_MAX(to->ranks[i], from->ranks[i]);
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

/* ---- a set, or registers ---- */

enum { IDENTITIES_MIN = 4 };

static size_t distinct_bytes(uint32_t capacity)
{
    size_t identities = capacity > 0 ? capacity : MR_DISTINCT_MAX;
    return sizeof(mr_distinct) + identities * sizeof(uint64_t);
}

static uint32_t distinct_find(const mr_distinct *distinct, uint64_t identity)
{
    uint32_t low = 0, high = distinct->used;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (distinct->identities[middle] < identity)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool mr_distinct_holds(const mr_distinct *distinct, uint64_t identity)
{
    uint32_t at = distinct != NULL ? distinct_find(distinct, identity) : 0;
    return distinct != NULL && at < distinct->used && distinct->identities[at] == identity;
}

static mr_registers *registers_of(mr_distinct *distinct)
{
    return (mr_registers *)(void *)distinct->identities;
}

void mr_distinct_free(mr_slot *slot, mr_distinct **distinct)
{
    if (*distinct != NULL)
        mr_slot_free(slot, *distinct, distinct_bytes((*distinct)->capacity));
    *distinct = NULL;
}

static mr_status distinct_grow(mr_slot *slot, mr_distinct **distinct, uint32_t max, mr_error *err)
{
    mr_distinct *old = *distinct;
    uint32_t capacity = old != NULL ? MR_MIN(2 * old->capacity, max) : MR_MIN(IDENTITIES_MIN, max);
    mr_distinct *made = mr_slot_alloc(slot, distinct_bytes(capacity));
    if (made == NULL)
        return MR_OUT_OF_MEMORY(err);
    *made = (mr_distinct){.capacity = capacity};
    if (old != NULL) {
        made->used = old->used;
        memcpy(made->identities, old->identities, old->used * sizeof *old->identities);
    }
    mr_distinct_free(slot, distinct);
    *distinct = made;
    return MR_OK;
}

static mr_status distinct_spread_out(mr_slot *slot, mr_distinct **distinct, mr_error *err)
{
    mr_distinct *made = mr_slot_alloc(slot, distinct_bytes(0));
    if (made == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(made, 0, distinct_bytes(0));
    mr_distinct_spread(*distinct, registers_of(made));
    mr_distinct_free(slot, distinct);
    *distinct = made;
    return MR_OK;
}

mr_status mr_distinct_add(mr_slot *slot, mr_distinct **distinct, uint64_t identity, uint32_t max,
                          mr_error *err)
{
    MR_ASSERT(max >= 1 && max <= MR_DISTINCT_MAX);
    if (*distinct == NULL)
        MR_TRY(distinct_grow(slot, distinct, max, err));
    if ((*distinct)->capacity > 0) {
        uint32_t at = distinct_find(*distinct, identity), used = (*distinct)->used;
        if (at < used && (*distinct)->identities[at] == identity)
            return MR_OK;
        if (used < max) {
            if (used == (*distinct)->capacity)
                MR_TRY(distinct_grow(slot, distinct, max, err));
            uint64_t *place = &(*distinct)->identities[at];
            memmove(place + 1, place, (used - at) * sizeof *place);
            *place = identity;
            (*distinct)->used++;
            return MR_OK;
        }
        MR_TRY(distinct_spread_out(slot, distinct, err));
    }
    mr_registers_add(registers_of(*distinct), identity);
    return MR_OK;
}

mr_status mr_distinct_of_ranks(mr_slot *slot, mr_distinct **distinct, const uint8_t *ranks,
                               mr_error *err)
{
    MR_TRY(distinct_spread_out(slot, distinct, err));
    memcpy(registers_of(*distinct)->ranks, ranks, MR_REGISTER_COUNT);
    return MR_OK;
}

void mr_distinct_spread(const mr_distinct *distinct, mr_registers *to)
{
    const mr_registers *registers = mr_distinct_registers(distinct);
    if (registers != NULL)
        mr_registers_merge(to, registers);
    for (uint32_t i = 0; registers == NULL && distinct != NULL && i < distinct->used; i++)
        mr_registers_add(to, distinct->identities[i]);
}

/* ---- unions ---- */

static void union_forget(mr_slot *slot, mr_union *of)
{
    if (of->registers != NULL)
        mr_slot_free(slot, of->registers, sizeof *of->registers);
    of->registers = NULL;
}

mr_status mr_union_add(mr_slot *slot, mr_union *to, const mr_distinct *part, mr_error *err)
{
    if (part == NULL)
        return MR_OK;
    if (to->registers != NULL)
        mr_distinct_spread(part, to->registers);
    if (mr_distinct_registers(part) != NULL)
        to->inexact_count++;
    else
        for (uint32_t i = 0; i < part->used; i++)
            MR_TRY(mr_values_add(slot, &to->values, part->identities[i], NULL, 1, err));
    return MR_OK;
}

void mr_union_subtract(mr_slot *slot, mr_union *from, const mr_distinct *part)
{
    if (part == NULL)
        return;
    union_forget(slot, from);
    if (mr_distinct_registers(part) != NULL)
        from->inexact_count--;
    else
        for (uint32_t i = 0; i < part->used; i++)
            mr_values_subtract(slot, &from->values, part->identities[i], 1);
}

void mr_union_free(mr_slot *slot, mr_union *of)
{
    union_forget(slot, of);
    mr_values_free(slot, &of->values);
    of->inexact_count = 0;
}
