/* schema.c -- types by name, schemas by content, and which change of a schema is safe. */
#include "data/schema.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

typedef struct type_row {
    const char *text;
    size_t bytes;
} type_row;

static const type_row type_rows[MR_TYPE_COUNT] = {
#define X(name, text, bytes) [MR_##name] = {text, bytes},
    MR_TYPE_MAP(X)
#undef X
};

/* ---- types ---- */

bool mr_type_equal(mr_type a, mr_type b)
{
    return a.id == b.id && a.width == b.width;
}

size_t mr_type_bytes(mr_type type)
{
    return type.id == MR_VECTOR ? type.width * sizeof(float) : type_rows[type.id].bytes;
}

bool mr_type_is_number(mr_type_id id)
{
    return id == MR_INT32 || id == MR_INT64 || id == MR_FLOAT32 || id == MR_FLOAT64;
}

bool mr_type_is_text(mr_type_id id)
{
    return id == MR_STRING || id == MR_BYTES;
}

const char *mr_type_format(mr_type type, char *out)
{
    if (type.id == MR_VECTOR)
        (void)snprintf(out, 32, "vector(%u)", type.width);
    else
        (void)snprintf(out, 32, "%s", type_rows[type.id].text);
    return out;
}

bool mr_type_parse(const char *text, size_t bytes, mr_type *out_type)
{
    for (int id = 0; id < MR_VECTOR; id++) {
        if (strlen(type_rows[id].text) == bytes && memcmp(type_rows[id].text, text, bytes) == 0) {
            *out_type = (mr_type){(mr_type_id)id, 0};
            return true;
        }
    }
    if (bytes < 9 || memcmp(text, "vector(", 7) != 0 || text[bytes - 1] != ')')
        return false;
    uint32_t width = 0;
    for (size_t i = 7; i < bytes - 1; i++) {
        if (text[i] < '0' || text[i] > '9' || width > MR_VECTOR_WIDTH_MAX)
            return false;
        width = width * 10 + (uint32_t)(text[i] - '0');
    }
    *out_type = (mr_type){MR_VECTOR, width};
    return width >= 1 && width <= MR_VECTOR_WIDTH_MAX;
}

/* ---- birth and death ---- */

static uint64_t fingerprint_of(const mr_field *fields, size_t field_count)
{
    uint64_t hash = field_count;
    for (size_t i = 0; i < field_count; i++) {
        hash = mr_hash_u64(hash ^ mr_hash64(fields[i].name, strlen(fields[i].name)));
        hash = mr_hash_u64(hash ^ ((uint64_t)fields[i].type.id << 34 |
                                   (uint64_t)fields[i].type.width << 1 | fields[i].nullable));
    }
    return hash;
}

static mr_status check_fields(const mr_field *fields, size_t field_count, mr_error *err)
{
    if (field_count == 0 || field_count > MR_FIELDS_MAX)
        return MR_FAIL(err, MR_INVALID, "a schema has 1 to %d fields, not %zu", MR_FIELDS_MAX,
                       field_count);
    for (size_t i = 0; i < field_count; i++) {
        size_t bytes = fields[i].name != NULL ? strlen(fields[i].name) : 0;
        if (bytes == 0 || bytes > MR_NAME_BYTES_MAX)
            return MR_FAIL(err, MR_INVALID,
                           "the name of field %zu has %zu bytes; 1 to %d are right", i, bytes,
                           MR_NAME_BYTES_MAX);
        if ((unsigned)fields[i].type.id >= MR_TYPE_COUNT ||
            (fields[i].type.id == MR_VECTOR) != (fields[i].type.width > 0) ||
            fields[i].type.width > MR_VECTOR_WIDTH_MAX)
            return MR_FAIL(err, MR_INVALID, "field %s has no valid type", fields[i].name);
    }
    return MR_OK;
}

/* Fills the name table; a double name is refused. */
static mr_status index_names(mr_schema *schema, mr_error *err)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const char *name = schema->fields[i].name;
        uint64_t hash = mr_hash64(name, strlen(name));
        for (;; hash++) {
            uint32_t *slot = &schema->lookup[hash & schema->lookup_mask];
            if (*slot == 0) {
                *slot = i + 1;
                break;
            }
            if (strcmp(schema->fields[*slot - 1].name, name) == 0)
                return MR_FAIL(err, MR_INVALID, "field name %s appears twice (fields %u and %u)",
                               name, *slot, i + 1);
        }
    }
    return MR_OK;
}

