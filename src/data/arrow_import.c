/* arrow_import.c -- Arrow C structs to schemas and batches (see arrow.h).
 *
 *   rows of the struct [offset, offset + length)  ->  rows of each child at its own offset on top of that
 *
 * (1) The producer's array is held by a counted keeper; each buffer that is shared as it is has a share of it.
 * (2) Until all columns are made the keeper is not armed: a failed import leaves the array with the caller.
 * (3) What cannot be checked is the size of the producer's buffers: the interface does not carry it. */
#include "data/arrow.h"

#include "base/assert.h"
#include "base/time.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define OFFSET_MAX ((int64_t)1 << 40) /* rows: beyond it an offset is a lie */

/* ---- formats ---- */

/* How the producer's values become ours. */
typedef enum layout {
    LAYOUT_BITS,
    LAYOUT_SAME, /* fixed size, as they are */
    LAYOUT_TEXT,
    LAYOUT_LARGE_TEXT,
    LAYOUT_VECTOR,
    LAYOUT_CONVERT
} layout;

typedef enum source {
    SOURCE_INT8,
    SOURCE_UINT8,
    SOURCE_INT16,
    SOURCE_UINT16,
    SOURCE_INT32,
    SOURCE_UINT32,
    SOURCE_INT64,
    SOURCE_UINT64
} source;

typedef struct format_row {
    const char *format; /* a prefix for times, which may name a zone behind it */
    mr_type_id type;
    layout layout;
    source source;
    int64_t multiply, divide; /* LAYOUT_CONVERT */
} format_row;

static const format_row formats[] = {
    {"b", MR_BOOL, LAYOUT_BITS, 0, 1, 1},
    {"i", MR_INT32, LAYOUT_SAME, 0, 1, 1},
    {"l", MR_INT64, LAYOUT_SAME, 0, 1, 1},
    {"f", MR_FLOAT32, LAYOUT_SAME, 0, 1, 1},
    {"g", MR_FLOAT64, LAYOUT_SAME, 0, 1, 1},
    {"u", MR_STRING, LAYOUT_TEXT, 0, 1, 1},
    {"z", MR_BYTES, LAYOUT_TEXT, 0, 1, 1},
    {"U", MR_STRING, LAYOUT_LARGE_TEXT, 0, 1, 1},
    {"Z", MR_BYTES, LAYOUT_LARGE_TEXT, 0, 1, 1},
    {"c", MR_INT32, LAYOUT_CONVERT, SOURCE_INT8, 1, 1},
    {"C", MR_INT32, LAYOUT_CONVERT, SOURCE_UINT8, 1, 1},
    {"s", MR_INT32, LAYOUT_CONVERT, SOURCE_INT16, 1, 1},
    {"S", MR_INT32, LAYOUT_CONVERT, SOURCE_UINT16, 1, 1},
    {"I", MR_INT64, LAYOUT_CONVERT, SOURCE_UINT32, 1, 1},
    {"L", MR_INT64, LAYOUT_CONVERT, SOURCE_UINT64, 1, 1},
    {"tdD", MR_TIMESTAMP, LAYOUT_CONVERT, SOURCE_INT32, 86400000000, 1},
    {"tdm", MR_TIMESTAMP, LAYOUT_CONVERT, SOURCE_INT64, 1000, 1},
    {"tss:", MR_TIMESTAMP, LAYOUT_CONVERT, SOURCE_INT64, 1000000, 1},
    {"tsm:", MR_TIMESTAMP, LAYOUT_CONVERT, SOURCE_INT64, 1000, 1},
    {"tsu:", MR_TIMESTAMP, LAYOUT_SAME, 0, 1, 1},
    {"tsn:", MR_TIMESTAMP, LAYOUT_CONVERT, SOURCE_INT64, 1, 1000},
};

static const format_row vector_row = {"+w:", MR_VECTOR, LAYOUT_VECTOR, 0, 1, 1};

static const format_row *find_format(const char *format)
{
    for (size_t i = 0; i < MR_COUNT_OF(formats); i++) {
        size_t size = strlen(formats[i].format);
        bool prefix = formats[i].format[size - 1] == ':';
        if (strncmp(format, formats[i].format, size) == 0 && (prefix || format[size] == '\0'))
            return &formats[i];
    }
    return strncmp(format, "+w:", 3) == 0 ? &vector_row : NULL;
}

