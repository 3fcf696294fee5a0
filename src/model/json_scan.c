/* json_scan.c -- RFC 8259 by recursive descent without the recursion: the open objects are a short array.
 *
 * Each public call hands binary input over to json_scan_binary.c.
 *
 * (1) next <= end always; nothing reads at or beyond end.   (2) depth <= MR_JSON_DEPTH_MAX.
 * (3) After a failure next == end, so that every loop of a caller ends. */
#include "model/json_scan_internal.h"

#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void mr_json_open(mr_json_scan *scan, const void *bytes, size_t size, mr_error *err)
{
    memset(scan, 0, sizeof *scan);
    scan->begin = scan->next = bytes;
    scan->end = size > 0 ? scan->begin + size : scan->begin; /* no bytes may be NULL */
    scan->err = err;
    scan->binary = mr_json_is_binary(bytes, size);
}

bool mr_json_is_binary(const uint8_t *bytes, size_t size)
{
    return size >= 2 && bytes[0] == '{' && memchr("iUIlL$#", bytes[1], 7) != NULL;
}

void mr_json_close(mr_json_scan *scan)
{
    mr_bytes_deinit(&scan->text);
}

/* ---- failing ---- */

static void format_path(const mr_json_scan *scan, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < scan->depth && at + 1 < size; i++) {
        const mr_json_step *step = &scan->steps[i];
        int n = step->key != NULL ? snprintf(out + at, size - at, "%s%.*s", at > 0 ? "." : "",
                                             (int)(step->key_size < 64 ? step->key_size : 64),
                                             (const char *)step->key)
                : !step->fresh    ? snprintf(out + at, size - at, "[%zu]", step->index)
                                  : 0;
        at += n > 0 ? (size_t)n : 0;
    }
}

bool mr_json_fail(mr_json_scan *scan, mr_status status, const char *format, ...)
{
    if (scan->status != MR_OK)
        return false;
    char path[512];
    format_path(scan, path, sizeof path);
    va_list args;
    va_start(args, format);
    scan->status = mr_error_setv(scan->err, status, format, args);
    va_end(args);
    mr_error_prefix(scan->err, "%s%sat byte %zu", path, path[0] != '\0' ? " " : "",
                    (size_t)(scan->next - scan->begin));
    scan->failed_at = scan->next;
    scan->next = scan->end;
    return false;
}

bool mr_json_fail_expected(mr_json_scan *scan, const char *what)
{
    if (scan->next == scan->end)
        return mr_json_fail(scan, MR_INVALID, "the file ends where %s is expected", what);
    uint8_t c = *scan->next;
    if (c < 0x20 || c > 0x7e)
        return mr_json_fail(scan, MR_INVALID, "%s is expected, not byte 0x%02x", what, c);
    return mr_json_fail(scan, MR_INVALID, "%s is expected, not '%c'", what, c);
}

/* ---- structure ---- */

static inline void skip_blanks(mr_json_scan *scan)
{
    while (scan->next < scan->end && (*scan->next == ' ' || *scan->next == '\n' ||
                                      *scan->next == '\t' || *scan->next == '\r'))
        scan->next++;
}

char mr_json_peek(mr_json_scan *scan)
{
    if (scan->binary)
        return mr_json_binary_peek(scan);
    skip_blanks(scan);
    return scan->next < scan->end ? (char)*scan->next : '\0';
}

static bool enter(mr_json_scan *scan, char bracket, const char *what)
{
    if (scan->status != MR_OK)
        return false;
    if (mr_json_peek(scan) != bracket)
        return mr_json_fail_expected(scan, what);
    if (scan->depth == MR_JSON_DEPTH_MAX)
        return mr_json_fail(scan, MR_FULL, "more than %d levels", MR_JSON_DEPTH_MAX);
    scan->next++;
    scan->steps[scan->depth++] = (mr_json_step){.fresh = true};
    return true;
}

