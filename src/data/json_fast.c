/* json_fast.c -- JSON lines as they mostly are: keys in the order of the record before, no blanks but one behind a colon
 * or comma, values as machines write them.
 *
 * The next key is guessed as the one that followed last time and compared as a whole, quotes and colon included, in
 * one or two 16-byte comparisons; only a wrong guess costs a search. No index of the structure is made first.
 * Whatever is unusual undoes the row and leaves it to the careful path. */
#include "data/decoder_fast.h"
#include "data/json_internal.h"

#include "base/utf8.h"

#define MISSES_MAX 2 /* wrong guesses in a record before guessing is given up for it */

typedef struct row_reader {
    mr_decoder *decoder;
    uint32_t row;
    bool zone_required;
} row_reader;

/* ---- keys ---- */

#ifdef __SSE2__
/* Bit i: byte i of the 16 differs. */
static inline unsigned differ16(const uint8_t *a, const uint8_t *b)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
    __m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) ^ 0xffffu;
}
#endif

/* Most guesses fail, if they do, in the first 16 bytes. */
static inline bool key_matches(const mr_json_member_key *key, const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
    if ((differ16(p, key->text) & key->mask) != 0)
        return false;
    if (MR_LIKELY(key->size <= MR_JSON_KEY_BYTES))
        return (differ16(p + 16, key->text + 16) << 16 & key->mask) == 0;
#endif
    return (size_t)(end - p) >= key->size && memcmp(p, key->whole, key->size) == 0;
}

/* The field of a key that was not guessed, behind its colon; -1 with NULL when it is not simple. */
static const uint8_t *find_key(const row_reader *r, const uint8_t *p, int *out_field)
{
    if (*p != '"')
        return NULL;
    const uint8_t *name = p + 1;
    for (p = name;; p += MR_FAST_STEP) {
        mr_fast_stop stop = mr_fast_json_stops(p);
        if (stop.stops != 0) {
            p += __builtin_ctz(stop.stops);
            break;
        }
    }
    if (p[0] != '"' || p[1] != ':')
        return NULL;
    const mr_json_state *json = &r->decoder->json;
    size_t size = (size_t)(p - name);
    for (uint64_t hash = mr_json_hash_padded(name, size);; hash++) {
        uint32_t slot = json->table[hash & json->table_mask];
        if (slot == 0)
            break;
        *out_field = (int)slot - 1;
        if (key_matches(&json->keys[slot - 1], name - 1, r->decoder->window + r->decoder->end))
            return p + 2;
    }
    *out_field = -1;
    return mr_utf8_is_valid(name, size) ? p + 2 : NULL;
}

/* ---- values ---- */

static const uint8_t *put_text_slow(const row_reader *r, mr_sink *sink, const uint8_t *quote)
{
    mr_json_place c = {r->decoder, quote, r->decoder->window + r->decoder->end, -1};
    return mr_json_take_text(&c, sink) ? c.at : NULL;
}

static inline const uint8_t *put_text(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    const uint8_t *quote = p;
    size_t start = sink->text_size;
    unsigned high = 0;
    if (*p++ != '"')
        return NULL;
    for (;; p += MR_FAST_STEP) {
        if (MR_UNLIKELY(!mr_sink_room(sink, MR_FAST_STEP)))
            return NULL;
        mr_fast_stop stop = mr_fast_json_stops(p);
        mr_fast_copy16(sink->values + sink->text_size, p);
        if (stop.stops != 0) {
            unsigned run = (unsigned)__builtin_ctz(stop.stops);
            high |= stop.high & ((1u << run) - 1);
            sink->text_size += run;
            p += run;
            break;
        }
        high |= stop.high;
        sink->text_size += MR_FAST_STEP;
    }
    if (MR_UNLIKELY(*p != '"')) {
        sink->text_size = start;
        p = put_text_slow(r, sink, quote);
        if (p == NULL)
            return NULL;
    } else {
        if (MR_UNLIKELY(high != 0) &&
            !mr_utf8_is_valid(sink->values + start, sink->text_size - start))
            return NULL;
        p++;
    }
    if (MR_UNLIKELY(sink->text_size - start > r->decoder->options.field_bytes_max))
        return NULL;
    mr_sink_end_text(sink, r->row);
    return p;
}

static const uint8_t *put_time(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    int64_t us;
    bool quoted = *p == '"';
    if (!quoted && (sink->unit == MR_TIME_ISO || mr_fast_leads_with_zero(p)))
        return NULL;
    const uint8_t *behind =
        quoted ? mr_fast_instant(sink, p + 1, r->zone_required, &us) : mr_fast_epoch(sink, p, &us);
    if (behind == NULL || (quoted && *behind != '"'))
        return NULL;
    mr_sink_int64(sink, r->row, us);
    return behind + quoted;
}

static inline const uint8_t *put_bool(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    if (memcmp(p, "true", 4) == 0) {
        mr_bit_set(sink->values, r->row);
        return p + 4;
    }
    return memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
}

