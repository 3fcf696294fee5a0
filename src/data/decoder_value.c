/* decoder_value.c -- the text of one value to its column, by type, with the reason when it is none.
 *
 * Both careful paths end here: CSV with the field's text, JSON with a string's content or a number's token. */
#include "data/decoder_internal.h"

#include "base/base64.h"
#include "base/number.h"
#include "base/time.h"
#include "base/utf8.h"

#include <math.h>

static bool is_word(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(text, word, size) == 0;
}

bool mr_value_nonfinite(const char *text, size_t size, double *out)
{
    if (is_word(text, size, "NaN"))
        *out = (double)NAN;
    else if (is_word(text, size, "Infinity"))
        *out = (double)INFINITY;
    else if (is_word(text, size, "-Infinity"))
        *out = -(double)INFINITY;
    else
        return false;
    return true;
}

/* What is being decoded, to keep the argument lists short. */
typedef struct value {
    mr_decoder *decoder;
    mr_sink *sink;
    uint32_t row;
    int field;
    const char *text;
    size_t size;
    const uint8_t *at;
} value;

static bool wrong(const value *v, const char *detail)
{
    return mr_mistake_value(v->decoder, v->at, v->field, v->text, v->size, "%s", detail);
}

static bool put_bool(const value *v)
{
    static const char *const yes[] = {"true", "1", "True", "TRUE"}, *const no[] = {"false", "0",
                                                                                   "False",
                                                                                   "FALSE"};
    for (size_t i = 0; i < MR_COUNT_OF(yes); i++) {
        if (is_word(v->text, v->size, yes[i])) {
            mr_bit_set(v->sink->values, v->row);
            return true;
        }
        if (is_word(v->text, v->size, no[i]))
            return true;
    }
    return wrong(v, ": true or false is wanted");
}

/* The rest of the message when a number was not all of the text. */
static bool wrong_number(const value *v, mr_number_result result, size_t used)
{
    if (v->size == 0)
        return wrong(v, ": it is empty");
    if (result == MR_NUMBER_OVERFLOW && used == v->size)
        return wrong(v, ": it is too large");
    if (used >= v->size)
        return wrong(v, ": it breaks off");
    char shown[32];
    const uint8_t *at = (const uint8_t *)v->text + used;
    uint32_t code;
    size_t step = mr_utf8_decode(at, v->size - used, &code);
    mr_utf8_quote(at, MR_MAX(step, 1), 4, shown, sizeof shown);
    return mr_mistake_value(v->decoder, v->at, v->field, v->text, v->size, ": %s at byte %zu",
                            shown, used + 1);
}

static bool get_int64(const value *v, int64_t *out)
{
    size_t used;
    mr_number_result result = mr_number_parse_int64(v->text, v->size, out, &used);
    return (result == MR_NUMBER_OK && used == v->size) || wrong_number(v, result, used);
}

static bool put_int32(const value *v)
{
    int64_t number;
    if (!get_int64(v, &number))
        return false;
    if (number < INT32_MIN || number > INT32_MAX)
        return wrong(v, ": it is too large");
    mr_sink_int32(v->sink, v->row, (int32_t)number);
    return true;
}

static bool put_int64(const value *v)
{
    int64_t number;
    if (!get_int64(v, &number))
        return false;
    mr_sink_int64(v->sink, v->row, number);
    return true;
}

static bool put_float64(const value *v)
{
    double number;
    size_t used;
    if (!(v->decoder->options.allow_nonfinite && mr_value_nonfinite(v->text, v->size, &number))) {
        mr_number_result result = mr_number_parse_float64(v->text, v->size, &number, &used);
        if (result != MR_NUMBER_OK || used != v->size)
            return wrong_number(v, result, used);
    }
    mr_sink_float64(v->sink, v->row, number);
    return true;
}

static bool get_float32(const value *v, float *out)
{
    double special;
    size_t used;
    if (v->decoder->options.allow_nonfinite && mr_value_nonfinite(v->text, v->size, &special)) {
        *out = (float)special;
        return true;
    }
    mr_number_result result = mr_number_parse_float32(v->text, v->size, out, &used);
    return (result == MR_NUMBER_OK && used == v->size) || wrong_number(v, result, used);
}

static bool put_float32(const value *v)
{
    float number;
    if (!get_float32(v, &number))
        return false;
    mr_sink_float32(v->sink, v->row, number);
    return true;
}

/* A whole number of the field's unit, or '@' and microseconds. */
static bool get_epoch(const value *v, int64_t *out)
{
    static const int64_t factors[] = {
        [MR_TIME_ISO] = 1, [MR_TIME_S] = 1000000, [MR_TIME_MS] = 1000, [MR_TIME_US] = 1};
    bool raw = v->size > 0 && v->text[0] == '@';
    int64_t number, us;
    if (!mr_number_is_int64(v->text + raw, v->size - raw, &number))
        return false;
    if (raw) {
        *out = number;
        return v->decoder->options.allow_nonfinite;
    }
    if (v->sink->unit == MR_TIME_ISO ||
        __builtin_mul_overflow(number, factors[v->sink->unit], &us) || us < MR_TIME_MIN_US ||
        us > MR_TIME_MAX_US)
        return false;
    *out = us;
    return true;
}