bool mr_json_object(mr_json_scan *scan)
{
    return scan->binary ? mr_json_binary_enter(scan, '{', "an object")
                        : enter(scan, '{', "an object");
}

bool mr_json_array(mr_json_scan *scan)
{
    return scan->binary ? mr_json_binary_enter(scan, '[', "an array")
                        : enter(scan, '[', "an array");
}

/* True when a member follows; leaves the object or array when not. */
static bool member(mr_json_scan *scan, char bracket, const char *what)
{
    if (scan->status != MR_OK)
        return false;
    mr_json_step *step = &scan->steps[scan->depth - 1];
    char c = mr_json_peek(scan);
    if (c == bracket) {
        scan->next++;
        scan->depth--;
        return false;
    }
    if (!step->fresh) {
        if (c != ',')
            return mr_json_fail_expected(scan, what);
        scan->next++;
        step->index++;
    }
    step->fresh = false;
    return true;
}

bool mr_json_element(mr_json_scan *scan)
{
    return scan->binary ? mr_json_binary_member(scan, ']') : member(scan, ']', "',' or ']'");
}

bool mr_json_key(mr_json_scan *scan, const char **out_key)
{
    *out_key = "";
    if (scan->binary)
        return mr_json_binary_key(scan, out_key);
    if (!member(scan, '}', "',' or '}'"))
        return false;
    skip_blanks(scan);
    const uint8_t *start = scan->next + 1;
    if (!mr_json_string(scan, out_key))
        return false;
    mr_json_step *step = &scan->steps[scan->depth - 1];
    step->key = start;
    step->key_size = (size_t)(scan->next - 1 - start);
    if (mr_json_peek(scan) != ':')
        return mr_json_fail_expected(scan, "':'");
    scan->next++;
    return true;
}

bool mr_json_end(mr_json_scan *scan)
{
    return mr_json_peek(scan) == '\0' && scan->next == scan->end
               ? scan->status == MR_OK
               : mr_json_fail_expected(scan, "the end of the file");
}

/* ---- strings ---- */

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool read_hex4(mr_json_scan *scan, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int digit = scan->next < scan->end ? hex_digit(*scan->next) : -1;
        if (digit < 0)
            return mr_json_fail_expected(scan, "a hexadecimal digit");
        *out = *out * 16 + (uint32_t)digit;
        scan->next++;
    }
    return true;
}

