/* json_internal.h -- the pieces of JSON that both paths use: strings, values that are skipped, keys. */
#ifndef MR_DATA_JSON_INTERNAL_H
#define MR_DATA_JSON_INTERNAL_H

#include "base/number_internal.h"
#include "data/decoder_internal.h"

/* A place in one record; never moves beyond `end`. Failures are mistakes of the decoder, about `field`. */
typedef struct mr_json_place {
    mr_decoder *decoder;
    const uint8_t *at, *end;
    int field;
} mr_json_place;

/* Blanks but LF, which ends the record. */
static inline void mr_json_blanks(mr_json_place *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

/* At an opening quote: appends the decoded text to `to` (NULL: only checks it) and moves behind the closing quote. */
bool mr_json_take_text(mr_json_place *c, mr_sink *to);
/* Any value: checked and passed. */
bool mr_json_skip_value(mr_json_place *c);
/* Bytes of a token that is no string, array or object: up to a blank, comma, bracket or the end. */
size_t mr_json_token(const mr_json_place *c);
/* The token is a number by JSON's grammar; *out_whole: without point and exponent. */
bool mr_json_is_number(const uint8_t *token, size_t size, bool *out_whole);
/* A name by its length and its first, middle and last eight bytes; 8 bytes may be read behind its start. Without a
 * branch: where keys come in any order their lengths cannot be foreseen. */
static inline uint64_t mr_json_hash_padded(const uint8_t *name, size_t size)
{
    size_t most = size < 8 ? size : 8;
    uint64_t mask = most > 0 ? UINT64_MAX >> (64 - 8 * most) : 0;
    uint64_t hash = ((mr_number_load8(name) & mask) ^ size) * 0x9e3779b97f4a7c15u +
                    (mr_number_load8(name + size - most) & mask) * 0xbf58476d1ce4e5b9u +
                    (mr_number_load8(name + (size - most) / 2) & mask) * 0x94d049bb133111ebu;
    return hash ^ hash >> 32;
}

/* The field with that name in the file, -1: none. */
int mr_json_find(const mr_decoder *decoder, const uint8_t *name, size_t size);

#endif
