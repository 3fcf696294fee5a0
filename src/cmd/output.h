/* output.h -- what a verb says: data on stdout, everything else on stderr.
 *
 * An mr_output collects bytes and writes them in large pieces. The first failure is kept and
 * everything after it is dropped, so that a verb prints straight down and asks once at the end; a
 * reader that went away
 * (`| head`) is such a failure. Colour is on only on a terminal, and never with NO_COLOR
 * (no-color.org). */
#ifndef MR_CMD_OUTPUT_H
#define MR_CMD_OUTPUT_H

#include "base/memory.h"

typedef enum mr_colour {
    MR_COLOUR_BOLD,
    MR_COLOUR_DIM,
    MR_COLOUR_RED,
    MR_COLOUR_GREEN,
    MR_COLOUR_YELLOW,
    MR_COLOUR_CYAN,
    MR_COLOUR_COUNT
} mr_colour;

typedef struct mr_output {
    int fd;
    bool terminal;
    bool colours;
    bool prompt; /* write every line at once: a person, or a log, is reading along */
    mr_bytes pending;
    mr_status status; /* of the first write that failed */
    mr_error error;
} mr_output;

void mr_output_init(mr_output *output, int fd);
/* Flushes; what failed is in `status`. */
void mr_output_deinit(mr_output *output);
mr_status mr_output_flush(mr_output *output);

void mr_output_text(mr_output *output, const char *text);
void mr_output_bytes(mr_output *output, const void *data, size_t size);
void mr_output_printf(mr_output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Text in a colour, plain when colours are off. */
void mr_output_colour(mr_output *output, mr_colour colour, const char *text);
/* The escape that starts a colour, or ends all of them; "" when colours are off. */
const char *mr_output_paint(const mr_output *output, mr_colour colour);
const char *mr_output_plain(const mr_output *output);

/* `text` wrapped at `columns`, every line after the first indented by `indent` blanks. */
void mr_output_wrapped(mr_output *output, const char *text, size_t indent, size_t columns);

/* ---- small writers ---- */

/* 1234567 as "1,234,567"; out needs 32 bytes. Returns out. */
const char *mr_text_count(uint64_t value, char *out);
/* 1536 as "1.5 KiB"; out needs 32 bytes. Returns out. */
const char *mr_text_size(uint64_t bytes, char *out);

#endif
