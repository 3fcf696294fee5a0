/* csv_encode.c -- rows as CSV: quotes only where they are needed, and "" for the text that is empty
 * but there.
 *
 * A field that starts with a byte order mark is quoted, as the first one of a file would lose it.
 */
#include "data/encoder_internal.h"

#include "base/assert.h"

static bool needs_quotes(const uint8_t *text, size_t size, uint8_t delimiter)
{
    if (size == 0 || text[0] == 0xef)
        return true;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '"' || text[i] == delimiter || text[i] == '\n' || text[i] == '\r')
            return true;
    return false;
}

static void append_quoted(const uint8_t *text, size_t size, mr_bytes *out)
{
    mr_encode_byte(out, '"');
    while (size > 0) {
        const uint8_t *quote = memchr(text, '"', size);
        size_t piece = quote != NULL ? (size_t)(quote - text) + 1 : size;
        mr_encode_copy(out, text, piece);
        if (quote != NULL)
            mr_encode_byte(out, '"');
        text += piece;
        size -= piece;
    }
    mr_encode_byte(out, '"');
}

void mr_encode_csv_text(const void *text, size_t size, char delimiter, mr_bytes *out)
{
    if (needs_quotes(text, size, (uint8_t)delimiter))
        append_quoted(text, size, out);
    else
        mr_encode_copy(out, text, size);
}

static void append_bytes(mr_text text, mr_bytes *out)
{
    if (text.size == 0)
        mr_encode_copy(out, "\"\"", 2);
    mr_encode_base64(text, out);
}

static void append_vector(const mr_column *column, size_t row, mr_bytes *out)
{
    uint32_t width = column->type.width;
    if (width > 1)
        mr_encode_byte(out, '"');
    mr_encode_vector((const float *)column->values + row * width, width, "", out);
    if (width > 1)
        mr_encode_byte(out, '"');
}

/* Words and numbers hold no special byte but '.', '-', '+', ':' and '@', which are no delimiters
 * (decoder.c). */
static void append_plain(const mr_column *column, size_t row, mr_bytes *out)
{
    char *room = mr_encode_room(out, MR_ENCODE_VALUE_MAX);
    if (room != NULL)
        out->size += mr_encode_plain(column, row, room);
}

static void append_value(const mr_column *column, size_t row, char delimiter, mr_bytes *out)
{
    if (mr_column_is_null(column, row))
        return;
    mr_text text = {NULL, 0};
    if (mr_type_is_text(column->type.id))
        text = mr_column_text(column, row);
    switch (column->type.id) {
    case MR_STRING:
        mr_encode_csv_text(text.bytes, text.size, delimiter, out);
        return;
    case MR_BYTES:
        append_bytes(text, out);
        return;
    case MR_VECTOR:
        append_vector(column, row, out);
        return;
    default:
        append_plain(column, row, out);
    }
}

void mr_encode_csv_rows(const mr_batch *batch, size_t first, size_t count, char delimiter,
                        mr_bytes *out)
{
    for (size_t row = first; row < first + count; row++) {
        for (uint32_t i = 0; i < batch->schema->field_count; i++) {
            if (i > 0)
                mr_encode_byte(out, delimiter);
            append_value(&batch->columns[i], row, delimiter, out);
        }
        mr_encode_byte(out, '\n');
    }
}
