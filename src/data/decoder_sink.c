/* decoder_sink.c -- columns that grow row by row inside a decoder and are copied out as a batch.
 *
 * The memory is kept from batch to batch: it stays in the cache, and the batches are exactly as large as they must be. */
#include "data/decoder_internal.h"

static size_t fixed_bytes(mr_type type, uint32_t rows)
{
    return type.id == MR_BOOL ? mr_bitmap_bytes(rows) : mr_type_bytes(type) * rows;
}

mr_status mr_sink_init(mr_sink *sink, const mr_field *field, uint32_t rows_max, mr_error *err)
{
    *sink = (mr_sink){
        .name = field->name, .type = field->type, .nullable = field->nullable, .unit = field->unit};
    bool ok = true;
    if (mr_type_is_text(field->type.id)) {
        sink->offsets = mr_alloc_aligned(((size_t)rows_max + 1) * sizeof(int32_t));
        ok = sink->offsets != NULL && mr_sink_grow(sink, 0);
    } else {
        sink->values = mr_alloc_aligned(fixed_bytes(field->type, rows_max));
        ok = sink->values != NULL;
    }
    if (field->nullable) {
        sink->validity = mr_alloc_aligned(mr_bitmap_bytes(rows_max));
        ok = ok && sink->validity != NULL;
    }
    if (!ok) {
        mr_sink_deinit(sink);
        return MR_OUT_OF_MEMORY(err);
    }
    mr_sink_reset(sink, rows_max);
    return MR_OK;
}

void mr_sink_deinit(mr_sink *sink)
{
    mr_free(sink->values);
    mr_free(sink->offsets);
    mr_free(sink->validity);
    *sink = (mr_sink){0};
}

void mr_sink_reset(mr_sink *sink, uint32_t rows_max)
{
    sink->text_size = 0;
    sink->null_count = 0;
    if (sink->offsets != NULL)
        sink->offsets[0] = 0;
    if (sink->validity != NULL)
        memset(sink->validity, 0xff, mr_bitmap_bytes(rows_max));
    if (sink->type.id == MR_BOOL)
        memset(sink->values, 0, mr_bitmap_bytes(rows_max));
}

bool mr_sink_grow(mr_sink *sink, size_t more)
{
    size_t wanted = MR_MAX(sink->text_size + more + MR_WINDOW_PAD, sink->capacity * 2);
    uint8_t *grown = mr_realloc(sink->values, wanted);
    if (grown == NULL)
        return false;
    sink->values = grown;
    sink->capacity = wanted;
    return true;
}

void mr_sink_undo(mr_sink *sink, uint32_t row)
{
    if (sink->offsets != NULL)
        sink->text_size = (size_t)sink->offsets[row];
    if (sink->type.id == MR_BOOL)
        mr_bit_clear(sink->values, row);
    if (sink->validity != NULL && !mr_bit_get(sink->validity, row)) {
        mr_bit_set(sink->validity, row);
        sink->null_count--;
    }
}

void mr_sink_null(mr_sink *sink, uint32_t row)
{
    MR_ASSERT(sink->validity != NULL);
    mr_bit_clear(sink->validity, row);
    sink->null_count++;
    if (sink->offsets != NULL)
        mr_sink_end_text(sink, row);
    else if (sink->type.id != MR_BOOL)
        memset(sink->values + mr_type_bytes(sink->type) * row, 0, mr_type_bytes(sink->type));
}

static mr_buffer *copy_out(const void *bytes, size_t size)
{
    mr_buffer *buffer = mr_buffer_create(size);
    if (buffer != NULL && size > 0)
        memcpy(buffer->bytes, bytes, size);
    return buffer;
}

/* The bits behind the last row may be set: they are cleared in the copy. */
static mr_buffer *copy_bits(const uint8_t *bits, uint32_t rows)
{
    mr_buffer *buffer = mr_buffer_create(mr_bitmap_bytes(rows));
    if (buffer != NULL)
        mr_bitmap_copy(buffer->bytes, bits, 0, rows);
    return buffer;
}

mr_status mr_sink_finish(mr_sink *sink, uint32_t rows, mr_column *out, mr_error *err)
{
    *out = (mr_column){.type = sink->type};
    bool text = sink->offsets != NULL;
    out->owners[1] =
        sink->type.id == MR_BOOL
            ? copy_bits(sink->values, rows)
            : copy_out(sink->values, text ? sink->text_size : fixed_bytes(sink->type, rows));
    if (text)
        out->owners[2] = copy_out(sink->offsets, ((size_t)rows + 1) * sizeof(int32_t));
    mr_buffer *validity = sink->null_count > 0 ? copy_bits(sink->validity, rows) : NULL;
    if (out->owners[1] == NULL || (text && out->owners[2] == NULL) ||
        (sink->null_count > 0 && validity == NULL)) {
        mr_buffer_release(validity);
        mr_column_release(out);
        return MR_OUT_OF_MEMORY(err);
    }
    out->values = out->owners[1]->bytes;
    out->offsets = text ? (const int32_t *)(const void *)out->owners[2]->bytes : NULL;
    if (validity != NULL)
        mr_column_set_validity(out, validity, rows);
    return MR_OK;
}
