/* json_token.c -- JSON's tokens: strings with their escapes, numbers, and whole values that nobody wants.
 *
 * (1) Nothing here recurses: nesting is a stack of bits, MR_JSON_DEPTH_MAX deep.
 * (2) The first mistake, by place, is the one that is told. */
#include "data/json_internal.h"

#include "base/utf8.h"
#include "data/decoder_fast.h"

/* ---- strings ---- */

/* Bad UTF-8 before `at` comes first. */
static bool wrong_text(mr_json_place *c, const uint8_t *start, const uint8_t *at, const char *what)
{
    size_t size = (size_t)(at - start), good = mr_utf8_valid_prefix(start, size);
    if (good < size)
        return mr_mistake_make(c->decoder, start + good, c->field, "byte 0x%02X is not UTF-8 here",
                               start[good]);
    return mr_mistake_make(c->decoder, at, c->field, "%s", what);
}

/* Bytes up to the next quote, backslash or control character, or the end. */
static const uint8_t *find_stop(const uint8_t *p, const uint8_t *end, unsigned *high)
{
    for (; p < end; p += MR_FAST_STEP) {
        mr_fast_stop stop = mr_fast_json_stops(p);
        *high |= stop.high;
        if (stop.stops != 0) {
            p += __builtin_ctz(stop.stops);
            break;
        }
    }
    return MR_MIN(p, end);
}

/* Four hexadecimal digits; -1: they are not. */
static int32_t hex4(const uint8_t *p, const uint8_t *end)
{
    int32_t value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i], low = c | 0x20;
        int32_t digit = c >= '0' && c <= '9'       ? c - '0'
                        : low >= 'a' && low <= 'f' ? low - 'a' + 10
                                                   : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* \uXXXX at p, perhaps two of them; returns the bytes read, 0 when wrong. */
static size_t take_unicode(const uint8_t *p, const uint8_t *end, uint8_t *out, size_t *out_size,
                           const char **what)
{
    int32_t code = hex4(p + 2, end);
    *what = "\\u and no four hexadecimal digits";
    if (code < 0)
        return 0;
    size_t used = 6;
    *what = "half of a surrogate pair alone";
    if (code >= 0xd800 && code <= 0xdbff && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
        int32_t low = hex4(p + 8, end);
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        used = 12;
    }
    *out_size = mr_utf8_encode((uint32_t)code, out);
    return *out_size > 0 ? used : 0;
}

/* An escape at c->at. */
static bool take_escape(mr_json_place *c, const uint8_t *start, mr_sink *to)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const uint8_t *p = c->at;
    const char *what = "the line ends inside an escape";
    uint8_t decoded[4];
    size_t size = 1, used = 0;
    if (p + 1 >= c->end)
        return wrong_text(c, start, c->end, what);
    const char *letter = p[1] != '\0' ? strchr(letters, p[1]) : NULL;
    if (letter != NULL) {
        decoded[0] = (uint8_t)bytes[letter - letters];
        used = 2;
    } else if (p[1] == 'u') {
        used = take_unicode(p, c->end, decoded, &size, &what);
    } else {
        what = "an escape that JSON does not know";
    }
    if (used == 0)
        return wrong_text(c, start, p, what);
    if (to != NULL && !mr_sink_append(to, decoded, size))
        return mr_mistake_memory(c->decoder);
    c->at += used;
    return true;
}

bool mr_json_take_text(mr_json_place *c, mr_sink *to)
{
    const uint8_t *start = ++c->at;
    unsigned high = 0;
    for (;;) {
        const uint8_t *stop = find_stop(c->at, c->end, &high);
        if (to != NULL && !mr_sink_append(to, c->at, (size_t)(stop - c->at)))
            return mr_mistake_memory(c->decoder);
        c->at = stop;
        if (stop == c->end)
            return wrong_text(c, start, stop, "the line ends inside a string");
        if (*stop == '"')
            break;
        if (*stop != '\\')
            return wrong_text(c, start, stop, "a control character inside a string");
        if (!take_escape(c, start, to))
            return false;
    }
    if (high != 0 && !mr_utf8_is_valid(start, (size_t)(c->at - start)))
        return wrong_text(c, start, c->at, "");
    c->at++;
    return true;
}

/* ---- tokens ---- */

size_t mr_json_token(const mr_json_place *c)
{
    const uint8_t *p = c->at;
    while (p < c->end && *p != ' ' && *p != '\t' && *p != '\r' && *p != ',' && *p != '}' &&
           *p != ']' && *p != '\n')
        p++;
    return (size_t)(p - c->at);
}

