/* schema.h -- types, fields, and versioned schemas.
 *
 * A schema is immutable and shared by count. Two schemas are *equal* when names, types and nullability
 * are. A new version is *compatible* with an old one when it only adds nullable columns (at any place) or
 * widens numbers (int32 -> int64 or float64, int64 -> none, float32 -> float64) or makes a column
 * nullable; anything else is refused with the reason. */
#ifndef MR_DATA_SCHEMA_H
#define MR_DATA_SCHEMA_H

#include "base/memory.h"
#include "base/status.h"

/*  X(NAME, text, bytes per value (0: bits or variable)) */
#define MR_TYPE_MAP(X)                                                                             \
    X(BOOL, "bool", 0)                                                                             \
    X(INT32, "int32", 4)                                                                           \
    X(INT64, "int64", 8)                                                                           \
    X(FLOAT32, "float32", 4)                                                                       \
    X(FLOAT64, "float64", 8)                                                                       \
    X(TIMESTAMP, "timestamp", 8) /* microseconds since 1970-01-01T00:00:00Z */                     \
    X(STRING, "string", 0)       /* UTF-8, checked at the door */                                  \
    X(BYTES, "bytes", 0)                                                                           \
    X(VECTOR, "vector", 0) /* `width` float32 values */

/* The numbers are part of the disk format: append only. */
typedef enum mr_type_id {
#define X(name, text, bytes) MR_##name,
    MR_TYPE_MAP(X)
#undef X
        MR_TYPE_COUNT
} mr_type_id;

typedef struct mr_type {
    mr_type_id id;
    uint32_t width; /* values per row of a vector, else 0 */
} mr_type;

#define MR_VECTOR_WIDTH_MAX 65536
#define MR_FIELDS_MAX       4096
#define MR_NAME_BYTES_MAX   255

/* How an epoch number is read when a timestamp field declares one; ISO 8601 text is always read. */
typedef enum mr_time_unit { MR_TIME_ISO, MR_TIME_S, MR_TIME_MS, MR_TIME_US } mr_time_unit;

typedef struct mr_field {
    const char *name; /* owned by the schema; UTF-8, unique in it */
    mr_type type;
    bool nullable;
    mr_time_unit unit; /* of a timestamp in text; decoders only, not part of equality */
} mr_field;

typedef struct mr_schema {
    _Atomic uint32_t owners;
    uint32_t field_count;
    uint64_t fingerprint; /* hash of names, types and nullability */
    const mr_field *fields;
    uint32_t *lookup; /* private: open-addressed table of name -> index + 1 */
    uint32_t lookup_mask;
} mr_schema;

bool mr_type_equal(mr_type a, mr_type b);
/* Bytes per value for fixed-size types incl. vectors; 0 for bool, string, bytes. */
size_t mr_type_bytes(mr_type type);
bool mr_type_is_number(mr_type_id id); /* int32 int64 float32 float64 */
bool mr_type_is_text(mr_type_id id);   /* string, bytes: has offsets */
/* "int64", "vector(16)"; out needs 32 bytes. Returns out. */
const char *mr_type_format(mr_type type, char *out);
/* Reads "int64", "vector(16)"; false when it is no type. */
bool mr_type_parse(const char *text, size_t bytes, mr_type *out_type);

/* Copies the fields. Refuses: no fields, too many, empty or double names. *out has one owner. */
mr_status mr_schema_create(const mr_field *fields, size_t field_count, mr_schema **out,
                           mr_error *err);
mr_schema *mr_schema_retain(mr_schema *schema);
void mr_schema_release(mr_schema *schema); /* NULL is allowed */

/* Index of a field, -1 when there is none of that name. */
int mr_schema_find(const mr_schema *schema, const char *name);
int mr_schema_find_n(const mr_schema *schema, const char *name, size_t bytes);
bool mr_schema_equal(const mr_schema *a, const mr_schema *b);
/* MR_OK, or MR_CONFLICT with the first reason: "amount: float64 cannot become int32". */
mr_status mr_schema_check_compatible(const mr_schema *from, const mr_schema *to, mr_error *err);
/* The same, but columns of `from` may be missing in `to`: what a reader may ask for. */
mr_status mr_schema_check_readable(const mr_schema *from, const mr_schema *to, mr_error *err);

/* "name: type[ null], ..." as in YAML: {tx: int64, note: "string null"}. A name with , : { } " \ or space at its
 * ends is quoted, with \" and \\. */
void mr_schema_format(const mr_schema *schema, mr_bytes *out);
/* Reads what mr_schema_format writes (braces optional). Types may carry "null" and, for timestamps,
 * "s", "ms" or "us": "timestamp(ms) null". Errors name the offending piece. */
mr_status mr_schema_parse(const char *text, size_t bytes, mr_schema **out, mr_error *err);
/* One field's type text as in mr_schema_parse; fills type, nullable and unit of *field. */
mr_status mr_field_parse_type(const char *text, size_t bytes, mr_field *field, mr_error *err);

/* Binary form for disk: u32 count, then per field u8 type, u32 width, u8 flags, u8 unit, u16 + name. */
void mr_schema_encode(const mr_schema *schema, mr_bytes *out);
mr_status mr_schema_decode(mr_reader *reader, mr_schema **out, mr_error *err);

#endif
