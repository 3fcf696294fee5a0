/* encoder.c -- the choice of format, and the values both formats write alike. */
#include "data/encoder_internal.h"

#include "base/assert.h"
#include "base/base64.h"

#include <math.h>

static char delimiter_of(const mr_encoder_options *options)
{
    return options->delimiter != '\0' ? options->delimiter : ',';
}

void mr_encode_header(const mr_encoder_options *options, const mr_schema *schema, mr_bytes *out)
{
    if (options->format != MR_FORMAT_CSV)
        return;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (i > 0)
            mr_encode_byte(out, delimiter_of(options));
        const char *name = schema->fields[i].name;
        mr_encode_csv_text(name, strlen(name), delimiter_of(options), out);
    }
    mr_encode_byte(out, '\n');
}

void mr_encode_rows(const mr_encoder_options *options, const mr_batch *batch, size_t first,
                    size_t count, mr_bytes *out)
{
    MR_ASSERT(first + count <= batch->row_count);
    if (options->format == MR_FORMAT_CSV)
        mr_encode_csv_rows(batch, first, count, delimiter_of(options), out);
    else
        mr_encode_json_rows(batch, first, count, out);
}

static size_t write_bool(bool value, char *out)
{
    memcpy(out, value ? "true" : "false", 5);
    return value ? 4 : 5;
}

size_t mr_encode_plain(const mr_column *column, size_t row, char *out)
{
    switch (column->type.id) {
    case MR_BOOL:
        return write_bool(mr_bit_get(column->values, row), out);
    case MR_INT32:
        return mr_number_format_int64(((const int32_t *)column->values)[row], out);
    case MR_INT64:
        return mr_number_format_int64(((const int64_t *)column->values)[row], out);
    case MR_FLOAT32:
        return mr_number_format_float32(((const float *)column->values)[row], out);
    case MR_FLOAT64:
        return mr_number_format_float64(((const double *)column->values)[row], out);
    case MR_TIMESTAMP:
        return mr_time_format(((const int64_t *)column->values)[row], out);
    default:
        MR_UNREACHABLE();
    }
}

void mr_encode_base64(mr_text text, mr_bytes *out)
{
    size_t size = mr_base64_encoded_size(text.size);
    char *room = mr_encode_room(out, size);
    if (room == NULL)
        return;
    mr_base64_encode(text.bytes, text.size, room);
    out->size += size;
}

void mr_encode_vector(const float *values, uint32_t width, const char *quote, mr_bytes *out)
{
    size_t quote_size = strlen(quote);
    for (uint32_t i = 0; i < width; i++) {
        char *room = mr_encode_room(out, MR_ENCODE_VALUE_MAX);
        if (room == NULL)
            return;
        char *at = room;
        size_t wrap = isfinite(values[i]) ? 0 : quote_size;
        *at++ = i == 0 ? '[' : ',';
        memcpy(at, quote, wrap);
        at += wrap;
        at += mr_number_format_float32(values[i], at);
        memcpy(at, quote, wrap);
        out->size += (size_t)(at - room) + wrap;
    }
    mr_encode_byte(out, ']');
}
