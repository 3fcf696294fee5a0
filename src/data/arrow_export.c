/* arrow_export.c -- batches and schemas as Arrow C structs (see arrow.h).
 *
 * (1) Every struct of the tree can be moved out and released alone: each has its own private data.
 * (2) An exported array shares the buffers of the batch; the last release gives them back, on whatever thread. */
#include "data/arrow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- schemas ---- */

typedef struct schema_node {
    char format[24];
    struct ArrowSchema **children;
    struct ArrowSchema *child_structs;
    char name[]; /* terminated */
} schema_node;

static void release_schema(struct ArrowSchema *schema)
{
    schema_node *node = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release != NULL)
            schema->children[i]->release(schema->children[i]);
    mr_free(node->child_structs);
    mr_free(node->children);
    mr_free(node);
    schema->release = NULL;
}

/* Fills *out as a live struct with `children` dead ones. */
static mr_status make_schema(const char *name, const char *format, int64_t flags, size_t children,
                             struct ArrowSchema *out, mr_error *err)
{
    schema_node *node = mr_alloc_zero(1, sizeof *node + strlen(name) + 1);
    *out = (struct ArrowSchema){0};
    if (node == NULL)
        return MR_OUT_OF_MEMORY(err);
    node->children = mr_alloc_zero(children, sizeof(struct ArrowSchema *));
    node->child_structs = mr_alloc_zero(children, sizeof(struct ArrowSchema));
    if (node->children == NULL || node->child_structs == NULL) {
        mr_free(node->children);
        mr_free(node->child_structs);
        mr_free(node);
        return MR_OUT_OF_MEMORY(err);
    }
    (void)snprintf(node->format, sizeof node->format, "%s", format);
    strcpy(node->name, name);
    for (size_t i = 0; i < children; i++)
        node->children[i] = &node->child_structs[i];
    *out = (struct ArrowSchema){.format = node->format,
                                .name = node->name,
                                .flags = flags,
                                .n_children = (int64_t)children,
                                .children = children > 0 ? node->children : NULL,
                                .release = release_schema,
                                .private_data = node};
    return MR_OK;
}

static const char *format_of(mr_type type, char *out)
{
    static const char *const formats[MR_TYPE_COUNT] = {
        [MR_BOOL] = "b",    [MR_INT32] = "i",           [MR_INT64] = "l",  [MR_FLOAT32] = "f",
        [MR_FLOAT64] = "g", [MR_TIMESTAMP] = "tsu:UTC", [MR_STRING] = "u", [MR_BYTES] = "z"};
    if (type.id != MR_VECTOR)
        return formats[type.id];
    (void)snprintf(out, 24, "+w:%u", type.width);
    return out;
}

static mr_status export_field(const mr_field *field, struct ArrowSchema *out, mr_error *err)
{
    char format[24];
    bool vector = field->type.id == MR_VECTOR;
    MR_TRY(make_schema(field->name, format_of(field->type, format),
                       field->nullable ? ARROW_FLAG_NULLABLE : 0, vector, out, err));
    return vector ? make_schema("item", "f", 0, 0, out->children[0], err) : MR_OK;
}

mr_status mr_arrow_export_schema(const mr_schema *schema, struct ArrowSchema *out, mr_error *err)
{
    MR_TRY(make_schema("", "+s", 0, schema->field_count, out, err));
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < schema->field_count; i++)
        status = export_field(&schema->fields[i], out->children[i], err);
    if (status != MR_OK)
        out->release(out);
    return status;
}

/* ---- arrays ---- */

typedef struct array_node {
    mr_column column; /* a share of its buffers */
    const void *buffers[3];
    struct ArrowArray **children;
    struct ArrowArray *child_structs;
} array_node;

static void release_array(struct ArrowArray *array)
{
    array_node *node = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release != NULL)
            array->children[i]->release(array->children[i]);
    mr_column_release(&node->column);
    mr_free(node->child_structs);
    mr_free(node->children);
    mr_free(node);
    array->release = NULL;
}

