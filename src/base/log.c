/* log.c -- from a printf-like format of key=value pairs to one line of text or JSON.
 *
 * (1) A line is made on the stack and handed over whole; nothing is allocated.
 * (2) Whatever is logged, a line has one newline, at its end, and JSON lines are valid JSON in UTF-8.
 * Thread: any. */
#include "base/log.h"

#include "base/assert.h"
#include "base/time.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

typedef struct log_line {
    bool json;
    bool full; /* the present field found no room */
    bool cut;  /* some field did not */
    size_t size;
    char text[MR_LOG_LINE_BYTES_MAX];
} log_line;

/* One %-conversion of the format. */
typedef struct log_spec {
    int precision; /* -1: none */
    int length;    /* of an integer: 4 or 8 bytes */
    char kind;
} log_spec;

static _Atomic(const mr_log_writer *) installed;
static atomic_int max_level = MR_LOG_INFO;
static atomic_bool writes_json;

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const level_marks[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};

/* ---- settings ---- */

void mr_log_install(const mr_log_writer *writer)
{
    atomic_store(&installed, writer);
}

bool mr_log_wants(mr_log_level level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed) &&
           atomic_load_explicit(&installed, memory_order_relaxed) != NULL;
}

static bool take_word(const char *word, size_t bytes, int *level, bool *json)
{
    for (int i = MR_LOG_ERROR; i <= MR_LOG_DEBUG; i++) {
        if (strlen(level_names[i]) == bytes && memcmp(level_names[i], word, bytes) == 0) {
            *level = i;
            return true;
        }
    }
    if (bytes != 4 || (memcmp(word, "json", 4) != 0 && memcmp(word, "text", 4) != 0))
        return false;
    *json = word[0] == 'j';
    return true;
}

mr_status mr_log_configure(const char *words, mr_error *err)
{
    int level = atomic_load(&max_level);
    bool json = atomic_load(&writes_json);
    for (const char *word = words; *word != '\0';) {
        size_t bytes = strcspn(word, ",");
        if (!take_word(word, bytes, &level, &json))
            return MR_FAIL(
                err, MR_INVALID,
                "log setting '%.*s' is unknown; right are error, warn, info, debug, text, json",
                (int)MR_MIN(bytes, 100), word);
        word += bytes;
        word += *word == ',';
    }
    atomic_store(&max_level, level);
    atomic_store(&writes_json, json);
    return MR_OK;
}

/* ---- a line ---- */

#define LINE_TAIL_BYTES 16 /* kept for the mark of a cut line, brace and newline */

static void add(log_line *line, const char *text, size_t bytes)
{
    if (bytes > sizeof line->text - LINE_TAIL_BYTES - line->size) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->size, text, bytes);
    line->size += bytes;
}

static void add_text(log_line *line, const char *text)
{
    add(line, text, strlen(text));
}

static void add_escape(log_line *line, unsigned char c)
{
    char out[8];
    const char *named = c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n" : NULL;
    if (named == NULL)
        (void)snprintf(out, sizeof out, line->json ? "\\u%04x" : "\\x%02x", c);
    add_text(line, named != NULL ? named : out);
}

/* Bytes that are no UTF-8 become U+FFFD. */
static void add_quoted(log_line *line, const char *text, size_t bytes)
{
    add(line, "\"", 1);
    for (size_t i = 0, step; i < bytes; i += step) {
        unsigned char c = (unsigned char)text[i];
        uint32_t code;
        step = mr_utf8_decode((const uint8_t *)text + i, bytes - i, &code);
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            add_escape(line, c);
        else if (step == 0)
            add_text(line, "\xef\xbf\xbd");
        else
            add(line, text + i, step);
        step = MR_MAX(step, 1);
    }
    add(line, "\"", 1);
}

static bool is_plain(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '"' || text[i] == '=' ||
            text[i] == '\\')
            return false;
    return bytes > 0;
}

static void add_value_text(log_line *line, const char *text, size_t bytes)
{
    if (line->json || !is_plain(text, bytes))
        add_quoted(line, text, bytes);
    else
        add(line, text, bytes);
}

static void add_key(log_line *line, const char *key, size_t bytes)
{
    if (line->json) {
        add_text(line, ",");
        add_quoted(line, key, bytes);
        add_text(line, ":");
    } else {
        add_text(line, " ");
        add(line, key, bytes);
        add_text(line, "=");
    }
}

static void add_head(log_line *line, mr_log_level level, const char *component, int64_t us)
{
    char time[64];
    mr_civil at = mr_time_civil(us);
    (void)snprintf(time, sizeof time, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%06dZ", at.year,
                   at.month, at.day, at.hour, at.minute, at.second, at.microsecond);
    add_text(line, line->json ? "{\"time\":\"" : "");
    add_text(line, time);
    add_text(line, line->json ? "\",\"level\":\"" : " ");
    add_text(line, line->json ? level_names[level] : level_marks[level]);
    add_text(line, line->json ? "\",\"component\":" : " ");
    add_value_text(line, component, strlen(component));
}

/* A field that found no room leaves nothing behind but a mark at the end of the line. */
static void end_field(log_line *line, size_t size_before)
{
    if (!line->full)
        return;
    line->size = size_before;
    line->full = false;
    line->cut = true;
}

