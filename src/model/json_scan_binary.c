/* json_scan_binary.c -- Universal Binary JSON (draft 12, ubjson.org) behind the calls of json_scan.h.
 *
 *   value:   | marker | body |     numbers are big endian; a string is a length (a whole number with its marker) and bytes
 *   keys:    as strings, without 'S'
 *   array:   '[' values ']'      or  '[' '#' count values        or  '[' '$' type '#' count bodies
 *   object:  '{' key value ... '}'  likewise
 *
 *   Z null  N nothing  T F bools  i U I l L whole numbers of 1, 1 (unsigned), 2, 4, 8 bytes  d D floats of 4, 8
 *   H a number as text  C one character  S text
 *
 * XGBoost writes counted containers and typed arrays (d, l, L, U, and I, D since 2) and reads the same.
 *
 * (1) Every member takes at least one byte: types without a body are refused after '$', so that no count can make a
 *     loop longer than the file.   (2) No more is allocated than the bytes that are there can fill.
 * (3) After a failure next == end. Nothing recurses. */
#include "model/json_scan_internal.h"

#include "base/number.h"

#include <math.h>
#include <string.h>

static size_t left(const mr_json_scan *scan)
{
    return (size_t)(scan->end - scan->next);
}

/* ---- markers ---- */

/* The type of the value that comes next: the container's, or its own. 0 at the end. */
static char next_marker(mr_json_scan *scan)
{
    if (scan->depth > 0 && scan->steps[scan->depth - 1].type != 0)
        return scan->steps[scan->depth - 1].type;
    while (scan->next < scan->end && *scan->next == 'N')
        scan->next++;
    return scan->next < scan->end ? (char)*scan->next : '\0';
}

static void take_marker(mr_json_scan *scan)
{
    bool implied = scan->depth > 0 && scan->steps[scan->depth - 1].type != 0;
    if (!implied && scan->next < scan->end)
        scan->next++;
}

char mr_json_binary_peek(mr_json_scan *scan)
{
    char marker = next_marker(scan);
    switch (marker) {
    case 'S':
    case 'C':
        return '"';
    case 'Z':
        return 'n';
    case 'T':
        return 't';
    case 'F':
        return 'f';
    case '[':
    case '{':
    case '\0':
        return marker;
    default:
        return memchr("iUIlLdDH", marker, 8) != NULL ? '0' : '?';
    }
}

