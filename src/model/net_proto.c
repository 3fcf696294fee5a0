/* net_proto.c -- walks protobuf's wire format, then lets protobuf-c read it.
 *
 *   field: | varint number << 3 | kind | ...     0: varint   1: 8 bytes   2: varint size, bytes   5: 4 bytes */
#include "model/net_proto.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define BYTES_PER_BYTE 128 /* of the file: what its messages may take */
#define BYTES_AT_LEAST (1u << 20)
#define PATH_MAX_BYTES 160

/* ---- the walk ---- */

typedef struct field {
    uint32_t number, kind;
    const uint8_t *at; /* of its content */
    uint64_t size;     /* of kind 2 */
} field;

static bool read_field(mr_reader *r, field *out)
{
    uint64_t key = mr_reader_varint(r);
    *out = (field){.number = (uint32_t)(key >> 3), .kind = (uint32_t)(key & 7)};
    if (r->failed || key >> 32 != 0 || out->number == 0)
        return false;
    switch (out->kind) {
    case 0:
        (void)mr_reader_varint(r);
        break;
    case 1:
        (void)mr_reader_bytes(r, 8);
        break;
    case 2:
        out->size = mr_reader_varint(r);
        if (r->failed || out->size > mr_reader_left(r)) {
            r->failed = true;
            return false;
        }
        out->at = mr_reader_bytes(r, (size_t)out->size);
        break;
    case 5:
        (void)mr_reader_bytes(r, 4);
        break;
    default:
        return false;
    }
    return !r->failed;
}

bool mr_net_proto_looks_like(const uint8_t *bytes, size_t size, uint32_t first, uint32_t last)
{
    mr_reader r = mr_reader_of(bytes, size);
    field f;
    bool begun = false;
    while (mr_reader_left(&r) > 0) {
        if (!read_field(&r, &f) || f.number > last || (!begun && f.number != first))
            return false;
        begun = true;
    }
    return begun;
}

static uint32_t kind_of(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return 5;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return 1;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return 2;
    default:
        return 0;
    }
}

/* Where the walk is: "graph.node[3].attribute[0]". */
typedef struct place {
    char path[PATH_MAX_BYTES];
    const uint8_t *start;
    const char *name;
    mr_error *err;
} place;

static mr_status broken(const place *p, const uint8_t *at, const char *what)
{
    return MR_FAIL(p->err, MR_INVALID, "%s: %s%sat byte %zu: %s", p->name, p->path,
                   p->path[0] != '\0' ? ", " : "", (size_t)(at - p->start), what);
}

/* A list of numbers in one piece must be whole numbers of them. */
static mr_status check_packed(const place *p, const ProtobufCFieldDescriptor *type, const field *f)
{
    uint32_t kind = kind_of(type);
    mr_reader r = mr_reader_of(f->at, (size_t)f->size);
    if (kind != 0)
        return f->size % (kind == 1 ? 8 : 4) == 0
                   ? MR_OK
                   : broken(p, f->at, "a list that ends within a number");
    while (mr_reader_left(&r) > 0) {
        (void)mr_reader_varint(&r);
        if (r.failed)
            return broken(p, f->at, "a list that ends within a number");
    }
    return MR_OK;
}

static mr_status check_message(place *p, const ProtobufCMessageDescriptor *type,
                               const uint8_t *bytes, size_t size);

static mr_status check_field(place *p, const ProtobufCFieldDescriptor *type, const field *f,
                             const uint8_t *at, uint32_t index)
{
    size_t end = strlen(p->path);
    bool list = type->label == PROTOBUF_C_LABEL_REPEATED;
    mr_status status = MR_OK;
    if (end + strlen(type->name) + 16 < sizeof p->path)
        (void)snprintf(p->path + end, sizeof p->path - end, list ? "%s%s[%u]" : "%s%s",
                       end > 0 ? "." : "", type->name, index);
    bool packed = list && f->kind == 2 && kind_of(type) != 2;
    if (packed)
        status = check_packed(p, type, f);
    else if (f->kind != kind_of(type))
        status = broken(p, at, "a value of another kind is wanted here");
    else if (type->type == PROTOBUF_C_TYPE_MESSAGE)
        status = check_message(p, type->descriptor, f->at, (size_t)f->size);
    else if (type->type == PROTOBUF_C_TYPE_STRING && f->size > 0 &&
             memchr(f->at, 0, (size_t)f->size) != NULL)
        status = broken(p, at, "a name with a zero byte");
    p->path[end] = '\0';
    return status;
}

#define INDEXED_FIELDS 32

static mr_status check_message(place *p, const ProtobufCMessageDescriptor *type,
                               const uint8_t *bytes, size_t size)
{
    mr_reader r = mr_reader_of(bytes, size);
    uint32_t index[INDEXED_FIELDS] = {0};
    while (mr_reader_left(&r) > 0) {
        const uint8_t *at = r.next;
        field f;
        if (!read_field(&r, &f))
            return broken(p, at,
                          r.failed ? "the file ends within a field" : "no field begins here");
        const ProtobufCFieldDescriptor *known =
            protobuf_c_message_descriptor_get_field(type, f.number);
        if (known == NULL)
            continue;
        uint32_t number = f.number < INDEXED_FIELDS ? index[f.number]++ : 0;
        mr_status status = check_field(p, known, &f, at, number);
        if (status != MR_OK)
            return status;
    }
    return MR_OK;
}

/* ---- protobuf-c ---- */

static void *take_memory(void *context, size_t size)
{
    mr_net_proto *proto = context;
    void *memory = NULL;
    if (size + 16 <= proto->left)
        memory = mr_alloc(size);
    if (memory == NULL)
        proto->failed = true;
    else
        proto->left -= size + 16;
    return memory;
}

static void give_memory(void *context, void *memory)
{
    (void)context;
    mr_free(memory);
}

mr_status mr_net_proto_open(mr_net_proto *proto, const ProtobufCMessageDescriptor *type,
                            const uint8_t *bytes, size_t size, const char *name, mr_error *err)
{
    place p = {.start = bytes, .name = name, .err = err};
    *proto = (mr_net_proto){.left = BYTES_AT_LEAST + (uint64_t)BYTES_PER_BYTE * size};
    proto->allocator = (ProtobufCAllocator){take_memory, give_memory, proto};
    MR_TRY(check_message(&p, type, bytes, size));
    proto->message = protobuf_c_message_unpack(type, &proto->allocator, size, bytes);
    if (proto->message != NULL)
        return MR_OK;
    return proto->failed ? MR_OUT_OF_MEMORY(err)
                         : MR_FAIL(err, MR_INVALID, "%s: protobuf-c cannot read it", name);
}

void mr_net_proto_close(mr_net_proto *proto)
{
    if (proto->message != NULL)
        protobuf_c_message_free_unpacked(proto->message, &proto->allocator);
    proto->message = NULL;
}