/* ---- schemas ---- */

static mr_status check_width(const struct ArrowSchema *from, mr_field *field, mr_error *err)
{
    char *end;
    unsigned long width = strtoul(from->format + 3, &end, 10);
    const struct ArrowSchema *item =
        from->n_children == 1 && from->children != NULL ? from->children[0] : NULL;
    if (*end != '\0' || width == 0 || width > MR_VECTOR_WIDTH_MAX || item == NULL ||
        item->format == NULL || strcmp(item->format, "f") != 0)
        return MR_FAIL(
            err, MR_UNSUPPORTED,
            "column %s: a list of fixed size must hold 1 to %d float32 ('f'), not %.20s of '%.20s'",
            field->name, MR_VECTOR_WIDTH_MAX, from->format,
            item != NULL && item->format != NULL ? item->format : "?");
    field->type.width = (uint32_t)width;
    return MR_OK;
}

static mr_status import_field(const struct ArrowSchema *from, mr_field *field, mr_error *err)
{
    if (from == NULL || from->release == NULL || from->format == NULL)
        return MR_FAIL(err, MR_INVALID, "a released or empty ArrowSchema stands among the columns");
    *field = (mr_field){.name = from->name != NULL ? from->name : ""};
    if (!mr_utf8_is_valid((const uint8_t *)field->name, strlen(field->name)))
        return MR_FAIL(err, MR_INVALID, "the name of a column is not UTF-8");
    if (from->dictionary != NULL)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "column %.100s is dictionary-encoded; decode it before (dictionary_decode)",
                       field->name);
    const format_row *row = find_format(from->format);
    if (row == NULL)
        return MR_FAIL(err, MR_UNSUPPORTED,
                       "column %.100s has the Arrow format '%.20s'; bool, integers, float32, "
                       "float64, dates, timestamps, "
                       "(large) strings and binaries, and fixed lists of float32 are read",
                       field->name, from->format);
    field->type.id = row->type;
    field->nullable = (from->flags & ARROW_FLAG_NULLABLE) != 0;
    return row == &vector_row ? check_width(from, field, err) : MR_OK;
}

mr_status mr_arrow_import_schema(const struct ArrowSchema *from, mr_schema **out, mr_error *err)
{
    *out = NULL;
    if (from->release == NULL || from->format == NULL || strcmp(from->format, "+s") != 0)
        return MR_FAIL(err, MR_UNSUPPORTED, "a batch must be an Arrow struct ('+s'), not '%.20s'",
                       from->release != NULL && from->format != NULL ? from->format : "released");
    if (from->n_children < 1 || from->n_children > MR_FIELDS_MAX || from->children == NULL)
        return MR_FAIL(err, MR_INVALID, "a batch must have 1 to %d columns, not %lld",
                       MR_FIELDS_MAX, (long long)from->n_children);
    size_t count = (size_t)from->n_children;
    mr_field *fields = mr_alloc_zero(count, sizeof *fields);
    mr_status status = fields != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (size_t i = 0; status == MR_OK && i < count; i++)
        status = import_field(from->children[i], &fields[i], err);
    if (status == MR_OK)
        status = mr_schema_create(fields, count, out, err);
    mr_free(fields);
    return status;
}

/* ---- the keeper ---- */

typedef struct keeper {
    _Atomic uint32_t owners;
    bool armed;
    struct ArrowArray array;
} keeper;

static void drop_keeper(void *context)
{
    keeper *kept = context;
    if (atomic_fetch_sub_explicit(&kept->owners, 1, memory_order_acq_rel) != 1)
        return;
    if (kept->armed)
        kept->array.release(&kept->array);
    mr_free(kept);
}

/* A share of the producer's memory. */
static mr_status share(keeper *kept, const void *bytes, size_t size, mr_buffer **out, mr_error *err)
{
    atomic_fetch_add_explicit(&kept->owners, 1, memory_order_relaxed);
    *out = mr_buffer_wrap(bytes, size, drop_keeper, kept);
    if (*out == NULL) {
        drop_keeper(kept);
        return MR_OUT_OF_MEMORY(err);
    }
    return MR_OK;
}