/* Bytes of a value of this type; 0: none, or not the same for all. */
static size_t body_bytes(char marker)
{
    switch (marker) {
    case 'i':
    case 'U':
    case 'C':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static bool is_whole(char marker)
{
    return marker == 'i' || marker == 'U' || marker == 'I' || marker == 'l' || marker == 'L';
}

/* ---- numbers ---- */

static uint64_t load_big(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

static bool fail_short(mr_json_scan *scan, uint64_t wanted)
{
    return mr_json_fail(scan, MR_INVALID, "the value takes %llu bytes, %zu remain",
                        (unsigned long long)wanted, left(scan));
}

static int64_t whole_of(char marker, uint64_t bits)
{
    switch (marker) {
    case 'i':
        return (int8_t)bits;
    case 'U':
        return (uint8_t)bits;
    case 'I':
        return (int16_t)bits;
    case 'l':
        return (int32_t)bits;
    default:
        return (int64_t)bits;
    }
}

static bool read_body(mr_json_scan *scan, char marker, uint64_t *out)
{
    size_t size = body_bytes(marker);
    if (left(scan) < size)
        return fail_short(scan, size);
    *out = load_big(scan->next, size);
    scan->next += size;
    return true;
}

/* A length or a count: always with its marker. */
static bool read_length(mr_json_scan *scan, const char *what, uint64_t *out)
{
    char marker = scan->next < scan->end ? (char)*scan->next : '\0';
    uint64_t bits = 0;
    if (!is_whole(marker))
        return mr_json_fail_expected(scan, what);
    scan->next++;
    if (!read_body(scan, marker, &bits))
        return false;
    int64_t value = whole_of(marker, bits);
    *out = (uint64_t)value;
    return value >= 0 ||
           mr_json_fail(scan, MR_INVALID, "%s is negative: %lld", what, (long long)value);
}

/* ---- strings ---- */

static bool take_text(mr_json_scan *scan, uint64_t size)
{
    if (size > MR_JSON_TEXT_MAX)
        return mr_json_fail(scan, MR_FULL, "a string of more than %u bytes", MR_JSON_TEXT_MAX);
    if (size > left(scan))
        return fail_short(scan, size);
    if (memchr(scan->next, '\0', (size_t)size) != NULL)
        return mr_json_fail(scan, MR_INVALID, "byte 0x00 is not allowed in a string");
    mr_bytes_clear(&scan->text);
    mr_bytes_append(&scan->text, scan->next, (size_t)size);
    scan->next += size;
    return true;
}

static bool give_text(mr_json_scan *scan, const char **out)
{
    *out = mr_bytes_text(&scan->text);
    if (*out != NULL && !scan->text.failed)
        return true;
    *out = "";
    return mr_json_fail(scan, MR_NO_MEMORY, "out of memory");
}

bool mr_json_binary_string(mr_json_scan *scan, const char **out)
{
    *out = "";
    if (scan->status != MR_OK)
        return false;
    char marker = next_marker(scan);
    uint64_t size = 1;
    if (marker != 'S' && marker != 'C')
        return mr_json_fail_expected(scan, "a string");
    take_marker(scan);
    if (marker == 'S' && !read_length(scan, "the length of a string", &size))
        return false;
    return take_text(scan, size) && give_text(scan, out);
}

/* ---- structure ---- */

/* What may stand behind the bracket: '$' type '#' count, or '#' count, or nothing. */
static bool read_shape(mr_json_scan *scan, mr_json_step *step)
{
    if (scan->next < scan->end && *scan->next == '$') {
        scan->next++;
        char type = scan->next < scan->end ? (char)*scan->next : '\0';
        if (body_bytes(type) == 0 && memchr("SH[{", type, 4) == NULL)
            return mr_json_fail_expected(scan, "a type of members that take bytes");
        scan->next++;
        if (scan->next == scan->end || *scan->next != '#')
            return mr_json_fail_expected(scan, "'#' and the number of members");
        step->type = type;
    }
    if (scan->next == scan->end || *scan->next != '#')
        return true;
    scan->next++;
    step->counted = true;
    if (!read_length(scan, "the number of members", &step->left))
        return false;
    /* A member takes a byte at least, one of a fixed size all of it. */
    uint64_t each = body_bytes(step->type) > 0 ? body_bytes(step->type) : 1;
    return step->left <= left(scan) / each ||
           mr_json_fail(scan, MR_INVALID, "%llu members of %llu bytes or more, %zu bytes remain",
                        (unsigned long long)step->left, (unsigned long long)each, left(scan));
}

bool mr_json_binary_enter(mr_json_scan *scan, char bracket, const char *what)
{
    if (scan->status != MR_OK)
        return false;
    if (next_marker(scan) != bracket)
        return mr_json_fail_expected(scan, what);
    if (scan->depth == MR_JSON_DEPTH_MAX)
        return mr_json_fail(scan, MR_FULL, "more than %d levels", MR_JSON_DEPTH_MAX);
    take_marker(scan);
    mr_json_step step = {.fresh = true};
    if (!read_shape(scan, &step))
        return false;
    scan->steps[scan->depth++] = step;
    return true;
}

/* Whether the present container is at its end, which is then taken. */
static bool at_end(mr_json_scan *scan, mr_json_step *step, char bracket)
{
    if (step->counted)
        return step->left == 0;
    while (scan->next < scan->end && *scan->next == 'N')
        scan->next++;
    if (scan->next == scan->end || *scan->next != (uint8_t)bracket)
        return false;
    scan->next++;
    return true;
}

bool mr_json_binary_member(mr_json_scan *scan, char bracket)
{
    if (scan->status != MR_OK)
        return false;
    mr_json_step *step = &scan->steps[scan->depth - 1];
    if (at_end(scan, step, bracket)) {
        scan->depth--;
        return false;
    }
    if (scan->next == scan->end)
        return mr_json_fail_expected(scan, "another member");
    if (!step->fresh)
        step->index++;
    step->fresh = false;
    step->left -= step->counted;
    return true;
}

bool mr_json_binary_key(mr_json_scan *scan, const char **out_key)
{
    *out_key = "";
    uint64_t size = 0;
    if (!mr_json_binary_member(scan, '}') || !read_length(scan, "the length of a key", &size))
        return false;
    mr_json_step *step = &scan->steps[scan->depth - 1];
    const uint8_t *start = scan->next;
    if (!take_text(scan, size))
        return false;
    step->key = start;
    step->key_size = (size_t)size;
    return give_text(scan, out_key);
}

/* ---- one value ---- */

/* The text of an 'H', lent. */
static bool read_digits(mr_json_scan *scan, const char **out)
{
    uint64_t size = 0;
    *out = "";
    return read_length(scan, "the length of a number", &size) && take_text(scan, size) &&
           give_text(scan, out);
}

bool mr_json_binary_int(mr_json_scan *scan, int64_t *out)
{
    *out = 0;
    if (scan->status != MR_OK)
        return false;
    char marker = next_marker(scan);
    uint64_t bits = 0;
    const char *digits;
    if (marker != 'T' && marker != 'F' && marker != 'H' && !is_whole(marker))
        return mr_json_fail_expected(scan, "a whole number");
    take_marker(scan);
    if (marker == 'H') {
        if (!read_digits(scan, &digits))
            return false;
        return mr_number_is_int64(digits, strlen(digits), out) ||
               mr_json_fail(scan, MR_INVALID, "'%.40s' is no whole number", digits);
    }
    if (!read_body(scan, marker, &bits))
        return false;
    *out = marker == 'T' || marker == 'F' ? marker == 'T' : whole_of(marker, bits);
    return true;
}

static bool parse_digits(mr_json_scan *scan, float *out)
{
    const char *digits;
    size_t used = 0;
    if (!read_digits(scan, &digits))
        return false;
    return (mr_number_parse_float32(digits, strlen(digits), out, &used) == MR_NUMBER_OK &&
            used == strlen(digits)) ||
           mr_json_fail(scan, MR_INVALID, "'%.40s' is no number a float32 can hold", digits);
}

static bool float_of(mr_json_scan *scan, char marker, uint64_t bits, float *out)
{
    if (marker == 'd') {
        uint32_t half = (uint32_t)bits;
        memcpy(out, &half, sizeof *out);
        return true;
    }
    if (marker != 'D') {
        *out = (float)whole_of(marker, bits);
        return true;
    }
    double wide;
    memcpy(&wide, &bits, sizeof wide);
    *out = (float)wide;
    return !isinf(*out) || isinf(wide) ||
           mr_json_fail(scan, MR_INVALID, "the number %g is too large for a float32", wide);
}

bool mr_json_binary_float(mr_json_scan *scan, float *out)
{
    *out = 0.0f;
    if (scan->status != MR_OK)
        return false;
    char marker = next_marker(scan);
    uint64_t bits = 0;
    if (marker != 'd' && marker != 'D' && marker != 'H' && !is_whole(marker))
        return mr_json_fail_expected(scan, "a number");
    take_marker(scan);
    if (marker == 'H')
        return parse_digits(scan, out);
    return read_body(scan, marker, &bits) && float_of(scan, marker, bits, out);
}

/* ---- skipping ---- */

/* All members of a container of one fixed size at once. */
static void skip_members(mr_json_scan *scan)
{
    mr_json_step *step = &scan->steps[scan->depth - 1];
    size_t each = body_bytes(step->type);
    if (each == 0)
        return;
    scan->next += step->left * each; /* read_shape saw that they are there */
    step->left = 0;
}

static bool skip_scalar(mr_json_scan *scan, char marker)
{
    uint64_t size = body_bytes(marker);
    bool text = marker == 'S' || marker == 'H';
    if (size == 0 && !text && (marker == '\0' || memchr("ZTF", marker, 3) == NULL))
        return mr_json_fail_expected(scan, "a value");
    take_marker(scan);
    if (text && !read_length(scan, "the length of a string", &size))
        return false;
    if (size > left(scan))
        return fail_short(scan, size);
    scan->next += size;
    return true;
}

/* Takes a scalar, or enters a container. */
static bool skip_into(mr_json_scan *scan, bool *is_object)
{
    char marker = next_marker(scan);
    if (marker != '[' && marker != '{')
        return skip_scalar(scan, marker);
    if (!mr_json_binary_enter(scan, marker, "a value"))
        return false;
    is_object[scan->depth - 1] = marker == '{';
    if (marker == '[')
        skip_members(scan);
    return true;
}

bool mr_json_binary_skip(mr_json_scan *scan)
{
    bool is_object[MR_JSON_DEPTH_MAX];
    uint32_t base = scan->depth;
    const char *key;
    if (scan->status != MR_OK)
        return false;
    for (;;) {
        if (!skip_into(scan, is_object))
            return false;
        while (scan->depth > base &&
               !(is_object[scan->depth - 1] ? mr_json_binary_key(scan, &key)
                                            : mr_json_binary_member(scan, ']')))
            if (scan->status != MR_OK)
                return false;
        if (scan->depth == base)
            return scan->status == MR_OK;
    }
}
