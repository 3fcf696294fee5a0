/* arrow_fuzz.c -- foreign arrays of any shape: whatever the structs claim within their buffers, an import is a good
 * batch or a refusal that leaves the array with its owner.
 *
 * The interface carries no sizes, so the buffers made here are as large as an honest producer's: the lies are in
 * formats, counts, offsets, bitmaps and contents. */
#include "base/assert.h"
#include "data/arrow.h"
#include "test/fuzz.h"

#include <string.h>

#define COLUMNS_MAX 4
#define ROWS_MAX    40
#define ROOM_BYTES  ((ROWS_MAX + 1) * 64)

typedef struct maker {
    mr_reader bytes;
    mr_arena arena;
    int released;
} maker;

static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    ((maker *)array->private_data)->released++;
    array->release = NULL;
}

/* Small numbers mostly; now and then one that lies. */
static int64_t count(maker *m, int64_t most)
{
    uint8_t byte = mr_reader_u8(&m->bytes);
    if (byte < 0xf0)
        return byte % (most + 1);
    return byte < 0xf8 ? -1 : byte < 0xfc ? INT64_MAX : most + 1;
}

static const void *buffer(maker *m)
{
    uint8_t byte = mr_reader_u8(&m->bytes);
    uint8_t *room = mr_arena_alloc_zero(&m->arena, ROOM_BYTES);
    MR_ASSERT(room != NULL);
    if (byte == 0)
        return NULL;
    size_t size = MR_MIN(mr_reader_left(&m->bytes), (size_t)(byte % 64) * 4);
    const uint8_t *from = mr_reader_bytes(&m->bytes, size);
    if (size > 0)
        memcpy(room, from, size);
    return room;
}

/* Offsets that stay within a buffer of texts, or do not ascend. */
static const void *offsets(maker *m, bool wide)
{
    uint8_t *room = mr_arena_alloc_zero(&m->arena, ROOM_BYTES);
    MR_ASSERT(room != NULL);
    int64_t at = 0;
    for (size_t i = 0; i < 3 * ROWS_MAX; i++) {
        int32_t narrow = (int32_t)at;
        memcpy(room + i * (wide ? 8 : 4), wide ? (const void *)&at : (const void *)&narrow,
               wide ? 8 : 4);
        uint8_t step = mr_reader_u8(&m->bytes);
        at = step == 0xff ? at - 3 : MR_MIN(at + step % 8, ROOM_BYTES);
    }
    return room;
}

static void make_column(maker *m, struct ArrowSchema *schema, struct ArrowArray *array)
{
    static const char *const formats[] = {"b",    "i",    "l",   "f",    "g",       "u",    "z",
                                          "U",    "Z",    "c",   "C",    "s",       "S",    "I",
                                          "L",    "tdD",  "tdm", "tss:", "tsm:UTC", "tsu:", "tsn:x",
                                          "+w:3", "+w:0", "+l",  "e",    "n",       ""};
    static const char *const names[] = {"a", "b", "c", "d", "", "\xff"};
    const char *format = formats[mr_reader_u8(&m->bytes) % MR_COUNT_OF(formats)];
    bool text = strchr("uzUZ", format[0]) != NULL && format[0] != '\0';
    uint8_t flags = mr_reader_u8(&m->bytes);
    *schema = (struct ArrowSchema){.format = format,
                                   .name = names[flags % MR_COUNT_OF(names)],
                                   .flags = flags & ARROW_FLAG_NULLABLE,
                                   .release = release_schema};
    const void **buffers = mr_arena_alloc_zero(&m->arena, 3 * sizeof *buffers);
    struct ArrowSchema *item_schema = MR_ARENA_NEW(&m->arena, struct ArrowSchema),
                       **item_schemas = MR_ARENA_NEW(&m->arena, struct ArrowSchema *);
    struct ArrowArray *item = MR_ARENA_NEW(&m->arena, struct ArrowArray),
                      **items = MR_ARENA_NEW(&m->arena, struct ArrowArray *);
    MR_ASSERT(buffers != NULL && item_schema != NULL && item_schemas != NULL && item != NULL &&
              items != NULL);
    *array = (struct ArrowArray){.length = count(m, ROWS_MAX),
                                 .offset = count(m, ROWS_MAX),
                                 .null_count = count(m, 3) - 1,
                                 .n_buffers = text               ? 3
                                              : format[0] == '+' ? 1
                                                                 : 2,
                                 .buffers = buffers,
                                 .release = release_array,
                                 .private_data = m};
    buffers[0] = (flags & 64) != 0 ? buffer(m) : NULL;
    buffers[1] = text ? offsets(m, format[0] == 'U' || format[0] == 'Z') : buffer(m);
    buffers[2] = text ? buffer(m) : NULL;
    if (format[0] != '+')
        return;
    *item_schemas = item_schema;
    *items = item;
    const void **item_buffers = mr_arena_alloc_zero(&m->arena, 2 * sizeof *item_buffers);
    MR_ASSERT(item_buffers != NULL);
    item_buffers[1] = buffer(m);
    *item_schema = (struct ArrowSchema){.format = "f", .name = "item", .release = release_schema};
    *item = (struct ArrowArray){.length = count(m, 3 * ROWS_MAX),
                                .offset = count(m, 8),
                                .n_buffers = 2,
                                .buffers = item_buffers,
                                .release = release_array,
                                .private_data = m};
    schema->n_children = array->n_children = 1;
    schema->children = item_schemas;
    array->children = items;
}

static void check_import(maker *m, struct ArrowSchema *schema, struct ArrowArray *root)
{
    mr_batch *batch;
    mr_error err = {0};
    mr_status status = mr_arrow_import_batch(schema, root, &batch, &err);
    if (status != MR_OK) {
        MR_ASSERT(batch == NULL && root->release != NULL && m->released == 0 &&
                  err.text[0] != '\0');
        return;
    }
    MR_ASSERT(root->release == NULL && m->released <= 1);
    for (uint32_t i = 0; i < batch->schema->field_count; i++)
        MR_ASSERT(mr_column_check(&batch->columns[i], batch->row_count, &err) == MR_OK);
    struct ArrowArray again;
    MR_ASSERT(mr_arrow_export_batch(batch, &again, &err) == MR_OK);
    mr_batch_release(batch);
    again.release(&again);
    MR_ASSERT(m->released == 1);
}

FUZZ(arrow)
{
    maker m = {.bytes = mr_reader_of(data, size)};
    struct ArrowSchema columns[COLUMNS_MAX], *schema_children[COLUMNS_MAX];
    struct ArrowArray arrays[COLUMNS_MAX], *array_children[COLUMNS_MAX];
    int64_t width = 1 + mr_reader_u8(&m.bytes) % COLUMNS_MAX;
    struct ArrowSchema schema = {.format = "+s",
                                 .n_children = width,
                                 .children = schema_children,
                                 .release = release_schema};
    const void *root_buffers[1] = {NULL};
    struct ArrowArray root = {.length = count(&m, ROWS_MAX),
                              .offset = count(&m, 8),
                              .n_buffers = 1,
                              .n_children = width,
                              .buffers = root_buffers,
                              .children = array_children,
                              .release = release_array,
                              .private_data = &m};
    for (int64_t i = 0; i < width; i++) {
        make_column(&m, &columns[i], &arrays[i]);
        schema_children[i] = &columns[i];
        array_children[i] = &arrays[i];
    }
    check_import(&m, &schema, &root);
    mr_arena_deinit(&m.arena);
    return 0;
}