/* ---- columns ---- */

typedef struct import {
    keeper *kept;
    const mr_field *field;
    const format_row *format;
    const struct ArrowArray *array;
    size_t first, rows; /* of the array, all offsets added */
    mr_column *out;
    mr_error *err;
} import;

#define WRONG(in, ...) wrong((in), MR_INVALID, __VA_ARGS__)

static mr_status wrong(const import *in, mr_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static mr_status wrong(const import *in, mr_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mr_error_setv(in->err, status, format, args);
    va_end(args);
    mr_error_prefix(in->err, "column %.100s", in->field->name);
    return status;
}

static bool is_aligned(const void *memory, size_t bytes)
{
    return (uintptr_t)memory % bytes == 0;
}

/* The bitmap moved to bit 0; our columns have none when nothing is NULL. */
static mr_status import_validity(const import *in)
{
    const void *bits = in->array->buffers[0];
    if (bits == NULL)
        return in->array->null_count > 0 ? WRONG(in, "it claims %lld NULLs without a bitmap",
                                                 (long long)in->array->null_count)
                                         : MR_OK;
    mr_buffer *copy = mr_buffer_create(mr_bitmap_bytes(in->rows));
    if (copy == NULL)
        return MR_OUT_OF_MEMORY(in->err);
    mr_bitmap_copy(copy->bytes, bits, in->first, in->rows);
    mr_column_set_validity(in->out, copy, in->rows);
    if (in->out->null_count > 0 && !in->field->nullable)
        return WRONG(in, "it has %u NULLs, and its schema says it has none", in->out->null_count);
    return MR_OK;
}

static mr_status import_bits(const import *in)
{
    void *values;
    mr_column made;
    MR_TRY(mr_column_alloc(in->field->type, in->rows, &made, &values, in->err));
    mr_bitmap_copy(values, in->array->buffers[1], in->first, in->rows);
    for (size_t i = 0; in->out->validity != NULL && i < mr_bitmap_bytes(in->rows); i++)
        ((uint8_t *)values)[i] &= in->out->validity[i];
    in->out->owners[1] = made.owners[1];
    in->out->values = values;
    return MR_OK;
}

/* NULL rows must hold zeros (invariant 1 of batch.h). */
static bool nulls_are_zero(const import *in, const uint8_t *values, size_t bytes)
{
    for (size_t row = 0; in->out->null_count > 0 && row < in->rows; row++)
        if (!mr_bit_get(in->out->validity, row))
            for (size_t k = 0; k < bytes; k++)
                if (values[row * bytes + k] != 0)
                    return false;
    return true;
}

/* Values of `bytes` each, shared when they can be. */
static mr_status import_fixed(const import *in, const uint8_t *values, size_t bytes)
{
    size_t unit = in->field->type.id == MR_VECTOR ? sizeof(float) : bytes;
    if (is_aligned(values, unit) && nulls_are_zero(in, values, bytes)) {
        in->out->values = values;
        return share(in->kept, values, in->rows * bytes, &in->out->owners[1], in->err);
    }
    void *copy;
    mr_column made;
    MR_TRY(mr_column_alloc(in->field->type, in->rows, &made, &copy, in->err));
    for (size_t row = 0; row < in->rows; row++)
        if (!mr_column_is_null(in->out, row))
            memcpy((uint8_t *)copy + row * bytes, values + row * bytes, bytes);
    in->out->owners[1] = made.owners[1];
    in->out->values = copy;
    return MR_OK;
}

static mr_status import_same(const import *in)
{
    size_t bytes = mr_type_bytes(in->field->type);
    return import_fixed(in, (const uint8_t *)in->array->buffers[1] + in->first * bytes, bytes);
}

/* Items may be NULL only where the whole vector is. */
static bool items_are_there(const import *in, const struct ArrowArray *items)
{
    size_t width = in->field->type.width;
    for (size_t row = 0; row < in->rows; row++)
        for (size_t k = 0; !mr_column_is_null(in->out, row) && k < width; k++)
            if (!mr_bit_get(items->buffers[0],
                            (size_t)items->offset + (in->first + row) * width + k))
                return false;
    return true;
}

static mr_status import_vector(const import *in)
{
    const struct ArrowArray *items =
        in->array->n_children == 1 && in->array->children != NULL ? in->array->children[0] : NULL;
    size_t width = in->field->type.width;
    if (items == NULL || items->n_buffers != 2 || items->buffers == NULL || items->length < 0 ||
        items->offset < 0 || items->offset > OFFSET_MAX ||
        (uint64_t)items->length < (in->first + in->rows) * width)
        return WRONG(in, "its items are fewer than %zu rows of %zu", in->first + in->rows, width);
    if (items->buffers[0] != NULL && items->null_count != 0 && !items_are_there(in, items))
        return WRONG(in, "its items have NULLs");
    if (items->buffers[1] == NULL)
        return WRONG(in, "its items have no buffer");
    const float *values = (const float *)items->buffers[1] + items->offset + in->first * width;
    return import_fixed(in, (const uint8_t *)values, width * sizeof(float));
}

/* One value as a number of 64 bits; false: it does not fit. */
static bool fetch(source from, const uint8_t *values, size_t index, int64_t *out)
{
    uint64_t bits = 0;
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8};
    size_t size = sizes[from];
    memcpy(&bits, values + index * size,
           size); /* little endian, as Arrow is on the machines that we run on */
    unsigned unused = (unsigned)(64 - size * 8);
    bool is_signed = from % 2 == 0;
    *out = is_signed ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
    return is_signed || *out >= 0;
}