static bool put_timestamp(const value *v)
{
    int64_t us;
    size_t at;
    const char *expected;
    if (!get_epoch(v, &us) &&
        !mr_time_parse(v->text, v->size, v->decoder->options.zone_required, &us, &at, &expected))
        return mr_mistake_value(v->decoder, v->at, v->field, v->text, v->size,
                                ": expected %s at byte %zu", expected, at + 1);
    mr_sink_int64(v->sink, v->row, us);
    return true;
}

static bool put_string(const value *v)
{
    if (v->size > v->decoder->options.field_bytes_max)
        return mr_mistake_value(v->decoder, v->at, v->field, v->text, v->size,
                                " of %zu bytes; %zu is the limit", v->size,
                                v->decoder->options.field_bytes_max);
    if (!mr_sink_append(v->sink, v->text, v->size))
        return mr_mistake_memory(v->decoder);
    mr_sink_end_text(v->sink, v->row);
    return true;
}

static bool put_bytes(const value *v)
{
    size_t size, at;
    if (v->size / 4 * 3 > v->decoder->options.field_bytes_max)
        return wrong(v, ": it is longer than the limit");
    if (!mr_sink_room(v->sink, v->size / 4 * 3 + 3))
        return mr_mistake_memory(v->decoder);
    if (!mr_base64_decode(v->text, v->size, v->sink->values + v->sink->text_size, &size, &at))
        return mr_mistake_value(v->decoder, v->at, v->field, v->text, v->size,
                                ": no base64 at byte %zu", at + 1);
    v->sink->text_size += size;
    mr_sink_end_text(v->sink, v->row);
    return true;
}

static size_t skip_blanks(const char *text, size_t size, size_t at)
{
    while (at < size &&
           (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n'))
        at++;
    return at;
}

static bool is_item_end(char c)
{
    return c == ',' || c == ']' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* JSON's number grammar: -? (0 | [1-9][0-9]*) (. [0-9]+)? exponent?; what parse_float takes beyond it is refused. */
static bool is_strict_number(const char *text, size_t size)
{
    size_t at = size > 0 && text[0] == '-';
    if (at >= size || text[at] < '0' || text[at] > '9')
        return false;
    if (text[at] == '0' && at + 1 < size && text[at + 1] >= '0' && text[at + 1] <= '9')
        return false;
    const char *point = memchr(text, '.', size);
    return point == NULL || (point + 1 < text + size && point[1] >= '0' && point[1] <= '9');
}

/* One item of an array at v->text[at]; returns where it ends, or 0 and a mistake. */
static size_t put_item(const value *v, size_t at, float *out)
{
    size_t end = at;
    while (end < v->size && !is_item_end(v->text[end]))
        end++;
    value item = *v;
    size_t wrap = end - at > 2 && v->text[at] == '"' && v->text[end - 1] == '"' ? 1 : 0;
    item.text = v->text + at + wrap;
    item.size = end - at - 2 * wrap;
    double special;
    bool allowed =
        v->decoder->options.allow_nonfinite && mr_value_nonfinite(item.text, item.size, &special);
    if (!allowed && (wrap > 0 || !is_strict_number(item.text, item.size))) {
        mr_mistake_value(v->decoder, v->at, v->field, v->text + at, end - at, " in an array");
        return 0;
    }
    return get_float32(&item, out) ? end : 0;
}

static bool put_vector(const value *v)
{
    float *out = mr_sink_vector(v->sink, v->row);
    uint32_t width = v->sink->type.width, count = 0;
    size_t at = skip_blanks(v->text, v->size, 0);
    if (at >= v->size || v->text[at] != '[')
        return wrong(v, ": an array is wanted");
    do {
        at = skip_blanks(v->text, v->size, at + 1);
        if (count == width)
            return wrong(v, ": it has more values");
        at = put_item(v, at, &out[count]);
        if (at == 0)
            return false;
        count++;
        at = skip_blanks(v->text, v->size, at);
    } while (at < v->size && v->text[at] == ',');
    if (at >= v->size || v->text[at] != ']' || skip_blanks(v->text, v->size, at + 1) != v->size)
        return wrong(v, ": the array does not end well");
    return count == width || mr_mistake_value(v->decoder, v->at, v->field, v->text, v->size,
                                              ": it has %u values", count);
}

bool mr_value_put(mr_decoder *decoder, int field, const char *text, size_t size, const uint8_t *at)
{
    static bool (*const puts[MR_TYPE_COUNT])(const value *) = {
        [MR_BOOL] = put_bool,       [MR_INT32] = put_int32,     [MR_INT64] = put_int64,
        [MR_FLOAT32] = put_float32, [MR_FLOAT64] = put_float64, [MR_TIMESTAMP] = put_timestamp,
        [MR_STRING] = put_string,   [MR_BYTES] = put_bytes,     [MR_VECTOR] = put_vector};
    mr_sink *sink = &decoder->sinks[field];
    value v = {decoder, sink, decoder->row_count, field, text, size, at};
    return puts[sink->type.id](&v);
}
