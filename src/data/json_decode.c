/* json_decode.c -- JSON lines with care: any order of keys, any blanks, and the reason of every reject.
 *
 * Keys are found through a small table of our own, so that renames cost nothing. The record is read once from left
 * to right; the first mistake ends it. */
#include "data/json_internal.h"

#include "base/utf8.h"
#include "data/encoder.h"

/* ---- keys ---- */

static uint64_t hash_name(const uint8_t *name, size_t size)
{
    uint8_t padded[8] = {0};
    if (size >= 8)
        return mr_json_hash_padded(name, size);
    memcpy(padded, name, size);
    return mr_json_hash_padded(padded, size);
}

int mr_json_find(const mr_decoder *decoder, const uint8_t *name, size_t size)
{
    const mr_json_state *json = &decoder->json;
    for (uint64_t hash = hash_name(name, size);; hash++) {
        uint32_t slot = json->table[hash & json->table_mask];
        if (slot == 0)
            return -1;
        const mr_json_member_key *key = &json->keys[slot - 1];
        if (key->name_size == size && memcmp(key->name, name, size) == 0)
            return (int)slot - 1;
    }
}

static const char *name_in_file(const mr_decoder *decoder, uint32_t field)
{
    for (size_t i = 0; i < decoder->options.rename_count; i++)
        if (strcmp(decoder->options.renames[i].field, decoder->schema->fields[field].name) == 0)
            return decoder->options.renames[i].column;
    return decoder->schema->fields[field].name;
}

static mr_status add_key(mr_decoder *decoder, uint32_t field, mr_error *err)
{
    mr_json_state *json = &decoder->json;
    mr_json_member_key *key = &json->keys[field];
    key->name = name_in_file(decoder, field);
    key->name_size = (uint32_t)strlen(key->name);
    mr_bytes text = {0};
    mr_encode_json_text(key->name, key->name_size, &text);
    mr_bytes_append_byte(&text, ':');
    key->whole = text.failed ? NULL : mr_arena_alloc(&decoder->kept, text.size);
    if (key->whole != NULL) {
        key->size = (uint32_t)text.size;
        memcpy(key->whole, text.data, text.size);
        memcpy(key->text, text.data, MR_MIN(text.size, sizeof key->text));
        key->mask = text.size >= 32 ? UINT32_MAX : ((uint32_t)1 << text.size) - 1;
    }
    mr_bytes_deinit(&text);
    if (key->whole == NULL)
        return MR_OUT_OF_MEMORY(err);
    if (mr_json_find(decoder, (const uint8_t *)key->name, key->name_size) >= 0)
        return MR_FAIL(err, MR_INVALID, "key %s is to fill two fields", key->name);
    uint64_t hash = hash_name((const uint8_t *)key->name, key->name_size);
    while (json->table[hash & json->table_mask] != 0)
        hash++;
    json->table[hash & json->table_mask] = field + 1;
    return MR_OK;
}

static mr_status json_open(mr_decoder *decoder, mr_error *err)
{
    mr_json_state *json = &decoder->json;
    uint32_t slots = 8, count = decoder->field_count;
    while (slots < count * 4)
        slots *= 2;
    json->table_mask = slots - 1;
    json->keys = MR_ARENA_ARRAY(&decoder->kept, mr_json_member_key, count);
    json->followers = MR_ARENA_ARRAY(&decoder->kept, uint32_t, count + 1);
    json->seen = MR_ARENA_ARRAY(&decoder->kept, uint64_t, count);
    json->table = MR_ARENA_ARRAY(&decoder->kept, uint32_t, slots);
    if (json->keys == NULL || json->followers == NULL || json->seen == NULL || json->table == NULL)
        return MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; i < count; i++) {
        json->followers[i] = i;
        MR_TRY(add_key(decoder, i, err));
    }
    return MR_OK;
}

static void json_nothing(mr_decoder *decoder)
{
    (void)decoder; /* all of it lives in the decoder's arena */
}

static mr_status json_begin(mr_decoder *decoder, bool *out_wait, mr_error *err)
{
    (void)decoder;
    (void)err;
    *out_wait = false;
    return MR_OK;
}

/* ---- where a record ends ---- */

static bool json_frame(mr_decoder *decoder, const uint8_t *limit, bool final, mr_record *out)
{
    const uint8_t *from = out->start + decoder->scan.at;
    const uint8_t *lf = from < limit ? memchr(from, '\n', (size_t)(limit - from)) : NULL;
    decoder->scan.at = (size_t)(limit - out->start);
    if (lf == NULL && !final)
        return false;
    out->end = lf != NULL ? lf : limit;
    out->next = lf != NULL ? lf + 1 : limit;
    if (out->end > out->start && out->end[-1] == '\r')
        out->end--;
    return true;
}

/* ---- values ---- */

static const char *kind_of(uint8_t byte)
{
    switch (byte) {
    case '"':
        return "a string";
    case '{':
        return "an object";
    case '[':
        return "an array";
    case 't':
    case 'f':
        return "a bool";
    case 'n':
        return "null";
    default:
        return "a number";
    }
}

