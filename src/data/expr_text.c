/* expr_text.c -- kernels of text: comparison, cutting and joining, casts from and to text.
 *
 * (1) Texts are borrowed where they can be (a column's, a constant's, a part of either); what is
 *     made lives in the scratch arena until the chunk is done.
 * (2) Every row of a text register can be read, NULL rows too.
 * (3) A character starts at every byte that is no UTF-8 continuation byte, so any bytes have
 *     characters. */
#include "data/expr_internal.h"

#include "base/number.h"
#include "base/time.h"
#include "base/utf8.h"

#include <string.h>

#define TEXTS(i) ((const mr_text *)MR_ARG(i)->values)

int mr_text_compare(mr_text a, mr_text b)
{
    size_t common = MR_MIN(a.size, b.size);
    int order = common > 0 ? memcmp(a.bytes, b.bytes, common) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

bool mr_text_equal(mr_text a, mr_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

/* Memory for texts of this chunk; without it every row becomes empty and the chunk fails. */
static uint8_t *make_room(mr_frame *frame, mr_reg *dst, size_t bytes)
{
    uint8_t *room = mr_arena_alloc(&frame->memory->texts, bytes + 1);
    if (room == NULL) {
        frame->failed = true;
        memset(dst->values, 0, frame->rows * sizeof(mr_text));
    }
    return room;
}

#define TEXT_BITS(name, condition)                                                                 \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const mr_text *a = TEXTS(0), *b = TEXTS(1);                                                \
        uint8_t bytes[MR_EXPR_ROWS];                                                               \
        memset(bytes + frame->rows, 0, frame->words * 64 - frame->rows);                           \
        for (size_t i = 0; i < frame->rows; i++)                                                   \
            bytes[i] = (condition);                                                                \
        mr_pack_bits(MR_DST->values, bytes, frame->words);                                         \
    }

static bool starts_with(mr_text text, mr_text start)
{
    return start.size == 0 ||
           (text.size >= start.size && memcmp(text.bytes, start.bytes, start.size) == 0);
}

TEXT_BITS(eq_text, mr_text_equal(a[i], b[i]))
TEXT_BITS(lt_text, mr_text_compare(a[i], b[i]) < 0)
TEXT_BITS(le_text, mr_text_compare(a[i], b[i]) <= 0)
TEXT_BITS(starts_with, starts_with(a[i], b[i]))

/* ---- cutting and joining ---- */

/* Letters from `first` to `first` + 25 change case, which in ASCII is one bit; all rows in one loop. */
static void change_case(mr_frame *frame, const mr_step *step, uint8_t first)
{
    const mr_text *a = TEXTS(0);
    mr_text *to = MR_DST->values;
    size_t total = 0;
    for (size_t i = 0; i < frame->rows; i++)
        total += a[i].size;
    uint8_t *room = make_room(frame, MR_DST, total), *next = room;
    for (size_t i = 0; room != NULL && i < frame->rows; i++) {
        to[i] = (mr_text){next, a[i].size};
        if (a[i].size > 0)
            memcpy(next, a[i].bytes, a[i].size);
        next += a[i].size;
    }
    for (size_t k = 0; room != NULL && k < total; k++)
        room[k] = (uint8_t)(room[k] ^ ((uint8_t)(room[k] - first) < 26) << 5);
}

void mr_kernel_lower(mr_frame *frame, const mr_step *step)
{
    change_case(frame, step, 'A');
}

void mr_kernel_upper(mr_frame *frame, const mr_step *step)
{
    change_case(frame, step, 'a');
}

static bool starts_character(uint8_t byte)
{
    return (byte & 0xc0) != 0x80;
}

void mr_kernel_length_text(mr_frame *frame, const mr_step *step)
{
    const mr_text *a = TEXTS(0);
    int64_t *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++) {
        size_t characters = 0;
        for (size_t k = 0; k < a[i].size; k++)
            characters += starts_character(a[i].bytes[k]);
        to[i] = (int64_t)characters;
    }
}

void mr_kernel_length_bytes(mr_frame *frame, const mr_step *step)
{
    int64_t *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = (int64_t)TEXTS(0)[i].size;
}

/* The text behind the first `characters` characters. */
static mr_text skip_characters(mr_text text, uint64_t characters)
{
    size_t at = 0;
    if (characters >= text.size)
        at = text.size;
    for (uint64_t left = characters; at < text.size; at++)
        if (starts_character(text.bytes[at]) && left-- == 0)
            break;
    return (mr_text){text.size > 0 ? text.bytes + at : NULL, text.size - at};
}

/* Characters at places [from, end), the first place being 1. */
static mr_text substring(mr_text text, int64_t from, int64_t end)
{
    if (end <= from || end <= 1)
        return (mr_text){0};
    from = MR_MAX(from, 1);
    mr_text tail = skip_characters(text, (uint64_t)from - 1);
    tail.size -= skip_characters(tail, (uint64_t)(end - from)).size;
    return tail;
}

void mr_kernel_substr_from(mr_frame *frame, const mr_step *step)
{
    const int64_t *from = MR_ARG(1)->values;
    mr_text *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++)
        to[i] = substring(TEXTS(0)[i], from[i], INT64_MAX);
}

void mr_kernel_substr_text(mr_frame *frame, const mr_step *step)
{
    const int64_t *from = MR_ARG(1)->values, *count = MR_ARG(2)->values;
    mr_text *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++) {
        int64_t end;
        if (__builtin_add_overflow(from[i], count[i], &end))
            end = INT64_MAX;
        to[i] = substring(TEXTS(0)[i], from[i], end);
        if (count[i] < 0) {
            to[i] = (mr_text){0};
            mr_reg_null_row(MR_DST, i);
        }
    }
}

