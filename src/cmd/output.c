/* output.c -- buffered output, colours, and the small writers every verb shares. */
#include "cmd/output.h"

#include "base/assert.h"
#include "os/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_BYTES 65536

static const char *const paints[MR_COLOUR_COUNT] = {
    [MR_COLOUR_BOLD] = "\033[1m",   [MR_COLOUR_DIM] = "\033[2m",     [MR_COLOUR_RED] = "\033[31m",
    [MR_COLOUR_GREEN] = "\033[32m", [MR_COLOUR_YELLOW] = "\033[33m", [MR_COLOUR_CYAN] = "\033[36m",
};

static bool colours_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return (no_color == NULL || no_color[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

void mr_output_init(mr_output *output, int fd)
{
    *output = (mr_output){.fd = fd};
    output->terminal = mr_process_is_terminal(fd);
    output->colours = output->terminal && colours_wanted();
    output->prompt = output->terminal;
}

void mr_output_deinit(mr_output *output)
{
    (void)mr_output_flush(output);
    mr_bytes_deinit(&output->pending);
}

mr_status mr_output_flush(mr_output *output)
{
    if (output->pending.failed && output->status == MR_OK)
        output->status = MR_OUT_OF_MEMORY(&output->error);
    if (output->status == MR_OK && output->pending.size > 0)
        output->status = mr_process_write(output->fd, output->pending.data, output->pending.size,
                                          &output->error);
    mr_bytes_clear(&output->pending);
    return output->status;
}

static void flush_when_due(mr_output *output)
{
    const mr_bytes *pending = &output->pending;
    bool line_done = pending->size > 0 && pending->data[pending->size - 1] == '\n';
    if (pending->size >= PENDING_BYTES || (output->prompt && line_done))
        (void)mr_output_flush(output);
}

void mr_output_bytes(mr_output *output, const void *data, size_t size)
{
    mr_bytes_append(&output->pending, data, size);
    flush_when_due(output);
}

void mr_output_text(mr_output *output, const char *text)
{
    mr_output_bytes(output, text, strlen(text));
}

void mr_output_printf(mr_output *output, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size > 0 && mr_bytes_reserve(&output->pending, (size_t)size + 1)) {
        (void)vsnprintf((char *)output->pending.data + output->pending.size, (size_t)size + 1,
                        format, again);
        output->pending.size += (size_t)size;
        flush_when_due(output);
    }
    va_end(again);
}

const char *mr_output_paint(const mr_output *output, mr_colour colour)
{
    MR_ASSERT(colour < MR_COLOUR_COUNT);
    return output->colours ? paints[colour] : "";
}

const char *mr_output_plain(const mr_output *output)
{
    return output->colours ? "\033[0m" : "";
}

void mr_output_colour(mr_output *output, mr_colour colour, const char *text)
{
    mr_output_printf(output, "%s%s%s", mr_output_paint(output, colour), text,
                     mr_output_plain(output));
}

void mr_output_wrapped(mr_output *output, const char *text, size_t indent, size_t columns)
{
    size_t column = indent;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > indent && column + 1 + word > columns) {
            mr_output_printf(output, "\n%*s", (int)indent, "");
            column = indent;
        }
        bool first = column == indent;
        mr_output_printf(output, "%s%.*s", first ? "" : " ", (int)word, text);
        column += word + (first ? 0 : 1);
        text += word;
        text += strspn(text, " ");
    }
    mr_output_text(output, "\n");
}

/* ---- small writers ---- */

const char *mr_text_count(uint64_t value, char *out)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, value);
    int at = 0;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

const char *mr_text_size(uint64_t bytes, char *out)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < MR_COUNT_OF(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}