static void add_tail(log_line *line)
{
    static const char text_mark[] = " cut=true", json_mark[] = ",\"cut\":true";
    _Static_assert(sizeof json_mark + 2 <= LINE_TAIL_BYTES,
                   "the mark, a brace and a newline have room");
    const char *mark = !line->cut ? "" : line->json ? json_mark : text_mark;
    const char *end = line->json ? "}\n" : "\n";
    size_t mark_bytes = strlen(mark), end_bytes = strlen(end);
    memcpy(line->text + line->size, mark, mark_bytes);
    memcpy(line->text + line->size + mark_bytes, end, end_bytes);
    line->size += mark_bytes + end_bytes;
}

/* ---- values by format ---- */

/* Reads the conversion that starts behind '%' and returns what follows it. */
static const char *read_spec(const char *at, va_list *args, log_spec *spec)
{
    *spec = (log_spec){.precision = -1, .length = 4};
    if (*at == '.' && at[1] == '*') {
        spec->precision = va_arg(*args, int);
        at += 2;
    } else if (*at == '.') {
        for (spec->precision = 0, at++; *at >= '0' && *at <= '9' && spec->precision < 1000; at++)
            spec->precision = spec->precision * 10 + (*at - '0');
    }
    for (; *at == 'l' || *at == 'z' || *at == 'j' || *at == 't'; at++)
        spec->length = 8;
    _Static_assert(sizeof(long) == 8 && sizeof(size_t) == 8, "l and z are 8 bytes");
    spec->kind = *at;
    MR_ASSERT(*at != '\0' && strchr("diuxsgf", *at) != NULL);
    return at + 1;
}

static void add_string(log_line *line, const log_spec *spec, const char *text)
{
    if (text == NULL)
        text = "";
    size_t bytes = spec->precision >= 0 ? strnlen(text, (size_t)spec->precision) : strlen(text);
    add_value_text(line, text, bytes);
}

static void add_float(log_line *line, const log_spec *spec, double value)
{
    char out[400];
    int precision = MR_MIN(spec->precision >= 0 ? spec->precision : 6, 17);
    int bytes = spec->kind == 'f' ? snprintf(out, sizeof out, "%.*f", precision, value)
                                  : snprintf(out, sizeof out, "%.*g", precision, value);
    if (line->json && !isfinite(value))
        add_quoted(line, out, (size_t)bytes);
    else
        add(line, out, (size_t)bytes);
}

static void add_integer(log_line *line, const log_spec *spec, va_list *args)
{
    char out[32];
    if (spec->kind == 'd' || spec->kind == 'i') {
        int64_t value = spec->length == 8 ? va_arg(*args, int64_t) : va_arg(*args, int);
        (void)snprintf(out, sizeof out, "%" PRId64, value);
        add_text(line, out);
        return;
    }
    uint64_t value = spec->length == 8 ? va_arg(*args, uint64_t) : va_arg(*args, unsigned);
    bool hex = spec->kind == 'x';
    (void)snprintf(out, sizeof out, hex ? "%" PRIx64 : "%" PRIu64, value);
    if (hex)
        add_value_text(line, out, strlen(out));
    else
        add_text(line, out);
}

static void add_value(log_line *line, const log_spec *spec, va_list *args)
{
    if (spec->kind == 's')
        add_string(line, spec, va_arg(*args, const char *));
    else if (spec->kind == 'g' || spec->kind == 'f')
        add_float(line, spec, va_arg(*args, double));
    else
        add_integer(line, spec, args);
}

/* " key=%spec key=word ...": the pairs behind the event's name. */
static void add_pairs(log_line *line, const char *at, va_list *args)
{
    for (at += strspn(at, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t before = line->size, key_bytes = strcspn(at, "= ");
        MR_ASSERT(at[key_bytes] == '=');
        add_key(line, at, key_bytes);
        at += key_bytes + 1;
        if (*at == '%') {
            log_spec spec;
            at = read_spec(at + 1, args, &spec);
            add_value(line, &spec, args);
        } else {
            size_t bytes = strcspn(at, " ");
            add_value_text(line, at, bytes);
            at += bytes;
        }
        end_field(line, before);
        MR_ASSERT(*at == '\0' || *at == ' ');
    }
}

static void add_error(log_line *line, const mr_error *err)
{
    const char *const keys[] = {"status", "place", "error"};
    const char *const values[] = {mr_status_name(err->status), err->place, err->text};
    for (size_t i = 0; i < MR_COUNT_OF(keys); i++) {
        size_t before = line->size;
        if (values[i][0] == '\0')
            continue;
        add_key(line, keys[i], strlen(keys[i]));
        add_value_text(line, values[i], strlen(values[i]));
        end_field(line, before);
    }
}

static void write_line(mr_log_level level, const char *component, const mr_error *err,
                       const char *format, va_list *args)
{
    const mr_log_writer *writer = atomic_load(&installed);
    if (writer == NULL || (int)level > atomic_load_explicit(&max_level, memory_order_relaxed))
        return;
    log_line line;
    line.json = atomic_load_explicit(&writes_json, memory_order_relaxed);
    line.full = line.cut = false;
    line.size = 0;
    size_t event_bytes = strcspn(format, " ");
    add_head(&line, level, component, writer->wall_us(writer->context));
    add_text(&line, line.json ? ",\"event\":" : " ");
    add_value_text(&line, format, event_bytes);
    add_pairs(&line, format + event_bytes, args);
    if (err != NULL)
        add_error(&line, err);
    add_tail(&line);
    writer->write(writer->context, line.text, line.size);
}

void mr_log_event(mr_log_level level, const char *component, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(level, component, NULL, format, &args);
    va_end(args);
}

void mr_log_failure(mr_log_level level, const char *component, const mr_error *err,
                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(level, component, err, format, &args);
    va_end(args);
}