static mr_status convert_one(const import *in, size_t row, int64_t *out)
{
    int64_t value;
    if (!fetch(in->format->source, in->array->buffers[1], in->first + row, &value))
        return WRONG(in, "row %zu holds an unsigned number above %lld", row, (long long)INT64_MAX);
    if (__builtin_mul_overflow(value, in->format->multiply, out))
        return WRONG(in, "row %zu holds a time that microseconds cannot say", row);
    int64_t rest = *out % in->format->divide;
    *out = *out / in->format->divide - (rest < 0);
    return MR_OK;
}

static mr_status import_converted(const import *in)
{
    void *values;
    mr_column made;
    MR_TRY(mr_column_alloc(in->field->type, in->rows, &made, &values, in->err));
    in->out->owners[1] = made.owners[1];
    in->out->values = values;
    bool narrow = in->field->type.id == MR_INT32;
    for (size_t row = 0; row < in->rows; row++) {
        int64_t value = 0;
        if (!mr_column_is_null(in->out, row))
            MR_TRY(convert_one(in, row, &value));
        if (narrow)
            ((int32_t *)values)[row] = (int32_t)value;
        else
            ((int64_t *)values)[row] = value;
    }
    return MR_OK;
}

/* ---- texts ---- */

static int64_t offset_at(const import *in, size_t index)
{
    const uint8_t *offsets = in->array->buffers[1];
    int32_t narrow;
    int64_t wide;
    if (in->format->layout == LAYOUT_LARGE_TEXT) {
        memcpy(&wide, offsets + (in->first + index) * sizeof wide, sizeof wide);
        return wide;
    }
    memcpy(&narrow, offsets + (in->first + index) * sizeof narrow, sizeof narrow);
    return narrow;
}

/* Offsets ascend from 0 or more; *out_clean: NULL rows are empty. */
static mr_status check_offsets(const import *in, bool *out_clean)
{
    *out_clean = true;
    int64_t before = offset_at(in, 0);
    if (before < 0)
        return WRONG(in, "its offsets start at %lld", (long long)before);
    for (size_t row = 0; row < in->rows; row++) {
        int64_t end = offset_at(in, row + 1);
        if (end < before)
            return WRONG(in, "its offsets go back at row %zu: %lld after %lld", row, (long long)end,
                         (long long)before);
        *out_clean &= end == before || !mr_column_is_null(in->out, row);
        before = end;
    }
    if (before > offset_at(in, 0) && in->array->buffers[2] == NULL)
        return WRONG(in, "it has no buffer of texts");
    return MR_OK;
}