void mr_kernel_concat(mr_frame *frame, const mr_step *step)
{
    mr_text *to = MR_DST->values;
    size_t total = 0;
    for (size_t i = 0; i < frame->rows; i++) {
        to[i] = (mr_text){0};
        for (size_t k = 0; k < step->arg_count; k++)
            to[i].size += TEXTS(k)[i].size;
        if (to[i].size > MR_EXPR_TEXT_BYTES_MAX) {
            to[i].size = 0;
            mr_reg_null_row(MR_DST, i);
        }
        total += to[i].size;
    }
    uint8_t *room = make_room(frame, MR_DST, total);
    for (size_t i = 0; room != NULL && i < frame->rows; i++) {
        uint8_t *next = room;
        for (size_t k = 0; to[i].size > 0 && k < step->arg_count; k++) {
            if (TEXTS(k)[i].size > 0)
                memcpy(next, TEXTS(k)[i].bytes, TEXTS(k)[i].size);
            next += TEXTS(k)[i].size;
        }
        to[i].bytes = room;
        room = next;
    }
}

/* ---- casts to text ---- */

void mr_kernel_bits_to_text(mr_frame *frame, const mr_step *step)
{
    static const mr_text words[2] = {{(const uint8_t *)"false", 5}, {(const uint8_t *)"true", 4}};
    const uint64_t *a = MR_ARG(0)->values;
    for (size_t i = 0; i < frame->rows; i++)
        ((mr_text *)MR_DST->values)[i] = words[a[i / 64] >> (i % 64) & 1];
}

#define TO_TEXT(name, type, format, text_max)                                                      \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const type *a = MR_ARG(0)->values;                                                         \
        mr_text *to = MR_DST->values;                                                              \
        uint8_t *room = make_room(frame, MR_DST, frame->rows * (text_max));                        \
        for (size_t i = 0; room != NULL && i < frame->rows; i++, room += (text_max))               \
            to[i] = (mr_text){room, format(a[i], (char *)room)};                                   \
    }

static size_t format_float32(double value, char *out)
{
    return mr_number_format_float32((float)value, out);
}

TO_TEXT(int_to_text, int64_t, mr_number_format_int64, MR_NUMBER_TEXT_MAX)
TO_TEXT(float_to_text, double, mr_number_format_float64, MR_NUMBER_TEXT_MAX)
TO_TEXT(float32_to_text, double, format_float32, MR_NUMBER_TEXT_MAX)
TO_TEXT(timestamp_to_text, int64_t, mr_time_format, MR_TIME_TEXT_MAX)

/* ---- casts from text ---- */

#define FROM_TEXT(name, type, parse)                                                               \
    void mr_kernel_##name(mr_frame *frame, const mr_step *step)                                    \
    {                                                                                              \
        const mr_text *a = TEXTS(0);                                                               \
        type *to = MR_DST->values;                                                                 \
        for (size_t i = 0; i < frame->rows; i++) {                                                 \
            to[i] = 0;                                                                             \
            if (!parse(a[i].size > 0 ? (const char *)a[i].bytes : "", a[i].size, &to[i]))          \
                mr_reg_null_row(MR_DST, i);                                                        \
        }                                                                                          \
    }

static bool parse_int32(const char *text, size_t size, int64_t *out)
{
    return mr_number_is_int64(text, size, out) && *out == (int32_t)*out;
}

static bool parse_float32(const char *text, size_t size, double *out)
{
    float value = 0;
    size_t used;
    bool is = mr_number_parse_float32(text, size, &value, &used) == MR_NUMBER_OK && used == size;
    *out = (double)value;
    return is;
}

static bool parse_timestamp(const char *text, size_t size, int64_t *out)
{
    return mr_time_parse(text, size, false, out, NULL, NULL);
}

FROM_TEXT(text_to_int64, int64_t, mr_number_is_int64)
FROM_TEXT(text_to_int32, int64_t, parse_int32)
FROM_TEXT(text_to_float64, double, mr_number_is_float64)
FROM_TEXT(text_to_float32, double, parse_float32)
FROM_TEXT(text_to_timestamp, int64_t, parse_timestamp)

void mr_kernel_text_to_bits(mr_frame *frame, const mr_step *step)
{
    uint8_t bytes[MR_EXPR_ROWS] = {0};
    for (size_t i = 0; i < frame->rows; i++) {
        mr_text text = TEXTS(0)[i];
        const char *word = text.size > 0 ? (const char *)text.bytes : "";
        bytes[i] = mr_word_is(word, text.size, "true") || mr_word_is(word, text.size, "1");
        if (!bytes[i] && !mr_word_is(word, text.size, "false") && !mr_word_is(word, text.size, "0"))
            mr_reg_null_row(MR_DST, i);
    }
    mr_pack_bits(MR_DST->values, bytes, frame->words);
}

void mr_kernel_bytes_to_text(mr_frame *frame, const mr_step *step)
{
    const mr_text *a = TEXTS(0);
    mr_text *to = MR_DST->values;
    for (size_t i = 0; i < frame->rows; i++) {
        to[i] = a[i];
        if (a[i].size > 0 && !mr_utf8_is_valid(a[i].bytes, a[i].size))
            mr_reg_null_row(MR_DST, i);
    }
}
