/* table.c -- counts of values, all of them or the most frequent. Thread: the slot's worker. */
#include "feature/table.h"

#include "base/assert.h"
#include "feature/feature_internal.h"

#include <stdlib.h>

enum { VALUES_LOG2_MIN = 2 };

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

/* A table of that size with what is left of each count; others go with their texts. */
static mr_status values_resize(mr_slot *slot, mr_values **values, uint32_t log2, uint64_t less,
                               mr_error *err)
{
    mr_values *old = *values;
    mr_values *made = mr_slot_alloc(slot, values_bytes(log2));
    if (made == NULL)
        return MR_OUT_OF_MEMORY(err);
    memset(made, 0, values_bytes(log2));
    made->log2 = log2;
    for (uint32_t i = 0; i < mr_values_places(old); i++) {
        mr_value_count item = old->places[i];
        if (item.count > less) {
            item.count -= less;
            made->places[values_find(made, item.identity)] = item;
            made->used++;
        } else {
            text_destroy(slot, item.text);
        }
    }
    if (old != NULL)
        mr_slot_free(slot, old, values_bytes(old->log2));
    *values = made;
    return MR_OK;
}

mr_status mr_values_add(mr_slot *slot, mr_values **values, uint64_t identity, const mr_text *text,
                        uint64_t by, mr_error *err)
{
    if (*values == NULL || (*values)->used + 1 > (3u << (*values)->log2) / 4)
        MR_TRY(values_resize(slot, values, *values != NULL ? (*values)->log2 + 1 : VALUES_LOG2_MIN,
                             0, err));
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

static uint64_t least_count(const mr_values *values)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < mr_values_places(values); i++)
        if (values->places[i].count > 0)
            least = MR_MIN(least, values->places[i].count);
    return least;
}

/* Each fall takes (max + 1) times what it is from the sum of all counts, so falls are rare and small. */
mr_status mr_values_add_top(mr_slot *slot, mr_values **values, uint64_t identity,
                            const mr_text *text, uint64_t by, uint32_t max, mr_error *err)
{
    if (*values == NULL || (*values)->used < max || mr_values_count(*values, identity) > 0)
        return mr_values_add(slot, values, identity, text, by, err);
    uint64_t fall = MR_MIN(least_count(*values), by);
    MR_TRY(values_resize(slot, values, (*values)->log2, fall, err));
    if (by > fall)
        return mr_values_add(slot, values, identity, text, by - fall, err);
    if ((*values)->used == 0)
        mr_values_free(slot, values);
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
    uint32_t used = --(*values)->used, log2 = (*values)->log2;
    if (used == 0)
        mr_values_free(slot, values);
    else if (log2 > VALUES_LOG2_MIN && used < 1u << (log2 - 3))
        (void)values_resize(slot, values, log2 - 1, 0, NULL); /* without memory it stays as it is */
}

void mr_values_subtract(mr_slot *slot, mr_values **values, uint64_t identity, uint64_t by)
{
    MR_ASSERT(*values != NULL);
    uint32_t at = values_find(*values, identity);
    mr_value_count *place = &(*values)->places[at];
    MR_ASSERT(place->count >= by);
    place->count -= by;
    if (place->count == 0)
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

static int by_identity(const void *a, const void *b)
{
    uint64_t left = ((const mr_value_count *)a)->identity,
             right = ((const mr_value_count *)b)->identity;
    return (left > right) - (left < right);
}

void mr_values_sorted(const mr_values *values, mr_bytes *out)
{
    for (uint32_t i = 0; i < mr_values_places(values); i++)
        if (values->places[i].count > 0)
            mr_bytes_append(out, &values->places[i], sizeof values->places[i]);
    if (!out->failed && out->size > sizeof *values->places)
        qsort(out->data, out->size / sizeof *values->places, sizeof *values->places, by_identity);
}