static mr_status check_texts(const import *in)
{
    for (size_t row = 0; in->field->type.id == MR_STRING && row < in->rows; row++) {
        mr_text text = mr_column_text(in->out, row);
        size_t good = text.size > 0 ? mr_utf8_valid_prefix(text.bytes, text.size) : 0;
        if (good < text.size)
            return WRONG(in, "row %zu is not UTF-8: byte 0x%02X at %zu", row, text.bytes[good],
                         good);
    }
    return MR_OK;
}

/* Our own offsets, from 0, over texts that are copied without those of NULL rows. */
static mr_status copy_texts(const import *in)
{
    const uint8_t *texts = in->array->buffers[2];
    uint64_t total = 0;
    for (size_t row = 0; row < in->rows; row++)
        total += mr_column_is_null(in->out, row)
                     ? 0
                     : (uint64_t)(offset_at(in, row + 1) - offset_at(in, row));
    if (total > INT32_MAX)
        return wrong(in, MR_FULL, "it holds %llu bytes; 2 GiB in one batch is the limit",
                     (unsigned long long)total);
    mr_buffer *values = in->out->owners[1] = mr_buffer_create((size_t)total);
    mr_buffer *offsets = in->out->owners[2] = mr_buffer_create((in->rows + 1) * sizeof(int32_t));
    if (values == NULL || offsets == NULL)
        return MR_OUT_OF_MEMORY(in->err);
    int32_t *ends = (int32_t *)(void *)offsets->bytes;
    ends[0] = 0;
    for (size_t row = 0; row < in->rows; row++) {
        int64_t from = offset_at(in, row);
        size_t size = mr_column_is_null(in->out, row) ? 0 : (size_t)(offset_at(in, row + 1) - from);
        if (size > 0)
            memcpy(values->bytes + ends[row], texts + from, size);
        ends[row + 1] = ends[row] + (int32_t)size;
    }
    in->out->values = values->bytes;
    in->out->offsets = ends;
    return MR_OK;
}

static mr_status share_texts(const import *in)
{
    const int32_t *offsets = (const int32_t *)in->array->buffers[1] + in->first;
    in->out->values = in->array->buffers[2];
    in->out->offsets = offsets;
    MR_TRY(
        share(in->kept, in->out->values, (size_t)offsets[in->rows], &in->out->owners[1], in->err));
    return share(in->kept, offsets, (in->rows + 1) * sizeof *offsets, &in->out->owners[2], in->err);
}

static mr_status import_text(const import *in)
{
    bool clean;
    MR_TRY(check_offsets(in, &clean));
    bool as_it_is = in->format->layout == LAYOUT_TEXT && clean &&
                    is_aligned(in->array->buffers[1], sizeof(int32_t));
    MR_TRY(as_it_is ? share_texts(in) : copy_texts(in));
    return check_texts(in);
}

/* ---- one column ---- */

/* No rows: producers may leave every pointer out. */
static mr_status import_empty(const import *in)
{
    bool text = mr_type_is_text(in->field->type.id);
    mr_buffer *values = in->out->owners[1] = mr_buffer_create(0);
    mr_buffer *offsets = in->out->owners[2] = text ? mr_buffer_create(sizeof(int32_t)) : NULL;
    if (values == NULL || (text && offsets == NULL))
        return MR_OUT_OF_MEMORY(in->err);
    if (text)
        memset(offsets->bytes, 0, sizeof(int32_t));
    in->out->values = values->bytes;
    in->out->offsets = text ? (const int32_t *)(const void *)offsets->bytes : NULL;
    return MR_OK;
}

static mr_status import_rows(const import *in)
{
    static const int64_t buffers[] = {
        [LAYOUT_BITS] = 2,       [LAYOUT_SAME] = 2,   [LAYOUT_TEXT] = 3,
        [LAYOUT_LARGE_TEXT] = 3, [LAYOUT_VECTOR] = 1, [LAYOUT_CONVERT] = 2};
    static mr_status (*const imports[])(const import *) = {
        [LAYOUT_BITS] = import_bits,     [LAYOUT_SAME] = import_same,
        [LAYOUT_TEXT] = import_text,     [LAYOUT_LARGE_TEXT] = import_text,
        [LAYOUT_VECTOR] = import_vector, [LAYOUT_CONVERT] = import_converted};
    layout kind = in->format->layout;
    if (in->array->n_buffers != buffers[kind] || in->array->buffers == NULL)
        return WRONG(in, "it has %lld buffers, %lld are right", (long long)in->array->n_buffers,
                     (long long)buffers[kind]);
    if (kind != LAYOUT_VECTOR && in->array->buffers[1] == NULL)
        return WRONG(in, "it has rows and no buffer of values");
    MR_TRY(import_validity(in));
    return imports[kind](in);
}