static void append_utf8(mr_bytes *out, uint32_t c)
{
    if (c < 0x80) {
        mr_bytes_append_byte(out, (uint8_t)c);
        return;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[4] = {0, 0xc0, 0xe0, 0xf0};
    mr_bytes_append_byte(out, (uint8_t)(lead[more] | c >> (6 * more)));
    while (more-- > 0)
        mr_bytes_append_byte(out, (uint8_t)(0x80 | (c >> (6 * more) & 0x3f)));
}

static bool read_unicode(mr_json_scan *scan)
{
    uint32_t c, low;
    if (!read_hex4(scan, &c))
        return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (scan->end - scan->next < 6 || scan->next[0] != '\\' || scan->next[1] != 'u')
            return mr_json_fail_expected(scan, "the second half of a surrogate pair");
        scan->next += 2;
        if (!read_hex4(scan, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return mr_json_fail_expected(scan, "the second half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c == 0 || (c >= 0xdc00 && c < 0xe000))
        return mr_json_fail(scan, MR_INVALID, "\\u%04x is not allowed in a string", c);
    append_utf8(&scan->text, c);
    return true;
}

static bool read_escape(mr_json_scan *scan)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (scan->next == scan->end)
        return mr_json_fail_expected(scan, "an escape");
    uint8_t c = *scan->next;
    if (c == 'u') {
        scan->next++;
        return read_unicode(scan);
    }
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    if (found == NULL)
        return mr_json_fail_expected(scan, "an escape");
    scan->next++;
    mr_bytes_append_byte(&scan->text, (uint8_t)to[found - from]);
    return true;
}

bool mr_json_string(mr_json_scan *scan, const char **out)
{
    *out = "";
    if (scan->status != MR_OK)
        return false;
    if (scan->binary)
        return mr_json_binary_string(scan, out);
    if (mr_json_peek(scan) != '"')
        return mr_json_fail_expected(scan, "a string");
    scan->next++;
    mr_bytes_clear(&scan->text);
    for (;;) {
        const uint8_t *start = scan->next;
        while (scan->next < scan->end && *scan->next != '"' && *scan->next != '\\' &&
               *scan->next >= 0x20)
            scan->next++;
        mr_bytes_append(&scan->text, start, (size_t)(scan->next - start));
        if (scan->next == scan->end || *scan->next < 0x20)
            return mr_json_fail_expected(scan, "'\"'");
        if (scan->text.size > MR_JSON_TEXT_MAX)
            return mr_json_fail(scan, MR_FULL, "a string of more than %u bytes", MR_JSON_TEXT_MAX);
        if (*scan->next++ == '"')
            break;
        if (!read_escape(scan))
            return false;
    }
    *out = mr_bytes_text(&scan->text);
    if (*out != NULL && !scan->text.failed)
        return true;
    *out = "";
    return mr_json_fail(scan, MR_NO_MEMORY, "out of memory");
}

/* ---- numbers ---- */

static bool take_word(mr_json_scan *scan, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(scan->end - scan->next) < size || memcmp(scan->next, word, size) != 0)
        return false;
    scan->next += size;
    return true;
}

static bool parse_int(mr_json_scan *scan, int64_t *out)
{
    const uint8_t *at = scan->next;
    bool negative = at < scan->end && *at == '-';
    at += negative;
    uint64_t value = 0;
    const uint8_t *digits = at;
    while (at < scan->end && *at >= '0' && *at <= '9' && at - digits < 18)
        value = value * 10 + (uint64_t)(*at++ - '0');
    if (at == digits ||
        (at < scan->end && ((*at >= '0' && *at <= '9') || *at == '.' || *at == 'e' || *at == 'E')))
        return mr_json_fail_expected(scan, "a whole number");
    scan->next = at;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

bool mr_json_int(mr_json_scan *scan, int64_t *out)
{
    *out = 0;
    if (scan->status != MR_OK)
        return false;
    if (scan->binary)
        return mr_json_binary_int(scan, out);
    char c = mr_json_peek(scan);
    if (c == 't' && take_word(scan, "true")) {
        *out = 1;
        return true;
    }
    return (c == 'f' && take_word(scan, "false")) || parse_int(scan, out);
}

static bool parse_float_word(mr_json_scan *scan, float *out)
{
    if (take_word(scan, "NaN"))
        *out = NAN;
    else if (take_word(scan, "Infinity"))
        *out = INFINITY;
    else if (take_word(scan, "-Infinity"))
        *out = -INFINITY;
    else
        return mr_json_fail_expected(scan, "a number");
    return true;
}

bool mr_json_float(mr_json_scan *scan, float *out)
{
    *out = 0.0f;
    if (scan->status != MR_OK)
        return false;
    if (scan->binary)
        return mr_json_binary_float(scan, out);
    skip_blanks(scan);
    if (scan->next < scan->end && *scan->next == '+')
        return mr_json_fail_expected(scan, "a number");
    size_t used = 0;
    mr_number_result result = mr_number_parse_float32((const char *)scan->next,
                                                      (size_t)(scan->end - scan->next), out, &used);
    if (result == MR_NUMBER_OVERFLOW)
        return mr_json_fail(scan, MR_INVALID, "the number is too large for a float32");
    if (result == MR_NUMBER_NONE)
        return parse_float_word(scan, out);
    scan->next += used;
    return true;
}

bool mr_json_double(mr_json_scan *scan, double *out)
{
    *out = 0.0;
    if (scan->status != MR_OK)
        return false;
    if (scan->binary)
        return mr_json_fail(scan, MR_UNSUPPORTED, "this file is read as text only");
    skip_blanks(scan);
    if (scan->next < scan->end && *scan->next == '+')
        return mr_json_fail_expected(scan, "a number");
    size_t used = 0;
    mr_number_result result = mr_number_parse_float64((const char *)scan->next,
                                                      (size_t)(scan->end - scan->next), out, &used);
    if (result == MR_NUMBER_OVERFLOW)
        return mr_json_fail(scan, MR_INVALID, "the number is too large for a float64");
    if (result == MR_NUMBER_NONE)
        return mr_json_fail_expected(scan, "a number");
    scan->next += used;
    return true;
}

/* Room for another value, grown by doubling: the arrays' sizes are not known before their end. */
static bool room(mr_json_scan *scan, mr_bytes *out)
{
    if (out->size + 8 <= out->capacity || mr_bytes_reserve(out, out->size + 64))
        return true;
    return mr_json_fail(scan, MR_NO_MEMORY, "out of memory");
}

bool mr_json_ints(mr_json_scan *scan, mr_bytes *out)
{
    if (!mr_json_array(scan))
        return false;
    while (mr_json_element(scan)) {
        int64_t value;
        if (!mr_json_int(scan, &value) || !room(scan, out))
            return false;
        if (value < INT32_MIN || value > INT32_MAX)
            return mr_json_fail(scan, MR_INVALID, "%lld does not fit 32 bits", (long long)value);
        int32_t narrow = (int32_t)value;
        memcpy(out->data + out->size, &narrow, sizeof narrow);
        out->size += sizeof narrow;
    }
    return scan->status == MR_OK;
}

bool mr_json_floats(mr_json_scan *scan, mr_bytes *out)
{
    if (!mr_json_array(scan))
        return false;
    while (mr_json_element(scan)) {
        float value;
        if (!mr_json_float(scan, &value) || !room(scan, out))
            return false;
        memcpy(out->data + out->size, &value, sizeof value);
        out->size += sizeof value;
    }
    return scan->status == MR_OK;
}

/* ---- skipping ---- */

/* Behind the closing quote of the string that starts at `next`. */
static bool skip_string(mr_json_scan *scan)
{
    for (scan->next++; scan->next < scan->end; scan->next++) {
        if (*scan->next == '"') {
            scan->next++;
            return true;
        }
        if (*scan->next == '\\')
            scan->next += scan->end - scan->next > 1;
    }
    return mr_json_fail_expected(scan, "'\"'");
}

/* Brackets are matched and strings respected; what stands between is not examined. */
bool mr_json_skip(mr_json_scan *scan)
{
    if (scan->binary)
        return mr_json_binary_skip(scan);
    if (scan->status != MR_OK)
        return false;
    uint8_t open[MR_JSON_DEPTH_MAX];
    uint32_t depth = 0;
    skip_blanks(scan);
    const uint8_t *start = scan->next;
    while (scan->next < scan->end) {
        uint8_t c = *scan->next;
        bool scalar_ends = depth == 0 && (c == ',' || c == '}' || c == ']');
        if (scalar_ends && scan->next > start)
            return true;
        if (scalar_ends)
            return mr_json_fail_expected(scan, "a value");
        if (c == '"') {
            if (!skip_string(scan))
                return false;
            if (depth == 0)
                return true;
            continue;
        }
        scan->next++;
        if (c == '{' || c == '[') {
            if (depth == MR_JSON_DEPTH_MAX)
                return mr_json_fail(scan, MR_FULL, "more than %d levels", MR_JSON_DEPTH_MAX);
            open[depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (open[--depth] != c)
                return mr_json_fail(scan, MR_INVALID, "'%c' closes nothing", c);
            if (depth == 0)
                return true;
        }
    }
    return depth == 0 && scan->next > start ? true
                                            : mr_json_fail_expected(scan, "the end of a value");
}
