/* json_encode.c -- rows as JSON lines, and single JSON values.
 *
 * Texts are copied in runs; only quotes, backslashes and control characters are escaped (RFC 8259,
 * section 7). */
#include "data/encoder_internal.h"

#include "base/assert.h"
#include "base/utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define KEY_PAD 16

static bool is_special(uint8_t byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x80;
}

/* Bytes at the start that are ASCII and need no escape. */
static size_t plain_run(const uint8_t *text, size_t size)
{
    size_t at = 0;
#ifdef __SSE2__
    for (; size - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(text + at));
        /* Signed comparison: bytes from 0x80 on are below 0x20 as well. */
        __m128i low = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));
        __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
        __m128i slash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
        int mask = _mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, slash)));
        if (mask != 0)
            return at + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (at < size && !is_special(text[at]))
        at++;
    return at;
}

static void append_escape(uint8_t byte, mr_bytes *out)
{
    static const char named[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\",
                      hex[] = "0123456789abcdef";
    const char *name = byte != 0 ? strchr(named, byte) : NULL;
    char escape[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    if (name != NULL)
        escape[1] = letters[name - named];
    mr_encode_copy(out, escape, name != NULL ? 2 : 6);
}

/* One character that plain_run stopped at; returns how many bytes it took. */
static size_t append_special(const uint8_t *text, size_t size, mr_bytes *out)
{
    if (text[0] < 0x80) {
        append_escape(text[0], out);
        return 1;
    }
    uint32_t code;
    size_t step = mr_utf8_decode(text, size, &code);
    mr_encode_copy(out, step > 0 ? (const char *)text : "\xef\xbf\xbd", step > 0 ? step : 3);
    return step > 0 ? step : 1;
}

void mr_encode_json_text(const void *text, size_t size, mr_bytes *out)
{
    const uint8_t *next = text, *end = next != NULL ? next + size : NULL;
    mr_encode_byte(out, '"');
    while (next < end) {
        size_t run = plain_run(next, (size_t)(end - next));
        mr_encode_copy(out, next, run);
        next += run;
        if (next < end)
            next += append_special(next, (size_t)(end - next), out);
    }
    mr_encode_byte(out, '"');
}

static bool is_finite_text(const char *text, size_t size)
{
    return (text[0] >= '0' && text[0] <= '9') || (size > 1 && text[0] == '-' && text[1] <= '9');
}

static void append_plain(const mr_column *column, size_t row, mr_bytes *out)
{
    char *room = mr_encode_room(out, MR_ENCODE_VALUE_MAX);
    if (room == NULL)
        return;
    size_t size = mr_encode_plain(column, row, room + 1);
    bool quoted = column->type.id == MR_TIMESTAMP ||
                  (column->type.id != MR_BOOL && !is_finite_text(room + 1, size));
    if (quoted) {
        room[0] = room[size + 1] = '"';
        out->size += size + 2;
    } else {
        memmove(room, room + 1, size);
        out->size += size;
    }
}

void mr_encode_json_value(const mr_column *column, size_t row, mr_bytes *out)
{
    if (mr_column_is_null(column, row)) {
        mr_encode_copy(out, "null", 4);
        return;
    }
    mr_text text = {NULL, 0};
    if (mr_type_is_text(column->type.id))
        text = mr_column_text(column, row);
    switch (column->type.id) {
    case MR_STRING:
        mr_encode_json_text(text.bytes, text.size, out);
        return;
    case MR_BYTES:
        mr_encode_byte(out, '"');
        mr_encode_base64(text, out);
        mr_encode_byte(out, '"');
        return;
    case MR_VECTOR:
        mr_encode_vector((const float *)column->values + row * column->type.width,
                         column->type.width, "\"", out);
        return;
    default:
        append_plain(column, row, out);
    }
}

/* All keys behind each other, as they stand before each value: {"a": ,"b": ... */
static void write_keys(const mr_schema *schema, mr_bytes *keys, mr_bytes *ends)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        mr_encode_byte(keys, i == 0 ? '{' : ',');
        mr_encode_json_text(schema->fields[i].name, strlen(schema->fields[i].name), keys);
        mr_encode_byte(keys, ':');
        mr_bytes_append_u32(ends, (uint32_t)keys->size);
    }
    char *pad = mr_encode_room(keys, KEY_PAD);
    if (pad != NULL)
        memset(pad, 0, KEY_PAD);
}

static uint32_t key_end(const mr_bytes *ends, uint32_t field)
{
    uint32_t end;
    memcpy(&end, ends->data + field * sizeof end, sizeof end);
    return end;
}

/* Keys are short and padded: whole blocks of 16 bytes, the last one beyond the end. */
static void copy_key(mr_bytes *out, const uint8_t *key, size_t size)
{
    char *room = mr_encode_room(out, size + KEY_PAD);
    if (room == NULL)
        return;
    for (size_t at = 0; at < size; at += KEY_PAD)
        memcpy(room + at, key + at, KEY_PAD);
    out->size += size;
}

void mr_encode_json_rows(const mr_batch *batch, size_t first, size_t count, mr_bytes *out)
{
    mr_bytes keys = {0}, ends = {0};
    write_keys(batch->schema, &keys, &ends);
    out->failed |= keys.failed || ends.failed;
    for (size_t row = first; row < first + count && !out->failed; row++) {
        uint32_t start = 0;
        for (uint32_t i = 0; i < batch->schema->field_count; i++) {
            uint32_t end = key_end(&ends, i);
            copy_key(out, keys.data + start, end - start);
            mr_encode_json_value(&batch->columns[i], row, out);
            start = end;
        }
        mr_encode_copy(out, "}\n", 2);
    }
    mr_bytes_deinit(&keys);
    mr_bytes_deinit(&ends);
}