/* `root` adds its own offset to that of its children. */
static mr_status import_column(keeper *kept, const struct ArrowArray *root,
                               const struct ArrowSchema *schema, const struct ArrowArray *array,
                               const mr_field *field, mr_column *out, mr_error *err)
{
    *out = (mr_column){.type = field->type};
import in = {.kept = kept, .field = field, .format = find_format(schema->format), .array = array, .rows =(size_t) root->length, .out = out, .err = err };
    if (array == NULL || array->length < 0 || array->offset < 0 || array->offset > OFFSET_MAX ||
        array->length < root->offset + root->length || array->dictionary != NULL)
        return WRONG(&in, "it is shorter than the batch, %lld rows and not %lld",
                     array != NULL ? (long long)array->length : -1,
                     (long long)(root->offset + root->length));
    in.first = (size_t)(array->offset + root->offset);
    return in.rows == 0 ? import_empty(&in) : import_rows(&in);
}

/* ---- batches ---- */

static mr_status check_root(const struct ArrowArray *root, const mr_schema *schema, mr_error *err)
{
    if (root->release == NULL)
        return MR_FAIL(err, MR_INVALID, "the ArrowArray was released before");
    if (root->length < 0 || root->length > MR_BATCH_ROWS_MAX || root->offset < 0 ||
        root->offset > OFFSET_MAX)
        return MR_FAIL(err, MR_INVALID, "a batch of %lld rows at %lld; 0 to %u are possible",
                       (long long)root->length, (long long)root->offset, MR_BATCH_ROWS_MAX);
    if (root->n_children != (int64_t)schema->field_count || root->children == NULL)
        return MR_FAIL(err, MR_INVALID, "a batch of %lld columns, and a schema of %u",
                       (long long)root->n_children, schema->field_count);
    if (root->null_count != 0 && root->n_buffers > 0 && root->buffers != NULL &&
        root->buffers[0] != NULL)
        for (int64_t row = 0; row < root->length; row++)
            if (!mr_bit_get(root->buffers[0], (size_t)(root->offset + row)))
                return MR_FAIL(err, MR_UNSUPPORTED,
                               "row %lld is NULL as a whole; only values can be", (long long)row);
    return MR_OK;
}

static mr_status import_columns(keeper *kept, const struct ArrowSchema *from, mr_schema *schema,
                                mr_batch **out, mr_error *err)
{
    const struct ArrowArray *root = &kept->array;
    mr_column *columns = mr_alloc_zero(schema->field_count, sizeof *columns);
    mr_status status = columns != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < schema->field_count; i++)
        status = import_column(kept, root, from->children[i], root->children[i], &schema->fields[i],
                               &columns[i], err);
    if (status == MR_OK)
        status = mr_batch_create(schema, (size_t)root->length, columns, out, err);
    for (uint32_t i = 0; columns != NULL && i < schema->field_count; i++)
        mr_column_release(&columns[i]);
    mr_free(columns);
    return status;
}

mr_status mr_arrow_import_batch(const struct ArrowSchema *from, struct ArrowArray *array,
                                mr_batch **out, mr_error *err)
{
    mr_schema *schema;
    *out = NULL;
    MR_TRY(mr_arrow_import_schema(from, &schema, err));
    mr_status status = check_root(array, schema, err);
    keeper *kept = status == MR_OK ? MR_NEW(keeper) : NULL;
    if (status == MR_OK && kept == NULL)
        status = MR_OUT_OF_MEMORY(err);
    if (status == MR_OK) {
        atomic_init(&kept->owners, 1);
        kept->array = *array;
        status = import_columns(kept, from, schema, out, err);
        kept->armed = status == MR_OK;
        drop_keeper(kept);
    }
    if (status == MR_OK)
        array->release = NULL;
    mr_schema_release(schema);
    return status;
}