static inline const uint8_t *put_value(const row_reader *r, mr_sink *sink, const uint8_t *p)
{
    int64_t whole;
    double wide;
    float narrow;
    if (MR_UNLIKELY(*p == 'n')) {
        if (!sink->nullable || memcmp(p, "null", 4) != 0)
            return NULL;
        mr_sink_null(sink, r->row);
        return p + 4;
    }
    switch (sink->type.id) {
    case MR_STRING:
        return put_text(r, sink, p);
    case MR_INT64:
        if (mr_fast_leads_with_zero(p) || (p = mr_fast_int64(p, &whole)) == NULL)
            return NULL;
        mr_sink_int64(sink, r->row, whole);
        return p;
    case MR_FLOAT64:
        if (mr_fast_leads_with_zero(p) || (p = mr_fast_float64(p, &wide)) == NULL)
            return NULL;
        mr_sink_float64(sink, r->row, wide);
        return p;
    case MR_TIMESTAMP:
        return put_time(r, sink, p);
    case MR_BOOL:
        return put_bool(r, sink, p);
    case MR_INT32:
        if (mr_fast_leads_with_zero(p) || (p = mr_fast_int64(p, &whole)) == NULL ||
            whole < INT32_MIN || whole > INT32_MAX)
            return NULL;
        mr_sink_int32(sink, r->row, (int32_t)whole);
        return p;
    case MR_FLOAT32:
        if (mr_fast_leads_with_zero(p) || (p = mr_fast_float32(p, &narrow)) == NULL)
            return NULL;
        mr_sink_float32(sink, r->row, narrow);
        return p;
    case MR_VECTOR:
        return mr_fast_vector(p, mr_sink_vector(sink, r->row), sink->type.width);
    default: /* bytes */
        return NULL;
    }
}

static const uint8_t *skip_value(const row_reader *r, const uint8_t *p)
{
    mr_json_place c = {r->decoder, p, r->decoder->window + r->decoder->end, -1};
    return mr_json_skip_value(&c) ? c.at : NULL;
}

/* ---- rows ---- */

/* The members of an object, from behind its brace to behind the closing one. */
static inline const uint8_t *put_members(const row_reader *r, const uint8_t *p, uint32_t *out_count)
{
    mr_decoder *decoder = r->decoder;
    mr_json_state *json = &decoder->json;
    const uint8_t *end = decoder->window + decoder->end;
    unsigned misses = 0;
    uint32_t before = 0, count = 0; /* before: 1 + the field behind which we are, 0 at the start */
    uint64_t record = ++json->record;
    for (;;) {
        int field = (int)json->followers[before];
        p += *p == ' ';
        if (MR_LIKELY(misses < MISSES_MAX && key_matches(&json->keys[field], p, end))) {
            p += json->keys[field].size;
        } else {
            misses++;
            p = find_key(r, p, &field);
            if (p == NULL)
                return NULL;
            if (field >= 0)
                json->followers[before] = (uint32_t)field;
        }
        p += *p == ' ';
        if (field < 0) {
            p = skip_value(r, p);
        } else {
            if (json->seen[field] == record)
                return NULL;
            json->seen[field] = record;
            before = (uint32_t)field + 1;
            count++;
            p = put_value(r, &decoder->sinks[field], p);
        }
        if (p == NULL)
            return NULL;
        if (*p != ',')
            break;
        p++;
    }
    *out_count = count;
    return *p == '}' ? p + 1 : NULL;
}

static bool put_missing(const row_reader *r)
{
    mr_decoder *decoder = r->decoder;
    for (uint32_t i = 0; i < decoder->field_count; i++) {
        if (decoder->json.seen[i] == decoder->json.record)
            continue;
        if (decoder->options.columns_required || !decoder->sinks[i].nullable)
            return false;
        mr_sink_null(&decoder->sinks[i], r->row);
    }
    return true;
}

static inline const uint8_t *put_row(const row_reader *r, const uint8_t *p)
{
    uint32_t count;
    if (*p != '{')
        return NULL;
    p = put_members(r, p + 1, &count);
    if (p == NULL)
        return NULL;
    p += *p == '\r';
    if (*p != '\n' || (count < r->decoder->field_count && !put_missing(r)))
        return NULL;
    return p + 1;
}

void mr_json_fast(mr_decoder *decoder)
{
    row_reader r = {decoder, decoder->row_count, decoder->options.zone_required};
    const uint8_t *p = decoder->window + decoder->start, *end = decoder->window + decoder->end;
    size_t most = decoder->options.record_bytes_max;
    while (p < end && r.row < decoder->rows_max &&
           (size_t)(p - decoder->window) - decoder->batch_start < MR_BATCH_SPAN_MAX) {
        const uint8_t *next = put_row(&r, p);
        if (next == NULL || (size_t)(next - p) > most) {
            for (uint32_t i = 0; i < decoder->field_count; i++)
                mr_sink_undo(&decoder->sinks[i], r.row);
            break;
        }
        decoder->row_starts[r.row] = (size_t)(p - decoder->window);
        decoder->row_lines[r.row] = decoder->line++;
        r.row++;
        p = next;
    }
    decoder->row_count = r.row;
    decoder->start = (size_t)(p - decoder->window);
}