/* The field's type and the kind of JSON value do not go together. */
static bool wrong_kind(mr_json_place *c)
{
    const mr_sink *sink = &c->decoder->sinks[c->field];
    size_t size = MR_MIN((size_t)(c->end - c->at), (size_t)MR_MISTAKE_SHOWN_MAX);
    if (strchr("\"{[", *c->at) == NULL)
        size = mr_json_token(c);
    else if (*c->at == '"') {
        const uint8_t *close = size > 1 ? memchr(c->at + 1, '"', size - 1) : NULL;
        size = close != NULL ? (size_t)(close - c->at) + 1 : size;
    }
    const char *wanted = sink->type.id == MR_BOOL     ? "true or false"
                         : sink->type.id == MR_VECTOR ? "an array"
                         : mr_type_is_number(sink->type.id) ||
                                 (sink->type.id == MR_TIMESTAMP && sink->unit != MR_TIME_ISO)
                             ? "a number"
                             : "a string";
    return mr_mistake_value(c->decoder, c->at, c->field, c->at, size, ": %s where %s is wanted",
                            kind_of(*c->at), wanted);
}

static bool put_string(mr_json_place *c)
{
    mr_decoder *decoder = c->decoder;
    mr_sink *sink = &decoder->sinks[c->field];
    const uint8_t *at = c->at;
    size_t before = sink->text_size;
    if (!mr_json_take_text(c, sink))
        return false;
    size_t size = sink->text_size - before;
    if (size > decoder->options.field_bytes_max)
        return mr_mistake_value(decoder, at, c->field, sink->values + before, size,
                                " of %zu bytes; %zu is the limit", size,
                                decoder->options.field_bytes_max);
    mr_sink_end_text(sink, decoder->row_count);
    return true;
}

/* A string that stands for a value of another type: timestamp, base64, NaN. */
static bool put_quoted(mr_json_place *c)
{
    mr_decoder *decoder = c->decoder;
    mr_type_id type = decoder->sinks[c->field].type.id;
    const uint8_t *at = c->at;
    decoder->scratch.text_size = 0;
    if (type != MR_TIMESTAMP && type != MR_BYTES && type != MR_FLOAT32 && type != MR_FLOAT64)
        return wrong_kind(c);
    if (!mr_json_take_text(c, &decoder->scratch))
        return false;
    const char *text = (const char *)decoder->scratch.values;
    size_t size = decoder->scratch.text_size;
    double special;
    if ((type == MR_FLOAT32 || type == MR_FLOAT64) &&
        !(decoder->options.allow_nonfinite && mr_value_nonfinite(text, size, &special))) {
        c->at = at;
        return wrong_kind(c);
    }
    return mr_value_put(decoder, c->field, text, size, at);
}

/* An array up to its bracket; what is in it is the vector's business. */
static bool put_array(mr_json_place *c)
{
    const uint8_t *at = c->at;
    if (c->decoder->sinks[c->field].type.id != MR_VECTOR)
        return wrong_kind(c);
    const uint8_t *close = memchr(at, ']', (size_t)(c->end - at));
    if (close == NULL)
        return mr_mistake_make(c->decoder, c->end, c->field, "the line ends inside an array");
    c->at = close + 1;
    return mr_value_put(c->decoder, c->field, (const char *)at, (size_t)(c->at - at), at);
}

static bool put_token(mr_json_place *c)
{
    mr_decoder *decoder = c->decoder;
    const mr_sink *sink = &decoder->sinks[c->field];
    const uint8_t *at = c->at;
    size_t size = mr_json_token(c);
    bool whole = false, number = mr_json_is_number(at, size, &whole);
    bool truth =
        (size == 4 && memcmp(at, "true", 4) == 0) || (size == 5 && memcmp(at, "false", 5) == 0);
    if (size == 4 && memcmp(at, "null", 4) == 0) {
        if (!sink->nullable)
            return mr_mistake_value(decoder, at, c->field, at, size, ": the field may not be NULL");
        c->at += size;
        mr_sink_null(&decoder->sinks[c->field], decoder->row_count);
        return true;
    }
    if (size == 0)
        return mr_mistake_make(decoder, at, c->field,
                               at < c->end ? "a value is missing" : "the line ends before a value");
    if (!number && !truth)
        return mr_mistake_value(decoder, at, c->field, at, size, ", and no JSON value");
    bool fits = sink->type.id == MR_BOOL
                    ? truth
                    : number && (mr_type_is_number(sink->type.id) ||
                                 (sink->type.id == MR_TIMESTAMP && sink->unit != MR_TIME_ISO));
    if (!fits)
        return wrong_kind(c);
    c->at += size;
    return mr_value_put(decoder, c->field, (const char *)at, size, at);
}

