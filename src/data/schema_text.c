/* schema_text.c -- schemas as text, for people, and as bytes, for the disk. Both take hostile input. */
#include "data/schema.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static const char *const unit_texts[] = {
    [MR_TIME_ISO] = "", [MR_TIME_S] = "s", [MR_TIME_MS] = "ms", [MR_TIME_US] = "us"};

/* ---- text form ---- */

static bool is_plain_name(const char *name)
{
    size_t bytes = strlen(name);
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)name[i] < ' ' || strchr(",:{}\"\\", name[i]) != NULL)
            return false;
    return name[0] != ' ' && name[bytes - 1] != ' ';
}

static void format_name(const char *name, mr_bytes *out)
{
    if (is_plain_name(name)) {
        mr_bytes_append_text(out, name);
        return;
    }
    mr_bytes_append_byte(out, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            mr_bytes_append_byte(out, '\\');
        mr_bytes_append_byte(out, (uint8_t)*name);
    }
    mr_bytes_append_byte(out, '"');
}

void mr_schema_format(const mr_schema *schema, mr_bytes *out)
{
    char type[32];
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const mr_field *field = &schema->fields[i];
        mr_bytes_append_text(out, i > 0 ? ", " : "");
        format_name(field->name, out);
        mr_bytes_printf(out, ": %s", mr_type_format(field->type, type));
        if (field->unit != MR_TIME_ISO)
            mr_bytes_printf(out, "(%s)", unit_texts[field->unit]);
        if (field->nullable)
            mr_bytes_append_text(out, " null");
    }
}