static size_t count_digits(const uint8_t *p, size_t size)
{
    size_t count = 0;
    while (count < size && p[count] >= '0' && p[count] <= '9')
        count++;
    return count;
}

bool mr_json_is_number(const uint8_t *token, size_t size, bool *out_whole)
{
    size_t at = size > 0 && token[0] == '-';
    size_t digits = count_digits(token + at, size - at);
    *out_whole = true;
    if (digits == 0 || (digits > 1 && token[at] == '0'))
        return false;
    at += digits;
    if (at < size && token[at] == '.') {
        digits = count_digits(token + at + 1, size - at - 1);
        at += 1 + digits;
        *out_whole = false;
        if (digits == 0)
            return false;
    }
    if (at < size && (token[at] == 'e' || token[at] == 'E')) {
        at++;
        at += at < size && (token[at] == '-' || token[at] == '+');
        digits = count_digits(token + at, size - at);
        at += digits;
        *out_whole = false;
        if (digits == 0)
            return false;
    }
    return at == size;
}

static bool skip_scalar(mr_json_place *c)
{
    size_t size = mr_json_token(c);
    bool whole;
    bool word = (size == 4 && (memcmp(c->at, "true", 4) == 0 || memcmp(c->at, "null", 4) == 0)) ||
                (size == 5 && memcmp(c->at, "false", 5) == 0);
    if (!word && !mr_json_is_number(c->at, size, &whole)) {
        char shown[160];
        if (size == 0)
            return mr_mistake_make(c->decoder, c->at, c->field,
                                   c->at < c->end ? "a value is missing"
                                                  : "the line ends before a value");
        mr_utf8_quote(c->at, size, MR_MISTAKE_SHOWN_MAX, shown, sizeof shown);
        return mr_mistake_make(c->decoder, c->at, c->field, "%s is no JSON value", shown);
    }
    c->at += size;
    return true;
}

/* ---- values nobody wants ---- */

static bool skip_key(mr_json_place *c)
{
    mr_json_blanks(c);
    if (c->at >= c->end || *c->at != '"')
        return mr_mistake_make(c->decoder, c->at, c->field, "a key in quotes is wanted");
    if (!mr_json_take_text(c, NULL))
        return false;
    mr_json_blanks(c);
    if (c->at >= c->end || *c->at != ':')
        return mr_mistake_make(c->decoder, c->at, c->field, "':' is wanted behind a key");
    c->at++;
    return true;
}

/* Closes what can be closed; true in *out_done when nothing is open, else c stands before the next value. */
static bool close_or_next(mr_json_place *c, uint64_t *objects, unsigned *depth, bool *out_done)
{
    while (*depth > 0) {
        bool object = (*objects & 1) != 0;
        mr_json_blanks(c);
        uint8_t byte = c->at < c->end ? *c->at : 0;
        if (byte == ',') {
            c->at++;
            *out_done = false;
            return !object || skip_key(c);
        }
        if (byte != (object ? '}' : ']'))
            return mr_mistake_make(c->decoder, c->at, c->field,
                                   c->at == c->end ? "the line ends inside an array or object"
                                                   : "',' or the closing bracket is wanted");
        c->at++;
        *objects >>= 1;
        (*depth)--;
    }
    *out_done = true;
    return true;
}

/* Opens an array or object; *out_empty when it is closed at once. */
static bool open_nested(mr_json_place *c, uint64_t *objects, unsigned *depth, bool *out_empty)
{
    bool object = *c->at == '{';
    if (*depth == MR_JSON_DEPTH_MAX)
        return mr_mistake_make(c->decoder, c->at, c->field, "nested more than %d deep",
                               MR_JSON_DEPTH_MAX);
    c->at++;
    mr_json_blanks(c);
    *objects = *objects << 1 | object;
    (*depth)++;
    *out_empty = c->at < c->end && *c->at == (object ? '}' : ']');
    return *out_empty || !object || skip_key(c);
}

bool mr_json_skip_value(mr_json_place *c)
{
    uint64_t objects = 0;
    unsigned depth = 0;
    for (bool done = false; !done;) {
        bool leaf = true;
        mr_json_blanks(c);
        uint8_t byte = c->at < c->end ? *c->at : 0;
        if (byte == '{' || byte == '[') {
            if (!open_nested(c, &objects, &depth, &leaf))
                return false;
        } else if (byte == '"' ? !mr_json_take_text(c, NULL) : !skip_scalar(c)) {
            return false;
        }
        if (leaf && !close_or_next(c, &objects, &depth, &done))
            return false;
    }
    return true;
}