static bool put_value(mr_json_place *c)
{
    mr_json_blanks(c);
    uint8_t byte = c->at < c->end ? *c->at : 0;
    if (byte == '"')
        return c->decoder->sinks[c->field].type.id == MR_STRING ? put_string(c) : put_quoted(c);
    if (byte == '{')
        return wrong_kind(c);
    return byte == '[' ? put_array(c) : put_token(c);
}

/* ---- the object ---- */

/* At a key's quote: the field it names, -1 for others, behind the colon. */
static bool take_key(mr_json_place *c, int *out_field)
{
    mr_decoder *decoder = c->decoder;
    const uint8_t *at = c->at;
    decoder->scratch.text_size = 0;
    if (!mr_json_take_text(c, &decoder->scratch))
        return false;
    int field = *out_field =
        mr_json_find(decoder, decoder->scratch.values, decoder->scratch.text_size);
    if (field >= 0 && decoder->json.seen[field] == decoder->json.record)
        return mr_mistake_make(decoder, at, field, "key %.100s stands in the object twice",
                               decoder->json.keys[field].name);
    if (field >= 0)
        decoder->json.seen[field] = decoder->json.record;
    mr_json_blanks(c);
    if (c->at >= c->end || *c->at != ':')
        return mr_mistake_make(decoder, c->at, -1,
                               c->at == c->end ? "the line ends behind a key"
                                               : "':' is wanted behind a key");
    c->at++;
    return true;
}

static bool take_member(mr_json_place *c)
{
    int field;
    mr_json_blanks(c);
    if (c->at >= c->end || *c->at != '"')
        return mr_mistake_make(c->decoder, c->at, -1,
                               c->at == c->end ? "the line ends inside the object"
                                               : "a key in quotes is wanted");
    if (!take_key(c, &field))
        return false;
    c->field = field;
    bool good = field >= 0 ? put_value(c) : mr_json_skip_value(c);
    c->field = -1;
    return good;
}

/* NULL for the fields without a key; `brace` is where a missing one is missed. */
static bool put_missing(mr_decoder *decoder, const uint8_t *brace)
{
    for (uint32_t i = 0; i < decoder->field_count; i++) {
        if (decoder->json.seen[i] == decoder->json.record)
            continue;
        if (decoder->options.columns_required || !decoder->sinks[i].nullable)
            return mr_mistake_make(
                decoder, brace, (int)i, "key %.100s is missing, and the field may not be %s",
                decoder->json.keys[i].name, decoder->sinks[i].nullable ? "left out" : "NULL");
        mr_sink_null(&decoder->sinks[i], decoder->row_count);
    }
    return true;
}

static bool take_object(mr_json_place *c)
{
    if (*c->at != '{') {
        char shown[160];
        mr_utf8_quote(c->at, (size_t)(c->end - c->at), MR_MISTAKE_SHOWN_MAX, shown, sizeof shown);
        return mr_mistake_make(c->decoder, c->at, -1, "an object is wanted, not %s", shown);
    }
    c->at++;
    mr_json_blanks(c);
    bool more = c->at >= c->end || *c->at != '}';
    while (more) {
        if (!take_member(c))
            return false;
        mr_json_blanks(c);
        more = c->at < c->end && *c->at == ',';
        c->at += more;
    }
    if (c->at >= c->end || *c->at != '}')
        return mr_mistake_make(c->decoder, c->at, -1,
                               c->at == c->end ? "the line ends inside the object"
                                               : "',' or '}' is wanted");
    const uint8_t *brace = c->at++;
    mr_json_blanks(c);
    if (c->at < c->end)
        return mr_mistake_make(c->decoder, c->at, -1,
                               "something follows the object; one object a line");
    return put_missing(c->decoder, brace);
}

static mr_step json_careful(mr_decoder *decoder, const mr_record *record)
{
    mr_json_place c = {decoder, record->start, record->end, -1};
    decoder->json.record++;
    mr_json_blanks(&c);
    if (c.at == c.end)
        return MR_STEP_BLANK;
    return take_object(&c) ? MR_STEP_ROW : MR_STEP_REJECT;
}

/* In a record that was good: the value of the field, or the closing brace. */
static const uint8_t *json_locate(mr_decoder *decoder, const mr_record *record, int field)
{
    mr_json_place c = {decoder, record->start, record->end, -1};
    int found = -1;
    decoder->json.record++;
    mr_json_blanks(&c);
    c.at++;
    for (;;) {
        mr_json_blanks(&c);
        if (*c.at == '}' || !take_key(&c, &found))
            return c.at;
        mr_json_blanks(&c);
        if (found == field || !mr_json_skip_value(&c))
            return c.at;
        mr_json_blanks(&c);
        c.at += *c.at == ',';
    }
}

const mr_decoder_kind mr_decoder_jsonl = {
    .name = "jsonl",
    .open = json_open,
    .close = json_nothing,
    .begin = json_begin,
    .restart = json_nothing,
    .fast = mr_json_fast,
    .frame = json_frame,
    .careful = json_careful,
    .locate = json_locate,
};