static const char *trim(const char *text, size_t *bytes)
{
    while (*bytes > 0 && (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\r')) {
        text++;
        (*bytes)--;
    }
    while (*bytes > 0 && text[*bytes - 1] != '\0' && strchr(" \t\r\n", text[*bytes - 1]) != NULL)
        (*bytes)--;
    return text;
}

static bool parse_timestamp_unit(const char *text, size_t bytes, mr_field *field)
{
    for (int unit = MR_TIME_S; unit <= MR_TIME_US; unit++) {
        char wanted[32];
        int size = snprintf(wanted, sizeof wanted, "timestamp(%s)", unit_texts[unit]);
        if ((size_t)size == bytes && memcmp(wanted, text, bytes) == 0) {
            field->type = (mr_type){MR_TIMESTAMP, 0};
            field->unit = (mr_time_unit)unit;
            return true;
        }
    }
    return false;
}

mr_status mr_field_parse_type(const char *text, size_t bytes, mr_field *field, mr_error *err)
{
    text = trim(text, &bytes);
    size_t whole = bytes;
    field->unit = MR_TIME_ISO;
    field->nullable = bytes > 5 && memcmp(text + bytes - 5, " null", 5) == 0;
    if (field->nullable) {
        bytes -= 5;
        text = trim(text, &bytes);
    }
    if (mr_type_parse(text, bytes, &field->type) || parse_timestamp_unit(text, bytes, field))
        return MR_OK;
    return MR_FAIL(err, MR_INVALID,
                   "'%.*s' is no type; types are bool, int32, int64, float32, float64, timestamp, "
                   "timestamp(s|ms|us), string, bytes, vector(N), each with an optional ' null'",
                   (int)MR_MIN(whole, 100), text);
}

/* A quoted name; *pos is behind the opening quote and moves behind the closing one. */
static bool parse_quoted_name(const char *text, size_t bytes, size_t *pos, mr_bytes *name)
{
    for (; *pos < bytes && text[*pos] != '"'; (*pos)++) {
        if (text[*pos] == '\\' && ++*pos == bytes)
            return false;
        mr_bytes_append_byte(name, (uint8_t)text[*pos]);
    }
    return (*pos)++ < bytes;
}

static void parse_plain_name(const char *text, size_t bytes, size_t *pos, mr_bytes *name)
{
    const char *start = text + *pos;
    while (*pos < bytes && text[*pos] != ':')
        (*pos)++;
    size_t name_bytes = (size_t)(text + *pos - start);
    start = trim(start, &name_bytes);
    mr_bytes_append(name, start, name_bytes);
}

static size_t skip_space(const char *text, size_t bytes, size_t pos)
{
    while (pos < bytes && strchr(" \t\r\n", text[pos]) != NULL && text[pos] != '\0')
        pos++;
    return pos;
}

/* Reads "name:"; *pos moves behind the colon. */
static bool parse_name(const char *text, size_t bytes, size_t *pos, mr_bytes *name)
{
    *pos = skip_space(text, bytes, *pos);
    if (*pos < bytes && text[*pos] == '"') {
        ++*pos;
        if (!parse_quoted_name(text, bytes, pos, name))
            return false;
        *pos = skip_space(text, bytes, *pos);
    } else {
        parse_plain_name(text, bytes, pos, name);
    }
    bool colon = *pos < bytes && text[*pos] == ':';
    ++*pos;
    return colon && (name->size == 0 || memchr(name->data, '\0', name->size) == NULL);
}

/* Where the type that starts at `pos` ends: at a comma that is not in parentheses. */
static size_t find_type_end(const char *text, size_t bytes, size_t pos)
{
    size_t depth = 0;
    for (; pos < bytes && (text[pos] != ',' || depth > 0); pos++) {
        if (text[pos] == '(')
            depth++;
        else if (text[pos] == ')' && depth > 0)
            depth--;
    }
    return pos;
}

/* One "name: type" of the text; *pos moves behind it and its comma. */
static mr_status parse_one(const char *text, size_t bytes, size_t *pos, mr_arena *names,
                           mr_field *field, mr_error *err)
{
    size_t start = *pos;
    mr_bytes name = {0};
    bool named = parse_name(text, bytes, pos, &name);
    bool no_memory = name.failed;
    field->name = named && !no_memory
                      ? mr_arena_strndup(names, name.size > 0 ? (char *)name.data : "", name.size)
                      : NULL;
    mr_bytes_deinit(&name);
    if (!named && !no_memory)
        return MR_FAIL(err, MR_INVALID, "expected 'name: type' at byte %zu of the schema",
                       start + 1);
    if (field->name == NULL)
        return MR_OUT_OF_MEMORY(err);
    size_t end = find_type_end(text, bytes, *pos);
    mr_status status = mr_field_parse_type(text + *pos, end - *pos, field, err);
    if (status != MR_OK)
        mr_error_prefix(err, "field %s", field->name);
    *pos = end < bytes ? end + 1 : end;
    return status;
}

mr_status mr_schema_parse(const char *text, size_t bytes, mr_schema **out, mr_error *err)
{
    *out = NULL;
    text = trim(text, &bytes);
    if (bytes >= 2 && text[0] == '{' && text[bytes - 1] == '}') {
        text++;
        bytes -= 2;
        text = trim(text, &bytes);
    }
    mr_arena arena = {0};
    size_t room = 1;
    for (size_t i = 0; i < bytes; i++)
        room += text[i] == ',';
    mr_field *fields = MR_ARENA_ARRAY(&arena, mr_field, room);
    mr_status status = fields != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    size_t count = 0;
    for (size_t pos = 0; status == MR_OK && pos < bytes; count++)
        status = parse_one(text, bytes, &pos, &arena, &fields[count], err);
    if (status == MR_OK)
        status = mr_schema_create(fields, count, out, err);
    mr_arena_deinit(&arena);
    return status;
}

/* ---- binary form ---- */

static void encode_field(const mr_field *field, mr_bytes *out)
{
    size_t name_bytes = strlen(field->name);
    mr_bytes_append_byte(out, (uint8_t)field->type.id);
    mr_bytes_append_u32(out, field->type.width);
    mr_bytes_append_byte(out, field->nullable ? 1 : 0);
    mr_bytes_append_byte(out, (uint8_t)field->unit);
    mr_bytes_append_u16(out, (uint16_t)name_bytes);
    mr_bytes_append(out, field->name, name_bytes);
}

void mr_schema_encode(const mr_schema *schema, mr_bytes *out)
{
    mr_bytes_append_u32(out, schema->field_count);
    for (uint32_t i = 0; i < schema->field_count; i++)
        encode_field(&schema->fields[i], out);
}

static void decode_field(mr_reader *reader, mr_arena *arena, mr_field *field)
{
    field->type.id = (mr_type_id)mr_reader_u8(reader);
    field->type.width = mr_reader_u32(reader);
    field->nullable = mr_reader_u8(reader) != 0;
    uint8_t unit = mr_reader_u8(reader);
    field->unit = unit <= MR_TIME_US ? (mr_time_unit)unit : MR_TIME_ISO;
    size_t bytes = mr_reader_u16(reader);
    const uint8_t *name = mr_reader_bytes(reader, bytes);
    field->name = name != NULL ? mr_arena_strndup(arena, (const char *)name, bytes) : NULL;
    if (field->name == NULL || strlen(field->name) != bytes)
        reader->failed = true;
}

mr_status mr_schema_decode(mr_reader *reader, mr_schema **out, mr_error *err)
{
    *out = NULL;
    uint32_t count = mr_reader_u32(reader);
    if (reader->failed || count == 0 || count > MR_FIELDS_MAX)
        return MR_FAIL(err, MR_CORRUPT, "a stored schema claims %u fields", count);
    mr_arena arena = {0};
    mr_field *fields = MR_ARENA_ARRAY(&arena, mr_field, count);
    mr_status status = fields != NULL ? MR_OK : MR_OUT_OF_MEMORY(err);
    for (uint32_t i = 0; status == MR_OK && i < count && !reader->failed; i++)
        decode_field(reader, &arena, &fields[i]);
    if (status == MR_OK && reader->failed)
        status =
            MR_FAIL(err, MR_CORRUPT, "a stored schema of %u fields is cut short or garbled", count);
    if (status == MR_OK)
        status = mr_schema_create(fields, count, out, err);
    mr_arena_deinit(&arena);
    return status;
}