static mr_status make_array(size_t length, size_t buffers, size_t children, struct ArrowArray *out,
                            mr_error *err)
{
    array_node *node = MR_NEW(array_node);
    *out = (struct ArrowArray){0};
    if (node == NULL)
        return MR_OUT_OF_MEMORY(err);
    node->children = mr_alloc_zero(children, sizeof(struct ArrowArray *));
    node->child_structs = mr_alloc_zero(children, sizeof(struct ArrowArray));
    if (node->children == NULL || node->child_structs == NULL) {
        mr_free(node->children);
        mr_free(node->child_structs);
        mr_free(node);
        return MR_OUT_OF_MEMORY(err);
    }
    for (size_t i = 0; i < children; i++)
        node->children[i] = &node->child_structs[i];
    *out = (struct ArrowArray){.length = (int64_t)length,
                               .n_buffers = (int64_t)buffers,
                               .n_children = (int64_t)children,
                               .buffers = node->buffers,
                               .children = children > 0 ? node->children : NULL,
                               .release = release_array,
                               .private_data = node};
    return MR_OK;
}

/* Consumers may expect a pointer even where there is nothing to point at. */
static const void *never_null(const void *values)
{
    static const uint64_t nothing[8];
    return values != NULL ? values : nothing;
}

static mr_status export_column(const mr_column *column, size_t rows, struct ArrowArray *out,
                               mr_error *err)
{
    bool text = mr_type_is_text(column->type.id), vector = column->type.id == MR_VECTOR;
    MR_TRY(make_array(rows, vector ? 1 : text ? 3 : 2, vector, out, err));
    array_node *node = out->private_data;
    node->column = mr_column_retain(column);
    out->null_count = column->null_count;
    node->buffers[0] = column->validity;
    if (text)
        node->buffers[1] = column->offsets;
    if (!vector) {
        node->buffers[text ? 2 : 1] = never_null(column->values);
        return MR_OK;
    }
    struct ArrowArray *items = out->children[0];
    MR_TRY(make_array(rows * column->type.width, 2, 0, items, err));
    array_node *inner = items->private_data;
    inner->column = mr_column_retain(column);
    inner->buffers[1] = never_null(column->values);
    return MR_OK;
}

mr_status mr_arrow_export_batch(mr_batch *batch, struct ArrowArray *out, mr_error *err)
{
    MR_TRY(make_array(batch->row_count, 1, batch->schema->field_count, out, err));
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < batch->schema->field_count; i++)
        status = export_column(&batch->columns[i], batch->row_count, out->children[i], err);
    if (status != MR_OK)
        out->release(out);
    return status;
}

/* ---- streams ---- */

typedef struct stream_node {
    mr_arrow_producer producer;
    mr_error last;
} stream_node;

/* The interface speaks errno. */
static int errno_of(mr_status status)
{
    return status == MR_OK          ? 0
           : status == MR_NO_MEMORY ? ENOMEM
           : status == MR_INVALID   ? EINVAL
                                    : EIO;
}

static int stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    stream_node *node = stream->private_data;
    mr_error_clear(&node->last);
    return errno_of(mr_arrow_export_schema(node->producer.schema, out, &node->last));
}

static int stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    stream_node *node = stream->private_data;
    mr_batch *batch = NULL;
    *out = (struct ArrowArray){0};
    mr_error_clear(&node->last);
    mr_status status = node->producer.next(node->producer.context, &batch, &node->last);
    if (status == MR_OK && batch != NULL)
        status = mr_arrow_export_batch(batch, out, &node->last);
    mr_batch_release(batch);
    return errno_of(status);
}

static const char *stream_last_error(struct ArrowArrayStream *stream)
{
    stream_node *node = stream->private_data;
    return node->last.status != MR_OK ? node->last.text : NULL;
}

static void stream_release(struct ArrowArrayStream *stream)
{
    stream_node *node = stream->private_data;
    if (node->producer.drop != NULL)
        node->producer.drop(node->producer.context);
    mr_schema_release(node->producer.schema);
    mr_free(node);
    stream->release = NULL;
}

mr_status mr_arrow_export_stream(const mr_arrow_producer *producer, struct ArrowArrayStream *out,
                                 mr_error *err)
{
    stream_node *node = MR_NEW(stream_node);
    *out = (struct ArrowArrayStream){0};
    if (node == NULL)
        return MR_OUT_OF_MEMORY(err);
    node->producer = *producer;
    (void)mr_schema_retain(producer->schema);
    *out = (struct ArrowArrayStream){.get_schema = stream_schema,
                                     .get_next = stream_next,
                                     .get_last_error = stream_last_error,
                                     .release = stream_release,
                                     .private_data = node};
    return MR_OK;
}