mr_status mr_schema_create(const mr_field *fields, size_t field_count, mr_schema **out,
                           mr_error *err)
{
    *out = NULL;
    MR_TRY(check_fields(fields, field_count, err));
    size_t name_bytes = 0;
    for (size_t i = 0; i < field_count; i++)
        name_bytes += strlen(fields[i].name) + 1;
    uint32_t slots = 4;
    while (slots < field_count * 2)
        slots *= 2;
    /* One block: struct, fields, lookup, names. */
    size_t fields_at = (sizeof(mr_schema) + 15) & ~(size_t)15;
    size_t lookup_at = fields_at + field_count * sizeof(mr_field);
    size_t names_at = lookup_at + slots * sizeof(uint32_t);
    uint8_t *block = mr_alloc_zero(1, names_at + name_bytes);
    if (block == NULL)
        return MR_OUT_OF_MEMORY(err);
    mr_schema *schema = (mr_schema *)(void *)block;
    mr_field *copies = (mr_field *)(void *)(block + fields_at);
    char *name = (char *)(block + names_at);
    for (size_t i = 0; i < field_count; i++) {
        copies[i] = fields[i];
        copies[i].name = strcpy(name, fields[i].name);
        if (copies[i].type.id != MR_TIMESTAMP)
            copies[i].unit = MR_TIME_ISO;
        name += strlen(name) + 1;
    }
    atomic_init(&schema->owners, 1);
    schema->field_count = (uint32_t)field_count;
    schema->fields = copies;
    schema->fingerprint = fingerprint_of(copies, field_count);
    schema->lookup = (uint32_t *)(void *)(block + lookup_at);
    schema->lookup_mask = slots - 1;
    mr_status status = index_names(schema, err);
    if (status != MR_OK) {
        mr_free(schema);
        return status;
    }
    *out = schema;
    return MR_OK;
}

mr_schema *mr_schema_retain(mr_schema *schema)
{
    atomic_fetch_add_explicit(&schema->owners, 1, memory_order_relaxed);
    return schema;
}

void mr_schema_release(mr_schema *schema)
{
    if (schema != NULL && atomic_fetch_sub_explicit(&schema->owners, 1, memory_order_acq_rel) == 1)
        mr_free(schema);
}

/* ---- questions ---- */

int mr_schema_find_n(const mr_schema *schema, const char *name, size_t bytes)
{
    for (uint64_t hash = mr_hash64(name, bytes);; hash++) {
        uint32_t slot = schema->lookup[hash & schema->lookup_mask];
        if (slot == 0)
            return -1;
        const char *candidate = schema->fields[slot - 1].name;
        if (strlen(candidate) == bytes && memcmp(candidate, name, bytes) == 0)
            return (int)slot - 1;
    }
}

int mr_schema_find(const mr_schema *schema, const char *name)
{
    return mr_schema_find_n(schema, name, strlen(name));
}

bool mr_schema_equal(const mr_schema *a, const mr_schema *b)
{
    if (a == b)
        return true;
    if (a->field_count != b->field_count || a->fingerprint != b->fingerprint)
        return false;
    for (uint32_t i = 0; i < a->field_count; i++)
        if (strcmp(a->fields[i].name, b->fields[i].name) != 0 ||
            !mr_type_equal(a->fields[i].type, b->fields[i].type) ||
            a->fields[i].nullable != b->fields[i].nullable)
            return false;
    return true;
}

/* int64 to float64 is not a widening: it would lose digits above 2^53. */
static bool widens(mr_type from, mr_type to)
{
    return (from.id == MR_INT32 && (to.id == MR_INT64 || to.id == MR_FLOAT64)) ||
           (from.id == MR_FLOAT32 && to.id == MR_FLOAT64);
}

static mr_status check_kept(const mr_field *old_field, const mr_field *new_field, mr_error *err)
{
    char old_text[32], new_text[32];
    if (!mr_type_equal(old_field->type, new_field->type) &&
        !widens(old_field->type, new_field->type))
        return MR_FAIL(err, MR_CONFLICT, "column %s: %s cannot become %s", old_field->name,
                       mr_type_format(old_field->type, old_text),
                       mr_type_format(new_field->type, new_text));
    if (old_field->nullable && !new_field->nullable)
        return MR_FAIL(err, MR_CONFLICT,
                       "column %s may be NULL in the old version and not in the new",
                       old_field->name);
    return MR_OK;
}

static mr_status check_all(const mr_schema *from, const mr_schema *to, bool may_leave_out,
                           mr_error *err)
{
    for (uint32_t i = 0; i < from->field_count; i++) {
        int at = mr_schema_find(to, from->fields[i].name);
        if (at >= 0)
            MR_TRY(check_kept(&from->fields[i], &to->fields[at], err));
        else if (!may_leave_out)
            return MR_FAIL(err, MR_CONFLICT, "column %s is gone; columns may be added, not removed",
                           from->fields[i].name);
    }
    for (uint32_t i = 0; i < to->field_count; i++)
        if (mr_schema_find(from, to->fields[i].name) < 0 && !to->fields[i].nullable)
            return MR_FAIL(err, MR_CONFLICT,
                           "new column %s must be nullable: old rows have no value",
                           to->fields[i].name);
    return MR_OK;
}

mr_status mr_schema_check_compatible(const mr_schema *from, const mr_schema *to, mr_error *err)
{
    return check_all(from, to, false, err);
}

mr_status mr_schema_check_readable(const mr_schema *from, const mr_schema *to, mr_error *err)
{
    return check_all(from, to, true, err);
}
